/*
 * event_relay.c - hand a provider's stream on, in any dialect: through reader, emulator and writer, or as its own bytes with the reader watching.
 *
 * Frames come out of the framer whole, so what is written is always whole too and an error can be put behind it. A translated stream ends in
 * the client's terminal event or in its dialect's error, never in both. Frames that pass through pass only when the reader has understood them;
 * an error, the provider's own or that it broke off, is told anew behind them, without the provider's secrets. OpenAI's own streams have a faster
 * way (stream_relay.c).
 */
#include "gateway/resume.h"
#include "gateway/stored.h"
#include "gateway/thoughts.h"
#include "llm/emulate.h"
#include "rt/fiber.h"
#include "rt/loop.h"

enum { OUT_MAX = 64 * 1024 * 1024, SCRATCH_MAX = 256 * 1024 * 1024 };

struct event_stream {
    struct exchange *x;
    struct attempt *a;
    struct framer *framer;
    enum framing framing; /* of the provider's stream */
    void *reader;
    struct arena scratch;
    struct emulator *emulator; /* NULL: nothing to undo                        */
    struct chat_sink sink;     /* what the reader tells to                     */
    struct chat_sink client;   /* behind the emulator                          */
    void *writer;              /* the client's                                 */
    struct answer_frame frame;
    struct thoughts *thoughts; /* NULL: none are kept                          */
    struct str sign;           /* of life, that the client's framing allows; empty: none */
    struct buf out;            /* for the client, not sent yet                 */
    struct buf shadow;         /* what the writer says where bytes pass, for nobody */
    bool raw;                  /* same dialect: frames pass as they came       */
    size_t passed;             /* of these, elements of an array               */
    bool heard;                /* anything but silence                         */
    bool content;              /* something of the answer itself               */
    bool has_reason;           /* it ends for another reason than that all is said */
    bool ended;                /* whole                                        */
    struct api_error *error;   /* it is not whole, and why                     */
};

static void release(void *obj)
{
    struct event_stream *s = obj;

    arena_release(&s->scratch);
    buf_release(&s->out);
    buf_release(&s->shadow);
}

/* --- what the reader tells --- */

static void keep_error(struct event_stream *s, const struct api_error *e)
{
    struct arena *a = s->x->r->arena;

    s->error = arena_new(a, struct api_error);
    *s->error = *e;
    s->error->message = scrub(s->x, e->message);
    s->error->param = arena_str(a, e->param);
    s->error->type = e->type ? scrub(s->x, str_from_c(e->type)).p : NULL;
    s->error->code = e->code ? scrub(s->x, str_from_c(e->code)).p : NULL;
}

static bool is_content(const struct chat_event *e)
{
    return e->kind == CHAT_TEXT || (e->kind == CHAT_BLOCK_START && e->block_kind != BLOCK_TEXT);
}

static err_t hear(void *ctx, const struct chat_event *e)
{
    struct event_stream *s = ctx;

    s->heard = true;
    thoughts_hear(s->thoughts, e);
    if (is_content(e)) {
        s->content = true;
        attempt_content(s->x, s->a);
    }
    if (e->kind == CHAT_USAGE)
        s->a->usage = s->x->resume ? resume_usage(s->x->resume) : *e->usage;
    if (e->kind == CHAT_FINISH)
        s->has_reason = s->has_reason || e->finish != FINISH_STOP;
    if (e->kind == CHAT_END)
        s->ended = true;
    if (e->kind == CHAT_ERROR) { /* told at the end, without the provider's secrets */
        keep_error(s, e->error);
        return OK;
    }
    if (!s->raw)
        return s->x->endpoint.dialect->client.writer_event(s->writer, e, &s->out);
    if (!s->x->resume)
        return OK;
    err_t err = s->x->endpoint.dialect->client.writer_event(s->writer, e, &s->shadow);
    buf_clear(&s->shadow);
    return err;
}

static struct event_stream *begin(struct exchange *x, struct attempt *a)
{
    struct arena *arena = x->r->arena;
    struct event_stream *s = arena_new(arena, struct event_stream);
    const struct provider_side *p = &x->speaks->provider;
    const struct client_side *c = &x->endpoint.dialect->client;

    s->x = x;
    s->a = a;
    s->raw = !is_translated(x);
    buf_init(&s->out, OUT_MAX);
    buf_init(&s->shadow, OUT_MAX);
    arena_init(&s->scratch, SCRATCH_MAX);
    arena_hold(arena, s, release);
    enum framing told = client_framing(x);
    s->framing = s->raw ? told : x->translated->call.framing;
    s->sign = told == FRAMING_SSE && !x->unheard ? c->keep_alive : STR_NONE;
    s->framer = framer_new(arena, s->framing, 0);
    s->reader = arena_zalloc(arena, p->reader_size);
    s->writer = x->resume ? resume_writer(x->resume) : arena_zalloc(arena, c->writer_size);
    s->frame = translated_frame(x);
    s->thoughts = thoughts_new(x);
    s->client = (struct chat_sink){hear, s};
    if (x->resume)
        s->client = resume_sink(x->resume, s->client);
    s->emulator = s->raw ? NULL : emulator_new(arena, &x->translated->call, &s->client);
    s->sink = s->emulator ? emulator_sink(s->emulator) : s->client;
    return s;
}

/* --- frames --- */

static bool is_over(const struct event_stream *s)
{
    return s->ended || s->error;
}

/* A frame of the provider's own, whole and understood. What is between the elements of an array is ours, so that an error can become one. */
static err_t pass_frame(struct event_stream *s, const struct frame *f)
{
    if (f->partial && !s->ended) /* half of something: an error follows in its place */
        return OK;
    if (s->framing == FRAMING_ARRAY)
        TRY(buf_add(&s->out, s->passed++ ? STR(",\r\n") : STR("[")));
    TRY(buf_add(&s->out, f->raw));
    return f->partial && s->framing == FRAMING_SSE ? buf_add_lit(&s->out, "\n\n") : OK;
}

static err_t take_frame(struct event_stream *s, const struct frame *f)
{
    err_t e = s->x->speaks->provider.reader_frame(s->reader, f, &s->scratch, &s->sink);

    arena_clear(&s->scratch);
    TRY(e);
    if (!s->raw || s->error)
        return OK;
    TRY(pass_frame(s, f));
    return s->x->resume ? resume_follow(s->x->resume, f) : OK;
}

/* All frames that a piece completes. */
static err_t take_piece(struct event_stream *s, struct str piece)
{
    struct frame f;
    bool got = true;

    while (!is_over(s)) {
        TRY(framer_next(s->framer, &piece, &got, &f));
        if (!got)
            break;
        TRY(take_frame(s, &f));
    }
    return OK;
}

static err_t take_end(struct event_stream *s)
{
    struct frame f;
    bool got = false;

    TRY(framer_end(s->framer, &got, &f));
    if (got)
        TRY(take_frame(s, &f));
    return is_over(s) ? OK : s->x->speaks->provider.reader_end(s->reader, &s->sink);
}

/* --- failing --- */

static void broke_off(struct event_stream *s, err_t e)
{
    bool late = e == E_DEADLINE;
    struct api_error error = {
        .status = late ? 504 : 502,
        .error_class = late ? ERROR_TIMEOUT : ERROR_UPSTREAM,
        .message = late ? STR("The provider stopped sending in the middle of its answer; the answer is incomplete.")
                        : STR("The provider broke off in the middle of its answer; the answer is incomplete."),
        .code = late ? "stream_timeout" : "stream_interrupted"};

    s->a->outcome = late ? ATTEMPT_TIMEOUT : ATTEMPT_BROKEN;
    s->x->facts.error = e;
    keep_error(s, &error);
}

/* An error that the provider told instead of an answer, before anything went out: the attempt failed, and another may mend it. */
static void refuse(struct attempt *a, const struct api_error *e)
{
    enum error_class c = error_class_of(e);

    a->refusal = e;
    a->status = e->status ? e->status : error_status_of(c);
    a->outcome = c == ERROR_RATE_LIMIT ? ATTEMPT_RATE_LIMITED
                 : a->status >= 500    ? ATTEMPT_SERVER_ERROR
                                       : ATTEMPT_REFUSED;
}

/* Take in pieces until there is content; but no more, and for no longer, than may be held. */
static SUSPENDS err_t hold_content(struct event_stream *s)
{
    ns_t give_up = NS_NEVER;
    size_t held = 0;
    struct str piece;

    while (!s->content && !is_over(s) && held < STREAM_HELD_MAX) {
        ns_t by = piece_by(s->x, s->a);
        err_t e = http_call_next(s->a->call, ns_min(by, give_up), &piece);
        if (e == E_DEADLINE && give_up < by)
            return OK;
        TRY(e);
        if (!piece.p && !s->heard)
            return fail(E_EOF, "the provider ended its stream before the first event");
        if (!piece.p)
            return take_end(s);
        give_up = held ? give_up : ns_add(rt_now(), STREAM_HELD_TIME);
        held += piece.n;
        TRY(take_piece(s, piece));
    }
    return OK;
}

/* Not a token was made, and nothing is said of why: what a model has to say may be nothing, but then it counts for something, and who declines says so. */
static bool is_for_nothing(const struct event_stream *s)
{
    return s->a->usage.known && s->a->usage.output == 0 && !s->has_reason;
}

/* The client's writer, which goes on where it was if the answer does. */
static err_t begin_writer(struct event_stream *s)
{
    if (s->x->resume)
        return OK;
    TRY(s->x->endpoint.dialect->client.writer_begin(s->writer, &s->frame, &s->out));
    if (s->raw) /* the writer is there for an error only: what it begins with the provider says itself */
        buf_clear(&s->out);
    return OK;
}

err_t event_stream_hold(struct exchange *x, struct attempt *a)
{
    resume_prepare(x, !is_translated(x));
    struct event_stream *s = begin(x, a);

    x->events = s;
    TRY(x->speaks->provider.reader_begin(s->reader, x->r->arena));
    TRY(begin_writer(s));
    TRY(hold_content(s));
    if (s->error && !s->content)
        refuse(a, s->error);
    bool is_empty =
        s->ended && !s->content && is_for_nothing(s) && !resume_is_pending(x); /* of the rest there may be nothing */
    return is_empty ? fail(E_EOF, "the provider's answer is empty") : OK;
}

err_t event_stream_refuse(struct exchange *x, struct attempt *a, struct str event)
{
    struct event_stream *s = begin(x, a);

    TRY(x->speaks->provider.reader_begin(s->reader, x->r->arena));
    TRY(take_piece(s, arena_join(x->r->arena, event, STR("\n\n")))); /* one that is cut off may lack its blank line */
    if (s->error && !s->content)
        refuse(a, s->error);
    return OK;
}

/* --- handing on --- */

static SUSPENDS err_t flush(struct event_stream *s)
{
    struct str bytes = buf_str(&s->out);

    if (s->x->unheard)
        buf_clear(&s->out);
    if (!bytes.n || s->x->unheard)
        return OK;
    if (s->content)
        note_first_token(s->x);
    TRY(fiber_yield()); /* what all fibers of this turn write leaves together; see stream_relay.c */
    TRY(http_reply_write(s->x->r, &bytes, 1));
    buf_clear(&s->out);
    return OK;
}

/* It broke off, but behind all that is to be said: then nobody needs to go on, and the end is the writer's. */
static bool was_finished(struct event_stream *s)
{
    bool raw = s->raw;

    if (!s->x->resume)
        return false;
    s->raw = false;
    err_t e = s->x->speaks->provider.reader_end(s->reader, &s->sink);
    s->raw = raw && !s->ended;
    s->passed = s->ended ? 0 : s->passed;
    return e == OK && s->ended;
}

static SUSPENDS err_t relay_pieces(struct event_stream *s)
{
    struct str piece;

    while (!is_over(s)) {
        TRY(flush(s));
        err_t e = relay_next(s->x, s->a, s->sign, &piece);
        if (e == E_CANCELLED)
            return e;
        if (e == OK)
            e = piece.p ? take_piece(s, piece) : take_end(s);
        if (e != OK && !was_finished(s))
            broke_off(s, e);
        else if (!piece.p)
            break;
    }
    return OK;
}

/* The client's dialect's error behind what was sent. Its writer has seen none of the elements that passed. */
static err_t put_error(struct event_stream *s)
{
    struct chat_event e = {.kind = CHAT_ERROR, .error = s->error};
    size_t at = s->out.n;

    TRY(s->x->endpoint.dialect->client.writer_event(s->writer, &e, &s->out));
    if (s->passed && at < s->out.n)
        s->out.p[at] = ','; /* its bracket */
    return OK;
}

static void note_outcome(struct event_stream *s)
{
    if (s->a->outcome == ATTEMPT_OK)
        s->a->outcome = ATTEMPT_SERVER_ERROR;
}

static void note_error(struct event_stream *s)
{
    note_outcome(s);
    s->x->facts.error_text = s->error->message;
    if (s->x->facts.error == OK)
        s->x->facts.error = E_UPSTREAM;
}

static SUSPENDS err_t finish(struct event_stream *s)
{
    if (s->error) {
        note_error(s);
        TRY(put_error(s));
    } else if (s->passed) {
        TRY(buf_add_lit(&s->out, "]"));
    }
    struct str bytes = buf_str(&s->out);
    if (!s->raw)
        stored_keep_stream(s->x, bytes); /* before the client can ask for it */
    return reply_finish_stream(s->x, &bytes, 1);
}

static err_t begin_reply(struct event_stream *s)
{
    struct exchange *x = s->x;
    struct http_reply reply = {.status = 200, .length = -1, .trailer = late_header_names(x)};
    struct http_header *headers;

    if (s->raw) {
        forward_answer_headers(x, s->a->call, &headers, &reply.count);
    } else {
        made_answer_headers(x, framing_type(client_framing(x)), &headers, &reply.count);
    }
    reply.headers = headers;
    x->facts.stream = true;
    return http_reply_begin(x->r, &reply);
}

/* What it goes on with stands in front of what was held. */
static err_t go_on(struct event_stream *s)
{
    struct buf all = BUF_INIT(OUT_MAX);
    err_t e = resume_begin(s->x, &all);

    if (e == OK)
        e = buf_add(&all, buf_str(&s->out));
    buf_release(&s->out);
    s->out = all;
    return e;
}

err_t drain_events(struct exchange *x, struct attempt *a)
{
    TRY(relay_pieces(x->events));
    if (x->events->error)
        note_error(x->events);
    if (x->events->ended)
        await_call_end(a->call);
    return OK;
}

err_t relay_events(struct exchange *x, struct attempt *a)
{
    struct event_stream *s = x->events;

    TRY(resume_is_pending(x) ? go_on(s) : begin_reply(s));
    TRY(relay_pieces(s));
    thoughts_keep(s->thoughts); /* before the client can ask with them */
    if (s->error && resume_take(x, a, s->error)) {
        note_outcome(s);
        return flush(s);
    }
    TRY(finish(s));
    if (s->ended && !(s->emulator && emulator_is_done(s->emulator)))
        await_call_end(a->call);
    return OK;
}
