/*
 * fault.h - fail the N-th call to the world, or cancel a fiber at its N-th wait, for N = 1, 2, 3 ... until the scenario is through.
 *
 *     FAULT_SCENARIO(relay, .victims = "client,relay up")
 *     {
 *         ... as SCENARIO in sim/world.h, in calm weather ...
 *     }
 *
 * Each scenario is swept once for every kind of call (see the table in sweep.c) and every error that the kind is known for, and once
 * for each way to cancel, and once for memory that finds its limit reached. In every run it must end by itself, without a deadlock, leave nothing open, and keep its own
 * EXPECTs; the body may return errors, for something was broken. Under AddressSanitizer leaks of memory count, too.
 *
 * Keep such scenarios small: a sweep runs as many worlds as the scenario makes calls. Allocations without a limit are not swept: memory that
 * the system refuses ends the process by design (base/mem.h).
 */
#ifndef FAULT_TEST_FAULT_H
#define FAULT_TEST_FAULT_H

#include "sim/world.h"

#define FAULT_SCENARIO(name, ...) SCENARIO(name, .weather = WEATHER_CALM, .may_fail = true, __VA_ARGS__)

/* `.only = "cancel"` restricts a scenario to sweeps that have this in their name. */

/* Has the fault of this run happened yet? Until then everything must succeed. */
bool fault_has_struck(void);
/* When it did, in virtual time; NS_NEVER if it has not. */
ns_t fault_struck_at(void);

/* ---- for main.c ---- */

/* One way to break something, and which time it is to happen. */
struct sweep {
    const char *name; /* "read ECONNRESET" */
    unsigned kind;    /* index of sweep.c's table */
    int error;        /* errno value, or the way to cancel */
};

/* Sweeps there are; sweep_at(0 .. count-1). */
unsigned sweep_count(void);
struct sweep sweep_at(unsigned i);
/* Run `s` with the `nth` occasion of this sweep broken; false if it was over before. */
bool sweep_run(const struct scenario *s, const struct sweep *sweep, unsigned nth, bool verbose, struct verdict *ret)
    SUSPENDS_ROOT("runs a loop");

#endif
