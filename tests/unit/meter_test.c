/* meter_test.c - what a shard counts at nodes and edges, through runs of a pipeline in virtual time. */
#include "pipeline/run/shard.h"

#include "unit/in_loop.h"
#include "unit/test.h"

/* A join that is over before all is there, one that never is, and one that takes the first of two. */
static const char text[] = "pipeline: p\n"
                           "version: 1\n"
                           "delivery: at_least_once\n"
                           "deadline: 20s\n"
                           "sources: {in: {files: {path: /in}, key: .k}}\n"
                           "nodes:\n"
                           "  some: {from: in, filter: .n > 1}\n"
                           "  slow: {from: in, delay: {for: 4s}}\n"
                           "  both: {join: [some, slow], by: root, wait: all, timeout: 2s, on_timeout: partial}\n"
                           "  pair: {join: [some, in, slow], by: root, wait: 3}\n"
                           "  first: {join: [in, slow], by: root, wait: any}\n"
                           "  sum: {from: both, map: '.some.n | tonumber'}\n"
                           "sinks: {out: {from: [sum, pair, first], file: /out}}\n";

/* What comes to the join behind its first record is not waited for there, while the message goes on elsewhere. */
static const char late_text[] = "pipeline: p\n"
                                "version: 1\n"
                                "delivery: at_least_once\n"
                                "sources: {in: {files: {path: /in}}}\n"
                                "nodes:\n"
                                "  slow: {from: in, delay: {for: 1s}}\n"
                                "  first: {join: [in, slow], by: root, wait: any}\n"
                                "  last: {from: in, delay: {for: 9s}}\n"
                                "sinks: {out: {from: [first, last], file: /out}}\n";

static const char *file_text;
static struct sim_world *sim;
static struct pipeline_spec *spec;

static err_t read_file(const char *path, size_t max, struct buf *ret)
{
    (void)path;
    (void)max;
    return buf_add(ret, str_from_c(file_text));
}

static const struct config_env env = {.read_file = read_file};

static err_t run_shard(void *shard)
{
    return shard_run(shard);
}

static struct node_numbers numbers(const struct shard *s, const char *node)
{
    const struct pipeline_node *n = pipeline_find(spec, str_from_c(node));
    struct node_numbers ret = {0};

    if (n)
        shard_node(s, n->index, &ret);
    return ret;
}

static uint64_t along(const struct shard *s, const char *from, const char *to)
{
    const struct flow_graph *g = &spec->graph;

    for (uint16_t i = 0; i < g->edge_count; i++)
        if (str_eq(spec->nodes[g->edges[i].from]->name, str_from_c(from)) &&
            str_eq(spec->nodes[g->edges[i].to]->name, str_from_c(to)))
            return shard_edge(s, i);
    return UINT64_MAX;
}

static void pass(ns_t span)
{
    CHECK_OK(fiber_sleep_until(rt_now() + span));
}

/* n is 1, 2 and "x", which is no number. */
static void check_midway(const struct shard *s)
{
    struct node_numbers n = numbers(s, "slow");

    CHECK_EQ(n.in, 3);
    CHECK_EQ(n.waiting, 3);
    CHECK_EQ(n.waiting_bytes,
             sizeof "{\"k\":0,\"n\":1}" - 1 + sizeof "{\"k\":0,\"n\":2}" - 1 + sizeof "{\"k\":0,\"n\":\"x\"}" - 1);
    CHECK_EQ(numbers(s, "both").waiting, 2);
    CHECK_EQ(numbers(s, "pair").waiting, 5);
    CHECK_EQ(numbers(s, "first").waiting, 0);
    CHECK_EQ(numbers(s, "first").out, 3);
    CHECK_EQ(numbers(s, "out").in, 3);
    CHECK_EQ(numbers(s, "out").in_lanes, 2); /* one message after the other */
    CHECK_EQ(numbers(s, "out").waiting, 2);
}

static void check_end(const struct shard *s)
{
    struct node_numbers slow = numbers(s, "slow"), sum = numbers(s, "sum");

    for (uint16_t i = 0; i < spec->node_count; i++) {
        struct node_numbers n;
        shard_node(s, i, &n);
        CHECK_MSG(!n.waiting && !n.waiting_bytes && !n.in_lanes, "at %.*s", STR_ARG(spec->nodes[i]->name));
    }
    CHECK_EQ(numbers(s, "some").in, 3);
    CHECK_EQ(numbers(s, "some").out, 2);
    CHECK_EQ(slow.took.count[8], 0);
    CHECK(slow.took.sum >= (uint64_t)(12 * NS_SEC) && slow.took.sum < (uint64_t)(13 * NS_SEC));
    CHECK(slow.burnt >= 0.6 && slow.burnt < 0.65);
    CHECK_EQ(numbers(s, "both").out, 3);
    CHECK_EQ(numbers(s, "pair").out, 2);
    CHECK_EQ(numbers(s, "first").in, 6); /* the second ones come too late */
    CHECK_EQ(numbers(s, "first").out, 3);
    CHECK_EQ(sum.in, 3);
    CHECK(sum.failed > 0 && sum.dead[E_PARSE] == sum.failed);
    CHECK_EQ(along(s, "in", "slow"), 3);
    CHECK_EQ(along(s, "some", "pair"), 2);
    CHECK_EQ(along(s, "sum", "out"), sum.out);
    CHECK_EQ(numbers(s, "out").in, sum.out + 5);
    CHECK(numbers(s, "out").batches > 0);
}

static void look(const struct shard *s)
{
    pass(NS_SEC + 500 * NS_MS);
    check_midway(s);
    pass(10 * NS_SEC);
    check_end(s);
}

static void look_at_late(const struct shard *s)
{
    pass(5 * NS_SEC);
    CHECK_EQ(numbers(s, "first").in, 2);
    CHECK_EQ(numbers(s, "first").waiting, 0);
    CHECK_EQ(numbers(s, "first").waiting_bytes, 0);
    CHECK_EQ(numbers(s, "last").waiting, 1);
    pass(10 * NS_SEC);
}

static err_t in_world(void *arg)
{
    void (**looks)(const struct shard *s) = arg;
    struct journal *j;
    SCOPE(running, NS_NEVER);

    TRY(journal_open(
        &(struct journal_options){.kind = "memory", .traces_max = 100, .trace_age = NS_NEVER, .dead_age = NS_NEVER},
        &j));
    struct shard *s = shard_new(&(struct shard_options){.spec = spec, .journal = j});
    scope_spawn(&running, "shard", run_shard, s);
    (*looks)(s);
    shard_drain(s);
    err_t e = scope_wait_all(&running);
    shard_free(s);
    journal_close(j);
    return e;
}

static void with_lines(const char *file, struct str lines, void (*looks)(const struct shard *s))
{
    const struct pipeline_world world = {.env = &env};
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};

    file_text = file;
    CHECK_OK(pipeline_load(STR("p.yaml"), NULL, &world, &problems, &spec));
    sim = sim_world_new(&(struct sim_options){.seed = test_seed()});
    sim_world_put_file(sim, "/in", lines.p, lines.n);
    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(sim)}, in_world, &looks);
    sim_world_free(sim);
    pipeline_unref(spec);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
}

TEST(meter_counts_what_comes_waits_and_goes_at_each_node)
{
    with_lines(text, STR("{\"k\":0,\"n\":1}\n{\"k\":0,\"n\":2}\n{\"k\":0,\"n\":\"x\"}\n"), look);
}

TEST(meter_does_not_count_as_waiting_what_comes_too_late_to_a_join)
{
    with_lines(late_text, STR("{\"n\":1}\n"), look_at_late);
}
