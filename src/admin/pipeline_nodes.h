/* pipeline_nodes.h - what shards count at nodes and edges, put together. Private to admin/. */
#ifndef ADMIN_PIPELINE_NODES_H
#define ADMIN_PIPELINE_NODES_H

#include "admin/admin_int.h"
#include "pipeline/run/shard.h"

struct node_sum {
    struct str name;
    const char *kind; /* static */
    enum pipeline_role role;
    struct node_numbers numbers;
};

struct edge_sum {
    struct str from, to;
    uint64_t records;
};

/* Of one pipeline. */
struct node_sums {
    struct node_sum *items;
    struct edge_sum *edges;
    size_t count, cap, edge_count, edge_cap;
};

/* Of several. */
struct pipeline_sums {
    const struct node_sums **of;
    struct str *names;
    size_t count;
};

/* Add what a shard, of that spec, has counted; memory, names too, is the arena's. On the shard's loop. */
void node_sums_add(struct node_sums *all, struct arena *a, const struct pipeline_spec *spec, const struct shard *s);
/* As members of the pipeline's object: nodes, edges. */
void node_sums_put(const struct node_sums *all, struct json_out *o);
/* As series. */
void node_sums_metrics(const struct pipeline_sums *all, struct buf *to);

#endif
