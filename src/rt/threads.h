/* threads.h - one thread per loop. */
#ifndef RT_THREADS_H
#define RT_THREADS_H

#include "rt/loop.h"

/* What the thread of loop `index` does: called with the caller's ctx, usually loop_run(). */
typedef err_t thread_fn(unsigned index, void *ctx);

/* Run fn(0 .. count-1) on `count` threads, the first on this one; returns when all have returned: the first error. */
err_t threads_run(unsigned count, thread_fn *fn, void *ctx) MUST_CHECK;
/* Processors that this process may use. */
unsigned threads_cpus(void);

#endif
