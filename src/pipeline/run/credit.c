/*
 * credit.c - two accounts, one within the other, and who waits for them.
 *
 * A waiter stands in its own account's list, and in the outer one's as well when it is only that one that keeps it waiting. When something is given back, the
 * first of each list is woken; one that goes on, or that cannot for another reason, wakes the next. So what is done for each message does not grow with the
 * number of those who wait.
 */
#include "pipeline/run/credit.h"

#include <assert.h>

struct waiter {
    struct list inner, outer;
    struct fiber *fiber;
};

void credit_init(struct credit *c, struct credit *outer, uint64_t roots_max, uint64_t bytes_max)
{
    assert(!outer || !outer->outer);
    *c = (struct credit){.outer = outer, .roots_max = roots_max, .bytes_max = bytes_max};
    list_init(&c->waiters);
}

static bool is_used_up(const struct credit *c)
{
    return (c->roots_max && c->roots >= c->roots_max) || (c->bytes_max && c->bytes >= c->bytes_max);
}

static bool may_go_on(const struct credit *c)
{
    return !is_used_up(c) && (!c->roots || !c->outer || !is_used_up(c->outer));
}

static void wake_first(const struct credit *c)
{
    if (!list_is_empty(&c->waiters))
        fiber_wake(CONTAINER_OF(c->waiters.next, struct waiter, inner)->fiber);
    if (c->outer && !list_is_empty(&c->outer->waiters))
        fiber_wake(CONTAINER_OF(c->outer->waiters.next, struct waiter, outer)->fiber);
}

void credit_take(struct credit *c, uint64_t bytes)
{
    for (; c; c = c->outer) {
        c->roots++;
        c->bytes += bytes;
    }
}

void credit_change(struct credit *c, uint64_t from, uint64_t to)
{
    for (; c; c = c->outer)
        c->bytes += to - from;
}

void credit_give(struct credit *c, uint64_t bytes)
{
    assert(c);
    for (struct credit *each = c; each; each = each->outer) {
        assert(each->roots && each->bytes >= bytes);
        each->roots--;
        each->bytes -= bytes;
    }
    wake_first(c);
}

/* Stand in the outer list if that is what is waited for, else not. */
static void stand(struct credit *c, struct waiter *w)
{
    bool waits_outside = c->outer && !is_used_up(c);

    if (waits_outside == list_is_linked(&w->outer))
        return;
    if (waits_outside) {
        list_push_back(&c->outer->waiters, &w->outer);
        return;
    }
    list_remove(&w->outer);
    wake_first(c);
}

err_t credit_wait(struct credit *c)
{
    struct waiter w = {.fiber = fiber_current()};
    err_t e = OK;

    if (may_go_on(c))
        return OK;
    list_push_back(&c->waiters, &w.inner);
    while (e == OK && !may_go_on(c)) {
        stand(c, &w);
        e = fiber_park("messages under way", NS_NEVER);
    }
    list_remove(&w.inner);
    list_remove(&w.outer);
    wake_first(c);
    return e;
}
