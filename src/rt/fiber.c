/*
 * fiber.c - starting, switching, parking, waking and cancelling fibers.
 *
 * Idea. A fiber that parks hands control straight to the next runnable one; only when there is none, or when the turn's budget is
 * used up, does control go back to the loop. So a wake-up and a wait cost one switch each, not two.
 *
 * Invariants:
 *  - A fiber runs on the thread of its loop for its whole life; everything here is single-threaded.
 *  - A fiber is in the run queue if and only if its state is FIBER_RUNNABLE.
 *  - A fiber's timer may be armed while it runs: it stays from wait to wait, because the next deadline is nearly always the same
 *    or later. What it means is decided when it fires (timer_rang).
 *  - An ended fiber whose result nobody has taken keeps its stack until the scope takes or drops it.
 *
 * Not here: scopes and their children (scope.c), when the loop polls (loop.c), stacks (stack.c).
 */
#include "rt/fiber_int.h"

#include "rt/loop_int.h"
#include "rt/scope_int.h"

#include <assert.h>
#include <string.h>

enum {
    SLICE = 1000 * 1000, /* nanoseconds that a fiber may hold the loop */
    TICKS_FREE = 4,      /* after a switch, before the clock is read   */
    TICK_STEP_MAX = 64,
};

__thread struct loop *rt_loop;

/* The one place where stacks are exchanged. */
static NO_TSAN NOINLINE void context_switch(struct context *from, struct context *to, bool ends)
{
    sanitize_leave(from, to, ends);
    context_swap(&from->sp, to->sp);
    sanitize_arrive(from);
}

/* Lay out a stack so that context_swap() to it begins at context_entry: see switch_*.S. `top` is a multiple of 16. */
static void context_prepare(struct context *c, void *top)
{
#if defined(__x86_64__)
    enum { WORDS = 7, RETURN = 6 }; /* six registers and the address to return to; then rsp == top */
#elif defined(__aarch64__)
    enum { WORDS = 20, RETURN = 11 }; /* x19 .. x30, d8 .. d15 */
#else
#error "no context switch for this processor"
#endif
    uintptr_t *sp = (uintptr_t *)top - WORDS;
    memset(sp, 0, WORDS * sizeof *sp);
    sp[RETURN] = (uintptr_t)context_entry;
    c->sp = sp;
}

static struct fiber *draw_runnable(struct loop *l)
{
    size_t i = l->seams->pick_fiber(l->seams->ctx, l->run_count);
    struct fiber **at = &l->run_head;

    assert(i < l->run_count);
    while (i-- > 0)
        at = &(*at)->run_next;
    struct fiber *f = *at;
    *at = f->run_next;
    if (l->run_tail == &f->run_next)
        l->run_tail = at;
    l->run_count--;
    return f;
}

struct fiber *fiber_next_runnable(struct loop *l)
{
    struct fiber *f = l->run_head;

    if (!f)
        return NULL;
    if (UNLIKELY(l->seams->pick_fiber != NULL))
        return draw_runnable(l);
    l->run_head = f->run_next;
    if (!l->run_head)
        l->run_tail = &l->run_head;
    l->run_count--;
    return f;
}

static void count_switch(struct loop *l)
{
    uint64_t n = atomic_load_explicit(&l->switches, memory_order_relaxed);
    atomic_store_explicit(&l->switches, n + 1, memory_order_relaxed);
    l->tick_left = TICKS_FREE;
}

/* Give up the processor; the caller has set f->state. Returns when `f` is run again. */
static NO_TSAN void leave(struct loop *l, struct fiber *f, bool ends)
{
    struct fiber *next = --l->budget > 0 ? fiber_next_runnable(l) : NULL;

    if (next == f) {
        f->state = FIBER_RUNNING;
        return;
    }
    count_switch(l);
    l->current = next;
    if (next) {
        next->state = FIBER_RUNNING;
        context_switch(&f->context, &next->context, ends);
    } else {
        context_switch(&f->context, &l->main, ends);
    }
}

void fiber_enter(struct loop *l, struct fiber *f)
{
    l->current = f;
    f->state = FIBER_RUNNING;
    count_switch(l);
    context_switch(&l->main, &f->context, false);
}

static void timer_rang(struct timer *t)
{
    struct fiber *f = CONTAINER_OF(t, struct fiber, timer);

    if (f->state != FIBER_PARKED)
        return; /* the next wait arms it again */
    f->alarm_rang = true;
    fiber_wake(f);
}

struct fiber *fiber_start(struct loop *l, struct scope *s, const char *name, fiber_fn *fn, void *arg)
{
    struct fiber *f = stack_get(&l->stacks);

    f->loop = l;
    f->state = FIBER_RUNNABLE;
    f->cancelled = f->cancel_inherited = s->cancelled;
    f->shielded = false;
    f->alarm_rang = false;
    f->result = OK;
    f->deadline = s->deadline;
    f->timer = (struct timer){.fire = timer_rang};
    f->reason = "its first turn";
    f->since = l->now;
    f->scope = s;
    f->scopes = NULL;
    f->sibling = (struct list){0};
    f->name = name;
    f->fn = fn;
    f->arg = arg;
    f->err.code = OK;
    f->err.text[0] = '\0';
    sanitize_stack_begin(&f->context, f->stack_low, STACK_SIZE, name);
    if (UNLIKELY(l->stacks.census))
        stack_census_clean(f);
    context_prepare(&f->context, f);
    loop_push_runnable(l, f);
    l->fibers++;
    l->spawned++;
    return f;
}

/* The first function on every fiber's stack. Not instrumented, nor is what it ends in: its frame is never left. */
__attribute__((used)) NO_TSAN void fiber_main(void)
{
    struct loop *l = loop_here();
    struct fiber *f = l->current;

    sanitize_arrive(&f->context);
    err_t result = f->fn(f->arg);
    assert(loop_here() == l && l->current == f && !f->scopes);
    timer_disarm(&f->timer);
    if (UNLIKELY(l->stacks.census))
        stack_census_note(f);
    l->fibers--;
    scope_child_ended(l, f, result);
    leave(l, f, true);
    die("fiber \"%s\" came back after its end", f->name);
}

struct fiber *fiber_current(void)
{
    struct loop *l = loop_here();
    return l ? l->current : NULL;
}

const char *fiber_name(const struct fiber *f)
{
    return f->name;
}

const char *fiber_reason(const struct fiber *f)
{
    switch ((enum fiber_state)f->state) {
    case FIBER_PARKED:
        return f->reason;
    case FIBER_RUNNABLE:
        return "runnable";
    case FIBER_RUNNING:
        return "running";
    case FIBER_NONE:
    case FIBER_FREE:
    case FIBER_ENDED:
        break;
    }
    return "ended";
}

ns_t fiber_deadline(void)
{
    struct fiber *f = fiber_current();
    return f ? f->deadline : NS_NEVER;
}

bool fiber_is_cancelled(void)
{
    struct fiber *f = fiber_current();
    return f && fiber_must_leave(f);
}

uint64_t fiber_switches(void)
{
    struct loop *l = loop_here();
    return l ? atomic_load_explicit(&l->switches, memory_order_relaxed) : 0;
}

void no_suspend_check(const struct no_suspend *ns)
{
    assert(ns->switches == fiber_switches());
    (void)ns;
}

err_t fiber_refuse(const struct fiber *f, const char *reason)
{
    if (fiber_must_leave(f))
        return fail(E_CANCELLED, "cancelled while waiting for %s", reason);
    return fail(E_DEADLINE, "deadline passed while waiting for %s", reason);
}

/* Suspend with the timer set for `alarm`. */
static SUSPENDS void park(struct loop *l, struct fiber *f, const char *reason, ns_t alarm)
{
    if (LIKELY(f->timer.place && alarm >= f->timer.key))
        f->timer.when = alarm;
    else
        timer_arm(&f->timer, alarm);
    f->alarm_rang = false;
    f->reason = reason;
    f->since = l->now;
    f->state = FIBER_PARKED;
    leave(l, f, false);
}

void fiber_set_park_hook(fiber_park_hook *hook)
{
    loop_here()->park_hook = hook;
}

err_t fiber_park(const char *reason, ns_t until)
{
    struct loop *l = loop_here();
    struct fiber *f = l->current;

    if (UNLIKELY(l->park_hook != NULL))
        l->park_hook(f);
    if (UNLIKELY(fiber_must_leave(f)) || UNLIKELY(f->deadline <= l->now))
        return fiber_refuse(f, reason);
    if (until <= l->now)
        return E_AGAIN;
    park(l, f, reason, ns_min(until, f->deadline));
    if (UNLIKELY(fiber_must_leave(f)))
        return fiber_refuse(f, reason);
    if (LIKELY(!f->alarm_rang))
        return OK;
    if (f->deadline <= l->now)
        return fiber_refuse(f, reason);
    return until <= l->now ? E_AGAIN : OK;
}

void fiber_park_bare(const char *reason)
{
    struct loop *l = loop_here();
    park(l, l->current, reason, NS_NEVER);
}

void fiber_wake(struct fiber *f)
{
    if (f->state != FIBER_PARKED)
        return;
    assert(f->loop == loop_here());
    f->state = FIBER_RUNNABLE;
    loop_push_runnable(f->loop, f);
}

void fiber_cancel(struct fiber *f)
{
    assert(f->loop == loop_here());
    fiber_cancel_tree(f, false);
}

err_t fiber_sleep_until(ns_t when)
{
    for (;;) {
        struct loop *l = loop_here();
        struct fiber *f = l->current;
        if (UNLIKELY(fiber_must_leave(f)) || (f->deadline <= l->now && f->deadline < when))
            return fiber_refuse(f, "a timer");
        if (when <= l->now)
            return OK;
        err_t e = fiber_park("a timer", when);
        if (e != OK && e != E_AGAIN)
            return e;
    }
}

err_t fiber_yield(void)
{
    struct loop *l = loop_here();
    struct fiber *f = l->current;

    f->state = FIBER_RUNNABLE;
    loop_push_runnable(l, f);
    leave(l, f, false);
    if (UNLIKELY(fiber_must_leave(f)) || UNLIKELY(f->deadline <= l->now))
        return fiber_refuse(f, "its next turn");
    return OK;
}

/*
 * Reads the clock. The first look after a switch only notes the time; later ones yield when the slice is used up. Between looks
 * pass ever more ticks, as long as looks come much more often than slices end.
 */
err_t fiber_tick_slow(struct loop *l)
{
    uint64_t switches = atomic_load_explicit(&l->switches, memory_order_relaxed);
    ns_t now = loop_exact_now(l);

    if (l->tick_switches != switches) {
        l->tick_switches = switches;
        l->tick_since = l->tick_looked = now;
        l->tick_step = l->tick_left = 1;
        return OK;
    }
    ns_t pause = now - l->tick_looked;
    l->tick_looked = now;
    if (pause > SLICE / 8)
        l->tick_step = 1;
    else if (l->tick_step < TICK_STEP_MAX)
        l->tick_step *= 2;
    l->tick_left = l->tick_step;
    if (now - l->tick_since < SLICE)
        return OK;
    l->tick_switches = 0;
    l->budget = 0; /* and look at the world too */
    return fiber_yield();
}

err_t fiber_tick(void)
{
    struct loop *l = loop_here();

    if (LIKELY(--l->tick_left > 0))
        return OK;
    return fiber_tick_slow(l);
}
