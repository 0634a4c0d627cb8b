/* timer_int.h - the heap of timers of one loop. Internal to rt/. */
#ifndef RT_TIMER_INT_H
#define RT_TIMER_INT_H

#include "rt/timer.h"

#include <stddef.h>

struct timer_entry {
    ns_t key;
    struct timer *timer;
};

struct timer_heap {
    struct timer_entry *at; /* at[TIMER_ROOT] is the earliest; aligned to a cache line */
    void *memory;
    uint32_t end; /* one behind the last entry */
    uint32_t cap;
};

/* The root stands at 3, so that the four children of a node share a cache line. */
enum { TIMER_ROOT = 3 };

void timer_heap_init(struct timer_heap *h);
void timer_heap_release(struct timer_heap *h);
/* Fire what is due at `now`; timers armed meanwhile wait for the next call. */
void timer_heap_fire(struct timer_heap *h, ns_t now);

/* When to look next: never later than the earliest timer. NS_NEVER if there is none. */
static inline ns_t timer_heap_next(const struct timer_heap *h)
{
    return h->end > TIMER_ROOT ? h->at[TIMER_ROOT].key : NS_NEVER;
}

#endif
