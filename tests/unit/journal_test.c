/* journal_test.c - what each operation does and each query tells, in every kind of journal. */
#include "store/journal.h"

#include "journal_world.h"
#include "rt/scope.h"
#include "unit/in_loop.h"
#include "unit/test.h"

static struct journal *j;
static struct arena arena;
static struct journal_record rows[DUMP_ROWS];

#ifndef IN_JOURNALS /* who includes this file has journals of another kind */

static const char *kind;
static struct sim_world *sim;

static const struct journal_options *options(void)
{
    static struct journal_options o;

    o = (struct journal_options){
        .kind = kind, .path = "/journal.db", .traces_max = 4, .trace_age = 1000, .dead_age = 1000};
    return &o;
}

static err_t in_journal_(void *arg)
{
    body_fn **body = arg;

    TRY(journal_open(options(), &j));
    (*body)();
    journal_close(j);
    return OK;
}

/* Run `body` with an empty journal of each kind, in simulation. */
static void in_journals(body_fn *body)
{
    static const char *const kinds[] = {"memory", "sqlite"};

    for (size_t i = 0; i < ARRAY_LEN(kinds) && !test_failed(); i++) {
        kind = kinds[i];
        test_context("%s", kind);
        arena_init(&arena, SIZE_MAX);
        sim = sim_world_new(&(struct sim_options){.seed = test_seed(), .disk_cache = true});
        err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(sim)}, in_journal_, &body);
        struct sim_census census;
        sim_world_census(sim, &census);
        sim_world_free(sim);
        arena_release(&arena);
        CHECK_MSG(e == OK, "loop: %s", err_detail(e));
        CHECK_EQ(census.open_files, 0);
    }
    test_context("%s", "");
}

#define IN_JOURNALS in_journals
#endif

#define JOURNAL_TEST(test_name)                                                                                        \
    static void journal_##test_name(void);                                                                             \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        IN_JOURNALS(journal_##test_name);                                                                              \
    }                                                                                                                  \
    static void journal_##test_name(void)

/* All that a query finds, in `rows`. */
#define QUERY(what, ...)                                                                                               \
    read_all(j, (struct journal_query){.kind = JOURNAL_##what, .r = {__VA_ARGS__}}, &arena, rows, DUMP_ROWS)
#define P .pipeline = STR("p")
#define PLACE_0 P, .source = STR("s"), .partition = 0
#define NODE(n) P, .node = STR(n)

static bool is_id(struct journal_id id, uint64_t n)
{
    struct journal_id other = id_of(n);
    return memcmp(id.b, other.b, sizeof id.b) == 0;
}

/* ---- roots ---- */

JOURNAL_TEST(journal_roots_come_back_in_the_order_in_which_they_came)
{
    static const uint64_t order[] = {5, 2, 9, 7};

    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        CHECK_OK(commit_one(j, ROOT_AT(order[i], 0, .at = 11, .due = 22, .body = BODY("hello"))));
    CHECK_OK(commit_one(j, ROOT_AT(3, 1)));
    CHECK_EQ(QUERY(ROOTS, PLACE_0), 4);
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        CHECK(is_id(rows[i].id, order[i]));
        CHECK_EQ(rows[i].seq, order[i]);
    }
    CHECK_EQ(rows[0].at, 11);
    CHECK_EQ(rows[0].due, 22);
    CHECK_EQ(rows[0].body.form, 3);
    CHECK_STR(rows[0].body.bytes, "hello");
    CHECK_STR(rows[0].pipeline, "p");
    CHECK_STR(rows[0].source, "s");
}

JOURNAL_TEST(journal_pages_end_at_their_limit_and_go_on_behind_it)
{
    struct journal_query q = {JOURNAL_ROOTS, {PLACE_0}, 0, 3};
    struct journal_page page;

    for (uint64_t n = 0; n < 7; n++)
        CHECK_OK(commit_one(j, ROOT_AT(n, 0)));
    for (uint64_t n = 0; n < 7; n += 3) {
        CHECK_OK(journal_read(j, &q, &arena, &page));
        CHECK_EQ(page.count, n < 6 ? 3 : 1);
        CHECK(is_id(page.records[0].id, n));
        CHECK_EQ(page.next != 0, n < 6);
        q.after = page.next;
    }
}

/* What is read of a root stays with it while it is under way. */
JOURNAL_TEST(journal_pages_take_no_more_room_than_their_rows_need)
{
    struct arena small CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct journal_query q = {.kind = JOURNAL_STEPS, .r = {.root = id_of(1)}};
    struct journal_page page;

    CHECK_OK(commit_one(j, ROOT_AT(1, 0, .body = BODY("x"))));
    CHECK_OK(commit_one(j, OP(STEP_PUT, .root = id_of(1), .node = STR("a"), .body = BODY("step"))));
    CHECK_OK(journal_read(j, &q, &small, &page));
    CHECK_EQ(page.count, 1);
    CHECK_LT(small.used, 64 << 10);
}

JOURNAL_TEST(journal_pages_end_when_their_bodies_are_large)
{
    static char large[JOURNAL_INLINE_MAX];
    struct journal_query q = {.kind = JOURNAL_ROOTS, .r = {PLACE_0}};
    struct journal_page page;

    memset(large, 'x', sizeof large);
    for (uint64_t n = 0; n < 70; n++)
        CHECK_OK(commit_one(j, ROOT_AT(n, 0, .body = body_of_text(str_of(large, sizeof large)))));
    CHECK_OK(journal_read(j, &q, &arena, &page));
    CHECK_EQ(page.count, JOURNAL_PAGE_BYTES / JOURNAL_INLINE_MAX);
    q.after = page.next;
    CHECK_OK(journal_read(j, &q, &arena, &page));
    CHECK_EQ(page.count, 70 - JOURNAL_PAGE_BYTES / JOURNAL_INLINE_MAX);
    CHECK_EQ(page.next, 0);
}

JOURNAL_TEST(journal_root_comes_in_once_also_when_it_is_over)
{
    CHECK_EQ(outcome_of(j, ROOT_AT(1, 0, .body = BODY("first"))), JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, ROOT_AT(1, 0, .body = BODY("again"))), JOURNAL_WAS_THERE);
    CHECK_EQ(QUERY(ROOTS, PLACE_0), 1);
    CHECK_STR(rows[0].body.bytes, "first");
    CHECK_EQ(outcome_of(j, OP(ROOT_DONE, .id = id_of(1), P, .at = 5, .body = BODY("trace"))), JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, ROOT_AT(1, 0)), JOURNAL_WAS_THERE);
    CHECK_EQ(QUERY(ROOTS, PLACE_0), 0);
    CHECK_EQ(QUERY(TRACE, .id = id_of(1)), 1);
    CHECK_STR(rows[0].body.bytes, "trace");
    CHECK_EQ(rows[0].at, 5);
}

JOURNAL_TEST(journal_root_that_is_done_takes_what_it_has_with_it)
{
    CHECK_OK(commit_one(j, ROOT_AT(1, 0)));
    CHECK_OK(commit_one(j, ROOT_AT(2, 0)));
    for (uint64_t n = 1; n <= 2; n++) {
        CHECK_OK(commit_one(j, OP(STEP_PUT, .root = id_of(n), .node = STR("a"), .body = BODY("out"))));
        CHECK_OK(commit_one(j, OP(EFFECT_PUT, .root = id_of(n), .id = id_of(7), .state = EFFECT_RESERVED)));
        CHECK_OK(commit_one(j, OP(GATE_PUT, .root = id_of(n), .id = id_of(100 + n), NODE("a"))));
        CHECK_OK(commit_one(j, OP(RESTARTED, .id = id_of(n))));
    }
    CHECK_EQ(outcome_of(j, OP(ROOT_DONE, .id = id_of(1))), JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, OP(ROOT_DONE, .id = id_of(1))), JOURNAL_WAS_GONE);
    CHECK_EQ(QUERY(ROOT, .id = id_of(1)), 0);
    CHECK_EQ(QUERY(STEPS, .root = id_of(1)), 0);
    CHECK_EQ(QUERY(EFFECTS, .root = id_of(1)), 0);
    CHECK_EQ(QUERY(GATE, .id = id_of(101)), 0);
    CHECK_EQ(QUERY(STEPS, .root = id_of(2)), 1);
    CHECK_EQ(QUERY(EFFECTS, .root = id_of(2)), 1);
    CHECK_EQ(QUERY(GATE, .id = id_of(102)), 1);
    CHECK(is_id(rows[0].root, 2));
    CHECK_EQ(QUERY(TRACES, P), 0);          /* it left none */
    CHECK_OK(commit_one(j, ROOT_AT(3, 0))); /* and what comes later has nothing of it */
    CHECK_EQ(QUERY(STEPS, .root = id_of(3)), 0);
    CHECK_EQ(QUERY(ROOT, .id = id_of(3)), 1);
    CHECK_EQ(rows[0].count, 0);
}

JOURNAL_TEST(journal_counts_restarts_of_roots_under_way)
{
    CHECK_OK(commit_one(j, ROOT_AT(1, 0)));
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(outcome_of(j, OP(RESTARTED, .id = id_of(1))), JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, OP(RESTARTED, .id = id_of(2))), JOURNAL_WAS_GONE);
    CHECK_EQ(QUERY(ROOTS, PLACE_0), 1);
    CHECK_EQ(rows[0].count, 3);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(outcome_of(j, OP(RESTARTED, .id = id_of(1), .state = RESTART_HARMLESS)), JOURNAL_CAME_ABOUT);
        CHECK_EQ(QUERY(ROOTS, PLACE_0), 1);
        CHECK_EQ(rows[0].count, 1);
    }
    CHECK_EQ(outcome_of(j, OP(RESTARTED, .id = id_of(2), .state = RESTART_HARMLESS)), JOURNAL_WAS_GONE);
    CHECK_OK(commit_one(j, ROOT_AT(3, 2)));
    CHECK_OK(commit_one(j, OP(RESTARTED, .id = id_of(3), .state = RESTART_HARMLESS)));
    CHECK_EQ(QUERY(ROOT, .id = id_of(3)), 1);
    CHECK_EQ(rows[0].count, 0);
}

/* ---- steps and effects ---- */

JOURNAL_TEST(journal_step_is_told_by_node_and_index_and_the_later_one_stays)
{
    CHECK_OK(commit_one(j, ROOT_AT(1, 0)));
    CHECK_OK(commit_one(j, OP(STEP_PUT, .root = id_of(1), .node = STR("a"), .index = 0, .body = BODY("a0"))));
    CHECK_OK(commit_one(j, OP(STEP_PUT, .root = id_of(1), .node = STR("a"), .index = 1, .body = BODY("a1"))));
    CHECK_OK(commit_one(j, OP(STEP_PUT, .root = id_of(1), .node = STR("b"), .index = 0, .body = BODY("b0"))));
    CHECK_OK(commit_one(j, OP(STEP_PUT, .root = id_of(1), .node = STR("a"), .index = 0, .body = BODY("new"))));
    CHECK_EQ(QUERY(STEPS, .root = id_of(1)), 3);
    for (size_t i = 0; i < 3; i++) {
        bool is_b = str_eq(rows[i].node, STR("b"));
        CHECK_STR(rows[i].body.bytes, is_b ? "b0" : rows[i].index ? "a1" : "new");
        CHECK(is_id(rows[i].root, 1));
    }
    CHECK_ERR(commit_one(j, OP(STEP_PUT, .root = id_of(9), .node = STR("a"))), E_NOT_FOUND);
}

JOURNAL_TEST(journal_keeps_thousands_of_steps_of_a_root_apart)
{
    enum { STEPS = 3000 };
    static struct journal_op ops[1000];
    static bool seen[STEPS];

    memset(seen, 0, sizeof seen);
    CHECK_OK(commit_one(j, ROOT_AT(1, 0)));
    CHECK_OK(commit_one(j, ROOT_AT(2, 0)));
    for (uint32_t i = 0; i < STEPS;) {
        for (uint32_t k = 0; k < ARRAY_LEN(ops); k++, i++)
            ops[k] = OP(STEP_PUT, .root = id_of(1), .node = STR("split"), .index = i, .body = BODY("x"));
        CHECK_OK(journal_commit(j, ops, ARRAY_LEN(ops), JOURNAL_SYNC));
    }
    CHECK_EQ(QUERY(STEPS, .root = id_of(1)), STEPS);
    for (uint32_t i = 0; i < STEPS; i++) {
        CHECK(rows[i].index < STEPS && !seen[rows[i].index]);
        seen[rows[i].index] = true;
    }
    CHECK_EQ(QUERY(STEPS, .root = id_of(2)), 0);
}

JOURNAL_TEST(journal_effect_is_found_by_its_key_as_it_stands)
{
    CHECK_OK(commit_one(j, ROOT_AT(1, 0)));
    CHECK_OK(commit_one(j, OP(EFFECT_PUT, .root = id_of(1), .id = id_of(50), .state = EFFECT_RESERVED, .at = 1)));
    CHECK_OK(commit_one(j, OP(EFFECT_PUT, .root = id_of(1), .id = id_of(51), .state = EFFECT_RESERVED, .at = 2)));
    CHECK_OK(commit_one(
        j, OP(EFFECT_PUT, .root = id_of(1), .id = id_of(50), .state = EFFECT_DONE, .at = 3, .body = BODY("receipt"))));
    CHECK_EQ(QUERY(EFFECT, .root = id_of(1), .id = id_of(50)), 1);
    CHECK_EQ(rows[0].state, EFFECT_DONE);
    CHECK_EQ(rows[0].at, 3);
    CHECK_STR(rows[0].body.bytes, "receipt");
    CHECK(is_id(rows[0].id, 50));
    CHECK_EQ(QUERY(EFFECT, .root = id_of(1), .id = id_of(52)), 0);
    CHECK_EQ(QUERY(EFFECT, .root = id_of(2), .id = id_of(50)), 0);
    CHECK_EQ(QUERY(EFFECTS, .root = id_of(1)), 2);
    CHECK_ERR(commit_one(j, OP(EFFECT_PUT, .root = id_of(9), .id = id_of(1), .state = EFFECT_DONE)), E_NOT_FOUND);
}

/* ---- owners ---- */

JOURNAL_TEST(journal_refuses_owners_of_epochs_that_have_passed)
{
    CHECK_OK(commit_one(j, OP(PROGRESS_PUT, PLACE_0, .epoch = 4, .body = BODY("next 10"))));
    CHECK_OK(commit_one(j, OP(PROGRESS_PUT, PLACE_0, .epoch = 4, .body = BODY("next 20"))));
    CHECK_ERR(commit_one(j, OP(PROGRESS_PUT, PLACE_0, .epoch = 3, .body = BODY("late"))), E_FENCED);
    CHECK(strstr(err_detail(E_FENCED), "epoch 3 has passed"));
    CHECK_OK(commit_one(j, OP(FENCE, PLACE_0, .epoch = 4)));
    CHECK_ERR(commit_one(j, OP(FENCE, PLACE_0, .epoch = 3)), E_FENCED);
    CHECK_ERR(commit_one(j, OP(FENCE, PLACE_0, .epoch = 5)), E_FENCED);
    CHECK_EQ(QUERY(PROGRESS, PLACE_0), 1);
    CHECK_EQ(rows[0].epoch, 4);
    CHECK_STR(rows[0].body.bytes, "next 20");
    CHECK_OK(commit_one(j, OP(PROGRESS_PUT, PLACE_0, .epoch = 6)));
    CHECK_ERR(commit_one(j, OP(FENCE, PLACE_0, .epoch = 4)), E_FENCED);
    CHECK_EQ(QUERY(PROGRESS, P, .source = STR("s"), .partition = 1), 0);
}

JOURNAL_TEST(journal_claim_gives_an_epoch_that_nobody_had)
{
    struct journal_op claim = OP(PROGRESS_CLAIM, PLACE_0);

    CHECK_OK(journal_commit(j, &claim, 1, JOURNAL_SYNC));
    CHECK_EQ(claim.r.epoch, 1);
    CHECK_OK(commit_one(j, OP(PROGRESS_PUT, PLACE_0, .epoch = 1, .body = BODY("kept"))));
    CHECK_OK(journal_commit(j, &claim, 1, JOURNAL_SYNC));
    CHECK_EQ(claim.r.epoch, 2);
    CHECK_EQ(QUERY(PROGRESS, PLACE_0), 1);
    CHECK_STR(rows[0].body.bytes, "kept");
    CHECK_ERR(commit_one(j, OP(PROGRESS_PUT, PLACE_0, .epoch = 1)), E_FENCED);
}

JOURNAL_TEST(journal_commit_with_one_refused_operation_changes_nothing)
{
    CHECK_OK(commit_one(j, OP(PROGRESS_PUT, PLACE_0, .epoch = 2, .body = BODY("two"))));
    CHECK_OK(commit_one(j, ROOT_AT(1, 0)));
    CHECK_OK(commit_one(j, OP(DEAD_PUT, .id = id_of(60), .root = id_of(1), NODE("a"), .cause = STR("x"))));
    struct str before = dump(j, 10, &arena);
    static char large[JOURNAL_INLINE_MAX + 1];
    struct journal_op ops[] = {
        ROOT_AT(2, 0, .body = BODY("new")),
        OP(STEP_PUT, .root = id_of(1), .node = STR("a"), .body = body_of_text(str_of(large, sizeof large))),
        OP(STATE_PUT, NODE("a"), .key = STR("k"), .body = BODY("v")),
        OP(TIMER_PUT, NODE("a"), .key = STR("k"), .due = 5),
        OP(RESTARTED, .id = id_of(1)),
        OP(DEAD_DELETE, .id = id_of(60)),
        OP(ROOT_DONE, .id = id_of(1), P, .body = BODY("trace")),
        OP(PROGRESS_CLAIM, PLACE_0),
        OP(PROGRESS_PUT, PLACE_0, .epoch = 1, .body = BODY("late")),
    };
    CHECK_ERR(journal_commit(j, ops, ARRAY_LEN(ops), JOURNAL_SYNC), E_FENCED);
    struct str after = dump(j, 10, &arena);
    CHECK_STR(after, before.p);
    ops[ARRAY_LEN(ops) - 1].r.epoch = 3; /* and it works when nothing is wrong with it */
    CHECK_OK(journal_commit(j, ops, ARRAY_LEN(ops), JOURNAL_SYNC));
    CHECK_EQ(QUERY(PROGRESS, PLACE_0), 1);
    CHECK_STR(rows[0].body.bytes, "late");
    CHECK_EQ(QUERY(TRACES, P), 1);
}

/* ---- sinks ---- */

JOURNAL_TEST(journal_batches_of_a_sink_follow_each_other)
{
#define SINK NODE("out"), .shard = 1
    CHECK_OK(commit_one(j, OP(INTENT_PUT, SINK, .seq = 7, .body = BODY("seven"))));
    CHECK_OK(commit_one(j, OP(INTENT_PUT, SINK, .seq = 7, .body = BODY("seven"))));
    CHECK_ERR(commit_one(j, OP(INTENT_PUT, SINK, .seq = 8)), E_FENCED); /* the one before is not applied */
    CHECK_ERR(commit_one(j, OP(INTENT_DONE, SINK, .seq = 8)), E_FENCED);
    CHECK_EQ(QUERY(INTENTS, P), 1);
    CHECK_EQ(rows[0].state, INTENT_OPEN);
    CHECK_EQ(rows[0].seq, 7);
    CHECK_STR(rows[0].body.bytes, "seven");
    CHECK_STR(rows[0].node, "out");
    CHECK_EQ(rows[0].shard, 1);
    CHECK_OK(commit_one(j, OP(INTENT_DONE, SINK, .seq = 7)));
    CHECK_OK(commit_one(j, OP(INTENT_DONE, SINK, .seq = 7)));
    CHECK_EQ(QUERY(INTENTS, P), 1);
    CHECK_EQ(rows[0].state, INTENT_APPLIED);
    CHECK_EQ(rows[0].body.bytes.n, 0);
    CHECK_ERR(commit_one(j, OP(INTENT_PUT, SINK, .seq = 7)), E_FENCED);
    CHECK_ERR(commit_one(j, OP(INTENT_PUT, SINK, .seq = 9)), E_FENCED);
    CHECK_OK(commit_one(j, OP(INTENT_PUT, SINK, .seq = 8)));
    CHECK_OK(commit_one(j, OP(INTENT_PUT, NODE("out"), .shard = 2, .seq = 1))); /* another shard's are its own */
    CHECK_EQ(QUERY(INTENTS, P), 2);
    CHECK_EQ(QUERY(INTENTS, .pipeline = STR("q")), 0);
}

/* ---- states and timers ---- */

JOURNAL_TEST(journal_states_are_kept_by_node_shard_and_key)
{
    CHECK_OK(commit_one(j, OP(STATE_PUT, NODE("a"), .shard = 0, .key = STR("k1"), .body = BODY("one"))));
    CHECK_OK(commit_one(j, OP(STATE_PUT, NODE("a"), .shard = 0, .key = str_of("k\0z", 3), .body = BODY("two"))));
    CHECK_OK(commit_one(j, OP(STATE_PUT, NODE("a"), .shard = 1, .key = STR("k1"), .body = BODY("three"))));
    CHECK_OK(commit_one(j, OP(STATE_PUT, NODE("b"), .shard = 0, .key = STR("k1"), .body = BODY("four"))));
    CHECK_OK(commit_one(j, OP(STATE_PUT, NODE("a"), .shard = 0, .key = STR("k1"), .body = BODY("five"))));
    CHECK_EQ(QUERY(STATES, NODE("a"), .shard = 0), 2);
    CHECK_STR(rows[0].key, "k1");
    CHECK_STR(rows[0].body.bytes, "five");
    CHECK(str_eq(rows[1].key, str_of("k\0z", 3)));
    CHECK_EQ(outcome_of(j, OP(STATE_DELETE, NODE("a"), .shard = 0, .key = STR("k1"))), JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, OP(STATE_DELETE, NODE("a"), .shard = 0, .key = STR("k1"))), JOURNAL_WAS_GONE);
    CHECK_EQ(QUERY(STATES, NODE("a"), .shard = 0), 1);
    CHECK_EQ(QUERY(STATES, NODE("a"), .shard = 1), 1);
    CHECK_EQ(QUERY(STATES, NODE("b"), .shard = 0), 1);
}

JOURNAL_TEST(journal_timers_come_as_they_are_due)
{
    static const int64_t due[] = {50, 20, 40, 10, 30};

    for (uint32_t i = 0; i < ARRAY_LEN(due); i++) {
        char key = (char)('a' + i);
        CHECK_OK(commit_one(
            j, OP(TIMER_PUT, NODE("a"), .shard = 2, .key = str_of(&key, 1), .due = due[i], .body = BODY("t"))));
    }
    CHECK_OK(commit_one(j, OP(TIMER_PUT, NODE("a"), .shard = 1, .key = STR("a"), .due = 1)));
    CHECK_OK(commit_one(j, OP(TIMER_PUT, NODE("a"), .shard = 2, .key = STR("b"), .due = 45))); /* moved */
    CHECK_EQ(QUERY(TIMERS, P, .shard = 2, .due = 40), 3);
    CHECK_EQ(rows[0].due, 10);
    CHECK_EQ(rows[1].due, 30);
    CHECK_EQ(rows[2].due, 40);
    CHECK_STR(rows[2].key, "c");
    CHECK_EQ(outcome_of(j, OP(TIMER_DELETE, NODE("a"), .shard = 2, .key = STR("d"))), JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, OP(TIMER_DELETE, NODE("a"), .shard = 2, .key = STR("d"))), JOURNAL_WAS_GONE);
    CHECK_EQ(QUERY(TIMERS, P, .shard = 2, .due = 40), 2);
    struct journal_page page;
    struct journal_query two = {JOURNAL_TIMERS, {P, .shard = 2, .due = 100}, 0, 2};
    CHECK_OK(journal_read(j, &two, &arena, &page));
    CHECK_EQ(page.count, 2);
    CHECK_EQ(page.records[0].due, 30);
}

/* ---- gates ---- */

JOURNAL_TEST(journal_gate_has_the_first_answer)
{
    CHECK_OK(commit_one(j, ROOT_AT(1, 0)));
    CHECK_EQ(outcome_of(j, OP(GATE_PUT, .id = id_of(70), .root = id_of(1), NODE("a"), .due = 9, .body = BODY("ok?"))),
             JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, OP(GATE_PUT, .id = id_of(70), .root = id_of(1), NODE("a"), .body = BODY("again"))),
             JOURNAL_WAS_THERE);
    CHECK_ERR(commit_one(j, OP(GATE_PUT, .id = id_of(71), .root = id_of(5), NODE("a"))), E_NOT_FOUND);
    CHECK_EQ(QUERY(GATES, P), 1);
    CHECK_EQ(rows[0].due, 9);
    CHECK_EQ(rows[0].state, 0);
    CHECK_EQ(outcome_of(j, OP(GATE_DECIDE, .id = id_of(70), .state = 2, .at = 8, .cause = STR("ann: no"))),
             JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, OP(GATE_DECIDE, .id = id_of(70), .state = 1, .at = 9, .cause = STR("bob: yes"))),
             JOURNAL_WAS_THERE);
    CHECK_EQ(outcome_of(j, OP(GATE_DECIDE, .id = id_of(79), .state = 1)), JOURNAL_WAS_GONE);
    CHECK_EQ(QUERY(GATES, P), 0);
    CHECK_EQ(QUERY(GATE, .id = id_of(70)), 1);
    CHECK_EQ(rows[0].state, 2);
    CHECK_EQ(rows[0].at, 8);
    CHECK_STR(rows[0].cause, "ann: no");
    CHECK_STR(rows[0].body.bytes, "ok?");
    CHECK(is_id(rows[0].root, 1));
    CHECK_OK(commit_one(j, OP(GATE_PUT, .id = id_of(72), .root = id_of(1), .pipeline = STR("q"), .node = STR("a"))));
    CHECK_EQ(QUERY(GATES, P), 0);
    CHECK_EQ(QUERY(GATES, .pipeline = STR_NONE), 1);
}

/* ---- dead letters ---- */

static SUSPENDS void put_dead(uint64_t id, uint64_t root, struct str node, struct str cause, int64_t at)
{
    CHECK_OK(commit_one(j, OP(DEAD_PUT, .id = id_of(id), .root = id_of(root), P, .node = node, .cause = cause, .at = at,
                              .body = BODY("why"))));
}

JOURNAL_TEST(journal_dead_letters_are_listed_and_grouped_by_what_they_died_of)
{
    put_dead(80, 1, STR("a"), STR("timeout"), 10);
    put_dead(81, 2, STR("a"), STR("timeout"), 30);
    put_dead(82, 3, STR("b"), STR("timeout"), 20);
    put_dead(83, 4, STR("a"), STR("schema"), 25);
    CHECK_EQ(outcome_of(j, OP(DEAD_PUT, .id = id_of(83), .root = id_of(4), P)), JOURNAL_WAS_THERE);
    CHECK_EQ(QUERY(DEADS, .pipeline = STR_NONE), 4);
    CHECK_EQ(QUERY(DEADS, P, .cause = STR("timeout")), 3);
    CHECK_EQ(QUERY(DEADS, .node = STR("a")), 3);
    CHECK_EQ(QUERY(DEADS, P, .cause = STR("timeout"), .node = STR("a")), 2);
    CHECK(is_id(rows[0].id, 80) && is_id(rows[1].id, 81) && is_id(rows[1].root, 2));
    CHECK_EQ(QUERY(DEADS, .pipeline = STR("q")), 0);
    CHECK_EQ(QUERY(DEAD_GROUPS, P), 3);
    for (size_t i = 0; i < 3; i++) {
        bool is_two = str_eq(rows[i].cause, STR("timeout")) && str_eq(rows[i].node, STR("a"));
        CHECK_EQ(rows[i].count, is_two ? 2 : 1);
        if (is_two) {
            CHECK_EQ(rows[i].at, 10);
            CHECK_EQ(rows[i].due, 30);
        }
    }
    CHECK_EQ(outcome_of(j, OP(DEAD_REPLAYED, .id = id_of(82), .at = 99)), JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, OP(DEAD_REPLAYED, .id = id_of(82), .at = 100)), JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, OP(DEAD_REPLAYED, .id = id_of(89))), JOURNAL_WAS_GONE);
    CHECK_EQ(QUERY(DEAD, .id = id_of(82)), 1);
    CHECK_EQ(rows[0].count, 2);
    CHECK_EQ(rows[0].due, 100);
    CHECK_EQ(rows[0].at, 20);
    CHECK_STR(rows[0].body.bytes, "why");
    CHECK_EQ(outcome_of(j, OP(DEAD_DELETE, .id = id_of(82))), JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, OP(DEAD_DELETE, .id = id_of(82))), JOURNAL_WAS_GONE);
    CHECK_EQ(QUERY(DEADS, P), 3);
}

JOURNAL_TEST(journal_root_with_dead_letters_waits_for_them_with_all_it_has)
{
    CHECK_OK(commit_one(j, ROOT_AT(1, 0, .body = BODY("in"))));
    CHECK_OK(commit_one(j, OP(STEP_PUT, .root = id_of(1), .node = STR("a"), .body = BODY("paid for"))));
    CHECK_OK(commit_one(j, OP(EFFECT_PUT, .root = id_of(1), .id = id_of(50), .state = EFFECT_DONE)));
    put_dead(80, 1, STR("a"), STR("x"), 1);
    put_dead(81, 1, STR("b"), STR("x"), 1);
    CHECK_EQ(outcome_of(j, OP(ROOT_DONE, .id = id_of(1), P, .body = BODY("trace"))), JOURNAL_CAME_ABOUT);
    CHECK_EQ(QUERY(ROOTS, PLACE_0), 0);
    CHECK_EQ(QUERY(ROOT, .id = id_of(1)), 1);
    CHECK_EQ(rows[0].state, ROOT_PARKED);
    CHECK_STR(rows[0].body.bytes, "in");
    CHECK_EQ(outcome_of(j, OP(ROOT_DONE, .id = id_of(1), P)), JOURNAL_WAS_GONE);
    CHECK_OK(commit_one(j, OP(STEP_PUT, .root = id_of(1), .node = STR("b"), .body = BODY("replayed"))));
    CHECK_OK(commit_one(j, OP(DEAD_DELETE, .id = id_of(80))));
    CHECK_EQ(QUERY(STEPS, .root = id_of(1)), 2);
    CHECK_OK(commit_one(j, OP(DEAD_DELETE, .id = id_of(81))));
    CHECK_EQ(QUERY(ROOT, .id = id_of(1)), 0);
    CHECK_EQ(QUERY(STEPS, .root = id_of(1)), 0);
    CHECK_EQ(QUERY(EFFECTS, .root = id_of(1)), 0);
    CHECK_EQ(QUERY(TRACE, .id = id_of(1)), 1);
}

JOURNAL_TEST(journal_root_that_is_tried_again_has_what_it_had)
{
    CHECK_OK(commit_one(j, ROOT_AT(1, 0, .body = BODY("in"))));
    CHECK_OK(commit_one(j, OP(STEP_PUT, .root = id_of(1), .node = STR("a"), .body = BODY("paid for"))));
    CHECK_OK(commit_one(j, OP(RESTARTED, .id = id_of(1))));
    CHECK_EQ(outcome_of(j, OP(ROOT_REOPEN, .id = id_of(1))), JOURNAL_WAS_GONE); /* it is under way */
    put_dead(80, 1, STR("a"), STR("x"), 1);
    put_dead(81, 2, STR("a"), STR("x"), 1);
    CHECK_OK(commit_one(j, OP(ROOT_DONE, .id = id_of(1), P, .body = BODY("first trace"))));
    CHECK_EQ(outcome_of(j, OP(ROOT_REOPEN, .id = id_of(1), .due = 7)), JOURNAL_CAME_ABOUT);
    CHECK_EQ(outcome_of(j, OP(ROOT_REOPEN, .id = id_of(2))), JOURNAL_WAS_GONE); /* there is none */
    CHECK_EQ(QUERY(ROOTS, PLACE_0), 1);
    CHECK_EQ(rows[0].due, 7);
    CHECK_EQ(rows[0].count, 0); /* whoever kills the process may be tried again, too */
    CHECK_STR(rows[0].body.bytes, "in");
    CHECK_EQ(QUERY(STEPS, .root = id_of(1)), 1);
    CHECK_EQ(QUERY(DEADS_OF, .root = id_of(1)), 1);
    CHECK(is_id(rows[0].id, 80));
    CHECK_OK(commit_one(j, OP(DEAD_DELETE, .id = id_of(80))));
    CHECK_EQ(QUERY(ROOT, .id = id_of(1)), 1); /* it is not parked: its letter does not take it along */
    CHECK_OK(commit_one(j, OP(ROOT_DONE, .id = id_of(1), P, .body = BODY("second trace"))));
    CHECK_EQ(QUERY(ROOT, .id = id_of(1)), 0);
    CHECK_EQ(QUERY(TRACE, .id = id_of(1)), 1);
    CHECK_STR(rows[0].body.bytes, "second trace");
}

JOURNAL_TEST(journal_old_dead_letters_go_as_new_ones_come)
{
    CHECK_OK(commit_one(j, ROOT_AT(1, 0)));
    put_dead(80, 1, STR("a"), STR("x"), 10);
    put_dead(81, 2, STR("a"), STR("x"), 11);
    CHECK_OK(commit_one(j, OP(ROOT_DONE, .id = id_of(1), P)));
    CHECK_EQ(QUERY(ROOT, .id = id_of(1)), 1);
    put_dead(82, 3, STR("a"), STR("x"), 1011); /* 10 is older than 1000 now, 11 is not */
    CHECK_EQ(QUERY(DEADS, P), 2);
    CHECK(is_id(rows[0].id, 81));
    CHECK_EQ(QUERY(ROOT, .id = id_of(1)), 0);
}

/* ---- traces ---- */

static SUSPENDS void leave_trace(uint64_t n, struct str pipeline, int64_t at)
{
    CHECK_OK(commit_one(j, ROOT_AT(n, 0)));
    CHECK_OK(commit_one(j, OP(ROOT_DONE, .id = id_of(n), .pipeline = pipeline, .at = at, .body = BODY("trace"))));
}

JOURNAL_TEST(journal_traces_are_bounded_by_count_and_by_age)
{
    for (uint64_t n = 0; n < 7; n++)
        leave_trace(n, n % 2 ? STR("q") : STR("p"), (int64_t)n);
    CHECK_EQ(QUERY(TRACES, .pipeline = STR_NONE), 4);
    CHECK(is_id(rows[0].id, 3));
    CHECK_EQ(QUERY(TRACES, P), 2);
    CHECK(is_id(rows[0].id, 4) && is_id(rows[1].id, 6));
    leave_trace(7, STR("p"), 1005); /* 3 and 4 are too old, besides one that is too many */
    CHECK_EQ(QUERY(TRACES, .pipeline = STR_NONE), 3);
    CHECK(is_id(rows[0].id, 5));
    CHECK_EQ(QUERY(TRACE, .id = id_of(4)), 0);
}

/* ---- bodies ---- */

static struct str large_text(char fill)
{
    static char bytes[300000];
    memset(bytes, fill, sizeof bytes);
    return str_of(bytes, sizeof bytes);
}

JOURNAL_TEST(journal_large_bodies_are_kept_once_and_go_with_the_last_who_has_them)
{
    struct str large = large_text('L');
    struct str bytes;

    CHECK_OK(commit_one(j, ROOT_AT(1, 0, .body = body_of_text(large))));
    CHECK_EQ(QUERY(ROOT, .id = id_of(1)), 1);
    CHECK(rows[0].body.is_blob);
    CHECK_EQ(rows[0].body.size, large.n);
    CHECK_EQ(rows[0].body.bytes.n, 0);
    CHECK_EQ(rows[0].body.form, 3);
    struct journal_body reference = rows[0].body;
    CHECK_OK(journal_blob(j, reference.sha256, &arena, &bytes));
    CHECK(str_eq(bytes, large));
    struct journal_op two[] = {
        OP(STEP_PUT, .root = id_of(1), .node = STR("a"), .body = reference), /* by its hash alone */
        OP(STATE_PUT, NODE("a"), .key = STR("k"), .body = body_of_text(large)),
    };
    CHECK_OK(journal_commit(j, two, 2, JOURNAL_SYNC));
    CHECK_OK(commit_one(j, OP(ROOT_DONE, .id = id_of(1))));
    CHECK_OK(journal_blob(j, reference.sha256, &arena, &bytes));
    CHECK_OK(
        commit_one(j, OP(STATE_PUT, NODE("a"), .key = STR("k"), .body = body_of_text(large)))); /* the same again */
    CHECK_OK(journal_blob(j, reference.sha256, &arena, &bytes));
    CHECK_OK(commit_one(j, OP(STATE_PUT, NODE("a"), .key = STR("k"), .body = body_of_text(large_text('M')))));
    CHECK_ERR(journal_blob(j, reference.sha256, &arena, &bytes), E_NOT_FOUND);
    CHECK_ERR(commit_one(j, OP(STATE_PUT, NODE("a"), .key = STR("k2"), .body = reference)), E_NOT_FOUND);
    CHECK_EQ(QUERY(STATES, NODE("a")), 1);
    reference = rows[0].body;
    CHECK_OK(commit_one(j, OP(STATE_PUT, NODE("a"), .key = STR("k"), .body = BODY("small"))));
    CHECK_ERR(journal_blob(j, reference.sha256, &arena, &bytes), E_NOT_FOUND);
}

JOURNAL_TEST(journal_trace_may_refer_to_what_its_root_had)
{
    struct str large = large_text('L'), bytes;

    CHECK_OK(commit_one(j, ROOT_AT(1, 0, .body = body_of_text(large))));
    CHECK_EQ(QUERY(ROOT, .id = id_of(1)), 1);
    struct journal_body reference = rows[0].body;
    CHECK_OK(commit_one(j, OP(ROOT_DONE, .id = id_of(1), P, .body = reference)));
    CHECK_OK(journal_blob(j, reference.sha256, &arena, &bytes));
    CHECK(str_eq(bytes, large));
}

JOURNAL_TEST(journal_checks_every_limit_before_it_takes_anything)
{
    static char long_text[JOURNAL_BODY_MAX + 1];
    static struct journal_op many[JOURNAL_OPS_MAX + 1];
    struct str name = str_of(long_text, JOURNAL_NAME_MAX), key = str_of(long_text, JOURNAL_KEY_MAX);

    memset(long_text, 'x', sizeof long_text);
    CHECK_OK(commit_one(j, OP(STATE_PUT, .pipeline = name, .node = name, .key = key,
                              .body = body_of_text(str_of(long_text, JOURNAL_BODY_MAX)))));
    name.n++;
    key.n++;
    CHECK_ERR(commit_one(j, OP(STATE_PUT, .pipeline = name)), E_TOO_LARGE);
    CHECK_ERR(commit_one(j, OP(STATE_PUT, .node = name)), E_TOO_LARGE);
    CHECK_ERR(commit_one(j, OP(STATE_PUT, .source = name)), E_TOO_LARGE);
    CHECK_ERR(commit_one(j, OP(STATE_PUT, .cause = name)), E_TOO_LARGE);
    CHECK_ERR(commit_one(j, OP(STATE_PUT, .key = key)), E_TOO_LARGE);
    CHECK_ERR(commit_one(j, OP(STATE_PUT, .body = body_of_text(str_of(long_text, sizeof long_text)))), E_TOO_LARGE);
    CHECK_ERR(commit_one(j, OP(PROGRESS_PUT, .epoch = UINT64_MAX)), E_TOO_LARGE);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = OP(STATE_DELETE, NODE("a"), .key = STR("k"));
    CHECK_ERR(journal_commit(j, many, ARRAY_LEN(many), JOURNAL_SYNC), E_TOO_LARGE);
    CHECK_OK(journal_commit(j, many, ARRAY_LEN(many) - 1, JOURNAL_SYNC));
    for (size_t i = 0; i < 5; i++)
        many[i] = OP(STATE_PUT, NODE("a"), .key = STR("k"), .body = body_of_text(str_of(long_text, JOURNAL_BODY_MAX)));
    CHECK_ERR(journal_commit(j, many, 5, JOURNAL_SYNC), E_TOO_LARGE);
    struct journal_query q = {.kind = JOURNAL_STATES, .r = {.node = name}};
    struct journal_page page;
    CHECK_ERR(journal_read(j, &q, &arena, &page), E_TOO_LARGE);
}

/* ---- waiting ---- */

JOURNAL_TEST(journal_asynchronous_commits_are_read_by_who_made_them)
{
    char value[] = {'v', 'v', 'v', 'v'};
    struct journal_op op = OP(STATE_PUT, NODE("a"), .key = STR("k"), .body = body_of_text(str_of(value, sizeof value)));
    ns_t before = rt_now();

    CHECK_OK(journal_commit(j, &op, 1, JOURNAL_ASYNC));
    CHECK_EQ(rt_now(), before);
    memset(value, 'x', sizeof value); /* what it needs is the journal's own by now */
    memset(&op, 0xee, sizeof op);
    CHECK_EQ(QUERY(STATES, NODE("a")), 1);
    CHECK_STR(rows[0].body.bytes, "vvvv");
    op = OP(FENCE, PLACE_0, .epoch = 9);
    CHECK_OK(journal_commit(j, &op, 1, JOURNAL_ASYNC));
    CHECK_OK(journal_commit(j, NULL, 0, JOURNAL_SYNC));
    CHECK_EQ(journal_failures(j), 1);
}

static err_t commit_under_cancel(void *arg)
{
    struct journal_op *op = arg;
    return journal_commit(j, op, 1, JOURNAL_SYNC);
}

JOURNAL_TEST(journal_commit_of_a_fiber_that_left_is_whole_or_nothing)
{
    for (uint64_t n = 0; n < 20; n++) {
        struct journal_op op = ROOT_AT(n, 0, .body = BODY("x"));
        {
            SCOPE(s, NS_NEVER);
            (void)scope_spawn(&s, "leaver", commit_under_cancel, &op);
            CHECK_OK(fiber_sleep_until(rt_now() + (ns_t)n * 300 * NS_US));
            scope_cancel(&s);
            err_t e = scope_wait_all(&s);
            CHECK(e == OK || e == E_CANCELLED);
        }
        memset(&op, 0xee, sizeof op); /* the commit has what it needs */
    }
    CHECK_OK(journal_commit(j, NULL, 0, JOURNAL_SYNC));
    size_t count = QUERY(ROOTS, PLACE_0);
    CHECK(count > 0);
    for (size_t i = 0; i < count; i++)
        CHECK_STR(rows[i].body.bytes, "x");
    /* One may be done before its fiber could leave, if that did not get its turn. */
    WITHIN(rt_now());
    err_t e = OK;
    for (uint64_t n = 50; n < 150 && e == OK; n++)
        e = commit_one(j, ROOT_AT(n, 0));
    CHECK_ERR(e, E_DEADLINE);
}

TEST(journal_of_an_unknown_kind_is_refused)
{
    struct journal *none;
    CHECK_ERR(journal_open(&(struct journal_options){.kind = "paper"}, &none), E_CONFIG);
}
