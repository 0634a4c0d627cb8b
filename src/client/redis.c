/*
 * redis.c - commands of many fibers over few connections.
 *
 * Each link has a fiber that dials and then reads, and while it is up a second one that writes. A call writes its commands into the link's
 * buffer and puts itself at the end of the list of those who are owed replies; Redis answers in order, so the first of the list gets the
 * next reply. What gathers while the writer is busy goes out in one write: the busier it is, the larger the batches.
 *
 * A call is an object of its own on the heap, because its fiber may leave (cancel, deadline) before the reply comes. It is abandoned then:
 * its replies are still counted off the stream, but touch neither arena nor fiber.
 *
 * When a connection breaks, who has been sent may have run, and its fiber is told so (E_EOF). Who has not (by the position in the stream
 * up to which bytes were handed to the socket) goes round again. A link that cannot connect tells those who wait, and dials again after a
 * pause that doubles up to BACK_OFF_MAX, when somebody asks.
 *
 * Invariants: a call is in exactly one link's `owed` from the moment its bytes are in `out` until its last reply, or until the connection
 * breaks. `out` and `owed` are empty while a link is down.
 *
 * Does not: follow a cluster's redirections, hand on pushes.
 */
#include "client/redis.h"

#include "base/list.h"
#include "base/mem.h"
#include "client/redis_int.h"
#include "rt/loop.h"
#include "rt/scope.h"

#include <stdio.h>

enum { SPARE_MAX = 1024 };

#define BACK_OFF_MIN (50 * NS_MS)
#define BACK_OFF_MAX (5 * NS_SEC)

struct call {
    struct list node;
    struct fiber *fiber; /* NULL: abandoned */
    struct arena *arena;
    struct resp *replies; /* the caller's */
    size_t count, got;
    uint64_t begin; /* where in the link's stream of bytes it begins */
    ns_t since;
    err_t error;
    bool done, unsent;
};

/* A fiber that waits for room or for a connection. On its own stack. */
struct waiter {
    struct list node;
    struct fiber *fiber;
};

struct link {
    struct redis *redis;
    struct redis_conn conn;
    bool is_up;
    struct fiber *keeper, *writer; /* NULL: not running */
    struct buf out;                /* to be sent            */
    uint64_t written;              /* bytes that went into `out` on this connection */
    uint64_t handed;               /* of these, bytes that were handed to the socket */
    struct list owed;              /* calls, oldest first   */
    size_t owed_count;
    struct list waiters;
    uint64_t failures; /* attempts to connect that failed */
    bool is_failing;   /* the latest one did                */
    err_t why;         /* and how                           */
    char why_text[ERR_TEXT_MAX];
    ns_t back_off;
};

struct redis {
    struct redis_options options;
    struct list spare; /* calls that have ended, for the next ones */
    size_t spare_count;
    size_t count;
    struct link links[];
};

struct redis *redis_new(const struct redis_options *o)
{
    struct redis_options settled = redis_settle(o);
    struct redis *r = mem_zalloc(1, sizeof *r + settled.connections * sizeof r->links[0]);

    r->options = settled;
    r->count = settled.connections;
    list_init(&r->spare);
    for (size_t i = 0; i < r->count; i++) {
        struct link *l = &r->links[i];
        l->redis = r;
        buf_init(&l->out, settled.unsent_max);
        list_init(&l->owed);
        list_init(&l->waiters);
    }
    return r;
}

void redis_free(struct redis *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        buf_release(&r->links[i].out);
    while (!list_is_empty(&r->spare))
        mem_free(CONTAINER_OF(list_pop_front(&r->spare), struct call, node));
    mem_free(r);
}

static void call_free(struct redis *r, struct call *c)
{
    if (r->spare_count == SPARE_MAX) {
        mem_free(c);
        return;
    }
    list_push_front(&r->spare, &c->node);
    r->spare_count++;
}

static void wake(struct fiber *f)
{
    if (f)
        fiber_wake(f);
}

static void wake_waiters(struct link *l)
{
    LIST_EACH(node, safe, &l->waiters)
        fiber_wake(CONTAINER_OF(node, struct waiter, node)->fiber);
}

/* ---- the ends of calls ---- */

/* Its last reply has come, or none will. */
static void call_end(struct link *l, struct call *c, err_t error)
{
    list_remove(&c->node);
    l->owed_count--;
    if (!c->fiber) {
        call_free(l->redis, c);
        return;
    }
    if (error)
        c->error = error;
    c->done = true;
    fiber_wake(c->fiber);
}

static err_t deliver(struct link *l, struct str bytes)
{
    if (bytes.p[0] == '>')
        return OK;
    if (list_is_empty(&l->owed))
        return fail(E_PROTOCOL, "redis sent a reply that nobody asked for");
    struct call *c = CONTAINER_OF(l->owed.next, struct call, node);
    if (c->fiber && !c->error)
        c->error = redis_take(bytes, c->arena, &c->replies[c->got]);
    if (++c->got == c->count)
        call_end(l, c, OK);
    return OK;
}

/* The connection is gone. */
static void break_off(struct link *l)
{
    l->is_up = false;
    LIST_EACH(node, safe, &l->owed) {
        struct call *c = CONTAINER_OF(node, struct call, node);
        c->unsent = c->begin >= l->handed;
        call_end(l, c, E_EOF);
    }
    buf_clear(&l->out);
    redis_conn_close(&l->conn);
}

/* ---- the fibers of a link ---- */

static err_t write_all(struct link *l) SUSPENDS;
static err_t write_all(struct link *l)
{
    struct buf batch CLEANUP(buf_release) = BUF_INIT(l->out.max);

    for (;;) {
        while (l->out.n == 0)
            TRY(fiber_park("a command for redis", NS_NEVER));
        struct buf full = l->out;
        l->out = batch;
        batch = full;
        l->handed += batch.n;
        TRY(conn_write(&l->conn.conn, buf_str(&batch)));
        buf_clear(&batch);
        wake_waiters(l);
    }
}

/* A fiber that has ended must not be woken any more: whoever calls before the keeper has noticed finds the link down. */
static err_t write_main(void *arg) SUSPENDS;
static err_t write_main(void *arg)
{
    struct link *l = arg;

    err_t e = write_all(l);
    l->is_up = false;
    l->writer = NULL;
    return e;
}

static err_t deliver_read(struct link *l)
{
    struct str bytes;
    size_t at = 0;
    err_t e;

    while ((e = redis_conn_next(&l->conn, at, &bytes)) == OK) {
        TRY(deliver(l, bytes));
        at += bytes.n;
    }
    redis_conn_consume(&l->conn, at);
    return e == E_AGAIN ? OK : e;
}

static err_t check_alive(const struct link *l)
{
    if (list_is_empty(&l->owed))
        return OK;
    const struct call *oldest = CONTAINER_OF(l->owed.next, struct call, node);
    if (ns_add(oldest->since, l->redis->options.reply_time) > rt_now())
        return OK;
    return fail(E_IO, "redis owes a reply for too long");
}

static err_t read_all(void *arg) SUSPENDS;
static err_t read_all(void *arg)
{
    struct link *l = arg;

    for (;;) {
        err_t e = conn_wait_readable(&l->conn.conn, ns_add(rt_now(), l->redis->options.reply_time));
        if (e == E_AGAIN) {
            TRY(check_alive(l));
            continue;
        }
        TRY(e);
        TRY(redis_conn_fill(&l->conn));
        TRY(deliver_read(l));
    }
}

/* Until one of both sides fails, or we are cancelled. */
static void serve(struct link *l) SUSPENDS;
static void serve(struct link *l)
{
    SCOPE(s, NS_NEVER);
    err_t ended = OK;

    l->written = l->handed = 0;
    l->is_up = true;
    l->is_failing = false;
    l->back_off = BACK_OFF_MIN;
    l->writer = scope_spawn(&s, "redis writer", write_main, l);
    (void)scope_spawn(&s, "redis reader", read_all, l);
    wake_waiters(l);
    while (scope_wait_any(&s, NS_NEVER, &ended) == E_AGAIN)
        continue;
    l->is_up = false;
}

static void tell_failure(struct link *l, err_t e)
{
    /* E_DEADLINE would be taken for the caller's own. */
    if (e == E_DEADLINE)
        e = fail(E_IO, "redis did not answer within the time to connect");
    l->why = e;
    (void)snprintf(l->why_text, sizeof l->why_text, "%s", err_detail(e));
    l->failures++;
    l->is_failing = true;
    l->back_off = ns_min(l->back_off * 2, BACK_OFF_MAX);
    wake_waiters(l);
}

static err_t keep(struct link *l) SUSPENDS;
static err_t keep(struct link *l)
{
    for (;;) {
        while (list_is_empty(&l->waiters))
            TRY(fiber_park("somebody who asks redis", NS_NEVER));
        err_t e = redis_conn_open(&l->conn, &l->redis->options);
        if (e == OK)
            serve(l);
        else if (!fiber_is_cancelled())
            tell_failure(l, e);
        break_off(l);
        ns_t pause = l->back_off / 2 + (ns_t)(rt_random() % (uint64_t)l->back_off);
        TRY(fiber_sleep_until(ns_add(rt_now(), pause)));
    }
}

static err_t keep_main(void *arg) SUSPENDS;
static err_t keep_main(void *arg)
{
    struct link *l = arg;

    err_t e = keep(l);
    l->keeper = NULL;
    return e;
}

err_t redis_run(struct redis *r)
{
    SCOPE(s, NS_NEVER);

    for (size_t i = 0; i < r->count; i++) {
        r->links[i].back_off = BACK_OFF_MIN;
        r->links[i].keeper = scope_spawn(&s, "redis", keep_main, &r->links[i]);
    }
    return scope_wait_all(&s);
}

/* ---- calls ---- */

/* The link that owes the fewest replies; none that cannot connect while another one can. */
static struct link *choose(struct redis *r)
{
    struct link *best = &r->links[0];

    for (size_t i = 1; i < r->count; i++) {
        struct link *l = &r->links[i];
        if (l->is_failing != best->is_failing ? best->is_failing : l->owed_count < best->owed_count)
            best = l;
    }
    return best;
}

/* Until the link is up and has room. */
static err_t wait_turn(struct link *l, size_t size) SUSPENDS;
static err_t wait_turn(struct link *l, size_t size)
{
    while (!l->is_up || size > l->out.max - l->out.n) {
        struct waiter w = {.fiber = fiber_current()};
        uint64_t failures = l->failures;
        list_push_back(&l->waiters, &w.node);
        wake(l->keeper);
        err_t e = fiber_park("a connection to redis", NS_NEVER);
        list_remove(&w.node);
        TRY(e);
        if (l->failures != failures)
            return fail(l->why, "%s", l->why_text);
    }
    return OK;
}

static struct call *call_new(struct redis *r)
{
    struct list *node = list_pop_front(&r->spare);

    if (!node)
        return NEW(struct call);
    r->spare_count--;
    return CONTAINER_OF(node, struct call, node);
}

static struct call *owe(struct link *l, const struct redis_command *commands, size_t n, struct arena *a,
                        struct resp *ret)
{
    struct call *c = call_new(l->redis);

    *c = (struct call){
        .fiber = fiber_current(), .arena = a, .replies = ret, .count = n, .begin = l->written, .since = rt_now()};
    size_t before = l->out.n;
    for (size_t i = 0; i < n; i++)
        (void)resp_write_command(&l->out, commands[i].words, commands[i].n); /* wait_turn() has looked for room */
    l->written += l->out.n - before;
    list_push_back(&l->owed, &c->node);
    l->owed_count++;
    wake(l->writer);
    return c;
}

/* Wait for the replies; *ret_unsent: the connection broke before. */
static err_t collect(struct redis *r, struct call *c, bool *ret_unsent) SUSPENDS;
static err_t collect(struct redis *r, struct call *c, bool *ret_unsent)
{
    while (!c->done) {
        err_t e = fiber_park("a reply of redis", NS_NEVER);
        if (e && !c->done) {
            c->fiber = NULL;
            return e;
        }
    }
    err_t e = c->error;
    *ret_unsent = c->unsent;
    call_free(r, c);
    if (e == E_EOF)
        return fail(e, "the connection to redis broke; whether the command ran is not known");
    if (e)
        return fail(e, "redis: %s", e == E_TOO_LARGE ? "the reply is larger than its reader allows" : err_text(e));
    return OK;
}

err_t redis_call(struct redis *r, const struct redis_command *commands, size_t n, struct arena *a, struct resp *ret)
{
    size_t size = redis_size(commands, n);

    if (size > r->options.unsent_max)
        return fail(E_TOO_LARGE, "redis: commands of more than %zu bytes", r->options.unsent_max);
    for (;;) {
        struct link *l = choose(r);
        bool unsent = false;
        TRY(wait_turn(l, size));
        err_t e = collect(r, owe(l, commands, n, a, ret), &unsent);
        if (!unsent)
            return e;
    }
}

err_t redis_do(struct redis *r, const struct str *words, size_t n, struct arena *a, struct resp *ret)
{
    TRY(redis_call(r, &(struct redis_command){words, n}, 1, a, ret));
    return redis_refusal(ret);
}
