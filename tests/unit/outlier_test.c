/* outlier_test.c - ill deployments are found fast, come back carefully, and never all go at once. */
#include "policy/outlier.h"

#include "base/prng.h"
#include "unit/test.h"

static const struct outlier_rules *const usual = &outlier_rules_usual;
static const struct outlier_peers three = {.count = 3, .measured = 2, .median = 100};

/* One attempt that is sent and ends at once. */
static void attempt(struct outlier *o, const struct outlier_peers *peers, enum cause cause, ns_t now)
{
    outlier_ended(o, usual, peers, outlier_sent(o, now), cause, now);
}

static void eject_by_failures(struct outlier *o, ns_t now)
{
    for (int i = 0; i < 5; i++)
        attempt(o, &three, CAUSE_CONNECT, now);
}

TEST(outlier_is_in_use_until_something_speaks_against_it)
{
    struct outlier o = {0};

    CHECK_EQ(outlier_at(&o, NS_SEC), OUTLIER_IN_USE);
    CHECK(outlier_admits(&o, usual, NS_SEC));
    CHECK(outlier_share(&o, usual, NS_SEC) == 1);
}

TEST(outlier_ejects_after_failures_in_a_row)
{
    struct outlier o = {0};

    for (int i = 0; i < 4; i++)
        attempt(&o, &three, CAUSE_SERVER_ERROR, NS_SEC);
    attempt(&o, &three, CAUSE_OK, NS_SEC);
    for (int i = 0; i < 4; i++)
        attempt(&o, &three, CAUSE_TIMEOUT_FIRST, 20 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_IN_USE);
    attempt(&o, &three, CAUSE_RESET, 20 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_EJECTED);
    CHECK_EQ(o.reason, OUTLIER_CONSECUTIVE);
    CHECK_EQ(o.since, 20 * NS_SEC);
    CHECK_EQ(o.until, 25 * NS_SEC);
    CHECK_EQ(o.last_ill, CAUSE_RESET);
    CHECK(!outlier_admits(&o, usual, 25 * NS_SEC - 1));
}

/* Three deployments, ten requests a second: one that dies is out within five seconds. */
TEST(outlier_finds_a_dead_one_of_three_within_five_seconds_at_ten_requests_a_second)
{
    struct outlier o = {0};
    ns_t now = 100 * NS_SEC, died = now;

    for (int i = 0; o.state == OUTLIER_IN_USE; i++, now += 100 * NS_MS)
        if (i % 3 == 0)
            attempt(&o, &three, CAUSE_CONNECT, now);
    CHECK_LE(now - died, 5 * NS_SEC);
}

TEST(outlier_is_not_appeased_by_long_answers_that_began_before_the_failures)
{
    struct outlier o = {0};
    struct outlier_stamp old = outlier_sent(&o, 0);

    for (int i = 0; i < 4; i++)
        attempt(&o, &three, CAUSE_CONNECT, NS_SEC);
    outlier_ended(&o, usual, &three, old, CAUSE_OK, NS_SEC);
    attempt(&o, &three, CAUSE_CONNECT, NS_SEC);
    CHECK_EQ(o.state, OUTLIER_EJECTED);
}

TEST(outlier_ejects_for_a_share_of_failures_with_enough_volume)
{
    struct outlier o = {0};

    for (int i = 0; i < 9; i++)
        attempt(&o, &three, i % 2 ? CAUSE_OK : CAUSE_EMPTY, NS_SEC);
    CHECK_EQ(o.state, OUTLIER_IN_USE); /* five of nine: too few to tell */
    attempt(&o, &three, CAUSE_OK, NS_SEC);
    attempt(&o, &three, CAUSE_OK, NS_SEC);
    attempt(&o, &three, CAUSE_BROKEN, NS_SEC);
    CHECK_EQ(o.state, OUTLIER_EJECTED);
    CHECK_EQ(o.reason, OUTLIER_SHARE);
}

TEST(outlier_forgets_failures_that_left_the_window)
{
    struct outlier o = {0};

    for (int i = 0; i < 8; i++)
        attempt(&o, &three, i % 2 ? CAUSE_OK : CAUSE_EMPTY, NS_SEC);
    for (int i = 0; i < 7; i++)
        attempt(&o, &three, CAUSE_OK, 11 * NS_SEC + 500 * NS_MS);
    for (int i = 0; i < 4; i++)
        attempt(&o, &three, CAUSE_EMPTY, 12 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_IN_USE); /* 4 of 11, not 8 of 19 */
    for (int i = 0; i < 4; i++) {      /* within the window they do count, slot by slot */
        attempt(&o, &three, CAUSE_OK, (13 + i) * NS_SEC);
        attempt(&o, &three, CAUSE_EMPTY, (13 + i) * NS_SEC);
        attempt(&o, &three, CAUSE_EMPTY, (13 + i) * NS_SEC);
    }
    CHECK_EQ(o.state, OUTLIER_EJECTED);
}

/* 429, spent quota, clients' mistakes, their own deadlines and departures: as many as one likes. */
TEST(outlier_never_ejects_for_limits_or_for_what_clients_do)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(500); k++) {
        struct outlier o = {0};
        ns_t now = 0;
        prng_seed(&p, test_seed() + k);
        for (int i = 0; i < 200; i++) {
            enum cause cause = prng_below(&p, CAUSES);
            if (cause_meaning(cause)->health != CAUSE_HEALTH_ILL)
                attempt(&o, &three, cause, now += prng_range(&p, 0, NS_SEC));
            CHECK_EQ(o.state, OUTLIER_IN_USE);
        }
    }
}

TEST(outlier_ejects_who_is_slower_than_the_peers_for_a_while)
{
    struct outlier o = {0};
    struct outlier_peers two = three;

    outlier_slow(&o, usual, &three, 501, NS_SEC);
    outlier_slow(&o, usual, &three, 501, 10 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_IN_USE);
    outlier_slow(&o, usual, &three, 499, 10 * NS_SEC); /* it was a bad moment */
    outlier_slow(&o, usual, &three, 501, 11 * NS_SEC);
    outlier_slow(&o, usual, &three, 501, 20 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_IN_USE);
    two.measured = 1; /* of two nobody knows which is the slow one */
    outlier_slow(&o, usual, &two, 9999, 22 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_IN_USE);
    outlier_slow(&o, usual, &three, 501, 22 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_EJECTED);
    CHECK_EQ(o.reason, OUTLIER_SLOW);
}

TEST(outlier_comes_back_by_probes_one_at_a_time_and_then_slowly)
{
    struct outlier o = {0};

    eject_by_failures(&o, NS_SEC);
    ns_t now = o.until;
    CHECK(outlier_admits(&o, usual, now));
    CHECK_EQ(o.state, OUTLIER_PROBING);
    struct outlier_stamp stamp = outlier_sent(&o, now);
    CHECK(!outlier_admits(&o, usual, now));    /* one is under way */
    CHECK(outlier_share(&o, usual, now) == 1); /* so that a strategy does choose it */
    outlier_ended(&o, usual, &three, stamp, CAUSE_OK, now + NS_SEC);
    CHECK_EQ(o.state, OUTLIER_PROBING);
    stamp = outlier_sent(&o, now + NS_SEC);
    outlier_ended(&o, usual, &three, stamp, CAUSE_CANCELLED, now + NS_SEC); /* proves nothing, and frees the place */
    CHECK(outlier_admits(&o, usual, now + NS_SEC));
    stamp = outlier_sent(&o, now + NS_SEC);
    outlier_ended(&o, usual, &three, stamp, CAUSE_OK, now + 2 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_STARTING);
    CHECK(outlier_share(&o, usual, now + 2 * NS_SEC) == 0.1);
    CHECK(outlier_share(&o, usual, now + 17 * NS_SEC) == 0.5);
    CHECK_EQ(outlier_at(&o, now + 32 * NS_SEC), OUTLIER_IN_USE);
    CHECK(outlier_share(&o, usual, now + 32 * NS_SEC) == 1);
    CHECK_EQ(o.reason, OUTLIER_TRUSTED);
}

/* Ejected for being slow, it must not be trusted for answers that are as slow. */
TEST(outlier_does_not_trust_a_probe_that_is_slow)
{
    struct outlier o = {0};

    eject_by_failures(&o, NS_SEC);
    CHECK(outlier_admits(&o, usual, 10 * NS_SEC));
    struct outlier_stamp probe = outlier_sent(&o, 10 * NS_SEC);
    outlier_probed(&o, usual, &three, probe, 501, 11 * NS_SEC);
    outlier_ended(&o, usual, &three, probe, CAUSE_OK, 11 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_EJECTED);
    CHECK_EQ(o.reason, OUTLIER_SLOW);
    CHECK_EQ(o.until, 21 * NS_SEC);
    for (int i = 0; i < 2; i++) {
        probe = outlier_sent(&o, 22 * NS_SEC);
        outlier_probed(&o, usual, &three, probe, 500, 22 * NS_SEC);
        outlier_ended(&o, usual, &three, probe, CAUSE_OK, 22 * NS_SEC);
    }
    CHECK_EQ(o.state, OUTLIER_STARTING);
}

TEST(outlier_judges_only_probes_by_one_answer_and_only_where_peers_are_known)
{
    struct outlier o = {0};
    struct outlier_stamp old = outlier_sent(&o, 0);

    outlier_probed(&o, usual, &three, old, 5000, NS_SEC);
    CHECK_EQ(o.state, OUTLIER_IN_USE);
    eject_by_failures(&o, NS_SEC);
    outlier_probed(&o, usual, &three, old, 5000, 10 * NS_SEC); /* sent before the ejection */
    CHECK_EQ(o.state, OUTLIER_PROBING);
    struct outlier_stamp probe = outlier_sent(&o, 10 * NS_SEC);
    struct outlier_peers alone = {.count = 3, .measured = 1, .median = 100};
    outlier_probed(&o, usual, &alone, probe, 5000, 11 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_PROBING);
}

TEST(outlier_is_out_twice_as_long_each_time_up_to_a_limit_and_is_forgiven_in_time)
{
    struct outlier o = {0};
    ns_t want = 5 * NS_SEC;

    eject_by_failures(&o, NS_SEC);
    for (int i = 0; i < 12; i++) {
        CHECK_EQ(o.until - o.since, want);
        attempt(&o, &three, CAUSE_CONNECT, o.until); /* the probe fails */
        CHECK_EQ(o.state, OUTLIER_EJECTED);
        CHECK_EQ(o.reason, OUTLIER_PROBE);
        want = want * 2 < 300 * NS_SEC ? want * 2 : 300 * NS_SEC;
    }
    attempt(&o, &three, CAUSE_OK, o.until);
    attempt(&o, &three, CAUSE_OK, o.since);
    ns_t back = o.until;
    CHECK_EQ(outlier_at(&o, back), OUTLIER_IN_USE);
    eject_by_failures(&o, back + 20 * 60 * NS_SEC); /* in use for twenty minutes */
    CHECK_EQ(o.until - o.since, 5 * NS_SEC);
}

TEST(outlier_ignores_late_news_from_before_its_ejection)
{
    struct outlier o = {0};
    struct outlier_stamp stamp = outlier_sent(&o, 0);

    eject_by_failures(&o, NS_SEC);
    outlier_ended(&o, usual, &three, stamp, CAUSE_OK, 2 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_EJECTED);
    outlier_at(&o, o.until);
    outlier_ended(&o, usual, &three, stamp, CAUSE_CONNECT, 7 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_PROBING);
    outlier_ended(&o, usual, &three, stamp, CAUSE_OK, 7 * NS_SEC);
    outlier_ended(&o, usual, &three, stamp, CAUSE_OK, 7 * NS_SEC);
    CHECK_EQ(o.state, OUTLIER_PROBING);
}

TEST(outlier_window_slides)
{
    struct outlier o = {0};

    attempt(&o, &three, CAUSE_OK, 0);
    for (int i = 0; i < 6; i++) { /* the first window's time is over in the middle of it */
        ns_t now = (i < 4 ? 95 : 105) * NS_SEC / 10;
        attempt(&o, &three, CAUSE_OK, now);
        attempt(&o, &three, CAUSE_EMPTY, now);
    }
    CHECK_EQ(o.state, OUTLIER_EJECTED);
}

TEST(outlier_may_eject_one_of_two_whatever_the_share)
{
    struct outlier_rules tenth = *usual;
    struct outlier_peers two = {.count = 2}, one = {.count = 1};
    struct outlier o = {0};

    tenth.share_max = 100;
    for (int i = 0; i < 5; i++)
        outlier_ended(&o, &tenth, &one, outlier_sent(&o, 0), CAUSE_CONNECT, 0);
    CHECK_EQ(o.state, OUTLIER_IN_USE);
    outlier_ended(&o, &tenth, &two, outlier_sent(&o, 0), CAUSE_CONNECT, 0);
    CHECK_EQ(o.state, OUTLIER_EJECTED);
}

TEST(outlier_stays_in_use_when_enough_of_its_peers_are_out)
{
    struct outlier o = {0}, alone = {0};
    struct outlier_peers enough = {.count = 4, .out = 3}, room = {.count = 4, .out = 2}, single = {.count = 1};

    for (int i = 0; i < 20; i++) {
        attempt(&o, &enough, CAUSE_CONNECT, NS_SEC);
        attempt(&alone, &single, CAUSE_CONNECT, NS_SEC);
    }
    CHECK_EQ(o.state, OUTLIER_IN_USE);
    CHECK(o.withheld);
    CHECK_EQ(alone.state, OUTLIER_IN_USE);
    attempt(&o, &room, CAUSE_CONNECT, NS_SEC);
    CHECK_EQ(o.state, OUTLIER_EJECTED);
    for (int i = 0; i < 100; i++)
        attempt(&alone, &single, CAUSE_OK, NS_SEC);
    CHECK(!alone.withheld);
}

/* A group under any mixture of outcomes. */
struct group {
    struct outlier o[8];
    unsigned n;
};

static struct outlier_peers peers_of(struct group *g, ns_t now)
{
    struct outlier_peers peers = {.count = g->n, .measured = g->n - 1, .median = 100};

    for (unsigned i = 0; i < g->n; i++) {
        enum outlier_state s = outlier_at(&g->o[i], now);
        peers.out += s == OUTLIER_EJECTED || s == OUTLIER_PROBING;
    }
    return peers;
}

/* `was` is the state at the same time, before the event. */
static void check_step(const struct outlier *o, enum outlier_state was, ns_t now)
{
    static const unsigned allowed[OUTLIER_STATES] = {
        [OUTLIER_IN_USE] = 1u << OUTLIER_EJECTED,
        [OUTLIER_EJECTED] = 0,
        [OUTLIER_PROBING] = 1u << OUTLIER_EJECTED | 1u << OUTLIER_STARTING,
        [OUTLIER_STARTING] = 1u << OUTLIER_EJECTED,
    };

    CHECK(o->state == was || (allowed[was] >> o->state & 1));
    CHECK_LE(o->probes_out_, usual->probes);
    CHECK_LE(o->since, now);
    if (o->state == OUTLIER_EJECTED) {
        CHECK_GE(o->until - o->since, usual->eject);
        CHECK_LE(o->until - o->since, usual->eject_max);
    }
}

static void run_group(struct prng *p)
{
    struct group g = {.n = 1 + (unsigned)prng_below(p, 8)};
    unsigned most = g.n * 800 / 1000; /* of one, none */
    double ill[8];
    ns_t now = 0;

    for (unsigned i = 0; i < 8; i++)
        ill[i] = prng_unit(p);
    for (int step = 0; step < 400; step++) {
        unsigned i = (unsigned)prng_below(p, g.n);
        struct outlier *o = &g.o[i];
        now += prng_range(p, 0, 2 * NS_SEC);
        struct outlier_peers peers = peers_of(&g, now);
        enum outlier_state was = o->state;
        CHECK_LE(peers.out, most);
        if (prng_chance(p, 0.1))
            outlier_slow(o, usual, &peers, 1000 * prng_unit(p), now);
        else if (outlier_admits(o, usual, now))
            outlier_ended(o, usual, &peers, outlier_sent(o, now),
                          prng_chance(p, ill[i]) ? CAUSE_SERVER_ERROR : prng_below(p, CAUSES), now);
        check_step(o, was, now);
        if (test_failed())
            return;
    }
}

TEST(outlier_keeps_its_promises_in_any_sequence_of_events)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(2000) && !test_failed(); k++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        run_group(&p);
    }
}

TEST(outlier_median_is_the_middle)
{
    double odd[] = {5, 1, 3}, even[] = {4, 1, 3, 2};

    CHECK(outlier_median(odd, 3) == 3);
    CHECK(outlier_median(even, 4) == 2.5);
    CHECK(outlier_median(NULL, 0) == 0);
}

TEST(outlier_has_words_for_all)
{
    for (unsigned i = 0; i < OUTLIER_STATES; i++)
        CHECK(outlier_state_name(i) != NULL);
    for (unsigned i = 0; i < OUTLIER_REASONS; i++)
        CHECK(outlier_reason_words(i) != NULL);
}
