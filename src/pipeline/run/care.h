/*
 * care.h - how a node that asks others fares, and what follows: how many items at a time, whether to ask at all, whether to try again. Pure.
 *
 * The decisions are those that the gateway makes about its deployments (policy/): a retry budget, ejection of what fails with probes before it is trusted
 * again, and a concurrency that is lowered when calls grow slow or are refused for their number.
 */
#ifndef PIPELINE_CARE_H
#define PIPELINE_CARE_H

#include "pipeline/spec/pipeline.h"
#include "policy/concurrency.h"
#include "policy/latency.h"
#include "policy/outlier.h"
#include "policy/retry.h"

struct care {
    const struct pipeline_rules *rules;
    struct outlier_rules breaker_rules;
    struct outlier breaker;
    struct concurrency_rules limit_rules;
    struct concurrency limit;
    struct retry_budget budget;
    struct latency_digest took; /* by calls that ended well */
};

/* An attempt, from care_sent() to care_ended(). */
struct care_attempt {
    struct outlier_stamp stamp;
    ns_t begun;
};

/* `rules` outlive it. */
void care_init(struct care *c, const struct pipeline_rules *rules, ns_t now);
/* Items at a time, >= 1. */
unsigned care_most(const struct care *c) PURE;
/* Does the breaker let an item through? If not, *ret_until is when to ask again. */
bool care_admits(struct care *c, ns_t now, ns_t *ret_until);
/* An attempt begins, ends. `in_flight`: items of the node that are worked on, this one included. */
struct care_attempt care_sent(struct care *c, ns_t now) MUST_CHECK;
void care_ended(struct care *c, struct care_attempt a, enum cause cause, unsigned in_flight, ns_t now);
/* An item came; an attempt more may be made (it is counted then); one that was made more has succeeded. */
void care_item(struct care *c, ns_t now);
bool care_may_retry(struct care *c, ns_t now);
void care_retried(struct care *c, ns_t now);
/* What a call usually takes: the time that a share `q` of them does not exceed; 0: not known. */
ns_t care_takes(const struct care *c, double q);

#endif
