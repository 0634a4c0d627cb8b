/*
 * fleet_scenarios.c - what becomes of clients when deployments fail: the production gateway, minutes of traffic, and numbers that must hold.
 *
 * Each scenario is a row of the table in docs/reliability.md. What holds for all of them (deadlines, nothing left under way, complete records,
 * logs that replay) is checked by the house. Seeds draw the strategy and the kind of failure, where a scenario has several.
 */
#include "rt/loop.h"
#include "sim/fleet_house.h"

#include <string.h>

#define GOOD "{ ttft: {distribution: lognormal, median: 80ms, sigma: 0.3}, tokens_per_second: 100, answer_tokens: 10 }"
#define GOOD_UNTIL(when, then)                                                                                         \
    "{ ttft: {distribution: lognormal, median: 80ms, sigma: 0.3}, tokens_per_second: 100, answer_tokens: 10, "         \
    "schedule: [ { from: " when ", faults: [ " then " ] } ] }"
#define SECONDS(n) ((ns_t)(n) * NS_SEC)
#define THREE "targets: [ p0/m, p1/m, p2/m ]"

/* One per mille, of a traffic that is often less than a thousand. */
static unsigned per_mille(unsigned visits)
{
    return visits / 1000;
}

static const char *pick(const char *const *from, size_t count, uint64_t draw)
{
    return from[draw % count];
}

/* What the models of a scenario are, for the strategy that its seed draws. */
static const char *const three_by_strategy[] = {
    "{ " THREE ", strategy: weighted }",
    "{ " THREE ", strategy: least-busy }",
    "{ " THREE ", strategy: least-latency }",
    "{ " THREE ", strategy: round-robin }",
};

static void check_failed(const struct fleet *f, ns_t from, ns_t to, unsigned most)
{
    struct fleet_tally t = fleet_tally(f, from, to);

    EXPECT(t.visits > 0, "nobody came");
    EXPECT(t.failed <= most, "%u of %u requests failed", t.failed, t.visits);
}

static bool is_out(const struct fleet *f, unsigned i)
{
    struct live_report r;

    fleet_report(f, i, &r);
    return r.health.state == OUTLIER_EJECTED || r.health.state == OUTLIER_PROBING;
}

/* --- one of three deployments dies --- */

enum { DIES_AT = 10, DIES_SPAN = 40 };

/* When p0 was found out, in seconds. */
static void see_ejection(struct fleet *f)
{
    if (f->peak == 0 && is_out(f, 0))
        f->peak = (double)fleet_now(f) / 1e9;
}

/* Five failures in a row are known at the earliest after a limit, if it hangs; and after five, if a strategy that avoids who is busy sends them one after
 * the other. */
static double known_after(uint64_t seed)
{
    bool hangs = seed % 4 == 3, in_turn = strstr(pick(three_by_strategy, 4, seed / 4), "least-") != NULL;

    return hangs ? (in_turn ? 5 : 1) * (double)FLEET_FIRST_BYTE / 1e9 : 0;
}

static void check_death(struct fleet *f)
{
    double found = f->peak - DIES_AT;

    EXPECT(f->peak > 0, "the dead deployment was never taken out");
    EXPECT(found <= 5 + known_after(f->world->seed), "it was found out after %.1f s", found);
    for (size_t i = 0; i < f->count; i++)
        EXPECT(f->visits[i].whole || f->visits[i].begun, "client %zu failed before its answer had begun: status %d", i,
               f->visits[i].status);
    struct fleet_tally after = fleet_tally(f, (ns_t)(f->peak * 1e9), f->plan->span);
    EXPECT(after.failed <= per_mille(after.visits), "%u of %u failed after it was found out", after.failed,
           after.visits);
}

SCENARIO(one_of_three_deployments_dies, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 97)
{
    static const char *const ways[] = {GOOD, GOOD_UNTIL("10s", "{kind: status, status: 500}"),
                                       GOOD_UNTIL("10s", "{kind: reset_before_headers}"),
                                       GOOD_UNTIL("10s", "{kind: hang}")};
    struct fleet_plan plan = {.deployments = 3,
                              .models = pick(three_by_strategy, 4, w->seed / 4),
                              .behaviour = GOOD,
                              .rate = 10,
                              .span = SECONDS(DIES_SPAN),
                              .plain = 200,
                              .sample_every = 100 * NS_MS,
                              .sample = see_ejection,
                              .check = check_death};

    plan.behaviours[0] = ways[w->seed % 4];
    if (w->seed % 4 == 0) {
        plan.shut[0].from = SECONDS(DIES_AT);
        plan.shut[0].to = SECONDS(DIES_SPAN + 60);
    }
    return fleet_run(w, &plan);
}

/* --- all of a provider dies --- */

static void check_fallback(struct fleet *f)
{
    unsigned visits = (unsigned)f->count, failed = 0;

    for (size_t i = 0; i < f->count; i++)
        failed += !f->visits[i].whole && !f->visits[i].begun;
    EXPECT(visits > f->plan->burst && failed <= per_mille(visits), "%u of %u failed", failed, visits);
    EXPECT(fleet_requests(f, 2) > visits / 2, "the fallback was asked %llu times only",
           (unsigned long long)fleet_requests(f, 2));
}

SCENARIO(the_fallback_bears_a_total_outage, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    static const char *const ways[] = {GOOD, "{ answer_tokens: 10, faults: [ {kind: status, status: 503} ] }",
                                       "{ answer_tokens: 10, faults: [ {kind: reset_before_headers} ] }",
                                       "{ faults: [ {kind: hang} ] }"};
    struct fleet_plan plan = {.deployments = 3,
                              .models = "{ targets: [ p0/m, p1/m ], fallbacks: [ p2/m ] }",
                              .behaviour = pick(ways, 4, w->seed),
                              .rate = 10,
                              .span = SECONDS(30),
                              .burst = 100,
                              .plain = 200,
                              .check = check_fallback};

    plan.behaviours[2] = GOOD;
    if (w->seed % 4 == 0) {
        plan.shut[0].to = plan.shut[1].to = SECONDS(60);
    }
    return fleet_run(w, &plan);
}

/* --- everything fails --- */

static void check_load(struct fleet *f)
{
    unsigned sent = fleet_attempts(f, 0, NS_NEVER, -1, -1), visits = (unsigned)f->count;

    EXPECT(sent <= 10 + visits + visits / 5, "%u requests became %u attempts", visits, sent);
    EXPECT(fleet_tally(f, 0, NS_NEVER).failed == visits, "somebody was answered");
}

SCENARIO(an_outage_of_everything_is_not_multiplied, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    static const char *const ways[] = {
        "{ faults: [ {kind: status, status: 500} ] }", "{ faults: [ {kind: status, status: 503, retry_after: 1s} ] }",
        "{ faults: [ {kind: reset_before_headers} ] }", "{ faults: [ {kind: rate_limit, retry_after: 1s} ] }"};
    struct fleet_plan plan = {.deployments = 4,
                              .models = "{ " THREE ", fallbacks: [ p3/m ] }",
                              .behaviour = pick(ways, 4, w->seed),
                              .rate = 20,
                              .span = SECONDS(60),
                              .plain = 200,
                              .check = check_load};

    return fleet_run(w, &plan);
}

/* --- one is slow --- */

#define SLOW                                                                                                           \
    "{ ttft: {distribution: lognormal, median: 1600ms, sigma: 0.3}, tokens_per_second: 100, answer_tokens: 10 }"
#define PATIENT "{ connect: 2s, first_byte: 15s, between_bytes: 4s, total: 20s }"

/* What the last fleet showed, for the one that is compared with it: a world runs them in turn. */
static ns_t shown_p99;

static void show_p99(struct fleet *f)
{
    shown_p99 = fleet_tally(f, SECONDS(30), f->plan->span).p99;
}

static void check_p99(struct fleet *f)
{
    ns_t p99 = fleet_tally(f, SECONDS(30), f->plan->span).p99;

    EXPECT(p99 <= shown_p99 + shown_p99 / 2, "p99 of the time to first token is %lld ms, and was %lld ms",
           (long long)(p99 / NS_MS), (long long)(shown_p99 / NS_MS));
}

SCENARIO(one_slow_deployment_is_not_felt, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 397)
{
    static const char *const models[] = {
        "{ targets: [ p0/m, p1/m, p2/m, p3/m ], strategy: least-latency }",
        "{ targets: [ p0/m, p1/m, p2/m, p3/m ], strategy: weighted }",
    };
    struct fleet_plan plan = {.deployments = 4,
                              .models = pick(models, 2, w->seed),
                              .timeouts = PATIENT,
                              .behaviour = GOOD,
                              .rate = 15,
                              .span = SECONDS(90),
                              .check = show_p99};

    TRY(fleet_run(w, &plan));
    plan.behaviours[0] = SLOW;
    plan.check = check_p99;
    return fleet_run(w, &plan);
}

/* --- one hangs --- */

/* Answers take seconds, as they do, so who has many requests under way is not thereby known to be slow. */
#define LONG_ANSWERS                                                                                                   \
    "ttft: {distribution: lognormal, median: 200ms, sigma: 0.3}, tokens_per_second: 10, answer_tokens: 40"
#define VERY_PATIENT "{ connect: 2s, first_byte: 60s, between_bytes: 4s, total: 90s }"

enum { HANGS_AT = 20, HANG_KNOWN_AFTER = 2, HANG_SPAN = 45 };

/* It never answered: nothing is known of its speed. */
static bool hangs_from_the_start(const struct world *w)
{
    return w->seed % 2;
}

static void check_hang(struct fleet *f)
{
    bool never = hangs_from_the_start(f->world);
    ns_t from = SECONDS((never ? 0 : HANGS_AT) + HANG_KNOWN_AFTER), to = SECONDS(HANG_SPAN);
    unsigned there = fleet_attempts(f, from, to, 0, -1), all = fleet_attempts(f, from, to, -1, -1);
    unsigned before = fleet_attempts(f, SECONDS(5), SECONDS(HANGS_AT), 0, -1);

    EXPECT(never || before > 30, "it had only %u requests before", before);
    EXPECT(there * 20 <= all, "%u of %u requests were sent to a deployment that hangs, and no limit has told so", there,
           all);
    for (size_t i = 0; i < f->count; i++)
        EXPECT(f->visits[i].whole, "client %zu got no answer", i);
}

/* Before any limit has passed: that they wait is all that is known. */
SCENARIO(who_hangs_is_avoided_before_a_limit_tells, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 397)
{
    struct fleet_plan plan = {.deployments = 3,
                              .models = "{ " THREE ", strategy: least-latency }",
                              .timeouts = VERY_PATIENT,
                              .behaviour = "{ " LONG_ANSWERS " }",
                              .rate = 10,
                              .span = SECONDS(HANG_SPAN),
                              .longest = SECONDS(90),
                              .check = check_hang};

    plan.behaviours[0] = hangs_from_the_start(w) ? "{ " LONG_ANSWERS ", faults: [ {kind: hang} ] }"
                                                 : "{ " LONG_ANSWERS
                                                   ", schedule: [ { from: 20s, faults: [ {kind: hang} ] } ] }";
    return fleet_run(w, &plan);
}

/* --- what belongs together --- */

enum { TALKS = 30 };

/* Where a talk was answered most often within [from, to); -1: nowhere. *strays counts the answers that came from elsewhere. */
static int place_of(const struct fleet *f, unsigned session, ns_t from, ns_t to, unsigned *strays)
{
    unsigned times[FLEET_MAX] = {0}, all = 0;
    int most = -1;

    for (size_t i = 0; i < f->count; i++) {
        const struct visit *v = &f->visits[i];
        if (v->session != session || !v->whole || v->began < from || v->began >= to)
            continue;
        all++;
        times[v->deployment]++;
        if (most < 0 || times[v->deployment] > times[most])
            most = v->deployment;
    }
    *strays += all - (most < 0 ? 0 : times[most]);
    return most;
}

static void check_talks(struct fleet *f)
{
    ns_t dies = SECONDS(DIES_AT), out = dies + SECONDS(5);
    unsigned moved = 0, needless = 0, strays = 0;

    for (unsigned t = 1; t <= TALKS; t++) {
        int before = place_of(f, t, 0, dies, &strays), after = place_of(f, t, out, NS_NEVER, &strays);
        needless += before > 0 && after >= 0 && after != before;
        moved += before == 0 && after > 0;
    }
    EXPECT(moved > 0, "no talk was at the one that dies");
    EXPECT(needless <= TALKS / 5, "%u talks moved whose deployment lives", needless);
    EXPECT(strays <= f->count / 10, "%u of %zu requests were answered away from the rest of their talk", strays,
           f->count);
    for (size_t i = 0; i < f->count; i++)
        EXPECT(f->visits[i].whole || f->visits[i].begun, "client %zu failed", i);
}

/* All answer equally fast: who is slower by more than noise may be left, too, and who has more than its share of the load is: the talk that goes then stays
 * where it went, for its prompt is in the cache there. */
SCENARIO(only_the_talks_of_who_dies_move, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 397)
{
    struct fleet_plan plan = {.deployments = 3,
                              .models = "{ " THREE ", strategy: sticky }",
                              .behaviour = "{ ttft: 80ms, tokens_per_second: 100, answer_tokens: 10 }",
                              .rate = 10,
                              .span = SECONDS(40),
                              .sessions = TALKS,
                              .check = check_talks};

    plan.shut[0].from = SECONDS(DIES_AT);
    plan.shut[0].to = SECONDS(100);
    return fleet_run(w, &plan);
}

/* --- limits and keys are no illness --- */

enum { LIMIT_RESTS = 2 };      /* seconds, as in `ways` below */
#define LINE_MOST (10 * NS_MS) /* an answer's way, from its first byte to its last */

static void see_if_out(struct fleet *f)
{
    f->sampled += is_out(f, 0);
}

/* A credential that was told to wait is not used again before its time, by anybody. */
static void check_rested(const struct fleet *f, ns_t rest)
{
    unsigned again = 0;

    for (size_t i = 0; i < f->log.attempt_count; i++) {
        const struct attempt_facts *told = &f->log.attempts[i];
        if (told->cause != CAUSE_RATE_LIMITED)
            continue;
        ns_t reset = told->ended + rest - LINE_MOST; /* it is told with the head of the answer */
        for (size_t k = 0; k < f->log.attempt_count; k++) {
            const struct attempt_facts *a = &f->log.attempts[k];
            bool there = str_eq(a->deployment, told->deployment);
            EXPECT(!there || a->sent <= told->ended || a->sent >= reset, "%.*s was asked %lld ms before its reset",
                   STR_ARG(a->deployment), (long long)((reset - a->sent) / NS_MS));
            again += there && a->sent >= reset;
        }
    }
    EXPECT(again > 0, "nobody came back behind the reset");
}

static void check_no_ejection(struct fleet *f)
{
    struct live_report r;

    fleet_report(f, 0, &r);
    EXPECT(f->sampled == 0 && r.health.ejections == 0, "p0 was taken out: %s", outlier_reason_words(r.health.reason));
    EXPECT(r.causes[f->world->seed % 2 ? CAUSE_RATE_LIMITED : CAUSE_AUTH] > 0, "p0 refused nobody");
    if (f->world->seed % 2)
        check_rested(f, SECONDS(LIMIT_RESTS));
    check_failed(f, 0, NS_NEVER, 0);
}

/* Here the deployment has but one credential; those that have several are in credential_scenarios.c. */
SCENARIO(a_limit_or_a_revoked_key_ejects_nobody, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    static const char *const ways[] = {GOOD_UNTIL("5s", "{kind: status, status: 401}"),
                                       GOOD_UNTIL("5s", "{kind: rate_limit, retry_after: 2s}")};
    struct fleet_plan plan = {.deployments = 3,
                              .models = pick(three_by_strategy, 4, w->seed / 2),
                              .behaviour = GOOD,
                              .rate = 10,
                              .span = SECONDS(40),
                              .plain = 200,
                              .sample_every = 100 * NS_MS,
                              .sample = see_if_out,
                              .check = check_no_ejection};

    plan.behaviours[0] = ways[w->seed % 2];
    return fleet_run(w, &plan);
}

/* --- now and then --- */

#define ILL "faults: [ {kind: status, status: 500} ]"
#define FLAPPING                                                                                                       \
    "{ ttft: 80ms, tokens_per_second: 100, answer_tokens: 10, schedule: [ { from: 10s, to: 20s, " ILL " }, "           \
    "{ from: 30s, to: 40s, " ILL " }, { from: 50s, to: 60s, " ILL " }, { from: 70s, to: 80s, " ILL " } ] }"

static void check_flapping(struct fleet *f)
{
    unsigned sent = fleet_attempts(f, 0, NS_NEVER, -1, -1), visits = (unsigned)f->count;

    check_failed(f, 0, NS_NEVER, per_mille(visits));
    EXPECT(sent - visits <= visits / 20, "%u of %u requests were sent again", sent - visits, visits);
}

SCENARIO(a_flapping_deployment_costs_no_request, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    struct fleet_plan plan = {.deployments = 3,
                              .models = pick(three_by_strategy, 4, w->seed),
                              .behaviour = GOOD,
                              .rate = 10,
                              .span = SECONDS(90),
                              .check = check_flapping};

    plan.behaviours[0] = FLAPPING;
    return fleet_run(w, &plan);
}

#define BROWN GOOD_UNTIL("5s", "{kind: status, status: 500, weight: 30%}")

static void check_brown(struct fleet *f)
{
    /* all three at 30 %: three attempts fail for one request in 37, and some more have no budget */
    bool all = f->world->seed % 2;

    check_failed(f, 0, NS_NEVER, all ? (unsigned)f->count * 6 / 100 : 0);
    /* a strategy may soon find the others faster, and send little there */
    EXPECT(fleet_attempts(f, 0, NS_NEVER, -1, CAUSE_SERVER_ERROR) > 2, "there was no brown-out");
}

SCENARIO(a_brown_out_is_made_up_for, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    bool all = w->seed % 2;
    struct fleet_plan plan = {.deployments = 3,
                              .models = pick(three_by_strategy, 4, w->seed / 2),
                              .behaviour = all ? BROWN : GOOD,
                              .rate = 10,
                              .span = SECONDS(60),
                              .check = check_brown};

    plan.behaviours[0] = BROWN;
    return fleet_run(w, &plan);
}

/* --- coming back --- */

enum { BACK_AT = 20, BACK_SPAN = 100 };

/* When p0 was trusted again, in seconds. */
static void see_return(struct fleet *f)
{
    struct live_report r;

    fleet_report(f, 0, &r);
    if (f->peak == 0 && fleet_now(f) > SECONDS(BACK_AT) && r.health.state == OUTLIER_STARTING)
        f->peak = (double)fleet_now(f) / 1e9;
}

static void check_return(struct fleet *f)
{
    ns_t trusted = (ns_t)(f->peak * 1e9);

    EXPECT(f->peak > 0, "it never came back");
    EXPECT(f->peak - BACK_AT < 25, "it came back after %.1f s", f->peak - BACK_AT);
    unsigned early = fleet_attempts(f, trusted, trusted + SECONDS(5), 0, -1);
    unsigned late = fleet_attempts(f, SECONDS(BACK_SPAN - 20), SECONDS(BACK_SPAN), 0, -1);
    EXPECT(late >= 20 * 20 / 3 / 2, "it bears %u requests in 20 s only", late);
    EXPECT(early <= late / 4 / 2 + 3, "in its first 5 s it got %u requests, later %u in 20 s", early, late);
    check_failed(f, SECONDS(BACK_AT), NS_NEVER, 0);
}

SCENARIO(who_comes_back_is_not_met_by_a_herd, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    struct fleet_plan plan = {.deployments = 3,
                              .models = pick(three_by_strategy, 4, w->seed),
                              .behaviour = GOOD,
                              .rate = 20,
                              .span = SECONDS(BACK_SPAN),
                              .sample_every = 50 * NS_MS,
                              .sample = see_return,
                              .check = check_return};

    plan.shut[0].from = SECONDS(5);
    plan.shut[0].to = SECONDS(BACK_AT);
    return fleet_run(w, &plan);
}

#define SLOW_AT_FIRST                                                                                                  \
    "{ ttft: {distribution: lognormal, median: 80ms, sigma: 0.3}, tokens_per_second: 100, answer_tokens: 10, "         \
    "schedule: [ { to: 30s, ttft: 1600ms } ] }"

static void check_stale(struct fleet *f)
{
    ns_t end = f->plan->span;
    unsigned all = fleet_attempts(f, end - SECONDS(60), end, -1, -1),
             own = fleet_attempts(f, end - SECONDS(60), end, 0, -1);

    EXPECT(own >= all / 6, "what was slow long ago gets %u of %u requests", own, all);
    check_failed(f, 0, NS_NEVER, 0);
}

SCENARIO(what_was_slow_long_ago_is_tried_again, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 397)
{
    struct fleet_plan plan = {.deployments = 3,
                              .models = pick(three_by_strategy + 1, 2, w->seed),
                              .timeouts = PATIENT,
                              .behaviour = GOOD,
                              .rate = 6,
                              .span = SECONDS(240),
                              .check = check_stale};

    plan.behaviours[0] = SLOW_AT_FIRST;
    return fleet_run(w, &plan);
}

/* --- a burst --- */

static void see_balance(struct fleet *f)
{
    unsigned most = 0, sum = 0;

    for (unsigned i = 0; i < f->plan->deployments; i++) {
        struct live_report r;
        fleet_report(f, i, &r);
        sum += r.in_flight;
        most = r.in_flight > most ? r.in_flight : most;
    }
    if (sum < f->plan->burst / 2)
        return;
    double ratio = (double)most * f->plan->deployments / sum;
    f->sampled++;
    f->peak = ratio > f->peak ? ratio : f->peak;
}

static void check_balance(struct fleet *f)
{
    EXPECT(f->sampled > 0, "the burst was never seen");
    EXPECT(f->peak <= 1.3, "the most in flight is %.2f times the mean", f->peak);
    check_failed(f, 0, NS_NEVER, 0);
}

SCENARIO(a_burst_is_spread_evenly, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    struct fleet_plan plan = {
        .deployments = 8,
        .models = "{ targets: [ p0/m, p1/m, p2/m, p3/m, p4/m, p5/m, p6/m, p7/m ], strategy: least-busy }",
        .timeouts = PATIENT,
        .behaviour = "{ ttft: 2s, tokens_per_second: 100, answer_tokens: 10 }",
        .burst = 500,
        .sample_every = 5 * NS_MS,
        .sample = see_balance,
        .check = check_balance};

    return fleet_run(w, &plan);
}

/* --- so many that not all are read --- */

#define ELEVEN(i)                                                                                                      \
    "p" #i "/m, p" #i "x0/m, p" #i "x1/m, p" #i "x2/m, p" #i "x3/m, p" #i "x4/m, p" #i "x5/m, p" #i "x6/m, p" #i       \
    "x7/m, p" #i "x8/m, p" #i "x9/m"
#define MANY                                                                                                           \
    "targets: [ " ELEVEN(0) ", " ELEVEN(1) ", " ELEVEN(2) ", " ELEVEN(3) ", " ELEVEN(4) ", " ELEVEN(5) ", " ELEVEN(    \
        6) ", " ELEVEN(7) ", " ELEVEN(8) ", " ELEVEN(9) " ]"

static const char *const many_by_strategy[] = {
    "{ " MANY ", strategy: weighted }", "{ " MANY ", strategy: round-robin }", "{ " MANY ", strategy: priority }",
    "{ " MANY ", strategy: sticky }",   "{ " MANY ", strategy: lowest-cost }", "{ " MANY ", strategy: least-busy }",
};

/* A tenth of the deployments dies. Whoever chooses finds others, reads few, and leaves a record from which it can be decided again (which the house does). */
static void check_many(struct fleet *f)
{
    ns_t dies = f->plan->shut[3].from;
    size_t whole = 0, first = 0;

    check_failed(f, 0, dies - NS_SEC, 0); /* between these some may be in the middle of an answer */
    check_failed(f, dies, NS_NEVER, 0);
    for (size_t i = 0; i < f->log.decision_count; i++) {
        const struct decision_facts *d = &f->log.decisions[i];
        bool is_whole = replay_is_whole(d);
        EXPECT(d->count == 110, "a decision was among %llu", (unsigned long long)d->count);
        whole += is_whole;
        first += d->attempt == 1;
    }
    EXPECT(first >= f->count, "%zu requests left %zu decisions", f->count, first);
    EXPECT(whole * 100 >= f->log.decision_count * 98, "only %zu of %zu decisions have all that was read on record",
           whole, f->log.decision_count);
}

SCENARIO(a_large_fleet_is_chosen_from_by_reading_few, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    struct fleet_plan plan = {.deployments = 10,
                              .copies = 10,
                              .models = pick(many_by_strategy, ARRAY_LEN(many_by_strategy), w->seed),
                              .behaviour = "{ ttft: 50ms, tokens_per_second: 400, answer_tokens: 20 }",
                              .rate = 60,
                              .span = 30 * NS_SEC,
                              .sessions = 40,
                              .shut = {{0, 0}, {0, 0}, {0, 0}, {10 * NS_SEC, 20 * NS_SEC}},
                              .check = check_many};

    return fleet_run(w, &plan);
}

/* --- fallbacks by cause --- */

#define BY_CAUSE(retries)                                                                                              \
    "{ targets: p0/m, retries: " retries ", ejection: false, fallbacks: { context_length: [ p1/m, p2/m ], "            \
    "content_filter: [ p3/m, p4/m ], rate_limit: [ p5/m, p6/m ], timeout: [ p7/m, p8/m ], any: p9/m } }"

struct cause_row {
    const char *behaviour; /* of the target, and of the first of its fallbacks */
    enum cause cause;
    unsigned first; /* of the list for it */
    struct str pool;
};

static const struct cause_row cause_rows[] = {
    {"{ faults: [ {kind: context_length} ] }", CAUSE_CONTEXT_LENGTH, 1, STR_INIT("fallbacks.context_length")},
    {"{ faults: [ {kind: content_filter} ] }", CAUSE_CONTENT_FILTER, 3, STR_INIT("fallbacks.content_filter")},
    {"{ faults: [ {kind: rate_limit, retry_after: 60s} ] }", CAUSE_RATE_LIMITED, 5, STR_INIT("fallbacks.rate_limit")},
    {"{ faults: [ {kind: hang} ] }", CAUSE_TIMEOUT_FIRST, 7, STR_INIT("fallbacks.timeout")},
};

/* Is attempt `a` the one at deployment `at`, made as `role`, and ended with `cause`? */
static void check_attempt(const struct attempt_facts *a, unsigned at, enum attempt_role role, enum cause cause)
{
    EXPECT(a->deployment.p[1] == (char)('0' + at) && a->role == role && a->cause == cause,
           "attempt %u was one of role %u at %.*s and ended with %s; it should be of role %u at p%u and end with %s",
           a->number, a->role, STR_ARG(a->deployment), cause_meaning(a->cause)->name, role, at,
           cause_meaning(cause)->name);
}

static void check_order(struct fleet *f)
{
    const struct cause_row *row = NULL;

    for (size_t i = 0; i < ARRAY_LEN(cause_rows); i++)
        row = f->plan->behaviours[0] == cause_rows[i].behaviour ? &cause_rows[i] : row;
    if (row && row->cause == CAUSE_RATE_LIMITED) { /* who has said so is not asked again before its time */
        EXPECT(f->log.attempt_count >= f->count + 2, "nobody met a limit");
        for (size_t i = 0; i < f->log.attempt_count; i++)
            EXPECT(f->log.attempts[i].cause != CAUSE_OK ||
                       f->log.attempts[i].deployment.p[1] == (char)('1' + row->first),
                   "attempt at %.*s was answered", STR_ARG(f->log.attempts[i].deployment));
        return;
    }
    EXPECT(row && f->log.attempt_count == 3 * f->count, "%zu requests made %zu attempts", f->count,
           f->log.attempt_count);
    for (size_t i = 0; i + 2 < f->log.attempt_count; i += 3) {
        check_attempt(&f->log.attempts[i], 0, ROLE_FIRST, row->cause);
        check_attempt(&f->log.attempts[i + 1], row->first, ROLE_FALLBACK, row->cause);
        check_attempt(&f->log.attempts[i + 2], row->first + 1, ROLE_FALLBACK, CAUSE_OK);
    }
    for (size_t i = 0; i < f->log.decision_count; i++) {
        const struct decision_facts *d = &f->log.decisions[i];
        EXPECT(str_eq(d->pool, d->attempt == 1 ? STR("targets") : row->pool), "attempt %u was chosen from %.*s",
               d->attempt, STR_ARG(d->pool));
    }
    check_failed(f, 0, NS_NEVER, 0);
}

/* Half of the retries fail here: what is wrong with the request needs no budget for that, the rest does. */
SCENARIO(each_cause_goes_to_its_own_fallbacks_in_order, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    for (size_t i = 0; i < ARRAY_LEN(cause_rows); i++) {
        bool of_request = cause_meaning(cause_rows[i].cause)->of_request;
        bool limited =
            cause_rows[i].cause == CAUSE_RATE_LIMITED; /* the second would not be sent to a parked credential */
        struct fleet_plan plan = {.deployments = 10,
                                  .models = of_request ? BY_CAUSE("1") : BY_CAUSE("{ attempts: 1, budget: 100% }"),
                                  .behaviour = GOOD,
                                  .rate = of_request ? 10
                                          : limited  ? 0
                                                     : 1,
                                  .burst = limited ? 1 : 3,
                                  .span = SECONDS(10),
                                  .plain = 500,
                                  .check = check_order};
        plan.behaviours[0] = plan.behaviours[cause_rows[i].first] = cause_rows[i].behaviour;
        TRY(fleet_run(w, &plan));
    }
    return OK;
}

/* --- deadlines, and clients that leave --- */

/* Everything that can go wrong, and `limit`. */
#define EVERYTHING(limit)                                                                                              \
    "{ ttft: {distribution: exponential, mean: 300ms}, tokens_per_second: 20, answer_tokens: {distribution: uniform, " \
    "min: 1, max: 200}, faults: [ {kind: status, status: 500, weight: 8%}, " limit                                     \
    ", {kind: hang, weight: 8%}, {kind: hang, duration: 1s, weight: 8%}, {kind: reset_before_headers, "                \
    "weight: 8%}, {kind: reset_after_headers, weight: 8%}, {kind: break_stream, weight: 8%}, {kind: stall, weight: "   \
    "8%}, {kind: malformed_json, weight: 8%}, {kind: slow_trickle, bytes: 20, every: 300ms, weight: 8%}, {kind: "      \
    "error_event, weight: 8%} ] }"

SCENARIO(the_deadline_wins_whatever_fails, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    struct fleet_plan plan = {.deployments = 4,
                              .models =
                                  "{ " THREE ", fallbacks: [ p3/m ], retries: { attempts: 4, here: 2, budget: 100% } }",
                              .timeouts = "{ connect: 1s, first_byte: 3s, between_bytes: 3s, total: 6s }",
                              .behaviour = EVERYTHING("{kind: rate_limit, retry_after: 3s, weight: 8%}"),
                              .rate = 10,
                              .span = SECONDS(30),
                              .plain = 300,
                              .longest = SECONDS(6)};

    return fleet_run(w, &plan);
}

static void check_left(struct fleet *f)
{
    unsigned cancelled = 0;

    for (size_t i = 0; i < f->log.attempt_count; i++) {
        const struct attempt_facts *a = &f->log.attempts[i];
        EXPECT(a->cause != CAUSE_CANCELLED || a->is_final, "attempt %u was cancelled, and another followed", a->number);
        cancelled += a->cause == CAUSE_CANCELLED;
    }
    EXPECT(cancelled > f->count / 10, "only %u of %zu attempts were cancelled", cancelled, f->count);
    check_failed(f, 0, NS_NEVER, (unsigned)f->count);
}

/* Without limits: who is refused at once has nothing to leave. */
SCENARIO(nothing_goes_on_for_who_has_left, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    struct fleet_plan plan = {.deployments = 3,
                              .models = pick(three_by_strategy, 4, w->seed / 2),
                              .behaviour = w->seed % 2 ? EVERYTHING("{kind: status, status: 503, weight: 8%}")
                                                       : "{ ttft: 500ms, tokens_per_second: 20, answer_tokens: 60 }",
                              .rate = 20,
                              .span = SECONDS(20),
                              .plain = 300,
                              .leaving = 600,
                              .check = check_left};

    return fleet_run(w, &plan);
}
