/*
 * world.c - makes a world from a seed, runs a scenario in it and judges what is left.
 *
 * The weather is drawn in the way of swarm testing: each world has some kinds of fault and not the others, because faults that all
 * happen at once hide each other.
 *
 * One world at a time, on the thread of main(): the current one is a static variable, for EXPECT in helpers without a world at hand.
 */
#include "sim/world.h"

#include "base/mem.h"
#include "rt/loop.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct outcome_table {
    struct outcome_table *next;
    unsigned count;
    struct client *clients; /* one per outcome */
    struct outcome outcomes[];
};

/* A listener with what it does. */
struct handler {
    struct handler *next;
    struct sock *listener;
    serve_fn *fn;
    void *arg;
};

/* One accepted connection. */
struct served {
    struct sock *sock;
    serve_fn *fn;
    void *arg;
};

static struct world *current;
static bool is_verbose;

struct world *world_now(void)
{
    return current;
}

bool world_fail(const char *file, int line, const char *fmt, ...)
{
    struct world *w = current;
    va_list args;

    if (w->failed)
        return false;
    w->failed = true;
    int used = snprintf(w->failure, sizeof w->failure, "%s:%d: ", file, line);
    va_start(args, fmt);
    (void)vsnprintf(w->failure + used, sizeof w->failure - (size_t)used, fmt, args);
    va_end(args);
    world_log("FAILED %s", w->failure);
    return false;
}

void world_log(const char *fmt, ...)
{
    va_list args;

    if (!is_verbose)
        return;
    printf("# %12.6f ", (double)(rt_now() - current->began) / 1e9);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

bool world_is_calm(const struct world *w)
{
    static const struct sim_faults none;
    return !w->scenario->may_fail && memcmp(&w->options.faults, &none, sizeof none) == 0;
}

bool world_is_harmless(const struct world *w)
{
    const struct sim_faults *f = &w->options.faults;
    return !(w->scenario->may_fail || f->connect_refused || f->connect_lost || f->reset || f->half_close ||
             f->resolve_fail || f->disk_error || f->accept_fail);
}

/* ---- weather ---- */

/* Often no chance at all, else 1 .. max per thousand, small ones as often as large ones. */
static unsigned draw_chance(struct prng *p, unsigned max)
{
    if (prng_below(p, 2))
        return 0;
    unsigned at_most = 1 + (unsigned)prng_below(p, max);
    return 1 + (unsigned)prng_below(p, at_most);
}

static void draw_harmless(struct sim_faults *f, struct prng *p)
{
    f->short_read = draw_chance(p, 500);
    f->short_write = draw_chance(p, 500);
    f->slow_peer = draw_chance(p, 300);
    f->stall = draw_chance(p, 30);
    f->spurious_event = draw_chance(p, 200);
}

static void draw_harmful(struct sim_faults *f, struct prng *p)
{
    f->connect_refused = draw_chance(p, 200);
    f->connect_lost = draw_chance(p, 100);
    f->reset = draw_chance(p, 50);
    f->half_close = draw_chance(p, 50);
    f->resolve_fail = draw_chance(p, 200);
    f->disk_error = draw_chance(p, 100);
    f->accept_fail = draw_chance(p, 300);
}

static struct sim_options draw_options(const struct scenario *s, struct prng *p)
{
    static const ns_t latencies[] = {0, 50 * NS_US, NS_MS, 20 * NS_MS, 150 * NS_MS};
    static const size_t buffers[] = {128, 1024, 8192, 65536, 65536};
    struct sim_options o = {.socket_buffer = buffers[prng_below(p, ARRAY_LEN(buffers))]};
    bool calm = prng_below(p, 4) == 0;

    o.latency_min = 1 + latencies[prng_below(p, ARRAY_LEN(latencies))];
    o.latency_max = o.latency_min + latencies[prng_below(p, ARRAY_LEN(latencies))];
    o.job_delay_max = prng_below(p, 2) ? 5 * NS_MS : 2 * NS_SEC;
    if (s->weather != WEATHER_CALM && !calm)
        draw_harmless(&o.faults, p);
    if (s->weather == WEATHER_DRAWN && !calm && prng_below(p, 3))
        draw_harmful(&o.faults, p);
    o.seed = prng_next(p);
    if (s->prepare)
        s->prepare(&o, p);
    return o;
}

/* ---- servers ---- */

struct addr world_addr(uint16_t port)
{
    struct addr a;

    if (!addr_from_ip(STR("127.0.0.1"), port, &a))
        die("127.0.0.1 is no address");
    return a;
}

static SUSPENDS err_t serve_one(void *arg)
{
    struct served served = *(struct served *)arg;

    mem_free(arg);
    err_t e = served.fn(served.sock, served.arg);
    sock_close(served.sock);
    return e;
}

static SUSPENDS err_t serve_all(void *arg)
{
    const struct handler *h = arg;
    struct addr peer;

    SCOPE(connections, NS_NEVER);
    scope_discard_results(&connections);
    for (;;) {
        struct sock *s = NULL;
        TRY(sock_accept(h->listener, &s, &peer));
        struct served *served = NEW(struct served);
        *served = (struct served){.sock = s, .fn = h->fn, .arg = h->arg};
        (void)scope_spawn(&connections, "served connection", serve_one, served);
    }
}

err_t world_serve(struct world *w, uint16_t port, serve_fn *fn, void *arg)
{
    struct addr at = world_addr(port);
    struct sock *listener;

    TRY(sock_listen(&at, LISTEN_ALONE, &listener));
    struct handler *h = NEW(struct handler);
    *h = (struct handler){.next = w->handlers, .listener = listener, .fn = fn, .arg = arg};
    w->handlers = h;
    (void)scope_spawn(w->background, "server", serve_all, h);
    return OK;
}

static void handlers_close(struct world *w)
{
    for (struct handler *h = w->handlers; h; h = h->next) {
        sock_close(h->listener);
        h->listener = NULL;
    }
}

/* ---- clients ---- */

static SUSPENDS err_t client_main(void *arg)
{
    struct client *c = arg;
    struct outcome *o = c->outcome;

    err_t e = fiber_sleep_until(c->start);
    o->began = rt_now();
    if (e == OK)
        e = c->fn(c);
    o->result = e;
    o->ended = rt_now();
    (void)snprintf(o->text, sizeof o->text, "%s", e == OK ? "" : err_detail(e));
    world_log("client %u ended with %s %s", c->index, err_name(e), o->text);
    return OK;
}

struct outcome *world_start_clients(struct world *w, struct scope *s, unsigned n, ns_t spread, client_fn *fn, void *arg)
{
    struct outcome_table *t = mem_zalloc(1, sizeof *t + n * sizeof t->outcomes[0]);

    t->clients = mem_zalloc(n, sizeof *t->clients);
    t->count = n;
    t->next = w->tables;
    w->tables = t;
    for (unsigned i = 0; i < n; i++) {
        struct client *c = &t->clients[i];
        *c = (struct client){.world = w, .index = i, .arg = arg, .outcome = &t->outcomes[i], .fn = fn};
        c->prng = prng_fork(&w->prng);
        c->start = rt_now() + prng_range(&w->prng, 0, spread);
        (void)scope_spawn(s, "client", client_main, c);
    }
    return t->outcomes;
}

struct outcome *world_clients(struct world *w, unsigned n, ns_t spread, client_fn *fn, void *arg)
{
    SCOPE(s, NS_NEVER);

    struct outcome *o = world_start_clients(w, &s, n, spread, fn, arg);
    err_t e = scope_wait_all(&s);
    if (e != OK)
        world_log("the clients' scope ended with %s", err_name(e));
    return o;
}

unsigned world_count(const struct outcome *o, unsigned n, err_t result)
{
    unsigned count = 0;

    for (unsigned i = 0; i < n; i++)
        count += o[i].result == result;
    return count;
}

/* ---- meddling ---- */

struct meddler {
    struct world *world;
    uint16_t port;
    ns_t until;
    struct prng prng;
};

static SUSPENDS err_t meddle(void *arg)
{
    struct meddler m = *(struct meddler *)arg;

    mem_free(arg);
    while (rt_now() < m.until) {
        TRY(fiber_sleep_until(rt_now() + (ns_t)prng_exponential(&m.prng, 5e9)));
        if (prng_below(&m.prng, 2)) {
            world_log("meddling: %u connections reset", sim_world_reset_all(m.world->sim, m.port));
        } else {
            ns_t span = (ns_t)prng_exponential(&m.prng, 3e9);
            world_log("meddling: partition for %.3f s", (double)span / 1e9);
            sim_world_partition(m.world->sim, m.port, rt_now() + span);
        }
    }
    return OK;
}

void world_meddle(struct world *w, uint16_t port, ns_t span)
{
    struct meddler *m = NEW(struct meddler);

    *m = (struct meddler){.world = w, .port = port, .until = rt_now() + span, .prng = prng_fork(&w->prng)};
    (void)scope_spawn(w->background, "meddler", meddle, m);
}

/* ---- streams of bytes ---- */

unsigned char world_byte(uint64_t stream, uint64_t at)
{
    uint64_t x = (stream * 0x9e3779b97f4a7c15U) ^ ((at >> 3) * 0xbf58476d1ce4e5b9U);

    x ^= x >> 31;
    x *= 0x94d049bb133111ebU;
    return (unsigned char)((x ^ (x >> 29)) >> (8 * (at & 7)));
}

void world_bytes(uint64_t stream, uint64_t at, void *to, size_t n)
{
    unsigned char *bytes = to;

    for (size_t i = 0; i < n; i++)
        bytes[i] = world_byte(stream, at + i);
}

size_t world_mismatch(uint64_t stream, uint64_t at, const void *bytes, size_t n)
{
    const unsigned char *got = bytes;
    size_t i = 0;

    while (i < n && got[i] == world_byte(stream, at + i))
        i++;
    return i;
}

/* ---- one world ---- */

/* The limit is a scope around the body, so that a scenario that hangs is cancelled and still cleans up. */
static SUSPENDS err_t run_body(struct world *w)
{
    ns_t limit = w->scenario->limit ? w->scenario->limit : 3600 * NS_SEC;

    SCOPE(background, ns_add(rt_now(), limit));
    scope_discard_results(&background);
    w->background = &background;
    err_t e = w->scenario->run(w);
    (void)EXPECT(rt_now() < background.deadline, "not over after %.0f s of virtual time: %s %s", (double)limit / 1e9,
                 err_name(e), e == OK ? "" : err_detail(e));
    return e;
}

static SUSPENDS err_t world_main(void *arg)
{
    struct world *w = arg;
    struct loop_stats stats;

    w->began = rt_now();
    if (w->scenario->begin)
        w->scenario->begin();
    w->result = run_body(w);
    handlers_close(w);
    loop_stats(&stats);
    (void)EXPECT(stats.fibers == 1, "%u fibers run on after the scenario", stats.fibers - 1);
    (void)EXPECT(stats.sockets == 0, "%u sockets are open after the scenario", stats.sockets);
    return w->result;
}

static void check_census(struct world *w, struct sim_census *c)
{
    sim_world_census(w->sim, c);
    (void)EXPECT(c->open_sockets == 0, "%u simulated connections are open at the end", c->open_sockets);
    (void)EXPECT(c->open_listeners == 0, "%u simulated listeners are open at the end", c->open_listeners);
    (void)EXPECT(c->open_files == 0, "%u simulated files are open at the end", c->open_files);
    (void)EXPECT(c->open_pollers == 0, "%u simulated pollers are open at the end", c->open_pollers);
}

static void show_tables(const struct world *w)
{
    for (const struct outcome_table *t = w->tables; t && is_verbose; t = t->next)
        for (unsigned i = 0; i < t->count; i++) {
            const struct outcome *o = &t->outcomes[i];
            printf("# %4u  %9.3f .. %9.3f s  %-10s sent %" PRIu64 " received %" PRIu64 " status %d%s %s\n", i,
                   (double)(o->began - w->began) / 1e9, (double)(o->ended - w->began) / 1e9, err_name(o->result),
                   o->sent, o->received, o->status, o->complete ? " complete" : "", o->text);
        }
}

static void tables_release(struct world *w, struct verdict *v)
{
    for (struct outcome_table *t = w->tables, *next; t; t = next) {
        next = t->next;
        for (unsigned i = 0; i < t->count; i++)
            v->results[t->outcomes[i].result]++;
        mem_free(t->clients);
        mem_free(t);
    }
    for (struct handler *h = w->handlers, *next; h; h = next) {
        next = h->next;
        mem_free(h);
    }
}

/* The loop's own failures are those that the body did not return: a deadlock, above all. */
static void judge_result(struct world *w, err_t e)
{
    bool own = e == w->result && strncmp(err_detail(e), "deadlock", 8) != 0;

    if (e != OK && !(w->scenario->may_fail && own))
        (void)world_fail(w->scenario->file, w->scenario->line, "%s: %s", err_name(e), err_detail(e));
}

void world_run(const struct scenario *s, uint64_t seed, bool verbose, struct verdict *ret)
{
    struct world w = {.scenario = s, .seed = seed};

    *ret = (struct verdict){0};
    prng_seed(&w.prng, seed);
    w.options = draw_options(s, &w.prng);
    w.sim = sim_world_new(&w.options);
    current = &w;
    is_verbose = verbose;
    const struct seams *seams = sim_world_seams(w.sim);
    if (s->wrap)
        seams = s->wrap(seams);
    judge_result(&w, loop_run(&(struct loop_options){.seams = seams}, world_main, &w));
    check_census(&w, &ret->census);
    show_tables(&w);
    tables_release(&w, ret);
    ret->lasted = sim_world_seams(w.sim)->clock->now(w.sim) - w.began;
    sim_world_free(w.sim);
    ret->failed = w.failed;
    memcpy(ret->failure, w.failure, sizeof ret->failure);
    current = NULL;
}
