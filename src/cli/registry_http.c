/*
 * registry_http.c - requests to the schema registry: who may ask (RFC 7617), and its answers with their content type.
 */
#include "cli/registry_http.h"

#include "base/log.h"
#include "base/secret.h"
#include "codec/base64.h"

enum { CREDENTIALS_MAX = 16384 };

err_t registry_http_allow(struct registry_http *h, struct str name, struct str password)
{
    struct buf pair CLEANUP(buf_release) = BUF_INIT(CREDENTIALS_MAX / 2);

    buf_init(&h->credentials, CREDENTIALS_MAX);
    TRY(buf_addf(&pair, "%.*s:%.*s", STR_ARG(name), STR_ARG(password)));
    TRY(buf_add_lit(&h->credentials, "Basic "));
    err_t e = base64_encode(&h->credentials, buf_str(&pair), BASE64);
    explicit_bzero(pair.p, pair.n);
    return e;
}

void registry_http_release(struct registry_http *h)
{
    if (h->credentials.p)
        explicit_bzero(h->credentials.p, h->credentials.n);
    buf_release(&h->credentials);
}

static SUSPENDS err_t reply(struct http_request *r, int status, struct str body)
{
    const struct http_header headers[] = {{STR("content-type"), STR("application/vnd.schemaregistry.v1+json")},
                                          {STR("www-authenticate"), STR("Basic realm=\"schemas\"")}};
    const struct http_reply reply = {
        .status = status, .headers = headers, .count = 1 + (status == 401), .length = (int64_t)body.n};

    return http_reply_whole(r, &reply, body);
}

err_t registry_http_handle(struct http_request *r, void *ctx)
{
    const struct registry_http *p = ctx;
    struct registry_answer answer;
    struct str body;

    if (p->credentials.n && !str_eq_secret(http_request_header(r, STR("authorization")), buf_str(&p->credentials)))
        return reply(r, 401, STR("{\"error_code\":40101,\"message\":\"Unauthorized\"}"));
    TRY(http_body_all(r, REGISTRY_BODY_MAX, &body));
    const struct registry_request q = {
        .method = r->head.method, .path = r->head.path, .query = r->head.query, .body = body};
    err_t e = registry_ask(p->registry, &q, r->arena, &answer);
    if (e == E_CANCELLED)
        return e;
    if (e == OK)
        return reply(r, answer.status, answer.body);
    log_error(STR_NONE, "the schema registry: %s", err_detail(e));
    return reply(r, 500, STR("{\"error_code\":50001,\"message\":\"Error in the backend data store\"}"));
}
