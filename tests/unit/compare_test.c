/* compare_test.c - two versions of a pipeline, and who is hurt by what is different. */
#include "pipeline/spec/compare.h"
#include "test.h"

#include <stdio.h>

enum { TEXTS = 3 };

/* A version: its file, and the schemas a.json and b.json. */
struct version {
    const char *file, *a, *b;
};

static struct pipeline_spec *load(const struct version *v, struct arena *arena)
{
    const struct pipeline_text texts[TEXTS] = {{STR("p.yaml"), str_from_c(v->file)},
                                               {STR("a.json"), str_from_c(v->a ? v->a : "true")},
                                               {STR("b.json"), str_from_c(v->b ? v->b : "true")}};
    const struct pipeline_world world = {.env = config_env_real(), .texts = texts, .text_count = TEXTS};
    struct problems problems = {.arena = arena};
    struct pipeline_spec *spec = NULL;

    if (pipeline_load(STR("p.yaml"), NULL, &world, &problems, &spec) != OK)
        for (size_t i = 0; i < problems.count; i++)
            (void)printf("# %u:%u %.*s\n", problems.items[i].line, problems.items[i].column,
                         STR_ARG(problems.items[i].text));
    if (!spec)
        test_fail_(__FILE__, __LINE__, "it does not load");
    return spec;
}

struct compared {
    struct arena arena;
    struct impacts impacts;
};

static void release(struct compared *c)
{
    arena_release(&c->arena);
}

static void compare(struct compared *c, const struct version *old, const struct version *candidate)
{
    arena_init(&c->arena, SIZE_MAX);
    c->impacts = (struct impacts){.arena = &c->arena};
    struct pipeline_spec *x = load(old, &c->arena), *y = load(candidate, &c->arena);

    if (x && y)
        CHECK_OK(pipeline_compare(x, y, &c->impacts));
    pipeline_unref(x);
    pipeline_unref(y);
}

/* The first of that weight at that place. */
static const struct impact *find(const struct compared *c, enum impact_weight weight, const char *where)
{
    for (size_t i = 0; i < c->impacts.count; i++)
        if (c->impacts.items[i].weight == weight && str_eq(c->impacts.items[i].where, str_from_c(where)))
            return &c->impacts.items[i];
    for (size_t i = 0; i < c->impacts.count; i++)
        (void)printf("# %s %.*s: %.*s\n", impact_weight_name(c->impacts.items[i].weight),
                     STR_ARG(c->impacts.items[i].where), STR_ARG(c->impacts.items[i].text));
    test_fail_(__FILE__, __LINE__, "nothing of weight %s at %s", impact_weight_name(weight), where);
    return NULL;
}

static bool says(const struct impact *i, const char *text)
{
    return i && str_find(i->text, str_from_c(text)) < i->text.n;
}

#define HEAD "pipeline: p\nschemas: {a: a.json, b: {file: b.json, compat: none}}\n"
#define SOURCE "sources: {in: {files: {path: /x, follow: false}, out: a}}\n"
#define SINK(from) "sinks: {out: {from: " from ", sqlite: {file: /y, table: t}}}\n"
#define MODEL                                                                                                          \
    "nodes:\n  ask: {from: in, model: {route: m, prompt: '{{.text}}', output_schema: b}}\n"                            \
    "  look: {from: ask, map: '{label: .label}'}\n"

static const char ticket[] = "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"},\"text\":{\"type\":"
                             "\"string\"}},\"required\":[\"id\",\"text\"]}";
static const char labels[] =
    "{\"type\":\"object\",\"properties\":{\"label\":{\"enum\":[\"x\",\"y\"]},\"score\":{\"type\":\"number\"}},"
    "\"required\":[\"label\",\"score\"]}";

TEST(compare_of_a_version_with_itself_finds_nothing)
{
    const struct version v = {HEAD SOURCE MODEL SINK("look"), ticket, labels};
    struct compared c CLEANUP(release);

    compare(&c, &v, &v);
    CHECK_EQ(c.impacts.count, 0);
}

TEST(compare_names_the_reader_of_a_member_that_is_written_no_more)
{
    const char *without = "{\"type\":\"object\",\"properties\":{\"label\":{\"enum\":[\"x\",\"y\",\"z\"]}},"
                          "\"required\":[\"label\"]}";
    const char *reader =
        HEAD SOURCE "nodes:\n  ask: {from: in, model: {route: m, prompt: '{{.text}}', output_schema: b}}\n"
                    "  pass: {from: ask, filter: '(.label // \"\") == \"x\"'}\n" SINK("pass");
    const struct version old = {reader, ticket, labels}, candidate = {reader, ticket, without};
    struct compared c CLEANUP(release);

    compare(&c, &old, &candidate);
    /* `pass` looks at the label only, of which there is a new one; the sink gets everything. */
    const struct impact *i = find(&c, IMPACT_BREAKS, "node ask");
    CHECK(i && i->hit_count == 1);
    if (i) {
        CHECK_STR(i->hit[0], "pass");
        CHECK_STR(i->document, "{\"label\":\"z\"}");
    }
    i = find(&c, IMPACT_BREAKS, "sink out");
    CHECK(says(i, "do not know"));
    CHECK(i && i->document.n > 0);
}

TEST(compare_is_content_when_only_what_nobody_reads_has_changed)
{
    const char *more = "{\"type\":\"object\",\"properties\":{\"label\":{\"enum\":[\"x\",\"y\"]},\"score\":{\"type\":"
                       "\"number\"},\"why\":{\"type\":\"string\"}},\"required\":[\"label\",\"score\"]}";
    const struct version old = {HEAD SOURCE MODEL SINK("look"), ticket, labels},
                         candidate = {HEAD SOURCE MODEL SINK("look"), ticket, more};
    struct compared c CLEANUP(release);

    compare(&c, &old, &candidate);
    CHECK(says(find(&c, IMPACT_NOTE, "schema b"), ".why"));
    CHECK_EQ(c.impacts.breaks, 0);
    CHECK_EQ(c.impacts.unknown, 0);
}

TEST(compare_holds_a_schema_to_the_level_of_the_version_that_runs)
{
    const char *strict = "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"},\"text\":{\"type\":"
                         "\"string\"},\"lang\":{\"type\":\"string\"}},\"required\":[\"id\",\"text\",\"lang\"]}";
    const struct version
        old = {HEAD SOURCE MODEL SINK("look"), ticket, labels},
        candidate = {
            "pipeline: p\nschemas: {a: {file: a.json, compat: none}, b: {file: b.json, compat: none}}\n" SOURCE MODEL
                SINK("look"),
            strict, labels};
    struct compared c CLEANUP(release);

    compare(&c, &old, &candidate);
    const struct impact *i = find(&c, IMPACT_BREAKS, "schema a");
    CHECK(says(i, "does not understand the old one"));
    CHECK(says(find(&c, IMPACT_NOTE, "schema a"), "level"));
}

TEST(compare_finds_messages_that_their_reader_does_not_understand_any_more)
{
    const char *narrower = "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"},\"text\":{\"type\":"
                           "\"string\",\"maxLength\":9}},"
                           "\"required\":[\"id\",\"text\"]}";
    const struct version old = {HEAD SOURCE MODEL SINK("look"), ticket, labels},
                         candidate = {HEAD SOURCE MODEL SINK("look"), narrower, labels};
    struct compared c CLEANUP(release);

    compare(&c, &old, &candidate);
    const struct impact *i = find(&c, IMPACT_BREAKS, "source in");
    CHECK(says(i, "not understood"));
    CHECK(i && i->hit_count == 1 && str_eq(i->hit[0], STR("ask")));
}

TEST(compare_says_unknown_where_nobody_declared_what_a_changed_node_yields)
{
    const char
        *plain =
            "pipeline: p\nsources: {in: {files: {path: /x, follow: false}}}\n"
            "nodes: {a: {from: in, map: '.x'}, b: {from: in, map: '.y'}}\n"
            "sinks: {out: {from: a, sqlite: {file: /y, table: t}}, other: {from: b, sqlite: {file: /z, table: t}}}\n",
        *other =
            "pipeline: p\nsources: {in: {files: {path: /x, follow: false}}}\n"
            "nodes: {a: {from: in, map: '.z'}, b: {from: in, map: '.y'}}\n"
            "sinks: {out: {from: a, sqlite: {file: /y, table: t}}, other: {from: b, sqlite: {file: /z, table: t}}}\n";
    const struct version old = {plain, NULL, NULL}, candidate = {other, NULL, NULL};
    struct compared c CLEANUP(release);

    compare(&c, &old, &candidate);
    CHECK(says(find(&c, IMPACT_UNKNOWN, "node a"), "declare"));
    CHECK(says(find(&c, IMPACT_UNKNOWN, "sink out"), "declare"));
    CHECK_EQ(c.impacts.unknown, 2); /* and nothing of b and `other` */
    CHECK_EQ(c.impacts.breaks, 0);
}

TEST(compare_takes_a_file_that_an_entry_names_for_a_part_of_it)
{
    const char *file = "pipeline: p\nsources: {in: {files: {path: /x, follow: false}}}\n"
                       "nodes: {a: {from: in, model: {route: m, prompt: b.txt}}}\n" SINK("a");
    const struct pipeline_text x[] = {{STR("p.yaml"), str_from_c(file)}, {STR("b.txt"), STR("say {{.a}}")}},
                               y[] = {{STR("p.yaml"), str_from_c(file)}, {STR("b.txt"), STR("tell {{.a}}")}};
    struct pipeline_world world = {.env = config_env_real(), .texts = x, .text_count = 2};
    struct compared c CLEANUP(release) = {.impacts = {.arena = &c.arena}};
    struct problems problems = {.arena = &c.arena};
    struct pipeline_spec *old = NULL, *candidate = NULL;

    arena_init(&c.arena, SIZE_MAX);
    CHECK_OK(pipeline_load(STR("p.yaml"), NULL, &world, &problems, &old));
    world.texts = y;
    CHECK_OK(pipeline_load(STR("p.yaml"), NULL, &world, &problems, &candidate));
    CHECK_OK(pipeline_compare(old, candidate, &c.impacts));
    CHECK(says(find(&c, IMPACT_NOTE, "node a"), "file"));
    CHECK(says(find(&c, IMPACT_NOTE, "pipeline p"), "version is still"));
    pipeline_unref(old);
    pipeline_unref(candidate);
}

TEST(compare_tells_promises_that_become_less_and_ways_that_are_gone)
{
    const char *keeps =
                   "pipeline: p\ndelivery: at_least_once\nsources: {in: {files: {path: /x, follow: false}}}\n" SINK(
                       "in"),
               *posts = "pipeline: p\ndelivery: at_least_once\nsources: {in: {files: {path: /x, follow: false}}}\n"
                        "sinks: {out: {from: in, http: {post: 'http://h/'}, effect: at_least_once}}\n",
               *nobody = "pipeline: p\ndelivery: at_least_once\nsources: {in: {files: {path: /x, follow: false}}}\n"
                         "sinks: {else: {from: in, sqlite: {file: /y, table: t}}}\n";
    const struct version old = {keeps, NULL, NULL}, weaker = {posts, NULL, NULL}, gone = {nobody, NULL, NULL};

    {
        struct compared c CLEANUP(release);
        compare(&c, &old, &weaker);
        CHECK(says(find(&c, IMPACT_BREAKS, "in -> out"), "promised exactly once, and promises at least once"));
        CHECK(says(find(&c, IMPACT_BREAKS, "sink out"), "was \"sqlite\", and is \"http\""));
    }
    {
        struct compared c CLEANUP(release);
        compare(&c, &weaker, &old);
        CHECK(says(find(&c, IMPACT_NOTE, "in -> out"), "promises exactly once"));
    }
    {
        struct compared c CLEANUP(release);
        compare(&c, &old, &gone);
        CHECK(says(find(&c, IMPACT_BREAKS, "sink out"), "gone"));
        CHECK(says(find(&c, IMPACT_NOTE, "sink else"), "new"));
    }
}

TEST(compare_refuses_vectors_of_another_model)
{
    const char *of_a = "pipeline: p\nsources: {in: {files: {path: /x, follow: false}}}\nnodes: {e: {from: in, model: "
                       "{route: m, input: '.t'}, out: {embedding: {model: e5, dim: 3}}}}\n" SINK("e"),
               *of_b = "pipeline: p\nsources: {in: {files: {path: /x, follow: false}}}\nnodes: {e: {from: in, model: "
                       "{route: m, input: '.t'}, out: {embedding: {model: bge, dim: 4}}}}\n" SINK("e");
    const struct version old = {of_a, NULL, NULL}, candidate = {of_b, NULL, NULL};
    struct compared c CLEANUP(release);

    compare(&c, &old, &candidate);
    CHECK(says(find(&c, IMPACT_BREAKS, "node e"), "were those of e5, and are those of bge"));
    CHECK(find(&c, IMPACT_BREAKS, "sink out") != NULL); /* of another length */
}

TEST(compare_of_another_name_begins_anew)
{
    const struct version old = {"pipeline: p\nsources: {in: {files: {path: /x, follow: false}}}\n" SINK("in"), NULL,
                                NULL},
                         candidate = {"pipeline: q\nsources: {in: {files: {path: /x, follow: false}}}\n" SINK("in"),
                                      NULL, NULL};
    struct compared c CLEANUP(release);

    compare(&c, &old, &candidate);
    CHECK(says(find(&c, IMPACT_BREAKS, "pipeline p"), "begin anew"));
}
