/* emit_test.c - the way out, in virtual time: what sinks refuse, what waits for more, and what is in hands when a partition is lost. */
#include "pipeline/run/shard_int.h"
#include "unit/pipeline_world.h"

#include <string.h>

#define HEAD "pipeline: p\nversion: 1\nsources: {in: {files: {path: in.ndjson}}}\n"

static struct world world;

static const struct letter letters[] = {{0, NS_NEVER, NULL, "1"},
                                        {NS_SEC, NS_NEVER, NULL, "\"bad\""},
                                        {2 * NS_SEC, NS_NEVER, NULL, "3"},
                                        {2 * NS_SEC, NS_NEVER, NULL, "4"}};

static SUSPENDS void open_world(const char *text, size_t letter_count)
{
    CHECK_OK(world_open(&world, text, NULL, 0));
    world.letters = letters;
    world.letter_count = letter_count;
}

/* The world's own copies of kinds are changed in place. */
static void set_sinks(const struct sink_run *run)
{
    for (uint16_t i = 0; i < world.spec->node_count; i++)
        if (world.spec->nodes[i]->role == PIPELINE_SINK)
            ((struct sink_kind *)world.spec->nodes[i]->sink)->run = run;
}

/* --- what is refused --- */

/* The items that are left, as a database would take them: with the batch's number, or not at all. */
static SUSPENDS err_t apply_left(void *state, const struct batch *b)
{
    struct batch_item left[16];
    struct batch some = {.seq = b->seq, .items = left};

    for (size_t i = 0; i < b->count && some.count < ARRAY_LEN(left); i++)
        if (b->items[i].refused == OK)
            left[some.count++] = b->items[i];
    return world_sink_apply(state, &some);
}

/* It finds out when it applies. */
static SUSPENDS err_t apply_unless_bad(void *state, const struct batch *b)
{
    size_t known = batch_refused(b);

    for (size_t i = 0; i < b->count; i++)
        if (str_eq(b->items[i].text, STR("\"bad\""))) {
            b->items[i].refused = E_CONFLICT;
            b->items[i].reason = STR("it is bad");
        }
    if (batch_refused(b) != known)
        return fail(E_CONFLICT, "some are bad");
    return apply_left(state, b);
}

static const struct sink_run refusing = {.open = world_sink_open, .apply = apply_unless_bad, .close = world_sink_close};

static void refuses_one(void)
{
    for (uint64_t at = 0;; at += test_step()) {
        open_world(HEAD "sinks: {out: {from: in, file: f, batch: {max: 10, linger: 3s}}}\n", ARRAY_LEN(letters));
        set_sinks(&refusing);
        world.waits_left = at;
        test_context("crash at wait %" PRIu64, at);
        CHECK_OK(world_run(&world));
        CHECK_STR(world_lines(&world, "out"), "1\n3\n4\n");
        CHECK_EQ(world_count(&world, JOURNAL_DEADS, ""), 1);
        bool is_over = world.crashes == 0;
        world_close(&world);
        if (is_over || test_failed())
            break;
    }
    test_context("%s", "");
}

TEST(emit_record_that_a_sink_refuses_late_is_a_dead_letter_whenever_the_process_dies)
{
    in_sim(refuses_one);
}

static void refuses_at_two(void)
{
    struct journal_query q = {.kind = JOURNAL_DEADS, .r = {.pipeline = STR("p")}};
    struct journal_page page;

    open_world(HEAD "sinks: {a: {from: in, file: f}, b: {from: in, file: g}}\n", 2);
    set_sinks(&refusing);
    CHECK_OK(world_run(&world));
    CHECK_OK(journal_read(world.journal, &q, &world.arena, &page));
    CHECK_EQ(page.count, 2);
    CHECK(!str_eq(page.records[0].node, page.records[1].node));
    world_close(&world);
}

TEST(emit_record_that_two_sinks_refuse_leaves_two_letters)
{
    in_sim(refuses_at_two);
}

/* --- what waits for more --- */

static SUSPENDS void check_batches(const char *text, const char *want)
{
    open_world(text, ARRAY_LEN(letters));
    CHECK_OK(world_run(&world));
    CHECK_STR(world_timed_lines(&world), want);
    world_close(&world);
}

static void lingers(void)
{
    check_batches(HEAD "sinks: {out: {from: in, file: f}}\n", "0.0 1\n1.0 \"bad\"\n2.0 3\n2.0 4\n");
    check_batches(HEAD "sinks: {out: {from: in, file: f, batch: {linger: 1500ms}}}\n",
                  "1.5 1\n1.5 \"bad\"\n3.5 3\n3.5 4\n");
    check_batches(HEAD "sinks: {out: {from: in, file: f, batch: {max: 2, linger: 5s}}}\n",
                  "1.0 1\n1.0 \"bad\"\n2.0 3\n2.0 4\n");
    check_batches(HEAD "sinks: {out: {from: in, file: f, batch: {max: 3, linger: 5s}}}\n",
                  "2.0 1\n2.0 \"bad\"\n2.0 3\n7.0 4\n");
}

TEST(emit_batch_waits_for_more_until_it_is_full_or_its_time_is_over)
{
    in_sim(lingers);
}

/* A text of 600 bytes. */
#define X60 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LONG "\"" X60 X60 X60 X60 X60 X60 X60 X60 X60 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""

static void lingers_for_bytes(void)
{
    static const struct letter long_ones[] = {{0, NS_NEVER, NULL, LONG},
                                              {NS_SEC, NS_NEVER, NULL, LONG},
                                              {2 * NS_SEC, NS_NEVER, NULL, LONG},
                                              {3 * NS_SEC, NS_NEVER, NULL, "1"}};

    for (unsigned traced = 0; traced <= 1; traced++) { /* whose size is known anyway */
        open_world(HEAD "sinks: {out: {from: in, file: f, batch: {bytes: 1KiB, linger: 5s}}}\n", 0);
        world.letters = long_ones;
        world.letter_count = ARRAY_LEN(long_ones);
        world.spec->journal = traced ? PIPELINE_JOURNAL_SYNC : PIPELINE_JOURNAL_NONE;
        CHECK_OK(world_run(&world));
        CHECK_STR(world_timed_lines(&world), "1.0 " LONG "\n1.0 " LONG "\n7.0 " LONG "\n7.0 1\n");
        world_close(&world);
    }
}

TEST(emit_batch_waits_for_no_more_when_it_has_all_the_bytes_that_it_may)
{
    in_sim(lingers_for_bytes);
}

static void set_source(const struct source_run *run)
{
    for (uint16_t i = 0; i < world.spec->node_count; i++)
        if (world.spec->nodes[i]->role == PIPELINE_SOURCE)
            ((struct source_kind *)world.spec->nodes[i]->source)->run = run;
}

static SUSPENDS err_t put_number(struct intake *in, uint64_t position, const char *body)
{
    const struct message m = {.position = position, .body = str_from_c(body), .at = rt_wall()};

    return intake_put(in, &m, 1, STR("12345678"));
}

/* The batch is open when the pipeline is told to stop, or has no room for a second message. */
static SUSPENDS err_t put_and_drain(struct intake *in, const struct pipeline_node *source)
{
    (void)source;
    TRY(put_number(in, 1, "1"));
    TRY(fiber_sleep_until(world.born + NS_SEC));
    shard_drain(in->shard);
    return fiber_sleep_until(NS_NEVER);
}

static SUSPENDS err_t put_without_room(struct intake *in, const struct pipeline_node *source)
{
    (void)source;
    in->shard->credit.roots_max = 1;
    TRY(put_number(in, 1, "1"));
    return put_number(in, 2, "2");
}

static void lingers_in_vain(void)
{
    static const struct source_run draining = {.run = put_and_drain}, crowded = {.run = put_without_room};

    open_world(HEAD "sinks: {out: {from: in, file: f, batch: {linger: 30s}}}\n", 0);
    set_source(&draining);
    CHECK_OK(world_run(&world));
    CHECK_STR(world_timed_lines(&world), "1.0 1\n");
    world_close(&world);
    open_world(HEAD "sinks: {out: {from: in, file: f, batch: {linger: 30s}}}\n", 0);
    set_source(&crowded);
    CHECK_OK(world_run(&world));
    CHECK_STR(world_timed_lines(&world), "0.0 1\n30.0 2\n");
    world_close(&world);
}

TEST(emit_batch_does_not_wait_when_nothing_more_can_come)
{
    in_sim(lingers_in_vain);
}

/* --- a partition that comes back --- */

static err_t lost_put; /* what a source was told that put messages of a partition which it had lost */
static ns_t claimed_again;

/* It loses its partition while the sink applies what came first, and is given it again. */
static SUSPENDS err_t lose_and_claim(struct intake *in, const struct pipeline_node *source)
{
    (void)source;
    TRY(intake_claim(in, 0));
    TRY(put_number(in, 1, "1"));
    TRY(fiber_sleep_until(world.born + NS_SEC));
    TRY(put_number(in, 2, "2"));
    intake_lose(in, 0);
    lost_put = put_number(in, 3, "3");
    TRY(intake_claim(in, 0));
    claimed_again = rt_now();
    TRY(put_number(in, 3, "3"));
    return intake_release(in, 0);
}

static SUSPENDS err_t apply_slowly(void *state, const struct batch *b)
{
    TRY(fiber_sleep_until(world.born + 10 * NS_SEC));
    return world_sink_apply(state, b);
}

static void loses_and_claims(void)
{
    static const struct source_run shared = {.run = lose_and_claim, .is_shared = true};
    static const struct sink_run slow = {.open = world_sink_open, .apply = apply_slowly, .close = world_sink_close};

    open_world(HEAD "sinks: {out: {from: in, file: f}}\n", 0);
    set_source(&shared);
    set_sinks(&slow);
    CHECK_OK(world_run(&world));
    CHECK_EQ(lost_put, E_FENCED);
    CHECK(claimed_again >= world.born + 10 * NS_SEC);
    CHECK_STR(world_lines(&world, "out"), "1\n2\n3\n");
    CHECK_EQ(world_count(&world, JOURNAL_ROOTS, ""), 0);
    world_close(&world);
}

TEST(emit_batch_under_way_when_its_partition_is_lost_is_not_repeated_when_it_comes_back)
{
    in_sim(loses_and_claims);
}
