/*
 * gemini_embed.c - embeddings of the Gemini API (embedContent, batchEmbedContents) and of Vertex AI (predict), both sides.
 *
 * Providers are always asked with the form for many inputs. Token numbers, which OpenAI's clients may send, fit nowhere here.
 */
#include "llm/gemini_int.h"
#include "llm/vendor.h"

/* --- uses --- */

static const struct {
    struct str name;
    enum embed_use use;
} uses[] = {
    {STR_INIT("RETRIEVAL_QUERY"), EMBED_QUERY},          {STR_INIT("RETRIEVAL_DOCUMENT"), EMBED_DOCUMENT},
    {STR_INIT("CLASSIFICATION"), EMBED_CLASSIFICATION},  {STR_INIT("CLUSTERING"), EMBED_CLUSTERING},
    {STR_INIT("SEMANTIC_SIMILARITY"), EMBED_SIMILARITY},
};

static struct str use_name(const struct embed_request *q)
{
    for (size_t i = 0; i < ARRAY_LEN(uses); i++)
        if (uses[i].use == q->use)
            return uses[i].name;
    return q->dialect == &dialect_gemini ? q->use_name.text : STR_NONE;
}

/* --- a client's request --- */

struct reading {
    struct arena *arena;
    struct embed_request *q;
    struct str *param;
};

static err_t refuse(struct reading *r, const char *param, const char *what)
{
    *r->param = arena_str(r->arena, str_from_c(param));
    return fail(E_PARSE, "Invalid value at '%s': %s", param, what);
}

static void read_use(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_STRING))
        return;
    chat_read_setting(&r->q->use_name, v, r->arena);
    r->q->use = EMBED_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(uses); i++)
        if (str_eq(r->q->use_name.text, uses[i].name))
            r->q->use = uses[i].use;
}

static void keep_unknown(struct reading *r, struct json_node object, const char *const *known)
{
    JSON_EACH(w, object)
        if (gemini_is_unknown(&w, known))
            extras_add(&r->q->extras, r->arena, w.key, w.value);
}

/* One EmbedContentRequest. */
static err_t read_one(struct reading *r, struct embed_input *to, struct json_node v)
{
    static const char *const known[] = {"model", "content", "taskType", "title", "outputDimensionality", NULL};
    struct json_node parts = gemini_get(gemini_get(v, "content"), "parts");
    struct block *texts = NULL;

    JSON_EACH(w, parts) {
        if (json_node_is(gemini_get(w.value, "text"), JSON_STRING))
            chat_add_block(&texts, r->arena, BLOCK_TEXT, w.value)->text = gemini_text(w.value, "text", r->arena);
        else
            extras_add(&r->q->extras, r->arena, JSON_ABSENT, w.value);
    }
    if (!texts)
        return refuse(r, "content.parts", "needs a part with text");
    to->text = blocks_text(texts, STR("\n"), r->arena);
    to->title = gemini_text(v, "title", r->arena);
    to->from = v;
    read_use(r, gemini_get(v, "taskType"));
    chat_read_number(&r->q->dimensions, gemini_get(v, "outputDimensionality"));
    keep_unknown(r, v, known);
    return OK;
}

static err_t read_instance(struct reading *r, struct embed_input *to, struct json_node v)
{
    static const char *const known[] = {"content", "taskType", "title", NULL};

    if (!json_node_is(gemini_get(v, "content"), JSON_STRING))
        return refuse(r, "instances.content", "must be a string");
    to->text = gemini_text(v, "content", r->arena);
    to->title = gemini_text(v, "title", r->arena);
    to->from = v;
    read_use(r, gemini_get(v, "taskType"));
    keep_unknown(r, v, known);
    return OK;
}

static err_t read_list(struct reading *r, struct json_node list, const char *name,
                       err_t (*read)(struct reading *r, struct embed_input *to, struct json_node v))
{
    size_t n = json_node_count(list);
    char *room;

    if (!json_node_is(list, JSON_ARRAY) || !n)
        return refuse(r, name, "must be a list that is not empty");
    TRY(arena_try(r->arena, n * sizeof *r->q->inputs, &room));
    memset(room, 0, n * sizeof *r->q->inputs);
    r->q->inputs = (struct embed_input *)(void *)room;
    JSON_EACH(w, list)
        TRY(read(r, &r->q->inputs[r->q->input_count++], w.value));
    return OK;
}

static err_t read_predict(struct reading *r, struct json_node root)
{
    static const char *const known[] = {"outputDimensionality", "autoTruncate", NULL};
    static const char *const known_top[] = {"instances", "parameters", NULL};
    struct json_node parameters = gemini_get(root, "parameters");

    chat_read_number(&r->q->dimensions, gemini_get(parameters, "outputDimensionality"));
    chat_read_flag(&r->q->truncate, gemini_get(parameters, "autoTruncate"));
    keep_unknown(r, parameters, known);
    keep_unknown(r, root, known_top);
    return read_list(r, gemini_get(root, "instances"), "instances", read_instance);
}

err_t gemini_read_embed(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                        struct str *ret_param)
{
    struct embed_request q = {.dialect = &dialect_gemini, .document = doc};
    struct reading r = {.arena = t->arena, .q = &q, .param = ret_param};
    struct json_node root = json_tree_root(doc);

    *ret_param = STR_NONE;
    q.model = gemini_model_name(t->path_model);
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    if (t->row->variant == GEMINI_PREDICT) {
        TRY(read_predict(&r, root));
    } else if (t->row->variant == GEMINI_EMBED_BATCH) {
        TRY(read_list(&r, gemini_get(root, "requests"), "requests", read_one));
    } else {
        q.single = true;
        q.inputs = arena_new(t->arena, struct embed_input);
        q.input_count = 1;
        TRY(read_one(&r, q.inputs, root));
    }
    *ret = q;
    return OK;
}

/* --- an answer for a client --- */

static err_t put_values(struct json_out *o, const struct embed_vector *v)
{
    json_key(o, STR("values"));
    return embed_put_json(o, v);
}

static err_t put_prediction(struct json_out *o, const struct embed_vector *v, uint64_t tokens)
{
    json_open(o, '{');
    json_member_open(o, STR("embeddings"), '{');
    TRY(put_values(o, v));
    json_member_open(o, STR("statistics"), '{');
    json_member_bool(o, STR("truncated"), false);
    json_member_u64(o, STR("token_count"), tokens);
    json_close(o, '}');
    json_close(o, '}');
    json_close(o, '}');
    return OK;
}

/* Usage is known of all inputs together; each gets its share, the first also what does not divide. */
static uint64_t share(const struct embed_answer *a, size_t i)
{
    uint64_t each = a->vector_count ? a->usage.input / a->vector_count : 0;

    return i ? each : a->usage.input - each * (a->vector_count - 1);
}

err_t gemini_write_embed(const struct answer_frame *f, const struct embed_request *q, const struct embed_answer *a,
                         struct buf *to)
{
    struct json_out o = json_out_to(to);
    bool predict = f->t->row->variant == GEMINI_PREDICT;

    json_open(&o, '{');
    if (q->single && a->vector_count) {
        json_member_open(&o, STR("embedding"), '{');
        TRY(put_values(&o, &a->vectors[0]));
        json_close(&o, '}');
    } else {
        json_member_open(&o, predict ? STR("predictions") : STR("embeddings"), '[');
        for (size_t i = 0; i < a->vector_count; i++) {
            if (predict) {
                TRY(put_prediction(&o, &a->vectors[i], share(a, i)));
                continue;
            }
            json_open(&o, '{');
            TRY(put_values(&o, &a->vectors[i]));
            json_close(&o, '}');
        }
        json_close(&o, ']');
    }
    json_close(&o, '}');
    return buf_status(to);
}

/* --- a provider's request --- */

static err_t input_text(const struct translation *t, const struct embed_input *in, struct str *ret)
{
    *ret = in->text.p ? in->text : blocks_text(in->blocks, STR("\n"), t->arena);
    if (in->tokens.n || (!in->text.p && !ret->n))
        return fail(E_PARSE, "input: Google's embeddings take text, no token numbers and no images");
    for (const struct block *b = in->blocks; b; b = b->next)
        if (b->kind != BLOCK_TEXT)
            loss_drop(t->losses, b->from, "only text is embedded");
    return OK;
}

static err_t put_requests(struct json_out *o, const struct translation *t, const struct embed_request *q)
{
    struct str model = arena_join(t->arena, STR("models/"), gemini_model_name(t->model)), use = use_name(q), text;

    json_member_open(o, STR("requests"), '[');
    for (size_t i = 0; i < q->input_count; i++) {
        TRY(input_text(t, &q->inputs[i], &text));
        json_open(o, '{');
        json_member_str(o, STR("model"), model);
        json_member_open(o, STR("content"), '{');
        json_member_open(o, STR("parts"), '[');
        json_open(o, '{');
        json_member_str(o, STR("text"), text);
        json_close(o, '}');
        json_close(o, ']');
        json_close(o, '}');
        if (use.n)
            json_member_str(o, STR("taskType"), use);
        if (q->inputs[i].title.n)
            json_member_str(o, STR("title"), q->inputs[i].title);
        if (q->dimensions.text.n)
            json_member_raw(o, STR("outputDimensionality"), q->dimensions.text);
        json_close(o, '}');
    }
    json_close(o, ']');
    return OK;
}

static err_t put_instances(struct json_out *o, const struct translation *t, const struct embed_request *q)
{
    struct str use = use_name(q), text;

    json_member_open(o, STR("instances"), '[');
    for (size_t i = 0; i < q->input_count; i++) {
        TRY(input_text(t, &q->inputs[i], &text));
        json_open(o, '{');
        json_member_str(o, STR("content"), text);
        if (use.n)
            json_member_str(o, STR("task_type"), use);
        if (q->inputs[i].title.n)
            json_member_str(o, STR("title"), q->inputs[i].title);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_member_open(o, STR("parameters"), '{');
    if (q->dimensions.text.n)
        json_member_raw(o, STR("outputDimensionality"), q->dimensions.text);
    if (q->truncate.is != UNSET)
        json_member_bool(o, STR("autoTruncate"), q->truncate.is == YES);
    json_close(o, '}');
    return OK;
}

static void note_unsaid(const struct translation *t, const struct embed_request *q, bool vertex)
{
    static const char why[] = "the provider has no such field";

    for (size_t i = 0; i < q->type_count; i++)
        if (!str_eq(q->types[i], STR("float")))
            loss_drop(t->losses, JSON_ABSENT, "vectors are of floats");
    if (q->use_name.text.p && !use_name(q).n)
        loss_drop(t->losses, q->use_name.from, why);
    if (q->normalize.is == YES)
        loss_drop(t->losses, q->normalize.from, why);
    if (q->truncate.is != UNSET && !vertex)
        loss_drop(t->losses, q->truncate.from, why);
    if (q->truncate_where.text.p)
        loss_drop(t->losses, q->truncate_where.from, why);
    if (q->user.text.p)
        loss_drop(t->losses, q->user.from, why);
    for (const struct extra *x = q->extras; x; x = x->next)
        loss_drop(t->losses, x->from, why);
}

err_t gemini_ask_embed(struct translation *t, const struct embed_request *q, struct provider_call *ret)
{
    bool vertex = t->vendor->quirks & QUIRK_VERTEX;
    struct json_out o = json_out_to(ret->body);

    ret->path = gemini_path(t, vertex ? "predict" : "batchEmbedContents");
    json_open(&o, '{');
    TRY(vertex ? put_instances(&o, t, q) : put_requests(&o, t, q));
    json_close(&o, '}');
    note_unsaid(t, q, vertex);
    return buf_status(ret->body);
}

/* --- a provider's answer --- */

static err_t add_vector(struct embed_answer *a, struct json_node holder)
{
    struct json_node values = gemini_get(holder, "values");

    if (!json_node_is(values, JSON_ARRAY))
        return fail(E_PROTOCOL, "the provider's answer has an embedding without values");
    a->vectors[a->vector_count++].json = json_node_raw(values);
    return OK;
}

err_t gemini_read_vectors(struct arena *arena, struct str body, struct embed_answer *ret)
{
    const struct json_tree *tree;
    struct embed_answer a = {.id = STR_NONE};

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    struct json_node root = json_tree_root(tree), one = gemini_get(root, "embedding");
    struct json_node many = gemini_get(root, "embeddings"), predictions = gemini_get(root, "predictions");
    size_t n = json_node_count(many) + json_node_count(predictions) + 1;
    a.vectors = arena_zalloc(arena, n * sizeof *a.vectors);
    if (json_node_is_set(one))
        TRY(add_vector(&a, one));
    JSON_EACH(w, many)
        TRY(add_vector(&a, w.value));
    JSON_EACH(w, predictions) {
        struct json_node holder = gemini_get(w.value, "embeddings"), statistics = gemini_get(holder, "statistics");
        int64_t tokens = 0;
        TRY(add_vector(&a, holder));
        if (json_node_i64(gemini_get(statistics, "tokenCount"), &tokens) && tokens > 0) {
            a.usage.input += (uint64_t)tokens;
            a.usage.known = true;
        }
    }
    int64_t prompt = 0;
    if (json_node_i64(gemini_get(gemini_get(root, "usageMetadata"), "promptTokenCount"), &prompt) && prompt > 0) {
        a.usage.input = (uint64_t)prompt;
        a.usage.known = true;
    }
    if (!a.vector_count)
        return fail(E_PROTOCOL, "the provider's answer has no embeddings");
    *ret = a;
    return OK;
}
