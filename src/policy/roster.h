/*
 * roster.h - what of a pool's candidates never changes while a configuration is in use, arranged so that one of a thousand
 * can be found by it without reading the others. Pure.
 *
 * Weights, tiers, names and prices are the configuration's; how a candidate fares is not. A strategy that must find a few
 * among many (more than STRATEGY_SCAN_MAX) finds them here, and reads only these.
 */
#ifndef POLICY_ROSTER_H
#define POLICY_ROSTER_H

#include "base/attr.h"
#include "policy/price.h"

#include <stddef.h>
#include <stdint.h>

/* A candidate, for roster_make(). */
struct roster_entry {
    uint64_t id;     /* as in struct strategy_candidate */
    unsigned weight; /* > 0                             */
    unsigned tier;
    const struct price *price; /* NULL: not known; outlives the roster */
    uint32_t index_;
};

/* Those of one tier, as places in by_tier: up to `end`, from the end of the tier before it. */
struct roster_tier {
    unsigned number;
    uint32_t end;
};

/* Those of one price, as places in by_price: up to `end`, from the end of the price before it. */
struct roster_price {
    const struct price *price;
    double input, output, request; /* the least that it takes for a token, and besides */
    uint32_t end;
};

struct roster {
    size_t count;
    uint64_t *ids;     /* of candidates, in their order */
    double *weights;   /* likewise                      */
    uint64_t *until;   /* of places in by_tier: weights of all places up to this one, which is included */
    uint32_t *by_tier; /* candidates, by tier, in a tier in their order */
    struct roster_tier *tiers;
    size_t tier_count;
    uint32_t *by_price; /* candidates, the cheapest first, by a request of usual length */
    struct roster_price *prices;
    size_t price_count;
    uint64_t common, round,
        stride; /* of round-robin: what all weights have in common, their sum divided by it, and balance_stride() */
};

/* Bytes that the roster of so many takes. */
size_t roster_bytes(size_t count) PURE;
/* The roster of `count` candidates, at most UINT32_MAX and at least one, in `memory`: roster_bytes() of them, aligned for any type. Entries are sorted on
 * the way. O(n log n): when a configuration is loaded. */
const struct roster *roster_make(void *memory, struct roster_entry *entries, size_t count);

/* Weights of the places [from, to) of by_tier. */
uint64_t roster_weight(const struct roster *r, size_t from, size_t to) PURE;
/* The candidate that holds a ticket below that. O(log n). */
size_t roster_holder(const struct roster *r, size_t from, size_t to, uint64_t ticket) PURE;

/* A price and what a request costs by it, nano-US-dollars; UINT64_MAX: not known. */
struct roster_offer {
    uint64_t cost;
    size_t from, to; /* places in by_price */
};
/* What decides about the price of a request before it is sent. */
struct roster_request {
    uint64_t input, output; /* tokens */
    enum price_service service;
};
/* The `most` cheapest prices for such a request, the cheapest first; returns how many. Looks at each different price, computes few. */
size_t roster_cheapest(const struct roster *r, const struct roster_request *request, size_t most,
                       struct roster_offer *to);

#endif
