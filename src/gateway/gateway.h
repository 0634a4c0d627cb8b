/*
 * gateway.h - the gateway of one loop: what its requests share, and the handler that serves them.
 *
 * One per loop, touched by that loop only. The configuration comes in as snapshots (gateway_install()); requests hold the one they
 * began with.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "gateway/snapshot.h"
#include "gateway/upstreams.h"
#include "net/http_server.h"
#include "observe/metrics.h"

struct gateway;
struct gateway_hearer;
struct blobs;
struct scope;

struct gateway_options {
    struct snapshot *snapshot;    /* the first one; a reference is taken                   */
    simulated_addr_fn *simulated; /* see upstreams.h; NULL: no simulated providers         */
    void *simulated_ctx;
    /* Takes the facts of each finished request; NULL: nobody wants them. Must not suspend. */
    void (*on_facts)(void *ctx, const struct facts *f);
    /* Takes the record of each attempt that no request waits for: probes of health (ROLE_PROBE) and shadows (ROLE_SHADOW); NULL likewise. Must not
     * suspend. */
    void (*on_beside)(void *ctx, const struct attempt_facts *f);
    void *facts_ctx; /* of both */
    struct scope *
        scope; /* for what goes on beside requests, such as renewing credentials; outlives the gateway; NULL: nothing does */
    const struct gateway_hearer *hearer; /* is told what clients are answered; outlives the gateway; NULL: nobody is */
    struct blobs *kept; /* what requests leave for later ones, of all loops; borrowed; NULL: nothing is kept */
};

/* On this loop. gateway_free() frees it; no request may be under way. */
struct gateway *gateway_new(const struct gateway_options *options);
void gateway_free(struct gateway *g);
/* Serve new requests by `s` (a reference is taken). In loop context or a fiber; does not suspend. */
void gateway_install(struct gateway *g, struct snapshot *s);
const struct snapshot *gateway_snapshot(const struct gateway *g);
/* The http_handler_fn; ctx is the gateway. Answers every request, also with errors, in OpenAI's shape. */
err_t gateway_handle(struct http_request *r, void *ctx) SUSPENDS;
/* Run the copies of requests that models have shadows for, until cancelled: in a fiber of its own, which ends before gateway_free(). Without it none are
 * made. */
err_t shadows_run(void *gateway) SUSPENDS;
/* May the request be made, as far as keys tell: is one of them with it, or is none configured? For what is beside the gateway's own endpoints. E_AUTH with
 * words for the client; E_UNSUPPORTED: it is signed. */
err_t gateway_admits(struct gateway *g, struct http_request *r) MUST_CHECK;
/* The http_refusal_fn: the form of errors that no handler saw. OpenAI's, for every path. */
struct str gateway_refusal(const struct http_refusal *refusal, struct arena *arena, struct str *ret_type);
const struct metrics *gateway_metrics(const struct gateway *g);
/* Tell `to` of the credentials of the configuration in use: they are the process's, so one loop's gateway is asked. */
void gateway_credentials(const struct gateway *g, struct metrics *to);
/* Append limits of deployments and lengths of queues to a page of metrics; `gateway` is any loop's, on that loop. */
void gateway_admission_metrics(const void *gateway, struct buf *to);
/* Add this loop's numbers. */
void gateway_gauges(const struct gateway *g, struct gauges *ret);

#endif
