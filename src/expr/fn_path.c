/*
 * fn_path.c - changing a value at a path: a new value that shares what did not change.
 *
 * A path is an array of names, places, and slices ({start, end}). Recursion is as deep as the path is long, which is bounded.
 */
#include "expr/builtin.h"

#include <math.h>

enum { PATH_MAX_STEPS = 300 }; /* more than documents and built values can be deep */

static err_t set_at(struct expr_run *run, struct expr_value v, struct expr_value path, uint32_t at,
                    struct expr_value value, struct expr_value *ret);

/* What a step of a path leads to, null where there is nothing yet. */
static err_t follow(struct expr_run *run, struct expr_value v, struct expr_value key, struct expr_value *ret)
{
    TRY(budget_steps(&run->budget, 1));
    return op_index(run, v, key, ret);
}

static err_t set_member(struct expr_run *run, struct expr_value v, struct expr_value key, struct expr_value value,
                        struct expr_value *ret)
{
    struct str name;

    if (v.kind == JSON_NULL)
        TRY(value_new_object(&run->budget, 1, &v));
    if (v.kind != JSON_OBJECT)
        return run_raise(run, "Cannot index %s with a string", value_kind_name((enum json_kind)v.kind));
    TRY(value_settle(&run->budget, &v));
    TRY(value_text(&run->budget, key, &name));
    TRY(value_put(&run->budget, &v, name, value));
    *ret = v;
    return OK;
}

/* `array` with elements [from, to) replaced by those of `with`; padded with nulls if it is shorter than `from`. */
static err_t splice(struct expr_run *run, struct expr_value array, uint32_t from, uint32_t to, struct expr_value with,
                    struct expr_value *ret)
{
    struct expr_value changed;
    uint64_t count = (uint64_t)from + with.n + (to < array.n ? array.n - to : 0);

    if (count > UINT32_MAX / sizeof(struct expr_value))
        return fail(E_TOO_LARGE, "the expression builds too large an array");
    TRY(budget_steps(&run->budget, count));
    TRY(value_new_array(&run->budget, (uint32_t)count, &changed));
    for (uint32_t i = 0; i < from; i++)
        TRY(value_append(&run->budget, &changed, i < array.n ? array.list->at[i] : expr_null()));
    for (uint32_t i = 0; i < with.n; i++)
        TRY(value_append(&run->budget, &changed, with.list->at[i]));
    for (uint32_t i = to; i < array.n; i++)
        TRY(value_append(&run->budget, &changed, array.list->at[i]));
    *ret = changed;
    return OK;
}

static err_t as_array(struct expr_run *run, struct expr_value *v)
{
    if (v->kind == JSON_NULL)
        return value_new_array(&run->budget, 0, v);
    if (v->kind != JSON_ARRAY)
        return run_raise(run, "Cannot index %s with a number", value_kind_name((enum json_kind)v->kind));
    return value_settle(&run->budget, v);
}

static err_t set_element(struct expr_run *run, struct expr_value v, struct expr_value key, struct expr_value value,
                         struct expr_value *ret)
{
    double at = floor(value_number(key));
    struct expr_value one;

    TRY(as_array(run, &v));
    if (at < 0)
        at += v.n;
    if (at < 0)
        return run_raise(run, "Out of bounds negative array index");
    if (at >= UINT32_MAX)
        return fail(E_TOO_LARGE, "the expression builds too large an array");
    TRY(value_new_array(&run->budget, 1, &one));
    TRY(value_append(&run->budget, &one, value));
    return splice(run, v, (uint32_t)at, (uint32_t)at + 1, one, ret);
}

/* Bounds of a slice key within an array. */
static err_t bounds(struct expr_run *run, struct expr_value array, struct expr_value key, uint32_t *ret_from,
                    uint32_t *ret_to)
{
    struct expr_value start, end, part, before;

    TRY(value_get(&run->budget, key, STR("start"), &start, NULL));
    TRY(value_get(&run->budget, key, STR("end"), &end, NULL));
    TRY(op_slice(run, array, start, end, &part));
    TRY(op_slice(run, array, expr_null(), start, &before));
    *ret_from = start.kind == JSON_NULL ? 0 : before.n;
    /* The end of what is before is rounded up, a start is cut off. */
    if (start.kind == JSON_NUMBER && value_number(start) != floor(value_number(start)) && *ret_from)
        --*ret_from;
    *ret_to = *ret_from + part.n;
    return OK;
}

static err_t set_slice(struct expr_run *run, struct expr_value v, struct expr_value key, struct expr_value value,
                       struct expr_value *ret)
{
    uint32_t from, to;

    TRY(as_array(run, &v));
    if (value.kind != JSON_ARRAY)
        return run_raise(run, "A slice of an array can only be assigned another array");
    TRY(value_settle(&run->budget, &value));
    TRY(bounds(run, v, key, &from, &to));
    return splice(run, v, from, to, value, ret);
}

static err_t set_step(struct expr_run *run, struct expr_value v, struct expr_value key, struct expr_value value,
                      struct expr_value *ret)
{
    if (key.kind == JSON_STRING)
        return set_member(run, v, key, value, ret);
    if (key.kind == JSON_NUMBER)
        return set_element(run, v, key, value, ret);
    if (key.kind == JSON_OBJECT)
        return set_slice(run, v, key, value, ret);
    return run_raise(run, "Cannot use %.*s in a path", STR_ARG(run_show(run, key)));
}

static err_t set_at(struct expr_run *run, struct expr_value v, struct expr_value path, uint32_t at,
                    struct expr_value value, struct expr_value *ret)
{
    struct expr_value inner;

    if (at == path.n) {
        *ret = value;
        return OK;
    }
    TRY(follow(run, v, path.list->at[at], &inner));
    TRY(set_at(run, inner, path, at + 1, value, &inner));
    return set_step(run, v, path.list->at[at], inner, ret);
}

static err_t check_path(struct expr_run *run, struct expr_value *path)
{
    if (path->kind != JSON_ARRAY)
        return run_raise(run, "Path must be specified as an array");
    TRY(value_settle(&run->budget, path));
    if (path->n > PATH_MAX_STEPS)
        return fail(E_TOO_LARGE, "a path has more than %d steps", PATH_MAX_STEPS);
    return OK;
}

err_t fn_setpath(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value path = v[1];

    TRY(check_path(run, &path));
    return set_at(run, v[0], path, 0, v[2], ret);
}

/* What stands at a path that _paths told of the value. */
err_t fn_at(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value path = v[1], at = v[0];

    TRY(check_path(run, &path));
    for (uint32_t i = 0; i < path.n; i++)
        TRY(follow(run, at, path.list->at[i], &at));
    *ret = at;
    return OK;
}

/* --- deleting --- */

static err_t delete_member(struct expr_run *run, struct expr_value v, struct str name, struct expr_value *ret)
{
    struct expr_value left;

    TRY(value_settle(&run->budget, &v));
    TRY(budget_steps(&run->budget, v.n));
    TRY(value_new_object(&run->budget, v.n, &left));
    for (uint32_t i = 0; i < v.n; i++)
        if (!str_eq(v.map->at[i].key, name))
            TRY(value_put_fresh(&run->budget, &left, v.map->at[i].key, v.map->at[i].value));
    *ret = left;
    return OK;
}

static err_t delete_step(struct expr_run *run, struct expr_value v, struct expr_value key, struct expr_value *ret)
{
    struct expr_value none;
    struct str name;
    uint32_t from, to;

    if (v.kind == JSON_OBJECT && key.kind == JSON_STRING) {
        TRY(value_text(&run->budget, key, &name));
        return delete_member(run, v, name, ret);
    }
    if (v.kind != JSON_ARRAY || (key.kind != JSON_NUMBER && key.kind != JSON_OBJECT))
        return run_raise(run, "Cannot delete %s of %s", value_kind_name((enum json_kind)key.kind),
                         value_kind_name((enum json_kind)v.kind));
    TRY(value_settle(&run->budget, &v));
    if (key.kind == JSON_OBJECT) {
        TRY(bounds(run, v, key, &from, &to));
    } else {
        double at = floor(value_number(key));
        at = at < 0 ? at + v.n : at;
        *ret = v;
        if (at < 0 || at >= v.n)
            return OK;
        from = (uint32_t)at;
        to = from + 1;
    }
    TRY(value_new_array(&run->budget, 0, &none));
    return splice(run, v, from, to, none, ret);
}

static err_t delete_at(struct expr_run *run, struct expr_value v, struct expr_value path, uint32_t at,
                       struct expr_value *ret)
{
    struct expr_value inner;

    *ret = v;
    if (v.kind == JSON_NULL)
        return OK;
    if (at + 1 == path.n)
        return delete_step(run, v, path.list->at[at], ret);
    TRY(follow(run, v, path.list->at[at], &inner));
    if (inner.kind == JSON_NULL)
        return OK;
    TRY(delete_at(run, inner, path, at + 1, &inner));
    return set_step(run, v, path.list->at[at], inner, ret);
}

err_t fn_delpaths(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value paths;

    /* From the last to the first, so that what is deleted does not move what is still to be. */
    TRY(fn_sort(run, &v[1], &paths));
    *ret = v[0];
    for (uint32_t i = paths.n; i-- > 0;) {
        struct expr_value path = paths.list->at[i];
        TRY(check_path(run, &path));
        if (path.n == 0) {
            *ret = expr_null();
            return OK;
        }
        TRY(delete_at(run, *ret, path, 0, ret));
    }
    return OK;
}

/* --- listing --- */

static err_t list_paths(struct expr_run *run, struct expr_value v, struct expr_value path, struct expr_value *to)
{
    if (v.kind != JSON_ARRAY && v.kind != JSON_OBJECT)
        return OK;
    TRY(value_settle(&run->budget, &v));
    for (uint32_t i = 0; i < v.n; i++) {
        struct expr_value longer = path;
        TRY(budget_steps(&run->budget, 1));
        TRY(value_append(&run->budget, &longer, v.kind == JSON_ARRAY ? expr_number(i) : expr_string(v.map->at[i].key)));
        TRY(value_append(&run->budget, to, longer));
        TRY(list_paths(run, v.kind == JSON_ARRAY ? v.list->at[i] : v.map->at[i].value, longer, to));
    }
    return OK;
}

err_t fn_paths(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct expr_value none, all;

    TRY(value_new_array(&run->budget, 0, &none));
    TRY(value_new_array(&run->budget, 0, &all));
    TRY(list_paths(run, v[0], none, &all));
    *ret = all;
    return OK;
}
