/* serial_test.c - a thread of its own: jobs come in order, in groups, come back once, or are dropped once, whatever becomes of who waits. */
#include "rt/serial.h"

#include "base/mem.h"
#include "rt/scope.h"
#include "rt/threads.h"
#include "unit/in_loop.h"
#include "unit/test.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

struct owner {
    unsigned groups, closed;
    atomic_uint jobs, idles;
    sem_t *gate; /* if set, the next group waits here, once */
};

struct task {
    struct serial_job job;
    struct owner *owner;
    uint64_t from, number;
    err_t result;
};

enum { SOURCES = 64 };
static uint64_t last_of[SOURCES];
static unsigned disorder;
static atomic_uint drops;

static void on_group(void *ctx, struct serial_job *jobs)
{
    struct owner *o = ctx;

    o->groups++;
    if (o->gate) {
        (void)sem_wait(o->gate);
        o->gate = NULL;
    }
    for (struct serial_job *j = jobs, *next; j; j = next) {
        struct task *t = CONTAINER_OF(j, struct task, job);
        next = j->next;
        (void)atomic_fetch_add(&o->jobs, 1);
        disorder += t->number <= last_of[t->from];
        last_of[t->from] = t->number;
        serial_done(j, t->result == OK ? OK : fail(t->result, "task %u", (unsigned)t->number));
    }
}

static void on_idle(void *ctx)
{
    (void)atomic_fetch_add(&((struct owner *)ctx)->idles, 1);
}

static void on_close(void *ctx)
{
    ((struct owner *)ctx)->closed++;
}

static void task_drop(struct serial_job *j)
{
    (void)atomic_fetch_add(&drops, 1);
    mem_free(CONTAINER_OF(j, struct task, job));
}

static struct task *task_new(struct owner *o, uint64_t from, uint64_t number)
{
    struct task *t = NEW(struct task);
    *t = (struct task){.job = {.drop = task_drop}, .owner = o, .from = from, .number = number};
    return t;
}

static struct owner owner;
static struct serial *serial;

static void start(void)
{
    static const struct serial_ops ops = {.group = on_group, .idle = on_idle, .close = on_close};

    owner = (struct owner){0};
    memset(last_of, 0, sizeof last_of);
    disorder = 0;
    atomic_store(&drops, 0);
    CHECK_OK(serial_start("test", &ops, &owner, &serial));
}

static void stop(void)
{
    serial_close(serial);
    CHECK_EQ(owner.closed, 1);
    CHECK_EQ(disorder, 0);
}

static err_t run_task(struct task *t)
{
    err_t e = serial_run(serial, &t->job);
    if (e != E_CANCELLED && e != E_DEADLINE)
        mem_free(t);
    return e;
}

/* ---- */

enum { EACH = 200 };

static err_t run_many(void *arg)
{
    uint64_t from = (uintptr_t)arg;

    for (uint64_t i = 1; i <= EACH; i++) {
        struct task *t = task_new(&owner, from, i);
        if (i % 3 == 0) {
            serial_post(serial, &t->job);
            continue;
        }
        t->result = i % 5 ? OK : E_NOT_FOUND;
        err_t e = run_task(t);
        if (e != (i % 5 ? OK : E_NOT_FOUND) || (e != OK && atoll(err_detail(e) + 5) != (long long)i))
            return fail(E_IO, "job %u: %s", (unsigned)i, err_detail(e));
    }
    return OK;
}

static void many(void)
{
    start();
    {
        SCOPE(s, NS_NEVER);
        for (uintptr_t i = 0; i < SOURCES / 2; i++)
            (void)scope_spawn(&s, "source", run_many, (void *)i);
        err_t e = scope_wait_all(&s);
        CHECK_MSG(e == OK, "%s", err_detail(e));
    }
    stop();
    CHECK_EQ(atomic_load(&owner.jobs), SOURCES / 2 * EACH);
    CHECK_EQ(atomic_load(&drops), SOURCES / 2 * (EACH / 3));
    CHECK_GT(atomic_load(&owner.idles), 0);
}

TEST(serial_does_jobs_in_order_with_the_words_of_their_failures)
{
    in_kernel(many);
}

TEST(serial_does_so_in_simulation)
{
    in_sim(many);
    CHECK_LT(owner.groups, SOURCES / 2 * EACH / 4); /* together, as on a thread */
}

/* ---- */

static err_t post_some(void *arg)
{
    for (uint64_t i = 1; i <= EACH; i++)
        serial_post(serial, &task_new(&owner, (uintptr_t)arg, i)->job);
    return run_task(task_new(&owner, (uintptr_t)arg, EACH + 1));
}

static void gathers(void)
{
    sem_t gate;

    (void)sem_init(&gate, 0, 0);
    start();
    owner.gate = &gate;
    serial_post(serial, &task_new(&owner, 63, 1)->job);
    for (uint64_t i = 1; i <= EACH; i++)
        serial_post(serial, &task_new(&owner, 0, i)->job);
    (void)sem_post(&gate);
    CHECK_OK(run_task(task_new(&owner, 0, EACH + 1)));
    CHECK_LE(owner.groups, 3); /* the first, perhaps with some; the rest; the last */
    stop();
    (void)sem_destroy(&gate);
}

TEST(serial_makes_one_group_of_what_gathered)
{
    in_kernel(gathers);
}

static void abandons(void)
{
    sem_t gate;

    (void)sem_init(&gate, 0, 0);
    start();
    owner.gate = &gate;
    {
        WITHIN(rt_now() + 5 * NS_MS);
        struct task *t = task_new(&owner, 1, 1);
        CHECK_ERR(serial_run(serial, &t->job), E_DEADLINE);
        t = task_new(&owner, 1, 2);
        CHECK_ERR(serial_run(serial, &t->job), E_DEADLINE);
    }
    CHECK_EQ(atomic_load(&drops), 0); /* it is still under way */
    (void)sem_post(&gate);
    CHECK_OK(run_task(task_new(&owner, 1, 3)));
    CHECK_EQ(atomic_load(&owner.jobs), 3);
    CHECK_EQ(atomic_load(&drops), 2);
    stop();
    (void)sem_destroy(&gate);
}

TEST(serial_does_and_drops_jobs_of_fibers_that_left)
{
    in_kernel(abandons);
}

/* Neither a cancel nor a deadline ends the wait for a last job, nor a shield that has run out. */
static void waits_to_the_end(void)
{
    sem_t gate;

    (void)sem_init(&gate, 0, 0);
    start();
    owner.gate = &gate;
    struct task *t = task_new(&owner, 1, 1);
    {
        SHIELD(rt_now());
        (void)sem_post(&gate);
        CHECK_OK(serial_run_to_end(serial, &t->job));
    }
    CHECK_EQ(atomic_load(&owner.jobs), 1);
    t->number = 2;
    t->result = E_IO;
    {
        WITHIN(rt_now());
        CHECK_ERR(serial_run_to_end(serial, &t->job), E_IO);
        CHECK_STR(str_from_c(err_current()->text), "task 2");
    }
    mem_free(t);
    stop();
    CHECK_EQ(atomic_load(&drops), 0); /* it was the caller's each time */
    (void)sem_destroy(&gate);
}

TEST(serial_waits_to_the_end_for_who_must_know_it)
{
    in_kernel(waits_to_the_end);
}

static void closes(void)
{
    start();
    for (uint64_t i = 1; i <= EACH; i++)
        serial_post(serial, &task_new(&owner, 0, i)->job);
    stop();
    CHECK_EQ(atomic_load(&owner.jobs), EACH);
    CHECK_EQ(atomic_load(&drops), EACH);
}

TEST(serial_does_what_is_queued_before_it_closes)
{
    in_kernel(closes);
    in_sim(closes);
}

/* ---- several loops ---- */

static err_t on_loop(unsigned index, void *ctx)
{
    (void)ctx;
    return loop_run(&(struct loop_options){.index = index}, post_some, (void *)(uintptr_t)index);
}

TEST(serial_takes_jobs_of_several_loops)
{
    start();
    CHECK_OK(threads_run(3, on_loop, NULL));
    stop();
    CHECK_EQ(atomic_load(&owner.jobs), 3 * (EACH + 1));
}

/* ---- with a loop ---- */

/* Each group takes a while in a fiber, and now and then nothing comes for longer than it waits. */
static err_t take_all(void *arg)
{
    struct owner *o = arg;
    struct serial_job *jobs = NULL;

    serial_opened(serial, OK);
    for (;;) {
        err_t e = serial_take(serial, rt_now() + 100 * NS_US, &jobs);
        if (e == E_AGAIN)
            continue;
        if (e != OK || !jobs)
            return e;
        TRY(fiber_sleep_until(rt_now() + 50 * NS_US));
        on_group(o, jobs);
    }
}

TEST(serial_takes_jobs_of_several_loops_in_a_fiber_of_its_own_loop)
{
    start();
    serial_close(serial);
    CHECK_OK(serial_start_loop("test", take_all, &owner, &serial));
    CHECK_OK(threads_run(3, on_loop, NULL));
    serial_close(serial);
    CHECK_EQ(atomic_load(&owner.jobs), 3 * (EACH + 1));
    CHECK_EQ(disorder, 0);
}

static err_t refuse(void *arg)
{
    (void)arg;
    serial_opened(serial, fail(E_AUTH, "not you"));
    return OK;
}

static void opens_in_vain(void)
{
    CHECK_ERR(serial_start_loop("test", refuse, NULL, &serial), E_UNSUPPORTED);
}

TEST(serial_with_a_loop_tells_why_it_could_not_be_opened)
{
    CHECK_ERR(serial_start_loop("test", refuse, NULL, &serial), E_AUTH);
    CHECK_STR(str_from_c(err_current()->text), "not you");
    in_sim(opens_in_vain);
}
