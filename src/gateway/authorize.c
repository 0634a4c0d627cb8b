/*
 * authorize.c - what a provider demands beyond a key.
 *
 * A source per provider and loop keeps the credential and renews it early (credential/). A signature covers what is sent, so the headers of
 * the call are complete when it is made, and nothing may be changed behind it.
 */
#include "gateway/authorize.h"

#include "base/map.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/sigv4.h"
#include "fleet/config.h"
#include "gateway/exchange.h"
#include "rt/loop.h"

struct source {
    struct str id; /* owned */
    struct credential_source *source;
    uint64_t named_in; /* the last round of authorities_retire() that found it in use */
};

struct authorities {
    struct map sources;
    struct scope *scope;
    uint64_t round;
};

struct authorities *authorities_new(struct scope *scope)
{
    struct authorities *a = NEW(struct authorities);

    a->scope = scope;
    return a;
}

static void free_source(struct source *s)
{
    credential_source_free(s->source);
    mem_free((void *)(uintptr_t)s->id.p);
    mem_free(s);
}

void authorities_free(struct authorities *a)
{
    struct str key;
    void *value;

    if (!a)
        return;
    for (size_t at = 0; map_next(&a->sources, &at, &key, &value);)
        free_source(value);
    map_release(&a->sources);
    mem_free(a);
}

static struct str env_value(const char *name)
{
    return str_from_c(config_env_real()->getenv(name));
}

static struct credential_source *source_of(struct authorities *a, const struct provider *p)
{
    struct source *s = map_get(&a->sources, p->auth.id);

    if (s)
        return s->source;
    struct credential_options o = {.provider = p->name,
                                   .kind = credential_kind_find(p->auth.kind),
                                   .google = p->auth.google,
                                   .azure = p->auth.azure,
                                   .aws = p->auth.aws,
                                   .proxy = p->proxy,
                                   .env = env_value,
                                   .scope = a->scope};
    s = NEW(struct source);
    s->id = str_of(mem_dup(p->auth.id.p, p->auth.id.n), p->auth.id.n);
    s->source = credential_source_new(&o);
    map_put(&a->sources, s->id, s);
    return s->source;
}

void authorities_warm(struct authorities *a, const struct snapshot *s)
{
    for (size_t i = 0; a->scope && i < s->catalog->provider_count; i++)
        if (s->catalog->providers[i].auth.kind.n)
            credential_warm(source_of(a, &s->catalog->providers[i]));
}

void authorities_retire(struct authorities *a, const struct snapshot *s)
{
    struct str key;
    void *value;

    a->round++;
    for (size_t i = 0; i < s->catalog->provider_count; i++) {
        struct source *named = map_get(&a->sources, s->catalog->providers[i].auth.id);
        if (named)
            named->named_in = a->round;
    }
    for (bool again = true; again;) {
        again = false;
        for (size_t at = 0; map_next(&a->sources, &at, &key, &value);) {
            struct source *old = value;
            if (old->named_in == a->round)
                continue;
            map_remove(&a->sources, key);
            free_source(old);
            again = true; /* the table has changed: start over */
            break;
        }
    }
}

/* --- one call --- */

static struct http_header *more_headers(struct exchange *x, struct http_call_options *o, size_t more)
{
    struct http_header *to = arena_alloc(x->r->arena, (o->count + more) * sizeof *to);

    if (o->count)
        memcpy(to, o->headers, o->count * sizeof *to);
    o->headers = to;
    return to;
}

/* As the client writes it: with the port where that is not the usual one. */
static struct str host_of(struct exchange *x)
{
    const struct provider *p = x->chosen->provider;

    if (p->port == (p->secure ? 443 : 80) || !p->port)
        return p->host;
    return arena_printf(x->r->arena, "%.*s:%u", STR_ARG(p->host), p->port);
}

static struct str region_of(const struct provider *p)
{
    return p->region.n ? p->region : STR("us-east-1");
}

static err_t sign(struct exchange *x, const struct credential *c, struct http_call_options *o)
{
    unsigned char hash[SHA256_BYTES];
    struct http_header *to = more_headers(x, o, SIGV4_HEADERS_ADDED);
    struct str path = o->target, query = path;
    size_t added;

    path = str_cut(&query, '?');
    sha256_parts(o->body, o->body_parts, hash);
    struct sigv4_request r = {.method = o->method,
                              .host = host_of(x),
                              .path = path,
                              .query = query,
                              .headers = o->headers,
                              .header_count = o->count,
                              .body_hash = hash};
    struct sigv4_key key = {.access_key = c->access_key_id,
                            .secret = secret_reveal(&c->secret_access_key),
                            .token = secret_reveal(&c->session_token),
                            .region = region_of(x->chosen->provider),
                            .service = STR("bedrock")};
    TRY(sigv4_sign(x->r->arena, &r, &key, rt_wall() / NS_SEC, to + o->count, &added));
    o->count += added;
    return OK;
}

static void add_token(struct exchange *x, const struct credential *c, struct http_call_options *o)
{
    struct http_header *to = more_headers(x, o, 2);

    to[o->count++] = (struct http_header){STR("authorization"), secret_reveal(&c->authorization)};
    if (c->quota_project.n)
        to[o->count++] = (struct http_header){STR("x-goog-user-project"), c->quota_project};
}

err_t authorize_call(struct exchange *x, struct http_call_options *o)
{
    struct authorities *a = gateway_authorities(x->gateway);
    const struct provider *p = x->chosen->provider;
    struct credential *c = NULL;

    if (LIKELY(!p->auth.kind.n))
        return OK;
    if (!a->scope)
        return fail(E_CONFIG, "provider %.*s: no credentials can be had here", STR_ARG(p->name));
    TRY(credential_get(source_of(a, p), &c));
    arena_hold(x->r->arena, c, credential_unref_void);
    x->credential = c;
    if (c->access_key_id.n)
        return sign(x, c, o);
    add_token(x, c, o);
    return OK;
}

void authorize_rejected(struct exchange *x)
{
    if (x->credential)
        credential_rejected(source_of(gateway_authorities(x->gateway), x->chosen->provider), x->credential);
}
