/*
 * weighted.c - one is drawn at random, in proportion to the weights; exactly, as balance.h says.
 */
#include "policy/balance.h"
#include "policy/strategy.h"

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
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

const struct strategy strategy_weighted = {.name = "weighted", .unit = "weight", .choose = choose};
