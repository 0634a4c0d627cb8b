/* postgres_table.h - rows to a table of PostgreSQL, each batch once: what the kinds of sinks that do this have in common. Private to pipeline/. */
#ifndef PIPELINE_POSTGRES_TABLE_H
#define PIPELINE_POSTGRES_TABLE_H

#include "pipeline/run/run.h"

struct postgres_table {
    const struct pipeline_node *sink;
    struct str pipeline; /* its name */
    size_t width;        /* values of a row */
    /* Append the statement that inserts so many rows. */
    err_t (*insert)(const struct pipeline_node *sink, size_t rows, struct buf *to) MUST_CHECK;
    /* A row's values for a record; an error is the record's: it becomes a dead letter. */
    err_t (*row)(struct step *s, const struct batch_item *item, struct str *ret_values) MUST_CHECK;
};

/* As the slots of struct sink_run; the options are copied, what they point to is borrowed. */
err_t postgres_table_open(const struct postgres_table *t, const struct sink_at *at, bool *ret_applied, void **ret_state)
    SUSPENDS MUST_CHECK;
err_t postgres_table_apply(void *state, const struct batch *b) SUSPENDS MUST_CHECK;
void postgres_table_close(void *state) SUSPENDS;

#endif
