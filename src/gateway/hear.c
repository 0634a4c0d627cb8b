/*
 * hear.c - a request whose answer somebody wants to hear: its body is kept, its answer's bytes are as they go by, and when all is said both are told.
 *
 * The client notices nothing of it, but where the hearer wants to have it before the client does: then the last piece of the answer is held back for as
 * long. Streams are kept as their bytes, and put together only at the end, when the client has them. Answers that are no success, or that broke off, are not
 * told; nor is what the process asks itself, since whoever hears may be who asks.
 */
#include "gateway/hear.h"

#include "gateway/exchange.h"
#include "rt/loop.h"

struct hearing {
    const struct gateway_hearer *hearer;
    void *wanted;
    struct str request;
    struct http_tap tap;
};

void hear_begin(struct exchange *x, struct str body)
{
    const struct gateway_hearer *hearer = gateway_hearer(x->gateway);
    struct arena *a = x->r->arena;
    bool waits = false;

    if (!hearer || x->inner)
        return;
    void *wanted = hearer->wants(hearer->ctx, x->facts.model_label, x->facts.id, a, &waits);
    if (!wanted)
        return;
    if (body.n > HEARD_MAX) {
        hearer->miss(hearer->ctx, wanted);
        return;
    }
    struct hearing *h = arena_new(a, struct hearing);
    *h = (struct hearing){.hearer = hearer,
                          .wanted = wanted,
                          .request = arena_str(a, body), /* the request's own is given back when it was sent on */
                          .tap = {.body = BUF_INIT(HEARD_MAX), .holds = waits}};
    http_tap(x->r, &h->tap);
    arena_hold(a, &h->tap, http_tap_free);
    x->hearing = h;
}

/* --- a stream, as a plain answer --- */

static err_t read_frames(struct exchange *x, struct str bytes, void *reader, const struct chat_sink *sink)
{
    const struct provider_side *p = &x->endpoint.dialect->provider;
    struct framer *framer = framer_new(x->r->arena, client_framing(x), 0);
    struct frame f;
    bool got;

    do {
        TRY(framer_next(framer, &bytes, &got, &f));
        if (got)
            TRY(p->reader_frame(reader, &f, x->r->arena, sink));
    } while (got);
    return p->reader_end(reader, sink);
}

static err_t write_plain(struct exchange *x, struct str bytes, struct buf *to)
{
    const struct provider_side *p = &x->endpoint.dialect->provider;
    struct answer answer = {.choice_count = 0};
    struct answer_builder *b = answer_builder_new(x->r->arena, &answer);
    struct chat_sink sink = answer_sink(b);
    void *reader = arena_zalloc(x->r->arena, p->reader_size);
    struct answer_frame f = translated_frame(x);

    TRY(p->reader_begin(reader, x->r->arena));
    TRY(read_frames(x, bytes, reader, &sink));
    if (!answer.ended)
        return fail(E_PROTOCOL, "the stream has no end");
    return x->endpoint.dialect->client.write_answer(&f, &answer, to);
}

/* *ret false: the stream tells of an error, or has no end. */
static bool put_together(struct exchange *x, struct str bytes, struct str *ret)
{
    const struct dialect *d = x->endpoint.dialect;
    struct buf text CLEANUP(buf_release) = BUF_INIT(HEARD_MAX);

    if (x->endpoint.row->operation != OP_CHAT || !d->provider.reader_frame || !d->client.write_answer) {
        *ret = bytes;
        return true;
    }
    if (write_plain(x, bytes, &text) != OK)
        return false;
    *ret = arena_str(x->r->arena, buf_str(&text));
    return true;
}

/* --- the end --- */

static SUSPENDS void tell(struct exchange *x, const struct hearing *h)
{
    struct heard heard = {.facts = &x->facts,
                          .took = rt_now_exact() - x->r->received,
                          .traceparent = http_head_get(&x->r->head, HDR_TRACEPARENT),
                          .request = h->request,
                          .answer = buf_str(&h->tap.body)};

    if (x->facts.error != OK || !h->tap.is_whole || x->r->status < 200 || x->r->status > 299)
        return;
    if (h->tap.is_too_large) {
        h->hearer->miss(h->hearer->ctx, h->wanted);
        return;
    }
    if (x->facts.stream && !put_together(x, heard.answer, &heard.answer))
        return;
    h->hearer->tell(h->hearer->ctx, h->wanted, &heard);
}

err_t hear_end(struct exchange *x, err_t e)
{
    struct hearing *h = x->hearing;

    if (!h)
        return e;
    if (e == OK) {
        x->facts.dialect = x->endpoint.dialect->name;
        if (x->facts.attempts) {
            x->facts.deployment = x->chosen->label;
            x->facts.provider = x->chosen->provider->name;
        }
        tell(x, h);
    }
    err_t sent = http_tap_release(x->r);
    return e == OK ? sent : e;
}
