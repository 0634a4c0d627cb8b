/*
 * jsonschema.h - JSON Schema, drafts 2020-12 and 7: compile a schema once, validate documents in about a microsecond. Pure.
 *
 * A compiled schema is immutable and may be used by several threads. Validation takes one pass over what the schema speaks of, allocates
 * nothing for a usual document, and ends after a bounded number of steps on a bounded stack. What is wrong with a document is found out by
 * a second pass, only when somebody wants to know.
 *
 *     TRY(jsonschema_compile(arena, schema_tree, &(struct jsonschema_options){0}, &schema, &problem));
 *     …
 *     TRY(jsonschema_validate(schema, json_tree_root(document), request_arena, &report, &valid));
 *
 * What a schema means to a program that reads or writes documents (does every document of one fit the other?) is in inclusion.h.
 */
#ifndef JSONSCHEMA_JSONSCHEMA_H
#define JSONSCHEMA_JSONSCHEMA_H

#include "base/arena.h"
#include "base/str.h"
#include "codec/json_tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSONSCHEMA_PARTS_MAX = 100000, /* schemas within a schema, with all that it refers to                         */
    JSONSCHEMA_DEPTH_MAX = 270, /* schemas that one check goes through at the same time; a combination counts twice */
    JSONSCHEMA_PROBLEMS_MAX = 1000, /* problems of a report                                                        */
    JSONSCHEMA_STEPS = 10000000,    /* of a validation: schemas applied, members and elements looked at, characters */
    JSONSCHEMA_DIGITS_MAX = 18,     /* significant digits of "multipleOf"                                          */
};

enum jsonschema_draft { JSONSCHEMA_2020_12, JSONSCHEMA_DRAFT_07 };

/* A document that schemas may refer to. */
struct jsonschema_resource {
    struct str uri;               /* absolute, without a fragment */
    const struct json_tree *tree; /* borrowed as long as the compiled schema */
};

/* Zero is the default of each. */
struct jsonschema_options {
    enum jsonschema_draft draft; /* of schemas without "$schema"                                                     */
    bool assert_formats;         /* "format" is checked; else only where the schema's vocabularies demand it         */
    bool assert_content;         /* "contentEncoding" base64 and "contentMediaType" application/json are checked     */
    struct str uri;              /* where the schema was found: relative references start there; STR_NONE: nowhere   */
    const struct jsonschema_resource *resources;
    size_t resource_count;
};

/* What is wrong, with a schema or with a document. All texts are in the arena of the call. */
struct jsonschema_problem {
    struct str instance; /* JSON pointer into the document; "" also for problems of schemas               */
    struct str
        keyword;     /* where the schema says so: JSON pointer, behind "URI#" if it is not the schema's own document */
    struct str text; /* one sentence: "must be a number, is a string"                                */
    struct json_node node; /* the place in the document, or (problems of schemas) in the schema             */
};

/* Room for problems, of the caller. */
struct jsonschema_report {
    struct jsonschema_problem *problems;
    size_t max;   /* room; at most JSONSCHEMA_PROBLEMS_MAX count */
    size_t count; /* set by the validation                       */
    bool more;    /* there are more than found room              */
};

struct jsonschema;

/*
 * Compile a schema and all that it refers to. Does not suspend; takes time in proportion to the schemas. The metaschemas of both drafts
 * need not be given.
 *
 * arena        holds the compiled schema and borrows the trees of schema and resources
 * ret_problem  filled in when compilation fails with E_PARSE, E_NOT_FOUND or E_UNSUPPORTED; NULL: only the error's record tells
 *
 * Errors: E_PARSE (a keyword has no proper value, a pattern is wrong, references go round in a circle), E_NOT_FOUND (nothing is known where a
 * reference leads), E_UNSUPPORTED (another draft or a required vocabulary that is unknown, a pattern that takes more than linear time),
 * E_TOO_LARGE (a limit above, the arena's).
 */
err_t jsonschema_compile(struct arena *arena, const struct json_tree *schema, const struct jsonschema_options *options,
                         const struct jsonschema **ret_schema, struct jsonschema_problem *ret_problem) MUST_CHECK;

/*
 * Is the document valid? Does not suspend. Needs at most 170 KiB of stack, and that only where 256
 * levels of a document each have a schema of their own.
 *
 * scratch     for what needs room: escaped strings, large objects under "unevaluated…", texts of problems; may be given back at once
 * report      NULL: only whether it is valid; else the first problems, in the order of the schema, are put there
 * ret_valid   the verdict
 *
 * Errors: E_TOO_LARGE (JSONSCHEMA_STEPS, JSONSCHEMA_DEPTH_MAX, the arena's maximum); there is no verdict then.
 */
err_t jsonschema_validate(const struct jsonschema *schema, struct json_node document, struct arena *scratch,
                          struct jsonschema_report *report, bool *ret_valid) MUST_CHECK;

#endif
