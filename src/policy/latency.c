/*
 * latency.c - peak-sensitive moving averages, and a histogram that forgets.
 *
 * The average is Finagle's peak EWMA (its load balancer of that name) with a noise gate: two samples in a row above
 * mean + 4 deviations, and the second replaces the mean, because a deployment that has become slow must lose its traffic
 * at once, not after some seconds of averaging; any other sample moves the mean by its share of time, 1 - exp(-dt/tau).
 * Without the gate the mean would be the maximum of recent noise, and equal replicas would look unequal; one outlier
 * alone proves nothing, because times to the first token have long tails. The deviation is TCP's (Jacobson and Karels,
 * "Congestion Avoidance and Control", 1988; RFC 6298).
 *
 * What has no samples any more gets them again: the estimate sinks until the deployment looks worth a request, and the new sample moves what it
 * has sunk to. While that one is on its way its waiting time counts, so a crowd does not follow it.
 *
 * Whoever waits is charged for by the mean of the ages, which Finagle does by counting requests in flight. A mean is kept of what comes and goes in any order
 * by its sum; the sum of instants would overflow some day, so it is kept as the mean itself, rounded, and what the rounding left.
 *
 * The histogram has logarithmic buckets and integer counts; forgetting is halving, exact and cheap.
 *
 * Does not: decide anything.
 */
#include "policy/latency.h"

#include <math.h>
#include <stddef.h>

enum { GATE = 4, SAMPLE = 256, BUCKETS_PER_DOUBLING = 4 };

/* The share of a sample that moves the mean or the deviation, at most: one in four, however long the pause before. */
static const double SHARE_MAX = 0.25;
static const double DEVIATION_SHARE = 0.125;
static const double DEVIATION_FIRST = 0.5; /* of the first sample: RFC 6298, 2.2 */

const struct latency_rules latency_rules_usual = {10 * NS_SEC, 20 * NS_SEC, 120 * NS_SEC};

void latency_add(struct latency *l, const struct latency_rules *rules, double sample, ns_t now)
{
    ns_t gap = now - l->at;

    if (l->mean <= 0 || gap > rules->stale) {
        *l = (struct latency){.mean = sample, .deviation = sample * DEVIATION_FIRST, .at = now};
        return;
    }
    l->mean = latency_read(l, rules, now); /* what it has sunk to is what the sample is news to */
    double off = fabs(sample - l->mean);
    double share = 1 - exp(-(double)(gap > 0 ? gap : 0) / (double)rules->tau);
    bool outlier = sample > l->mean + GATE * l->deviation;
    if (outlier && l->outlier) {
        l->mean = sample;
        l->deviation = sample * DEVIATION_FIRST; /* nothing is known about the noise up here */
    } else {
        l->mean += (sample - l->mean) * (share < SHARE_MAX ? share : SHARE_MAX);
        l->deviation += (off - l->deviation) * DEVIATION_SHARE;
    }
    l->outlier = outlier;
    l->at = now > l->at ? now : l->at;
}

double latency_read(const struct latency *l, const struct latency_rules *rules, ns_t now)
{
    ns_t age = now - l->at;
    double known = l->mean;

    if (age > rules->stale)
        known = 0;
    else if (age > rules->fresh)
        known *= exp2(-(double)(age - rules->fresh) / (double)rules->fresh);
    return known;
}

/* The sum of instants has grown by `offset` against `since`. */
static void settle_mean(struct latency_waiting *w, int64_t offset)
{
    int64_t n = (int64_t)w->count, sum = w->rest_ + offset;
    int64_t mean = sum / n - (sum % n < 0);

    w->since += mean;
    w->rest_ = sum - mean * n;
}

void latency_wait_begin(struct latency_waiting *w, ns_t sent, uint64_t tokens)
{
    if (w->count++ == 0)
        *w = (struct latency_waiting){.count = 1, .since = sent};
    w->units += tokens + LATENCY_BASE_UNITS;
    settle_mean(w, sent - w->since);
}

void latency_wait_end(struct latency_waiting *w, ns_t sent, uint64_t tokens)
{
    w->count--;
    w->units -= tokens + LATENCY_BASE_UNITS;
    if (w->count)
        settle_mean(w, w->since - sent);
}

/* Lower edge of bucket 1; bucket 0 holds all below. */
static const double FIRST_EDGE = 1e6;

static double edge(size_t bucket)
{
    return bucket ? FIRST_EDGE * exp2((double)(bucket - 1) / BUCKETS_PER_DOUBLING) : 0;
}

static size_t bucket_of(ns_t sample)
{
    if ((double)sample < FIRST_EDGE)
        return 0;
    double at = 1 + floor(log2((double)sample / FIRST_EDGE) * BUCKETS_PER_DOUBLING);
    return at < LATENCY_BUCKETS ? (size_t)at : LATENCY_BUCKETS - 1;
}

static void halve(struct latency_digest *d)
{
    d->total_ = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        d->counts_[i] /= 2;
        d->total_ += d->counts_[i];
    }
}

void latency_digest_add(struct latency_digest *d, ns_t half_life, ns_t sample, ns_t now)
{
    uint32_t *count = &d->counts_[bucket_of(sample)];

    if (d->total_ == 0)
        d->halved_ = now;
    for (; now - d->halved_ >= half_life && d->total_; d->halved_ += half_life)
        halve(d);
    if (*count > UINT32_MAX - SAMPLE)
        halve(d); /* millions of samples within a half life: the shape stays */
    *count += SAMPLE;
    d->total_ += SAMPLE;
}

ns_t latency_digest_quantile(const struct latency_digest *d, double q, unsigned least)
{
    double want = q * (double)d->total_, below = 0;

    if (d->total_ == 0 || d->total_ < (uint64_t)least * SAMPLE)
        return 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        if (d->counts_[i] && below + d->counts_[i] >= want)
            return (ns_t)(edge(i) + (edge(i + 1) - edge(i)) * (want - below) / d->counts_[i]);
        below += d->counts_[i];
    }
    return (ns_t)edge(LATENCY_BUCKETS);
}

double slow_start(ns_t since, ns_t window, double least, ns_t now)
{
    if (window <= 0 || now - since >= window)
        return 1;
    double share = now > since ? (double)(now - since) / (double)window : 0;
    return share > least ? share : least;
}
