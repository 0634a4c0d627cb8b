/* pipelines.c - pipelines of a file that a person named, whichever kind of file it is. */
#include "cli/pipelines.h"

#include "cli/schema_lookup.h"
#include "fleet/catalog.h"

bool is_pipeline_file(const char *path)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf text CLEANUP(buf_release) = BUF_INIT(PIPELINE_FILE_MAX);
    struct problems problems = {.arena = &a};
    struct yaml_node *root;

    if (config_env_real()->read_file(path, PIPELINE_FILE_MAX, &text) != OK)
        return false;
    return yaml_parse(buf_str(&text), str_from_c(path), NULL, &a, &problems, &root) == OK &&
           yaml_get(root, STR("pipeline")) != NULL;
}

err_t load_pipelines(const char *path, struct problems *problems, struct pipeline_set **ret,
                     struct catalog **ret_catalog)
{
    struct schema_lookup lookup = {.catalog = NULL};
    const struct pipeline_registry registry = schema_lookup_registry(&lookup);
    const struct pipeline_world world = {.env = config_env_real(), .registry = &registry};
    struct pipeline_spec *spec;
    struct catalog *catalog;

    if (is_pipeline_file(path)) {
        TRY(pipeline_load(str_from_c(path), NULL, &world, problems, &spec));
        *ret = pipeline_set_of(spec);
        if (ret_catalog)
            *ret_catalog = NULL;
        return OK;
    }
    TRY(config_load(path, STR_NONE, config_env_real(), problems, &catalog));
    lookup.catalog = catalog;
    err_t e = pipelines_load(catalog, config_env_real(), &registry, problems, ret);
    if (e == OK && ret_catalog)
        *ret_catalog = catalog_ref(catalog);
    catalog_unref(catalog);
    return e;
}
