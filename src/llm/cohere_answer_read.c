/*
 * cohere_answer_read.c - answers of Cohere's /v2/chat, whole and streamed, as canonical events; and errors.
 *
 * The plan that precedes tool calls is a text of its own. Parts of the content and calls have numbers of their own in a stream; blocks are counted
 * here. A part that has ended stays open until something else begins, since citations of it may follow its end. A stream is whole with
 * message-end, which also tells of a failure: its finish_reason is then ERROR or TIMEOUT.
 *
 * Log probabilities come for texts of one or more tokens: each such text is told as one token.
 *
 * Wire format: Cohere API v2 reference, November 2026.
 */
#include "llm/cohere_int.h"
#include "llm/error_body.h"

struct cohere_reader {
    unsigned blocks; /* so far                                  */
    enum block_kind kind;
    bool started, open, over;
    bool ended;   /* the open part has ended                   */
    bool is_plan; /* the open block is the plan                */
    bool spoke;   /* it has told something                     */
    bool has_call;
};
_Static_assert(sizeof(struct cohere_reader) <= COHERE_READER_SIZE, "the state must fit");

/* --- blocks --- */

static err_t tell_start(struct cohere_reader *r, struct str id, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_START, .id = id};

    if (r->started)
        return OK;
    r->started = true;
    return chat_tell(sink, &e);
}

static err_t tell_text(struct cohere_reader *r, struct str text, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_TEXT, .block = r->blocks - 1, .text = text};

    if (!text.n)
        return OK;
    r->spoke = true;
    return chat_tell(sink, &e);
}

static err_t close_block(struct cohere_reader *r, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_BLOCK_STOP, .block = r->blocks - 1};

    if (!r->open)
        return OK;
    /* a tool without arguments sends an empty text or none; listeners parse what they hear */
    if (r->kind == BLOCK_TOOL_CALL && !r->spoke)
        TRY(tell_text(r, STR("{}"), sink));
    r->open = false;
    return chat_tell(sink, &e);
}

static err_t open_block(struct cohere_reader *r, enum block_kind kind, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_BLOCK_START, .block_kind = kind};

    TRY(close_block(r, sink));
    e.block = r->blocks++;
    r->kind = kind;
    r->open = true;
    r->spoke = r->ended = r->is_plan = false;
    return chat_tell(sink, &e);
}

static err_t open_call(struct cohere_reader *r, struct json_node call, struct arena *scratch,
                       const struct chat_sink *sink)
{
    struct json_node function = json_node_get(call, STR("function"));
    struct chat_event e = {.kind = CHAT_BLOCK_START,
                           .block_kind = BLOCK_TOOL_CALL,
                           .id = json_get_text(call, STR("id"), scratch),
                           .name = json_get_text(function, STR("name"), scratch)};

    TRY(close_block(r, sink));
    e.block = r->blocks++;
    r->kind = BLOCK_TOOL_CALL;
    r->open = r->has_call = true;
    r->spoke = r->ended = r->is_plan = false;
    TRY(chat_tell(sink, &e));
    return tell_text(r, json_get_text(function, STR("arguments"), scratch), sink);
}

/* A piece of a text or thought, opening its block if it is not open. */
static err_t tell_piece(struct cohere_reader *r, enum block_kind kind, struct str text, const struct chat_sink *sink)
{
    if (!text.n)
        return OK;
    if (!r->open || r->kind != kind || r->is_plan || r->ended)
        TRY(open_block(r, kind, sink));
    return tell_text(r, text, sink);
}

static err_t tell_plan(struct cohere_reader *r, struct str text, const struct chat_sink *sink)
{
    if (!text.n)
        return OK;
    if (!r->open || !r->is_plan)
        TRY(open_block(r, BLOCK_TEXT, sink));
    r->is_plan = true;
    return tell_text(r, text, sink);
}

/* A part of the content: {"type", "text" or "thinking"}; in a stream's deltas without a type. */
static err_t tell_part(struct cohere_reader *r, struct json_node part, struct arena *scratch,
                       const struct chat_sink *sink)
{
    TRY(tell_piece(r, BLOCK_THINKING, json_get_text(part, STR("thinking"), scratch), sink));
    return tell_piece(r, BLOCK_TEXT, json_get_text(part, STR("text"), scratch), sink);
}

/* Citations of the text that was told last: others come too late for a stream. */
static err_t tell_citation(struct cohere_reader *r, struct json_node v, struct arena *scratch,
                           const struct chat_sink *sink)
{
    size_t sources = json_node_count(json_node_get(v, STR("sources"))), i = 0;
    struct citation c;
    struct chat_event e = {.kind = CHAT_CITATION, .block = r->blocks - 1, .citation = &c};

    if (!json_node_is(v, JSON_OBJECT) || !r->open || r->kind != BLOCK_TEXT)
        return OK;
    do {
        cohere_read_citation(v, i, scratch, &c);
        TRY(chat_tell(sink, &e));
    } while (++i < sources);
    return OK;
}

/* --- log probabilities --- */

/* The chance of a text is that of its tokens together. */
static double chance_of(struct json_node item)
{
    double sum = 0, one;

    JSON_EACH(w, json_node_get(item, STR("logprobs")))
        sum += json_node_double(w.value, &one) ? one : 0;
    return sum;
}

/* An item {text, token_ids, logprobs}, or a list of them, as OpenAI's list of tokens: one for each item. */
static err_t tell_logprobs(struct cohere_reader *r, struct json_node v, struct arena *scratch,
                           const struct chat_sink *sink)
{
    enum { GROWTH = 2, AROUND = 64, EACH = 96 };
    bool list = json_node_is(v, JSON_ARRAY);
    size_t items = list ? json_node_count(v) : 1, i = 0;
    struct buf to CLEANUP(buf_release) = BUF_INIT(json_node_raw(v).n * GROWTH + items * EACH + AROUND);
    struct json_out o = json_out_to(&to);

    if (!json_node_count(v) || !r->blocks)
        return OK;
    json_open(&o, '[');
    for (struct json_walk w = json_walk(list ? v : JSON_ABSENT); list ? json_walk_next(&w) : !i; i++) {
        struct json_node item = list ? w.value : v;
        json_open(&o, '{');
        json_member_str(&o, STR("token"), json_get_text(item, STR("text"), scratch));
        json_key(&o, STR("logprob"));
        json_put_double(&o, chance_of(item));
        json_member_null(&o, STR("bytes"));
        json_member_raw(&o, STR("top_logprobs"), STR("[]"));
        json_close(&o, '}');
    }
    json_close(&o, ']');
    TRY(buf_status(&to));
    struct chat_event e = {.kind = CHAT_LOGPROBS, .block = r->blocks - 1, .text = buf_str(&to)};
    return chat_tell(sink, &e);
}

/* --- errors --- */

static void classify(int status, struct str message, struct api_error *ret)
{
    enum { INVALID_TOKEN = 498, CLIENT_CLOSED = 499 }; /* Cohere's own */

    *ret = (struct api_error){.status = status, .message = message, .retry_after_ms = -1};
    if (status == INVALID_TOKEN)
        ret->error_class = ERROR_AUTH;
    else if (status == CLIENT_CLOSED)
        ret->error_class = ERROR_TIMEOUT;
    else if (error_class_of(ret) == ERROR_BAD_REQUEST && error_words_context(message))
        ret->error_class = ERROR_CONTEXT_LENGTH;
}

void cohere_read_error(struct arena *arena, int status, struct str body,
                       struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret)
{
    struct error_body said;

    error_body_read(arena, body, &said);
    classify(status, said.message, ret);
    ret->retry_after_ms = error_retry_hint(header, ctx);
}

static err_t tell_error(struct cohere_reader *r, enum error_class class, struct str message,
                        const struct chat_sink *sink)
{
    struct api_error error = {
        .status = error_status_of(class), .error_class = class, .message = message, .retry_after_ms = -1};
    struct chat_event e = {.kind = CHAT_ERROR, .error = &error};

    r->over = true;
    return chat_tell(sink, &e);
}

/* --- the end --- */

static err_t tell_usage(struct json_node v, const struct chat_sink *sink)
{
    struct json_node tokens = json_node_get(v, STR("tokens"));
    struct usage usage = {.known = true};
    struct chat_event e = {.kind = CHAT_USAGE, .usage = &usage};

    if (!json_node_is(tokens, JSON_OBJECT))
        tokens = json_node_get(v, STR("billed_units")); /* less exact: without the frame of the prompt */
    if (!json_node_is(tokens, JSON_OBJECT))
        return OK;
    usage.input = usage_count(tokens, STR("input_tokens"));
    usage.output = usage_count(tokens, STR("output_tokens"));
    usage.cached_input = usage_count(v, STR("cached_tokens"));
    return chat_tell(sink, &e);
}

static enum finish finish_of(const struct cohere_reader *r, struct json_node reason)
{
    if (json_node_text_is(reason, STR("MAX_TOKENS")))
        return FINISH_LENGTH;
    if (r->has_call || json_node_text_is(reason, STR("TOOL_CALL")))
        return FINISH_TOOL_CALLS;
    return json_node_text_is(reason, STR("STOP_SEQUENCE")) ? FINISH_STOP_SEQUENCE : FINISH_STOP;
}

/* `v`: finish_reason, usage, error; of a whole answer or of message-end. */
static err_t tell_end(struct cohere_reader *r, struct json_node v, struct arena *scratch, const struct chat_sink *sink)
{
    struct json_node reason = json_node_get(v, STR("finish_reason"));
    struct str error = json_get_text(v, STR("error"), scratch);

    if (json_node_text_is(reason, STR("TIMEOUT")))
        return tell_error(r, ERROR_TIMEOUT, error.n ? error : STR("the provider ran out of time"), sink);
    if (error.n || json_node_text_is(reason, STR("ERROR")))
        return tell_error(r, ERROR_UPSTREAM, error.n ? error : STR("the provider failed"), sink);
    TRY(close_block(r, sink));
    TRY(tell_usage(json_node_get(v, STR("usage")), sink));
    struct chat_event e = {.kind = CHAT_FINISH, .finish = finish_of(r, reason)};
    TRY(chat_tell(sink, &e));
    r->over = true;
    e = (struct chat_event){.kind = CHAT_END};
    return chat_tell(sink, &e);
}

/* --- streams --- */

static err_t on_call_delta(struct cohere_reader *r, struct json_node call, struct arena *scratch,
                           const struct chat_sink *sink)
{
    struct str arguments = json_get_text(json_node_get(call, STR("function")), STR("arguments"), scratch);

    if (!r->open || r->kind != BLOCK_TOOL_CALL || r->ended)
        return tell_error(r, ERROR_UPSTREAM, STR("the provider sent a part of a tool call that is not open"), sink);
    return tell_text(r, arguments, sink);
}

static err_t on_content_start(struct cohere_reader *r, struct json_node part, struct arena *scratch,
                              const struct chat_sink *sink)
{
    bool thinks = json_node_text_is(json_node_get(part, STR("type")), STR("thinking"));

    TRY(open_block(r, thinks ? BLOCK_THINKING : BLOCK_TEXT, sink));
    return tell_part(r, part, scratch, sink);
}

static err_t on_event(struct cohere_reader *r, struct json_node type, struct json_node event, struct arena *scratch,
                      const struct chat_sink *sink)
{
    struct json_node delta = json_node_get(event, STR("delta")), message = json_node_get(delta, STR("message"));

    TRY(tell_start(r, json_get_text(event, STR("id"), scratch), sink));
    if (json_node_text_is(type, STR("content-delta"))) {
        TRY(tell_part(r, json_node_get(message, STR("content")), scratch, sink));
        return tell_logprobs(r, json_node_get(event, STR("logprobs")), scratch, sink);
    }
    if (json_node_text_is(type, STR("content-start")))
        return on_content_start(r, json_node_get(message, STR("content")), scratch, sink);
    if (json_node_text_is(type, STR("tool-plan-delta")))
        return tell_plan(r, json_get_text(message, STR("tool_plan"), scratch), sink);
    if (json_node_text_is(type, STR("tool-call-start")))
        return open_call(r, json_node_get(message, STR("tool_calls")), scratch, sink);
    if (json_node_text_is(type, STR("tool-call-delta")))
        return on_call_delta(r, json_node_get(message, STR("tool_calls")), scratch, sink);
    if (json_node_text_is(type, STR("citation-start")))
        return tell_citation(r, json_node_get(message, STR("citations")), scratch, sink);
    if (json_node_text_is(type, STR("message-end")))
        return tell_end(r, delta, scratch, sink);
    if (json_node_text_is(type, STR("content-end")) || json_node_text_is(type, STR("tool-call-end")))
        r->ended = true;
    return OK;
}

err_t cohere_reader_begin(void *state, struct arena *arena)
{
    (void)arena;
    *(struct cohere_reader *)state = (struct cohere_reader){0};
    return OK;
}

err_t cohere_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink)
{
    struct cohere_reader *r = state;
    const struct json_tree *tree;
    struct error_body said;

    if (r->over || !f->data.n || str_eq(f->data, STR("[DONE]")))
        return OK;
    if (json_tree_parse(scratch, f->data, &tree) != OK)
        return tell_error(r, ERROR_UPSTREAM, STR("the provider sent an event that is not JSON"), sink);
    struct json_node event = json_tree_root(tree), type = json_node_get(event, STR("type"));
    if (json_node_is(type, JSON_STRING))
        return on_event(r, type, event, scratch, sink);
    error_body_of(scratch, event, &said); /* an error of a server in between comes as it is */
    return said.message.n ? tell_error(r, ERROR_UPSTREAM, said.message, sink) : OK;
}

err_t cohere_reader_end(void *state, const struct chat_sink *sink)
{
    struct cohere_reader *r = state;

    if (r->over)
        return OK;
    return tell_error(r, ERROR_UPSTREAM, STR("The provider's answer broke off."), sink);
}

/* --- whole answers --- */

/* Citations that are of the content part of this number; those without a number are of the last text. */
static err_t tell_citations(struct cohere_reader *r, struct json_node message, int64_t part, bool is_last,
                            struct arena *arena, const struct chat_sink *sink)
{
    JSON_EACH(w, json_node_get(message, STR("citations"))) {
        int64_t index = is_last ? part : -1;
        (void)json_node_i64(json_node_get(w.value, STR("content_index")), &index);
        if (index == part)
            TRY(tell_citation(r, w.value, arena, sink));
    }
    return OK;
}

static err_t tell_content(struct cohere_reader *r, struct json_node message, struct arena *arena,
                          const struct chat_sink *sink)
{
    struct json_node content = json_node_get(message, STR("content"));
    int64_t part = 0, count = (int64_t)json_node_count(content);

    if (json_node_is(content, JSON_STRING)) {
        TRY(tell_piece(r, BLOCK_TEXT, json_node_text(content, arena), sink));
        return tell_citations(r, message, 0, true, arena, sink);
    }
    JSON_EACH(w, content) {
        r->ended = true; /* each part is a block */
        TRY(tell_part(r, w.value, arena, sink));
        TRY(tell_citations(r, message, part, part + 1 == count, arena, sink));
        part++;
    }
    return OK;
}

err_t cohere_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink)
{
    struct cohere_reader r = {0};
    const struct json_tree *tree;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    struct json_node root = json_tree_root(tree), message = json_node_get(root, STR("message"));
    if (!json_node_is(message, JSON_OBJECT))
        return fail(E_PROTOCOL, "the provider's answer is no message");
    if (!json_node_is(json_node_get(root, STR("finish_reason")), JSON_STRING))
        return fail(E_PROTOCOL, "the provider's answer has no finish_reason");
    TRY(tell_start(&r, json_get_text(root, STR("id"), arena), sink));
    TRY(tell_content(&r, message, arena, sink));
    TRY(tell_logprobs(&r, json_node_get(root, STR("logprobs")), arena, sink));
    TRY(tell_plan(&r, json_get_text(message, STR("tool_plan"), arena), sink));
    JSON_EACH(w, json_node_get(message, STR("tool_calls")))
        TRY(open_call(&r, w.value, arena, sink));
    return tell_end(&r, root, arena, sink);
}
