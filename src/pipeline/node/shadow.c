/*
 * shadow.c - a share of the records goes on to be tried out: nothing behind it reaches a sink, and nothing that fails there matters.
 *
 * Which share, the root's id decides, so it is the same after a crash. `compare` holds nodes behind it against those that they are to replace (agree.h).
 */
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

struct shadow_pair {
    struct str node;
    struct schema_text candidate;
};

struct shadow_node {
    double share;
    struct shadow_pair *pairs;
    size_t count;
};

static const struct schema_field pair_value = SCHEMA_TEXT(NULL, struct shadow_pair, candidate);
static const struct schema_field shadow_fields[] = {
    SCHEMA_FLOAT("share", struct shadow_node, share, .default_text = "100%", .min = "0.000001", .max = "1",
                 .doc = "Of the messages."),
    SCHEMA_MAP("compare", struct shadow_node, pairs, count, &pair_value, struct shadow_pair, node, .key_doc = "node",
               .max = "64", .doc = "Node in use → node behind this one whose outputs are held against its."),
    SCHEMA_END};
static const struct schema_object shadow_object = {
    .fields = shadow_fields, .size = sizeof(struct shadow_node), .shorthand = "share"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("shadow", &shadow_object, .doc = "What is behind it is only tried out."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct shadow_node *c = n->config;

    for (size_t i = 0; i < c->count; i++) {
        struct schema_text used = {.text = c->pairs[i].node, .node = c->pairs[i].candidate.node};
        struct pipeline_node *tried = build_find(b, n, &c->pairs[i].candidate);
        const struct pipeline_node *in_use = build_find(b, n, &used);
        if (!tried || !in_use)
            continue;
        if (tried->tried_for)
            problems_error(b->problems, c->pairs[i].candidate.node, "\"%.*s\" is compared already, with \"%.*s\"",
                           STR_ARG(tried->name), STR_ARG(tried->tried_for->used->name));
        struct pipeline_agreement *trial = arena_new(b->arena, struct pipeline_agreement);
        *trial = (struct pipeline_agreement){.shadow = n, .used = in_use, .share = c->share};
        tried->tried_for = trial;
    }
}

static err_t work(struct step *s)
{
    const struct shadow_node *c = s->node->config;

    return step_is_of_share(s, c->share) ? step_send(s, s->in->value) : OK;
}

static const struct node_run node_run = {.work = work};

const struct node_kind node_kind_shadow = {
    .kind = {.name = "shadow",
             .fields = fields,
             .size = sizeof(struct shadow_node),
             .traits = KIND_SHADOWS | KIND_PASSES,
             .build = build},
    .run = &node_run,
};
