/*
 * own_gateway.c - a gateway to which nobody listens: models of a pipeline that a command runs by itself ask it.
 *
 * Simulated providers are what they are in a gateway that serves: servers of the simulator, at addresses of this loop's own.
 */
#include "cli/own_gateway.h"

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/scenario_file.h"
#include "fleet/config.h"
#include "gateway/gateway.h"
#include "rt/scope.h"
#include "sim/sim_provider.h"

#include <stdio.h>

enum { SIMULATORS_MAX = 16, REPORT_MAX = 1 << 20 };

struct simulated {
    struct str path; /* empty: the built-in scenario. The catalog's */
    struct scenario *scenario;
    struct sim_provider *provider; /* this and what follows while it serves */
    struct http_server *http;
    struct addr at;
};

struct own_gateway {
    struct snapshot *snapshot;
    struct live *live;
    struct simulated simulated[SIMULATORS_MAX];
    size_t count;
};

static struct simulated *find(struct own_gateway *o, struct str path)
{
    for (size_t i = 0; i < o->count; i++)
        if (str_eq(o->simulated[i].path, path))
            return &o->simulated[i];
    return NULL;
}

static err_t add_scenario(struct own_gateway *o, struct str path)
{
    struct buf report CLEANUP(buf_release) = BUF_INIT(REPORT_MAX);
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};

    if (o->count == SIMULATORS_MAX)
        return fail(E_CONFIG, "more than %d different scenarios", SIMULATORS_MAX);
    err_t e = scenario_file_read(path, &problems, &o->simulated[o->count].scenario);
    problems_print(&problems, &report);
    (void)fwrite(report.p ? report.p : "", 1, report.n, stderr);
    if (e == OK)
        o->simulated[o->count++].path = path;
    return e;
}

err_t own_gateway_new(struct catalog *c, struct own_gateway **ret)
{
    struct own_gateway *o = NEW(struct own_gateway);
    err_t e;

    o->live = live_new();
    e = snapshot_make(catalog_ref(c), o->live, &o->snapshot);
    for (size_t i = 0; e == OK && i < c->provider_count; i++) {
        const struct provider *p = &c->providers[i];
        if (p->simulated && !p->pipelines && !find(o, p->scenario_path))
            e = add_scenario(o, p->scenario_path);
    }
    if (e != OK) {
        own_gateway_free(o);
        return e;
    }
    *ret = o;
    return OK;
}

void own_gateway_free(struct own_gateway *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->count; i++)
        scenario_free(o->simulated[i].scenario);
    if (o->snapshot)
        snapshot_unref(o->snapshot);
    live_free(o->live);
    mem_free(o);
}

/* --- while it runs --- */

static bool address_of(void *own, const struct provider *p, struct addr *ret)
{
    const struct simulated *s = p->pipelines ? NULL : find(own, p->scenario_path);

    if (s)
        *ret = s->at;
    return s != NULL;
}

static SUSPENDS err_t serve(void *simulated)
{
    const struct simulated *s = simulated;

    return http_server_run(s->http);
}

static err_t open_simulator(struct simulated *s)
{
    struct addr any;

    s->provider = sim_provider_new(s->scenario, (uint64_t)s->scenario->seed);
    s->http = http_server_new(&(struct http_server_options){.limits = http_limits_default(),
                                                            .handler = sim_provider_handle,
                                                            .ctx = s->provider,
                                                            .server_name = "crossdock-sim"});
    TRY(addr_parse(STR("127.0.0.1:0"), &any));
    return http_server_listen(s->http, &any, LISTEN_ALONE, NULL, &s->at);
}

static void close_simulator(struct simulated *s)
{
    http_server_free(s->http);
    sim_provider_free(s->provider);
    s->http = NULL;
    s->provider = NULL;
}

static SUSPENDS err_t run_body(struct own_gateway *o, gateway_body_fn *body, void *arg)
{
    SCOPE(beside, NS_NEVER); /* what serves, and what the gateway does beside requests: ends when the body has */

    scope_discard_results(&beside);
    for (size_t i = 0; i < o->count; i++)
        scope_spawn(&beside, "simulator", serve, &o->simulated[i]);
    struct gateway *g = gateway_new(&(struct gateway_options){
        .snapshot = o->snapshot, .scope = &beside, .simulated = address_of, .simulated_ctx = o});
    err_t e = body(arg, g);
    gateway_free(g);
    return e;
}

err_t own_gateway_with(void *own, gateway_body_fn *body, void *arg)
{
    struct own_gateway *o = own;
    err_t e = OK;

    for (size_t i = 0; i < o->count && e == OK; i++)
        e = open_simulator(&o->simulated[i]);
    if (e == OK)
        e = run_body(o, body, arg);
    for (size_t i = 0; i < o->count; i++)
        close_simulator(&o->simulated[i]);
    return e;
}
