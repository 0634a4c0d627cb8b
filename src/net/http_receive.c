/*
 * http_receive.c - receiving an answer: bytes from the connection to pieces of content.
 *
 * A call that waits holds no buffer. One is taken when the connection is readable, and what was read is taken apart at once, to the last
 * byte: the pieces of a chunked body are moved together in place, so that everything one read brought is given out as one
 * piece, and the end of the answer is known as soon as it has arrived. The buffer is given back when its content has been given out.
 *
 * call_receive() never waits and never fails: it also runs as a callback while an upload waits, where nobody could be told. It
 * leaves what went wrong in the call, to be reported after the content that came before it.
 */
#include "net/http_client.h"

#include "base/mem.h"
#include "net/decode.h"
#include "net/http_client_int.h"
#include "net/iobuf.h"
#include "rt/loop.h"

#include <string.h>

void call_begin(struct http_call *c, bool to_head)
{
    if (c->parser_used)
        http1_init(&c->parser, HTTP1_RESPONSE, &(struct http1_limits){.head_bytes = (uint32_t)c->upstream->head_bytes});
    http1_skip_informational(&c->parser, true);
    http1_begin(&c->parser, c->arena, &c->head);
    if (to_head)
        http1_expect_no_body(&c->parser);
    c->parser_used = true;
    c->failure = OK;
    c->sent = c->has_head = c->ended = c->at_eof = false;
}

void call_drop_in(struct http_call *c)
{
    iobuf_put(c->in);
    c->in = NULL;
}

/* Content follows what there is already: without chunk framing between them. */
static void add_body(struct http_call *c, struct str piece)
{
    if (c->body.n == 0) {
        c->body = piece;
        return;
    }
    char *end = (char *)(uintptr_t)c->body.p + c->body.n;
    if (end != piece.p)
        memmove(end, piece.p, piece.n);
    c->body.n += piece.n;
}

static void note_failure(struct http_call *c, err_t e, const char *text)
{
    c->failure = e;
    c->failure_text = text;
}

/* Take apart what was read. */
static void parse(struct http_call *c, struct str in)
{
    struct str piece;

    while (!c->ended) {
        switch (http1_next(&c->parser, &in, &piece)) {
        case HTTP1_MORE:
            return;
        case HTTP1_HEAD:
            c->has_head = true;
            if (c->head.status == 101) {
                note_failure(c, E_PROTOCOL, "answer 101 to a request that asked for no upgrade");
                return;
            }
            break;
        case HTTP1_BODY:
            add_body(c, piece);
            break;
        case HTTP1_END:
            c->ended = true;
            c->parser_used = false;
            break;
        case HTTP1_ERROR:
            note_failure(c, E_PROTOCOL, c->parser.error_text);
            return;
        }
    }
    if (in.n)
        c->at_eof = true; /* bytes that nobody asked for: not to be used again */
}

static void on_end_of_stream(struct http_call *c)
{
    c->at_eof = true;
    switch (http1_eof(&c->parser)) {
    case HTTP1_END:
        c->ended = true;
        break;
    case HTTP1_MORE:
        note_failure(c, E_EOF, "connection was closed before the answer");
        break;
    case HTTP1_HEAD:
    case HTTP1_BODY:
    case HTTP1_ERROR:
        note_failure(c, E_EOF,
                     c->has_head ? "connection was closed in the middle of the answer"
                                 : "connection was closed in the middle of the answer's head");
        break;
    }
}

bool call_receive(struct http_call *c)
{
    size_t n;

    if (!c->in)
        c->in = iobuf_get();
    err_t e = conn_try_read(&c->pc->conn, c->in->bytes, IOBUF_SIZE, &n);
    if (LIKELY(!e && n > 0)) {
        if (c->times->first_byte == 0)
            c->times->first_byte = rt_now();
        c->times->bytes_in += n;
        parse(c, str_of(c->in->bytes, n));
    } else if (e == OK) {
        on_end_of_stream(c);
    } else if (e != E_AGAIN) {
        note_failure(c, e, arena_str(c->arena, str_from_c(err_detail(e))).p);
    }
    if (c->body.n == 0)
        call_drop_in(c);
    return e != E_AGAIN;
}

err_t call_failed(const struct http_call *c)
{
    if (c->failure == E_EOF && c->has_head)
        return fail(E_EOF, "%s: %s, after %llu bytes of its body", c->upstream->label, c->failure_text,
                    (unsigned long long)c->parser.body_bytes);
    return fail(c->failure, "%s: %s", c->upstream->label, c->failure_text);
}

err_t call_wait(struct http_call *c, ns_t until, const char *phase)
{
    err_t e = fiber_tick(); /* an upstream that is always ready must not keep the loop to itself */

    if (!e)
        e = conn_wait_readable(&c->pc->conn, until);
    if (e == E_AGAIN || e == E_DEADLINE)
        return fail(E_DEADLINE, "%s: deadline passed %s", c->upstream->label, phase);
    return e;
}

void call_settle(struct http_call *c)
{
    if (!c->ended || !c->pc)
        return;
    pool_return(c->pc, c->sent && !c->at_eof && c->head.keep_alive && !c->failure);
    c->pc = NULL;
}

/* --- giving content out --- */

/* The next decoded piece; empty if more has to be received first. */
static err_t next_decoded(struct http_call *c, struct str *ret_piece)
{
    size_t n = 0;

    *ret_piece = STR_NONE;
    if (c->body.n == 0 && !decoder_has_more(c->decoder))
        return OK;
    if (!c->out)
        c->out = iobuf_get();
    err_t e = decoder_next(c->decoder, &c->body, c->out->bytes, IOBUF_SIZE, &n);
    if (UNLIKELY(e)) { /* for good, and never E_TOO_LARGE: that is said of the caller's maximum */
        note_failure(c, E_PROTOCOL, arena_str(c->arena, str_from_c(err_detail(e))).p);
        c->body = STR_NONE;
        return call_failed(c);
    }
    if (n)
        *ret_piece = str_of(c->out->bytes, n);
    return OK;
}

/* What has been received already; empty if there is nothing. */
static err_t next_at_hand(struct http_call *c, struct str *ret_piece)
{
    if (c->kept.n) {
        *ret_piece = c->kept;
        c->kept = STR_NONE;
        return OK;
    }
    if (c->decoder)
        return next_decoded(c, ret_piece);
    *ret_piece = c->body;
    c->body = STR_NONE;
    return OK;
}

/* Nothing is at hand, and nothing more will come. */
static err_t at_the_end(struct http_call *c)
{
    iobuf_put(c->out);
    c->out = NULL;
    if (c->failure)
        return call_failed(c);
    if (!c->decoder)
        return OK;
    return err_context(decoder_finish(c->decoder), "%s", c->upstream->label);
}

/* The next piece; STR_NONE at the end. Waits until `until`, and not longer than `gap` for anything to come, be it only framing or the
 * beginning of something coded. */
static SUSPENDS err_t next_piece(struct http_call *c, ns_t until, ns_t gap, struct str *ret_piece)
{
    for (;;) {
        TRY(next_at_hand(c, ret_piece));
        if (ret_piece->n)
            return OK;
        call_drop_in(c);
        if (c->ended || c->failure) {
            *ret_piece = STR_NONE;
            return at_the_end(c);
        }
        iobuf_put(c->out);
        c->out = NULL;
        ns_t silent = ns_add(rt_now(), gap);
        TRY(call_wait(c, silent < until ? silent : until, "between two pieces of the answer"));
        call_receive(c);
        call_settle(c);
    }
}

err_t http_call_next(struct http_call *c, ns_t gap_by, struct str *ret_piece)
{
    return next_piece(c, gap_by ? gap_by : NS_NEVER, NS_NEVER, ret_piece);
}

bool http_call_is_buffered(const struct http_call *c)
{
    return c->ended;
}

/* --- all at once --- */

static err_t too_large(const struct http_call *c, size_t max)
{
    return fail(E_TOO_LARGE, "%s: the answer is larger than %zu bytes", c->upstream->label, max);
}

/* Read straight to where it shall be. */
static err_t fill(struct http_call *c, ns_t gap, char *to, size_t n) SUSPENDS;
static err_t fill(struct http_call *c, ns_t gap, char *to, size_t n)
{
    while (n > 0) {
        size_t got;
        struct str piece;
        TRY(call_wait(c, ns_add(rt_now(), gap), "between two pieces of the answer"));
        err_t e = conn_try_read(&c->pc->conn, to, n, &got);
        if (e == E_AGAIN)
            continue;
        if (e)
            return err_context(e, "%s", c->upstream->label);
        if (got == 0) {
            on_end_of_stream(c);
            return call_failed(c);
        }
        c->times->bytes_in += got;
        struct str in = str_of(to, got);
        (void)http1_next(&c->parser, &in, &piece); /* counts it; it cannot be anything but content */
        to += got;
        n -= got;
        if (n == 0)
            parse(c, in);
    }
    return OK;
}

/* The rest of a body whose length is known. */
static err_t all_known(struct http_call *c, ns_t gap, size_t max, struct str *ret_body) SUSPENDS;
static err_t all_known(struct http_call *c, ns_t gap, size_t max, struct str *ret_body)
{
    uint64_t rest = (uint64_t)c->head.content_length - c->parser.body_bytes;
    struct str have = c->body;
    char *to;

    if (rest > max || have.n > max - rest)
        return too_large(c, max);
    TRY(arena_try(c->arena, have.n + rest, &to));
    if (have.n)
        memcpy(to, have.p, have.n);
    c->body = STR_NONE;
    call_drop_in(c);
    TRY(fill(c, gap, to + have.n, rest));
    call_settle(c);
    *ret_body = str_of(to, have.n + rest);
    return OK;
}

/* The arena takes over the bytes of `b`. */
static struct str hand_over(struct http_call *c, struct buf *b)
{
    struct str s = buf_str(b);

    if (!s.p)
        return STR("");
    arena_hold(c->arena, b->p, mem_free);
    *b = (struct buf){0};
    return s;
}

/* Piece by piece, where the length is not known or not that of the content. */
static err_t all_pieces(struct http_call *c, ns_t gap, size_t max, struct str *ret_body) SUSPENDS;
static err_t all_pieces(struct http_call *c, ns_t gap, size_t max, struct str *ret_body)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(max);

    for (;;) {
        struct str piece;
        TRY(next_piece(c, NS_NEVER, gap, &piece));
        if (!piece.p)
            break;
        if (piece.n <= max - b.n) {
            TRY(buf_add(&b, piece));
            continue;
        }
        b.max = b.n + piece.n;
        TRY(buf_add(&b, piece));
        c->kept = hand_over(c, &b);
        return too_large(c, max);
    }
    *ret_body = hand_over(c, &b);
    return OK;
}

err_t http_call_all(struct http_call *c, ns_t gap, size_t max, struct str *ret_body)
{
    if (c->decoder || c->kept.n || c->failure)
        return all_pieces(c, gap, max, ret_body);
    if (!c->ended)
        return c->head.content_length >= 0 ? all_known(c, gap, max, ret_body) : all_pieces(c, gap, max, ret_body);
    if (c->body.n > max)
        return too_large(c, max);
    *ret_body = c->body.n ? c->body : STR("");
    c->body = STR_NONE;
    return OK;
}
