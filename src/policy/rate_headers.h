/*
 * rate_headers.h - what a provider's answer tells about its rate limits. Pure.
 *
 * There is no standard that providers keep to. Understood are, in any mixture:
 *
 *     x-ratelimit-{limit,remaining,reset}-{requests,tokens}
 *         OpenAI, Azure, Groq, xAI; with -prompt and -generated Fireworks
 *     x-ratelimit-{limit,remaining,reset}[-{req,tokens}-{minute,hour,day,month}]
 *         Mistral, Cerebras, OpenRouter
 *     [x-]ratelimitbysize-..., x-tokenlimit-...
 *         older Mistral, Together
 *     anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}
 *     RateLimit, RateLimit-Policy, and RateLimit-{Limit,Remaining,Reset}
 *         draft-ietf-httpapi-ratelimit-headers, also its older ones
 *     retry-after, retry-after-ms
 *         RFC 9110, 10.2.3; OpenAI, Azure
 *
 * Moments may be durations ("6m0s", "7.66s", "12ms"), seconds, RFC 3339, HTTP dates, or seconds, milliseconds and so on
 * since 1970.
 */
#ifndef POLICY_RATE_HEADERS_H
#define POLICY_RATE_HEADERS_H

#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

enum rate_what { RATE_REQUESTS, RATE_TOKENS, RATE_INPUT_TOKENS, RATE_OUTPUT_TOKENS, RATE_WHATS };

/* One limit. `what`, `span` and `policy` tell it from the others of its answer. */
struct rate_window {
    enum rate_what what;
    ns_t span;       /* its length, where the name tells: "-minute"; 0: not told */
    uint64_t policy; /* hash of the name that the IETF's fields give it; 0: none */
    bool has_limit, has_remaining, has_reset;
    uint64_t limit, remaining;
    ns_t reset; /* instant at which it is full again */
};

enum { RATE_WINDOWS_MAX = 8 };

/* All that one answer told. Zeroed: nothing. */
struct rate_reading {
    struct rate_window windows[RATE_WINDOWS_MAX];
    unsigned count;
    bool has_retry, has_exact_retry; /* exact: in milliseconds, which counts before the rounded one */
    ns_t retry_at;
};

/*
 * Take in one header. What is no rate limit, makes no sense, or is one limit too many, is ignored.
 *
 * now   on the monotonic clock, in which the reading's instants are
 * wall  the same moment in nanoseconds since 1970
 */
void rate_reading_header(struct rate_reading *r, struct str name, struct str value, ns_t now, int64_t wall);

#endif
