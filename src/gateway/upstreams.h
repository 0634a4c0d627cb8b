/*
 * upstreams.h - the connection pools of one loop, one per origin, kept across configurations.
 *
 * Providers whose pool_key is equal share a pool. A pool that no configuration in use names is freed once no request holds
 * an old configuration.
 */
#ifndef GATEWAY_UPSTREAMS_H
#define GATEWAY_UPSTREAMS_H

#include "gateway/snapshot.h"
#include "net/http_client.h"
#include "observe/metrics.h"

struct upstreams;

/* Address at which this loop's simulator answers for a provider with `simulated` set. */
typedef bool simulated_addr_fn(void *ctx, const struct provider *p, struct addr *ret);

/* `simulated` is asked for simulated providers; NULL: there are none. */
struct upstreams *upstreams_new(simulated_addr_fn *simulated, void *ctx);
/* No call may be open. NULL is allowed. */
void upstreams_free(struct upstreams *u);
/* The pool of a provider of `s`, made on first use. Borrowed; lives as long as `s` is in use. E_CONFIG for a simulated provider without a
 * simulator. */
err_t upstreams_get(struct upstreams *u, const struct snapshot *s, const struct provider *p, struct upstream **ret)
    MUST_CHECK;
/* Free the pools that no provider of `s` names; when nothing but `s` is in use any more. */
void upstreams_retire(struct upstreams *u, const struct snapshot *s);
/* Add the pools' numbers. */
void upstreams_gauges(const struct upstreams *u, struct gauges *g);

#endif
