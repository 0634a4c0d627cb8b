/*
 * net_world.h - a loop with scripted peers, for tests of net/.
 *
 *     static void play_hello(struct play *p)          // what the peer does with one connection
 *     {
 *         play_request(p);                            // reads a request into p->request
 *         play_send(p, "HTTP/1.1 200 OK\r\n...");
 *     }
 *     WORLD_TEST(answers_arrive)                      // runs as a fiber of a loop of its own
 *     {
 *         struct peer *peer = peer_start(w, play_hello);
 *         ...
 *     }
 *
 * Peers are raw sockets on the loopback interface: they play bytes and know nothing of the code under test. Everything is static, as each
 * test file is a program part of its own.
 */
#ifndef UNIT_NET_WORLD_H
#define UNIT_NET_WORLD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "net/dns.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/sim_world.h"
#include "rt/sock.h"
#include "rt/worker.h"
#include "unit/test.h"

#include <stdio.h>
#include <string.h>

struct world {
    struct scope *scope; /* of the peers: ends with the test */
    struct arena arena;  /* of the test */
};

struct peer;

struct play {
    struct peer *peer;
    struct sock *sock; /* closed by play_close(), else at the end */
    unsigned number;   /* of this connection, from 1 */
    struct buf request;
};

typedef void play_fn(struct play *p) SUSPENDS;

struct peer {
    struct world *world;
    struct sock *listener;
    struct addr at;
    play_fn *play;
    void *ctx;
    unsigned accepted;
    unsigned requests; /* read whole */
    unsigned eofs;     /* connections on which the client's end was seen */
};

static UNUSED uint16_t peer_port(const struct peer *peer)
{
    return addr_port(&peer->at);
}

/* --- the peer's side --- */

static UNUSED void play_close(struct play *p)
{
    sock_close(p->sock);
    p->sock = NULL;
}

static UNUSED bool play_send_n(struct play *p, const char *bytes, size_t n)
{
    return p->sock && sock_write(p->sock, bytes, n) == OK;
}

static UNUSED bool play_send(struct play *p, const char *text)
{
    return play_send_n(p, text, strlen(text));
}

/* Let the other side take what was sent, before more follows: the loop has polled and delivered a few times. */
static UNUSED void play_pause(void)
{
    struct loop_stats now;

    loop_stats(&now);
    for (uint64_t until = now.turns + 4; now.turns < until; loop_stats(&now))
        if (fiber_yield() != OK)
            return;
}

/* Bytes of the body that the head in `request` announces; SIZE_MAX while the head is incomplete. */
static UNUSED size_t request_size(struct str request)
{
    size_t head = str_find(request, STR("\r\n\r\n"));
    uint64_t length = 0;

    if (head == request.n)
        return SIZE_MAX;
    size_t at = str_find(str_of(request.p, head), STR("content-length: "));
    if (at < head) {
        struct str rest = str_slice(request, at + 16, request.n);
        if (!str_to_u64(str_of(rest.p, str_find_char(rest, '\r')), SIZE_MAX / 2, &length))
            return SIZE_MAX;
    }
    return head + 4 + length;
}

/* Read a whole request into p->request; false at the end of the stream. */
static UNUSED bool play_request(struct play *p)
{
    buf_clear(&p->request);
    while (p->request.n < request_size(buf_str(&p->request))) {
        char *to = buf_reserve(&p->request, 65536);
        size_t n = 0;
        if (!to || !p->sock || sock_read(p->sock, to, 65536, &n) != OK || n == 0)
            return false;
        p->request.n += n;
    }
    p->peer->requests++;
    return true;
}

/* Read a little and drop it. */
static UNUSED void play_read_some(struct play *p)
{
    char drop[1000];
    size_t n;

    if (sock_read(p->sock, drop, sizeof drop, &n))
        play_close(p);
}

/* Do nothing, and notice nothing, until the test ends. */
static UNUSED void play_freeze(void)
{
    while (fiber_park("the end of the test", NS_NEVER) == OK)
        continue;
}

/* Read and drop until the client closes; counts it. */
static UNUSED void play_until_eof(struct play *p)
{
    char drop[4096];
    size_t n;

    while (p->sock && sock_read(p->sock, drop, sizeof drop, &n) == OK && n > 0)
        continue;
    p->peer->eofs += !fiber_is_cancelled();
}

static UNUSED err_t play_main(void *arg)
{
    struct play *p = arg;

    p->peer->play(p);
    sock_close(p->sock);
    buf_release(&p->request);
    mem_free(p);
    return OK;
}

static UNUSED err_t peer_main(void *arg)
{
    struct peer *peer = arg;
    struct sock *s;
    struct addr from;

    while (sock_accept(peer->listener, &s, &from) == OK) {
        struct play *p = NEW(struct play);
        *p = (struct play){.peer = peer, .sock = s, .number = ++peer->accepted, .request = BUF_INIT(64 << 20)};
        (void)scope_spawn(peer->world->scope, "peer", play_main, p);
    }
    sock_close(peer->listener);
    return OK;
}

/* A peer that listens at `at` and plays `play` on each connection, with `ctx`. Lives as long as the world, longer than the test's own
 * frame: `ctx` is to be taken from w->arena. */
static UNUSED struct peer *peer_start_at(struct world *w, const char *at, play_fn *play, void *ctx)
{
    struct peer *peer = arena_new(&w->arena, struct peer);

    peer->world = w;
    peer->play = play;
    peer->ctx = ctx;
    if (addr_parse(str_from_c(at), &peer->at) || sock_listen(&peer->at, LISTEN_ALONE, &peer->listener) ||
        sock_local_addr(peer->listener, &peer->at))
        die("no peer: %s", err_current()->text);
    (void)scope_spawn(w->scope, "listener", peer_main, peer);
    return peer;
}

/* The same on a port of its own. */
static UNUSED struct peer *peer_start_with(struct world *w, play_fn *play, void *ctx)
{
    return peer_start_at(w, "127.0.0.1:0", play, ctx);
}

static UNUSED struct peer *peer_start(struct world *w, play_fn *play)
{
    return peer_start_with(w, play, NULL);
}

/* --- the world --- */

struct world_test {
    void (*body)(struct world *w);
    ns_t limit; /* in the real world a test that hangs shall fail; in a simulated one that costs nothing to find out */
};

static UNUSED err_t world_main(void *arg)
{
    struct world_test *t = arg;
    struct world w = {0};

    arena_init(&w.arena, SIZE_MAX);
    {
        SCOPE(scope, ns_add(rt_now(), t->limit));
        scope_discard_results(&scope);
        w.scope = &scope;
        t->body(&w);
    }
    arena_release(&w.arena);
    dns_drain();
    iobuf_drain();
    return OK;
}

static UNUSED void world_run(const struct seams *seams, void (*body)(struct world *w))
{
    struct world_test t = {body, seams ? NS_NEVER : 60 * NS_SEC};

    workers_start(2);
    err_t e = loop_run(&(struct loop_options){.seams = seams}, world_main, &t);
    workers_stop();
    CHECK_OK(e);
}

#define WORLD_TEST(test_name)                                                                                          \
    static void world_##test_name(struct world *w);                                                                    \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        world_run(NULL, world_##test_name);                                                                            \
    }                                                                                                                  \
    static void world_##test_name(struct world *w UNUSED)

/* The same in a simulated world: virtual time, everything drawn from the test's seed. */
#define SIM_WORLD_TEST(test_name, ...)                                                                                 \
    static void world_##test_name(struct world *w);                                                                    \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        struct sim_world *sim = sim_world_new(&(struct sim_options){.seed = test_seed(), __VA_ARGS__});                \
        world_run(sim_world_seams(sim), world_##test_name);                                                            \
        sim_world_free(sim);                                                                                           \
    }                                                                                                                  \
    static void world_##test_name(struct world *w UNUSED)

/* Does the text of the current error hold `part`? */
static UNUSED bool error_says(err_t e, const char *part)
{
    return strstr(err_detail(e), part) != NULL;
}

#endif
