/*
 * server_metrics.c - asks a server how busy it is, and tells the live state of its deployments.
 *
 * A page is read every `metrics_interval`. What it says counts for three times as long, so that one page that is lost changes nothing, and a server that has
 * fallen silent is soon judged by our own count alone, as if it had never spoken. A page that cannot be read is left out whole. After failures
 * it is asked for more seldom, because the most frequent reason is that the server was started without metrics.
 *
 * Nothing here speaks against a deployment's health: a server without metrics may serve well.
 */
#include "base/log.h"
#include "base/mem.h"
#include "gateway/health_int.h"
#include "llm/server_load.h"
#include "rt/loop.h"

#define PAUSE_MAX (60 * NS_SEC)
#define ACCEPTED "text/plain;version=0.0.4"

enum { PAGE_MAX = 8 << 20, AGE = 3, FAILURES_SHOWN = 3, SAMPLES_AT_ONCE = 64 };

struct reader {
    struct ward_group *group;
    struct upstream *own; /* where they are, if not at the provider's address; NULL: there */
    unsigned failures;    /* in a row */
};

/* A pool of their own address. The provider's TLS settings and proxy hold there, too. */
static struct upstream *own_upstream(const struct ward_group *g)
{
    const struct provider_health *h = &g->provider->health;
    const struct snapshot_provider *sp = &g->snapshot->providers[g->provider->index];

    if (!h->metrics_host.n)
        return NULL;
    return upstream_new(&(struct upstream_options){.secure = h->metrics_secure,
                                                   .host = h->metrics_host,
                                                   .port = h->metrics_port,
                                                   .tls = sp->tls,
                                                   .proxy = sp->proxy,
                                                   .max_connections = 1});
}

/* At its own address the provider's headers and credential go along, elsewhere nothing of that. */
static SUSPENDS err_t open_page(struct reader *rd, struct exchange *x, struct http_call **ret_call)
{
    static const struct http_header plain[] = {{STR_INIT("accept"), STR_INIT(ACCEPTED)},
                                               {STR_INIT("user-agent"), STR_INIT("crossdock")}};
    struct http_call_options o = {.headers = plain, .count = ARRAY_LEN(plain)};
    struct upstream *upstream = rd->own;

    if (!upstream) {
        TRY(upstreams_get(gateway_upstreams(x->gateway), x->snapshot, x->chosen->provider, &upstream));
        TRY(health_headers(x, "accept", ACCEPTED, &o));
    }
    health_get(x, x->chosen->provider->health.metrics, &o);
    TRY(http_call_open(upstream, x->r->arena, &o, NULL, ret_call));
    int status = http_call_head(*ret_call)->status;
    return status == 200 ? OK : fail(E_UPSTREAM, "status %d", status);
}

/* A large page is some milliseconds of work: others are let in between. */
static SUSPENDS err_t read_page(struct str page, struct server_load *ret)
{
    struct server_load load = {.is_known = false};
    struct prometheus_sample s;

    for (unsigned n = 1;; n++) {
        TRY(prometheus_next(&page, &s));
        if (!s.name.p)
            break;
        server_load_take(&load, &s);
        if (n % SAMPLES_AT_ONCE == 0)
            TRY(fiber_tick());
    }
    if (!load.is_known)
        return fail(E_PARSE, "the page tells no number of requests");
    *ret = load;
    return OK;
}

static SUSPENDS err_t read_once(struct reader *rd)
{
    struct arena arena CLEANUP(arena_release);
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct ward_group *g = rd->group;
    struct server_load load;
    struct str page;

    arena_init(&arena, 2 * (size_t)PAGE_MAX);
    struct exchange *x = health_exchange(g, NULL, &arena);
    WITHIN(ns_add(rt_now(), x->timeouts.total));
    TRY(open_page(rd, x, &call));
    TRY(http_call_all(call, x->timeouts.between_bytes, PAGE_MAX, &page));
    ns_t now = rt_now(), took = now - x->r->received; /* the next page may take as long */
    ns_t until = ns_add(now, AGE * g->provider->health.metrics_interval + took);
    TRY(read_page(page, &load));
    for (size_t i = 0; i < g->count; i++)
        live_server_said(g->wards[i].live, &load, now, until);
    return OK;
}

static void note(struct reader *rd, err_t e)
{
    const struct provider *p = rd->group->provider;

    if (e == OK) {
        if (rd->failures >= FAILURES_SHOWN)
            log_info(STR_NONE, "provider %.*s: its metrics can be read again", STR_ARG(p->name));
        rd->failures = 0;
        return;
    }
    rd->failures++;
    if (rd->failures == FAILURES_SHOWN)
        log_warn(STR_NONE, "provider %.*s: its metrics cannot be read, choices go by our own count: %s",
                 STR_ARG(p->name), err_detail(e));
}

static ns_t pause_after(const struct reader *rd)
{
    ns_t pause = rd->group->provider->health.metrics_interval, most = pause > PAUSE_MAX ? pause : PAUSE_MAX;

    for (unsigned i = FAILURES_SHOWN; i < rd->failures && pause < most; i++)
        pause *= 2;
    return ns_min(pause, most);
}

err_t read_group_metrics(void *group)
{
    struct reader rd = {.group = group, .own = own_upstream(group)};
    err_t e = OK;

    while (e == OK) {
        err_t seen = read_once(&rd);
        if (fiber_is_cancelled())
            break;
        note(&rd, seen);
        e = fiber_sleep_until(ns_add(rt_now(), pause_after(&rd)));
    }
    upstream_free(rd.own);
    return OK;
}
