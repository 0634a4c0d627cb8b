/*
 * prefix_cache.h - beginnings of prompts that a simulated provider has cached, and until when. One loop's. Pure.
 *
 * Bounded: a table of fixed size in which a new prefix takes the place of another with the same slot, as if that had been evicted.
 */
#ifndef SIM_PREFIX_CACHE_H
#define SIM_PREFIX_CACHE_H

#include "base/attr.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PREFIX_CACHE_SLOTS = 4096 };

struct prefix_cache {
    struct {
        uint64_t hash;
        ns_t until;
    } slots[PREFIX_CACHE_SLOTS];
};

/* Is the prefix of this hash cached now? */
bool prefix_cache_has(const struct prefix_cache *c, uint64_t hash, ns_t now) PURE;
/* Cache it until then, or longer if it is cached for longer already. */
void prefix_cache_put(struct prefix_cache *c, uint64_t hash, ns_t until);

#endif
