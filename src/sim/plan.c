/*
 * plan.c - draws a request's fate from generators that are seeded by what the request is.
 *
 * Two streams: one seeded by (seed, model, nth) gives the fault first, then time to first token, then speed; the other, by (seed,
 * question), gives the length. A fault always takes one draw, so adding one to a scenario does not change the pace
 * of the requests that it does not befall. A behaviour without faults whose numbers are all fixed costs no draw at all.
 */
#include "sim/plan.h"

#include "base/prng.h"
#include "sim/hash.h"

static const struct sim_fault no_fault = {.kind = SIM_FAULT_NONE};

static const struct sim_behaviour *behaviour_at(const struct sim_model *m, const struct sim_occasion *at)
{
    for (size_t i = 0; i < m->window_count; i++) {
        const struct sim_window *w = &m->windows[i];
        if (at->elapsed >= w->from && at->elapsed < w->to && at->nth >= (uint64_t)w->first &&
            at->nth <= (uint64_t)w->last)
            return &w->behaviour;
    }
    return &m->usual;
}

static const struct sim_fault *fault_drawn(const struct sim_behaviour *b, double at)
{
    for (size_t i = 0; i < b->fault_count; i++) {
        if (at < b->faults[i].weight)
            return &b->faults[i];
        at -= b->faults[i].weight;
    }
    return &no_fault;
}

static bool is_certain(const struct sim_behaviour *b)
{
    return b->fault_count == 0 && b->ttft.distribution == SIM_FIXED && b->speed.distribution == SIM_FIXED;
}

static void draw_fate(const struct sim_behaviour *b, const struct sim_occasion *at, struct sim_plan *ret)
{
    struct prng prng;

    ret->fault = &no_fault;
    if (is_certain(b)) {
        ret->ttft = (ns_t)b->ttft.centre;
        ret->speed = b->speed.centre;
        return;
    }
    prng_seed(&prng, sim_hash_u64(sim_hash_u64(at->seed, at->model), at->nth));
    ret->fault = fault_drawn(b, prng_unit(&prng));
    ret->ttft = (ns_t)sim_draw_take(&b->ttft, &prng);
    ret->speed = sim_draw_take(&b->speed, &prng);
}

static size_t draw_length(const struct sim_draw *d, const struct sim_occasion *at)
{
    struct prng prng;

    if (d->distribution == SIM_FIXED)
        return (size_t)d->centre;
    prng_seed(&prng, sim_hash_u64(at->seed, at->question));
    return (size_t)(sim_draw_take(d, &prng) + 0.5);
}

void sim_plan_make(const struct sim_model *model, const struct sim_occasion *at, const struct sim_override *override,
                   struct sim_plan *ret)
{
    struct sim_behaviour b = *behaviour_at(model, at);

    if (override) {
        const struct sim_behaviour *o = &override->behaviour;
        if (override->has_ttft)
            b.ttft = o->ttft;
        if (override->has_speed)
            b.speed = o->speed;
        if (override->has_length)
            b.length = o->length;
        if (override->has_fault) {
            b.faults = o->faults;
            b.fault_count = o->fault_count;
        }
    }
    draw_fate(&b, at, ret);
    ret->length = draw_length(&b.length, at);
}

ns_t sim_plan_due(const struct sim_plan *plan, size_t tokens)
{
    if (plan->speed <= 0)
        return plan->ttft;
    double after = (double)tokens / plan->speed * (double)NS_SEC;
    return after >= (double)(NS_NEVER / 4) ? NS_NEVER : ns_add(plan->ttft, (ns_t)after);
}

bool sim_plan_is_instant(const struct sim_plan *plan)
{
    return plan->ttft <= 0 && plan->speed <= 0;
}
