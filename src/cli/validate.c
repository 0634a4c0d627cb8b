/* validate.c - crossdock validate SCHEMA [FILE]: hold a JSON document against a JSON Schema, and say what is wrong with it and where. */
#include "cli/cli.h"
#include "cli/schema_file.h"

enum { SHOWN = 100, RESOURCES_MAX = 64 };

static void print_problems(const char *path, const struct jsonschema_report *report, struct arena *arena)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct jsonschema_problem *p = &report->problems[i];
        (void)printf("%.*s: \"%.*s\" %.*s (schema: %.*s)\n", STR_ARG(schema_file_place(path, p->node, arena)),
                     STR_ARG(p->instance), STR_ARG(p->text), STR_ARG(p->keyword));
    }
    if (report->more)
        (void)printf("%s: there are more problems\n", path);
}

static int validate(const struct jsonschema *schema, const char *path, struct arena *arena)
{
    struct jsonschema_report report = {.max = SHOWN};
    const struct json_tree *tree = schema_file_read(path, arena);
    bool valid;

    if (!tree)
        return EXIT_FAILED;
    report.problems = arena_zalloc(arena, SHOWN * sizeof *report.problems);
    err_t e = jsonschema_validate(schema, json_tree_root(tree), arena, &report, &valid);
    if (e) {
        (void)fprintf(stderr, "%s: error: %s\n", path, err_detail(e));
        return EXIT_FAILED;
    }
    print_problems(path, &report, arena);
    return valid ? EXIT_OK : EXIT_FAILED;
}

/* "URI=FILE,URI=FILE" */
static bool read_resources(const char *text, struct jsonschema_resource *resources, size_t *count, struct arena *arena)
{
    struct str rest = str_from_c(text);

    while (rest.n) {
        struct str path = str_cut(&rest, ','), uri = str_cut(&path, '=');
        if (!path.n || *count == RESOURCES_MAX) {
            (void)fputs("crossdock validate: --resources takes URI=FILE,…, at most 64 of them\nTry 'crossdock validate "
                        "--help'.\n",
                        stderr);
            return false;
        }
        const struct json_tree *tree = schema_file_read(arena_str(arena, path).p, arena);
        if (!tree)
            return false;
        resources[(*count)++] = (struct jsonschema_resource){uri, tree};
    }
    return true;
}

static int run_validation(char **operands, int count, const struct option_value *given)
{
    struct arena arena CLEANUP(arena_release);
    struct jsonschema_options options = {.assert_formats = given[1].value != NULL};
    const char *draft = given[2].value;

    arena_init(&arena, SIZE_MAX / 2);
    if (draft && strcmp(draft, "7") != 0 && strcmp(draft, "2020-12") != 0) {
        (void)fputs("crossdock validate: --draft is 2020-12 or 7\nTry 'crossdock validate --help'.\n", stderr);
        return EXIT_USAGE;
    }
    options.draft = draft && strcmp(draft, "7") == 0 ? JSONSCHEMA_DRAFT_07 : JSONSCHEMA_2020_12;
    struct jsonschema_resource *resources = arena_zalloc(&arena, RESOURCES_MAX * sizeof *resources);
    options.resources = resources;
    if (given[0].value && !read_resources(given[0].value, resources, &options.resource_count, &arena))
        return EXIT_USAGE;
    const struct jsonschema *schema = schema_file_compile(operands[0], &options, &arena);
    return schema ? validate(schema, count > 1 ? operands[1] : "-", &arena) : EXIT_CONFIG;
}

static int run(int argc, char **argv)
{
    struct option_value options[] = {{"resources", true, NULL}, {"formats", false, NULL}, {"draft", true, NULL}};
    int operands, e = cli_parse(&command_validate, argc, argv, options, ARRAY_LEN(options), 2, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (!operands) {
        (void)fputs("crossdock validate: a schema is missing\nTry 'crossdock validate --help'.\n", stderr);
        return EXIT_USAGE;
    }
    return run_validation(argv + 1, operands, options);
}

const struct command command_validate = {
    .name = "validate",
    .summary = "hold a JSON document against a JSON Schema",
    .help = "Usage: crossdock validate SCHEMA [FILE] [--formats] [--draft 2020-12|7] [--resources URI=FILE,...]\n\n"
            "Says what is wrong with a JSON document (standard input if no file is named), a line for each problem:\n"
            "its place, the JSON pointer, what must be, and which keyword of the schema says so.\n\n"
            "  --formats             check \"format\" as well\n"
            "  --draft 2020-12|7     the draft of schemas that do not name it with \"$schema\"; 2020-12 by default\n"
            "  --resources U=F,...   documents that the schema refers to; nothing is ever fetched\n\n"
            "Exit codes: 0 valid; 1 not valid, or the document cannot be read; 2 wrong command line; 3 the schema is "
            "invalid.\n",
    .run = run,
};
