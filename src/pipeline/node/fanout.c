/* fanout.c - each record goes to all of the named nodes. The same as if they read this one's input; a name for it, and one place to change. */
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

struct fanout_node {
    struct schema_text *to;
    size_t count;
};

static const struct schema_field to_item = SCHEMA_ITEM(TEXT);
static const struct schema_field fields[] = {SCHEMA_LIST("fanout", struct fanout_node, to, count, &to_item, .max = "64",
                                                         .doc = "Nodes and sinks that each record goes to."),
                                             SCHEMA_END};

static void wire(struct pipeline_build *b, struct pipeline_node *n)
{
    const struct fanout_node *c = n->config;

    if (c->count < 2)
        problems_error(b->problems, n->at, "\"fanout\" needs at least two names");
    for (size_t i = 0; i < c->count; i++)
        build_target(b, n, &c->to[i]);
}

static err_t work(struct step *s)
{
    for (size_t i = 0; i < s->node->target_count; i++)
        TRY(step_send_to(s, i, s->in->value));
    return OK;
}

static const struct node_run node_run = {.work = work};

const struct node_kind node_kind_fanout = {
    .kind =
        {.name = "fanout", .fields = fields, .size = sizeof(struct fanout_node), .traits = KIND_PASSES, .wire = wire},
    .run = &node_run,
};
