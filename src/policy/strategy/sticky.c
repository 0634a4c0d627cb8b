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
 * A request that has neither key nor home has nothing to stay with, and is drawn by weight.
 */
#include "policy/strategy.h"

#include <math.h>

static const double SHARE_BOUND = 1.25, NOISE = 1.25;
enum { FREE_REQUESTS = 4 };

/* Score of who holds the prompt: before all others, and finite, so that it can be printed. */
static const double CACHED = 1e300;

/* The first two in the order of the key, and what is in flight altogether. */
struct ranking {
    struct place {
        size_t index;
        double score;
        uint64_t weight, in_flight;
    } home, next;
    uint64_t weight, in_flight;
};

/*
 * Score of a candidate for a scattered key, or 0 if it is below `floor` anyway. As -ln(u) >= 1 - u, the score is at most
 * weight / (1 - u): one multiplication tells nearly all losers, and the logarithm is for the few others.
 */
static double score_of(uint64_t key, uint64_t id, uint64_t weight, double floor)
{
    uint64_t hash = prng_scatter(key ^ id);
    double rest = ((double)(hash >> 11) + 0.5) * 0x1p-53; /* 1 - u */

    if ((double)weight < floor * rest)
        return 0;
    return (double)weight / -log1p(-rest);
}

static void rank(struct ranking *r, struct place p)
{
    r->weight += p.weight;
    r->in_flight += p.in_flight;
    if (r->home.index == STRATEGY_NONE || p.score > r->home.score) {
        r->next = r->home;
        r->home = p;
    } else if (r->next.index == STRATEGY_NONE || p.score > r->next.score) {
        r->next = p;
    }
}

/* How many times more requests it would have than it is to have; <= 1: it is not full. */
static double overload(const struct ranking *r, const struct place *p)
{
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
        p.score = score_of(key, c.id, p.weight, best.index == STRATEGY_NONE ? 0 : best.score);
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
    double saved = ((double)other.cost - (double)home.cost) * ask->ns_per_nanodollar;
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
            p.score = score_of(key, c.id, p.weight, r.next.index == STRATEGY_NONE ? 0 : r.next.score);
        strategy_note(d, i, p.score);
        rank(&r, p);
    }
    return r;
}

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
{
    if (!ask->has_sticky && !ask->has_home) {
        strategy_weighted.choose(ask, d);
        return;
    }
    uint64_t key = prng_scatter(ask->has_sticky ? ask->sticky : ask->home);
    struct ranking r = rank_all(ask, d, key);
    if (r.home.index == STRATEGY_NONE)
        return;
    struct place other = r.next;
    if (other.index != STRATEGY_NONE && overload(&r, &other) > 1)
        other = first_with_room(ask, key, &r);
    if (other.index != STRATEGY_NONE && should_move(ask, &r, other.index)) {
        strategy_settle(d, other.index, other.score, 1, "its home is slower by more than its cache is worth");
        return;
    }
    strategy_settle(d, r.home.index, r.home.score, 1,
                    r.home.score == CACHED ? "stays where its prompt is cached" : "home of its key");
}

const struct strategy strategy_sticky = {.name = "sticky", .unit = "rendezvous score", .choose = choose};
