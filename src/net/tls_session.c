/*
 * tls_session.c - sessions that a client may resume, by host.
 *
 * A resumed handshake saves the certificate chain and its verification: about 1 ms of processor time. The cache belongs to a
 * context, which loops share, and must cost no lock: each slot is an atomic pointer, and an entry is owned by whoever
 * exchanged it out of its slot. An entry never leaves a slot by being read in place.
 *
 * Sessions are copied on the way in, and TLS 1.2 sessions (which may be used often) on the way out, so that no
 * SSL_SESSION is ever shared by two connections of two threads. A TLS 1.3 session is taken out: its ticket is for one use.
 *
 * Not done: expiry by time. The server refuses an old ticket, at the cost of the full handshake that was due anyway.
 */
#include "net/tls_int.h"

#include "base/map.h"
#include "base/mem.h"

struct tls_session {
    SSL_SESSION *ssl; /* owned */
    char *host;       /* owned */
    size_t host_n;
};

static void session_free(struct tls_session *e)
{
    if (!e)
        return;
    SSL_SESSION_free(e->ssl);
    mem_free(e->host);
    mem_free(e);
}

static _Atomic(struct tls_session *) *bucket_of(struct tls_sessions *s, uint64_t hash)
{
    return s->slots[hash % TLS_SESSION_BUCKETS];
}

/* Into the first empty slot of the bucket; without one, in place of another entry. */
static void session_store(struct tls_sessions *s, uint64_t hash, struct tls_session *e)
{
    _Atomic(struct tls_session *) *bucket = bucket_of(s, hash);

    for (int i = 0; i < TLS_SESSION_WAYS; i++) {
        struct tls_session *empty = NULL;
        if (atomic_compare_exchange_strong(&bucket[i], &empty, e))
            return;
    }
    size_t victim = (hash / TLS_SESSION_BUCKETS) % TLS_SESSION_WAYS;
    session_free(atomic_exchange(&bucket[victim], e));
}

void tls_sessions_put(struct tls_sessions *s, struct str host, const SSL_SESSION *session)
{
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    if (!copy)
        return;
    struct tls_session *e = NEW(struct tls_session);
    e->ssl = copy;
    e->host = mem_dup(host.p, host.n);
    e->host_n = host.n;
    session_store(s, map_hash(host), e);
}

/* Take the session out of an entry that we own; one that may be used again goes back as it is, and a copy is returned. */
static SSL_SESSION *session_use(struct tls_sessions *s, uint64_t hash, struct tls_session *e)
{
    SSL_SESSION *session;

    if (SSL_SESSION_get_protocol_version(e->ssl) >= TLS1_3_VERSION) {
        session = e->ssl;
        e->ssl = NULL;
        session_free(e);
        return session;
    }
    session = SSL_SESSION_dup(e->ssl);
    session_store(s, hash, e);
    return session;
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *s, struct str host)
{
    uint64_t hash = map_hash(host);
    _Atomic(struct tls_session *) *bucket = bucket_of(s, hash);

    for (int i = 0; i < TLS_SESSION_WAYS; i++) {
        struct tls_session *e = atomic_exchange(&bucket[i], NULL);
        if (!e)
            continue;
        if (str_eq(str_of(e->host, e->host_n), host))
            return session_use(s, hash, e);
        session_store(s, hash, e);
    }
    return NULL;
}

void tls_sessions_release(struct tls_sessions *s)
{
    for (int b = 0; b < TLS_SESSION_BUCKETS; b++)
        for (int i = 0; i < TLS_SESSION_WAYS; i++)
            session_free(atomic_exchange(&s->slots[b][i], NULL));
}
