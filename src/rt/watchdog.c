/*
 * watchdog.c - reports loops in which nothing moves although they do not sleep.
 *
 * Idea. A loop that is well either switches fibers, finishes turns, or sleeps in its poll. When none of that has happened for `limit`, the
 * loop's thread is interrupted by a signal, and the handler notes what runs: the fiber's name and the return addresses. It runs on
 * the thread's signal stack and only reads; words are made of the notes on the watchdog's thread.
 *
 * A thread that does not answer within a while (stuck in the kernel, stopped) is reported without addresses.
 */
#include "rt/watchdog.h"

#include "base/buf.h"
#include "rt/loop_int.h"

#include <errno.h>
#include <execinfo.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    FRAMES_MAX = 32,
    FRAMES_OWN = 2, /* the handler and the kernel's trampoline */
    NAME_MAX_SHOWN = 64,
    LINE_MAX_SHOWN = 4096,
};

static const ns_t answer_max = 200 * NS_MS;
static const ns_t look_min = NS_MS;

/* What the watchdog remembers of a loop between looks. */
struct seen {
    uint64_t progress;
    ns_t since;
    bool reported;
};

/* What the signal handler notes. */
static struct {
    atomic_bool wanted;
    atomic_bool written; /* what follows is good to read */
    sem_t taken;
    char name[NAME_MAX_SHOWN]; /* "" outside fibers */
    void *frames[FRAMES_MAX];
    int count;
} note;

static struct {
    ns_t limit;
    void (*report)(const char *line);
    sem_t stop;
    pthread_t thread;
    struct seen seen[LOOPS_MAX];
    _Atomic uint64_t reports;
} dog;

static ns_t real_now(void)
{
    const struct seams *s = seams_real();
    return s->clock->now(s->ctx);
}

/* False at the timeout. */
static bool wait_for(sem_t *sem, ns_t span)
{
    ns_t end = real_now() + span;
    struct timespec t = {.tv_sec = end / NS_SEC, .tv_nsec = end % NS_SEC};
    int e;

    do
        e = sem_clockwait(sem, CLOCK_MONOTONIC, &t);
    while (e != 0 && errno == EINTR);
    return e == 0;
}

static void on_look(int signo UNUSED)
{
    int saved = errno;
    const struct loop *l = loop_here();

    if (atomic_exchange(&note.wanted, false)) {
        const char *name = l && l->current ? l->current->name : "";
        note.name[0] = '\0';
        (void)strncat(note.name, name, sizeof note.name - 1);
        note.count = backtrace(note.frames, FRAMES_MAX);
        atomic_store(&note.written, true);
        (void)sem_post(&note.taken);
    }
    errno = saved;
}

static int look_signal(void)
{
    return SIGRTMIN + 3;
}

/* Interrupt the loop's thread and wait for its note; false without an answer. */
static bool take_note(const struct loop *l)
{
    atomic_store(&note.written, false);
    atomic_store(&note.wanted, true);
    bool answered = pthread_kill(l->thread, look_signal()) == 0 && wait_for(&note.taken, answer_max);
    if (!answered && !atomic_exchange(&note.wanted, false))
        (void)wait_for(&note.taken, answer_max); /* the handler has begun */
    return atomic_load(&note.written);
}

static void report(const struct loop *l, ns_t held)
{
    struct buf line CLEANUP(buf_release) = BUF_INIT(LINE_MAX_SHOWN);

    bool answered = take_note(l);
    buf_addf(&line, "loop %u: ", l->index);
    if (!answered)
        buf_addf(&line, "nothing has moved");
    else if (note.name[0])
        buf_addf(&line, "fiber \"%s\" has not let others run", note.name);
    else
        buf_addf(&line, "a callback has not let fibers run");
    buf_addf(&line, " for %" PRId64 " ms", held / NS_MS);
    char **symbols = answered ? backtrace_symbols(note.frames, note.count) : NULL;
    for (int i = FRAMES_OWN; symbols && i < note.count; i++) {
        const char *base = strrchr(symbols[i], '/');
        buf_addf(&line, "%s%s", i == FRAMES_OWN ? ": " : " < ", base ? base + 1 : symbols[i]);
    }
    free(symbols);
    if (buf_add_char(&line, '\0') == OK)
        dog.report(line.p);
    (void)atomic_fetch_add(&dog.reports, 1);
}

static void look_at(struct loop *l, void *ctx)
{
    ns_t now = *(const ns_t *)ctx;
    struct seen *seen = &dog.seen[l->index];
    uint64_t progress = atomic_load_explicit(&l->switches, memory_order_relaxed) +
                        atomic_load_explicit(&l->turns, memory_order_relaxed);

    if (atomic_load(&l->asleep) || progress != seen->progress) {
        *seen = (struct seen){.progress = progress, .since = now};
        return;
    }
    if (seen->reported || now - seen->since < dog.limit)
        return;
    seen->reported = true;
    report(l, now - seen->since);
}

static void *dog_main(void *arg UNUSED)
{
    ns_t pause = dog.limit / 4 > look_min ? dog.limit / 4 : look_min;

    while (!wait_for(&dog.stop, pause)) {
        ns_t now = real_now();
        loop_each(look_at, &now);
    }
    return NULL;
}

void watchdog_start(ns_t limit, void (*report_line)(const char *line))
{
    struct sigaction a = {.sa_handler = on_look, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigset_t all, before;
    void *frame[1];

    dog.limit = limit;
    dog.report = report_line;
    memset(dog.seen, 0, sizeof dog.seen);
    (void)backtrace(frame, 1); /* loads what it needs now, not in the handler */
    (void)sem_init(&dog.stop, 0, 0);
    (void)sem_init(&note.taken, 0, 0);
    (void)sigemptyset(&a.sa_mask);
    (void)sigaction(look_signal(), &a, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&dog.thread, NULL, dog_main, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e != 0)
        die("cannot start the watchdog: %s", strerrordesc_np(e));
    (void)pthread_setname_np(dog.thread, "watchdog");
}

void watchdog_stop(void)
{
    (void)sem_post(&dog.stop);
    (void)pthread_join(dog.thread, NULL);
    (void)sem_destroy(&dog.stop);
    (void)sem_destroy(&note.taken);
}

uint64_t watchdog_reports(void)
{
    return atomic_load(&dog.reports);
}
