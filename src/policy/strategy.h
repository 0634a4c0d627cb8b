/*
 * strategy.h - which deployment a request goes to: what all strategies share. Pure.
 *
 * A strategy is a constant struct in a file of its own below policy/strategy/; the build lists them in a catalog
 * (scripts/gen-catalog). It chooses among the candidates of a pool, which it reads one by one through the caller's
 * function and only as far as it needs, so that a choice between two among a thousand touches two. What is chosen is a
 * function of the ask alone, random draw included, and is told with its probability and the scores behind it, so that
 * the decision can be explained, replayed, and weighed in an evaluation (inverse propensity).
 */
#ifndef POLICY_STRATEGY_H
#define POLICY_STRATEGY_H

#include "base/attr.h"
#include "base/prng.h"
#include "base/str.h"
#include "policy/roster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a candidate may not be chosen. */
enum exclusion {
    EXCLUDED_NOT,
    EXCLUDED_TRIED,      /* the request has failed there                                       */
    EXCLUDED_CAPABILITY, /* it cannot do what the request needs, or not in that length         */
    EXCLUDED_DATA,       /* the data may not go there: region, retention, sensitivity          */
    EXCLUDED_CONDITION,  /* a condition of the route or an override of the request leaves it out */
    EXCLUDED_DRAINED,    /* an operator took it out                                            */
    EXCLUDED_EJECTED,    /* ill health                                                         */
    EXCLUDED_PROBING,    /* it is being tried with few requests, and they are under way        */
    EXCLUDED_RATE_LIMIT, /* no credential has enough left before its reset                     */
    EXCLUDED_CREDENTIAL, /* no credential is accepted there                                    */
    EXCLUDED_CAPACITY,   /* its concurrency limit is reached                                   */
    EXCLUDED_BUDGET,     /* the money set aside for it is spent                                */
    EXCLUSIONS
};
/* "ejected", "rate_limit", ...; "not". Static. */
const char *exclusion_name(enum exclusion e) PURE;

/* What of a candidate is asked for beside what always is. */
enum {
    NEEDS_ID = 1,
    NEEDS_TIER = 2,
    NEEDS_LOAD = 4,
    NEEDS_LATENCY = 8,
    NEEDS_COST = 16,
    NEEDS_HEADROOM = 32,
};

/* A deployment as a strategy sees it. */
struct strategy_candidate {
    enum exclusion excluded;              /* always set; the rest only matters if it is EXCLUDED_NOT */
    unsigned weight;                      /* always set; > 0                                         */
    double slow_start;                    /* always set; (0, 1]: share of its weight for now         */
    uint64_t id;                          /* NEEDS_ID: stable over reloads, as a hash of its name    */
    unsigned tier;                        /* NEEDS_TIER: 0 is the first choice                       */
    uint64_t in_flight, in_flight_tokens; /* NEEDS_LOAD: requests, and their tokens in and out       */
    double time_per_unit;                 /* NEEDS_LATENCY: ns to first token per latency_units(1); 0: unknown */
    double time_per_token;                /* NEEDS_LATENCY: ns per output token; 0: unknown          */
    double waited_per_unit;               /* NEEDS_LATENCY: as time_per_unit, of those who wait there now; 0: nobody */
    uint64_t
        cost; /* NEEDS_COST: expected of this request, nano-US-dollars; UINT64_MAX: not known, and so the dearest */
    double headroom; /* NEEDS_HEADROOM: free share of its limits; <= 0: none    */
};

/* Fills *to with what always is and what `needs` names; may leave the rest unset. */
typedef void strategy_read_fn(const void *ctx, size_t i, unsigned needs, struct strategy_candidate *to);

#define STRATEGY_NONE SIZE_MAX

enum { STRATEGY_SEEN_MAX = 16, STRATEGY_ORDER_MAX = 8, STRATEGY_TRIED_MAX = 8, STRATEGY_SCAN_MAX = 64 };
/* Of many that are compared: so few fewer than a decision holds that there is room for some that turn out to be excluded. */
enum { STRATEGY_SAMPLE = STRATEGY_SEEN_MAX - 4 };

/* A decision that is asked for. Everything is borrowed for the call. */
struct strategy_ask {
    size_t count; /* candidates */
    strategy_read_fn *read;
    const void *ctx;
    uint64_t draw;         /* 64 uniform random bits                                             */
    uint64_t turn;         /* of the route: one more for each decision                           */
    uint64_t input_tokens; /* of the request; estimates will do                                  */
    uint64_t output_tokens;
    bool has_sticky; /* `sticky` is a hash of what shall stay together: conversation, user, header */
    uint64_t sticky;
    bool has_home; /* candidate `home` holds a part of the prompt in its cache            */
    size_t home;
    uint64_t home_cached;         /* input tokens that it holds */
    double ns_per_nanodollar;     /* patience: how long a nano-US-dollar saved may take; 0: money does not matter */
    const struct roster *roster;  /* of these candidates; NULL: there is none, and all are read; see above */
    struct roster_request priced; /* the request, as what NEEDS_COST brings is computed */
    const size_t *tried;          /* candidates that are to be left out as EXCLUDED_TRIED; at most STRATEGY_TRIED_MAX */
    size_t tried_count;
};

/* A candidate that was looked at. */
struct strategy_seen {
    uint32_t index;
    enum exclusion excluded;
    double score; /* what the strategy compares, in its unit; 0 if excluded */
};

struct strategy_decision {
    const char *strategy; /* its name */
    const char *why;      /* in a few words; static */
    size_t chosen;        /* index, or STRATEGY_NONE: all are excluded */
    double score;         /* of the chosen */
    double probability; /* of choosing it, over all draws; 0: not computed, because more than STRATEGY_SCAN_MAX exist */
    uint64_t draw;      /* as given */
    size_t examined;    /* how many were read; `count` of the ask: all */
    uint32_t excluded[EXCLUSIONS]; /* of those examined, how many by which rule */
    unsigned seen_count;
    uint32_t farthest_;                           /* index of those seen */
    struct strategy_seen seen[STRATEGY_SEEN_MAX]; /* those examined first; the chosen is always among them */
};

/* An entry of the catalog. */
struct strategy {
    const char *name; /* as the configuration spells it; the file's stem with - for _ */
    const char *unit; /* of scores: "weight", "tokens", ... */
    bool least_wins;  /* of two scores the lower is better */
    /* Choose. *d comes with everything unset but its name and draw. Reads through strategy_read() only. */
    void (*choose)(const struct strategy_ask *ask, struct strategy_decision *d);
};

extern const struct strategy *const strategy_catalog[];
extern const size_t strategy_catalog_count;
/* Those that others fall back on: a draw by weight, and one tier after the other; and the one that must be told what stays together. */
extern const struct strategy strategy_weighted, strategy_priority, strategy_sticky;

/* The strategy of that name; NULL if there is none. */
const struct strategy *strategy_find(struct str name) PURE;
/* Choose one of the ask's candidates. Never one that is excluded or was tried. */
struct strategy_decision strategy_choose(const struct strategy *s, const struct strategy_ask *ask);
/*
 * The order in which to try them: up to `max` (at most STRATEGY_ORDER_MAX) decisions, each made as if those before had
 * failed. Probabilities are conditional on what came before. Returns how many there are; fewer than `max` if there are
 * no more candidates. What is tried already and `max` together are at most STRATEGY_TRIED_MAX.
 */
size_t strategy_order(const struct strategy *s, const struct strategy_ask *ask, size_t max,
                      struct strategy_decision *to);

/* ---- for strategies ---- */

/* Read candidate `i`, noting what the caller of the strategy said was tried. Counts it as examined and, if it is
 * excluded, notes that. True if it may be chosen. */
bool strategy_read(const struct strategy_ask *ask, struct strategy_decision *d, size_t i, unsigned needs,
                   struct strategy_candidate *to);
/* The same without a trace in the decision: for a second look. */
bool strategy_reread(const struct strategy_ask *ask, size_t i, unsigned needs, struct strategy_candidate *to);
/* Note the score of an examined candidate. */
void strategy_note(struct strategy_decision *d, size_t i, double score);
/* Settle on candidate `i`. */
void strategy_settle(struct strategy_decision *d, size_t i, double score, double probability, const char *why);
/* Forget what was read: all of it is going to be read. */
void strategy_begin_again(struct strategy_decision *d);
/* Is the pool large, and arranged in a roster? */
bool strategy_has_roster(const struct strategy_ask *ask) PURE;
enum { STRATEGY_TRIES = 32 };
/* Does a candidate that was drawn by its weight take the request now? Only as often as its slow start lets it. */
bool strategy_accepts(struct prng *p, const struct strategy_candidate *c);
/* A candidate drawn evenly from those that may be chosen. STRATEGY_NONE if STRATEGY_TRIES draws found none: nearly all are excluded,
 * and the strategy had better read them all. */
size_t strategy_sample(const struct strategy_ask *ask, struct strategy_decision *d, struct prng *p, unsigned needs,
                       struct strategy_candidate *to);
/* Weight times slow start, as a whole number of 1/STRATEGY_WEIGHT_ONE; > 0. */
enum { STRATEGY_WEIGHT_ONE = 1024 };
uint64_t strategy_weight(const struct strategy_candidate *c);
/*
 * The sum of weights over all candidates, and enough of how it grew to find who holds a ticket without reading all of them
 * again.
 */
enum { STRATEGY_TALLY_BLOCKS = 64 };
struct strategy_tally {
    uint64_t sum;
    unsigned shift_; /* candidates per block, as a power of two */
    uint64_t blocks_[STRATEGY_TALLY_BLOCKS];
};
/* An empty one, for up to `count` candidates. */
struct strategy_tally strategy_tally_begin(size_t count);
void strategy_tally_add(struct strategy_tally *t, size_t i, uint64_t weight);
/* Where to begin counting: the first candidate of the part in which ticket *left (below the sum) lies; what is before it is
 * taken off *left. */
size_t strategy_tally_seek(const struct strategy_tally *t, uint64_t *left);

/* Nanoseconds until candidate `i` would have answered; what its cache holds takes no time. 0: not known. */
double strategy_time(const struct strategy_ask *ask, size_t i, const struct strategy_candidate *c);

#endif
