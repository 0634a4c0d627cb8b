/*
 * metrics.h - counters and histograms of one loop, summed over loops when somebody asks.
 *
 * Each loop counts for itself, without locks or atomics. To read, a struct metrics is sent round the loops and each adds
 * its own (metrics_merge()); the sum is printed in the Prometheus text format. A series is one combination of endpoint, model and
 * deployment, of attempts one of deployment and provider, of translations one of the client's dialect and provider. The number of
 * each is capped, what comes later is counted under "other".
 */
#ifndef OBSERVE_METRICS_H
#define OBSERVE_METRICS_H

#include "base/buf.h"
#include "observe/facts.h"

#include <stddef.h>
#include <stdint.h>

struct metrics;

/* Numbers that exist now, read when somebody asks; summed over loops. */
struct gauges {
    uint64_t in_flight;                     /* requests in a handler                */
    uint64_t connections, idle_connections; /* clients'                             */
    uint64_t upstream_open, upstream_idle, upstream_waiting;
    uint64_t fibers, sockets, stack_bytes;
    uint64_t upstream_connects, upstream_connect_failures, upstream_reused, upstream_stale_retries;
    uint64_t accepted, refused;
    ns_t lag_max; /* of all loops, not the sum            */
    ns_t busy;
};

struct metrics *metrics_new(void);
/* NULL is allowed. */
void metrics_free(struct metrics *m);
/* Count one finished request. */
void metrics_request(struct metrics *m, const struct facts *f);
/* Count that a rule of `routes` took a request, or (not `held`) that its condition could not be evaluated. */
void metrics_rule(struct metrics *m, struct str rule, bool held);
/* Count one finished attempt at a deployment. */
void metrics_attempt(struct metrics *m, struct str deployment, struct str provider, enum attempt_outcome outcome);
/* Count one finished attempt that no request's facts hold: a probe of health, or a shadow. */
void metrics_beside(struct metrics *m, const struct attempt_facts *f);
/* A provider's credential, as of now. They are the process's, not a loop's: only a sum over loops is told of them, once. */
struct credential_numbers {
    bool is_usable;  /* neither refused nor at rest as a whole                               */
    double headroom; /* of its limits at the model that has the least of them left, 0 to 1   */
    uint64_t requests, rate_limited, refused;
};
void metrics_credential(struct metrics *m, struct str provider, struct str credential,
                        const struct credential_numbers *n);
/* Add `from` to `into`. */
void metrics_merge(struct metrics *into, const struct metrics *from);
void gauges_merge(struct gauges *into, const struct gauges *from);

/* What the process as a whole adds to the page. */
struct process_numbers {
    uint64_t resident_bytes;
    double cpu_seconds, uptime_seconds;
    uint64_t log_dropped, reloads, reload_failures, revision, watchdog_reports, facts_lost;
    unsigned loops;
    const char *version;
    /* Append what is read where it is (metrics_family(), metrics_labelled()); NULL: nothing. */
    void (*more)(const void *ctx, struct buf *to);
    const void *more_ctx;
};
/* For pages that have more on them: a family's head, "crossdock_" before its name; and a label's value, escaped. */
void metrics_add_family(struct buf *b, const char *name, const char *type, const char *help);
void metrics_add_label_value(struct buf *b, struct str v);
/* Append a number with one label; `more`: further labels, with a comma in front, or empty. For what is read where it is, not counted here; `value` is a
 * name from the configuration. */
void metrics_labelled(struct buf *to, const char *name, const char *label, struct str value, const char *more,
                      double number);
/* Append the page, Prometheus text format 0.0.4. */
void metrics_render(const struct metrics *m, const struct gauges *g, const struct process_numbers *p, struct buf *to);

#endif
