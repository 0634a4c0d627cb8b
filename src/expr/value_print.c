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

enum { NUMBER_TEXT_MAX = 32 };

/* Shortest spelling of a double, whole numbers below 1e17 without an exponent. Returns its length. */
static size_t number_text(double number, char to[NUMBER_TEXT_MAX])
{
    if (number == floor(number) && fabs(number) < 1e17) {
        snprintf(to, NUMBER_TEXT_MAX, "%.0f", number);
        return strlen(to);
    }
    /* Every text of 15 digits survives being a double, so fewer need not be tried; 17 always read back. */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(to, NUMBER_TEXT_MAX, "%.*g", digits, number);
        if (strtod(to, NULL) == number)
            break;
    }
    return strlen(to);
}

/* Where to, and for text that the program sees: what documents brought is written anew, at the budget's cost. */
struct printer {
    struct json_out out;
    struct expr_budget *budget; /* NULL: parts of documents are copied as they are */
    err_t error;
};

static void print(struct printer *p, struct expr_value v);

static bool is_over(const struct printer *p)
{
    return p->error || p->out.to->overflow;
}

static void print_number(struct printer *p, struct expr_value v)
{
    enum { STEPS = 16 }; /* spelling a double takes about as long as so many instructions */
    char text[NUMBER_TEXT_MAX];

    if (v.form == EXPR_TEXT) {
        json_put_raw(&p->out, str_of(v.text, v.n));
        return;
    }
    if (p->budget)
        p->error = budget_steps(p->budget, STEPS);
    if (!p->error)
        json_put_raw(&p->out, str_of(text, number_text(v.number, text)));
}

static void print_array(struct printer *p, struct expr_value v)
{
    json_open(&p->out, '[');
    for (uint32_t i = 0; i < v.n && !is_over(p); i++)
        print(p, v.form == EXPR_STRS ? expr_string(v.strs[i]) : v.list->at[i]);
    json_close(&p->out, ']');
}

static void print_host(struct printer *p, const struct expr_host *host)
{
    size_t n = host->class->count(host);

    json_open(&p->out, '{');
    for (size_t i = 0; i < n && !is_over(p); i++) {
        struct str key;
        struct expr_value value;
        host->class->at(host, i, &key, &value);
        json_key(&p->out, key);
        print(p, value);
    }
    json_close(&p->out, '}');
}

static void print_map(struct printer *p, struct expr_value v)
{
    json_open(&p->out, '{');
    for (uint32_t i = 0; i < v.n && !is_over(p); i++) {
        json_key(&p->out, v.map->at[i].key);
        print(p, v.map->at[i].value);
    }
    json_close(&p->out, '}');
}

/* A part of a document, made ordinary. */
static struct expr_value settled(struct printer *p, struct expr_value v)
{
    struct str text;

    if (v.kind != JSON_STRING) {
        p->error = value_settle(p->budget, &v);
        return p->error ? expr_null() : v;
    }
    p->error = value_text(p->budget, v, &text);
    return p->error ? expr_null() : expr_string(text);
}

static void print(struct printer *p, struct expr_value v)
{
    if (v.form == EXPR_NODE && !p->budget) {
        json_put_raw(&p->out, json_node_raw(node_of(v)));
        return;
    }
    if (v.form == EXPR_NODE)
        v = settled(p, v);
    switch ((enum json_kind)v.kind) {
    case JSON_NULL:
        json_put_null(&p->out);
        return;
    case JSON_FALSE:
    case JSON_TRUE:
        json_put_bool(&p->out, v.kind == JSON_TRUE);
        return;
    case JSON_NUMBER:
        print_number(p, v);
        return;
    case JSON_STRING:
        json_put_str(&p->out, v.form == EXPR_REGEX ? v.pattern->text : str_of(v.text, v.n));
        return;
    case JSON_ARRAY:
        print_array(p, v);
        return;
    case JSON_OBJECT:
        if (v.form == EXPR_HOST)
            print_host(p, v.host);
        else
            print_map(p, v);
        return;
    }
}

err_t expr_value_print(struct expr_value v, struct buf *b)
{
    struct printer p = {.out = json_out_to(b)};

    print(&p, v);
    return buf_status(b);
}

err_t value_to_json(struct expr_budget *b, struct expr_value v, struct str *ret_text)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(b->memory);
    struct printer printer = {.out = json_out_to(&text), .budget = b};
    void *p;

    print(&printer, v);
    TRY(printer.error);
    TRY(buf_status(&text));
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
