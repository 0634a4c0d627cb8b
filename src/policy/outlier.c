/*
 * outlier.c - ejection of ill deployments, and their return.
 *
 * The three detectors see different illnesses: failures in a row find death within seconds at any traffic, the share in a
 * sliding window finds what fails now and then, and slowness relative to the peers finds the poison that answers
 * everything, late. The idea and most numbers are Envoy's outlier detection; the differences: what a failure is comes from
 * the table of causes, so that limits and clients' mistakes never count; the return is by few real requests and a slow
 * start, so that a deployment that has just come up is not met by everybody at once; and slowness counts.
 *
 * The share that may be out is large by default, because a provider's outage takes all of its deployments, and each that
 * stays in use costs every request that meets it an attempt. What remains is protected from the crowd by limits and queues,
 * not by dead peers.
 *
 * Invariants: with `out` told truly, never more than the stated share of peers is out; an ejection lasts at least `eject`
 * and at most `eject_max`; while probing, at most `probes` requests are under way; news of attempts that were sent before
 * the last ejection change nothing.
 *
 * Does not: probe actively, or know of credentials. An alarm is the caller's, when the state has changed.
 */
#include "policy/outlier.h"

#include "policy/latency.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* With fewer others measured, nobody can say which of them is the slow one. */
enum { MEASURED_LEAST = 2 };

const struct outlier_rules outlier_rules_usual = {
    .consecutive = 5,
    .share = 500,
    .volume = 10,
    .window = 10 * NS_SEC,
    .slow = 5,
    .slow_for = 10 * NS_SEC,
    .eject = 5 * NS_SEC,
    .eject_max = 300 * NS_SEC,
    .forgive = 60 * NS_SEC,
    .share_max = 800,
    .probes = 1,
    .successes = 2,
    .start = 30 * NS_SEC,
    .start_least = 0.1,
};

const char *outlier_state_name(enum outlier_state s)
{
    static const char *const names[OUTLIER_STATES] = {
        [OUTLIER_IN_USE] = "in use",
        [OUTLIER_EJECTED] = "ejected",
        [OUTLIER_PROBING] = "probing",
        [OUTLIER_STARTING] = "starting",
    };

    assert((unsigned)s < OUTLIER_STATES);
    return names[s];
}

const char *outlier_reason_words(enum outlier_reason r)
{
    static const char *const words[OUTLIER_REASONS] = {
        [OUTLIER_NONE] = "no complaints",
        [OUTLIER_CONSECUTIVE] = "failures in a row",
        [OUTLIER_SHARE] = "too large a share of failures",
        [OUTLIER_SLOW] = "slower than its peers",
        [OUTLIER_PROBE] = "a probe failed",
        [OUTLIER_TIME] = "its time was over",
        [OUTLIER_TRUSTED] = "its probes succeeded",
    };

    assert((unsigned)r < OUTLIER_REASONS);
    return words[r];
}

static void enter(struct outlier *o, enum outlier_state state, enum outlier_reason reason, ns_t since, ns_t until)
{
    o->state = state;
    o->reason = reason;
    o->since = since;
    o->until = until;
}

/* A new life: what was counted before does not matter any more. */
static void start_over(struct outlier *o)
{
    o->life_++;
    o->consecutive_ = o->probes_out_ = o->successes_ = 0;
    o->slow_since_ = 0;
    o->withheld = o->window_begun_ = false;
}

static ns_t ejection_time(const struct outlier *o, const struct outlier_rules *rules)
{
    unsigned doublings = o->ejections - 1;

    if (doublings >= 62 || rules->eject > (rules->eject_max >> doublings))
        return rules->eject_max;
    return rules->eject << doublings;
}

static void eject(struct outlier *o, const struct outlier_rules *rules, enum outlier_reason reason, ns_t now)
{
    if (o->state == OUTLIER_IN_USE) {
        ns_t forgiven = (now - o->since) / rules->forgive;
        o->ejections -= forgiven < (ns_t)o->ejections ? (unsigned)forgiven : o->ejections;
    }
    o->ejections++;
    start_over(o);
    enter(o, OUTLIER_EJECTED, reason, now, ns_add(now, ejection_time(o, rules)));
}

static bool may_eject(const struct outlier_rules *rules, const struct outlier_peers *peers)
{
    unsigned most = (unsigned)((uint64_t)peers->count * rules->share_max / 1000);

    most = most == 0 && peers->count > 1 ? 1 : most;
    return peers->out < most;
}

/* Eject if the group can do without it. */
static void accuse(struct outlier *o, const struct outlier_rules *rules, const struct outlier_peers *peers,
                   enum outlier_reason reason, ns_t now)
{
    if (may_eject(rules, peers))
        eject(o, rules, reason, now);
    else
        o->withheld = true;
}

enum outlier_state outlier_at(struct outlier *o, ns_t now)
{
    if (o->state == OUTLIER_EJECTED && now >= o->until) {
        start_over(o);
        enter(o, OUTLIER_PROBING, OUTLIER_TIME, o->until, NS_NEVER);
    }
    if (o->state == OUTLIER_STARTING && now >= o->until)
        enter(o, OUTLIER_IN_USE, OUTLIER_TRUSTED, o->until, NS_NEVER);
    return o->state;
}

bool outlier_admits(struct outlier *o, const struct outlier_rules *rules, ns_t now)
{
    switch (outlier_at(o, now)) {
    case OUTLIER_IN_USE:
    case OUTLIER_STARTING:
        return true;
    case OUTLIER_PROBING:
        return o->probes_out_ < rules->probes;
    case OUTLIER_EJECTED:
    case OUTLIER_STATES:
        break;
    }
    return false;
}

double outlier_share(const struct outlier *o, const struct outlier_rules *rules, ns_t now)
{
    /* Probes are few by their number: with little weight besides, strategies that take the best would send none. */
    return o->state == OUTLIER_STARTING ? slow_start(o->since, rules->start, rules->start_least, now) : 1;
}

struct outlier_stamp outlier_sent(struct outlier *o, ns_t now)
{
    o->probes_out_ += outlier_at(o, now) == OUTLIER_PROBING;
    return (struct outlier_stamp){o->life_, ++o->number_};
}

/* Was a sent after b? Numbers wrap round. */
static bool after(unsigned a, unsigned b)
{
    return (int)(a - b) > 0;
}

static void count(struct outlier *o, const struct outlier_rules *rules, bool ill, ns_t now)
{
    ns_t span = rules->window / OUTLIER_SLOTS > 0 ? rules->window / OUTLIER_SLOTS : 1;

    if (!o->window_begun_ || now - o->slot_ >= OUTLIER_SLOTS * span) {
        memset(o->good_, 0, sizeof o->good_);
        memset(o->ill_, 0, sizeof o->ill_);
        o->slot_ = now;
        o->window_begun_ = true;
    }
    for (; now - o->slot_ >= span; o->slot_ += span) {
        memmove(o->good_ + 1, o->good_, sizeof o->good_ - sizeof o->good_[0]);
        memmove(o->ill_ + 1, o->ill_, sizeof o->ill_ - sizeof o->ill_[0]);
        o->good_[0] = o->ill_[0] = 0;
    }
    *(ill ? &o->ill_[0] : &o->good_[0]) += 1;
}

void outlier_recent(const struct outlier *o, const struct outlier_rules *rules, ns_t now, uint64_t *ret_good,
                    uint64_t *ret_ill)
{
    ns_t span = rules->window / OUTLIER_SLOTS > 0 ? rules->window / OUTLIER_SLOTS : 1;
    ns_t gone = o->window_begun_ ? (now - o->slot_) / span : OUTLIER_SLOTS; /* slots that time has pushed out */

    *ret_good = *ret_ill = 0;
    for (ns_t i = 0; i + gone < OUTLIER_SLOTS; i++) {
        *ret_good += o->good_[i];
        *ret_ill += o->ill_[i];
    }
}

static bool has_share_of_failures(const struct outlier *o, const struct outlier_rules *rules)
{
    uint64_t good = 0, ill = 0;

    for (size_t i = 0; i < OUTLIER_SLOTS; i++) {
        good += o->good_[i];
        ill += o->ill_[i];
    }
    return rules->share && good + ill >= rules->volume && ill * 1000 >= (good + ill) * rules->share;
}

static void ended_well(struct outlier *o, const struct outlier_rules *rules, struct outlier_stamp stamp, ns_t now)
{
    if (after(stamp.number, o->ill_number_)) /* a long answer that began before the failures does not end their row */
        o->consecutive_ = 0;
    if (o->state == OUTLIER_PROBING && ++o->successes_ >= rules->successes)
        enter(o, OUTLIER_STARTING, OUTLIER_TRUSTED, now, ns_add(now, rules->start));
}

static void ended_ill(struct outlier *o, const struct outlier_rules *rules, const struct outlier_peers *peers,
                      struct outlier_stamp stamp, ns_t now)
{
    if (after(stamp.number, o->ill_number_))
        o->ill_number_ = stamp.number;
    o->consecutive_++;
    if (o->state == OUTLIER_PROBING)
        eject(o, rules, OUTLIER_PROBE, now); /* it was out already: the share of its group does not change */
    else if (rules->consecutive && o->consecutive_ >= rules->consecutive)
        accuse(o, rules, peers, OUTLIER_CONSECUTIVE, now);
    else if (has_share_of_failures(o, rules))
        accuse(o, rules, peers, OUTLIER_SHARE, now);
}

void outlier_ended(struct outlier *o, const struct outlier_rules *rules, const struct outlier_peers *peers,
                   struct outlier_stamp stamp, enum cause cause, ns_t now)
{
    enum cause_health health = cause_meaning(cause)->health;

    outlier_at(o, now);
    if (health == CAUSE_HEALTH_ILL)
        o->last_ill = cause;
    if (stamp.life != o->life_)
        return;
    o->probes_out_ -= o->probes_out_ > 0;
    if (health == CAUSE_HEALTH_NONE)
        return;
    count(o, rules, health == CAUSE_HEALTH_ILL, now);
    if (health == CAUSE_HEALTH_ILL) {
        ended_ill(o, rules, peers, stamp, now);
        return;
    }
    ended_well(o, rules, stamp, now);
    o->withheld = o->withheld && (o->slow_since_ || has_share_of_failures(o, rules));
}

/* Can it be said of anything that it is slow? */
static bool knows_slow(const struct outlier_rules *rules, const struct outlier_peers *peers)
{
    return rules->slow > 0 && peers->measured >= MEASURED_LEAST && peers->median > 0;
}

void outlier_probed(struct outlier *o, const struct outlier_rules *rules, const struct outlier_peers *peers,
                    struct outlier_stamp stamp, double time, ns_t now)
{
    if (outlier_at(o, now) != OUTLIER_PROBING || stamp.life != o->life_ || !knows_slow(rules, peers))
        return;
    if (time > rules->slow * peers->median)
        eject(o, rules, OUTLIER_SLOW, now);
}

void outlier_slow(struct outlier *o, const struct outlier_rules *rules, const struct outlier_peers *peers,
                  double estimate, ns_t now)
{
    enum outlier_state state = outlier_at(o, now);

    if (!knows_slow(rules, peers) || (state != OUTLIER_IN_USE && state != OUTLIER_STARTING))
        return;
    if (estimate <= rules->slow * peers->median) {
        o->slow_since_ = 0;
        return;
    }
    if (o->slow_since_ == 0)
        o->slow_since_ = now;
    else if (now - o->slow_since_ >= rules->slow_for)
        accuse(o, rules, peers, OUTLIER_SLOW, now);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double outlier_median(double *values, size_t n)
{
    if (n == 0)
        return 0;
    qsort(values, n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
