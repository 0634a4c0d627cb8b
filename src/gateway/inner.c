/*
 * inner.c - a request of the process itself: made of its parts, served by the same steps as a client's, its facts read before they go.
 *
 * The only differences are that nobody has to prove who it is, and that its deadline is the fiber's. The configuration in use is held for as long, because the
 * names that are told stand in it.
 */
#include "gateway/inner.h"

#include "gateway/exchange.h"
#include "net/http_inner.h"

enum { ARENA_MAX = 256 << 20, HEADERS_MAX = 3 };

/* So long before the fiber's deadline the request has its own, and so ends in an answer that says why. */
#define LAST_WORD NS_MS

static size_t write_headers(const struct inner_question *q, struct http_header headers[HEADERS_MAX])
{
    size_t n = 0;

    headers[n++] = (struct http_header){STR("content-type"), STR("application/json")};
    if (q->id.n)
        headers[n++] = (struct http_header){STR("x-request-id"), q->id};
    if (q->traceparent.n)
        headers[n++] = (struct http_header){STR("traceparent"), q->traceparent};
    return n;
}

static void tell(const struct facts *f, const struct http_inner_answer *a, struct arena *arena,
                 struct inner_answer *ret)
{
    *ret = (struct inner_answer){.status = a->status,
                                 .body = arena_str(arena, a->body),
                                 .is_whole = a->is_whole,
                                 .id = arena_str(arena, f->id),
                                 .model = arena_str(arena, f->model_label),
                                 .deployment = arena_str(arena, f->deployment),
                                 .provider = arena_str(arena, f->provider),
                                 .attempts = f->attempts,
                                 .usage = f->usage,
                                 .price = f->price,
                                 .is_priced = f->is_priced,
                                 .error = arena_str(arena, f->error_text)};
}

err_t gateway_ask(struct gateway *g, const struct inner_question *q, struct arena *arena, struct inner_answer *ret)
{
    struct arena own CLEANUP(arena_release);
    struct http_header headers[HEADERS_MAX];
    struct http_inner_answer answer;

    arena_init(&own, ARENA_MAX);
    const struct http_inner asked = {.method = STR("POST"),
                                     .path = q->path,
                                     .headers = headers,
                                     .header_count = write_headers(q, headers),
                                     .body = q->body,
                                     .arena = &own,
                                     .answer_max = q->answer_max,
                                     .on_piece = q->on_piece,
                                     .ctx = q->ctx};
    struct http_inner_stream *s = arena_new(&own, struct http_inner_stream);
    struct exchange *x = arena_new(&own, struct exchange);
    struct held *held = gateway_hold(g);
    http_inner_begin(s, &asked);
    x->inner = q;
    x->overrides.by = fiber_deadline() == NS_NEVER ? 0 : fiber_deadline() - LAST_WORD;
    err_t e = http_inner_end(s, exchange_run(x, g, &s->r), &answer);
    tell(&x->facts, &answer, arena, ret);
    gateway_let_go(g, held);
    return e;
}

err_t inner_check(const struct inner_answer *a)
{
    struct str words = a->error.n ? a->error : STR("it broke off");
    err_t e = E_FORBIDDEN;

    if (a->status >= 200 && a->status <= 299 && a->is_whole)
        return OK;
    if (a->status == 429)
        e = E_OVERLOAD;
    else if (a->status == 408 || a->status == 504)
        e = E_DEADLINE;
    else if (a->status >= 500 || a->status < 300)
        e = E_UPSTREAM;
    return fail(e, "request %.*s was answered with status %d: %.*s", STR_ARG(a->id), a->status, STR_ARG(words));
}
