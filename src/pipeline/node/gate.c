/*
 * gate.c - a person decides: a record waits until somebody lets it through, with or without changes, or refuses it, or time is over.
 *
 * That may take hours, so no deadline runs meanwhile: behind a gate a new one begins. The decision is journaled.
 */
#include "pipeline/run/gates.h"
#include "pipeline/spec/build.h"

enum { EXPIRE_DLQ, EXPIRE_SKIP, EXPIRE_PASS };

struct gate_node {
    struct gate_rules rules; /* first: gates.c knows it as that */
    struct schema_text channel, show;
    int on_expire;
};

static const struct schema_choice expiries[] = {{"dlq", EXPIRE_DLQ, "a dead letter"},
                                                {"skip", EXPIRE_SKIP, "the record ends here"},
                                                {"pass", EXPIRE_PASS, "it goes on as it is"},
                                                {NULL, 0, NULL}};
static const struct schema_field gate_fields[] = {
    SCHEMA_TEXT("channel", struct gate_node, channel, .required = true,
                .doc = "Where it waits to be decided: a name for those who decide."),
    SCHEMA_DURATION("expires", struct gate_node, rules.expires, .required = true, .min = "1s", .max = "366d",
                    .doc = "How long it waits."),
    SCHEMA_ENUM("on_expire", struct gate_node, on_expire, expiries, .default_text = "dlq", .doc = "What then."),
    SCHEMA_UNSIGNED("approvals", struct gate_node, rules.approvals, .default_text = "1", .min = "1", .max = "16",
                    .doc = "So many different people must agree."),
    SCHEMA_TEXT("show", struct gate_node, show, .default_text = ".", .doc = "Expression for what they are shown."),
    SCHEMA_END};
static const struct schema_object gate_object = {.fields = gate_fields, .size = sizeof(struct gate_node)};
static const struct schema_field fields[] = {SCHEMA_OBJECT_HERE("gate", &gate_object, .doc = "A person decides."),
                                             SCHEMA_END};

/* For the message that comes in, waiting is its end: what is decided begins as a root of its own. */
static void wire(struct pipeline_build *b, struct pipeline_node *n)
{
    (void)b;
    n->flow.item = FLOW_ABSORB;
}

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct gate_node *c = n->config;

    c->rules.channel = c->channel.text;
    c->rules.show = build_mapping(b, n, &c->show);
    build_reads(b, n, STR("."));
    if (n->rules.budget)
        problems_error(b->problems, n->at, "a gate has no \"budget\": \"expires\" says how long it waits");
}

static err_t expire(struct step *s)
{
    const struct gate_node *c = s->node->config;

    if (c->on_expire == EXPIRE_DLQ)
        return fail(E_DEADLINE, "nobody has decided in time");
    return c->on_expire == EXPIRE_PASS ? step_send(s, s->in->value) : OK;
}

static err_t work(struct step *s)
{
    switch (step_verdict(s)) {
    case GATE_APPROVED:
        return step_send(s, s->in->value);
    case GATE_EXPIRED:
        return expire(s);
    case GATE_REJECTED:
    case GATE_OPEN:
        break;
    }
    return OK;
}

static const struct node_run node_run = {.work = work, .absorb = &gates_run};

const struct node_kind node_kind_gate = {
    .kind = {.name = "gate",
             .fields = fields,
             .size = sizeof(struct gate_node),
             .traits = KIND_RECORDS | KIND_STOPS_CLOCK | KIND_PASSES,
             .wire = wire,
             .build = build},
    .run = &node_run,
};
