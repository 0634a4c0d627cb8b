/*
 * priority.c - the first tier that has room; within it one is drawn by weight.
 *
 * A tier spills over to the next when none of its candidates may be chosen or has headroom left: provisioned capacity
 * first, for example, and pay-as-you-go for what exceeds it. If no tier has room, the first that may be chosen takes the
 * request all the same: whether to wait in front of a full fleet is not decided here.
 *
 * In a large pool one tier after the other is looked at, and no further than to one with room. From a tier of many one is
 * drawn by weight, and again if it has no room; only if that goes on for long are all of the tier read. So a tier is passed
 * over because all of it was seen to be full, never because of bad luck.
 */
#include "policy/balance.h"
#include "policy/strategy.h"

#include <limits.h>

static const unsigned NEEDS = NEEDS_TIER | NEEDS_HEADROOM;

static const char WHY_FIRST[] = "first tier", WHY_SPILLED[] = "spilled over from a full tier",
                  WHY_FULL[] = "no tier has room: the first";

/* --- all are read --- */

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

static void choose_of_all(const struct strategy_ask *ask, struct strategy_decision *d)
{
    struct strategy_tally tally = strategy_tally_begin(ask->count); /* of the best tier so far */
    struct tier best = {.number = UINT_MAX};
    struct strategy_candidate c;
    unsigned first = UINT_MAX;

    for (size_t i = 0; i < ask->count; i++) {
        if (!strategy_read(ask, d, i, NEEDS, &c))
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
        if (!strategy_reread(ask, i, NEEDS, &c) || c.tier != best.number || (c.headroom > 0) != best.has_room)
            continue;
        uint64_t weight = strategy_weight(&c);
        if (left < weight) {
            const char *why = !best.has_room ? WHY_FULL : best.number == first ? WHY_FIRST : WHY_SPILLED;
            strategy_settle(d, i, c.tier, (double)weight / (double)tally.sum, why);
            return;
        }
        left -= weight;
    }
}

/* --- tier by tier --- */

/* A tier of a large pool: places [from, to) of the roster. */
struct members {
    size_t from, to;
};

/* One with room, drawn by weight; STRATEGY_NONE: there are few, if any. */
static size_t draw_with_room(const struct strategy_ask *ask, struct strategy_decision *d, struct members m,
                             struct prng *p)
{
    uint64_t sum = roster_weight(ask->roster, m.from, m.to);
    struct strategy_candidate c;

    for (unsigned tries = 0; tries < STRATEGY_TRIES; tries++) {
        size_t i = roster_holder(ask->roster, m.from, m.to, prng_below(p, sum));
        if (!strategy_read(ask, d, i, NEEDS, &c))
            continue;
        strategy_note(d, i, c.tier);
        if (c.headroom > 0 && strategy_accepts(p, &c))
            return i;
    }
    return STRATEGY_NONE;
}

/* What all of a tier add up to. */
struct sums {
    uint64_t with_room, full;
};

static struct sums read_tier(const struct strategy_ask *ask, struct strategy_decision *d, struct members m)
{
    struct strategy_candidate c;
    struct sums s = {0, 0};

    for (size_t place = m.from; place < m.to; place++) {
        size_t i = ask->roster->by_tier[place];
        if (!strategy_read(ask, d, i, NEEDS, &c))
            continue;
        strategy_note(d, i, c.tier);
        *(c.headroom > 0 ? &s.with_room : &s.full) += strategy_weight(&c);
    }
    return s;
}

/* One of those that were read, all of which either have room or are full. */
static void settle_in_tier(const struct strategy_ask *ask, struct strategy_decision *d, struct members m, bool has_room,
                           uint64_t sum, const char *why)
{
    uint64_t left = balance_ticket(ask->draw, sum);
    struct strategy_candidate c;

    for (size_t place = m.from; place < m.to; place++) {
        size_t i = ask->roster->by_tier[place];
        if (!strategy_reread(ask, i, NEEDS, &c) || (c.headroom > 0) != has_room)
            continue;
        uint64_t weight = strategy_weight(&c);
        if (left < weight) {
            strategy_settle(d, i, c.tier, m.to - m.from <= STRATEGY_SEEN_MAX ? (double)weight / (double)sum : 0, why);
            return;
        }
        left -= weight;
    }
}

static void choose_by_tier(const struct strategy_ask *ask, struct strategy_decision *d)
{
    const struct roster *r = ask->roster;
    struct members m = {0, 0}, full = {0, 0}; /* the first tier that has nothing but full ones */
    uint64_t full_sum = 0;
    struct prng p;

    prng_seed(&p, ask->draw);
    for (size_t t = 0; t < r->tier_count; t++) {
        const char *why = full_sum ? WHY_SPILLED : WHY_FIRST;
        m = (struct members){m.to, r->tiers[t].end};
        size_t drawn = m.to - m.from > STRATEGY_SEEN_MAX ? draw_with_room(ask, d, m, &p) : STRATEGY_NONE;
        if (drawn != STRATEGY_NONE) {
            strategy_settle(d, drawn, r->tiers[t].number, 0, why);
            return;
        }
        struct sums s = read_tier(ask, d, m);
        if (s.with_room) {
            settle_in_tier(ask, d, m, true, s.with_room, why);
            return;
        }
        full = full_sum ? full : m;
        full_sum = full_sum ? full_sum : s.full;
    }
    if (full_sum)
        settle_in_tier(ask, d, full, false, full_sum, WHY_FULL);
}

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
{
    if (strategy_has_roster(ask))
        choose_by_tier(ask, d);
    else
        choose_of_all(ask, d);
}

const struct strategy strategy_priority = {.name = "priority", .unit = "tier", .least_wins = true, .choose = choose};
