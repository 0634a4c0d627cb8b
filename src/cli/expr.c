/* expr.c - crossdock expr 'PROGRAM': try an expression on a JSON document, or see what its compiler knows of it. */
#include "expr/expr.h"

#include "cli/cli.h"
#include "fleet/config.h"

#include <stdio.h>

enum { INPUT_MAX = 64 * 1024 * 1024, OUTPUT_MAX = 64 * 1024 * 1024, MEMORY_MAX = 512 * 1024 * 1024 };

/* Nobody waits but the person who typed it. */
static const struct expr_limits generous = {.steps = 1000000000, .memory = MEMORY_MAX};

static int print(struct buf *text, FILE *to)
{
    (void)buf_add_char(text, '\n');
    return fwrite(text->p, 1, text->n, to) == text->n ? EXIT_OK : EXIT_FAILED;
}

/* The type of the result, and what is read, a line each. */
static int explain(const struct expr *expr)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX);
    size_t count;
    const struct str *reads = expr_reads(expr, &count);

    (void)buf_add_lit(&text, "type: ");
    expr_type_print(expr_output_type(expr), &text);
    (void)buf_add_lit(&text, "\nreads:");
    for (size_t i = 0; i < count; i++)
        (void)buf_addf(&text, " %.*s", STR_ARG(reads[i]));
    if (!count)
        (void)buf_add_lit(&text, " nothing");
    return print(&text, stdout);
}

static int refuse(struct str program, const struct expr_problem *problem)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX);

    expr_problem_print(problem, program, &text);
    (void)fwrite(text.p, 1, text.n, stderr);
    return EXIT_CONFIG;
}

static int evaluate(const struct expr *expr, struct str input, struct arena *arena)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX);
    const struct json_tree *tree;
    struct expr_value result;

    err_t e = json_tree_parse(arena, input, &tree);
    if (e) {
        (void)fprintf(stderr, "crossdock expr: the input is no JSON document: %s\n", err_detail(e));
        return EXIT_FAILED;
    }
    struct expr_input root = {.root = expr_json(json_tree_root(tree))};
    e = expr_eval(expr, arena, &root, &generous, &result);
    if (!e)
        e = expr_value_print(result, &text);
    if (e) {
        (void)fprintf(stderr, "crossdock expr: %s\n", err_detail(e));
        return EXIT_FAILED;
    }
    return print(&text, stdout);
}

static int run_program(struct str program, const char *input_path, bool only_explain)
{
    struct arena arena CLEANUP(arena_release);
    struct buf input CLEANUP(buf_release) = BUF_INIT(INPUT_MAX);
    struct expr_problem problem;
    const struct expr *expr;

    arena_init(&arena, MEMORY_MAX);
    if (expr_compile(&arena, program, &(struct expr_env){0}, &expr, &problem) != OK)
        return refuse(program, &problem);
    if (only_explain)
        return explain(expr);
    if (!input_path)
        return evaluate(expr, STR("null"), &arena);
    err_t e = config_env_real()->read_file(input_path, INPUT_MAX, &input);
    if (e) {
        (void)fprintf(stderr, "%s: error: %s\n", input_path, err_detail(e));
        return EXIT_FAILED;
    }
    return evaluate(expr, buf_str(&input), &arena);
}

static int run(int argc, char **argv)
{
    struct option_value options[] = {{"input", true, NULL}, {"explain", false, NULL}};
    int operands, e = cli_parse(&command_expr, argc, argv, options, ARRAY_LEN(options), 1, &operands);

    if (e)
        return e < 0 ? EXIT_OK : e;
    if (operands != 1) {
        (void)fputs("crossdock expr: an expression is missing\nTry 'crossdock expr --help'.\n", stderr);
        return EXIT_USAGE;
    }
    return run_program(str_from_c(argv[1]), options[0].value, options[1].value != NULL);
}

const struct command command_expr = {
    .name = "expr",
    .summary = "try an expression of conditions and mappings",
    .help =
        "Usage: crossdock expr 'PROGRAM' [--input FILE] [--explain]\n\n"
        "Evaluates an expression (a typed, total subset of jq) on a JSON document and prints the result:\n\n"
        "  crossdock expr '.model | startswith(\"gpt-\")' --input request.json\n\n"
        "  --input FILE   the JSON document; without it the input is null\n"
        "  --explain      print the type of the result and what the expression reads instead\n\n"
        "Exit codes: 0 evaluated; 1 the input cannot be read, or the expression failed on it; 3 it does not compile.\n",
    .run = run,
};
