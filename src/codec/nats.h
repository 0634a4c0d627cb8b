/*
 * nats.h - what a NATS server and its clients say to each other, over a stream of bytes. Pure.
 *
 * Source: "Client Protocol" and "NATS Protocol: headers" of NATS' documentation.
 */
#ifndef CODEC_NATS_H
#define CODEC_NATS_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NATS_LINE_MAX = 64 * 1024, NATS_SUBJECT_MAX = 1024 };

enum nats_kind { NATS_INFO, NATS_MESSAGE, NATS_PING, NATS_PONG, NATS_OK, NATS_ERROR };

/* What a server says. Its texts are slices of the bytes. */
struct nats_frame {
    enum nats_kind kind;
    struct str text; /* INFO: JSON; ERROR: its words */
    /* of a MESSAGE */
    struct str subject, reply; /* reply: empty: nobody waits for one */
    uint64_t subscription;
    struct str headers; /* with its first line, "NATS/1.0"; empty: none */
    struct str payload;
};

/*
 * The next whole thing among the bytes. E_AGAIN (without a text): there is none yet; E_PARSE: that is not NATS; E_TOO_LARGE: a message of more than `max`
 * bytes, or a line over NATS_LINE_MAX.
 */
err_t nats_frame_next(struct str bytes, size_t max, struct nats_frame *ret, size_t *ret_n) MUST_CHECK;

/* The first line's number: 503 (nobody is there), 404, 408, 409; 0: none. */
unsigned nats_status(struct str headers) PURE;
/* Value of the first header of that name, which is compared as it is written; STR_NONE. */
struct str nats_header(struct str headers, struct str name) PURE;

/* A subject that can be published to: tokens divided by dots, without blanks and wildcards. */
bool nats_subject_is_plain(struct str subject) PURE;

/* Append a message. `headers`: whole, as nats_header_add() writes them; empty: none. E_TOO_LARGE past the buf's maximum: nothing is appended. */
err_t nats_write_publish(struct buf *to, struct str subject, struct str reply, struct str headers, struct str payload)
    MUST_CHECK;
/* Begin headers, or append one; end them. Name and value have no line ends. */
err_t nats_header_add(struct buf *to, struct str name, struct str value) MUST_CHECK;
err_t nats_header_end(struct buf *to) MUST_CHECK;

#endif
