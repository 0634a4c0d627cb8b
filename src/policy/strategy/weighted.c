/*
 * weighted.c - one is drawn at random, in proportion to the weights; exactly, as balance.h says.
 *
 * From a large pool one is drawn by the weights of all, and drawn again if it is excluded, or its slow start does not let it
 * (rejection sampling): so those that are left are chosen in the same proportion as if all had been read.
 */
#include "policy/balance.h"
#include "policy/strategy.h"

/* False if nearly all are excluded. */
static bool draw_one(const struct strategy_ask *ask, struct strategy_decision *d)
{
    const struct roster *r = ask->roster;
    uint64_t sum = roster_weight(r, 0, r->count);
    struct strategy_candidate c;
    struct prng p;

    prng_seed(&p, ask->draw);
    for (unsigned tries = 0; tries < STRATEGY_TRIES; tries++) {
        size_t i = roster_holder(r, 0, r->count, prng_below(&p, sum));
        if (!strategy_read(ask, d, i, 0, &c))
            continue;
        strategy_note(d, i, c.weight);
        if (strategy_accepts(&p, &c)) {
            strategy_settle(d, i, c.weight, 0, "drawn by weight");
            return true;
        }
    }
    strategy_begin_again(d);
    return false;
}

static void draw_from_all(const struct strategy_ask *ask, struct strategy_decision *d)
{
    struct strategy_tally tally = strategy_tally_begin(ask->count);
    struct strategy_candidate c;

    for (size_t i = 0; i < ask->count; i++)
        if (strategy_read(ask, d, i, 0, &c)) {
            strategy_note(d, i, c.weight);
            strategy_tally_add(&tally, i, strategy_weight(&c));
        }
    if (tally.sum == 0)
        return;
    uint64_t left = balance_ticket(ask->draw, tally.sum);
    for (size_t i = strategy_tally_seek(&tally, &left); i < ask->count; i++) {
        uint64_t weight = strategy_reread(ask, i, 0, &c) ? strategy_weight(&c) : 0;
        if (left < weight) {
            strategy_settle(d, i, c.weight, (double)weight / (double)tally.sum, "drawn by weight");
            return;
        }
        left -= weight;
    }
}

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
{
    if (!strategy_has_roster(ask) || !draw_one(ask, d))
        draw_from_all(ask, d);
}

const struct strategy strategy_weighted = {.name = "weighted", .unit = "weight", .choose = choose};
