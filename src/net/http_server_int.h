/*
 * http_server_int.h - what http_server.c, http1_server.c and http2_server.c share.
 *
 * http_server.c owns connections from accept to close; http1_serve() and http2_serve() speak on one. A connection
 * stands in exactly one of its server's lists. Each list but BUSY is ordered by the time of entry and has one timer,
 * for its oldest connection: no connection has a timer of its own.
 */
#ifndef NET_HTTP_SERVER_INT_H
#define NET_HTTP_SERVER_INT_H

#include "net/conn.h"
#include "net/http_server.h"
#include "net/iobuf.h"
#include "rt/timer.h"

struct http2;
struct http1_stream;
struct http2_stream;
struct server_conn;

enum conn_place {
    PLACE_IDLE,   /* nothing of a request has come                       */
    PLACE_BUSY,   /* a request is being read or answered                 */
    PLACE_HEAD,   /* HTTP/2: in a header block that has not ended        */
    PLACE_LINGER, /* answered for the last time; its input is discarded  */
    PLACE_COUNT
};

struct conn_list {
    struct list conns; /* oldest first               */
    ns_t span;         /* longest stay               */
    struct timer timer;
};

struct http_server {
    struct http_server_options options;
    struct list listeners;
    struct conn_list places[PLACE_COUNT];
    struct scope *scope;  /* of accepters and requests, while http_server_run() runs */
    struct fiber *runner; /* who waits in http_server_run()                          */
    struct http_server_stats stats;
    bool draining;
    bool stopped; /* http_server_run() is over or ends: nothing new begins */
    /* Objects kept for reuse, bounded. */
    struct http1_stream *free_streams1;
    struct http2_stream *free_streams2;
    unsigned free_count1, free_count2;
    /* The date header's value, good until then. */
    ns_t date_until;
    char date[HTTP_DATE_LEN];
};

struct server_conn {
    struct conn io;
    struct http_server *server;
    struct list link;    /* in places[place].conns                                          */
    ns_t since;          /* when it came there                                              */
    struct fiber *fiber; /* the one that serves it over HTTP/1 or finds out what it speaks   */
    struct http2 *h2;    /* its session, once it is known to speak HTTP/2                   */
    struct tls_ctx *tls; /* a reference: the handshake is still to be made                   */
    uint32_t discarded;  /* bytes thrown away while lingering                               */
    uint8_t place;       /* enum conn_place                                                 */
    bool known;          /* it has been found out what it speaks                            */
    struct addr peer;
};

/* What a protocol does for the functions of http_server.h, which say what each means. */
struct http_stream_ops {
    err_t (*body_next)(struct http_request *r, struct str *ret_piece) SUSPENDS;
    err_t (*body_all)(struct http_request *r, uint64_t max, struct str *ret_body) SUSPENDS;
    int64_t (*body_length)(const struct http_request *r);
    void (*body_release)(struct http_request *r); /* NULL: nothing to give back */
    err_t (*begin)(struct http_request *r, const struct http_reply *reply);
    err_t (*trailers)(struct http_request *r, const struct http_header *fields, size_t count);
    err_t (*write)(struct http_request *r, const struct str *parts, size_t count, bool end) SUSPENDS;
    err_t (*flush)(struct http_request *r) SUSPENDS;
    void (*abort)(struct http_request *r);
};

/* Longest time that a connection lingers after its last answer, and most bytes discarded meanwhile. */
#define LINGER_TIME (2 * NS_SEC)
enum { LINGER_BYTES = 1 << 20 };
/* What a handler left of a body is read and thrown away up to this much, so that the connection can be kept. */
enum { DRAIN_BYTES = 64 * 1024 };
/* A client that sends less of a body than this in limits.body_gap of waiting for it is refused. */
enum { SLOWEST_BODY = 1024 };
/* Objects of requests kept for reuse per loop, and the memory kept within each. */
enum { KEEP_STREAMS = 64, KEEP_BODY_BYTES = 128 * 1024, KEEP_HEAD_BYTES = 4 * 1024 };

/* --- http_server.c --- */

/* Put a connection into another list (or at the end of the same). */
void server_conn_place(struct server_conn *c, enum conn_place place);
/* Close and free. No fiber serves it any more, or only the caller. */
void server_conn_close(struct server_conn *c);
/* End our side, discard what the peer still sends for a while so that it can read our last words, then close. */
void server_conn_linger(struct server_conn *c);
/* Write all of it; a client that takes no byte for limits.write_gap is gone. E_CANCELLED: it left, is gone, or we
 * were cancelled. */
err_t server_conn_writev(struct server_conn *c, struct iovec *iov, int count) SUSPENDS MUST_CHECK;
/* Value of the date header, now. Valid until the next call. */
struct str server_date(struct http_server *s);
/* Does an answer of this status have no body, ever? (RFC 9112, 6.3) */
static inline bool http_status_is_bodyless(int status)
{
    return status < 200 || status == 204 || status == 304;
}
/* --- http_request.c --- */

/* Headers of an answer that only the server sets: those that frame it and speak of the connection, and the date. */
static inline bool server_sets_header(enum http_known id)
{
    return id == HDR_CONTENT_LENGTH || id == HDR_TRANSFER_ENCODING || id == HDR_CONNECTION || id == HDR_DATE ||
           id == HDR_KEEP_ALIVE || id == HDR_PROXY_CONNECTION || id == HDR_UPGRADE || id == HDR_TRAILER;
}

/* May this answer to `r` end in trailer fields? */
bool server_allows_trailers(const struct http_request *r, const struct http_reply *reply);
/* Run the handler; an error becomes a refusal if no answer has begun. Whether the answer is complete the caller
 * knows itself. */
void server_handle(struct http_server *s, struct http_request *r) SUSPENDS;
/* Answer without a handler, in the form that the server's owner has chosen. */
err_t server_refuse(struct http_server *s, struct http_request *r, int status, struct str message) SUSPENDS;

/* --- http1_server.c --- */

/* Serve requests until the connection has nothing to read; leaves it idle, lingering or closed. Takes `in`, bytes
 * already read, which may be NULL. */
void http1_serve(struct server_conn *c, struct iobuf *in) SUSPENDS;
/* Free the server's pool. */
void http1_streams_free(struct http_server *s);

/* --- http2_server.c --- */

/* Make the session and feed it `in`, which it takes; NULL: nothing has been read yet. */
void http2_start(struct server_conn *c, struct iobuf *in);
/* The socket has something to read, or the peer closed. In loop context. */
void http2_event(struct server_conn *c);
/* Tell the client to open no more streams and close when those there are have ended. */
void http2_drain(struct server_conn *c);
/* Its time in PLACE_IDLE or PLACE_HEAD is over. */
void http2_expire(struct server_conn *c);
/* Free a session without fibers, at the end of the server; closes the connection. */
void http2_destroy(struct server_conn *c);
void http2_streams_free(struct http_server *s);

#endif
