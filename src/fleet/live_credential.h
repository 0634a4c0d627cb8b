/*
 * live_credential.h - how the credentials of providers fare: what each may still send, and whether it is accepted at all.
 *
 * One per credential and process, shared by all loops, and kept across configurations by the credential's identity: a replaced secret
 * begins anew. Nothing here suspends, allocates on a request's way but once per credential, or knows the time: it is handed in.
 *
 * What belongs to what. Providers limit requests and tokens per model (OpenAI, Anthropic, Groq, Azure; where several models share a
 * limit, each of them tells the same), and an answer's headers speak of the model that was asked. So limits are learned, and a 429 is
 * waited out, per credential *and* model: struct live_limit. To take them for the credential's would stop a model that has room because
 * another is full; to take a shared one for the model's costs one 429 per model and window. Spent quota and a refused key (401) are the
 * credential's as a whole. A 403 is the pair's: it nearly always means that this key may not use this model, from here, or yet; a key
 * that is dead and answered with 403 is found out once per model.
 *
 * Consistency is that of live.h: events are folded one at a time under a short lock per credential; decisions read what was published last
 * without one; whether a request is really sent is decided anew, under the lock, in live_credential_send().
 */
#ifndef FLEET_LIVE_CREDENTIAL_H
#define FLEET_LIVE_CREDENTIAL_H

#include "base/str.h"
#include "policy/ratelimit.h"

struct live_credentials;
struct live_credential;
struct live_limit;

/* All of a process. */
struct live_credentials *live_credentials_new(void);
/* Nobody holds one of them any more. NULL is allowed. */
void live_credentials_free(struct live_credentials *all);

/*
 * The state of the credential of that identity (bytes, copied), new if there was none. Counted, from any thread; looks up under a lock: when
 * a configuration is loaded, not while requests wait.
 *
 * expires  it is renewed when it is refused: only the second refusal in a row retires it
 */
struct live_credential *live_credential_ref(struct live_credentials *all, struct str identity, bool expires);
void live_credential_unref(struct live_credential *c);
/* Its limits for a model, by the provider's name for it; likewise. Holds the credential. */
struct live_limit *live_limit_ref(struct live_credential *c, struct str model);
void live_limit_unref(struct live_limit *l);

/*
 * How it may be used for a request, without a lock as long as it is open and has room, or is closed. Fills verdict and headroom.
 *
 * l      its limits for the model; NULL: of a model that the configuration does not name, which takes the lock
 * model  then its name
 */
void live_credential_read(struct live_credential *c, struct live_limit *l, struct str model,
                          const struct rate_need *need, ns_t now, struct rate_option *ret);

/*
 * May it be used for a request of so many tokens, with room to spare? A few loads, for those who ask many. *ret_headroom is what
 * live_credential_read() would tell; not set if false: that knows more.
 */
bool live_credential_is_roomy(const struct live_credential *c, const struct live_limit *l, uint64_t tokens, ns_t now,
                              double *ret_headroom);

/* What an attempt takes along from live_credential_send() to live_credential_answered(). */
struct live_credential_use {
    struct live_credential *credential; /* NULL: none is under way               */
    struct live_limit *limit;           /* NULL: nothing is known of the model's */
    struct rate_stamp whole, own;
};

/*
 * A request is about to be sent: count it in, if it may be after all. *ret is only set if that is RATE_ALLOWED.
 *
 * l, model  as above; without l its limits are then among the few that are remembered
 * at_last   nothing else is left: as rate_gate_at_last()
 */
struct rate_verdict live_credential_send(struct live_credential *c, struct live_limit *l, struct str model,
                                         const struct rate_need *need, bool at_last, ns_t now,
                                         struct live_credential_use *ret) MUST_CHECK;

/* What an answer changed. */
enum live_credential_news {
    LIVE_CREDENTIAL_SAME,
    LIVE_CREDENTIAL_PARKED,    /* the limit for the model is reached: it rests           */
    LIVE_CREDENTIAL_SPENT,     /* quota or money: the whole credential rests             */
    LIVE_CREDENTIAL_RETIRED,   /* the credential is refused                              */
    LIVE_CREDENTIAL_NOT_MODEL, /* it is refused for the model                            */
    LIVE_CREDENTIAL_ACCEPTED,  /* it, or its use of the model, is accepted again         */
    LIVE_CREDENTIAL_NEWS
};

/*
 * The head of the answer is there, or will never be. `u` is given back and is empty then; an empty one is allowed.
 *
 * of_key   of CAUSE_AUTH: the credential itself is refused, not its use of the model
 * reading  what the answer's headers told; NULL: there is no answer
 */
enum live_credential_news live_credential_answered(struct live_credential_use *u, enum cause cause, bool of_key,
                                                   const struct rate_reading *reading, ns_t now);

/* For people and metrics, as of now, consistent in itself. Accounts are of the report of a limit. */
struct live_credential_report {
    struct rate_credential state;
    double headroom;
    uint64_t sent, rate_limited, refused; /* requests; answers that said so */
};
void live_credential_report(struct live_credential *c, ns_t now, struct live_credential_report *ret);
void live_limit_report(struct live_limit *l, ns_t now, struct live_credential_report *ret);

#endif
