/*
 * spin.h - a lock that is held for some hundred nanoseconds and never across anything that waits, so who meets it spins.
 *
 * Zeroed it is free.
 */
#ifndef BASE_SPIN_H
#define BASE_SPIN_H

#include <stdatomic.h>

struct spin {
    atomic_flag taken;
};

static inline void spin_take(struct spin *s)
{
    while (atomic_flag_test_and_set_explicit(&s->taken, memory_order_acquire))
        ;
}

static inline void spin_free(struct spin *s)
{
    atomic_flag_clear_explicit(&s->taken, memory_order_release);
}

#endif
