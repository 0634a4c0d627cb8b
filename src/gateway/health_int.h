/*
 * health_int.h - what health.c, probe.c and server_metrics.c share. Private to them.
 *
 * A round is the time of one configuration. Its structs live in an arena of its own; its fibers are joined before that goes.
 */
#ifndef GATEWAY_HEALTH_INT_H
#define GATEWAY_HEALTH_INT_H

#include "gateway/exchange.h"
#include "gateway/health.h"
#include "policy/health_probe.h"

/* A deployment that is looked after. */
struct ward {
    const struct deployment *deployment;
    struct live_deployment *live;
    const struct route_rules *rules; /* by which it is judged: of the first model that names it */
    struct live_route *route;        /* likewise, for its peers                                 */
    struct str route_name;
    ns_t asked; /* the last probe began; 0: none did                      */
    /* of the probe under way */
    enum probe_reason why;
    struct live_attempt attempt;
};

/* A provider's deployments, which one server answers for. */
struct ward_group {
    struct gateway *gateway;
    const struct snapshot *snapshot;
    const struct provider *provider;
    struct ward *wards;
    size_t count;
    struct probe_account *account; /* outlives the round */
    ns_t since;
    uint64_t draw;    /* of the time of the next probe: one for all, so that what is asked together stays together */
    bool has_no_free; /* its free probe turned out not to be there */
    size_t next_key;  /* of the next free probe */
    struct ward_key {
        bool accepted; /* a free probe that carried it was answered                */
        bool unfit;    /* it was refused: it may not ask, whatever else it may do */
    } *keys;           /* in the provider's order                                 */
};

/* Fibers: ask the group's deployments how they are when it is time; read its server's metrics. arg: struct ward_group. Until they are cancelled. */
err_t probe_group(void *group) SUSPENDS;
err_t read_group_metrics(void *group) SUSPENDS;

/* An exchange without a client: for calls to one of the group's deployments (NULL: to its provider) by the means that requests go by. In the arena. */
struct exchange *health_exchange(const struct ward_group *g, const struct deployment *d, struct arena *a);
/* A GET of `target`, in the time that the provider's `health.timeout` leaves. */
void health_get(const struct exchange *x, struct str target, struct http_call_options *o);
/* Headers as a request to x's provider has them, its credential included, and one more (NULL: none). o->target is set by then if it is to be signed. Errors of
 * authorize_call(). */
err_t health_headers(struct exchange *x, const char *name, const char *value, struct http_call_options *o) SUSPENDS
MUST_CHECK;

#endif
