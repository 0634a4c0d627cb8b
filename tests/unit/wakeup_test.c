/* Calls from one fiber to another, perhaps on another loop: none is lost, and none arrives at what is gone. */
#include "rt/wakeup.h"

#include "rt/loops.h"
#include "rt/scope.h"
#include "rt/threads.h"
#include "unit/in_loop.h"

#include <stdatomic.h>

static void sent_before_body(void)
{
    struct wakeup w;

    wakeup_init(&w);
    wakeup_send(&w);
    CHECK_OK(wakeup_wait(&w, NS_NEVER));
    CHECK_OK(wakeup_wait(&w, rt_now())); /* it is there for good */
    wakeup_join(&w);
}

TEST(wakeup_that_was_sent_before_anybody_waits_is_not_lost)
{
    in_sim(sent_before_body);
}

struct joining {
    struct wakeup w;
    err_t waited;
    ns_t joined;
};

static err_t wait_and_join(void *arg)
{
    struct joining *j = arg;

    wakeup_init(&j->w);
    j->waited = wakeup_wait(&j->w, NS_NEVER);
    wakeup_join(&j->w);
    j->joined = rt_now();
    return OK;
}

static void join_body(void)
{
    struct joining j = {.joined = 0};
    SCOPE(s, NS_NEVER);
    struct fiber *f = scope_spawn(&s, "joins", wait_and_join, &j);

    CHECK_OK(fiber_yield());
    fiber_cancel(f);
    CHECK_OK(fiber_sleep_until(rt_now() + NS_SEC));
    CHECK_ERR(j.waited, E_CANCELLED);
    CHECK_EQ(j.joined, 0);
    wakeup_send(&j.w);
    CHECK_OK(scope_wait_all(&s));
    CHECK_EQ(j.joined, rt_now());
}

TEST(wakeup_is_joined_even_by_a_fiber_that_was_cancelled)
{
    in_sim(join_body);
}

static void until_body(void)
{
    struct wakeup w;
    ns_t begun = rt_now();

    wakeup_init(&w);
    CHECK_ERR(wakeup_wait(&w, begun + NS_SEC), E_AGAIN);
    CHECK_EQ(rt_now(), begun + NS_SEC);
}

TEST(wakeup_is_waited_for_until_an_instant)
{
    in_sim(until_body);
}

/* --- one loop waits, the other calls --- */

enum { CALLS = 5000 };

static struct {
    struct loops *group;
    _Atomic(struct wakeup *) waits; /* NULL: it has been called */
    unsigned came;
} line;

static SUSPENDS err_t be_called(void)
{
    for (unsigned i = 0; i < CALLS; i++) {
        struct wakeup w;
        wakeup_init(&w);
        atomic_store(&line.waits, &w);
        if (i % 3)
            TRY(wakeup_wait(&w, NS_NEVER));
        else
            wakeup_join(&w);
        line.came++;
    }
    return OK;
}

static SUSPENDS err_t call_all(void)
{
    for (unsigned i = 0; i < CALLS;) {
        struct wakeup *w = atomic_exchange(&line.waits, NULL);
        if (w) {
            wakeup_send(w);
            i++;
        }
        TRY(fiber_yield());
    }
    return OK;
}

static err_t take_part(void *arg)
{
    unsigned index = *(const unsigned *)arg;

    TRY(loops_join(line.group, index, NULL));
    TRY(index ? call_all() : be_called());
    return loops_leave(line.group);
}

static err_t run_part(unsigned index, void *ctx UNUSED)
{
    return loop_run(&(struct loop_options){.index = index}, take_part, &index);
}

TEST(wakeup_crosses_loops)
{
    line.group = loops_new(2);
    line.came = 0;
    CHECK_OK(threads_run(2, run_part, NULL));
    loops_free(line.group);
    CHECK_EQ(line.came, CALLS);
}
