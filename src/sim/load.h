/*
 * load.h - a model that gets slower the more is asked of it: what a server with one batch does. Pure.
 *
 * Two figures make a server: how many tokens it reads a second, one prompt after the other, and how many it writes, which all answers
 * that are under way share. So the first token waits for the prompts before it, and each further one takes longer the more answers there are.
 */
#ifndef SIM_LOAD_H
#define SIM_LOAD_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/* Tokens per second; 0: no bound. */
struct sim_capacity {
    double read, written;
};

/* What is under way. Zeroed it is nothing. */
struct sim_load {
    ns_t read_until;    /* when the prompts that came so far are read */
    unsigned answering; /* answers that are being written             */
};

bool sim_capacity_is_bounded(const struct sim_capacity *c);
/* A prompt came: how long from now until it is read, those before it included. */
ns_t sim_load_read(struct sim_load *l, const struct sim_capacity *c, uint64_t tokens, ns_t now);
/* How long `tokens` of one answer take beside the others; not less than at `speed` (per second; 0: no bound). */
ns_t sim_load_write(const struct sim_load *l, const struct sim_capacity *c, double speed, uint64_t tokens);

#endif
