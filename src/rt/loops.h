/*
 * loops.h - the loops of one process as a group: who they are, and a way to visit each of them.
 *
 * Loops share nothing, so what concerns all of them (a new configuration, the sum of all counters) travels: a visit runs a function on
 * one loop after the other, on that loop's own thread, and returns to where it started.
 */
#ifndef RT_LOOPS_H
#define RT_LOOPS_H

#include "rt/loop.h"

struct loops;

/* A group of exactly `count` loops, none of which has joined yet. loops_free() frees it, after all have left. */
struct loops *loops_new(unsigned count);
void loops_free(struct loops *g);

/* The running loop joins as number `index`; `ctx` is what visits get there. Waits until all have joined. */
err_t loops_join(struct loops *g, unsigned index, void *ctx) SUSPENDS MUST_CHECK;
/* The running loop is done: waits until all are, and until no visit is under way. Call it shielded or uncancelled; then end. */
err_t loops_leave(struct loops *g) SUSPENDS MUST_CHECK;

/* What a visit does on each loop: `ctx` is the loop's, `arg` the visit's. In loop context: must not suspend. */
typedef void visit_fn(void *ctx, void *arg);

/*
 * Run fn(ctx, arg) once on every loop, one at a time, in order of their numbers, and wait until it is back. `arg` belongs to the visit:
 * if the caller is cancelled the visit goes on, and drop(arg) is called at its end; on OK the caller owns `arg` again.
 */
err_t loops_visit(struct loops *g, visit_fn *fn, void *arg, void (*drop)(void *arg)) SUSPENDS MUST_CHECK;

#endif
