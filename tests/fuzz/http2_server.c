/*
 * Fuzz target: net/http2_server.c and what is below it, whole, in the simulated world.
 *
 * The first byte chooses: bit 0 puts preface and SETTINGS in front of the input; the rest is the size of the pieces
 * that the client writes. Whatever comes, the server must neither crash, spin nor leak: after the client has left, no
 * connection, stream or handler may be left, and no socket open.
 */
#include "base/mem.h"
#include "net/http_server.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "rt/sim_world.h"
#include "rt/sock.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static const char opening[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

struct world {
    struct http_server *server;
    struct addr at;
    struct str in;
    size_t piece;
    bool with_opening;
    unsigned begun, ended;
};

static err_t echo_pieces(struct http_request *r) SUSPENDS;
static err_t echo_pieces(struct http_request *r)
{
    struct str piece;

    TRY(http_reply_begin(r, &(struct http_reply){.status = 200, .length = -1}));
    for (;;) {
        TRY(http_body_next(r, &piece));
        if (!piece.p)
            return http_reply_finish(r, NULL, 0);
        TRY(http_reply_write(r, &piece, 1));
    }
}

static err_t answer(struct http_request *r) SUSPENDS;
static err_t answer(struct http_request *r)
{
    struct str body = STR("hello");

    if (r->head.path.n > 1 && r->head.path.p[1] == 'p')
        return echo_pieces(r);
    if (r->head.path.n > 1 && r->head.path.p[1] == 'w')
        return fiber_sleep_until(ns_add(rt_now(), NS_SEC));
    if (!str_eq(r->head.method, STR("GET")))
        TRY(http_body_all(r, 100000, &body));
    return http_reply_whole(r, &(struct http_reply){.status = 200, .headers = r->head.headers, .count = r->head.count},
                            body);
}

static err_t handle(struct http_request *r, void *ctx) SUSPENDS;
static err_t handle(struct http_request *r, void *ctx)
{
    struct world *w = ctx;

    w->begun++;
    err_t e = answer(r);
    w->ended++;
    return e;
}

static err_t run_server(void *arg) SUSPENDS;
static err_t run_server(void *arg)
{
    return http_server_run(((struct world *)arg)->server);
}

/* Read what there is to read. */
static err_t listen_on(struct sock *s)
{
    char drop[2048];
    size_t n;
    err_t e;

    while ((e = sock_try_read(s, drop, sizeof drop, &n)) == OK && n > 0)
        continue;
    return e;
}

static err_t run_client(struct world *w) SUSPENDS;
static err_t run_client(struct world *w)
{
    struct sock *s CLEANUP(sock_close_p) = NULL;

    TRY(sock_connect(&w->at, &s));
    if (w->with_opening)
        TRY(sock_write(s, opening, sizeof opening - 1));
    while (w->in.n > 0) {
        struct str piece = str_slice(w->in, 0, w->piece);
        TRY(sock_write(s, piece.p, piece.n));
        w->in = str_slice(w->in, piece.n, w->in.n);
        err_t e = listen_on(s);
        if (e != E_AGAIN)
            return e;
    }
    TRY(fiber_sleep_until(ns_add(rt_now(), 100 * NS_MS)));
    (void)listen_on(s);
    return OK;
}

static err_t play(void *arg) SUSPENDS;
static err_t play(void *arg)
{
    struct world *w = arg;
    struct http_server_options o = {
        .limits = http_limits_default(), .handler = handle, .ctx = w, .server_name = "fuzz"};
    struct http_server_stats stats;
    struct addr any;

    o.limits.head_bytes = 4096;
    o.limits.streams = 20;
    TRY(addr_parse(STR("127.0.0.1:0"), &any));
    w->server = http_server_new(&o);
    TRY(http_server_listen(w->server, &any, LISTEN_ALONE, NULL, &w->at));
    {
        SCOPE(scope, ns_add(rt_now(), 500 * NS_SEC));
        (void)scope_spawn(&scope, "server", run_server, w);
        err_t e = run_client(w);
        REQUIRE(e != E_DEADLINE);
        TRY(fiber_sleep_until(ns_add(rt_now(), 10 * NS_SEC)));
        http_server_stats(w->server, &stats);
        REQUIRE(stats.connections == 0 && stats.requests == 0 && w->begun == w->ended);
    }
    http_server_free(w->server);
    iobuf_drain();
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct world w = {.in = str_of((const char *)data + 1, n - 1),
                      .piece = 1 + (size_t)(data[0] >> 1) * 64,
                      .with_opening = data[0] & 1};
    struct sim_world *sim = sim_world_new(&(struct sim_options){.seed = 1});
    struct sim_census census;
    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(sim)}, play, &w);

    REQUIRE(e == OK);
    sim_world_census(sim, &census);
    REQUIRE(census.open_sockets == 0 && census.open_listeners == 0);
    sim_world_free(sim);
    return 0;
}
