/*
 * value_print.c - values as JSON text. What a document brought and nobody computed on is copied as it was written.
 *
 * Printing takes no steps of a budget: the buf's maximum bounds it.
 */
#include "codec/json_out.h"
#include "expr/pattern.h"
#include "expr/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

size_t value_number_text(double number, char *to)
{
    enum { DIGITS_MAX = 17 };

    if (number == floor(number) && fabs(number) < 1e17) {
        /* -0 is written as such, as in jq */
        snprintf(to, NUMBER_TEXT_MAX, "%.0f", number);
        return strlen(to);
    }
    for (int digits = 1; digits <= DIGITS_MAX; digits++) {
        snprintf(to, NUMBER_TEXT_MAX, "%.*g", digits, number);
        if (strtod(to, NULL) == number)
            break;
    }
    return strlen(to);
}

static void print(struct expr_value v, struct json_out *o);

static void print_number(struct expr_value v, struct json_out *o)
{
    char text[NUMBER_TEXT_MAX];

    if (v.form == EXPR_TEXT)
        json_put_raw(o, str_of(v.text, v.n));
    else
        json_put_raw(o, str_of(text, value_number_text(v.number, text)));
}

static void print_array(struct expr_value v, struct json_out *o)
{
    json_open(o, '[');
    for (uint32_t i = 0; i < v.n && !o->to->overflow; i++)
        print(v.form == EXPR_STRS ? expr_string(v.strs[i]) : v.list->at[i], o);
    json_close(o, ']');
}

static void print_host(const struct expr_host *host, struct json_out *o)
{
    size_t n = host->class->count(host);

    json_open(o, '{');
    for (size_t i = 0; i < n && !o->to->overflow; i++) {
        struct str key;
        struct expr_value value;
        host->class->at(host, i, &key, &value);
        json_key(o, key);
        print(value, o);
    }
    json_close(o, '}');
}

static void print_map(struct expr_value v, struct json_out *o)
{
    json_open(o, '{');
    for (uint32_t i = 0; i < v.n && !o->to->overflow; i++) {
        json_key(o, v.map->at[i].key);
        print(v.map->at[i].value, o);
    }
    json_close(o, '}');
}

static void print(struct expr_value v, struct json_out *o)
{
    if (v.form == EXPR_NODE) {
        json_put_raw(o, json_node_raw(node_of(v)));
        return;
    }
    switch ((enum json_kind)v.kind) {
    case JSON_NULL:
        json_put_null(o);
        return;
    case JSON_FALSE:
    case JSON_TRUE:
        json_put_bool(o, v.kind == JSON_TRUE);
        return;
    case JSON_NUMBER:
        print_number(v, o);
        return;
    case JSON_STRING:
        json_put_str(o, v.form == EXPR_REGEX ? v.pattern->text : str_of(v.text, v.n));
        return;
    case JSON_ARRAY:
        print_array(v, o);
        return;
    case JSON_OBJECT:
        if (v.form == EXPR_HOST)
            print_host(v.host, o);
        else
            print_map(v, o);
        return;
    }
}

err_t expr_value_print(struct expr_value v, struct buf *b)
{
    struct json_out o = json_out_to(b);

    print(v, &o);
    return buf_status(b);
}

err_t value_to_json(struct expr_budget *b, struct expr_value v, struct str *ret_text)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(b->memory);
    void *p;

    TRY(expr_value_print(v, &text));
    TRY(budget_steps(b, text.n / 8));
    TRY(budget_take(b, text.n, &p));
    if (text.n)
        memcpy(p, text.p, text.n);
    *ret_text = str_of(p, text.n);
    return OK;
}

err_t expr_value_text(struct expr_value v, struct arena *arena, struct str *ret_text)
{
    struct expr_budget budget = {.arena = arena, .steps = UINT64_MAX, .memory = SIZE_MAX};

    *ret_text = STR_NONE;
    return v.kind == JSON_STRING ? value_text(&budget, v, ret_text) : OK;
}
