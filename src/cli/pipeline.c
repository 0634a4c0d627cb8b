/* pipeline.c - crossdock pipeline …: what pipelines there are, what they promise and why, and what they look like. */
#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/pipelines.h"
#include "pipeline/spec/draw.h"
#include "pipeline/spec/explain.h"
#include "pipeline/spec/promise.h"

#include <stdio.h>

enum { TEXT_MAX = 64 * 1024 * 1024 };

struct options {
    bool svg, ascii;
    const char *journal;
    struct pipeline_test_options test;
};

static err_t put_explanation(const struct pipeline_spec *s, const struct options *o, struct buf *to)
{
    (void)o;
    return pipeline_explain(s, to);
}

static err_t put_file(const struct pipeline_spec *s, const struct options *o, struct buf *to)
{
    (void)o;
    return pipeline_show(s, to);
}

static err_t put_graph(const struct pipeline_spec *s, const struct options *o, struct buf *to)
{
    return o->svg ? draw_svg(s, to) : draw_text(s, o->ascii, to);
}

static err_t put_line(const struct pipeline_spec *s, const struct options *o, struct buf *to)
{
    (void)o;
    return buf_addf(to, "%.*s  version %u, %u sources, %u nodes, %u sinks%s  %.*s\n", STR_ARG(s->name), s->version,
                    s->source_count - !!s->output, s->node_count - s->source_count - s->sink_count, s->sink_count,
                    s->output ? ", to be called" : "", STR_ARG(s->path));
}

static const struct action {
    const char *name;
    err_t (*put)(const struct pipeline_spec *s, const struct options *o, struct buf *to);
    bool is_of_one; /* of several pipelines, one must be named */
} actions[] = {{"list", put_line, false},  {"show", put_file, false}, {"explain", put_explanation, false},
               {"graph", put_graph, true}, {"run", NULL, true},       {"test", NULL, true}};

static int run_guarantees(struct buf *text)
{
    if (promise_tables(text) != OK)
        return EXIT_FAILED;
    (void)fwrite(text->p, 1, text->n, stdout);
    return EXIT_OK;
}

static int put_all(const struct action *action, const struct pipeline_set *set, const char *name,
                   const struct options *o, struct buf *text)
{
    size_t count = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct pipeline_spec *s = set->items[i];
        if (name && !str_eq(s->name, str_from_c(name)))
            continue;
        if (count && action->put != put_line)
            (void)buf_add_char(text, '\n');
        if (action->put(s, o, text) != OK) {
            (void)fprintf(stderr, "crossdock pipeline: %s\n", err_detail(E_TOO_LARGE));
            return EXIT_FAILED;
        }
        count++;
    }
    if (name && !count) {
        (void)fprintf(stderr, "crossdock pipeline: there is no pipeline '%s'\n", name);
        return EXIT_FAILED;
    }
    (void)fwrite(text->p ? text->p : "", 1, text->n, stdout);
    return EXIT_OK;
}

static int run_one(const struct action *action, const struct pipeline_set *set, struct catalog *catalog,
                   const char *name, const struct options *o)
{
    bool is_test = strcmp(action->name, "test") == 0;

    for (size_t i = 0; i < set->count; i++)
        if (name ? str_eq(set->items[i]->name, str_from_c(name)) : set->count == 1)
            return is_test ? pipeline_test(set->items[i], catalog, &o->test)
                           : pipeline_run(set->items[i], catalog, o->journal);
    (void)fprintf(stderr, "crossdock pipeline %s: %s\n", action->name,
                  name ? "there is no pipeline of that name" : "name one of them");
    return EXIT_USAGE;
}

static int run_action(const struct action *action, const char *path, const char *name, const struct options *o)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf text CLEANUP(buf_release) = BUF_INIT(TEXT_MAX), report CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct problems problems = {.arena = &arena};
    struct pipeline_set *set;
    struct catalog *catalog;

    if (!action->put)
        cli_begin_serving(); /* before anything is loaded: it changes how names are hashed */
    err_t e = load_pipelines(path, &problems, &set, &catalog);
    problems_print(&problems, &report);
    (void)fwrite(report.p ? report.p : "", 1, report.n, stderr);
    if (e) {
        if (!problems.errors)
            (void)fprintf(stderr, "%s: error: %s\n", path, err_detail(e));
        return EXIT_CONFIG;
    }
    int code = EXIT_USAGE;
    if (!action->put)
        code = run_one(action, set, catalog, name, o);
    else if (action->is_of_one && !name && set->count > 1)
        (void)fprintf(stderr, "crossdock pipeline %s: there are %zu pipelines: name one of them\n", action->name,
                      set->count);
    else
        code = put_all(action, set, name, o, &text);
    pipeline_set_free(set);
    catalog_unref(catalog);
    return code;
}

static int usage(const char *what)
{
    (void)fprintf(stderr, "crossdock pipeline: %s\nTry 'crossdock pipeline --help'.\n", what);
    return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    struct option_value values[] = {{"svg", false, NULL},    {"ascii", false, NULL},   {"journal", true, NULL},
                                    {"seed", true, NULL},    {"rounds", true, NULL},   {"only", true, NULL},
                                    {"junit", true, NULL},   {"cassette", true, NULL}, {"record", false, NULL},
                                    {"json", false, NULL},   {"admin", true, NULL},    {"key", true, NULL},
                                    {"key-file", true, NULL}};
    int operands, e = cli_parse(&command_pipeline, argc, argv, values, ARRAY_LEN(values), 3, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (operands == 0)
        return usage("what? run, test, trace, list, show, explain, graph or guarantees");
    const struct options options = {.svg = values[0].value,
                                    .ascii = values[1].value,
                                    .journal = values[2].value,
                                    .test = {.seed = values[3].value,
                                             .rounds = values[4].value,
                                             .only = values[5].value,
                                             .junit = values[6].value,
                                             .cassette = values[7].value,
                                             .records = values[8].value}};
    const struct admin_options admin = {.url = values[10].value, .key = values[11].value, .key_file = values[12].value};
    if ((options.svg || options.ascii) && strcmp(argv[1], "graph") != 0)
        return usage("--svg and --ascii go with graph");
    if (strcmp(argv[1], "trace") == 0)
        return operands > 2 ? usage("trace takes one id")
                            : pipeline_trace(options.journal, &admin, operands > 1 ? argv[2] : NULL, values[9].value);
    if (strcmp(argv[1], "guarantees") == 0)
        return operands == 1 ? run_guarantees(&text) : usage("guarantees takes no file");
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (strcmp(actions[i].name, argv[1]) != 0)
            continue;
        if (operands < 2)
            return usage("name a pipeline file, or a configuration");
        return run_action(&actions[i], argv[2], operands > 2 ? argv[3] : NULL, &options);
    }
    return usage("what? run, test, trace, list, show, explain, graph or guarantees");
}

const struct command command_pipeline = {
    .name = "pipeline",
    .summary = "show and explain pipelines, and draw them",
    .help =
        "Usage: crossdock pipeline list|show|explain|graph FILE [NAME] [--svg] [--ascii]\n"
        "       crossdock pipeline run FILE [NAME] [--journal FILE]\n"
        "       crossdock pipeline test FILE [NAME] [--only TEXT] [--seed N] [--rounds N] [--junit FILE]\n"
        "                               [--cassette FILE] [--record]\n"
        "       crossdock pipeline trace [ID] [--json] [--journal FILE]\n"
        "       crossdock pipeline guarantees\n\n"
        "FILE is a pipeline file, or a configuration whose pipelines are meant; NAME one of them.\n\n"
        "  list         a line for each\n"
        "  show         the file as it is understood: defaults filled in, calls put in, nodes in order\n"
        "  explain      what holds from each source to each sink and what limits it, the time that there is,\n"
        "               what is journaled, and what each node reads\n"
        "  graph        the graph, in the characters of a terminal (--ascii: plain ones), or as --svg\n"
        "  run          run it, with its journal in a file (else in memory), until its sources end or a signal comes\n"
        "  test         run the tests that it names, in virtual time; --seed N draws other orders of what happens at\n"
        "               once, --rounds N several of them; --junit FILE writes a report; what nodes that ask others\n"
        "               are answered is in --cassette FILE (default: the pipeline's path and .cassette), and --record\n"
        "               asks them really and writes it: models those of FILE, which is a configuration then\n"
        "  trace        what became of a message, step by step; without ID a line for each that is over. Asks the\n"
        "               running server, or looks into the journal of one that does not run\n"
        "  guarantees   what every kind of source and sink can promise, as Markdown\n\n" ADMIN_OPTIONS_HELP
        "\nExit codes: 0 done; 1 there is no such pipeline, or it is too large to be drawn; 3 it is invalid.\n",
    .run = run,
};
