/* fn_basic.c - functions on any value: kinds, sizes, conversion. Formats are in fn_format.c, mathematics in fn_number.c. */
#include "base/utf8.h"
#include "expr/builtin.h"

#include <math.h>

/* --- kinds and sizes --- */

err_t fn_length(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text;
    uint32_t count;

    if (v[0].kind == JSON_NULL) {
        *ret = expr_number(0);
        return OK;
    }
    if (v[0].kind == JSON_NUMBER) {
        *ret = expr_number(fabs(value_number(v[0])));
        return OK;
    }
    if (v[0].kind == JSON_STRING) {
        TRY(value_text(&run->budget, v[0], &text));
        TRY(budget_steps(&run->budget, text.n / 8));
        count = (uint32_t)utf8_count(text);
    } else {
        TRY(value_count(&run->budget, v[0], &count));
    }
    *ret = expr_number(count);
    return OK;
}

err_t fn_utf8bytelength(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text;

    TRY(value_text(&run->budget, v[0], &text));
    *ret = expr_number((double)text.n);
    return OK;
}

err_t fn_not(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    (void)run;
    *ret = expr_bool(!expr_value_is_true(v[0]));
    return OK;
}

err_t fn_type(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    (void)run;
    *ret = expr_string(str_from_c(value_kind_name((enum json_kind)v[0].kind)));
    return OK;
}

err_t fn_error(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    (void)ret;
    return run_raise_value(run, v[0]);
}

err_t fn_error_value(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    (void)ret;
    return run_raise_value(run, v[1]);
}

/* --- conversion --- */

err_t fn_tostring(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text;

    TRY(op_tostring(run, v[0], &text));
    *ret = expr_string(text);
    return OK;
}

err_t fn_tojson(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text;

    TRY(value_to_json(&run->budget, v[0], &text));
    *ret = expr_string(text);
    return OK;
}

static size_t digits(struct str text, size_t at)
{
    size_t n = 0;

    while (at + n < text.n && text.p[at + n] >= '0' && text.p[at + n] <= '9')
        n++;
    return n;
}

/*
 * What jq takes for a number beyond JSON's: a plus in front, zeros in front, nothing before or behind the point. Written as JSON has it into
 * `to`, of text.n + 2 bytes. False: it is no number.
 */
static bool spell_number(struct str text, char *to, size_t *ret_n)
{
    size_t at = 0, n = 0;

    if (text.n && (text.p[0] == '-' || text.p[0] == '+') && text.p[at++] == '-')
        to[n++] = '-';
    size_t whole = digits(text, at), end = at + whole, behind = 0;
    while (at + 1 < end && text.p[at] == '0')
        at++;
    if (whole == 0)
        to[n++] = '0';
    memcpy(to + n, text.p + at, end - at);
    n += end - at;
    if (end < text.n && text.p[end] == '.') {
        behind = digits(text, end + 1);
        memcpy(to + n, text.p + end, behind ? behind + 1 : 0);
        n += behind ? behind + 1 : 0;
        end += behind + 1;
    }
    memcpy(to + n, text.p + end, text.n - end); /* an exponent, or what makes it no number */
    *ret_n = n + (text.n - end);
    return whole + behind > 0;
}

err_t fn_tonumber(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text;
    double number;
    void *p;
    size_t n;

    if (v[0].kind == JSON_NUMBER) {
        *ret = v[0];
        return OK;
    }
    TRY(value_text(&run->budget, v[0], &text));
    bool is_number = json_to_double(text, &number);
    if (!is_number) {
        TRY(budget_steps(&run->budget, text.n / 8));
        TRY(budget_take(&run->budget, text.n + 2, &p));
        is_number = spell_number(text, p, &n) && json_to_double(str_of(p, n), &number);
    }
    if (!is_number)
        return run_raise(run, "%.*s cannot be parsed as a number", STR_ARG(run_show(run, v[0])));
    *ret = expr_number(number);
    return OK;
}

/* "true" and "false", and what is one already. */
err_t fn_toboolean(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text;

    *ret = v[0];
    if (v[0].kind != JSON_STRING)
        return OK;
    TRY(value_text(&run->budget, v[0], &text));
    if (!str_eq(text, STR("true")) && !str_eq(text, STR("false")))
        return run_raise(run, "%.*s cannot be parsed as a boolean", STR_ARG(run_show(run, v[0])));
    *ret = expr_bool(str_eq(text, STR("true")));
    return OK;
}

err_t fn_fromjson(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    enum { CELL_BYTES = 16 };
    const struct json_tree *tree;
    struct str text;
    size_t needed;

    TRY(value_text(&run->budget, v[0], &text));
    TRY(budget_steps(&run->budget, text.n / 4));
    /* The tree takes its own memory: at worst a cell for each byte or two, and as much again for growing. */
    needed = text.n * CELL_BYTES;
    if (needed > run->budget.memory)
        return fail(E_TOO_LARGE, "the expression needs more memory than it may take");
    run->budget.memory -= needed;
    err_t e = json_tree_parse(run->budget.arena, text, &tree);
    if (e == E_PARSE)
        return run_raise(run, "%.*s is not valid JSON", STR_ARG(run_show(run, v[0])));
    TRY(e);
    *ret = expr_json(json_tree_root(tree));
    return OK;
}
