/* Timers: order, lazy re-arming, disarming; in virtual time, against a plain model. */
#include "rt/timer.h"

#include "rt/loop_int.h"
#include "unit/in_loop.h"

struct probe {
    struct timer timer;
    ns_t fired; /* when; 0: not */
    int count;
};

static void probe_fire(struct timer *t)
{
    struct probe *p = CONTAINER_OF(t, struct probe, timer);
    p->fired = rt_now();
    p->count++;
}

#define PROBE                                                                                                          \
    {                                                                                                                  \
        .timer = {.fire = probe_fire }                                                                                 \
    }

static void later_body(void)
{
    ns_t start = rt_now();
    struct probe p = PROBE;
    timer_arm(&p.timer, start + NS_SEC);
    timer_arm(&p.timer, start + 3 * NS_SEC);
    CHECK(timer_is_armed(&p.timer));
    CHECK_OK(fiber_sleep_until(start + 2 * NS_SEC));
    CHECK_EQ(p.count, 0); /* the earlier instant was given up */
    CHECK(timer_is_armed(&p.timer));
    CHECK_OK(fiber_sleep_until(start + 5 * NS_SEC));
    CHECK_EQ(p.fired, start + 3 * NS_SEC);
    CHECK_EQ(p.count, 1);
    CHECK(!timer_is_armed(&p.timer));
}

TEST(timer_armed_later_fires_later_and_once)
{
    in_sim(later_body);
}

static void earlier_body(void)
{
    ns_t start = rt_now();
    struct probe p = PROBE;
    timer_arm(&p.timer, start + 3 * NS_SEC);
    timer_arm(&p.timer, start + 5 * NS_SEC);
    timer_arm(&p.timer, start + NS_SEC);
    CHECK_OK(fiber_sleep_until(start + 9 * NS_SEC));
    CHECK_EQ(p.fired, start + NS_SEC);
    CHECK_EQ(p.count, 1);
}

TEST(timer_armed_earlier_fires_earlier)
{
    in_sim(earlier_body);
}

static void never_body(void)
{
    ns_t start = rt_now();
    struct probe p = PROBE, q = PROBE;
    timer_arm(&p.timer, start + NS_SEC);
    timer_arm(&p.timer, NS_NEVER);
    timer_arm(&q.timer, start + NS_SEC);
    timer_disarm(&q.timer);
    timer_disarm(&q.timer);
    CHECK(!timer_is_armed(&q.timer));
    CHECK_OK(fiber_sleep_until(start + 2 * NS_SEC));
    CHECK_EQ(p.count, 0);
    CHECK_EQ(q.count, 0);
    timer_arm(&p.timer, NS_NEVER);
    CHECK(!timer_is_armed(&p.timer));
}

TEST(timer_disarmed_or_never_does_not_fire)
{
    in_sim(never_body);
}

struct again {
    struct timer timer;
    int count;
    bool in_past;
};

static void again_fire(struct timer *t)
{
    struct again *a = CONTAINER_OF(t, struct again, timer);
    if (++a->count < 5)
        timer_arm(t, a->in_past ? rt_now() - 1 : rt_now() + NS_SEC);
}

static void again_body(void)
{
    ns_t start = rt_now();
    struct again a = {.timer = {.fire = again_fire}}, b = {.timer = {.fire = again_fire}, .in_past = true};
    timer_arm(&a.timer, start);
    timer_arm(&b.timer, start);
    CHECK_OK(fiber_sleep_until(start + 10 * NS_SEC));
    CHECK_EQ(a.count, 5);
    CHECK_EQ(b.count, 5);
}

TEST(timer_may_arm_itself_again_even_in_the_past)
{
    in_sim(again_body);
}

/* Random arming, moving and disarming: each fires exactly at the last instant given, or not at all. */
enum { PROBES = 200, STEPS = 3000 };

static void model_body(void)
{
    static struct probe probes[PROBES];
    static ns_t want[PROBES]; /* 0: not armed */
    ns_t start = rt_now();

    for (int i = 0; i < PROBES; i++) {
        probes[i] = (struct probe)PROBE;
        want[i] = 0;
    }
    for (int step = 0; step < STEPS; step++) {
        uint64_t r = rt_random();
        int i = (int)(r % PROBES);
        r >>= 8;
        if (r % 4 == 0) {
            timer_disarm(&probes[i].timer);
            want[i] = 0;
        } else {
            want[i] = rt_now() + 1 + (ns_t)((r >> 8) % (uint64_t)NS_SEC);
            probes[i].fired = 0;
            timer_arm(&probes[i].timer, want[i]);
        }
        if (step % 7 == 0)
            CHECK_OK(fiber_sleep_until(rt_now() + (ns_t)((r >> 40) % (uint64_t)(NS_SEC / 100))));
        for (int k = 0; k < PROBES; k++) {
            if (want[k] == 0 || want[k] > rt_now()) {
                CHECK_EQ(timer_is_armed(&probes[k].timer), want[k] != 0);
                continue;
            }
            CHECK_EQ(probes[k].fired, want[k]);
            want[k] = 0;
        }
    }
    CHECK(rt_now() > start);
    for (int i = 0; i < PROBES; i++)
        timer_disarm(&probes[i].timer);
}

TEST(timer_random_use_agrees_with_a_model)
{
    in_sim(model_body);
}

/* Whatever is armed, moved and disarmed: every entry is at its place, and none before its parent. */
static void check_heap(const struct timer_heap *h)
{
    for (uint32_t i = TIMER_ROOT; i < h->end; i++) {
        CHECK_EQ(h->at[i].timer->place, i);
        CHECK_EQ(h->at[i].timer->key, h->at[i].key);
        CHECK_GE(h->at[i].timer->when, h->at[i].key);
        if (i > TIMER_ROOT)
            CHECK_GE(h->at[i].key, h->at[i / 4 + 2].key);
    }
}

static void heap_body(void)
{
    static struct probe probes[PROBES];
    struct timer_heap *h = &loop_here()->timers;

    for (int i = 0; i < PROBES; i++)
        probes[i] = (struct probe)PROBE;
    for (int step = 0; step < 20000 && !test_failed(); step++) {
        uint64_t r = rt_random();
        struct timer *t = &probes[r % PROBES].timer;
        r >>= 16;
        if (r % 2 == 0)
            timer_disarm(t);
        else
            timer_arm(t, rt_now() + 1 + (ns_t)(r % 100000));
        check_heap(h);
    }
    for (int i = 0; i < PROBES; i++)
        timer_disarm(&probes[i].timer);
    CHECK_EQ(h->end, TIMER_ROOT);
}

TEST(timer_heap_stays_a_heap)
{
    in_sim(heap_body);
}

static err_t short_life(void *arg)
{
    *(struct fiber **)arg = fiber_current();
    return fiber_park("its parent", NS_NEVER); /* with the timer armed for the deadline */
}

static void fiber_timer_body(void)
{
    for (int i = 0; i < 50; i++) {
        SCOPE(s, rt_now() + 100 * NS_SEC);
        struct fiber *child = NULL;
        (void)scope_spawn(&s, "short", short_life, &child);
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
        CHECK_GT(loop_here()->timers.end, TIMER_ROOT);
        fiber_wake(child);
        CHECK_OK(scope_wait_all(&s));
    }
    CHECK_LE(loop_here()->timers.end, TIMER_ROOT + 1); /* ours at most: the children took theirs with them */
}

TEST(timer_of_a_fiber_goes_with_it)
{
    in_sim(fiber_timer_body);
}

/* The order of firing is the order of instants, whatever the order of arming. */
enum { ORDERED = 3000 };

static ns_t last_fired;
static int fired_in_order;

static void order_fire(struct timer *t)
{
    fired_in_order += t->when >= last_fired;
    last_fired = t->when;
}

static void order_body(void)
{
    static struct timer timers[ORDERED];
    ns_t start = rt_now(), end = start + NS_SEC;

    last_fired = 0;
    fired_in_order = 0;
    for (int i = 0; i < ORDERED; i++) {
        timers[i] = (struct timer){.fire = order_fire};
        timer_arm(&timers[i], start + (ns_t)(rt_random() % (uint64_t)NS_SEC));
    }
    timer_heap_fire(&loop_here()->timers, end); /* all in one go: it is the heap that sorts them */
    CHECK_EQ(fired_in_order, ORDERED);
    CHECK_EQ(timer_heap_next(&loop_here()->timers), NS_NEVER);
}

TEST(timer_order_of_firing_is_the_order_of_instants)
{
    in_sim(order_body);
}
