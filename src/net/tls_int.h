/* tls_int.h - what the files of TLS share: contexts, the client's sessions, the system's authorities. */
#ifndef NET_TLS_INT_H
#define NET_TLS_INT_H

#include "net/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

struct tls_session;

/*
 * Sessions of a client, to resume. Contexts are shared by loops, so slots are atomic: who exchanges an entry out of its slot owns it.
 * A name has a bucket of a few slots, because TLS 1.3 tickets are used once (RFC 8446, appendix C.4) and several
 * connections to one host are often dialed at a time.
 */
enum { TLS_SESSION_BUCKETS = 64, TLS_SESSION_WAYS = 4 };

struct tls_sessions {
    _Atomic(struct tls_session *) slots[TLS_SESSION_BUCKETS][TLS_SESSION_WAYS];
};

struct tls_ctx {
    SSL_CTX *ssl;
    atomic_uint refs;
    struct tls_sessions sessions; /* clients only */
};

/* Keep a copy of `session` for `host`; may push out another. */
void tls_sessions_put(struct tls_sessions *s, struct str host, const SSL_SESSION *session);
/* A session to resume with `host`, the caller frees it with SSL_SESSION_free(); NULL if there is none. */
SSL_SESSION *tls_sessions_take(struct tls_sessions *s, struct str host);
void tls_sessions_release(struct tls_sessions *s);

/* The system's authorities, loaded on first use and kept by the process: borrowed. E_CONFIG. Blocks. */
err_t tls_trust_system(X509_STORE **ret) MUST_CHECK;
/* Add every certificate of `pem` to `store`; *ret_count is how many. What cannot be parsed is skipped if `lenient`, else E_CONFIG. */
err_t tls_trust_add(X509_STORE *store, struct str pem, bool lenient, size_t *ret_count) MUST_CHECK;
/* fail(E_CONFIG) with "<what>: <OpenSSL's last reason>"; empties OpenSSL's error queue. */
err_t tls_config_error(const char *what) MUST_CHECK;
/* OpenSSL's reason for the last error in its queue, in words; empties the queue. Static. */
const char *tls_reason(void);

#endif
