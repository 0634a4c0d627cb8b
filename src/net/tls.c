/*
 * tls.c - one TLS connection over a socket.
 *
 * OpenSSL is driven without blocking: its BIO calls the socket's try functions, and where it wants to read or write first, the fiber
 * waits outside of it. Invariants:
 *  - no wait between a call into OpenSSL and SSL_get_error(): the error queue belongs to the thread, hence to all its fibers;
 *    it is emptied before each call;
 *  - callbacks from OpenSSL (BIO, new session) never suspend;
 *  - after a fatal error (`broken`) nothing but free touches the connection;
 *  - reading while a write is blocked is the callers' business (the HTTP client does it): one fiber may read while another
 *    writes, which also answers a peer's KeyUpdate.
 *
 * OpenSSL may hold part of a record that cannot be decrypted yet. Then SSL_has_pending() says yes though reading yields nothing, and a
 * caller who trusted it would spin: `starved` remembers that the last read ran dry.
 *
 * Not done: kernel TLS, early data, renegotiation.
 */
#include "net/tls_int.h"

#include "base/mem.h"
#include "net/conn.h"
#include "net/iobuf.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

struct tls {
    SSL *ssl;
    struct sock *sock;   /* borrowed */
    struct tls_ctx *ctx; /* one reference */
    char *host;          /* clients: the server's name, NUL-terminated; also SSL's ex_data 0 */
    err_t io;            /* first error of the socket below */
    bool eof;            /* the socket below has ended */
    bool starved;        /* the last read ran dry: what OpenSSL holds is not a whole record */
    bool read_to_write;  /* the last read must write first */
    bool write_to_read;  /* the last write must read first */
    bool broken;
};

/* --- the BIO --- */

static int bio_read(BIO *b, char *to, int cap)
{
    struct tls *t = BIO_get_data(b);
    size_t n;

    BIO_clear_retry_flags(b);
    err_t e = sock_try_read(t->sock, to, (size_t)cap, &n);
    if (e == E_AGAIN)
        BIO_set_retry_read(b);
    else if (e)
        t->io = e;
    if (e)
        return -1;
    if (n == 0)
        t->eof = true;
    return (int)n;
}

static int bio_write(BIO *b, const char *from, int n)
{
    struct tls *t = BIO_get_data(b);
    struct iovec iov = {(void *)(uintptr_t)from, (size_t)n};
    size_t done;

    BIO_clear_retry_flags(b);
    err_t e = sock_try_writev(t->sock, &iov, 1, &done);
    if (e) {
        t->io = e;
        return -1;
    }
    if (done == 0) {
        BIO_set_retry_write(b);
        return -1;
    }
    return (int)done;
}

static long bio_ctrl(BIO *b, int what, long value, void *p)
{
    struct tls *t = BIO_get_data(b);

    (void)value, (void)p;
    if (what == BIO_CTRL_EOF)
        return t->eof;
    return what == BIO_CTRL_FLUSH;
}

static CRYPTO_ONCE method_once = CRYPTO_ONCE_STATIC_INIT;
static BIO_METHOD *method; /* written once, under method_once */

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sock");
    if (!method || !BIO_meth_set_read(method, bio_read) || !BIO_meth_set_write(method, bio_write) ||
        !BIO_meth_set_ctrl(method, bio_ctrl))
        die("OpenSSL refuses a BIO method");
}

/* --- life --- */

static struct tls *tls_new(struct tls_ctx *ctx, struct sock *s)
{
    if (!CRYPTO_THREAD_run_once(&method_once, make_method))
        die("OpenSSL cannot run an initialiser");
    struct tls *t = NEW(struct tls);
    t->ssl = SSL_new(ctx->ssl);
    BIO *bio = BIO_new(method);
    if (!t->ssl || !bio)
        die("OpenSSL is out of memory");
    t->sock = s;
    t->ctx = tls_ctx_ref(ctx);
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    return t;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    tls_ctx_unref(t->ctx);
    mem_free(t->host);
    mem_free(t);
}

static void tls_free_p(struct tls **t)
{
    tls_free(*t);
}

void tls_goodbye(struct tls *t)
{
    if (t->broken || t->io || SSL_in_init(t->ssl) || (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN))
        return;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

/* --- handshake --- */

static err_t handshake_error(struct tls *t)
{
    long verdict = SSL_get_verify_result(t->ssl);
    const char *host = t->host ? t->host : "client";

    t->broken = true;
    if (t->eof)
        return fail(E_TLS, "%s: connection was closed during the TLS handshake", host);
    if (t->io)
        return fail(E_TLS, "%s: connection was lost during the TLS handshake", host);
    if (verdict != X509_V_OK)
        return fail(E_TLS, "%s: certificate is not accepted: %s", host, X509_verify_cert_error_string(verdict));
    return fail(E_TLS, "%s: TLS handshake: %s", host, tls_reason());
}

static err_t handshake(struct tls *t) SUSPENDS;
static err_t handshake(struct tls *t)
{
    for (;;) {
        ERR_clear_error();
        int r = SSL_do_handshake(t->ssl);
        if (r == 1)
            return OK;
        int why = SSL_get_error(t->ssl, r);
        if (why == SSL_ERROR_WANT_READ)
            TRY(sock_wait_readable(t->sock, NS_NEVER));
        else if (why == SSL_ERROR_WANT_WRITE)
            TRY(sock_wait_writable(t->sock, NS_NEVER));
        else
            return handshake_error(t);
    }
}

err_t tls_accept(struct tls_ctx *ctx, struct sock *s, struct tls **ret)
{
    struct tls *t CLEANUP(tls_free_p) = tls_new(ctx, s);

    SSL_set_accept_state(t->ssl);
    TRY(handshake(t));
    *ret = t;
    t = NULL;
    return OK;
}

/* Whom we expect: the name in SNI and in the certificate, or the address in the certificate (SNI has names only, RFC 6066, 3). */
static bool expect_host(struct tls *t)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    struct addr ip;

    if (addr_from_ip(str_from_c(t->host), 0, &ip))
        return X509_VERIFY_PARAM_set1_ip_asc(param, t->host) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(t->ssl, t->host) == 1 && X509_VERIFY_PARAM_set1_host(param, t->host, 0) == 1;
}

err_t tls_connect(struct tls_ctx *ctx, struct sock *s, struct str host, struct tls **ret)
{
    struct tls *t CLEANUP(tls_free_p) = tls_new(ctx, s);

    if (host.n && host.p[host.n - 1] == '.')
        host.n--; /* a fully qualified name; certificates and SNI have it without the dot */
    t->host = mem_dup(host.p, host.n);
    SSL_set_connect_state(t->ssl);
    if (!SSL_set_ex_data(t->ssl, 0, t->host) || !expect_host(t))
        return fail(E_TLS, "%s: not a name that TLS can verify", t->host);
    SSL_SESSION *session = tls_sessions_take(&ctx->sessions, host);
    if (session) {
        (void)SSL_set_session(t->ssl, session);
        SSL_SESSION_free(session);
    }
    TRY(handshake(t));
    *ret = t;
    t = NULL;
    return OK;
}

/* --- reading --- */

/* What a read that gave no bytes means. */
static err_t read_error(struct tls *t, int why, size_t *ret_n)
{
    if (why == SSL_ERROR_WANT_READ) {
        t->starved = true;
        return E_AGAIN;
    }
    if (why == SSL_ERROR_WANT_WRITE) {
        t->read_to_write = true;
        return E_AGAIN;
    }
    if (why == SSL_ERROR_ZERO_RETURN) {
        *ret_n = 0;
        return OK;
    }
    t->broken = true;
    if (t->eof)
        return fail(E_EOF, "TLS connection was cut without close_notify");
    if (t->io)
        return t->io;
    return fail(E_IO, "TLS: %s", tls_reason());
}

err_t tls_try_read(struct tls *t, void *to, size_t cap, size_t *ret_n)
{
    size_t n;

    if (t->broken)
        return fail(E_IO, "TLS connection is broken");
    t->starved = t->read_to_write = false;
    ERR_clear_error();
    int r = SSL_read_ex(t->ssl, to, cap, &n);
    if (r != 1)
        return read_error(t, SSL_get_error(t->ssl, r), ret_n);
    *ret_n = n;
    return OK;
}

bool tls_has_pending(const struct tls *t)
{
    return SSL_pending(t->ssl) > 0 || (!t->starved && SSL_has_pending(t->ssl));
}

err_t tls_wait_readable(struct tls *t, ns_t until)
{
    if (tls_has_pending(t))
        return OK;
    if (t->read_to_write)
        return sock_wait_writable(t->sock, until);
    return sock_wait_readable(t->sock, until);
}

err_t tls_read(struct tls *t, void *to, size_t cap, size_t *ret_n)
{
    for (;;) {
        err_t e = tls_try_read(t, to, cap, ret_n);
        if (e != E_AGAIN)
            return e;
        TRY(tls_wait_readable(t, NS_NEVER));
    }
}

/* --- writing --- */

/* One SSL_write: as many bytes as it takes. */
static err_t write_some(struct tls *t, const void *from, size_t n, size_t *ret_n)
{
    size_t done;

    ERR_clear_error();
    int r = SSL_write_ex(t->ssl, from, n, &done);
    if (r == 1) {
        *ret_n = done;
        return OK;
    }
    int why = SSL_get_error(t->ssl, r);
    *ret_n = 0;
    t->write_to_read = why == SSL_ERROR_WANT_READ;
    if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ)
        return OK;
    t->broken = true;
    return t->io ? t->io : fail(E_IO, "TLS: %s", tls_reason());
}

/* Copy the front of `iov` into `b`, as far as there is room. */
static void gather(struct iobuf *b, const struct iovec *iov, int count)
{
    b->from = b->to = 0;
    for (int i = 0; i < count && b->to < IOBUF_SIZE; i++) {
        size_t n = iov[i].iov_len < IOBUF_SIZE - b->to ? iov[i].iov_len : IOBUF_SIZE - b->to;
        if (n)
            memcpy(b->bytes + b->to, iov[i].iov_base, n);
        b->to += n;
    }
}

/* Small pieces go out as one record. The same bytes are gathered again if the record could not be written whole, as OpenSSL demands. */
static err_t write_front(struct tls *t, const struct iovec *iov, int count, size_t *ret_n)
{
    if (count == 1 || iov[0].iov_len >= IOBUF_SIZE)
        return write_some(t, iov[0].iov_base, iov[0].iov_len, ret_n);
    struct iobuf *b = iobuf_get();
    gather(b, iov, count);
    err_t e = write_some(t, b->bytes, b->to, ret_n);
    iobuf_put(b);
    return e;
}

static err_t write_step(struct tls *t, struct iovec **iov, int *count, size_t *ret_n)
{
    for (; *count > 0 && (*iov)->iov_len == 0; (*iov)++, (*count)--)
        continue;
    *ret_n = 0;
    if (*count == 0)
        return OK;
    if (t->broken)
        return fail(E_IO, "TLS connection is broken");
    TRY(write_front(t, *iov, *count, ret_n));
    int used = iov_advance(*iov, *count, *ret_n);
    *iov += used;
    *count -= used;
    return OK;
}

enum { TRY_PARTS = 16 };

err_t tls_try_writev(struct tls *t, const struct iovec *iov, int count, size_t *ret_n)
{
    struct iovec copy[TRY_PARTS], *at = copy;
    int left = count < TRY_PARTS ? count : TRY_PARTS;
    size_t total = 0, n;

    memcpy(copy, iov, (size_t)left * sizeof *iov);
    do {
        TRY(write_step(t, &at, &left, &n));
        total += n;
    } while (n > 0 && left > 0);
    *ret_n = total;
    return OK;
}

err_t tls_wait_writable(struct tls *t, ns_t until)
{
    if (t->write_to_read)
        return sock_wait_readable(t->sock, until);
    return sock_wait_writable(t->sock, until);
}

err_t tls_writev(struct tls *t, struct iovec *iov, int count)
{
    for (;;) {
        size_t n;
        TRY(write_step(t, &iov, &count, &n));
        if (count == 0)
            return OK;
        if (n > 0)
            continue;
        TRY(tls_wait_writable(t, NS_NEVER));
    }
}

/* --- what was agreed --- */

struct str tls_alpn(const struct tls *t)
{
    const unsigned char *chosen;
    unsigned n;

    SSL_get0_alpn_selected(t->ssl, &chosen, &n);
    if (n == 2 && memcmp(chosen, "h2", 2) == 0)
        return STR("h2");
    if (n == 8 && memcmp(chosen, "http/1.1", 8) == 0)
        return STR("http/1.1");
    return STR_NONE;
}

bool tls_was_resumed(const struct tls *t)
{
    return SSL_session_reused(t->ssl) == 1;
}
