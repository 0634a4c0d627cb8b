/*
 * meter.h - what a shard counts at each node and on each edge. Private to pipeline/; who shows it reads struct node_numbers (shard.h).
 *
 * A record is counted where it is: it comes to a node, waits there or is worked on, and is done with. What waits is known of each root as well, so that a root
 * that goes, for whatever reason, takes what it has left with it.
 */
#ifndef PIPELINE_METER_H
#define PIPELINE_METER_H

#include "pipeline/run/run.h"
#include "pipeline/run/shard.h"

/* Of one root at one node: records that came and are not done with. */
struct node_load {
    uint32_t records, bytes; /* bytes of their JSON */
};

struct meter {
    struct node_numbers *nodes; /* by node */
    uint64_t *edges;            /* by edge: records that went along */
};

struct meter *meter_new(const struct pipeline_spec *spec);
/* NULL is allowed. */
void meter_free(struct meter *m);

/* A record comes to its node; `late`: a join has no use for it any more. */
void meter_came(struct record *rec, bool is_late);
/* It is done with. */
void meter_went(const struct record *rec, bool ok);
/* What a join has held of the root, `first` being the first of it, is one record from now on; NULL: it is nothing. */
void meter_joined(struct root *r, uint16_t node, const struct record *first, struct record *made);
/* Records of the root, in its lane, have to wait for their turn at the node, or have it now. */
void meter_turn(struct root *r, uint16_t node, int waiting);
/* The root goes. */
void meter_left(struct root *r);
/* A dead letter; and one whose cause is known by its name only. */
void meter_dead(struct shard *s, uint16_t node, err_t cause);
void meter_buried(struct shard *s, uint16_t node, struct str cause);
/* The node has sent a record. */
void meter_sent(const struct step *s);
/* It cannot be in time any more. */
void meter_late(const struct step *s);
/* What it has asked for has cost this. */
struct meter_bill {
    uint64_t input_tokens, output_tokens, nano_usd;
    bool is_unpriced;
};
void meter_paid(const struct step *s, const struct meter_bill *bill);

#endif
