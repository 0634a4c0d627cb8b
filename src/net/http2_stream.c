/*
 * http2_stream.c - one request over HTTP/2: its head from header fields, its body, its fiber.
 *
 * The object lives as long as nghttp2 knows the stream or its fiber runs, whichever is longer. Bytes of the body wait
 * in `in` until the handler takes them; only then the client gets new credit, so at most the stream's window waits.
 * The answer is made in http2_reply.c.
 *
 * A head that no handler shall see (too large, malformed target) is answered here, in the same fiber that would have
 * run the handler.
 */
#include "net/http2_int.h"

#include "base/mem.h"
#include "rt/loop.h"

#include <assert.h>

enum { FIRST_HEADERS = 16 };

static const struct http_stream_ops http2_ops;

/* --- objects --- */

static struct http2_stream *stream_make(struct http_server *s)
{
    struct http2_stream *st = s->free_streams2;

    if (st) {
        s->free_streams2 = st->next_free;
        s->free_count2--;
        return st;
    }
    st = NEW(struct http2_stream);
    arena_init(&st->arena, s->options.limits.memory);
    buf_init(&st->in, s->options.limits.body_bytes);
    buf_init(&st->lent, s->options.limits.body_bytes);
    return st;
}

struct http2_stream *http2_stream_new(struct http2 *h, int32_t id)
{
    struct server_conn *c = h->c;
    struct http2_stream *st = stream_make(c->server);
    struct arena arena = st->arena;
    struct buf in = st->in, lent = st->lent;

    *st = (struct http2_stream){.h = h, .id = id, .arena = arena, .in = in, .lent = lent};
    st->in_max = c->server->options.limits.body_bytes;
    st->r = (struct http_request){
        .head = {.minor = 1, .keep_alive = true, .content_length = -1},
        .arena = &st->arena,
        .peer = c->peer,
        .received = rt_now(),
        .secure = c->io.tls != NULL,
        .http2 = true,
        .ops = &http2_ops,
    };
    list_push_back(&h->streams, &st->link);
    h->live++;
    return st;
}

static void stream_release(struct http2_stream *st)
{
    arena_release(&st->arena);
    buf_release(&st->in);
    buf_release(&st->lent);
    mem_free(st);
}

static void keep_buf(struct buf *b)
{
    if (b->cap > KEEP_BODY_BYTES)
        buf_release(b);
    buf_clear(b);
}

/* Free; its fiber has ended, and nghttp2 knows it no more. */
static void stream_free(struct http2_stream *st)
{
    struct http2 *h = st->h;
    struct http_server *s = h->c->server;

    assert(!st->fiber);
    list_remove(&st->link);
    h->live--;
    if (s->free_count2 == KEEP_STREAMS) {
        stream_release(st);
        return;
    }
    arena_clear(&st->arena);
    keep_buf(&st->in);
    keep_buf(&st->lent);
    st->next_free = s->free_streams2;
    s->free_streams2 = st;
    s->free_count2++;
}

void http2_streams_free(struct http_server *s)
{
    while (s->free_streams2) {
        struct http2_stream *st = s->free_streams2;
        s->free_streams2 = st->next_free;
        stream_release(st);
    }
    s->free_count2 = 0;
}

/* --- credit --- */

/* `n` bytes have been taken, or will never be: the client may send as many more. */
static void give_credit(struct http2_stream *st, size_t n)
{
    if (n > 0 && !st->h->broken)
        (void)nghttp2_session_consume(st->h->ng, st->id, n);
}

static void discard_body(struct http2_stream *st)
{
    st->discarding = true;
    if (!st->collecting)
        give_credit(st, st->in.n + st->lent.n);
    buf_clear(&st->in);
    buf_clear(&st->lent);
}

static void wake_reader(struct http2_stream *st)
{
    if (st->body_wanted)
        fiber_wake(st->fiber);
}

void http2_stream_data(struct http2_stream *st, struct str data)
{
    st->in_total += data.n;
    if (st->in_total > st->in_max && !st->discarding) {
        st->too_large = true;
        discard_body(st);
    }
    if (st->discarding || st->collecting)
        give_credit(st, data.n);
    if (!st->discarding && buf_add(&st->in, data) != OK) {
        st->too_large = true;
        discard_body(st);
    }
    wake_reader(st);
}

void http2_stream_ended(struct http2_stream *st)
{
    st->ended = true;
    wake_reader(st);
}

void http2_stream_closed(struct http2_stream *st)
{
    if (!st->closed) {
        st->closed = true;
        discard_body(st);
    }
    if (!st->fiber)
        stream_free(st);
    else if (!st->answered || st->h->broken)
        fiber_cancel(st->fiber);
}

/* --- the head --- */

static void refuse_head(struct http2_stream *st, uint16_t status, const char *text)
{
    if (st->refused)
        return;
    st->refused = status;
    st->refused_text = text;
}

static void add_header(struct http2_stream *st, struct str name, struct str value)
{
    struct http_head *head = &st->r.head;

    if (head->count == st->header_cap) {
        uint32_t cap = st->header_cap ? st->header_cap * 2 : FIRST_HEADERS;
        struct http_header *headers = arena_alloc(&st->arena, cap * sizeof *headers);
        if (head->count)
            memcpy(headers, head->headers, head->count * sizeof *headers);
        head->headers = headers;
        st->header_cap = cap;
    }
    head->headers[head->count++] = (struct http_header){name, value};
}

static void take_pseudo(struct http2_stream *st, struct str name, struct str value)
{
    struct http_head *head = &st->r.head;

    if (str_eq(name, STR(":method")))
        head->method = value;
    else if (str_eq(name, STR(":path")))
        head->target = value;
    else if (str_eq(name, STR(":authority")))
        head->host = value;
}

int http2_stream_header(struct http2_stream *st, struct str name, struct str value)
{
    const struct http_limits *limits = &st->h->c->server->options.limits;

    if (st->head_bytes > limits->head_bytes)
        refuse_head(st, 431, "the head is too large");
    else if (st->r.head.count >= limits->head_count)
        refuse_head(st, 431, "too many header fields");
    if (st->refused)
        return 0;
    value = arena_str(&st->arena, value);
    if (name.n && name.p[0] == ':') {
        take_pseudo(st, name, value);
        return 0;
    }
    st->cookies += str_eq(name, STR("cookie"));
    add_header(st, arena_str(&st->arena, name), value);
    return 0;
}

/* Cookies may come one by one; whoever reads the head expects one line (RFC 9113, 8.2.3). */
static void join_cookies(struct http2_stream *st)
{
    struct http_head *head = &st->r.head;
    struct str all = STR_NONE;
    size_t kept = 0;

    for (size_t i = 0; i < head->count; i++) {
        struct http_header *h = &head->headers[i];
        if (!str_eq(h->name, STR("cookie"))) {
            head->headers[kept++] = *h;
            continue;
        }
        all = all.p ? arena_join(&st->arena, arena_join(&st->arena, all, STR("; ")), h->value) : h->value;
    }
    head->count = kept;
    add_header(st, STR("cookie"), all);
}

static bool is_good_target(struct str target)
{
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];
        if (c <= ' ' || c >= 0x7f || c == '#')
            return false;
    }
    return target.n && (target.p[0] == '/' || str_eq(target, STR("*")));
}

static void finish_head(struct http2_stream *st)
{
    struct http_head *head = &st->r.head;
    uint64_t n;

    if (str_eq(head->method, STR("CONNECT"))) {
        refuse_head(st, 501, "CONNECT is not supported");
        return;
    }
    if (!is_good_target(head->target))
        refuse_head(st, 400, "invalid request target");
    if (head->target.n > HTTP2_TARGET_MAX)
        refuse_head(st, 414, "the request target is too long");
    size_t at = str_find_char(head->target, '?');
    head->path = str_of(head->target.p, at);
    head->query = at < head->target.n ? str_slice(head->target, at + 1, head->target.n) : STR_NONE;
    if (st->cookies > 1)
        join_cookies(st);
    struct str host = http_head_find(head, STR("host"));
    http_head_index(head);
    if (!head->known[HDR_HOST] && head->host.p) {
        add_header(st, STR("host"), head->host);
        http_head_index(head);
    } else if (!head->host.p) {
        head->host = host;
    }
    struct str length = http_head_get(head, HDR_CONTENT_LENGTH);
    if (length.p && str_to_u64(length, INT64_MAX, &n)) {
        head->content_length = (int64_t)n;
        if (n > st->in_max)
            refuse_head(st, 413, "the body is too large");
    }
    head->expect_continue = str_eq_nocase(http_head_get(head, HDR_EXPECT), STR("100-continue"));
}

/* --- the fiber --- */

static SUSPENDS err_t stream_run(void *arg)
{
    struct http2_stream *st = arg;
    struct http2 *h = st->h;
    struct http_server *s = h->c->server;

    if (st->closed) {
        /* reset before its turn came */
    } else if (st->refused) {
        s->stats.refused++;
        (void)server_refuse(s, &st->r, st->refused, str_from_c(st->refused_text));
    } else {
        server_handle(s, &st->r);
    }
    discard_body(st);
    if (!st->answered)
        http2_reset(st, fiber_is_cancelled() ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR);
    else if (!st->ended)
        http2_reset(st, NGHTTP2_NO_ERROR); /* the answer does not need the rest of the body: RFC 9113, 8.1 */
    else
        http2_pump(h); /* credit */
    st->fiber = NULL;
    h->fibers--;
    if (st->closed)
        stream_free(st);
    http2_settle(h);
    return OK;
}

void http2_stream_start(struct http2_stream *st)
{
    finish_head(st);
    st->h->fibers++;
    st->fiber = scope_spawn(st->h->c->server->scope, "http request", stream_run, st);
}

/* --- the body --- */

static err_t send_continue(struct http2_stream *st)
{
    static uint8_t name[] = ":status", value[] = "100";
    const nghttp2_nv nv = {name, value, sizeof name - 1, sizeof value - 1, NGHTTP2_NV_FLAG_NONE};

    st->continue_sent = true;
    (void)nghttp2_submit_headers(st->h->ng, NGHTTP2_FLAG_NONE, st->id, NULL, &nv, 1, NULL);
    http2_pump(st->h);
    return OK;
}

static err_t refuse_body(struct http2_stream *st, err_t e, int status, const char *text)
{
    st->r.refusal = status;
    st->h->c->server->stats.refused++;
    discard_body(st);
    return fail(e, "%s", text);
}

/* Wait for bytes, or the end, of the body. A client that sends less than SLOWEST_BODY in body_gap, not counting the
 * time in which we did not ask for more, is refused. */
static SUSPENDS err_t wait_for_body(struct http2_stream *st)
{
    ns_t gap = st->h->c->server->options.limits.body_gap, before = rt_now();

    if (st->r.head.expect_continue && !st->continue_sent && st->r.status == 0)
        TRY(send_continue(st));
    if (st->in_total - st->slow_mark >= SLOWEST_BODY) {
        st->slow_mark = st->in_total;
        st->waited = 0;
    }
    st->body_wanted = true;
    err_t e = fiber_park("the request's body", ns_add(before, gap - st->waited));
    st->body_wanted = false;
    st->waited += rt_now() - before;
    return e == E_AGAIN ? refuse_body(st, E_DEADLINE, 408, "the body came too slowly") : e;
}

/* Is something wrong with the body, or the client gone? */
static err_t check_body(struct http2_stream *st)
{
    if (st->too_large)
        return refuse_body(st, E_TOO_LARGE, 413, "the body is too large");
    if (st->r.refusal)
        return fail(E_PARSE, "the body was refused");
    return st->closed ? fail(E_CANCELLED, "the client left") : OK;
}

static SUSPENDS err_t body_next(struct http_request *r, struct str *ret_piece)
{
    struct http2_stream *st = http2_stream_of(r);

    if (!st->collecting)
        give_credit(st, st->lent.n);
    buf_clear(&st->lent);
    http2_pump(st->h);
    for (;;) {
        TRY(check_body(st));
        if (st->in.n > 0 || st->ended)
            break;
        TRY(wait_for_body(st));
    }
    struct buf swap = st->lent;
    st->lent = st->in;
    st->in = swap;
    r->bytes_in += st->lent.n;
    *ret_piece = st->lent.n ? buf_str(&st->lent) : STR_NONE;
    return OK;
}

/* All that comes is kept in `in`, for which the client gets credit at once, up to `max`. */
static SUSPENDS err_t body_all(struct http_request *r, uint64_t max, struct str *ret_body)
{
    struct http2_stream *st = http2_stream_of(r);

    if (st->in_total > max || (r->head.content_length >= 0 && (uint64_t)r->head.content_length > max))
        return refuse_body(st, E_TOO_LARGE, 413, "the body is too large");
    if (max < st->in_max)
        st->in_max = max;
    if (!st->collecting) {
        st->collecting = true;
        give_credit(st, st->in.n + st->lent.n);
        buf_clear(&st->lent);
        http2_pump(st->h);
    }
    for (;;) {
        TRY(check_body(st));
        if (st->ended)
            break;
        TRY(wait_for_body(st));
    }
    r->bytes_in += st->in.n;
    *ret_body = st->in.n ? buf_str(&st->in) : STR("");
    return OK;
}

static int64_t body_length(const struct http_request *r)
{
    const struct http2_stream *st = http2_stream_of(r);

    if (r->head.content_length < 0 && st->ended && st->in_total == 0)
        return 0;
    return r->head.content_length;
}

static const struct http_stream_ops http2_ops = {
    .body_next = body_next,
    .body_all = body_all,
    .body_length = body_length,
    .begin = http2_reply_begin,
    .trailers = http2_reply_trailers,
    .write = http2_reply_write,
    .flush = http2_reply_flush,
    .abort = http2_reply_abort,
};
