/* latency_test.c - estimates follow what is slow at once, forget, and are not led astray by noise. */
#include "policy/latency.h"

#include "base/prng.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>

static const struct latency_rules *const usual = &latency_rules_usual;

static bool near(double got, double want, double within)
{
    return fabs(got - want) <= within * want;
}

TEST(latency_is_unknown_before_the_first_sample_and_then_is_it)
{
    struct latency l = {0};

    CHECK(latency_read(&l, usual, 5) == 0);
    latency_add(&l, usual, 300, 5);
    CHECK(latency_read(&l, usual, 5) == 300);
}

TEST(latency_believes_the_second_slow_sample_at_once)
{
    struct latency l = {0};
    ns_t now = 0;

    for (int i = 0; i < 100; i++)
        latency_add(&l, usual, 100 + i % 7, now += 100 * NS_MS);
    latency_add(&l, usual, 2000, now + NS_MS);
    CHECK(latency_read(&l, usual, now + NS_MS) < 110); /* one proves nothing */
    latency_add(&l, usual, 2000, now + 2 * NS_MS);
    CHECK(latency_read(&l, usual, now + 2 * NS_MS) == 2000);
}

/* Two replicas with the same noisy latency look the same, within 15 %: else a balancer would prefer one of them. */
TEST(latency_of_equal_replicas_looks_equal_under_noise)
{
    uint64_t rounds = test_rounds(200);
    unsigned unequal = 0;
    struct prng p;

    for (uint64_t k = 0; k < rounds; k++) {
        struct latency a = {0}, b = {0};
        ns_t now = 0;
        prng_seed(&p, test_seed() + k);
        for (int i = 0; i < 300; i++) {
            now += 100 * NS_MS;
            latency_add(&a, usual, prng_lognormal(&p, 400, 0.3), now);
            latency_add(&b, usual, prng_lognormal(&p, 400, 0.3), now);
        }
        double ra = latency_read(&a, usual, now), rb = latency_read(&b, usual, now);
        unequal += !near(ra, rb, 0.15) || !near(ra, 420, 0.2);
    }
    CHECK_LT(unequal, rounds / 10);
}

TEST(latency_returns_to_normal_when_the_deployment_does)
{
    struct latency l = {0};
    ns_t now = 0;

    latency_add(&l, usual, 100, now);
    for (int i = 0; i < 5; i++)
        latency_add(&l, usual, 5000, now += NS_SEC);
    CHECK(latency_read(&l, usual, now) > 2000);
    for (int i = 0; i < 600; i++)
        latency_add(&l, usual, 100, now += 100 * NS_MS);
    CHECK(latency_read(&l, usual, now) < 120);
}

TEST(latency_weighs_samples_by_time_not_by_number)
{
    struct latency seldom = {0}, often = {0};

    latency_add(&seldom, usual, 100, 0);
    latency_add(&often, usual, 100, 0);
    for (int i = 1; i <= 50; i++)
        latency_add(&seldom, usual, 200, i * NS_SEC / 5);
    for (int i = 1; i <= 1000; i++)
        latency_add(&often, usual, 200, i * NS_SEC / 100);
    /* Both after one tau: 1/e of the old is left. */
    CHECK(near(latency_read(&seldom, usual, 10 * NS_SEC), 163, 0.03));
    CHECK(near(latency_read(&often, usual, 10 * NS_SEC), 163, 0.03));
}

TEST(latency_sinks_without_samples_and_is_forgotten)
{
    struct latency l = {0};

    latency_add(&l, usual, 1000, 0);
    CHECK(latency_read(&l, usual, 20 * NS_SEC) == 1000);
    CHECK(near(latency_read(&l, usual, 40 * NS_SEC), 500, 1e-9));
    CHECK(near(latency_read(&l, usual, 60 * NS_SEC), 250, 1e-9));
    CHECK(latency_read(&l, usual, 121 * NS_SEC) == 0);
    latency_add(&l, usual, 70, 200 * NS_SEC);
    CHECK(latency_read(&l, usual, 200 * NS_SEC) == 70); /* and begins anew */
}

/* What was slow is tried again when its estimate has sunk; one fast answer then must not bring the old estimate back. */
TEST(latency_moves_from_what_it_has_sunk_to)
{
    struct latency l = {0};
    ns_t now = 100 * NS_SEC;

    latency_add(&l, usual, 1600, 0);
    double sunk = latency_read(&l, usual, now);
    CHECK(sunk < 101 && sunk > 99);
    latency_add(&l, usual, 80, now);
    CHECK(latency_read(&l, usual, now) < sunk);
}

TEST(latency_slows_down_by_what_requests_wait_longer_than_is_known)
{
    CHECK(latency_slowdown(1000, 0) == 1);
    CHECK(latency_slowdown(1000, 1000) == 1);
    CHECK(latency_slowdown(1000, 1500) == 1.5);
    CHECK(latency_slowdown(0, 1500) == 1); /* what is not known is not known to be slow */
}

/* Any order of coming and going, over spans in which a sum of instants would overflow. */
TEST(latency_waiting_is_the_mean_of_those_who_wait)
{
    enum { MOST = 40, STEPS = 2000 };
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(50); k++) {
        struct latency_waiting w = {0};
        ns_t sent[MOST], now = INT64_MAX / 4;
        uint64_t tokens[MOST], units = 0;
        size_t n = 0;
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        for (int i = 0; i < STEPS; i++) {
            now += (ns_t)prng_below(&p, 1000 * NS_SEC);
            if (n < MOST && (n == 0 || prng_below(&p, 2))) {
                sent[n] = now;
                tokens[n] = prng_below(&p, 10000);
                units += tokens[n] + LATENCY_BASE_UNITS;
                latency_wait_begin(&w, sent[n], tokens[n]);
                n++;
            } else {
                size_t at = prng_below(&p, n--);
                units -= tokens[at] + LATENCY_BASE_UNITS;
                latency_wait_end(&w, sent[at], tokens[at]);
                sent[at] = sent[n];
                tokens[at] = tokens[n];
            }
            int64_t rest = 0;
            for (size_t j = 0; j < n; j++)
                rest += sent[j] - w.since;
            CHECK_EQ(w.count, n);
            CHECK_EQ(w.units, units);
            CHECK(n == 0 || (rest >= 0 && rest < (int64_t)n));
        }
    }
}

TEST(latency_waited_is_per_unit_of_input_and_nothing_where_nobody_waits)
{
    struct latency_waiting w = {0};

    latency_wait_begin(&w, 100, 500);
    latency_wait_begin(&w, 300, 2500);
    CHECK(latency_waited(w.since, (double)w.units / (double)w.count, 2200) == 1); /* 2,000 ns over 2,000 units */
    CHECK(latency_waited(w.since, (double)w.units / (double)w.count, 150) ==
          0); /* sent in the future: another loop's clock */
    latency_wait_end(&w, 100, 500);
    CHECK(w.count == 1 && w.units == 3000 && w.since == 300);
    latency_wait_end(&w, 300, 2500);
    CHECK(w.count == 0 && w.units == 0);
    CHECK(latency_waited(w.since, 0, 2200) == 0);
    latency_wait_begin(&w, 700, 0); /* and begins anew */
    CHECK(w.since == 700 && w.units == LATENCY_BASE_UNITS);
}

/* Requests come at random and each waits as long as the others: none of them is held against the deployment. */
TEST(latency_waited_does_not_charge_who_is_as_fast_as_ever)
{
    enum { N = 4000, TOOK = 100, UNDER_WAY = 64 };
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(20); k++) {
        struct latency_waiting w = {0};
        ns_t queue[N], now = 0;
        size_t first = 0, last = 0;
        prng_seed(&p, test_seed() + k);
        while (last < N) {
            now += (ns_t)prng_exponential(&p, 20 * NS_MS);
            for (; first < last && queue[first] + TOOK * NS_MS <= now; first++)
                latency_wait_end(&w, queue[first], 0);
            CHECK(!w.count ||
                  latency_waited(w.since, (double)w.units / (double)w.count, now) * LATENCY_BASE_UNITS <= TOOK * 1e6);
            latency_wait_begin(&w, now, 0);
            queue[last++] = now;
        }
    }
}

TEST(latency_of_a_prompt_is_for_its_uncached_tokens_and_a_constant)
{
    CHECK(latency_units(0) == 500);
    CHECK(latency_units(10000) == 10500);
}

static int by_value(const void *a, const void *b)
{
    ns_t x = *(const ns_t *)a, y = *(const ns_t *)b;
    return (x > y) - (x < y);
}

TEST(latency_digest_quantiles_are_near_those_of_the_samples)
{
    enum { N = 2000 };
    static ns_t samples[N];
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(50); k++) {
        struct latency_digest d = {0};
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        double median = 5e6 * (double)(1 + prng_below(&p, 400)), sigma = 0.2 + prng_unit(&p);
        for (size_t i = 0; i < N; i++) {
            samples[i] = (ns_t)prng_lognormal(&p, median, sigma);
            latency_digest_add(&d, NS_SEC * 60, samples[i], (ns_t)i * NS_MS);
        }
        qsort(samples, N, sizeof samples[0], by_value);
        for (double q = 0.1; q < 0.985; q += 0.05) {
            double want = (double)samples[(size_t)(q * N)];
            if (want < 60e9)
                CHECK_MSG(near((double)latency_digest_quantile(&d, q, 1), want, 0.1), "q=%g", q);
        }
    }
}

TEST(latency_digest_says_nothing_about_too_few_samples)
{
    struct latency_digest d = {0};

    CHECK_EQ(latency_digest_quantile(&d, 0.5, 0), 0);
    for (int i = 0; i < 19; i++)
        latency_digest_add(&d, NS_SEC, 50 * NS_MS, 0);
    CHECK_EQ(latency_digest_quantile(&d, 0.95, 20), 0);
    latency_digest_add(&d, NS_SEC, 50 * NS_MS, 0);
    CHECK_GT(latency_digest_quantile(&d, 0.95, 20), 40 * NS_MS);
    CHECK_LT(latency_digest_quantile(&d, 0.95, 20), 60 * NS_MS);
}

TEST(latency_digest_forgets_by_halves)
{
    struct latency_digest d = {0};

    for (int i = 0; i < 1000; i++)
        latency_digest_add(&d, 10 * NS_SEC, 2 * NS_SEC, 0);
    for (int i = 0; i < 100; i++)
        latency_digest_add(&d, 10 * NS_SEC, 100 * NS_MS, 60 * NS_SEC);
    /* 1,000 / 64 old samples are left beside 100 new ones. */
    CHECK_LT(latency_digest_quantile(&d, 0.85, 1), 130 * NS_MS);
    CHECK_GT(latency_digest_quantile(&d, 0.88, 1), NS_SEC);
}

TEST(latency_digest_takes_anything_for_ever)
{
    struct latency_digest d = {0};

    latency_digest_add(&d, NS_SEC, 0, 0);
    latency_digest_add(&d, NS_SEC, NS_NEVER, 0);
    CHECK_LE(latency_digest_quantile(&d, 0.4, 0), NS_MS);
    CHECK_GT(latency_digest_quantile(&d, 1, 0), 50 * NS_SEC);
    for (unsigned i = 0; i < (1u << 24) + 1000; i++)
        latency_digest_add(&d, NS_SEC, 10 * NS_MS, 0);
    CHECK_GT(latency_digest_quantile(&d, 0.5, 1), 9 * NS_MS);
    CHECK_LT(latency_digest_quantile(&d, 0.5, 1), 12 * NS_MS);
}

TEST(latency_slow_start_rises_from_the_least_to_all)
{
    double last = 0;

    CHECK(slow_start(100, 0, 0.1, 100) == 1);
    CHECK(slow_start(100, 1000, 0.1, 100) == 0.1);
    CHECK(slow_start(100, 1000, 0.1, 50) == 0.1);
    CHECK(slow_start(100, 1000, 0.1, 600) == 0.5);
    CHECK(slow_start(100, 1000, 0.1, 1100) == 1);
    for (ns_t now = 0; now < 2000; now += 10) {
        double share = slow_start(100, 1000, 0.1, now);
        CHECK(share >= last);
        last = share;
    }
}
