/*
 * http_send.c - sending a request.
 *
 * Nearly every request fits the socket's buffer: head and body leave in one write of the calling fiber, and nothing here
 * waits. What does not fit is sent by a fiber of its own while the call's fiber watches for an answer: a server that refuses a large
 * upload (413, 401) may stop reading it, and would never get its word in if we only wrote. A refusal ends the sending;
 * a success that comes early does not, its body waits until everything is sent.
 *
 * The side that is blocked in writing reads what comes, up to the end of a head and one buffer: by a callback of the socket, and, because
 * TLS may hold bytes that the socket knows nothing of, before each wait.
 *
 * Invariant: requests are assembled in upstream->head, which is shared, so nothing may wait between assembling and the first
 * write; what is left of it then is copied.
 */
#include "net/http_client.h"

#include "net/http_client_int.h"
#include "rt/loop.h"
#include "rt/scope.h"

#include <string.h>

enum { FEW_PARTS = 8, PARTS_PER_WRITE = 64, REFUSAL = 300 };
#define BROKEN_PATIENCE (100 * NS_MS)

/* --- the head --- */

/* Is it ours, because it frames the message? */
static bool is_framing(struct str name)
{
    switch (name.n) {
    case 10:
        return str_eq_nocase(name, STR("connection")) || str_eq_nocase(name, STR("keep-alive"));
    case 14:
        return str_eq_nocase(name, STR("content-length"));
    case 17:
        return str_eq_nocase(name, STR("transfer-encoding"));
    default:
        return false;
    }
}

static err_t write_headers(struct buf *b, const struct http_call_options *o, struct str host_line)
{
    bool has_host = false;

    for (size_t i = 0; i < o->count; i++)
        has_host |= o->headers[i].name.n == 4 && str_eq_nocase(o->headers[i].name, STR("host"));
    if (!has_host)
        TRY(buf_add(b, host_line));
    for (size_t i = 0; i < o->count; i++)
        if (!is_framing(o->headers[i].name))
            TRY(http1_write_header(b, o->headers[i].name, o->headers[i].value));
    return OK;
}

/* Do servers expect a length with this method even if there is no body? (RFC 9110, 8.6) */
static bool wants_length(struct str method)
{
    return str_eq(method, STR("POST")) || str_eq(method, STR("PUT")) || str_eq(method, STR("PATCH"));
}

static err_t write_framing(struct buf *b, const struct http_call_options *o, size_t body_n)
{
    if (o->source && o->source_length < 0)
        return buf_add_lit(b, "transfer-encoding: chunked\r\n\r\n");
    uint64_t length = o->source ? (uint64_t)o->source_length : body_n;
    if (o->source || o->body_parts || wants_length(o->method))
        TRY(http1_write_header_u64(b, STR("content-length"), length));
    return buf_add_lit(b, "\r\n");
}

static err_t write_head(struct http_call *c, const struct http_call_options *o, size_t body_n)
{
    struct upstream *u = c->upstream;
    struct buf *b = &u->head;
    struct str target = u->origin.n ? arena_join(c->arena, u->origin, o->target) : o->target;

    buf_clear(b);
    TRY(http1_write_request_line(b, o->method, target));
    TRY(write_headers(b, o, u->host_line));
    if (u->origin.n && secret_reveal(&u->proxy.authorization).n)
        TRY(http1_write_header(b, STR("proxy-authorization"), secret_reveal(&u->proxy.authorization)));
    return write_framing(b, o, body_n);
}

/* --- what does not leave at once --- */

struct upload {
    struct http_call *call;
    const struct http_call_options *options;
    struct iovec *iov; /* the rest of head and parts */
    int count;
    uint64_t given; /* by the source */
    bool done;
    bool source_failed;
    err_t error;
    const char *text; /* of `error` */
};

/* Has an answer come that makes sending pointless, or has the connection failed? */
static bool is_decided(const struct http_call *c)
{
    return c->failure || (c->has_head && c->head.status >= REFUSAL);
}

/* Take in what came, up to the end of the head. */
static void listen_while_sending(struct http_call *c)
{
    while (!c->has_head && !c->failure && conn_is_readable(&c->pc->conn))
        if (!call_receive(c))
            break;
    if (is_decided(c))
        fiber_wake(c->owner);
}

static void on_upload_event(struct sock *s, void *ctx)
{
    (void)s;
    listen_while_sending(ctx);
}

static void count_sent(struct http_call *c, size_t n)
{
    c->times->bytes_out += n;
    c->times->sent_any |= n > 0;
}

/* Write all, in slices. */
static err_t write_all(struct http_call *c, struct iovec *iov, int count) SUSPENDS;
static err_t write_all(struct http_call *c, struct iovec *iov, int count)
{
    while (count > 0) {
        size_t n;
        TRY(conn_try_writev(&c->pc->conn, iov, count < PARTS_PER_WRITE ? count : PARTS_PER_WRITE, &n));
        count_sent(c, n);
        int used = iov_advance(iov, count, n);
        iov += used;
        count -= used;
        if (n > 0)
            continue;
        listen_while_sending(c);
        TRY(conn_wait_writable(&c->pc->conn, NS_NEVER));
    }
    return OK;
}

static struct iovec iov_of(struct str s)
{
    return (struct iovec){(void *)(uintptr_t)s.p, s.n};
}

static err_t write_chunk(struct http_call *c, struct str piece) SUSPENDS;
static err_t write_chunk(struct http_call *c, struct str piece)
{
    char head[HTTP1_CHUNK_HEAD_MAX];
    struct iovec iov[] = {{head, http1_chunk_head(head, piece.n)}, iov_of(piece), iov_of(STR("\r\n"))};

    return write_all(c, iov, ARRAY_LEN(iov));
}

/* Write the piece as the framing asks; a piece with p == NULL is the end. */
static err_t write_piece(struct upload *up, struct str piece) SUSPENDS;
static err_t write_piece(struct upload *up, struct str piece)
{
    int64_t length = up->options->source_length;
    struct iovec iov = iov_of(length < 0 ? HTTP1_LAST_CHUNK : piece);

    up->given += piece.n;
    if (length >= 0 && (piece.p ? up->given > (uint64_t)length : up->given != (uint64_t)length)) {
        up->source_failed = true;
        return fail(E_PARSE, "request body is not of its declared length, %lld bytes", (long long)length);
    }
    if (length < 0 && piece.p)
        return piece.n ? write_chunk(up->call, piece) : OK;
    return write_all(up->call, &iov, 1);
}

static err_t upload_source(struct upload *up) SUSPENDS;
static err_t upload_source(struct upload *up)
{
    const struct http_call_options *o = up->options;

    for (;;) {
        struct str piece = STR_NONE;
        up->call->source_used = true;
        err_t e = o->source(o->source_ctx, &piece);
        if (e) {
            up->source_failed = !fiber_is_cancelled(); /* else it was we who gave the sending up */
            return e;
        }
        TRY(write_piece(up, piece));
        if (!piece.p)
            return OK;
    }
}

static err_t upload_main(void *arg) SUSPENDS;
static err_t upload_main(void *arg)
{
    struct upload *up = arg;
    struct http_call *c = up->call;
    err_t e = write_all(c, up->iov, up->count);

    if (!e && up->options->source)
        e = upload_source(up);
    up->error = e;
    up->text = e ? arena_str(c->arena, str_from_c(err_detail(e))).p : NULL;
    up->done = true;
    fiber_wake(c->owner);
    return e;
}

/* Run the upload until it is done or pointless. The scope ends it in any case. */
static err_t upload_watched(struct upload *up, ns_t by) SUSPENDS;
static err_t upload_watched(struct upload *up, ns_t by)
{
    struct http_call *c = up->call;
    err_t e = OK;
    SCOPE(scope, NS_NEVER);

    c->owner = fiber_current();
    (void)scope_spawn(&scope, "http upload", upload_main, up);
    sock_on_event(c->pc->conn.sock, on_upload_event, c);
    while (!e && !up->done && !is_decided(c))
        e = fiber_park("http upload", by);
    sock_on_event(c->pc->conn.sock, NULL, NULL);
    if (e == E_AGAIN || e == E_DEADLINE)
        return fail(E_DEADLINE, "%s: deadline passed while sending the request", c->upstream->label);
    return e;
}

/*
 * Writing has failed: a server that refused the request and closed may have said why before. The loop is about to tell that there is
 * something to read, be it the end.
 */
static err_t after_broken_write(struct http_call *c, err_t e, const char *text) SUSPENDS;
static NOINLINE err_t after_broken_write(struct http_call *c, err_t e, const char *text)
{
    ns_t until = ns_add(rt_now(), BROKEN_PATIENCE);

    while (!c->has_head && !c->failure) {
        err_t waited = conn_wait_readable(&c->pc->conn, until);
        if (waited == E_AGAIN)
            break;
        TRY(waited);
        call_receive(c);
    }
    return c->has_head ? OK : fail(e, "%s: %s", c->upstream->label, text);
}

/* The frame of this function is off the stack again when the call waits for its answer. */
static NOINLINE err_t send_rest(struct http_call *c, const struct http_call_options *o, struct iovec *iov, int count)
    SUSPENDS;
static NOINLINE err_t send_rest(struct http_call *c, const struct http_call_options *o, struct iovec *iov, int count)
{
    struct upload up = {.call = c, .options = o, .iov = iov, .count = count};

    TRY(upload_watched(&up, o->first_byte_by ? o->first_byte_by : NS_NEVER));
    if (up.done && !up.error) {
        c->sent = true;
        return OK;
    }
    if (up.source_failed)
        return fail(up.error, "%s", up.text);
    if (c->has_head)
        return OK;
    return c->failure ? call_failed(c) : after_broken_write(c, up.error, up.text);
}

/* --- sending --- */

static size_t body_length(const struct http_call_options *o)
{
    size_t n = 0;

    for (size_t i = 0; i < o->body_parts; i++)
        n += o->body[i].n;
    return n;
}

/* Part of the head may be left in the shared buffer: it needs a place of its own. */
static void own_head(struct http_call *c, struct iovec *iov, size_t head_left)
{
    if (head_left == 0)
        return;
    struct str copy = arena_str(c->arena, str_of(iov->iov_base, head_left));
    iov->iov_base = (void *)(uintptr_t)copy.p;
}

err_t call_send(struct http_call *c, const struct http_call_options *o)
{
    struct iovec few[FEW_PARTS];
    size_t body_n = body_length(o), n;
    int count = (int)o->body_parts + 1;

    /* What does not leave at once must outlive this frame only as long as send_rest() runs. */
    struct iovec *iov = count <= FEW_PARTS ? few : arena_alloc(c->arena, (size_t)count * sizeof *iov);
    TRY(write_head(c, o, body_n));
    size_t head_n = c->upstream->head.n;
    iov[0] = iov_of(buf_str(&c->upstream->head));
    for (size_t i = 0; i < o->body_parts; i++)
        iov[i + 1] = iov_of(o->body[i]);
    err_t e = conn_try_writev(&c->pc->conn, iov, count < PARTS_PER_WRITE ? count : PARTS_PER_WRITE, &n);
    if (UNLIKELY(e))
        return after_broken_write(c, e, arena_str(c->arena, str_from_c(err_detail(e))).p);
    count_sent(c, n);
    if (LIKELY(n == head_n + body_n && !o->source)) {
        c->sent = true;
        return OK;
    }
    c->times->sent_any = true; /* TLS may have sent part of a record */
    int used = iov_advance(iov, count, n);
    own_head(c, &iov[used], n < head_n ? head_n - n : 0);
    return send_rest(c, o, iov + used, count - used);
}
