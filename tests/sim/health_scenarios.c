/*
 * health_scenarios.c - deployments that nobody asks for, and servers that say how busy they are, in virtual time.
 *
 * There is a gateway without clients, and simulated servers behind it. What is checked is what its live state says, and what the servers were asked.
 */
#include "base/mem.h"
#include "fleet/config.h"
#include "gateway/health.h"
#include "net/dns.h"
#include "net/http_client.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "sim/simulator.h"
#include "sim/world.h"

#include <string.h>

enum { SERVERS = 2, FIRST_PORT = 9000 };

/* A simulated server, and what it was asked. */
struct server {
    struct simulator *simulator;
    struct http_server *http;
    bool is_down;     /* whatever it is asked ends in a 500 */
    const char *page; /* of metrics, instead of its own; NULL: its own */
    unsigned asked, health, models, metrics, chats;
    unsigned by_key[2];      /* that end with 1 and with 2 */
    unsigned keys, versions; /* requests with the provider's credential, and with Anthropic's version */
};

struct ward_house {
    struct world *world;
    struct live *live;
    struct snapshot *snapshot;
    struct gateway *gateway;
    struct server servers[SERVERS];
    unsigned causes[CAUSES]; /* probes by what they ended with */
    uint64_t spent;
    bool wrong; /* a record is not a probe's */
};

static void count_probe(void *ctx, const struct attempt_facts *f)
{
    struct ward_house *h = ctx;

    h->causes[f->cause]++;
    h->spent += f->price;
    h->wrong |= f->role != ROLE_PROBE || f->request.n || !f->deployment.n || f->sent > f->ended || !f->wall ||
                !str_eq(f->route, STR("m"));
}

static err_t handle(struct http_request *r, void *ctx)
{
    struct server *s = ctx;
    struct str path = r->head.path;

    s->asked++;
    s->health += str_ends(path, STR("/health"));
    s->models += str_ends(path, STR("/models"));
    s->metrics += str_ends(path, STR("/metrics"));
    s->chats += str_ends(path, STR("/chat/completions"));
    s->keys += http_head_find(&r->head, STR("x-api-key")).n || http_head_get(&r->head, HDR_AUTHORIZATION).n;
    struct str bearer = http_head_get(&r->head, HDR_AUTHORIZATION);
    for (unsigned i = 0; i < ARRAY_LEN(s->by_key); i++)
        s->by_key[i] += bearer.n && bearer.p[bearer.n - 1] == (char)('1' + i);
    s->versions += http_head_find(&r->head, STR("anthropic-version")).n > 0;
    if (s->is_down)
        return fail(E_IO, "it is down");
    if (!s->page || !str_ends(path, STR("/metrics")))
        return simulator_handle(r, s->simulator);
    struct str page = str_from_c(s->page);
    return http_reply_whole(r, &(struct http_reply){.status = 200, .length = (int64_t)page.n}, page);
}

static err_t serve(void *http)
{
    return http_server_run(http);
}

static err_t make_snapshot(struct ward_house *h, const char *configuration, struct snapshot **ret)
{
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};
    struct catalog *catalog;

    arena_init(&arena, 1 << 20);
    TRY(config_load("-", str_from_c(configuration), config_env_real(), &problems, &catalog));
    return snapshot_make(catalog, h->live, ret);
}

static err_t house_make(struct ward_house *h, struct world *w, const char *configuration, const char *scenario)
{
    *h = (struct ward_house){.world = w, .live = live_new()};
    TRY(make_snapshot(h, configuration, &h->snapshot));
    h->gateway =
        gateway_new(&(struct gateway_options){.snapshot = h->snapshot, .on_beside = count_probe, .facts_ctx = h});
    for (unsigned i = 0; i < SERVERS; i++) {
        struct server *s = &h->servers[i];
        TRY(simulator_new(str_from_c(scenario), w->seed, &s->simulator));
        s->http = http_server_new(
            &(struct http_server_options){.limits = http_limits_default(), .handler = handle, .ctx = s});
    }
    return OK;
}

static void house_unmake(struct ward_house *h)
{
    EXPECT(!h->wrong, "a probe's record is wrong");
    gateway_free(h->gateway);
    for (unsigned i = 0; i < SERVERS; i++) {
        http_server_free(h->servers[i].http);
        simulator_free(h->servers[i].simulator);
    }
    snapshot_unref(h->snapshot);
    live_free(h->live);
    dns_drain();
    iobuf_drain();
    mem_free(h);
}

/* From now on server `i` can be reached. */
static err_t start(struct ward_house *h, struct scope *s, unsigned i)
{
    struct addr at = world_addr((uint16_t)(FIRST_PORT + i)), bound;

    TRY(http_server_listen(h->servers[i].http, &at, LISTEN_ALONE, NULL, &bound));
    scope_spawn(s, "server", serve, h->servers[i].http);
    return OK;
}

static err_t look_after(void *gateway)
{
    return health_run(gateway);
}

static struct live_report report_on(struct ward_house *h, const char *deployment)
{
    const struct snapshot *s = gateway_snapshot(h->gateway);
    const struct deployment *d = map_get(&s->catalog->deployment_by_name, str_from_c(deployment));
    struct live_report r;

    live_report(s->deployments[d->index], &s->catalog->models[0].rules.live, rt_now(), &r);
    return r;
}

static uint64_t load_of(struct ward_house *h, const char *deployment)
{
    const struct snapshot *s = gateway_snapshot(h->gateway);
    const struct deployment *d = map_get(&s->catalog->deployment_by_name, str_from_c(deployment));
    struct strategy_candidate c = {.weight = 1};

    live_read(s->deployments[d->index], &s->catalog->models[0].rules.live, NEEDS_LOAD, rt_now(), &c);
    return c.in_flight;
}

typedef err_t body_fn(struct ward_house *h, struct scope *s);

static err_t run(struct world *w, const char *configuration, const char *scenario, body_fn *body)
{
    struct ward_house *h = NEW(struct ward_house);

    TRY(house_make(h, w, configuration, scenario));
    err_t e;
    {
        SCOPE(fibers, NS_NEVER);
        scope_discard_results(&fibers);
        scope_spawn(&fibers, "health", look_after, h->gateway);
        e = body(h, &fibers);
    }
    house_unmake(h);
    return e;
}

static err_t pass(ns_t span)
{
    return fiber_sleep_until(ns_add(rt_now(), span));
}

#define TWO_SERVERS                                                                                                    \
    "providers:\n"                                                                                                     \
    "  one: {dialect: vllm, base_url: \"http://127.0.0.1:9000/v1\", health: {interval: 10s}}\n"                        \
    "  two: {dialect: vllm, base_url: \"http://127.0.0.1:9001/v1\", health: {interval: 10s}}\n"                        \
    "models: {m: {targets: [one/a, one/b, two/a]}}\n"
#define ANY_MODEL "models: {'*': {}}"

/* --- probes --- */

static err_t dies_and_comes_back(struct ward_house *h, struct scope *s)
{
    TRY(start(h, s, 1));
    TRY(pass(20 * NS_SEC)); /* nobody has asked for anything */
    for (unsigned i = 0; i < 100 && report_on(h, "one/a").health.state != OUTLIER_EJECTED; i++)
        TRY(pass(50 * NS_MS)); /* it may be being tried just now */
    EXPECT(report_on(h, "one/a").health.state == OUTLIER_EJECTED, "a dead server is in use after 20 s");
    EXPECT(report_on(h, "two/a").health.state == OUTLIER_IN_USE, "the other one is not");
    EXPECT(h->causes[CAUSE_CONNECT] >= 10 && h->causes[CAUSE_OK] > 0, "%u probes failed, %u did not",
           h->causes[CAUSE_CONNECT], h->causes[CAUSE_OK]);
    TRY(start(h, s, 0));
    ns_t until = report_on(h, "one/a").health.until;
    TRY(fiber_sleep_until(ns_add(until, 5 * NS_SEC)));
    enum outlier_state state = report_on(h, "one/a").health.state;
    EXPECT(state == OUTLIER_STARTING || state == OUTLIER_IN_USE, "five seconds after its time was over it is %s",
           outlier_state_name(state));
    EXPECT(!h->servers[0].chats && !h->servers[1].chats, "a probe that should cost nothing asked for an answer");
    return OK;
}

SCENARIO(an_idle_deployment_that_is_out_of_use_comes_back_by_probes, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w, TWO_SERVERS, ANY_MODEL, dies_and_comes_back);
}

/* A client's request to this deployment has ended well. */
static err_t hear_of(struct ward_house *h, const char *deployment)
{
    const struct deployment *d = map_get(&h->snapshot->catalog->deployment_by_name, str_from_c(deployment));
    const struct live_rules *rules = &h->snapshot->catalog->models[0].rules.live;
    struct live_attempt a;

    if (live_send(h->snapshot->deployments[d->index], rules, 10, 10, false, rt_now(), &a) != EXCLUDED_NOT)
        return fail(E_OVERLOAD, "%s may not be asked", deployment);
    live_end(&a, h->snapshot->routes[0], rules, CAUSE_OK, 0, 0, rt_now());
    return OK;
}

static err_t asks_seldom(struct ward_house *h, struct scope *s)
{
    TRY(start(h, s, 0));
    TRY(start(h, s, 1));
    for (unsigned asked = 0; asked < 2; asked = h->servers[0].health)
        TRY(pass(100 * NS_MS));
    TRY(pass(2 * NS_SEC));
    TRY(hear_of(h, "one/b")); /* the other one's time comes first from now on, but not by much */
    TRY(pass(100 * NS_SEC));
    /* one for both deployments every 10 to 11 s */
    EXPECT(h->servers[0].health >= 2 + 8 && h->servers[0].health <= 2 + 10, "asked %u times in 100 s",
           h->servers[0].health - 2);
    EXPECT(h->causes[CAUSE_OK] >= 2 * 9, "%u good probes", h->causes[CAUSE_OK]);
    EXPECT(h->causes[CAUSE_OK] > h->servers[0].health + h->servers[1].health,
           "no question was for two deployments: %u of %u", h->causes[CAUSE_OK], h->servers[0].health);
    return OK;
}

SCENARIO(a_server_is_asked_once_for_all_of_its_deployments, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w, TWO_SERVERS, ANY_MODEL, asks_seldom);
}

static err_t is_no_server(struct ward_house *h, struct scope *s)
{
    TRY(start(h, s, 0));
    TRY(pass(200 * NS_SEC));
    EXPECT(h->servers[0].models == 1, "a path that is not there was asked for %u times", h->servers[0].models);
    EXPECT(report_on(h, "one/a").health.state == OUTLIER_IN_USE, "and that was taken for an illness");
    return OK;
}

SCENARIO(a_provider_without_the_free_probe_is_asked_once, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w,
               "providers:\n  one: {dialect: custom, base_url: \"http://127.0.0.1:9000/nothing/here\"}\n"
               "models: {m: {targets: one/a}}\n",
               ANY_MODEL, is_no_server);
}

/* Its server says that it is well, while its answers are garbled. */
static err_t answers_garbage(struct ward_house *h, struct scope *s)
{
    const struct deployment *d = map_get(&h->snapshot->catalog->deployment_by_name, STR("one/a"));
    struct live_deployment *live = h->snapshot->deployments[d->index];
    const struct live_rules *rules = &h->snapshot->catalog->models[0].rules.live;
    struct live_attempt a;

    TRY(start(h, s, 0));
    TRY(start(h, s, 1));
    for (int i = 0; i < 5; i++) {
        EXPECT(live_send(live, rules, 10, 10, false, rt_now(), &a) == EXCLUDED_NOT, "it may not be asked");
        live_end(&a, h->snapshot->routes[0], rules, CAUSE_MALFORMED, 0, 0, rt_now());
    }
    EXPECT(report_on(h, "one/a").health.state == OUTLIER_EJECTED, "five garbled answers do not take it out");
    TRY(pass(60 * NS_SEC));
    EXPECT(report_on(h, "one/a").health.state == OUTLIER_PROBING, "a page of health has brought it back: %s",
           outlier_state_name(report_on(h, "one/a").health.state));
    EXPECT(report_on(h, "one/b").health.state == OUTLIER_IN_USE, "its sister suffers for it");
    EXPECT(live_send(live, rules, 10, 10, false, rt_now(), &a) == EXCLUDED_NOT, "no request may try it either");
    live_end(&a, h->snapshot->routes[0], rules, CAUSE_CANCELLED, 0, 0, rt_now());
    return OK;
}

SCENARIO(a_page_of_health_does_not_vouch_for_garbled_answers, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w, TWO_SERVERS, ANY_MODEL, answers_garbage);
}

#define TWO_KEYS                                                                                                       \
    "providers:\n"                                                                                                     \
    "  one: {dialect: openai, base_url: \"http://127.0.0.1:9000/v1\", api_keys: [sk-key-1, sk-key-2], "                \
    "health: {interval: 5s}}\n"                                                                                        \
    "models: {m: {targets: [one/a]}}\n"

static enum rate_state state_of_key(struct ward_house *h, size_t key)
{
    struct live_credential_report r;

    live_credential_report(h->snapshot->providers[0].credentials[key], rt_now(), &r);
    return r.state.state;
}

static err_t is_revoked_later(struct ward_house *h, struct scope *s)
{
    struct server *own = &h->servers[0];

    TRY(start(h, s, 0));
    TRY(pass(60 * NS_SEC));
    EXPECT(own->by_key[0] >= 4 && own->by_key[1] >= 4, "the first key was used %u times, the second %u times",
           own->by_key[0], own->by_key[1]);
    EXPECT(state_of_key(h, 0) == RATE_OPEN && state_of_key(h, 1) == RATE_OPEN, "a key is not in use");
    unsigned before = own->by_key[0];
    TRY(pass(40 * NS_SEC));
    EXPECT(own->by_key[0] >= before + 4, "nobody asks any more");
    EXPECT(state_of_key(h, 0) == RATE_OPEN, "the good key is not in use");
    EXPECT(state_of_key(h, 1) == RATE_RETIRED, "a key that is revoked is still in use");
    EXPECT(!own->chats, "a probe that should cost nothing asked for an answer");
    return OK;
}

SCENARIO(free_probes_carry_all_credentials_and_find_out_who_is_revoked, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w, TWO_KEYS,
               "api_keys: [sk-key-1, sk-key-2]\nrevoked: [{key: sk-key-2, from: 65s, to: 900s}]\nmodels: {'*': {}}",
               is_revoked_later);
}

/* It may serve requests all the same. */
static err_t was_never_accepted(struct ward_house *h, struct scope *s)
{
    TRY(start(h, s, 0));
    TRY(pass(60 * NS_SEC));
    EXPECT(h->servers[0].by_key[0] >= 8 && h->servers[0].by_key[1] == 1,
           "the first key was used %u times, the second %u times", h->servers[0].by_key[0], h->servers[0].by_key[1]);
    EXPECT(state_of_key(h, 1) == RATE_OPEN, "a key that may not list models is not in use");
    return OK;
}

SCENARIO(a_credential_that_may_not_be_asked_with_is_not_taken_for_revoked, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w, TWO_KEYS, "api_keys: [sk-key-1]\nmodels: {'*': {}}", was_never_accepted);
}

static err_t is_asked_with_its_key(struct ward_house *h, struct scope *s)
{
    TRY(start(h, s, 0));
    TRY(start(h, s, 1));
    TRY(pass(60 * NS_SEC));
    struct server *own = &h->servers[0], *elsewhere = &h->servers[1];
    EXPECT(own->asked > 3 && own->keys == own->asked, "%u of %u probes had the key", own->keys, own->asked);
    EXPECT(own->versions == own->models && own->models > 0, "%u of %u had a version", own->versions, own->models);
    EXPECT(elsewhere->metrics >= 8, "the other address was asked %u times", elsewhere->metrics);
    EXPECT(!elsewhere->keys, "the key went to another address, %u times", elsewhere->keys);
    EXPECT(h->causes[CAUSE_OK] > 0, "no probe was good");
    return OK;
}

SCENARIO(a_credential_goes_to_its_provider_s_own_address_only, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w,
               "providers:\n"
               "  claude: {dialect: anthropic, base_url: \"http://127.0.0.1:9000/anthropic/v1\", api_key: secret,\n"
               "    health: {interval: 5s, metrics_url: \"http://127.0.0.1:9001/vllm/metrics\"}}\n"
               "  gpu: {dialect: vllm, base_url: \"http://127.0.0.1:9000/vllm/v1\", api_key: secret}\n"
               "models: {m: {targets: claude/a, fallbacks: gpu/a}}\n",
               ANY_MODEL, is_asked_with_its_key);
}

static err_t is_left_alone(struct ward_house *h, struct scope *s)
{
    TRY(start(h, s, 0));
    TRY(pass(60 * NS_SEC));
    EXPECT(!h->servers[0].asked, "a model called \"*\" was asked for, %u times", h->servers[0].asked);
    return OK;
}

SCENARIO(no_token_is_asked_of_what_stands_for_any_model, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w,
               "providers:\n"
               "  one: {base_url: \"http://127.0.0.1:9000/v1\", api_key: k, serves: \"*\",\n"
               "    health: {probe: token, spend: 1, interval: 1s}}\n",
               ANY_MODEL, is_left_alone);
}

/* --- money --- */

#define PAYING                                                                                                         \
    "providers:\n"                                                                                                     \
    "  one: {base_url: \"http://127.0.0.1:9000/v1\", api_key: k,\n"                                                    \
    "    health: {probe: token, spend: 0.02, interval: 10s}}\n"                                                        \
    "models: {m: {targets: one/a}}\n"

static err_t spends(struct ward_house *h, struct scope *s)
{
    TRY(start(h, s, 0));
    TRY(pass(3000 * NS_SEC));
    EXPECT(h->servers[0].chats > 5, "only %u probes for a token", h->servers[0].chats);
    EXPECT(h->spent > 0 && h->spent <= 20000000, "spent %llu of 20,000,000", (unsigned long long)h->spent);
    EXPECT(h->causes[CAUSE_OK] == h->servers[0].chats, "%u of %u were good", h->causes[CAUSE_OK], h->servers[0].chats);
    unsigned before = h->servers[0].chats;
    TRY(pass(500 * NS_SEC)); /* not beyond midnight: worlds begin at noon */
    EXPECT(h->servers[0].chats == before, "%u more were sent when the money was spent", h->servers[0].chats - before);
    struct snapshot *again;
    TRY(make_snapshot(h, PAYING, &again));
    gateway_install(h->gateway, again);
    snapshot_unref(again);
    TRY(pass(500 * NS_SEC));
    EXPECT(h->servers[0].chats == before, "a reload made a new account: %u more", h->servers[0].chats - before);
    return OK;
}

SCENARIO(probes_for_a_token_stop_when_the_day_s_money_is_spent, .weather = WEATHER_CALM, .thin = 16,
         .limit = 7200 * NS_SEC)
{
    return run(w, PAYING, ANY_MODEL, spends);
}

static err_t is_at_its_limit(struct ward_house *h, struct scope *s)
{
    TRY(start(h, s, 0));
    TRY(pass(90 * NS_SEC));
    EXPECT(h->servers[0].chats == 1, "%u probes were sent before the limit's reset", h->servers[0].chats);
    EXPECT(h->causes[CAUSE_RATE_LIMITED] == 1, "%u of them met the limit", h->causes[CAUSE_RATE_LIMITED]);
    TRY(pass(60 * NS_SEC));
    EXPECT(h->servers[0].chats > 1, "none was sent after it");
    EXPECT(report_on(h, "one/a").health.state == OUTLIER_IN_USE, "a limit was taken for an illness");
    return OK;
}

SCENARIO(a_credential_that_rests_carries_no_probe, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w,
               "providers:\n"
               "  one: {base_url: \"http://127.0.0.1:9000/v1\", api_key: k,\n"
               "    health: {probe: token, spend: 1, interval: 5s}}\n"
               "models: {m: {targets: one/a}}\n",
               "models: {'*': {faults: [{kind: rate_limit, retry_after: 100s}]}}", is_at_its_limit);
}

static err_t pays_its_price(struct ward_house *h, struct scope *s)
{
    enum { TOKEN = 1000000 /* nano-US-dollars */ };

    TRY(start(h, s, 0));
    TRY(pass(600 * NS_SEC));
    EXPECT(h->servers[0].chats > 1 && h->spent <= 100 * TOKEN, "%u probes for %llu", h->servers[0].chats,
           (unsigned long long)h->spent);
    EXPECT(h->spent >= (uint64_t)2 * TOKEN * h->servers[0].chats && h->spent % TOKEN == 0,
           "%u probes are said to have cost %llu", h->servers[0].chats, (unsigned long long)h->spent);
    return OK;
}

SCENARIO(probes_cost_what_their_deployment_costs, .weather = WEATHER_CALM, .thin = 16)
{
    return run(w,
               "providers:\n"
               "  one: {base_url: \"http://127.0.0.1:9000/v1\", api_key: k,\n"
               "    health: {probe: token, spend: 0.1, interval: 10s}}\n"
               "deployments: {one/a: {price: {input: 1000, output: 1000}}}\n"
               "models: {m: {targets: one/a}}\n",
               ANY_MODEL, pays_its_price);
}

/* --- what servers say of themselves --- */

/* Another client of the first server, who waits for a slow answer. */
static err_t use_beside_us(void *arg)
{
    struct upstream *u = arg;
    struct arena arena CLEANUP(arena_release);
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct http_header type = {STR("content-type"), STR("application/json")};
    struct str body = STR("{\"model\":\"slow\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"), whole;

    arena_init(&arena, 1 << 20);
    TRY(http_call_open(u, &arena,
                       &(struct http_call_options){.method = STR("POST"),
                                                   .target = STR("/vllm/v1/chat/completions"),
                                                   .headers = &type,
                                                   .count = 1,
                                                   .body = &body,
                                                   .body_parts = 1,
                                                   .connect_by = NS_NEVER,
                                                   .first_byte_by = NS_NEVER},
                       NULL, &call));
    return http_call_all(call, NS_NEVER, 1 << 16, &whole);
}

static err_t is_used_beside_us(struct ward_house *h, struct scope *s)
{
    struct upstream *u CLEANUP(upstream_free_p) =
        upstream_new(&(struct upstream_options){.host = STR("127.0.0.1"), .port = FIRST_PORT});
    SCOPE(others, NS_NEVER);

    scope_discard_results(&others);
    TRY(start(h, s, 0));
    TRY(start(h, s, 1));
    for (unsigned i = 0; i < 20; i++)
        scope_spawn(&others, "other client", use_beside_us, u);
    TRY(pass(10 * NS_SEC));
    EXPECT(load_of(h, "one/a") == 20, "20 others' requests count as %llu", (unsigned long long)load_of(h, "one/a"));
    EXPECT(load_of(h, "two/a") == 0, "the other server's load is %llu", (unsigned long long)load_of(h, "two/a"));
    struct live_server told = report_on(h, "one/a").server;
    EXPECT(told.is_fresh && told.running == 16 && told.waiting == 4, "it runs %g, %g wait", told.running, told.waiting);
    h->servers[0].is_down = true; /* from now on it says nothing */
    TRY(pass(8 * NS_SEC));
    EXPECT(load_of(h, "one/a") == 0, "a word of 8 s ago steers still: %llu", (unsigned long long)load_of(h, "one/a"));
    EXPECT(!report_on(h, "one/a").server.is_fresh, "and is called fresh");
    h->servers[0].is_down = false;
    TRY(pass(15 * NS_SEC));
    EXPECT(load_of(h, "one/a") == 20, "it speaks again: %llu", (unsigned long long)load_of(h, "one/a"));
    return OK;
}

/* A page is to take no longer than it is fresh. */
static void wide_lines(struct sim_options *o, struct prng *p)
{
    (void)p;
    o->socket_buffer = 64 * 1024;
}

SCENARIO(what_a_server_says_of_its_load_counts_while_it_is_fresh, .weather = WEATHER_CALM, .prepare = wide_lines,
         .thin = 8)
{
    return run(w, TWO_SERVERS, "models: {slow: {ttft: 600s}, '*': {}}", is_used_beside_us);
}

static err_t says_nothing_usable(struct ward_house *h, struct scope *s)
{
    TRY(start(h, s, 0));
    TRY(pass(120 * NS_SEC));
    EXPECT(report_on(h, "one/a").server.at == 0, "half a page was believed");
    EXPECT(h->servers[0].metrics >= 3 && h->servers[0].metrics < 20, "a page that is no page was asked for %u times",
           h->servers[0].metrics);
    EXPECT(report_on(h, "one/a").health.state == OUTLIER_IN_USE,
           "metrics that cannot be read were taken for an illness");
    return OK;
}

/* A page, but of something else than an inference server. */
static err_t says_something_else(struct ward_house *h, struct scope *s)
{
    h->servers[0].page = "# TYPE go_goroutines gauge\ngo_goroutines 7\n";
    TRY(start(h, s, 0));
    TRY(pass(10 * NS_SEC));
    EXPECT(h->servers[0].metrics > 0, "it was never read");
    EXPECT(report_on(h, "one/a").server.at == 0, "a page without the figures passes for an idle server's");
    return OK;
}

SCENARIO(a_page_of_other_metrics_is_no_word_on_load, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w, TWO_SERVERS, ANY_MODEL, says_something_else);
}

SCENARIO(a_page_of_metrics_that_breaks_off_is_not_believed, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w, TWO_SERVERS, "{metrics: broken, models: {'*': {}}}", says_nothing_usable);
}

/* --- configurations that come and go --- */

static err_t is_reloaded(struct ward_house *h, struct scope *s)
{
    struct snapshot *quiet;
    struct server *two = &h->servers[1];

    TRY(start(h, s, 0));
    TRY(start(h, s, 1));
    TRY(pass((ns_t)prng_below(&h->world->prng, 30 * NS_SEC)));
    TRY(make_snapshot(h,
                      "providers:\n"
                      "  one: {dialect: vllm, base_url: \"http://127.0.0.1:9000/v1\", health: {interval: 2s}}\n"
                      "  two: {dialect: vllm, base_url: \"http://127.0.0.1:9001/v1\",\n"
                      "    health: {probe: off, metrics: off}}\n"
                      "models: {m: {targets: [one/a, two/a]}}\n",
                      &quiet));
    gateway_install(h->gateway, quiet);
    snapshot_unref(quiet);
    TRY(pass(NS_SEC));
    unsigned before = two->asked, one = h->servers[0].asked;
    TRY(pass(60 * NS_SEC));
    EXPECT(two->asked == before, "a server that is to be left alone was asked %u times", two->asked - before);
    EXPECT(h->servers[0].asked > one + 20, "the other one was asked %u times", h->servers[0].asked - one);
    return OK;
}

SCENARIO(a_reload_replaces_what_is_looked_after, .weather = WEATHER_CALM, .thin = 8)
{
    return run(w, TWO_SERVERS, ANY_MODEL, is_reloaded);
}

/* In any weather, and cut off at any time: nothing is left behind, and what is counted in is counted out. */
static err_t is_cut_off(struct ward_house *h, struct scope *s)
{
    TRY(start(h, s, 0));
    TRY(start(h, s, 1));
    TRY(pass((ns_t)prng_below(&h->world->prng, 120 * NS_SEC)));
    scope_cancel(s);
    TRY(pass(NS_MS));
    for (unsigned i = 0; i < SERVERS; i++)
        EXPECT(report_on(h, i ? "two/a" : "one/a").in_flight == 0, "a probe is counted in still");
    return OK;
}

SCENARIO(looking_after_may_end_at_any_time, .thin = 2)
{
    return run(w, TWO_SERVERS, ANY_MODEL, is_cut_off);
}
