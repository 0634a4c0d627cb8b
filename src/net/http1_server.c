/*
 * http1_server.c - requests of HTTP/1.1 on one connection, one after the other.
 *
 * A fiber serves what has arrived: read, parse, call the handler, answer, and again while bytes of further requests
 * are there. The usual small request costs one read and one write. The objects of a request (arena, parser, buffers)
 * are made once and kept in a pool of the server. A read buffer is held only while unread bytes, or a piece that the
 * handler looks at, lie in it.
 *
 * A body that the handler did not read is read and thrown away, up to DRAIN_BYTES; when more is known or likely to
 * come, the answer says "connection: close". A message that breaks the protocol or a limit is answered, and the
 * connection lingers before it is closed, so that the client can read why.
 *
 * Invariant: `in` is NULL or holds bytes that the parser has not taken, or the piece of the body given out last. The
 * answer is made in http1_reply.c.
 */
#include "net/http1_int.h"

#include "base/mem.h"
#include "rt/loop.h"

enum {
    BODY_STEP = 1 << 20, /* memory for a body grows by so much ahead of what came */
    REPLY_HEAD_MAX = 256 * 1024,
};

/* How serving a request ended for the connection. */
enum outcome { NEXT, IDLE, CLOSE, LINGER };

/* --- reading --- */

static void release_in(struct http1_stream *q)
{
    iobuf_put(q->in);
    q->in = NULL;
}

/* The parser has left `rest` of the input. */
static void took(struct http1_stream *q, struct str rest)
{
    if (q->in)
        q->in->from = q->in->to - rest.n;
}

/* Read what is there into `in`, which holds nothing that is still needed. E_EOF at the end of the stream; without
 * bytes the buffer is given back. */
static err_t try_fill(struct http1_stream *q)
{
    size_t n = 0;

    if (!q->in)
        q->in = iobuf_get();
    err_t e = conn_try_read(&q->c->io, q->in->bytes, sizeof q->in->bytes, &n);
    q->in->from = 0;
    q->in->to = n;
    if (UNLIKELY(n == 0)) {
        release_in(q);
        return e == OK ? E_EOF : e;
    }
    return OK;
}

static SUSPENDS err_t fill(struct http1_stream *q, ns_t until)
{
    for (;;) {
        err_t e = try_fill(q);
        if (e != E_AGAIN)
            return e;
        TRY(conn_wait_readable(&q->c->io, until));
    }
}

/* --- the body of the request --- */

static err_t refuse_body(struct http1_stream *q, err_t e, int status, const char *text)
{
    q->r.refusal = status;
    q->close = true;
    q->c->server->stats.refused++;
    return fail(e, "%s", text);
}

static err_t client_left(struct http1_stream *q, err_t e)
{
    if (e == E_CANCELLED) /* who waited was, perhaps a helper of the handler: the client may still be there */
        return e;
    q->broken = true;
    return fail(E_CANCELLED, "the client left before the end of its request");
}

/* Let the client send, if it asked for leave. */
static SUSPENDS err_t send_continue(struct http1_stream *q)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec iov = {(void *)(uintptr_t)text, sizeof text - 1};

    q->continue_sent = true;
    err_t e = server_conn_writev(q->c, &iov, 1);
    if (e != OK)
        q->broken = true;
    return e;
}

/* Wait for bytes of the body. A client that sends less than SLOWEST_BODY in body_gap, not counting the time in
 * which we did not ask for more, is refused. */
static SUSPENDS err_t wait_for_body(struct http1_stream *q)
{
    ns_t gap = q->c->server->options.limits.body_gap, before = rt_now();

    if (q->r.head.expect_continue && !q->continue_sent && q->r.status == 0)
        TRY(send_continue(q));
    if (q->parser.body_bytes - q->slow_mark >= SLOWEST_BODY) {
        q->slow_mark = q->parser.body_bytes;
        q->waited = 0;
    }
    err_t e = conn_wait_readable(&q->c->io, ns_add(before, gap - q->waited));
    q->waited += rt_now() - before;
    if (e == E_AGAIN)
        return refuse_body(q, E_DEADLINE, 408, "the body came too slowly");
    return e == OK || e == E_DEADLINE ? e : client_left(q, e);
}

/* Read more of the body, at most `cap` bytes to `to`. */
static SUSPENDS err_t read_body(struct http1_stream *q, char *to, size_t cap, size_t *ret_n)
{
    for (;;) {
        err_t e = conn_try_read(&q->c->io, to, cap, ret_n);
        if (e == OK && *ret_n > 0)
            return OK;
        if (e != E_AGAIN)
            return client_left(q, E_EOF);
        TRY(wait_for_body(q));
    }
}

static SUSPENDS err_t fill_body(struct http1_stream *q)
{
    for (;;) {
        err_t e = try_fill(q);
        if (e == OK)
            return OK;
        if (e != E_AGAIN)
            return client_left(q, e);
        TRY(wait_for_body(q));
    }
}

static err_t bad_body(struct http1_stream *q)
{
    int status = q->parser.error_status;

    return refuse_body(q, status == 413 ? E_TOO_LARGE : E_PARSE, status, q->parser.error_text);
}

/* The next piece, which lies in `in`; STR_NONE at the end. */
static SUSPENDS err_t next_piece(struct http1_stream *q, struct str *ret_piece)
{
    *ret_piece = STR_NONE;
    while (!q->body_done) {
        struct str in = unread(q);
        enum http1_event event = http1_next(&q->parser, &in, ret_piece);
        took(q, in);
        if (event == HTTP1_BODY) {
            q->r.bytes_in += ret_piece->n;
            return OK;
        }
        if (event == HTTP1_ERROR)
            return bad_body(q);
        if (event == HTTP1_MORE)
            TRY(fill_body(q));
        else
            q->body_done = true;
    }
    return OK;
}

static SUSPENDS err_t body_next(struct http_request *r, struct str *ret_piece)
{
    struct http1_stream *q = stream_of(r);

    if (q->broken)
        return fail(E_CANCELLED, "the client left");
    TRY(next_piece(q, ret_piece));
    if (q->body_done && q->in && iobuf_unread(q->in).n == 0)
        release_in(q);
    return OK;
}

/* The rest of a body of known length goes straight to where it is to lie. */
static SUSPENDS err_t collect_known(struct http1_stream *q)
{
    uint64_t length = (uint64_t)q->r.head.content_length;

    while (q->parser.body_bytes < length) {
        uint64_t rest = length - q->parser.body_bytes;
        size_t n = q->body.cap - q->body.n;
        if (n == 0 || (n < rest && n < BODY_STEP / 2))
            n = rest < BODY_STEP ? (size_t)rest : BODY_STEP;
        if (n > rest)
            n = (size_t)rest;
        char *to = buf_reserve(&q->body, n);
        if (!to)
            return buf_status(&q->body);
        TRY(read_body(q, to, n, &n));
        struct str in = str_of(to, n), piece;
        if (http1_next(&q->parser, &in, &piece) != HTTP1_BODY)
            return bad_body(q);
        q->body.n += n;
        q->r.bytes_in += n;
    }
    struct str none;
    return next_piece(q, &none);
}

static SUSPENDS err_t collect_chunks(struct http1_stream *q, uint64_t max)
{
    for (;;) {
        struct str piece;
        TRY(next_piece(q, &piece));
        if (!piece.p)
            return OK;
        if (q->body.n + piece.n > max)
            return refuse_body(q, E_TOO_LARGE, 413, "the body is too large");
        TRY(buf_add(&q->body, piece));
    }
}

static SUSPENDS err_t body_all(struct http_request *r, uint64_t max, struct str *ret_body)
{
    struct http1_stream *q = stream_of(r);
    int64_t length = r->head.content_length;
    struct str first, rest;

    if (q->broken)
        return fail(E_CANCELLED, "the client left");
    if (length >= 0 && (uint64_t)length > max)
        return refuse_body(q, E_TOO_LARGE, 413, "the body is too large");
    TRY(next_piece(q, &first));
    if (first.n > max)
        return refuse_body(q, E_TOO_LARGE, 413, "the body is too large");
    if (!first.p || (length >= 0 && q->parser.body_bytes == (uint64_t)length)) {
        TRY(next_piece(q, &rest));
        *ret_body = first.p ? first : STR("");
        return OK;
    }
    buf_clear(&q->body);
    TRY(buf_add(&q->body, first));
    if (length >= 0)
        release_in(q); /* all of it was of the body */
    TRY(length >= 0 ? collect_known(q) : collect_chunks(q, max));
    *ret_body = buf_str(&q->body);
    return OK;
}

static int64_t body_length(const struct http_request *r)
{
    if (r->head.content_length < 0 && !r->head.chunked)
        return 0;
    return r->head.content_length;
}

static void body_release(struct http_request *r)
{
    struct http1_stream *q = stream_of(r);

    if (!q->body_done)
        return;
    buf_release(&q->body);
    if (q->in && iobuf_unread(q->in).n == 0) /* else the next request is in it */
        release_in(q);
}

static const struct http_stream_ops http1_ops = {
    .body_next = body_next,
    .body_all = body_all,
    .body_length = body_length,
    .body_release = body_release,
    .begin = http1_reply_begin,
    .trailers = http1_reply_trailers,
    .write = http1_reply_write,
    .flush = http1_reply_flush,
    .abort = http1_reply_abort,
};

/* --- objects of requests --- */

static struct http1_stream *stream_get(struct server_conn *c)
{
    struct http_server *s = c->server;
    const struct http_limits *limits = &s->options.limits;
    struct http1_stream *q = s->free_streams1;

    if (q) {
        s->free_streams1 = q->next_free;
        s->free_count1--;
    } else {
        const struct http1_limits of_parser = {
            .head_bytes = (uint32_t)limits->head_bytes,
            .headers = (uint32_t)limits->head_count,
            .body_bytes = limits->body_bytes,
        };
        q = NEW(struct http1_stream);
        arena_init(&q->arena, limits->memory);
        http1_init(&q->parser, HTTP1_REQUEST, &of_parser);
        buf_init(&q->head, REPLY_HEAD_MAX);
        buf_init(&q->body, limits->body_bytes);
        q->r.arena = &q->arena;
        q->r.ops = &http1_ops;
    }
    q->c = c;
    q->r.peer = c->peer;
    q->r.secure = c->io.tls != NULL;
    return q;
}

static void stream_free(struct http1_stream *q)
{
    arena_release(&q->arena);
    buf_release(&q->head);
    buf_release(&q->body);
    mem_free(q);
}

static void stream_put(struct http1_stream *q)
{
    struct http_server *s = q->c->server;

    release_in(q);
    q->c = NULL;
    if (s->free_count1 == KEEP_STREAMS) {
        stream_free(q);
        return;
    }
    if (q->head.cap > KEEP_HEAD_BYTES)
        buf_release(&q->head);
    if (q->body.cap > KEEP_BODY_BYTES)
        buf_release(&q->body);
    q->next_free = s->free_streams1;
    s->free_streams1 = q;
    s->free_count1++;
}

void http1_streams_free(struct http_server *s)
{
    while (s->free_streams1) {
        struct http1_stream *q = s->free_streams1;
        s->free_streams1 = q->next_free;
        stream_free(q);
    }
    s->free_count1 = 0;
}

static void request_begin(struct http1_stream *q)
{
    buf_clear(&q->head);
    buf_clear(&q->body);
    q->r.received = rt_now();
    q->r.bytes_in = q->r.bytes_out = 0;
    q->r.status = q->r.refusal = 0;
    q->r.takes_trailers = false;
    q->r.tap = NULL;
    q->last = STR_NONE;
    q->waited = 0;
    q->slow_mark = 0;
    q->body_done = q->continue_sent = q->close = q->finished = q->broken = false;
    http1_begin(&q->parser, &q->arena, &q->r.head);
}

/* --- serving --- */

/* Answer a message that no handler gets to see. */
static NOINLINE SUSPENDS enum outcome refuse(struct http1_stream *q, int status, const char *text)
{
    q->c->server->stats.refused++;
    q->close = q->body_done = true;
    http1_recall_request(&q->parser);
    err_t e = server_refuse(q->c->server, &q->r, status, str_from_c(text));
    return e == OK ? LINGER : CLOSE;
}

/* Bytes for the head; NEXT if there are some. Before the first byte of a request nobody waits here. */
static SUSPENDS enum outcome fill_head(struct http1_stream *q)
{
    err_t e;

    if (!q->parser.began) {
        e = try_fill(q);
        return e == OK ? NEXT : e == E_AGAIN ? IDLE : CLOSE;
    }
    e = fill(q, ns_add(q->r.received, q->c->server->options.limits.head_time));
    if (e == E_AGAIN)
        return refuse(q, 408, "the request came too slowly");
    return e == OK ? NEXT : CLOSE;
}

static SUSPENDS enum outcome read_head(struct http1_stream *q)
{
    for (;;) {
        struct str in = unread(q), none;
        if (in.n == 0) {
            enum outcome o = fill_head(q);
            if (o != NEXT)
                return o;
            in = unread(q);
        }
        enum http1_event event = http1_next(&q->parser, &in, &none);
        took(q, in);
        if (event == HTTP1_ERROR)
            return refuse(q, q->parser.error_status, q->parser.error_text);
        if (in.n == 0)
            release_in(q);
        if (event == HTTP1_HEAD)
            return NEXT;
    }
}

/* Throw away what the handler left of the body. False if there is too much of it, or it does not come. */
static SUSPENDS bool drain_body(struct http1_stream *q)
{
    uint64_t before = q->parser.body_bytes;
    struct str piece;

    while (!q->body_done) {
        if (q->parser.body_bytes - before > DRAIN_BYTES || next_piece(q, &piece) != OK)
            return false;
    }
    if (q->in && iobuf_unread(q->in).n == 0)
        release_in(q);
    return true;
}

static SUSPENDS enum outcome after_answer(struct http1_stream *q)
{
    struct server_conn *c = q->c;

    if (!q->finished || q->broken)
        return CLOSE;
    if (q->close || !drain_body(q)) {
        bool quiet = q->body_done || (q->r.head.content_length <= 0 && !q->r.head.chunked);
        return quiet && !q->in && !conn_is_readable(&c->io) ? CLOSE : LINGER;
    }
    if (!q->in && !conn_is_readable(&c->io))
        return IDLE;
    return fiber_tick() == OK ? NEXT : CLOSE;
}

static SUSPENDS enum outcome serve_one(struct http1_stream *q)
{
    request_begin(q);
    enum outcome o = read_head(q);
    if (o != NEXT)
        return o;
    if (UNLIKELY(sock_peer_closed(q->c->io.sock))) /* no event will tell */
        fiber_cancel(fiber_current());
    server_handle(q->c->server, &q->r);
    return after_answer(q);
}

void http1_serve(struct server_conn *c, struct iobuf *in)
{
    struct http1_stream *q = stream_get(c);
    enum outcome o;

    q->in = in;
    do {
        o = serve_one(q);
        arena_clear(&q->arena);
    } while (o == NEXT);
    stream_put(q);
    c->fiber = NULL;
    if (o == IDLE && c->server->draining)
        o = CLOSE;
    switch (o) {
    case NEXT:
    case IDLE:
        server_conn_place(c, PLACE_IDLE);
        break;
    case CLOSE:
        server_conn_close(c);
        break;
    case LINGER:
        server_conn_linger(c);
        break;
    }
}
