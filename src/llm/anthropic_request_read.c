/*
 * anthropic_request_read.c - a request to Anthropic's Messages API as the canonical one.
 *
 * The document is walked member by member; what has no canonical form is kept, as extras, opaque blocks or hosted tools, so that a provider of
 * the same family gets it and all others have it reported. Both versions of the API and the forms of Bedrock and Vertex, whose bodies lack the
 * model, are read alike. What only Anthropic's own service refuses (unpaired results, empty texts) is not judged here.
 *
 * A thinking block without words, signed by Google, stands for the signature of the tool call behind it (anthropic_answer_write.c made it).
 */
#include "llm/anthropic_int.h"
#include "llm/signature.h"
#include "llm/tool_id.h"

struct reading {
    struct translation *t;
    struct arena *arena;
    struct chat_request *q;
    struct str *param;
};

/* --- refusing --- */

/* `at`, or its member (which may be absent), is not what it must be. */
static err_t refuse(struct reading *r, struct json_node at, struct str member, const char *what)
{
    *r->param = chat_field(at, member, r->arena);
    return fail(E_PARSE, "%.*s: %s", STR_ARG(*r->param), what);
}

/* --- parts --- */

static struct str text_of(struct reading *r, struct json_node object, struct str key)
{
    return json_get_text(object, key, r->arena);
}

static enum cache_hint cache_of(struct json_node part)
{
    struct json_node control = json_node_get(part, STR("cache_control")), ttl = json_node_get(control, STR("ttl"));

    if (!json_node_is(control, JSON_OBJECT))
        return CACHE_NONE;
    if (json_node_text_is(ttl, STR("1h")))
        return CACHE_1H;
    return json_node_text_is(ttl, STR("5m")) ? CACHE_5M : CACHE_DEFAULT;
}

struct citation anthropic_citation(struct json_node v, struct arena *arena)
{
    struct str title = json_get_text(v, STR("title"), arena), url = json_get_text(v, STR("url"), arena);
    struct json_node index = json_node_get(v, STR("document_index"));

    return (struct citation){
        .url = url.n ? url : json_get_text(v, STR("source"), arena),
        .title = title.n ? title : json_get_text(v, STR("document_title"), arena),
        .cited_text = json_get_text(v, STR("cited_text"), arena),
        .document_id = json_node_raw(index),
        .start = -1,
        .end = -1,
        .raw = json_node_raw(v),
        .of = &dialect_anthropic,
    };
}

static err_t read_text(struct reading *r, struct block *b, struct json_node v)
{
    struct citation **last = &b->citations;

    if (!json_node_is(json_node_get(v, STR("text")), JSON_STRING))
        return refuse(r, v, STR("text"), "must be a string");
    b->text = text_of(r, v, STR("text"));
    JSON_EACH(w, json_node_get(v, STR("citations"))) {
        *last = arena_new(r->arena, struct citation);
        **last = anthropic_citation(w.value, r->arena);
        last = &(*last)->next;
    }
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("text"), STR_INIT("citations"),
                      STR_INIT("cache_control"));
    return OK;
}

/* The texts of a list of blocks, or a string, as one. */
static struct str joined_text(struct reading *r, struct json_node content)
{
    struct block *texts = NULL;

    if (json_node_is(content, JSON_STRING))
        return json_node_text(content, r->arena);
    JSON_EACH(w, content) {
        if (json_node_text_is(json_node_get(w.value, STR("type")), STR("text")))
            chat_add_block(&texts, r->arena, BLOCK_TEXT, w.value)->text = text_of(r, w.value, STR("text"));
        else
            chat_add_extra(r->q, r->arena, JSON_ABSENT, w.value, true);
    }
    return blocks_text(texts, STR("\n"), r->arena);
}

static err_t read_source(struct reading *r, struct media *to, struct json_node v)
{
    struct json_node source = json_node_get(v, STR("source")), type = json_node_get(source, STR("type"));

    to->type = text_of(r, source, STR("media_type"));
    if (json_node_text_is(type, STR("base64"))) {
        to->source = MEDIA_BASE64;
        to->data = base64_standard(text_of(r, source, STR("data")), r->arena);
    } else if (json_node_text_is(type, STR("url"))) {
        err_t e = media_from_url(to, text_of(r, source, STR("url")), r->arena);
        if (e != OK)
            return refuse(r, source, STR("url"), "must be a URL, or a whole data: URL");
    } else if (json_node_text_is(type, STR("file"))) {
        to->source = MEDIA_FILE_ID;
        to->data = text_of(r, source, STR("file_id"));
    } else if (json_node_text_is(type, STR("text"))) {
        to->source = MEDIA_TEXT;
        to->data = text_of(r, source, STR("data"));
    } else if (json_node_text_is(type, STR("content"))) {
        to->source = MEDIA_TEXT;
        to->data = joined_text(r, json_node_get(source, STR("content")));
    } else {
        return refuse(r, v, STR("source"), "must be an object of type base64, url, file, text or content");
    }
    if (!to->data.n)
        return refuse(r, v, STR("source"), "holds no data");
    CHAT_KEEP_UNKNOWN(r->q, r->arena, source, STR_INIT("type"), STR_INIT("media_type"), STR_INIT("data"),
                      STR_INIT("url"), STR_INIT("file_id"), STR_INIT("content"));
    return OK;
}

static err_t read_image(struct reading *r, struct block *b, struct json_node v)
{
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("source"), STR_INIT("cache_control"));
    return read_source(r, &b->media, v);
}

static void read_citing(struct block *b, struct json_node v)
{
    bool on;

    if (json_node_bool(json_node_get(json_node_get(v, STR("citations")), STR("enabled")), &on))
        b->citations_on = on ? YES : NO;
}

static err_t read_document(struct reading *r, struct block *b, struct json_node v)
{
    b->context = text_of(r, v, STR("context"));
    read_citing(b, v);
    TRY(read_source(r, &b->media, v));
    b->media.name = text_of(r, v, STR("title"));
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("source"), STR_INIT("title"), STR_INIT("context"),
                      STR_INIT("citations"), STR_INIT("cache_control"));
    return OK;
}

/* For everybody else a document in words. */
static err_t read_search_result(struct reading *r, struct block *b, struct json_node v)
{
    b->context = text_of(r, v, STR("source"));
    read_citing(b, v);
    b->media = (struct media){.source = MEDIA_TEXT,
                              .type = STR("text/plain"),
                              .data = joined_text(r, json_node_get(v, STR("content"))),
                              .name = text_of(r, v, STR("title"))};
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("source"), STR_INIT("title"), STR_INIT("content"),
                      STR_INIT("citations"), STR_INIT("cache_control"));
    return OK;
}

static err_t read_thinking(struct reading *r, struct block *b, struct json_node v)
{
    struct str carried = text_of(r, v, STR("signature"));

    b->text = text_of(r, v, STR("thinking"));
    if (carried.n)
        b->signature = signature_unwrap(carried, SIGNER_ANTHROPIC, &b->signer);
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("thinking"), STR_INIT("signature"));
    return OK;
}

static err_t read_redacted(struct reading *r, struct block *b, struct json_node v)
{
    b->text = signature_unwrap(text_of(r, v, STR("data")), SIGNER_ANTHROPIC, &b->signer);
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("data"));
    return OK;
}

static err_t read_tool_use(struct reading *r, struct block *b, struct json_node v)
{
    struct json_node input = json_node_get(v, STR("input"));

    b->id = tool_id_restore(text_of(r, v, STR("id")), r->arena); /* as the provider that made it knows it */
    b->name = text_of(r, v, STR("name"));
    if (!b->id.n)
        return refuse(r, v, STR("id"), "must be a string that is not empty");
    if (!b->name.n)
        return refuse(r, v, STR("name"), "must be a string that is not empty");
    if (json_node_is_set(input) && !json_node_is(input, JSON_OBJECT))
        return refuse(r, v, STR("input"), "must be an object");
    b->arguments = json_node_is_set(input) ? json_node_raw(input) : STR("{}");
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("id"), STR_INIT("name"), STR_INIT("input"),
                      STR_INIT("cache_control"));
    return OK;
}

static err_t read_content(struct reading *r, struct block **list, struct json_node parent, bool is_result);

static err_t read_tool_result(struct reading *r, struct block *b, struct json_node v)
{
    b->id = tool_id_restore(text_of(r, v, STR("tool_use_id")), r->arena);
    b->is_error = json_get_true(v, STR("is_error"));
    if (!b->id.n)
        return refuse(r, v, STR("tool_use_id"), "must be a string that is not empty");
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("tool_use_id"), STR_INIT("content"),
                      STR_INIT("is_error"), STR_INIT("cache_control"));
    return json_node_is_set(json_node_get(v, STR("content"))) ? read_content(r, &b->content, v, true) : OK;
}

/* --- lists of parts --- */

static const struct {
    struct str type;
    enum block_kind kind;
    bool in_result; /* may be part of a tool's result */
    err_t (*read)(struct reading *r, struct block *b, struct json_node v);
} block_types[] = {
    {STR_INIT("text"), BLOCK_TEXT, true, read_text},
    {STR_INIT("image"), BLOCK_IMAGE, true, read_image},
    {STR_INIT("document"), BLOCK_DOCUMENT, true, read_document},
    {STR_INIT("search_result"), BLOCK_DOCUMENT, true, read_search_result},
    {STR_INIT("thinking"), BLOCK_THINKING, false, read_thinking},
    {STR_INIT("redacted_thinking"), BLOCK_REDACTED, false, read_redacted},
    {STR_INIT("tool_use"), BLOCK_TOOL_CALL, false, read_tool_use},
    {STR_INIT("tool_result"), BLOCK_TOOL_RESULT, false, read_tool_result},
};

static void add_opaque(struct reading *r, struct block **list, struct json_node v)
{
    struct block *b = chat_add_block(list, r->arena, BLOCK_OPAQUE, v);

    b->text = json_node_raw(v);
    b->of = &dialect_anthropic;
}

static err_t read_block(struct reading *r, struct block **list, struct json_node v, bool is_result)
{
    struct json_node type = json_node_get(v, STR("type"));

    if (!json_node_is(type, JSON_STRING))
        return refuse(r, v, STR("type"), "must be a string that names the kind of block");
    for (size_t i = 0; i < ARRAY_LEN(block_types); i++) {
        if (!json_node_text_is(type, block_types[i].type) || (is_result && !block_types[i].in_result))
            continue;
        struct block *b = chat_add_block(list, r->arena, block_types[i].kind, v);
        b->cache = cache_of(v);
        return block_types[i].read(r, b, v);
    }
    add_opaque(r, list, v);
    return OK;
}

/* The member "content": a string or a list of blocks. */
static err_t read_content(struct reading *r, struct block **list, struct json_node parent, bool is_result)
{
    struct json_node content = json_node_get(parent, STR("content"));

    if (json_node_is(content, JSON_STRING)) {
        chat_add_block(list, r->arena, BLOCK_TEXT, content)->text = json_node_text(content, r->arena);
        return OK;
    }
    if (!json_node_is(content, JSON_ARRAY))
        return refuse(r, parent, STR("content"), "must be a string or a list of blocks");
    while (*list)
        list = &(*list)->next;
    JSON_EACH(w, content) {
        TRY(read_block(r, list, w.value, is_result));
        list = &(*list)->next;
    }
    return OK;
}

/* --- messages --- */

static err_t read_message(struct reading *r, struct json_node v)
{
    struct json_node role = json_node_get(v, STR("role"));
    enum chat_role is = CHAT_USER;

    if (json_node_text_is(role, STR("assistant")))
        is = CHAT_ASSISTANT;
    else if (json_node_text_is(role, STR("system")))
        is = CHAT_SYSTEM;
    else if (!json_node_text_is(role, STR("user")))
        return refuse(r, v, STR("role"), "must be \"user\", \"assistant\" or \"system\"");
    struct turn *turn = chat_add_turn(r->q, r->arena, is, v);
    TRY(read_content(r, &turn->blocks, v, false));
    if (is == CHAT_ASSISTANT)
        signatures_adopt(&turn->blocks, false);
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("role"), STR_INIT("content"));
    return OK;
}

static err_t take_messages(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, STR_NONE, "must be a list of messages");
    if (!json_node_count(v))
        return refuse(r, v, STR_NONE, "at least one message is required");
    JSON_EACH(w, v)
        TRY(read_message(r, w.value));
    return OK;
}

/* Claude Code's first system block changes with each request and means nothing to others. */
static bool is_billing_header(struct json_node v, struct arena *arena)
{
    return str_starts(json_get_text(v, STR("text"), arena), STR("x-anthropic-billing-header:"));
}

static err_t read_system(struct reading *r, struct json_node v)
{
    struct turn *turn = chat_add_turn(r->q, r->arena, CHAT_SYSTEM, v);
    struct block **list = &turn->blocks;

    if (json_node_is(v, JSON_STRING)) {
        chat_add_block(list, r->arena, BLOCK_TEXT, v)->text = json_node_text(v, r->arena);
        return OK;
    }
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, STR_NONE, "must be a string or a list of text blocks");
    JSON_EACH(w, v) {
        if (is_billing_header(w.value, r->arena))
            add_opaque(r, list, w.value);
        else
            TRY(read_block(r, list, w.value, true));
        list = &(*list)->next;
    }
    return OK;
}

/* --- tools --- */

static err_t read_tool(struct reading *r, struct json_node v)
{
    struct json_node type = json_node_get(v, STR("type")), schema = json_node_get(v, STR("input_schema"));
    bool strict;

    if (json_node_is_set(type) && !json_node_text_is(type, STR("custom"))) {
        struct tool *hosted = chat_add_tool(r->q, r->arena, TOOL_HOSTED, v);
        hosted->name = text_of(r, v, STR("name"));
        hosted->raw = json_node_raw(v);
        hosted->of = &dialect_anthropic;
        hosted->cache = cache_of(v);
        return OK;
    }
    struct tool *tool = chat_add_tool(r->q, r->arena, TOOL_FUNCTION, v);
    tool->name = text_of(r, v, STR("name"));
    if (!tool->name.n)
        return refuse(r, v, STR("name"), "must be a string that is not empty");
    if (json_node_is_set(schema) && !json_node_is(schema, JSON_OBJECT))
        return refuse(r, v, STR("input_schema"), "must be a JSON Schema, an object");
    tool->description = text_of(r, v, STR("description"));
    tool->parameters = json_node_is_set(schema) ? json_node_raw(schema) : STR_NONE;
    tool->cache = cache_of(v);
    if (json_node_bool(json_node_get(v, STR("strict")), &strict))
        tool->strict = strict ? YES : NO;
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("name"), STR_INIT("description"),
                      STR_INIT("input_schema"), STR_INIT("strict"), STR_INIT("cache_control"));
    return OK;
}

static err_t take_tools(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, STR_NONE, "must be a list of tools");
    JSON_EACH(w, v)
        TRY(read_tool(r, w.value));
    return OK;
}

static err_t take_tool_choice(struct reading *r, struct json_node v)
{
    static const struct {
        struct str type;
        enum tool_choice_kind kind;
    } kinds[] = {{STR_INIT("auto"), CHOICE_AUTO},
                 {STR_INIT("any"), CHOICE_REQUIRED},
                 {STR_INIT("none"), CHOICE_NONE},
                 {STR_INIT("tool"), CHOICE_NAMED}};
    struct json_node type = json_node_get(v, STR("type")), serial = json_node_get(v, STR("disable_parallel_tool_use"));
    bool off;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (json_node_text_is(type, kinds[i].type))
            r->q->tool_choice = (struct tool_choice){.kind = kinds[i].kind, .from = v};
    if (r->q->tool_choice.kind == CHOICE_UNSET)
        return refuse(r, v, STR("type"), "must be \"auto\", \"any\", \"tool\" or \"none\"");
    r->q->tool_choice.name = text_of(r, v, STR("name"));
    if (r->q->tool_choice.kind == CHOICE_NAMED && !r->q->tool_choice.name.n)
        return refuse(r, v, STR("name"), "must name the tool");
    if (json_node_bool(serial, &off))
        r->q->parallel_tools = (struct flag){off ? NO : YES, serial};
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("name"), STR_INIT("disable_parallel_tool_use"));
    return OK;
}

/* --- settings --- */

static err_t take_thinking(struct reading *r, struct json_node v)
{
    struct json_node type = json_node_get(v, STR("type")), display = json_node_get(v, STR("display"));
    struct reasoning *to = &r->q->reasoning;

    to->from = v;
    if (json_node_text_is(type, STR("disabled"))) {
        to->on = NO;
    } else if (json_node_text_is(type, STR("enabled"))) {
        to->on = YES;
        to->show = YES; /* the default of "display" */
        if (!json_node_i64(json_node_get(v, STR("budget_tokens")), &to->budget) || to->budget < 0)
            return refuse(r, v, STR("budget_tokens"), "must be a whole number of tokens");
    } else if (json_node_is(type, JSON_STRING)) { /* adaptive, between_tools */
        to->on = YES;
        to->adaptive = true;
        if (!json_node_text_is(type, STR("adaptive")))
            chat_add_extra(r->q, r->arena, JSON_ABSENT, type, true);
    } else {
        return refuse(r, v, STR("type"), "must be \"enabled\", \"adaptive\" or \"disabled\"");
    }
    if (json_node_is(display, JSON_STRING))
        to->show = json_node_text_is(display, STR("omitted")) ? NO : YES;
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("budget_tokens"), STR_INIT("display"));
    return OK;
}

static err_t take_format(struct reading *r, struct json_node v)
{
    struct json_node schema = json_node_get(v, STR("schema"));

    if (!json_node_text_is(json_node_get(v, STR("type")), STR("json_schema")))
        return refuse(r, v, STR("type"), "must be \"json_schema\"");
    if (!json_node_is(schema, JSON_OBJECT))
        return refuse(r, v, STR("schema"), "must be a JSON Schema, an object");
    r->q->format =
        (struct response_format){.kind = FORMAT_SCHEMA, .schema = json_node_raw(schema), .strict = YES, .from = v};
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("type"), STR_INIT("schema"));
    return OK;
}

static err_t take_output_config(struct reading *r, struct json_node v)
{
    struct json_node effort = json_node_get(v, STR("effort")), format = json_node_get(v, STR("format"));

    if (json_node_is_set(effort)) {
        r->q->reasoning.effort = effort_of(json_node_text(effort, r->arena));
        if (r->q->reasoning.effort == EFFORT_UNSET)
            return refuse(r, v, STR("effort"), "must be \"low\", \"medium\", \"high\", \"xhigh\" or \"max\"");
        if (json_is_absent(r->q->reasoning.from))
            r->q->reasoning.from = effort;
    }
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("effort"), STR_INIT("format"));
    return json_node_is_set(format) ? take_format(r, format) : OK;
}

static err_t take_stops(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_ARRAY))
        return refuse(r, v, STR_NONE, "must be a list of strings");
    r->q->stops = arena_zalloc(r->arena, (json_node_count(v) + 1) * sizeof *r->q->stops);
    JSON_EACH(w, v) {
        if (!json_node_is(w.value, JSON_STRING))
            return refuse(r, w.value, STR_NONE, "must be a string");
        chat_read_setting(&r->q->stops[r->q->stop_count++], w.value, r->arena);
    }
    return OK;
}

static err_t take_metadata(struct reading *r, struct json_node v)
{
    chat_read_setting(&r->q->user, json_node_get(v, STR("user_id")), r->arena);
    CHAT_KEEP_UNKNOWN(r->q, r->arena, v, STR_INIT("user_id"));
    return OK;
}

static err_t take_number(struct reading *r, struct json_node v, struct number *to)
{
    if (!json_node_is(v, JSON_NUMBER))
        return refuse(r, v, STR_NONE, "must be a number");
    chat_read_number(to, v);
    return OK;
}

static err_t take_max_tokens(struct reading *r, struct json_node v)
{
    int64_t n;

    if (!json_node_i64(v, &n) || n < 0)
        return refuse(r, v, STR_NONE, "must be a whole number of tokens");
    return take_number(r, v, &r->q->max_output);
}

static err_t take_temperature(struct reading *r, struct json_node v)
{
    return take_number(r, v, &r->q->temperature);
}

static err_t take_top_p(struct reading *r, struct json_node v)
{
    return take_number(r, v, &r->q->top_p);
}

static err_t take_top_k(struct reading *r, struct json_node v)
{
    return take_number(r, v, &r->q->top_k);
}

static err_t take_model(struct reading *r, struct json_node v)
{
    if (!json_node_is(v, JSON_STRING))
        return refuse(r, v, STR_NONE, "must be a string");
    r->q->model = json_node_text(v, r->arena);
    return OK;
}

static err_t take_stream(struct reading *r, struct json_node v)
{
    if (!json_node_bool(v, &r->q->stream))
        return refuse(r, v, STR_NONE, "must be true or false");
    return OK;
}

static err_t take_tier(struct reading *r, struct json_node v)
{
    chat_read_setting(&r->q->service_tier, v, r->arena);
    return OK;
}

/* The body's form of a header that only hosts use; what it says is no part of the conversation. */
static err_t take_nothing(struct reading *r, struct json_node v)
{
    (void)r;
    (void)v;
    return OK;
}

/*
 * A thread is a conversation that the provider keeps. No other provider has ours, and one that is continued brings its newest messages only, so
 * leaving the member out would be another question. SDKs that hear this code send the whole conversation instead.
 */
static err_t take_thread(struct reading *r, struct json_node v)
{
    r->t->refusal_code = "thread_unsupported_request";
    return refuse(r, v, STR_NONE, "this model's provider keeps no threads; send all messages");
}

static const struct {
    struct str name;
    err_t (*take)(struct reading *r, struct json_node v);
} fields[] = {
    {STR_INIT("model"), take_model},
    {STR_INIT("messages"), take_messages},
    {STR_INIT("max_tokens"), take_max_tokens},
    {STR_INIT("stream"), take_stream},
    {STR_INIT("temperature"), take_temperature},
    {STR_INIT("top_p"), take_top_p},
    {STR_INIT("top_k"), take_top_k},
    {STR_INIT("stop_sequences"), take_stops},
    {STR_INIT("tools"), take_tools},
    {STR_INIT("tool_choice"), take_tool_choice},
    {STR_INIT("thinking"), take_thinking},
    {STR_INIT("output_config"), take_output_config},
    {STR_INIT("output_format"), take_format},
    {STR_INIT("metadata"), take_metadata},
    {STR_INIT("service_tier"), take_tier},
    {STR_INIT("thread"), take_thread},
    {STR_INIT("anthropic_version"), take_nothing},
    {STR_INIT("anthropic_beta"), take_nothing},
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

err_t anthropic_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                          struct str *ret_param)
{
    struct json_node root = json_tree_root(doc), system = json_node_get(root, STR("system"));
    struct chat_request q = {.dialect = &dialect_anthropic, .document = doc, .include_usage = true};
    struct reading r = {.t = t, .arena = t->arena, .q = &q, .param = ret_param};

    *ret_param = STR_NONE;
    q.reasoning.budget = -1;
    if (!json_node_is(root, JSON_OBJECT))
        return fail(E_PARSE, "the body must be a JSON object");
    if (json_node_is_set(system))
        TRY(read_system(&r, system)); /* before the messages, wherever it stands */
    TRY(read_members(&r, root));
    if (json_is_absent(json_node_get(root, STR("messages"))))
        return refuse(&r, root, STR("messages"), "a list of messages is required");
    if (t->path_model.n)
        q.model = t->path_model;
    if (!q.model.n)
        return refuse(&r, root, STR("model"), "must name a model");
    q.stream = endpoint_streams(t->row, q.stream);
    chat_name_results(&q);
    *ret = q;
    return OK;
}
