/*
 * framing.h - how a stream of JSON messages is cut into bytes: server-sent events, lines, AWS event stream, one long array. Sans I/O.
 *
 * The reading side turns any of them, however the bytes are cut, into frames for a dialect's reader.
 */
#ifndef LLM_FRAMING_H
#define LLM_FRAMING_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum framing {
    FRAMING_SSE,         /* text/event-stream                                       */
    FRAMING_LINES,       /* application/x-ndjson: one JSON document a line          */
    FRAMING_EVENTSTREAM, /* application/vnd.amazon.eventstream                      */
    FRAMING_ARRAY,       /* application/json: one array, an element a message       */
};

struct frame {
    struct str data; /* the message: JSON text, or "[DONE]"; empty for a comment                     */
    struct str name; /* SSE: event; AWS: :event-type or :exception-type or :error-code; else empty   */
    struct str raw;  /* its bytes as they came                                                       */
    bool exception;  /* AWS: :message-type is exception or error; name says which                    */
    bool partial;    /* the stream ended within it                                                   */
};

struct framer;

/* A framer in the arena; gives back its own memory with the arena. `max_frame`: bytes of one frame; 0: 16 MiB. */
struct framer *framer_new(struct arena *arena, enum framing kind, size_t max_frame);
/*
 * Take bytes from the front of *in until a frame is complete. *ret_got: is there one? Strings are valid until the next call, and as long as
 * the input is. Errors: E_TOO_LARGE, E_PROTOCOL (framing broken; every further call says so).
 */
err_t framer_next(struct framer *f, struct str *in, bool *ret_got, struct frame *ret) MUST_CHECK;
/* The stream has ended: a last frame without its end mark may be left (partial). E_PROTOCOL if the stream ended within a frame that cannot be
 * given. */
err_t framer_end(struct framer *f, bool *ret_got, struct frame *ret) MUST_CHECK;

/* Content type of a stream of this framing. Static. */
struct str framing_type(enum framing kind);

#endif
