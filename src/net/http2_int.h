/*
 * http2_int.h - what http2_server.c (the connection), http2_stream.c (a request on it) and http2_reply.c (its answer)
 * share.
 */
#ifndef NET_HTTP2_INT_H
#define NET_HTTP2_INT_H

#include "net/http_server_int.h"

#include <nghttp2/nghttp2.h>

enum {
    HTTP2_STREAM_WINDOW = 256 * 1024, /* bytes of one body that may wait for its handler           */
    HTTP2_CONN_WINDOW = 1024 * 1024,  /* and of all bodies of a connection together                */
    HTTP2_TARGET_MAX = 16 * 1024,
    HTTP2_FRAME_HEAD = 9,
};

/* What a client has done of late that costs us more than it costs the client: http2_guard.c. */
struct http2_guard {
    uint8_t head[HTTP2_FRAME_HEAD]; /* of the frame that is coming        */
    uint8_t head_n;
    bool in_block; /* a header block has begun and not ended    */
    uint32_t skip; /* bytes of its payload still to come        */
    int purse;
    ns_t filled; /* when time was last added to the purse     */
    ns_t since;  /* start of the counts below                 */
    unsigned spoiled, answered;
    unsigned continuations; /* of the header block now coming            */
};

struct http2 {
    struct server_conn *c;
    nghttp2_session *ng;
    struct list streams;           /* all objects, also of streams that nghttp2 has forgotten while their fiber runs */
    unsigned live;                 /* how many                                                                       */
    unsigned fibers;               /* that run a handler                                                             */
    struct fiber *reader, *writer; /* NULL: not needed now                                                   */
    struct iobuf *out;             /* frames to write; NULL: none                                                    */
    struct str rest;               /* of a frame that did not fit into `out`; nghttp2's memory                       */
    struct http2_guard guard;
    bool stalled;  /* not read before `out` has been written                                         */
    bool draining; /* GOAWAY has been sent                                                           */
    bool overdone; /* too many streams came to nothing                                               */
    bool over;     /* no more is read; what is queued is still written                               */
    bool lost;     /* the socket has failed, or the client left                                      */
    bool broken;   /* nothing is written either                                                      */
};

struct http2_stream {
    struct http_request r; /* first                                                              */
    struct http2 *h;
    struct list link;
    struct fiber *fiber; /* runs the handler                                                   */
    int32_t id;
    bool closed; /* nghttp2 has forgotten it: nothing can be sent                       */
    /* request */
    bool ended;       /* the client has sent all                                            */
    bool body_wanted; /* the fiber waits for bytes                                          */
    bool collecting;  /* http_body_all(): credit is given as bytes come                     */
    bool discarding;  /* nobody will read the body                                          */
    bool too_large;   /* it passed `in_max`                                                 */
    bool continue_sent;
    uint16_t refused; /* a status: the head is not fit for a handler                        */
    uint32_t header_cap;
    uint32_t cookies;
    size_t head_bytes;
    const char *refused_text;
    struct arena arena;
    struct buf in, lent; /* body that has come; the piece that the handler looks at            */
    uint64_t in_max, in_total;
    ns_t waited; /* for the body, since `slow_mark` bytes had come                     */
    uint64_t slow_mark;
    /* answer */
    const struct str *parts; /* the handler's, while it waits in a write                         */
    size_t part_at;          /* bytes of parts[0] that have been taken                           */
    size_t left;             /* bytes of all parts not yet taken                                 */
    uint64_t reply_left;     /* bytes of an answer of known length still to be given             */
    bool end;                /* the last piece has been given                                    */
    bool answered;           /* the end of the answer is on its way                              */
    bool deferred;           /* nghttp2 waits to be told of more                                 */
    bool write_waits;        /* the fiber waits until its parts are taken                        */
    bool bodyless;
    bool aborted;
    nghttp2_nv *trailers; /* fields to stand behind the body                                     */
    size_t trailer_count;
    ns_t progress; /* when bytes were last taken                                       */
    struct http2_stream *next_free;
};

static inline struct http2_stream *http2_stream_of(const struct http_request *r)
{
    return CONTAINER_OF(r, struct http2_stream, r);
}

/* --- http2_server.c --- */

/* Let nghttp2 put frames into `out`, and see that they get written. */
void http2_pump(struct http2 *h);
/* Something has ended: put the connection where it belongs now, or close it. The caller does not touch `h` any more. */
void http2_settle(struct http2 *h);

/* --- http2_guard.c --- */

void http2_guard_init(struct http2_guard *g, ns_t now);
/* Look at bytes that are about to be fed to nghttp2, the preface first; false if the client overdoes it. */
bool http2_guard_input(struct http2_guard *g, struct str in, ns_t now);
/* A frame of content has been sent. */
void http2_guard_sent_data(struct http2_guard *g);
/* A stream has ended; false if too many did without an answer. */
bool http2_guard_stream_ended(struct http2_guard *g, bool answered, ns_t now);

/* --- http2_stream.c: called by callbacks of nghttp2 (they return its codes) --- */

/* An object for the stream whose head begins to come. */
struct http2_stream *http2_stream_new(struct http2 *h, int32_t id);
int http2_stream_header(struct http2_stream *st, struct str name, struct str value);
/* The head is complete: start the handler. */
void http2_stream_start(struct http2_stream *st);
void http2_stream_data(struct http2_stream *st, struct str data);
void http2_stream_ended(struct http2_stream *st);
/* nghttp2 has forgotten it; frees it if it has no fiber. */
void http2_stream_closed(struct http2_stream *st);

/* --- http2_reply.c: see struct http_stream_ops --- */

err_t http2_reply_begin(struct http_request *r, const struct http_reply *reply);
err_t http2_reply_trailers(struct http_request *r, const struct http_header *fields, size_t count);
err_t http2_reply_write(struct http_request *r, const struct str *parts, size_t count, bool end) SUSPENDS;
err_t http2_reply_flush(struct http_request *r) SUSPENDS;
void http2_reply_abort(struct http_request *r);
/* Copy the next `n` bytes of the answer; false if it does not have as many. */
bool http2_stream_take(struct http2_stream *st, char *to, size_t n);
/* Send RST_STREAM, if the stream still is. */
void http2_reset(struct http2_stream *st, uint32_t code);

#endif
