/*
 * vertex.c - Vertex AI: Gemini as Google's own models, Claude as Anthropic's, and the OpenAI-compatible endpoint.
 *
 * An OAuth token is needed as Bearer, or a key in express mode. What the platform refuses has Google's form; what Claude refuses, by then,
 * has Anthropic's.
 */
#include "sim/anthropic.h"
#include "sim/gemini.h"
#include "sim/surface.h"

#define VERTEX_VERSION STR("vertex-2023-10-16")

static err_t raw_predict(struct sim_turn *t) SUSPENDS;
static err_t raw_predict(struct sim_turn *t)
{
    return anthropic_serve(t, &(struct anthropic_host){.version = VERTEX_VERSION, .model = t->id});
}

static err_t stream_raw_predict(struct sim_turn *t) SUSPENDS;
static err_t stream_raw_predict(struct sim_turn *t)
{
    return anthropic_serve(t, &(struct anthropic_host){.version = VERTEX_VERSION, .model = t->id, .stream = true});
}

/* The model to count for is named in the body. */
static err_t count_raw_predict(struct sim_turn *t) SUSPENDS;
static err_t count_raw_predict(struct sim_turn *t)
{
    return anthropic_serve(t, &(struct anthropic_host){.version = VERTEX_VERSION, .counts = true});
}

static err_t check_key(struct sim_turn *t)
{
    struct str key = turn_bearer(t);

    if (!key.p)
        key = http_request_header(t->r, STR("x-goog-api-key"));
    if (key.n > 0 && turn_knows_key(t, key))
        return OK;
    return refuse_status(t->a, &t->refusal, 401, NULL,
                         key.n > 0 ? "Request had invalid authentication credentials. Expected OAuth 2 access token, "
                                     "login cookie or other valid authentication credential."
                                   : "Request is missing required authentication credential. Expected OAuth 2 access "
                                     "token, login cookie or other valid authentication credential.");
}

static bool is_platforms(int status)
{
    return status == 401 || status == 403 || status == 404 || status == 405 || status == 429;
}

static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    struct str path = p->r->head.path;
    bool claude = str_find(path, STR("/publishers/anthropic/")) < path.n;
    bool array = gemini_wants_array(p->r);

    if (claude && !is_platforms(why->status)) {
        char id[SIM_ID_MAX];
        anthropic_write_error(why, false, str_of(id, sim_id(id, "req_vrtx_", p->unique, 0)), to);
        return;
    }
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

#define PLACE "/projects/{project}/locations/{location}"

/* clang-format off */
#define GOOGLE(models)                                                                                                 \
    {"POST", STR_INIT(models ":generateContent"), gemini_generate_endpoint, NULL},                                     \
    {"POST", STR_INIT(models ":streamGenerateContent"), gemini_stream_endpoint, NULL},                                 \
    {"POST", STR_INIT(models ":countTokens"), gemini_count_endpoint, NULL}

#define VERSION(version)                                                                                               \
    GOOGLE(version PLACE "/publishers/google/models/{id}"),                                                            \
    GOOGLE(version "/publishers/google/models/{id}"),                                                                  \
    GOOGLE(version PLACE "/endpoints/{id}"),                                                                           \
    {"POST", STR_INIT(version PLACE "/publishers/google/models/{id}:predict"), gemini_predict_endpoint, NULL},         \
    {"POST", STR_INIT(version PLACE "/publishers/anthropic/models/count-tokens:rawPredict"), count_raw_predict, NULL}, \
    {"POST", STR_INIT(version PLACE "/publishers/anthropic/models/{id}:rawPredict"), raw_predict, NULL},               \
    {"POST", STR_INIT(version PLACE "/publishers/anthropic/models/{id}:streamRawPredict"), stream_raw_predict, NULL},  \
    {"POST", STR_INIT(version PLACE "/endpoints/openapi/chat/completions"), chat_endpoint, NULL}
/* clang-format on */

static const struct sim_route routes[] = {VERSION("/v1"), VERSION("/v1beta1")};

const struct sim_surface sim_surface_vertex = {
    .name = "vertex",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .natural = true,
    .check_key = check_key,
    .write_refusal = write_refusal,
    .add_headers = add_headers,
};
