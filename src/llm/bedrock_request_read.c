/*
 * bedrock_request_read.c - a request to Converse, ConverseStream or CountTokens as the canonical one.
 *
 * A block is an object with one member, whose name says what it is. A cachePoint is a block of its own that marks what stands before it: here it
 * becomes a mark of that block. A guardContent is what it guards, and the guarding, which only Bedrock does, is reported. Blocks without a
 * canonical form stay raw. What only Bedrock's own service refuses (turns that do not alternate, unpaired results) is not judged here.
 *
 * A reasoningContent without words, signed by Google, stands for the signature of the call before it (bedrock_answer_write.c made it).
 */
#include "codec/base64.h"
#include "llm/bedrock_int.h"
#include "llm/claude.h"
#include "llm/signature.h"
#include "llm/tool_id.h"

struct reading {
    struct arena *arena;
    struct chat_request *q;
    struct str *param;
    struct block *last; /* that a cachePoint would mark; NULL: none yet */
};

/* --- refusing --- */

/* `at`, or its member (which may be absent), is not what it must be. */
static err_t refuse(struct reading *r, struct json_node at, struct str member, const char *what)
{
    *r->param = chat_field(at, member, r->arena);
    return fail(E_PARSE, "%.*s: %s", STR_ARG(*r->param), what);
}

static struct str text_of(struct reading *r, struct json_node object, struct str key)
{
    return json_get_text(object, key, r->arena);
}

/* The texts of a list of {"text": …} as one. */
static struct str joined_texts(struct json_node list, struct arena *arena)
{
    struct block *texts = NULL;

    JSON_EACH(w, list)
        if (json_node_is(json_node_get(w.value, STR("text")), JSON_STRING))
            chat_add_block(&texts, arena, BLOCK_TEXT, w.value)->text = json_get_text(w.value, STR("text"), arena);
    return blocks_text(texts, STR("\n"), arena);
}

/* --- parts --- */

struct citation bedrock_citation(struct json_node v, struct arena *arena)
{
    struct json_node location = json_node_get(v, STR("location")), web = json_node_get(location, STR("web"));
    struct json_node document = json_node_get(location, STR("documentChar"));
    struct str source = json_get_text(v, STR("source"), arena), url = json_get_text(web, STR("url"), arena);

    return (struct citation){
        .url = url.n ? url : source,
        .title = json_get_text(v, STR("title"), arena),
        .cited_text = joined_texts(json_node_get(v, STR("sourceContent")), arena),
        .document_id = json_node_raw(json_node_get(document, STR("documentIndex"))),
        .start = -1,
        .end = -1,
        .raw = json_node_raw(v),
        .of = &dialect_bedrock,
    };
}

static err_t read_text(struct reading *r, struct block *b, struct json_node v)
{
    if (!json_node_is(v, JSON_STRING))
        return refuse(r, v, STR_NONE, "must be a string");
    b->text = json_node_text(v, r->arena);
    return OK;
}

/* What a tool gave as JSON is the text of it to everybody else. */
static err_t read_json(struct reading *r, struct block *b, struct json_node v)
{
    (void)r;
    b->text = json_node_raw(v);
    return OK;
}

static err_t read_citations_content(struct reading *r, struct block *b, struct json_node v)
{
    struct citation **last = &b->citations;

    b->text = joined_texts(json_node_get(v, STR("content")), r->arena);
    JSON_EACH(w, json_node_get(v, STR("citations"))) {
        *last = arena_new(r->arena, struct citation);
        **last = bedrock_citation(w.value, r->arena);
        last = &(*last)->next;
    }
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("content"), STR_INIT("citations"));
    return OK;
}

static err_t read_source(struct reading *r, struct media *to, struct json_node v)
{
    struct json_node source = json_node_get(v, STR("source")), s3 = json_node_get(source, STR("s3Location"));

    if (json_node_is(json_node_get(source, STR("bytes")), JSON_STRING)) {
        to->source = MEDIA_BASE64;
        to->data = base64_standard(text_of(r, source, STR("bytes")), r->arena);
    } else if (json_node_is(s3, JSON_OBJECT)) {
        to->source = MEDIA_URL;
        to->data = text_of(r, s3, STR("uri"));
        CHAT_KEEP_UNKNOWN(r->q, r->arena, s3, STR_INIT("uri"));
    } else {
        struct json_node content = json_node_get(source, STR("content"));
        to->source = MEDIA_TEXT;
        to->data =
            json_node_is(content, JSON_ARRAY) ? joined_texts(content, r->arena) : text_of(r, source, STR("text"));
    }
    if (!to->data.n)
        return refuse(r, v, STR("source"), "must hold bytes, an s3Location or, of a document, text or content");
    CHAT_KEEP_UNKNOWN(r->q, r->arena, source, STR_INIT("bytes"), STR_INIT("s3Location"), STR_INIT("text"),
                      STR_INIT("content"));
    return OK;
}

static err_t read_media(struct reading *r, struct block *b, struct json_node v)
{
    struct str format = text_of(r, v, STR("format"));

    TRY(read_source(r, &b->media, v));
    b->media.type = bedrock_type_of(b->kind, format);
    if (format.n && !b->media.type.n)
        return refuse(r, v, STR("format"), "is not a format that Bedrock has for this kind of block");
    if (b->kind == BLOCK_DOCUMENT)
        return OK;
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("format"), STR_INIT("source"));
    return OK;
}

static void read_citing(struct block *b, struct json_node v)
{
    bool on;

    if (json_node_bool(json_node_get(json_node_get(v, STR("citations")), STR("enabled")), &on))
        b->citations_on = on ? YES : NO;
}

static err_t read_document(struct reading *r, struct block *b, struct json_node v)
{
    TRY(read_media(r, b, v));
    b->media.name = text_of(r, v, STR("name"));
    b->context = text_of(r, v, STR("context"));
    read_citing(b, v);
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("format"), STR_INIT("source"), STR_INIT("name"), STR_INIT("context"),
                      STR_INIT("citations"));
    return OK;
}

/* For everybody else a document in words. */
static err_t read_search_result(struct reading *r, struct block *b, struct json_node v)
{
    b->context = text_of(r, v, STR("source"));
    read_citing(b, v);
    b->media = (struct media){.source = MEDIA_TEXT,
                              .type = STR("text/plain"),
                              .data = joined_texts(json_node_get(v, STR("content")), r->arena),
                              .name = text_of(r, v, STR("title"))};
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("source"), STR_INIT("title"), STR_INIT("content"),
                      STR_INIT("citations"));
    return OK;
}

static err_t read_guarded(struct reading *r, struct block *b, struct json_node v)
{
    struct json_node text = json_node_get(v, STR("text")), image = json_node_get(v, STR("image"));

    chat_add_extra(r->q, r->arena, JSON_ABSENT, v, true); /* that it is to be guarded */
    if (json_node_is_set(image)) {
        b->kind = BLOCK_IMAGE;
        return read_media(r, b, image);
    }
    return read_text(r, b, json_node_is(text, JSON_OBJECT) ? json_node_get(text, STR("text")) : text);
}

/* Bytes whose JSON form is base64. What was made elsewhere stands in them with its maker's name (bedrock_answer_write.c). */
static struct str unwrapped_blob(struct reading *r, struct str carried, enum signer *ret_signer)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(carried.n);
    struct str inner;

    *ret_signer = SIGNER_ANTHROPIC;
    if (base64_decode(&bytes, carried, BASE64) != OK)
        return carried;
    inner = signature_unwrap(buf_str(&bytes), SIGNER_ANTHROPIC, ret_signer);
    return *ret_signer == SIGNER_ANTHROPIC ? carried : arena_str(r->arena, inner);
}

static err_t read_reasoning(struct reading *r, struct block *b, struct json_node v)
{
    struct json_node text = json_node_get(v, STR("reasoningText")), blob = json_node_get(v, STR("redactedContent"));

    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("reasoningText"), STR_INIT("redactedContent"));
    if (json_node_is(blob, JSON_STRING)) {
        b->kind = BLOCK_REDACTED;
        b->text = unwrapped_blob(r, json_node_text(blob, r->arena), &b->signer);
        return OK;
    }
    if (!json_node_is(text, JSON_OBJECT))
        return refuse(r, v, STR_NONE, "must hold reasoningText or redactedContent");
    struct str carried = text_of(r, text, STR("signature"));
    b->text = text_of(r, text, STR("text"));
    if (carried.n)
        b->signature = signature_unwrap(carried, SIGNER_ANTHROPIC, &b->signer);
    CHAT_KEEP_UNKNOWN(r->q, r->arena, text, STR_INIT("text"), STR_INIT("signature"));
    return OK;
}

static err_t read_tool_use(struct reading *r, struct block *b, struct json_node v)
{
    struct json_node input = json_node_get(v, STR("input"));

    b->id = tool_id_restore(text_of(r, v, STR("toolUseId")), r->arena);
    b->name = text_of(r, v, STR("name"));
    if (!b->id.n)
        return refuse(r, v, STR("toolUseId"), "must be a string that is not empty");
    if (!b->name.n)
        return refuse(r, v, STR("name"), "must be a string that is not empty");
    b->arguments = json_node_is_set(input) ? json_node_raw(input) : STR("{}");
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("toolUseId"), STR_INIT("name"), STR_INIT("input"));
    return OK;
}

static err_t read_blocks(struct reading *r, struct block **list, struct json_node content, bool is_result);

static err_t read_tool_result(struct reading *r, struct block *b, struct json_node v)
{
    struct json_node content = json_node_get(v, STR("content"));

    b->id = tool_id_restore(text_of(r, v, STR("toolUseId")), r->arena);
    b->is_error = json_node_text_is(json_node_get(v, STR("status")), STR("error"));
    if (!b->id.n)
        return refuse(r, v, STR("toolUseId"), "must be a string that is not empty");
    if (json_node_is_set(content) && !json_node_is(content, JSON_ARRAY))
        return refuse(r, v, STR("content"), "must be a list of blocks");
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("toolUseId"), STR_INIT("content"), STR_INIT("status"));
    TRY(read_blocks(r, &b->content, content, true));
    r->last = b; /* a mark behind it is the result's, not its last part's */
    return OK;
}

/* --- lists of blocks --- */

static const struct {
    struct str member;
    enum block_kind kind;
    bool in_result, in_message;
    err_t (*read)(struct reading *r, struct block *b, struct json_node v);
} members[] = {
    {STR_INIT("text"), BLOCK_TEXT, true, true, read_text},
    {STR_INIT("json"), BLOCK_TEXT, true, false, read_json},
    {STR_INIT("image"), BLOCK_IMAGE, true, true, read_media},
    {STR_INIT("document"), BLOCK_DOCUMENT, true, true, read_document},
    {STR_INIT("video"), BLOCK_VIDEO, true, true, read_media},
    {STR_INIT("audio"), BLOCK_AUDIO, false, true, read_media},
    {STR_INIT("searchResult"), BLOCK_DOCUMENT, true, true, read_search_result},
    {STR_INIT("citationsContent"), BLOCK_TEXT, false, true, read_citations_content},
    {STR_INIT("guardContent"), BLOCK_TEXT, false, true, read_guarded},
    {STR_INIT("reasoningContent"), BLOCK_THINKING, false, true, read_reasoning},
    {STR_INIT("toolUse"), BLOCK_TOOL_CALL, false, true, read_tool_use},
    {STR_INIT("toolResult"), BLOCK_TOOL_RESULT, false, true, read_tool_result},
};

static enum cache_hint cache_of(struct json_node point)
{
    struct json_node ttl = json_node_get(point, STR("ttl"));

    if (json_node_text_is(ttl, STR("1h")))
        return CACHE_1H;
    return json_node_text_is(ttl, STR("5m")) ? CACHE_5M : CACHE_DEFAULT;
}

static void read_cache_point(struct reading *r, struct json_node block, struct json_node point)
{
    if (r->last)
        r->last->cache = cache_of(point);
    else
        chat_add_extra(r->q, r->arena, JSON_ABSENT, block, true);
}

static err_t read_block(struct reading *r, struct block **list, struct json_node v, bool is_result)
{
    struct json_node point = json_node_get(v, STR("cachePoint"));

    if (!json_node_is(v, JSON_OBJECT))
        return refuse(r, v, STR_NONE, "must be an object whose one member says what it is");
    if (json_node_is_set(point)) {
        read_cache_point(r, v, point);
        return OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct json_node value = json_node_get(v, members[i].member);
        if (!json_node_is_set(value) || !(is_result ? members[i].in_result : members[i].in_message))
            continue;
        struct block *b = r->last = chat_add_block(list, r->arena, members[i].kind, v);
        chat_keep_unknown(r->q, r->arena, v, &members[i].member, 1);
        return members[i].read(r, b, value);
    }
    struct block *b = r->last = chat_add_block(list, r->arena, BLOCK_OPAQUE, v);
    b->text = json_node_raw(v);
    b->of = &dialect_bedrock;
    return OK;
}

static err_t read_blocks(struct reading *r, struct block **list, struct json_node content, bool is_result)
{
    JSON_EACH(w, content) {
        TRY(read_block(r, list, w.value, is_result));
        while (*list)
            list = &(*list)->next;
    }
    return OK;
}

/* --- messages --- */

static err_t read_message(struct reading *r, struct json_node v)
{
    struct json_node role = json_node_get(v, STR("role")), content = json_node_get(v, STR("content"));
    enum chat_role is = CHAT_USER;

    if (json_node_text_is(role, STR("assistant")))
        is = CHAT_ASSISTANT;
    else if (json_node_text_is(role, STR("system")))
        is = CHAT_SYSTEM;
    else if (!json_node_text_is(role, STR("user")))
        return refuse(r, v, STR("role"), "must be \"user\", \"assistant\" or \"system\"");
    if (!json_node_is(content, JSON_ARRAY))
        return refuse(r, v, STR("content"), "must be a list of blocks");
    struct turn *turn = chat_add_turn(r->q, r->arena, is, v);
    TRY(read_blocks(r, &turn->blocks, content, false));
    signatures_adopt(&turn->blocks, true);
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("role"), STR_INIT("content"));
    return OK;
}

static err_t take_messages(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, STR_NONE, "must be a list of messages");
    JSON_EACH(w, v)
        TRY(read_message(r, w.value));
    return OK;
}

static err_t read_system(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, STR_NONE, "must be a list of blocks");
    if (!json_node_count(v))
        return OK;
    TRY(read_blocks(r, &chat_add_turn(r->q, r->arena, CHAT_SYSTEM, v)->blocks, v, false));
    r->last = NULL; /* messages begin anew */
    return OK;
}

/* --- tools --- */

static err_t read_tool_spec(struct reading *r, struct json_node v)
{
    struct json_node schema = json_node_get(json_node_get(v, STR("inputSchema")), STR("json"));
    struct tool *tool = chat_add_tool(r->q, r->arena, TOOL_FUNCTION, v);
    bool strict;

    tool->name = text_of(r, v, STR("name"));
    if (!tool->name.n)
        return refuse(r, v, STR("name"), "must be a string that is not empty");
    if (json_node_is_set(schema) && !json_node_is(schema, JSON_OBJECT))
        return refuse(r, v, STR("inputSchema"), "must hold a JSON Schema, an object, in its member json");
    tool->description = text_of(r, v, STR("description"));
    tool->parameters = json_node_is_set(schema) ? json_node_raw(schema) : STR_NONE;
    if (json_node_bool(json_node_get(v, STR("strict")), &strict))
        tool->strict = strict ? YES : NO;
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("name"), STR_INIT("description"), STR_INIT("inputSchema"),
                      STR_INIT("strict"));
    return OK;
}

static err_t read_tool(struct reading *r, struct json_node v)
{
    struct json_node spec = json_node_get(v, STR("toolSpec")), point = json_node_get(v, STR("cachePoint"));

    if (json_node_is_set(spec))
        return read_tool_spec(r, spec);
    if (json_node_is_set(point)) {
        if (r->q->last_tool)
            r->q->last_tool->cache = cache_of(point);
        else
            chat_add_extra(r->q, r->arena, JSON_ABSENT, v, true);
        return OK;
    }
    if (!json_node_is(v, JSON_OBJECT))
        return refuse(r, v, STR_NONE, "must be an object whose one member says what it is");
    struct tool *hosted = chat_add_tool(r->q, r->arena, TOOL_HOSTED, v);
    hosted->name = text_of(r, json_node_get(v, STR("systemTool")), STR("name"));
    hosted->raw = json_node_raw(v);
    hosted->of = &dialect_bedrock;
    return OK;
}

static err_t read_choice(struct reading *r, struct json_node v)
{
    struct json_node tool = json_node_get(v, STR("tool"));
    struct tool_choice *to = &r->q->tool_choice;

    to->from = v;
    if (json_node_is_set(json_node_get(v, STR("auto")))) {
        to->kind = CHOICE_AUTO;
    } else if (json_node_is_set(json_node_get(v, STR("any")))) {
        to->kind = CHOICE_REQUIRED;
    } else {
        to->kind = CHOICE_NAMED;
        to->name = text_of(r, tool, STR("name"));
        if (!to->name.n)
            return refuse(r, v, STR_NONE, "must be {\"auto\":{}}, {\"any\":{}} or {\"tool\":{\"name\":…}}");
    }
    return OK;
}

static err_t take_tools(struct reading *r, struct json_node v)
{
    struct json_node tools = json_node_get(v, STR("tools")), choice = json_node_get(v, STR("toolChoice"));

    if (!json_node_is(tools, JSON_ARRAY))
        return refuse(r, v, STR("tools"), "must be a list of tools");
    JSON_EACH(w, tools)
        TRY(read_tool(r, w.value));
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("tools"), STR_INIT("toolChoice"));
    return json_node_is_set(choice) ? read_choice(r, choice) : OK;
}

/* --- settings --- */

static err_t read_number(struct reading *r, struct json_node object, struct str key, struct number *to)
{
    struct json_node v = json_node_get(object, key);

    if (json_node_is_set(v) && !json_node_is(v, JSON_NUMBER))
        return refuse(r, object, key, "must be a number");
    chat_read_number(to, v);
    return OK;
}

static err_t take_inference(struct reading *r, struct json_node v)
{
    struct json_node stops = json_node_get(v, STR("stopSequences"));
    struct chat_request *q = r->q;

    TRY(read_number(r, v, STR("maxTokens"), &q->max_output));
    TRY(read_number(r, v, STR("temperature"), &q->temperature));
    TRY(read_number(r, v, STR("topP"), &q->top_p));
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("maxTokens"), STR_INIT("temperature"), STR_INIT("topP"),
                      STR_INIT("stopSequences"));
    if (!json_node_is_set(stops))
        return OK;
    if (!json_node_is(stops, JSON_ARRAY))
        return refuse(r, v, STR("stopSequences"), "must be a list of strings");
    q->stops = arena_zalloc(r->arena, (json_node_count(stops) + 1) * sizeof *q->stops);
    JSON_EACH(w, stops) {
        if (!json_node_is(w.value, JSON_STRING))
            return refuse(r, w.value, STR_NONE, "must be a string");
        chat_read_setting(&q->stops[q->stop_count++], w.value, r->arena);
    }
    return OK;
}

static void read_effort(struct reading *r, struct json_node v)
{
    enum effort effort = effort_of(json_node_text(v, r->arena));

    if (effort == EFFORT_UNSET) {
        if (json_node_is_set(v))
            chat_add_extra(r->q, r->arena, JSON_ABSENT, v, true);
        return;
    }
    r->q->reasoning.effort = effort;
    if (json_is_absent(r->q->reasoning.from))
        r->q->reasoning.from = v;
}

/* Nova's own form: {"type": "enabled", "maxReasoningEffort": "low"}. */
static void read_nova_reasoning(struct reading *r, struct json_node v)
{
    struct reasoning *to = &r->q->reasoning;

    if (!json_node_is(v, JSON_OBJECT))
        return;
    to->from = v;
    to->on = json_node_text_is(json_node_get(v, STR("type")), STR("enabled")) ? YES : NO;
    read_effort(r, json_node_get(v, STR("maxReasoningEffort")));
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("maxReasoningEffort"));
}

/* Claude's own form, for what toolChoice cannot say. */
static void read_claude_choice(struct reading *r, struct json_node v)
{
    struct json_node type = json_node_get(v, STR("type")), serial = json_node_get(v, STR("disable_parallel_tool_use"));
    struct tool_choice *to = &r->q->tool_choice;
    bool off;

    if (json_node_text_is(type, STR("none")))
        *to = (struct tool_choice){.kind = CHOICE_NONE, .from = v};
    if (json_node_text_is(type, STR("any")))
        *to = (struct tool_choice){.kind = CHOICE_REQUIRED, .from = v};
    if (json_node_text_is(type, STR("tool")))
        *to = (struct tool_choice){.kind = CHOICE_NAMED, .name = text_of(r, v, STR("name")), .from = v};
    if (json_node_bool(serial, &off))
        r->q->parallel_tools = (struct flag){off ? NO : YES, serial};
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("name"), STR_INIT("disable_parallel_tool_use"));
}

/* The model's own fields: those that several makers' models have. */
static err_t take_additional(struct reading *r, struct json_node v)
{
    static const struct str thinking[] = {STR_INIT("thinking"), STR_INIT("reasoning_config")};
    struct json_node nova = json_node_get(v, STR("inferenceConfig"));

    for (size_t i = 0; i < ARRAY_LEN(thinking); i++) {
        struct json_node setting = json_node_get(v, thinking[i]);
        if (json_node_is_set(setting) && !claude_read_thinking(setting, &r->q->reasoning))
            chat_add_extra(r->q, r->arena, JSON_ABSENT, setting, true);
    }
    TRY(read_number(r, v, STR("k"), &r->q->top_k));
    TRY(read_number(r, v, STR("top_k"), &r->q->top_k));
    TRY(read_number(r, nova, STR("topK"), &r->q->top_k));
    read_claude_choice(r, json_node_get(v, STR("tool_choice")));
    read_nova_reasoning(r, json_node_get(v, STR("reasoningConfig")));
    read_effort(r, json_node_get(v, STR("reasoning_effort")));
    CHAT_KEEP_UNKNOWN(r->q, r->arena, nova, STR_INIT("topK"));
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("thinking"), STR_INIT("reasoning_config"), STR_INIT("k"),
                      STR_INIT("top_k"), STR_INIT("inferenceConfig"), STR_INIT("tool_choice"),
                      STR_INIT("reasoningConfig"), STR_INIT("reasoning_effort"));
    return OK;
}

static err_t read_format(struct reading *r, struct json_node v)
{
    struct json_node schema =
        json_node_get(json_node_get(json_node_get(v, STR("structure")), STR("jsonSchema")), STR("schema"));
    struct json_node named = json_node_get(json_node_get(v, STR("structure")), STR("jsonSchema"));
    struct str text = json_node_text(schema, r->arena);

    if (!json_node_text_is(json_node_get(v, STR("type")), STR("json_schema")))
        return refuse(r, v, STR("type"), "must be \"json_schema\"");
    if (!json_valid(text, 0))
        return refuse(r, v, STR("structure"), "must hold jsonSchema.schema, the text of a JSON Schema");
    r->q->format = (struct response_format){.kind = FORMAT_SCHEMA,
                                            .name = text_of(r, named, STR("name")),
                                            .description = text_of(r, named, STR("description")),
                                            .schema = text,
                                            .strict = YES,
                                            .from = v};
    CHAT_KEEP_UNKNOWN(r->q, r->arena, named, STR_INIT("schema"), STR_INIT("name"), STR_INIT("description"));
    return OK;
}

static err_t take_output(struct reading *r, struct json_node v)
{
    struct json_node format = json_node_get(v, STR("textFormat"));

    read_effort(r, json_node_get(v, STR("effort")));
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("effort"), STR_INIT("textFormat"));
    return json_node_is_set(format) ? read_format(r, format) : OK;
}

static err_t take_metadata(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_OBJECT))
        return refuse(r, v, STR_NONE, "must be an object of strings");
    chat_read_raw(&r->q->metadata, v);
    return OK;
}

static err_t take_tier(struct reading *r, struct json_node v)
{
    chat_read_setting(&r->q->service_tier, json_node_get(v, STR("type")), r->arena);
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"));
    return OK;
}

/* Which stop sequence it was is told (bedrock_answer_write.c); other fields of models' own answers nobody else has. */
static err_t take_response_paths(struct reading *r, struct json_node v)
{
    JSON_EACH(w, v)
        if (!json_node_text_is(w.value, STR("/stop_sequence")))
            chat_add_extra(r->q, r->arena, JSON_ABSENT, w.value, true);
    return OK;
}

static const struct {
    struct str name;
    err_t (*take)(struct reading *r, struct json_node v);
} fields[] = {
    {STR_INIT("messages"), take_messages},
    {STR_INIT("inferenceConfig"), take_inference},
    {STR_INIT("toolConfig"), take_tools},
    {STR_INIT("outputConfig"), take_output},
    {STR_INIT("requestMetadata"), take_metadata},
    {STR_INIT("serviceTier"), take_tier},
    {STR_INIT("additionalModelRequestFields"), take_additional},
    {STR_INIT("additionalModelResponseFieldPaths"), take_response_paths},
};

static err_t read_members(struct reading *r, struct json_node root)
{
    bool seen[ARRAY_LEN(fields)] = {false};

    JSON_EACH(w, root) {
        size_t i = 0;
        if (!json_node_is_set(w.value) || json_walk_key_is(&w, STR("system")))
            continue;
        while (i < ARRAY_LEN(fields) && !json_walk_key_is(&w, fields[i].name))
            i++;
        if (i == ARRAY_LEN(fields)) {
            chat_add_extra(r->q, r->arena, w.key, w.value, false);
            continue;
        }
        if (seen[i])
            return refuse(r, w.value, STR_NONE, "is given twice");
        seen[i] = true;
        TRY(fields[i].take(r, w.value));
    }
    return OK;
}

/* The request itself: the document, or what CountTokens is to count. */
static err_t find_request(struct reading *r, struct json_node root, bool counts, struct json_node *ret)
{
    *ret = counts ? json_node_get(json_node_get(root, STR("input")), STR("converse")) : root;
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    if (json_node_is(*ret, JSON_OBJECT))
        return OK;
    return refuse(r, root, STR("input"), "only the tokens of a request to converse are counted here");
}

err_t bedrock_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                        struct str *ret_param)
{
    struct chat_request q = {.dialect = &dialect_bedrock,
                             .document = doc,
                             .include_usage = true,
                             .model = t->path_model,
                             .stream = t->row->stream == STREAM_ALWAYS};
    struct reading r = {.arena = t->arena, .q = &q, .param = ret_param};
    struct json_node root;

    *ret_param = STR_NONE;
    q.reasoning.budget = -1;
    TRY(find_request(&r, json_tree_root(doc), t->row->variant == BEDROCK_COUNT, &root));
    struct json_node system = json_node_get(root, STR("system"));
    if (json_node_is_set(system))
        TRY(read_system(&r, system)); /* before the messages, wherever it stands */
    TRY(read_members(&r, root));
    if (!q.turns)
        return refuse(&r, root, STR("messages"), "at least one message is required");
    chat_name_results(&q);
    *ret = q;
    return OK;
}
