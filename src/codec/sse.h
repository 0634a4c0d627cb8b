/*
 * sse.h - server-sent events (WHATWG HTML, 9.2.6), for relays and readers. Sans I/O.
 *
 * The framer cuts a stream into events and gives for each its bytes as they came, so that a relay can pass them on
 * unchanged, together with its fields. An event that lies within one fed piece is not copied; only an event that the end
 * of a piece cuts is kept. The raw bytes of all events, in order, are the bytes of the stream, whatever the cuts (but for
 * the LF of a CRLF that ends the stream and comes in a piece of its own: it changes nothing).
 */
#ifndef CODEC_SSE_H
#define CODEC_SSE_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SSE_EVENT_MAX = 16 * 1024 * 1024 };

enum sse_result {
    SSE_MORE,      /* all input was taken; feed more, or call sse_end()      */
    SSE_EVENT,     /* *ret_event is set                                      */
    SSE_TOO_LARGE, /* the event exceeds the limit; every further call says so */
};

struct sse_event {
    struct str raw;  /* all its bytes, with line ends and the blank line                                         */
    struct str name; /* last "event" field; empty if none                                                        */
    struct str data; /* the "data" lines joined by '\n'; a slice of raw if there is one line                     */
    struct str id;   /* last "id" field of this event; p == NULL if none                                         */
    int64_t retry;   /* milliseconds; -1 if none                                                                 */
    bool has_data;   /* without it, clients do not dispatch the event                                            */
    bool is_comment; /* nothing but comments and blank lines: a keep-alive                                       */
    bool is_partial; /* the stream ended before its blank line; clients drop such an event                       */
};

/* All private. */
struct sse {
    struct buf carry;                            /* the current event's bytes so far, when a piece ended within it */
    struct buf joined;                           /* data of several lines                                          */
    size_t scanned;                              /* of the current event: bytes looked at                          */
    size_t line;                                 /* of the current event: where the current line starts            */
    size_t name, name_n, data, data_n, id, id_n; /* fields, as offsets into the event     */
    unsigned data_lines;
    int64_t retry;
    bool has_name, has_id, has_field, after_cr, started, given, failed;
    size_t max;
};

/* `max_event`: bytes that one event may have; 0: SSE_EVENT_MAX. */
void sse_init(struct sse *s, size_t max_event);
/* Fit for CLEANUP; takes a zeroed one. */
void sse_release(struct sse *s);
/*
 * Take bytes from the front of *in up to the end of the next event. The event's strings point into the input or into
 * `s`; they are valid until the next call with `s`, and as long as the input is.
 */
enum sse_result sse_next(struct sse *s, struct str *in, struct sse_event *ret_event);
/* The stream has ended: SSE_EVENT with is_partial set for a last event without its blank line, else SSE_MORE. */
enum sse_result sse_end(struct sse *s, struct sse_event *ret_event);
/* Is part of an event held, waiting for the rest? */
bool sse_is_within_event(const struct sse *s);

/* Append one event: "event: name" (without it if `name` is empty) and a "data" line for each line of `data`, however its
 * lines end. E_PARSE if the name holds a line end; E_TOO_LARGE of the buf. */
err_t sse_write_event(struct buf *b, struct str name, struct str data);
/* Append ": text" as an event of its own, a keep-alive that clients ignore. E_PARSE if the text holds a line end. */
err_t sse_write_comment(struct buf *b, struct str text);

#endif
