/*
 * record.c - structs to bytes and back, to JSON, by a table.
 *
 * Writing is what each request pays for: each table has a function of its own for it (RECORD_TABLE()), which asks for room once, and once more where a
 * text might take it. The rest goes by the table.
 *
 * Not here: which structs there are (facts_log.c), where records are kept (store/segments).
 */
#include "observe/record.h"

#include "base/bytes.h"
#include "base/utf8.h"
#include "codec/json_out.h"
#include "codec/json_scan.h"

#include <string.h>

enum { HEAD = 5, ITEM_HEAD = 2, LIST_MAX = 4096 };

/* --- writing --- */

char *record_put_long(char *at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *at++ = (char)(v | 0x80);
    *at++ = (char)v;
    return at;
}

/* The buf's bytes end at `at`: make room for the fields that follow, and for `more`. */
static char *room_at(char *at, size_t more, struct buf *to)
{
    to->n = (size_t)(at - to->p);
    return buf_reserve(to, more + RECORD_ROOM);
}

/* All of a text that is not empty. */
static char *put_chars(char *at, struct str text, struct buf *to)
{
    at = record_put_number(at, text.n);
    if (UNLIKELY((size_t)(to->p + to->cap - at) < text.n + RECORD_ROOM) && !(at = room_at(at, text.n, to)))
        return NULL;
    memcpy(at, text.p, text.n);
    return at + text.n;
}

char *record_put_chars(char *at, struct str text, struct buf *to)
{
    return put_chars(at, text.n > RECORD_TEXT_MAX ? utf8_prefix(text, RECORD_TEXT_MAX) : text, to);
}

char *record_put_json(char *at, struct str json, struct buf *to)
{
    return json.n == 0 || json.n > RECORD_JSON_MAX ? record_put_number(at, 0) : put_chars(at, json, to);
}

/* The struct with the number of its fields in front. */
static char *put_struct(const struct record_type *t, const void *facts, char *at, struct buf *to)
{
    return t->put(facts, record_put_number(at, t->field_count), to);
}

char *record_put_list(char *at, const struct record_type *item_type, const void *items, size_t count, struct buf *to)
{
    count = count < LIST_MAX ? count : LIST_MAX;
    at = record_put_number(at, count);
    for (size_t i = 0; i < count; i++) {
        if (!(at = room_at(at, ITEM_HEAD, to)))
            return NULL;
        size_t from = to->n;
        at = put_struct(item_type, (const char *)items + i * item_type->size, at + ITEM_HEAD, to);
        if (!at)
            return NULL;
        size_t n = (size_t)(at - to->p) - from - ITEM_HEAD;
        if (n > UINT16_MAX) {
            to->overflow = true; /* an item is too long */
            return NULL;
        }
        be16_put(to->p + from, (uint16_t)n);
    }
    return room_at(at, 0, to);
}

err_t record_write(const struct record_type *t, const void *facts, struct buf *to)
{
    size_t from = to->n;
    char *at = buf_reserve(to, HEAD + RECORD_ROOM);

    if (at)
        at = put_struct(t, facts, at + HEAD, to);
    if (!at)
        return buf_status(to);
    to->n = (size_t)(at - to->p);
    be32_put(to->p + from, (uint32_t)(to->n - from));
    to->p[from + 4] = (char)t->id;
    return OK;
}

/* --- reading --- */

struct reading {
    struct str rest;
    struct arena *arena;
    bool bad;
};

static uint64_t take_varint(struct reading *r)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < r->rest.n && i < RECORD_NUMBER_MAX; i++) {
        unsigned char c = (unsigned char)r->rest.p[i];
        v |= (uint64_t)(c & 0x7f) << (7 * i);
        if (c < 0x80) {
            r->rest = str_slice(r->rest, i + 1, r->rest.n);
            return v;
        }
    }
    r->bad = true;
    return 0;
}

static double take_real(struct reading *r)
{
    uint64_t bits = take_varint(r);
    uint32_t narrow = (uint32_t)bits;
    float f;
    double d;

    memcpy(&f, &narrow, sizeof f);
    memcpy(&d, &bits, sizeof d);
    return bits <= UINT32_MAX ? (double)f : d;
}

static struct str take_text(struct reading *r)
{
    uint64_t n = take_varint(r);

    if (r->bad || n > r->rest.n) {
        r->bad = true;
        return STR_NONE;
    }
    struct str text = str_slice(r->rest, 0, n);
    r->rest = str_slice(r->rest, n, r->rest.n);
    return text;
}

static void take_fields(const struct record_type *t, struct reading *r, char *ret);

static void take_item(const struct record_type *t, struct reading *r, char *ret)
{
    size_t n = r->rest.n >= 2 ? be16_get(r->rest.p) : SIZE_MAX - 2;

    if (2 + n > r->rest.n) {
        r->bad = true;
        return;
    }
    struct reading item = {.rest = str_slice(r->rest, 2, 2 + n), .arena = r->arena};
    take_fields(t, &item, ret);
    r->bad = item.bad;
    r->rest = str_slice(r->rest, 2 + n, r->rest.n);
}

static void take_list(const struct record_field *f, struct reading *r, char *ret)
{
    uint64_t count = take_varint(r);
    char *items = NULL;

    if (r->bad || count > LIST_MAX || count > r->rest.n) { /* an item takes more than a byte */
        r->bad = true;
        return;
    }
    size_t n = count;
    if (n)
        items = arena_zalloc(r->arena, n * f->items->size);
    for (size_t i = 0; i < n && !r->bad; i++)
        take_item(f->items, r, items + i * f->items->size);
    memcpy(ret + f->offset, &items, sizeof items);
    memcpy(ret + f->count_offset, &n, sizeof n);
}

static bool is_signed(enum record_kind kind)
{
    return kind == RECORD_I64 || kind == RECORD_INT || kind == RECORD_ENUM;
}

static void set_number(const struct record_field *f, uint64_t bits, char *ret)
{
    int64_t wide = is_signed(f->kind) ? (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1) : (int64_t)bits;
    int narrow = (int)wide;
    unsigned natural = (unsigned)wide;
    bool truth = wide != 0;

    switch (f->kind) {
    case RECORD_U64:
    case RECORD_I64:
        memcpy(ret + f->offset, &wide, sizeof wide);
        break;
    case RECORD_UINT:
        memcpy(ret + f->offset, &natural, sizeof natural);
        break;
    case RECORD_INT:
    case RECORD_ENUM:
        memcpy(ret + f->offset, &narrow, sizeof narrow);
        break;
    case RECORD_BOOL:
        memcpy(ret + f->offset, &truth, sizeof truth);
        break;
    case RECORD_FLOAT:
    case RECORD_STR:
    case RECORD_WORD:
    case RECORD_JSON:
    case RECORD_LIST:
        break;
    }
}

static void take_field(const struct record_field *f, struct reading *r, char *ret)
{
    if (f->kind == RECORD_STR || f->kind == RECORD_JSON) {
        struct str text = take_text(r);
        memcpy(ret + f->offset, &text, sizeof text);
    } else if (f->kind == RECORD_WORD) {
        const char *word = arena_str(r->arena, take_text(r)).p;
        memcpy(ret + f->offset, &word, sizeof word);
    } else if (f->kind == RECORD_FLOAT) {
        double real = take_real(r);
        memcpy(ret + f->offset, &real, sizeof real);
    } else if (f->kind == RECORD_LIST) {
        take_list(f, r, ret);
    } else {
        set_number(f, take_varint(r), ret);
    }
}

/* Fields behind those that this table knows are left out. */
static void take_fields(const struct record_type *t, struct reading *r, char *ret)
{
    uint64_t count = take_varint(r);

    for (size_t i = 0; i < count && i < t->field_count && !r->bad; i++)
        take_field(&t->fields[i], r, ret);
}

int record_type_of(struct str record)
{
    return record.n > HEAD && be32_get(record.p) == record.n ? (unsigned char)record.p[4] : -1;
}

struct str record_first_text(struct str record)
{
    struct reading r = {.rest = str_slice(record, HEAD, record.n)};

    bool has_fields = take_varint(&r) > 0;
    return r.bad || !has_fields ? STR_NONE : take_text(&r);
}

err_t record_read(const struct record_type *t, struct str record, struct arena *arena, void *ret)
{
    struct reading r = {.rest = str_slice(record, HEAD, record.n), .arena = arena};

    if (record_type_of(record) != t->id)
        return fail(E_PROTOCOL, "this is no record of type '%s'", t->name);
    memset(ret, 0, t->size);
    take_fields(t, &r, ret);
    return r.bad ? fail(E_PROTOCOL, "a record of type '%s' is damaged", t->name) : OK;
}

/* --- JSON --- */

/* Any whole number or truth as 64 bits. */
static int64_t number_of(const struct record_field *f, const char *facts)
{
    const char *at = facts + f->offset;
    int64_t wide;
    int narrow;
    unsigned natural;
    bool truth;

    switch (f->kind) {
    case RECORD_U64:
    case RECORD_I64:
        memcpy(&wide, at, sizeof wide);
        return wide;
    case RECORD_UINT:
        memcpy(&natural, at, sizeof natural);
        return natural;
    case RECORD_INT:
    case RECORD_ENUM:
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    case RECORD_BOOL:
        memcpy(&truth, at, sizeof truth);
        return truth;
    case RECORD_FLOAT:
    case RECORD_STR:
    case RECORD_WORD:
    case RECORD_JSON:
    case RECORD_LIST:
        break;
    }
    return 0;
}

/* A text, a word or JSON. */
static struct str text_of(const struct record_field *f, const char *facts)
{
    struct str text;
    const char *word;

    if (f->kind != RECORD_WORD) {
        memcpy(&text, facts + f->offset, sizeof text);
        return text;
    }
    memcpy(&word, facts + f->offset, sizeof word);
    return word ? str_from_c(word) : STR_NONE;
}

static void tell_fields(const struct record_type *t, const char *facts, struct json_out *o);

static void tell_list(const struct record_field *f, const char *facts, struct json_out *o)
{
    const char *items;
    size_t count;

    memcpy(&items, facts + f->offset, sizeof items);
    memcpy(&count, facts + f->count_offset, sizeof count);
    json_open(o, '[');
    for (size_t i = 0; i < count; i++)
        tell_fields(f->items, items + i * f->items->size, o);
    json_close(o, ']');
}

static void tell_json(struct str json, struct json_out *o)
{
    if (json_valid(json, 0))
        json_put_raw(o, json);
    else
        json_put_null(o);
}

static void tell_field(const struct record_field *f, const char *facts, struct json_out *o)
{
    double real;

    switch (f->kind) {
    case RECORD_U64:
    case RECORD_UINT:
        json_put_u64(o, (uint64_t)number_of(f, facts));
        break;
    case RECORD_I64:
    case RECORD_INT:
        json_put_i64(o, number_of(f, facts));
        break;
    case RECORD_BOOL:
        json_put_bool(o, number_of(f, facts) != 0);
        break;
    case RECORD_ENUM:
        json_put_str(o, str_from_c(f->word((int)number_of(f, facts))));
        break;
    case RECORD_FLOAT:
        memcpy(&real, facts + f->offset, sizeof real);
        json_put_double(o, real);
        break;
    case RECORD_STR:
    case RECORD_WORD:
        json_put_str(o, text_of(f, facts));
        break;
    case RECORD_JSON: /* of a damaged or foreign record anything may stand there */
        tell_json(text_of(f, facts), o);
        break;
    case RECORD_LIST:
        tell_list(f, facts, o);
        break;
    }
}

static void tell_fields(const struct record_type *t, const char *facts, struct json_out *o)
{
    json_open(o, '{');
    for (size_t i = 0; i < t->field_count; i++) {
        json_key(o, str_from_c(t->fields[i].name));
        tell_field(&t->fields[i], facts, o);
    }
    json_close(o, '}');
}

err_t record_json(const struct record_type *t, const void *facts, struct buf *to)
{
    struct json_out o = {.to = to};

    tell_fields(t, facts, &o);
    return buf_status(to);
}
