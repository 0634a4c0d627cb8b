/*
 * map.c - each record becomes another: an expression, written in the file or in one of its own. A function of its input, so nothing of it is journaled.
 *
 * Programs of full jq (`lang: jq`) run in processes of jq, beside the loop. They may yield any number of records, and may look at the clock; so they are
 * asked as others are asked, and what they yield is journaled.
 */
#include "codec/json_tree.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"
#include "pipeline/system/jq_pool.h"

enum { LANG_EXPR, LANG_JQ };

struct map_node {
    struct schema_text program;
    int lang;
    const struct expr *expr;
    struct jq_pool *jq;
};

static const struct schema_choice langs[] = {
    {"expr", LANG_EXPR, "the language of docs/expressions.md, whose programs are valid jq, and end"},
    {"jq", LANG_JQ, "all of jq, in a process of its own: at most 5 s and 256 MiB for a record; without `$meta`"},
    {NULL, 0, NULL}};
static const struct schema_field fields[] = {
    SCHEMA_TEXT("map", struct map_node, program,
                .doc = "An expression (docs/expressions.md) that makes the new record of the old one; or a file that "
                       "holds one: `maps/crm.jq`."),
    SCHEMA_ENUM("lang", struct map_node, lang, langs, .default_text = "expr", .doc = "What it is written in."),
    SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct map_node *c = n->config;

    c->expr = build_mapping(b, n, &c->program);
    if (c->expr)
        n->output_type = expr_output_type(c->expr);
}

static err_t work(struct step *s)
{
    const struct map_node *c = s->node->config;
    struct expr_value value;

    TRY(step_eval(s, c->expr, &value));
    return step_send(s, value);
}

/* --- full jq --- */

static void unref_pool(void *pool)
{
    jq_pool_unref(pool);
}

static void build_jq(struct pipeline_build *b, struct pipeline_node *n)
{
    struct map_node *c = n->config;
    struct str program = build_program(b, n, &c->program);

    build_reads(b, n, STR("."));
    n->output_type = &expr_type_unchecked;
    if (!program.p)
        return;
    err_t e = jq_pool_new(program, &c->jq);
    if (e == OK)
        arena_hold(b->arena, c->jq, unref_pool);
    else
        problems_error(b->problems, c->program.node, "%s", err_detail(e));
}

static SUSPENDS err_t call_jq(struct step *s)
{
    const struct map_node *c = s->node->config;
    struct buf document CLEANUP(buf_release) = BUF_INIT(JOURNAL_BODY_MAX);
    struct str lines;

    TRY(expr_value_print(s->in->value, &document));
    TRY(jq_pool_run(c->jq, buf_str(&document), step_arena(s), &lines));
    while (lines.n) {
        const struct json_tree *tree;
        TRY(json_tree_parse(step_arena(s), str_cut(&lines, '\n'), &tree));
        TRY(step_send(s, expr_json(json_tree_root(tree))));
    }
    return OK;
}

static const struct node_run jq_run = {.call = call_jq};

/* Not in the catalog: a map is one when its language says so. */
static const struct node_kind jq_kind = {.kind = {.name = "map",
                                                  .fields = fields,
                                                  .size = sizeof(struct map_node),
                                                  .traits = KIND_CALLS | KIND_RECORDS | KIND_REPEATS,
                                                  .build = build_jq},
                                         .run = &jq_run};

static void wire(struct pipeline_build *b, struct pipeline_node *n)
{
    const struct map_node *c = n->config;

    (void)b;
    if (c->lang != LANG_JQ)
        return;
    n->node = &jq_kind;
    n->kind = &jq_kind.kind;
    n->is_recorded = true;
}

static const struct node_run node_run = {.work = work};

const struct node_kind node_kind_map = {
    .kind = {.name = "map",
             .fields = fields,
             .size = sizeof(struct map_node),
             .traits = KIND_ANSWERS,
             .wire = wire,
             .build = build},
    .run = &node_run,
};
