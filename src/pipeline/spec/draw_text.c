/*
 * draw_text.c - the picture in the characters of a terminal.
 *
 * A canvas of characters, each of which knows to which of its four sides a line goes; what stands there follows from that, so lines that cross or branch need no care.
 * Between two layers edges run down, across on a track, and down again. Two that would run on the same stretch of a track get different ones,
 * and one that comes down where another goes down gets the track below, so that the two never run in one column.
 */
#include "pipeline/spec/draw.h"
#include "pipeline/spec/kind.h"

enum { UP = 1, DOWN = 2, LEFT = 4, RIGHT = 8, BOX_ROWS = 4, CANVAS_MAX = 4 << 20 };

struct canvas {
    int width, height;
    uint8_t *lines; /* sides that a line goes to           */
    char *text;     /* instead, if it is not 0             */
    bool ascii;
};

static void mark(struct canvas *c, int x, int y, unsigned sides)
{
    c->lines[(size_t)y * (size_t)c->width + (size_t)x] |= (uint8_t)sides;
}

static void put(struct canvas *c, int x, int y, struct str text)
{
    memcpy(c->text + (size_t)y * (size_t)c->width + (size_t)x, text.p, text.n);
}

static void line_down(struct canvas *c, int x, int y, int y2)
{
    for (int i = y; i < y2; i++) {
        mark(c, x, i, DOWN);
        mark(c, x, i + 1, UP);
    }
}

static void line_across(struct canvas *c, int x, int x2, int y)
{
    int from = x < x2 ? x : x2, to = x < x2 ? x2 : x;

    for (int i = from; i < to; i++) {
        mark(c, i, y, RIGHT);
        mark(c, i + 1, y, LEFT);
    }
}

/* ---- tracks ---- */

struct track {
    const struct draw_link *link;
    int row;
};

static bool share_a_stretch(const struct draw_link *a, const struct draw_link *b)
{
    int a1 = a->out < a->in ? a->out : a->in, a2 = a->out < a->in ? a->in : a->out;
    int b1 = b->out < b->in ? b->out : b->in, b2 = b->out < b->in ? b->in : b->out;

    return a1 <= b2 && b1 <= a2;
}

/* The first row that is free for a link, given those before; below all that go down where it comes down. */
static int find_row(const struct track *tracks, size_t count, const struct draw_link *k)
{
    int row = 0;

    for (size_t i = 0; i < count; i++)
        if (tracks[i].link->out == k->in && tracks[i].row >= row)
            row = tracks[i].row + 1;
    for (bool is_free = false; !is_free;) {
        is_free = true;
        for (size_t i = 0; i < count; i++)
            if (tracks[i].row == row && share_a_stretch(tracks[i].link, k))
                is_free = false;
        row += !is_free;
    }
    return row;
}

/* Rows of the links that leave a layer, in *tracks; returns how many rows there are. Straight ones need none (row -1). */
static int find_tracks(const struct drawing *d, size_t layer, struct track *tracks, size_t *ret_count)
{
    size_t count = 0;
    int rows = 0;

    for (size_t i = 0; i < d->link_count; i++)
        if (d->cells[d->links[i].from].layer == layer)
            tracks[count++] = (struct track){&d->links[i], -1};
    for (size_t i = 0; i < count; i++) { /* those whose column nobody else comes down on go first */
        for (size_t k = i + 1; k < count; k++)
            if (tracks[k].link->out == tracks[i].link->in && tracks[k].link->in != tracks[i].link->out) {
                struct track t = tracks[i];
                tracks[i] = tracks[k];
                tracks[k] = t;
            }
        if (tracks[i].link->out != tracks[i].link->in)
            tracks[i].row = find_row(tracks, i, tracks[i].link);
        rows = tracks[i].row + 1 > rows ? tracks[i].row + 1 : rows;
    }
    *ret_count = count;
    return rows;
}

/* ---- drawing ---- */

static void draw_box(struct canvas *c, const struct draw_cell *cell, int y, const struct pipeline_node *n)
{
    int right = cell->x + cell->width - 1, bottom = y + BOX_ROWS - 1;
    struct str kind = str_from_c(n->kind->name);

    line_across(c, cell->x, right, y);
    line_across(c, cell->x, right, bottom);
    line_down(c, cell->x, y, bottom);
    line_down(c, right, y, bottom);
    put(c, cell->x + (cell->width - (int)n->name.n) / 2, y + 1, n->name);
    put(c, cell->x + (cell->width - (int)kind.n) / 2, y + 2, kind);
}

/* `y` is the first row below the boxes, `y2` the top of those of the next layer. */
static void draw_link(struct canvas *c, const struct drawing *d, const struct track *t, int y, int y2)
{
    const struct draw_link *k = t->link;
    bool ends = d->cells[k->to].node != DRAW_NO_NODE;
    int turn = t->row < 0 ? y : y + t->row;

    mark(c, k->out, y - 1, DOWN);
    mark(c, k->out, y, UP);
    line_down(c, k->out, y, turn);
    line_across(c, k->out, k->in, turn);
    line_down(c, k->in, turn, y2 - 1);
    if (ends)
        c->text[(size_t)(y2 - 1) * (size_t)c->width + (size_t)k->in] = 'v';
    else
        line_down(c, k->in, y2 - 1, y2 + BOX_ROWS - 1);
}

static void put_char(const struct canvas *c, size_t at, struct buf *to)
{
    static const char *const boxes[16] = {" ", "╵", "╷", "│", "╴", "┘", "┐", "┤",
                                          "╶", "└", "┌", "├", "─", "┴", "┬", "┼"};
    static const char plain[16] = {' ', '|', '|', '|', '-', '+', '+', '+', '-', '+', '+', '+', '-', '+', '+', '+'};

    if (c->text[at] == 'v' && c->lines[at] && !c->ascii)
        (void)buf_add_lit(to, "▼"); /* an arrow: letters never stand on a line */
    else if (c->text[at])
        (void)buf_add_char(to, c->text[at]);
    else if (c->ascii)
        (void)buf_add_char(to, plain[c->lines[at]]);
    else
        (void)buf_add(to, str_from_c(boxes[c->lines[at]]));
}

static void print(const struct canvas *c, struct buf *to)
{
    for (int y = 0; y < c->height; y++) {
        size_t row = (size_t)y * (size_t)c->width, end = row + (size_t)c->width;
        while (end > row && !c->lines[end - 1] && !c->text[end - 1])
            end--;
        for (size_t i = row; i < end; i++)
            put_char(c, i, to);
        (void)buf_add_char(to, '\n');
    }
}

err_t draw_text(const struct pipeline_spec *s, bool ascii, struct buf *to)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct drawing d;

    TRY(draw_layout(s, &a, &d));
    struct track *tracks = arena_alloc(&a, (d.link_count + 1) * sizeof *tracks);
    int *tops = arena_zalloc(&a, (d.layer_count + 1) * sizeof *tops);
    size_t count;
    for (size_t l = 0; l < d.layer_count; l++) /* tracks, and a row for the arrows */
        tops[l + 1] = tops[l] + BOX_ROWS + (l + 1 < d.layer_count ? find_tracks(&d, l, tracks, &count) + 1 : 0);
    struct canvas c = {.width = d.width, .height = tops[d.layer_count], .ascii = ascii};
    if ((size_t)c.width * (size_t)c.height > CANVAS_MAX)
        return fail(E_TOO_LARGE, "the pipeline is too large for a terminal: draw it as SVG");
    c.lines = arena_zalloc(&a, (size_t)c.width * (size_t)c.height + 1);
    c.text = arena_zalloc(&a, (size_t)c.width * (size_t)c.height + 1);
    for (size_t l = 0; l + 1 < d.layer_count; l++) {
        (void)find_tracks(&d, l, tracks, &count);
        for (size_t i = 0; i < count; i++)
            draw_link(&c, &d, &tracks[i], tops[l] + BOX_ROWS, tops[l + 1]);
    }
    for (size_t i = 0; i < d.cell_count; i++)
        if (d.cells[i].node != DRAW_NO_NODE)
            draw_box(&c, &d.cells[i], tops[d.cells[i].layer], s->nodes[d.cells[i].node]);
    print(&c, to);
    return buf_status(to);
}
