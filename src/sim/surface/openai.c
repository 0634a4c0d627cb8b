/*
 * openai.c - the OpenAI surface: Chat Completions, Responses, legacy completions, embeddings, files, sounds, images; and the counts.
 *
 * Its slots are what other surfaces have where they name none. The endpoints are in src/sim; this is the table of their paths.
 */
#include "rt/loop.h"
#include "sim/surface.h"

#include <inttypes.h>

static const struct sim_route routes[] = {
    {"POST", STR_INIT("/chat/completions"), chat_endpoint, NULL},
    {"POST", STR_INIT("/responses"), responses_create_endpoint, NULL},
    {"POST", STR_INIT("/responses/input_tokens"), responses_count_endpoint, NULL},
    {"GET", STR_INIT("/responses/{id}"), responses_get_endpoint, NULL},
    {"DELETE", STR_INIT("/responses/{id}"), responses_delete_endpoint, NULL},
    {"POST", STR_INIT("/responses/{id}/cancel"), responses_cancel_endpoint, NULL},
    {"GET", STR_INIT("/responses/{id}/input_items"), responses_items_endpoint, NULL},
    {"POST", STR_INIT("/completions"), completions_endpoint, NULL},
    {"POST", STR_INIT("/embeddings"), embeddings_endpoint, NULL},
    {"GET", STR_INIT("/models"), models_list_endpoint, NULL},
    {"GET", STR_INIT("/models/{id...}"), models_get_endpoint, NULL},
    {"POST", STR_INIT("/moderations"), moderations_endpoint, NULL},
    {"POST", STR_INIT("/files"), files_create_endpoint, NULL},
    {"GET", STR_INIT("/files"), files_list_endpoint, NULL},
    {"GET", STR_INIT("/files/{id}"), files_get_endpoint, NULL},
    {"DELETE", STR_INIT("/files/{id}"), files_delete_endpoint, NULL},
    {"GET", STR_INIT("/files/{id}/content"), files_content_endpoint, NULL},
    {"POST", STR_INIT("/audio/speech"), speech_endpoint, NULL},
    {"POST", STR_INIT("/audio/transcriptions"), transcriptions_endpoint, NULL},
    {"POST", STR_INIT("/audio/translations"), transcriptions_endpoint, NULL},
    {"POST", STR_INIT("/images/generations"), images_endpoint, NULL},
    {"GET", STR_INIT("/sim/stats"), stats_endpoint, NULL},
};

static err_t check_key(struct sim_turn *t)
{
    struct str key = turn_bearer(t);

    if (turn_knows_key(t, key))
        return OK;
    if (key.n == 0)
        return refuse_status(
            t->a, &t->refusal, 401, NULL,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using "
            "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).");
    return refuse_status(t->a, &t->refusal, 401, "invalid_api_key", "Incorrect API key provided: %.*s***.",
                         STR_ARG(str_slice(key, 0, key.n < 12 ? 0 : 3)));
}

static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    (void)p;
    refusal_write(to, why);
}

static void add_headers(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *h)
{
    sim_head_add_id(h, STR("x-request-id"), "req_", p->unique);
    sim_head_add(h, STR("openai-version"), STR("2020-10-01"));
    if (!why)
        return;
    sim_head_add_span(h, p->r->arena, STR("retry-after"), why->retry_after, NS_SEC);
    sim_head_add_span(h, p->r->arena, STR("retry-after-ms"), why->retry_after, NS_MS);
}

static void add_limit(const struct sim_play *p, const struct sim_limits_left *left, enum sim_limited what,
                      const char *name, struct sim_head *h)
{
    struct arena *a = p->r->arena;
    ns_t rest = left->reset - rt_now();

    if (!p->limit_rules->most[what])
        return;
    sim_head_add(h, arena_printf(a, "x-ratelimit-limit-%s", name), arena_printf(a, "%u", p->limit_rules->most[what]));
    sim_head_add(h, arena_printf(a, "x-ratelimit-remaining-%s", name), arena_printf(a, "%" PRIu64, left->left[what]));
    sim_head_add(h, arena_printf(a, "x-ratelimit-reset-%s", name),
                 arena_printf(a, "%" PRId64 "ms", (rest + NS_MS - 1) / NS_MS));
}

static void add_limits(const struct sim_play *p, const struct sim_limits_left *left, struct sim_head *h)
{
    add_limit(p, left, SIM_REQUESTS, "requests", h);
    add_limit(p, left, SIM_TOKENS, "tokens", h);
}

const struct sim_surface sim_surface_openai = {
    .name = "openai",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .natural = true,
    .base = STR_INIT("/v1"),
    .check_key = check_key,
    .write_refusal = write_refusal,
    .add_headers = add_headers,
    .add_limits = add_limits,
};
