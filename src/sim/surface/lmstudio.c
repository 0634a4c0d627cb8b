/*
 * lmstudio.c - LM Studio's server (LM Studio documentation, "OpenAI Compatibility Endpoints"): no usage, finish_reason "" until it is
 * known, a role in every delta, calls whole and without type, errors as text.
 */
#include "sim/lookalike.h"

static const struct field_rule own[] = {
    {.name = STR_INIT("top_k"), .kind = FIELD_INT},
    {.name = STR_INIT("min_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("repeat_penalty"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("ttl"), .kind = FIELD_INT},
    {.name = STR_INIT("draft_model"), .kind = FIELD_STRING},
};

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_TOP && !m->stream)
        buf_add_lit(to, ",\"stats\":{}");
}

static const struct chat_style style = {
    .own = own,
    .own_count = ARRAY_LEN(own),
    .max_tokens_only = true,
    .error = STYLE_ERROR_TEXT,
    .thought = STYLE_REASONING_CONTENT,
    .usage = STYLE_USAGE_NEVER,
    .fingerprint = "simulated",
    .no_call_type = true,
    .whole_calls = true,
    .role_always = true,
    .empty_finish = true,
    .extra = extra,
};

static const struct sim_route routes[] = {LOOKALIKE_ROUTES("")};

const struct sim_surface sim_surface_lmstudio = {
    .name = "lmstudio",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
