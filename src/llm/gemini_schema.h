/* gemini_schema.h - JSON Schema said in Google's subset of OpenAPI's schema objects, for models that take no JSON Schema. Pure. */
#ifndef LLM_GEMINI_SCHEMA_H
#define LLM_GEMINI_SCHEMA_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

/*
 * A JSON Schema as a Schema object of the Gemini API ("Schema" in its reference): references written out where they stand, constants as
 * enumerations, a type list with null as "nullable", allOf as one schema, oneOf as anyOf; what Google does not know is left out.
 *
 * ret         in the arena
 * ret_weaker  was something left out that restricts the value?
 *
 * Errors: E_PARSE if it is no JSON object; E_TOO_LARGE if it comes to more than 256 KiB with its references written out.
 */
err_t gemini_schema(struct str schema, struct arena *arena, struct str *ret, bool *ret_weaker) MUST_CHECK;

#endif
