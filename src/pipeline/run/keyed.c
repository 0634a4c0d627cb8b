/*
 * keyed.c - a map of entries, and a heap of the same by their ends.
 *
 * Invariants: an entry is in the map under its key, and in the heap at its `place`; `bytes` is the sum over all of them. The entry that was dropped last
 * stays until the next change, because its key was lent.
 */
#include "pipeline/run/keyed.h"

#include "base/map.h"
#include "base/mem.h"

#include <string.h>

struct entry {
    int64_t until;
    size_t place;
    struct str key, body; /* behind it */
    char bytes[];
};

/* Beside key and body: the entry, and its places in heap and map. */
enum { ENTRY_BYTES = sizeof(struct entry) + 64 };

struct keyed {
    struct map map;
    struct entry **heap, *dropped;
    size_t count, cap, bytes, max;
};

struct keyed *keyed_new(size_t max)
{
    struct keyed *k = NEW(struct keyed);

    k->max = max;
    return k;
}

void keyed_free(struct keyed *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->count; i++)
        mem_free(k->heap[i]);
    mem_free(k->heap);
    mem_free(k->dropped);
    map_release(&k->map);
    mem_free(k);
}

static size_t size_of(const struct entry *e)
{
    return ENTRY_BYTES + e->key.n + e->body.n;
}

/* --- the heap --- */

static void place(struct keyed *k, size_t at, struct entry *e)
{
    k->heap[at] = e;
    e->place = at;
}

static void sift_up(struct keyed *k, size_t at, struct entry *e)
{
    for (; at > 0 && e->until < k->heap[(at - 1) / 2]->until; at = (at - 1) / 2)
        place(k, at, k->heap[(at - 1) / 2]);
    place(k, at, e);
}

static void sift_down(struct keyed *k, size_t at, struct entry *e)
{
    for (size_t child; (child = 2 * at + 1) < k->count; at = child) {
        if (child + 1 < k->count && k->heap[child + 1]->until < k->heap[child]->until)
            child++;
        if (k->heap[child]->until >= e->until)
            break;
        place(k, at, k->heap[child]);
    }
    place(k, at, e);
}

static void take_out(struct keyed *k, struct entry *e)
{
    struct entry *last = k->heap[--k->count];

    k->bytes -= size_of(e);
    (void)map_remove(&k->map, e->key);
    if (last == e)
        return;
    if (last->until < e->until)
        sift_up(k, e->place, last);
    else
        sift_down(k, e->place, last);
}

/* --- entries --- */

bool keyed_find(const struct keyed *k, struct str key, int64_t now, int64_t *ret_until, struct str *ret_body)
{
    const struct entry *e = map_get(&k->map, key);

    if (!e || e->until <= now)
        return false;
    *ret_until = e->until;
    *ret_body = e->body;
    return true;
}

static struct entry *entry_new(struct str key, int64_t until, struct str body)
{
    struct entry *e = mem_alloc(sizeof *e + key.n + body.n);

    *e = (struct entry){.until = until, .key = str_of(e->bytes, key.n), .body = str_of(e->bytes + key.n, body.n)};
    memcpy(e->bytes, key.p, key.n);
    if (body.n)
        memcpy(e->bytes + key.n, body.p, body.n);
    return e;
}

void keyed_put(struct keyed *k, struct str key, int64_t until, struct str body)
{
    struct entry *old = map_get(&k->map, key), *e = entry_new(key, until, body);

    if (old)
        take_out(k, old);
    mem_free(old);
    if (k->count == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 16;
        k->heap = mem_realloc(k->heap, k->cap * sizeof *k->heap);
    }
    (void)map_put(&k->map, e->key, e);
    k->bytes += size_of(e);
    sift_up(k, k->count++, e);
}

bool keyed_drop(struct keyed *k, int64_t now, struct str *ret_key)
{
    if (!k->count || (k->heap[0]->until > now && k->bytes <= k->max))
        return false;
    mem_free(k->dropped);
    k->dropped = k->heap[0];
    take_out(k, k->dropped);
    *ret_key = k->dropped->key;
    return true;
}

void keyed_remove(struct keyed *k, struct str key)
{
    struct entry *e = map_get(&k->map, key);

    if (!e)
        return;
    take_out(k, e);
    mem_free(e);
}

struct str keyed_key(const struct keyed *k, size_t i)
{
    return k->heap[i]->key;
}

int64_t keyed_next(const struct keyed *k)
{
    return k->count ? k->heap[0]->until : INT64_MAX;
}

size_t keyed_count(const struct keyed *k)
{
    return k->count;
}

bool keyed_is_over(const struct keyed *k)
{
    return k->bytes > k->max;
}
