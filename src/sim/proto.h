/*
 * proto.h - checks JSON against descriptions of messages, as Google's services read it into protocol buffers. Pure.
 *
 * A member may be called as in JSON or as in the .proto file ("maxOutputTokens", "max_output_tokens"); one that the message does not have
 * is refused; null is the same as absent; a 64-bit number may be a string. What is not described here (which members go together, which
 * of them are needed) is the reader's to check.
 */
#ifndef SIM_PROTO_H
#define SIM_PROTO_H

#include "base/arena.h"
#include "sim/refusal.h"

#include <stdbool.h>
#include <stddef.h>
#include <yyjson.h>

enum proto_kind {
    PROTO_STRING,
    PROTO_BYTES, /* base64 of either alphabet        */
    PROTO_BOOL,
    PROTO_INT,
    PROTO_NUMBER,
    PROTO_ENUM,    /* one of names                      */
    PROTO_STRUCT,  /* any object                        */
    PROTO_VALUE,   /* anything                          */
    PROTO_MESSAGE, /* of the type `message`             */
    PROTO_MAP,     /* any names, to values of `message`; NULL: to strings */
};

struct proto_field {
    struct str name; /* as in JSON */
    enum proto_kind kind;
    bool repeated;
    bool any_case;            /* names in lower case will do        */
    const char *const *names; /* PROTO_ENUM; NULL-terminated        */
    const struct proto_message *message;
};

struct proto_message {
    const struct proto_field *fields;
    size_t count;
};

/* Check `v`. `path`: where it stands, for messages; empty for the body. E_PARSE with *r filled. */
err_t proto_check(struct arena *a, yyjson_val *v, struct str path, const struct proto_message *message,
                  struct sim_refusal *r) MUST_CHECK;

/* Member of this JSON name, however it is written; NULL if there is none, or null. */
yyjson_val *proto_get(yyjson_val *obj, struct str name);
struct str proto_get_str(yyjson_val *obj, struct str name, struct str fallback);
int64_t proto_get_i64(yyjson_val *obj, struct str name, int64_t fallback);
bool proto_get_bool(yyjson_val *obj, struct str name);
/* Append the bytes of base64 text in either alphabet, padded or not. E_PARSE, E_TOO_LARGE. */
err_t proto_decode_bytes(struct buf *to, struct str text) MUST_CHECK;

#endif
