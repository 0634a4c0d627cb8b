/*
 * credential_scenarios.c - several credentials of one provider in virtual time: limits that others use up, too, keys that are revoked.
 *
 * The provider is the simulator, with its own rate limits and its own idea of which keys are good. Beside it stands a watch, which notes each request
 * with its key, its moment and its answer: the oracles are about what was sent, not about what the gateway believes.
 */
#include "base/mem.h"
#include "fleet/config.h"
#include "gateway/gateway.h"
#include "net/dns.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "sim/simulator.h"
#include "sim/world.h"

#include <string.h>

enum { GATEWAY_PORT = 80, PROVIDER_PORT = 9000, KEYS = 3, SEEN_MAX = 4000 };

#define WINDOW (10 * NS_SEC)
/* From the provider's answer until the gateway knows it, on lines as short as here. */
#define KNOWN_AFTER (100 * NS_MS)

#define OPENAI "base_url: 'http://127.0.0.1:9000/v1'"
#define ONE_CHOICE "dialect: groq, base_url: 'http://127.0.0.1:9000/groq/v1'" /* a call gives one choice */

static const char configuration[] = "listen: 127.0.0.1:80\n"
                                    "providers:\n"
                                    "  p: { %s, api_keys: [ sk-key-1, sk-key-2, sk-key-3 ] }\n"
                                    "models:\n"
                                    "  chat: { targets: [ p/m ] }\n"
                                    "  other: { targets: [ p/n ] }\n";

struct seen {
    ns_t at;
    unsigned key;
    int status;
    bool foreign; /* somebody else's, with the same key */
    bool other;   /* the model "n"                      */
    ns_t reset;   /* of the key's window then           */
};

struct bank {
    struct world *world;
    struct snapshot *snapshot;
    struct gateway *gateway;
    struct simulator *simulator;
    struct http_server *server, *provider;
    struct upstream *to_gateway, *to_provider;
    struct seen seen[SEEN_MAX];
    unsigned count;
    ns_t until[KEYS]; /* of their windows at "m" */
    ns_t began;
};

/* What a client is to hear. */
struct bank_plan {
    const char *behaviours;
    const char *provider; /* its fields; NULL: OpenAI's */
    unsigned choices;     /* that clients want; 0: one  */
    unsigned clients, foreigners;
    ns_t spread;
    bool may_wait; /* a client may be told to come back */
    bool may_fail; /* it may be told that no credential is accepted */
    bool one_model;
    void (*check)(struct bank *b, const struct outcome *o, unsigned n);
};

/* --- the watch at the provider --- */

static unsigned key_of(const struct http_request *r)
{
    struct str bearer = http_head_get(&r->head, HDR_AUTHORIZATION);

    for (unsigned i = 0; i < KEYS; i++)
        if (bearer.n && bearer.p[bearer.n - 1] == (char)('1' + i))
            return i;
    (void)world_fail(__FILE__, __LINE__, "a request came without a key of ours");
    return 0;
}

static err_t watch(struct http_request *r, void *ctx)
{
    struct bank *b = ctx;
    unsigned key = key_of(r);
    bool other = http_request_header(r, STR("x-other")).p != NULL;

    if (!other && r->received >= b->until[key])
        b->until[key] = r->received + WINDOW;
    ns_t reset = b->until[key];
    err_t e = simulator_handle(r, b->simulator);
    if (EXPECT(b->count < SEEN_MAX, "more requests than there is room for"))
        b->seen[b->count++] = (struct seen){.at = r->received,
                                            .key = key,
                                            .status = r->status,
                                            .foreign = http_request_header(r, STR("x-foreign")).p != NULL,
                                            .other = other,
                                            .reset = reset};
    return e;
}

/* --- who asks --- */

static SUSPENDS err_t ask(struct client *c, struct upstream *to, const char *model, const struct http_header *headers,
                          size_t count, unsigned choices, bool stream, struct arena *arena, struct http_call **ret_call,
                          struct str *ret_text)
{
    struct str body = arena_printf(
        arena,
        "{\"model\":\"%s\",\"n\":%u,\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"Number %u?\"}]}",
        model, choices, stream ? "true" : "false", c->index);
    struct http_call_options o = {.method = STR("POST"),
                                  .target = STR("/v1/chat/completions"),
                                  .headers = headers,
                                  .count = count,
                                  .body = &body,
                                  .body_parts = 1,
                                  .connect_by = NS_NEVER,
                                  .first_byte_by = NS_NEVER};
    TRY(http_call_open(to, arena, &o, NULL, ret_call));
    c->outcome->status = http_call_head(*ret_call)->status;
    return http_call_all(*ret_call, NS_NEVER, 1 << 20, ret_text);
}

static err_t ask_gateway(struct client *c)
{
    struct bank *b = ((void **)c->arg)[0];
    const struct bank_plan *plan = ((void **)c->arg)[1];
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct arena arena CLEANUP(arena_release);
    uint64_t seconds;
    struct str text;

    arena_init(&arena, 1 << 22);
    bool other = !plan->one_model && prng_below(&c->prng, 2);
    struct http_header headers[] = {{STR("content-type"), STR("application/json")}, {STR("x-other"), STR("yes")}};
    TRY(ask(c, b->to_gateway, other ? "other" : "chat", headers, 1 + other, plan->choices ? plan->choices : 1,
            prng_below(&c->prng, 2), &arena, &call, &text));
    if (c->outcome->status == 200 || (plan->may_fail && (c->outcome->status == 401 || c->outcome->status == 502)))
        return OK;
    EXPECT(plan->may_wait && c->outcome->status == 429, "client %u was answered %d: %.*s", c->index, c->outcome->status,
           STR_ARG(text));
    struct str after = http_head_find(http_call_head(call), STR("retry-after"));
    EXPECT(str_to_u64(after, 1000, &seconds) && seconds >= 1 && (ns_t)seconds * NS_SEC <= WINDOW + NS_SEC,
           "client %u was told to come back after '%.*s' s", c->index, STR_ARG(after));
    return OK;
}

/* Somebody else who has the first key. */
static err_t ask_provider(struct client *c)
{
    struct bank *b = ((void **)c->arg)[0];
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct arena arena CLEANUP(arena_release);
    struct http_header headers[] = {{STR("content-type"), STR("application/json")},
                                    {STR("authorization"), STR("Bearer sk-key-1")},
                                    {STR("x-foreign"), STR("yes")}};

    struct str text;

    arena_init(&arena, 1 << 22);
    return ask(c, b->to_provider, "m", headers, ARRAY_LEN(headers), 1, false, &arena, &call, &text);
}

/* --- the world --- */

static err_t bank_open(struct bank *b, const struct bank_plan *plan)
{
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};
    struct catalog *catalog;

    arena_init(&arena, 1 << 20);
    TRY(simulator_new(str_from_c(plan->behaviours), b->world->seed, &b->simulator));
    struct str text = arena_printf(&arena, configuration, plan->provider ? plan->provider : OPENAI);
    TRY(config_load("-", text, config_env_real(), &problems, &catalog));
    TRY(snapshot_make(catalog, NULL, &b->snapshot));
    b->gateway = gateway_new(&(struct gateway_options){.snapshot = b->snapshot});
    b->server = http_server_new(&(struct http_server_options){
        .limits = http_limits_default(), .handler = gateway_handle, .ctx = b->gateway, .refusal = gateway_refusal});
    b->provider =
        http_server_new(&(struct http_server_options){.limits = http_limits_default(), .handler = watch, .ctx = b});
    b->to_gateway = upstream_new(&(struct upstream_options){.host = STR("127.0.0.1"), .port = GATEWAY_PORT});
    b->to_provider = upstream_new(&(struct upstream_options){.host = STR("127.0.0.1"), .port = PROVIDER_PORT});
    return OK;
}

static void bank_close(struct bank *b)
{
    upstream_free(b->to_gateway);
    upstream_free(b->to_provider);
    http_server_free(b->server);
    http_server_free(b->provider);
    gateway_free(b->gateway);
    snapshot_unref(b->snapshot);
    simulator_free(b->simulator);
    dns_drain();
    iobuf_drain();
    mem_free(b);
}

static err_t serve(void *server)
{
    return http_server_run(server);
}

static SUSPENDS err_t listen_at(struct scope *s, struct http_server *server, uint16_t port)
{
    struct addr at = world_addr(port), bound;

    TRY(http_server_listen(server, &at, LISTEN_ALONE, NULL, &bound));
    (void)scope_spawn(s, "server", serve, server);
    return OK;
}

/* A 429 says nothing about the deployment's health. */
static void check_health(struct bank *b)
{
    struct live_report r;

    for (size_t i = 0; i < b->snapshot->catalog->deployment_count; i++) {
        live_report(b->snapshot->deployments[i], &b->snapshot->catalog->usual.live, rt_now(), &r);
        EXPECT(r.health.state == OUTLIER_IN_USE && r.health.reason == OUTLIER_NONE, "a deployment was ejected");
        for (enum cause c = 0; c < CAUSES; c++)
            EXPECT(r.causes[c] == 0 || cause_meaning(c)->health != CAUSE_HEALTH_ILL, "%llu attempts ended with %s",
                   (unsigned long long)r.causes[c], cause_meaning(c)->name);
    }
}

static SUSPENDS err_t bank_play(struct bank *b, const struct bank_plan *plan)
{
    void *args[] = {b, (void *)(uintptr_t)plan};
    SCOPE(doors, NS_NEVER);

    b->began = rt_now();
    TRY(listen_at(&doors, b->server, GATEWAY_PORT));
    TRY(listen_at(&doors, b->provider, PROVIDER_PORT));
    TRY(fiber_sleep_until(rt_now() + NS_MS));
    {
        SCOPE(askers, NS_NEVER);
        if (plan->foreigners)
            (void)world_start_clients(b->world, &askers, plan->foreigners, plan->spread, ask_provider, args);
        const struct outcome *o =
            world_start_clients(b->world, &askers, plan->clients, plan->spread, ask_gateway, args);
        TRY(scope_wait_all(&askers));
        for (unsigned i = 0; i < plan->clients; i++)
            EXPECT(o[i].result == OK, "client %u failed: %s", i, o[i].text);
        plan->check(b, o, plan->clients);
    }
    check_health(b);
    return OK;
}

static SUSPENDS err_t bank_run(struct world *w, const struct bank_plan *plan)
{
    struct bank *b = NEW(struct bank);

    b->world = w;
    err_t e = bank_open(b, plan);
    if (e == OK)
        e = bank_play(b, plan);
    bank_close(b);
    return e;
}

/* Limits are counted to the request: what is on the way for long, or in pieces, is another test. */
static void near_lines(struct sim_options *o, struct prng *p UNUSED)
{
    o->latency_min = o->latency_max = NS_MS;
    o->socket_buffer = 64 * 1024;
}

/* --- 429s --- */

/* Behind a 429 nothing is sent with that key until its window is over. */
static void check_rests(struct bank *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        const struct seen *no = &b->seen[i];
        if (no->status != 429 || no->foreign)
            continue;
        for (unsigned k = i + 1; k < b->count; k++) {
            const struct seen *s = &b->seen[k];
            bool early = s->key == no->key && s->at > no->at + KNOWN_AFTER && s->at < no->reset;
            EXPECT(!early || s->foreign || s->other, "key %u was used %lld ms before its reset", s->key + 1,
                   (long long)((no->reset - s->at) / NS_MS));
        }
    }
}

static unsigned count_seen(const struct bank *b, unsigned key, int status)
{
    unsigned n = 0;

    for (unsigned i = 0; i < b->count; i++)
        n += b->seen[i].key == key && b->seen[i].status == status && !b->seen[i].foreign;
    return n;
}

/* Others use the first key up behind the gateway's back; what the three have together would still do. */
static void check_storm(struct bank *b, const struct outcome *o, unsigned n)
{
    (void)o;
    (void)n;
    check_rests(b);
    EXPECT(count_seen(b, 0, 429) > 0, "there was no storm");
    for (unsigned key = 0; key < KEYS; key++)
        EXPECT(count_seen(b, key, 200) > 0, "key %u was not used", key + 1);
}

SCENARIO(credentials_storm_of_429_on_one_key_is_waited_out_and_no_client_notices, .weather = WEATHER_CALM,
         .prepare = near_lines, .thin = 4)
{
    return bank_run(w, &(struct bank_plan){
                           .behaviours = "models: {m: {limits: {requests: 40, window: 10s}}, n: {}}",
                           .clients = 400,
                           .foreigners = 400,
                           .spread = 80 * NS_SEC,
                           .one_model = true,
                           .check = check_storm,
                       });
}

/* More is wanted than all keys may: what is left over is told to come back, and the provider is not asked for it. */
static void check_gated(struct bank *b, const struct outcome *o, unsigned n)
{
    unsigned answered = 0, refused = 0, windows = 60 / (WINDOW / NS_SEC);

    for (unsigned i = 0; i < n; i++)
        answered += o[i].status == 200;
    for (unsigned key = 0; key < KEYS; key++)
        refused += count_seen(b, key, 429);
    check_rests(b);
    EXPECT(answered < n, "nobody was told to come back");
    EXPECT(answered >= KEYS * 20 * (windows - 1), "only %u were answered", answered);
    EXPECT(refused <= KEYS * windows, "%u requests went out only to be refused", refused);
}

SCENARIO(credentials_that_have_nothing_left_are_not_asked_and_clients_are_told_when_to_come_back,
         .weather = WEATHER_CALM, .prepare = near_lines, .thin = 4)
{
    return bank_run(w, &(struct bank_plan){
                           .behaviours = "models: {m: {limits: {requests: 20, window: 10s}}, n: {}}",
                           .clients = 900,
                           .spread = 60 * NS_SEC,
                           .may_wait = true,
                           .one_model = true,
                           .check = check_gated,
                       });
}

SCENARIO(credentials_whose_tokens_are_used_up_are_not_asked, .weather = WEATHER_CALM, .prepare = near_lines, .thin = 4)
{
    return bank_run(w, &(struct bank_plan){
                           .behaviours = "models: {m: {limits: {tokens: 600, window: 10s}}, n: {}}",
                           .clients = 900,
                           .spread = 60 * NS_SEC,
                           .may_wait = true,
                           .one_model = true,
                           .check = check_gated,
                       });
}

/* Calls that a request is split into are requests to their credential: none is sent with one that rests, and all are counted. */
static void check_split(struct bank *b, const struct outcome *o, unsigned n)
{
    unsigned whole = 0;

    for (unsigned i = 0; i < n; i++)
        whole += o[i].status == 200;
    check_rests(b);
    check_health(b); /* a limit that one of them meets is no ill health */
    EXPECT(whole > n / 4 && whole < n, "%u of %u were answered", whole, n);
    for (unsigned key = 0; key < KEYS; key++) {
        struct live_credential_report r;
        unsigned came = 0;
        for (unsigned i = 0; i < b->count; i++)
            came += b->seen[i].key == key && !b->seen[i].foreign;
        live_credential_report(b->snapshot->providers[0].credentials[key], rt_now(), &r);
        EXPECT(r.sent == came && came > 0, "key %u: %u requests came, %llu are counted", key + 1, came,
               (unsigned long long)r.sent);
    }
}

SCENARIO(credentials_count_each_call_that_a_request_is_split_into, .weather = WEATHER_CALM, .prepare = near_lines,
         .thin = 4)
{
    return bank_run(w, &(struct bank_plan){
                           .behaviours = "models: {m: {limits: {requests: 20, window: 10s}}, n: {}}",
                           .provider = ONE_CHOICE,
                           .choices = 3,
                           .clients = 300,
                           .foreigners = 100, /* who use the first key up behind our back */
                           .spread = 60 * NS_SEC,
                           .may_wait = true,
                           .one_model = true,
                           .check = check_split,
                       });
}

/* --- keys that are not accepted --- */

/* Of a key that is refused from `from` to `to`: how often it was tried meanwhile, once that was known. */
static void check_retired(struct bank *b, unsigned key, int status, ns_t from, ns_t to, unsigned trials)
{
    ns_t known = NS_NEVER;
    unsigned tried = 0, before = 0, behind = 0;

    for (unsigned i = 0; i < b->count; i++) {
        const struct seen *s = &b->seen[i];
        if (s->key != key || (status == 403 && s->other))
            continue;
        ns_t at = s->at - b->began;
        before += at < from;
        behind += at > to;
        if (s->status == status && known == NS_NEVER)
            known = at + KNOWN_AFTER;
        tried += at > known && at < to;
    }
    EXPECT(known != NS_NEVER, "nobody found out");
    EXPECT(before || !from, "it was not used before");
    EXPECT(tried >= 1 && tried <= trials, "it was tried %u times", tried);
    EXPECT(behind > 5 || to == NS_NEVER, "it was used %u times when it was good again", behind);
}

/* 10 s, 20 s and 40 s after it was retired at the earliest. */
static void check_revoked(struct bank *b, const struct outcome *o, unsigned n)
{
    (void)o;
    (void)n;
    check_retired(b, 1, 401, 20 * NS_SEC, 60 * NS_SEC, 2);
}

SCENARIO(credentials_revoked_for_a_time_are_retired_and_come_back_and_no_client_notices, .weather = WEATHER_CALM,
         .prepare = near_lines, .thin = 4)
{
    return bank_run(w, &(struct bank_plan){
                           .behaviours = "api_keys: [sk-key-1, sk-key-2, sk-key-3]\n"
                                         "revoked: [{key: sk-key-2, from: 20s, to: 60s}]\nmodels: {m: {}, n: {}}",
                           .clients = 600,
                           .spread = 160 * NS_SEC,
                           .check = check_revoked,
                       });
}

static void check_not_for_model(struct bank *b, const struct outcome *o, unsigned n)
{
    unsigned others = 0;

    (void)o;
    (void)n;
    check_retired(b, 2, 403, 0, NS_NEVER, 4);
    for (unsigned i = 0; i < b->count; i++)
        others += b->seen[i].key == 2 && b->seen[i].other && b->seen[i].status == 200;
    EXPECT(others > 40, "for the other model it was used %u times", others);
}

SCENARIO(credentials_refused_for_one_model_serve_the_other, .weather = WEATHER_CALM, .prepare = near_lines, .thin = 4)
{
    return bank_run(w, &(struct bank_plan){
                           .behaviours = "revoked: [{key: sk-key-3, model: m}]\nmodels: {m: {}, n: {}}",
                           .clients = 500,
                           .spread = 120 * NS_SEC,
                           .check = check_not_for_model,
                       });
}

/* All are revoked for a time: what is asked meanwhile fails, and nothing behind it. */
static void check_dark(struct bank *b, const struct outcome *o, unsigned n)
{
    unsigned failed = 0, asked = 0;

    for (unsigned i = 0; i < n; i++) {
        bool dark = o[i].ended - b->began >= 20 * NS_SEC && o[i].began - b->began <= 40 * NS_SEC;
        failed += o[i].status != 200;
        asked += dark;
        EXPECT(o[i].status == 200 || dark, "client %u failed %lld ms after the start", i,
               (long long)((o[i].began - b->began) / NS_MS));
    }
    EXPECT(failed > 20 && failed <= asked, "%u of %u failed", failed, asked);
    for (unsigned i = 0; i + 1 < b->count; i++)
        EXPECT(b->seen[i].status != 401 || b->seen[i + 1].status != 401 || b->seen[i + 1].at > b->seen[i].at,
               "two tried at once");
}

SCENARIO(credentials_that_are_all_revoked_are_tried_one_at_a_time_and_good_again_at_once, .weather = WEATHER_CALM,
         .prepare = near_lines, .thin = 4)
{
    return bank_run(w, &(struct bank_plan){
                           .behaviours =
                               "api_keys: [sk-key-1, sk-key-2, sk-key-3]\n"
                               "revoked: [{key: sk-key-1, from: 20s, to: 40s}, {key: sk-key-2, from: 20s, to: 40s},"
                               " {key: sk-key-3, from: 20s, to: 40s}]\nmodels: {m: {}, n: {}}",
                           .clients = 600,
                           .spread = 60 * NS_SEC,
                           .may_fail = true,
                           .one_model = true,
                           .check = check_dark,
                       });
}
