/* type.h - what is known about values, while a program is compiled. Types that are made here live in the arena of the compilation. */
#ifndef EXPR_TYPE_H
#define EXPR_TYPE_H

#include "expr/expr.h"

/* No value at all: what `empty` yields. */
extern const struct expr_type expr_type_none;

/* Values of these kinds, about whose inside nothing is known. */
const struct expr_type *type_of_kinds(struct arena *arena, uint8_t kinds);
const struct expr_type *type_array(struct arena *arena, const struct expr_type *items);
/* An object with any keys, whose values are of that type. */
const struct expr_type *type_map(struct arena *arena, const struct expr_type *values);
/* Either of the two. */
const struct expr_type *type_union(struct arena *arena, const struct expr_type *x, const struct expr_type *y);
/* The same without the kinds that are not in `kinds`. */
const struct expr_type *type_only(struct arena *arena, const struct expr_type *type, uint8_t kinds);
/* Elements of it, if it is an array; members of any name, if it is an object; both, if it may be either. */
const struct expr_type *type_inside(struct arena *arena, const struct expr_type *type);
/* What the array in it holds. */
const struct expr_type *type_items(const struct expr_type *type);
/* Member `name` of the object in it, with null where it may be absent. NULL: the schema has no such member. */
const struct expr_type *type_member(struct arena *arena, const struct expr_type *type, struct str name);
bool type_equal(const struct expr_type *x, const struct expr_type *y);

#endif
