/*
 * gemini.c - how the simulated Gemini answers: content, counts, and vectors in the three forms in which they are asked for.
 *
 * The surface says whether it is the Gemini API or Vertex AI that is asked; the endpoints are the same.
 */
#include "sim/gemini_int.h"

#include "codec/url.h"
#include "rt/fiber.h"
#include "sim/embeddings.h"
#include "sim/hash.h"
#include "sim/surface.h"
#include "sim/text.h"

enum { EMBEDDINGS_MAX = 250 };

static bool is_vertex(const struct sim_turn *t)
{
    return str_eq(str_from_c(t->surface->name), STR("vertex"));
}

static bool wants_events(const struct http_request *r)
{
    return str_eq(url_query_get(r->head.query, STR("alt"), r->arena), STR("sse"));
}

bool gemini_wants_array(const struct http_request *r)
{
    return str_ends(r->head.path, STR(":streamGenerateContent")) && !wants_events(r);
}

/* --- content --- */

/* An enum's value without its quotes. */
static void strip_quotes(const struct sim_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        struct str *text = &answer->choices[i].text;
        if (text->n >= 2 && str_starts(*text, STR("\"")) && str_ends(*text, STR("\"")))
            *text = str_slice(*text, 1, text->n - 1);
    }
}

static err_t generate(struct sim_turn *t, bool stream) SUSPENDS;
static err_t generate(struct sim_turn *t, bool stream)
{
    struct gemini_request *req = arena_new(t->a, struct gemini_request);
    struct sim_answer *answer = arena_new(t->a, struct sim_answer);
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    TRY(gemini_read(t->a, body, t->id, is_vertex(t), false, req, &t->refusal));
    question_settle(&req->q);
    TRY(turn_begin(t, req->q.model, req->q.hash, &over));
    if (over)
        return OK;
    if (sim_answer_make(t->a, &req->q, t->seed, t->plan.length, answer) != OK)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "The specified schema produces too many states: %s.",
                      err_detail(E_TOO_LARGE));
    if (req->names_choice)
        strip_quotes(answer);
    turn_count_prompt(t, req->q.prompt_tokens);
    if (stream)
        return sim_play_stream(&t->play, gemini_feed(t->a, req, answer, &t->mark, wants_events(t->r)));
    gemini_write(req, answer, &t->mark, t->room);
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json; charset=UTF-8"), buf_str(t->room), answer->tokens);
}

err_t gemini_generate_endpoint(struct sim_turn *t)
{
    return generate(t, false);
}

err_t gemini_stream_endpoint(struct sim_turn *t)
{
    return generate(t, true);
}

err_t gemini_count_endpoint(struct sim_turn *t)
{
    struct gemini_request *req = arena_new(t->a, struct gemini_request);
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    TRY(gemini_read(t->a, body, t->id, is_vertex(t), true, req, &t->refusal));
    TRY(turn_begin(t, req->q.model, req->q.hash, &over));
    if (over)
        return OK;
    buf_addf(t->room, "{\"totalTokens\":%zu,\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":%zu}]}",
             req->q.prompt_tokens, req->q.prompt_tokens - req->image_tokens - req->media_tokens);
    return turn_reply_json(t, 200);
}

/* --- vectors --- */

static const char *const task_types[] = {"TASK_TYPE_UNSPECIFIED", "RETRIEVAL_QUERY",
                                         "RETRIEVAL_DOCUMENT",    "SEMANTIC_SIMILARITY",
                                         "CLASSIFICATION",        "CLUSTERING",
                                         "QUESTION_ANSWERING",    "FACT_VERIFICATION",
                                         "CODE_RETRIEVAL_QUERY",  NULL};

static const struct proto_field embed_fields[] = {
    {.name = STR_INIT("model"), .kind = PROTO_STRING},
    {.name = STR_INIT("content"), .kind = PROTO_MESSAGE, .message = &gemini_content_message},
    {.name = STR_INIT("taskType"), .kind = PROTO_ENUM, .names = task_types},
    {.name = STR_INIT("title"), .kind = PROTO_STRING},
    {.name = STR_INIT("outputDimensionality"), .kind = PROTO_INT},
};
static const struct proto_message embed_message = {embed_fields, ARRAY_LEN(embed_fields)};
static const struct proto_field batch_fields[] = {
    {.name = STR_INIT("requests"), .kind = PROTO_MESSAGE, .message = &embed_message, .repeated = true}};
static const struct proto_message batch_message = {batch_fields, ARRAY_LEN(batch_fields)};
static const struct proto_field instance_fields[] = {
    {.name = STR_INIT("content"), .kind = PROTO_STRING},
    {.name = STR_INIT("taskType"), .kind = PROTO_ENUM, .names = task_types},
    {.name = STR_INIT("title"), .kind = PROTO_STRING},
};
static const struct proto_message instance_message = {instance_fields, ARRAY_LEN(instance_fields)};
static const struct proto_field parameter_fields[] = {{.name = STR_INIT("outputDimensionality"), .kind = PROTO_INT},
                                                      {.name = STR_INIT("autoTruncate"), .kind = PROTO_BOOL}};
static const struct proto_message parameter_message = {parameter_fields, ARRAY_LEN(parameter_fields)};
static const struct proto_field predict_fields[] = {
    {.name = STR_INIT("instances"), .kind = PROTO_MESSAGE, .message = &instance_message, .repeated = true},
    {.name = STR_INIT("parameters"), .kind = PROTO_MESSAGE, .message = &parameter_message}};
static const struct proto_message predict_message = {predict_fields, ARRAY_LEN(predict_fields)};

/* A request for vectors: texts and how long the vectors are. */
struct embedding {
    struct sim_turn *t;
    struct str *texts;
    size_t *dimensions; /* 0: as many as the model has */
    size_t count, tokens;
    uint64_t hash;
};

static err_t add_text(struct embedding *e, struct str text, int64_t dimensions, struct str where)
{
    if (text.n == 0)
        return refuse(e->t->a, &e->t->refusal, NULL, STR_NONE, "%.*s: content is empty", STR_ARG(where));
    if (dimensions < 0 || dimensions > SIM_DIMENSIONS_MAX)
        return refuse(e->t->a, &e->t->refusal, NULL, STR_NONE, "%.*s: output_dimensionality must be from 1 to %d",
                      STR_ARG(where), SIM_DIMENSIONS_MAX);
    e->texts[e->count] = text;
    e->dimensions[e->count++] = (size_t)dimensions;
    e->tokens += sim_tokens(text);
    e->hash = sim_hash(e->hash, text);
    return OK;
}

static void make_room(struct embedding *e, size_t count)
{
    e->texts = arena_alloc(e->t->a, (count + 1) * sizeof(*e->texts));
    e->dimensions = arena_alloc(e->t->a, (count + 1) * sizeof(*e->dimensions));
}

/* One EmbedContentRequest. `named`: it must name the model of the path. */
static err_t add_request(struct embedding *e, yyjson_val *request, struct str where, bool named)
{
    yyjson_val *parts = proto_get(proto_get(request, STR("content")), STR("parts")), *part;
    struct str text = STR(""), model = proto_get_str(request, STR("model"), STR("")), bare = model;
    size_t i, n;

    if (str_starts(bare, STR("models/")))
        bare = str_slice(bare, 7, bare.n);
    if (named && (!str_starts(model, STR("models/")) || !str_eq(bare, e->t->id)))
        return refuse(e->t->a, &e->t->refusal, NULL, STR_NONE, "%.*s.model: must be models/%.*s", STR_ARG(where),
                      STR_ARG(e->t->id));
    yyjson_arr_foreach(parts, i, n, part)
    {
        text = arena_join(e->t->a, text, proto_get_str(part, STR("text"), STR("")));
    }
    return add_text(e, text, proto_get_i64(request, STR("outputDimensionality"), 0), where);
}

static err_t begin(struct embedding *e, const struct proto_message *message, yyjson_val **ret_root) SUSPENDS;
static err_t begin(struct embedding *e, const struct proto_message *message, yyjson_val **ret_root)
{
    struct sim_turn *t = e->t;
    struct str body;

    TRY(turn_body(t, &body));
    TRY(gemini_parse(t->a, body, &t->refusal, ret_root));
    return proto_check(t->a, *ret_root, STR(""), message, &t->refusal);
}

static err_t check_count(struct embedding *e, size_t count, const char *what)
{
    if (count > 0 && count <= EMBEDDINGS_MAX)
        return OK;
    return refuse(e->t->a, &e->t->refusal, NULL, STR_NONE, "%s: must have 1 to %d items", what, EMBEDDINGS_MAX);
}

static err_t write_vector(struct embedding *e, size_t i) SUSPENDS;
static err_t write_vector(struct embedding *e, size_t i)
{
    size_t n = e->dimensions[i] > 0 ? e->dimensions[i] : turn_model(e->t)->dimensions;
    int32_t *vector = arena_alloc(e->t->a, n * sizeof(*vector));

    sim_embed(e->texts[i], sim_hash(e->t->seed, e->t->id), vector, n);
    buf_add_lit(e->t->room, "{\"values\":");
    sim_embedding_write(vector, n, e->t->room);
    return fiber_tick();
}

static err_t send_vectors(struct embedding *e) SUSPENDS;
static err_t send_vectors(struct embedding *e)
{
    turn_count_prompt(e->t, e->tokens);
    TRY(buf_status(e->t->room));
    return sim_play_whole(&e->t->play, STR("application/json; charset=UTF-8"), buf_str(e->t->room), 0);
}

err_t gemini_embed_endpoint(struct sim_turn *t)
{
    struct embedding e = {.t = t};
    yyjson_val *root;
    bool over;

    TRY(begin(&e, &embed_message, &root));
    make_room(&e, 1);
    TRY(add_request(&e, root, STR("EmbedContentRequest"), proto_get(root, STR("model")) != NULL));
    TRY(turn_begin(t, t->id, e.hash, &over));
    if (over)
        return OK;
    buf_add_lit(t->room, "{\"embedding\":");
    TRY(write_vector(&e, 0));
    buf_add_lit(t->room, "}}");
    return send_vectors(&e);
}

err_t gemini_batch_embed_endpoint(struct sim_turn *t)
{
    struct embedding e = {.t = t};
    yyjson_val *root, *request;
    size_t i, n;
    bool over;

    TRY(begin(&e, &batch_message, &root));
    yyjson_val *requests = proto_get(root, STR("requests"));
    TRY(check_count(&e, yyjson_arr_size(requests), "BatchEmbedContentsRequest.requests"));
    make_room(&e, yyjson_arr_size(requests));
    yyjson_arr_foreach(requests, i, n, request)
    {
        TRY(add_request(&e, request, arena_printf(t->a, "BatchEmbedContentsRequest.requests[%zu]", i), true));
    }
    TRY(turn_begin(t, t->id, e.hash, &over));
    if (over)
        return OK;
    buf_add_lit(t->room, "{\"embeddings\":[");
    for (i = 0; i < e.count; i++) {
        if (i > 0)
            buf_add_char(t->room, ',');
        TRY(write_vector(&e, i));
        buf_add_char(t->room, '}');
    }
    buf_add_lit(t->room, "]}");
    return send_vectors(&e);
}

err_t gemini_predict_endpoint(struct sim_turn *t)
{
    struct embedding e = {.t = t};
    yyjson_val *root, *instance;
    size_t i, n;
    bool over;

    TRY(begin(&e, &predict_message, &root));
    yyjson_val *instances = proto_get(root, STR("instances"));
    int64_t dimensions = proto_get_i64(proto_get(root, STR("parameters")), STR("outputDimensionality"), 0);
    TRY(check_count(&e, yyjson_arr_size(instances), "instances"));
    make_room(&e, yyjson_arr_size(instances));
    yyjson_arr_foreach(instances, i, n, instance)
    {
        TRY(add_text(&e, proto_get_str(instance, STR("content"), STR("")), dimensions,
                     arena_printf(t->a, "instances[%zu]", i)));
    }
    TRY(turn_begin(t, t->id, e.hash, &over));
    if (over)
        return OK;
    buf_add_lit(t->room, "{\"predictions\":[");
    for (i = 0; i < e.count; i++) {
        buf_add(t->room, i > 0 ? STR(",{\"embeddings\":") : STR("{\"embeddings\":"));
        TRY(write_vector(&e, i));
        buf_addf(t->room, ",\"statistics\":{\"truncated\":false,\"token_count\":%zu}}}", sim_tokens(e.texts[i]));
    }
    buf_add_lit(t->room, "]}");
    return send_vectors(&e);
}
