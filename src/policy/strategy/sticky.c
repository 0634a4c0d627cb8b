/*
 * sticky.c - what belongs together goes to the same deployment, whose prompt cache holds it, unless staying is worse by
 * more than the cache is worth.
 *
 * Where nothing is known about a cache, the home of a key is found by weighted rendezvous hashing: each candidate gets a
 * score out of key and id, weight / -ln(u) with u uniform in (0, 1), and the highest wins (Thaler and Ravishankar, 1998;
 * weights after Schindelhauer and Schomaker, 2005). When a candidate goes or comes, only the keys that it had or gets
 * move. Load is bounded: a candidate is full with a quarter more requests than its share (Mirrokni, Thorup and
 * Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018) and a few more, because a server takes several at a
 * time without becoming slower.
 *
 * The alternative is the next in the key's own order that is not full, so that a conversation which moves, moves to
 * where its like go. It is taken when the home would be slower: the expected time at home counts only what is not cached,
 * differences of less than a quarter are noise, overload multiplies it, and money that staying saves counts as time at
 * the rate of the ask. So a long cached prompt stays through much, and a first request goes at once.
 *
 * Of a large pool the order of a key is found in the roster, without reading anybody: by ids and weights, the first few at a
 * time. A slow start only makes a score smaller, so who has been read and still leads the next in that order has won; home
 * and alternative are the same as if all had been read. What is in flight altogether is only asked for when one of them has
 * more than a few requests, and then estimated from a sample: so who is full is approximate there.
 *
 * A request that has neither key nor home has nothing to stay with, and is drawn by weight.
 */
#include "policy/strategy.h"

#include <math.h>

static const double SHARE_BOUND = 1.25, NOISE = 1.25;
enum { FREE_REQUESTS = 4 };

/* Score of who holds the prompt: before all others, and finite, so that it can be printed. */
static const double CACHED = 1e300;

struct place {
    size_t index;
    double score;
    uint64_t weight, in_flight;
};

/* The first two in the order of the key, and what there is altogether, or in a sample. */
struct ranking {
    struct place home, next;
    uint64_t weight, in_flight;
};

/*
 * Score of a candidate for a scattered key, or 0 if it is below `floor` anyway. As -ln(u) >= 1 - u, the score is at most
 * weight / (1 - u): one multiplication tells nearly all losers, and the logarithm is for the few others.
 */
static double score_of(uint64_t key, uint64_t id, double weight, double floor)
{
    uint64_t hash = prng_scatter(key ^ id);
    double rest = ((double)(hash >> 11) + 0.5) * 0x1p-53; /* 1 - u */

    if (weight < floor * rest)
        return 0;
    return weight / -log1p(-rest);
}

static void rank(struct ranking *r, struct place p)
{
    if (r->home.index == STRATEGY_NONE || p.score > r->home.score) {
        r->next = r->home;
        r->home = p;
    } else if (r->next.index == STRATEGY_NONE || p.score > r->next.score) {
        r->next = p;
    }
}

static void count_in(struct ranking *r, uint64_t weight, uint64_t in_flight)
{
    r->weight += weight;
    r->in_flight += in_flight;
}

/* How many times more requests it would have than it is to have; <= 1: it is not full. */
static double overload(const struct ranking *r, const struct place *p)
{
    if (p->in_flight < FREE_REQUESTS)
        return (double)(p->in_flight + 1) / FREE_REQUESTS;
    double share = (double)p->weight / (double)r->weight;
    double bound = ceil(SHARE_BOUND * (double)(r->in_flight + 1) * share);

    return (double)(p->in_flight + 1) / (bound > FREE_REQUESTS ? bound : FREE_REQUESTS);
}

/* The first in the key's order that is neither full nor at home; STRATEGY_NONE if there is none. */
static struct place first_with_room(const struct strategy_ask *ask, uint64_t key, const struct ranking *r)
{
    struct place best = {.index = STRATEGY_NONE};
    struct strategy_candidate c;

    for (size_t i = 0; i < ask->count; i++) {
        if (i == r->home.index || !strategy_reread(ask, i, NEEDS_ID | NEEDS_LOAD, &c))
            continue;
        struct place p = {i, 0, strategy_weight(&c), c.in_flight};
        p.score = score_of(key, c.id, (double)p.weight, best.index == STRATEGY_NONE ? 0 : best.score);
        if (overload(r, &p) <= 1 && (best.index == STRATEGY_NONE || p.score > best.score))
            best = p;
    }
    return best;
}

/* Is the alternative better by more than the cache at home is worth, and by more than noise? */
static bool should_move(const struct strategy_ask *ask, const struct ranking *r, size_t to)
{
    struct strategy_candidate home, other;
    double full = overload(r, &r->home);

    strategy_reread(ask, r->home.index, NEEDS_LATENCY | NEEDS_COST, &home);
    strategy_reread(ask, to, NEEDS_LATENCY | NEEDS_COST, &other);
    if (home.time_per_unit <= 0 || other.time_per_unit <= 0) { /* as fast as each other, as far as one knows */
        home.time_per_unit = other.time_per_unit = home.time_per_unit + other.time_per_unit + 1;
        home.time_per_token = other.time_per_token = 0;
    }
    double stay = strategy_time(ask, r->home.index, &home), move = strategy_time(ask, to, &other);
    if (stay < move * NOISE && stay > move / NOISE)
        stay = move;
    bool is_priced = home.cost != UINT64_MAX && other.cost != UINT64_MAX; /* what is not known is no reason */
    double saved = is_priced ? ((double)other.cost - (double)home.cost) * ask->ns_per_nanodollar : 0;
    return stay * (full > 1 ? full : 1) > move + saved;
}

/* All candidates in the key's order, as far as it matters. */
static struct ranking rank_all(const struct strategy_ask *ask, struct strategy_decision *d, uint64_t key)
{
    struct ranking r = {.home = {.index = STRATEGY_NONE}, .next = {.index = STRATEGY_NONE}};
    struct strategy_candidate c;

    for (size_t i = 0; i < ask->count; i++) {
        if (!strategy_read(ask, d, i, NEEDS_ID | NEEDS_LOAD, &c))
            continue;
        struct place p = {i, CACHED, strategy_weight(&c), c.in_flight};
        if (!ask->has_home || i != ask->home)
            p.score = score_of(key, c.id, (double)p.weight, r.next.index == STRATEGY_NONE ? 0 : r.next.score);
        strategy_note(d, i, p.score);
        count_in(&r, p.weight, p.in_flight);
        rank(&r, p);
    }
    return r;
}

static void settle(const struct strategy_ask *ask, struct strategy_decision *d, const struct ranking *r,
                   const struct place *other)
{
    if (other->index != STRATEGY_NONE && should_move(ask, r, other->index))
        strategy_settle(d, other->index, other->score, 1, "its home is slower by more than its cache is worth");
    else
        strategy_settle(d, r->home.index, r->home.score, 1,
                        r->home.score == CACHED ? "stays where its prompt is cached" : "home of its key");
}

static void choose_of_all(const struct strategy_ask *ask, struct strategy_decision *d, uint64_t key)
{
    struct ranking r = rank_all(ask, d, key);

    if (r.home.index == STRATEGY_NONE)
        return;
    struct place other = r.next;
    if (other.index != STRATEGY_NONE && overload(&r, &other) > 1)
        other = first_with_room(ask, key, &r);
    settle(ask, d, &r, &other);
}

/* --- a large pool: in the key's order, as far as it matters --- */

enum { STEP = 4, STEPS = 8 };

/* The roster's candidates in the order of a key, a few at a time; and those of them that were read and may be chosen. */
struct walk {
    const struct strategy_ask *ask;
    uint64_t key;
    double ceiling; /* those of this score and more have been told */
    unsigned steps;
    size_t at, ahead_count;
    struct place ahead[STEP];
    size_t read_count;
    struct place read[1 + STEP * STEPS + STRATEGY_SAMPLE]; /* the home too, and a sample */
};

static void insert(struct walk *w, size_t index, double score)
{
    size_t at = w->ahead_count < STEP ? w->ahead_count++ : STEP - 1;

    for (; at > 0 && w->ahead[at - 1].score < score; at--)
        w->ahead[at] = w->ahead[at - 1];
    w->ahead[at] = (struct place){.index = index, .score = score};
}

/* Find the next few. Two of the same score are as good as never: it has 53 bits. */
static void step(struct walk *w)
{
    const struct roster *r = w->ask->roster;
    double floor = 0;

    w->at = w->ahead_count = 0;
    for (size_t i = 0; i < r->count; i++) {
        double score = score_of(w->key, r->ids[i], r->weights[i] * STRATEGY_WEIGHT_ONE, floor);
        if (score <= floor || score >= w->ceiling)
            continue;
        insert(w, i, score);
        floor = w->ahead_count == STEP ? w->ahead[STEP - 1].score : 0;
    }
    w->ceiling = w->ahead_count ? w->ahead[w->ahead_count - 1].score : 0;
    w->steps++;
}

/* What the next one's score is at most; 0: there is none. */
static double score_ahead(struct walk *w)
{
    if (w->at == w->ahead_count && w->steps < STEPS)
        step(w);
    return w->at < w->ahead_count ? w->ahead[w->at].score : 0;
}

/* What was read of a candidate that may be chosen, into w->read; `cached`: it holds the prompt. */
static void keep(struct walk *w, struct strategy_decision *d, size_t i, const struct strategy_candidate *c, bool cached)
{
    struct place *p = &w->read[w->read_count++];

    *p = (struct place){i, CACHED, strategy_weight(c), c->in_flight};
    if (!cached)
        p->score = score_of(w->key, w->ask->roster->ids[i], (double)p->weight, 0);
    strategy_note(d, i, p->score);
}

/* False if it may not be chosen. */
static bool read_one(struct walk *w, struct strategy_decision *d, size_t i, bool cached)
{
    struct strategy_candidate c;

    if (!strategy_read(w->ask, d, i, NEEDS_LOAD, &c))
        return false;
    keep(w, d, i, &c, cached);
    return true;
}

/* Read the next in the order. False if it may not be chosen, or was read already. */
static bool read_next(struct walk *w, struct strategy_decision *d)
{
    size_t i = w->ahead[w->at++].index;

    return !(w->ask->has_home && i == w->ask->home) && read_one(w, d, i, false);
}

/* Home and alternative. False if too much of what comes first is excluded. */
static bool rank_first(struct walk *w, struct strategy_decision *d, struct ranking *r)
{
    if (w->ask->has_home && read_one(w, d, w->ask->home, true))
        rank(r, w->read[0]);
    while (score_ahead(w) > 0) {
        if (r->next.index != STRATEGY_NONE && r->next.score >= score_ahead(w))
            return true;
        if (read_next(w, d))
            rank(r, w->read[w->read_count - 1]);
    }
    return false;
}

/* What is in flight altogether: at home and alternative, and as at a sample everywhere else. */
static void estimate(struct walk *w, struct strategy_decision *d, struct ranking *r)
{
    const struct strategy_ask *ask = w->ask;
    uint64_t weight = 0, in_flight = 0;
    struct strategy_candidate c;
    struct prng p;

    prng_seed(&p, ask->draw);
    for (unsigned k = 0; k < STRATEGY_SAMPLE; k++) {
        size_t i = strategy_sample(ask, d, &p, NEEDS_LOAD, &c);
        if (i == STRATEGY_NONE)
            break;
        weight += strategy_weight(&c);
        in_flight += c.in_flight;
        keep(w, d, i, &c, false);
    }
    uint64_t known = r->home.weight + r->next.weight;
    r->weight = roster_weight(ask->roster, 0, ask->count) * STRATEGY_WEIGHT_ONE;
    double rest = weight ? (double)(r->weight - known) * (double)in_flight / (double)weight : 0;
    r->in_flight = r->home.in_flight + r->next.in_flight + (uint64_t)rest;
}

/* The first in the order that is neither full nor at home; of a crowd's key, for which not even the first few dozen suffice, the first of the sample.
 * STRATEGY_NONE if all of these are full. */
static struct place ahead_with_room(struct walk *w, struct strategy_decision *d, const struct ranking *r)
{
    struct place best = {.index = STRATEGY_NONE};
    size_t seen = 0;

    for (;;) {
        for (; seen < w->read_count; seen++) {
            const struct place *p = &w->read[seen];
            if (p->index != r->home.index && overload(r, p) <= 1 &&
                (best.index == STRATEGY_NONE || p->score > best.score))
                best = *p;
        }
        double score = score_ahead(w);
        if (score <= 0 || (best.index != STRATEGY_NONE && best.score >= score))
            return best;
        (void)read_next(w, d);
    }
}

/* False if too much of what comes first is excluded. */
static bool choose_in_order(const struct strategy_ask *ask, struct strategy_decision *d, uint64_t key)
{
    struct walk w = {.ask = ask, .key = key, .ceiling = INFINITY};
    struct ranking r = {.home = {.index = STRATEGY_NONE}, .next = {.index = STRATEGY_NONE}};

    if (!rank_first(&w, d, &r)) {
        strategy_begin_again(d);
        return false;
    }
    struct place other = r.next;
    if (r.home.in_flight >= FREE_REQUESTS || other.in_flight >= FREE_REQUESTS)
        estimate(&w, d, &r);
    if (overload(&r, &other) > 1)
        other = ahead_with_room(&w, d, &r);
    settle(ask, d, &r, &other);
    return true;
}

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
{
    if (!ask->has_sticky && !ask->has_home) {
        strategy_weighted.choose(ask, d);
        return;
    }
    uint64_t key = prng_scatter(ask->has_sticky ? ask->sticky : ask->home);
    if (!strategy_has_roster(ask) || !choose_in_order(ask, d, key))
        choose_of_all(ask, d, key);
}

const struct strategy strategy_sticky = {.name = "sticky", .unit = "rendezvous score", .choose = choose};
