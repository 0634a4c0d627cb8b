/*
 * facts.h - what is known about one request when it is over: the source of metrics and of the access log. And about one message of a pipeline.
 *
 * Filled along a request's way, read once at its end. Strings are borrowed from the request.
 */
#ifndef OBSERVE_FACTS_H
#define OBSERVE_FACTS_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "llm/usage.h"
#include "policy/retry.h"
#include "policy/strategy.h"
#include "rt/addr.h"

#include <stdbool.h>
#include <stdint.h>

/* How an attempt at a deployment ended. */
enum attempt_outcome {
    ATTEMPT_OK,
    ATTEMPT_CONNECT,      /* name, dial or TLS failed; nothing was sent          */
    ATTEMPT_TIMEOUT,      /* connect, first byte or between bytes                */
    ATTEMPT_RATE_LIMITED, /* 429                                                 */
    ATTEMPT_REFUSED,      /* another 4xx: our request, or our credential         */
    ATTEMPT_SERVER_ERROR, /* 5xx                                                 */
    ATTEMPT_BROKEN,       /* broke off, or was not what the protocol says        */
    ATTEMPT_CANCELLED,    /* the client left                                     */
    ATTEMPT_OUTCOMES
};

/* What an attempt was for. */
enum attempt_role {
    ROLE_FIRST,        /* of the request                                              */
    ROLE_RETRY,        /* the same deployment again                                   */
    ROLE_ELSEWHERE,    /* another target of the route, because one before failed      */
    ROLE_FALLBACK,     /* of the route's fallbacks                                    */
    ROLE_HEDGE,        /* beside one that is late                                     */
    ROLE_CONTINUATION, /* goes on with an answer that broke off                       */
    ROLE_SHADOW,       /* for comparison: the client never sees it                    */
    ROLE_PROBE,        /* of health: nobody asked for it                              */
    ATTEMPT_ROLES
};
const char *attempt_role_name(enum attempt_role r);

/* One attempt, when it is over. What fleet/live was told of it is all here, so that a log of them can be folded anew. Instants are of
 * the monotonic clock; `wall` of `sent` ties them to the calendar. */
struct attempt_facts {
    struct str request; /* its id; of probes: empty                                             */
    unsigned number;    /* 1, 2, … within the request                                           */
    enum attempt_role role;
    struct str route;      /* configured model, as in facts.model_label                            */
    struct str deployment; /* its name                                                             */
    struct str label;      /* its name in metrics                                                  */
    struct str provider;
    struct str credential; /* its name within the provider; empty: the only one                 */
    uint64_t revision;     /* of the configuration                                              */
    enum cause cause;
    int status;                               /* of the provider's answer; 0: none                                 */
    struct str error_text;                    /* scrubbed                                                          */
    int64_t wall;                             /* when it was sent, nanoseconds since 1970                          */
    ns_t sent, first, last, ended;            /* first token, last token; 0: none                             */
    uint64_t seq_sent, seq_first, seq_ended;  /* order among all events of the process; 0: it was not counted */
    uint64_t input_estimate, output_estimate; /* tokens, as counted in at `sent`                   */
    bool stream, reused;                      /* reused: over a connection that was open           */
    struct usage usage;
    uint64_t price;    /* nano-US-dollars                                                          */
    bool is_priced;    /* else the price is not known                                              */
    bool is_estimated; /* the price is of the input as we estimated it: it was cut short before it told the true one */
    /* what was decided when it had failed */
    bool is_final; /* nothing more was tried                                            */
    enum retry_verb verb;
    enum retry_reason why;
    ns_t pause; /* before the next                                                   */
};

/* One candidate of a decision, as it was read. */
struct decision_candidate {
    struct str deployment;
    enum exclusion excluded;
    double score;
    unsigned weight, tier;
    double slow_start, time_per_unit, time_per_token, headroom, waited_per_unit;
    uint64_t in_flight, in_flight_tokens, cost;
};

/* One choice among deployments. */
struct decision_facts {
    struct str request;
    unsigned attempt; /* the number of the attempt that it led to */
    uint64_t revision, seq;
    ns_t at;
    struct str route;
    struct str rule;      /* the condition's name that led to the route; empty: its name did                 */
    struct str pool;      /* "targets", or "fallbacks.rate_limit": which list                                */
    const char *strategy; /* static                                                                          */
    const char *unit;     /* of scores; static                                                               */
    const char *why;      /* static                                                                          */
    struct str chosen;    /* deployment; empty: none could be chosen                                         */
    double score, probability;
    uint64_t draw, turn, input_tokens, output_tokens;
    uint64_t sticky;          /* hash of what stays together; 0: nothing does                           */
    struct str home;          /* deployment that holds a part of the prompt in its cache; empty: none      */
    uint64_t home_cached;     /* input tokens that it holds                                              */
    double ns_per_nanodollar; /* patience of the route then: see struct strategy_ask                     */
    bool ill_too;             /* nobody else was left: those taken out as ill were candidates, too      */
    uint64_t count, examined; /* candidates, and how many of them were looked at */
    struct decision_candidate *candidates; /* those examined first */
    size_t candidate_count;
};

struct facts {
    struct str id;             /* of the request                                  */
    const char *endpoint;      /* "chat", "embeddings", … static                  */
    struct str method, path;   /* path without query                              */
    const char *dialect;       /* that the client speaks: "anthropic", … static   */
    const char *translated_to; /* what was said to the provider in its place; NULL: bytes passed through */
    uint64_t dropped, emulated,
        changed;             /* places of the request that the translation could not carry over as they are */
    const struct addr *peer; /* the client's; NULL: not known                   */
    struct str key;          /* name of the gateway key; empty: anonymous       */
    struct str model;        /* as the client named it                          */
    struct str model_label;  /* as metrics name it: configured names only       */
    struct str deployment;   /* that answered or failed last; empty: none       */
    struct str provider;
    unsigned attempts;
    int status;  /* sent to the client; 499: the client left        */
    err_t error; /* OK if the request was answered in full          */
    struct str error_text;
    bool stream;
    int64_t wall;     /* when it came, nanoseconds since 1970            */
    ns_t total;       /* first byte in to last byte out                  */
    ns_t first_token; /* first byte in to first content out; 0: none     */
    ns_t overhead;    /* spent in the gateway itself before the answer began */
    uint64_t bytes_in, bytes_out;
    struct usage usage;          /* of the answer that the client got, all of its attempts together */
    uint64_t price;              /* nano-US-dollars, of all attempts                                */
    bool is_priced;              /* each of them is known,                                          */
    bool is_estimated;           /* but one of them is an estimate                                  */
    ns_t queued;                 /* waited in our own queue                                         */
    bool continued;              /* broke off in the middle and went on elsewhere                   */
    struct str rule;             /* see struct decision_facts                                       */
    uint64_t revision;           /* of the configuration                                            */
    struct attempt_facts *tried; /* in the order in which they began */
    size_t tried_count;
    struct decision_facts *decisions;
    size_t decision_count;
    uint64_t decisions_left_out; /* more than are kept were made: these, before the last of them */
};

/* How a message of a pipeline ended. */
enum root_outcome {
    OUTCOME_DONE,
    OUTCOME_DEAD,      /* there is a dead letter of it                                         */
    OUTCOME_LATE,      /* it could not be in time any more, dead letter or not                 */
    OUTCOME_CANCELLED, /* it did not come to its end here: it is begun again, or is another process's now */
    ROOT_OUTCOMES
};
const char *root_outcome_name(enum root_outcome o);

/* One message of a pipeline (a root), when nothing more is done for it here. What former runs did of it is not counted. */
struct root_facts {
    struct str root; /* its id, in hexadecimal                                                   */
    struct str pipeline;
    uint64_t version;  /* of the pipeline's file                                                 */
    struct str source; /* node that it came from                                                 */
    enum root_outcome outcome;
    int64_t wall;                /* when it was begun here, nanoseconds since 1970                           */
    int64_t sent_at;             /* when its sender sent it, as far as the source knows; likewise            */
    ns_t took;                   /* since `wall`                                                             */
    unsigned starts;             /* 1: it was begun once; more: again after a crash                          */
    uint64_t nodes, records;     /* that took part; that were worked on                              */
    uint64_t failed, dead, late; /* of the records; dead letters; calls that could not be in time any more */
    uint64_t calls, input_tokens, output_tokens; /* of models that were asked                    */
    uint64_t price;   /* nano-US-dollars                                                         */
    bool is_priced;   /* that of each call is known                                              */
    struct str trace; /* trace id of its `traceparent`; empty: none                              */
};

/* What a tap has shown of one record. */
struct tap_facts {
    struct str root, pipeline;
    uint64_t version;
    struct str node;       /* the tap                              */
    int64_t wall;          /* nanoseconds since 1970               */
    struct str shown;      /* JSON; empty: it could not be shown   */
    struct str error_text; /* why                                  */
    struct str trace;
};

#endif
