/*
 * postgres.h - a client of a PostgreSQL server, for fibers: a connection of one's own, by libpq.
 *
 * A connection is made when it is needed, and made again after it broke; what was under way then failed, and who asked must find out whether it came
 * about (a number that the transaction itself advances, say). Source: "libpq - C Library" and "PostgreSQL Error Codes" of PostgreSQL 15's documentation.
 * Not in simulation: E_UNSUPPORTED there.
 */
#ifndef CLIENT_POSTGRES_H
#define CLIENT_POSTGRES_H

#include "base/arena.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/time.h"
#include "rt/fiber.h"

#include <stddef.h>
#include <stdint.h>

/* What it points to outlives the connection. */
struct postgres_options {
    /* postgres://host[:port]/database[?sslmode=…&application_name=…&options=…]. sslmode: "disable", "require", "verify-ca" or "verify-full"; if it
     * says nothing "disable" to this machine itself, else "verify-full". */
    struct str url;
    struct str user;                         /* empty: as libpq does, the process's      */
    const struct secret *password;           /* NULL or empty: none                      */
    struct str ca_file, cert_file, key_file; /* PEM; empty: the system's authorities; no certificate of ours */
    ns_t connect_time;                       /* 0: 5 s                                   */
    ns_t reply_time;                         /* a statement that takes longer has failed; 0: 60 s */
    ns_t
        idle_time; /* a transaction in which we are silent for so long is undone by the server, with the connection, so a process that is stopped does not
                       keep its locks for ever; 0: it waits */
};

enum {
    POSTGRES_VALUES_MAX = 65535,    /* of a statement                     */
    POSTGRES_VALUE_MAX = 512 << 20, /* bytes of all values of a statement */
};

struct postgres;

/* Not connected yet; `o` is copied, what it points to is borrowed. postgres_free() closes and frees it. One fiber at a time. */
struct postgres *postgres_new(const struct postgres_options *o);
/* NULL is allowed. Does not wait for the server. */
void postgres_free(struct postgres *p);

/* What a statement brought. In the caller's arena. */
struct postgres_rows {
    const struct str *cells; /* row by row, as text; STR_NONE: null */
    size_t rows, columns;
    uint64_t changed; /* rows that were inserted, updated or deleted, or selected */
};

/*
 * Run one statement, connecting if need be. Outside of a transaction (begun with "BEGIN") it is one of its own.
 *
 * sql     with $1, $2, … for the values
 * values  as text, whatever their type; STR_NONE is null. Without zero bytes, which PostgreSQL has no room for (E_CONFLICT)
 * ret     NULL: nobody wants to know
 *
 * Suspends; honours deadline and cancel of the calling fiber, upon which the server is told to give the statement up, and the connection is closed.
 *
 * Errors, with PostgreSQL's own words: E_CONFLICT: these values will be refused again (constraints, types; SQLSTATE classes 21, 22, 23, 42804);
 * E_AGAIN: a deadlock, a serialisation failure, resources that are short, or a standby (40, 53, 55, 57014, 25006); E_AUTH (28); E_FORBIDDEN (42501); E_CONFIG: no such
 * database, table or column, or it does not parse (3D, 3F, 42, 0A); E_TOO_LARGE (54, and the limits above,
 * and a result over the arena's maximum); E_UPSTREAM (all others). Of a connection that broke, perhaps after the statement came about: E_EOF, E_IO.
 * Of connecting: E_REFUSED, E_IO, E_RESOLVE, E_TLS, E_CONFIG (the URL) and the above.
 */
err_t postgres_do(struct postgres *p, struct str sql, const struct str *values, size_t n, struct arena *a,
                  struct postgres_rows *ret) SUSPENDS MUST_CHECK;
/* Give up a transaction that was begun, whatever state it is in: what it changed is undone. */
void postgres_rollback(struct postgres *p) SUSPENDS;

/*
 * Wait until there is a notification of a channel that this connection listens to (LISTEN), or was one since the last call. E_AGAIN at `until`.
 *
 * Suspends. E_EOF: the connection is gone, and with it what it listened to.
 */
err_t postgres_wait(struct postgres *p, ns_t until) SUSPENDS MUST_CHECK;
/* How often it was connected so far: more than before means that what belonged to the connection (LISTEN, say) is gone. */
unsigned postgres_connections(const struct postgres *p);

#endif
