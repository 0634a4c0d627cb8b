/*
 * anthropic_answer_read.c - answers of the Messages API as canonical events: whole ones, and streams of events.
 *
 * Both go through the same steps: a block opens, something of it is told, it stops. Blocks that have no canonical form (the provider's own tools
 * at work) are told whole, as opaque ones, when they stop. Usage comes in parts and is merged field by field, the later value counting. The
 * reason for stopping is told when nothing can follow any more: with message_stop, or when the body ends after a reason was given; a
 * body that ends earlier is an error.
 *
 * Bedrock's InvokeModel wraps each event: {"bytes": "<base64>"}.
 */
#include "codec/base64.h"
#include "codec/json_out.h"
#include "llm/anthropic_int.h"
#include "llm/error_body.h"

enum { OPAQUE_MAX = 16 * 1024 * 1024 };

/* --- usage and reasons --- */

static void take_count(struct json_node usage, struct str key, uint64_t *to)
{
    if (json_node_is(json_node_get(usage, key), JSON_NUMBER))
        *to = usage_count(usage, key);
}

static void take_usage(struct anthropic_reader *r, struct json_node v)
{
    struct json_node details = json_node_get(v, STR("output_tokens_details"));

    if (!json_node_is(v, JSON_OBJECT))
        return;
    take_count(v, STR("input_tokens"), &r->input_tokens);
    take_count(v, STR("output_tokens"), &r->usage.output);
    take_count(v, STR("cache_read_input_tokens"), &r->usage.cached_input);
    take_count(v, STR("cache_creation_input_tokens"), &r->usage.cache_write);
    take_count(json_node_get(v, STR("cache_creation")), STR("ephemeral_1h_input_tokens"), &r->usage.cache_write_1h);
    take_count(details, STR("thinking_tokens"), &r->usage.reasoning);
    r->usage.input = r->input_tokens + r->usage.cached_input + r->usage.cache_write;
    r->usage.known = true;
}

static err_t tell_usage(struct anthropic_reader *r, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_USAGE, .usage = &r->usage};

    return r->usage.known ? chat_tell(sink, &e) : OK;
}

static enum finish finish_of(struct json_node reason)
{
    static const struct {
        struct str name;
        enum finish finish;
    } reasons[] = {
        {STR_INIT("end_turn"), FINISH_STOP},     {STR_INIT("stop_sequence"), FINISH_STOP_SEQUENCE},
        {STR_INIT("max_tokens"), FINISH_LENGTH}, {STR_INIT("tool_use"), FINISH_TOOL_CALLS},
        {STR_INIT("pause_turn"), FINISH_PAUSE},  {STR_INIT("compaction"), FINISH_PAUSE},
        {STR_INIT("refusal"), FINISH_REFUSAL},   {STR_INIT("model_context_window_exceeded"), FINISH_CONTEXT},
    };

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (json_node_text_is(reason, reasons[i].name))
            return reasons[i].finish;
    return FINISH_STOP;
}

static void take_finish(struct anthropic_reader *r, struct json_node v)
{
    struct json_node reason = json_node_get(v, STR("stop_reason"));

    if (!json_node_is(reason, JSON_STRING))
        return;
    r->has_finish = true;
    r->finish = finish_of(reason);
    struct str sequence = json_get_text(v, STR("stop_sequence"), r->arena);
    if (!str_eq(sequence, r->stop_sequence))
        r->stop_sequence = arena_str(r->arena, sequence);
}

static err_t tell_end(struct anthropic_reader *r, const struct chat_sink *sink)
{
    struct chat_event e = {
        .kind = CHAT_FINISH, .finish = r->finish, .stop_sequence = r->stop_sequence, .service_tier = r->tier};

    r->over = true;
    TRY(chat_tell(sink, &e));
    e = (struct chat_event){.kind = CHAT_END};
    return chat_tell(sink, &e);
}

/* --- blocks --- */

static err_t tell_start(struct anthropic_reader *r, struct json_node message, struct arena *scratch,
                        const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_START,
                           .id = json_get_text(message, STR("id"), scratch),
                           .model = json_get_text(message, STR("model"), scratch)};
    struct str tier = json_get_text(json_node_get(message, STR("usage")), STR("service_tier"), scratch);

    if (r->started)
        return OK;
    r->started = true;
    if (tier.n)
        r->tier = arena_str(r->arena, tier);
    e.service_tier = r->tier;
    return chat_tell(sink, &e);
}

static err_t tell_text(struct anthropic_reader *r, struct str text, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_TEXT, .block = r->blocks - 1, .text = text};

    if (!text.n)
        return OK;
    r->spoke = true;
    return chat_tell(sink, &e);
}

static err_t tell_signature(struct anthropic_reader *r, struct str blob, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_SIGNATURE, .block = r->blocks - 1, .text = blob, .signer = SIGNER_ANTHROPIC};

    return blob.n ? chat_tell(sink, &e) : OK;
}

static err_t tell_citation(struct anthropic_reader *r, struct json_node v, struct arena *scratch,
                           const struct chat_sink *sink)
{
    struct citation c = anthropic_citation(v, scratch);
    struct chat_event e = {.kind = CHAT_CITATION, .block = r->blocks - 1, .citation = &c};

    return json_node_is(v, JSON_OBJECT) ? chat_tell(sink, &e) : OK;
}

/* What a block's start holds of it: all of it in a whole answer, mostly nothing in a stream. */
static err_t tell_content(struct anthropic_reader *r, struct json_node block, struct arena *scratch,
                          const struct chat_sink *sink)
{
    struct json_node input = json_node_get(block, STR("input"));

    if (r->kind == BLOCK_TEXT) {
        TRY(tell_text(r, json_get_text(block, STR("text"), scratch), sink));
        JSON_EACH(c, json_node_get(block, STR("citations")))
            TRY(tell_citation(r, c.value, scratch, sink));
    } else if (r->kind == BLOCK_THINKING) {
        TRY(tell_text(r, json_get_text(block, STR("thinking"), scratch), sink));
        TRY(tell_signature(r, json_get_text(block, STR("signature"), scratch), sink));
    } else if (r->kind == BLOCK_TOOL_CALL && json_node_is(input, JSON_OBJECT)) {
        r->input = json_node_count(input) ? arena_str(r->arena, json_node_raw(input)) : STR_NONE;
    }
    return OK;
}

static enum block_kind kind_of(struct json_node block)
{
    static const struct {
        struct str type;
        enum block_kind kind;
    } kinds[] = {{STR_INIT("text"), BLOCK_TEXT},
                 {STR_INIT("thinking"), BLOCK_THINKING},
                 {STR_INIT("redacted_thinking"), BLOCK_REDACTED},
                 {STR_INIT("tool_use"), BLOCK_TOOL_CALL}};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (json_node_text_is(json_node_get(block, STR("type")), kinds[i].type))
            return kinds[i].kind;
    return BLOCK_OPAQUE;
}

/* The opaque block's start with the input that came behind it. */
static struct str opaque_text(struct anthropic_reader *r)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(r->opaque.n + r->opaque_input.n + 64);
    struct json_out o = json_out_to(&to);
    const struct json_tree *tree;

    if (!r->opaque_input.n || !json_valid(buf_str(&r->opaque_input), JSON_LONE_SURROGATES) ||
        json_tree_parse(r->arena, r->opaque, &tree) != OK)
        return r->opaque;
    json_open(&o, '{');
    JSON_EACH(w, json_tree_root(tree))
        if (!json_walk_key_is(&w, STR("input")))
            json_member_raw(&o, json_node_text(w.key, r->arena), json_node_raw(w.value));
    json_member_raw(&o, STR("input"), buf_str(&r->opaque_input));
    json_close(&o, '}');
    return arena_str(r->arena, buf_str(&to));
}

static err_t tell_opaque(struct anthropic_reader *r, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_BLOCK_START,
                           .block = r->blocks++,
                           .block_kind = BLOCK_OPAQUE,
                           .text = opaque_text(r),
                           .of = &dialect_anthropic};

    buf_clear(&r->opaque_input);
    TRY(chat_tell(sink, &e));
    e = (struct chat_event){.kind = CHAT_BLOCK_STOP, .block = r->blocks - 1};
    return chat_tell(sink, &e);
}

static err_t open_block(struct anthropic_reader *r, struct json_node block, struct arena *scratch,
                        const struct chat_sink *sink)
{
    r->open = true;
    r->spoke = false;
    r->input = STR_NONE;
    r->kind = kind_of(block);
    if (r->kind == BLOCK_OPAQUE) {
        r->opaque = arena_str(r->arena, json_node_raw(block));
        return OK;
    }
    struct chat_event e = {.kind = CHAT_BLOCK_START, .block = r->blocks++, .block_kind = r->kind};
    if (r->kind == BLOCK_REDACTED) {
        e.text = json_get_text(block, STR("data"), scratch);
        e.signer = SIGNER_ANTHROPIC;
    } else if (r->kind == BLOCK_TOOL_CALL) {
        e.id = json_get_text(block, STR("id"), scratch);
        e.name = json_get_text(block, STR("name"), scratch);
    }
    TRY(chat_tell(sink, &e));
    return tell_content(r, block, scratch, sink);
}

static err_t close_block(struct anthropic_reader *r, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_BLOCK_STOP, .block = r->blocks - 1};

    if (!r->open)
        return OK;
    r->open = false;
    if (r->kind == BLOCK_OPAQUE)
        return tell_opaque(r, sink);
    /* a tool without arguments sends nothing, or an empty text; listeners parse what they hear */
    if (r->kind == BLOCK_TOOL_CALL && !r->spoke)
        TRY(tell_text(r, r->input.n ? r->input : STR("{}"), sink));
    return chat_tell(sink, &e);
}

/* --- errors --- */

static const struct {
    struct str type;
    enum error_class error_class;
    int status;
} error_types[] = {
    {STR_INIT("invalid_request_error"), ERROR_BAD_REQUEST, 400},
    {STR_INIT("authentication_error"), ERROR_AUTH, 401},
    {STR_INIT("billing_error"), ERROR_QUOTA, 402},
    {STR_INIT("permission_error"), ERROR_FORBIDDEN, 403},
    {STR_INIT("not_found_error"), ERROR_NOT_FOUND, 404},
    {STR_INIT("conflict_error"), ERROR_CONFLICT, 409},
    {STR_INIT("request_too_large"), ERROR_TOO_LARGE, 413},
    {STR_INIT("rate_limit_error"), ERROR_RATE_LIMIT, 429},
    {STR_INIT("api_error"), ERROR_BY_STATUS, 500}, /* of anything: overload, too */
    {STR_INIT("timeout_error"), ERROR_TIMEOUT, 504},
    {STR_INIT("overloaded_error"), ERROR_OVERLOADED, 529},
    /* Bedrock's, as exceptions in a stream and in x-amzn-errortype */
    {STR_INIT("validationException"), ERROR_BAD_REQUEST, 400},
    {STR_INIT("accessDeniedException"), ERROR_FORBIDDEN, 403},
    {STR_INIT("resourceNotFoundException"), ERROR_NOT_FOUND, 404},
    {STR_INIT("throttlingException"), ERROR_RATE_LIMIT, 429},
    {STR_INIT("serviceQuotaExceededException"), ERROR_QUOTA, 402},
    {STR_INIT("modelStreamErrorException"), ERROR_UPSTREAM, 424},
    {STR_INIT("modelTimeoutException"), ERROR_TIMEOUT, 408},
    {STR_INIT("modelNotReadyException"), ERROR_OVERLOADED, 429},
    {STR_INIT("serviceUnavailableException"), ERROR_OVERLOADED, 503},
    {STR_INIT("internalServerException"), ERROR_UPSTREAM, 500},
};

/* The version of 2026 tells programs more than the type does: {"details":{"error_code":"…"}}. */
static struct str code_of(const struct error_body *said, struct str type, struct arena *arena)
{
    struct str code = json_get_text(json_node_get(said->object, STR("details")), STR("error_code"), arena);

    return code.n ? code : type;
}

/* `status`: of the answer, or 0 in a stream. `type`: of the body, or what stands for it. */
static void classify(struct arena *arena, int status, struct str type, const struct error_body *said,
                     struct api_error *ret)
{
    struct str message = said->message, code = code_of(said, type, arena);

    *ret = (struct api_error){.status = status, .message = message, .retry_after_ms = -1};
    for (size_t i = 0; i < ARRAY_LEN(error_types); i++) {
        if (!str_eq_nocase(type, error_types[i].type))
            continue;
        ret->error_class = error_types[i].error_class;
        ret->status = status ? status : error_types[i].status;
    }
    if (!ret->status)
        ret->status = 500;
    if (error_class_of(ret) == ERROR_BAD_REQUEST && error_words_context(message))
        ret->error_class = ERROR_CONTEXT_LENGTH;
    else if (error_class_of(ret) == ERROR_BAD_REQUEST && str_find(message, STR("content filtering")) < message.n)
        ret->error_class = ERROR_CONTENT_POLICY;
    ret->code = code.n ? arena_str(arena, code).p : NULL;
}

void anthropic_read_error(struct arena *arena, int status, struct str body,
                          struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret)
{
    struct str name = header(ctx, STR("x-amzn-errortype"));
    struct error_body said;

    error_body_read(arena, body, &said);
    name = str_cut(&name, ':'); /* a URL may follow */
    classify(arena, status, said.type.n ? said.type : name, &said, ret);
    ret->retry_after_ms = error_retry_hint(header, ctx);
}

static err_t tell_error(struct anthropic_reader *r, const struct api_error *error, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_ERROR, .error = error};

    r->over = true;
    return chat_tell(sink, &e);
}

static err_t tell_broken(struct anthropic_reader *r, struct str message, const struct chat_sink *sink)
{
    struct api_error error = {.status = 502, .error_class = ERROR_UPSTREAM, .message = message, .retry_after_ms = -1};

    return tell_error(r, &error, sink);
}

static err_t tell_their_error(struct anthropic_reader *r, struct json_node v, struct str name, struct arena *scratch,
                              const struct chat_sink *sink)
{
    struct error_body said;
    struct api_error error;

    error_body_of(scratch, v, &said);
    if (!said.message.n)
        said.message = STR("the provider failed");
    classify(scratch, 0, name.n ? name : said.type, &said, &error);
    return tell_error(r, &error, sink);
}

/* --- streams --- */

static err_t on_delta(struct anthropic_reader *r, struct json_node event, struct arena *scratch,
                      const struct chat_sink *sink)
{
    struct json_node delta = json_node_get(event, STR("delta")), type = json_node_get(delta, STR("type"));
    int64_t index = r->theirs;

    (void)json_node_i64(json_node_get(event, STR("index")), &index);
    if (!r->open || index != r->theirs)
        return tell_broken(r, STR("the provider sent a part of a block that is not open"), sink);
    if (r->kind == BLOCK_OPAQUE)
        return buf_add(&r->opaque_input, json_get_text(delta, STR("partial_json"), scratch));
    if (json_node_text_is(type, STR("text_delta")))
        return tell_text(r, json_get_text(delta, STR("text"), scratch), sink);
    if (json_node_text_is(type, STR("thinking_delta")))
        return tell_text(r, json_get_text(delta, STR("thinking"), scratch), sink);
    if (json_node_text_is(type, STR("input_json_delta")))
        return tell_text(r, json_get_text(delta, STR("partial_json"), scratch), sink);
    if (json_node_text_is(type, STR("signature_delta")))
        return tell_signature(r, json_get_text(delta, STR("signature"), scratch), sink);
    if (json_node_text_is(type, STR("citations_delta")))
        return tell_citation(r, json_node_get(delta, STR("citation")), scratch, sink);
    return OK;
}

static err_t on_event(struct anthropic_reader *r, struct json_node event, struct arena *scratch,
                      const struct chat_sink *sink)
{
    struct json_node type = json_node_get(event, STR("type")), message = json_node_get(event, STR("message"));

    if (json_node_text_is(type, STR("error")))
        return tell_their_error(r, event, STR_NONE, scratch, sink);
    if (json_node_text_is(type, STR("message_start"))) {
        TRY(tell_start(r, message, scratch, sink));
        take_usage(r, json_node_get(message, STR("usage")));
        return tell_usage(r, sink);
    }
    if (!json_node_is(type, JSON_STRING) || json_node_text_is(type, STR("ping")))
        return OK;
    TRY(tell_start(r, JSON_ABSENT, scratch, sink)); /* a stream may begin without its first event */
    if (json_node_text_is(type, STR("content_block_start"))) {
        TRY(close_block(r, sink));
        r->theirs = 0;
        (void)json_node_i64(json_node_get(event, STR("index")), &r->theirs);
        return open_block(r, json_node_get(event, STR("content_block")), scratch, sink);
    }
    if (json_node_text_is(type, STR("content_block_delta")))
        return on_delta(r, event, scratch, sink);
    if (json_node_text_is(type, STR("content_block_stop")))
        return close_block(r, sink);
    if (json_node_text_is(type, STR("message_delta"))) {
        take_finish(r, json_node_get(event, STR("delta")));
        take_usage(r, json_node_get(event, STR("usage")));
        return OK;
    }
    return json_node_text_is(type, STR("message_stop")) ? anthropic_reader_end(r, sink) : OK;
}

err_t anthropic_unwrap(struct arena *scratch, const struct json_tree **tree)
{
    struct json_node bytes = json_node_get(json_tree_root(*tree), STR("bytes"));
    struct str text = json_node_text(bytes, scratch);
    struct buf inner CLEANUP(buf_release) = BUF_INIT(text.n);

    if (!json_node_is(bytes, JSON_STRING))
        return OK;
    TRY(base64_decode(&inner, text, BASE64));
    return json_tree_parse(scratch, arena_str(scratch, buf_str(&inner)), tree);
}

static void release_input(void *obj)
{
    struct anthropic_reader *r = obj;

    buf_release(&r->opaque_input);
}

err_t anthropic_reader_begin(void *state, struct arena *arena)
{
    struct anthropic_reader *r = state;

    *r = (struct anthropic_reader){.arena = arena};
    buf_init(&r->opaque_input, OPAQUE_MAX);
    arena_hold(arena, r, release_input);
    return OK;
}

err_t anthropic_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink)
{
    struct anthropic_reader *r = state;
    const struct json_tree *tree;

    if (r->over || !f->data.n || str_eq(f->data, STR("[DONE]")))
        return OK;
    if (json_tree_parse(scratch, f->data, &tree) != OK || anthropic_unwrap(scratch, &tree) != OK)
        return f->exception ? tell_their_error(r, JSON_ABSENT, f->name, scratch, sink)
                            : tell_broken(r, STR("the provider sent an event that is not JSON"), sink);
    if (f->exception)
        return tell_their_error(r, json_tree_root(tree), f->name, scratch, sink);
    return on_event(r, json_tree_root(tree), scratch, sink);
}

err_t anthropic_reader_end(void *state, const struct chat_sink *sink)
{
    struct anthropic_reader *r = state;

    if (r->over)
        return OK;
    if (!r->started || !r->has_finish)
        return tell_broken(r, STR("The provider's answer broke off."), sink);
    TRY(close_block(r, sink));
    TRY(tell_usage(r, sink));
    return tell_end(r, sink);
}

/* --- whole answers --- */

err_t anthropic_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink)
{
    struct anthropic_reader r = {.arena = arena};
    const struct json_tree *tree;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    struct json_node root = json_tree_root(tree), content = json_node_get(root, STR("content"));
    if (json_node_text_is(json_node_get(root, STR("type")), STR("error")))
        return tell_their_error(&r, root, STR_NONE, arena, sink);
    take_finish(&r, root);
    if (!json_node_is(content, JSON_ARRAY) || !r.has_finish)
        return fail(E_PROTOCOL, "the provider's answer is no message: it lacks %s",
                    r.has_finish ? "content" : "stop_reason");
    TRY(tell_start(&r, root, arena, sink));
    take_usage(&r, json_node_get(root, STR("usage")));
    JSON_EACH(w, content) {
        TRY(open_block(&r, w.value, arena, sink));
        TRY(close_block(&r, sink));
    }
    TRY(tell_usage(&r, sink));
    return tell_end(&r, sink);
}

err_t anthropic_read_count(struct arena *arena, struct str body, uint64_t *ret_tokens)
{
    const struct json_tree *tree;
    int64_t n;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's count of tokens is not JSON");
    struct json_node v = json_node_get(json_tree_root(tree), STR("input_tokens"));
    if (json_is_absent(v))
        v = json_node_get(json_tree_root(tree), STR("inputTokens")); /* Bedrock's own operation */
    if (!json_node_i64(v, &n) || n < 0)
        return fail(E_PROTOCOL, "the provider's count of tokens has no input_tokens");
    *ret_tokens = (uint64_t)n;
    return OK;
}
