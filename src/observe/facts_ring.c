/*
 * facts_ring.c - the latest requests of a loop.
 *
 * Idea. Places are counted in bytes from the beginning of time, so a place says by itself whether what stood there is still there: everything from
 * `tail` to `head`. An entry never wraps; what is left at the end of the memory is passed over. Entries of one slot of the index are chained from new
 * to old by their places, and a chain ends at the first that is gone, so nothing has to be taken out of the index when the oldest entries give way.
 */
#include "observe/facts_ring.h"

#include "base/map.h"
#include "base/mem.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* In front of each request: its id and its records follow. `size` 0: the rest of the memory is passed over. */
struct entry {
    uint64_t former; /* the next older one of its slot, plus 1; 0: none */
    uint32_t size;   /* with this head, and what pads it */
    uint32_t id_n, records_n;
};

enum { ALIGN = sizeof(uint64_t), BYTES_PER_SLOT = 800 /* the facts of a small request */ };

struct facts_ring {
    char *memory;
    uint64_t bytes;
    uint64_t head, tail; /* places: where the next entry goes, where the oldest one stands */
    uint64_t *slots;     /* place of the newest entry, plus 1; 0: none */
    size_t slot_mask;
};

static size_t padded(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

struct facts_ring *facts_ring_new(size_t bytes)
{
    struct facts_ring *r = NEW(struct facts_ring);
    size_t slots = 64;

    assert(bytes >= FACTS_RING_LEAST);
    while (slots < bytes / BYTES_PER_SLOT)
        slots *= 2;
    r->bytes = bytes & ~(uint64_t)(ALIGN - 1);
    r->memory = mem_alloc(r->bytes);
    r->slots = mem_zalloc(slots, sizeof *r->slots);
    r->slot_mask = slots - 1;
    return r;
}

void facts_ring_free(struct facts_ring *r)
{
    if (!r)
        return;
    mem_free(r->memory);
    mem_free(r->slots);
    mem_free(r);
}

static struct entry *entry_at(const struct facts_ring *r, uint64_t place)
{
    return (struct entry *)(void *)(r->memory + place % r->bytes);
}

/* Bytes from `place` to the end of the memory. */
static uint64_t until_end(const struct facts_ring *r, uint64_t place)
{
    return r->bytes - place % r->bytes;
}

/* Let the oldest go until `size` bytes from r->head on are free. */
static void make_room(struct facts_ring *r, uint64_t size)
{
    while (r->head + size - r->tail > r->bytes) {
        uint64_t left = until_end(r, r->tail);
        uint32_t gone = left >= sizeof(struct entry) ? entry_at(r, r->tail)->size : 0;
        r->tail += gone ? gone : left;
    }
}

/* Go on at the beginning of the memory if `size` bytes no longer fit in front of its end. */
static void turn_round(struct facts_ring *r, uint64_t size)
{
    uint64_t left = until_end(r, r->head);

    if (left >= size)
        return;
    make_room(r, left);
    if (left >= sizeof(struct entry))
        entry_at(r, r->head)->size = 0;
    r->head += left;
}

bool facts_ring_put(struct facts_ring *r, struct str id, struct str records)
{
    size_t size = padded(sizeof(struct entry) + id.n + records.n);
    uint64_t *slot = &r->slots[map_hash(id) & r->slot_mask];

    if (size > r->bytes || size > UINT32_MAX)
        return false;
    turn_round(r, size);
    make_room(r, size);
    struct entry *e = entry_at(r, r->head);
    *e = (struct entry){
        .former = *slot, .size = (uint32_t)size, .id_n = (uint32_t)id.n, .records_n = (uint32_t)records.n};
    char *text = (char *)(e + 1);
    if (id.n)
        memcpy(text, id.p, id.n);
    if (records.n)
        memcpy(text + id.n, records.p, records.n);
    *slot = r->head + 1;
    r->head += size;
    mem_prefetch((const char *)entry_at(r, r->head), size); /* the next is likely to be as long */
    return true;
}

void facts_ring_find(const struct facts_ring *r, struct str id, struct buf *to)
{
    uint64_t at = r->slots[map_hash(id) & r->slot_mask];
    unsigned found = 0;

    while (at > r->tail && found < FACTS_RING_SAME) { /* places are kept plus 1 */
        const struct entry *e = entry_at(r, at - 1);
        const char *text = (const char *)(e + 1);
        if (str_eq(str_of(text, e->id_n), id)) {
            (void)buf_add(to, str_of(text + e->id_n, e->records_n));
            found++;
        }
        at = e->former;
    }
}
