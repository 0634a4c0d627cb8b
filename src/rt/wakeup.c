/*
 * wakeup.c - a message to a loop that makes one fiber runnable.
 *
 * The message is part of the struct, so sending allocates nothing and cannot fail. Only the fiber's own loop touches anything but the
 * message, so nothing is locked here: what `arrived_` says is what the loop delivered. The loop cannot end before, because the fiber lives on it
 * until then.
 */
#include "rt/wakeup.h"

#include "base/attr.h"
#include "rt/fiber_int.h"

static void arrive(struct loop_msg *m)
{
    struct wakeup *w = CONTAINER_OF(m, struct wakeup, msg_);

    w->arrived_ = true;
    fiber_wake(w->fiber_);
}

void wakeup_init(struct wakeup *w)
{
    *w = (struct wakeup){.msg_ = {.run = arrive}, .loop_ = loop_current(), .fiber_ = fiber_current()};
}

void wakeup_send(struct wakeup *w)
{
    loop_post(w->loop_, &w->msg_);
}

err_t wakeup_wait(struct wakeup *w, ns_t until)
{
    while (!w->arrived_)
        TRY(fiber_park("its turn", until));
    return OK;
}

void wakeup_join(struct wakeup *w)
{
    while (!w->arrived_)
        fiber_park_bare("its turn");
}
