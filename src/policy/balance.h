/*
 * balance.h - tickets: a share of a whole, by lot or in turn. Pure.
 *
 * Who has a weight holds as many tickets of [0, sum) as it says, in some order that does not change. One is drawn, out of
 * random bits that the caller made, or each comes in its turn; both give every ticket the same chance, exactly.
 */
#ifndef POLICY_BALANCE_H
#define POLICY_BALANCE_H

#include "base/attr.h"

#include <stdint.h>

/*
 * A number in [0, sum) out of 64 uniform random bits, each equally likely but for less than `sum` draws in 2^64, which
 * are replaced by another one that they determine; sum > 0.
 */
uint64_t balance_ticket(uint64_t draw, uint64_t sum) PURE;

/* The largest number by which both can be divided; of 0 and another, the other. */
uint64_t balance_common(uint64_t a, uint64_t b) PURE;
/*
 * How far it is from one turn's ticket to the next one's, of `round` tickets: the k-th turn takes ticket k * stride modulo
 * round. Each comes once in a round, and neighbouring turns fall far apart. round > 0.
 */
uint64_t balance_stride(uint64_t round) PURE;
/* The ticket of that turn. */
uint64_t balance_turn(uint64_t turn, uint64_t stride, uint64_t round) PURE;

#endif
