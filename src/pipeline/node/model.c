/*
 * model.c - a model is asked, through one of the gateway's own routes: with the same failover, limits and records as a client's request.
 *
 * Which of its abilities is meant follows from what is given: `prompt` for a chat, `input` for embeddings, `query` with `documents` for a ranking. With an
 * `output_schema` the answer is checked, and what does not fit goes back to the model with the validator's words, `repair` times at most.
 * A model's answer is never the same twice, so it is in the journal before anybody reads it.
 */
#include "pipeline/model/model.h"

#include "codec/digest.h"

static const struct schema_field model_fields[] = {
    SCHEMA_TEXT("route", struct model_node, route, .required = true,
                .doc = "Model, as clients of the gateway name it."),
    SCHEMA_TEXT("key", struct model_node, key, .default_doc = "none: no key's limits hold",
                .doc = "Name of the gateway's API key on whose account it is asked."),
    SCHEMA_TEXT("prompt", struct model_node, prompt,
                .doc = "Of a chat: text with expressions, or a file with it: `prompts/intent.txt`."),
    SCHEMA_TEXT("system", struct model_node, system, .doc = "Of a chat: likewise, what the model is told before."),
    SCHEMA_TEXT("input", struct model_node, input,
                .doc = "Of embeddings: expression for the text, or an array of texts."),
    SCHEMA_TEXT("query", struct model_node, query, .doc = "Of a ranking: expression for what is looked for."),
    SCHEMA_TEXT("documents", struct model_node, documents, .doc = "Of a ranking: expression for an array of texts."),
    SCHEMA_UNSIGNED("top", struct model_node, top, .default_doc = "all",
                    .doc = "Of a ranking: only so many of the best."),
    SCHEMA_TEXT("output_schema", struct model_node, output_schema,
                .doc = "Of a chat: the schema that the answer must fit; it is parsed then."),
    SCHEMA_UNSIGNED("repair", struct model_node, repair, .default_text = "0", .max = "5",
                    .doc = "How often an answer that does not fit goes back to be put right."),
    SCHEMA_BOOL("stream", struct model_node, stream, .default_text = "false",
                .doc = "Of a chat: hand the answer on as it comes, to a `chunk`, and to who waits for the reply."),
    SCHEMA_UNSIGNED("batch", struct model_node, batch, .default_text = "1", .min = "1", .max = "2048",
                    .doc = "Of embeddings: texts of so many records in one request."),
    SCHEMA_DURATION("linger", struct model_node, linger, .default_text = "5ms", .min = "0", .max = "10s",
                    .doc = "Of embeddings: how long a request that is not full waits for more records."),
    SCHEMA_UNSIGNED("max_tokens", struct model_node, max_tokens, .default_doc = "the route's",
                    .doc = "Of a chat: length of the answer."),
    SCHEMA_FLOAT("temperature", struct model_node, temperature, .default_text = "0", .min = "0", .max = "2",
                 .doc = "Of a chat."),
    SCHEMA_TEXT("degrade", struct model_node, degrade,
                .doc = "Another route, which is quicker: for `on_late: degrade`."),
    SCHEMA_END};
static const struct schema_object model_object = {.fields = model_fields, .size = sizeof(struct model_node)};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("model", &model_object, .doc = "A model is asked: a chat, embeddings, or a ranking."),
    SCHEMA_END};

/* Fields of another task than the one that it has. */
static void check_task(struct pipeline_build *b, const struct model_node *c)
{
    const struct {
        const struct schema_text *field;
        const char *name;
        enum model_task task;
    } owned[] = {{&c->system, "system", TASK_CHAT},       {&c->output_schema, "output_schema", TASK_CHAT},
                 {&c->prompt, "prompt", TASK_CHAT},       {&c->input, "input", TASK_EMBED},
                 {&c->documents, "documents", TASK_RANK}, {&c->query, "query", TASK_RANK}};
    static const char *const words[] = {"a chat (\"prompt\")", "embeddings (\"input\")",
                                        "a ranking (\"query\", \"documents\")"};

    for (size_t i = 0; i < ARRAY_LEN(owned); i++)
        if (owned[i].field->text.n && owned[i].task != c->task)
            problems_error(b->problems, owned[i].field->node, "\"%s\" belongs to %s, and this is %s", owned[i].name,
                           words[owned[i].task], words[c->task]);
}

static void set_task(struct pipeline_build *b, struct pipeline_node *n, struct model_node *c)
{
    c->task = c->prompt.text.n ? TASK_CHAT : c->input.text.n ? TASK_EMBED : TASK_RANK;
    if (!c->prompt.text.n && !c->input.text.n && !(c->query.text.n && c->documents.text.n))
        problems_error(
            b->problems, n->at,
            "what is the model to do? \"prompt\": chat; \"input\": embeddings; \"query\" and \"documents\": rank");
    else
        check_task(b, c);
    if (c->repair && !c->output_schema.text.n)
        problems_error(b->problems, n->at, "\"repair\" needs an \"output_schema\" to hold the answer against");
    if (c->stream && (c->task != TASK_CHAT || c->output_schema.text.n))
        problems_error(b->problems, n->at, "\"stream\" is for chats without an \"output_schema\"");
    if (c->degrade.text.n == 0 && n->rules.on_late == LATE_DEGRADE)
        problems_error(b->problems, n->at, "\"on_late: degrade\" needs a route: \"degrade\" of the model");
}

static void set_output(struct pipeline_build *b, struct pipeline_node *n, struct model_node *c)
{
    static const struct expr_type vector = {.kinds = EXPR_IS_ARRAY, .items = &expr_type_number};

    c->schema = build_schema(b, n, &c->output_schema);
    n->output_type = c->task == TASK_EMBED ? &vector : &expr_type_unchecked;
    if (c->task == TASK_CHAT && !c->output_schema.text.n)
        n->output_type = &expr_type_string;
    if (!c->schema)
        return;
    if (n->out.kind != TYPE_UNDECLARED)
        problems_error(b->problems, n->at, "two outputs are declared: \"out\" and \"output_schema\"; one is enough");
    n->out = (struct pipeline_type){.kind = TYPE_SCHEMA, .schema = c->schema};
}

static bool is_object(const struct json_tree *schema)
{
    return json_node_text_is(json_node_get(json_tree_root(schema), STR("type")), STR("object"));
}

/* To hold answers against it. What only a registry knows is not checked here. */
static void compile_schema(struct pipeline_build *b, struct model_node *c)
{
    const struct json_tree *tree;

    if (!c->schema || !c->schema->text.n || json_tree_parse(b->arena, c->schema->text, &tree) != OK ||
        jsonschema_compile(b->arena, tree, &(struct jsonschema_options){0}, &c->checker, NULL) != OK)
        return; /* why, was said where it was read */
    c->asks_form = is_object(tree);
}

/* What tells one wording of a prompt, or of a schema, from another. */
static struct str short_hash(struct arena *arena, struct str a, struct str b)
{
    enum { SHOWN = 8 };
    const struct str parts[] = {a, STR_INIT("\0"), b};
    unsigned char hash[SHA256_BYTES];
    char hex[2 * SHOWN];

    if (!a.n && !b.n)
        return STR_NONE;
    sha256_parts(parts, ARRAY_LEN(parts), hash);
    hex_encode(hex, hash, SHOWN);
    return arena_str(arena, str_of(hex, sizeof hex));
}

static struct str source_of(const struct template *t)
{
    return t ? t->source : STR_NONE;
}

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct model_node *c = n->config;

    set_task(b, n, c);
    build_route(b, n, &c->route);
    build_route(b, n, &c->degrade);
    c->prompt_text = build_prompt(b, n, &c->prompt);
    c->system_text = build_prompt(b, n, &c->system);
    c->input_expr = build_expr(b, n, &c->input);
    c->query_expr = build_expr(b, n, &c->query);
    c->documents_expr = build_expr(b, n, &c->documents);
    set_output(b, n, c);
    n->is_streamed = c->stream;
    compile_schema(b, c);
    c->prompt_hash = short_hash(b->arena, source_of(c->system_text), source_of(c->prompt_text));
    c->schema_hash = short_hash(b->arena, c->schema ? c->schema->text : STR_NONE, STR_NONE);
}

/* --- running --- */

static SUSPENDS err_t call(struct step *s)
{
    const struct model_node *c = s->node->config;

    switch (c->task) {
    case TASK_CHAT:
        break;
    case TASK_EMBED:
        return model_embed(s);
    case TASK_RANK:
        return model_rank(s);
    }
    return model_chat(s);
}

static const struct node_run node_run = {.call = call, .drop = model_embed_drop};

const struct node_kind node_kind_model = {
    .kind = {.name = "model",
             .fields = fields,
             .size = sizeof(struct model_node),
             .traits = KIND_CALLS | KIND_RECORDS | KIND_ANSWERS,
             .build = build},
    .run = &node_run,
};
