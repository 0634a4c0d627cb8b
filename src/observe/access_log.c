/*
 * access_log.c - the two forms of a request's line. Built by appends only: this runs once for every request.
 *
 * Texts that others chose are cut, so that a whole line always fits what the callers have room for: a line is never half.
 */
#include "observe/access_log.h"

#include "base/log.h"
#include "base/utf8.h"

enum { SHOWN = 1000 }; /* bytes of one text; six times as many when each is escaped */

static struct str shown(struct str text)
{
    return LIKELY(text.n <= SHOWN) ? text : utf8_prefix(text, SHOWN);
}

static void add_text(struct buf *b, const char *name_lit, size_t n, struct str value)
{
    if (!value.n)
        return;
    buf_add(b, str_of(name_lit, n));
    buf_add_json(b, shown(value));
    buf_add_char(b, '"');
}

/* ,"name":"value" unless the value is empty. */
#define ADD_TEXT(b, name, value) add_text((b), ",\"" name "\":\"", sizeof(",\"" name "\":\"") - 1, (value))

#define ADD_NUMBER(b, name, value)                                                                                     \
    do {                                                                                                               \
        buf_add_lit((b), ",\"" name "\":");                                                                            \
        buf_add_u64((b), (value));                                                                                     \
    } while (0)

/* Milliseconds with three decimals. */
static void add_ms(struct buf *b, ns_t span)
{
    uint64_t us = span > 0 ? (uint64_t)span / 1000 : 0;

    buf_add_u64(b, us / 1000);
    char frac[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10), (char)('0' + us % 10)};
    buf_add(b, str_of(frac, sizeof frac));
}

static void add_tokens_json(struct buf *b, const struct usage *u)
{
    if (!u->known)
        return;
    ADD_NUMBER(b, "tokens_in", u->input);
    ADD_NUMBER(b, "tokens_out", u->output);
    if (u->cached_input)
        ADD_NUMBER(b, "tokens_cached", u->cached_input);
    if (u->reasoning)
        ADD_NUMBER(b, "tokens_reasoning", u->reasoning);
}

static void add_translation_json(struct buf *b, const struct facts *f)
{
    if (!f->translated_to)
        return;
    ADD_TEXT(b, "translated_to", str_from_c(f->translated_to));
    if (f->dropped)
        ADD_NUMBER(b, "dropped", f->dropped);
    if (f->emulated)
        ADD_NUMBER(b, "emulated", f->emulated);
    if (f->changed)
        ADD_NUMBER(b, "changed", f->changed);
}

void access_log_json(const struct facts *f, struct buf *to)
{
    char when[LOG_TIME_MAX];

    log_format_time(f->wall, when);
    buf_add_lit(to, "{\"time\":\"");
    buf_add(to, str_of(when, LOG_TIME_MAX - 1));
    buf_add_lit(to, "\",\"request_id\":\"");
    buf_add_json(to, shown(f->id));
    buf_add_char(to, '"');
    if (f->peer) {
        char peer[ADDR_TEXT_MAX];
        ADD_TEXT(to, "client", str_of(peer, addr_format(f->peer, peer)));
    }
    ADD_TEXT(to, "key", f->key);
    ADD_TEXT(to, "method", f->method);
    ADD_TEXT(to, "path", f->path);
    ADD_TEXT(to, "dialect", str_from_c(f->dialect));
    ADD_NUMBER(to, "status", (uint64_t)f->status);
    ADD_TEXT(to, "model", f->model);
    ADD_TEXT(to, "deployment", f->deployment);
    ADD_NUMBER(to, "attempts", f->attempts);
    if (f->stream)
        buf_add_lit(to, ",\"stream\":true");
    buf_add_lit(to, ",\"duration_ms\":");
    add_ms(to, f->total);
    if (f->first_token) {
        buf_add_lit(to, ",\"first_token_ms\":");
        add_ms(to, f->first_token);
    }
    ADD_NUMBER(to, "overhead_us", f->overhead > 0 ? (uint64_t)f->overhead / 1000 : 0);
    if (f->queued)
        ADD_NUMBER(to, "queue_ms", (uint64_t)f->queued / NS_MS);
    ADD_NUMBER(to, "bytes_in", f->bytes_in);
    ADD_NUMBER(to, "bytes_out", f->bytes_out);
    add_tokens_json(to, &f->usage);
    add_translation_json(to, f);
    if (f->error != OK) {
        ADD_TEXT(to, "error", str_from_c(err_name(f->error)));
        ADD_TEXT(to, "error_text", f->error_text);
    }
    buf_add_lit(to, "}\n");
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
