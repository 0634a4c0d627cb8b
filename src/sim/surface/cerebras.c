/*
 * cerebras.c - Cerebras' surface (Cerebras Inference API reference, "Chat Completions"): thoughts in "reasoning", a tool call whole in one
 * delta, usage and time_info on the last chunk, errors without a wrapper. Penalties, biases and what it does not know are refused.
 */
#include "sim/lookalike.h"

static const char *const refused[] = {
    "frequency_penalty", "presence_penalty", "logit_bias", "modalities", "audio", "store", "verbosity", NULL};

static const struct field_rule own[] = {
    {.name = STR_INIT("disable_reasoning"), .kind = FIELD_BOOL},
};

static err_t check(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r)
{
    (void)root;
    return lookalike_one_choice(a, q, r);
}

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_TOP && m->last)
        buf_addf(
            to,
            ",\"time_info\":{\"queue_time\":0.001,\"prompt_time\":0.002,\"completion_time\":0.003,\"total_time\":0.006,"
            "\"created\":%lld}",
            (long long)m->mark->created);
}

static const struct chat_style style = {
    .refused = refused,
    .own = own,
    .own_count = ARRAY_LEN(own),
    .strict = true,
    .check = check,
    .error = STYLE_ERROR_FLAT,
    .thought = STYLE_REASONING,
    .usage = STYLE_USAGE_FINISH,
    .fingerprint = "fp_simulated",
    .whole_calls = true,
    .extra = extra,
};

static const struct sim_route routes[] = {LOOKALIKE_CHAT_ROUTES("")};

const struct sim_surface sim_surface_cerebras = {
    .name = "cerebras",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
