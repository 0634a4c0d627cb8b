/*
 * bedrock_answer_read.c - answers of Converse and ConverseStream as canonical events.
 *
 * Both go through the same steps: a block opens, something of it is told, it stops. In a stream only calls and images have a start of their own;
 * a text or a thought opens with its first piece. messageStop makes an answer whole, but its usage comes behind it, in the metadata: so
 * the reason for stopping is told with these, or when the body ends; a body that ends before messageStop is an error, and so is an answer that
 * the service itself calls malformed.
 *
 * Tools that the service runs itself (toolUse of type server_tool_use, and their results) are nothing that a client could answer: they are not told,
 * nor are images that come in pieces.
 *
 * Signatures are told as Anthropic's. That a model of another family answered is known to who asked it, so it is mended on the way on (emulation.signer).
 *
 * Source: Amazon Bedrock API reference, Converse and ConverseStream.
 */
#include "codec/base64.h"
#include "llm/bedrock_int.h"
#include "llm/error_body.h"

enum { BLOB_MAX = 16 * 1024 * 1024 };

/* --- usage and reasons --- */

static void take_usage(struct bedrock_reader *r, struct json_node v)
{
    struct usage *u = &r->usage;

    if (!json_node_is(v, JSON_OBJECT))
        return;
    *u = (struct usage){.output = usage_count(v, STR("outputTokens")),
                        .cached_input = usage_count(v, STR("cacheReadInputTokens")),
                        .cache_write = usage_count(v, STR("cacheWriteInputTokens")),
                        .known = true};
    u->input = usage_count(v, STR("inputTokens")) + u->cached_input + u->cache_write;
    JSON_EACH(w, json_node_get(v, STR("cacheDetails")))
        if (json_node_text_is(json_node_get(w.value, STR("ttl")), STR("1h")))
            u->cache_write_1h += usage_count(w.value, STR("inputTokens"));
}

static enum finish finish_of(const struct bedrock_reader *r, struct str reason)
{
    static const struct {
        struct str name;
        enum finish finish;
    } reasons[] = {
        {STR_INIT("tool_use"), FINISH_TOOL_CALLS},
        {STR_INIT("max_tokens"), FINISH_LENGTH},
        {STR_INIT("stop_sequence"), FINISH_STOP_SEQUENCE},
        {STR_INIT("guardrail_intervened"), FINISH_FILTER},
        {STR_INIT("content_filtered"), FINISH_FILTER},
        {STR_INIT("refusal"), FINISH_REFUSAL},
        {STR_INIT("pause_turn"), FINISH_PAUSE},
        {STR_INIT("model_context_window_exceeded"), FINISH_CONTEXT},
    };

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (str_eq(reason, reasons[i].name))
            return reasons[i].finish;
    return r->called ? FINISH_TOOL_CALLS : FINISH_STOP;
}

/* --- errors --- */

static err_t tell_error(struct bedrock_reader *r, const struct api_error *error, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_ERROR, .error = error};

    r->over = true;
    return chat_tell(sink, &e);
}

static err_t tell_broken(struct bedrock_reader *r, struct str message, const struct chat_sink *sink)
{
    struct api_error error = {.status = 502, .error_class = ERROR_UPSTREAM, .message = message, .retry_after_ms = -1};

    return tell_error(r, &error, sink);
}

/* An exception of a stream. A model's own error tells the status that the model had. */
static err_t tell_exception(struct bedrock_reader *r, const struct frame *f, struct arena *scratch,
                            const struct chat_sink *sink)
{
    struct error_body said;
    struct api_error error;
    int64_t status;

    error_body_read(scratch, f->data, &said);
    bedrock_classify(scratch, 0, f->name, said.message.n ? said.message : STR("the provider failed"), &error);
    if (json_node_i64(json_node_get(said.object, STR("originalStatusCode")), &status) &&
        (status == 429 || status == 503 || status == 529)) {
        error.error_class = error_class_of_status((int)status);
        error.status = (int)status;
    }
    return tell_error(r, &error, sink);
}

/* --- blocks --- */

static err_t tell_start(struct bedrock_reader *r, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_START};

    if (r->started)
        return OK;
    r->started = true;
    return chat_tell(sink, &e);
}

static err_t tell_text(struct bedrock_reader *r, struct str text, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_TEXT, .block = r->blocks - 1, .text = text};

    if (!text.n || r->untold)
        return OK;
    r->spoke = true;
    return chat_tell(sink, &e);
}

static err_t tell_signature(struct bedrock_reader *r, struct str blob, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_SIGNATURE, .block = r->blocks - 1, .text = blob, .signer = SIGNER_ANTHROPIC};

    return blob.n && !r->untold ? chat_tell(sink, &e) : OK;
}

static err_t tell_citation(struct bedrock_reader *r, struct json_node v, struct arena *scratch,
                           const struct chat_sink *sink)
{
    struct citation c = bedrock_citation(v, scratch);
    struct chat_event e = {.kind = CHAT_CITATION, .block = r->blocks - 1, .citation = &c};

    return json_node_is(v, JSON_OBJECT) && !r->untold ? chat_tell(sink, &e) : OK;
}

static err_t open_block(struct bedrock_reader *r, enum block_kind kind, struct json_node call, struct arena *scratch,
                        const struct chat_sink *sink)
{
    r->open = true;
    r->spoke = r->untold = false;
    r->kind = kind;
    if (kind == BLOCK_REDACTED)
        return OK; /* told when its blob is whole */
    struct chat_event e = {.kind = CHAT_BLOCK_START,
                           .block = r->blocks++,
                           .block_kind = kind,
                           .id = json_get_text(call, STR("toolUseId"), scratch),
                           .name = json_get_text(call, STR("name"), scratch)};
    r->called = r->called || kind == BLOCK_TOOL_CALL;
    return chat_tell(sink, &e);
}

static void open_untold(struct bedrock_reader *r)
{
    r->open = r->untold = true;
    r->kind = BLOCK_OPAQUE;
}

static err_t tell_redacted(struct bedrock_reader *r, struct str blob, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_BLOCK_START,
                           .block = r->blocks++,
                           .block_kind = BLOCK_REDACTED,
                           .text = blob,
                           .signer = SIGNER_ANTHROPIC};

    TRY(chat_tell(sink, &e));
    e = (struct chat_event){.kind = CHAT_BLOCK_STOP, .block = r->blocks - 1};
    return chat_tell(sink, &e);
}

/* The pieces of a blob are base64 each; so is the whole. */
static err_t close_redacted(struct bedrock_reader *r, const struct chat_sink *sink)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(2 * BLOB_MAX);

    TRY(base64_encode(&text, buf_str(&r->blob), BASE64));
    buf_clear(&r->blob);
    return tell_redacted(r, buf_str(&text), sink);
}

static err_t close_block(struct bedrock_reader *r, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_BLOCK_STOP, .block = r->blocks - 1};

    if (!r->open)
        return OK;
    r->open = false;
    if (r->untold)
        return OK;
    if (r->kind == BLOCK_REDACTED)
        return close_redacted(r, sink);
    /* a tool without arguments sends nothing, or an empty text; listeners parse what they hear */
    if (r->kind == BLOCK_TOOL_CALL && !r->spoke)
        TRY(tell_text(r, STR("{}"), sink));
    return chat_tell(sink, &e);
}

static bool is_run_by_the_service(struct json_node call)
{
    return json_node_text_is(json_node_get(call, STR("type")), STR("server_tool_use"));
}

/* --- the end --- */

static err_t tell_end(struct bedrock_reader *r, const struct chat_sink *sink)
{
    struct chat_event e = {.kind = CHAT_USAGE, .usage = &r->usage};

    r->over = true;
    if (r->usage.known)
        TRY(chat_tell(sink, &e));
    e = (struct chat_event){
        .kind = CHAT_FINISH, .finish = r->finish, .stop_sequence = r->stop_sequence, .service_tier = r->tier};
    TRY(chat_tell(sink, &e));
    e = (struct chat_event){.kind = CHAT_END};
    return chat_tell(sink, &e);
}

static void keep_tier(struct bedrock_reader *r, struct json_node v)
{
    struct str tier = json_get_text(json_node_get(v, STR("serviceTier")), STR("type"), r->arena);

    if (tier.n)
        r->tier = arena_str(r->arena, tier);
}

/* stopReason and what stands beside it: of messageStop, or of a whole answer. */
static err_t take_stop(struct bedrock_reader *r, struct json_node v, const struct chat_sink *sink)
{
    struct str reason = json_get_text(v, STR("stopReason"), r->arena);
    struct json_node fields = json_node_get(v, STR("additionalModelResponseFields"));

    TRY(close_block(r, sink));
    if (str_starts(reason, STR("malformed_")))
        return tell_broken(r, STR("the model's answer was malformed, and the provider gave it up"), sink);
    r->stopped = true;
    r->finish = finish_of(r, reason);
    r->stop_sequence = arena_str(r->arena, json_get_text(fields, STR("stop_sequence"), r->arena));
    return OK;
}

/* --- streams --- */

static int64_t index_of(struct json_node event)
{
    int64_t index = 0;

    (void)json_node_i64(json_node_get(event, STR("contentBlockIndex")), &index);
    return index;
}

static err_t on_start(struct bedrock_reader *r, struct json_node event, struct arena *scratch,
                      const struct chat_sink *sink)
{
    struct json_node start = json_node_get(event, STR("start")), call = json_node_get(start, STR("toolUse"));

    TRY(close_block(r, sink));
    r->theirs = index_of(event);
    if (json_node_is(call, JSON_OBJECT) && !is_run_by_the_service(call))
        return open_block(r, BLOCK_TOOL_CALL, call, scratch, sink);
    if (json_node_count(start))
        open_untold(r);
    return OK;
}

/* Open the block that a piece belongs to, unless it is open. */
static err_t enter(struct bedrock_reader *r, int64_t index, enum block_kind kind, struct arena *scratch,
                   const struct chat_sink *sink)
{
    if (r->open && r->theirs == index && (r->untold || r->kind == kind))
        return OK;
    TRY(close_block(r, sink));
    r->theirs = index;
    return open_block(r, kind, JSON_ABSENT, scratch, sink);
}

static err_t on_reasoning(struct bedrock_reader *r, int64_t index, struct json_node delta, struct arena *scratch,
                          const struct chat_sink *sink)
{
    struct json_node blob = json_node_get(delta, STR("redactedContent"));

    if (!json_node_is(blob, JSON_STRING)) {
        TRY(enter(r, index, BLOCK_THINKING, scratch, sink));
        TRY(tell_text(r, json_get_text(delta, STR("text"), scratch), sink));
        return tell_signature(r, json_get_text(delta, STR("signature"), scratch), sink);
    }
    TRY(enter(r, index, BLOCK_REDACTED, scratch, sink));
    if (base64_decode(&r->blob, base64_standard(json_node_text(blob, scratch), scratch), BASE64) == E_PARSE)
        return tell_broken(r, STR("the provider sent a redacted thought that is not base64"), sink);
    return buf_status(&r->blob);
}

static err_t on_delta(struct bedrock_reader *r, struct json_node event, struct arena *scratch,
                      const struct chat_sink *sink)
{
    struct json_node delta = json_node_get(event, STR("delta")), text = json_node_get(delta, STR("text"));
    struct json_node call = json_node_get(delta, STR("toolUse")), citation = json_node_get(delta, STR("citation"));
    struct json_node reasoning = json_node_get(delta, STR("reasoningContent"));
    int64_t index = index_of(event);

    if (json_node_is(text, JSON_STRING)) {
        TRY(enter(r, index, BLOCK_TEXT, scratch, sink));
        return tell_text(r, json_node_text(text, scratch), sink);
    }
    if (json_node_is(reasoning, JSON_OBJECT))
        return on_reasoning(r, index, reasoning, scratch, sink);
    if (json_node_is(citation, JSON_OBJECT)) {
        TRY(enter(r, index, BLOCK_TEXT, scratch, sink));
        return tell_citation(r, citation, scratch, sink);
    }
    if (!json_node_is(call, JSON_OBJECT))
        return OK;
    if (!r->open || r->theirs != index || (r->kind != BLOCK_TOOL_CALL && !r->untold))
        return tell_broken(r, STR("the provider sent arguments of a call that it did not begin"), sink);
    return tell_text(r, json_get_text(call, STR("input"), scratch), sink);
}

static err_t on_event(struct bedrock_reader *r, struct str name, struct json_node event, struct arena *scratch,
                      const struct chat_sink *sink)
{
    static const struct str known[] = {STR_INIT("messageStart"),      STR_INIT("contentBlockStart"),
                                       STR_INIT("contentBlockDelta"), STR_INIT("contentBlockStop"),
                                       STR_INIT("messageStop"),       STR_INIT("metadata")};
    enum { MESSAGE_START, BLOCK_START, BLOCK_DELTA, BLOCK_STOP, MESSAGE_STOP, METADATA };
    size_t what = 0;

    while (what < ARRAY_LEN(known) && !str_eq(name, known[what]))
        what++;
    if (what == ARRAY_LEN(known))
        return OK;
    TRY(tell_start(r, sink)); /* a stream may begin without its first event */
    if (r->stopped && what != METADATA)
        return OK;
    switch (what) {
    case BLOCK_START:
        return on_start(r, event, scratch, sink);
    case BLOCK_DELTA:
        return on_delta(r, event, scratch, sink);
    case BLOCK_STOP:
        return close_block(r, sink);
    case MESSAGE_STOP:
        return take_stop(r, event, sink);
    case METADATA:
        take_usage(r, json_node_get(event, STR("usage")));
        keep_tier(r, event);
        return r->stopped ? tell_end(r, sink) : OK;
    }
    return OK;
}

static void release_blob(void *obj)
{
    struct bedrock_reader *r = obj;

    buf_release(&r->blob);
}

err_t bedrock_reader_begin(void *state, struct arena *arena)
{
    struct bedrock_reader *r = state;

    *r = (struct bedrock_reader){.arena = arena};
    buf_init(&r->blob, BLOB_MAX);
    arena_hold(arena, r, release_blob);
    return OK;
}

err_t bedrock_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink)
{
    struct bedrock_reader *r = state;
    const struct json_tree *tree;

    if (r->over)
        return OK;
    if (f->exception)
        return tell_exception(r, f, scratch, sink);
    if (json_tree_parse(scratch, f->data, &tree) != OK)
        return tell_broken(r, STR("the provider sent an event that is not JSON"), sink);
    return on_event(r, f->name, json_tree_root(tree), scratch, sink);
}

err_t bedrock_reader_end(void *state, const struct chat_sink *sink)
{
    struct bedrock_reader *r = state;

    if (r->over)
        return OK;
    if (r->stopped)
        return tell_end(r, sink);
    return tell_broken(r, STR("The provider's answer broke off."), sink);
}

/* --- whole answers --- */

static struct str joined_content(struct json_node content, struct arena *arena)
{
    struct block *texts = NULL;

    JSON_EACH(w, content)
        chat_add_block(&texts, arena, BLOCK_TEXT, w.value)->text = json_get_text(w.value, STR("text"), arena);
    return blocks_text(texts, STR_NONE, arena);
}

static err_t read_cited(struct bedrock_reader *r, struct json_node v, const struct chat_sink *sink)
{
    TRY(open_block(r, BLOCK_TEXT, JSON_ABSENT, r->arena, sink));
    TRY(tell_text(r, joined_content(json_node_get(v, STR("content")), r->arena), sink));
    JSON_EACH(w, json_node_get(v, STR("citations")))
        TRY(tell_citation(r, w.value, r->arena, sink));
    return close_block(r, sink);
}

static err_t read_reasoning(struct bedrock_reader *r, struct json_node v, const struct chat_sink *sink)
{
    struct json_node text = json_node_get(v, STR("reasoningText"));
    struct str blob = json_get_text(v, STR("redactedContent"), r->arena);

    if (blob.n)
        return tell_redacted(r, blob, sink);
    TRY(open_block(r, BLOCK_THINKING, JSON_ABSENT, r->arena, sink));
    TRY(tell_text(r, json_get_text(text, STR("text"), r->arena), sink));
    TRY(tell_signature(r, json_get_text(text, STR("signature"), r->arena), sink));
    return close_block(r, sink);
}

static err_t read_image(struct bedrock_reader *r, struct json_node v, const struct chat_sink *sink)
{
    struct str format = json_get_text(v, STR("format"), r->arena);
    struct media media = {.source = MEDIA_BASE64,
                          .type = bedrock_type_of(BLOCK_IMAGE, format),
                          .data = json_get_text(json_node_get(v, STR("source")), STR("bytes"), r->arena)};
    struct chat_event e = {.kind = CHAT_BLOCK_START, .block = r->blocks, .block_kind = BLOCK_IMAGE, .media = &media};

    if (!media.data.n)
        return OK;
    r->blocks++;
    TRY(chat_tell(sink, &e));
    e = (struct chat_event){.kind = CHAT_BLOCK_STOP, .block = r->blocks - 1};
    return chat_tell(sink, &e);
}

static err_t read_block(struct bedrock_reader *r, struct json_node v, const struct chat_sink *sink)
{
    struct json_node text = json_node_get(v, STR("text")), call = json_node_get(v, STR("toolUse"));
    struct json_node cited = json_node_get(v, STR("citationsContent")), image = json_node_get(v, STR("image"));
    struct json_node reasoning = json_node_get(v, STR("reasoningContent")), input = json_node_get(call, STR("input"));

    if (json_node_is(text, JSON_STRING)) {
        TRY(open_block(r, BLOCK_TEXT, JSON_ABSENT, r->arena, sink));
        TRY(tell_text(r, json_node_text(text, r->arena), sink));
        return close_block(r, sink);
    }
    if (json_node_is(cited, JSON_OBJECT))
        return read_cited(r, cited, sink);
    if (json_node_is(reasoning, JSON_OBJECT))
        return read_reasoning(r, reasoning, sink);
    if (json_node_is(image, JSON_OBJECT))
        return read_image(r, image, sink);
    if (!json_node_is(call, JSON_OBJECT) || is_run_by_the_service(call))
        return OK;
    TRY(open_block(r, BLOCK_TOOL_CALL, call, r->arena, sink));
    TRY(tell_text(r, json_node_is_set(input) ? json_node_raw(input) : STR_NONE, sink));
    return close_block(r, sink);
}

err_t bedrock_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink)
{
    struct bedrock_reader r = {.arena = arena};
    const struct json_tree *tree;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's answer is not JSON");
    struct json_node root = json_tree_root(tree);
    struct json_node content =
        json_node_get(json_node_get(json_node_get(root, STR("output")), STR("message")), STR("content"));
    if (!json_node_is(content, JSON_ARRAY) || !json_node_is(json_node_get(root, STR("stopReason")), JSON_STRING))
        return fail(E_PROTOCOL, "the provider's answer is no message: it lacks %s",
                    json_node_is(content, JSON_ARRAY) ? "stopReason" : "output.message.content");
    TRY(tell_start(&r, sink));
    JSON_EACH(w, content)
        TRY(read_block(&r, w.value, sink));
    take_usage(&r, json_node_get(root, STR("usage")));
    keep_tier(&r, root);
    TRY(take_stop(&r, root, sink));
    return r.over ? OK : tell_end(&r, sink);
}

err_t bedrock_read_count(struct arena *arena, struct str body, uint64_t *ret_tokens)
{
    const struct json_tree *tree;
    int64_t n;

    if (json_tree_parse(arena, body, &tree) != OK)
        return fail(E_PROTOCOL, "the provider's count of tokens is not JSON");
    if (!json_node_i64(json_node_get(json_tree_root(tree), STR("inputTokens")), &n) || n < 0)
        return fail(E_PROTOCOL, "the provider's count of tokens has no inputTokens");
    *ret_tokens = (uint64_t)n;
    return OK;
}
