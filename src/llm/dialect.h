/*
 * dialect.h - a wire format of a model provider: pure translation, no I/O.
 *
 * One file per dialect in llm/dialect/, each with one constant struct named dialect_<file stem>; the build lists them in
 * the catalog (scripts/gen-catalog). Slots that are NULL have the stated default.
 */
#ifndef LLM_DIALECT_H
#define LLM_DIALECT_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct dialect {
    const char *name;             /* as written in configuration; the file's stem                   */
    const char *title;            /* for people                                                     */
    const char *default_base_url; /* where the vendor's own service lives; NULL: base_url is required */
    const char *key_header;       /* header that carries the credential: "authorization"            */
    const char *key_prefix;       /* in front of it: "Bearer "                                      */
};

/* All dialects, sorted by name; NULL-terminated. */
extern const struct dialect *const dialect_catalog[];
extern const size_t dialect_catalog_count;

/* NULL if there is none of that name. */
const struct dialect *dialect_find(struct str name);

#endif
