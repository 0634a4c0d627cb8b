/*
 * endpoint.h - which operation of which dialect a method and path mean. Pure.
 *
 * The dialects bring their own rows (llm/dialect.h). Accepted besides their natural paths is what clients really send: a doubled /v1/v1, a
 * trailing slash, and a dialect's name in front ("/anthropic/v1/messages"), which settles paths that several dialects share.
 */
#ifndef GATEWAY_ENDPOINT_H
#define GATEWAY_ENDPOINT_H

#include "base/arena.h"
#include "base/str.h"
#include "codec/http1.h"
#include "llm/dialect.h"

#include <stdbool.h>

enum endpoint_kind {
    ENDPOINT_OPERATION,    /* a row of a dialect                          */
    ENDPOINT_PASS_THROUGH, /* another path below /v1, of OpenAI's dialect */
    ENDPOINT_WRONG_METHOD, /* a known path, but not with this method      */
    ENDPOINT_UNKNOWN,
};

struct endpoint {
    enum endpoint_kind kind;
    const char *label;              /* for metrics: "chat", …; static                                     */
    const struct dialect *dialect;  /* the client's; never NULL: of unknown paths the one to complain in   */
    const struct endpoint_row *row; /* of ENDPOINT_OPERATION                                               */
    const struct dialect *other;    /* another dialect with a row for this path, told apart by the body; NULL: none */
    const struct endpoint_row *other_row;
    struct str path;   /* pass-through: below /v1, with its leading slash: "/audio/speech"   */
    struct str model;  /* {model} of the path, decoded once, in the arena                     */
    const char *allow; /* of ENDPOINT_WRONG_METHOD: the method to use                        */
};

/* `path` is normal (codec/url.h); `head` settles which dialect's list of models or files is meant. */
void endpoint_find(struct str method, struct str path, const struct http_head *head, struct arena *arena,
                   struct endpoint *ret);
/* The dialect among the two that share this path, by what the body holds. */
void endpoint_settle(struct endpoint *e, struct str body);
/* The other one of the two. */
void endpoint_take_other(struct endpoint *e);

#endif
