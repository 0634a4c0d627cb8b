/*
 * relay.c - hand a provider's plain answer or error on to the client.
 */
#include "codec/json_scan.h"
#include "gateway/exchange.h"
#include "rt/loop.h"

/* A silent stream is kept alive this often, in the form that its dialect allows. */
#define KEEP_ALIVE (15 * NS_SEC)

err_t relay_next(struct exchange *x, struct attempt *a, struct str sign, struct str *ret_piece)
{
    ns_t by = piece_by(x, a);

    for (;;) {
        ns_t until = sign.n ? ns_min(by, ns_add(rt_now(), KEEP_ALIVE)) : by;
        err_t e = http_call_next(a->call, until, ret_piece);
        if (e != E_DEADLINE || until == by)
            return e;
        TRY(http_reply_write(x->r, &sign, 1));
    }
}

/* An answer too large to be held: on it goes, piece by piece, read on the way. */
static SUSPENDS err_t relay_pieces(struct exchange *x, struct attempt *a)
{
    struct openai_answer answer CLEANUP(openai_answer_release);
    struct str piece;
    err_t e;

    openai_answer_init(&answer);
    while ((e = http_call_next(a->call, alarm_in(x, x->timeouts.between_bytes), &piece)) == OK && piece.p) {
        note_first_token(x);
        openai_answer_feed(&answer, piece);
        TRY(http_reply_write(x->r, &piece, 1));
    }
    if (e != OK) {
        a->outcome = e == E_DEADLINE ? ATTEMPT_TIMEOUT : ATTEMPT_BROKEN;
        x->facts.error = e;
        x->facts.error_text = scrub(x, str_from_c(err_detail(e)));
        http_reply_abort(x->r);
        return e == E_CANCELLED ? e : OK;
    }
    (void)openai_answer_end(&answer);
    a->usage = answer.usage;
    return http_reply_finish(x->r, NULL, 0);
}

err_t relay_answer(struct exchange *x, struct attempt *a)
{
    const struct http_head *head = http_call_head(a->call);
    struct http_header *headers;
    struct http_reply reply = {.status = head->status, .length = -1};

    forward_answer_headers(x, a->call, &headers, &reply.count);
    reply.headers = headers;
    if (a->has_body) {
        note_first_token(x);
        reply.length = (int64_t)a->body.n;
        return http_reply_whole(x->r, &reply, a->body);
    }
    if (!http_head_get(head, HDR_CONTENT_ENCODING).p)
        reply.length = head->content_length;
    TRY(http_reply_begin(x->r, &reply));
    return relay_pieces(x, a);
}

/* Statuses that mean nothing to our client: a redirection to the provider's house, or none of HTTP's. */
static int error_status(int status)
{
    return status >= 400 && status <= 599 ? status : 502;
}

/* Our credential was refused: the client cannot help it, and the provider's words are about a key that is not the client's. Google says so with
 * status 400. */
static bool is_our_credential(const struct attempt *a, const struct api_error *e)
{
    return a->status == 401 || a->status == 403 || e->error_class == ERROR_AUTH;
}

static void copy_scrubbed(struct exchange *x, const struct api_error *e, struct api_error *ret)
{
    *ret = *e;
    ret->message = scrub(x, e->message);
    ret->param = e->param.n ? scrub(x, e->param) : STR_NONE;
    ret->type = e->type ? scrub(x, str_from_c(e->type)).p : NULL;
    ret->code = e->code ? scrub(x, str_from_c(e->code)).p : NULL;
}

/* In the provider's own dialect. */
static void read_provider_error(struct exchange *x, struct attempt *a, struct api_error *ret)
{
    const struct api_error *e = attempt_error(x, a);

    copy_scrubbed(x, e, ret);
    ret->status = error_status(e->status ? e->status : error_status_of(error_class_of(e)));
    if (is_translated(x)) { /* names of another dialect mean nothing to this client */
        ret->error_class = error_class_of(e);
        ret->status = 0;
        ret->param = STR_NONE;
    }
}

/* *ret_ours: it is about our credential, and the words are ours. */
static void read_error(struct exchange *x, struct attempt *a, struct api_error *ret, bool *ret_ours)
{
    read_provider_error(x, a, ret);
    if (!ret->message.n)
        ret->message = arena_printf(x->r->arena, "The provider '%.*s' answered with status %d.",
                                    STR_ARG(x->chosen->provider->name), a->status);
    *ret_ours = is_our_credential(a, ret);
    if (*ret_ours) {
        ret->message =
            arena_printf(x->r->arena,
                         "The provider '%.*s' refused this gateway's credential (status %d). This is not about "
                         "your key: the operator of the gateway must check the provider's api_key.",
                         STR_ARG(x->chosen->provider->name), a->status);
        ret->code = "provider_credential_refused";
        ret->error_class = ERROR_BY_STATUS;
        ret->status = is_translated(x) ? 502 : a->status;
    }
}

/* Is the body already what we would send: OpenAI's shape, nothing to take out? */
static bool is_fit(struct exchange *x, const struct attempt *a)
{
    struct str error = json_find(a->body, STR("error"));

    return json_kind_of(error) == JSON_OBJECT && json_kind_of(json_find(error, STR("message"))) == JSON_STRING &&
           json_valid(a->body, 0) && str_eq(scrub(x, a->body), a->body);
}

/* Whole seconds until the client may try again, as a header; none if nothing was said. */
static size_t retry_header(struct exchange *x, const struct api_error *e, struct http_header *to)
{
    if (e->retry_after_ms <= 0)
        return 0;
    *to = (struct http_header){STR("retry-after"),
                               arena_printf(x->r->arena, "%lld", (long long)((e->retry_after_ms + 999) / 1000))};
    return 1;
}

/* Also where the provider spoke another dialect, or in the middle of a stream. */
err_t tell_error(struct exchange *x, const struct api_error *e)
{
    struct http_header more[1];
    size_t n = retry_header(x, e, more);

    return reply_error_with(x, e, more, n);
}

err_t relay_error(struct exchange *x, struct attempt *a)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(512 * 1024);
    struct http_header *headers;
    struct http_reply reply = {.status = error_status(a->status)};
    struct api_error error;
    struct str text = a->body;
    size_t kept = 0;
    bool ours;

    read_error(x, a, &error, &ours);
    x->facts.error = E_UPSTREAM;
    x->facts.error_text = error.message;
    if (is_translated(x) || a->refusal)
        return tell_error(x, &error);
    forward_answer_headers(x, a->call, &headers, &reply.count);
    if (!a->has_body || ours || !is_fit(x, a)) {
        struct call_header of_dialect[2] = {{STR_NONE, STR_NONE}, {STR_NONE, STR_NONE}}; /* the provider's own stay */
        error_in_dialect(x, &error, &body, &reply.status, of_dialect);
        text = buf_str(&body);
    }
    for (size_t i = 0; i < reply.count; i++) { /* the type is ours now, and so is the encoding */
        if (str_eq_nocase(headers[i].name, STR("content-type")) ||
            str_eq_nocase(headers[i].name, STR("content-encoding")))
            continue;
        headers[kept++] = (struct http_header){headers[i].name, scrub(x, headers[i].value)};
    }
    headers[kept++] = (struct http_header){STR("content-type"), STR("application/json")};
    reply.headers = headers;
    reply.count = kept;
    reply.length = (int64_t)text.n;
    return http_reply_whole(x->r, &reply, text);
}
