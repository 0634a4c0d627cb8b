/*
 * admin.h - the operator's endpoints: /healthz, /readyz, /metrics.
 *
 * Served on the same listeners as the gateway, in front of it, without a key: what they tell is names of models and counts.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "net/http_server.h"
#include "observe/metrics.h"
#include "rt/loops.h"

struct admin {
    struct loops *loops; /* to visit for numbers                                          */
    visit_fn *collect;   /* on each loop: adds its numbers to the struct admin_sum `arg`  */
    void (*process)(void *ctx, struct process_numbers *ret); /* numbers of the process as a whole      */
    const char *(*not_ready)(void *ctx); /* why no traffic should come; NULL: ready. Static text.      */
    void *ctx;
};

struct admin_sum {
    struct metrics *metrics;
    struct gauges gauges;
};

/* Is this path the operator's? */
bool admin_wants(struct str path);
/* Answer it. */
err_t admin_handle(const struct admin *a, struct http_request *r) SUSPENDS MUST_CHECK;

#endif
