/*
 * limits.h - rate limits of the simulated provider: per key and model, in windows, as its answers' headers tell them.
 *
 * A window begins with the first request that finds none. Requests are counted when they come; tokens when they are known, prompts before the answer's
 * headers, what is generated at the latest when it has been sent. A request is let through while something is left of every limit, so the
 * one that overdraws is answered; the next one gets the 429.
 */
#ifndef SIM_LIMITS_H
#define SIM_LIMITS_H

#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

enum sim_limited { SIM_REQUESTS, SIM_TOKENS, SIM_INPUT_TOKENS, SIM_OUTPUT_TOKENS, SIM_LIMITED };

/* What a model's scenario says. */
struct sim_limit_rules {
    unsigned most[SIM_LIMITED]; /* in each window; 0: not limited */
    ns_t window;
};

struct sim_limits;
struct sim_spent;

/* Of one provider, on whatever loops it runs. */
struct sim_limits *sim_limits_new(void);
/* Takes NULL. */
void sim_limits_free(struct sim_limits *l);

/* What is spent of the limits of one key at one model; lives as long as the limits. From any thread. */
struct sim_spent *sim_limits_of(struct sim_limits *l, struct str key, struct str model);
/* A request came. False: something is spent, and it is to be refused; else it is counted. */
bool sim_limits_take(struct sim_limits *l, struct sim_spent *s, const struct sim_limit_rules *rules, ns_t now);
void sim_limits_spend(struct sim_limits *l, struct sim_spent *s, bool is_output, uint64_t tokens);

/* As of now. */
struct sim_limits_left {
    uint64_t left[SIM_LIMITED];
    ns_t reset;                /* when it begins anew                                    */
    enum sim_limited tightest; /* that has nothing left; SIM_LIMITED: each has something */
};
void sim_limits_read(struct sim_limits *l, struct sim_spent *s, const struct sim_limit_rules *rules, ns_t now,
                     struct sim_limits_left *ret);

#endif
