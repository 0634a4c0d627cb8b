/*
 * Fuzz target: expr/. The input is a program, a NUL, and a JSON document. Whatever they are: compiling ends and tells what is wrong at a place
 * of the text; evaluating stays within its steps and its memory; the result is valid JSON and of the type that was inferred, with a
 * schema and without; that type is told as a valid schema, and what is written is told with what it is made of, all of which is read; a
 * program compiled twice gives the same, and from bytes to bytes the same as in steps.
 */
#include "expr/expr.h"

#include "codec/json_scan.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { OUTPUT_MAX = 1 << 22, ARENA_MAX = 1 << 26 };

static const struct expr_limits limits = {.steps = 50000, .memory = 1 << 20};

static const struct expr_type texts = {.kinds = EXPR_IS_ARRAY, .items = &expr_type_string};
static const struct expr_field fields[] = {
    {STR_INIT("model"), &expr_type_string, false},
    {STR_INIT("tokens"), &expr_type_number, false},
    {STR_INIT("tags"), &texts, false},
    {STR_INIT("meta"), &expr_type_any, true},
};
static const struct expr_type record = {
    .kinds = EXPR_IS_OBJECT, .is_closed = true, .fields = fields, .field_count = ARRAY_LEN(fields)};

/* Is every part of the value of its type? */
static bool fits(struct json_node v, const struct expr_type *type, unsigned depth)
{
    if (!(type->kinds & (1 << json_node_kind(v))))
        return false;
    if (json_node_kind(v) != JSON_ARRAY || !type->items || depth == 0)
        return true;
    JSON_EACH(w, v)
        if (!fits(w.value, type->items, depth - 1))
            return false;
    return true;
}

static void check_result(const struct expr *expr, struct expr_value value, struct buf *out, struct arena *arena)
{
    const struct json_tree *tree;

    size_t before = out->n; /* what the compiler tells of the program is there already */
    err_t e = expr_value_print(value, out);
    REQUIRE(e == OK || e == E_TOO_LARGE);
    if (e)
        return;
    struct str text = str_slice(buf_str(out), before, out->n);
    REQUIRE(json_valid(text, JSON_LONE_SURROGATES));
    if (json_tree_parse(arena, text, &tree) == OK)
        REQUIRE(fits(json_tree_root(tree), expr_output_type(expr), 5));
}

static bool is_read(struct str path, const struct str *reads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_starts(path, reads[i]) || str_eq(reads[i], STR(".")))
            return true;
    return false;
}

/* What the compiler tells of a program. */
static void check_explained(const struct expr *expr, struct buf *out)
{
    struct buf schema CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX);
    size_t read_count, count;
    const struct str *reads = expr_reads(expr, &read_count);
    const struct expr_write *writes = expr_writes(expr, &count);

    if (expr_type_schema(expr_output_type(expr), &schema) == OK)
        REQUIRE(json_valid(buf_str(&schema), 0));
    for (size_t i = 0; i < count; i++) {
        REQUIRE(writes[i].path.n && (!writes[i].is_copy || writes[i].from_count == 1));
        for (size_t k = 0; k < writes[i].from_count; k++)
            REQUIRE(is_read(writes[i].from[k], reads, read_count));
        (void)buf_add(out, writes[i].path);
    }
}

static void check(struct str program, struct json_node input, const struct expr_env *env, struct buf *out)
{
    struct arena arena CLEANUP(arena_release);
    struct expr_problem problem;
    const struct expr *expr;
    struct expr_input in = {.root = expr_json(input)};
    struct expr_value value;
    bool truth;

    arena_init(&arena, ARENA_MAX);
    err_t e = expr_compile(&arena, program, env, &expr, &problem);
    REQUIRE(e == OK || e == E_PARSE || e == E_TOO_LARGE);
    if (e) {
        REQUIRE(problem.line >= 1 && problem.column >= 1 && problem.from <= program.n && problem.to <= program.n);
        REQUIRE(problem.from <= problem.to && problem.text.n);
        expr_problem_print(&problem, program, out);
        return;
    }
    check_explained(expr, out);
    size_t used = arena.used;
    e = expr_eval(expr, &arena, &in, &limits, &value);
    REQUIRE(e == OK || e == E_PARSE || e == E_TOO_LARGE);
    REQUIRE(arena.used - used <= 2 * limits.memory + (1 << 18));
    err_t again = expr_is_true(expr, &arena, &in, &limits, &truth);
    REQUIRE(again == e);
    if (e != OK)
        return;
    REQUIRE(truth == expr_value_is_true(value));
    size_t before = out->n;
    check_result(expr, value, out, &arena);
    struct buf mapped CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX);
    struct str text = json_is_absent(input) ? STR("null") : json_node_raw(input);
    if (buf_status(out) == OK && expr_map(expr, &arena, text, NULL, &limits, &mapped) == OK)
        REQUIRE(str_eq(buf_str(&mapped), str_slice(buf_str(out), before, out->n)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena CLEANUP(arena_release);
    struct buf first CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX), second CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX),
                     typed CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX);
    struct str rest = str_of((const char *)data, n), program = str_cut(&rest, '\0');
    const struct json_tree *tree;
    struct json_node input = JSON_ABSENT;

    arena_init(&arena, ARENA_MAX);
    if (rest.n && json_tree_parse(&arena, rest, &tree) == OK)
        input = json_tree_root(tree);
    check(program, input, &(struct expr_env){0}, &first);
    check(program, input, &(struct expr_env){0}, &second);
    REQUIRE(str_eq(buf_str(&first), buf_str(&second)));
    static const char facts[] = "{\"model\":\"gpt-4\",\"tokens\":12,\"tags\":[\"eu\",\"a\"],\"meta\":{\"x\":[1,null]}}";
    REQUIRE(json_tree_parse(&arena, str_from_c(facts), &tree) == OK);
    check(program, json_tree_root(tree), &(struct expr_env){.input = &record}, &typed);
    return 0;
}
