/*
 * azure.c - Azure OpenAI's surface (Azure OpenAI REST API reference, 2024-10-21 and v1): deployments in the path with an api-version, or
 * the v1 paths with the deployment as model; the key in "api-key".
 *
 * Answers carry the verdicts of the content filters: a stream begins with a chunk that has no choice. A message that holds "SIMULATE_BLOCKED_PROMPT"
 * is refused by them, one that holds "SIMULATE_BLOCKED_ANSWER" has its answer end with "content_filter". API versions before 2024-09 do not know
 * stream_options.
 */
#include "codec/url.h"
#include "sim/lookalike.h"

#define SAFE(name) "\"" name "\":{\"filtered\":false,\"severity\":\"safe\"}"
#define VERDICTS SAFE("hate") "," SAFE("self_harm") "," SAFE("sexual") "," SAFE("violence")
#define PROMPT_VERDICTS                                                                                                \
    "\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{" VERDICTS                             \
    ",\"jailbreak\":{\"filtered\":false,\"detected\":false}}}]"

static err_t check(struct arena *a, yyjson_val *root, struct question *q, struct sim_refusal *r)
{
    (void)root;
    if (lookalike_has_trigger(q, STR("SIMULATE_BLOCKED_PROMPT")))
        return refuse(
            a, r, "content_filter", STR_NONE,
            "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
            "Please modify your prompt and retry.");
    return OK;
}

static struct str finish(const struct question *q, const struct sim_choice *c)
{
    return lookalike_has_trigger(q, STR("SIMULATE_BLOCKED_ANSWER")) ? STR("content_filter")
                                                                    : sim_finish_name(c->finish);
}

static void extra(const struct style_moment *m, struct buf *to)
{
    if (m->place == STYLE_TOP && !m->stream)
        buf_add_lit(to, "," PROMPT_VERDICTS);
    if (m->place == STYLE_CHOICE && m->first && m->stream)
        buf_add_lit(to, ",\"content_filter_results\":{}");
    else if (m->place == STYLE_CHOICE && m->finish && lookalike_has_trigger(m->q, STR("SIMULATE_BLOCKED_ANSWER")))
        buf_add_lit(to, ",\"content_filter_results\":{" VERDICTS
                        ",\"protected_material_text\":{\"filtered\":true,\"detected\":true}}");
    else if (m->place == STYLE_CHOICE)
        buf_add_lit(to, ",\"content_filter_results\":{" VERDICTS "}");
}

#define STYLE                                                                                                          \
    .check = check, .error = STYLE_ERROR_AZURE, .fingerprint = "fp_simulated", .extra = extra, .finish = finish,       \
    .prologue = STR_INIT(                                                                                              \
        "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\"," PROMPT_VERDICTS "}\n\n")

static const char *const not_before[] = {"stream_options", NULL};
static const struct chat_style style = {STYLE};
static const struct chat_style old_style = {STYLE, .refused = not_before};

/* --- keys and headers --- */

static err_t check_key(struct sim_turn *t)
{
    struct str key = http_head_get(&t->r->head, HDR_API_KEY);

    if (!key.p)
        key = turn_bearer(t);
    if (key.n == 0)
        key = url_query_get(t->r->head.query, STR("subscription-key"), t->a);
    if (turn_knows_key(t, key))
        return OK;
    return refuse_status(
        t->a, &t->refusal, 401, NULL,
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid "
        "key for an active subscription and use a correct regional API endpoint for your resource.");
}

static void add_headers(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *to)
{
    sim_head_add_id(to, STR("apim-request-id"), "", p->unique);
    sim_head_add(to, STR("x-ms-region"), STR("Simulated"));
    sim_head_add(to, STR("x-ratelimit-remaining-requests"), why && why->status == 429 ? STR("0") : STR("99"));
    sim_head_add(to, STR("x-ratelimit-remaining-tokens"), STR("-1"));
    if (!why)
        return;
    sim_head_add_span(to, p->r->arena, STR("retry-after"), why->retry_after, NS_SEC);
    sim_head_add_span(to, p->r->arena, STR("retry-after-ms"), why->retry_after, NS_MS);
}

/* --- endpoints --- */

/* What the dated paths ask for: a version, and the deployment as model whatever the body says. *ret_old: before 2024-09. */
static err_t enter(struct sim_turn *t, bool *ret_old)
{
    struct str version = url_query_get(t->r->head.query, STR("api-version"), t->a);

    if (version.n == 0)
        return refuse_status(t->a, &t->refusal, 404, "404", "Resource not found");
    *ret_old = str_cmp(version, STR("2024-09")) < 0;
    t->model = t->id;
    return OK;
}

static err_t dated_chat_endpoint(struct sim_turn *t) SUSPENDS;
static err_t dated_chat_endpoint(struct sim_turn *t)
{
    bool old = false;

    TRY(enter(t, &old));
    return lookalike_chat(t, old ? &old_style : &style);
}

static err_t dated_completions_endpoint(struct sim_turn *t) SUSPENDS;
static err_t dated_completions_endpoint(struct sim_turn *t)
{
    bool old = false;

    TRY(enter(t, &old));
    return completions_endpoint(t);
}

static err_t dated_embeddings_endpoint(struct sim_turn *t) SUSPENDS;
static err_t dated_embeddings_endpoint(struct sim_turn *t)
{
    bool old = false;

    TRY(enter(t, &old));
    return embeddings_endpoint(t);
}

static const struct sim_route routes[] = {
    {"POST", STR_INIT("/openai/deployments/{id}/chat/completions"), dated_chat_endpoint, NULL},
    {"POST", STR_INIT("/openai/deployments/{id}/completions"), dated_completions_endpoint, NULL},
    {"POST", STR_INIT("/openai/deployments/{id}/embeddings"), dated_embeddings_endpoint, NULL},
    {"GET", STR_INIT("/openai/models"), models_list_endpoint, NULL},
    LOOKALIKE_ROUTES("/openai/v1"),
};

const struct sim_surface sim_surface_azure = {
    .name = "azure",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .natural = true,
    .style = &style,
    .check_key = check_key,
    .write_refusal = lookalike_write_refusal,
    .add_headers = add_headers,
};
