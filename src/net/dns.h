/*
 * dns.h - names to addresses: the system's resolver on a worker, a cache per loop, one look-up at a time per name.
 *
 * Numeric hosts never reach the resolver. Answers are kept for a fixed time (getaddrinfo tells no TTL), failures shortly. A stale answer serves
 * while a refresh fails.
 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "base/err.h"
#include "base/str.h"
#include "rt/addr.h"

#include <stddef.h>

enum { DNS_MAX_ADDRS = 16 };

struct dns_answer {
    struct addr addrs[DNS_MAX_ADDRS]; /* in the resolver's order of preference; ports set */
    size_t count;
};

/* Look up `host`; suspends only when the cache has no fresh answer. E_RESOLVE with the reason. */
err_t dns_resolve(struct str host, uint16_t port, struct dns_answer *ret) SUSPENDS MUST_CHECK;
/* Forget everything cached on this loop; at its end. */
void dns_drain(void);

#endif
