/*
 * route.c - from the name of a model to the deployments to try, in order.
 *
 * A configured model wins; otherwise "<provider>/<model>" reaches a provider that serves it directly. Which of its deployments is tried first is
 * choose.c's to say; here the client gets its words.
 */
#include "base/utf8.h"
#include "gateway/exchange.h"
#include "rt/loop.h"

enum { NAME_SHOWN = 200, PROVIDERS_SHOWN = 1000 };

/* Add it to a list for people, unless it is there. */
static void name_provider(struct exchange *x, const struct provider *p, struct str *list)
{
    struct str quoted = arena_printf(x->r->arena, "'%.*s' (%s)", STR_ARG(p->name), p->vendor->title);

    if (str_find(*list, quoted) < list->n)
        return;
    *list = list->n ? arena_printf(x->r->arena, "%.*s, %.*s", STR_ARG(*list), STR_ARG(quoted)) : quoted;
}

/* What is asked for, in words; of operations that are only relayed, their path says it best. */
static const char *operation_words(const struct endpoint_row *row)
{
    switch (row->operation) {
    case OP_CHAT:
        return "generation";
    case OP_EMBED:
        return "embeddings";
    case OP_RERANK:
        return "reranking";
    case OP_COUNT_TOKENS:
        return "a count of tokens";
    case OP_TOKENIZE:
        return "tokens";
    case OP_MODELS:
    case OP_MODEL:
    case OP_STATIC:
    case OP_PASS:
        break;
    }
    return row->path;
}

static err_t not_offered(const struct exchange *x, struct str name, struct str providers)
{
    return fail(E_UNSUPPORTED, "The model '%.*s' cannot be asked for %s: that is not offered by %.*s.",
                STR_ARG(utf8_prefix(name, NAME_SHOWN)), operation_words(x->endpoint.row), STR_ARG(providers));
}

/* All providers that a request for the model could go to. */
static struct str providers_of(struct exchange *x, const struct model *m)
{
    struct str names = STR_NONE;

    for (size_t i = 0; i < m->target_count && names.n < PROVIDERS_SHOWN; i++)
        name_provider(x, m->targets[i].deployment->provider, &names);
    for (size_t k = 0; k < FALLBACKS; k++)
        for (size_t i = 0; i < m->fallbacks[k].count && names.n < PROVIDERS_SHOWN; i++)
            name_provider(x, m->fallbacks[k].items[i].deployment->provider, &names);
    return names;
}

static err_t route_configured(struct exchange *x, const struct model *m)
{
    x->model = m;
    x->rules = &m->rules;
    x->route = x->snapshot->routes[m->index];
    x->facts.model_label = m->name;
    x->pool = (struct pool){.targets = m->targets, .count = m->target_count, .strategy = m->rules.strategy};
    x->chosen = choose_first(x);
    return x->chosen ? OK : not_offered(x, m->name, providers_of(x, m));
}

/* What is no configured model: its only candidate, by the rules that hold where none are written. */
static void use_only(struct exchange *x, const struct provider *p, const struct candidate *only)
{
    const struct catalog *c = x->snapshot->catalog;
    struct candidate *chosen = arena_new(x->r->arena, struct candidate);

    *chosen = *only;
    x->rules = &c->usual;
    x->route = x->snapshot->routes[c->model_count + p->index];
    x->chosen = chosen;
}

/* Metrics name what the configuration names; anything else a client thinks of is one label per provider. */
static err_t route_served(struct exchange *x, const struct provider *p, struct str name, struct str model)
{
    const struct deployment *d = map_get(&x->snapshot->catalog->deployment_by_name, name);
    struct str unable = STR_NONE;

    d = d ? d : p->any;
    x->facts.model_label = d->name;
    if (!can_be_asked(x, p)) {
        name_provider(x, p, &unable);
        return not_offered(x, name, unable);
    }
    use_only(x, p, &(struct candidate){.provider = p, .deployment = d, .model = model, .name = name, .label = d->name});
    return OK;
}

static err_t not_found(struct exchange *x, struct str name)
{
    struct str near = catalog_nearest_model(x->snapshot->catalog, name);
    struct str shown = utf8_prefix(name, NAME_SHOWN);

    if (near.n && (!x->key || api_key_allows(x->key, near)))
        return fail(E_NOT_FOUND, "The model '%.*s' does not exist. Did you mean '%.*s'?", STR_ARG(shown),
                    STR_ARG(near));
    return fail(E_NOT_FOUND,
                "The model '%.*s' does not exist or you do not have access to it. GET /v1/models lists those that do.",
                STR_ARG(shown));
}

/* May requests of this dialect go to this model as they are? */
static bool speaks(const struct model *m, const struct dialect *d)
{
    return vendor_speaks(m->targets[0].deployment->provider->vendor, d);
}

struct str route_unnamed(struct exchange *x)
{
    const struct catalog *c = x->snapshot->catalog;
    struct str named = http_request_header(x->r, STR("x-crossdock-model"));
    const struct model *only = NULL;

    if (named.n)
        return named;
    for (size_t i = 0; i < c->model_count; i++) {
        const struct model *m = &c->models[i];
        if (!speaks(m, x->endpoint.dialect) || (x->key && !api_key_allows(x->key, m->name)))
            continue;
        if (only)
            return STR_NONE;
        only = m;
    }
    return only ? only->name : STR_NONE;
}

void route_settle_unnamed(struct exchange *x)
{
    const struct catalog *c = x->snapshot->catalog;
    struct endpoint *e = &x->endpoint, other = *e;
    struct str rest;

    if (!e->other || e->row->model != MODEL_NONE || e->other_row->model != MODEL_NONE)
        return;
    endpoint_take_other(&other);
    struct str name = route_unnamed(x);
    const struct model *m = catalog_find_model(c, name);
    const struct provider *p = m ? m->targets[0].deployment->provider : catalog_find_served(c, name, &rest);
    if (!p) { /* none, or several: perhaps there is one of the other dialect */
        struct endpoint first = *e;
        *e = other;
        if (!route_unnamed(x).n)
            *e = first;
    } else if (!vendor_speaks(p->vendor, e->dialect) && vendor_speaks(p->vendor, other.dialect)) {
        *e = other;
    }
}

err_t route(struct exchange *x, struct str name)
{
    const struct catalog *c = x->snapshot->catalog;
    const struct model *m = catalog_find_model(c, name);
    struct str model;
    const struct provider *p = m ? NULL : catalog_find_served(c, name, &model);

    if (!name.n)
        return fail(E_NOT_FOUND, "This request names no model, and several may be meant: name one in the header "
                                 "x-crossdock-model. GET /v1/models lists them.");
    if (!m && !p)
        return not_found(x, name);
    if (x->key && !api_key_allows(x->key, name))
        return fail(E_FORBIDDEN, "This key may not use the model '%.*s'.", STR_ARG(utf8_prefix(name, NAME_SHOWN)));
    return m ? route_configured(x, m) : route_served(x, p, name, model);
}

err_t route_pass_through(struct exchange *x)
{
    const struct provider *p = x->snapshot->catalog->pass_through;

    if (!p)
        return fail(E_NOT_FOUND,
                    "This gateway does not offer %.*s: it is relayed only if the configuration names a provider for it "
                    "(pass_through).",
                    STR_ARG(x->facts.path));
    if (x->key && x->key->model_count)
        return fail(E_FORBIDDEN, "This key may use certain models only, and what %.*s uses cannot be told.",
                    STR_ARG(x->facts.path));
    use_only(x, p, &(struct candidate){.provider = p, .name = p->name, .label = p->name});
    return OK;
}
