/*
 * journal.h - what pipelines must not forget: roots under way, outputs of their steps, effects at sinks, progress at sources, state, timers,
 * gates, dead letters, and traces of what is over.
 *
 * A commit is a list of operations that come about together or not at all. Reads come page by page. What an operation does is said here, once
 * for all kinds of journal (store/journal/): one in a SQLite file, which outlives crashes, one in a PostgreSQL database, which several processes may have
 * open, and one in memory.
 *
 * Every operation may be handed over again without harm, as a caller must do who was told E_IO, or who was cut short: the first try may
 * or may not have come about.
 *
 * Who owns what: pipelines number their owners with epochs. A commit that has a FENCE or a PROGRESS_PUT of an epoch that has passed fails as a
 * whole, so what another owner took over cannot be changed by the former one, however late it comes.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/histogram.h"
#include "base/str.h"
#include "base/time.h"
#include "codec/digest.h"
#include "rt/fiber.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JOURNAL_NAME_MAX = 200,                /* bytes of a pipeline's, source's, node's name, and of a cause        */
    JOURNAL_KEY_MAX = 1024,                /* bytes of a key of a state or a timer                                */
    JOURNAL_INLINE_MAX = 64 * 1024,        /* a larger body is stored once for all who have it, under its hash    */
    JOURNAL_BODY_MAX = 16 * 1024 * 1024,   /* bytes of a body                                                     */
    JOURNAL_OPS_MAX = 4096,                /* operations of a commit                                              */
    JOURNAL_COMMIT_MAX = 64 * 1024 * 1024, /* bytes of all its texts and bodies                                   */
    JOURNAL_STEPS_MAX = 65536,             /* steps of a root, and effects                                        */
    JOURNAL_ROWS_MAX = 1000,               /* of a page                                                           */
    JOURNAL_PAGE_BYTES = 4 * 1024 * 1024,  /* bodies of a page are at most so many bytes, if it has more than one */
    JOURNAL_QUEUE_MAX = 32 * 1024 * 1024,  /* bytes of asynchronous commits that may wait for the disk            */
};

/* In a query that says so: of all partitions. */
static const uint32_t JOURNAL_ANY_PARTITION = UINT32_MAX;

struct journal_id {
    unsigned char b[16];
};

/* Bytes that the journal keeps without knowing what they say. `form` is the number of their layout, for who reads them years later. */
struct journal_body {
    uint16_t form;
    struct str bytes;
    /* Larger than JOURNAL_INLINE_MAX: in a record that was read, `bytes` is empty, and journal_blob() has them. In an operation, set with empty
     * bytes it refers to a blob that the journal has; what has bytes need not set it. */
    bool is_blob;
    unsigned char sha256[SHA256_BYTES];
    uint64_t size; /* of a blob */
};

/* A row of any kind; what a kind has of it stands with the operations. Times are nanoseconds since 1970. */
struct journal_record {
    struct journal_id id, root;
    struct str pipeline, source, node, key, cause;
    uint32_t partition, shard, index, state, count;
    uint64_t epoch, seq;
    int64_t at, due;
    struct journal_body body;
};

enum journal_effect_state { EFFECT_RESERVED = 1, EFFECT_DONE, EFFECT_UNKNOWN };
enum journal_root_state { ROOT_OPEN, ROOT_PARKED };
enum journal_restart_state { RESTART_ONE_MORE, RESTART_HARMLESS };
enum journal_intent_state { INTENT_OPEN, INTENT_APPLIED };
/* A gate's state is 0 until it is decided; what other numbers mean is the caller's. */

enum journal_op_kind {
    /* A root that came in: id, pipeline, source, partition, seq, at, due, body. WAS_THERE if it is under way or parked, or its trace is kept. */
    JOURNAL_ROOT_PUT,
    /* The root id is complete: its steps, effects and gates go. With dead letters of it left it is parked instead, with all it has. A body becomes
     * its trace, with pipeline and at, in place of one that it left before. WAS_GONE if it is not under way. */
    JOURNAL_ROOT_DONE,
    /* The root id was begun anew after a crash: one more; with state RESTART_HARMLESS it has outlived that, and the count is one at most. WAS_GONE. */
    JOURNAL_RESTARTED,
    /* The parked root id is under way again, with all it has but the count of its restarts, not before `due`. WAS_GONE if it is not parked. */
    JOURNAL_ROOT_REOPEN,
    /* What a step of the root brought: root, node, index, body. In place of an earlier one. E_NOT_FOUND if the root is not here, E_TOO_LARGE. */
    JOURNAL_STEP_PUT,
    /* How an effect stands: root, id (its key), state, at, body (its receipt). Likewise. */
    JOURNAL_EFFECT_PUT,
    /* How far a source was read: pipeline, source, partition, epoch, body. E_FENCED if the epoch has passed; a higher one takes over. */
    JOURNAL_PROGRESS_PUT,
    /* Take over: pipeline, source, partition. Sets `epoch` in the operation: one more than ever before. */
    JOURNAL_PROGRESS_CLAIM,
    /* Changes nothing: pipeline, source, partition, epoch. E_FENCED if that is not the present epoch. */
    JOURNAL_FENCE,
    /* A sink is about to apply batch seq: pipeline, node, shard, seq, body. E_FENCED unless the batch before was applied, or this is the same again. */
    JOURNAL_INTENT_PUT,
    /* It has applied it: pipeline, node, shard, seq. E_FENCED if the intent is another one. */
    JOURNAL_INTENT_DONE,
    /* What a node remembers under a key: pipeline, node, shard, key, body. */
    JOURNAL_STATE_PUT,
    JOURNAL_STATE_DELETE, /* WAS_GONE */
    /* What is due at a time: pipeline, node, shard, key, due, body. In place of one with that key. */
    JOURNAL_TIMER_PUT,
    JOURNAL_TIMER_DELETE, /* WAS_GONE */
    /* A question to people: id, root, pipeline, node, due, body. WAS_THERE. E_NOT_FOUND if the root is not here. */
    JOURNAL_GATE_PUT,
    /* Its answer: id, state (not 0), at, cause (who, and why). The first one counts: WAS_THERE if it is decided, WAS_GONE. */
    JOURNAL_GATE_DECIDE,
    /* What could not be done: id, root, pipeline, node, cause, at, body. WAS_THERE. */
    JOURNAL_DEAD_PUT,
    /* It is settled: id. With its last dead letter a parked root goes, and all it has. WAS_GONE. */
    JOURNAL_DEAD_DELETE,
    /* It was tried again: id, at. One more. WAS_GONE. */
    JOURNAL_DEAD_REPLAYED,
    JOURNAL_OP_KINDS
};

enum journal_outcome { JOURNAL_CAME_ABOUT, JOURNAL_WAS_THERE, JOURNAL_WAS_GONE };

struct journal_op {
    enum journal_op_kind kind;
    struct journal_record r;
    enum journal_outcome outcome; /* set by a commit that returns OK and is not asynchronous */
};

enum journal_query_kind {
    JOURNAL_ROOT,     /* id: under way (state ROOT_OPEN) or parked; count: of restarts                              */
    JOURNAL_ROOTS,    /* pipeline, source, partition (or JOURNAL_ANY_PARTITION): those under way, in the order in which
                         they came in                                                                              */
    JOURNAL_STEPS,    /* root                                                                                       */
    JOURNAL_EFFECT,   /* root, id                                                                                   */
    JOURNAL_EFFECTS,  /* root                                                                                       */
    JOURNAL_PROGRESS, /* pipeline, source, partition                                                                */
    JOURNAL_INTENTS,  /* pipeline                                                                                   */
    JOURNAL_STATES,   /* pipeline, node, shard, key (or none: of all keys, in the order in which they were put first) */
    JOURNAL_TIMERS,   /* pipeline, shard, due: those due then or before, the first to come first. One page: what was
                            dealt with is deleted before the next is asked for                                         */
    JOURNAL_GATE,     /* id                                                                                         */
    JOURNAL_GATES,    /* pipeline, or none for all: those not decided                                               */
    JOURNAL_DEAD,     /* id; count: of replays, due: when the last one was                                          */
    JOURNAL_DEADS,    /* pipeline, cause, node, each or none, oldest first                                          */
    JOURNAL_DEADS_OF, /* root: its own, oldest first                                                                 */
    JOURNAL_DEAD_GROUPS, /* pipeline, or none: one record for each pipeline, cause and node, with count, at (first) and
                            due (last). One page                                                                       */
    JOURNAL_TRACE,  /* id                                                                                         */
    JOURNAL_TRACES, /* pipeline, or none: oldest first                                                            */
    JOURNAL_QUERY_KINDS
};

struct journal_query {
    enum journal_query_kind kind;
    struct journal_record r; /* what is looked for */
    uint64_t after;          /* the page before's `next`; 0: from the beginning */
    unsigned limit;          /* rows at most; 0: JOURNAL_ROWS_MAX               */
};

struct journal_page {
    struct journal_record *records; /* in the caller's arena */
    size_t count;
    uint64_t next; /* for the next page; 0: that was all */
};

/* --- life --- */

struct journal;
struct postgres_options;

struct journal_options {
    const char *kind; /* "sqlite", "postgres" or "memory"                                                 */
    const char *path; /* sqlite: the file                                                                 */
    const struct postgres_options *postgres; /* postgres: the database; copied                               */
    uint64_t traces_max; /* as many are kept; older ones go as new ones come                                 */
    ns_t trace_age;      /* so long they are kept; NS_NEVER: no limit                                        */
    ns_t dead_age;       /* so long dead letters are kept, likewise, and what their roots have goes with them */
};

/* What people say of where a journal is: the URL of a PostgreSQL database? Else it is the path of a file. */
bool journal_is_database(struct str place);
/*
 * Open the journal. Borrows *options during the call.
 *
 * Blocks: before loops run, or on a worker.
 *
 * Errors: E_CONFIG: no such kind; the file is in use by another process, another program's, or a newer version's. E_IO: the disk, or the file
 * is damaged; the words say what to do. Of "postgres": those of client/postgres.h; E_UNSUPPORTED in simulation.
 */
err_t journal_open(const struct journal_options *options, struct journal **ret) MUST_CHECK;
/* Finish what was handed over and free. Blocks. NULL is allowed. */
void journal_close(struct journal *j);

/* Other processes may have it open: who of them works on what is then divided by leases (store/leases.h). */
bool journal_is_shared(const struct journal *j);

/* --- writing --- */

enum journal_durability {
    JOURNAL_SYNC,  /* wait until it is on the disk                                                            */
    JOURNAL_ASYNC, /* do not; a crash may take it, with all that came after it. Waits like the other while more than
                      JOURNAL_QUEUE_MAX bytes wait for the disk                                               */
};

/*
 * Bring about `n` operations, all or none, in their order. Commits of one fiber come about in their order, too.
 *
 * Suspends. Copies what it needs: *ops and all they point to may go when it returns, also when it was cut short.
 *
 * Errors: E_FENCED: another owner; E_NOT_FOUND: a step, effect or gate of a root that is not here, or a blob that is not; E_TOO_LARGE: a limit above;
 * E_CONFLICT: a name that is not UTF-8; E_IO: the disk refuses or is full, or the database is out of reach: wait, and hand the same over again; E_CANCELLED, E_DEADLINE: it comes about all the same, or not.
 * Of asynchronous commits errors that show later are logged and counted (journal_failures()).
 */
err_t journal_commit(struct journal *j, struct journal_op *ops, size_t n, enum journal_durability durability) SUSPENDS
MUST_CHECK;
/* Asynchronous commits that failed for good. From any thread. */
uint64_t journal_failures(const struct journal *j);
/* How long commits took that were waited for, since it was opened; with journal_spans. From any thread. */
extern const struct histogram_bounds journal_spans;
void journal_times(const struct journal *j, struct histogram *ret);
/* Gates that synchronous commits have decided, since it was opened: who waits for decisions looks whether it has changed. Where another process may decide it changes
 * by itself, every few seconds. From any thread. */
uint64_t journal_decisions(const struct journal *j);

/* --- reading --- */

/*
 * A page of what the journal has, with all that was handed over before by this fiber. What it points to is in the arena.
 *
 * Suspends. Errors: E_IO, also when a record is damaged; E_TOO_LARGE: the arena is full; E_CANCELLED, E_DEADLINE. Nothing found is a page
 * without records.
 */
err_t journal_read(struct journal *j, const struct journal_query *query, struct arena *arena, struct journal_page *ret)
    SUSPENDS MUST_CHECK;
/* The bytes of a blob, in the arena. Likewise; E_NOT_FOUND. */
err_t journal_blob(struct journal *j, const unsigned char sha256[SHA256_BYTES], struct arena *arena, struct str *ret)
    SUSPENDS MUST_CHECK;

/* --- for tests --- */

/* A journal in memory, in simulation: forget the commits that are under way or not written yet, as a crash does. */
void journal_memory_crash(struct journal *j);
/* Likewise: everything fails with E_IO, as for a process that is no more, or whose disk is full, until it is said otherwise. */
void journal_memory_stop(struct journal *j, bool is_stopped);

#endif
