/* letters_test.c - dead letters through whole runs of a pipeline, in virtual time: which records are tried again, when, and what is left alone. */
#include "pipeline/run/letters.h"

#include "pipeline/run/shard.h"
#include "pipeline/run/traces.h"
#include "pipeline/run/version.h"
#include "store/journal_int.h"
#include "unit/in_loop.h"
#include "unit/test.h"

static const char text[] = "pipeline: p\n"
                           "version: 2\n"
                           "delivery: at_least_once\n"
                           "sources: {in: {files: {path: /in, follow: false}}}\n"
                           "nodes:\n"
                           "  one: {from: in, map: '{one: (.n | tonumber)}'}\n"
                           "  two: {from: in, map: '{two: (.n | tonumber)}'}\n"
                           "sinks: {out: {from: [one, two], file: /out}}\n";

/* One branch takes a while, so that the message is still under way when the other has failed. */
static const char slow_text[] = "pipeline: p\n"
                                "version: 2\n"
                                "delivery: at_least_once\n"
                                "sources: {in: {files: {path: /in}}}\n"
                                "nodes:\n"
                                "  one: {from: in, map: '{one: (.n | tonumber)}'}\n"
                                "  late: {from: in, delay: {for: 10s}}\n"
                                "sinks: {out: {from: one, file: /out}, end: {from: late, file: /end}}\n";

static const char *file_text = text;
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

/* Run `body` in a world with these lines to read. */
static void with_lines(struct str lines, body_fn *body)
{
    const struct pipeline_world world = {.env = &env};
    struct problems problems = {.arena = &arena};

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

/* One run, to its end; how long it took. */
static ns_t run(void)
{
    struct shard *s = shard_new(&(struct shard_options){.spec = spec, .journal = j});
    ns_t from = rt_now();
    err_t e = shard_run(s);

    shard_free(s);
    if (e != OK)
        test_fail_(__FILE__, __LINE__, "the run failed: %s", err_detail(e));
    return rt_now() - from;
}

static size_t letters(struct dead_letter **ret)
{
    uint64_t after = 0;
    size_t count = 0;

    if (letters_page(j, &(struct letter_filter){0}, &after, &arena, ret, &count) != OK)
        test_fail_(__FILE__, __LINE__, "no letters: %s", err_detail(E_IO));
    return count;
}

static struct str out(void)
{
    struct str bytes;

    return sim_world_look_file(sim, "/out", &bytes) ? bytes : STR_NONE;
}

static void replay(const struct dead_letter *l, size_t n, ns_t interval, size_t want)
{
    size_t count;

    CHECK_OK(letters_replay(j, l, n, interval, &count));
    CHECK_EQ(count, want);
}

static void fails_at_both(void)
{
    struct dead_letter *l;

    (void)run();
    CHECK_EQ(letters(&l), 2);
    CHECK_STR(l[0].node, "one");
    CHECK_STR(l[1].node, "two");
    CHECK_STR(l[0].cause, "PARSE");
    CHECK_STR(l[0].record, "{\"n\":\"x\"}");
    CHECK(l[0].fingerprint.n && str_eq(l[0].fingerprint, l[1].fingerprint));
    CHECK_EQ(l[0].version, 2);
    CHECK_STR(l[0].source, "in");
    CHECK_STR(l[0].key, "/in");
    CHECK(l[0].at >= l[0].sent_at && l[0].sent_at > 0 && !l[0].is_replayed);
    CHECK_EQ(out().n, 0);
}

TEST(letter_is_of_one_record_at_one_node)
{
    with_lines(STR("{\"n\":\"x\"}\n"), fails_at_both);
}

/* The trace of that root says so. */
static void check_trace(const struct journal_id *root, const char *want)
{
    struct root_trace t;
    char hex[2 * sizeof root->b];

    hex_encode(hex, root->b, sizeof root->b);
    CHECK_OK(traces_find(j, str_of(hex, sizeof hex), &arena, &t));
    CHECK_MSG(str_find(t.json, str_from_c(want)) < t.json.n, "%.*s", STR_ARG(t.json));
}

static void drops_one(void)
{
    struct dead_letter *l;

    (void)run();
    CHECK_EQ(letters(&l), 2);
    CHECK_OK(letters_edit(j, &l[0], STR("{\"n\": 1}")));
    CHECK_OK(letters_edit(j, &l[1], STR("{\"n\": 2}")));
    CHECK_OK(letters_drop(j, &l[1]));
    replay(&l[0], 1, 0, 1);
    struct journal_id root = l[0].root;
    (void)run();
    CHECK_STR(out(), "{\"one\":1}\n");
    CHECK_EQ(letters(&l), 0);
    check_trace(&root, "\"failed\":0,\"records\":4"); /* what was dropped has not failed */
    (void)run();
    CHECK_STR(out(), "{\"one\":1}\n");
}

TEST(letter_that_is_dropped_stays_so_when_another_of_its_root_is_replayed)
{
    with_lines(STR("{\"n\":\"x\"}\n"), drops_one);
}

static void leaves_the_other(void)
{
    struct dead_letter *l;

    (void)run();
    CHECK_EQ(letters(&l), 2);
    CHECK_OK(letters_edit(j, &l[1], STR("{\"n\": 2}")));
    replay(&l[1], 1, 0, 1);
    (void)run();
    CHECK_STR(out(), "{\"two\":2}\n");
    CHECK_EQ(letters(&l), 1);
    CHECK_STR(l[0].node, "one");
    CHECK_EQ(l[0].replays, 0);
    CHECK_OK(letters_edit(j, &l[0], STR("{\"n\": 1}")));
    replay(l, 1, 0, 1);
    (void)run();
    CHECK_STR(out(), "{\"two\":2}\n{\"one\":1}\n"); /* what the sink took is not sent again */
}

TEST(letter_is_replayed_by_itself)
{
    with_lines(STR("{\"n\":\"x\"}\n"), leaves_the_other);
}

static void comes_slowly(void)
{
    struct dead_letter *l;
    size_t n;

    (void)run();
    n = letters(&l);
    CHECK_EQ(n, 6);
    for (size_t i = 0; i < n; i++)
        CHECK_OK(letters_edit(j, &l[i], STR("{\"n\": 0}")));
    replay(l, n, 10 * NS_SEC, n);
    ns_t took = run();
    /* The last letter's turn is 50 s after the command; those of one root come with the later one of the two. */
    CHECK_MSG(took > 39 * NS_SEC && took < 51 * NS_SEC, "it took %lld ms", (long long)(took / NS_MS));
    CHECK_EQ(letters(&l), 0);
    CHECK_EQ(out().n, 3 * sizeof "{\"one\":0}" + 3 * sizeof "{\"two\":0}");
}

TEST(letters_are_replayed_so_many_a_second)
{
    with_lines(STR("{\"n\":\"x\"}\n{\"n\":\"y\"}\n{\"n\":\"z\"}\n"), comes_slowly);
}

static void counts(void)
{
    struct dead_letter *l, one;
    char start[LETTER_ID_SHORTEST];

    (void)run();
    CHECK_EQ(letters(&l), 2);
    for (unsigned i = 1; i <= 3; i++) {
        replay(l, 1, 0, 1);
        CHECK_OK(letters_find(j, str_from_c(l[0].hex), &arena, &one));
        CHECK(one.is_replayed);
        (void)run();
        CHECK_OK(letters_find(j, str_from_c(l[0].hex), &arena, &one));
        CHECK_EQ(one.replays, i);
        CHECK(!one.is_replayed);
    }
    memcpy(start, l[0].hex, sizeof start);
    CHECK_OK(letters_find(j, str_of(start, sizeof start), &arena, &one));
    CHECK_STR(str_from_c(one.hex), l[0].hex);
    CHECK_ERR(letters_find(j, STR("abc"), &arena, &one), E_PARSE);
    CHECK_ERR(letters_find(j, STR("ABCD"), &arena, &one), E_PARSE);
    CHECK_ERR(letters_find(j, STR("00000000000000000000000000000000"), &arena, &one), E_NOT_FOUND);
    CHECK_ERR(letters_edit(j, &l[0], STR("{")), E_PARSE);
}

TEST(letter_that_fails_again_says_how_often)
{
    with_lines(STR("{\"n\":\"x\"}\n"), counts);
}

static SUSPENDS err_t run_shard(void *shard)
{
    return shard_run(shard);
}

static void pass(ns_t span)
{
    CHECK_OK(fiber_sleep_until(rt_now() + span));
}

static void replay_while_it_runs(struct shard *s)
{
    struct dead_letter *l;

    pass(2 * NS_SEC);
    CHECK_EQ(letters(&l), 1);
    CHECK_OK(letters_edit(j, &l[0], STR("{\"n\": 1}")));
    replay(l, 1, 0, 1);
    shard_replay(s, &l[0].root);
    pass(3 * NS_SEC);
    CHECK_EQ(out().n, 0); /* its message is under way, and goes on undisturbed */
    pass(10 * NS_SEC);
    CHECK_STR(out(), "{\"one\":1}\n");
    CHECK_EQ(letters(&l), 0);
    shard_replay(s, &(struct journal_id){{1}}); /* nobody's */
    pass(NS_SEC);
}

static void replays_at_once(void)
{
    struct shard *s = shard_new(&(struct shard_options){.spec = spec, .journal = j});
    SCOPE(running, NS_NEVER);

    scope_spawn(&running, "shard", run_shard, s);
    replay_while_it_runs(s);
    shard_drain(s);
    CHECK_OK(scope_wait_all(&running));
    shard_free(s);
}

TEST(letter_is_replayed_by_a_shard_that_runs_when_its_message_is_parked)
{
    file_text = slow_text;
    with_lines(STR("{\"n\":\"x\"}\n"), replays_at_once);
    file_text = text;
}

/* A way to the journal that says that other processes have it open. */
static SUSPENDS err_t pass_commit(struct journal *base, struct journal_op *ops, size_t n, enum journal_durability d)
{
    (void)base;
    return j->kind->commit(j, ops, n, d);
}

static SUSPENDS err_t pass_read(struct journal *base, const struct journal_query *q, struct arena *a,
                                struct journal_page *ret)
{
    (void)base;
    return j->kind->read(j, q, a, ret);
}

static const struct journal_kind shared_kind = {
    .name = "shared", .is_shared = true, .commit = pass_commit, .read = pass_read};

static size_t notes(void)
{
    const struct journal_query q = {.kind = JOURNAL_STATES, .r = {.pipeline = STR("p"), .node = STR(".replays")}};
    struct journal_page page;

    return journal_read(j, &q, &arena, &page) == OK ? page.count : SIZE_MAX;
}

/* Nobody tells the shard anything. */
static void replay_elsewhere(struct journal *shared)
{
    struct dead_letter *l, other;
    size_t count;

    pass(2 * NS_SEC);
    CHECK_EQ(letters(&l), 1);
    CHECK_OK(letters_edit(j, &l[0], STR("{\"n\": 1}")));
    pass(10 * NS_SEC); /* its message has ended, but for the letter */
    CHECK_OK(letters_replay(shared, l, 1, 0, &count));
    CHECK_EQ(count, 1);
    CHECK_EQ(notes(), 1);
    pass(2500 * NS_MS);
    CHECK_STR(out(), "{\"one\":1}\n");
    CHECK_EQ(letters(&l), 0);
    CHECK_EQ(notes(), 0);
    other = (struct dead_letter){.pipeline = STR("q")}; /* of a root that is nowhere: no note */
    CHECK_OK(letters_replay(shared, &other, 1, 0, &count));
    CHECK_EQ(count, 0);
    CHECK_EQ(notes(), 0);
}

static void replays_of_another_process(void)
{
    struct journal shared = {.kind = &shared_kind};
    struct shard *s = shard_new(&(struct shard_options){.spec = spec, .journal = &shared});
    SCOPE(running, NS_NEVER);

    scope_spawn(&running, "shard", run_shard, s);
    replay_elsewhere(&shared);
    shard_drain(s);
    CHECK_OK(scope_wait_all(&running));
    shard_free(s);
}

TEST(letter_that_another_process_replays_is_tried_within_seconds)
{
    file_text = slow_text;
    with_lines(STR("{\"n\":\"x\"}\n"), replays_of_another_process);
    file_text = text;
}

static void note_outlives_its_shard(void)
{
    struct journal shared = {.kind = &shared_kind};
    struct dead_letter *l;
    size_t count;

    (void)run();
    CHECK_EQ(letters(&l), 2);
    CHECK_OK(letters_edit(j, &l[0], STR("{\"n\": 1}")));
    CHECK_OK(letters_replay(&shared, l, 1, 0, &count));
    CHECK_EQ(notes(), 1);
    struct shard *s = shard_new(&(struct shard_options){.spec = spec, .journal = &shared});
    CHECK_OK(shard_run(s)); /* reads the root with all that the journal has, and the note then */
    shard_free(s);
    CHECK_STR(out(), "{\"one\":1}\n");
    CHECK_EQ(notes(), 0);
}

TEST(letter_that_was_replayed_by_nobody_who_ran_leaves_no_note)
{
    with_lines(STR("{\"n\":\"x\"}\n"), note_outlives_its_shard);
}

static void run_until_drained(struct shard *s, void (*meanwhile)(struct shard *s))
{
    SCOPE(running, NS_NEVER);

    scope_spawn(&running, "shard", run_shard, s);
    meanwhile(s);
    shard_drain(s);
    CHECK_OK(scope_wait_all(&running));
    shard_free(s);
}

static void take_in(struct shard *s)
{
    (void)s;
    pass(12 * NS_SEC);
}

static void replay_in_its_own_version(struct shard *s)
{
    struct dead_letter *l;
    size_t count;

    pass(NS_SEC);
    CHECK_EQ(letters(&l), 1);
    CHECK_OK(letters_edit(j, &l[0], STR("{\"n\": 1}")));
    CHECK_ERR(letters_replay_original(j, l, 1, &count), E_NOT_FOUND);
    CHECK_OK(version_keep(j, spec));
    CHECK_OK(letters_replay_original(j, l, 1, &count));
    CHECK_EQ(count, 1);
    CHECK_ERR(letters_replay_original(j, l, 1, &count), E_CONFLICT);
    shard_replay(s, &l[0].root); /* told, the present version leaves it alone */
    pass(5 * NS_SEC);
    CHECK_EQ(out().n, 0);
}

static void waits_for_its_version(void)
{
    const struct pipeline_world world = {.env = &env};
    struct problems problems = {.arena = &arena};
    struct pipeline_spec *next;
    struct str third = arena_printf(&arena, "%s# another\n", slow_text);

    run_until_drained(shard_new(&(struct shard_options){.spec = spec, .journal = j}), take_in);
    file_text = third.p;
    CHECK_OK(pipeline_load(STR("p.yaml"), NULL, &world, &problems, &next));
    run_until_drained(shard_new(&(struct shard_options){.spec = next, .journal = j}), replay_in_its_own_version);
    pipeline_unref(next);
    struct shard *s = shard_new(&(struct shard_options){.spec = spec, .journal = j, .only_finishes = true});
    CHECK_OK(shard_run(s));
    shard_free(s);
    CHECK_STR(out(), "{\"one\":1}\n");
}

TEST(letter_that_waits_for_its_own_version_is_left_alone_by_the_present_one)
{
    file_text = slow_text;
    with_lines(STR("{\"n\":\"x\"}\n"), waits_for_its_version);
    file_text = text;
}

static void is_read_back(void)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(4096);
    struct json_out o = json_out_to(&to);
    struct dead_letter *l, back;
    const struct json_tree *tree;

    (void)run();
    CHECK_EQ(letters(&l), 2);
    CHECK_OK(letters_edit(j, &l[0], STR("{\"n\": 1}")));
    CHECK_OK(letters_find(j, str_from_c(l[0].hex), &arena, &l[0]));
    letter_put(&l[0], &o);
    CHECK_OK(json_tree_parse(&arena, buf_str(&to), &tree));
    CHECK_OK(letter_take(json_tree_root(tree), &arena, &back));
    CHECK(memcmp(&back.id, &l[0].id, sizeof back.id) == 0 && memcmp(&back.root, &l[0].root, sizeof back.root) == 0);
    CHECK_STR(str_from_c(back.hex), l[0].hex);
    CHECK_STR(back.edited, "{\"n\": 1}");
    CHECK_STR(back.record, "{\"n\":\"x\"}");
    CHECK(str_eq(back.error, l[0].error) && str_eq(back.fingerprint, l[0].fingerprint) &&
          str_eq(back.digest, l[0].digest) && str_eq(back.key, l[0].key));
    CHECK(back.at == l[0].at && back.sent_at == l[0].sent_at && back.version == 2 && !back.is_replayed);
    CHECK_ERR(letter_take(JSON_ABSENT, &arena, &back), E_PARSE);
}

TEST(letter_is_read_back_from_what_is_written_of_it)
{
    with_lines(STR("{\"n\":\"x\"}\n"), is_read_back);
}

static void is_gone(void)
{
    struct dead_letter *l;
    struct letter_kept kept;

    (void)run();
    CHECK_EQ(letters(&l), 2);
    CHECK_OK(letters_edit(j, &l[0], STR("{\"n\": 1}")));
    CHECK_OK(letters_kept(j, &l[0], &kept));
    CHECK_EQ(kept.steps, 0); /* an edit is no output */
    CHECK_OK(letters_drop(j, &l[0]));
    CHECK_OK(letters_drop(j, &l[1]));
    replay(l, 2, 0, 0); /* nothing is left to be tried */
    CHECK_OK(letters_drop(j, &l[1]));
    CHECK_ERR(letters_edit(j, &l[0], STR("{}")), E_NOT_FOUND);
    (void)run();
    CHECK_EQ(out().n, 0);
}

static void are_words(void)
{
    struct journal_op op = {.kind = JOURNAL_DEAD_PUT,
                            .r = {.id = {{1}},
                                  .root = {{1}},
                                  .pipeline = STR("p"),
                                  .node = STR("in"),
                                  .cause = STR("POISON"),
                                  .body = {.form = 4, .bytes = STR("it kills")}}};
    struct dead_letter *l;

    CHECK_OK(journal_commit(j, &op, 1, JOURNAL_SYNC));
    CHECK_EQ(letters(&l), 1);
    CHECK_STR(l[0].error, "it kills");
    CHECK(!l[0].record.p && l[0].version == 0);
}

TEST(letter_of_a_message_that_never_became_a_record_is_its_words)
{
    with_lines(STR(""), are_words);
}

TEST(letters_that_are_all_dropped_leave_nothing)
{
    with_lines(STR("{\"n\":\"x\"}\n"), is_gone);
}
