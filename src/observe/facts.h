/*
 * facts.h - what is known about one request when it is over: the source of metrics and of the access log.
 *
 * Filled along a request's way, read once at its end. Strings are borrowed from the request.
 */
#ifndef OBSERVE_FACTS_H
#define OBSERVE_FACTS_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"
#include "llm/usage.h"
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
const char *attempt_outcome_name(enum attempt_outcome o);

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
    struct usage usage;
};

#endif
