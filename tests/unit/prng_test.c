/* prng_test.c - the generator gives the published numbers, and its draws have the shapes that they claim. */
#include "base/prng.h"

#include "unit/test.h"

#include <math.h>

TEST(prng_gives_the_published_numbers_of_xoshiro256_plus_plus)
{
    static const uint64_t published[] = {
        41943041U,
        58720359U,
        3588806011781223U,
        3591011842654386U,
        9228616714210784205U,
        9973669472204895162U,
        14011001112246962877U,
        12406186145184390807U,
        15849039046786891736U,
        10450023813501588000U,
    };
    struct prng p = {{1, 2, 3, 4}};

    for (size_t i = 0; i < ARRAY_LEN(published); i++)
        CHECK_EQ(prng_next(&p), published[i]);
}

TEST(prng_is_seeded_by_the_published_splitmix64)
{
    struct prng p;

    prng_seed(&p, 1477776061723855037U);
    CHECK_EQ(p.s[0], 1985237415132408290U);
    CHECK_EQ(p.s[1], 2979275885539914483U);
    CHECK_EQ(p.s[2], 13511426838097143398U);
}

TEST(prng_repeats_a_seed_and_differs_between_seeds)
{
    struct prng a, b, c;

    prng_seed(&a, 7);
    prng_seed(&b, 7);
    prng_seed(&c, 8);
    for (int i = 0; i < 100; i++) {
        uint64_t x = prng_next(&a);
        CHECK_EQ(prng_next(&b), x);
        CHECK_NE(prng_next(&c), x);
    }
}

TEST(prng_fork_leaves_the_parent_one_draw_further_and_gives_another_stream)
{
    struct prng parent, twin, child;

    prng_seed(&parent, 3);
    twin = parent;
    child = prng_fork(&parent);
    CHECK_NE(prng_next(&child), prng_next(&twin));
    CHECK_EQ(prng_next(&parent), prng_next(&twin));
}

TEST(prng_below_stays_below_and_is_even)
{
    enum { BOUND = 7, DRAWS = 70000 };
    unsigned seen[BOUND] = {0};
    struct prng p;

    prng_seed(&p, test_seed());
    for (int i = 0; i < DRAWS; i++) {
        uint64_t v = prng_below(&p, BOUND);
        CHECK_LT(v, BOUND);
        seen[v]++;
    }
    for (int i = 0; i < BOUND; i++) {
        CHECK_GT(seen[i], DRAWS / BOUND - 600); /* six standard deviations */
        CHECK_LT(seen[i], DRAWS / BOUND + 600);
    }
}

/* With 3/4 of the range, a generator that only took the high half would give the values below 2^62 two chances of four. */
TEST(prng_below_has_no_bias_where_the_bound_is_large)
{
    enum { DRAWS = 30000 };
    uint64_t bound = 3 * ((uint64_t)1 << 62);
    unsigned thirds[3] = {0};
    unsigned even = 0;
    struct prng p;

    prng_seed(&p, test_seed());
    for (int i = 0; i < DRAWS; i++) {
        uint64_t v = prng_below(&p, bound);
        CHECK_LT(v, bound);
        thirds[v >> 62]++;
        even += v % 3 == 0;
    }
    for (int i = 0; i < 3; i++) {
        CHECK_GT(thirds[i], DRAWS / 3 - 500);
        CHECK_LT(thirds[i], DRAWS / 3 + 500);
    }
    CHECK_GT(even, DRAWS / 3 - 500); /* without rejection multiples of 3 come up twice as often as the rest of them */
    CHECK_LT(even, DRAWS / 3 + 500);
}

TEST(prng_range_includes_both_ends_and_takes_the_widest_range)
{
    bool low = false, high = false;
    struct prng p;

    prng_seed(&p, test_seed());
    for (int i = 0; i < 1000; i++) {
        int64_t v = prng_range(&p, -3, 3);
        CHECK_GE(v, -3);
        CHECK_LE(v, 3);
        low |= v == -3;
        high |= v == 3;
    }
    CHECK(low);
    CHECK(high);
    CHECK_EQ(prng_range(&p, 5, 5), 5);
    CHECK_NE(prng_range(&p, INT64_MIN, INT64_MAX), prng_range(&p, INT64_MIN, INT64_MAX));
}

TEST(prng_unit_is_in_0_to_1_and_even)
{
    double sum = 0;
    struct prng p;

    prng_seed(&p, test_seed());
    for (int i = 0; i < 10000; i++) {
        double u = prng_unit(&p);
        CHECK(u >= 0 && u < 1);
        sum += u;
    }
    CHECK(fabs(sum / 10000 - 0.5) < 0.02);
}

TEST(prng_chance_takes_one_draw_and_knows_never_and_always)
{
    struct prng p, twin;

    prng_seed(&p, test_seed());
    twin = p;
    for (int i = 0; i < 1000; i++) {
        CHECK(!prng_chance(&p, 0));
        CHECK(prng_chance(&p, 1));
        (void)prng_next(&twin);
        (void)prng_next(&twin);
    }
    CHECK_MEM(&p, &twin, sizeof p);
}

TEST(prng_distributions_have_their_mean_spread_and_median)
{
    enum { DRAWS = 40000 };
    double exponential = 0, normal = 0, squares = 0;
    unsigned below_median = 0;
    struct prng p;

    prng_seed(&p, test_seed());
    for (int i = 0; i < DRAWS; i++) {
        double e = prng_exponential(&p, 250), n = prng_normal(&p, 10, 3);
        CHECK(e >= 0 && isfinite(e));
        exponential += e;
        normal += n;
        squares += (n - 10) * (n - 10);
        below_median += prng_lognormal(&p, 80, 0.7) < 80;
    }
    CHECK(fabs(exponential / DRAWS - 250) < 8);
    CHECK(fabs(normal / DRAWS - 10) < 0.1);
    CHECK(fabs(sqrt(squares / DRAWS) - 3) < 0.1);
    CHECK(fabs((double)below_median / DRAWS - 0.5) < 0.02);
}
