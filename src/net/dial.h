/*
 * dial.h - from a name to a connection that is ready for requests: DNS, TCP (happy eyeballs), proxy, TLS.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "net/conn.h"
#include "net/proxy.h"

struct dial_target {
    struct str host; /* of the origin; IPv6 without brackets */
    uint16_t port;
    struct str unix_path;      /* set: connect there; host is what TLS verifies       */
    const struct proxy *proxy; /* NULL: none                                          */
    bool secure;
    struct tls_ctx *tls; /* of secure ones; NULL: the system's authorities       */
};

/*
 * Connect. Through a proxy, secure origins are reached by a tunnel; for others the connection is one to the proxy.
 *
 * Suspends; honours the fiber's deadline (put WITHIN around it). On failure nothing is left open.
 *
 * Errors: E_RESOLVE, E_REFUSED, E_IO, E_TLS, E_UPSTREAM (the proxy refused), E_CONFIG (no authorities), E_DEADLINE, E_CANCELLED.
 */
err_t dial(const struct dial_target *t, struct conn *ret) SUSPENDS MUST_CHECK;

#endif
