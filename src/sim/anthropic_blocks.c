/*
 * anthropic_blocks.c - the messages of an Anthropic request: blocks, where each may stand, and what must follow what.
 *
 * Written from the documentation of the Messages API. A block is checked against the table of its type, so that a field too many is
 * refused as the service refuses it, then by a function for what a table cannot say. Tool calls must be answered in the very next
 * message, before any other block there.
 *
 * The service merges neighbouring messages of one role; so their order is not checked, but for the first, which is the user's.
 */
#include "codec/base64.h"
#include "codec/json.h"
#include "sim/anthropic_int.h"
#include "sim/hash.h"
#include "sim/media.h"
#include "sim/signature.h"

/* Where a block stands. */
enum place { IN_USER = 1, IN_ASSISTANT = 2, IN_SYSTEM = 4, IN_RESULT = 8, IN_DOCUMENT = 16 };

enum { ID_MAX = 256, TOOL_NAME_MAX = 128, MEDIA_BYTES_MAX = 32 << 20 };

/* What one message brought. */
struct seen {
    enum place place;
    struct str path;   /* of the message                           */
    struct str text;   /* its first text                           */
    struct str result; /* text of its last tool result             */
    size_t blocks, thinking, calls;
    bool other; /* a block other than tool results            */
    struct str first_type;
    struct str last_text; /* text of the last block, if that is text  */
};

typedef err_t read_block_fn(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s);

static err_t read_blocks(struct anthropic_reader *rd, yyjson_val *blocks, struct str path, struct seen *s);

/* --- sources --- */

static const char *const image_types[] = {"image/jpeg", "image/png", "image/gif", "image/webp", NULL};
static const char *const pdf_types[] = {"application/pdf", NULL};
static const char *const plain_types[] = {"text/plain", NULL};

#define TYPE_RULE {.name = STR_INIT("type"), .kind = FIELD_STRING, .required = true}
#define CACHE_RULE {.name = STR_INIT("cache_control"), .kind = FIELD_OBJECT}

static const struct field_rule image_base64_rules[] = {
    TYPE_RULE,
    {.name = STR_INIT("media_type"), .kind = FIELD_ENUM, .choices = image_types, .required = true},
    {.name = STR_INIT("data"), .kind = FIELD_STRING, .required = true},
};
static const struct field_rule pdf_base64_rules[] = {
    TYPE_RULE,
    {.name = STR_INIT("media_type"), .kind = FIELD_ENUM, .choices = pdf_types, .required = true},
    {.name = STR_INIT("data"), .kind = FIELD_STRING, .required = true},
};
static const struct field_rule plain_rules[] = {
    TYPE_RULE,
    {.name = STR_INIT("media_type"), .kind = FIELD_ENUM, .choices = plain_types, .required = true},
    {.name = STR_INIT("data"), .kind = FIELD_STRING, .required = true},
};
static const struct field_rule url_rules[] = {TYPE_RULE,
                                              {.name = STR_INIT("url"), .kind = FIELD_STRING, .required = true}};
static const struct field_rule file_rules[] = {TYPE_RULE,
                                               {.name = STR_INIT("file_id"), .kind = FIELD_STRING, .required = true}};
static const struct field_rule content_rules[] = {TYPE_RULE,
                                                  {.name = STR_INIT("content"), .kind = FIELD_ANY, .required = true}};

static const struct source_kind {
    struct str type;
    bool image, document;
    const struct field_rule *rules;
    size_t count;
} source_kinds[] = {
    {STR_INIT("base64"), true, false, image_base64_rules, ARRAY_LEN(image_base64_rules)},
    {STR_INIT("base64"), false, true, pdf_base64_rules, ARRAY_LEN(pdf_base64_rules)},
    {STR_INIT("text"), false, true, plain_rules, ARRAY_LEN(plain_rules)},
    {STR_INIT("content"), false, true, content_rules, ARRAY_LEN(content_rules)},
    {STR_INIT("url"), true, true, url_rules, ARRAY_LEN(url_rules)},
    {STR_INIT("file"), true, true, file_rules, ARRAY_LEN(file_rules)},
};

/* Base64 data must decode, and its first bytes must be of the type that it claims to be. */
static err_t check_data(struct anthropic_reader *rd, yyjson_val *source, struct str path, bool image)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(MEDIA_BYTES_MAX);
    struct str data = json_get_str(source, STR("data"), STR("")),
               claimed = json_get_str(source, STR("media_type"), STR(""));

    if (data.n == 0 || base64_decode(&bytes, data, BASE64) != OK)
        return anthropic_refuse(rd, "%.*s.data: invalid base64 data", STR_ARG(path));
    if (!image) {
        if (str_starts(buf_str(&bytes), STR("%PDF-")))
            return OK;
        return anthropic_refuse(rd, "%.*s.data: The PDF specified was not valid.", STR_ARG(path));
    }
    struct str real = sim_image_type(buf_str(&bytes));
    if (real.n == 0)
        return anthropic_refuse(rd, "%.*s: Could not process image", STR_ARG(path));
    if (str_eq(real, claimed))
        return OK;
    return anthropic_refuse(
        rd, "%.*s: The image was specified using the %.*s media type, but the image appears to be a %.*s image",
        STR_ARG(path), STR_ARG(claimed), STR_ARG(real));
}

static err_t read_source_text(struct anthropic_reader *rd, yyjson_val *source, struct str path, struct str type)
{
    struct seen inside = {.place = IN_DOCUMENT, .path = path};
    yyjson_val *content = json_get(source, STR("content"));

    if (str_eq(type, STR("text"))) {
        question_add_text(rd->q, json_get_str(source, STR("data"), STR("")));
        return OK;
    }
    if (yyjson_is_str(content)) {
        question_add_text(rd->q, json_text(content));
        return OK;
    }
    return read_blocks(rd, content, field_path(rd->a, path, "content"), &inside);
}

static err_t read_source(struct anthropic_reader *rd, yyjson_val *block, struct str path, bool image)
{
    yyjson_val *source = json_get(block, STR("source"));
    struct str type = json_get_str(source, STR("type"), STR(""));

    path = field_path(rd->a, path, "source");
    for (size_t i = 0; i < ARRAY_LEN(source_kinds); i++) {
        const struct source_kind *k = &source_kinds[i];
        if (!str_eq(k->type, type) || !(image ? k->image : k->document))
            continue;
        path = field_path(rd->a, path, k->type.p);
        TRY(anthropic_check(rd, source, path, k->rules, k->count));
        if (str_eq(type, STR("base64")))
            TRY(check_data(rd, source, path, image));
        if (str_eq(type, STR("text")) || str_eq(type, STR("content")))
            return read_source_text(rd, source, path, type);
        rd->q->hash = sim_hash(rd->q->hash, json_get_str(source, STR("data"), type));
        rd->q->hash =
            sim_hash(rd->q->hash, json_get_str(source, STR("url"), json_get_str(source, STR("file_id"), type)));
        rd->q->prompt_tokens += image ? SIM_IMAGE_TOKENS : SIM_MEDIA_TOKENS;
        return OK;
    }
    return anthropic_refuse(rd, "%.*s: Input tag '%.*s' found using 'type' does not match any of the expected tags",
                            STR_ARG(path), STR_ARG(type));
}

/* --- blocks --- */

static bool is_blank(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\n' && s.p[i] != '\t' && s.p[i] != '\r')
            return false;
    return true;
}

static err_t read_text(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s)
{
    struct str text = json_get_str(block, STR("text"), STR(""));

    if (text.n == 0)
        return anthropic_refuse(rd, "messages: text content blocks must be non-empty");
    if (is_blank(text))
        return anthropic_refuse(rd, "messages: text content blocks must contain non-whitespace text");
    if (rd->newest && s->place == IN_USER && json_get(block, STR("citations")))
        return anthropic_refuse(rd, "%.*s.citations: Extra inputs are not permitted", STR_ARG(path));
    question_add_text(rd->q, text);
    s->text = s->text.n > 0 ? s->text : text;
    s->last_text = text;
    return OK;
}

static err_t read_image(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s)
{
    (void)s;
    return read_source(rd, block, path, true);
}

static err_t read_document(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s)
{
    if (s->place == IN_ASSISTANT && rd->newest)
        return anthropic_refuse(rd, "%.*s: `document` blocks are not permitted in `assistant` messages", STR_ARG(path));
    question_add_text(rd->q, json_get_str(block, STR("title"), STR("")));
    question_add_text(rd->q, json_get_str(block, STR("context"), STR("")));
    return read_source(rd, block, path, false);
}

static err_t read_search_result(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s)
{
    struct seen inside = {.place = IN_DOCUMENT, .path = path};

    (void)s;
    question_add_text(rd->q, json_get_str(block, STR("title"), STR("")));
    return read_blocks(rd, json_get(block, STR("content")), field_path(rd->a, path, "content"), &inside);
}

static err_t read_thinking(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s)
{
    struct str text = json_get_str(block, STR("thinking"), STR(""));

    s->thinking += s->thinking == s->blocks;
    if (!sim_signature_is_good(STR("anthropic"), text, json_get_str(block, STR("signature"), STR(""))))
        return anthropic_refuse(rd, "%.*s: Invalid `signature` in `thinking` block", STR_ARG(path));
    question_add_text(rd->q, text);
    return OK;
}

static err_t read_redacted(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s)
{
    s->thinking += s->thinking == s->blocks;
    if (!sim_signature_is_good(STR("anthropic"), STR("redacted"), json_get_str(block, STR("data"), STR(""))))
        return anthropic_refuse(rd, "%.*s: Invalid `data` in `redacted_thinking` block", STR_ARG(path));
    return OK;
}

static err_t read_tool_use(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s)
{
    struct str id = json_get_str(block, STR("id"), STR("")), name = json_get_str(block, STR("name"), STR(""));

    if (!anthropic_is_word(id, ID_MAX))
        return anthropic_refuse(rd, "%.*s.id: String should match pattern '^[a-zA-Z0-9_-]+$'", STR_ARG(path));
    if (!anthropic_is_word(name, TOOL_NAME_MAX))
        return anthropic_refuse(rd, "%.*s.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", STR_ARG(path));
    for (size_t i = 0; i < rd->pending_count; i++)
        if (str_eq(rd->pending[i], id))
            return anthropic_refuse(rd, "messages: `tool_use` ids must be unique");
    if (rd->pending_count == SIM_TOOLS_MAX)
        return anthropic_refuse(rd, "%.*s: too many `tool_use` blocks in one message", STR_ARG(s->path));
    rd->pending[rd->pending_count++] = id;
    s->calls++;
    question_add_text(rd->q, name);
    return question_add_tools(rd->a, rd->q, json_get(block, STR("input")));
}

static err_t read_tool_result(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s)
{
    struct str id = json_get_str(block, STR("tool_use_id"), STR(""));
    yyjson_val *content = json_get(block, STR("content"));
    struct seen inside = {.place = IN_RESULT, .path = path, .text = STR("")};
    size_t i = 0;

    while (i < rd->pending_count && !str_eq(rd->pending[i], id))
        i++;
    if (i == rd->pending_count || s->other)
        return anthropic_refuse(
            rd,
            "%.*s: unexpected `tool_use_id` found in `tool_result` blocks: %.*s. Each `tool_result` block must have a "
            "corresponding `tool_use` block in the previous message.",
            STR_ARG(path), STR_ARG(id));
    rd->pending[i] = rd->pending[--rd->pending_count];
    if (yyjson_is_str(content)) {
        inside.text = json_text(content);
        question_add_text(rd->q, inside.text);
    } else if (content && !yyjson_is_null(content)) {
        if (!yyjson_is_arr(content))
            return anthropic_refuse(rd, "%.*s.content: Input should be a valid list", STR_ARG(path));
        TRY(read_blocks(rd, content, field_path(rd->a, path, "content"), &inside));
    }
    s->result = inside.text.p ? inside.text : STR("");
    return OK;
}

static err_t read_reference(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s)
{
    (void)path, (void)s;
    question_add_text(rd->q, json_get_str(block, STR("tool_name"), STR("")));
    return OK;
}

/* A block of a server tool: taken as it is. */
static err_t read_opaque(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s)
{
    (void)path, (void)s;
    return question_add_tools(rd->a, rd->q, block);
}

static const struct field_rule text_rules[] = {TYPE_RULE,
                                               {.name = STR_INIT("text"), .kind = FIELD_STRING, .required = true},
                                               {.name = STR_INIT("citations"), .kind = FIELD_ARRAY},
                                               CACHE_RULE};
static const struct field_rule image_rules[] = {TYPE_RULE,
                                                {.name = STR_INIT("source"), .kind = FIELD_OBJECT, .required = true},
                                                {.name = STR_INIT("transformations"), .kind = FIELD_ANY},
                                                CACHE_RULE};
static const struct field_rule document_rules[] = {TYPE_RULE,
                                                   {.name = STR_INIT("source"), .kind = FIELD_OBJECT, .required = true},
                                                   {.name = STR_INIT("title"), .kind = FIELD_STRING},
                                                   {.name = STR_INIT("context"), .kind = FIELD_STRING},
                                                   {.name = STR_INIT("citations"), .kind = FIELD_OBJECT},
                                                   CACHE_RULE};
static const struct field_rule search_rules[] = {
    TYPE_RULE,
    {.name = STR_INIT("source"), .kind = FIELD_STRING, .required = true},
    {.name = STR_INIT("title"), .kind = FIELD_STRING, .required = true},
    {.name = STR_INIT("content"), .kind = FIELD_ARRAY, .min = 1, .max = 1 << 20, .required = true},
    {.name = STR_INIT("citations"), .kind = FIELD_OBJECT},
    CACHE_RULE};
static const struct field_rule thinking_rules[] = {
    TYPE_RULE,
    {.name = STR_INIT("thinking"), .kind = FIELD_STRING, .required = true},
    {.name = STR_INIT("signature"), .kind = FIELD_STRING, .required = true}};
static const struct field_rule redacted_rules[] = {TYPE_RULE,
                                                   {.name = STR_INIT("data"), .kind = FIELD_STRING, .required = true}};
static const struct field_rule use_rules[] = {TYPE_RULE,
                                              {.name = STR_INIT("id"), .kind = FIELD_STRING, .required = true},
                                              {.name = STR_INIT("name"), .kind = FIELD_STRING, .required = true},
                                              {.name = STR_INIT("input"), .kind = FIELD_OBJECT, .required = true},
                                              {.name = STR_INIT("caller"), .kind = FIELD_OBJECT},
                                              {.name = STR_INIT("toolset_name"), .kind = FIELD_STRING},
                                              CACHE_RULE};
static const struct field_rule result_rules[] = {
    TYPE_RULE,
    {.name = STR_INIT("tool_use_id"), .kind = FIELD_STRING, .required = true},
    {.name = STR_INIT("content"), .kind = FIELD_ANY},
    {.name = STR_INIT("is_error"), .kind = FIELD_BOOL},
    {.name = STR_INIT("toolset_name"), .kind = FIELD_STRING},
    CACHE_RULE};
static const struct field_rule reference_rules[] = {
    TYPE_RULE, {.name = STR_INIT("tool_name"), .kind = FIELD_STRING, .required = true}, CACHE_RULE};

static const struct block_kind {
    struct str type;
    unsigned places; /* of enum place */
    const struct field_rule *rules;
    size_t count; /* 0: members are not checked */
    read_block_fn *read;
} block_kinds[] = {
    {STR_INIT("text"), IN_USER | IN_ASSISTANT | IN_SYSTEM | IN_RESULT | IN_DOCUMENT, text_rules, ARRAY_LEN(text_rules),
     read_text},
    {STR_INIT("image"), IN_USER | IN_RESULT | IN_DOCUMENT, image_rules, ARRAY_LEN(image_rules), read_image},
    {STR_INIT("document"), IN_USER | IN_ASSISTANT | IN_RESULT, document_rules, ARRAY_LEN(document_rules),
     read_document},
    {STR_INIT("search_result"), IN_USER | IN_RESULT, search_rules, ARRAY_LEN(search_rules), read_search_result},
    {STR_INIT("thinking"), IN_ASSISTANT, thinking_rules, ARRAY_LEN(thinking_rules), read_thinking},
    {STR_INIT("redacted_thinking"), IN_ASSISTANT, redacted_rules, ARRAY_LEN(redacted_rules), read_redacted},
    {STR_INIT("tool_use"), IN_ASSISTANT, use_rules, ARRAY_LEN(use_rules), read_tool_use},
    {STR_INIT("tool_result"), IN_USER, result_rules, ARRAY_LEN(result_rules), read_tool_result},
    {STR_INIT("tool_reference"), IN_RESULT, reference_rules, ARRAY_LEN(reference_rules), read_reference},
    {STR_INIT("server_tool_use"), IN_ASSISTANT, NULL, 0, read_opaque},
    {STR_INIT("web_search_tool_result"), IN_USER | IN_ASSISTANT, NULL, 0, read_opaque},
    {STR_INIT("web_fetch_tool_result"), IN_USER | IN_ASSISTANT, NULL, 0, read_opaque},
    {STR_INIT("code_execution_tool_result"), IN_USER | IN_ASSISTANT, NULL, 0, read_opaque},
    {STR_INIT("bash_code_execution_tool_result"), IN_USER | IN_ASSISTANT, NULL, 0, read_opaque},
    {STR_INIT("text_editor_code_execution_tool_result"), IN_USER | IN_ASSISTANT, NULL, 0, read_opaque},
    {STR_INIT("tool_search_tool_result"), IN_USER | IN_ASSISTANT, NULL, 0, read_opaque},
    {STR_INIT("mcp_tool_use"), IN_ASSISTANT, NULL, 0, read_opaque},
    {STR_INIT("mcp_tool_result"), IN_USER | IN_ASSISTANT, NULL, 0, read_opaque},
    {STR_INIT("container_upload"), IN_USER, NULL, 0, read_opaque},
};

static const struct block_kind *kind_of(struct str type, enum place place)
{
    for (size_t i = 0; i < ARRAY_LEN(block_kinds); i++)
        if (str_eq(block_kinds[i].type, type) && block_kinds[i].places & place)
            return &block_kinds[i];
    return NULL;
}

static err_t read_block(struct anthropic_reader *rd, yyjson_val *block, struct str path, struct seen *s)
{
    struct str type = json_get_str(block, STR("type"), STR_NONE);

    if (!yyjson_is_obj(block))
        return anthropic_refuse(rd, "%.*s: Input should be a valid dictionary or object to extract fields from",
                                STR_ARG(path));
    if (!type.p)
        return anthropic_refuse(rd, "%.*s.type: Field required", STR_ARG(path));
    const struct block_kind *kind = kind_of(type, s->place);
    if (!kind)
        return anthropic_refuse(rd, "%.*s: Input tag '%.*s' found using 'type' does not match any of the expected tags",
                                STR_ARG(path), STR_ARG(type));
    struct str inner = field_path(rd->a, path, kind->type.p);
    if (kind->count > 0)
        TRY(anthropic_check(rd, block, inner, kind->rules, kind->count));
    s->last_text = STR_NONE;
    s->first_type = s->blocks == 0 ? kind->type : s->first_type;
    TRY(kind->read(rd, block, inner, s));
    s->blocks++;
    s->other |= !str_eq(type, STR("tool_result"));
    return anthropic_cut(rd, block, inner);
}

static err_t read_blocks(struct anthropic_reader *rd, yyjson_val *blocks, struct str path, struct seen *s)
{
    yyjson_val *block;
    size_t i, n;

    yyjson_arr_foreach(blocks, i, n, block)
    {
        TRY(read_block(rd, block, arena_printf(rd->a, "%.*s.%zu", STR_ARG(path), i), s));
    }
    return OK;
}

/* --- messages --- */

static err_t calls_unanswered(struct anthropic_reader *rd, size_t index)
{
    struct str list = STR("");

    for (size_t i = 0; i < rd->pending_count; i++)
        list = arena_printf(rd->a, "%.*s%s%.*s", STR_ARG(list), i ? ", " : "", STR_ARG(rd->pending[i]));
    return anthropic_refuse(
        rd,
        "messages.%zu: `tool_use` ids were found without `tool_result` blocks immediately after: %.*s. Each `tool_use` "
        "block must have a corresponding `tool_result` block in the next message.",
        index, STR_ARG(list));
}

static err_t read_content(struct anthropic_reader *rd, yyjson_val *message, struct seen *s, bool may_be_empty)
{
    yyjson_val *content = json_get(message, STR("content"));
    struct str text = json_text(content);

    if (!yyjson_is_str(content) && !yyjson_is_arr(content))
        return anthropic_refuse(rd, "%.*s.content: Input should be a valid list", STR_ARG(s->path));
    if (yyjson_is_arr(content))
        TRY(read_blocks(rd, content, field_path(rd->a, s->path, "content"), s));
    else if (text.n > 0) {
        s->text = s->last_text = text;
        s->first_type = STR("text");
        s->blocks = 1;
        s->other = true;
        question_add_text(rd->q, text);
        TRY(anthropic_cut(rd, NULL, s->path));
    }
    if (s->blocks > 0 || may_be_empty)
        return OK;
    return anthropic_refuse(
        rd, "%.*s: all messages must have non-empty content except for the optional final assistant message",
        STR_ARG(s->path));
}

/* What an assistant's message demands when it is thinking with a budget, and at the end. */
static err_t end_assistant(struct anthropic_reader *rd, const struct seen *s, bool is_last)
{
    if (s->calls > 0 && s->thinking == 0 && rd->naked.n == 0) {
        rd->naked = s->path;
        rd->naked_type = s->first_type;
    }
    if (!is_last)
        return OK;
    rd->req->is_continuing = true;
    if (s->last_text.n > 0 && is_blank(str_slice(s->last_text, s->last_text.n - 1, s->last_text.n)))
        return anthropic_refuse(rd, "messages: final assistant content cannot end with trailing whitespace");
    return OK;
}

static enum place place_of(struct str role)
{
    return str_eq(role, STR("user")) ? IN_USER : str_eq(role, STR("assistant")) ? IN_ASSISTANT : IN_SYSTEM;
}

static err_t read_message(struct anthropic_reader *rd, yyjson_val *message, size_t index, bool is_last)
{
    static const char *const roles[] = {"user", "assistant", "system", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("role"), .kind = FIELD_ENUM, .choices = roles, .required = true},
        {.name = STR_INIT("content"), .kind = FIELD_ANY, .required = true}};
    struct seen s = {.path = arena_printf(rd->a, "messages.%zu", index), .result = STR_NONE, .text = STR("")};

    TRY(anthropic_check(rd, message, s.path, rules, ARRAY_LEN(rules)));
    struct str role = json_get_str(message, STR("role"), STR_NONE);
    s.place = place_of(role);
    if (index == 0 && s.place != IN_USER)
        return anthropic_refuse(rd, "messages: first message must use the \"user\" role");
    if (rd->pending_count > 0 && s.place != IN_USER)
        return calls_unanswered(rd, index - 1);
    question_add_role(rd->q, role);
    TRY(read_content(rd, message, &s, is_last && s.place == IN_ASSISTANT));
    rd->q->result = s.result;
    if (s.place == IN_ASSISTANT)
        return end_assistant(rd, &s, is_last);
    if (rd->pending_count > 0)
        return calls_unanswered(rd, index - 1);
    if (s.place == IN_USER && s.other) {
        rd->q->asked = s.text;
        rd->naked = STR("");
    }
    return OK;
}

err_t anthropic_read_messages(struct anthropic_reader *rd)
{
    yyjson_val *messages = json_get(rd->root, STR("messages")), *message;
    size_t i, n;

    yyjson_arr_foreach(messages, i, n, message)
    {
        TRY(read_message(rd, message, i, i + 1 == n));
    }
    if (rd->pending_count > 0)
        return calls_unanswered(rd, n - 1);
    if (!rd->budgeted)
        return OK;
    if (rd->naked.n > 0)
        return anthropic_refuse(
            rd,
            "%.*s.content.0.type: Expected `thinking` or `redacted_thinking`, but found `%.*s`. When `thinking` is "
            "enabled, a final `assistant` message must start with a thinking block (preceding the lastmost set of "
            "`tool_use` and `tool_result` blocks).",
            STR_ARG(rd->naked), STR_ARG(rd->naked_type));
    if (rd->req->is_continuing)
        return anthropic_refuse(rd,
                                "messages: a final `assistant` message cannot be continued when `thinking` is enabled");
    return OK;
}

err_t anthropic_read_system(struct anthropic_reader *rd)
{
    yyjson_val *system = json_get(rd->root, STR("system"));
    struct seen s = {.place = IN_SYSTEM, .path = STR("system")};

    if (!system || yyjson_is_null(system))
        return OK;
    question_add_role(rd->q, STR("system"));
    if (yyjson_is_arr(system))
        return read_blocks(rd, system, s.path, &s);
    if (!yyjson_is_str(system))
        return anthropic_refuse(rd, "system: Input should be a valid list");
    question_add_text(rd->q, json_text(system));
    return anthropic_cut(rd, NULL, s.path);
}
