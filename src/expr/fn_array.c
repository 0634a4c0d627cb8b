/*
 * fn_array.c - functions on arrays and objects: keys, membership, order, grouping.
 *
 * Sorting is stable and merges, so that comparisons, which may fail for want of steps, can stop it anywhere.
 */
#include "base/utf8.h"
#include "expr/builtin.h"

#include <math.h>

/* The element or member value at a place of what is settled. */
static struct expr_value inside(struct expr_value of, uint32_t at)
{
    return of.kind == JSON_ARRAY ? of.list->at[at] : of.map->at[at].value;
}

/* --- keys and members --- */

err_t fn_keys_unsorted(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value of = v[0], keys;

    TRY(value_settle(&run->budget, &of));
    TRY(budget_steps(&run->budget, of.n));
    TRY(value_new_array(&run->budget, of.n, &keys));
    for (uint32_t i = 0; i < of.n; i++)
        TRY(value_append(&run->budget, &keys, of.kind == JSON_ARRAY ? expr_number(i) : expr_string(of.map->at[i].key)));
    *ret = keys;
    return OK;
}

err_t fn_keys(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value keys;
    struct str *sorted;
    uint32_t count;

    if (v[0].kind == JSON_ARRAY)
        return fn_keys_unsorted(run, v, ret);
    TRY(value_sorted_keys(&run->budget, v[0], &sorted, &count));
    TRY(value_new_array(&run->budget, count, &keys));
    for (uint32_t i = 0; i < count; i++)
        TRY(value_append(&run->budget, &keys, expr_string(sorted[i])));
    *ret = keys;
    return OK;
}

err_t fn_has(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    bool found = false;
    struct expr_value value;
    struct str key;
    uint32_t count;

    if (v[0].kind == JSON_NULL) {
        *ret = expr_bool(false);
        return OK;
    }
    if (v[1].kind != (v[0].kind == JSON_OBJECT ? JSON_STRING : JSON_NUMBER))
        return run_raise(run, "Cannot check whether %s has a %s key", value_kind_name((enum json_kind)v[0].kind),
                         value_kind_name((enum json_kind)v[1].kind));
    if (v[0].kind == JSON_OBJECT) {
        TRY(value_text(&run->budget, v[1], &key));
        TRY(value_get(&run->budget, v[0], key, &value, &found));
    } else {
        double at = value_number(v[1]);
        TRY(value_count(&run->budget, v[0], &count));
        found = at >= 0 && floor(at) < count;
    }
    *ret = expr_bool(found);
    return OK;
}

static err_t contains(struct expr_run *run, struct expr_value x, struct expr_value y, bool *ret);

/* Each element of y is contained in some element of x. */
static err_t array_contains(struct expr_run *run, struct expr_value x, struct expr_value y, bool *ret)
{
    TRY(value_settle(&run->budget, &x));
    TRY(value_settle(&run->budget, &y));
    *ret = true;
    for (uint32_t i = 0; i < y.n && *ret; i++) {
        *ret = false;
        for (uint32_t k = 0; k < x.n && !*ret; k++) {
            TRY(budget_steps(&run->budget, 1));
            TRY(contains(run, x.list->at[k], y.list->at[i], ret));
        }
    }
    return OK;
}

static err_t object_contains(struct expr_run *run, struct expr_value x, struct expr_value y, bool *ret)
{
    TRY(value_settle(&run->budget, &y));
    *ret = true;
    for (uint32_t i = 0; i < y.n && *ret; i++) {
        struct expr_value in_x;
        TRY(budget_steps(&run->budget, 1));
        TRY(value_get(&run->budget, x, y.map->at[i].key, &in_x, ret));
        if (*ret)
            TRY(contains(run, in_x, y.map->at[i].value, ret));
    }
    return OK;
}

/* Within containers, values of different kinds do not contain each other. */
static err_t contains(struct expr_run *run, struct expr_value x, struct expr_value y, bool *ret)
{
    struct str in_x, in_y;

    *ret = false;
    if (x.kind != y.kind)
        return OK;
    if (x.kind == JSON_ARRAY)
        return array_contains(run, x, y, ret);
    if (x.kind == JSON_OBJECT)
        return object_contains(run, x, y, ret);
    if (x.kind != JSON_STRING)
        return value_equal(&run->budget, x, y, ret);
    TRY(value_text(&run->budget, x, &in_x));
    TRY(value_text(&run->budget, y, &in_y));
    TRY(budget_steps(&run->budget, in_x.n / 16));
    *ret = in_y.n == 0 || str_find(in_x, in_y) < in_x.n;
    return OK;
}

err_t fn_contains(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    bool truth;

    if (v[0].kind != v[1].kind) {
        struct str x = run_show(run, v[0]), y = run_show(run, v[1]);
        return run_raise(run, "%.*s and %.*s cannot have their containment checked", STR_ARG(x), STR_ARG(y));
    }
    TRY(contains(run, v[0], v[1], &truth));
    *ret = expr_bool(truth);
    return OK;
}

/* Places of a text in a text, in characters; places may overlap. */
static err_t text_indices(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text, part;
    struct expr_value places;
    uint32_t character = 0;

    TRY(value_text(&run->budget, v[0], &text));
    TRY(value_text(&run->budget, v[1], &part));
    TRY(value_new_array(&run->budget, 0, &places));
    for (size_t at = 0; part.n && at + part.n <= text.n; character++) {
        uint32_t c;
        TRY(budget_steps(&run->budget, 1));
        if (memcmp(text.p + at, part.p, part.n) == 0)
            TRY(value_append(&run->budget, &places, expr_number(character)));
        at += utf8_get(text.p + at, text.n - at, &c);
    }
    *ret = places;
    return OK;
}

/* Do the elements of `part` stand in `array` from `at` on? */
static err_t stands_at(struct expr_run *run, struct expr_value array, struct expr_value part, uint32_t at, bool *ret)
{
    *ret = part.n > 0 && part.n <= array.n - at;
    for (uint32_t i = 0; i < part.n && *ret; i++)
        TRY(value_equal(&run->budget, array.list->at[at + i], part.list->at[i], ret));
    return OK;
}

err_t fn_indices(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value array = v[0], part = v[1], places;

    if (array.kind == JSON_NULL) {
        *ret = expr_null();
        return OK;
    }
    if (array.kind == JSON_STRING && part.kind == JSON_STRING)
        return text_indices(run, v, ret);
    if (array.kind != JSON_ARRAY)
        return run_raise(run, "Cannot index string with %s", value_kind_name((enum json_kind)part.kind));
    TRY(value_settle(&run->budget, &array));
    if (part.kind != JSON_ARRAY) {
        TRY(value_new_array(&run->budget, 1, &places));
        TRY(value_append(&run->budget, &places, part));
        part = places;
    }
    TRY(value_settle(&run->budget, &part));
    TRY(value_new_array(&run->budget, 0, &places));
    for (uint32_t at = 0; at < array.n; at++) {
        bool stands;
        TRY(budget_steps(&run->budget, 1));
        TRY(stands_at(run, array, part, at, &stands));
        if (stands)
            TRY(value_append(&run->budget, &places, expr_number(at)));
    }
    *ret = places;
    return OK;
}

/* --- sums --- */

/* Strings are put together in one go: one after the other would copy what is there each time. */
static err_t add_texts(struct expr_run *run, struct expr_value array, struct expr_value *ret)
{
    struct expr_value empty = expr_string(STR(""));

    return fn_join(run, (struct expr_value[]){array, empty}, ret);
}

err_t fn_add(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value of = v[0], sum = expr_null();
    bool all_texts = of.kind == JSON_ARRAY;

    TRY(value_settle(&run->budget, &of));
    TRY(budget_steps(&run->budget, of.n));
    for (uint32_t i = 0; i < of.n && all_texts; i++)
        all_texts = of.list->at[i].kind == JSON_STRING;
    if (all_texts && of.n)
        return add_texts(run, of, ret);
    for (uint32_t i = 0; i < of.n; i++)
        TRY(op_binary(run, OP_ADD, sum, inside(of, i), &sum));
    *ret = sum;
    return OK;
}

/* --- order --- */

struct pair {
    struct expr_value key, value;
};

/* Merge [from, middle) and [middle, to) of `pairs` by way of `spare`. */
static err_t merge(struct expr_run *run, struct pair *pairs, struct pair *spare, size_t from, size_t middle, size_t to)
{
    size_t x = from, y = middle, at = from;

    while (x < middle && y < to) {
        int order;
        TRY(value_compare(&run->budget, pairs[x].key, pairs[y].key, &order));
        spare[at++] = order <= 0 ? pairs[x++] : pairs[y++];
    }
    while (x < middle)
        spare[at++] = pairs[x++];
    while (y < to)
        spare[at++] = pairs[y++];
    memcpy(pairs + from, spare + from, (to - from) * sizeof *pairs);
    return budget_steps(&run->budget, to - from);
}

static err_t sort_pairs(struct expr_run *run, struct pair *pairs, size_t n)
{
    void *spare;

    TRY(budget_take(&run->budget, n * sizeof *pairs, &spare));
    for (size_t width = 1; width < n; width *= 2)
        for (size_t from = 0; from + width < n; from += 2 * width)
            TRY(merge(run, pairs, spare, from, from + width, from + 2 * width < n ? from + 2 * width : n));
    return OK;
}

/* Elements of an array with their keys. */
static err_t make_pairs(struct expr_run *run, struct expr_value array, struct expr_value keys, struct pair **ret,
                        size_t *ret_n)
{
    void *p;

    TRY(value_settle(&run->budget, &array));
    TRY(value_settle(&run->budget, &keys));
    TRY(budget_steps(&run->budget, array.n));
    TRY(budget_take(&run->budget, array.n * sizeof(struct pair), &p));
    struct pair *pairs = p;
    for (uint32_t i = 0; i < array.n; i++)
        pairs[i] = (struct pair){i < keys.n ? keys.list->at[i] : expr_null(), array.list->at[i]};
    *ret = pairs;
    *ret_n = array.n;
    return OK;
}

static err_t sorted_pairs(struct expr_run *run, struct expr_value array, struct expr_value keys, struct pair **ret,
                          size_t *ret_n)
{
    TRY(make_pairs(run, array, keys, ret, ret_n));
    return sort_pairs(run, *ret, *ret_n);
}

static err_t sort_by(struct expr_run *run, struct expr_value array, struct expr_value keys, bool unique,
                     struct expr_value *ret)
{
    struct pair *pairs;
    struct expr_value sorted;
    size_t n;

    TRY(sorted_pairs(run, array, keys, &pairs, &n));
    TRY(value_new_array(&run->budget, (uint32_t)n, &sorted));
    for (size_t i = 0; i < n; i++) {
        bool same = false;
        if (unique && i)
            TRY(value_equal(&run->budget, pairs[i - 1].key, pairs[i].key, &same));
        if (!same)
            TRY(value_append(&run->budget, &sorted, pairs[i].value));
    }
    *ret = sorted;
    return OK;
}

err_t fn_sort(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return sort_by(run, v[0], v[0], false, ret);
}

err_t fn_sort_by(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return sort_by(run, v[0], v[1], false, ret);
}

err_t fn_unique(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return sort_by(run, v[0], v[0], true, ret);
}

err_t fn_unique_by(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return sort_by(run, v[0], v[1], true, ret);
}

err_t fn_group_by(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct pair *pairs;
    struct expr_value groups, group = expr_null();
    size_t n;

    TRY(sorted_pairs(run, v[0], v[1], &pairs, &n));
    TRY(value_new_array(&run->budget, 0, &groups));
    for (size_t i = 0; i < n; i++) {
        bool same = false;
        if (i)
            TRY(value_equal(&run->budget, pairs[i - 1].key, pairs[i].key, &same));
        if (i && !same)
            TRY(value_append(&run->budget, &groups, group));
        if (!same)
            TRY(value_new_array(&run->budget, 0, &group));
        TRY(value_append(&run->budget, &group, pairs[i].value));
    }
    if (n)
        TRY(value_append(&run->budget, &groups, group));
    *ret = groups;
    return OK;
}

/* The first of the smallest, or the last of the largest. */
static err_t extreme(struct expr_run *run, struct expr_value array, struct expr_value keys, int sign,
                     struct expr_value *ret)
{
    struct pair *pairs;
    size_t n, best = 0;

    TRY(make_pairs(run, array, keys, &pairs, &n));
    for (size_t i = 1; i < n; i++) {
        int order;
        TRY(value_compare(&run->budget, pairs[i].key, pairs[best].key, &order));
        if (sign < 0 ? order < 0 : order >= 0)
            best = i;
    }
    *ret = n ? pairs[best].value : expr_null();
    return OK;
}

err_t fn_min(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return extreme(run, v[0], v[0], -1, ret);
}

err_t fn_max(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return extreme(run, v[0], v[0], 1, ret);
}

err_t fn_min_by(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return extreme(run, v[0], v[1], -1, ret);
}

err_t fn_max_by(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    return extreme(run, v[0], v[1], 1, ret);
}

err_t fn_reverse(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value array = v[0], reversed;

    if (array.kind == JSON_ARRAY)
        TRY(value_settle(&run->budget, &array));
    uint32_t n = array.kind == JSON_ARRAY ? array.n : 0;
    TRY(budget_steps(&run->budget, n));
    TRY(value_new_array(&run->budget, n, &reversed));
    for (uint32_t i = n; i-- > 0;)
        TRY(value_append(&run->budget, &reversed, array.list->at[i]));
    *ret = reversed;
    return OK;
}

/* Place of a value in a sorted array, or -1 - where it would be. */
err_t fn_bsearch(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value array = v[0];
    uint32_t from = 0, to;

    TRY(value_settle(&run->budget, &array));
    to = array.n;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        int order;
        TRY(value_compare(&run->budget, array.list->at[middle], v[1], &order));
        if (order == 0) {
            *ret = expr_number(middle);
            return OK;
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    *ret = expr_number(-1 - (double)from);
    return OK;
}

/* --- shape --- */

static err_t flatten_into(struct expr_run *run, struct expr_value of, double depth, struct expr_value *to)
{
    TRY(value_settle(&run->budget, &of));
    TRY(budget_steps(&run->budget, of.n));
    for (uint32_t i = 0; i < of.n; i++) {
        struct expr_value item = inside(of, i);
        if (item.kind == JSON_ARRAY && depth > 0)
            TRY(flatten_into(run, item, depth - 1, to));
        else
            TRY(value_append(&run->budget, to, item));
    }
    return OK;
}

err_t fn_flatten(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value flat;

    if (value_number(v[1]) < 0)
        return run_raise(run, "flatten depth must not be negative");
    TRY(value_new_array(&run->budget, 0, &flat));
    TRY(flatten_into(run, v[0], value_number(v[1]), &flat));
    *ret = flat;
    return OK;
}

err_t fn_to_entries(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value of = v[0], entries;

    TRY(value_settle(&run->budget, &of));
    TRY(budget_steps(&run->budget, 2 * (uint64_t)of.n));
    TRY(value_new_array(&run->budget, of.n, &entries));
    for (uint32_t i = 0; i < of.n; i++) {
        struct expr_value entry, key = of.kind == JSON_ARRAY ? expr_number(i) : expr_string(of.map->at[i].key);
        TRY(value_new_object(&run->budget, 2, &entry));
        TRY(value_put_fresh(&run->budget, &entry, STR("key"), key));
        TRY(value_put_fresh(&run->budget, &entry, STR("value"), inside(of, i)));
        TRY(value_append(&run->budget, &entries, entry));
    }
    *ret = entries;
    return OK;
}

/* The first of these members that is there; a key may have any of several names. */
static err_t first_member(struct expr_run *run, struct expr_value object, const char *const *names, size_t n,
                          bool must_be_true, struct expr_value *ret)
{
    for (size_t i = 0; i < n; i++) {
        struct expr_value value;
        bool found;
        TRY(value_get(&run->budget, object, str_from_c(names[i]), &value, &found));
        if (found && (!must_be_true || expr_value_is_true(value))) {
            *ret = value;
            return OK;
        }
        if (i == 0)
            *ret = value;
    }
    return OK;
}

static err_t add_entry(struct expr_run *run, struct expr_value entry, struct expr_value *object)
{
    static const char *const keys[] = {"key", "k", "name", "Name", "Key", "K"}, *const values[] = {"value", "v",
                                                                                                   "Value", "V"};
    struct expr_value key, value;
    struct str name;

    if (entry.kind != JSON_OBJECT)
        return run_raise(run, "%.*s is not an entry with a key and a value", STR_ARG(run_show(run, entry)));
    TRY(first_member(run, entry, keys, ARRAY_LEN(keys), true, &key));
    TRY(first_member(run, entry, values, ARRAY_LEN(values), false, &value));
    if (key.kind == JSON_ARRAY || key.kind == JSON_OBJECT)
        return run_raise(run, "Cannot use %.*s as object key", STR_ARG(run_show(run, key)));
    TRY(op_tostring(run, key, &name));
    return value_put_fresh(&run->budget, object, name, value);
}

err_t fn_from_entries(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value entries = v[0], object;

    TRY(value_settle(&run->budget, &entries));
    TRY(budget_steps(&run->budget, 8 * (uint64_t)entries.n));
    TRY(value_new_object(&run->budget, entries.n, &object));
    for (uint32_t i = 0; i < entries.n; i++)
        TRY(add_entry(run, entries.list->at[i], &object));
    *ret = object;
    return OK;
}

static err_t column(struct expr_run *run, struct expr_value rows, uint32_t at, struct expr_value *ret)
{
    struct expr_value cells;

    TRY(value_new_array(&run->budget, rows.n, &cells));
    for (uint32_t i = 0; i < rows.n; i++) {
        struct expr_value cell;
        TRY(budget_steps(&run->budget, 1));
        TRY(op_index(run, rows.list->at[i], expr_number(at), &cell));
        TRY(value_append(&run->budget, &cells, cell));
    }
    *ret = cells;
    return OK;
}

err_t fn_transpose(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value rows = v[0], columns;
    uint32_t width = 0;

    TRY(value_settle(&run->budget, &rows));
    for (uint32_t i = 0; i < rows.n; i++) {
        uint32_t count;
        if (rows.list->at[i].kind == JSON_NULL)
            continue;
        if (rows.list->at[i].kind != JSON_ARRAY)
            return run_raise(run, "Cannot transpose %.*s", STR_ARG(run_show(run, rows.list->at[i])));
        TRY(value_count(&run->budget, rows.list->at[i], &count));
        width = count > width ? count : width;
    }
    TRY(value_new_array(&run->budget, width, &columns));
    for (uint32_t at = 0; at < width; at++) {
        struct expr_value cells;
        TRY(column(run, rows, at, &cells));
        TRY(value_append(&run->budget, &columns, cells));
    }
    *ret = columns;
    return OK;
}

static err_t recurse_into(struct expr_run *run, struct expr_value v, struct expr_value *to)
{
    TRY(value_append(&run->budget, to, v));
    if (v.kind != JSON_ARRAY && v.kind != JSON_OBJECT)
        return OK;
    TRY(value_settle(&run->budget, &v));
    TRY(budget_steps(&run->budget, v.n));
    for (uint32_t i = 0; i < v.n; i++)
        TRY(recurse_into(run, inside(v, i), to));
    return OK;
}

/* The value, and all that is in it. */
err_t fn_recurse(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value all;

    TRY(value_new_array(&run->budget, 0, &all));
    TRY(recurse_into(run, v[0], &all));
    *ret = all;
    return OK;
}
