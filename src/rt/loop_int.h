/* loop_int.h - the inside of a loop, shared by the files of rt/. */
#ifndef RT_LOOP_INT_H
#define RT_LOOP_INT_H

#include "base/prng.h"
#include "rt/fiber_int.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/sock_int.h"
#include "rt/stack_int.h"
#include "rt/timer_int.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    LOOPS_MAX = 256,
    EVENTS_PER_POLL = 512,
};

struct loop {
    /* What every switch touches. */
    struct fiber *current; /* running now; NULL: the loop itself */
    struct fiber *run_head, **run_tail;
    unsigned run_count;
    int budget;                 /* switches left before the loop looks around */
    int tick_left;              /* fiber_tick()s left before the clock is read */
    ns_t now;                   /* of this turn */
    int64_t wall;               /* likewise; 0: nobody has asked */
    fiber_park_hook *park_hook; /* for tests, else NULL */
    _Atomic uint64_t switches;  /* written by this thread only */
    _Atomic uint64_t turns;     /* likewise */
    struct context main;

    const struct seams *seams;
    const struct net_ops *net;
    void *net_ctx;
    struct poller *poller;
    struct net_event *events;
    struct timer_heap timers;
    struct stack_pool stacks;
    struct sock_table socks;
    struct loop_defer *defers, **defers_tail;

    /* fiber_tick(): when the running fiber was first looked at, and how many ticks pass between looks. */
    uint64_t tick_switches;
    ns_t tick_since, tick_looked;
    int tick_step;

    struct scope root;     /* holds the first fiber */
    err_t result;          /* of the first fiber    */
    struct err_record err; /* of the loop itself, and of the first fiber when it has ended */
    bool deadlocked;

    unsigned index;
    unsigned fibers;
    uint64_t spawned;
    ns_t lag_max, busy;
    struct prng random;

    pthread_t thread;
    struct loop_msg dump_msg;
    atomic_bool dump_pending;

    /* Touched by other threads: on a cache line of their own. */
    char apart[64];
    _Atomic(struct loop_msg *) posted;
    atomic_bool asleep;  /* in poll(), or about to be    */
    atomic_uint posters; /* threads within loop_post()   */
};

extern __thread struct loop *rt_loop;

/* The loop of this thread; NULL outside. Safe to inline: a fiber never changes its thread. */
static inline struct loop *loop_here(void)
{
    return rt_loop;
}

/* The clock read now, not at the start of the turn. */
static inline ns_t loop_exact_now(const struct loop *l)
{
    return l->seams->clock->now(l->seams->ctx);
}

static inline void loop_push_runnable(struct loop *l, struct fiber *f)
{
    f->run_next = NULL;
    *l->run_tail = f;
    l->run_tail = &f->run_next;
    l->run_count++;
}

/* Call `each` for every running loop, which cannot end meanwhile. `each` must be short and not run loops itself. */
void loop_each(void (*each)(struct loop *l, void *ctx), void *ctx);

#endif
