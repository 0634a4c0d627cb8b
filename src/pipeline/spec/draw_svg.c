/*
 * draw_svg.c - the picture as SVG.
 *
 * A character of the layout is CHAR pixels wide and the font is monospaced, so text fits its box in every viewer. Colours are those of the ground that the picture is
 * shown on (`prefers-color-scheme`); shapes say what colours say as well: sources have round ends, sinks a double border.
 */
#include "pipeline/spec/draw.h"
#include "pipeline/spec/kind.h"

enum { CHAR = 8, BOX_HEIGHT = 44, LAYER_HEIGHT = 92, MARGIN = 16 };

static const char style[] = "  <style>\n"
                            "    text { font: 12px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; "
                            "text-anchor: middle; fill: #1b1f24; }\n"
                            "    .name { font-weight: 600; }\n"
                            "    .kind { fill: #57606a; }\n"
                            "    rect { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.2; }\n"
                            "    .source { fill: #ddf4ff; }\n"
                            "    .sink, .inner { fill: #dafbe1; }\n"
                            "    path { fill: none; stroke: #57606a; stroke-width: 1.4; }\n"
                            "    marker path { fill: #57606a; stroke: none; }\n"
                            "    @media (prefers-color-scheme: dark) {\n"
                            "      text { fill: #e6edf3; }\n"
                            "      .kind { fill: #9da7b3; }\n"
                            "      rect { fill: #21262d; stroke: #8b949e; }\n"
                            "      .source { fill: #0c2d4a; }\n"
                            "      .sink, .inner { fill: #12351e; }\n"
                            "      path { stroke: #8b949e; }\n"
                            "      marker path { fill: #8b949e; }\n"
                            "    }\n"
                            "  </style>\n"
                            "  <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" "
                            "markerHeight=\"8\" orient=\"auto\">"
                            "<path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n";

static int top_of(unsigned layer)
{
    return MARGIN + (int)layer * LAYER_HEIGHT;
}

static int left_of(int column)
{
    return MARGIN + column * CHAR;
}

static void put_text(struct buf *to, int x, int y, const char *class, struct str text)
{
    (void)buf_addf(to, "  <text class=\"%s\" x=\"%d\" y=\"%d\">%.*s</text>\n", class, x, y, STR_ARG(text));
}

static void put_rect(struct buf *to, int x, int y, int width, int height, int round, const char *class)
{
    (void)buf_addf(to, "  <rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/>\n", class, x, y,
                   width, height, round);
}

/* Names and kinds have only letters, digits and "-_/": nothing in them means anything to XML. */
static void put_box(struct buf *to, const struct draw_cell *c, const struct pipeline_node *n)
{
    static const char *const classes[] = {
        [PIPELINE_SOURCE] = "source", [PIPELINE_NODE] = "node", [PIPELINE_SINK] = "sink"};
    int x = left_of(c->x), y = top_of(c->layer), width = c->width * CHAR, middle = x + width / 2;

    put_rect(to, x, y, width, BOX_HEIGHT, n->role == PIPELINE_SOURCE ? BOX_HEIGHT / 2 : 4, classes[n->role]);
    if (n->role == PIPELINE_SINK)
        put_rect(to, x + 3, y + 3, width - 6, BOX_HEIGHT - 6, 2, "inner");
    put_text(to, middle, y + 19, "name", n->name);
    put_text(to, middle, y + 35, "kind", str_from_c(n->kind->name));
}

/* A curve that leaves downwards and arrives downwards; through a layer it goes straight. */
static void put_link(struct buf *to, const struct drawing *d, const struct draw_link *k)
{
    const struct draw_cell *from = &d->cells[k->from], *end = &d->cells[k->to];
    bool is_first = from->node != DRAW_NO_NODE, is_last = end->node != DRAW_NO_NODE;
    int x = left_of(k->out), y = top_of(from->layer) + BOX_HEIGHT, x2 = left_of(k->in), y2 = top_of(end->layer);
    int bend = (y2 - y) / 2;

    if (is_first)
        (void)buf_addf(to, "  <path d=\"M%d %d", x, y);
    (void)buf_addf(to, "C%d %d %d %d %d %d", x, y + bend, x2, y2 - bend, x2, y2);
    (void)(is_last ? buf_add_lit(to, "\" marker-end=\"url(#arrow)\"/>\n") : buf_addf(to, "V%d", y2 + BOX_HEIGHT));
}

err_t draw_svg(const struct pipeline_spec *s, struct buf *to)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct drawing d;

    TRY(draw_layout(s, &a, &d));
    int width = 2 * MARGIN + d.width * CHAR, height = 2 * MARGIN + ((int)d.layer_count - 1) * LAYER_HEIGHT + BOX_HEIGHT;
    (void)buf_addf(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n",
        width, height, width, height);
    (void)buf_addf(to, "  <title>%.*s, version %u</title>\n", STR_ARG(s->name), s->version);
    (void)buf_add(to, str_from_c(style));
    for (size_t i = 0; i < d.link_count; i++) /* the links of an edge stand together */
        put_link(to, &d, &d.links[i]);
    for (size_t i = 0; i < d.cell_count; i++)
        if (d.cells[i].node != DRAW_NO_NODE)
            put_box(to, &d.cells[i], s->nodes[d.cells[i].node]);
    (void)buf_add_lit(to, "</svg>\n");
    return buf_status(to);
}
