/*
 * keeper.h - nodes that keep something: a fiber for each, which takes what has come, lets the node decide, and commits all of it at once.
 *
 * Two kinds of nodes have one. Of those that `decide`, what they yield is recorded together with what they remember, before anybody reads it. Those that
 * `absorb` take a record into a state that outlives its root: the state, and that the record is done, are one commit; what comes out later is a root of
 * its own, which is taken in with the same commit that takes it out of the state.
 *
 * Nothing of a node is committed beside its keeper, so its commits come about in the order of its decisions.
 */
#ifndef PIPELINE_KEEPER_H
#define PIPELINE_KEEPER_H

#include "pipeline/run/run.h"
#include "rt/fiber.h"

struct keeper;

/* What a node that absorbs does. `state` is what open() returned. */
struct absorb_run {
    /* Make ready: read what the journal has. */
    err_t (*open)(struct keeper *k, void **ret_state) SUSPENDS; /* what it has set is closed, also if it fails */
    /* Begin again the roots that have come out of the node and are not complete. NULL: as those of a source. */
    err_t (*resume)(struct keeper *k, void *state) SUSPENDS;
    /* A root that has come out of it is to begin, or to begin again: what it must know besides its message. The arena is for what is needed meanwhile. NULL. */
    err_t (*recall)(struct root *r, struct arena *arena) SUSPENDS;
    /* Take the record in: change the state, and tell the journal by keeper_op() and keeper_root(). On an error nothing is changed. */
    err_t (*take)(struct keeper *k, void *state, struct step *s);
    /* Do what is due, likewise; *ret_next: when something will be, by the loop's clock; NS_NEVER: never. */
    void (*due)(struct keeper *k, void *state, ns_t *ret_next);
    /* After a commit, and when there was nothing to commit. NULL: nothing. */
    err_t (*after)(struct keeper *k, void *state) SUSPENDS;
    /* Of what waits and is not a root under way: when has the first to go on, nanoseconds since 1970? INT64_MAX: nothing does. NULL: as if. */
    int64_t (*rests_until)(const void *state);
    void (*close)(void *state);
};

/* --- for nodes that absorb --- */

struct shard *keeper_shard(const struct keeper *k);
const struct pipeline_node *keeper_node(const struct keeper *k);
/* Memory until what is being done is committed. */
struct arena *keeper_arena(struct keeper *k);
/* With the next commit; what it points to lives until then. */
void keeper_op(struct keeper *k, const struct journal_op *op);
/* So many bytes more will be committed, which nobody knows of yet; and is there room for more in this round? */
void keeper_weigh(struct keeper *k, size_t bytes);
bool keeper_has_room(const struct keeper *k);
/* With the next commit the message becomes a root that begins at the node, and after it that root begins. */
void keeper_root(struct keeper *k, struct journal_id id, const struct message *m);
/* The operation for that, and nothing else: it is begun by whoever wants. */
void keeper_root_put(struct keeper *k, struct journal_id id, const struct message *m);

/* --- for the shard --- */

struct keeper *keeper_new(struct shard *s, const struct pipeline_node *n);
/* NULL is allowed. */
void keeper_free(struct keeper *k);
/* A record for the node. */
void keeper_add(struct keeper *k, struct record *r);
/* As of struct absorb_run, once it was opened. */
int64_t keeper_rests_until(const struct keeper *k);
/* Forget the records of a root that is dropped. */
void keeper_forget(struct keeper *k, const struct root *r);
/* Before anything is begun: read the state. */
err_t keeper_open(struct keeper *k) SUSPENDS MUST_CHECK;
/* Begin again what has come out of it. */
err_t keeper_resume(struct keeper *k) SUSPENDS MUST_CHECK;
/* Work until cancelled. */
err_t keeper_run(void *keeper) SUSPENDS;
/* Is the node one that has a keeper; one that absorbs? */
bool node_keeps(const struct pipeline_node *n) PURE;
bool node_absorbs(const struct pipeline_node *n) PURE;

#endif
