/*
 * together.c - Together's surface (Together API reference, "Create chat completion"): every delta has a role, chunks carry "text", "seed"
 * and "token_id" of their own, usage comes on the last chunk unasked. Only max_tokens is known.
 */
#include "sim/lookalike.h"

static const struct field_rule own[] = {
    {.name = STR_INIT("top_k"), .kind = FIELD_INT},
    {.name = STR_INIT("min_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("repetition_penalty"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("context_length_exceeded_behavior"),
     .kind = FIELD_ENUM,
     .choices = (const char *const[]){"truncate", "error", NULL}},
    {.name = STR_INIT("safety_model"), .kind = FIELD_STRING},
    {.name = STR_INIT("logprobs"), .kind = FIELD_INT, .min = 0, .max = 20},
};

static const char *const unread[] = {"logprobs", NULL};

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_TOP && !m->stream)
        buf_add_lit(to, ",\"prompt\":[]");
    if (m->place == STYLE_CHOICE)
        buf_add(to, m->stream ? STR(",\"text\":\"\",\"seed\":null") : STR(",\"seed\":4711"));
    if (m->place == STYLE_MESSAGE && m->stream)
        buf_add(to, m->finish ? STR(",\"token_id\":128009") : STR(",\"token_id\":1234"));
}

static const struct chat_style style = {
    .own = own,
    .own_count = ARRAY_LEN(own),
    .unread = unread,
    .max_tokens_only = true,
    .thought = STYLE_REASONING,
    .usage = STYLE_USAGE_FINISH,
    .id_prefix = "",
    .role_always = true,
    .extra = extra,
};

static const struct sim_route routes[] = {LOOKALIKE_ROUTES("")};

const struct sim_surface sim_surface_together = {
    .name = "together",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .base = STR_INIT("/v1"),
    .style = &style,
    .write_refusal = lookalike_write_refusal,
    .add_headers = lookalike_add_headers,
};
