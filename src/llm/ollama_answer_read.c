/*
 * ollama_answer_read.c - Ollama's answers as canonical events: whole ones, and streams of a JSON object a line.
 *
 * A line of /api/chat has a "message", one of /api/generate a "response"; a whole answer is such a line with everything in it. Calls of tools come
 * whole, their arguments an object. The line with "done": true is the last and has the reason and the counts; done_reason stays "stop" when tools were
 * called. A line with "error" ends the stream, and so does, as an error, the end of the body before the last line.
 */
#include "codec/json_tree.h"
#include "llm/error_body.h"
#include "llm/ollama_int.h"
#include "llm/tool_id.h"

/* --- errors --- */

static void classify(int status, struct str message, struct api_error *ret)
{
    *ret = (struct api_error){.status = status, .message = message, .retry_after_ms = -1};
    enum error_class by_status = status ? error_class_of_status(status) : ERROR_UPSTREAM;
    bool theirs = by_status == ERROR_BAD_REQUEST || !status;

    ret->error_class = theirs && error_words_context(message) ? ERROR_CONTEXT_LENGTH : by_status;
    if (!status)
        ret->status = error_status_of(ret->error_class);
}

void ollama_read_error(struct arena *arena, int status, struct str body,
                       struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret)
{
    struct error_body said;

    error_body_read(arena, body, &said);
    classify(status, said.message, ret);
    ret->retry_after_ms = error_retry_hint(header, ctx);
}

static err_t tell_error(struct ollama_reader *r, struct str message, const struct chat_sink *sink)
{
    struct api_error error;

    r->over = true;
    classify(0, message, &error);
    return chat_tell(sink, &(struct chat_event){.kind = CHAT_ERROR, .error = &error});
}

/* --- blocks --- */

static err_t tell_start(struct ollama_reader *r, struct json_node line, struct arena *scratch,
                        const struct chat_sink *sink)
{
    if (r->started)
        return OK;
    r->started = true;
    r->stamp = arena_str(r->arena, json_get_text(line, STR("created_at"), scratch));
    return chat_tell(sink,
                     &(struct chat_event){.kind = CHAT_START, .model = json_get_text(line, STR("model"), scratch)});
}

static err_t close_block(struct ollama_reader *r, const struct chat_sink *sink)
{
    if (!r->open)
        return OK;
    r->open = false;
    return chat_tell(sink, &(struct chat_event){.kind = CHAT_BLOCK_STOP, .block = r->blocks - 1});
}

static err_t tell_text(struct ollama_reader *r, enum block_kind kind, struct str text, const struct chat_sink *sink)
{
    if (!text.n)
        return OK;
    if (r->open && r->kind != kind)
        TRY(close_block(r, sink));
    if (!r->open) {
        r->open = true;
        r->kind = kind;
        if (kind == BLOCK_TEXT)
            r->text_block = r->blocks;
        struct chat_event e = {.kind = CHAT_BLOCK_START, .block = r->blocks++, .block_kind = kind};
        TRY(chat_tell(sink, &e));
    }
    return chat_tell(sink, &(struct chat_event){.kind = CHAT_TEXT, .block = r->blocks - 1, .text = text});
}

/* Older servers give calls no ids: one is made that no other answer has. */
static struct str call_id(struct ollama_reader *r, struct json_node v, struct str name, struct arena *scratch)
{
    struct str id = json_get_text(v, STR("id"), scratch);

    return id.n ? id : tool_id_make(0, r->calls, arena_join(scratch, r->stamp, name), scratch);
}

static err_t tell_call(struct ollama_reader *r, struct json_node v, struct arena *scratch, const struct chat_sink *sink)
{
    struct json_node function = json_node_get(v, STR("function"));
    struct json_node arguments = json_node_get(function, STR("arguments"));
    struct str name = json_get_text(function, STR("name"), scratch);
    struct chat_event e = {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TOOL_CALL, .name = name};

    TRY(close_block(r, sink));
    e.id = call_id(r, v, name, scratch);
    e.block = r->blocks++;
    r->calls++;
    TRY(chat_tell(sink, &e));
    struct str text = json_node_is(arguments, JSON_STRING) ? json_node_text(arguments, scratch)
                      : json_node_is_set(arguments)        ? json_node_raw(arguments)
                                                           : STR_NONE;
    e = (struct chat_event){.kind = CHAT_TEXT, .block = r->blocks - 1, .text = text.n ? text : STR("{}")};
    TRY(chat_tell(sink, &e));
    return chat_tell(sink, &(struct chat_event){.kind = CHAT_BLOCK_STOP, .block = r->blocks - 1});
}

/* As OpenAI's tokens, which have a list of others even if it is empty; here only those have one that were asked for it. */
static err_t tell_logprobs(struct ollama_reader *r, struct json_node line, const struct chat_sink *sink)
{
    static const struct str no_others = STR_INIT(",\"top_logprobs\":[]}");
    struct json_node v = json_node_get(line, STR("logprobs"));
    struct buf to CLEANUP(buf_release) =
        BUF_INIT(json_node_raw(v).n + json_node_count(v) * (no_others.n + 1) + no_others.n);

    if (!json_node_count(v) || !r->open || r->kind != BLOCK_TEXT)
        return OK;
    JSON_EACH(w, v) {
        struct str token = json_node_raw(w.value);
        bool lacks = json_is_absent(json_node_get(w.value, STR("top_logprobs"))) && json_node_count(w.value);
        buf_add_char(&to, to.n ? ',' : '[');
        buf_add(&to, lacks ? str_slice(token, 0, token.n - 1) : token);
        buf_add(&to, lacks ? no_others : STR_NONE);
    }
    buf_add_char(&to, ']');
    TRY(buf_status(&to));
    return chat_tell(sink, &(struct chat_event){.kind = CHAT_LOGPROBS, .block = r->text_block, .text = buf_str(&to)});
}

/* Of a whole answer everything is here; of a stream's line mostly one thing. */
static err_t tell_content(struct ollama_reader *r, struct json_node line, struct arena *scratch,
                          const struct chat_sink *sink)
{
    struct json_node message = json_node_get(line, STR("message"));
    bool chat = json_node_is(message, JSON_OBJECT);
    struct json_node in = chat ? message : line;

    TRY(tell_text(r, BLOCK_THINKING, json_get_text(in, STR("thinking"), scratch), sink));
    TRY(tell_text(r, BLOCK_TEXT, json_get_text(in, chat ? STR("content") : STR("response"), scratch), sink));
    TRY(tell_logprobs(r, line, sink));
    JSON_EACH(w, json_node_get(in, STR("tool_calls")))
        TRY(tell_call(r, w.value, scratch, sink));
    return OK;
}

/* --- lines --- */

static enum finish finish_of(const struct ollama_reader *r, struct json_node line)
{
    if (json_node_text_is(json_node_get(line, STR("done_reason")), STR("length")))
        return FINISH_LENGTH;
    return r->calls ? FINISH_TOOL_CALLS : FINISH_STOP;
}

/* prompt_eval_count is left out when the whole prompt was cached. */
static err_t tell_end(struct ollama_reader *r, struct json_node line, const struct chat_sink *sink)
{
    struct json_node output = json_node_get(line, STR("eval_count"));
    struct usage usage = {.input = usage_count(line, STR("prompt_eval_count")),
                          .output = usage_count(line, STR("eval_count"))};

    r->over = true;
    TRY(close_block(r, sink));
    usage.known = json_node_is(output, JSON_NUMBER) || usage.input;
    if (usage.known)
        TRY(chat_tell(sink, &(struct chat_event){.kind = CHAT_USAGE, .usage = &usage}));
    TRY(chat_tell(sink, &(struct chat_event){.kind = CHAT_FINISH, .finish = finish_of(r, line)}));
    return chat_tell(sink, &(struct chat_event){.kind = CHAT_END});
}

static err_t tell_line(struct ollama_reader *r, struct json_node line, struct arena *scratch,
                       const struct chat_sink *sink)
{
    struct error_body said;

    if (json_node_is_set(json_node_get(line, STR("error")))) {
        error_body_of(scratch, line, &said);
        return tell_error(r, said.message.n ? said.message : STR("the provider failed"), sink);
    }
    TRY(tell_start(r, line, scratch, sink));
    TRY(tell_content(r, line, scratch, sink));
    return json_get_true(line, STR("done")) ? tell_end(r, line, sink) : OK;
}

err_t ollama_reader_begin(void *state, struct arena *arena)
{
    struct ollama_reader *r = state;

    r->arena = arena;
    return OK;
}

err_t ollama_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink)
{
    struct ollama_reader *r = state;
    const struct json_tree *tree;

    if (r->over || !f->data.n)
        return OK;
    if (json_tree_parse(scratch, f->data, &tree) != OK || !json_node_is(json_tree_root(tree), JSON_OBJECT))
        return tell_error(r, STR("the provider sent a line that is no JSON object"), sink);
    return tell_line(r, json_tree_root(tree), scratch, sink);
}

err_t ollama_reader_end(void *state, const struct chat_sink *sink)
{
    struct ollama_reader *r = state;

    return r->over ? OK : tell_error(r, STR("the provider's stream ended before its last line"), sink);
}

/* --- whole answers --- */

static bool is_answer(struct json_node root)
{
    return json_node_is(json_node_get(root, STR("message")), JSON_OBJECT) ||
           json_node_is(json_node_get(root, STR("response")), JSON_STRING) ||
           json_node_is_set(json_node_get(root, STR("error")));
}

err_t ollama_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink)
{
    struct ollama_reader r = {.arena = arena};
    const struct json_tree *tree;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is no JSON");
    struct json_node root = json_tree_root(tree);
    if (!is_answer(root))
        return fail(E_PROTOCOL, "the provider's answer has neither a message nor a response");
    TRY(tell_line(&r, root, arena, sink));
    return r.over ? OK : tell_end(&r, root, sink);
}
