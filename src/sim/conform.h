/* conform.h - a JSON value that is valid against a JSON Schema, for tool arguments and structured answers. Pure. */
#ifndef SIM_CONFORM_H
#define SIM_CONFORM_H

#include "base/arena.h"
#include "base/buf.h"

#include <yyjson.h>

/*
 * Append JSON text that is valid against `schema` (NULL: anything goes).
 *
 * The value is a function of the arguments. Texts without a form of their own are taken from `hint`, which is what the user asked.
 * Understood: type, enum, const, $ref within the document, properties, required, additionalProperties, items, prefixItems,
 * minItems, maxItems, uniqueItems, minProperties, minLength, maxLength, pattern, format, minimum, maximum, their exclusive forms,
 * multipleOf, allOf, anyOf, oneOf. Not looked at: not, if/then/else, contains, dependent*, propertyNames.
 *
 * E_TOO_LARGE if the schema asks for more than the buf takes or for more than 10,000 values.
 */
err_t conform_write(struct arena *scratch, yyjson_val *schema, uint64_t hash, struct str hint, struct buf *to)
    MUST_CHECK;

#endif
