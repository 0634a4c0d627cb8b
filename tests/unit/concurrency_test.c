/* concurrency_test.c - the limit finds the edge at which objectives are just kept, and noise does not drive it away. */
#include "policy/concurrency.h"

#include "base/prng.h"
#include "unit/test.h"

#include <math.h>

static const struct concurrency_rules rules = {
    .least = 2,
    .most = 256,
    .first = 32,
    .first_token = NS_SEC,
    .per_token = 40 * NS_MS,
    .interval = NS_SEC,
    .samples = 20,
};

/* So many samples that began after the last change, at the end of an interval. */
static void feed(struct concurrency *c, unsigned n, ns_t per_token, unsigned in_flight, ns_t *now)
{
    ns_t begun = *now + 1;

    *now += 2 * NS_SEC;
    for (unsigned i = 0; i < n; i++)
        concurrency_sample(c, &rules,
                           &(struct concurrency_sample){.begun = begun, .per_token = per_token, .in_flight = in_flight},
                           *now);
}

TEST(concurrency_falls_when_objectives_are_missed_and_rises_when_they_are_kept_at_the_limit)
{
    struct concurrency c;
    ns_t now = NS_SEC;

    concurrency_init(&c, &rules, now);
    CHECK(c.limit == 32);
    CHECK(concurrency_admits(&c, 31) && !concurrency_admits(&c, 32));
    feed(&c, 20, 50 * NS_MS, 32, &now);
    CHECK(fabs(c.limit - 25.6) < 1e-9);
    CHECK_EQ(c.reason, CONCURRENCY_MISSED);
    feed(&c, 20, 20 * NS_MS, 25, &now);
    CHECK(c.limit > 26 && c.limit < 29);
    CHECK_EQ(c.reason, CONCURRENCY_KEPT);
}

TEST(concurrency_is_lowered_for_slow_first_tokens_too)
{
    struct concurrency c;

    concurrency_init(&c, &rules, 0);
    for (int i = 0; i < 20; i++)
        concurrency_sample(
            &c, &rules,
            &(struct concurrency_sample){.begun = 1, .first_token = 2 * NS_SEC, .per_token = NS_MS, .in_flight = 32},
            2 * NS_SEC);
    CHECK(c.limit < 32);
}

TEST(concurrency_does_not_rise_on_what_it_did_not_hold_back)
{
    struct concurrency c;
    ns_t now = 0;

    concurrency_init(&c, &rules, now);
    for (int i = 0; i < 50; i++)
        feed(&c, 20, 20 * NS_MS, 10, &now);
    CHECK(c.limit == 32);
    feed(&c, 20, 50 * NS_MS, 10, &now); /* missed with ten in flight: the limit that would help is below ten */
    CHECK(fabs(c.limit - 8) < 1e-9);
}

TEST(concurrency_waits_for_evidence_from_after_its_last_change)
{
    struct concurrency c;
    ns_t now = NS_SEC;

    concurrency_init(&c, &rules, now);
    feed(&c, 19, 90 * NS_MS, 32, &now);
    CHECK(c.limit == 32); /* too few */
    feed(&c, 1, 90 * NS_MS, 32, &now);
    double lowered = c.limit;
    CHECK(lowered < 32);
    for (int i = 0; i < 100; i++)
        concurrency_sample(&c, &rules,
                           &(struct concurrency_sample){.begun = now - 1, .per_token = NS_SEC, .in_flight = 32},
                           now + 5 * NS_SEC);
    CHECK(c.limit == lowered); /* what was measured began before */
    for (int i = 0; i < 100; i++)
        concurrency_sample(&c, &rules, &(struct concurrency_sample){.begun = now, .per_token = NS_SEC, .in_flight = 32},
                           now + rules.interval - 1);
    CHECK(c.limit == lowered); /* too soon */
}

TEST(concurrency_heeds_a_provider_that_refuses_once_per_interval)
{
    struct concurrency c;

    concurrency_init(&c, &rules, 0);
    concurrency_overloaded(&c, &rules, NS_SEC, 20, 2 * NS_SEC);
    CHECK(fabs(c.limit - 18) < 1e-9);
    CHECK_EQ(c.reason, CONCURRENCY_OVERLOADED);
    concurrency_overloaded(&c, &rules, NS_SEC, 20, 4 * NS_SEC); /* sent before the limit was lowered */
    concurrency_overloaded(&c, &rules, 2 * NS_SEC, 20, 2 * NS_SEC + 5);
    CHECK(fabs(c.limit - 18) < 1e-9);
    concurrency_overloaded(&c, &rules, 3 * NS_SEC, 18, 4 * NS_SEC);
    CHECK(c.limit < 17);
}

TEST(concurrency_stays_within_its_bounds_whatever_it_is_told)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(300); k++) {
        struct concurrency c;
        ns_t now = 0;
        prng_seed(&p, test_seed() + k);
        concurrency_init(&c, &rules, now);
        for (int i = 0; i < 300; i++) {
            struct concurrency_sample s = {.begun = now - prng_range(&p, -NS_SEC, 2 * NS_SEC),
                                           .first_token = prng_range(&p, -5, 1) * NS_SEC * (ns_t)prng_below(&p, 9),
                                           .per_token = prng_range(&p, 0, NS_SEC),
                                           .in_flight = (unsigned)prng_below(&p, 1000)};
            now += prng_range(&p, 0, NS_SEC);
            concurrency_sample(&c, &rules, &s, now);
            if (prng_chance(&p, 0.1))
                concurrency_overloaded(&c, &rules, s.begun, s.in_flight, now);
            CHECK(c.limit >= rules.least && c.limit <= rules.most);
            CHECK(concurrency_admits(&c, 0));
        }
    }
}

/*
 * A model server: n answers at a time take 20 ms * (1 + n / 40) per token each, so that 40 keep the objective of 40 ms.
 * Twice as much comes as that. Each answer reports every 25 tokens, with noise.
 */
enum { SERVER_MAX = 256, TOKENS = 250, REPORT = 25 };

struct server {
    unsigned n;
    struct {
        double left, part; /* tokens */
        ns_t part_begun;
    } all[SERVER_MAX];
};

static double server_per_token(const struct server *s)
{
    return 0.020 * (1 + s->n / 40.0);
}

struct outcome {
    double limit, per_token; /* means over the second half */
    double per_token_at_60;  /* over the ten seconds before 60 s */
    double least;            /* limit in the second half   */
};

static struct outcome serve(struct prng *p, struct concurrency_rules r, double noise, double stragglers)
{
    static struct server s;
    const double step = 0.05;
    struct concurrency c;
    struct outcome o = {.least = INFINITY};
    unsigned halves = 0, sixty = 0;

    s = (struct server){0};
    concurrency_init(&c, &r, 0);
    for (ns_t now = 0; now < 240 * NS_SEC; now += 50 * NS_MS) {
        /* Twice the capacity waits outside all the time; not more than four begin in a step. */
        for (int i = 0; i < 4 && s.n < SERVER_MAX && concurrency_admits(&c, s.n); i++) {
            s.all[s.n].left = prng_exponential(p, TOKENS);
            s.all[s.n].part = 0;
            s.all[s.n++].part_begun = now;
        }
        double tokens = step / server_per_token(&s);
        for (unsigned i = 0; i < s.n;) {
            s.all[i].left -= tokens;
            s.all[i].part += tokens;
            if (s.all[i].part >= REPORT) {
                double took = (double)(now - s.all[i].part_begun) / s.all[i].part * prng_lognormal(p, 1, noise);
                if (prng_chance(p, stragglers))
                    took *= 20;
                concurrency_sample(&c, &r,
                                   &(struct concurrency_sample){
                                       .begun = s.all[i].part_begun, .per_token = (ns_t)took, .in_flight = s.n},
                                   now);
                s.all[i].part = 0;
                s.all[i].part_begun = now;
            }
            if (s.all[i].left > 0)
                i++;
            else
                s.all[i] = s.all[--s.n];
        }
        if (now >= 50 * NS_SEC && now < 60 * NS_SEC) {
            o.per_token_at_60 += server_per_token(&s);
            sixty++;
        }
        if (now >= 120 * NS_SEC) {
            o.limit += c.limit;
            o.per_token += server_per_token(&s);
            o.least = fmin(o.least, c.limit);
            halves++;
        }
    }
    o.limit /= halves;
    o.per_token /= halves;
    o.per_token_at_60 /= sixty;
    return o;
}

TEST(concurrency_converges_to_the_edge_from_both_sides_and_keeps_the_objective_within_a_minute)
{
    static const double firsts[] = {4, 40, 250};
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(5); k++)
        for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
            struct concurrency_rules r = rules;
            test_context("seed %llu, from %g", (unsigned long long)(test_seed() + k), firsts[i]);
            prng_seed(&p, test_seed() + k);
            r.first = firsts[i];
            struct outcome o = serve(&p, r, 0.2, 0);
            CHECK_MSG(o.per_token_at_60 <= 0.040 * 1.1, "%f s per token within a minute", o.per_token_at_60);
            CHECK_MSG(o.per_token <= 0.040 * 1.05, "%f s per token", o.per_token);
            CHECK_MSG(o.limit > 40 * 0.8 && o.limit < 40 * 1.1, "limit %f", o.limit);
        }
}

TEST(concurrency_does_not_collapse_under_noise_and_stragglers)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(5); k++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        struct outcome o = serve(&p, rules, 0.5, 0.02);
        CHECK_MSG(o.limit > 40 * 0.5, "limit %f", o.limit);
        CHECK_MSG(o.least > 40 * 0.3, "least limit %f", o.least);
    }
}

TEST(concurrency_has_words_for_each_reason)
{
    for (unsigned i = 0; i < CONCURRENCY_REASONS; i++)
        CHECK(concurrency_reason_words(i) != NULL);
}
