/*
 * fiber_int.h - what fiber.c, scope.c, stack.c, loop.c and the waits share about a fiber. Internal to rt/.
 *
 * A struct fiber lies at the top of its own stack, so that what a switch touches shares a page with the frames that run next.
 */
#ifndef RT_FIBER_INT_H
#define RT_FIBER_INT_H

#include "base/list.h"
#include "rt/fiber.h"
#include "rt/sanitize.h"
#include "rt/timer.h"

struct loop;
struct scope;

enum fiber_state {
    FIBER_NONE = 0, /* a stack that never ran, or whose pages were given back */
    FIBER_FREE,     /* in the pool                                            */
    FIBER_RUNNABLE,
    FIBER_RUNNING,
    FIBER_PARKED,
    FIBER_ENDED, /* its result waits in its scope */
};

struct fiber {
    struct context context;
    struct loop *loop;
    struct fiber *run_next; /* in the run queue */
    uint8_t state;          /* enum fiber_state */
    bool cancelled;
    bool cancel_inherited;     /* cancelled through the scope, not by itself             */
    bool shielded;             /* waits ignore `cancelled`                               */
    bool alarm_rang;           /* the timer ended the current wait                       */
    err_t result;              /* once ended                                             */
    ns_t deadline;             /* effective now                                          */
    struct timer timer;        /* for deadline and `until`; stays armed across waits     */
    const char *reason;        /* what it waits for                                      */
    ns_t since;                /* when it began to wait                                  */
    struct scope *scope;       /* in which it was spawned                                */
    struct scope *scopes;      /* opened by it, innermost first                          */
    struct list sibling;       /* in scope->children or ->ended, or in the pool          */
    struct fiber *cancel_next; /* work list of fiber_cancel()                        */
    const char *name;
    fiber_fn *fn;
    void *arg;
    char *stack_low;       /* lowest usable byte; the guard is below                 */
    uint32_t stack_number; /* in the loop's pool                                     */
    unsigned watch_id;     /* of sanitize_stack_mapped()                             */
    struct err_record err;
} __attribute__((aligned(64)));

/* Leave one stack for another: switch_*.S. */
void context_swap(void **save_sp, void *load_sp);
void context_entry(void);
void fiber_main(void) NORETURN SUSPENDS_ROOT("the bottom of every fiber");

/* A runnable fiber in `s`, from the loop's pool. */
struct fiber *fiber_start(struct loop *l, struct scope *s, const char *name, fiber_fn *fn, void *arg);
/* Run `f` from the loop's own context until control comes back to it. */
void fiber_enter(struct loop *l, struct fiber *f) SUSPENDS_ROOT("the loop runs its fibers");
/* The next to run, by the order of the queue or as the simulation draws; NULL if there is none. */
struct fiber *fiber_next_runnable(struct loop *l);
/* As fiber_park(), but neither deadline nor cancel end it. Makes no error record. */
void fiber_park_bare(const char *reason) SUSPENDS;
/* Mark as cancelled by its scope, with all fibers below. */
void fiber_cancel_tree(struct fiber *f, bool inherited);
/* The slow side of a refused wait: E_CANCELLED or E_DEADLINE with its text. */
err_t fiber_refuse(const struct fiber *f, const char *reason) MUST_CHECK;
/* The slow side of fiber_tick(). */
err_t fiber_tick_slow(struct loop *l) SUSPENDS MUST_CHECK;

static inline bool fiber_must_leave(const struct fiber *f)
{
    return f->cancelled && !f->shielded;
}

#endif
