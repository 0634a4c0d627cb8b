/*
 * http2_server.c - one HTTP/2 connection: nghttp2's session between the socket and the requests' fibers.
 *
 * nghttp2 is the framing state machine; it never sees the socket. Two fibers come and go as there is work: a reader,
 * which feeds what the socket has and ends when it has no more, and a writer, which writes the buffer `out` until it
 * stays empty. So an idle connection is a plain struct here too. Frames reach `out` by http2_pump(), called by
 * whoever gave nghttp2 something to send: mostly by the fiber of a request, whose bytes are copied into `out` once
 * and then need the fiber no more. What does not fit waits in that fiber (http2_stream.c), and the writer pumps
 * again: back-pressure, with at most two buffers of a connection in memory.
 *
 * Hostile clients are cut off with GOAWAY(ENHANCE_YOUR_CALM): those that http2_guard.c names, and those whose header
 * lists are far larger than the limit (a little over it: 431). A stream counts against limits.streams until its
 * handler has returned, not only until it is reset. From clients that make us queue frames but do not read, nothing
 * is read until the writer has caught up.
 *
 * Invariants: no callback of nghttp2 suspends or pumps; `out` non-empty means that a writer runs, or the connection
 * is broken; once `broken`, streams are closed and their fibers cancelled, and the last one to end closes the
 * connection.
 */
#include "net/http2_int.h"

#include "base/mem.h"
#include "rt/loop.h"

#include <assert.h>

enum {
    MIN_ROOM = 1024,           /* less room than this in `out` is not used for a new frame    */
    STALL_QUEUE = 128,         /* frames queued in nghttp2 at which reading stops             */
    HEAD_BYTES_FACTOR = 4,     /* header lists over the limit are decoded so far              */
    SETTING_NO_PRIORITIES = 9, /* RFC 9218, 2.1: spares both sides the tree of RFC 7540   */
};

/* A callback's result that stops nghttp2 at once: the client overdid it. */
#define OVERDONE NGHTTP2_ERR_CALLBACK_FAILURE

/* --- callbacks: input --- */

static struct http2_stream *stream_at(struct http2 *h, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(h->ng, id) : NULL;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    struct http2 *h = ctx;
    int32_t id = frame->hd.stream_id;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (h->overdone)
        return OVERDONE;
    if (h->live >= h->c->server->options.limits.streams) {
        h->c->server->stats.refused++;
        (void)nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
        return http2_guard_stream_ended(&h->guard, false, rt_now()) ? 0 : OVERDONE;
    }
    (void)nghttp2_session_set_stream_user_data(ng, id, http2_stream_new(h, id));
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *ctx)
{
    struct http2 *h = ctx;
    struct http2_stream *st = stream_at(h, frame->hd.stream_id);

    (void)ng, (void)flags;
    if (!st)
        return 0;
    st->head_bytes += name_n + value_n + 32; /* RFC 9113, 6.5.2 */
    if (st->head_bytes / HEAD_BYTES_FACTOR > h->c->server->options.limits.head_bytes)
        return OVERDONE;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers */
    return http2_stream_header(st, str_of((const char *)name, name_n), str_of((const char *)value, value_n));
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    struct http2 *h = ctx;
    struct http2_stream *st;

    (void)ng;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    st = stream_at(h, frame->hd.stream_id);
    if (!st)
        return 0;
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        http2_stream_ended(st);
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        http2_stream_start(st);
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *ctx)
{
    struct http2 *h = ctx;
    struct http2_stream *st = stream_at(h, id);

    (void)flags;
    if (st)
        http2_stream_data(st, str_of((const char *)data, n));
    else
        (void)nghttp2_session_consume(ng, id, n);
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ctx)
{
    struct http2 *h = ctx;
    struct http2_stream *st = stream_at(h, id);

    (void)ng, (void)code;
    if (!st)
        return 0;
    if (!http2_guard_stream_ended(&h->guard, st->answered, rt_now()))
        h->overdone = true; /* looked at later: nghttp2 may be sending now, which an error would break off for good */
    http2_stream_closed(st);
    return 0;
}

/* --- callbacks: output --- */

static size_t room_in(const struct http2 *h)
{
    return h->out ? sizeof h->out->bytes - h->out->to : IOBUF_SIZE;
}

static void put(struct http2 *h, const void *p, size_t n)
{
    if (!h->out)
        h->out = iobuf_get();
    memcpy(h->out->bytes + h->out->to, p, n);
    h->out->to += n;
}

/* The head of a DATA frame, and its bytes straight from the handler's memory. */
static int on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *frame_head, size_t n,
                        nghttp2_data_source *source, void *ctx)
{
    struct http2 *h = ctx;
    struct http2_stream *st = source->ptr;

    (void)ng, (void)frame;
    if (room_in(h) < HTTP2_FRAME_HEAD + n)
        return NGHTTP2_ERR_WOULDBLOCK;
    put(h, frame_head, HTTP2_FRAME_HEAD);
    if (!http2_stream_take(st, h->out->bytes + h->out->to, n)) {
        h->out->to -= HTTP2_FRAME_HEAD;
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    h->out->to += n;
    http2_guard_sent_data(&h->guard);
    return 0;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb) != 0)
        die("nghttp2 is out of memory");
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    return cb;
}

/* --- ending --- */

/* Nothing is sent any more: streams are closed, their fibers cancelled. */
static void break_off(struct http2 *h)
{
    if (h->broken)
        return;
    h->broken = h->over = true;
    iobuf_put(h->out);
    h->out = NULL;
    LIST_EACH(node, next, &h->streams)
        http2_stream_closed(CONTAINER_OF(node, struct http2_stream, link));
}

/* The connection is no more. */
static void lose(struct http2 *h)
{
    h->lost = true;
    break_off(h);
}

/* nghttp2 failed with `code`: it, or a callback of ours, has had enough. Say goodbye if that is possible. */
static void give_up(struct http2 *h, ssize_t code)
{
    h->c->server->stats.refused++;
    if (h->over || code == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
        break_off(h);
        return;
    }
    h->over = true;
    (void)nghttp2_session_terminate_session(h->ng, NGHTTP2_ENHANCE_YOUR_CALM);
    http2_pump(h);
}

static void free_session(struct http2 *h)
{
    assert(h->fibers == 0 && !h->reader && !h->writer);
    break_off(h);
    nghttp2_session_del(h->ng);
    h->c->h2 = NULL;
    mem_free(h);
}

void http2_destroy(struct server_conn *c)
{
    free_session(c->h2);
    server_conn_close(c);
}

/* Has all been said, on both sides? */
static bool is_done(const struct http2 *h)
{
    if (h->out || h->rest.n)
        return false;
    return !nghttp2_session_want_write(h->ng) && (h->over || !nghttp2_session_want_read(h->ng));
}

void http2_settle(struct http2 *h)
{
    struct server_conn *c = h->c;

    if (h->reader || h->writer)
        return;
    if (!h->broken && !is_done(h)) {
        bool busy = h->fibers > 0 || (!h->guard.in_block && !list_is_empty(&h->streams));
        enum conn_place place = busy ? PLACE_BUSY : h->guard.in_block ? PLACE_HEAD : PLACE_IDLE;
        if (place != c->place || place == PLACE_IDLE)
            server_conn_place(c, place);
        return;
    }
    break_off(h);
    if (h->fibers > 0)
        return;
    bool lost = h->lost;
    free_session(h);
    if (lost)
        server_conn_close(c);
    else
        server_conn_linger(c);
}

/* --- the writer --- */

static void start_reader(struct http2 *h);

static SUSPENDS err_t writer_run(void *arg)
{
    struct http2 *h = arg;

    while (h->out && !h->broken) {
        struct iobuf *b = h->out;
        struct iovec iov = {b->bytes, b->to};
        h->out = NULL;
        err_t e = server_conn_writev(h->c, &iov, 1);
        iobuf_put(b);
        if (e != OK)
            lose(h);
        http2_pump(h);
    }
    h->writer = NULL;
    if (h->stalled) {
        h->stalled = false;
        if (conn_is_readable(&h->c->io))
            start_reader(h);
    }
    http2_settle(h);
    return OK;
}

/* Move frames from nghttp2 to `out` while there is room. */
static ssize_t collect(struct http2 *h)
{
    for (;;) {
        if (h->rest.n == 0) {
            const uint8_t *p;
            ssize_t n = room_in(h) >= MIN_ROOM ? nghttp2_session_mem_send(h->ng, &p) : 0;
            if (n <= 0)
                return n;
            h->rest = str_of((const char *)p, (size_t)n);
        }
        size_t n = room_in(h) < h->rest.n ? room_in(h) : h->rest.n;
        put(h, h->rest.p, n);
        h->rest.p += n;
        h->rest.n -= n;
        if (h->rest.n > 0)
            return 0;
    }
}

void http2_pump(struct http2 *h)
{
    if (h->broken)
        return;
    ssize_t e = collect(h);
    if (e < 0 || (h->overdone && !h->over))
        give_up(h, e);
    if (h->out && !h->writer)
        h->writer = scope_spawn(h->c->server->scope, "http2 writer", writer_run, h);
}

/* --- the reader --- */

static void feed(struct http2 *h, struct str in)
{
    ssize_t n = OVERDONE;

    if (http2_guard_input(&h->guard, in, rt_now()))
        n = nghttp2_session_mem_recv(h->ng, (const uint8_t *)in.p, in.n);
    if (n < 0 || h->overdone)
        give_up(h, n);
    else
        http2_pump(h);
    if (h->writer && nghttp2_session_get_outbound_queue_size(h->ng) > STALL_QUEUE)
        h->stalled = true;
}

/* Feed what the socket has now; false if it has no more. */
static bool read_some(struct http2 *h)
{
    struct iobuf *b = iobuf_get();
    size_t n = 0;
    err_t e = conn_try_read(&h->c->io, b->bytes, sizeof b->bytes, &n);

    if (e == OK && n > 0)
        feed(h, str_of(b->bytes, n));
    else if (e != E_AGAIN)
        lose(h);
    iobuf_put(b);
    return e == OK && n > 0;
}

static SUSPENDS err_t reader_run(void *arg)
{
    struct http2 *h = arg;

    while (!h->over && !h->stalled && nghttp2_session_want_read(h->ng) && read_some(h)) {
        if (fiber_tick() != OK)
            lose(h);
    }
    h->reader = NULL;
    http2_settle(h);
    return OK;
}

static void start_reader(struct http2 *h)
{
    h->reader = scope_spawn(h->c->server->scope, "http2 reader", reader_run, h);
}

void http2_event(struct server_conn *c)
{
    struct http2 *h = c->h2;

    if (h->reader || c->server->stopped)
        return;
    if (!h->over && !h->stalled) {
        start_reader(h);
    } else if (sock_peer_closed(c->io.sock)) {
        lose(h);
        http2_settle(h);
    }
}

/* --- beginning, draining, expiring --- */

static void send_settings(struct http2 *h)
{
    const struct http_limits *limits = &h->c->server->options.limits;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->head_bytes},
        {SETTING_NO_PRIORITIES, 1},
    };

    if (nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) != 0 ||
        nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0, HTTP2_CONN_WINDOW) != 0)
        die("nghttp2 refuses our settings");
}

static nghttp2_session *make_session(struct http2 *h)
{
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_session *ng;
    nghttp2_option *option;

    if (nghttp2_option_new(&option) != 0)
        die("nghttp2 is out of memory");
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    if (nghttp2_session_server_new2(&ng, callbacks, h, option) != 0)
        die("nghttp2 is out of memory");
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return ng;
}

void http2_start(struct server_conn *c, struct iobuf *in)
{
    struct http2 *h = NEW(struct http2);

    h->c = c;
    list_init(&h->streams);
    http2_guard_init(&h->guard, rt_now());
    h->ng = make_session(h);
    c->h2 = h;
    send_settings(h);
    if (in)
        feed(h, iobuf_unread(in));
    else
        http2_pump(h);
    iobuf_put(in);
    if (!h->over && !h->stalled && conn_is_readable(&c->io))
        start_reader(h);
    http2_settle(h);
}

void http2_drain(struct server_conn *c)
{
    struct http2 *h = c->h2;

    if (h->over || h->draining)
        return;
    h->draining = true;
    (void)nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->ng),
                                NGHTTP2_NO_ERROR, NULL, 0);
    http2_pump(h);
    http2_settle(h);
}

void http2_expire(struct server_conn *c)
{
    struct http2 *h = c->h2;

    server_conn_place(c, PLACE_BUSY);
    h->over = true;
    (void)nghttp2_session_terminate_session(h->ng, NGHTTP2_NO_ERROR);
    http2_pump(h);
    http2_settle(h);
}
