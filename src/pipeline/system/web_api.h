/* web_api.h - sinks that speak to a database over its HTTP API, at a connection of the file. Private to pipeline/. */
#ifndef PIPELINE_WEB_API_H
#define PIPELINE_WEB_API_H

#include "pipeline/system/reach.h"
#include "pipeline/system/web_sink.h"

struct web_api {
    struct web_sink sink;
    struct reach reach;
    struct str base;              /* URL without a slash at its end; in reach.arena */
    struct str path;              /* that batches are sent to, below it; likewise   */
    struct http_header header[2]; /* room for the credential and a content type     */
    size_t header_count;
};

/* Make ready, in a web_api_ready_fn. `port`: where it is if the URL does not say. Suspends. Errors of reach_open(). */
err_t web_api_open(struct web_api *a, const struct sink_at *at, uint16_t port) SUSPENDS MUST_CHECK;

/*
 * The sink_run slots `open` and `close` of a sink that is nothing but that: ready() opens the api, and sets its path. That a batch was applied nobody knows: it is
 * the same again. Suspends. Errors of ready().
 */
typedef err_t web_api_ready_fn(struct web_api *a, const struct sink_at *at) SUSPENDS;
err_t web_api_start(const struct sink_at *at, web_api_ready_fn *ready, bool *ret_applied, void **ret_state) SUSPENDS
MUST_CHECK;
void web_api_stop(void *api);
/* The path: `before`, the name as a URL has it, `behind`. E_TOO_LARGE. */
err_t web_api_set_path(struct web_api *a, const char *before, struct str name, const char *behind) MUST_CHECK;

/* Send the credential of the connection along, as this header; nothing if there is none. */
void web_api_use_key(struct web_api *a, struct str header);
/* The same as user and password (RFC 7617). E_TOO_LARGE. */
err_t web_api_use_basic(struct web_api *a) MUST_CHECK;

/*
 * Ask for `path` below the base, with a body of that media type, and check the answer: 404 is E_NOT_FOUND, what is to be there is not; else as
 * web_sink_check().
 */
err_t web_api_ask(struct web_api *a, struct str method, struct str path, struct str type, struct str body,
                  struct arena *arena, struct web_answer *ret) SUSPENDS MUST_CHECK;

#endif
