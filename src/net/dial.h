/*
 * dial.h - from a name to a connection that is ready for requests: DNS, TCP (happy eyeballs), proxy, TLS.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "net/conn.h"
#include "net/proxy.h"

/* May a connection go to this address? Asked about every address of a name, after it was looked up and before one is connected to. */
typedef bool dial_permit_fn(const void *ctx, const struct addr *a);

struct dial_target {
    struct str host; /* of the origin; IPv6 without brackets */
    uint16_t port;
    struct str unix_path;      /* set: connect there; host is what TLS verifies       */
    const struct proxy *proxy; /* NULL: none                                          */
    bool secure;
    struct tls_ctx *tls;    /* of secure ones; NULL: the system's authorities       */
    dial_permit_fn *permit; /* NULL: any address will do. Not with a proxy or a path */
    const void *permit_ctx;
};

/*
 * Connect. Through a proxy, secure origins are reached by a tunnel; for others the connection is one to the proxy.
 *
 * With `permit`, addresses that it refuses are left out, and the connection goes to one that it was asked about: nothing is looked up
 * a second time.
 *
 * Suspends; honours the fiber's deadline (put WITHIN around it). On failure nothing is left open.
 *
 * Errors: E_FORBIDDEN (`permit` refuses every address; the text does not tell them), E_RESOLVE, E_REFUSED, E_IO, E_TLS, E_UPSTREAM (the
 * proxy refused), E_CONFIG (no authorities), E_DEADLINE, E_CANCELLED.
 */
err_t dial(const struct dial_target *t, struct conn *ret) SUSPENDS MUST_CHECK;

#endif
