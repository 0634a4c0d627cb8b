/*
 * latency.h - how fast a deployment answers: smoothed estimates, and percentiles. Pure.
 *
 * Two estimates per deployment: time to first token per unit of uncached input (latency_units()), and time per output
 * token. Both are struct latency; samples and results are nanoseconds. struct latency_digest keeps the distribution of
 * what it is given, for percentiles.
 */
#ifndef POLICY_LATENCY_H
#define POLICY_LATENCY_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Input that a request is as slow as if it had: its uncached tokens and a constant, because even an empty prompt waits
 * for the network, the queue and the first step. So short and long prompts teach and are told the same estimate.
 */
enum { LATENCY_BASE_UNITS = 500 };
static inline double latency_units(uint64_t uncached_tokens)
{
    return (double)(uncached_tokens + LATENCY_BASE_UNITS);
}

/* A time to first token as if the prompt had been empty, so that times of different prompts go into one distribution; and
 * back again. */
static inline ns_t latency_of_base(ns_t first_token, uint64_t uncached_tokens)
{
    return (ns_t)((double)first_token * LATENCY_BASE_UNITS / latency_units(uncached_tokens));
}
static inline ns_t latency_from_base(ns_t base, uint64_t uncached_tokens)
{
    double span = (double)base * latency_units(uncached_tokens) / LATENCY_BASE_UNITS;
    return span < (double)NS_NEVER ? (ns_t)span : NS_NEVER;
}

struct latency_rules {
    ns_t tau;   /* a sample's weight falls to 1/e in this time; > 0                                      */
    ns_t fresh; /* after so long without a sample the estimate begins to sink: halved every `fresh`; > 0 */
    ns_t stale; /* after so long it is no longer known                                                   */
};

/* 10 s; sinking after 20 s, unknown after two minutes. */
extern const struct latency_rules latency_rules_usual;

/* Zeroed: nothing is known. */
struct latency {
    double mean;      /* nanoseconds per unit; 0: unknown */
    double deviation; /* mean absolute                    */
    ns_t at;          /* of the last sample               */
    bool outlier;     /* it was slower than noise explains */
};

/* Take in a sample >= 0. The second in a row that is slower than noise explains is believed at once; the others are
 * averaged. */
void latency_add(struct latency *l, const struct latency_rules *rules, double sample, ns_t now);
/* The estimate; 0: not known. */
double latency_read(const struct latency *l, const struct latency_rules *rules, ns_t now);

/* Requests that wait for their first token: when they were sent, on average. Zeroed: none. */
struct latency_waiting {
    uint64_t count;
    uint64_t units; /* of latency_units(), all together                          */
    ns_t since;     /* mean of when they were sent, rounded down; of no meaning if there are none */
    int64_t rest_;  /* what the rounding left: below `count`                     */
};
/* One of `tokens` input tokens was sent at `sent`, and waits; it waits no more, with the same figures. Any order. */
void latency_wait_begin(struct latency_waiting *w, ns_t sent, uint64_t tokens);
void latency_wait_end(struct latency_waiting *w, ns_t sent, uint64_t tokens);
/*
 * How long they have waited, per unit of input; 0: nobody waits. `since` and `units` are of one request, on average. Where each takes as long as the other, those
 * who wait have waited for half of that, so whoever is as fast as ever is not charged.
 */
static inline double latency_waited(ns_t since, double units, ns_t now)
{
    return units > 0 && now > since ? (double)(now - since) / units : 0;
}

/* 64 buckets, each 2^(1/4) times as wide as the one before: 1 ms to a minute within 19 %, less by interpolation. */
enum { LATENCY_BUCKETS = 64 };
/*
 * How many times as slow as its estimate `known` (0: there is none) a deployment is for those who wait; at least 1. That is so for all that it does: a server
 * that hangs, or queues, makes nobody's tokens. Of what is not known it makes nothing known: to have waited for a millisecond is not to be fast.
 */
static inline double latency_slowdown(double known, double waited)
{
    return known > 0 && waited > known ? waited / known : 1;
}

/* The distribution of what was seen lately; counts are halved every half life. Zeroed: empty. */
struct latency_digest {
    uint32_t counts_[LATENCY_BUCKETS]; /* of 256 per sample */
    uint64_t total_;
    ns_t halved_;
};

void latency_digest_add(struct latency_digest *d, ns_t half_life, ns_t sample, ns_t now);
/* The value that a share `q` (0 to 1) of the samples does not exceed; 0 if they weigh less than `least` samples. */
ns_t latency_digest_quantile(const struct latency_digest *d, double q, unsigned least);

/*
 * Share of its traffic that a deployment takes which came back at `since`: from `least` (0 to 1), rising linearly to 1
 * at since + window. 1 if window is 0. Envoy's slow start, with aggression 1.
 */
double slow_start(ns_t since, ns_t window, double least, ns_t now);

#endif
