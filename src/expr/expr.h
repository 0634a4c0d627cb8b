/*
 * expr.h - the one expression language: a typed, total subset of jq, for conditions and mappings. Pure: no I/O, no fibers.
 *
 * Every program in it is valid jq and means the same there (docs/expressions.md lists the few differences). What jq finds out while it
 * runs is found out here when the program is compiled, as far as types are known: fields that do not exist, calls that can fail and
 * that nothing handles, results that may be none or several. Evaluation ends after a bounded number of steps, takes memory from one
 * arena within a bound, and never suspends.
 *
 *     TRY(expr_compile(arena, STR(".model | startswith(\"gpt-\")"), &env, &expr, &problem));
 *     …
 *     TRY(expr_is_true(expr, request_arena, &input, &expr_limits_default, &yes));
 */
#ifndef EXPR_EXPR_H
#define EXPR_EXPR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "codec/json_tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- values --- */

/* How a value is held; private to expr/. */
enum expr_form {
    EXPR_PLAIN, /* number: a double; string: its bytes; array: expr_list; object: expr_map              */
    EXPR_NODE,  /* a part of a JSON document, not looked into yet; `n` is its cell                       */
    EXPR_TEXT,  /* number: as it was written                                                            */
    EXPR_HOST,  /* object: an expr_host                                                                  */
    EXPR_STRS,  /* array: of strings, a C array                                                          */
    EXPR_REGEX, /* string: a pattern that is compiled already                                            */
    EXPR_LOOP,  /* no value: where a loop is                                                             */
};

struct expr_list;
struct expr_map;
struct expr_host;
struct expr_pattern;

/* A JSON value. Passed by value; what it points to lives in an arena, a document or the host. Make one with the functions below. */
struct expr_value {
    uint8_t kind; /* enum json_kind                                      */
    uint8_t form; /* enum expr_form; private, as is all that follows     */
    uint32_t n;
    union {
        double number;
        const char *text;
        const struct json_tree *tree;
        const struct expr_list *list;
        const struct expr_map *map;
        const struct expr_host *host;
        const struct str *strs;
        const struct expr_pattern *pattern;
    };
};

static inline struct expr_value expr_null(void)
{
    return (struct expr_value){.kind = JSON_NULL};
}
static inline struct expr_value expr_bool(bool truth)
{
    return (struct expr_value){.kind = truth ? JSON_TRUE : JSON_FALSE};
}
/* A finite number. */
static inline struct expr_value expr_number(double number)
{
    return (struct expr_value){.kind = JSON_NUMBER, .number = number};
}
/* Text, borrowed; UTF-8, shorter than 4 GiB. An absent string is an empty one; for null take expr_null(). */
static inline struct expr_value expr_string(struct str text)
{
    return (struct expr_value){.kind = JSON_STRING, .n = (uint32_t)text.n, .text = text.p ? text.p : ""};
}
/* An array of `n` texts, borrowed. */
static inline struct expr_value expr_strings(const struct str *texts, size_t n)
{
    return (struct expr_value){.kind = JSON_ARRAY, .form = EXPR_STRS, .n = (uint32_t)n, .strs = texts};
}
/* A part of a document, or null if it is absent. Borrows the tree. */
struct expr_value expr_json(struct json_node node);

/*
 * An object that the host has in C: a record, whose fields are those of its type, or a map with any keys (headers, metadata). Embed it
 * as the first member of a struct of your own.
 */
struct expr_host {
    const struct expr_host_class *class;
};
struct expr_host_class {
    /* How many members. Of a record: as many as its type has fields. */
    size_t (*count)(const struct expr_host *host);
    /* The member at `index`, of a record the field at that place of its type. Values and keys are borrowed until the evaluation and the
     * use of its result are over. Must not allocate from the arena of the evaluation. */
    void (*at)(const struct expr_host *host, size_t index, struct str *ret_key, struct expr_value *ret_value);
    /* The member `key`; false if there is none. NULL: at() is asked for one after the other. */
    bool (*find)(const struct expr_host *host, struct str key, struct expr_value *ret_value);
};
static inline struct expr_value expr_object(const struct expr_host *host)
{
    return (struct expr_value){.kind = JSON_OBJECT, .form = EXPR_HOST, .host = host};
}

/* Only false and null are not true. */
static inline bool expr_value_is_true(struct expr_value v)
{
    return v.kind != JSON_NULL && v.kind != JSON_FALSE;
}
/* A string's text, decoded in `arena` if it has escapes; STR_NONE if it is no string. E_TOO_LARGE past the arena's maximum. */
err_t expr_value_text(struct expr_value v, struct arena *arena, struct str *ret_text) MUST_CHECK;
/* Write the value as JSON, in the order of its members and numbers as they were written. E_TOO_LARGE past the buf's maximum. */
err_t expr_value_print(struct expr_value v, struct buf *b) MUST_CHECK;

/* --- types --- */

enum {
    EXPR_IS_NULL = 1 << JSON_NULL,
    EXPR_IS_FALSE = 1 << JSON_FALSE,
    EXPR_IS_TRUE = 1 << JSON_TRUE,
    EXPR_IS_BOOL = EXPR_IS_FALSE | EXPR_IS_TRUE,
    EXPR_IS_NUMBER = 1 << JSON_NUMBER,
    EXPR_IS_STRING = 1 << JSON_STRING,
    EXPR_IS_ARRAY = 1 << JSON_ARRAY,
    EXPR_IS_OBJECT = 1 << JSON_OBJECT,
    EXPR_IS_ANY = (1 << (JSON_OBJECT + 1)) - 1,
};

struct expr_type;

struct expr_field {
    struct str name;
    const struct expr_type *type;
    bool optional; /* may be absent, and then reads as null */
};

/* What is known about a value. Static, or in the arena of the compilation; never changed once it is in use. */
struct expr_type {
    uint8_t kinds;  /* EXPR_IS_*: what it may be                                                               */
    bool unchecked; /* no schema says anything: what fails, fails when it is evaluated, and need not be handled */
    bool is_record; /* an object whose members are `fields`, read by their place (expr_host)                    */
    bool is_closed; /* an object of a schema: a member that is not in `fields` is a mistake                     */
    const struct expr_type *items;   /* of an array; NULL: anything                                                 */
    const struct expr_field *fields; /* of an object                                                              */
    size_t field_count;
    const struct expr_type *rest; /* members that are not in `fields`; NULL: anything, if it is not closed         */
};

extern const struct expr_type expr_type_null, expr_type_bool, expr_type_number, expr_type_string, expr_type_any,
    expr_type_unchecked;

/* Write the type for people: "string | null", "{model: string, tags: [string]}". */
void expr_type_print(const struct expr_type *type, struct buf *b);
/* Write the type as JSON Schema (draft 2020-12), which accepts every value of the type. E_TOO_LARGE past the buf's maximum. */
err_t expr_type_schema(const struct expr_type *type, struct buf *b) MUST_CHECK;

/* --- compiling --- */

enum {
    EXPR_TEXT_MAX = 64 * 1024,  /* bytes of a program                                                */
    EXPR_NODES_MAX = 20000,     /* parts of a program, with what built-in functions are made of      */
    EXPR_DEPTH_MAX = 256,       /* nesting of a program                                            */
    EXPR_VALUE_DEPTH_MAX = 100, /* nesting of arrays and objects that it builds around what it is given */
};

/* A value beside the input, read as $name. */
struct expr_named {
    struct str name; /* without '$' */
    const struct expr_type *type;
};

struct expr_env {
    const struct expr_type *input; /* NULL: expr_type_unchecked */
    const struct expr_named *named;
    size_t named_count;
};

/* What is wrong with a program, and where. */
struct expr_problem {
    size_t line, column; /* from 1; columns in characters                                  */
    size_t from, to;     /* bytes of the program's text that it is about                   */
    struct str text;     /* one sentence, with a remedy where there is one; in the arena   */
};

struct expr;

/*
 * Compile a program. Does not suspend; takes time in proportion to the program, and as much stack as its nesting needs: up to 200 KiB, so
 * not on a fiber.
 *
 * arena        holds the program and its types
 * text         copied
 * env          borrowed during the call; the types in it live as long as the program
 * ret_problem  filled in when compilation fails; NULL: only the error's record tells
 *
 * Errors: E_PARSE (wrong, or not within the language: *ret_problem), E_TOO_LARGE (EXPR_TEXT_MAX and so on).
 */
err_t expr_compile(struct arena *arena, struct str text, const struct expr_env *env, const struct expr **ret_expr,
                   struct expr_problem *ret_problem) MUST_CHECK;
/* Write a problem as two lines under one: message, the line of the program that it is in, and a caret under the place. */
void expr_problem_print(const struct expr_problem *problem, struct str text, struct buf *b);

/* The type of the result. Lives as long as the program. */
const struct expr_type *expr_output_type(const struct expr *expr);
/* Paths of the input and of named inputs that the program may look at, as written in a program: ".tags[]", "$limits.max". What is
 * below such a path is read as well. Sorted, none is below another. Lives as long as the program. */
const struct str *expr_reads(const struct expr *expr, size_t *ret_count);

/* A path of the result, and what of the inputs it is made from. */
struct expr_write {
    struct str path; /* ".customer.id", ".reasons[].code"; "." if nothing is known of the inside */
    const struct str *from;
    size_t from_count; /* 0: it is always the same */
    bool is_copy;      /* the one thing it is from, as it is */
};

/*
 * Paths that the program writes, in the order of its text, as deep as objects and arrays are built in plain sight. `from` may name more
 * than a path is made of, never less: conditions on the way count as well. Lives as long as the program.
 */
const struct expr_write *expr_writes(const struct expr *expr, size_t *ret_count);

/* --- evaluating --- */

struct expr_input {
    struct expr_value root;         /* `.`                                       */
    const struct expr_value *named; /* as many as the environment had, in order  */
};

struct expr_limits {
    uint64_t steps; /* instructions, and elements that they look at or copy  */
    size_t memory;  /* bytes taken from the arena                            */
};

/* About a millisecond, and 1 MiB. */
extern const struct expr_limits expr_limits_default;

/*
 * Evaluate a program. Does not suspend; takes no memory but the arena's.
 *
 * arena      of the caller; what was taken stays taken
 * input      borrowed; the result may point into it
 * ret_value  in the arena, the input or the program
 *
 * Errors: E_PARSE (the program failed: error(…), an overflow, or a value that no schema had told about), E_TOO_LARGE (a limit).
 */
err_t expr_eval(const struct expr *expr, struct arena *arena, const struct expr_input *input,
                const struct expr_limits *limits, struct expr_value *ret_value) MUST_CHECK;
/* The same, for a condition: is the result neither false nor null? */
err_t expr_is_true(const struct expr *expr, struct arena *arena, const struct expr_input *input,
                   const struct expr_limits *limits, bool *ret_truth) MUST_CHECK;
/*
 * Evaluate a program on a document's text and write the result behind what is in `b`: parsing, evaluating and printing in one. Does not
 * suspend. Parts that go through untouched are copied as they were written.
 *
 * arena  of the caller; takes what parsing and evaluating need, parsing on top of limits->memory
 * text   one JSON document, borrowed
 * named  as in struct expr_input
 *
 * Errors: E_PARSE (no document, or the program failed on it), E_TOO_LARGE (a limit; the buf's maximum). Then `b` is as it was.
 */
err_t expr_map(const struct expr *expr, struct arena *arena, struct str text, const struct expr_value *named,
               const struct expr_limits *limits, struct buf *b) MUST_CHECK;

#endif
