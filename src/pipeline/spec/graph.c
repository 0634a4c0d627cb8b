/*
 * graph.c - from names to a graph: edges, order, and what the whole must fulfil.
 *
 * An edge comes of a `from` (or a join's inputs) or of a target that a node names. A node with targets sends to those only: who reads such a node without
 * being its target would never get anything, and is refused. A file that is called has its nodes in the graph like the caller's own, under
 * longer names; its `input` stands for what the caller reads, and the call's name for its `output`.
 *
 * All of this runs once per load over at most FLOW_NODES_MAX nodes, so plain loops are enough.
 */
#include "pipeline/spec/graph.h"

#include "base/map.h"
#include "base/units.h"
#include "pipeline/spec/promise.h"

/* ---- names ---- */

struct pipeline_node *graph_resolve(struct pipeline_build *b, const struct pipeline_scope *scope, struct str name)
{
    struct str whole = arena_join(b->arena, scope->prefix, name);
    struct pipeline_node *n = map_get(&b->by_name, whole);
    const struct pipeline_scope *callee = n ? NULL : map_get(&b->calls, whole);

    if (callee)
        return graph_resolve(b, callee, callee->output.text);
    if (!n && scope->outer && scope->input && scope->from_count == 1 && str_eq(name, STR("input")))
        return graph_resolve(b, scope->outer, scope->from[0].text);
    return n;
}

const char *graph_suggest(struct pipeline_build *b, const struct pipeline_scope *scope, struct str name)
{
    struct str best = STR_NONE;
    unsigned distance = 0;

    for (size_t i = 0; i < b->node_count; i++) {
        struct str whole = b->nodes[i]->name;
        if (b->nodes[i]->scope == scope && b->nodes[i]->role != PIPELINE_SINK)
            schema_nearest(name, str_slice(whole, scope->prefix.n, whole.n), &best, &distance);
    }
    if (scope->outer && scope->input)
        schema_nearest(name, STR("input"), &best, &distance);
    return schema_suggest(b->arena, name, best, distance);
}

void build_input(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    const struct schema_text **wants = arena_alloc(b->arena, (n->want_count_ + 1) * sizeof *wants);

    if (n->want_count_)
        memcpy(wants, n->wants_, n->want_count_ * sizeof *wants);
    wants[n->want_count_++] = t;
    n->wants_ = wants;
}

void build_target(struct pipeline_build *b, struct pipeline_node *n, const struct schema_text *t)
{
    struct pipeline_target *targets = arena_zalloc(b->arena, (n->target_count + 1) * sizeof *targets);

    if (n->target_count)
        memcpy(targets, n->targets, n->target_count * sizeof *targets);
    targets[n->target_count++] = (struct pipeline_target){.name = t->text, .at = t->node ? t->node : n->at};
    n->targets = targets;
}

/* ---- edges ---- */

struct raw_edge {
    struct pipeline_node *from, *to;
    struct str label;
    bool is_chosen, is_read; /* named by a target; named by a reader */
};

struct edges {
    struct pipeline_build *b;
    struct raw_edge *items;
    size_t count;
};

static struct raw_edge *find_edge(const struct edges *s, const struct pipeline_node *from,
                                  const struct pipeline_node *to)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].from == from && s->items[i].to == to)
            return &s->items[i];
    return NULL;
}

static struct raw_edge *add_edge(struct edges *s, struct raw_edge edge, const struct yaml_node *at)
{
    if (s->count == FLOW_EDGES_MAX) {
        problems_error(s->b->problems, at, "there are more than %d edges", FLOW_EDGES_MAX);
        return NULL;
    }
    s->items[s->count] = edge;
    return &s->items[s->count++];
}

/* The name of a node without the call that it came with. */
static struct str own_name(const struct pipeline_node *n)
{
    return str_slice(n->name, n->scope->prefix.n, n->name.n);
}

static void add_target(struct edges *s, struct pipeline_node *n, struct pipeline_target *t)
{
    struct pipeline_node *to = graph_resolve(s->b, n->scope, t->name);
    struct problems *problems = s->b->problems;

    if (!t->name.n)
        return; /* said by its kind */
    if (!to) {
        problems_error(problems, t->at, "there is no node or sink \"%.*s\"%s", STR_ARG(t->name),
                       graph_suggest(s->b, n->scope, t->name));
        return;
    }
    if (to->role == PIPELINE_SOURCE) {
        problems_error(problems, t->at, "\"%.*s\" is a source: nothing can be sent there", STR_ARG(t->name));
        return;
    }
    struct raw_edge *edge = find_edge(s, n, to);
    if (!edge)
        edge = add_edge(s, (struct raw_edge){.from = n, .to = to, .label = own_name(n)}, t->at);
    if (edge)
        edge->is_chosen = true;
}

/* A reader's edge from a node that its name stands for. */
static void add_reader(struct edges *s, struct pipeline_node *n, struct pipeline_node *from,
                       const struct schema_text *t, struct str label)
{
    struct problems *problems = s->b->problems;
    struct raw_edge *edge = find_edge(s, from, n);

    if (from->role == PIPELINE_SINK) {
        problems_error(problems, t->node, "\"%.*s\" is a sink: nothing comes out of it", STR_ARG(label));
    } else if (edge && edge->is_read) {
        problems_error(problems, t->node, "\"%.*s\" is read twice", STR_ARG(label));
    } else if (from->target_count && !edge) {
        problems_error(problems, t->node,
                       "\"%.*s\" chooses whom it sends to, and \"%.*s\" is not among them: it would never get anything",
                       STR_ARG(label), STR_ARG(own_name(n)));
    } else {
        if (!edge)
            edge = add_edge(s, (struct raw_edge){.from = from, .to = n}, t->node);
        if (edge) {
            edge->label = label;
            edge->is_read = true;
        }
    }
}

/* All nodes that a reader's name stands for: several, if it is the `input` of a call that reads several. */
static void add_readers(struct edges *s, struct pipeline_node *n, const struct pipeline_scope *scope,
                        const struct schema_text *t, struct str label)
{
    struct pipeline_node *from = graph_resolve(s->b, scope, t->text);

    if (from) {
        add_reader(s, n, from, t, label);
    } else if (scope->outer && scope->input && str_eq(t->text, STR("input"))) {
        for (size_t i = 0; i < scope->from_count; i++)
            add_readers(s, n, scope->outer, &scope->from[i], label);
    } else {
        problems_error(s->b->problems, t->node, "there is no source or node \"%.*s\"%s", STR_ARG(t->text),
                       graph_suggest(s->b, scope, t->text));
    }
}

/* A join names its inputs itself: what it does not name would have no place in its result. */
static void check_joins(const struct edges *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct raw_edge *e = &s->items[i];
        if (e->is_chosen && !e->is_read && e->to->flow.item == FLOW_GATHER)
            problems_error(s->b->problems, e->to->at, "\"%.*s\" sends to this join, which does not name it as an input",
                           STR_ARG(e->from->name));
    }
}

static void find_edges(struct edges *s)
{
    struct pipeline_build *b = s->b;

    for (size_t i = 0; i < b->node_count; i++)
        for (size_t k = 0; k < b->nodes[i]->target_count; k++)
            add_target(s, b->nodes[i], &b->nodes[i]->targets[k]);
    for (size_t i = 0; i < b->node_count; i++) {
        struct pipeline_node *n = b->nodes[i];
        for (size_t k = 0; k < n->want_count_; k++)
            if (n->wants_[k]->text.n)
                add_readers(s, n, n->scope, n->wants_[k], n->wants_[k]->text);
    }
    check_joins(s);
    for (size_t i = 0; i < b->node_count; i++) {
        const struct pipeline_node *n = b->nodes[i];
        bool is_fed = n->role == PIPELINE_SOURCE || n->want_count_;
        for (size_t k = 0; !is_fed && k < s->count; k++)
            is_fed = s->items[k].to == n;
        if (!is_fed)
            problems_error(b->problems, n->at, "\"%.*s\" reads nothing: say \"from\", or send something to it",
                           STR_ARG(n->name));
    }
}

/* ---- order ---- */

/* Walk back from a node of a circle until a node is met twice, and tell the circle in the direction of its edges. */
static void complain_circle(const struct edges *s, const bool *is_placed)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(64 * 1024);
    struct pipeline_node *way[FLOW_NODES_MAX + 1];
    size_t count = 0, begin = 0;

    for (size_t i = 0; i < s->b->node_count && !count; i++)
        if (!is_placed[i])
            way[count++] = s->b->nodes[i];
    for (bool is_closed = false; !is_closed;) {
        struct pipeline_node *before = NULL;
        for (size_t e = 0; e < s->count && !before; e++)
            if (s->items[e].to == way[count - 1] && !is_placed[s->items[e].from->index])
                before = s->items[e].from;
        KNOWN(before); /* all but those of circles, and those behind them, are placed */
        for (size_t i = 0; i < count && !is_closed; i++) {
            is_closed = way[i] == before;
            begin = i;
        }
        way[count++] = before;
    }
    for (size_t i = count; i-- > begin;)
        (void)buf_addf(&text, "%s%.*s", i + 1 == count ? "" : " -> ", STR_ARG(way[i]->name));
    problems_error(s->b->problems, way[begin]->at,
                   "this goes in a circle: %.*s; to do something again and again there is \"loop\"",
                   STR_ARG(buf_str(&text)));
}

/* Nodes whose inputs have all been placed, one after the other, those of the file's beginning first. */
static bool put_in_order(const struct edges *s)
{
    struct pipeline_build *b = s->b;
    struct pipeline_node **order = arena_alloc(b->arena, (b->node_count + 1) * sizeof(struct pipeline_node *));
    bool *is_placed = arena_zalloc(b->arena, b->node_count + 1);
    size_t count = 0;

    for (size_t i = 0; i < b->node_count; i++)
        b->nodes[i]->index = (uint16_t)i;
    for (size_t before = SIZE_MAX; before != count;) {
        before = count;
        for (size_t i = 0; i < b->node_count; i++) {
            bool is_ready = !is_placed[i];
            for (size_t e = 0; e < s->count && is_ready; e++)
                is_ready = s->items[e].to != b->nodes[i] || is_placed[s->items[e].from->index];
            if (!is_ready)
                continue;
            is_placed[i] = true;
            order[count++] = b->nodes[i];
        }
    }
    if (count < b->node_count) {
        complain_circle(s, is_placed);
        return false;
    }
    b->nodes = order;
    for (size_t i = 0; i < count; i++)
        order[i]->index = (uint16_t)i;
    return true;
}

/* ---- the graph ---- */

static void add_inputs(const struct edges *s, struct pipeline_node *n, const uint16_t *place)
{
    struct pipeline_build *b = s->b;

    n->inputs = arena_alloc(b->arena, (s->count + 1) * sizeof *n->inputs);
    for (size_t e = 0; e < s->count; e++)
        if (s->items[e].to == n)
            n->inputs[n->input_count++] =
                (struct pipeline_input){.label = s->items[e].label, .node = s->items[e].from->index, .edge = place[e]};
    for (size_t k = 0; k < n->target_count; k++) {
        struct pipeline_target *t = &n->targets[k];
        const struct pipeline_node *to = t->name.n ? graph_resolve(b, n->scope, t->name) : NULL;
        const struct raw_edge *edge = to ? find_edge(s, n, to) : NULL;
        if (!edge)
            continue;
        t->node = to->index;
        t->edge = place[edge - s->items];
    }
}

bool graph_make(struct pipeline_build *b)
{
    struct edges s = {.b = b, .items = arena_alloc(b->arena, FLOW_EDGES_MAX * sizeof *s.items)};
    struct flow_node *nodes = arena_alloc(b->arena, (b->node_count + 1) * sizeof *nodes);
    struct flow_edge *edges;
    uint16_t *place;

    find_edges(&s);
    if (!put_in_order(&s))
        return false;
    edges = arena_alloc(b->arena, (s.count + 1) * sizeof *edges);
    place = arena_alloc(b->arena, (s.count + 1) * sizeof *place);
    for (size_t i = 0; i < b->node_count; i++)
        nodes[i] = b->nodes[i]->flow;
    for (size_t e = 0; e < s.count; e++)
        edges[e] = (struct flow_edge){s.items[e].from->index, s.items[e].to->index};
    b->spec->graph = flow_graph_make(b->arena, nodes, b->node_count, edges, s.count, place);
    for (size_t i = 0; i < b->node_count; i++) {
        add_inputs(&s, b->nodes[i], place);
        b->nodes[i]->flow = b->spec->graph.nodes[i];
    }
    b->spec->nodes = b->nodes;
    b->spec->node_count = (uint16_t)b->node_count;
    return true;
}

/* ---- ways ---- */

/* Nodes that can be reached from `start`, without the edges of `chooser` (UINT16_MAX: none) but those to `chosen`. */
static void mark_reached(const struct flow_graph *g, uint16_t start, uint16_t chooser, uint16_t chosen,
                         bool reached[FLOW_NODES_MAX])
{
    reached[start] = true;
    for (uint16_t i = start; i < g->node_count; i++)
        for (uint16_t e = g->nodes[i].first_out; reached[i] && e < g->nodes[i].first_out + g->nodes[i].out_count; e++)
            if (i != chooser || g->edges[e].to == chosen)
                reached[g->edges[e].to] = true;
}

bool graph_reaches(const struct pipeline_spec *s, uint16_t from, uint16_t to)
{
    bool reached[FLOW_NODES_MAX] = {false};

    mark_reached(&s->graph, from, UINT16_MAX, 0, reached);
    return reached[to];
}

ns_t graph_longest(const struct pipeline_spec *s, uint16_t to, uint16_t ret_path[FLOW_NODES_MAX], size_t *ret_count)
{
    ns_t most[FLOW_NODES_MAX] = {0};
    uint16_t before[FLOW_NODES_MAX];

    for (uint16_t i = 0; i <= to; i++) {
        const struct pipeline_node *n = s->nodes[i];
        before[i] = i;
        for (size_t k = 0; k < n->input_count; k++) {
            uint16_t from = n->inputs[k].node;
            ns_t sum = s->nodes[from]->kind->traits & KIND_STOPS_CLOCK ? 0 : most[from];
            if (before[i] != i && sum <= most[i])
                continue;
            most[i] = sum;
            before[i] = from;
        }
        most[i] = ns_add(most[i], n->rules.budget);
    }
    size_t count = 1;
    for (uint16_t at = to; before[at] != at && (at == to || !(s->nodes[at]->kind->traits & KIND_STOPS_CLOCK));
         at = before[at])
        count++;
    *ret_count = count;
    for (uint16_t at = to; count; at = before[at])
        ret_path[--count] = at;
    return most[to];
}

/* ---- checks ---- */

static void complain_late(struct pipeline_build *b, uint16_t node)
{
    struct buf way CLEANUP(buf_release) = BUF_INIT(64 * 1024);
    uint16_t path[FLOW_NODES_MAX];
    char sum_text[UNITS_TEXT_MAX], deadline_text[UNITS_TEXT_MAX];
    size_t count;
    ns_t sum = graph_longest(b->spec, node, path, &count);

    for (size_t i = 0; i < count; i++)
        (void)buf_addf(&way, "%s%.*s", i ? " -> " : "", STR_ARG(b->nodes[path[i]]->name));
    (void)units_print_duration(sum, sum_text);
    (void)units_print_duration(b->spec->deadline, deadline_text);
    problems_error(b->problems, b->nodes[node]->at, "the budgets on the way %.*s add up to %s, and the deadline is %s",
                   STR_ARG(buf_str(&way)), sum_text, deadline_text);
}

/* The first node at which it is too late: those behind it are only later. */
static void check_budgets(struct pipeline_build *b)
{
    uint16_t path[FLOW_NODES_MAX];
    size_t count;

    for (uint16_t i = 0; i < b->spec->node_count; i++)
        if (graph_longest(b->spec, i, path, &count) > b->spec->deadline) {
            complain_late(b, i);
            return;
        }
}

/* Is it behind a node with that trait? */
static const struct pipeline_node *find_before(const struct pipeline_build *b, const struct pipeline_node *n,
                                               unsigned trait)
{
    for (size_t i = 0; i < b->node_count; i++)
        if (b->nodes[i] != n && b->nodes[i]->role == PIPELINE_NODE && b->nodes[i]->kind->traits & trait &&
            graph_reaches(b->spec, (uint16_t)i, n->index))
            return b->nodes[i];
    return NULL;
}

static bool reaches_sink(const struct pipeline_build *b, const struct pipeline_node *n, unsigned trait)
{
    for (size_t i = n->index; i < b->node_count; i++)
        if (b->nodes[i]->role == PIPELINE_SINK && (b->nodes[i]->kind->traits & trait) == trait &&
            graph_reaches(b->spec, n->index, (uint16_t)i))
            return true;
    return false;
}

static void check_read(struct pipeline_build *b, const struct pipeline_node *n)
{
    bool is_end = n->role == PIPELINE_SINK || n == b->spec->output || n->kind->traits & KIND_MAY_END;

    if (n->role == PIPELINE_SOURCE && !b->spec->output && !reaches_sink(b, n, 0))
        problems_error(b->problems, n->at, "no sink gets anything of the source \"%.*s\"", STR_ARG(n->name));
    else if (!n->flow.out_count && !is_end && !find_before(b, n, KIND_SHADOWS))
        problems_error(b->problems, n->at, "nothing reads \"%.*s\": name it in a \"from\", or leave it out",
                       STR_ARG(n->name));
}

/* Pieces of an answer are put together in the order in which they come: it must be the one in which they were cut. */
static void check_pieces(struct pipeline_build *b, const struct pipeline_node *sink, const struct pipeline_node *source)
{
    for (size_t i = 0; i < b->node_count; i++) {
        const struct pipeline_node *n = b->nodes[i];
        if (n->role == PIPELINE_NODE && n->kind->traits & KIND_CALLS && n->rules.concurrency != 1 &&
            graph_reaches(b->spec, source->index, n->index) && graph_reaches(b->spec, n->index, sink->index) &&
            find_before(b, n, KIND_SPECULATES))
            problems_error(b->problems, n->at,
                           "pieces of the answer \"%.*s\" would overtake each other here: \"concurrency: 1\" keeps "
                           "their order",
                           STR_ARG(sink->name));
    }
}

static void check_sink(struct pipeline_build *b, const struct pipeline_node *n)
{
    const struct pipeline_node *shadow = find_before(b, n, KIND_SHADOWS), *guess = find_before(b, n, KIND_SPECULATES);

    if (shadow)
        problems_error(b->problems, n->at, "\"%.*s\" is behind the shadow \"%.*s\", where nothing may have an effect",
                       STR_ARG(n->name), STR_ARG(shadow->name));
    if (guess && b->spec->delivery == DELIVERY_EXACTLY_ONCE && n->effect.mode <= EFFECT_KEYED)
        problems_error(
            b->problems, n->at,
            "\"%.*s\" gets pieces of an answer that may not be the one that counts, from \"%.*s\": \"effect: "
            "at_least_once\" here accepts that",
            STR_ARG(n->name), STR_ARG(guess->name));
    for (size_t i = 0; n->kind->traits & KIND_REPLIES && i < b->node_count; i++) {
        const struct pipeline_node *from = b->nodes[i];
        if (from->role != PIPELINE_SOURCE || !graph_reaches(b->spec, from->index, n->index))
            continue;
        if (!from->source->takes_reply || !from->source->takes_reply(from))
            problems_error(
                b->problems, n->at,
                "nobody waits for a reply at \"%.*s\": that takes \"chat\", or \"http\" with \"mode: reply\"",
                STR_ARG(from->name));
        else if (n->gets_pieces && from->source->hears_pieces)
            check_pieces(b, n, from);
    }
}

/* A chooser lets each record go one way only: with that, can enough inputs of a join have something at the same time? */
static void check_quorum(struct pipeline_build *b, const struct pipeline_node *join,
                         const struct pipeline_node *chooser)
{
    size_t most = 0;

    for (size_t t = 0; t < chooser->target_count; t++) {
        bool reached[FLOW_NODES_MAX] = {false};
        size_t alive = 0;
        for (uint16_t i = 0; i < b->spec->node_count; i++)
            if (b->nodes[i]->role == PIPELINE_SOURCE)
                mark_reached(&b->spec->graph, i, chooser->index, chooser->targets[t].node, reached);
        for (size_t k = 0; k < join->input_count; k++) {
            uint16_t from = join->inputs[k].node;
            alive += reached[from] && (from != chooser->index || chooser->targets[t].node == join->index);
        }
        most = alive > most ? alive : most;
    }
    if (most < join->flow.need)
        problems_error(b->problems, join->at,
                       "it waits for %u inputs, but \"%.*s\" lets at most %zu of them have anything", join->flow.need,
                       STR_ARG(chooser->name), most);
}

static void check_join(struct pipeline_build *b, const struct pipeline_node *n)
{
    for (size_t i = 0; n->flow.item == FLOW_GATHER && n->flow.need > 1 && i < b->node_count; i++)
        if (b->nodes[i]->kind->traits & KIND_CHOOSES && b->nodes[i]->role == PIPELINE_NODE)
            check_quorum(b, n, b->nodes[i]);
}

/* Who is compared: one behind the shadow, with one that is not. */
static void check_trial(struct pipeline_build *b, const struct pipeline_node *n)
{
    const struct pipeline_agreement *t = n->tried_for;

    if (!t)
        return;
    if (!graph_reaches(b->spec, t->shadow->index, n->index))
        problems_error(b->problems, t->shadow->at, "\"%.*s\" is not behind the shadow: nothing is tried out there",
                       STR_ARG(n->name));
    if (graph_reaches(b->spec, t->shadow->index, t->used->index))
        problems_error(b->problems, t->shadow->at,
                       "\"%.*s\" is behind the shadow itself: \"compare\" names the node in use first",
                       STR_ARG(t->used->name));
}

void graph_check(struct pipeline_build *b)
{
    for (size_t i = 0; i < b->node_count; i++) {
        const struct pipeline_node *n = b->nodes[i];
        bool waits = n->role == PIPELINE_SOURCE && n->source->takes_reply && n->source->takes_reply(n);
        check_read(b, n);
        check_join(b, n);
        check_trial(b, n);
        if (n->role == PIPELINE_SINK) {
            b->nodes[i]->gets_pieces = find_before(b, n, KIND_SPECULATES) != NULL;
            check_sink(b, n);
        }
        if (waits && !reaches_sink(b, n, KIND_REPLIES))
            problems_error(b->problems, n->at,
                           "a request to \"%.*s\" waits for a reply, and no sink \"reply\" gives one",
                           STR_ARG(n->name));
    }
    check_budgets(b);
    promise_check(b);
}
