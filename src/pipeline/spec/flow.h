/*
 * flow.h - what becomes of one root in a graph: who works, who waits, what is over. Pure: no I/O, no clock, no memory of its own.
 *
 * A root is one message that came in, with all that comes of it. Each edge carries any number of its records and then ends, once: taken,
 * dead (nothing was ever sent) or failed. A node has open inputs and active items; when it has neither, it ends its edges, and so the end
 * of everything travels down the graph by itself. Nobody marks paths that were not chosen: a switch just does not send there.
 * A root is complete when all nodes have ended; only then is it safe to forget its source's message.
 *
 * Three kinds of nodes: EACH works on records as they come. GATHER (a join by root) holds them and fires at most once, by construction.
 * ABSORB (a window, a join by key) takes them into a state that outlives the root; what comes out later is a root of its own that begins
 * at that node.
 *
 *     flow_begin(g, f, source);                          // the source has one active item: the message
 *     if (flow_send(g, f, edge) == FLOW_RUN) …           // a record goes along an edge: its target has an active item more
 *     flow_done(g, f, node, true);                       // an active item of the node is done with
 *     while (flow_next(g, f, &event)) …                  // what follows of that
 *
 * The state has no pointers: it may be moved, copied and compared.
 */
#ifndef PIPELINE_FLOW_H
#define PIPELINE_FLOW_H

#include "base/arena.h"
#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLOW_NODES_MAX = 256, FLOW_EDGES_MAX = 2048 };

enum flow_item { FLOW_EACH, FLOW_GATHER, FLOW_ABSORB };

struct flow_node {
    enum flow_item item;
    uint16_t need; /* GATHER: inputs with a record after which it fires; 0: not before all have ended          */
    bool partial;  /* GATHER: fires with what is there when the rest has failed or its time is over             */
    uint16_t first_out, out_count; /* its edges; set by flow_graph_make()                                       */
    uint16_t in_count;             /* likewise                                                                  */
};

struct flow_edge {
    uint16_t from, to; /* from < to: nodes are in topological order */
};

/* Immutable; in the arena that it was made in. */
struct flow_graph {
    const struct flow_node *nodes;
    const struct flow_edge *edges; /* by `from`, then as they were given */
    uint16_t node_count, edge_count;
    uint16_t dirty_at, edges_at; /* private: where in a state these are */
};

/*
 * Make a graph of `n` nodes and `m` edges, which are copied and put in order of their `from`; *ret_place (m of them, or NULL) tells where
 * each went. The caller has made sure of the limits above, and that each edge leads to a later node.
 */
struct flow_graph flow_graph_make(struct arena *a, const struct flow_node *nodes, size_t n,
                                  const struct flow_edge *edges, size_t m, uint16_t *ret_place);

/* How an edge, or a node, ended. */
enum flow_end {
    FLOW_OPEN,   /* it has not                                                        */
    FLOW_TAKEN,  /* records went along it, and nothing before it failed               */
    FLOW_DEAD,   /* nothing did                                                       */
    FLOW_FAILED, /* an item failed there or before: something that should be, is not */
};

enum flow_verdict {
    FLOW_RUN,  /* the target has an active item more                                 */
    FLOW_HELD, /* a GATHER keeps the record until it fires                           */
    FLOW_LATE, /* a GATHER has fired, or given up: the record is to be dropped       */
};

enum flow_event_kind {
    FLOW_FIRE,     /* the GATHER has an active item now: what it holds, put together */
    FLOW_ENDED,    /* the node: nothing of this root happens there any more          */
    FLOW_COMPLETE, /* the root: the last event                                       */
};

struct flow_event {
    enum flow_event_kind kind;
    uint16_t node;     /* of FIRE and ENDED                                     */
    enum flow_end end; /* of ENDED; of COMPLETE: FAILED if any node ended so    */
};

/* The state of one root: flow_size() bytes, aligned for 8; written by flow_begin(). */
struct flow;

/* Bytes of a state: 12 a node, 1 an edge, and less than 40. */
size_t flow_size(const struct flow_graph *g) PURE;
/* A root begins with an active item at `start`: at the source that it came from, or the ABSORB node that it comes out of. */
void flow_begin(const struct flow_graph *g, struct flow *f, uint16_t start);
/* An active item of the edge's node sends a record along it. */
enum flow_verdict flow_send(const struct flow_graph *g, struct flow *f, uint16_t edge);
/* An active item of the node is done with, well or not. */
void flow_done(const struct flow_graph *g, struct flow *f, uint16_t node, bool ok);
/* The time of a GATHER is over. Nothing happens if it has fired or ended. */
void flow_timeout(const struct flow_graph *g, struct flow *f, uint16_t node);
/* The next thing that follows of what was told; false if there is none. To be asked until then after each of the above. */
bool flow_next(const struct flow_graph *g, struct flow *f, struct flow_event *ret_event);

/* How the edge ended; whether anything went along it. */
enum flow_end flow_edge_end(const struct flow_graph *g, const struct flow *f, uint16_t edge) PURE;
bool flow_edge_sent(const struct flow_graph *g, const struct flow *f, uint16_t edge) PURE;
/* Does a GATHER hold records, or wait for some? */
bool flow_waits(const struct flow *f, uint16_t node) PURE;
/* Active items of a node. */
uint32_t flow_active(const struct flow *f, uint16_t node) PURE;

#endif
