/*
 * attempt.c - one try of a request at one deployment: send, wait for what can be judged, judge it.
 *
 * Nothing goes to the client here. A plain answer is held back until it is whole (up to a limit), a stream until its first event, so that
 * a failure until then can still be mended by another deployment without the client seeing it.
 */
#include "gateway/exchange.h"
#include "rt/loop.h"

enum { ERROR_ANSWER_MAX = 64 * 1024 };

static ns_t total_by(const struct exchange *x)
{
    return ns_add(x->r->received, x->timeouts.total);
}

ns_t alarm_in(const struct exchange *x, ns_t span)
{
    return ns_min(ns_add(rt_now(), span), total_by(x));
}

ns_t piece_by(const struct exchange *x, const struct attempt *a)
{
    const struct timeouts *t = &x->timeouts;
    ns_t token = a->last ? ns_add(a->last, t->between_tokens) : ns_add(a->times.sent, t->first_token);

    return ns_min(alarm_in(x, t->between_bytes), token);
}

bool asks_usage(const struct exchange *x)
{
    return x->stream && x->endpoint.row->operation == OP_CHAT && x->endpoint.dialect->provider.usage_if_asked &&
           !x->request.include_usage && !x->chosen->provider->no_stream_usage;
}

/* A stream's first token cannot come before its first byte. */
static ns_t first_byte_by(const struct exchange *x)
{
    ns_t token = x->stream ? x->timeouts.first_token : NS_NEVER;

    return alarm_in(x, ns_min(x->timeouts.first_byte, token));
}

/* Pass-through bodies are never held whole: the next piece of the client's is the next piece to the provider. */
struct client_body {
    struct exchange *x;
    size_t said;                       /* of the held beginning of a form */
    struct http_call_options *options; /* of the call that sends it */
};

static SUSPENDS err_t next_client_piece(void *ctx, struct str *ret_piece)
{
    struct client_body *b = ctx;
    struct exchange *x = b->x;

    while (b->said < ARRAY_LEN(x->form)) {
        struct str held = b->said == 1 && x->form[1].n ? x->chosen->model : x->form[b->said];
        b->said++;
        if (held.n) {
            *ret_piece = held;
            return OK;
        }
    }
    err_t e = x->form_ended ? OK : http_body_next(x->r, ret_piece);
    if (x->form_ended)
        *ret_piece = STR_NONE;

    if (x->r->refusal && x->client_error == OK) { /* else the sending was given up, for whatever reason */
        x->client_error = e;
        x->client_error_text = arena_str(x->r->arena, str_from_c(err_detail(e)));
    }
    if (e == OK && !ret_piece->p) /* all was sent: from now on it is the provider that is waited for */
        b->options->first_byte_by = first_byte_by(x);
    return e;
}

bool has_streamed_body(const struct exchange *x)
{
    int64_t length = http_body_length(x->r);

    return length > 0 || (length < 0 && (x->r->head.chunked || x->r->http2));
}

static void prepare_body_stream(struct exchange *x, struct http_call_options *o)
{
    int64_t length = http_body_length(x->r);

    if (!has_streamed_body(x))
        return;
    struct client_body *b = arena_new(x->r->arena, struct client_body);
    *b = (struct client_body){.x = x, .options = o};
    if (length > 0 && x->form[1].n)
        length += (int64_t)x->chosen->model.n - (int64_t)x->form[1].n;
    o->source = next_client_piece;
    o->source_ctx = b;
    o->source_length = length;
    o->first_byte_by = total_by(x); /* a slow client is not a slow provider */
}

err_t translated_options(struct exchange *x, const struct provider_call *call, struct http_call_options *o)
{
    struct str *body = arena_new(x->r->arena, struct str);
    struct http_header *headers;

    *body = buf_str(call->body);
    o->body = body;
    o->body_parts = 1;
    o->method = str_from_c(call->method ? call->method : "POST");
    o->target = arena_join(x->r->arena, x->chosen->provider->base_path, call->path);
    translated_request_headers(x, call, &headers, &o->count);
    o->headers = headers;
    TRY(authorize_call(x, o));
    o->connect_by = alarm_in(x, x->timeouts.connect);
    o->first_byte_by = first_byte_by(x);
    return OK;
}

/* In another dialect: what the translation made. Refusals are the client's to mend. */
static SUSPENDS err_t prepare_translated(struct exchange *x, struct http_call_options *o)
{
    err_t e = translate_request(x);

    if (e == E_CANCELLED)
        return e;
    if (e != OK) {
        x->client_error = e;
        x->client_error_text = arena_str(x->r->arena, str_from_c(err_detail(e)));
        return e;
    }
    return translated_options(x, &x->translated->call, o);
}

static err_t prepare_body(struct exchange *x, struct http_call_options *o)
{
    struct str *parts;

    if (x->form[0].n || x->endpoint.kind != ENDPOINT_OPERATION) {
        prepare_body_stream(x, o);
    } else if (x->request.model.n) {
        TRY(openai_request_rewrite(&x->request, x->chosen->model, asks_usage(x), x->r->arena, &parts, &o->body_parts));
        o->body = parts;
    } else {
        o->body = &x->request.doc;
        o->body_parts = x->request.doc.n ? 1 : 0;
    }
    return OK;
}

static SUSPENDS err_t prepare(struct exchange *x, struct http_call_options *o)
{
    struct http_header *headers;

    o->connect_by = alarm_in(x, x->timeouts.connect);
    o->first_byte_by = first_byte_by(x);
    if (is_translated(x))
        return prepare_translated(x, o);
    TRY(prepare_body(x, o));
    forward_request_headers(x, &headers, &o->count);
    o->headers = headers;
    o->method = x->r->head.method;
    TRY(forward_target(x, &o->target));
    return authorize_call(x, o);
}

void attempt_failed(struct exchange *x, struct attempt *a, err_t e)
{
    a->error = e;
    a->error_text = scrub(x, str_from_c(err_detail(e)));
    if (x->is_unsaid) { /* it was not even asked */
        a->outcome = ATTEMPT_REFUSED;
        return;
    }
    switch (e) {
    case E_DEADLINE:
        a->outcome = ATTEMPT_TIMEOUT;
        break;
    case E_RESOLVE:
    case E_REFUSED:
    case E_TLS:
    case E_OVERLOAD:
        a->outcome = ATTEMPT_CONNECT;
        break;
    default:
        a->outcome = ATTEMPT_BROKEN;
        break;
    }
}

static enum attempt_outcome outcome_of_status(int status)
{
    if (status == 429)
        return ATTEMPT_RATE_LIMITED;
    return status >= 500 ? ATTEMPT_SERVER_ERROR : ATTEMPT_REFUSED;
}

static struct str header_of(void *ctx, struct str name)
{
    return http_head_find(ctx, name);
}

const struct api_error *attempt_error(struct exchange *x, struct attempt *a)
{
    if (a->refusal || a->said)
        return a->refusal ? a->refusal : a->said;
    struct api_error *e = arena_new(x->r->arena, struct api_error);
    e->status = a->status;
    x->speaks->provider.read_error(x->r->arena, a->status, a->has_body ? a->body : STR_NONE, header_of,
                                   (void *)(uintptr_t)http_call_head(a->call), e);
    a->said = e;
    return e;
}

/* Some say with a status of the client's mistakes what is none, Google that our key is wrong: the words tell. */
static void judge_words(struct exchange *x, struct attempt *a)
{
    if (error_is_of_provider(error_class_of_status(a->status)))
        return;
    enum error_class c = error_class_of(attempt_error(x, a));
    if (c == ERROR_RATE_LIMIT)
        a->outcome = ATTEMPT_RATE_LIMITED;
    if (c == ERROR_AUTH)
        authorize_rejected(x);
}

/* Is there a faster way for its streams than reading them (stream_relay.c)? */
static bool has_own_relay(const struct exchange *x)
{
    return !is_translated(x) && !x->unheard && x->endpoint.dialect->provider.relay != RELAY_FRAMES;
}

/* Does the answer come as events? Its type says so; JSON does only where a stream is one long array. */
static bool is_stream(struct exchange *x, const struct http_head *head)
{
    struct str type = http_head_get(head, HDR_CONTENT_TYPE);
    enum framing framing = is_translated(x) ? x->translated->call.framing : client_framing(x);

    bool wanted =
        x->stream || (framing == FRAMING_SSE && !is_translated(x)); /* else it is no answer to what was asked */
    return wanted && str_starts_nocase(type, framing_type(framing));
}

static SUSPENDS err_t hold_error(struct exchange *x, struct attempt *a)
{
    WITHIN(total_by(x));
    err_t e = http_call_all(a->call, x->timeouts.between_bytes, ERROR_ANSWER_MAX, &a->body);

    a->has_body = e == OK;
    return e == E_CANCELLED ? e : OK; /* its status says enough */
}

/* It is answered with an error: its status, and, where that is ambiguous, its words. */
static SUSPENDS err_t judge_error(struct exchange *x, struct attempt *a)
{
    a->status = http_call_head(a->call)->status;
    a->outcome = outcome_of_status(a->status);
    TRY(hold_error(x, a));
    judge_words(x, a);
    return OK;
}

/* What was to be added to the answer was refused: so is all of it. */
static SUSPENDS err_t take_refusal(struct exchange *x, struct attempt *a)
{
    http_call_close(a->call);
    a->call = x->refused_call;
    x->refused_call = NULL;
    return judge_error(x, a);
}

static SUSPENDS err_t complete_translated(struct exchange *x, struct attempt *a)
{
    if (x->endpoint.row->operation == OP_EMBED)
        return batches_complete(x, a);
    return x->calls > 1 ? choices_complete(x, a) : OK;
}

/* Read the whole answer, and get what is to be added to it. */
static SUSPENDS err_t hold_translated(struct exchange *x, struct attempt *a)
{
    TRY(translate_answer(x, a));
    err_t e = complete_translated(x, a);
    return x->refused_call ? take_refusal(x, a) : e;
}

/* Hold a plain answer until it is whole and valid. One that is too large is handed on as it comes. */
static SUSPENDS err_t hold_plain(struct exchange *x, struct attempt *a)
{
    WITHIN(total_by(x));
    struct openai_answer answer;
    uint64_t held = x->snapshot->catalog->limits.held_answer;
    err_t e = http_call_all(a->call, x->timeouts.between_bytes, held, &a->body);

    if (e == E_TOO_LARGE && !is_translated(x))
        return OK;
    TRY(e);
    a->has_body = true;
    if (is_translated(x))
        return hold_translated(x, a);
    openai_answer_init(&answer);
    openai_answer_feed(&answer, a->body);
    bool valid = openai_answer_end(&answer);
    a->usage = answer.usage;
    openai_answer_release(&answer);
    return valid ? OK : fail(E_PROTOCOL, "the provider's answer is not valid JSON");
}

/* Answers that nobody here reads. */
static bool relays_anything(const struct exchange *x)
{
    return x->endpoint.kind == ENDPOINT_PASS_THROUGH || x->endpoint.row->operation == OP_PASS ||
           x->endpoint.row->operation == OP_TOKENIZE;
}

static SUSPENDS err_t judge_answer(struct exchange *x, struct attempt *a)
{
    const struct http_head *head = http_call_head(a->call);

    a->status = head->status;
    credentials_hear(a);
    if (a->status >= 200 && a->status <= 299) /* whatever becomes of the rest */
        credentials_answered(x, a, CAUSE_OK);
    if (a->status == 401 || a->status == 403)
        authorize_rejected(x);
    if (a->status < 200 || a->status > 299)
        return judge_error(x, a);
    if (relays_anything(x))
        return OK; /* of any kind and size: on it goes as it comes */
    a->is_stream = is_stream(x, head);
    if (!a->is_stream)
        return hold_plain(x, a);
    return has_own_relay(x) ? stream_hold(x, a) : event_stream_hold(x, a);
}

/* Encode and send; *ret_sent is when our own work was done. */
static SUSPENDS err_t open_call(struct exchange *x, struct attempt *a, struct http_call_options *o, ns_t *ret_sent)
{
    struct upstream *upstream;

    TRY(upstreams_get(gateway_upstreams(x->gateway), x->snapshot, x->chosen->provider, &upstream));
    TRY(prepare(x, o));
    *ret_sent = rt_now_exact();
    return http_call_open(upstream, x->r->arena, o, &a->times, &a->call);
}

err_t attempt_run(struct exchange *x, struct attempt *a)
{
    struct http_call_options o = {.method = STR_NONE};
    ns_t before = 0;
    err_t e;

    x->facts.attempts++;
    x->events = NULL;
    if (x->is_unsaid)
        x->client_error = OK;
    x->is_unsaid = false;
    choose_dialect(x);
    e = open_call(x, a, &o, &before);
    if (e == OK)
        e = judge_answer(x, a);
    ns_t waited = before ? rt_now() - before : 0; /* up to the turn of the loop in which the answer came */
    x->waited += waited > 0 ? waited : 0;
    if (e != OK)
        attempt_failed(x, a, e);
    if (e == E_CANCELLED)
        a->outcome = ATTEMPT_CANCELLED;
    return e == E_CANCELLED ? e : OK;
}

/* --- what it comes to --- */

/* An error whose body said what it is about. */
static enum cause cause_of_class(enum error_class c, int status)
{
    switch (c) {
    case ERROR_CONTEXT_LENGTH:
    case ERROR_TOO_LARGE:
        return CAUSE_CONTEXT_LENGTH;
    case ERROR_CONTENT_POLICY:
        return CAUSE_CONTENT_FILTER;
    case ERROR_AUTH:
    case ERROR_FORBIDDEN:
        return CAUSE_AUTH;
    case ERROR_QUOTA:
        return CAUSE_QUOTA;
    case ERROR_NOT_FOUND: /* with a 403 it is there, but not for this credential */
        return status == 403 ? CAUSE_AUTH : CAUSE_NOT_FOUND;
    case ERROR_CONFLICT:
        return CAUSE_CONFLICT;
    case ERROR_RATE_LIMIT:
        return CAUSE_RATE_LIMITED;
    case ERROR_OVERLOADED:
        return CAUSE_OVERLOADED;
    case ERROR_TIMEOUT:
        return status == 408 ? CAUSE_REQUEST_TIMEOUT : CAUSE_UPSTREAM_TIMEOUT;
    case ERROR_UPSTREAM:
        return status >= 500 ? cause_of_status(status) : CAUSE_SERVER_ERROR;
    case ERROR_BY_STATUS:
    case ERROR_BAD_REQUEST:
    case ERROR_UNPROCESSABLE:
    case ERROR_CLASSES:
        break;
    }
    if (status == 405) /* it does not have this operation */
        return CAUSE_NOT_FOUND;
    return status >= 300 ? cause_of_status(status) : CAUSE_CLIENT_ERROR;
}

static enum cause cause_of_timeout(const struct exchange *x, const struct attempt *a)
{
    if (rt_now() >= total_by(x))
        return total_by(x) == x->overrides.by ? CAUSE_DEADLINE : CAUSE_TIMEOUT_TOTAL;
    if (!a->times.sent_any)
        return CAUSE_CONNECT;
    return a->first ? CAUSE_TIMEOUT_BETWEEN : CAUSE_TIMEOUT_FIRST;
}

/* The transport failed, or what came made no sense. */
static enum cause cause_of_failure(const struct exchange *x, const struct attempt *a)
{
    switch (a->outcome) {
    case ATTEMPT_TIMEOUT:
        return cause_of_timeout(x, a);
    case ATTEMPT_CONNECT:
        return a->error == E_OVERLOAD ? CAUSE_NO_CAPACITY : CAUSE_CONNECT;
    case ATTEMPT_BROKEN:
        break;
    case ATTEMPT_OK:
    case ATTEMPT_RATE_LIMITED:
    case ATTEMPT_REFUSED:
    case ATTEMPT_SERVER_ERROR:
    case ATTEMPT_OUTCOMES:
    case ATTEMPT_CANCELLED: /* it was not asked */
        return CAUSE_CANCELLED;
    }
    if (a->error == E_PROTOCOL || a->error == E_TOO_LARGE || a->error == E_PARSE)
        return CAUSE_MALFORMED;
    if (!a->status)
        return CAUSE_RESET;
    return a->first ? CAUSE_BROKEN : CAUSE_EMPTY;
}

enum cause attempt_cause(struct exchange *x, struct attempt *a)
{
    if (x->client_error != OK)
        return CAUSE_CANCELLED; /* it is not the provider's, who may not even have been asked */
    if (a->error != OK)
        return cause_of_failure(x, a);
    if (a->outcome == ATTEMPT_OK)
        return CAUSE_OK;
    const struct api_error *e = attempt_error(x, a);
    return cause_of_class(e->error_class, a->status);
}
