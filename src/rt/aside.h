/* aside.h - a loop beside those that serve, on a thread that has none: for what must wait in fibers while the thread waits for it. */
#ifndef RT_ASIDE_H
#define RT_ASIDE_H

#include "rt/loop.h"

/* As loop_run() with the kernel's seams, under the highest number that is free. From any thread without a loop, several at a time. */
err_t loop_run_aside(fiber_fn *fn, void *arg) SUSPENDS_ROOT("runs the loop") MUST_CHECK;

#endif
