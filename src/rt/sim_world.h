/*
 * sim_world.h - a simulated world behind the four seams: virtual time, seeded network and disk.
 *
 * Production code runs in it unchanged, on one loop. Time moves only when every fiber waits, and then straight to the next thing
 * that happens. Every choice (order of fibers, latency, faults) derives from one seed, so a run is reproduced exactly by its seed.
 *
 * Conventions with the loop: poll() with until == NS_NEVER and nothing left that could happen returns -EDEADLK. Two bugs of ours end
 * the process with a message: a handle that is used after it was closed (the kernel would hand the call to somebody else's socket),
 * and a loop that polls 100,000 times without time moving on.
 */
#ifndef RT_SIM_WORLD_H
#define RT_SIM_WORLD_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "rt/seam.h"

#include <stdbool.h>
#include <stdint.h>

struct sim_world;

/* Chances are per thousand and per occasion; 0 never. */
struct sim_faults {
    unsigned connect_refused; /* per connect                                                       */
    unsigned connect_lost;    /* per connect: no answer; -ETIMEDOUT after 127 s, as Linux does it   */
    unsigned reset;           /* per segment in flight: both ends are reset instead                */
    unsigned half_close;      /* per segment: after it, that direction ends early; the rest is lost */
    unsigned short_read;      /* per read: fewer bytes than there are (at least one)               */
    unsigned short_write;     /* per write: fewer bytes taken than offered (at least one)          */
    unsigned slow_peer;       /* per connection: one or both ends receive at a trickle             */
    unsigned resolve_fail;    /* per look-up: -ENOENT or -EAGAIN                                    */
    unsigned stall;           /* per segment: delayed by 1 .. 10 s                                 */
    unsigned spurious_event;  /* per poll: an event for a socket without cause                     */
    unsigned disk_error;      /* per disk call: -EIO, -ENOSPC or a short write                     */
    unsigned accept_fail;     /* per accept: EMFILE (it stays in the queue) or ECONNABORTED        */
};

enum { SIM_FAULT_KINDS = sizeof(struct sim_faults) / sizeof(unsigned) };

/* "connect_refused" for 0, and so on in the order of struct sim_faults. Static. */
const char *sim_fault_name(unsigned kind);

struct sim_options {
    uint64_t seed;
    ns_t latency_min, latency_max; /* one way, per segment; defaults 50 us .. 2 ms        */
    size_t socket_buffer;          /* bytes in flight per direction; default 64 KiB       */
    ns_t job_delay_max;            /* worker jobs take 0 .. this; default 5 ms            */
    bool disk_cache;               /* the disk remembers what is not synced, for power cuts */
    struct sim_faults faults;
};

/* A new world; sim_world_free() frees it. Its monotonic clock starts at 1,000 s, its wall clock at 2026-01-01 00:00 UTC. */
struct sim_world *sim_world_new(const struct sim_options *options);
/* Takes NULL. No loop may run in it any more. */
void sim_world_free(struct sim_world *w);
/* To put into loop_options.seams. Lives as long as the world. */
const struct seams *sim_world_seams(struct sim_world *w);

/* Change the faults from here on, at any virtual time. */
void sim_world_set_faults(struct sim_world *w, const struct sim_faults *faults);
/* Somebody puts the wall clock forward by so many nanoseconds, or back; the monotonic one goes on as it was. Seen from the loop's next turn on. */
void sim_world_leap(struct sim_world *w, int64_t by);
/* Make `host` resolve to `a`; a further call adds a further address. `a` == NULL: no such name. A name without entries resolves to
 * 127.0.0.1, a numeric one to itself. */
void sim_world_add_host(struct sim_world *w, const char *host, const struct addr *a);
/* Put a file on the simulated disk (bytes copied), replacing one of that name. */
void sim_world_put_file(struct sim_world *w, const char *path, const void *bytes, size_t n);
/* Look at a file on the simulated disk; false if there is none. The bytes are borrowed until it changes. */
bool sim_world_look_file(const struct sim_world *w, const char *path, struct str *ret_bytes) MUST_CHECK;
/* The files may have `bytes` together from here on; what would pass that is -ENOSPC, or a short write. UINT64_MAX: no limit. */
void sim_world_limit_disk(struct sim_world *w, uint64_t bytes);

/* What ends a process in the middle of its work, as far as its files are concerned. */
enum sim_crash {
    SIM_KILLED,     /* what was written stays                                                                       */
    SIM_POWER_LOST, /* what was not synced is there, or not, or torn at sectors of 512 bytes: of each write it is drawn;
                     * names of directories that were not synced are all there or none. Needs options.disk_cache    */
};
/* After `calls` more calls every call to the disk fails with -EIO and does nothing, as for a process that is no more; closing works. */
void sim_world_crash_disk(struct sim_world *w, uint64_t calls);
/* The disk works again, with what this kind of crash has left on it. All its files must be closed. */
void sim_world_restart_disk(struct sim_world *w, enum sim_crash crash);
/* Calls to the disk so far. */
uint64_t sim_world_disk_calls(const struct sim_world *w);

/* The next draw of the world's script generator: 0 .. bound-1. For test scripts inside the world. */
uint64_t sim_world_draw(struct sim_world *w, uint64_t bound);

/* For scripts inside the world. `port` is the listening port; 0 means every connection. */

/* Reset connections now, at both ends; returns how many. */
unsigned sim_world_reset_all(struct sim_world *w, uint16_t port);
/* Nothing is delivered before `until`, in either direction; it is all delivered afterwards. At most 16 ports at a time. */
void sim_world_partition(struct sim_world *w, uint16_t port, ns_t until);
/* Connections of which at least one end is open or waits to be accepted. */
unsigned sim_world_connections(const struct sim_world *w, uint16_t port);

/* What must be zero after a run that leaks nothing, and counts of faults that were really injected. */
struct sim_census {
    unsigned open_sockets, open_listeners, open_files, open_pollers;
    uint64_t faults_injected[SIM_FAULT_KINDS];  /* in the order of struct sim_faults */
    uint64_t bytes_sent, connects, fingerprint; /* fingerprint: hash of all that happened, for reproduction */
};
void sim_world_census(const struct sim_world *w, struct sim_census *ret);

#endif
