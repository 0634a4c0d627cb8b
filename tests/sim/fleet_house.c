/*
 * fleet_house.c - builds the house of a fleet, lets the traffic come, and judges what holds for every scenario.
 *
 * All arrivals are drawn before the first one, so that what the gateway does cannot shift them: two plans with one seed get the same traffic.
 * A client that leaves does so at a drawn moment, in whatever state its request is then.
 */
#include "sim/fleet_house.h"

#include "base/mem.h"
#include "codec/json_scan.h"
#include "codec/sse.h"
#include "fleet/config.h"
#include "net/dns.h"
#include "net/http_client.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "sim/simulator.h"

#include <stdlib.h>

enum { GATEWAY_PORT = 80, SITE_PORT = 9000, TEXT_MAX = 1 << 16, BODY_MAX = 1 << 20 };

#define CONNECT (10 * NS_SEC)
#define LEAVES_WITHIN (2 * NS_SEC)

/* --- the configuration --- */

static void add_address(const struct fleet_plan *plan, unsigned site, struct buf *yaml)
{
    buf_addf(yaml, ": { dialect: %s, base_url: 'http://127.0.0.1:%u%s%s/v1', api_key: sk-secret }\n",
             plan->dialect ? plan->dialect : "openai", SITE_PORT + site, plan->dialect ? "/" : "",
             plan->dialect ? plan->dialect : "");
}

static void add_providers(const struct fleet_plan *plan, unsigned site, struct buf *yaml)
{
    buf_addf(yaml, "  p%u", site);
    add_address(plan, site, yaml);
    for (unsigned k = 0; k < plan->copies; k++) {
        buf_addf(yaml, "  p%ux%u", site, k);
        add_address(plan, site, yaml);
    }
}

static err_t make_snapshot(const struct fleet_plan *plan, struct snapshot **ret)
{
    struct buf yaml CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};
    struct catalog *catalog;

    arena_init(&arena, 1 << 22);
    buf_addf(&yaml, "listen: 127.0.0.1:80\ntimeouts: %s\n%s\nproviders:\n",
             plan->timeouts ? plan->timeouts : "{ connect: 2s, first_byte: 2s, between_bytes: 4s, total: 20s }",
             plan->top ? plan->top : "");
    for (unsigned i = 0; i < plan->deployments; i++)
        add_providers(plan, i, &yaml);
    buf_addf(&yaml, "models:\n  chat: %s\n", plan->models);
    TRY(buf_status(&yaml));
    if (config_load("-", buf_str(&yaml), config_env_real(), &problems, &catalog) == OK)
        return snapshot_make(catalog, NULL, ret);
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);
    problems_print(&problems, &text);
    return fail(E_CONFIG, "%.*s", STR_ARG(buf_str(&text)));
}

static err_t make_simulator(struct fleet *f, struct fleet_site *site)
{
    struct buf yaml CLEANUP(buf_release) = BUF_INIT(1 << 14);
    const char *own = f->plan->behaviours[site->index];

    buf_addf(&yaml, "seed: 1\nmodels:\n  m: %s\n", own ? own : f->plan->behaviour);
    TRY(buf_status(&yaml));
    unsigned own_words = f->plan->alike ? 0 : site->index;
    return simulator_new(buf_str(&yaml), f->world->seed * FLEET_MAX + own_words, &site->simulator);
}

/* --- clients --- */

/* One client under way. */
struct guest {
    struct fleet *fleet;
    struct visit *visit;
    struct arena arena;
    struct str question;
    struct buf text;
    struct sse framer;
    bool done, error;
};

static struct str request_of(struct guest *g)
{
    const struct fleet_plan *plan = g->fleet->plan;
    bool is_early = plan->burst_fields && g->visit < &g->fleet->visits[plan->burst];
    const char *fields = is_early ? plan->burst_fields : plan->fields;

    return arena_printf(
        &g->arena,
        "{\"model\":\"chat\",\"max_tokens\":1000,\"messages\":[{\"role\":\"user\",\"content\":\"%.*s\"}]%s%s}",
        STR_ARG(g->question), g->visit->stream ? ",\"stream\":true" : "", fields ? fields : "");
}

static void hear_text(struct guest *g, struct str text)
{
    if (text.n && !g->visit->begun) {
        g->visit->begun = true;
        g->visit->first = fleet_now(g->fleet);
    }
    buf_add(&g->text, text);
}

/* The JSON of the text in an event of a stream. */
static struct str text_of_event(const struct guest *g, struct str data)
{
    size_t at = 0;

    if (g->fleet->plan->claude)
        return json_find_path(data, "delta", "text", NULL);
    return json_find_path(json_next_element(json_find(data, STR("choices")), &at), "delta", "content", NULL);
}

static struct str text_of_answer(const struct guest *g, struct str body)
{
    size_t at = 0;

    if (g->fleet->plan->claude)
        return json_find_path(json_next_element(json_find(body, STR("content")), &at), "text", NULL);
    return json_find_path(json_next_element(json_find(body, STR("choices")), &at), "message", "content", NULL);
}

static bool is_last(const struct guest *g, struct str data)
{
    return g->fleet->plan->claude ? str_eq(json_find(data, STR("type")), STR("\"message_stop\""))
                                  : str_eq(data, STR("[DONE]"));
}

static void hear_event(struct guest *g, struct str data)
{
    struct str text;

    EXPECT(!g->done && !g->error, "an event behind the end: %.*s", STR_ARG(data));
    if (is_last(g, data)) {
        g->done = true;
        return;
    }
    g->error |= json_find(data, STR("error")).p != NULL;
    if (json_string_value(text_of_event(g, data), &g->arena, &text) == OK)
        hear_text(g, text);
}

static SUSPENDS err_t hear_stream(struct guest *g, struct http_call *call)
{
    struct sse_event event;
    struct str piece;

    for (;;) {
        TRY(http_call_next(call, NS_NEVER, &piece));
        if (!piece.p)
            break;
        while (sse_next(&g->framer, &piece, &event) == SSE_EVENT)
            if (event.has_data)
                hear_event(g, event.data);
    }
    EXPECT(g->done || g->error, "a stream ended without an end");
    return g->error ? fail(E_UPSTREAM, "an error event") : OK;
}

static SUSPENDS err_t hear_plain(struct guest *g, struct http_call *call)
{
    struct str body, text;

    TRY(http_call_all(call, NS_NEVER, BODY_MAX, &body));
    EXPECT(json_valid(body, 0), "a whole body that is not JSON");
    if (g->visit->status != 200) {
        g->error = json_find_path(body, "error", "message", NULL).p != NULL;
        EXPECT(g->error, "status %d without an error in words", g->visit->status);
        EXPECT(str_find(body, STR("sk-")) == body.n, "a client was shown a provider's key");
        return fail(E_UPSTREAM, "status %d", g->visit->status);
    }
    TRY(json_string_value(text_of_answer(g, body), &g->arena, &text));
    hear_text(g, text);
    g->done = true;
    return OK;
}

static void hear_head(struct visit *v, const struct http_head *head)
{
    struct str name = http_head_find(head, STR("x-crossdock-deployment"));
    uint64_t n;

    v->status = head->status;
    if (str_to_u64(http_head_find(head, STR("x-crossdock-attempts")), 1000, &n))
        v->attempts = (unsigned)n;
    if (name.n >= 2 && str_to_u64(str_slice(name, 1, 2), FLEET_MAX - 1, &n))
        v->deployment = (int)n;
}

/* Is it what the deployment that answered must say, and all of it if it ended? */
static void check_text(struct guest *g)
{
    struct said said = {"user", g->question};
    struct visit *v = g->visit;
    struct str right;

    if (!v->begun || !EXPECT(v->deployment >= 0, "a text of nobody"))
        return;
    struct fleet_site *site = &g->fleet->sites[v->deployment];
    if (!EXPECT(simulator_truth(site->simulator, STR("m"), &said, 1, false, 1, 0, &g->arena, &right) == OK,
                "no truth: %s", err_detail(E_UPSTREAM)))
        return;
    EXPECT(str_starts(right, buf_str(&g->text)), "wrong text: %.*s; it is: %.*s", STR_ARG(buf_str(&g->text)),
           STR_ARG(right));
    EXPECT(!g->done || g->text.n == right.n, "%zu of %zu bytes were said to be all", g->text.n, right.n);
}

static SUSPENDS err_t ask(struct guest *g)
{
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct http_header headers[] = {
        {STR("content-type"), STR("application/json")},
        {STR("anthropic-version"), STR("2023-06-01")}, /* others do not look at it */
        {STR("x-crossdock-session"), arena_printf(&g->arena, "talk-%u", g->visit->session)}};
    struct str body = request_of(g);
    struct http_call_options o = {.method = STR("POST"),
                                  .target = g->fleet->plan->claude ? STR("/v1/messages") : STR("/v1/chat/completions"),
                                  .headers = headers,
                                  .count = g->visit->session ? 3 : 2,
                                  .body = &body,
                                  .body_parts = 1,
                                  .connect_by = rt_now() + CONNECT,
                                  .first_byte_by = NS_NEVER};

    TRY(http_call_open(g->fleet->to_gateway, &g->arena, &o, NULL, &call));
    const struct http_head *head = http_call_head(call);
    hear_head(g->visit, head);
    bool stream = str_starts(http_head_get(head, HDR_CONTENT_TYPE), STR("text/event-stream"));
    EXPECT(head->status != 200 || stream == g->visit->stream, "an answer in another form than was asked for");
    return stream ? hear_stream(g, call) : hear_plain(g, call);
}

static SUSPENDS err_t visit_within(struct guest *g, ns_t until)
{
    WITHIN(until);
    return ask(g);
}

static SUSPENDS err_t guest_run(void *arg)
{
    struct guest *g = arg;
    struct visit *v = g->visit;
    struct fleet *f = g->fleet;

    arena_init(&g->arena, 1 << 22);
    buf_init(&g->text, TEXT_MAX);
    sse_init(&g->framer, 0);
    g->question = arena_printf(&g->arena, "Question %td, please.", v - f->visits);
    ns_t leaves = v->leaves ? ns_add(rt_now(), v->ended) : NS_NEVER;
    v->ended = 0;
    err_t e = visit_within(g, leaves);
    check_text(g);
    v->whole = e == OK && g->done;
    v->blamed = g->error;
    v->ended = fleet_now(f);
    world_log("visit %td: %s %d by %d after %u, %.3f s", v - f->visits, err_name(e), v->status, v->deployment,
              v->attempts, (double)(v->ended - v->began) / 1e9);
    sse_release(&g->framer);
    buf_release(&g->text);
    arena_release(&g->arena);
    mem_free(g);
    return OK;
}

/* --- arrivals --- */

static void add_visit(struct fleet *f, struct prng *p, ns_t at)
{
    const struct fleet_plan *plan = f->plan;
    struct visit *v = &f->visits[f->count++];

    *v = (struct visit){.began = at, .deployment = -1};
    v->stream = prng_below(p, 1000) >= plan->plain;
    v->leaves = prng_below(p, 1000) < plan->leaving;
    v->session = plan->sessions ? 1 + (unsigned)prng_below(p, plan->sessions) : 0;
    v->ended = prng_range(p, NS_MS, LEAVES_WITHIN); /* until it has come: how long one who leaves stays */
}

static void draw_visits(struct fleet *f)
{
    const struct fleet_plan *plan = f->plan;
    struct prng p = prng_fork(&f->world->prng);
    size_t room = plan->burst + (size_t)(plan->rate * (double)plan->span / 1e9 * 2) + 100;

    f->visits = mem_zalloc(room, sizeof *f->visits);
    while (f->count < plan->burst)
        add_visit(f, &p, 0);
    for (ns_t at = 0; plan->rate > 0 && f->count < room;) {
        at += (ns_t)prng_exponential(&p, 1e9 / plan->rate);
        if (at >= plan->span)
            return;
        add_visit(f, &p, at);
    }
}

static SUSPENDS err_t let_come(struct fleet *f)
{
    SCOPE(guests, NS_NEVER);
    for (size_t i = 0; i < f->count; i++) {
        TRY(fiber_sleep_until(f->opened + f->visits[i].began));
        struct guest *g = NEW(struct guest);
        g->fleet = f;
        g->visit = &f->visits[i];
        (void)scope_spawn(&guests, "client", guest_run, g);
    }
    return scope_wait_all(&guests);
}

static SUSPENDS err_t sample(void *arg)
{
    struct fleet *f = arg;

    for (;;) {
        TRY(fiber_sleep_until(rt_now() + f->plan->sample_every));
        f->plan->sample(f);
    }
}

/* --- sites --- */

static SUSPENDS err_t serve(void *server)
{
    return http_server_run(server);
}

static SUSPENDS err_t serve_until(struct fleet_site *site, struct http_server *server, ns_t until)
{
    struct addr at = world_addr((uint16_t)(SITE_PORT + site->index)), bound;

    SCOPE(open, NS_NEVER);
    TRY(http_server_listen(server, &at, LISTEN_ALONE, NULL, &bound));
    (void)scope_spawn(&open, "provider", serve, server);
    return fiber_sleep_until(until);
}

static SUSPENDS err_t keep_site(void *arg)
{
    struct fleet_site *site = arg;
    struct fleet *f = site->fleet;
    ns_t from = f->plan->shut[site->index].from, to = f->plan->shut[site->index].to;

    if (from < to) {
        if (from > 0)
            TRY(serve_until(site, site->before, f->opened + from));
        (void)sim_world_reset_all(f->world->sim, (uint16_t)(SITE_PORT + site->index));
        TRY(fiber_sleep_until(ns_add(f->opened, to)));
    }
    return serve_until(site, site->after, NS_NEVER);
}

/* --- what is known --- */

ns_t fleet_now(const struct fleet *f)
{
    return rt_now() - f->opened;
}

void fleet_report(const struct fleet *f, unsigned i, struct live_report *ret)
{
    const struct catalog *c = f->snapshot->catalog;
    char name[] = "p0/m";

    name[1] = (char)('0' + i);
    const struct deployment *d = map_get(&c->deployment_by_name, str_from_c(name));
    const struct model *m = catalog_find_model(c, STR("chat"));
    live_report(f->snapshot->deployments[d->index], &m->rules.live, rt_now(), ret);
}

uint64_t fleet_requests(const struct fleet *f, unsigned i)
{
    return simulator_tally(f->sites[i].simulator).requests;
}

static int by_time(const void *a, const void *b)
{
    ns_t x = *(const ns_t *)a, y = *(const ns_t *)b;

    return (x > y) - (x < y);
}

struct fleet_tally fleet_tally(const struct fleet *f, ns_t from, ns_t to)
{
    struct fleet_tally t = {.visits = 0};
    ns_t *times = mem_alloc((f->count + 1) * sizeof *times);
    size_t n = 0;

    for (size_t i = 0; i < f->count; i++) {
        const struct visit *v = &f->visits[i];
        if (v->began < from || v->began >= to || v->leaves)
            continue;
        t.visits++;
        t.failed += !v->whole;
        if (v->begun)
            times[n++] = v->first - v->began;
    }
    qsort(times, n, sizeof *times, by_time);
    t.p50 = n ? times[n / 2] : 0;
    t.p99 = n ? times[n * 99 / 100] : 0;
    mem_free(times);
    return t;
}

unsigned fleet_attempts(const struct fleet *f, ns_t from, ns_t to, int deployment, int cause)
{
    unsigned n = 0;

    for (size_t i = 0; i < f->log.attempt_count; i++) {
        const struct attempt_facts *a = &f->log.attempts[i];
        ns_t at = a->sent - f->opened;
        n += at >= from && at < to && (deployment < 0 || a->deployment.p[1] == '0' + deployment) &&
             (cause < 0 || a->cause == (enum cause)cause);
    }
    return n;
}

void fleet_lines(struct sim_options *o, struct prng *p)
{
    o->socket_buffer = 64 * 1024;
    o->latency_min = 100 * NS_US;
    o->latency_max = o->latency_min + prng_range(p, 0, NS_MS);
}

/* --- what holds always --- */

static ns_t longest(const struct fleet *f)
{
    return f->plan->longest ? f->plan->longest : FLEET_TOTAL;
}

/* The attempt that the request ended with. It has the highest number, but for a hedge that the other one outlived. None: no index. */
static size_t last_of(const struct facts *f)
{
    size_t n = f->tried_count;

    return n > 1 && f->tried[n - 1].role == ROLE_HEDGE && !f->tried[n - 1].is_final ? n - 2 : n - 1;
}

static void take_facts(void *ctx, const struct facts *f)
{
    struct fleet *fleet = ctx;

    fleet->recorded++;
    EXPECT(f->status != 0, "a request was recorded without a status");
    EXPECT(f->total <= longest(fleet) + FLEET_SLACK, "a request took %lld ms", (long long)(f->total / NS_MS));
    EXPECT(f->attempts == f->tried_count, "%u attempts were made, %zu recorded", f->attempts, f->tried_count);
    EXPECT(f->decision_count > 0, "nothing was decided");
    EXPECT(f->overhead <= FLEET_OVERHEAD, "%lld ms of a request are counted as the gateway's own",
           (long long)(f->overhead / NS_MS));
    size_t last = last_of(f);
    for (size_t i = 0; i < f->tried_count; i++)
        EXPECT(f->tried[i].number == i + 1 && f->tried[i].is_final == (i == last) &&
                   f->tried[i].ended >= f->tried[i].sent,
               "attempt %zu of %zu is recorded as number %u, %s", i + 1, f->tried_count, f->tried[i].number,
               f->tried[i].is_final ? "the last" : "not the last");
    replay_log_add(&fleet->log, f);
}

/* Of what no request waits for. */
static void take_beside(void *ctx, const struct attempt_facts *f)
{
    struct fleet *fleet = ctx;

    replay_log_add(&fleet->log,
                   &(struct facts){.id = f->request, .tried = (struct attempt_facts *)(uintptr_t)f, .tried_count = 1});
    fleet->beside += f->role == ROLE_SHADOW;
}

static void check_visits(const struct fleet *f)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct visit *v = &f->visits[i];
        EXPECT(v->ended, "client %zu did not end", i);
        EXPECT(v->ended - v->began <= longest(f) + FLEET_SLACK, "client %zu waited %lld ms", i,
               (long long)((v->ended - v->began) / NS_MS));
        EXPECT(v->whole || v->blamed || v->leaves, "client %zu has neither an answer nor an error", i);
    }
}

/* No retry that was paid for is unsettled: with the whole budget taken and settled again, nothing is pending. */
static void check_budget(const struct fleet *f)
{
    struct live_route *r = f->snapshot->routes[0];
    const struct live_rules *rules = &f->snapshot->catalog->models[0].rules.live;
    unsigned taken = 0;

    while (live_route_take_retry(r, rules, rt_now()))
        taken++;
    for (; taken > 0; taken--)
        live_route_settle_retry(r, rules, false, rt_now());
    EXPECT(live_route_may_retry(r, rules, rt_now()) == LIVE_RETRY_NO, "a retry was paid for and never settled");
}

static void check_quiet(const struct fleet *f)
{
    struct gauges g = {0};

    gateway_gauges(f->gateway, &g);
    EXPECT(g.in_flight == 0, "%llu requests are still in flight", (unsigned long long)g.in_flight);
    for (unsigned i = 0; i < f->plan->deployments; i++) {
        struct live_report r;
        struct simulator_tally t = simulator_tally(f->sites[i].simulator);
        fleet_report(f, i, &r);
        EXPECT(r.in_flight == 0 && r.in_flight_tokens == 0, "p%u has %u requests and %llu tokens in flight still", i,
               r.in_flight, (unsigned long long)r.in_flight_tokens);
        EXPECT(t.running == 0, "p%u works at %llu requests still", i, (unsigned long long)t.running);
        EXPECT(t.refused == 0, "p%u refused %llu requests as malformed", i, (unsigned long long)t.refused);
    }
}

static void check_log(const struct fleet *f)
{
    uint64_t stayed = 0;

    for (size_t i = 0; i < f->count; i++)
        stayed += !f->visits[i].leaves;
    EXPECT(f->recorded <= f->count && f->recorded >= stayed, "%zu requests left %u records", f->count, f->recorded);
    replay_check_records(&f->log, f->snapshot->catalog);
    replay_check_log(&f->log, f->snapshot->catalog);
}

/* --- the house --- */

static err_t open_site(struct fleet *f, unsigned i, const struct http_server_options *options)
{
    struct fleet_site *site = &f->sites[i];
    struct http_server_options so = *options;

    site->fleet = f;
    site->index = i;
    TRY(make_simulator(f, site));
    so.handler = simulator_handle;
    so.ctx = site->simulator;
    site->before = http_server_new(&so);
    site->after = http_server_new(&so);
    return OK;
}

static err_t open_house(struct fleet *f)
{
    TRY(make_snapshot(f->plan, &f->snapshot));
    struct gateway_options go = {
        .snapshot = f->snapshot, .on_facts = take_facts, .on_beside = take_beside, .facts_ctx = f};
    f->gateway = gateway_new(&go);
    struct http_server_options so = {.limits = http_limits_default()};
    for (unsigned i = 0; i < f->plan->deployments; i++)
        TRY(open_site(f, i, &so));
    so.handler = gateway_handle;
    so.ctx = f->gateway;
    so.refusal = gateway_refusal;
    f->server = http_server_new(&so);
    struct upstream_options uo = {.host = STR("127.0.0.1"), .port = GATEWAY_PORT};
    f->to_gateway = upstream_new(&uo);
    return OK;
}

static void close_house(struct fleet *f)
{
    upstream_free(f->to_gateway);
    http_server_free(f->server);
    for (unsigned i = 0; i < f->plan->deployments; i++) {
        http_server_free(f->sites[i].before);
        http_server_free(f->sites[i].after);
        simulator_free(f->sites[i].simulator);
    }
    gateway_free(f->gateway);
    snapshot_unref(f->snapshot);
    replay_log_release(&f->log);
    mem_free(f->visits);
    dns_drain();
    iobuf_drain();
}

static SUSPENDS err_t run_traffic(struct fleet *f)
{
    struct addr at = world_addr(GATEWAY_PORT), bound;

    SCOPE(doors, NS_NEVER);
    f->opened = rt_now();
    for (unsigned i = 0; i < f->plan->deployments; i++)
        (void)scope_spawn(&doors, "site", keep_site, &f->sites[i]);
    TRY(http_server_listen(f->server, &at, LISTEN_ALONE, NULL, &bound));
    (void)scope_spawn(&doors, "gateway", serve, f->server);
    (void)scope_spawn(&doors, "shadows", shadows_run, f->gateway);
    TRY(fiber_sleep_until(rt_now() + NS_MS));
    if (f->plan->sample)
        (void)scope_spawn(&doors, "sample", sample, f);
    TRY(let_come(f));
    TRY(fiber_sleep_until(rt_now() + FLEET_SLACK));
    check_visits(f);
    check_quiet(f);
    check_budget(f);
    check_log(f);
    if (f->plan->check)
        f->plan->check(f);
    return OK;
}

err_t fleet_run(struct world *w, const struct fleet_plan *plan)
{
    struct fleet *f = NEW(struct fleet);

    f->world = w;
    f->plan = plan;
    replay_log_init(&f->log);
    draw_visits(f);
    err_t e = open_house(f);
    if (e == OK)
        e = run_traffic(f);
    close_house(f);
    mem_free(f);
    return e;
}
