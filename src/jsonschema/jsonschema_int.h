/*
 * jsonschema_int.h - a compiled schema, for the files of this room.
 *
 * Each schema that was met (a "part") is a struct with what it says about each kind of value, so that a value is only asked what
 * concerns its kind. Parts refer to each other by index; 0 is none. Reading order: jsonschema_int.h, load.c, compile.c, validate.c.
 */
#ifndef JSONSCHEMA_INT_H
#define JSONSCHEMA_INT_H

#include "codec/regex_bits.h"
#include "jsonschema/decimal.h"
#include "jsonschema/equal.h"
#include "jsonschema/format.h"
#include "jsonschema/jsonschema.h"

typedef uint32_t part_t;

enum {
    KIND_BOOL = 1 << JSON_FALSE | 1 << JSON_TRUE,
    KIND_ANY = (1 << (JSON_OBJECT + 1)) - 1,
};

enum bound_kind { AT_LEAST, MORE_THAN, AT_MOST, LESS_THAN, BOUNDS };

struct number_rules {
    struct bound {
        bool is_set, is_small; /* small: `small` is the exact value */
        int64_t small;
        struct decimal exact;
    } bounds[BOUNDS];
    bool has_divisor;
    struct decimal_divisor divisor;
    struct str divisor_text;
};

struct pattern {
    struct str text;
    const struct regex *regex;
    const struct regex_bits *bits; /* NULL: only the regex can tell */
};

enum content_encoding { ENCODING_NONE, ENCODING_BASE64 };

struct string_rules {
    uint64_t min, max; /* characters; UINT64_MAX: no limit           */
    const struct pattern *pattern;
    const struct format *format; /* NULL: none that is asserted */
    struct str format_name;      /* "format", asserted or not   */
    enum content_encoding encoding;
    bool is_json; /* contentMediaType application/json, asserted */
};

struct array_rules {
    const part_t *prefix;
    uint32_t prefix_count;
    part_t rest; /* of what is behind the prefix             */
    part_t contains;
    bool is_unique;
    bool contains_evaluates; /* what "contains" matches counts as evaluated (2020-12) */
    uint64_t min, max, contains_min, contains_max;
    const char *prefix_keyword, *rest_keyword;
};

/* A member that the schema names. */
struct property {
    struct str name;
    part_t part;
    bool is_required;
};

/*
 * A name as words that can be compared at once: up to 16 bytes are all in them, longer ones have both ends there. Names that collide in
 * the table are compared, and how many do is up to who writes the schema, not to who writes documents.
 */
struct name_key {
    uint64_t first, last;
    uint32_t n;
};

struct property_slot {
    struct name_key key;
    uint32_t property; /* + 1; 0: the slot is free */
};

struct pattern_property {
    struct pattern pattern;
    part_t part;
};

/* If a member is there … */
struct dependent {
    uint32_t property;
    const uint32_t *needed; /* … these must be there: indices of properties */
    uint32_t needed_count;
    part_t part; /* … this must hold for the object */
    const char *keyword;
};

struct object_rules {
    const struct property *properties; /* all names that the schema speaks of, in its order */
    uint32_t property_count;
    uint32_t slot_mask;
    const struct property_slot *slots; /* hash table */
    const uint64_t *required;          /* a bit for each property                      */
    const struct pattern_property *patterns;
    uint32_t pattern_count;
    part_t additional, names;
    const struct dependent *dependents;
    uint32_t dependent_count;
    uint64_t min, max;
    bool declares; /* "properties" is there: it says what members there are */
};

struct value_rules {
    const struct json_node *values;
    uint32_t count;
    bool is_const;
};

struct reference {
    part_t part;
    uint32_t dynamic; /* name of the dynamic anchor + 1; 0: the target is fixed */
    const char *keyword;
};

struct part_list {
    const part_t *parts;
    uint32_t count;
};

struct combine_rules {
    const struct reference *references;
    uint32_t reference_count;
    struct part_list all_of, any_of, one_of;
    part_t not, if_, then, else_;
};

struct part {
    struct json_node at; /* where it is written; a boolean or an object        */
    uint32_t resource;   /* that it belongs to                                  */
    uint32_t document;   /* that it is written in                               */
    part_t alias;        /* it is nothing but a reference to this               */
    uint8_t kinds;       /* bits by enum json_kind; 0: nothing is valid         */
    bool whole;          /* numbers must be whole                               */
    bool has_type;       /* "type" is there                                     */
    uint16_t dialect;    /* a number for the draft, the vocabularies and what is asserted */
    part_t unevaluated_members, unevaluated_items;
    const struct value_rules *values, *constant;
    const struct number_rules *number;
    const struct string_rules *string;
    const struct array_rules *array;
    const struct object_rules *object;
    const struct combine_rules *combine;
};

/* A $dynamicAnchor's name: the part that it is at in each resource. */
struct dynamic_name {
    struct str name;
    part_t *parts; /* by resource; 0: none there */
};

struct jsonschema {
    const struct part *parts;
    uint32_t part_count; /* with the unused 0 */
    part_t root;
    const struct dynamic_name *dynamic;
    uint32_t dynamic_count;
    uint32_t resource_count;
    size_t regex_room;               /* of the most demanding pattern without bits; 0: there is none */
    const struct str *document_uris; /* by document; the first is the schema itself, "" */
};

/* --- metaschemas --- */

struct metaschema {
    struct str uri, text;
};
extern const struct metaschema metaschemas[];
extern const size_t metaschema_count;

/* --- validate.c: for inclusion --- */

/* Is the value valid for one part? As jsonschema_validate(). */
err_t part_explain(const struct jsonschema *s, part_t part, struct json_node value, struct arena *scratch,
                   struct jsonschema_report *report, bool *ret_valid) MUST_CHECK;
enum { NAME_KEY_WHOLE = 16 };

/* `readable`: bytes that may be read at name.p, at least name.n. With eight of them no branch depends on the length. */
static inline struct name_key name_key_of(struct str name, size_t readable)
{
    struct name_key key = {.n = (uint32_t)name.n};
    char padded[8] = {0};
    const char *p = name.p;

    if (UNLIKELY(readable < sizeof padded)) {
        if (name.n)
            memcpy(padded, name.p, name.n);
        p = padded;
    }
    memcpy(&key.first, p, 8);
    memcpy(&key.last, p + (name.n > 8 ? name.n - 8 : 0), 8);
    uint64_t mask = name.n >= 8 ? ~UINT64_C(0) : (UINT64_C(1) << 8 * name.n) - 1;
    key.first &= mask;
    key.last &= mask;
    return key;
}
static inline uint32_t name_key_hash(const struct name_key *key)
{
    return (uint32_t)(((key->first ^ (key->last << 23 | key->last >> 41) ^ key->n) * 0x9e3779b97f4a7c15U) >> 32);
}
/* The index of the property of that name; UINT32_MAX: the schema does not name it. `readable` as in name_key_of(). */
uint32_t property_find_readable(const struct object_rules *rules, struct str name, size_t readable);
static inline uint32_t property_find(const struct object_rules *rules, struct str name)
{
    return property_find_readable(rules, name, name.n);
}
/* Does the text hold a match? `room` has regex_room bytes, or may be NULL if the pattern has bits. */
bool pattern_matches(const struct pattern *pattern, struct str text, void *room, uint64_t *ret_steps);

#endif
