/*
 * config_names.c - under which names models can be asked for: aliases, and wildcards.
 *
 * An alias is a further name of one model, in the same table as names. A model whose name ends with '*' stands for every name that begins so and
 * is not another's; the rest of the client's name is put where its targets have a '*'. It is kept by its prefix (fleet/prefixes.h), and is no
 * name itself.
 */
#include "fleet/config_int.h"

static void add_alias(struct config_run *run, struct catalog *c, struct model *m, const struct schema_text *t)
{
    struct model *same = map_get(&c->model_by_name, t->text);

    if (!t->text.n)
        return;
    if (str_find_char(t->text, '*') < t->text.n) {
        problems_error(&run->problems, t->node, "an alias is one name: only names of models may end with \"*\"");
    } else if (m->is_wildcard) {
        problems_error(&run->problems, t->node, "a wildcard has no aliases: what would stand for its \"*\"?");
    } else if (same) {
        problems_error(&run->problems, t->node, "\"%.*s\" is already a name of the model \"%.*s\"", STR_ARG(t->text),
                       STR_ARG(same->name));
    } else {
        m->aliases[m->alias_count] = arena_str(c->arena_, t->text);
        map_put(&c->model_by_name, m->aliases[m->alias_count++], m);
    }
}

static void add_wildcard(struct config_run *run, struct catalog *c, struct model *m, const struct file_model *f)
{
    struct str prefix;

    if (str_find_char(m->name, '*') + 1 < m->name.n)
        problems_error(&run->problems, f->node, "\"*\" may stand at the end of a model's name only");
    m->is_wildcard = prefix_of_pattern(m->name, &prefix);
    if (!m->is_wildcard)
        return;
    map_remove(&c->model_by_name, m->name);
    prefixes_put(&c->model_by_prefix, prefix, m);
}

void config_build_names(struct config_run *run, struct catalog *c)
{
    const struct config_file *f = &run->file;
    size_t at = 0;

    for (size_t i = 0; i < f->model_count && at < c->model_count; i++) {
        const struct file_model *of = &f->models[i];
        struct model *m = &c->models[at];
        if (!str_eq(of->name, m->name)) /* left out */
            continue;
        at++;
        add_wildcard(run, c, m, of);
        m->aliases = arena_zalloc(c->arena_, of->alias_count * sizeof *m->aliases);
        for (size_t k = 0; k < of->alias_count; k++)
            add_alias(run, c, m, &of->aliases[k]);
    }
}
