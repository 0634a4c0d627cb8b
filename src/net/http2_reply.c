/*
 * http2_reply.c - the answer to a request over HTTP/2.
 *
 * Bytes of an answer are not kept: the handler's fiber lends its memory (`parts`) and waits until there was room for
 * all of it in the connection's buffer, which is mostly at once. So nothing of a fiber that has left is ever referred
 * to. The head is given to nghttp2 when the answer begins and leaves with the first piece. Trailer fields (RFC 9113, 8.1) are given to it together with
 * the last frame of the body, which then does not end the stream: they do, and need no window.
 */
#include "net/http2_int.h"

#include "rt/loop.h"

void http2_reset(struct http2_stream *st, uint32_t code)
{
    if (st->closed || st->h->broken)
        return;
    (void)nghttp2_submit_rst_stream(st->h->ng, NGHTTP2_FLAG_NONE, st->id, code);
    http2_pump(st->h);
}

bool http2_stream_take(struct http2_stream *st, char *to, size_t n)
{
    if (st->left < n)
        return false;
    st->left -= n;
    st->progress = rt_now();
    while (n > 0) {
        size_t k = st->parts->n - st->part_at;
        if (k > n)
            k = n;
        if (k > 0)
            memcpy(to, st->parts->p + st->part_at, k);
        to += k;
        n -= k;
        st->part_at += k;
        if (st->part_at == st->parts->n) {
            st->parts++;
            st->part_at = 0;
        }
    }
    if (st->write_waits && st->left == 0)
        fiber_wake(st->fiber);
    return true;
}

/* The last frame of the body is being made: what comes behind it. False if nghttp2 will not have it. */
static bool end_body(struct http2_stream *st, uint32_t *flags)
{
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    st->answered = true;
    if (!st->trailer_count)
        return true;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return nghttp2_submit_trailer(st->h->ng, st->id, st->trailers, st->trailer_count) == 0;
}

/* nghttp2 asks how much of the body can go into the next frame. */
static ssize_t on_read(nghttp2_session *ng, int32_t id, uint8_t *to, size_t max, uint32_t *flags,
                       nghttp2_data_source *source, void *ctx)
{
    enum { LEAST = 1000 };
    struct http2_stream *st = source->ptr;
    struct http2 *h = ctx;

    (void)ng, (void)id, (void)to;
    if (st->left == 0 && !st->end) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t room = h->out ? sizeof h->out->bytes - h->out->to : IOBUF_SIZE;
    room = room > LEAST + HTTP2_FRAME_HEAD ? room - HTTP2_FRAME_HEAD : LEAST;
    size_t n = st->left < max ? st->left : max;
    if (n > room)
        n = room;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == st->left && st->end && !end_body(st, flags))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return (ssize_t)n;
}

static bool is_upper(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 'A' && s.p[i] <= 'Z')
            return true;
    }
    return false;
}

static nghttp2_nv nv_of(struct str name, struct str value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n, value.n,
                        NGHTTP2_NV_FLAG_NONE};
}

/* A field as HTTP/2 spells it; borrows the value. */
static err_t field_nv(struct http2_stream *st, const struct http_header *field, nghttp2_nv *ret_nv)
{
    struct str name = is_upper(field->name) ? arena_lower(&st->arena, field->name) : field->name;

    if (!name.n || name.p[0] == ':' || !nghttp2_check_header_name((const uint8_t *)name.p, name.n) ||
        !nghttp2_check_header_value((const uint8_t *)field->value.p, field->value.n))
        return fail(E_PARSE, "invalid header in an answer");
    *ret_nv = nv_of(name, field->value);
    return OK;
}

static err_t add_fields(struct http2_stream *st, const struct http_reply *reply, nghttp2_nv *nv, size_t *n)
{
    const char *server = st->h->c->server->options.server_name;

    for (size_t i = 0; i < reply->count; i++) {
        const struct http_header *field = &reply->headers[i];
        enum http_known id = http_known_of(field->name);
        if (server_sets_header(id))
            continue;
        TRY(field_nv(st, field, &nv[*n]));
        (*n)++;
        if (id == HDR_SERVER)
            server = NULL;
    }
    if (server)
        nv[(*n)++] = nv_of(STR("server"), str_from_c(server));
    return OK;
}

static struct str decimal(struct arena *a, uint64_t v)
{
    char *digits = arena_alloc(a, DECIMAL_MAX);

    return str_of(digits, (size_t)(decimal_put(digits, v) - digits));
}

static err_t submit(struct http2_stream *st, const struct http_reply *reply)
{
    enum { OURS = 5 }; /* :status, server, date, trailer, content-length */
    struct arena *a = &st->arena;
    nghttp2_nv *nv = arena_alloc(a, (reply->count + OURS) * sizeof *nv);
    nghttp2_data_provider body = {.source.ptr = st, .read_callback = on_read};
    size_t n = 0;

    nv[n++] = nv_of(STR(":status"), decimal(a, (uint64_t)reply->status));
    TRY(add_fields(st, reply, nv, &n));
    nv[n++] = nv_of(STR("date"), server_date(st->h->c->server));
    if (st->r.takes_trailers) {
        TRY(field_nv(st, &(struct http_header){STR("trailer"), reply->trailer}, &nv[n]));
        n++;
    }
    if (reply->length >= 0 && !http_status_is_bodyless(reply->status))
        nv[n++] = nv_of(STR("content-length"), decimal(a, (uint64_t)reply->length));
    if (nghttp2_submit_response(st->h->ng, st->id, nv, n, st->bodyless ? NULL : &body) != 0)
        return fail(E_CANCELLED, "the client left");
    return OK;
}

err_t http2_reply_begin(struct http_request *r, const struct http_reply *reply)
{
    struct http2_stream *st = http2_stream_of(r);

    if (st->closed || st->aborted)
        return fail(E_CANCELLED, "the client left");
    if (r->status)
        return fail(E_PROTOCOL, "the answer has begun already");
    if (reply->status < 200 || reply->status > 999)
        return fail(E_PARSE, "%d is not a status of an answer", reply->status);
    st->bodyless = http_status_is_bodyless(reply->status) || str_eq(r->head.method, STR("HEAD")) || reply->length == 0;
    st->reply_left = reply->length >= 0 ? (uint64_t)reply->length : UINT64_MAX;
    r->takes_trailers = server_allows_trailers(r, reply);
    err_t e = submit(st, reply);
    if (e != OK) {
        r->takes_trailers = false;
        return e;
    }
    st->answered = st->bodyless; /* the head ends the stream */
    r->status = reply->status;
    return OK;
}

err_t http2_reply_trailers(struct http_request *r, const struct http_header *fields, size_t count)
{
    struct http2_stream *st = http2_stream_of(r);
    nghttp2_nv *nv = arena_alloc(&st->arena, count * sizeof *nv);

    for (size_t i = 0; i < count; i++) {
        struct http_header copy = {arena_str(&st->arena, fields[i].name), arena_str(&st->arena, fields[i].value)};
        TRY(field_nv(st, &copy, &nv[i]));
    }
    st->trailers = nv;
    st->trailer_count = count;
    return OK;
}

/* Wait until the lent parts have been taken. */
static SUSPENDS err_t wait_for_room(struct http2_stream *st)
{
    ns_t gap = st->h->c->server->options.limits.write_gap;
    err_t e = OK;

    st->progress = rt_now();
    while (e == OK && !st->closed && (st->left > 0 || (st->end && !st->answered))) {
        st->write_waits = true;
        e = fiber_park("room to write", ns_add(st->progress, gap));
        st->write_waits = false;
        if (e == E_AGAIN && st->progress + gap > rt_now())
            e = OK;
    }
    if (e == E_AGAIN)
        return fail(E_CANCELLED, "the client takes no more bytes");
    if (e == OK && (st->left > 0 || (st->end && !st->answered)))
        return fail(E_CANCELLED, "the client left");
    return e;
}

static SUSPENDS err_t write_parts(struct http2_stream *st, const struct str *parts, size_t total, bool end)
{
    st->parts = parts;
    st->part_at = 0;
    st->left = total;
    st->end = end;
    if (st->deferred) {
        st->deferred = false;
        (void)nghttp2_session_resume_data(st->h->ng, st->id);
    }
    http2_pump(st->h);
    err_t e = wait_for_room(st);
    st->parts = NULL;
    st->left = 0;
    if (e != OK)
        st->aborted = true;
    return e;
}

/* What is wrong with writing `total` more bytes now? */
static err_t check_write(struct http2_stream *st, size_t total, bool end)
{
    if (st->closed || st->aborted)
        return fail(E_CANCELLED, "the client left");
    if (!st->r.status || st->end)
        return fail(E_PROTOCOL, "there is no answer to write to");
    if (st->reply_left == UINT64_MAX)
        return OK;
    bool head_only = str_eq(st->r.head.method, STR("HEAD")) || http_status_is_bodyless(st->r.status);
    if (total > st->reply_left || (end && total < st->reply_left && !head_only)) {
        st->aborted = true;
        return fail(E_PROTOCOL, "the answer's body is not as long as its head said");
    }
    st->reply_left -= total;
    return OK;
}

err_t http2_reply_write(struct http_request *r, const struct str *parts, size_t count, bool end)
{
    struct http2_stream *st = http2_stream_of(r);
    size_t total = 0;

    for (size_t i = 0; i < count; i++)
        total += parts[i].n;
    TRY(check_write(st, total, end));
    if (st->bodyless) {
        st->end = end;
        http2_pump(st->h);
        return OK;
    }
    r->bytes_out += total;
    return total > 0 || end ? write_parts(st, parts, total, end) : OK;
}

err_t http2_reply_flush(struct http_request *r)
{
    struct http2_stream *st = http2_stream_of(r);

    if (st->closed || st->aborted)
        return fail(E_CANCELLED, "the client left");
    http2_pump(st->h);
    return OK;
}

void http2_reply_abort(struct http_request *r)
{
    struct http2_stream *st = http2_stream_of(r);

    if (st->aborted || st->answered)
        return;
    st->aborted = true;
    http2_reset(st, NGHTTP2_INTERNAL_ERROR);
}
