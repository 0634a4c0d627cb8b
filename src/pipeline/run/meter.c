/*
 * meter.c - counting at nodes and edges: a few additions for each record, on the shard's loop, in memory that was taken with the shard and with the root.
 *
 * Invariant: what waits at a node, by the shard's numbers, is the sum of what its roots say (struct node_load). So nothing that goes another way than through
 * the end of its node can leave a gauge that never falls.
 */
#include "pipeline/run/meter.h"

#include "base/mem.h"
#include "pipeline/run/shard_int.h"
#include "rt/loop.h"

static const ns_t spans[] = {100 * NS_US, NS_MS,       5 * NS_MS,   25 * NS_MS,     100 * NS_MS,
                             250 * NS_MS, 500 * NS_MS, NS_SEC,      5 * NS_SEC / 2, 5 * NS_SEC,
                             10 * NS_SEC, 30 * NS_SEC, 60 * NS_SEC, 300 * NS_SEC};
const struct histogram_bounds node_spans = {spans, ARRAY_LEN(spans)};

struct meter *meter_new(const struct pipeline_spec *spec)
{
    struct meter *m = NEW(struct meter);

    m->nodes = mem_zalloc(spec->node_count, sizeof *m->nodes);
    m->edges = mem_zalloc(spec->graph.edge_count + 1U, sizeof *m->edges);
    return m;
}

void meter_free(struct meter *m)
{
    if (!m)
        return;
    mem_free(m->nodes);
    mem_free(m->edges);
    mem_free(m);
}

static struct node_numbers *at(const struct root *r, uint16_t node)
{
    return &r->shard->meter->nodes[node];
}

static void change(struct root *r, uint16_t node, int64_t records, int64_t bytes)
{
    struct node_numbers *n = at(r, node);

    r->load[node].records += (uint32_t)records;
    r->load[node].bytes += (uint32_t)bytes;
    n->waiting += (uint64_t)records;
    n->waiting_bytes += (uint64_t)bytes;
}

void meter_came(struct record *rec, bool is_late)
{
    rec->came = rt_now();
    node_set_add(&rec->root->count.nodes, rec->node);
    at(rec->root, rec->node)->in++;
    if (!is_late)
        change(rec->root, rec->node, 1, rec->size);
}

static void burn(struct node_numbers *n, const struct root *r, ns_t took)
{
    ns_t deadline = r->shard->spec->deadline;

    if (deadline != NS_NEVER)
        n->burnt += (double)took / (double)deadline;
}

void meter_went(const struct record *rec, bool ok)
{
    struct root *r = rec->root;
    struct node_numbers *n = at(r, rec->node);
    ns_t took = rt_now() - rec->came;

    n->failed += !ok;
    histogram_add(&n->took, &node_spans, took > 0 ? took : 0);
    burn(n, r, took);
    change(r, rec->node, -1, -(int64_t)rec->size);
}

void meter_joined(struct root *r, uint16_t node, const struct record *first, struct record *made)
{
    struct node_load load = r->load[node];

    change(r, node, -(int64_t)load.records, -(int64_t)load.bytes);
    if (!made)
        return;
    made->came = first ? first->came : rt_now();
    change(r, node, 1, made->size);
}

void meter_turn(struct root *r, uint16_t node, int waiting)
{
    at(r, node)->in_lanes += (uint64_t)(int64_t)waiting;
}

void meter_left(struct root *r)
{
    const struct flow_graph *g = &r->shard->spec->graph;

    for (uint16_t i = 0; i < g->node_count; i++) {
        struct node_load load = r->load[i];
        change(r, i, -(int64_t)load.records, -(int64_t)load.bytes);
        if (g->nodes[i].item != FLOW_GATHER && r->held[i].count)
            meter_turn(r, i, -(int)r->held[i].count);
    }
}

void meter_dead(struct shard *s, uint16_t node, err_t cause)
{
    s->stats.dead++;
    s->meter->nodes[node].dead[cause]++;
}

void meter_buried(struct shard *s, uint16_t node, struct str cause)
{
    unsigned e = OK + 1;

    while (e < ERR_COUNT && !str_eq(cause, str_from_c(err_name((err_t)e))))
        e++;
    meter_dead(s, node, e < ERR_COUNT ? (err_t)e : OK);
}

void meter_sent(const struct step *s)
{
    at(s->root, s->node->index)->out++;
}

void meter_paid(const struct step *s, const struct meter_bill *bill)
{
    struct root *r = root_owner(s->root);
    struct node_numbers *n = at(s->root, s->node->index);

    n->calls++;
    n->input_tokens += bill->input_tokens;
    n->output_tokens += bill->output_tokens;
    n->nano_usd += bill->nano_usd;
    n->unpriced += bill->is_unpriced;
    if (!r)
        return; /* nobody waits for it any more */
    r->count.calls++;
    r->count.input_tokens += bill->input_tokens;
    r->count.output_tokens += bill->output_tokens;
    r->count.nano_usd += bill->nano_usd;
    r->count.is_unpriced |= bill->is_unpriced;
}

void meter_late(const struct step *s)
{
    struct root *r = root_owner(s->root);

    s->root->shard->stats.late++;
    at(s->root, s->node->index)->late++;
    if (r)
        r->count.late++;
}

/* --- for whoever shows it --- */

static const char *breaker_of(const struct caller *c)
{
    if (!c->care || c->care->breaker_rules.share == 0)
        return NULL;
    switch (c->care->breaker.state) {
    case OUTLIER_EJECTED:
        return "open";
    case OUTLIER_PROBING:
        return "half_open";
    case OUTLIER_IN_USE:
    case OUTLIER_STARTING:
    case OUTLIER_STATES:
        break;
    }
    return "closed";
}

void shard_node(const struct shard *s, uint16_t node, struct node_numbers *ret)
{
    const struct caller *c = &s->callers[node];
    const struct emitter *e = &s->emitters[node];

    *ret = s->meter->nodes[node];
    ret->active = c->active;
    ret->breaker = breaker_of(c);
    ret->is_failing = e->is_failing;
}

uint64_t shard_edge(const struct shard *s, uint16_t edge)
{
    return s->meter->edges[edge];
}
