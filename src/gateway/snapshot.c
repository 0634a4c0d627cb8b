/* snapshot.c - from a catalog to what requests need: credentials as header values, TLS contexts, proxies. */
#include "gateway/snapshot.h"

#include "base/mem.h"
#include "net/http_client.h"

#include <stdlib.h>

static struct str env_value(const char *name)
{
    return str_from_c(getenv(name));
}

static struct str dup_str(struct str s)
{
    return s.n ? str_of(mem_dup(s.p, s.n), s.n) : STR_NONE;
}

static void release_provider(struct snapshot_provider *sp)
{
    tls_ctx_unref(sp->tls);
    if (sp->credential.p)
        explicit_bzero((void *)sp->credential.p, sp->credential.n);
    mem_free((void *)sp->credential.p);
    mem_free((void *)sp->proxy.p);
}

static struct str credential_of(const struct provider *p)
{
    struct str key = secret_reveal(&p->api_key);
    struct str prefix = str_from_c(p->vendor->key_prefix);

    if (!key.n)
        return STR_NONE;
    char *value = mem_alloc(prefix.n + key.n);
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
    ret->credential = credential_of(p);
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

err_t snapshot_make(struct catalog *c, struct snapshot **ret)
{
    struct snapshot *s = NEW(struct snapshot);
    err_t e;

    s->refs_ = 1;
    s->catalog = c;
    s->providers = mem_zalloc(c->provider_count, sizeof *s->providers);
    e = make_server_tls(c, &s->server_tls);
    for (size_t i = 0; e == OK && i < c->provider_count; i++)
        e = make_provider(&c->providers[i], &s->providers[i]);
    if (e != OK) {
        snapshot_unref(s);
        return e;
    }
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
        release_provider(&s->providers[i]);
    tls_ctx_unref(s->server_tls);
    mem_free(s->providers);
    catalog_unref(s->catalog);
    mem_free(s);
}
