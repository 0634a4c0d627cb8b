/*
 * hedge_scenarios.c - what a second attempt beside a late one is worth, what it costs, and that nothing is left of either, however both end.
 *
 * The house (fleet_house.h) checks what holds always: one answer for each client, nothing in flight at the end, complete records, a log that
 * replays.
 */
#include "rt/loop.h"
#include "sim/fleet_house.h"
#include "sim/simulator.h"

/* One request in 60 hangs for 1.6 s: twenty times as long as usual. That is enough for the 99th percentile of a few thousand to be one of them, whatever is
 * drawn, and can still be hedged. */
#define TAILED                                                                                                         \
    "{ ttft: {distribution: lognormal, median: 80ms, sigma: 0.2}, tokens_per_second: 100, answer_tokens: 10, "         \
    "faults: [ {kind: hang, duration: 1600ms, weight: 1.7%} ] }"
#define OFTEN_LATE                                                                                                     \
    "{ ttft: 80ms, tokens_per_second: 100, answer_tokens: 10, faults: [ {kind: hang, duration: 1600ms, weight: 8%} ] " \
    "}"
#define THREE "targets: [ p0/m, p1/m, p2/m ]"
#define FOUR "targets: [ p0/m, p1/m, p2/m, p3/m ]"
#define HEDGED(rules) "{ " THREE ", strategy: least-busy, hedge: { enabled: true, requests: 2%, " rules " } }"
#define PATIENT "{ connect: 2s, first_byte: 15s, between_bytes: 4s, total: 20s }"
#define PRICED                                                                                                         \
    "deployments: { p0/m: { price: { input: 1, output: 2 } }, p1/m: { price: { input: 1, output: 2 } }, "              \
    "p2/m: { price: { input: 1, output: 2 } } }"
#define NANO_PER_TOKEN 1000  /* of input: a dollar for a million */
#define DIALLED (10 * NS_MS) /* by then a request is on its way: nothing is billed before */
#define LEARNT (30 * NS_SEC) /* by then the distributions are known */

static unsigned hedges_of(const struct fleet *f)
{
    unsigned n = 0;

    for (size_t i = 0; i < f->log.attempt_count; i++)
        n += f->log.attempts[i].role == ROLE_HEDGE;
    return n;
}

static void check_no_hedge(struct fleet *f)
{
    EXPECT(f->count > 500 && fleet_tally(f, 0, NS_NEVER).failed == 0, "%zu came, %u of them were not answered",
           f->count, fleet_tally(f, 0, NS_NEVER).failed);
    EXPECT(hedges_of(f) == 0, "%u requests were hedged", hedges_of(f));
}

/* --- the tail --- */

/* What the fleet without hedges showed, for the one with them: a world runs both. */
static ns_t shown_p99;

static void show_p99(struct fleet *f)
{
    shown_p99 = fleet_tally(f, LEARNT, f->plan->span).p99;
    check_no_hedge(f);
}

/* The two attempts of a hedged request: the log has them one behind the other. */
static void check_pair(const struct attempt_facts *first, const struct attempt_facts *hedge)
{
    bool won = hedge->cause == CAUSE_OK;
    const struct attempt_facts *winner = won ? hedge : first, *loser = won ? first : hedge;

    EXPECT(str_eq(first->request, hedge->request) && first->role == ROLE_FIRST &&
               !str_eq(first->deployment, hedge->deployment),
           "a hedge beside attempt %u of another request, or at the same deployment", first->number);
    EXPECT(winner->cause == CAUSE_OK && winner->is_final && winner->is_priced && winner->price > 0,
           "the attempt that won ended with %s, price %llu", cause_meaning(winner->cause)->name,
           (unsigned long long)winner->price);
    EXPECT(loser->cause == CAUSE_SUPERSEDED && !loser->is_final, "the attempt that lost ended with %s",
           cause_meaning(loser->cause)->name);
    bool unsent = loser->ended - loser->sent < DIALLED && !loser->price;
    EXPECT(!winner->is_estimated && loser->is_priced &&
               (unsent || (loser->is_estimated && loser->price == loser->input_estimate * NANO_PER_TOKEN)),
           "the attempt that lost is priced with %llu, its input was estimated as %llu tokens",
           (unsigned long long)loser->price, (unsigned long long)loser->input_estimate);
    EXPECT(loser->ended <= winner->first + 10 * NS_MS, "the attempt that lost went on for %lld ms",
           (long long)((loser->ended - winner->first) / NS_MS));
}

static unsigned cancelled_by(const struct fleet *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < f->plan->deployments; i++)
        n += simulator_tally(f->sites[i].simulator).cancelled;
    return n;
}

static void check_tail(struct fleet *f)
{
    unsigned hedges = hedges_of(f), sent = fleet_attempts(f, 0, NS_NEVER, -1, -1),
             lost = fleet_attempts(f, 0, NS_NEVER, -1, CAUSE_SUPERSEDED);
    ns_t p99 = fleet_tally(f, LEARNT, f->plan->span).p99;

    EXPECT(p99 * 10 <= shown_p99 * 6, "p99 of the time to first token is %lld ms, and was %lld ms without hedges",
           (long long)(p99 / NS_MS), (long long)(shown_p99 / NS_MS));
    EXPECT(hedges > f->count / 200 && sent == f->count + hedges && hedges * 50 <= f->count,
           "%zu requests made %u attempts, %u of them hedges", f->count, sent, hedges);
    /* who answers at the moment in which the other does has nothing left to cancel */
    EXPECT(lost == hedges && cancelled_by(f) + lost / 20 >= lost, "%u hedges, %u attempts lost, providers saw %u leave",
           hedges, lost, cancelled_by(f));
    for (size_t i = 1; i < f->log.attempt_count; i++)
        if (f->log.attempts[i].role == ROLE_HEDGE)
            check_pair(&f->log.attempts[i - 1], &f->log.attempts[i]);
    EXPECT(fleet_tally(f, 0, NS_NEVER).failed == 0, "somebody got no answer");
}

SCENARIO(hedges_cut_the_tail_for_two_per_cent_more_requests, .weather = WEATHER_CALM, .prepare = fleet_lines,
         .thin = 199)
{
    struct prng before = w->prng;
    struct fleet_plan plan = {.deployments = 3,
                              .models = "{ " THREE ", strategy: least-busy }",
                              .top = PRICED,
                              .timeouts = PATIENT,
                              .behaviour = TAILED,
                              .rate = 20,
                              .span = 240 * NS_SEC,
                              .check = show_p99};

    TRY(fleet_run(w, &plan));
    w->prng = before; /* the same traffic */
    plan.models = HEDGED("spend: 5%");
    plan.check = check_tail;
    return fleet_run(w, &plan);
}

/* --- what it costs --- */

/* The money is there for four hedges that cost what a request does. But of who loses only the input is billed. */
static void check_charged(struct fleet *f)
{
    EXPECT(hedges_of(f) > 8, "only %u of %zu requests were hedged", hedges_of(f), f->count);
}

SCENARIO(hedges_are_charged_with_what_was_spent_in_vain, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    struct fleet_plan plan = {.deployments = 3,
                              .models = HEDGED("spend: 0.2%"),
                              .top = PRICED,
                              .timeouts = PATIENT,
                              .behaviour = TAILED,
                              .rate = 20,
                              .span = 100 * NS_SEC,
                              .check = check_charged};

    return fleet_run(w, &plan);
}

/* --- who is not hedged --- */

#define NOWHERE_ELSE "hedge: { enabled: true, requests: 2%, spend: 5% } }"

SCENARIO(what_must_or_need_not_be_hedged_is_not, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    static const struct {
        const char *models, *fields, *first; /* first: how p0 behaves, if otherwise */
        bool claude;
        unsigned plain;
    } rows[] = {
        {HEDGED("spend: 0.1%"), .fields = NULL}, /* no money for it */
        {HEDGED("spend: 5%"), ",\"mcp_servers\":[{\"type\":\"url\",\"url\":\"https://x.example\",\"name\":\"x\"}]",
         .claude = true},                                   /* not harmless */
        {HEDGED("spend: 5%"), .plain = 1000},               /* it shows no first token */
        {HEDGED("spend: 5%, samples: 100000"), .plain = 0}, /* nobody knows what is late */
        {"{ targets: p0/m, fallbacks: [ p1/m ], " NOWHERE_ELSE, .plain = 0},
        {"{ targets: p0/m, fallbacks: [ p1/m, p2/m ], " NOWHERE_ELSE, /* only fallbacks are left */
         .first = "{ faults: [ {kind: rate_limit, retry_after: 600s} ] }"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fleet_plan plan = {.deployments = 3,
                                  .dialect = rows[i].claude ? "anthropic" : NULL,
                                  .claude = rows[i].claude,
                                  .models = rows[i].models,
                                  .top = PRICED,
                                  .timeouts = PATIENT,
                                  .behaviour = TAILED,
                                  .behaviours = {rows[i].first},
                                  .rate = 20,
                                  .span = 40 * NS_SEC,
                                  .fields = rows[i].fields,
                                  .plain = rows[i].plain,
                                  .check = check_no_hedge};
        TRY(fleet_run(w, &plan));
    }
    return OK;
}

/* --- one that cannot be sent after all --- */

/* Whom nobody but p0 can serve stands in line the whole time; at p1 there is no line, and at p2 nobody is served before those who stand there. */
#define IN_LINE                                                                                                        \
    "deployments: { p0/m: { concurrency: 1 }, p1/m: { abilities: { without: tools } }, "                               \
    "p2/m: { concurrency: 100, abilities: { without: tools } } }"
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]"

static void check_given_back(struct fleet *f)
{
    const struct hedge_rules *rules = &f->snapshot->catalog->models[0].rules.hedge;
    unsigned refused = 0, left = 0;

    for (size_t i = 0; i < f->log.decision_count; i++)
        refused += f->log.decisions[i].attempt == 2 && str_eq(f->log.decisions[i].chosen, STR("p2/m"));
    while (live_route_take_hedge(f->snapshot->routes[0], rules, 0))
        left++;
    EXPECT(hedges_of(f) == 0 && refused >= 10, "%u were hedged, %u were to be", hedges_of(f), refused);
    EXPECT(left >= 9, "of ten hedges that could be paid for %u are left", left);
}

SCENARIO(a_hedge_that_must_stand_in_line_is_given_back, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 199)
{
    struct fleet_plan plan = {
        .deployments = 3,
        .models = "{ strategy: priority, targets: [ { deployment: p1/m, tier: 1 }, "
                  "{ deployment: p2/m, tier: 2 }, { deployment: p0/m, tier: 3 } ], queue: { max_wait: 15s }, "
                  "hedge: { enabled: true, requests: 5%, spend: 5%, samples: 50 } }",
        .top = IN_LINE,
        .timeouts = PATIENT,
        .behaviour = OFTEN_LATE,
        .behaviours = {"{ faults: [ {kind: hang} ] }"},
        .rate = 40,
        .span = 13 * NS_SEC,
        .burst = 2,
        .burst_fields = TOOLS,
        .longest = 21 * NS_SEC,
        .check = check_given_back};

    return fleet_run(w, &plan);
}

/* --- however both end --- */

#define EAGER "hedge: { enabled: true, requests: 50%, spend: 50%, quantile: 0.5, samples: 10, least: 20ms }"
#define EVERYTHING                                                                                                     \
    "{ ttft: {distribution: exponential, mean: 600ms}, tokens_per_second: 50, answer_tokens: {distribution: uniform, " \
    "min: 1, max: 40}, faults: [ {kind: status, status: 500, weight: 8%}, "                                            \
    "{kind: hang, weight: 8%}, {kind: hang, duration: 600ms, weight: 8%}, {kind: reset_before_headers, weight: 5%}, "  \
    "{kind: reset_after_headers, weight: 5%}, {kind: break_stream, weight: 5%}, {kind: stall, weight: 5%}, "           \
    "{kind: malformed_json, weight: 5%}, {kind: error_event, weight: 5%} ] }"

/* A hedge, and the attempt beside it: which ends are there? */
struct ends {
    unsigned hedge_won, first_won, none_won, hedge_failed, first_failed, left;
};

static bool has_failed(enum cause c)
{
    return c != CAUSE_OK && c != CAUSE_SUPERSEDED && c != CAUSE_CANCELLED;
}

static struct ends ends_of(const struct fleet *f)
{
    struct ends n = {0};

    for (size_t i = 1; i < f->log.attempt_count; i++) {
        const struct attempt_facts *first = &f->log.attempts[i - 1], *hedge = &f->log.attempts[i];
        if (hedge->role != ROLE_HEDGE)
            continue;
        EXPECT(!(first->cause == CAUSE_OK && hedge->cause == CAUSE_OK), "two attempts answered one client");
        EXPECT(!(first->cause == CAUSE_SUPERSEDED && hedge->cause == CAUSE_SUPERSEDED), "both were superseded");
        n.hedge_won += hedge->first && !first->first;
        n.first_won += hedge->cause == CAUSE_SUPERSEDED;
        n.hedge_failed += has_failed(hedge->cause) && first->cause == CAUSE_OK;
        n.first_failed += has_failed(first->cause) && hedge->cause == CAUSE_OK;
        n.none_won += has_failed(first->cause) && has_failed(hedge->cause) && !first->first && !hedge->first;
        n.left += hedge->cause == CAUSE_CANCELLED && first->cause == CAUSE_CANCELLED;
    }
    return n;
}

static void check_ends(struct fleet *f)
{
    struct ends n = ends_of(f);

    EXPECT(n.hedge_won && n.first_won && n.none_won && n.hedge_failed && n.first_failed && n.left,
           "hedges won %u, lost %u, failed first %u; the first failed first %u; both failed %u; clients left %u",
           n.hedge_won, n.first_won, n.hedge_failed, n.first_failed, n.none_won, n.left);
}

SCENARIO(two_attempts_are_one_answer_however_they_end, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 97)
{
    static const char *const models[] = {
        "{ " FOUR ", retries: { attempts: 4, budget: 100% }, ejection: false, " EAGER " }",
        "{ " THREE ", fallbacks: [ p3/m ], strategy: least-latency, ejection: false, " EAGER " }",
        "{ " FOUR ", retries: { attempts: 3, here: 2, budget: 100% }, strategy: least-busy, " EAGER " }",
    };
    unsigned which = w->seed % ARRAY_LEN(models);
    bool claude = w->seed / ARRAY_LEN(models) % 2; /* each attempt is translated, then */
    struct fleet_plan plan = {.deployments = 4,
                              .claude = claude,
                              .models = models[which],
                              .timeouts = "{ connect: 1s, first_byte: 1500ms, between_bytes: 1500ms, total: 3s }",
                              .behaviour = EVERYTHING,
                              .rate = 20,
                              .span = 60 * NS_SEC,
                              .plain = 100,
                              .leaving = 300,
                              .longest = 3 * NS_SEC,
                              .check = which < 2 ? check_ends : NULL}; /* the third is busy with who is ill */

    return fleet_run(w, &plan);
}

/* --- the winner breaks off --- */

#define TORN                                                                                                           \
    "{ ttft: {distribution: exponential, mean: 300ms}, tokens_per_second: 100, answer_tokens: 30, faults: [ "          \
    "{kind: hang, duration: 900ms, weight: 15%}, {kind: break_stream, after_tokens: 8, weight: 12%}, "                 \
    "{kind: truncated_sse, after_tokens: 12, weight: 8%} ] }"

/* Requests that a hedge answered, that broke off, and that went on elsewhere to their end. */
static unsigned resumed_hedges(const struct fleet *f)
{
    unsigned n = 0;

    for (size_t i = 1; i < f->log.attempt_count; i++) {
        const struct attempt_facts *hedge = &f->log.attempts[i - 1], *next = &f->log.attempts[i];
        n += hedge->role == ROLE_HEDGE && hedge->cause == CAUSE_BROKEN && next->role == ROLE_CONTINUATION &&
             str_eq(hedge->request, next->request) && next->cause == CAUSE_OK;
    }
    return n;
}

static void check_resumed(struct fleet *f)
{
    struct fleet_tally t = fleet_tally(f, 0, NS_NEVER);

    EXPECT(resumed_hedges(f) > 5, "only %u answers of hedges went on elsewhere", resumed_hedges(f));
    EXPECT(t.failed * 20 <= t.visits, "%u of %u answers are not whole", t.failed, t.visits);
}

SCENARIO(a_hedge_that_breaks_off_goes_on_elsewhere, .weather = WEATHER_CALM, .prepare = fleet_lines, .thin = 97)
{
    struct fleet_plan plan = {.deployments = 4,
                              .models = "{ " FOUR ", strategy: least-busy, ejection: false, stream_failover: true, "
                                        "retries: { attempts: 4, budget: 100% }, " EAGER " }",
                              .behaviour = TORN,
                              .alike = true,
                              .claude = w->seed / 2 % 2,
                              .rate = 20,
                              .span = 40 * NS_SEC,
                              .leaving = w->seed % 2 ? 200 : 0,
                              .check = check_resumed};

    return fleet_run(w, &plan);
}
