/*
 * condition.h - the conditions of routes: what they may look at, and how they are compiled.
 *
 * A condition is an expression (expr/expr.h) over the facts of a request. The facts have a type, so that a misspelt field or a test that can
 * fail is found when the configuration is loaded. Who evaluates a condition gives it a record of this type; `reads` tells which fields
 * must be known, so that nothing is worked out that no condition asks for.
 */
#ifndef FLEET_CONDITION_H
#define FLEET_CONDITION_H

#include "expr/expr.h"

/* Fields of the input, in the order of its type. */
enum condition_field {
    CONDITION_MODEL,     /* string: as the client named it                                     */
    CONDITION_DIALECT,   /* string: the client's: "openai", "anthropic", …                     */
    CONDITION_OPERATION, /* string: "chat", "embeddings", …                                    */
    CONDITION_STREAM,    /* bool                                                               */
    CONDITION_KEY,       /* see enum condition_key_field                                       */
    CONDITION_HEADERS,   /* map of strings, names in lower case                                */
    CONDITION_TAGS,      /* strings of the header x-crossdock-tags                             */
    CONDITION_TOKENS,    /* {input, output}: estimated; output: the limit that the client set  */
    CONDITION_NEEDS,     /* a bool per bit of fleet/needs.h, by its name                       */
    CONDITION_METADATA,  /* the body's member of that name; empty: none                        */
    CONDITION_USER,      /* string or null: the end user that the body names                   */
    CONDITION_FIELDS
};

/* Among the bits of what is read: headers not by their names, but all of them. */
enum { CONDITION_ALL_HEADERS = 1 << CONDITION_FIELDS };

enum condition_key_field {
    CONDITION_KEY_NAME,     /* string, null: no key                     */
    CONDITION_KEY_TEAM,     /* string, null: none                       */
    CONDITION_KEY_TAGS,     /* strings                                  */
    CONDITION_KEY_METADATA, /* map of strings                       */
    CONDITION_KEY_FIELDS
};

enum condition_tokens_field { CONDITION_TOKENS_INPUT, CONDITION_TOKENS_OUTPUT, CONDITION_TOKENS_FIELDS };

extern const struct expr_type condition_input_type;

/* Immutable; lives as long as the arena that it was compiled in. */
struct condition {
    const struct expr *expr; /* NULL: always holds                            */
    unsigned reads;          /* bits 1 << enum condition_field, CONDITION_ALL_HEADERS */
};

/*
 * Compile a condition. Takes as much stack as its nesting needs, up to 200 KiB: not on a fiber.
 *
 * text         copied
 * ret_problem  what is wrong and where, on failure
 *
 * Errors: E_PARSE, E_TOO_LARGE.
 */
err_t condition_compile(struct arena *arena, struct str text, struct condition *ret, struct expr_problem *ret_problem)
    MUST_CHECK;

#endif
