/*
 * map.c - crossdock map FILE and crossdock expr 'PROGRAM': run a program on JSON documents, or tell what its compiler knows of it.
 *
 * The two are one: `map` takes the program from a file and the documents from stdin, `expr` takes the program from the command line and
 * one null, or the documents of --input. Documents follow one another as they like: a line each, or over many lines. A document that the
 * program fails on is told and passed over; bytes that are no JSON end the run, as nobody knows where the next document begins.
 */
#include "expr/expr.h"

#include "cli/cli.h"
#include "jq/jq.h"
#include "rt/file.h"
#include "rt/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    DOCUMENT_MAX = 64 * 1024 * 1024,
    OUTPUT_MAX = 64 * 1024 * 1024,
    MEMORY_MAX = 512 * 1024 * 1024,
    NAMED_MAX = JQ_NAMED_MAX, /* --arg and --argjson */
    PIECE = 64 * 1024,
};

/* Nobody waits but the person who typed it. */
static const struct expr_limits generous = {.steps = 1000000000, .memory = MEMORY_MAX};
static const struct jq_limits jq_limits = {.memory = 256 << 20, .output = OUTPUT_MAX, .time = 5 * NS_SEC};

struct mapping {
    const char *command; /* for messages */
    struct arena arena;  /* of the program and what is named */
    struct str program;
    const struct expr *expr;
    struct expr_named named[NAMED_MAX];
    struct expr_value values[NAMED_MAX];
    struct jq_named jq_named[NAMED_MAX];
    struct jq *jq; /* --lang jq: instead of `expr` */
    size_t named_count;
    struct buf out;
    size_t documents;
    bool failed;
};

/* --- what is named --- */

/* What is wrong with one, or NULL. */
static const char *name_value(struct mapping *m, const char *name, const char *text, bool is_json)
{
    struct expr_value value = expr_string(str_from_c(text));
    struct buf json CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX);
    const struct json_tree *tree;

    if (m->named_count == NAMED_MAX)
        return "there are too many --arg and --argjson";
    if (is_json) {
        if (json_tree_parse(&m->arena, str_from_c(text), &tree) != OK)
            return "the value of --argjson is no JSON";
        value = expr_json(json_tree_root(tree));
    }
    if (expr_value_print(value, &json) != OK || buf_add_char(&json, '\0') != OK)
        return "a named value is too large";
    m->jq_named[m->named_count] = (struct jq_named){name, arena_str(&m->arena, buf_str(&json)).p};
    m->values[m->named_count] = value;
    m->named[m->named_count++] = (struct expr_named){.name = str_from_c(name)};
    return NULL;
}

/* `--arg NAME TEXT` and `--argjson NAME JSON` have two values each, as in jq: they are taken out before the other options are read. Returns
 * what is wrong, or NULL. */
static const char *take_named(struct mapping *m, int *argc, char **argv)
{
    const char *wrong = NULL;
    int kept = 0;

    for (int i = 0; i < *argc && !wrong; i++) {
        bool is_json = strcmp(argv[i], "--argjson") == 0;
        if (!is_json && strcmp(argv[i], "--arg") != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        wrong = i + 2 < *argc ? name_value(m, argv[i + 1], argv[i + 2], is_json)
                              : "--arg and --argjson take a name and a value";
        i += 2;
    }
    argv[kept] = NULL;
    *argc = kept;
    return wrong;
}

/* --- telling --- */

static int print(struct buf *text, FILE *to)
{
    if (buf_status(text) || fwrite(text->p, 1, text->n, to) != text->n)
        return EXIT_FAILED;
    buf_clear(text);
    return EXIT_OK;
}

static void explain_writes(const struct expr *expr, struct buf *text)
{
    size_t count;
    const struct expr_write *writes = expr_writes(expr, &count);

    (void)buf_add_lit(text, "writes:\n");
    for (size_t i = 0; i < count; i++) {
        (void)buf_addf(text, "  %.*s <-", STR_ARG(writes[i].path));
        for (size_t k = 0; k < writes[i].from_count; k++)
            (void)buf_addf(text, " %.*s", STR_ARG(writes[i].from[k]));
        (void)buf_addf(text, "%s\n", !writes[i].from_count ? " nothing" : writes[i].is_copy ? ", as it is" : "");
    }
}

/* Type and schema of the result, what is read, and what is written from what. */
static int explain(struct mapping *m)
{
    size_t count;
    const struct str *reads = expr_reads(m->expr, &count);

    (void)buf_add_lit(&m->out, "type: ");
    expr_type_print(expr_output_type(m->expr), &m->out);
    (void)buf_add_lit(&m->out, "\nreads:");
    for (size_t i = 0; i < count; i++)
        (void)buf_addf(&m->out, " %.*s", STR_ARG(reads[i]));
    (void)buf_add(&m->out, count ? STR("\n") : STR(" nothing\n"));
    explain_writes(m->expr, &m->out);
    (void)buf_add_lit(&m->out, "schema: ");
    if (expr_type_schema(expr_output_type(m->expr), &m->out) != OK)
        return EXIT_FAILED;
    (void)buf_add_char(&m->out, '\n');
    return print(&m->out, stdout);
}

/* Full jq, in a process of its own: nothing is known of what it reads and writes. */
static int compile_jq(struct mapping *m)
{
    err_t e = jq_new(m->program, m->jq_named, m->named_count, &jq_limits, &m->jq);

    if (!e)
        return EXIT_OK;
    (void)fprintf(stderr, "crossdock %s: %s\n", m->command, err_detail(e));
    return e == E_PARSE || e == E_TOO_LARGE ? EXIT_CONFIG : EXIT_FAILED;
}

static int compile(struct mapping *m)
{
    struct expr_problem problem;
    const struct expr_env env = {.named = m->named, .named_count = m->named_count};

    if (expr_compile(&m->arena, m->program, &env, &m->expr, &problem) == OK)
        return EXIT_OK;
    expr_problem_print(&problem, m->program, &m->out);
    (void)print(&m->out, stderr);
    return EXIT_CONFIG;
}

/* --- documents --- */

/* Where documents end, found without understanding them: brackets that close, strings that end, blanks behind anything else. */
struct cutter {
    size_t at, depth;
    bool in_string, escaped, begun;
};

/* Behind the byte: is the document complete, and does it include the byte? */
enum cut { GOES_ON, ENDS_BEFORE, ENDS_BEHIND };

static enum cut cut_in_string(struct cutter *c, char byte)
{
    if (c->escaped)
        c->escaped = false;
    else if (byte == '\\')
        c->escaped = true;
    else if (byte == '"')
        c->in_string = false;
    return c->in_string || c->depth ? GOES_ON : ENDS_BEHIND;
}

static enum cut cut_byte(struct cutter *c, char byte)
{
    bool opens = byte == '{' || byte == '[', closes = byte == '}' || byte == ']';
    bool is_blank = byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';

    if (c->in_string)
        return cut_in_string(c, byte);
    if (c->begun && !c->depth && (is_blank || opens || byte == '"'))
        return ENDS_BEFORE;
    c->begun |= !is_blank;
    c->in_string = byte == '"';
    c->depth += opens;
    if (!closes || !c->depth)
        return GOES_ON;
    return --c->depth ? GOES_ON : ENDS_BEHIND;
}

/* The next whole document of *rest, which it is taken from; false: there is none, or it goes on behind. */
static bool next_document(struct cutter *c, struct str *rest, bool at_end, struct str *ret_text)
{
    enum cut cut = GOES_ON;

    while (cut == GOES_ON && c->at < rest->n)
        cut = cut_byte(c, rest->p[c->at++]);
    if (cut == GOES_ON && !(at_end && c->begun))
        return false;
    size_t end = cut == ENDS_BEFORE ? c->at - 1 : c->at;
    *ret_text = str_trim(str_slice(*rest, 0, end));
    *rest = str_slice(*rest, end, rest->n);
    *c = (struct cutter){0};
    return true;
}

static void run_document(struct mapping *m, struct arena *arena, struct str text)
{
    size_t before = m->out.n;

    m->documents++;
    err_t e = m->jq ? jq_run(m->jq, text, &m->out) : expr_map(m->expr, arena, text, m->values, &generous, &m->out);
    if (!e && !m->jq)
        e = buf_add_char(&m->out, '\n');
    arena_clear(arena);
    if (!e)
        return;
    m->out.n = before;
    m->out.overflow = false;
    (void)fprintf(stderr, "crossdock %s: document %zu: %s\n", m->command, m->documents, err_detail(e));
    m->failed = true;
}

/* One more piece of the file behind what `in` holds. */
static int read_piece(struct mapping *m, int file, struct buf *in, bool *ret_end)
{
    char *room = buf_reserve(in, PIECE);
    ssize_t n = room ? read(file, room, PIECE) : -1;

    if (n < 0) {
        (void)fprintf(stderr, "crossdock %s: %s\n", m->command,
                      room ? strerror(errno) : "a document has more than 64 MiB");
        return EXIT_FAILED;
    }
    in->n += (size_t)n;
    *ret_end = n == 0;
    return EXIT_OK;
}

/* Results go out before more is waited for, so that the program can stand in a pipe that never ends. */
static int run_documents(struct mapping *m, int file)
{
    struct buf in CLEANUP(buf_release) = BUF_INIT(DOCUMENT_MAX);
    struct arena arena CLEANUP(arena_release);
    struct cutter cutter = {0};
    bool at_end = false;

    arena_init(&arena, MEMORY_MAX);
    while (!at_end) {
        int e = read_piece(m, file, &in, &at_end);
        if (e)
            return e;
        struct str rest = buf_str(&in), text;
        while (next_document(&cutter, &rest, at_end, &text)) {
            run_document(m, &arena, text);
            if (m->out.n >= PIECE && print(&m->out, stdout))
                return EXIT_FAILED;
        }
        buf_consume(&in, in.n - rest.n);
        if (print(&m->out, stdout) || fflush(stdout))
            return EXIT_FAILED;
    }
    return m->failed ? EXIT_FAILED : EXIT_OK;
}

/* `path`: NULL is stdin. */
static int run_file(struct mapping *m, const char *path)
{
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;

    if (file < 0) {
        (void)fprintf(stderr, "%s: error: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    int e = run_documents(m, file);
    if (path)
        (void)close(file);
    return e;
}

/* --- the commands --- */

static void mapping_release(struct mapping *m)
{
    jq_free(m->jq);
    buf_release(&m->out);
    arena_release(&m->arena);
}

static int usage(const struct command *c, const char *what)
{
    (void)fprintf(stderr, "crossdock %s: %s\nTry 'crossdock %s --help'.\n", c->name, what, c->name);
    return EXIT_USAGE;
}

enum { INPUT, EXPLAIN, LANGUAGE, OPTIONS };

/* What both commands begin with: their arguments into *m and `options`, the operand into *ret_operand. -1: that was all. */
static int begin(struct mapping *m, const struct command *c, int argc, char **argv, struct option_value *options,
                 int count, const char *missing, const char **ret_operand)
{
    int operands;

    *m = (struct mapping){.command = c->name, .out = BUF_INIT(OUTPUT_MAX)};
    arena_init(&m->arena, MEMORY_MAX);
    const char *wrong = take_named(m, &argc, argv);
    if (wrong)
        return usage(c, wrong);
    int e = cli_parse(c, argc, argv, options, count, 1, &operands);
    if (e)
        return e;
    *ret_operand = argv[1];
    return operands == 1 ? EXIT_OK : usage(c, missing);
}

static int run_map(int argc, char **argv)
{
    struct option_value options[OPTIONS] = {{"input", true, NULL}, {"explain", false, NULL}, {"lang", true, NULL}};
    struct mapping m CLEANUP(mapping_release);
    struct buf text CLEANUP(buf_release) = BUF_INIT(EXPR_TEXT_MAX);
    const char *path;

    int e = begin(&m, &command_map, argc, argv, options, OPTIONS, "a file with a program is missing", &path);
    if (e)
        return e < 0 ? EXIT_OK : e;
    bool is_jq = options[LANGUAGE].value && strcmp(options[LANGUAGE].value, "jq") == 0;
    if (options[LANGUAGE].value && (!is_jq || options[EXPLAIN].value))
        return usage(&command_map, "--lang can be jq, and of such a program nothing can be explained");
    err_t error = file_read_once(loop_seams(), path, EXPR_TEXT_MAX, &text);
    if (error) {
        (void)fprintf(stderr, "%s: error: %s\n", path, err_detail(error));
        return EXIT_FAILED;
    }
    m.program = buf_str(&text);
    e = is_jq ? compile_jq(&m) : compile(&m);
    if (e)
        return e;
    return options[EXPLAIN].value ? explain(&m) : run_file(&m, options[INPUT].value);
}

static int run_expr(int argc, char **argv)
{
    struct option_value options[LANGUAGE] = {{"input", true, NULL}, {"explain", false, NULL}};
    struct mapping m CLEANUP(mapping_release);
    const char *program;

    int e = begin(&m, &command_expr, argc, argv, options, LANGUAGE, "an expression is missing", &program);
    if (e)
        return e < 0 ? EXIT_OK : e;
    m.program = str_from_c(program);
    e = compile(&m);
    if (e)
        return e;
    if (options[EXPLAIN].value)
        return explain(&m);
    if (options[INPUT].value)
        return run_file(&m, options[INPUT].value);
    struct arena arena CLEANUP(arena_release);
    arena_init(&arena, MEMORY_MAX);
    run_document(&m, &arena, STR("null"));
    return print(&m.out, stdout) || m.failed ? EXIT_FAILED : EXIT_OK;
}

const struct command command_map = {
    .name = "map",
    .summary = "run a mapping on JSON documents",
    .help = "Usage: crossdock map FILE [--input FILE] [--arg NAME TEXT] [--argjson NAME JSON]\n"
            "       crossdock map FILE --lang jq …\n"
            "       crossdock map FILE --explain\n\n"
            "Runs the program in FILE (a typed, total subset of jq) on each JSON document of stdin and prints the "
            "results, a line each:\n\n"
            "  crossdock map maps/crm.jq < cases.ndjson\n\n"
            "  --input FILE         documents from a file instead\n"
            "  --arg NAME TEXT      $NAME in the program is this text\n"
            "  --argjson NAME JSON  $NAME in the program is this value: --argjson __deadline_ms 2500\n"
            "  --lang jq            the program is full jq, any number of results: a process of jq runs it, 256 MiB "
            "and a second each\n"
            "  --explain            print type and JSON Schema of the result, what the program reads, and what it "
            "writes from what\n\n"
            "Exit codes: 0 all documents were mapped; 1 some were not, or the input cannot be read; 3 it does not "
            "compile.\n",
    .run = run_map,
};

const struct command command_expr = {
    .name = "expr",
    .summary = "try an expression of conditions and mappings",
    .help =
        "Usage: crossdock expr 'PROGRAM' [--input FILE] [--arg NAME TEXT] [--argjson NAME JSON] [--explain]\n\n"
        "Evaluates an expression (a typed, total subset of jq) on JSON documents and prints the results:\n\n"
        "  crossdock expr '.model | startswith(\"gpt-\")' --input request.json\n\n"
        "  --input FILE         the JSON documents; without it the input is null\n"
        "  --arg NAME TEXT      $NAME in the expression is this text\n"
        "  --argjson NAME JSON  $NAME in the expression is this value\n"
        "  --explain            print type and JSON Schema of the result, and what it reads and writes, instead\n\n"
        "Exit codes: 0 evaluated; 1 the input cannot be read, or the expression failed on it; 3 it does not compile.\n",
    .run = run_expr,
};
