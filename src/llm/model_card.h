/* model_card.h - a model as clients may be told of it. */
#ifndef LLM_MODEL_CARD_H
#define LLM_MODEL_CARD_H

#include "base/str.h"

#include <stdint.h>

struct dialect;

struct model_card {
    struct str id;
    struct str owner;              /* who serves it                  */
    int64_t created;               /* seconds since 1970; 0: unknown */
    const struct dialect *dialect; /* its provider's; NULL: unknown  */
};

#endif
