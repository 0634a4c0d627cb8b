/*
 * http_server.c - listeners, and the life of a connection between accept and close.
 *
 * A connection that waits for its client is a plain struct with a callback on its socket. When bytes come, the
 * callback spawns a fiber, which serves the requests that have arrived (http1_server.c) and ends; or, once the client
 * is known to speak HTTP/2, hands the connection to a session (http2_server.c), whose fibers come and go likewise.
 * What a client speaks is found out by the first fiber: on a TLS listener by the handshake and ALPN, on a plain one
 * by the preface of HTTP/2, which no HTTP/1 request begins with.
 *
 * While a request is handled nobody reads the socket, so the same callback sees the client leave, and cancels the
 * fiber. Bytes of a further request do not count as leaving and stay in the kernel, which is the back-pressure on
 * pipelining. A client that shuts down its sending side counts as gone, as it does for nginx: most of those are gone,
 * and the rest cannot be told apart.
 *
 * Invariants: a connection stands in one place; one in PLACE_IDLE or PLACE_LINGER has no fiber; fibers are children
 * of the scope in http_server_run(), which ends before the connections that are left are freed. This file knows
 * nothing of messages.
 */
#include "net/http_server.h"

#include "base/mem.h"
#include "net/http_server_int.h"
#include "rt/loop.h"

struct listener {
    struct list link;
    struct http_server *server;
    struct sock *sock;
    struct tls_ctx *tls; /* a reference; NULL: plain */
};

struct http_limits http_limits_default(void)
{
    return (struct http_limits){
        .head_bytes = 64 * 1024,
        .head_count = 100,
        .body_bytes = 64 << 20,
        .connections = 100000,
        .streams = 256,
        .head_time = 10 * NS_SEC,
        .body_gap = 30 * NS_SEC,
        .idle_time = 75 * NS_SEC,
        .write_gap = 60 * NS_SEC,
        .memory = 256 << 20,
    };
}

/* --- places --- */

static void expire(struct server_conn *c)
{
    if (c->h2)
        http2_expire(c);
    else
        server_conn_close(c);
}

static void place_timer(struct timer *t)
{
    struct conn_list *l = CONTAINER_OF(t, struct conn_list, timer);
    ns_t now = rt_now();

    while (!list_is_empty(&l->conns)) {
        struct server_conn *c = CONTAINER_OF(l->conns.next, struct server_conn, link);
        if (ns_add(c->since, l->span) > now) {
            timer_arm(t, ns_add(c->since, l->span));
            return;
        }
        expire(c);
    }
}

void server_conn_place(struct server_conn *c, enum conn_place place)
{
    struct http_server *s = c->server;
    struct conn_list *l = &s->places[place];

    s->stats.idle_connections += (place == PLACE_IDLE) - (c->place == PLACE_IDLE);
    list_remove(&c->link);
    list_push_back(&l->conns, &c->link);
    c->place = (uint8_t)place;
    c->since = rt_now();
    if (l->span != NS_NEVER && !timer_is_armed(&l->timer))
        timer_arm(&l->timer, ns_add(c->since, l->span));
}

/* --- ends of connections --- */

static void note_if_drained(struct http_server *s)
{
    if (s->draining && s->stats.connections == 0 && s->runner)
        fiber_wake(s->runner);
}

void server_conn_close(struct server_conn *c)
{
    struct http_server *s = c->server;

    if (c->place == PLACE_IDLE)
        s->stats.idle_connections--;
    list_remove(&c->link);
    conn_close(&c->io);
    tls_ctx_unref(c->tls);
    mem_free(c);
    s->stats.connections--;
    note_if_drained(s);
}

/* Throw away what came; close at the end of the stream, on failure, and when it becomes too much. */
static void discard(struct server_conn *c)
{
    struct iobuf *b = iobuf_get();
    err_t e = OK;
    size_t n = 0;

    while (c->discarded < LINGER_BYTES) {
        e = sock_try_read(c->io.sock, b->bytes, sizeof b->bytes, &n);
        if (e != OK || n == 0)
            break;
        c->discarded += (uint32_t)n;
    }
    iobuf_put(b);
    if (e != E_AGAIN)
        server_conn_close(c);
}

void server_conn_linger(struct server_conn *c)
{
    if (c->server->stopped || sock_peer_closed(c->io.sock)) {
        server_conn_close(c);
        return;
    }
    if (c->io.tls)
        tls_goodbye(c->io.tls);
    if (sock_shutdown(c->io.sock) != OK) {
        server_conn_close(c);
        return;
    }
    server_conn_place(c, PLACE_LINGER);
    discard(c);
}

/* --- writing --- */

/* What failed on the way to the client, as its handler is to see it. */
static err_t left(err_t e)
{
    switch (e) {
    case E_CANCELLED:
    case E_DEADLINE:
        return e;
    case E_AGAIN:
        return fail(E_CANCELLED, "the client takes no more bytes");
    default:
        return fail(E_CANCELLED, "the client left: %s", err_detail(e));
    }
}

/* TLS does its own waiting, and tells nothing of progress: a time for all, in which a client of SLOWEST bytes a
 * second gets through. */
static NOINLINE SUSPENDS err_t write_tls(struct server_conn *c, struct iovec *iov, int count)
{
    enum { SLOWEST = 4096 };
    size_t total = 0;

    for (int i = 0; i < count; i++)
        total += iov[i].iov_len;
    ns_t by = ns_add(ns_add(rt_now(), c->server->options.limits.write_gap), (ns_t)(total / SLOWEST) * NS_SEC);
    bool ours = by < fiber_deadline();
    WITHIN(by);
    err_t e = conn_writev(&c->io, iov, count);
    return e == OK ? OK : left(e == E_DEADLINE && ours ? E_AGAIN : e);
}

static NOINLINE SUSPENDS err_t write_slowly(struct server_conn *c, struct iovec *iov, int count)
{
    while (count > 0) {
        size_t n;
        err_t e = sock_wait_writable(c->io.sock, ns_add(rt_now(), c->server->options.limits.write_gap));
        if (e == OK)
            e = sock_try_writev(c->io.sock, iov, count, &n);
        if (e != OK)
            return left(e);
        int used = iov_advance(iov, count, n);
        iov += used;
        count -= used;
    }
    return OK;
}

err_t server_conn_writev(struct server_conn *c, struct iovec *iov, int count)
{
    size_t n;
    err_t e = conn_try_writev(&c->io, iov, count, &n);

    if (UNLIKELY(e != OK))
        return left(e);
    int used = iov_advance(iov, count, n);
    if (LIKELY(used == count))
        return OK;
    return c->io.tls ? write_tls(c, iov + used, count - used) : write_slowly(c, iov + used, count - used);
}

/* --- the first fiber of a connection finds out what it speaks --- */

static SUSPENDS err_t shake_hands(struct server_conn *c)
{
    struct tls_ctx *ctx = c->tls;
    WITHIN(ns_add(c->since, c->server->options.limits.head_time));
    err_t e = tls_accept(ctx, c->io.sock, &c->io.tls);

    c->tls = NULL;
    tls_ctx_unref(ctx);
    return e;
}

/* Read until the preface of HTTP/2 is there, or cannot come any more. */
static SUSPENDS err_t look_for_preface(struct server_conn *c, struct iobuf *b, bool *ret_is_h2)
{
    ns_t until = ns_add(c->since, c->server->options.limits.head_time);

    for (;;) {
        size_t n;
        err_t e = conn_try_read(&c->io, b->bytes + b->to, sizeof b->bytes - b->to, &n);
        if (e == E_AGAIN) {
            TRY(conn_wait_readable(&c->io, until));
            continue;
        }
        TRY(e);
        if (n == 0)
            return fail(E_EOF, "the client closed the connection");
        b->to += n;
        int is_h2 = http1_is_h2_preface(iobuf_unread(b));
        if (is_h2 >= 0) {
            *ret_is_h2 = is_h2 > 0;
            return OK;
        }
    }
}

static SUSPENDS err_t identify(struct server_conn *c, struct iobuf **ret_in, bool *ret_is_h2)
{
    if (c->tls) {
        TRY(shake_hands(c));
        *ret_is_h2 = str_eq(tls_alpn(c->io.tls), STR("h2"));
        return OK;
    }
    *ret_in = iobuf_get();
    err_t e = look_for_preface(c, *ret_in, ret_is_h2);
    if (e == E_AGAIN) { /* "PRI" and no more: whatever it is, it is a slow head */
        *ret_is_h2 = false;
        return OK;
    }
    if (e != OK) {
        iobuf_put(*ret_in);
        *ret_in = NULL;
    }
    return e;
}

/* False: the connection was closed, or has become a session of HTTP/2. */
static NOINLINE SUSPENDS bool meet(struct server_conn *c, struct iobuf **ret_in)
{
    bool is_h2 = false;

    if (identify(c, ret_in, &is_h2) != OK) {
        server_conn_close(c);
        return false;
    }
    c->known = true;
    if (is_h2) {
        c->fiber = NULL;
        http2_start(c, *ret_in);
    }
    return !is_h2;
}

static SUSPENDS err_t conn_run(void *arg)
{
    struct server_conn *c = arg;
    struct iobuf *in = NULL;

    if (LIKELY(c->known) || meet(c, &in))
        http1_serve(c, in);
    return OK;
}

static void on_event(struct sock *sock, void *ctx)
{
    struct server_conn *c = ctx;

    if (c->h2) {
        http2_event(c);
        return;
    }
    switch ((enum conn_place)c->place) {
    case PLACE_IDLE:
        if (c->server->stopped)
            break;
        server_conn_place(c, PLACE_BUSY);
        c->fiber = scope_spawn(c->server->scope, "http request", conn_run, c);
        break;
    case PLACE_BUSY:
        if (sock_peer_closed(sock) && c->fiber)
            fiber_cancel(c->fiber);
        break;
    case PLACE_LINGER:
        discard(c);
        break;
    case PLACE_HEAD: /* HTTP/2 only */
    case PLACE_COUNT:
        break;
    }
}

/* --- listeners --- */

/* Takes `sock`. */
static void take(struct listener *l, struct sock *sock, const struct addr *peer)
{
    struct http_server *s = l->server;

    s->stats.accepted++;
    if (s->stats.connections >= s->options.limits.connections) {
        s->stats.refused++;
        sock_close(sock);
        return;
    }
    struct server_conn *c = NEW(struct server_conn);
    *c = (struct server_conn){.io.sock = sock, .server = s, .place = PLACE_COUNT, .peer = *peer};
    c->tls = l->tls ? tls_ctx_ref(l->tls) : NULL;
    s->stats.connections++;
    server_conn_place(c, PLACE_IDLE);
    sock_on_event(sock, on_event, c);
}

static SUSPENDS err_t accept_run(void *arg)
{
    struct listener *l = arg;
    struct addr peer;

    while (l->sock) {
        struct sock *sock;
        TRY(sock_accept(l->sock, &sock, &peer));
        take(l, sock, &peer);
        TRY(fiber_tick());
    }
    return OK;
}

static void start_accepting(struct listener *l)
{
    (void)scope_spawn(l->server->scope, "http accept", accept_run, l);
}

err_t http_server_listen(struct http_server *s, const struct addr *at, enum listen_share share, struct tls_ctx *tls,
                         struct addr *ret_bound)
{
    struct sock *sock CLEANUP(sock_close_p) = NULL;

    TRY(sock_listen(at, share, &sock));
    TRY(sock_local_addr(sock, ret_bound));
    struct listener *l = NEW(struct listener);
    *l = (struct listener){.server = s, .sock = sock, .tls = tls ? tls_ctx_ref(tls) : NULL};
    sock = NULL;
    list_push_back(&s->listeners, &l->link);
    if (s->scope && !s->draining)
        start_accepting(l);
    return OK;
}

void http_server_set_tls(struct http_server *s, struct tls_ctx *tls)
{
    LIST_EACH(node, next, &s->listeners) {
        struct listener *l = CONTAINER_OF(node, struct listener, link);
        if (!l->tls)
            continue;
        tls_ctx_unref(l->tls);
        l->tls = tls_ctx_ref(tls);
    }
}

/* An accepter that still waits is woken and ends. */
static void stop_listening(struct http_server *s)
{
    LIST_EACH(node, next, &s->listeners) {
        struct listener *l = CONTAINER_OF(node, struct listener, link);
        sock_close(l->sock);
        l->sock = NULL;
    }
}

/* --- the server --- */

struct http_server *http_server_new(const struct http_server_options *options)
{
    struct http_server *s = NEW(struct http_server);
    const struct http_limits *limits = &options->limits;
    const ns_t spans[PLACE_COUNT] = {
        [PLACE_IDLE] = limits->idle_time,
        [PLACE_BUSY] = NS_NEVER,
        [PLACE_HEAD] = limits->head_time,
        [PLACE_LINGER] = LINGER_TIME,
    };

    s->options = *options;
    s->date_until = INT64_MIN;
    list_init(&s->listeners);
    for (int i = 0; i < PLACE_COUNT; i++) {
        list_init(&s->places[i].conns);
        s->places[i].span = spans[i];
        s->places[i].timer.fire = place_timer;
    }
    return s;
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    stop_listening(s);
    struct list *node;
    while ((node = list_pop_front(&s->listeners))) {
        struct listener *l = CONTAINER_OF(node, struct listener, link);
        tls_ctx_unref(l->tls);
        mem_free(l);
    }
    http1_streams_free(s);
    http2_streams_free(s);
    mem_free(s);
}

static SUSPENDS err_t serve(struct http_server *s)
{
    SCOPE(scope, NS_NEVER);
    scope_discard_results(&scope);
    s->scope = &scope;
    LIST_EACH(node, next, &s->listeners) {
        struct listener *l = CONTAINER_OF(node, struct listener, link);
        if (l->sock)
            start_accepting(l);
    }
    err_t e = OK;
    while (e == OK && !(s->draining && s->stats.connections == 0))
        e = fiber_park("serving http", NS_NEVER);
    s->stopped = true;
    stop_listening(s);
    return e;
}

err_t http_server_run(struct http_server *s)
{
    s->runner = fiber_current();
    err_t e = serve(s);
    s->scope = NULL;
    s->runner = NULL;
    for (int i = 0; i < PLACE_COUNT; i++) {
        LIST_EACH(node, next, &s->places[i].conns) {
            struct server_conn *c = CONTAINER_OF(node, struct server_conn, link);
            if (c->h2)
                http2_destroy(c);
            else
                server_conn_close(c);
        }
        timer_disarm(&s->places[i].timer);
    }
    return e;
}

static void drain_conn(struct server_conn *c)
{
    if (c->h2)
        http2_drain(c);
    else if (c->place == PLACE_IDLE && !conn_is_readable(&c->io))
        server_conn_close(c);
}

void http_server_drain(struct http_server *s)
{
    if (s->draining)
        return;
    s->draining = true;
    stop_listening(s);
    for (int i = 0; i < PLACE_COUNT; i++) {
        LIST_EACH(node, next, &s->places[i].conns)
            drain_conn(CONTAINER_OF(node, struct server_conn, link));
    }
    note_if_drained(s);
}

void http_server_stats(const struct http_server *s, struct http_server_stats *ret)
{
    *ret = s->stats;
}

struct str server_date(struct http_server *s)
{
    if (UNLIKELY(rt_now() >= s->date_until)) {
        int64_t wall = rt_wall();
        http_date(s->date, wall / NS_SEC);
        s->date_until = ns_add(rt_now(), NS_SEC - wall % NS_SEC);
    }
    return str_of(s->date, sizeof s->date);
}
