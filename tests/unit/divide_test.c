/* divide_test.c - the number of shards that divide a source, in virtual time: who may change it, and when. */
#include "pipeline/run/shard_int.h"

#include "base/prng.h"
#include "unit/in_loop.h"
#include "unit/test.h"

enum { SOURCE = 0 };

static const char *file_text;
static struct pipeline_spec *by_three, *by_two;
static struct journal *j;
static struct arena arena;
static const uint32_t partitions[] = {7, 8, 8, 9}; /* two new ones may have one number */

static err_t read_file(const char *path, size_t max, struct buf *ret)
{
    (void)path;
    (void)max;
    return buf_add(ret, str_from_c(file_text));
}

static const struct config_env env = {.read_file = read_file};

static struct pipeline_spec *load(const char *text)
{
    const struct pipeline_world world = {.env = &env};
    struct problems problems = {.arena = &arena};
    struct pipeline_spec *spec = NULL;

    file_text = text;
    if (pipeline_load(STR("p.yaml"), NULL, &world, &problems, &spec) != OK)
        die("the pipeline is not loaded: %s", text);
    return spec;
}

static err_t in_world(void *arg)
{
    body_fn **body = arg;

    TRY(journal_open(&(struct journal_options){.kind = "memory"}, &j));
    (*body)();
    journal_close(j);
    return OK;
}

static uint64_t seed_of_world;

static void with_both(body_fn *body)
{
    arena_init(&arena, SIZE_MAX);
    by_three = load("pipeline: p\nworkers: 3\nsources: {in: {kafka: t}}\nsinks: {out: {from: in, file: /out}}\n");
    by_two = load("pipeline: p\nworkers: 2\nsources: {in: {kafka: t}}\nsinks: {out: {from: in, file: /out}}\n");
    struct sim_world *sim = sim_world_new(&(struct sim_options){.seed = seed_of_world ? seed_of_world : test_seed()});
    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(sim)}, in_world, &body);
    sim_world_free(sim);
    pipeline_unref(by_three);
    pipeline_unref(by_two);
    arena_release(&arena);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
}

static struct shard *leased(struct pipeline_spec *spec)
{
    return shard_new(&(struct shard_options){.spec = spec, .journal = j, .is_leased = true});
}

static bool is_divided(struct shard *s)
{
    bool is_ours = false;

    return intake_is_divided(&s->intakes[SOURCE], &is_ours) == OK && is_ours;
}

static err_t divide(struct shard *s)
{
    return intake_divide(&s->intakes[SOURCE], partitions, ARRAY_LEN(partitions));
}

static err_t divide_within(struct shard *s, ns_t most)
{
    WITHIN(ns_add(rt_now(), most));

    return divide(s);
}

/* A message of partition 7. */
static void change_root(enum journal_op_kind kind)
{
    struct journal_op op = {.kind = kind,
                            .r = {.id = {{1}}, .pipeline = STR("p"), .source = STR("in"), .partition = 7, .seq = 1}};

    CHECK_OK(journal_commit(j, &op, 1, JOURNAL_SYNC));
}

static void change_number(void)
{
    struct shard *three = leased(by_three), *two = leased(by_two);
    struct intake *in = &three->intakes[SOURCE];

    CHECK(!is_divided(three));
    CHECK_OK(divide(three));
    CHECK(is_divided(three) && !is_divided(two));
    CHECK_OK(intake_claim(in, 7));
    CHECK_OK(intake_note(in, 7, STR("read")));
    change_root(JOURNAL_ROOT_PUT);
    CHECK_ERR(divide_within(two, 10 * NS_SEC), E_DEADLINE);
    CHECK(is_divided(three));
    CHECK_OK(intake_note(in, 7, STR("more"))); /* nobody was disturbed */
    change_root(JOURNAL_ROOT_DONE);
    CHECK_OK(divide(two));
    CHECK(is_divided(two) && !is_divided(three));
    CHECK_ERR(intake_note(in, 7, STR("more still")), E_FENCED);
    CHECK_ERR(intake_claim(in, 8), E_CONFLICT);
    CHECK_OK(intake_claim(&two->intakes[SOURCE], 8));
    shard_free(three);
    shard_free(two);
}

TEST(divide_waits_with_another_number_of_shards_until_nothing_is_under_way)
{
    with_both(change_number);
}

/* --- at the same time --- */

static SUSPENDS err_t divide_soon(void *shard)
{
    return divide_within(shard, NS_SEC);
}

/* Another one claims a partition at the same time, and takes in a message if nobody has claimed it behind it. */
static void claim_meanwhile(void)
{
    struct shard *three = leased(by_three), *two = leased(by_two);
    struct intake *in = &three->intakes[SOURCE];
    struct partition *p = NULL;
    struct prng draws;
    bool is_taken_in = false;

    prng_seed(&draws, seed_of_world);
    CHECK_OK(divide(three));
    {
        SCOPE(others, NS_NEVER);
        scope_discard_results(&others);
        scope_spawn(&others, "divide", divide_soon, two);
        CHECK_OK(fiber_sleep_until(rt_now() + prng_range(&draws, 0, 25 * NS_MS)));
        if (intake_own(in, 7, &p) == OK) {
            struct journal_op ops[] = {
                {.kind = JOURNAL_ROOT_PUT,
                 .r = {.id = {{1}}, .pipeline = STR("p"), .source = STR("in"), .partition = 7, .seq = 1}},
                {.kind = JOURNAL_PROGRESS_PUT,
                 .r = {.pipeline = STR("p"), .source = STR("in"), .partition = 7, .epoch = p->epoch}}};
            is_taken_in = journal_commit(j, ops, ARRAY_LEN(ops), JOURNAL_SYNC) == OK;
        }
        err_t e UNUSED = scope_wait_all(&others);
    }
    CHECK(is_taken_in == is_divided(three) && is_taken_in != is_divided(two));
    shard_free(three);
    shard_free(two);
}

TEST(divide_and_taking_in_exclude_each_other)
{
    for (uint64_t i = 0; i < test_rounds(60) && !test_failed(); i++) {
        seed_of_world = test_seed() + i + 1;
        with_both(claim_meanwhile);
    }
    seed_of_world = 0;
}

static void first_number(void)
{
    struct shard *two = leased(by_two);

    change_root(JOURNAL_ROOT_PUT); /* of one that shared by other means */
    CHECK_OK(divide(two));
    CHECK(is_divided(two));
    shard_free(two);
}

TEST(divide_asks_for_nothing_where_nobody_has_divided)
{
    with_both(first_number);
}

static void without_leases(void)
{
    struct shard *s = shard_new(&(struct shard_options){.spec = by_three, .journal = j});

    CHECK_EQ(intake_shards(&s->intakes[SOURCE]), 0);
    CHECK_OK(intake_claim(&s->intakes[SOURCE], 7));
    shard_free(s);
}

TEST(divide_does_not_matter_without_leases)
{
    with_both(without_leases);
}
