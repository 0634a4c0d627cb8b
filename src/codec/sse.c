/*
 * sse.c - server-sent events: the framer, and writing.
 *
 * The current event starts at a base: in the input if all of it so far is there, else in `carry`. Fields are kept as
 * offsets from that base, so they survive the move from one to the other. Lines are looked for sixteen bytes at a time and
 * each byte is looked at once, however the input is cut.
 *
 * A CR ends its line at once, without waiting for the LF that may follow: a stream that ends its lines with CR only would
 * otherwise lag by an event. An LF that does follow belongs to the raw bytes of the next event and starts no line.
 *
 * Does not: reconnect, keep the last event id across events, parse what is in data.
 */
#include "codec/sse.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { KEEP_CAPACITY = 64 * 1024 };

/* Index of the first CR or LF of the n bytes at p; n if there is none. */
static size_t find_line_end(const char *p, size_t n)
{
    size_t i = 0;

#if defined(__SSE2__)
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');
    for (; i + 16 <= n; i += 16) {
        __m128i x = _mm_loadu_si128((const void *)(p + i));
        unsigned hit = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(x, cr), _mm_cmpeq_epi8(x, lf)));
        if (hit)
            return i + (size_t)__builtin_ctz(hit);
    }
#elif defined(__aarch64__)
    const uint8x16_t cr = vdupq_n_u8('\r'), lf = vdupq_n_u8('\n');
    for (; i + 16 <= n; i += 16) {
        uint8x16_t x = vld1q_u8((const uint8_t *)(p + i));
        if (vmaxvq_u8(vorrq_u8(vceqq_u8(x, cr), vceqq_u8(x, lf))))
            break; /* in this block: the loop below finds where */
    }
#endif
    while (i < n && p[i] != '\r' && p[i] != '\n')
        i++;
    return i;
}

void sse_init(struct sse *s, size_t max_event)
{
    *s = (struct sse){.max = max_event ? max_event : SSE_EVENT_MAX, .retry = -1};
    buf_init(&s->carry, s->max);
    buf_init(&s->joined, s->max);
}

void sse_release(struct sse *s)
{
    buf_release(&s->carry);
    buf_release(&s->joined);
}

/* --- one line --- */

/* If `line` is the field `name`, its value's offset in the line; else 0. */
static size_t field_value(struct str line, struct str name)
{
    if (!str_starts(line, name))
        return 0;
    if (line.n == name.n)
        return name.n; /* no colon: an empty value */
    if (line.p[name.n] != ':')
        return 0;
    bool blank = line.n > name.n + 1 && line.p[name.n + 1] == ' ';
    return name.n + 1 + blank;
}

static void take_retry(struct sse *s, struct str value)
{
    uint64_t ms;

    if (str_to_u64(value, INT64_MAX, &ms))
        s->retry = (int64_t)ms;
}

/* A complete line, not empty, that starts at offset `at` of the event. */
static void take_line(struct sse *s, struct str line, size_t at)
{
    size_t v;

    if (line.p[0] == ':')
        return;
    s->has_field = true;
    if ((v = field_value(line, STR("data"))) > 0) {
        if (s->data_lines++ == 0) {
            s->data = at + v;
            s->data_n = line.n - v;
        }
    } else if ((v = field_value(line, STR("event"))) > 0) {
        s->has_name = true;
        s->name = at + v;
        s->name_n = line.n - v;
    } else if ((v = field_value(line, STR("id"))) > 0) {
        struct str id = str_slice(line, v, line.n);
        if (str_find_char(id, '\0') == id.n) {
            s->has_id = true;
            s->id = at + v;
            s->id_n = id.n;
        }
    } else if ((v = field_value(line, STR("retry"))) > 0) {
        take_retry(s, str_slice(line, v, line.n));
    }
}

/* --- one event --- */

/* Forget the event that was given. */
static void start_event(struct sse *s)
{
    s->scanned = s->line = 0;
    s->data_lines = 0;
    s->retry = -1;
    s->has_name = s->has_id = s->has_field = s->given = false;
    if (s->carry.cap > KEEP_CAPACITY)
        buf_release(&s->carry);
    if (s->joined.cap > KEEP_CAPACITY)
        buf_release(&s->joined);
    buf_clear(&s->carry);
    buf_clear(&s->joined);
}

/* Data of several lines: walk the rest of the event's lines once more and join them. */
static struct str join_data(struct sse *s, struct str event)
{
    size_t at = s->data + s->data_n;

    (void)buf_add(&s->joined, str_slice(event, s->data, at));
    for (unsigned seen = 1; seen < s->data_lines;) {
        size_t n = find_line_end(event.p + at, event.n - at);
        struct str line = str_of(event.p + at, n);
        size_t v = field_value(line, STR("data"));
        if (v) {
            (void)buf_add_char(&s->joined, '\n');
            (void)buf_add(&s->joined, str_slice(line, v, n));
            seen++;
        }
        at += n < event.n - at; /* over the line end; the empty line between CR and LF does no harm */
        at += n;
    }
    return buf_str(&s->joined);
}

static enum sse_result too_large(struct sse *s)
{
    s->failed = true;
    return SSE_TOO_LARGE;
}

static enum sse_result give_event(struct sse *s, struct str raw, bool partial, struct sse_event *ret)
{
    *ret = (struct sse_event){
        .raw = raw,
        .name = s->has_name ? str_of(raw.p + s->name, s->name_n) : STR(""),
        .id = s->has_id ? str_of(raw.p + s->id, s->id_n) : STR_NONE,
        .retry = s->retry,
        .has_data = s->data_lines > 0,
        .is_comment = !s->has_field,
        .is_partial = partial,
    };
    if (s->data_lines == 1)
        ret->data = str_of(raw.p + s->data, s->data_n);
    else
        ret->data = s->data_lines ? join_data(s, raw) : STR("");
    if (s->joined.overflow)
        return too_large(s);
    s->given = true;
    return SSE_EVENT;
}

/* The line [from, to) of the event is complete. Returns true if it is blank and so ends the event. */
static bool end_line(struct sse *s, const char *base, size_t from, size_t to)
{
    struct str line = str_of(base + from, to - from);

    if (!s->started && str_starts(line, STR("\xef\xbb\xbf"))) { /* byte order mark at the start of the stream */
        from += 3;
        line = str_of(base + from, to - from);
    }
    s->started = true;
    if (line.n == 0)
        return true;
    take_line(s, line, from);
    return false;
}

/* Look at the event's bytes from where we stopped up to `n`. True: its end was found, and is s->scanned. */
static bool scan(struct sse *s, const char *base, size_t n)
{
    while (s->scanned < n) {
        if (s->after_cr) {
            s->after_cr = false;
            if (base[s->scanned] == '\n') {
                s->line = ++s->scanned;
                continue;
            }
        }
        s->scanned += find_line_end(base + s->scanned, n - s->scanned);
        if (s->scanned == n)
            break;
        size_t from = s->line, to = s->scanned++;
        if (base[to] == '\r') {
            s->after_cr = s->scanned == n;
            if (!s->after_cr && base[s->scanned] == '\n')
                s->scanned++;
        }
        s->line = s->scanned;
        if (end_line(s, base, from, to))
            return true;
    }
    return false;
}

static void advance(struct str *in, size_t n)
{
    in->p += n;
    in->n -= n;
}

/* The event so far is in carry: bring line after line there until the event ends. */
static enum sse_result next_in_carry(struct sse *s, struct str *in, struct sse_event *ret_event)
{
    while (in->n) {
        size_t n = find_line_end(in->p, in->n);
        bool crlf = n + 1 < in->n && in->p[n] == '\r' && in->p[n + 1] == '\n';
        n += crlf ? 2 : n < in->n;
        if (s->carry.n + n > s->max)
            return too_large(s);
        if (buf_add(&s->carry, str_of(in->p, n)) != OK)
            return too_large(s);
        advance(in, n);
        if (scan(s, s->carry.p, s->carry.n))
            return give_event(s, buf_str(&s->carry), false, ret_event);
    }
    return SSE_MORE;
}

enum sse_result sse_next(struct sse *s, struct str *in, struct sse_event *ret_event)
{
    if (s->failed)
        return SSE_TOO_LARGE;
    if (s->given)
        start_event(s);
    if (s->carry.n)
        return next_in_carry(s, in, ret_event);
    if (in->n == 0)
        return SSE_MORE;
    struct str event = *in;
    bool whole = scan(s, event.p, event.n);
    if (s->scanned > s->max)
        return too_large(s);
    advance(in, s->scanned);
    if (whole)
        return give_event(s, str_of(event.p, s->scanned), false, ret_event);
    return buf_add(&s->carry, event) == OK ? SSE_MORE : too_large(s);
}

bool sse_is_within_event(const struct sse *s)
{
    /* All that can be held without being a part of an event is the LF of the last one's final CRLF. */
    bool only_lf = s->carry.n == 1 && s->carry.p[0] == '\n';
    return s->carry.n > 0 && !s->given && !only_lf;
}

enum sse_result sse_end(struct sse *s, struct sse_event *ret_event)
{
    if (s->failed)
        return SSE_TOO_LARGE;
    if (!sse_is_within_event(s))
        return SSE_MORE;
    if (s->line < s->carry.n)
        (void)end_line(s, s->carry.p, s->line, s->carry.n);
    return give_event(s, buf_str(&s->carry), true, ret_event);
}

/* --- writing --- */

static bool has_line_end(struct str s)
{
    return find_line_end(s.p, s.n) < s.n;
}

err_t sse_write_event(struct buf *b, struct str name, struct str data)
{
    size_t before = b->n;
    bool more = true;

    if (has_line_end(name))
        return fail(E_PARSE, "an event name cannot hold a line end");
    if (name.n && (buf_add_lit(b, "event: ") || buf_add(b, name) || buf_add_lit(b, "\n")))
        goto too_large;
    while (more) {
        size_t n = find_line_end(data.p, data.n);
        bool crlf = n + 1 < data.n && data.p[n] == '\r' && data.p[n + 1] == '\n';
        if (buf_add_lit(b, "data: ") || buf_add(b, str_of(data.p, n)) || buf_add_lit(b, "\n"))
            goto too_large;
        more = n < data.n;
        if (more)
            advance(&data, n + 1 + crlf);
    }
    if (buf_add_lit(b, "\n"))
        goto too_large;
    return OK;
too_large:
    b->n = before;
    return E_TOO_LARGE;
}

err_t sse_write_comment(struct buf *b, struct str text)
{
    size_t before = b->n;

    if (has_line_end(text))
        return fail(E_PARSE, "a comment cannot hold a line end");
    if (buf_add_lit(b, ": ") == OK && buf_add(b, text) == OK && buf_add_lit(b, "\n\n") == OK)
        return OK;
    b->n = before;
    return E_TOO_LARGE;
}
