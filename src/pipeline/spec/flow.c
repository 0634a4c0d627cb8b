/*
 * flow.c - the state machine of one root.
 *
 * State is a header, a cell per node, a byte per edge, and a set of nodes to be looked at again ("dirty"). Whatever is told changes counters
 * and marks the nodes that it may matter to; flow_next() takes the first of them, which in topological order is the one that no other dirty
 * node can still change by ending, and lets it fire or end. Ending marks the targets of its edges. So each event costs a few
 * instructions, and all of a root as many as it has edges and records.
 *
 * Invariants: `open` of a node is the number of its inputs that have not ended; an edge ends once, after the last record on it; a
 * GATHER fires only while it has neither fired nor given up nor ended; `left` nodes have not ended.
 *
 * Failure sticks: what comes after a failed item is incomplete, and says so down to the sinks. Only a GATHER that fires without what
 * failed ends that, because it was told to (`partial`, or fewer inputs than it has).
 */
#include "pipeline/spec/flow.h"

#include "base/err.h"

#include <assert.h>
#include <string.h>

enum cell_flag {
    CELL_ENDED = 1,
    CELL_FAILED = 2,        /* an item failed here, or a GATHER gave up       */
    CELL_FIRED = 4,         /* of a GATHER                                    */
    CELL_TIME_OVER = 8,     /* likewise                                       */
    CELL_INPUT_FAILED = 16, /* an input ended failed                        */
};

enum edge_flag { EDGE_SENT = 4 }; /* beside enum flow_end in the lowest two bits */

struct cell {
    uint32_t active;  /* items                                   */
    uint16_t open;    /* inputs that have not ended              */
    uint16_t arrived; /* inputs that something has come along    */
    uint8_t flags;    /* enum cell_flag                          */
};

struct flow {
    uint16_t left; /* nodes that have not ended */
    bool is_told;  /* that it is complete       */
    bool has_failed;
    struct cell cells[];
};

/* ---- places ---- */

static size_t words_of(size_t nodes)
{
    return (nodes + 63) / 64;
}

static uint64_t *dirty_of(const struct flow_graph *g, struct flow *f)
{
    return (uint64_t *)(void *)((char *)f + g->dirty_at);
}

static uint8_t *edges_of(const struct flow_graph *g, const struct flow *f)
{
    return (uint8_t *)(uintptr_t)f + g->edges_at;
}

size_t flow_size(const struct flow_graph *g)
{
    return (size_t)g->edges_at + g->edge_count;
}

static void mark(uint64_t *dirty, uint16_t node)
{
    dirty[node / 64] |= UINT64_C(1) << node % 64;
}

static bool take_first(const struct flow_graph *g, struct flow *f, uint16_t *ret_node)
{
    uint64_t *dirty = dirty_of(g, f), *end = (uint64_t *)(void *)edges_of(g, f);

    for (uint64_t *word = dirty; word < end; word++) {
        if (!*word)
            continue;
        *ret_node = (uint16_t)((word - dirty) * 64 + __builtin_ctzll(*word));
        *word &= *word - 1;
        return true;
    }
    return false;
}

/* ---- the graph ---- */

struct flow_graph flow_graph_make(struct arena *a, const struct flow_node *nodes, size_t n,
                                  const struct flow_edge *edges, size_t m, uint16_t *ret_place)
{
    struct flow_node *own = arena_alloc(a, (n + 1) * sizeof *own);
    struct flow_edge *sorted = arena_alloc(a, (m + 1) * sizeof *sorted);
    uint16_t at = 0;

    assert(n <= FLOW_NODES_MAX && m <= FLOW_EDGES_MAX);
    for (size_t i = 0; i < n; i++) {
        own[i] = nodes[i];
        own[i].first_out = at;
        own[i].in_count = own[i].out_count = 0;
        for (size_t e = 0; e < m; e++) {
            own[i].in_count += edges[e].to == i;
            own[i].out_count += edges[e].from == i;
            if (edges[e].from != i)
                continue;
            assert(edges[e].to > i && edges[e].to < n);
            if (ret_place)
                ret_place[e] = at;
            sorted[at++] = edges[e];
        }
    }
    size_t dirty_at = (sizeof(struct flow) + n * sizeof(struct cell) + 7) & ~(size_t)7;
    return (struct flow_graph){.nodes = own,
                               .edges = sorted,
                               .node_count = (uint16_t)n,
                               .edge_count = (uint16_t)m,
                               .dirty_at = (uint16_t)dirty_at,
                               .edges_at = (uint16_t)(dirty_at + words_of(n) * sizeof(uint64_t))};
}

/* ---- what is told ---- */

void flow_begin(const struct flow_graph *g, struct flow *f, uint16_t start)
{
    assert(start < g->node_count && g->nodes[start].item != FLOW_GATHER);
    memset(f, 0, flow_size(g));
    f->left = g->node_count;
    for (uint16_t i = 0; i < g->node_count; i++) {
        f->cells[i].open = g->nodes[i].in_count;
        if (!f->cells[i].open)
            mark(dirty_of(g, f), i);
    }
    f->cells[start].active = 1;
}

static bool is_deaf(const struct cell *c)
{
    return c->flags & (CELL_FIRED | CELL_TIME_OVER | CELL_ENDED);
}

enum flow_verdict flow_send(const struct flow_graph *g, struct flow *f, uint16_t edge)
{
    const struct flow_edge *e = &g->edges[edge];
    struct cell *target = &f->cells[e->to];
    uint8_t *state = edges_of(g, f) + edge;
    bool is_first = !(*state & EDGE_SENT);

    assert(edge < g->edge_count && f->cells[e->from].active > 0);
    *state |= EDGE_SENT;
    if (g->nodes[e->to].item == FLOW_GATHER && is_deaf(target))
        return FLOW_LATE;
    target->arrived += is_first;
    if (g->nodes[e->to].item != FLOW_GATHER) {
        assert(!(target->flags & CELL_ENDED) && target->active < UINT32_MAX);
        target->active++;
        return FLOW_RUN;
    }
    mark(dirty_of(g, f), e->to);
    return FLOW_HELD;
}

void flow_done(const struct flow_graph *g, struct flow *f, uint16_t node, bool ok)
{
    struct cell *c = &f->cells[node];

    assert(node < g->node_count && c->active > 0);
    c->active--;
    if (!ok)
        c->flags |= CELL_FAILED;
    if (!c->active)
        mark(dirty_of(g, f), node);
}

void flow_timeout(const struct flow_graph *g, struct flow *f, uint16_t node)
{
    struct cell *c = &f->cells[node];

    assert(node < g->node_count && g->nodes[node].item == FLOW_GATHER);
    if (is_deaf(c))
        return;
    c->flags |= CELL_TIME_OVER;
    mark(dirty_of(g, f), node);
}

/* ---- what follows ---- */

/* May a GATHER fire now? */
static bool may_fire(const struct flow_node *n, const struct cell *c)
{
    if (c->flags & (CELL_FIRED | CELL_ENDED) || !c->arrived)
        return false;
    if (n->need && c->arrived >= n->need)
        return true;
    if (c->flags & CELL_TIME_OVER)
        return n->partial;
    if (c->open)
        return false;
    return n->partial || (!n->need && !(c->flags & CELL_INPUT_FAILED));
}

/* Has a GATHER that does not fire come too short, rather than nothing having been for it? */
static bool gives_up(const struct flow_node *n, const struct cell *c)
{
    if (n->item != FLOW_GATHER || c->flags & CELL_FIRED)
        return false;
    return c->arrived || c->flags & (CELL_TIME_OVER | CELL_INPUT_FAILED);
}

static bool may_end(const struct flow_node *n, const struct cell *c)
{
    bool is_closed = !c->open || (n->item == FLOW_GATHER && c->flags & (CELL_FIRED | CELL_TIME_OVER));

    return is_closed && !c->active && !(c->flags & CELL_ENDED);
}

static bool has_failed(const struct flow_node *n, const struct cell *c)
{
    bool passes_on = n->item != FLOW_GATHER && c->flags & CELL_INPUT_FAILED;

    return passes_on || c->flags & CELL_FAILED || gives_up(n, c);
}

static enum flow_end end_node(const struct flow_graph *g, struct flow *f, uint16_t node)
{
    const struct flow_node *n = &g->nodes[node];
    struct cell *c = &f->cells[node];
    bool failed = has_failed(n, c), sent = !n->out_count && c->arrived; /* at a sink the records end */

    c->flags |= CELL_ENDED;
    uint8_t *state = edges_of(g, f) + n->first_out;
    uint64_t *dirty = dirty_of(g, f);
    for (const struct flow_edge *e = g->edges + n->first_out, *end = e + n->out_count; e < end; e++, state++) {
        struct cell *target = &f->cells[e->to];
        sent = sent || *state & EDGE_SENT;
        *state |= failed ? FLOW_FAILED : *state & EDGE_SENT ? FLOW_TAKEN : FLOW_DEAD;
        target->open--;
        if (failed)
            target->flags |= CELL_INPUT_FAILED;
        mark(dirty, e->to);
    }
    f->left--;
    f->has_failed = f->has_failed || failed;
    return failed ? FLOW_FAILED : sent ? FLOW_TAKEN : FLOW_DEAD;
}

bool flow_next(const struct flow_graph *g, struct flow *f, struct flow_event *ret_event)
{
    uint16_t node;

    while (take_first(g, f, &node)) {
        const struct flow_node *n = &g->nodes[node];
        struct cell *c = &f->cells[node];
        if (n->item == FLOW_GATHER && may_fire(n, c)) {
            c->flags |= CELL_FIRED;
            c->active++;
            *ret_event = (struct flow_event){.kind = FLOW_FIRE, .node = node};
            return true;
        }
        if (may_end(n, c)) {
            *ret_event = (struct flow_event){.kind = FLOW_ENDED, .node = node, .end = end_node(g, f, node)};
            return true;
        }
    }
    if (f->left || f->is_told)
        return false;
    f->is_told = true;
    *ret_event = (struct flow_event){.kind = FLOW_COMPLETE, .end = f->has_failed ? FLOW_FAILED : FLOW_TAKEN};
    return true;
}

enum flow_end flow_edge_end(const struct flow_graph *g, const struct flow *f, uint16_t edge)
{
    return (enum flow_end)(edges_of(g, f)[edge] & 3);
}

bool flow_edge_sent(const struct flow_graph *g, const struct flow *f, uint16_t edge)
{
    return edges_of(g, f)[edge] & EDGE_SENT;
}

bool flow_waits(const struct flow *f, uint16_t node)
{
    return !is_deaf(&f->cells[node]);
}

uint32_t flow_active(const struct flow *f, uint16_t node)
{
    return f->cells[node].active;
}
