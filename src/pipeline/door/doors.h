/*
 * doors.h - where requests of clients come in to pipelines: a door for each path that a source has.
 *
 * Listeners are the loops', and a source lives on one of them. So who is at a door waits there, on whichever loop the request came, until the source takes
 * what was brought, and somebody answers. One set of doors for the process; what is guarded by its lock is a look-up or a link.
 *
 * A door outlives its source for a while: who comes while a pipeline is replaced waits for the next version.
 */
#ifndef PIPELINE_DOORS_H
#define PIPELINE_DOORS_H

#include "base/arena.h"
#include "net/http_server.h"
#include "pipeline/door/webhook.h"

struct doors;
struct door;
struct gateway;

struct doors *doors_new(void);
/* Nobody is at a door any more. NULL is allowed. */
void doors_free(struct doors *d);

/* The process ends: who waits at a door that no source has taken him from is told to come again, and so is everybody from now on. From any loop. */
void doors_shut(struct doors *d);

/* --- the request's side --- */

/*
 * If a source has the request's path: read it, check who sent it, wait for the answer, and give it. *ret_served false: no source has; nothing was done.
 *
 * gateway  this loop's, whose keys are asked for where a source says so
 *
 * Suspends. Errors: those of the reply.
 */
err_t doors_serve(struct doors *d, struct gateway *gateway, struct http_request *r, bool *ret_served) SUSPENDS
MUST_CHECK;

/* --- the source's side, on its loop --- */

struct door_options {
    struct str path;
    struct str id_header; /* that tells one message from another                                       */
    bool needs_id;        /* a request without it is refused                                           */
    bool needs_key;       /* one of the gateway's, if it has any                                       */
    const struct webhook_rules *signature; /* NULL: none is asked for                                  */
    uint64_t body_max;
    ns_t patience; /* so long an answer is waited for: then 202 with the id, or 503 if it is not in the journal */
};

/* Open the door at a path; all texts are copied. E_CONFLICT: somebody else has it. */
err_t door_open(struct doors *d, const struct door_options *o, struct door **ret) MUST_CHECK;
/* A source is to open it: until it does, what comes waits there, for as long as it may. Where a door is already nothing happens. The door of that path, either
 * way; `d`'s. */
struct door *door_announce(struct doors *d, const struct door_options *o);
/* NULL is allowed. */
void door_close(struct door *d);

/* What is brought to a door by somebody else than a client with a request: at a path that no request can have, one without "/" in front. Borrowed. */
struct door_message {
    struct str id; /* that it is known by for ever; empty: one is made */
    struct str body, traceparent;
};
/* Leave it there, and wait for nothing. False: too many wait already. From any loop; does not suspend. */
bool door_leave(struct door *d, const struct door_message *m) MUST_CHECK;
/* Bring it, and wait until it is answered. Suspends. E_OVERLOAD: too many wait; E_AGAIN at `until`, E_CANCELLED, E_DEADLINE: whoever takes it may answer yet. */
err_t door_bring(struct door *d, const struct door_message *m, ns_t until, int *ret_status) SUSPENDS MUST_CHECK;

/* Hears pieces of the answer as they come (knock_say()): what is heard is how the answer begins, if it comes to one. May suspend; its errors end the waiting. */
struct door_listener {
    err_t (*on_piece)(void *ctx, struct str piece) SUSPENDS;
    void *ctx;
};
struct door_answer {
    int status;
    struct str body;
    uint64_t input_tokens, output_tokens; /* as knock_spent() says */
};
/*
 * Bring it to the door at that path, for as long as its patience, and be told the answer, in the arena.
 *
 * listener  NULL: nobody hears pieces
 *
 * Likewise; E_NOT_FOUND: there is no such door; the listener's errors.
 */
err_t doors_ask(struct doors *d, struct str path, const struct door_message *m, const struct door_listener *listener,
                struct arena *arena, struct door_answer *ret) SUSPENDS MUST_CHECK;

/* A request at the door. It is answered exactly once, with knock_answer(). */
struct knock {
    struct knock *next; /* for whoever has it                                   */
    struct str id;      /* that it is known by for ever; made up if it has none */
    bool has_id;        /* its sender gave it                                   */
    struct str body, traceparent;
    int64_t at; /* when it came, nanoseconds since 1970 */
    struct knock_private *private_;
};

/* Take what was brought, `max` at most: *ret_first NULL: nothing until then. E_CANCELLED, E_DEADLINE. */
err_t door_take(struct door *d, size_t max, ns_t until, struct knock **ret_first) SUSPENDS MUST_CHECK;
/*
 * It was taken, and is not taken in: it waits at its door again, as the first, for whoever reads that next. If the doors are shut it is answered that the gateway stops.
 * Does not suspend.
 */
void knock_give_back(struct knock *k);
/* It is in the journal: a request that waits no longer is told so, and not to come again. */
void knock_is_safe(struct knock *k);
/* Has its request gone away, so that nobody will hear the answer? */
bool knock_is_gone(struct knock *k);
/* A piece of the answer that is to come, copied. False: nobody hears it, now or ever. Does not suspend. */
bool knock_say(struct knock *k, struct str piece);
/* Tokens that models were asked with for the answer: before knock_answer(). */
void knock_spent(struct knock *k, uint64_t input_tokens, uint64_t output_tokens);
/* Answer, and let go. The body is JSON, copied; empty: none. Does not suspend. */
void knock_answer(struct knock *k, int status, struct str body);

#endif
