/*
 * health.c - rounds of looking after: who is there, by which rules, and a fiber for each provider that has anything to ask.
 *
 * Idea: a configuration's round ends like a block. Its fibers are in a scope, the scope is closed when another configuration comes, and the next round begins;
 * nothing is handed over but what each provider's probes have cost today. Deployments are in a group per provider, because one server answers for all of them:
 * one question that costs nothing, one page of metrics.
 *
 * The round holds its configuration as a request does, so that connection pools that only it names stay until the last call is closed.
 */
#include "gateway/health_int.h"

#include "base/map.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "rt/scope.h"

struct health {
    struct gateway *gateway;
    struct map accounts; /* struct probe_account, by the provider's name; both owned */
};

/* --- who is there --- */

static struct probe_account *account_of(struct health *h, struct str provider)
{
    struct probe_account *a = map_get(&h->accounts, provider);

    if (a)
        return a;
    a = NEW(struct probe_account);
    map_put(&h->accounts, str_of(mem_dup(provider.p, provider.n), provider.n), a);
    return a;
}

static void free_accounts(struct health *h)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&h->accounts, &at, &key, &value);) {
        mem_free((void *)(uintptr_t)key.p);
        mem_free(value);
    }
    map_release(&h->accounts);
}

/* Which model names each deployment first; NULL: none does. */
static const struct model **models_of(const struct catalog *c, struct arena *a)
{
    const struct model **of = arena_zalloc(a, c->deployment_count * sizeof(struct model *));

    for (size_t i = c->model_count; i-- > 0;) {
        const struct model *m = &c->models[i];
        for (size_t f = 0; f < FALLBACKS; f++)
            for (size_t k = 0; k < m->fallbacks[f].count; k++)
                of[m->fallbacks[f].items[k].deployment->index] = m;
    }
    for (size_t i = c->model_count; i-- > 0;) /* whose target it is, before whose fallback */
        for (size_t k = 0; k < c->models[i].target_count; k++)
            of[c->models[i].targets[k].deployment->index] = &c->models[i];
    return of;
}

static void set_ward(struct ward *w, const struct snapshot *s, const struct deployment *d, const struct model *m)
{
    const struct catalog *c = s->catalog;

    *w = (struct ward){.deployment = d,
                       .live = s->deployments[d->index],
                       .rules = m ? &m->rules : &c->usual,
                       .route = s->routes[m ? m->index : c->model_count + d->provider->index],
                       .route_name = m ? m->name : d->name};
}

/* The groups of a configuration, in the order of its providers. */
static struct ward_group *make_groups(struct health *h, const struct snapshot *s, struct arena *a)
{
    const struct catalog *c = s->catalog;
    struct ward_group *groups = arena_zalloc(a, c->provider_count * sizeof *groups);
    const struct model **models = models_of(c, a);

    for (size_t i = 0; i < c->deployment_count; i++)
        groups[c->deployments[i].provider->index].count++;
    for (size_t i = 0; i < c->provider_count; i++)
        groups[i] = (struct ward_group){.gateway = h->gateway,
                                        .snapshot = s,
                                        .provider = &c->providers[i],
                                        .wards = arena_zalloc(a, groups[i].count * sizeof(struct ward)),
                                        .keys = arena_zalloc(a, c->providers[i].key_count * sizeof(struct ward_key)),
                                        .account = account_of(h, c->providers[i].name),
                                        .since = rt_now(),
                                        .draw = rt_random()};
    for (size_t i = 0; i < c->deployment_count; i++) {
        const struct deployment *d = &c->deployments[i];
        struct ward_group *g = &groups[d->provider->index];
        set_ward(&g->wards[g->count++], s, d, models[i]);
    }
    return groups;
}

/* --- rounds --- */

static SUSPENDS err_t run_round(struct health *h, struct held *held)
{
    struct arena arena CLEANUP(arena_release);
    const struct snapshot *s = gateway_held_snapshot(held);

    arena_init(&arena, SIZE_MAX);
    struct ward_group *groups = make_groups(h, s, &arena);
    SCOPE(fibers, NS_NEVER);

    scope_discard_results(&fibers);
    for (size_t i = 0; i < s->catalog->provider_count; i++) {
        if (groups[i].count && groups[i].provider->health.is_on)
            scope_spawn(&fibers, "probes", probe_group, &groups[i]);
        if (groups[i].count && groups[i].provider->health.metrics.n)
            scope_spawn(&fibers, "server metrics", read_group_metrics, &groups[i]);
    }
    while (gateway_snapshot(h->gateway) == s)
        TRY(fiber_park("another configuration", NS_NEVER));
    return OK;
}

err_t health_run(struct gateway *g)
{
    struct health h = {.gateway = g};
    err_t e = OK;

    gateway_set_watcher(g, fiber_current());
    while (e == OK) {
        struct held *held = gateway_hold(g);
        e = run_round(&h, held);
        gateway_let_go(g, held);
    }
    gateway_set_watcher(g, NULL);
    free_accounts(&h);
    return e;
}

/* --- for its fibers --- */

struct exchange *health_exchange(const struct ward_group *g, const struct deployment *d, struct arena *a)
{
    struct exchange *x = arena_new(a, struct exchange);
    struct http_request *r = arena_new(a, struct http_request);
    struct candidate *c = arena_new(a, struct candidate);
    struct str name = d ? d->name : g->provider->name;
    ns_t timeout = g->provider->health.timeout;

    *r = (struct http_request){.arena = a, .received = rt_now(), .head.content_length = -1};
    *c = (struct candidate){
        .provider = g->provider, .deployment = d, .model = d ? d->model : STR_NONE, .name = name, .label = name};
    *x = (struct exchange){
        .gateway = g->gateway,
        .r = r,
        .snapshot = g->snapshot,
        .chosen = c,
        .timeouts = {.connect = timeout, .first_byte = timeout, .between_bytes = timeout, .total = 3 * timeout},
        .facts = {.wall = rt_wall()},
        .started = rt_now_exact()};
    return x;
}

void health_get(const struct exchange *x, struct str target, struct http_call_options *o)
{
    o->method = STR("GET");
    o->target = target;
    o->connect_by = alarm_in(x, x->timeouts.connect);
    o->first_byte_by = alarm_in(x, x->timeouts.first_byte);
}

err_t health_headers(struct exchange *x, const char *name, const char *value, struct http_call_options *o)
{
    struct provider_call call = {.body = NULL};
    struct http_header *headers;

    if (name)
        call_add_header(&call, str_from_c(name), str_from_c(value));
    translated_request_headers(x, &call, &headers, &o->count);
    o->headers = headers;
    return authorize_call(x, o);
}
