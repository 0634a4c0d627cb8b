/*
 * type.c - types as sets: the kinds that a value may be of, and the same of what is in it.
 *
 * A type is never exact, only never too small. Unions of deep types could grow without end in a fold; infer.c bounds that.
 */
#include "expr/type.h"

#include "expr/value.h"

#define SIMPLE(name, kinds_) const struct expr_type name = {.kinds = (kinds_)}

SIMPLE(expr_type_none, 0);
SIMPLE(expr_type_null, EXPR_IS_NULL);
SIMPLE(expr_type_bool, EXPR_IS_BOOL);
SIMPLE(expr_type_number, EXPR_IS_NUMBER);
SIMPLE(expr_type_string, EXPR_IS_STRING);
SIMPLE(expr_type_any, EXPR_IS_ANY);
const struct expr_type expr_type_unchecked = {.kinds = EXPR_IS_ANY, .unchecked = true};

/* What is in an array or object of which nothing is said. */
static const struct expr_type *unknown(const struct expr_type *type)
{
    return type->unchecked ? &expr_type_unchecked : &expr_type_any;
}

const struct expr_type *type_of_kinds(struct arena *arena, uint8_t kinds)
{
    struct expr_type *type = arena_new(arena, struct expr_type);

    type->kinds = kinds;
    return type;
}

const struct expr_type *type_array(struct arena *arena, const struct expr_type *items)
{
    struct expr_type *type = arena_new(arena, struct expr_type);

    *type = (struct expr_type){.kinds = EXPR_IS_ARRAY, .items = items};
    return type;
}

const struct expr_type *type_map(struct arena *arena, const struct expr_type *values)
{
    struct expr_type *type = arena_new(arena, struct expr_type);

    *type = (struct expr_type){.kinds = EXPR_IS_OBJECT, .rest = values};
    return type;
}

const struct expr_type *type_items(const struct expr_type *type)
{
    return type->items ? type->items : unknown(type);
}

/* Members that are not in `fields`. */
static const struct expr_type *rest_of(const struct expr_type *type)
{
    return type->rest ? type->rest : type->is_closed ? &expr_type_none : unknown(type);
}

static const struct expr_field *find_field(const struct expr_type *type, struct str name)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (str_eq(type->fields[i].name, name))
            return &type->fields[i];
    return NULL;
}

/* --- unions --- */

/* Fields of either; one that only one of them has may be absent. */
static void union_fields(struct arena *arena, const struct expr_type *x, const struct expr_type *y,
                         struct expr_type *to)
{
    struct expr_field *fields = arena_alloc(arena, (x->field_count + y->field_count) * sizeof *fields);
    size_t n = 0;

    for (size_t i = 0; i < x->field_count; i++) {
        const struct expr_field *in_x = &x->fields[i], *in_y = find_field(y, in_x->name);
        fields[n++] = (struct expr_field){
            .name = in_x->name,
            .type = type_union(arena, in_x->type, in_y ? in_y->type : rest_of(y)),
            .optional = !in_y || in_x->optional || in_y->optional,
        };
    }
    for (size_t i = 0; i < y->field_count; i++)
        if (!find_field(x, y->fields[i].name))
            fields[n++] = (struct expr_field){
                .name = y->fields[i].name,
                .type = type_union(arena, y->fields[i].type, rest_of(x)),
                .optional = true,
            };
    to->fields = fields;
    to->field_count = n;
    to->rest = type_union(arena, rest_of(x), rest_of(y));
}

static bool says_members(const struct expr_type *type)
{
    return type->field_count || type->rest || type->is_closed;
}

static void take_object(const struct expr_type *from, struct expr_type *to)
{
    to->is_record = from->is_record;
    to->is_closed = from->is_closed;
    to->fields = from->fields;
    to->field_count = from->field_count;
    to->rest = from->rest;
}

static bool same_object(const struct expr_type *x, const struct expr_type *y)
{
    return x->fields == y->fields && x->field_count == y->field_count && x->rest == y->rest &&
           x->is_closed == y->is_closed && x->is_record == y->is_record;
}

const struct expr_type *type_union(struct arena *arena, const struct expr_type *x, const struct expr_type *y)
{
    if (x == y || !y->kinds)
        return x;
    if (!x->kinds)
        return y;
    struct expr_type *type = arena_new(arena, struct expr_type);
    *type = (struct expr_type){.kinds = x->kinds | y->kinds, .unchecked = x->unchecked || y->unchecked};
    bool array_x = x->kinds & EXPR_IS_ARRAY, array_y = y->kinds & EXPR_IS_ARRAY;
    bool object_x = x->kinds & EXPR_IS_OBJECT, object_y = y->kinds & EXPR_IS_OBJECT;
    /* Where nothing is said about the inside of one, nothing is known of that of both. */
    if (array_x && array_y)
        type->items = x->items && y->items ? type_union(arena, x->items, y->items) : NULL;
    else if (array_x || array_y)
        type->items = array_x ? x->items : y->items;
    if (object_x && object_y && !same_object(x, y)) {
        if (says_members(x) && says_members(y))
            union_fields(arena, x, y, type);
    } else if (object_x || object_y) {
        const struct expr_type *from = object_x ? x : y;
        take_object(from, type);
    }
    return type;
}

const struct expr_type *type_only(struct arena *arena, const struct expr_type *type, uint8_t kinds)
{
    if (!(type->kinds & ~kinds))
        return type;
    struct expr_type *only = arena_new(arena, struct expr_type);
    *only = *type;
    only->kinds &= kinds;
    return only;
}

/* --- looking inside --- */

const struct expr_type *type_inside(struct arena *arena, const struct expr_type *type)
{
    const struct expr_type *inside = &expr_type_none;

    if (type->kinds & EXPR_IS_ARRAY)
        inside = type_items(type);
    if (type->kinds & EXPR_IS_OBJECT) {
        for (size_t i = 0; i < type->field_count; i++)
            inside = type_union(arena, inside, type->fields[i].type);
        inside = type_union(arena, inside, rest_of(type));
    }
    return inside;
}

const struct expr_type *type_member(struct arena *arena, const struct expr_type *type, struct str name)
{
    const struct expr_field *field = find_field(type, name);

    if (!(type->kinds & EXPR_IS_OBJECT))
        return &expr_type_null;
    if (field)
        return field->optional ? type_union(arena, field->type, &expr_type_null) : field->type;
    if (type->is_closed && !type->rest)
        return NULL;
    return type_union(arena, rest_of(type), &expr_type_null);
}

/* --- equality --- */

bool type_equal(const struct expr_type *x, const struct expr_type *y)
{
    if (x == y)
        return true;
    if (x->kinds != y->kinds || x->unchecked != y->unchecked)
        return false;
    if ((x->kinds & EXPR_IS_ARRAY) && (!x->items != !y->items || (x->items && !type_equal(x->items, y->items))))
        return false;
    if (!(x->kinds & EXPR_IS_OBJECT))
        return true;
    if (x->field_count != y->field_count || x->is_closed != y->is_closed || x->is_record != y->is_record ||
        !x->rest != !y->rest || (x->rest && !type_equal(x->rest, y->rest)))
        return false;
    for (size_t i = 0; i < x->field_count; i++)
        if (!str_eq(x->fields[i].name, y->fields[i].name) || x->fields[i].optional != y->fields[i].optional ||
            !type_equal(x->fields[i].type, y->fields[i].type))
            return false;
    return true;
}

/* --- printing --- */

static void print(const struct expr_type *type, unsigned depth, struct buf *b);

static void print_object(const struct expr_type *type, unsigned depth, struct buf *b)
{
    const char *between = "";

    (void)buf_add_char(b, '{');
    for (size_t i = 0; i < type->field_count; i++) {
        (void)buf_addf(b, "%s%.*s%s: ", between, STR_ARG(type->fields[i].name), type->fields[i].optional ? "?" : "");
        print(type->fields[i].type, depth + 1, b);
        between = ", ";
    }
    if (rest_of(type)->kinds) {
        (void)buf_addf(b, "%s...: ", between);
        print(rest_of(type), depth + 1, b);
    }
    (void)buf_add_char(b, '}');
}

static void print_kind(const struct expr_type *type, enum json_kind kind, unsigned depth, struct buf *b)
{
    enum { DEPTH_SHOWN = 6 };
    bool deep = depth > DEPTH_SHOWN;

    if (kind == JSON_ARRAY && !deep) {
        (void)buf_add_char(b, '[');
        print(type_items(type), depth + 1, b);
        (void)buf_add_char(b, ']');
    } else if (kind == JSON_OBJECT && !deep) {
        print_object(type, depth, b);
    } else if (kind == JSON_FALSE || kind == JSON_TRUE) {
        bool both = (type->kinds & EXPR_IS_BOOL) == EXPR_IS_BOOL;
        if (!both || kind == JSON_TRUE)
            (void)buf_addf(b, "%s", both ? "boolean" : kind == JSON_TRUE ? "true" : "false");
    } else {
        (void)buf_addf(b, "%s", value_kind_name(kind));
    }
}

static void print(const struct expr_type *type, unsigned depth, struct buf *b)
{
    bool bare = !type->items && !type->fields && !type->rest && !type->is_closed;
    const char *between = "";

    if (!type->kinds || (type->kinds == EXPR_IS_ANY && bare)) {
        (void)buf_addf(b, "%s", type->kinds ? "any" : "nothing");
        return;
    }
    for (enum json_kind kind = JSON_NULL; kind <= JSON_OBJECT; kind++) {
        if (!(type->kinds & (1 << kind)) || (kind == JSON_FALSE && (type->kinds & EXPR_IS_TRUE)))
            continue;
        (void)buf_addf(b, "%s", between);
        print_kind(type, kind, depth, b);
        between = " | ";
    }
}

void expr_type_print(const struct expr_type *type, struct buf *b)
{
    print(type, 0, b);
}
