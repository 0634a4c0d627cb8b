/* sim_scenario_test.c - scenario files: what they mean, what is refused, and what they make of requests. */
#include "codec/json.h"
#include "sim/plan.h"
#include "sim/scenario.h"
#include "unit/test.h"

#include <stdio.h>

static struct arena a;

/* Parse; NULL, with *ret_text the problems, if it is refused. */
static struct scenario *parse(const char *yaml, struct str *ret_text)
{
    struct problems problems = {.arena = &a};
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct scenario *s = NULL;

    arena_release(&a);
    arena_init(&a, SIZE_MAX);
    err_t e = scenario_parse(str_from_c(yaml), "s.yaml", &problems, &s);
    problems_print(&problems, &text);
    *ret_text = arena_str(&a, buf_str(&text));
    return e == OK ? s : NULL;
}

static struct sim_plan plan_at(const struct sim_model *m, uint64_t seed, uint64_t nth, ns_t elapsed)
{
    struct sim_plan plan;

    sim_plan_make(m, &(struct sim_occasion){.seed = seed, .model = 3, .nth = nth, .question = nth, .elapsed = elapsed},
                  NULL, &plan);
    return plan;
}

/* A refused file, and words that the message must hold. */
static void check_refused(const char *yaml, const char *place, const char *words)
{
    struct str text;

    test_context("%s", yaml);
    struct scenario *s = parse(yaml, &text);
    if (s) {
        scenario_free(s);
        FAIL("it was taken");
    }
    CHECK_MSG(str_starts(text, str_from_c(place)), "%.*s", STR_ARG(text));
    CHECK_MSG(str_find(text, str_from_c(words)) < text.n, "%.*s", STR_ARG(text));
    arena_release(&a);
}

TEST(sim_the_built_in_scenario_is_valid)
{
    struct problems problems = {.arena = &a};
    struct scenario *s;

    arena_init(&a, SIZE_MAX);
    CHECK_OK(scenario_parse(scenario_builtin(), "built-in", &problems, &s));
    CHECK_EQ(problems.count, 0);
    CHECK(s->allow_overrides);
    CHECK(s->any != NULL);
    CHECK_STR(scenario_model(s, STR("sim-slow"))->name, "sim-slow");
    CHECK(scenario_model(s, STR("anything")) == s->any);
    struct sim_plan plan = plan_at(s->any, 1, 1, 0);
    CHECK(sim_plan_is_instant(&plan));
    CHECK_EQ(plan.length, 20);
    scenario_free(s);
    arena_release(&a);
}

TEST(sim_a_scenario_without_a_star_has_only_its_own_models)
{
    struct str text;
    struct scenario *s = parse("models: {m: {answer_tokens: 3}}\n", &text);

    CHECK_MSG(s != NULL, "%.*s", STR_ARG(text));
    CHECK(scenario_model(s, STR("m")) != NULL);
    CHECK(scenario_model(s, STR("n")) == NULL);
    CHECK(!s->allow_overrides);
    CHECK_EQ(s->seed, 1);
    scenario_free(s);
    arena_release(&a);
}

TEST(sim_what_is_wrong_with_a_scenario_is_told_with_its_place)
{
    check_refused("seed: 1\n", "s.yaml:1:", "models");
    check_refused("models:\n  m: {tfft: 1s}\n", "s.yaml:2:7:", "ttft");
    check_refused("models:\n  m: {tokens_per_second: 0}\n", "s.yaml:2:", "unlimited");
    check_refused("models:\n  m: {ttft: {distribution: normal, mean: 1s}}\n", "s.yaml:2:", "sd");
    check_refused("models:\n  m: {ttft: {median: 1s, value: 1s}}\n", "s.yaml:2:", "median");
    check_refused("models:\n  m: {ttft: {distribution: uniform, min: 2s, max: 1s}}\n", "s.yaml:2:", "less");
    check_refused("models:\n  m:\n    faults: [{kind: stall, weight: 0.7}, {kind: hang, weight: 0.4}]\n",
                  "s.yaml:3:", "1.1");
    check_refused("models:\n  m: {faults: [{kind: stall, status: 500}]}\n", "s.yaml:2:", "status");
    check_refused("aws_keys: {access_key_id: A}\nmodels: {m: {}}\n", "s.yaml:1:", "secret_access_key");
    check_refused("models:\n  m: {faults: [{kind: explode}]}\n", "s.yaml:2:", "break_stream");
    check_refused("models:\n  m: {schedule: [{from: 2s, to: 1s}]}\n", "s.yaml:2:", "after");
    check_refused("models:\n  m: {schedule: [{first_request: 5, last_request: 4}]}\n", "s.yaml:2:", "before");
    check_refused("models:\n  m: {schedule: [{faults: [{kind: hang}, {kind: stall}]}]}\n", "s.yaml:2:", "2");
}

TEST(sim_a_window_changes_only_what_it_mentions)
{
    struct str text;
    struct scenario *s = parse("models:\n"
                               "  m:\n"
                               "    ttft: 1s\n"
                               "    tokens_per_second: 10\n"
                               "    answer_tokens: 5\n"
                               "    faults: hang\n"
                               "    schedule:\n"
                               "      - {from: 10s, to: 20s, ttft: 2s, faults: []}\n"
                               "      - {first_request: 3, last_request: 4, faults: [{kind: status, status: 500}]}\n"
                               "      - {from: 100s, ttft: 3s}\n",
                               &text);

    CHECK_MSG(s != NULL, "%.*s", STR_ARG(text));
    const struct sim_model *m = &s->models[0];
    CHECK_EQ(plan_at(m, 1, 1, 0).fault->kind, SIM_FAULT_HANG);
    CHECK_EQ(plan_at(m, 1, 1, 10 * NS_SEC - 1).fault->kind, SIM_FAULT_HANG);
    struct sim_plan within = plan_at(m, 1, 3, 10 * NS_SEC);
    CHECK_EQ(within.fault->kind, SIM_FAULT_NONE);
    CHECK_EQ(within.ttft, 2 * NS_SEC);
    CHECK_EQ(within.length, 5);
    CHECK_EQ(sim_plan_due(&within, 20), 4 * NS_SEC);
    CHECK_EQ(plan_at(m, 1, 2, 20 * NS_SEC).fault->kind, SIM_FAULT_HANG);
    CHECK_EQ(plan_at(m, 1, 3, 20 * NS_SEC).fault->status, 500);
    CHECK_EQ(plan_at(m, 1, 4, 20 * NS_SEC).ttft, NS_SEC);
    CHECK_EQ(plan_at(m, 1, 5, 20 * NS_SEC).fault->kind, SIM_FAULT_HANG);
    CHECK_EQ(plan_at(m, 1, 5, 100 * NS_SEC).fault->kind, SIM_FAULT_HANG);
    CHECK_EQ(plan_at(m, 1, 5, 100 * NS_SEC).ttft, 3 * NS_SEC);
    scenario_free(s);
    arena_release(&a);
}

TEST(sim_faults_come_by_weight_and_again_by_seed)
{
    struct str text;
    struct scenario *s =
        parse("models: {m: {faults: [{kind: status, weight: 20%}, {kind: stall, weight: 0.05}]}}\n", &text);
    unsigned status = 0, stall = 0, same = 0, moved = 0;
    enum { ROUNDS = 20000 };

    CHECK_MSG(s != NULL, "%.*s", STR_ARG(text));
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        enum sim_fault_kind kind = plan_at(&s->models[0], test_seed(), i, 0).fault->kind;
        status += kind == SIM_FAULT_STATUS;
        stall += kind == SIM_FAULT_STALL;
        same += kind == plan_at(&s->models[0], test_seed(), i, 0).fault->kind;
        moved += kind != plan_at(&s->models[0], test_seed() + 1, i, 0).fault->kind;
    }
    CHECK(status > ROUNDS * 19 / 100 && status < ROUNDS * 21 / 100);
    CHECK(stall > ROUNDS * 4 / 100 && stall < ROUNDS * 6 / 100);
    CHECK_EQ(same, ROUNDS);
    CHECK_GT(moved, ROUNDS / 10);
    scenario_free(s);
    arena_release(&a);
}

TEST(sim_a_fault_that_does_not_come_does_not_change_the_pace)
{
    struct str text;
    struct scenario *without = parse("models: {m: {ttft: {distribution: exponential, mean: 1s}}}\n", &text);
    struct scenario *with = parse(
        "models: {m: {ttft: {distribution: exponential, mean: 1s}, faults: [{kind: stall, weight: 0.1}]}}\n", &text);

    CHECK(without && with);
    for (uint64_t i = 1; i < 100; i++)
        CHECK_EQ(plan_at(&without->models[0], 1, i, 0).ttft, plan_at(&with->models[0], 1, i, 0).ttft);
    scenario_free(with);
    scenario_free(without);
    arena_release(&a);
}

/* Mean of `draw` over many requests. */
static double mean_of(const struct sim_model *m, double (*value)(const struct sim_plan *))
{
    double sum = 0;
    enum { ROUNDS = 20000 };

    for (uint64_t i = 1; i <= ROUNDS; i++) {
        struct sim_plan plan = plan_at(m, test_seed(), i, 0);
        sum += value(&plan);
    }
    return sum / ROUNDS;
}

static double ttft_of(const struct sim_plan *p)
{
    return (double)p->ttft / (double)NS_MS;
}

static double speed_of(const struct sim_plan *p)
{
    return p->speed;
}

static double length_of(const struct sim_plan *p)
{
    return (double)p->length;
}

TEST(sim_numbers_follow_their_distributions)
{
    struct str text;
    struct scenario *s = parse("models:\n"
                               "  m:\n"
                               "    ttft: {distribution: lognormal, median: 300ms, sigma: 0.5}\n"
                               "    tokens_per_second: {distribution: normal, mean: 50, sd: 8, min: 45, max: 55}\n"
                               "    answer_tokens: {distribution: uniform, min: 20, max: 200}\n",
                               &text);

    CHECK_MSG(s != NULL, "%.*s", STR_ARG(text));
    const struct sim_model *m = &s->models[0];
    double ttft = mean_of(m, ttft_of), speed = mean_of(m, speed_of), length = mean_of(m, length_of);
    CHECK_MSG(ttft > 330 && ttft < 350, "%g", ttft); /* 300 exp(sigma^2 / 2) = 340 */
    CHECK_MSG(speed > 49.7 && speed < 50.3, "%g", speed);
    CHECK_MSG(length > 108 && length < 112, "%g", length);
    for (uint64_t i = 1; i < 1000; i++) {
        struct sim_plan plan = plan_at(m, 1, i, 0);
        CHECK(plan.speed >= 45 && plan.speed <= 55);
        CHECK(plan.length >= 20 && plan.length <= 200);
    }
    scenario_free(s);
    arena_release(&a);
}

TEST(sim_the_length_follows_the_question_not_the_order)
{
    struct str text;
    struct scenario *s = parse("models: {m: {answer_tokens: {distribution: uniform, min: 1, max: 100000}}}\n", &text);
    struct sim_occasion at = {.seed = 1, .model = 2, .nth = 1, .question = 77};
    struct sim_plan first, later, other;

    CHECK_MSG(s != NULL, "%.*s", STR_ARG(text));
    sim_plan_make(&s->models[0], &at, NULL, &first);
    at.nth = 900;
    sim_plan_make(&s->models[0], &at, NULL, &later);
    at.question = 78;
    sim_plan_make(&s->models[0], &at, NULL, &other);
    CHECK_EQ(first.length, later.length);
    CHECK_NE(first.length, other.length);
    scenario_free(s);
    arena_release(&a);
}

TEST(sim_a_request_may_choose_its_own_fault)
{
    struct problems problems = {.arena = &a};
    struct sim_override o;
    struct sim_plan plan;
    struct str text;
    struct scenario *s = parse("models: {m: {ttft: 1s, faults: hang}}\n", &text);
    struct sim_occasion at = {.nth = 1};

    CHECK_MSG(s != NULL, "%.*s", STR_ARG(text));
    CHECK_OK(scenario_override(STR("fault=stall; after_tokens=3;duration=2s ;tokens_per_second=50"), &problems, &o));
    sim_plan_make(&s->models[0], &at, &o, &plan);
    CHECK_EQ(plan.fault->kind, SIM_FAULT_STALL);
    CHECK_EQ(plan.fault->after_tokens, 3);
    CHECK_EQ(plan.fault->duration, 2 * NS_SEC);
    CHECK_EQ(plan.ttft, NS_SEC); /* the model's own */
    CHECK(plan.speed > 49.9 && plan.speed < 50.1);
    CHECK_OK(scenario_override(STR("fault=none"), &problems, &o));
    sim_plan_make(&s->models[0], &at, &o, &plan);
    CHECK_EQ(plan.fault->kind, SIM_FAULT_NONE);
    CHECK_OK(scenario_override(STR("answer_tokens=9"), &problems, &o));
    sim_plan_make(&s->models[0], &at, &o, &plan);
    CHECK_EQ(plan.fault->kind, SIM_FAULT_HANG);
    CHECK_EQ(plan.length, 9);
    CHECK_EQ(problems.errors, 0);
    CHECK_NE(scenario_override(STR("fault=explode"), &problems, &o), OK);
    CHECK_NE(scenario_override(STR("fault=hang;status=500"), &problems, &o), OK);
    CHECK_NE(scenario_override(STR("nonsense"), &problems, &o), OK);
    CHECK_NE(scenario_override(STR("fault: {"), &problems, &o), OK);
    scenario_free(s);
    arena_release(&a);
}

TEST(sim_a_plan_knows_when_tokens_are_due)
{
    struct sim_plan plan = {.ttft = 500 * NS_MS, .speed = 20};

    CHECK_EQ(sim_plan_due(&plan, 0), 500 * NS_MS);
    CHECK_EQ(sim_plan_due(&plan, 1), 550 * NS_MS);
    CHECK_EQ(sim_plan_due(&plan, 40), 2500 * NS_MS);
    plan.speed = 0;
    CHECK_EQ(sim_plan_due(&plan, 1000), 500 * NS_MS);
    CHECK(!sim_plan_is_instant(&plan));
    plan.speed = 1e-300;
    CHECK_EQ(sim_plan_due(&plan, 1), NS_NEVER);
}

static bool read_whole(const char *path, struct buf *to)
{
    struct str full = arena_printf(&a, "%s/%s", test_root(), path);
    char piece[2048];
    FILE *f = fopen(full.p, "r");

    if (!f)
        return false;
    for (size_t n; (n = fread(piece, 1, sizeof(piece), f)) > 0;)
        buf_add(to, str_of(piece, n));
    fclose(f);
    return true;
}

TEST(sim_the_documentation_holds_the_reference_of_all_fields)
{
    struct buf doc CLEANUP(buf_release) = BUF_INIT(1 << 20), want CLEANUP(buf_release) = BUF_INIT(1 << 20);

    arena_init(&a, SIZE_MAX);
    CHECK(read_whole("docs/simulator.md", &doc));
    CHECK_OK(scenario_reference(&want));
    CHECK_GT(want.n, 1000);
    CHECK_MSG(str_find(buf_str(&doc), buf_str(&want)) < doc.n,
              "the reference in docs/simulator.md is not what scenario_reference() prints");
    CHECK_MSG(str_find(buf_str(&doc), scenario_builtin()) < doc.n,
              "docs/simulator.md does not show the built-in scenario");
    arena_release(&a);
}

TEST(sim_the_json_schema_of_scenarios_names_their_fields)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 20);
    yyjson_val *v;

    arena_release(&a);
    arena_init(&a, SIZE_MAX);
    CHECK_OK(scenario_json_schema(&json));
    CHECK_OK(json_parse(&a, buf_str(&json), NULL, 0, &v));
    CHECK(json_get(json_get(v, STR("properties")), STR("models")) != NULL);
    CHECK(json_get(json_get(v, STR("properties")), STR("allow_overrides")) != NULL);
    arena_release(&a);
}

TEST(sim_the_example_scenarios_are_valid)
{
    static const char *const examples[] = {"steady", "flaky", "outage",     "slow",       "strict", "limits", "bounded",
                                           "near",   "far",   "each-cause", "heavy-tail", "breaks", "whole"};

    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct buf yaml CLEANUP(buf_release) = BUF_INIT(1 << 20);
        struct str text;
        arena_init(&a, SIZE_MAX);
        struct str path = arena_printf(&a, "examples/scenarios/%s.yaml", examples[i]);
        CHECK_MSG(read_whole(path.p, &yaml), "%s", path.p);
        CHECK_OK(buf_add_char(&yaml, '\0'));
        struct scenario *s = parse(yaml.p, &text);
        CHECK_MSG(s != NULL, "%s: %.*s", examples[i], STR_ARG(text));
        CHECK_EQ(text.n, 0);
        scenario_free(s);
        arena_release(&a);
    }
}
