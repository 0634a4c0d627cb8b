/*
 * tls_ctx.c - TLS contexts: what all connections of one listener or one kind of upstream share.
 *
 * A context is immutable once made, counted, and used by all loops at a time; the cache of sessions inside is lock-free. Policy
 * is the same for both sides: TLS 1.2 or newer, forward secrecy and authenticated ciphers only, no renegotiation, no compression,
 * buffers released while a connection is quiet (10,000 idle streams would hold 340 MB otherwise).
 *
 * Servers resume by stateless tickets, so sessions cost them no memory; OpenSSL makes the ticket keys per context, hence they
 * change with every new certificate. Not done: OCSP stapling, more than one certificate per context.
 */
#include "net/tls_int.h"

#include "base/mem.h"
#include "rt/worker.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"

static const unsigned char alpn_http1[] = "\x08http/1.1";
static const unsigned char alpn_both[] = "\x02h2\x08http/1.1";

const char *tls_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return reason ? reason : "unknown reason";
}

err_t tls_config_error(const char *what)
{
    return fail(E_CONFIG, "%s: %s", what, tls_reason());
}

/* OpenSSL asks the terminal for a passphrase unless it is told that there is none. */
static int no_passphrase(char *to, int cap, int writing, void *ctx)
{
    (void)to, (void)cap, (void)writing, (void)ctx;
    return -1;
}

static BIO *pem_reader(struct str pem)
{
    return pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
}

/* The leaf and whatever chain follows it. */
static err_t use_chain(SSL_CTX *ctx, struct str pem)
{
    BIO *from = pem_reader(pem);
    X509 *cert = from ? PEM_read_bio_X509_AUX(from, NULL, no_passphrase, NULL) : NULL;
    bool ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1;

    X509_free(cert);
    while (ok && (cert = PEM_read_bio_X509(from, NULL, no_passphrase, NULL)) != NULL) {
        ok = SSL_CTX_add0_chain_cert(ctx, cert) == 1;
        if (!ok)
            X509_free(cert);
    }
    ok = ok && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(from);
    if (!ok)
        return tls_config_error("certificate");
    ERR_clear_error();
    return OK;
}

static err_t use_key(SSL_CTX *ctx, struct str pem)
{
    BIO *from = pem_reader(pem);
    EVP_PKEY *key = from ? PEM_read_bio_PrivateKey(from, NULL, no_passphrase, NULL) : NULL;
    bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;

    EVP_PKEY_free(key);
    BIO_free(from);
    if (!ok)
        return tls_config_error("private key");
    if (SSL_CTX_check_private_key(ctx) != 1)
        return tls_config_error("private key and certificate do not belong together");
    return OK;
}

/* What servers and clients have in common. */
static struct tls_ctx *ctx_new(const SSL_METHOD *method)
{
    SSL_CTX *ssl = SSL_CTX_new(method);
    if (!ssl)
        return NULL;
    struct tls_ctx *c = NEW(struct tls_ctx);
    c->ssl = ssl;
    atomic_init(&c->refs, 1);
    SSL_CTX_set_app_data(ssl, c);
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(ssl, CIPHERS_TLS12);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ssl,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    /* One read() fetches as many records as there are, instead of one for each header and body. */
    SSL_CTX_set_read_ahead(ssl, 1);
    return c;
}

static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_n, const unsigned char *offered,
                           unsigned n, void *http2)
{
    const unsigned char *ours = http2 ? alpn_both : alpn_http1;
    unsigned ours_n = (unsigned)(http2 ? sizeof alpn_both : sizeof alpn_http1) - 1;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, ret_n, ours, ours_n, offered, n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Tell clients whose certificates we accept, so that they can choose one. */
static void name_client_authorities(SSL_CTX *ctx, X509_STORE *store)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);

    for (int i = 0; i < sk_X509_OBJECT_num(all); i++)
        if (X509_OBJECT_get_type(sk_X509_OBJECT_value(all, i)) == X509_LU_X509)
            SSL_CTX_add_client_CA(ctx, X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i)));
}

static err_t demand_client_certificate(SSL_CTX *ctx, struct str ca_pem)
{
    X509_STORE *store = X509_STORE_new();
    if (!store)
        return tls_config_error("client authorities");
    size_t count;
    err_t e = tls_trust_add(store, ca_pem, false, &count);
    if (!e) {
        SSL_CTX_set1_cert_store(ctx, store);
        name_client_authorities(ctx, store);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    X509_STORE_free(store);
    return e;
}

static err_t server_setup(struct tls_ctx *c, const struct tls_server_options *o)
{
    static const unsigned char session_context[] = "crossdock";

    TRY(use_chain(c->ssl, o->cert_pem));
    TRY(use_key(c->ssl, o->key_pem));
    if (o->client_ca_pem.n)
        TRY(demand_client_certificate(c->ssl, o->client_ca_pem));
    SSL_CTX_set_options(c->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(c->ssl, session_context, sizeof session_context - 1);
    SSL_CTX_set_num_tickets(c->ssl, 1);
    SSL_CTX_set_dh_auto(c->ssl, 1);
    SSL_CTX_set_alpn_select_cb(c->ssl, choose_protocol, o->http2 ? c : NULL);
    return OK;
}

err_t tls_server_ctx(const struct tls_server_options *o, struct tls_ctx **ret)
{
    ERR_clear_error();
    struct tls_ctx *c = ctx_new(TLS_server_method());
    if (!c)
        return tls_config_error("TLS context");
    err_t e = server_setup(c, o);
    if (e) {
        tls_ctx_unref(c);
        return e;
    }
    *ret = c;
    return OK;
}

static err_t trust(struct tls_ctx *c, const struct tls_client_options *o)
{
    X509_STORE *store = NULL;
    size_t count;

    if (o->insecure_skip_verify) {
        SSL_CTX_set_verify(c->ssl, SSL_VERIFY_NONE, NULL);
        return OK;
    }
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
    if (o->ca_pem.n)
        return tls_trust_add(SSL_CTX_get_cert_store(c->ssl), o->ca_pem, false, &count);
    TRY(tls_trust_system(&store));
    SSL_CTX_set1_cert_store(c->ssl, store);
    return OK;
}

/* OpenSSL has a session for us to keep; returns 0: we copied it and take no reference. */
static int session_came(SSL *ssl, SSL_SESSION *session)
{
    struct tls_ctx *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const char *host = SSL_get_ex_data(ssl, 0);

    if (host && SSL_SESSION_is_resumable(session))
        tls_sessions_put(&c->sessions, str_from_c(host), session);
    return 0;
}

static err_t client_setup(struct tls_ctx *c, const struct tls_client_options *o)
{
    TRY(trust(c, o));
    if (o->cert_pem.n) {
        TRY(use_chain(c->ssl, o->cert_pem));
        TRY(use_key(c->ssl, o->key_pem));
    }
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ssl, session_came);
    const unsigned char *offer = o->http2 ? alpn_both : alpn_http1;
    unsigned offer_n = (unsigned)(o->http2 ? sizeof alpn_both : sizeof alpn_http1) - 1;
    if (SSL_CTX_set_alpn_protos(c->ssl, offer, offer_n) != 0)
        return tls_config_error("ALPN");
    return OK;
}

err_t tls_client_ctx(const struct tls_client_options *o, struct tls_ctx **ret)
{
    ERR_clear_error();
    struct tls_ctx *c = ctx_new(TLS_client_method());
    if (!c)
        return tls_config_error("TLS context");
    err_t e = client_setup(c, o);
    if (e) {
        tls_ctx_unref(c);
        return e;
    }
    *ret = c;
    return OK;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void tls_ctx_unref(struct tls_ctx *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    tls_sessions_release(&c->sessions);
    SSL_CTX_free(c->ssl);
    mem_free(c);
}

/* --- the context with all defaults, made on first use --- */

static _Atomic(struct tls_ctx *) default_ctx; /* never freed: the process's own */

struct default_job {
    struct job job;
    struct tls_ctx *ctx;
    err_t error;
    char text[ERR_TEXT_MAX];
};

static void default_make(struct job *j)
{
    struct default_job *d = CONTAINER_OF(j, struct default_job, job);

    d->error = tls_client_ctx(&(struct tls_client_options){0}, &d->ctx);
    if (d->error)
        memccpy(d->text, err_detail(d->error), '\0', sizeof d->text);
}

static void default_drop(struct job *j)
{
    struct default_job *d = CONTAINER_OF(j, struct default_job, job);

    tls_ctx_unref(d->ctx);
    mem_free(d);
}

err_t tls_client_default(struct tls_ctx **ret)
{
    struct tls_ctx *made = atomic_load_explicit(&default_ctx, memory_order_acquire);
    if (made) {
        *ret = made;
        return OK;
    }
    struct default_job *d = NEW(struct default_job);
    d->job.run = default_make;
    d->job.drop = default_drop;
    TRY(worker_run(&d->job));
    if (d->error) {
        err_t e = fail(d->error, "%s", d->text);
        default_drop(&d->job);
        return e;
    }
    /* Several fibers may have come here at once: the first context stays. */
    if (atomic_compare_exchange_strong(&default_ctx, &made, d->ctx))
        made = tls_ctx_ref(d->ctx);
    default_drop(&d->job);
    *ret = made;
    return OK;
}
