/*
 * proxy.h - an HTTP proxy and a tunnel through it. Which one the environment asks for: upstream_proxy_from_env(), http_client.h.
 */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"
#include "net/conn.h"

#include <stdint.h>

struct proxy {
    char *host; /* owned, NUL-terminated; IPv6 without brackets */
    uint16_t port;
    struct secret authorization; /* value of proxy-authorization; empty: none */
};

/* From "http://[user:password@]host[:port]" (the scheme may be left out, the port is then 1080 as with curl). proxy_release() frees.
 * E_CONFIG with the reason, which never holds the credentials. */
err_t proxy_parse(struct str url, struct proxy *ret) MUST_CHECK;
/* Takes a zeroed proxy. */
void proxy_release(struct proxy *p);
/* Ask the proxy at the other end of `c` for a tunnel to host:port (CONNECT). E_UPSTREAM with the status if it refuses; E_EOF,
 * E_PROTOCOL. */
err_t proxy_tunnel(const struct proxy *p, struct conn *c, struct str host, uint16_t port) SUSPENDS MUST_CHECK;

#endif
