/*
 * health_probe.h - when a deployment is asked how it is, because no traffic tells. Pure.
 *
 * Traffic is the best probe: what requests meet is what requests will meet. So a deployment is asked only when it has been heard of
 * neither well nor ill for a while, or when it is out of use and its time is over, so that no client's request need be the one that
 * tries it. What is asked is the cheapest thing whose answer would tell anything:
 *
 *   PROBE_REACH    costs nothing, and is not answered by what runs the model (a list of models): it shows that name, connection, TLS and
 *                  proxy work. Good news of it only means something where bad news was that nobody could be reached.
 *   PROBE_SERVER   costs nothing, and is answered by what runs the model (/health of an inference server): it says whether that is alive.
 *                  It does not say whether answers are whole, or fast.
 *   PROBE_TOKEN    a request for one token: shows everything, and costs money.
 *
 * Good news of the wrong kind is worse than none: it would end the row of failures that shows an illness, or bring back a deployment
 * whose illness it cannot see.
 */
#ifndef POLICY_HEALTH_PROBE_H
#define POLICY_HEALTH_PROBE_H

#include "policy/outlier.h"

enum probe_kind { PROBE_NONE, PROBE_REACH, PROBE_SERVER, PROBE_TOKEN, PROBE_KINDS };

struct probe_rules {
    enum probe_kind free; /* PROBE_REACH or PROBE_SERVER, if there is one and it may be used; PROBE_NONE  */
    bool token;           /* a token may be asked for                                                     */
    ns_t interval;        /* without news for so long, a deployment in use is asked; > 0                  */
    uint64_t spend;       /* nano-US-dollars that probes may cost in a day                                */
};

/* What probes have cost today. Zeroed: nothing. */
struct probe_account {
    int64_t day_; /* since 1970, UTC */
    uint64_t spent;
};

/* What is known of the deployment. Instants; 0: it has not happened. */
struct probe_seen {
    enum outlier_state state;
    ns_t until;            /* OUTLIER_EJECTED: when its time is over                                      */
    ns_t good, ill;        /* last end of an attempt, probes included, that spoke for it, or against it   */
    enum cause last_ill;   /* what spoke against it                                                       */
    enum cause ejected_by; /* the failure that took it out last; CAUSE_OK: it was slow, or failed too often */
    ns_t asked;            /* the last probe began                                                        */
    ns_t since;            /* when we began to look after it                                              */
};

enum probe_reason {
    PROBE_IDLE,    /* in use, and no news for a while                                              */
    PROBE_SUSPECT, /* in use, the last news was bad, and none came since                           */
    PROBE_RETURN,  /* it is out of use, and its time is over                                       */
    PROBE_USELESS, /* no probe: none that there is would tell anything                             */
    PROBE_SPENT,   /* no probe: one for a token would, and today's money for that is spent         */
    PROBE_REASONS
};

struct probe_next {
    enum probe_kind kind; /* PROBE_NONE: none; `at` is then undefined */
    enum probe_reason why;
    ns_t at;
};

/*
 * The next probe, as of now: news that come before its time change the answer, so ask again when it has come. `cost`: expected of a probe
 * for one token, nano-US-dollars; `wall`: nanoseconds since 1970; `draw`: 64 random bits, the same until the probe is made, so that the
 * many who look after the same server do not ask in step.
 */
struct probe_next probe_next(const struct probe_rules *rules, const struct probe_seen *seen,
                             const struct probe_account *account, uint64_t cost, int64_t wall, uint64_t draw);
/* Set `cost` aside for a probe. False if the day's money does not reach. */
bool probe_account_take(struct probe_account *a, const struct probe_rules *rules, uint64_t cost, int64_t wall)
    MUST_CHECK;
/* The probe that `taken` was set aside for has cost `cost`. */
void probe_account_settle(struct probe_account *a, uint64_t taken, uint64_t cost);
/* What a cause means when it was a probe that ended with it. */
enum cause probe_cause(enum probe_kind kind, enum cause cause) PURE;
/* Did a free probe show that there is none, by this status of its answer? It is not to be made again then. */
bool probe_is_missing(int status) PURE;
/* "token", ...; "idle", ...: for records; static. */
const char *probe_kind_name(enum probe_kind k) PURE;
const char *probe_reason_name(enum probe_reason r) PURE;

#endif
