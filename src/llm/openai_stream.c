/*
 * openai_stream.c - one pass over each event's JSON, looking at top-level members only.
 *
 * Wire reference 3.6 (Chat) and 4.5 (Responses). What is not understood is passed on: unknown events and members are the provider's business.
 */
#include "llm/openai_stream.h"

#include "codec/json_scan.h"

enum { CHAT_USAGE, CHAT_CHOICES, CHAT_ERROR };

static const struct str chat_watch[] = {
    [CHAT_USAGE] = STR_INIT("usage"),
    [CHAT_CHOICES] = STR_INIT("choices"),
    [CHAT_ERROR] = STR_INIT("error"),
};

enum { RESP_TYPE, RESP_RESPONSE, RESP_SEQUENCE, RESP_CODE, RESP_MESSAGE };

static const struct str responses_watch[] = {
    [RESP_TYPE] = STR_INIT("type"),
    [RESP_RESPONSE] = STR_INIT("response"),
    [RESP_SEQUENCE] = STR_INIT("sequence_number"),
    [RESP_CODE] = STR_INIT("code"),
    [RESP_MESSAGE] = STR_INIT("message"),
};

void openai_stream_init(struct openai_stream *s, enum openai_stream_kind kind, bool strip_usage)
{
    *s = (struct openai_stream){.kind = kind, .strip_usage = strip_usage};
}

/* What one pass finds in an event's JSON. */
struct found {
    bool has[5];
    struct json_member at[5];
    struct str text[5];
};

/* False if the data is not a JSON object. */
static bool find_members(struct str data, const struct str *watch, size_t n, struct found *f)
{
    struct json_scan scan CLEANUP(json_scan_release);
    struct json_member m;
    enum json_scan_result r;
    struct str in = data;

    json_scan_init(&scan, watch, n, 0, JSON_LONE_SURROGATES | JSON_WATCHED_ONLY);
    while ((r = json_scan_next(&scan, &in, &m)) == JSON_MEMBER) {
        f->has[m.watch] = true;
        f->at[m.watch] = m;
        f->text[m.watch] = json_span_str(data, m.at);
    }
    return r == JSON_MORE && json_scan_end(&scan) == JSON_DONE && scan.top.kind == JSON_OBJECT;
}

/* Is it more than a role and emptiness? */
static bool is_word(struct str key, struct str value)
{
    bool is_empty = str_eq(value, STR("null")) || str_eq(value, STR("\"\"")) || str_eq(value, STR("[]")) ||
                    str_eq(value, STR("{}"));

    return !is_empty && !str_eq(key, STR("role"));
}

/* Does a chunk's choice hold anything of the answer: text, of the legacy form, or a delta that says something? */
static bool has_words(struct str choice)
{
    struct str key, value, inner;

    for (size_t at = 0; json_next_member(choice, &at, &key, &value);) {
        if (str_eq(key, STR("text")) && is_word(key, value))
            return true;
        if (!str_eq(key, STR("delta")))
            continue;
        for (size_t in = 0; json_next_member(value, &in, &key, &inner);)
            if (is_word(key, inner))
                return true;
    }
    return false;
}

static void note_choice(struct openai_stream *s, struct str choice)
{
    struct str key, value, finish = STR_NONE;
    uint64_t index = 0;

    for (size_t at = 0; json_next_member(choice, &at, &key, &value);) {
        if (str_eq(key, STR("finish_reason")))
            finish = value;
        else if (str_eq(key, STR("index")) && (!json_to_u64(value, &index) || index > 63))
            index = 0;
    }
    s->choices_seen |= UINT64_C(1) << index;
    s->content = s->content || has_words(choice);
    if (finish.n > 2 && finish.p[0] == '"') /* an empty reason is no reason */
        s->choices_finished |= UINT64_C(1) << index;
}

static void note_choices(struct openai_stream *s, struct str choices)
{
    size_t at = 0;

    for (struct str c = json_next_element(choices, &at); c.p; c = json_next_element(choices, &at))
        note_choice(s, c);
}

/* Take the member "usage":null out, with a comma that it no longer needs. Only where the data is one line: its bytes then
 * stand in the raw event as they are. */
static enum stream_verdict without_null_usage(struct openai_stream *s, const struct sse_event *e,
                                              const struct json_member *m)
{
    struct str data = e->data;
    size_t from = (size_t)m->key_at, to = (size_t)m->at.to;

    if (data.p < e->raw.p || data.p + data.n > e->raw.p + e->raw.n)
        return STREAM_PASS;
    while (from > 0 && strchr(" \t\r\n", data.p[from - 1]))
        from--;
    if (from > 0 && data.p[from - 1] == ',') {
        from--;
    } else {
        while (to < data.n && strchr(" \t\r\n", data.p[to]))
            to++;
        if (to < data.n && data.p[to] == ',')
            to++;
    }
    s->parts[0] = str_of(e->raw.p, (size_t)(data.p - e->raw.p) + from);
    s->parts[1] = str_of(data.p + to, (size_t)(e->raw.p + e->raw.n - (data.p + to)));
    s->part_count = 2;
    return STREAM_EDIT;
}

static enum stream_verdict provider_error(struct openai_stream *s, struct str message, struct str code)
{
    s->error_message = message;
    s->error_code = code;
    return STREAM_FAILED;
}

static bool is_empty_array(struct str value)
{
    size_t at = 0;

    return value.n >= 2 && value.p[0] == '[' && !json_next_element(value, &at).p;
}

static enum stream_verdict chat_event(struct openai_stream *s, const struct sse_event *e)
{
    struct found f = {0};

    if (str_eq(str_trim(e->data), STR("[DONE]"))) {
        s->done = true;
        return STREAM_PASS;
    }
    if (!find_members(e->data, chat_watch, ARRAY_LEN(chat_watch), &f))
        return provider_error(s, STR("\"the provider sent an event that is not JSON\""), STR_NONE);
    if (f.has[CHAT_ERROR] && f.at[CHAT_ERROR].kind != JSON_NULL)
        return provider_error(s, json_find(f.text[CHAT_ERROR], STR("message")),
                              json_find(f.text[CHAT_ERROR], STR("code")));
    if (f.has[CHAT_CHOICES])
        note_choices(s, f.text[CHAT_CHOICES]);
    if (!f.has[CHAT_USAGE])
        return STREAM_PASS;
    if (f.at[CHAT_USAGE].kind == JSON_NULL)
        return s->strip_usage ? without_null_usage(s, e, &f.at[CHAT_USAGE]) : STREAM_PASS;
    usage_from_openai(f.text[CHAT_USAGE], &s->usage);
    return s->strip_usage && is_empty_array(f.text[CHAT_CHOICES]) ? STREAM_DROP : STREAM_PASS;
}

static bool is_terminal(struct str type)
{
    return str_eq(type, STR("\"response.completed\"")) || str_eq(type, STR("\"response.incomplete\"")) ||
           str_eq(type, STR("\"response.failed\""));
}

static enum stream_verdict responses_event(struct openai_stream *s, const struct sse_event *e)
{
    struct found f = {0};
    uint64_t number;

    if (str_eq(str_trim(e->data), STR("[DONE]")))
        return STREAM_PASS;
    if (!find_members(e->data, responses_watch, ARRAY_LEN(responses_watch), &f))
        return provider_error(s, STR("\"the provider sent an event that is not JSON\""), STR_NONE);
    if (json_to_u64(f.text[RESP_SEQUENCE], &number))
        s->sequence_number = number + 1;
    if (str_eq(f.text[RESP_TYPE], STR("\"error\"")))
        return provider_error(s, f.text[RESP_MESSAGE], f.text[RESP_CODE]);
    if (is_terminal(f.text[RESP_TYPE])) {
        s->done = true;
        usage_from_openai(json_find(f.text[RESP_RESPONSE], STR("usage")), &s->usage);
    }
    s->content |= str_ends(f.text[RESP_TYPE], STR(".delta\""));
    return STREAM_PASS;
}

enum stream_verdict openai_stream_event(struct openai_stream *s, const struct sse_event *event)
{
    if (!event->has_data)
        return STREAM_PASS;
    if (s->done)
        /* after the end only Responses' optional [DONE] may come */
        return s->kind == STREAM_RESPONSES && str_eq(str_trim(event->data), STR("[DONE]")) ? STREAM_PASS : STREAM_DROP;
    return s->kind == STREAM_CHAT ? chat_event(s, event) : responses_event(s, event);
}

bool openai_stream_is_complete(const struct openai_stream *s)
{
    return s->done || (s->kind == STREAM_CHAT && s->choices_seen != 0 && (s->choices_seen & ~s->choices_finished) == 0);
}
