/*
 * perplexity.c - Perplexity's surface (Perplexity API reference, "Chat Completions"): usage and a role on every chunk, citations, and no
 * [DONE]. Behind the system messages, user (or tools) and assistant take turns, and the user has the last word.
 */
#include "codec/json.h"
#include "sim/lookalike.h"

static const char *const refused[] = {"stream_options", "seed", "logit_bias", "user", "metadata", "store", NULL};

static const struct field_rule own[] = {
    {.name = STR_INIT("search_domain_filter"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("search_recency_filter"), .kind = FIELD_STRING},
    {.name = STR_INIT("return_images"), .kind = FIELD_BOOL},
    {.name = STR_INIT("return_related_questions"), .kind = FIELD_BOOL},
    {.name = STR_INIT("top_k"), .kind = FIELD_INT, .min = 0, .max = 2048},
};

static err_t check(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r)
{
    yyjson_val *message;
    size_t i, n;
    bool user_next = true, begun = false, after_tool = false;

    (void)q;
    yyjson_arr_foreach(json_get(root, STR("messages")), i, n, message)
    {
        struct str role = json_get_str(message, STR("role"), STR_NONE);
        if (str_eq(role, STR("system")) && !begun)
            continue;
        begun = true;
        if (str_eq(role, STR("tool")) && (user_next || after_tool)) {
            after_tool = true;
            user_next = false;
            continue;
        }
        after_tool = false;
        if (!str_eq(role, user_next ? STR("user") : STR("assistant")))
            return refuse(a, r, "invalid_message", STR_NONE,
                          "After the (optional) system message(s), user or tool message(s) should alternate with "
                          "assistant message(s).");
        user_next = !user_next;
    }
    if (user_next)
        return refuse(a, r, "invalid_message", STR_NONE, "Last message must have role `user`.");
    return OK;
}

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_TOP)
        buf_add_lit(to,
                    ",\"citations\":[\"https://example.com/simulated\"],\"search_results\":[{\"title\":\"Simulated\","
                    "\"url\":\"https://example.com/simulated\",\"date\":null}]");
    if (m->place == STYLE_IN_USAGE)
        buf_add_lit(to, ",\"search_context_size\":\"low\",\"cost\":{\"total_cost\":0.005}");
}

static const struct chat_style style = {
    .refused = refused,
    .own = own,
    .own_count = ARRAY_LEN(own),
    .max_tokens_only = true,
    .check = check,
    .error = STYLE_ERROR_INT_CODE,
    .usage = STYLE_USAGE_EVERY,
    .id_prefix = "",
    .role_always = true,
    .no_done = true,
    .extra = extra,
};

static const struct sim_route routes[] = {LOOKALIKE_CHAT_ROUTES("")};

const struct sim_surface sim_surface_perplexity = {
    .name = "perplexity",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
