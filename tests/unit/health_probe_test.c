/* health_probe_test.c - deployments are asked when nothing else tells, what tells anything, and within the day's money. */
#include "policy/health_probe.h"

#include "base/prng.h"
#include "unit/test.h"

#define NOON (INT64_C(1795262400) * NS_SEC) /* 2026-11-21T12:00:00Z */
#define DAY (INT64_C(86400) * NS_SEC)

static const struct probe_rules server = {.free = PROBE_SERVER, .interval = 30 * NS_SEC};
static const struct probe_rules reach = {.free = PROBE_REACH, .interval = 30 * NS_SEC};
static const struct probe_rules token = {.token = true, .interval = 30 * NS_SEC, .spend = 1000};

static struct probe_next ask(const struct probe_rules *rules, const struct probe_seen *seen, uint64_t draw)
{
    static const struct probe_account empty;

    return probe_next(rules, seen, &empty, 10, NOON, draw);
}

TEST(health_probe_leaves_a_deployment_alone_as_long_as_traffic_tells)
{
    struct probe_seen seen = {.good = 1000 * NS_SEC, .since = NS_SEC};
    struct probe_next next = ask(&server, &seen, 0);

    CHECK_EQ(next.kind, PROBE_SERVER);
    CHECK_EQ(next.why, PROBE_IDLE);
    CHECK_EQ(next.at, 1030 * NS_SEC);
    CHECK_EQ(ask(&server, &seen, UINT64_MAX).at, 1033 * NS_SEC);
    seen.good = 1020 * NS_SEC;
    CHECK_EQ(ask(&server, &seen, 0).at, 1050 * NS_SEC);
    seen.asked = 1040 * NS_SEC; /* a probe that told nothing does not follow on another */
    CHECK_EQ(ask(&server, &seen, 0).at, 1070 * NS_SEC);
}

TEST(health_probe_asks_one_that_was_never_heard_of_soon_and_not_all_at_once)
{
    struct probe_seen seen = {.since = 100 * NS_SEC};
    struct prng prng;
    ns_t first = NS_NEVER, last = 0;

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 200; i++) {
        ns_t at = ask(&reach, &seen, prng_next(&prng)).at;
        CHECK(at >= 100 * NS_SEC && at <= 105 * NS_SEC);
        first = at < first ? at : first;
        last = at > last ? at : last;
    }
    CHECK_GT(last - first, 4 * NS_SEC);
}

TEST(health_probe_tries_an_ejected_one_when_its_time_is_over)
{
    struct probe_seen seen = {.state = OUTLIER_EJECTED,
                              .until = 50 * NS_SEC,
                              .ill = 45 * NS_SEC,
                              .last_ill = CAUSE_CONNECT,
                              .ejected_by = CAUSE_CONNECT};

    for (uint64_t draw = 0;; draw = UINT64_MAX) {
        struct probe_next next = ask(&reach, &seen, draw);
        CHECK_EQ(next.kind, PROBE_REACH);
        CHECK_EQ(next.why, PROBE_RETURN);
        CHECK(next.at >= 50 * NS_SEC && next.at <= 51 * NS_SEC);
        if (draw)
            break;
    }
    seen.state = OUTLIER_PROBING; /* one probe was good: the next follows soon, and is of the same kind */
    seen.asked = 50 * NS_SEC;
    seen.good = 50 * NS_SEC + 1;
    struct probe_next next = ask(&reach, &seen, 0);
    CHECK_EQ(next.kind, PROBE_REACH);
    CHECK(next.at > 50 * NS_SEC && next.at <= 52 * NS_SEC);
}

TEST(health_probe_asks_a_suspect_more_often)
{
    struct probe_seen seen = {.good = 90 * NS_SEC, .ill = 100 * NS_SEC, .last_ill = CAUSE_CONNECT};
    struct probe_next next = ask(&server, &seen, UINT64_MAX);

    CHECK_EQ(next.why, PROBE_SUSPECT);
    CHECK(next.at > 100 * NS_SEC && next.at <= 102 * NS_SEC);
    seen.good = 101 * NS_SEC;
    CHECK_EQ(ask(&server, &seen, 0).why, PROBE_IDLE);
    CHECK_EQ(ask(&server, &seen, 0).at, 131 * NS_SEC);
    struct probe_rules often = server; /* no rule makes it seldomer than the interval */
    often.interval = 100 * NS_MS;
    seen.ill = seen.good;
    CHECK_LE(ask(&often, &seen, UINT64_MAX).at, seen.ill + 150 * NS_MS);
}

TEST(health_probe_does_not_take_good_news_from_who_cannot_see_the_illness)
{
    static const struct {
        enum cause cause;
        bool server, reach;
    } cases[] = {{CAUSE_CONNECT, true, true},       {CAUSE_RESET, true, false},      {CAUSE_TIMEOUT_FIRST, true, false},
                 {CAUSE_SERVER_ERROR, true, false}, {CAUSE_OVERLOADED, true, false}, {CAUSE_MALFORMED, false, false},
                 {CAUSE_EMPTY, false, false},       {CAUSE_BROKEN, false, false},    {CAUSE_OK, false, false}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct probe_seen out = {.state = OUTLIER_PROBING, .ill = NS_SEC, .ejected_by = cases[i].cause};
        struct probe_seen suspect = {.ill = NS_SEC, .last_ill = cases[i].cause};
        test_context("%s", cause_meaning(cases[i].cause)->name);
        CHECK_EQ(ask(&server, &out, 0).kind, cases[i].server ? PROBE_SERVER : PROBE_NONE);
        CHECK_EQ(ask(&reach, &out, 0).kind, cases[i].reach ? PROBE_REACH : PROBE_NONE);
        CHECK_EQ(ask(&server, &suspect, 0).kind, cases[i].server ? PROBE_SERVER : PROBE_NONE);
        CHECK_EQ(ask(&reach, &suspect, 0).kind, cases[i].reach ? PROBE_REACH : PROBE_NONE);
        if (!cases[i].reach)
            CHECK_EQ(ask(&reach, &suspect, 0).why, PROBE_USELESS);
        suspect.good = 2 * NS_SEC; /* it has answered since */
        CHECK_EQ(ask(&reach, &suspect, 0).kind, PROBE_REACH);
        CHECK_EQ(ask(&token, &out, 0).kind, PROBE_TOKEN);
    }
    test_context("%s", "");
}

TEST(health_probe_pays_for_tokens_only_where_nothing_free_tells)
{
    struct probe_rules both = token;
    struct probe_seen well = {.good = NS_SEC}, garbled = {.ill = NS_SEC, .last_ill = CAUSE_MALFORMED};

    both.free = PROBE_REACH;
    CHECK_EQ(ask(&both, &well, 0).kind, PROBE_REACH);
    CHECK_EQ(ask(&both, &garbled, 0).kind, PROBE_TOKEN);
    CHECK_EQ(ask(&token, &well, 0).kind, PROBE_TOKEN);
    both.token = false;
    CHECK_EQ(ask(&both, &garbled, 0).kind, PROBE_NONE);
    CHECK_EQ(ask(&(struct probe_rules){.interval = NS_SEC}, &well, 0).kind, PROBE_NONE);
}

TEST(health_probe_never_spends_more_than_the_day_s_money)
{
    struct probe_account a = {0};
    struct probe_seen seen = {.good = NS_SEC};
    unsigned made = 0;

    for (int i = 0; i < 200; i++)
        made += probe_account_take(&a, &token, 10, NOON + i);
    CHECK_EQ(made, 100);
    CHECK_EQ(a.spent, 1000);
    CHECK_EQ(probe_next(&token, &seen, &a, 10, NOON, 0).why, PROBE_SPENT);
    CHECK_EQ(probe_next(&token, &seen, &a, 10, NOON, 0).kind, PROBE_NONE);
    probe_account_settle(&a, 10, 3); /* cheaper than thought */
    CHECK_EQ(a.spent, 993);
    CHECK(!probe_account_take(&a, &token, 8, NOON));
    CHECK(probe_account_take(&a, &token, 7, NOON));
    CHECK_EQ(probe_next(&token, &seen, &a, 10, NOON + DAY, 0).kind, PROBE_TOKEN);
    CHECK(probe_account_take(&a, &token, 10, NOON + DAY)); /* another day */
    CHECK_EQ(a.spent, 10);
    probe_account_settle(&a, 25, 20); /* taken the day before */
    CHECK_EQ(a.spent, 20);
    CHECK(!probe_account_take(&a, &token, 2000, NOON + 2 * DAY));
    probe_account_settle(&a, 0, UINT64_MAX);
    CHECK_EQ(a.spent, UINT64_MAX);
    CHECK(!probe_account_take(&a, &token, 0, NOON + DAY));
}

/* Drawn deployments: whatever is known, a probe is never too early. */
TEST(health_probe_is_never_before_its_time)
{
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 20000; i++) {
        struct probe_rules rules = {.free = (enum probe_kind)prng_below(&prng, 3),
                                    .token = prng_below(&prng, 2),
                                    .interval = 1 + (ns_t)prng_below(&prng, 100 * NS_SEC),
                                    .spend = prng_below(&prng, 30)};
        struct probe_seen s = {.state = (enum outlier_state)prng_below(&prng, OUTLIER_STATES),
                               .until = (ns_t)prng_below(&prng, 4 * NS_SEC),
                               .good = (ns_t)prng_below(&prng, 3) * NS_SEC,
                               .ill = (ns_t)prng_below(&prng, 3) * NS_SEC,
                               .last_ill = (enum cause)prng_below(&prng, CAUSES),
                               .ejected_by = (enum cause)prng_below(&prng, CAUSES),
                               .asked = (ns_t)prng_below(&prng, 3) * NS_SEC,
                               .since = NS_SEC};
        struct probe_next next = ask(&rules, &s, prng_next(&prng));
        if (next.kind == PROBE_NONE)
            continue;
        CHECK(next.kind == rules.free || (next.kind == PROBE_TOKEN && rules.token && rules.spend >= 10));
        CHECK(s.state != OUTLIER_EJECTED || next.at >= s.until);
        CHECK(next.at >= s.asked);
        CHECK(next.why != PROBE_IDLE || (!s.good && !s.ill && !s.asked) || next.at >= s.good + rules.interval);
    }
}

TEST(health_probe_knows_who_has_no_probe)
{
    CHECK(probe_is_missing(404) && probe_is_missing(405) && probe_is_missing(403) && probe_is_missing(501));
    CHECK(!probe_is_missing(200) && !probe_is_missing(429) && !probe_is_missing(408) && !probe_is_missing(503));
    CHECK(!probe_is_missing(500) && !probe_is_missing(302));
}

TEST(health_probe_takes_an_empty_token_for_an_answer)
{
    CHECK_EQ(probe_cause(PROBE_TOKEN, CAUSE_EMPTY), CAUSE_OK);
    CHECK_EQ(probe_cause(PROBE_TOKEN, CAUSE_MALFORMED), CAUSE_MALFORMED);
    CHECK_EQ(probe_cause(PROBE_SERVER, CAUSE_EMPTY), CAUSE_EMPTY);
    CHECK_STR(str_from_c(probe_kind_name(PROBE_TOKEN)), "token");
    CHECK_STR(str_from_c(probe_reason_name(PROBE_SPENT)), "spent");
}
