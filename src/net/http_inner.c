/*
 * http_inner.c - the calls of http_server.h for a request that has no connection.
 *
 * The body is there whole from the beginning, and an answer has no head that anybody reads but for its status: so all that is done here is to gather,
 * or pass on, what the handler writes. The first error sticks: whatever the handler still writes gets it again, as behind a client that has left.
 */
#include "net/http_inner.h"

#include "net/http_server_int.h"
#include "rt/loop.h"

static struct http_inner_stream *stream_of(const struct http_request *r)
{
    return CONTAINER_OF(r, struct http_inner_stream, r);
}

static err_t body_all(struct http_request *r, uint64_t max, struct str *ret_body)
{
    const struct http_inner *asked = stream_of(r)->asked;

    if (asked->body.n > max) {
        r->refusal = 413;
        return fail(E_TOO_LARGE, "the body has %zu bytes: more than the %llu that are allowed", asked->body.n,
                    (unsigned long long)max);
    }
    r->bytes_in = asked->body.n;
    *ret_body = asked->body.p ? asked->body : STR("");
    return OK;
}

static err_t body_next(struct http_request *r, struct str *ret_piece)
{
    struct http_inner_stream *s = stream_of(r);

    *ret_piece = s->read_ || !s->asked->body.n ? STR_NONE : s->asked->body;
    s->read_ = true;
    r->bytes_in = s->asked->body.n;
    return OK;
}

static int64_t body_length(const struct http_request *r)
{
    return (int64_t)stream_of(r)->asked->body.n;
}

/* Nothing more is taken, and this is why. */
static err_t stop(struct http_inner_stream *s, err_t e)
{
    s->error_ = e;
    s->words_ = *err_current();
    return e;
}

static err_t begin_answer(struct http_request *r, const struct http_reply *reply)
{
    struct http_inner_stream *s = stream_of(r);

    if (r->status)
        return fail(E_PROTOCOL, "the answer has begun already");
    if (reply->length > 0 && (uint64_t)reply->length > s->asked->answer_max)
        return stop(s, fail(E_TOO_LARGE, "the answer has %lld bytes: more than the %zu that are allowed",
                            (long long)reply->length, s->asked->answer_max));
    r->status = reply->status;
    return OK;
}

/* Nobody takes any. */
static err_t take_trailers(struct http_request *r, const struct http_header *fields, size_t count)
{
    (void)r, (void)fields, (void)count;
    return OK;
}

static bool is_passed_on(const struct http_inner_stream *s)
{
    return s->asked->on_piece && s->r.status >= 200 && s->r.status <= 299;
}

static err_t take(struct http_inner_stream *s, struct str part)
{
    s->r.bytes_out += part.n;
    if (s->r.bytes_out > s->asked->answer_max)
        return fail(E_TOO_LARGE, "the answer has more than %zu bytes", s->asked->answer_max);
    return is_passed_on(s) ? s->asked->on_piece(s->asked->ctx, part) : buf_add(&s->body_, part);
}

static err_t write_answer(struct http_request *r, const struct str *parts, size_t count, bool end)
{
    struct http_inner_stream *s = stream_of(r);

    for (size_t i = 0; i < count && s->error_ == OK; i++) {
        err_t e = parts[i].n ? take(s, parts[i]) : OK;
        if (e != OK)
            (void)stop(s, e);
    }
    if (s->error_ != OK)
        return fail(E_CANCELLED, "who asked wants no more of it");
    s->answer.is_whole |= end;
    return OK;
}

static err_t flush(struct http_request *r)
{
    return stream_of(r)->error_ == OK ? OK : fail(E_CANCELLED, "who asked wants no more of it");
}

static void abort_answer(struct http_request *r)
{
    struct http_inner_stream *s = stream_of(r);

    if (s->error_ == OK)
        (void)stop(s, fail(E_EOF, "the answer broke off"));
}

static const struct http_stream_ops ops = {.body_next = body_next,
                                           .body_all = body_all,
                                           .body_length = body_length,
                                           .begin = begin_answer,
                                           .trailers = take_trailers,
                                           .write = write_answer,
                                           .flush = flush,
                                           .abort = abort_answer};

void http_inner_begin(struct http_inner_stream *s, const struct http_inner *asked)
{
    struct http_header *headers = arena_alloc(asked->arena, (asked->header_count + 1) * sizeof *headers);

    for (size_t i = 0; i < asked->header_count; i++)
        headers[i] = asked->headers[i];
    *s = (struct http_inner_stream){.asked = asked,
                                    .r = {.arena = asked->arena,
                                          .received = rt_now_exact(),
                                          .secure = true, /* it is on no wire */
                                          .head = {.method = asked->method,
                                                   .target = asked->path,
                                                   .path = asked->path,
                                                   .minor = 1,
                                                   .headers = headers,
                                                   .count = asked->header_count,
                                                   .content_length = (int64_t)asked->body.n},
                                          .ops = &ops}};
    http_head_index(&s->r.head);
    buf_init(&s->body_, asked->answer_max);
}

err_t http_inner_end(struct http_inner_stream *s, err_t e, struct http_inner_answer *ret)
{
    *ret = s->answer;
    ret->status = s->r.status;
    ret->body = arena_str(s->asked->arena, buf_str(&s->body_));
    buf_release(&s->body_);
    if (e == E_CANCELLED && fiber_is_cancelled())
        return e;
    if (s->error_ != OK && s->error_ != E_EOF) {
        *err_current() = s->words_;
        return s->error_;
    }
    return e == E_CANCELLED || e == E_DEADLINE ? e : OK;
}
