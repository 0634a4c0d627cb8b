/*
 * snapshot.h - a catalog made ready to serve: what can be computed once per configuration instead of once per request.
 *
 * Immutable and counted. Each loop holds one reference for itself and counts its own requests on it (gateway/gateway.c), so no request touches a
 * shared counter.
 */
#ifndef GATEWAY_SNAPSHOT_H
#define GATEWAY_SNAPSHOT_H

#include "fleet/catalog.h"
#include "net/tls.h"

/* Per provider, in the order of catalog.providers. */
struct snapshot_provider {
    struct tls_ctx *tls;                  /* of providers with TLS settings of their own; NULL: the process's default */
    struct str *keys;                     /* per key: value of the dialect's key header; empty: none is sent        */
    struct live_credential **credentials; /* per key: how it fares; counted */
    struct str proxy;                     /* resolved from configuration and environment; empty: none               */
};

struct snapshot {
    unsigned refs_; /* private, atomic */
    struct catalog *catalog;
    struct snapshot_provider *providers;
    struct live *live, *own_live;         /* that it was made with; if none was given, its own             */
    struct live_deployment **deployments; /* how each fares, in the order of catalog.deployments; counted  */
    struct live_route **served;           /* where requests for each by its own name wait; NULL: it has no limit */
    struct live_limit **
        *limits; /* likewise, per key: what is known of its limits there; NULL: it stands for many models; counted */
    struct live_route *
        *routes; /* of catalog.models, and behind them of each provider's names that are no model of ours */
    struct tls_ctx *server_tls; /* for the TLS listeners; NULL: none */
};

/* Make `c` ready (takes the caller's reference, also on failure). `live`: how deployments fare, borrowed for as long as there are snapshots; NULL: nothing
 * is known, and it is forgotten with the snapshot. E_CONFIG with the reason: certificates that do not fit. Blocks: call it on a worker or before loops
 * run. One reference. */
err_t snapshot_make(struct catalog *c, struct live *live, struct snapshot **ret) MUST_CHECK;
struct snapshot *snapshot_ref(struct snapshot *s);
/* NULL is allowed. From any thread. */
void snapshot_unref(struct snapshot *s);

#endif
