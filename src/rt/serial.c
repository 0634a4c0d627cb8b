/*
 * serial.c - jobs of fibers to one thread, in groups.
 *
 * Idea. Jobs are pushed onto a stack without a lock; the thread takes all of it with one exchange and turns it round. It sleeps only when the
 * stack is empty, by Dekker's protocol: it announces sleep, then looks once more; who hands over pushes, then looks at the announcement. So
 * jobs that come while a group is done cost no system call, and all of them are the next group.
 *
 * Waiting is as in worker.c: thread and waiter change a job's state by one atomic exchange, so exactly one of them learns that it is the
 * last, and no message goes to a loop that nobody waits on. Other than there an abandoned job is done all the same: it was handed over, and what
 * it was to change may be what others already build upon.
 *
 * In simulation the stack is taken by a timer of the loop; what is handed over until then is one group.
 *
 * A thread with a loop sleeps in its poll instead: the fiber that takes announces sleep in the same way, and a message to the loop wakes it.
 *
 * Not here: what a job does, how many may wait (the owner bounds them), retrying.
 */
#include "rt/serial.h"

#include "base/mem.h"
#include "rt/aside.h"
#include "rt/loop_int.h"
#include "rt/timer.h"

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

enum job_state { JOB_AWAITED, JOB_UNAWAITED, JOB_FINISHED };

struct serial {
    const struct serial_ops *ops;
    void *ctx;
    _Atomic(struct serial_job *) stack; /* newest first */
    atomic_bool asleep, stopping;
    sem_t wake;
    pthread_t thread;
    bool is_simulated;
    struct timer timer; /* simulation: takes the stack */
    /* With a loop: */
    fiber_fn *main; /* NULL: without */
    struct loop *loop;
    struct fiber *taker;
    struct loop_msg come;
    bool has_come;
    err_t opened;
    struct err_record record;
};

/* ---- the thread's side ---- */

static struct serial_job *take_all(struct serial *s)
{
    struct serial_job *j = atomic_exchange(&s->stack, NULL), *oldest = NULL;

    while (j) {
        struct serial_job *next = j->next;
        j->next = oldest;
        oldest = j;
        j = next;
    }
    return oldest;
}

/* Do what has gathered; false if there is nothing. */
static bool do_group(struct serial *s)
{
    struct serial_job *jobs = take_all(s);

    if (!jobs)
        return false;
    s->ops->group(s->ctx, jobs);
    if (s->ops->idle && !atomic_load(&s->stack))
        s->ops->idle(s->ctx);
    return true;
}

static void sleep_until_pushed(struct serial *s)
{
    atomic_store(&s->asleep, true);
    if (!atomic_load(&s->stack) && !atomic_load(&s->stopping))
        (void)sem_wait(&s->wake);
    atomic_store(&s->asleep, false);
}

static void *serial_main(void *arg)
{
    struct serial *s = arg;

    for (;;) {
        bool stopping = atomic_load(&s->stopping); /* before the last look at the stack */
        if (do_group(s))
            continue;
        if (stopping)
            return NULL;
        sleep_until_pushed(s);
    }
}

/* ---- the same with a loop ---- */

static SUSPENDS err_t loop_main(void *arg)
{
    struct serial *s = arg;

    s->loop = loop_here();
    return s->main(s->ctx);
}

static void *serial_loop_main(void *arg)
{
    struct serial *s = arg;

    if (loop_run_aside(loop_main, s) != OK && !s->loop)
        serial_opened(s, err_current()->code); /* there is none */
    return NULL;
}

void serial_opened(struct serial *s, err_t result)
{
    s->opened = result;
    if (result != OK)
        s->record = *err_current();
    (void)sem_post(&s->wake);
}

static void on_come(struct loop_msg *m)
{
    struct serial *s = CONTAINER_OF(m, struct serial, come);

    s->has_come = true;
    fiber_wake(s->taker);
}

/* Whoever finds it asleep calls it, once. */
static void call_taker(struct serial *s)
{
    if (atomic_load(&s->asleep) && atomic_exchange(&s->asleep, false))
        loop_post(s->loop, &s->come);
}

static SUSPENDS err_t sleep_until_called(struct serial *s, ns_t until)
{
    err_t e = OK;

    s->taker = fiber_current();
    s->has_come = false;
    atomic_store(&s->asleep, true);
    while (e == OK && !s->has_come && !atomic_load(&s->stack) && !atomic_load(&s->stopping))
        e = fiber_park("jobs", until);
    while (!atomic_exchange(&s->asleep, false) && !s->has_come) /* it is called, and has not heard it yet */
        fiber_park_bare("jobs");
    return e;
}

err_t serial_take(struct serial *s, ns_t until, struct serial_job **ret)
{
    for (;;) {
        bool stopping = atomic_load(&s->stopping); /* before the last look at the stack */
        *ret = take_all(s);
        if (*ret || stopping)
            return OK;
        TRY(sleep_until_called(s, until));
    }
}

static void on_timer(struct timer *t)
{
    (void)do_group(CONTAINER_OF(t, struct serial, timer));
}

static void on_done(struct loop_msg *m)
{
    struct serial_job *j = CONTAINER_OF(m, struct serial_job, done_msg);

    j->done = true;
    fiber_wake(j->waiter);
}

void serial_done(struct serial_job *j, err_t result)
{
    struct loop *l = j->loop;

    assert(result != E_CANCELLED && result != E_DEADLINE);
    j->result = result;
    if (result != OK)
        j->record = *err_current();
    if (atomic_exchange(&j->state, JOB_FINISHED) == JOB_UNAWAITED)
        j->drop(j);
    else
        loop_post(l, &j->done_msg);
}

bool serial_is_abandoned(struct serial_job *j)
{
    return atomic_load(&j->state) == JOB_UNAWAITED;
}

/* ---- the fibers' side ---- */

static void push(struct serial *s, struct serial_job *j)
{
    struct serial_job *top = atomic_load_explicit(&s->stack, memory_order_relaxed);

    do
        j->next = top;
    while (!atomic_compare_exchange_weak(&s->stack, &top, j));
    if (s->is_simulated) {
        const struct seams *seams = loop_seams();
        if (!timer_is_armed(&s->timer))
            timer_arm(&s->timer, rt_now() + seams->job_delay(seams->ctx));
        return;
    }
    if (s->main)
        call_taker(s);
    else if (atomic_load(&s->asleep) && atomic_exchange(&s->asleep, false))
        (void)sem_post(&s->wake);
}

static SUSPENDS err_t wait_until_done(struct serial_job *j)
{
    while (!j->done) {
        err_t e = fiber_park("a thread of its own", NS_NEVER);
        if (e == OK)
            continue;
        if (atomic_exchange(&j->state, JOB_UNAWAITED) != JOB_FINISHED)
            return e; /* the thread's now */
        while (!j->done)
            fiber_park_bare("a thread of its own");
    }
    return OK;
}

static void hand_over(struct serial *s, struct serial_job *j)
{
    j->loop = loop_here();
    j->waiter = fiber_current();
    j->done_msg.run = on_done;
    j->done = false;
    atomic_init(&j->state, JOB_AWAITED);
    push(s, j);
}

static err_t result_of(const struct serial_job *j)
{
    if (j->result != OK)
        *err_current() = j->record;
    return j->result;
}

err_t serial_run(struct serial *s, struct serial_job *j)
{
    hand_over(s, j);
    TRY(wait_until_done(j));
    return result_of(j);
}

err_t serial_run_to_end(struct serial *s, struct serial_job *j)
{
    hand_over(s, j);
    while (!j->done)
        fiber_park_bare("a thread of its own");
    return result_of(j);
}

void serial_post(struct serial *s, struct serial_job *j)
{
    atomic_init(&j->state, JOB_UNAWAITED);
    push(s, j);
}

/* ---- life ---- */

static err_t start_thread(struct serial *s, const char *name)
{
    sigset_t all, before;

    if (s->is_simulated)
        return OK;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&s->thread, NULL, s->main ? serial_loop_main : serial_main, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e != 0)
        return fail(E_IO, "cannot start the thread '%s': %s", name, strerrordesc_np(e));
    (void)pthread_setname_np(s->thread, name);
    return OK;
}

static void serial_free(struct serial *s)
{
    (void)sem_destroy(&s->wake);
    mem_free(s);
}

err_t serial_start(const char *name, const struct serial_ops *ops, void *ctx, struct serial **ret)
{
    struct serial *s = NEW(struct serial);

    s->ops = ops;
    s->ctx = ctx;
    s->is_simulated = loop_seams()->simulated;
    s->timer.fire = on_timer;
    (void)sem_init(&s->wake, 0, 0);
    err_t e = start_thread(s, name);
    if (e != OK) {
        serial_free(s);
        return e;
    }
    *ret = s;
    return OK;
}

err_t serial_start_loop(const char *name, fiber_fn *main, void *ctx, struct serial **ret)
{
    struct serial *s = NEW(struct serial);

    s->main = main;
    s->ctx = ctx;
    s->come.run = on_come;
    (void)sem_init(&s->wake, 0, 0);
    *ret = s; /* `main` may want it already */
    err_t e =
        loop_seams()->simulated ? fail(E_UNSUPPORTED, "no thread with a loop in simulation") : start_thread(s, name);
    if (e == OK) {
        while (sem_wait(&s->wake) != 0)
            ;
        e = s->opened;
        if (e != OK) {
            (void)pthread_join(s->thread, NULL);
            *err_current() = s->record;
        }
    }
    if (e != OK) {
        *ret = NULL;
        serial_free(s);
    }
    return e;
}

void serial_close(struct serial *s)
{
    if (!s)
        return;
    if (s->is_simulated) {
        timer_disarm(&s->timer);
        while (do_group(s))
            ;
    } else {
        atomic_store(&s->stopping, true);
        if (s->main)
            call_taker(s);
        else
            (void)sem_post(&s->wake);
        (void)pthread_join(s->thread, NULL);
    }
    if (!s->main)
        s->ops->close(s->ctx);
    serial_free(s);
}
