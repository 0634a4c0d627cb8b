/*
 * anthropic.c - Anthropic's own service: messages, counting, models; also as Azure Foundry has it, below /anthropic.
 *
 * Keys come as x-api-key, api-key (Foundry) or Bearer. Each request names its API version in a header.
 */
#include "sim/anthropic.h"

#include "base/date.h"
#include "codec/url.h"
#include "rt/loop.h"
#include "sim/surface.h"

#include <inttypes.h>

enum { PAGE_DEFAULT = 20, PAGE_MAX = 1000, MODEL_TOKENS = 200000, ANSWER_TOKENS = 64000 };

static err_t messages_endpoint(struct sim_turn *t) SUSPENDS;
static err_t messages_endpoint(struct sim_turn *t)
{
    return anthropic_serve(t, &(struct anthropic_host){.counts = false});
}

static err_t count_endpoint(struct sim_turn *t) SUSPENDS;
static err_t count_endpoint(struct sim_turn *t)
{
    return anthropic_serve(t, &(struct anthropic_host){.counts = true});
}

/* --- models --- */

static err_t check_version(struct sim_turn *t)
{
    struct str version = http_request_header(t->r, STR("anthropic-version"));

    if (str_eq(version, ANTHROPIC_2023) || str_eq(version, ANTHROPIC_2026))
        return OK;
    if (version.n == 0)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "anthropic-version: header is required");
    return refuse(t->a, &t->refusal, NULL, STR_NONE, "anthropic-version: \"%.*s\" is not a valid version",
                  STR_ARG(version));
}

static void write_model(struct str name, struct buf *to)
{
    buf_add_lit(to, "{\"type\":\"model\",\"id\":\"");
    buf_add_json(to, name);
    buf_add_lit(to, "\",\"display_name\":\"");
    buf_add_json(to, name);
    buf_addf(
        to, "\",\"created_at\":\"2026-01-01T00:00:00Z\",\"max_input_tokens\":%d,\"max_tokens\":%d,\"capabilities\":{}}",
        MODEL_TOKENS, ANSWER_TOKENS);
}

/* The models that have a name of their own; in the arena. */
static size_t named_models(struct sim_turn *t, struct str **ret)
{
    const struct scenario *s = t->scenario;
    size_t count = 0;

    *ret = arena_alloc(t->a, (s->model_count + 1) * sizeof(**ret));
    for (size_t i = 0; i < s->model_count; i++)
        if (&s->models[i] != s->any)
            (*ret)[count++] = s->models[i].name;
    return count;
}

static size_t index_of(const struct str *names, size_t count, struct str name, size_t otherwise)
{
    for (size_t i = 0; i < count; i++)
        if (name.p && str_eq(names[i], name))
            return i;
    return otherwise;
}

static void write_page(const struct str *names, size_t from, size_t to, bool more, struct buf *b)
{
    buf_add_lit(b, "{\"data\":[");
    for (size_t i = from; i < to; i++) {
        if (i > from)
            buf_add_char(b, ',');
        write_model(names[i], b);
    }
    buf_addf(b, "],\"has_more\":%s,\"first_id\":", more ? "true" : "false");
    if (from == to) {
        buf_add_lit(b, "null,\"last_id\":null}");
        return;
    }
    buf_add_char(b, '"');
    buf_add_json(b, names[from]);
    buf_add_lit(b, "\",\"last_id\":\"");
    buf_add_json(b, names[to - 1]);
    buf_add_lit(b, "\"}");
}

static err_t list_endpoint(struct sim_turn *t) SUSPENDS;
static err_t list_endpoint(struct sim_turn *t)
{
    struct str query = t->r->head.query, limit_text = url_query_get(query, STR("limit"), t->a), *names;
    struct str after = url_query_get(query, STR("after_id"), t->a),
               before = url_query_get(query, STR("before_id"), t->a);
    uint64_t limit = PAGE_DEFAULT;

    TRY(check_version(t));
    if (limit_text.p && (!str_to_u64(limit_text, PAGE_MAX, &limit) || limit == 0))
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "limit: Input should be between 1 and %d", PAGE_MAX);
    size_t count = named_models(t, &names), end = index_of(names, count, before, count), from = 0;
    if (after.p)
        from = index_of(names, count, after, count - 1) + 1;
    if (before.p && !after.p)
        from = end > limit ? end - limit : 0;
    size_t to = from + limit < end ? from + limit : end;
    from = from < to ? from : to;
    write_page(names, from, to, before.p && !after.p ? from > 0 : to < end, t->room);
    return turn_reply_json(t, 200);
}

static err_t model_endpoint(struct sim_turn *t) SUSPENDS;
static err_t model_endpoint(struct sim_turn *t)
{
    TRY(check_version(t));
    if (!scenario_model(t->scenario, t->id))
        return refuse_status(t->a, &t->refusal, 404, NULL, "model: %.*s", STR_ARG(t->id));
    write_model(t->id, t->room);
    return turn_reply_json(t, 200);
}

/* --- the surface --- */

static bool names_version(const struct http_request *r)
{
    return http_request_header(r, STR("anthropic-version")).p != NULL;
}

static err_t check_key(struct sim_turn *t)
{
    struct str key = http_request_header(t->r, STR("x-api-key"));

    if (!key.p)
        key = http_request_header(t->r, STR("api-key"));
    if (!key.p)
        key = turn_bearer(t);
    if (turn_knows_key(t, key))
        return OK;
    return refuse_status(t->a, &t->refusal, 401, NULL,
                         key.n > 0 ? "invalid x-api-key" : "x-api-key header is required");
}

static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    char id[SIM_ID_MAX];

    anthropic_write_error(why, str_eq(http_request_header(p->r, STR("anthropic-version")), ANTHROPIC_2026),
                          str_of(id, sim_id(id, "req_", p->unique, 0)), to);
}

static void add_headers(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *to)
{
    sim_head_add_id(to, STR("request-id"), "req_", p->unique);
    sim_head_add(to, STR("anthropic-organization-id"), STR("00000000-0000-4000-8000-000000000000"));
    if (why)
        sim_head_add_span(to, p->r->arena, STR("retry-after"), why->retry_after, NS_SEC);
}

static void add_limits(const struct sim_play *p, const struct sim_limits_left *left, struct sim_head *to)
{
    static const char *const names[SIM_LIMITED] = {"requests", "tokens", "input-tokens", "output-tokens"};
    struct arena *a = p->r->arena;
    int64_t reset = (rt_wall() + (left->reset - rt_now()) + NS_SEC - 1) / NS_SEC, day = reset / 86400,
            second = reset % 86400;
    struct date d = date_of_day(day);
    struct str moment = arena_printf(a, "%04d-%02d-%02dT%02" PRId64 ":%02" PRId64 ":%02" PRId64 "Z", d.year, d.month,
                                     d.day, second / 3600, second / 60 % 60, second % 60);

    for (unsigned what = 0; what < SIM_LIMITED; what++) {
        if (!p->limit_rules->most[what])
            continue;
        sim_head_add(to, arena_printf(a, "anthropic-ratelimit-%s-limit", names[what]),
                     arena_printf(a, "%u", p->limit_rules->most[what]));
        sim_head_add(to, arena_printf(a, "anthropic-ratelimit-%s-remaining", names[what]),
                     arena_printf(a, "%" PRIu64, left->left[what]));
        sim_head_add(to, arena_printf(a, "anthropic-ratelimit-%s-reset", names[what]), moment);
    }
}

static const struct sim_route routes[] = {
    {"POST", STR_INIT("/v1/messages"), messages_endpoint, NULL},
    {"POST", STR_INIT("/v1/messages/count_tokens"), count_endpoint, NULL},
    {"GET", STR_INIT("/v1/models"), list_endpoint, names_version},
    {"GET", STR_INIT("/v1/models/{id...}"), model_endpoint, names_version},
};

const struct sim_surface sim_surface_anthropic = {
    .name = "anthropic",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .natural = true,
    .check_key = check_key,
    .write_refusal = write_refusal,
    .add_headers = add_headers,
    .add_limits = add_limits,
};
