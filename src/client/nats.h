/*
 * nats.h - a client of a NATS server and its JetStream, for fibers: a connection of one's own.
 *
 * A connection is made when it is needed. After any error but a refusal it is closed, and made again for the next call. One fiber at a time. Source: "Client
 * Protocol", "JetStream wire API reference" and ADR-1, ADR-6 and ADR-13 of NATS' documentation; what is used is in servers from 2.9 on.
 */
#ifndef CLIENT_NATS_H
#define CLIENT_NATS_H

#include "base/arena.h"
#include "base/secret.h"
#include "base/time.h"
#include "codec/nats.h"
#include "net/dial.h"

struct nats_options {
    struct dial_target at; /* what it points to outlives the client; `secure`: TLS after the server's first line */
    struct str user;       /* empty: the password is a token, if there is one */
    const struct secret *password;
    ns_t connect_time; /* 0: 5 s  */
    ns_t reply_time;   /* 0: 10 s */
};

enum {
    NATS_MESSAGE_MAX = 64 << 20, /* bytes of a message that is read      */
    NATS_FETCH_MAX = 32 << 20,   /* bytes of messages of one nats_fetch() */
};

struct nats;

/* Not connected yet; `o` is copied, what it points to is borrowed. nats_free() closes and frees it; NULL is allowed. */
struct nats *nats_new(const struct nats_options *o);
void nats_free(struct nats *n);

/* A message that came. In the caller's arena. */
struct nats_message {
    struct str subject, reply, headers, payload;
};

/*
 * All of these suspend, and honour deadline and cancel of the calling fiber. Errors: those of dial() and tls_connect(); E_AUTH; E_EOF; E_PROTOCOL; E_IO: no
 * answer in time; E_UPSTREAM: the server's words; E_TOO_LARGE: the server takes no message of that size.
 */

/* Publish, and wait until the server has it. */
err_t nats_publish(struct nats *n, struct str subject, struct str headers, struct str payload) SUSPENDS MUST_CHECK;

/* ---- JetStream ---- */

struct nats_stored {
    struct str stream;
    uint64_t sequence;
};
/*
 * Store a message, if the last one of its subject has the sequence `expected` (0: there is none yet).
 *
 * E_CONFLICT: another one is the last; E_AGAIN: no stream takes this subject, or JetStream is not ready.
 */
err_t nats_store(struct nats *n, struct str subject, struct str id, uint64_t expected, struct str payload,
                 struct arena *a, struct nats_stored *ret) SUSPENDS MUST_CHECK;
/* The stream that takes what is published to a subject. E_NOT_FOUND. */
err_t nats_stream_of(struct nats *n, struct str subject, struct arena *a, struct str *ret) SUSPENDS MUST_CHECK;
/* The sequence of the stream's last message; 0: it never had one. E_NOT_FOUND: no such stream. */
err_t nats_last_sequence(struct nats *n, struct str stream, struct arena *a, uint64_t *ret) SUSPENDS MUST_CHECK;

struct nats_found {
    uint64_t sequence;
    struct str subject, headers;
};
/* The last message of a subject, or the first one of subjects that match from a sequence on. E_NOT_FOUND. */
err_t nats_last_of(struct nats *n, struct str stream, struct str subject, struct arena *a, struct nats_found *ret)
    SUSPENDS MUST_CHECK;
err_t nats_next_of(struct nats *n, struct str stream, struct str subject, uint64_t from, struct arena *a,
                   struct nats_found *ret) SUSPENDS MUST_CHECK;

/* A durable pull consumer, whose messages are acknowledged one by one. */
struct nats_consumer {
    struct str stream, durable;
    struct str subject; /* only these; empty: all */
};
struct nats_consumer_state {
    ns_t ack_wait;    /* after so long without acknowledgement a message comes again */
    uint64_t pending; /* delivered to anybody, and not acknowledged */
};
/* Make the consumer, which begins with the stream's first message, or look how the one that is there stands. E_NOT_FOUND: no such stream. */
err_t nats_consumer_open(struct nats *n, const struct nats_consumer *c, struct arena *a,
                         struct nats_consumer_state *ret) SUSPENDS MUST_CHECK;
/* Up to `count` messages; waits up to `wait` for the first one. None is no error. */
err_t nats_fetch(struct nats *n, const struct nats_consumer *c, size_t count, ns_t wait, struct arena *a,
                 struct nats_message *ret, size_t *ret_count) SUSPENDS MUST_CHECK;
/* Acknowledge by what messages had as `reply`; it is done when this returns. */
err_t nats_acknowledge(struct nats *n, const struct str *replies, size_t count) SUSPENDS MUST_CHECK;
/* What a message's `reply` says of it: its sequence in the stream, and when it was stored, nanoseconds since 1970. E_PROTOCOL. */
err_t nats_origin(struct str reply, uint64_t *ret_sequence, int64_t *ret_at) MUST_CHECK;

#endif
