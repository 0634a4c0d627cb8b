/*
 * cache.c - what a called pipeline yields is kept for a while, and not worked out again for the same key.
 *
 * Which it was, found or worked out, is not a function of the input; so what comes out is journaled.
 */
#include "codec/json_tree.h"
#include "pipeline/run/inner.h"
#include "pipeline/spec/build.h"

struct cache_node {
    struct schema_text key, pipeline;
    ns_t ttl;
    uint64_t size;
    const struct expr *expr;
};

static const struct schema_field cache_fields[] = {
    SCHEMA_TEXT("key", struct cache_node, key, .required = true, .doc = "Expression: what makes two inputs the same."),
    SCHEMA_TEXT("pipeline", struct cache_node, pipeline, .required = true,
                .doc = "File of a pipeline with `input` and `output`, for what is not there."),
    SCHEMA_DURATION("ttl", struct cache_node, ttl, .default_text = "1h", .min = "1ms", .max = "366d",
                    .doc = "How long it is kept."),
    SCHEMA_SIZE("size", struct cache_node, size, .default_text = "64MiB", .min = "1KiB", .max = "1TiB",
                .doc = "Of all that is kept; the oldest goes."),
    SCHEMA_END};
static const struct schema_object cache_object = {.fields = cache_fields, .size = sizeof(struct cache_node)};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("cache", &cache_object, .doc = "What a called pipeline yields, kept for a while."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct cache_node *c = n->config;

    c->expr = build_expr(b, n, &c->key);
    build_body(b, n, &c->pipeline);
}

static err_t send_kept(struct step *s, struct str text)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(step_arena(s), arena_str(step_arena(s), text), &tree));
    return step_send(s, expr_json(json_tree_root(tree)));
}

/* Keep it, unless it would take the place of nearly all others. */
static err_t keep(struct step *s, struct str key, struct expr_value value)
{
    const struct cache_node *c = s->node->config;
    struct buf text CLEANUP(buf_release) =
        BUF_INIT(c->size / 2 < JOURNAL_INLINE_MAX ? c->size / 2 : JOURNAL_INLINE_MAX);

    if (expr_value_print(value, &text) != OK)
        return OK;
    return step_remember(s, key, c->ttl, buf_str(&text));
}

static SUSPENDS err_t find_or_make(struct step *s)
{
    const struct cache_node *c = s->node->config;
    struct expr_value key, made;
    struct str name, known;
    ns_t left;

    TRY(step_eval(s, c->expr, &key));
    TRY(step_key(s, key, &name));
    if (step_remembered(s, name, &left, &known))
        return send_kept(s, known);
    TRY(step_run_body(s, 0, s->in->value, &made));
    TRY(keep(s, name, made));
    return step_send(s, made);
}

static size_t memory(const struct pipeline_node *n)
{
    const struct cache_node *c = n->config;

    return c->size;
}

static const struct node_run node_run = {.call = find_or_make, .memory = memory};

const struct node_kind node_kind_cache = {
    .kind = {.name = "cache",
             .fields = fields,
             .size = sizeof(struct cache_node),
             .traits = KIND_CALLS | KIND_RECORDS | KIND_ANSWERS,
             .build = build},
    .run = &node_run,
};
