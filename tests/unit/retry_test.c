/* retry_test.c - retries go where they may help, in time, and never multiply an outage. */
#include "policy/retry.h"

#include "base/prng.h"
#include "unit/test.h"

/* A failure after which everything would be possible. */
static struct retry_ask easy(enum cause cause)
{
    return (struct retry_ask){
        .cause = cause,
        .repeatable = true,
        .here_left = true,
        .elsewhere_left = true,
        .budget_left = true,
        .attempts = 1,
        .now = 100 * NS_SEC,
        .deadline = NS_NEVER,
        .draw = UINT64_MAX / 2,
    };
}

TEST(retry_goes_elsewhere_at_once_if_it_can)
{
    struct retry_ask ask = easy(CAUSE_SERVER_ERROR);
    struct retry_decision d = retry_decide(&retry_rules_usual, &ask);

    CHECK_EQ(d.verb, RETRY_ELSEWHERE);
    CHECK_EQ(d.at, ask.now);
}

TEST(retry_stays_as_often_as_the_rules_want_before_it_goes_elsewhere)
{
    struct retry_rules rules = retry_rules_usual;
    struct retry_ask ask = easy(CAUSE_RESET);

    rules.here = 1;
    CHECK_EQ(retry_decide(&rules, &ask).verb, RETRY_HERE);
    ask.here_made = 1;
    CHECK_EQ(retry_decide(&rules, &ask).verb, RETRY_ELSEWHERE);
    ask.here_made = 0;
    ask.cause = CAUSE_RATE_LIMITED; /* waiting for a limit's window is the last resort */
    CHECK_EQ(retry_decide(&rules, &ask).verb, RETRY_ELSEWHERE);
    ask.cause = CAUSE_RESET;
    ask.hint = NS_SEC;
    CHECK_EQ(retry_decide(&rules, &ask).verb, RETRY_ELSEWHERE);
}

TEST(retry_takes_another_credential_of_the_same_deployment_first)
{
    struct retry_ask ask = easy(CAUSE_RATE_LIMITED);

    ask.key_left = true;
    CHECK_EQ(retry_decide(&retry_rules_usual, &ask).verb, RETRY_OTHER_KEY);
    ask.cause = CAUSE_SERVER_ERROR; /* another key does not mend that */
    CHECK_EQ(retry_decide(&retry_rules_usual, &ask).verb, RETRY_ELSEWHERE);
}

TEST(retry_waits_here_where_there_is_nowhere_else)
{
    struct retry_ask ask = easy(CAUSE_RATE_LIMITED);

    ask.elsewhere_left = false;
    ask.hint = 7 * NS_SEC;
    struct retry_decision d = retry_decide(&retry_rules_usual, &ask);
    CHECK_EQ(d.verb, RETRY_HERE);
    CHECK_GE(d.at, ask.now + 7 * NS_SEC);
    CHECK_LE(d.at, ask.now + 7 * NS_SEC + 700 * NS_MS);
    ask.hint = 31 * NS_SEC; /* longer than a provider may ask for */
    CHECK_EQ(retry_decide(&retry_rules_usual, &ask).why, RETRY_NO_TIME);
    ask.hint = 0;
    ask.told_not = true;
    CHECK_EQ(retry_decide(&retry_rules_usual, &ask).why, RETRY_NO_PLACE);
}

TEST(retry_never_repeats_what_may_have_been_carried_out_and_must_not_be_twice)
{
    for (unsigned c = 0; c < CAUSES; c++) {
        struct retry_ask ask = easy(c);
        ask.key_left = true;
        ask.repeatable = false;
        struct retry_decision d = retry_decide(&retry_rules_usual, &ask);
        if (cause_meaning(c)->may_have_run)
            CHECK_EQ(d.verb, RETRY_STOP);
        else if (cause_meaning(c)->again)
            CHECK_NE(d.verb, RETRY_STOP);
    }
}

TEST(retry_says_why_it_stops)
{
    struct retry_ask ask = easy(CAUSE_CLIENT_ERROR);

    CHECK_EQ(retry_decide(&retry_rules_usual, &ask).why, RETRY_FINAL);
    ask = easy(CAUSE_BROKEN);
    ask.delivered = true;
    CHECK_EQ(retry_decide(&retry_rules_usual, &ask).why, RETRY_DELIVERED);
    ask = easy(CAUSE_BROKEN);
    ask.repeatable = false;
    CHECK_EQ(retry_decide(&retry_rules_usual, &ask).why, RETRY_SIDE_EFFECT);
    ask = easy(CAUSE_BROKEN);
    ask.attempts = 3;
    CHECK_EQ(retry_decide(&retry_rules_usual, &ask).why, RETRY_ATTEMPTS);
    ask = easy(CAUSE_BROKEN);
    ask.budget_left = false;
    CHECK_EQ(retry_decide(&retry_rules_usual, &ask).why, RETRY_NO_BUDGET);
    ask = easy(CAUSE_BROKEN);
    ask.deadline = ask.now + NS_SEC;
    ask.needs = NS_SEC;
    CHECK_EQ(retry_decide(&retry_rules_usual, &ask).why, RETRY_NO_TIME);
    for (unsigned i = 0; i < RETRY_REASONS; i++)
        CHECK(retry_reason_name(i) != NULL);
}

static struct retry_ask any_ask(struct prng *p)
{
    struct retry_ask ask = {
        .cause = prng_below(p, CAUSES),
        .repeatable = prng_chance(p, 0.7),
        .delivered = prng_chance(p, 0.1),
        .told_not = prng_chance(p, 0.1),
        .here_left = prng_chance(p, 0.7),
        .key_left = prng_chance(p, 0.3),
        .elsewhere_left = prng_chance(p, 0.5),
        .budget_left = prng_chance(p, 0.8),
        .attempts = 1 + (unsigned)prng_below(p, 4),
        .here_made = (unsigned)prng_below(p, 100),
        .now = prng_range(p, 0, INT64_MAX / 2),
        .deadline = NS_NEVER,
        .needs = prng_range(p, 0, NS_SEC),
        .hint = prng_chance(p, 0.5) ? prng_range(p, -1, 40 * NS_SEC) : 0,
        .draw = prng_next(p),
    };

    if (prng_chance(p, 0.7))
        ask.deadline = ask.now + prng_range(p, -NS_SEC, 20 * NS_SEC);
    return ask;
}

static void check_decision(const struct retry_rules *rules, const struct retry_ask *ask)
{
    const struct cause_meaning *m = cause_meaning(ask->cause);
    struct retry_decision d = retry_decide(rules, ask);

    CHECK_EQ(d.verb == RETRY_STOP, d.why != RETRY_GO);
    if (d.verb == RETRY_STOP)
        return;
    CHECK(ask->budget_left && !ask->delivered && (ask->repeatable || !m->may_have_run));
    CHECK_LT(ask->attempts, rules->attempts);
    CHECK_GE(d.at, ask->now);
    CHECK_LT(ns_add(d.at, ask->needs), ask->deadline);
    if (d.verb == RETRY_HERE) {
        CHECK((m->again & AGAIN_HERE) && ask->here_left && !ask->told_not);
        CHECK_LE(ask->hint, rules->hint_max);
        CHECK_GE(d.at, ask->now + (ask->hint > 0 ? ask->hint : 0));
        CHECK_LE(d.at, ask->now + (ask->hint > 0 ? ask->hint + ask->hint / 10 : rules->cap));
    } else {
        CHECK(m->again & (d.verb == RETRY_OTHER_KEY ? AGAIN_OTHER_KEY : AGAIN_ELSEWHERE));
        CHECK(d.verb == RETRY_OTHER_KEY ? ask->key_left : ask->elsewhere_left);
    }
}

TEST(retry_keeps_deadline_hint_and_places_whatever_it_is_asked)
{
    uint64_t rounds = test_rounds(20000);
    struct prng p;

    for (uint64_t k = 0; k < rounds && !test_failed(); k++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        struct retry_rules rules = retry_rules_usual;
        rules.here = (unsigned)prng_below(&p, 3);
        struct retry_ask ask = any_ask(&p);
        check_decision(&rules, &ask);
    }
}

/* Full jitter: over the draws the pause covers all of [0, ceiling], evenly, and the ceiling doubles up to the cap. */
TEST(retry_draws_its_pause_evenly_below_a_ceiling_that_doubles)
{
    static const ns_t ceilings[] = {250 * NS_MS, 500 * NS_MS, NS_SEC, 2 * NS_SEC, 4 * NS_SEC, 8 * NS_SEC, 8 * NS_SEC};
    enum { DRAWS = 1000 };

    for (unsigned n = 0; n < ARRAY_LEN(ceilings); n++) {
        struct retry_ask ask = easy(CAUSE_CONNECT);
        ask.elsewhere_left = false;
        ask.here_made = n;
        ns_t sum = 0;
        for (uint64_t i = 0; i < DRAWS; i++) {
            ask.draw = i * (UINT64_MAX / DRAWS);
            ns_t pause = retry_decide(&retry_rules_usual, &ask).at - ask.now;
            CHECK_LE(pause, ceilings[n]);
            sum += pause;
        }
        CHECK_GT(sum / DRAWS, ceilings[n] * 49 / 100);
        CHECK_LT(sum / DRAWS, ceilings[n] * 51 / 100);
        ask.draw = UINT64_MAX;
        CHECK_EQ(retry_decide(&retry_rules_usual, &ask).at - ask.now, ceilings[n]);
        ask.draw = 0;
        CHECK_EQ(retry_decide(&retry_rules_usual, &ask).at, ask.now);
    }
}

/* Everything fails and each request is retried as often as it may: the bar is 1.2 times the clients' load. */
TEST(retry_budget_keeps_an_outage_below_its_bar)
{
    struct retry_budget b = {0};
    uint64_t requests = 0, retries = 0;

    for (ns_t now = 0; now < 3600 * NS_SEC; now += NS_SEC / 10) {
        requests++;
        retry_budget_request(&b, &retry_budget_usual, now);
        for (unsigned i = 0; i < 2; i++)
            retries += retry_budget_take(&b, &retry_budget_usual, now);
    }
    CHECK_LE(retries * 1000, requests * 150 + 10000);
    CHECK_GE(retries * 1000, requests * 149); /* and what there is, is given */
}

TEST(retry_budget_bounds_failed_retries_for_any_traffic)
{
    uint64_t rounds = test_rounds(300);
    struct prng p;

    for (uint64_t k = 0; k < rounds; k++) {
        struct retry_budget b = {0};
        uint64_t earned = 0, spent = 0;
        ns_t now = 0;
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        double mean = 1e6 * (double)(1 + prng_below(&p, 3000));
        for (unsigned i = 0; i < 2000; i++) {
            now += (ns_t)prng_exponential(&p, mean);
            if (prng_chance(&p, 0.5)) {
                retry_budget_request(&b, &retry_budget_usual, now);
                earned += retry_budget_usual.share;
            }
            bool has = retry_budget_allows(&b, &retry_budget_usual, now);
            CHECK_EQ(retry_budget_take(&b, &retry_budget_usual, now), has);
            spent += has ? 1000 : 0;
            CHECK_LE(spent, earned + retry_budget_usual.floor * (uint64_t)(now / NS_SEC + RETRY_BUDGET_SLOTS) + 10000);
        }
    }
}

/* A dead deployment whose requests another one answers: every retry succeeds, and none is refused. */
TEST(retry_budget_does_not_stand_in_the_way_of_failover)
{
    enum { IN_FLIGHT = 10 };
    struct retry_budget b = {0};

    for (uint64_t i = 0; i < 60 * 10; i++) /* a minute of peace */
        retry_budget_request(&b, &retry_budget_usual, (ns_t)i * NS_SEC / 10);
    for (uint64_t i = 600; i < 6000; i++) {
        ns_t now = (ns_t)i * NS_SEC / 10;
        retry_budget_request(&b, &retry_budget_usual, now);
        CHECK(retry_budget_take(&b, &retry_budget_usual, now));
        if (i >= 600 + IN_FLIGHT)
            retry_budget_return(&b, &retry_budget_usual, now);
    }
}

TEST(retry_budget_forgets_what_was_not_used_in_ten_seconds)
{
    struct retry_budget b = {0};
    unsigned taken = 0;

    for (unsigned i = 0; i < 10000; i++)
        retry_budget_request(&b, &retry_budget_usual, 0);
    while (retry_budget_take(&b, &retry_budget_usual, 9 * NS_SEC))
        taken++;
    CHECK_GE(taken, 1500);
    for (unsigned i = 0; i < 10000; i++)
        retry_budget_request(&b, &retry_budget_usual, 9 * NS_SEC);
    taken = 0;
    while (retry_budget_take(&b, &retry_budget_usual, 19 * NS_SEC))
        taken++;
    CHECK_LE(taken, 3);
    CHECK_GE(taken, 2);
    CHECK(retry_budget_allows(&b, &retry_budget_usual, 1000 * NS_SEC)); /* the floor comes back */
}

TEST(retry_budget_gives_back_no_more_than_ten_seconds_earn)
{
    struct retry_budget b = {0};
    unsigned taken = 0;

    for (unsigned i = 0; i < 100; i++)
        retry_budget_return(&b, &retry_budget_usual, 0);
    while (retry_budget_take(&b, &retry_budget_usual, 0))
        taken++;
    CHECK_EQ(taken, 10);
}
