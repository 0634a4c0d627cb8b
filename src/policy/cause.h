/*
 * cause.h - why an attempt ended, and what that means. Pure.
 *
 * Everything that survives failure asks the same four questions about an attempt: may it be made again and where, does
 * it speak against the deployment's health, what does it say about the credential, and which list of fallbacks is meant
 * for it. The answers stand in one table (cause.c), so that retry, ejection, limits and fallback cannot disagree.
 */
#ifndef POLICY_CAUSE_H
#define POLICY_CAUSE_H

#include "base/attr.h"

#include <stdbool.h>

enum cause {
    CAUSE_OK,               /* answered in full                                                            */
    CAUSE_CONNECT,          /* name, dial or TLS failed, or no connection came free: nothing was sent      */
    CAUSE_RESET,            /* the connection broke after the request began and before any byte came       */
    CAUSE_TIMEOUT_FIRST,    /* no first token within its limit                                             */
    CAUSE_TIMEOUT_BETWEEN,  /* the stream fell silent for longer than its limit                            */
    CAUSE_TIMEOUT_TOTAL,    /* the route's limit for the whole passed while the attempt was going on       */
    CAUSE_DEADLINE,         /* the client's own, shorter deadline passed: says nothing about the provider  */
    CAUSE_REQUEST_TIMEOUT,  /* 408: the provider did not get the request in time                           */
    CAUSE_CONFLICT,         /* 409                                                                         */
    CAUSE_TOO_EARLY,        /* 425                                                                         */
    CAUSE_RATE_LIMITED,     /* 429 that passes: requests or tokens per minute                              */
    CAUSE_QUOTA,            /* 402, or a 429 that does not pass: the account's money or quota is spent      */
    CAUSE_AUTH,             /* 401, 403: our credential is not accepted                                    */
    CAUSE_NOT_FOUND,        /* 404: model or path do not exist there                                       */
    CAUSE_REDIRECT,         /* 3xx: the configured address is wrong                                        */
    CAUSE_SERVER_ERROR,     /* 500, 502 and other 5xx                                                      */
    CAUSE_OVERLOADED,       /* 503, 529: no capacity                                                       */
    CAUSE_UPSTREAM_TIMEOUT, /* 504: the provider waited in vain for its own                                */
    CAUSE_CONTEXT_LENGTH,   /* the request is larger than the model or the endpoint takes; 413             */
    CAUSE_CONTENT_FILTER,   /* refused, or the answer withheld, for what it says                           */
    CAUSE_CLIENT_ERROR,     /* 400, 422 and other 4xx: it would be the same elsewhere                      */
    CAUSE_EMPTY,            /* success without content                                                     */
    CAUSE_MALFORMED,        /* success that is not what the protocol says                                  */
    CAUSE_BROKEN,           /* the stream broke off, or told an error, after content                       */
    CAUSE_CANCELLED,        /* the client left                                                             */
    CAUSE_SUPERSEDED,       /* a hedge: the other attempt was first                                        */
    CAUSE_BUDGET,           /* not sent: money or tokens set aside for it are spent                        */
    CAUSE_NO_CAPACITY,      /* not sent: our own limit for the deployment or its credentials is reached    */
    CAUSES
};

/* What may be tried after it; several may hold. Whether one is worth it is retry.h's decision. */
enum {
    AGAIN_HERE = 1,      /* the same deployment and credential, after a pause              */
    AGAIN_OTHER_KEY = 2, /* the same deployment with another credential, at once           */
    AGAIN_ELSEWHERE = 4, /* another deployment, at once                                    */
};

/* What it says about the deployment's health. */
enum cause_health {
    CAUSE_HEALTH_NONE, /* nothing                                                              */
    CAUSE_HEALTH_GOOD, /* it works, whatever it answered: a clean refusal is a sign of life    */
    CAUSE_HEALTH_ILL,
};

/* What it says about the credential that was used. */
enum cause_key {
    CAUSE_KEY_NONE,
    CAUSE_KEY_PARK,   /* rest it until its limit resets       */
    CAUSE_KEY_RETIRE, /* not to be used again until replaced  */
};

/* Which list of a route's fallbacks is meant for it; FALLBACK_ANY stands in for each that is not configured. */
enum fallback {
    FALLBACK_NONE, /* no other deployment can help   */
    FALLBACK_ANY,
    FALLBACK_CONTEXT_LENGTH,
    FALLBACK_CONTENT_FILTER,
    FALLBACK_RATE_LIMIT,
    FALLBACK_SERVER_ERROR,
    FALLBACK_TIMEOUT,
    FALLBACK_BUDGET,
    FALLBACKS
};

struct cause_meaning {
    const char *name;  /* in metrics, records and logs: "rate_limited"; static                       */
    const char *words; /* for people: "the provider's rate limit is reached"; static                 */
    unsigned again;    /* AGAIN_...                                                                  */
    enum cause_health health;
    enum cause_key key;
    enum fallback fallback;
    bool may_have_run; /* the provider may have begun to carry the request out                       */
    bool waits_long;   /* a pause is as long as a limit's window: waiting there is the last resort    */
    bool of_request;   /* it is about this request alone: what is tried after it multiplies no outage */
};

/* What `cause` means. Static; never NULL. */
const struct cause_meaning *cause_meaning(enum cause cause) PURE;
/*
 * The cause that a final HTTP status (200-599) stands for when its body says nothing more precise; 2xx is CAUSE_OK.
 * Who has read an error's class from the body names CAUSE_QUOTA, CAUSE_CONTEXT_LENGTH, CAUSE_CONTENT_FILTER and
 * CAUSE_OVERLOADED itself.
 */
enum cause cause_of_status(int status) PURE;
/* Name of a list of fallbacks as the configuration spells it: "context_length"; "none". Static. */
const char *fallback_name(enum fallback fallback) PURE;

#endif
