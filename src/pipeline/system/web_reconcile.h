/* web_reconcile.h - asking an HTTP API whether an effect has happened (`effect.reconcile`). Private to pipeline/. */
#ifndef PIPELINE_WEB_RECONCILE_H
#define PIPELINE_WEB_RECONCILE_H

#include "pipeline/run/run.h"

/*
 * As sink_run.reconcile, of the sink, which may have no `reconcile`: then nobody can tell.
 *
 * Suspends. E_UNKNOWN: neither 2xx nor 404 or 410; the errors of web_ask(), and those of web_check() that may pass.
 */
err_t web_reconcile(struct web *web, const struct pipeline_node *sink, const struct batch_item *item,
                    bool *ret_happened) SUSPENDS MUST_CHECK;

#endif
