/*
 * framing.c - one cutter over four framings.
 *
 * Events and AWS frames have codecs of their own. Lines and arrays are cut here: bytes of a message are gathered in `carry` only when a
 * piece ends within it. An array's elements are found by counting brackets outside of strings; whether they are valid is the reader's to say.
 */
#include "llm/framing.h"

#include "base/buf.h"
#include "codec/eventstream.h"
#include "codec/sse.h"

enum { FRAME_MAX = 16 * 1024 * 1024 };

struct framer {
    enum framing kind;
    size_t max;
    const char *broken; /* static; every further call says so */
    bool too_large;     /* likewise                           */
    struct sse sse;
    struct eventstream aws;
    struct buf carry; /* lines, array: a message's bytes so far */
    bool given;       /* carry holds what was given             */
    /* FRAMING_ARRAY */
    unsigned depth;
    bool opened, closed, in_string, escaped;
};

static void release(void *obj)
{
    struct framer *f = obj;

    sse_release(&f->sse);
    eventstream_release(&f->aws);
    buf_release(&f->carry);
}

struct framer *framer_new(struct arena *arena, enum framing kind, size_t max_frame)
{
    struct framer *f = arena_new(arena, struct framer);

    f->kind = kind;
    f->max = max_frame ? max_frame : FRAME_MAX;
    buf_init(&f->carry, f->max);
    sse_init(&f->sse, f->max);
    eventstream_init(&f->aws);
    arena_hold(arena, f, release);
    return f;
}

static err_t broken(struct framer *f, const char *why)
{
    f->broken = why;
    return fail(E_PROTOCOL, "the provider's stream is malformed: %s", why);
}

/* --- server-sent events --- */

static void give_sse(const struct sse_event *e, struct frame *ret)
{
    *ret = (struct frame){.data = e->data, .name = e->name, .raw = e->raw, .partial = e->is_partial};
}

static err_t next_sse(struct framer *f, struct str *in, bool *ret_got, struct frame *ret)
{
    struct sse_event e;

    switch (sse_next(&f->sse, in, &e)) {
    case SSE_MORE:
        return OK;
    case SSE_EVENT:
        *ret_got = true;
        give_sse(&e, ret);
        return OK;
    case SSE_TOO_LARGE:
        break;
    }
    return fail(E_TOO_LARGE, "an event of the provider's stream exceeds %zu bytes", f->max);
}

/* --- AWS event stream --- */

static err_t next_aws(struct framer *f, struct str *in, bool *ret_got, struct frame *ret)
{
    struct eventstream_frame e;

    switch (eventstream_next(&f->aws, in, &e)) {
    case EVENTSTREAM_MORE:
        return OK;
    case EVENTSTREAM_BROKEN:
        return broken(f, f->aws.error_text);
    case EVENTSTREAM_FRAME:
        break;
    }
    struct str type = eventstream_string(&e, STR(":message-type"));
    *ret = (struct frame){.data = e.payload,
                          .raw = e.raw,
                          .name = eventstream_string(&e, STR(":event-type")),
                          .exception = str_eq(type, STR("exception")) || str_eq(type, STR("error"))};
    if (str_eq(type, STR("exception")))
        ret->name = eventstream_string(&e, STR(":exception-type"));
    if (str_eq(type, STR("error"))) {
        ret->name = eventstream_string(&e, STR(":error-code"));
        ret->data = eventstream_string(&e, STR(":error-message"));
    }
    *ret_got = true;
    return OK;
}

/* --- gathered here --- */

static err_t too_large(struct framer *f)
{
    f->too_large = true;
    return fail(E_TOO_LARGE, "a message of the provider's stream exceeds %zu bytes", f->max);
}

static err_t gather(struct framer *f, struct str piece)
{
    return buf_add(&f->carry, piece) == OK ? OK : too_large(f);
}

/* What was given last is no longer needed. */
static void forget(struct framer *f)
{
    if (f->given)
        buf_clear(&f->carry);
    f->given = false;
}

/* The message that ends in `tail`: a slice of the input, or gathered. */
static err_t complete(struct framer *f, struct str tail, struct str *ret)
{
    *ret = tail;
    if (!f->carry.n)
        return tail.n <= f->max ? OK : too_large(f);
    TRY(gather(f, tail));
    f->given = true;
    *ret = buf_str(&f->carry);
    return OK;
}

static struct str trim_blanks(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' || s.p[0] == '\n'))
        s = str_slice(s, 1, s.n);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r' || s.p[s.n - 1] == '\n'))
        s.n--;
    return s;
}

static err_t next_line(struct framer *f, struct str *in, bool *ret_got, struct frame *ret)
{
    struct str whole;

    while (in->n) {
        size_t end = str_find_char(*in, '\n');
        if (end == in->n) {
            struct str rest = *in;
            *in = str_slice(*in, in->n, in->n);
            return gather(f, rest);
        }
        struct str tail = str_slice(*in, 0, end + 1);
        *in = str_slice(*in, end + 1, in->n);
        TRY(complete(f, tail, &whole));
        struct str data = trim_blanks(whole);
        if (data.n) {
            *ret = (struct frame){.data = data, .raw = whole};
            *ret_got = true;
            return OK;
        }
        forget(f);
    }
    return OK;
}

/* One byte of an array: *ret_end when it ends an element, whose last byte it is (or the comma behind it). */
static void array_byte(struct framer *f, char c, bool *ret_end)
{
    if (f->in_string) {
        if (f->escaped)
            f->escaped = false;
        else if (c == '\\')
            f->escaped = true;
        else if (c == '"')
            f->in_string = false;
        return;
    }
    switch (c) {
    case '"':
        f->in_string = true;
        break;
    case '{':
    case '[':
        f->depth++;
        break;
    case '}':
    case ']':
        if (f->depth)
            *ret_end = --f->depth == 0;
        break;
    default:
        break;
    }
}

static bool is_between(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',';
}

/* From an element's first byte to its last. Elements that are no objects or arrays are not messages. */
static err_t next_element(struct framer *f, struct str *in, bool *ret_got, struct frame *ret)
{
    struct str whole;

    for (size_t i = 0; i < in->n; i++) {
        bool end = false;
        array_byte(f, in->p[i], &end);
        if (!end)
            continue;
        struct str tail = str_slice(*in, 0, i + 1);
        *in = str_slice(*in, i + 1, in->n);
        TRY(complete(f, tail, &whole));
        *ret = (struct frame){.data = whole, .raw = whole};
        *ret_got = true;
        return OK;
    }
    struct str rest = *in;
    *in = str_slice(*in, in->n, in->n);
    return gather(f, rest);
}

static err_t next_array(struct framer *f, struct str *in, bool *ret_got, struct frame *ret)
{
    while (in->n && !f->carry.n && !f->depth) {
        char c = in->p[0];
        if (!f->opened && c == '{')
            break; /* one object alone: an answer or an error without its array */
        if (!f->opened && c == '[')
            f->opened = true;
        else if (f->opened && !f->closed && c == ']')
            f->closed = true;
        else if (f->opened && !f->closed && (c == '{' || c == '['))
            break;
        else if (!is_between(c))
            return broken(f, "an array of objects is expected");
        *in = str_slice(*in, 1, in->n);
    }
    return in->n ? next_element(f, in, ret_got, ret) : OK;
}

err_t framer_next(struct framer *f, struct str *in, bool *ret_got, struct frame *ret)
{
    *ret_got = false;
    if (f->broken)
        return broken(f, f->broken);
    if (f->too_large)
        return too_large(f);
    forget(f);
    switch (f->kind) {
    case FRAMING_SSE:
        return next_sse(f, in, ret_got, ret);
    case FRAMING_LINES:
        return next_line(f, in, ret_got, ret);
    case FRAMING_EVENTSTREAM:
        return next_aws(f, in, ret_got, ret);
    case FRAMING_ARRAY:
        return next_array(f, in, ret_got, ret);
    }
    return OK;
}

err_t framer_end(struct framer *f, bool *ret_got, struct frame *ret)
{
    struct sse_event e;

    *ret_got = false;
    forget(f);
    if (f->kind == FRAMING_SSE && sse_end(&f->sse, &e) == SSE_EVENT) {
        *ret_got = true;
        give_sse(&e, ret);
    }
    if (f->kind == FRAMING_EVENTSTREAM && eventstream_is_within_frame(&f->aws))
        return broken(f, "it ends within a frame");
    if (f->kind == FRAMING_ARRAY && (f->carry.n || (f->opened && !f->closed)))
        return broken(f, "it ends within its array");
    struct str rest = trim_blanks(buf_str(&f->carry));
    if (f->kind == FRAMING_LINES && rest.n) {
        *ret = (struct frame){.data = rest, .raw = buf_str(&f->carry), .partial = true};
        *ret_got = true;
        f->given = true;
    }
    return OK;
}

struct str framing_type(enum framing kind)
{
    switch (kind) {
    case FRAMING_SSE:
        return STR("text/event-stream");
    case FRAMING_LINES:
        return STR("application/x-ndjson");
    case FRAMING_EVENTSTREAM:
        return STR("application/vnd.amazon.eventstream");
    case FRAMING_ARRAY:
        break;
    }
    return STR("application/json");
}
