/*
 * timer.c - a 4-ary heap of timers per loop.
 *
 * Idea. Nearly every timer is a deadline that will not be reached and that moves later again and again. So a later instant for
 * an armed timer is only noted in it (`when`), and its entry stays where it is, under its old instant (`key`). When
 * that comes up, the entry sinks to where it belongs. Only an earlier instant moves an entry at once.
 *
 * Four children per node halve the depth of a binary heap, and the four lie in one cache line. Keys are copied into the entries,
 * so that sifting does not touch the timers but to tell them their place.
 *
 * Invariants: entry.key == timer->key <= timer->when; timer->place is the entry's index. Equal instants fire in no
 * particular order, but in the same one in every run.
 */
#include "rt/timer_int.h"

#include "base/mem.h"
#include "rt/loop_int.h"

#include <assert.h>
#include <string.h>

enum { FANOUT = 4, LINE = 64, FIRST_CAP = 64 };

static uint32_t parent_of(uint32_t i)
{
    return i / FANOUT + 2;
}

static uint32_t first_child_of(uint32_t i)
{
    return FANOUT * (i - 2);
}

static void heap_set(struct timer_heap *h, uint32_t i, struct timer_entry e)
{
    h->at[i] = e;
    e.timer->place = i;
}

static void sift_up(struct timer_heap *h, uint32_t i, struct timer_entry e)
{
    while (i > TIMER_ROOT) {
        uint32_t up = parent_of(i);
        if (h->at[up].key <= e.key)
            break;
        heap_set(h, i, h->at[up]);
        i = up;
    }
    heap_set(h, i, e);
}

static void sift_down(struct timer_heap *h, uint32_t i, struct timer_entry e)
{
    for (;;) {
        uint32_t child = first_child_of(i);
        if (child >= h->end)
            break;
        uint32_t last = child + FANOUT < h->end ? child + FANOUT : h->end;
        uint32_t least = child;
        for (uint32_t c = child + 1; c < last; c++)
            if (h->at[c].key < h->at[least].key)
                least = c;
        if (h->at[least].key >= e.key)
            break;
        heap_set(h, i, h->at[least]);
        i = least;
    }
    heap_set(h, i, e);
}

static void heap_grow(struct timer_heap *h)
{
    uint32_t cap = h->cap ? h->cap * 2 : FIRST_CAP;
    void *memory = mem_alloc(cap * sizeof *h->at + LINE);
    struct timer_entry *at = (void *)(((uintptr_t)memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
    if (h->at)
        memcpy(at, h->at, h->end * sizeof *at);
    mem_free(h->memory);
    h->memory = memory;
    h->at = at;
    h->cap = cap;
}

static void heap_remove(struct timer_heap *h, struct timer *t)
{
    uint32_t i = t->place;
    struct timer_entry moved = h->at[--h->end];

    t->place = 0;
    if (moved.timer == t)
        return;
    if (i > TIMER_ROOT && h->at[parent_of(i)].key > moved.key)
        sift_up(h, i, moved);
    else
        sift_down(h, i, moved);
}

void timer_heap_init(struct timer_heap *h)
{
    *h = (struct timer_heap){.end = TIMER_ROOT};
    heap_grow(h);
    memset(h->at, 0, TIMER_ROOT * sizeof *h->at);
}

void timer_heap_release(struct timer_heap *h)
{
    for (uint32_t i = TIMER_ROOT; i < h->end; i++)
        h->at[i].timer->place = 0;
    mem_free(h->memory);
    *h = (struct timer_heap){0};
}

void timer_heap_fire(struct timer_heap *h, ns_t now)
{
    for (uint32_t most = h->end; most > TIMER_ROOT && timer_heap_next(h) <= now; most--) {
        struct timer *t = h->at[TIMER_ROOT].timer;
        if (t->when > t->key && t->when != NS_NEVER) {
            t->key = t->when;
            sift_down(h, TIMER_ROOT, (struct timer_entry){t->key, t});
            continue;
        }
        bool due = t->when <= now;
        heap_remove(h, t);
        if (due)
            t->fire(t);
    }
}

void timer_arm(struct timer *t, ns_t when)
{
    if (t->place && when >= t->key) {
        t->when = when;
        return;
    }
    struct timer_heap *h = &loop_here()->timers;
    t->when = when;
    t->key = when;
    if (when == NS_NEVER)
        return;
    if (!t->place) {
        if (h->end == h->cap)
            heap_grow(h);
        t->place = h->end++;
    }
    sift_up(h, t->place, (struct timer_entry){when, t});
}

void timer_disarm(struct timer *t)
{
    if (t->place)
        heap_remove(&loop_here()->timers, t);
}
