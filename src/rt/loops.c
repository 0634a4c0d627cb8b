/*
 * loops.c - a group of loops, joined and visited by messages.
 *
 * Joining and leaving are counted with atomics; who waits for the count is woken by a message to its loop. A visit is one message that
 * is posted from loop to loop, so no two loops run the same visit at once and `arg` needs no lock.
 */
#include "rt/loops.h"

#include "base/mem.h"

#include <stdatomic.h>

struct seat {
    struct loop *loop;
    void *ctx;
    struct fiber *waiter; /* waits for everybody to join */
    struct loop_msg wake;
};

struct loops {
    unsigned count;
    atomic_uint joined, left, visits;
    struct seat seats[];
};

struct visit {
    struct loop_msg msg;
    struct loops *group;
    unsigned at; /* the loop that is visited now */
    visit_fn *fn;
    void *arg;
    void (*drop)(void *arg);
    struct loop *home;
    struct fiber *waiter; /* NULL: the caller has given up */
    bool done;
};

struct loops *loops_new(unsigned count)
{
    struct loops *g = mem_zalloc(1, sizeof *g + count * sizeof g->seats[0]);

    g->count = count;
    return g;
}

void loops_free(struct loops *g)
{
    mem_free(g);
}

static void wake_seat(struct loop_msg *m)
{
    struct seat *seat = CONTAINER_OF(m, struct seat, wake);

    if (seat->waiter)
        fiber_wake(seat->waiter);
}

/* Tell every loop that all have joined; done once, by the last. */
static void wake_all(struct loops *g)
{
    for (unsigned i = 0; i < g->count; i++)
        loop_post(g->seats[i].loop, &g->seats[i].wake);
}

err_t loops_join(struct loops *g, unsigned index, void *ctx)
{
    struct seat *seat = &g->seats[index];
    err_t e = OK;

    *seat = (struct seat){.loop = loop_current(), .ctx = ctx, .waiter = fiber_current(), .wake = {.run = wake_seat}};
    if (atomic_fetch_add(&g->joined, 1) + 1 == g->count)
        wake_all(g);
    while (e == OK && atomic_load(&g->joined) < g->count)
        e = fiber_park("the other loops to start", NS_NEVER);
    seat->waiter = NULL;
    return e;
}

static bool all_left(struct loops *g)
{
    return atomic_load(&g->left) == g->count && atomic_load(&g->visits) == 0;
}

err_t loops_leave(struct loops *g)
{
    /* Looked at again and again instead of being told: a message to a loop that has just ended would hit freed memory, and
     * this happens once in the life of a process. */
    atomic_fetch_add(&g->left, 1);
    while (!all_left(g))
        TRY(fiber_sleep_until(rt_now() + NS_MS));
    return OK;
}

static void visit_return(struct loop_msg *m)
{
    struct visit *v = CONTAINER_OF(m, struct visit, msg);

    atomic_fetch_sub(&v->group->visits, 1);
    if (!v->waiter) {
        v->drop(v->arg);
        mem_free(v);
        return;
    }
    v->done = true;
    fiber_wake(v->waiter);
}

static void visit_arrive(struct loop_msg *m)
{
    struct visit *v = CONTAINER_OF(m, struct visit, msg);
    struct loops *g = v->group;

    v->fn(g->seats[v->at].ctx, v->arg);
    v->at++;
    if (v->at < g->count) {
        loop_post(g->seats[v->at].loop, &v->msg);
        return;
    }
    v->msg.run = visit_return;
    loop_post(v->home, &v->msg);
}

err_t loops_visit(struct loops *g, visit_fn *fn, void *arg, void (*drop)(void *arg))
{
    struct visit *v = NEW(struct visit);
    err_t e = OK;

    *v = (struct visit){.msg = {.run = visit_arrive},
                        .group = g,
                        .fn = fn,
                        .arg = arg,
                        .drop = drop,
                        .home = loop_current(),
                        .waiter = fiber_current()};
    atomic_fetch_add(&g->visits, 1);
    loop_post(g->seats[0].loop, &v->msg);
    while (e == OK && !v->done)
        e = fiber_park("a visit to all loops", NS_NEVER);
    if (!v->done) {
        v->waiter = NULL;
        return e;
    }
    mem_free(v);
    return OK;
}
