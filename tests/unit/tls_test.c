/* tls_test.c - TLS over real sockets, with certificates made here; alone, and below the HTTP client. */
#include "net/tls.h"

#include "net/conn.h"
#include "net/http_client.h"
#include "net/tls_int.h"
#include "rt/sim_world.h"
#include "rt/threads.h"
#include "unit/net_certs.h"
#include "unit/net_world.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

/* --- parties --- */

struct parties {
    struct cert *authority, *server;
    struct tls_ctx *server_ctx, *client_ctx;
};

static void tls_ctx_drop(void *ctx)
{
    tls_ctx_unref(ctx);
}

static struct tls_ctx *server_ctx(struct world *w, const struct tls_server_options *o)
{
    struct tls_ctx *ctx = NULL;

    if (tls_server_ctx(o, &ctx))
        die("server context: %s", err_current()->text);
    arena_hold(&w->arena, ctx, tls_ctx_drop);
    return ctx;
}

static struct tls_ctx *client_ctx(struct world *w, const struct tls_client_options *o)
{
    struct tls_ctx *ctx = NULL;

    if (tls_client_ctx(o, &ctx))
        die("client context: %s", err_current()->text);
    arena_hold(&w->arena, ctx, tls_ctx_drop);
    return ctx;
}

/* An authority, a server that it vouches for as "server.test" and 127.0.0.1, and a client that trusts it. */
static struct parties *parties_new(struct world *w)
{
    struct parties *p = arena_new(&w->arena, struct parties);
    struct arena *a = &w->arena;

    p->authority = cert_make(a, &(struct cert_options){.name = "Test Authority", .authority = true});
    p->server =
        cert_make(a, &(struct cert_options){
                         .name = "server", .alternatives = "DNS:server.test,IP:127.0.0.1", .issuer = p->authority});
    p->server_ctx = server_ctx(
        w, &(struct tls_server_options){.cert_pem = p->server->cert_pem, .key_pem = p->server->key_pem, .http2 = true});
    p->client_ctx = client_ctx(w, &(struct tls_client_options){.ca_pem = p->authority->cert_pem});
    return p;
}

static void limit_version(struct tls_ctx *ctx, int version)
{
    (void)SSL_CTX_set_max_proto_version(ctx->ssl, version);
    (void)SSL_CTX_set_min_proto_version(ctx->ssl, version);
}

/* --- servers --- */

struct server {
    struct tls_ctx *ctx;
    unsigned resumed;
    err_t error; /* of the last handshake */
    char text[ERR_TEXT_MAX];
    char alpn[16];
    bool cut; /* end without a goodbye */
};

static bool play_accept(struct play *p, struct conn *c)
{
    struct server *s = p->peer->ctx;

    *c = (struct conn){.sock = p->sock};
    p->sock = NULL;
    s->error = tls_accept(s->ctx, c->sock, &c->tls);
    memccpy(s->text, err_detail(s->error), '\0', sizeof s->text);
    if (s->error) {
        conn_close(c);
        return false;
    }
    (void)snprintf(s->alpn, sizeof s->alpn, "%.*s", STR_ARG(tls_alpn(c->tls)));
    s->resumed += tls_was_resumed(c->tls);
    return true;
}

/* Sends back what comes. */
static void play_tls_echo(struct play *p)
{
    struct conn c;
    char *bytes = mem_alloc(100000);
    size_t n;

    if (play_accept(p, &c)) {
        while (conn_read(&c, bytes, 100000, &n) == OK && n > 0)
            if (conn_write(&c, str_of(bytes, n)) != OK)
                break;
        conn_close(&c);
        p->peer->eofs++;
    }
    mem_free(bytes);
}

static struct server *server_new(struct world *w, struct tls_ctx *ctx)
{
    struct server *s = arena_new(&w->arena, struct server);

    s->ctx = ctx;
    return s;
}

static err_t connect_tls(const struct peer *peer, struct tls_ctx *ctx, const char *host, struct conn *ret)
{
    struct conn c = {0};

    TRY(sock_connect(&peer->at, &c.sock));
    err_t e = tls_connect(ctx, c.sock, str_from_c(host), &c.tls);
    if (e) {
        conn_close(&c);
        return e;
    }
    *ret = c;
    return OK;
}

/* Send `n` bytes and take them back, so that session tickets arrive, too. */
static void check_echo(struct conn *c, size_t n)
{
    char bytes[256], got[256];
    size_t have = 0, k;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)i;
    CHECK_OK(conn_write(c, str_of(bytes, n)));
    while (have < n) {
        CHECK_OK(conn_read(c, got + have, n - have, &k));
        CHECK_GT(k, 0);
        have += k;
    }
    CHECK_MEM(got, bytes, n);
}

/* --- handshakes --- */

static char sni[64]; /* the name that a client asked for last */

static int note_sni(SSL *ssl, int *alert, void *ctx)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert, (void)ctx;
    (void)snprintf(sni, sizeof sni, "%s", name ? name : "");
    return SSL_TLSEXT_ERR_OK;
}

WORLD_TEST(tls_sends_the_servers_name_but_no_address)
{
    struct parties *p = parties_new(w);
    struct peer *peer = peer_start_with(w, play_tls_echo, server_new(w, p->server_ctx));
    const char *const hosts[] = {"server.test", "127.0.0.1", "server.test."};

    SSL_CTX_set_tlsext_servername_callback(p->server_ctx->ssl, note_sni);
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct conn c CLEANUP(conn_close) = {0};
        CHECK_OK(connect_tls(peer, p->client_ctx, hosts[i], &c));
        CHECK_STR(str_from_c(sni), i == 1 ? "" : "server.test");
    }
}

static void check_version(struct world *w, int version)
{
    struct parties *p = parties_new(w);
    struct server *s = server_new(w, p->server_ctx);
    struct peer *peer = peer_start_with(w, play_tls_echo, s);
    struct conn c CLEANUP(conn_close) = {0};

    limit_version(p->client_ctx, version);
    CHECK_OK(connect_tls(peer, p->client_ctx, "server.test", &c));
    check_echo(&c, 200);
    CHECK(!tls_was_resumed(c.tls));
    CHECK_STR(tls_alpn(c.tls), "http/1.1");
    conn_close(&c);
    /* again, and with a session of before */
    CHECK_OK(connect_tls(peer, p->client_ctx, "server.test", &c));
    CHECK(tls_was_resumed(c.tls));
    check_echo(&c, 200);
    CHECK_EQ(s->resumed, 1);
}

WORLD_TEST(tls_1_3_shakes_hands_talks_and_resumes)
{
    check_version(w, TLS1_3_VERSION);
}

WORLD_TEST(tls_1_2_shakes_hands_talks_and_resumes)
{
    check_version(w, TLS1_2_VERSION);
}

WORLD_TEST(tls_1_1_is_refused)
{
    struct parties *p = parties_new(w);
    struct peer *peer = peer_start_with(w, play_tls_echo, server_new(w, p->server_ctx));
    struct conn c CLEANUP(conn_close) = {0};

    limit_version(p->client_ctx, TLS1_1_VERSION);
    SSL_CTX_set_security_level(p->client_ctx->ssl, 0);
    (void)SSL_CTX_set_cipher_list(p->client_ctx->ssl, "ALL");
    CHECK_ERR(connect_tls(peer, p->client_ctx, "server.test", &c), E_TLS);
}

WORLD_TEST(tls_tickets_of_1_3_are_used_once_and_sessions_of_1_2_often)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct parties *p = parties_new(w);
        struct peer *peer = peer_start_with(w, play_tls_echo, server_new(w, p->server_ctx));
        struct conn first CLEANUP(conn_close) = {0}, second CLEANUP(conn_close) = {0}, third CLEANUP(conn_close) = {0};
        limit_version(p->client_ctx, version);
        CHECK_OK(connect_tls(peer, p->client_ctx, "server.test", &first));
        check_echo(&first, 10);
        CHECK_OK(connect_tls(peer, p->client_ctx, "server.test", &second));
        CHECK(tls_was_resumed(second.tls));
        CHECK_OK(connect_tls(peer, p->client_ctx, "server.test", &third));
        CHECK_EQ(tls_was_resumed(third.tls), version == TLS1_2_VERSION);
    }
}

WORLD_TEST(tls_sessions_belong_to_their_host)
{
    struct parties *p = parties_new(w);
    struct server *s = server_new(w, p->server_ctx);
    struct peer *peer = peer_start_with(w, play_tls_echo, s);
    struct conn c CLEANUP(conn_close) = {0}, d CLEANUP(conn_close) = {0};

    CHECK_OK(connect_tls(peer, p->client_ctx, "server.test", &c));
    check_echo(&c, 10);
    CHECK_OK(connect_tls(peer, p->client_ctx, "127.0.0.1", &d));
    CHECK(!tls_was_resumed(d.tls));
}

/* Many hosts share few slots: none gets another's session, and nothing is lost or freed twice. */
WORLD_TEST(tls_session_cache_keeps_hosts_apart)
{
    struct parties *p = parties_new(w);
    struct peer *peer = peer_start_with(w, play_tls_echo, server_new(w, p->server_ctx));
    struct conn c CLEANUP(conn_close) = {0};
    struct tls_sessions *cache = NEW(struct tls_sessions);
    SSL_SESSION *session = SSL_SESSION_new();

    CHECK_OK(connect_tls(peer, p->client_ctx, "server.test", &c));
    CHECK(SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION));
    for (unsigned char i = 0; i < 200; i++) {
        char host[16];
        int n = snprintf(host, sizeof host, "h%u", i);
        CHECK(SSL_SESSION_set1_id(session, &i, 1));
        tls_sessions_put(cache, str_of(host, (size_t)n), session);
    }
    unsigned found = 0;
    for (unsigned char i = 0; i < 200; i++) {
        char host[16];
        int n = snprintf(host, sizeof host, "h%u", i);
        SSL_SESSION *got = tls_sessions_take(cache, str_of(host, (size_t)n));
        if (!got)
            continue;
        unsigned id_n;
        CHECK_EQ(*SSL_SESSION_get_id(got, &id_n), i);
        SSL_SESSION_free(got);
        CHECK(tls_sessions_take(cache, str_of(host, (size_t)n)) == NULL);
        found++;
    }
    CHECK_GT(found, 100);
    SSL_SESSION_free(session);
    tls_sessions_release(cache);
    mem_free(cache);
}

static void check_refused(struct world *w, const struct cert_options *o, const char *host, const char *why)
{
    struct parties *p = parties_new(w);
    struct cert_options server = *o;
    bool unknown = server.issuer == NULL;
    struct cert *other = cert_make(&w->arena, &(struct cert_options){.name = "Other Authority", .authority = true});

    server.issuer = unknown ? other : p->authority;
    struct cert *cert = cert_make(&w->arena, &server);
    struct tls_ctx *ctx =
        server_ctx(w, &(struct tls_server_options){.cert_pem = cert->cert_pem, .key_pem = cert->key_pem});
    struct server *s = server_new(w, ctx);
    struct peer *peer = peer_start_with(w, play_tls_echo, s);
    struct conn c CLEANUP(conn_close) = {0};

    CHECK_ERR(connect_tls(peer, p->client_ctx, host, &c), E_TLS);
    CHECK_MSG(error_says(E_TLS, why), "%s", err_detail(E_TLS));
    CHECK(error_says(E_TLS, host));

    struct tls_ctx *blind = client_ctx(w, &(struct tls_client_options){.insecure_skip_verify = true});
    CHECK_OK(connect_tls(peer, blind, host, &c));
    check_echo(&c, 10);
}

static const struct cert any_issuer;

WORLD_TEST(tls_refuses_an_unknown_authority)
{
    check_refused(w, &(struct cert_options){.name = "x", .alternatives = "DNS:server.test"}, "server.test",
                  "unable to get local issuer certificate");
}

WORLD_TEST(tls_refuses_a_certificate_for_another_name)
{
    struct cert_options o = {
        .name = "server.test", .alternatives = "DNS:other.test,DNS:*.w.test", .issuer = &any_issuer};

    check_refused(w, &o, "server.test", "hostname mismatch");
    check_refused(w, &o, "a.b.w.test", "hostname mismatch");
    check_refused(w, &o, "127.0.0.1", "IP address mismatch");
    check_refused(w, &o, "::1", "IP address mismatch");
}

WORLD_TEST(tls_refuses_an_expired_certificate)
{
    struct cert_options o = {
        .name = "x", .alternatives = "DNS:server.test", .issuer = &any_issuer, .from_day = -10, .to_day = -1};

    check_refused(w, &o, "server.test", "certificate has expired");
    o.from_day = 5;
    o.to_day = 10;
    check_refused(w, &o, "server.test", "not yet valid");
}

WORLD_TEST(tls_verifies_addresses_and_names_with_a_final_dot)
{
    struct parties *p = parties_new(w);
    struct peer *peer = peer_start_with(w, play_tls_echo, server_new(w, p->server_ctx));

    for (int i = 0; i < 2; i++) {
        struct conn c CLEANUP(conn_close) = {0};
        CHECK_OK(connect_tls(peer, p->client_ctx, i ? "server.test." : "127.0.0.1", &c));
        check_echo(&c, 10);
    }
}

static void play_not_tls(struct play *p)
{
    play_read_some(p);
    (void)play_send(p, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static void play_hang_up(struct play *p)
{
    play_read_some(p);
}

WORLD_TEST(tls_says_when_the_other_side_does_not_speak_it)
{
    struct parties *p = parties_new(w);
    struct conn c CLEANUP(conn_close) = {0};

    CHECK_ERR(connect_tls(peer_start(w, play_not_tls), p->client_ctx, "server.test", &c), E_TLS);
    CHECK(error_says(E_TLS, "wrong version number"));
    CHECK_ERR(connect_tls(peer_start(w, play_hang_up), p->client_ctx, "server.test", &c), E_TLS);
    CHECK(error_says(E_TLS, "closed during the TLS handshake"));

    struct server *s = server_new(w, p->server_ctx);
    struct sock *raw CLEANUP(sock_close_p) = NULL;
    struct peer *peer = peer_start_with(w, play_tls_echo, s);
    CHECK_OK(sock_connect(&peer->at, &raw));
    CHECK_OK(sock_write(raw, "GET / HTTP/1.1\r\n\r\n", 18));
    while (s->text[0] == '\0')
        CHECK_OK(fiber_yield());
    CHECK_ERR(s->error, E_TLS);
    CHECK(strstr(s->text, "http request") != NULL);
}

WORLD_TEST(tls_handshakes_obey_deadlines)
{
    struct parties *p = parties_new(w);
    struct peer *peer = peer_start(w, play_until_eof);
    struct conn c CLEANUP(conn_close) = {0};
    WITHIN(rt_now() + 5 * NS_MS);

    CHECK_ERR(connect_tls(peer, p->client_ctx, "server.test", &c), E_DEADLINE);
}

/* --- ALPN --- */

WORLD_TEST(tls_alpn_chooses_h2_where_both_offer_it)
{
    struct parties *p = parties_new(w);
    struct tls_ctx *http1_server =
        server_ctx(w, &(struct tls_server_options){.cert_pem = p->server->cert_pem, .key_pem = p->server->key_pem});
    struct tls_ctx *h2_client =
        client_ctx(w, &(struct tls_client_options){.ca_pem = p->authority->cert_pem, .http2 = true});
    struct {
        struct tls_ctx *server, *client;
        const char *want;
    } cases[] = {{p->server_ctx, h2_client, "h2"},
                 {http1_server, h2_client, "http/1.1"},
                 {p->server_ctx, p->client_ctx, "http/1.1"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct server *s = server_new(w, cases[i].server);
        struct peer *peer = peer_start_with(w, play_tls_echo, s);
        struct conn c CLEANUP(conn_close) = {0};
        CHECK_OK(connect_tls(peer, cases[i].client, "server.test", &c));
        CHECK_STR(tls_alpn(c.tls), cases[i].want);
        check_echo(&c, 1);
        CHECK_STR(str_from_c(s->alpn), cases[i].want);
    }
}

/* --- client certificates --- */

WORLD_TEST(tls_client_certificates_are_demanded_and_verified)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct parties *p = parties_new(w);
        struct cert *mine = cert_make(&w->arena, &(struct cert_options){.name = "me", .issuer = p->authority});
        struct cert *other = cert_make(&w->arena, &(struct cert_options){.name = "me"});
        struct tls_ctx *strict = server_ctx(w, &(struct tls_server_options){.cert_pem = p->server->cert_pem,
                                                                            .key_pem = p->server->key_pem,
                                                                            .client_ca_pem = p->authority->cert_pem});
        const struct cert *certs[] = {mine, NULL, other};
        limit_version(strict, version);
        for (size_t i = 0; i < ARRAY_LEN(certs); i++) {
            struct tls_client_options o = {.ca_pem = p->authority->cert_pem};
            if (certs[i]) {
                o.cert_pem = certs[i]->cert_pem;
                o.key_pem = certs[i]->key_pem;
            }
            struct server *s = server_new(w, strict);
            struct peer *peer = peer_start_with(w, play_tls_echo, s);
            struct conn c CLEANUP(conn_close) = {0};
            char byte;
            size_t n;
            struct tls_ctx *client = client_ctx(w, &o);
            err_t e = connect_tls(peer, client, "server.test", &c);
            /* With TLS 1.3 a client learns of it when it reads. */
            if (!e && i > 0)
                e = conn_read(&c, &byte, 1, &n);
            CHECK_EQ(e == OK, i == 0);
            CHECK_EQ(s->error, i == 0 ? OK : E_TLS);
            if (i == 0) {
                check_echo(&c, 5);
                conn_close(&c);
                CHECK_OK(connect_tls(peer, client, "server.test", &c));
                CHECK(tls_was_resumed(c.tls));
                check_echo(&c, 5);
            }
        }
    }
}

/* --- endings --- */

static void play_end(struct play *p)
{
    struct server *s = p->peer->ctx;
    struct conn c;

    if (!play_accept(p, &c))
        return;
    err_t e = conn_write(&c, STR("bye"));
    if (s->cut && !e) {
        tls_free(c.tls);
        c.tls = NULL;
    }
    conn_close(&c);
}

WORLD_TEST(tls_tells_a_goodbye_from_a_cut)
{
    for (int cut = 0; cut < 2; cut++) {
        struct parties *p = parties_new(w);
        struct server *s = server_new(w, p->server_ctx);
        struct conn c CLEANUP(conn_close) = {0};
        char got[8];
        size_t n;
        s->cut = cut;
        CHECK_OK(connect_tls(peer_start_with(w, play_end, s), p->client_ctx, "server.test", &c));
        CHECK_OK(conn_read(&c, got, sizeof got, &n));
        CHECK_STR(str_of(got, n), "bye");
        err_t e = conn_read(&c, got, sizeof got, &n);
        CHECK_ERR(e, cut ? E_EOF : OK);
        CHECK(cut || n == 0);
        CHECK(!cut || error_says(E_EOF, "close_notify"));
    }
}

/* --- new keys --- */

static const SSL *server_ssl; /* of the connection accepted last */

static void note_ssl(const SSL *ssl, int where, int value)
{
    (void)value;
    if (where & SSL_CB_HANDSHAKE_START)
        server_ssl = ssl;
}

/* Asks for new keys of both sides before each piece that it sends back. */
static void play_new_keys(struct play *p)
{
    struct server *s = p->peer->ctx;
    struct conn c;
    char bytes[256];
    size_t n;

    SSL_CTX_set_info_callback(s->ctx->ssl, note_ssl);
    if (!play_accept(p, &c))
        return;
    while (conn_read(&c, bytes, sizeof bytes, &n) == OK && n > 0)
        if (!SSL_key_update((SSL *)(uintptr_t)server_ssl, SSL_KEY_UPDATE_REQUESTED) || conn_write(&c, str_of(bytes, n)))
            break;
    conn_close(&c);
}

WORLD_TEST(tls_key_updates_are_answered)
{
    struct parties *p = parties_new(w);
    struct peer *peer = peer_start_with(w, play_new_keys, server_new(w, p->server_ctx));
    struct conn c CLEANUP(conn_close) = {0};

    limit_version(p->client_ctx, TLS1_3_VERSION);
    CHECK_OK(connect_tls(peer, p->client_ctx, "server.test", &c));
    for (int i = 0; i < 5; i++)
        check_echo(&c, 200);
}

/* --- much data, both ways at a time --- */

struct pump {
    struct conn *conn;
    size_t n;
};

static char pump_byte(size_t i)
{
    return (char)(i * 31 / 7);
}

/* Writes in pieces of many sizes, several at a time. */
static err_t pump_main(void *arg)
{
    struct pump *p = arg;
    char *bytes = mem_alloc(p->n);
    err_t e = OK;

    for (size_t i = 0; i < p->n; i++)
        bytes[i] = pump_byte(i);
    for (size_t at = 0, k = 1; at < p->n && !e; k = k * 3 % 40009) {
        size_t a = k < p->n - at ? k : p->n - at, b = a / 3;
        struct iovec iov[] = {{bytes + at, b}, {bytes, 0}, {bytes + at + b, a - b}};
        e = conn_writev(p->conn, iov, 3);
        at += a;
    }
    mem_free(bytes);
    return e;
}

static void check_much(struct world *w, size_t n)
{
    struct parties *p = parties_new(w);
    struct peer *peer = peer_start_with(w, play_tls_echo, server_new(w, p->server_ctx));
    struct conn c CLEANUP(conn_close) = {0};
    struct pump pump = {&c, n};
    char *got = arena_alloc(&w->arena, 20000);

    CHECK_OK(connect_tls(peer, p->client_ctx, "server.test", &c));
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "pump", pump_main, &pump);
    for (size_t have = 0, k; have < n; have += k) {
        CHECK_OK(conn_read(&c, got, 1 + have % 20000, &k));
        CHECK_GT(k, 0);
        for (size_t i = 0; i < k; i++)
            if (got[i] != pump_byte(have + i))
                FAIL("byte %zu differs", have + i);
    }
    CHECK_OK(scope_wait_all(&s));
}

WORLD_TEST(tls_carries_much_data_in_both_directions)
{
    check_much(w, 8 << 20);
}

static void much_in_simulation(struct world *w)
{
    check_much(w, 300000);
}

/* Short reads and writes, at every place a seed can think of. */
TEST(tls_survives_short_reads_and_writes)
{
    for (uint64_t round = 0; round < test_rounds(5); round++) {
        struct sim_options o = {.seed = test_seed() + round,
                                .socket_buffer = 5000,
                                .faults = {.short_read = 300, .short_write = 300, .spurious_event = 100}};
        struct sim_world *sim = sim_world_new(&o);
        test_context("round %llu", (unsigned long long)round);
        world_run(sim_world_seams(sim), much_in_simulation);
        sim_world_free(sim);
    }
}

/* --- several loops --- */

struct shared {
    struct tls_ctx *server, *client;
};

static struct shared shared; /* by the loops of the test below */

static void connect_often(struct world *w)
{
    struct peer *peer = peer_start_with(w, play_tls_echo, server_new(w, shared.server));
    unsigned resumed = 0;

    for (int i = 0; i < 30; i++) {
        struct conn c CLEANUP(conn_close) = {0};
        CHECK_OK(connect_tls(peer, shared.client, i % 3 ? "server.test" : "127.0.0.1", &c));
        resumed += tls_was_resumed(c.tls);
        check_echo(&c, 50);
    }
    CHECK_GT(resumed, 0);
}

static err_t loop_thread(unsigned index, void *ctx)
{
    struct world_test t = {connect_often, 60 * NS_SEC};

    (void)ctx;
    return loop_run(&(struct loop_options){.index = index}, world_main, &t);
}

static void make_shared(struct world *w)
{
    struct parties *p = parties_new(w);

    shared = (struct shared){tls_ctx_ref(p->server_ctx), tls_ctx_ref(p->client_ctx)};
}

/* Both contexts are used by all loops at a time, and so is the cache of sessions. */
TEST(tls_contexts_are_shared_by_loops)
{
    world_run(NULL, make_shared);
    CHECK_OK(threads_run(3, loop_thread, NULL));
    tls_ctx_unref(shared.server);
    tls_ctx_unref(shared.client);
}

/* --- contexts --- */

WORLD_TEST(tls_contexts_name_what_is_wrong_with_them)
{
    struct parties *p = parties_new(w);
    struct cert *other = cert_make(&w->arena, &(struct cert_options){.name = "other"});
    struct tls_ctx *ctx = NULL;
    BIO *b = BIO_new(BIO_s_mem());
    char *text;

    CHECK(PEM_write_bio_PrivateKey(b, p->server->key, EVP_aes_128_cbc(), (unsigned char *)"pass", 4, NULL, NULL));
    long text_n = BIO_get_mem_data(b, &text);
    struct str locked = arena_str(&w->arena, str_of(text, (size_t)text_n));
    BIO_free(b);
    const struct {
        struct str cert, key, ca;
        const char *text;
    } cases[] = {
        {STR("nonsense"), p->server->key_pem, STR_NONE, "certificate: "},
        {p->server->cert_pem, STR("nonsense"), STR_NONE, "private key: "},
        {p->server->cert_pem, locked, STR_NONE, "private key: "},
        {p->server->cert_pem, other->key_pem, STR_NONE, "private key"},
        {p->server->cert_pem, p->server->key_pem, STR("nonsense"), "certificates of authorities"},
        {arena_join(&w->arena, p->server->cert_pem,
                    STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
         p->server->key_pem, STR_NONE, "certificate: "},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_context("case %zu", i);
        CHECK_ERR(tls_server_ctx(&(struct tls_server_options){.cert_pem = cases[i].cert,
                                                              .key_pem = cases[i].key,
                                                              .client_ca_pem = cases[i].ca},
                                 &ctx),
                  E_CONFIG);
        CHECK_MSG(error_says(E_CONFIG, cases[i].text), "%s", err_detail(E_CONFIG));
    }
    CHECK_ERR(tls_client_ctx(&(struct tls_client_options){.ca_pem = STR("nonsense")}, &ctx), E_CONFIG);
    CHECK(ctx == NULL);
    CHECK_EQ(ERR_peek_error(), 0);
}

/* --- below the HTTP client --- */

static void play_https(struct play *p)
{
    struct conn c;
    char *bytes = mem_alloc(10000);
    size_t n;

    if (play_accept(p, &c)) {
        while (conn_read(&c, bytes, 10000, &n) == OK && n > 0) {
            p->peer->requests++;
            if (conn_write(&c, STR("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")) != OK)
                break;
        }
        conn_close(&c);
        p->peer->eofs++;
    }
    mem_free(bytes);
}

static err_t https_get(struct world *w, struct upstream *u)
{
    struct http_call *c CLEANUP(http_call_close_p) = NULL;
    struct http_call_options o = {.method = STR("GET"), .target = STR("/")};
    struct str got;

    TRY(http_call_open(u, &w->arena, &o, NULL, &c));
    TRY(http_call_all(c, NS_NEVER, 1000, &got));
    return str_eq(got, STR("hello")) ? OK : fail(E_PROTOCOL, "got %.*s", STR_ARG(got));
}

WORLD_TEST(https_calls_reuse_connections_and_resume_sessions)
{
    struct parties *p = parties_new(w);
    struct server *s = server_new(w, p->server_ctx);
    struct peer *peer = peer_start_with(w, play_https, s);
    struct upstream *u = upstream_new(&(struct upstream_options){
        .secure = true, .host = STR("127.0.0.1"), .port = peer_port(peer), .tls = p->client_ctx});
    struct upstream_stats stats;

    for (int i = 0; i < 3; i++)
        CHECK_OK(https_get(w, u));
    CHECK_EQ(peer->accepted, 1);
    CHECK_EQ(peer->requests, 3);
    /* The session ticket came with the first answer or behind it, and did not spoil the idle connection. */
    play_pause();
    upstream_stats(u, &stats);
    CHECK_EQ(stats.idle, 1);
    upstream_free(u);
    while (peer->eofs == 0)
        CHECK_OK(fiber_yield());
    u = upstream_new(&(struct upstream_options){
        .secure = true, .host = STR("127.0.0.1"), .port = peer_port(peer), .tls = p->client_ctx});
    CHECK_OK(https_get(w, u));
    upstream_stats(u, &stats);
    CHECK_EQ(stats.tls_resumed, 1);
    upstream_free(u);
}

static void play_refuse_at_once(struct play *p)
{
    struct conn c;

    if (!play_accept(p, &c))
        return;
    if (conn_write(&c, STR("HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n")) == OK)
        play_freeze();
    conn_close(&c);
}

/* With TLS 1.2 the refusal can arrive together with the end of the handshake: OpenSSL holds it, and the socket will never say that it is
 * readable. */
WORLD_TEST(https_an_early_refusal_is_noticed_wherever_it_hides)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct parties *p = parties_new(w);
        struct peer *peer = peer_start_with(w, play_refuse_at_once, server_new(w, p->server_ctx));
        char *bytes = arena_zalloc(&w->arena, 32 << 20);
        struct str body = str_of(bytes, 32 << 20);
        struct http_call_options o = {.method = STR("POST"), .target = STR("/"), .body = &body, .body_parts = 1};
        struct http_call *c = NULL;
        limit_version(p->client_ctx, version);
        struct upstream *u = upstream_new(&(struct upstream_options){
            .secure = true, .host = STR("127.0.0.1"), .port = peer_port(peer), .tls = p->client_ctx});
        err_t e = http_call_open(u, &w->arena, &o, NULL, &c);
        int status = e ? 0 : http_call_head(c)->status;
        http_call_close(c);
        upstream_free(u);
        CHECK_OK(e);
        CHECK_EQ(status, 413);
    }
}

/* Any file of certificates can stand for the system's; which one is decided once per process. */
WORLD_TEST(https_trusts_the_systems_authorities_by_default)
{
    struct parties *p = parties_new(w);
    static char path[] = "/tmp/crossdock-authorities-XXXXXX";
    int fd = mkstemp(path);
    struct str pem = arena_join(&w->arena, STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                                p->authority->cert_pem);

    CHECK(fd >= 0 && write(fd, pem.p, pem.n) == (ssize_t)pem.n);
    (void)close(fd);
    tls_trust_file(path);
    struct peer *peer = peer_start_with(w, play_https, server_new(w, p->server_ctx));
    struct upstream *u =
        upstream_new(&(struct upstream_options){.secure = true, .host = STR("127.0.0.1"), .port = peer_port(peer)});
    err_t e = https_get(w, u);
    upstream_free(u);
    (void)unlink(path);
    CHECK_OK(e);
    struct tls_ctx *first, *again;
    CHECK_OK(tls_client_default(&first));
    CHECK_OK(tls_client_default(&again));
    CHECK(first == again);
}
