/* schema_type.h - the type of an expression's input from a JSON Schema. Pure. */
#ifndef EXPR_SCHEMA_TYPE_H
#define EXPR_SCHEMA_TYPE_H

#include "expr/expr.h"
#include "jsonschema/jsonschema.h"

/*
 * What is known of a valid document. In the arena; borrows the schema's names.
 *
 * An object that declares members is closed: a program that asks for another has slipped, since who writes the document holds to what is
 * declared (the honest reading of jsonschema/inclusion.h). "additionalProperties" keeps it open.
 */
const struct expr_type *expr_type_of_schema(const struct jsonschema *schema, struct arena *arena);

#endif
