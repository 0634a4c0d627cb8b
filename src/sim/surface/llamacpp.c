/*
 * llamacpp.c - llama.cpp's server (llama.cpp, tools/server/README.md): the build as fingerprint, calls without id, timings on the last
 * chunk, numbers as error codes. A request need not name a model.
 */
#include "rt/fiber.h"
#include "sim/gauges.h"
#include "sim/local.h"
#include "sim/lookalike.h"

static const struct field_rule own[] = {
    {.name = STR_INIT("top_k"), .kind = FIELD_INT},
    {.name = STR_INIT("min_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("typical_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("repeat_penalty"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("repeat_last_n"), .kind = FIELD_INT},
    {.name = STR_INIT("n_predict"), .kind = FIELD_INT},
    {.name = STR_INIT("cache_prompt"), .kind = FIELD_BOOL},
    {.name = STR_INIT("grammar"), .kind = FIELD_STRING},
    {.name = STR_INIT("reasoning_format"), .kind = FIELD_STRING},
    {.name = STR_INIT("timings_per_token"), .kind = FIELD_BOOL},
};

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_TOP && m->last)
        buf_addf(to, ",\"timings\":{\"prompt_n\":%zu,\"prompt_ms\":1.5,\"predicted_n\":%zu,\"predicted_ms\":2.5}",
                 m->q->prompt_tokens, m->answer->tokens);
}

static const struct chat_style style = {
    .own = own,
    .own_count = ARRAY_LEN(own),
    .model = "default",
    .error = STYLE_ERROR_INT_CODE,
    .thought = STYLE_REASONING_CONTENT,
    .fingerprint = "b6789-simulated",
    .no_call_id = true,
    .null_content = true,
    .extra = extra,
};

/* Its server tells them if it was started with --metrics. */
static const struct sim_gauge gauges[] = {
    {"llamacpp:prompt_tokens_total", "counter", "Number of prompt tokens processed.", sim_gauge_prompt_tokens},
    {"llamacpp:tokens_predicted_total", "counter", "Number of generation tokens processed.",
     sim_gauge_generated_tokens},
    {"llamacpp:kv_cache_usage_ratio", "gauge", "KV-cache usage. 1 means 100 percent usage.", sim_gauge_cache},
    {"llamacpp:kv_cache_tokens", "gauge", "KV-cache tokens.", sim_gauge_tokens},
    {"llamacpp:requests_processing", "gauge", "Number of requests processing.", sim_gauge_running},
    {"llamacpp:requests_deferred", "gauge", "Number of requests deferred.", sim_gauge_waiting},
};
static const struct sim_gauges page = {gauges, ARRAY_LEN(gauges), NULL};

static err_t metrics_endpoint(struct sim_turn *t) SUSPENDS;
static err_t metrics_endpoint(struct sim_turn *t)
{
    return sim_gauges_reply(t, &page);
}

static const struct sim_route routes[] = {LOOKALIKE_ROUTES(""),
                                          {"GET", STR_INIT("/health"), local_health_endpoint, NULL},
                                          {"GET", STR_INIT("/metrics"), metrics_endpoint, NULL}};

const struct sim_surface sim_surface_llamacpp = {
    .name = "llamacpp",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
