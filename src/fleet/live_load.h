/*
 * live_load.h - what a deployment's server said of its own load, and what of that is not ours. Part of fleet/live.h.
 *
 * We know what we have under way at a deployment, at once and exactly. Its server knows what everybody has there, but says so now and then.
 * Both are joined so that neither is lost: when the server speaks, what it has beyond ours is taken for others' (never less than
 * nothing), and until its word is too old, a deployment's load is what we have under way now and these others:
 *
 *     others = max(0, running + waiting - ours, both at the moment of the word)        load = ours now + others
 *
 * So at the moment of the word the load is the larger of the two, and what we send the next moment shows at once: many requests that come between
 * two words do not all go where the last word was lowest. The same with tokens, where those that wait, and all if the server does not tell tokens, count
 * as many as one of those that it runs, else as one of ours, else LIVE_LOAD_TOKENS.
 */
#ifndef FLEET_LIVE_LOAD_H
#define FLEET_LIVE_LOAD_H

#include "base/time.h"
#include "llm/server_load.h"

#include <stdatomic.h>

enum { LIVE_LOAD_TOKENS = 1000 };

/* Zeroed: nothing was said. Written by one loop, read by all: each word for itself. */
struct live_load {
    _Atomic ns_t at, until;
    _Atomic uint64_t requests, tokens; /* others' */
    _Atomic double running, waiting, held, cache;
};

/* For people. */
struct live_server {
    ns_t at;                 /* when it spoke last; 0: never                     */
    bool is_fresh;           /* what it said counts still                        */
    double running, waiting; /* requests                                         */
    double held, cache;      /* tokens in its caches, share of them; < 0: not told */
};

/* The server spoke: take it in; it counts until `until`. `ours`, `our_tokens`: under way there, as of now. */
void live_load_take(struct live_load *l, const struct server_load *said, uint64_t ours, uint64_t our_tokens, ns_t now,
                    ns_t until);
/* Others' requests and tokens; none if the server has not spoken or its word is too old. */
void live_load_others(const struct live_load *l, ns_t now, uint64_t *ret_requests, uint64_t *ret_tokens);
struct live_server live_load_server(const struct live_load *l, ns_t now);

#endif
