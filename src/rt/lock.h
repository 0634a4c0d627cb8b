/*
 * lock.h - mutual exclusion between loops, for the few things that a process has once.
 *
 * Not for a request's ordinary way (docs/adr/0002): what is guarded is held for a look-up or a link, never across anything that suspends or
 * takes memory in proportion to a request.
 */
#ifndef RT_LOCK_H
#define RT_LOCK_H

struct lock;

/* lock_free() frees it. */
struct lock *lock_new(void);
/* NULL is allowed. Nobody may hold it. */
void lock_free(struct lock *l);
/* From any thread; blocks while another holds it. */
void lock_take(struct lock *l);
void lock_give(struct lock *l);

#endif
