/*
 * reply.c - answers that the gateway gives itself: errors in the client's own shape, and small JSON documents; and what it says of itself in the headers
 * of all answers, and behind streams.
 */
#include "gateway/exchange.h"
#include "llm/openai_error.h"
#include "observe/story.h"
#include "rt/loop.h"

enum { ERROR_BODY_MAX = 64 * 1024, LOSSES_SHOWN = 1024 };

/* A word of our own. */
static void add_header(struct http_header *to, size_t *n, struct str name, struct str value)
{
    to[(*n)++] = (struct http_header){name, value};
}

/* A client may ask for a model by a name that no header can hold, or that none should; and a configuration may have any names. */
static void add_told(struct http_header *to, size_t *n, struct str name, struct str value)
{
    enum { VALUE_MAX = LOSSES_SHOWN };

    if (value.n > 0 && value.n <= VALUE_MAX && http1_is_value(value))
        add_header(to, n, name, value);
}

/* Decimal text of `v` in the arena. */
static struct str number_text(struct arena *a, uint64_t v)
{
    char digits[DECIMAL_MAX];

    return arena_str(a, str_of(digits, (size_t)(decimal_put(digits, v) - digits)));
}

/* How many it took, and what the last was for: as it stands now, which may not be for good. */
static void add_attempts(struct exchange *x, struct http_header *to, size_t *n)
{
    struct arena *a = x->r->arena;

    add_header(to, n, STR("x-crossdock-attempts"), number_text(a, x->facts.attempts));
    add_told(to, n, STR("x-crossdock-reason"), story_reason(&x->facts, a));
}

/* Where the request went and why; for some, the names of deployments are nothing for their clients. */
static void add_explanation(struct exchange *x, struct http_header *to, size_t *n)
{
    if (!x->snapshot->catalog->explain_headers)
        return;
    add_told(to, n, STR("x-crossdock-route"), x->facts.model_label);
    add_told(to, n, STR("x-crossdock-deployment"), x->chosen->name);
    add_attempts(x, to, n);
}

struct str late_header_names(const struct exchange *x)
{
    if (!x->resume || !x->snapshot->catalog->explain_headers)
        return STR_NONE;
    return STR("x-crossdock-attempts, x-crossdock-reason, x-crossdock-continued");
}

err_t reply_finish_stream(struct exchange *x, const struct str *parts, size_t count)
{
    enum { LATE = 3 };
    struct http_header late[LATE];
    size_t n = 0;

    if (!x->r->takes_trailers)
        return http_reply_finish(x->r, parts, count);
    if (x->attempt)
        attempt_note(x, x->attempt);
    add_attempts(x, late, &n);
    add_told(late, &n, STR("x-crossdock-continued"), x->continued_at);
    TRY(http_reply_trailers(x->r, late, n));
    return http_reply_finish(x->r, parts, count);
}

size_t own_headers(struct exchange *x, struct http_header *to)
{
    struct arena *a = x->r->arena;
    struct str id_header = x->endpoint.dialect->client.id_header;
    ns_t own = rt_now_exact() - x->started - x->waited;
    size_t n = 0;

    x->facts.overhead = own > 0 ? own : 0;
    add_header(to, &n, STR("x-request-id"), x->facts.id);
    if (id_header.n)
        add_header(to, &n, id_header, x->facts.id);
    if (x->facts.attempts) {
        add_told(to, &n, STR("x-crossdock-model"), x->facts.model);
        add_explanation(x, to, &n);
        add_header(to, &n, STR("x-crossdock-overhead-us"), number_text(a, (uint64_t)x->facts.overhead / 1000));
    }
    if (x->facts.queued)
        add_header(to, &n, STR("x-crossdock-queue-ms"), number_text(a, (uint64_t)(x->facts.queued / NS_MS)));
    if (x->is_estimated)
        add_header(to, &n, STR("x-crossdock-estimated"), STR("true"));
    if (is_translated(x)) { /* else what was lost was lost on the way to another provider */
        const struct losses *l = translation_of(x)->losses;
        add_told(to, &n, STR("x-crossdock-dropped"), losses_list(l, LOSS_DROPPED, LOSSES_SHOWN));
        add_told(to, &n, STR("x-crossdock-emulated"), losses_list(l, LOSS_EMULATED, LOSSES_SHOWN));
        add_told(to, &n, STR("x-crossdock-changed"), losses_list(l, LOSS_CHANGED, LOSSES_SHOWN));
    }
    return n;
}

void error_in_dialect(struct exchange *x, const struct api_error *e, struct buf *to, int *ret_status,
                      struct call_header headers[2])
{
    const struct client_side *c = &x->endpoint.dialect->client;

    *ret_status = e->status ? e->status : error_status_of(e->error_class);
    c->write_error(translation_of(x), e, to, ret_status, headers);
}

err_t reply_error_with(struct exchange *x, const struct api_error *e, const struct http_header *more, size_t count)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(ERROR_BODY_MAX);
    struct call_header of_dialect[2] = {{STR_NONE, STR_NONE}, {STR_NONE, STR_NONE}};
    struct http_header *headers = arena_alloc(x->r->arena, (count + OWN_HEADERS + 4) * sizeof *headers);
    int status;
    size_t n = own_headers(x, headers);

    error_in_dialect(x, e, &body, &status, of_dialect);
    headers[n++] = (struct http_header){STR("content-type"), STR("application/json")};
    for (size_t i = 0; i < count; i++)
        headers[n++] = more[i];
    for (size_t i = 0; i < 2; i++)
        if (of_dialect[i].name.n)
            headers[n++] = (struct http_header){of_dialect[i].name, of_dialect[i].value};
    struct http_reply reply = {.status = status, .headers = headers, .count = n, .length = (int64_t)body.n};
    return http_reply_whole(x->r, &reply, buf_str(&body));
}

static SUSPENDS err_t reply_body(struct exchange *x, int status, struct str type, struct str body)
{
    struct http_header headers[OWN_HEADERS + 1];
    size_t n = own_headers(x, headers);

    headers[n++] = (struct http_header){STR("content-type"), type};
    struct http_reply reply = {.status = status, .headers = headers, .count = n, .length = (int64_t)body.n};
    return http_reply_whole(x->r, &reply, body);
}

err_t reply_json(struct exchange *x, int status, struct str body)
{
    return reply_body(x, status, STR("application/json"), body);
}

err_t reply_static(struct exchange *x)
{
    const struct endpoint_row *row = x->endpoint.row;
    struct api_error refusal = {.status = row->status, .message = str_from_c(row->text)};

    if (row->status >= 400) {
        x->facts.error = E_FORBIDDEN;
        return reply_error(x, &refusal);
    }
    return reply_body(x, row->status ? row->status : 200, str_from_c(row->type ? row->type : "application/json"),
                      str_from_c(row->text));
}

err_t reply_error(struct exchange *x, const struct api_error *e)
{
    if (!x->facts.error_text.n)
        x->facts.error_text = arena_str(x->r->arena, e->message);
    if (x->facts.error == OK)
        x->facts.error = E_UPSTREAM;
    if (x->r->status) { /* an answer has begun: all that is left is to let the client notice */
        http_reply_abort(x->r);
        return OK;
    }
    return reply_error_with(x, e, NULL, 0);
}

struct str gateway_refusal(const struct http_refusal *refusal, struct arena *arena, struct str *ret_type)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(ERROR_BODY_MAX);

    openai_error_body(&(struct api_error){.status = refusal->status, .message = refusal->message}, &body);
    *ret_type = STR("application/json");
    return arena_str(arena, buf_str(&body));
}

err_t reply_err(struct exchange *x, err_t e, const char *code)
{
    struct api_error error = {
        .status = err_http_status(e), .message = arena_str(x->r->arena, str_from_c(err_detail(e))), .code = code};

    x->facts.error = e;
    return reply_error(x, &error);
}
