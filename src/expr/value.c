/*
 * value.c - representation of values: looking into them, and building lists and maps that never change for those who hold them.
 *
 * The idea: a value of a document or of the host costs nothing until it is looked into, and then only the look. A list or map that is
 * built here grows at its end; who holds a shorter view of it does not notice. So `. + [x]` in a reduce is one step, not a copy of all.
 * A map finds its keys by walking while it is small, and by a table of hashes (keyed, base/map.h) when it is not.
 *
 * Invariants: a list's or map's depth is at most EXPR_VALUE_DEPTH_MAX, and documents are at most JSON_DEPTH_MAX deep, so that recursion over a
 * value is bounded. Keys in a map are unique. What it does not do: order, equality and printing (value_order.c, value_print.c).
 */
#include "expr/value.h"

#include "base/map.h"
#include "expr/pattern.h"

#include <math.h>

enum {
    INDEX_FROM = 12, /* members from which a map gets an index */
    CAP_MIN = 4,
};

/* --- the budget --- */

err_t budget_take(struct expr_budget *b, size_t n, void **ret_p)
{
    char *p;

    if (n > b->memory)
        return fail(E_TOO_LARGE, "the expression needs more memory than it may take");
    TRY(arena_try(b->arena, n, &p));
    b->memory -= n;
    *ret_p = p;
    return OK;
}

err_t budget_steps(struct expr_budget *b, uint64_t n)
{
    if (n > b->steps) {
        b->steps = 0;
        return fail(E_TOO_LARGE, "the expression takes more steps than it may");
    }
    b->steps -= n;
    return OK;
}

/* --- scalars --- */

const char *value_kind_name(enum json_kind kind)
{
    switch (kind) {
    case JSON_NULL:
        return "null";
    case JSON_FALSE:
    case JSON_TRUE:
        return "boolean";
    case JSON_NUMBER:
        return "number";
    case JSON_STRING:
        return "string";
    case JSON_ARRAY:
        return "array";
    case JSON_OBJECT:
        return "object";
    }
    die("no such kind: %d", (int)kind);
}

struct expr_value expr_json(struct json_node node)
{
    enum json_kind kind = json_node_kind(node);

    if (json_is_absent(node) || kind <= JSON_TRUE)
        return (struct expr_value){.kind = (uint8_t)kind};
    if (kind == JSON_NUMBER) {
        struct str raw = json_node_raw(node);
        return (struct expr_value){.kind = JSON_NUMBER, .form = EXPR_TEXT, .n = (uint32_t)raw.n, .text = raw.p};
    }
    return (struct expr_value){.kind = (uint8_t)kind, .form = EXPR_NODE, .n = node.cell, .tree = node.tree};
}

double value_number(struct expr_value v)
{
    double number;

    if (v.kind != JSON_NUMBER)
        return 0;
    if (v.form == EXPR_PLAIN)
        return v.number;
    if (json_to_double(str_of(v.text, v.n), &number))
        return number;
    return v.text[0] == '-' ? -INFINITY : INFINITY;
}

err_t value_text(struct expr_budget *b, struct expr_value v, struct str *ret_text)
{
    if (v.form == EXPR_PLAIN) {
        *ret_text = str_of(v.text, v.n);
        return OK;
    }
    if (v.form == EXPR_REGEX) {
        *ret_text = v.pattern->text;
        return OK;
    }
    struct str raw = json_node_raw(node_of(v));
    if (!memchr(raw.p, '\\', raw.n)) {
        *ret_text = str_of(raw.p + 1, raw.n - 2);
        return OK;
    }
    void *room;
    TRY(budget_steps(b, raw.n));
    TRY(budget_take(b, raw.n, &room)); /* what decoding takes is no more: the limit is reached here or not at all */
    *ret_text = json_node_text(node_of(v), b->arena);
    return OK;
}

/* --- lists --- */

static uint32_t depth_of(struct expr_value v)
{
    if (v.form != EXPR_PLAIN)
        return 0;
    return v.kind == JSON_ARRAY ? v.list->depth : v.kind == JSON_OBJECT ? v.map->depth : 0;
}

static err_t deepen(uint32_t *depth, struct expr_value child)
{
    uint32_t needs = 1 + depth_of(child);

    if (needs > EXPR_VALUE_DEPTH_MAX)
        return fail(E_TOO_LARGE, "the expression builds a value nested more than %d deep", EXPR_VALUE_DEPTH_MAX);
    if (needs > *depth)
        *depth = needs;
    return OK;
}

err_t value_new_array(struct expr_budget *b, uint32_t cap, struct expr_value *ret_array)
{
    void *p;

    TRY(budget_take(b, sizeof(struct expr_list) + cap * sizeof(struct expr_value), &p));
    struct expr_list *list = p;
    *list = (struct expr_list){.cap = cap, .depth = 1};
    *ret_array = (struct expr_value){.kind = JSON_ARRAY, .list = list};
    return OK;
}

static err_t copy_list(struct expr_budget *b, struct expr_value *array)
{
    const struct expr_list *from = array->list;
    uint32_t n = array->n;
    struct expr_value to;

    TRY(budget_steps(b, n));
    if (n > UINT32_MAX / 4)
        return fail(E_TOO_LARGE, "the expression builds too large an array");
    TRY(value_new_array(b, n < CAP_MIN ? CAP_MIN : 2 * n, &to));
    struct expr_list *list = list_of(to);
    memcpy(list->at, from->at, n * sizeof list->at[0]);
    list->used = n;
    list->depth = from->depth;
    *array = to;
    array->n = n;
    return OK;
}

err_t value_append(struct expr_budget *b, struct expr_value *array, struct expr_value element)
{
    struct expr_value longer = *array;

    if (longer.list->used != longer.n || longer.list->used == longer.list->cap)
        TRY(copy_list(b, &longer));
    struct expr_list *list = list_of(longer);
    TRY(deepen(&list->depth, element));
    list->at[list->used++] = element;
    longer.n++;
    *array = longer;
    return OK;
}

/* --- maps --- */

err_t value_new_object(struct expr_budget *b, uint32_t cap, struct expr_value *ret_object)
{
    void *p;

    TRY(budget_take(b, sizeof(struct expr_map) + cap * sizeof(struct expr_member), &p));
    struct expr_map *map = p;
    *map = (struct expr_map){.cap = cap, .depth = 1};
    *ret_object = (struct expr_value){.kind = JSON_OBJECT, .map = map};
    return OK;
}

static void index_add(struct expr_map *map, uint32_t place)
{
    uint32_t slot = (uint32_t)map_hash(map->at[place].key) & map->index_mask;

    while (map->index[slot])
        slot = (slot + 1) & map->index_mask;
    map->index[slot] = place + 1;
}

static err_t build_index(struct expr_budget *b, struct expr_map *map)
{
    uint32_t size = 4 * INDEX_FROM;
    void *p;

    while (size < 2 * map->cap)
        size *= 2;
    TRY(budget_steps(b, map->used));
    TRY(budget_take(b, size * sizeof map->index[0], &p));
    map->index = memset(p, 0, size * sizeof map->index[0]);
    map->index_mask = size - 1;
    for (uint32_t i = 0; i < map->used; i++)
        index_add(map, i);
    return OK;
}

/* Place of `key`, or UINT32_MAX. Members that this view does not reach to are none of its. */
static uint32_t map_place(struct expr_value object, struct str key)
{
    const struct expr_map *map = object.map;

    if (!map->index_mask) {
        for (uint32_t i = 0; i < object.n; i++)
            if (str_eq(map->at[i].key, key))
                return i;
        return UINT32_MAX;
    }
    for (uint32_t slot = (uint32_t)map_hash(key) & map->index_mask; map->index[slot];
         slot = (slot + 1) & map->index_mask) {
        uint32_t place = map->index[slot] - 1;
        if (str_eq(map->at[place].key, key))
            return place < object.n ? place : UINT32_MAX;
    }
    return UINT32_MAX;
}

static err_t copy_map(struct expr_budget *b, struct expr_value *object)
{
    const struct expr_map *from = object->map;
    uint32_t n = object->n;
    struct expr_value to;

    TRY(budget_steps(b, n));
    if (n > UINT32_MAX / 4)
        return fail(E_TOO_LARGE, "the expression builds too large an object");
    TRY(value_new_object(b, n < CAP_MIN ? CAP_MIN : 2 * n, &to));
    struct expr_map *map = map_of(to);
    memcpy(map->at, from->at, n * sizeof map->at[0]);
    map->used = n;
    map->depth = from->depth;
    *object = to;
    object->n = n;
    return OK;
}

static err_t add_member(struct expr_budget *b, struct expr_value *object, struct str key, struct expr_value value)
{
    struct expr_value larger = *object;

    if (larger.map->used != larger.n || larger.map->used == larger.map->cap)
        TRY(copy_map(b, &larger));
    struct expr_map *map = map_of(larger);
    TRY(deepen(&map->depth, value));
    map->at[map->used++] = (struct expr_member){key, value};
    if (map->index_mask)
        index_add(map, map->used - 1);
    else if (map->used > INDEX_FROM)
        TRY(build_index(b, map));
    larger.n++;
    *object = larger;
    return OK;
}

err_t value_put_fresh(struct expr_budget *b, struct expr_value *object, struct str key, struct expr_value value)
{
    uint32_t place = map_place(*object, key);

    if (place == UINT32_MAX)
        return add_member(b, object, key, value);
    TRY(deepen(&map_of(*object)->depth, value));
    map_of(*object)->at[place].value = value;
    return OK;
}

err_t value_put(struct expr_budget *b, struct expr_value *object, struct str key, struct expr_value value)
{
    struct expr_value changed = *object;

    if (map_place(changed, key) == UINT32_MAX)
        return add_member(b, object, key, value);
    TRY(copy_map(b, &changed));
    TRY(value_put_fresh(b, &changed, key, value));
    *object = changed;
    return OK;
}

/* --- documents and the host, made ordinary --- */

static err_t settle_array(struct expr_budget *b, struct expr_value *v)
{
    struct expr_value array;

    if (v->form == EXPR_STRS) {
        TRY(budget_steps(b, v->n));
        TRY(value_new_array(b, v->n, &array));
        for (uint32_t i = 0; i < v->n; i++)
            TRY(value_append(b, &array, expr_string(v->strs[i])));
    } else {
        uint32_t n = (uint32_t)json_node_count(node_of(*v));
        TRY(budget_steps(b, 2 * (uint64_t)n));
        TRY(value_new_array(b, n, &array));
        JSON_EACH(w, node_of(*v))
            TRY(value_append(b, &array, expr_json(w.value)));
    }
    *v = array;
    return OK;
}

static err_t settle_host(struct expr_budget *b, struct expr_value *v)
{
    const struct expr_host *host = v->host;
    size_t n = host->class->count(host);
    struct expr_value object;

    TRY(budget_steps(b, n));
    TRY(value_new_object(b, (uint32_t)n, &object));
    for (size_t i = 0; i < n; i++) {
        struct str key;
        struct expr_value value;
        host->class->at(host, i, &key, &value);
        TRY(value_put_fresh(b, &object, key, value));
    }
    *v = object;
    return OK;
}

static err_t settle_object(struct expr_budget *b, struct expr_value *v)
{
    uint32_t n = (uint32_t)json_node_count(node_of(*v));
    struct expr_value object;

    TRY(budget_steps(b, 2 * (uint64_t)n));
    TRY(value_new_object(b, n, &object));
    JSON_EACH(w, node_of(*v)) {
        struct str key;
        TRY(value_text(b, expr_json(w.key), &key));
        TRY(value_put_fresh(b, &object, key, expr_json(w.value)));
    }
    *v = object;
    return OK;
}

err_t value_settle(struct expr_budget *b, struct expr_value *v)
{
    if (v->form == EXPR_PLAIN)
        return OK;
    if (v->kind == JSON_ARRAY)
        return settle_array(b, v);
    if (v->kind == JSON_OBJECT)
        return v->form == EXPR_HOST ? settle_host(b, v) : settle_object(b, v);
    return OK;
}

err_t value_count(struct expr_budget *b, struct expr_value v, uint32_t *ret_count)
{
    if (v.form == EXPR_NODE && v.kind == JSON_ARRAY) {
        *ret_count = (uint32_t)json_node_count(node_of(v));
        return budget_steps(b, *ret_count);
    }
    if (v.form == EXPR_NODE || v.form == EXPR_HOST)
        TRY(value_settle(b, &v));
    *ret_count = v.n;
    return OK;
}

/* --- looking into them --- */

static err_t get_from_document(struct expr_budget *b, struct expr_value object, struct str key,
                               struct expr_value *ret_value, bool *ret_found)
{
    uint32_t seen;
    struct json_node member = json_node_get_last(node_of(object), key, &seen);

    *ret_found = !json_is_absent(member);
    *ret_value = expr_json(member);
    return budget_steps(b, seen);
}

static bool get_from_host(const struct expr_host *host, struct str key, struct expr_value *ret_value)
{
    if (host->class->find)
        return host->class->find(host, key, ret_value);
    size_t n = host->class->count(host);
    for (size_t i = 0; i < n; i++) {
        struct str name;
        struct expr_value value;
        host->class->at(host, i, &name, &value);
        if (str_eq(name, key)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

err_t value_get(struct expr_budget *b, struct expr_value object, struct str key, struct expr_value *ret_value,
                bool *ret_found)
{
    struct expr_value value = expr_null();
    bool found = false;

    if (object.form == EXPR_HOST) {
        found = get_from_host(object.host, key, &value);
        if (!found)
            value = expr_null();
    } else if (object.form == EXPR_NODE) {
        TRY(get_from_document(b, object, key, &value, &found));
    } else {
        uint32_t place = map_place(object, key);
        found = place != UINT32_MAX;
        if (found)
            value = object.map->at[place].value;
    }
    *ret_value = value;
    if (ret_found)
        *ret_found = found;
    return OK;
}

err_t value_at(struct expr_budget *b, struct expr_value array, uint32_t index, struct expr_value *ret_value)
{
    if (array.form == EXPR_NODE) {
        TRY(budget_steps(b, index));
        *ret_value = expr_json(json_node_at(node_of(array), index));
        return OK;
    }
    if (index >= array.n)
        *ret_value = expr_null();
    else
        *ret_value = array.form == EXPR_STRS ? expr_string(array.strs[index]) : array.list->at[index];
    return OK;
}
