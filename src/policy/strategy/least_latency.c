/*
 * least_latency.c - of two that are drawn at random, the one that is expected to answer sooner.
 *
 * Two instead of all, because estimates are always a little old: who always takes the best of all sends the crowd to one
 * place, which then is the worst (Mitzenmacher, "How Useful Is Old Information?", 2000). What is compared is Finagle's
 * peak EWMA cost: expected time x (requests in flight + 1) / weight.
 *
 * Expected times that differ by less than a quarter count as equal, and of larger differences that quarter is taken
 * off, because estimates have noise and a burst must not be spread by noise. A candidate whose speed is not known counts
 * as fast as its rival: so it gets its share of requests, and becomes known. But not faster than those take that wait there already.
 *
 * Up to STRATEGY_SCAN_MAX candidates are all read, so that scores and the exact probability can be told; of more, two.
 */
#include "policy/latency.h"
#include "policy/strategy.h"

static const double BAND = 1.25;

struct runner {
    size_t index;
    double time;   /* expected, ns; 0: not known                                             */
    double first;  /* of that, to the first token                                            */
    double waited; /* for theirs, by those who are there already: it takes at least so long  */
    double load;   /* requests per weight, with this one */
};

static struct runner runner_of(const struct strategy_ask *ask, size_t i, const struct strategy_candidate *c)
{
    double units = latency_units(ask->input_tokens);

    return (struct runner){.index = i,
                           .time = strategy_time(ask, i, c),
                           .first = c->time_per_unit * units,
                           .waited = c->waited_per_unit * units,
                           .load = ((double)c->in_flight + 1) / c->weight / c->slow_start};
}

static double score_of(const struct runner *r)
{
    return r->time * r->load;
}

/* The time to compare with its rival's, which is known unless its own is. */
static double expected(const struct runner *r, const struct runner *rival)
{
    if (r->time > 0)
        return r->time;
    return rival->time * latency_slowdown(rival->first, r->waited);
}

/* How much slower a is than b, noise taken off; 1: as fast. */
static double slower_by(const struct runner *a, const struct runner *b)
{
    if (a->time <= 0 && b->time <= 0)
        return 1;
    double ratio = expected(a, b) / expected(b, a);
    if (ratio > BAND)
        return ratio / BAND;
    return ratio < 1 / BAND ? ratio * BAND : 1;
}

/* <0: a wins. */
static int duel(const struct runner *a, const struct runner *b)
{
    double left = slower_by(a, b) * a->load, right = b->load;

    return (left > right) - (left < right);
}

/* Over all ordered pairs of the n, of which each is drawn equally often, and the first wins a draw. */
static double probability_of(const struct runner *winner, const struct runner *all, size_t n)
{
    size_t points = 0;

    if (n < 2)
        return 1;
    for (size_t i = 0; i < n; i++)
        if (all[i].index != winner->index)
            points += (size_t)(1 - duel(winner, &all[i])); /* 2, 1 or 0 of the two orders */
    return (double)points / ((double)n * (double)(n - 1));
}

static void settle(struct strategy_decision *d, const struct runner *first, const struct runner *second,
                   const struct runner *all, size_t n)
{
    const struct runner *winner = duel(first, second) <= 0 ? first : second;

    strategy_settle(d, winner->index, score_of(winner), n ? probability_of(winner, all, n) : 0,
                    first == second ? "the only one left" : "the sooner of two");
}

/* All that may be chosen; of more than fit, an even sample (a reservoir). *ret_seen: how many there are. */
static size_t gather(const struct strategy_ask *ask, struct strategy_decision *d, struct prng *p,
                     struct runner all[STRATEGY_SCAN_MAX], size_t *ret_seen)
{
    struct strategy_candidate c;
    size_t seen = 0;

    for (size_t i = 0; i < ask->count; i++) {
        if (!strategy_read(ask, d, i, NEEDS_LATENCY | NEEDS_LOAD, &c))
            continue;
        size_t at = seen < STRATEGY_SCAN_MAX ? seen : prng_below(p, seen + 1);
        seen++;
        if (at >= STRATEGY_SCAN_MAX)
            continue;
        all[at] = runner_of(ask, i, &c);
        strategy_note(d, i, score_of(&all[at]));
    }
    *ret_seen = seen;
    return seen < STRATEGY_SCAN_MAX ? seen : STRATEGY_SCAN_MAX;
}

static void choose_of_all(const struct strategy_ask *ask, struct strategy_decision *d, struct prng *p)
{
    struct runner all[STRATEGY_SCAN_MAX];
    size_t seen, n = gather(ask, d, p, all, &seen);

    if (n == 0)
        return;
    size_t first = prng_below(p, n);
    size_t second = n > 1 ? prng_below(p, n - 1) : first;
    second += n > 1 && second >= first;
    settle(d, &all[first], &all[second], all, seen == n ? n : 0);
}

/* False if nearly all are excluded. */
static bool choose_of_two(const struct strategy_ask *ask, struct strategy_decision *d, struct prng *p)
{
    struct strategy_candidate c;
    struct runner two[2];

    for (size_t k = 0; k < 2; k++) {
        size_t i = strategy_sample(ask, d, p, NEEDS_LATENCY | NEEDS_LOAD, &c);
        if (i == STRATEGY_NONE)
            return false;
        two[k] = runner_of(ask, i, &c);
        strategy_note(d, i, score_of(&two[k]));
        k -= k == 1 && i == two[0].index; /* the same again: draw another */
    }
    settle(d, &two[0], &two[1], NULL, 0);
    return true;
}

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
{
    struct prng p;

    prng_seed(&p, ask->draw);
    if (ask->count <= STRATEGY_SCAN_MAX || !choose_of_two(ask, d, &p))
        choose_of_all(ask, d, &p);
}

const struct strategy strategy_least_latency = {
    .name = "least-latency", .unit = "ns x requests per weight", .least_wins = true, .choose = choose};
