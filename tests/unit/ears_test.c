/* ears_test.c - who hears what: models, shares, and what there is no room for. */
#include "pipeline/door/ears.h"

#include "codec/json_tree.h"
#include "fleet/config.h"
#include "gateway/gateway.h"
#include "pipeline/run/runner.h"
#include "store/journal.h"
#include "store/leases.h"
#include "unit/in_loop.h"
#include "unit/test.h"

#define SIM_TEST(name)                                                                                                 \
    static SUSPENDS void name##_in_sim(void);                                                                          \
    TEST(name)                                                                                                         \
    {                                                                                                                  \
        in_sim(name##_in_sim);                                                                                         \
    }                                                                                                                  \
    static SUSPENDS void name##_in_sim(void)

static struct ear_options of(const char *name, const char *model)
{
    return (struct ear_options){.name = str_from_c(name), .model = str_from_c(model), .sample = 1};
}

static void *ask(const struct ears *e, const char *model, const char *id, struct arena *a)
{
    const struct gateway_hearer *h = ears_hearer(e);
    bool waits = false;

    return h->wants(h->ctx, str_from_c(model), str_from_c(id), a, &waits);
}

static SUSPENDS void tell_of(const struct ears *e, void *wanted, struct str answer)
{
    const struct gateway_hearer *h = ears_hearer(e);
    const struct facts facts = {.id = STR("r1"),
                                .endpoint = "chat",
                                .dialect = "openai",
                                .model_label = STR("m"),
                                .model = STR("M"),
                                .wall = 7};
    const struct heard heard = {.facts = &facts, .request = STR("{}"), .answer = answer};

    h->tell(h->ctx, wanted, &heard);
}

SIM_TEST(ears_hear_their_model_while_they_are_open)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct doors *doors = doors_new();
    struct ears *ears = ears_new(doors);
    const struct ear_options o = of("p/s", "m");
    struct ear *ear, *other;
    struct knock *k;

    CHECK(!ask(ears, "m", "r1", &a));
    CHECK_ERR(ear_open(ears, &o, &ear), OK);
    CHECK_ERR(ear_open(ears, &o, &other), E_CONFLICT);
    CHECK(!ask(ears, "n", "r1", &a));
    void *wanted = ask(ears, "m", "r1", &a);
    CHECK(wanted != NULL);
    tell_of(ears, wanted, STR("{\"a\":1}"));
    CHECK_ERR(door_take(ear_door(ear), 9, 0, &k), OK);
    CHECK(k != NULL && k->next == NULL);
    CHECK_STR(k->id, "r1@7");
    const struct json_tree *tree;
    CHECK_ERR(json_tree_parse(&a, k->body, &tree), OK);
    CHECK_STR(json_node_raw(json_node_get(json_tree_root(tree), STR("answer"))), "{\"a\":1}");
    knock_answer(k, 200, STR_NONE);
    ear_close(ear);
    CHECK(!ask(ears, "m", "r1", &a));
    const struct ear_options moved = of("p/s", "n"); /* as a new version may */
    CHECK_ERR(ear_open(ears, &moved, &ear), OK);
    CHECK(!ask(ears, "m", "r1", &a));
    CHECK(ask(ears, "n", "r1", &a) != NULL);
    ear_close(ear);
    ears_free(ears);
    doors_free(doors);
}

static SUSPENDS size_t count_heard(struct ear *ear)
{
    struct knock *k = NULL;
    size_t n = 0;

    if (door_take(ear_door(ear), 99, 0, &k) != OK)
        return SIZE_MAX;
    for (struct knock *next; k; k = next, n++) {
        next = k->next;
        knock_answer(k, 200, STR_NONE);
    }
    return n;
}

SIM_TEST(ears_that_are_closed_hear_nothing_while_others_do)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct doors *doors = doors_new();
    struct ears *ears = ears_new(doors);
    const struct ear_options first = of("one", "m"), second = of("two", "m");
    struct ear *one, *two;

    CHECK_ERR(ear_open(ears, &first, &one), OK);
    CHECK_ERR(ear_open(ears, &second, &two), OK);
    tell_of(ears, ask(ears, "m", "r1", &a), STR("1"));
    CHECK_EQ(count_heard(one), 1);
    CHECK_EQ(count_heard(two), 1);
    ear_close(one);
    tell_of(ears, ask(ears, "m", "r2", &a), STR("2"));
    CHECK_EQ(count_heard(one), 0);
    CHECK_EQ(count_heard(two), 1);
    ear_close(two);
    CHECK(!ask(ears, "m", "r3", &a));
    ears_free(ears);
    doors_free(doors);
}

SIM_TEST(ears_that_are_announced_keep_what_they_hear_for_their_source)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct doors *doors = doors_new();
    struct ears *ears = ears_new(doors);
    const struct ear_options o = of("p/s", "m"), moved = of("p/s", "n");
    struct ear *ear;

    ear_announce(ears, &o);
    ear_announce(ears, &moved); /* which is nothing new */
    CHECK(!ask(ears, "n", "r1", &a));
    tell_of(ears, ask(ears, "m", "r1", &a), STR("1"));
    CHECK_ERR(ear_open(ears, &moved, &ear), OK);
    CHECK_EQ(count_heard(ear), 1);
    CHECK(!ask(ears, "m", "r1", &a));
    ear_announce(ears, &o); /* nor is this */
    CHECK(!ask(ears, "m", "r1", &a));
    CHECK_OK(fiber_sleep_until(rt_now() + 2 * EAR_ANNOUNCED_S * NS_SEC));
    tell_of(ears, ask(ears, "n", "r1", &a), STR("2"));
    CHECK_EQ(count_heard(ear), 1);
    ear_close(ear);
    CHECK(!ask(ears, "n", "r1", &a));
    ears_free(ears);
    doors_free(doors);
}

SIM_TEST(ears_whose_source_does_not_come_hear_nothing_after_a_while)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct doors *doors = doors_new();
    struct ears *ears = ears_new(doors);
    const struct ear_options o = of("p/s", "m");
    struct ear *ear;

    ear_announce(ears, &o);
    CHECK_OK(fiber_sleep_until(rt_now() + EAR_ANNOUNCED_S * NS_SEC));
    CHECK(ask(ears, "m", "r1", &a) != NULL);
    CHECK_OK(fiber_sleep_until(rt_now() + 1));
    CHECK(!ask(ears, "m", "r1", &a));
    CHECK_ERR(ear_open(ears, &o, &ear), OK);
    CHECK(ask(ears, "m", "r1", &a) != NULL);
    ear_close(ear);
    ears_free(ears);
    doors_free(doors);
}

SIM_TEST(ears_of_one_share_hear_the_same_requests)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct doors *doors = doors_new();
    struct ears *ears = ears_new(doors);
    struct ear_options one = of("one", "m"), two = of("two", "n");
    struct ear *x, *y;
    unsigned heard = 0;

    one.sample = two.sample = 0.25;
    CHECK_ERR(ear_open(ears, &one, &x), OK);
    CHECK_ERR(ear_open(ears, &two, &y), OK);
    for (unsigned i = 0; i < 4000; i++) {
        const char *id = arena_printf(&a, "req_%u", i).p;
        bool is_heard = ask(ears, "m", id, &a) != NULL;
        CHECK_EQ(is_heard, ask(ears, "n", id, &a) != NULL);
        heard += is_heard;
    }
    CHECK(heard > 850 && heard < 1150);
    ear_close(x);
    ear_close(y);
    ears_free(ears);
    doors_free(doors);
}

SIM_TEST(what_there_is_no_room_for_is_counted_and_costs_nobody_time)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf text CLEANUP(buf_release) = BUF_INIT(8 << 20);
    struct doors *doors = doors_new();
    struct ears *ears = ears_new(doors);
    const struct ear_options o = of("p/s", "m");
    struct ear *ear;
    struct knock *k;
    size_t kept = 0;

    CHECK_ERR(ear_open(ears, &o, &ear), OK);
    (void)buf_add_char(&text, '"');
    for (size_t i = 0; i < 4 << 20; i++)
        (void)buf_add_char(&text, 'x');
    (void)buf_add_char(&text, '"');
    ns_t began = rt_now();
    for (unsigned i = 0; i < 20; i++) /* 80 MiB, of which 64 have room */
        tell_of(ears, ask(ears, "m", "r", &a), buf_str(&text));
    CHECK_EQ(rt_now(), began);
    CHECK_EQ(ear_missed(ear), 5);
    CHECK_ERR(door_take(ear_door(ear), 99, 0, &k), OK);
    for (struct knock *next; k; k = next, kept++) {
        next = k->next;
        knock_answer(k, 200, STR_NONE);
    }
    CHECK_EQ(kept, 15);
    tell_of(ears, ask(ears, "m", "r", &a), buf_str(&text)); /* there is room again */
    CHECK_EQ(ear_missed(ear), 5);
    ear_close(ear);
    ears_free(ears);
    doors_free(doors);
}

SIM_TEST(who_waits_in_vain_leaves_his_message_behind)
{
    struct doors *doors = doors_new();
    const struct door_options o = {.path = STR("x"), .body_max = 9};
    const struct door_message m = {.body = STR("1")};
    struct door *door;
    struct knock *k;
    int status = 0;

    CHECK_ERR(door_open(doors, &o, &door), OK);
    CHECK_ERR(door_bring(door, &m, rt_now() + NS_MS, &status), E_AGAIN);
    CHECK_ERR(door_take(door, 9, 0, &k), OK);
    CHECK(k != NULL && knock_is_gone(k));
    knock_answer(k, 200, STR_NONE);
    door_close(door);
    doors_free(doors);
}

/* --- a pipeline --- */

static void load_gateway(const char *text, struct arena *arena, struct snapshot **ret)
{
    struct problems problems = {.arena = arena};
    struct catalog *catalog;

    CHECK_OK(config_load("-", str_from_c(text), config_env_real(), &problems, &catalog));
    CHECK_OK(snapshot_make(catalog, NULL, ret));
}

static const char audit[] = "pipeline: audit\n"
                            "version: 1\n"
                            "delivery: at_most_once\n"
                            "sources: {heard: {gateway: {route: other}}}\n"
                            "sinks: {out: {from: heard, file: /out}}\n";

static err_t read_audit(const char *path, size_t max, struct buf *ret)
{
    (void)path;
    (void)max;
    return buf_add(ret, str_from_c(audit));
}

static const struct config_env audit_env = {.read_file = read_audit};

static struct pipeline_spec *load_audit(struct arena *arena)
{
    const struct pipeline_world world = {.env = &audit_env};
    struct problems problems = {.arena = arena};
    struct pipeline_spec *spec;

    return pipeline_load(STR("p.yaml"), NULL, &world, &problems, &spec) == OK ? spec : NULL;
}

/* Does the pipeline hear its model as soon as it is installed? */
static bool hears(struct runner_options o, struct pipeline_spec *spec)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct pipeline_set set = {.items = &spec, .count = 1};
    struct doors *doors = doors_new();

    o.loops = 1;
    o.doors = doors;
    o.ears = ears_new(doors);
    struct runner *r = runner_new(&o);
    runner_install(r, &set);
    bool is_heard = ask(o.ears, "m", "r1", &a) != NULL;
    runner_free(r);
    ears_free(o.ears);
    doors_free(doors);
    return is_heard;
}

/* Its file calls the model by another name; and where another process may be the one that runs it, nobody here would take what it hears. */
SIM_TEST(ears_of_a_pipeline_are_announced_when_it_is_installed)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct pipeline_spec *spec = load_audit(&a);
    struct snapshot *snapshot;
    struct journal *journal;

    CHECK(spec != NULL);
    load_gateway("providers: {p: {simulate: true}}\nmodels: {m: {targets: [p/x], aliases: [other]}}\n", &a, &snapshot);
    CHECK_OK(journal_open(
        &(struct journal_options){.kind = "memory", .traces_max = 1, .trace_age = NS_NEVER, .dead_age = NS_NEVER},
        &journal));
    struct gateway *gateway = gateway_new(&(struct gateway_options){.snapshot = snapshot});
    struct leases *leases = leases_new(&(struct leases_options){.journal = journal, .time = 10 * NS_SEC});
    CHECK(hears((struct runner_options){.journal = journal, .gateway = gateway}, spec));
    CHECK(!hears((struct runner_options){.journal = journal, .gateway = gateway, .leases = leases}, spec));
    leases_free(leases);
    gateway_free(gateway);
    journal_close(journal);
    snapshot_unref(snapshot);
    pipeline_unref(spec);
}
