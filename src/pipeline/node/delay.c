/* delay.c - records wait: for a time, or until an instant of their own. When they are due is journaled, so a crash does not begin it anew. */
#include "expr/value.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"
#include "rt/loop.h"

struct delay_node {
    ns_t span;
    struct schema_text until;
    ns_t max;
    const struct expr *expr;
};

static const struct schema_field delay_fields[] = {
    SCHEMA_DURATION("for", struct delay_node, span, .min = "1ms", .max = "366d", .doc = "So long."),
    SCHEMA_TEXT("until", struct delay_node, until,
                .doc = "Instead: expression for the instant, in seconds since 1970."),
    SCHEMA_DURATION("max", struct delay_node, max, .default_text = "7d", .min = "1ms", .max = "366d",
                    .doc = "Of `until`: not longer than this."),
    SCHEMA_END};
static const struct schema_object delay_object = {
    .fields = delay_fields, .size = sizeof(struct delay_node), .shorthand = "for"};
static const struct schema_field fields[] = {SCHEMA_OBJECT_HERE("delay", &delay_object, .doc = "Records wait."),
                                             SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct delay_node *c = n->config;

    if (!c->span == !c->until.text.n)
        problems_error(b->problems, n->at, "\"delay\" needs either \"for\" or \"until\"");
    c->expr = build_expr(b, n, &c->until);
    if (!n->rules.budget)
        n->rules.budget = c->span ? c->span : c->max;
}

/* Nanoseconds since 1970 of an instant in seconds, but not later than `most`. */
static int64_t instant_at(double seconds, int64_t most)
{
    double at = seconds * (double)NS_SEC;

    return at >= (double)most ? most : at <= 0 ? 0 : (int64_t)at;
}

static err_t due_of(struct step *s, struct due *ret)
{
    const struct delay_node *c = s->node->config;
    struct expr_value until;

    *ret = (struct due){.span = c->span};
    if (!c->expr)
        return OK;
    TRY(step_eval(s, c->expr, &until));
    if (until.kind != JSON_NUMBER)
        return fail(E_PARSE, "\"until\" is a %s and no instant in seconds", value_kind_name(until.kind));
    ret->until = instant_at(value_number(until), rt_wall() + c->max);
    return OK;
}

static err_t work(struct step *s)
{
    return step_send(s, s->in->value);
}

static const struct node_run node_run = {.work = work, .wait = due_of};

const struct node_kind node_kind_delay = {
    .kind = {.name = "delay",
             .fields = fields,
             .size = sizeof(struct delay_node),
             .traits = KIND_RECORDS | KIND_PASSES | KIND_ANSWERS,
             .build = build},
    .run = &node_run,
};
