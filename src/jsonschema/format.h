/* format.h - the formats of JSON Schema (2020-12 Validation, section 7.3). Pure. */
#ifndef JSONSCHEMA_FORMAT_H
#define JSONSCHEMA_FORMAT_H

#include "base/arena.h"
#include "base/str.h"

struct format {
    const char *name, *example; /* the example is of the format, for people */
    bool (*is_valid)(struct str text, struct arena *scratch);
    bool is_in_draft_07;
};

/* NULL: there is none of the name. */
const struct format *format_find(struct str name);

/* --- format_uri.c --- */
bool is_uri(struct str text, struct arena *scratch);
bool is_uri_reference(struct str text, struct arena *scratch);
bool is_iri(struct str text, struct arena *scratch);
bool is_iri_reference(struct str text, struct arena *scratch);
bool is_uri_template(struct str text, struct arena *scratch);
bool is_ipv4(struct str text, struct arena *scratch);
bool is_ipv6(struct str text, struct arena *scratch);

/* --- format_host.c --- */
bool is_hostname(struct str text, struct arena *scratch);
bool is_idn_hostname(struct str text, struct arena *scratch);

#endif
