/*
 * fiber.h - fibers: cheap threads of control that share one loop and switch only where they wait.
 *
 * Contract (docs/internals/rt.md):
 *  - A fiber never leaves the loop (and thread) that it was spawned on.
 *  - It belongs to the scope it was spawned in (scope.h) and cannot outlive it. It always ends by returning, so
 *    CLEANUP runs; nobody destroys it from outside.
 *  - Every wait ends in one of three ways: the thing happened (OK); E_DEADLINE: the fiber's deadline passed; E_CANCELLED. A
 *    cancelled fiber gets E_CANCELLED from every wait, at once and again, until it leaves (but see SHIELD in scope.h).
 *  - Waits that take `until` have a local alarm as well: it returns E_AGAIN and ends nothing.
 */
#ifndef RT_FIBER_H
#define RT_FIBER_H

#include "base/err.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct fiber;
struct loop;

/* A fiber's function. Its result goes to the scope that owns the fiber. */
typedef err_t fiber_fn(void *arg);

/* The running fiber; NULL in loop callbacks and outside a loop. */
struct fiber *fiber_current(void);
const char *fiber_name(const struct fiber *f);
/* What a parked fiber waits for (a static string), "running" or "runnable". */
const char *fiber_reason(const struct fiber *f);
/* The running fiber's deadline: the smallest of all scopes around it. */
ns_t fiber_deadline(void);
bool fiber_is_cancelled(void);

/* Cancel `f` on our loop: its current and later waits return E_CANCELLED; so do its children's. From fibers and from loop
 * callbacks. Does not wait. Cancelling twice, or a fiber that is about to end, does nothing. */
void fiber_cancel(struct fiber *f);

/* Sleep until `when`. OK when it came. */
err_t fiber_sleep_until(ns_t when) SUSPENDS MUST_CHECK;
/* Let every other runnable fiber run once. Reports cancel and deadline. */
err_t fiber_yield(void) SUSPENDS MUST_CHECK;
/* For long loops: yields when the fiber has held the loop longer than a slice (1 ms), else costs a comparison. */
err_t fiber_tick(void) SUSPENDS MUST_CHECK;

/*
 * The primitive below all waits: suspend until fiber_wake(), `until` (E_AGAIN), the deadline or cancel. `reason` is a static
 * string for the fiber dump. May return OK without cause: callers test their condition in a loop.
 */
err_t fiber_park(const char *reason, ns_t until) SUSPENDS MUST_CHECK;
/* Make `f`, which is on our loop, runnable if it is parked; remember nothing if it is not. */
void fiber_wake(struct fiber *f);

/* For tests: call `hook` (NULL: no more) at the beginning of every fiber_park() on this loop, in the fiber that is about to wait; it
 * may cancel it. So a test can cut a program short at each of its waits in turn. */
typedef void fiber_park_hook(struct fiber *f);
void fiber_set_park_hook(fiber_park_hook *hook);

/* Number of switches away from the running fiber so far: unchanged means that nothing else ran. */
uint64_t fiber_switches(void);

/* At the top of a block: assert at its end that the fiber did not suspend within. */
struct no_suspend {
    uint64_t switches;
};
void no_suspend_check(const struct no_suspend *ns);
#define NO_SUSPEND struct no_suspend no_suspend_here UNUSED CLEANUP(no_suspend_check_) = {fiber_switches()}
static inline void no_suspend_check_(struct no_suspend *ns)
{
    no_suspend_check(ns);
}

#endif
