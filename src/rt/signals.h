/*
 * signals.h - signals as something a fiber waits for.
 *
 * All signals but faults are blocked in every thread; one fiber of loop 0 receives them. SIGUSR1 is handled inside: it prints the
 * fibers of all loops to stderr (name, state, what they wait for, for how long).
 */
#ifndef RT_SIGNALS_H
#define RT_SIGNALS_H

#include "rt/fiber.h"

/* Block TERM, INT, HUP, USR1, PIPE and prepare to receive them; in the first thread, before any other starts. */
void signals_init(void);
/* Wait for the next of TERM, INT, HUP. One fiber at a time. In simulation: parks until cancelled. */
err_t signals_wait(int *ret_signo) SUSPENDS MUST_CHECK;

#endif
