/*
 * server_world.h - an HTTP server with a handler for every habit, and raw clients to play against it.
 *
 *     SERVER_TEST(a_test, l->head_time = 20 * NS_MS)      // any number of changes to the limits
 *     {
 *         struct client *c = dial(w);
 *         say(c, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
 *         CHECK_EQ(hear(c).status, 200);
 *     }
 *
 * Every such test runs three times: in the simulated world, where time is virtual and segments are delayed at random,
 * in the clear and over TLS; and on the loopback interface of the kernel. At its end the server is stopped, unless the
 * test has done so, and must have closed every connection.
 */
#ifndef UNIT_SERVER_WORLD_H
#define UNIT_SERVER_WORLD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/prng.h"
#include "net/conn.h"
#include "net/http_server.h"
#include "net/iobuf.h"
#include "net_certs.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/sim_world.h"
#include "rt/sock.h"
#include "unit/test.h"

#include <string.h>

struct world {
    struct http_server *server;
    struct scope *scope;
    struct fiber *running; /* the server; NULL: it has ended */
    err_t result;
    struct addr at;
    struct arena arena;
    struct prng prng; /* for tests that do things at random */
    /* Over TLS: the server's context; clients that offer HTTP/1.1 alone, and HTTP/2 too. */
    struct tls_ctx *tls, *tls_client1, *tls_client2;
    /* What handlers did. */
    unsigned begun, ended;
    unsigned good;        /* right answers that random clients have got */
    err_t handler_result; /* of the last one */
    int handler_refusal;
    uint64_t sent;       /* bytes that /big has written */
    unsigned given_back; /* objects that arenas of requests held */
    bool released;       /* what /held waits for        */
    struct fiber *held;
};

struct client {
    struct world *world;
    struct conn io;
    struct buf got; /* heard and not looked at yet */
};

struct answer {
    int status; /* 0: none came, or it was cut off */
    struct http_head head;
    struct str body;
    struct str trailers; /* "name=value;" of each */
};

enum { BIG_PIECE = 16 * 1024, BIG_PIECES = 4096, PARTS = 50, LARGE_FIELD = 24000 };

/* --- the handler --- */

static err_t reply_str(struct http_request *r, int status, struct str body) SUSPENDS;
static err_t reply_str(struct http_request *r, int status, struct str body)
{
    static const struct http_header type = {STR_INIT("Content-Type"), STR_INIT("text/x-test")};
    const struct http_reply reply = {.status = status, .headers = &type, .count = 1};

    return http_reply_whole(r, &reply, body);
}

static err_t begin_reply(struct http_request *r, int64_t length)
{
    return http_reply_begin(r, &(struct http_reply){.status = 200, .length = length});
}

/* Send the body back piece by piece, as it comes. */
static err_t handle_relay(struct http_request *r) SUSPENDS;
static err_t handle_relay(struct http_request *r)
{
    TRY(begin_reply(r, -1));
    for (;;) {
        struct str piece;
        TRY(http_body_next(r, &piece));
        if (!piece.p)
            return http_reply_finish(r, NULL, 0);
        TRY(http_reply_write(r, &piece, 1));
    }
}

static err_t handle_big(struct http_request *r, struct world *w) SUSPENDS;
static err_t handle_big(struct http_request *r, struct world *w)
{
    char *memory = arena_zalloc(r->arena, BIG_PIECE);
    struct str piece = str_of(memory, BIG_PIECE);

    TRY(begin_reply(r, (int64_t)BIG_PIECE * BIG_PIECES));
    for (int i = 0; i < BIG_PIECES; i++) {
        TRY(i < BIG_PIECES - 1 ? http_reply_write(r, &piece, 1) : http_reply_finish(r, &piece, 1));
        w->sent += BIG_PIECE;
    }
    return OK;
}

/* Three events, each a write of its own, with a wait between. */
static err_t handle_events(struct http_request *r) SUSPENDS;
static err_t handle_events(struct http_request *r)
{
    TRY(begin_reply(r, -1));
    for (int i = 0; i < 3; i++) {
        struct str parts[] = {STR("data: "), arena_printf(r->arena, "%d", i), STR("\n\n")};
        TRY(http_reply_write(r, parts, 3));
        TRY(fiber_sleep_until(rt_now() + 5 * NS_MS));
    }
    return http_reply_finish(r, NULL, 0);
}

static err_t handle_held(struct http_request *r, struct world *w) SUSPENDS;
static err_t handle_held(struct http_request *r, struct world *w)
{
    w->held = fiber_current();
    while (!w->released) {
        err_t e = fiber_park("the test", NS_NEVER);
        if (e != OK) {
            w->held = NULL;
            return e;
        }
    }
    w->held = NULL;
    return reply_str(r, 200, STR("released"));
}

/* Takes its time to leave when it is cancelled. */
static err_t handle_stubborn(void) SUSPENDS;
static err_t handle_stubborn(void)
{
    err_t e = fiber_sleep_until(NS_NEVER);

    SHIELD(ns_add(rt_now(), 10 * NS_SEC));
    (void)!fiber_sleep_until(rt_now() + 300 * NS_MS);
    return e;
}

/* All that a handler can know of its request, a line each. */
static err_t handle_info(struct http_request *r) SUSPENDS;
static err_t handle_info(struct http_request *r)
{
    struct str cookie = http_request_header(r, STR("Cookie"));
    struct str host = http_request_header(r, STR("host"));
    struct str text = arena_printf(r->arena, "%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%d|%d|%lld", STR_ARG(r->head.method),
                                   STR_ARG(r->head.path), STR_ARG(r->head.query), STR_ARG(r->head.host), STR_ARG(host),
                                   STR_ARG(cookie), r->http2, r->secure, (long long)http_body_length(r));
    return reply_str(r, 200, text);
}

static err_t handle_wrong_length(struct http_request *r, bool more) SUSPENDS;
static err_t handle_wrong_length(struct http_request *r, bool more)
{
    struct str five = STR("five.");

    TRY(begin_reply(r, more ? 4 : 6));
    return http_reply_finish(r, &five, 1);
}

static err_t handle_abort(struct http_request *r) SUSPENDS;
static err_t handle_abort(struct http_request *r)
{
    struct str some = STR("some");

    TRY(begin_reply(r, -1));
    TRY(http_reply_write(r, &some, 1));
    TRY(http_reply_flush(r));
    http_reply_abort(r);
    return http_reply_finish(r, &some, 1);
}

/* Many parts in one write, after a count of what the arena was given to hold. */
static void give_back(void *ctx)
{
    ((struct world *)ctx)->given_back++;
}

static err_t handle_parts(struct http_request *r, struct world *w) SUSPENDS;
static err_t handle_parts(struct http_request *r, struct world *w)
{
    struct str *parts = arena_alloc(r->arena, PARTS * sizeof *parts);

    arena_hold(r->arena, w, give_back);
    for (int i = 0; i < PARTS; i++)
        parts[i] = i % 5 ? arena_printf(r->arena, "%0100d", i) : STR_NONE;
    TRY(begin_reply(r, -1));
    TRY(http_reply_write(r, parts, PARTS));
    return http_reply_finish(r, parts, PARTS);
}

static err_t handle_bad_header(struct http_request *r) SUSPENDS;
static err_t handle_bad_header(struct http_request *r)
{
    const struct http_header bad = {STR_INIT("x"), STR_INIT("a\r\nset-cookie: b")};

    return http_reply_whole(r, &(struct http_reply){.status = 200, .headers = &bad, .count = 1}, STR("never"));
}

/* Headers that only the server may set. */
static err_t handle_hop(struct http_request *r) SUSPENDS;
static err_t handle_hop(struct http_request *r)
{
    const struct http_header mine[] = {
        {STR_INIT("Connection"), STR_INIT("x-odd")},
        {STR_INIT("Keep-Alive"), STR_INIT("timeout=1")},
        {STR_INIT("Transfer-Encoding"), STR_INIT("gzip")},
        {STR_INIT("Content-Length"), STR_INIT("1")},
        {STR_INIT("X-Mine"), STR_INIT("yes")},
        {STR_INIT("Server"), STR_INIT("mine")},
    };

    return http_reply_whole(r, &(struct http_reply){.status = 200, .headers = mine, .count = ARRAY_LEN(mine)},
                            STR("hop"));
}

/* As many bytes as fit into the first window of HTTP/2, and the end in a write of its own. */
static err_t handle_window(struct http_request *r) SUSPENDS;
static err_t handle_window(struct http_request *r)
{
    struct str bytes = str_of(arena_zalloc(r->arena, 65535), 65535);

    TRY(begin_reply(r, -1));
    TRY(http_reply_write(r, &bytes, 1));
    return http_reply_finish(r, NULL, 0);
}

/* A head larger than any buffer. */
static err_t handle_large_head(struct http_request *r) SUSPENDS;
static err_t handle_large_head(struct http_request *r)
{
    struct str large = str_of(memset(arena_alloc(r->arena, LARGE_FIELD), 'z', LARGE_FIELD), LARGE_FIELD);
    const struct http_header fields[] = {{STR_INIT("a"), large}, {STR_INIT("b"), large}};

    return http_reply_whole(r, &(struct http_reply){.status = 200, .headers = fields, .count = 2}, STR("large"));
}

static err_t handle_body(struct http_request *r, uint64_t max) SUSPENDS;
static err_t handle_body(struct http_request *r, uint64_t max)
{
    struct str body;

    TRY(http_body_all(r, max, &body));
    return reply_str(r, 200, body);
}

/* An answer that ends in trailer fields. The query says what is special about it. */
static err_t handle_trailers(struct http_request *r) SUSPENDS;
static err_t handle_trailers(struct http_request *r)
{
    enum { MANY = 40, LARGE = 4 << 20 };
    struct str what = r->head.query, parts[MANY];
    char sum[] = "1234567";
    struct http_header fields[] = {{STR("X-Sum"), str_of(sum, 7)}, {STR("x-note"), STR("a b")}};
    struct str large = str_of(arena_zalloc(r->arena, LARGE), LARGE);
    bool is_many = str_eq(what, STR("many"));

    for (int i = 0; i < MANY; i++)
        parts[i] = is_many ? arena_printf(r->arena, "%0100d", i) : STR("body");
    if (str_eq(what, STR("framing")))
        fields[0].name = STR("Content-Length");
    if (str_eq(what, STR("split")))
        fields[0].value = STR("a\r\nset-cookie: b");
    if (str_eq(what, STR("long")))
        fields[1].value = str_of(large.p, HTTP_TRAILERS_MAX);
    TRY(http_reply_begin(r, &(struct http_reply){.status = str_eq(what, STR("none")) ? 204 : 200,
                                                 .length = str_eq(what, STR("told")) ? 4 : -1,
                                                 .trailer = STR("X-Sum, x-note")}));
    if (str_eq(what, STR("large")))
        TRY(http_reply_write(r, &large, 1));
    if (str_eq(what, STR("window")))
        TRY(http_reply_write(r, &(struct str){large.p, 65535}, 1));
    TRY(http_reply_trailers(r, fields, ARRAY_LEN(fields)));
    memset(sum, 'x', sizeof sum); /* what is needed of it was copied */
    bool is_empty = str_eq(what, STR("empty")) || str_eq(what, STR("window"));
    return http_reply_finish(r, parts, is_empty ? 0 : is_many ? MANY : 1);
}

static err_t handle_flushed(struct http_request *r, struct world *w) SUSPENDS;
static err_t handle_flushed(struct http_request *r, struct world *w)
{
    TRY(begin_reply(r, 8));
    TRY(http_reply_flush(r));
    while (!w->released) {
        w->held = fiber_current();
        TRY(fiber_park("the test", NS_NEVER));
    }
    return http_reply_finish(r, &STR("flushed!"), 1);
}

static err_t handle_path(struct http_request *r, struct world *w) SUSPENDS;
static err_t handle_path(struct http_request *r, struct world *w)
{
    struct str path = r->head.path;

    if (str_eq(path, STR("/echo")))
        return handle_body(r, 16 << 20);
    if (str_eq(path, STR("/ten")))
        return handle_body(r, 10);
    if (str_eq(path, STR("/relay")))
        return handle_relay(r);
    if (str_eq(path, STR("/big")))
        return handle_big(r, w);
    if (str_eq(path, STR("/events")))
        return handle_events(r);
    if (str_eq(path, STR("/held")))
        return handle_held(r, w);
    if (str_eq(path, STR("/stubborn")))
        return handle_stubborn();
    if (str_eq(path, STR("/flushed")))
        return handle_flushed(r, w);
    if (str_eq(path, STR("/info")))
        return handle_info(r);
    if (str_eq(path, STR("/fail")))
        return fail(E_UPSTREAM, "it did not work out");
    if (str_eq(path, STR("/silent")))
        return OK;
    if (str_eq(path, STR("/short")) || str_eq(path, STR("/long")))
        return handle_wrong_length(r, str_eq(path, STR("/long")));
    if (str_eq(path, STR("/abort")))
        return handle_abort(r);
    if (str_eq(path, STR("/bad-header")))
        return handle_bad_header(r);
    if (str_eq(path, STR("/large-head")))
        return handle_large_head(r);
    if (str_eq(path, STR("/window")))
        return handle_window(r);
    if (str_eq(path, STR("/trailers")))
        return handle_trailers(r);
    if (str_eq(path, STR("/hop")))
        return handle_hop(r);
    if (str_eq(path, STR("/parts")))
        return handle_parts(r, w);
    if (str_eq(path, STR("/204")))
        return http_reply_whole(r, &(struct http_reply){.status = 204}, STR(""));
    return reply_str(r, 200, STR("hello"));
}

static err_t handle(struct http_request *r, void *ctx) SUSPENDS;
static err_t handle(struct http_request *r, void *ctx)
{
    struct world *w = ctx;

    w->begun++;
    err_t e = handle_path(r, w);
    w->handler_result = e;
    w->handler_refusal = r->refusal;
    w->ended++;
    return e;
}

/* "[status method path] message" */
static struct str say_refusal(const struct http_refusal *refusal, struct arena *arena, struct str *ret_type)
{
    *ret_type = STR("text/x-refusal");
    return arena_printf(arena, "[%d %.*s %.*s] %.*s", refusal->status, STR_ARG(refusal->method), STR_ARG(refusal->path),
                        STR_ARG(refusal->message));
}

/* --- clients --- */

/* Let everything that can happen without waiting for long happen: in simulation segments take up to two
 * milliseconds. */
static UNUSED void settle(void) SUSPENDS;
static UNUSED void settle(void)
{
    struct loop_stats now;

    if (loop_seams()->simulated) {
        (void)!fiber_sleep_until(rt_now() + 20 * NS_MS);
        return;
    }
    loop_stats(&now);
    for (uint64_t until = now.turns + 6; now.turns < until; loop_stats(&now)) {
        if (fiber_yield() != OK)
            return;
    }
}

/* Wait until `*flag` differs from `value`, at most ten seconds. */
static UNUSED bool await_change(const unsigned *flag, unsigned value) SUSPENDS;
static UNUSED bool await_change(const unsigned *flag, unsigned value)
{
    for (ns_t until = rt_now() + 10 * NS_SEC; *flag == value && rt_now() < until;) {
        if (fiber_sleep_until(rt_now() + NS_MS / 4) != OK)
            return false;
    }
    return *flag != value;
}

static UNUSED void release(struct world *w)
{
    w->released = true;
    if (w->held)
        fiber_wake(w->held);
}

static UNUSED struct client *dial_with(struct world *w, struct tls_ctx *tls) SUSPENDS;
/* A connection; without one (refused, no handshake) a client that cannot speak. */
static UNUSED struct client *dial_with(struct world *w, struct tls_ctx *tls)
{
    struct client *c = arena_new(&w->arena, struct client);

    c->world = w;
    buf_init(&c->got, 256 << 20);
    arena_hold(&w->arena, &c->got, (void (*)(void *))buf_release);
    if (sock_connect(&w->at, &c->io.sock) != OK)
        c->io.sock = NULL;
    else if (tls && tls_connect(tls, c->io.sock, STR("localhost"), &c->io.tls) != OK)
        conn_close(&c->io);
    return c;
}

static UNUSED struct client *dial(struct world *w) SUSPENDS;
static UNUSED struct client *dial(struct world *w)
{
    return dial_with(w, w->tls_client1);
}

static UNUSED void hang_up(struct client *c)
{
    if (c->io.sock)
        conn_close(&c->io);
    buf_release(&c->got);
}

static UNUSED bool say_bytes(struct client *c, struct str bytes) SUSPENDS;
static UNUSED bool say_bytes(struct client *c, struct str bytes)
{
    return c->io.sock && conn_write(&c->io, bytes) == OK;
}

static UNUSED bool say(struct client *c, const char *text) SUSPENDS;
static UNUSED bool say(struct client *c, const char *text)
{
    return say_bytes(c, str_from_c(text));
}

/* Read once; false at the end. */
static UNUSED bool listen_on(struct client *c) SUSPENDS;
static UNUSED bool listen_on(struct client *c)
{
    size_t n = 0;
    char *to = buf_reserve(&c->got, 64 * 1024);

    if (!to || !c->io.sock || conn_read(&c->io, to, 64 * 1024, &n) != OK)
        return false;
    c->got.n += n;
    return n > 0;
}

/* Has the server closed, without a byte more? Hangs up. */
static UNUSED bool hears_end(struct client *c) SUSPENDS;
static UNUSED bool hears_end(struct client *c)
{
    size_t before = c->got.n;
    bool more = true;

    while (more && c->got.n == before)
        more = listen_on(c);
    bool in_time = rt_now() < fiber_deadline();
    hang_up(c);
    return in_time && !more && before == 0;
}

/* Has nothing come, and not the end either? */
static UNUSED bool hears_nothing(struct client *c) SUSPENDS;
static UNUSED bool hears_nothing(struct client *c)
{
    char byte;
    size_t n;

    settle();
    return c->got.n == 0 && c->io.sock && conn_try_read(&c->io, &byte, 1, &n) == E_AGAIN;
}

static UNUSED struct answer hear_answer(struct client *c, bool to_head) SUSPENDS;
/* The next answer; what is behind it stays. */
static UNUSED struct answer hear_answer(struct client *c, bool to_head)
{
    struct arena *arena = &c->world->arena;
    struct http1 *h = arena_new(arena, struct http1);
    struct buf body = BUF_INIT(256 << 20);
    struct answer a = {0};
    struct http_head *head = arena_new(arena, struct http_head);

    http1_init(h, HTTP1_RESPONSE, NULL);
    http1_begin(h, arena, head);
    if (to_head)
        http1_expect_no_body(h);
    for (enum http1_event event = HTTP1_MORE; event != HTTP1_END && event != HTTP1_ERROR;) {
        struct str in = buf_str(&c->got), piece;
        event = http1_next(h, &in, &piece);
        if (event == HTTP1_BODY)
            (void)buf_add(&body, piece);
        buf_consume(&c->got, c->got.n - in.n);
        if (event == HTTP1_MORE && !listen_on(c)) {
            event = http1_eof(h);
            if (event == HTTP1_MORE)
                break;
        }
        a.status = event == HTTP1_END ? head->status : 0;
    }
    a.head = *head;
    a.body = arena_str(arena, buf_str(&body));
    buf_clear(&body);
    size_t count;
    const struct http_header *trailers = http1_trailers(h, &count);
    for (size_t i = 0; i < count; i++)
        (void)buf_addf(&body, "%.*s=%.*s;", STR_ARG(trailers[i].name), STR_ARG(trailers[i].value));
    a.trailers = arena_str(arena, buf_str(&body));
    buf_release(&body);
    return a;
}

static UNUSED struct answer hear(struct client *c) SUSPENDS;
static UNUSED struct answer hear(struct client *c)
{
    return hear_answer(c, false);
}

static UNUSED bool says_close(const struct answer *a)
{
    return str_eq(http_head_find(&a->head, STR("connection")), STR("close"));
}

/* What /parts answers. */
static UNUSED bool is_parts(struct str body)
{
    size_t n = 0;

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < PARTS; i++) {
            uint64_t value;
            if (i % 5 == 0)
                continue;
            if (!str_to_u64(str_slice(body, n, n + 100), PARTS, &value) || value != (uint64_t)i)
                return false;
            n += 100;
        }
    }
    return n == body.n;
}

/* --- the world --- */

static err_t run_server(void *arg) SUSPENDS;
static err_t run_server(void *arg)
{
    struct world *w = arg;

    w->result = http_server_run(w->server);
    w->running = NULL;
    return OK;
}

/* Stop the server, if it runs, and wait for its end. */
static UNUSED void stop_server(struct world *w) SUSPENDS;
static UNUSED void stop_server(struct world *w)
{
    while (w->running) {
        fiber_cancel(w->running);
        if (fiber_yield() != OK)
            return;
    }
}

struct server_test {
    void (*body)(struct world *w) SUSPENDS;
    void (*limits)(struct http_server_options *o);
    bool secure;
    uint64_t seed;
};

static UNUSED void drop_tls(void *ctx)
{
    tls_ctx_unref(ctx);
}

static UNUSED struct tls_ctx *server_tls(struct world *w, const struct cert *cert)
{
    struct tls_ctx *tls = NULL;

    if (tls_server_ctx(&(struct tls_server_options){cert->cert_pem, cert->key_pem, .http2 = true}, &tls) != OK)
        die("%s", err_current()->text);
    arena_hold(&w->arena, tls, drop_tls);
    return tls;
}

static UNUSED struct tls_ctx *client_tls(struct world *w, const struct cert *trusted, bool http2)
{
    struct tls_ctx *tls = NULL;

    if (tls_client_ctx(&(struct tls_client_options){.ca_pem = trusted->cert_pem, .http2 = http2}, &tls) != OK)
        die("%s", err_current()->text);
    arena_hold(&w->arena, tls, drop_tls);
    return tls;
}

static UNUSED struct cert *make_cert(struct world *w)
{
    return cert_make(&w->arena,
                     &(struct cert_options){.name = "localhost", .alternatives = "DNS:localhost", .authority = true});
}

static UNUSED void make_tls(struct world *w)
{
    struct cert *cert = make_cert(w);

    w->tls = server_tls(w, cert);
    w->tls_client1 = client_tls(w, cert, false);
    w->tls_client2 = client_tls(w, cert, true);
}

static UNUSED void play(const struct server_test *t, struct world *w) SUSPENDS;
static UNUSED void play(const struct server_test *t, struct world *w)
{
    struct http_server_options o = {
        .limits = http_limits_default(), .handler = handle, .ctx = w, .refusal = say_refusal, .server_name = "test"};
    struct addr any;

    t->limits(&o);
    w->server = http_server_new(&o);
    CHECK_OK(addr_parse(STR("127.0.0.1:0"), &any));
    CHECK_OK(http_server_listen(w->server, &any, LISTEN_ALONE, w->tls, &w->at));
    w->running = scope_spawn(w->scope, "server", run_server, w);
    t->body(w);
}

static UNUSED err_t world_main(void *arg) SUSPENDS;
static UNUSED err_t world_main(void *arg)
{
    const struct server_test *t = arg;
    struct world w = {0};
    struct http_server_stats stats;

    arena_init(&w.arena, SIZE_MAX / 2);
    prng_seed(&w.prng, t->seed);
    if (t->secure)
        make_tls(&w);
    {
        SCOPE(scope, ns_add(rt_now(), 1000 * NS_SEC));
        scope_discard_results(&scope);
        w.scope = &scope;
        {
            WITHIN(ns_add(rt_now(), loop_seams()->simulated ? 900 * NS_SEC : 20 * NS_SEC));
            play(t, &w);
        }
        stop_server(&w);
    }
    http_server_stats(w.server, &stats);
    if (stats.connections || stats.idle_connections || stats.requests || w.begun != w.ended)
        test_fail_(__FILE__, __LINE__, "left: %u connections, %u idle, %u requests", stats.connections,
                   stats.idle_connections, stats.requests);
    http_server_free(w.server);
    iobuf_drain();
    arena_release(&w.arena);
    return OK;
}

static UNUSED void in_one_world(const struct server_test *t, const struct seams *seams, const char *name)
{
    if (test_failed())
        return;
    test_context("%s", name);
    err_t e = loop_run(&(struct loop_options){.seams = seams}, world_main, (void *)(uintptr_t)t);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
}

static UNUSED void in_all_worlds(struct server_test t)
{
    for (int i = 0; i < 2; i++) {
        struct sim_world *sim = sim_world_new(&(struct sim_options){.seed = test_seed()});
        t.secure = i == 1;
        in_one_world(&t, sim_world_seams(sim), t.secure ? "simulated, TLS" : "simulated");
        sim_world_free(sim);
    }
    t.secure = false;
    in_one_world(&t, seams_real(), "kernel");
    test_context("%s", "");
}

/* In worlds where everything goes wrong at times: what the server still owes is checked by the body and by
 * world_main(). */
static UNUSED void in_faulty_worlds(struct server_test t)
{
    const struct sim_faults faults = {.connect_refused = 20,
                                      .connect_lost = 5,
                                      .reset = 10,
                                      .half_close = 10,
                                      .short_read = 200,
                                      .short_write = 200,
                                      .slow_peer = 50,
                                      .stall = 10,
                                      .spurious_event = 100,
                                      .accept_fail = 50};

    for (uint64_t round = 0; round < test_rounds(12) && !test_failed(); round++) {
        struct sim_options o = {.seed = test_seed() + round, .socket_buffer = round % 2 ? 4096 : 0, .faults = faults};
        struct sim_world *sim = sim_world_new(&o);
        struct sim_census census;
        t.seed = o.seed;
        t.secure = round % 3 == 2;
        test_context("seed %llu", (unsigned long long)o.seed);
        err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(sim)}, world_main, &t);
        sim_world_census(sim, &census);
        sim_world_free(sim);
        CHECK_MSG(e == OK, "loop: %s", err_detail(e));
        CHECK_EQ(census.open_sockets + census.open_listeners, 0);
    }
    test_context("%s", "");
}

#define SERVER_TEST(name, ...)                                                                                         \
    static void limits_of_##name(struct http_server_options *o)                                                        \
    {                                                                                                                  \
        struct http_limits *l UNUSED = &o->limits;                                                                     \
        __VA_ARGS__;                                                                                                   \
    }                                                                                                                  \
    static void body_of_##name(struct world *w) SUSPENDS;                                                              \
    TEST(name)                                                                                                         \
    {                                                                                                                  \
        in_all_worlds((struct server_test){body_of_##name, limits_of_##name, false, 0});                               \
    }                                                                                                                  \
    static void body_of_##name(struct world *w)

#endif
