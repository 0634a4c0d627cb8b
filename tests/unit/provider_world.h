/*
 * provider_world.h - the simulated provider behind the real server, and a client to ask it.
 *
 *     SIM_TEST(a_test, "models: {m: {answer_tokens: 3}}")   // a scenario; NULL: the built-in one
 *     {
 *         struct heard h = ask_with(w, "POST", "/v1/messages", headers, count, body, NS_NEVER);
 *         CHECK_EQ(h.status, 200);
 *     }
 *
 * Each test runs in the simulated world and on the kernel's loopback; a SIM_TIMED_TEST in the former only, where time is virtual and can be checked.
 */
#ifndef UNIT_PROVIDER_WORLD_H
#define UNIT_PROVIDER_WORLD_H

#include "base/mem.h"
#include "net/http_client.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/sim_world.h"
#include "sim/sim_provider.h"
#include "unit/test.h"

struct world {
    struct scenario *scenario;
    struct sim_provider *provider;
    struct http_server *server;
    struct upstream *upstream;
    struct fiber *running;
    struct arena arena;
};

struct sim_test {
    const char *scenario; /* NULL: the built-in one */
    void (*body)(struct world *w) SUSPENDS;
};

/* --- asking --- */

struct heard {
    err_t error; /* of the call, or of its body */
    int status;
    struct str body; /* as far as it came           */
    const struct http_head *head;
    ns_t first, last; /* from asking to the head, to the end */
};

/* `by`: leave then. `body` may be NULL. */
static struct heard ask_with(struct world *w, const char *method, const char *target, const struct http_header *headers,
                             size_t count, const char *body, ns_t by) SUSPENDS;
static struct heard ask_with(struct world *w, const char *method, const char *target, const struct http_header *headers,
                             size_t count, const char *body, ns_t by)
{
    struct str text = str_from_c(body), piece;
    struct heard h = {.error = OK};
    struct http_call *c CLEANUP(http_call_close_p) = NULL;
    struct buf got CLEANUP(buf_release) = BUF_INIT(64 << 20);
    ns_t begun = rt_now();
    WITHIN(by);

    h.error = http_call_open(w->upstream, &w->arena,
                             &(struct http_call_options){.method = str_from_c(method),
                                                         .target = str_from_c(target),
                                                         .headers = headers,
                                                         .count = count,
                                                         .body = &text,
                                                         .body_parts = body ? 1 : 0,
                                                         .connect_by = NS_NEVER,
                                                         .first_byte_by = NS_NEVER},
                             NULL, &c);
    h.first = rt_now() - begun;
    if (h.error != OK)
        return h;
    h.head = http_call_head(c);
    h.status = h.head->status;
    while ((h.error = http_call_next(c, NS_NEVER, &piece)) == OK && piece.p)
        (void)buf_add(&got, piece);
    h.last = rt_now() - begun;
    h.body = arena_str(&w->arena, buf_str(&got));
    return h;
}

/* --- the world --- */

/* The provider may be another one from one request to the next. */
static err_t handle(struct http_request *r, void *ctx) SUSPENDS;
static err_t handle(struct http_request *r, void *ctx)
{
    struct world *w = ctx;

    return sim_provider_handle(r, w->provider);
}

static err_t run_server(void *arg) SUSPENDS;
static err_t run_server(void *arg)
{
    struct world *w = arg;
    err_t e = http_server_run(w->server);

    w->running = NULL;
    return e;
}

static void play(const struct sim_test *t, struct world *w, struct scope *scope) SUSPENDS;
static void play(const struct sim_test *t, struct world *w, struct scope *scope)
{
    struct problems problems = {.arena = &w->arena};
    struct http_server_options o = {.limits = http_limits_default(), .handler = handle, .ctx = w};
    struct addr any, bound;

    CHECK_OK(
        scenario_parse(t->scenario ? str_from_c(t->scenario) : scenario_builtin(), "s.yaml", &problems, &w->scenario));
    w->provider = sim_provider_new(w->scenario, (uint64_t)w->scenario->seed);
    w->server = http_server_new(&o);
    CHECK_OK(addr_parse(STR("127.0.0.1:0"), &any));
    CHECK_OK(http_server_listen(w->server, &any, LISTEN_ALONE, NULL, &bound));
    w->upstream = upstream_new(&(struct upstream_options){.host = STR("127.0.0.1"), .port = addr_port(&bound)});
    w->running = scope_spawn(scope, "server", run_server, w);
    WITHIN(ns_add(rt_now(), loop_seams()->simulated ? 900 * NS_SEC : 20 * NS_SEC));
    t->body(w);
}

static err_t world_main(void *arg) SUSPENDS;
static err_t world_main(void *arg)
{
    struct world w = {.running = NULL};

    arena_init(&w.arena, SIZE_MAX / 2);
    {
        SCOPE(scope, NS_NEVER);
        scope_discard_results(&scope);
        play(arg, &w, &scope);
    }
    upstream_free(w.upstream);
    http_server_free(w.server);
    sim_provider_free(w.provider);
    scenario_free(w.scenario);
    iobuf_drain();
    arena_release(&w.arena);
    return OK;
}

static void in_simulation(const struct sim_test *t)
{
    struct sim_world *sim = sim_world_new(&(struct sim_options){.seed = test_seed()});

    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(sim)}, world_main, (void *)(uintptr_t)t);
    sim_world_free(sim);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
}

static UNUSED void in_both_worlds(const struct sim_test *t)
{
    test_context("simulated");
    in_simulation(t);
    if (test_failed())
        return;
    test_context("kernel");
    err_t e = loop_run(&(struct loop_options){0}, world_main, (void *)(uintptr_t)t);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
    test_context("%s", "");
}

#define SIM_TEST_IN_(worlds, name, scenario)                                                                           \
    static void body_of_##name(struct world *w) SUSPENDS;                                                              \
    TEST(name)                                                                                                         \
    {                                                                                                                  \
        worlds(&(struct sim_test){scenario, body_of_##name});                                                          \
    }                                                                                                                  \
    static void body_of_##name(struct world *w)

#define SIM_TEST(name, scenario) SIM_TEST_IN_(in_both_worlds, name, scenario)
/* Of when something happens, or of what is under way at a moment: only where time is virtual, as on a busy machine it passes in between. */
#define SIM_TIMED_TEST(name, scenario) SIM_TEST_IN_(in_simulation, name, scenario)

#endif
