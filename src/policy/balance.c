/*
 * balance.c - tickets, without bias.
 *
 * A draw becomes a ticket in [0, sum) by multiplying and taking the upper half (Lemire, "Fast random integer
 * generation in an interval", 2019): ticket k gets the draws from k * 2^64 / sum on. Either floor(2^64 / sum) or one
 * more of them; the one more is refused, so all tickets have equally many. A refused draw is replaced by one that it
 * determines, through a bijection that scatters (splitmix64), so that the decision stays a function of its arguments.
 *
 * Turns are a Weyl sequence. As the stride has no factor in common with the number of tickets, each comes once in a round;
 * as it is near the golden section of the round, neighbouring turns fall far apart (the discrepancy is least for the
 * golden section), so that a heavy holder's turns do not come in a row. So the order needs no state but the turn's number.
 */
#include "policy/balance.h"

#include "base/prng.h"

uint64_t balance_ticket(uint64_t draw, uint64_t sum)
{
    uint64_t refused = -sum % sum; /* 2^64 mod sum */

    for (;;) {
        unsigned __int128 product = (unsigned __int128)draw * sum;
        if ((uint64_t)product >= refused)
            return (uint64_t)(product >> 64);
        draw = prng_scatter(draw);
    }
}

uint64_t balance_common(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

uint64_t balance_stride(uint64_t round)
{
    uint64_t stride = (uint64_t)((double)round * 0.6180339887498949);

    stride = stride ? stride : 1;
    while (balance_common(stride, round) != 1)
        stride++;
    return stride;
}

uint64_t balance_turn(uint64_t turn, uint64_t stride, uint64_t round)
{
    return (uint64_t)((unsigned __int128)(turn % round) * stride % round);
}
