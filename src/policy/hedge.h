/*
 * hedge.h - whether a request that waits for its first token is sent a second time, elsewhere, and when. Pure.
 *
 * The first to answer wins, the other is cancelled, and both are paid for. So hedges have an account, in requests and in
 * money, that ordinary requests fill.
 */
#ifndef POLICY_HEDGE_H
#define POLICY_HEDGE_H

#include "base/attr.h"
#include "base/time.h"
#include "policy/latency.h"

#include <stdbool.h>
#include <stdint.h>

struct hedge_rules {
    double quantile;   /* of the times to first token, after which one is late, (0, 1)               */
    unsigned requests; /* hedges per 1,000 requests                                                  */
    unsigned spend;    /* thousandths of the money that requests cost                                */
    ns_t least;        /* never earlier than that                                                    */
    unsigned samples;  /* of the distribution, without which nothing is known                        */
};

/* 0.95, 2 % of requests and of spend, 50 ms, 100 samples. */
extern const struct hedge_rules hedge_rules_usual;

/* A route's account. Zeroed, it is a new one. */
struct hedge_account {
    uint64_t requests_; /* in thousandths, up to ten hedges                       */
    uint64_t money_;    /* nano-US-dollars x 1,000, up to ten usual requests      */
    uint64_t usual_;    /* moving average of what requests cost                   */
};

/* A request of the route that is expected to cost so much; not for hedges. */
void hedge_request(struct hedge_account *a, const struct hedge_rules *rules, uint64_t cost);
/* Is there enough for a hedge of that cost? Take it, then, or false. */
bool hedge_take(struct hedge_account *a, const struct hedge_rules *rules, uint64_t cost) MUST_CHECK;
/* The hedge for which that was taken was not sent. */
void hedge_return(struct hedge_account *a, uint64_t cost);
/* It was, and because of it so much was spent in vain as `spent`, instead of `taken`. */
void hedge_settle(struct hedge_account *a, uint64_t taken, uint64_t spent);

enum hedge_reason {
    HEDGE_GO,
    HEDGE_OFF,         /* the rules allow none                                   */
    HEDGE_SIDE_EFFECT, /* carrying it out twice could do harm                    */
    HEDGE_ANSWERED,    /* the first token is there                               */
    HEDGE_AGAIN,       /* there is a hedge already, or this is one               */
    HEDGE_NO_PLACE,    /* no other deployment or credential                      */
    HEDGE_UNKNOWN,     /* too few observations to say what is late               */
    HEDGE_NO_TIME,     /* the deadline is before it would begin                  */
    HEDGE_REASONS
};
/* "side_effect", ...; static. */
const char *hedge_reason_name(enum hedge_reason r) PURE;

struct hedge_ask {
    bool repeatable; /* no tools with side effects, nothing stored */
    bool answered, hedged, elsewhere_left;
    ns_t sent, deadline;
    uint64_t uncached_tokens; /* of its input */
    /* Times to first token where it was sent, each as latency_of_base(). Those that a hedge cut short are to be in it, too,
     * with the time until then: else the slow ones vanish from it, and ever more count as late. */
    const struct latency_digest *seen;
};

struct hedge_decision {
    enum hedge_reason why; /* HEDGE_GO: when `at` comes without a first token, and hedge_take() allows it */
    ns_t at;
};

struct hedge_decision hedge_decide(const struct hedge_rules *rules, const struct hedge_ask *ask);

#endif
