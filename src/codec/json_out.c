/* json_out.c - JSON text, one value after the other. A comma is due after every value, and not after an opening bracket or a key. */
#include "codec/json_out.h"

#include "base/json_plain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static inline void separate(struct json_out *o)
{
    if (o->comma)
        buf_add_char(o->to, ',');
    o->comma = true;
}

void json_open(struct json_out *o, char bracket)
{
    separate(o);
    buf_add_char(o->to, bracket);
    o->comma = false;
}

void json_close(struct json_out *o, char bracket)
{
    buf_add_char(o->to, bracket);
    o->comma = true;
}

/* A string and what follows it. Most need no escapes: they go out in one piece. */
static inline void put(struct json_out *o, struct str text, struct str behind)
{
    bool plain = !text.n || json_skip_plain(text.p, text.p + text.n, JSON_PLAIN_PRINTABLE) == text.p + text.n;
    char *to = plain ? buf_reserve(o->to, (size_t)o->comma + 1 + text.n + behind.n) : NULL, *at = to;

    if (!to) {
        separate(o);
        buf_add_char(o->to, '"');
        buf_add_json(o->to, text);
        buf_add(o->to, behind);
        return;
    }
    if (o->comma)
        *at++ = ',';
    *at++ = '"';
    if (text.n)
        memcpy(at, text.p, text.n);
    memcpy(at + text.n, behind.p, behind.n);
    o->to->n += (size_t)(at - to) + text.n + behind.n;
    o->comma = true;
}

void json_key(struct json_out *o, struct str key)
{
    put(o, key, STR("\":"));
    o->comma = false;
}

void json_key_raw(struct json_out *o, struct str key)
{
    separate(o);
    buf_add_char(o->to, '"');
    buf_add(o->to, key);
    buf_add_lit(o->to, "\":");
    o->comma = false;
}

struct buf *json_begin_value(struct json_out *o)
{
    separate(o);
    return o->to;
}

void json_put_str(struct json_out *o, struct str text)
{
    put(o, text, STR("\""));
}

void json_put_raw(struct json_out *o, struct str json)
{
    separate(o);
    buf_add(o->to, json.n ? json : STR("null"));
}

void json_put_u64(struct json_out *o, uint64_t n)
{
    separate(o);
    buf_add_u64(o->to, n);
}

void json_put_i64(struct json_out *o, int64_t n)
{
    separate(o);
    buf_add_i64(o->to, n);
}

void json_put_bool(struct json_out *o, bool truth)
{
    json_put_raw(o, truth ? STR("true") : STR("false"));
}

void json_put_null(struct json_out *o)
{
    json_put_raw(o, STR_NONE);
}

void json_put_double(struct json_out *o, double d)
{
    enum { DIGITS_MAX = 17 };
    char text[40];

    if (!isfinite(d)) {
        json_put_null(o);
        return;
    }
    for (int digits = 1; digits <= DIGITS_MAX; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    json_put_raw(o, str_from_c(text));
}
