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

static unsigned weight_at(const struct balance_weights *w, size_t i)
{
    return *(const unsigned *)(const void *)((const char *)w->first + i * w->stride);
}

static uint64_t scatter(uint64_t x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

/* Uniform in [0, sum); sum > 0. */
static uint64_t ticket(uint64_t draw, uint64_t sum)
{
    uint64_t refused = -sum % sum; /* 2^64 mod sum */

    for (;;) {
        unsigned __int128 product = (unsigned __int128)draw * sum;
        if ((uint64_t)product >= refused)
            return (uint64_t)(product >> 64);
        draw = scatter(draw);
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
    uint64_t left = ticket(draw, d.weight_sum);
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
