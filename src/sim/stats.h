/*
 * stats.h - what a simulated provider counts, per model.
 *
 * Written by one loop, read by any: counters are words that are stored and loaded whole, without order between them.
 */
#ifndef SIM_STATS_H
#define SIM_STATS_H

#include "base/buf.h"
#include "sim/scenario.h"

#include <stdint.h>

struct sim_counts {
    uint64_t requests;                /* that named this model                                        */
    uint64_t refused;                 /* answered 4xx because of what they asked                      */
    uint64_t rate_limited;            /* of them: 429, because the key's limits were reached          */
    uint64_t completed;               /* answered to the end                                          */
    uint64_t streams;                 /* answers that were streamed                                   */
    uint64_t cancelled;               /* the client left before the end of the answer                 */
    uint64_t prompt_tokens;           /* of answered requests                                         */
    uint64_t completion_tokens;       /* sent                                                         */
    uint64_t running;                 /* now: named this model and are not answered yet               */
    uint64_t held_tokens;             /* now: prompt tokens of these                                  */
    uint64_t faults[SIM_FAULT_COUNT]; /* that really happened                                       */
};

/* Count; `by` may be negative, written as uint64_t, for what is counted now. */
static inline void sim_count(uint64_t *counter, uint64_t by)
{
    __atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

/* Add `from`, which another loop may be changing, to `to`. */
void sim_counts_add(struct sim_counts *to, const struct sim_counts *from);
/* Append them as a JSON object. */
void sim_counts_write(const struct sim_counts *c, struct buf *to);

#endif
