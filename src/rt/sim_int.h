/*
 * sim_int.h - what the files of the simulated world share; nobody else includes it.
 *
 *   sim_world.c  the world as a whole: options, faults, fingerprint, clock, rand, names of hosts
 *   sim_queue.c  what will happen and when: a heap of events
 *   sim_conn.c   connections between two ends: bytes under way, end of stream, resets, back-pressure
 *   sim_net.c    handles, listeners, pollers: the net seam
 *   sim_disk.c   files in memory: the disk seam
 *   sim_disk_crash.c  what of it outlives a crash
 */
#ifndef RT_SIM_INT_H
#define RT_SIM_INT_H

#include "base/list.h"
#include "base/prng.h"
#include "rt/sim_world.h"

/* The order of struct sim_faults. */
enum sim_fault {
    FAULT_CONNECT_REFUSED,
    FAULT_CONNECT_LOST,
    FAULT_RESET,
    FAULT_HALF_CLOSE,
    FAULT_SHORT_READ,
    FAULT_SHORT_WRITE,
    FAULT_SLOW_PEER,
    FAULT_RESOLVE_FAIL,
    FAULT_STALL,
    FAULT_SPURIOUS_EVENT,
    FAULT_DISK_ERROR,
    FAULT_ACCEPT_FAIL,
};

/* ---- sim_queue.c ---- */

/* Something that will happen; embedded in what it happens to. Zeroed: not scheduled. */
struct sim_event {
    ns_t at;
    uint64_t order; /* of scheduling; breaks ties      */
    uint32_t place; /* in the heap + 1; 0: not in it   */
    void (*fire)(struct sim_world *w, struct sim_event *e);
};

struct sim_queue {
    struct sim_event **heap;
    uint32_t count, cap;
    uint64_t scheduled; /* ever: the next event's order */
};

/* Have e->fire called at `at` (or at once, if that is past); moves an event that is scheduled already. O(log n). */
void sim_queue_add(struct sim_queue *q, struct sim_event *e, ns_t at);
/* Does nothing to an event that is not scheduled. O(log n). */
void sim_queue_remove(struct sim_queue *q, struct sim_event *e);
/* The next event; NULL if there is none. */
struct sim_event *sim_queue_first(const struct sim_queue *q);
void sim_queue_release(struct sim_queue *q);

/* ---- sim_conn.c ---- */

/* A piece of a byte stream under way. */
struct sim_segment {
    ns_t at;    /* earliest arrival                                     */
    uint32_t n; /* bytes                                                */
    bool fin;   /* the stream ends behind the bytes                     */
    bool reset; /* the receiver is reset instead                        */
    bool cut;   /* a middle box did this (fault): the sender is hit too */
};

/* Bytes on their way to one end, and those that arrived there and were not read. */
struct sim_pipe {
    struct sim_event arrive; /* of the first segment                                       */
    struct sim_event space;  /* the writer hears that there is room again                  */
    struct sim_segment *segments;
    uint32_t segment_first, segment_count, segment_cap; /* ring, cap a power of 2          */
    char *bytes;
    size_t first, arrived, used, cap; /* ring; arrived <= used <= cap; cap a power of 2    */
    ns_t last_at;                     /* arrival of the last segment so far: they never overtake */
    unsigned rate;                    /* bytes per second; 0: no limit                     */
    bool sink;                        /* nothing more is stored: the reader is gone or cut off */
};

struct sim_conn;

struct sim_end {
    struct sim_conn *conn;
    struct sim_pipe in;
    struct sim_event reset; /* on its way to this end                                     */
    int handle;             /* -1: none (not accepted yet, or closed)                     */
    int error;              /* told once, by read, write or connect_result; errno value   */
    bool born;              /* exists: always for the client, from SYN on for the server  */
    bool connecting;        /* the handshake is not over                                  */
    bool closed;            /* its handle was closed, or its listener before acceptance   */
    bool dead;              /* reset or refused                                           */
    bool shut;              /* it will write no more                                      */
    bool saw_fin;           /* the other end's FIN arrived                                */
    bool wants_space;       /* its writer was told that there is no room                  */
};

enum { CLIENT, SERVER };

struct sim_conn {
    struct list node;              /* in the world's connections                  */
    struct list queue_node;        /* in a listener's accept queue                */
    struct sim_end ends[2];        /* CLIENT, SERVER                              */
    struct sim_event handshake;    /* its next step                               */
    struct sim_listener *listener; /* while in the accept queue                 */
    struct addr client, server;
    uint64_t id;
    unsigned tries; /* of the SYN */
};

/* A connection that begins: the client's end exists and connects. Freed when both ends are closed. */
struct sim_conn *sim_conn_new(struct sim_world *w, const struct addr *client, const struct addr *server);
void sim_conn_free(struct sim_world *w, struct sim_conn *c);
/* The SYN arrived and found room: the server's end exists now, the client will hear of it. */
void sim_conn_accept_syn(struct sim_world *w, struct sim_conn *c);
/* The handshake failed at the client's end. */
void sim_conn_refuse(struct sim_world *w, struct sim_conn *c, int error);
ssize_t sim_end_read(struct sim_world *w, struct sim_end *e, void *to, size_t cap);
ssize_t sim_end_write(struct sim_world *w, struct sim_end *e, const struct iovec *iov, int count);
int sim_end_shutdown(struct sim_world *w, struct sim_end *e);
/* The handle is closed. May free the connection. */
void sim_end_close(struct sim_world *w, struct sim_end *e);
/* This end is hit by a reset, now. */
void sim_end_reset(struct sim_world *w, struct sim_end *e);
/* What epoll would say of it now. Remembers that the poller saw no room to write. */
struct net_event sim_end_state(struct sim_world *w, struct sim_end *e);

/* ---- sim_net.c ---- */

struct sim_listener {
    struct addr at;
    struct list queue; /* connections to accept */
    unsigned queued, backlog;
    int handle;
    bool shared; /* others may join */
};

enum sim_handle_kind { HANDLE_FREE, HANDLE_LISTENER, HANDLE_END };

struct sim_handle {
    enum sim_handle_kind kind;
    struct sim_listener *listener;
    struct sim_end *end;
    struct sim_poller *poller; /* NULL: not watched            */
    uint64_t tag;
    uint32_t ready_place; /* in the poller's ready list + 1   */
};

struct sim_net {
    struct sim_handle *handles; /* a handle is an index, as a descriptor is: the lowest free one is taken */
    int handle_count, lowest_free;
    struct list conns;
    unsigned open_ends, open_listeners, open_pollers;
    uint16_t next_port;
    ns_t polled_at;          /* virtual time of the last poll             */
    unsigned polls_in_place; /* polls since time moved                    */
};

extern const struct net_ops sim_net_ops;

void sim_net_init(struct sim_net *n);
void sim_net_release(struct sim_world *w);
/* Something changed at `handle`: tell its poller. -1 is allowed. */
void sim_net_changed(struct sim_world *w, int handle);

/* ---- sim_disk.c ---- */

/* A change of a file's bytes that is not synced yet. */
struct sim_change {
    uint64_t at;
    size_t n;
    char *bytes; /* NULL: the file was cut off, or extended, to `at` */
};

struct sim_file {
    char *path; /* NULL: removed, lives while open */
    char *bytes;
    size_t n, cap;
    int64_t mtime;
    uint64_t inode;
    unsigned refs; /* the directory's, one per open handle, one per synced name */
    int locker;    /* the handle that has locked it; 0: none                    */
    /* With options.disk_cache: the bytes as they were last synced, and what has changed since. */
    char *synced;
    size_t synced_n, synced_cap, change_count, change_cap;
    struct sim_change *changes;
};

/* A name on the disk itself: there after a power cut. */
struct sim_name {
    char *path;
    struct sim_file *file;
};

struct sim_disk {
    struct sim_file **files; /* by path, sorted                       */
    size_t file_count, file_cap;
    struct sim_open *opens; /* by handle - SIM_DISK_HANDLE_BASE      */
    size_t open_slots;
    unsigned open_files;
    uint64_t last_inode;
    uint64_t used, limit;    /* bytes of all files; they may be so many   */
    bool keeps_unsynced;     /* options.disk_cache                        */
    bool is_dead;            /* power is cut                              */
    uint64_t calls;          /* made so far                               */
    uint64_t cut_at;         /* the call that finds the power cut         */
    struct sim_name *synced; /* names as directories were last synced     */
    size_t synced_count;
};

/* Disk handles are no net handles: mixing them up is noticed. */
enum { SIM_DISK_HANDLE_BASE = 1000000 };

extern const struct disk_ops sim_disk_ops;

void sim_disk_release(struct sim_disk *d);
void sim_file_unref(struct sim_disk *d, struct sim_file *f);
/* Give the file `n` bytes, new ones being zeros. */
void sim_file_resize(struct sim_disk *d, struct sim_file *f, size_t n);
/* Put the file, whose path is set, into the directory. */
void sim_disk_insert(struct sim_disk *d, struct sim_file *f);

/* ---- sim_disk_crash.c ---- */

/* Does this call find the disk dead? Counts it. */
bool sim_disk_fails(struct sim_disk *d);
/* `n` bytes at `at` were written; or with no bytes, the file has been cut off or extended. */
void sim_file_changed(struct sim_disk *d, struct sim_file *f, uint64_t at, size_t n);
/* A sync went well, or failed: then some of what was written will never reach the disk, unless it is written again. */
void sim_file_synced(struct sim_world *w, struct sim_file *f, bool well);
/* The directory's names are on the disk. */
void sim_disk_synced_dir(struct sim_disk *d, struct str dir);
/* Forget what the file remembers for crashes; when it goes, or when the disk starts anew. */
void sim_file_forget(struct sim_file *f);

/* ---- sim_world.c ---- */

struct sim_host {
    struct list node;
    char *name;
    struct addr addr; /* len 0: no such name */
};

struct sim_partition {
    uint16_t port; /* 0: all   */
    ns_t until;    /* 0: unused */
};

enum { SIM_PARTITIONS = 16 };

struct sim_world {
    struct seams seams;
    struct sim_options options;
    unsigned chances[SIM_FAULT_KINDS];
    ns_t now;
    int64_t wall_shift;      /* what the wall clock was put forward by */
    struct prng prng;        /* the world's own choices                  */
    struct prng rand_prng;   /* what the rand seam hands out             */
    struct prng script_prng; /* sim_world_draw()                         */
    struct sim_queue queue;
    struct sim_net net;
    struct sim_disk disk;
    struct list hosts;
    struct sim_partition partitions[SIM_PARTITIONS];
    struct sim_census census;
};

/* Draw whether this fault happens here, and count it if so. */
bool sim_chance(struct sim_world *w, enum sim_fault fault);
/* The same, decided by the caller: count it. */
void sim_injected(struct sim_world *w, enum sim_fault fault);
/* Draw a one-way latency. */
ns_t sim_latency(struct sim_world *w);
/* Mix what happened into the fingerprint: `what` is a character per kind of happening. */
void sim_note(struct sim_world *w, char what, uint64_t a, uint64_t b);
/* When the network between this server port and its clients works again; 0 if it works now. */
ns_t sim_partition_end(const struct sim_world *w, uint16_t port);
int sim_resolve(void *ctx, const char *host, struct addr *ret_addrs, int max);

#endif
