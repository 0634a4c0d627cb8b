/*
 * rehearse.h - messages of former days, run once more through a candidate: what would come of them now?
 *
 * A pipeline that keeps samples (`samples`) leaves with a message's trace all its records, and what nodes that ask others were answered. The candidate is run on these messages in a
 * world of its own, with virtual time: nothing leaves the process, nobody is asked; who asks what was asked then gets the answer of then. Then the records are
 * held against each other, message by message and node by node, and what each sink gets also as a whole, by statistical tests (policy/drift.h).
 *
 * What a node asks otherwise than then has no answer: its message is counted, and not compared. State (windows, caches, keys that were seen) begins empty. Ids and
 * instants ($meta) are those of the rehearsal.
 */
#ifndef PIPELINE_REHEARSE_H
#define PIPELINE_REHEARSE_H

#include "pipeline/spec/compare.h"

enum {
    REHEARSAL_MESSAGES_MAX = 100000,
    REHEARSAL_FEATURES_MAX = 2000, /* paths of records that distributions are looked at of */
};

struct rehearsal_options {
    uint64_t seed;
    double alpha;  /* significance of all tests together                          */
    bool is_exact; /* that a sink gets something else for a message is a break, and no note */
};

struct rehearsal {
    size_t messages; /* that were run                                   */
    size_t left_out; /* traces without all records, or of another source */
    size_t unasked;  /* messages where somebody asked something else     */
    size_t compared;
    size_t tests; /* of distributions */
};

/*
 * Rehearse, and add what is different. Blocks, as trial_run(); world as for pipeline_load(), in which the candidate's file is loaded again.
 *
 * traces  as JSON, in the order in which they are to be run; borrowed
 *
 * Errors: those of trial_run().
 */
err_t rehearse(const struct pipeline_spec *candidate, const struct pipeline_world *world, const struct str *traces,
               size_t count, const struct rehearsal_options *o, struct impacts *to, struct rehearsal *ret) MUST_CHECK;

/* --- rehearse_drift.c: distributions, private --- */

struct spread; /* of the records of one sink, then and now */

struct spread *spread_new(struct arena *arena, struct str sink);
/* A record that the sink got. */
void spread_add(struct spread *s, bool is_now, struct json_node record);
/* How many tests there are to make of it. */
size_t spread_tests(struct spread *s);
/* Make them, each at this significance. */
void spread_judge(struct spread *s, double alpha, struct impacts *to);

#endif
