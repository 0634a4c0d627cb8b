/*
 * dump.c - the list of fibers for people, and the name of the fiber in which a fault happened.
 *
 * A fault inside a fiber's guard is a stack overflow and is called so. The handler runs on a signal stack of its own (the fiber's is
 * used up), writes one line, and lets the former handler, usually the default one with its core dump, have the fault.
 * That stack is sized by what the kernel says a signal frame needs, which wide vector registers have outgrown the constants for.
 *
 * Not here: the watchdog's backtraces (watchdog.c).
 */
#include "rt/dump_int.h"

#include "base/mem.h"
#include "rt/loop_int.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

enum { NAMED_MAX = 24, SIGNAL_STACK = 32 * 1024, DUMP_MAX = 4 * 1024 * 1024 };

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
static struct sigaction former[ARRAY_LEN(faults)];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static __thread stack_t former_stack;
static __thread void *signal_stack;

/* ---- the list ---- */

struct waits {
    struct buf *to;
    unsigned named, left_out;
};

static void add_wait(const struct fiber *f, void *ctx)
{
    struct waits *w = ctx;

    if (f->state != FIBER_PARKED)
        return;
    if (w->named++ >= NAMED_MAX) {
        w->left_out++;
        return;
    }
    buf_addf(w->to, "%s%s (%s)", w->named > 1 ? ", " : "", f->name, f->reason);
}

void dump_waits(struct loop *l UNUSED, struct buf *to)
{
    struct waits w = {.to = to};

    loop_each_fiber(add_wait, &w);
    if (w.left_out > 0)
        buf_addf(to, " and %u more", w.left_out);
}

static void add_line(const struct fiber *f, void *ctx)
{
    ns_t waited = f->loop->now - f->since;

    buf_addf(ctx, "  %-24s %-24s %" PRId64 ".%03" PRId64 " s%s%s\n", f->name, fiber_reason(f), waited / NS_SEC,
             waited % NS_SEC / NS_MS, f->cancelled ? ", cancelled" : "", f->shielded ? ", shielded" : "");
}

static void write_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t put = write(STDERR_FILENO, p, n);
        if (put <= 0)
            return;
        p += put;
        n -= (size_t)put;
    }
}

static void dump_this_loop(struct loop_msg *m)
{
    struct loop *l = CONTAINER_OF(m, struct loop, dump_msg);
    struct buf text CLEANUP(buf_release) = BUF_INIT(DUMP_MAX);

    atomic_store(&l->dump_pending, false);
    buf_addf(&text, "loop %u: %u fibers, %u sockets\n", l->index, l->fibers, l->socks.open);
    loop_each_fiber(add_line, &text);
    write_all(text.p, text.n);
}

static void ask_loop(struct loop *l, void *ctx UNUSED)
{
    if (atomic_exchange(&l->dump_pending, true))
        return;
    l->dump_msg.run = dump_this_loop;
    loop_post(l, &l->dump_msg);
}

void dump_all_loops(void)
{
    loop_each(ask_loop, NULL);
}

/* ---- faults ---- */

static bool is_in_guard(const struct fiber *f, const void *address)
{
    uintptr_t at = (uintptr_t)address, low = (uintptr_t)f->stack_low;
    return at < low && at >= low - STACK_GUARD;
}

/* Only what is safe in a signal handler: no buffered output. */
static void put_text(char *line, size_t cap, size_t *n, const char *text)
{
    while (*text && *n < cap)
        line[(*n)++] = *text++;
}

static void describe(const struct fiber *f, int signo, const siginfo_t *info)
{
    char line[256], digits[2] = {(char)('0' + signo / 10), (char)('0' + signo % 10)};
    size_t n = 0;
    bool overflow = (signo == SIGSEGV || signo == SIGBUS) && is_in_guard(f, info->si_addr);

    put_text(line, sizeof line, &n, overflow ? "crossdock: stack overflow in fiber \"" : "crossdock: signal ");
    if (!overflow) {
        put_text(line, sizeof line, &n, (char[]){digits[0], digits[1], '\0'});
        put_text(line, sizeof line, &n, " in fiber \"");
    }
    put_text(line, sizeof line - 2, &n, f->name);
    put_text(line, sizeof line, &n, "\"\n");
    write_all(line, n);
}

static void on_fault(int signo, siginfo_t *info, void *ucontext UNUSED)
{
    struct loop *l = loop_here();

    if (l && l->current)
        describe(l->current, signo, info);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        (void)sigaction(faults[i], &former[i], NULL);
    if (info->si_code <= 0) /* sent, not caused: returning would not repeat it */
        (void)raise(signo);
}

static void install(void)
{
    struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    (void)sigemptyset(&a.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        (void)sigaction(faults[i], &a, &former[i]);
}

void crash_reports_begin(void)
{
    size_t size = getauxval(AT_MINSIGSTKSZ) + SIGNAL_STACK;

    (void)pthread_once(&once, install);
    signal_stack = mem_alloc(size);
    stack_t s = {.ss_sp = signal_stack, .ss_size = size};
    (void)sigaltstack(&s, &former_stack);
}

void crash_reports_end(void)
{
    (void)sigaltstack(&former_stack, NULL);
    mem_free(signal_stack);
    signal_stack = NULL;
}
