/*
 * gemini.c - the Gemini API: content, counting, vectors, models, under /v1 and /v1beta, and the OpenAI-compatible chat.
 *
 * A key comes as x-goog-api-key, as ?key= or as Bearer; a wrong one is a 400, none at all a 403, as at Google.
 */
#include "sim/gemini.h"

#include "codec/url.h"
#include "sim/surface.h"

enum { PAGE_DEFAULT = 50, PAGE_MAX = 1000, INPUT_TOKENS = 1048576, OUTPUT_TOKENS = 65536 };

/* --- models --- */

static void write_model(struct str name, struct buf *to)
{
    buf_add_lit(to, "{\"name\":\"models/");
    buf_add_json(to, name);
    buf_add_lit(to, "\",\"version\":\"1\",\"displayName\":\"");
    buf_add_json(to, name);
    buf_addf(to,
             "\",\"description\":\"A simulated model.\",\"inputTokenLimit\":%d,\"outputTokenLimit\":%d,"
             "\"supportedGenerationMethods\":[\"generateContent\",\"countTokens\",\"embedContent\"],\"temperature\":1,"
             "\"topP\":0.95,\"topK\":64,\"thinking\":true}",
             INPUT_TOKENS, OUTPUT_TOKENS);
}

/* A number of the query; `otherwise` if there is none. False if it is none from 1 (or 0, if that is `otherwise`) to `max`. */
static bool query_number(struct sim_turn *t, struct str name, uint64_t max, uint64_t otherwise, uint64_t *ret)
{
    struct str text = url_query_get(t->r->head.query, name, t->a);

    *ret = otherwise;
    return text.n == 0 || (str_to_u64(text, max, ret) && (*ret > 0 || otherwise == 0));
}

static err_t list_endpoint(struct sim_turn *t) SUSPENDS;
static err_t list_endpoint(struct sim_turn *t)
{
    const struct scenario *s = t->scenario;
    uint64_t size, from;
    size_t at = 0, written = 0;

    if (!query_number(t, STR("pageSize"), PAGE_MAX, PAGE_DEFAULT, &size) ||
        !query_number(t, STR("pageToken"), SIZE_MAX / 2, 0, &from))
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "Page size or page token is invalid.");
    buf_add_lit(t->room, "{\"models\":[");
    for (size_t i = 0; i < s->model_count; i++) {
        if (&s->models[i] == s->any || at++ < from || written == size)
            continue;
        if (written++ > 0)
            buf_add_char(t->room, ',');
        write_model(s->models[i].name, t->room);
    }
    buf_add_char(t->room, ']');
    if (from + written < at)
        buf_addf(t->room, ",\"nextPageToken\":\"%zu\"", (size_t)from + written);
    buf_add_char(t->room, '}');
    return turn_reply_json(t, 200);
}

static err_t model_endpoint(struct sim_turn *t) SUSPENDS;
static err_t model_endpoint(struct sim_turn *t)
{
    if (!scenario_model(t->scenario, t->id))
        return refuse_status(t->a, &t->refusal, 404, NULL, "models/%.*s is not found for API version v1beta.",
                             STR_ARG(t->id));
    write_model(t->id, t->room);
    return turn_reply_json(t, 200);
}

/* --- the surface --- */

static struct str google_key(const struct http_request *r)
{
    struct str key = http_request_header(r, STR("x-goog-api-key"));

    return key.p ? key : url_query_get(r->head.query, STR("key"), r->arena);
}

static bool has_google_key(const struct http_request *r)
{
    return google_key(r).p != NULL;
}

static err_t check_key(struct sim_turn *t)
{
    struct str key = google_key(t->r), bearer = turn_bearer(t);

    if (turn_knows_key(t, key.p ? key : bearer))
        return OK;
    if (key.p)
        return refuse_status(t->a, &t->refusal, 400, "API_KEY_INVALID",
                             "API key not valid. Please pass a valid API key.");
    if (bearer.p)
        return refuse_status(t->a, &t->refusal, 401, NULL, "Request had invalid authentication credentials.");
    return refuse_status(t->a, &t->refusal, 403, NULL,
                         "Method doesn't allow unregistered callers (callers without established identity). Please use "
                         "API Key or other form of API consumer identity to call this API.");
}

static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    bool array = gemini_wants_array(p->r);

    if (array)
        buf_add_char(to, '[');
    gemini_write_error(why, to);
    if (array)
        buf_add_lit(to, "\n]");
}

static void add_headers(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *to)
{
    (void)p, (void)why;
    sim_head_add(to, STR("x-content-type-options"), STR("nosniff"));
}

/* clang-format off */
#define VERBS(models)                                                                                                  \
    {"POST", STR_INIT(models ":generateContent"), gemini_generate_endpoint, NULL},                                     \
    {"POST", STR_INIT(models ":streamGenerateContent"), gemini_stream_endpoint, NULL},                                 \
    {"POST", STR_INIT(models ":countTokens"), gemini_count_endpoint, NULL},                                            \
    {"POST", STR_INIT(models ":embedContent"), gemini_embed_endpoint, NULL},                                           \
    {"POST", STR_INIT(models ":batchEmbedContents"), gemini_batch_embed_endpoint, NULL}
/* clang-format on */

static const struct sim_route routes[] = {
    VERBS("/v1beta/models/{id}"),
    VERBS("/v1/models/{id}"),
    VERBS("/v1beta/tunedModels/{id}"),
    {"POST", STR_INIT("/v1beta/openai/chat/completions"), chat_endpoint, NULL},
    {"GET", STR_INIT("/v1beta/models"), list_endpoint, NULL},
    {"GET", STR_INIT("/v1beta/models/{id}"), model_endpoint, NULL},
    {"GET", STR_INIT("/v1/models"), list_endpoint, has_google_key},
    {"GET", STR_INIT("/v1/models/{id}"), model_endpoint, has_google_key},
};

const struct sim_surface sim_surface_gemini = {
    .name = "gemini",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .natural = true,
    .check_key = check_key,
    .write_refusal = write_refusal,
    .add_headers = add_headers,
};
