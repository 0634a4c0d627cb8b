/*
 * shard.h - a pipeline on one loop: its sources, what is under way, its sinks. Shards share nothing.
 *
 * Life: shard_new(), shard_run() until it returns or is cancelled, shard_free(). What was under way when it ended is begun again by the next run,
 * from the journal.
 */
#ifndef PIPELINE_SHARD_H
#define PIPELINE_SHARD_H

#include "base/histogram.h"
#include "pipeline/spec/pipeline.h"
#include "rt/fiber.h"
#include "store/journal.h"

struct shard;
struct gateway;
struct doors;
struct ears;
struct credit;
struct keyed;

/*
 * Who is told of messages when they are over, and of what taps show. Called on the shard's loop, in the midst of its work: to copy what it wants, and not to
 * suspend. Outlives the shard, which tells it of what is under way when it is freed as of what was cancelled.
 */
struct root_facts;
struct tap_facts;
struct pipeline_listener {
    void (*on_root)(void *ctx, const struct root_facts *f);
    void (*on_tap)(void *ctx, const struct tap_facts *f);
    void *ctx;
};

struct shard_options {
    struct pipeline_spec *spec; /* a reference is taken                                                    */
    struct journal *journal;    /* outlives the shard                                                      */
    struct gateway *gateway;    /* this loop's, which outlives it too; NULL: none                          */
    struct doors *doors;        /* where requests come in, of the process; outlives it; NULL: nobody listens */
    struct ears *ears;          /* where answers are heard, likewise; NULL: nobody hears them              */
    struct credit *credit;      /* what all shards of the loop may have under way; NULL: no limit          */
    const struct pipeline_listener *listener; /* NULL: nobody listens                                      */
    const struct keyed *unheard; /* formers_unheard() before former versions were run; outlives it; NULL: none */
    uint32_t number;             /* of the pipeline's shards                                               */
    bool only_finishes;          /* reads no source: finishes what this version has taken in, and ends     */
    bool is_whole;               /* no other shard has partitions of its sources                           */
    bool may_rest;               /* leaves what only waits in the journal, and knows of versions that did  */
    bool is_leased; /* other processes have the other shards, and this one if its journal refuses us with E_FENCED */
};

struct shard *shard_new(const struct shard_options *o);
/* NULL is allowed. */
void shard_free(struct shard *s);
/*
 * Take up what the journal has, then read the sources until all have ended and everything is done (OK), or the fiber is cancelled.
 *
 * Errors: those of sources and sinks that do not pass by waiting; E_FENCED: another process has taken over.
 */
err_t shard_run(struct shard *s) SUSPENDS MUST_CHECK;
/* Stop reading; shard_run() returns OK when what is under way is done. From fibers and callbacks of the loop, also when it does not run. */
void shard_drain(struct shard *s);

/*
 * When does a former version have something to do, of what it took in? NS_NEVER: never. And the fiber that is to be woken when that changes; NULL: none. Likewise.
 */
ns_t shard_former_due(const struct shard *s) PURE;
void shard_watch_formers(struct shard *s, struct fiber *watcher);
/* Former versions that have something to do are wanted again (version.h). Suspends. Errors: journal_commit()'s. */
err_t shard_want_formers(struct shard *s) SUSPENDS MUST_CHECK;
/* Of one that has ended, and may rest: when what it has left in the journal has to go on, nanoseconds since 1970; INT64_MAX: nothing waits. */
int64_t shard_rests_until(const struct shard *s) PURE;

/*
 * The dead letters of a root were replayed (pipeline/run/letters.h): begin it again, if it is this shard's, without waiting for the next run. Does not suspend;
 * likewise.
 */
void shard_replay(struct shard *s, const struct journal_id *root);

/* What a shard counts, since it was made. */
struct shard_stats {
    uint64_t roots;     /* taken in                                  */
    uint64_t again;     /* of these, messages that had come before   */
    uint64_t resumed;   /* roots that the journal had                */
    uint64_t completed; /* roots                                     */
    uint64_t dead;      /* dead letters                              */
    uint64_t emitted;   /* records that sinks have applied           */
    uint64_t late;      /* items that could not be in time any more  */
    uint64_t missed;    /* answers of the gateway that could not be kept */
    uint64_t under_way; /* roots now                                 */
    uint64_t bytes;     /* of their arenas, about                    */
};
void shard_stats(const struct shard *s, struct shard_stats *ret);

/* What it counts at a node, since it was made. */
struct node_numbers {
    uint64_t in, out;      /* records that came; that it has sent                                       */
    uint64_t failed;       /* records that it was done with, and not well                              */
    struct histogram took; /* of all that it was done with, from when they came; with node_spans        */
    double burnt;          /* the same as shares of the pipeline's deadline, added up; 0: it has none    */
    uint64_t waiting,
        waiting_bytes; /* now: records that came and are not done with, those that are worked on included; of traced ones their JSON's bytes */
    uint64_t in_lanes; /* of these: that wait for the turn of their lane                            */
    uint64_t calls, input_tokens, output_tokens, nano_usd; /* of models that were asked                        */
    uint64_t unpriced; /* calls of no known price                                               */
    uint64_t retries,
        late; /* of nodes that call, and sinks: tries after the first; items that could not be in time any more */
    uint64_t agreed,
        differed;     /* of one that is tried out: messages for which it yielded what the node in use did, or not */
    uint64_t batches; /* of sinks: applied                                                     */
    uint64_t dead[ERR_COUNT]; /* dead letters, by cause; [OK]: of poison                                */
    uint64_t active;          /* calls under way, or about to be                                        */
    const char *breaker;      /* "closed", "open", "half_open"; NULL: it has none. Static                 */
    bool is_failing;          /* of a sink: the last try has failed, and there will be another               */
};
extern const struct histogram_bounds node_spans;
/* Of the node of that index in its spec; of that edge of its graph: records that went along. Likewise. */
void shard_node(const struct shard *s, uint16_t node, struct node_numbers *ret);
uint64_t shard_edge(const struct shard *s, uint16_t edge);

#endif
