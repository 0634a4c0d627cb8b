/*
 * chan.c - bounded channel of pointers between fibers of one loop.
 *
 * Idea. A ring of pointers and two queues of waiting fibers. A send wakes the receiver that has waited longest, a receive the sender; the
 * woken one still has to look, since another fiber may have been faster. One who was woken and leaves with an error
 * instead (cancel, deadline) passes the wake-up on, so none is lost.
 *
 * Not here: ownership of what is sent; channels between threads (loop_post).
 */
#include "rt/chan.h"

#include "base/list.h"
#include "base/mem.h"

#include <assert.h>

struct chan {
    size_t cap, count, first; /* items[(first + i) % cap] */
    bool closed;
    struct list senders, receivers; /* struct waiter */
    void *items[];
};

struct waiter {
    struct list node; /* unlinked: was woken */
    struct fiber *fiber;
};

struct chan *chan_new(size_t cap)
{
    assert(cap > 0);
    struct chan *c = mem_zalloc(1, sizeof *c + cap * sizeof c->items[0]);
    c->cap = cap;
    list_init(&c->senders);
    list_init(&c->receivers);
    return c;
}

void chan_free(struct chan *c)
{
    assert(!c || (list_is_empty(&c->senders) && list_is_empty(&c->receivers)));
    mem_free(c);
}

static void wake_first(struct list *waiters)
{
    struct list *node = list_pop_front(waiters);

    if (node)
        fiber_wake(CONTAINER_OF(node, struct waiter, node)->fiber);
}

/* Wait in a queue until woken. On an error the wake-up that we may have had goes to the next. */
static SUSPENDS err_t wait_in(struct list *waiters, const char *reason, ns_t until)
{
    struct waiter w = {.fiber = fiber_current()};

    list_push_back(waiters, &w.node);
    err_t e = fiber_park(reason, until);
    bool was_woken = !list_is_linked(&w.node);
    list_remove(&w.node);
    if (e != OK && was_woken)
        wake_first(waiters);
    return e;
}

err_t chan_try_send(struct chan *c, void *item)
{
    if (c->closed)
        return E_EOF;
    if (c->count == c->cap)
        return E_AGAIN;
    c->items[(c->first + c->count++) % c->cap] = item;
    wake_first(&c->receivers);
    return OK;
}

err_t chan_send(struct chan *c, void *item)
{
    for (;;) {
        err_t e = chan_try_send(c, item);
        if (e != E_AGAIN)
            return e == E_EOF ? fail(E_EOF, "the channel is closed") : e;
        TRY(wait_in(&c->senders, "room in a channel", NS_NEVER));
    }
}

err_t chan_try_receive(struct chan *c, void **ret_item)
{
    if (c->count == 0)
        return E_AGAIN;
    *ret_item = c->items[c->first];
    c->first = (c->first + 1) % c->cap;
    c->count--;
    wake_first(&c->senders);
    return OK;
}

err_t chan_receive(struct chan *c, ns_t until, void **ret_item)
{
    for (;;) {
        if (chan_try_receive(c, ret_item) == OK)
            return OK;
        if (c->closed)
            return E_EOF;
        TRY(wait_in(&c->receivers, "an item in a channel", until));
    }
}

void chan_close(struct chan *c)
{
    c->closed = true;
    while (!list_is_empty(&c->senders))
        wake_first(&c->senders);
    while (!list_is_empty(&c->receivers))
        wake_first(&c->receivers);
}

size_t chan_count(const struct chan *c)
{
    return c->count;
}
