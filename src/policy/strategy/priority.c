/*
 * priority.c - the first tier that has room; within it one is drawn by weight.
 *
 * A tier spills over to the next when none of its candidates may be chosen or has headroom left: provisioned capacity
 * first, for example, and pay-as-you-go for what exceeds it. If no tier has room, the first that may be chosen takes the
 * request all the same: whether to wait in front of a full fleet is not decided here.
 */
#include "policy/balance.h"
#include "policy/strategy.h"

#include <limits.h>

struct tier {
    unsigned number;
    bool has_room;
};

/* Does `a` come before `b`? */
static bool is_before(struct tier a, struct tier b)
{
    return a.has_room != b.has_room ? a.has_room : a.number < b.number;
}

static struct tier tier_of(const struct strategy_candidate *c)
{
    return (struct tier){c->tier, c->headroom > 0};
}

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
{
    const unsigned needs = NEEDS_TIER | NEEDS_HEADROOM;
    struct strategy_tally tally = strategy_tally_begin(ask->count); /* of the best tier so far */
    struct tier best = {.number = UINT_MAX};
    struct strategy_candidate c;
    unsigned first = UINT_MAX;

    for (size_t i = 0; i < ask->count; i++) {
        if (!strategy_read(ask, d, i, needs, &c))
            continue;
        struct tier its = tier_of(&c);
        strategy_note(d, i, c.tier);
        first = c.tier < first ? c.tier : first;
        if (tally.sum == 0 || is_before(its, best)) {
            best = its;
            tally = strategy_tally_begin(ask->count);
        }
        if (!is_before(best, its))
            strategy_tally_add(&tally, i, strategy_weight(&c));
    }
    if (tally.sum == 0)
        return;
    uint64_t left = balance_ticket(ask->draw, tally.sum);
    for (size_t i = strategy_tally_seek(&tally, &left); i < ask->count; i++) {
        if (!strategy_reread(ask, i, needs, &c) || c.tier != best.number || (c.headroom > 0) != best.has_room)
            continue;
        uint64_t weight = strategy_weight(&c);
        if (left < weight) {
            const char *why = !best.has_room         ? "no tier has room: the first"
                              : best.number == first ? "first tier"
                                                     : "spilled over from a full tier";
            strategy_settle(d, i, c.tier, (double)weight / (double)tally.sum, why);
            return;
        }
        left -= weight;
    }
}

const struct strategy strategy_priority = {.name = "priority", .unit = "tier", .least_wins = true, .choose = choose};
