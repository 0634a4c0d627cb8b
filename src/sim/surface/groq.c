/*
 * groq.c - Groq's surface (Groq API reference, "OpenAI compatibility"): thoughts in "reasoning", a tool call whole in one delta, usage in
 * x_groq of the last chunk; one choice only, no log-probabilities, no names of messages; fields that it does not know are refused.
 *
 * A message that holds "SIMULATE_FAILED_GENERATION" is answered as a tool call that the model did not manage: 400 with failed_generation.
 */
#include "codec/json.h"
#include "sim/lookalike.h"

static const char *const refused[] = {"logprobs", "top_logprobs", "logit_bias", NULL};
static const char *const formats[] = {"parsed", "raw", "hidden", NULL};

static const struct field_rule own[] = {
    {.name = STR_INIT("reasoning_format"), .kind = FIELD_ENUM, .choices = formats},
    {.name = STR_INIT("include_reasoning"), .kind = FIELD_BOOL},
    {.name = STR_INIT("citation_options"), .kind = FIELD_ANY},
    {.name = STR_INIT("disable_tool_validation"), .kind = FIELD_BOOL},
    {.name = STR_INIT("documents"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("search_settings"), .kind = FIELD_OBJECT},
};

static err_t check(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r)
{
    yyjson_val *message;
    size_t i, n;

    TRY(lookalike_one_choice(a, q, r));
    yyjson_arr_foreach(json_get(root, STR("messages")), i, n, message)
    {
        if (json_get(message, STR("name")))
            return refuse(a, r, NULL, STR_NONE, "'messages.%zu' : property 'name' is unsupported.", i);
    }
    if (json_get(root, STR("reasoning_format")) && json_get(root, STR("include_reasoning")))
        return refuse(a, r, NULL, STR_NONE, "cannot specify both 'include_reasoning' and 'reasoning_format'.");
    q->tells_thoughts = !str_eq(json_get_str(root, STR("reasoning_format"), STR("parsed")), STR("hidden")) &&
                        json_get_bool(root, STR("include_reasoning"), true);
    if (lookalike_has_trigger(q, STR("SIMULATE_FAILED_GENERATION")))
        return refuse(
            a, r, "tool_use_failed", STR_NONE,
            "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.");
    return OK;
}

static void extra(const struct style_moment *m, struct buf *to)
{
    char id[SIM_ID_MAX];

    if (m->place == STYLE_IN_USAGE)
        buf_add_lit(to, ",\"queue_time\":0.001,\"prompt_time\":0.002,\"completion_time\":0.003,\"total_time\":0.005");
    if (m->place != STYLE_TOP || !(m->first || m->last))
        return;
    buf_addf(to, ",\"x_groq\":{\"id\":\"%.*s\"", (int)sim_id(id, "req_", m->mark->unique, 0), id);
    if (m->last && m->stream)
        buf_addf(
            to,
            ",\"usage\":{\"queue_time\":0.001,\"prompt_tokens\":%zu,\"prompt_time\":0.002,\"completion_tokens\":%zu,"
            "\"completion_time\":0.003,\"total_tokens\":%zu,\"total_time\":0.005}",
            m->q->prompt_tokens, m->answer->tokens, m->q->prompt_tokens + m->answer->tokens);
    buf_add_char(to, '}');
}

static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    lookalike_write_refusal(p, why, to);
    if (!why->code || strcmp(why->code, "tool_use_failed") != 0)
        return;
    to->n -= 2; /* both braces */
    buf_add_lit(to, ",\"failed_generation\":\"<tool-use>{\\\"simulated\\\": tru\"}}");
}

static const struct chat_style style = {
    .refused = refused,
    .own = own,
    .own_count = ARRAY_LEN(own),
    .strict = true,
    .check = check,
    .thought = STYLE_REASONING,
    .fingerprint = "fp_simulated",
    .whole_calls = true,
    .extra = extra,
};

static const struct sim_route routes[] = {LOOKALIKE_CHAT_ROUTES("/openai/v1"), LOOKALIKE_CHAT_ROUTES("")};

const struct sim_surface sim_surface_groq = {
    .name = "groq",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = write_refusal,
    .add_headers = lookalike_add_headers,
};
