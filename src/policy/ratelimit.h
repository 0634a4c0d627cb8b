/*
 * ratelimit.h - what a credential may still send: learned limits, parking, retirement, rotation. Pure.
 *
 * struct rate_credential is what is known about one credential of a provider. It is fed with what is sent and with what
 * answers tell (rate_headers.h), and says before each request whether the provider would refuse it, so that the 429 is not
 * fetched. What an answer does not tell is not limited.
 */
#ifndef POLICY_RATELIMIT_H
#define POLICY_RATELIMIT_H

#include "base/time.h"
#include "policy/cause.h"
#include "policy/rate_headers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate_rules {
    ns_t park,
        park_max; /* after a 429 that does not say for how long: `park`, twice as long each time in a row, up to park_max */
    ns_t quota;        /* after spent quota, likewise                                                    */
    ns_t hint_max;     /* a longer rest, or a later reset, that the provider names is cut to this */
    unsigned refusals; /* in a row, each sent when the one before was known, until it is retired; > 0   */
    ns_t retire,
        retire_max; /* so long until a retired one is tried with one request; twice as long each time it is refused again */
};

/* 2 s to a minute; quota 5 minutes; hints up to a day; retired by the first refusal, tried after 10 s to 10 minutes. */
extern const struct rate_rules rate_rules_usual;

/* What a request needs; estimates will do. */
struct rate_need {
    uint64_t input_tokens, output_tokens;
};

enum rate_state { RATE_OPEN, RATE_PARKED, RATE_RETIRED };

/* One learned limit. */
struct rate_account {
    struct rate_window window; /* as told last; its `remaining` less what was sent since                    */
    ns_t learned;              /* when                                                                      */
    ns_t told;                 /* the same, or its last reset since                                         */
    uint64_t told_remaining;
    ns_t length;  /* from being told to its reset, as told last                               */
    bool refills; /* it grows all the time, as a token bucket does, and not at its reset only  */
    bool fixed;   /* it was taken for a bucket, and that was a mistake                         */
};

/* Zeroed: open, nothing known. Retirement ends by a request that is accepted; or by zeroing it, when the credential was replaced. */
struct rate_credential {
    enum rate_state state;
    enum cause why;       /* of parked and retired                                     */
    ns_t since, until;    /* until: of parked; of retired: when it may be tried        */
    unsigned parks;       /* in a row                                                  */
    unsigned refusals;    /* in a row                                                  */
    unsigned retirements; /* in a row: without an answer in between                    */
    bool probing;         /* retired, and being tried by a request that is under way   */
    ns_t refused;         /* when it was refused last                                  */
    unsigned account_count;
    struct rate_account accounts[RATE_WINDOWS_MAX];
    uint64_t sent_[RATE_WHATS]; /* all that was ever sent  */
};

/* What a request that is under way remembers, so that its answer can be told from the answers of others. */
struct rate_stamp {
    uint64_t sent[RATE_WHATS]; /* by then, itself included        */
    ns_t at;
    bool is_probe; /* of a retired credential */
};

enum rate_answer {
    RATE_ALLOWED,
    RATE_WAIT,  /* parked, or a limit has too little left: not before `at`   */
    RATE_NEVER, /* retired, or the request is larger than the whole limit     */
};

struct rate_verdict {
    enum rate_answer answer;
    ns_t at;       /* of RATE_WAIT: when it may do; else undefined                          */
    int account;   /* that is in the way; -1: none, the credential itself                   */
    bool is_probe; /* of RATE_ALLOWED: it is retired, and this would try whether it still is */
};

/* What the request takes off a limit of that kind. */
uint64_t rate_cost(const struct rate_need *need, enum rate_what what) PURE;
/* What an account has left now, as far as one can know; UINT64_MAX: not known. */
uint64_t rate_account_left(struct rate_account *a, ns_t now);
/* What the tightest limit of that kind has left; UINT64_MAX: none is known. */
uint64_t rate_left(struct rate_credential *c, enum rate_what what, ns_t now);
/* Would the provider take the request? Ends a rest whose time is over. */
struct rate_verdict rate_gate(struct rate_credential *c, const struct rate_need *need, ns_t now);
/* The same where nothing else is left: a retired one may be tried before its time, by one request at a time. */
struct rate_verdict rate_gate_at_last(struct rate_credential *c, const struct rate_need *need, ns_t now);
/* It is sent. */
struct rate_stamp rate_sent(struct rate_credential *c, const struct rate_need *need, ns_t now) MUST_CHECK;
/*
 * Its answer's head is there, or will never be. `reading`: what its headers told; NULL: no answer. Parks the credential
 * on CAUSE_RATE_LIMITED and CAUSE_QUOTA, retires it on CAUSE_AUTH; true if that is new, for an alarm. A retired one that is tried
 * and not refused is open again.
 */
bool rate_answered(struct rate_credential *c, const struct rate_rules *rules, const struct rate_stamp *stamp,
                   enum cause cause, const struct rate_reading *reading, ns_t now);
/* The least share that any limit has left, 0 to 1; 1 if no limit is known, 0 if it may not be used now. */
double rate_headroom(struct rate_credential *c, ns_t now);

/* A credential to choose: how rate_gate() and rate_headroom() judge it for the request, and its share where others are as free. */
struct rate_option {
    struct rate_verdict verdict;
    double headroom;
    unsigned weight; /* 1 to RATE_WEIGHT_MAX */
};
enum { RATE_WEIGHT_MAX = 1000000 };

/*
 * Which of `n` credentials takes the request: one of those that may, drawn in proportion to weight and headroom. One that is to be
 * tried has all the headroom, so that it is soon. SIZE_MAX if none may; *ret_at then tells when one may do, NS_NEVER: none ever.
 */
size_t rate_choose(const struct rate_option *options, size_t n, uint64_t draw, ns_t now, ns_t *ret_at);

#endif
