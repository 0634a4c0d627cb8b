/*
 * live_homes.h - where conversations were answered last, so that their prompts find the provider's cache again.
 *
 * A table of fixed size, shared by all loops, without locks: what it forgets, or confuses once in 2^36 times, costs a cache miss at a provider.
 */
#ifndef FLEET_LIVE_HOMES_H
#define FLEET_LIVE_HOMES_H

#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct live_homes;

struct live_homes *live_homes_new(void);
void live_homes_free(struct live_homes *h);
/* The conversation `key` (a hash, not 0) was answered by the deployment `id`, which now holds so many tokens of it. From any thread. */
void live_homes_put(struct live_homes *h, uint64_t key, uint64_t id, uint64_t tokens, ns_t now);
/* Was `key` answered lately? *ret_id: enough of the deployment's id to know it by (live_homes_is()); *ret_tokens: that it holds, rounded down. */
bool live_homes_get(const struct live_homes *h, uint64_t key, ns_t now, uint64_t *ret_id, uint64_t *ret_tokens);
/* Is that the deployment? */
bool live_homes_is(uint64_t kept_id, uint64_t id);
/* The first of n ids that it is; n: none is. */
size_t live_homes_find(uint64_t kept_id, const uint64_t *ids, size_t n);

#endif
