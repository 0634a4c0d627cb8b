/* filter.c - records for which a condition holds go on; the others end here, and are neither lost nor failed. */
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

struct filter_node {
    struct schema_text when;
    const struct expr *expr;
};

static const struct schema_field fields[] = {
    SCHEMA_TEXT("filter", struct filter_node, when,
                .doc = "An expression: what it neither makes false nor null goes on."),
    SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct filter_node *c = n->config;

    c->expr = build_mapping(b, n, &c->when);
}

static err_t work(struct step *s)
{
    const struct filter_node *c = s->node->config;
    struct expr_value value;

    TRY(step_eval(s, c->expr, &value));
    return expr_value_is_true(value) ? step_send(s, s->in->value) : OK;
}

static const struct node_run node_run = {.work = work};

const struct node_kind node_kind_filter = {
    .kind =
        {.name = "filter", .fields = fields, .size = sizeof(struct filter_node), .traits = KIND_PASSES, .build = build},
    .run = &node_run,
};
