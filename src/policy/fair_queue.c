/*
 * fair_queue.c - deficit round robin with tokens for bytes.
 *
 * After Shreedhar and Varghese, "Efficient Fair Queueing Using Deficit Round Robin" (1995), in its surplus form: a lane
 * whose deficit is above zero sends its next request and may go into debt by it, which later turns pay off. So a request
 * need not be smaller than a quantum, and lanes need not be sorted. Passing a lane gives it a quantum, so over all pops
 * passed turns are at most (tokens served) / quantum + pops: constant per pop if a quantum is about a request.
 *
 * Debt outlives an empty lane, or a tenant could leave after a large request and come back without it; credit does not, or
 * one could save up and then flood. Estimates are settled when the truth is known, so that a tenant whose requests turn
 * out larger than they say gains nothing.
 *
 * Levels: the most urgent that waits is served, but of each 1,000 tokens lower_share are owed to the next less urgent one
 * that waits, and paid when they make up its next request. So nothing starves, whatever tenants call urgent.
 *
 * The wait is estimated from the rate at which tokens left while there was a queue: a lane gets at least its weight's share
 * of it, and never has to wait for more than all that is before it or beside it.
 *
 * Invariants: waiting and tokens are those of the lists; an entry is in exactly one list or none; a lane is in its ring if
 * and only if it has entries.
 */
#include "policy/fair_queue.h"

#include "base/attr.h"

#include <assert.h>
#include <math.h>

enum { ONE = 1000 };

/* Time over which the rate is averaged, and how often it is taken. */
#define RATE_TAU (10 * NS_SEC)
#define RATE_EVERY (NS_SEC / 4)

const struct fair_rules fair_rules_usual = {.quantum = 2000, .entries = 10000, .per_flow = 1000, .lower_share = 50};

void fair_queue_init(struct fair_queue *q, ns_t now)
{
    *q = (struct fair_queue){.rated_ = now};
    for (unsigned i = 0; i < FAIR_LEVELS; i++)
        list_init(&q->levels[i].ring_);
}

static struct fair_entry *entry_of(struct list *node)
{
    return CONTAINER_OF(node, struct fair_entry, node_);
}

static struct fair_lane *lane_of(struct list *node)
{
    return CONTAINER_OF(node, struct fair_lane, node_);
}

static uint64_t counted(uint64_t tokens)
{
    return tokens == 0 ? 1 : tokens < FAIR_TOKENS_MAX ? tokens : FAIR_TOKENS_MAX;
}

static uint64_t size_of(const struct fair_entry *e)
{
    return counted(e->tokens);
}

/* The flow that has the lane as its `level`-th. */
static struct fair_flow *flow_of(struct fair_lane *lane, unsigned level)
{
    return CONTAINER_OF(lane - level, struct fair_flow, lanes);
}

/* ---- estimating ---- */

/* Tokens that are served before a new entry of the lane can be: at most those of its own level and more urgent ones, and
 * about those of its lane by the lane's share. */
static double tokens_before(const struct fair_queue *q, const struct fair_flow *flow, unsigned level)
{
    const struct fair_level *l = &q->levels[level];
    const struct fair_lane *lane = &flow->lanes[level];
    bool waits = flow->begun_ && list_is_linked(&lane->node_);
    double weight = (double)(l->weight_ + (waits ? 0 : flow->weight));
    double own = (double)lane->tokens + (lane->deficit_ < 0 ? -(double)lane->deficit_ : 0);
    double before = fmin(own * weight / flow->weight, (double)l->tokens);

    for (unsigned i = 0; i < level; i++)
        before += (double)q->levels[i].tokens;
    return before;
}

ns_t fair_queue_wait(const struct fair_queue *q, const struct fair_flow *flow, unsigned level)
{
    double wait = q->rate > 0 ? tokens_before(q, flow, level) / q->rate : 0;

    return wait < (double)NS_NEVER ? (ns_t)wait : NS_NEVER;
}

/* The rate counts only times in which somebody waited to the end: an idle queue says nothing about what could be served. */
static void rate(struct fair_queue *q, ns_t now)
{
    ns_t span = now - q->rated_;

    if (span < RATE_EVERY)
        return;
    double share = 1 - exp(-(double)span / (double)RATE_TAU), seen = (double)q->served_ / (double)span;
    if (q->waiting > 0)
        q->rate = q->rate > 0 ? q->rate + (seen - q->rate) * share : seen;
    q->rated_ = now;
    q->served_ = 0;
}

/* ---- in and out ---- */

static void begin_flow(struct fair_flow *flow)
{
    for (unsigned i = 0; i < FAIR_LEVELS; i++)
        list_init(&flow->lanes[i].entries_);
    flow->begun_ = true;
}

enum fair_verdict fair_queue_push(struct fair_queue *q, const struct fair_rules *rules, struct fair_flow *flow,
                                  struct fair_entry *entry, ns_t now)
{
    assert(entry->level < FAIR_LEVELS && flow->weight > 0);
    struct fair_level *level = &q->levels[entry->level];
    struct fair_lane *lane = &flow->lanes[entry->level];

    if (!flow->begun_)
        begin_flow(flow);
    if (q->waiting == 0) { /* what was served without a queue is no measure */
        q->rated_ = now;
        q->served_ = 0;
    }
    if (q->waiting >= rules->entries)
        return FAIR_FULL;
    if (flow->waiting >= rules->per_flow)
        return FAIR_FLOW_FULL;
    if (ns_add(now, fair_queue_wait(q, flow, entry->level)) > entry->start_by)
        return FAIR_TOO_LATE;
    if (list_is_empty(&lane->entries_)) {
        list_push_back(&level->ring_, &lane->node_);
        level->weight_ += flow->weight;
    }
    list_push_back(&lane->entries_, &entry->node_);
    entry->flow_ = flow;
    entry->queued = now;
    lane->tokens += size_of(entry);
    level->tokens += size_of(entry);
    flow->waiting++;
    q->waiting++;
    return FAIR_QUEUED;
}

void fair_queue_remove(struct fair_queue *q, struct fair_entry *entry)
{
    if (!list_is_linked(&entry->node_))
        return;
    struct fair_flow *flow = entry->flow_;
    struct fair_level *level = &q->levels[entry->level];
    struct fair_lane *lane = &flow->lanes[entry->level];

    list_remove(&entry->node_);
    lane->tokens -= size_of(entry);
    level->tokens -= size_of(entry);
    flow->waiting--;
    q->waiting--;
    if (!list_is_empty(&lane->entries_))
        return;
    list_remove(&lane->node_);
    level->weight_ -= flow->weight;
    lane->deficit_ = lane->deficit_ < 0 ? lane->deficit_ : 0;
    level->owed_ = level->tokens ? level->owed_ : 0;
}

/* The lane whose turn it is; those that are in debt are passed, and get their quantum. */
static struct fair_lane *lane_on_turn(struct fair_level *level, unsigned number, const struct fair_rules *rules)
{
    for (;;) {
        struct fair_lane *lane = lane_of(level->ring_.next);
        if (lane->deficit_ > 0)
            return lane;
        lane->deficit_ += (int64_t)(rules->quantum * flow_of(lane, number)->weight);
        list_remove(&lane->node_);
        list_push_back(&level->ring_, &lane->node_);
    }
}

/* The level to be served: the most urgent, unless a less urgent one is owed its next request. */
static unsigned level_on_turn(struct fair_queue *q, const struct fair_rules *rules)
{
    unsigned urgent = FAIR_LEVELS;

    for (unsigned i = FAIR_LEVELS; i-- > 0;) {
        struct fair_level *level = &q->levels[i];
        if (level->tokens == 0)
            continue;
        urgent = i;
        if (level->owed_ == 0)
            continue;
        struct fair_lane *lane = lane_on_turn(level, i, rules);
        if (level->owed_ >= size_of(entry_of(lane->entries_.next)) * ONE)
            return i;
    }
    return urgent;
}

/* So many tokens were served at a level: less urgent ones that wait are owed a share, the next of them all of it. */
static void pay(struct fair_queue *q, const struct fair_rules *rules, unsigned served, uint64_t tokens)
{
    uint64_t paid = tokens * ONE;

    for (unsigned i = 0; i < FAIR_LEVELS && i < served; i++)
        if (q->levels[i].tokens) { /* served before its turn: that was the debt */
            struct fair_level *level = &q->levels[served];
            level->owed_ = level->owed_ > paid ? level->owed_ - paid : 0;
            return;
        }
    for (unsigned i = served + 1; i < FAIR_LEVELS; i++)
        if (q->levels[i].tokens) {
            q->levels[i].owed_ += tokens * rules->lower_share;
            return;
        }
}

struct fair_entry *fair_queue_pop(struct fair_queue *q, const struct fair_rules *rules, ns_t now, bool *ret_late)
{
    if (q->waiting == 0)
        return NULL;
    unsigned number = level_on_turn(q, rules);
    struct fair_lane *lane = lane_on_turn(&q->levels[number], number, rules);
    struct fair_entry *entry = entry_of(lane->entries_.next);
    uint64_t tokens = size_of(entry);

    rate(q, now);
    *ret_late = now > entry->start_by;
    if (!*ret_late) {
        lane->deficit_ -= (int64_t)tokens;
        q->served_ += tokens;
        pay(q, rules, number, tokens);
    }
    fair_queue_remove(q, entry);
    return entry;
}

void fair_queue_settle(struct fair_flow *flow, unsigned level, uint64_t estimated, uint64_t actual)
{
    struct fair_lane *lane = &flow->lanes[level];

    lane->deficit_ += (int64_t)counted(estimated) - (int64_t)counted(actual);
    if (list_is_empty(&lane->entries_) && lane->deficit_ > 0)
        lane->deficit_ = 0;
}
