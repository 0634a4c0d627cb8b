/*
 * least_busy.c - the one with the fewest tokens in flight for its weight, this request's own included.
 *
 * Tokens, because one request of a hundred thousand of them is more work than fifty small ones; and one more for each
 * request, so that those whose tokens nobody could estimate are spread by their number. Up to
 * STRATEGY_SCAN_MAX candidates are all compared; of more, a dozen that are drawn at random, which is nearly as good
 * (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001) and costs the same however many there
 * are. Among equals one is drawn.
 */
#include "policy/strategy.h"

struct least {
    size_t index;
    double score;
    uint64_t equals;
};

static void consider(struct least *least, struct strategy_decision *d, struct prng *p, size_t i, double score)
{
    strategy_note(d, i, score);
    if (least->index != STRATEGY_NONE && score > least->score)
        return;
    least->equals = least->index != STRATEGY_NONE && score == least->score ? least->equals + 1 : 1;
    if (prng_below(p, least->equals) == 0)
        least->index = i;
    least->score = score;
}

static double load(const struct strategy_ask *ask, const struct strategy_candidate *c)
{
    double own = (double)(ask->input_tokens + ask->output_tokens + 1);

    return ((double)(c->in_flight_tokens + c->in_flight) + own) / c->weight / c->slow_start;
}

static void consider_all(struct least *least, const struct strategy_ask *ask, struct strategy_decision *d,
                         struct prng *p)
{
    struct strategy_candidate c;

    for (size_t i = 0; i < ask->count; i++)
        if (strategy_read(ask, d, i, NEEDS_LOAD, &c))
            consider(least, d, p, i, load(ask, &c));
}

/* False if nearly all are excluded. */
static bool consider_some(struct least *least, const struct strategy_ask *ask, struct strategy_decision *d,
                          struct prng *p)
{
    struct strategy_candidate c;

    for (size_t k = 0; k < STRATEGY_SAMPLE; k++) {
        size_t i = strategy_sample(ask, d, p, NEEDS_LOAD, &c);
        if (i == STRATEGY_NONE)
            return false;
        consider(least, d, p, i, load(ask, &c));
    }
    return true;
}

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
{
    struct least least = {.index = STRATEGY_NONE};
    struct prng p;

    prng_seed(&p, ask->draw);
    bool some = ask->count > STRATEGY_SCAN_MAX && consider_some(&least, ask, d, &p);
    if (!some) {
        least = (struct least){.index = STRATEGY_NONE};
        consider_all(&least, ask, d, &p);
    }
    if (least.index != STRATEGY_NONE)
        strategy_settle(d, least.index, least.score, some ? 0 : 1.0 / (double)least.equals, "fewest tokens in flight");
}

const struct strategy strategy_least_busy = {
    .name = "least-busy", .unit = "tokens in flight per weight", .least_wins = true, .choose = choose};
