/*
 * health.h - looks after deployments while no request does: asks those that no traffic tells of, and servers how busy they are.
 *
 * One of a process is enough, because what it learns goes into the live state that all loops share.
 */
#ifndef GATEWAY_HEALTH_H
#define GATEWAY_HEALTH_H

#include "gateway/gateway.h"

/* Look after all that g's configuration names, and after a reload after what the new one names. Suspends; runs until it is cancelled, which it must have been
 * when `g` is freed. E_CANCELLED. */
err_t health_run(struct gateway *g) SUSPENDS MUST_CHECK;

#endif
