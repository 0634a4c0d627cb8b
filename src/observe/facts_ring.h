/*
 * facts_ring.h - the facts of a loop's latest requests, in memory: a ring of records, found by the request's id.
 *
 * One per loop, touched by that loop only. Bounded in bytes; the oldest request gives way to the newest. Putting and finding take the same time
 * however many there are, and neither allocates.
 */
#ifndef OBSERVE_FACTS_RING_H
#define OBSERVE_FACTS_RING_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct facts_ring;

enum {
    FACTS_RING_LEAST = 64 * 1024,
    FACTS_RING_SAME = 16, /* entries of one id that are found: clients may give all of their requests the same */
};

/* A ring of `bytes` (at least FACTS_RING_LEAST), besides an index of a hundredth of that. facts_ring_free() frees it. */
struct facts_ring *facts_ring_new(size_t bytes);
/* NULL is allowed. */
void facts_ring_free(struct facts_ring *r);
/* Keep a request's records (facts_write(), or of what went on beside it; copied). False: they are larger than the whole ring. */
bool facts_ring_put(struct facts_ring *r, struct str id, struct str records);
/* Append what was put for that id, latest first, at most FACTS_RING_SAME times. If `to` is full, it remembers. */
void facts_ring_find(const struct facts_ring *r, struct str id, struct buf *to);

#endif
