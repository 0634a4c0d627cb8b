/* fn_basic.c - functions on any value: kinds, conversion, formats, numbers. */
#include "base/utf8.h"
#include "codec/base64.h"
#include "expr/builtin.h"

#include <math.h>
#include <stdio.h>

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

err_t fn_tonumber(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text;
    double number;

    if (v[0].kind == JSON_NUMBER) {
        *ret = v[0];
        return OK;
    }
    TRY(value_text(&run->budget, v[0], &text));
    if (!json_to_double(str_trim(text), &number))
        return run_raise(run, "%.*s cannot be parsed as a number", STR_ARG(run_show(run, v[0])));
    *ret = expr_number(number);
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

/* --- formats --- */

/* Bytes in place of those that have a meaning in a format. */
static void add_replaced(struct buf *b, struct str text, const char *from, const char *const *to)
{
    for (size_t i = 0; i < text.n; i++) {
        const char *found = text.p[i] ? strchr(from, text.p[i]) : NULL;
        if (found)
            (void)buf_add(b, str_from_c(to[found - from]));
        else
            (void)buf_add_char(b, text.p[i]);
    }
}

static void add_html(struct buf *b, struct str text)
{
    static const char *const to[] = {"&lt;", "&gt;", "&amp;", "&#39;", "&quot;"};

    add_replaced(b, text, "<>&'\"", to);
}

static void add_uri(struct buf *b, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i], lower = ascii_lower(c);
        if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-_.~", c)))
            (void)buf_add_char(b, c);
        else
            (void)buf_addf(b, "%%%02X", (unsigned)(unsigned char)c);
    }
}

static err_t format_base64d(struct expr_run *run, struct expr_value v, struct str text, struct buf *b)
{
    while (text.n && text.p[text.n - 1] == '=')
        text.n--;
    err_t e = base64_decode(b, text, BASE64_NO_PADDING);
    if (e == E_PARSE || (!e && !utf8_valid(buf_str(b))))
        return run_raise(run, "%.*s is not valid base64 data", STR_ARG(run_show(run, v)));
    return e;
}

/* An element of a row, or of the words of a shell. */
static err_t add_cell(struct expr_run *run, struct str format, struct expr_value v, struct buf *b)
{
    static const char *const csv_quote[] = {"\"\""}, *const tsv_to[] = {"\\t", "\\n", "\\r", "\\\\"},
                             *const sh_quote[] = {"'\\''"};
    bool is_csv = str_eq(format, STR("@csv")), is_sh = str_eq(format, STR("@sh"));
    struct str text;

    if (v.kind == JSON_ARRAY || v.kind == JSON_OBJECT)
        return run_raise(run, is_sh ? "%.*s can not be escaped for shell" : "%.*s is not valid in a row",
                         STR_ARG(run_show(run, v)));
    TRY(op_tostring(run, v, &text));
    if (v.kind == JSON_NULL && !is_sh)
        return OK;
    if (v.kind != JSON_STRING)
        return buf_add(b, text);
    if (!is_csv && !is_sh) {
        add_replaced(b, text, "\t\n\r\\", tsv_to);
        return OK;
    }
    (void)buf_add_char(b, is_csv ? '"' : '\'');
    add_replaced(b, text, is_csv ? "\"" : "'", is_csv ? csv_quote : sh_quote);
    return buf_add_char(b, is_csv ? '"' : '\'');
}

static err_t format_row(struct expr_run *run, struct str format, struct expr_value v, struct buf *b)
{
    bool is_sh = str_eq(format, STR("@sh"));
    char between = is_sh ? ' ' : str_eq(format, STR("@csv")) ? ',' : '\t';

    if (v.kind != JSON_ARRAY && !is_sh)
        return run_raise(run, "%.*s cannot be %s-formatted, only array", STR_ARG(run_show(run, v)), format.p + 1);
    if (v.kind != JSON_ARRAY)
        return add_cell(run, format, v, b);
    TRY(value_settle(&run->budget, &v));
    for (uint32_t i = 0; i < v.n; i++) {
        TRY(budget_steps(&run->budget, 1));
        if (i)
            (void)buf_add_char(b, between);
        TRY(add_cell(run, format, v.list->at[i], b));
    }
    return OK;
}

static const char *const formats[] = {"@text", "@json", "@html", "@uri", "@csv", "@tsv", "@sh", "@base64", "@base64d"};

bool format_exists(struct str format)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (str_eq(format, str_from_c(formats[i])))
            return true;
    return false;
}

err_t op_format(struct expr_run *run, struct str format, struct expr_value v, struct str *ret_text)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(run->budget.memory);
    struct str text;
    void *p;

    if (str_eq(format, STR("@text")))
        return op_tostring(run, v, ret_text);
    if (str_eq(format, STR("@json")))
        return value_to_json(&run->budget, v, ret_text);
    if (str_eq(format, STR("@csv")) || str_eq(format, STR("@tsv")) || str_eq(format, STR("@sh"))) {
        TRY(format_row(run, format, v, &b));
    } else {
        TRY(op_tostring(run, v, &text));
        TRY(budget_steps(&run->budget, text.n / 4));
        if (str_eq(format, STR("@html")))
            add_html(&b, text);
        else if (str_eq(format, STR("@uri")))
            add_uri(&b, text);
        else if (str_eq(format, STR("@base64")))
            (void)base64_encode(&b, text, BASE64);
        else
            TRY(format_base64d(run, v, text, &b));
    }
    TRY(buf_status(&b));
    TRY(budget_take(&run->budget, b.n, &p));
    if (b.n)
        memcpy(p, b.p, b.n);
    *ret_text = str_of(p, b.n);
    return OK;
}

err_t fn_format(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str format, text;

    TRY(value_text(&run->budget, v[1], &format));
    if (!format_exists(format))
        return run_raise(run, "%.*s is not a valid format", STR_ARG(format));
    TRY(op_format(run, format, v[0], &text));
    *ret = expr_string(text);
    return OK;
}

/* --- numbers --- */

static err_t computed(struct expr_run *run, double number, struct expr_value *ret)
{
    if (!isfinite(number))
        return run_raise(run, "the result is no number");
    *ret = expr_number(number);
    return OK;
}

#define NUMBER_FUNCTION(name, expression)                                                                              \
    err_t fn_##name(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)                          \
    {                                                                                                                  \
        return computed(run, expression, ret);                                                                         \
    }

NUMBER_FUNCTION(floor, floor(value_number(v[0])))
NUMBER_FUNCTION(ceil, ceil(value_number(v[0])))
NUMBER_FUNCTION(round, round(value_number(v[0])))
NUMBER_FUNCTION(trunc, trunc(value_number(v[0])))
NUMBER_FUNCTION(fabs, fabs(value_number(v[0])))
NUMBER_FUNCTION(sqrt, sqrt(value_number(v[0])))
NUMBER_FUNCTION(pow, pow(value_number(v[1]), value_number(v[2])))
NUMBER_FUNCTION(log, log(value_number(v[0])))
NUMBER_FUNCTION(exp, exp(value_number(v[0])))
