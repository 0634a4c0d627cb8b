/*
 * outlier.h - which deployments are taken out because they are ill, for how long, and how they come back. Pure.
 *
 * struct outlier is what is known about one deployment's health. Its life:
 *
 *     in use --(failures in a row, share of failures, slower than its peers)--> ejected --(time)--> probing
 *     probing --(a probe fails)--> ejected, for longer       probing --(probes succeed)--> starting --(time)--> in use
 *
 * Probes are real requests, a few at a time. While it is starting, a deployment gets a rising share of its traffic.
 */
#ifndef POLICY_OUTLIER_H
#define POLICY_OUTLIER_H

#include "base/time.h"
#include "policy/cause.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outlier_rules {
    unsigned consecutive;  /* failures in a row; 0: this does not eject                              */
    unsigned share;        /* failures per 1,000 attempts within the window; 0: this does not eject  */
    unsigned volume;       /* attempts that the window must have had for that                        */
    ns_t window;           /* > 0                                                                    */
    double slow;           /* its time to first token over the median of its peers; 0: does not eject */
    ns_t slow_for;         /* for so long                                                            */
    ns_t eject, eject_max; /* the first ejection; each further one lasts twice as long, up to eject_max */
    ns_t forgive;          /* in use for so long: one ejection is forgotten; > 0                     */
    unsigned share_max;    /* of 1,000 peers, how many may be out; one of two or more always may      */
    unsigned probes;       /* at a time; > 0                                                         */
    unsigned successes;    /* of probes, until it is trusted; > 0                                    */
    ns_t start;            /* how long it takes to get its full share again                          */
    double start_least;    /* share that it begins with, (0, 1]                                      */
};

/* 5 in a row, half of at least 10 in 10 s, 5 times slower than the peers for 10 s; out for 5 s to 5 minutes, at most four
 * fifths of the peers; one probe at a time, two to be trusted, 30 s of slow start. */
extern const struct outlier_rules outlier_rules_usual;

enum outlier_state { OUTLIER_IN_USE, OUTLIER_EJECTED, OUTLIER_PROBING, OUTLIER_STARTING, OUTLIER_STATES };

enum outlier_reason {
    OUTLIER_NONE,        /* in use since the beginning    */
    OUTLIER_CONSECUTIVE, /* failures in a row             */
    OUTLIER_SHARE,       /* share of failures             */
    OUTLIER_SLOW,        /* slower than its peers         */
    OUTLIER_PROBE,       /* a probe failed                */
    OUTLIER_TIME,        /* its time was over             */
    OUTLIER_TRUSTED,     /* its probes succeeded          */
    OUTLIER_REASONS
};

enum { OUTLIER_SLOTS = 10 };

/* Zeroed: in use, nothing known. Members without a trailing underscore are for who explains. */
struct outlier {
    enum outlier_state state;
    enum outlier_reason reason; /* why it is in this state                                              */
    ns_t since, until;   /* when it began; when it ends by itself (NS_NEVER: not by itself). Of OUTLIER_NONE: 0 */
    unsigned ejections;  /* not yet forgotten                                                    */
    enum cause last_ill; /* the failure that was seen last                                       */
    bool withheld;       /* it is ill, but enough of its peers are out: it stays in use (panic)             */
    unsigned life_, number_, ill_number_, consecutive_, probes_out_, successes_;
    ns_t slow_since_; /* 0: it is not slow */
    bool window_begun_;
    ns_t slot_;
    uint32_t good_[OUTLIER_SLOTS], ill_[OUTLIER_SLOTS]; /* newest first */
};

/* The group in which it is judged: a route's or a model's deployments, itself included. */
struct outlier_peers {
    unsigned count, out; /* how many are ejected or probing */
    unsigned measured;   /* others whose time to first token is known         */
    double median;       /* of those, in the unit of outlier_slow()           */
};

/* Let time pass: ends what ends by itself. The state afterwards. */
enum outlier_state outlier_at(struct outlier *o, ns_t now);
/* May a request be sent there? (For a decision's record: EXCLUDED_EJECTED or EXCLUDED_PROBING if not, by the state.) */
bool outlier_admits(struct outlier *o, const struct outlier_rules *rules, ns_t now);
/* Share of its weight for now, (0, 1]. */
double outlier_share(const struct outlier *o, const struct outlier_rules *rules, ns_t now);
/* What an attempt takes along, so that late news are told from new ones. */
struct outlier_stamp {
    unsigned life, number;
};
/* An attempt is sent there. Each outlier_sent() needs one outlier_ended(). */
struct outlier_stamp outlier_sent(struct outlier *o, ns_t now) MUST_CHECK;
/* The attempt has ended. */
void outlier_ended(struct outlier *o, const struct outlier_rules *rules, const struct outlier_peers *peers,
                   struct outlier_stamp stamp, enum cause cause, ns_t now);
/* The attempt's own time to first token, in any unit that the peers' median has, too; before outlier_ended(). A probe that is as slow as what
 * ejects has failed: else the slow one would be trusted, and met by a rising share of the requests, again and again. */
void outlier_probed(struct outlier *o, const struct outlier_rules *rules, const struct outlier_peers *peers,
                    struct outlier_stamp stamp, double time, ns_t now);
/* Its time to first token is estimated anew, in the same unit. */
void outlier_slow(struct outlier *o, const struct outlier_rules *rules, const struct outlier_peers *peers,
                  double estimate, ns_t now);
/* How many attempts ended within the window, well and as failures of its own; what says nothing of its health is in neither. */
void outlier_recent(const struct outlier *o, const struct outlier_rules *rules, ns_t now, uint64_t *ret_good,
                    uint64_t *ret_ill);
/* The middle one of `n` values, which are put in order; 0 if there are none. */
double outlier_median(double *values, size_t n);
/* "ejected", ...; "failures in a row", ...: for people; static. */
const char *outlier_state_name(enum outlier_state s) PURE;
const char *outlier_reason_words(enum outlier_reason r) PURE;

#endif
