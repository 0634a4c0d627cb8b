/*
 * strategy_check.h - what every decision of every strategy keeps, and candidates of which nothing can be read but what was asked for.
 */
#ifndef UNIT_STRATEGY_CHECK_H
#define UNIT_STRATEGY_CHECK_H

#include "policy/strategy.h"
#include "unit/test.h"

#include <math.h>

static inline void blank_unasked(struct strategy_candidate *to, unsigned needs)
{
    if (!(needs & NEEDS_LATENCY))
        to->time_per_unit = to->time_per_token = to->waited_per_unit = NAN;
    if (!(needs & NEEDS_LOAD))
        to->in_flight = to->in_flight_tokens = UINT64_MAX / 4;
    if (!(needs & NEEDS_COST))
        to->cost = UINT64_MAX / 4;
    if (!(needs & NEEDS_ID))
        to->id = 0;
    if (!(needs & NEEDS_TIER))
        to->tier = 0;
    if (!(needs & NEEDS_HEADROOM))
        to->headroom = NAN;
}

/* Of `count` candidates: one that may be chosen is chosen if there is one, the same each time, and what was seen of it tells why. */
static inline void check_decision(const struct strategy *s, const struct strategy_ask *ask,
                                  const struct strategy_candidate *all, size_t count, struct strategy_decision *ret)
{
    struct strategy_decision d = strategy_choose(s, ask), again = strategy_choose(s, ask);
    size_t eligible = 0;
    bool seen = false;

    *ret = d;
    for (size_t i = 0; i < count; i++) {
        bool tried = false;
        for (size_t k = 0; k < ask->tried_count; k++)
            tried |= ask->tried[k] == i;
        eligible += !tried && !all[i].excluded;
        CHECK(!(tried && d.chosen == i));
    }
    CHECK_EQ(d.chosen != STRATEGY_NONE, eligible > 0);
    CHECK(d.why != NULL);
    CHECK_EQ(d.chosen, again.chosen);
    CHECK(d.probability == again.probability && d.score == again.score);
    for (unsigned k = 0; k < d.seen_count; k++)
        for (unsigned j = 0; j < k; j++)
            CHECK_NE(d.seen[k].index, d.seen[j].index);
    if (d.chosen == STRATEGY_NONE)
        return;
    CHECK_LT(d.chosen, count);
    CHECK_EQ(all[d.chosen].excluded, EXCLUDED_NOT);
    CHECK(d.probability >= 0 && d.probability <= 1 + 1e-9);
    for (unsigned k = 0; k < d.seen_count; k++)
        seen |= d.seen[k].index == d.chosen && d.seen[k].score == d.score && !d.seen[k].excluded;
    CHECK(seen);
    CHECK(isfinite(d.score));
}

#endif
