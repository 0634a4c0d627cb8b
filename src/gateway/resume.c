/*
 * resume.c - keeps what it takes to go on with a stream elsewhere: what was told, the client's writer in its present state, the error that broke it.
 *
 * Between two attempts nothing is under way but the client's answer, which has begun and stays open: no byte goes out that is not a whole frame, so
 * whoever comes next can write on. Every path ends in one of two ways: an attempt that goes on takes the answer over (resume_begin()), or
 * resume_give_up() ends it with an error. A stream that only passes bytes is read and said once more for nobody (`shadow`), so that the writer is where
 * the client is when it is needed.
 *
 * Does not: choose who goes on (request.c).
 */
#include "gateway/resume.h"

#include "base/log.h"
#include "rt/loop.h"

enum { SHADOW_MAX = 64 * 1024 * 1024, SCRATCH_MAX = 256 * 1024 * 1024 };

struct resume {
    struct exchange *x;
    struct continuation *told;
    struct chat_sink from_told; /* the continuation tells to this struct, which passes it on: */
    struct chat_sink to;
    struct answer_frame frame;
    void *writer;
    struct buf shadow; /* what the writer said for nobody                    */
    void *reader;      /* of resume_hear(); NULL: not begun                  */
    struct arena scratch;
    unsigned times; /* that it broke off                                  */
    bool pending;
    struct api_error error; /* that broke it                              */
    err_t cause;
    struct str from; /* the deployment that broke off first            */
};

static void release(void *obj)
{
    struct resume *r = obj;

    arena_release(&r->scratch);
    buf_release(&r->shadow);
}

/* --- before it breaks --- */

static bool is_wanted(const struct exchange *x)
{
    return x->model && x->model->stream_failover && !x->unheard && x->stream &&
           x->endpoint.kind == ENDPOINT_OPERATION && x->endpoint.row->operation == OP_CHAT && x->calls <= 1;
}

static err_t pass_on(void *ctx, const struct chat_event *e)
{
    struct resume *r = ctx;

    return chat_tell(&r->to, e);
}

static err_t hear_for_nobody(void *ctx, const struct chat_event *e)
{
    struct resume *r = ctx;
    err_t err = r->x->endpoint.dialect->client.writer_event(r->writer, e, &r->shadow);

    buf_clear(&r->shadow);
    return err;
}

static err_t begin(struct exchange *x, bool follows)
{
    struct arena *arena = x->r->arena;
    const struct client_side *client = &x->endpoint.dialect->client;
    struct resume *r = arena_new(arena, struct resume);

    r->x = x;
    buf_init(&r->shadow, SHADOW_MAX);
    arena_init(&r->scratch, SCRATCH_MAX);
    arena_hold(arena, r, release);
    r->frame = translated_frame(x);
    r->frame.follows = follows;
    r->from_told = (struct chat_sink){pass_on, r};
    r->to = (struct chat_sink){hear_for_nobody, r};
    r->told = continuation_new(arena, &r->from_told);
    r->writer = arena_zalloc(arena, client->writer_size);
    TRY(client->writer_begin(r->writer, &r->frame, &r->shadow));
    buf_clear(&r->shadow); /* no dialect says anything before the provider does */
    x->resume = r;
    return OK;
}

void resume_prepare(struct exchange *x, bool follows)
{
    if (resume_is_pending(x)) { /* this is the one that goes on; a hedge may have taken the request over */
        x->resume->x = x;
        return;
    }
    x->resume = NULL;
    const struct chat_request *chat = is_wanted(x) ? translation_chat(x) : NULL;
    if (!chat)
        return;
    const char *why = continuation_bars(chat);
    if (why)
        log_debug(x->facts.id, "the answer will not go on elsewhere if it breaks off: %s", why);
    else if (begin(x, follows) != OK)
        x->resume = NULL;
}

struct chat_sink resume_sink(struct resume *r, struct chat_sink to)
{
    r->to = to;
    return continuation_sink(r->told);
}

void *resume_writer(struct resume *r)
{
    return r->writer;
}

err_t resume_follow(struct resume *r, const struct frame *f)
{
    const struct client_side *client = &r->x->endpoint.dialect->client;
    err_t e = client->writer_follow ? client->writer_follow(r->writer, f, &r->scratch) : OK;

    arena_clear(&r->scratch);
    return e;
}

static err_t hear_frame(struct resume *r, const struct frame *f)
{
    const struct provider_side *side = &r->x->speaks->provider;
    struct chat_sink sink = continuation_sink(r->told);

    if (!r->reader) {
        r->reader = arena_zalloc(r->x->r->arena, side->reader_size);
        TRY(side->reader_begin(r->reader, r->x->r->arena));
    }
    err_t e = side->reader_frame(r->reader, f, &r->scratch, &sink);
    arena_clear(&r->scratch);
    TRY(e);
    return resume_follow(r, f);
}

void resume_hear(struct exchange *x, const struct frame *f)
{
    if (x->resume && hear_frame(x->resume, f) != OK)
        x->resume = NULL;
}

/* --- when it breaks --- */

bool resume_is_pending(const struct exchange *x)
{
    return x->resume && x->resume->pending;
}

/* What another deployment would refuse as well, or must not be made to say. */
static bool is_final(const struct api_error *error)
{
    return !error_is_of_provider(error_class_of(error));
}

/* With less than this left of its time, a request is not worth another attempt. */
#define NEEDS NS_SEC

static const char *why_not(const struct resume *r, const struct api_error *error)
{
    if (alarm_in(r->x, NEEDS) < ns_add(rt_now(), NEEDS))
        return "there is no time left";
    if (is_final(error))
        return "the error is about the request";
    if (r->times >= RESUMES_MAX)
        return "it has broken off often enough";
    return continuation_bar(r->told);
}

static void keep_error(struct resume *r, const struct api_error *error)
{
    struct arena *arena = r->x->r->arena;

    r->error = *error;
    r->error.message = arena_str(arena, error->message);
    r->error.param = arena_str(arena, error->param);
    r->cause = r->x->facts.error;
}

struct usage resume_usage(const struct resume *r)
{
    return continuation_told_usage(r->told);
}

struct usage resume_spent(const struct exchange *x)
{
    return continuation_usage(x->resume->told, &x->translated->chat);
}

bool resume_take(struct exchange *x, struct attempt *a, const struct api_error *error)
{
    struct resume *r = x->resume;

    if (!r)
        return false;
    r->x = x;
    a->usage = resume_spent(x);
    const char *why = why_not(r, error);
    if (why) {
        log_debug(x->facts.id, "the answer broke off and does not go on elsewhere: %s", why);
        r->pending = false;
        return false;
    }
    keep_error(r, error);
    if (!r->times)
        r->from = x->chosen->label;
    r->times++;
    r->pending = true;
    x->facts.error = OK;
    x->facts.error_text = STR_NONE;
    return true;
}

/* --- going on --- */

const struct chat_request *resume_ask(struct exchange *x)
{
    struct chat_request *q = arena_new(x->r->arena, struct chat_request), *from = &x->translated->chat;
    const struct provider_side *side = &x->speaks->provider;
    enum continuation_form form =
        side->continues ? side->continues(translation_for_attempt(x), from) : CONTINUES_BY_TURN;

    continuation_resume(x->resume->told, from, form, q);
    return q;
}

bool resume_fits(const struct exchange *x, const struct attempt *a)
{
    return a->outcome == ATTEMPT_OK && a->error == OK && x->events;
}

err_t resume_begin(struct exchange *x, struct buf *to)
{
    const struct client_side *client = &x->endpoint.dialect->client;

    x->resume->pending = false;
    x->facts.continued = true;
    struct str before = x->continued_at.n ? arena_join(x->r->arena, x->continued_at, STR(", ")) : STR("");
    x->continued_at = arena_join(x->r->arena, before, x->chosen->label);
    log_debug(x->facts.id, "an answer that broke off at %.*s goes on at %.*s", STR_ARG(x->resume->from),
              STR_ARG(x->chosen->label));
    if (client_framing(x) != FRAMING_SSE || !client->keep_alive.n)
        return OK;
    return buf_addf(to, ": crossdock continued at %.*s\n\n", STR_ARG(x->chosen->label));
}

err_t resume_give_up(struct exchange *x)
{
    struct resume *r = x->resume;
    struct chat_event e = {.kind = CHAT_ERROR, .error = &r->error};

    r->pending = false;
    x->facts.error = r->cause;
    x->facts.error_text = r->error.message;
    buf_clear(&r->shadow);
    TRY(x->endpoint.dialect->client.writer_event(r->writer, &e, &r->shadow));
    struct str bytes = buf_str(&r->shadow);
    return reply_finish_stream(x, &bytes, 1);
}
