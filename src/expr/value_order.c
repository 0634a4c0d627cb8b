/*
 * value_order.c - order and equality of values, as jq has them.
 *
 * Objects are ordered by their sorted keys first and then by the values of these; equality needs no sorting. Numbers are compared as
 * doubles. Recursion is bounded by the depth of values (value.h).
 */
#include "expr/value.h"

#include <stdlib.h>

static err_t compare_arrays(struct expr_budget *b, struct expr_value x, struct expr_value y, int *ret_order)
{
    TRY(value_settle(b, &x));
    TRY(value_settle(b, &y));
    for (uint32_t i = 0; i < x.n && i < y.n; i++) {
        TRY(value_compare(b, x.list->at[i], y.list->at[i], ret_order));
        if (*ret_order)
            return OK;
    }
    *ret_order = (x.n > y.n) - (x.n < y.n);
    return OK;
}

static int compare_keys(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

err_t value_sorted_keys(struct expr_budget *b, struct expr_value object, struct str **ret_keys, uint32_t *ret_count)
{
    void *p;

    TRY(value_settle(b, &object));
    TRY(budget_take(b, object.n * sizeof(struct str), &p));
    TRY(budget_steps(b, 4 * (uint64_t)object.n));
    struct str *keys = p;
    for (uint32_t i = 0; i < object.n; i++)
        keys[i] = object.map->at[i].key;
    qsort(keys, object.n, sizeof keys[0], compare_keys);
    *ret_keys = keys;
    *ret_count = object.n;
    return OK;
}

static err_t compare_objects(struct expr_budget *b, struct expr_value x, struct expr_value y, int *ret_order)
{
    struct str *x_keys, *y_keys;
    uint32_t x_count, y_count;

    TRY(value_settle(b, &x));
    TRY(value_settle(b, &y));
    TRY(value_sorted_keys(b, x, &x_keys, &x_count));
    TRY(value_sorted_keys(b, y, &y_keys, &y_count));
    *ret_order = 0;
    for (uint32_t i = 0; i < x_count && i < y_count && !*ret_order; i++)
        *ret_order = str_cmp(x_keys[i], y_keys[i]);
    if (!*ret_order)
        *ret_order = (x_count > y_count) - (x_count < y_count);
    for (uint32_t i = 0; i < x_count && !*ret_order; i++) {
        struct expr_value in_x, in_y;
        TRY(value_get(b, x, x_keys[i], &in_x, NULL));
        TRY(value_get(b, y, x_keys[i], &in_y, NULL));
        TRY(value_compare(b, in_x, in_y, ret_order));
    }
    return OK;
}

static err_t compare_strings(struct expr_budget *b, struct expr_value x, struct expr_value y, int *ret_order)
{
    struct str in_x, in_y;

    TRY(value_text(b, x, &in_x));
    TRY(value_text(b, y, &in_y));
    *ret_order = str_cmp(in_x, in_y);
    return budget_steps(b, (in_x.n < in_y.n ? in_x.n : in_y.n) / 16);
}

err_t value_compare(struct expr_budget *b, struct expr_value x, struct expr_value y, int *ret_order)
{
    TRY(budget_steps(b, 1));
    if (x.kind != y.kind) {
        *ret_order = x.kind < y.kind ? -1 : 1;
        return OK;
    }
    switch ((enum json_kind)x.kind) {
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        *ret_order = 0;
        return OK;
    case JSON_NUMBER: {
        double in_x = value_number(x), in_y = value_number(y);
        *ret_order = (in_x > in_y) - (in_x < in_y);
        return OK;
    }
    case JSON_STRING:
        return compare_strings(b, x, y, ret_order);
    case JSON_ARRAY:
        return compare_arrays(b, x, y, ret_order);
    case JSON_OBJECT:
        return compare_objects(b, x, y, ret_order);
    }
    die("no such kind: %d", x.kind);
}

static err_t equal_arrays(struct expr_budget *b, struct expr_value x, struct expr_value y, bool *ret_equal)
{
    TRY(value_settle(b, &x));
    TRY(value_settle(b, &y));
    *ret_equal = x.n == y.n;
    for (uint32_t i = 0; i < x.n && *ret_equal; i++)
        TRY(value_equal(b, x.list->at[i], y.list->at[i], ret_equal));
    return OK;
}

static err_t equal_objects(struct expr_budget *b, struct expr_value x, struct expr_value y, bool *ret_equal)
{
    TRY(value_settle(b, &x));
    TRY(value_settle(b, &y));
    *ret_equal = x.n == y.n;
    for (uint32_t i = 0; i < x.n && *ret_equal; i++) {
        struct expr_value other;
        TRY(value_get(b, y, x.map->at[i].key, &other, ret_equal));
        if (*ret_equal)
            TRY(value_equal(b, x.map->at[i].value, other, ret_equal));
    }
    return OK;
}

err_t value_equal(struct expr_budget *b, struct expr_value x, struct expr_value y, bool *ret_equal)
{
    int order;

    *ret_equal = false;
    if (x.kind != y.kind)
        return OK;
    if (x.kind == JSON_ARRAY) {
        TRY(budget_steps(b, 1));
        return equal_arrays(b, x, y, ret_equal);
    }
    if (x.kind == JSON_OBJECT) {
        TRY(budget_steps(b, 1));
        return equal_objects(b, x, y, ret_equal);
    }
    TRY(value_compare(b, x, y, &order));
    *ret_equal = order == 0;
    return OK;
}
