/*
 * nvidia.c - NVIDIA NIM's surface (NVIDIA API reference, "Chat completions"): no "created", "content":null on chunks without text, usage
 * on the last chunk unasked, errors as problem documents (RFC 9457). prompt_cache_key, max_completion_tokens and what it does not know
 * are refused, as by its strictest containers.
 */
#include "sim/lookalike.h"

static const char *const refused[] = {"parallel_tool_calls", "store", "user", "metadata", "prompt_cache_key", NULL};

static const struct field_rule own[] = {
    {.name = STR_INIT("nvext"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("chat_template_kwargs"), .kind = FIELD_OBJECT},
};

static const struct chat_style style = {
    .refused = refused,
    .own = own,
    .own_count = ARRAY_LEN(own),
    .strict = true,
    .max_tokens_only = true,
    .error = STYLE_ERROR_PROBLEM,
    .thought = STYLE_REASONING_CONTENT,
    .usage = STYLE_USAGE_FINISH,
    .no_created = true,
    .null_content = true,
};

static const struct sim_route routes[] = {LOOKALIKE_ROUTES("")};

const struct sim_surface sim_surface_nvidia = {
    .name = "nvidia",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
