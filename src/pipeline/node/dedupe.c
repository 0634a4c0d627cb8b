/* dedupe.c - of records with the same key only the first goes on, for a while. Which that was is journaled. */
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

struct dedupe_node {
    struct schema_text key;
    ns_t within;
    uint64_t size;
    const struct expr *expr;
};

static const struct schema_field dedupe_fields[] = {
    SCHEMA_TEXT("key", struct dedupe_node, key, .required = true, .doc = "Expression: what makes two the same."),
    SCHEMA_DURATION("within", struct dedupe_node, within, .default_text = "24h", .min = "1s", .max = "366d",
                    .doc = "How long it is remembered."),
    SCHEMA_SIZE("size", struct dedupe_node, size, .default_text = "64MiB", .min = "1KiB", .max = "64GiB",
                .doc = "Of all that is remembered, some 250 B a key; the oldest goes."),
    SCHEMA_END};
static const struct schema_object dedupe_object = {
    .fields = dedupe_fields, .size = sizeof(struct dedupe_node), .shorthand = "key"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("dedupe", &dedupe_object, .doc = "Of those with the same key only the first goes on."),
    SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct dedupe_node *c = n->config;

    c->expr = build_expr(b, n, &c->key);
}

/* Who the first was is remembered by its id: it stays the first however often it is asked about. */
static err_t pass(struct step *s)
{
    const struct dedupe_node *c = s->node->config;
    struct str me = str_of((const char *)s->in->id.b, sizeof s->in->id.b), first, key;
    struct expr_value value;
    ns_t left;

    TRY(step_eval(s, c->expr, &value));
    TRY(step_key(s, value, &key));
    if (!step_remembered(s, key, &left, &first))
        TRY(step_remember(s, key, c->within, me));
    else if (!str_eq(first, me))
        return OK;
    return step_send(s, s->in->value);
}

static size_t memory(const struct pipeline_node *n)
{
    const struct dedupe_node *c = n->config;

    return c->size;
}

static const struct node_run node_run = {.decide = pass, .memory = memory};

const struct node_kind node_kind_dedupe = {
    .kind = {.name = "dedupe",
             .fields = fields,
             .size = sizeof(struct dedupe_node),
             .traits = KIND_RECORDS | KIND_PASSES,
             .build = build},
    .run = &node_run,
};
