/* upstreams.c - pools by key. The map's keys are owned copies, because pools outlive the configuration that named them first. */
#include "gateway/upstreams.h"

#include "base/map.h"
#include "base/mem.h"

struct pool {
    struct str key; /* owned */
    struct upstream *upstream;
    uint64_t named_in; /* the last round of upstreams_retire() that found it in use */
};

struct upstreams {
    struct map pools;
    uint64_t round;
    simulated_addr_fn *simulated;
    void *ctx;
};

struct upstreams *upstreams_new(simulated_addr_fn *simulated, void *ctx)
{
    struct upstreams *u = NEW(struct upstreams);

    u->simulated = simulated;
    u->ctx = ctx;
    return u;
}

static void free_pool(struct pool *p)
{
    upstream_free(p->upstream);
    mem_free((void *)p->key.p);
    mem_free(p);
}

void upstreams_free(struct upstreams *u)
{
    struct str key;
    void *value;

    if (!u)
        return;
    for (size_t at = 0; map_next(&u->pools, &at, &key, &value);)
        free_pool(value);
    map_release(&u->pools);
    mem_free(u);
}

static err_t make_pool(struct upstreams *u, const struct snapshot *s, const struct provider *p, struct pool **ret)
{
    const struct snapshot_provider *sp = &s->providers[p->index];
    struct upstream_options o = {.secure = p->secure,
                                 .host = p->host,
                                 .port = p->port,
                                 .unix_path = p->unix_path,
                                 .tls = sp->tls,
                                 .proxy = sp->proxy,
                                 .max_connections = p->max_connections};

    if (p->simulated) {
        struct addr at;
        if (!u->simulated || !u->simulated(u->ctx, p, &at))
            return fail(E_CONFIG,
                        p->pipelines ? "provider %.*s stands for pipelines, and this process did not begin with it"
                                     : "provider %.*s is simulated, but no simulator runs here",
                        STR_ARG(p->name));
        o.port = addr_port(&at);
        o.host = STR("127.0.0.1");
    }
    struct pool *pool = NEW(struct pool);
    pool->key = str_of(mem_dup(p->pool_key.p, p->pool_key.n), p->pool_key.n);
    pool->upstream = upstream_new(&o);
    map_put(&u->pools, pool->key, pool);
    *ret = pool;
    return OK;
}

err_t upstreams_get(struct upstreams *u, const struct snapshot *s, const struct provider *p, struct upstream **ret)
{
    struct pool *pool = map_get(&u->pools, p->pool_key);

    if (!pool)
        TRY(make_pool(u, s, p, &pool));
    *ret = pool->upstream;
    return OK;
}

void upstreams_retire(struct upstreams *u, const struct snapshot *s)
{
    struct str key;
    void *value;

    u->round++;
    for (size_t i = 0; i < s->catalog->provider_count; i++) {
        struct pool *pool = map_get(&u->pools, s->catalog->providers[i].pool_key);
        if (pool)
            pool->named_in = u->round;
    }
    for (bool again = true; again;) {
        again = false;
        for (size_t at = 0; map_next(&u->pools, &at, &key, &value);) {
            struct pool *pool = value;
            if (pool->named_in == u->round)
                continue;
            map_remove(&u->pools, key);
            free_pool(pool);
            again = true; /* the table has changed: start over */
            break;
        }
    }
}

void upstreams_gauges(const struct upstreams *u, struct gauges *g)
{
    struct str key;
    void *value;

    for (size_t at = 0; map_next(&u->pools, &at, &key, &value);) {
        struct upstream_stats s;
        upstream_stats(((const struct pool *)value)->upstream, &s);
        g->upstream_open += s.open;
        g->upstream_idle += s.idle;
        g->upstream_waiting += s.waiting;
        g->upstream_connects += s.connects;
        g->upstream_connect_failures += s.connect_failures;
        g->upstream_reused += s.reused;
        g->upstream_stale_retries += s.stale_retries;
    }
}
