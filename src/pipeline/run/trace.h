/*
 * trace.h - what became of a root, step by step: which node was given what, when, for how long, and what it made of it. Private to pipeline/.
 *
 * A trace holds no bodies, but fingerprints: whether two records were the same can be told, what was in them cannot. Only of a share that the file asks for (`samples`)
 * it holds the records, too: what it takes to do the same again. It is written while the root is under way,
 * in the root's memory, and stays in the journal when the root has gone, for as long as the pipeline keeps traces. It is also how a message that comes again is
 * known.
 */
#ifndef PIPELINE_TRACE_H
#define PIPELINE_TRACE_H

#include "pipeline/run/run.h"

enum {
    TRACE_STEPS_MAX = 256,         /* of a root; further ones are counted    */
    TRACE_SAMPLE_MAX = 1024 * 1024 /* bytes of the records of a sampled root */
};

struct trace_step {
    struct trace_step *next;
    uint16_t node;
    bool has_ended, ok;
    ns_t came, took;  /* since the root was begun */
    uint64_t in, out; /* fingerprints: of what it was given; of all that it sent, together */
    uint32_t sent;
    struct str record;  /* of a sampled root: what it was given, as JSON; absent: there was no room */
    struct str outputs; /* of one that asks others: what it made of it, as step_print_kept() has it */
};

struct trace {
    struct trace_step *first, **end;
    unsigned count; /* also of those that are not kept */
    unsigned failed;
    ns_t began;
    bool is_sampled, is_cut; /* cut: there was no room for all of its records */
    size_t bytes;            /* of the records that are kept                  */
};

/* A root begins. */
void trace_begin(struct root *r);
/* A record is there to be worked on, made by `from` (NULL: by nobody). */
void trace_came(struct record *rec, const struct record *from);
/* What its node made of it, which asks others: before it is sent. */
void trace_made(struct record *rec, const struct step *s);
/* It is done with. */
void trace_went(struct record *rec, bool ok);
/* The root is complete: its trace as JSON. E_TOO_LARGE past the buf's maximum. */
err_t trace_write(const struct root *r, struct buf *to) MUST_CHECK;

#endif
