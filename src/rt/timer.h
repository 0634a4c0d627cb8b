/* timer.h - call back at an instant, in loop context. A timer is embedded in its owner's struct. */
#ifndef RT_TIMER_H
#define RT_TIMER_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/* Zeroed but for `fire`, it is a timer that is not armed. The owner disarms it before its memory goes. */
struct timer {
    ns_t when;                     /* the instant asked for; NS_NEVER: it will just be forgotten          */
    ns_t key;                      /* private: its place in the heap is for this instant, <= when        */
    void (*fire)(struct timer *t); /* not armed any more when called; may arm it again                    */
    uint32_t place;                /* private: position in the loop's heap; 0: not armed                  */
};

/* Fire at `when`; re-arms an armed timer. O(log n), and O(1) when a later `when` is given to an armed timer. */
void timer_arm(struct timer *t, ns_t when);
/* Does nothing to one that is not armed. */
void timer_disarm(struct timer *t);

static inline bool timer_is_armed(const struct timer *t)
{
    return t->place != 0;
}

#endif
