/*
 * compat.h - what changed between two schemas, for people; and whether a new version of a schema may follow the earlier ones, by the
 * seven levels of Confluent's Schema Registry. Pure.
 */
#ifndef JSONSCHEMA_COMPAT_H
#define JSONSCHEMA_COMPAT_H

#include "jsonschema/inclusion.h"

enum compat_level {
    COMPAT_NONE,
    COMPAT_BACKWARD,            /* readers of the candidate understand what was written by the latest version   */
    COMPAT_BACKWARD_TRANSITIVE, /* … by any version                                                              */
    COMPAT_FORWARD,             /* readers of the latest version understand what is written by the candidate    */
    COMPAT_FORWARD_TRANSITIVE,  /* readers of any version do                                                    */
    COMPAT_FULL,                /* both                                                                         */
    COMPAT_FULL_TRANSITIVE,
};

/* By its name, "BACKWARD_TRANSITIVE", in either case. */
bool compat_level_find(struct str name, enum compat_level *ret_level);
/* Its name. Static. */
const char *compat_level_name(enum compat_level level);

/* A version that the candidate does not go with, or of which that is not known. */
struct compat_problem {
    size_t version;                 /* its place among the earlier versions                              */
    bool is_forward;                /* the earlier version reads what the candidate writes; else the other way */
    struct inclusion_result result; /* refuted or unknown                                                */
};

/*
 * May the candidate follow the earlier versions? Does not suspend; as inclusion_check().
 *
 * versions      oldest first; compiled
 * options       the reading, and its steps for each comparison
 * ret_problems  in the arena; none: it may
 */
err_t compat_check(const struct jsonschema *const *versions, size_t version_count, const struct jsonschema *candidate,
                   enum compat_level level, const struct inclusion_options *options, struct arena *arena,
                   const struct compat_problem **ret_problems, size_t *ret_count) MUST_CHECK;

enum schema_change {
    CHANGE_ADDED,
    CHANGE_REMOVED,
    CHANGE_RETYPED,
    CHANGE_NARROWED, /* fewer values than before */
    CHANGE_WIDENED,  /* more values than before  */
    CHANGE_OTHER,
    CHANGE_REQUIRED, /* a member must be there now */
    CHANGE_OPTIONAL, /* … need not any more        */
};

struct schema_difference {
    struct str path; /* ".a.b", ".list[]"; "." for the whole      */
    enum schema_change change;
    struct str text; /* "integer -> string"; in the arena         */
};

enum { DIFFERENCES_MAX = 1000 };

/* "added" and so on. Static. */
const char *schema_change_name(enum schema_change change);

/*
 * List what differs, member by member. Does not suspend. Schemas that mean the same in other words have no differences where that can be
 * shown. Combinations ("anyOf" …) are compared whole.
 *
 * ret_list  in the arena, in the order of the old schema, then what is new; at most DIFFERENCES_MAX
 */
err_t schema_diff(const struct jsonschema *old, const struct jsonschema *candidate, struct arena *arena,
                  const struct schema_difference **ret_list, size_t *ret_count) MUST_CHECK;

#endif
