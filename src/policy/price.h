/*
 * price.h - what an answer costs: a price book's entry applied to tokens. Pure.
 *
 * Money is a whole number of nano-US-dollars (10^-9), and prices are nano-US-dollars per million tokens, so that the
 * smallest prices in use ($0.0001 per million) are exact. Sums saturate at UINT64_MAX (18 billion dollars) instead of
 * wrapping round.
 */
#ifndef POLICY_PRICE_H
#define POLICY_PRICE_H

#include "base/attr.h"

#include <stddef.h>
#include <stdint.h>

/* A price that has no figure of its own: the one that its comment names applies. */
#define PRICE_UNSET UINT64_MAX

/* Nano-US-dollars per million tokens; but for `request`. */
struct price_rates {
    uint64_t input, output;  /* never PRICE_UNSET                                          */
    uint64_t cached_input;   /* read from the provider's cache; unset: as input            */
    uint64_t cache_write;    /* written to it; unset: as input                             */
    uint64_t cache_write_1h; /* to be kept for an hour; unset: as cache_write             */
    uint64_t reasoning;      /* unset: as output                                           */
    uint64_t audio_input;    /* unset: as input                                            */
    uint64_t audio_output;   /* unset: as output                                           */
    uint64_t request;        /* nano-US-dollars for the request itself                     */
};

/* Rates for requests whose input is longer than `above` tokens; all of the request is billed by them. */
struct price_step {
    uint64_t above;
    struct price_rates rates;
};

/* How a request is served. */
enum price_service { PRICE_STANDARD, PRICE_BATCH, PRICE_FLEX, PRICE_PRIORITY, PRICE_SERVICES };

struct price {
    const struct price_step *steps;           /* ascending by `above`; the first one's is 0      */
    size_t step_count;                        /* 0: free of charge, as self-hosted models are    */
    uint32_t permille[PRICE_SERVICES];        /* of the rates: 500 is half; 0: as the rates say  */
    uint32_t cached_permille[PRICE_SERVICES]; /* of cached_input, if its share is another; 0: as `permille`: a discount
                                                 that is not given on what is read from the cache */
};

/* Tokens of one answer. Parts are counted in their wholes, and parts of the input (or the output) do not overlap. */
struct price_tokens {
    uint64_t input, output;
    uint64_t cached_input, cache_write, audio_input; /* of input                      */
    uint64_t cache_write_1h;                         /* of cache_write                */
    uint64_t reasoning, audio_output;                /* of output                     */
};

/*
 * Nano-US-dollars that the tokens cost; rounded up, so that no answer is free because it is short. Parts that add up to
 * more than their whole, as some providers report them, count as the whole at most, in the order of the members. What a
 * request is expected to cost is the price of the tokens that it is expected to take.
 */
uint64_t price_of(const struct price *price, const struct price_tokens *tokens, enum price_service service) PURE;
/* 0 if the two are the same in every part, so that nothing costs more by one than by the other; else <0 or >0: some order. NULL is a price
 * that is not known, the same as itself. */
int price_compare(const struct price *a, const struct price *b) PURE;

#endif
