/*
 * openrouter.c - OpenRouter's surface (OpenRouter API reference, "Chat completion", "Reasoning tokens", "Errors"): comments before and
 * between chunks, a role in every delta, thoughts in "reasoning" and "reasoning_details", native_finish_reason, usage with a cost on the
 * last chunk, numbers as error codes, and in a stream an error beside a choice that finished with "error".
 */
#include "codec/json.h"
#include "rt/fiber.h"
#include "sim/lookalike.h"

static const struct field_rule own[] = {
    {.name = STR_INIT("reasoning"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("include_reasoning"), .kind = FIELD_BOOL},
    {.name = STR_INIT("provider"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("models"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("plugins"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("transforms"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("usage"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("top_k"), .kind = FIELD_INT},
    {.name = STR_INIT("top_a"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("min_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("repetition_penalty"), .kind = FIELD_NUMBER, .min = 0, .max = 2},
};

static err_t check(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r)
{
    yyjson_val *reasoning = json_get(root, STR("reasoning"));
    struct str effort = json_get_str(reasoning, STR("effort"), STR_NONE);
    int64_t tokens = json_get_i64(reasoning, STR("max_tokens"), -1);

    if (effort.p && tokens >= 0)
        return refuse(a, r, NULL, STR("reasoning"),
                      "Only one of \"reasoning.effort\" and \"reasoning.max_tokens\" can be specified");
    if (reasoning && json_get(root, STR("reasoning_effort")))
        return refuse(a, r, NULL, STR("reasoning"),
                      "Only one of \"reasoning\" and \"reasoning_effort\" may be provided");
    if (tokens > 1 << 20)
        return refuse(a, r, NULL, STR("reasoning.max_tokens"), "reasoning.max_tokens is too large");
    if (effort.p)
        q->reasoning_tokens = question_effort_tokens(effort);
    else if (tokens >= 0)
        q->reasoning_tokens = (size_t)tokens;
    q->tells_thoughts =
        !json_get_bool(reasoning, STR("exclude"), false) && json_get_bool(root, STR("include_reasoning"), true);
    return OK;
}

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_TOP)
        buf_add_lit(to, ",\"provider\":\"Simulated\"");
    if (m->place == STYLE_CHOICE && m->finish)
        buf_addf(to, ",\"native_finish_reason\":\"%s\"", m->choice->finish == SIM_STOP ? "end_turn" : "completed");
    else if (m->place == STYLE_CHOICE)
        buf_add_lit(to, ",\"native_finish_reason\":null");
    if (m->place == STYLE_IN_USAGE)
        buf_addf(to, ",\"cost\":%zu.0e-6,\"is_byok\":false,\"cost_details\":{\"upstream_inference_cost\":null}",
                 m->answer->tokens);
}

static const struct chat_style style = {
    .own = own,
    .own_count = ARRAY_LEN(own),
    .check = check,
    .error = STYLE_ERROR_OPENROUTER,
    .thought = STYLE_REASONING_DETAILS,
    .usage = STYLE_USAGE_FINISH,
    .id_prefix = "gen-",
    .role_always = true,
    .prologue = STR_INIT(": OPENROUTER PROCESSING\n\n"),
    .comment = STR_INIT(": OPENROUTER PROCESSING\n\n"),
    .extra = extra,
};

/* What is known of the key that asks (OpenRouter documentation, "Limits"). */
static err_t key_endpoint(struct sim_turn *t) SUSPENDS;
static err_t key_endpoint(struct sim_turn *t)
{
    buf_add_lit(t->room, "{\"data\":{\"label\":\"simulated\",\"usage\":0,\"limit\":null,\"limit_remaining\":null,"
                         "\"is_free_tier\":false}}");
    return turn_reply_json(t, 200);
}

static const struct sim_route routes[] = {LOOKALIKE_ROUTES("/api/v1"),
                                          LOOKALIKE_ROUTES(""),
                                          {"GET", STR_INIT("/api/v1/key"), key_endpoint, NULL},
                                          {"GET", STR_INIT("/key"), key_endpoint, NULL}};

const struct sim_surface sim_surface_openrouter = {
    .name = "openrouter",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
