/*
 * show.c - a pipeline file as it is understood.
 *
 * Printed by the tables that read it (codec/schema.h). Nodes are in topological order and those of calls among them, under their whole names; `from` is what the graph
 * says, so what a `switch` sends to a node stands there as well.
 */
#include "pipeline/spec/explain.h"
#include "pipeline/spec/file.h"

/* Fields of `from` that are called like none of those left out. */
static const struct schema_field *without(struct arena *a, const struct schema_field *from, const char *const *names)
{
    size_t n = 0, count = 0;

    while (from[n].kind != SCHEMA_KIND_NONE)
        n++;
    struct schema_field *fields = arena_zalloc(a, (n + 1) * sizeof *fields);
    for (size_t i = 0; i < n; i++) {
        bool is_left_out = false;
        for (const char *const *name = names; *name; name++)
            is_left_out = is_left_out || strcmp(from[i].name, *name) == 0;
        if (!is_left_out)
            fields[count++] = from[i];
    }
    return fields;
}

static void put_from(const struct pipeline_spec *s, const struct pipeline_node *n, struct buf *to)
{
    if (!n->input_count || strcmp(n->kind->name, "join") == 0)
        return;
    for (size_t i = 0; i < n->input_count; i++)
        (void)buf_addf(to, "%s%.*s", i ? ", " : "    from: [", STR_ARG(s->nodes[n->inputs[i].node]->name));
    (void)buf_add_lit(to, "]\n");
}

static void put_node(const struct pipeline_spec *s, const struct pipeline_node *n, const struct schema_field *common,
                     struct buf *to)
{
    (void)buf_addf(to, "  %.*s:\n", STR_ARG(n->name));
    put_from(s, n, to);
    schema_show(n->kind->fields, n->config, 2, to);
    schema_show(common, n->file_, 2, to);
}

/* The fields that all of a role have: those in front of the first kind's. */
static const struct schema_field *common_fields(struct arena *a, const struct shape_role *role)
{
    const char *names[256] = {"from"};
    size_t count = 1;

    for (size_t k = 0; role->kinds[k]; k++)
        for (const struct schema_field *f = role->kinds[k]->fields; f->kind != SCHEMA_KIND_NONE; f++)
            if (count + 1 < ARRAY_LEN(names))
                names[count++] = f->name;
    return without(a, role->object.fields, names);
}

static void put_role(const struct pipeline_spec *s, struct arena *a, const struct shape *shape, enum pipeline_role role,
                     struct buf *to)
{
    static const char *const sections[] = {"sources", "nodes", "sinks"};
    const struct schema_field *common = common_fields(a, &shape->roles[role]);
    bool is_first = true;

    for (size_t i = 0; i < s->node_count; i++) {
        const struct pipeline_node *n = s->nodes[i];
        if (n->role != role || !n->file_)
            continue;
        if (is_first)
            (void)buf_addf(to, "%s:\n", sections[role]);
        is_first = false;
        put_node(s, n, common, to);
    }
}

err_t pipeline_show_node(const struct pipeline_spec *s, const struct pipeline_node *n, struct buf *to)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct shape *shape = shape_make(&a);

    if (n->file_)
        put_node(s, n, common_fields(&a, &shape->roles[n->role]), to);
    return buf_status(to);
}

err_t pipeline_show(const struct pipeline_spec *s, struct buf *to)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    const struct shape *shape = shape_make(&a);
    static const char *const sections[] = {"sources", "nodes", "sinks", "errors", NULL};
    static const char *const dlq[] = {"dlq", NULL};

    schema_show(without(&a, shape->file.fields, sections), s->file_, 0, to);
    for (int role = PIPELINE_SOURCE; role <= PIPELINE_SINK; role++)
        put_role(s, &a, shape, (enum pipeline_role)role, to);
    (void)buf_add_lit(to, "errors:\n");
    if (s->dlq) {
        (void)buf_add_lit(to, "  dlq:\n");
        schema_show(s->dlq->kind->fields, s->dlq->config, 2, to);
    }
    schema_show(without(&a, shape->errors.fields, dlq), s->file_, 1, to);
    return buf_status(to);
}
