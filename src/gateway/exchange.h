/*
 * exchange.h - one request on its way through the gateway: the state that its steps share. Private to gateway/.
 *
 * Lives in the request's arena. The steps are in the order of gateway/request.c; each file takes the exchange one step on.
 */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include "codec/digest.h"
#include "gateway/authorize.h"
#include "gateway/endpoint.h"
#include "gateway/gateway.h"
#include "gateway/hear.h"
#include "gateway/overrides.h"
#include "gateway/snapshot.h"
#include "llm/dialect.h"
#include "llm/openai_body.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "observe/facts.h"

enum { MAX_TRIED = STRATEGY_TRIED_MAX };

struct hearing;
struct held;
struct scope;
struct needs;
struct resume;
struct sigv4_claim;
struct inner_question;

/* A deployment to try. Those reached as "<provider>/<model>" need not be in the catalog, so it holds what is needed itself. */
struct candidate {
    const struct provider *provider;
    const struct deployment *deployment; /* that its live state is of; NULL: none, as of what only passes through */
    struct str model;                    /* the provider's name of it          */
    struct str name;                     /* of the deployment                  */
    struct str label;                    /* the name in metrics                */
};

/* Deployments that one is chosen from. */
struct pool {
    const struct target *targets;
    size_t count;
    const struct roster *roster; /* of the targets; NULL: there is none      */
    enum fallback fallback;      /* the list that it is; FALLBACK_NONE: the route's targets */
    const struct strategy *strategy;
};

/* A request that is said in another dialect than the client's, and its answer. Made when the first such attempt begins. */
struct translated {
    struct chat_request chat; /* whichever the operation is; read once                   */
    struct embed_request embed;
    struct rerank_request rerank;
    struct provider_call call; /* of the attempt under way                                */
    struct buf body;           /* of it                                                   */
    struct answer answer;      /* to it, if it came whole                                 */
    struct embed_answer vectors;
    struct rerank_answer ranks;
    uint64_t counted;
    bool counted_exactly;
    bool is_read; /* the client's request                                    */
};

struct exchange {
    struct gateway *gateway;
    struct http_request *r;
    const struct inner_question *inner; /* of the process itself, so nobody has to prove who it is; NULL: a client's */
    const struct snapshot *snapshot;
    struct held *held; /* gateway.c's hold on it             */
    struct endpoint endpoint;
    struct openai_request request; /* of endpoints with the model in the body: what passes through */
    bool stream;                   /* the client wants one               */
    unsigned
        calls; /* that the attempt makes: more than one for n > 1 where a provider has no such thing, and for several prompts */
    unsigned choices_each;           /* that an answer to one of them has */
    struct translation translation_; /* see translation_of()                         */
    struct losses losses;            /* of the attempt under way                     */
    struct translated *translated;   /* NULL: bytes pass through           */
    struct stream_relay *relay;      /* the same where its dialect has its own relay */
    struct resume *resume;           /* with which a broken stream can go on elsewhere (resume.h); NULL: it cannot */
    struct str continued_at;         /* labels of those where it did, in order: "a/m, b/m"; empty: none */
    struct http_call
        *refused_call;             /* beside the attempt under way, answered with a status that is no 2xx; NULL: none */
    struct event_stream *events;   /* the stream that the attempt under way is answered with; NULL: none */
    const struct dialect *speaks;  /* what the attempt under way speaks to its provider */
    struct credential *credential; /* that it was signed with or carries; NULL: a key, or none */
    size_t key_index;              /* which of its provider's keys it carries                  */
    bool translates;               /* and whether it does so by the canonical form      */
    const struct api_key *key;     /* NULL: anonymous                    */
    const struct sigv4_claim *claim;           /* of a signed request, until it is verified; NULL: none */
    const struct model *model;                 /* configured; NULL: reached by its provider's name */
    struct timeouts timeouts;                  /* of the attempt under way           */
    const struct route_rules *rules;           /* by which deployments are chosen    */
    struct live_route *route;                  /* its accounts                       */
    struct pool pool;                          /* that the next one is chosen from   */
    const struct deployment *tried[MAX_TRIED]; /* and are not chosen again           */
    size_t tried_count;
    unsigned at_targets;            /* attempts there: not at fallbacks                      */
    unsigned here_made;             /* retries at x->chosen                                  */
    bool pays_retry;                /* from the route's retry budget, not settled yet        */
    bool ill_too;                   /* nobody else is left: those taken out as ill are chosen from, too */
    bool unheard;                   /* a copy for a shadow: nobody hears the answer                 */
    bool once;                      /* what was streamed up cannot be sent again             */
    uint64_t input_tokens;          /* estimated                                             */
    uint64_t output_tokens;         /* likewise                                              */
    uint64_t sticky;                /* hash of what stays together; 0: nothing does          */
    const struct candidate *chosen; /* that is tried now or answered                         */
    struct live_queue *queue;       /* in which it has waited; NULL: it has not              */
    struct live_ticket *ticket;     /* its place there                                       */
    enum exclusion held_back;       /* why attempt_begin() began none                        */
    unsigned vain;                  /* calls out of it that were of no use, of late          */
    struct attempt *attempt;        /* under way, whose answer the client gets; NULL: none   */
    struct hearing *hearing;        /* somebody wants to be told of it (hear.h); NULL: nobody   */
    struct facts facts;
    bool is_unsaid;     /* the request could not be said to x->chosen; another may be told */
    bool is_estimated;  /* tokens were counted by us, not by the model's provider */
    err_t client_error; /* why the client's body could not be read, or said to a provider */
    struct str client_error_text;
    struct str form[3]; /* the held beginning of a form: before its model, the model, behind it */
    bool form_ended;    /* and that is all of it                                 */
    struct str param;   /* the field at fault, of a request that is refused */
    ns_t started;       /* exact: when the handler began      */
    ns_t waited;        /* time that was not ours: for the body, for the provider */

    /* conditions, rules and overrides: match.c, rules.c, overrides.c */
    const struct needs *needs;   /* see needs_of() */
    const struct rule *by_rule;  /* that sent it where it goes; NULL: the name of its model did */
    uint64_t required;           /* bits of tags that a deployment must have */
    struct str required_unknown; /* a tag that is required and that no deployment can have; empty: none */
    uint32_t forgone;            /* of what it needs: nobody has it, so it is no reason to leave anybody out */
    struct overrides overrides;  /* what the client decided itself */
};

/* --- reply.c: answers of our own --- */

/* Answer with an error in the client's dialect, unless an answer has begun: then it is broken off. Notes it in the facts. Returns OK, or why it could not be
 * written. */
err_t reply_error(struct exchange *x, const struct api_error *e) SUSPENDS MUST_CHECK;
/* The error in the client's dialect, whose status for it *ret_status becomes; headers that its clients look at. */
void error_in_dialect(struct exchange *x, const struct api_error *e, struct buf *to, int *ret_status,
                      struct call_header headers[2]);
/* The same with further headers, when no answer has begun. */
err_t reply_error_with(struct exchange *x, const struct api_error *e, const struct http_header *more, size_t count)
    SUSPENDS MUST_CHECK;
/* The same from an error code: status and text of `e`, with the current error record's detail; `code` may be NULL. */
err_t reply_err(struct exchange *x, err_t e, const char *code) SUSPENDS MUST_CHECK;
/* Headers of every answer: x-request-id, also under its name in the client's dialect, and x-crossdock-*. Appends to `to`, which has room for OWN_HEADERS; returns how many. */
enum { OWN_HEADERS = 13 }; /* see own_headers() */
size_t own_headers(struct exchange *x, struct http_header *to);
/* Names of the trailer fields that a stream may end in, because it may go on elsewhere when its head has left; empty: none. */
struct str late_header_names(const struct exchange *x);
/* As http_reply_finish(), for a stream: behind its last piece are the fields of late_header_names(), if the client takes them. */
err_t reply_finish_stream(struct exchange *x, const struct str *parts, size_t count) SUSPENDS MUST_CHECK;
/* A JSON answer of our own. */
err_t reply_json(struct exchange *x, int status, struct str body) SUSPENDS MUST_CHECK;
/* An operation that is answered with its row's text: as a document, or as a refusal. */
err_t reply_static(struct exchange *x) SUSPENDS MUST_CHECK;

/* --- authenticate.c --- */

/* Find the caller's key. E_AUTH with words for the client. Sets x->key. Of the process itself: the key that it names. */
err_t authenticate(struct exchange *x) MUST_CHECK;
/* The same for a signed request, when its body is there. E_AUTH with words for the client. */
err_t authenticate_body(struct exchange *x, struct str body) MUST_CHECK;

/* --- overrides.c --- */

/* Read what the client decides by header into x->overrides. E_PARSE, E_FORBIDDEN with words for the client. */
err_t overrides_read(struct exchange *x) MUST_CHECK;
/* How long all attempts together may take, where the limit is `total` and the client may have said less. */
ns_t overrides_total(const struct exchange *x, ns_t total);

/* --- match.c --- */

/* The first rule of `routes` that is for this name and whose condition holds; NULL: none. Its memory is the request's. */
const struct rule *match_rule(struct exchange *x, struct str model);

/* --- rules.c --- */

/* Put together what key and headers require, and find out what the request needs. Before candidates are judged. */
void rules_begin(struct exchange *x);
/* May the request go there? EXCLUDED_DATA, EXCLUDED_CAPABILITY or EXCLUDED_NOT. A few operations. */
enum exclusion candidate_rules(const struct exchange *x, const struct deployment *d);
/* Is it excluded because its context window is too small? */
bool rules_say_too_long(const struct exchange *x, const struct deployment *d);
/* The same of what is relayed without a model: EXCLUDED_DATA or EXCLUDED_NOT. */
enum exclusion rules_of_provider(const struct exchange *x, const struct provider *p);
/* The error of a request whose candidates are all excluded, of which d is one: E_FORBIDDEN, E_UNSUPPORTED with words for the client. */
err_t rules_refuse(const struct exchange *x, struct str name, const struct deployment *d) MUST_CHECK;

/* --- route.c --- */

/* The model of a request that names none in its dialect: by header x-crossdock-model, or the only one that fits. STR_NONE: it cannot be told. */
struct str route_unnamed(struct exchange *x);
/* Of a path that two dialects share and that names no model: the dialect of the model that is meant. */
void route_settle_unnamed(struct exchange *x);
/* Resolve the requested model to a pool of deployments, one of which can be asked for this operation, and choose the first (x->chosen). E_NOT_FOUND,
 * E_FORBIDDEN, E_UNSUPPORTED (none can) with words for the client; E_AGAIN: for credentials_refuse() to tell. */
err_t route(struct exchange *x, struct str model) MUST_CHECK;
/* The one candidate of pass-through requests. E_NOT_FOUND, E_FORBIDDEN. */
err_t route_pass_through(struct exchange *x) MUST_CHECK;

/* --- choose.c --- */

/* Choose a deployment of x->pool; what was tried, cannot do it, or is not to be used now is left out. NULL: none is left. Leaves a record of the decision in
 * the facts. In the request's arena. */
const struct candidate *choose_candidate(struct exchange *x);
/* None may be used: a deployment of x->model that is left out only because its credentials are refused, to try whether they still are. NULL: there is none. */
const struct candidate *choose_at_last(struct exchange *x);
/* The pool of fallbacks that is meant for `which`, or for any cause; false if it has none that was not used yet. */
bool choose_fallbacks(struct exchange *x, enum fallback which);
/* Why none of x->pool could be chosen: the reason of most. */
enum exclusion choose_reason(const struct exchange *x);

/* x->pool: the targets of x->model. */
void choose_targets(struct exchange *x);
/* The first of x->pool that nothing speaks against but its limit, to wait for it; NULL: there is none. */
const struct candidate *choose_full(struct exchange *x);

/* --- admission.c: limits of deployments, and waiting for them --- */

/* Is a place kept for the request there, because it has waited? */
bool admission_is_kept(const struct exchange *x, const struct deployment *d);
/* Count an attempt at x->chosen in, as live_send(). EXCLUDED_CAPACITY: it is full, or others wait for it. */
enum exclusion admission_send(struct exchange *x, struct live_attempt *ret, bool anyway);
/* Wait until a deployment has a place, and choose it. *ret_go_on false: the client has been refused, because it would be, or was, in vain. */
err_t admission_wait(struct exchange *x, bool *ret_go_on) SUSPENDS MUST_CHECK;
/* The request is over: what it took is settled with its tenant. */
void admission_settle(struct exchange *x);

/* --- shadow.c --- */

/* Those of a loop. */
struct shadows {
    struct scope *scope; /* that their fibers run in; NULL: nobody runs them */
    unsigned under_way;
};
struct shadows *gateway_shadows(struct gateway *g);

/* If x's model has a shadow, and it is the request's turn, send a copy of it there, beside it. Nothing of it reaches the client. */
void shadow_begin(struct exchange *x);

/* --- hear.c --- */

/* It goes to a model: does anybody want to hear what it is answered? */
void hear_begin(struct exchange *x, struct str body);
/* It has been served, with `e`: tell those who do. Returns `e`, or why the end of the answer could not be written. */
err_t hear_end(struct exchange *x, err_t e) SUSPENDS MUST_CHECK;

/* --- hedge.c --- */

/* What two attempts came to: the one that counts, and, if there was a second, the other, which the caller closes. */
struct hedge_result {
    struct exchange *x;
    struct attempt *a;
    struct exchange *loser_x;
    struct attempt *loser;
    uint64_t paid; /* for it, from the money for hedges */
};
/* What an attempt at `c` is expected to take from the money for hedges. */
uint64_t hedge_cost(const struct exchange *x, const struct candidate *c);
/* May x's first attempt be hedged? */
bool hedge_applies(const struct exchange *x);
/* Run `a`, which was begun at x->chosen, and a second one if it is late. Each has its cause when this returns. E_CANCELLED. */
err_t hedge_run(struct exchange *x, struct attempt *a, struct hedge_result *ret) SUSPENDS MUST_CHECK;

/* --- conversation.c --- */

/* A hash of what the route keeps together: the conversation, the user, or what a header names; 0: nothing of it is there. */
uint64_t conversation_of(const struct exchange *x);

/* --- pricing.c --- */

/* Nano-US-dollars that the request is expected to cost as the model `model` at `d`; UINT64_MAX: its price is not known. */
uint64_t expected_cost(const struct exchange *x, const struct deployment *d, struct str model);
/* What of the request decides about that. */
struct roster_request expected_request(const struct exchange *x);
/* Tell the attempt's facts, and add to the request's, what it has cost. Once for each, when its usage and cause are known. */
void price_attempt(struct exchange *x, const struct attempt *a, struct attempt_facts *f);

/* --- credentials.c --- */

/* May a request for `d` (NULL: whatever it is), by the provider's name of its model, go to `p` with one of its credentials? EXCLUDED_RATE_LIMIT: not before *ret_at; EXCLUDED_CREDENTIAL: none is
 * accepted. *ret_headroom: the share of their limits that those which may be used have left. Takes no lock while limits are far. */
enum exclusion credentials_read(const struct exchange *x, const struct provider *p, const struct deployment *d,
                                struct str model, ns_t now, double *ret_headroom, ns_t *ret_at);
/* Choose the credential that the attempt at x->chosen carries (x->key_index), and count it in. Else as credentials_read(). `at_last`: nothing else is left;
 * one that is refused may be tried, by one request at a time. */
enum exclusion credentials_send(struct exchange *x, struct attempt *a, bool at_last) MUST_CHECK;
/* The head of the answer is there: take in what it tells of limits. */
void credentials_hear(struct attempt *a);
/* What the attempt came to, as far as its credential is concerned: counts it out; what an operator should know is logged. Once; later calls do nothing. */
void credentials_answered(struct exchange *x, struct attempt *a, enum cause cause);
/* A question about health that costs nothing, to the provider of `d`, was refused with x's credential, which such questions had been accepted with before. */
void credentials_question_refused(struct exchange *x, const struct deployment *d, struct attempt *a);
/* When the first of the credentials that wait for their limits may be used for the request, wherever it may go; NS_NEVER: none waits. */
ns_t credentials_wait(const struct exchange *x);
/* No credential may be used for the request anywhere: tell the client so, and when one may. */
err_t credentials_refuse(struct exchange *x) SUSPENDS MUST_CHECK;
/* Tell of all credentials of `s`. */
void credentials_count(const struct snapshot *s, struct metrics *to);

/* --- attempts.c --- */

/* Begin an attempt at x->chosen, or, if that was taken out a moment ago, at another one: count it in and open its record. It ends with attempts().
 * NULL: it is full, others wait for it, or no credential may carry it (x->held_back). */
struct attempt *attempt_begin(struct exchange *x, enum attempt_role role);
/* It is over, with a->cause: count it out, close its record and its call. */
void attempt_end(struct exchange *x, struct attempt *a);
/* Its answer has ended, though it is not over yet: what became of it goes into its record, for who tells of it before attempt_end(). */
void attempt_note(struct exchange *x, struct attempt *a);
/* x->chosen is not to be chosen again. */
void leave_out(struct exchange *x);
/* May the request be carried out twice without harm? */
bool request_is_repeatable(struct exchange *x);
/* Choose once more, after a wait; false: none may be used. */
bool choose_again(struct exchange *x);

/* The first candidate of x->pool, or of the fallbacks if none of it may be used; NULL: none at all. */
const struct candidate *choose_first(struct exchange *x);

/* Try x->chosen, and others after it, until there is an answer or nothing is left to try; hand it to the client. */
err_t attempts(struct exchange *x) SUSPENDS MUST_CHECK;

/* --- form.c --- */

/* Is the body multipart/form-data? */
bool form_is_one(const struct http_head *head);
/* Read the form up to its field "model" into x->form. *ret_model: its value; empty: it was not found, the form goes on as it is. Errors of
 * http_body_next(). */
err_t form_peek(struct exchange *x, struct str *ret_model) SUSPENDS MUST_CHECK;

/* --- models.c --- */

err_t serve_models(struct exchange *x) SUSPENDS MUST_CHECK;

/* --- forward.c: headers between client and provider --- */

/* Headers to send to the provider of x->chosen: the client's, without what is between the client and us, plus credential and
 * configured ones. In the request's arena. */
void forward_request_headers(struct exchange *x, struct http_header **ret_headers, size_t *ret_count);
/* Headers to answer with: the provider's, without what is between it and us, plus our own. */
void forward_answer_headers(struct exchange *x, const struct http_call *call, struct http_header **ret_headers,
                            size_t *ret_count);
/* The same for a request in another dialect: nothing of the client's but what concerns tracing. */
void translated_request_headers(struct exchange *x, const struct provider_call *call, struct http_header **ret_headers,
                                size_t *ret_count);
/* Path and query at the provider for x->endpoint. */
err_t forward_target(struct exchange *x, struct str *ret_target) MUST_CHECK;

/* --- ability.c --- */

/* Can x's operation be asked of this provider, in any of its dialects? */
bool can_be_asked(const struct exchange *x, const struct provider *p);
/* Can it count tokens, or are they to be estimated? */
bool can_count(const struct exchange *x, const struct provider *p);
/* What the attempt under way speaks: the client's dialect if x->chosen's provider speaks that as the client does, so that bytes pass through if they
 * may, else one of the provider's. Sets x->speaks and x->translates. */
void choose_dialect(struct exchange *x);

/* --- attempt.c --- */

/* What the provider answered to one attempt. */
struct attempt {
    struct http_call *call; /* NULL: no answer                                       */
    struct http_call_times times;
    enum attempt_outcome outcome;
    err_t error;           /* of the transport                                      */
    struct str error_text; /* for the client: no secret, no URL; in the arena       */
    int status;            /* of the answer; 0: none                                */
    struct str body;       /* a whole answer that was held back                     */
    bool has_body;         /* of a stream: its first bytes                          */
    bool is_stream;
    struct usage usage;
    const struct api_error *refusal; /* an error that came in a stream or in an answer of status 2xx; NULL: none */
    const struct api_error *said;    /* see attempt_error() */
    enum cause cause;                /* what `outcome` and the rest come to                     */
    struct live_attempt live;        /* it is counted in                                        */
    struct live_credential_use use;  /* likewise, with its credential                           */
    struct rate_reading reading;     /* what the head of its answer tells of limits             */
    ns_t first, last;                /* tokens came; 0: none yet                                */
    ns_t ended;                      /* it was counted out; 0: not yet                          */
    size_t fact;                     /* its place in the facts                                  */
};

/* Send x's request to x->chosen and look at what comes, up to where it can be handed on. *a comes zeroed but for what was counted in; the caller closes a->call. E_CANCELLED, or the fiber's own
 * E_DEADLINE; everything else is in *a. */
err_t attempt_run(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
/* Has a request whose body is not held a body at all? */
bool has_streamed_body(const struct exchange *x);
/* `span` from now, but not past the request's total. */
ns_t alarm_in(const struct exchange *x, ns_t span);
/* Until when the next piece of a stream is waited for: by the limits between bytes, to the first token, between tokens, and of the whole. */
ns_t piece_by(const struct exchange *x, const struct attempt *a);
/* Do we ask for usage in this stream although the client did not? */
bool asks_usage(const struct exchange *x);
/* Is the attempt under way translated, because its provider speaks another dialect than the client, or the same with a difference? */
static inline bool is_translated(const struct exchange *x)
{
    return x->translates;
}
/* How to send a translated call: fills *o. Suspends while there is no credential; errors of authorize_call(). */
err_t translated_options(struct exchange *x, const struct provider_call *call, struct http_call_options *o) SUSPENDS
MUST_CHECK;
/* The provider's error in canonical form, unscrubbed; of an answer that is one. */
const struct api_error *attempt_error(struct exchange *x, struct attempt *a);
/* The transport failed with `e` before there was anything to judge: note it. */
void attempt_failed(struct exchange *x, struct attempt *a, err_t e);
/* What came of it, in the words of policy/. */
enum cause attempt_cause(struct exchange *x, struct attempt *a);
/* So much of a stream, and for so long from its first byte on, is held back while none of its content has come. */
enum { STREAM_HELD_MAX = 64 * 1024 };
#define STREAM_HELD_TIME (5 * NS_SEC)
/* Content of its answer is there. */
void attempt_content(struct exchange *x, struct attempt *a);

/* --- translate.c: a request in another dialect --- */

/* What the slots of dialects want to know of this request, filled at the first call; cheap, also for bytes that pass through. */
struct translation *translation_of(struct exchange *x);
/* The same with all that is known of the attempt under way: whom it goes to, and by what name of the model. */
struct translation *translation_for_attempt(struct exchange *x);
/* Say x's request in the words of x->chosen's provider: x->translated->call. E_PARSE and the like with words for the client: it cannot be said; x->is_unsaid
 * if that is this provider's fault. */
err_t translate_request(struct exchange *x) SUSPENDS MUST_CHECK;
/* x's chat request in canonical form, whether or not it is to be translated; NULL: it cannot be read. */
const struct chat_request *translation_chat(struct exchange *x);
/* Read a whole answer to it. E_PROTOCOL, E_TOO_LARGE. */
err_t translate_answer(struct exchange *x, struct attempt *a) MUST_CHECK;
/* One answer to a chat request. *ret_refusal: an error that was told instead; NULL: none. E_PROTOCOL, E_UPSTREAM, E_TOO_LARGE. */
err_t translate_chat_answer(struct exchange *x, struct str body, struct answer *ret,
                            const struct api_error **ret_refusal) MUST_CHECK;
/* Hand the whole answer on in the client's dialect, as a stream if it wants one. */
err_t relay_translated(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
/* Answer without a provider: the estimate of a request's tokens. */
err_t serve_estimate(struct exchange *x) SUSPENDS MUST_CHECK;
/* How the client's dialect cuts its stream into pieces. */
enum framing client_framing(struct exchange *x);
/* Ids, model and the like, as the client's writers need them. */
struct answer_frame translated_frame(struct exchange *x);

/* --- fetch_media.c --- */

/* Get the bytes of what `q` names by URL, where x->speaks needs them and the configuration allows it. Errors of guarded_fetch(), for the client. */
err_t fetch_media(struct exchange *x, struct chat_request *q) SUSPENDS MUST_CHECK;

/* --- side_call.c: calls beside the attempt's own, to x->chosen --- */

/* Send `said`, which is borrowed until this returns, and wait for its answer's whole body, in the arena. `need`: tokens besides those that the attempt is counted
 * with. Errors of http_call_open(), http_call_all() and authorize_call(); E_UPSTREAM: a status other than 2xx, with the first such answer in x->refused_call,
 * which the caller closes; E_OVERLOAD: no credential may be used; E_TOO_LARGE: more than an answer may have that is held. */
err_t side_call(struct exchange *x, const struct provider_call *said, const struct rate_need *need,
                struct str *ret_body) SUSPENDS MUST_CHECK;

/* --- choices.c: several choices from a provider that gives one, and several prompts --- */

/* Before the request is written: does it want more than one answer of x->speaks? Then x->calls says how many calls are to be made, each for
 * x->choices_each choices to one prompt, whole. */
void choices_prepare(struct exchange *x);
/* What the first of them asks; the request itself if there is no other. In the request's arena. */
const struct chat_request *choices_first(struct exchange *x);
/* The first answer is in x->translated->answer: get the others, at once, and put them together. A choice that cannot be had is an error of the whole. */
err_t choices_complete(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;

/* --- batches.c: more inputs than a provider embeds at once --- */

/* How many inputs the first call takes. */
size_t batches_first(struct exchange *x);
/* The first answer is in x->translated->vectors: get the others, and put them together in order. */
err_t batches_complete(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;

/* --- event_relay.c: streams of any dialect --- */

/* Take in the first piece of a stream, so far as it can still be mended: an error before any content makes it a failed attempt (a->error set, or the
 * status and body of an error). */
err_t event_stream_hold(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
/* The first event of a stream that has its own relay is an error: a failed attempt likewise. */
err_t event_stream_refuse(struct exchange *x, struct attempt *a, struct str event) MUST_CHECK;
/* Read the stream to its end, and tell nobody. */
err_t drain_events(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
/* Hand the stream on: translated, or its own bytes with an eye on how it ends. */
err_t relay_events(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;

/* --- relay.c, stream_relay.c --- */

/*
 * The client has its answer: see whether the connection to the provider can be kept, which ends a moment later. Who leaves meanwhile, as many clients do as soon as
 * they have read the last event, has left after the end: that is no error.
 */
void await_call_end(struct http_call *call) SUSPENDS;

/* Hand a plain answer on to the client: of a model, or anything of a pass-through. */
err_t relay_answer(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
/* The same of a stream in OpenAI's dialects: take it in until its first event is whole, or has been waited for long enough. An error makes it a failed
 * attempt. */
err_t stream_hold(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
/* Hand it on. */
err_t relay_stream(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
/* The next piece of a stream, as http_call_next(). Meanwhile the client hears `sign` now and then; empty: nothing. Between whole events only. */
err_t relay_next(struct exchange *x, struct attempt *a, struct str sign, struct str *ret_piece) SUSPENDS MUST_CHECK;
/* Tell an error in the client's dialect, and when it may try again. */
err_t tell_error(struct exchange *x, const struct api_error *e) SUSPENDS MUST_CHECK;
/* Hand a provider's error on: its status, type, code and words, without its secrets. */
err_t relay_error(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;
/* Provider's words without what is not the client's to see: credential, host, base URL. In the arena. */
struct str scrub(struct exchange *x, struct str text);
/* Answer headers for a body of our own making: ours, and its content type. In the arena. */
void made_answer_headers(struct exchange *x, struct str type, struct http_header **ret_headers, size_t *ret_count);

/* --- gateway.c --- */

struct upstreams *gateway_upstreams(struct gateway *g);
/* NULL: nobody wants to hear anything. */
const struct gateway_hearer *gateway_hearer(const struct gateway *g);
/* SHA-256 of a key that a client presents. Borrowed; good until the next call. */
const unsigned char *gateway_hash_key(struct gateway *g, struct str key);
struct metrics *gateway_metrics_mutable(struct gateway *g);
struct authorities *gateway_authorities(struct gateway *g);
/* What requests leave for later ones; NULL: nothing is kept. */
struct blobs *gateway_kept(const struct gateway *g);
/* A request begins: give it the snapshot in use. */
void gateway_enter(struct gateway *g, struct exchange *x);
/* It has ended: count it and let the snapshot go. */
void gateway_leave(struct gateway *g, struct exchange *x);
/* The same for what goes on beside requests, and is not counted: hold the snapshot in use, with the pools that it names, until gateway_let_go(). */
struct held *gateway_hold(struct gateway *g);
const struct snapshot *gateway_held_snapshot(const struct held *h);
void gateway_let_go(struct gateway *g, struct held *h);
/* Wake `f` whenever a snapshot is installed; NULL: nobody. */
void gateway_set_watcher(struct gateway *g, struct fiber *f);
/* An attempt that no request waits for has ended: count it, and hand its record on. */
void gateway_note_beside(struct gateway *g, const struct attempt_facts *f);

/* --- request.c --- */

/* Which model is asked for, and whether a stream is wanted: in the body or in the path, as the dialect has it. Errors of openai_request_read(). */
err_t read_wish(struct exchange *x, struct str body) MUST_CHECK;

/* Answer that tokens cannot be counted by the provider: the estimate. */
err_t estimate(struct exchange *x) SUSPENDS MUST_CHECK;
/* Hand on what came of the last attempt. */
err_t conclude(struct exchange *x, struct attempt *a) SUSPENDS MUST_CHECK;

/* Serve `r` from its beginning to its end, in *x, which comes zeroed but for `inner`. As gateway_handle(). */
err_t exchange_run(struct exchange *x, struct gateway *g, struct http_request *r) SUSPENDS;

/* Note the first content towards the client. */
void note_first_token(struct exchange *x);

#endif
