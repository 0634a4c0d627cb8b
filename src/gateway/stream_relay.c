/*
 * stream_relay.c - hand a provider's event stream on to the client, event by event.
 *
 * What one read brought leaves in one write: no event waits for another, and none is cut in two. Bytes are passed on in place; only
 * an event that began in an earlier read is copied. The stream ends with its terminal event, or with an explicit error event:
 * a break in the middle never looks like an end.
 *
 * Nothing goes out before the first event is whole: if it is an error, another deployment may do better.
 */
#include "codec/json_scan.h"
#include "codec/sse.h"
#include "gateway/resume.h"
#include "llm/openai_error.h"
#include "llm/openai_stream.h"
#include "rt/loop.h"

enum { BATCH = 24, CARRY_MAX = SSE_EVENT_MAX + 64 };

struct stream_relay {
    struct exchange *x;
    struct attempt *a;
    struct sse framer;
    struct openai_stream stream;
    struct str piece;        /* the read that is being taken apart              */
    struct str parts[BATCH]; /* of the write that is being put together         */
    size_t count;
    struct buf carried; /* copy of an event that does not lie in `piece`   */
    bool over;          /* the client's answer has ended                   */
    /* Of what is held until it is judged: */
    struct buf before;      /* comments in front of the first event            */
    struct str rest;        /* of `piece`, behind it                           */
    struct sse_event first; /* if has_first                                    */
    enum stream_verdict verdict;
    bool has_first;
    bool is_read; /* the provider's stream has ended */
};

static void relay_release(void *obj)
{
    struct stream_relay *s = obj;

    sse_release(&s->framer);
    buf_release(&s->carried);
    buf_release(&s->before);
}

static SUSPENDS err_t flush(struct stream_relay *s)
{
    size_t n = s->count;

    if (!n)
        return OK;
    s->count = 0;
    /* Let the other fibers of this turn read first, so that what they all write leaves together: a client then wakes up once for
     * several events instead of once for each, and waking it is the dearest part of a write. */
    TRY(fiber_yield());
    return http_reply_write(s->x->r, s->parts, n);
}

static bool lies_in(struct str part, struct str whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

/* The last write of the answer. */
static SUSPENDS err_t finish(struct stream_relay *s)
{
    s->over = true;
    return reply_finish_stream(s->x, s->parts, s->count);
}

/* Put bytes behind those that are to be written; what follows on directly becomes one part. They stay where they are until then. */
static SUSPENDS err_t pass(struct stream_relay *s, struct str bytes)
{
    if (!bytes.n)
        return OK;
    struct str *last = s->count ? &s->parts[s->count - 1] : NULL;
    if (last && last->p + last->n == bytes.p) {
        last->n += bytes.n;
        return OK;
    }
    if (s->count == BATCH)
        TRY(flush(s));
    s->parts[s->count++] = bytes;
    return OK;
}

/* Pass an event, in parts or whole, that may lie in the framer's memory: then it is copied. */
static SUSPENDS err_t pass_event(struct stream_relay *s, const struct str *parts, size_t count)
{
    bool stays = true;

    for (size_t i = 0; i < count; i++)
        stays &= lies_in(parts[i], s->piece);
    if (stays) {
        for (size_t i = 0; i < count; i++)
            TRY(pass(s, parts[i]));
        return OK;
    }
    TRY(flush(s)); /* the copy is of one event, and nothing else refers to it */
    buf_clear(&s->carried);
    for (size_t i = 0; i < count; i++)
        TRY(buf_add(&s->carried, parts[i]));
    return pass(s, buf_str(&s->carried));
}

/* End the client's stream with an error event, behind what has been passed so far; unless another deployment is to go on with it. */
static SUSPENDS err_t end_with_error(struct stream_relay *s, int status, struct str message, const char *code)
{
    struct buf event CLEANUP(buf_release) = BUF_INIT(64 * 1024);
    struct api_error e = {.status = status, .message = message, .code = code};

    s->over = true;
    if (resume_take(s->x, s->a, &e))
        return flush(s);
    s->x->facts.error_text = message;
    TRY(flush(s));
    openai_error_event(&e, s->stream.kind == STREAM_RESPONSES, s->stream.sequence_number, &event);
    struct str bytes = buf_str(&event);
    return reply_finish_stream(s->x, &bytes, 1);
}

static SUSPENDS err_t provider_failed(struct stream_relay *s)
{
    struct exchange *x = s->x;
    struct str message = STR_NONE, code = STR_NONE;

    if (json_string_value(s->stream.error_message, x->r->arena, &message) != OK || !message.n)
        message = STR("the provider failed in the middle of its answer");
    if (json_string_value(s->stream.error_code, x->r->arena, &code) != OK)
        code = STR_NONE;
    s->a->outcome = ATTEMPT_SERVER_ERROR;
    x->facts.error = E_UPSTREAM;
    return end_with_error(s, 502, scrub(x, message), code.n ? scrub(x, code).p : NULL);
}

static SUSPENDS err_t broke_off(struct stream_relay *s, err_t e)
{
    struct exchange *x = s->x;
    bool late = e == E_DEADLINE;
    struct str message =
        late ? STR("The provider stopped sending in the middle of its answer; the answer is incomplete.")
             : STR("The provider broke off in the middle of its answer; the answer is incomplete.");

    s->a->outcome = late ? ATTEMPT_TIMEOUT : ATTEMPT_BROKEN;
    x->facts.error = e;
    return end_with_error(s, late ? 504 : 502, message, late ? "stream_timeout" : "stream_interrupted");
}

/* What the client is told is known to who may have to go on with it. */
static void hear(struct stream_relay *s, const struct sse_event *event)
{
    struct frame f = {.data = event->data, .name = event->name, .raw = event->raw, .partial = event->is_partial};

    if (s->x->resume && event->has_data)
        resume_hear(s->x, &f);
}

static SUSPENDS err_t take_judged(struct stream_relay *s, const struct sse_event *event, enum stream_verdict verdict)
{
    switch (verdict) {
    case STREAM_PASS:
        TRY(pass_event(s, &event->raw, 1));
        break;
    case STREAM_EDIT:
        TRY(pass_event(s, s->stream.parts, s->stream.part_count));
        break;
    case STREAM_DROP:
        break;
    case STREAM_FAILED:
        return provider_failed(s);
    }
    hear(s, event);
    if (s->stream.content) {
        attempt_content(s->x, s->a);
        note_first_token(s->x);
    }
    return OK;
}

static SUSPENDS err_t take_event(struct stream_relay *s, const struct sse_event *event)
{
    return take_judged(s, event, openai_stream_event(&s->stream, event));
}

/* Take what is left of one read apart and write what goes on. */
static SUSPENDS err_t take_rest(struct stream_relay *s, struct str in)
{
    struct sse_event event;

    for (;;) {
        switch (sse_next(&s->framer, &in, &event)) {
        case SSE_MORE:
            return s->stream.done ? finish(s) : flush(s);
        case SSE_TOO_LARGE:
            return broke_off(s, E_TOO_LARGE);
        case SSE_EVENT:
            TRY(take_event(s, &event));
            if (s->over)
                return OK;
            break;
        }
    }
}

/* Nothing more comes: was everything said? */
static SUSPENDS err_t end_complete(struct stream_relay *s, err_t why)
{
    if (!openai_stream_is_complete(&s->stream))
        return broke_off(s, why);
    struct str done = STR("data: [DONE]\n\n");
    return reply_finish_stream(s->x, &done, s->stream.done ? 0 : 1);
}

/* The transport ended properly. */
static SUSPENDS err_t take_end(struct stream_relay *s)
{
    struct sse_event event;
    static const struct str blank = STR_INIT("\n\n");

    if (sse_end(&s->framer, &event) == SSE_EVENT && event.has_data) {
        TRY(take_event(s, &event));
        if (s->over)
            return OK;
        TRY(pass_event(s, &blank, 1)); /* the blank line that was missing */
        TRY(flush(s));
    }
    return end_complete(s, E_EOF);
}

void await_call_end(struct http_call *call)
{
    enum { LINGER = 20 };
    struct str rest;

    (void)!http_call_next(call, rt_now() + LINGER * NS_MS, &rest); /* whatever comes: the answer is complete */
}

/* --- judging --- */

static struct stream_relay *begin(struct exchange *x, struct attempt *a)
{
    struct stream_relay *s = arena_new(x->r->arena, struct stream_relay);
    bool typed = x->endpoint.dialect->provider.relay == RELAY_TYPED;

    resume_prepare(x, true);
    *s = (struct stream_relay){.x = x, .a = a, .carried = BUF_INIT(CARRY_MAX), .before = BUF_INIT(CARRY_MAX)};
    sse_init(&s->framer, 0);
    openai_stream_init(&s->stream, typed ? STREAM_RESPONSES : STREAM_CHAT, asks_usage(x));
    arena_hold(x->r->arena, s, relay_release);
    return s;
}

/* Put an event that says nothing yet behind what is held. */
static err_t hold_event(struct stream_relay *s, const struct sse_event *event, enum stream_verdict verdict)
{
    hear(s, event);
    if (!event->has_data || verdict == STREAM_PASS)
        return buf_add(&s->before, event->raw);
    for (size_t i = 0; verdict == STREAM_EDIT && i < s->stream.part_count; i++)
        TRY(buf_add(&s->before, s->stream.parts[i]));
    return OK;
}

/* The first event that brings content, an error or the end, out of what has come; *ret_found is false while it is not there. */
static err_t find_first(struct stream_relay *s, bool *ret_found)
{
    struct sse_event event;

    *ret_found = false;
    while (sse_next(&s->framer, &s->rest, &event) == SSE_EVENT) {
        enum stream_verdict verdict = event.has_data ? openai_stream_event(&s->stream, &event) : STREAM_PASS;
        if (verdict == STREAM_FAILED || s->stream.content || s->stream.done) {
            s->first = event;
            s->verdict = verdict;
            *ret_found = s->has_first = true;
            if (s->stream.content)
                attempt_content(s->x, s->a);
            return OK;
        }
        TRY(hold_event(s, &event, verdict));
    }
    return OK;
}

/* The transport has ended without a whole event: what there is of one may still be an error. */
static err_t judge_remains(struct stream_relay *s)
{
    struct sse_event event;
    bool failed = sse_end(&s->framer, &event) == SSE_EVENT && event.has_data &&
                  openai_stream_event(&s->stream, &event) == STREAM_FAILED;

    if (failed)
        TRY(event_stream_refuse(s->x, s->a, event.raw));
    return s->a->refusal ? OK : fail(E_EOF, "the provider ended its stream before the first event");
}

err_t stream_hold(struct exchange *x, struct attempt *a)
{
    struct stream_relay *s = x->relay = begin(x, a);
    ns_t give_up = NS_NEVER;
    size_t held = 0;
    bool found = false;

    while (!found && held < STREAM_HELD_MAX) {
        ns_t by = piece_by(x, a);
        err_t e = http_call_next(a->call, ns_min(by, give_up), &s->piece);
        if (e == E_DEADLINE && give_up < by) {
            s->piece = STR_NONE;
            break;
        }
        TRY(e);
        s->is_read = !s->piece.p && openai_stream_is_complete(&s->stream);
        if (s->is_read) /* all was said, though without a word */
            break;
        if (!s->piece.p)
            return judge_remains(s);
        s->rest = s->piece;
        give_up = held ? give_up : ns_add(rt_now(), STREAM_HELD_TIME);
        held += s->piece.n;
        TRY(find_first(s, &found));
    }
    a->has_body = true;
    return s->has_first && s->verdict == STREAM_FAILED ? event_stream_refuse(x, a, s->first.raw) : OK;
}

/* --- handing on --- */

/* What was held while it was judged. */
static SUSPENDS err_t take_held(struct stream_relay *s)
{
    struct str before = buf_str(&s->before);

    TRY(pass(s, before));
    if (s->has_first)
        TRY(take_judged(s, &s->first, s->verdict));
    return s->over ? OK : take_rest(s, s->rest);
}

static SUSPENDS err_t relay_pieces(struct stream_relay *s)
{
    struct str sign = s->x->endpoint.dialect->client.keep_alive;

    TRY(take_held(s));
    if (s->is_read)
        return take_end(s);
    while (!s->over) {
        err_t e = relay_next(s->x, s->a, sign, &s->piece);
        if (e == E_CANCELLED)
            return e;
        if (e != OK) /* who could go on elsewhere need not, if all was said */
            return s->x->resume ? end_complete(s, e) : broke_off(s, e);
        if (!s->piece.p)
            return take_end(s);
        TRY(take_rest(s, s->piece));
    }
    if (s->stream.done)
        await_call_end(s->a->call);
    return OK;
}

err_t relay_stream(struct exchange *x, struct attempt *a)
{
    struct stream_relay *s = x->relay;
    struct http_header *headers;
    struct http_reply reply = {.status = 200, .length = -1, .trailer = late_header_names(x)};

    forward_answer_headers(x, a->call, &headers, &reply.count);
    reply.headers = headers;
    x->facts.stream = true;
    if (!x->resume) { /* there will be no other attempt, and streams are long */
        http_body_release(x->r);
        x->request.doc = STR_NONE;
    }
    err_t e = http_reply_begin(x->r, &reply);
    if (e == OK)
        e = relay_pieces(s);
    if (e == E_TOO_LARGE && !s->over)
        e = broke_off(s, e);
    if (!resume_is_pending(x))
        a->usage = s->stream.usage;
    return e;
}
