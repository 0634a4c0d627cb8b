/*
 * inner.h - requests that the process itself makes of the gateway, as if a client had: resolved, routed, limited, failed over, counted and recorded like any
 * other, in the fiber of who asks and without a socket.
 */
#ifndef GATEWAY_INNER_H
#define GATEWAY_INNER_H

#include "base/arena.h"
#include "gateway/gateway.h"
#include "llm/usage.h"

struct inner_question {
    struct str path;        /* "/v1/chat/completions": of any dialect; it is a POST                        */
    struct str body;        /* JSON                                                                        */
    struct str id;          /* of the request, in records and logs; empty: one is made                      */
    struct str traceparent; /* empty: none                                                                 */
    struct str key;         /* name of the API key on whose account it goes; empty: nobody's, so no key's limits hold */
    size_t answer_max;      /* bytes of the answer                                                         */
    /* Hears the pieces of a successful answer as they come; it is not gathered then. An error breaks it off, and the provider's stream with it.
     * NULL: it is gathered. Must not suspend. */
    err_t (*on_piece)(void *ctx, struct str piece);
    void *ctx;
};

struct inner_answer {
    int status;                      /* as a client would have seen it                           */
    struct str body;                 /* gathered                                                 */
    bool is_whole;                   /* else it broke off                                        */
    struct str id;                   /* of the request                                           */
    struct str model;                /* as the configuration names it: the route                 */
    struct str deployment, provider; /* that answered or failed last; empty: none */
    unsigned attempts;
    struct usage usage;
    uint64_t price;   /* nano-US-dollars, of all attempts                         */
    bool is_priced;   /* else it is not known                                     */
    struct str error; /* of an answer that is none, for people; empty: it is one  */
};

/*
 * Ask. On the gateway's loop.
 *
 * Suspends. The fiber's deadline is the request's, and cancelling the fiber closes the call to the provider.
 *
 * arena  for all that *ret points to; what the request itself needs is given back
 *
 * Errors: E_CANCELLED, E_DEADLINE; E_TOO_LARGE: answer_max; on_piece()'s. Everything else is a status.
 */
err_t gateway_ask(struct gateway *g, const struct inner_question *q, struct arena *arena, struct inner_answer *ret)
    SUSPENDS MUST_CHECK;
/*
 * What the status means to who asked: OK for a whole answer of 2xx; else E_OVERLOAD (429), E_DEADLINE (408, 504), E_UPSTREAM (other 5xx, and what broke
 * off), E_FORBIDDEN (all others, which would be answered alike again), with the words of the answer.
 */
err_t inner_check(const struct inner_answer *a) MUST_CHECK;

#endif
