/*
 * deepseek.c - DeepSeek's surface (DeepSeek API documentation, "Create Chat Completion", "Thinking Mode"): thoughts in
 * "reasoning_content", comments that keep the stream alive, cache hits and misses in usage, which comes on the last chunk unasked.
 *
 * While it thinks, the calls of a tool loop that is still going on must come back with their reasoning_content. JSON schemas are refused.
 * A message that holds "SIMULATE_NO_RESOURCES" is answered with finish_reason "insufficient_system_resource".
 */
#include "codec/json.h"
#include "sim/lookalike.h"

enum { USUAL_THINKING = 16 };

static const struct field_rule own[] = {
    {.name = STR_INIT("thinking"), .kind = FIELD_OBJECT},
};

static bool is_role(yyjson_val *message, struct str role)
{
    return str_eq(json_get_str(message, STR("role"), STR_NONE), role);
}

/* Since the last user message, each assistant message with calls must hold what it thought. */
static err_t check_tool_loop(struct arena *a, yyjson_val *messages, struct sim_refusal *r)
{
    yyjson_val *message;
    size_t i, n, missing = SIZE_MAX;

    yyjson_arr_foreach(messages, i, n, message)
    {
        if (is_role(message, STR("user")))
            missing = SIZE_MAX;
        else if (is_role(message, STR("assistant")) && json_get(message, STR("tool_calls")) &&
                 !json_get_str(message, STR("reasoning_content"), STR_NONE).p && missing == SIZE_MAX)
            missing = i;
    }
    if (missing == SIZE_MAX)
        return OK;
    return refuse(a, r, "invalid_request_error", STR_NONE,
                  "Missing `reasoning_content` field in the assistant message at message index %zu.", missing);
}

static err_t check(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r)
{
    struct str thinking = json_get_str(json_get(root, STR("thinking")), STR("type"), STR("disabled"));

    if (!str_eq(thinking, STR("enabled")) && !str_eq(thinking, STR("disabled")))
        return refuse(a, r, "invalid_request_error", STR_NONE, "thinking.type: unknown variant `%.*s`.",
                      STR_ARG(thinking));
    if (q->format == SIM_JSON_SCHEMA)
        return refuse(a, r, "invalid_request_error", STR_NONE, "This response_format type is unavailable now");
    TRY(lookalike_one_choice(a, q, r));
    if (str_eq(thinking, STR("enabled")) && q->reasoning_tokens == 0)
        q->reasoning_tokens = USUAL_THINKING;
    return q->reasoning_tokens > 0 ? check_tool_loop(a, json_get(root, STR("messages")), r) : OK;
}

static struct str finish(const struct question *q, const struct sim_choice *c)
{
    return lookalike_has_trigger(q, STR("SIMULATE_NO_RESOURCES")) ? STR("insufficient_system_resource")
                                                                  : sim_finish_name(c->finish);
}

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_IN_USAGE)
        buf_addf(to,
                 ",\"prompt_tokens_details\":{\"cached_tokens\":0},\"prompt_cache_hit_tokens\":0,"
                 "\"prompt_cache_miss_tokens\":%zu",
                 m->q->prompt_tokens);
}

static const struct chat_style style = {
    .own = own,
    .own_count = ARRAY_LEN(own),
    .max_tokens_only = true,
    .check = check,
    .thought = STYLE_REASONING_CONTENT,
    .usage = STYLE_USAGE_FINISH,
    .id_prefix = "",
    .fingerprint = "fp_simulated",
    .prologue = STR_INIT(": keep-alive\n\n"),
    .comment = STR_INIT(": keep-alive\n\n"),
    .extra = extra,
    .finish = finish,
};

static const struct sim_route routes[] = {LOOKALIKE_CHAT_ROUTES(""), LOOKALIKE_CHAT_ROUTES("/beta")};

const struct sim_surface sim_surface_deepseek = {
    .name = "deepseek",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
