/*
 * concurrency.c - additive increase, multiplicative decrease, anchored on objectives.
 *
 * Adaptive limits for ordinary services (Netflix' concurrency-limits: Vegas, Gradient2) compare latency with its own
 * minimum and take growth for queueing. For a model server that is the wrong anchor: it batches, so each token takes
 * longer with every request added, smoothly and long before anything queues, and first tokens depend on the prompt. How
 * much of that is acceptable nobody but the operator can say; so the objective is the anchor, and the controller is AIMD
 * (Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance", 1989), which converges to
 * the edge at which it is just kept.
 *
 * Against noise: a change needs enough samples, and each counts for at most three times its objective, so that a few
 * stragglers cannot lower the limit; within 5 % below the objective nothing is raised. Against delay: only samples count
 * that began after the last change, so that one overload is not answered twice. Against idleness: the limit is raised
 * only if it was reached, and lowered from what was really in flight.
 *
 * Invariant: least <= limit <= most. Does not: queue (fair_queue.h), or see anything of failures but overload.
 */
#include "policy/concurrency.h"

#include <assert.h>
#include <math.h>

static const double BURDEN_MAX = 3, RAISE_BELOW = 0.95, REACHED = 0.8;
static const double LOWER_MOST = 0.7, LOWER_LEAST = 0.97, LOWER_REFUSED = 0.9;

const char *concurrency_reason_words(enum concurrency_reason r)
{
    static const char *const words[CONCURRENCY_REASONS] = {
        [CONCURRENCY_FIRST] = "as configured",
        [CONCURRENCY_MISSED] = "objectives missed",
        [CONCURRENCY_OVERLOADED] = "the provider is overloaded",
        [CONCURRENCY_KEPT] = "objectives kept at the limit",
    };

    assert((unsigned)r < CONCURRENCY_REASONS);
    return words[r];
}

static void change(struct concurrency *c, const struct concurrency_rules *rules, double limit,
                   enum concurrency_reason reason, ns_t now)
{
    *c = (struct concurrency){.limit = fmin(fmax(limit, rules->least), rules->most), .reason = reason, .changed = now};
}

void concurrency_init(struct concurrency *c, const struct concurrency_rules *rules, ns_t now)
{
    assert(rules->least >= 1 && rules->least <= rules->most && rules->samples > 0);
    change(c, rules, rules->first, CONCURRENCY_FIRST, now);
}

bool concurrency_admits(const struct concurrency *c, unsigned in_flight)
{
    return (double)in_flight + 1 <= c->limit;
}

static double over(ns_t took, ns_t objective)
{
    return took > 0 && objective > 0 ? (double)took / (double)objective : 0;
}

/* Enough is known since the last change: change again, or begin to collect anew. */
static void judge(struct concurrency *c, const struct concurrency_rules *rules, ns_t now)
{
    double burden = c->burden_ / c->samples_;
    double used = fmin(c->limit, c->peak_);

    if (burden > 1)
        change(c, rules, used * fmin(fmax(1 / burden, LOWER_MOST), LOWER_LEAST), CONCURRENCY_MISSED, now);
    else if (burden < RAISE_BELOW && used >= REACHED * c->limit && c->limit < rules->most)
        change(c, rules, c->limit + fmax(1, sqrt(c->limit) / 2), CONCURRENCY_KEPT, now);
    else
        c->burden_ = c->samples_ = c->peak_ = 0;
}

void concurrency_sample(struct concurrency *c, const struct concurrency_rules *rules,
                        const struct concurrency_sample *s, ns_t now)
{
    double burden = fmax(over(s->first_token, rules->first_token), over(s->per_token, rules->per_token));

    if (s->begun < c->changed || burden <= 0)
        return;
    c->burden_ += fmin(burden, BURDEN_MAX);
    c->samples_++;
    c->peak_ = s->in_flight > c->peak_ ? s->in_flight : c->peak_;
    if (c->samples_ >= rules->samples && now - c->changed >= rules->interval)
        judge(c, rules, now);
}

void concurrency_overloaded(struct concurrency *c, const struct concurrency_rules *rules, ns_t begun,
                            unsigned in_flight, ns_t now)
{
    if (begun < c->changed || now - c->changed < rules->interval)
        return;
    change(c, rules, fmin(c->limit, in_flight) * LOWER_REFUSED, CONCURRENCY_OVERLOADED, now);
}
