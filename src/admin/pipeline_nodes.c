/*
 * pipeline_nodes.c - how the nodes and edges of a pipeline fare: the numbers of all its shards, put together by name, as JSON and as Prometheus' series.
 *
 * Versions of a pipeline may differ in their nodes, so a node is known by its name. Labels are names from pipeline files. How many series there can be, who
 * calls sees to (NODE_SERIES_MAX).
 */
#include "admin/pipeline_nodes.h"

#include "pipeline/spec/kind.h"

#include <inttypes.h>

enum { LABELS_MAX = 4096 };

/* --- putting together --- */

static struct node_sum *node_of(struct node_sums *all, struct arena *a, const struct pipeline_node *n)
{
    for (size_t i = 0; i < all->count; i++)
        if (str_eq(all->items[i].name, n->name))
            return &all->items[i];
    if (all->count == all->cap) {
        size_t cap = all->cap ? 2 * all->cap : 16;
        struct node_sum *more = arena_zalloc(a, cap * sizeof *more);
        if (all->count)
            memcpy(more, all->items, all->count * sizeof *more);
        all->items = more;
        all->cap = cap;
    }
    struct node_sum *s = &all->items[all->count++];
    *s = (struct node_sum){.name = arena_str(a, n->name), .kind = n->kind ? n->kind->name : "input", .role = n->role};
    return s;
}

static struct edge_sum *edge_of(struct node_sums *all, struct arena *a, struct str from, struct str to)
{
    for (size_t i = 0; i < all->edge_count; i++)
        if (str_eq(all->edges[i].from, from) && str_eq(all->edges[i].to, to))
            return &all->edges[i];
    if (all->edge_count == all->edge_cap) {
        size_t cap = all->edge_cap ? 2 * all->edge_cap : 16;
        struct edge_sum *more = arena_zalloc(a, cap * sizeof *more);
        if (all->edge_count)
            memcpy(more, all->edges, all->edge_count * sizeof *more);
        all->edges = more;
        all->edge_cap = cap;
    }
    struct edge_sum *e = &all->edges[all->edge_count++];
    *e = (struct edge_sum){.from = arena_str(a, from), .to = arena_str(a, to)};
    return e;
}

/* The one that is worse. */
static const char *worse(const char *a, const char *b)
{
    static const char *const states[] = {"open", "half_open", "closed"};

    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if ((a && strcmp(a, states[i]) == 0) || (b && strcmp(b, states[i]) == 0))
            return states[i];
    return NULL;
}

static void add(struct node_numbers *to, const struct node_numbers *n)
{
    to->in += n->in;
    to->out += n->out;
    to->failed += n->failed;
    histogram_merge(&to->took, &n->took);
    to->burnt += n->burnt;
    to->waiting += n->waiting;
    to->waiting_bytes += n->waiting_bytes;
    to->in_lanes += n->in_lanes;
    to->calls += n->calls;
    to->input_tokens += n->input_tokens;
    to->output_tokens += n->output_tokens;
    to->nano_usd += n->nano_usd;
    to->unpriced += n->unpriced;
    to->retries += n->retries;
    to->late += n->late;
    to->agreed += n->agreed;
    to->differed += n->differed;
    to->batches += n->batches;
    for (size_t i = 0; i < ERR_COUNT; i++)
        to->dead[i] += n->dead[i];
    to->active += n->active;
    to->breaker = worse(to->breaker, n->breaker);
    to->is_failing |= n->is_failing;
}

void node_sums_add(struct node_sums *all, struct arena *a, const struct pipeline_spec *spec, const struct shard *s)
{
    const struct flow_graph *g = &spec->graph;

    for (uint16_t i = 0; i < spec->node_count; i++) {
        struct node_numbers n;
        shard_node(s, i, &n);
        add(&node_of(all, a, spec->nodes[i])->numbers, &n);
    }
    for (uint16_t i = 0; i < g->edge_count; i++)
        edge_of(all, a, spec->nodes[g->edges[i].from]->name, spec->nodes[g->edges[i].to]->name)->records +=
            shard_edge(s, i);
}

/* --- as JSON --- */

static const char *cause_name(size_t e)
{
    return e == OK ? "POISON" : err_name((err_t)e);
}

static void put_dead(struct json_out *o, const struct node_numbers *n)
{
    json_member_open(o, STR("dead_letters"), '{');
    for (size_t i = 0; i < ERR_COUNT; i++)
        if (n->dead[i])
            json_member_u64(o, str_from_c(cause_name(i)), n->dead[i]);
    json_close(o, '}');
}

static void put_times(struct json_out *o, const struct node_numbers *n)
{
    static const struct {
        const char *name;
        double q;
    } rows[] = {{"p50_ms", 0.5}, {"p90_ms", 0.9}, {"p99_ms", 0.99}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        admin_put_ms(o, str_from_c(rows[i].name), (double)histogram_quantile(&n->took, &node_spans, rows[i].q));
    json_key(o, STR("deadline_burn"));
    json_put_double(o, n->burnt);
}

static void put_calls(struct json_out *o, const struct node_numbers *n)
{
    json_member_u64(o, STR("calls"), n->calls);
    json_member_u64(o, STR("input_tokens"), n->input_tokens);
    json_member_u64(o, STR("output_tokens"), n->output_tokens);
    json_key(o, STR("usd"));
    json_put_double(o, (double)n->nano_usd / 1e9);
    json_member_u64(o, STR("unpriced"), n->unpriced);
}

static void put_node(struct json_out *o, const struct node_sum *s)
{
    static const char *const roles[] = {
        [PIPELINE_SOURCE] = "source", [PIPELINE_NODE] = "node", [PIPELINE_SINK] = "sink"};
    const struct node_numbers *n = &s->numbers;

    json_open(o, '{');
    json_member_str(o, STR("node"), s->name);
    json_member_str(o, STR("role"), str_from_c(roles[s->role]));
    json_member_str(o, STR("kind"), str_from_c(s->kind));
    json_member_u64(o, STR("in"), n->in);
    json_member_u64(o, STR("out"), n->out);
    json_member_u64(o, STR("failed"), n->failed);
    json_member_u64(o, STR("waiting"), n->waiting);
    json_member_u64(o, STR("waiting_bytes"), n->waiting_bytes);
    json_member_u64(o, STR("in_lanes"), n->in_lanes);
    put_times(o, n);
    json_member_u64(o, STR("late"), n->late);
    json_member_u64(o, STR("retries"), n->retries);
    json_member_u64(o, STR("active"), n->active);
    if (n->calls)
        put_calls(o, n);
    if (n->agreed || n->differed) {
        json_member_u64(o, STR("agreed"), n->agreed);
        json_member_u64(o, STR("differed"), n->differed);
    }
    if (n->breaker)
        json_member_str(o, STR("breaker"), str_from_c(n->breaker));
    if (s->role == PIPELINE_SINK) {
        json_member_u64(o, STR("batches"), n->batches);
        json_member_bool(o, STR("is_failing"), n->is_failing);
    }
    put_dead(o, n);
    json_close(o, '}');
}

void node_sums_put(const struct node_sums *all, struct json_out *o)
{
    json_member_open(o, STR("nodes"), '[');
    for (size_t i = 0; i < all->count; i++)
        put_node(o, &all->items[i]);
    json_close(o, ']');
    json_member_open(o, STR("edges"), '[');
    for (size_t i = 0; i < all->edge_count; i++) {
        json_open(o, '{');
        json_member_str(o, STR("from"), all->edges[i].from);
        json_member_str(o, STR("to"), all->edges[i].to);
        json_member_u64(o, STR("records"), all->edges[i].records);
        json_close(o, '}');
    }
    json_close(o, ']');
}

/* --- for Prometheus --- */

static void add_label(struct buf *b, const char *name, struct str value)
{
    (void)buf_addf(b, "%s%s=\"", b->n ? "," : "", name);
    metrics_add_label_value(b, value);
    (void)buf_add_char(b, '"');
}

static void labels_of(struct buf *b, struct str pipeline, struct str node)
{
    buf_clear(b);
    add_label(b, "pipeline", pipeline);
    add_label(b, "node", node);
}

struct family {
    const char *name, *type, *help;
    size_t offset;    /* in struct node_numbers                     */
    bool only_if_any; /* a node of which it is 0 has no such series */
    bool is_nano;     /* in units of 1e-9                           */
};

#define NODE(member) offsetof(struct node_numbers, member)
static const struct family families[] = {
    {"records_in_total", "counter", "Records that came to the node.", NODE(in), false, false},
    {"records_out_total", "counter", "Records that the node has sent.", NODE(out), false, false},
    {"records_failed_total", "counter", "Records that the node could not deal with.", NODE(failed), false, false},
    {"records_waiting", "gauge", "Records at the node, those that are worked on included.", NODE(waiting), false,
     false},
    {"bytes_waiting", "gauge", "Bytes of their JSON.", NODE(waiting_bytes), false, false},
    {"records_in_lanes", "gauge", "Of these, records that wait for the turn of their lane.", NODE(in_lanes), true,
     false},
    {"late_total", "counter", "Items that could not be in time any more.", NODE(late), true, false},
    {"retries_total", "counter", "Tries after the first.", NODE(retries), true, false},
    {"agreed_total", "counter", "Messages for which a node that is tried out yielded what the one in use did.",
     NODE(agreed), true, false},
    {"differed_total", "counter", "Messages for which it yielded something else.", NODE(differed), true, false},
    {"batches_total", "counter", "Batches that the sink has applied.", NODE(batches), true, false},
    {"calls_total", "counter", "Times that a model was asked.", NODE(calls), true, false},
    {"input_tokens_total", "counter", "Tokens of what models were asked.", NODE(input_tokens), true, false},
    {"output_tokens_total", "counter", "Tokens of what they answered.", NODE(output_tokens), true, false},
    {"cost_usd_total", "counter", "What it cost, as far as prices are known.", NODE(nano_usd), true, true},
    {"unpriced_calls_total", "counter", "Calls of no known price.", NODE(unpriced), true, false},
};

static void add_family(const struct pipeline_sums *all, const struct family *f, struct buf *to)
{
    struct buf labels CLEANUP(buf_release) = BUF_INIT(LABELS_MAX);
    struct buf name CLEANUP(buf_release) = BUF_INIT(LABELS_MAX);

    (void)buf_addf(&name, "pipeline_node_%s%c", f->name, '\0');
    metrics_add_family(to, name.p, f->type, f->help);
    for (size_t p = 0; p < all->count; p++)
        for (size_t i = 0; i < all->of[p]->count; i++) {
            const struct node_sum *s = &all->of[p]->items[i];
            uint64_t n;
            memcpy(&n, (const char *)&s->numbers + f->offset, sizeof n);
            if (f->only_if_any && !n)
                continue;
            labels_of(&labels, all->names[p], s->name);
            (void)buf_addf(to, "crossdock_%s{%.*s} ", name.p, STR_ARG(buf_str(&labels)));
            (void)(f->is_nano ? buf_addf(to, "%.9f\n", (double)n / 1e9) : buf_addf(to, "%" PRIu64 "\n", n));
        }
}

/* What is not a number of struct node_numbers as it is. */
typedef void node_fn(struct buf *to, struct str labels, const struct node_sum *s);

static void add_times(struct buf *to, struct str labels, const struct node_sum *s)
{
    histogram_print(&s->numbers.took, &node_spans, "pipeline_node_seconds", labels, to);
}

static void add_burn(struct buf *to, struct str labels, const struct node_sum *s)
{
    if (s->numbers.burnt > 0)
        (void)buf_addf(to, "crossdock_pipeline_node_deadline_burn_total{%.*s} %g\n", STR_ARG(labels), s->numbers.burnt);
}

static void add_dead(struct buf *to, struct str labels, const struct node_sum *s)
{
    for (size_t i = 0; i < ERR_COUNT; i++)
        if (s->numbers.dead[i])
            (void)buf_addf(to, "crossdock_pipeline_node_dead_letters_total{%.*s,cause=\"%s\"} %" PRIu64 "\n",
                           STR_ARG(labels), cause_name(i), s->numbers.dead[i]);
}

static void add_breaker(struct buf *to, struct str labels, const struct node_sum *s)
{
    if (s->numbers.breaker)
        (void)buf_addf(to, "crossdock_pipeline_node_breaker{%.*s,state=\"%s\"} 1\n", STR_ARG(labels),
                       s->numbers.breaker);
}

static void add_failing(struct buf *to, struct str labels, const struct node_sum *s)
{
    if (s->role == PIPELINE_SINK)
        (void)buf_addf(to, "crossdock_pipeline_sink_failing{%.*s} %d\n", STR_ARG(labels), s->numbers.is_failing);
}

static void each_node(const struct pipeline_sums *all, struct buf *to, node_fn *fn)
{
    struct buf labels CLEANUP(buf_release) = BUF_INIT(LABELS_MAX);

    for (size_t p = 0; p < all->count; p++)
        for (size_t i = 0; i < all->of[p]->count; i++) {
            labels_of(&labels, all->names[p], all->of[p]->items[i].name);
            fn(to, buf_str(&labels), &all->of[p]->items[i]);
        }
}

static void add_edges(const struct pipeline_sums *all, struct buf *to)
{
    struct buf labels CLEANUP(buf_release) = BUF_INIT(LABELS_MAX);

    metrics_add_family(to, "pipeline_edge_records_total", "counter", "Records that went along the edge.");
    for (size_t p = 0; p < all->count; p++)
        for (size_t i = 0; i < all->of[p]->edge_count; i++) {
            const struct edge_sum *e = &all->of[p]->edges[i];
            buf_clear(&labels);
            add_label(&labels, "pipeline", all->names[p]);
            add_label(&labels, "from", e->from);
            add_label(&labels, "to", e->to);
            (void)buf_addf(to, "crossdock_pipeline_edge_records_total{%.*s} %" PRIu64 "\n", STR_ARG(buf_str(&labels)),
                           e->records);
        }
}

void node_sums_metrics(const struct pipeline_sums *all, struct buf *to)
{
    static const struct {
        const char *name, *type, *help;
        node_fn *fn;
    } rows[] = {
        {"pipeline_node_seconds", "histogram", "From when a record came to when the node was done with it.", add_times},
        {"pipeline_node_deadline_burn_total", "counter",
         "The same in shares of the pipeline's deadline, added up over all records.", add_burn},
        {"pipeline_node_dead_letters_total", "counter", "Dead letters of the node, by cause.", add_dead},
        {"pipeline_node_breaker", "gauge", "The state of the node's breaker, on the loop where it is worst.",
         add_breaker},
        {"pipeline_sink_failing", "gauge", "The last try of the sink has failed, and there will be another.",
         add_failing},
    };

    if (!all->count)
        return;
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        add_family(all, &families[i], to);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        metrics_add_family(to, rows[i].name, rows[i].type, rows[i].help);
        each_node(all, to, rows[i].fn);
    }
    add_edges(all, to);
}
