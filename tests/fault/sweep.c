/*
 * sweep.c - seams that fail once, and fibers that are cancelled once.
 *
 * The idea: a table of net and disk operations stands between the loop and the simulated world; each counts its calls, and the N-th call
 * of the kind that is swept returns an error instead of being made. For cancels the same count is kept of the waits of the
 * scenario's victims: one way cancels the fiber as it is about to wait, the other in the middle of the wait, from the loop, in
 * the same instant of virtual time. For limits of memory it is kept of the bufs that grow and the bytes that are asked of arenas in the
 * fibers of the gateway: the N-th finds its maximum reached.
 *
 * One world at a time: the state is static.
 */
#include "fault/fault.h"

#include "base/mem.h"
#include "rt/fiber_int.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/timer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum kind {
    LISTEN,
    ACCEPT,
    CONNECT,
    CONNECT_RESULT,
    READ,
    WRITEV,
    SHUTDOWN,
    LOCAL_ADDR,
    RESOLVE,
    WATCH,
    DISK_OPEN,
    DISK_PREAD,
    DISK_PWRITE,
    DISK_SYNC,
    DISK_SYNC_DIR,
    DISK_CUT,
    DISK_SIZE,
    DISK_LOCK,
    DISK_STAT,
    DISK_RENAME,
    DISK_REMOVE,
    DISK_LIST,
    CANCEL,
    LIMIT,
};

enum { CANCEL_BEFORE, CANCEL_WITHIN };

static const struct sweep sweeps[] = {
    {"listen EADDRINUSE", LISTEN, EADDRINUSE},
    {"accept EMFILE", ACCEPT, EMFILE},
    {"accept ECONNABORTED", ACCEPT, ECONNABORTED},
    {"connect ENETUNREACH", CONNECT, ENETUNREACH},
    {"connect result ETIMEDOUT", CONNECT_RESULT, ETIMEDOUT},
    {"read ECONNRESET", READ, ECONNRESET},
    {"writev ECONNRESET", WRITEV, ECONNRESET},
    {"writev EPIPE", WRITEV, EPIPE},
    {"shutdown ENOTCONN", SHUTDOWN, ENOTCONN},
    {"local address ENOBUFS", LOCAL_ADDR, ENOBUFS},
    {"resolve ENOENT", RESOLVE, ENOENT},
    {"resolve EAGAIN", RESOLVE, EAGAIN},
    {"watch ENOSPC", WATCH, ENOSPC},
    {"disk open EACCES", DISK_OPEN, EACCES},
    {"disk read EIO", DISK_PREAD, EIO},
    {"disk write ENOSPC", DISK_PWRITE, ENOSPC},
    {"disk sync EIO", DISK_SYNC, EIO},
    {"disk sync of a directory EIO", DISK_SYNC_DIR, EIO},
    {"disk truncate EIO", DISK_CUT, EIO},
    {"disk size EIO", DISK_SIZE, EIO},
    {"disk lock EAGAIN", DISK_LOCK, EAGAIN},
    {"disk stat EIO", DISK_STAT, EIO},
    {"disk rename EIO", DISK_RENAME, EIO},
    {"disk remove EIO", DISK_REMOVE, EIO},
    {"disk list EIO", DISK_LIST, EIO},
    {"cancel before the wait", CANCEL, CANCEL_BEFORE},
    {"cancel within the wait", CANCEL, CANCEL_WITHIN},
    {"memory limit", LIMIT, 0},
};

static struct {
    const struct seams *inner;
    const struct scenario *scenario;
    unsigned kind, nth, count;
    int error;
    bool struck;
    ns_t struck_at;
    struct timer timer; /* cancels `victim` */
    struct fiber *victim;
} now;

bool fault_has_struck(void)
{
    return now.struck;
}

ns_t fault_struck_at(void)
{
    return now.struck ? now.struck_at : NS_NEVER;
}

static void note_strike(void)
{
    now.struck = true;
    now.struck_at = rt_now();
}

/* 0, or the error that this call shall have. */
static int strike(enum kind kind, const char *what)
{
    if (kind != now.kind || now.struck || ++now.count < now.nth)
        return 0;
    note_strike();
    world_log("FAULT: %s fails with %s", what, strerrorname_np(now.error));
    return -now.error;
}

/* ---- net ---- */

#define NET (now.inner->net)
#define DISK (now.inner->disk)
#define STRIKE(kind)                                                                                                   \
    do {                                                                                                               \
        int error_ = strike(kind, #kind);                                                                              \
        if (error_)                                                                                                    \
            return error_;                                                                                             \
    } while (0)

static int f_listen(void *ctx, const struct addr *at, int backlog, enum listen_share share)
{
    STRIKE(LISTEN);
    return NET->listen(ctx, at, backlog, share);
}

/* Only a call that would bring a connection: with an empty queue nothing is lost by a failure. */
static int f_accept(void *ctx, int listener, struct addr *ret_peer)
{
    if (now.kind != ACCEPT || now.struck)
        return NET->accept(ctx, listener, ret_peer);
    if (now.error == EMFILE) { /* the connection stays in the queue */
        STRIKE(ACCEPT);
        return NET->accept(ctx, listener, ret_peer);
    }
    int h = NET->accept(ctx, listener, ret_peer);
    int error = h >= 0 ? strike(ACCEPT, "ACCEPT") : 0;
    if (!error)
        return h;
    NET->close(ctx, h);
    return error;
}

static int f_connect(void *ctx, const struct addr *to)
{
    STRIKE(CONNECT);
    return NET->connect(ctx, to);
}

static int f_connect_result(void *ctx, int h)
{
    STRIKE(CONNECT_RESULT);
    return NET->connect_result(ctx, h);
}

static ssize_t f_read(void *ctx, int h, void *to, size_t cap)
{
    STRIKE(READ);
    return NET->read(ctx, h, to, cap);
}

static ssize_t f_writev(void *ctx, int h, const struct iovec *iov, int count)
{
    STRIKE(WRITEV);
    return NET->writev(ctx, h, iov, count);
}

static int f_shutdown(void *ctx, int h)
{
    STRIKE(SHUTDOWN);
    return NET->shutdown(ctx, h);
}

static int f_local_addr(void *ctx, int h, struct addr *ret)
{
    STRIKE(LOCAL_ADDR);
    return NET->local_addr(ctx, h, ret);
}

static int f_resolve(void *ctx, const char *host, struct addr *ret_addrs, int max)
{
    STRIKE(RESOLVE);
    return NET->resolve(ctx, host, ret_addrs, max);
}

static int f_watch(void *ctx, struct poller *p, int h, uint64_t tag)
{
    STRIKE(WATCH);
    return NET->watch(ctx, p, h, tag);
}

/* ---- disk ---- */

static int f_open(void *ctx, const char *path, int flags)
{
    STRIKE(DISK_OPEN);
    return DISK->open(ctx, path, flags);
}

static ssize_t f_pread(void *ctx, int h, void *to, size_t n, uint64_t at)
{
    STRIKE(DISK_PREAD);
    return DISK->pread(ctx, h, to, n, at);
}

static ssize_t f_pwrite(void *ctx, int h, const void *from, size_t n, uint64_t at)
{
    STRIKE(DISK_PWRITE);
    return DISK->pwrite(ctx, h, from, n, at);
}

static int f_sync(void *ctx, int h)
{
    STRIKE(DISK_SYNC);
    return DISK->sync(ctx, h);
}

static int f_sync_data(void *ctx, int h)
{
    STRIKE(DISK_SYNC);
    return DISK->sync_data(ctx, h);
}

static int f_sync_dir(void *ctx, const char *path)
{
    STRIKE(DISK_SYNC_DIR);
    return DISK->sync_dir(ctx, path);
}

static int f_truncate(void *ctx, int h, uint64_t size)
{
    STRIKE(DISK_CUT);
    return DISK->truncate(ctx, h, size);
}

static int64_t f_size(void *ctx, int h)
{
    STRIKE(DISK_SIZE);
    return DISK->size(ctx, h);
}

static int f_lock(void *ctx, int h)
{
    STRIKE(DISK_LOCK);
    return DISK->lock(ctx, h);
}

static int f_stat(void *ctx, const char *path, struct disk_stat *ret)
{
    STRIKE(DISK_STAT);
    return DISK->stat(ctx, path, ret);
}

static int f_rename(void *ctx, const char *from, const char *to)
{
    STRIKE(DISK_RENAME);
    return DISK->rename(ctx, from, to);
}

static int f_remove(void *ctx, const char *path)
{
    STRIKE(DISK_REMOVE);
    return DISK->remove(ctx, path);
}

static ssize_t f_list(void *ctx, const char *path, char *to, size_t cap)
{
    STRIKE(DISK_LIST);
    return DISK->list(ctx, path, to, cap);
}

/* The world's seams, with the calls above in front. */
static const struct seams *wrap(const struct seams *inner)
{
    static struct net_ops net;
    static struct disk_ops disk;
    static struct seams outer;

    net = *inner->net; /* close, poll and the rest cannot fail */
    net.listen = f_listen;
    net.accept = f_accept;
    net.connect = f_connect;
    net.connect_result = f_connect_result;
    net.read = f_read;
    net.writev = f_writev;
    net.shutdown = f_shutdown;
    net.local_addr = f_local_addr;
    net.resolve = f_resolve;
    net.watch = f_watch;
    disk = (struct disk_ops){.open = f_open,
                             .pread = f_pread,
                             .pwrite = f_pwrite,
                             .sync = f_sync,
                             .sync_data = f_sync_data,
                             .sync_dir = f_sync_dir,
                             .truncate = f_truncate,
                             .size = f_size,
                             .lock = f_lock,
                             .stat = f_stat,
                             .rename = f_rename,
                             .remove = f_remove,
                             .make_dir = inner->disk->make_dir,
                             .close = inner->disk->close,
                             .list = f_list};
    outer = *inner;
    outer.net = &net;
    outer.disk = &disk;
    now.inner = inner;
    return &outer;
}

/* ---- cancels ---- */

static bool is_victim(const struct fiber *f)
{
    const char *victims = now.scenario->victims ? now.scenario->victims : "client";
    return str_list_has(str_from_c(victims), str_from_c(fiber_name(f)));
}

static void look_for_victim(const struct fiber *f, void *ctx)
{
    if (f == now.victim)
        *(bool *)ctx = true;
}

/* Another fiber may have woken the victim in the same turn, and it may have ended; if its place has a new fiber, that one will do. */
static void cancel_victim(struct timer *t)
{
    bool lives = false;

    (void)t;
    loop_each_fiber(look_for_victim, &lives);
    if (lives)
        fiber_cancel(now.victim);
}

static void at_park(struct fiber *f)
{
    if (now.struck || !is_victim(f) || ++now.count < now.nth)
        return;
    note_strike();
    world_log("FAULT: fiber \"%s\" is cancelled at its wait", fiber_name(f));
    if (now.error == CANCEL_BEFORE) {
        fiber_cancel(f);
        return;
    }
    now.victim = f;
    now.timer = (struct timer){.fire = cancel_victim};
    timer_arm(&now.timer, rt_now());
}

/* ---- limits of memory ---- */

/* Is this fiber the gateway's, or one that came from it? The same code serves providers and clients in this world. */
static bool is_gateways(const struct fiber *f)
{
    while (f && strcmp(f->name, "gateway") != 0)
        f = f->scope->owner;
    return f != NULL;
}

static bool at_limit(void)
{
    const struct fiber *f = fiber_current();

    if (now.struck || !f || !is_gateways(f) || ++now.count < now.nth)
        return false;
    note_strike();
    world_log("FAULT: fiber \"%s\" reaches a limit of memory", fiber_name(f));
    return true;
}

static void begin(void)
{
    if (now.kind == CANCEL)
        fiber_set_park_hook(at_park);
    if (now.kind == LIMIT)
        mem_limit_hook = at_limit;
}

/* ---- one run ---- */

unsigned sweep_count(void)
{
    return ARRAY_LEN(sweeps);
}

struct sweep sweep_at(unsigned i)
{
    return sweeps[i];
}

bool sweep_run(const struct scenario *s, const struct sweep *sweep, unsigned nth, bool verbose, struct verdict *ret)
{
    struct scenario broken = *s;

    broken.wrap = wrap;
    broken.begin = begin;
    memset(&now, 0, sizeof now);
    now.scenario = s;
    now.kind = sweep->kind;
    now.error = sweep->error;
    now.nth = nth;
    world_run(&broken, 1, verbose, ret);
    mem_limit_hook = NULL;
    return now.struck;
}
