/* expr.c - the way from the text of a program to its code, and what a program can tell about itself. */
#include "expr/expr.h"

#include "expr/ast.h"
#include "expr/infer.h"
#include "expr/program.h"

err_t expr_compile(struct arena *arena, struct str text, const struct expr_env *env, const struct expr **ret_expr,
                   struct expr_problem *ret_problem)
{
    struct expr_problem problem = {.line = 1, .column = 1};
    struct parse_shared shared = {.arena = arena, .env = env, .problem = ret_problem ? ret_problem : &problem};
    struct infer_result types = {0};
    struct ast *root;

    *shared.problem = problem;
    if (text.n > EXPR_TEXT_MAX)
        return fail(E_TOO_LARGE, "the expression is longer than %d bytes", EXPR_TEXT_MAX);
    shared.text = arena_str(arena, text);
    err_t e = expr_parse(&shared, &root);
    if (!e)
        e = expr_infer(&shared, root, &types);
    if (e) {
        if (!shared.problem->text.p)
            shared.problem->text = arena_str(arena, str_from_c(err_detail(e)));
        return e;
    }
    struct expr *expr = arena_new(arena, struct expr);
    *expr = (struct expr){
        .text = shared.text,
        .type = types.type,
        .reads = types.reads,
        .read_count = types.read_count,
        .writes = types.writes,
        .write_count = types.write_count,
    };
    e = expr_generate(&shared, root, expr);
    if (e && !shared.problem->text.p)
        shared.problem->text = arena_str(arena, str_from_c(err_detail(e)));
    if (!e)
        *ret_expr = expr;
    return e;
}

const struct expr_type *expr_output_type(const struct expr *expr)
{
    return expr->type;
}

const struct str *expr_reads(const struct expr *expr, size_t *ret_count)
{
    *ret_count = expr->read_count;
    return expr->reads;
}

const struct expr_write *expr_writes(const struct expr *expr, size_t *ret_count)
{
    *ret_count = expr->write_count;
    return expr->writes;
}

void expr_problem_print(const struct expr_problem *problem, struct str text, struct buf *b)
{
    enum { SHOWN_MAX = 100 }; /* characters of a long line, around the place */
    size_t begin = problem->from < text.n ? problem->from : text.n, end = begin;

    (void)buf_addf(b, "line %zu, column %zu: %.*s\n", problem->line, problem->column, STR_ARG(problem->text));
    while (begin > 0 && text.p[begin - 1] != '\n' && problem->from - begin < SHOWN_MAX)
        begin--;
    while (begin < problem->from && ((unsigned char)text.p[begin] & 0xc0) == 0x80)
        begin++;
    while (end < text.n && text.p[end] != '\n' && end - problem->from < SHOWN_MAX)
        end++;
    (void)buf_addf(b, "  %.*s\n  ", STR_ARG(str_slice(text, begin, end)));
    for (size_t i = begin; i < problem->from && i < end; i++)
        if (((unsigned char)text.p[i] & 0xc0) != 0x80)
            (void)buf_add_char(b, text.p[i] == '\t' ? '\t' : ' ');
    size_t marked = 0;
    for (size_t i = problem->from; i < problem->to && i < end; i++)
        marked += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    (void)buf_add_char(b, '^');
    for (; marked > 1; marked--)
        (void)buf_add_char(b, '~');
    (void)buf_add_char(b, '\n');
}
