/*
 * trial.h - the tests that a pipeline's author writes beside it: messages in, what is to arrive at each sink, who is not really asked.
 *
 * A trial runs the real engine on the pipeline as it is, but for its ends: its sources are the messages of the trial, its sinks only remember, and nodes
 * that ask somebody else are answered by the trial (mocks), or by what they were answered before (a cassette). It runs in a world of its own with
 * virtual time and a seed, so a pipeline that waits for minutes is tested in milliseconds, and a failure comes again with its seed.
 *
 *     TRY(trials_load(spec, &world, arena, &problems, &set));
 *     for each: TRY(trial_run(set.items[i], &options, arena, &outcome)); if (outcome.problem_count) …
 */
#ifndef PIPELINE_TRIAL_H
#define PIPELINE_TRIAL_H

#include "pipeline/run/traces.h"
#include "pipeline/spec/pipeline.h"
#include "pipeline/trial/cassette.h"
#include "rt/fiber.h"

struct gateway;

enum {
    TRIALS_MAX = 10000,         /* of a pipeline                    */
    TRIAL_FILE_MAX = 16 << 20,  /* bytes of a file of them          */
    TRIAL_RECORDS_MAX = 100000, /* that arrive at the sinks of one  */
};

struct trial; /* as a file has it; in the arena of who loaded it */

struct trial_set {
    const struct trial **items;
    size_t count;
};

/* What is wrong with an outcome. */
struct trial_problem {
    struct str where; /* "crm[0].amount", "dead letters" */
    struct str text;  /* one sentence                    */
};

struct trial_outcome {
    const struct trial_problem *problems;
    size_t problem_count;
    size_t records, letters; /* that arrived; that died */
    ns_t took;               /* of virtual time         */
};

/* Runs body(arg, gateway) with a gateway of this loop there. May suspend; the body's result. */
typedef err_t gateway_body_fn(void *arg, struct gateway *g) SUSPENDS;
typedef err_t with_gateway_fn(void *ctx, gateway_body_fn *body, void *arg) SUSPENDS;

struct trial_options {
    uint64_t seed;
    struct cassette *cassette; /* NULL: none. Its mode says whether those who are not mocked are really asked */
    /* While the cassette records: who has the gateway that models are asked of; NULL: there is none. */
    with_gateway_fn *with_gateway;
    void *gateway_ctx;
    /* Told of each trace when all is over, which then holds records: instead of what is to arrive being looked at. NULL: not. */
    err_t (*on_trace)(void *ctx, const struct root_trace *t);
    void *ctx;
};

/* The name, and the file and line where it is. */
struct str trial_name(const struct trial *t) PURE;
struct str trial_file(const struct trial *t) PURE;
unsigned trial_line(const struct trial *t) PURE;

/*
 * The tests that the pipeline names (`tests`), in the order of files and of what is in them. Blocks, as pipeline_load().
 *
 * world     as for pipeline_load(), which every run of a trial calls again; borrowed as long as the trials
 * arena     of the trials
 * problems  all that is wrong with the files is added
 *
 * E_CONFIG if there is any error.
 */
err_t trials_load(const struct pipeline_spec *spec, const struct pipeline_world *world, struct arena *arena,
                  struct problems *problems, struct trial_set *ret) MUST_CHECK;
/*
 * Run it: in virtual time, or, if the cassette records, in real time, for which workers must have been started. Blocks.
 *
 * Errors: E_CONFIG: the pipeline does not load, or a mock does not compile; those of the engine. What does not come out as it should is no error, but in *ret, whose texts are
 * in the arena.
 */
err_t trial_run(const struct trial *t, const struct trial_options *o, struct arena *arena, struct trial_outcome *ret)
    MUST_CHECK;

#endif
