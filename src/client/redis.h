/*
 * redis.h - a client of a Redis server, for fibers: commands of many fibers pipelined over few connections, and connections of one's own.
 *
 * Speaks RESP3, and RESP2 with servers older than 6. All of it belongs to one loop. What Redis refuses is a reply of kind RESP_ERROR and
 * no failure of the call; redis_refusal() makes an err_t of it. Source: "Redis serialization protocol specification" and "Commands" of
 * Redis' documentation.
 */
#ifndef CLIENT_REDIS_H
#define CLIENT_REDIS_H

#include "base/secret.h"
#include "codec/resp.h"
#include "net/dial.h"

struct redis_options {
    struct dial_target at;         /* what it points to outlives the client                            */
    struct str user;               /* empty: the default user                                          */
    const struct secret *password; /* NULL or empty: none                                              */
    unsigned database;             /* selected after connecting                                        */
    unsigned connections;          /* that commands share; 0: 1, at most REDIS_CONNECTIONS_MAX         */
    ns_t connect_time;             /* for dialing and greeting; 0: 5 s                                 */
    ns_t reply_time;               /* a shared connection that owes a reply for so long is dead; 0: 30 s */
    size_t reply_max;              /* bytes of one reply; 0: 64 MiB                                    */
    size_t unsent_max;             /* bytes of commands that wait to be sent, and of one call; 0: 8 MiB */
};

enum { REDIS_CONNECTIONS_MAX = 64 };

struct redis_command {
    const struct str *words;
    size_t n; /* at least 1 */
};

/* ---- shared connections ---- */

struct redis;

/* A client that is not connected yet; `o` is copied, what it points to is borrowed. redis_free() frees it. */
struct redis *redis_new(const struct redis_options *o);
/* NULL is allowed. Neither redis_run() nor a call may be under way. */
void redis_free(struct redis *r);
/* Keep the connections: dial when there is something to send, and again after a failure, with back-off. A fiber spawned for it runs this
 * until it is cancelled; suspends all the time. Without it calls wait. */
err_t redis_run(struct redis *r) SUSPENDS;
/*
 * Send `n` >= 1 commands in one go and wait for all replies; other calls' commands may run between them.
 *
 * ret  `n` replies; their memory is the arena's
 *
 * Suspends; honours deadline and cancel of the calling fiber, after which what was sent may still run. Commands that were not sent when a
 * connection broke go out again on the next one.
 *
 * Errors: E_EOF: the connection broke (or redis_run() ended) before the replies came, and whether the commands ran is unknown; E_TOO_LARGE:
 * the call passes unsent_max (nothing was sent), or a reply its arena; E_PROTOCOL; of connecting, and then nothing was sent: as dial(), and
 * as redis_refusal().
 */
err_t redis_call(struct redis *r, const struct redis_command *commands, size_t n, struct arena *a, struct resp *ret)
    SUSPENDS MUST_CHECK;
/* One command whose refusal is an error as well. */
err_t redis_do(struct redis *r, const struct str *words, size_t n, struct arena *a, struct resp *ret) SUSPENDS
MUST_CHECK;

/* ---- a connection of one's own ---- */

/* For commands that block (XREADGROUP BLOCK) or change the connection (MULTI, SUBSCRIBE). One fiber at a time. */
struct redis_session;

/* Not connected yet; `o` is copied, what it points to is borrowed. redis_session_free() closes and frees it; NULL is allowed. */
struct redis_session *redis_session_new(const struct redis_options *o);
void redis_session_free(struct redis_session *s);
/* As redis_do(), on this connection, which is dialed if it is not there. An error but for refusals closes it, cancel and deadline included:
 * a reply that nobody reads any more would be taken for the next one's. */
err_t redis_session_do(struct redis_session *s, const struct str *words, size_t n, struct arena *a, struct resp *ret)
    SUSPENDS MUST_CHECK;

/* ---- refusals ---- */

/*
 * The error that a reply is; OK if it is none. The text is Redis' own.
 *
 *  E_AUTH (NOAUTH, WRONGPASS), E_FORBIDDEN (NOPERM), E_AGAIN (LOADING, BUSY, TRYAGAIN, OOM, CLUSTERDOWN, MASTERDOWN, NOREPLICAS),
 *  E_CONFLICT (BUSYGROUP, EXECABORT), E_NOT_FOUND (NOGROUP, NOSCRIPT), E_FENCED (READONLY: this is a replica, or has become one),
 *  E_CONFIG (MOVED, ASK, CROSSSLOT: a cluster, whose other nodes this client does not follow; the text tells where the key lives),
 *  E_UPSTREAM (all others).
 */
err_t redis_refusal(const struct resp *reply) MUST_CHECK;

#endif
