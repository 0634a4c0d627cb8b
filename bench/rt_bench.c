/*
 * rt_bench.c - what the primitives of the fiber runtime cost, in nanoseconds per operation.
 *
 *     make all && cc -O2 -Isrc bench/rt_bench.c build/release/libcrossdock.a -lm -pthread -o build/rt_bench && build/rt_bench
 *
 * One number is the best of several rounds: the least disturbed one. Compare numbers of one run only.
 */
#include "rt/chan.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/sock.h"
#include "rt/timer.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 7 };

typedef err_t bench_fn(long count);

static err_t bench(const char *what, bench_fn *fn, long count)
{
    double best = 1e18;

    for (int i = 0; i < ROUNDS; i++) {
        ns_t start = rt_now_exact();
        TRY(fn(count));
        double each = (double)(rt_now_exact() - start) / (double)count;
        best = each < best ? each : best;
    }
    (void)printf("%-44s %9.1f ns\n", what, best);
    (void)fflush(stdout);
    return OK;
}

/* ---- switching ---- */

static err_t yield_for(void *arg)
{
    for (long n = *(long *)arg; n > 0; n--)
        TRY(fiber_yield());
    return OK;
}

static unsigned crowd;

static err_t yields(long count)
{
    long each = count / (long)crowd;
    SCOPE(s, NS_NEVER);

    for (unsigned i = 0; i < crowd; i++)
        (void)scope_spawn(&s, "yield", yield_for, &each);
    return scope_wait_all(&s);
}

/* ---- spawning ---- */

static err_t nothing(void *arg UNUSED)
{
    return OK;
}

static err_t spawn_join(long count)
{
    SCOPE(s, NS_NEVER);

    for (long i = 0; i < count; i++) {
        (void)scope_spawn(&s, "nothing", nothing, NULL);
        TRY(scope_wait_all(&s));
    }
    return OK;
}

static err_t spawn_many(long count)
{
    SCOPE(s, NS_NEVER);

    scope_discard_results(&s);
    for (long i = 0; i < count;) {
        for (int k = 0; k < 64; k++, i++)
            (void)scope_spawn(&s, "nothing", nothing, NULL);
        TRY(fiber_yield());
    }
    return OK;
}

static err_t scopes(long count)
{
    for (long i = 0; i < count; i++) {
        SCOPE(s, NS_NEVER);
    }
    return OK;
}

/* ---- parking ---- */

static struct fiber *partner[2];
static ns_t alarm_after;

static err_t park_wake(void *arg)
{
    long *left = arg;
    int me = partner[0] == NULL ? 0 : 1;

    partner[me] = fiber_current();
    while (*left > 0) {
        --*left;
        if (partner[!me])
            fiber_wake(partner[!me]);
        TRY(fiber_park("the other", alarm_after == NS_NEVER ? NS_NEVER : rt_now() + alarm_after));
    }
    fiber_wake(partner[!me]);
    return OK;
}

static err_t parks_within(long count, ns_t deadline)
{
    SCOPE(s, deadline);

    partner[0] = partner[1] = NULL;
    (void)scope_spawn(&s, "ping", park_wake, &count);
    (void)scope_spawn(&s, "pong", park_wake, &count);
    return scope_wait_all(&s);
}

static err_t parks(long count)
{
    alarm_after = NS_NEVER;
    return parks_within(count, NS_NEVER);
}

static err_t parks_deadline(long count)
{
    alarm_after = NS_NEVER;
    return parks_within(count, rt_now() + 60 * NS_SEC);
}

static err_t parks_until(long count)
{
    alarm_after = 5 * NS_SEC;
    return parks_within(count, rt_now() + 60 * NS_SEC);
}

/* ---- channels ---- */

static err_t produce(void *arg)
{
    struct chan *c = arg;

    for (long i = 1; i <= 1000000; i++)
        TRY(chan_send(c, (void *)i));
    return OK;
}

static err_t channel(long count)
{
    struct chan *c = chan_new(16);
    err_t e = OK;
    {
        SCOPE(s, NS_NEVER);
        void *got;
        (void)scope_spawn(&s, "producer", produce, c);
        for (long i = 0; i < count && e == OK; i++)
            e = chan_receive(c, NS_NEVER, &got);
    }
    chan_free(c);
    return e;
}

/* ---- timers ---- */

enum { TIMERS = 10000 };

static struct timer timers[TIMERS];

static void fired(struct timer *t UNUSED)
{
}

static err_t timer_move(long count)
{
    ns_t base = rt_now() + 3600 * NS_SEC;

    for (int i = 0; i < TIMERS; i++) {
        timers[i].fire = fired;
        timer_arm(&timers[i], base + i);
    }
    for (long i = 0; i < count; i++)
        timer_arm(&timers[i % TIMERS], base + TIMERS + i);
    for (int i = 0; i < TIMERS; i++)
        timer_disarm(&timers[i]);
    return OK;
}

static err_t timer_arm_disarm(long count)
{
    ns_t base = rt_now() + 3600 * NS_SEC;

    for (int i = 0; i < TIMERS; i++) {
        timers[i].fire = fired;
        timer_arm(&timers[i], base + (ns_t)(rt_random() % (uint64_t)NS_SEC));
    }
    for (long i = 0; i < count; i++) {
        struct timer *t = &timers[rt_random() % TIMERS];
        timer_disarm(t);
        timer_arm(t, base + (ns_t)(rt_random() % (uint64_t)NS_SEC));
    }
    for (int i = 0; i < TIMERS; i++)
        timer_disarm(&timers[i]);
    return OK;
}

/* ---- sockets ---- */

static struct sock *listener;
static struct addr at;

static err_t echo(void *arg)
{
    struct sock *s CLEANUP(sock_close_p) = arg;
    char b[512];

    for (;;) {
        size_t n;
        TRY(sock_read(s, b, sizeof b, &n));
        if (n == 0)
            return OK;
        TRY(sock_write(s, b, n));
    }
}

static err_t serve(void *arg UNUSED)
{
    SCOPE(s, NS_NEVER);

    scope_discard_results(&s);
    for (;;) {
        struct sock *c;
        struct addr peer;
        TRY(sock_accept(listener, &c, &peer));
        (void)scope_spawn(&s, "echo", echo, c);
    }
}

static err_t ask(void *arg)
{
    struct sock *s CLEANUP(sock_close_p) = NULL;
    char b[512];

    TRY(sock_connect(&at, &s));
    for (long n = *(long *)arg; n > 0; n--) {
        size_t got;
        TRY(sock_write(s, b, 100));
        TRY(sock_read(s, b, sizeof b, &got));
    }
    return OK;
}

static err_t ping_pong(long count)
{
    long each = count / (long)crowd;
    SCOPE(s, rt_now() + 60 * NS_SEC);

    for (unsigned i = 0; i < crowd; i++)
        (void)scope_spawn(&s, "ask", ask, &each);
    return scope_wait_all(&s);
}

static err_t connects(long count)
{
    long once = 1;

    for (long i = 0; i < count; i++)
        TRY(ask(&once));
    return OK;
}

static err_t run_all(void *arg UNUSED)
{
    struct addr any;

    crowd = 2;
    TRY(bench("switch, 2 fibers", yields, 2000000));
    crowd = 64;
    TRY(bench("switch, 64 fibers", yields, 2000000));
    crowd = 2000;
    TRY(bench("switch, 2,000 fibers", yields, 2000000));
    TRY(bench("scope open and close", scopes, 1000000));
    TRY(bench("spawn and join, one at a time", spawn_join, 500000));
    TRY(bench("spawn, run and discard, 64 at a time", spawn_many, 640000));
    TRY(bench("wake and park", parks, 1000000));
    TRY(bench("wake and park, under a deadline", parks_deadline, 1000000));
    TRY(bench("wake and park, deadline and moving alarm", parks_until, 1000000));
    TRY(bench("channel of 16, per item", channel, 1000000));
    TRY(bench("timer moved later, of 10,000", timer_move, 1000000));
    TRY(bench("timer disarmed and armed, of 10,000", timer_arm_disarm, 1000000));
    TRY(addr_parse(STR("127.0.0.1:0"), &any));
    TRY(sock_listen(&any, LISTEN_ALONE, &listener));
    TRY(sock_local_addr(listener, &at));
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "serve", serve, NULL);
    crowd = 1;
    TRY(bench("echo over loopback, 1 connection", ping_pong, 20000));
    crowd = 64;
    TRY(bench("echo over loopback, 64 connections", ping_pong, 64000));
    crowd = 1000;
    TRY(bench("echo over loopback, 1,000 connections", ping_pong, 64000));
    TRY(bench("connect, echo, close", connects, 3000));
    return OK;
}

int main(void)
{
    err_t e = loop_run(&(struct loop_options){0}, run_all, NULL);

    if (e != OK)
        (void)fprintf(stderr, "%s: %s\n", err_name(e), err_detail(e));
    return e == OK ? 0 : 1;
}
