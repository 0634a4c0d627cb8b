/*
 * credit.h - how much may be under way: messages and bytes, of a pipeline's shard and, outside of that, of all shards of a loop.
 *
 * Only the way in waits for it. What is under way goes on whatever it takes, so nothing can wait in a circle; who takes in a batch may overdraw by that batch.
 * A shard that has nothing under way may always take something in, also when others have used up what all have together: a sink that is down stops its own
 * pipeline.
 */
#ifndef PIPELINE_CREDIT_H
#define PIPELINE_CREDIT_H

#include "base/list.h"
#include "rt/fiber.h"

#include <stdint.h>

struct credit {
    struct credit *outer; /* NULL: none */
    uint64_t roots, bytes;
    uint64_t roots_max, bytes_max; /* 0: no limit */
    struct list waiters;           /* in the order in which they came */
};

/* `outer` outlives it, and has no outer itself; NULL: none. */
void credit_init(struct credit *c, struct credit *outer, uint64_t roots_max, uint64_t bytes_max);
/* One more is under way. */
void credit_take(struct credit *c, uint64_t bytes);
/* It has so many bytes now, and had so many. */
void credit_change(struct credit *c, uint64_t from, uint64_t to);
/* One that had so many bytes is no more. */
void credit_give(struct credit *c, uint64_t bytes);
/* Wait until something may be taken in. E_CANCELLED, E_DEADLINE. */
err_t credit_wait(struct credit *c) SUSPENDS MUST_CHECK;

#endif
