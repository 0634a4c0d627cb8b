/*
 * live_admission.h - who may be sent now, and who waits for it: gates of deployments, and the queues of routes in front of them.
 *
 * A gate counts what is under way at a deployment and holds the limit that policy/concurrency.h moves. A queue holds the requests of a route
 * that found every gate shut, in the order of policy/fair_queue.h. When a place comes free at a gate, on whatever loop, it is *promised* to the
 * next entry of a queue that waits for that gate, and the entry's fiber is called (rt/wakeup.h); a promise counts like a request, so nobody who
 * comes later takes the place.
 *
 * Consistency is that of fleet/live.h: events happen one at a time under a short lock per gate or queue, readers see single figures. A gate's lock
 * is taken before that of a queue's entries, never the other way round.
 */
#ifndef FLEET_LIVE_ADMISSION_H
#define FLEET_LIVE_ADMISSION_H

#include "base/map.h"
#include "base/spin.h"
#include "policy/concurrency.h"
#include "policy/fair_queue.h"
#include "rt/wakeup.h"

struct live_queue;
struct live_link;

/* A deployment's. Zeroed it is open: everything is admitted and counted. */
struct live_gate {
    /* Read by anybody. */
    _Atomic unsigned in_flight;
    _Atomic unsigned promised;
    _Atomic double limit; /* 0: none */
    _Atomic double share; /* tokens per event of its streams, learned; 0: not known */

    struct spin lock;
    /* under the lock */
    bool is_limited;
    struct concurrency_rules rules;
    struct concurrency state;
    struct list waiting; /* links of queues that may have entries; who is first is asked next */
};

/* A request that waits. Zeroed but for what the caller sets; it stays where it is while it waits. */
struct live_ticket {
    struct str tenant;         /* set by the caller; borrowed while the ticket waits; empty: nobody in particular */
    bool patient;              /* set by the caller: what is free now is of no use to it, it waits for the next event */
    unsigned weight;           /* set by the caller: the tenant's; > 0 */
    struct fair_entry entry;   /* tokens, level and start_by are set by the caller; tokens 0: not known, filled in */
    struct live_gate *promise; /* where a place is kept for it; NULL: nowhere */
    struct wakeup wakeup;
    bool is_late; /* called because its start_by has passed: nothing is kept for it */
    bool waits_;  /* under the queue's lock */
    struct live_ticket *next_;
};

/* A route's. live_queue_init() makes it ready, without gates: nobody is ever called. */
struct live_queue {
    _Atomic unsigned waiting;
    _Atomic uint64_t verdicts[FAIR_TOO_LATE + 1]; /* by enum fair_verdict; those queued are at 0 */

    struct spin line; /* taken before any gate's */
    /* under it */
    struct live_link *links; /* to the gates that it waits for */
    size_t link_count;

    struct spin lock; /* taken after any gate's */
    /* under it */
    struct fair_queue order;
    struct fair_rules rules;
    double usual;     /* tokens of a request, as those that were settled had; 0: not known */
    struct map flows; /* struct flow, by tenant */
    struct list idle; /* those of them without entries, least lately used first */
    size_t idle_count;
    ns_t offered;
};

/* --- gates --- */

void live_gate_init(struct live_gate *g);
/* No request and no queue knows it any more. */
void live_gate_release(struct live_gate *g);
/* At a configuration's load: these rules from now on; NULL: no limit. What was learned stays as far as the rules allow it. */
void live_gate_set(struct live_gate *g, const struct concurrency_rules *rules, ns_t now);
/* Would one more be admitted? Without a lock. */
bool live_gate_admits(const struct live_gate *g);
/* Count one in; false: it is full after all. `promised`: a place is kept for it here, and taken in any case. */
bool live_gate_take(struct live_gate *g, bool promised) MUST_CHECK;
/* One has ended: whoever waits has its place. */
void live_gate_give(struct live_gate *g, ns_t now);
/* A promise is not made use of: the next one has it; `pass_on` false: when something else happens here (so that those for whom the place is of no use
 * cannot call each other without end). */
void live_gate_return(struct live_gate *g, bool pass_on, ns_t now);
/* A part of an answer is there, or the provider said that it is too much (see policy/concurrency.h). In-flight is filled in here. */
void live_gate_sample(struct live_gate *g, const struct concurrency_sample *s, ns_t now);
/* A whole answer is there, `took` after it was sent, of which nothing is known in between: held against both objectives together. */
void live_gate_whole(struct live_gate *g, ns_t begun, uint64_t tokens, ns_t now);
void live_gate_overloaded(struct live_gate *g, ns_t begun, ns_t now);
/* A stream of `events` had `tokens`. */
void live_gate_calibrate(struct live_gate *g, uint64_t events, uint64_t tokens);

/* For people and metrics. */
struct live_gate_report {
    bool is_limited;
    double limit;
    enum concurrency_reason reason;
    ns_t changed;
    unsigned in_flight, promised;
};
void live_gate_report(struct live_gate *g, struct live_gate_report *ret);

/* --- queues --- */

void live_queue_init(struct live_queue *q);
/* Nobody waits in it. */
void live_queue_release(struct live_queue *q);
/* At a configuration's load: the gates that it waits for; they outlive it, or the next such call. The array is copied. What is free at them is looked for with the next
 * event there, or live_queue_offer(). */
void live_queue_set(struct live_queue *q, struct live_gate *const *gates, size_t count);

/*
 * Let the running fiber wait for its turn; it then calls wakeup_wait(&t->wakeup, ...) and either is called (t->promise or
 * t->is_late is set) or gives up by live_queue_leave(). FAIR_QUEUED, or why it may not wait; *ret_wait: how long it would have been, about.
 */
enum fair_verdict live_queue_enter(struct live_queue *q, const struct fair_rules *rules, struct live_ticket *t,
                                   ns_t now, ns_t *ret_wait) MUST_CHECK;
/* Give up. False: it has been called already: wakeup_join(), and see what it was given. */
bool live_queue_leave(struct live_queue *q, struct live_ticket *t) MUST_CHECK;
/* Promise whatever is free at its gates, at most every LIVE_OFFER_EVERY: what changed without an event (an ejection that ends) shows so. */
#define LIVE_OFFER_EVERY (NS_SEC / 4)
void live_queue_offer(struct live_queue *q, ns_t now);
/* A request of `tenant` that had waited took `actual` tokens, not `estimated`. */
void live_queue_settle(struct live_queue *q, struct str tenant, unsigned level, uint64_t estimated, uint64_t actual);

#endif
