/*
 * json_out.h - write JSON into a buf, member by member: commas are put where they belong. Pure.
 *
 *     struct json_out o = json_out_to(buf);
 *     json_open(&o, '{');
 *     json_key(&o, STR("text")); json_put_str(&o, text);
 *     json_member_u64(&o, STR("n"), 3);
 *     json_close(&o, '}');
 *
 * Nothing is checked but what asserts check: the caller writes a document. A buf that overflows says so at buf_status().
 */
#ifndef CODEC_JSON_OUT_H
#define CODEC_JSON_OUT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct json_out {
    struct buf *to;
    bool comma; /* the next value or key needs one before it */
};

static inline struct json_out json_out_to(struct buf *to)
{
    return (struct json_out){to, false};
}

/* '{' or '[' as a value; and its end. */
void json_open(struct json_out *o, char bracket);
void json_close(struct json_out *o, char bracket);
/* A member's key; its value must follow. */
void json_key(struct json_out *o, struct str key);
/* The same of a key as another document has it between its quotes, escapes and all. */
void json_key_raw(struct json_out *o, struct str key);
/* Begin a value that the caller appends to the buf itself. */
struct buf *json_begin_value(struct json_out *o);
/* Values. */
void json_put_str(struct json_out *o, struct str text);
/* JSON text as it is; empty: null. */
void json_put_raw(struct json_out *o, struct str json);
void json_put_u64(struct json_out *o, uint64_t n);
void json_put_i64(struct json_out *o, int64_t n);
void json_put_bool(struct json_out *o, bool truth);
void json_put_null(struct json_out *o);
/* A number that is no whole one, in the shortest text that reads back as the same double. */
void json_put_double(struct json_out *o, double d);

/* Key and value at once. */
static inline void json_member_str(struct json_out *o, struct str key, struct str text)
{
    json_key(o, key);
    json_put_str(o, text);
}
static inline void json_member_raw(struct json_out *o, struct str key, struct str json)
{
    json_key(o, key);
    json_put_raw(o, json);
}
static inline void json_member_u64(struct json_out *o, struct str key, uint64_t n)
{
    json_key(o, key);
    json_put_u64(o, n);
}
static inline void json_member_i64(struct json_out *o, struct str key, int64_t n)
{
    json_key(o, key);
    json_put_i64(o, n);
}
static inline void json_member_bool(struct json_out *o, struct str key, bool truth)
{
    json_key(o, key);
    json_put_bool(o, truth);
}
static inline void json_member_null(struct json_out *o, struct str key)
{
    json_key(o, key);
    json_put_null(o);
}
static inline void json_member_open(struct json_out *o, struct str key, char bracket)
{
    json_key(o, key);
    json_open(o, bracket);
}

#endif
