/*
 * retry.h - whether a failed attempt is made again, where and when; and how many retries a route may afford. Pure.
 *
 * retry_decide() is a function of the rules, of what is known about the request, and of one random draw. The retry
 * budget is what keeps retries from multiplying an outage: it is plain state of a route, and each of its functions
 * takes the time.
 */
#ifndef POLICY_RETRY_H
#define POLICY_RETRY_H

#include "base/time.h"
#include "policy/cause.h"

#include <stdbool.h>
#include <stdint.h>

struct retry_rules {
    unsigned attempts; /* at most, the first one included; >= 1                                      */
    unsigned here;     /* retries at the same deployment before others are tried                     */
    ns_t base, cap;    /* of the exponential pause: [0, min(cap, base * 2^n)] before the n-th retry  */
    ns_t hint_max;     /* a longer pause that the provider asks for is not waited for                */
};

/* Three attempts, other deployments first, pauses up to 0.25, 0.5, ... 8 s; a provider may ask for up to 10 s. */
extern const struct retry_rules retry_rules_usual;

/* What is known when an attempt has failed. */
struct retry_ask {
    enum cause cause;
    bool repeatable; /* carrying the request out twice does no harm: no hosted tools, nothing stored      */
    bool delivered;  /* the client has seen a part of the answer                                          */
    bool told_not;   /* the provider said not to try it again there (x-should-retry: false)               */
    bool here_left;  /* this deployment and credential may still be used                                  */
    bool key_left;   /* another credential of this deployment may be used                                 */
    bool elsewhere_left;
    bool budget_left;   /* retry_budget_allows()                                                            */
    unsigned attempts;  /* made so far, >= 1                                                                */
    unsigned here_made; /* of them: retries at this deployment                                              */
    ns_t now, deadline; /* NS_NEVER: none                                                                   */
    ns_t needs;         /* an attempt that has less time than this left is not begun; >= 0                  */
    ns_t hint;          /* the pause that the provider asks for; <= 0: none                                 */
    uint64_t draw;      /* 64 uniform random bits                                                           */
};

enum retry_verb { RETRY_STOP, RETRY_HERE, RETRY_OTHER_KEY, RETRY_ELSEWHERE };

/* Why it stopped, or RETRY_GO. */
enum retry_reason {
    RETRY_GO,
    RETRY_FINAL,       /* the cause leaves no hope                               */
    RETRY_DELIVERED,   /* the client has seen a part                             */
    RETRY_SIDE_EFFECT, /* it may have been carried out, and must not be twice    */
    RETRY_ATTEMPTS,    /* enough of them were made                               */
    RETRY_NO_BUDGET,   /* the route's retry budget is spent                      */
    RETRY_NO_TIME,     /* the deadline, or the pause asked for is too long       */
    RETRY_NO_PLACE,    /* nowhere left to go                                     */
    RETRY_REASONS
};

struct retry_decision {
    enum retry_verb verb;
    enum retry_reason why;
    ns_t at; /* when to begin; `now` if at once. Undefined for RETRY_STOP */
};

/*
 * Decide. A retry that is decided on begins before the deadline less `needs`, never earlier than the provider's hint,
 * and never after a part was delivered. The pause is drawn with full jitter; at a hint it is the hint and up to a
 * tenth more, so that those who were told the same moment do not come back in it.
 */
struct retry_decision retry_decide(const struct retry_rules *rules, const struct retry_ask *ask);
/* "go", "side_effect", ...; static. */
const char *retry_reason_name(enum retry_reason reason) PURE;

struct retry_budget_rules {
    unsigned share; /* retries per 1,000 requests                                                */
    unsigned floor; /* retries per 1,000 seconds that a route with hardly any traffic has, too   */
};

/* 15 % of the requests, and three in ten seconds at least. A new account has ten to begin with. */
extern const struct retry_budget_rules retry_budget_usual;

enum { RETRY_BUDGET_SLOTS = 10 }; /* of one second each: what was not used in that time is gone */

/* A route's account, in thousandths of a retry. Zeroed, it is a new one. */
struct retry_budget {
    bool begun_;
    ns_t slot_;                           /* when the newest slot began          */
    uint64_t earned_[RETRY_BUDGET_SLOTS]; /* newest first                        */
    uint64_t balance_;
};

/* A request came (not: an attempt). */
void retry_budget_request(struct retry_budget *b, const struct retry_budget_rules *rules, ns_t now);
/* Is there enough for one retry? Does not take it. */
bool retry_budget_allows(struct retry_budget *b, const struct retry_budget_rules *rules, ns_t now);
/* Take one, if it is there; else false. */
bool retry_budget_take(struct retry_budget *b, const struct retry_budget_rules *rules, ns_t now) MUST_CHECK;
/* A retry that was taken has succeeded: it did not multiply an outage, and does not count. */
void retry_budget_return(struct retry_budget *b, const struct retry_budget_rules *rules, ns_t now);

#endif
