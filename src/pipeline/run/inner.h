/*
 * inner.h - pipelines within pipelines: the body of a node (`loop`, `cache`), run for one value.
 *
 * A body has a shard of its own for each node that runs it, without sources, sinks and journal; a run is a root in it. What its nodes record belongs to
 * the root that the value came from, so after a crash the same run finds what it has paid for.
 */
#ifndef PIPELINE_INNER_H
#define PIPELINE_INNER_H

#include "pipeline/run/run.h"
#include "rt/scope.h"

struct inner; /* one run */

/*
 * Run the node's body for the value, and wait for what it yields: one record, neither none nor several. `turn` tells apart what an item runs: the same number,
 * the same ids. It ends by the deadline of the fiber, too.
 *
 * Suspends. *ret is in the root's arena. Errors: those of the body's nodes, in their words; E_PARSE: it yields nothing, or several; E_DEADLINE, E_CANCELLED.
 */
err_t step_run_body(struct step *s, unsigned turn, struct expr_value value, struct expr_value *ret) SUSPENDS MUST_CHECK;

/* --- for the shard --- */

/* The shards of all bodies of its nodes, and theirs. */
void inner_make_all(struct shard *s);
void inner_free_all(struct shard *s);
/* Let them run: what they call in one scope, their timers in the other. */
void inner_start_all(struct shard *s, struct scope *calls, struct scope *fibers);
void inner_stop_all(struct shard *s);
/* A root in a body: its output node has sent this; an item of it has failed, for the current error; it is complete, and goes. */
void inner_output(struct root *r, struct expr_value value);
void inner_failed(struct root *r, err_t e);
void inner_complete(struct root *r);
/* It goes without having been complete. */
void inner_drop(struct root *r);
/* Whose root it is, as the journal has it: itself, or that of the value that it was run for. NULL: nobody waits for it any more. */
struct root *root_owner(struct root *r);

#endif
