/*
 * loop.c - a called pipeline works on a record again and again, until a condition holds: bounded by a count and a time, always.
 *
 * Each turn is a flow of its own, whose output is the next one's input. When the bound is reached without the condition, the loop has failed, or
 * yields what there is.
 */
#include "pipeline/run/inner.h"
#include "pipeline/spec/build.h"

enum { EXHAUSTED_FAIL, EXHAUSTED_PASS };

struct loop_node {
    struct schema_text pipeline, until;
    unsigned max;
    ns_t deadline;
    int exhausted;
    const struct expr *expr;
};

static const struct schema_choice exhaustions[] = {
    {"fail", EXHAUSTED_FAIL, "as `on_error` says"}, {"pass", EXHAUSTED_PASS, "what there is goes on"}, {NULL, 0, NULL}};
static const struct schema_field loop_fields[] = {
    SCHEMA_TEXT("pipeline", struct loop_node, pipeline, .required = true,
                .doc = "File of a pipeline with `input` and `output`: a turn."),
    SCHEMA_TEXT("until", struct loop_node, until, .required = true, .doc = "Condition over what a turn yields."),
    SCHEMA_UNSIGNED("max", struct loop_node, max, .required = true, .min = "1", .max = "1000",
                    .doc = "Turns, at most."),
    SCHEMA_DURATION("deadline", struct loop_node, deadline, .required = true, .min = "1ms", .max = "24h",
                    .doc = "Time for all turns; also the node's budget."),
    SCHEMA_ENUM("exhausted", struct loop_node, exhausted, exhaustions, .default_text = "fail",
                .doc = "What if neither was enough."),
    SCHEMA_END};
static const struct schema_object loop_object = {.fields = loop_fields, .size = sizeof(struct loop_node)};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("loop", &loop_object, .doc = "A called pipeline, again and again."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct loop_node *c = n->config;

    build_body(b, n, &c->pipeline);
    build_reads(b, n, STR("."));
    c->expr = build_expr_on(b, n, &c->until, n->output_type);
    if (n->rules.budget && n->rules.budget != c->deadline)
        problems_error(b->problems, n->at, "the loop's \"deadline\" is its budget: leave \"budget\" out");
    n->rules.budget = c->deadline;
}

/* One turn after the other. *value: what the last whole turn yielded; *ret_done: the condition held. */
static SUSPENDS err_t run_turns(struct step *s, struct expr_value *value, bool *ret_done)
{
    const struct loop_node *c = s->node->config;
    struct expr_value is_done;

    *ret_done = false;
    for (unsigned turn = 0; turn < c->max && !*ret_done; turn++) {
        TRY(step_run_body(s, turn, *value, value));
        TRY(step_eval_on(s, c->expr, *value, &is_done));
        *ret_done = expr_value_is_true(is_done);
    }
    return OK;
}

static SUSPENDS err_t run(struct step *s)
{
    const struct loop_node *c = s->node->config;
    struct expr_value value = s->in->value;
    bool is_done;
    err_t e = run_turns(s, &value, &is_done);

    if (e == E_DEADLINE && c->exhausted == EXHAUSTED_PASS)
        return step_send(s, value);
    TRY(e);
    if (!is_done && c->exhausted == EXHAUSTED_FAIL)
        return fail(E_PARSE, "after %u turns the condition of the loop does not hold", c->max);
    return step_send(s, value);
}

static const struct node_run node_run = {.call = run};

const struct node_kind node_kind_loop = {
    .kind = {.name = "loop",
             .fields = fields,
             .size = sizeof(struct loop_node),
             .traits = KIND_RECORDS | KIND_ANSWERS,
             .build = build},
    .run = &node_run,
};
