/*
 * worker.h - a small pool of threads for work that blocks or computes for long: getaddrinfo, disk, certificates.
 *
 * Nobody can interrupt such work. So a job owns all of its memory, never the waiting fiber's stack: when the fiber gives up
 * (deadline, cancel), the job is orphaned and frees itself when it is done. In simulation jobs run inline after a virtual delay.
 */
#ifndef RT_WORKER_H
#define RT_WORKER_H

#include "rt/fiber.h"
#include "rt/loop.h"

struct job {
    void (*run)(struct job *j);  /* on a worker thread; must not touch loop or fiber functions        */
    void (*drop)(struct job *j); /* free the job; called, on any thread, if nobody waits for it any more */
    struct job *next;            /* the rest is private */
    struct loop *loop;
    struct fiber *waiter;
    struct loop_msg done_msg;
    _Atomic int state;
    bool done;
};

/* Start the pool with at most `threads` >= 1 threads (made on demand, gone when idle for long); once, before loops run. */
void workers_start(unsigned threads);
/* Finish what runs, drop or run what is queued, and join. After all loops ended. */
void workers_stop(void);
/*
 * Run `j` on a worker and wait. On OK the job has run and the caller owns it again; on E_CANCELLED or E_DEADLINE it
 * belongs to the pool, which will drop() it, run or not; on E_OVERLOAD (no thread could be made) it was dropped.
 */
err_t worker_run(struct job *j) SUSPENDS MUST_CHECK;
/* Jobs queued and running now. */
unsigned workers_busy(void);

#endif
