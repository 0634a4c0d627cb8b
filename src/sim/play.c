/*
 * play.c - sends answers with their pace and their faults.
 *
 * Pace: event k is due ttft + (tokens before it) / speed after the request came; a whole answer when its last token is. Where the model's
 * capacity is bounded, what a token takes is asked for each of them (load.h). An
 * answer without delays leaves in as few writes as fit in WRITE_MAX, one with delays in one write per event.
 *
 * Faults within an answer happen at a *trigger*: the first event before which `after_tokens` have been sent, or which belongs to
 * the closing of the answer, whichever is first. So a fault that was planned always happens, however short the answer. A fault is
 * counted when it happens. A whole answer has its trigger in the middle of the body.
 *
 * It never decides whether there is a fault (plan.c) and knows no dialect but OpenAI's, which is what a surface has that says nothing
 * else: surfaces write errors and headers, feeds render events, also the failing one.
 */
#include "sim/play.h"

#include "rt/fiber.h"
#include "rt/loop.h"
#include "sim/surface.h"

#include <assert.h>
#include <inttypes.h>

enum { WRITE_MAX = 16 * 1024 };

#define JSON_TYPE STR("application/json")
#define EVENT_STREAM_TYPE STR("text/event-stream; charset=utf-8")

void sim_head_add(struct sim_head *h, struct str name, struct str value)
{
    assert(h->count < SIM_HEAD_MAX);
    h->headers[h->count++] = (struct http_header){name, value};
}

void sim_head_add_id(struct sim_head *h, struct str name, const char *prefix, uint64_t unique)
{
    sim_head_add(h, name, str_of(h->id, sim_id(h->id, prefix, unique, 0)));
}

void sim_head_add_span(struct sim_head *h, struct arena *a, struct str name, ns_t span, ns_t unit)
{
    if (span > 0)
        sim_head_add(h, name, arena_printf(a, "%" PRId64, (span - 1) / unit + 1));
}

static void add_limits(struct sim_head *h, const struct sim_play *p)
{
    struct sim_limits_left left;

    if (!p->spent)
        return;
    sim_limits_read(p->limits, p->spent, p->limit_rules, rt_now(), &left);
    (p->surface->add_limits ? p->surface : &sim_surface_openai)->add_limits(p, &left, h);
}

/* Tokens of an answer are sent, or about to be. */
static void count_answer(struct sim_play *p, size_t tokens)
{
    sim_count(&p->counts->completion_tokens, tokens);
    if (p->spent)
        sim_limits_spend(p->limits, p->spent, true, tokens);
}

/* `why`: NULL for an answer. */
static void head_init(struct sim_head *h, const struct sim_play *p, struct str type, const struct sim_refusal *why)
{
    h->count = 0;
    sim_head_add(h, STR("content-type"), type);
    (p->surface->add_headers ? p->surface : &sim_surface_openai)->add_headers(p, why, h);
    add_limits(h, p);
    sim_head_add(h, STR("x-simulated"), STR("true"));
}

static struct http_reply reply_of(const struct sim_head *h, int status, int64_t length)
{
    return (struct http_reply){.status = status, .headers = h->headers, .count = h->count, .length = length};
}

static void happened(struct sim_play *p)
{
    sim_count(&p->counts->faults[p->plan->fault->kind], 1);
}

static err_t wait_until(ns_t when) SUSPENDS;
static err_t wait_until(ns_t when)
{
    return when > rt_now() ? fiber_sleep_until(when) : OK;
}

static err_t pause_for(ns_t span) SUSPENDS;
static err_t pause_for(ns_t span)
{
    return fiber_sleep_until(ns_add(rt_now(), span));
}

/* --- without a plan --- */

err_t sim_play_plain(struct sim_play *p, int status, struct str type, struct str body)
{
    struct sim_head h;

    head_init(&h, p, type, NULL);
    struct http_reply reply = reply_of(&h, status, (int64_t)body.n);
    return http_reply_whole(p->r, &reply, body);
}

err_t sim_play_refusal(struct sim_play *p, const struct sim_refusal *why)
{
    struct sim_head h;

    head_init(&h, p, JSON_TYPE, why);
    buf_clear(p->room);
    (p->surface->write_refusal ? p->surface : &sim_surface_openai)->write_refusal(p, why, p->room);
    struct http_reply reply = reply_of(&h, why->status, (int64_t)p->room->n);
    return http_reply_whole(p->r, &reply, buf_str(p->room));
}

/* --- instead of an answer --- */

static struct str message_or(const struct sim_fault *f, struct str usual)
{
    return f->message.n > 0 ? f->message : usual;
}

static struct sim_refusal prompt_refused(const char *code)
{
    return (struct sim_refusal){
        .status = 400, .type = "invalid_request_error", .code = code, .param = STR_INIT("messages")};
}

static err_t play_error(struct sim_play *p) SUSPENDS;
static err_t play_error(struct sim_play *p)
{
    const struct sim_fault *f = p->plan->fault;
    struct sim_refusal why = {.status = (int)f->status, .type = refusal_type((int)f->status)};

    if (f->kind == SIM_FAULT_QUOTA) {
        why = (struct sim_refusal){.status = 429, .type = "insufficient_quota", .code = "insufficient_quota"};
        why.message = message_or(f, STR("You exceeded your current quota, please check your plan and billing details. "
                                        "(simulated)"));
    } else if (f->kind == SIM_FAULT_RATE_LIMIT) {
        why = (struct sim_refusal){.status = 429, .type = "requests", .code = "rate_limit_exceeded"};
        why.message = message_or(f, STR("Rate limit reached for requests. (simulated)"));
    } else if (f->kind == SIM_FAULT_CONTEXT_LENGTH) {
        why = prompt_refused("context_length_exceeded");
        why.message = message_or(f, STR("This model's maximum context length is exceeded by your messages. "
                                        "(simulated)"));
    } else if (f->kind == SIM_FAULT_CONTENT_FILTER) {
        why = prompt_refused("content_filter");
        why.message = message_or(f, STR("The response was filtered because of the prompt. (simulated)"));
    } else if (f->status == 401) {
        why.code = "invalid_api_key";
        why.message = message_or(f, STR("Incorrect API key provided. (simulated)"));
    } else if (f->status == 503) {
        why.message = message_or(f, STR("The engine is currently overloaded, please try again later. (simulated)"));
    } else {
        why.message = message_or(f, STR("The server had an error while processing your request. (simulated)"));
    }
    why.retry_after = f->kind == SIM_FAULT_STATUS || f->kind == SIM_FAULT_RATE_LIMIT ? f->retry_after : 0;
    return sim_play_refusal(p, &why);
}

static err_t play_reset_after_headers(struct sim_play *p) SUSPENDS;
static err_t play_reset_after_headers(struct sim_play *p)
{
    struct sim_head h;

    head_init(&h, p, JSON_TYPE, NULL);
    struct http_reply reply = reply_of(&h, 200, -1);
    TRY(http_reply_begin(p->r, &reply));
    TRY(http_reply_flush(p->r));
    http_reply_abort(p->r);
    return OK;
}

err_t sim_play_before(struct sim_play *p, bool *ret_over)
{
    *ret_over = true;
    switch (p->plan->fault->kind) {
    case SIM_FAULT_STATUS:
    case SIM_FAULT_RATE_LIMIT:
    case SIM_FAULT_QUOTA:
    case SIM_FAULT_CONTEXT_LENGTH:
    case SIM_FAULT_CONTENT_FILTER:
        happened(p);
        return play_error(p);
    case SIM_FAULT_RESET_BEFORE_HEADERS:
        happened(p);
        http_reply_abort(p->r);
        return OK;
    case SIM_FAULT_RESET_AFTER_HEADERS:
        happened(p);
        return play_reset_after_headers(p);
    case SIM_FAULT_HANG:
        happened(p);
        *ret_over = false;
        return pause_for(p->plan->fault->duration);
    case SIM_FAULT_NONE:
    case SIM_FAULT_BREAK_STREAM:
    case SIM_FAULT_STALL:
    case SIM_FAULT_MALFORMED_JSON:
    case SIM_FAULT_TRUNCATED_SSE:
    case SIM_FAULT_ERROR_EVENT:
    case SIM_FAULT_SLOW_TRICKLE:
    case SIM_FAULT_COUNT:
        break;
    }
    *ret_over = false;
    return OK;
}

/* --- pace --- */

/* When what comes next in an answer is due. */
struct pace {
    const struct sim_play *p;
    size_t tokens; /* so far */
    /* if the capacity is bounded: */
    ns_t due;
    bool writes; /* counted among the answers that are under way */
};

static bool is_instant(const struct sim_play *p)
{
    return !p->load && sim_plan_is_instant(p->plan);
}

static struct pace pace_begin(const struct sim_play *p)
{
    return (struct pace){.p = p, .due = ns_add(p->r->received, p->plan->ttft)};
}

static void pace_end(struct pace *pace)
{
    if (pace->writes)
        pace->p->load->answering--;
}

static void pace_add(struct pace *pace, size_t tokens)
{
    const struct sim_play *p = pace->p;

    pace->tokens += tokens;
    if (!p->load)
        return;
    p->load->answering += !pace->writes;
    pace->writes = true;
    pace->due = ns_add(pace->due, sim_load_write(p->load, &p->capacity, p->plan->speed, tokens));
}

static err_t pace_wait(const struct pace *pace) SUSPENDS;
static err_t pace_wait(const struct pace *pace)
{
    const struct sim_play *p = pace->p;

    return wait_until(p->load ? pace->due : ns_add(p->r->received, sim_plan_due(p->plan, pace->tokens)));
}

/* Until the last of `tokens` is due. */
static err_t pace_all(const struct sim_play *p, size_t tokens) SUSPENDS;
static err_t pace_all(const struct sim_play *p, size_t tokens)
{
    enum { AT_ONCE = 8 }; /* others come and go meanwhile */
    struct pace pace CLEANUP(pace_end) = pace_begin(p);

    for (size_t at = 0; p->load && at < tokens; at += AT_ONCE) {
        TRY(pace_wait(&pace));
        pace_add(&pace, tokens - at < AT_ONCE ? tokens - at : AT_ONCE);
    }
    pace.tokens = tokens;
    return pace_wait(&pace);
}

/* --- whole answers --- */

static err_t write_bytes(struct sim_play *p, struct str bytes) SUSPENDS;
static err_t write_bytes(struct sim_play *p, struct str bytes)
{
    return bytes.n > 0 ? http_reply_write(p->r, &bytes, 1) : OK;
}

static err_t trickle(struct sim_play *p, struct str bytes) SUSPENDS;
static err_t trickle(struct sim_play *p, struct str bytes)
{
    const struct sim_fault *f = p->plan->fault;

    for (size_t at = 0; at < bytes.n; at += f->bytes) {
        TRY(write_bytes(p, str_slice(bytes, at, at + f->bytes)));
        TRY(pause_for(f->every));
    }
    return OK;
}

/* The beginning of a whole answer, then what the fault does in its middle. */
static err_t play_broken_whole(struct sim_play *p, const struct http_reply *reply, struct str body) SUSPENDS;
static err_t play_broken_whole(struct sim_play *p, const struct http_reply *reply, struct str body)
{
    const struct sim_fault *f = p->plan->fault;

    TRY(http_reply_begin(p->r, reply));
    struct str rest = str_slice(body, body.n / 2, body.n);
    if (f->kind == SIM_FAULT_SLOW_TRICKLE) {
        TRY(trickle(p, body));
        rest.n = 0;
    } else {
        TRY(write_bytes(p, str_slice(body, 0, body.n / 2)));
        if (f->kind != SIM_FAULT_STALL) {
            http_reply_abort(p->r);
            return OK;
        }
        TRY(pause_for(f->duration));
    }
    TRY(http_reply_finish(p->r, &rest, rest.n > 0));
    sim_count(&p->counts->completed, 1);
    return OK;
}

static err_t play_failed_whole(struct sim_play *p) SUSPENDS;
static err_t play_failed_whole(struct sim_play *p)
{
    struct sim_refusal why = {.status = 500, .type = refusal_type(500)};

    why.message = message_or(p->plan->fault, STR("The server had an error while processing your request. (simulated)"));
    return sim_play_refusal(p, &why);
}

err_t sim_play_whole(struct sim_play *p, struct str type, struct str body, size_t tokens)
{
    enum sim_fault_kind fault = p->plan->fault->kind;
    struct sim_head h;
    struct str parts[2] = {body, STR("")};

    if (!is_instant(p))
        TRY(pace_all(p, tokens));
    count_answer(p, tokens);
    head_init(&h, p, type, NULL);
    struct http_reply reply = reply_of(&h, 200, (int64_t)body.n);
    if (fault == SIM_FAULT_NONE || fault == SIM_FAULT_HANG) {
        TRY(http_reply_whole(p->r, &reply, body));
        sim_count(&p->counts->completed, 1);
        return OK;
    }
    happened(p);
    if (fault == SIM_FAULT_ERROR_EVENT)
        return play_failed_whole(p);
    if (fault != SIM_FAULT_MALFORMED_JSON && fault != SIM_FAULT_TRUNCATED_SSE)
        return play_broken_whole(p, &reply, body);
    if (fault == SIM_FAULT_MALFORMED_JSON) {
        parts[0].n -= body.n > 0; /* a comma where the last brace was */
        parts[1] = STR(",");
    } else {
        parts[0].n /= 2;
    }
    reply.length = (int64_t)(parts[0].n + parts[1].n);
    TRY(http_reply_begin(p->r, &reply));
    return http_reply_finish(p->r, parts, 2);
}

/* --- streams --- */

/* A stream being sent: p->room holds what has been rendered and not yet written. */
struct sending {
    struct sim_play *p;
    size_t tokens; /* in all events so far */
    bool over;     /* the fault has ended the answer */
};

static err_t flush(struct sending *s) SUSPENDS;
static err_t flush(struct sending *s)
{
    struct sim_play *p = s->p;

    if (p->room->n == 0)
        return OK;
    if (p->plan->fault->kind == SIM_FAULT_SLOW_TRICKLE)
        TRY(trickle(p, buf_str(p->room)));
    else
        TRY(write_bytes(p, buf_str(p->room)));
    buf_clear(p->room);
    return OK;
}

static err_t end_cleanly(struct sending *s) SUSPENDS;
static err_t end_cleanly(struct sending *s)
{
    struct str rest = buf_str(s->p->room);

    s->over = true;
    if (s->p->plan->fault->kind == SIM_FAULT_SLOW_TRICKLE) {
        TRY(flush(s));
        rest = STR_NONE;
    }
    return http_reply_finish(s->p->r, &rest, rest.n > 0);
}

static err_t break_off(struct sending *s) SUSPENDS;
static err_t break_off(struct sending *s)
{
    TRY(flush(s));
    TRY(http_reply_flush(s->p->r));
    http_reply_abort(s->p->r);
    s->over = true;
    return OK;
}

/* Spoil the event at room[from..): its last brace becomes a comma. */
static void spoil_json(struct buf *room, size_t from)
{
    for (size_t i = room->n; i > from; i--)
        if (room->p[i - 1] == '}') {
            room->p[i - 1] = ',';
            return;
        }
}

static err_t fail_in_stream(struct sending *s, struct sim_feed *feed, size_t from) SUSPENDS;
static err_t fail_in_stream(struct sending *s, struct sim_feed *feed, size_t from)
{
    struct sim_refusal why = {.status = 500, .type = refusal_type(500)};

    why.message =
        message_or(s->p->plan->fault, STR("The server had an error while processing your request. (simulated)"));
    s->p->room->n = from;
    feed->give_up(feed, &why, s->p->room);
    return end_cleanly(s);
}

static err_t stall(struct sending *s, size_t from) SUSPENDS;
static err_t stall(struct sending *s, size_t from)
{
    struct sim_play *p = s->p;
    struct str head = str_slice(buf_str(p->room), 0, from);

    TRY(write_bytes(p, head));
    TRY(http_reply_flush(p->r));
    buf_consume(p->room, from);
    return pause_for(p->plan->fault->duration);
}

/* The trigger is reached, at the event room[from..). */
static err_t strike(struct sending *s, struct sim_feed *feed, size_t from) SUSPENDS;
static err_t strike(struct sending *s, struct sim_feed *feed, size_t from)
{
    struct sim_play *p = s->p;

    happened(p);
    switch (p->plan->fault->kind) {
    case SIM_FAULT_BREAK_STREAM:
        p->room->n = from;
        return break_off(s);
    case SIM_FAULT_STALL:
        return stall(s, from);
    case SIM_FAULT_MALFORMED_JSON:
        if (feed->spoil)
            feed->spoil(feed, p->room, from);
        else
            spoil_json(p->room, from);
        return OK;
    case SIM_FAULT_TRUNCATED_SSE:
        p->room->n = from + (p->room->n - from) / 2;
        return end_cleanly(s);
    case SIM_FAULT_ERROR_EVENT:
        return fail_in_stream(s, feed, from);
    case SIM_FAULT_NONE:
    case SIM_FAULT_STATUS:
    case SIM_FAULT_RATE_LIMIT:
    case SIM_FAULT_QUOTA:
    case SIM_FAULT_CONTEXT_LENGTH:
    case SIM_FAULT_CONTENT_FILTER:
    case SIM_FAULT_HANG:
    case SIM_FAULT_RESET_BEFORE_HEADERS:
    case SIM_FAULT_RESET_AFTER_HEADERS:
    case SIM_FAULT_SLOW_TRICKLE:
    case SIM_FAULT_COUNT:
        break;
    }
    return OK;
}

static bool strikes_in_stream(enum sim_fault_kind kind)
{
    return kind == SIM_FAULT_BREAK_STREAM || kind == SIM_FAULT_STALL || kind == SIM_FAULT_MALFORMED_JSON ||
           kind == SIM_FAULT_TRUNCATED_SSE || kind == SIM_FAULT_ERROR_EVENT;
}

static err_t play_events(struct sending *s, struct sim_feed *feed) SUSPENDS;
static err_t play_events(struct sending *s, struct sim_feed *feed)
{
    struct sim_play *p = s->p;
    bool instant = is_instant(p), armed = strikes_in_stream(p->plan->fault->kind);
    struct pace pace CLEANUP(pace_end) = pace_begin(p);
    struct sim_step step;

    for (size_t from = 0; feed->next(feed, p->room, &step); from = p->room->n) {
        TRY(buf_status(p->room));
        if (!instant)
            TRY(pace_wait(&pace));
        if (armed && (s->tokens >= p->plan->fault->after_tokens || step.closing)) {
            armed = false;
            TRY(strike(s, feed, from));
            if (s->over)
                return OK;
        }
        s->tokens += step.tokens;
        pace_add(&pace, step.tokens);
        count_answer(p, step.tokens);
        if (!instant || p->room->n >= WRITE_MAX)
            TRY(flush(s));
        TRY(fiber_tick());
    }
    TRY(end_cleanly(s));
    sim_count(&p->counts->completed, 1);
    return OK;
}

err_t sim_play_stream(struct sim_play *p, struct sim_feed *feed)
{
    struct sending s = {.p = p};
    struct sim_head h;

    sim_count(&p->counts->streams, 1);
    if (p->plan->fault->kind == SIM_FAULT_SLOW_TRICKLE)
        happened(p);
    head_init(&h, p, feed->type.p ? feed->type : EVENT_STREAM_TYPE, NULL);
    sim_head_add(&h, STR("cache-control"), STR("no-cache"));
    struct http_reply reply = reply_of(&h, 200, -1);
    TRY(http_reply_begin(p->r, &reply));
    buf_clear(p->room);
    return play_events(&s, feed);
}
