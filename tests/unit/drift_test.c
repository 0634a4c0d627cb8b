/* drift_test.c - two samples of one distribution, and of two. P-values are held against tables and closed forms. */
#include "base/prng.h"
#include "policy/drift.h"
#include "test.h"

#include <math.h>
#include <stdio.h>

#define CHECK_NEAR(a, b, by) CHECK_MSG(fabs((a) - (b)) <= (by), "%g is not %g", (double)(a), (double)(b))

TEST(drift_of_categories_has_the_p_values_of_the_tables)
{
    /* 50:50 against 30:70: chi-squared 8.3333, one degree: p = erfc(sqrt(8.3333 / 2)). */
    const uint64_t x[] = {50, 50}, y[] = {30, 70};
    struct drift d = drift_categories(x, y, 2);

    CHECK_EQ(d.freedom, 1);
    CHECK_NEAR(d.statistic, 25.0 / 3, 1e-9);
    CHECK_NEAR(d.p, erfc(sqrt(25.0 / 6)), 1e-9);
    /* Of two degrees p is exp(-chi / 2), on both sides of where the series ends. */
    const uint64_t u[] = {100, 100, 100}, v[] = {120, 90, 90}, w[] = {180, 60, 60};
    d = drift_categories(u, v, 3);
    CHECK_EQ(d.freedom, 2);
    CHECK_NEAR(d.p, exp(-d.statistic / 2), 1e-9);
    d = drift_categories(u, w, 3);
    CHECK_NEAR(d.p, exp(-d.statistic / 2), 1e-12);
    CHECK(d.p < 1e-8);
}

TEST(drift_counts_rare_categories_together)
{
    const uint64_t x[] = {50, 50, 1, 1, 2, 1, 0}, y[] = {50, 50, 1, 0, 1, 2, 1};
    struct drift d = drift_categories(x, y, 7);

    CHECK_EQ(d.freedom, 2); /* two, and all the others */
    CHECK(d.p > 0.9);
    /* A category that is new is found although there was none of it before. */
    const uint64_t before[] = {100, 0}, after[] = {80, 20};
    CHECK(drift_categories(before, after, 2).p < 1e-4);
}

TEST(drift_of_numbers_has_the_p_values_of_the_tables)
{
    enum { N = 1000 };
    double x[N], y[N];

    /* Uniform on [0, 1) against one that is shifted: D is the shift. Of the limit, 1.3581 is the point of 5 %, 1.6276 that of 1 %. */
    for (int i = 0; i < N; i++) {
        x[i] = (double)i / N;
        y[i] = (double)i / N + 0.06;
    }
    struct drift d = drift_numbers(x, N, y, N);
    CHECK_NEAR(d.statistic, 0.06, 1.5e-3);
    double l = (sqrt(N / 2.0) + 0.12 + 0.11 / sqrt(N / 2.0)) * d.statistic;
    CHECK_NEAR(l, 1.3581, 0.04);
    CHECK_NEAR(d.p, 0.05, 0.008);
    /* All below all others. */
    for (int i = 0; i < N; i++)
        y[i] = x[i] + 10;
    d = drift_numbers(x, N, y, N);
    CHECK_NEAR(d.statistic, 1, 1e-12);
    CHECK(d.p < 1e-12);
}

TEST(drift_finds_nothing_in_what_is_the_same_or_too_little)
{
    double x[40], y[40];
    const uint64_t few[] = {10, 0}, other[] = {0, 10}, one[] = {100};

    for (int i = 0; i < 40; i++)
        x[i] = y[i] = i / 4;
    CHECK(drift_numbers(x, 40, y, 40).p >= 1);
    CHECK(drift_numbers(x, DRIFT_LEAST - 1, y, 40).p >= 1);
    CHECK(drift_categories(few, other, 2).p >= 1);
    CHECK(drift_categories(one, one, 1).p >= 1);
}

TEST(drift_is_found_by_chance_as_seldom_as_the_p_value_says)
{
    enum { TRIALS = 2000, N = 200 };
    unsigned numbers = 0, categories = 0;
    struct prng p;

    prng_seed(&p, test_seed());
    for (int t = 0; t < TRIALS; t++) {
        double x[N], y[N];
        uint64_t u[4] = {0}, v[4] = {0};
        for (int i = 0; i < N; i++) {
            x[i] = prng_unit(&p);
            y[i] = prng_unit(&p);
            u[prng_below(&p, 4)]++;
            v[prng_below(&p, 4)]++;
        }
        numbers += drift_numbers(x, N, y, N).p < 0.05;
        categories += drift_categories(u, v, 4).p < 0.05;
    }
    (void)printf("# of %d: %u and %u\n", TRIALS, numbers, categories);
    /* 100 are expected of each; more than 6 standard deviations off never happens. */
    CHECK_GT(numbers, 40);
    CHECK_LT(numbers, 160);
    CHECK_GT(categories, 40);
    CHECK_LT(categories, 160);
}
