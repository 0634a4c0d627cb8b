/*
 * http_inner.h - a request from within the process: it goes to a handler without a connection.
 *
 * The handler sees a request like any other, and runs in the fiber of who asks: cancelled with it, under its deadline. What it answers is gathered, or
 * told as it comes to who asked.
 */
#ifndef NET_HTTP_INNER_H
#define NET_HTTP_INNER_H

#include "net/http_server.h"

struct http_inner {
    struct str method, path;
    const struct http_header *headers;
    size_t header_count;
    struct str body;
    struct arena *arena; /* of the request, and of what is gathered                      */
    size_t answer_max;   /* bytes of its body                                            */
    /* Hears each piece of a successful answer (2xx), which is not gathered then. An error breaks the answer off, as a client that leaves does. NULL: all
     * is gathered. Must not suspend. */
    err_t (*on_piece)(void *ctx, struct str piece);
    void *ctx;
};

struct http_inner_answer {
    int status;      /* 0: there was none                                        */
    struct str body; /* gathered, in the arena                                   */
    bool is_whole;   /* it was not broken off                                    */
};

/* A request under way. */
struct http_inner_stream {
    struct http_request r; /* what the handler is given */
    const struct http_inner *asked;
    struct http_inner_answer answer;
    struct buf body_;
    err_t error_; /* of who asked, or of a limit: nothing more is taken */
    struct err_record words_;
    bool read_;
};

/*
 * Make the request: *s is all that there is of it, until http_inner_end(). The handler is called in between, with &s->r.
 *
 * s      stays where it is; all that *asked points to is borrowed as long
 */
void http_inner_begin(struct http_inner_stream *s, const struct http_inner *asked);
/*
 * The handler has returned `e`: what came of it, in *ret.
 *
 * Errors: on_piece()'s; E_TOO_LARGE (answer_max); E_CANCELLED and E_DEADLINE of the handler. Others it has told as an answer, or the answer has broken off.
 */
err_t http_inner_end(struct http_inner_stream *s, err_t e, struct http_inner_answer *ret) MUST_CHECK;

#endif
