/* live_test.c - folded state of deployments: what decisions read after events, also of several threads. */
#include "fleet/live.h"

#include "base/mem.h"
#include "rt/threads.h"
#include "test.h"

static struct live_rules rules(void)
{
    return (struct live_rules){
        .outlier = outlier_rules_usual, .latency = latency_rules_usual, .budget = retry_budget_usual};
}

struct fleet {
    struct live *live;
    struct live_rules rules;
    struct live_deployment *d[3];
    struct live_route *route;
    ns_t now;
};

static void fleet_open(struct fleet *f)
{
    static const char *const names[] = {"p/a", "p/b", "p/c"};

    *f = (struct fleet){.live = live_new(), .rules = rules(), .now = 1000 * NS_SEC};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        f->d[i] = live_deployment_ref(f->live, str_from_c(names[i]));
    f->route = live_route_ref(f->live, STR("chat"));
    live_route_set(f->route, f->d, ARRAY_LEN(names));
}

static void fleet_close(struct fleet *f)
{
    for (size_t i = 0; i < ARRAY_LEN(f->d); i++)
        live_deployment_unref(f->d[i]);
    live_route_unref(f->route);
    live_free(f->live);
}

/* One whole attempt at deployment `i`. */
static enum exclusion attempt(struct fleet *f, size_t i, enum cause cause, ns_t first_token)
{
    struct live_attempt a;
    enum exclusion why = live_send(f->d[i], &f->rules, 500, 100, false, f->now, &a);

    if (why != EXCLUDED_NOT)
        return why;
    f->now += first_token;
    if (cause == CAUSE_OK)
        live_first_token(&a, &f->rules, 0, f->now);
    f->now += NS_SEC;
    live_end(&a, f->route, &f->rules, cause, 101, f->now, f->now);
    return EXCLUDED_NOT;
}

static struct strategy_candidate seen(const struct fleet *f, size_t i)
{
    struct strategy_candidate c = {.weight = 1};
    live_read(f->d[i], &f->rules, NEEDS_LOAD | NEEDS_LATENCY, f->now, &c);
    return c;
}

TEST(live_tells_what_a_deployment_took)
{
    struct fleet f;

    fleet_open(&f);
    CHECK(seen(&f, 0).time_per_unit == 0 && seen(&f, 0).slow_start == 1);
    CHECK_EQ(attempt(&f, 0, CAUSE_OK, 100 * NS_MS), EXCLUDED_NOT);
    struct strategy_candidate c = seen(&f, 0);
    CHECK(c.time_per_unit > 99e3 && c.time_per_unit < 101e3); /* 100 ms over 500 + 500 units */
    CHECK(c.time_per_token > 9.9e6 && c.time_per_token < 10.1e6);
    CHECK_EQ(c.in_flight, 0);
    CHECK_EQ(seen(&f, 1).time_per_unit == 0, true);
    fleet_close(&f);
}

/* A deployment that answered within 100 ms, and now hangs. */
TEST(live_is_as_slow_as_those_are_told_who_wait_for_it)
{
    struct fleet f;
    struct live_attempt a, b, plain;

    fleet_open(&f);
    CHECK_EQ(live_send(f.d[1], &f.rules, 500, 100, LIVE_STREAM, f.now, &a), EXCLUDED_NOT);
    f.now += 2 * NS_MS;
    CHECK(seen(&f, 1).time_per_unit == 0 && seen(&f, 1).waited_per_unit == 2e3); /* of whose speed nothing is known */
    live_end(&a, f.route, &f.rules, CAUSE_CANCELLED, 0, 0, f.now);
    CHECK_EQ(attempt(&f, 0, CAUSE_OK, 100 * NS_MS), EXCLUDED_NOT);
    CHECK_EQ(live_send(f.d[0], &f.rules, 500, 100, LIVE_STREAM, f.now, &a), EXCLUDED_NOT);
    CHECK_EQ(live_send(f.d[0], &f.rules, 500, 100, 0, f.now, &plain), EXCLUDED_NOT);
    f.now += 80 * NS_MS;
    CHECK(seen(&f, 0).time_per_unit == 100e3 && seen(&f, 0).waited_per_unit == 80e3);
    f.now += 920 * NS_MS;
    CHECK(seen(&f, 0).time_per_unit == 1e6 && seen(&f, 0).time_per_token == 1e8); /* ten times as slow, in all */
    CHECK_EQ(live_send(f.d[0], &f.rules, 2500, 100, LIVE_STREAM, f.now, &b), EXCLUDED_NOT);
    f.now += NS_SEC; /* 2 s and 1 s, of 1,000 and 3,000 units */
    CHECK(seen(&f, 0).waited_per_unit == 0.75e6);
    live_first_token(&b, &f.rules, 0, f.now);
    CHECK(seen(&f, 0).waited_per_unit == 2e6);
    live_end(&b, f.route, &f.rules, CAUSE_OK, 2, f.now, f.now);
    CHECK(seen(&f, 0).waited_per_unit == 2e6); /* its wait was over before */
    live_end(&a, f.route, &f.rules, CAUSE_TIMEOUT_FIRST, 0, 0, f.now);
    CHECK(seen(&f, 0).waited_per_unit == 0 && seen(&f, 0).time_per_unit < 1e6);
    live_end(&plain, f.route, &f.rules, CAUSE_CANCELLED, 0, 0, f.now);
    fleet_close(&f);
}

TEST(live_counts_what_is_under_way)
{
    struct fleet f;
    struct live_attempt a, b;

    fleet_open(&f);
    CHECK_EQ(live_send(f.d[0], &f.rules, 10, 5, false, f.now, &a), EXCLUDED_NOT);
    CHECK_EQ(live_send(f.d[0], &f.rules, 20, 5, false, f.now, &b), EXCLUDED_NOT);
    CHECK_EQ(seen(&f, 0).in_flight, 2);
    CHECK_EQ(seen(&f, 0).in_flight_tokens, 40);
    live_end(&a, f.route, &f.rules, CAUSE_CANCELLED, 0, 0, f.now);
    live_end(&a, f.route, &f.rules, CAUSE_CANCELLED, 0, 0, f.now); /* ended once is ended */
    CHECK_EQ(seen(&f, 0).in_flight, 1);
    live_end(&b, NULL, &f.rules, CAUSE_OK, 3, f.now, f.now);
    CHECK_EQ(seen(&f, 0).in_flight_tokens, 0);
    struct live_report r;
    live_report(f.d[0], &f.rules, f.now, &r);
    CHECK(r.sent == 2 && r.causes[CAUSE_CANCELLED] == 1 && r.causes[CAUSE_OK] == 1);
    fleet_close(&f);
}

TEST(live_takes_out_who_is_ill_and_lets_one_probe_through)
{
    struct fleet f;
    struct live_attempt probe, second;

    fleet_open(&f);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(attempt(&f, 0, CAUSE_SERVER_ERROR, 0), EXCLUDED_NOT);
    CHECK_EQ(seen(&f, 0).excluded, EXCLUDED_EJECTED);
    CHECK_EQ(attempt(&f, 0, CAUSE_OK, 0), EXCLUDED_EJECTED);
    f.now += 5 * NS_SEC;
    CHECK_EQ(seen(&f, 0).excluded, EXCLUDED_NOT); /* nothing happened but time */
    CHECK_EQ(live_send(f.d[0], &f.rules, 1, 1, false, f.now, &probe), EXCLUDED_NOT);
    CHECK_EQ(seen(&f, 0).excluded, EXCLUDED_PROBING);
    CHECK_EQ(live_send(f.d[0], &f.rules, 1, 1, false, f.now, &second), EXCLUDED_PROBING);
    CHECK(second.deployment == NULL);
    live_end(&probe, f.route, &f.rules, CAUSE_OK, 1, f.now, f.now);
    CHECK_EQ(attempt(&f, 0, CAUSE_OK, NS_MS), EXCLUDED_NOT);
    struct strategy_candidate c = seen(&f, 0);
    CHECK(c.excluded == EXCLUDED_NOT && c.slow_start < 0.2);
    f.now += 15 * NS_SEC;
    CHECK(seen(&f, 0).slow_start > 0.4 && seen(&f, 0).slow_start < 0.7);
    fleet_close(&f);
}

TEST(live_gives_a_probe_the_chance_of_any_other_and_then_a_slow_start)
{
    struct fleet f;

    fleet_open(&f);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(attempt(&f, 0, CAUSE_SERVER_ERROR, 0), EXCLUDED_NOT);
    f.now += 5 * NS_SEC;
    CHECK(seen(&f, 0).excluded == EXCLUDED_NOT && seen(&f, 0).slow_start == 1);
    CHECK_EQ(attempt(&f, 0, CAUSE_OK, NS_MS), EXCLUDED_NOT);
    CHECK(seen(&f, 0).excluded == EXCLUDED_NOT && seen(&f, 0).slow_start == 1);
    CHECK_EQ(attempt(&f, 0, CAUSE_OK, NS_MS), EXCLUDED_NOT);
    CHECK(seen(&f, 0).slow_start <= 0.1);
    fleet_close(&f);
}

/* As a stream or as a whole: 100 tokens after 3 s, at 10 ms each as the peers have it. */
static void probe_slowly(struct fleet *f, bool stream)
{
    struct live_attempt a;
    struct live_report r;

    CHECK_EQ(live_send(f->d[0], &f->rules, 500, 100, false, f->now, &a), EXCLUDED_NOT);
    if (stream)
        live_first_token(&a, &f->rules, 0, f->now + 3 * NS_SEC);
    f->now += 4 * NS_SEC;
    live_end(&a, f->route, &f->rules, CAUSE_OK, 101, f->now, f->now);
    live_report(f->d[0], &f->rules, f->now, &r);
    CHECK_EQ(r.health.state, OUTLIER_EJECTED);
    CHECK_EQ(r.health.reason, OUTLIER_SLOW);
    f->now = r.health.until;
}

TEST(live_does_not_trust_a_slow_probe)
{
    struct fleet f;

    fleet_open(&f);
    for (size_t i = 0; i < 6; i++)
        CHECK_EQ(attempt(&f, i % 3, CAUSE_OK, 100 * NS_MS), EXCLUDED_NOT);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(attempt(&f, 0, CAUSE_SERVER_ERROR, 0), EXCLUDED_NOT);
    f.now += 5 * NS_SEC;
    probe_slowly(&f, true);
    probe_slowly(&f, false);
    fleet_close(&f);
}

TEST(live_reports_what_happened_lately_and_how_often_it_was_taken_out)
{
    struct live_report r;
    struct fleet f;

    fleet_open(&f);
    CHECK_EQ(attempt(&f, 0, CAUSE_OK, 0), EXCLUDED_NOT);
    CHECK_EQ(attempt(&f, 0, CAUSE_CLIENT_ERROR, 0), EXCLUDED_NOT);
    CHECK_EQ(attempt(&f, 0, CAUSE_SERVER_ERROR, 0), EXCLUDED_NOT);
    live_report(f.d[0], &f.rules, f.now, &r);
    CHECK_EQ(r.recent_good, 2);
    CHECK_EQ(r.recent_ill, 1);
    CHECK_EQ(r.ejected, 0);
    live_report(f.d[0], &f.rules, f.now + f.rules.outlier.window - 2 * NS_SEC, &r);
    CHECK_EQ(r.recent_good + r.recent_ill, 2); /* the first of them is too long ago */
    live_report(f.d[0], &f.rules, f.now + f.rules.outlier.window, &r);
    CHECK_EQ(r.recent_good + r.recent_ill, 0);
    live_report(f.d[1], &f.rules, f.now, &r);
    CHECK_EQ(r.recent_good + r.recent_ill, 0);
    struct live_attempt late;
    CHECK_EQ(live_send(f.d[2], &f.rules, 500, 100, false, f.now, &late), EXCLUDED_NOT);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(attempt(&f, 2, CAUSE_SERVER_ERROR, 0), EXCLUDED_NOT);
    live_end(&late, f.route, &f.rules, CAUSE_SERVER_ERROR, 0, f.now, f.now); /* when it is out already */
    live_report(f.d[2], &f.rules, f.now, &r);
    CHECK_EQ(r.ejected, 1);
    CHECK_EQ(r.health.state, OUTLIER_EJECTED);
    f.now = r.health.until;
    CHECK_EQ(attempt(&f, 2, CAUSE_SERVER_ERROR, 0), EXCLUDED_NOT); /* a probe */
    live_report(f.d[2], &f.rules, f.now, &r);
    CHECK_EQ(r.ejected, 2);
    fleet_close(&f);
}

TEST(live_does_not_take_out_for_limits_or_clients_errors)
{
    struct fleet f;

    fleet_open(&f);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(attempt(&f, 0, i % 2 ? CAUSE_RATE_LIMITED : CAUSE_CLIENT_ERROR, 0), EXCLUDED_NOT);
    CHECK_EQ(seen(&f, 0).excluded, EXCLUDED_NOT);
    fleet_close(&f);
}

TEST(live_takes_out_who_is_much_slower_than_its_peers)
{
    struct fleet f;
    unsigned out = 0;

    fleet_open(&f);
    for (int i = 0; i < 30; i++) {
        (void)attempt(&f, 1, CAUSE_OK, 100 * NS_MS);
        (void)attempt(&f, 2, CAUSE_OK, 120 * NS_MS);
        out += attempt(&f, 0, CAUSE_OK, 2500 * NS_MS) != EXCLUDED_NOT;
    }
    CHECK(out > 0);
    CHECK_EQ(seen(&f, 1).excluded, EXCLUDED_NOT);
    fleet_close(&f);
}

TEST(live_state_outlives_a_configuration_that_is_replaced)
{
    struct fleet f;

    fleet_open(&f);
    for (int i = 0; i < 5; i++)
        (void)attempt(&f, 0, CAUSE_CONNECT, 0);
    struct live_deployment *again = live_deployment_ref(f.live, STR("p/a")); /* the next one names it, too */
    CHECK(again == f.d[0]);
    live_deployment_unref(f.d[0]);
    CHECK_EQ(seen(&f, 0).excluded, EXCLUDED_EJECTED);
    live_route_set(f.route, f.d + 1, 2);
    live_deployment_unref(again); /* nobody names it any more */
    f.d[0] = live_deployment_ref(f.live, STR("p/a"));
    CHECK_EQ(seen(&f, 0).excluded, EXCLUDED_NOT);
    fleet_close(&f);
}

TEST(live_retries_have_a_budget_per_route)
{
    struct fleet f;
    unsigned taken = 0;

    fleet_open(&f);
    for (int i = 0; i < 1000; i++) {
        live_route_request(f.route, &f.rules, f.now);
        taken += live_route_take_retry(f.route, &f.rules, f.now);
        f.now += NS_MS;
    }
    CHECK(taken >= 100 && taken <= 170);
    uint64_t first, second;
    CHECK(live_route_turn(f.route, &first) == 0 && live_route_turn(f.route, &second) == 1);
    CHECK(second > first);
    fleet_close(&f);
}

/* --- several threads at once --- */

enum { THREADS = 3, ROUNDS = 20000 };
static struct fleet shared;

static err_t hammer(unsigned index, void *ctx UNUSED)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct live_attempt a;
        ns_t now = shared.now + i * NS_MS;
        struct strategy_candidate c = {.weight = 1};
        size_t which = (i + index) % 3;
        live_read(shared.d[which], &shared.rules, NEEDS_LOAD | NEEDS_LATENCY, now, &c);
        if (live_send(shared.d[which], &shared.rules, 10, 10, LIVE_STREAM, now, &a) != EXCLUDED_NOT)
            continue;
        if (i % 5)
            live_first_token(&a, &shared.rules, 0, now + NS_MS);
        live_end(&a, shared.route, &shared.rules, i % 7 ? CAUSE_OK : CAUSE_SERVER_ERROR, 10, now + 2 * NS_MS,
                 now + 2 * NS_MS);
    }
    return OK;
}

TEST(live_counts_come_out_even_with_several_threads)
{
    uint64_t sent = 0, ended = 0;

    fleet_open(&shared);
    CHECK_OK(threads_run(THREADS, hammer, NULL));
    for (size_t i = 0; i < ARRAY_LEN(shared.d); i++) {
        struct live_report r;
        live_report(shared.d[i], &shared.rules, shared.now + ROUNDS * NS_MS, &r);
        CHECK(r.in_flight == 0 && r.in_flight_tokens == 0);
        struct strategy_candidate read = {.weight = 1};
        live_read(shared.d[i], &shared.rules, NEEDS_LATENCY, shared.now + ROUNDS * NS_MS, &read);
        CHECK(read.waited_per_unit == 0);
        sent += r.sent;
        for (int c = 0; c < CAUSES; c++)
            ended += r.causes[c];
    }
    CHECK(sent == ended && sent > ROUNDS);
    fleet_close(&shared);
}

/* --- what the server says, and news --- */

static struct server_load busy(double running, double waiting)
{
    return (struct server_load){.is_known = true, .running = running, .waiting = waiting};
}

TEST(live_load_is_the_larger_of_ours_and_the_server_s)
{
    struct fleet f;
    struct live_attempt a, b;

    fleet_open(&f);
    struct server_load many = busy(7, 3), few = busy(1, 0);
    CHECK_EQ(live_send(f.d[0], &f.rules, 100, 100, false, f.now, &a), EXCLUDED_NOT);
    CHECK_EQ(live_send(f.d[0], &f.rules, 300, 100, false, f.now, &b), EXCLUDED_NOT);
    live_server_said(f.d[0], &many, f.now, f.now + 6 * NS_SEC);
    CHECK_EQ(seen(&f, 0).in_flight, 10);
    CHECK_EQ(seen(&f, 0).in_flight_tokens, 3000); /* ten times one of ours */
    live_server_said(f.d[0], &few, f.now, f.now + 6 * NS_SEC);
    CHECK_EQ(seen(&f, 0).in_flight, 2);
    CHECK_EQ(seen(&f, 0).in_flight_tokens, 600);
    live_end(&a, NULL, &f.rules, CAUSE_OK, 0, f.now, f.now);
    live_end(&b, NULL, &f.rules, CAUSE_OK, 0, f.now, f.now);
    fleet_close(&f);
}

/* Between two words of the server nothing that we do is forgotten. */
TEST(live_load_moves_with_what_is_sent_after_the_server_spoke)
{
    struct fleet f;
    struct live_attempt sent[20];

    fleet_open(&f);
    struct server_load said = busy(4, 0);
    CHECK_EQ(live_send(f.d[0], &f.rules, 1, 0, false, f.now, &sent[0]), EXCLUDED_NOT);
    live_server_said(f.d[0], &said, f.now, f.now + 6 * NS_SEC); /* three are others' */
    for (size_t i = 1; i < ARRAY_LEN(sent); i++)
        CHECK_EQ(live_send(f.d[0], &f.rules, 1, 0, false, f.now, &sent[i]), EXCLUDED_NOT);
    CHECK_EQ(seen(&f, 0).in_flight, 23);
    for (size_t i = 0; i < ARRAY_LEN(sent); i++)
        live_end(&sent[i], NULL, &f.rules, CAUSE_OK, 0, f.now, f.now);
    CHECK_EQ(seen(&f, 0).in_flight, 3);
    fleet_close(&f);
}

TEST(live_load_forgets_what_the_server_said_too_long_ago)
{
    struct fleet f;
    struct live_report r;

    fleet_open(&f);
    struct server_load said = busy(50, 9);
    live_server_said(f.d[1], &said, f.now, f.now + 6 * NS_SEC);
    CHECK_EQ(seen(&f, 1).in_flight, 59);
    live_report(f.d[1], &f.rules, f.now + NS_SEC, &r);
    CHECK(r.server.is_fresh && r.server.at == f.now && r.server.running == 50 && r.server.waiting == 9);
    CHECK(r.server.held < 0 && r.server.cache < 0);
    f.now += 6 * NS_SEC;
    CHECK_EQ(seen(&f, 1).in_flight, 0);
    CHECK_EQ(seen(&f, 1).in_flight_tokens, 0);
    live_report(f.d[1], &f.rules, f.now, &r);
    CHECK(!r.server.is_fresh && r.server.running == 50); /* for people it is worth seeing */
    CHECK_EQ(r.in_flight, 0);                            /* which is ours alone */
    fleet_close(&f);
}

static struct server_load holding(double running, double waiting, double tokens)
{
    struct server_load l = busy(running, waiting);
    struct prometheus_sample s = {.name = STR("sglang:num_used_tokens"), .value = tokens};

    server_load_take(&l, &s);
    return l;
}

TEST(live_load_counts_tokens_as_the_server_tells_them)
{
    struct fleet f;

    fleet_open(&f);
    struct server_load said = holding(4, 2, 8000), idle = holding(0, 2, 0), mute = busy(2, 1);
    live_server_said(f.d[0], &said, f.now, NS_NEVER);
    CHECK_EQ(seen(&f, 0).in_flight_tokens, 12000); /* two more wait, as long as those that run */
    live_server_said(f.d[0], &idle, f.now, NS_NEVER);
    CHECK_EQ(seen(&f, 0).in_flight_tokens, 2 * LIVE_LOAD_TOKENS);
    live_server_said(f.d[0], &mute, f.now, NS_NEVER);
    CHECK_EQ(seen(&f, 0).in_flight_tokens, 3 * LIVE_LOAD_TOKENS);
    fleet_close(&f);
}

TEST(live_news_tell_what_spoke_for_and_against_a_deployment)
{
    struct fleet f;
    struct live_news n;

    fleet_open(&f);
    live_news(f.d[0], &n);
    CHECK(n.state == OUTLIER_IN_USE && !n.good && !n.ill);
    CHECK_EQ(attempt(&f, 0, CAUSE_OK, 0), EXCLUDED_NOT);
    ns_t good = f.now;
    CHECK_EQ(attempt(&f, 0, CAUSE_CANCELLED, 0), EXCLUDED_NOT);
    live_news(f.d[0], &n);
    CHECK(n.good == good && !n.ill);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(attempt(&f, 0, i < 4 ? CAUSE_RESET : CAUSE_CONNECT, 0), EXCLUDED_NOT);
    live_news(f.d[0], &n);
    CHECK(n.state == OUTLIER_EJECTED && n.until == f.now + 5 * NS_SEC);
    CHECK(n.good == good && n.ill == f.now && n.last_ill == CAUSE_CONNECT && n.ejected_by == CAUSE_CONNECT);
    f.now += 5 * NS_SEC; /* its probe fails in another way */
    CHECK_EQ(attempt(&f, 0, CAUSE_MALFORMED, 0), EXCLUDED_NOT);
    live_news(f.d[0], &n);
    CHECK(n.state == OUTLIER_EJECTED && n.ejected_by == CAUSE_MALFORMED);
    fleet_close(&f);
}

TEST(live_news_of_one_that_fails_now_and_then_name_no_failure)
{
    struct fleet f;
    struct live_news n;

    fleet_open(&f);
    for (int i = 0; i < 12; i++) {
        f.now -= 700 * NS_MS; /* all within ten seconds */
        CHECK(attempt(&f, 0, i % 3 ? CAUSE_SERVER_ERROR : CAUSE_OK, 0) != EXCLUDED_PROBING);
    }
    live_news(f.d[0], &n);
    CHECK_EQ(n.state, OUTLIER_EJECTED);
    CHECK_EQ(n.last_ill, CAUSE_SERVER_ERROR);
    CHECK_EQ(n.ejected_by, CAUSE_OK);
    fleet_close(&f);
}

TEST(live_questions_of_health_are_no_load_and_teach_no_times)
{
    struct fleet f;
    struct live_attempt a;

    fleet_open(&f);
    CHECK_EQ(live_ask(f.d[0], &f.rules, f.now, &a), EXCLUDED_NOT);
    CHECK_EQ(seen(&f, 0).in_flight, 0);
    live_end(&a, f.route, &f.rules, CAUSE_OK, 0, 0, f.now + NS_MS);
    CHECK_EQ(seen(&f, 0).in_flight, 0);
    CHECK(seen(&f, 0).time_per_unit == 0 && seen(&f, 0).time_per_token == 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(live_ask(f.d[0], &f.rules, f.now, &a), EXCLUDED_NOT);
        live_end(&a, f.route, &f.rules, CAUSE_OVERLOADED, 0, 0, f.now);
    }
    CHECK_EQ(live_ask(f.d[0], &f.rules, f.now, &a), EXCLUDED_EJECTED); /* but they are judged as all are */
    CHECK_EQ(seen(&f, 0).in_flight, 0);
    fleet_close(&f);
}
