/* config_health.h - what a file says about a provider's health: part of config_int.h. */
#ifndef FLEET_CONFIG_HEALTH_H
#define FLEET_CONFIG_HEALTH_H

#include "codec/schema.h"

struct catalog;
struct config_run;
struct file_provider;
struct provider;

enum health_probe { HEALTH_PROBE_AUTO, HEALTH_PROBE_OFF, HEALTH_PROBE_FREE, HEALTH_PROBE_TOKEN };
enum health_metrics { HEALTH_METRICS_AUTO, HEALTH_METRICS_OFF };

struct file_health {
    const struct yaml_node *node;
    enum health_probe probe;
    enum health_metrics metrics;
    ns_t interval, timeout, metrics_interval;
    double spend; /* US dollars a day */
    struct schema_text metrics_url;
};

extern const struct schema_object config_health_object;
/* p->health, when where the provider is has been settled. */
void config_build_health(struct config_run *run, struct catalog *c, struct provider *p, const struct file_provider *f);

#endif
