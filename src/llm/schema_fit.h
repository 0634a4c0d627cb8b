/* schema_fit.h - JSON Schemas changed as little as a target demands; one that fits is passed on byte by byte. Pure. */
#ifndef LLM_SCHEMA_FIT_H
#define LLM_SCHEMA_FIT_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>

/*
 * A schema of a tool's arguments whose top level says "type": "object", as Anthropic and Bedrock demand: the type is added if it is missing, and
 * $schema, $id, oneOf, anyOf and allOf of the top level are left out. Empty, or no object: an object without properties.
 *
 * ret_weaker  was something left out that restricts the arguments?
 */
struct str schema_of_object(struct str schema, struct arena *arena, bool *ret_weaker);
/* A schema in which every object that does not say so takes no properties but its own ("additionalProperties": false), as strict output
 * demands. In the arena; `schema` itself if it is no valid JSON. */
struct str schema_closed(struct str schema, struct arena *arena);

#endif
