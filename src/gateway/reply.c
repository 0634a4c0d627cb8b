/*
 * reply.c - answers that the gateway gives itself: errors in the client's own shape, and small JSON documents.
 */
#include "gateway/exchange.h"
#include "rt/loop.h"

enum { ERROR_BODY_MAX = 64 * 1024 };

/* A client may ask for a model by a name that no header can hold, or that none should. */
static bool fits_header(struct str value)
{
    enum { VALUE_MAX = 256 };

    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
            return false;
    return value.n > 0 && value.n <= VALUE_MAX;
}

static void add_header(struct http_header *to, size_t *n, struct str name, struct str value)
{
    if (fits_header(value))
        to[(*n)++] = (struct http_header){name, value};
}

/* Decimal text of `v` in the arena. */
static struct str number_text(struct arena *a, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return arena_str(a, str_of(digits + at, sizeof digits - at));
}

size_t own_headers(struct exchange *x, struct http_header *to)
{
    struct arena *a = x->r->arena;
    ns_t own = rt_now_exact() - x->started - x->waited;
    size_t n = 0;

    x->facts.overhead = own > 0 ? own : 0;
    add_header(to, &n, STR("x-request-id"), x->facts.id);
    if (x->chosen) {
        add_header(to, &n, STR("x-crossdock-model"), x->facts.model);
        add_header(to, &n, STR("x-crossdock-deployment"), x->chosen->name);
        add_header(to, &n, STR("x-crossdock-attempts"), number_text(a, x->facts.attempts));
        add_header(to, &n, STR("x-crossdock-overhead-us"), number_text(a, (uint64_t)x->facts.overhead / 1000));
    }
    return n;
}

err_t reply_json(struct exchange *x, int status, struct str body)
{
    struct http_header headers[OWN_HEADERS + 1];
    size_t n = own_headers(x, headers);

    headers[n++] = (struct http_header){STR("content-type"), STR("application/json")};
    struct http_reply reply = {.status = status, .headers = headers, .count = n, .length = (int64_t)body.n};
    return http_reply_whole(x->r, &reply, body);
}

err_t reply_error(struct exchange *x, const struct api_error *e)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(ERROR_BODY_MAX);

    if (!x->facts.error_text.n)
        x->facts.error_text = arena_str(x->r->arena, e->message);
    if (x->facts.error == OK)
        x->facts.error = E_UPSTREAM;
    if (x->r->status) { /* an answer has begun: all that is left is to let the client notice */
        http_reply_abort(x->r);
        return OK;
    }
    openai_error_body(e, &body);
    return reply_json(x, e->status, buf_str(&body));
}

err_t reply_err(struct exchange *x, err_t e, const char *code)
{
    struct api_error error = {
        .status = err_http_status(e), .message = arena_str(x->r->arena, str_from_c(err_detail(e))), .code = code};

    x->facts.error = e;
    return reply_error(x, &error);
}
