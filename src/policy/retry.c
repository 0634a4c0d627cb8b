/*
 * retry.c - retries by cause, and the budget that bounds them.
 *
 * Pauses grow exponentially with full jitter: the pause is uniform in [0, min(cap, base * 2^n)], which spreads a crowd
 * better than a fixed pause with some noise (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 * Going to another deployment needs no pause, because it is not the one that failed.
 *
 * The budget follows Finagle's RetryBudget and "Handling Overload" in the SRE book (Beyer et al., 2016, chapter 21):
 * each request earns a fraction of a retry, what is not used within ten seconds is gone, and a quiet route has a small
 * floor. Two things differ. The floor is not added to the share but is its minimum, so that a busy route's retries stay
 * within the share alone. And a retry that succeeded is given back: sending requests from a dead deployment to a living
 * one does not multiply anything, and must not end because too many do it; when everything fails, nothing is given
 * back, and the bound is
 *
 *     retries <= share * requests + floor * (seconds in which share * requests was less) + ten.
 *
 * Does not: keep deadlines or cancel; hedges have an account of their own (hedge.h).
 */
#include "policy/retry.h"

#include <assert.h>
#include <stddef.h>

enum { ONE = 1000 }; /* a retry, in the account's unit */

/* Of a new account: who starts when a deployment is down needs some at once. */
enum { FIRST = 10 * ONE };

const struct retry_rules retry_rules_usual = {
    .attempts = 3, .base = 250 * NS_MS, .cap = 8 * NS_SEC, .hint_max = 10 * NS_SEC};
const struct retry_budget_rules retry_budget_usual = {.share = 150, .floor = 300};

const char *retry_reason_name(enum retry_reason reason)
{
    static const char *const names[RETRY_REASONS] = {
        [RETRY_GO] = "go",
        [RETRY_FINAL] = "final",
        [RETRY_DELIVERED] = "delivered",
        [RETRY_SIDE_EFFECT] = "side_effect",
        [RETRY_ATTEMPTS] = "attempts",
        [RETRY_NO_BUDGET] = "no_budget",
        [RETRY_NO_TIME] = "no_time",
        [RETRY_NO_PLACE] = "no_place",
    };

    assert((unsigned)reason < RETRY_REASONS);
    return names[reason];
}

/* draw / 2^64 of [0, span]. */
static ns_t part_of(ns_t span, uint64_t draw)
{
    return (ns_t)(((unsigned __int128)draw * ((uint64_t)span + 1)) >> 64);
}

static ns_t pause_ceiling(const struct retry_rules *rules, unsigned made)
{
    if (made >= 62 || rules->base > (rules->cap >> made))
        return rules->cap;
    return rules->base << made;
}

static ns_t pause_here(const struct retry_rules *rules, const struct retry_ask *ask)
{
    if (ask->hint > 0)
        return ns_add(ask->hint, part_of(ask->hint / 10, ask->draw));
    return part_of(pause_ceiling(rules, ask->here_made), ask->draw);
}

static struct retry_decision stop(enum retry_reason why)
{
    return (struct retry_decision){.verb = RETRY_STOP, .why = why};
}

/* What speaks against any retry, in the order in which people should hear it; RETRY_GO if nothing does. */
static enum retry_reason objection(const struct retry_rules *rules, const struct retry_ask *ask,
                                   const struct cause_meaning *m)
{
    if (!m->again)
        return RETRY_FINAL;
    if (ask->delivered)
        return RETRY_DELIVERED;
    if (m->may_have_run && !ask->repeatable)
        return RETRY_SIDE_EFFECT;
    if (ask->attempts >= rules->attempts)
        return RETRY_ATTEMPTS;
    if (ns_add(ask->now, ask->needs) >= ask->deadline)
        return RETRY_NO_TIME;
    return ask->budget_left ? RETRY_GO : RETRY_NO_BUDGET;
}

struct retry_decision retry_decide(const struct retry_rules *rules, const struct retry_ask *ask)
{
    const struct cause_meaning *m = cause_meaning(ask->cause);
    enum retry_reason why = objection(rules, ask, m);

    if (why != RETRY_GO)
        return stop(why);
    ns_t pause = pause_here(rules, ask);
    bool here = (m->again & AGAIN_HERE) && ask->here_left && !ask->told_not;
    bool in_time = ask->hint <= rules->hint_max && ns_add(ns_add(ask->now, pause), ask->needs) < ask->deadline;
    bool here_first = !m->waits_long && ask->hint <= 0 && ask->here_made < rules->here;

    if ((m->again & AGAIN_OTHER_KEY) && ask->key_left)
        return (struct retry_decision){RETRY_OTHER_KEY, RETRY_GO, ask->now};
    if (here && in_time && here_first)
        return (struct retry_decision){RETRY_HERE, RETRY_GO, ns_add(ask->now, pause)};
    if ((m->again & AGAIN_ELSEWHERE) && ask->elsewhere_left)
        return (struct retry_decision){RETRY_ELSEWHERE, RETRY_GO, ask->now};
    if (here && in_time)
        return (struct retry_decision){RETRY_HERE, RETRY_GO, ns_add(ask->now, pause)};
    return stop(here ? RETRY_NO_TIME : RETRY_NO_PLACE);
}

static uint64_t sum(const struct retry_budget *b)
{
    uint64_t all = 0;
    for (size_t i = 0; i < RETRY_BUDGET_SLOTS; i++)
        all += b->earned_[i];
    return all;
}

/* The newest slot is over: it has earned the floor at least, and a new one begins. */
static void next_slot(struct retry_budget *b, const struct retry_budget_rules *rules)
{
    if (b->earned_[0] < rules->floor) {
        b->balance_ += rules->floor - b->earned_[0];
        b->earned_[0] = rules->floor;
    }
    for (size_t i = RETRY_BUDGET_SLOTS - 1; i > 0; i--)
        b->earned_[i] = b->earned_[i - 1];
    b->earned_[0] = 0;
    uint64_t most = sum(b);
    b->balance_ = b->balance_ < most ? b->balance_ : most;
    b->slot_ += NS_SEC;
}

/* As if every second so far had earned as much. */
static void begin(struct retry_budget *b, uint64_t each, ns_t now)
{
    *b = (struct retry_budget){.begun_ = true, .slot_ = now};
    for (size_t i = 0; i < RETRY_BUDGET_SLOTS; i++)
        b->earned_[i] = each;
    b->balance_ = sum(b);
}

static void advance(struct retry_budget *b, const struct retry_budget_rules *rules, ns_t now)
{
    if (!b->begun_)
        begin(b, FIRST / RETRY_BUDGET_SLOTS, now);
    if (now - b->slot_ > 2 * RETRY_BUDGET_SLOTS * NS_SEC)
        begin(b, rules->floor, now); /* after a long silence only the floor is left, whatever there was */
    while (now - b->slot_ >= NS_SEC)
        next_slot(b, rules);
}

void retry_budget_request(struct retry_budget *b, const struct retry_budget_rules *rules, ns_t now)
{
    advance(b, rules, now);
    b->earned_[0] += rules->share;
    b->balance_ += rules->share;
}

bool retry_budget_allows(struct retry_budget *b, const struct retry_budget_rules *rules, ns_t now)
{
    advance(b, rules, now);
    return b->balance_ >= ONE;
}

bool retry_budget_take(struct retry_budget *b, const struct retry_budget_rules *rules, ns_t now)
{
    if (!retry_budget_allows(b, rules, now))
        return false;
    b->balance_ -= ONE;
    return true;
}

void retry_budget_return(struct retry_budget *b, const struct retry_budget_rules *rules, ns_t now)
{
    advance(b, rules, now);
    uint64_t most = sum(b);
    b->balance_ = b->balance_ + ONE < most ? b->balance_ + ONE : most;
}
