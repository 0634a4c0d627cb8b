/* Worker threads: jobs come back once, or are dropped once, whatever happens to who waits. */
#include "rt/worker.h"

#include "base/mem.h"
#include "rt/scope.h"
#include "unit/in_loop.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

static atomic_int runs, drops, running, running_max;

struct task {
    struct job job;
    sem_t *gate;    /* if set, `run` waits here */
    sem_t *started; /* if set, `run` posts it  */
    pthread_t thread;
};

static void task_run(struct job *j)
{
    struct task *t = CONTAINER_OF(j, struct task, job);
    int now = atomic_fetch_add(&running, 1) + 1;
    for (int max = atomic_load(&running_max); now > max && !atomic_compare_exchange_weak(&running_max, &max, now);)
        ;
    t->thread = pthread_self();
    if (t->started)
        (void)sem_post(t->started);
    if (t->gate)
        (void)sem_wait(t->gate);
    atomic_fetch_sub(&running, 1);
    atomic_fetch_add(&runs, 1);
}

static void task_drop(struct job *j)
{
    atomic_fetch_add(&drops, 1);
    mem_free(CONTAINER_OF(j, struct task, job));
}

static struct task *task_new(sem_t *gate, sem_t *started)
{
    struct task *t = NEW(struct task);
    *t = (struct task){.job = {.run = task_run, .drop = task_drop}, .gate = gate, .started = started};
    return t;
}

static err_t run_task(void *arg)
{
    struct task *t = arg;
    TRY(worker_run(&t->job));
    mem_free(t);
    return OK;
}

static void in_pool(unsigned threads, body_fn *body)
{
    atomic_store(&runs, 0);
    atomic_store(&drops, 0);
    atomic_store(&running_max, 0);
    workers_start(threads);
    in_kernel(body);
    workers_stop();
    CHECK_EQ(workers_busy(), 0);
}

static void other_thread_body(void)
{
    struct task *t = task_new(NULL, NULL);
    CHECK_OK(worker_run(&t->job));
    CHECK(!pthread_equal(t->thread, pthread_self()));
    CHECK_OK(worker_run(&t->job)); /* it is ours again */
    mem_free(t);
    CHECK_EQ(atomic_load(&runs), 2);
}

TEST(worker_runs_on_another_thread_and_gives_the_job_back)
{
    in_pool(2, other_thread_body);
    CHECK_EQ(atomic_load(&drops), 0);
}

static void limit_body(void)
{
    sem_t gate, started;
    (void)sem_init(&gate, 0, 0);
    (void)sem_init(&started, 0, 0);
    {
        SCOPE(s, rt_now() + 20 * NS_SEC);
        for (int i = 0; i < 10; i++)
            (void)scope_spawn(&s, "task", run_task, task_new(&gate, &started));
        CHECK_OK(fiber_yield());
        CHECK_EQ(workers_busy(), 10);
        for (int i = 0; i < 3; i++)
            (void)sem_wait(&started); /* as many as there are threads, at one time */
        for (int i = 0; i < 10; i++)
            (void)sem_post(&gate);
        CHECK_OK(scope_wait_all(&s));
    }
    CHECK_EQ(atomic_load(&running_max), 3);
    CHECK_EQ(atomic_load(&runs), 10);
    (void)sem_destroy(&gate);
    (void)sem_destroy(&started);
}

TEST(worker_uses_as_many_threads_as_allowed_and_needed)
{
    in_pool(3, limit_body);
    CHECK_EQ(atomic_load(&drops), 0);
}

static sem_t the_gate, has_started;

static void abandon_running_body(void)
{
    SCOPE(s, NS_NEVER);
    struct fiber *f = scope_spawn(&s, "task", run_task, task_new(&the_gate, &has_started));
    CHECK_OK(fiber_yield());
    (void)sem_wait(&has_started);
    fiber_cancel(f);
    err_t child;
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_EQ(child, E_CANCELLED); /* at once, though the job still runs */
    CHECK_EQ(atomic_load(&drops), 0);
    {
        /* The one thread is taken: this job is given up before it begins. */
        SCOPE(queued, rt_now() + NS_MS);
        (void)scope_spawn(&queued, "task", run_task, task_new(NULL, NULL));
        CHECK_ERR(scope_wait_all(&queued), E_DEADLINE);
    }
    CHECK_EQ(atomic_load(&drops), 0); /* the pool's, but not yet looked at */
    /* The loop ends here, before both jobs. */
}

static void *open_gate_later(void *arg UNUSED)
{
    while (workers_busy() < 2)
        ;
    (void)sem_post(&the_gate);
    return NULL;
}

TEST(worker_abandoned_jobs_are_dropped_exactly_once)
{
    pthread_t opener;
    (void)sem_init(&the_gate, 0, 0);
    (void)sem_init(&has_started, 0, 0);
    atomic_store(&runs, 0);
    atomic_store(&drops, 0);
    workers_start(1);
    in_kernel(abandon_running_body);
    CHECK_EQ(workers_busy(), 2);
    CHECK_EQ(pthread_create(&opener, NULL, open_gate_later, NULL), 0);
    workers_stop();
    CHECK_EQ(pthread_join(opener, NULL), 0);
    CHECK_EQ(atomic_load(&drops), 2);
    CHECK_EQ(atomic_load(&runs), 1); /* the queued one never ran */
    (void)sem_destroy(&the_gate);
    (void)sem_destroy(&has_started);
}

/*
 * Cancel at all moments of a job's life: each job ends in exactly one way. The two moments whose outcome is certain are waited
 * for, so that both outcomes are there on every machine; all between them is left to the scheduler.
 */
enum moment { RUNNING, FINISHED, ANY, ANY_LOOKED_AT };
enum { RACES = 3000, CERTAIN_EVERY = 30 };

static int returned;

static err_t run_and_count(void *arg)
{
    struct task *t = arg;
    TRY(worker_run(&t->job));
    returned++;
    mem_free(t);
    return OK;
}

static void spin_at_random(void)
{
    for (uint64_t spin = rt_random() % 30000; spin > 0; spin--)
        __asm__ volatile("" ::: "memory");
}

static void cancel_at(struct scope *s, enum moment moment, err_t *child)
{
    bool gated = moment == RUNNING;
    struct fiber *f =
        scope_spawn(s, "task", run_and_count, task_new(gated ? &the_gate : NULL, gated ? &has_started : NULL));

    CHECK_OK(fiber_yield()); /* now it is queued */
    if (moment == RUNNING)
        (void)sem_wait(&has_started);
    else if (moment == FINISHED)
        while (workers_busy() > 0)
            (void)sched_yield();
    else
        spin_at_random();
    if (moment == ANY_LOOKED_AT) {
        CHECK_OK(fiber_yield());
        if (scope_wait_any(s, rt_now(), child) == OK)
            return;
    }
    fiber_cancel(f);
    CHECK_OK(scope_wait_any(s, NS_NEVER, child));
    if (gated)
        (void)sem_post(&the_gate);
}

static void race_body(void)
{
    SCOPE(s, NS_NEVER);
    returned = 0;
    for (int i = 0; i < RACES; i++) {
        err_t child = OK;
        cancel_at(&s, i % 2 == 0 ? ANY_LOOKED_AT : ANY, &child);
        if (i % CERTAIN_EVERY == 0) {
            cancel_at(&s, RUNNING, &child);
            CHECK_EQ(child, E_CANCELLED);
            cancel_at(&s, FINISHED, &child);
            CHECK_OK(child); /* its completion was on the way */
        }
    }
}

TEST(worker_race_between_end_and_cancel_has_one_outcome)
{
    (void)sem_init(&the_gate, 0, 0);
    (void)sem_init(&has_started, 0, 0);
    in_pool(2, race_body);
    CHECK_EQ(returned + atomic_load(&drops), RACES + 2 * (RACES / CERTAIN_EVERY));
    CHECK_GE(atomic_load(&runs), returned);
    (void)sem_destroy(&the_gate);
    (void)sem_destroy(&has_started);
}

/* ---- simulation ---- */

static void simulated_body(void)
{
    ns_t start = rt_now();
    struct task *t = task_new(NULL, NULL);
    CHECK_OK(worker_run(&t->job));
    CHECK_GT(rt_now(), start);                       /* it took virtual time, */
    CHECK(pthread_equal(t->thread, pthread_self())); /* and no thread */
    mem_free(t);
    for (int i = 0; i < 100; i++) {
        WITHIN(rt_now() + 1);
        t = task_new(NULL, NULL);
        CHECK_ERR(worker_run(&t->job), E_DEADLINE);
    }
}

TEST(worker_in_simulation_runs_inline_after_a_virtual_delay)
{
    atomic_store(&runs, 0);
    atomic_store(&drops, 0);
    in_sim(simulated_body);
    CHECK_EQ(atomic_load(&drops), 100);
    CHECK_GT(atomic_load(&runs), 1);   /* some abandoned jobs had their effect, */
    CHECK_LT(atomic_load(&runs), 101); /* some had not */
}
