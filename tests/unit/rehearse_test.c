/* rehearse_test.c - samples of former days through a candidate: what is told of what comes out otherwise. */
#include "pipeline/trial/rehearse.h"
#include "test.h"

#include <stdio.h>

enum { MESSAGES = 200 };

static const char head[] = "pipeline: p\nsources: {in: {files: {path: /x, follow: false}}}\n";
static const char sinks[] = "sinks: {out: {from: made, sqlite: {file: /y, table: t}}}\n";

struct stage {
    struct arena arena;
    struct impacts impacts;
    struct rehearsal result;
    struct str traces[MESSAGES];
};

static struct stage stage;

/* Message i is {"i":i,"n":i % 10}; then, `ask` was given it and said {"label":"a" or "bb"}, and the sink got {"label":…,"n":…}. */
static void make_traces(void)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        const char *label = i % 2 ? "a" : "bb";
        stage.traces[i] =
            arena_printf(&stage.arena,
                         "{\"version\":1,\"source\":\"in\",\"key\":\"k\",\"took_us\":1000,\"failed\":0,\"sampled\":"
                         "true,\"cut\":false,"
                         "\"headers\":[[\"h\",\"v%u\"]],\"steps\":["
                         "{\"node\":\"in\",\"end\":\"ok\",\"took_us\":0,\"record\":{\"i\":%u,\"n\":%u}},"
                         "{\"node\":\"ask\",\"end\":\"ok\",\"took_us\":500,\"record\":{\"i\":%u,\"n\":%u},\"outputs\":["
                         "[-1,{\"label\":\"%s\"}]]},"
                         "{\"node\":\"made\",\"end\":\"ok\",\"took_us\":0,\"record\":{\"label\":\"%s\"}},"
                         "{\"node\":\"out\",\"end\":\"ok\",\"took_us\":0,\"record\":{\"label\":\"%s\",\"n\":%u}}]}",
                         i, i, i % 10, i, i % 10, label, label, label, i % 10);
    }
}

/* The candidate's nodes are these. */
static void run(const char *nodes, bool is_exact)
{
    char file[2048];

    stage = (struct stage){.impacts = {.arena = &stage.arena}};
    arena_init(&stage.arena, SIZE_MAX);
    make_traces();
    (void)snprintf(file, sizeof file, "%s%s%s", head, nodes, sinks);
    const struct pipeline_text text = {STR("p.yaml"), str_from_c(file)};
    const struct pipeline_world world = {.env = config_env_real(), .texts = &text, .text_count = 1};
    struct problems problems = {.arena = &stage.arena};
    struct pipeline_spec *spec = NULL;
    err_t loaded = pipeline_load(STR("p.yaml"), NULL, &world, &problems, &spec);
    if (problems.count)
        (void)printf("# %.*s\n", STR_ARG(problems.items[0].text));
    CHECK_OK(loaded);
    const struct rehearsal_options o = {.seed = test_seed(), .alpha = 0.01, .is_exact = is_exact};
    err_t e = rehearse(spec, &world, stage.traces, MESSAGES, &o, &stage.impacts, &stage.result);
    pipeline_unref(spec);
    CHECK_OK(e);
    for (size_t i = 0; i < stage.impacts.count; i++)
        (void)printf("# %s %.*s: %.*s %.*s\n", impact_weight_name(stage.impacts.items[i].weight),
                     STR_ARG(stage.impacts.items[i].where), STR_ARG(stage.impacts.items[i].text),
                     STR_ARG(stage.impacts.items[i].document));
}

static const struct impact *find(enum impact_weight weight, const char *where, const char *text)
{
    for (size_t i = 0; i < stage.impacts.count; i++) {
        const struct impact *at = &stage.impacts.items[i];
        if (at->weight == weight && str_eq(at->where, str_from_c(where)) &&
            str_find(at->text, str_from_c(text)) < at->text.n)
            return at;
    }
    return NULL;
}

#define ASK "  ask: {from: in, http: {post: 'http://h/', body: '{n: .n}'}}\n"
#define JOIN(made) "nodes:\n" ASK "  both: {join: [in, ask], by: root}\n  made: {from: both, map: '" made "'}\n"

TEST(rehearse_of_what_does_the_same_finds_nothing_and_asks_nobody)
{
    run(JOIN("{label: .ask.label, n: .in.n}"), true);
    CHECK_EQ(stage.result.messages, MESSAGES);
    CHECK_EQ(stage.result.compared, MESSAGES);
    CHECK_EQ(stage.result.unasked, 0);
    CHECK_GT(stage.result.tests, 1);
    CHECK_EQ(stage.impacts.count, 0);
    arena_release(&stage.arena);
}

TEST(rehearse_tells_what_a_sink_gets_otherwise_with_an_example)
{
    run(JOIN("{label: .ask.label, n: (.in.n + if .in.i == 7 then 1 else 0 end)}"), false);
    const struct impact *i = find(IMPACT_NOTE, "sink out", "something else for 1 of 200");
    CHECK(i != NULL);
    CHECK_STR(i->document, "{\"then\":[{\"label\":\"a\",\"n\":7}],\"now\":[{\"label\":\"a\",\"n\":8}]}");
    CHECK_EQ(stage.impacts.breaks, 0); /* one of two hundred is no drift */
    arena_release(&stage.arena);
    run(JOIN("{label: .ask.label, n: (.in.n + if .in.i == 7 then 1 else 0 end)}"), true);
    CHECK(find(IMPACT_BREAKS, "sink out", "something else for 1 of 200") != NULL);
    arena_release(&stage.arena);
}

TEST(rehearse_finds_values_numbers_and_members_that_are_distributed_otherwise)
{
    run(JOIN("{label: (if .in.n < 9 then \"a\" else \"bb\" end), n: .in.n}"), false);
    CHECK(find(IMPACT_BREAKS, "sink out", ".label: its values are") != NULL);
    CHECK(find(IMPACT_BREAKS, "sink out", "(length)") == NULL); /* of a few values they say it all */
    CHECK(find(IMPACT_BREAKS, "sink out", ".n:") == NULL);
    arena_release(&stage.arena);
    run(JOIN("{label: .ask.label, n: (.in.i / 7)}"), false);
    CHECK(find(IMPACT_BREAKS, "sink out", ".n: its numbers are") != NULL);
    CHECK(find(IMPACT_BREAKS, "sink out", ".label:") == NULL);
    arena_release(&stage.arena);
    run(JOIN("if .in.n < 5 then {label: .ask.label} else {label: .ask.label, n: .in.n} end"), false);
    CHECK(find(IMPACT_BREAKS, "sink out", ".n: it is there more or less often") != NULL);
    arena_release(&stage.arena);
}

TEST(rehearse_tells_who_fails_and_who_asks_otherwise)
{
    run(JOIN("{label: .ask.label, n: (.in.n + (if .in.i % 4 == 0 then .ask.label else 0 end))}"), false);
    CHECK(find(IMPACT_BREAKS, "node made", "fails for 50 of 200") != NULL);
    arena_release(&stage.arena);
    run("nodes:\n  other: {from: in, map: '{i: (if .i < 30 then -1 else .i end), n: .n}'}\n"
        "  ask: {from: other, http: {post: 'http://h/', body: .}}\n  both: {join: [in, ask], by: root}\n"
        "  made: {from: both, map: '{label: .ask.label, n: .in.n}'}\n",
        false);
    const struct impact *i = find(IMPACT_UNKNOWN, "node ask", "asks otherwise than then for 30");
    CHECK(i != NULL);
    CHECK_STR(i->document, "{\"i\":-1,\"n\":0}");
    CHECK_EQ(stage.result.unasked, 30);
    CHECK_EQ(stage.result.compared, MESSAGES - 30);
    CHECK_EQ(stage.impacts.breaks, 0);
    arena_release(&stage.arena);
}

TEST(rehearse_gives_messages_their_keys_and_headers)
{
    run(JOIN("{label: .ask.label, n: (if $meta.key == \"k\" and $meta.headers.h == \"v\\(.in.i)\" then .in.n else -1 "
             "end)}"),
        true);
    CHECK_EQ(stage.impacts.count, 0);
    arena_release(&stage.arena);
}

TEST(rehearse_leaves_out_what_it_has_not_all_of)
{
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    const struct pipeline_text text = {STR("p.yaml"),
                                       STR("pipeline: p\nsources: {in: {files: {path: /x, follow: false}}}\n"
                                           "sinks: {out: {from: in, sqlite: {file: /y, table: t}}}\n")};
    const struct pipeline_world world = {.env = config_env_real(), .texts = &text, .text_count = 1};
    const struct str traces[] = {
        STR("{\"source\":\"in\",\"steps\":[]}"),
        STR("{\"source\":\"in\",\"sampled\":true,\"cut\":true,\"steps\":[{\"node\":\"in\",\"record\":1}]}"),
        STR("{\"source\":\"gone\",\"sampled\":true,\"cut\":false,\"steps\":[{\"node\":\"gone\",\"record\":1}]}")};
    struct problems problems = {.arena = &arena};
    struct impacts impacts = {.arena = &arena};
    struct rehearsal result;
    struct pipeline_spec *spec = NULL;
    CHECK_OK(pipeline_load(STR("p.yaml"), NULL, &world, &problems, &spec));
    CHECK_OK(rehearse(spec, &world, traces, 3, &(struct rehearsal_options){.alpha = 0.01}, &impacts, &result));
    CHECK_EQ(result.left_out, 3);
    CHECK_EQ(result.messages, 0);
    pipeline_unref(spec);
    arena_release(&arena);
}
