/* web.h - HTTP APIs that nodes and sinks ask: connections are kept, by origin, for the shard. */
#ifndef PIPELINE_WEB_H
#define PIPELINE_WEB_H

#include "base/arena.h"
#include "base/secret.h"
#include "net/http_client.h"

struct web;

/* On this loop; web_free() frees it, when no question is under way. */
struct web *web_new(void);
/* NULL is allowed. */
void web_free(struct web *w);
static inline void web_free_p(struct web **w)
{
    web_free(*w);
}

struct web_question {
    struct str method, url;
    const struct http_header *headers;
    size_t header_count;
    struct str body; /* absent: none */
    size_t max_answer;
    struct tls_ctx *tls; /* of https; NULL: the system's authorities. Outlives the web. */
};
struct web_answer {
    int status;
    struct str body;              /* in the arena */
    const struct http_head *head; /* likewise     */
    ns_t retry_at;                /* not before this instant, it says (retry-after); 0: it does not say */
};

/*
 * Ask, and read the whole answer, whatever its status.
 *
 * Suspends; the fiber's deadline ends it, which closes the connection. Errors: E_PARSE (the URL, a header), E_TOO_LARGE (the answer), and those of
 * http_call_open() and http_call_all().
 */
err_t web_ask(struct web *w, const struct web_question *q, struct arena *arena, struct web_answer *ret) SUSPENDS
MUST_CHECK;
/* OK for 2xx; else the error that says whether to try again: E_OVERLOAD (423, 425, 429), E_DEADLINE (408, 504), E_UPSTREAM (other 5xx), E_AUTH (401: another
 * credential is needed, whatever is asked), E_FORBIDDEN (what the other side will refuse again). */
err_t web_check(const struct web_question *q, const struct web_answer *a) MUST_CHECK;
/* The header that shows a name and a password (RFC 7617); its value is in the arena. E_TOO_LARGE. */
err_t web_basic(struct str user, const struct secret *password, struct arena *arena, struct http_header *ret)
    MUST_CHECK;

#endif
