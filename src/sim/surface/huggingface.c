/*
 * huggingface.c - the router of Hugging Face's inference providers (Inference Providers documentation, "Chat Completion"). Whoever stands
 * behind it may answer, so this is the loosest of the look-alikes: "created" is 0, finish_reason is "" until it is known, calls come whole
 * and without index, and chunks have members of their own. A model is named "org/name", also with ":provider" behind it.
 */
#include "sim/lookalike.h"

static err_t check(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r)
{
    (void)root;
    if (str_find_char(q->model, '/') < q->model.n)
        return OK;
    return refuse(a, r, "model_not_found", STR("model"), "The requested model '%.*s' does not exist",
                  STR_ARG(q->model));
}

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_CHOICE && m->stream)
        buf_add_lit(to, ",\"text\":\"\",\"seed\":null");
    if (m->place == STYLE_MESSAGE && m->stream)
        buf_add_lit(to, ",\"token_id\":77");
}

static const struct chat_style style = {
    .max_tokens_only = true,
    .check = check,
    .thought = STYLE_REASONING_CONTENT,
    .id_prefix = "",
    .zero_created = true,
    .no_call_index = true,
    .whole_calls = true,
    .empty_finish = true,
    .extra = extra,
};

static const struct sim_route routes[] = {LOOKALIKE_CHAT_ROUTES("")};

const struct sim_surface sim_surface_huggingface = {
    .name = "huggingface",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
