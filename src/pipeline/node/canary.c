/* canary.c - a share of the messages goes a new way, the others the old one. Which, a hash of the key decides, so that the same key always goes the same way. */
#include "base/prng.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

struct canary_node {
    struct schema_text stable, candidate, key;
    double share;
    const struct expr *expr;
};

static const struct schema_field canary_fields[] = {
    SCHEMA_TEXT("stable", struct canary_node, stable, .required = true, .doc = "Node or sink that the others go to."),
    SCHEMA_TEXT("candidate", struct canary_node, candidate, .required = true,
                .doc = "Node or sink that the share goes to."),
    SCHEMA_FLOAT("share", struct canary_node, share, .required = true, .min = "0", .max = "1",
                 .doc = "Its share: `5%`."),
    SCHEMA_TEXT("key", struct canary_node, key, .default_doc = "the message's id",
                .doc = "Expression: what always goes the same way."),
    SCHEMA_END};
static const struct schema_object canary_object = {.fields = canary_fields, .size = sizeof(struct canary_node)};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("canary", &canary_object, .doc = "A share goes a new way."), SCHEMA_END};

static void wire(struct pipeline_build *b, struct pipeline_node *n)
{
    const struct canary_node *c = n->config;

    if (str_eq(c->stable.text, c->candidate.text) && c->stable.text.n)
        problems_error(b->problems, c->candidate.node, "\"stable\" and \"candidate\" are the same");
    build_target(b, n, &c->stable);
    build_target(b, n, &c->candidate);
}

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct canary_node *c = n->config;

    c->expr = build_expr(b, n, &c->key);
}

enum { TO_STABLE, TO_CANDIDATE }; /* in the order of wire() */

static err_t work(struct step *s)
{
    const struct canary_node *c = s->node->config;
    struct expr_value key;
    struct str text;

    if (!c->expr)
        return step_send_to(s, step_is_of_share(s, c->share) ? TO_CANDIDATE : TO_STABLE, s->in->value);
    TRY(step_eval(s, c->expr, &key));
    TRY(step_key(s, key, &text));
    double place = (double)prng_scatter(str_hash(text)) * 0x1p-64;
    return step_send_to(s, place < c->share ? TO_CANDIDATE : TO_STABLE, s->in->value);
}

static const struct node_run node_run = {.work = work};

const struct node_kind node_kind_canary = {
    .kind = {.name = "canary",
             .fields = fields,
             .size = sizeof(struct canary_node),
             .traits = KIND_CHOOSES | KIND_PASSES,
             .wire = wire,
             .build = build},
    .run = &node_run,
};
