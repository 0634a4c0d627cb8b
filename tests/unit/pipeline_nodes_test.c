/*
 * pipeline_nodes_test.c - nodes that keep state or time: what they let through, when, and that a crash at any wait changes nothing of it.
 */
#include "pipeline/run/gates.h"
#include "unit/pipeline_world.h"

#include <stdio.h>
#include <stdlib.h>

#define HEAD "pipeline: p\nversion: 1\nsources: {in: {files: {path: in.ndjson}}}\nnodes:\n"
#define TAIL "sinks: {out: {from: n, file: out.ndjson}}\n"

static struct world world;

/* Run a pipeline on these letters. The caller closes the world. */
static SUSPENDS void run_with(const char *text, const struct world_file *others, size_t other_count,
                              const struct letter *letters, size_t count, ns_t end)
{
    CHECK_OK(world_open(&world, text, others, other_count));
    world.letters = letters;
    world.letter_count = count;
    world.end = end;
    CHECK_OK(world_run(&world));
}

static SUSPENDS void run_plain(const char *text, const struct letter *letters, size_t count, ns_t end)
{
    run_with(text, NULL, 0, letters, count, end);
}

/* What comes of it, with its times. */
static SUSPENDS void check_gives(const char *text, const struct letter *letters, size_t count, ns_t end,
                                 const char *want)
{
    run_plain(text, letters, count, end);
    CHECK_STR(world_timed_lines(&world), want);
    world_close(&world);
}

/*
 * The same with a crash at the first wait, then with one at the second, and so on; nobody runs it for `away` then. What comes of it must
 * be the same, in the same order.
 */
static SUSPENDS void check_survives_with(const char *text, const struct world_file *others, size_t other_count,
                                         const struct letter *letters, size_t count, ns_t end, ns_t away,
                                         const char *want)
{
    for (uint64_t at = 0;; at += test_step()) {
        CHECK_OK(world_open(&world, text, others, other_count));
        world.letters = letters;
        world.letter_count = count;
        world.end = end;
        world.waits_left = at;
        world.away = away;
        test_context("crash at wait %" PRIu64, at);
        CHECK_OK(world_run(&world));
        CHECK_STR(world_lines(&world, "out"), want);
        bool is_over = world.crashes == 0;
        world_close(&world);
        if (is_over)
            break;
    }
    test_context("%s", "");
}

static SUSPENDS void check_survives(const char *text, const struct letter *letters, size_t count, ns_t end, ns_t away,
                                    const char *want)
{
    check_survives_with(text, NULL, 0, letters, count, end, away, want);
}

/* --- delay --- */

#define DELAY HEAD "  n: {from: in, delay: 2s}\n" TAIL
static const struct letter three[] = {{0, NS_NEVER, NULL, "{\"n\":1}"},
                                      {500 * NS_MS, NS_NEVER, NULL, "{\"n\":2}"},
                                      {2500 * NS_MS, NS_NEVER, NULL, "{\"n\":3}"}};

static void delays(void)
{
    check_gives(DELAY, three, 3, 0, "2.0 {\"n\":1}\n2.5 {\"n\":2}\n4.5 {\"n\":3}\n");
}

TEST(pipeline_delay_lets_records_wait)
{
    in_sim(delays);
}

static void delays_survive(void)
{
    check_survives(DELAY, three, 3, 0, 0, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    check_survives(DELAY, three, 3, 0, 5 * NS_SEC, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
}

TEST(pipeline_delay_is_kept_over_a_crash_at_any_wait)
{
    in_sim(delays_survive);
}

/* A crash in the middle of the wait: the rest of it is waited for, and not all of it again; what is over by then goes on at once. */
static SUSPENDS void check_delay_after_absence(ns_t away, const char *want)
{
    CHECK_OK(world_open(&world, HEAD "  n: {from: in, delay: 10s}\n" TAIL, NULL, 0));
    world.letters = three;
    world.letter_count = 1;
    world.away = away;
    world.crash_at = 4 * NS_SEC;
    CHECK_OK(world_run(&world));
    CHECK_EQ(world.crashes, 1);
    CHECK_STR(world_timed_lines(&world), want);
    world_close(&world);
}

static void delays_go_on(void)
{
    check_delay_after_absence(NS_SEC, "10.0 {\"n\":1}\n");
    check_delay_after_absence(20 * NS_SEC, "24.0 {\"n\":1}\n");
}

TEST(pipeline_delay_goes_on_where_it_was_and_late_rather_than_anew)
{
    in_sim(delays_go_on);
}

static void delays_until(void)
{
    static const struct letter letters[] = {{0, NS_NEVER, NULL, "1767225663.5"}, /* 2026-01-01 00:01:03.5 */
                                            {NS_MS, NS_NEVER, NULL, "1"},
                                            {2 * NS_MS, NS_NEVER, NULL, "1e300"},
                                            {3 * NS_MS, NS_NEVER, NULL, "\"soon\""}};

    run_plain(HEAD "  n: {from: in, delay: {until: ., max: 1m}}\n" TAIL, letters, 4, 0);
    CHECK_STR(world_timed_lines(&world), "0.0 1\n3.5 1767225663.5\n60.0 1e300\n");
    CHECK_EQ(world.stats.dead, 1);
    world_close(&world);
}

TEST(pipeline_delay_until_an_instant_is_bounded_and_refuses_what_is_none)
{
    in_sim(delays_until);
}

/* --- rate --- */

static const struct letter burst[] = {
    {0, NS_NEVER, NULL, "{\"k\":1,\"n\":1}"}, {0, NS_NEVER, NULL, "{\"k\":1,\"n\":2}"},
    {0, NS_NEVER, NULL, "{\"k\":1,\"n\":3}"}, {0, NS_NEVER, NULL, "{\"k\":2,\"n\":4}"},
    {0, NS_NEVER, NULL, "{\"k\":1,\"n\":5}"}, {10 * NS_SEC, NS_NEVER, NULL, "{\"k\":1,\"n\":6}"}};

static void rates_wait(void)
{
    check_gives(HEAD "  n: {from: in, rate: {limit: 1, per: 1s, burst: 2, key: .k}}\n" TAIL, burst, 6, 0,
                "0.0 {\"k\":1,\"n\":1}\n0.0 {\"k\":1,\"n\":2}\n0.0 {\"k\":2,\"n\":4}\n1.0 {\"k\":1,\"n\":3}\n"
                "2.0 {\"k\":1,\"n\":5}\n10.0 {\"k\":1,\"n\":6}\n");
}

TEST(pipeline_rate_lets_a_burst_pass_and_the_others_wait_for_their_turn)
{
    in_sim(rates_wait);
}

#define RATE_DROP HEAD "  n: {from: in, rate: {limit: 1, per: 1s, burst: 2, key: .k, excess: drop}}\n" TAIL
static struct letter in_order[6]; /* the same, of one lane */

static void rates_drop(void)
{
    for (int i = 0; i < 6; i++) {
        in_order[i] = burst[i];
        in_order[i].key = "k";
    }
    check_gives(RATE_DROP, in_order, 6, 0,
                "0.0 {\"k\":1,\"n\":1}\n0.0 {\"k\":1,\"n\":2}\n0.0 {\"k\":2,\"n\":4}\n10.0 {\"k\":1,\"n\":6}\n");
}

TEST(pipeline_rate_drops_what_is_too_much_if_told_to)
{
    in_sim(rates_drop);
}

static void rates_survive(void)
{
    rates_drop();
    check_survives(RATE_DROP, in_order, 6, 0, 0,
                   "{\"k\":1,\"n\":1}\n{\"k\":1,\"n\":2}\n{\"k\":2,\"n\":4}\n{\"k\":1,\"n\":6}\n");
}

TEST(pipeline_rate_remembers_over_a_crash_at_any_wait)
{
    in_sim(rates_survive);
}

/* --- clocks that are put right --- */

static int64_t leap_by; /* of the wall clock, 700 ms after the beginning */

static SUSPENDS err_t leap(void *arg)
{
    struct world *w = arg;

    if (rt_now() >= w->born + 700 * NS_MS) /* the run after a crash */
        return OK;
    TRY(fiber_sleep_until(w->born + 700 * NS_MS));
    sim_world_leap(in_sim_world, leap_by);
    return OK;
}

/* What comes of it, whether the clock leaps back, forwards, or not at all. */
static SUSPENDS void check_leaps(const char *text, const struct letter *letters, size_t count, const char *want)
{
    static const int64_t leaps[] = {-3600 * NS_SEC, 0, 3600 * NS_SEC};

    for (size_t i = 0; i < ARRAY_LEN(leaps); i++) {
        leap_by = leaps[i];
        test_context("the clock leaps by %d s", (int)(leap_by / NS_SEC));
        CHECK_OK(world_open(&world, text, NULL, 0));
        world.letters = letters;
        world.letter_count = count;
        world.end = 15 * NS_SEC;
        world.meddle = leap;
        CHECK_OK(world_run(&world));
        CHECK_STR(world_timed_lines(&world), want);
        world_close(&world);
    }
    test_context("%s", "");
}

static const struct letter in_time[] = {{0, NS_NEVER, "k", "{\"k\":1,\"n\":1}"},
                                        {0, NS_NEVER, "k", "{\"k\":1,\"n\":2}"},
                                        {500 * NS_MS, NS_NEVER, "k", "{\"k\":1,\"n\":3}"},
                                        {900 * NS_MS, NS_NEVER, "k", "{\"k\":1,\"n\":4}"},
                                        {1200 * NS_MS, NS_NEVER, "k", "{\"k\":1,\"n\":5}"},
                                        {4000 * NS_MS, NS_NEVER, "k", "{\"k\":1,\"n\":6}"}};

static void rates_leap(void)
{
    check_leaps(HEAD "  n: {from: in, rate: {limit: 1, per: 1s, key: .k}}\n" TAIL, in_time, 6,
                "0.0 {\"k\":1,\"n\":1}\n1.0 {\"k\":1,\"n\":2}\n2.0 {\"k\":1,\"n\":3}\n3.0 {\"k\":1,\"n\":4}\n"
                "4.0 {\"k\":1,\"n\":5}\n5.0 {\"k\":1,\"n\":6}\n");
    check_leaps(HEAD "  n: {from: in, rate: {limit: 1, per: 1s, key: .k, excess: drop}}\n" TAIL, in_time, 6,
                "0.0 {\"k\":1,\"n\":1}\n1.2 {\"k\":1,\"n\":5}\n4.0 {\"k\":1,\"n\":6}\n");
}

TEST(pipeline_rate_goes_by_the_time_that_passes_when_the_clock_leaps)
{
    in_sim(rates_leap);
}

/* The clock was put back before the process begins again: what waits does so for its whole span once more, and not for an hour. */
static void rates_begin_again(void)
{
    static const struct letter letters[] = {{0, NS_NEVER, "k", "{\"k\":1,\"n\":1}"},
                                            {0, NS_NEVER, "k", "{\"k\":1,\"n\":2}"},
                                            {7 * NS_SEC, NS_NEVER, "k", "{\"k\":1,\"n\":3}"}};

    leap_by = -3600 * NS_SEC;
    CHECK_OK(world_open(&world, HEAD "  n: {from: in, rate: {limit: 1, per: 5s, key: .k}}\n" TAIL, NULL, 0));
    world.letters = letters;
    world.letter_count = ARRAY_LEN(letters);
    world.meddle = leap;
    world.crash_at = NS_SEC;
    CHECK_OK(world_run(&world));
    CHECK_EQ(world.crashes, 1);
    CHECK_STR(world_timed_lines(&world), "0.0 {\"k\":1,\"n\":1}\n6.0 {\"k\":1,\"n\":2}\n11.0 {\"k\":1,\"n\":3}\n");
    world_close(&world);
}

TEST(pipeline_rate_that_begins_again_in_the_past_waits_no_longer_than_before)
{
    in_sim(rates_begin_again);
}

static void dedupes_leap(void)
{
    check_leaps(HEAD "  n: {from: in, dedupe: {key: .k, within: 1s}}\n" TAIL, in_time, 6,
                "0.0 {\"k\":1,\"n\":1}\n1.2 {\"k\":1,\"n\":5}\n4.0 {\"k\":1,\"n\":6}\n");
}

TEST(pipeline_dedupe_goes_by_the_time_that_passes_when_the_clock_leaps)
{
    in_sim(dedupes_leap);
}

/* --- dedupe --- */

#define DEDUPE HEAD "  n: {from: in, dedupe: {key: .k, within: 5s}}\n" TAIL
static const struct letter twice[] = {
    {0, NS_NEVER, NULL, "{\"k\":\"a\",\"n\":1}"},          {NS_SEC, NS_NEVER, NULL, "{\"k\":\"a\",\"n\":2}"},
    {NS_SEC, NS_NEVER, NULL, "{\"k\":\"b\",\"n\":3}"},     {4 * NS_SEC, NS_NEVER, NULL, "{\"n\":4,\"k\":\"a\"}"},
    {6 * NS_SEC, NS_NEVER, NULL, "{\"k\":\"a\",\"n\":5}"}, {7 * NS_SEC, NS_NEVER, NULL, "{\"k\":\"b\",\"n\":6}"}};
#define FIRSTS "{\"k\":\"a\",\"n\":1}\n{\"k\":\"b\",\"n\":3}\n{\"k\":\"a\",\"n\":5}\n{\"k\":\"b\",\"n\":6}\n"

static void dedupes(void)
{
    run_plain(DEDUPE, twice, 6, 0);
    CHECK_STR(world_lines(&world, "out"), FIRSTS);
    CHECK_EQ(world_count(&world, JOURNAL_STATES, "n"), 2);
    world_close(&world);
    check_survives(DEDUPE, twice, 6, 0, 0, FIRSTS);
}

TEST(pipeline_dedupe_passes_the_first_of_a_key_for_a_while_however_it_is_crashed)
{
    in_sim(dedupes);
}

static void dedupes_little(void)
{
    static struct letter many[40];
    static char bodies[40][32];

    for (int i = 0; i < 40; i++) {
        (void)snprintf(bodies[i], sizeof bodies[i], "{\"k\":%d}", i % 20);
        many[i] = (struct letter){i * NS_MS, NS_NEVER, NULL, bodies[i]};
    }
    run_plain(HEAD "  n: {from: in, dedupe: {key: .k, within: 1h, size: 1KiB}}\n" TAIL, many, 40, 0);
    CHECK_LE(world_count(&world, JOURNAL_STATES, "n"), 8);
    CHECK_EQ(world.sunk_count, 40); /* by the time that a key comes again it was forgotten for others */
    world_close(&world);
}

TEST(pipeline_dedupe_remembers_no_more_than_its_size)
{
    in_sim(dedupes_little);
}

static const struct world_file schema = {
    "s.json", "{\"type\":\"object\",\"required\":[\"n\"],\"properties\":{\"n\":{\"type\":\"integer\",\"maximum\":2}}}"};

/* --- canary, shadow, tap --- */

static void shares(void)
{
    static struct letter many[1000];
    static char bodies[1000][32];
    size_t old = 0;

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(bodies[i], sizeof bodies[i], "{\"k\":%d}", i / 10);
        many[i] = (struct letter){0, NS_NEVER, NULL, bodies[i]};
    }
    run_plain(HEAD "  n: {from: in, canary: {stable: old, candidate: new, share: 20%, key: .k}}\n"
                   "sinks: {old: {file: a}, new: {file: b}}\n",
              many, 1000, 0);
    CHECK_EQ(world.sunk_count, 1000);
    for (size_t i = 0; i < 1000; i++)
        old += str_eq(world.sunk[i].sink->name, STR("old"));
    CHECK_EQ(old % 10, 0); /* all of a key go one way */
    CHECK_MSG(old > 650 && old < 950, "%zu of 1000", old);
    world_close(&world);
}

TEST(pipeline_canary_sends_its_share_of_keys_the_new_way)
{
    in_sim(shares);
}

static void shows(void)
{
    run_with("pipeline: p\nversion: 1\nschemas: {s: {file: s.json}}\nsources: {in: {files: {path: x}}}\nnodes:\n"
             "  a: {from: in, shadow: {share: 100%}}\n  b: {from: a, validate: s}\n"
             "  n: {from: in, tap: {to: log, show: .n}}\n" TAIL,
             &schema, 1, three, 3, 0);
    CHECK_STR(world_lines(&world, "out"), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    CHECK_EQ(world.stats.dead, 0);
    world_close(&world);
}

TEST(pipeline_shadow_fails_without_anybody_minding_and_a_tap_changes_nothing)
{
    in_sim(shows);
}

/* --- validate --- */

static void validates(void)
{
    run_with("pipeline: p\nversion: 1\nschemas: {s: {file: s.json}}\nsources: {in: {files: {path: x}}}\nnodes:\n"
             "  m: {from: in, map: '{n: .n}'}\n  n: {from: m, validate: s}\n" TAIL,
             &schema, 1, three, 3, 0);
    CHECK_STR(world_lines(&world, "out"), "{\"n\":1}\n{\"n\":2}\n");
    CHECK_EQ(world.stats.dead, 1);
    world_close(&world);
}

TEST(pipeline_validate_makes_dead_letters_of_what_does_not_fit)
{
    in_sim(validates);
}

static void validates_softly(void)
{
    run_with("pipeline: p\nversion: 1\nschemas: {s: {file: s.json}}\nsources: {in: {files: {path: x}}}\nnodes:\n"
             "  n: {from: in, validate: s, on_error: fallback, fallback: '{n: 0}'}\n" TAIL,
             &schema, 1, three, 3, 0);
    CHECK_STR(world_lines(&world, "out"), "{\"n\":1}\n{\"n\":2}\n{\"n\":0}\n");
    CHECK_EQ(world.stats.dead, 0);
    world_close(&world);
}

TEST(pipeline_validate_puts_the_fallback_in_the_place_of_what_does_not_fit)
{
    in_sim(validates_softly);
}

/* --- joins by root --- */

static void joins_lose_patience(void)
{
    run_plain(HEAD "  a: {from: in, delay: 5s}\n  n: {join: [in, a], timeout: 2s, on_timeout: partial}\n" TAIL, three,
              1, 0);
    CHECK_STR(world_timed_lines(&world), "2.0 {\"in\":{\"n\":1}}\n");
    world_close(&world);
    run_plain(HEAD "  a: {from: in, delay: 5s}\n  n: {join: [in, a], timeout: 2s}\n" TAIL, three, 1, 0);
    CHECK_EQ(world.sunk_count, 0);
    CHECK_EQ(world.stats.dead, 1);
    world_close(&world);
    run_plain(HEAD "  a: {from: in, delay: 1s}\n  n: {join: [in, a], timeout: 2s}\n" TAIL, three, 1, 0);
    CHECK_STR(world_timed_lines(&world), "1.0 {\"in\":{\"n\":1},\"a\":{\"n\":1}}\n");
    CHECK_EQ(world.stats.dead, 0);
    world_close(&world);
}

TEST(pipeline_join_of_a_root_loses_its_patience)
{
    in_sim(joins_lose_patience);
}

/* --- windows --- */

#define N(n) "{\"n\":" #n "}"
#define WINDOW(rules) HEAD "  n: {from: in, aggregate: {" rules ", into: 'map(.n)'}}\n" TAIL

static const struct letter seven[] = {{0, NS_NEVER, NULL, N(1)},           {1 * NS_SEC, NS_NEVER, NULL, N(2)},
                                      {2 * NS_SEC, NS_NEVER, NULL, N(3)},  {11 * NS_SEC, NS_NEVER, NULL, N(4)},
                                      {12 * NS_SEC, NS_NEVER, NULL, N(5)}, {13 * NS_SEC, NS_NEVER, NULL, N(6)},
                                      {31 * NS_SEC, NS_NEVER, NULL, N(7)}};

static void windows_count(void)
{
    check_gives(WINDOW("count: 3"), seven, 7, 40 * NS_SEC, "2.0 [1,2,3]\n13.0 [4,5,6]\n");
    check_survives(WINDOW("count: 3"), seven, 7, 40 * NS_SEC, 0, "[1,2,3]\n[4,5,6]\n");
}

TEST(pipeline_window_closes_with_so_many_records_however_it_is_crashed)
{
    in_sim(windows_count);
}

static void windows_of_time(void)
{
    check_gives(WINDOW("every: 10s"), seven, 7, 45 * NS_SEC, "10.0 [1,2,3]\n20.0 [4,5,6]\n40.0 [7]\n");
}

static void windows_of_time_and_count(void)
{
    check_gives(WINDOW("every: 10s, count: 2"), seven, 7, 45 * NS_SEC,
                "1.0 [1,2]\n10.0 [3]\n12.0 [4,5]\n20.0 [6]\n40.0 [7]\n");
}

TEST(pipeline_window_closes_at_multiples_of_a_time_or_with_so_many)
{
    in_sim(windows_of_time);
    in_sim(windows_of_time_and_count);
}

static void windows_of_time_survive(void)
{
    check_survives(WINDOW("every: 10s"), seven, 7, 100 * NS_SEC, 0, "[1,2,3]\n[4,5,6]\n[7]\n");
}

TEST(pipeline_window_closes_at_multiples_of_a_time_however_it_is_crashed)
{
    in_sim(windows_of_time_survive);
}

static void sessions(void)
{
    check_gives(WINDOW("session: 5s"), seven, 7, 45 * NS_SEC, "7.0 [1,2,3]\n18.0 [4,5,6]\n36.0 [7]\n");
    check_gives(WINDOW("session: 5s, max: 2"), seven, 7, 45 * NS_SEC,
                "1.0 [1,2]\n7.0 [3]\n12.0 [4,5]\n18.0 [6]\n36.0 [7]\n");
    check_survives(WINDOW("session: 5s"), seven, 7, 100 * NS_SEC, 0, "[1,2,3]\n[4,5,6]\n[7]\n");
}

TEST(pipeline_session_closes_after_a_silence_however_it_is_crashed)
{
    in_sim(sessions);
}

/* By timestamps: messages come late and out of order, some too late. */
static const struct letter stragglers[] = {
    {1000 * NS_SEC, 1 * NS_SEC, NULL, N(1)}, {1000 * NS_SEC, 12 * NS_SEC, NULL, N(2)},
    {1000 * NS_SEC, 9 * NS_SEC, NULL, N(3)}, {1000 * NS_SEC, 16 * NS_SEC, NULL, N(4)},
    {1000 * NS_SEC, 8 * NS_SEC, NULL, N(5)}, {1000 * NS_SEC, 31 * NS_SEC, NULL, N(6)}};

static void windows_late(void)
{
    run_plain(WINDOW("every: 10s, lateness: 5s"), stragglers, 6, 1020 * NS_SEC);
    CHECK_STR(world_timed_lines(&world), "1000.0 [1,3]\n1000.0 [2,4]\n1014.0 [6]\n");
    CHECK_EQ(world.stats.dead, 1);
    world_close(&world);
}

TEST(pipeline_window_goes_by_timestamps_and_waits_for_stragglers_as_long_as_it_is_told)
{
    in_sim(windows_late);
}

static void sessions_merge(void)
{
    static const struct letter letters[] = {{0, 10 * NS_SEC, NULL, N(1)},
                                            {NS_SEC, 16 * NS_SEC, NULL, N(2)},
                                            {2 * NS_SEC, 13 * NS_SEC, NULL, N(3)},
                                            {3 * NS_SEC, 50 * NS_SEC, NULL, N(4)}};

    run_plain(WINDOW("session: 5s, lateness: 3s"), letters, 4, 20 * NS_SEC);
    CHECK_STR(world_lines(&world, "out"), "[1,3,2]\n[4]\n");
    CHECK_EQ(world_count(&world, JOURNAL_STATES, "n"), 1); /* the clock: nothing else is left */
    world_close(&world);
    check_survives(WINDOW("session: 5s, lateness: 3s"), letters, 4, 20 * NS_SEC, 0, "[1,3,2]\n[4]\n");
}

TEST(pipeline_session_is_one_when_a_record_comes_between_two)
{
    in_sim(sessions_merge);
}

static void windows_by_key(void)
{
    check_survives(HEAD "  n: {from: in, aggregate: {by: '.n % 2', count: 2, into: 'map(.n)'}}\n" TAIL, seven, 7,
                   40 * NS_SEC, 0, "[1,3]\n[2,4]\n[5,7]\n");
}

/* The same records go into a window and to a sink: neither's being done is the other's. */
static void windows_beside_sinks(void)
{
    for (uint64_t at = 0;; at += test_step()) {
        CHECK_OK(world_open(&world,
                            HEAD
                            "  n: {from: in, aggregate: {count: 3, into: 'map(.n)'}}\n"
                            "  w: {from: in, delay: 1s}\n"
                            "sinks: {out: {from: n, file: a}, raw: {from: in, file: b}, late: {from: w, file: c}}\n",
                            NULL, 0));
        world.letters = three;
        world.letter_count = 3;
        world.waits_left = at;
        test_context("crash at wait %" PRIu64, at);
        CHECK_OK(world_run(&world));
        CHECK_STR(world_lines(&world, "out"), "[1,2,3]\n");
        CHECK_STR(world_lines(&world, "raw"), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
        CHECK_STR(world_lines(&world, "late"), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
        bool is_over = world.crashes == 0;
        world_close(&world);
        if (is_over)
            break;
    }
    test_context("%s", "");
}

TEST(pipeline_window_and_sink_get_the_same_record_each_once)
{
    in_sim(windows_beside_sinks);
}

TEST(pipeline_window_is_of_a_key)
{
    in_sim(windows_by_key);
}

/* --- joins by key --- */

#define JOIN(rules)                                                                                                    \
    "pipeline: p\nversion: 1\nsources: {in: {files: {path: x}}}\nnodes:\n  a: {from: in, filter: '.a != null'}\n"      \
    "  b: {from: in, filter: '.b != null'}\n  n: {join: [a, b], by: .k, " rules "}\n" TAIL
static const struct letter pairs[] = {{0, NS_NEVER, NULL, "{\"k\":1,\"a\":1}"},
                                      {NS_SEC, NS_NEVER, NULL, "{\"k\":2,\"b\":2}"},
                                      {2 * NS_SEC, NS_NEVER, NULL, "{\"k\":1,\"b\":3}"},
                                      {3 * NS_SEC, NS_NEVER, NULL, "{\"k\":1,\"a\":4}"}};

static void joins_by_key(void)
{
    const char *both = "{\"a\":{\"k\":1,\"a\":1},\"b\":{\"k\":1,\"b\":3}}\n";

    run_plain(JOIN("timeout: 10s"), pairs, 4, 20 * NS_SEC);
    CHECK_STR(world_lines(&world, "out"), both);
    CHECK_EQ(world.stats.dead, 2); /* each at its time */
    world_close(&world);
    check_gives(JOIN("timeout: 10s, on_timeout: partial"), pairs, 4, 20 * NS_SEC,
                "2.0 {\"a\":{\"k\":1,\"a\":1},\"b\":{\"k\":1,\"b\":3}}\n11.0 {\"b\":{\"k\":2,\"b\":2}}\n"
                "13.0 {\"a\":{\"k\":1,\"a\":4}}\n");
    check_gives(JOIN("wait: any, timeout: 10s"), pairs, 4, 20 * NS_SEC,
                "0.0 {\"a\":{\"k\":1,\"a\":1}}\n1.0 {\"b\":{\"k\":2,\"b\":2}}\n3.0 {\"a\":{\"k\":1,\"a\":4}}\n");
    check_survives(JOIN("timeout: 10s"), pairs, 4, 20 * NS_SEC, 0, both);
    check_survives(JOIN("wait: any, timeout: 10s"), pairs, 4, 20 * NS_SEC, 0,
                   "{\"a\":{\"k\":1,\"a\":1}}\n{\"b\":{\"k\":2,\"b\":2}}\n{\"a\":{\"k\":1,\"a\":4}}\n");
}

TEST(pipeline_join_by_key_fires_once_or_times_out_however_it_is_crashed)
{
    in_sim(joins_by_key);
}

static const struct letter halves[] = {{0, NS_NEVER, "k", "{\"k\":1,\"a\":1}"},
                                       {500 * NS_MS, NS_NEVER, "k", "{\"k\":2,\"b\":2}"},
                                       {2 * NS_SEC, NS_NEVER, "k", "{\"k\":1,\"b\":3}"},
                                       {3 * NS_SEC, NS_NEVER, "k", "{\"k\":3,\"a\":4}"}};

static void windows_leap(void)
{
    static const struct letter few[] = {
        {0, NS_NEVER, "k", N(1)}, {NS_SEC, NS_NEVER, "k", N(2)}, {9 * NS_SEC, NS_NEVER, "k", N(3)}};

    check_leaps(WINDOW("every: 5s"), few, 3, "5.0 [1,2]\n10.0 [3]\n");
    check_leaps(WINDOW("session: 2s"), few, 3, "3.0 [1,2]\n11.0 [3]\n");
}

TEST(pipeline_window_goes_by_the_time_that_passes_when_the_clock_leaps)
{
    in_sim(windows_leap);
}

static void joins_leap(void)
{
    check_leaps(JOIN("timeout: 10s, on_timeout: partial"), halves, 4,
                "2.0 {\"a\":{\"k\":1,\"a\":1},\"b\":{\"k\":1,\"b\":3}}\n10.5 {\"b\":{\"k\":2,\"b\":2}}\n"
                "13.0 {\"a\":{\"k\":3,\"a\":4}}\n");
}

TEST(pipeline_join_by_key_goes_by_the_time_that_passes_when_the_clock_leaps)
{
    in_sim(joins_leap);
}

/* Crashed after a second, when the clock had been put back: the time of what waits begins anew, and is not an hour longer. */
static void joins_begin_again(void)
{
    leap_by = -3600 * NS_SEC;
    CHECK_OK(world_open(&world, JOIN("timeout: 10s, on_timeout: partial"), NULL, 0));
    world.letters = halves;
    world.letter_count = 2;
    world.end = 15 * NS_SEC;
    world.meddle = leap;
    world.crash_at = NS_SEC;
    CHECK_OK(world_run(&world));
    CHECK_EQ(world.crashes, 1);
    CHECK_STR(world_timed_lines(&world), "11.0 {\"b\":{\"k\":2,\"b\":2}}\n11.0 {\"a\":{\"k\":1,\"a\":1}}\n");
    world_close(&world);
}

TEST(pipeline_join_that_begins_again_in_the_past_waits_no_longer_than_before)
{
    in_sim(joins_begin_again);
}

/* --- windows against a model --- */

enum { DRAWN = 60, KEYS = 3, DRAWN_SPAN = 100 };

struct drawn {
    int key, n;
    int64_t at; /* seconds */
    bool is_told;
};

static struct drawn drawn[DRAWN];
static struct letter drawn_letters[DRAWN];
static char drawn_bodies[DRAWN][64];

/* Messages whose timestamps are up to 20 seconds behind one another. */
static void draw_letters(struct prng *p)
{
    for (int i = 0; i < DRAWN; i++) {
        int64_t now = (int64_t)i * DRAWN_SPAN / DRAWN;
        drawn[i] = (struct drawn){.key = (int)prng_below(p, KEYS), .n = i, .at = now - prng_range(p, 0, 20)};
        (void)snprintf(drawn_bodies[i], sizeof drawn_bodies[i], "{\"k\":%d,\"n\":%d}", drawn[i].key, i);
        drawn_letters[i] = (struct letter){now * NS_SEC, drawn[i].at * NS_SEC, NULL, drawn_bodies[i]};
    }
}

static bool is_one_session(const struct drawn *x, const struct drawn *y)
{
    return x->key == y->key && llabs(x->at - y->at) < 5;
}

/* All that are in one session with `first`, by way of others. Marks them. */
static void mark_session(struct drawn *first)
{
    first->is_told = true;
    for (int i = 0; i < DRAWN; i++)
        if (!drawn[i].is_told && is_one_session(first, &drawn[i]))
            mark_session(&drawn[i]);
}

static bool is_one_slot(const struct drawn *x, const struct drawn *y)
{
    return x->key == y->key && (x->at + 100) / 10 == (y->at + 100) / 10;
}

static void mark_slot(struct drawn *first)
{
    for (int i = 0; i < DRAWN; i++)
        drawn[i].is_told = drawn[i].is_told || is_one_slot(first, &drawn[i]);
}

/* Is exactly this among what the sink got? */
static bool got_once(const char *line)
{
    size_t n = 0;

    for (size_t i = 0; i < world.sunk_count; i++)
        n += strcmp(world.sunk[i].text, line) == 0;
    return n == 1;
}

static void check_against_model(void (*mark)(struct drawn *first))
{
    size_t windows = 0;

    for (int i = 0; i < DRAWN; i++) {
        bool before[DRAWN];
        char line[1024];
        int at = snprintf(line, sizeof line, "{\"k\":%d,\"n\":[", drawn[i].key);
        if (drawn[i].is_told)
            continue;
        for (int k = 0; k < DRAWN; k++)
            before[k] = drawn[k].is_told;
        mark(&drawn[i]);
        for (int k = 0, first = 1; k < DRAWN; k++) {
            if (!drawn[k].is_told || before[k])
                continue;
            at += snprintf(line + at, sizeof line - (size_t)at, "%s%d", first ? "" : ",", k);
            first = 0;
        }
        (void)snprintf(line + at, sizeof line - (size_t)at, "]}");
        CHECK_MSG(got_once(line), "not once: %s", line);
        windows++;
    }
    CHECK_EQ(world.sunk_count, windows);
}

static SUSPENDS void check_drawn(const char *rules, uint64_t seed, void (*mark)(struct drawn *first))
{
    struct prng p;
    char text[512];

    prng_seed(&p, seed);
    draw_letters(&p);
    (void)snprintf(text, sizeof text,
                   HEAD "  n: {from: in, aggregate: {by: .k, %s, into: '{k: .[0].k, n: (map(.n) | sort)}'}}\n" TAIL,
                   rules);
    test_context("%s, seed %" PRIu64, rules, seed);
    CHECK_OK(world_open(&world, text, NULL, 0));
    world.letters = drawn_letters;
    world.letter_count = DRAWN;
    world.end = 500 * NS_SEC;
    world.draw = p;
    world.waits_most = 400;
    world.crashes_most = 6;
    world.waits_left = prng_below(&p, 400);
    CHECK_OK(world_run(&world));
    CHECK_EQ(world.stats.dead, 0);
    check_against_model(mark);
    if (test_failed())
        return;
    CHECK_EQ(world_count(&world, JOURNAL_STATES, "n"), 1); /* the clock */
    world_close(&world);
    test_context("%s", "");
}

static void windows_by_model(void)
{
    for (uint64_t round = 0; round < test_rounds(15) && !test_failed(); round++) {
        check_drawn("every: 10s, lateness: 40s", test_seed() + round, mark_slot);
        if (!test_failed())
            check_drawn("session: 5s, lateness: 40s", test_seed() + round, mark_session);
    }
}

TEST(pipeline_windows_are_those_of_a_simple_model_over_drawn_messages_and_crashes)
{
    in_sim(windows_by_model);
}

/* --- gates --- */

#define GATE(rules) HEAD "  n: {from: in, gate: {channel: desk, " rules ", show: .n}}\n" TAIL

/* Votes that are to be given, each at its time. */
struct planned {
    ns_t when;
    const char *show, *who;
    bool approves;
    const char *changed;
    enum gate_verdict want;
};
static const struct planned *plan;
static size_t plan_count, plan_at;

static bool was_cut_short;

/* A gate is found under its id as people write it. */
static SUSPENDS void check_found(struct world *w, const struct gate *want, struct arena *arena)
{
    struct journal_id id;
    struct gate found;
    char text[32];

    gate_id_print(&want->id, text);
    CHECK(gate_id_parse(str_of(text, sizeof text), &id));
    err_t e = gate_find(w->journal, &id, arena, &found);
    if (e == E_CANCELLED)
        return;
    CHECK_OK(e);
    CHECK(str_eq(found.show, want->show));
    CHECK_EQ(found.verdict, GATE_OPEN);
    CHECK(!gate_id_parse(STR("0123"), &id));
}

static SUSPENDS void vote(struct world *w, const struct planned *p)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct gate_page page;
    enum gate_verdict verdict = GATE_OPEN;

    err_t e = gate_list(w->journal, STR_NONE, 0, 0, &arena, &page);
    was_cut_short = e == E_CANCELLED;
    for (size_t i = 0; e == OK && i < page.count; i++) {
        if (!str_eq(page.gates[i].show, str_from_c(p->show)))
            continue;
        CHECK_STR(page.gates[i].channel, "desk");
        check_found(w, &page.gates[i], &arena);
        const struct gate_vote v = {.id = page.gates[i].id,
                                    .approves = p->approves,
                                    .who = str_from_c(p->who),
                                    .why = STR("because"),
                                    .changed = str_from_c(p->changed)};
        e = gate_vote(w->journal, &v, &verdict);
        was_cut_short = e == E_CANCELLED;
        if (was_cut_short)
            return;
        CHECK_OK(e);
        CHECK_EQ(verdict, p->want);
        return;
    }
}

static SUSPENDS err_t vote_as_planned(void *arg)
{
    struct world *w = arg;

    for (; plan_at < plan_count; plan_at++) {
        TRY(fiber_sleep_until(w->born + plan[plan_at].when));
        vote(w, &plan[plan_at]);
        if (was_cut_short)
            return E_CANCELLED;
    }
    return OK;
}

static SUSPENDS void run_gates(const char *text, const struct planned *votes, size_t n, uint64_t crash_at)
{
    CHECK_OK(world_open(&world, text, NULL, 0));
    world.letters = three;
    world.letter_count = 3;
    world.end = 120 * NS_SEC;
    world.meddle = vote_as_planned;
    world.waits_left = crash_at;
    plan = votes;
    plan_count = n;
    plan_at = 0;
    CHECK_OK(world_run(&world));
}

static const struct planned decisions[] = {{5 * NS_SEC, "2", "ann", true, NULL, GATE_APPROVED},
                                           {10 * NS_SEC, "1", "bob", false, NULL, GATE_REJECTED},
                                           {20 * NS_SEC, "3", "ann", true, "{\"n\":30}", GATE_APPROVED}};

static void gates_decide(void)
{
    run_gates(GATE("expires: 1m"), decisions, 3, UINT64_MAX);
    CHECK_STR(world_lines(&world, "out"), "{\"n\":2}\n{\"n\":30}\n");
    CHECK_MSG(world.sunk[0].when < 7 * NS_SEC, "it takes too long until it is seen");
    CHECK_EQ(world.stats.dead, 0);
    CHECK_EQ(world_count(&world, JOURNAL_GATES, ""), 0);
    world_close(&world);
}

TEST(pipeline_gate_lets_through_what_people_let_through)
{
    in_sim(gates_decide);
}

static void gates_survive(void)
{
    for (uint64_t at = 0;; at += 3 * test_step()) {
        test_context("crash at wait %" PRIu64, at);
        run_gates(GATE("expires: 1m"), decisions, 3, at);
        if (test_failed())
            return;
        CHECK_STR(world_lines(&world, "out"), "{\"n\":2}\n{\"n\":30}\n");
        bool is_over = world.crashes == 0;
        world_close(&world);
        if (is_over)
            break;
    }
    test_context("%s", "");
}

TEST(pipeline_gate_is_decided_once_however_it_is_crashed)
{
    in_sim(gates_survive);
}

static void gates_expire(void)
{
    run_gates(GATE("expires: 1m"), decisions, 1, UINT64_MAX);
    CHECK_STR(world_lines(&world, "out"), "{\"n\":2}\n");
    CHECK_EQ(world.stats.dead, 2);
    world_close(&world);
    run_gates(GATE("expires: 1m, on_expire: pass"), decisions, 1, UINT64_MAX);
    CHECK_STR(world_lines(&world, "out"), "{\"n\":2}\n{\"n\":1}\n{\"n\":3}\n");
    for (size_t i = 1; i < world.sunk_count; i++)
        CHECK_MSG(world.sunk[i].when >= 60 * NS_SEC && world.sunk[i].when < 64 * NS_SEC, "at %lld",
                  (long long)world.sunk[i].when);
    CHECK_EQ(world.stats.dead, 0);
    world_close(&world);
    run_gates(GATE("expires: 1m, on_expire: skip"), decisions, 0, 40);
    CHECK_EQ(world.sunk_count, 0);
    CHECK_EQ(world.stats.dead, 0);
    CHECK_EQ(world_count(&world, JOURNAL_GATES, ""), 0);
    world_close(&world);
}

TEST(pipeline_gate_expires_as_it_is_told)
{
    in_sim(gates_expire);
}

static void gates_of_several(void)
{
    static const struct planned votes[] = {{5 * NS_SEC, "1", "ann", true, NULL, GATE_OPEN},
                                           {6 * NS_SEC, "1", "ann", true, NULL, GATE_OPEN},
                                           {7 * NS_SEC, "2", "ann", true, NULL, GATE_OPEN},
                                           {8 * NS_SEC, "1", "bob", true, NULL, GATE_APPROVED},
                                           {9 * NS_SEC, "3", "bob", false, NULL, GATE_REJECTED}};

    run_gates(GATE("expires: 1m, approvals: 2, on_expire: skip"), votes, 5, UINT64_MAX);
    CHECK_STR(world_lines(&world, "out"), "{\"n\":1}\n");
    CHECK_EQ(world_count(&world, JOURNAL_STATES, "n"), 0); /* votes went with decisions, and with the end of time */
    world_close(&world);
}

TEST(pipeline_gate_wants_several_different_people)
{
    in_sim(gates_of_several);
}

static void gates_refuse(void)
{
    enum gate_verdict verdict;
    struct gate_vote v = {.approves = true, .who = STR("ann")};

    CHECK_OK(world_open(&world, GATE("expires: 1m"), NULL, 0));
    CHECK_ERR(gate_vote(world.journal, &v, &verdict), E_NOT_FOUND);
    v.who = STR("");
    CHECK_ERR(gate_vote(world.journal, &v, &verdict), E_PARSE);
    v.who = STR("a\nb");
    CHECK_ERR(gate_vote(world.journal, &v, &verdict), E_PARSE);
    v = (struct gate_vote){.who = STR("ann"), .changed = STR("{")};
    CHECK_ERR(gate_vote(world.journal, &v, &verdict), E_PARSE);
    world_close(&world);
}

TEST(pipeline_gate_refuses_votes_of_nobody_for_nothing)
{
    in_sim(gates_refuse);
}

/* --- pipelines within pipelines --- */

#define BODY_HEAD "pipeline: body\nversion: 1\ninput: {}\noutput: o\nnodes:\n"
static const struct world_file doubles = {"body.yaml", BODY_HEAD "  w: {from: input, delay: 1s}\n"
                                                                 "  o: {from: w, map: '{n: (.n * 2), from: .n}'}\n"};

#define LOOP(rules)                                                                                                    \
    HEAD "  n: {from: in, loop: {pipeline: body.yaml, until: '.n >= 10', deadline: 1m, " rules "}}\n" TAIL

static void loops(void)
{
    run_with(LOOP("max: 10"), &doubles, 1, three, 3, 0);
    CHECK_STR(world_timed_lines(&world),
              "3.5 {\"n\":16,\"from\":8}\n4.0 {\"n\":16,\"from\":8}\n4.5 {\"n\":12,\"from\":6}\n");
    world_close(&world);
}

TEST(pipeline_loop_runs_until_its_condition_holds)
{
    in_sim(loops);
}

static void loops_end(void)
{
    run_with(LOOP("max: 3"), &doubles, 1, three, 3, 0);
    CHECK_STR(world_lines(&world, "out"), "{\"n\":16,\"from\":8}\n{\"n\":12,\"from\":6}\n");
    CHECK_EQ(world.stats.dead, 1);
    world_close(&world);
    run_with(LOOP("max: 2, exhausted: pass"), &doubles, 1, three, 1, 0);
    CHECK_STR(world_lines(&world, "out"), "{\"n\":4,\"from\":2}\n");
    world_close(&world);
    run_with(HEAD "  n: {from: in, loop: {pipeline: body.yaml, until: '.n >= 100', max: 100, deadline: 2500ms, "
                  "exhausted: pass}}\n" TAIL,
             &doubles, 1, three, 1, 10 * NS_SEC);
    CHECK_STR(world_timed_lines(&world), "2.5 {\"n\":4,\"from\":2}\n");
    CHECK_EQ(world.stats.dead, 0);
    world_close(&world);
}

TEST(pipeline_loop_ends_with_its_count_or_its_deadline)
{
    in_sim(loops_end);
}

static void loops_survive(void)
{
    static struct letter ordered[3];

    for (int i = 0; i < 3; i++) {
        ordered[i] = three[i];
        ordered[i].key = "k";
    }
    check_survives_with(LOOP("max: 10"), &doubles, 1, ordered, 3, 0, 0,
                        "{\"n\":16,\"from\":8}\n{\"n\":16,\"from\":8}\n{\"n\":12,\"from\":6}\n");
}

TEST(pipeline_loop_is_the_same_however_it_is_crashed)
{
    in_sim(loops_survive);
}

static void bodies_fail(void)
{
    static const struct world_file nothing = {"body.yaml", BODY_HEAD "  o: {from: input, filter: '.n > 100'}\n"};
    static const struct world_file several = {"body.yaml", BODY_HEAD "  o: {from: input, split: '[., .]'}\n"};
    static const struct world_file strict[] = {
        {"body.yaml", "pipeline: body\nversion: 1\nschemas: {s: {file: s.json}}\ninput: {}\noutput: o\nnodes:\n"
                      "  o: {from: input, validate: s}\n"},
        {"s.json", "{\"type\":\"object\",\"properties\":{\"n\":{}},\"required\":[\"nosuch\"]}"}};

    run_with(LOOP("max: 2"), &nothing, 1, three, 3, 0);
    CHECK_EQ(world.stats.dead, 3);
    world_close(&world);
    run_with(LOOP("max: 2"), &several, 1, three, 3, 0);
    CHECK_EQ(world.stats.dead, 3);
    world_close(&world);
    run_with(LOOP("max: 2"), strict, 2, three, 3, 0);
    CHECK_EQ(world.stats.dead, 3);
    CHECK_EQ(world.sunk_count, 0);
    world_close(&world);
}

TEST(pipeline_loop_fails_with_its_body)
{
    in_sim(bodies_fail);
}

static void bodies_keep_nothing(void)
{
    static const struct world_file keeps = {"body.yaml", BODY_HEAD "  o: {from: input, dedupe: .n}\n"};
    err_t e = world_open(&world, LOOP("max: 2"), &keeps, 1);

    CHECK_ERR(e, E_CONFIG);
    CHECK_MSG(strstr(err_detail(e), "keeps something") != NULL, "%s", err_detail(e));
    world_close(&world);
}

TEST(pipeline_body_must_not_keep_anything)
{
    in_sim(bodies_keep_nothing);
}

#define CACHE HEAD "  n: {from: in, cache: {key: .k, pipeline: body.yaml, ttl: 5s}}\n" TAIL
static const struct world_file slow = {"body.yaml", BODY_HEAD "  o: {from: input, delay: 1s}\n"};

static void caches(void)
{
    static const struct letter asked[] = {{0, NS_NEVER, NULL, "{\"k\":1,\"n\":1}"},
                                          {2 * NS_SEC, NS_NEVER, NULL, "{\"k\":1,\"n\":2}"},
                                          {3 * NS_SEC, NS_NEVER, NULL, "{\"k\":2,\"n\":3}"},
                                          {7 * NS_SEC, NS_NEVER, NULL, "{\"k\":1,\"n\":4}"}};

    run_with(CACHE, &slow, 1, asked, 4, 0);
    CHECK_STR(world_timed_lines(&world), "1.0 {\"k\":1,\"n\":1}\n2.0 {\"k\":1,\"n\":1}\n4.0 {\"k\":2,\"n\":3}\n"
                                         "8.0 {\"k\":1,\"n\":4}\n");
    world_close(&world);
    CHECK_OK(world_open(&world, CACHE, &slow, 1));
    world.letters = asked;
    world.letter_count = 2;
    world.crash_at = 1500 * NS_MS;
    CHECK_OK(world_run(&world));
    CHECK_STR(world_timed_lines(&world), "1.0 {\"k\":1,\"n\":1}\n2.0 {\"k\":1,\"n\":1}\n"); /* not made again */
    world_close(&world);
}

TEST(pipeline_cache_makes_once_what_it_keeps_also_over_a_crash)
{
    in_sim(caches);
}

static void calls(void)
{
    run_with(HEAD "  n: {from: in, call: body.yaml}\n" TAIL, &doubles, 1, three, 1, 0);
    CHECK_STR(world_timed_lines(&world), "1.0 {\"n\":2,\"from\":1}\n");
    world_close(&world);
}

TEST(pipeline_call_runs_the_nodes_of_another_file)
{
    in_sim(calls);
}

/* --- chunks --- */

#define CHUNK(rules)                                                                                                   \
    "pipeline: p\nversion: 1\ndelivery: at_least_once\nsources: {in: {files: {path: x}}}\nnodes:\n"                    \
    "  m: {from: in, model: {route: r, prompt: x, stream: true}}\n  n: {from: m, chunk: " rules "}\n" TAIL

static void chunks(void)
{
    static const struct letter answers[] = {{0, NS_NEVER, "k", "\"One. Two.\""},
                                            {0, NS_NEVER, "k", "{\"items\":[1,{\"n\":2}]}"},
                                            {0, NS_NEVER, "k", "\"{\\\"items\\\":[3]}\""}};

    run_plain(CHUNK("sentence"), answers, 2, 0);
    CHECK_STR(world_lines(&world, "out"), "\"One.\"\n\"Two.\"\n");
    CHECK_EQ(world.stats.dead, 1);
    world_close(&world);
    run_plain(CHUNK("{on: json, path: .items}"), answers, 3, 0);
    CHECK_STR(world_lines(&world, "out"), "1\n{\"n\":2}\n3\n");
    CHECK_EQ(world.stats.dead, 1);
    world_close(&world);
}

TEST(pipeline_chunk_cuts_answers_into_records)
{
    in_sim(chunks);
}

/* --- more at once than a commit takes --- */

enum { MANY = 3000 };

static void windows_many(void)
{
    static struct letter many[MANY];
    static char bodies[MANY][16];

    for (int i = 0; i < MANY; i++) {
        (void)snprintf(bodies[i], sizeof bodies[i], "%d", i);
        many[i] = (struct letter){0, 0, NULL, bodies[i]};
    }
    run_plain(HEAD "  n: {from: in, aggregate: {by: ., every: 10s, lateness: 50s}}\n" TAIL, many, MANY, 100 * NS_SEC);
    CHECK_EQ(world.sunk_count, MANY);
    CHECK_EQ(world_count(&world, JOURNAL_STATES, "n"), 1);
    world_close(&world);
}

TEST(pipeline_windows_may_close_by_thousands_at_the_same_time)
{
    in_sim(windows_many);
}

/* --- the clock behind a gate --- */

static void gates_stop_the_clock(void)
{
    static const struct planned late[] = {{30 * NS_SEC, "1", "ann", true, NULL, GATE_APPROVED}};

    run_gates("pipeline: p\nversion: 1\ndeadline: 10s\nsources: {in: {files: {path: in.ndjson}}}\nnodes:\n"
              "  g: {from: in, gate: {channel: desk, expires: 1m, on_expire: skip, show: .n}}\n"
              "  n: {from: g, map: '{in_time: ($__deadline_ms > 5000)}'}\n" TAIL,
              late, 1, UINT64_MAX);
    CHECK_STR(world_lines(&world, "out"), "{\"in_time\":true}\n");
    world_close(&world);
}

TEST(pipeline_gate_stops_the_clock_of_the_deadline)
{
    in_sim(gates_stop_the_clock);
}
