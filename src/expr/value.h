/*
 * value.h - values while they are computed on: looking into them, building new ones, comparing.
 *
 * Values never change once anybody else can see them. An array is a view of the first `n` elements of a list, so that appending to
 * the longest view of a list is done in place and all others go on seeing theirs; the same for objects. What comes from a document or
 * from the host is looked into as it is, and made an ordinary list or map only where that pays.
 */
#ifndef EXPR_VALUE_H
#define EXPR_VALUE_H

#include "expr/expr.h"

struct expr_list {
    uint32_t cap, used;
    uint32_t depth; /* 1 + that of the deepest element built here */
    struct expr_value at[];
};

struct expr_member {
    struct str key;
    struct expr_value value;
};

struct expr_map {
    uint32_t cap, used;
    uint32_t depth;
    uint32_t index_mask; /* slots of `index` - 1; 0: there is no index yet */
    uint32_t *index;     /* place + 1 of a key, by hash; 0: free           */
    struct expr_member at[];
};

/* What an evaluation may still use. Every function here that takes one may fail with E_TOO_LARGE. */
struct expr_budget {
    struct arena *arena;
    uint64_t steps;
    size_t memory;
};

/* Take `n` bytes, uninitialised. */
err_t budget_take(struct expr_budget *b, size_t n, void **ret_p) MUST_CHECK;
/* Count `n` steps beyond the instruction that does them. */
err_t budget_steps(struct expr_budget *b, uint64_t n) MUST_CHECK;

/* "null", "boolean", "number"… */
const char *value_kind_name(enum json_kind kind) PURE;

/* The number; 0 for anything else. A number whose text is beyond a double's range is an infinity. */
double value_number(struct expr_value v);
/* A string's text. */
err_t value_text(struct expr_budget *b, struct expr_value v, struct str *ret_text) MUST_CHECK;
/* Elements or members; objects of documents may name a key twice, which counts once. */
err_t value_count(struct expr_budget *b, struct expr_value v, uint32_t *ret_count) MUST_CHECK;
/* Member `key` of an object, the last of that name; null if there is none, and *ret_found (unless NULL) tells the two apart. */
err_t value_get(struct expr_budget *b, struct expr_value object, struct str key, struct expr_value *ret_value,
                bool *ret_found) MUST_CHECK;
/* Element of an array; null outside. */
err_t value_at(struct expr_budget *b, struct expr_value array, uint32_t index, struct expr_value *ret_value) MUST_CHECK;
/* The same array or object as an ordinary list or map; *v is replaced. Anything else stays as it is. */
err_t value_settle(struct expr_budget *b, struct expr_value *v) MUST_CHECK;

/* An empty array or object, with room for `cap`. */
err_t value_new_array(struct expr_budget *b, uint32_t cap, struct expr_value *ret_array) MUST_CHECK;
err_t value_new_object(struct expr_budget *b, uint32_t cap, struct expr_value *ret_object) MUST_CHECK;
/* *array with one more element; what others see of it does not change. Must be settled. */
err_t value_append(struct expr_budget *b, struct expr_value *array, struct expr_value element) MUST_CHECK;
/* *object with this member; likewise. `key` must live as long as the value. */
err_t value_put(struct expr_budget *b, struct expr_value *object, struct str key, struct expr_value value) MUST_CHECK;
/* The same for an object that nobody else has seen: an existing member is replaced in place. */
err_t value_put_fresh(struct expr_budget *b, struct expr_value *object, struct str key, struct expr_value value)
    MUST_CHECK;

/* Order of jq: null, false, true, numbers, strings by code point, arrays, objects. <0, 0, >0. */
err_t value_compare(struct expr_budget *b, struct expr_value x, struct expr_value y, int *ret_order) MUST_CHECK;
/* Equality, which for most values needs less than the order. */
err_t value_equal(struct expr_budget *b, struct expr_value x, struct expr_value y, bool *ret_equal) MUST_CHECK;
/* Keys of an object in the order of code points, in the arena. */
err_t value_sorted_keys(struct expr_budget *b, struct expr_value object, struct str **ret_keys, uint32_t *ret_count)
    MUST_CHECK;

/* The value as JSON text, in the arena. */
err_t value_to_json(struct expr_budget *b, struct expr_value v, struct str *ret_text) MUST_CHECK;
static inline struct expr_list *list_of(struct expr_value array)
{
    return (struct expr_list *)array.list;
}
static inline struct expr_map *map_of(struct expr_value object)
{
    return (struct expr_map *)object.map;
}
static inline struct json_node node_of(struct expr_value v)
{
    return (struct json_node){v.tree, v.n};
}

#endif
