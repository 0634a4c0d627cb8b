/*
 * admin_client.c - the asking side of the admin endpoints, for commands.
 *
 * A command is one loop with one fiber. The key of a server on this machine is found where that server wrote it; it is only ever sent to a loopback
 * address, so a URL that was mistyped gets no key.
 */
#include "cli/admin_client.h"

#include "base/map.h"
#include "cli/admin_key.h"
#include "codec/url.h"
#include "fleet/config.h"
#include "net/http_client.h"
#include "net/tls.h"
#include "rt/loop.h"
#include "rt/worker.h"

#include <stdio.h>

#define USUAL_URL "http://127.0.0.1:9901"
#define CONNECT_TIME (5 * NS_SEC)
#define ANSWER_TIME (60 * NS_SEC) /* a search of the log takes a while */

enum { ANSWER_MAX = 64 * 1024 * 1024, KEY_MAX = 4096, ARENA_MAX = 256 * 1024 * 1024 };

struct admin_client {
    const struct command *command;
    struct str url;
    struct upstream_options at;
    struct buf key;
    admin_ask_fn *fn;
    void *ctx;
    bool told; /* what went wrong in the fiber, whose error record goes with it */
};

/* --- where, and with what --- */

static err_t parse_place(struct admin_client *c)
{
    struct str path = STR("unix:");
    struct url u;

    if (str_starts(c->url, path)) {
        c->at = (struct upstream_options){.host = STR("localhost"), .unix_path = str_slice(c->url, path.n, c->url.n)};
        return c->at.unix_path.n ? OK : fail(E_CONFIG, "--admin unix: takes a path");
    }
    TRY(err_context(url_parse(c->url, &u), "--admin %.*s", STR_ARG(c->url)));
    bool secure = str_eq_nocase(u.scheme, STR("https"));
    if ((!secure && !str_eq_nocase(u.scheme, STR("http"))) || u.userinfo.p || u.query.p || u.path.n > 1)
        return fail(E_CONFIG, "--admin takes http://host:port, https://host:port or unix:/path");
    c->at = (struct upstream_options){.secure = secure, .host = u.host, .port = url_port(&u)};
    return OK;
}

static bool is_this_machine(const struct admin_client *c)
{
    struct addr a;

    return c->at.unix_path.n || str_eq(c->at.host, STR("localhost")) ||
           (addr_from_ip(c->at.host, 1, &a) && addr_is_loopback(&a));
}

static err_t find_key(struct admin_client *c, const struct admin_options *o)
{
    const char *key = o->key ? o->key : config_env_real()->getenv("CROSSDOCK_ADMIN_KEY");

    if (o->key_file && !o->key)
        return admin_key_read(o->key_file, &c->key);
    if (key && *key)
        return buf_add(&c->key, str_from_c(key));
    if (is_this_machine(c))
        return admin_key_find(c->at.unix_path.n ? 0 : c->at.port, &c->key);
    return fail(E_NOT_FOUND, "an admin key is needed: give it with --key, --key-file or in CROSSDOCK_ADMIN_KEY");
}

/* --- a question --- */

struct str admin_client_message(struct str body, struct arena *arena)
{
    const struct json_tree *tree;
    struct str text = STR_NONE;

    if (json_tree_parse(arena, body, &tree) == OK)
        text = json_get_text(json_node_get(json_tree_root(tree), STR("error")), STR("message"), arena);
    return text.n ? text : body;
}

static err_t judge(struct http_call *call, struct str body, struct arena *arena, int *ret_status)
{
    *ret_status = http_call_head(call)->status;
    if (*ret_status != 401 && *ret_status != 403)
        return OK;
    return fail(E_FORBIDDEN, "%.*s", STR_ARG(admin_client_message(body, arena)));
}

static SUSPENDS err_t ask(struct admin_client *client, struct str method, struct str path, struct str body,
                          struct arena *arena, int *ret_status, struct buf *ret)
{
    struct upstream *upstream CLEANUP(upstream_free_p) = upstream_new(&client->at);
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct str bearer = arena_join(arena, STR("Bearer "), buf_str(&client->key)), answer;
    const struct http_header headers[] = {
        {STR("authorization"), bearer},
        {STR("user-agent"), STR("crossdock")},
        {STR("content-type"), STR("application/json")}}; /* the last with a body only */
    struct http_call_options o = {.method = method,
                                  .target = path,
                                  .headers = headers,
                                  .count = body.n ? ARRAY_LEN(headers) : ARRAY_LEN(headers) - 1,
                                  .body = &body,
                                  .body_parts = body.n > 0,
                                  .connect_by = rt_now() + CONNECT_TIME,
                                  .first_byte_by = rt_now() + ANSWER_TIME};

    TRY(http_call_open(upstream, arena, &o, NULL, &call));
    TRY(http_call_all(call, ANSWER_TIME, ANSWER_MAX, &answer));
    TRY(judge(call, answer, arena, ret_status));
    buf_clear(ret);
    return buf_add(ret, answer);
}

static SUSPENDS err_t ask_server(struct admin_client *client, struct str method, struct str path, struct str body,
                                 int *ret_status, struct buf *ret)
{
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, ARENA_MAX);
    err_t e = ask(client, method, path, body, &arena, ret_status, ret);
    if (e == E_REFUSED)
        return fail(e, "no server answers at %.*s: is it running, and is admin.listen there? (--admin URL)",
                    STR_ARG(client->url));
    return err_context(e, "%.*s", STR_ARG(client->url));
}

err_t admin_client_get(struct admin_client *client, struct str path, int *ret_status, struct buf *ret)
{
    return ask_server(client, STR("GET"), path, STR_NONE, ret_status, ret);
}

/* --- a command --- */

static void complain(const struct command *c, err_t e)
{
    (void)fprintf(stderr, "crossdock %s: %s\n", c->name, err_detail(e));
}

static SUSPENDS err_t run_fiber(void *arg)
{
    struct admin_client *client = arg;

    err_t e = client->fn(client->ctx, client);
    if (e != OK)
        complain(client->command, e);
    client->told = e != OK;
    return e;
}

int admin_client_run(const struct command *c, const struct admin_options *o, admin_ask_fn *fn, void *ctx)
{
    const char *named = config_env_real()->getenv("CROSSDOCK_ADMIN");
    const char *url = o->url ? o->url : named && *named ? named : USUAL_URL;
    struct admin_client client = {.command = c, .url = str_from_c(url), .key = BUF_INIT(KEY_MAX), .fn = fn, .ctx = ctx};
    unsigned char hash_key[16];

    rt_random_bytes(hash_key, sizeof hash_key);
    map_set_hash_key(hash_key);
    tls_trust_file(config_env_real()->getenv("SSL_CERT_FILE"));
    err_t e = parse_place(&client);
    if (e == OK)
        e = find_key(&client, o);
    if (e == OK) {
        workers_start(1);
        e = loop_run(&(struct loop_options){0}, run_fiber, &client);
        workers_stop();
    }
    if (e != OK && !client.told)
        complain(c, e);
    if (client.key.p)
        explicit_bzero(client.key.p, client.key.cap);
    buf_release(&client.key);
    return e == OK ? EXIT_OK : EXIT_FAILED;
}

err_t admin_client_read(struct admin_client *client, const char *method, struct str path, struct str body,
                        struct arena *arena, struct json_node *ret)
{
    struct buf answer CLEANUP(buf_release) = BUF_INIT(ANSWER_MAX);
    const struct json_tree *tree;
    int status = 0;

    TRY(ask_server(client, str_from_c(method), path, body, &status, &answer));
    struct str text = arena_str(arena, buf_str(&answer));
    if (status != 200)
        return fail(status == 404 ? E_NOT_FOUND : E_UPSTREAM, "%.*s", STR_ARG(admin_client_message(text, arena)));
    TRY(json_tree_parse(arena, text, &tree));
    *ret = json_tree_root(tree);
    return OK;
}
