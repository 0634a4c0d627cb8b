/*
 * promise.h - how often each message has its effect at a sink, honestly.
 *
 * Each kind of source and sink states its own row (pipeline/spec/kind.h). What holds from one to the other is both rows together, and what the journal
 * adds: bits of what can go wrong, so that a source that may repeat and a sink that may lose promise nothing at all, instead of the
 * lesser of two words.
 */
#ifndef PIPELINE_PROMISE_H
#define PIPELINE_PROMISE_H

#include "pipeline/spec/build.h"

enum promise_limit { LIMIT_NOTHING, LIMIT_SOURCE, LIMIT_JOURNAL, LIMIT_SINK, LIMIT_CHOICE };

/* What holds from one source to one sink. */
struct promise_pair {
    unsigned bits;            /* enum promise                                                            */
    enum promise_limit limit; /* what keeps it from being more; the first of them                        */
    const char *why;          /* of that limit, or how it is kept; static                                */
    bool is_fast;             /* Kafka to Kafka through functions only: one transaction, and no journal */
};

/* Both are nodes of the spec, and there is a way from one to the other. */
struct promise_pair promise_of(const struct pipeline_spec *s, const struct pipeline_node *source,
                               const struct pipeline_node *sink);
/* The row that holds for a source or sink. */
const struct promise_row *promise_row_of(const struct pipeline_node *n);
/* "exactly once", "effectively once", "at least once", "at most once", "nothing (may be lost, may come twice)". */
const char *promise_words(unsigned bits);

/* Check that every pair can be what `delivery` and the sinks' `effect` say. */
void promise_check(struct pipeline_build *b);

/* The two tables of docs/guarantees.md, as Markdown. */
err_t promise_tables(struct buf *to) MUST_CHECK;

#endif
