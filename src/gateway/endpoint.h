/*
 * endpoint.h - which operation a method and path mean. Pure.
 *
 * Accepts what clients really send: a doubled /v1/v1, a trailing slash, the /openai prefix.
 */
#ifndef GATEWAY_ENDPOINT_H
#define GATEWAY_ENDPOINT_H

#include "base/str.h"

#include <stdbool.h>

enum endpoint_kind {
    ENDPOINT_CHAT,
    ENDPOINT_COMPLETIONS,
    ENDPOINT_RESPONSES,
    ENDPOINT_EMBEDDINGS,
    ENDPOINT_MODEL_LIST,
    ENDPOINT_MODEL_GET,
    ENDPOINT_PASS_THROUGH, /* another path below /v1                      */
    ENDPOINT_WRONG_METHOD, /* a known path, but not with this method      */
    ENDPOINT_UNKNOWN,
};

struct endpoint {
    enum endpoint_kind kind;
    const char *label; /* for metrics: "chat", …; static              */
    struct str path;   /* below /v1, with its leading slash: "/chat/completions" */
    struct str model;  /* of ENDPOINT_MODEL_GET: percent-encoded as it came      */
    const char *allow; /* of ENDPOINT_WRONG_METHOD: the method to use            */
};

void endpoint_find(struct str method, struct str path, struct endpoint *ret);

#endif
