/*
 * ops.c - what operators and steps do with values, and how they fail.
 *
 * Arithmetic is on doubles, as in jq; a result that is none (overflow, not a number) is an error here.
 */
#include "expr/builtin.h"

#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { SHOWN_MAX = 30, MESSAGE_MAX = 300, REPEAT_MAX = 1 << 24 };

/* --- errors --- */

err_t run_raise_value(struct expr_run *run, struct expr_value v)
{
    run->raised = v;
    return E_PARSE;
}

err_t run_raise(struct expr_run *run, const char *fmt, ...)
{
    char message[MESSAGE_MAX];
    va_list ap;
    void *p;

    va_start(ap, fmt);
    int n = vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    struct str text = utf8_prefix(str_of(message, n > 0 ? strlen(message) : 0), sizeof message);
    TRY(budget_take(&run->budget, text.n, &p));
    memcpy(p, text.p, text.n);
    return run_raise_value(run, expr_string(str_of(p, text.n)));
}

struct str run_show(struct expr_run *run, struct expr_value v)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(4096);
    const char *more = "";
    char shown[96];
    void *p;

    bool cut_short = expr_value_print(v, &text) != OK;
    struct str cut = utf8_prefix(buf_str(&text), SHOWN_MAX);
    if (cut.n < text.n || cut_short)
        more = "...";
    int n = snprintf(shown, sizeof shown, "%s (%.*s%s)", value_kind_name((enum json_kind)v.kind), STR_ARG(cut), more);
    if (n < 0 || budget_take(&run->budget, (size_t)n, &p) != OK)
        return STR_NONE;
    memcpy(p, shown, (size_t)n);
    return str_of(p, (size_t)n);
}

static err_t raise_pair(struct expr_run *run, struct expr_value x, struct expr_value y, const char *what)
{
    struct str show_x = run_show(run, x), show_y = run_show(run, y);

    return run_raise(run, "%.*s and %.*s cannot be %s", STR_ARG(show_x), STR_ARG(show_y), what);
}

/* --- arithmetic --- */

static err_t computed(struct expr_run *run, double number, struct expr_value *ret)
{
    if (!isfinite(number))
        return run_raise(run, "the result is beyond the range of numbers");
    *ret = expr_number(number);
    return OK;
}

static err_t add_strings(struct expr_run *run, struct expr_value x, struct expr_value y, struct expr_value *ret)
{
    struct str in_x, in_y;
    void *p;

    TRY(value_text(&run->budget, x, &in_x));
    TRY(value_text(&run->budget, y, &in_y));
    if (in_y.n > UINT32_MAX - in_x.n)
        return fail(E_TOO_LARGE, "the expression builds too long a string");
    TRY(budget_steps(&run->budget, (in_x.n + in_y.n) / 16));
    TRY(budget_take(&run->budget, in_x.n + in_y.n, &p));
    memcpy(p, in_x.p, in_x.n);
    memcpy((char *)p + in_x.n, in_y.p, in_y.n);
    *ret = expr_string(str_of(p, in_x.n + in_y.n));
    return OK;
}

static err_t add_arrays(struct expr_run *run, struct expr_value x, struct expr_value y, struct expr_value *ret)
{
    TRY(value_settle(&run->budget, &x));
    TRY(value_settle(&run->budget, &y));
    TRY(budget_steps(&run->budget, y.n));
    uint32_t n = y.n; /* x and y may be views of one list */
    for (uint32_t i = 0; i < n; i++)
        TRY(value_append(&run->budget, &x, y.list->at[i]));
    *ret = x;
    return OK;
}

static err_t add_objects(struct expr_run *run, struct expr_value x, struct expr_value y, struct expr_value *ret)
{
    TRY(value_settle(&run->budget, &x));
    TRY(value_settle(&run->budget, &y));
    TRY(budget_steps(&run->budget, y.n));
    for (uint32_t i = 0; i < y.n; i++)
        TRY(value_put(&run->budget, &x, y.map->at[i].key, y.map->at[i].value));
    *ret = x;
    return OK;
}

static err_t add(struct expr_run *run, struct expr_value x, struct expr_value y, struct expr_value *ret)
{
    if (x.kind == JSON_NULL || y.kind == JSON_NULL) {
        *ret = x.kind == JSON_NULL ? y : x;
        return OK;
    }
    if (x.kind == y.kind && x.kind == JSON_NUMBER)
        return computed(run, value_number(x) + value_number(y), ret);
    if (x.kind == y.kind && x.kind == JSON_STRING)
        return add_strings(run, x, y, ret);
    if (x.kind == y.kind && x.kind == JSON_ARRAY)
        return add_arrays(run, x, y, ret);
    if (x.kind == y.kind && x.kind == JSON_OBJECT)
        return add_objects(run, x, y, ret);
    return raise_pair(run, x, y, "added");
}

/* Elements of x that equal none of y. */
static err_t subtract_arrays(struct expr_run *run, struct expr_value x, struct expr_value y, struct expr_value *ret)
{
    struct expr_value left;

    TRY(value_settle(&run->budget, &x));
    TRY(value_settle(&run->budget, &y));
    TRY(value_new_array(&run->budget, x.n, &left));
    for (uint32_t i = 0; i < x.n; i++) {
        bool equal = false;
        TRY(budget_steps(&run->budget, 1));
        for (uint32_t k = 0; k < y.n && !equal; k++)
            TRY(value_equal(&run->budget, x.list->at[i], y.list->at[k], &equal));
        if (!equal)
            TRY(value_append(&run->budget, &left, x.list->at[i]));
    }
    *ret = left;
    return OK;
}

static err_t subtract(struct expr_run *run, struct expr_value x, struct expr_value y, struct expr_value *ret)
{
    if (x.kind == JSON_NUMBER && y.kind == JSON_NUMBER)
        return computed(run, value_number(x) - value_number(y), ret);
    if (x.kind == JSON_ARRAY && y.kind == JSON_ARRAY)
        return subtract_arrays(run, x, y, ret);
    return raise_pair(run, x, y, "subtracted");
}

/* Members of y over those of x, objects in both merged in turn. */
static err_t merge_deep(struct expr_run *run, struct expr_value x, struct expr_value y, struct expr_value *ret)
{
    TRY(value_settle(&run->budget, &x));
    TRY(value_settle(&run->budget, &y));
    TRY(budget_steps(&run->budget, y.n));
    for (uint32_t i = 0; i < y.n; i++) {
        const struct expr_member *member = &y.map->at[i];
        struct expr_value old, value = member->value;
        TRY(value_get(&run->budget, x, member->key, &old, NULL));
        if (old.kind == JSON_OBJECT && value.kind == JSON_OBJECT)
            TRY(merge_deep(run, old, value, &value));
        TRY(value_put(&run->budget, &x, member->key, value));
    }
    *ret = x;
    return OK;
}

/* A string times a number: null below 0, else as many whole times. */
static err_t repeat(struct expr_run *run, struct expr_value text, double times, struct expr_value *ret)
{
    struct str once;
    void *p;

    TRY(value_text(&run->budget, text, &once));
    if (times < 0) {
        *ret = expr_null();
        return OK;
    }
    double count = floor(times);
    if (count * (double)once.n > REPEAT_MAX)
        return fail(E_TOO_LARGE, "the expression builds too long a string");
    size_t n = once.n ? (size_t)count * once.n : 0;
    TRY(budget_steps(&run->budget, n / 16));
    TRY(budget_take(&run->budget, n, &p));
    for (size_t at = 0; at < n; at += once.n)
        memcpy((char *)p + at, once.p, once.n);
    *ret = expr_string(str_of(p, n));
    return OK;
}

static err_t multiply(struct expr_run *run, struct expr_value x, struct expr_value y, struct expr_value *ret)
{
    if (x.kind == JSON_NUMBER && y.kind == JSON_NUMBER)
        return computed(run, value_number(x) * value_number(y), ret);
    if (x.kind == JSON_STRING && y.kind == JSON_NUMBER)
        return repeat(run, x, value_number(y), ret);
    if (x.kind == JSON_NUMBER && y.kind == JSON_STRING)
        return repeat(run, y, value_number(x), ret);
    if (x.kind == JSON_OBJECT && y.kind == JSON_OBJECT)
        return merge_deep(run, x, y, ret);
    return raise_pair(run, x, y, "multiplied");
}

static err_t divide(struct expr_run *run, struct expr_value x, struct expr_value y, struct expr_value *ret)
{
    if (x.kind == JSON_STRING && y.kind == JSON_STRING)
        return fn_split(run, (struct expr_value[]){x, y}, ret);
    if (x.kind != JSON_NUMBER || y.kind != JSON_NUMBER)
        return raise_pair(run, x, y, "divided");
    if (value_number(y) == 0)
        return raise_pair(run, x, y, "divided because the divisor is zero");
    return computed(run, value_number(x) / value_number(y), ret);
}

/* A double as the whole number that `%` works on: cut off, and held within 64 bits. */
static int64_t whole(double d)
{
    if (d >= 9223372036854775807.0)
        return INT64_MAX;
    if (d <= -9223372036854775808.0)
        return INT64_MIN;
    return (int64_t)d;
}

static err_t modulo(struct expr_run *run, struct expr_value x, struct expr_value y, struct expr_value *ret)
{
    if (x.kind != JSON_NUMBER || y.kind != JSON_NUMBER)
        return raise_pair(run, x, y, "divided (remainder)");
    int64_t in_x = whole(value_number(x)), in_y = whole(value_number(y));
    if (in_y == 0)
        return raise_pair(run, x, y, "divided (remainder) because the divisor is zero");
    /* The sign is that of the dividend; the magnitudes are unsigned, as INT64_MIN has no opposite. */
    uint64_t size_x = in_x < 0 ? 0 - (uint64_t)in_x : (uint64_t)in_x,
             size_y = in_y < 0 ? 0 - (uint64_t)in_y : (uint64_t)in_y;
    double rest = (double)(size_x % size_y);
    *ret = expr_number(in_x < 0 ? -rest : rest);
    return OK;
}

/* --- comparison --- */

static err_t compare(struct expr_run *run, enum binary_op op, struct expr_value x, struct expr_value y,
                     struct expr_value *ret)
{
    int order;
    bool truth;

    if (op == OP_EQ || op == OP_NE) {
        TRY(value_equal(&run->budget, x, y, &truth));
        *ret = expr_bool(truth == (op == OP_EQ));
        return OK;
    }
    TRY(value_compare(&run->budget, x, y, &order));
    if (op == OP_LT)
        truth = order < 0;
    else if (op == OP_LE)
        truth = order <= 0;
    else
        truth = op == OP_GT ? order > 0 : order >= 0;
    *ret = expr_bool(truth);
    return OK;
}

err_t op_binary(struct expr_run *run, enum binary_op op, struct expr_value x, struct expr_value y,
                struct expr_value *ret)
{
    switch (op) {
    case OP_ADD:
        return add(run, x, y, ret);
    case OP_SUBTRACT:
        return subtract(run, x, y, ret);
    case OP_MULTIPLY:
        return multiply(run, x, y, ret);
    case OP_DIVIDE:
        return divide(run, x, y, ret);
    case OP_MODULO:
        return modulo(run, x, y, ret);
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
        return compare(run, op, x, y, ret);
    }
    die("no such operator: %d", (int)op);
}

/* --- steps --- */

err_t op_field(struct expr_run *run, struct expr_value v, struct str key, struct expr_value *ret)
{
    if (v.kind == JSON_OBJECT)
        return value_get(&run->budget, v, key, ret, NULL);
    if (v.kind != JSON_NULL)
        return run_raise(run, "Cannot index %s with \"%.*s\"", value_kind_name((enum json_kind)v.kind), STR_ARG(key));
    *ret = expr_null();
    return OK;
}

static err_t index_number(struct expr_run *run, struct expr_value v, double at, struct expr_value *ret)
{
    uint32_t count;

    *ret = expr_null();
    if (v.kind == JSON_NULL)
        return OK;
    if (at < 0) {
        TRY(value_count(&run->budget, v, &count));
        at += count;
    }
    /* A fraction between two elements is no place. */
    if (at < 0 || at != floor(at) || at >= UINT32_MAX)
        return OK;
    return value_at(&run->budget, v, (uint32_t)at, ret);
}

err_t op_index(struct expr_run *run, struct expr_value v, struct expr_value at, struct expr_value *ret)
{
    struct str key;

    if (at.kind == JSON_STRING && (v.kind == JSON_OBJECT || v.kind == JSON_NULL)) {
        TRY(value_text(&run->budget, at, &key));
        return op_field(run, v, key, ret);
    }
    if (at.kind == JSON_NUMBER && (v.kind == JSON_ARRAY || v.kind == JSON_NULL))
        return index_number(run, v, value_number(at), ret);
    if (at.kind == JSON_ARRAY && v.kind == JSON_ARRAY)
        return fn_indices(run, (struct expr_value[]){v, at}, ret);
    if (at.kind == JSON_OBJECT && (v.kind == JSON_ARRAY || v.kind == JSON_NULL)) {
        struct expr_value from, to;
        TRY(value_get(&run->budget, at, STR("start"), &from, NULL));
        TRY(value_get(&run->budget, at, STR("end"), &to, NULL));
        return op_slice(run, v, from, to, ret);
    }
    if (at.kind == JSON_NULL && v.kind == JSON_NULL) {
        *ret = expr_null();
        return OK;
    }
    return run_raise(run, "Cannot index %s with %s", value_kind_name((enum json_kind)v.kind),
                     value_kind_name((enum json_kind)at.kind));
}

/* Bounds of a slice as places among `count`: from the end if below 0, and within it; the start cut off, the end rounded up. */
static void slice_bounds(struct expr_value from, struct expr_value to, uint32_t count, uint32_t *ret_from,
                         uint32_t *ret_to)
{
    double begin = from.kind == JSON_NULL ? 0 : value_number(from),
           end = to.kind == JSON_NULL ? count : value_number(to);

    begin = begin < 0 ? begin + count : begin;
    end = end < 0 ? end + count : end;
    begin = fmin(fmax(begin, 0), count);
    end = fmin(fmax(end, begin), count);
    *ret_from = (uint32_t)begin;
    *ret_to = (uint32_t)ceil(end);
}

static size_t skip_characters(struct str text, size_t at, uint32_t n)
{
    while (n-- && at < text.n) {
        uint32_t c;
        at += utf8_get(text.p + at, text.n - at, &c);
    }
    return at;
}

static err_t slice_text(struct expr_run *run, struct expr_value v, struct expr_value from, struct expr_value to,
                        struct expr_value *ret)
{
    struct str text;
    uint32_t begin, end;
    struct expr_value length;

    TRY(fn_length(run, &v, &length));
    TRY(value_text(&run->budget, v, &text));
    slice_bounds(from, to, (uint32_t)length.number, &begin, &end);
    size_t first = skip_characters(text, 0, begin), last = skip_characters(text, first, end - begin);
    *ret = expr_string(str_slice(text, first, last));
    return OK;
}

err_t op_slice(struct expr_run *run, struct expr_value v, struct expr_value from, struct expr_value to,
               struct expr_value *ret)
{
    struct expr_value part;
    uint32_t begin, end;

    if (v.kind == JSON_NULL) {
        *ret = v;
        return OK;
    }
    if (v.kind != JSON_STRING && v.kind != JSON_ARRAY)
        return run_raise(run, "Cannot index %s with object", value_kind_name((enum json_kind)v.kind));
    if ((from.kind != JSON_NULL && from.kind != JSON_NUMBER) || (to.kind != JSON_NULL && to.kind != JSON_NUMBER))
        return run_raise(run, "Start and end indices of a slice must be numbers");
    if (v.kind == JSON_STRING)
        return slice_text(run, v, from, to, ret);
    TRY(value_settle(&run->budget, &v));
    slice_bounds(from, to, v.n, &begin, &end);
    TRY(budget_steps(&run->budget, end - begin));
    TRY(value_new_array(&run->budget, end - begin, &part));
    for (uint32_t i = begin; i < end; i++)
        TRY(value_append(&run->budget, &part, v.list->at[i]));
    *ret = part;
    return OK;
}

/* --- text --- */

err_t op_tostring(struct expr_run *run, struct expr_value v, struct str *ret_text)
{
    return v.kind == JSON_STRING ? value_text(&run->budget, v, ret_text) : value_to_json(&run->budget, v, ret_text);
}
