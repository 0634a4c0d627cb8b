/* live_credential_test.c - credentials of all loops: what one answer teaches, everybody reads; also of several threads. */
#include "fleet/live.h"

#include "base/prng.h"
#include "rt/threads.h"
#include "test.h"

static const struct rate_need need = {.input_tokens = 100, .output_tokens = 50};

struct house {
    struct live *live;
    struct live_credential *key;
    struct live_limit *large, *small;
    ns_t now;
};

static void house_open(struct house *h, bool expires)
{
    *h = (struct house){.live = live_new(), .now = 1000 * NS_SEC};
    h->key = live_credential_ref(live_credentials(h->live), STR("identity"), expires);
    h->large = live_limit_ref(h->key, STR("large"));
    h->small = live_limit_ref(h->key, STR("small"));
}

static void house_close(struct house *h)
{
    live_credential_unref(h->key);
    live_limit_unref(h->large);
    live_limit_unref(h->small);
    live_free(h->live);
}

static struct rate_option seen(struct house *h, struct live_limit *l)
{
    struct rate_option o = {.weight = 1};
    live_credential_read(h->key, l, STR("mine"), &need, h->now, &o);
    return o;
}

static enum rate_answer answer_to(struct house *h, struct live_limit *l)
{
    return seen(h, l).verdict.answer;
}

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

/* A request that is let through and answered at once. */
static enum live_credential_news ask(struct house *h, struct live_limit *l, struct str model, enum cause cause,
                                     bool of_key, const struct rate_reading *r)
{
    struct live_credential_use u;
    if (live_credential_send(h->key, l, model, &need, false, h->now, &u).answer != RATE_ALLOWED)
        return LIVE_CREDENTIAL_NEWS;
    return live_credential_answered(&u, cause, of_key, r, h->now);
}

TEST(live_credential_is_one_for_all_who_name_its_identity_and_gone_with_the_last)
{
    struct live *live = live_new();
    struct live_credentials *all = live_credentials(live);
    struct live_credential *a = live_credential_ref(all, STR("a"), false),
                           *same = live_credential_ref(all, STR("a"), false),
                           *other = live_credential_ref(all, STR("b"), false);
    struct live_credential_report r;

    CHECK(a == same);
    CHECK(a != other);
    struct live_limit *l = live_limit_ref(a, STR("m"));
    CHECK(l == live_limit_ref(a, STR("m")));
    CHECK(l != live_limit_ref(other, STR("m")));
    live_limit_unref(live_limit_ref(other, STR("n"))); /* others' limits come and go */
    struct live_credential_use u;
    CHECK_EQ(live_credential_send(a, l, STR("m"), &need, false, 1, &u).answer, RATE_ALLOWED);
    CHECK_EQ(live_credential_answered(&u, CAUSE_AUTH, true, NULL, 2), LIVE_CREDENTIAL_RETIRED);
    live_credential_unref(a);
    live_credential_unref(same);
    live_limit_unref(l);
    CHECK(a == live_credential_ref(all, STR("a"), false)); /* a limit holds it */
    live_credential_report(a, 3, &r);
    CHECK_EQ(r.state.state, RATE_RETIRED);
    live_limit_unref(l);
    live_credential_unref(a);
    a = live_credential_ref(all, STR("a"), false);
    live_credential_report(a, 3, &r);
    CHECK_EQ(r.state.state, RATE_OPEN);
    CHECK_EQ(r.sent, 0);
    live_credential_unref(a);
    l = live_limit_ref(other, STR("m"));
    live_limit_unref(l);
    live_limit_unref(l);
    live_credential_unref(other);
    live_free(live);
}

TEST(live_credential_waits_out_a_429_for_its_model_only)
{
    struct house h;
    house_open(&h, false);
    struct rate_reading r = {.has_retry = true, .retry_at = h.now + 20 * NS_SEC};

    CHECK_EQ(ask(&h, h.large, STR("large"), CAUSE_RATE_LIMITED, false, &r), LIVE_CREDENTIAL_PARKED);
    struct rate_option o = seen(&h, h.large);
    CHECK_EQ(o.verdict.answer, RATE_WAIT);
    CHECK_EQ(o.verdict.at, r.retry_at);
    CHECK(o.headroom == 0);
    CHECK_EQ(answer_to(&h, h.small), RATE_ALLOWED);
    CHECK_EQ(ask(&h, h.large, STR("large"), CAUSE_OK, false, NULL),
             LIVE_CREDENTIAL_NEWS); /* not even by who did not look */
    h.now = r.retry_at - 1;
    CHECK_EQ(answer_to(&h, h.large), RATE_WAIT);
    h.now = r.retry_at;
    CHECK_EQ(answer_to(&h, h.large), RATE_ALLOWED);
    CHECK(seen(&h, h.large).headroom == 1);
    house_close(&h);
}

TEST(live_credential_gates_before_the_429_and_lets_through_after_the_reset)
{
    struct house h;
    house_open(&h, false);
    struct rate_reading r = told(RATE_INPUT_TOKENS, 1000, 250, h.now + 30 * NS_SEC);

    ask(&h, h.large, STR("large"), CAUSE_OK, false, &r);
    CHECK(seen(&h, h.large).headroom == 0.25);
    struct live_credential_use u[2], third;
    for (int i = 0; i < 2; i++)
        CHECK_EQ(live_credential_send(h.key, h.large, STR("large"), &need, false, h.now, &u[i]).answer, RATE_ALLOWED);
    CHECK(seen(&h, h.large).headroom == 0.05); /* too little for this request */
    struct rate_verdict v = live_credential_send(h.key, h.large, STR("large"), &need, false, h.now, &third);
    CHECK_EQ(v.answer, RATE_WAIT);
    CHECK_EQ(v.at, h.now + 30 * NS_SEC);
    CHECK_EQ(seen(&h, h.large).verdict.at, v.at);
    struct rate_need tiny = {.input_tokens = 50};
    struct rate_option o;
    live_credential_read(h.key, h.large, STR_NONE, &tiny, h.now, &o);
    CHECK_EQ(o.verdict.answer, RATE_ALLOWED);
    h.now = v.at;
    live_credential_read(h.key, h.large, STR_NONE, &tiny, h.now, &o);
    CHECK(o.headroom == 1); /* also for who would have fitted before */
    CHECK_EQ(answer_to(&h, h.large), RATE_ALLOWED);
    CHECK(seen(&h, h.large).headroom ==
          1); /* though nothing was sent since: it is not forgotten for having been empty */
    for (int i = 0; i < 2; i++)
        CHECK_EQ(live_credential_answered(&u[i], CAUSE_OK, false, NULL, h.now), LIVE_CREDENTIAL_SAME);
    house_close(&h);
}

TEST(live_credential_lets_an_estimate_pass_that_is_larger_than_the_whole_limit_when_all_of_it_is_free)
{
    static const enum rate_what whats[] = {RATE_TOKENS, RATE_INPUT_TOKENS, RATE_OUTPUT_TOKENS};

    for (size_t i = 0; i < ARRAY_LEN(whats); i++) {
        struct house h;
        house_open(&h, false);
        struct rate_reading r = told(whats[i], 40, 40, h.now + 30 * NS_SEC);
        ask(&h, h.large, STR("large"), CAUSE_OK, false, &r);
        CHECK_EQ(answer_to(&h, h.large), RATE_ALLOWED);
        r = told(whats[i], 40, 39, h.now + 30 * NS_SEC);
        ask(&h, h.large, STR("large"), CAUSE_OK, false, &r);
        CHECK_EQ(answer_to(&h, h.large), RATE_WAIT);
        house_close(&h);
    }
}

TEST(live_credential_is_retired_as_a_whole_by_a_401_and_tried_again)
{
    struct house h;
    house_open(&h, false);

    CHECK_EQ(ask(&h, h.large, STR("large"), CAUSE_AUTH, true, NULL), LIVE_CREDENTIAL_RETIRED);
    CHECK_EQ(answer_to(&h, h.large), RATE_NEVER);
    CHECK_EQ(answer_to(&h, h.small), RATE_NEVER);
    CHECK_EQ(answer_to(&h, NULL), RATE_NEVER);
    CHECK_EQ(ask(&h, NULL, STR("another"), CAUSE_OK, false, NULL), LIVE_CREDENTIAL_NEWS);
    h.now += rate_rules_usual.retire;
    CHECK(seen(&h, h.small).verdict.is_probe);
    struct live_credential_use probe, second;
    CHECK_EQ(live_credential_send(h.key, h.small, STR("small"), &need, false, h.now, &probe).answer, RATE_ALLOWED);
    CHECK_EQ(answer_to(&h, h.large), RATE_NEVER); /* one at a time, of whatever model */
    CHECK_EQ(live_credential_send(h.key, h.large, STR("large"), &need, false, h.now, &second).answer, RATE_NEVER);
    CHECK_EQ(live_credential_answered(&probe, CAUSE_OK, false, NULL, h.now + 1), LIVE_CREDENTIAL_ACCEPTED);
    CHECK_EQ(answer_to(&h, h.large), RATE_ALLOWED);
    house_close(&h);
}

TEST(live_credential_that_is_all_there_is_is_tried_by_one_request_at_a_time_without_a_pause)
{
    struct live_credential_use first, second;
    struct house h;
    house_open(&h, false);

    for (int i = 0; i < 3; i++) {
        ask(&h, h.large, STR("large"), CAUSE_AUTH, true, NULL);
        CHECK_EQ(answer_to(&h, h.small), RATE_NEVER);
        CHECK_EQ(live_credential_send(h.key, h.small, STR("small"), &need, true, h.now, &first).answer, RATE_ALLOWED);
        CHECK_EQ(live_credential_send(h.key, h.large, STR("large"), &need, true, h.now, &second).answer, RATE_NEVER);
        CHECK_EQ(live_credential_answered(&first, CAUSE_AUTH, true, NULL, h.now), LIVE_CREDENTIAL_SAME);
        h.now += NS_SEC;
    }
    CHECK_EQ(live_credential_send(h.key, h.large, STR("large"), &need, true, h.now, &first).answer, RATE_ALLOWED);
    CHECK_EQ(live_credential_answered(&first, CAUSE_RATE_LIMITED, false, NULL, h.now), LIVE_CREDENTIAL_PARKED);
    CHECK_EQ(live_credential_send(h.key, h.large, STR("large"), &need, true, h.now, &second).answer,
             RATE_WAIT); /* no rest is broken */
    CHECK_EQ(answer_to(&h, h.small), RATE_ALLOWED);
    house_close(&h);
}

TEST(live_credential_that_is_refused_for_a_model_serves_the_others)
{
    struct house h;
    house_open(&h, false);

    CHECK_EQ(ask(&h, h.large, STR("large"), CAUSE_AUTH, false, NULL), LIVE_CREDENTIAL_NOT_MODEL);
    CHECK_EQ(answer_to(&h, h.large), RATE_NEVER);
    CHECK_EQ(answer_to(&h, h.small), RATE_ALLOWED);
    CHECK_EQ(ask(&h, h.small, STR("small"), CAUSE_OK, false, NULL), LIVE_CREDENTIAL_SAME);
    CHECK_EQ(answer_to(&h, h.large), RATE_NEVER);
    h.now += rate_rules_usual.retire;
    CHECK_EQ(ask(&h, h.large, STR("large"), CAUSE_AUTH, false, NULL), LIVE_CREDENTIAL_SAME); /* no second alarm */
    h.now += 2 * rate_rules_usual.retire;
    CHECK_EQ(ask(&h, h.large, STR("large"), CAUSE_OK, false, NULL), LIVE_CREDENTIAL_ACCEPTED);
    house_close(&h);
}

TEST(live_credential_that_renews_itself_is_retired_by_the_second_refusal)
{
    struct house h;
    house_open(&h, true);

    CHECK_EQ(ask(&h, h.large, STR("large"), CAUSE_AUTH, true, NULL), LIVE_CREDENTIAL_SAME);
    h.now++;
    CHECK_EQ(answer_to(&h, h.small), RATE_ALLOWED);
    CHECK_EQ(ask(&h, h.small, STR("small"), CAUSE_AUTH, true, NULL), LIVE_CREDENTIAL_RETIRED);
    house_close(&h);
}

TEST(live_credential_whose_quota_is_spent_rests_as_a_whole)
{
    struct house h;
    struct live_credential_report r;
    house_open(&h, false);

    CHECK_EQ(ask(&h, h.large, STR("large"), CAUSE_QUOTA, false, NULL), LIVE_CREDENTIAL_SPENT);
    CHECK_EQ(seen(&h, h.small).verdict.at, h.now + rate_rules_usual.quota);
    h.now += rate_rules_usual.quota;
    CHECK_EQ(ask(&h, h.large, STR("large"), CAUSE_RATE_LIMITED, false, NULL), LIVE_CREDENTIAL_PARKED);
    live_credential_report(h.key, h.now, &r);
    CHECK_EQ(r.state.state, RATE_OPEN);
    CHECK_EQ(r.rate_limited, 2); /* whatever it was about */
    h.now += 60 * NS_SEC;
    CHECK_EQ(ask(&h, h.large, STR("large"), CAUSE_QUOTA, false, NULL), LIVE_CREDENTIAL_SPENT);
    live_limit_report(h.large, h.now, &r);
    CHECK_EQ(r.state.state, RATE_OPEN); /* of the model nothing was said */
    live_credential_report(h.key, h.now, &r);
    CHECK_EQ(r.state.why, CAUSE_QUOTA);
    CHECK_EQ(r.rate_limited, 3);
    house_close(&h);
}

TEST(live_credential_remembers_the_limits_of_some_models_that_nobody_configured)
{
    struct house h;
    char name[16];
    house_open(&h, false);
    struct rate_reading r = {.has_retry = true, .retry_at = h.now + 3600 * NS_SEC};

    CHECK_EQ(ask(&h, NULL, STR("mine"), CAUSE_RATE_LIMITED, false, &r), LIVE_CREDENTIAL_PARKED);
    CHECK_EQ(seen(&h, NULL).verdict.at, r.retry_at);
    CHECK_EQ(ask(&h, NULL, STR("mine"), CAUSE_OK, false, NULL), LIVE_CREDENTIAL_NEWS);
    for (int i = 0; i < 15; i++) {
        h.now++;
        name[0] = (char)('a' + i);
        CHECK_EQ(ask(&h, NULL, str_of(name, 1), CAUSE_OK, false, NULL), LIVE_CREDENTIAL_SAME);
    }
    CHECK_EQ(ask(&h, NULL, STR("mine"), CAUSE_OK, false, NULL), LIVE_CREDENTIAL_NEWS); /* all sixteen are there */
    CHECK_EQ(ask(&h, NULL, STR("one more"), CAUSE_OK, false, NULL), LIVE_CREDENTIAL_SAME);
    CHECK_EQ(ask(&h, NULL, STR("mine"), CAUSE_OK, false, NULL), LIVE_CREDENTIAL_SAME); /* it was the oldest */
    house_close(&h);
}

TEST(live_credential_forgets_no_model_that_has_requests_under_way)
{
    struct live_credential_use u[20];
    struct house h;
    char name[2] = "a";
    house_open(&h, false);
    struct rate_reading r = {.has_retry = true, .retry_at = h.now + 3600 * NS_SEC};

    for (int i = 0; i < 20; i++, name[0]++)
        CHECK_EQ(live_credential_send(h.key, NULL, str_of(name, 1), &need, false, h.now, &u[i]).answer, RATE_ALLOWED);
    CHECK(u[15].limit != NULL);
    CHECK(u[16].limit == NULL); /* there is no room: it goes, and teaches nothing of its model */
    CHECK_EQ(live_credential_answered(&u[16], CAUSE_RATE_LIMITED, false, &r, h.now), LIVE_CREDENTIAL_SAME);
    CHECK_EQ(live_credential_answered(&u[0], CAUSE_RATE_LIMITED, false, &r, h.now), LIVE_CREDENTIAL_PARKED);
    CHECK_EQ(ask(&h, NULL, STR("a"), CAUSE_OK, false, NULL), LIVE_CREDENTIAL_NEWS);
    for (int i = 1; i < 20; i++)
        CHECK_EQ(live_credential_answered(&u[i], CAUSE_CANCELLED, false, NULL, h.now), LIVE_CREDENTIAL_SAME);
    house_close(&h);
}

TEST(live_credential_reports_what_its_accounts_have_left_now)
{
    struct live_credential_report report;
    struct house h;
    house_open(&h, false);
    struct rate_reading r = told(RATE_TOKENS, 1000, 400, h.now + 10 * NS_SEC);

    ask(&h, h.small, STR("small"), CAUSE_OK, false, &r);
    live_limit_report(h.small, h.now, &report);
    CHECK_EQ(report.state.account_count, 1);
    CHECK_EQ(report.state.accounts[0].window.remaining, 400);
    CHECK(report.headroom == 0.4);
    live_limit_report(h.small, h.now + 10 * NS_SEC, &report);
    CHECK_EQ(report.state.accounts[0].window.remaining, 1000);
    CHECK_EQ(report.sent, 1);
    house_close(&h);
}

/* What is read without the lock is what the lock would say, whatever has happened: random events, and at each moment a comparison
 * with what would be sent. */
TEST(live_credential_reads_without_a_lock_what_sending_would_say)
{
    static const enum cause causes[] = {CAUSE_OK,    CAUSE_OK,   CAUSE_OK,      CAUSE_RATE_LIMITED,
                                        CAUSE_QUOTA, CAUSE_AUTH, CAUSE_CONNECT, CAUSE_CANCELLED};

    unsigned roomy = 0;

    for (uint64_t round = 0; round < test_rounds(60); round++) {
        struct live_credential_use under_way[8] = {0};
        struct prng p;
        struct house h;
        test_context("round %llu", (unsigned long long)round);
        prng_seed(&p, test_seed() + round);
        house_open(&h, prng_below(&p, 2));
        for (int step = 0; step < 300; step++) {
            struct live_credential_use *u = &under_way[prng_below(&p, ARRAY_LEN(under_way))];
            struct rate_need n = {.input_tokens = prng_below(&p, 300), .output_tokens = prng_below(&p, 100)};
            struct live_limit *l = prng_below(&p, 2) ? h.large : h.small;
            h.now += (ns_t)prng_below(&p, (uint64_t)(3 * NS_SEC));
            if (u->credential) {
                struct rate_reading r = told(prng_below(&p, RATE_WHATS), 1000, prng_below(&p, 1001),
                                             h.now + (ns_t)prng_below(&p, (uint64_t)(30 * NS_SEC)));
                live_credential_answered(u, causes[prng_below(&p, ARRAY_LEN(causes))], prng_below(&p, 2), &r, h.now);
                CHECK(!u->credential);
                continue;
            }
            struct rate_option o;
            double headroom;
            bool is_roomy = live_credential_is_roomy(h.key, l, n.input_tokens + n.output_tokens, h.now, &headroom);
            live_credential_read(h.key, l, STR_NONE, &n, h.now, &o);
            CHECK(!is_roomy || (o.verdict.answer == RATE_ALLOWED && !o.verdict.is_probe && o.headroom == headroom));
            roomy += is_roomy;
            struct rate_verdict v = live_credential_send(h.key, l, STR_NONE, &n, false, h.now, u);
            CHECK_EQ(o.verdict.answer, v.answer);
            CHECK_EQ(o.verdict.is_probe, v.is_probe);
            CHECK(v.answer != RATE_WAIT || (o.verdict.at > h.now && o.verdict.at <= v.at));
        }
        for (size_t i = 0; i < ARRAY_LEN(under_way); i++)
            live_credential_answered(&under_way[i], CAUSE_OK, false, NULL, h.now);
        house_close(&h);
    }
    CHECK_GT(roomy, test_rounds(60) * 4);
}

TEST(live_credential_is_roomy_while_no_limit_is_near)
{
    struct house h;
    double headroom;

    house_open(&h, false);
    CHECK(!live_credential_is_roomy(h.key, h.large, 1, h.now, &headroom)); /* nobody has looked for a minute */
    (void)seen(&h, h.large);
    (void)seen(&h, h.small);
    CHECK(live_credential_is_roomy(h.key, h.large, 1000000, h.now, &headroom) && headroom == 1);
    CHECK(!live_credential_is_roomy(h.key, NULL, 1, h.now, &headroom)); /* nobody knows without the lock */
    struct rate_reading r = told(RATE_OUTPUT_TOKENS, 1000, 600, h.now + 30 * NS_SEC);
    (void)ask(&h, h.large, STR("large"), CAUSE_OK, false, &r);
    CHECK(live_credential_is_roomy(h.key, h.large, 599, h.now, &headroom));
    CHECK(headroom > 0.5 && headroom < 0.7);
    CHECK(!live_credential_is_roomy(h.key, h.large, 600, h.now, &headroom));
    CHECK(live_credential_is_roomy(h.key, h.small, 600, h.now, &headroom));
    CHECK(!live_credential_is_roomy(h.key, h.large, 1, h.now + 31 * NS_SEC, &headroom)); /* that is to be found out */
    r = told(RATE_REQUESTS, 10, 0, h.now + 30 * NS_SEC);
    (void)ask(&h, h.small, STR("small"), CAUSE_OK, false, &r);
    CHECK(!live_credential_is_roomy(h.key, h.small, 0, h.now, &headroom));
    (void)ask(&h, h.large, STR("large"), CAUSE_AUTH, true, NULL);
    CHECK(!live_credential_is_roomy(h.key, h.large, 1, h.now, &headroom));
    house_close(&h);
}

/* --- several threads at once --- */

enum { THREADS = 4, TIMES = 3000, LIMIT = 500 };

static struct live *shared;
static _Atomic unsigned let_through, probes;

static err_t hammer(unsigned index, void *arg UNUSED)
{
    struct live_credential *c = live_credential_ref(live_credentials(shared), STR("k"), false);
    struct live_limit *l = live_limit_ref(c, STR("m"));

    for (unsigned i = 0; i < TIMES; i++) {
        struct live_credential_use u;
        struct rate_option o;
        live_credential_read(c, l, STR_NONE, &need, 2 * NS_SEC, &o);
        if (live_credential_send(c, index % 2 ? l : NULL, STR("other"), &need, false, 2 * NS_SEC, &u).answer ==
            RATE_ALLOWED)
            live_credential_answered(&u, CAUSE_OK, false, NULL, 2 * NS_SEC);
        if (live_credential_send(c, l, STR("m"), &need, false, 2 * NS_SEC, &u).answer == RATE_ALLOWED) {
            let_through++;
            live_credential_answered(&u, CAUSE_OK, false, NULL, 2 * NS_SEC);
        }
    }
    live_limit_unref(l);
    live_credential_unref(c);
    return OK;
}

TEST(live_credential_lets_through_no_more_than_is_left_with_several_threads)
{
    struct live_credential_use u;
    struct live_credential_report report;

    shared = live_new();
    let_through = 0;
    struct live_credential *c = live_credential_ref(live_credentials(shared), STR("k"), false);
    struct live_limit *l = live_limit_ref(c, STR("m"));
    CHECK_EQ(live_credential_send(c, l, STR("m"), &need, false, NS_SEC, &u).answer, RATE_ALLOWED);
    struct rate_reading r = told(RATE_REQUESTS, LIMIT, LIMIT, 60 * NS_SEC);
    live_credential_answered(&u, CAUSE_OK, false, &r, NS_SEC);
    CHECK_OK(threads_run(THREADS, hammer, NULL));
    live_limit_report(l, 2 * NS_SEC, &report);
    CHECK_EQ(report.sent, LIMIT + 1);
    CHECK_LE(let_through, LIMIT);
    CHECK_GT(let_through, 0);
    CHECK_EQ(report.state.accounts[0].window.remaining, 0);
    live_limit_unref(l);
    live_credential_unref(c);
    live_free(shared);
}

static err_t try_once(unsigned index UNUSED, void *arg)
{
    struct live_credential *c = arg;
    struct live_credential_use u;

    for (unsigned i = 0; i < TIMES; i++)
        if (live_credential_send(c, NULL, STR("m"), &need, false, 3600 * NS_SEC, &u).answer == RATE_ALLOWED)
            probes++; /* and is never answered */
    return OK;
}

TEST(live_credential_is_tried_by_one_request_of_all_threads)
{
    struct live_credential_use u;

    shared = live_new();
    probes = 0;
    struct live_credential *c = live_credential_ref(live_credentials(shared), STR("k"), false);
    CHECK_EQ(live_credential_send(c, NULL, STR("m"), &need, false, NS_SEC, &u).answer, RATE_ALLOWED);
    live_credential_answered(&u, CAUSE_AUTH, true, NULL, NS_SEC);
    CHECK_OK(threads_run(THREADS, try_once, c));
    CHECK_EQ(probes, 1);
    live_credential_unref(c);
    live_free(shared);
}
