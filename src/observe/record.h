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
#include <string.h>

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
    RECORD_JSON,  /* struct str, a JSON value; absent: null. More than RECORD_JSON_MAX bytes are not kept at all */
    RECORD_LIST,  /* a pointer to structs; their number is a size_t      */
};

/* Records hold names and short messages. Who can choose a text can choose a long one: it is cut, between characters. */
enum { RECORD_TEXT_MAX = 1000, RECORD_JSON_MAX = 16 * 1024 };

/* Fields of a struct, and what they take at most without their texts and lists. */
enum { RECORD_FIELDS_MAX = 64, RECORD_NUMBER_MAX = 10, RECORD_ROOM = RECORD_FIELDS_MAX * RECORD_NUMBER_MAX };

struct record_type;

struct record_field {
    const char *name; /* in JSON */
    enum record_kind kind;
    size_t offset;
    const char *(*word)(int value);  /* RECORD_ENUM                               */
    const struct record_type *items; /* RECORD_LIST                               */
    size_t count_offset;             /* RECORD_LIST: of the size_t                */
};

struct record_type {
    uint8_t id;
    const char *name;
    const struct record_field *fields;
    size_t field_count;
    size_t size; /* of the struct */
    /* Write the struct's fields at `at`, where RECORD_ROOM bytes are free. Returns the end, NULL if `to` is full. */
    char *(*put)(const void *facts, char *at, struct buf *to);
};

/*
 * A table is a list of its fields, of which RECORD_TABLE() makes the array that reads and tells them and the function that writes them: each
 * request leaves some hundred and fifty fields, so those are written without a look at the table.
 *
 *     #define PART_FIELDS(F, T) F(T, name, STR, "name") F(T, fruit, ENUM, "fruit", fruit_name) F(T, pips, LIST, "pips", &pip_type, pip_count)
 *     RECORD_TABLE(part, struct part, PART_FIELDS)
 *     static const struct record_type part_type = {.id = 7, .name = "part", RECORD_OF(part, struct part)};
 */
#define RECORD_TABLE(table, type, FIELDS)                                                                              \
    static const struct record_field table##_fields[] = {FIELDS(RECORD_ROW, type)};                                    \
    _Static_assert(ARRAY_LEN(table##_fields) <= RECORD_FIELDS_MAX, "a record's room");                                 \
    static char *table##_put(const void *facts, char *at, struct buf *to)                                              \
    {                                                                                                                  \
        const type *f = facts;                                                                                         \
        FIELDS(RECORD_PUT, type)                                                                                       \
        return at;                                                                                                     \
    }
#define RECORD_OF(table, type)                                                                                         \
    .fields = table##_fields, .field_count = ARRAY_LEN(table##_fields), .size = sizeof(type), .put = table##_put

#define RECORD_ROW(type, member, kind, ...) RECORD_ROW_##kind(type, member, __VA_ARGS__)
#define RECORD_ROW_U64(type, member, json) {.name = (json), .kind = RECORD_U64, .offset = offsetof(type, member)},
#define RECORD_ROW_I64(type, member, json) {.name = (json), .kind = RECORD_I64, .offset = offsetof(type, member)},
#define RECORD_ROW_UINT(type, member, json) {.name = (json), .kind = RECORD_UINT, .offset = offsetof(type, member)},
#define RECORD_ROW_INT(type, member, json) {.name = (json), .kind = RECORD_INT, .offset = offsetof(type, member)},
#define RECORD_ROW_BOOL(type, member, json) {.name = (json), .kind = RECORD_BOOL, .offset = offsetof(type, member)},
#define RECORD_ROW_FLOAT(type, member, json) {.name = (json), .kind = RECORD_FLOAT, .offset = offsetof(type, member)},
#define RECORD_ROW_STR(type, member, json) {.name = (json), .kind = RECORD_STR, .offset = offsetof(type, member)},
#define RECORD_ROW_JSON(type, member, json) {.name = (json), .kind = RECORD_JSON, .offset = offsetof(type, member)},
#define RECORD_ROW_WORD(type, member, json) {.name = (json), .kind = RECORD_WORD, .offset = offsetof(type, member)},
#define RECORD_ROW_ENUM(type, member, json, word_of)                                                                   \
    {.name = (json), .kind = RECORD_ENUM, .offset = offsetof(type, member), .word = (word_of)},
#define RECORD_ROW_LIST(type, member, json, item_type, count)                                                          \
    {.name = (json),                                                                                                   \
     .kind = RECORD_LIST,                                                                                              \
     .offset = offsetof(type, member),                                                                                 \
     .items = (item_type),                                                                                             \
     .count_offset = offsetof(type, count)},

#define RECORD_PUT(type, member, kind, ...) RECORD_PUT_##kind(member, __VA_ARGS__)
#define RECORD_PUT_U64(member, json) at = record_put_number(at, f->member);
#define RECORD_PUT_I64(member, json) at = record_put_number(at, record_zigzag(f->member));
#define RECORD_PUT_UINT(member, json) RECORD_PUT_U64(member, json)
#define RECORD_PUT_INT(member, json) RECORD_PUT_I64(member, json)
#define RECORD_PUT_BOOL(member, json) RECORD_PUT_U64(member, json)
#define RECORD_PUT_FLOAT(member, json) at = record_put_number(at, record_real_bits(f->member));
#define RECORD_PUT_STR(member, json)                                                                                   \
    if (!(at = record_put_text(at, f->member, to)))                                                                    \
        return NULL;
#define RECORD_PUT_WORD(member, json)                                                                                  \
    if (!(at = record_put_text(at, f->member ? str_from_c(f->member) : STR_NONE, to)))                                 \
        return NULL;
#define RECORD_PUT_JSON(member, json)                                                                                  \
    if (!(at = record_put_json(at, f->member, to)))                                                                    \
        return NULL;
#define RECORD_PUT_ENUM(member, json, word_of) RECORD_PUT_I64(member, json)
#define RECORD_PUT_LIST(member, json, item_type, count)                                                                \
    if (!(at = record_put_list(at, item_type, f->member, f->count, to)))                                               \
        return NULL;

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

/* --- for RECORD_TABLE() --- */

/* What record_put_number() does with larger ones. */
char *record_put_long(char *at, uint64_t v);
/* What record_put_text() does with texts that are not empty. */
char *record_put_chars(char *at, struct str text, struct buf *to);
/* As record_put_text(), of a JSON value. */
char *record_put_json(char *at, struct str json, struct buf *to);
/* As record_type.put(), for a list. */
char *record_put_list(char *at, const struct record_type *item_type, const void *items, size_t count, struct buf *to);

static inline char *record_put_number(char *at, uint64_t v)
{
    if (v >= 0x80)
        return record_put_long(at, v);
    *at = (char)v;
    return at + 1;
}

static inline uint64_t record_zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

/* As a float if it is one, which most figures of people are; else as it is. The bits of a double are larger than those of any float, but for those below the
 * least normal one, which become zero. */
static inline uint64_t record_real_bits(double d)
{
    float f = (float)d;
    uint32_t narrow;
    uint64_t wide;

    memcpy(&narrow, &f, sizeof narrow);
    memcpy(&wide, &d, sizeof wide);
    return (double)f == d || wide <= UINT32_MAX ? narrow : wide;
}

static inline char *record_put_text(char *at, struct str text, struct buf *to)
{
    if (text.n)
        return record_put_chars(at, text, to);
    *at = 0;
    return at + 1;
}

#endif
