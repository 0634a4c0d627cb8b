/*
 * live_homes.c - a direct-mapped table of two words a slot.
 *
 * The first word is the key exclusive-or the second: whoever reads two words of different writers finds that they do not belong together, and takes the
 * slot for empty (the lockless hashing of transposition tables in chess programs; R. Hyatt, T. Mann, ICGA Journal 25(1), 2002).
 *
 * A provider's cache is warm for some minutes after it was used; older entries are as good as none.
 */
#include "fleet/live_homes.h"

#include "base/mem.h"

#include <stdatomic.h>

enum { SLOTS = 1 << 15, TOKEN_UNIT = 64, TOKEN_BITS = 20, TIME_BITS = 16, ID_BITS = 28 };
#define TIME_UNIT (8 * NS_SEC)
#define WARM (300 * NS_SEC) /* Anthropic's and OpenAI's caches last for five minutes and more */

struct slot {
    _Atomic uint64_t check, value;
};

struct live_homes {
    struct slot slots[SLOTS];
};

struct live_homes *live_homes_new(void)
{
    return NEW(struct live_homes);
}

void live_homes_free(struct live_homes *h)
{
    mem_free(h);
}

static uint64_t low_bits(uint64_t v, unsigned n)
{
    return v & (((uint64_t)1 << n) - 1);
}

static uint64_t clock_of(ns_t now)
{
    return low_bits((uint64_t)(now / TIME_UNIT), TIME_BITS);
}

void live_homes_put(struct live_homes *h, uint64_t key, uint64_t id, uint64_t tokens, ns_t now)
{
    struct slot *s = &h->slots[key % SLOTS];
    uint64_t units = tokens / TOKEN_UNIT, most = ((uint64_t)1 << TOKEN_BITS) - 1;
    uint64_t value =
        (units < most ? units : most) | clock_of(now) << TOKEN_BITS | low_bits(id, ID_BITS) << (TOKEN_BITS + TIME_BITS);

    atomic_store_explicit(&s->value, value, memory_order_relaxed);
    atomic_store_explicit(&s->check, key ^ value, memory_order_relaxed);
}

bool live_homes_get(const struct live_homes *h, uint64_t key, ns_t now, uint64_t *ret_id, uint64_t *ret_tokens)
{
    const struct slot *s = &h->slots[key % SLOTS];
    uint64_t value = atomic_load_explicit(&s->value, memory_order_relaxed);
    uint64_t check = atomic_load_explicit(&s->check, memory_order_relaxed);
    uint64_t age = low_bits(clock_of(now) - (value >> TOKEN_BITS), TIME_BITS);

    if (!value || (check ^ value) != key || age > WARM / TIME_UNIT)
        return false;
    *ret_id = value >> (TOKEN_BITS + TIME_BITS);
    *ret_tokens = low_bits(value, TOKEN_BITS) * TOKEN_UNIT;
    return true;
}

bool live_homes_is(uint64_t kept_id, uint64_t id)
{
    return kept_id == low_bits(id, ID_BITS);
}

size_t live_homes_find(uint64_t kept_id, const uint64_t *ids, size_t n)
{
    size_t i = 0;

    while (i < n && !live_homes_is(kept_id, ids[i]))
        i++;
    return i;
}
