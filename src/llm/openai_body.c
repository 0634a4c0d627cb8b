/*
 * openai_body.c - what a relay reads in OpenAI bodies, and the few bytes that it changes.
 *
 * A request is scanned once; the places of "model", "stream_options" and "tool_choice" are kept, and the body that goes on is the client's own bytes
 * around the new values. Mistral's clients share these paths and say "any" where OpenAI knows only "required". So key order, number text and unknown fields survive, which providers' prompt caches depend on.
 */
#include "llm/openai_body.h"

enum { WATCH_MODEL, WATCH_STREAM, WATCH_OPTIONS, WATCH_CHOICE, WATCH_TIER };

static const struct str request_watch[] = {
    [WATCH_MODEL] = STR_INIT("model"),
    [WATCH_STREAM] = STR_INIT("stream"),
    [WATCH_OPTIONS] = STR_INIT("stream_options"),
    [WATCH_CHOICE] = STR_INIT("tool_choice"),
    [WATCH_TIER] = STR_INIT("service_tier"),
};

static const struct str answer_watch[] = {STR_INIT("usage")};

static err_t take_model(const struct json_member *m, struct arena *arena, struct openai_request *q)
{
    struct str text;

    if (m->kind != JSON_STRING)
        return fail(E_PARSE, "'model' must be a string");
    if (!m->value.p)
        return fail(E_PARSE, "'model' is too long");
    TRY(json_string_value(m->value, arena, &text));
    if (!text.n)
        return fail(E_PARSE, "'model' must not be empty");
    q->model = arena_str(arena, text);
    q->model_at = *m;
    return OK;
}

static err_t take_stream(const struct json_member *m, struct openai_request *q)
{
    if (m->kind != JSON_TRUE && m->kind != JSON_FALSE && m->kind != JSON_NULL)
        return fail(E_PARSE, "'stream' must be true or false");
    q->stream = m->kind == JSON_TRUE;
    return OK;
}

static err_t take_options(const struct json_member *m, struct str doc, struct openai_request *q)
{
    if (m->kind != JSON_OBJECT && m->kind != JSON_NULL)
        return fail(E_PARSE, "'stream_options' must be an object");
    q->has_options = true;
    q->options_at = *m;
    q->options = json_span_str(doc, m->at);
    if (!json_to_bool(json_find(q->options, STR("include_usage")), &q->include_usage))
        q->include_usage = false;
    return OK;
}

static err_t take_member(const struct json_member *m, struct arena *arena, struct openai_request *q)
{
    switch (m->watch) {
    case WATCH_MODEL:
        return take_model(m, arena, q);
    case WATCH_STREAM:
        return take_stream(m, q);
    case WATCH_CHOICE:
        q->choice_is_any = str_eq(m->value, STR("\"any\""));
        q->choice_at = *m;
        return OK;
    case WATCH_TIER: /* its words need no escapes */
        q->service_tier = m->kind == JSON_STRING ? json_span_str(q->doc, m->at) : STR_NONE;
        q->service_tier = str_slice(q->service_tier, 1, q->service_tier.n - 1);
        return OK;
    default:
        return take_options(m, q->doc, q);
    }
}

err_t openai_request_read(struct str doc, struct arena *arena, struct openai_request *ret, struct str *ret_param)
{
    struct json_scan scan CLEANUP(json_scan_release);
    struct openai_request q = {.doc = doc, .options_at = {.kind = JSON_NULL}};
    struct json_member m;
    enum json_scan_result r;
    struct str in = doc;
    bool seen[ARRAY_LEN(request_watch)] = {false};

    *ret_param = STR_NONE;
    json_scan_init(&scan, request_watch, ARRAY_LEN(request_watch), 0, JSON_LONE_SURROGATES | JSON_WATCHED_ONLY);
    while ((r = json_scan_next(&scan, &in, &m)) == JSON_MEMBER) {
        *ret_param = request_watch[m.watch];
        if (seen[m.watch] && m.watch != WATCH_CHOICE &&
            m.watch != WATCH_TIER) /* which decide nothing: the provider's business */
            return fail(E_PARSE, "'%.*s' is given twice", STR_ARG(request_watch[m.watch]));
        seen[m.watch] = true;
        TRY(take_member(&m, arena, &q));
        *ret_param = STR_NONE;
    }
    if (r == JSON_MORE)
        r = json_scan_end(&scan);
    if (r != JSON_DONE)
        return json_scan_fail(&scan, doc);
    if (scan.top.kind != JSON_OBJECT)
        return fail(E_PARSE, "the body must be a JSON object");
    *ret_param = STR("model");
    if (!seen[WATCH_MODEL])
        return fail(E_PARSE, "you must provide a 'model' parameter");
    *ret_param = STR_NONE;
    q.top = scan.top;
    *ret = q;
    return OK;
}

/* stream_options with include_usage true, other options kept. */
static err_t usage_options(const struct openai_request *q, struct arena *arena, struct str *ret)
{
    static const struct str watch[] = {STR_INIT("include_usage")};
    struct json_member m, old = {0};
    struct str in = q->options;
    bool found = false;

    if (!q->has_options || q->options_at.kind == JSON_NULL) {
        *ret = STR("{\"include_usage\":true}");
        return OK;
    }
    struct json_scan scan CLEANUP(json_scan_release);
    json_scan_init(&scan, watch, ARRAY_LEN(watch), 0, JSON_LONE_SURROGATES | JSON_WATCHED_ONLY);
    while (json_scan_next(&scan, &in, &m) == JSON_MEMBER) {
        old = m;
        found = true;
    }
    if (json_scan_end(&scan) != JSON_DONE)
        return json_scan_fail(&scan, q->options);
    struct json_edit edit = {.kind = found ? JSON_REPLACE : JSON_INSERT_LAST,
                             .key_at = old.key_at,
                             .at = old.at,
                             .key = STR("include_usage"),
                             .value = STR("true")};
    struct buf text CLEANUP(buf_release) = BUF_INIT(q->options.n + 64);
    TRY(json_splice(&text, q->options, &scan.top, &edit, 1));
    *ret = arena_str(arena, buf_str(&text));
    return OK;
}

static err_t quote(struct arena *arena, struct str text, struct str *ret)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(6 * text.n + 2);

    TRY(buf_add_char(&b, '"'));
    TRY(buf_add_json(&b, text));
    TRY(buf_add_char(&b, '"'));
    *ret = arena_str(arena, buf_str(&b));
    return OK;
}

err_t openai_request_rewrite(const struct openai_request *q, struct str model, bool ask_usage, struct arena *arena,
                             struct str **ret_parts, size_t *ret_count)
{
    struct json_edit edits[3];
    size_t n = 0;

    if (!str_eq(model, q->model)) {
        struct json_edit *e = &edits[n++];
        *e = (struct json_edit){.kind = JSON_REPLACE, .key_at = q->model_at.key_at, .at = q->model_at.at};
        TRY(quote(arena, model, &e->value));
    }
    if (ask_usage && !q->include_usage) {
        struct json_edit *e = &edits[n++];
        *e = (struct json_edit){.kind = q->has_options ? JSON_REPLACE : JSON_INSERT_LAST,
                                .key_at = q->options_at.key_at,
                                .at = q->options_at.at,
                                .key = STR("stream_options")};
        TRY(usage_options(q, arena, &e->value));
    }
    if (q->choice_is_any)
        edits[n++] = (struct json_edit){
            .kind = JSON_REPLACE, .key_at = q->choice_at.key_at, .at = q->choice_at.at, .value = STR("\"required\"")};
    if (n)
        return json_splice_parts(q->doc, &q->top, edits, n, arena, ret_parts, ret_count);
    struct str *whole = arena_new(arena, struct str);
    *whole = q->doc;
    *ret_parts = whole;
    *ret_count = 1;
    return OK;
}

void openai_answer_init(struct openai_answer *a)
{
    a->usage = (struct usage){0};
    a->broken = false;
    json_scan_init(&a->scan, answer_watch, ARRAY_LEN(answer_watch), 0, JSON_LONE_SURROGATES | JSON_WATCHED_ONLY);
}

void openai_answer_release(struct openai_answer *a)
{
    json_scan_release(&a->scan);
}

void openai_answer_feed(struct openai_answer *a, struct str piece)
{
    struct json_member m;
    enum json_scan_result r;

    if (a->broken)
        return;
    while ((r = json_scan_next(&a->scan, &piece, &m)) == JSON_MEMBER)
        if (m.kind == JSON_OBJECT)
            usage_from_openai(m.value, &a->usage);
    a->broken = r == JSON_ERROR;
}

bool openai_answer_end(struct openai_answer *a)
{
    if (!a->broken)
        a->broken = json_scan_end(&a->scan) != JSON_DONE;
    return !a->broken;
}
