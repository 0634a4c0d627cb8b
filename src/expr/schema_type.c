/* schema_type.c - a schema's outline as a type. */
#include "expr/schema_type.h"

#include "jsonschema/outline.h"

static const struct expr_type *type_of(const struct outline *o, struct arena *arena)
{
    struct expr_type *type = arena_new(arena, struct expr_type);
    struct expr_field *fields = arena_zalloc(arena, (o->member_count + 1) * sizeof *fields);

    type->kinds = o->kinds;
    for (size_t i = 0; i < o->member_count; i++)
        fields[i] = (struct expr_field){.name = o->members[i].name,
                                        .type = type_of(o->members[i].outline, arena),
                                        .optional = !o->members[i].is_required};
    type->fields = fields;
    type->field_count = o->member_count;
    type->items = o->items ? type_of(o->items, arena) : NULL;
    type->rest = o->rest ? type_of(o->rest, arena) : NULL;
    type->is_closed = o->is_closed || (o->member_count && !o->rest);
    return type;
}

const struct expr_type *expr_type_of_schema(const struct jsonschema *schema, struct arena *arena)
{
    return type_of(jsonschema_outline(schema, arena), arena);
}
