/*
 * sglang.c - SGLang's server (SGLang documentation, "OpenAI APIs - Completions"): thoughts in "reasoning_content", "content":null on
 * chunks without text, matched_stop, errors without a wrapper.
 */
#include "rt/fiber.h"
#include "sim/gauges.h"
#include "sim/local.h"
#include "sim/lookalike.h"

static const struct field_rule own[] = {
    {.name = STR_INIT("top_k"), .kind = FIELD_INT},
    {.name = STR_INIT("min_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("min_tokens"), .kind = FIELD_INT},
    {.name = STR_INIT("repetition_penalty"), .kind = FIELD_NUMBER, .min = 0, .max = 2},
    {.name = STR_INIT("regex"), .kind = FIELD_STRING},
    {.name = STR_INIT("ebnf"), .kind = FIELD_STRING},
    {.name = STR_INIT("stop_token_ids"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("ignore_eos"), .kind = FIELD_BOOL},
    {.name = STR_INIT("separate_reasoning"), .kind = FIELD_BOOL},
    {.name = STR_INIT("stream_reasoning"), .kind = FIELD_BOOL},
    {.name = STR_INIT("chat_template_kwargs"), .kind = FIELD_OBJECT},
};

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place != STYLE_CHOICE)
        return;
    if (!m->finish || m->choice->finish != SIM_STOP) {
        buf_add_lit(to, ",\"matched_stop\":null");
    } else if (!m->choice->stop.p) {
        buf_add_lit(to, ",\"matched_stop\":151645"); /* the token that ends a turn */
    } else {
        buf_add_lit(to, ",\"matched_stop\":\"");
        buf_add_json(to, m->choice->stop);
        buf_add_char(to, '"');
    }
}

static const struct chat_style style = {
    .own = own,
    .own_count = ARRAY_LEN(own),
    .error = STYLE_ERROR_FLAT,
    .thought = STYLE_REASONING_CONTENT,
    .id_prefix = "",
    .null_content = true,
    .extra = extra,
};

/* SGLang documentation, "Production Metrics". */
static const struct sim_gauge gauges[] = {
    {"sglang:num_running_reqs", "gauge", "The number of running requests", sim_gauge_running},
    {"sglang:num_queue_reqs", "gauge", "The number of requests in the waiting queue", sim_gauge_waiting},
    {"sglang:num_used_tokens", "gauge", "The number of used tokens", sim_gauge_tokens},
    {"sglang:token_usage", "gauge", "The token usage", sim_gauge_cache},
};
static const struct sim_gauges page = {gauges, ARRAY_LEN(gauges), ""};

static err_t metrics_endpoint(struct sim_turn *t) SUSPENDS;
static err_t metrics_endpoint(struct sim_turn *t)
{
    return sim_gauges_reply(t, &page);
}

static const struct sim_route routes[] = {LOOKALIKE_ROUTES(""),
                                          {"GET", STR_INIT("/health"), local_health_endpoint, NULL},
                                          {"GET", STR_INIT("/metrics"), metrics_endpoint, NULL}};

const struct sim_surface sim_surface_sglang = {
    .name = "sglang",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
