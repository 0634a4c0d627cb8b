/*
 * worker.c - the pool of worker threads.
 *
 * Idea. Each job has a state that worker and waiter change by one atomic exchange, so exactly one of them learns that it is the
 * last: a worker that finishes an abandoned job drops it; a waiter that abandons a finished one finds its completion on
 * the way, and takes it. So no message is ever sent to a loop that nobody waits on, and a loop may end while its
 * abandoned jobs still run.
 *
 * Threads are made when a job finds none idle, up to the limit, and leave after a time without work.
 *
 * Invariants: a job is in the queue or with one worker, from worker_run() until its completion was posted or it was dropped;
 * job->waiter and job->done belong to the loop's thread.
 *
 * Not here: which work is worth a thread. This is one of the few files with a lock; no loop holds it for longer than a list operation.
 */
#include "rt/worker.h"

#include "rt/loop_int.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

enum {
    WORKER_STACK = 8 * 1024 * 1024,
    IDLE_SECONDS = 10, /* a thread without work for so long leaves */
};

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_FINISHED, JOB_ABANDONED };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;  /* a job was queued, or it is time to stop */
    pthread_cond_t leave; /* a thread has left                       */
    struct job *head, **tail;
    unsigned max, threads, idle, busy;
    bool stopping;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .tail = &pool.head};

static void job_execute(struct job *j)
{
    int expected = JOB_QUEUED;

    if (!atomic_compare_exchange_strong(&j->state, &expected, JOB_RUNNING)) {
        j->drop(j);
        return;
    }
    struct loop *l = j->loop;
    j->run(j);
    if (atomic_exchange(&j->state, JOB_FINISHED) == JOB_ABANDONED)
        j->drop(j);
    else
        loop_post(l, &j->done_msg);
}

/* Wait for a job, with the lock held; false when there has been none for long, or never will be. */
static bool wait_for_job(void)
{
    struct timespec end;

    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += IDLE_SECONDS;
    while (!pool.head && !pool.stopping) {
        pool.idle++;
        int e = pthread_cond_timedwait(&pool.work, &pool.lock, &end);
        pool.idle--;
        if (e == ETIMEDOUT)
            break;
    }
    return pool.head != NULL;
}

static void *worker_main(void *arg UNUSED)
{
    (void)pthread_mutex_lock(&pool.lock);
    while (wait_for_job()) {
        struct job *j = pool.head;
        pool.head = j->next;
        if (!pool.head)
            pool.tail = &pool.head;
        (void)pthread_mutex_unlock(&pool.lock);
        job_execute(j);
        (void)pthread_mutex_lock(&pool.lock);
        pool.busy--;
    }
    pool.threads--;
    (void)pthread_cond_signal(&pool.leave);
    (void)pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* A detached thread with every signal blocked. Called with the lock held. */
static bool thread_add(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, WORKER_STACK);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool made = pthread_create(&thread, &attr, worker_main, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    pool.threads += made;
    return made;
}

static unsigned jobs_waiting(void)
{
    unsigned n = 0;
    for (const struct job *j = pool.head; j && n <= pool.idle; j = j->next)
        n++;
    return n;
}

/* False if there is no thread and none can be made. */
static bool enqueue(struct job *j)
{
    (void)pthread_mutex_lock(&pool.lock);
    assert(pool.max > 0 && !pool.stopping);
    bool can_run = true;
    if (jobs_waiting() >= pool.idle && pool.threads < pool.max)
        can_run = thread_add() || pool.threads > 0;
    if (can_run) {
        *pool.tail = j;
        pool.tail = &j->next;
        pool.busy++;
        (void)pthread_cond_signal(&pool.work);
    }
    (void)pthread_mutex_unlock(&pool.lock);
    return can_run;
}

static void on_done(struct loop_msg *m)
{
    struct job *j = CONTAINER_OF(m, struct job, done_msg);

    j->done = true;
    fiber_wake(j->waiter);
}

/* Without threads: after a while the job has been done at once. An abandoned job may still have had its effect. */
static SUSPENDS err_t run_simulated(struct job *j)
{
    const struct seams *seams = loop_seams();
    err_t e = fiber_sleep_until(rt_now() + seams->job_delay(seams->ctx));

    if (e == OK || (rt_random() & 1))
        j->run(j);
    if (e != OK)
        j->drop(j);
    return e;
}

err_t worker_run(struct job *j)
{
    if (loop_seams()->simulated)
        return run_simulated(j);
    j->next = NULL;
    j->loop = loop_here();
    j->waiter = fiber_current();
    j->done_msg.run = on_done;
    j->done = false;
    atomic_init(&j->state, JOB_QUEUED);
    if (!enqueue(j)) {
        j->drop(j);
        return fail(E_OVERLOAD, "no worker thread could be started");
    }
    while (!j->done) {
        err_t e = fiber_park("a worker", NS_NEVER);
        if (e == OK)
            continue;
        if (atomic_exchange(&j->state, JOB_ABANDONED) != JOB_FINISHED)
            return e; /* the pool's now */
        while (!j->done)
            fiber_park_bare("a worker");
    }
    return OK;
}

void workers_start(unsigned threads)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool.work, &attr);
    (void)pthread_cond_init(&pool.leave, NULL);
    (void)pthread_condattr_destroy(&attr);
    pool.max = threads;
    pool.stopping = false;
}

void workers_stop(void)
{
    (void)pthread_mutex_lock(&pool.lock);
    pool.stopping = true;
    (void)pthread_cond_broadcast(&pool.work);
    while (pool.threads > 0)
        (void)pthread_cond_wait(&pool.leave, &pool.lock);
    pool.max = 0;
    (void)pthread_mutex_unlock(&pool.lock);
    (void)pthread_cond_destroy(&pool.work);
    (void)pthread_cond_destroy(&pool.leave);
}

unsigned workers_busy(void)
{
    (void)pthread_mutex_lock(&pool.lock);
    unsigned n = pool.busy;
    (void)pthread_mutex_unlock(&pool.lock);
    return n;
}
