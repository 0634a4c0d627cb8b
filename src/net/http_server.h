/*
 * http_server.h - HTTP/1.1 and HTTP/2 server: a fiber per request, a plain struct per idle connection.
 *
 * One port speaks both: HTTP/2 by ALPN over TLS, by prior knowledge (the client's preface) in the clear. A handler
 * sees no difference. It runs in the request's own fiber; when the client leaves, that fiber is cancelled within the
 * same loop turn. What breaks the protocol or a limit is answered with the right status and closed before a handler
 * sees it.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "base/arena.h"
#include "base/time.h"
#include "codec/http1.h"
#include "net/tls.h"
#include "rt/addr.h"
#include "rt/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;
struct http_stream_ops;

struct http_limits {
    size_t head_bytes;    /* request line and headers; default 64 KiB                 */
    size_t head_count;    /* headers; default 100                                     */
    uint64_t body_bytes;  /* default 64 MiB; handlers may lower it per request        */
    unsigned connections; /* per loop; further ones are closed at once; default 100,000 */
    unsigned streams;     /* concurrent requests of one HTTP/2 connection; default 256 */
    ns_t head_time;       /* first byte to end of head; default 10 s                  */
    ns_t body_gap;        /* between two pieces of a body; default 30 s               */
    ns_t idle_time;       /* keep-alive connection without a request; default 75 s    */
    ns_t write_gap;       /* a client that takes no byte for so long is dropped; default 60 s */
    size_t memory;        /* arena of one request; default 256 MiB                    */
};

/* All defaults. */
struct http_limits http_limits_default(void);

/*
 * Hears what a request is answered with, beside its client. `body` is the bytes of the answer's body, up to its maximum; what is longer is not kept.
 *
 * `holds`: the end of the answer does not go out before http_tap_release(), so that something can come about before the client has it all.
 */
struct http_tap {
    struct buf body;
    bool holds;
    bool is_whole;     /* the answer has ended as it should */
    bool is_too_large; /* and is not in `body`              */
    bool is_held;      /* private */
    struct buf last;   /* private: what is held */
};

struct http_request {
    struct http_head head; /* method, path, query, headers: valid until the handler returns */
    struct arena *arena;   /* for everything that lives as long as the request               */
    struct addr peer;
    ns_t received;                /* when its first byte was seen (rt_now)                          */
    uint64_t bytes_in, bytes_out; /* body bytes so far                                          */
    int status;                   /* of the answer; 0 until it has begun                            */
    int refusal;                  /* after a failure of http_body_*: the status that says why (400, 408, 413), else 0 */
    bool secure;                  /* came over TLS                                                  */
    bool http2;
    bool takes_trailers;  /* the answer that has begun may end in trailer fields: see http_reply_trailers() */
    struct http_tap *tap; /* private: http_tap() */
    const struct http_stream_ops *ops; /* private */
};

/*
 * Handle one request: read what is needed of the body, answer, return. An error before the answer has begun becomes a
 * refusal with err_http_status(); after it, the answer is broken off. `r` is valid until return.
 */
typedef err_t http_handler_fn(struct http_request *r, void *ctx) SUSPENDS;

/* What an answer that no handler gives has to say: the message breaks the protocol or a limit, or its handler has failed. */
struct http_refusal {
    int status;
    struct str method, path; /* STR_NONE: not known            */
    struct str message;      /* for people: what is wrong       */
};

/* Say it in the form that clients of this path expect. Returns the body, in `arena` or static, and sets *ret_type to its content type,
 * likewise. Must not suspend, and must be cheap: whoever sends nonsense gets it. */
typedef struct str http_refusal_fn(const struct http_refusal *refusal, struct arena *arena, struct str *ret_type);

struct http_server_options {
    struct http_limits limits;
    http_handler_fn *handler;
    void *ctx;
    http_refusal_fn *refusal; /* NULL: plain text */
    const char *server_name;  /* value of the "server" header; NULL: none. Static. */
};

/* A server without listeners, on this loop. http_server_free() frees it; it must have been stopped. */
struct http_server *http_server_new(const struct http_server_options *options);
void http_server_free(struct http_server *s);
/* Listen on `at` (port 0: any; `share`: with other loops or not). With `tls` (a reference is taken), speak TLS
 * there. *ret_bound is where it listens. */
err_t http_server_listen(struct http_server *s, const struct addr *at, enum listen_share share, struct tls_ctx *tls,
                         struct addr *ret_bound) MUST_CHECK;
/* Replace the TLS context of all TLS listeners (takes a reference); existing connections keep theirs. */
void http_server_set_tls(struct http_server *s, struct tls_ctx *tls);
/* Accept and serve until cancelled or drained; requests run in children of the caller's scope. After cancel:
 * listeners are closed, requests cancelled and joined. */
err_t http_server_run(struct http_server *s) SUSPENDS MUST_CHECK;
/* Begin to drain: stop accepting, tell clients (connection: close, GOAWAY), close idle connections; http_server_run()
 * returns OK when the last request has been answered. */
void http_server_drain(struct http_server *s);

struct http_server_stats {
    unsigned connections, idle_connections, requests; /* now                              */
    uint64_t accepted, served, refused;               /* ever: refused = protocol, limits */
};
void http_server_stats(const struct http_server *s, struct http_server_stats *ret);

/* --- within a handler --- */

/* The next piece of the body, STR_NONE (p == NULL) at its end; valid until the next call. Sends "100 Continue"
 * first where the client waits for it. E_PARSE, E_TOO_LARGE, E_DEADLINE (slow body), E_CANCELLED (client left). */
err_t http_body_next(struct http_request *r, struct str *ret_piece) SUSPENDS MUST_CHECK;
/* The whole body in one piece, valid until the request ends: without a copy where it has arrived whole. E_TOO_LARGE
 * over `max`. */
err_t http_body_all(struct http_request *r, uint64_t max, struct str *ret_body) SUSPENDS MUST_CHECK;
/* The body has been read and is needed no more: give its memory back before a long answer. What http_body_all() gave is invalid from here
 * on. */
void http_body_release(struct http_request *r);
/* Its declared length, or -1. */
int64_t http_body_length(const struct http_request *r);

struct http_reply {
    int status;
    const struct http_header *headers; /* without content-length, transfer-encoding, connection, date: those are ours */
    size_t count;
    int64_t length;     /* of the body; -1: not known before its end */
    struct str trailer; /* names of fields that may stand behind the body, with commas; empty: none */
};

/* A whole answer in one write. */
err_t http_reply_whole(struct http_request *r, const struct http_reply *reply, struct str body) SUSPENDS MUST_CHECK;
/* Begin an answer. Nothing is written yet: the head leaves with the first piece of the body, or with
 * http_reply_flush(). Copies what it needs. */
err_t http_reply_begin(struct http_request *r, const struct http_reply *reply) MUST_CHECK;
/* Write one piece of the body, `count` parts joined; one write. Waits while the client is slow. */
err_t http_reply_write(struct http_request *r, const struct str *parts, size_t count) SUSPENDS MUST_CHECK;
/* Let `tap` hear the answer, from its beginning; zeroed by the caller but for `holds` and the maximum of `body`. It lives as long as the request. */
void http_tap(struct http_request *r, struct http_tap *tap);
/* Send what it holds, if anything. As http_reply_finish(). */
err_t http_tap_release(struct http_request *r) SUSPENDS MUST_CHECK;
/* Fit for arena_hold(): give back its memory. */
void http_tap_free(void *tap);
/* Send the head now if it has not left. */
err_t http_reply_flush(struct http_request *r) SUSPENDS MUST_CHECK;
/*
 * Fields to stand behind the body (RFC 9110, 6.5): between http_reply_begin() and http_reply_finish(), whose reply named them in `trailer`. Copies what it
 * needs. Called again, it replaces them.
 *
 * Without effect unless r->takes_trailers: the answer's length is not known before its end, it has a body, and the client said `te: trailers`. Nothing forbids
 * to send them to others. But a client or proxy that does not say it has not undertaken to keep them (RFC 9110, 6.5.1), so nobody would read them; and there
 * are readers of HTTP/1.1 that take the last chunk for the end of the message. Whoever does not ask gets the bytes that it would get without them.
 *
 * Only fields that HTTP itself gives no meaning may stand there: E_PARSE for one that frames, routes or describes the message, and for one that no header can
 * hold. E_TOO_LARGE: more than HTTP_TRAILERS_MAX bytes in all.
 */
enum { HTTP_TRAILERS_MAX = 8 * 1024 };
err_t http_reply_trailers(struct http_request *r, const struct http_header *fields, size_t count) MUST_CHECK;
/* The last piece: as http_reply_write(), and the end of the answer, in one write. Writing less than `length` is an
 * error of ours. */
err_t http_reply_finish(struct http_request *r, const struct str *parts, size_t count) SUSPENDS MUST_CHECK;
/* Break the answer off so that the client notices: closes without a terminator, or resets the stream. */
void http_reply_abort(struct http_request *r);

/* Headers read by every handler. */
static inline struct str http_request_header(const struct http_request *r, struct str name)
{
    return http_head_find(&r->head, name);
}

#endif
