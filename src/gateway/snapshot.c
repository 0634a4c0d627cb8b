/* snapshot.c - from a catalog to what requests need: credentials as header values, TLS contexts, proxies. */
#include "gateway/snapshot.h"

#include "base/mem.h"
#include "net/http_client.h"
#include "rt/loop.h"

#include <stdlib.h>

static struct str env_value(const char *name)
{
    return str_from_c(getenv(name));
}

static struct str dup_str(struct str s)
{
    return s.n ? str_of(mem_dup(s.p, s.n), s.n) : STR_NONE;
}

static void release_provider(const struct provider *p, struct snapshot_provider *sp)
{
    tls_ctx_unref(sp->tls);
    for (size_t i = 0; sp->keys && i < p->key_count; i++) {
        if (sp->keys[i].p)
            explicit_bzero((void *)sp->keys[i].p, sp->keys[i].n);
        mem_free((void *)sp->keys[i].p);
    }
    mem_free(sp->keys);
    mem_free((void *)sp->proxy.p);
}

static struct str header_value(const struct provider *p, const struct provider_key *k)
{
    struct str key = secret_reveal(&k->secret);
    struct str prefix = str_from_c(p->vendor->key_prefix);

    if (!key.n)
        return STR_NONE;
    char *value = mem_alloc(prefix.n + key.n);
    if (prefix.n)
        memcpy(value, prefix.p, prefix.n);
    memcpy(value + prefix.n, key.p, key.n);
    return str_of(value, prefix.n + key.n);
}

static struct str proxy_of(const struct provider *p)
{
    if (p->simulated || p->unix_path.n || str_eq(p->proxy, STR("none")))
        return STR_NONE;
    if (p->proxy.n)
        return dup_str(p->proxy);
    return dup_str(upstream_proxy_from_env(p->secure, p->host, p->port, env_value));
}

static err_t make_provider(const struct provider *p, struct snapshot_provider *ret)
{
    if (p->secure && (p->ca_pem.n || p->cert_pem.n || p->insecure_skip_verify)) {
        struct tls_client_options o = {.ca_pem = p->ca_pem,
                                       .cert_pem = p->cert_pem,
                                       .key_pem = p->key_pem,
                                       .insecure_skip_verify = p->insecure_skip_verify};
        err_t e = tls_client_ctx(&o, &ret->tls);
        if (e != OK)
            return err_context(e, "provider %.*s", STR_ARG(p->name));
    }
    ret->keys = mem_zalloc(p->key_count, sizeof *ret->keys);
    for (size_t i = 0; i < p->key_count; i++)
        ret->keys[i] = header_value(p, &p->keys[i]);
    ret->proxy = proxy_of(p);
    if (ret->proxy.n)
        return err_context(upstream_check_proxy(ret->proxy), "provider %.*s: proxy", STR_ARG(p->name));
    return OK;
}

static err_t make_server_tls(const struct catalog *c, struct tls_ctx **ret)
{
    struct tls_server_options o = {
        .cert_pem = c->tls_cert_pem, .key_pem = c->tls_key_pem, .client_ca_pem = c->tls_client_ca_pem, .http2 = true};

    if (!c->tls_cert_pem.n)
        return OK;
    return err_context(tls_server_ctx(&o, ret), "tls");
}

/* Who is judged together: all that a model's requests may go to. */
static void set_peers(struct snapshot *s, size_t model)
{
    const struct model *m = &s->catalog->models[model];
    size_t n = m->target_count;

    for (size_t i = 0; i < FALLBACKS; i++)
        n += m->fallbacks[i].count;
    struct live_deployment **peers = mem_zalloc(n, sizeof *peers);
    n = 0;
    for (size_t i = 0; i < m->target_count; i++)
        peers[n++] = s->deployments[m->targets[i].deployment->index];
    for (size_t i = 0; i < FALLBACKS; i++)
        for (size_t k = 0; k < m->fallbacks[i].count; k++) {
            struct live_deployment *d = s->deployments[m->fallbacks[i].items[k].deployment->index];
            size_t at = 0;
            while (at < n && peers[at] != d)
                at++;
            peers[at] = d;
            n += at == n;
        }
    live_route_set(s->routes[model], peers, n);
    mem_free(peers);
}

static void set_credentials(struct snapshot *s, struct live *live)
{
    const struct catalog *c = s->catalog;

    for (size_t i = 0; i < c->provider_count; i++) {
        const struct provider *p = &c->providers[i];
        struct live_credential **to = mem_zalloc(p->key_count, sizeof *to);
        for (size_t k = 0; k < p->key_count; k++) {
            struct str identity = str_of((const char *)p->keys[k].identity, sizeof p->keys[k].identity);
            to[k] = live_credential_ref(live_credentials(live), identity, p->auth.kind.n > 0);
        }
        s->providers[i].credentials = to;
    }
    for (size_t i = 0; i < c->deployment_count; i++) {
        const struct deployment *d = &c->deployments[i];
        const struct provider *p = d->provider;
        s->limits[i] = mem_zalloc(p->key_count, sizeof *s->limits[i]);
        for (size_t k = 0; !d->is_pattern && k < p->key_count; k++)
            s->limits[i][k] = live_limit_ref(s->providers[p->index].credentials[k], d->model);
    }
}

static void release_credentials(struct snapshot *s)
{
    const struct catalog *c = s->catalog;

    for (size_t i = 0; i < c->deployment_count; i++) {
        for (size_t k = 0; s->limits[i] && k < c->deployments[i].provider->key_count; k++)
            live_limit_unref(s->limits[i][k]);
        mem_free(s->limits[i]);
    }
    for (size_t i = 0; i < c->provider_count; i++) {
        for (size_t k = 0; s->providers[i].credentials && k < c->providers[i].key_count; k++)
            live_credential_unref(s->providers[i].credentials[k]);
        mem_free(s->providers[i].credentials);
    }
    mem_free(s->limits);
}

/* How many requests each deployment gets at a time; and where those wait that ask for it by its own name. */
static void set_limits(struct snapshot *s, struct live *live)
{
    const struct catalog *c = s->catalog;

    for (size_t i = 0; i < c->deployment_count; i++) {
        const struct deployment *d = &c->deployments[i];
        bool is_limited = d->concurrency.most > 0;
        live_gate_set(live_deployment_gate(s->deployments[i]), is_limited ? &d->concurrency : NULL, rt_now());
        if (!is_limited)
            continue;
        char *name = mem_alloc(d->name.n + 1);
        name[0] = ' '; /* so no model is called */
        memcpy(name + 1, d->name.p, d->name.n);
        s->served[i] = live_route_ref(live, str_of(name, d->name.n + 1));
        live_route_set(s->served[i], &s->deployments[i], 1);
        mem_free(name);
    }
}

static void set_live(struct snapshot *s, struct live *live)
{
    const struct catalog *c = s->catalog;

    s->own_live = live ? NULL : live_new();
    s->live = live = live ? live : s->own_live;
    set_credentials(s, live);
    for (size_t i = 0; i < c->deployment_count; i++)
        s->deployments[i] = live_deployment_ref(live, c->deployments[i].name);
    for (size_t i = 0; i < c->model_count; i++) {
        s->routes[i] = live_route_ref(live, c->models[i].name);
        set_peers(s, i);
    }
    for (size_t i = 0; i < c->provider_count; i++) {
        char *name = mem_alloc(c->providers[i].name.n + 2);
        memcpy(name, c->providers[i].name.p, c->providers[i].name.n);
        memcpy(name + c->providers[i].name.n, "/*", 2);
        s->routes[c->model_count + i] = live_route_ref(live, str_of(name, c->providers[i].name.n + 2));
        mem_free(name);
    }
    set_limits(s, live);
}

static void release_live(struct snapshot *s)
{
    for (size_t i = 0; i < s->catalog->deployment_count; i++)
        live_route_unref(s->served[i]);
    for (size_t i = 0; i < s->catalog->model_count + s->catalog->provider_count; i++)
        live_route_unref(s->routes[i]);
    for (size_t i = 0; i < s->catalog->deployment_count; i++)
        live_deployment_unref(s->deployments[i]);
    mem_free(s->routes);
    mem_free(s->served);
    mem_free(s->deployments);
    release_credentials(s);
    live_free(s->own_live);
}

err_t snapshot_make(struct catalog *c, struct live *live, struct snapshot **ret)
{
    struct snapshot *s = NEW(struct snapshot);
    err_t e;

    s->refs_ = 1;
    s->catalog = c;
    s->providers = mem_zalloc(c->provider_count, sizeof *s->providers);
    s->deployments = mem_zalloc(c->deployment_count, sizeof *s->deployments);
    s->limits = mem_zalloc(c->deployment_count, sizeof *s->limits);
    s->served = mem_zalloc(c->deployment_count, sizeof *s->served);
    s->routes = mem_zalloc(c->model_count + c->provider_count, sizeof *s->routes);
    e = make_server_tls(c, &s->server_tls);
    for (size_t i = 0; e == OK && i < c->provider_count; i++)
        e = make_provider(&c->providers[i], &s->providers[i]);
    if (e != OK) {
        snapshot_unref(s);
        return e;
    }
    set_live(s, live);
    *ret = s;
    return OK;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
    __atomic_fetch_add(&s->refs_, 1, __ATOMIC_RELAXED);
    return s;
}

void snapshot_unref(struct snapshot *s)
{
    if (!s || __atomic_sub_fetch(&s->refs_, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < s->catalog->provider_count; i++)
        release_provider(&s->catalog->providers[i], &s->providers[i]);
    release_live(s);
    tls_ctx_unref(s->server_tls);
    mem_free(s->providers);
    catalog_unref(s->catalog);
    mem_free(s);
}
