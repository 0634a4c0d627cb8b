/*
 * resolve.c - names to models: rules first, then exact names and aliases, then wildcards and what providers serve.
 *
 * A configured model is found before what a provider serves under the same name. Among wildcards and providers the more precise wins: a wildcard like
 * "openai/gpt-*" or one of the provider's own prefix goes before the provider, a shorter one ("*") behind it.
 *
 * A wildcard, and a provider that serves all, stand for deployments that no configuration lists. One is made for the request, in its arena: a copy with
 * the names in place of the '*', and what the book of models knows. It keeps index and label of what it was made of, so that state and metrics have one
 * entry, whatever clients think of. Where the configuration has a deployment of that very name, it is that one.
 *
 * Whether a key may use a model is decided by the name that the client asked for, or for an alias by the model's own name: a rule that sends the
 * request elsewhere is the operator's word.
 */
#include "gateway/resolve.h"

#include "base/utf8.h"
#include "fleet/model_book.h"

enum { NAME_SHOWN = 200, FURTHER_MAX = 16 };

/* --- deployments of a pattern --- */

/* What the book knows of the model, where the configuration says nothing for all of its provider's. */
static void add_facts(struct deployment *d)
{
    const struct model_facts *book = d->provider->vendor ? model_book_find(d->provider->vendor, d->model) : NULL;

    if (!book)
        return;
    d->lacks |= book->lacks & ~d->has;
    d->context_tokens = d->context_tokens ? d->context_tokens : book->context_tokens;
    d->max_output_tokens = d->max_output_tokens ? d->max_output_tokens : book->max_output_tokens;
    if (!d->price) {
        d->price = book->price;
        d->price_as_of = book->as_of;
        d->price_source = book->source;
    }
}

/* `d` itself, or the deployment that its pattern stands for where '*' is `rest`: the catalog's, if it has one of that name. */
static const struct deployment *deployment_for(struct exchange *x, const struct deployment *d, struct str rest)
{
    struct arena *a = x->r->arena;
    size_t star = str_find_char(d->model, '*');

    if (!d->is_pattern)
        return d;
    struct str name = arena_printf(a, "%.*s/%.*s%.*s%.*s", STR_ARG(d->provider->name), (int)star, d->model.p,
                                   STR_ARG(rest), STR_ARG(str_slice(d->model, star + 1, d->model.n)));
    const struct deployment *known = map_get(&x->snapshot->catalog->deployment_by_name, name);
    if (known && !known->is_pattern)
        return known;
    struct deployment *made = arena_alloc(a, sizeof *made);
    *made = *d;
    made->is_pattern = false;
    made->name = name;
    made->model = str_slice(name, d->provider->name.n + 1, name.n);
    add_facts(made);
    return made;
}

static struct target *targets_for(struct exchange *x, const struct target *targets, size_t count, struct str rest)
{
    struct target *made = arena_alloc(x->r->arena, count * sizeof *made);

    for (size_t i = 0; i < count; i++) {
        made[i] = targets[i];
        made[i].deployment = deployment_for(x, targets[i].deployment, rest);
    }
    return made;
}

/* A wildcard's model for one name. */
static const struct model *model_for(struct exchange *x, const struct model *m, struct str rest)
{
    if (!m->is_wildcard)
        return m;
    struct model *made = arena_alloc(x->r->arena, sizeof *made);
    *made = *m;
    made->targets = targets_for(x, m->targets, m->target_count, rest);
    for (size_t i = 0; i < FALLBACKS; i++)
        made->fallbacks[i].items = targets_for(x, m->fallbacks[i].items, m->fallbacks[i].count, rest);
    if (m->shadow.deployment)
        made->shadow.deployment = deployment_for(x, m->shadow.deployment, rest);
    return made;
}

/* --- names --- */

/* "<provider>/<model>" of a provider that serves it; NULL: none does. */
static const struct deployment *find_served(struct exchange *x, struct str name)
{
    const struct catalog *c = x->snapshot->catalog;
    struct str model;
    const struct provider *p = catalog_find_served(c, name, &model);
    const struct deployment *listed = map_get(&c->served_by_name, name);

    if (!p)
        return NULL;
    return listed ? listed : deployment_for(x, p->any, model);
}

/* Is a wildcard of that prefix about one provider's models, and so more precise than the provider itself? */
static bool is_of_provider(struct str prefix)
{
    return str_find_char(prefix, '/') < prefix.n;
}

/* What the name itself means, without any rule; both NULL: nothing. */
static void find_name(struct exchange *x, struct str name, struct resolved *ret)
{
    struct str rest;
    const struct model *m = catalog_match_model(x->snapshot->catalog, name, &rest);

    *ret = (struct resolved){.model = m};
    if (m && !m->is_wildcard)
        return;
    const struct deployment *d = find_served(x, name);
    if (d && !(m && is_of_provider(str_slice(m->name, 0, m->name.n - 1))))
        *ret = (struct resolved){.served = d};
    else if (m)
        ret->model = model_for(x, m, rest);
}

static bool may_use(const struct exchange *x, struct str name)
{
    if (!x->key || api_key_allows(x->key, name))
        return true;
    const struct model *m = catalog_find_model(x->snapshot->catalog, name);
    return m && api_key_allows(x->key, m->name);
}

static err_t not_found(struct exchange *x, struct str name)
{
    struct str near = catalog_nearest_model(x->snapshot->catalog, name);
    struct str shown = utf8_prefix(name, NAME_SHOWN);

    if (near.n && may_use(x, near))
        return fail(E_NOT_FOUND, "The model '%.*s' does not exist. Did you mean '%.*s'?", STR_ARG(shown),
                    STR_ARG(near));
    return fail(E_NOT_FOUND,
                "The model '%.*s' does not exist or you do not have access to it. GET /v1/models lists those that do.",
                STR_ARG(shown));
}

err_t resolve(struct exchange *x, struct str name, struct resolved *ret)
{
    const struct rule *rule = match_rule(x, name);

    if (rule && rule->use)
        *ret = (struct resolved){.model = rule->use};
    else
        find_name(x, name, ret);
    if (!ret->model && !ret->served)
        return not_found(x, name);
    if (!may_use(x, name))
        return fail(E_FORBIDDEN, "This key may not use the model '%.*s'.", STR_ARG(utf8_prefix(name, NAME_SHOWN)));
    if (rule) {
        x->by_rule = rule;
        x->facts.rule = rule->name;
        x->required |= rule->required;
        metrics_rule(gateway_metrics_mutable(x->gateway), rule->name, true);
    }
    if (ret->model)
        x->required |= ret->model->required;
    return OK;
}

bool resolve_knows(struct exchange *x, struct str name)
{
    const struct rule *rule = name.n ? match_rule(x, name) : NULL;
    struct resolved r;

    if (!name.n || (rule && rule->use))
        return name.n > 0;
    find_name(x, name, &r);
    return r.model || r.served;
}

/* --- overrides --- */

/* The further models that the client named: their targets, in order. */
static err_t set_further(struct exchange *x, struct fallback_list *to)
{
    const struct overrides *o = &x->overrides;
    struct resolved r;

    to->items = arena_alloc(x->r->arena, FURTHER_MAX * sizeof *to->items);
    for (size_t i = 1; i < o->model_count; i++) {
        TRY(resolve(x, o->models[i], &r));
        size_t count = r.model ? r.model->target_count : 1;
        for (size_t k = 0; k < count && to->count < FURTHER_MAX; k++) {
            const struct deployment *d = r.model ? r.model->targets[k].deployment : r.served;
            to->items[to->count] = (struct target){d, 1, (unsigned)to->count};
            to->count++;
        }
    }
    return OK;
}

err_t resolve_overrides(struct exchange *x, const struct model **m)
{
    const struct overrides *o = &x->overrides;

    if ((!o->no_fallback && !o->model_count) || (!*m && o->model_count < 2))
        return OK;
    struct model *made = arena_new(x->r->arena, struct model);
    if (*m)
        *made = **m;
    memset(made->fallbacks, 0, sizeof made->fallbacks);
    if (!o->no_fallback)
        TRY(set_further(x, &made->fallbacks[FALLBACK_ANY]));
    *m = made;
    return OK;
}
