/*
 * runner.h - the pipelines of a process, as one loop sees them: which run there, in which version, and how they end.
 *
 * Each loop has a runner of its own. A pipeline has `workers` shards (shard.h), numbered; each lives on one loop, which follows from the pipeline's name, the
 * shard's number and the number of loops, so nobody needs to agree on anything.
 *
 * Versions. What is installed is what new messages go to. A pipeline whose file is the same goes on undisturbed. One that has changed stops reading; the
 * new version reads on as soon as the old one's sources have ended, while messages that came before are finished by the version that took them in, also
 * after a restart: the journal keeps what is needed to load a version as long as a message needs it. What has one key keeps its order across versions.
 *
 *     r = runner_new(&options);                        // on any thread, for each loop
 *     runner_install(r, set);                          // on its loop (or before it runs): what runs from now on; may be called again
 *     scope_spawn(&fibers, "pipelines", runner_run, r) // in a fiber of the loop
 *     runner_drain(r);                                 // stop reading, finish what is under way; runner_run() then returns
 */
#ifndef PIPELINE_RUNNER_H
#define PIPELINE_RUNNER_H

#include "pipeline/run/shard.h"
#include "pipeline/spec/pipeline.h"
#include "rt/fiber.h"
#include "store/journal.h"

struct gateway;
struct doors;
struct ears;
struct leases;
struct runner;

/* What may be under way at a time on one loop, in all pipelines together; 0: no limit but the pipelines' own. */
struct runner_limits {
    uint64_t roots, bytes;
};

struct runner_options {
    struct journal *journal; /* outlives the runner                                       */
    struct leases *
        leases; /* of the process, when others share the journal: a shard runs while we have its lease. Outlives the runner; NULL: all are ours */
    struct gateway *gateway; /* this loop's, for model nodes; outlives it; NULL: none      */
    struct doors *doors;     /* the process's, for sources that clients send to; outlives it; NULL: nobody listens */
    struct ears *ears;       /* the process's, for sources that hear what clients are answered; likewise */
    const struct pipeline_listener *listener; /* of this loop's pipelines; outlives it; NULL: nobody listens */
    unsigned loop, loops;                     /* this loop is number `loop` of so many                      */
    bool
        ends; /* runner_run() returns when all sources have ended and all is done; else it waits for what is installed next */
    struct runner_limits limits;
};

struct runner *runner_new(const struct runner_options *o);
/* When runner_run() has returned. NULL is allowed. */
void runner_free(struct runner *r);

/*
 * These pipelines are the ones that run from now on. Takes references to their specs; the set stays the caller's. Pipelines that are not among them
 * stop reading and finish what is under way.
 *
 * Does not suspend: from fibers and callbacks of the loop, and before it runs.
 */
void runner_install(struct runner *r, const struct pipeline_set *set);
/* All sources stop; when what is under way is done, runner_run() returns OK. From fibers and callbacks of the loop. */
void runner_drain(struct runner *r);

/*
 * Run what is installed until the fiber is cancelled, or drained, or (`ends`) everything has ended. `runner` is a struct runner; the signature is a
 * fiber's. What is under way when it is cancelled goes on from the journal with the next run.
 *
 * A shard whose lease is another process's waits for it; one whose lease is lost is cut off, and waits again.
 *
 * A pipeline that fails (a sink that cannot be opened, say) is begun again after a pause that grows to a minute, and the others do not notice; with
 * `ends` its error is returned instead. E_CANCELLED; with `ends` the errors of shard_run().
 */
err_t runner_run(void *runner) SUSPENDS;

/* Dead letters of the root were replayed: whichever shard of the pipeline has it begins it again. Likewise, from visits of the loop too. */
void runner_replay(struct runner *r, struct str pipeline, const struct journal_id *root);

/* A shard of a pipeline on this loop. */
struct runner_status {
    const struct pipeline_spec *spec;
    uint32_t shard;           /* its number                                                                */
    bool is_current;          /* false: an older version, which finishes what it took in                    */
    bool is_running;          /* false: it has failed, and will be begun again, or waits for the old one     */
    const char *failure;      /* the words of the last failure; "" if there was none                        */
    const struct shard *live; /* for shard_node() and shard_edge(); NULL: none runs                       */
    struct shard_stats stats;
};
/* Tell of all shards on this loop. Does not suspend: for visits of the loop (rt/loops.h). The status is valid during the call. */
void runner_each(const struct runner *r, void (*each)(void *ctx, const struct runner_status *s), void *ctx);

/* What all shards of this runner have counted, those that have ended included. Likewise, and when it has ended. */
void runner_totals(const struct runner *r, struct shard_stats *ret);

#endif
