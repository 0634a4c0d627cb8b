/*
 * balance.c - weighted choice without bias, and the order of attempts.
 *
 * A draw becomes a ticket in [0, sum) by multiplying and taking the upper half (Lemire, "Fast random integer
 * generation in an interval", 2019): ticket k gets the draws from k * 2^64 / sum on. Either floor(2^64 / sum) or one
 * more of them; the one more is refused, so all tickets have equally many. A refused draw is replaced by one that it
 * determines, through a bijection that scatters (splitmix64), so that the decision stays a function of its arguments.
 * Tickets are handed out in the order of the list, as many to each candidate as its weight.
 */
#include "policy/balance.h"

#include "base/prng.h"

static unsigned weight_at(const struct balance_weights *w, size_t i)
{
    return *(const unsigned *)(const void *)((const char *)w->first + i * w->stride);
}

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

struct balance_decision balance_weighted(struct balance_weights weights, const bool *excluded, uint64_t draw)
{
    struct balance_decision d = {.chosen = BALANCE_NONE, .draw = draw};

    for (size_t i = 0; i < weights.count; i++) {
        if (excluded && excluded[i])
            continue;
        d.candidates++;
        d.weight_sum += weight_at(&weights, i);
    }
    if (d.weight_sum == 0)
        return d;
    uint64_t left = balance_ticket(draw, d.weight_sum);
    for (size_t i = 0; i < weights.count; i++) {
        unsigned weight = weight_at(&weights, i);
        if (excluded && excluded[i])
            continue;
        if (left < weight) {
            d.chosen = i;
            d.probability = (double)weight / (double)d.weight_sum;
            return d;
        }
        left -= weight;
    }
    return d;
}
