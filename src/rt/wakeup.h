/*
 * wakeup.h - one fiber waits until another, perhaps on another loop, calls it.
 *
 * For what loops share behind a lock (a queue, say): who waits puts a struct wakeup beside its entry; who takes the entry out sends
 * it. Sent is sent: the struct must live until the call has arrived, so a fiber that stops waiting first makes sure, under the
 * lock that senders hold when they decide, that nobody will send any more, or joins.
 */
#ifndef RT_WAKEUP_H
#define RT_WAKEUP_H

#include "rt/fiber.h"
#include "rt/loop.h"

struct wakeup {
    struct loop_msg msg_;
    struct loop *loop_;
    struct fiber *fiber_; /* whom to wake */
    bool arrived_;
};

/* Ready to be sent once, to the running fiber. */
void wakeup_init(struct wakeup *w);
/* Call the fiber, soon. Once, from any thread, not under a spin lock (it may enter the kernel); never blocks. */
void wakeup_send(struct wakeup *w);
/* By the fiber that initialised it: wait until the call is there. E_AGAIN at `until`; E_CANCELLED, E_DEADLINE. */
err_t wakeup_wait(struct wakeup *w, ns_t until) SUSPENDS MUST_CHECK;
/* It was sent, or is about to be: wait until it is there. Neither cancel nor deadline cut that short; it takes as long as the sender
 * and a turn of this loop do. */
void wakeup_join(struct wakeup *w) SUSPENDS;

#endif
