/* graph.h - the steps between names in a file and a graph in order. Private to pipeline/. */
#ifndef PIPELINE_GRAPH_H
#define PIPELINE_GRAPH_H

#include "pipeline/spec/build.h"

/* The node that a name in a scope stands for: its own, that of a call, or the caller's for `input` if that reads just one; NULL. */
struct pipeline_node *graph_resolve(struct pipeline_build *b, const struct pipeline_scope *scope, struct str name);
/* The nearest name in the scope, as the end of a message; "". */
const char *graph_suggest(struct pipeline_build *b, const struct pipeline_scope *scope, struct str name);

/*
 * Find out where edges are and put b->nodes in topological order. Names that mean nothing and circles are problems; false: there is no
 * graph to go on with.
 */
bool graph_make(struct pipeline_build *b);
/* What the whole must fulfil, when each node is built: everything is read, budgets fit, joins can fire, promises can be kept. */
void graph_check(struct pipeline_build *b);

/* Is there a way from one node to another (or are they the same)? */
bool graph_reaches(const struct pipeline_spec *s, uint16_t from, uint16_t to);
/*
 * Of all ways to a node the one on which budgets add up to the most, from where the clock begins: a source, or a node that stops it.
 * Returns the sum, the node's own included; ret_path[0] is the first of *ret_count nodes.
 */
ns_t graph_longest(const struct pipeline_spec *s, uint16_t to, uint16_t ret_path[FLOW_NODES_MAX], size_t *ret_count);

#endif
