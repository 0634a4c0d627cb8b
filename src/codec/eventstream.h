/*
 * eventstream.h - the binary framing of AWS event streams (application/vnd.amazon.eventstream), both ways. Sans I/O.
 *
 * The reader cuts a stream into frames, however it was cut before, and checks both checksums of each. A frame that lies within
 * one fed piece is not copied; only one that the end of a piece cuts is kept. The writer builds frames in a buf.
 *
 * Source: Amazon Transcribe developer guide, "Event stream encoding"; Smithy, "Amazon Event Stream Specification".
 */
#ifndef CODEC_EVENTSTREAM_H
#define CODEC_EVENTSTREAM_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EVENTSTREAM_HEADERS_MAX = 128 * 1024,
    EVENTSTREAM_PAYLOAD_MAX = 24 * 1024 * 1024,
    EVENTSTREAM_OVERHEAD = 16, /* lengths and checksums of a frame */
};

enum eventstream_result {
    EVENTSTREAM_MORE,   /* all input was taken; feed more                                     */
    EVENTSTREAM_FRAME,  /* *ret_frame is set                                                  */
    EVENTSTREAM_BROKEN, /* s->error_text says why; fatal: every further call says so as well  */
};

/* Types of header values, as on the wire. */
enum eventstream_type {
    EVENTSTREAM_TRUE,
    EVENTSTREAM_FALSE,
    EVENTSTREAM_INT8,
    EVENTSTREAM_INT16,
    EVENTSTREAM_INT32,
    EVENTSTREAM_INT64,
    EVENTSTREAM_BYTES,
    EVENTSTREAM_STRING,    /* UTF-8, not checked             */
    EVENTSTREAM_TIMESTAMP, /* milliseconds since 1970        */
    EVENTSTREAM_UUID,      /* 16 bytes                       */
};

struct eventstream_header {
    struct str name; /* 1-255 bytes */
    enum eventstream_type type;
    struct str value; /* BYTES, STRING, UUID; else empty                       */
    int64_t number;   /* integers and TIMESTAMP; 1 of TRUE; else 0             */
};

/* One frame. Its strings are slices of the input or of the reader's memory. */
struct eventstream_frame {
    struct str raw;     /* all its bytes                               */
    struct str headers; /* well-formed: for eventstream_header_next() */
    struct str payload;
};

/* All private but error_text. */
struct eventstream {
    const char *error_text; /* static; NULL unless broken                                              */
    struct buf carry;       /* the current frame's bytes so far, when a piece ended within it           */
    bool given;             /* carry holds a frame that was given, and that the next call forgets      */
};

void eventstream_init(struct eventstream *s);
/* Fit for CLEANUP; takes a zeroed one. */
void eventstream_release(struct eventstream *s);
/*
 * Take bytes from the front of *in up to the end of the next frame. Its strings are valid until the next call with `s`, and as
 * long as the input is. Memory grows with what has come, never with what a frame announces.
 *
 * Broken: a checksum that does not fit, lengths that contradict each other or exceed the limits above, headers that
 * are not well-formed.
 */
enum eventstream_result eventstream_next(struct eventstream *s, struct str *in, struct eventstream_frame *ret_frame);
/* Is part of a frame held, waiting for the rest? A stream that ends then was cut off. */
bool eventstream_is_within_frame(const struct eventstream *s);

/* The next of a frame's headers: *headers shrinks; false at its end. */
bool eventstream_header_next(struct str *headers, struct eventstream_header *ret_header);
/* Value of the frame's first header of this name if that is a STRING: ":message-type", ":event-type", ":exception-type",
 * ":error-code", ":error-message", ":content-type". STR_NONE if there is none. */
struct str eventstream_string(const struct eventstream_frame *f, struct str name);

/* A frame being built. Private. */
struct eventstream_writer {
    struct buf *to;
    size_t start;   /* of the frame in `to`                              */
    size_t payload; /* likewise, of the payload; 0 while headers come    */
    bool failed;
};

/* Begin a frame at the end of `to`, which is borrowed until eventstream_end(). Failures are told there. */
void eventstream_begin(struct eventstream_writer *w, struct buf *to);
/* Add a header of type STRING. */
void eventstream_add_string(struct eventstream_writer *w, struct str name, struct str value);
/* Headers are complete: from here to eventstream_end() what is appended to `to` is the payload. */
void eventstream_begin_payload(struct eventstream_writer *w);
/* The frame is complete. E_TOO_LARGE if it passes a limit of the framing or of the buf; no part of it is left then. */
err_t eventstream_end(struct eventstream_writer *w);

#endif
