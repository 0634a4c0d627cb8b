/*
 * iobuf.c - a free list of read buffers per loop.
 *
 * The list is last in, first out, so that under light load one buffer, hot in the cache, serves every connection. It
 * keeps a bounded number of buffers: after a burst the rest goes back to the heap. Loops share nothing; the pools
 * stand in an array by the loop's index, each on cache lines of its own, because thread-local variables belong to rt/
 * alone.
 */
#include "net/iobuf.h"

#include "base/err.h"
#include "base/mem.h"
#include "rt/loop.h"

enum { KEEP_FREE = 128, MAX_LOOPS = 1024 };

struct pool {
    struct iobuf *free;
    unsigned count;
} __attribute__((aligned(64)));

static struct pool pools[MAX_LOOPS];

static struct pool *pool_here(void)
{
    unsigned index = loop_index(loop_current());

    if (UNLIKELY(index >= MAX_LOOPS))
        die("loop %u: only %d loops are supported", index, MAX_LOOPS);
    return &pools[index];
}

struct iobuf *iobuf_get(void)
{
    struct pool *pool = pool_here();
    struct iobuf *b = pool->free;

    if (b) {
        pool->free = b->next_free;
        pool->count--;
    } else {
        b = mem_alloc(sizeof *b);
    }
    b->next_free = NULL;
    b->from = b->to = 0;
    return b;
}

void iobuf_put(struct iobuf *b)
{
    if (!b)
        return;
    struct pool *pool = pool_here();
    if (pool->count == KEEP_FREE) {
        mem_free(b);
        return;
    }
    b->next_free = pool->free;
    pool->free = b;
    pool->count++;
}

void iobuf_drain(void)
{
    struct pool *pool = pool_here();

    while (pool->free) {
        struct iobuf *b = pool->free;
        pool->free = b->next_free;
        mem_free(b);
    }
    pool->count = 0;
}
