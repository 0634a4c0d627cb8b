/* config_admission_test.c - limits, objectives, queues and priorities in configuration files. */
#include "base/mem.h"
#include "fleet/config.h"
#include "unit/test.h"

struct loaded {
    struct arena arena;
    struct problems problems;
    struct buf report;
    struct catalog *c;
    err_t err;
};

static void loaded_release(struct loaded *l)
{
    catalog_unref(l->c);
    buf_release(&l->report);
    arena_release(&l->arena);
}

/* A simulated provider with `provider`, a model with `model` and a key with `key` more fields. */
static void load(struct loaded *l, const char *provider, const char *model, const char *key)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(4096);

    *l = (struct loaded){.arena = {.max = SIZE_MAX}, .report = BUF_INIT(1 << 16)};
    l->problems.arena = &l->arena;
    buf_addf(&text,
             "providers: {p: {simulate: true%s}}\nmodels: {m: {targets: p/a%s}}\nkeys: [{name: k, hash: "
             "\"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"%s}]\n",
             provider, model, key);
    l->err = config_load("-", buf_str(&text), config_env_real(), &l->problems, &l->c);
    problems_print(&l->problems, &l->report);
}

static void check_limit(const char *provider, double least, double first, double most)
{
    struct loaded l CLEANUP(loaded_release) = {.c = NULL};

    load(&l, provider, "", "");
    test_context("%s", provider);
    CHECK_STR(buf_str(&l.report), "");
    const struct concurrency_rules *r = &l.c->deployments[0].concurrency;
    CHECK(r->least == least);
    CHECK(r->first == first);
    CHECK(r->most == most);
    CHECK(most == 0 || (r->samples > 0 && r->interval > 0));
}

TEST(config_limits_are_fixed_or_adaptive_as_objectives_say)
{
    check_limit("", 0, 0, 0);
    check_limit(", concurrency: 8", 8, 8, 8);
    check_limit(", concurrency: {most: 8, adaptive: false}, objectives: {per_token: 40ms}", 8, 8, 8);
    check_limit(", objectives: {first_token: 800ms}", 1, 16, 1024);
    check_limit(", objectives: {per_token: 40ms}, concurrency: 8", 1, 8, 8);
    check_limit(", objectives: {per_token: 40ms}, concurrency: {least: 32}", 32, 32, 1024);
    check_limit(", objectives: {per_token: 40ms}, concurrency: {least: 2, first: 64, most: 256, adaptive: true}", 2, 64,
                256);
    check_limit(", objectives: {per_token: 40ms}, concurrency: {adaptive: false}", 0, 0, 0);
}

TEST(config_objectives_reach_the_deployment)
{
    struct loaded l CLEANUP(loaded_release) = {.c = NULL};

    load(&l, ", objectives: {first_token: 800ms, per_token: 40ms}", "", "");
    CHECK_OK(l.err);
    CHECK_EQ(l.c->deployments[0].concurrency.first_token, 800 * NS_MS);
    CHECK_EQ(l.c->deployments[0].concurrency.per_token, 40 * NS_MS);
}

/* What an entry under `deployments` says goes before what the provider says, its own before that of all. */
TEST(config_a_deployment_has_its_own_limit)
{
    static const char text[] = "providers: {p: {simulate: true, concurrency: 8, objectives: {per_token: 40ms}}}\n"
                               "deployments:\n"
                               "  p/*: {concurrency: 3}\n"
                               "  p/own: {objectives: {first_token: 1s}}\n"
                               "  p/other: {context: 1000}\n"
                               "models: {m: {targets: [p/own, p/other]}}\n";
    struct loaded l CLEANUP(loaded_release) = {.arena = {.max = SIZE_MAX}, .report = BUF_INIT(1 << 16)};

    l.problems.arena = &l.arena;
    l.err = config_load("-", str_from_c(text), config_env_real(), &l.problems, &l.c);
    CHECK_OK(l.err);
    const struct deployment *own = map_get(&l.c->deployment_by_name, STR("p/own")),
                            *other = map_get(&l.c->deployment_by_name, STR("p/other"));
    CHECK(own->concurrency.most == 1024 && own->concurrency.first_token == NS_SEC && own->concurrency.per_token == 0);
    CHECK(other->concurrency.most == 3 && other->concurrency.least == 3 && other->concurrency.per_token == 0);
}

static void check_refused(const char *provider, const char *words)
{
    struct loaded l CLEANUP(loaded_release) = {.c = NULL};

    load(&l, provider, "", "");
    test_context("%s", provider);
    CHECK_ERR(l.err, E_CONFIG);
    CHECK_MSG(str_find(buf_str(&l.report), str_from_c(words)) < l.report.n, "%.*s", STR_ARG(buf_str(&l.report)));
}

TEST(config_limits_that_contradict_each_other_are_refused)
{
    check_refused(", concurrency: {adaptive: true}", "needs \"objectives\"");
    check_refused(", concurrency: {most: 4, least: 2}", "are of adaptive limits");
    check_refused(", concurrency: {first: 2}", "are of adaptive limits");
    check_refused(", concurrency: {most: 4, least: 8}, objectives: {per_token: 1ms}", "must rise");
    check_refused(", concurrency: {most: 4, first: 8}, objectives: {per_token: 1ms}", "must rise");
    check_refused(", concurrency: {least: 4, first: 2}, objectives: {per_token: 1ms}", "must rise");
    check_refused(", concurrency: 0", "");
}

static void check_same(const struct fair_rules *got, const struct fair_rules *want)
{
    CHECK_EQ(got->quantum, want->quantum);
    CHECK_EQ(got->entries, want->entries);
    CHECK_EQ(got->per_flow, want->per_flow);
    CHECK_EQ(got->lower_share, want->lower_share);
}

TEST(config_queues_have_bounds_and_can_be_turned_off)
{
    struct loaded usual CLEANUP(loaded_release) = {.c = NULL}, off CLEANUP(loaded_release) = {.c = NULL},
                        own CLEANUP(loaded_release) = {.c = NULL};

    load(&usual, "", "", "");
    CHECK_OK(usual.err);
    check_same(&usual.c->models[0].queue.fair, &queue_rules_usual.fair);
    check_same(&usual.c->models[0].queue.fair, &fair_rules_usual);
    CHECK(usual.c->models[0].queue.on && usual.c->models[0].queue.max_wait == queue_rules_usual.max_wait);
    load(&off, "", ", queue: false", "");
    CHECK_OK(off.err);
    CHECK(!off.c->models[0].queue.on);
    load(&own, "", ", queue: {max: 50, per_tenant: 5, max_wait: 2s}", "");
    CHECK_OK(own.err);
    const struct queue_rules *q = &own.c->models[0].queue;
    CHECK(q->on && q->fair.entries == 50 && q->fair.per_flow == 5 && q->max_wait == 2 * NS_SEC);
}

TEST(config_keys_have_a_priority_and_a_weight)
{
    struct loaded usual CLEANUP(loaded_release) = {.c = NULL}, own CLEANUP(loaded_release) = {.c = NULL};

    load(&usual, "", "", "");
    CHECK_OK(usual.err);
    CHECK_EQ(usual.c->keys[0].priority, 1);
    CHECK_EQ(usual.c->keys[0].weight, 1);
    load(&own, "", "", ", priority: low, weight: 7");
    CHECK_OK(own.err);
    CHECK_EQ(own.c->keys[0].priority, 2);
    CHECK_EQ(own.c->keys[0].weight, 7);
}
