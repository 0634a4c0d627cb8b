/* uri.h - references between schemas: RFC 3986, section 5, for any scheme (codec/url.h is for http and its like). Pure. */
#ifndef JSONSCHEMA_URI_H
#define JSONSCHEMA_URI_H

#include "base/arena.h"
#include "base/str.h"

struct uri {
    struct str scheme, authority, path, query, fragment; /* p == NULL: there is none; a path is always there */
};

/* Take a reference apart (RFC 3986, appendix B); nothing is checked. */
struct uri uri_split(struct str text);
/* What `reference`, found at `base`, points to, without its fragment; in the arena. An empty base gives the reference itself. */
struct str uri_resolve(struct str base, struct str reference, struct arena *arena);

#endif
