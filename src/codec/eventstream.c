/*
 * eventstream.c - AWS event stream framing: the reader, and the writer.
 *
 *     u32 length of the frame     u32 length of the headers     u32 CRC of these eight bytes
 *     headers: u8 length of name, name, u8 type, value (of some types behind its u16 length)
 *     payload
 *     u32 CRC of all before
 *
 * Numbers are big-endian, CRC is the CRC-32 of zlib. The frame's length may be believed only once the CRC behind it has
 * been checked, so a cut frame is collected in two steps, its first twelve bytes and then the rest. Headers are walked once
 * when a frame is complete; so walking them again cannot fail.
 *
 * Does not: interpret headers or payload, check that strings are UTF-8, notice that a stream ended too early (its owner knows which event
 * is the last).
 */
#include "codec/eventstream.h"

#include "base/bytes.h"

#include <assert.h>
#include <zlib.h>

enum {
    PRELUDE = 12, /* two lengths and their checksum */
    CHECKSUM = 4,
    NAME_BYTES_MAX = 255,
    KEEP_CAPACITY = 64 * 1024,
};
_Static_assert(EVENTSTREAM_OVERHEAD == PRELUDE + CHECKSUM, "");
_Static_assert(EVENTSTREAM_OVERHEAD + EVENTSTREAM_HEADERS_MAX + EVENTSTREAM_PAYLOAD_MAX < INT32_MAX,
               "crc32() counts in ints");

static uint32_t checksum(const char *p, size_t n)
{
    return (uint32_t)crc32(0, (const unsigned char *)p, (unsigned)n);
}

/* --- headers --- */

/* Bytes of a value of each type; -1: behind its length. */
static const int value_bytes[] = {
    [EVENTSTREAM_TRUE] = 0,      [EVENTSTREAM_FALSE] = 0, [EVENTSTREAM_INT8] = 1,   [EVENTSTREAM_INT16] = 2,
    [EVENTSTREAM_INT32] = 4,     [EVENTSTREAM_INT64] = 8, [EVENTSTREAM_BYTES] = -1, [EVENTSTREAM_STRING] = -1,
    [EVENTSTREAM_TIMESTAMP] = 8, [EVENTSTREAM_UUID] = 16,
};

static void advance(struct str *in, size_t n)
{
    in->p += n;
    in->n -= n;
}

/* Take `n` bytes from the front of *in; false if there are not so many. */
static bool take(struct str *in, size_t n, struct str *ret)
{
    if (in->n < n)
        return false;
    *ret = str_of(in->p, n);
    advance(in, n);
    return true;
}

static void set_value(struct eventstream_header *h, struct str raw)
{
    switch (h->type) {
    case EVENTSTREAM_TRUE:
        h->number = 1;
        return;
    case EVENTSTREAM_FALSE:
        return;
    case EVENTSTREAM_INT8:
        h->number = (int64_t)(unsigned char)raw.p[0] - (raw.p[0] & 0x80 ? 0x100 : 0);
        return;
    case EVENTSTREAM_INT16:
        h->number = (int16_t)be16_get(raw.p);
        return;
    case EVENTSTREAM_INT32:
        h->number = (int32_t)be32_get(raw.p);
        return;
    case EVENTSTREAM_INT64:
    case EVENTSTREAM_TIMESTAMP:
        h->number = (int64_t)be64_get(raw.p);
        return;
    case EVENTSTREAM_BYTES:
    case EVENTSTREAM_STRING:
    case EVENTSTREAM_UUID:
        h->value = raw;
        return;
    }
}

/* Take one header; false if it is not well-formed. */
static bool take_header(struct str *headers, struct eventstream_header *ret)
{
    struct str length, type, raw;

    if (!take(headers, 1, &length) || length.p[0] == 0 || !take(headers, (unsigned char)length.p[0], &ret->name) ||
        !take(headers, 1, &type) || (unsigned char)type.p[0] >= ARRAY_LEN(value_bytes))
        return false;
    ret->type = (enum eventstream_type)type.p[0];
    int n = value_bytes[ret->type];
    if (n < 0) {
        if (!take(headers, 2, &length))
            return false;
        n = be16_get(length.p);
    }
    if (!take(headers, (size_t)n, &raw))
        return false;
    ret->value = STR("");
    ret->number = 0;
    set_value(ret, raw);
    return true;
}

bool eventstream_header_next(struct str *headers, struct eventstream_header *ret_header)
{
    return headers->n > 0 && take_header(headers, ret_header);
}

struct str eventstream_string(const struct eventstream_frame *f, struct str name)
{
    struct str rest = f->headers;
    struct eventstream_header h;

    while (eventstream_header_next(&rest, &h))
        if (str_eq(h.name, name))
            return h.type == EVENTSTREAM_STRING ? h.value : STR_NONE;
    return STR_NONE;
}

static bool headers_are_sound(struct str headers)
{
    struct eventstream_header h;

    while (headers.n > 0)
        if (!take_header(&headers, &h))
            return false;
    return true;
}

/* --- reading --- */

void eventstream_init(struct eventstream *s)
{
    *s = (struct eventstream){0};
    buf_init(&s->carry, EVENTSTREAM_OVERHEAD + EVENTSTREAM_HEADERS_MAX + EVENTSTREAM_PAYLOAD_MAX);
}

void eventstream_release(struct eventstream *s)
{
    buf_release(&s->carry);
}

bool eventstream_is_within_frame(const struct eventstream *s)
{
    return s->carry.n > 0 && !s->given;
}

static enum eventstream_result broken(struct eventstream *s, const char *why)
{
    s->error_text = why;
    return EVENTSTREAM_BROKEN;
}

/* What is wrong with a frame's first PRELUDE bytes; NULL if they are sound, and *ret_length is the frame's length then. */
static const char *check_prelude(const char *p, size_t *ret_length)
{
    size_t length = be32_get(p), headers = be32_get(p + 4);

    if (checksum(p, 8) != be32_get(p + 8))
        return "checksum of a frame's lengths does not fit";
    if (headers > EVENTSTREAM_HEADERS_MAX)
        return "a frame's headers exceed 128 KiB";
    if (length < EVENTSTREAM_OVERHEAD + headers)
        return "a frame is shorter than its parts";
    if (length - headers - EVENTSTREAM_OVERHEAD > EVENTSTREAM_PAYLOAD_MAX)
        return "a frame's payload exceeds 24 MiB";
    *ret_length = length;
    return NULL;
}

static enum eventstream_result give(struct eventstream *s, struct str frame, struct eventstream_frame *ret)
{
    size_t body = frame.n - CHECKSUM, payload = PRELUDE + be32_get(frame.p + 4);

    if (checksum(frame.p, body) != be32_get(frame.p + body))
        return broken(s, "checksum of a frame does not fit");
    struct str headers = str_slice(frame, PRELUDE, payload);
    if (!headers_are_sound(headers))
        return broken(s, "headers of a frame are malformed");
    *ret = (struct eventstream_frame){.raw = frame, .headers = headers, .payload = str_slice(frame, payload, body)};
    return EVENTSTREAM_FRAME;
}

static void forget(struct eventstream *s)
{
    s->given = false;
    if (s->carry.cap > KEEP_CAPACITY)
        buf_release(&s->carry);
    buf_clear(&s->carry);
}

/* Bring bytes into carry until it holds `n`, or the input ends. */
static bool collect(struct eventstream *s, struct str *in, size_t n)
{
    size_t missing = n - s->carry.n, part = missing < in->n ? missing : in->n;

    err_t e = buf_add(&s->carry, str_of(in->p, part));
    assert(e == OK); /* check_prelude() has limited n to the buf's maximum */
    advance(in, part);
    return s->carry.n == n;
}

static enum eventstream_result next_in_carry(struct eventstream *s, struct str *in, struct eventstream_frame *ret)
{
    const char *why;
    size_t length;

    if (s->carry.n < PRELUDE && !collect(s, in, PRELUDE))
        return EVENTSTREAM_MORE;
    why = check_prelude(s->carry.p, &length);
    if (why)
        return broken(s, why);
    if (!collect(s, in, length))
        return EVENTSTREAM_MORE;
    s->given = true;
    return give(s, buf_str(&s->carry), ret);
}

enum eventstream_result eventstream_next(struct eventstream *s, struct str *in, struct eventstream_frame *ret_frame)
{
    size_t length;

    if (s->error_text)
        return EVENTSTREAM_BROKEN;
    if (s->given)
        forget(s);
    if (in->n == 0)
        return EVENTSTREAM_MORE;
    if (s->carry.n > 0 || in->n < PRELUDE)
        return next_in_carry(s, in, ret_frame);
    const char *why = check_prelude(in->p, &length);
    if (why)
        return broken(s, why);
    if (in->n < length)
        return next_in_carry(s, in, ret_frame);
    struct str frame = str_of(in->p, length);
    advance(in, length);
    return give(s, frame, ret_frame);
}

/* --- writing --- */

void eventstream_begin(struct eventstream_writer *w, struct buf *to)
{
    static const char room[PRELUDE];

    *w = (struct eventstream_writer){.to = to, .start = to->n};
    w->failed = to->overflow || buf_add(to, str_of(room, PRELUDE)) != OK;
}

void eventstream_add_string(struct eventstream_writer *w, struct str name, struct str value)
{
    char length[2];

    if (name.n == 0 || name.n > NAME_BYTES_MAX || value.n > UINT16_MAX || w->failed) {
        w->failed = true;
        return;
    }
    be16_put(length, (uint16_t)value.n);
    w->failed = buf_add_char(w->to, (char)name.n) || buf_add(w->to, name) || buf_add_char(w->to, EVENTSTREAM_STRING) ||
                buf_add(w->to, str_of(length, 2)) || buf_add(w->to, value);
}

void eventstream_begin_payload(struct eventstream_writer *w)
{
    assert(w->payload == 0);
    w->payload = w->to->n;
}

/* Fill in what stands in front of the headers and behind the payload. */
static bool seal(struct eventstream_writer *w)
{
    assert(w->payload > 0);
    size_t headers = w->payload - w->start - PRELUDE, payload = w->to->n - w->payload;
    char *p = w->to->p + w->start, last[CHECKSUM];

    if (headers > EVENTSTREAM_HEADERS_MAX || payload > EVENTSTREAM_PAYLOAD_MAX)
        return false;
    size_t length = EVENTSTREAM_OVERHEAD + headers + payload;
    be32_put(p, (uint32_t)length);
    be32_put(p + 4, (uint32_t)headers);
    be32_put(p + 8, checksum(p, 8));
    be32_put(last, checksum(p, length - CHECKSUM));
    return buf_add(w->to, str_of(last, CHECKSUM)) == OK;
}

err_t eventstream_end(struct eventstream_writer *w)
{
    if (!w->failed && !w->to->overflow && seal(w))
        return OK;
    w->to->n = w->start;
    return fail(E_TOO_LARGE, "an event does not fit into a frame");
}
