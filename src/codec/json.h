/*
 * json.h - JSON documents as trees, over yyjson: for bodies that are translated, and for configuration-sized things.
 *
 * All memory comes from an arena and goes with it; nothing is freed singly. For bodies that only pass through, see
 * json_scan.h. Callers use yyjson's own functions to walk (yyjson_obj_foreach, yyjson_get_str …) and to build
 * (yyjson_mut_obj_add_strn …); this file adds limits, positions in errors, getters with defaults and writing into a buf.
 */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

struct json_limits {
    size_t bytes;   /* of the text; 0: 64 MiB                                */
    unsigned depth; /* nested arrays and objects; at most 256, which 0 is     */
};

enum {
    JSON_RAW_NUMBERS = 1, /* numbers keep their text: yyjson_get_raw()                          */
    JSON_ANY_UNICODE = 2, /* strings may hold bytes that are not UTF-8                          */
};

/*
 * Parse `text` into a tree.
 *
 * arena     takes tree and strings (about three times the text); `text` may go after the call
 * limits    NULL: all defaults
 * ret_root  the top-level value; valid as long as the arena
 *
 * Errors: E_PARSE with line and column in the text; E_TOO_LARGE (limits, arena).
 */
err_t json_parse(struct arena *arena, struct str text, const struct json_limits *limits, unsigned flags,
                 yyjson_val **ret_root) MUST_CHECK;

/* Member `key` of an object; NULL if `obj` is NULL or no object, or has none. */
yyjson_val *json_get(yyjson_val *obj, struct str key);
/* Its value if it is of the type, else `fallback`. Numbers also as JSON_RAW_NUMBERS; integers also as 1.0. */
struct str json_get_str(yyjson_val *obj, struct str key, struct str fallback);
int64_t json_get_i64(yyjson_val *obj, struct str key, int64_t fallback);
double json_get_double(yyjson_val *obj, struct str key, double fallback);
bool json_get_bool(yyjson_val *obj, struct str key, bool fallback);
/* A string value's text; STR_NONE if it is none. */
struct str json_text(yyjson_val *val);
/* A number's text as it was read; STR_NONE if it was not read with JSON_RAW_NUMBERS. */
struct str json_number_text(yyjson_val *val);

/* A tree to build in, in the arena. Strings given to yyjson_mut_strn() and the like are borrowed, to yyjson_mut_strncpy()
 * copied. */
yyjson_mut_doc *json_mut_new(struct arena *arena);
/* A borrowed string, an owned number text, as values to add. */
yyjson_mut_val *json_mut_str(yyjson_mut_doc *doc, struct str s);
yyjson_mut_val *json_mut_raw(yyjson_mut_doc *doc, struct str text);
/* Add a member; key and strings are borrowed. Adding never fails: the arena dies instead (base/mem.h). */
void json_mut_add(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct str key, yyjson_mut_val *value);
void json_mut_add_str(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct str key, struct str value);
void json_mut_add_i64(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct str key, int64_t value);
void json_mut_add_bool(yyjson_mut_doc *doc, yyjson_mut_val *obj, struct str key, bool value);

/* Append a value as JSON text without blanks. E_PARSE for what JSON cannot say (NaN, a string that is not UTF-8), E_TOO_LARGE
 * of the buf; nothing is appended then. `scratch` takes yyjson's working memory. */
err_t json_write(struct buf *b, struct arena *scratch, yyjson_val *val) MUST_CHECK;
err_t json_write_mut(struct buf *b, struct arena *scratch, yyjson_mut_val *val) MUST_CHECK;

#endif
