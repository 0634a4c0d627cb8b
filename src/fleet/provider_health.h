/*
 * provider_health.h - how a provider's deployments are looked after when no traffic tells: part of struct provider.
 */
#ifndef FLEET_PROVIDER_HEALTH_H
#define FLEET_PROVIDER_HEALTH_H

#include "base/str.h"
#include "base/time.h"
#include "policy/health_probe.h"

struct provider_health {
    struct probe_rules rules;
    bool is_on;            /* there is a probe that may be made                              */
    struct str target;     /* of the free probe: path and query; empty: there is none        */
    ns_t timeout;          /* of a probe, and of reading metrics                             */
    struct str metrics;    /* path and query of its metrics; empty: they are not read        */
    ns_t metrics_interval; /* > 0                                                            */
    /* Where they are, if not at the provider's own address; an empty host: there. */
    struct str metrics_host; /* IPv6 without brackets */
    uint16_t metrics_port;
    bool metrics_secure;
};

#endif
