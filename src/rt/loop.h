/*
 * loop.h - one event loop: fibers, timers, sockets and messages of one thread.
 *
 * Loops share nothing. A turn: run every runnable fiber; do what was put off to the end of the turn; poll the net seam; read
 * the time, once; deliver events to sockets, then messages; fire timers. A turn that has used up its budget (1 ms, or 1,024
 * switches) polls without waiting although fibers are still runnable.
 */
#ifndef RT_LOOP_H
#define RT_LOOP_H

#include "base/err.h"
#include "base/time.h"
#include "rt/fiber.h"
#include "rt/seam.h"

struct loop;

struct loop_options {
    const struct seams *seams; /* NULL: the kernel                                   */
    unsigned index;            /* 0 .. number of loops - 1, no two alike at a time; for names and statistics */
    unsigned max_fibers;       /* 0: as many as the machine's limits allow           */
    unsigned max_sockets;      /* 0: 1,000,000                                       */
    bool mprotect_guards;      /* guard stacks by mprotect(), so that gcore keeps them */
};

/*
 * Run `fn(arg)` as the first fiber of a new loop on this thread, until it has returned. Returns its result, or the reason
 * why the loop could not be made (E_CONFIG: the index is taken or too large; E_IO). Sockets still open are closed. With
 * simulated seams, a loop in which every fiber waits for something that cannot happen ends with E_IO "deadlock", naming the
 * fibers: the first fiber is cancelled, and if that does not free them, they are abandoned as they are.
 */
err_t loop_run(const struct loop_options *options, fiber_fn *fn, void *arg) SUSPENDS_ROOT("runs the loop") MUST_CHECK;

/* The loop of this thread; NULL outside loop_run(). */
struct loop *loop_current(void);
unsigned loop_index(const struct loop *l);
/* The seams of this thread's loop; outside a loop the kernel. */
const struct seams *loop_seams(void);
/* Monotonic time of this turn of the loop. Outside a loop: reads the real clock. */
ns_t rt_now(void);
/* Monotonic time read now, for measuring. */
ns_t rt_now_exact(void);
/* Nanoseconds since 1970, of this turn of the loop. Outside a loop: now. */
int64_t rt_wall(void);
/* 64 random bits from the loop's own generator (xoshiro256++), seeded from the rand seam. Not for keys. */
uint64_t rt_random(void);
/* Bytes fit for keys, from the rand seam. */
void rt_random_bytes(void *to, size_t n);

/* A message to a loop: embedded in the sender's struct, which must live until `run` was called. */
struct loop_msg {
    struct loop_msg *next; /* private */
    void (*run)(struct loop_msg *m);
};
/* Have m->run(m) called on `l`'s thread, in loop context, soon. From any thread; messages of one thread keep their order. Never
 * blocks. The sender knows that the loop has not ended. */
void loop_post(struct loop *l, struct loop_msg *m);

/* Call d->run(d) once at the end of the current turn, in loop context. `d` is embedded in the caller's struct; adding one that is
 * pending does nothing. What `run` adds is called at the end of the next turn. */
struct loop_defer {
    struct loop_defer *next; /* private */
    bool pending;
    void (*run)(struct loop_defer *d);
};
void loop_defer(struct loop_defer *d);

/* What a loop counts about itself; read on its own thread. */
struct loop_stats {
    uint64_t turns, switches, spawned;
    unsigned fibers;      /* alive now                                    */
    unsigned fibers_max;  /* the ceiling: admit no work near it           */
    unsigned sockets;     /* open now                                     */
    size_t stack_bytes;   /* address space of stacks                      */
    unsigned stacks_free; /* pooled stacks                                */
    ns_t lag_max;         /* longest turn since the last read of it       */
    ns_t busy;            /* time spent outside poll                      */
};
void loop_stats(struct loop_stats *ret);

/* Call `each` for every fiber alive on this loop. */
void loop_each_fiber(void (*each)(const struct fiber *f, void *ctx), void *ctx);

#endif
