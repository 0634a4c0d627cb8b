/*
 * http1_int.h - what http1_server.c (reading, serving) and http1_reply.c (the answer) share.
 */
#ifndef NET_HTTP1_INT_H
#define NET_HTTP1_INT_H

#include "net/http_server_int.h"

struct http1_stream {
    struct http_request r; /* first                                                            */
    struct server_conn *c;
    struct iobuf *in;
    struct arena arena;
    struct http1 parser;
    struct buf head;     /* of the answer; and small things that leave with the next write     */
    struct buf body;     /* of http_body_all(), when it did not arrive in one piece            */
    struct str last;     /* chunk, with the line's end before it and trailer fields; empty: without them */
    uint64_t reply_left; /* bytes of an answer of known length still to be given               */
    ns_t waited;         /* for the body, since `slow_mark` bytes of it had come               */
    uint64_t slow_mark;
    bool body_done; /* the body has been read to its end                                  */
    bool continue_sent;
    bool close;    /* the connection ends after this answer                              */
    bool chunked;  /* the answer is                                                      */
    bool bodyless; /* the answer has no body, whatever is written                        */
    bool finished; /* the answer is complete                                             */
    bool broken;   /* the client left, or the answer was broken off                      */
    struct http1_stream *next_free;
};

static inline struct http1_stream *stream_of(const struct http_request *r)
{
    return CONTAINER_OF(r, struct http1_stream, r);
}

/* Bytes that have been read and not taken by the parser. */
static inline struct str unread(const struct http1_stream *q)
{
    return q->in ? iobuf_unread(q->in) : STR_NONE;
}

/* --- http1_reply.c: see struct http_stream_ops --- */

err_t http1_reply_begin(struct http_request *r, const struct http_reply *reply);
err_t http1_reply_trailers(struct http_request *r, const struct http_header *fields, size_t count);
err_t http1_reply_write(struct http_request *r, const struct str *parts, size_t count, bool end) SUSPENDS;
err_t http1_reply_flush(struct http_request *r) SUSPENDS;
void http1_reply_abort(struct http_request *r);

#endif
