/*
 * chan.h - bounded channel of pointers between fibers of one loop.
 *
 * Owns nothing but the queue: what is still in it on release is the caller's to free (chan_pop until E_AGAIN).
 */
#ifndef RT_CHAN_H
#define RT_CHAN_H

#include "rt/fiber.h"

#include <stddef.h>

struct chan;

/* A channel that holds at most `cap` >= 1 items; chan_free() frees it. */
struct chan *chan_new(size_t cap);
/* No fiber may wait on it. NULL is allowed. */
void chan_free(struct chan *c);
/* Append; waits while full. E_EOF if the channel is closed. */
err_t chan_send(struct chan *c, void *item) SUSPENDS MUST_CHECK;
/* Append without waiting; E_AGAIN if full, E_EOF if closed. */
err_t chan_try_send(struct chan *c, void *item) MUST_CHECK;
/* Take the oldest; waits while empty. E_EOF when closed and empty; E_AGAIN at `until`. */
err_t chan_receive(struct chan *c, ns_t until, void **ret_item) SUSPENDS MUST_CHECK;
/* Take the oldest without waiting; E_AGAIN if empty. */
err_t chan_try_receive(struct chan *c, void **ret_item) MUST_CHECK;
/* No more sends; receivers get what is left, then E_EOF. Wakes all. */
void chan_close(struct chan *c);
size_t chan_count(const struct chan *c);

#endif
