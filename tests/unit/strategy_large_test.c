/*
 * strategy_large_test.c - pools so large that not all of it is read: chosen is as if all had been, in the same proportions.
 *
 * The measure is the same strategy without a roster, which reads everybody.
 */
#include "policy/strategy.h"

#include "base/mem.h"
#include "strategy_check.h"
#include "unit/test.h"

#include <math.h>

enum { MOST = 2000, LEAST = STRATEGY_SCAN_MAX + 1, PRICES = 4 };

static struct fleet {
    size_t count, reads;
    struct strategy_candidate all[MOST];
    const struct price *prices[MOST];
    const struct roster *roster;
} fleet;

static void *memory;
static struct price_step steps[MOST];
static struct price prices[MOST];

static void read_fleet(const void *ctx, size_t i, unsigned needs, struct strategy_candidate *to)
{
    struct fleet *f = (void *)(uintptr_t)ctx; /* counts the reads */

    f->reads++;
    *to = f->all[i];
    blank_unasked(to, needs);
}

/* n candidates that do not differ but for their id. */
static void fill(size_t n)
{
    fleet = (struct fleet){.count = n};
    for (size_t i = 0; i < n; i++) {
        fleet.all[i] = (struct strategy_candidate){.weight = 1,
                                                   .slow_start = 1,
                                                   .id = prng_scatter(i + 1),
                                                   .time_per_unit = 1e6,
                                                   .time_per_token = 1e7,
                                                   .headroom = 1};
        steps[i].rates = (struct price_rates){.input = 1000000, .output = 2000000, .cached_input = PRICE_UNSET};
        prices[i] = (struct price){.steps = &steps[i], .step_count = 1};
        fleet.prices[i] = &prices[i];
    }
}

static const struct roster_request request = {.input = 1000, .output = 100};

/* The roster of the fleet as it is now. */
static void arrange(void)
{
    static const struct price_tokens tokens = {.input = 1000, .output = 100};
    struct roster_entry *entries = mem_alloc(fleet.count * sizeof *entries);

    for (size_t i = 0; i < fleet.count; i++) {
        const struct price *p = fleet.prices[i];
        struct strategy_candidate *c = &fleet.all[i];
        entries[i] = (struct roster_entry){.id = c->id, .weight = c->weight, .tier = c->tier, .price = p};
        c->cost = p ? price_of(p, &tokens, PRICE_STANDARD) : UINT64_MAX;
    }
    mem_free(memory);
    memory = mem_alloc(roster_bytes(fleet.count));
    fleet.roster = roster_make(memory, entries, fleet.count);
    mem_free(entries);
}

static void let_go(void)
{
    mem_free(memory);
    memory = NULL;
}

static void fill_random(struct prng *p, size_t n, double excluded)
{
    uint64_t different = prng_chance(p, 0.5) ? PRICES : n, tiers = 1 + prng_below(p, prng_chance(p, 0.5) ? 4 : n);

    fill(n);
    for (size_t i = 0; i < n; i++) {
        struct strategy_candidate *c = &fleet.all[i];
        c->excluded = prng_chance(p, excluded) ? (enum exclusion)(2 + prng_below(p, EXCLUSIONS - 2)) : EXCLUDED_NOT;
        c->weight = 1 + (unsigned)prng_below(p, prng_chance(p, 0.2) ? 1000 : 5);
        c->slow_start = prng_chance(p, 0.2) ? 0.01 + 0.98 * prng_unit(p) : 1;
        c->tier = (unsigned)prng_below(p, tiers);
        c->in_flight = prng_below(p, 4);
        c->in_flight_tokens = c->in_flight * prng_below(p, 3000);
        c->time_per_unit = prng_chance(p, 0.2) ? 0 : 1e5 * (double)(1 + prng_below(p, 50));
        c->headroom = prng_chance(p, 0.3) ? 0 : prng_unit(p);
        steps[i].rates.input = (1 + prng_below(p, different)) * 1000000;
        fleet.prices[i] = prng_chance(p, 0.05) ? NULL : &prices[i];
    }
    arrange();
}

static struct strategy_ask ask_fleet(uint64_t draw)
{
    return (struct strategy_ask){.count = fleet.count,
                                 .read = read_fleet,
                                 .ctx = &fleet,
                                 .draw = draw,
                                 .input_tokens = 1000,
                                 .output_tokens = 100,
                                 .roster = fleet.roster,
                                 .priced = request};
}

static struct strategy_ask ask_sticky(uint64_t key)
{
    struct strategy_ask ask = ask_fleet(99);

    ask.has_sticky = true;
    ask.sticky = key;
    return ask;
}

static const struct strategy *named(const char *name)
{
    return strategy_find(str_from_c(name));
}

/* By a look at everybody. */
static struct strategy_decision by_scan(const struct strategy *s, const struct strategy_ask *ask)
{
    struct strategy_ask all = *ask;

    all.roster = NULL;
    return strategy_choose(s, &all);
}

/* --- every strategy --- */

TEST(strategy_large_never_chooses_what_is_excluded_and_always_one_that_is_left)
{
    static const double shares[] = {0, 0.1, 0.5, 0.9, 0.99, 1};
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(120) && !test_failed(); k++) {
        prng_seed(&p, test_seed() + k);
        fill_random(&p, LEAST + prng_below(&p, k % 8 ? 300 : MOST - LEAST + 1), shares[k % ARRAY_LEN(shares)]);
        size_t tried[STRATEGY_TRIED_MAX], only = prng_below(&p, fleet.count);
        for (size_t i = 0; k % 5 == 4 && i < fleet.count; i++)
            fleet.all[i].excluded = i == only ? EXCLUDED_NOT : EXCLUDED_EJECTED;
        struct strategy_ask ask = ask_fleet(prng_next(&p));
        ask.turn = prng_next(&p);
        ask.has_sticky = prng_chance(&p, 0.5);
        ask.sticky = prng_next(&p);
        ask.has_home = prng_chance(&p, 0.5);
        ask.home = ask.has_home ? prng_below(&p, fleet.count) : 0;
        ask.home_cached = prng_below(&p, 1000);
        ask.tried = tried;
        ask.tried_count = prng_below(&p, 4);
        for (size_t i = 0; i < ask.tried_count; i++)
            tried[i] = prng_below(&p, fleet.count);
        for (size_t s = 0; s < strategy_catalog_count && !test_failed(); s++) {
            test_context("seed %llu, %s", (unsigned long long)(test_seed() + k), strategy_catalog[s]->name);
            struct strategy_decision d;
            check_decision(strategy_catalog[s], &ask, fleet.all, fleet.count, &d);
            CHECK(d.chosen != STRATEGY_NONE || d.examined >= fleet.count);
        }
    }
    let_go();
}

/* A tenth of a thousand is excluded: that costs a few reads more, and never that all are read. */
TEST(strategy_large_reads_few)
{
    struct prng p;

    prng_seed(&p, 7);
    fill(1000);
    for (size_t i = 0; i < 1000; i++) {
        fleet.all[i].excluded = i % 10 == 3 ? EXCLUDED_EJECTED : EXCLUDED_NOT;
        fleet.all[i].weight = 1 + (unsigned)i % 7;
        fleet.all[i].tier = (unsigned)i / 100;
        steps[i].rates.input = (1 + (i * 7 + 979) % 1000) * 1000; /* the cheapest, 3, is out */
    }
    arrange();
    for (size_t s = 0; s < strategy_catalog_count; s++) {
        size_t most = 0;
        for (uint64_t i = 0; i < 1000; i++) {
            struct strategy_ask ask = ask_sticky(prng_next(&p));
            ask.draw = prng_next(&p);
            ask.turn = i;
            fleet.reads = 0;
            (void)strategy_choose(strategy_catalog[s], &ask);
            most = fleet.reads > most ? fleet.reads : most;
        }
        CHECK_MSG(most <= STRATEGY_TRIES, "%s reads %zu", strategy_catalog[s]->name, most);
    }
    let_go();
}

/* --- proportions --- */

/* Chi-square of what was chosen against what should be; within six standard deviations of what chance does. */
static void check_shares(const unsigned *times, const double *shares, size_t n, unsigned rounds)
{
    double chi = 0, freedom = -1;

    for (size_t i = 0; i < n; i++) {
        double want = shares[i] * rounds, off = times[i] - want;
        if (want == 0)
            CHECK_EQ(times[i], 0);
        else
            chi += off * off / want;
        freedom += want > 0;
    }
    CHECK_MSG(chi < freedom + 6 * sqrt(2 * freedom) + 6, "chi-square %f of %f degrees of freedom", chi, freedom);
}

/* Shares of the eligible ones of a tier (of all, if `by_tier` is not set), by weight and slow start. */
static void shares_of(double *shares, bool by_tier, unsigned tier)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < fleet.count; i++) {
        const struct strategy_candidate *c = &fleet.all[i];
        bool is_in = !c->excluded && (!by_tier || (c->tier == tier && c->headroom > 0));
        shares[i] = is_in ? (double)strategy_weight(c) : 0;
        sum += is_in ? strategy_weight(c) : 0;
    }
    for (size_t i = 0; i < fleet.count; i++)
        shares[i] /= (double)sum;
}

enum { DRAWS = 60000 };
static unsigned times[MOST];
static double shares[MOST];

/* Weights, a third excluded, and some of the rest starting slowly. */
static void fill_uneven(size_t n, double excluded)
{
    fill(n);
    for (size_t i = 0; i < n; i++) {
        fleet.all[i].weight = 1 + (unsigned)i % 4;
        fleet.all[i].slow_start = i % 5 == 2 ? 0.4 : 1;
        fleet.all[i].excluded = (double)prng_scatter(i) * 0x1p-64 < excluded ? EXCLUDED_RATE_LIMIT : EXCLUDED_NOT;
    }
}

static void draw_many(const struct strategy *s)
{
    struct prng p;

    prng_seed(&p, test_seed());
    memset(times, 0, sizeof times);
    for (unsigned i = 0; i < DRAWS; i++) {
        struct strategy_ask ask = ask_fleet(prng_next(&p));
        times[strategy_choose(s, &ask).chosen]++;
    }
}

TEST(strategy_large_weighted_is_in_exact_proportion_to_weight_and_slow_start)
{
    static const size_t sizes[] = {LEAST, 300, MOST};
    static const double excluded[] = {0, 0.33, 0.95}; /* the last: it often gives up drawing and reads all */

    for (size_t k = 0; k < ARRAY_LEN(sizes); k++)
        for (size_t e = 0; e < (k ? 2 : 3); e++) {
            test_context("%zu, of which %f are excluded", sizes[k], excluded[e]);
            fill_uneven(sizes[k], excluded[e]);
            arrange();
            draw_many(&strategy_weighted);
            shares_of(shares, false, 0);
            check_shares(times, shares, fleet.count, DRAWS);
        }
    let_go();
}

TEST(strategy_large_weighted_tells_a_probability_only_if_it_is_known)
{
    fill_uneven(200, 0);
    arrange();
    struct strategy_ask ask = ask_fleet(5);
    CHECK(strategy_choose(&strategy_weighted, &ask).probability == 0);
    for (size_t i = 3; i < 200; i++)
        fleet.all[i].excluded = EXCLUDED_EJECTED;
    shares_of(shares, false, 0);
    for (uint64_t k = 0; k < 300; k++) {
        ask.draw = prng_scatter(k);
        struct strategy_decision d = strategy_choose(&strategy_weighted, &ask);
        CHECK(d.probability == 0 || fabs(d.probability - shares[d.chosen]) < 1e-12);
        CHECK_EQ(d.probability > 0, d.examined == 200);
    }
    let_go();
}

TEST(strategy_large_round_robin_gives_each_its_weight_in_every_round)
{
    fill_uneven(500, 0);
    for (size_t i = 0; i < 500; i++)
        fleet.all[i].slow_start = 1;
    arrange();
    memset(times, 0, sizeof times);
    for (uint64_t turn = 0; turn < fleet.roster->round; turn++) {
        struct strategy_ask ask = ask_fleet(turn);
        ask.turn = 7 * fleet.roster->round + turn;
        struct strategy_decision d = strategy_choose(named("round-robin"), &ask);
        CHECK_EQ(d.chosen, by_scan(named("round-robin"), &ask).chosen);
        times[d.chosen]++;
    }
    for (size_t i = 0; i < 500; i++)
        CHECK_EQ(times[i], fleet.all[i].weight);
    let_go();
}

/* Whoever is left has all of its own turns, and over some rounds an equal part of the others'. */
TEST(strategy_large_round_robin_shares_the_turns_of_the_excluded_evenly)
{
    enum { COUNT = 300, ROUNDS = 60 };

    fill(COUNT);
    for (size_t i = 0; i < COUNT; i++)
        fleet.all[i].excluded = i % 5 == 1 ? EXCLUDED_EJECTED : EXCLUDED_NOT;
    arrange();
    memset(times, 0, sizeof times);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        unsigned before[COUNT];
        memcpy(before, times, sizeof before);
        for (uint64_t turn = 0; turn < COUNT; turn++) {
            struct strategy_ask ask = ask_fleet(turn);
            ask.turn = round * COUNT + turn;
            times[strategy_choose(named("round-robin"), &ask).chosen]++;
        }
        for (size_t i = 0; i < COUNT; i++) {
            CHECK_GE(times[i] - before[i], i % 5 == 1 ? 0 : 1);
            CHECK_LE(times[i] - before[i], 5); /* itself, and once for each step that those before it had to go */
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_EQ(times[i] == 0, i % 5 == 1);
        CHECK_LE(times[i], ROUNDS * 5 / 4 * 13 / 10);
    }
    let_go();
}

TEST(strategy_large_round_robin_honours_a_slow_start)
{
    fill(100);
    fleet.all[40].slow_start = 0.1;
    arrange();
    memset(times, 0, sizeof times);
    for (uint64_t turn = 0; turn < 100000; turn++) {
        struct strategy_ask ask = ask_fleet(prng_scatter(turn));
        ask.turn = turn;
        times[strategy_choose(named("round-robin"), &ask).chosen]++;
    }
    CHECK_GT(times[40], 70);
    CHECK_LT(times[40], 130);
    CHECK_GE(times[41], 1000);
    let_go();
}

/* --- tiers --- */

TEST(strategy_large_priority_chooses_from_the_tier_that_a_look_at_all_would)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(200) && !test_failed(); k++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        fill_random(&p, LEAST + prng_below(&p, 400), k % 3 ? 0.2 : 0.9);
        unsigned full = (unsigned)prng_below(&p, 4); /* so many tiers, or all of them, have no room */
        for (size_t i = 0; i < fleet.count; i++)
            if (fleet.all[i].tier < full || k % 11 == 10)
                fleet.all[i].headroom = 0;
        for (unsigned i = 0; i < 20; i++) {
            struct strategy_ask ask = ask_fleet(prng_next(&p));
            struct strategy_decision d = strategy_choose(&strategy_priority, &ask),
                                     all = by_scan(&strategy_priority, &ask);
            CHECK_EQ(d.chosen == STRATEGY_NONE, all.chosen == STRATEGY_NONE);
            if (d.chosen == STRATEGY_NONE)
                continue;
            CHECK_EQ(fleet.all[d.chosen].tier, fleet.all[all.chosen].tier);
            CHECK_EQ(fleet.all[d.chosen].headroom > 0, fleet.all[all.chosen].headroom > 0);
            CHECK(d.score == fleet.all[d.chosen].tier);
            CHECK_STR(str_from_c(d.why), all.why);
            CHECK(d.probability == 0 || d.chosen != all.chosen || d.probability == all.probability);
        }
    }
    let_go();
}

TEST(strategy_large_priority_draws_by_weight_within_a_tier)
{
    for (unsigned size = 10; size <= 200; size += 190) { /* of those few are all read */
        fill_uneven(400, 0.3);
        for (size_t i = 0; i < 400; i++) {
            fleet.all[i].tier = i < 20 ? 0 : i < 20 + size ? 1 : 2;
            fleet.all[i].headroom = i >= 20 && i % 3 ? 0.5 : 0;
        }
        arrange();
        draw_many(&strategy_priority);
        shares_of(shares, true, 1);
        check_shares(times, shares, fleet.count, DRAWS);
    }
    let_go();
}

/* --- cost --- */

TEST(strategy_large_lowest_cost_takes_the_cheapest_that_a_look_at_all_would)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(200) && !test_failed(); k++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        fill_random(&p, LEAST + prng_below(&p, 400), (double[]){0, 0.3, 0.97}[k % 3]);
        for (unsigned i = 0; i < 20; i++) {
            struct strategy_ask ask = ask_fleet(prng_next(&p));
            struct strategy_decision d = strategy_choose(named("lowest-cost"), &ask),
                                     all = by_scan(named("lowest-cost"), &ask);
            CHECK_EQ(d.chosen == STRATEGY_NONE, all.chosen == STRATEGY_NONE);
            CHECK(d.score == all.score);
            CHECK(d.chosen == STRATEGY_NONE || (double)fleet.all[d.chosen].cost == d.score);
        }
    }
    let_go();
}

TEST(strategy_large_lowest_cost_takes_one_of_the_least_busy_of_the_cheapest)
{
    fill(300);
    for (size_t i = 0; i < 300; i++) {
        fleet.all[i].in_flight_tokens = i;
        steps[i].rates.input = i < 10 || i >= 110 ? 2000000 : 1000000;
    }
    arrange();
    for (uint64_t k = 0; k < 2000;
         k++) { /* of a hundred equals, one of the lower 60: a dozen are not all of the upper 40 */
        struct strategy_ask ask = ask_fleet(prng_scatter(k));
        struct strategy_decision d = strategy_choose(named("lowest-cost"), &ask);
        CHECK_GE(d.chosen, 10);
        CHECK_LT(d.chosen, 70);
        CHECK_EQ(d.examined, STRATEGY_SAMPLE);
    }
    for (size_t i = 0; i < 300; i++) /* of eleven, the least busy, all of them */
        fleet.all[i].excluded = i >= 20 && i < 110 ? EXCLUDED_EJECTED : EXCLUDED_NOT;
    steps[0].rates.input = 1000000; /* the same, found under another price */
    steps[0].rates.cached_input = 1;
    fleet.all[0].in_flight_tokens = 500;
    for (size_t i = 20; i < 110; i++)
        steps[i].rates.input = 3000000;
    arrange();
    struct strategy_ask ask = ask_fleet(1);
    CHECK_EQ(strategy_choose(named("lowest-cost"), &ask).chosen, 10);
    CHECK_EQ(strategy_choose(named("lowest-cost"), &ask).examined, 11);
    fleet.all[0].in_flight_tokens = 3;
    CHECK_EQ(strategy_choose(named("lowest-cost"), &ask).chosen, 0);
    let_go();
}

/* --- sticky --- */

/* While nobody can be full, home and alternative are those of a look at all; so all that holds there holds here. */
TEST(strategy_large_sticky_goes_where_a_look_at_all_says)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(150) && !test_failed(); k++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        fill_random(&p, LEAST + prng_below(&p, 400), (double[]){0, 0.3, 0.9}[k % 3]);
        for (unsigned i = 0; i < 20; i++) {
            struct strategy_ask ask = ask_sticky(prng_next(&p));
            size_t first = by_scan(&strategy_sticky, &ask).chosen;
            ask.has_home = prng_chance(&p, 0.4);
            ask.home = prng_chance(&p, 0.5) && first != STRATEGY_NONE ? first : prng_below(&p, fleet.count);
            ask.home_cached = prng_below(&p, 1000);
            ask.ns_per_nanodollar = prng_unit(&p);
            struct strategy_decision d = strategy_choose(&strategy_sticky, &ask), all = by_scan(&strategy_sticky, &ask);
            CHECK_EQ(d.chosen, all.chosen);
            CHECK(d.score == all.score && d.probability == all.probability);
            CHECK_STR(str_from_c(d.why), all.why);
        }
    }
    let_go();
}

TEST(strategy_large_sticky_moves_only_the_keys_of_who_goes_or_comes)
{
    enum { COUNT = 150, KEYS = 3000 };
    static size_t before[KEYS];
    unsigned moved = 0;

    fill(COUNT);
    for (size_t i = 0; i < COUNT; i++)
        fleet.all[i].weight = 1 + (unsigned)i % 3;
    arrange();
    for (uint64_t key = 0; key < KEYS; key++) {
        struct strategy_ask ask = ask_sticky(prng_scatter(key));
        before[key] = strategy_choose(&strategy_sticky, &ask).chosen;
    }
    fleet.all[77].excluded = EXCLUDED_EJECTED;
    for (uint64_t key = 0; key < KEYS; key++) {
        struct strategy_ask ask = ask_sticky(prng_scatter(key));
        size_t now = strategy_choose(&strategy_sticky, &ask).chosen;
        CHECK(now == before[key] || before[key] == 77);
    }
    fleet.count--; /* the last is taken out of the configuration */
    fleet.all[77].excluded = EXCLUDED_NOT;
    arrange();
    for (uint64_t key = 0; key < KEYS; key++) {
        struct strategy_ask ask = ask_sticky(prng_scatter(key));
        size_t now = strategy_choose(&strategy_sticky, &ask).chosen;
        CHECK_EQ(now != before[key], before[key] == COUNT - 1);
        moved += now != before[key];
    }
    CHECK_GT(moved, 0);
    CHECK_LT(moved, KEYS / 25); /* weight 3 of 300 in the mean */
    let_go();
}

TEST(strategy_large_sticky_bounds_the_load_of_a_popular_key)
{
    enum { COUNT = 100, REQUESTS = 2000 };
    uint64_t most = 0, reads = 0;

    fill(COUNT);
    arrange();
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct strategy_ask ask = ask_sticky(1); /* everybody has the same key */
        ask.draw = prng_scatter(i);
        fleet.reads = 0;
        struct strategy_candidate *c = &fleet.all[strategy_choose(&strategy_sticky, &ask).chosen];
        c->in_flight++;
        most = c->in_flight > most ? c->in_flight : most;
        reads += fleet.reads;
    }
    CHECK_LE(most, 3 * REQUESTS / COUNT);
    CHECK_GT(most, REQUESTS / COUNT);
    CHECK_LT(reads / REQUESTS, COUNT);
    let_go();
}

/* A few requests are none too many, and who has them costs no look at others. */
TEST(strategy_large_sticky_asks_for_the_load_of_all_only_if_it_matters)
{
    fill(1000);
    arrange();
    struct strategy_ask ask = ask_sticky(5);
    struct strategy_decision d = strategy_choose(&strategy_sticky, &ask);
    CHECK_EQ(d.examined, 2);
    fleet.all[d.chosen].in_flight = 3;
    CHECK_EQ(strategy_choose(&strategy_sticky, &ask).examined, 2);
    fleet.all[d.chosen].in_flight = 5;
    CHECK_EQ(strategy_choose(&strategy_sticky, &ask).examined, 2 + STRATEGY_SAMPLE);
    CHECK_NE(strategy_choose(&strategy_sticky, &ask).chosen, d.chosen);
    for (size_t i = 0; i < 1000; i++) /* the others have as much to do */
        fleet.all[i].in_flight = 5;
    CHECK_EQ(strategy_choose(&strategy_sticky, &ask).chosen, d.chosen);
    let_go();
}

TEST(strategy_large_sticky_moves_past_who_is_full)
{
    fill(1000);
    arrange();
    struct strategy_ask ask = ask_sticky(5);
    size_t home = strategy_choose(&strategy_sticky, &ask).chosen;
    fleet.all[home].time_per_unit *= 10;
    size_t next = strategy_choose(&strategy_sticky, &ask).chosen;
    CHECK_NE(next, home);
    fleet.all[next].in_flight = 50;
    size_t third = strategy_choose(&strategy_sticky, &ask).chosen;
    CHECK(third != next && third != home);
    CHECK_EQ(third, by_scan(&strategy_sticky, &ask).chosen);
    let_go();
}
