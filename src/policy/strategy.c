/*
 * strategy.c - finding a strategy, asking it, and what strategies share. The catalog is generated.
 *
 * The record of a decision is bounded: it keeps the first candidates that were looked at and always the chosen one, and
 * counts the others by the rule that excluded them.
 */
#include "policy/strategy.h"

#include "policy/latency.h"

#include <assert.h>
#include <string.h>

const char *exclusion_name(enum exclusion e)
{
    static const char *const names[EXCLUSIONS] = {
        [EXCLUDED_NOT] = "not",
        [EXCLUDED_TRIED] = "tried",
        [EXCLUDED_CAPABILITY] = "capability",
        [EXCLUDED_DATA] = "data",
        [EXCLUDED_CONDITION] = "condition",
        [EXCLUDED_DRAINED] = "drained",
        [EXCLUDED_EJECTED] = "ejected",
        [EXCLUDED_PROBING] = "probing",
        [EXCLUDED_RATE_LIMIT] = "rate_limit",
        [EXCLUDED_CREDENTIAL] = "credential",
        [EXCLUDED_CAPACITY] = "capacity",
        [EXCLUDED_BUDGET] = "budget",
    };

    assert((unsigned)e < EXCLUSIONS);
    return names[e];
}

const struct strategy *strategy_find(struct str name)
{
    for (size_t i = 0; i < strategy_catalog_count; i++)
        if (str_eq(str_from_c(strategy_catalog[i]->name), name))
            return strategy_catalog[i];
    return NULL;
}

struct strategy_decision strategy_choose(const struct strategy *s, const struct strategy_ask *ask)
{
    struct strategy_decision d = {
        .strategy = s->name, .why = "none may be chosen", .chosen = STRATEGY_NONE, .draw = ask->draw};

    assert(ask->count <= UINT32_MAX && ask->tried_count <= STRATEGY_TRIED_MAX);
    assert(!ask->roster || ask->roster->count == ask->count);
    s->choose(ask, &d);
    return d;
}

size_t strategy_order(const struct strategy *s, const struct strategy_ask *ask, size_t max,
                      struct strategy_decision *to)
{
    size_t tried[STRATEGY_TRIED_MAX], n = 0;
    struct strategy_ask next = *ask;
    struct prng p;

    assert(max <= STRATEGY_ORDER_MAX && ask->tried_count + max <= STRATEGY_TRIED_MAX);
    for (size_t i = 0; i < ask->tried_count; i++)
        tried[i] = ask->tried[i];
    next.tried = tried;
    prng_seed(&p, ask->draw);
    while (n < max) {
        to[n] = strategy_choose(s, &next);
        if (to[n].chosen == STRATEGY_NONE)
            break;
        tried[next.tried_count++] = to[n++].chosen;
        next.draw = prng_next(&p);
        next.turn++;
    }
    return n;
}

bool strategy_reread(const struct strategy_ask *ask, size_t i, unsigned needs, struct strategy_candidate *to)
{
    ask->read(ask->ctx, i, needs, to);
    for (size_t k = 0; k < ask->tried_count; k++)
        if (ask->tried[k] == i)
            to->excluded = EXCLUDED_TRIED;
    return to->excluded == EXCLUDED_NOT;
}

static void see(struct strategy_decision *d, size_t i, enum exclusion excluded, double score)
{
    if (d->seen_count == STRATEGY_SEEN_MAX)
        return;
    for (unsigned k = 0; i <= d->farthest_ && k < d->seen_count; k++)
        if (d->seen[k].index == i) /* drawn again */
            return;
    d->farthest_ = i > d->farthest_ ? (uint32_t)i : d->farthest_;
    d->seen[d->seen_count++] = (struct strategy_seen){(uint32_t)i, excluded, score};
}

bool strategy_read(const struct strategy_ask *ask, struct strategy_decision *d, size_t i, unsigned needs,
                   struct strategy_candidate *to)
{
    bool eligible = strategy_reread(ask, i, needs, to);

    d->examined++;
    d->excluded[to->excluded] += !eligible;
    if (!eligible)
        see(d, i, to->excluded, 0);
    return eligible;
}

void strategy_note(struct strategy_decision *d, size_t i, double score)
{
    see(d, i, EXCLUDED_NOT, score);
}

void strategy_settle(struct strategy_decision *d, size_t i, double score, double probability, const char *why)
{
    d->chosen = i;
    d->score = score;
    d->probability = probability;
    d->why = why;
    for (unsigned k = 0; k < d->seen_count; k++)
        if (d->seen[k].index == i) {
            d->seen[k].score = score;
            return;
        }
    if (d->seen_count == STRATEGY_SEEN_MAX)
        d->seen_count--;
    see(d, i, EXCLUDED_NOT, score);
}

void strategy_begin_again(struct strategy_decision *d)
{
    d->examined = 0;
    d->seen_count = d->farthest_ = 0;
    memset(d->excluded, 0, sizeof d->excluded);
}

bool strategy_has_roster(const struct strategy_ask *ask)
{
    return ask->roster && ask->count > STRATEGY_SCAN_MAX;
}

bool strategy_accepts(struct prng *p, const struct strategy_candidate *c)
{
    return c->slow_start >= 1 || prng_below(p, (uint64_t)c->weight * STRATEGY_WEIGHT_ONE) < strategy_weight(c);
}

size_t strategy_sample(const struct strategy_ask *ask, struct strategy_decision *d, struct prng *p, unsigned needs,
                       struct strategy_candidate *to)
{
    for (unsigned tries = 0; tries < STRATEGY_TRIES && ask->count; tries++) {
        size_t i = prng_below(p, ask->count);
        if (strategy_read(ask, d, i, needs, to))
            return i;
    }
    return STRATEGY_NONE;
}

uint64_t strategy_weight(const struct strategy_candidate *c)
{
    uint64_t w = c->slow_start >= 1 ? (uint64_t)c->weight * STRATEGY_WEIGHT_ONE
                                    : (uint64_t)((double)c->weight * STRATEGY_WEIGHT_ONE * c->slow_start);

    return w ? w : 1;
}

struct strategy_tally strategy_tally_begin(size_t count)
{
    struct strategy_tally t = {.sum = 0};

    while ((count >> t.shift_) >= STRATEGY_TALLY_BLOCKS)
        t.shift_++;
    return t;
}

void strategy_tally_add(struct strategy_tally *t, size_t i, uint64_t weight)
{
    t->sum += weight;
    t->blocks_[i >> t->shift_] += weight;
}

size_t strategy_tally_seek(const struct strategy_tally *t, uint64_t *left)
{
    size_t block = 0;

    assert(*left < t->sum);
    for (; *left >= t->blocks_[block]; block++)
        *left -= t->blocks_[block];
    return block << t->shift_;
}

double strategy_time(const struct strategy_ask *ask, size_t i, const struct strategy_candidate *c)
{
    uint64_t cached = ask->has_home && i == ask->home ? ask->home_cached : 0;
    uint64_t uncached = ask->input_tokens > cached ? ask->input_tokens - cached : 0;

    if (c->time_per_unit <= 0)
        return 0;
    return c->time_per_unit * latency_units(uncached) + c->time_per_token * (double)ask->output_tokens;
}
