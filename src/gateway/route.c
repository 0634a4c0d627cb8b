/*
 * route.c - from the name of a model to the deployments to try, in order.
 *
 * A configured model wins; otherwise "<provider>/<model>" reaches a provider that serves it directly. Which of its deployments is tried first is
 * choose.c's to say; here the client gets its words.
 */
#include "base/utf8.h"
#include "gateway/needs.h"
#include "gateway/resolve.h"
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

/* Is it one of the rules that keep the request from going there, and not what the provider offers or how it fares? */
static bool is_ruled_out(struct exchange *x, const struct deployment *d)
{
    return can_be_asked(x, d->provider) && candidate_rules(x, d) != EXCLUDED_NOT;
}

/* None of the model's deployments can be had: why, by the first that a rule keeps away. */
static err_t refuse_model(struct exchange *x, const struct model *m)
{
    struct str name = m->is_wildcard ? utf8_prefix(x->facts.model, NAME_SHOWN) : m->name;

    for (size_t i = 0; i < m->target_count; i++)
        if (is_ruled_out(x, m->targets[i].deployment))
            return rules_refuse(x, name, m->targets[i].deployment);
    for (size_t k = 0; k < FALLBACKS; k++)
        for (size_t i = 0; i < m->fallbacks[k].count; i++)
            if (is_ruled_out(x, m->fallbacks[k].items[i].deployment))
                return rules_refuse(x, name, m->fallbacks[k].items[i].deployment);
    return not_offered(x, name, providers_of(x, m));
}

static err_t route_configured(struct exchange *x, const struct model *m)
{
    x->rules = &m->rules;
    x->route = x->snapshot->routes[m->index];
    x->facts.model_label = m->name;
    TRY(resolve_overrides(x, &m));
    x->model = m;
    choose_targets(x);
    if (!x->sticky && m->rules.strategy == &strategy_sticky)
        x->sticky = conversation_of(x);
    x->chosen = choose_first(x);
    if (!x->chosen && credentials_wait(x) != NS_NEVER)
        return fail(E_AGAIN, "no credential may be used for the model now");
    if (!x->chosen)
        x->chosen = choose_at_last(x);
    return x->chosen ? OK : refuse_model(x, m);
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

/* A provider's deployment, by its name. What the client decided may give it fallbacks. */
static err_t route_served(struct exchange *x, const struct deployment *d)
{
    struct str unable = STR_NONE;
    const struct model *m = NULL;

    x->facts.model_label = d->label;
    x->forgone = NEEDS_TO_FORGO; /* the client chose it */
    TRY(resolve_overrides(x, &m));
    x->model = m;
    use_only(x, d->provider,
             &(struct candidate){
                 .provider = d->provider, .deployment = d, .model = d->model, .name = d->name, .label = d->label});
    if (can_be_asked(x, d->provider) && candidate_rules(x, d) == EXCLUDED_NOT)
        return OK;
    x->chosen = m ? choose_first(x) : NULL;
    if (x->chosen)
        return OK;
    if (can_be_asked(x, d->provider))
        return rules_refuse(x, d->name, d);
    name_provider(x, d->provider, &unable);
    return not_offered(x, d->name, unable);
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
        if (m->is_wildcard || !speaks(m, x->endpoint.dialect) || (x->key && !api_key_allows(x->key, m->name)))
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
    const struct model *m = catalog_match_model(c, name, &rest);
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
    struct resolved r;

    if (x->overrides.model_count)
        name = x->overrides.models[0];
    if (!name.n)
        return fail(E_NOT_FOUND, "This request names no model, and several may be meant: name one in the header "
                                 "x-crossdock-model. GET /v1/models lists them.");
    rules_begin(x);
    if (x->overrides.session.n)
        x->sticky = str_hash(x->overrides.session);
    TRY(resolve(x, name, &r));
    return r.model ? route_configured(x, r.model) : route_served(x, r.served);
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
    rules_begin(x);
    if (rules_of_provider(x, p) != EXCLUDED_NOT)
        return fail(E_FORBIDDEN,
                    "The provider '%.*s', which %.*s is relayed to, does not have all tags that this key or the "
                    "header x-crossdock-require requires.",
                    STR_ARG(p->name), STR_ARG(x->facts.path));
    use_only(x, p, &(struct candidate){.provider = p, .name = p->name, .label = p->name});
    return OK;
}
