/* models.c - GET /v1/models and /v1/models/{id}: what this key may ask for. */
#include "base/utf8.h"
#include "gateway/exchange.h"

enum { LIST_MAX = 64 * 1024 * 1024 };

/* When a model "was created": the format wants a date, a gateway has none. A constant, so that answers do not change. */
enum { CREATED = 1767225600 }; /* 2026-01-01 00:00 UTC */

struct card_list {
    struct model_card *cards;
    size_t n;
};

static void add_card(struct card_list *to, struct str id, struct str owner)
{
    to->cards[to->n++] = (struct model_card){.id = id, .owner = owner, .created = CREATED};
}

static bool may_see(const struct exchange *x, struct str model)
{
    return !x->key || api_key_allows(x->key, model);
}

static void add_served(struct exchange *x, const struct provider *p, struct card_list *to)
{
    for (size_t i = 0; i < p->serves_count; i++) {
        struct str id = arena_printf(x->r->arena, "%.*s/%.*s", STR_ARG(p->name), STR_ARG(p->serves[i]));
        if (!may_see(x, id) || catalog_find_model(x->snapshot->catalog, id))
            continue;
        add_card(to, id, p->name);
    }
}

/* A model by each of its names. What a wildcard stands for, nobody can list. */
static void add_model(const struct exchange *x, const struct model *m, struct card_list *to)
{
    bool seen = may_see(x, m->name);

    if (m->is_wildcard)
        return;
    if (seen)
        add_card(to, m->name, STR("crossdock"));
    for (size_t i = 0; i < m->alias_count; i++)
        if (seen || may_see(x, m->aliases[i]))
            add_card(to, m->aliases[i], STR("crossdock"));
}

static SUSPENDS err_t serve_list(struct exchange *x)
{
    const struct catalog *c = x->snapshot->catalog;
    struct buf b CLEANUP(buf_release) = BUF_INIT(LIST_MAX);
    size_t most = c->model_count;

    for (size_t i = 0; i < c->model_count; i++)
        most += c->models[i].alias_count;
    for (size_t i = 0; i < c->provider_count; i++)
        most += c->providers[i].serves_count;
    struct card_list list = {.cards = arena_alloc(x->r->arena, (most + 1) * sizeof *list.cards)};
    for (size_t i = 0; i < c->model_count; i++)
        add_model(x, &c->models[i], &list);
    for (size_t i = 0; i < c->provider_count; i++)
        add_served(x, &c->providers[i], &list);
    TRY(x->endpoint.dialect->client.write_models(translation_of(x), list.cards, list.n, &b));
    TRY(buf_status(&b));
    return reply_json(x, 200, buf_str(&b));
}

static SUSPENDS err_t serve_one(struct exchange *x)
{
    const struct catalog *c = x->snapshot->catalog;
    struct buf b CLEANUP(buf_release) = BUF_INIT(LIST_MAX);
    struct str id = x->endpoint.model, rest;
    const struct provider *served;

    const struct model *m = catalog_match_model(c, id, &rest);

    served = catalog_find_served(c, id, &rest);
    if (!(may_see(x, id) || (m && may_see(x, m->name))) || (!m && !served)) {
        struct api_error e = {
            .status = 404,
            .message = arena_printf(x->r->arena, "The model '%.*s' does not exist or you do not have access to it.",
                                    STR_ARG(utf8_prefix(id, 200))),
            .code = "model_not_found",
            .param = STR("model")};
        x->facts.error = E_NOT_FOUND;
        return reply_error(x, &e);
    }
    const struct provider *p = m ? m->targets[0].deployment->provider : served;
    struct model_card card = {
        .id = id, .owner = m ? STR("crossdock") : served->name, .created = CREATED, .dialect = p->dialect};
    TRY(x->endpoint.dialect->client.write_model(translation_of(x), &card, &b));
    TRY(buf_status(&b));
    return reply_json(x, 200, buf_str(&b));
}

err_t serve_models(struct exchange *x)
{
    return x->endpoint.row->operation == OP_MODELS ? serve_list(x) : serve_one(x);
}
