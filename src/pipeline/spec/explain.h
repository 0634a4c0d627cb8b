/* explain.h - a pipeline in words: what it promises and why, and the file as it is understood. */
#ifndef PIPELINE_EXPLAIN_H
#define PIPELINE_EXPLAIN_H

#include "base/buf.h"
#include "pipeline/spec/pipeline.h"

/* Append what holds from each source to each sink and which row limits it, the longest ways, what is journaled, and what each node reads. */
err_t pipeline_explain(const struct pipeline_spec *s, struct buf *to) MUST_CHECK;
/* Append the file as it is understood: defaults filled in, calls put in, nodes in order. Without its secrets. */
err_t pipeline_show(const struct pipeline_spec *s, struct buf *to) MUST_CHECK;
/* The same of one source, node or sink, as far as its file has it. */
err_t pipeline_show_node(const struct pipeline_spec *s, const struct pipeline_node *n, struct buf *to) MUST_CHECK;

#endif
