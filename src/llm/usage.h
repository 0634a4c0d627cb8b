/* usage.h - tokens of one answer, in the words of the canonical model: input includes cached, output includes reasoning. */
#ifndef LLM_USAGE_H
#define LLM_USAGE_H

#include "base/str.h"
#include "codec/json_tree.h"

#include <stdbool.h>
#include <stdint.h>

struct usage {
    uint64_t input, output;
    uint64_t cached_input;   /* of input: read from the provider's cache            */
    uint64_t cache_write;    /* of input: written to it                             */
    uint64_t cache_write_1h; /* of cache_write: to be kept for an hour              */
    uint64_t reasoning;      /* of output                                           */
    uint64_t audio_input, audio_output;
    bool known; /* the provider told                        */
};

/* Read OpenAI's usage object, of Chat (prompt_tokens, …) or Responses (input_tokens, …), from its text, which is
 * known to be valid JSON. False, and *ret
 * untouched, if it is not an object or holds neither. Pure. */
bool usage_from_openai(struct str json, struct usage *ret);

/* Add what another answer used; the sum is known if both were. */
void usage_add(struct usage *to, const struct usage *u);
/* A count in a member of a usage object; 0 if it is absent, no number or negative. */
uint64_t usage_count(struct json_node object, struct str key);
/* a - b, but not below 0: for dialects that count cached input apart, against providers whose figures do not add up. */
static inline uint64_t usage_less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

#endif
