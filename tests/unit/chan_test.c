/* Channels between fibers: order, bounds, closing, and wake-ups that must not be lost. In virtual time. */
#include "rt/chan.h"

#include "rt/scope.h"
#include "unit/in_loop.h"

#include <stdlib.h>

static void *item(intptr_t i)
{
    return (void *)i;
}

static void bounds_body(void)
{
    struct chan *c = chan_new(2);
    void *got = NULL;
    CHECK_ERR(chan_try_receive(c, &got), E_AGAIN);
    CHECK_OK(chan_try_send(c, item(1)));
    CHECK_OK(chan_try_send(c, item(2)));
    CHECK_ERR(chan_try_send(c, item(3)), E_AGAIN);
    CHECK_EQ(chan_count(c), 2);
    CHECK_OK(chan_try_receive(c, &got));
    CHECK_EQ(got, item(1));
    CHECK_OK(chan_try_send(c, item(3)));
    chan_close(c);
    CHECK_ERR(chan_try_send(c, item(4)), E_EOF);
    CHECK_OK(chan_receive(c, NS_NEVER, &got)); /* what is left */
    CHECK_EQ(got, item(2));
    CHECK_OK(chan_receive(c, NS_NEVER, &got));
    CHECK_EQ(got, item(3));
    CHECK_ERR(chan_receive(c, NS_NEVER, &got), E_EOF);
    chan_free(c);
    chan_free(NULL);
}

TEST(chan_keeps_order_and_bound_and_gives_the_rest_after_close)
{
    in_sim(bounds_body);
}

enum { ITEMS = 1000 };

static err_t produce(void *arg)
{
    for (intptr_t i = 1; i <= ITEMS; i++)
        TRY(chan_send(arg, item(i)));
    return OK;
}

static void stream_body(void)
{
    struct chan *c = chan_new(3);
    {
        SCOPE(s, NS_NEVER);
        (void)scope_spawn(&s, "producer", produce, c);
        for (intptr_t i = 1; i <= ITEMS; i++) {
            void *got = NULL;
            CHECK_OK(chan_receive(c, NS_NEVER, &got));
            CHECK_EQ(got, item(i));
        }
        CHECK_OK(scope_wait_all(&s));
    }
    chan_free(c);
}

TEST(chan_sender_waits_for_room)
{
    in_sim(stream_body);
}

static void until_body(void)
{
    struct chan *c = chan_new(1);
    ns_t start = rt_now();
    void *got = NULL;
    CHECK_ERR(chan_receive(c, start + NS_SEC, &got), E_AGAIN);
    CHECK_EQ(rt_now(), start + NS_SEC);
    CHECK_EQ(got, NULL);
    chan_free(c);
}

TEST(chan_receive_gives_up_at_its_alarm)
{
    in_sim(until_body);
}

struct taker {
    struct chan *chan;
    void *got;
    err_t result;
};

static err_t take_one(void *arg)
{
    struct taker *t = arg;
    t->result = chan_receive(t->chan, NS_NEVER, &t->got);
    return OK;
}

/* The one that a send woke is cancelled before it runs: the other must get the item. */
static void hand_over_body(void)
{
    struct chan *c = chan_new(1);
    struct taker first = {.chan = c}, second = {.chan = c};
    {
        SCOPE(s, rt_now() + NS_SEC);
        struct fiber *f = scope_spawn(&s, "first", take_one, &first);
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
        (void)scope_spawn(&s, "second", take_one, &second);
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
        CHECK_OK(chan_try_send(c, item(7)));
        fiber_cancel(f);
        CHECK_OK(scope_wait_all(&s));
    }
    CHECK_EQ(first.result, E_CANCELLED);
    CHECK_OK(second.result);
    CHECK_EQ(second.got, item(7));
    chan_free(c);
}

TEST(chan_wake_up_of_a_cancelled_receiver_goes_to_the_next)
{
    in_sim(hand_over_body);
}

struct giver {
    struct chan *chan;
    err_t result;
};

static err_t give_one(void *arg)
{
    struct giver *g = arg;
    g->result = chan_send(g->chan, item(9));
    return OK;
}

static void close_wakes_body(void)
{
    struct chan *full = chan_new(1), *empty = chan_new(1);
    struct giver giver = {.chan = full};
    struct taker takers[2] = {{.chan = empty}, {.chan = empty}};
    CHECK_OK(chan_try_send(full, item(1)));
    {
        SCOPE(s, rt_now() + NS_SEC);
        (void)scope_spawn(&s, "giver", give_one, &giver);
        (void)scope_spawn(&s, "taker", take_one, &takers[0]);
        (void)scope_spawn(&s, "taker", take_one, &takers[1]);
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
        chan_close(full);
        chan_close(empty);
        CHECK_OK(scope_wait_all(&s));
    }
    CHECK_EQ(giver.result, E_EOF);
    CHECK_EQ(takers[0].result, E_EOF);
    CHECK_EQ(takers[1].result, E_EOF);
    chan_free(full);
    chan_free(empty);
}

TEST(chan_close_wakes_everybody)
{
    in_sim(close_wakes_body);
}
