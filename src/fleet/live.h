/*
 * live.h - how deployments fare: what attempts have taught, folded into the state that decisions read.
 *
 * One per process, shared by all loops, and older than any configuration: a deployment keeps what is known of it when the configuration is
 * loaded anew. Nothing here suspends, allocates on a request's way, or knows the time: it is handed in.
 *
 * Consistency: events are folded one at a time, under a short lock per deployment or route. Decisions read without a lock what the last event of each
 * deployment published, each figure for itself: two figures may be of moments a few microseconds apart, never of a half-folded event. Admission is
 * decided anew, under the lock, when an attempt is sent (live_send), so a race between decisions cannot send two probes where one is allowed.
 */
#ifndef FLEET_LIVE_H
#define FLEET_LIVE_H

#include "fleet/live_admission.h"
#include "fleet/live_credential.h"
#include "fleet/live_load.h"
#include "policy/hedge.h"
#include "policy/latency.h"
#include "policy/outlier.h"
#include "policy/retry.h"
#include "policy/strategy.h"

struct live;
struct live_homes;
struct live_deployment;
struct live_route;

struct live_rules {
    struct outlier_rules outlier;
    struct latency_rules latency;
    struct retry_budget_rules budget;
};

struct live *live_new(void);
/* Nobody holds a deployment or route of it any more. */
void live_free(struct live *l);
/* The credentials' part of it; lives as long. */
struct live_credentials *live_credentials(struct live *l);
/* Where conversations were answered last. */
struct live_homes *live_homes_of(struct live *l);

/* The state of the deployment, or route, of that name, new if there was none. Counted, from any thread; looks up under a lock: when a configuration is
 * loaded, not while requests wait. */
struct live_deployment *live_deployment_ref(struct live *l, struct str name);
void live_deployment_unref(struct live_deployment *d);
struct live_route *live_route_ref(struct live *l, struct str name);
void live_route_unref(struct live_route *r);

/* --- an attempt --- */

/* What an attempt takes along from live_send() to live_end(). */
struct live_attempt {
    struct live_deployment *deployment; /* NULL: none is under way */
    struct outlier_stamp stamp;
    ns_t sent;
    uint64_t input_tokens, tokens;           /* estimated: of its input, and all together; at least 1 */
    ns_t first;                              /* when its first token came; 0: not yet */
    uint64_t seq_sent, seq_first, seq_ended; /* order of its events among all of the process, from 1 */
    bool is_question;                        /* see live_ask() */
    bool waits;                              /* for its first token, and is counted among those who do */
    ns_t part_begun;                         /* of a stream: when the part that is measured now began */
    uint64_t events;                         /* that came behind its first token, and those of this part */
    unsigned part_events;
};

/* How an attempt is sent. */
enum {
    LIVE_ANYWAY = 1,   /* though the deployment is ill: there is nowhere else to go                            */
    LIVE_PROMISED = 2, /* a place is kept for it (live_admission.h), which is used up whatever comes of it     */
    LIVE_STREAM = 4,   /* its first token will be told of, so until then it is known to wait                   */
};
/* An attempt is about to be sent: count it in. EXCLUDED_NOT, or why it may not be after all. */
enum exclusion live_send(struct live_deployment *d, const struct live_rules *rules, uint64_t input_tokens,
                         uint64_t output_tokens, unsigned how, ns_t now, struct live_attempt *ret) MUST_CHECK;
/* The same for a question that asks for no tokens, as of health: it is no load, and how long it takes teaches nothing. */
enum exclusion live_ask(struct live_deployment *d, const struct live_rules *rules, ns_t now, struct live_attempt *ret)
    MUST_CHECK;
/* Its first token is there. `cached`: input tokens that were in the provider's cache, if that is known by now. */
void live_first_token(struct live_attempt *a, const struct live_rules *rules, uint64_t cached, ns_t now);
/* `events` of its stream came that carry content. Cheap: a handful of additions, but for every few dozen of them. */
void live_progress(struct live_attempt *a, unsigned events, ns_t now);
/* It has ended. `output`: tokens of its answer; `last`: when the last of them came. `route` tells its peers. An answer that came whole teaches how long
 * its parts may have taken. */
void live_end(struct live_attempt *a, struct live_route *route, const struct live_rules *rules, enum cause cause,
              uint64_t output, ns_t last, ns_t now);

/* --- a route --- */

/* Its deployments: who is judged together, and for whose gates its queue waits. At a configuration's load; the array is copied, the deployments are
 * counted. */
void live_route_set(struct live_route *r, struct live_deployment *const *deployments, size_t count);
/* Where its requests wait. */
struct live_queue *live_route_queue(struct live_route *r);
/* What lets requests in to a deployment. */
struct live_gate *live_deployment_gate(struct live_deployment *d);
/* The number of this decision, from 0; *ret_seq is its place among all events of the process. */
uint64_t live_route_turn(struct live_route *r, uint64_t *ret_seq);
/* A request came. */
void live_route_request(struct live_route *r, const struct live_rules *rules, ns_t now);
/* May one more retry be afforded? RETRY_PENDING: not now, but others are under way, and the price of those that succeed comes back. */
enum live_retry { LIVE_RETRY_NO, LIVE_RETRY_PENDING, LIVE_RETRY_YES };
enum live_retry live_route_may_retry(struct live_route *r, const struct live_rules *rules, ns_t now);
/* Take a retry's price, if it is there. Each that is taken is settled once: as soon as it is known to be answered, which gives the price back, or at its end. */
bool live_route_take_retry(struct live_route *r, const struct live_rules *rules, ns_t now) MUST_CHECK;
void live_route_settle_retry(struct live_route *r, const struct live_rules *rules, bool answered, ns_t now);

/* --- hedging --- */

/* A request of the route that may be hedged came, and is expected to cost so much. */
void live_route_hedgeable(struct live_route *r, const struct hedge_rules *rules, uint64_t cost);
/* Take a hedge's price, if it is there. */
bool live_route_take_hedge(struct live_route *r, const struct hedge_rules *rules, uint64_t cost) MUST_CHECK;
/* What was taken for a hedge that could not be sent after all. */
void live_route_return_hedge(struct live_route *r, uint64_t cost);
/* It was sent: of the two attempts, the one that was of no use has cost `spent`. */
void live_route_settle_hedge(struct live_route *r, uint64_t taken, uint64_t spent);
/* When an attempt that is sent to `d` is late: hedge_decide() by what is known of it. NS_NEVER: it is not to be hedged. Fills ask->seen. */
ns_t live_hedge_at(struct live_deployment *d, const struct hedge_rules *rules, struct hedge_ask *ask);

/* --- reading --- */

/* What strategies ask of a deployment; fills what is known here: exclusion, slow start, load, latency. Weight, tier, id and cost are the caller's. The
 * load is ours and, where the server tells, others' (live_load.h); the time to first token is at least what those have waited who wait for it. */
void live_read(const struct live_deployment *d, const struct live_rules *rules, unsigned needs, ns_t now,
               struct strategy_candidate *to);

/* For people and metrics: one deployment, as of now, consistent in itself. */
struct live_report {
    struct outlier health;
    unsigned in_flight;
    uint64_t in_flight_tokens, sent, causes[CAUSES];
    uint64_t ejected;                       /* times, since the process began                */
    uint64_t recent_good, recent_ill;       /* attempts within the rules' window             */
    double first_token_per_unit, per_token; /* ns; 0: unknown */
    ns_t p50, p95;                          /* of times to first token; 0: unknown */
    struct live_server server;              /* what it says of itself */
};
void live_report(struct live_deployment *d, const struct live_rules *rules, ns_t now, struct live_report *ret);

/* --- for those who ask it how it is --- */

/* Instants; 0: it has not happened. */
struct live_news {
    enum outlier_state state;
    ns_t until;            /* when that ends by itself                                                       */
    ns_t good, ill;        /* the last attempt that ended and spoke for it, or against it                     */
    enum cause last_ill;   /* what spoke against it                                                           */
    enum cause ejected_by; /* the failure that took it out last; CAUSE_OK: it was slow, or failed now and then */
};
/* Without a lock, each figure for itself. */
void live_news(const struct live_deployment *d, struct live_news *ret);
/* Its server said how busy it is; that counts until `until`. By one loop only. */
void live_server_said(struct live_deployment *d, const struct server_load *said, ns_t now, ns_t until);

#endif
