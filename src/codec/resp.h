/*
 * resp.h - the Redis serialization protocol, versions 2 and 3: replies out of bytes, commands into bytes. Pure.
 *
 * Source: "Redis serialization protocol specification" of Redis' documentation. Reading has two steps, so that a large reply is looked at
 * once however it is cut: resp_frame_next() finds where a reply ends, and resp_parse() makes a tree of the whole. What no server sends
 * (streamed strings and aggregates, pushes within values) is E_PARSE.
 */
#ifndef CODEC_RESP_H
#define CODEC_RESP_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>

enum { RESP_DEPTH_MAX = 16 };

enum resp_kind {
    RESP_NULL,       /* RESP3's null, and both of RESP2                          */
    RESP_SIMPLE,     /* text: "OK"                                               */
    RESP_ERROR,      /* text: "WRONGTYPE Operation against ...", of both forms   */
    RESP_BULK,       /* text: any bytes                                          */
    RESP_VERBATIM,   /* text, without its three letters of format            */
    RESP_BIG_NUMBER, /* text: digits                                         */
    RESP_INTEGER,    /* integer                                              */
    RESP_BOOLEAN,    /* integer: 0 or 1                                      */
    RESP_DOUBLE,     /* number; may be infinite, or no number                */
    RESP_ARRAY,      /* items                                                */
    RESP_SET,        /* items                                                */
    RESP_MAP,        /* items: key, value, key, value                        */
    RESP_PUSH,       /* items; asked for by no command                       */
};

struct resp {
    enum resp_kind kind;
    struct str text;
    int64_t integer;
    double number;
    const struct resp *items;
    size_t count; /* of items; of a map twice the pairs */
};

/* Where reading of one reply stands. Plain data. */
struct resp_frame {
    size_t at;     /* values before here are complete                            */
    size_t looked; /* no line ends before here                                   */
    size_t max;
    unsigned depth;
    bool is_within;                  /* what is read is part of a reply: it is no push */
    size_t left[RESP_DEPTH_MAX + 1]; /* values that the aggregate of each depth still lacks */
};

/* Begin a reply of at most `max` bytes. */
void resp_frame_init(struct resp_frame *f, size_t max);
/*
 * Look for the end of the reply that `bytes` begins with. To be called with more and more of the same bytes.
 *
 * OK: *ret_n bytes are the reply; begin anew for the next one. E_AGAIN (without a text): it goes on. E_PARSE: this is not the protocol;
 * E_TOO_LARGE: longer than its maximum, or deeper than RESP_DEPTH_MAX. Nothing can be read behind an error.
 */
err_t resp_frame_next(struct resp_frame *f, struct str bytes, size_t *ret_n) MUST_CHECK;
/* Make a tree of a whole reply, as resp_frame_next() found it. Its texts are slices of `bytes`; the items are the arena's. Attributes are
 * left out. E_TOO_LARGE of the arena; E_PARSE. */
err_t resp_parse(struct str bytes, struct arena *a, struct resp *ret) MUST_CHECK;
/* Append the command of `n` >= 1 words. E_TOO_LARGE of the buf. */
err_t resp_write_command(struct buf *to, const struct str *words, size_t n);

#endif
