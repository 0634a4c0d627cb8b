/*
 * flow_bench.c - the state machine of a root on one thread: what a delivery costs, with everything that follows of it.
 *
 *     make benches && build/release/flow_bench
 *
 * A delivery is a record along an edge, its item being done, and asking what follows. Prints nanoseconds for each, the best of several rounds, and the bytes
 * of a root's state.
 */
#include "pipeline/spec/flow.h"

#include <stdio.h>
#include <time.h>

enum { ROUNDS = 1000, ROOTS = 200 }; /* short rounds: the best of them was alone on its processor */

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* One message through the whole graph, each node sending one record along each of its edges. Returns how many were sent. */
static unsigned run_root(const struct flow_graph *g, struct flow *f)
{
    struct flow_event event;
    unsigned sent = 0;

    flow_begin(g, f, 0);
    for (uint16_t node = 0; node < g->node_count; node++) {
        for (uint16_t e = g->nodes[node].first_out; e < g->nodes[node].first_out + g->nodes[node].out_count; e++) {
            (void)flow_send(g, f, e);
            sent++;
        }
        for (uint32_t items = flow_active(f, node); items; items--)
            flow_done(g, f, node, true);
        while (flow_next(g, f, &event))
            ;
    }
    return sent;
}

static void measure(const char *name, const struct flow_node *nodes, size_t n, const struct flow_edge *edges, size_t m)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct flow_graph g = flow_graph_make(&a, nodes, n, edges, m, NULL);
    struct flow *f = arena_alloc(&a, flow_size(&g));
    double best = 1e18;
    unsigned sent = 0;

    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        sent = 0;
        for (int i = 0; i < ROOTS; i++)
            sent += run_root(&g, f);
        double each = (now() - start) / sent;
        best = each < best ? each : best;
    }
    (void)printf("%-10s %2zu nodes, %2zu edges, %3zu bytes a root: %6.1f ns a delivery\n", name, n, m, flow_size(&g),
                 best);
}

int main(void)
{
    static const struct flow_node plain[10] = {{.item = FLOW_EACH}};
    static const struct flow_node triage[9] = {[3] = {.item = FLOW_GATHER}};
    static const struct flow_edge chain[] = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 7}, {7, 8}, {8, 9}};
    static const struct flow_edge support[] = {{0, 1}, {0, 2}, {1, 3}, {2, 3}, {3, 4},
                                               {4, 5}, {4, 6}, {5, 6}, {6, 7}, {6, 8}};
    static const struct flow_edge fan[] = {{0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {0, 6}, {0, 7}, {0, 8}, {0, 9}};

    measure("chain", plain, 10, chain, 9);
    measure("triage", triage, 9, support, 10);
    measure("fan-out", plain, 10, fan, 9);
    return 0;
}
