/*
 * fn_format.c - what a value is written as by "@json", "@csv" and their like, whole or piece by piece within a string.
 *
 * Formats that read (@base64d, @urid) refuse what nobody wrote by the format, and what is no UTF-8.
 */
#include "base/utf8.h"
#include "codec/base64.h"
#include "expr/builtin.h"

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
    static const char *const to[] = {"&lt;", "&gt;", "&amp;", "&apos;", "&quot;"};

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

static err_t format_urid(struct expr_run *run, struct expr_value v, struct str text, struct buf *b)
{
    uint64_t byte;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '%') {
            (void)buf_add_char(b, text.p[i]);
            continue;
        }
        if (i + 2 >= text.n || !str_hex_to_u64(str_slice(text, i + 1, i + 3), 0xff, &byte))
            return run_raise(run, "%.*s is not a valid uri encoding", STR_ARG(run_show(run, v)));
        (void)buf_add_char(b, (char)byte);
        i += 2;
    }
    if (!buf_status(b) && !utf8_valid(buf_str(b)))
        return run_raise(run, "%.*s is not a valid uri encoding", STR_ARG(run_show(run, v)));
    return OK;
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

/* --- by name --- */

enum format_kind { TEXT, JSON, HTML, URI, URID, CSV, TSV, SH, TO_BASE64, BASE64D, UNKNOWN };

static enum format_kind kind_of(struct str format)
{
    static const char *const names[] = {
        [TEXT] = "@text", [JSON] = "@json", [HTML] = "@html", [URI] = "@uri",          [URID] = "@urid",
        [CSV] = "@csv",   [TSV] = "@tsv",   [SH] = "@sh",     [TO_BASE64] = "@base64", [BASE64D] = "@base64d",
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(format, str_from_c(names[i])))
            return (enum format_kind)i;
    return UNKNOWN;
}

bool format_exists(struct str format)
{
    return kind_of(format) != UNKNOWN;
}

static err_t write_format(struct expr_run *run, struct str format, struct expr_value v, struct buf *b)
{
    enum format_kind kind = kind_of(format);
    struct str text;

    if (kind == CSV || kind == TSV || kind == SH)
        return format_row(run, format, v, b);
    TRY(kind == JSON ? value_to_json(&run->budget, v, &text) : op_tostring(run, v, &text));
    TRY(budget_steps(&run->budget, text.n / 4));
    switch (kind) {
    case HTML:
        add_html(b, text);
        return OK;
    case URI:
        add_uri(b, text);
        return OK;
    case URID:
        return format_urid(run, v, text, b);
    case TO_BASE64:
        return base64_encode(b, text, BASE64);
    case BASE64D:
        return format_base64d(run, v, text, b);
    case TEXT:
    case JSON:
        return buf_add(b, text);
    case CSV:
    case TSV:
    case SH:
    case UNKNOWN:
        break;
    }
    die("no such format: %.*s", STR_ARG(format));
}

err_t op_format(struct expr_run *run, struct str format, struct expr_value v, struct str *ret_text)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(run->budget.memory);
    void *p;

    if (kind_of(format) == TEXT)
        return op_tostring(run, v, ret_text);
    TRY(write_format(run, format, v, &b));
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
