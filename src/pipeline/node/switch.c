/*
 * switch.c - each record goes one of several ways: the first whose condition holds.
 *
 * What is not chosen is sent nothing; that its edge is dead then follows of itself (pipeline/spec/flow.h). A record that no case wants, without an `else`,
 * ends here.
 */
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

struct switch_case {
    const struct yaml_node *node;
    struct schema_text when, to, otherwise;
    const struct expr *expr; /* NULL: otherwise */
    size_t target;           /* among n->targets */
};

struct switch_node {
    struct switch_case *cases;
    size_t count;
};

static const struct schema_field case_fields[] = {
    SCHEMA_TEXT("when", struct switch_case, when, .doc = "Condition over the record."),
    SCHEMA_TEXT("to", struct switch_case, to, .doc = "Where it goes then: a node or sink."),
    SCHEMA_TEXT("else", struct switch_case, otherwise,
                .doc = "Instead of both, in the last case: where all others go."),
    SCHEMA_END};
static const struct schema_object case_object = {
    .fields = case_fields, .size = sizeof(struct switch_case), .node_offset = SCHEMA_NODE_AT(struct switch_case, node)};
static const struct schema_field case_item = SCHEMA_ITEM_OBJECT(&case_object, .doc = "A way out of a switch.");
static const struct schema_field fields[] = {SCHEMA_LIST("switch", struct switch_node, cases, count, &case_item,
                                                         .max = "256",
                                                         .doc = "Ways to go; the first whose condition holds."),
                                             SCHEMA_END};

static void check_case(struct pipeline_build *b, const struct switch_case *c, bool is_last)
{
    if (c->otherwise.text.n && (c->when.text.n || c->to.text.n))
        problems_error(b->problems, c->node, "a case is either {when, to} or {else}");
    else if (c->otherwise.text.n && !is_last)
        problems_error(b->problems, c->node, "what is behind \"else\" can never be chosen: it comes last");
    else if (!c->otherwise.text.n && (!c->when.text.n || !c->to.text.n))
        problems_error(b->problems, c->node, "a case needs \"when\" and \"to\", or \"else\"");
}

static void wire(struct pipeline_build *b, struct pipeline_node *n)
{
    struct switch_node *c = n->config;

    if (!c->count)
        problems_error(b->problems, n->at, "\"switch\" needs at least one case");
    for (size_t i = 0; i < c->count; i++) {
        struct switch_case *way = &c->cases[i];
        check_case(b, way, i + 1 == c->count);
        way->target = n->target_count;
        build_target(b, n, way->otherwise.text.n ? &way->otherwise : &way->to);
    }
}

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct switch_node *c = n->config;

    for (size_t i = 0; i < c->count; i++)
        c->cases[i].expr = build_expr(b, n, &c->cases[i].when);
}

static err_t work(struct step *s)
{
    const struct switch_node *c = s->node->config;

    for (size_t i = 0; i < c->count; i++) {
        struct expr_value holds = expr_bool(true);
        if (c->cases[i].expr)
            TRY(step_eval(s, c->cases[i].expr, &holds));
        if (expr_value_is_true(holds))
            return step_send_to(s, c->cases[i].target, s->in->value);
    }
    return OK;
}

static const struct node_run node_run = {.work = work};

const struct node_kind node_kind_switch = {
    .kind = {.name = "switch",
             .fields = fields,
             .size = sizeof(struct switch_node),
             .traits = KIND_CHOOSES | KIND_PASSES,
             .wire = wire,
             .build = build},
    .run = &node_run,
};
