/* strategy_test.c - each strategy chooses as it says, never what is excluded, and tells the true probability. */
#include "policy/strategy.h"

#include "base/prng.h"
#include "base/time.h"
#include "strategy_check.h"
#include "unit/test.h"

#include <math.h>
#include <stdio.h>

enum { POOL_MAX = 1000 };

struct pool {
    size_t count, reads;
    struct strategy_candidate all[POOL_MAX];
};

static void read_pool(const void *ctx, size_t i, unsigned needs, struct strategy_candidate *to)
{
    struct pool *p = (struct pool *)(uintptr_t)ctx; /* counts the reads */

    p->reads++;
    *to = p->all[i];
    blank_unasked(to, needs);
}

static struct pool pool;

/* n candidates that do not differ but for their id. */
static void fill(size_t n)
{
    pool = (struct pool){.count = n};
    for (size_t i = 0; i < n; i++)
        pool.all[i] = (struct strategy_candidate){.weight = 1,
                                                  .slow_start = 1,
                                                  .id = prng_scatter(i),
                                                  .time_per_unit = 1e6,
                                                  .time_per_token = 1e7,
                                                  .cost = 1000,
                                                  .headroom = 1};
}

static struct strategy_ask ask_pool(uint64_t draw)
{
    return (struct strategy_ask){
        .count = pool.count, .read = read_pool, .ctx = &pool, .draw = draw, .input_tokens = 1000, .output_tokens = 100};
}

static const struct strategy *named(const char *name)
{
    return strategy_find(str_from_c(name));
}

static void fill_random(struct prng *p, size_t n)
{
    fill(n);
    for (size_t i = 0; i < n; i++) {
        struct strategy_candidate *c = &pool.all[i];
        c->excluded = prng_chance(p, 0.3) ? (enum exclusion)(2 + prng_below(p, EXCLUSIONS - 2)) : EXCLUDED_NOT;
        c->weight = 1 + (unsigned)prng_below(p, prng_chance(p, 0.2) ? 1000000 : 5);
        c->slow_start = prng_chance(p, 0.2) ? 0.01 + 0.98 * prng_unit(p) : 1;
        c->tier = (unsigned)prng_below(p, 3);
        c->in_flight = prng_below(p, 20);
        c->in_flight_tokens = c->in_flight * prng_below(p, 3000);
        c->time_per_unit = prng_chance(p, 0.2) ? 0 : 1e5 * (double)(1 + prng_below(p, 50));
        c->cost = prng_below(p, 4) * 1000;
        c->headroom = prng_chance(p, 0.3) ? 0 : prng_unit(p);
    }
}

TEST(strategy_catalog_has_those_that_are_documented)
{
    static const char *const names[] = {"least-busy",  "least-latency", "lowest-cost", "priority",
                                        "round-robin", "sticky",        "weighted"};

    CHECK_EQ(strategy_catalog_count, ARRAY_LEN(names));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        CHECK(strategy_find(str_from_c(names[i])) != NULL);
    CHECK(strategy_find(STR("fastest")) == NULL);
    for (unsigned i = 0; i < EXCLUSIONS; i++)
        CHECK(exclusion_name(i) != NULL);
}

TEST(strategy_never_chooses_what_is_excluded_or_was_tried_and_always_one_that_is_left)
{
    uint64_t rounds = test_rounds(3000);
    struct prng p;

    for (uint64_t k = 0; k < rounds && !test_failed(); k++) {
        prng_seed(&p, test_seed() + k);
        fill_random(&p, prng_chance(&p, 0.05) ? 65 + prng_below(&p, 300) : prng_below(&p, 20));
        size_t tried[STRATEGY_TRIED_MAX];
        struct strategy_ask ask = ask_pool(prng_next(&p));
        ask.turn = prng_next(&p);
        ask.has_sticky = prng_chance(&p, 0.5);
        ask.sticky = prng_next(&p);
        ask.has_home = pool.count && prng_chance(&p, 0.5);
        ask.home = ask.has_home ? prng_below(&p, pool.count) : 0;
        ask.home_cached = prng_below(&p, 1000);
        ask.tried = tried;
        ask.tried_count = pool.count ? prng_below(&p, 4) : 0;
        for (size_t i = 0; i < ask.tried_count; i++)
            tried[i] = prng_below(&p, pool.count);
        for (size_t s = 0; s < strategy_catalog_count && !test_failed(); s++) {
            test_context("seed %llu, %s", (unsigned long long)(test_seed() + k), strategy_catalog[s]->name);
            struct strategy_decision d;
            check_decision(strategy_catalog[s], &ask, pool.all, pool.count, &d);
            CHECK(d.chosen == STRATEGY_NONE || pool.count > STRATEGY_SCAN_MAX || d.probability > 0);
        }
    }
}

TEST(strategy_chooses_where_nearly_all_of_a_thousand_are_excluded)
{
    fill(1000);
    for (size_t i = 0; i < 1000; i++)
        pool.all[i].excluded = i % 500 == 77 ? EXCLUDED_NOT : EXCLUDED_EJECTED;
    pool.all[577].in_flight = 50;
    pool.all[577].in_flight_tokens = 50000;
    for (size_t s = 0; s < strategy_catalog_count; s++)
        for (uint64_t draw = 0; draw < 50; draw++) {
            struct strategy_ask ask = ask_pool(prng_scatter(draw));
            struct strategy_decision d = strategy_choose(strategy_catalog[s], &ask);
            test_context("%s", strategy_catalog[s]->name);
            CHECK(d.chosen == 77 || d.chosen == 577);
            CHECK_GT(d.excluded[EXCLUDED_EJECTED], 10);
        }
    struct strategy_ask ask = ask_pool(5);
    CHECK_EQ(strategy_choose(named("least-busy"), &ask).chosen, 77);
    CHECK_EQ(strategy_choose(named("least-latency"), &ask).chosen, 77);
}

TEST(strategy_order_names_each_once_and_never_an_excluded_one)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(500) && !test_failed(); k++) {
        prng_seed(&p, test_seed() + k);
        fill_random(&p, 1 + prng_below(&p, 12));
        struct strategy_ask ask = ask_pool(prng_next(&p));
        size_t eligible = 0;
        for (size_t i = 0; i < pool.count; i++)
            eligible += !pool.all[i].excluded;
        for (size_t s = 0; s < strategy_catalog_count; s++) {
            struct strategy_decision order[STRATEGY_ORDER_MAX];
            size_t n = strategy_order(strategy_catalog[s], &ask, 5, order);
            CHECK_EQ(n, eligible < 5 ? eligible : 5);
            for (size_t i = 0; i < n; i++) {
                CHECK_EQ(pool.all[order[i].chosen].excluded, EXCLUDED_NOT);
                CHECK_EQ(order[i].excluded[EXCLUDED_TRIED], i);
                for (size_t j = 0; j < i; j++)
                    CHECK_NE(order[i].chosen, order[j].chosen);
            }
            CHECK_EQ(order[0].chosen, strategy_choose(strategy_catalog[s], &ask).chosen);
        }
    }
}

/* What is told as the probability is how often it happens, over draws (or turns). */
static void check_probabilities(const struct strategy *s, uint64_t seed)
{
    enum { DRAWS = 4000 };
    unsigned times[16] = {0};
    double told[16] = {0};
    struct prng p;

    prng_seed(&p, seed);
    fill_random(&p, 2 + prng_below(&p, 10));
    for (unsigned i = 0; i < DRAWS; i++) {
        struct strategy_ask ask = ask_pool(prng_next(&p));
        ask.turn = i;
        struct strategy_decision d = strategy_choose(s, &ask);
        if (d.chosen == STRATEGY_NONE)
            return;
        CHECK(told[d.chosen] == 0 || told[d.chosen] == d.probability);
        told[d.chosen] = d.probability;
        times[d.chosen]++;
    }
    for (size_t i = 0; i < pool.count; i++) {
        double deviation = sqrt(told[i] * (1 - told[i]) / DRAWS) * 5 + 0.001;
        CHECK_MSG(fabs((double)times[i] / DRAWS - told[i]) < deviation,
                  "%s: %zu was told %f and happened %u times of %d", s->name, i, told[i], times[i], DRAWS);
    }
}

TEST(strategy_tells_the_true_probability)
{
    for (uint64_t k = 0; k < test_rounds(40) && !test_failed(); k++)
        for (size_t s = 0; s < strategy_catalog_count && !test_failed(); s++) {
            test_context("seed %llu", (unsigned long long)(test_seed() + k));
            check_probabilities(strategy_catalog[s], test_seed() + k);
        }
}

TEST(strategy_weighted_gives_a_deployment_that_starts_slowly_its_share_only)
{
    unsigned times = 0;
    struct prng p;

    fill(2);
    pool.all[1].slow_start = 0.1;
    prng_seed(&p, 1);
    for (unsigned i = 0; i < 11000; i++) {
        struct strategy_ask ask = ask_pool(prng_next(&p));
        times += strategy_choose(named("weighted"), &ask).chosen == 1;
    }
    CHECK_GT(times, 850);
    CHECK_LT(times, 1150);
}

TEST(strategy_round_robin_gives_each_its_weight_in_every_round)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(200) && !test_failed(); k++) {
        uint64_t round = 0;
        unsigned times[8] = {0};
        prng_seed(&p, test_seed() + k);
        fill(1 + prng_below(&p, 8));
        for (size_t i = 0; i < pool.count; i++)
            round += pool.all[i].weight = 1 + (unsigned)prng_below(&p, 9);
        uint64_t from = prng_next(&p) / 2 / round * round;
        for (uint64_t turn = 0; turn < round; turn++) {
            struct strategy_ask ask = ask_pool(0);
            ask.turn = from + turn;
            times[strategy_choose(named("round-robin"), &ask).chosen]++;
        }
        for (size_t i = 0; i < pool.count; i++)
            CHECK_EQ(times[i], pool.all[i].weight);
    }
}

/* 20, 1, 1 is not twenty A, then B and C. */
TEST(strategy_round_robin_spreads_the_turns_of_a_heavy_one)
{
    unsigned run = 0, longest = 0;

    fill(3);
    pool.all[0].weight = 20;
    for (uint64_t turn = 0; turn < 220; turn++) {
        struct strategy_ask ask = ask_pool(0);
        ask.turn = turn;
        run = strategy_choose(named("round-robin"), &ask).chosen == 0 ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    CHECK_LE(longest, 17);
    fill(4);
    for (uint64_t turn = 0; turn < 400; turn += 4) { /* equal ones: each once in four */
        unsigned set = 0;
        for (uint64_t k = 0; k < 4; k++) {
            struct strategy_ask ask = ask_pool(0);
            ask.turn = turn + k;
            set |= 1u << strategy_choose(named("round-robin"), &ask).chosen;
        }
        CHECK_EQ(set, 15);
    }
}

TEST(strategy_least_busy_counts_tokens_not_requests)
{
    fill(3);
    pool.all[0].in_flight = 1;
    pool.all[0].in_flight_tokens = 100000;
    pool.all[1].in_flight = 50;
    pool.all[1].in_flight_tokens = 5000;
    pool.all[2].in_flight = 1;
    pool.all[2].in_flight_tokens = 20000;
    struct strategy_ask ask = ask_pool(7);
    CHECK_EQ(strategy_choose(named("least-busy"), &ask).chosen, 1);
    pool.all[0].weight = 100;
    CHECK_EQ(strategy_choose(named("least-busy"), &ask).chosen, 0);
}

TEST(strategy_least_latency_prefers_the_faster_and_lets_load_decide_between_equals)
{
    fill(2);
    pool.all[0].time_per_unit = 20e6;
    for (uint64_t draw = 0; draw < 20; draw++) {
        struct strategy_ask ask = ask_pool(prng_scatter(draw));
        CHECK_EQ(strategy_choose(named("least-latency"), &ask).chosen, 1);
    }
    struct strategy_ask ask = ask_pool(1);
    pool.all[1].in_flight = 40; /* the slow one is worth it at last */
    CHECK_EQ(strategy_choose(named("least-latency"), &ask).chosen, 0);
    fill(2);
    pool.all[0].time_per_unit = 0.9e6; /* within noise */
    pool.all[0].in_flight = 3;
    CHECK_EQ(strategy_choose(named("least-latency"), &ask).chosen, 1);
    pool.all[1].in_flight = 4;
    pool.all[1].time_per_unit = 0; /* not known: as fast as its rival */
    CHECK_EQ(strategy_choose(named("least-latency"), &ask).chosen, 0);
    pool.all[1].in_flight = 2;
    CHECK_EQ(strategy_choose(named("least-latency"), &ask).chosen, 1);
}

/* Of whose speed nothing is known: it may be as fast as its rival until those who wait there have waited for longer than that. */
TEST(strategy_least_latency_does_not_take_a_short_wait_for_speed_nor_a_long_one_for_nothing)
{
    struct strategy_ask ask = ask_pool(1);

    fill(2); /* 1.5 s to the first token, and a second for the others */
    ask.count = 2;
    pool.all[0].time_per_unit = 0;
    pool.all[0].waited_per_unit = 1e3;
    CHECK(strategy_choose(named("least-latency"), &ask).probability == 0.5); /* a draw */
    pool.all[0].waited_per_unit = 1.2e6; /* a fifth more than its rival takes: within noise */
    CHECK(strategy_choose(named("least-latency"), &ask).probability == 0.5);
    pool.all[0].waited_per_unit = 1.3e6;
    CHECK_EQ(strategy_choose(named("least-latency"), &ask).chosen, 1);
    CHECK(strategy_choose(named("least-latency"), &ask).probability == 1);
    pool.all[1].time_per_unit = 0; /* nothing is known of either: that one has waited for longer is noise */
    pool.all[1].waited_per_unit = 1e3;
    CHECK(strategy_choose(named("least-latency"), &ask).probability == 0.5);
}

TEST(strategy_least_latency_does_not_tell_apart_what_differs_by_noise)
{
    unsigned times[2] = {0};

    fill(2);
    pool.all[0].time_per_unit = 1.1e6;
    for (uint64_t draw = 0; draw < 1000; draw++) {
        struct strategy_ask ask = ask_pool(prng_scatter(draw));
        struct strategy_decision d = strategy_choose(named("least-latency"), &ask);
        CHECK(d.probability == 0.5);
        times[d.chosen]++;
    }
    CHECK_GT(times[0], 400);
    CHECK_GT(times[1], 400);
}

TEST(strategy_least_busy_spreads_by_number_what_has_no_estimate)
{
    fill(3);
    pool.all[0].in_flight = 2;
    pool.all[1].in_flight = 1;
    pool.all[2].in_flight = 2;
    struct strategy_ask ask = ask_pool(7);
    CHECK_EQ(strategy_choose(named("least-busy"), &ask).chosen, 1);
}

TEST(strategy_least_busy_draws_among_equals)
{
    unsigned times[4] = {0};

    fill(5);
    pool.all[4].in_flight_tokens = 1;
    for (uint64_t draw = 0; draw < 4000; draw++) {
        struct strategy_ask ask = ask_pool(prng_scatter(draw));
        struct strategy_decision d = strategy_choose(named("least-busy"), &ask);
        CHECK_LT(d.chosen, 4);
        CHECK(d.probability == 0.25);
        times[d.chosen]++;
    }
    for (size_t i = 0; i < 4; i++)
        CHECK_GT(times[i], 850);
}

TEST(strategy_least_latency_knows_that_a_cached_prompt_is_short)
{
    fill(2);
    struct strategy_ask ask = ask_pool(1);
    ask.input_tokens = 50000;
    ask.output_tokens = 0;
    ask.has_home = true;
    ask.home = 1;
    ask.home_cached = 49000;
    pool.all[1].in_flight = 9;
    CHECK_EQ(strategy_choose(named("least-latency"), &ask).chosen, 1);
    ask.home_cached = 0;
    CHECK_EQ(strategy_choose(named("least-latency"), &ask).chosen, 0);
}

TEST(strategy_least_latency_touches_two_of_a_thousand)
{
    fill(1000);
    for (uint64_t draw = 0; draw < 5000; draw++) { /* the same is drawn twice in one of a thousand */
        struct strategy_ask ask = ask_pool(prng_scatter(draw));
        pool.reads = 0;
        struct strategy_decision d = strategy_choose(named("least-latency"), &ask);
        CHECK_LE(pool.reads, 4);
        CHECK_EQ(d.examined, pool.reads);
        CHECK_NE(d.seen[0].index, d.seen[d.seen_count - 1].index);
        pool.reads = 0;
        d = strategy_choose(named("least-busy"), &ask);
        CHECK_EQ(pool.reads, STRATEGY_SAMPLE);
    }
}

TEST(strategy_lowest_cost_takes_the_cheapest_and_of_equals_the_least_busy)
{
    fill(3);
    pool.all[1].cost = 999;
    pool.all[2].cost = 999;
    pool.all[1].in_flight_tokens = 10;
    struct strategy_ask ask = ask_pool(7);
    CHECK_EQ(strategy_choose(named("lowest-cost"), &ask).chosen, 2);
    pool.all[2].cost = 1000;
    CHECK_EQ(strategy_choose(named("lowest-cost"), &ask).chosen, 1);
    pool.all[1].excluded = EXCLUDED_BUDGET;
    CHECK_EQ(strategy_choose(named("lowest-cost"), &ask).excluded[EXCLUDED_BUDGET], 1);
    pool.all[1].excluded = EXCLUDED_NOT;
    CHECK(strategy_choose(named("lowest-cost"), &ask).score == 999);
}

TEST(strategy_priority_spills_over_when_a_tier_is_full_and_comes_back)
{
    fill(4);
    pool.all[2].tier = pool.all[3].tier = 1;
    struct strategy_ask ask = ask_pool(7);
    CHECK_LT(strategy_choose(named("priority"), &ask).chosen, 2);
    pool.all[0].headroom = 0;
    CHECK_EQ(strategy_choose(named("priority"), &ask).chosen, 1);
    pool.all[1].excluded = EXCLUDED_EJECTED;
    CHECK_GE(strategy_choose(named("priority"), &ask).chosen, 2);
    CHECK_STR(str_from_c(strategy_choose(named("priority"), &ask).why), "spilled over from a full tier");
    pool.all[2].headroom = pool.all[3].headroom = 0;
    CHECK_EQ(strategy_choose(named("priority"), &ask).chosen, 0);
    CHECK_STR(str_from_c(strategy_choose(named("priority"), &ask).why), "no tier has room: the first");
    pool.all[0].headroom = 0.1;
    CHECK_STR(str_from_c(strategy_choose(named("priority"), &ask).why), "first tier");
}

static struct strategy_ask ask_sticky(uint64_t key)
{
    struct strategy_ask ask = ask_pool(99);

    ask.has_sticky = true;
    ask.sticky = key;
    return ask;
}

TEST(strategy_sticky_sends_a_key_always_to_the_same_and_keys_by_weight)
{
    unsigned times[4] = {0};

    fill(4);
    pool.all[3].weight = 5;
    for (uint64_t key = 0; key < 8000; key++) {
        struct strategy_ask ask = ask_sticky(prng_scatter(key));
        size_t home = strategy_choose(named("sticky"), &ask).chosen;
        ask.draw = key * 77;
        CHECK_EQ(strategy_choose(named("sticky"), &ask).chosen, home);
        times[home]++;
    }
    for (size_t i = 0; i < 3; i++) {
        CHECK_GT(times[i], 880);
        CHECK_LT(times[i], 1120);
    }
    CHECK_GT(times[3], 4800);
}

/* When one goes, only its keys move; when it comes back, only those return. Also by the order of the list. */
TEST(strategy_sticky_moves_only_the_keys_of_who_goes)
{
    for (uint64_t key = 0; key < test_rounds(2000); key++) {
        fill(10);
        pool.all[4].weight = 3;
        struct strategy_ask ask = ask_sticky(prng_scatter(key));
        size_t before = strategy_choose(named("sticky"), &ask).chosen;
        pool.all[4].excluded = EXCLUDED_EJECTED;
        size_t without = strategy_choose(named("sticky"), &ask).chosen;
        CHECK(before == 4 || without == before);
        fill(10);
        pool.all[4].weight = 3;
        struct strategy_candidate swapped = pool.all[before];
        pool.all[before] = pool.all[0];
        pool.all[0] = swapped;
        CHECK_EQ(strategy_choose(named("sticky"), &ask).chosen, 0);
    }
}

TEST(strategy_sticky_bounds_the_load_of_a_popular_key)
{
    fill(8);
    for (unsigned i = 0; i < 500; i++) {
        struct strategy_ask ask = ask_sticky(1); /* everybody has the same key */
        size_t at = strategy_choose(named("sticky"), &ask).chosen;
        pool.all[at].in_flight++;
    }
    uint64_t most = 0;
    for (size_t i = 0; i < 8; i++)
        most = pool.all[i].in_flight > most ? pool.all[i].in_flight : most;
    CHECK_LE(most * 8, 500 * 13 / 10);
}

TEST(strategy_sticky_stays_while_the_cache_is_worth_more_than_waiting)
{
    struct strategy_decision d;

    fill(4);
    struct strategy_ask ask = ask_sticky(3);
    ask.input_tokens = 20000;
    ask.output_tokens = 0;
    ask.has_home = true;
    ask.home = 2;
    ask.home_cached = 19000;
    d = strategy_choose(named("sticky"), &ask);
    CHECK_EQ(d.chosen, 2);
    CHECK_STR(str_from_c(d.why), "stays where its prompt is cached");
    CHECK(d.probability == 1);
    pool.all[2].time_per_unit *= 10; /* 1,500 units at ten times the pace are still sooner than 20,500 */
    CHECK_EQ(strategy_choose(named("sticky"), &ask).chosen, 2);
    pool.all[2].time_per_unit *= 2;
    CHECK_NE(strategy_choose(named("sticky"), &ask).chosen, 2);
    CHECK_STR(str_from_c(strategy_choose(named("sticky"), &ask).why),
              "its home is slower by more than its cache is worth");
    ask.home_cached = 0;
    fill(4);
    pool.all[2].time_per_unit *= 1.2; /* noise moves nobody */
    CHECK_EQ(strategy_choose(named("sticky"), &ask).chosen, 2);
    pool.all[2].time_per_unit *= 1.2;
    CHECK_NE(strategy_choose(named("sticky"), &ask).chosen, 2);
    ask.home_cached = 19000;
    pool.all[2].excluded = EXCLUDED_EJECTED;
    CHECK_NE(strategy_choose(named("sticky"), &ask).chosen, 2);
}

TEST(strategy_sticky_weighs_money_that_the_cache_saves)
{
    fill(2);
    struct strategy_ask ask = ask_sticky(3);
    ask.has_home = true;
    ask.home = 0;
    pool.all[0].time_per_unit *= 2; /* slower: it would go */
    pool.all[1].cost = 1000000;     /* a tenth of a cent more there, as the prompt is not cached */
    CHECK_EQ(strategy_choose(named("sticky"), &ask).chosen, 1);
    ask.ns_per_nanodollar = 10000; /* worth ten seconds to us */
    CHECK_EQ(strategy_choose(named("sticky"), &ask).chosen, 0);
}

/* A price that is not known is no reason to stay, and none to go. */
TEST(strategy_sticky_takes_an_unknown_cost_for_unknown)
{
    for (size_t unknown = 0; unknown < 2; unknown++) {
        fill(2);
        struct strategy_ask ask = ask_sticky(3);
        ask.has_home = true;
        ask.home = 0;
        ask.ns_per_nanodollar = 1e-9;
        pool.all[unknown].cost = UINT64_MAX;
        CHECK_EQ(strategy_choose(named("sticky"), &ask).chosen, 0);
        pool.all[0].time_per_unit *= 2; /* what is known decides */
        CHECK_EQ(strategy_choose(named("sticky"), &ask).chosen, 1);
    }
}

TEST(strategy_sticky_without_a_key_spreads_by_weight)
{
    unsigned times[3] = {0};

    fill(3);
    pool.all[0].weight = 2;
    for (uint64_t draw = 0; draw < 4000; draw++) {
        struct strategy_ask ask = ask_pool(prng_scatter(draw));
        struct strategy_decision d = strategy_choose(named("sticky"), &ask);
        times[d.chosen]++;
        CHECK(d.probability == (d.chosen ? 0.25 : 0.5));
    }
    CHECK_GT(times[0], 1850);
    CHECK_LT(times[0], 2150);
    CHECK_GT(times[1], 880);
}

/* 500 requests at once on 8 replicas, none of which answers meanwhile. */
TEST(strategy_spreads_a_burst_evenly)
{
    static const char *const names[] = {"least-busy", "least-latency", "round-robin"};
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(30); k++)
        for (size_t s = 0; s < ARRAY_LEN(names); s++) {
            uint64_t most = 0;
            prng_seed(&p, test_seed() + k);
            test_context("seed %llu, %s", (unsigned long long)(test_seed() + k), names[s]);
            fill(8);
            for (size_t i = 0; i < 8; i++)
                pool.all[i].time_per_unit = 1e6 * (0.9 + 0.2 * prng_unit(&p));
            for (uint64_t i = 0; i < 500; i++) {
                struct strategy_ask ask = ask_pool(prng_next(&p));
                ask.turn = i;
                struct strategy_candidate *c = &pool.all[strategy_choose(named(names[s]), &ask).chosen];
                c->in_flight_tokens += ask.input_tokens + ask.output_tokens;
                c->in_flight++;
                most = c->in_flight > most ? c->in_flight : most;
            }
            CHECK_LE(most * 10, 13 * 500 / 8);
        }
}

/* As a gateway would: what is asked for, and no more. */
static void read_needed(const void *ctx, size_t i, unsigned needs, struct strategy_candidate *to)
{
    const struct strategy_candidate *c = &((const struct pool *)ctx)->all[i];

    to->excluded = c->excluded;
    to->weight = c->weight;
    to->slow_start = c->slow_start;
    to->id = c->id;
    if (needs & (NEEDS_LOAD | NEEDS_LATENCY)) {
        to->in_flight = c->in_flight;
        to->in_flight_tokens = c->in_flight_tokens;
        to->time_per_unit = c->time_per_unit;
        to->time_per_token = c->time_per_token;
    }
    if (needs & (NEEDS_COST | NEEDS_TIER | NEEDS_HEADROOM)) {
        to->cost = c->cost;
        to->tier = c->tier;
        to->headroom = c->headroom;
    }
}

/* Of a thousand, those that read all read hardly any twice. */
TEST(strategy_reads_each_candidate_about_once)
{
    struct prng p;

    prng_seed(&p, 1);
    fill_random(&p, 1000);
    for (size_t s = 0; s < strategy_catalog_count; s++)
        for (uint64_t i = 0; i < 200; i++) {
            struct strategy_ask ask = ask_sticky(prng_scatter(i));
            ask.draw = ask.sticky;
            ask.turn = i;
            pool.reads = 0;
            CHECK_NE(strategy_choose(strategy_catalog[s], &ask).chosen, STRATEGY_NONE);
            CHECK_LE(pool.reads, strategy_catalog[s] == named("sticky") ? 2100 : 1040);
        }
}

/* Processor time, printed and not asserted: on a shared machine it proves nothing. */
TEST(strategy_cost_is_printed)
{
    static const size_t sizes[] = {16, 1000};
    enum { TIMES = 2000 };
    struct prng p;

    prng_seed(&p, 1);
    for (size_t k = 0; k < ARRAY_LEN(sizes); k++)
        for (size_t s = 0; s < strategy_catalog_count; s++) {
            fill_random(&p, sizes[k]);
            for (size_t i = 0; i < sizes[k]; i++)
                pool.all[i].weight = 1 + (unsigned)i % 4;
            double from = test_cpu_ns();
            for (uint64_t i = 0; i < TIMES; i++) {
                struct strategy_ask ask = ask_sticky(prng_scatter(i));
                ask.read = read_needed;
                ask.draw = ask.sticky;
                ask.turn = i;
                CHECK_NE(strategy_choose(strategy_catalog[s], &ask).chosen, STRATEGY_NONE);
            }
            printf("# %s of %zu: %.2f us\n", strategy_catalog[s]->name, sizes[k], (test_cpu_ns() - from) / 1e3 / TIMES);
        }
}
