/*
 * tls.h - TLS 1.2 and 1.3 over a socket, for servers and clients, by OpenSSL.
 *
 * OpenSSL never sees a descriptor: its reads and writes go through a BIO over the socket's own non-blocking calls, so TLS works
 * in the simulated world too. Contexts are counted and immutable: a new certificate is a new context, and connections keep theirs.
 * OpenSSL is not initialised before the first context is made.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/err.h"
#include "base/str.h"
#include "rt/sock.h"

#include <stdbool.h>
#include <stddef.h>

struct tls_ctx;
struct tls;

struct tls_server_options {
    struct str cert_pem; /* chain, leaf first           */
    struct str key_pem;
    struct str client_ca_pem; /* set: demand and verify client certificates */
    bool http2;               /* offer h2 by ALPN beside http/1.1 */
};

struct tls_client_options {
    struct str ca_pem;            /* trust these instead of the system's authorities; empty: the system's      */
    struct str cert_pem, key_pem; /* our certificate, if the server asks                                       */
    bool insecure_skip_verify;    /* only for tests and laboratories; the caller logs it at start              */
    bool http2;                   /* offer h2 by ALPN                                                          */
};

/* The file that holds the system's authorities (SSL_CERT_FILE); NULL: where the distributions keep it. Static. Before the first context
 * is made. */
void tls_trust_file(const char *path);
/* A context, with one reference. E_CONFIG with OpenSSL's reason. Blocks (the first client context without ca_pem reads the system's
 * authorities, once per process, shared by all): call it on a worker or before loops run. */
err_t tls_server_ctx(const struct tls_server_options *o, struct tls_ctx **ret) MUST_CHECK;
err_t tls_client_ctx(const struct tls_client_options *o, struct tls_ctx **ret) MUST_CHECK;
/* The client context with all defaults, made by a worker on first use and kept by the process. Borrowed. E_CONFIG. */
err_t tls_client_default(struct tls_ctx **ret) SUSPENDS MUST_CHECK;
struct tls_ctx *tls_ctx_ref(struct tls_ctx *c);
/* NULL is allowed. From any thread. */
void tls_ctx_unref(struct tls_ctx *c);

/* Handshake as server or client over `s`, which stays the caller's; takes a reference on `ctx`. E_TLS with the reason in words. A client
 * verifies the certificate against `host`, sends it as SNI, and resumes the last session with that host if it has one. */
err_t tls_accept(struct tls_ctx *ctx, struct sock *s, struct tls **ret) SUSPENDS MUST_CHECK;
err_t tls_connect(struct tls_ctx *ctx, struct sock *s, struct str host, struct tls **ret) SUSPENDS MUST_CHECK;
/* Free, without a goodbye. NULL is allowed. */
void tls_free(struct tls *t);
/* Send close_notify, as far as it goes without waiting. */
void tls_goodbye(struct tls *t);
/* As their namesakes in sock.h. E_EOF from a read means that the stream was cut without close_notify. */
err_t tls_read(struct tls *t, void *to, size_t cap, size_t *ret_n) SUSPENDS MUST_CHECK;
err_t tls_try_read(struct tls *t, void *to, size_t cap, size_t *ret_n) MUST_CHECK;
err_t tls_writev(struct tls *t, struct iovec *iov, int count) SUSPENDS MUST_CHECK;
/* What was not taken may lie encrypted in OpenSSL already: nothing else may be written before it, by whichever call. Holds
 * on to no memory of the caller's. */
err_t tls_try_writev(struct tls *t, const struct iovec *iov, int count, size_t *ret_n) MUST_CHECK;
err_t tls_wait_readable(struct tls *t, ns_t until) SUSPENDS MUST_CHECK;
err_t tls_wait_writable(struct tls *t, ns_t until) SUSPENDS MUST_CHECK;
/* Bytes that can be read without asking the socket. */
bool tls_has_pending(const struct tls *t);
/* Protocol chosen by ALPN: "h2", "http/1.1" or empty. Static. */
struct str tls_alpn(const struct tls *t);
bool tls_was_resumed(const struct tls *t);

#endif
