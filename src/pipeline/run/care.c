/*
 * care.c - a node's rules as the rules of policy/, and one state of each.
 *
 * An adaptive node is held to its budget: its calls should take less than a part of it, so that there is room for a second attempt. One without a budget has
 * a general idea of what slow is. A breaker ejects by its share of failures alone, and for its pause each time; a single probe that succeeds closes it.
 */
#include "pipeline/run/care.h"

enum { ADAPTIVE_FIRST = 32, ADAPTIVE_MOST = 512, PER_THOUSAND = 1000, TAKES_LEAST = 20 };
static const ns_t slow_usual = 30 * NS_SEC, half_life = 60 * NS_SEC, ask_again = 50 * NS_MS;
static const struct outlier_peers alone = {.count = 1};

static struct outlier_rules breaker_of(const struct pipeline_rules *r)
{
    double share = r->breaker_errors > 0 ? r->breaker_errors : r->breaker_slow;

    return (struct outlier_rules){.share = (unsigned)(share * PER_THOUSAND),
                                  .volume = r->breaker_volume,
                                  .window = r->breaker_window > 0 ? r->breaker_window : NS_SEC,
                                  .eject = r->breaker_pause,
                                  .eject_max = r->breaker_pause,
                                  .forgive = NS_SEC,
                                  .share_max = PER_THOUSAND,
                                  .probes = 1,
                                  .successes = 1,
                                  .start_least = 1};
}

static struct concurrency_rules limit_of(const struct pipeline_rules *r)
{
    return (struct concurrency_rules){.least = 1,
                                      .most = ADAPTIVE_MOST,
                                      .first = ADAPTIVE_FIRST,
                                      .first_token = r->budget ? r->budget / 2 : slow_usual,
                                      .interval = NS_SEC,
                                      .samples = 8};
}

void care_init(struct care *c, const struct pipeline_rules *rules, ns_t now)
{
    *c = (struct care){.rules = rules, .breaker_rules = breaker_of(rules), .limit_rules = limit_of(rules)};
    concurrency_init(&c->limit, &c->limit_rules, now);
}

unsigned care_most(const struct care *c)
{
    return c->rules->concurrency ? c->rules->concurrency : (unsigned)c->limit.limit;
}

static bool has_breaker(const struct care *c)
{
    return c->breaker_rules.share > 0;
}

bool care_admits(struct care *c, ns_t now, ns_t *ret_until)
{
    if (!has_breaker(c) || outlier_admits(&c->breaker, &c->breaker_rules, now))
        return true;
    *ret_until = c->breaker.state == OUTLIER_EJECTED ? c->breaker.until : ns_add(now, ask_again);
    return false;
}

struct care_attempt care_sent(struct care *c, ns_t now)
{
    struct care_attempt a = {.begun = now};

    if (has_breaker(c))
        a.stamp = outlier_sent(&c->breaker, now);
    return a;
}

void care_ended(struct care *c, struct care_attempt a, enum cause cause, unsigned in_flight, ns_t now)
{
    if (has_breaker(c))
        outlier_ended(&c->breaker, &c->breaker_rules, &alone, a.stamp, cause, now);
    if (cause == CAUSE_OK)
        latency_digest_add(&c->took, half_life, now - a.begun, now);
    if (cause == CAUSE_RATE_LIMITED || cause == CAUSE_OVERLOADED)
        concurrency_overloaded(&c->limit, &c->limit_rules, a.begun, in_flight, now);
    else if (cause == CAUSE_OK || cause == CAUSE_TIMEOUT_TOTAL)
        concurrency_sample(
            &c->limit, &c->limit_rules,
            &(struct concurrency_sample){.begun = a.begun, .first_token = now - a.begun + 1, .in_flight = in_flight},
            now);
}

void care_item(struct care *c, ns_t now)
{
    retry_budget_request(&c->budget, &retry_budget_usual, now);
}

bool care_may_retry(struct care *c, ns_t now)
{
    return retry_budget_take(&c->budget, &retry_budget_usual, now);
}

void care_retried(struct care *c, ns_t now)
{
    retry_budget_return(&c->budget, &retry_budget_usual, now);
}

ns_t care_takes(const struct care *c, double q)
{
    return latency_digest_quantile(&c->took, q, TAKES_LEAST);
}
