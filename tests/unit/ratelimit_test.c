/* ratelimit_test.c - a credential is not sent to its limit, rests after a 429, and is left alone after a 401. */
#include "policy/ratelimit.h"

#include "base/prng.h"
#include "unit/test.h"

static const struct rate_rules *const usual = &rate_rules_usual;
static const struct rate_need small = {.input_tokens = 100, .output_tokens = 100};

static struct rate_reading told(enum rate_what what, uint64_t limit, uint64_t remaining, ns_t reset)
{
    struct rate_reading r = {.count = 1};

    r.windows[0] = (struct rate_window){.what = what,
                                        .has_limit = true,
                                        .has_remaining = true,
                                        .has_reset = true,
                                        .limit = limit,
                                        .remaining = remaining,
                                        .reset = reset};
    return r;
}

/* One request that is answered at once. */
static bool answer(struct rate_credential *c, enum cause cause, const struct rate_reading *r, ns_t now)
{
    struct rate_stamp stamp = rate_sent(c, &small, now);

    return rate_answered(c, usual, &stamp, cause, r, now);
}

TEST(ratelimit_allows_what_nothing_speaks_against)
{
    struct rate_credential c = {0};

    CHECK_EQ(rate_gate(&c, &small, 0).answer, RATE_ALLOWED);
    CHECK(rate_headroom(&c, 0) == 1);
}

TEST(ratelimit_gates_before_the_429)
{
    struct rate_credential c = {0};
    struct rate_reading r = told(RATE_REQUESTS, 10, 2, 60 * NS_SEC);

    answer(&c, CAUSE_OK, &r, 0);
    CHECK(rate_headroom(&c, 0) == 0.2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(rate_gate(&c, &small, NS_SEC).answer, RATE_ALLOWED);
        (void)!rate_sent(&c, &small, NS_SEC).at;
    }
    struct rate_verdict v = rate_gate(&c, &small, NS_SEC);
    CHECK_EQ(v.answer, RATE_WAIT);
    CHECK_EQ(v.at, 60 * NS_SEC);
    CHECK_EQ(v.account, 0);
    CHECK_EQ(rate_gate(&c, &small, 60 * NS_SEC).answer, RATE_ALLOWED);
    CHECK(rate_headroom(&c, 60 * NS_SEC) == 1);
}

TEST(ratelimit_counts_tokens_of_each_kind)
{
    static const struct {
        enum rate_what what;
        struct rate_need fits, exceeds;
    } rows[] = {
        {RATE_TOKENS, {300, 200}, {300, 201}},
        {RATE_INPUT_TOKENS, {500, 9999}, {501, 0}},
        {RATE_OUTPUT_TOKENS, {9999, 500}, {0, 501}},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rate_credential c = {0};
        struct rate_reading r = told(rows[i].what, 100000, 500, 60 * NS_SEC);
        answer(&c, CAUSE_OK, &r, 0);
        CHECK_EQ(rate_gate(&c, &rows[i].fits, 0).answer, RATE_ALLOWED);
        CHECK_EQ(rate_gate(&c, &rows[i].exceeds, 0).answer, RATE_WAIT);
        (void)!rate_sent(&c, &rows[i].fits, 0).at;
        CHECK_EQ(rate_gate(&c, &small, 0).answer, RATE_WAIT);
    }
}

TEST(ratelimit_says_never_to_a_request_that_is_larger_than_the_limit)
{
    struct rate_credential c = {0};
    struct rate_reading r = told(RATE_TOKENS, 1000, 1000, 60 * NS_SEC);
    struct rate_need large = {.input_tokens = 1001};

    answer(&c, CAUSE_OK, &r, 0);
    CHECK_EQ(rate_gate(&c, &large, 0).answer, RATE_NEVER);
    CHECK_EQ(rate_gate(&c, &small, 0).answer, RATE_ALLOWED);
    CHECK_EQ(rate_gate(&c, &large, 3600 * NS_SEC).answer, RATE_ALLOWED); /* who knows, by now */
}

TEST(ratelimit_takes_answers_in_any_order)
{
    struct rate_credential c = {0};
    struct rate_reading r = told(RATE_REQUESTS, 100, 50, 60 * NS_SEC);

    answer(&c, CAUSE_OK, &r, 0);
    struct rate_stamp first = rate_sent(&c, &small, NS_SEC), second = rate_sent(&c, &small, NS_SEC);
    r = told(RATE_REQUESTS, 100, 48, 60 * NS_SEC);
    rate_answered(&c, usual, &second, CAUSE_OK, &r, 2 * NS_SEC);
    CHECK(rate_headroom(&c, 2 * NS_SEC) == 0.48);
    r = told(RATE_REQUESTS, 100, 49, 60 * NS_SEC);
    rate_answered(&c, usual, &first, CAUSE_OK, &r, 3 * NS_SEC);
    CHECK(rate_headroom(&c, 3 * NS_SEC) == 0.48);
    CHECK(!c.accounts[0].refills);
}

TEST(ratelimit_rests_for_a_minute_at_most_where_no_reset_is_told)
{
    struct rate_credential c = {0};
    struct rate_reading r = told(RATE_REQUESTS, 10, 0, 0);

    r.windows[0].has_reset = false;
    answer(&c, CAUSE_OK, &r, NS_SEC);
    CHECK_EQ(rate_gate(&c, &small, NS_SEC).at, 61 * NS_SEC);
    r.windows[0].span = 3600 * NS_SEC;
    answer(&c, CAUSE_OK, &r, 2 * NS_SEC);
    CHECK_EQ(rate_gate(&c, &small, 2 * NS_SEC).at, 3602 * NS_SEC);
}

/* Of a month's quota, say, or of nonsense: once a day it is tried again. */
TEST(ratelimit_believes_in_no_reset_that_is_more_than_a_day_away)
{
    struct rate_credential c = {0};
    struct rate_reading r = told(RATE_REQUESTS, 0, 0, NS_NEVER);

    answer(&c, CAUSE_OK, &r, NS_SEC);
    CHECK_EQ(rate_gate(&c, &small, 86400 * NS_SEC).answer, RATE_NEVER);
    CHECK_EQ(rate_gate(&c, &small, 86401 * NS_SEC).answer, RATE_ALLOWED);
}

TEST(ratelimit_keeps_no_account_of_a_limit_that_does_not_say_what_is_left)
{
    struct rate_credential c = {0};
    struct rate_reading r = told(RATE_REQUESTS, 10, 0, 60 * NS_SEC);

    r.windows[0].has_remaining = false;
    for (int i = 0; i < 20; i++)
        answer(&c, CAUSE_OK, &r, NS_SEC);
    CHECK_EQ(c.account_count, 0);
    CHECK_EQ(rate_gate(&c, &small, NS_SEC).answer, RATE_ALLOWED);
}

TEST(ratelimit_forgets_a_limit_whose_reset_is_over_and_does_not_come_again)
{
    struct rate_credential c = {0};
    struct rate_reading r = told(RATE_TOKENS, 10, 10, NS_SEC);

    answer(&c, CAUSE_OK, &r, NS_SEC);
    CHECK_EQ(rate_gate(&c, &small, 600 * NS_SEC).answer, RATE_NEVER);
    CHECK_EQ(rate_gate(&c, &small, 602 * NS_SEC).answer, RATE_ALLOWED);
}

TEST(ratelimit_parks_until_the_provider_says)
{
    struct rate_credential c = {0};
    struct rate_reading r = {.has_retry = true, .retry_at = 30 * NS_SEC};

    CHECK(answer(&c, CAUSE_RATE_LIMITED, &r, NS_SEC));
    CHECK(!answer(&c, CAUSE_RATE_LIMITED, &r, NS_SEC)); /* one that was under way: no news */
    struct rate_verdict v = rate_gate(&c, &small, 29 * NS_SEC);
    CHECK_EQ(v.answer, RATE_WAIT);
    CHECK_EQ(v.at, 30 * NS_SEC);
    CHECK_EQ(v.account, -1);
    CHECK(rate_headroom(&c, 29 * NS_SEC) == 0);
    CHECK_EQ(rate_gate(&c, &small, 30 * NS_SEC).answer, RATE_ALLOWED);
    r = told(RATE_TOKENS, 1000, 0, 90 * NS_SEC); /* or until the reset of what is spent */
    answer(&c, CAUSE_RATE_LIMITED, &r, 40 * NS_SEC);
    CHECK_EQ(c.until, 90 * NS_SEC);
    CHECK_EQ(rate_gate(&c, &small, 90 * NS_SEC).answer, RATE_ALLOWED);
    r = (struct rate_reading){.has_retry = true, .retry_at = NS_NEVER};
    answer(&c, CAUSE_RATE_LIMITED, &r, 100 * NS_SEC);
    CHECK_EQ(c.until, 100 * NS_SEC + 86400 * NS_SEC); /* nobody is parked for ever */
}

TEST(ratelimit_parks_longer_each_time_where_nothing_is_said)
{
    struct rate_credential c = {0};
    ns_t now = NS_SEC, want = 2 * NS_SEC;

    for (int i = 0; i < 10; i++) {
        answer(&c, CAUSE_RATE_LIMITED, NULL, now);
        CHECK_EQ(c.until - now, want);
        now = c.until;
        want = want * 2 < 60 * NS_SEC ? want * 2 : 60 * NS_SEC;
    }
    answer(&c, CAUSE_OK, NULL, now);
    answer(&c, CAUSE_RATE_LIMITED, NULL, now);
    CHECK_EQ(c.until - now, 2 * NS_SEC);
    c = (struct rate_credential){0};
    answer(&c, CAUSE_QUOTA, NULL, 0);
    CHECK_EQ(c.until, 300 * NS_SEC);
    CHECK_EQ(c.why, CAUSE_QUOTA);
}

TEST(ratelimit_counts_refusals_of_what_was_under_way_once)
{
    struct rate_credential c = {0};
    struct rate_stamp early = rate_sent(&c, &small, 0);

    answer(&c, CAUSE_RATE_LIMITED, NULL, NS_SEC);
    answer(&c, CAUSE_RATE_LIMITED, NULL, NS_SEC);
    CHECK_EQ(c.until, 3 * NS_SEC);
    CHECK_EQ(c.parks, 1);
    rate_answered(&c, usual, &early, CAUSE_OK, NULL, 2 * NS_SEC); /* sent before: proves nothing */
    answer(&c, CAUSE_RATE_LIMITED, NULL, 4 * NS_SEC);
    CHECK_EQ(c.until, 8 * NS_SEC);
}

TEST(ratelimit_tells_limits_of_different_spans_apart)
{
    struct rate_credential c = {0};
    struct rate_reading r = told(RATE_REQUESTS, 10, 5, 60 * NS_SEC);

    r.windows[1] = r.windows[0];
    r.windows[0].span = 60 * NS_SEC;
    r.windows[1].span = 86400 * NS_SEC;
    r.windows[1].remaining = 0;
    r.windows[1].reset = 9000 * NS_SEC;
    r.count = 2;
    answer(&c, CAUSE_OK, &r, 0);
    answer(&c, CAUSE_OK, &r, 0);
    CHECK_EQ(c.account_count, 2);
    CHECK_EQ(rate_gate(&c, &small, 0).at, 9000 * NS_SEC);
}

TEST(ratelimit_believes_a_bucket_until_a_429)
{
    struct rate_credential c = {0};
    struct rate_reading r = told(RATE_REQUESTS, 60, 10, 50 * NS_SEC);

    answer(&c, CAUSE_OK, &r, 0);
    struct rate_stamp old = rate_sent(&c, &small, 0);
    r = told(RATE_REQUESTS, 60, 11, 50 * NS_SEC);
    answer(&c, CAUSE_OK, &r, NS_SEC); /* sent later, and more is left: it fills */
    CHECK(c.accounts[0].refills);
    for (int i = 0; i < 11; i++)
        (void)!rate_sent(&c, &small, NS_SEC).at;
    struct rate_verdict v = rate_gate(&c, &small, NS_SEC);
    CHECK_EQ(v.answer, RATE_WAIT);
    CHECK_LE(v.at, 2 * NS_SEC + NS_MS); /* 49 in 49 s */
    CHECK_EQ(rate_gate(&c, &small, v.at).answer, RATE_ALLOWED);
    r = told(RATE_REQUESTS, 60, 0, 50 * NS_SEC);
    answer(&c, CAUSE_RATE_LIMITED, &r, 2 * NS_SEC);
    CHECK(!c.accounts[0].refills);
    r = told(RATE_REQUESTS, 60, 30, 99 * NS_SEC);
    answer(&c, CAUSE_OK, &r, 51 * NS_SEC);
    r = told(RATE_REQUESTS, 60, 35, 99 * NS_SEC);
    answer(&c, CAUSE_OK, &r, 52 * NS_SEC);
    CHECK(!c.accounts[0].refills);
    c = (struct rate_credential){0};
    r = told(RATE_REQUESTS, 60, 10, 50 * NS_SEC);
    answer(&c, CAUSE_OK, &r, NS_SEC);
    r.windows[0].remaining = 15; /* of a request that was sent before: late, not more */
    rate_answered(&c, usual, &old, CAUSE_OK, &r, 2 * NS_SEC);
    CHECK(!c.accounts[0].refills);
}

TEST(ratelimit_retires_a_credential_that_is_refused)
{
    struct rate_credential c = {0};
    struct rate_reading r = {.has_retry = true, .retry_at = 30 * NS_SEC};

    CHECK(answer(&c, CAUSE_AUTH, NULL, NS_SEC));
    CHECK_EQ(rate_gate(&c, &small, 11 * NS_SEC - 1).answer, RATE_NEVER);
    CHECK(rate_headroom(&c, 11 * NS_SEC - 1) == 0);
    CHECK_EQ(c.why, CAUSE_AUTH);
    CHECK_EQ(c.since, NS_SEC);
    CHECK(!rate_answered(&c, usual, &(struct rate_stamp){.at = 0}, CAUSE_RATE_LIMITED, &r,
                         2 * NS_SEC)); /* was under way */
    CHECK(!rate_answered(&c, usual, &(struct rate_stamp){.at = 0}, CAUSE_AUTH, NULL, 2 * NS_SEC));
    CHECK(!rate_answered(&c, usual, &(struct rate_stamp){.at = 0}, CAUSE_OK, NULL, 2 * NS_SEC));
    CHECK_EQ(c.state, RATE_RETIRED);
    CHECK_EQ(c.until, 11 * NS_SEC);
}

TEST(ratelimit_tries_a_retired_credential_with_one_request_after_a_growing_pause)
{
    struct rate_credential c = {0};
    ns_t now = NS_SEC, pause = usual->retire;

    CHECK(answer(&c, CAUSE_AUTH, NULL, now));
    for (int i = 0; i < 12; i++) {
        CHECK_EQ(c.until, now + pause);
        now = c.until;
        struct rate_verdict v = rate_gate(&c, &small, now);
        CHECK_EQ(v.answer, RATE_ALLOWED);
        CHECK(v.is_probe);
        struct rate_stamp stamp = rate_sent(&c, &small, now);
        CHECK_EQ(rate_gate(&c, &small, now).answer, RATE_NEVER);         /* one is enough */
        CHECK(!rate_answered(&c, usual, &stamp, CAUSE_AUTH, NULL, now)); /* no alarm: it is known */
        CHECK_EQ(c.since, NS_SEC);
        pause = ns_min(2 * pause, usual->retire_max);
    }
    CHECK_EQ(pause, usual->retire_max);
    CHECK(!answer(&c, CAUSE_OK, NULL, c.until));
    CHECK_EQ(c.state, RATE_OPEN);
    CHECK(!rate_gate(&c, &small, now).is_probe);
    CHECK(answer(&c, CAUSE_AUTH, NULL, c.until + NS_SEC)); /* that is news again, and begins with the first pause */
    CHECK_EQ(c.until - c.since, usual->retire);
}

TEST(ratelimit_learns_nothing_of_a_trial_that_the_provider_did_not_judge)
{
    static const struct {
        enum cause cause;
        enum rate_state state;
    } rows[] = {{CAUSE_CONNECT, RATE_RETIRED},    {CAUSE_CANCELLED, RATE_RETIRED},   {CAUSE_OVERLOADED, RATE_RETIRED},
                {CAUSE_NOT_FOUND, RATE_RETIRED},  {CAUSE_RATE_LIMITED, RATE_PARKED}, {CAUSE_QUOTA, RATE_PARKED},
                {CAUSE_CONTEXT_LENGTH, RATE_OPEN}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rate_credential c = {0};
        answer(&c, CAUSE_AUTH, NULL, NS_SEC);
        ns_t due = c.until;
        answer(&c, rows[i].cause, NULL, due);
        CHECK_EQ(c.state, rows[i].state);
        if (c.state == RATE_RETIRED) {
            CHECK_EQ(c.until, due);
            CHECK_EQ(rate_gate(&c, &small, due).answer, RATE_ALLOWED); /* the next one tries */
        }
    }
}

TEST(ratelimit_retires_by_refusals_in_a_row_where_the_first_may_be_a_token_that_has_just_expired)
{
    struct rate_rules twice = *usual;
    struct rate_credential c = {0};

    twice.refusals = 2;
    struct rate_stamp a = rate_sent(&c, &small, 1), b = rate_sent(&c, &small, 1);
    CHECK(!rate_answered(&c, &twice, &a, CAUSE_AUTH, NULL, 5));
    CHECK(!rate_answered(&c, &twice, &b, CAUSE_AUTH, NULL, 6)); /* was under way: the same refusal */
    CHECK_EQ(c.state, RATE_OPEN);
    struct rate_stamp between = rate_sent(&c, &small, 7);
    rate_answered(&c, &twice, &between, CAUSE_OK, NULL, 8);
    a = rate_sent(&c, &small, 9);
    CHECK(!rate_answered(&c, &twice, &a, CAUSE_AUTH, NULL, 10));
    b = rate_sent(&c, &small, 11);
    CHECK(rate_answered(&c, &twice, &b, CAUSE_AUTH, NULL, 12));
    CHECK_EQ(c.state, RATE_RETIRED);
}

TEST(ratelimit_does_not_mind_other_failures)
{
    for (unsigned cause = 0; cause < CAUSES; cause++) {
        struct rate_credential c = {0};
        bool news = answer(&c, cause, NULL, NS_SEC);
        CHECK_EQ(news, cause_meaning(cause)->key != CAUSE_KEY_NONE);
    }
}

static size_t choose(struct rate_credential *c, size_t n, uint64_t draw, ns_t now, ns_t *ret_at)
{
    struct rate_option options[3];

    for (size_t i = 0; i < n; i++)
        options[i] = (struct rate_option){rate_gate(&c[i], &small, now), rate_headroom(&c[i], now), i == 0 ? 1 : 2};
    return rate_choose(options, n, draw, now, ret_at);
}

TEST(ratelimit_rotates_by_weight_and_headroom)
{
    struct rate_credential c[3] = {0};
    struct rate_reading r = told(RATE_REQUESTS, 100, 25, 60 * NS_SEC);
    unsigned times[3] = {0};
    struct prng p;
    ns_t at;

    answer(&c[1], CAUSE_OK, &r, 0);
    answer(&c[2], CAUSE_AUTH, NULL, 0);
    prng_seed(&p, 1);
    for (int i = 0; i < 5000; i++)
        times[choose(c, 3, prng_next(&p), 0, &at)]++;
    CHECK_EQ(times[2], 0);
    CHECK_GT(times[1], 1540); /* twice the weight at a quarter of the headroom: a third */
    CHECK_LT(times[1], 1790);
    r = told(RATE_REQUESTS, 100, 0, 60 * NS_SEC);
    answer(&c[1], CAUSE_OK, &r, 0);
    answer(&c[0], CAUSE_RATE_LIMITED, NULL, 0);
    CHECK_EQ(choose(c, 3, 7, NS_SEC, &at), SIZE_MAX);
    CHECK_EQ(at, 2 * NS_SEC);
    answer(&c[0], CAUSE_AUTH, NULL, 0);
    answer(&c[1], CAUSE_AUTH, NULL, 0);
    CHECK_EQ(choose(c, 3, 7, NS_SEC, &at), SIZE_MAX);
    CHECK_EQ(at, NS_NEVER);
    CHECK_EQ(choose(c, 0, 7, NS_SEC, &at), SIZE_MAX);
}

TEST(ratelimit_tries_a_retired_credential_soon_although_others_are_free)
{
    unsigned times[2] = {0};
    struct prng p;
    ns_t at;

    prng_seed(&p, 2);
    for (int i = 0; i < 1000; i++) {
        struct rate_credential c[2] = {0};
        answer(&c[1], CAUSE_AUTH, NULL, 0);
        times[choose(c, 2, prng_next(&p), c[1].until, &at)]++;
    }
    CHECK_GT(times[1], 600); /* two lots of three */
    CHECK_LT(times[1], 730);
}

/* ---- a provider with one limit on requests, as a fixed window or as a token bucket, told exactly ---- */

enum { LIMIT = 120, IN_FLIGHT = 64 };

struct provider {
    bool bucket;
    ns_t begun; /* of the window */
    double left;
    ns_t at;
};

static void provider_advance(struct provider *p, ns_t now)
{
    if (p->bucket) {
        p->left += (double)(now - p->at) / (60.0 * (double)NS_SEC) * LIMIT;
        p->left = p->left < LIMIT ? p->left : LIMIT;
    } else if (now - p->begun >= 60 * NS_SEC) {
        p->begun += (now - p->begun) / (60 * NS_SEC) * 60 * NS_SEC;
        p->left = LIMIT;
    }
    p->at = now;
}

/* Take one request; false: 429. */
static bool provider_take(struct provider *p, ns_t now, struct rate_reading *ret)
{
    provider_advance(p, now);
    bool taken = p->left >= 1;
    p->left -= taken;
    ns_t reset = p->bucket ? now + (ns_t)((LIMIT - p->left) / LIMIT * 60.0 * (double)NS_SEC) : p->begun + 60 * NS_SEC;
    *ret = told(RATE_REQUESTS, LIMIT, (uint64_t)p->left, reset);
    return taken;
}

struct flight {
    bool out, taken;
    ns_t back;
    struct rate_stamp stamp;
    struct rate_reading reading;
};

struct traffic {
    unsigned sent, refused, early; /* early: sent before a reset that a 429 had told */
};

/* Half an hour of `rate` requests a second through the gate, answered within two seconds in any order. */
static struct traffic run(struct prng *p, struct provider provider, double rate, double others)
{
    struct rate_credential c = {0};
    struct traffic t = {0};
    struct flight flights[IN_FLIGHT] = {0};
    ns_t not_before = 0;

    for (ns_t now = 0; now < 1800 * NS_SEC; now += (ns_t)(prng_exponential(p, 1e9 / rate))) {
        struct rate_reading ignored;
        if (prng_chance(p, others))
            provider_take(&provider, now, &ignored);
        for (size_t i = 0; i < IN_FLIGHT; i++) {
            struct flight *f = &flights[i];
            if (f->out && f->back <= now) {
                enum cause cause = f->taken ? CAUSE_OK : CAUSE_RATE_LIMITED;
                f->out = false;
                rate_answered(&c, usual, &f->stamp, cause, &f->reading, now);
                if (!f->taken && f->reading.windows[0].reset > not_before)
                    not_before = f->reading.windows[0].reset;
            }
        }
        size_t free = 0;
        while (free < IN_FLIGHT && flights[free].out)
            free++;
        if (free == IN_FLIGHT || rate_gate(&c, &small, now).answer != RATE_ALLOWED)
            continue;
        struct flight *f = &flights[free];
        *f = (struct flight){
            .out = true, .back = now + prng_range(p, 0, 2 * NS_SEC), .stamp = rate_sent(&c, &small, now)};
        f->taken = provider_take(&provider, now, &f->reading);
        t.sent++;
        t.refused += !f->taken;
        t.early += now < not_before;
    }
    return t;
}

TEST(ratelimit_fetches_no_429_from_a_fixed_window_and_uses_it_up)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(20); k++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        struct traffic t = run(&p, (struct provider){.left = LIMIT}, 5 + 10 * prng_unit(&p), 0);
        CHECK_EQ(t.refused, 0);
        CHECK_GE(t.sent, 30 * LIMIT * 95 / 100);
    }
}

TEST(ratelimit_learns_a_token_bucket_and_uses_what_it_fills)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(20); k++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        struct traffic t = run(&p, (struct provider){.bucket = true, .left = LIMIT}, 5 + 10 * prng_unit(&p), 0);
        CHECK_LE(t.refused, t.sent / 50);
        CHECK_GE(t.sent - t.refused, 30 * LIMIT * 90 / 100);
    }
}

/* Others spend from the same limit: 429s come, and after one nothing is sent before its reset. */
TEST(ratelimit_sends_nothing_before_the_reset_that_a_429_told)
{
    struct prng p;
    unsigned refused = 0;

    for (uint64_t k = 0; k < test_rounds(20); k++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        struct traffic t = run(&p, (struct provider){.left = LIMIT}, 5 + 10 * prng_unit(&p), 0.5);
        CHECK_EQ(t.early, 0);
        refused += t.refused;
    }
    CHECK_GT(refused, 0);
}
