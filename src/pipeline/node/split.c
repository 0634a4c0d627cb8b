/* split.c - a record becomes several: each element of an array. They go on one by one, as there is room for them. */
#include "expr/value.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

struct split_node {
    struct schema_text each;
    unsigned max;
    const struct expr *expr;
};

static const struct schema_field split_fields[] = {
    SCHEMA_TEXT("each", struct split_node, each, .required = true, .doc = "Expression for the array: `.items`."),
    SCHEMA_UNSIGNED("max", struct split_node, max, .default_text = "10000", .min = "1", .max = "1000000",
                    .doc = "A record with more is a dead letter."),
    SCHEMA_END};
static const struct schema_object split_object = {
    .fields = split_fields, .size = sizeof(struct split_node), .shorthand = "each"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("split", &split_object, .doc = "Each element of an array becomes a record."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct split_node *c = n->config;

    c->expr = build_mapping(b, n, &c->each);
    if (!c->expr)
        return;
    const struct expr_type *type = expr_output_type(c->expr);
    n->output_type = type->items ? type->items : &expr_type_unchecked;
    if (!(type->kinds & EXPR_IS_ARRAY))
        problems_error(b->problems, c->each.node, "what is split must be an array, and this never is one");
}

static err_t work(struct step *s)
{
    const struct split_node *c = s->node->config;
    struct expr_budget b = {step_arena(s), expr_limits_default.steps, expr_limits_default.memory};
    struct expr_value all, one;
    uint32_t count;

    TRY(step_eval(s, c->expr, &all));
    if (all.kind != JSON_ARRAY)
        return fail(E_PARSE, "what is split is no array");
    TRY(value_settle(&b, &all));
    TRY(value_count(&b, all, &count));
    if (count > c->max)
        return fail(E_TOO_LARGE, "an array of %u elements is split; at most %u", count, c->max);
    for (uint32_t i = 0; i < count; i++) {
        TRY(value_at(&b, all, i, &one));
        TRY(step_send(s, one));
    }
    return OK;
}

static const struct node_run node_run = {.work = work};

const struct node_kind node_kind_split = {
    .kind =
        {.name = "split", .fields = fields, .size = sizeof(struct split_node), .traits = KIND_REPEATS, .build = build},
    .run = &node_run,
};
