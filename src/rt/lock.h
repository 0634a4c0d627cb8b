/*
 * lock.h - mutual exclusion between loops, for the few things that a process has once.
 *
 * Not for a request's ordinary way (docs/adr/0002): what is guarded is held for a look-up or a link, never across anything that suspends or
 * takes memory in proportion to a request.
 */
#ifndef RT_LOCK_H
#define RT_LOCK_H

#include <pthread.h>

struct lock {
    pthread_mutex_t mutex_; /* private */
};

static inline void lock_init(struct lock *l)
{
    pthread_mutex_init(&l->mutex_, NULL);
}

static inline void lock_release(struct lock *l)
{
    pthread_mutex_destroy(&l->mutex_);
}

static inline void lock_take(struct lock *l)
{
    pthread_mutex_lock(&l->mutex_);
}

static inline void lock_give(struct lock *l)
{
    pthread_mutex_unlock(&l->mutex_);
}

#endif
