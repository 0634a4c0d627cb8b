/* registry_http.h - the schema registry's REST API on a server: of its own command, or of the process that serves the gateway. Private to cli/. */
#ifndef CLI_REGISTRY_HTTP_H
#define CLI_REGISTRY_HTTP_H

#include "net/http_server.h"
#include "registry/registry.h"

struct registry_http {
    struct registry *registry;
    struct buf credentials; /* private: "Basic " and base64 of name:password; empty: anybody may ask */
};

/* Only who shows this name and password may ask. E_TOO_LARGE. */
err_t registry_http_allow(struct registry_http *h, struct str name, struct str password) MUST_CHECK;
/* Give back its memory; the registry stays. */
void registry_http_release(struct registry_http *h);
/* The http_handler_fn; ctx is a struct registry_http. */
err_t registry_http_handle(struct http_request *r, void *ctx) SUSPENDS;

#endif
