/*
 * record.h - structs as compact bytes and as JSON, by a table of their fields. Pure.
 *
 * A record is  length, 4 bytes big-endian | type, 1 | number of fields, varint | fields in the table's order.  Numbers are varints (LEB128; signed
 * ones zigzag), texts and lists a count and what it counts, an item of a list its length
 * in 2 bytes and its fields like a record's; a double the bits of the float that equals it, or else, above 32 bits, its own. A table only ever grows at its end: an old reader leaves out what it does
 * not know, a new one finds zeros for what an old writer did not say.
 */
#ifndef OBSERVE_RECORD_H
#define OBSERVE_RECORD_H

#include "base/arena.h"
#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum record_kind {
    RECORD_U64,
    RECORD_I64,  /* also ns_t                                            */
    RECORD_UINT, /* unsigned                                             */
    RECORD_INT,
    RECORD_BOOL,
    RECORD_ENUM,  /* an int that is told as a word                       */
    RECORD_FLOAT, /* double; exact                                       */
    RECORD_STR,   /* struct str; at most RECORD_TEXT_MAX bytes of it are kept */
    RECORD_WORD,  /* const char *, as a text; NULL is an empty one       */
    RECORD_LIST,  /* a pointer to structs; their number is a size_t      */
};

/* Records hold names and short messages. Who can choose a text can choose a long one: it is cut, between characters. */
enum { RECORD_TEXT_MAX = 1000 };

struct record_type;

struct record_field {
    const char *name; /* in JSON */
    enum record_kind kind;
    size_t offset;
    const char *(*word)(int value);  /* RECORD_ENUM                               */
    const struct record_type *items; /* RECORD_LIST                               */
    size_t count_offset;             /* RECORD_LIST: of the size_t                */
};

#define RECORD_FIELD(type, member, record_kind, json_name)                                                             \
    {.name = (json_name), .kind = (record_kind), .offset = offsetof(type, member)}

struct record_type {
    uint8_t id;
    const char *name;
    const struct record_field *fields;
    size_t field_count;
    size_t size; /* of the struct */
};

/* Append `facts` as a record. E_TOO_LARGE. */
err_t record_write(const struct record_type *t, const void *facts, struct buf *to) MUST_CHECK;
/* The type of a record; -1 if it has none. */
int record_type_of(struct str record);
/* The first field of a record of which it is known that it is a text; STR_NONE if it is damaged. */
struct str record_first_text(struct str record);
/* Fill the struct at `ret`. Texts are slices of `record`, words and lists lie in `arena`. E_PROTOCOL: it is none of that type. */
err_t record_read(const struct record_type *t, struct str record, struct arena *arena, void *ret) MUST_CHECK;
/* Append `facts` as a JSON object, all fields in order. */
err_t record_json(const struct record_type *t, const void *facts, struct buf *to) MUST_CHECK;

#endif
