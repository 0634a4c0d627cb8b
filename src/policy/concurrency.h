/*
 * concurrency.h - how many requests a deployment gets at a time, so that its answers keep their objectives. Pure.
 *
 * The operator says how long the first token and each further one may take. struct concurrency is fed with what they took
 * and moves the limit: down when the objectives are missed, up when they are kept and the limit was what held back.
 */
#ifndef POLICY_CONCURRENCY_H
#define POLICY_CONCURRENCY_H

#include "base/attr.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct concurrency_rules {
    double least, most; /* the limit stays in [least, most]; least >= 1 */
    double first;       /* that it begins with */
    ns_t first_token;   /* objective; 0: none  */
    ns_t per_token;     /* objective, of each token after the first; 0: none */
    ns_t interval;      /* between two changes, at least                     */
    unsigned samples;   /* on which a change is based, at least; > 0         */
};

/* What a part of an answer took. */
struct concurrency_sample {
    ns_t begun;         /* when that part began: the request was sent, or its measured tokens began */
    ns_t first_token;   /* 0: this part has none                                                    */
    ns_t per_token;     /* mean over the part; 0: none                                              */
    unsigned in_flight; /* at the deployment when the part ended                                    */
};

enum concurrency_reason {
    CONCURRENCY_FIRST,      /* as configured                                 */
    CONCURRENCY_MISSED,     /* lowered: the objectives were missed           */
    CONCURRENCY_OVERLOADED, /* lowered: the provider said that it is too much */
    CONCURRENCY_KEPT,       /* raised: they were kept at the limit           */
    CONCURRENCY_REASONS
};

/* Zeroed it is not ready: concurrency_init(). */
struct concurrency {
    double limit;
    enum concurrency_reason reason; /* of the last change */
    ns_t changed;
    double burden_; /* sum over the samples since the last change: time over objective */
    unsigned samples_, peak_;
};

void concurrency_init(struct concurrency *c, const struct concurrency_rules *rules, ns_t now);
/* May one more be sent, `in_flight` being there? */
bool concurrency_admits(const struct concurrency *c, unsigned in_flight) PURE;
/*
 * A part of an answer is there. What began before the last change says nothing about it and is ignored; so the more often
 * long answers are reported (every few dozen tokens, say), the faster the limit follows.
 */
void concurrency_sample(struct concurrency *c, const struct concurrency_rules *rules,
                        const struct concurrency_sample *s, ns_t now);
/* The provider refused a request that was sent at `begun`, because it has no capacity (CAUSE_OVERLOADED). */
void concurrency_overloaded(struct concurrency *c, const struct concurrency_rules *rules, ns_t begun,
                            unsigned in_flight, ns_t now);
/* "objectives missed", ...; static. */
const char *concurrency_reason_words(enum concurrency_reason r) PURE;

#endif
