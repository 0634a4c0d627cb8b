/*
 * fields.h - checks the fields of a request object against a table. Pure.
 *
 * null counts as absent. Numbers written as 1.0 are taken as integers.
 */
#ifndef SIM_FIELDS_H
#define SIM_FIELDS_H

#include "base/arena.h"
#include "sim/refusal.h"

#include <stdbool.h>
#include <stddef.h>
#include <yyjson.h>

enum field_kind {
    FIELD_ANY,
    FIELD_STRING, /* min, max: characters                 */
    FIELD_BOOL,
    FIELD_INT,    /* min, max: of the value               */
    FIELD_NUMBER, /* likewise                             */
    FIELD_ENUM,   /* a string out of choices              */
    FIELD_ARRAY,  /* min, max: items                      */
    FIELD_OBJECT, /* max: members                         */
};

struct field_rule {
    struct str name;
    enum field_kind kind;
    double min, max;            /* checked unless min == max                */
    const char *const *choices; /* NULL-terminated                          */
    bool required;
};

enum field_fault_kind {
    FIELD_GOOD,
    FIELD_MISSING,
    FIELD_UNKNOWN,
    FIELD_WRONG_TYPE,
    FIELD_WRONG_CHOICE,
    FIELD_OUT_OF_RANGE,
};

/* What is wrong with an object: for surfaces with words of their own. */
struct field_fault {
    enum field_fault_kind kind;
    struct str name;               /* of the member                        */
    const struct field_rule *rule; /* that it breaks; NULL: FIELD_UNKNOWN  */
    yyjson_val *value;             /* NULL: there is none                  */
};

/* The first fault of `obj`: what is missing, then the members in their order. FIELD_GOOD if there is none. */
struct field_fault fields_fault(yyjson_val *obj, const struct field_rule *rules, size_t count, bool refuse_unknown);

/*
 * Check the members of `obj`, and refuse in OpenAI's words.
 *
 * path            where `obj` stands, for messages: "" or "messages[0]"
 * refuse_unknown  members without a rule are refused
 *
 * E_PARSE with *r filled.
 */
err_t fields_check(struct arena *a, yyjson_val *obj, struct str path, const struct field_rule *rules, size_t count,
                   bool refuse_unknown, struct sim_refusal *r) MUST_CHECK;

/* "path.name", or "name" where path is empty. */
struct str field_path(struct arena *a, struct str path, const char *name);
/* "a JSON string" as OpenAI's messages name a type: "a string", "an object", ... Static. */
const char *field_type_name(yyjson_val *v);
/* Refuse `param` for having the wrong type. */
err_t refuse_type(struct arena *a, struct sim_refusal *r, struct str param, const char *expected, yyjson_val *got);

/* Parse the body of a JSON request: its top level must be an object. E_PARSE with *r filled. */
err_t fields_parse(struct arena *a, struct str body, struct sim_refusal *r, yyjson_val **ret_root) MUST_CHECK;

#endif
