/*
 * pipeline_test.c - pipeline files: what is read, what is refused and how it is said, what is promised, and how it is drawn.
 *
 * Each test brings its files along; places in messages are those of these texts.
 */
#include "pipeline/spec/kind.h"

#include "base/mem.h"
#include "fleet/catalog.h"
#include "pipeline/spec/draw.h"
#include "pipeline/spec/explain.h"
#include "pipeline/spec/promise.h"
#include "unit/test.h"

#include <stdio.h>

/* ---- files ---- */

struct file {
    const char *path, *text;
};

static const struct file *files;
static size_t file_count, paths_told;

static err_t read_file(const char *path, size_t max, struct buf *to)
{
    for (size_t i = 0; i < file_count; i++)
        if (strcmp(files[i].path, path) == 0)
            return strlen(files[i].text) > max ? fail(E_TOO_LARGE, "too large")
                                               : buf_add(to, str_from_c(files[i].text));
    return fail(E_IO, "No such file or directory");
}

static err_t list_folder(const char *path, struct buf *to)
{
    bool is_folder = false;
    size_t n = strlen(path);

    while (n && path[n - 1] == '/')
        n--;
    for (size_t i = 0; i < file_count; i++)
        if (strncmp(files[i].path, path, n) == 0 && files[i].path[n] == '/') {
            (void)buf_addf(to, "%s", files[i].path + n + 1);
            (void)buf_add_char(to, '\0');
            is_folder = true;
        }
    return is_folder ? OK : fail(E_UNSUPPORTED, "no folder");
}

static const char *variable(const char *name)
{
    return strcmp(name, "TOKEN") == 0 ? "t0k3n" : NULL;
}

static void note_path(void *ctx, const char *path)
{
    (void)ctx;
    (void)path;
    paths_told++;
}

static const struct config_env env = {
    .getenv = variable, .read_file = read_file, .list_folder = list_folder, .on_path = note_path};

struct desk {
    struct arena arena;
    struct problems problems;
    struct buf report;
    struct pipeline_spec *s;
    struct pipeline_world world;
    err_t error;
};

static void close_desk(struct desk *d)
{
    pipeline_unref(d->s);
    buf_release(&d->report);
    arena_release(&d->arena);
}

/* Load p.yaml with this text, beside the files given. */
static void load_with(struct desk *d, const char *text, const struct file *others, size_t n)
{
    static struct file all[16];

    *d = (struct desk){.arena = {.max = SIZE_MAX}, .report = BUF_INIT(1 << 20), .world = {.env = &env}};
    d->problems.arena = &d->arena;
    all[0] = (struct file){"dir/p.yaml", text};
    if (n)
        memcpy(all + 1, others, n * sizeof *others);
    files = all;
    file_count = n + 1;
    d->error = pipeline_load(STR("dir/p.yaml"), NULL, &d->world, &d->problems, &d->s);
    problems_print(&d->problems, &d->report);
}

static void load(struct desk *d, const char *text)
{
    load_with(d, text, NULL, 0);
}

static void check_refused_with(const char *text, const struct file *others, size_t n, const char *want)
{
    struct desk d CLEANUP(close_desk);

    load_with(&d, text, others, n);
    test_context("%s", want);
    CHECK_ERR(d.error, E_CONFIG);
    CHECK_MSG(str_find(buf_str(&d.report), str_from_c(want)) < d.report.n, "got:\n%.*s", STR_ARG(buf_str(&d.report)));
    CHECK_MSG(d.problems.errors == 1, "more than that:\n%.*s", STR_ARG(buf_str(&d.report)));
    test_context("%s", "");
}

static void check_refused(const char *text, const char *want)
{
    check_refused_with(text, NULL, 0, want);
}

static void check_loads(const char *text)
{
    struct desk d CLEANUP(close_desk);

    load(&d, text);
    CHECK_MSG(d.error == OK, "%s\n%.*s", text, STR_ARG(buf_str(&d.report)));
}

/* A file of one source and one sink, with `nodes` (one a line, from line 4 on) in between. */
#define AROUND(nodes, last)                                                                                            \
    "pipeline: p\n"                                                                                                    \
    "sources: {s: {kafka: t}}\n"                                                                                       \
    "nodes:\n" nodes "sinks: {k: {from: " last ", kafka: u}}\n"

/* ---- the graph ---- */

TEST(pipeline_puts_nodes_in_order_and_edges_where_names_say)
{
    struct desk d CLEANUP(close_desk);

    load(&d, AROUND("  c: {from: [a, b], map: .}\n  b: {from: s, map: .}\n  a: {from: s, map: .}\n", "c"));
    CHECK_OK(d.error);
    const struct pipeline_node *c = pipeline_find(d.s, STR("c")), *a = pipeline_find(d.s, STR("a"));
    CHECK(c && a && !pipeline_find(d.s, STR("x")));
    CHECK_EQ(d.s->node_count, 5);
    CHECK_EQ(d.s->source_count, 1);
    CHECK_EQ(d.s->sink_count, 1);
    CHECK_EQ(c->input_count, 2);
    CHECK_LT(a->index, c->index);
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(d.s->graph.edges[c->inputs[i].edge].to, c->index);
        CHECK_EQ(d.s->graph.edges[c->inputs[i].edge].from, c->inputs[i].node);
        CHECK(str_eq(d.s->nodes[c->inputs[i].node]->name, c->inputs[i].label));
    }
}

TEST(pipeline_names_that_mean_nothing_are_told_with_the_nearest)
{
    check_refused(AROUND("  a: {from: s, map: .}\n", "aa"),
                  "p.yaml:5:19: error: there is no source or node \"aa\", did you mean \"a\"?");
    check_refused(AROUND("  r: {from: s, switch: [{else: kk}]}\n", "s"),
                  "p.yaml:4:32: error: there is no node or sink \"kk\"");
    check_refused(AROUND("  a: {from: s, mapp: .}\n", "a"), "unknown field \"mapp\" in \"a\", did you mean \"map\"?");
    check_refused(AROUND("  a: {from: s, validate: tiket}\n", "a"), "there is no schema \"tiket\" under \"schemas\"");
    check_refused(AROUND("", "k"), "p.yaml:4:19: error: \"k\" is a sink: nothing comes out of it");
}

TEST(pipeline_circles_are_told_with_their_path)
{
    check_refused(AROUND("  a: {from: [s, c], map: .}\n  b: {from: a, map: .}\n  c: {from: b, map: .}\n", "c"),
                  "p.yaml:4:3: error: this goes in a circle: a -> b -> c -> a; to do something");
    check_refused(AROUND("  a: {from: [s, a], map: .}\n", "a"), "p.yaml:4:3: error: this goes in a circle: a -> a");
}

TEST(pipeline_refuses_what_nothing_reads_and_what_reads_nothing)
{
    check_refused(AROUND("  a: {from: s, map: .}\n", "s"), "p.yaml:4:3: error: nothing reads \"a\"");
    check_refused(AROUND("  a: {map: .}\n", "[s, a]"), "p.yaml:4:3: error: \"a\" reads nothing: say \"from\"");
    check_refused("pipeline: p\nsources: {s: {kafka: t}, z: {kafka: y}}\nsinks: {k: {from: s, kafka: u}}\n",
                  "p.yaml:2:26: error: no sink gets anything of the source \"z\"");
    check_refused(AROUND("  a: {from: [s, s], map: .}\n", "a"), "\"s\" is read twice");
    check_refused("pipeline: p\nsinks: {k: {from: s, kafka: u}}\n", "there is no source: nothing would ever come");
    check_loads(AROUND("  a: {from: s, tap: log}\n", "s")); /* whose branch may end */
}

TEST(pipeline_names_are_of_one_thing_each)
{
    check_refused(
        "pipeline: p\nsources: {s: {kafka: t}}\nnodes: {k: {from: s, map: .}}\nsinks: {k: {from: s, kafka: u}}\n",
        "p.yaml:4:9: error: \"k\" is already the name of another: sources, nodes and sinks share their names");
    check_refused(AROUND("  a b: {from: s, tap: log}\n", "s"), "\"a b\" is no name");
    check_refused("pipeline: a/b\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, kafka: u}}\n",
                  "a pipeline's name has letters");
}

TEST(pipeline_node_has_exactly_one_kind)
{
    check_refused(AROUND("  a: {from: s, map: ., filter: .x}\n", "a"),
                  "p.yaml:4:24: error: it is a \"map\" already and cannot be a \"filter\"");
    check_refused(AROUND("  a: {from: s, budget: 1s}\n", "a"),
                  "p.yaml:4:6: error: nothing says what kind it is; one of these fields does: aggregate, cache");
    check_refused(AROUND("  a: {from: s, map: ., wait: any}\n", "a"),
                  "\"wait\" goes with \"join\", and this is a \"map\"");
}

TEST(pipeline_switch_sends_to_its_targets_and_to_nobody_else)
{
    struct desk d CLEANUP(close_desk);

    load(&d,
         AROUND("  r: {from: s, switch: [{when: .x == 1, to: a}, {when: .x == 2, to: k}, {else: a}]}\n  a: {map: .}\n",
                "[r, a]"));
    CHECK_OK(d.error);
    const struct pipeline_node *r = pipeline_find(d.s, STR("r")), *a = pipeline_find(d.s, STR("a"));
    CHECK_EQ(r->target_count, 3);
    CHECK_EQ(r->flow.out_count, 2);
    CHECK_EQ(r->targets[0].edge, r->targets[2].edge);
    CHECK_EQ(r->targets[0].node, a->index);
    CHECK_NE(r->targets[1].node, a->index);
    CHECK_STR(a->inputs[0].label, "r");
    check_refused(AROUND("  r: {from: s, switch: [{else: k}]}\n  a: {from: r, map: .}\n", "a"),
                  "p.yaml:5:13: error: \"r\" chooses whom it sends to, and \"a\" is not among them");
    check_refused(AROUND("  r: {from: s, switch: [{else: k}, {when: .x, to: k}]}\n", "r"), "it comes last");
    check_refused(AROUND("  r: {from: s, switch: [{when: .x}, {else: k}]}\n", "r"),
                  "p.yaml:4:25: error: a case needs \"when\" and \"to\"");
    check_refused(AROUND("  r: {from: s, switch: []}\n", "s"), "\"switch\" needs at least one case");
    check_refused(AROUND("  r: {from: s, switch: [{else: s}]}\n", "s"), "\"s\" is a source: nothing can be sent there");
}

TEST(pipeline_join_has_inputs_that_can_be_there)
{
    struct desk d CLEANUP(close_desk);

    load(&d, AROUND("  a: {from: s, map: .}\n  b: {from: s, map: .}\n  j: {join: [a, b], wait: any, on_timeout: "
                    "partial, timeout: 1s}\n",
                    "j"));
    CHECK_OK(d.error);
    const struct pipeline_node *j = pipeline_find(d.s, STR("j"));
    CHECK_EQ(j->flow.item, FLOW_GATHER);
    CHECK_EQ(j->flow.need, 1);
    CHECK(j->flow.partial);
    CHECK_EQ(j->patience, NS_SEC);
    check_refused(AROUND("  a: {from: s, map: .}\n  j: {join: [a]}\n", "j"), "\"join\" needs at least two inputs");
    check_refused(AROUND("  a: {from: s, map: .}\n  j: {join: [a, s], wait: 3}\n", "j"),
                  "is for 3 inputs, and there are only 2");
    check_refused(AROUND("  a: {from: s, map: .}\n  b: {from: s, map: .}\n  j: {from: b, join: [a, s]}\n", "j"),
                  "a join names its inputs itself");
    check_refused(AROUND("  a: {from: s, map: .}\n  j: {join: [a, s], by: .id}\n", "j"),
                  "a join by key needs a \"timeout\"");
    check_refused(AROUND("  r: {from: s, switch: [{when: .x, to: a}, {else: b}]}\n  a: {map: .}\n  b: {map: .}\n  j: "
                         "{join: [a, b], wait: 2}\n",
                         "j"),
                  "p.yaml:7:3: error: it waits for 2 inputs, but \"r\" lets at most 1 of them have anything");
    check_loads(AROUND(
        "  r: {from: s, switch: [{when: .x, to: a}, {else: b}]}\n  a: {map: .}\n  b: {map: .}\n  j: {join: [a, b]}\n",
        "j"));
    check_loads(AROUND("  r: {from: s, switch: [{when: .x, to: a}, {else: b}]}\n  a: {map: .}\n  b: {map: .}\n  j: "
                       "{join: [a, b, s], wait: 2}\n",
                       "j"));
    check_refused(AROUND("  a: {from: s, map: .}\n  r: {from: s, switch: [{else: j}]}\n  j: {join: [a, s]}\n", "j"),
                  "\"r\" sends to this join, which does not name it");
}

TEST(pipeline_budgets_of_the_longest_way_fit_the_deadline)
{
    static const char late[] = "pipeline: p\ndeadline: 1s\nsources: {s: {kafka: t}}\nnodes:\n"
                               "  a: {from: s, map: ., budget: 600ms}\n  b: {from: [s, a], map: ., budget: 500ms}\n"
                               "sinks: {k: {from: b, kafka: u}}\n",
                      gated[] =
                          "pipeline: p\ndeadline: 1s\nsources: {s: {kafka: t}}\nnodes:\n"
                          "  a: {from: s, map: ., budget: 600ms}\n  g: {from: a, gate: {channel: c, expires: 4h}}\n"
                          "  b: {from: g, map: ., budget: 500ms}\nsinks: {k: {from: b, kafka: u}}\n";

    check_refused(late,
                  "p.yaml:6:3: error: the budgets on the way s -> a -> b add up to 1s100ms, and the deadline is 1s");
    check_loads(gated); /* behind a gate a new deadline begins */
    check_refused("pipeline: p\ndeadline: 1s\nsources: {s: {kafka: t}}\nnodes:\n  a: {from: s, delay: 1h}\nsinks: {k: "
                  "{from: a, kafka: u}}\n",
                  "add up to 1h");
}

TEST(pipeline_that_is_too_large_is_refused)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct desk d CLEANUP(close_desk);

    (void)buf_add_lit(&text, "pipeline: p\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, kafka: u}}\nnodes:\n");
    for (int i = 0; i < 255; i++)
        (void)buf_addf(&text, "  n%d: {from: s, tap: log}\n", i);
    (void)buf_add_char(&text, '\0');
    load(&d, text.p);
    CHECK_ERR(d.error, E_CONFIG);
    CHECK_MSG(str_find(buf_str(&d.report), STR("more than 256 sources, nodes and sinks")) < d.report.n, "%.*s",
              STR_ARG(buf_str(&d.report)));
}

TEST(pipeline_lives_as_long_as_somebody_holds_it)
{
    struct desk d CLEANUP(close_desk);

    load(&d, AROUND("", "s"));
    CHECK_OK(d.error);
    struct pipeline_spec *held = pipeline_ref(d.s);
    pipeline_unref(d.s);
    d.s = NULL;
    CHECK_STR(held->name, "p");
    CHECK_EQ(strlen(held->digest), 16);
    pipeline_unref(held);
}

/* ---- expressions ---- */

TEST(pipeline_expressions_are_compiled_and_told_at_their_place)
{
    check_refused(AROUND("  a: {from: s, map: .x + nosuch}\n", "a"), "p.yaml:4:26: error: ");
    check_refused(AROUND("  a: {from: s, map: '.x + nosuch'}\n", "a"), "p.yaml:4:27: error: ");
    check_refused(AROUND("  a:\n    from: s\n    map: |\n      {\n        a: nosuch\n      }\n", "a"),
                  "p.yaml:8:12: error: ");
    check_refused(AROUND("  a:\n    from: s\n    map: >\n      {\n        a: nosuch\n      }\n", "a"),
                  "p.yaml:7:1: error: there is no function nosuch (line 2, column 6 of the text)");
    check_refused(AROUND("  a: {from: s, model: {route: r, prompt: \"x {{.a}} {{nosuch}}\"}}\n", "a"),
                  "p.yaml:4:54: error: ");
    check_refused(AROUND("  a: {from: s, filter: \"${TOKEN} +\"}\n", "a"), "not shown, it may be secret");
}

TEST(pipeline_expressions_may_be_files_and_are_told_there)
{
    static const struct file good[] = {{"dir/m/x.jq", "# so\n{a: .b}\n"}},
                             bad[] = {{"dir/m/x.jq", "{\n  a: nosuch\n}"}};
    struct desk d CLEANUP(close_desk);

    load_with(&d, AROUND("  a: {from: s, map: m/x.jq}\n", "a"), good, 1);
    CHECK_OK(d.error);
    const struct pipeline_node *a = pipeline_find(d.s, STR("a"));
    CHECK_EQ(a->read_count, 1);
    CHECK_STR(a->reads[0], ".b");
    check_refused_with(AROUND("  a: {from: s, map: m/x.jq}\n", "a"), bad, 1, "dir/m/x.jq:2:6: error: ");
    check_refused(AROUND("  a: {from: s, map: m/x.jq}\n", "a"),
                  "p.yaml:4:21: error: the file \"dir/m/x.jq\" cannot be read");
}

/* Wherever a field takes an expression for a whole record. */
TEST(pipeline_expressions_may_be_files_in_every_field_for_a_record)
{
    static const struct file good[] = {{"dir/m/x.jq", "[{a: 1}]"}}, bad[] = {{"dir/m/x.jq", "{a: nosuch}"}};
    static const char *const nodes[] = {
        "  a: {from: s, map: m/x.jq}\n",
        "  a: {from: s, filter: m/x.jq}\n",
        "  a: {from: s, split: m/x.jq}\n",
        "  a: {from: s, aggregate: {count: 2, into: m/x.jq}}\n",
        "  a: {from: s, gate: {channel: c, expires: 1h, show: m/x.jq}}\n",
        "  a: {from: s, tap: {to: log, show: m/x.jq}}\n",
        "  a: {from: s, http: {post: \"http://h/x\", body: m/x.jq}}\n",
        "  a: {from: s, map: ., on_error: fallback, fallback: m/x.jq}\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        struct desk d CLEANUP(close_desk);
        char text[1024];
        (void)snprintf(text, sizeof text, AROUND("%s", "a"), nodes[i]);
        load_with(&d, text, good, 1);
        CHECK_MSG(d.error == OK, "%s: %.*s", nodes[i], STR_ARG(buf_str(&d.report)));
        check_refused_with(text, bad, 1, "dir/m/x.jq:1:5: error: there is no function nosuch");
    }
}

TEST(pipeline_types_follow_the_edges)
{
    check_refused(AROUND("  v: {from: s, map: '{x: 1}'}\n  a: {from: v, map: .x | keys}\n", "a"),
                  "p.yaml:5:26: error: ");
    check_refused(AROUND("  v: {from: s, map: '{x: 1}'}\n  j: {join: [v, s]}\n  a: {from: j, map: .w}\n", "a"),
                  "p.yaml:6:21: error: ");
    check_refused(AROUND("  v: {from: s, map: .x, out: {score: {}}}\n  a: {from: v, split: .}\n", "a"),
                  "what is split must be an array");
    check_loads(
        AROUND("  v: {from: s, map: '{x: [{y: 1}]}'}\n  t: {from: v, split: .x}\n  a: {from: t, map: .y + 1}\n", "a"));
    check_refused(
        AROUND("  v: {from: s, map: '{x: [{y: 1}]}'}\n  t: {from: v, split: .x}\n  a: {from: t, map: .y | keys}\n",
               "a"),
        "p.yaml:6:26: error: ");
}

/* A join of v and w, with these nodes before it: may `.v.x`, may `.w.x` be taken for a number? */
static void check_sure(const char *nodes, const char *join, bool v_is_sure, bool w_is_sure)
{
    for (unsigned i = 0; i < 2; i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, AROUND("%s  j: {join: [v, w]%s}\n  a: {from: j, map: .%s.x - 1}\n", "a"),
                       nodes, join, i ? "w" : "v");
        if (i ? w_is_sure : v_is_sure)
            check_loads(text);
        else
            check_refused(text, "'-' may not fit null or number and number");
    }
}

TEST(pipeline_join_knows_which_inputs_are_there_whenever_it_fires)
{
    static const char plain[] = "  v: {from: s, map: '{x: 1}'}\n  w: {from: s, map: '{x: 2}'}\n";

    check_sure(plain, "", true, true);
    check_sure(plain, ", timeout: 1s", true, true);
    check_sure(plain, ", timeout: 1s, on_timeout: partial", false, false);
    check_sure(plain, ", wait: any", false, false);
    check_sure(plain, ", wait: 1", false, false);
    check_sure(plain, ", by: .x, timeout: 1s", true, true);
    check_sure(plain, ", by: .x, timeout: 1s, on_timeout: partial", false, false);
    check_sure(plain, ", by: .x, timeout: 1s, wait: any", false, false);
    /* A filter takes its own way, and all that is behind it. */
    check_sure("  f: {from: s, filter: .ok}\n  v: {from: f, map: '{x: 1}'}\n  w: {from: s, map: '{x: 2}'}\n", "", false,
               true);
    check_sure("  f: {from: s, filter: .ok}\n  v: {from: f, map: '{x: 1}'}\n  w: {from: s, map: '{x: 2}'}\n",
               ", by: .x, timeout: 1s", true, true);
    check_sure("  f: {from: s, filter: .ok}\n  v: {from: f, map: '{x: 1}'}\n  w: {from: f, map: '{x: 2}'}\n", "", true,
               true);
    check_sure("  f: {from: s, filter: .ok}\n  v: {from: f, map: '{x: 1}'}\n  l: {from: f, delay: 1s}\n"
               "  g: {from: l, filter: .well}\n  w: {from: g, map: '{x: 2}'}\n",
               "", true, false);
    /* A switch goes one way, or the other. */
    check_sure("  r: {from: s, switch: [{when: .ok, to: v}, {else: w}]}\n  v: {map: '{x: 1}'}\n  w: {map: '{x: 2}'}\n",
               "", false, false);
    check_sure("  r: {from: s, switch: [{when: .ok, to: t}, {else: u}]}\n  t: {map: .}\n  u: {tap: log}\n"
               "  v: {from: t, map: '{x: 1}'}\n  w: {from: t, map: '{x: 2}'}\n",
               "", true, true);
    /* What yields nothing when it fails. */
    check_sure("  v: {from: s, map: '{x: 1}', on_error: skip}\n  w: {from: s, map: '{x: 2}'}\n", "", false, true);
    /* Records of several nodes on one way: more is not worked out. */
    check_sure("  f: {from: s, filter: .ok}\n  v: {from: [f, s], map: '{x: 1}'}\n  w: {from: s, map: '{x: 2}'}\n", "",
               false, false);
}

TEST(pipeline_reads_are_the_paths_of_all_expressions_without_those_below_others)
{
    struct desk d CLEANUP(close_desk);

    load(&d, "pipeline: p\ndelivery: at_least_once\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, effect: "
             "at_least_once, http: {post: \"https://h/{{.b.c}}\", "
             "body: '{a: .a, aa: .aa, b: .b.c.d}', headers: {x: \"{{.a.z}} {{$meta.id}}\"}}}}\n");
    CHECK_MSG(d.error == OK, "%.*s", STR_ARG(buf_str(&d.report)));
    const struct pipeline_node *k = pipeline_find(d.s, STR("k"));
    CHECK_EQ(k->read_count, 3);
    CHECK_STR(k->reads[0], ".a");
    CHECK_STR(k->reads[1], ".aa");
    CHECK_STR(k->reads[2], ".b.c");
}

TEST(pipeline_urls_have_a_host_that_no_message_chooses)
{
    check_refused("pipeline: p\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, http: {put: \"https://{{.h}}/x\"}}}\n",
                  "its host, which no expression may be a part of");
    check_refused("pipeline: p\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, http: {put: \"https://h.{{.h}}/x\"}}}\n",
                  "its host, which no expression");
    check_refused("pipeline: p\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, http: {put: \"ftp://h/{{.h}}\"}}}\n",
                  "a URL begins with");
    check_loads("pipeline: p\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, http: {put: \"https://h?x={{.h}}\"}}}\n");
}

/* ---- declared outputs ---- */

TEST(pipeline_node_declares_one_output)
{
    static const struct file schema[] = {{"dir/t.json", "{\"type\": \"object\"}"}};

    check_refused(AROUND("  a: {from: s, map: ., out: {score: {}, label: [x]}}\n", "a"),
                  "two outputs are declared: a node has one");
    check_refused_with(
        "pipeline: p\nschemas: {t: t.json}\nsources: {s: {kafka: t}}\nnodes:\n"
        "  a: {from: s, model: {route: r, prompt: x, output_schema: t}, out: t}\nsinks: {k: {from: a, kafka: u}}\n",
        schema, 1, "two outputs are declared: \"out\" and \"output_schema\"");
    check_refused("pipeline: p\nschemas: {t: t.json}\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, kafka: u}}\n",
                  "\"dir/t.json\" cannot be read");
    check_refused(AROUND("  a: {from: s, map: ., out: {score: {min: 1, max: 0}}}\n", "a"),
                  "\"min\" must be less than \"max\"");
    check_refused(
        "pipeline: p\nschemas: {t: {compat: none}}\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, kafka: u}}\n",
        "a schema is a \"file\", a \"subject\" of a registry, or both");
}

TEST(pipeline_vectors_are_those_that_the_index_was_built_with)
{
#define VECTORS(sink, out)                                                                                             \
    "pipeline: p\nsources: {s: {kafka: t}}\nnodes:\n  e: {from: s, model: {route: r, input: .x}, out: " out "}\n"      \
    "  j: {join: [e, s]}\nsinks: {k: {from: j, qdrant: {collection: c, vector: .e, " sink "}}}\n"
    check_loads(VECTORS("model: m, dim: 3", "{embedding: {model: m, dim: 3}}"));
    check_refused(VECTORS("model: n", "{embedding: {model: m, dim: 3}}"),
                  "the index is of \"n\", but \"e\" yields vectors of \"m\"");
    check_refused(VECTORS("dim: 4", "{embedding: {model: m, dim: 3}}"),
                  "the index has 4 dimensions, but \"e\" yields 3");
    check_refused(VECTORS("dim: 4", "{score: {}}"), "a vector is an array of numbers");
#undef VECTORS
}

#define TYPED(nodes, last)                                                                                             \
    "pipeline: p\nschemas: {t: t.json}\nsources: {s: {kafka: t, out: t}}\nnodes:\n" nodes "sinks: {k: {from: " last    \
    ", kafka: u}}\n"
TEST(pipeline_types_are_what_schemas_in_files_declare)
{
    static const struct file schema[] = {
        {"dir/t.json", "{\"type\":\"object\",\"required\":[\"n\"],\"properties\":{\"n\":{\"type\":\"number\"}}}"}};
    static const struct file wrong[] = {{"dir/t.json", "{\"type\":\"obj\"}"}}, none[] = {{"dir/t.json", "{"}};
    struct desk d CLEANUP(close_desk);

    load_with(&d, TYPED("  a: {from: s, map: .n + 1}\n", "a"), schema, 1);
    CHECK_MSG(d.error == OK, "%.*s", STR_ARG(buf_str(&d.report)));
    CHECK_EQ(d.s->nodes[0]->out.kind, TYPE_SCHEMA);
    CHECK_EQ(d.s->nodes[0]->output_type->kinds, EXPR_IS_OBJECT);
    check_refused_with(TYPED("  a: {from: s, map: .m}\n", "a"), schema, 1,
                       "p.yaml:5:21: error: there is no field \"m\" here");
    check_refused_with(TYPED("  a: {from: s, map: .n | keys}\n", "a"), schema, 1,
                       "p.yaml:5:26: error: keys takes array");
    check_refused_with(TYPED("  a: {from: s, validate: t}\n", "a"), wrong, 1,
                       "dir/t.json: error: this is no JSON Schema that can be used: ");
    check_refused_with(TYPED("  a: {from: s, map: .}\n", "a"), none, 1,
                       "dir/t.json: error: this is no JSON document: ");
}
#undef TYPED

/* ---- promises ---- */

static void check_pair(const char *text, const char *source, const char *sink, const char *want,
                       enum promise_limit limit)
{
    struct desk d CLEANUP(close_desk);

    load(&d, text);
    CHECK_MSG(d.error == OK, "%s\n%.*s", text, STR_ARG(buf_str(&d.report)));
    struct promise_pair p =
        promise_of(d.s, pipeline_find(d.s, str_from_c(source)), pipeline_find(d.s, str_from_c(sink)));
    CHECK_STR(str_from_c(promise_words(p.bits)), want);
    CHECK_EQ(p.limit, limit);
}

#define PAIR(top, source, sink) "pipeline: p\n" top "sources: {s: " source "}\nsinks: {k: {from: s, " sink "}}\n"

TEST(pipeline_promise_is_what_both_rows_and_the_journal_leave)
{
    check_pair(PAIR("", "{kafka: t}", "postgres: {table: x}"), "s", "k", "exactly once", LIMIT_NOTHING);
    check_pair(PAIR("", "{kafka: t}", "http: {put: 'https://h/{{.i}}'}"), "s", "k", "effectively once", LIMIT_SINK);
    check_pair(PAIR("delivery: at_least_once\n", "{http: {path: /x, idempotency: optional}}", "kafka: u"), "s", "k",
               "at least once", LIMIT_SOURCE);
    check_pair(PAIR("delivery: at_least_once\njournal: async\n", "{kafka: t}", "sqlite: {file: f, table: x}"), "s", "k",
               "at least once", LIMIT_JOURNAL);
    check_pair(PAIR("delivery: at_most_once\njournal: none\n", "{http: /x}", "kafka: u"), "s", "k", "at most once",
               LIMIT_JOURNAL);
    check_pair(PAIR("delivery: at_least_once\njournal: none\n", "{redis: t}", "kafka: u"), "s", "k", "at least once",
               LIMIT_JOURNAL);
    check_pair(PAIR("", "{kafka: t}", "http: {post: 'https://h'}, effect: at_most_once"), "s", "k", "at most once",
               LIMIT_CHOICE);
    check_pair(
        PAIR("delivery: at_most_once\n", "{gateway: {route: r}}", "http: {post: 'https://h'}, effect: at_least_once"),
        "s", "k", "nothing (may be lost, may come twice)", LIMIT_SOURCE);
}

#define NONE "pipeline: p\ndelivery: at_most_once\njournal: none\n"

TEST(pipeline_without_a_journal_loses_what_it_gathers_and_says_what_is_lost)
{
    static const char text[] = NONE "sources: {s: {redis: t}, f: {files: {path: x}}}\nnodes:\n"
                                    "  w: {from: s, aggregate: {count: 5}}\n  d: {from: f, dedupe: .x}\n"
                                    "sinks: {k: {from: w, kafka: u}, l: {from: [s, d], kafka: v}}\n";
    static const char *const words[] = {
        "Journal: none: nothing is on disk, neither traces nor dead letters; when the process ends\n",
        "  s  XACK follows when",
        "  f  nobody knows how far they were read",
        "  w  what it has gathered is lost",
        "  d  what it remembers is lost",
        "  k  a batch that was about to be",
        "\nDead letters are lines of the log, and are kept nowhere\n",
        "s -> k: nothing (may be lost, may come twice), because of the journal\n",
        "      without a journal, what was gathered",
        "s -> l: at least once, because of the journal\n      without a journal, what was not done",
    };
    struct desk d CLEANUP(close_desk);
    struct buf told CLEANUP(buf_release) = BUF_INIT(1 << 16);

    check_pair(text, "s", "k", "nothing (may be lost, may come twice)", LIMIT_JOURNAL);
    check_pair(text, "s", "l", "at least once", LIMIT_JOURNAL);
    load(&d, text);
    CHECK_OK(pipeline_explain(d.s, &told));
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        CHECK_MSG(str_find(buf_str(&told), str_from_c(words[i])) < told.n, "%s is not in %.*s", words[i],
                  STR_ARG(buf_str(&told)));
    check_refused(NONE "sources: {s: {redis: t}}\nnodes: {g: {from: s, gate: {channel: c, expires: 1h, on_expire: "
                       "dlq}}}\nsinks: {k: {from: g, kafka: u}}\n",
                  "\"g\" waits for people, who find what waits in the journal: with \"journal: none\" there is none");
}
#undef NONE

TEST(pipeline_that_cannot_keep_what_it_demands_is_refused_with_a_remedy)
{
    check_refused(PAIR("", "{http: {path: /x, idempotency: optional}}", "kafka: u"),
                  "p.yaml:3:9: error: \"delivery: exactly_once\" cannot be kept from \"s\" to \"k\" (at least once): a "
                  "request that is sent twice is two "
                  "messages, and nobody can tell; what helps: `idempotency: required` at the source, or to accept it "
                  "with \"effect: at_least_once\"");
    check_refused(PAIR("", "{gateway: {route: r}}", "kafka: u"), "(at most once): the client has its answer before");
    check_refused(PAIR("journal: async\n", "{redis: t}", "kafka: u"), "what helps: `journal: sync`");
    check_refused(PAIR("delivery: at_least_once\njournal: none\n", "{http: /x}", "kafka: u"),
                  "is lost with the process");
    check_refused(PAIR("delivery: at_least_once\n", "{kafka: t}", "http: {post: 'https://h'}"),
                  "\"k\" must say \"effect: at_least_once\" or \"effect: at_most_once\"");
    check_refused(PAIR("", "{kafka: t}", "nats: {subject: a, jetstream: false}, effect: keyed"), "\"k\" must say");
    check_loads(PAIR("", "{kafka: t}", "http: {post: 'https://h', idempotency_key: auto}"));
    check_loads(PAIR("", "{gateway: {route: r, wait: true}}", "kafka: u"));
}

static bool is_fast(const char *text)
{
    struct desk d CLEANUP(close_desk);

    load(&d, text);
    return d.error == OK && promise_of(d.s, pipeline_find(d.s, STR("s")), pipeline_find(d.s, STR("k"))).is_fast;
}

TEST(pipeline_from_kafka_to_kafka_through_functions_needs_no_journal)
{
#define FAST(top, node)                                                                                                \
    "pipeline: p\n" top "sources: {s: {kafka: t}}\nnodes: {n: {from: s, " node "}}\nsinks: {k: {from: n, kafka: u}}\n"
    CHECK(is_fast(FAST("", "map: .")));
    CHECK(is_fast(FAST("journal: none\n", "filter: .x")));
    CHECK(!is_fast(FAST("", "model: {route: r, prompt: x}")));
    CHECK(!is_fast(FAST("", "dedupe: .x")));
    CHECK(!is_fast(FAST("", "aggregate: {count: 5}")));
    CHECK(!is_fast("pipeline: p\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, kafka: u}, l: {from: s, file: f}}\n"));
    CHECK(!is_fast("pipeline: p\nconnections: {b: \"kafka://b:1\"}\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, "
                   "kafka: {topic: u, connection: b}}}\n"));
    check_refused(FAST("journal: none\n", "dedupe: .x"), "what helps: `journal: sync`");
#undef FAST
}

TEST(pipeline_batches_fit_a_commit_of_the_journal_if_they_need_it)
{
#define BATCH(sink) "pipeline: p\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, " sink "}}\n"
    check_refused(BATCH("file: f, batch: 4096"),
                  "\"k\" has batches of 4096: of a pipeline that needs its journal they are at most 4095");
    check_loads(BATCH("file: f, batch: 4095"));
    check_loads(BATCH("kafka: u, batch: 10000"));
    check_refused(BATCH("kafka: u, batch: 10001"), "10000");
#undef BATCH
}

TEST(pipeline_guesses_and_shadows_keep_away_from_sinks)
{
    check_refused(AROUND("  a: {from: s, shadow: 10%}\n  b: {from: a, map: .}\n", "b"),
                  "\"k\" is behind the shadow \"a\"");
    check_loads(AROUND("  a: {from: s, shadow: 10%}\n  b: {from: a, map: .}\n", "s"));
    check_refused(
        AROUND("  m: {from: s, model: {route: r, prompt: x, stream: true}}\n  c: {from: m, chunk: line}\n", "c"),
        "pieces of an answer that may not be the one that counts");
    check_refused("delivery: at_least_once\n" AROUND(
                      "  m: {from: s, model: {route: r, prompt: x}}\n  c: {from: m, chunk: line}\n", "c"),
                  "\"m\" does not come in pieces");
}

TEST(pipeline_replies_go_to_who_waits_for_them)
{
    check_loads(PAIR("", "{http: {path: /x, mode: reply}}", "reply: ."));
    check_refused(PAIR("", "{http: /x}", "reply: ."), "nobody waits for a reply at \"s\"");
    check_refused(PAIR("", "{http: {path: /x, mode: reply}}", "kafka: u"), "no sink \"reply\" gives one");
    check_refused(PAIR("", "{http: x}", "kafka: u"), "a path begins with");
}

/* ---- kinds ---- */

TEST(pipeline_kinds_check_what_their_fields_have_in_common)
{
    check_refused(AROUND("  a: {from: s, map: ., retry: 2}\n", "a"), "a \"map\" asks nobody");
    check_refused(AROUND("  a: {from: s, map: ., on_error: fallback}\n", "a"), "\"fallback\" must say");
    check_refused(AROUND("  a: {from: s, map: ., fallback: .}\n", "a"), "nothing uses it");
    check_refused(AROUND("  a: {from: s, map: ., on_late: degrade}\n", "a"), "only a \"model\" can \"degrade\"");
    check_refused(AROUND("  a: {from: s, model: {route: r}}\n", "a"), "what is the model to do?");
    check_refused(AROUND("  a: {from: s, model: {route: r, prompt: x, input: .y}}\n", "a"),
                  "\"input\" belongs to embeddings (\"input\"), and this is a chat");
    check_refused(AROUND("  a: {from: s, model: {route: r, prompt: x, repair: 1}}\n", "a"),
                  "\"repair\" needs an \"output_schema\"");
    check_refused(AROUND("  a: {from: s, aggregate: {by: .k}}\n", "a"), "a window must close");
    check_refused(AROUND("  a: {from: s, aggregate: {every: 1m, session: 1m}}\n", "a"), "take one");
    check_refused(AROUND("  a: {from: s, aggregate: {count: 5, lateness: 1m}}\n", "a"),
                  "\"lateness\" goes with \"every\" or \"session\"");
    check_refused(AROUND("  a: {from: s, aggregate: {count: 5, max: 4}}\n", "a"), "would close before");
    check_refused(AROUND("  a: {from: s, delay: {}}\n", "a"), "either \"for\" or \"until\"");
    check_refused(AROUND("  a: {from: s, gate: {channel: c, expires: 1h}, budget: 1s}\n", "a"),
                  "a gate has no \"budget\"");
    check_refused(AROUND("  a: {from: s, fanout: [k]}\n", "a"), "at least two names");
    check_refused(AROUND("  a: {from: s, canary: {stable: k, candidate: k, share: 5%}}\n", "a"), "are the same");
    check_refused(AROUND("  a: {from: s, http: {get: 'https://h', body: .}}\n", "a"), "\"body\" goes with \"post\"");
    check_refused(PAIR("", "{cron: '* * * *'}", "kafka: u"), "a schedule has five fields");
    check_refused(PAIR("", "{cron: '*/0 * * * *'}", "kafka: u"), "a schedule has five fields");
    check_refused(PAIR("", "{cron: '5-3 * * * *'}", "kafka: u"), "a schedule has five fields");
    check_refused(PAIR("", "{cron: '* 24 * * *'}", "kafka: u"), "a schedule has five fields");
    check_refused(PAIR("", "{cron: {}}", "kafka: u"), "either \"schedule\" or \"every\"");
    check_loads(PAIR("", "{cron: '0,30 6-18/2  1 */3 0-7'}", "kafka: u"));
    check_refused(PAIR("", "{kafka: t}", "postgres: {table: 'x; drop'}"), "a table is");
    check_refused(PAIR("", "{kafka: t}", "postgres: {table: x, mode: upsert}"), "go together");
    check_refused(PAIR("", "{kafka: t}", "postgres: {table: x, mode: upsert, key: b, columns: {a: .x}}"),
                  "\"b\" is not among \"columns\"");
    check_refused(PAIR("", "{kafka: t}", "http: {put: 'https://h', post: 'https://h'}"), "exactly one of");
    check_refused(PAIR("", "{kafka: t}", "http: {put: 'https://h', idempotency_key: auto}"), "goes with \"post\"");
    check_refused(PAIR("", "{kafka: t}", "kafka: u, effect: {mode: at_least_once, reconcile: {get: 'https://h'}}"),
                  "does it again without asking");
}

TEST(pipeline_connections_are_found_by_name_or_by_kind)
{
    struct desk d CLEANUP(close_desk);

    load(&d, "pipeline: p\nconnections: {kafka: \"kafka://k:1\", other: {url: \"tls+kafka://o:2\", password: "
             "\"${TOKEN}\"}}\n"
             "sources: {s: {kafka: t}}\nsinks: {k: {from: s, kafka: {topic: u, connection: other}}, r: {from: s, "
             "redis: x}}\n");
    CHECK_MSG(d.error == OK, "%.*s", STR_ARG(buf_str(&d.report)));
    CHECK_STR(pipeline_find(d.s, STR("s"))->connection->url, "kafka://k:1");
    CHECK_STR(pipeline_find(d.s, STR("k"))->connection->password, "t0k3n");
    CHECK(pipeline_find(d.s, STR("r"))->connection->is_default);
    check_refused(PAIR("connections: {other: \"kafka://me:secret@o:2/x\"}\n", "{kafka: t}", "kafka: u"),
                  "have fields of their own");
    check_refused(PAIR("connections: {other: \"o:2\"}\n", "{kafka: t}", "kafka: u"), "this is no URL");
    check_refused(PAIR("connections: {other: \"kafka://o:2\"}\n", "{kafka: {topic: t, connection: othr}}", "kafka: u"),
                  "there is no connection \"othr\" under \"connections\", did you mean \"other\"?");
    check_refused(PAIR("connections: {other: \"redis://o:2\"}\n", "{kafka: {topic: t, connection: other}}", "kafka: u"),
                  "is no \"kafka://…\", which a \"kafka\" needs");
}

TEST(pipeline_registries_are_whole)
{
    for (size_t i = 0; i < source_kind_catalog_count; i++) {
        const struct source_kind *k = source_kind_catalog[i];
        CHECK(k->rows && k->rows[0].when && k->rows[0].how);
        CHECK_STR(str_from_c(k->kind.fields[0].name), k->kind.name);
        CHECK_EQ(!k->kind.usual_url, !(k->kind.traits & KIND_CONNECTS));
    }
    for (size_t i = 0; i < node_kind_catalog_count; i++)
        CHECK_STR(str_from_c(node_kind_catalog[i]->kind.fields[0].name), node_kind_catalog[i]->kind.name);
    for (size_t i = 0; i < sink_kind_catalog_count; i++) {
        const struct sink_kind *k = sink_kind_catalog[i];
        CHECK(k->rows && k->rows[0].when && k->rows[0].how);
        CHECK_STR(str_from_c(k->kind.fields[0].name), k->kind.name);
        for (const struct promise_row *row = k->rows; row->when; row++)
            CHECK(!row->is_choice || row->remedy);
    }
    CHECK_EQ(source_kind_catalog_count, 9);
    CHECK_EQ(node_kind_catalog_count, 21);
    CHECK_EQ(sink_kind_catalog_count, 12);
}

/* ---- pipelines within pipelines ---- */

static const struct file enrich[] = {
    {"dir/lib/enrich.yaml", "pipeline: enrich\ninput: {}\noutput: b\nnodes:\n  a: {from: input, map: m.jq}\n  b: "
                            "{from: [a, input], map: .}\n"},
    {"dir/lib/m.jq", "{x: .y}"}};

TEST(pipeline_call_puts_the_nodes_of_another_file_in)
{
    struct desk d CLEANUP(close_desk);

    load_with(&d, AROUND("  z: {from: s, map: .}\n  e: {from: [s, z], call: lib/enrich.yaml}\n", "e"), enrich, 2);
    CHECK_MSG(d.error == OK, "%.*s", STR_ARG(buf_str(&d.report)));
    const struct pipeline_node *a = pipeline_find(d.s, STR("e/a")), *k = pipeline_find(d.s, STR("k"));
    CHECK(a && !pipeline_find(d.s, STR("e")));
    CHECK_EQ(a->input_count, 2);
    CHECK_EQ(pipeline_find(d.s, STR("e/b"))->input_count, 3);
    CHECK_STR(d.s->nodes[k->inputs[0].node]->name, "e/b");
    CHECK_STR(k->inputs[0].label, "e");
    CHECK_STR(a->reads[0], ".y");
}

TEST(pipeline_calls_are_bounded_and_need_what_is_to_be_called)
{
    static const struct file
        self[] = {{"dir/x.yaml", "pipeline: x\ninput: {}\noutput: a\nnodes: {a: {from: input, call: x.yaml}}\n"}},
        plain[] = {{"dir/x.yaml", "pipeline: x\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, kafka: u}}\n"}},
        half[] = {{"dir/x.yaml", "pipeline: x\ninput: {}\nnodes: {a: {from: input, tap: log}}\n"}};

    check_refused_with(AROUND("  e: {from: s, call: x.yaml}\n", "e"), self, 1,
                       "dir/x.yaml:4:32: error: \"x.yaml\" calls itself");
    check_refused_with(AROUND("  e: {from: s, call: x.yaml}\n", "e"), plain, 1,
                       "a pipeline that is called needs \"input\" and \"output\"");
    check_refused_with(AROUND("  e: {from: s, call: x.yaml}\n", "e"), half, 1, "\"input\" and \"output\" go together");
    check_refused(AROUND("  e: {from: s, call: x.yaml}\n", "e"),
                  "p.yaml:4:22: error: the file \"dir/x.yaml\" cannot be read");
    check_refused_with(AROUND("  e: {call: lib/enrich.yaml}\n", "e"), enrich, 2, "\"call\" needs \"from\"");
    check_refused_with(AROUND("  e: {from: s, budget: 1s, call: lib/enrich.yaml}\n", "e"), enrich, 2,
                       "are those of the nodes in its file");
}

TEST(pipeline_loop_and_cache_run_a_pipeline_of_their_own)
{
    static const struct file self[] = {
        {"dir/x.yaml",
         "pipeline: x\ninput: {}\noutput: a\nnodes: {a: {from: input, cache: {key: ., pipeline: x.yaml}}}\n"}};
    struct desk d CLEANUP(close_desk);

    load_with(
        &d, AROUND("  l: {from: s, loop: {pipeline: lib/enrich.yaml, until: .x == null, max: 3, deadline: 2s}}\n", "l"),
        enrich, 2);
    CHECK_MSG(d.error == OK, "%.*s", STR_ARG(buf_str(&d.report)));
    const struct pipeline_node *l = pipeline_find(d.s, STR("l"));
    CHECK(l->body && l->body->output);
    CHECK_EQ(l->body->node_count, 3);
    CHECK_EQ(l->rules.budget, 2 * NS_SEC);
    CHECK(l->is_recorded);
    struct desk e CLEANUP(close_desk);
    load_with(&e, AROUND("  c: {from: s, cache: {key: .k, pipeline: x.yaml}}\n", "c"), self, 1);
    CHECK_ERR(e.error, E_CONFIG);
    CHECK_MSG(str_find(buf_str(&e.report), STR("more than 8 deep")) < e.report.n, "%.*s", STR_ARG(buf_str(&e.report)));
}

/* ---- of a configuration ---- */

static const char config_text[] = "providers: {p: {simulate: true}}\nmodels: {cls: {targets: p/m}}\n";

struct loaded {
    struct desk d;
    struct catalog *catalog;
    struct pipeline_set *set;
};

static void close_loaded(struct loaded *l)
{
    pipeline_set_free(l->set);
    catalog_unref(l->catalog);
    close_desk(&l->d);
}

static void load_text(struct loaded *l, const char *text, const struct file *others, size_t n)
{
    static struct file all[8];

    *l = (struct loaded){.d = {.arena = {.max = SIZE_MAX}, .report = BUF_INIT(1 << 20)}};
    l->d.problems.arena = &l->d.arena;
    all[0] = (struct file){"etc/c.yaml", text};
    if (n)
        memcpy(all + 1, others, n * sizeof *others);
    files = all;
    file_count = n + 1;
    paths_told = 0;
    l->d.error = config_load("etc/c.yaml", STR_NONE, &env, &l->d.problems, &l->catalog);
    if (!l->d.error)
        l->d.error = pipelines_load(l->catalog, &env, NULL, &l->d.problems, &l->set);
    problems_print(&l->d.problems, &l->d.report);
}

static void load_config(struct loaded *l, const char *more, const struct file *others, size_t n)
{
    static char text[4096];

    (void)snprintf(text, sizeof text, "%s%s", config_text, more);
    load_text(l, text, others, n);
}

static const struct file folder[] = {
    {"etc/pipes/b.yaml", "pipeline: two\nsources: {s: {kafka: t}}\nnodes: {m: {from: s, model: {route: cls, prompt: "
                         "x}}}\nsinks: {k: {from: m, kafka: u}}\n"},
    {"etc/pipes/a.yaml", "pipeline: one\nsources: {s: {kafka: t}}\nsinks: {k: {from: s, kafka: u}}\n"},
    {"etc/pipes/note.txt", "x"}};

TEST(pipelines_of_a_configuration_are_files_folders_or_written_there)
{
    struct loaded l CLEANUP(close_loaded);

    load_config(&l,
                "connections: {kafka: {url: \"kafka://main:9\", password: \"${TOKEN}\"}}\npipelines:\n  - pipes\n"
                "  - {pipeline: three, sources: {s: {kafka: t}}, sinks: {k: {from: s, http: {put: 'https://h/{{.x}}', "
                "headers: {a: \"${TOKEN}\"}}}}}\n",
                folder, 3);
    CHECK_MSG(l.d.error == OK, "%.*s", STR_ARG(buf_str(&l.d.report)));
    CHECK_EQ(l.set->count, 3);
    CHECK_STR(l.set->items[0]->name, "one");
    CHECK_STR(l.set->items[1]->name, "two");
    CHECK_STR(l.set->items[2]->name, "three");
    CHECK_STR(l.set->items[0]->nodes[0]->connection->url, "kafka://main:9");
    CHECK_STR(l.set->items[2]->nodes[0]->connection->password, "t0k3n");
    CHECK_GE(paths_told, 4); /* so that a change of them is seen */
}

static void check_config_refused(const char *more, const char *want)
{
    struct loaded l CLEANUP(close_loaded);

    load_config(&l, more, folder, 3);
    CHECK_ERR(l.d.error, E_CONFIG);
    CHECK_MSG(str_find(buf_str(&l.d.report), str_from_c(want)) < l.d.report.n, "got:\n%.*s",
              STR_ARG(buf_str(&l.d.report)));
}

TEST(pipelines_of_a_configuration_are_refused_at_their_place)
{
    check_config_refused("pipelines: [pipes/a.yaml, pipes/a.yaml]\n", "there is a pipeline \"one\" already");
    check_config_refused("pipelines: nosuch.yaml\n", "etc/nosuch.yaml: error: cannot be read");
    check_config_refused("pipelines:\n  - [x]\n",
                         "etc/c.yaml:4:5: error: an entry of \"pipelines\" is a path, or a pipeline");
    check_config_refused("pipelines:\n  - {pipeline: x, sources: {s: {kafka: t}}, sinks: {k: {from: y, kafka: u}}}\n",
                         "etc/c.yaml:4:63: error: there is no source or node \"y\"");
    check_config_refused("pipelines:\n  - {pipeline: x, sources: {s: {gateway: {route: clz, wait: true}}}, sinks: {k: "
                         "{from: s, kafka: u}}}\n",
                         "the gateway has no model \"clz\", did you mean \"cls\"?");
    check_config_refused("connections: {kafka: {urll: x}}\npipelines: pipes/a.yaml\n", "unknown field \"urll\"");
    check_config_refused("pipelines: [\"${NOSUCH}\"]\n", "the environment variable NOSUCH is not set");
}

/* ---- what is printed ---- */

static const char *read_tree(const char *path, struct buf *to)
{
    static char full[4096];

    (void)snprintf(full, sizeof full, "%s/%s", test_root(), path);
    if (config_env_real()->read_file(full, 1 << 22, to) != OK)
        return NULL;
    (void)buf_add_char(to, '\0');
    return to->p;
}

static void load_example(struct desk *d)
{
    static char path[4096];
    struct pipeline_world world = {.env = config_env_real()};

    *d = (struct desk){.arena = {.max = SIZE_MAX}, .report = BUF_INIT(1 << 20)};
    d->problems.arena = &d->arena;
    (void)snprintf(path, sizeof path, "%s/examples/pipelines/support-triage/pipeline.yaml", test_root());
    d->error = pipeline_load(str_from_c(path), NULL, &world, &d->problems, &d->s);
    problems_print(&d->problems, &d->report);
}

static void check_golden(const char *name, err_t (*put)(const struct pipeline_spec *s, struct buf *to))
{
    struct desk d CLEANUP(close_desk);
    struct buf got CLEANUP(buf_release) = BUF_INIT(1 << 20), want CLEANUP(buf_release) = BUF_INIT(1 << 20);

    load_example(&d);
    CHECK_MSG(d.error == OK, "%.*s", STR_ARG(buf_str(&d.report)));
    CHECK_OK(put(d.s, &got));
    CHECK_MSG(read_tree(name, &want) != NULL, "there is no %s", name);
    CHECK_STR(buf_str(&got), want.p);
}

static err_t put_text(const struct pipeline_spec *s, struct buf *to)
{
    return draw_text(s, false, to);
}

static err_t put_ascii(const struct pipeline_spec *s, struct buf *to)
{
    return draw_text(s, true, to);
}

TEST(pipeline_of_the_example_is_explained_shown_and_drawn_as_before)
{
    check_golden("tests/unit/pipeline/explain.txt", pipeline_explain);
    check_golden("tests/unit/pipeline/show.yaml", pipeline_show);
    check_golden("tests/unit/pipeline/graph.txt", put_text);
    check_golden("tests/unit/pipeline/graph_ascii.txt", put_ascii);
    check_golden("tests/unit/pipeline/graph.svg", draw_svg);
}

TEST(pipeline_that_is_shown_loads_as_the_same)
{
    struct buf first CLEANUP(buf_release) = BUF_INIT(1 << 20), second CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct desk d CLEANUP(close_desk), again CLEANUP(close_desk);

    again = (struct desk){.s = NULL};
    CHECK(read_tree("tests/fuzz/corpus/pipeline/kinds", &text) != NULL);
    load(&d, text.p);
    CHECK_MSG(d.error == OK, "%.*s", STR_ARG(buf_str(&d.report)));
    CHECK_OK(pipeline_show(d.s, &first));
    CHECK(str_find(buf_str(&first), STR("password: \"***\"")) < first.n); /* secrets are not shown */
    (void)buf_add_char(&first, '\0');
    load(&again, first.p);
    CHECK_MSG(again.error == OK, "%.*s", STR_ARG(buf_str(&again.report)));
    CHECK_OK(pipeline_show(again.s, &second));
    CHECK_STR(buf_str(&second), first.p);
}

/* Boxes of one layer are apart, and every text is within its box. */
TEST(pipeline_pictures_keep_boxes_apart)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct desk d CLEANUP(close_desk);
    struct drawing g;

    CHECK(read_tree("tests/fuzz/corpus/pipeline/kinds", &text) != NULL);
    load(&d, text.p);
    CHECK_OK(d.error);
    CHECK_OK(draw_layout(d.s, &d.arena, &g));
    CHECK_GT(g.cell_count, d.s->node_count); /* some edges are long */
    for (size_t l = 0; l < g.layer_count; l++)
        for (size_t i = 0; i < g.layers[l].count; i++) {
            const struct draw_cell *c = &g.cells[g.layers[l].cells[i]],
                                   *before = i ? &g.cells[g.layers[l].cells[i - 1]] : NULL;
            CHECK_GE(c->x, before ? before->x + before->width + DRAW_GAP : 0);
            CHECK_LE(c->x + c->width, g.width);
            if (c->node != DRAW_NO_NODE)
                CHECK_LE(d.s->nodes[c->node]->name.n + 4, (size_t)c->width);
        }
    for (size_t i = 0; i < g.link_count; i++) {
        const struct draw_cell *from = &g.cells[g.links[i].from], *to = &g.cells[g.links[i].to];
        CHECK_EQ(to->layer, from->layer + 1);
        CHECK(g.links[i].out >= from->x && g.links[i].out < from->x + from->width);
        CHECK(g.links[i].in >= to->x && g.links[i].in < to->x + to->width);
    }
}

/* Blocks of YAML in the document are whole configurations. */
TEST(pipeline_examples_of_the_documentation_load)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 21);
    struct loaded l CLEANUP(close_loaded);
    static char block[4096];

    l = (struct loaded){.set = NULL};
    const char *from = read_tree("docs/pipelines.md", &text);
    from = from ? strstr(from, "```yaml\n") : NULL;
    CHECK(from != NULL);
    from += strlen("```yaml\n");
    (void)snprintf(block, sizeof block, "%.*s", (int)(strstr(from, "```") - from), from);
    load_text(&l, block, NULL, 0);
    CHECK_MSG(l.d.error == OK, "%.*s", STR_ARG(buf_str(&l.d.report)));
    CHECK_EQ(l.set->count, 1);
}

static void check_generated(const char *document, const char *command, err_t (*print)(struct buf *to))
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 21), want CLEANUP(buf_release) = BUF_INIT(1 << 21);
    static char begin[256];

    (void)snprintf(begin, sizeof begin, "<!-- begin generated: %s -->\n", command);
    CHECK(read_tree(document, &text) != NULL);
    const char *from = strstr(text.p, begin), *to = from ? strstr(from, "<!-- end generated -->\n") : NULL;
    CHECK_MSG(from && to, "%s: no place for %s", document, command);
    CHECK_OK(print(&want));
    from += strlen(begin);
    CHECK_MSG(str_eq(str_of(from, (size_t)(to - from)), buf_str(&want)), "%s is out of date: make reference", document);
}

TEST(pipeline_documents_hold_what_the_tables_say)
{
    check_generated("docs/pipelines.md", "crossdock schema --pipeline --markdown", pipeline_reference);
    check_generated("docs/guarantees.md", "crossdock pipeline guarantees", promise_tables);
}
