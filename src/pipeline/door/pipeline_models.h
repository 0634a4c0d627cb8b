/*
 * pipeline_models.h - pipelines as models: the end of OpenAI's chat completions behind which pipelines with a source `chat` answer.
 *
 * The gateway is its only client (a provider with `pipelines: true`), so everything that holds for models holds for them: routes, fallbacks, limits, records,
 * every dialect that clients speak.
 */
#ifndef PIPELINE_PIPELINE_MODELS_H
#define PIPELINE_PIPELINE_MODELS_H

#include "net/http_server.h"
#include "pipeline/door/doors.h"

/* Where a model's requests are brought to: no path of a client begins so. */
#define PIPELINE_MODEL_PATH "chat/"

struct pipeline_models;

/* `doors` outlives it; the key is copied: who does not show it is refused. */
struct pipeline_models *pipeline_models_new(struct doors *doors, struct str key);
/* NULL is allowed. */
void pipeline_models_free(struct pipeline_models *m);
/* The http_handler_fn; ctx is a struct pipeline_models. */
err_t pipeline_models_handle(struct http_request *r, void *ctx) SUSPENDS;

#endif
