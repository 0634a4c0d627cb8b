/*
 * lowest_cost.c - the one where the request is expected to cost least; among equals the least busy.
 *
 * The expectation is the caller's (price.h): input, cached prefix and expected output at the candidate's prices. All
 * candidates are read, because the cheapest may be any.
 */
#include "policy/strategy.h"

struct cheapest {
    size_t index;
    uint64_t cost;
    double load;
    uint64_t equals;
};

/* <0 if the candidate is better than the best so far, 0 if it is as good. */
static int compare(const struct cheapest *best, uint64_t cost, double load)
{
    if (best->index == STRATEGY_NONE || cost != best->cost)
        return best->index == STRATEGY_NONE || cost < best->cost ? -1 : 1;
    return (load > best->load) - (load < best->load);
}

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
{
    struct cheapest best = {.index = STRATEGY_NONE};
    struct strategy_candidate c;
    struct prng p;

    prng_seed(&p, ask->draw);
    for (size_t i = 0; i < ask->count; i++) {
        if (!strategy_read(ask, d, i, NEEDS_COST | NEEDS_LOAD, &c))
            continue;
        double load = (double)c.in_flight_tokens / c.weight / c.slow_start;
        int order = compare(&best, c.cost, load);
        strategy_note(d, i, (double)c.cost);
        if (order > 0)
            continue;
        best.equals = order == 0 ? best.equals + 1 : 1;
        if (prng_below(&p, best.equals) == 0)
            best.index = i;
        best.cost = c.cost;
        best.load = load;
    }
    if (best.index != STRATEGY_NONE)
        strategy_settle(d, best.index, (double)best.cost, 1.0 / (double)best.equals, "lowest expected cost");
}

const struct strategy strategy_lowest_cost = {
    .name = "lowest-cost", .unit = "nano-US-dollars", .least_wins = true, .choose = choose};
