/*
 * hear.h - somebody who is told what clients asked models and what they were answered. A hook: the gateway does not know who, or what for.
 */
#ifndef GATEWAY_HEAR_H
#define GATEWAY_HEAR_H

#include "base/arena.h"
#include "base/str.h"
#include "base/time.h"
#include "observe/facts.h"
#include "rt/fiber.h"

/* A request that was answered in full, with a status of success. Borrowed. */
struct heard {
    const struct facts *facts; /* all but what is known only when the last byte has left: status, total, bytes_out */
    ns_t took;                 /* so far, since its first byte came */
    struct str traceparent;    /* the client's; empty: none         */
    struct str request;        /* the client's body: JSON           */
    /* In the client's dialect; of a stream, what it said put together as the dialect's plain answer, or its bytes if the dialect has no such thing. */
    struct str answer;
};

enum { HEARD_MAX = 12 << 20 }; /* bytes of a request, and of an answer: what is larger is not told */

struct gateway_hearer {
    /*
     * Is the answer of that model wanted, as the configuration names it, to the request of that id? What is returned is handed to the others; NULL: no. It is
     * in the request's arena, if it needs memory. *ret_waits: the answer is not to end for the client before tell() has returned.
     *
     * A few operations: asked of each request. Does not suspend.
     */
    void *(*wants)(void *ctx, struct str model, struct str id, struct arena *arena, bool *ret_waits);
    /* Told. May suspend for a bounded time only if it waits, else not at all. */
    void (*tell)(void *ctx, void *wanted, const struct heard *h) SUSPENDS;
    /* It was wanted, and cannot be told: it was too large. */
    void (*miss)(void *ctx, void *wanted);
    void *ctx;
};

#endif
