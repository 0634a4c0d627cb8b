/*
 * sim_provider.h - a model provider without models: speaks the dialects of surface/, and misbehaves as its scenario says.
 *
 * For testing applications and routing policies: docs/simulator.md. It runs as a handler of net/http_server.h, in a process of its
 * own or in the gateway's, over the kernel or in a simulated world.
 */
#ifndef SIM_SIM_PROVIDER_H
#define SIM_SIM_PROVIDER_H

#include "net/http_server.h"
#include "sim/scenario.h"

struct sim_provider;
struct sim_counts;

/* A provider on this loop; its clock starts now. `scenario` is borrowed and may be shared. sim_provider_free() frees it. */
struct sim_provider *sim_provider_new(const struct scenario *scenario, uint64_t seed);
/* Takes NULL. No request may be running. */
void sim_provider_free(struct sim_provider *p);
/* Tell it of all providers (itself too) whose counts GET /sim/stats adds up: one per loop. The array is borrowed. Before serving. */
void sim_provider_set_peers(struct sim_provider *p, struct sim_provider *const *peers, size_t count);

/* Handle one request; an http_handler_fn, `ctx` is the provider. */
err_t sim_provider_handle(struct http_request *r, void *ctx) SUSPENDS;

/* Call `fn` for each model that was asked for, with the sums of all peers' counts, in the order in which the first provider that knows
 * them met them. */
void sim_provider_visit(const struct sim_provider *p,
                        void (*fn)(void *ctx, struct str name, const struct sim_counts *counts), void *ctx);
/* What GET /sim/stats answers. */
err_t sim_provider_stats(const struct sim_provider *p, struct buf *to) MUST_CHECK;

#endif
