/*
 * balance.h - which target a request goes to. Pure.
 *
 * A decision is a function of weights, of what is excluded, and of one 64-bit draw that the caller made; no state,
 * clock or randomness of its own. It tells with what probability it chose, so that it can be recorded, explained,
 * replayed and weighed in an evaluation (inverse propensity) later.
 */
#ifndef POLICY_BALANCE_H
#define POLICY_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The weights of a list of structs, read where they are: {&targets[0].weight, sizeof targets[0], count}. */
struct balance_weights {
    const unsigned *first; /* each > 0; NULL if count is 0 */
    size_t stride;         /* bytes from one to the next */
    size_t count;
};

#define BALANCE_NONE SIZE_MAX

/*
 * A number in [0, sum) out of 64 uniform random bits, each equally likely but for less than `sum` draws in 2^64, which
 * are replaced by another one that they determine; sum > 0.
 */
uint64_t balance_ticket(uint64_t draw, uint64_t sum);

struct balance_decision {
    size_t chosen;       /* index, or BALANCE_NONE: all are excluded */
    double probability;  /* that this one is chosen, given the exclusions */
    size_t candidates;   /* how many were not excluded */
    uint64_t weight_sum; /* of the candidates */
    uint64_t draw;       /* as given: the decision can be made again */
};

/*
 * Choose among what is not excluded, in proportion to the weights.
 *
 * excluded  one flag per weight; NULL: none
 * draw      64 uniform random bits
 *
 * Over all draws each candidate is chosen exactly in proportion to its weight, up to the less than weight_sum draws
 * in 2^64 that do not divide evenly; those are drawn again, from a value that `draw` determines. Two passes over the
 * weights.
 */
struct balance_decision balance_weighted(struct balance_weights weights, const bool *excluded, uint64_t draw);

#endif
