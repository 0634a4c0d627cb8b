/* hedge_test.c - a late request is sent again, seldom, and never one that must not be carried out twice. */
#include "policy/hedge.h"

#include "base/prng.h"
#include "unit/test.h"

static const struct hedge_rules *const usual = &hedge_rules_usual;
static struct latency_digest seen;

/* Times to first token of 1 to 1,000 ms, one of each. */
static void see_a_thousand(void)
{
    seen = (struct latency_digest){0};
    for (int i = 1; i <= 1000; i++)
        latency_digest_add(&seen, 60 * NS_SEC, i * NS_MS, 0);
}

static struct hedge_ask easy(void)
{
    return (struct hedge_ask){
        .repeatable = true, .elsewhere_left = true, .sent = NS_SEC, .deadline = NS_NEVER, .seen = &seen};
}

TEST(hedge_waits_until_a_request_is_later_than_nearly_all)
{
    struct hedge_rules rules = *usual;
    struct hedge_ask ask = easy();

    see_a_thousand();
    rules.requests = 100; /* more hedges than 5 % late ones: the quantile counts */
    struct hedge_decision d = hedge_decide(&rules, &ask);
    CHECK_EQ(d.why, HEDGE_GO);
    CHECK_GT(d.at - ask.sent, 900 * NS_MS);
    CHECK_LT(d.at - ask.sent, 990 * NS_MS);
    rules.quantile = 0.5;
    rules.requests = 600;
    d = hedge_decide(&rules, &ask);
    CHECK_LT(d.at - ask.sent, 560 * NS_MS);
    rules.requests = 100; /* as many as can be paid for: the latest tenth */
    d = hedge_decide(&rules, &ask);
    CHECK_GT(d.at - ask.sent, 850 * NS_MS);
}

TEST(hedge_gives_long_prompts_more_time)
{
    struct hedge_ask ask = easy();

    see_a_thousand();
    ns_t short_one = hedge_decide(usual, &ask).at - ask.sent;
    ask.uncached_tokens = 4500;
    ns_t long_one = hedge_decide(usual, &ask).at - ask.sent;
    CHECK_GT(long_one, 9 * short_one);
    CHECK_LT(long_one, 11 * short_one);
    CHECK_EQ(latency_of_base(10 * NS_SEC, 4500), NS_SEC);
    ask.uncached_tokens = UINT64_MAX / 2;
    CHECK_EQ(hedge_decide(usual, &ask).why, HEDGE_NO_TIME);
}

TEST(hedge_is_never_too_early)
{
    struct hedge_ask ask = easy();

    seen = (struct latency_digest){0};
    for (int i = 0; i < 1000; i++)
        latency_digest_add(&seen, 60 * NS_SEC, 2 * NS_MS, 0);
    CHECK_EQ(hedge_decide(usual, &ask).at, ask.sent + 50 * NS_MS);
}

TEST(hedge_says_why_not)
{
    struct hedge_rules off = *usual;
    struct hedge_ask ask = easy();

    see_a_thousand();
    off.requests = 0;
    CHECK_EQ(hedge_decide(&off, &ask).why, HEDGE_OFF);
    ask.repeatable = false;
    CHECK_EQ(hedge_decide(usual, &ask).why, HEDGE_SIDE_EFFECT);
    ask = easy();
    ask.answered = true;
    CHECK_EQ(hedge_decide(usual, &ask).why, HEDGE_ANSWERED);
    ask = easy();
    ask.hedged = true;
    CHECK_EQ(hedge_decide(usual, &ask).why, HEDGE_AGAIN);
    ask = easy();
    ask.elsewhere_left = false;
    CHECK_EQ(hedge_decide(usual, &ask).why, HEDGE_NO_PLACE);
    ask = easy();
    ask.deadline = ask.sent + 500 * NS_MS;
    CHECK_EQ(hedge_decide(usual, &ask).why, HEDGE_NO_TIME);
    seen = (struct latency_digest){0};
    for (int i = 0; i < 99; i++)
        latency_digest_add(&seen, 60 * NS_SEC, NS_SEC, 0);
    ask = easy();
    CHECK_EQ(hedge_decide(usual, &ask).why, HEDGE_UNKNOWN);
    for (unsigned i = 0; i < HEDGE_REASONS; i++)
        CHECK(hedge_reason_name(i) != NULL);
}

TEST(hedge_account_caps_the_share_of_requests)
{
    struct hedge_account a = {0};
    unsigned taken = 0;

    CHECK(!hedge_take(&a, usual, 1));
    for (int i = 0; i < 10000; i++) {
        hedge_request(&a, usual, 1000);
        taken += hedge_take(&a, usual, 1000);
    }
    CHECK_EQ(taken, 200);
    for (int i = 0; i < 100000; i++)
        hedge_request(&a, usual, 1000);
    taken = 0;
    while (hedge_take(&a, usual, 1000))
        taken++;
    CHECK_EQ(taken, 10); /* what was not used is not kept */
}

TEST(hedge_account_caps_the_share_of_spend)
{
    struct hedge_account a = {0};
    uint64_t spent = 0, hedged = 0;
    struct prng p;

    prng_seed(&p, test_seed());
    for (int i = 0; i < 20000; i++) {
        uint64_t cost = 100 + (uint64_t)prng_exponential(&p, 5000), dear = cost * 5; /* the other place costs more */
        hedge_request(&a, usual, cost);
        spent += cost;
        if (hedge_take(&a, usual, dear))
            hedged += dear;
    }
    CHECK_LE(hedged * 1000, spent * 20);
    CHECK_GE(hedged * 1000, spent * 15);
    hedge_request(&a, usual, UINT64_MAX);
    CHECK(!hedge_take(&a, usual, UINT64_MAX));
}

/* Requests that cost nothing: only their number counts. */
TEST(hedge_account_lets_free_requests_be_hedged)
{
    struct hedge_account a = {0};
    unsigned taken = 0;

    for (int i = 0; i < 1000; i++) {
        hedge_request(&a, usual, 0);
        taken += hedge_take(&a, usual, 0);
    }
    CHECK_EQ(taken, 20);
    for (int i = 0; i < 10000; i++)
        hedge_request(&a, usual, 0);
    for (taken = 0; hedge_take(&a, usual, 0); taken++) {
    }
    CHECK_EQ(taken, 10);
}

TEST(hedge_account_gets_back_what_was_not_used)
{
    struct hedge_account a = {0};

    for (unsigned i = 0; i < 50; i++) /* exactly one hedge */
        hedge_request(&a, usual, 1000);
    struct hedge_account before = a;
    CHECK(hedge_take(&a, usual, 1000));
    CHECK(!hedge_take(&a, usual, 1000));
    hedge_return(&a, 1000);
    CHECK_EQ(a.requests_, before.requests_);
    CHECK_EQ(a.money_, before.money_);
    CHECK(hedge_take(&a, usual, 1000));
}

TEST(hedge_account_is_charged_with_what_was_spent_in_vain)
{
    struct hedge_account a = {0};

    for (unsigned i = 0; i < 100; i++) /* two hedges */
        hedge_request(&a, usual, 1000);
    struct hedge_account before = a;
    CHECK(hedge_take(&a, usual, 1000));
    hedge_settle(&a, 1000, 300);
    CHECK_EQ(a.requests_, before.requests_ - 1000); /* it was one, whatever it cost */
    CHECK_EQ(a.money_, before.money_ - 300 * 1000);
    CHECK(hedge_take(&a, usual, 1000));
    hedge_settle(&a, 1000, 1200);
    CHECK_EQ(a.money_, before.money_ - 1500 * 1000);
    hedge_settle(&a, 0, UINT64_MAX);
    CHECK_EQ(a.money_, 0);
}

TEST(hedge_account_holds_no_more_for_what_comes_back)
{
    struct hedge_account a = {0};
    unsigned taken = 0;

    for (unsigned i = 0; i < 10000; i++)
        hedge_request(&a, usual, 1000);
    for (unsigned i = 0; i < 10; i++)
        hedge_return(&a, 1000);
    hedge_return(&a, UINT64_MAX); /* no overflow */
    while (hedge_take(&a, usual, 1000))
        taken++;
    CHECK_EQ(taken, 10);
}
