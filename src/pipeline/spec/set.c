/*
 * set.c - all pipelines of a configuration: its `pipelines` name files and folders, or are pipelines themselves.
 *
 * The catalog has these as they were written (fleet/config_pipelines.c). Each is loaded by itself; what is wrong with one does not hide what is wrong with
 * another, and a configuration has all of them or none.
 */
#include "base/map.h"
#include "base/mem.h"
#include "fleet/catalog.h"
#include "pipeline/spec/pipeline.h"

#include <stdlib.h>

enum { LISTING_MAX = 1 << 20 };

struct loading {
    struct pipeline_world world;
    struct arena *arena;
    struct problems *problems;
    struct pipeline_set *set;
    struct map by_name;
    struct str folder;
    bool is_full;
};

static void add_spec(struct loading *l, struct pipeline_spec *s)
{
    struct pipeline_spec *former = map_put(&l->by_name, s->name, s);

    l->set->items[l->set->count++] = s;
    if (former)
        problems_add(l->problems, (struct problem){.file = arena_str(l->problems->arena, s->path),
                                                   .text = arena_printf(l->problems->arena,
                                                                        "there is a pipeline \"%.*s\" already, in %.*s",
                                                                        STR_ARG(s->name), STR_ARG(former->path))});
}

static void load_one(struct loading *l, struct str path, const struct yaml_node *root)
{
    struct pipeline_spec *s;

    if (l->set->count == PIPELINES_MAX) {
        if (!l->is_full)
            problems_error(l->problems, root, "there are more than %d pipelines", PIPELINES_MAX);
        l->is_full = true;
        return;
    }
    if (pipeline_load(path, root, &l->world, l->problems, &s) == OK)
        add_spec(l, s);
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static void load_folder(struct loading *l, struct str path, struct str names, const struct yaml_node *at)
{
    struct str *files = arena_alloc(l->arena, PIPELINES_MAX * sizeof *files),
               slash = str_ends(path, STR("/")) ? STR("") : STR("/");
    size_t count = 0;

    while (names.n && count < PIPELINES_MAX) {
        struct str name = str_cut(&names, '\0');
        if (name.p[0] != '.' && (str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml"))))
            files[count++] = arena_printf(l->arena, "%.*s%.*s%.*s", STR_ARG(path), STR_ARG(slash), STR_ARG(name));
    }
    if (names.n)
        problems_error(l->problems, at, "there are more than %d pipelines in this folder", PIPELINES_MAX);
    if (!count)
        problems_error(l->problems, at, "there is no *.yaml in the folder \"%.*s\"", STR_ARG(path));
    qsort(files, count, sizeof *files, by_text);
    for (size_t i = 0; i < count; i++)
        load_one(l, files[i], NULL);
}

static void load_path(struct loading *l, const struct yaml_node *at)
{
    struct buf names CLEANUP(buf_release) = BUF_INIT(LISTING_MAX);
    const struct config_env *env = l->world.env;
    struct str path = at->text.n && at->text.p[0] == '/' ? at->text : arena_join(l->arena, l->folder, at->text);

    if (env->on_path)
        env->on_path(env->on_path_ctx, path.p);
    if (env->list_folder && env->list_folder(path.p, &names) == OK)
        load_folder(l, path, buf_str(&names), at);
    else
        load_one(l, path, NULL);
}

static void load_item(struct loading *l, const struct yaml_node *item)
{
    if (item->kind == YAML_MAP) {
        load_one(l, *item->file, item);
        return;
    }
    struct yaml_node *own = yaml_copy(l->arena, item);
    config_expand_tree(l->world.env, l->arena, l->problems, own);
    if (own->kind == YAML_SCALAR && own->text.n)
        load_path(l, own);
    else
        problems_error(l->problems, own, "an entry of \"pipelines\" is a path, or a pipeline");
}

err_t pipelines_load(const struct catalog *catalog, const struct config_env *env,
                     const struct pipeline_registry *registry, struct problems *problems, struct pipeline_set **ret)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems found = {.arena = &arena};
    struct pipeline_set *set = NEW(struct pipeline_set);
    struct loading l = {
        .world = {.env = env, .catalog = catalog, .connections = catalog->pipelines.connections, .registry = registry},
        .arena = &arena,
        .problems = &found,
        .set = set,
        .folder = catalog->pipelines.folder};

    set->items = mem_zalloc(PIPELINES_MAX, sizeof *set->items);
    for (size_t i = 0; i < catalog->pipelines.count; i++)
        load_item(&l, catalog->pipelines.items[i]);
    map_release(&l.by_name);
    problems_hand_over(&found, problems);
    if (found.errors) {
        pipeline_set_free(set);
        return fail(E_CONFIG, "%zu error%s in the pipelines", found.errors, found.errors == 1 ? "" : "s");
    }
    *ret = set;
    return OK;
}

struct pipeline_set *pipeline_set_of(struct pipeline_spec *s)
{
    struct pipeline_set *set = NEW(struct pipeline_set);

    *set = (struct pipeline_set){.items = mem_zalloc(1, sizeof *set->items), .count = 1};
    set->items[0] = s;
    return set;
}

void pipeline_set_free(struct pipeline_set *s)
{
    for (size_t i = 0; s && i < s->count; i++)
        pipeline_unref(s->items[i]);
    if (s)
        mem_free(s->items);
    mem_free(s);
}
