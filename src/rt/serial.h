/*
 * serial.h - a thread of its own for what only one thread may touch (a database, say), to which fibers of all loops hand jobs.
 *
 * Whatever has gathered while the thread was busy is handed over as one group, oldest first, so that its owner can do in one step what
 * would cost a step each. Jobs of one fiber keep their order. A job owns all of its memory, never the waiting fiber's stack: when the fiber
 * gives up (deadline, cancel) the job is still done, and dropped then. In simulation there is no thread: a group is done inline, at a virtual
 * time that the world draws.
 *
 * What waits for a peer (a database elsewhere) does so in fibers: then the thread has a loop, and a fiber of it takes the groups.
 */
#ifndef RT_SERIAL_H
#define RT_SERIAL_H

#include "rt/fiber.h"
#include "rt/loop.h"

struct serial;

struct serial_job {
    struct serial_job *next; /* in a group: the following one */
    /* Free the job: nobody waits for it any more. Called on any thread, with `result` set if it was done. */
    void (*drop)(struct serial_job *j);
    err_t result;
    /* The rest is private. */
    struct err_record record;
    struct loop *loop;
    struct fiber *waiter;
    struct loop_msg done_msg;
    _Atomic int state;
    bool done;
};

/* What happens on the thread; in simulation in loop context. Nothing here may touch fibers. */
struct serial_ops {
    /* Do all of these. Each is given back once with serial_done(), now or in a later call. */
    void (*group)(void *ctx, struct serial_job *jobs);
    /* All jobs are done, for now. NULL: nothing to do then. */
    void (*idle)(void *ctx);
    /* The last call: give back whatever was kept, and free `ctx`. */
    void (*close)(void *ctx);
};

/* Start the thread, under `name` (at most 15 bytes). From here on `ctx` is the thread's, if this succeeds. E_IO. */
err_t serial_start(const char *name, const struct serial_ops *ops, void *ctx, struct serial **ret) MUST_CHECK;
/*
 * Instead: the thread runs a loop with the fiber `main`, which gets `ctx`, calls serial_opened() once, then serial_take() until that returns NULL, and
 * returns when all that it took is done. Waits for serial_opened(), and returns its result; `main` returns by itself when that is none.
 *
 * Blocks. E_UNSUPPORTED in simulation, E_IO.
 */
err_t serial_start_loop(const char *name, fiber_fn *main, void *ctx, struct serial **ret) MUST_CHECK;
/* By `main`: who started it may go on, if it succeeded; with the words of an error in the current record. */
void serial_opened(struct serial *s, err_t result);
/* By `main`: *ret is what has gathered, oldest first; NULL: nobody will hand over anything any more. Suspends until there is something. E_AGAIN at `until`. */
err_t serial_take(struct serial *s, ns_t until, struct serial_job **ret) SUSPENDS MUST_CHECK;
/* Do what is queued, then ops->close(), and free. Nobody hands over jobs any more. Blocks. NULL is allowed. */
void serial_close(struct serial *s);

/*
 * Hand the job over and wait until it is done: its result, with its words as the current error record. The caller owns the job again
 * then. On E_CANCELLED and E_DEADLINE, which no job may have as its result, it does not: the job will still be done, and dropped.
 */
err_t serial_run(struct serial *s, struct serial_job *j) SUSPENDS MUST_CHECK;
/* As serial_run(), but neither cancel nor deadline, not even a shield's, end the wait: for a thread's last job. The caller owns the job again. */
err_t serial_run_to_end(struct serial *s, struct serial_job *j) SUSPENDS MUST_CHECK;
/* Hand the job over; it is dropped when it is done. From any fiber. */
void serial_post(struct serial *s, struct serial_job *j);

/* By ops->group: the job is done. Not to be touched from here on. Takes the words of an error from the current record. */
void serial_done(struct serial_job *j, err_t result);
/* By ops->group: nobody will look at what the job finds out. May become true at any time. */
bool serial_is_abandoned(struct serial_job *j);

#endif
