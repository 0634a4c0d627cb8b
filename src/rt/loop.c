/*
 * loop.c - the turn of a loop, its messages, its time and its random numbers.
 *
 * Idea. A turn runs fibers first and polls then, so that whatever an event, a message or a timer makes runnable runs in the turn that
 * noticed it. Events come before timers: when a thing and its deadline are noticed together, the thing has happened.
 *
 * Other threads reach a loop through one door, the stack of posted messages. They wake its poll only if it sleeps or is about to: the
 * loop says so in `asleep` before it looks at the stack for the last time, the poster pushes before it reads
 * `asleep`; both are sequentially consistent, so one of the two sees the other.
 *
 * Loops are listed in `loop_registry` under a lock, for those who look at all of them from outside (watchdog.c, dump.c). No loop takes that
 * lock but to start and to end.
 *
 * Not here: fibers (fiber.c), sockets (sock.c), the timers' heap (timer.c).
 */
#include "rt/loop_int.h"

#include "base/buf.h"
#include "base/mem.h"
#include "rt/aside.h"
#include "rt/dump_int.h"
#include "rt/scope_int.h"

#include <assert.h>
#include <sched.h>
#include <string.h>

enum {
    LOOK_AROUND_SWITCHES = 64, /* switches between two looks at the clock within a turn */
    TURN_SWITCHES = 1024,
    SOCKETS_DEFAULT = 1000 * 1000,
};

static const ns_t turn_max = NS_MS;

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *loop_registry[LOOPS_MAX];

/* The record of the running fiber, else of the thread. */
static struct err_record *locate_err(void)
{
    static __thread struct err_record of_thread;
    struct loop *l = loop_here();
    return l && l->current ? &l->current->err : &of_thread;
}

/* Before main(): start-up code and threads without a loop use fail() as well. */
__attribute__((constructor)) static void install_locator(void)
{
    err_set_locator(locate_err);
}

struct loop *loop_current(void)
{
    return loop_here();
}

unsigned loop_index(const struct loop *l)
{
    return l->index;
}

const struct seams *loop_seams(void)
{
    struct loop *l = loop_here();
    return l ? l->seams : seams_real();
}

ns_t rt_now(void)
{
    struct loop *l = loop_here();
    return l ? l->now : rt_now_exact();
}

ns_t rt_now_exact(void)
{
    const struct seams *s = loop_seams();
    return s->clock->now(s->ctx);
}

int64_t rt_wall(void)
{
    struct loop *l = loop_here();
    const struct seams *s = loop_seams();

    if (!l)
        return s->clock->wall(s->ctx);
    if (!l->wall)
        l->wall = s->clock->wall(s->ctx);
    return l->wall;
}

void rt_random_bytes(void *to, size_t n)
{
    const struct seams *s = loop_seams();
    s->rand->fill(s->ctx, to, n);
}

uint64_t rt_random(void)
{
    struct loop *l = loop_here();
    uint64_t value;

    if (l)
        return prng_next(&l->random);
    rt_random_bytes(&value, sizeof value);
    return value;
}

void loop_post(struct loop *l, struct loop_msg *m)
{
    (void)atomic_fetch_add(&l->posters, 1); /* the message may be all that keeps the loop from its end */
    struct loop_msg *top = atomic_load_explicit(&l->posted, memory_order_relaxed);
    do
        m->next = top;
    while (!atomic_compare_exchange_weak(&l->posted, &top, m));
    if (atomic_load(&l->asleep) && atomic_exchange(&l->asleep, false))
        l->net->wake(l->net_ctx, l->poller);
    (void)atomic_fetch_sub(&l->posters, 1);
}

static void run_posted(struct loop *l)
{
    if (!atomic_load_explicit(&l->posted, memory_order_relaxed))
        return;
    struct loop_msg *m = atomic_exchange(&l->posted, NULL), *oldest = NULL;
    while (m) {
        struct loop_msg *next = m->next;
        m->next = oldest;
        oldest = m;
        m = next;
    }
    while (oldest) {
        struct loop_msg *next = oldest->next;
        oldest->run(oldest);
        oldest = next;
    }
}

void loop_defer(struct loop_defer *d)
{
    struct loop *l = loop_here();

    if (d->pending)
        return;
    d->pending = true;
    d->next = NULL;
    *l->defers_tail = d;
    l->defers_tail = &d->next;
}

static void run_defers(struct loop *l)
{
    struct loop_defer *d = l->defers;

    l->defers = NULL;
    l->defers_tail = &l->defers;
    while (d) {
        struct loop_defer *next = d->next;
        d->pending = false;
        d->run(d);
        d = next;
    }
}

static SUSPENDS_ROOT("the loop runs its fibers") void run_fibers(struct loop *l)
{
    for (int left = TURN_SWITCHES; left > 0 && l->run_head; left -= LOOK_AROUND_SWITCHES) {
        l->budget = LOOK_AROUND_SWITCHES;
        while (l->budget-- > 0) {
            struct fiber *f = fiber_next_runnable(l);
            if (!f)
                return;
            fiber_enter(l, f);
        }
        if (loop_exact_now(l) - l->now >= turn_max)
            return;
    }
}

static bool has_work(const struct loop *l)
{
    return l->run_head || l->defers || sock_has_work(&l->socks);
}

/* Wait for what comes next and take note of it; returns the number of events. */
static int poll_events(struct loop *l)
{
    ns_t until = has_work(l) ? INT64_MIN : timer_heap_next(&l->timers);
    ns_t before = loop_exact_now(l);

    l->busy += before - l->now;
    if (before - l->now > l->lag_max)
        l->lag_max = before - l->now;
    if (until > before) {
        atomic_store(&l->asleep, true);
        if (atomic_load(&l->posted))
            until = INT64_MIN;
    }
    int n = l->net->poll(l->net_ctx, l->poller, l->events, EVENTS_PER_POLL, until);
    atomic_store_explicit(&l->asleep, false, memory_order_relaxed);
    l->now = loop_exact_now(l);
    l->wall = 0;
    for (int i = 0; i < n; i++)
        sock_deliver(l, &l->events[i]);
    return n > 0 || until != NS_NEVER || atomic_load_explicit(&l->posted, memory_order_relaxed) ? 1 : n;
}

/* Nothing can happen any more. The first time, give the fibers a chance to leave. False if they do not. */
static bool break_deadlock(struct loop *l)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(4096);

    if (l->deadlocked)
        return false;
    l->deadlocked = true;
    dump_waits(l, &text);
    l->result = fail(E_IO, "deadlock: %.*s", STR_ARG(buf_str(&text)));
    l->err = *err_current();
    LIST_EACH(node, safe, &l->root.children)
        fiber_cancel(CONTAINER_OF(node, struct fiber, sibling));
    return true;
}

static SUSPENDS_ROOT("runs the loop") void run_turns(struct loop *l)
{
    while (l->root.live > 0) {
        run_fibers(l);
        if (l->defers)
            run_defers(l);
        sock_end_turn(l);
        stack_trim(&l->stacks);
        if (l->root.live == 0)
            break;
        int happened = poll_events(l);
        run_posted(l);
        timer_heap_fire(&l->timers, l->now);
        uint64_t turns = atomic_load_explicit(&l->turns, memory_order_relaxed);
        atomic_store_explicit(&l->turns, turns + 1, memory_order_relaxed);
        if (happened <= 0 && l->seams->simulated && !has_work(l) && !break_deadlock(l))
            break;
    }
}

static unsigned highest_free(void)
{
    unsigned at = LOOPS_MAX - 1;

    while (at > 0 && loop_registry[at])
        at--;
    return at;
}

static err_t register_loop(struct loop *l, bool is_aside)
{
    err_t e = OK;

    if (l->index >= LOOPS_MAX)
        return fail(E_CONFIG, "at most %d loops can run", LOOPS_MAX);
    (void)pthread_mutex_lock(&registry_lock);
    if (is_aside)
        l->index = highest_free();
    if (loop_registry[l->index])
        e = fail(E_CONFIG, "loop %u is running already", l->index);
    else
        loop_registry[l->index] = l;
    (void)pthread_mutex_unlock(&registry_lock);
    return e;
}

static void unregister_loop(struct loop *l)
{
    (void)pthread_mutex_lock(&registry_lock);
    loop_registry[l->index] = NULL;
    (void)pthread_mutex_unlock(&registry_lock);
}

void loop_each(void (*each)(struct loop *l, void *ctx), void *ctx)
{
    (void)pthread_mutex_lock(&registry_lock);
    for (unsigned i = 0; i < LOOPS_MAX; i++)
        if (loop_registry[i])
            each(loop_registry[i], ctx);
    (void)pthread_mutex_unlock(&registry_lock);
}

static err_t loop_init(struct loop *l, const struct loop_options *o)
{
    l->seams = o->seams ? o->seams : seams_real();
    l->net = l->seams->net;
    l->net_ctx = l->seams->ctx;
    l->run_tail = &l->run_head;
    l->defers_tail = &l->defers;
    sanitize_thread_context(&l->main);
    scope_open_root(&l->root);
    timer_heap_init(&l->timers);
    sock_table_init(&l->socks, o->max_sockets ? o->max_sockets : SOCKETS_DEFAULT);
    l->events = mem_zalloc(EVENTS_PER_POLL, sizeof *l->events);
    l->seams->rand->fill(l->seams->ctx, &l->random, sizeof l->random);
    l->random.s[0] |= 1; /* all zero is the one bad state */
    l->now = loop_exact_now(l);
    l->wall = 0;
    TRY(stack_pool_init(&l->stacks, o->max_fibers, o->mprotect_guards));
    l->poller = l->net->poller_open(l->net_ctx);
    return l->poller ? OK : fail(E_IO, "cannot open a poller for loop %u", l->index);
}

static void loop_free(struct loop *l)
{
    while (atomic_load(&l->posters) > 0)
        (void)sched_yield(); /* in the last lines of loop_post() */
    sock_table_release(l, &l->socks);
    if (l->poller)
        l->net->poller_close(l->net_ctx, l->poller);
    timer_heap_release(&l->timers);
    stack_pool_release(&l->stacks);
    mem_free(l->events);
    mem_free(l);
}

static err_t run_registered(struct loop *l, const struct loop_options *o, fiber_fn *fn, void *arg)
    SUSPENDS_ROOT("runs the loop");
static err_t run_registered(struct loop *l, const struct loop_options *o, fiber_fn *fn, void *arg)
{
    TRY(loop_init(l, o));
    crash_reports_begin();
    (void)scope_spawn(&l->root, "main", fn, arg);
    run_turns(l);
    crash_reports_end();
    if (l->result != OK)
        *err_current() = l->err;
    return l->result;
}

static SUSPENDS_ROOT("runs the loop") err_t
    run_new(const struct loop_options *options, bool is_aside, fiber_fn *fn, void *arg)
{
    assert(!loop_here());
    struct loop *l = NEW(struct loop);
    l->index = options->index;
    l->thread = pthread_self();
    err_t e = register_loop(l, is_aside);
    if (e != OK) {
        mem_free(l);
        return e;
    }
    rt_loop = l;
    e = run_registered(l, options, fn, arg);
    unregister_loop(l);
    loop_free(l);
    rt_loop = NULL;
    return e;
}

err_t loop_run(const struct loop_options *options, fiber_fn *fn, void *arg)
{
    return run_new(options, false, fn, arg);
}

err_t loop_run_aside(fiber_fn *fn, void *arg)
{
    return run_new(&(struct loop_options){.index = 0}, true, fn, arg);
}

void loop_stats(struct loop_stats *ret)
{
    struct loop *l = loop_here();

    *ret = (struct loop_stats){
        .turns = atomic_load_explicit(&l->turns, memory_order_relaxed),
        .switches = atomic_load_explicit(&l->switches, memory_order_relaxed),
        .spawned = l->spawned,
        .fibers = l->fibers,
        .fibers_max = l->stacks.max,
        .sockets = l->socks.open,
        .stack_bytes = l->stacks.stride * l->stacks.carved,
        .stacks_free = l->stacks.warm_count + l->stacks.cold_count,
        .lag_max = l->lag_max,
        .busy = l->busy,
    };
    l->lag_max = 0;
}

void loop_each_fiber(void (*each)(const struct fiber *f, void *ctx), void *ctx)
{
    struct loop *l = loop_here();

    for (unsigned i = 0; i < l->stacks.carved; i++) {
        const struct fiber *f = stack_fiber(&l->stacks, i);
        if (f->state == FIBER_RUNNABLE || f->state == FIBER_RUNNING || f->state == FIBER_PARKED)
            each(f, ctx);
    }
}
