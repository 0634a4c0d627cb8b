/* proxy_test.c - which proxy, and tunnels through one. */
#include "net/proxy.h"

#include "codec/base64.h"
#include "net/http_client.h"
#include "net/tls.h"
#include "unit/net_certs.h"
#include "unit/net_world.h"

/* --- the environment --- */

static const char *const *environment; /* name, value, name, value, ..., NULL */

static struct str look_up(const char *name)
{
    for (size_t i = 0; environment[i]; i += 2)
        if (strcmp(environment[i], name) == 0)
            return str_from_c(environment[i + 1]);
    return STR_NONE;
}

static const char *choose(const char *const *env, bool secure, const char *host, uint16_t port)
{
    environment = env;
    struct str got = upstream_proxy_from_env(secure, str_from_c(host), port, look_up);
    return got.n ? got.p : "";
}

#define CHECK_PROXY(want, secure, host, ...)                                                                           \
    CHECK_STR(str_from_c(choose((const char *const[]){__VA_ARGS__, NULL}, secure, host, secure ? 443 : 80)), want)

TEST(proxy_is_chosen_by_scheme)
{
    CHECK_PROXY("p", true, "h", "HTTPS_PROXY", "p", "HTTP_PROXY", "q");
    CHECK_PROXY("q", false, "h", "HTTPS_PROXY", "p", "HTTP_PROXY", "q");
    CHECK_PROXY("lower", true, "h", "HTTPS_PROXY", "upper", "https_proxy", "lower");
    CHECK_PROXY("all", true, "h", "ALL_PROXY", "all", "HTTP_PROXY", "q");
    CHECK_PROXY("all", false, "h", "all_proxy", "all");
    CHECK_PROXY("", true, "h", "HTTP_PROXY", "q");
    CHECK_PROXY("", true, "h", "https_proxy", "", "HTTPS_PROXY", "upper", "ALL_PROXY", "all"); /* set, to none */
    CHECK_PROXY("", false, "h", "HTTP_PROXY", "q", "REQUEST_METHOD", "GET");                   /* httpoxy */
    CHECK_PROXY("q", false, "h", "http_proxy", "q", "REQUEST_METHOD", "GET");
}

TEST(no_proxy_exempts_hosts)
{
    static const struct {
        const char *list, *host;
        uint16_t port;
        bool exempt;
    } cases[] = {
        {"*", "anything", 443, true},
        {"example.com", "example.com", 443, true},
        {"example.com", "EXAMPLE.com", 443, true},
        {"example.com", "api.example.com", 443, true},
        {"example.com", "notexample.com", 443, false},
        {"example.com", "example.com.evil", 443, false},
        {".example.com", "example.com", 443, true},
        {".example.com", "a.b.example.com", 443, true},
        {"a.test, b.test", "b.test", 443, true},
        {"a.test b.test", "b.test", 443, true},
        {",,b.test", "b.test", 443, true},
        {"", "b.test", 443, false},
        {".", "b.test", 443, false},
        {"example.com.", "example.com", 443, true},
        {"example.com", "example.com.", 443, true},
        {"example.com:8080", "example.com", 8080, true},
        {"example.com:8080", "example.com", 443, false},
        {"127.0.0.1", "127.0.0.1", 443, true},
        {"127.0.0.1", "127.0.0.2", 443, false},
        {"127.0.0.1:443", "127.0.0.1", 443, true},
        {"127.0.0.1:80", "127.0.0.1", 443, false},
        {"10.0.0.0/8", "10.200.3.4", 443, true},
        {"10.0.0.0/8", "11.0.0.1", 443, false},
        {"192.168.4.0/22", "192.168.7.255", 443, true},
        {"192.168.4.0/22", "192.168.8.0", 443, false},
        {"0.0.0.0/0", "8.8.8.8", 443, true},
        {"10.0.0.0/33", "10.0.0.0", 443, false},
        {"10.0.0.0/x", "10.0.0.0", 443, false},
        {"10.0.0.0/8", "ten.test", 443, false},
        {"0.0.1", "127.0.0.1", 443, false}, /* no suffixes of addresses */
        {"::1", "::1", 443, true},
        {"[::1]", "::1", 443, true},
        {"[::1]:443", "::1", 443, true},
        {"[::1]:80", "::1", 443, false},
        {"fd00::/8", "fd12:3456::1", 443, true},
        {"fd00::/8", "fe00::1", 443, false},
        {"::1", "0:0:0:0:0:0:0:1", 443, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *env[] = {"HTTPS_PROXY", "p", "NO_PROXY", cases[i].list, NULL};
        test_context("no_proxy=%s host=%s:%u", cases[i].list, cases[i].host, cases[i].port);
        CHECK_STR(str_from_c(choose(env, true, cases[i].host, cases[i].port)), cases[i].exempt ? "" : "p");
    }
}

/* --- its URL --- */

TEST(proxy_urls_are_parsed)
{
    static const struct {
        const char *url, *host, *authorization;
        uint16_t port;
    } cases[] = {
        {"http://proxy:3128", "proxy", "", 3128},
        {"proxy:3128", "proxy", "", 3128},
        {"proxy", "proxy", "", 1080},
        {"HTTP://proxy/", "proxy", "", 1080},
        {"http://[::1]:3128", "::1", "", 3128},
        {"http://user:pass@proxy:3128", "proxy", "Basic dXNlcjpwYXNz", 3128},
        {"http://us%40er:p%3Ass@proxy:3128", "proxy", "Basic dXNAZXI6cDpzcw==", 3128},
        {"http://user@proxy:3128", "proxy", "Basic dXNlcjo=", 3128},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proxy p = {0};
        test_context("%s", cases[i].url);
        CHECK_OK(proxy_parse(str_from_c(cases[i].url), &p));
        CHECK_STR(str_from_c(p.host), cases[i].host);
        CHECK_EQ(p.port, cases[i].port);
        CHECK_STR(secret_reveal(&p.authorization), cases[i].authorization);
        proxy_release(&p);
    }
}

TEST(proxy_urls_that_cannot_be_used_are_refused_without_telling_credentials)
{
    static const char *const urls[] = {"https://user:geheim@proxy",
                                       "socks5://user:geheim@proxy:1080",
                                       "http://user:geheim@",
                                       "http://user:geheim@pro xy",
                                       "http://user:geheim%zz@proxy",
                                       "http://user:geheim@proxy:x",
                                       ""};

    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        test_context("%s", urls[i]);
        CHECK_ERR(upstream_check_proxy(str_from_c(urls[i])), E_CONFIG);
        CHECK(!error_says(E_CONFIG, "geheim"));
    }
}

/* --- through it --- */

/* A proxy that answers CONNECT with its ctx, and relays if that is a 200. */
struct middle {
    const char *answer;
    const struct peer *origin;
    char request[1000];
};

static err_t relay_back(void *arg)
{
    struct sock **pair = arg;
    char bytes[4096];
    size_t n;

    while (sock_read(pair[0], bytes, sizeof bytes, &n) == OK && n > 0)
        TRY(sock_write(pair[1], bytes, n));
    return sock_shutdown(pair[1]);
}

static void play_proxy(struct play *p)
{
    struct middle *m = p->peer->ctx;
    struct sock *origin CLEANUP(sock_close_p) = NULL;

    if (!play_request(p))
        return;
    (void)snprintf(m->request, sizeof m->request, "%.*s", STR_ARG(buf_str(&p->request)));
    if (!play_send(p, m->answer) || !m->origin || sock_connect(&m->origin->at, &origin))
        return;
    struct sock *there[] = {p->sock, origin}, *back[] = {origin, p->sock};
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "relay", relay_back, back);
    if (relay_back(there) || scope_wait_all(&s))
        play_close(p);
}

static void play_https(struct play *p)
{
    struct tls_ctx *ctx = p->peer->ctx;
    struct tls *t;
    char bytes[4096];
    size_t n;

    if (tls_accept(ctx, p->sock, &t))
        return;
    while (tls_read(t, bytes, sizeof bytes, &n) == OK && n > 0) {
        struct iovec iov = {(void *)(uintptr_t)"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 43};
        p->peer->requests++;
        if (tls_writev(t, &iov, 1))
            break;
    }
    tls_free(t);
}

static struct peer *https_origin(struct world *w, struct tls_ctx **ret_client)
{
    struct cert *cert = cert_make(&w->arena, &(struct cert_options){.name = "s", .alternatives = "DNS:far.test"});
    struct tls_ctx *server = NULL;

    if (tls_server_ctx(&(struct tls_server_options){.cert_pem = cert->cert_pem, .key_pem = cert->key_pem}, &server) ||
        tls_client_ctx(&(struct tls_client_options){.ca_pem = cert->cert_pem}, ret_client))
        die("contexts: %s", err_current()->text);
    arena_hold(&w->arena, server, (void (*)(void *))tls_ctx_unref);
    return peer_start_with(w, play_https, server);
}

static err_t get(struct world *w, struct upstream *u, struct str *ret)
{
    struct http_call *c CLEANUP(http_call_close_p) = NULL;
    struct http_call_options o = {.method = STR("GET"), .target = STR("/x?key=1")};
    struct str body;

    TRY(http_call_open(u, &w->arena, &o, NULL, &c));
    TRY(http_call_all(c, NS_NEVER, 1000, &body));
    *ret = arena_str(&w->arena, body);
    return OK;
}

static struct upstream *through(struct world *w, const struct peer *proxy, const char *user, struct tls_ctx *tls)
{
    struct str url = arena_printf(&w->arena, "http://%s127.0.0.1:%u", user, peer_port(proxy));

    return upstream_new(&(struct upstream_options){
        .secure = tls != NULL, .host = STR("far.test"), .port = tls ? 443 : 8000, .tls = tls, .proxy = url});
}

WORLD_TEST(proxy_tunnels_carry_tls_to_the_origin)
{
    struct tls_ctx *client = NULL;
    struct peer *origin = https_origin(w, &client);

    for (int user = 0; user < 2; user++) {
        struct middle *m = arena_new(&w->arena, struct middle);
        struct str got;
        *m = (struct middle){.answer = "HTTP/1.1 200 Connection established\r\n\r\n", .origin = origin};
        struct upstream *u = through(w, peer_start_with(w, play_proxy, m), user ? "user:pass@" : "", client);
        for (unsigned i = 1; i <= 2; i++) {
            CHECK_OK(get(w, u, &got));
            CHECK_STR(got, "hello");
            CHECK_EQ(origin->requests, 2 * (unsigned)user + i);
        }
        upstream_free(u);
        struct str want = arena_printf(&w->arena, "CONNECT far.test:443 HTTP/1.1\r\nhost: far.test:443\r\n%s\r\n",
                                       user ? "proxy-authorization: Basic dXNlcjpwYXNz\r\n" : "");
        CHECK_STR(str_from_c(m->request), want.p);
        CHECK_EQ(origin->accepted, (unsigned)user + 1);
    }
    tls_ctx_unref(client);
}

WORLD_TEST(proxy_refusals_are_told)
{
    static const struct {
        const char *answer, *text;
        err_t error;
    } cases[] = {
        {"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 3\r\n\r\nno!", "refused the tunnel: 407",
         E_UPSTREAM},
        {"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", "refused the tunnel: 503", E_UPSTREAM},
        {"HTTP/1.1 200 OK\r\n\r\nsurprise", "nobody asked for", E_PROTOCOL},
        {"SSH-2.0\r\n\r\n", "proxy 127.0.0.1:", E_PROTOCOL},
        {"", "closed the connection", E_EOF},
    };
    struct tls_ctx *client = NULL;

    (void)https_origin(w, &client);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct middle *m = arena_new(&w->arena, struct middle);
        struct str got;
        m->answer = cases[i].answer;
        struct upstream *u = through(w, peer_start_with(w, play_proxy, m), "user:geheim@", client);
        test_context("%s", cases[i].answer);
        err_t e = get(w, u, &got);
        CHECK_ERR(e, cases[i].error);
        CHECK_MSG(error_says(e, cases[i].text), "%s", err_detail(e));
        CHECK(error_says(e, "far.test:443") && !error_says(e, "geheim") && !error_says(e, "key=1"));
        upstream_free(u);
    }
    tls_ctx_unref(client);
}

WORLD_TEST(proxy_forwards_plain_requests_with_their_whole_url)
{
    struct middle *m = arena_new(&w->arena, struct middle);
    struct str got;

    m->answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    struct upstream *u = through(w, peer_start_with(w, play_proxy, m), "user:pass@", NULL);
    CHECK_OK(get(w, u, &got));
    CHECK_STR(got, "ok");
    CHECK_STR(str_from_c(m->request), "GET http://far.test:8000/x?key=1 HTTP/1.1\r\nhost: far.test:8000\r\n"
                                      "proxy-authorization: Basic dXNlcjpwYXNz\r\n\r\n");
    upstream_free(u);
}

WORLD_TEST(proxy_that_cannot_be_used_fails_each_call)
{
    struct upstream *u =
        upstream_new(&(struct upstream_options){.host = STR("far.test"), .proxy = STR("socks5://user:geheim@proxy")});
    struct str got;

    CHECK_ERR(get(w, u, &got), E_CONFIG);
    CHECK(error_says(E_CONFIG, "socks5") && !error_says(E_CONFIG, "geheim"));
    upstream_free(u);
}

WORLD_TEST(unix_sockets_can_be_upstreams)
{
    struct addr at;
    struct str path = arena_printf(&w->arena, "/tmp/crossdock-test-%llx.sock", (unsigned long long)rt_random()), got;
    struct str url = arena_printf(&w->arena, "unix:%s", path.p);
    struct peer *peer = arena_new(&w->arena, struct peer);
    struct middle *m = arena_new(&w->arena, struct middle);

    CHECK_OK(addr_parse(url, &at));
    *peer = (struct peer){.world = w, .play = play_proxy, .ctx = m};
    CHECK_OK(sock_listen(&at, LISTEN_ALONE, &peer->listener));
    (void)scope_spawn(w->scope, "listener", peer_main, peer);
    m->answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    struct upstream *u = upstream_new(&(struct upstream_options){.host = STR("local.test"), .unix_path = path});
    CHECK_OK(get(w, u, &got));
    CHECK_STR(got, "ok");
    CHECK_STR(str_from_c(m->request), "GET /x?key=1 HTTP/1.1\r\nhost: local.test\r\n\r\n");
    upstream_free(u);
    CHECK_EQ(remove(path.p), 0);
}
