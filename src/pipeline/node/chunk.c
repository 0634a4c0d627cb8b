/*
 * chunk.c - the answer of a model becomes records: sentences, lines, or the elements of an array in a JSON document.
 *
 * They may come before it is known how the answer ends, or whether it is the one that counts. So none of them is journaled, and none may reach a sink that
 * must get things exactly once. Elements come as they are complete where `path` is one of plain members; another expression needs the whole document. A record here is an answer, or as much of it as makes whole pieces: what is left of a record is a piece as well.
 */
#include "codec/json_tree.h"
#include "expr/value.h"
#include "pipeline/model/chunks.h"
#include "pipeline/model/json_pieces.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

enum { ELEMENT_MAX = 16 << 20 };

struct chunk_node {
    int on;
    struct schema_text path;
    uint64_t max;
    const struct expr *expr;
    const struct str *names; /* that `path` is made of; NULL: it is more than that */
    size_t name_count;
};

static const struct schema_choice cuts[] = {{"sentence", CHUNK_SENTENCE, "at the end of a sentence"},
                                            {"line", CHUNK_LINE, "at the end of a line"},
                                            {"json", CHUNK_JSON, "each element of the array at `path`"},
                                            {NULL, 0, NULL}};
static const struct schema_field chunk_fields[] = {
    SCHEMA_ENUM("on", struct chunk_node, on, cuts, .default_text = "sentence", .doc = "Where it is cut."),
    SCHEMA_TEXT("path", struct chunk_node, path, .doc = "Of `json`: `.items`."),
    SCHEMA_SIZE("max", struct chunk_node, max, .default_text = "64KiB", .min = "16B", .max = "16MiB",
                .doc = "A longer piece is cut there."),
    SCHEMA_END};
static const struct schema_object chunk_object = {
    .fields = chunk_fields, .size = sizeof(struct chunk_node), .shorthand = "on"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("chunk", &chunk_object, .doc = "A model's answer in pieces, as they come."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct chunk_node *c = n->config;

    if ((c->on == CHUNK_JSON) != (c->path.text.n > 0))
        problems_error(b->problems, n->at, "\"on: json\" and \"path\" go together");
    for (size_t i = 0; i < n->input_count; i++)
        if (!b->nodes[n->inputs[i].node]->is_streamed)
            problems_error(b->problems, n->at,
                           "\"%.*s\" does not come in pieces: a chunk reads a \"model\" with \"stream: true\"",
                           STR_ARG(n->inputs[i].label));
    n->output_type = c->on == CHUNK_JSON ? &expr_type_unchecked : &expr_type_string;
    c->expr = build_expr_on(b, n, &c->path, &expr_type_unchecked);
    if (c->on == CHUNK_JSON && !json_pieces_path(c->path.text, b->arena, &c->names, &c->name_count))
        c->names = NULL;
    build_reads(b, n, STR("."));
}

/* An answer that is a document as text, or has been read as one. */
static err_t document_of(struct step *s, struct expr_value *ret)
{
    const struct json_tree *tree;
    struct str text;

    *ret = s->in->value;
    if (ret->kind != JSON_STRING)
        return OK;
    TRY(expr_value_text(*ret, step_arena(s), &text));
    TRY(json_tree_parse(step_arena(s), text, &tree));
    *ret = expr_json(json_tree_root(tree));
    return OK;
}

/* Another answer to the same question has other elements. */
static err_t send_element(struct step *s, struct expr_value element)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(ELEMENT_MAX);

    TRY(expr_value_print(element, &text));
    return step_send_guess(s, element, buf_str(&text));
}

static err_t send_elements(struct step *s, const struct chunk_node *c)
{
    struct expr_budget b = {step_arena(s), expr_limits_default.steps, expr_limits_default.memory};
    struct expr_value document, list, element;
    uint32_t count;

    TRY(document_of(s, &document));
    TRY(step_eval_on(s, c->expr, document, &list));
    if (list.kind != JSON_ARRAY)
        return fail(E_PARSE, "at \"%.*s\" is a %s and no array", STR_ARG(c->path.text), value_kind_name(list.kind));
    TRY(value_count(&b, list, &count));
    for (uint32_t i = 0; i < count; i++) {
        TRY(value_at(&b, list, i, &element));
        TRY(send_element(s, element));
    }
    return OK;
}

static err_t work(struct step *s)
{
    const struct chunk_node *c = s->node->config;
    struct str text, piece;

    if (c->on == CHUNK_JSON)
        return send_elements(s, c);
    if (s->in->value.kind != JSON_STRING)
        return fail(E_PARSE, "a %s has no sentences and no lines", value_kind_name(s->in->value.kind));
    TRY(expr_value_text(s->in->value, step_arena(s), &text));
    while (chunk_next(&text, (enum chunk_cut)c->on, c->max, true, &piece))
        TRY(step_send_guess(s, expr_string(piece), piece));
    return OK;
}

static err_t grow_text(struct step *s, const struct chunk_node *c, struct str text, size_t *taken)
{
    struct str rest = str_slice(text, *taken, text.n), piece;

    while (chunk_next(&rest, (enum chunk_cut)c->on, c->max, false, &piece)) {
        piece = arena_str(step_arena(s), piece); /* the text moves when it grows */
        TRY(step_send_guess(s, expr_string(piece), piece));
        *taken = text.n - rest.n;
    }
    return OK;
}

/* What is no document is told of when all of it is there. */
static err_t grow_document(struct step *s, const struct chunk_node *c, struct str text, struct growth *g)
{
    struct json_pieces *p = g->kept;
    const struct json_tree *tree;
    struct str element;

    if (!p) {
        p = g->kept = arena_new(step_arena(s), struct json_pieces);
        *p = (struct json_pieces){.names = c->names, .name_count = c->name_count};
    }
    while (json_pieces_next(p, text, &element)) {
        err_t e = json_tree_parse(step_arena(s), arena_str(step_arena(s), element), &tree);
        if (e == E_PARSE)
            p->is_over = true;
        else
            TRY(e);
        if (e == OK)
            TRY(send_element(s, expr_json(json_tree_root(tree))));
    }
    return OK;
}

static err_t grow(struct step *s, struct str text, struct growth *g)
{
    const struct chunk_node *c = s->node->config;

    if (c->on != CHUNK_JSON)
        return grow_text(s, c, text, &g->taken);
    return c->names ? grow_document(s, c, text, g) : OK;
}

static const struct node_run node_run = {.work = work, .grow = grow};

const struct node_kind node_kind_chunk = {
    .kind = {.name = "chunk",
             .fields = fields,
             .size = sizeof(struct chunk_node),
             .traits = KIND_REPEATS | KIND_SPECULATES,
             .build = build},
    .run = &node_run,
};
