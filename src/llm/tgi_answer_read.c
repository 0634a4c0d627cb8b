/*
 * tgi_answer_read.c - TGI's answers as canonical events: those of /generate and /generate_stream, and those of its chat route.
 *
 * Which of the two it is shows in the first event: one of /generate_stream is a token, the last of them with the whole text. The chat
 * route's events are OpenAI's, and are read by its reader. Errors have TGI's form in both.
 *
 * The last token and the counts come in one event; the counts are told first, so that they are known when the text is cut at a stop sequence.
 */
#include "codec/json_out.h"
#include "llm/error_body.h"
#include "llm/openai_int.h"
#include "llm/tgi_int.h"

enum form { FORM_UNKNOWN, FORM_TOKENS, FORM_CHAT };

struct tgi_reader {
    struct arena *arena;
    enum form form;
    bool started, open, over;
    _Alignas(max_align_t) char chat[OPENAI_READER_SIZE]; /* OpenAI's reader, of FORM_CHAT */
};

_Static_assert(sizeof(struct tgi_reader) <= TGI_READER_SIZE, "the state must fit");

/* --- errors --- */

static const struct {
    struct str type;
    int status;
    enum error_class error_class;
} error_types[] = {
    {STR_INIT("validation"), 422, ERROR_BAD_REQUEST},     {STR_INIT("tool_error"), 422, ERROR_BAD_REQUEST},
    {STR_INIT("template_error"), 422, ERROR_BAD_REQUEST}, {STR_INIT("overloaded"), 429, ERROR_RATE_LIMIT},
    {STR_INIT("generation"), 424, ERROR_UPSTREAM},        {STR_INIT("incomplete_generation"), 500, ERROR_UPSTREAM},
};

static bool says_too_long(struct str message)
{
    return error_words_context(message) || str_find(message, STR("must be <=")) < message.n ||
           str_find(message, STR("must have less than")) < message.n;
}

/* `status`: of the answer, or 0 in a stream. A type that does not fit the status was made up on the way. */
static void classify(struct arena *arena, int status, const struct error_body *said, struct api_error *ret)
{
    struct str type = json_get_text(said->object, STR("error_type"), arena);

    *ret = (struct api_error){.status = status, .message = said->message, .retry_after_ms = -1};
    ret->error_class = status ? error_class_of_status(status) : ERROR_UPSTREAM;
    for (size_t i = 0; i < ARRAY_LEN(error_types); i++) {
        if (!str_eq(type, error_types[i].type) || (status && status != error_types[i].status))
            continue;
        ret->error_class = error_types[i].error_class;
        ret->status = error_types[i].status;
    }
    if (ret->error_class == ERROR_BAD_REQUEST && says_too_long(said->message))
        ret->error_class = ERROR_CONTEXT_LENGTH;
    if (!ret->status)
        ret->status = error_status_of(ret->error_class);
}

void tgi_read_error(struct arena *arena, int status, struct str body, struct str (*header)(void *ctx, struct str name),
                    void *ctx, struct api_error *ret)
{
    struct error_body said;

    error_body_read(arena, body, &said);
    classify(arena, status, &said, ret);
    ret->retry_after_ms = error_retry_hint(header, ctx);
}

static err_t tell_error(struct tgi_reader *r, const struct api_error *error, const struct chat_sink *sink)
{
    r->over = true;
    return chat_tell(sink, &(struct chat_event){.kind = CHAT_ERROR, .error = error});
}

static err_t tell_broken(struct tgi_reader *r, struct str message, const struct chat_sink *sink)
{
    return tell_error(
        r, &(struct api_error){.status = 502, .error_class = ERROR_UPSTREAM, .message = message, .retry_after_ms = -1},
        sink);
}

static err_t tell_their_error(struct tgi_reader *r, struct json_node v, struct arena *scratch,
                              const struct chat_sink *sink)
{
    struct error_body said;
    struct api_error error;

    error_body_of(scratch, v, &said);
    if (!said.message.n)
        said.message = STR("the provider failed");
    classify(scratch, 0, &said, &error);
    return tell_error(r, &error, sink);
}

/* --- tokens --- */

static err_t tell_start(struct tgi_reader *r, const struct chat_sink *sink)
{
    if (r->started)
        return OK;
    r->started = true;
    return chat_tell(sink, &(struct chat_event){.kind = CHAT_START});
}

static err_t tell_text(struct tgi_reader *r, struct str text, const struct chat_sink *sink)
{
    if (!text.n)
        return OK;
    if (!r->open) {
        r->open = true;
        struct chat_event e = {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TEXT};
        TRY(chat_tell(sink, &e));
    }
    return chat_tell(sink, &(struct chat_event){.kind = CHAT_TEXT, .text = text});
}

static void put_token(struct json_out *o, struct json_node token)
{
    struct json_node text = json_node_get(token, STR("text"));

    json_member_raw(o, STR("token"), json_node_is(text, JSON_STRING) ? json_node_raw(text) : STR("\"\""));
    json_member_raw(o, STR("logprob"), json_node_raw(json_node_get(token, STR("logprob"))));
    json_member_null(o, STR("bytes"));
}

/* A token and its rivals, as an element of OpenAI's list. */
static void put_logprob(struct json_out *o, struct json_node token, struct json_node rivals)
{
    json_open(o, '{');
    put_token(o, token);
    json_member_open(o, STR("top_logprobs"), '[');
    JSON_EACH(w, rivals) {
        json_open(o, '{');
        put_token(o, w.value);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
}

/* Rivals are there only if somebody asked for them. */
static err_t tell_logprobs(struct tgi_reader *r, struct json_node tokens, struct json_node rivals,
                           const struct chat_sink *sink)
{
    enum { LOGPROBS_MAX = 64 * 1024 * 1024 };
    struct buf text CLEANUP(buf_release) = BUF_INIT(LOGPROBS_MAX);
    struct json_out o = json_out_to(&text);
    struct json_walk rival = json_walk(rivals);
    bool single = !json_node_is(tokens, JSON_ARRAY), any = false;

    if (!r->open || !json_node_count(rivals))
        return OK;
    json_open(&o, '[');
    if (single) {
        put_logprob(&o, tokens, rivals);
        any = true;
    } else {
        JSON_EACH(w, tokens) {
            bool there = json_walk_next(&rival);
            if (json_get_true(w.value, STR("special")))
                continue;
            put_logprob(&o, w.value, there ? rival.value : JSON_ABSENT);
            any = true;
        }
    }
    json_close(&o, ']');
    TRY(buf_status(&text));
    return any ? chat_tell(sink, &(struct chat_event){.kind = CHAT_LOGPROBS, .text = buf_str(&text)}) : OK;
}

/* `input_length` stands in a stream's last event; beside a whole answer the tokens of the prompt. */
static err_t tell_usage(struct json_node details, const struct chat_sink *sink)
{
    size_t prefill = json_node_count(json_node_get(details, STR("prefill")));
    uint64_t told = usage_count(details, STR("input_length"));
    struct usage usage = {.input = told ? told : prefill,
                          .output = usage_count(details, STR("generated_tokens")),
                          .known = json_node_is(json_node_get(details, STR("generated_tokens")), JSON_NUMBER)};

    return usage.known ? chat_tell(sink, &(struct chat_event){.kind = CHAT_USAGE, .usage = &usage}) : OK;
}

static enum finish finish_of(struct json_node details)
{
    struct json_node reason = json_node_get(details, STR("finish_reason"));

    if (json_node_text_is(reason, STR("length")))
        return FINISH_LENGTH;
    return json_node_text_is(reason, STR("stop_sequence")) ? FINISH_STOP_SEQUENCE : FINISH_STOP;
}

static err_t tell_end(struct tgi_reader *r, struct json_node details, const struct chat_sink *sink)
{
    r->over = true;
    if (r->open)
        TRY(chat_tell(sink, &(struct chat_event){.kind = CHAT_BLOCK_STOP}));
    TRY(chat_tell(sink, &(struct chat_event){.kind = CHAT_FINISH, .finish = finish_of(details)}));
    return chat_tell(sink, &(struct chat_event){.kind = CHAT_END});
}

/* An event of /generate_stream. */
static err_t read_token(struct tgi_reader *r, struct json_node root, struct arena *scratch,
                        const struct chat_sink *sink)
{
    struct json_node token = json_node_get(root, STR("token")), details = json_node_get(root, STR("details"));
    bool last = json_node_is(json_node_get(root, STR("generated_text")), JSON_STRING);

    TRY(tell_start(r, sink));
    if (last)
        TRY(tell_usage(details, sink));
    if (!json_get_true(token, STR("special"))) {
        TRY(tell_text(r, json_get_text(token, STR("text"), scratch), sink));
        TRY(tell_logprobs(r, token, json_node_get(root, STR("top_tokens")), sink));
    }
    return last ? tell_end(r, details, sink) : OK;
}

/* --- streams --- */

/* On its way from the reader of chat completions: does it end the stream? */
struct chat_ear {
    struct tgi_reader *r;
    const struct chat_sink *sink;
};

static err_t hear_chat(void *ctx, const struct chat_event *e)
{
    struct chat_ear *ear = ctx;

    ear->r->over |= e->kind == CHAT_ERROR || e->kind == CHAT_END;
    return chat_tell(ear->sink, e);
}

static err_t read_chat(struct tgi_reader *r, const struct frame *f, struct arena *scratch, const struct chat_sink *sink)
{
    struct chat_ear ear = {r, sink};
    return openai_reader_frame(r->chat, f, scratch, &(struct chat_sink){hear_chat, &ear});
}

err_t tgi_reader_begin(void *state, struct arena *arena)
{
    struct tgi_reader *r = state;

    r->arena = arena;
    return openai_reader_begin(r->chat, arena);
}

static bool is_token(struct json_node root)
{
    return json_node_is(json_node_get(root, STR("token")), JSON_OBJECT) ||
           json_node_is(json_node_get(root, STR("generated_text")), JSON_STRING);
}

static err_t read_json(struct tgi_reader *r, const struct frame *f, struct json_node root, struct arena *scratch,
                       const struct chat_sink *sink)
{
    if (json_node_is(json_node_get(root, STR("error")), JSON_STRING))
        return tell_their_error(r, root, scratch, sink);
    if (r->form == FORM_UNKNOWN)
        r->form = is_token(root) ? FORM_TOKENS : FORM_CHAT;
    return r->form == FORM_CHAT ? read_chat(r, f, scratch, sink) : read_token(r, root, scratch, sink);
}

err_t tgi_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink)
{
    struct tgi_reader *r = state;
    struct str data = str_trim(f->data);
    const struct json_tree *tree;

    if (r->over || !data.n)
        return OK;
    if (r->form == FORM_CHAT && str_find(data, STR("\"error\"")) == data.n) /* by far the most */
        return read_chat(r, f, scratch, sink);
    err_t e = json_tree_parse(scratch, data, &tree);
    if (e == OK)
        return read_json(r, f, json_tree_root(tree), scratch, sink);
    if (e != E_PARSE)
        return e;
    return f->partial ? OK : tell_broken(r, STR("the provider sent an event that is no JSON"), sink);
}

err_t tgi_reader_end(void *state, const struct chat_sink *sink)
{
    struct tgi_reader *r = state;

    if (r->over)
        return OK;
    if (r->form == FORM_CHAT)
        return openai_reader_end(r->chat, sink);
    return tell_broken(r, STR("the provider's stream ended before its last token"), sink);
}

/* --- whole answers --- */

err_t tgi_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink)
{
    struct tgi_reader r = {.arena = arena};
    const struct json_tree *tree;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is no JSON");
    struct json_node root = json_tree_root(tree);
    if (json_node_is(root, JSON_ARRAY))
        root = json_node_at(root, 0);
    struct json_node text = json_node_get(root, STR("generated_text")), details = json_node_get(root, STR("details"));
    if (json_node_is(json_node_get(root, STR("error")), JSON_STRING))
        return tell_their_error(&r, root, arena, sink);
    if (!json_node_is(text, JSON_STRING))
        return openai_read_answer(arena, body, sink);
    TRY(tell_start(&r, sink));
    TRY(tell_usage(details, sink));
    TRY(tell_text(&r, json_node_text(text, arena), sink));
    TRY(tell_logprobs(&r, json_node_get(details, STR("tokens")), json_node_get(details, STR("top_tokens")), sink));
    return tell_end(&r, details, sink);
}
