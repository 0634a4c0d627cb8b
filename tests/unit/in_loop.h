/* in_loop.h - run the body of a test as the first fiber of a loop: in virtual time, or on the kernel. */
#ifndef UNIT_IN_LOOP_H
#define UNIT_IN_LOOP_H

#include "rt/loop.h"
#include "rt/sim_world.h"
#include "unit/test.h"

typedef void body_fn(void);

static inline err_t in_loop_call_(void *arg)
{
    body_fn **body = arg;
    (*body)();
    return OK;
}

/* The world of in_sim(), for those who meddle with it. */
static struct sim_world *in_sim_world;

/* In a simulated world without faults: time moves only when every fiber waits, so instants can be checked exactly. */
static inline void in_sim(body_fn *body)
{
    struct sim_world *w = in_sim_world = sim_world_new(&(struct sim_options){.seed = test_seed()});
    err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(w)}, in_loop_call_, &body);
    sim_world_free(w);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
}

static inline void in_kernel(body_fn *body)
{
    err_t e = loop_run(&(struct loop_options){0}, in_loop_call_, &body);
    CHECK_MSG(e == OK, "loop: %s", err_detail(e));
}

#endif
