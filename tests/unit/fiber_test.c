/* Starting, parking, waking, cancelling and ending fibers: in virtual time. */
#include "rt/fiber.h"

#include "rt/sanitize.h"
#include "rt/scope.h"
#include "rt/timer.h"
#include "unit/in_loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a log of what ran ---- */

static char trail[256];

static void trail_add(const char *what)
{
    size_t n = strlen(trail);
    (void)snprintf(trail + n, sizeof trail - n, "%s", what);
}

static err_t say_twice(void *arg)
{
    trail_add(arg);
    TRY(fiber_yield());
    trail_add(arg);
    return OK;
}

static void fifo_body(void)
{
    SCOPE(s, NS_NEVER);
    trail[0] = '\0';
    (void)scope_spawn(&s, "a", say_twice, "a");
    (void)scope_spawn(&s, "b", say_twice, "b");
    (void)scope_spawn(&s, "c", say_twice, "c");
    CHECK_EQ(trail[0], '\0'); /* not before the spawner waits */
    CHECK_OK(scope_wait_all(&s));
    CHECK_STR(str_from_c(trail), "abcabc");
}

TEST(fiber_runnable_fibers_take_turns_in_order)
{
    in_kernel(fifo_body);
}

/* ---- park and wake ---- */

static struct fiber *sleeper;
static bool is_ready;
static int rounds;

static err_t wait_ready(void *arg UNUSED)
{
    sleeper = fiber_current();
    while (!is_ready) {
        rounds++;
        TRY(fiber_park("readiness", NS_NEVER));
    }
    return OK;
}

static void wake_body(void)
{
    SCOPE(s, NS_NEVER);
    is_ready = false;
    rounds = 0;
    (void)scope_spawn(&s, "sleeper", wait_ready, NULL);
    CHECK_OK(fiber_yield());
    CHECK_EQ(rounds, 1);
    CHECK_STR(str_from_c(fiber_reason(sleeper)), "readiness");
    CHECK_STR(str_from_c(fiber_name(sleeper)), "sleeper");
    fiber_wake(sleeper);
    fiber_wake(sleeper); /* twice is once */
    CHECK_STR(str_from_c(fiber_reason(sleeper)), "runnable");
    CHECK_OK(fiber_yield());
    CHECK_EQ(rounds, 2); /* woken without cause: it looks, and parks again */
    is_ready = true;
    fiber_wake(sleeper);
    CHECK_OK(scope_wait_all(&s));
    CHECK_EQ(rounds, 2);
}

TEST(fiber_wake_ends_a_park_once)
{
    in_kernel(wake_body);
}

static void ready_before_wait_body(void)
{
    SCOPE(s, NS_NEVER);
    is_ready = true;
    rounds = 0;
    (void)scope_spawn(&s, "sleeper", wait_ready, NULL);
    CHECK_OK(scope_wait_all(&s));
    CHECK_EQ(rounds, 0);
}

TEST(fiber_readiness_before_the_wait_is_not_lost)
{
    in_sim(ready_before_wait_body);
}

/* ---- time ---- */

static void sleep_body(void)
{
    ns_t start = rt_now();
    CHECK_OK(fiber_sleep_until(start + 5 * NS_SEC));
    CHECK_EQ(rt_now() - start, 5 * NS_SEC);
    CHECK_OK(fiber_sleep_until(start)); /* the past */
    CHECK_EQ(rt_now() - start, 5 * NS_SEC);
}

TEST(fiber_sleep_ends_at_its_instant)
{
    in_sim(sleep_body);
}

static void until_body(void)
{
    ns_t start = rt_now();
    CHECK_ERR(fiber_park("nothing", start + NS_SEC), E_AGAIN);
    CHECK_EQ(rt_now() - start, NS_SEC);
    CHECK_ERR(fiber_park("nothing", start + NS_SEC), E_AGAIN);     /* passed already */
    CHECK_ERR(fiber_park("nothing", start + 3 * NS_SEC), E_AGAIN); /* later than the timer that is still armed */
    CHECK_EQ(rt_now() - start, 3 * NS_SEC);
    CHECK_ERR(fiber_park("nothing", start + 4 * NS_SEC), E_AGAIN);
    CHECK_EQ(rt_now() - start, 4 * NS_SEC);
}

TEST(fiber_until_is_an_alarm_that_ends_nothing)
{
    in_sim(until_body);
}

static void deadline_body(void)
{
    ns_t start = rt_now();
    {
        WITHIN(start + 2 * NS_SEC);
        CHECK_EQ(fiber_deadline(), start + 2 * NS_SEC);
        CHECK_ERR(fiber_sleep_until(start + NS_SEC), OK);
        CHECK_ERR(fiber_park("nothing", start + 3 * NS_SEC), E_DEADLINE);
        CHECK_EQ(rt_now() - start, 2 * NS_SEC);
        {
            NO_SUSPEND;
            CHECK_ERR(fiber_park("nothing", NS_NEVER), E_DEADLINE); /* and again, at once */
        }
        CHECK_ERR(fiber_yield(), E_DEADLINE);
        CHECK(strstr(err_detail(E_DEADLINE), "waiting for") != NULL);
    }
    CHECK_EQ(fiber_deadline(), NS_NEVER);
    CHECK_ERR(fiber_park("nothing", start + 3 * NS_SEC), E_AGAIN);
    CHECK_EQ(rt_now() - start, 3 * NS_SEC);
}

TEST(fiber_deadline_ends_every_wait_until_its_block_ends)
{
    in_sim(deadline_body);
}

/* An alarm of a past wait must not end a later one: the timer stays armed between them. */
static err_t wake_at(void *arg)
{
    TRY(fiber_sleep_until(*(ns_t *)arg));
    is_ready = true;
    fiber_wake(sleeper);
    return OK;
}

static void stale_alarm_body(void)
{
    SCOPE(s, NS_NEVER);
    ns_t start = rt_now(), at = start + NS_SEC;
    sleeper = fiber_current();
    (void)scope_spawn(&s, "waker", wake_at, &at);
    CHECK_OK(fiber_park("the waker", start + 10 * NS_SEC));
    CHECK_EQ(rt_now() - start, NS_SEC);
    CHECK_ERR(fiber_park("nothing", start + 20 * NS_SEC), E_AGAIN); /* not at 10 s */
    CHECK_EQ(rt_now() - start, 20 * NS_SEC);
    CHECK_ERR(fiber_park("nothing", start + 21 * NS_SEC), E_AGAIN);
    CHECK_EQ(rt_now() - start, 21 * NS_SEC);
}

TEST(fiber_alarm_of_a_past_wait_does_not_end_a_later_one)
{
    in_sim(stale_alarm_body);
}

static void wake_sleeper(struct timer *t UNUSED)
{
    fiber_wake(sleeper);
}

/* The wake-up is due a nanosecond before the alarm, so one turn notices both. */
static void tie_body(void)
{
    for (int i = 0; i < 20; i++) {
        struct timer t = {.fire = wake_sleeper};
        ns_t when = rt_now() + 50 * NS_US;
        WITHIN(when);
        sleeper = fiber_current();
        timer_arm(&t, when - 1);
        CHECK_OK(fiber_park("both", NS_NEVER));
        CHECK_GE(rt_now(), when);
    }
}

TEST(fiber_event_that_comes_with_the_deadline_has_happened)
{
    in_kernel(tie_body);
}

/* ---- cancel ---- */

static err_t fail_at_every_wait(void *arg)
{
    int *seen = arg;
    err_t e = fiber_park("cancel", NS_NEVER);
    for (int i = 0; i < 3 && e == E_CANCELLED; i++, e = fiber_sleep_until(rt_now() + NS_SEC))
        ++*seen;
    return e;
}

static void cancel_body(void)
{
    SCOPE(s, NS_NEVER);
    struct loop_stats before, after;
    int seen = 0;
    struct fiber *f = scope_spawn(&s, "victim", fail_at_every_wait, &seen);
    CHECK_OK(fiber_sleep_until(rt_now() + NS_MS)); /* a new turn has just begun */
    loop_stats(&before);
    fiber_cancel(f);
    fiber_cancel(f);
    CHECK_OK(fiber_yield());
    CHECK_EQ(seen, 3); /* in this very turn, at every wait */
    loop_stats(&after);
    CHECK_EQ(after.turns, before.turns);
    err_t child;
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_EQ(child, E_CANCELLED);
}

TEST(fiber_cancel_ends_all_waits_in_the_same_turn)
{
    in_kernel(cancel_body);
}

static err_t not_started(void *arg)
{
    *(bool *)arg = true;
    return fiber_park("cancel", NS_NEVER);
}

static void cancel_early_body(void)
{
    SCOPE(s, NS_NEVER);
    bool ran = false;
    fiber_cancel(scope_spawn(&s, "victim", not_started, &ran));
    err_t child;
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_EQ(child, E_CANCELLED);
    CHECK(ran); /* it runs, so that what it was given is cleaned up */
}

TEST(fiber_cancelled_before_its_first_turn_still_runs)
{
    in_sim(cancel_early_body);
}

static void cancel_self_body(void)
{
    fiber_cancel(fiber_current());
    CHECK(fiber_is_cancelled());
    CHECK_ERR(fiber_yield(), E_CANCELLED);
    {
        SHIELD(rt_now() + NS_SEC);
        CHECK(!fiber_is_cancelled());
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
        {
            SHIELD(NS_NEVER); /* a shield in a shield only shrinks */
            CHECK_EQ(fiber_deadline(), rt_now() + NS_SEC - NS_MS);
        }
        CHECK_ERR(fiber_sleep_until(rt_now() + 2 * NS_SEC), E_DEADLINE);
    }
    CHECK(fiber_is_cancelled());
    CHECK_ERR(fiber_sleep_until(rt_now() + NS_MS), E_CANCELLED);
}

TEST(fiber_shield_lets_a_cancelled_fiber_wait_for_a_bounded_time)
{
    in_sim(cancel_self_body);
}

static err_t shielded_goodbye(void *arg)
{
    ns_t *woken = arg;
    err_t e = fiber_park("cancel", NS_NEVER);
    SHIELD(rt_now() + 10 * NS_SEC);
    if (fiber_sleep_until(rt_now() + NS_SEC) == OK)
        *woken = rt_now();
    return e;
}

static void shield_cancel_body(void)
{
    SCOPE(s, NS_NEVER);
    ns_t woken = 0, start = rt_now();
    struct fiber *f = scope_spawn(&s, "polite", shielded_goodbye, &woken);
    CHECK_OK(fiber_sleep_until(start + NS_MS));
    fiber_cancel(f);
    CHECK_OK(fiber_sleep_until(start + 2 * NS_MS));
    fiber_cancel(f); /* while it says goodbye */
    scope_cancel(&s);
    CHECK_ERR(scope_wait_all(&s), E_CANCELLED); /* it was cancelled by itself, not through the scope */
    CHECK_EQ(woken, start + NS_MS + NS_SEC);
}

TEST(fiber_cancel_does_not_cut_a_shielded_wait_short)
{
    in_sim(shield_cancel_body);
}

/* ---- error records ---- */

static err_t fail_with(void *arg)
{
    (void)fail(E_UPSTREAM, "%s", (const char *)arg);
    TRY(fiber_yield());
    return E_UPSTREAM;
}

static void records_body(void)
{
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "one", fail_with, "first");
    (void)scope_spawn(&s, "two", fail_with, "second");
    err_t child;
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_EQ(child, E_UPSTREAM);
    CHECK_STR(str_from_c(err_detail(child)), "first");
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_STR(str_from_c(err_detail(child)), "second");
}

TEST(fiber_error_text_of_a_child_reaches_its_parent)
{
    in_kernel(records_body);
}

static err_t fail_root(void *arg UNUSED)
{
    return fail(E_CONFIG, "the root's words");
}

TEST(fiber_error_text_of_the_first_fiber_reaches_the_thread)
{
    CHECK_ERR(loop_run(&(struct loop_options){0}, fail_root, NULL), E_CONFIG);
    CHECK_STR(str_from_c(err_detail(E_CONFIG)), "the root's words");
}

/* ---- odds ---- */

static void tick_body(void)
{
    uint64_t before = fiber_switches();
    {
        NO_SUSPEND;
        for (int i = 0; i < 100; i++)
            CHECK_OK(fiber_tick()); /* virtual time stands still: never a slice */
    }
    CHECK_EQ(fiber_switches(), before);
}

TEST(fiber_tick_within_a_slice_does_not_switch)
{
    in_sim(tick_body);
}

static err_t set_flag(void *arg)
{
    *(bool *)arg = true;
    return OK;
}

static void tick_slice_body(void)
{
    SCOPE(s, NS_NEVER);
    bool ran = false;
    ns_t end = rt_now_exact() + 10 * NS_SEC;
    (void)scope_spawn(&s, "other", set_flag, &ran);
    while (!ran && rt_now_exact() < end)
        CHECK_OK(fiber_tick());
    CHECK(ran);
    CHECK_OK(scope_wait_all(&s));
}

TEST(fiber_tick_lets_others_run_after_a_slice)
{
    in_kernel(tick_slice_body);
}

static err_t spin_on_yield(void *arg)
{
    while (!*(bool *)arg)
        TRY(fiber_yield());
    return OK;
}

static void starve_body(void)
{
    SCOPE(s, rt_now() + 20 * NS_SEC);
    bool stop = false;
    (void)scope_spawn(&s, "spinner", spin_on_yield, &stop);
    (void)scope_spawn(&s, "spinner", spin_on_yield, &stop);
    CHECK_OK(fiber_sleep_until(rt_now() + 2 * NS_MS));
    stop = true;
    CHECK_OK(scope_wait_all(&s));
}

TEST(fiber_spinning_fibers_do_not_keep_the_loop_from_its_timers)
{
    in_kernel(starve_body);
}

static err_t print_float(void *arg)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%.3f", *(double *)arg);
    return strcmp(text, "2.500") == 0 ? OK : fail(E_IO, "%s", text);
}

static void align_body(void)
{
    SCOPE(s, NS_NEVER);
    double v = 2.5;
    (void)scope_spawn(&s, "float", print_float, &v);
    CHECK_OK(scope_wait_all(&s));
}

TEST(fiber_first_frame_is_aligned_for_vector_code)
{
    in_kernel(align_body);
}

static void suspend_in_no_suspend(void)
{
    NO_SUSPEND;
    (void)!fiber_sleep_until(rt_now() + NS_MS);
}

TEST(fiber_no_suspend_block_that_suspends_is_caught)
{
    pid_t child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        (void)!freopen("/dev/null", "w", stdout);
        in_sim(suspend_in_no_suspend);
        _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

/* ---- deadlock, found in simulation only ---- */

static err_t wait_for_nothing(void *arg UNUSED)
{
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "hopeless", wait_ready, NULL);
    return scope_wait_all(&s);
}

TEST(fiber_deadlock_in_simulation_names_the_fibers)
{
    struct sim_world *w = sim_world_new(&(struct sim_options){.seed = test_seed()});
    is_ready = false;
    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(w)}, wait_for_nothing, NULL);
    sim_world_free(w);
    CHECK_ERR(e, E_IO);
    CHECK_MSG(strstr(err_detail(e), "hopeless (readiness)") != NULL, "%s", err_detail(e));
}

/* ---- many ---- */

enum { MANY = RT_TSAN ? 200 : 2000 };

static err_t park_until_cancel(void *arg)
{
    ++*(int *)arg;
    return fiber_park("cancel", NS_NEVER);
}

static void count_fiber(const struct fiber *f UNUSED, void *ctx)
{
    ++*(unsigned *)ctx;
}

static void many_body(void)
{
    int started = 0;
    unsigned counted = 0;
    struct loop_stats before, during, after;
    loop_stats(&before);
    {
        SCOPE(s, NS_NEVER);
        for (int i = 0; i < MANY; i++)
            (void)scope_spawn(&s, "one of many", park_until_cancel, &started);
        CHECK_ERR(scope_wait_any(&s, rt_now() + NS_MS, &(err_t){OK}), E_AGAIN);
        CHECK_EQ(started, MANY);
        loop_stats(&during);
        CHECK_EQ(during.fibers, before.fibers + MANY);
        loop_each_fiber(count_fiber, &counted);
        CHECK_EQ(counted, during.fibers);
    }
    loop_stats(&after);
    CHECK_EQ(after.fibers, before.fibers);
    CHECK_EQ(after.spawned, before.spawned + MANY);
    CHECK_GE(after.stacks_free, MANY);
}

TEST(fiber_thousands_park_and_are_joined)
{
    in_sim(many_body);
}
