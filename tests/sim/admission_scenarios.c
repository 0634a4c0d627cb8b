/*
 * admission_scenarios.c - more requests than servers can bear: the whole gateway, servers that get slower under load, and tenants of whom one is greedy.
 *
 * Servers are simulators with a bounded capacity (sim/load.h). Clients come at times of their own, whatever became of those before them, so an overload
 * lasts. Oracles: tokens that tenants got, times between tokens as clients saw them, requests under way at servers, and that nothing is left behind.
 */
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/json_scan.h"
#include "codec/sse.h"
#include "fleet/config.h"
#include "gateway/gateway.h"
#include "net/dns.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "sim/simulator.h"
#include "sim/world.h"

#include <stdio.h>

enum { SERVERS_MAX = 8, TENANTS = 10, GATEWAY_PORT = 80, SERVER_PORT = 9000, YAML_MAX = 1 << 16 };

/* What a scenario is made of. */
struct crowd_plan {
    unsigned servers;
    const char *server;   /* how each behaves, below its model's name      */
    const char *provider; /* further fields of each provider               */
    const char *model;    /* further fields of the model                   */
    unsigned clients;
    ns_t spread;      /* in which they come                                     */
    unsigned greedy;  /* of 1,000 requests, those of tenant 0; 0: its equal share */
    unsigned leaving; /* of 1,000 clients, those that hang up at some time   */
    ns_t leave_within;
    ns_t count_from, count_to; /* the answers that the oracles are about end within this, counted from the beginning */
};

struct tenant {
    double tokens; /* that it got */
    unsigned answered, refused;
};

struct crowd {
    const struct crowd_plan *plan;
    struct world *world;
    struct snapshot *snapshot;
    struct gateway *gateway;
    struct http_server *server, *providers[SERVERS_MAX];
    struct simulator *simulators[SERVERS_MAX];
    struct upstream *to_gateway;
    ns_t began;
    struct tenant tenants[TENANTS];
    double between;     /* seconds between tokens, summed over answers */
    unsigned measured;  /* of so many                                  */
    unsigned waited;    /* told by x-crossdock-queue-ms                 */
    unsigned foreseen;  /* refused because their turn would come too late */
    ns_t foreseen_took; /* the longest that one of them had to wait for that */
    double worst_share; /* most requests at a server, over the mean, while a burst comes in */
    double peak;        /* requests at all servers, at most                                 */
    bool ended, over;   /* a client has; all have                                             */
};

/* --- the house --- */

static void add_keys(struct buf *yaml)
{
    unsigned char hash[SHA256_BYTES];
    char key[16], hex[SHA256_HEX];

    buf_add_lit(yaml, "keys:\n");
    for (unsigned i = 0; i < TENANTS; i++) {
        (void)snprintf(key, sizeof key, "sk-%u", i);
        sha256(str_from_c(key), hash);
        hex_encode(hex, hash, sizeof hash);
        buf_addf(yaml, "  - { name: tenant%u, hash: 'sha256:%.*s' }\n", i, SHA256_HEX, hex);
    }
}

static err_t make_snapshot(const struct crowd_plan *plan, struct snapshot **ret)
{
    struct buf yaml CLEANUP(buf_release) = BUF_INIT(YAML_MAX);
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};
    struct catalog *catalog;

    arena_init(&arena, 1 << 22);
    buf_add_lit(&yaml, "listen: 127.0.0.1:80\ntimeouts: { connect: 5s, first_byte: 60s, total: 10m }\nproviders:\n");
    for (unsigned i = 0; i < plan->servers; i++)
        buf_addf(&yaml, "  s%u: { dialect: openai, base_url: 'http://127.0.0.1:%u/v1', api_key: sk-s%s }\n", i,
                 SERVER_PORT + i, plan->provider);
    buf_add_lit(&yaml, "models:\n  chat: { strategy: least-busy, targets: [ ");
    for (unsigned i = 0; i < plan->servers; i++)
        buf_addf(&yaml, "%ss%u/m", i ? ", " : "", i);
    buf_addf(&yaml, " ]%s }\n", plan->model);
    add_keys(&yaml);
    TRY(config_load("-", buf_str(&yaml), config_env_real(), &problems, &catalog));
    return snapshot_make(catalog, NULL, ret);
}

static err_t crowd_open(struct crowd *c, struct world *w, const struct crowd_plan *plan)
{
    char behaviours[512];

    *c = (struct crowd){.plan = plan, .world = w};
    TRY(make_snapshot(plan, &c->snapshot));
    c->gateway = gateway_new(&(struct gateway_options){.snapshot = c->snapshot});
    struct http_server_options so = {
        .limits = http_limits_default(), .handler = gateway_handle, .ctx = c->gateway, .refusal = gateway_refusal};
    c->server = http_server_new(&so);
    (void)snprintf(behaviours, sizeof behaviours, "models: { m: { %s } }\n", plan->server);
    for (unsigned i = 0; i < plan->servers; i++) {
        TRY(simulator_new(str_from_c(behaviours), w->seed + i, &c->simulators[i]));
        c->providers[i] = http_server_new(&(struct http_server_options){
            .limits = http_limits_default(), .handler = simulator_handle, .ctx = c->simulators[i]});
    }
    c->to_gateway = upstream_new(&(struct upstream_options){.host = STR("127.0.0.1"), .port = GATEWAY_PORT});
    return OK;
}

static void crowd_close(struct crowd *c)
{
    upstream_free(c->to_gateway);
    http_server_free(c->server);
    for (unsigned i = 0; i < c->plan->servers; i++) {
        http_server_free(c->providers[i]);
        simulator_free(c->simulators[i]);
    }
    gateway_free(c->gateway);
    snapshot_unref(c->snapshot);
    dns_drain();
    iobuf_drain();
}

static err_t serve(void *server)
{
    return http_server_run(server);
}

static SUSPENDS err_t open_doors(struct crowd *c, struct scope *s)
{
    struct addr at = world_addr(GATEWAY_PORT), bound;

    TRY(http_server_listen(c->server, &at, LISTEN_ALONE, NULL, &bound));
    (void)scope_spawn(s, "gateway", serve, c->server);
    for (unsigned i = 0; i < c->plan->servers; i++) {
        at = world_addr((uint16_t)(SERVER_PORT + i));
        TRY(http_server_listen(c->providers[i], &at, LISTEN_ALONE, NULL, &bound));
        (void)scope_spawn(s, "provider", serve, c->providers[i]);
    }
    return OK;
}

/* --- clients --- */

/* A stream as its client hears it. */
struct heard {
    struct sse framer;
    unsigned tokens;
    ns_t first, last;
    bool done;
};

static void hear(struct heard *h, struct str piece)
{
    struct sse_event e;

    while (sse_next(&h->framer, &piece, &e) == SSE_EVENT) {
        size_t at = 0;
        struct str choice = json_next_element(json_find(e.data, STR("choices")), &at);
        struct str text = json_find_path(choice, "delta", "content", NULL);
        h->done |= str_eq(e.data, STR("[DONE]"));
        if (text.n <= 2)
            continue;
        h->tokens++;
        h->last = rt_now();
        h->first = h->first ? h->first : h->last;
    }
}

static void note_answer(struct crowd *c, unsigned tenant, const struct heard *h)
{
    ns_t now = rt_now() - c->began;

    if (now < c->plan->count_from || now > c->plan->count_to)
        return;
    c->tenants[tenant].answered++;
    c->tenants[tenant].tokens += h->tokens;
    if (h->tokens > 1) {
        c->between += (double)(h->last - h->first) / 1e9 / (h->tokens - 1);
        c->measured++;
    }
}

static SUSPENDS err_t read_refusal(struct client *cl, struct crowd *c, unsigned tenant, struct http_call *call)
{
    const struct http_head *head = http_call_head(call);
    struct str body;

    c->tenants[tenant].refused++;
    EXPECT(!world_is_harmless(c->world) || head->status == 429 || head->status == 503, "client %u got status %d",
           cl->index, head->status);
    EXPECT(!world_is_harmless(c->world) || http_head_find(head, STR("retry-after")).n > 0,
           "client %u was not told when to come back", cl->index);
    TRY(http_call_all(call, NS_NEVER, 1 << 16, &body));
    if (str_find(body, STR("deadline_unreachable")) < body.n) {
        ns_t took = rt_now() - cl->outcome->began;
        c->foreseen++;
        c->foreseen_took = took > c->foreseen_took ? took : c->foreseen_took;
    }
    return fail(E_OVERLOAD, "refused");
}

static SUSPENDS err_t read_answer(struct client *cl, struct crowd *c, unsigned tenant, struct http_call *call)
{
    struct heard h = {.tokens = 0};
    struct str piece;
    err_t e;

    c->waited += http_head_find(http_call_head(call), STR("x-crossdock-queue-ms")).n > 0;
    sse_init(&h.framer, 0);
    while ((e = http_call_next(call, NS_NEVER, &piece)) == OK && piece.p)
        hear(&h, piece);
    sse_release(&h.framer);
    cl->outcome->complete = h.done;
    if (h.done)
        note_answer(c, tenant, &h);
    return e == OK && !h.done ? fail(E_EOF, "broken off") : e;
}

static SUSPENDS err_t ask(struct client *cl, struct crowd *c, unsigned tenant)
{
    struct arena arena CLEANUP(arena_release);
    struct http_call *call CLEANUP(http_call_close_p) = NULL;

    arena_init(&arena, 1 << 20);
    struct http_header headers[] = {{STR("content-type"), STR("application/json")},
                                    {STR("authorization"), arena_printf(&arena, "Bearer sk-%u", tenant)}};
    struct str body = arena_printf(&arena,
                                   "{\"model\":\"chat\",\"stream\":true,\"max_tokens\":80,\"messages\":[{\"role\":"
                                   "\"user\",\"content\":\"question %u\"}]}",
                                   cl->index);
    struct http_call_options o = {.method = STR("POST"),
                                  .target = STR("/v1/chat/completions"),
                                  .headers = headers,
                                  .count = 2,
                                  .body = &body,
                                  .body_parts = 1,
                                  .connect_by = rt_now() + 10 * NS_SEC,
                                  .first_byte_by = NS_NEVER};
    TRY(http_call_open(c->to_gateway, &arena, &o, NULL, &call));
    cl->outcome->status = http_call_head(call)->status;
    return cl->outcome->status == 200 ? read_answer(cl, c, tenant, call) : read_refusal(cl, c, tenant, call);
}

static err_t come(struct client *cl)
{
    struct crowd *c = cl->arg;
    const struct crowd_plan *p = c->plan;
    bool greedy = prng_below(&cl->prng, 1000) < p->greedy;
    unsigned tenant = greedy ? 0 : (unsigned)prng_range(&cl->prng, p->greedy > 0, TENANTS - 1);

    bool leaves = prng_below(&cl->prng, 1000) < p->leaving;
    WITHIN(leaves ? rt_now() + 1 + (ns_t)prng_below(&cl->prng, (uint64_t)p->leave_within) : NS_NEVER);
    err_t e = ask(cl, c, tenant);
    c->ended = true;
    return e == E_DEADLINE ? OK : e;
}

/* --- what goes on beside --- */

/* How evenly requests lie on the servers, from the third part of a burst on until its first answer. */
static err_t watch_servers(void *arg)
{
    struct crowd *c = arg;

    while (!c->over) {
        double most = 0, all = 0;
        for (unsigned i = 0; i < c->plan->servers; i++) {
            struct live_gate_report r;
            live_gate_report(live_deployment_gate(c->snapshot->deployments[i]), &r);
            most = r.in_flight > most ? r.in_flight : most;
            all += r.in_flight;
        }
        c->peak = all > c->peak ? all : c->peak;
        if (!c->ended && all == c->peak && all >= c->plan->clients / 3.0 &&
            most * c->plan->servers / all > c->worst_share)
            c->worst_share = most * c->plan->servers / all;
        world_log("%.0f in flight, %.0f at the busiest", all, most);
        TRY(fiber_sleep_until(rt_now() + 10 * NS_MS));
    }
    return OK;
}

/* Nobody waits, nothing is kept for anybody, and all that was counted in was counted out. */
static void check_quiet(const struct crowd *c)
{
    struct gauges g = {0};

    gateway_gauges(c->gateway, &g);
    EXPECT(g.in_flight == 0, "%llu requests are still in flight", (unsigned long long)g.in_flight);
    for (size_t i = 0; i < c->snapshot->catalog->deployment_count; i++) {
        struct live_gate_report r;
        live_gate_report(live_deployment_gate(c->snapshot->deployments[i]), &r);
        EXPECT(r.in_flight == 0 && r.promised == 0, "server %zu: %u in flight, %u promised", i, r.in_flight,
               r.promised);
    }
    const struct live_queue *q = live_route_queue(c->snapshot->routes[0]);
    EXPECT(q->waiting == 0, "%u wait", q->waiting);
}

/* Is this line on the page of metrics? */
static bool tells(const struct crowd *c, const char *line)
{
    struct buf page CLEANUP(buf_release) = BUF_INIT(1 << 16);

    gateway_admission_metrics(c->gateway, &page);
    return str_find(buf_str(&page), str_from_c(line)) < page.n;
}

typedef void crowd_check_fn(const struct crowd *c, const struct outcome *o);

static SUSPENDS err_t run_clients(struct crowd *c, crowd_check_fn *check)
{
    SCOPE(doors, NS_NEVER);
    TRY(open_doors(c, &doors));
    (void)scope_spawn(&doors, "watcher", watch_servers, c);
    c->began = rt_now();
    const struct outcome *o = world_clients(c->world, c->plan->clients, c->plan->spread, come, c);
    c->over = true;
    TRY(fiber_sleep_until(rt_now() + 3 * NS_SEC));
    check(c, o);
    check_quiet(c);
    return OK;
}

static SUSPENDS err_t run_crowd(struct world *w, const struct crowd_plan *plan, crowd_check_fn *check)
{
    struct crowd *c = NEW(struct crowd);
    err_t e = crowd_open(c, w, plan);

    if (e == OK)
        e = run_clients(c, check);
    crowd_close(c);
    mem_free(c);
    return e;
}

static void wide_lines(struct sim_options *o, struct prng *p)
{
    (void)p;
    o->socket_buffer = 64 * 1024;
}

/* --- twice what can be borne --- */

/* Two servers keep 40 ms per token with 20 answers at a time, some 25 answers a second together. Twice that many are wanted: two fifths by one tenant,
 * the rest by nine, each of whom wants a third more than its share. */
static const struct crowd_plan overload = {
    .servers = 2,
    .server = "ttft: 50ms, tokens_per_second: 100, answer_tokens: {distribution: uniform, min: 20, max: 60}, "
              "capacity: {tokens_per_second: 500}",
    .provider = ", objectives: { per_token: 40ms }, concurrency: { least: 2, most: 256, first: 64 }",
    .model = ", queue: { max_wait: 15s }",
    .clients = 6000,
    .spread = 120 * NS_SEC,
    .greedy = 400,
    .count_from = 50 * NS_SEC,
    .count_to = 120 * NS_SEC,
};

static void check_overload(const struct crowd *c, const struct outcome *o)
{
    double all = 0, capacity = 1000 * (double)(c->plan->count_to - c->plan->count_from) / 1e9;
    ns_t way = c->world->options.latency_max;

    for (unsigned i = 0; i < TENANTS; i++)
        all += c->tenants[i].tokens;
    for (unsigned i = 0; i < TENANTS; i++)
        world_log("tenant %u: %.3f of its share, %u answered, %u refused", i, c->tenants[i].tokens * TENANTS / all,
                  c->tenants[i].answered, c->tenants[i].refused);
    world_log("%.4f s between tokens; %.3f of the capacity; %u waited; %u refused at once, within %lld ms",
              c->between / c->measured, all / capacity, c->waited, c->foreseen, (long long)(c->foreseen_took / NS_MS));
    for (unsigned i = 1; i < TENANTS; i++)
        EXPECT(c->tenants[i].tokens >= 0.95 * all / TENANTS, "tenant %u got %.3f of its share", i,
               c->tenants[i].tokens * TENANTS / all);
    EXPECT(all >= 0.8 * capacity, "only %.3f of what the servers can do was done", all / capacity);
    EXPECT(c->between / c->measured <= 1.1 * 0.040, "%.4f s between tokens", c->between / c->measured);
    EXPECT(c->waited > 500 && c->foreseen > 500, "%u waited, %u were refused at once", c->waited, c->foreseen);
    EXPECT(c->foreseen_took <= 6 * way + 10 * NS_MS, "a request was refused after %lld ms",
           (long long)(c->foreseen_took / NS_MS));
    EXPECT(tells(c, "\ncrossdock_queue_refusals_total{model=\"chat\",reason=\"deadline_unreachable\"} "),
           "refusals were not counted");
    EXPECT(world_count(o, c->plan->clients, OK) + world_count(o, c->plan->clients, E_OVERLOAD) == c->plan->clients,
           "requests failed otherwise than by a refusal");
}

SCENARIO(at_twice_the_capacity_tenants_have_their_share_and_tokens_keep_their_pace, .weather = WEATHER_CALM,
         .prepare = wide_lines, .thin = 200)
{
    return run_crowd(w, &overload, check_overload);
}

/* --- a burst --- */

static const struct crowd_plan burst = {
    .servers = 8,
    .server = "ttft: 200ms, tokens_per_second: 20, answer_tokens: 30",
    .provider = ", concurrency: 40",
    .model = "",
    .clients = 500,
    .spread = 1,
    .count_to = NS_NEVER,
};

static void check_burst(const struct crowd *c, const struct outcome *o)
{
    EXPECT(world_count(o, c->plan->clients, OK) == c->plan->clients, "only %u of 500 were answered",
           world_count(o, c->plan->clients, OK));
    EXPECT(c->worst_share > 0 && c->worst_share <= 1.3, "the busiest server had %.2f times the mean", c->worst_share);
    EXPECT(tells(c, "\ncrossdock_concurrency_limit{deployment=\"s7/m\"} 40\n") &&
               tells(c, "\ncrossdock_queue_length{model=\"chat\"} 0\n") && !tells(c, "reason="),
           "the page of metrics does not tell of it");
    EXPECT(c->waited >= 180, "only %u of the 180 that found no place waited", c->waited);
}

SCENARIO(a_burst_is_spread_evenly_and_the_rest_waits, .weather = WEATHER_CALM, .prepare = wide_lines, .thin = 50)
{
    return run_crowd(w, &burst, check_burst);
}

/* --- clients that do not wait --- */

static const struct crowd_plan impatient = {
    .servers = 2,
    .server = "ttft: 100ms, tokens_per_second: 100, answer_tokens: 20",
    .provider = ", concurrency: 2",
    .model = ", queue: { max_wait: 10m }",
    .clients = 60,
    .spread = NS_SEC,
    .leaving = 500,
    .leave_within = 3 * NS_SEC,
    .count_to = NS_NEVER,
};

static void check_impatient(const struct crowd *c, const struct outcome *o)
{
    for (unsigned i = 0; world_is_calm(c->world) && i < c->plan->clients; i++)
        EXPECT(o[i].result == OK, "client %u was not served although it waited: %s", i, o[i].text);
}

SCENARIO(who_leaves_the_queue_leaves_nothing_behind_and_takes_nobodys_turn, .thin = 4)
{
    return run_crowd(w, &impatient, check_impatient);
}
