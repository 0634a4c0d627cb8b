/*
 * xai.c - xAI's surface (xAI API reference, "Chat completions"): thoughts in "reasoning_content" that completion_tokens leaves out, a
 * tool call whole in one delta, usage on the last chunk unasked, errors as text. A model that thinks takes neither penalties nor stops.
 */
#include "codec/json.h"
#include "sim/lookalike.h"

static const struct field_rule own[] = {
    {.name = STR_INIT("search_parameters"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("deferred"), .kind = FIELD_BOOL},
};

static err_t check(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r)
{
    static const char *const without_thinking[] = {"presence_penalty", "frequency_penalty", "stop", NULL};

    for (size_t i = 0; q->reasoning_tokens > 0 && without_thinking[i]; i++)
        if (json_get(root, str_from_c(without_thinking[i])))
            return refuse(a, r, "invalid-argument", str_from_c(without_thinking[i]),
                          "Argument not supported on this model: %s", without_thinking[i]);
    return OK;
}

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_IN_USAGE)
        buf_add_lit(to, ",\"num_sources_used\":0,\"prompt_tokens_details\":{\"text_tokens\":0,\"cached_tokens\":0}");
}

static const struct chat_style style = {
    .own = own,
    .own_count = ARRAY_LEN(own),
    .check = check,
    .error = STYLE_ERROR_TEXT,
    .thought = STYLE_REASONING_CONTENT,
    .usage = STYLE_USAGE_FINISH,
    .id_prefix = "",
    .fingerprint = "fp_simulated",
    .whole_calls = true,
    .thought_not_in_completion = true,
    .extra = extra,
};

static const struct sim_route routes[] = {LOOKALIKE_ROUTES("")};

const struct sim_surface sim_surface_xai = {
    .name = "xai",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
