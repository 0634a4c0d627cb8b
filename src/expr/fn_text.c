/* fn_text.c - functions on strings, patterns apart (fn_match.c). Case and blanks are those of ASCII. */
#include "base/utf8.h"
#include "expr/builtin.h"

static err_t two_texts(struct expr_run *run, const struct expr_value *v, struct str *ret_text, struct str *ret_part)
{
    TRY(value_text(&run->budget, v[0], ret_text));
    return value_text(&run->budget, v[1], ret_part);
}

err_t fn_startswith(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text, part;

    TRY(two_texts(run, v, &text, &part));
    *ret = expr_bool(str_starts(text, part));
    return OK;
}

err_t fn_endswith(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text, part;

    TRY(two_texts(run, v, &text, &part));
    *ret = expr_bool(str_ends(text, part));
    return OK;
}

err_t fn_ltrimstr(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text, part;

    *ret = v[0];
    if (v[0].kind != JSON_STRING || v[1].kind != JSON_STRING)
        return OK;
    TRY(two_texts(run, v, &text, &part));
    if (str_starts(text, part))
        *ret = expr_string(str_slice(text, part.n, text.n));
    return OK;
}

err_t fn_rtrimstr(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text, part;

    *ret = v[0];
    if (v[0].kind != JSON_STRING || v[1].kind != JSON_STRING)
        return OK;
    TRY(two_texts(run, v, &text, &part));
    if (part.n && str_ends(text, part))
        *ret = expr_string(str_slice(text, 0, text.n - part.n));
    return OK;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static err_t trim(struct expr_run *run, struct expr_value v, bool left, bool right, struct expr_value *ret)
{
    struct str text;
    size_t from = 0;

    TRY(value_text(&run->budget, v, &text));
    while (left && from < text.n && is_blank(text.p[from]))
        from++;
    while (right && text.n > from && is_blank(text.p[text.n - 1]))
        text.n--;
    *ret = expr_string(str_slice(text, from, text.n));
    return OK;
}

err_t fn_trim(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return trim(run, v[0], true, true, ret);
}

err_t fn_ltrim(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return trim(run, v[0], true, false, ret);
}

err_t fn_rtrim(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return trim(run, v[0], false, true, ret);
}

static err_t change_case(struct expr_run *run, struct expr_value v, char from, char to, struct expr_value *ret)
{
    struct str text;
    void *p;

    TRY(value_text(&run->budget, v, &text));
    TRY(budget_steps(&run->budget, text.n / 8));
    TRY(budget_take(&run->budget, text.n, &p));
    char *out = p;
    for (size_t i = 0; i < text.n; i++) {
        bool in_range = text.p[i] >= from && text.p[i] <= from + ('z' - 'a');
        out[i] = in_range ? (char)(text.p[i] - from + to) : text.p[i];
    }
    *ret = expr_string(str_of(out, text.n));
    return OK;
}

err_t fn_ascii_downcase(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return change_case(run, v[0], 'A', 'a', ret);
}

err_t fn_ascii_upcase(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return change_case(run, v[0], 'a', 'A', ret);
}

err_t fn_explode(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text;
    struct expr_value array;

    TRY(value_text(&run->budget, v[0], &text));
    TRY(value_new_array(&run->budget, 0, &array));
    for (size_t at = 0; at < text.n;) {
        uint32_t c;
        at += utf8_get(text.p + at, text.n - at, &c);
        TRY(budget_steps(&run->budget, 1));
        TRY(value_append(&run->budget, &array, expr_number(c)));
    }
    *ret = array;
    return OK;
}

err_t fn_implode(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value array = v[0];
    size_t n = 0;
    void *p;

    TRY(value_settle(&run->budget, &array));
    TRY(budget_steps(&run->budget, array.n));
    TRY(budget_take(&run->budget, 4 * (size_t)array.n, &p));
    for (uint32_t i = 0; i < array.n; i++) {
        double c = value_number(array.list->at[i]);
        if (array.list->at[i].kind != JSON_NUMBER || c < 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return run_raise(run, "implode takes code points, and not %.*s", STR_ARG(run_show(run, array.list->at[i])));
        n += utf8_put((char *)p + n, (uint32_t)c);
    }
    *ret = expr_string(str_of(p, n));
    return OK;
}

/* Between separators; an empty separator stands between all characters. An empty text has no parts. */
err_t fn_split(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text, separator;
    struct expr_value array;

    TRY(two_texts(run, v, &text, &separator));
    TRY(budget_steps(&run->budget, text.n / 4));
    TRY(value_new_array(&run->budget, 0, &array));
    for (size_t at = 0; text.n && at <= text.n;) {
        size_t length;
        if (separator.n) {
            length = str_find(str_slice(text, at, text.n), separator);
        } else {
            uint32_t c;
            if (at == text.n)
                break;
            length = utf8_get(text.p + at, text.n - at, &c);
        }
        TRY(budget_steps(&run->budget, 1));
        TRY(value_append(&run->budget, &array, expr_string(str_slice(text, at, at + length))));
        at += length + separator.n;
    }
    *ret = array;
    return OK;
}

err_t fn_join(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct buf joined CLEANUP(buf_release) = BUF_INIT(run->budget.memory);
    struct expr_value array = v[0];
    struct str between, text;
    void *p;

    TRY(value_text(&run->budget, v[1], &between));
    TRY(value_settle(&run->budget, &array));
    for (uint32_t i = 0; i < array.n; i++) {
        struct expr_value item = array.list->at[i];
        if (item.kind == JSON_ARRAY || item.kind == JSON_OBJECT)
            return run_raise(run, "%.*s cannot be joined", STR_ARG(run_show(run, item)));
        TRY(op_tostring(run, item, &text));
        TRY(budget_steps(&run->budget, 1 + (text.n + between.n) / 16));
        if (i)
            TRY(buf_add(&joined, between));
        if (item.kind != JSON_NULL)
            TRY(buf_add(&joined, text));
    }
    TRY(budget_take(&run->budget, joined.n, &p));
    if (joined.n)
        memcpy(p, joined.p, joined.n);
    *ret = expr_string(str_of(p, joined.n));
    return OK;
}
