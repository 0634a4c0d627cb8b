/*
 * credential_world.h - a simulated world with everything that issues credentials: one HTTP server that answers by a list, files, and an environment.
 *
 *     KIND_TEST(a_test)
 *     {
 *         set_env("HOME", "/home/me");
 *         answer("POST /token", 200, "{\"access_token\":\"abc\",\"expires_in\":3600}");
 *         CHECK_OK(get("google", (struct credential_options){.google = {.file = STR("/key.json")}}));
 *         CHECK_STR(got.token, "Bearer abc");
 *         CHECK(sent(1, "grant_type=refresh_token"));     // the first request held this
 *     }
 *
 * The server listens at BASE, at the addresses and ports where clouds have their metadata servers, and, as all names resolve to
 * 127.0.0.1, at the vendors' own endpoints, over TLS.
 */
#ifndef UNIT_CREDENTIAL_WORLD_H
#define UNIT_CREDENTIAL_WORLD_H

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "credential/credential.h"
#include "credential/kind.h"
#include "net/dns.h"
#include "net/http_server.h"
#include "net/iobuf.h"
#include "net/tls.h"
#include "rt/loop.h"
#include "rt/sim_world.h"
#include "unit/net_certs.h"
#include "unit/test.h"

#include <stdio.h>

#define BASE "http://127.0.0.1:8080"
#define HOUR_TOKEN(token) "{\"access_token\":\"" token "\",\"expires_in\":3600,\"token_type\":\"Bearer\"}"

enum { ANSWERS = 12, REQUESTS = 12, VARIABLES = 16 };

static struct world {
    struct sim_world *sim;
    struct arena arena;
    struct scope *scope;
    struct http_server *server;
    struct tls_ctx *server_tls, *client_tls;
    struct {
        const char *what; /* "METHOD /path?query", or the beginning of it */
        int status;
        struct str body;
    } answers[ANSWERS];
    size_t answer_count;
    struct str requests[REQUESTS]; /* "METHOD target host\nname: value\n...\n\nbody" */
    size_t request_count;
    const char *variables[VARIABLES][2];
    size_t variable_count;
} world;

/* What the last get() gave; texts in the world's arena. */
static struct {
    struct str token, access_key_id, secret_access_key, session_token, quota_project;
    ns_t life; /* NS_NEVER: it does not expire */
    const char *error;
} got;

/* --- setting up --- */

static UNUSED void set_env(const char *name, const char *value)
{
    world.variables[world.variable_count][0] = name;
    world.variables[world.variable_count++][1] = value;
}

static UNUSED void put_file(const char *path, const char *text)
{
    sim_world_put_file(world.sim, path, text, strlen(text));
}

/* A request that begins with `what` gets this answer; the first that fits counts. Status 0: none ever. */
static UNUSED void answer(const char *what, int status, const char *body)
{
    if (world.answer_count == ANSWERS)
        die("more than %d answers", ANSWERS);
    world.answers[world.answer_count].what = what;
    world.answers[world.answer_count].status = status;
    world.answers[world.answer_count++].body = arena_str(&world.arena, str_from_c(body));
}

static UNUSED void forget_answers(void)
{
    world.answer_count = 0;
}

/* Does the `number`-th request (from 1) hold `part`? */
static UNUSED bool sent(size_t number, const char *part)
{
    struct str r =
        number && number <= world.request_count && number <= REQUESTS ? world.requests[number - 1] : STR_NONE;
    bool holds = str_find(r, str_from_c(part)) < r.n;

    if (!holds)
        (void)printf("# request %zu of %zu: %.*s\n", number, world.request_count, STR_ARG(r));
    return holds;
}

/* --- the server --- */

static struct str note(const struct http_request *r, struct str body)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);

    buf_addf(&b, "%.*s %.*s %.*s\n", STR_ARG(r->head.method), STR_ARG(r->head.target), STR_ARG(r->head.host));
    for (size_t i = 0; i < r->head.count; i++)
        buf_addf(&b, "%.*s: %.*s\n", STR_ARG(r->head.headers[i].name), STR_ARG(r->head.headers[i].value));
    buf_add_char(&b, '\n');
    buf_add(&b, body);
    struct str text = arena_str(&world.arena, buf_str(&b));
    if (world.request_count < REQUESTS)
        world.requests[world.request_count] = text;
    world.request_count++;
    return text;
}

static SUSPENDS err_t handle(struct http_request *r, void *ctx)
{
    struct str body;

    (void)ctx;
    TRY(http_body_all(r, 1 << 20, &body));
    struct str asked = note(r, body);
    for (size_t i = 0; i < world.answer_count; i++) {
        if (!str_starts(asked, str_from_c(world.answers[i].what)))
            continue;
        if (!world.answers[i].status)
            return fiber_sleep_until(NS_NEVER);
        return http_reply_whole(r, &(struct http_reply){.status = world.answers[i].status}, world.answers[i].body);
    }
    return http_reply_whole(r, &(struct http_reply){.status = 404}, STR("no such thing"));
}

static SUSPENDS err_t serve(void *server)
{
    return http_server_run(server);
}

static void make_tls(void)
{
    const struct cert *c = cert_make(
        &world.arena,
        &(struct cert_options){.name = "vendors",
                               .alternatives = "DNS:sts.amazonaws.com,DNS:sts.eu-west-1.amazonaws.com,"
                                               "DNS:sts.us-west-2.amazonaws.com,DNS:sts.cn-north-1.amazonaws.com.cn,"
                                               "DNS:login.microsoftonline.com,DNS:*.googleapis.com",
                               .authority = true});

    if (tls_server_ctx(&(struct tls_server_options){.cert_pem = c->cert_pem, .key_pem = c->key_pem},
                       &world.server_tls) ||
        tls_client_ctx(&(struct tls_client_options){.ca_pem = c->cert_pem}, &world.client_tls))
        die("%s", err_current()->text);
}

static void listen_at(const char *where, struct tls_ctx *tls)
{
    struct addr at, bound;

    if (addr_parse(str_from_c(where), &at) || http_server_listen(world.server, &at, false, tls, &bound))
        die("%s: %s", where, err_current()->text);
}

/* --- the world --- */

static struct str world_env(const char *name)
{
    for (size_t i = 0; i < world.variable_count; i++)
        if (strcmp(world.variables[i][0], name) == 0)
            return str_from_c(world.variables[i][1]);
    return STR_NONE;
}

/* Get one credential of the kind, from a source made for it, into `got`; on failure the text of the error. */
static UNUSED SUSPENDS err_t get(const char *kind, struct credential_options o)
{
    struct credential *c;

    memset(&got, 0, sizeof got);
    o.provider = STR("p");
    o.kind = credential_kind_find(str_from_c(kind));
    o.tls = world.client_tls;
    o.env = world_env;
    o.scope = world.scope;
    struct credential_source *s = credential_source_new(&o);
    err_t e = credential_get(s, &c);
    if (e == OK) {
        got.token = arena_str(&world.arena, secret_reveal(&c->authorization));
        got.access_key_id = arena_str(&world.arena, c->access_key_id);
        got.secret_access_key = arena_str(&world.arena, secret_reveal(&c->secret_access_key));
        got.session_token = arena_str(&world.arena, secret_reveal(&c->session_token));
        got.quota_project = arena_str(&world.arena, c->quota_project);
        got.life = c->expires == NS_NEVER ? NS_NEVER : c->expires - rt_now();
        credential_unref(c);
    } else {
        got.error = arena_str(&world.arena, str_from_c(err_detail(e))).p;
    }
    credential_source_free(s);
    return e;
}

#define CHECK_SAYS(part) CHECK_MSG(got.error &&strstr(got.error, part), "%s", got.error ? got.error : "no error")
#define CHECK_HIDES(part) CHECK_MSG(got.error && !strstr(got.error, part), "%s", got.error ? got.error : "no error")
/* Give or take what the simulated network takes. */
#define CHECK_LIFE(seconds)                                                                                            \
    CHECK_MSG(got.life > ((seconds) - 2) * NS_SEC && got.life < ((seconds) + 1) * NS_SEC, "%lld s",                    \
              (long long)(got.life / NS_SEC))

static SUSPENDS err_t world_main(void *arg)
{
    void (**body)(void) = arg;
    SCOPE(scope, NS_NEVER);

    scope_discard_results(&scope);
    world.scope = &scope;
    world.server = http_server_new(&(struct http_server_options){.limits = http_limits_default(), .handler = handle});
    make_tls();
    listen_at("127.0.0.1:443", world.server_tls);
    listen_at("127.0.0.1:8080", NULL);
    listen_at("127.0.0.1:80", NULL);
    listen_at("169.254.169.254:80", NULL);
    listen_at("169.254.170.2:80", NULL);
    listen_at("169.254.170.23:80", NULL);
    listen_at("[fd00:ec2::254]:80", NULL);
    struct fiber *running = scope_spawn(&scope, "server", serve, world.server);
    (*body)();
    fiber_cancel(running);
    while (scope.live)
        TRY(fiber_sleep_until(rt_now() + NS_SEC));
    http_server_free(world.server);
    tls_ctx_unref(world.server_tls);
    tls_ctx_unref(world.client_tls);
    dns_drain();
    iobuf_drain();
    return OK;
}

static void world_log(struct str line, void *ctx)
{
    (void)line;
    (void)ctx;
}

static UNUSED void in_world_of(const struct sim_options *options, void (*body)(void))
{
    struct sim_census census;

    memset(&world, 0, sizeof world);
    world.sim = sim_world_new(options);
    arena_init(&world.arena, SIZE_MAX);
    log_configure(&(struct log_options){.level = LOG_INFO, .sink = world_log});
    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(world.sim)}, world_main, &body);
    log_configure(&(struct log_options){.level = LOG_INFO});
    sim_world_census(world.sim, &census);
    arena_release(&world.arena);
    sim_world_free(world.sim);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
    CHECK_EQ(census.open_sockets + census.open_files, 0);
}

static UNUSED void in_world(void (*body)(void))
{
    in_world_of(&(struct sim_options){.seed = test_seed()}, body);
}

#define KIND_TEST(test_name)                                                                                           \
    static void kind_##test_name(void);                                                                                \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        in_world(kind_##test_name);                                                                                    \
    }                                                                                                                  \
    static void kind_##test_name(void)

#endif
