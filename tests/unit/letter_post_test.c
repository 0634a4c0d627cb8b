/* letter_post_test.c - dead letters that go to a sink as well, through whole runs of a pipeline in virtual time. */
#include "pipeline/run/letters.h"
#include "pipeline/run/run.h"
#include "pipeline/run/shard.h"
#include "pipeline/spec/kind.h"

#include "unit/in_loop.h"
#include "unit/test.h"

#define BEGINNING                                                                                                      \
    "pipeline: p\n"                                                                                                    \
    "version: 2\n"                                                                                                     \
    "delivery: at_least_once\n"                                                                                        \
    "sources: {in: {files: {path: /in, follow: false}}}\n"                                                             \
    "nodes: {one: {from: in, map: '{one: (.n | tonumber)}'}}\n"                                                        \
    "sinks: {out: {from: one, file: /out}}\n"
static const char to_file[] = BEGINNING "errors: {dlq: {file: /dead}}\n";
static const char to_nobody[] = BEGINNING "errors: {dlq: {http: {post: 'http://127.0.0.1:9/dead'}}}\n";

static const char *file_text;
static struct sim_world *sim;
static struct pipeline_spec *spec;
static struct journal *j;
static struct arena arena;

static err_t read_file(const char *path, size_t max, struct buf *ret)
{
    (void)path;
    (void)max;
    return buf_add(ret, str_from_c(file_text));
}

static const struct config_env env = {.read_file = read_file};

static err_t in_world(void *arg)
{
    body_fn **body = arg;

    TRY(journal_open(
        &(struct journal_options){.kind = "memory", .traces_max = 100, .trace_age = NS_NEVER, .dead_age = NS_NEVER},
        &j));
    (*body)();
    journal_close(j);
    return OK;
}

static void with_lines(const char *text, struct str lines, body_fn *body)
{
    const struct pipeline_world world = {.env = &env};
    struct problems problems = {.arena = &arena};

    file_text = text;
    arena_init(&arena, SIZE_MAX);
    CHECK_OK(pipeline_load(STR("p.yaml"), NULL, &world, &problems, &spec));
    sim = sim_world_new(&(struct sim_options){.seed = test_seed()});
    sim_world_put_file(sim, "/in", lines.p, lines.n);
    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(sim)}, in_world, &body);
    sim_world_free(sim);
    pipeline_unref(spec);
    arena_release(&arena);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
}

static err_t run_shard(void *shard)
{
    return shard_run(shard);
}

/* Run it for so long, then cut it short; 0: to its end. */
static void run_for(ns_t span)
{
    struct shard *s = shard_new(&(struct shard_options){.spec = spec, .journal = j});
    err_t e = OK;

    if (span) {
        SCOPE(running, NS_NEVER);
        scope_discard_results(&running);
        scope_spawn(&running, "shard", run_shard, s);
        CHECK_OK(fiber_sleep_until(rt_now() + span));
        scope_cancel(&running);
        e = scope_wait_all(&running);
        e = e == E_CANCELLED ? OK : e;
    } else {
        e = shard_run(s);
    }
    shard_free(s);
    CHECK_MSG(e == OK, "the run failed: %s", err_detail(e));
}

static struct str dead(void)
{
    struct str bytes;

    return sim_world_look_file(sim, "/dead", &bytes) ? bytes : STR_NONE;
}

static size_t line_count(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    return n;
}

static size_t letters(struct dead_letter **ret)
{
    uint64_t after = 0;
    size_t count = 0;

    if (letters_page(j, &(struct letter_filter){0}, &after, &arena, ret, &count) != OK)
        test_fail_(__FILE__, __LINE__, "no letters: %s", err_detail(E_IO));
    return count;
}

/* The line is what people see of the letter. */
static void check_line(struct str line, const struct dead_letter *want)
{
    const struct json_tree *tree;
    struct dead_letter l;

    CHECK_OK(json_tree_parse(&arena, line, &tree));
    CHECK_OK(letter_take(json_tree_root(tree), &arena, &l));
    CHECK_STR(str_from_c(l.hex), want->hex);
    CHECK(str_eq(l.record, want->record) && str_eq(l.error, want->error) && str_eq(l.cause, want->cause));
}

static void sends_each_once(void)
{
    struct dead_letter *l;
    size_t count;

    run_for(0);
    CHECK_EQ(letters(&l), 2);
    struct str rest = dead();
    CHECK_EQ(line_count(rest), 2);
    check_line(str_cut(&rest, '\n'), &l[0]);
    check_line(str_cut(&rest, '\n'), &l[1]);
    run_for(0);
    CHECK_EQ(line_count(dead()), 2);
    CHECK_OK(letters_replay(j, l, 1, 0, &count)); /* it fails again, and that is told */
    run_for(0);
    CHECK_EQ(line_count(dead()), 3);
    CHECK(str_find(dead(), STR("\"replays\":1")) < dead().n);
    CHECK_EQ(letters(&l), 2);
}

TEST(letter_post_sends_each_letter_once_and_again_when_its_replay_fails)
{
    with_lines(to_file, STR("{\"n\":\"x\"}\n{\"n\":1}\n{\"n\":\"y\"}\n"), sends_each_once);
}

/* What is noted is sent by the next run, whose file says that it goes elsewhere. */
static void sends_later(void)
{
    const struct pipeline_world world = {.env = &env};
    struct problems problems = {.arena = &arena};
    struct dead_letter *l;

    run_for(3 * NS_SEC); /* nobody listens there: neither the messages nor the end wait for that */
    CHECK_EQ(letters(&l), 2);
    struct str out;
    CHECK(sim_world_look_file(sim, "/out", &out) && str_eq(out, STR("{\"one\":1}\n")));
    CHECK_OK(letters_drop(j, &l[1]));
    pipeline_unref(spec);
    file_text = to_file;
    CHECK_OK(pipeline_load(STR("p.yaml"), NULL, &world, &problems, &spec));
    run_for(0);
    CHECK_EQ(line_count(dead()), 1); /* what was dropped is dealt with */
    CHECK(str_find(dead(), str_from_c(l[0].hex)) < dead().n);
}

TEST(letter_post_waits_for_a_sink_that_is_down_and_holds_up_nothing)
{
    with_lines(to_nobody, STR("{\"n\":\"x\"}\n{\"n\":1}\n{\"n\":\"y\"}\n"), sends_later);
}

/* --- crashes --- */

static uint64_t waits_left; /* until the process dies; UINT64_MAX: it does not */
static struct scope *dying;
static bool has_died;

static void on_park(struct fiber *f)
{
    (void)f;
    if (!dying || waits_left-- != 0)
        return;
    has_died = true;
    journal_memory_stop(j, true); /* whatever fibers still do on their way out, a killed process does not */
    scope_cancel(dying);
    dying = NULL;
}

/* Run it until it ends, or dies. */
static void run_mortal(void)
{
    struct shard *s = shard_new(&(struct shard_options){.spec = spec, .journal = j});
    SCOPE(running, NS_NEVER);

    scope_discard_results(&running);
    has_died = false;
    dying = &running;
    scope_spawn(&running, "shard", run_shard, s);
    err_t e = scope_wait_all(&running);
    dying = NULL;
    shard_free(s);
    CHECK_MSG(e == OK || has_died, "the run failed: %s", err_detail(e));
}

/* The process dies, and the next one brings it to its end; one more has nothing to do. */
static SUSPENDS void live_and_die(void)
{
    struct dead_letter *l;

    fiber_set_park_hook(on_park);
    run_mortal();
    fiber_set_park_hook(NULL);
    if (has_died) {
        journal_memory_crash(j);
        journal_memory_stop(j, false);
        run_for(0);
    }
    CHECK_EQ(letters(&l), 2);
    run_for(0);
}

static void dies(void)
{
    live_and_die();
    CHECK_EQ(line_count(dead()), 2);
}

/* A sink that knows the number of the batch that it has, as databases do; a file is cut off instead. */
static struct {
    uint64_t seq;
    size_t count; /* letters */
} database;

static err_t open_database(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    *ret_applied = at->is_open && at->seq == database.seq;
    *ret_state = &database;
    return OK;
}

static SUSPENDS err_t apply_to_database(void *state, const struct batch *b)
{
    (void)state;
    TRY(fiber_sleep_until(rt_now() + NS_MS));
    if (b->seq != database.seq + 1)
        return fail(E_CONFLICT, "this is batch %llu, and %llu was the last", (unsigned long long)b->seq,
                    (unsigned long long)database.seq);
    database.seq = b->seq;
    database.count += b->count;
    return OK;
}

static void close_database(void *state)
{
    (void)state;
}

static void dies_with_database(void)
{
    static const struct sink_run run = {.open = open_database, .apply = apply_to_database, .close = close_database};
    static struct sink_kind kind; /* as long as the pipeline */

    kind = *spec->dlq->sink;
    kind.run = &run;
    database.seq = database.count = 0;
    spec->dlq->sink = &kind;
    live_and_die();
    CHECK_EQ(database.count, 2);
}

static void at_each_wait(body_fn *body)
{
    has_died = true;
    for (uint64_t at = 0; has_died && !test_failed(); at += test_step()) {
        waits_left = at;
        test_context("crash at wait %llu", (unsigned long long)at);
        with_lines(to_file, STR("{\"n\":\"x\"}\n{\"n\":1}\n{\"n\":\"y\"}\n"), body);
    }
    test_context("%s", "");
}

TEST(letter_post_sends_each_letter_once_whenever_the_process_dies)
{
    at_each_wait(dies);
    at_each_wait(dies_with_database);
}
