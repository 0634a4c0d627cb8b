/* own_gateway.h - a gateway that only one command asks, with the simulated providers of its configuration. Private to cli/. */
#ifndef CLI_OWN_GATEWAY_H
#define CLI_OWN_GATEWAY_H

#include "fleet/catalog.h"
#include "pipeline/trial/trial.h"

struct own_gateway;

/*
 * Make it ready: read certificates and scenarios. Blocks: before loops run.
 *
 * c    a reference is taken, also on failure
 * ret  the caller frees it
 *
 * E_CONFIG, with the reason; problems of scenarios are on stderr.
 */
err_t own_gateway_new(struct catalog *c, struct own_gateway **ret) MUST_CHECK;
/* NULL is allowed. */
void own_gateway_free(struct own_gateway *o);
/*
 * Run body(arg, gateway) on this loop with the gateway there, and simulators that serve. A with_gateway_fn: `own` is a struct own_gateway. On one loop at a time.
 *
 * Suspends. Errors: those of body; of listening for simulators.
 */
err_t own_gateway_with(void *own, gateway_body_fn *body, void *arg) SUSPENDS MUST_CHECK;

#endif
