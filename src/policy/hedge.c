/*
 * hedge.c - hedged requests, after Dean and Barroso, "The Tail at Scale" (2013): a second request when the first is later
 * than most cuts the tail for a few per cent more load.
 *
 * The moment is the observed quantile of times to first token; but if the account allows fewer hedges than come later than
 * that, it is the quantile that uses it up: hedging the latest two of a hundred cuts the tail, hedging any two of the
 * latest five leaves the worst to chance.
 *
 * The accounts fill with each request, and hold ten hedges at most, so that a quiet hour does not pay for a bad minute in
 * which everything is late and hedges would only add to it.
 *
 * Does not: cancel, or choose where to send it.
 */
#include "policy/hedge.h"

#include <assert.h>

enum { ONE = 1000, HELD = 10, AVERAGED = 64 };

const struct hedge_rules hedge_rules_usual = {
    .quantile = 0.95, .requests = 20, .spend = 20, .least = 50 * NS_MS, .samples = 100};

const char *hedge_reason_name(enum hedge_reason r)
{
    static const char *const names[HEDGE_REASONS] = {
        [HEDGE_GO] = "go",
        [HEDGE_OFF] = "off",
        [HEDGE_SIDE_EFFECT] = "side_effect",
        [HEDGE_ANSWERED] = "answered",
        [HEDGE_AGAIN] = "again",
        [HEDGE_NO_PLACE] = "no_place",
        [HEDGE_UNKNOWN] = "unknown",
        [HEDGE_NO_TIME] = "no_time",
    };

    assert((unsigned)r < HEDGE_REASONS);
    return names[r];
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Costs above a billion dollars are mistakes; cut, they cannot overflow the account. */
static uint64_t sane(uint64_t cost)
{
    return least_of(cost, UINT64_MAX / ONE / ONE / HELD);
}

static void fill(struct hedge_account *a, uint64_t requests, uint64_t money)
{
    a->requests_ = least_of(a->requests_ + requests, HELD * ONE);
    a->money_ = least_of(a->money_ + money, a->usual_ * HELD * ONE);
}

void hedge_request(struct hedge_account *a, const struct hedge_rules *rules, uint64_t cost)
{
    cost = sane(cost);
    a->usual_ = a->usual_ ? a->usual_ - a->usual_ / AVERAGED + cost / AVERAGED : cost;
    fill(a, rules->requests, cost * rules->spend);
}

bool hedge_take(struct hedge_account *a, const struct hedge_rules *rules, uint64_t cost)
{
    uint64_t money = sane(cost) * ONE;

    if (rules->requests == 0 || a->requests_ < ONE || a->money_ < money)
        return false;
    a->requests_ -= ONE;
    a->money_ -= money;
    return true;
}

void hedge_return(struct hedge_account *a, uint64_t cost)
{
    fill(a, ONE, sane(cost) * ONE);
}

void hedge_settle(struct hedge_account *a, uint64_t taken, uint64_t spent)
{
    taken = sane(taken);
    spent = sane(spent);
    if (spent <= taken)
        fill(a, 0, (taken - spent) * ONE);
    else
        a->money_ -= least_of(a->money_, (spent - taken) * ONE);
}

static enum hedge_reason objection(const struct hedge_rules *rules, const struct hedge_ask *ask)
{
    if (rules->requests == 0)
        return HEDGE_OFF;
    if (!ask->repeatable)
        return HEDGE_SIDE_EFFECT;
    if (ask->answered)
        return HEDGE_ANSWERED;
    if (ask->hedged)
        return HEDGE_AGAIN;
    return ask->elsewhere_left ? HEDGE_GO : HEDGE_NO_PLACE;
}

struct hedge_decision hedge_decide(const struct hedge_rules *rules, const struct hedge_ask *ask)
{
    enum hedge_reason why = objection(rules, ask);

    if (why != HEDGE_GO)
        return (struct hedge_decision){.why = why};
    double affordable = 1 - (double)rules->requests / ONE;
    double quantile = rules->quantile > affordable ? rules->quantile : affordable;
    ns_t late = latency_digest_quantile(ask->seen, quantile, rules->samples);
    if (late == 0)
        return (struct hedge_decision){.why = HEDGE_UNKNOWN};
    late = latency_from_base(late, ask->uncached_tokens);
    ns_t at = ns_add(ask->sent, late > rules->least ? late : rules->least);
    return (struct hedge_decision){.why = at < ask->deadline ? HEDGE_GO : HEDGE_NO_TIME, .at = at};
}
