/* root_facts_test.c - what is told of messages when they are over, and of what taps show. */
#include "codec/digest.h"
#include "observe/facts.h"
#include "pipeline/run/shard_int.h"
#include "unit/pipeline_world.h"

#include <stdio.h>

#define HEAD "pipeline: p\nversion: 7\nsources: {in: {files: {path: in.ndjson}}}\nnodes:\n"
#define TAIL "sinks: {out: {from: n, file: out.ndjson}}\n"

static struct world world;
static struct buf told;

/* A line of all that does not depend on the instant. */
static void on_root(void *ctx, const struct root_facts *f)
{
    (void)ctx;
    CHECK_EQ(f->root.n, 32);
    CHECK(f->wall >= world.born_wall);
    (void)buf_addf(&told,
                   "%.*s %" PRIu64 " %.*s %s sent=%" PRId64 " took=%" PRId64 " starts=%u nodes=%" PRIu64
                   " records=%" PRIu64 " failed=%" PRIu64 " dead=%" PRIu64 " late=%" PRIu64 " calls=%" PRIu64
                   " in=%" PRIu64 " out=%" PRIu64 " price=%" PRIu64 "%s %.*s\n",
                   STR_ARG(f->pipeline), f->version, STR_ARG(f->source), root_outcome_name(f->outcome),
                   (f->sent_at - world.born_wall) / NS_MS, f->took / NS_SEC, f->starts, f->nodes, f->records, f->failed,
                   f->dead, f->late, f->calls, f->input_tokens, f->output_tokens, f->price, f->is_priced ? "" : "?",
                   STR_ARG(f->trace));
}

static void on_tap(void *ctx, const struct tap_facts *f)
{
    (void)ctx;
    CHECK_EQ(f->root.n, 32);
    (void)buf_addf(&told, "%.*s %" PRIu64 " %.*s shows %.*s%s%.*s\n", STR_ARG(f->pipeline), f->version,
                   STR_ARG(f->node), STR_ARG(f->shown), f->error_text.n ? "! " : "", STR_ARG(f->error_text));
}

static const struct pipeline_listener listener = {.on_root = on_root, .on_tap = on_tap};

/* What was told while the pipeline ran on these letters. */
static SUSPENDS void check_tells(const char *text, const struct letter *letters, size_t n, ns_t crash_at,
                                 const char *want)
{
    buf_init(&told, 1 << 16);
    CHECK_OK(world_open(&world, text, NULL, 0));
    world.letters = letters;
    world.letter_count = n;
    world.listener = &listener;
    world.crash_at = crash_at;
    CHECK_OK(world_run(&world));
    CHECK_STR(buf_str(&told), want);
    world_close(&world);
    buf_release(&told);
}

static const struct letter two[] = {{0, NS_NEVER, NULL, "{\"n\":1,\"s\":\"a\"}"}, {NS_SEC, 0, NULL, "{\"n\":\"x\"}"}};

static void tells_ends(void)
{
    check_tells(
        HEAD "  a: {from: in, delay: 2s}\n  n: {from: a, map: '{n: (.n + 1)}'}\n" TAIL, two, 2, 0,
        "p 7 in done sent=0 took=2 starts=1 nodes=4 records=4 failed=0 dead=0 late=0 calls=0 in=0 out=0 price=0 \n"
        "p 7 in dead sent=0 took=2 starts=1 nodes=3 records=3 failed=1 dead=1 late=0 calls=0 in=0 out=0 price=0 \n");
}

TEST(root_facts_tell_how_each_message_ended)
{
    in_sim(tells_ends);
}

/* It was sent long before it came. */
static void tells_late(void)
{
    check_tells(
        "deadline: 500ms\n" HEAD "  n: {from: in, map: .}\n" TAIL, two, 2, 0,
        "p 7 in done sent=0 took=0 starts=1 nodes=3 records=3 failed=0 dead=0 late=0 calls=0 in=0 out=0 price=0 \n"
        "p 7 in late sent=0 took=0 starts=1 nodes=3 records=3 failed=0 dead=0 late=0 calls=0 in=0 out=0 price=0 \n");
}

TEST(root_facts_of_what_passed_its_deadline_are_late)
{
    in_sim(tells_late);
}

static void tells_cancelled(void)
{
    check_tells(
        HEAD "  n: {from: in, delay: 2s}\n" TAIL, two, 1, 1500 * NS_MS,
        "p 7 in cancelled sent=0 took=1 starts=1 nodes=2 records=2 failed=0 dead=0 late=0 calls=0 in=0 out=0 price=0 \n"
        "p 7 in done sent=0 took=0 starts=1 nodes=3 records=3 failed=0 dead=0 late=0 calls=0 in=0 out=0 price=0 \n");
}

TEST(root_facts_of_what_is_cut_short_are_cancelled_and_it_is_told_of_again)
{
    in_sim(tells_cancelled);
}

/* --- what models cost, traces --- */

static err_t pay(struct step *s)
{
    meter_paid(s, &(struct meter_bill){
                      .input_tokens = 10, .output_tokens = 2, .nano_usd = 500, .is_unpriced = s->root->inner != NULL});
    return step_send(s, s->in->value);
}

/* Let nodes of that kind cost something. */
static void let_pay(struct pipeline_spec *spec, struct str kind)
{
    static const struct node_run paying = {.work = pay};

    for (uint16_t i = 0; i < spec->node_count; i++) {
        struct pipeline_node *n = spec->nodes[i];
        if (n->role != PIPELINE_NODE || !str_eq(str_from_c(n->kind->name), kind))
            continue;
        struct node_kind *k = arena_new(&world.arena, struct node_kind);
        *k = *n->node;
        k->run = &paying;
        n->node = k;
    }
}

static const struct world_file body = {
    "body.yaml", "pipeline: body\nversion: 1\ninput: {}\noutput: o\nnodes: {o: {from: input, map: .}}\n"};

static void tells_costs(void)
{
    static const struct message_header headers[] = {
        {STR_INIT("traceparent"), STR_INIT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")},
        {STR_INIT("Traceparent"), STR_INIT("00-4bf92f3577b34da6a3ce929d0e0e473 -00f067aa0ba902b7-01")}};

    for (size_t header = 0; header < ARRAY_LEN(headers); header++) {
        buf_init(&told, 1 << 16);
        CHECK_OK(world_open(&world,
                            HEAD
                            "  a: {from: in, map: .}\n"
                            "  n: {from: a, loop: {pipeline: body.yaml, until: 'true', max: 1, deadline: 1m}}\n" TAIL,
                            &body, 1));
        let_pay(world.spec, STR("map"));
        for (uint16_t i = 0; i < world.spec->node_count; i++)
            if (world.spec->nodes[i]->body)
                let_pay(world.spec->nodes[i]->body, STR("map"));
        world.letters = two;
        world.letter_count = 1;
        world.headers = &headers[header];
        world.header_count = 1;
        world.listener = &listener;
        CHECK_OK(world_run(&world));
        char want[300];
        (void)snprintf(
            want, sizeof want,
            "p 7 in done sent=0 took=0 starts=1 nodes=4 records=4 failed=0 dead=0 late=0 calls=2 in=20 out=4 "
            "price=1000? %s\n",
            header == 0 ? "4bf92f3577b34da6a3ce929d0e0e4736" : "");
        CHECK_STR(buf_str(&told), want);
        world_close(&world);
        buf_release(&told);
    }
}

TEST(root_facts_add_up_what_models_cost_also_in_bodies_and_know_the_trace)
{
    in_sim(tells_costs);
}

/* --- taps --- */

static void tells_taps(void)
{
    check_tells(
        HEAD "  n: {from: in, tap: {to: facts, show: '{next: (.n + 1), s}'}}\n" TAIL, two, 2, 0,
        "p 7 n shows {\"next\":2,\"s\":\"a\"}\n"
        "p 7 in done sent=0 took=0 starts=1 nodes=3 records=3 failed=0 dead=0 late=0 calls=0 in=0 out=0 price=0 \n"
        "p 7 n shows ! string (\"x\") and number (1) cannot be added\n"
        "p 7 in done sent=0 took=0 starts=1 nodes=3 records=3 failed=0 dead=0 late=0 calls=0 in=0 out=0 price=0 \n");
}

TEST(tap_shows_to_the_facts_what_the_file_names)
{
    in_sim(tells_taps);
}

static void tells_no_log(void)
{
    check_tells(
        HEAD "  n: {from: in, tap: {to: log, show: .n}}\n" TAIL, two, 1, 0,
        "p 7 in done sent=0 took=0 starts=1 nodes=3 records=3 failed=0 dead=0 late=0 calls=0 in=0 out=0 price=0 \n");
}

TEST(tap_to_the_log_is_none_of_the_facts)
{
    in_sim(tells_no_log);
}
