/*
 * call.c - another file's nodes in the place of this one. They are put in when the file is loaded, with the call's name in front of theirs, so this kind has
 * nothing to build: load.c follows the path.
 */
#include "pipeline/spec/build.h"

struct call_node {
    struct schema_text pipeline;
};

static const struct schema_field fields[] = {
    SCHEMA_TEXT("call", struct call_node, pipeline,
                .doc = "File of a pipeline with `input` and `output`, whose nodes stand here: `enrich/…`."),
    SCHEMA_END};

const struct schema_text *call_path(const void *config)
{
    const struct call_node *c = config;

    return &c->pipeline;
}

const struct node_kind node_kind_call = {
    .kind = {.name = "call", .fields = fields, .size = sizeof(struct call_node)},
};
