/*
 * config_pipelines.c - the fields `pipelines` and `connections`: kept as they are written.
 *
 * What a pipeline is, is known in src/pipeline, a layer above; what the gateway's configuration is, here. So the catalog carries the trees across: copied,
 * without variables put in, with the place of every node. Who reads them (pipelines_load()) puts variables in with config_expand_tree() and
 * tells what is wrong with them in the same words. Nothing of them is checked here but that they are there.
 */
#include "fleet/config_int.h"

const struct schema_field config_pipeline_item = SCHEMA_ITEM(ANY);

bool config_is_kept_raw(struct str name)
{
    return str_eq(name, STR("pipelines")) || str_eq(name, STR("connections"));
}

void config_build_pipelines(struct config_run *run, struct catalog *c)
{
    const struct config_file *f = &run->file;

    c->pipelines.folder = arena_str(c->arena_, run->folder);
    c->pipelines.items = arena_alloc(c->arena_, (f->pipeline_count + 1) * sizeof(struct yaml_node *));
    for (size_t i = 0; i < f->pipeline_count; i++)
        if (f->pipelines[i])
            c->pipelines.items[c->pipelines.count++] = yaml_copy(c->arena_, f->pipelines[i]);
    if (f->connections)
        c->pipelines.connections = yaml_copy(c->arena_, f->connections);
}
