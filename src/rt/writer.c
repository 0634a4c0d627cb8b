/*
 * writer.c - lines from loops to a sink, through rings and one thread.
 *
 * Idea. Each loop is the only producer of a ring of bytes, the thread the only consumer: no lock, no allocation, one copy. Lines lie end
 * to end, so the thread writes many with one call, straight from the ring. Whole lines only are published, so it may stop
 * at any published end.
 *
 * The thread naps for some milliseconds after each round that found something, and a put does not wake it from that, unless a ring has
 * become half full; only when a round found nothing does it go to sleep, and the next put wakes it. So a busy loop pays no
 * system call per line, and a quiet one sees its line written at once. Sleep is Dekker's: the thread announces it, then looks at the rings
 * once more; a put publishes, then looks at the announcement.
 *
 * Threads without a loop share one ring, under a lock.
 *
 * Not here: where lines end up (writer_file.c, store/segments), what a line says (base/log, observe/).
 */
#include "rt/writer.h"

#include "base/mem.h"
#include "rt/loop_int.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum {
    RING_BYTES = 256 * 1024, /* a power of 2 */
    RINGS = LOOPS_MAX + 1,   /* the last is for threads without a loop */
    NAP_MS = 5,
};

enum state { WORKING, NAPPING, ASLEEP, WOKEN };

struct ring {
    _Atomic size_t head; /* bytes ever published by the producer */
    size_t tail_seen;    /* the producer's last look at `tail`   */
    _Atomic uint64_t dropped;
    char apart[64];
    _Atomic size_t tail; /* bytes ever taken by the thread       */
    char bytes[RING_BYTES];
};

struct writer {
    const struct writer_sink *sink;
    void *ctx;
    bool is_direct; /* simulation: no thread */
    atomic_bool reopen, stopping;
    _Atomic int state;     /* enum state */
    _Atomic uint64_t lost; /* lines that the sink could not keep */
    sem_t wake;
    pthread_t thread;
    pthread_mutex_t shared_lock; /* producers of the last ring */
    _Atomic(struct ring *) rings[RINGS];
};

/* ---- the thread's side ---- */

static void reopen_if_asked(struct writer *w)
{
    if (atomic_exchange(&w->reopen, false) && w->sink->reopen)
        w->sink->reopen(w->ctx);
}

static void hand_over(struct writer *w, const char *p, size_t n)
{
    (void)atomic_fetch_add(&w->lost, w->sink->write(w->ctx, p, n));
}

static void flush(struct writer *w)
{
    if (w->sink->flush)
        (void)atomic_fetch_add(&w->lost, w->sink->flush(w->ctx));
}

static bool drain_ring(struct writer *w, struct ring *r)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t head = atomic_load(&r->head);

    if (head == tail)
        return false;
    reopen_if_asked(w); /* after the look at `head`: a line put after the request is not written before it */
    while (tail != head) {
        size_t at = tail % RING_BYTES;
        size_t n = head - tail < RING_BYTES - at ? head - tail : RING_BYTES - at;
        hand_over(w, r->bytes + at, n);
        tail += n;
    }
    atomic_store_explicit(&r->tail, tail, memory_order_release);
    return true;
}

static bool drain(struct writer *w)
{
    bool found = false;

    for (unsigned i = 0; i < RINGS; i++) {
        struct ring *r = atomic_load_explicit(&w->rings[i], memory_order_acquire);
        if (r && drain_ring(w, r))
            found = true;
    }
    if (found)
        flush(w);
    return found;
}

static bool is_empty(struct writer *w)
{
    for (unsigned i = 0; i < RINGS; i++) {
        struct ring *r = atomic_load_explicit(&w->rings[i], memory_order_acquire);
        if (r && atomic_load(&r->head) != atomic_load(&r->tail))
            return false;
    }
    return true;
}

static void nap(struct writer *w)
{
    struct timespec end;

    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += NAP_MS * (long)NS_MS;
    if (end.tv_nsec >= NS_SEC) {
        end.tv_nsec -= (long)NS_SEC;
        end.tv_sec++;
    }
    atomic_store(&w->state, NAPPING);
    (void)sem_clockwait(&w->wake, CLOCK_MONOTONIC, &end);
    atomic_store(&w->state, WORKING);
}

static void sleep_until_put(struct writer *w)
{
    atomic_store(&w->state, ASLEEP);
    if (is_empty(w) && !atomic_load(&w->stopping))
        (void)sem_wait(&w->wake);
    atomic_store(&w->state, WORKING);
}

static void *writer_main(void *arg)
{
    struct writer *w = arg;

    for (;;) {
        bool stopping = atomic_load(&w->stopping); /* before the last look at the rings */
        bool found = drain(w);
        if (stopping && !found)
            return NULL;
        if (stopping)
            continue;
        if (found)
            nap(w);
        else
            sleep_until_put(w);
    }
}

/* ---- the producers' side ---- */

static struct ring *ring_get(struct writer *w, unsigned i)
{
    struct ring *r = atomic_load_explicit(&w->rings[i], memory_order_relaxed);

    if (LIKELY(r != NULL))
        return r;
    r = mem_alloc(sizeof *r); /* the bytes are touched as they are used */
    memset(r, 0, offsetof(struct ring, bytes));
    atomic_store_explicit(&w->rings[i], r, memory_order_release);
    return r;
}

static bool ring_put(struct ring *r, struct str line)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    if (line.n > RING_BYTES - (head - r->tail_seen)) {
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (line.n > RING_BYTES - (head - r->tail_seen)) {
            (void)atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
            return false;
        }
    }
    size_t at = head % RING_BYTES;
    size_t first = line.n < RING_BYTES - at ? line.n : RING_BYTES - at;
    memcpy(r->bytes + at, line.p, first);
    memcpy(r->bytes, line.p + first, line.n - first);
    atomic_store(&r->head, head + line.n);
    mem_prefetch(r->bytes + (head + line.n) % RING_BYTES, line.n); /* the next is likely to be as long */
    return true;
}

/* As seen by its producer, who looks at the consumer's side only when it may matter. */
static bool is_half_full(struct ring *r)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    if (LIKELY(head - r->tail_seen <= RING_BYTES / 2))
        return false;
    r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
    return head - r->tail_seen > RING_BYTES / 2;
}

static void wake_if_needed(struct writer *w, struct ring *r)
{
    int state = atomic_load(&w->state);

    if (LIKELY(state != ASLEEP && !(state == NAPPING && is_half_full(r))))
        return;
    if (atomic_compare_exchange_strong(&w->state, &state, WOKEN))
        (void)sem_post(&w->wake);
}

static bool put_direct(struct writer *w, struct str line)
{
    uint64_t lost = atomic_load(&w->lost);

    reopen_if_asked(w);
    hand_over(w, line.p, line.n);
    flush(w);
    return atomic_load(&w->lost) == lost;
}

bool writer_put(struct writer *w, struct str line)
{
    struct loop *l = loop_here();
    bool taken;

    if (line.n == 0)
        return true;
    if (w->is_direct)
        return put_direct(w, line);
    if (l) {
        struct ring *r = ring_get(w, l->index);
        taken = ring_put(r, line);
        wake_if_needed(w, r);
        return taken;
    }
    (void)pthread_mutex_lock(&w->shared_lock);
    struct ring *r = ring_get(w, LOOPS_MAX);
    taken = ring_put(r, line);
    wake_if_needed(w, r);
    (void)pthread_mutex_unlock(&w->shared_lock);
    return taken;
}

void writer_reopen(struct writer *w)
{
    if (!w)
        return;
    atomic_store(&w->reopen, true);
}

uint64_t writer_dropped(const struct writer *w)
{
    uint64_t dropped = atomic_load(&w->lost);

    for (unsigned i = 0; i < RINGS; i++) {
        struct ring *r = atomic_load_explicit(&w->rings[i], memory_order_acquire);
        if (r)
            dropped += atomic_load_explicit(&r->dropped, memory_order_relaxed);
    }
    return dropped;
}

/* ---- life ---- */

static err_t start_thread(struct writer *w, const char *name)
{
    sigset_t all, before;

    if (w->is_direct)
        return OK;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&w->thread, NULL, writer_main, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e != 0)
        return fail(E_IO, "cannot start the thread '%s': %s", name, strerrordesc_np(e));
    (void)pthread_setname_np(w->thread, name);
    return OK;
}

static void writer_free(struct writer *w)
{
    for (unsigned i = 0; i < RINGS; i++)
        mem_free(atomic_load(&w->rings[i]));
    (void)sem_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->shared_lock);
    mem_free(w);
}

err_t writer_start(const char *name, const struct writer_sink *sink, void *ctx, struct writer **ret)
{
    struct writer *w = NEW(struct writer);

    w->sink = sink;
    w->ctx = ctx;
    w->is_direct = loop_seams()->simulated;
    (void)sem_init(&w->wake, 0, 0);
    (void)pthread_mutex_init(&w->shared_lock, NULL);
    err_t e = start_thread(w, name);
    if (e != OK) {
        writer_free(w);
        return e;
    }
    *ret = w;
    return OK;
}

void writer_close(struct writer *w)
{
    if (!w)
        return;
    if (!w->is_direct) {
        atomic_store(&w->stopping, true);
        (void)sem_post(&w->wake);
        (void)pthread_join(w->thread, NULL);
    }
    w->sink->close(w->ctx);
    writer_free(w);
}
