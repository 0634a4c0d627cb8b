/* models.c - GET /v1/models and /v1/models/{id}: what this key may ask for. */
#include "base/utf8.h"
#include "codec/url.h"
#include "gateway/exchange.h"

enum { LIST_MAX = 64 * 1024 * 1024 };

/* When a model "was created": the format wants a date, a gateway has none. A constant, so that answers do not change. */
enum { CREATED = 1767225600 }; /* 2026-01-01 00:00 UTC */

static void add_model(struct buf *b, struct str id, struct str owner)
{
    buf_add_lit(b, "{\"id\":\"");
    buf_add_json(b, id);
    buf_add_lit(b, "\",\"object\":\"model\",\"created\":");
    buf_add_u64(b, CREATED);
    buf_add_lit(b, ",\"owned_by\":\"");
    buf_add_json(b, owner);
    buf_add_lit(b, "\"}");
}

static bool may_see(const struct exchange *x, struct str model)
{
    return !x->key || api_key_allows(x->key, model);
}

static void add_served(struct exchange *x, const struct provider *p, struct buf *b, bool *first)
{
    for (size_t i = 0; i < p->serves_count; i++) {
        struct str id = arena_printf(x->r->arena, "%.*s/%.*s", STR_ARG(p->name), STR_ARG(p->serves[i]));
        if (!may_see(x, id) || catalog_find_model(x->snapshot->catalog, id))
            continue;
        if (!*first)
            buf_add_char(b, ',');
        *first = false;
        add_model(b, id, p->name);
    }
}

static SUSPENDS err_t serve_list(struct exchange *x)
{
    const struct catalog *c = x->snapshot->catalog;
    struct buf b CLEANUP(buf_release) = BUF_INIT(LIST_MAX);
    bool first = true;

    buf_add_lit(&b, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < c->model_count; i++) {
        if (!may_see(x, c->models[i].name))
            continue;
        if (!first)
            buf_add_char(&b, ',');
        first = false;
        add_model(&b, c->models[i].name, STR("crossdock"));
    }
    for (size_t i = 0; i < c->provider_count; i++)
        add_served(x, &c->providers[i], &b, &first);
    buf_add_lit(&b, "]}");
    TRY(buf_status(&b));
    return reply_json(x, 200, buf_str(&b));
}

static SUSPENDS err_t serve_one(struct exchange *x)
{
    const struct catalog *c = x->snapshot->catalog;
    struct buf b CLEANUP(buf_release) = BUF_INIT(LIST_MAX);
    struct str id, rest;
    const struct provider *served;

    TRY(url_decode(x->endpoint.model, x->r->arena, &id));
    served = catalog_find_served(c, id, &rest);
    if (!may_see(x, id) || (!catalog_find_model(c, id) && !served)) {
        struct api_error e = {
            .status = 404,
            .message = arena_printf(x->r->arena, "The model '%.*s' does not exist or you do not have access to it.",
                                    STR_ARG(utf8_prefix(id, 200))),
            .code = "model_not_found",
            .param = STR("model")};
        x->facts.error = E_NOT_FOUND;
        return reply_error(x, &e);
    }
    add_model(&b, id, catalog_find_model(c, id) ? STR("crossdock") : served->name);
    TRY(buf_status(&b));
    return reply_json(x, 200, buf_str(&b));
}

err_t serve_models(struct exchange *x)
{
    return x->endpoint.kind == ENDPOINT_MODEL_LIST ? serve_list(x) : serve_one(x);
}
