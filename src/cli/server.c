/*
 * server.c - from a configuration to loops that serve, and back to nothing.
 *
 * Each loop has its own gateway, HTTP server and simulators. Loop 0 binds first and shares with nobody who was there before,
 * so that a port in use is one clear error; then the others join it. At the end every loop waits for the last to finish, so that visits
 * never reach a loop that is gone.
 */
#include "cli/server.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "gateway/health.h"
#include "pipeline/door/doors.h"
#include "pipeline/door/ears.h"
#include "pipeline/run/runner.h"
#include "rt/process.h"
#include "rt/threads.h"
#include "rt/watchdog.h"
#include "sim/sim_provider.h"
#include "store/blobs.h"
#include "version.h"

/* Responses that may be asked for again, and signatures of thoughts. */
#define KEPT_BYTES ((size_t)256 << 20)
#define KEPT_TIME (24 * 3600 * NS_SEC)

/* --- what the loops' parts ask of the process --- */

static bool simulated_addr(void *ctx, const struct provider *p, struct addr *ret)
{
    struct server_loop *sl = ctx;

    if (p->pipelines) {
        *ret = sl->models_at;
        return sl->models_http != NULL;
    }
    for (unsigned i = 0; i < sl->simulator_count; i++)
        if (str_eq(sl->simulators[i].scenario_path, p->scenario_path)) {
            *ret = sl->simulators[i].at;
            return true;
        }
    return false;
}

static void collect(void *loop, void *arg)
{
    struct server_loop *sl = loop;
    struct admin_sum *sum = arg;
    struct http_server_stats http;
    struct loop_stats stats;

    metrics_merge(sum->metrics, gateway_metrics(sl->gateway));
    gateway_gauges(sl->gateway, &sum->gauges);
    if (sl->index == 0)
        gateway_credentials(sl->gateway, sum->metrics);
    http_server_stats(sl->http, &http);
    loop_stats(&stats);
    struct gauges g = {.connections = http.connections,
                       .idle_connections = http.idle_connections,
                       .accepted = http.accepted,
                       .refused = http.refused,
                       .fibers = stats.fibers,
                       .sockets = stats.sockets,
                       .stack_bytes = stats.stack_bytes,
                       .lag_max = stats.lag_max,
                       .busy = stats.busy};
    gauges_merge(&sum->gauges, &g);
}

static void tell_pipelines(void *loop, void *survey)
{
    const struct server_loop *sl = loop;

    admin_tell_pipelines(sl->runner, survey);
}

static void begin_replays(void *loop, void *replays)
{
    const struct server_loop *sl = loop;

    admin_replay(sl->runner, replays);
}

static void process_numbers(void *ctx, struct process_numbers *ret)
{
    struct server_loop *sl = ctx;
    struct server *s = sl->server;

    *ret = (struct process_numbers){
        .resident_bytes = process_resident_bytes(),
        .cpu_seconds = (double)process_cpu() / 1e9,
        .uptime_seconds = (double)(rt_now() - s->started) / 1e9,
        .log_dropped = (s->log_writer ? writer_dropped(s->log_writer) : 0) +
                       (s->access_writer ? writer_dropped(s->access_writer) : 0),
        .reloads = __atomic_load_n(&s->reloads, __ATOMIC_RELAXED),
        .reload_failures = __atomic_load_n(&s->reload_failures, __ATOMIC_RELAXED),
        .revision = __atomic_load_n(&s->revision, __ATOMIC_RELAXED),
        .watchdog_reports = watchdog_reports(),
        .facts_lost = server_facts_lost(s),
        .loops = s->loop_count,
        .version = CROSSDOCK_VERSION,
        .more = gateway_admission_metrics,
        .more_ctx = sl->gateway,
    };
}

static const char *not_ready(void *ctx)
{
    struct server_loop *sl = ctx;

    return __atomic_load_n(&sl->server->draining, __ATOMIC_RELAXED) ? "draining" : NULL;
}

static const struct snapshot *snapshot_in_use(void *ctx)
{
    struct server_loop *sl = ctx;

    return gateway_snapshot(sl->gateway);
}

static SUSPENDS err_t handle_operator(struct http_request *r, void *ctx)
{
    struct server_loop *sl = ctx;

    return admin_handle_operator(&sl->admin, r);
}

static SUSPENDS err_t handle(struct http_request *r, void *ctx)
{
    struct server_loop *sl = ctx;

    bool is_served;

    if (admin_wants(r->head.path))
        return admin_handle(&sl->admin, r);
    TRY(doors_serve(sl->server->doors, sl->gateway, r, &is_served));
    if (is_served)
        return OK;
    return gateway_handle(r, sl->gateway);
}

/* --- one loop's parts --- */

static struct http_limits limits_of(const struct catalog *c)
{
    struct http_limits l = http_limits_default();

    l.head_bytes = c->limits.head_bytes;
    l.head_count = c->limits.head_count;
    l.body_bytes = c->limits.body_bytes;
    l.connections = c->limits.connections;
    l.head_time = c->limits.head_time;
    l.body_gap = c->limits.body_gap;
    l.idle_time = c->limits.idle_time;
    l.write_gap = c->limits.write_gap;
    return l;
}

static void open_simulator(struct server_loop *sl, const struct scenario_file *f)
{
    struct simulator *sim = &sl->simulators[sl->simulator_count];
    int64_t seed = sl->server->sim_seed >= 0 ? sl->server->sim_seed : f->scenario->seed;

    sim->scenario_path = f->path;
    sim->provider = sim_provider_new(f->scenario, (uint64_t)seed);
    sl->server->simulated[sl->simulator_count * sl->server->loop_count + sl->index] = sim->provider;
    struct http_server_options o = {.limits = http_limits_default(),
                                    .handler = sim_provider_handle,
                                    .ctx = sim->provider,
                                    .server_name = "crossdock-sim"};
    sim->http = http_server_new(&o);
    sl->simulator_count++;
}

static void open_parts(struct server_loop *sl, struct scope *background)
{
    struct server *s = sl->server;
    struct http_server_options o = {.limits = limits_of(s->first->catalog),
                                    .handler = handle,
                                    .ctx = sl,
                                    .refusal = gateway_refusal,
                                    .server_name = "crossdock"};
    struct gateway_options g = {.snapshot = s->first,
                                .scope = background,
                                .kept = s->kept,
                                .hearer = ears_hearer(s->ears),
                                .simulated = simulated_addr,
                                .simulated_ctx = sl,
                                .on_facts = record_facts,
                                .on_beside = record_beside,
                                .facts_ctx = sl};

    sl->admin = (struct admin){.loops = s->group,
                               .collect = collect,
                               .recent = find_recent,
                               .pipelines = tell_pipelines,
                               .replays = begin_replays,
                               .journal = s->journal,
                               .process = process_numbers,
                               .not_ready = not_ready,
                               .snapshot = snapshot_in_use,
                               .made_key = s->key_is_made ? s->made_hash : NULL,
                               .facts_dir = s->facts ? s->first->catalog->facts.dir.p : NULL,
                               .ctx = sl};
    open_recent(sl);
    sl->http = http_server_new(&o);
    sl->gateway = gateway_new(&g);
    open_runner(sl);
    for (unsigned i = 0; i < s->scenario_count; i++)
        open_simulator(sl, &s->scenarios[i]);
    if (sl->index == 0)
        open_schemas(s);
    if (sl->index || !s->first->catalog->admin.on)
        return;
    o.handler = handle_operator;
    o.refusal = NULL;
    sl->admin_http = http_server_new(&o);
}

static void close_parts(struct server_loop *sl)
{
    http_server_free(sl->http);
    http_server_free(sl->admin_http);
    if (sl->index == 0)
        http_server_free(sl->server->schemas_http);
    close_models(sl);
    runner_free(sl->runner);
    gateway_free(sl->gateway);
    for (unsigned i = 0; i < sl->simulator_count; i++) {
        http_server_free(sl->simulators[i].http);
        sim_provider_free(sl->simulators[i].provider);
    }
    close_recent(sl);
}

/* --- listening --- */

/* Listen for the simulators on ports of this loop's own, and on every address of the configuration: there loop 0 comes first and
 * finds the ports, and the others share them. */
static err_t listen_all(struct server_loop *sl)
{
    struct server *s = sl->server;
    const struct catalog *c = s->first->catalog;
    struct addr any;

    TRY(addr_parse(STR("127.0.0.1:0"), &any));
    for (unsigned i = 0; i < sl->simulator_count; i++)
        TRY(http_server_listen(sl->simulators[i].http, &any, LISTEN_ALONE, NULL, &sl->simulators[i].at));
    TRY(open_models(sl, c));
    for (size_t i = 0; i < c->listen_count; i++) {
        struct tls_ctx *tls = c->listens[i].tls ? s->first->server_tls : NULL;
        const struct addr *at = sl->index ? &s->listens[i] : &c->listens[i].addr;
        bool is_path = at->u.any.sa_family == AF_UNIX; /* which loops cannot share: loop 0 serves it alone */
        struct addr bound;
        if (is_path && sl->index)
            continue;
        enum listen_share share = is_path || s->loop_count == 1 ? LISTEN_ALONE : sl->index ? LISTEN_JOIN : LISTEN_FIRST;
        TRY(http_server_listen(sl->http, at, share, tls, &bound));
        if (sl->index == 0) {
            s->listens[i] = bound;
            s->listen_tls[i] = tls != NULL;
            s->listen_count = i + 1;
        }
    }
    if (sl->index == 0)
        TRY(listen_schemas(s));
    return sl->admin_http ? open_admin(sl) : OK;
}

struct opening {
    err_t error;
    char text[ERR_TEXT_MAX]; /* the error record is the visited loop's: its words travel along */
};

static void listen_visit(void *loop, void *arg)
{
    struct server_loop *sl = loop;
    struct opening *o = arg;

    if (o->error != OK)
        return;
    o->error = listen_all(sl);
    if (o->error != OK)
        memccpy(o->text, err_detail(o->error), '\0', sizeof o->text);
}

static void go_visit(void *loop, void *arg)
{
    struct server_loop *sl = loop;
    const struct opening *o = arg;

    sl->go = o->error == OK ? GO_SERVE : GO_END;
    if (sl->main)
        fiber_wake(sl->main);
}

/* Open the listeners of all loops, then let them go, or end if one could not. */
static SUSPENDS err_t open_listeners(struct server *s)
{
    struct opening *o = NEW(struct opening);
    err_t e;

    TRY(loops_visit(s->group, listen_visit, o, mem_free));
    e = o->error == OK ? OK : fail(o->error, "%s", o->text);
    TRY(loops_visit(s->group, go_visit, o, mem_free));
    mem_free(o);
    return e;
}

/* --- a loop's life --- */

static SUSPENDS err_t serve_clients(void *arg)
{
    struct server_loop *sl = arg;
    err_t e = http_server_run(sl->http);

    if (e != OK && sl->running) /* nobody will come any more, and nobody drains it */
        fiber_cancel(sl->running);
    return e;
}

static SUSPENDS err_t serve_simulator(void *arg)
{
    struct simulator *sim = arg;

    return http_server_run(sim->http);
}

static SUSPENDS err_t look_after_health(void *arg)
{
    struct server_loop *sl = arg;

    return health_run(sl->gateway);
}

static SUSPENDS err_t serve_operators(void *arg)
{
    struct server_loop *sl = arg;

    return http_server_run(sl->admin_http);
}

static SUSPENDS err_t serve_until_drained(struct server_loop *sl)
{
    SCOPE(clients, NS_NEVER);

    sl->serving = scope_spawn(&clients, "clients", serve_clients, sl);
    sl->running = scope_spawn(&clients, "pipelines", run_pipelines, sl);
    err_t e = scope_wait_all(&clients);
    sl->serving = sl->running = NULL;
    return e;
}

static SUSPENDS err_t wait_for_go(struct server_loop *sl)
{
    sl->main = fiber_current();
    while (sl->go == GO_WAIT)
        TRY(fiber_park("all loops to listen", NS_NEVER));
    sl->main = NULL;
    return OK;
}

static void log_addresses(const struct server *s)
{
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; !s->banner && i < s->listen_count; i++) {
        addr_format(&s->listens[i], text);
        log_info(STR_NONE, "listening url=%s://%s", s->listen_tls[i] ? "https" : "http", text);
    }
    if (s->schemas_http) {
        addr_format(&s->schemas_at, text);
        log_info(STR_NONE, "schemas registry=%s://%s", s->first->catalog->registry.listen.tls ? "https" : "http", text);
    }
    if (!s->admin_listens)
        return;
    addr_format(&s->admin_at, text);
    log_info(STR_NONE, "operators admin=%s://%s key_file=%s", s->first->catalog->admin.listen.tls ? "https" : "http",
             text, s->key_path ? s->key_path : "none");
}

static void warn_about_insecure(const struct catalog *c)
{
    for (size_t i = 0; i < c->provider_count; i++)
        if (c->providers[i].insecure_skip_verify)
            log_warn(STR_NONE, "provider %.*s: its certificate is NOT verified (tls.insecure_skip_verify)",
                     STR_ARG(c->providers[i].name));
}

static SUSPENDS err_t start(struct server_loop *sl)
{
    struct server *s = sl->server;

    TRY(open_listeners(s));
    TRY(publish_key(sl));
    if (s->banner)
        banner_print(s);
    log_addresses(s);
    warn_about_insecure(s->first->catalog);
    warn_about_forgetting(s);
    log_info(STR_NONE, "serving loops=%u revision=%llu", s->loop_count,
             (unsigned long long)s->first->catalog->revision);
    return OK;
}

/* Once every loop has its simulators: tell them of each other. */
static void introduce_simulators(struct server_loop *sl)
{
    unsigned loops = sl->server->loop_count;

    for (unsigned i = 0; i < sl->simulator_count; i++)
        sim_provider_set_peers(sl->simulators[i].provider, &sl->server->simulated[i * loops], loops);
}

static SUSPENDS err_t serve_to_the_end(struct server_loop *sl)
{
    SCOPE(helpers, NS_NEVER);

    TRY(loops_join(sl->server->group, sl->index, sl));
    introduce_simulators(sl);
    err_t e = sl->index == 0 ? start(sl) : OK;
    TRY(wait_for_go(sl));
    if (sl->go == GO_SERVE) {
        for (unsigned i = 0; i < sl->simulator_count; i++)
            scope_spawn(&helpers, "simulator", serve_simulator, &sl->simulators[i]);
        sl->helpers = &helpers;
        start_models(sl);
        scope_spawn(&helpers, "shadows", shadows_run, sl->gateway);
        if (sl->index == 0) {
            scope_spawn(&helpers, "signals", control_signals, sl);
            scope_spawn(&helpers, "configuration files", control_files, sl);
            scope_spawn(&helpers, "health", look_after_health, sl);
            if (sl->server->schemas_http)
                scope_spawn(&helpers, "schema registry", serve_schemas, sl->server);
            if (sl->server->admin_listens)
                scope_spawn(&helpers, "operators", serve_operators, sl);
        }
        e = serve_until_drained(sl);
        sl->helpers = NULL;
    }
    TRY(loops_leave(sl->server->group));
    return e;
}

static SUSPENDS err_t loop_main(void *arg)
{
    struct server_loop *sl = arg;
    SCOPE(background, NS_NEVER); /* outlives what open_parts() makes */
    err_t e;

    scope_discard_results(&background);
    open_parts(sl, &background);
    e = serve_to_the_end(sl);
    if (e != OK && e != E_CANCELLED && !__atomic_exchange_n(&sl->server->failed, true, __ATOMIC_RELAXED))
        (void)fprintf(stderr, "crossdock: %s\n", err_detail(e));
    close_parts(sl);
    return e == E_CANCELLED ? OK : e;
}

static err_t run_loop(unsigned index, void *ctx)
{
    struct server *s = ctx;
    struct loop_options o = {.index = index};

    s->loops[index] = (struct server_loop){.server = s, .index = index};
    return loop_run(&o, loop_main, &s->loops[index]);
}

int server_run(struct server *s)
{
    s->loops = mem_zalloc(s->loop_count, sizeof *s->loops);
    s->simulated = mem_zalloc((size_t)s->scenario_count * s->loop_count, sizeof *s->simulated);
    s->group = loops_new(s->loop_count);
    s->kept = memory_blobs_new(KEPT_BYTES, KEPT_TIME);
    server_make_key(s);
    err_t e = threads_run(s->loop_count, run_loop, s);
    withdraw_key(s);
    loops_free(s->group);
    blobs_free(s->kept);
    mem_free(s->simulated);
    mem_free(s->loops);
    return e == OK ? EXIT_OK : EXIT_FAILED;
}

void server_release(struct server *s)
{
    snapshot_unref(s->first);
    live_free(s->live);
    config_watch_unref(s->watch);
    for (unsigned i = 0; i < s->scenario_count; i++) {
        scenario_free(s->scenarios[i].scenario);
        mem_free((void *)s->scenarios[i].path.p);
    }
    mem_free(s);
}
