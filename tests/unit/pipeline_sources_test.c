/* pipeline_sources_test.c - the clock and files as sources, in virtual time: what is due is sent once, what grows is read once, over restarts. */
#include "pipe_world.h"

#define SINK                                                                                                           \
    "sinks:\n"                                                                                                         \
    "  out: {from: in, file: /out}\n"
#define PIPELINE(source) "pipeline: p\ndelivery: exactly_once\nsources:\n  in: {" source "}\n" SINK

/* What a process leaves that was killed before its first message: the partition is its own, and nothing is said of how far it was read. */
static SUSPENDS void claim_only(struct pipe_world *w)
{
    struct journal_op op = {.kind = JOURNAL_PROGRESS_CLAIM, .r = {.pipeline = STR("p"), .source = STR("in")}};

    CHECK_EQ(journal_commit(w->journal, &op, 1, JOURNAL_SYNC), OK);
}

/* ---- cron; the world begins at 2026-01-01 00:00 ---- */

PIPE_TEST(cron_sends_the_instants_that_are_due, PIPELINE("cron: {schedule: '*/10 * * * *'}"))
{
    run_for(w, 31 * 60 * NS_SEC);
    CHECK_STR(file(w, "/out"), "{\"due\":\"2026-01-01T00:10:00Z\"}\n{\"due\":\"2026-01-01T00:20:00Z\"}\n"
                               "{\"due\":\"2026-01-01T00:30:00Z\"}\n");
}

PIPE_TEST(cron_every_so_often_counts_from_1970, PIPELINE("cron: {every: 700ms, body: '$meta.timestamp'}"))
{
    run_for(w, 2 * NS_SEC);
    CHECK_EQ(1767225600700 % 700, 0);
    CHECK_STR(file(w, "/out"), "1767225600700\n1767225601400\n");
}

PIPE_TEST(cron_makes_up_for_the_last_one_that_was_missed, PIPELINE("cron: '0 * * * *'"))
{
    run_for(w, 90 * 60 * NS_SEC);
    CHECK_EQ(fiber_sleep_until(rt_now() + 5 * 3600 * NS_SEC), OK);
    run_for(w, 60 * NS_SEC);
    run_for(w, 60 * NS_SEC);
    CHECK_STR(file(w, "/out"), "{\"due\":\"2026-01-01T01:00:00Z\"}\n{\"due\":\"2026-01-01T06:00:00Z\"}\n");
}

PIPE_TEST(cron_makes_up_for_all_that_were_missed, PIPELINE("cron: {schedule: '0 * * * *', missed: all}"))
{
    run_for(w, 90 * 60 * NS_SEC);
    CHECK_EQ(fiber_sleep_until(rt_now() + 2 * 3600 * NS_SEC), OK);
    run_for(w, 60 * NS_SEC);
    CHECK_STR(file(w, "/out"), "{\"due\":\"2026-01-01T01:00:00Z\"}\n{\"due\":\"2026-01-01T02:00:00Z\"}\n"
                               "{\"due\":\"2026-01-01T03:00:00Z\"}\n");
}

PIPE_TEST(cron_skips_what_was_missed, PIPELINE("cron: {schedule: '0 * * * *', missed: skip}"))
{
    run_for(w, 90 * 60 * NS_SEC);
    CHECK_EQ(fiber_sleep_until(rt_now() + 2 * 3600 * NS_SEC), OK);
    run_for(w, 45 * 60 * NS_SEC);
    CHECK_STR(file(w, "/out"), "{\"due\":\"2026-01-01T01:00:00Z\"}\n{\"due\":\"2026-01-01T04:00:00Z\"}\n");
}

PIPE_TEST(cron_remembers_when_it_ran_first, PIPELINE("cron: '0 0 2 1 *'"))
{
    run_for(w, 60 * NS_SEC); /* killed before anything was due */
    CHECK_EQ(fiber_sleep_until(rt_now() + 36 * 3600 * NS_SEC), OK);
    run_for(w, 60 * NS_SEC);
    CHECK_STR(file(w, "/out"), "{\"due\":\"2026-01-02T00:00:00Z\"}\n");
}

PIPE_TEST(cron_of_a_process_that_was_killed_before_its_first_message_begins, PIPELINE("cron: {every: 1s}"))
{
    claim_only(w);
    run_for(w, 2500 * NS_MS);
    CHECK_EQ(count_in(w, "/out", "\n"), 2);
}

PIPE_TEST(cron_sends_each_instant_once_however_often_it_is_killed, PIPELINE("cron: {every: 1s, missed: all}"))
{
    for (int i = 0; i < 200; i++)
        run_for(w, (ns_t)sim_world_draw(w->sim, (uint64_t)(2 * NS_SEC)));
    run_for(w, NS_SEC);
    struct str text = file(w, "/out");
    size_t lines = count_in(w, "/out", "\n");
    CHECK(lines > 100);
    for (size_t i = 0; i < lines; i++) {
        struct str want =
            arena_printf(&w->arena, "{\"due\":\"2026-01-01T00:%02zu:%02zuZ\"}", (i + 1) / 60, (i + 1) % 60);
        struct str line = str_cut(&text, '\n');
        CHECK_MSG(str_eq(line, want), "%.*s", STR_ARG(line));
    }
}

PIPE_TEST(cron_whose_body_fails_leaves_a_dead_letter,
          PIPELINE("cron: {schedule: '0 * * * *', body: '[range(0; 1000000)]'}"))
{
    run_for(w, 61 * 60 * NS_SEC);
    CHECK_EQ(w->stats.dead, 1);
    CHECK_EQ(w->stats.roots, 0);
}

/* ---- files ---- */

PIPE_TEST(files_half_a_line_waits_for_its_end, PIPELINE("files: {path: '/log/*.ndjson'}"))
{
    put_file(w, "/log/a.ndjson", "{\"n\":1}\n{\"n\":");
    run_for(w, 5 * NS_SEC);
    CHECK_STR(file(w, "/out"), "{\"n\":1}\n");
    put_file(w, "/log/b.ndjson", "{\"n\":3}");
    run_for(w, 5 * NS_SEC);
    CHECK_STR(file(w, "/out"), "{\"n\":1}\n");
}

PIPE_TEST(files_to_their_end_take_in_the_last_line_without_one, PIPELINE("files: {path: '/log/?', follow: false}"))
{
    put_file(w, "/log/b", "2\n3");
    put_file(w, "/log/a", "1\r\n\n  \n");
    put_file(w, "/log/.c", "4\n");
    put_file(w, "/log/dd", "5\n");
    run_for(w, 60 * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_STR(file(w, "/out"), "1\n2\n3\n");
    run_for(w, 60 * NS_SEC);
    CHECK_STR(file(w, "/out"), "1\n2\n3\n");
}

PIPE_TEST(files_of_a_process_that_was_killed_before_its_first_message_are_read,
          PIPELINE("files: {path: /log, follow: false}"))
{
    put_file(w, "/log", "1\n2\n");
    claim_only(w);
    run_for(w, 60 * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_STR(file(w, "/out"), "1\n2\n");
}

PIPE_TEST(files_that_are_cut_off_are_read_from_their_beginning, PIPELINE("files: {path: /log, follow: false}"))
{
    put_file(w, "/log", "1\n2\n3\n");
    run_for(w, 60 * NS_SEC);
    put_file(w, "/log", "1\n4\n"); /* with the same first line */
    run_for(w, 60 * NS_SEC);
    CHECK_STR(file(w, "/out"), "1\n2\n3\n1\n4\n");
}

PIPE_TEST(files_that_are_not_there_end_a_source_that_does_not_follow,
          PIPELINE("files: {path: '/log/?', follow: false}"))
{
    run_for(w, 60 * NS_SEC);
    CHECK_EQ(w->result, E_NOT_FOUND);
}

PIPE_TEST(files_lines_that_are_too_long_are_dead_letters_with_their_beginning,
          PIPELINE("files: {path: /log, follow: false, max_line: 10}"))
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(4 << 20);

    CHECK_OK(buf_add(&text, STR("1234567890\n12345678901\n")));
    for (int i = 0; i < 1 << 20; i++)
        CHECK_OK(buf_add_char(&text, 'x'));
    CHECK_OK(buf_add(&text, STR("\n2\n")));
    sim_world_put_file(w->sim, "/log", text.p, text.n);
    run_for(w, 60 * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_STR(file(w, "/out"), "1234567890\n2\n");
    CHECK_EQ(w->stats.dead, 2);
    struct str dead = dead_letters(w);
    CHECK_MSG(dead.n > 32 * 1024 && dead.n < 33 * 1024, "%zu: %.*s", dead.n, 200, dead.p);
    CHECK(str_starts(dead, STR("TOO_LARGE in: the line is longer than max_line\n\"12345678901\"\n")));
}
