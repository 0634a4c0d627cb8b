/*
 * draw.h - a pipeline as a picture: laid out once, drawn as SVG or in the characters of a terminal.
 *
 * Layers from top to bottom: each node is one below the lowest that it reads. An edge over several layers goes through a place of its own in each,
 * so nothing is drawn over anything else. Within a layer nodes are where their neighbours are, in an order with few crossings. Units are
 * characters; nothing depends on fonts, clocks or addresses, so the same file always gives the same picture.
 */
#ifndef PIPELINE_DRAW_H
#define PIPELINE_DRAW_H

#include "base/buf.h"
#include "pipeline/spec/pipeline.h"

enum { DRAW_NO_NODE = 0xffff, DRAW_GAP = 3, DRAW_CELLS_MAX = 8192 };

/* A box, or the place where a long edge goes through a layer. */
struct draw_cell {
    uint16_t node; /* DRAW_NO_NODE: an edge goes through */
    uint16_t layer;
    int x, width; /* left edge, from 0 */
    double order; /* while it is sorted */
};

/* A part of an edge: from a cell to one in the next layer. */
struct draw_link {
    uint16_t from, to; /* cells */
    uint16_t edge;
    int out, in; /* columns where it leaves and arrives */
};

struct draw_layer {
    uint16_t *cells; /* from left to right */
    size_t count;
};

struct drawing {
    struct draw_cell *cells;
    struct draw_link *links;
    struct draw_layer *layers;
    size_t cell_count, link_count, layer_count;
    int width;
};

/* Lay a pipeline out, in the arena. E_TOO_LARGE if it takes more than DRAW_CELLS_MAX places. */
err_t draw_layout(const struct pipeline_spec *s, struct arena *a, struct drawing *ret) MUST_CHECK;
/* Append an SVG document that stands on light and on dark ground. */
err_t draw_svg(const struct pipeline_spec *s, struct buf *to) MUST_CHECK;
/* Append it in characters: box drawing, or with `ascii` only what every terminal has. */
err_t draw_text(const struct pipeline_spec *s, bool ascii, struct buf *to) MUST_CHECK;

#endif
