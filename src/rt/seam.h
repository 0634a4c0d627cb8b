/*
 * seam.h - the four seams between crossdock and the world: clock, net, disk, rand.
 *
 * Nothing else in the tree reaches the kernel (scripts/check-kernel-calls). Behind the tables stands either the kernel
 * (seam_real.c) or a simulated world with virtual time, a seeded network and a seeded disk (sim_world.c), so that
 * the production code runs whole in a deterministic world.
 *
 * Conventions: functions return a count or handle >= 0, or a negated errno value (-ECONNREFUSED); they never touch
 * `errno`. Handles are small integers with a meaning of their own per seam (a file descriptor behind the real one). `ctx` is the
 * seams' own context. Nothing here suspends a fiber; net functions never block, disk functions and `resolve` may block
 * and are called from worker threads or before loops run.
 */
#ifndef RT_SEAM_H
#define RT_SEAM_H

#include "base/time.h"
#include "rt/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct poller;

/* What a poll reports: `tag` is the one given to watch(). Edge-triggered: a change is told once. */
struct net_event {
    uint64_t tag;
    bool readable, writable;
    bool peer_closed; /* the peer shut down its writing side, or the connection is gone */
    bool broken;      /* error or full hang-up                                          */
};

struct clock_ops {
    ns_t (*now)(void *ctx);     /* monotonic                                          */
    int64_t (*wall)(void *ctx); /* nanoseconds since 1970-01-01 00:00 UTC             */
    ns_t (*cpu)(void *ctx);     /* processor time of the calling thread; 0 in simulation */
};

/* Several loops may listen on one address, and connections are spread over them. So that a second process cannot slip in among them,
 * the first listener does not share with what is there already. */
enum listen_share {
    LISTEN_ALONE, /* an address of its own: -EADDRINUSE if somebody listens there         */
    LISTEN_FIRST, /* likewise, but others may join later                                  */
    LISTEN_JOIN,  /* beside those that are FIRST or have joined, or where nobody listens  */
};

struct net_ops {
    int (*listen)(void *ctx, const struct addr *at, int backlog, enum listen_share share);
    int (*accept)(void *ctx, int listener, struct addr *ret_peer); /* -EAGAIN if none waits */
    /* Begin to connect; the handle becomes writable when it is decided, then connect_result() says 0 or -errno. */
    int (*connect)(void *ctx, const struct addr *to);
    int (*connect_result)(void *ctx, int h);
    ssize_t (*read)(void *ctx, int h, void *to, size_t cap);                 /* 0: end of stream  */
    ssize_t (*writev)(void *ctx, int h, const struct iovec *iov, int count); /* short writes happen */
    int (*shutdown)(void *ctx, int h);                                       /* our writing side  */
    void (*close)(void *ctx, int h);
    int (*local_addr)(void *ctx, int h, struct addr *ret);
    /* Look `host` up: at most `max` addresses with port 0. Blocks. -ENOENT: no such name; -EAGAIN: try later. */
    int (*resolve)(void *ctx, const char *host, struct addr *ret_addrs, int max);

    /* One poller per loop. watch() registers both directions, edge-triggered; close() of a handle ends its watch. */
    struct poller *(*poller_open)(void *ctx);
    void (*poller_close)(void *ctx, struct poller *p);
    int (*watch)(void *ctx, struct poller *p, int h, uint64_t tag);
    /* Wait for events until `until` (an instant; NS_NEVER for ever; the past means "do not wait"). */
    int (*poll)(void *ctx, struct poller *p, struct net_event *ret_events, int max, ns_t until);
    /* Make a poll() that sleeps in another thread return now. */
    void (*wake)(void *ctx, struct poller *p);
};

enum disk_flags {
    DISK_READ = 1,
    DISK_WRITE = 2,
    DISK_CREATE = 4,
    DISK_APPEND = 8,
    DISK_TRUNCATE = 16,
    DISK_NEW = 32,     /* with DISK_CREATE: -EEXIST where anything of that name stands */
    DISK_PRIVATE = 64, /* with DISK_CREATE: mode 0600                                  */
};

/* As a place to read or write at: where the handle stands, for pipes, which have no other, and streams that somebody else opened. */
#define DISK_HERE UINT64_MAX

struct disk_stat {
    uint64_t size;
    int64_t mtime;          /* nanoseconds since 1970 */
    uint64_t inode, device; /* device: 0 in simulation */
    bool is_dir;
};

struct disk_ops {
    int (*open)(void *ctx, const char *path, int flags); /* files are made with mode 0640, but see DISK_PRIVATE */
    ssize_t (*pread)(void *ctx, int h, void *to, size_t n, uint64_t at);
    ssize_t (*pwrite)(void *ctx, int h, const void *from, size_t n, uint64_t at); /* `at` is ignored with DISK_APPEND */
    /* Everything written through any handle of the file is on the disk when this returns 0. After a failure nobody knows: what was
     * written since the last success must be written again before a later sync can vouch for it. */
    int (*sync)(void *ctx, int h);
    int (*sync_data)(void *ctx, int h); /* likewise, but for times and the like, which no reader needs */
    /* Names that were made, replaced or removed in the directory `path` are on the disk. */
    int (*sync_dir)(void *ctx, const char *path);
    int (*truncate)(void *ctx, int h, uint64_t size); /* cut off, or extend by zeros */
    int64_t (*size)(void *ctx, int h);
    /* Take the file for this handle alone until it is closed or the process ends: -EAGAIN if another handle, of whatever process, has
     * it. Does not wait. */
    int (*lock)(void *ctx, int h);
    int (*stat)(void *ctx, const char *path, struct disk_stat *ret);
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*remove)(void *ctx, const char *path);
    int (*make_dir)(void *ctx, const char *path); /* one level, mode 0750; 0 also if it is there */
    void (*close)(void *ctx, int h);
    /* Names in a directory, without "." and "..", NUL-separated into `to`; returns bytes used or -ENOSPC. */
    ssize_t (*list)(void *ctx, const char *path, char *to, size_t cap);
};

struct rand_ops {
    void (*fill)(void *ctx, void *to, size_t n); /* fit for keys in the real world */
};

struct seams {
    const struct clock_ops *clock;
    const struct net_ops *net;
    const struct disk_ops *disk;
    const struct rand_ops *rand;
    void *ctx;
    /* Simulation only, else NULL: draw the index of the next fiber to run out of `n` runnable ones. */
    size_t (*pick_fiber)(void *ctx, size_t n);
    /* Simulation only: worker jobs run inline, at a virtual time drawn by the world. */
    bool simulated;
    ns_t (*job_delay)(void *ctx); /* simulation only, else NULL: draw how long the next worker job takes */
};

/* The kernel. Static. */
const struct seams *seams_real(void);

#endif
