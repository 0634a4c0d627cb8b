/*
 * plan.h - what befalls one request: its pace, its length, its fault. Pure, and repeatable.
 *
 * The fault and the pace are a function of (seed, model, the number of the request among those to this model); the length of the answer is
 * one of (seed, what was asked), so that the same question gets the same answer whatever came before it.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "sim/scenario.h"

struct sim_plan {
    ns_t ttft;
    double speed;                  /* tokens per second; 0: all at once                                */
    size_t length;                 /* tokens of the answer                                             */
    const struct sim_fault *fault; /* never NULL; kind SIM_FAULT_NONE if nothing happens */
};

/* What a request is known by. */
struct sim_occasion {
    uint64_t seed;
    uint64_t model;    /* sim_hash() of its name          */
    uint64_t nth;      /* request to the model, from 1    */
    uint64_t question; /* sim_hash() of what was asked    */
    ns_t elapsed;      /* since the provider began        */
};

/* Decide. `override` may be NULL. The plan borrows from scenario and override. */
void sim_plan_make(const struct sim_model *model, const struct sim_occasion *at, const struct sim_override *override,
                   struct sim_plan *ret);

/* When `tokens` have been sent, counted from the request's arrival. */
ns_t sim_plan_due(const struct sim_plan *plan, size_t tokens) PURE;
/* Does everything leave at once? */
bool sim_plan_is_instant(const struct sim_plan *plan) PURE;

#endif
