/*
 * tei.c - Text Embeddings Inference: embeddings and reranking in its own form on both sides; what only it can answer passes through.
 *
 * A server has one model, so requests name none: the route decides. Its answers are bare lists without usage. Its OpenAI-like /v1/embeddings is
 * that dialect's row.
 *
 * Wire format: Text Embeddings Inference API description, November 2026.
 */
#include "codec/json_out.h"
#include "llm/error_body.h"
#include "llm/rerank_form.h"
#include "llm/unsaid.h"
#include "llm/vendor.h"

extern const struct dialect dialect_tei;

enum { BATCH_MAX = 32 }; /* --max-client-batch-size as it is unless an operator changes it */

#define PASS .method = "POST", .operation = OP_PASS, .model = MODEL_NONE

static const struct endpoint_row rows[] = {
    {"POST", "/embed", .operation = OP_EMBED, .model = MODEL_NONE, .label = "embeddings"},
    {"POST", "/rerank", .operation = OP_RERANK, .model = MODEL_NONE, .label = "rerank"},
    {PASS, .path = "/predict", .label = "predict"},
    {PASS, .path = "/embed_sparse", .label = "embed_sparse"},
    {PASS, .path = "/embed_all", .label = "embed_all"},
    {PASS, .path = "/similarity", .label = "similarity"},
    {PASS, .path = "/tokenize", .label = "tokenize"},
    {PASS, .path = "/decode", .label = "decode"},
    {"GET", "/info", .operation = OP_MODEL, .model = MODEL_NONE, .label = "models"},
    {"GET", "/health", .operation = OP_STATIC, .model = MODEL_NONE, .label = "health", .text = "",
     .type = "text/plain; charset=utf-8"},
    {0},
};

/* --- embeddings: the client's request --- */

/* A text, or an array of token numbers. */
static bool read_one(struct embed_input *to, struct json_node v, struct arena *arena)
{
    to->from = v;
    if (json_node_is(v, JSON_STRING)) {
        to->text = json_node_text(v, arena);
        if (!to->text.p)
            to->text = STR("");
        return true;
    }
    JSON_EACH(w, v)
        if (!json_node_is(w.value, JSON_NUMBER))
            return false;
    to->tokens = json_node_raw(v);
    return json_node_is(v, JSON_ARRAY) && json_node_count(v) > 0;
}

static err_t read_inputs(struct arena *arena, struct json_node v, struct embed_request *q)
{
    bool list = json_node_is(v, JSON_ARRAY) && !json_node_is(json_node_at(v, 0), JSON_NUMBER);
    size_t n = list ? json_node_count(v) : 1;
    bool fits = n > 0;
    char *room;

    TRY(arena_try(arena, (n ? n : 1) * sizeof *q->inputs, &room));
    memset(room, 0, (n ? n : 1) * sizeof *q->inputs);
    q->inputs = (struct embed_input *)(void *)room;
    q->single = !list;
    if (!list)
        fits = read_one(&q->inputs[q->input_count++], v, arena);
    JSON_EACH(w, list ? v : JSON_ABSENT)
        fits = read_one(&q->inputs[q->input_count++], w.value, arena) && fits;
    return fits ? OK : fail(E_PARSE, "'inputs' must be a string, an array of strings, or tokens");
}

static err_t read_embed(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                        struct str *ret_param)
{
    struct json_node root = json_tree_root(doc);

    *ret = (struct embed_request){.dialect = t->client, .document = doc};
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    JSON_EACH(w, root) {
        if (!json_node_is_set(w.value) || json_walk_key_is(&w, STR("inputs")))
            continue;
        if (json_walk_key_is(&w, STR("normalize")))
            chat_read_flag(&ret->normalize, w.value);
        else if (json_walk_key_is(&w, STR("truncate")))
            chat_read_flag(&ret->truncate, w.value);
        else if (json_walk_key_is(&w, STR("truncation_direction")))
            chat_read_setting(&ret->truncate_where, w.value, t->arena);
        else if (json_walk_key_is(&w, STR("dimensions")))
            chat_read_number(&ret->dimensions, w.value);
        else
            (void)extras_add(&ret->extras, t->arena, w.key, w.value);
    }
    *ret_param = STR("inputs");
    TRY(read_inputs(t->arena, json_node_get(root, STR("inputs")), ret));
    *ret_param = STR_NONE;
    return OK;
}

/* --- to the provider --- */

static err_t put_inputs(struct translation *t, struct json_out *o, const struct embed_request *q)
{
    json_member_open(o, STR("inputs"), '[');
    for (size_t i = 0; i < q->input_count; i++) {
        const struct embed_input *in = &q->inputs[i];
        if (in->blocks)
            return fail(E_PARSE, "this model embeds text only");
        if (in->title.n)
            loss_drop(t->losses, in->from, "documents have no titles here");
        if (in->text.p)
            json_put_str(o, in->text);
        else
            json_put_raw(o, in->tokens);
    }
    json_close(o, ']');
    return OK;
}

static void put_truncation(struct json_out *o, const struct embed_request *q)
{
    struct str where = q->truncate_where.text;
    bool left = str_eq_nocase(where, STR("left")) || str_eq_nocase(where, STR("START"));

    if (str_eq_nocase(where, STR("NONE")))
        json_member_bool(o, STR("truncate"), false);
    else if (q->truncate.is != UNSET)
        json_member_bool(o, STR("truncate"), q->truncate.is == YES);
    else if (where.n)
        json_member_bool(o, STR("truncate"), true);
    if (left)
        json_member_str(o, STR("truncation_direction"), STR("Left"));
}

static err_t write_embed(struct translation *t, const struct embed_request *q, struct provider_call *ret)
{
    struct json_out o = json_out_to(ret->body);

    ret->path = STR("/embed");
    json_open(&o, '{');
    TRY(put_inputs(t, &o, q));
    if (q->normalize.is != UNSET)
        json_member_bool(&o, STR("normalize"), q->normalize.is == YES);
    put_truncation(&o, q);
    if (q->dimensions.text.n)
        json_member_raw(&o, STR("dimensions"), q->dimensions.text);
    for (size_t i = 0; i < q->type_count; i++)
        if (!str_eq(q->types[i], STR("float")) && !str_eq(q->types[i], STR("base64")))
            loss_drop(t->losses, JSON_ABSENT, "vectors are of floating-point numbers here");
    unsaid_setting(t->losses, &q->use_name);
    unsaid_setting(t->losses, &q->user);
    extras_put(&o, q->extras, q->dialect == &dialect_tei, t->losses); /* prompt_name and the like */
    json_close(&o, '}');
    return buf_status(ret->body);
}

/* --- answers --- */

static err_t read_embed_answer(struct arena *arena, struct str body, struct embed_answer *ret)
{
    const struct json_tree *tree;

    *ret = (struct embed_answer){0};
    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    struct json_node root = json_tree_root(tree);
    size_t n = json_node_count(root);
    if (!json_node_is(root, JSON_ARRAY) || !n)
        return fail(E_PROTOCOL, "the provider's answer has no embeddings");
    ret->vectors = arena_zalloc(arena, n * sizeof *ret->vectors);
    JSON_EACH(w, root) {
        if (!json_node_is(w.value, JSON_ARRAY))
            return fail(E_PROTOCOL, "the provider's answer has an embedding without a vector");
        ret->vectors[ret->vector_count++].json = json_node_raw(w.value);
    }
    return OK;
}

/* Always a list of vectors, also for one input. Of several types the first is given: there is no more than one here. */
static err_t write_embed_answer(const struct answer_frame *f, const struct embed_request *q,
                                const struct embed_answer *a, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)f;
    if (a->vector_count < q->input_count)
        return fail(E_PROTOCOL, "the provider's answer lacks embeddings");
    json_open(&o, '[');
    for (size_t i = 0; i < q->input_count; i++)
        TRY(embed_put_json(&o, &a->vectors[i]));
    json_close(&o, ']');
    return buf_status(to);
}

/* --- reranking --- */

static err_t read_rerank(struct translation *t, const struct json_tree *doc, struct rerank_request *ret,
                         struct str *ret_param)
{
    return rerank_read(t, doc, "texts", ret, ret_param);
}

static err_t write_rerank(struct translation *t, const struct rerank_request *q, struct provider_call *ret)
{
    struct json_out o = json_out_to(ret->body);

    ret->path = STR("/rerank");
    json_open(&o, '{');
    json_member_str(&o, STR("query"), q->query);
    rerank_put_texts(&o, STR("texts"), q);
    if (q->raw_scores.is != UNSET)
        json_member_bool(&o, STR("raw_scores"), q->raw_scores.is == YES);
    if (q->truncate.is != UNSET)
        json_member_bool(&o, STR("truncate"), q->truncate.is == YES);
    if (q->top_n.text.n)
        loss_note(t->losses, LOSS_EMULATED, q->top_n.from, "the provider ranks all: the best of them are given");
    unsaid_any_number(t->losses, &q->max_tokens_per_doc);
    unsaid_setting(t->losses, &q->rank_fields);
    extras_put(&o, q->extras, q->dialect == &dialect_tei, t->losses); /* prompt_name and the like */
    json_close(&o, '}');
    return buf_status(ret->body);
}

static err_t read_rerank_answer(struct arena *arena, struct str body, struct rerank_answer *ret)
{
    const struct json_tree *tree;

    *ret = (struct rerank_answer){0};
    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    return rerank_read_results(arena, json_tree_root(tree), STR("score"), ret);
}

static err_t write_rerank_answer(const struct answer_frame *f, const struct rerank_request *q,
                                 const struct rerank_answer *a, struct buf *to)
{
    struct json_out o = json_out_to(to);
    size_t n = rerank_count(q, a);

    (void)f;
    json_open(&o, '[');
    for (size_t i = 0; i < n; i++) {
        const struct rerank_document *document;
        TRY(rerank_document_of(q, &a->results[i], &document));
        json_open(&o, '{');
        json_member_u64(&o, STR("index"), a->results[i].index);
        json_member_raw(&o, STR("score"), a->results[i].score);
        if (q->return_documents.is == YES)
            json_member_str(&o, STR("text"), document->text);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    return buf_status(to);
}

/* --- the model --- */

/* What a gateway knows of /info: how long an input may be is the server's to say. More inputs than these are several calls. */
static err_t write_model(const struct translation *t, const struct model_card *card, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    json_open(&o, '{');
    json_member_str(&o, STR("model_id"), card->id);
    json_member_null(&o, STR("model_sha"));
    json_member_u64(&o, STR("max_client_batch_size"), BATCH_MAX);
    json_member_null(&o, STR("sha"));
    json_member_null(&o, STR("docker_label"));
    json_close(&o, '}');
    return buf_status(to);
}

/* --- errors --- */

static const struct {
    struct str type;
    int status;
    enum error_class error_class;
} error_types[] = {
    {STR_INIT("Unhealthy"), 503, ERROR_OVERLOADED},     {STR_INIT("Overloaded"), 429, ERROR_RATE_LIMIT},
    {STR_INIT("Backend"), 424, ERROR_UPSTREAM},         {STR_INIT("Tokenizer"), 422, ERROR_UNPROCESSABLE},
    {STR_INIT("Validation"), 413, ERROR_TOO_LARGE},     {STR_INIT("Empty"), 400, ERROR_BAD_REQUEST},
    {STR_INIT("Validation"), 422, ERROR_UNPROCESSABLE}, /* the last: stands for all others */
};

static size_t error_of_class(enum error_class class)
{
    for (size_t i = 0; i < ARRAY_LEN(error_types); i++)
        if (error_types[i].error_class == class)
            return i;
    return ARRAY_LEN(error_types) - 1;
}

static void put_error(struct str message, struct str type, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("error"), message);
    json_member_str(&o, STR("error_type"), type);
    json_close(&o, '}');
}

/* Classes that a server of this kind does not have keep their status: 401, 404, 502, ... */
static void write_error(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                        struct call_header ret_headers[2])
{
    enum error_class class = error_class_of(e);
    size_t at = error_of_class(class), before = to->n;
    bool is_its = error_types[at].error_class == class;

    (void)t;
    (void)ret_headers;
    put_error(e->message, error_types[at].type, to);
    if (buf_status(to) != OK) { /* words that are too long for the room */
        to->n = before;
        to->overflow = false;
        put_error(STR("the request failed"), error_types[at].type, to);
    }
    *ret_status = is_its ? error_types[at].status : error_status_of(class);
}

static void read_error(struct arena *arena, int status, struct str body,
                       struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret)
{
    struct error_body said;

    error_body_read(arena, body, &said);
    *ret =
        (struct api_error){.status = status, .message = said.message, .retry_after_ms = error_retry_hint(header, ctx)};
    for (size_t i = 0; i < ARRAY_LEN(error_types); i++)
        if (error_types[i].status == status)
            ret->error_class = error_types[i].error_class;
}

/* --- the dialect --- */

/* Below the server's root, as the rows say. */
static err_t pass_path(const struct translation *t, bool stream, struct str *ret_path)
{
    (void)stream;
    *ret_path = str_from_c(t->row->path);
    return OK;
}

static const char *const along[] = {"openai", NULL};
static const char *const body_marks[] = {"texts", NULL};

const struct dialect dialect_tei = {
    .name = "tei",
    .title = "Text Embeddings Inference",
    .client = {.endpoints = rows,
               .along = along,
               .body_marks = body_marks,
               .read_embed = read_embed,
               .write_embed = write_embed_answer,
               .read_rerank = read_rerank,
               .write_rerank = write_rerank_answer,
               .write_model = write_model,
               .write_error = write_error},
    .provider = {.write_embed = write_embed,
                 .read_embed = read_embed_answer,
                 .embed_batch_max = BATCH_MAX,
                 .write_rerank = write_rerank,
                 .read_rerank = read_rerank_answer,
                 .pass_path = pass_path,
                 .read_error = read_error},
};
