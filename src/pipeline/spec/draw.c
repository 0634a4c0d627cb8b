/*
 * draw.c - the layout of a picture: layers, order, columns.
 *
 * Sugiyama's steps, each in its plainest form. Layers by the longest way; cells for edges that skip layers; a few sweeps up and down that put each cell at the
 * mean of its neighbours, of which the order with the fewest crossings is kept; then columns: each cell wants to be under the mean of its
 * neighbours, and may not come nearer to the next than the gap. Of all such columns those with the least squared distance from the wanted ones
 * are found by pooling cells that press against each other (isotonic regression).
 */
#include "pipeline/spec/draw.h"

#include "pipeline/spec/kind.h"

#include <stdlib.h>

enum { SWEEPS = 12, SHIFTS = 12 };

static int box_width(const struct pipeline_node *n)
{
    size_t name = n->name.n, kind = strlen(n->kind->name),
           ports = 2 * (n->flow.out_count > n->flow.in_count ? n->flow.out_count : n->flow.in_count);
    size_t text = name > kind ? name : kind;

    return (int)((text > ports ? text : ports) + 4);
}

/* ---- cells and links ---- */

static uint16_t add_cell(struct drawing *d, uint16_t node, uint16_t layer, int width)
{
    d->cells[d->cell_count] = (struct draw_cell){.node = node, .layer = layer, .width = width};
    return (uint16_t)d->cell_count++;
}

static void add_link(struct drawing *d, uint16_t from, uint16_t to, uint16_t edge)
{
    d->links[d->link_count++] = (struct draw_link){.from = from, .to = to, .edge = edge};
}

static uint16_t *layers_of(const struct pipeline_spec *s, struct arena *a, size_t *ret_cells, uint16_t *ret_last)
{
    uint16_t *layer = arena_zalloc(a, (s->node_count + 1u) * sizeof *layer);
    size_t cells = s->node_count;

    *ret_last = 0;
    for (uint16_t e = 0; e < s->graph.edge_count; e++) { /* by their `from`, which is in order */
        const struct flow_edge *edge = &s->graph.edges[e];
        if (layer[edge->to] <= layer[edge->from])
            layer[edge->to] = (uint16_t)(layer[edge->from] + 1);
    }
    for (uint16_t e = 0; e < s->graph.edge_count; e++)
        cells += (size_t)(layer[s->graph.edges[e].to] - layer[s->graph.edges[e].from] - 1);
    for (uint16_t i = 0; i < s->node_count; i++)
        *ret_last = layer[i] > *ret_last ? layer[i] : *ret_last;
    *ret_cells = cells;
    return layer;
}

static void add_cells(const struct pipeline_spec *s, const uint16_t *layer, struct drawing *d)
{
    for (uint16_t i = 0; i < s->node_count; i++)
        (void)add_cell(d, i, layer[i], box_width(s->nodes[i]));
    for (uint16_t e = 0; e < s->graph.edge_count; e++) {
        const struct flow_edge *edge = &s->graph.edges[e];
        uint16_t at = edge->from;
        for (uint16_t l = (uint16_t)(layer[edge->from] + 1); l < layer[edge->to]; l++) {
            uint16_t through = add_cell(d, DRAW_NO_NODE, l, 1);
            add_link(d, at, through, e);
            at = through;
        }
        add_link(d, at, edge->to, e);
    }
}

static void fill_layers(struct drawing *d, struct arena *a)
{
    for (size_t i = 0; i < d->cell_count; i++)
        d->layers[d->cells[i].layer].count++;
    for (size_t l = 0; l < d->layer_count; l++) {
        d->layers[l].cells = arena_alloc(a, (d->layers[l].count + 1) * sizeof(uint16_t));
        d->layers[l].count = 0;
    }
    for (size_t i = 0; i < d->cell_count; i++) {
        struct draw_layer *l = &d->layers[d->cells[i].layer];
        l->cells[l->count++] = (uint16_t)i;
    }
}

/* ---- order ---- */

/* Each cell's place in its layer, in `order`. */
static void number(struct drawing *d)
{
    for (size_t l = 0; l < d->layer_count; l++)
        for (size_t i = 0; i < d->layers[l].count; i++)
            d->cells[d->layers[l].cells[i]].order = (double)i;
}

static size_t count_crossings(const struct drawing *d)
{
    size_t crossings = 0;

    for (size_t i = 0; i < d->link_count; i++)
        for (size_t k = i + 1; k < d->link_count; k++) {
            const struct draw_cell *a = &d->cells[d->links[i].from], *b = &d->cells[d->links[k].from];
            const struct draw_cell *x = &d->cells[d->links[i].to], *y = &d->cells[d->links[k].to];
            crossings += a->layer == b->layer && (a->order - b->order) * (x->order - y->order) < 0;
        }
    return crossings;
}

/* A cell and what it is sorted by; its former place decides among equals. */
struct rank {
    double mean;
    size_t place;
    uint16_t cell;
};

static int by_rank(const void *x, const void *y)
{
    const struct rank *a = x, *b = y;

    if (a->mean < b->mean || a->mean > b->mean)
        return a->mean < b->mean ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

/* Mean of what `value` says of the cell's neighbours above (or below); `otherwise` if there are none. */
static double mean_of(const struct drawing *d, uint16_t cell, bool above, double (*value)(const struct draw_cell *c),
                      double otherwise)
{
    double sum = 0;
    unsigned count = 0;

    for (size_t i = 0; i < d->link_count; i++) {
        const struct draw_link *k = &d->links[i];
        if ((above ? k->to : k->from) != cell)
            continue;
        sum += value(&d->cells[above ? k->from : k->to]);
        count++;
    }
    return count ? sum / count : otherwise;
}

static double order_of(const struct draw_cell *c)
{
    return c->order;
}

static double middle_of(const struct draw_cell *c)
{
    return c->x + c->width / 2.0;
}

static void sort_layer(struct drawing *d, struct draw_layer *l, bool above, struct rank *room)
{
    for (size_t i = 0; i < l->count; i++)
        room[i] = (struct rank){mean_of(d, l->cells[i], above, order_of, (double)i), i, l->cells[i]};
    qsort(room, l->count, sizeof *room, by_rank);
    for (size_t i = 0; i < l->count; i++) {
        l->cells[i] = room[i].cell;
        d->cells[l->cells[i]].order = (double)i;
    }
}

static void copy_order(const struct drawing *d, uint16_t *to)
{
    for (size_t l = 0; l < d->layer_count; l++) {
        memcpy(to, d->layers[l].cells, d->layers[l].count * sizeof *to);
        to += d->layers[l].count;
    }
}

static void take_order(struct drawing *d, const uint16_t *from)
{
    for (size_t l = 0; l < d->layer_count; l++) {
        memcpy(d->layers[l].cells, from, d->layers[l].count * sizeof *from);
        from += d->layers[l].count;
    }
    number(d);
}

static void find_order(struct drawing *d, struct arena *a)
{
    struct rank *room = arena_alloc(a, (d->cell_count + 1) * sizeof *room);
    uint16_t *best = arena_alloc(a, (d->cell_count + 1) * sizeof *best);

    number(d);
    copy_order(d, best);
    size_t least = count_crossings(d);
    for (int sweep = 0; sweep < SWEEPS && least; sweep++) {
        bool down = sweep % 2 == 0;
        for (size_t i = 0; i < d->layer_count; i++)
            sort_layer(d, &d->layers[down ? i : d->layer_count - 1 - i], down, room);
        size_t crossings = count_crossings(d);
        if (crossings < least) {
            least = crossings;
            copy_order(d, best);
        }
    }
    take_order(d, best);
}

/* ---- columns ---- */

/* Cells that press against each other: they move as one, to the mean of what they want. */
struct pool {
    double sum;
    size_t count;
};

/* Put a layer's cells as near as can be to where each wants its middle to be, in their order and apart. */
static void place_layer(struct drawing *d, const struct draw_layer *l, const double *wanted, struct pool *pools)
{
    size_t count = 0;
    double offset = 0;

    for (size_t i = 0; i < l->count; i++) {
        const struct draw_cell *c = &d->cells[l->cells[i]];
        pools[count++] = (struct pool){wanted[i] - c->width / 2.0 - offset, 1};
        offset += c->width + DRAW_GAP;
        while (count > 1 && pools[count - 2].sum * (double)pools[count - 1].count >
                                pools[count - 1].sum * (double)pools[count - 2].count) {
            pools[count - 2].sum += pools[count - 1].sum;
            pools[count - 2].count += pools[count - 1].count;
            count--;
        }
    }
    int before = 0; /* of the cells so far */
    for (size_t p = 0, i = 0; p < count; p++) {
        double mean = pools[p].sum / (double)pools[p].count;
        int start = (int)(mean < 0 ? mean - 0.5 : mean + 0.5);
        for (size_t k = 0; k < pools[p].count; k++, i++) {
            struct draw_cell *c = &d->cells[l->cells[i]];
            c->x = start + before;
            before += c->width + DRAW_GAP;
        }
    }
}

static void find_columns(struct drawing *d, struct arena *a)
{
    double *wanted = arena_alloc(a, (d->cell_count + 1) * sizeof *wanted);
    struct pool *pools = arena_alloc(a, (d->cell_count + 1) * sizeof *pools);
    int least = 0;

    for (int shift = 0; shift < SHIFTS; shift++) {
        bool down = shift % 2 == 0;
        for (size_t i = 0; i < d->layer_count; i++) {
            const struct draw_layer *l = &d->layers[down ? i : d->layer_count - 1 - i];
            for (size_t k = 0; k < l->count; k++) {
                double own = middle_of(&d->cells[l->cells[k]]);
                wanted[k] = mean_of(d, l->cells[k], down, middle_of, own);
            }
            place_layer(d, l, wanted, pools);
        }
    }
    for (size_t i = 0; i < d->cell_count; i++)
        least = d->cells[i].x < least || i == 0 ? d->cells[i].x : least;
    for (size_t i = 0; i < d->cell_count; i++) {
        struct draw_cell *c = &d->cells[i];
        c->x -= least;
        d->width = c->x + c->width > d->width ? c->x + c->width : d->width;
    }
}

/* ---- where links meet boxes ---- */

struct port {
    double towards;
    size_t link;
};

static int by_direction(const void *x, const void *y)
{
    const struct port *a = x, *b = y;

    if (a->towards < b->towards || a->towards > b->towards)
        return a->towards < b->towards ? -1 : 1;
    return (a->link > b->link) - (a->link < b->link);
}

/* Spread what leaves a cell (or arrives there) over its width, in the order of the other ends. */
static void place_ports(struct drawing *d, uint16_t cell, bool leaving, struct port *ports)
{
    const struct draw_cell *c = &d->cells[cell];
    size_t count = 0;

    for (size_t i = 0; i < d->link_count; i++)
        if ((leaving ? d->links[i].from : d->links[i].to) == cell)
            ports[count++] = (struct port){middle_of(&d->cells[leaving ? d->links[i].to : d->links[i].from]), i};
    qsort(ports, count, sizeof *ports, by_direction);
    for (size_t i = 0; i < count; i++) {
        int column = c->x + (int)((size_t)c->width * (2 * i + 1) / (2 * count));
        *(leaving ? &d->links[ports[i].link].out : &d->links[ports[i].link].in) = column;
    }
}

err_t draw_layout(const struct pipeline_spec *s, struct arena *a, struct drawing *ret)
{
    uint16_t last;
    size_t cells;
    const uint16_t *layer = layers_of(s, a, &cells, &last);

    if (cells > DRAW_CELLS_MAX)
        return fail(E_TOO_LARGE, "the pipeline is too large to be drawn");
    *ret = (struct drawing){.layer_count = last + 1u};
    ret->cells = arena_alloc(a, (cells + 1) * sizeof *ret->cells);
    ret->links = arena_alloc(a, (cells + s->graph.edge_count + 1u) * sizeof *ret->links);
    ret->layers = arena_zalloc(a, ret->layer_count * sizeof *ret->layers);
    add_cells(s, layer, ret);
    fill_layers(ret, a);
    find_order(ret, a);
    find_columns(ret, a);
    struct port *ports = arena_alloc(a, (ret->link_count + 1) * sizeof *ports);
    for (size_t i = 0; i < ret->cell_count; i++) {
        place_ports(ret, (uint16_t)i, true, ports);
        place_ports(ret, (uint16_t)i, false, ports);
    }
    return OK;
}
