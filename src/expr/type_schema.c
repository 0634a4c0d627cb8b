/*
 * type_schema.c - a type as JSON Schema (draft 2020-12): what a mapping yields, for whatever checks the edge behind it.
 *
 * A type says less than a schema can: no values, no lengths, no patterns. What nobody knows anything about is `true`, what cannot be is
 * `false`.
 */
#include "codec/json_out.h"
#include "expr/type.h"
#include "expr/value.h"

static void put(const struct expr_type *type, struct json_out *o);

/* true and false are one type there. */
static void put_kinds(uint8_t kinds, struct json_out *o)
{
    uint8_t named = kinds & EXPR_IS_BOOL ? (uint8_t)((kinds & ~EXPR_IS_BOOL) | EXPR_IS_FALSE) : kinds;
    bool several = named & (named - 1);

    json_key(o, STR("type"));
    if (several)
        json_open(o, '[');
    for (enum json_kind kind = JSON_NULL; kind <= JSON_OBJECT; kind++)
        if (named & (1 << kind))
            json_put_str(o, str_from_c(value_kind_name(kind)));
    if (several)
        json_close(o, ']');
}

static void put_object(const struct expr_type *type, struct json_out *o)
{
    bool some_required = false;

    if (type->field_count) {
        json_member_open(o, STR("properties"), '{');
        for (size_t i = 0; i < type->field_count; i++) {
            json_key(o, type->fields[i].name);
            put(type->fields[i].type, o);
            some_required |= !type->fields[i].optional;
        }
        json_close(o, '}');
    }
    if (some_required) {
        json_member_open(o, STR("required"), '[');
        for (size_t i = 0; i < type->field_count; i++)
            if (!type->fields[i].optional)
                json_put_str(o, type->fields[i].name);
        json_close(o, ']');
    }
    if (!type->rest && !type->is_closed)
        return;
    json_key(o, STR("additionalProperties"));
    put(type->rest ? type->rest : &expr_type_none, o);
}

static void put(const struct expr_type *type, struct json_out *o)
{
    bool bare = !type->items && !type->fields && !type->rest && !type->is_closed;

    if (!type->kinds || (type->kinds == EXPR_IS_ANY && bare)) {
        json_put_bool(o, type->kinds != 0);
        return;
    }
    json_open(o, '{');
    if (type->kinds != EXPR_IS_ANY)
        put_kinds(type->kinds, o);
    if ((type->kinds & EXPR_IS_ARRAY) && type->items) {
        json_key(o, STR("items"));
        put(type->items, o);
    }
    if (type->kinds & EXPR_IS_OBJECT)
        put_object(type, o);
    json_close(o, '}');
}

err_t expr_type_schema(const struct expr_type *type, struct buf *b)
{
    struct json_out o = json_out_to(b);

    put(type, &o);
    return buf_status(b);
}
