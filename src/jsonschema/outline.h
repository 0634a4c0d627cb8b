/* outline.h - what a schema says of the form of values: which kinds, which members, which elements. For who infers types. Pure. */
#ifndef JSONSCHEMA_OUTLINE_H
#define JSONSCHEMA_OUTLINE_H

#include "jsonschema/jsonschema.h"

struct outline;

struct outline_member {
    struct str name;
    const struct outline *outline;
    bool is_required;
};

/* Every valid value is of this form; not every value of this form is valid. */
struct outline {
    uint8_t kinds;                        /* a bit for each enum json_kind                              */
    bool is_closed;                       /* an object has no other members than these                  */
    const struct outline_member *members; /* of an object                                               */
    size_t member_count;
    const struct outline *rest;  /* of other members; NULL: anything, if it is not closed        */
    const struct outline *items; /* of an array; NULL: anything                                */
};

enum { OUTLINE_DEPTH_MAX = 24 };

/*
 * The outline of a schema, in the arena. Does not suspend. Combinations are followed: what holds together is intersected, alternatives are
 * joined. What refers to itself is anything at the second time, as is what lies deeper than OUTLINE_DEPTH_MAX.
 */
const struct outline *jsonschema_outline(const struct jsonschema *schema, struct arena *arena);

#endif
