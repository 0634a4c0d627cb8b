/*
 * access_log.c - the two forms of a request's line. JSON runs once for every request: it asks for room once.
 *
 * Texts that others chose are cut, so that a whole line always fits what the callers have room for: a line is never half.
 */
#include "observe/access_log.h"

#include "base/json_plain.h"
#include "base/log.h"
#include "base/utf8.h"

#include <string.h>

enum { SHOWN = 1000 }; /* bytes of one text; six times as many when each is escaped */

static struct str shown(struct str text)
{
    return LIKELY(text.n <= SHOWN) ? text : utf8_prefix(text, SHOWN);
}

/* --- JSON --- */

/* Where a line goes on. There is room for all that is asked for once, before it is begun: numbers, names and the address within LITERALS, each text for itself. */
enum { LITERALS = 2048, ESCAPED = 6 };

struct line {
    char *at;
    struct buf *buf;
};

static inline void add(struct line *l, const char *text, size_t n)
{
    if (n)
        memcpy(l->at, text, n);
    l->at += n;
}

#define ADD(l, literal) add((l), (literal), sizeof(literal) - 1)

/* The inside of a string. Names and ids are nearly always plain. */
static void add_shown(struct line *l, struct str text)
{
    text = shown(text);
    if (LIKELY(json_skip_plain(text.p, text.p + text.n, JSON_PLAIN_PRINTABLE) == text.p + text.n)) {
        add(l, text.p, text.n);
        return;
    }
    l->buf->n = (size_t)(l->at - l->buf->p);
    (void)buf_add_json(l->buf, text);
    l->at = l->buf->p + l->buf->n;
}

/* ,"name":"value" unless the value is empty. */
#define ADD_TEXT(l, name, value)                                                                                       \
    do {                                                                                                               \
        struct str value_ = (value);                                                                                   \
        if (value_.n) {                                                                                                \
            ADD((l), ",\"" name "\":\"");                                                                              \
            add_shown((l), value_);                                                                                    \
            ADD((l), "\"");                                                                                            \
        }                                                                                                              \
    } while (0)

#define ADD_NUMBER(l, name, value)                                                                                     \
    do {                                                                                                               \
        ADD((l), ",\"" name "\":");                                                                                    \
        (l)->at = decimal_put((l)->at, (value));                                                                       \
    } while (0)

/* Milliseconds with three decimals. */
static char *put_ms(char *at, ns_t span)
{
    uint64_t us = span > 0 ? (uint64_t)span / 1000 : 0;

    at = decimal_put(at, us / 1000);
    *at++ = '.';
    *at++ = (char)('0' + us / 100 % 10);
    *at++ = (char)('0' + us / 10 % 10);
    *at++ = (char)('0' + us % 10);
    return at;
}

static void add_tokens(struct line *l, const struct usage *u)
{
    if (!u->known)
        return;
    ADD_NUMBER(l, "tokens_in", u->input);
    ADD_NUMBER(l, "tokens_out", u->output);
    if (u->cached_input)
        ADD_NUMBER(l, "tokens_cached", u->cached_input);
    if (u->reasoning)
        ADD_NUMBER(l, "tokens_reasoning", u->reasoning);
}

static void add_translation(struct line *l, const struct facts *f)
{
    if (!f->translated_to)
        return;
    ADD_TEXT(l, "translated_to", str_from_c(f->translated_to));
    if (f->dropped)
        ADD_NUMBER(l, "dropped", f->dropped);
    if (f->emulated)
        ADD_NUMBER(l, "emulated", f->emulated);
    if (f->changed)
        ADD_NUMBER(l, "changed", f->changed);
}

static void add_caller(struct line *l, const struct facts *f)
{
    char when[LOG_TIME_MAX];

    log_format_time(f->wall, when);
    ADD(l, "{\"time\":\"");
    add(l, when, LOG_TIME_MAX - 1);
    ADD(l, "\",\"request_id\":\"");
    add_shown(l, f->id);
    ADD(l, "\"");
    if (f->peer) {
        char peer[ADDR_TEXT_MAX];
        ADD_TEXT(l, "client", str_of(peer, addr_format(f->peer, peer)));
    }
    ADD_TEXT(l, "key", f->key);
    ADD_TEXT(l, "method", f->method);
    ADD_TEXT(l, "path", f->path);
    ADD_TEXT(l, "dialect", str_from_c(f->dialect));
}

static void add_outcome(struct line *l, const struct facts *f)
{
    ADD_NUMBER(l, "status", (uint64_t)f->status);
    ADD_TEXT(l, "model", f->model);
    ADD_TEXT(l, "deployment", f->deployment);
    ADD_NUMBER(l, "attempts", f->attempts);
    if (f->stream)
        ADD(l, ",\"stream\":true");
    ADD(l, ",\"duration_ms\":");
    l->at = put_ms(l->at, f->total);
    if (f->first_token) {
        ADD(l, ",\"first_token_ms\":");
        l->at = put_ms(l->at, f->first_token);
    }
    ADD_NUMBER(l, "overhead_us", f->overhead > 0 ? (uint64_t)f->overhead / 1000 : 0);
    if (f->queued)
        ADD_NUMBER(l, "queue_ms", (uint64_t)f->queued / NS_MS);
    ADD_NUMBER(l, "bytes_in", f->bytes_in);
    ADD_NUMBER(l, "bytes_out", f->bytes_out);
    add_tokens(l, &f->usage);
    add_translation(l, f);
    if (f->error != OK) {
        ADD_TEXT(l, "error", str_from_c(err_name(f->error)));
        ADD_TEXT(l, "error_text", f->error_text);
    }
    ADD(l, "}\n");
}

void access_log_json(const struct facts *f, struct buf *to)
{
    size_t texts = shown(f->id).n + shown(f->key).n + shown(f->method).n + shown(f->path).n + shown(f->model).n +
                   shown(f->deployment).n + shown(f->error_text).n;
    struct line l = {.at = buf_reserve(to, LITERALS + ESCAPED * texts), .buf = to};

    if (!l.at) /* and the buf remembers */
        return;
    add_caller(&l, f);
    add_outcome(&l, f);
    to->n = (size_t)(l.at - to->p);
}

/* --- for people --- */

static void add_ms(struct buf *b, ns_t span)
{
    char text[DECIMAL_MAX + 4];

    (void)buf_add(b, str_of(text, (size_t)(put_ms(text, span) - text)));
}

static const char *status_colour(int status)
{
    if (status < 400)
        return "\033[32m";
    return status < 500 ? "\033[33m" : "\033[31m";
}

void access_log_console(const struct facts *f, bool colour, struct buf *to)
{
    char when[LOG_TIME_MAX];

    log_format_time(f->wall, when);
    buf_add(to, str_of(when + 11, 12)); /* the time of day: a terminal shows today */
    buf_add_char(to, ' ');
    if (colour)
        buf_add(to, str_from_c(status_colour(f->status)));
    buf_add_u64(to, (uint64_t)f->status);
    if (colour)
        buf_add_lit(to, "\033[0m");
    buf_add_char(to, ' ');
    buf_add(to, shown(f->method));
    buf_add_char(to, ' ');
    buf_add_json(to, shown(f->path));
    if (f->model.n) {
        buf_add_char(to, ' ');
        buf_add_json(to, shown(f->model));
    }
    if (f->deployment.n) {
        buf_add_lit(to, " -> ");
        buf_add_json(to, shown(f->deployment));
    }
    buf_add_char(to, ' ');
    add_ms(to, f->total);
    buf_add_lit(to, "ms");
    if (f->usage.known) {
        buf_add_lit(to, " tokens=");
        buf_add_u64(to, f->usage.input);
        buf_add_char(to, '+');
        buf_add_u64(to, f->usage.output);
    }
    if (f->attempts > 1) {
        buf_add_lit(to, " attempts=");
        buf_add_u64(to, f->attempts);
    }
    if (f->dropped) {
        buf_add_lit(to, " dropped=");
        buf_add_u64(to, f->dropped);
    }
    if (f->error != OK) {
        buf_add_char(to, ' ');
        buf_add_json(to, f->error_text.n ? shown(f->error_text) : str_from_c(err_text(f->error)));
    }
    buf_add_lit(to, " ");
    buf_add(to, shown(f->id));
    buf_add_char(to, '\n');
}
