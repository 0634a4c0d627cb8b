/*
 * http_request.c - what a handler calls, and who calls the handler.
 *
 * A request of HTTP/1 and a stream of HTTP/2 give the same few functions (struct http_stream_ops); here are the calls
 * built from them, and the rule for handlers that fail: a refusal if no answer has begun, else a broken one. Knows no
 * protocol.
 */
#include "net/http_server.h"

#include "net/http_server_int.h"

err_t http_body_next(struct http_request *r, struct str *ret_piece)
{
    return r->ops->body_next(r, ret_piece);
}

err_t http_body_all(struct http_request *r, uint64_t max, struct str *ret_body)
{
    return r->ops->body_all(r, max, ret_body);
}

int64_t http_body_length(const struct http_request *r)
{
    return r->ops->body_length(r);
}

void http_body_release(struct http_request *r)
{
    if (r->ops->body_release)
        r->ops->body_release(r);
}

err_t http_reply_begin(struct http_request *r, const struct http_reply *reply)
{
    return r->ops->begin(r, reply);
}

/* --- who listens --- */

void http_tap(struct http_request *r, struct http_tap *tap)
{
    buf_init(&tap->last, SIZE_MAX); /* what it takes was written by a handler, which had its limits */
    r->tap = tap;
}

void http_tap_free(void *tap)
{
    struct http_tap *t = tap;

    buf_release(&t->body);
    buf_release(&t->last);
}

err_t http_tap_release(struct http_request *r)
{
    struct str last = buf_str(&r->tap->last);

    if (!r->tap->is_held)
        return OK;
    r->tap->is_held = false;
    return r->ops->write(r, &last, 1, true);
}

static void overhear(struct http_tap *t, const struct str *parts, size_t count, bool end)
{
    for (size_t i = 0; i < count && !t->is_too_large; i++)
        t->is_too_large = buf_add(&t->body, parts[i]) != OK;
    t->is_whole = end;
    t->is_held = end && t->holds;
    for (size_t i = 0; i < count && t->is_held; i++)
        (void)buf_add(&t->last, parts[i]);
}

/* All that is written of an answer goes through here. */
static SUSPENDS err_t put(struct http_request *r, const struct str *parts, size_t count, bool end)
{
    if (UNLIKELY(r->tap != NULL)) {
        overhear(r->tap, parts, count, end);
        if (r->tap->is_held)
            return OK;
    }
    return r->ops->write(r, parts, count, end);
}

err_t http_reply_write(struct http_request *r, const struct str *parts, size_t count)
{
    return put(r, parts, count, false);
}

err_t http_reply_finish(struct http_request *r, const struct str *parts, size_t count)
{
    return put(r, parts, count, true);
}

bool server_allows_trailers(const struct http_request *r, const struct http_reply *reply)
{
    if (!reply->trailer.n || reply->length >= 0 || r->head.minor < 1 || http_status_is_bodyless(reply->status) ||
        str_eq(r->head.method, STR("HEAD")))
        return false;
    /* "connection: te", which should stand beside it (RFC 9110, 10.1.4), is not asked for: many leave it out, and at worst a proxy drops the fields */
    struct str te = http_head_get(&r->head, HDR_TE);
    return te.n && str_list_has(te, STR("trailers"));
}

/* RFC 9110, 6.5.1: what frames, routes or describes a message, or says who sends it, must be known before the body. What HTTP knows is that. */
static err_t check_trailers(const struct http_header *fields, size_t count)
{
    enum { AROUND = 4 }; /* ": " and the line's end */
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        if (http_known_of(fields[i].name) != HDR_OTHER)
            return fail(E_PARSE, "%.*s cannot be a trailer field", STR_ARG(fields[i].name));
        total += fields[i].name.n + fields[i].value.n + AROUND;
    }
    return total > HTTP_TRAILERS_MAX ? fail(E_TOO_LARGE, "trailer fields of %zu bytes", total) : OK;
}

err_t http_reply_trailers(struct http_request *r, const struct http_header *fields, size_t count)
{
    TRY(check_trailers(fields, count));
    return r->takes_trailers ? r->ops->trailers(r, fields, count) : OK;
}

err_t http_reply_flush(struct http_request *r)
{
    return r->ops->flush(r);
}

void http_reply_abort(struct http_request *r)
{
    r->ops->abort(r);
}

err_t http_reply_whole(struct http_request *r, const struct http_reply *reply, struct str body)
{
    struct http_reply whole = *reply;

    whole.length = (int64_t)body.n;
    TRY(r->ops->begin(r, &whole));
    return put(r, &body, 1, true);
}

static struct str plain_words(const struct http_refusal *refusal, struct arena *arena, struct str *ret_type)
{
    *ret_type = STR("text/plain; charset=utf-8");
    return arena_join(arena, refusal->message, STR("\n"));
}

err_t server_refuse(struct http_server *s, struct http_request *r, int status, struct str message)
{
    http_refusal_fn *say = s->options.refusal ? s->options.refusal : plain_words;
    struct http_refusal refusal = {
        .status = status, .method = r->head.method, .path = r->head.path, .message = message};
    struct http_header type = {.name = STR("content-type")};
    struct str body = say(&refusal, r->arena, &type.value);

    return http_reply_whole(r, &(struct http_reply){.status = status, .headers = &type, .count = 1}, body);
}

/* The handler has returned `e` without an answer. */
static NOINLINE SUSPENDS err_t answer_for_handler(struct http_server *s, struct http_request *r, err_t e)
{
    if (e == E_CANCELLED) /* nobody is there to read it */
        return e;
    if (e == OK)
        return server_refuse(s, r, 500, STR("no answer was made"));
    int status = r->refusal ? r->refusal : err_http_status(e);
    return server_refuse(s, r, status, arena_str(r->arena, str_from_c(err_detail(e))));
}

void server_handle(struct http_server *s, struct http_request *r)
{
    s->stats.requests++;
    err_t e = s->options.handler(r, s->options.ctx);
    if (UNLIKELY(r->status == 0))
        (void)answer_for_handler(s, r, e);
    s->stats.requests--;
    s->stats.served++;
}
