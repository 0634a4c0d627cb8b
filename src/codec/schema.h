/*
 * schema.h - the shape of a YAML document as a table, from which everything else follows. Pure.
 *
 * One table of fields says name, type, default, limits and meaning. From it come the check of a document with all
 * problems at once (each with its place and, for a misspelt name, the nearest valid one), the filling of C structs,
 * the JSON Schema and the Markdown reference, so that these cannot disagree.
 *
 *     struct reply { struct str text; ns_t delay; double chance; };
 *     struct scenario {
 *         struct str name; enum pace pace; struct reply *replies; size_t reply_count; struct reply last;
 *     };
 *
 *     static const struct schema_field reply_fields[] = {
 *         SCHEMA_STRING("text", struct reply, text, .required = true, .doc = "What is said."),
 *         SCHEMA_DURATION("delay", struct reply, delay, .default_text = "50ms", .max = "1h", .doc = "Wait before it."),
 *         SCHEMA_FLOAT("chance", struct reply, chance, .default_text = "1", .min = "0", .max = "1", .doc = "Odds."),
 *         SCHEMA_END};
 *     static const struct schema_object reply_object = {
 *         .fields = reply_fields, .size = sizeof(struct reply), .shorthand = "text"}; // `- hi` is `- {text: hi}`
 *     static const struct schema_field reply_item = SCHEMA_ITEM_OBJECT(&reply_object);
 *
 *     static const struct schema_choice paces[] = {
 *         {"fast", PACE_FAST, "At once."}, {"slow", PACE_SLOW, "Like people."}, {NULL, 0, NULL}};
 *     static const struct schema_field scenario_fields[] = {
 *         SCHEMA_STRING("name", struct scenario, name, .required = true, .doc = "For people."),
 *         SCHEMA_ENUM("pace", struct scenario, pace, paces, .default_text = "fast", .doc = "How fast it goes."),
 *         SCHEMA_LIST("replies", struct scenario, replies, reply_count, &reply_item, .single = true, .doc = "..."),
 *         SCHEMA_OBJECT("last", struct scenario, last, &reply_object, .doc = "After all others."),
 *         SCHEMA_END};
 *     static const struct schema_object scenario_object = {.fields = scenario_fields, .size = sizeof(struct scenario)};
 *
 *     struct scenario s;
 *     TRY(yaml_parse(text, file, NULL, arena, problems, &root));
 *     TRY(schema_bind(&scenario_object, root, arena, problems, NULL, &s));    // all of it lives in the arena
 *
 * Rules of reading:
 *  - A field that is absent, or present with nothing behind it (null), gets its default; an absent object gets the
 *    defaults of its fields, and an absent list or map is empty. Structs are zeroed first. A required one is a
 *    problem then.
 *  - Text may be written without quotes unless that reads as true or false; numbers and true/false are written
 *    without quotes.
 *  - The macros check at compile time that a member has the C type that its kind fills (below).
 */
#ifndef CODEC_SCHEMA_H
#define CODEC_SCHEMA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/time.h"
#include "codec/yaml.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_kind {
    SCHEMA_KIND_NONE,     /* ends a table */
    SCHEMA_KIND_STRING,   /* struct str, with a NUL behind it that is not counted */
    SCHEMA_KIND_TEXT,     /* struct schema_text: a string that remembers its place, for later checks */
    SCHEMA_KIND_BOOL,     /* bool */
    SCHEMA_KIND_INT,      /* int64_t */
    SCHEMA_KIND_UNSIGNED, /* unsigned */
    SCHEMA_KIND_FLOAT,    /* double, finite; "50%" is 0.5 */
    SCHEMA_KIND_DURATION, /* ns_t: "10s"; with .never also "none" */
    SCHEMA_KIND_SIZE,     /* uint64_t or size_t: "64MiB" */
    SCHEMA_KIND_ENUM,     /* an enum (or int): one of .choices */
    SCHEMA_KIND_LIST,     /* T *items and size_t count */
    SCHEMA_KIND_MAP,      /* T *items and size_t count; T holds the key and the value */
    SCHEMA_KIND_OBJECT,   /* a struct, inside the outer one */
    SCHEMA_KIND_ONE_OF,   /* what the first variant that fits the node fills; offsets are within the same struct */
    SCHEMA_KIND_ANY,      /* const struct yaml_node *: unchecked */
};

/* A string and where it stood. `node` is NULL if it comes from a default. */
struct schema_text {
    struct str text;
    const struct yaml_node *node;
};

/* Value of a choice that is known but cannot be had yet; its doc says what to do instead. */
#define SCHEMA_UNAVAILABLE INT_MIN

struct schema_choice {
    const char *name; /* NULL ends the list */
    int value;
    const char *doc;
};

/* The form of a string. The expression is for readers and the JSON Schema, the function decides: keep them in step. */
struct schema_pattern {
    const char *regex; /* ECMA 262, anchored */
    bool (*match)(struct str text);
    const char *help; /* completes "must be ..." */
};

struct schema_run {
    struct arena *arena;       /* where what is built lives */
    struct problems *problems; /* where a hook tells what is wrong */
    void *ctx;                 /* the caller's */
};

struct schema_object;

struct schema_field {
    const char *name; /* in the file; NULL for items and variants */
    enum schema_kind kind;
    size_t offset;            /* of the member within the struct (or list element) */
    const char *doc;          /* Markdown, one paragraph */
    const char *default_text; /* as it would be written in the file; NULL: zero. Scalars, and lists with .single */
    const char *default_doc;  /* for the reference, if the default is not a constant: "one per processor" */
    const char *min;          /* allowed itself; as in the file: "1ms", "64KiB"; of a list: fewest entries */
    const char *max;          /* likewise */
    const char *unavailable;  /* the field is known but cannot be had yet: what to do instead */
    bool required;
    bool secret;                          /* its text is never quoted in a message */
    bool never;                           /* duration: "none" is allowed and gives NS_NEVER */
    bool single;                          /* list: one item may stand without its brackets */
    const struct schema_pattern *pattern; /* string, text; of a map: of its keys */
    const struct schema_choice *choices;  /* enum */
    const struct schema_object *object;   /* object */
    const struct schema_field *item;      /* list, map: each element */
    const struct schema_field *variants;  /* one-of: ends with SCHEMA_END */
    size_t count_offset;                  /* list, map */
    size_t item_size;                     /* list, map: bytes of an element */
    size_t key_offset;                    /* map: of a struct str within the element */
    const char *key_doc;                  /* map: word for the key in the reference: "name" */
    /* Instead of the kind's own reading of a scalar; the JSON Schema then allows any. `to` is the member, `n` is NULL
     * for the default. False, after a problem was added, if it cannot be read. */
    bool (*parse)(const struct schema_run *run, const struct yaml_node *n, struct str text, void *to);
};

struct schema_object {
    const struct schema_field *fields; /* ends with SCHEMA_END */
    size_t size;                       /* of the struct */
    const char *shorthand;             /* name of the field that a value which is no map is meant for */
    size_t node_offset;                /* SCHEMA_NODE_AT(...): set to the object's node, or its key's if it is empty */
    /* Called when all fields are read, whether well or not, to check what they must have in common. May change
     * the struct. */
    void (*check)(const struct schema_run *run, const struct yaml_node *n, void *object);
};

/* The member's offset, and a compile-time warning if it is not a `ctype`. */
#define SCHEMA_AT(type, member, ctype) (offsetof(type, member) + 0 * sizeof((ctype *)0 == &((type *)0)->member))
#define SCHEMA_AT_ENUM(type, member)                                                                                   \
    (offsetof(type, member) + 0 * sizeof(char[sizeof(((type *)0)->member) == sizeof(int) ? 1 : -1]))
/* For schema_object.node_offset. */
#define SCHEMA_NODE_AT(type, member) (1 + SCHEMA_AT(type, member, const struct yaml_node *))

#define SCHEMA_END {.kind = SCHEMA_KIND_NONE}
#define SCHEMA_FIELD_(n, k, at, ...) {.name = (n), .kind = SCHEMA_KIND_##k, .offset = (at), __VA_ARGS__}
/* Fields of an object: the name in the file, the struct's type, the member, then designated initialisers (.doc at
 * least). */
#define SCHEMA_STRING(n, type, member, ...) SCHEMA_FIELD_(n, STRING, SCHEMA_AT(type, member, struct str), __VA_ARGS__)
#define SCHEMA_TEXT(n, type, member, ...)                                                                              \
    SCHEMA_FIELD_(n, TEXT, SCHEMA_AT(type, member, struct schema_text), __VA_ARGS__)
#define SCHEMA_BOOL(n, type, member, ...) SCHEMA_FIELD_(n, BOOL, SCHEMA_AT(type, member, bool), __VA_ARGS__)
#define SCHEMA_INT(n, type, member, ...) SCHEMA_FIELD_(n, INT, SCHEMA_AT(type, member, int64_t), __VA_ARGS__)
#define SCHEMA_UNSIGNED(n, type, member, ...) SCHEMA_FIELD_(n, UNSIGNED, SCHEMA_AT(type, member, unsigned), __VA_ARGS__)
#define SCHEMA_FLOAT(n, type, member, ...) SCHEMA_FIELD_(n, FLOAT, SCHEMA_AT(type, member, double), __VA_ARGS__)
#define SCHEMA_DURATION(n, type, member, ...) SCHEMA_FIELD_(n, DURATION, SCHEMA_AT(type, member, ns_t), __VA_ARGS__)
#define SCHEMA_SIZE(n, type, member, ...) SCHEMA_FIELD_(n, SIZE, SCHEMA_AT(type, member, uint64_t), __VA_ARGS__)
#define SCHEMA_ENUM(n, type, member, list, ...)                                                                        \
    SCHEMA_FIELD_(n, ENUM, SCHEMA_AT_ENUM(type, member), .choices = (list), __VA_ARGS__)
#define SCHEMA_ANY(n, type, member, ...)                                                                               \
    SCHEMA_FIELD_(n, ANY, SCHEMA_AT(type, member, const struct yaml_node *), __VA_ARGS__)
#define SCHEMA_OBJECT(n, type, member, obj, ...)                                                                       \
    SCHEMA_FIELD_(n, OBJECT, offsetof(type, member), .object = (obj), __VA_ARGS__)
/* An object whose fields fill the outer struct itself: their offsets are of that struct. */
#define SCHEMA_OBJECT_HERE(n, obj, ...) SCHEMA_FIELD_(n, OBJECT, 0, .object = (obj), __VA_ARGS__)
#define SCHEMA_LIST(n, type, member, count_member, each, ...)                                                          \
    SCHEMA_FIELD_(n, LIST, offsetof(type, member), .item = (each), .item_size = sizeof(*((type *)0)->member),          \
                  .count_offset = SCHEMA_AT(type, count_member, size_t), __VA_ARGS__)
/* `key_member`: a struct str within the element. */
#define SCHEMA_MAP(n, type, member, count_member, each, element_type, key_member, ...)                                 \
    SCHEMA_FIELD_(n, MAP, SCHEMA_AT(type, member, element_type *), .item = (each), .item_size = sizeof(element_type),  \
                  .count_offset = SCHEMA_AT(type, count_member, size_t),                                               \
                  .key_offset = SCHEMA_AT(element_type, key_member, struct str), __VA_ARGS__)
#define SCHEMA_ONE_OF(n, list, ...) SCHEMA_FIELD_(n, ONE_OF, 0, .variants = (list), __VA_ARGS__)

/* Elements. Of a list of plain values the element is the value itself: SCHEMA_ITEM(STRING). Of a map, and of a list of
 * structs with a value inside, use the field macros with the element's type and NULL as name. */
#define SCHEMA_ITEM(k, ...) SCHEMA_FIELD_(NULL, k, 0, __VA_ARGS__)
#define SCHEMA_ITEM_OBJECT(obj, ...) SCHEMA_FIELD_(NULL, OBJECT, 0, .object = (obj), __VA_ARGS__)

/*
 * Read the document `root` into the struct at `to`, which is zeroed first.
 *
 * a         what is built lives there; texts of the tree are borrowed, so the tree must live as long
 * problems  all that is wrong is added
 * ctx       for the hooks
 *
 * E_CONFIG if it added any error; *to is then as complete as the document allows, so that further checks can go on.
 */
err_t schema_bind(const struct schema_object *o, const struct yaml_node *root, struct arena *a,
                  struct problems *problems, void *ctx, void *to) MUST_CHECK;

/* How the file is presented. */
struct schema_about {
    const char *title, *doc;
    const char *id;   /* $id of the JSON Schema; NULL: none */
    bool expands;     /* every scalar may also be a string with ${VARIABLE} in it */
    unsigned heading; /* Markdown: level of the first heading, 2: ## */
};

/* Append the JSON Schema (draft 2020-12), indented by two, with a newline at the end. */
err_t schema_print_json(const struct schema_object *o, const struct schema_about *about, struct buf *to) MUST_CHECK;
/* Append the reference: a section with a table per object. */
err_t schema_print_markdown(const struct schema_object *o, const struct schema_about *about, struct buf *to) MUST_CHECK;

/*
 * Append a struct that schema_bind() filled as YAML, a field a line, `indent` times two blanks in front: defaults included, secrets as "***",
 * what is not set left out. Whether the buf could hold it, buf_status() tells.
 */
void schema_show(const struct schema_field *fields, const void *from, unsigned indent, struct buf *to);

/* Among `names` (any number), keep in *best the one nearest to `name` so far; start with an empty *best and
 * *distance = 0. */
void schema_nearest(struct str name, struct str candidate, struct str *best, unsigned *distance);
/* ", did you mean "x"?" for a *best that is near enough to be meant, else "". In the arena. */
const char *schema_suggest(struct arena *a, struct str name, struct str best, unsigned distance);

#endif
