/*
 * scope.h - structured concurrency: a scope owns the fibers spawned in it.
 *
 * A scope ends when its variable goes out of scope: whatever still runs is cancelled and joined first. So memory of the frame
 * that holds a scope outlives every child that points into it. A scope also narrows the deadline of the fiber that opened it, and
 * of the children: the effective deadline is the smaller of the scope's own and the one it was opened under; it is
 * restored when the scope ends.
 *
 * A child that stops because of the deadline or cancel that it inherited does not count as a failed child: it is the
 * parent's own error, which the parent's next wait reports.
 */
#ifndef RT_SCOPE_H
#define RT_SCOPE_H

#include "base/list.h"
#include "rt/fiber.h"

struct scope {
    struct fiber *owner;  /* who opened it                                      */
    struct scope *outer;  /* the owner's next scope outward                     */
    struct list children; /* fibers that have not ended                         */
    struct list ended;    /* results not yet taken by scope_wait_*              */
    ns_t deadline;        /* of the children                                    */
    ns_t outer_deadline;  /* the owner's before this scope                      */
    unsigned live;        /* children that have not ended                       */
    bool cancelled;       /* new children are born cancelled                    */
    bool shielded;        /* opened under a SHIELD: the owner's cancel stops there */
    bool discard;         /* children's results are dropped as they come        */
    bool waiting;         /* the owner is parked in a wait on this scope        */
};

#define SCOPE(var, deadline)                                                                                           \
    struct scope var CLEANUP(scope_close);                                                                             \
    scope_open(&var, deadline)

#define SCOPE_PASTE_(a, b) a##b
#define SCOPE_NAME_(a, b) SCOPE_PASTE_(a, b)

/* Narrow the running fiber's deadline to the end of the block; spawns nothing. */
#define WITHIN(deadline) WITHIN_(SCOPE_NAME_(within_scope_, __COUNTER__), deadline)
#define WITHIN_(var, deadline) SCOPE(var, deadline)

/* Until the end of the block, waits of the running fiber ignore cancel and the outer deadline, but not `deadline`. For
 * goodbyes that must talk: TLS close, telling an upstream. Scopes opened inside, and their children, are out of the
 * cancel's reach as well. */
#define SHIELD(deadline) SHIELD_(SCOPE_NAME_(shield_, __COUNTER__), deadline)
#define SHIELD_(var, deadline)                                                                                         \
    struct shield var UNUSED CLEANUP(shield_close);                                                                    \
    shield_open(&var, deadline)

struct shield {
    ns_t outer_deadline;
    bool outer_shielded;
};

/* Open `s` in the running fiber. Use the macro SCOPE. */
void scope_open(struct scope *s, ns_t deadline);
/* Cancel and join what still runs. Suspends while it does, shielded: it cannot be cut short. */
void scope_close(struct scope *s) SUSPENDS;
/* Drop children's results instead of keeping them for scope_wait_*: for servers, whose children are forgotten. */
void scope_discard_results(struct scope *s);

/*
 * Start fn(arg) as a child. It runs at the next turn of the scheduler, not at once. `name` is static or outlives the fiber.
 * May be called from any fiber of the loop and from loop callbacks, not only by the owner. The result is valid until the child
 * ends (for fiber_cancel()). At the loop's ceiling of fibers (loop_stats.fibers_max) the process ends: who admits work looks there first.
 */
struct fiber *scope_spawn(struct scope *s, const char *name, fiber_fn *fn, void *arg);
/* Wait until a child ends, and take its result, with the text of its error as the current record. By the owner only.
 * E_AGAIN at `until`; E_NOT_FOUND if there is no child left. */
err_t scope_wait_any(struct scope *s, ns_t until, err_t *ret_child) SUSPENDS MUST_CHECK;
/* Wait until all children have ended; the first failure of a child, if any, else OK. By the owner only. Children that stopped
 * because of scope_cancel() have not failed. */
err_t scope_wait_all(struct scope *s) SUSPENDS MUST_CHECK;
/* Cancel all children, now and to come. Does not wait. */
void scope_cancel(struct scope *s);

/* Use the macro SHIELD. */
void shield_open(struct shield *s, ns_t deadline);
void shield_close(struct shield *s);

#endif
