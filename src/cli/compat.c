/*
 * compat.c - crossdock compat OLD... NEW: what changed between versions of a schema, and whether the new one may follow the others. With --candidate it is about pipelines
 * (compat_pipeline.c).
 */
#include "jsonschema/compat.h"
#include "cli/cli.h"
#include "cli/compat_pipeline.h"
#include "cli/schema_file.h"
#include "expr/schema_type.h"

enum { VERSIONS_MAX = 100, READS_MAX = 200 };

struct question {
    struct inclusion_options options;
    enum compat_level level;
    struct str reads[READS_MAX];
    const char *program; /* that reads; NULL: --reads says what is read */
    bool is_quiet;
};

static int usage(const char *what)
{
    (void)fprintf(stderr, "crossdock compat: %s\nTry 'crossdock compat --help'.\n", what);
    return EXIT_USAGE;
}

/* --- what is asked --- */

static int read_options(const struct option_value *given, struct question *q)
{
    static const char *const readings[] = {"honest", "strict", "usage"};
    struct str reads = str_from_c(given[2].value);
    bool known = !given[1].value;

    for (unsigned i = 0; given[1].value && i < ARRAY_LEN(readings); i++)
        if (strcmp(given[1].value, readings[i]) == 0) {
            q->options.reading = (enum inclusion_reading)i;
            known = true;
        }
    if (!known)
        return usage("--reading is strict, honest or usage");
    if (!compat_level_find(str_from_c(given[0].value ? given[0].value : "BACKWARD"), &q->level))
        return usage("--level is NONE, or BACKWARD, FORWARD or FULL, each also with _TRANSITIVE");
    while (reads.n && q->options.read_count < READS_MAX)
        q->reads[q->options.read_count++] = str_trim(str_cut(&reads, ','));
    if (reads.n)
        return usage("--reads has too many paths");
    q->program = given[3].value;
    if ((q->options.reading == INCLUSION_USAGE ? 1 : 0) != (given[2].value ? 1 : 0) + (q->program ? 1 : 0))
        return usage("--reading usage goes with either --reads or --reads-of, and the other way round");
    q->options.reads = q->reads;
    q->is_quiet = given[4].value != NULL;
    return EXIT_OK;
}

/* What a program reads whose input is of the reader's schema. */
static int reads_of(const struct jsonschema *schema, struct question *q, struct arena *arena)
{
    const struct expr_env env = {.input = expr_type_of_schema(schema, arena)};
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct expr_problem problem;
    const struct expr *expr;

    if (expr_compile(arena, str_from_c(q->program), &env, &expr, &problem) != OK) {
        expr_problem_print(&problem, str_from_c(q->program), &text);
        (void)fwrite(text.p, 1, text.n, stderr);
        return EXIT_CONFIG;
    }
    q->options.reads = expr_reads(expr, &q->options.read_count);
    return EXIT_OK;
}

/* --- what is answered --- */

static err_t print_differences(const struct jsonschema *old, const struct jsonschema *candidate, struct arena *arena)
{
    const struct schema_difference *list;
    size_t count;

    TRY(schema_diff(old, candidate, arena, &list, &count));
    for (size_t i = 0; i < count; i++)
        (void)printf("%-12s %.*s%s%.*s\n", schema_change_name(list[i].change), STR_ARG(list[i].path),
                     list[i].text.n ? "  " : "", STR_ARG(list[i].text));
    return OK;
}

static void print_problem(const struct compat_problem *p, char **paths, const char *candidate)
{
    const char *writer = p->is_forward ? candidate : paths[p->version],
               *reader = p->is_forward ? paths[p->version] : candidate;

    if (p->result.verdict == INCLUSION_UNKNOWN) {
        (void)printf("unknown: whether %s understands all that %s allows: %.*s\n", reader, writer,
                     STR_ARG(p->result.why));
        return;
    }
    (void)printf("incompatible: %s allows %.*s\n  %s says: \"%.*s\" %.*s\n", writer, STR_ARG(p->result.document),
                 reader, STR_ARG(p->result.path), STR_ARG(p->result.why));
}

static int answer(char **paths, size_t count, struct question *q, struct arena *arena)
{
    const struct jsonschema *schemas[VERSIONS_MAX];
    const struct compat_problem *problems;
    size_t problem_count;

    for (size_t i = 0; i < count; i++) {
        schemas[i] = schema_file_compile(paths[i], &(struct jsonschema_options){.assert_formats = true}, arena);
        if (!schemas[i])
            return EXIT_CONFIG;
    }
    bool is_forward = q->level == COMPAT_FORWARD || q->level == COMPAT_FORWARD_TRANSITIVE;
    int refused = q->program ? reads_of(schemas[is_forward ? count - 2 : count - 1], q, arena) : EXIT_OK;
    if (refused)
        return refused;
    err_t e = q->is_quiet ? OK : print_differences(schemas[count - 2], schemas[count - 1], arena);
    if (!e)
        e = compat_check(schemas, count - 1, schemas[count - 1], q->level, &q->options, arena, &problems,
                         &problem_count);
    if (e) {
        (void)fprintf(stderr, "crossdock compat: %s\n", err_detail(e));
        return e == E_PARSE ? EXIT_USAGE : EXIT_FAILED;
    }
    for (size_t i = 0; i < problem_count; i++)
        print_problem(&problems[i], paths, paths[count - 1]);
    if (!problem_count)
        (void)printf("compatible: %s, %s\n", paths[count - 1], compat_level_name(q->level));
    return problem_count ? EXIT_FAILED : EXIT_OK;
}

/* The options behind those of schemas. */
enum { FIRST_OF_PIPELINES = 5 };

static int run_pipelines(const struct option_value *given, const char *running)
{
    const struct option_value *own = given + FIRST_OF_PIPELINES;
    const struct compat_pipeline_options o = {.running = running,
                                              .candidate = own[0].value,
                                              .journal = own[1].value,
                                              .is_strict = own[2].value,
                                              .wants_json = own[3].value,
                                              .replay = own[4].value,
                                              .alpha = own[5].value,
                                              .is_exact = own[6].value,
                                              .is_quiet = given[FIRST_OF_PIPELINES - 1].value};

    for (size_t i = 0; i + 1 < FIRST_OF_PIPELINES; i++)
        if (given[i].value)
            return usage("--level and --reading are about schemas: of pipelines their files say it");
    return compat_pipeline(&o);
}

static bool has_pipeline_option(const struct option_value *given, size_t count)
{
    for (size_t i = FIRST_OF_PIPELINES; i < count; i++)
        if (given[i].value)
            return true;
    return false;
}

static int run(int argc, char **argv)
{
    struct option_value options[] = {{"level", true, NULL},    {"reading", true, NULL}, {"reads", true, NULL},
                                     {"reads-of", true, NULL}, {"quiet", false, NULL},  {"candidate", true, NULL},
                                     {"journal", true, NULL},  {"strict", false, NULL}, {"json", false, NULL},
                                     {"replay", true, NULL},   {"alpha", true, NULL},   {"exact", false, NULL}};
    struct arena arena CLEANUP(arena_release);
    int operands, e = cli_parse(&command_compat, argc, argv, options, ARRAY_LEN(options), VERSIONS_MAX, &operands);

    arena_init(&arena, SIZE_MAX / 2);
    if (e)
        return e < 0 ? EXIT_OK : e;
    if (options[FIRST_OF_PIPELINES].value)
        return operands > 1 ? usage("name one file, of what runs now")
                            : run_pipelines(options, operands ? argv[1] : NULL);
    if (has_pipeline_option(options, ARRAY_LEN(options)))
        return usage("--journal, --strict, --json, --replay, --alpha and --exact go with --candidate");
    if (operands < 2)
        return usage("name at least two schemas, the new one last");
    struct question *question = arena_new(&arena, struct question);
    e = read_options(options, question);
    return e ? e : answer(argv + 1, (size_t)operands, question, &arena);
}

const struct command command_compat = {
    .name = "compat",
    .summary = "compare versions of a JSON Schema, or of pipelines",
    .help =
        "Usage: crossdock compat OLD... NEW [--level LEVEL] [--reading strict|honest|usage]\n"
        "                        [--reads PATH,...] [--reads-of PROGRAM] [--quiet]\n"
        "       crossdock compat [RUNNING] --candidate FILE [--journal FILE] [--replay N [--alpha SHARE] [--exact]]\n"
        "                        [--strict] [--json] [--quiet]\n\n"
        "Prints what changed from the last of the old versions to the new one, and whether the new one may\n"
        "follow them. Where it may not, a document shows why.\n\n"
        "  --level LEVEL       BACKWARD (default: readers of the new schema understand what the old one allows),\n"
        "                      FORWARD (the other way round), FULL (both) or NONE; with _TRANSITIVE for all old\n"
        "                      versions instead of the last\n"
        "  --reading strict    an object may hold members that its schema does not name\n"
        "  --reading honest    who writes it holds to what the schema names (default)\n"
        "  --reading usage     and who reads it looks only at:\n"
        "  --reads PATH,...      these paths: .id,.tags[].name\n"
        "  --reads-of PROGRAM    what this expression reads, over documents of the reader's schema\n"
        "  --quiet             without the list of changes\n\n"
        "With --candidate: whether a new version of a pipeline, or of those of a configuration, may take the place of\n"
        "RUNNING, a file of the same kind, or of what the journal keeps: which schemas, nodes, sinks and promises\n"
        "change, and who is hurt by it.\n\n"
        "  --candidate FILE    the new version\n"
        "  --journal FILE      the journal of what runs; no process may have it open\n"
        "  --replay N          run the newest N messages that the journal has samples of (`samples`) through the\n"
        "                      candidate, with the answers of then and without any effect, and compare what comes out\n"
        "  --alpha SHARE       significance of all tests of distributions together (default: 1%)\n"
        "  --exact             that a sink gets something else for a message is a break\n"
        "  --strict            what is not known counts: exit code 2\n"
        "  --json              for programs\n\n"
        "Formats count as checked. Exit codes: 0 it may; 1 it may not, or (schemas) that is not known; 2 wrong "
        "command\n"
        "line, or (--strict) that is not known; 3 a file or the expression is invalid.\n",
    .run = run,
};
