/* openai_error.c - OpenAI's error objects (wire reference 3.7 and 4.5). */
#include "llm/openai_error.h"

/* OpenAI's type for a status. */
static const char *openai_error_type(int status)
{
    switch (status) {
    case 403:
        return "permission_denied";
    case 429:
        return "rate_limit_error";
    default:
        return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

static void add_fields(const struct api_error *e, struct buf *to)
{
    buf_add_lit(to, "\"message\":\"");
    buf_add_json(to, e->message);
    buf_add_lit(to, "\",\"type\":\"");
    buf_add_json(to, str_from_c(e->type ? e->type : openai_error_type(e->status)));
    buf_add_lit(to, "\",\"param\":");
    if (e->param.n) {
        buf_add_char(to, '"');
        buf_add_json(to, e->param);
        buf_add_char(to, '"');
    } else {
        buf_add_lit(to, "null");
    }
    buf_add_lit(to, ",\"code\":");
    if (e->code) {
        buf_add_char(to, '"');
        buf_add_json(to, str_from_c(e->code));
        buf_add_char(to, '"');
    } else {
        buf_add_lit(to, "null");
    }
}

static void add_body(const struct api_error *e, struct buf *to)
{
    buf_add_lit(to, "{\"error\":{");
    add_fields(e, to);
    buf_add_lit(to, "}}");
}

/* What is said instead of an error that `to` has no room for: half of one would be no JSON. */
static struct api_error shortened(const struct api_error *e, struct buf *to, size_t before)
{
    to->n = before;
    to->overflow = false;
    return (struct api_error){.status = e->status,
                              .message = STR("The text of this error is too long to be passed on.")};
}

void openai_error_body(const struct api_error *e, struct buf *to)
{
    size_t before = to->n;

    add_body(e, to);
    if (!to->overflow)
        return;
    struct api_error brief = shortened(e, to, before);
    add_body(&brief, to);
}

static void add_chat_event(const struct api_error *e, struct buf *to)
{
    buf_add_lit(to, "data: ");
    add_body(e, to);
    buf_add_lit(to, "\n\n");
}

/* Responses' error event is flat, and its "type" names the event (wire reference 4.5). */
static void add_responses_event(const struct api_error *e, uint64_t sequence_number, struct buf *to)
{
    buf_add_lit(to, "event: error\ndata: {\"type\":\"error\",\"code\":\"");
    buf_add_json(to, str_from_c(e->code ? e->code : openai_error_type(e->status)));
    buf_add_lit(to, "\",\"message\":\"");
    buf_add_json(to, e->message);
    buf_add_lit(to, "\",\"param\":null,\"sequence_number\":");
    buf_add_u64(to, sequence_number);
    buf_add_lit(to, "}\n\n");
}

void openai_error_event(const struct api_error *e, bool responses, uint64_t sequence_number, struct buf *to)
{
    size_t before = to->n;
    struct api_error brief;

    for (;;) {
        if (responses)
            add_responses_event(e, sequence_number, to);
        else
            add_chat_event(e, to);
        if (!to->overflow || e == &brief)
            return;
        brief = shortened(e, to, before);
        e = &brief;
    }
}
