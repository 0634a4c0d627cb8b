/* prefix_cache.c - a direct-mapped table of hashes with their ends of life. */
#include "sim/prefix_cache.h"

bool prefix_cache_has(const struct prefix_cache *c, uint64_t hash, ns_t now)
{
    size_t slot = hash % PREFIX_CACHE_SLOTS;

    return c->slots[slot].hash == hash && c->slots[slot].until > now;
}

void prefix_cache_put(struct prefix_cache *c, uint64_t hash, ns_t until)
{
    size_t slot = hash % PREFIX_CACHE_SLOTS;

    if (c->slots[slot].hash != hash || c->slots[slot].until < until) {
        c->slots[slot].hash = hash;
        c->slots[slot].until = until;
    }
}
