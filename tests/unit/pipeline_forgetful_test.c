/*
 * pipeline_forgetful_test.c - `journal: none`: a source acknowledges what is done and nothing before, whatever is killed when; and nothing of it is in the
 * journal of the process.
 */
#include "pipeline/run/runner.h"
#include "unit/pipeline_world.h"

#define HEAD "pipeline: p\nversion: 1\ndelivery: at_least_once\njournal: none\n"
/* Each message comes to the sink at once, and again two seconds later. */
#define REST                                                                                                           \
    "sources: {in: {redis: s}}\nnodes:\n  a: {from: in, delay: 2s}\n  n: {from: [in, a], map: .}\n"                    \
    "sinks: {out: {from: n, redis: {key: o, as: list}}}\n"
#define PIPELINE HEAD REST

static struct world world;
static size_t acknowledged; /* messages, of a source that keeps what is not */
static size_t repeated;
static bool all_fail; /* they are done without coming to the sink */
static struct shard *running;

static const struct letter five[] = {{0, NS_NEVER, NULL, "1"},
                                     {NS_SEC, NS_NEVER, NULL, "2"},
                                     {2 * NS_SEC, NS_NEVER, NULL, "3"},
                                     {3 * NS_SEC, NS_NEVER, NULL, "4"},
                                     {4 * NS_SEC, NS_NEVER, NULL, "5"}};

/* How often the sink was given it: twice, where it has come once. */
static unsigned times(const char *text)
{
    unsigned n = 0;

    for (size_t i = 0; i < world.sunk_count; i++)
        n += strcmp(world.sunk[i].text, text) == 0;
    return n;
}

static void check_done(size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_MSG(times(world.letters[i].body) >= 2, "%zu is acknowledged, and not done", i + 1);
}

/* A broker's: it gives what was not acknowledged, and two at a time. */
static SUSPENDS err_t read_broker(struct intake *in, const struct pipeline_node *source UNUSED)
{
    while (acknowledged < world.letter_count) {
        struct message m[2] = {0};
        size_t n = 0;
        for (; n < 2 && acknowledged + n < world.letter_count; n++) {
            const struct letter *l = &world.letters[acknowledged + n];
            m[n] = (struct message){
                .position = acknowledged + n, .body = str_from_c(l->body), .at = world.born_wall + l->when};
            TRY(fiber_sleep_until(world.born + l->when));
        }
        TRY(intake_put(in, m, n, STR_NONE));
        TRY(intake_settled(in));
        acknowledged += n;
        if (world.spec->journal == PIPELINE_JOURNAL_NONE && !all_fail)
            check_done(acknowledged);
    }
    return OK;
}

static SUSPENDS void open_broker(const char *text)
{
    static const struct source_run broker = {.run = read_broker};
    static struct source_kind kind;

    CHECK_OK(world_open(&world, text, NULL, 0));
    for (uint16_t i = 0; i < world.spec->node_count; i++)
        if (world.spec->nodes[i]->role == PIPELINE_SOURCE) {
            kind = *world.spec->nodes[i]->source;
            kind.run = &broker;
            world.spec->nodes[i]->source = &kind;
        }
    world.letters = five;
    world.letter_count = ARRAY_LEN(five);
    acknowledged = 0;
}

/* One life, with nothing of those before. It ends well, unless it is killed, if it may be. */
static SUSPENDS void live(err_t (*meddle)(void *world), bool may_be_killed)
{
    const struct journal_options o = {.kind = "memory", .trace_age = NS_NEVER, .dead_age = NS_NEVER};
    unsigned crashes = world.crashes;

    journal_close(world.journal);
    CHECK_OK(journal_open(&o, &world.journal));
    struct shard *shard = shard_new(&(struct shard_options){.spec = world.spec, .journal = world.journal});
    running = shard;
    world.has_ended = false;
    world.meddle = meddle;
    fiber_set_park_hook(world_on_park);
    err_t e = world_once(&world, shard);
    fiber_set_park_hook(NULL);
    shard_stats(shard, &world.stats);
    shard_free(shard);
    bool is_killed = world.crashes != crashes;
    CHECK(may_be_killed || !is_killed);
    CHECK(is_killed || e == OK);
}

/* Killed at each wait in turn, until one is behind the last: how many waits there are is drawn anew each time. */
static void loses_nothing(void)
{
    uint64_t at = 0;

    for (bool was_killed = true; was_killed; at += test_step()) {
        open_broker(PIPELINE);
        world.waits_left = at;
        test_context("crash at wait %" PRIu64, at);
        live(NULL, true);
        was_killed = world.crashes > 0;
        if (was_killed)
            live(NULL, false);
        CHECK_EQ(acknowledged, ARRAY_LEN(five));
        for (size_t i = 0; i < ARRAY_LEN(five); i++)
            repeated += times(five[i].body) > 2;
        world_close(&world);
    }
    test_context("%s", "");
    CHECK_GT(at, 50);
    CHECK_GT(repeated, 0); /* else nobody was killed between the sink and the acknowledgement */
}

TEST(pipeline_without_a_journal_acknowledges_what_is_done_and_loses_nothing)
{
    in_sim(loses_nothing);
}

/* --- the end --- */

static size_t acknowledged_before;

static SUSPENDS err_t drain(void *w UNUSED)
{
    TRY(fiber_sleep_until(world.born + 1500 * NS_MS));
    acknowledged_before = acknowledged;
    shard_drain(running);
    return OK;
}

static void acknowledges_last(void)
{
    open_broker(PIPELINE);
    live(drain, false);
    CHECK_EQ(acknowledged_before, 0);
    CHECK_EQ(acknowledged, 2); /* what was under way */
    CHECK_EQ(world.sunk_count, 4);
    world_close(&world);
}

TEST(pipeline_without_a_journal_that_is_drained_acknowledges_what_it_finishes)
{
    in_sim(acknowledges_last);
}

static SUSPENDS err_t cut(void *w UNUSED)
{
    TRY(drain(w));
    TRY(fiber_sleep_until(world.born + 1600 * NS_MS));
    scope_cancel(world.running);
    world.crashes++;
    return OK;
}

static void ends_when_cut(void)
{
    open_broker(PIPELINE);
    live(cut, true);
    CHECK_EQ(world.crashes, 1);
    CHECK_EQ(acknowledged, 0);
    CHECK_LE(rt_now() - world.born, 1700 * NS_MS);
    world_close(&world);
}

TEST(pipeline_without_a_journal_that_is_cut_short_acknowledges_nothing_and_ends)
{
    in_sim(ends_when_cut);
}

/* --- what is given up --- */

static void given_up(void)
{
    open_broker(HEAD "sources: {in: {redis: s}}\nnodes: {n: {from: in, map: '. + \"x\"'}}\n"
                     "sinks: {out: {from: n, redis: {key: o, as: list}}}\n");
    all_fail = true;
    live(NULL, false);
    all_fail = false;
    CHECK_EQ(world.stats.dead, ARRAY_LEN(five));
    CHECK_EQ(world_count(&world, JOURNAL_DEADS, NULL), 0);
    world_close(&world);
}

TEST(pipeline_without_a_journal_has_no_dead_letters_that_nobody_would_find)
{
    in_sim(given_up);
}

/* --- the journal of the process --- */

static SUSPENDS size_t count_progress(void)
{
    const struct journal_query q = {.kind = JOURNAL_PROGRESS, .r = {.pipeline = world.spec->name, .source = STR("in")}};
    struct journal_page page;

    return journal_read(world.journal, &q, &world.arena, &page) == OK ? page.count : SIZE_MAX;
}

/* Run it as a process does: rows that are in its journal then. */
static SUSPENDS void rows_after(const char *text, size_t *ret)
{
    open_broker(text);
    const struct pipeline_set set = {.items = &world.spec, .count = 1};
    struct runner *r = runner_new(&(struct runner_options){.journal = world.journal, .loops = 1, .ends = true});

    runner_install(r, &set);
    CHECK_OK(runner_run(r));
    runner_free(r);
    CHECK_EQ(acknowledged, ARRAY_LEN(five));
    CHECK_EQ(world.sunk_count, 2 * ARRAY_LEN(five));
    *ret = count_progress() + world_count(&world, JOURNAL_TRACES, NULL) + world_count(&world, JOURNAL_INTENTS, NULL);
    world_close(&world);
}

static void keeps_nothing(void)
{
    size_t with = 0, without = 0;

    rows_after("pipeline: p\nversion: 1\n" REST, &with);
    rows_after(PIPELINE, &without);
    CHECK_GT(with, 5);
    CHECK_EQ(without, 0);
}

TEST(pipeline_without_a_journal_leaves_nothing_in_the_journal_of_the_process)
{
    in_sim(keeps_nothing);
}
