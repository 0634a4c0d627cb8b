/*
 * lowest_cost.c - the one where the request is expected to cost least; among equals the least busy.
 *
 * The expectation is the caller's (price.h): input, cached prefix and expected output at the candidate's prices.
 *
 * Of a large pool the roster knows what the request costs by each price, without reading anybody. The cheapest price of
 * which somebody may be chosen is taken; those who have it are compared, or, of many, a dozen that are drawn, which is
 * nearly as good (least_busy.c). If nobody of the eight cheapest may be chosen, all are read.
 */
#include "policy/strategy.h"

enum { OFFERS = 8 };

static const unsigned NEEDS = NEEDS_COST | NEEDS_LOAD;

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

/* Read one, and keep it if it is the best so far. False if it may not be chosen. */
static bool consider(struct cheapest *best, const struct strategy_ask *ask, struct strategy_decision *d, struct prng *p,
                     size_t i)
{
    struct strategy_candidate c;

    if (!strategy_read(ask, d, i, NEEDS, &c))
        return false;
    double load = (double)c.in_flight_tokens / c.weight / c.slow_start;
    int order = compare(best, c.cost, load);
    strategy_note(d, i, (double)c.cost);
    if (order > 0)
        return true;
    best->equals = order == 0 ? best->equals + 1 : 1;
    if (prng_below(p, best->equals) == 0)
        best->index = i;
    best->cost = c.cost;
    best->load = load;
    return true;
}

/* --- those of one cost: they may have several prices, which happen to come to the same --- */

struct group {
    const struct roster_offer *offers;
    size_t count, size; /* offers, and candidates that have them */
};

static struct group group_at(const struct roster_offer *offers, size_t n)
{
    struct group g = {.offers = offers};

    for (; g.count < n && offers[g.count].cost == offers[0].cost; g.count++)
        g.size += offers[g.count].to - offers[g.count].from;
    return g;
}

static size_t member(const struct roster *r, const struct group *g, size_t k)
{
    const struct roster_offer *o = g->offers;

    for (; k >= o->to - o->from; o++)
        k -= o->to - o->from;
    return r->by_price[o->from + k];
}

static void consider_group(struct cheapest *best, const struct strategy_ask *ask, struct strategy_decision *d,
                           struct prng *p, const struct group *g)
{
    size_t found = 0;

    for (unsigned tries = 0; g->size > STRATEGY_SAMPLE && tries < STRATEGY_TRIES && found < STRATEGY_SAMPLE; tries++)
        found += consider(best, ask, d, p, member(ask->roster, g, prng_below(p, g->size)));
    for (size_t k = 0; k < g->size && found == 0; k++)
        (void)consider(best, ask, d, p, member(ask->roster, g, k));
}

static struct cheapest cheapest_offered(const struct strategy_ask *ask, struct strategy_decision *d, struct prng *p)
{
    struct cheapest best = {.index = STRATEGY_NONE};
    struct roster_offer offers[OFFERS];
    size_t n = roster_cheapest(ask->roster, &ask->priced, OFFERS, offers);

    for (size_t k = 0; k < n && best.index == STRATEGY_NONE;) {
        struct group g = group_at(offers + k, n - k);
        consider_group(&best, ask, d, p, &g);
        k += g.count;
    }
    return best;
}

static struct cheapest cheapest_of_all(const struct strategy_ask *ask, struct strategy_decision *d, struct prng *p)
{
    struct cheapest best = {.index = STRATEGY_NONE};

    strategy_begin_again(d);
    for (size_t i = 0; i < ask->count; i++)
        (void)consider(&best, ask, d, p, i);
    return best;
}

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
{
    struct cheapest best = {.index = STRATEGY_NONE};
    struct prng p;

    prng_seed(&p, ask->draw);
    if (strategy_has_roster(ask))
        best = cheapest_offered(ask, d, &p);
    bool is_known = best.index == STRATEGY_NONE; /* how likely it is: everybody is read */
    if (is_known)
        best = cheapest_of_all(ask, d, &p);
    if (best.index != STRATEGY_NONE)
        strategy_settle(d, best.index, (double)best.cost, is_known ? 1.0 / (double)best.equals : 0,
                        "lowest expected cost");
}

const struct strategy strategy_lowest_cost = {
    .name = "lowest-cost", .unit = "nano-US-dollars", .least_wins = true, .choose = choose};
