/*
 * flow_test.c - the state machine of one root: what each kind of node does, and properties over every small graph under many interleavings.
 *
 * The properties are held against a model that only counts: it knows what was sent, done and failed, and works out from that alone, when all is over, how
 * everything should have ended.
 */
#include "pipeline/spec/flow.h"

#include "base/prng.h"
#include "unit/test.h"

/* ---- a graph at hand ---- */

enum { NODES = 12, EDGES = NODES * NODES / 2, STATE_BYTES = 8192 };

struct house {
    struct arena arena;
    struct flow_graph g;
    union {
        struct flow *f;
        char *bytes;
    };
    uint64_t room[STATE_BYTES / 8];
};

static void open_house(struct house *h, const struct flow_node *nodes, size_t n, const struct flow_edge *edges,
                       size_t m)
{
    arena_init(&h->arena, SIZE_MAX);
    h->g = flow_graph_make(&h->arena, nodes, n, edges, m, NULL);
    h->f = (struct flow *)(void *)h->room;
}

static void close_house(struct house *h)
{
    arena_release(&h->arena);
}

/* "f2 e1t C": what follows, FIRE and ENDED with their node, an end by its letter; COMPLETE. */
static const char *events_of(struct house *h, char to[256])
{
    static const char letters[] = {[FLOW_OPEN] = 'o', [FLOW_TAKEN] = 't', [FLOW_DEAD] = 'd', [FLOW_FAILED] = 'f'};
    struct flow_event e;
    size_t n = 0;

    to[0] = '\0';
    while (flow_next(&h->g, h->f, &e) && n < 200) {
        if (n)
            to[n++] = ' ';
        if (e.kind == FLOW_COMPLETE) {
            to[n++] = 'C';
            to[n++] = letters[e.end];
        } else {
            to[n++] = e.kind == FLOW_FIRE ? 'f' : 'e';
            to[n++] = (char)('0' + e.node);
            if (e.kind == FLOW_ENDED)
                to[n++] = letters[e.end];
        }
        to[n] = '\0';
    }
    return to;
}

#define CHECK_EVENTS(h, want)                                                                                          \
    do {                                                                                                               \
        char said_[256];                                                                                               \
        CHECK_STR(str_from_c(events_of((h), said_)), want);                                                            \
    } while (0)

TEST(flow_of_a_chain_ends_node_by_node)
{
    static const struct flow_node nodes[3];
    static const struct flow_edge edges[] = {{0, 1}, {1, 2}};
    struct house h CLEANUP(close_house);

    open_house(&h, nodes, 3, edges, 2);
    flow_begin(&h.g, h.f, 0);
    CHECK_EVENTS(&h, "");
    CHECK_EQ(flow_send(&h.g, h.f, 0), FLOW_RUN);
    flow_done(&h.g, h.f, 0, true);
    CHECK_EVENTS(&h, "e0t");
    CHECK_EQ(flow_active(h.f, 1), 1);
    CHECK_EQ(flow_send(&h.g, h.f, 1), FLOW_RUN);
    flow_done(&h.g, h.f, 1, true);
    CHECK_EVENTS(&h, "e1t");
    flow_done(&h.g, h.f, 2, true);
    CHECK_EVENTS(&h, "e2t Ct");
    CHECK_EVENTS(&h, "");
}

TEST(flow_of_a_filtered_record_ends_dead_and_is_complete)
{
    static const struct flow_node nodes[3];
    static const struct flow_edge edges[] = {{0, 1}, {1, 2}};
    struct house h CLEANUP(close_house);

    open_house(&h, nodes, 3, edges, 2);
    flow_begin(&h.g, h.f, 0);
    (void)flow_send(&h.g, h.f, 0);
    flow_done(&h.g, h.f, 0, true);
    CHECK_EVENTS(&h, "e0t");
    flow_done(&h.g, h.f, 1, true);
    CHECK_EVENTS(&h, "e1d e2d Ct");
    CHECK_EQ(flow_edge_end(&h.g, h.f, 1), FLOW_DEAD);
}

TEST(flow_failure_reaches_the_sinks)
{
    static const struct flow_node nodes[3];
    static const struct flow_edge edges[] = {{0, 1}, {1, 2}};
    struct house h CLEANUP(close_house);

    open_house(&h, nodes, 3, edges, 2);
    flow_begin(&h.g, h.f, 0);
    (void)flow_send(&h.g, h.f, 0);
    (void)flow_send(&h.g, h.f, 0);
    flow_done(&h.g, h.f, 0, true);
    CHECK_EVENTS(&h, "e0t");
    (void)flow_send(&h.g, h.f, 1);
    flow_done(&h.g, h.f, 1, true);
    flow_done(&h.g, h.f, 1, false);
    CHECK_EVENTS(&h, "e1f");
    CHECK(flow_edge_sent(&h.g, h.f, 1));
    flow_done(&h.g, h.f, 2, true);
    CHECK_EVENTS(&h, "e2f Cf");
}

/* 0 sends to 1 and 2, 3 joins both. */
static void open_diamond(struct house *h, uint16_t need, bool partial)
{
    const struct flow_node nodes[4] = {[3] = {.item = FLOW_GATHER, .need = need, .partial = partial}};
    static const struct flow_edge edges[] = {{0, 1}, {0, 2}, {1, 3}, {2, 3}};

    open_house(h, nodes, 4, edges, 4);
    flow_begin(&h->g, h->f, 0);
    (void)flow_send(&h->g, h->f, 0);
    (void)flow_send(&h->g, h->f, 1);
    flow_done(&h->g, h->f, 0, true);
}

TEST(flow_join_of_all_fires_when_both_have_ended)
{
    struct house h CLEANUP(close_house);

    open_diamond(&h, 0, false);
    CHECK_EVENTS(&h, "e0t");
    CHECK_EQ(flow_send(&h.g, h.f, 2), FLOW_HELD);
    flow_done(&h.g, h.f, 1, true);
    CHECK_EVENTS(&h, "e1t");
    CHECK_EQ(flow_send(&h.g, h.f, 3), FLOW_HELD);
    CHECK_EVENTS(&h, "");
    flow_done(&h.g, h.f, 2, true);
    CHECK_EVENTS(&h, "e2t f3");
    flow_done(&h.g, h.f, 3, true);
    CHECK_EVENTS(&h, "e3t Ct");
}

TEST(flow_join_of_all_leaves_out_a_way_that_was_not_taken)
{
    struct house h CLEANUP(close_house);

    open_diamond(&h, 0, false);
    (void)flow_send(&h.g, h.f, 2);
    flow_done(&h.g, h.f, 1, true);
    flow_done(&h.g, h.f, 2, true);
    CHECK_EVENTS(&h, "e0t e1t e2d f3");
}

TEST(flow_join_that_nothing_came_to_never_fires)
{
    struct house h CLEANUP(close_house);

    open_diamond(&h, 0, false);
    flow_done(&h.g, h.f, 1, true);
    flow_done(&h.g, h.f, 2, true);
    CHECK_EVENTS(&h, "e0t e1d e2d e3d Ct");
}

TEST(flow_join_of_all_fails_with_an_input_unless_it_is_partial)
{
    for (int partial = 0; partial < 2; partial++) {
        struct house h CLEANUP(close_house);
        open_diamond(&h, 0, partial);
        (void)flow_send(&h.g, h.f, 2);
        flow_done(&h.g, h.f, 1, true);
        flow_done(&h.g, h.f, 2, false);
        if (!partial) {
            CHECK_EVENTS(&h, "e0t e1t e2f e3f Cf");
            continue;
        }
        CHECK_EVENTS(&h, "e0t e1t e2f f3");
        flow_done(&h.g, h.f, 3, true);
        CHECK_EVENTS(&h, "e3t Cf");
    }
}

TEST(flow_join_of_any_fires_at_the_first_record_and_drops_the_second)
{
    struct house h CLEANUP(close_house);

    open_diamond(&h, 1, false);
    CHECK_EQ(flow_send(&h.g, h.f, 3), FLOW_HELD);
    CHECK_EVENTS(&h, "e0t f3");
    flow_done(&h.g, h.f, 3, true);
    CHECK_EVENTS(&h, "e3t"); /* before its inputs have */
    CHECK_EQ(flow_send(&h.g, h.f, 2), FLOW_LATE);
    flow_done(&h.g, h.f, 1, true);
    flow_done(&h.g, h.f, 2, true);
    CHECK_EVENTS(&h, "e1t e2t Ct");
}

TEST(flow_join_of_two_counts_inputs_and_not_records)
{
    struct house h CLEANUP(close_house);

    open_diamond(&h, 2, false);
    (void)flow_send(&h.g, h.f, 2);
    (void)flow_send(&h.g, h.f, 2);
    CHECK_EVENTS(&h, "e0t");
    (void)flow_send(&h.g, h.f, 3);
    CHECK_EVENTS(&h, "f3");
}

TEST(flow_join_of_two_that_gets_one_gives_up)
{
    struct house h CLEANUP(close_house);

    open_diamond(&h, 2, false);
    (void)flow_send(&h.g, h.f, 2);
    flow_done(&h.g, h.f, 1, true);
    flow_done(&h.g, h.f, 2, true);
    CHECK_EVENTS(&h, "e0t e1t e2d e3f Cf");
}

TEST(flow_join_whose_time_is_over_goes_on_with_what_is_there_or_fails)
{
    for (int partial = 0; partial < 2; partial++) {
        struct house h CLEANUP(close_house);
        open_diamond(&h, 0, partial);
        (void)flow_send(&h.g, h.f, 2);
        CHECK_EVENTS(&h, "e0t");
        flow_timeout(&h.g, h.f, 3);
        CHECK_EVENTS(&h, partial ? "f3" : "e3f");
        CHECK_EQ(flow_send(&h.g, h.f, 3), FLOW_LATE);
        flow_timeout(&h.g, h.f, 3);
        CHECK_EVENTS(&h, "");
    }
}

TEST(flow_join_whose_time_is_over_with_nothing_there_fails_in_any_case)
{
    for (int partial = 0; partial < 2; partial++) {
        struct house h CLEANUP(close_house);
        open_diamond(&h, 0, partial);
        flow_timeout(&h.g, h.f, 3);
        CHECK_EVENTS(&h, "e0t e3f");
    }
}

TEST(flow_join_whose_time_is_over_takes_nothing_more_before_it_has_ended)
{
    struct house h CLEANUP(close_house);

    open_diamond(&h, 0, true);
    CHECK_EVENTS(&h, "e0t");
    flow_timeout(&h.g, h.f, 3);
    CHECK_EQ(flow_send(&h.g, h.f, 2), FLOW_LATE);
    CHECK_EVENTS(&h, "e3f"); /* what was dropped is nothing to go on with */
}

TEST(flow_absorbs_a_record_and_begins_anew_at_the_window)
{
    static const struct flow_node nodes[3] = {[1] = {.item = FLOW_ABSORB}};
    static const struct flow_edge edges[] = {{0, 1}, {1, 2}};
    struct house h CLEANUP(close_house);

    open_house(&h, nodes, 3, edges, 2);
    flow_begin(&h.g, h.f, 0);
    CHECK_EQ(flow_send(&h.g, h.f, 0), FLOW_RUN);
    flow_done(&h.g, h.f, 0, true);
    flow_done(&h.g, h.f, 1, true);
    CHECK_EVENTS(&h, "e0t e1d e2d Ct");
    flow_begin(&h.g, h.f, 1);
    CHECK_EVENTS(&h, "e0d");
    (void)flow_send(&h.g, h.f, 1);
    flow_done(&h.g, h.f, 1, true);
    CHECK_EVENTS(&h, "e1t");
    flow_done(&h.g, h.f, 2, true);
    CHECK_EVENTS(&h, "e2t Ct");
}

TEST(flow_of_other_sources_is_dead_from_the_beginning)
{
    static const struct flow_node nodes[3];
    static const struct flow_edge edges[] = {{0, 2}, {1, 2}};
    struct house h CLEANUP(close_house);

    open_house(&h, nodes, 3, edges, 2);
    flow_begin(&h.g, h.f, 1);
    CHECK_EVENTS(&h, "e0d");
    (void)flow_send(&h.g, h.f, 1);
    flow_done(&h.g, h.f, 1, true);
    CHECK_EVENTS(&h, "e1t");
    flow_done(&h.g, h.f, 2, true);
    CHECK_EVENTS(&h, "e2t Ct");
}

TEST(flow_state_of_ten_nodes_is_below_half_a_kilobyte)
{
    struct flow_node nodes[10] = {0};
    struct flow_edge edges[45];
    struct house h CLEANUP(close_house);
    size_t m = 0;

    for (uint16_t i = 0; i < 10; i++)
        for (uint16_t k = (uint16_t)(i + 1); k < 10; k++)
            edges[m++] = (struct flow_edge){i, k};
    open_house(&h, nodes, 10, edges, m);
    CHECK_LT(flow_size(&h.g), 512);
}

TEST(flow_of_the_largest_graph_completes)
{
    static struct flow_node nodes[FLOW_NODES_MAX];
    struct flow_edge edges[FLOW_NODES_MAX];
    struct house h CLEANUP(close_house);
    struct flow_event e;
    unsigned ended = 0;

    for (uint16_t i = 0; i + 1 < FLOW_NODES_MAX; i++)
        edges[i] = (struct flow_edge){i, (uint16_t)(i + 1)};
    open_house(&h, nodes, FLOW_NODES_MAX, edges, FLOW_NODES_MAX - 1);
    CHECK_LE(flow_size(&h.g), STATE_BYTES);
    flow_begin(&h.g, h.f, 0);
    for (uint16_t i = 0; i < FLOW_NODES_MAX; i++) {
        if (i + 1 < FLOW_NODES_MAX)
            CHECK_EQ(flow_send(&h.g, h.f, i), FLOW_RUN);
        flow_done(&h.g, h.f, i, true);
        while (flow_next(&h.g, h.f, &e))
            ended += e.kind == FLOW_ENDED;
    }
    CHECK_EQ(ended, FLOW_NODES_MAX);
    CHECK_EQ(e.kind, FLOW_COMPLETE);
}

/* ---- every small graph ---- */

/* What was told to the machine, and what it said. */
struct model {
    struct house *h;
    struct prng *prng;
    unsigned active[NODES], fired[NODES], ended[NODES];
    bool failed[NODES], timed_out[NODES], had_at_timeout[NODES], fired_before_timeout[NODES];
    unsigned sent[EDGES], arrived[NODES]; /* arrived: inputs with a record that was held or run */
    bool is_complete;
};

static bool is_gather(const struct model *m, uint16_t node)
{
    return m->h->g.nodes[node].item == FLOW_GATHER;
}

/* Take what follows, and hold it against what may follow. */
static void drain(struct model *m)
{
    struct flow_event e;

    while (flow_next(&m->h->g, m->h->f, &e)) {
        CHECK(!m->is_complete);
        if (e.kind == FLOW_FIRE) {
            CHECK(is_gather(m, e.node));
            CHECK_EQ(m->fired[e.node]++, 0);
            CHECK_GT(m->arrived[e.node], 0);
            CHECK_EQ(m->ended[e.node], 0);
            m->active[e.node]++;
        } else if (e.kind == FLOW_ENDED) {
            CHECK_EQ(m->ended[e.node]++, 0);
            CHECK_EQ(m->active[e.node], 0);
        } else {
            m->is_complete = true;
            for (uint16_t i = 0; i < m->h->g.node_count; i++)
                CHECK_EQ(m->ended[i], 1);
        }
    }
}

static void send(struct model *m, uint16_t edge)
{
    const struct flow_edge *e = &m->h->g.edges[edge];

    CHECK_EQ(flow_edge_end(&m->h->g, m->h->f, edge), FLOW_OPEN);
    enum flow_verdict v = flow_send(&m->h->g, m->h->f, edge);
    bool is_late = is_gather(m, e->to) && (m->fired[e->to] || m->timed_out[e->to] || m->ended[e->to]);
    CHECK_EQ(v, is_late ? FLOW_LATE : is_gather(m, e->to) ? FLOW_HELD : FLOW_RUN);
    if (v == FLOW_RUN) {
        CHECK_EQ(m->ended[e->to], 0);
        m->active[e->to]++;
    }
    if (v != FLOW_LATE && !m->sent[edge])
        m->arrived[e->to]++;
    m->sent[edge]++;
}

/* An active item works: sends up to two records along some of its edges, and is done, well or not. */
static void work(struct model *m, uint16_t node)
{
    const struct flow_node *n = &m->h->g.nodes[node];
    bool is_taken_in = n->item == FLOW_ABSORB && m->arrived[node]; /* for this root that is the end */

    for (uint16_t e = n->first_out; e < n->first_out + n->out_count && !is_taken_in; e++)
        for (uint32_t k = (uint32_t)prng_below(m->prng, 3); k > 0; k--) {
            send(m, e);
            if (test_failed())
                return;
            if (prng_below(m->prng, 2))
                drain(m); /* who reads it is told at once, or later */
        }
    bool ok = prng_below(m->prng, 8) != 0;
    m->failed[node] = m->failed[node] || !ok;
    m->active[node]--;
    flow_done(&m->h->g, m->h->f, node, ok);
}

static void time_out(struct model *m, uint16_t node)
{
    if (!m->timed_out[node] && !m->fired[node] && !m->ended[node]) {
        m->timed_out[node] = true;
        m->had_at_timeout[node] = m->arrived[node] > 0;
    }
    flow_timeout(&m->h->g, m->h->f, node);
}

/* One thing that may happen now; false if nothing can. */
static bool step(struct model *m)
{
    uint16_t can[2 * NODES];
    uint32_t count = 0, works;

    for (uint16_t i = 0; i < m->h->g.node_count; i++)
        for (unsigned k = 0; k < m->active[i] && k < 1; k++)
            can[count++] = i;
    works = count;
    if (!works)
        return false;
    if (prng_below(m->prng, 6) == 0)
        for (uint16_t i = 0; i < m->h->g.node_count; i++)
            if (is_gather(m, i))
                can[count++] = i;
    uint32_t which = (uint32_t)prng_below(m->prng, count);
    if (which < works)
        work(m, can[which]);
    else
        time_out(m, can[which]);
    return !test_failed();
}

/* Should the join have fired, by what came of its inputs? */
static bool should_have_fired(const struct model *m, uint16_t node)
{
    const struct flow_graph *g = &m->h->g;
    const struct flow_node *n = &g->nodes[node];
    bool any_failed = false;

    for (uint16_t e = 0; e < g->edge_count; e++)
        any_failed = any_failed || (g->edges[e].to == node && flow_edge_end(g, m->h->f, e) == FLOW_FAILED);
    if (m->timed_out[node])
        return n->partial && m->had_at_timeout[node];
    if (!m->arrived[node])
        return false;
    return n->partial || (n->need ? m->arrived[node] >= n->need : !any_failed);
}

/* When all is over: every edge and every join ended as it should have. */
static void check_ends(struct model *m)
{
    const struct flow_graph *g = &m->h->g;

    for (uint16_t i = 0; i < g->node_count; i++) {
        const struct flow_node *n = &g->nodes[i];
        bool inputs_failed = false;
        for (uint16_t e = 0; e < g->edge_count; e++)
            inputs_failed = inputs_failed || (g->edges[e].to == i && flow_edge_end(g, m->h->f, e) == FLOW_FAILED);
        if (n->item == FLOW_GATHER)
            CHECK_EQ(m->fired[i], should_have_fired(m, i));
        bool gave_up = n->item == FLOW_GATHER && !m->fired[i] && (m->arrived[i] || m->timed_out[i] || inputs_failed);
        bool failed = m->failed[i] || gave_up || (n->item != FLOW_GATHER && inputs_failed);
        for (uint16_t e = n->first_out; e < n->first_out + n->out_count; e++) {
            enum flow_end want = failed ? FLOW_FAILED : m->sent[e] ? FLOW_TAKEN : FLOW_DEAD;
            CHECK_EQ(flow_edge_end(g, m->h->f, e), want);
        }
    }
}

/* One root through the graph, from a start and in an order that the seed chooses. */
static void run_root(struct house *h, struct prng *prng, uint16_t start)
{
    struct model m = {.h = h, .prng = prng};
    unsigned steps = 0;

    m.active[start] = 1;
    flow_begin(&h->g, h->f, start);
    do {
        drain(&m);
        if (test_failed())
            return;
        if (prng_below(prng, 4) == 0) { /* it may be moved at any moment */
            uint64_t copy[STATE_BYTES / 8];
            memcpy(copy, h->f, flow_size(&h->g));
            memset(h->f, 0xa5, flow_size(&h->g));
            memcpy(h->f, copy, flow_size(&h->g));
        }
        if (++steps > 100000)
            FAIL("it does not end");
    } while (step(&m));
    if (test_failed())
        return;
    CHECK(m.is_complete);
    check_ends(&m);
}

static struct flow_node node_of(unsigned variant)
{
    static const struct flow_node variants[] = {{.item = FLOW_EACH},
                                                {.item = FLOW_GATHER},
                                                {.item = FLOW_GATHER, .partial = true},
                                                {.item = FLOW_GATHER, .need = 1},
                                                {.item = FLOW_GATHER, .need = 2},
                                                {.item = FLOW_GATHER, .need = 2, .partial = true},
                                                {.item = FLOW_ABSORB}};
    return variants[variant % ARRAY_LEN(variants)];
}

/* The graph whose edges are the bits of `bits`; what no edge leads to is a source. */
static void run_graph(size_t n, const uint64_t bits[2], unsigned kinds, unsigned roots, struct prng *prng)
{
    struct flow_node nodes[NODES];
    struct flow_edge edges[EDGES];
    bool has_input[NODES] = {false};
    struct house h CLEANUP(close_house);
    size_t m = 0, bit = 0;

    for (uint16_t i = 0; i < n; i++)
        for (uint16_t k = (uint16_t)(i + 1); k < n; k++, bit++)
            if (bits[bit / 64] >> bit % 64 & 1) {
                edges[m++] = (struct flow_edge){i, k};
                has_input[k] = true;
            }
    for (size_t i = 0; i < n; i++, kinds /= 7)
        nodes[i] = has_input[i] ? node_of(kinds % 7) : (struct flow_node){0};
    open_house(&h, nodes, n, edges, m);
    for (unsigned r = 0; r < roots && !test_failed(); r++) {
        uint16_t start;
        do
            start = (uint16_t)prng_below(prng, n);
        while (has_input[start] && nodes[start].item != FLOW_ABSORB);
        run_root(&h, prng, start);
    }
}

TEST(flow_holds_its_properties_on_every_graph_of_up_to_five_nodes)
{
    for (size_t n = 1; n <= 5; n++) {
        uint64_t graphs = UINT64_C(1) << (n * (n - 1) / 2);
        unsigned all = 1, tries;
        for (size_t i = 1; i < n; i++)
            all *= 7;
        tries = n < 5 ? all : 20;
        for (uint64_t bits = 0; bits < graphs; bits += n < 5 ? 1 : test_step()) {
            for (unsigned k = 0; k < tries; k++) {
                struct prng prng;
                prng_seed(&prng, test_seed() + bits * 7919 + k);
                test_context("%zu nodes, edges 0x%llx, kinds %u", n, (unsigned long long)bits, k);
                run_graph(n, (const uint64_t[]){bits, 0}, n < 5 ? k * 7 : (unsigned)prng_below(&prng, all) * 7, 4,
                          &prng);
                if (test_failed())
                    return;
            }
        }
    }
    test_context("%s", "");
}

TEST(flow_holds_its_properties_on_random_graphs_of_twelve_nodes)
{
    for (uint64_t round = 0; round < test_rounds(3000); round++) {
        struct prng prng;
        prng_seed(&prng, test_seed() + round);
        test_context("seed %llu", (unsigned long long)(test_seed() + round));
        const uint64_t bits[2] = {prng_next(&prng) & prng_next(&prng), prng_next(&prng) & prng_next(&prng)};
        size_t n = 6 + prng_below(&prng, NODES - 5);
        run_graph(n, bits, (unsigned)prng_next(&prng), 4, &prng);
        if (test_failed())
            return;
    }
    test_context("%s", "");
}
