/*
 * http1_reply.c - the answer to a request of HTTP/1.1.
 *
 * The head is put together in a buffer and leaves with the first piece of the body, framing and pieces in one writev;
 * small pieces are copied behind the head, as that is cheaper than one more element. Whether the connection can be
 * kept is decided when the head is made: not if the client or a drain says so, if the answer's length is unknown to
 * HTTP/1.0, or if the request's body cannot be thrown away.
 *
 * Trailer fields (RFC 9112, 7.1.2) are made into the last chunk as soon as they are given, while a failure can be answered, and leave with the last piece.
 *
 * Once `broken`, nothing is written any more; an answer has begun when r.status is set.
 */
#include "net/http1_int.h"

enum {
    SMALL_BODY = 1024, /* copied behind the head instead of being an element of its own */
    WRITE_PARTS = 16,  /* elements of one writev                                        */
    BEHIND_HEAD = HTTP1_CHUNK_HEAD_MAX + SMALL_BODY + 8, /* what is copied at most, with its framing */
};

/* --- the answer: head --- */

/* Will the rest of the body be small enough to be thrown away? A client that waits for "100 Continue" may or may
 * not send it. */
static bool can_drain(const struct http1_stream *q)
{
    const struct http_head *head = &q->r.head;

    if (q->body_done || (head->content_length <= 0 && !head->chunked))
        return true;
    if (head->expect_continue && !q->continue_sent && q->parser.body_bytes == 0 && unread(q).n == 0)
        return false;
    return head->chunked || (uint64_t)head->content_length - q->parser.body_bytes <= DRAIN_BYTES + unread(q).n;
}

static void write_framing(struct http1_stream *q, int64_t length)
{
    struct buf *b = &q->head;
    const struct http_head *head = &q->r.head;

    q->bodyless = http_status_is_bodyless(q->r.status) || str_eq(head->method, STR("HEAD"));
    q->chunked = false;
    q->reply_left = length >= 0 ? (uint64_t)length : UINT64_MAX;
    if (length >= 0) {
        if (!http_status_is_bodyless(q->r.status))
            (void)http1_write_header_u64(b, STR("content-length"), (uint64_t)length);
    } else if (!q->bodyless) {
        q->chunked = head->minor >= 1;
        q->close = q->close || !q->chunked; /* then it ends with the connection */
        if (q->chunked)
            (void)buf_add_lit(b, "transfer-encoding: chunked\r\n");
    }
    q->close = q->close || !head->keep_alive || q->c->server->draining || !can_drain(q);
    if (q->close)
        (void)buf_add_lit(b, "connection: close\r\n");
    else if (head->minor == 0)
        (void)buf_add_lit(b, "connection: keep-alive\r\n");
}

static err_t write_headers(struct http1_stream *q, const struct http_reply *reply)
{
    struct http_server *s = q->c->server;
    struct buf *b = &q->head;
    bool has_server = !s->options.server_name;

    TRY(http1_write_status_line(b, reply->status));
    for (size_t i = 0; i < reply->count; i++) {
        enum http_known id = http_known_of(reply->headers[i].name);
        if (server_sets_header(id))
            continue;
        has_server |= id == HDR_SERVER;
        TRY(http1_write_header(b, reply->headers[i].name, reply->headers[i].value));
    }
    if (!has_server)
        TRY(http1_write_header(b, STR("server"), str_from_c(s->options.server_name)));
    if (q->r.takes_trailers)
        TRY(http1_write_header(b, STR("trailer"), reply->trailer));
    (void)buf_add_lit(b, "date: ");
    (void)buf_add(b, server_date(s));
    (void)buf_add_lit(b, "\r\n");
    return OK;
}

err_t http1_reply_begin(struct http_request *r, const struct http_reply *reply)
{
    struct http1_stream *q = stream_of(r);

    if (q->broken)
        return fail(E_CANCELLED, "the client left");
    if (r->status)
        return fail(E_PROTOCOL, "the answer has begun already");
    buf_clear(&q->head);
    r->takes_trailers = server_allows_trailers(r, reply);
    err_t e = write_headers(q, reply);
    if (e == OK) {
        r->status = reply->status;
        write_framing(q, reply->length);
        (void)buf_add_lit(&q->head, "\r\n");
        if (!buf_reserve(&q->head, BEHIND_HEAD) || q->head.overflow) /* now, while a failure can be answered */
            e = buf_status(&q->head);
    }
    if (e != OK) {
        buf_clear(&q->head);
        r->status = 0;
        r->takes_trailers = false;
    }
    return e;
}

/* --- the answer: trailer fields --- */

static err_t write_last(struct buf *b, const struct http_header *fields, size_t count)
{
    TRY(buf_add_lit(b, "\r\n0\r\n"));
    for (size_t i = 0; i < count; i++)
        TRY(http1_write_header(b, fields[i].name, fields[i].value));
    return buf_add_lit(b, "\r\n");
}

err_t http1_reply_trailers(struct http_request *r, const struct http_header *fields, size_t count)
{
    struct http1_stream *q = stream_of(r);
    size_t at = q->head.n; /* behind a head that has not left yet */

    err_t e = write_last(&q->head, fields, count);
    if (e == OK)
        q->last = arena_str(&q->arena, str_of(q->head.p + at, q->head.n - at));
    q->head.n = at;
    return e;
}

/* --- the answer: body --- */

/* Elements of one write: head and framing first, which lie in q->head. */
struct pieces {
    struct iovec iov[WRITE_PARTS];
    int count;
};

static SUSPENDS err_t pieces_write(struct http1_stream *q, struct pieces *w)
{
    err_t e = w->count ? server_conn_writev(q->c, w->iov, w->count) : OK;

    w->count = 0;
    buf_clear(&q->head);
    if (UNLIKELY(e != OK))
        q->broken = true;
    return e;
}

static SUSPENDS err_t pieces_add(struct http1_stream *q, struct pieces *w, struct str piece)
{
    if (piece.n == 0)
        return OK;
    if (w->count == WRITE_PARTS)
        TRY(pieces_write(q, w));
    w->iov[w->count++] = (struct iovec){(void *)(uintptr_t)piece.p, piece.n};
    return OK;
}

/* What stands behind a piece of `n` bytes. */
static struct str framing_behind(const struct http1_stream *q, size_t n, bool end)
{
    static const struct str line = STR_INIT("\r\n"), bare = STR_INIT("\r\n0\r\n\r\n");

    if (!q->chunked)
        return STR_NONE;
    if (!end)
        return n ? line : STR_NONE;
    struct str last = q->last.n ? q->last : bare;
    return n ? last : str_slice(last, line.n, last.n);
}

static SUSPENDS err_t write_pieces(struct http1_stream *q, const struct str *parts, size_t count, size_t total,
                                   bool end)
{
    struct pieces w;
    struct str behind = framing_behind(q, total, end);

    w.count = 0;
    if (q->chunked && total > 0) {
        char *to = buf_reserve(&q->head, HTTP1_CHUNK_HEAD_MAX);
        if (LIKELY(to != NULL))
            q->head.n += http1_chunk_head(to, total);
    }
    if (total <= SMALL_BODY) {
        for (size_t i = 0; i < count; i++)
            (void)buf_add(&q->head, parts[i]);
        (void)buf_add(&q->head, behind);
        TRY(buf_status(&q->head));
        TRY(pieces_add(q, &w, buf_str(&q->head)));
        return pieces_write(q, &w);
    }
    TRY(buf_status(&q->head));
    TRY(pieces_add(q, &w, buf_str(&q->head)));
    for (size_t i = 0; i < count; i++)
        TRY(pieces_add(q, &w, parts[i]));
    TRY(pieces_add(q, &w, behind));
    return pieces_write(q, &w);
}

static err_t wrong_length(struct http1_stream *q)
{
    q->broken = true;
    return fail(E_PROTOCOL, "the answer's body is not as long as its head said");
}

err_t http1_reply_write(struct http_request *r, const struct str *parts, size_t count, bool end)
{
    struct http1_stream *q = stream_of(r);
    size_t total = 0;

    if (q->broken)
        return fail(E_CANCELLED, "the client left");
    if (!r->status || q->finished)
        return fail(E_PROTOCOL, "there is no answer to write to");
    for (size_t i = 0; i < count; i++)
        total += parts[i].n;
    if (q->reply_left != UINT64_MAX) {
        if (total > q->reply_left || (end && total < q->reply_left && !q->bodyless))
            return wrong_length(q);
        q->reply_left -= total;
    }
    if (q->bodyless)
        count = total = 0;
    r->bytes_out += total;
    if (total == 0 && !end)
        return OK;
    TRY(write_pieces(q, parts, count, total, end));
    q->finished = end;
    return OK;
}

err_t http1_reply_flush(struct http_request *r)
{
    struct http1_stream *q = stream_of(r);

    if (q->broken)
        return fail(E_CANCELLED, "the client left");
    if (q->head.n == 0)
        return OK;
    return write_pieces(q, NULL, 0, 0, false);
}

void http1_reply_abort(struct http_request *r)
{
    stream_of(r)->broken = true;
}
