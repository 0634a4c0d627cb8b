/*
 * Fuzz target: what the HTTP client makes of any bytes that a server may send. The production client runs in a simulated world;
 * a peer plays the input and closes. Played whole, and in small pieces by another world: both must end the same way. An answer that
 * is accepted must have the same status and content.
 */
#include "net/dns.h"
#include "net/http_client.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/sim_world.h"

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

enum { CONTENT_MAX = 1 << 20 };

struct run {
    struct str answer;
    struct sock *listener;
    uint16_t port;
    struct arena arena;
    err_t error;
    int status;
    struct buf content;
};

static err_t play(void *arg)
{
    struct run *r = arg;
    struct sock *s CLEANUP(sock_close_p) = NULL;
    struct addr from;
    char request[1000];
    size_t have = 0, n;

    TRY(sock_accept(r->listener, &s, &from));
    /* Closing with unread bytes would be a reset. */
    while (!str_ends(str_of(request, have), STR("\r\n\r\n"))) {
        TRY(sock_read(s, request + have, sizeof request - have, &n));
        have += n;
    }
    return sock_write(s, r->answer.p, r->answer.n);
}

static err_t collect(struct run *r, struct http_call *c)
{
    r->status = http_call_head(c)->status;
    for (;;) {
        struct str piece;
        TRY(http_call_next(c, NS_NEVER, &piece));
        if (!piece.p) {
            REQUIRE(http_call_is_buffered(c));
            return OK;
        }
        REQUIRE(piece.n > 0);
        TRY(buf_add(&r->content, piece));
    }
}

static err_t call(struct run *r)
{
    struct upstream *u = upstream_new(&(struct upstream_options){.host = STR("127.0.0.1"), .port = r->port});
    struct http_call_options o = {.method = STR("GET"), .target = STR("/")};
    struct http_call *c = NULL;
    err_t e = http_call_open(u, &r->arena, &o, NULL, &c);

    if (!e)
        e = collect(r, c);
    http_call_close(c);
    upstream_free(u);
    return e;
}

static err_t run_main(void *arg)
{
    struct run *r = arg;
    struct addr at;

    TRY(addr_parse(STR("127.0.0.1:0"), &at));
    TRY(sock_listen(&at, LISTEN_ALONE, &r->listener));
    TRY(sock_local_addr(r->listener, &at));
    r->port = addr_port(&at);
    {
        SCOPE(s, NS_NEVER);
        (void)scope_spawn(&s, "peer", play, r);
        r->error = call(r);
    }
    sock_close(r->listener);
    dns_drain();
    iobuf_drain();
    return OK;
}

static void run(struct run *r, struct str answer, unsigned short_read)
{
    struct sim_options o = {.seed = answer.n + 1, .faults = {.short_read = short_read}};
    struct sim_world *world = sim_world_new(&o);
    struct sim_census census;

    *r = (struct run){.answer = answer, .content = BUF_INIT(CONTENT_MAX)};
    arena_init(&r->arena, 4 * CONTENT_MAX);
    REQUIRE(loop_run(&(struct loop_options){.seams = sim_world_seams(world)}, run_main, r) == OK);
    sim_world_census(world, &census);
    REQUIRE(census.open_sockets == 0 && census.open_listeners == 0);
    sim_world_free(world);
}

static void run_release(struct run *r)
{
    buf_release(&r->content);
    arena_release(&r->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct run whole, pieces;

    run(&whole, str_of((const char *)data, n), 0);
    run(&pieces, str_of((const char *)data, n), 900);
    REQUIRE((whole.error == OK) == (pieces.error == OK));
    if (whole.error == OK)
        REQUIRE(whole.status == pieces.status && str_eq(buf_str(&whole.content), buf_str(&pieces.content)));
    run_release(&whole);
    run_release(&pieces);
    return 0;
}
