/*
 * rt_scenarios.c - the runtime itself in simulated worlds: sockets, scopes, deadlines, cancel, channels, timers, worker jobs.
 *
 * Where the time of an end can be computed, the oracle is exact: virtual time has no noise, so a wait that ends one nanosecond late or
 * early is a bug. Where faults are drawn, the oracle is on bytes: what was received is the beginning of what was sent, and whoever
 * was told OK got all of it.
 */
#include "sim/world.h"

#include "base/mem.h"
#include "rt/chan.h"
#include "rt/loop.h"
#include "rt/timer.h"
#include "rt/worker.h"

#include <string.h>

/* Sizes from 0 to `max`, of all orders of magnitude. */
static uint64_t draw_size(struct prng *p, uint64_t max)
{
    return prng_below(p, 1 + prng_below(p, max + 1));
}

/* ---- echo: bytes through two directions at once ------------------------------------------------------------------ */

enum { ECHO_PORT = 80, CHUNK = 2000 };

static SUSPENDS err_t serve_echo(struct sock *s, void *arg)
{
    char bytes[CHUNK];
    size_t n;

    (void)arg;
    for (;;) {
        TRY(sock_read(s, bytes, sizeof bytes, &n));
        if (n == 0)
            return sock_shutdown(s);
        TRY(sock_write(s, bytes, n));
    }
}

struct upload {
    struct sock *sock;
    struct prng prng;
    uint64_t stream, total;
};

/* Write all of it without ever waiting inside the write: the readiness may come while nobody waits for it. */
static SUSPENDS err_t write_politely(struct upload *u, const char *bytes, size_t n)
{
    size_t some;

    for (size_t at = 0; at < n; at += some) {
        struct iovec iov = {.iov_base = (void *)(uintptr_t)(bytes + at), .iov_len = n - at};
        TRY(sock_try_writev(u->sock, &iov, 1, &some));
        if (some > 0)
            continue;
        if (prng_below(&u->prng, 2))
            TRY(fiber_sleep_until(rt_now() + prng_range(&u->prng, 0, NS_SEC)));
        err_t e = sock_wait_writable(u->sock, rt_now() + prng_range(&u->prng, 0, 10 * NS_SEC));
        if (e != E_AGAIN)
            TRY(e);
    }
    return OK;
}

/* Send the stream in pieces, with pauses, then half-close. */
static SUSPENDS err_t upload(void *arg)
{
    struct upload *u = arg;
    char bytes[CHUNK];

    for (uint64_t at = 0; at < u->total;) {
        size_t n = 1 + prng_below(&u->prng, sizeof bytes);
        if (n > u->total - at)
            n = u->total - at;
        world_bytes(u->stream, at, bytes, n);
        if (prng_below(&u->prng, 2))
            TRY(sock_write(u->sock, bytes, n));
        else
            TRY(write_politely(u, bytes, n));
        at += n;
        if (prng_below(&u->prng, 8) == 0)
            TRY(fiber_sleep_until(rt_now() + prng_range(&u->prng, 0, 50 * NS_MS)));
    }
    return sock_shutdown(u->sock);
}

/* The like for reading. */
static SUSPENDS err_t read_politely(struct client *c, struct sock *s, void *to, size_t cap, size_t *ret_n)
{
    for (;;) {
        err_t e = sock_try_read(s, to, cap, ret_n);
        if (e != E_AGAIN)
            return e;
        if (prng_below(&c->prng, 4) == 0)
            TRY(fiber_sleep_until(rt_now() + prng_range(&c->prng, 0, NS_SEC)));
        ns_t until = rt_now() + prng_range(&c->prng, 0, 10 * NS_SEC);
        e = sock_wait_readable(s, until);
        EXPECT(e != E_AGAIN || rt_now() == until, "client %u: an alarm rang %.9f s late", c->index,
               (double)(rt_now() - until) / 1e9);
        if (e != E_AGAIN)
            TRY(e);
    }
}

/* Read `total` bytes of a stream, then its end. E_EOF if that comes too early. */
static SUSPENDS err_t download(struct client *c, struct sock *s, uint64_t stream, uint64_t total)
{
    char bytes[CHUNK];
    size_t n;

    for (uint64_t at = 0;; at += n) {
        size_t cap = 1 + prng_below(&c->prng, sizeof bytes);
        if (prng_below(&c->prng, 2))
            TRY(sock_read(s, bytes, cap, &n));
        else
            TRY(read_politely(c, s, bytes, cap, &n));
        if (n == 0)
            return at == total ? OK : fail(E_EOF, "%zu bytes of %zu", (size_t)at, (size_t)total);
        size_t same = world_mismatch(stream, at, bytes, n);
        EXPECT(same == n, "client %u: byte %zu is not what was sent", c->index, (size_t)at + same);
        EXPECT(at + n <= total, "client %u: more bytes than were sent", c->index);
        c->outcome->received += n;
    }
}

static SUSPENDS err_t echo_once(struct client *c, ns_t deadline)
{
    struct addr to = world_addr(ECHO_PORT);
    struct sock *s CLEANUP(sock_close_p) = NULL;
    SCOPE(sending, deadline);

    TRY(sock_connect(&to, &s));
    struct upload u = {s, prng_fork(&c->prng), c->world->seed + c->index, draw_size(&c->prng, 64 * 1024)};
    c->outcome->sent = u.total;
    (void)scope_spawn(&sending, "echo upload", upload, &u);
    TRY(download(c, s, u.stream, u.total));
    TRY(scope_wait_all(&sending));
    c->outcome->complete = true;
    return OK;
}

/* Every other client has a deadline, and must be back when it comes. */
static SUSPENDS err_t ask_echo(struct client *c)
{
    ns_t deadline = c->index % 2 ? NS_NEVER : rt_now() + prng_range(&c->prng, 0, 60 * NS_SEC);
    err_t e = echo_once(c, deadline);

    EXPECT(rt_now() <= deadline, "client %u came back %.9f s after its deadline", c->index,
           (double)(rt_now() - deadline) / 1e9);
    EXPECT(e != E_DEADLINE || rt_now() == deadline, "client %u: E_DEADLINE before the deadline", c->index);
    return e;
}

static void judge_echo(struct world *w, const struct outcome *o, unsigned n, bool harmless)
{
    for (unsigned i = 0; i < n; i++) {
        EXPECT(o[i].result != OK || (o[i].complete && o[i].received == o[i].sent),
               "client %u was told OK with %zu of %zu", i, (size_t)o[i].received, (size_t)o[i].sent);
        EXPECT(!harmless || o[i].result == OK || (o[i].result == E_DEADLINE && i % 2 == 0),
               "client %u failed with nothing broken: %s %s", i, err_name(o[i].result), o[i].text);
        EXPECT(!harmless || o[i].result == OK || o[i].result != E_CANCELLED, "client %u: nobody cancelled it", i);
    }
    (void)w;
}

SCENARIO(echo_gives_a_right_prefix_or_an_error)
{
    unsigned n = 1 + (unsigned)prng_below(&w->prng, 12);

    TRY(world_serve(w, ECHO_PORT, serve_echo, NULL));
    const struct outcome *o = world_clients(w, n, NS_SEC, ask_echo, NULL);
    judge_echo(w, o, n, world_is_harmless(w));
    return OK;
}

static SUSPENDS err_t echo_main(void *arg)
{
    struct client *c = arg;
    err_t e = echo_once(c, NS_NEVER);

    c->outcome->status = 1;
    return e;
}

/* A client that leaves halfway: at that very instant it is gone, with its connection. */
static SUSPENDS err_t ask_echo_and_leave(struct client *c)
{
    ns_t leaves = rt_now() + prng_range(&c->prng, 0, prng_below(&c->prng, 2) ? 100 * NS_MS : 10 * NS_SEC);
    err_t child;

    SCOPE(s, NS_NEVER);
    struct fiber *f = scope_spawn(&s, "leaver", echo_main, c);
    TRY(fiber_sleep_until(leaves));
    if (c->outcome->status)
        return OK; /* it was faster */
    fiber_cancel(f);
    TRY(scope_wait_any(&s, NS_NEVER, &child));
    EXPECT(child == E_CANCELLED && rt_now() == leaves, "client %u left with %s, %.9f s late", c->index, err_name(child),
           (double)(rt_now() - leaves) / 1e9);
    return child;
}

SCENARIO(echo_clients_that_leave_are_gone_at_once)
{
    unsigned n = 1 + (unsigned)prng_below(&w->prng, 12);

    TRY(world_serve(w, ECHO_PORT, serve_echo, NULL));
    (void)world_clients(w, n, NS_SEC, ask_echo_and_leave, NULL);
    return OK;
}

SCENARIO(echo_completes_where_nothing_breaks, .weather = WEATHER_HARMLESS)
{
    unsigned n = 1 + (unsigned)prng_below(&w->prng, 12);

    TRY(world_serve(w, ECHO_PORT, serve_echo, NULL));
    const struct outcome *o = world_clients(w, n, NS_SEC, ask_echo, NULL);
    judge_echo(w, o, n, true);
    return OK;
}

SCENARIO(echo_survives_resets_and_partitions)
{
    unsigned n = 1 + (unsigned)prng_below(&w->prng, 12);

    TRY(world_serve(w, ECHO_PORT, serve_echo, NULL));
    world_meddle(w, ECHO_PORT, 60 * NS_SEC);
    const struct outcome *o = world_clients(w, n, 20 * NS_SEC, ask_echo, NULL);
    judge_echo(w, o, n, false);
    return OK;
}

/* ---- accept: failures of accept() lose no client for good -------------------------------------------------------- */

static void only_accept_fails(struct sim_options *o, struct prng *p)
{
    o->faults = (struct sim_faults){.accept_fail = 1 + (unsigned)prng_below(p, 700)};
}

static SUSPENDS err_t ping_once(struct client *c)
{
    struct addr to = world_addr(ECHO_PORT);
    struct sock *s CLEANUP(sock_close_p) = NULL;
    char byte = 'p';
    size_t n;

    (void)c;
    TRY(sock_connect(&to, &s));
    TRY(sock_write(s, &byte, 1));
    TRY(sock_read(s, &byte, 1, &n));
    return n == 1 && byte == 'p' ? OK : fail(E_EOF, "no answer");
}

static SUSPENDS err_t ping_until_answered(struct client *c)
{
    err_t e;

    while ((e = ping_once(c)) == E_IO || e == E_EOF || e == E_REFUSED)
        TRY(fiber_sleep_until(rt_now() + 100 * NS_MS));
    return e;
}

static SUSPENDS err_t ping_within_a_minute(struct client *c)
{
    WITHIN(rt_now() + 60 * NS_SEC);
    return ping_once(c);
}

SCENARIO(accept_forgets_nobody_in_the_queue, .prepare = only_accept_fails)
{
    TRY(world_serve(w, ECHO_PORT, serve_echo, NULL));
    const struct outcome *o = world_clients(w, 20, NS_MS, ping_within_a_minute, NULL);
    EXPECT(world_count(o, 20, E_DEADLINE) == 0, "%u of 20 clients were forgotten", world_count(o, 20, E_DEADLINE));
    return OK;
}

SCENARIO(accept_goes_on_after_it_failed, .prepare = only_accept_fails)
{
    TRY(world_serve(w, ECHO_PORT, serve_echo, NULL));
    const struct outcome *o = world_clients(w, 20, NS_SEC, ping_until_answered, NULL);
    EXPECT(world_count(o, 20, OK) == 20, "%u of 20 clients were served", world_count(o, 20, OK));
    return OK;
}

/* ---- waiting: a connection that breaks wakes whoever waits on it, at once ---------------------------------------- */

enum { SILENT_PORT = 81 };

static SUSPENDS err_t serve_silence(struct sock *s, void *arg)
{
    (void)s;
    (void)arg;
    return fiber_sleep_until(NS_NEVER);
}

static SUSPENDS err_t wait_for_break(struct client *c)
{
    struct addr to = world_addr(SILENT_PORT);
    struct sock *s CLEANUP(sock_close_p) = NULL;
    char bytes[CHUNK] = {0};
    size_t n;

    TRY(sock_connect(&to, &s));
    c->outcome->complete = true; /* connected */
    if (c->index % 2 == 0)
        return sock_read(s, bytes, sizeof bytes, &n);
    for (;;)
        TRY(sock_write(s, bytes, sizeof bytes)); /* until the buffers are full */
}

SCENARIO(reset_wakes_reader_and_writer_at_once, .weather = WEATHER_CALM)
{
    TRY(world_serve(w, SILENT_PORT, serve_silence, NULL));
    SCOPE(clients, NS_NEVER);
    const struct outcome *o = world_start_clients(w, &clients, 8, 10 * NS_MS, wait_for_break, NULL);
    ns_t when = rt_now() + 30 * NS_SEC;
    TRY(fiber_sleep_until(when));
    EXPECT(world_count(o, 8, OK) == 8 && sim_world_connections(w->sim, SILENT_PORT) == 8, "not all are connected");
    EXPECT(sim_world_reset_all(w->sim, SILENT_PORT) == 8, "not all were reset");
    TRY(scope_wait_all(&clients));
    for (unsigned i = 0; i < 8; i++) {
        EXPECT(o[i].complete && o[i].ended == when, "client %u noticed %.9f s late", i,
               (double)(o[i].ended - when) / 1e9);
        EXPECT(o[i].result == E_IO || o[i].result == E_EOF, "client %u: %s", i, err_name(o[i].result));
    }
    return OK;
}

/* ---- connect: what it says, and when ------------------------------------------------------------------------------ */

enum { NOBODYS_PORT = 99, LAST_MOMENT_PORT = 86 };

static void fixed_latency(struct sim_options *o, struct prng *p)
{
    o->latency_min = o->latency_max = prng_range(p, 1, 40 * NS_MS);
    o->socket_buffer = 65536;
}

static void fixed_latency_all_lost(struct sim_options *o, struct prng *p)
{
    fixed_latency(o, p);
    o->faults.connect_lost = 1000;
}

static SUSPENDS err_t connect_to(uint16_t port, ns_t deadline)
{
    struct addr to = world_addr(port);
    struct sock *s CLEANUP(sock_close_p) = NULL;

    WITHIN(deadline);
    return sock_connect(&to, &s);
}

SCENARIO(connect_is_refused_after_one_round_trip, .weather = WEATHER_CALM, .prepare = fixed_latency)
{
    ns_t begin = rt_now();
    err_t e = connect_to(NOBODYS_PORT, NS_NEVER);

    EXPECT(e == E_REFUSED && rt_now() == begin + 2 * w->options.latency_min, "%s after %.9f s", err_name(e),
           (double)(rt_now() - begin) / 1e9);
    return OK;
}

SCENARIO(connect_that_is_lost_ends_with_the_deadline, .weather = WEATHER_CALM, .prepare = fixed_latency_all_lost)
{
    ns_t deadline = rt_now() + prng_range(&w->prng, 0, 100 * NS_SEC);
    err_t e = connect_to(NOBODYS_PORT, deadline);

    EXPECT(e == E_DEADLINE && rt_now() == deadline, "%s, %.9f s after the deadline", err_name(e),
           (double)(rt_now() - deadline) / 1e9);
    e = connect_to(NOBODYS_PORT, NS_NEVER);
    EXPECT(e == E_IO && rt_now() > deadline + 127 * NS_SEC, "without a deadline: %s", err_name(e));
    return OK;
}

/* What comes with the deadline has come; what comes a nanosecond later has not. */
SCENARIO(answer_in_the_last_moment_counts, .weather = WEATHER_CALM, .prepare = fixed_latency)
{
    TRY(world_serve(w, LAST_MOMENT_PORT, serve_echo, NULL));
    ns_t deadline = rt_now() + 2 * w->options.latency_min;
    err_t e = connect_to(LAST_MOMENT_PORT, deadline);
    EXPECT(e == OK && rt_now() == deadline, "the deadline comes with the answer: %s", err_name(e));
    deadline = rt_now() + 2 * w->options.latency_min - 1;
    e = connect_to(LAST_MOMENT_PORT, deadline);
    EXPECT(e == E_DEADLINE && rt_now() == deadline, "the answer comes a nanosecond late: %s", err_name(e));
    return OK;
}

/* ---- end of stream: a connection that broke must not look like one that ended ------------------------------------- */

enum { STREAM_PORT = 87, STREAM_TOTAL = 20000 };

static void only_resets(struct sim_options *o, struct prng *p)
{
    o->faults = (struct sim_faults){.reset = 1 + (unsigned)prng_below(p, 100), .short_read = o->faults.short_read};
}

/* Sends a stream of a length that the client does not know, while it reads and forgets. */
static SUSPENDS err_t swallow(void *arg)
{
    char bytes[CHUNK];
    size_t n;

    do
        TRY(sock_read(arg, bytes, sizeof bytes, &n));
    while (n > 0);
    return OK;
}

static SUSPENDS err_t serve_stream(struct sock *s, void *arg)
{
    struct world *w = arg;
    char bytes[500];

    SCOPE(swallowing, NS_NEVER);
    (void)scope_spawn(&swallowing, "swallower", swallow, s);
    for (uint64_t at = 0; at < STREAM_TOTAL; at += sizeof bytes) {
        world_bytes(w->seed, at, bytes, sizeof bytes);
        TRY(sock_write(s, bytes, sizeof bytes));
        TRY(fiber_sleep_until(rt_now() + 5 * NS_MS));
    }
    TRY(sock_shutdown(s));
    return scope_wait_all(&swallowing);
}

/* Write without end; when it fails, the reader still has to learn the truth. */
static SUSPENDS err_t babble(void *arg)
{
    for (;;) {
        TRY(sock_write(arg, "blah", 4));
        TRY(fiber_sleep_until(rt_now() + NS_MS));
    }
}

static SUSPENDS err_t read_stream(struct client *c)
{
    struct addr to = world_addr(STREAM_PORT);
    struct sock *s CLEANUP(sock_close_p) = NULL;
    char bytes[CHUNK];
    size_t n;

    SCOPE(babbling, rt_now() + 600 * NS_SEC);
    TRY(sock_connect(&to, &s));
    (void)scope_spawn(&babbling, "babbler", babble, s);
    do {
        TRY(sock_read(s, bytes, sizeof bytes, &n));
        size_t at = c->outcome->received;
        EXPECT(world_mismatch(c->world->seed, at, bytes, n) == n, "client %u: wrong bytes behind %zu", c->index, at);
        c->outcome->received += n;
        if (prng_below(&c->prng, 4) == 0)
            TRY(fiber_sleep_until(rt_now() + prng_range(&c->prng, 0, 50 * NS_MS)));
    } while (n > 0);
    return OK;
}

SCENARIO(broken_stream_does_not_look_complete, .prepare = only_resets)
{
    TRY(world_serve(w, STREAM_PORT, serve_stream, w));
    const struct outcome *o = world_clients(w, 6, NS_SEC, read_stream, NULL);
    for (unsigned i = 0; i < 6; i++)
        EXPECT(o[i].result != OK || o[i].received == STREAM_TOTAL, "client %u saw a clean end after %zu of %d bytes", i,
               (size_t)o[i].received, STREAM_TOTAL);
    return OK;
}

/* ---- closing a socket on which another fiber waits ---------------------------------------------------------------- */

static SUSPENDS err_t read_until_it_fails(void *arg)
{
    char byte;
    size_t n;
    err_t e = sock_read(arg, &byte, 1, &n);

    return e == OK ? E_EOF : e; /* a byte: somebody else's */
}

struct crowd {
    bool closed;
    unsigned ran;
};

static SUSPENDS err_t keep_busy(void *arg)
{
    struct crowd *c = arg;

    while (!c->closed)
        TRY(fiber_sleep_until(rt_now() + NS_MS));
    for (int i = 0; i < 3; i++)
        TRY(fiber_yield());
    c->ran++;
    return OK;
}

/*
 * The crowd wakes in the same turn in which the socket is closed, and makes more switches than a turn has. So the reader may step only
 * after the turn, when a new connection could have taken the old one's place.
 */
static SUSPENDS err_t close_in_a_crowd(struct sock *old, struct sock **ret_new, struct crowd *c)
{
    enum { CROWD = 1500 };
    struct addr to = world_addr(ECHO_PORT);

    SCOPE(busy, NS_NEVER);
    for (int i = 0; i < CROWD; i++)
        (void)scope_spawn(&busy, "busy", keep_busy, c);
    TRY(fiber_sleep_until(rt_now() + NS_MS));
    c->closed = true;
    sock_close(old);
    TRY(fiber_yield());
    TRY(sock_connect(&to, ret_new));
    TRY(scope_wait_all(&busy));
    EXPECT(c->ran == CROWD, "%u of %d fibers ran on after yielding", c->ran, CROWD);
    return OK;
}

SCENARIO(close_wakes_the_reader_and_the_place_is_not_reused_too_early, .weather = WEATHER_CALM, .thin = 20)
{
    struct sock *old, *new CLEANUP(sock_close_p) = NULL;
    struct addr to = world_addr(ECHO_PORT);
    struct crowd crowd = {0};
    char byte = 0;
    size_t n;
    err_t e;

    TRY(world_serve(w, ECHO_PORT, serve_echo, NULL));
    TRY(sock_connect(&to, &old));
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "reader", read_until_it_fails, old);
    TRY(fiber_sleep_until(rt_now() + NS_SEC));
    TRY(close_in_a_crowd(old, &new, &crowd));
    TRY(sock_write(new, "n", 1));
    TRY(sock_read(new, &byte, 1, &n));
    TRY(scope_wait_any(&s, NS_NEVER, &e));
    EXPECT(e == E_IO, "the reader of a closed socket got %s", err_name(e));
    EXPECT(n == 1 && byte == 'n', "the new connection got another one's bytes");
    return OK;
}

static SUSPENDS err_t set_flag(void *arg)
{
    *(bool *)arg = true;
    return OK;
}

SCENARIO(yield_lets_others_run, .weather = WEATHER_CALM)
{
    bool flag = false;

    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "flag setter", set_flag, &flag);
    for (int i = 0; i < 10000 && !flag; i++)
        TRY(fiber_yield());
    EXPECT(flag, "10,000 yields did not let the other fiber run");
    (void)w;
    return OK;
}

/* ---- hedged calls: the exact time of the end --------------------------------------------------------------------- */

enum { HEDGE_PORT = 82, ATTEMPTS_MAX = 4 };

/* What an attempt asks the server to do. */
struct order {
    ns_t delay;
    bool answers;
};

struct hedge {
    struct order orders[ATTEMPTS_MAX];
    unsigned attempts;
    ns_t gap, deadline; /* deadline: absolute */
    unsigned dialled;   /* connections open now */
};

struct attempt {
    struct hedge *hedge;
    const struct order *order;
};

static SUSPENDS err_t serve_order(struct sock *s, void *arg)
{
    struct order order;
    size_t n;

    (void)arg;
    for (size_t at = 0; at < sizeof order; at += n) {
        TRY(sock_read(s, (char *)&order + at, sizeof order - at, &n));
        if (n == 0)
            return E_EOF;
    }
    TRY(fiber_sleep_until(rt_now() + order.delay));
    return order.answers ? sock_write(s, "!", 1) : OK;
}

static void undial(struct hedge **h)
{
    (*h)->dialled--;
}

static SUSPENDS err_t attempt_run(void *arg)
{
    const struct attempt *a = arg;
    struct addr to = world_addr(HEDGE_PORT);
    struct hedge *counted UNUSED CLEANUP(undial) = a->hedge;
    struct sock *s CLEANUP(sock_close_p) = NULL;
    char byte;
    size_t n;

    a->hedge->dialled++;
    TRY(sock_connect(&to, &s));
    TRY(sock_write(s, a->order, sizeof *a->order));
    TRY(sock_read(s, &byte, 1, &n));
    return n == 1 ? OK : fail(E_UPSTREAM, "closed without an answer");
}

/* The function of house-style.md, 5.2. */
static SUSPENDS err_t call_hedged(struct hedge *h)
{
    struct attempt attempts[ATTEMPTS_MAX];

    SCOPE(s, h->deadline);
    for (unsigned next = 0, live = 0; next < h->attempts || live > 0;) {
        ns_t until = NS_NEVER;
        if (next < h->attempts) {
            attempts[next] = (struct attempt){h, &h->orders[next]};
            (void)scope_spawn(&s, "attempt", attempt_run, &attempts[next]);
            next++;
            live++;
            if (next < h->attempts)
                until = rt_now() + h->gap;
        }
        err_t child;
        err_t e = scope_wait_any(&s, until, &child);
        if (e == E_AGAIN)
            continue;
        TRY(e);
        if (child == OK)
            return OK;
        live--;
    }
    return fail(E_UPSTREAM, "all attempts failed");
}

/* What call_hedged() must return, and when, if it begins at `begin` and its fiber is cancelled at `cancel`. */
static err_t foresee(const struct hedge *h, ns_t latency, ns_t begin, ns_t cancel, ns_t *ret_end)
{
    ns_t ends[ATTEMPTS_MAX], now = begin, leave = ns_min(h->deadline, cancel);
    bool over[ATTEMPTS_MAX] = {false};
    unsigned next = 0, live = 0;

    while (next < h->attempts || live > 0) {
        ns_t until = NS_NEVER;
        if (next < h->attempts) {
            ends[next] = now + 4 * latency + h->orders[next].delay; /* SYN and its answer, order, answer or end */
            next++;
            live++;
            if (next < h->attempts)
                until = now + h->gap;
        }
        unsigned first = ATTEMPTS_MAX;
        for (unsigned i = 0; i < next; i++)
            if (!over[i] && (first == ATTEMPTS_MAX || ends[i] < ends[first]))
                first = i;
        ns_t event = ns_min(until, first < ATTEMPTS_MAX ? ends[first] : NS_NEVER);
        if (leave <= event) {
            *ret_end = leave < begin ? begin : leave;
            return cancel <= h->deadline ? E_CANCELLED : E_DEADLINE;
        }
        now = event;
        if (event == until)
            continue;
        *ret_end = now;
        if (h->orders[first].answers)
            return OK;
        over[first] = true;
        live--;
    }
    *ret_end = now;
    return E_UPSTREAM;
}

static struct hedge draw_hedge(struct prng *p)
{
    struct hedge h = {.attempts = 1 + (unsigned)prng_below(p, ATTEMPTS_MAX), .gap = prng_range(p, 1, 200 * NS_MS)};

    for (unsigned i = 0; i < h.attempts; i++)
        h.orders[i] = (struct order){.delay = prng_range(p, 0, 400 * NS_MS), .answers = prng_below(p, 3) > 0};
    h.deadline = rt_now() + prng_range(p, 0, prng_below(p, 2) ? 300 * NS_MS : 3 * NS_SEC);
    return h;
}

struct caller {
    struct client *client;
    ns_t cancel; /* when the script cancels it */
    bool done;
};

/* Several hedged calls in a row: what one scope leaves behind is seen by the next. */
static SUSPENDS err_t caller_main(void *arg)
{
    struct caller *c = arg;
    ns_t latency = c->client->world->options.latency_min, own = fiber_deadline(), foreseen;

    for (int i = 0; i < 3; i++) {
        struct hedge h = draw_hedge(&c->client->prng);
        err_t want = foresee(&h, latency, rt_now(), c->cancel, &foreseen), got = call_hedged(&h);
        EXPECT(got == want, "call %d of client %u: %s instead of %s", i, c->client->index, err_name(got),
               err_name(want));
        EXPECT(rt_now() == foreseen, "call %d of client %u (%s) ended %.9f s late", i, c->client->index, err_name(got),
               (double)(rt_now() - foreseen) / 1e9);
        EXPECT(h.dialled == 0, "call %d of client %u left %u attempts running", i, c->client->index, h.dialled);
        EXPECT(fiber_deadline() == own, "call %d of client %u left its deadline behind", i, c->client->index);
        if (got == E_CANCELLED)
            break;
    }
    c->done = true;
    return OK;
}

static SUSPENDS err_t call_and_perhaps_leave(struct client *client)
{
    struct caller c = {.client = client, .cancel = NS_NEVER};

    SCOPE(s, NS_NEVER);
    if (prng_below(&client->prng, 2))
        c.cancel = rt_now() + prng_range(&client->prng, 0, NS_SEC);
    struct fiber *f = scope_spawn(&s, "caller", caller_main, &c);
    if (c.cancel != NS_NEVER) {
        TRY(fiber_sleep_until(c.cancel));
        if (!c.done)
            fiber_cancel(f);
    }
    return scope_wait_all(&s);
}

SCENARIO(hedged_calls_end_exactly_when_foreseen, .weather = WEATHER_CALM, .prepare = fixed_latency)
{
    TRY(world_serve(w, HEDGE_PORT, serve_order, NULL));
    const struct outcome *o = world_clients(w, 20, NS_SEC, call_and_perhaps_leave, NULL);
    EXPECT(world_count(o, 20, OK) == 20, "%u of 20 callers ended well", world_count(o, 20, OK));
    return OK;
}

/* ---- scopes: a tree of fibers with deadlines, cancels and shielded goodbyes -------------------------------------- */

enum { TREE_DEPTH = 4, TREE_CHILDREN = 3, TREE_NODES = 1 + 4 + 16 + 64 };

struct node {
    struct tree *tree;
    struct node *parent;
    unsigned depth;
    ns_t deadline;          /* effective: the smallest on the way from the root */
    ns_t cancel;            /* the earliest of: script, parent's scope ended    */
    ns_t nap;               /* what it sleeps, before it leaves its scope       */
    ns_t lingers;           /* shielded, how long it stays in it after the nap  */
    ns_t goodbye, patience; /* shielded: how long it would, and may, take at its end */
    struct fiber *fiber;    /* NULL before it runs and after            */
};

struct tree {
    struct prng prng;
    struct node nodes[TREE_NODES];
    unsigned used;
};

static err_t node_main(void *arg) SUSPENDS;

static void cancelled_below(struct tree *t, const struct node *top, ns_t when)
{
    for (unsigned i = 0; i < t->used; i++)
        for (const struct node *n = &t->nodes[i]; n; n = n->parent)
            if (n == top)
                t->nodes[i].cancel = ns_min(t->nodes[i].cancel, when);
}

static void spawn_children(struct node *n, struct scope *s, unsigned most)
{
    struct tree *t = n->tree;
    unsigned children = n->depth < TREE_DEPTH - 1 ? (unsigned)prng_below(&t->prng, most + 1) : 0;

    for (unsigned i = 0; i < children && t->used < TREE_NODES; i++) {
        struct node *c = &t->nodes[t->used++];
        *c = (struct node){
            .tree = t, .parent = n, .depth = n->depth + 1, .deadline = fiber_deadline(), .cancel = n->cancel};
        c->nap = prng_range(&t->prng, 0, NS_SEC);
        c->lingers = prng_below(&t->prng, 3) ? 0 : prng_range(&t->prng, 0, NS_SEC);
        c->goodbye = prng_range(&t->prng, 0, 100 * NS_MS);
        c->patience = prng_range(&t->prng, 0, 100 * NS_MS);
        c->fiber = scope_spawn(s, "node", node_main, c);
    }
}

static SUSPENDS void check_nap(struct node *n)
{
    ns_t begin = rt_now(), wish = begin + n->nap;
    err_t e = fiber_sleep_until(wish);
    ns_t leave = ns_min(n->deadline, n->cancel), when = leave < wish ? leave : wish;
    err_t want = leave >= wish ? OK : n->cancel <= n->deadline ? E_CANCELLED : E_DEADLINE;

    if (when < begin)
        when = begin;
    EXPECT(e == want || leave == wish, "a nap ended with %s instead of %s", err_name(e), err_name(want));
    EXPECT(rt_now() == when, "a nap (%s) ended %.9f s late", err_name(e), (double)(rt_now() - when) / 1e9);
}

static SUSPENDS void check_goodbye(const struct node *n)
{
    ns_t begin = rt_now(), wish = begin + n->goodbye, limit = begin + n->patience;

    SHIELD(limit);
    err_t e = fiber_sleep_until(wish), want = wish <= limit ? OK : E_DEADLINE;
    EXPECT(e == want, "a goodbye ended with %s instead of %s", err_name(e), err_name(want));
    EXPECT(rt_now() == ns_min(wish, limit), "a goodbye (%s) took the wrong time", err_name(e));
}

/* Outlive the own deadline or cancel, so that the children have to mind theirs by themselves. */
static SUSPENDS void linger(const struct node *n)
{
    ns_t until = rt_now() + n->lingers;

    SHIELD(NS_NEVER);
    err_t e = fiber_sleep_until(until);
    EXPECT(e == OK && rt_now() == until, "a shielded sleep ended with %s", err_name(e));
}

static SUSPENDS err_t node_main(void *arg)
{
    struct node *n = arg;
    ns_t outer = fiber_deadline();

    EXPECT(outer == n->deadline, "a child does not have its scope's deadline");
    {
        ns_t own = prng_below(&n->tree->prng, 2) ? NS_NEVER : rt_now() + prng_range(&n->tree->prng, 0, NS_SEC);
        SCOPE(s, own);
        n->deadline = ns_min(own, outer);
        spawn_children(n, &s, TREE_CHILDREN);
        check_nap(n);
        spawn_children(n, &s, 1); /* born cancelled, if the nap ended so */
        linger(n);
        for (unsigned i = 0; i < n->tree->used; i++) /* the end of the scope cancels what runs in it */
            if (n->tree->nodes[i].parent == n)
                cancelled_below(n->tree, &n->tree->nodes[i], rt_now());
    }
    n->deadline = outer;
    EXPECT(fiber_deadline() == outer, "a scope left its deadline behind");
    check_goodbye(n);
    EXPECT(fiber_is_cancelled() == (n->cancel <= rt_now()), "a shield has changed what it shielded from");
    n->fiber = NULL;
    return OK;
}

static void tree_free(struct tree **t)
{
    mem_free(*t);
}

SCENARIO(scope_trees_keep_deadlines_cancels_and_shields, .weather = WEATHER_CALM)
{
    struct tree *t CLEANUP(tree_free) = NEW(struct tree);
    {
        SCOPE(s, NS_NEVER);
        t->prng = prng_fork(&w->prng);
        t->used = 1;
        t->nodes[0] = (struct node){.tree = t, .deadline = fiber_deadline(), .cancel = NS_NEVER};
        t->nodes[0].nap = NS_SEC;
        t->nodes[0].fiber = scope_spawn(&s, "node", node_main, &t->nodes[0]);
        for (int i = 0; i < 4; i++) {
            TRY(fiber_sleep_until(rt_now() + prng_range(&w->prng, 0, 300 * NS_MS)));
            struct node *victim = &t->nodes[prng_below(&w->prng, t->used)];
            if (prng_below(&w->prng, 2) || !victim->fiber)
                continue;
            cancelled_below(t, victim, rt_now());
            fiber_cancel(victim->fiber);
        }
        err_t e = scope_wait_all(&s);
        EXPECT(e == OK, "the root ended with %s", err_name(e));
    }
    return OK;
}

/* ---- channels ---------------------------------------------------------------------------------------------------- */

enum { CHAN_PRODUCERS = 6, CHAN_CONSUMERS = 4, CHAN_ITEMS = 40 };

struct chan_test {
    struct chan *chan;
    size_t cap;
    struct prng prng;
    bool sent[CHAN_PRODUCERS][CHAN_ITEMS + 1];
    unsigned received[CHAN_PRODUCERS][CHAN_ITEMS + 1];
    bool closed;                 /* the script closes it early */
    unsigned receiving, sending; /* fibers inside chan_receive() and chan_send() */
};

struct chan_user {
    struct chan_test *test;
    struct prng prng;
    unsigned index;
    uintptr_t last[CHAN_PRODUCERS];
    err_t (*work)(struct chan_user *u);
    struct fiber *fiber;
    bool ended;
};

/* All that happens here happens at full milliseconds: so much coincides, and in between everything has come to rest. */
static SUSPENDS err_t perhaps_sleep(struct prng *p)
{
    if (prng_below(p, 3))
        return OK;
    return fiber_sleep_until(rt_now() + prng_range(p, 0, 10) * NS_MS);
}

/* At rest, nobody waits for what there is. */
static SUSPENDS err_t watch_channel(void *arg)
{
    const struct chan_test *t = arg;

    TRY(fiber_sleep_until(rt_now() + NS_MS / 2));
    for (;;) {
        size_t count = chan_count(t->chan);
        EXPECT(count == 0 || t->receiving == 0, "%u fibers wait to receive, and %zu items wait for them", t->receiving,
               count);
        EXPECT(count == t->cap || t->sending == 0, "%u fibers wait to send, and there is room", t->sending);
        TRY(fiber_sleep_until(rt_now() + NS_MS));
    }
}

static SUSPENDS err_t produce(struct chan_user *u)
{
    for (uintptr_t i = 1; i <= CHAN_ITEMS; i++) {
        void *item = (void *)(u->index << 16 | i);
        u->test->sending++;
        err_t e = prng_below(&u->prng, 3) ? chan_send(u->test->chan, item) : chan_try_send(u->test->chan, item);
        u->test->sending--;
        u->test->sent[u->index][i] = e == OK;
        if (e == E_EOF)
            EXPECT(u->test->closed, "a send failed, but nobody closed the channel");
        if (e != OK && e != E_AGAIN)
            return e;
        TRY(perhaps_sleep(&u->prng));
    }
    return OK;
}

static void note_item(struct chan_user *u, void *item)
{
    uintptr_t from = (uintptr_t)item >> 16, i = (uintptr_t)item & 0xffff;

    if (!EXPECT(from < CHAN_PRODUCERS && i >= 1 && i <= CHAN_ITEMS, "an item that nobody sent"))
        return;
    u->test->received[from][i]++;
    EXPECT(i > u->last[from], "item %zu of producer %zu came after item %zu", (size_t)i, (size_t)from,
           (size_t)u->last[from]);
    u->last[from] = i;
}

static SUSPENDS err_t consume(struct chan_user *u)
{
    void *item;

    for (;;) {
        ns_t until = prng_below(&u->prng, 2) ? NS_NEVER : rt_now() + prng_range(&u->prng, 0, 5) * NS_MS;
        u->test->receiving++;
        err_t e = chan_receive(u->test->chan, until, &item);
        u->test->receiving--;
        EXPECT(e != E_AGAIN || rt_now() == until, "E_AGAIN before its time");
        if (e == OK)
            note_item(u, item);
        else if (e != E_AGAIN)
            return e == E_EOF ? OK : e;
        TRY(perhaps_sleep(&u->prng));
    }
}

static void judge_items(const struct chan_test *t)
{
    for (unsigned p = 0; p < CHAN_PRODUCERS; p++)
        for (unsigned i = 1; i <= CHAN_ITEMS; i++)
            EXPECT(t->received[p][i] == t->sent[p][i], "item %u of producer %u was sent %u times and received %u times",
                   i, p, t->sent[p][i], t->received[p][i]);
}

static SUSPENDS err_t user_main(void *arg)
{
    struct chan_user *u = arg;
    err_t e = u->work(u);

    u->ended = true;
    return e;
}

static void spawn_user(struct world *w, struct scope *s, struct chan_test *t, struct chan_user *u, unsigned index,
                       err_t (*work)(struct chan_user *u))
{
    *u = (struct chan_user){.test = t, .prng = prng_fork(&w->prng), .index = index, .work = work};
    u->fiber = scope_spawn(s, "channel user", user_main, u);
}

/* Cancel some of `n` users, now and then. */
static SUSPENDS err_t cancel_some(struct world *w, struct chan_user *users, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        TRY(fiber_sleep_until(rt_now() + prng_range(&w->prng, 0, 20) * NS_MS));
        if (prng_below(&w->prng, 2) && !users[i].ended)
            fiber_cancel(users[i].fiber);
    }
    return OK;
}

static SUSPENDS err_t run_producers(struct world *w, struct chan_test *t, struct chan_user *users)
{
    SCOPE(producing, NS_NEVER);
    for (unsigned i = 0; i < CHAN_PRODUCERS; i++)
        spawn_user(w, &producing, t, &users[i], i, produce);
    if (prng_below(&w->prng, 2))
        TRY(cancel_some(w, users, CHAN_PRODUCERS));
    t->closed = prng_below(&w->prng, 4) == 0;
    if (t->closed)
        chan_close(t->chan);
    err_t e = scope_wait_all(&producing);
    EXPECT(e == OK || e == E_CANCELLED || (e == E_EOF && t->closed), "producers ended with %s", err_name(e));
    return OK;
}

static SUSPENDS err_t run_chan(struct world *w, struct chan_test *t, struct chan_user *users)
{
    SCOPE(watching, NS_NEVER);
    SCOPE(consuming, NS_NEVER);

    (void)scope_spawn(&watching, "watcher", watch_channel, t);
    for (unsigned i = 0; i < CHAN_CONSUMERS; i++)
        spawn_user(w, &consuming, t, &users[i], i, consume);
    if (prng_below(&w->prng, 2))
        TRY(cancel_some(w, users, CHAN_CONSUMERS - 1)); /* the last stays, or producers would wait for ever */
    TRY(run_producers(w, t, users + CHAN_CONSUMERS));
    chan_close(t->chan);
    err_t e = scope_wait_all(&consuming);
    EXPECT(e == OK || e == E_CANCELLED, "consumers ended with %s", err_name(e));
    return OK;
}

SCENARIO(channels_lose_and_double_nothing, .weather = WEATHER_CALM)
{
    struct chan_test *t = NEW(struct chan_test);
    struct chan_user *users = mem_zalloc(CHAN_CONSUMERS + CHAN_PRODUCERS, sizeof *users);

    t->cap = 1 + prng_below(&w->prng, 8);
    t->chan = chan_new(t->cap);
    err_t e = run_chan(w, t, users);
    EXPECT(chan_count(t->chan) == 0, "%zu items are left though a consumer stayed to the end", chan_count(t->chan));
    judge_items(t);
    chan_free(t->chan);
    mem_free(users);
    mem_free(t);
    return e;
}

/* ---- timers ------------------------------------------------------------------------------------------------------ */

enum { TIMERS = 50, TIMER_CHANGES = 300 };

struct alarm {
    struct timer timer;
    struct loop_defer defer;
    ns_t want; /* NS_NEVER: not armed */
    ns_t fired_at;
    unsigned fired, deferred;
};

static void alarm_deferred(struct loop_defer *d)
{
    struct alarm *a = CONTAINER_OF(d, struct alarm, defer);

    EXPECT(rt_now() == a->fired_at, "a deferred call came in another turn");
    a->deferred++;
}

static void alarm_fired(struct timer *t)
{
    struct alarm *a = CONTAINER_OF(t, struct alarm, timer);

    EXPECT(a->want != NS_NEVER, "a timer fired that was not armed");
    EXPECT(rt_now() == a->want, "a timer fired %.9f s late", (double)(rt_now() - a->want) / 1e9);
    a->want = NS_NEVER;
    a->fired++;
    a->fired_at = rt_now();
    loop_defer(&a->defer);
    loop_defer(&a->defer); /* once is enough */
}

SCENARIO(timers_fire_once_and_on_time_however_they_are_moved, .weather = WEATHER_CALM)
{
    struct alarm *alarms = mem_zalloc(TIMERS, sizeof *alarms);
    ns_t last = rt_now();

    for (unsigned i = 0; i < TIMERS; i++)
        alarms[i] = (struct alarm){.timer.fire = alarm_fired, .defer.run = alarm_deferred, .want = NS_NEVER};
    for (unsigned i = 0; i < TIMER_CHANGES; i++) {
        struct alarm *a = &alarms[prng_below(&w->prng, TIMERS)];
        EXPECT(timer_is_armed(&a->timer) == (a->want != NS_NEVER), "a timer does not know whether it is armed");
        if (prng_below(&w->prng, 4) == 0) {
            timer_disarm(&a->timer);
            a->want = NS_NEVER;
        } else {
            a->want = rt_now() + prng_range(&w->prng, 1, 200 * NS_MS);
            timer_arm(&a->timer, a->want);
            last = a->want > last ? a->want : last;
        }
        if (prng_below(&w->prng, 2))
            TRY(fiber_sleep_until(rt_now() + prng_range(&w->prng, 0, 5 * NS_MS)));
    }
    TRY(fiber_sleep_until(last + 1));
    for (unsigned i = 0; i < TIMERS; i++)
        EXPECT(alarms[i].want == NS_NEVER && !timer_is_armed(&alarms[i].timer) && alarms[i].deferred == alarms[i].fired,
               "timer %u fired %u times, with %u calls after it", i, alarms[i].fired, alarms[i].deferred);
    mem_free(alarms);
    return OK;
}

/* ---- worker jobs ------------------------------------------------------------------------------------------------- */

struct sum_job {
    struct job job;
    unsigned *alive; /* jobs that nobody has freed */
    uint64_t from, result;
    bool ran;
};

static void sum_free(struct sum_job *j)
{
    (*j->alive)--;
    mem_free(j);
}

static void sum_run(struct job *job)
{
    struct sum_job *j = CONTAINER_OF(job, struct sum_job, job);

    j->result = j->from * (j->from + 1) / 2;
    j->ran = true;
}

static void sum_drop(struct job *job)
{
    sum_free(CONTAINER_OF(job, struct sum_job, job));
}

struct summing {
    struct prng prng;
    unsigned alive, done, given_up;
};

static SUSPENDS err_t sum_within(struct summing *t, ns_t deadline)
{
    struct sum_job *j = NEW(struct sum_job);

    WITHIN(deadline);
    t->alive++;
    *j = (struct sum_job){
        .job = {.run = sum_run, .drop = sum_drop}, .alive = &t->alive, .from = prng_below(&t->prng, 1000)};
    TRY(worker_run(&j->job)); /* else the pool has it */
    EXPECT(j->ran && j->result == j->from * (j->from + 1) / 2, "a job came back without its result");
    t->done++;
    sum_free(j);
    return OK;
}

static SUSPENDS err_t sum_main(void *arg)
{
    struct summing *t = arg;

    for (int i = 0; i < 5; i++) {
        ns_t deadline = prng_below(&t->prng, 2) ? NS_NEVER : rt_now() + prng_range(&t->prng, 0, 5 * NS_MS);
        err_t e = sum_within(t, deadline);
        EXPECT(e != E_DEADLINE || rt_now() == deadline, "a job's waiter came back %.9f s after its deadline",
               (double)(rt_now() - deadline) / 1e9);
        t->given_up += e != OK;
        if (e == E_CANCELLED)
            return e;
    }
    return OK;
}

SCENARIO(worker_jobs_are_owned_by_exactly_one, .weather = WEATHER_CALM)
{
    struct summing t = {.prng = prng_fork(&w->prng)};
    {
        SCOPE(s, NS_NEVER);
        scope_discard_results(&s);
        for (int i = 0; i < 8; i++)
            (void)scope_spawn(&s, "summing", sum_main, &t);
        if (prng_below(&w->prng, 2))
            TRY(fiber_sleep_until(rt_now() + prng_range(&w->prng, 0, 10 * NS_MS)));
        else
            TRY(scope_wait_all(&s));
    }
    TRY(fiber_sleep_until(rt_now() + 10 * NS_SEC)); /* orphans end, too */
    EXPECT(t.alive == 0, "%u jobs were never freed (%u done, %u given up)", t.alive, t.done, t.given_up);
    EXPECT(workers_busy() == 0, "%u jobs are busy for ever", workers_busy());
    return OK;
}

/* ---- a relay with half-closed connections ------------------------------------------------------------------------ */

enum { RELAY_PORT = 83, COUNTER_PORT = 84 };

/* Reads to the end, then answers with the count of bytes and twice as many bytes of another stream. */
static SUSPENDS err_t serve_count(struct sock *s, void *arg)
{
    struct world *w = arg;
    uint64_t count = 0;
    char bytes[CHUNK];
    size_t n;

    do {
        TRY(sock_read(s, bytes, sizeof bytes, &n));
        count += n;
    } while (n > 0);
    TRY(sock_write(s, &count, sizeof count));
    for (uint64_t at = 0; at < 2 * count; at += n) {
        n = 2 * count - at < sizeof bytes ? 2 * count - at : sizeof bytes;
        world_bytes(w->seed, at, bytes, n);
        TRY(sock_write(s, bytes, n));
    }
    return OK;
}

struct direction {
    struct sock *from, *to;
};

static SUSPENDS err_t copy(void *arg)
{
    const struct direction *d = arg;
    char bytes[CHUNK];
    size_t n;

    for (;;) {
        TRY(sock_read(d->from, bytes, sizeof bytes, &n));
        if (n == 0)
            return sock_shutdown(d->to);
        TRY(sock_write(d->to, bytes, n));
    }
}

static SUSPENDS err_t serve_relay(struct sock *client, void *arg)
{
    struct addr to = world_addr(COUNTER_PORT);
    struct sock *server CLEANUP(sock_close_p) = NULL;
    err_t child;

    (void)arg;
    TRY(sock_connect(&to, &server));
    struct direction up = {client, server}, down = {server, client};
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "relay up", copy, &up);
    (void)scope_spawn(&s, "relay down", copy, &down);
    for (int i = 0; i < 2; i++) {
        TRY(scope_wait_any(&s, NS_NEVER, &child));
        TRY(child); /* one direction failed: the other one ends with the scope */
    }
    return OK;
}

static SUSPENDS err_t read_exactly(struct sock *s, void *to, size_t n)
{
    size_t some;

    for (size_t at = 0; at < n; at += some) {
        TRY(sock_read(s, (char *)to + at, n - at, &some));
        if (some == 0)
            return fail(E_EOF, "%zu bytes of %zu", at, n);
    }
    return OK;
}

static SUSPENDS err_t ask_relay(struct client *c)
{
    struct addr to = world_addr(RELAY_PORT);
    struct sock *s CLEANUP(sock_close_p) = NULL;
    uint64_t count;
    SCOPE(sending, rt_now() + 1200 * NS_SEC);

    TRY(sock_connect(&to, &s));
    struct upload u = {s, prng_fork(&c->prng), c->index, draw_size(&c->prng, 32 * 1024)};
    c->outcome->sent = u.total;
    (void)scope_spawn(&sending, "relay upload", upload, &u);
    TRY(read_exactly(s, &count, sizeof count));
    EXPECT(count <= u.total, "client %u: the server counted more than was sent", c->index);
    TRY(download(c, s, c->world->seed, 2 * count));
    if (count != u.total)
        return fail(E_PROTOCOL, "the server got %zu bytes of %zu", (size_t)count, (size_t)u.total);
    TRY(scope_wait_all(&sending));
    c->outcome->complete = true;
    return OK;
}

static SUSPENDS err_t relay(struct world *w)
{
    unsigned n = 1 + (unsigned)prng_below(&w->prng, 6);

    TRY(world_serve(w, COUNTER_PORT, serve_count, w));
    TRY(world_serve(w, RELAY_PORT, serve_relay, NULL));
    const struct outcome *o = world_clients(w, n, NS_SEC, ask_relay, NULL);
    for (unsigned i = 0; i < n; i++) {
        EXPECT(o[i].result != OK || o[i].complete, "client %u was told OK too early", i);
        EXPECT(!world_is_harmless(w) || o[i].result == OK, "client %u failed with nothing broken: %s %s", i,
               err_name(o[i].result), o[i].text);
    }
    return OK;
}

SCENARIO(half_closed_relay_passes_everything_or_fails)
{
    return relay(w);
}

SCENARIO(half_closed_relay_completes_where_nothing_breaks, .weather = WEATHER_HARMLESS)
{
    return relay(w);
}

/* ---- idle connections without a fiber ---------------------------------------------------------------------------- */

enum { IDLE_PORT = 85, IDLE_CONNECTIONS = 12 };

struct idle {
    struct sock *sock;
    ns_t closes;  /* when the server closes it, or speaks */
    ns_t noticed; /* when the callback was called         */
    bool speaks;  /* the server sends a byte instead      */
};

static void idle_event(struct sock *s, void *ctx)
{
    struct idle *i = ctx;
    char byte;
    size_t n;
    err_t e = sock_try_read(s, &byte, 1, &n);

    if (e == E_AGAIN)
        return; /* without cause: allowed */
    EXPECT(i->noticed == 0, "the callback of a closed socket was called");
    EXPECT(e == OK && n == i->speaks, "the callback read %s, %zu bytes", err_name(e), n);
    i->noticed = rt_now();
    sock_close(s);
    i->sock = NULL;
}

static SUSPENDS err_t serve_idle(struct sock *s, void *arg)
{
    struct idle i;

    (void)arg;
    TRY(read_exactly(s, &i, sizeof i));
    TRY(fiber_sleep_until(i.closes));
    return i.speaks ? sock_write(s, "?", 1) : OK;
}

static void fixed_latency_and_spurious_events(struct sim_options *o, struct prng *p)
{
    fixed_latency(o, p);
    o->faults.spurious_event = (unsigned)prng_below(p, 300);
}

static SUSPENDS err_t open_idle(struct world *w, struct idle *i)
{
    struct addr to = world_addr(IDLE_PORT);

    TRY(sock_connect(&to, &i->sock));
    i->closes = rt_now() + NS_SEC + prng_range(&w->prng, 0, 10 * NS_SEC);
    i->speaks = prng_below(&w->prng, 2);
    TRY(sock_write(i->sock, i, sizeof *i));
    if (prng_below(&w->prng, 2))
        TRY(fiber_sleep_until(i->closes + NS_SEC)); /* the event comes before the callback is set */
    sock_on_event(i->sock, idle_event, i);
    return OK;
}

SCENARIO(idle_connections_hear_of_their_end_at_once, .weather = WEATHER_CALM,
         .prepare = fixed_latency_and_spurious_events)
{
    struct idle idles[IDLE_CONNECTIONS] = {{0}};
    ns_t set_at[IDLE_CONNECTIONS];

    TRY(world_serve(w, IDLE_PORT, serve_idle, NULL));
    for (unsigned i = 0; i < IDLE_CONNECTIONS; i++) {
        TRY(open_idle(w, &idles[i]));
        set_at[i] = rt_now();
    }
    TRY(fiber_sleep_until(rt_now() + 20 * NS_SEC));
    for (unsigned i = 0; i < IDLE_CONNECTIONS; i++) {
        ns_t arrives = idles[i].closes + w->options.latency_min, want = arrives > set_at[i] ? arrives : set_at[i];
        EXPECT(idles[i].noticed == want, "connection %u was told %.9f s late", i,
               (double)(idles[i].noticed - want) / 1e9);
    }
    return OK;
}
