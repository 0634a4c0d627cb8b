/* web.c - a pool of connections for each origin that was asked and each TLS context that it was asked with, and one call at a time over it. */
#include "pipeline/system/web.h"

#include "base/map.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "codec/url.h"
#include "policy/rate_headers.h"
#include "rt/loop.h"

struct origin {
    struct upstream *upstream;
    char name[];
};

struct web {
    struct map origins;
};

struct web *web_new(void)
{
    return NEW(struct web);
}

void web_free(struct web *w)
{
    struct str name;
    void *value;
    size_t at = 0;

    if (!w)
        return;
    while (map_next(&w->origins, &at, &name, &value)) {
        struct origin *o = value;
        upstream_free(o->upstream);
        mem_free(o);
    }
    map_release(&w->origins);
    mem_free(w);
}

/* What stands before the path. */
static struct str origin_of(struct str url, const struct url *u)
{
    return u->path.p ? str_of(url.p, (size_t)(u->path.p - url.p)) : url;
}

static struct upstream *reach(struct web *w, const struct web_question *q, const struct url *u, struct arena *arena)
{
    struct str name = arena_printf(arena, "%.*s %p", STR_ARG(origin_of(q->url, u)), (void *)q->tls);
    struct origin *o = map_get(&w->origins, name);

    if (o)
        return o->upstream;
    o = mem_alloc(sizeof *o + name.n);
    memcpy(o->name, name.p, name.n);
    o->upstream = upstream_new(&(struct upstream_options){
        .secure = str_eq_nocase(u->scheme, STR("https")), .host = u->host, .port = u->port, .tls = q->tls});
    map_put(&w->origins, str_of(o->name, name.n), o);
    return o->upstream;
}

static struct str target_of(const struct url *u, struct arena *arena)
{
    struct str path = u->path.n ? u->path : STR("/");

    return u->query.p ? arena_printf(arena, "%.*s?%.*s", STR_ARG(path), STR_ARG(u->query)) : path;
}

static ns_t read_retry_at(const struct http_head *head)
{
    struct rate_reading r = {.count = 0};

    for (size_t i = 0; i < head->count; i++)
        if (str_starts_nocase(head->headers[i].name, STR("retry-after")))
            rate_reading_header(&r, head->headers[i].name, head->headers[i].value, rt_now(), rt_wall());
    return r.has_retry ? r.retry_at : 0;
}

static SUSPENDS err_t receive(struct http_call *c, const struct web_question *q, struct arena *arena,
                              struct web_answer *ret)
{
    struct str body;

    ret->head = http_call_head(c);
    ret->status = ret->head->status;
    ret->retry_at = read_retry_at(ret->head);
    TRY(http_call_all(c, NS_NEVER, q->max_answer, &body));
    ret->body = arena_str(arena, body);
    return OK;
}

err_t web_ask(struct web *w, const struct web_question *q, struct arena *arena, struct web_answer *ret)
{
    struct url u;
    struct http_call *c;

    TRY(url_parse(q->url, &u));
    struct http_call_options o = {.method = q->method,
                                  .target = target_of(&u, arena),
                                  .headers = q->headers,
                                  .count = q->header_count,
                                  .body = &q->body,
                                  .body_parts = q->body.p ? 1 : 0};
    TRY(http_call_open(reach(w, q, &u, arena), arena, &o, NULL, &c));
    err_t e = receive(c, q, arena, ret);
    http_call_close(c);
    return e;
}

err_t web_check(const struct web_question *q, const struct web_answer *a)
{
    enum { SHOWN = 200 };
    struct str words = a->body.n > SHOWN ? str_slice(a->body, 0, SHOWN) : a->body;
    err_t e = E_FORBIDDEN;

    if (a->status >= 200 && a->status <= 299)
        return OK;
    if (a->status == 429 || a->status == 423 || a->status == 425)
        e = E_OVERLOAD;
    else if (a->status == 401)
        e = E_AUTH;
    else if (a->status == 408 || a->status == 504)
        e = E_DEADLINE;
    else if (a->status >= 500)
        e = E_UPSTREAM;
    return fail(e, "%.*s was answered with status %d: %.*s", STR_ARG(q->method), a->status, STR_ARG(words));
}

err_t web_basic(struct str user, const struct secret *password, struct arena *arena, struct http_header *ret)
{
    enum { CREDENTIAL_MAX = 8 * 1024 };
    struct buf text CLEANUP(buf_release) = BUF_INIT(CREDENTIAL_MAX);
    struct buf coded CLEANUP(buf_release) = BUF_INIT(2 * CREDENTIAL_MAX);

    TRY(buf_addf(&text, "%.*s:%.*s", STR_ARG(user), STR_ARG(secret_reveal(password))));
    TRY(buf_add(&coded, STR("Basic ")));
    TRY(base64_encode(&coded, buf_str(&text), BASE64));
    *ret = (struct http_header){STR("authorization"), arena_str(arena, buf_str(&coded))};
    explicit_bzero(text.p, text.n);
    explicit_bzero(coded.p, coded.n);
    return OK;
}
