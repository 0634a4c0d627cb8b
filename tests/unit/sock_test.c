/* Sockets over the kernel's loopback, and over a net seam that counts, fails and lies. */
#include "rt/sock.h"

#include "rt/scope.h"
#include "rt/timer.h"
#include "unit/in_loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a net seam around the kernel's, or a simulated one ---- */

static const struct net_ops *inner;
static struct net_ops spied;
static struct seams spied_seams;
static struct {
    int reads, empty_reads, writes, accepts, watches;
    int fail_watch;         /* the so many-th watch fails; 0: none */
    bool endless;           /* every read is full                  */
    int fail_accept, times; /* errno for the next `times` accepts */
    uint64_t seen_tag;      /* of the last socket that was watched        */
    uint64_t replay_tag;    /* claim an event for this tag at every poll  */
    bool replay;
} spy;

static ssize_t spy_read(void *ctx, int h, void *to, size_t cap)
{
    ssize_t n = spy.endless ? (ssize_t)cap : inner->read(ctx, h, to, cap);
    spy.reads++;
    spy.empty_reads += n == -EAGAIN;
    return n;
}

static ssize_t spy_writev(void *ctx, int h, const struct iovec *iov, int count)
{
    spy.writes++;
    return inner->writev(ctx, h, iov, count);
}

static int spy_accept(void *ctx, int h, struct addr *peer)
{
    spy.accepts++;
    if (spy.times > 0) {
        spy.times--;
        return -spy.fail_accept;
    }
    return inner->accept(ctx, h, peer);
}

static int spy_watch(void *ctx, struct poller *p, int h, uint64_t tag)
{
    spy.seen_tag = tag;
    if (++spy.watches == spy.fail_watch)
        return -ENOSPC;
    return inner->watch(ctx, p, h, tag);
}

static int spy_poll(void *ctx, struct poller *p, struct net_event *events, int max, ns_t until)
{
    int n = inner->poll(ctx, p, events, max - 1, until);
    if (spy.replay && n >= 0)
        events[n++] = (struct net_event){.tag = spy.replay_tag, .readable = true, .peer_closed = true, .broken = true};
    return n;
}

static void in_spied_over(const struct seams *seams, body_fn *body, unsigned max_sockets)
{
    inner = seams->net;
    spied = *inner;
    spied.read = spy_read;
    spied.writev = spy_writev;
    spied.accept = spy_accept;
    spied.watch = spy_watch;
    spied.poll = spy_poll;
    spied_seams = *seams;
    spied_seams.net = &spied;
    memset(&spy, 0, sizeof spy);
    struct loop_options o = {.seams = &spied_seams, .max_sockets = max_sockets};
    err_t e = loop_run(&o, in_loop_call_, &body);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
}

static void in_spied(body_fn *body)
{
    in_spied_over(seams_real(), body, 0);
}

/* In virtual time, for what pauses. */
static void in_spied_sim(body_fn *body, unsigned max_sockets)
{
    struct sim_world *w = sim_world_new(&(struct sim_options){.seed = test_seed()});
    in_spied_over(sim_world_seams(w), body, max_sockets);
    sim_world_free(w);
}

/* ---- two connected sockets ---- */

struct link {
    struct sock *listener, *client, *server;
    struct addr at;
    err_t accepted;
};

static err_t accept_one(void *arg)
{
    struct link *k = arg;
    struct addr peer;
    k->accepted = sock_accept(k->listener, &k->server, &peer);
    return k->accepted;
}

static err_t link_open_at(struct link *k, const char *where)
{
    struct addr any;
    memset(k, 0, sizeof *k);
    TRY(addr_parse(str_from_c(where), &any));
    TRY(sock_listen(&any, LISTEN_ALONE, &k->listener));
    TRY(sock_local_addr(k->listener, &k->at));
    SCOPE(s, rt_now() + 10 * NS_SEC);
    (void)scope_spawn(&s, "accept", accept_one, k);
    TRY(sock_connect(&k->at, &k->client));
    return scope_wait_all(&s);
}

static err_t link_open(struct link *k)
{
    return link_open_at(k, "127.0.0.1:0");
}

static void link_close(struct link *k)
{
    sock_close(k->client);
    sock_close(k->server);
    sock_close(k->listener);
}

/* ---- transfer ---- */

enum { BIG = 6 * 1024 * 1024 };

static unsigned char pattern(size_t i)
{
    return (unsigned char)(i * 31 + (i >> 9));
}

struct transfer {
    struct sock *sock;
    size_t total, done;
};

static err_t send_all(void *arg)
{
    struct transfer *t = arg;
    static const size_t sizes[] = {1, 70000, 3, 16384, 200000};
    char *piece = malloc(200000);
    err_t e = OK;
    for (size_t round = 0; e == OK && t->done < t->total; round++) {
        size_t n = sizes[round % ARRAY_LEN(sizes)];
        n = n < t->total - t->done ? n : t->total - t->done;
        for (size_t i = 0; i < n; i++)
            piece[i] = (char)pattern(t->done + i);
        struct iovec iov[3] = {{piece, n / 3}, {piece, 0}, {piece + n / 3, n - n / 3}};
        e = sock_writev(t->sock, iov, 3);
        t->done += n;
    }
    free(piece);
    TRY(e);
    return sock_shutdown(t->sock);
}

static err_t receive_all(void *arg)
{
    struct transfer *t = arg;
    char piece[4000];
    for (;;) {
        size_t n;
        TRY(sock_read(t->sock, piece, sizeof piece, &n));
        if (n == 0)
            return t->done == t->total ? OK : fail(E_EOF, "%zu of %zu bytes", t->done, t->total);
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)piece[i] != pattern(t->done + i))
                return fail(E_PROTOCOL, "byte %zu is wrong", t->done + i);
        t->done += n;
    }
}

static void big_body(void)
{
    struct link k;
    CHECK_OK(link_open(&k));
    struct transfer t[4] = {{k.client, BIG, 0}, {k.server, BIG, 0}, {k.server, BIG / 2, 0}, {k.client, BIG / 2, 0}};
    {
        SCOPE(s, rt_now() + 30 * NS_SEC);
        (void)scope_spawn(&s, "send", send_all, &t[0]);
        (void)scope_spawn(&s, "receive", receive_all, &t[1]);
        (void)scope_spawn(&s, "send back", send_all, &t[2]); /* both ways at once, each ending in its time */
        (void)scope_spawn(&s, "receive back", receive_all, &t[3]);
        CHECK_OK(scope_wait_all(&s));
    }
    link_close(&k);
}

TEST(sock_transfers_megabytes_both_ways_and_ends_each_way_alone)
{
    in_kernel(big_body);
}

static void unix_body(void)
{
    char where[64];
    struct link k;
    (void)snprintf(where, sizeof where, "unix:/tmp/sock_test.%d", (int)getpid());
    for (int round = 0; round < 2; round++) { /* the second finds the path of the first still there */
        CHECK_OK(link_open_at(&k, where));
        struct transfer t[2] = {{k.client, BIG / 8, 0}, {k.server, BIG / 8, 0}};
        SCOPE(s, rt_now() + 30 * NS_SEC);
        (void)scope_spawn(&s, "send", send_all, &t[0]);
        (void)scope_spawn(&s, "receive", receive_all, &t[1]);
        CHECK_OK(scope_wait_all(&s));
        if (round == 0) {
            struct sock *second;
            CHECK_ERR(sock_listen(&k.at, LISTEN_ALONE, &second), E_IO); /* but not while somebody listens */
        }
        link_close(&k);
    }
    (void)unlink(where + 5);
}

TEST(sock_unix_paths_work_and_may_be_left_over)
{
    in_kernel(unix_body);
}

/* ---- system calls that are not made ---- */

enum { ROUNDS = 100 };

static err_t echo(void *arg)
{
    struct sock *s = arg;
    for (;;) {
        char b[100];
        size_t n;
        TRY(sock_read(s, b, sizeof b, &n));
        if (n == 0)
            return OK;
        TRY(sock_write(s, b, n));
    }
}

static void frugal_body(void)
{
    struct link k;
    CHECK_OK(link_open(&k));
    SCOPE(s, rt_now() + 10 * NS_SEC);
    (void)scope_spawn(&s, "echo", echo, k.server);
    for (int i = 0; i < ROUNDS; i++) {
        char b[100];
        size_t n;
        CHECK_OK(sock_write(k.client, "ping", 4));
        CHECK_OK(sock_read(k.client, b, sizeof b, &n));
        CHECK_EQ(n, 4);
    }
    CHECK_EQ(spy.accepts, 1);
    CHECK_EQ(spy.reads, 2 * ROUNDS);
    CHECK_EQ(spy.empty_reads, 0); /* a short read says that there is no more */
    CHECK_EQ(spy.writes, 2 * ROUNDS);
    size_t n;
    char b[10];
    CHECK_ERR(sock_try_read(k.client, b, sizeof b, &n), E_AGAIN);
    CHECK_EQ(spy.reads, 2 * ROUNDS); /* and no call is made to hear it again */
    CHECK_OK(sock_shutdown(k.client));
    CHECK_OK(scope_wait_all(&s)); /* the echo saw the end */
    link_close(&k);
}

TEST(sock_ping_pong_makes_no_call_in_vain)
{
    in_spied(frugal_body);
}

/* A full read leaves readiness: there may be more, and no event will tell. */
static void exact_body(void)
{
    struct link k;
    char b[8];
    size_t n;
    CHECK_OK(link_open(&k));
    WITHIN(rt_now() + 5 * NS_SEC);
    CHECK_OK(sock_write(k.client, "12345678", 8));
    CHECK_OK(sock_read(k.server, b, 4, &n));
    CHECK_EQ(n, 4);
    CHECK(sock_is_readable(k.server));
    CHECK_OK(sock_read(k.server, b, 4, &n));
    CHECK_MEM(b, "5678", 4);
    CHECK_ERR(sock_try_read(k.server, b, 4, &n), E_AGAIN);
    CHECK(!sock_is_readable(k.server));
    link_close(&k);
}

TEST(sock_full_read_leaves_it_readable)
{
    in_spied(exact_body);
}

/* The end came with the data, in one event: a short read must not hide it. */
static void end_with_data_body(void)
{
    struct link k;
    char b[100];
    size_t n;
    CHECK_OK(link_open(&k));
    WITHIN(rt_now() + 5 * NS_SEC);
    CHECK_OK(sock_write(k.client, "last", 4));
    CHECK_OK(sock_shutdown(k.client));
    while (!sock_peer_closed(k.server))
        CHECK_OK(fiber_yield());
    CHECK_OK(sock_read(k.server, b, sizeof b, &n));
    CHECK_EQ(n, 4);
    CHECK_OK(sock_read(k.server, b, sizeof b, &n));
    CHECK_EQ(n, 0);
    CHECK_OK(sock_read(k.server, b, sizeof b, &n)); /* and again */
    CHECK_EQ(n, 0);
    CHECK_OK(sock_write(k.server, "bye", 3)); /* the other way is still open */
    CHECK_OK(sock_read(k.client, b, sizeof b, &n));
    CHECK_MEM(b, "bye", n);
    link_close(&k);
}

TEST(sock_end_that_came_with_data_is_seen_after_it)
{
    in_kernel(end_with_data_body);
}

/* ---- ends of all kinds ---- */

static void reset_body(void)
{
    struct link k;
    char b[100], want[ADDR_TEXT_MAX + 16];
    size_t n;
    CHECK_OK(link_open(&k));
    WITHIN(rt_now() + 5 * NS_SEC);
    CHECK_OK(sock_write(k.client, "unread", 6));
    CHECK_OK(sock_wait_readable(k.server, NS_NEVER));
    sock_close(k.server); /* with bytes unread: a reset */
    k.server = NULL;
    CHECK_ERR(sock_read(k.client, b, sizeof b, &n), E_IO);
    size_t at = (size_t)snprintf(want, sizeof want, "read from ");
    at += addr_format(&k.at, want + at);
    (void)snprintf(want + at, sizeof want - at, ": ");
    CHECK_MSG(strstr(err_detail(E_IO), want) == err_detail(E_IO), "%s", err_detail(E_IO));
    CHECK(sock_peer_closed(k.client));
    CHECK_ERR(sock_write(k.client, "x", 1), E_IO); /* an error, not a signal */
    link_close(&k);
}

TEST(sock_reset_is_an_error_that_names_the_peer)
{
    in_kernel(reset_body);
}

struct reader {
    struct sock *sock;
    err_t result;
};

static err_t read_once(void *arg)
{
    struct reader *r = arg;
    char b[10];
    size_t n;
    r->result = sock_read(r->sock, b, sizeof b, &n);
    return OK;
}

/* The socket is closed in the loop's own time, at the end of a turn; the next turn begins by giving out slots again. */
static struct link *closing_link;
static struct sock *successor;

static void close_client(struct loop_defer *d UNUSED)
{
    sock_close(closing_link->client);
    closing_link->client = NULL;
}

static void take_slot(struct timer *t UNUSED)
{
    struct addr any;
    if (addr_parse(STR("127.0.0.1:0"), &any) != OK || sock_listen(&any, LISTEN_ALONE, &successor) != OK)
        successor = NULL;
}

static void close_body(void)
{
    struct link k;
    struct loop_defer at_end = {.run = close_client};
    struct timer at_begin = {.fire = take_slot};
    CHECK_OK(link_open(&k));
    SCOPE(s, rt_now() + 5 * NS_SEC);
    struct reader r = {.sock = k.client};
    struct sock *closed = k.client;
    closing_link = &k;
    successor = NULL;
    (void)scope_spawn(&s, "reader", read_once, &r);
    CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
    loop_defer(&at_end);
    timer_arm(&at_begin, rt_now());
    CHECK_OK(scope_wait_all(&s));
    CHECK_EQ(r.result, E_IO);
    CHECK_NE(successor, NULL);
    CHECK_NE(successor, closed); /* not before the reader has seen the end */
    sock_close(successor);
    link_close(&k);
}

TEST(sock_close_wakes_the_fiber_that_waits_on_it)
{
    in_kernel(close_body);
}

static void wait_ends_body(void)
{
    struct link k;
    CHECK_OK(link_open(&k));
    ns_t start = rt_now();
    char b[10] = "x";
    size_t n;
    {
        WITHIN(start + 5 * NS_SEC);
        CHECK_ERR(sock_wait_readable(k.client, start + 2 * NS_SEC), E_AGAIN);
        CHECK_EQ(rt_now(), start + 2 * NS_SEC);
        CHECK_ERR(sock_read(k.client, b, sizeof b, &n), E_DEADLINE);
        CHECK_EQ(rt_now(), start + 5 * NS_SEC);
        CHECK_MSG(strstr(err_detail(E_DEADLINE), "reading from 127.0.0.1:"), "%s", err_detail(E_DEADLINE));
    }
    CHECK_OK(sock_write(k.server, b, 1));
    CHECK_OK(sock_wait_readable(k.client, NS_NEVER));
    {
        WITHIN(rt_now());
        CHECK_ERR(sock_read(k.client, b, sizeof b, &n), E_DEADLINE); /* though there is something to read */
        CHECK_ERR(sock_write(k.client, b, 1), E_DEADLINE);
    }
    CHECK_OK(sock_read(k.client, b, sizeof b, &n));
    {
        SCOPE(s, NS_NEVER);
        struct reader r = {.sock = k.client};
        struct fiber *f = scope_spawn(&s, "reader", read_once, &r);
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
        fiber_cancel(f);
        CHECK_OK(scope_wait_all(&s));
        CHECK_EQ(r.result, E_CANCELLED);
    }
    link_close(&k);
}

TEST(sock_waits_end_by_alarm_deadline_and_cancel)
{
    in_sim(wait_ends_body);
}

static void blocked_write_body(void)
{
    struct link k;
    CHECK_OK(link_open(&k));
    static char junk[1 << 20];
    size_t sent = 0, n;
    for (;;) { /* until both kernels' buffers are full */
        CHECK_OK(sock_try_writev(k.client, &(struct iovec){junk, sizeof junk}, 1, &n));
        sent += n;
        if (n == 0)
            break;
        err_t e = sock_wait_writable(k.client, rt_now() + 20 * NS_MS);
        CHECK(e == OK || e == E_AGAIN);
    }
    WITHIN(rt_now() + 10 * NS_SEC);
    for (size_t got = 0; got < sent; got += n)
        CHECK_OK(sock_read(k.server, junk, sizeof junk, &n));
    CHECK_OK(sock_wait_writable(k.client, NS_NEVER));
    link_close(&k);
}

TEST(sock_writer_waits_for_a_slow_reader)
{
    in_kernel(blocked_write_body);
}

/* ---- callbacks ---- */

static int called;

static void count_event(struct sock *s, void *ctx)
{
    called++;
    if (ctx)
        fiber_wake(ctx);
    if (sock_peer_closed(s))
        called += 100;
}

static void close_on_event(struct sock *s, void *ctx)
{
    called++;
    sock_close(s);
    fiber_wake(ctx);
}

static void event_body(void)
{
    struct link k;
    char b[10];
    size_t n;
    CHECK_OK(link_open(&k));
    WITHIN(rt_now() + 5 * NS_SEC);
    called = 0;
    sock_on_event(k.server, count_event, fiber_current());
    CHECK_OK(sock_write(k.client, "a", 1));
    while (called == 0)
        CHECK_OK(fiber_park("the callback", NS_NEVER));
    CHECK_EQ(called, 1);
    CHECK_OK(sock_try_read(k.server, b, sizeof b, &n));

    sock_on_event(k.server, NULL, NULL);
    CHECK_OK(sock_write(k.client, "b", 1));
    while (!sock_is_readable(k.server))
        CHECK_OK(fiber_yield());
    CHECK_EQ(called, 1);                                   /* nobody wanted to know */
    sock_on_event(k.server, count_event, fiber_current()); /* it is told at the end of this turn */
    while (called == 1)
        CHECK_OK(fiber_park("the callback", NS_NEVER));
    CHECK_EQ(called, 2);
    CHECK_OK(sock_try_read(k.server, b, sizeof b, &n));

    sock_on_event(k.server, count_event, fiber_current());
    CHECK_OK(sock_shutdown(k.client));
    while (called == 2)
        CHECK_OK(fiber_park("the callback", NS_NEVER));
    CHECK_GE(called, 103); /* told that the peer has closed */
    link_close(&k);
}

TEST(sock_callback_hears_data_and_the_end_when_no_fiber_waits)
{
    in_kernel(event_body);
}

static void event_reader_body(void)
{
    struct link k;
    CHECK_OK(link_open(&k));
    SCOPE(s, rt_now() + 5 * NS_SEC);
    struct reader r = {.sock = k.server};
    called = 0;
    sock_on_event(k.server, count_event, NULL);
    (void)scope_spawn(&s, "reader", read_once, &r);
    CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
    CHECK_OK(sock_write(k.client, "a", 1));
    CHECK_OK(scope_wait_all(&s));
    CHECK_OK(r.result);
    CHECK_EQ(called, 0);
    link_close(&k);
}

TEST(sock_callback_is_not_called_while_a_fiber_reads)
{
    in_kernel(event_reader_body);
}

static void event_close_body(void)
{
    struct link k;
    CHECK_OK(link_open(&k));
    WITHIN(rt_now() + 5 * NS_SEC);
    called = 0;
    sock_on_event(k.server, close_on_event, fiber_current());
    CHECK_OK(sock_write(k.client, "a", 1));
    while (called == 0)
        CHECK_OK(fiber_park("the callback", NS_NEVER));
    k.server = NULL;
    /* And one that is due at the end of the turn, but whose socket is closed before. */
    struct link j;
    CHECK_OK(link_open(&j));
    CHECK_OK(sock_write(j.client, "a", 1));
    while (!sock_is_readable(j.server))
        CHECK_OK(fiber_yield());
    sock_on_event(j.server, count_event, NULL);
    sock_close(j.server);
    j.server = NULL;
    CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
    CHECK_EQ(called, 1);
    link_close(&k);
    link_close(&j);
}

TEST(sock_callback_may_close_and_is_not_called_after_a_close)
{
    in_kernel(event_close_body);
}

/* ---- slots ---- */

static void stale_body(void)
{
    struct link k;
    char b[10];
    size_t n;
    CHECK_OK(link_open(&k));
    WITHIN(rt_now() + 5 * NS_SEC);
    struct sock *old, *fresh;
    CHECK_OK(sock_connect(&k.at, &old));
    spy.replay_tag = spy.seen_tag;
    sock_close(old);
    CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
    CHECK_OK(sock_connect(&k.at, &fresh));
    CHECK_EQ(fresh, old); /* the slot is used again */
    spy.replay = true;    /* and now events of the former socket arrive late */
    CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
    spy.replay = false;
    CHECK(!sock_is_readable(fresh) && !sock_peer_closed(fresh));
    CHECK_ERR(sock_try_read(fresh, b, sizeof b, &n), E_AGAIN);
    sock_close(fresh);
    link_close(&k);
}

TEST(sock_event_of_a_closed_socket_does_not_reach_its_successor)
{
    in_spied(stale_body);
}

static void full_body(void)
{
    struct link k;
    CHECK_OK(link_open(&k)); /* three sockets of four */
    struct sock *fourth, *fifth = NULL;
    CHECK_OK(sock_connect(&k.at, &fourth));
    CHECK_ERR(sock_connect(&k.at, &fifth), E_OVERLOAD);
    CHECK_EQ(fifth, NULL);
    {
        SCOPE(s, rt_now() + 5 * NS_SEC);
        struct link second = {.listener = k.listener};
        (void)scope_spawn(&s, "accept", accept_one, &second);
        CHECK_OK(fiber_sleep_until(rt_now() + 100 * NS_MS));
        CHECK_EQ(second.server, NULL); /* the connection waits in the kernel */
        sock_close(k.client);
        k.client = NULL;
        CHECK_OK(scope_wait_all(&s));
        CHECK_NE(second.server, NULL);
        sock_close(second.server);
    }
    sock_close(fourth);
    link_close(&k);
}

TEST(sock_limit_refuses_dials_and_lets_arrivals_wait)
{
    in_spied_sim(full_body, 4);
}

/* ---- accept and connect that fail ---- */

static void accept_fails_body(void)
{
    static const int transient[] = {EMFILE, ECONNABORTED, ENFILE, EPROTO, ENOBUFS};
    struct link k;
    for (size_t i = 0; i < ARRAY_LEN(transient); i++) {
        test_context("%s", strerror(transient[i]));
        spy.fail_accept = transient[i];
        spy.times = 2;
        CHECK_OK(link_open(&k));
        CHECK_EQ(spy.times, 0);
        link_close(&k);
    }
    test_context("%s", "");
    spy.fail_accept = EINVAL;
    spy.times = 1;
    CHECK_ERR(link_open(&k), E_IO);
    CHECK_EQ(k.accepted, E_IO);
    link_close(&k);
}

TEST(sock_accept_outlives_transient_failures)
{
    in_spied_sim(accept_fails_body, 0);
}

static void refused_body(void)
{
    struct link k;
    char text[ADDR_TEXT_MAX];
    struct sock *s = NULL;
    CHECK_OK(link_open(&k));
    CHECK_ERR(sock_listen(&k.at, LISTEN_ALONE, &s), E_IO);
    CHECK(strstr(err_detail(E_IO), "listen on 127.0.0.1:") != NULL);
    link_close(&k);
    (void)addr_format(&k.at, text);
    CHECK_ERR(sock_connect(&k.at, &s), E_REFUSED);
    CHECK_EQ(s, NULL);
    CHECK_MSG(strstr(err_detail(E_REFUSED), text), "%s", err_detail(E_REFUSED));
}

TEST(sock_refused_and_taken_addresses_are_named)
{
    in_kernel(refused_body);
}

/* One address, listened at by those before in this order; the last one may, or may not. */
struct sharing {
    enum listen_share before[3];
    size_t count;
    enum listen_share last;
    bool may;
};

static const struct sharing sharings[] = {
    {{LISTEN_ALONE}, 1, LISTEN_ALONE, false},
    {{LISTEN_ALONE}, 1, LISTEN_FIRST, false},
    {{LISTEN_ALONE}, 1, LISTEN_JOIN, false},
    {{LISTEN_FIRST}, 1, LISTEN_ALONE, false},
    {{LISTEN_FIRST}, 1, LISTEN_FIRST, false},
    {{LISTEN_FIRST}, 1, LISTEN_JOIN, true},
    {{LISTEN_FIRST, LISTEN_JOIN}, 2, LISTEN_JOIN, true},
    {{LISTEN_FIRST, LISTEN_JOIN}, 2, LISTEN_FIRST, false},
    {{LISTEN_FIRST, LISTEN_JOIN, LISTEN_JOIN}, 3, LISTEN_ALONE, false},
    {{LISTEN_JOIN}, 1, LISTEN_JOIN, true},
};

static void sharing_body(void)
{
    for (size_t i = 0; i < ARRAY_LEN(sharings); i++) {
        const struct sharing *t = &sharings[i];
        struct sock *open[3] = {NULL}, *last = NULL;
        struct addr at;
        test_context("row %zu", i);
        CHECK_OK(addr_parse(STR("127.0.0.1:0"), &at));
        for (size_t k = 0; k < t->count; k++) {
            CHECK_OK(sock_listen(&at, t->before[k], &open[k]));
            CHECK_OK(sock_local_addr(open[k], &at));
        }
        CHECK_ERR(sock_listen(&at, t->last, &last), t->may ? OK : E_IO);
        sock_close(last);
        for (size_t k = 0; k < t->count; k++)
            sock_close(open[k]);
    }
    test_context("%s", "");
}

TEST(sock_an_address_is_shared_only_with_a_first_listener)
{
    in_kernel(sharing_body);
}

TEST(sock_a_simulated_address_is_shared_by_the_same_rule)
{
    in_sim(sharing_body);
}

/* ---- fairness ---- */

static err_t flood(void *arg)
{
    static char junk[65536];
    for (;;)
        TRY(sock_write(arg, junk, sizeof junk));
}

static err_t drain(void *arg)
{
    static char junk[65536];
    for (;;) {
        size_t n;
        TRY(sock_read(arg, junk, sizeof junk, &n));
    }
}

static void fair_body(void)
{
    struct link k;
    CHECK_OK(link_open(&k));
    ns_t start = rt_now();
    {
        SCOPE(s, start + 20 * NS_SEC);
        (void)scope_spawn(&s, "flood", flood, k.client);
        (void)scope_spawn(&s, "drain", drain, k.server);
        CHECK_OK(fiber_sleep_until(start + 5 * NS_MS));
        CHECK_LT(rt_now() - start, 10 * NS_SEC);
    } /* and they leave when told */
    CHECK_LT(rt_now() - start, 10 * NS_SEC);
    link_close(&k);
}

TEST(sock_fast_peers_do_not_starve_others)
{
    in_kernel(fair_body);
}

static void endless_body(void)
{
    struct link k;
    char b[64];
    size_t n;
    CHECK_OK(link_open(&k));
    CHECK_OK(sock_write(k.client, "x", 1));
    CHECK_OK(sock_wait_readable(k.server, NS_NEVER));
    spy.endless = true;
    {
        WITHIN(rt_now() + 10 * NS_MS);
        err_t e;
        do
            e = sock_read(k.server, b, sizeof b, &n);
        while (e == OK);
        CHECK_EQ(e, E_DEADLINE); /* the clock goes on, since others get their turns */
    }
    spy.endless = false;
    link_close(&k);
}

TEST(sock_reader_that_never_waits_is_made_to)
{
    in_spied(endless_body);
}

/* ---- the loop's own limits ---- */

static void accept_waits_body(void)
{
    struct link k;
    CHECK_OK(link_open(&k));
    spy.accepts = 0;
    {
        SCOPE(s, rt_now() + NS_SEC);
        struct link second = {.listener = k.listener};
        (void)scope_spawn(&s, "accept", accept_one, &second);
        CHECK_ERR(scope_wait_all(&s), E_DEADLINE);
    }
    CHECK_LE(spy.accepts, 1); /* asked once, then waited */
    link_close(&k);
}

TEST(sock_accept_without_arrivals_asks_the_kernel_once)
{
    in_spied_sim(accept_waits_body, 0);
}

/* Fail the N-th registration with the poller, for every N that a connection takes. */
static int watch_to_fail;

static void watch_fails_body(void)
{
    struct link k;
    memset(&spy, 0, sizeof spy);
    spy.fail_watch = watch_to_fail;
    err_t e = link_open(&k);
    CHECK_EQ(e, E_IO); /* first the listener, then the one who connects */
    link_close(&k);
}

TEST(sock_failure_to_watch_leaks_no_handle)
{
    for (watch_to_fail = 1; watch_to_fail <= 2; watch_to_fail++) {
        struct sim_world *w = sim_world_new(&(struct sim_options){.seed = test_seed()});
        struct sim_census census;
        in_spied_over(sim_world_seams(w), watch_fails_body, 0);
        sim_world_census(w, &census);
        sim_world_free(w);
        CHECK_EQ(census.open_sockets, 0);
        CHECK_EQ(census.open_listeners, 0);
    }
}

/* ---- idle connections ---- */

static void leak_body(void)
{
    struct link k;
    CHECK_OK(link_open(&k));
    /* Left open: the loop closes them, and the leak checker looks on. */
}

TEST(sock_left_open_is_closed_with_the_loop)
{
    in_kernel(leak_body);
}
