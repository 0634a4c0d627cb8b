/*
 * fleet_table.c - deployments as rows of a terminal.
 *
 * Each column is a function from a deployment's object to a text. Columns are as wide as their widest cell; one in which nothing stands is left out,
 * so that a fleet without prices or limits has a narrow table.
 */
#include "cli/fleet_table.h"

#include "base/utf8.h"
#include "codec/json_tree.h"
#include "observe/story.h"

enum { CELL_MAX = 512 };

typedef void cell_fn(struct json_node d, struct arena *a, struct buf *to);

static double number_of(struct json_node v)
{
    double n;

    return json_node_double(v, &n) ? n : 0;
}

static void put_ms(struct json_node v, struct buf *to)
{
    if (number_of(v) > 0)
        story_span((ns_t)(number_of(v) * 1e6), to);
}

static void put_name(struct json_node d, struct arena *a, struct buf *to)
{
    buf_add(to, json_get_text(d, STR("deployment"), a));
}

static void put_state(struct json_node d, struct arena *a, struct buf *to)
{
    buf_add(to, json_get_text(d, STR("state"), a));
}

static void put_since(struct json_node d, struct arena *a, struct buf *to)
{
    (void)a;
    put_ms(json_node_get(d, STR("for_ms")), to);
}

static void put_rate(struct json_node d, struct arena *a, struct buf *to)
{
    struct json_node recent = json_node_get(d, STR("recent"));
    double ended = number_of(json_node_get(recent, STR("good"))) + number_of(json_node_get(recent, STR("ill")));
    double window = number_of(json_node_get(recent, STR("window_ms")));

    (void)a;
    buf_addf(to, "%.1f", window > 0 ? ended / window * 1000 : 0);
}

static void put_failing(struct json_node d, struct arena *a, struct buf *to)
{
    struct json_node recent = json_node_get(d, STR("recent"));
    double ill = number_of(json_node_get(recent, STR("ill")));
    double ended = number_of(json_node_get(recent, STR("good"))) + ill;

    (void)a;
    if (ended > 0)
        buf_addf(to, "%.0f %%", ill / ended * 100);
}

static void put_in_flight(struct json_node d, struct arena *a, struct buf *to)
{
    (void)a;
    buf_addf(to, "%.0f", number_of(json_node_get(d, STR("in_flight"))));
}

/* "8", or "8, 3 wait": its limit, and the queues in front of it. */
static void put_limit(struct json_node d, struct arena *a, struct buf *to)
{
    struct json_node gate = json_node_get(d, STR("concurrency"));
    double waiting = number_of(json_node_get(d, STR("waiting")));

    (void)a;
    if (json_node_is_set(gate))
        buf_addf(to, "%.0f", number_of(json_node_get(gate, STR("limit"))));
    if (waiting > 0)
        buf_addf(to, "%s%.0f wait", to->n ? ", " : "", waiting);
}

/* "12 + 3": what its server says that it runs, and that waits there; nothing if that is too old to count. */
static void put_server(struct json_node d, struct arena *a, struct buf *to)
{
    struct json_node server = json_node_get(d, STR("server"));
    bool counts = false;

    (void)a;
    if (json_node_bool(json_node_get(server, STR("counts")), &counts) && counts)
        buf_addf(to, "%.0f + %.0f", number_of(json_node_get(server, STR("running"))),
                 number_of(json_node_get(server, STR("waiting"))));
}

static void put_p50(struct json_node d, struct arena *a, struct buf *to)
{
    (void)a;
    put_ms(json_node_get(json_node_get(d, STR("first_token_ms")), STR("p50")), to);
}

static void put_p95(struct json_node d, struct arena *a, struct buf *to)
{
    (void)a;
    put_ms(json_node_get(json_node_get(d, STR("first_token_ms")), STR("p95")), to);
}

static void put_token(struct json_node d, struct arena *a, struct buf *to)
{
    (void)a;
    put_ms(json_node_get(d, STR("token_ms")), to);
}

static void put_price(struct json_node d, struct arena *a, struct buf *to)
{
    struct json_node price = json_node_get(d, STR("price_per_million"));

    (void)a;
    if (json_node_is_set(price))
        buf_addf(to, "%.4g / %.4g", number_of(json_node_get(price, STR("input"))),
                 number_of(json_node_get(price, STR("output"))));
}

/* Of the credential that has most left: it is the one that would be used. */
static void put_headroom(struct json_node d, struct arena *a, struct buf *to)
{
    double best = -1;

    (void)a;
    JSON_EACH(w, json_node_get(d, STR("credentials"))) {
        double headroom = number_of(json_node_get(w.value, STR("headroom")));
        best = headroom > best ? headroom : best;
    }
    if (best >= 0)
        buf_addf(to, "%.0f %%", best * 100);
}

static void put_why(struct json_node d, struct arena *a, struct buf *to)
{
    struct str why = json_get_text(d, STR("why"), a), next = json_get_text(d, STR("next"), a);

    buf_add(to, why);
    if (why.n && next.n)
        buf_add_lit(to, "; ");
    buf_add(to, next);
}

static const struct column {
    const char *title;
    cell_fn *put;
    bool is_number; /* stands at the right */
} columns[] = {
    {"DEPLOYMENT", put_name, false},  {"STATE", put_state, false},
    {"FOR", put_since, true},         {"REQ/S", put_rate, true},
    {"FAIL", put_failing, true},      {"IN FLIGHT", put_in_flight, true},
    {"LIMIT", put_limit, true},       {"SERVER", put_server, true},
    {"TTFT P50", put_p50, true},      {"TTFT P95", put_p95, true},
    {"PER TOKEN", put_token, true},   {"$/M IN / OUT", put_price, true},
    {"HEADROOM", put_headroom, true}, {"WHY, AND WHAT IS NEXT", put_why, false},
};

enum { COLUMNS = ARRAY_LEN(columns) };

/* Columns that a row is: texts in the arena. */
struct row {
    struct str cells[COLUMNS];
};

static size_t width_of(struct str s)
{
    int64_t n = utf8_count(s);

    return n < 0 ? s.n : (size_t)n;
}

static void put_padded(struct str text, size_t width, bool at_right, struct buf *to)
{
    size_t n = width_of(text);

    for (size_t i = n; at_right && i < width; i++)
        buf_add_char(to, ' ');
    buf_add(to, text);
    for (size_t i = n; !at_right && i < width; i++)
        buf_add_char(to, ' ');
}

static void put_row(const struct row *r, const size_t widths[COLUMNS], struct buf *to)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        if (!widths[i])
            continue;
        if (i)
            buf_add_lit(to, "  ");
        put_padded(r->cells[i], widths[i], columns[i].is_number, to);
    }
    while (to->n && to->p[to->n - 1] == ' ')
        to->n--;
    buf_add_char(to, '\n');
}

static void read_row(struct json_node d, struct arena *a, struct row *ret, size_t widths[COLUMNS])
{
    for (size_t i = 0; i < COLUMNS; i++) {
        struct buf cell CLEANUP(buf_release) = BUF_INIT(CELL_MAX);
        columns[i].put(d, a, &cell);
        ret->cells[i] = arena_str(a, buf_str(&cell));
        size_t n = width_of(ret->cells[i]);
        widths[i] = n > widths[i] ? n : widths[i];
    }
}

err_t fleet_table(struct str json, struct arena *arena, struct buf *to)
{
    const struct json_tree *tree;
    size_t widths[COLUMNS] = {0}, count = 0;
    struct row titles;

    TRY(json_tree_parse(arena, json, &tree));
    struct json_node all = json_node_get(json_tree_root(tree), STR("deployments"));
    struct row *rows = arena_alloc(arena, (json_node_count(all) + 1) * sizeof *rows);
    JSON_EACH(w, all)
        read_row(w.value, arena, &rows[count++], widths);
    for (size_t i = 0; i < COLUMNS; i++) {
        titles.cells[i] = str_from_c(columns[i].title);
        if (widths[i] && widths[i] < titles.cells[i].n)
            widths[i] = titles.cells[i].n;
    }
    put_row(&titles, widths, to);
    for (size_t i = 0; i < count; i++)
        put_row(&rows[i], widths, to);
    return buf_status(to);
}
