/*
 * exchange.h - one request on its way through the gateway: the state that its steps share. Private to gateway/.
 *
 * Lives in the request's arena. The steps are in the order of gateway/request.c; each file takes the exchange one step on.
 */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include "gateway/endpoint.h"
#include "gateway/gateway.h"
#include "gateway/snapshot.h"
#include "llm/openai_body.h"
#include "llm/openai_error.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "observe/facts.h"

enum { MAX_ATTEMPTS = 8 };

struct held;

/* A deployment to try. Those reached as "<provider>/<model>" are not in the catalog, so it holds what is needed itself. */
struct candidate {
    const struct provider *provider;
    struct str model; /* the provider's name of it          */
    struct str name;  /* of the deployment                  */
    struct str label; /* the name in metrics                */
};

struct exchange {
    struct gateway *gateway;
    struct http_request *r;
    const struct snapshot *snapshot;
    struct held *held; /* gateway.c's hold on it             */
    struct endpoint endpoint;
    struct openai_request request;             /* of model endpoints                 */
    const struct api_key *key;                 /* NULL: anonymous                    */
    const struct model *model;                 /* configured; NULL: reached by its provider's name */
    struct timeouts timeouts;                  /* of the attempt under way           */
    struct candidate candidates[MAX_ATTEMPTS]; /* in the order to try    */
    size_t candidate_count;
    const struct candidate *chosen; /* that is tried now or answered      */
    struct facts facts;
    err_t client_error; /* why the client's streamed body could not be read */
    struct str client_error_text;
    ns_t started; /* exact: when the handler began      */
    ns_t waited;  /* time that was not ours: for the body, for the provider */
};

/* --- reply.c: answers of our own --- */

/* Answer with an error in OpenAI's shape, unless an answer has begun: then it is broken off. Notes it in the facts. Returns OK, or why it could not be
 * written. */
err_t reply_error(struct exchange *x, const struct api_error *e) SUSPENDS MUST_CHECK;
/* The same from an error code: status and text of `e`, with the current error record's detail; `code` may be NULL. */
err_t reply_err(struct exchange *x, err_t e, const char *code) SUSPENDS MUST_CHECK;
/* Headers of every answer: x-request-id, x-crossdock-*. Appends to `to`, which has room for OWN_HEADERS; returns how many. */
enum { OWN_HEADERS = 6 };
size_t own_headers(struct exchange *x, struct http_header *to);
/* A JSON answer of our own. */
err_t reply_json(struct exchange *x, int status, struct str body) SUSPENDS MUST_CHECK;

/* --- authenticate.c --- */

/* Find the caller's key. E_AUTH with words for the client. Sets x->key. */
err_t authenticate(struct exchange *x) MUST_CHECK;

/* --- route.c --- */

/* Resolve the requested model to candidates. E_NOT_FOUND, E_FORBIDDEN with words for the client. */
err_t route(struct exchange *x, struct str model) MUST_CHECK;
/* The one candidate of pass-through requests. E_NOT_FOUND, E_FORBIDDEN. */
err_t route_pass_through(struct exchange *x) MUST_CHECK;

/* --- models.c --- */

err_t serve_models(struct exchange *x) SUSPENDS MUST_CHECK;

/* --- forward.c: headers between client and provider --- */

/* Headers to send to the provider of x->chosen: the client's, without what is between the client and us, plus credential and
 * configured ones. In the request's arena. */
void forward_request_headers(struct exchange *x, struct http_header **ret_headers, size_t *ret_count);
/* Headers to answer with: the provider's, without what is between it and us, plus our own. */
void forward_answer_headers(struct exchange *x, const struct http_call *call, struct http_header **ret_headers,
                            size_t *ret_count);
/* Path and query at the provider for x->endpoint. */
struct str forward_target(struct exchange *x);

/* --- attempt.c --- */

/* What the provider answered to one attempt. */
struct attempt {
    struct http_call *call; /* NULL: no answer                                       */
    struct http_call_times times;
    enum attempt_outcome outcome;
    err_t error;           /* of the transport                                      */
    struct str error_text; /* for the client: no secret, no URL; in the arena       */
    int status;            /* of the answer; 0: none                                */
    bool retryable;        /* another deployment may do better                      */
    struct str body;       /* a whole answer that was held back                     */
    bool has_body;         /* of a stream: its first bytes                          */
    bool is_stream;
    struct usage usage;
};

/* Send x's request to x->chosen and look at what comes, up to where it can be handed on. The caller closes a->call. E_CANCELLED, or the fiber's own
 * E_DEADLINE; everything else is in *a. */
err_t attempt_run(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
/* `span` from now, but not past the request's total. */
ns_t alarm_in(const struct exchange *x, ns_t span);
/* Do we ask for usage in this stream although the client did not? */
bool asks_usage(const struct exchange *x);
/* Count and log its end. */
void attempt_settle(struct exchange *x, const struct attempt *a);

/* --- relay.c, stream_relay.c --- */

/* Hand a plain answer on to the client: of a model, or anything of a pass-through. */
err_t relay_answer(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
err_t relay_stream(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
/* Hand a provider's error on: its status, type, code and words, without its secrets. */
err_t relay_error(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
/* Provider's words without what is not the client's to see: credential, host, base URL. In the arena. */
struct str scrub(struct exchange *x, struct str text);

/* --- gateway.c --- */

struct upstreams *gateway_upstreams(struct gateway *g);
struct metrics *gateway_metrics_mutable(struct gateway *g);
/* A request begins: give it the snapshot in use. */
void gateway_enter(struct gateway *g, struct exchange *x);
/* It has ended: count it and let the snapshot go. */
void gateway_leave(struct gateway *g, struct exchange *x);

/* --- request.c --- */

/* Note the first content towards the client. */
void note_first_token(struct exchange *x);

#endif
