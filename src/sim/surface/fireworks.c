/*
 * fireworks.c - Fireworks' surface (Fireworks API reference, "Create Chat Completion"): thoughts in "reasoning_content", "content":null
 * on chunks without text, usage on the last chunk unasked. Fields that it does not know are refused.
 */
#include "sim/lookalike.h"

static const struct field_rule own[] = {
    {.name = STR_INIT("top_k"), .kind = FIELD_INT, .min = 0, .max = 100},
    {.name = STR_INIT("min_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("typical_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("repetition_penalty"), .kind = FIELD_NUMBER, .min = 0, .max = 2},
    {.name = STR_INIT("prompt_truncate_len"), .kind = FIELD_INT},
    {.name = STR_INIT("context_length_exceeded_behavior"),
     .kind = FIELD_ENUM,
     .choices = (const char *const[]){"truncate", "error", NULL}},
    {.name = STR_INIT("ignore_eos"), .kind = FIELD_BOOL},
    {.name = STR_INIT("echo"), .kind = FIELD_BOOL},
    {.name = STR_INIT("raw_output"), .kind = FIELD_BOOL},
    {.name = STR_INIT("perf_metrics_in_response"), .kind = FIELD_BOOL},
};

static const char *const refused[] = {"store",          "modalities", "audio", "verbosity", "prompt_cache_retention",
                                      "stream_options", NULL};

static const struct chat_style style = {
    .refused = refused,
    .own = own,
    .own_count = ARRAY_LEN(own),
    .strict = true,
    .thought = STYLE_REASONING_CONTENT,
    .usage = STYLE_USAGE_FINISH,
    .id_prefix = "",
    .null_content = true,
};

static const struct sim_route routes[] = {LOOKALIKE_ROUTES("/inference/v1"), LOOKALIKE_ROUTES("")};

const struct sim_surface sim_surface_fireworks = {
    .name = "fireworks",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
