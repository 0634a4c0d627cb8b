/* usage.h - tokens of one answer, in the words of the canonical model: input includes cached, output includes reasoning. */
#ifndef LLM_USAGE_H
#define LLM_USAGE_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct usage {
    uint64_t input, output;
    uint64_t cached_input; /* of input: read from the provider's cache */
    uint64_t reasoning;    /* of output                                */
    bool known;            /* the provider told                        */
};

/* Read OpenAI's usage object, of Chat (prompt_tokens, …) or Responses (input_tokens, …), from its text, which is
 * known to be valid JSON. False, and *ret
 * untouched, if it is not an object or holds neither. Pure. */
bool usage_from_openai(struct str json, struct usage *ret);

#endif
