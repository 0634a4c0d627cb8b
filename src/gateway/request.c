/*
 * request.c - one request's way through the gateway, top to bottom.
 *
 * Read serve() as a list: each line is one step and one file. A request ends exactly once, with an answer or an explicit error, and its
 * facts are recorded once, here. A client that leaves cancels the fiber; every wait below then returns E_CANCELLED, and closing the call
 * tells the provider.
 */
#include "base/log.h"
#include "codec/url.h"
#include "gateway/resolve.h"
#include "gateway/stored.h"
#include "rt/loop.h"

enum { OWN_ANSWER_MAX = 64 * 1024 };

/* --- its answer --- */

/* The client's body is too large, too slow or malformed. */
static SUSPENDS err_t refuse_body(struct exchange *x, err_t cause, struct str message)
{
    struct api_error e = {.status = x->r->refusal ? x->r->refusal : err_http_status(cause), .message = message};

    x->facts.error = cause;
    return reply_error(x, &e);
}

/* The client's request cannot be said to the provider: its own to mend. */
static SUSPENDS err_t refuse_parse(struct exchange *x, err_t cause, struct str message, struct str param)
{
    struct api_error e = {.status = 400, .message = message, .param = param, .code = translation_of(x)->refusal_code};

    x->facts.error = cause;
    return reply_error(x, &e);
}

static SUSPENDS err_t refuse_unanswered(struct exchange *x, const struct attempt *a)
{
    struct str provider = x->chosen->provider->name;
    struct api_error e = {.status = err_http_status(a->error), .code = "provider_error"};
    const char *what = "failed";

    if (x->client_error != OK && is_translated(x))
        return refuse_parse(x, x->client_error, x->client_error_text, x->param);
    if (x->client_error != OK)
        return refuse_body(x, x->client_error, x->client_error_text);
    if (a->outcome == ATTEMPT_TIMEOUT) {
        e.status = 504;
        e.code = "provider_timeout";
        what = "did not answer in time";
    } else if (a->outcome == ATTEMPT_CONNECT) {
        e.code = "provider_unreachable";
        what = "could not be reached";
    }
    e.message =
        arena_printf(x->r->arena, "The provider '%.*s' %s: %.*s", STR_ARG(provider), what, STR_ARG(a->error_text));
    x->facts.error = a->error;
    return reply_error(x, &e);
}

err_t estimate(struct exchange *x)
{
    x->translates = false; /* a question that nobody was asked */
    err_t e = serve_estimate(x);
    if (e != OK && e != E_CANCELLED && !x->r->status)
        return refuse_parse(x, e, arena_str(x->r->arena, str_from_c(err_detail(e))), x->param);
    return e;
}

/* Does the provider not know the operation? */
static bool has_none_to_count(const struct exchange *x, const struct attempt *a)
{
    return x->endpoint.kind == ENDPOINT_OPERATION && x->endpoint.row->operation == OP_COUNT_TOKENS &&
           (a->status == 404 || a->status == 405 || a->status == 501);
}

err_t conclude(struct exchange *x, struct attempt *a)
{
    if (a->error != OK)
        return refuse_unanswered(x, a);
    if (a->outcome != ATTEMPT_OK)
        return has_none_to_count(x, a) ? estimate(x) : relay_error(x, a);
    if (x->events)
        return relay_events(x, a);
    if (is_translated(x))
        return relay_translated(x, a);
    return a->is_stream ? relay_stream(x, a) : relay_answer(x, a);
}

/* --- the steps before it --- */

static SUSPENDS err_t refuse_route(struct exchange *x, err_t cause)
{
    if (cause == E_AGAIN)
        return credentials_refuse(x);
    struct api_error e = {.status = cause == E_UNSUPPORTED ? 400 : err_http_status(cause),
                          .message = arena_str(x->r->arena, str_from_c(err_detail(cause))),
                          .code = cause == E_NOT_FOUND ? "model_not_found" : NULL,
                          .param = cause == E_NOT_FOUND ? STR("model") : STR_NONE};

    x->facts.error = cause;
    return reply_error(x, &e);
}

/* An operation that some clients ask for without a model, such as moderation. */
static bool names_none(const struct exchange *x, struct str body)
{
    return x->endpoint.row->operation == OP_PASS && !json_find(body, STR("model")).n;
}

/* Media go where their model says, if it is known here; else where pass-through goes, as they are. */
static err_t choose_route(struct exchange *x, struct str model)
{
    const struct catalog *c = x->snapshot->catalog;

    if (x->endpoint.row->operation != OP_PASS || !c->pass_through || resolve_knows(x, model) ||
        !vendor_speaks(c->pass_through->vendor, x->endpoint.dialect))
        return route(x, model);
    x->request.model = STR_NONE; /* nothing is to be put in its place */
    x->form[0] = x->form[1].n ? str_of(x->form[0].p, x->form[0].n + x->form[1].n + x->form[2].n) : x->form[0];
    x->form[1] = x->form[2] = STR_NONE;
    return route_pass_through(x);
}

err_t read_wish(struct exchange *x, struct str body)
{
    const struct endpoint_row *row = x->endpoint.row;
    bool truth = false;

    x->request.doc = body;
    bool in_body = row->model == MODEL_IN_BODY || row->model == MODEL_IN_FORM;
    if (in_body && !names_none(x, body)) {
        TRY(openai_request_read(body, x->r->arena, &x->request, &x->param));
        x->facts.model = x->request.model;
    } else if (!in_body) {
        x->facts.model = row->model == MODEL_IN_PATH ? x->endpoint.model : route_unnamed(x);
    }
    switch (row->stream) {
    case STREAM_NEVER:
        break;
    case STREAM_ALWAYS:
        x->stream = true;
        break;
    case STREAM_IF_TRUE:
        x->stream =
            x->request.model.n ? x->request.stream : json_to_bool(json_find(body, STR("stream")), &truth) && truth;
        break;
    case STREAM_UNLESS_FALSE:
        x->stream = !json_to_bool(json_find(body, STR("stream")), &truth) || truth;
        break;
    }
    return OK;
}

/* The whole body, of a client that may ask. *ret_go_on: false if it has been refused. */
static SUSPENDS err_t take_body(struct exchange *x, struct str *ret_body, bool *ret_go_on)
{
    ns_t turn = rt_now();
    err_t e = http_body_all(x->r, x->snapshot->catalog->limits.body_bytes, ret_body);

    if (rt_now() !=
        turn) /* else it was there, as nearly always, and no clock is read; our own part before it is microseconds */
        x->waited += rt_now_exact() - x->started;
    *ret_go_on = false;
    if (e == E_CANCELLED)
        return e;
    if (e != OK)
        return refuse_body(x, e, arena_str(x->r->arena, str_from_c(err_detail(e))));
    if (authenticate_body(x, *ret_body) != OK)
        return reply_err(x, E_AUTH, "invalid_signature");
    *ret_go_on = true;
    return OK;
}

/* A request that asks nothing of the model, in a dialect that its provider does not speak: nobody else needs to hear it. */
static bool is_answered_here(struct exchange *x, struct buf *to)
{
    const struct client_side *client = &x->endpoint.dialect->client;
    const struct json_tree *doc;

    if (x->endpoint.row->operation != OP_CHAT || !client->answer_here ||
        vendor_speaks(x->chosen->provider->vendor, x->endpoint.dialect) ||
        json_tree_parse(x->r->arena, x->request.doc, &doc) != OK)
        return false;
    return client->answer_here(translation_of(x), json_tree_root(doc), to);
}

static SUSPENDS err_t serve_model(struct exchange *x)
{
    struct buf own CLEANUP(buf_release) = BUF_INIT(OWN_ANSWER_MAX);
    struct str body;
    bool go_on;

    TRY(take_body(x, &body, &go_on));
    if (!go_on)
        return OK;
    route_settle_unnamed(x);
    endpoint_settle(&x->endpoint, body);
    err_t e = stored_continue(x, &body);
    if (e == OK)
        e = read_wish(x, body);
    if (e == E_CANCELLED)
        return e;
    if (e != OK)
        return refuse_parse(x, e, arena_str(x->r->arena, str_from_c(err_detail(e))), x->param);
    e = choose_route(x, x->facts.model);
    if (e != OK)
        return refuse_route(x, e);
    hear_begin(x, body);
    if (is_answered_here(x, &own))
        return reply_json(x, 200, buf_str(&own));
    return attempts(x);
}

/* The model of a server that has one: that server, if it speaks the dialect, knows more of it than we. */
static SUSPENDS err_t serve_only_model(struct exchange *x)
{
    route_settle_unnamed(x);
    x->facts.model = x->endpoint.model = route_unnamed(x);
    err_t e = choose_route(x, x->facts.model);
    if (e != OK)
        return refuse_route(x, e);
    return vendor_speaks(x->chosen->provider->vendor, x->endpoint.dialect) ? attempts(x) : serve_models(x);
}

/* What is known of models; which one is asked for stands in the path, or in the body. */
static SUSPENDS err_t serve_catalog(struct exchange *x)
{
    struct str body;
    bool go_on;

    if (x->endpoint.row->model != MODEL_IN_BODY) {
        if (authenticate_body(x, STR_NONE) != OK)
            return reply_err(x, E_AUTH, "invalid_signature");
        bool only = x->endpoint.row->operation == OP_MODEL && x->endpoint.row->model == MODEL_NONE;
        return only ? serve_only_model(x) : serve_models(x);
    }
    TRY(take_body(x, &body, &go_on));
    if (!go_on)
        return OK;
    err_t e = openai_request_read(body, x->r->arena, &x->request, &x->param);
    if (e != OK)
        return refuse_parse(x, e, arena_str(x->r->arena, str_from_c(err_detail(e))), x->param);
    x->endpoint.model = x->request.model;
    return serve_models(x);
}

/* An upload: streamed on, to one provider. */
static SUSPENDS err_t serve_form(struct exchange *x)
{
    struct str model;
    err_t e = form_peek(x, &model);

    if (e == E_CANCELLED)
        return e;
    if (e != OK)
        return refuse_body(x, e, arena_str(x->r->arena, str_from_c(err_detail(e))));
    x->facts.model = model;
    e = choose_route(x, model);
    if (e != OK)
        return refuse_route(x, e);
    x->once = true; /* what was streamed cannot be sent again */
    return attempts(x);
}

static SUSPENDS err_t serve_operation(struct exchange *x)
{
    if (x->endpoint.row->model == MODEL_IN_FORM && form_is_one(&x->r->head))
        return serve_form(x);
    switch (x->endpoint.row->operation) {
    case OP_MODELS:
    case OP_MODEL:
        return serve_catalog(x);
    case OP_STATIC:
        return reply_static(x);
    case OP_CHAT:
    case OP_EMBED:
    case OP_RERANK:
    case OP_COUNT_TOKENS:
    case OP_TOKENIZE:
    case OP_PASS:
        break;
    }
    return serve_model(x);
}

static SUSPENDS err_t serve_pass_through(struct exchange *x)
{
    bool served;
    err_t e;

    if (x->r->head.upgrade) {
        struct api_error error = {.status = 501,
                                  .message = STR("This gateway does not relay WebSocket or other upgrades.")};
        return reply_error(x, &error);
    }
    e = stored_serve(x, &served);
    if (e != OK || served)
        return e;
    e = x->claim ? fail(E_UNSUPPORTED, "A signed request cannot pass through: send a key instead.")
                 : route_pass_through(x);
    if (e != OK)
        return reply_err(x, e, NULL);
    x->once = has_streamed_body(x);
    return attempts(x);
}

static SUSPENDS err_t refuse_path(struct exchange *x)
{
    bool wrong_method = x->endpoint.kind == ENDPOINT_WRONG_METHOD;
    struct api_error e = {.status = wrong_method ? 405 : 404};
    struct str path = x->facts.path;

    e.message = wrong_method ? arena_printf(x->r->arena, "Not allowed to %.*s on %.*s: use %s.",
                                            STR_ARG(x->facts.method), STR_ARG(path), x->endpoint.allow)
                             : arena_printf(x->r->arena,
                                            "Unknown request URL: %.*s %.*s. Set your client's base URL to this "
                                            "address; OpenAI's clients need /v1 "
                                            "at its end.",
                                            STR_ARG(x->facts.method), STR_ARG(path));
    x->facts.error = E_NOT_FOUND;
    return reply_error(x, &e);
}

static SUSPENDS err_t serve(struct exchange *x)
{
    struct str path = STR_NONE;
    err_t e = url_normal_path(x->r->head.path, true, x->r->arena, &path);

    if (e != OK)
        return reply_err(x, e, NULL);
    endpoint_find(x->r->head.method, path, &x->r->head, x->r->arena, &x->endpoint);
    x->facts.endpoint = x->endpoint.label;
    if (x->endpoint.kind == ENDPOINT_PASS_THROUGH) { /* its path goes on: nothing in it may be read in two ways */
        e = url_normal_path(x->endpoint.path, false, x->r->arena, &x->endpoint.path);
        if (e != OK)
            return reply_err(x, e, NULL);
    }
    if (x->endpoint.kind == ENDPOINT_UNKNOWN || x->endpoint.kind == ENDPOINT_WRONG_METHOD)
        return refuse_path(x);
    if (authenticate(x) != OK)
        return reply_err(x, E_AUTH, "invalid_api_key");
    e = overrides_read(x);
    if (e != OK)
        return reply_err(x, e, NULL);
    switch (x->endpoint.kind) {
    case ENDPOINT_OPERATION:
        return serve_operation(x);
    case ENDPOINT_PASS_THROUGH:
        return serve_pass_through(x);
    case ENDPOINT_UNKNOWN:
    case ENDPOINT_WRONG_METHOD:
        break;
    }
    return refuse_path(x);
}

/* --- around it --- */

enum { ID_MAX = 64 };

/* A client's own id is kept if it is fit for logs and headers. */
static bool is_fit_id(struct str id)
{
    if (!id.n || id.n > ID_MAX)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool fits = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                    c == '_' || c == '.';
        if (!fits)
            return false;
    }
    return true;
}

static struct str request_id(struct http_request *r)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    enum { RANDOM = 24, PREFIX = 4 };
    struct str given = http_head_get(&r->head, HDR_X_REQUEST_ID);

    if (is_fit_id(given))
        return given;
    char *id = arena_alloc(r->arena, PREFIX + RANDOM);
    uint64_t bits[2] = {rt_random(), rt_random()};
    memcpy(id, "req_", PREFIX);
    for (size_t i = 0; i < RANDOM; i++)
        id[PREFIX + i] = digits[(bits[i / 12] >> (5 * (i % 12))) & 31];
    return str_of(id, PREFIX + RANDOM);
}

static void begin(struct exchange *x, struct gateway *g, struct http_request *r)
{
    x->gateway = g;
    x->endpoint.dialect = dialect_usual;
    x->r = r;
    x->started = rt_now_exact();
    x->facts.id = request_id(r);
    x->facts.endpoint = "unknown";
    x->facts.method = r->head.method;
    x->facts.path = r->head.path;
    x->facts.wall = rt_wall();
    x->facts.peer = x->inner ? NULL : &r->peer;
}

/* An answer could not be made, such as one with a head that is too large. If an attempt was made, what it brought is to blame. */
static SUSPENDS err_t refuse_failed(struct exchange *x, err_t cause)
{
    struct str why = str_from_c(err_detail(cause));
    struct api_error e = {.status = err_http_status(cause),
                          .message = x->facts.attempts ? scrub(x, why) : arena_str(x->r->arena, why)};

    if (x->facts.attempts && e.status < 500)
        e.status = 502;
    x->facts.error = cause;
    return reply_error(x, &e);
}

/* Of the attempt that was answered or failed last. What could not be said at all was refused, not translated. */
static void note_translation(struct exchange *x)
{
    struct facts *f = &x->facts;

    f->dialect = x->endpoint.dialect->name;
    if (!is_translated(x) || x->client_error != OK)
        return;
    f->translated_to = x->speaks->name;
    f->dropped = x->losses.dropped;
    f->emulated = x->losses.emulated;
    f->changed = x->losses.changed;
}

static void settle(struct exchange *x, err_t e)
{
    struct facts *f = &x->facts;

    f->total = rt_now_exact() - x->r->received;
    f->status = e == E_CANCELLED || !x->r->status ? 499 : x->r->status;
    if (e != OK)
        f->error = e;
    f->bytes_in = x->r->bytes_in;
    f->bytes_out = x->r->bytes_out;
    admission_settle(x);
    if (f->attempts) {
        f->deployment = x->chosen->label;
        f->provider = x->chosen->provider->name;
    }
    f->revision = x->snapshot->catalog->revision;
    note_translation(x);
}

void note_first_token(struct exchange *x)
{
    if (!x->facts.first_token)
        x->facts.first_token = rt_now_exact() - x->r->received;
}

err_t exchange_run(struct exchange *x, struct gateway *g, struct http_request *r)
{
    err_t e;

    begin(x, g, r);
    gateway_enter(g, x);
    e = serve(x);
    if (UNLIKELY(e != OK) && e != E_CANCELLED && !r->status)
        e = refuse_failed(x, e);
    e = hear_end(x, e);
    settle(x, e);
    gateway_leave(g, x);
    return e;
}

err_t gateway_handle(struct http_request *r, void *ctx)
{
    return exchange_run(arena_new(r->arena, struct exchange), ctx, r);
}
