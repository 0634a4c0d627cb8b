/*
 * bedrock_converse_read.c - requests to Converse and ConverseStream, checked in full.
 *
 * Blocks are unions: an object with exactly one member, whose name says what it is. Order of checks: top-level fields by table, then
 * tools, system, messages (the order in which a prompt is cached), then settings and what they demand of each other. The first thing
 * wrong is what the client is told.
 *
 * Turns: roles alternate and begin with the user; the results of all calls of one assistant message come together in the next
 * message, before anything else. Claude takes text behind them, other families take none; a model whose name tells no family is taken
 * for one of these.
 *
 * Nothing is sent or decided here. Source: Amazon Bedrock API reference, Converse; user guide, "Inference parameters: Claude".
 */
#include "codec/base64.h"
#include "codec/json.h"
#include "sim/bedrock_int.h"
#include "sim/hash.h"
#include "sim/media.h"
#include "sim/signature.h"

enum {
    THOUGHT_TOKENS = 32,
    THOUGHT_BUDGET_MIN = 1024,
    BLOB_BYTES_MAX = 24 << 20,
    JSON_BYTES_MAX = 4 << 20,
    STOPS_MAX = 2500,
    METADATA_MAX = 16,
    NAME_CHARS_MAX = 64,
    TOOL_IDS_MAX = SIM_TOOLS_MAX,
};

static const struct field_rule converse_rules[] = {
    {.name = STR_INIT("messages"), .kind = FIELD_ARRAY, .min = 1, .max = 1 << 20, .required = true},
    {.name = STR_INIT("system"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("inferenceConfig"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("toolConfig"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("guardrailConfig"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("additionalModelRequestFields"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("additionalModelResponseFieldPaths"), .kind = FIELD_ARRAY, .min = 0, .max = 10},
    {.name = STR_INIT("requestMetadata"), .kind = FIELD_OBJECT, .min = 0, .max = METADATA_MAX},
    {.name = STR_INIT("performanceConfig"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("serviceTier"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("promptVariables"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("outputConfig"), .kind = FIELD_OBJECT},
};

/* What reading one request has at hand. */
struct reader {
    struct arena *a;
    struct bedrock_converse *c;
    struct sim_refusal *r;
    yyjson_val *root;
    bool is_claude;
    struct str calls[TOOL_IDS_MAX]; /* ids of the assistant's last message; answered ones are empty */
    size_t call_count, unanswered;
    struct str *documents; /* names seen so far */
    size_t document_count, document_room;
    bool uses_tools;          /* there are toolUse or toolResult blocks  */
    bool starts_with_thought; /* the assistant's last message does       */
    size_t cache_points;
};

#define CHECK_FIELDS(rd, obj, path, rules) bedrock_fields((rd)->a, (obj), (path), (rules), ARRAY_LEN(rules), (rd)->r)

static struct str item_path(struct reader *rd, struct str path, size_t i)
{
    return arena_printf(rd->a, "%.*s.%zu", STR_ARG(path), i);
}

/* --- unions and other small things --- */

/* The only member of `obj` that is not null. */
static err_t union_member(struct reader *rd, yyjson_val *obj, struct str path, struct str *ret_name,
                          yyjson_val **ret_value)
{
    yyjson_val *key, *value;
    size_t i, n, count = 0;

    yyjson_obj_foreach(obj, i, n, key, value)
    {
        if (yyjson_is_null(value))
            continue;
        *ret_name = json_text(key);
        *ret_value = value;
        count++;
    }
    if (count == 1)
        return OK;
    return bedrock_refuse(rd->a, rd->r, "The value at %.*s must be an object with exactly one member, but it has %zu.",
                          STR_ARG(path), count);
}

static err_t unknown_member(struct reader *rd, struct str path, struct str name)
{
    return bedrock_refuse(
        rd->a, rd->r,
        "Malformed input request: #: extraneous key [%.*s.%.*s] is not permitted, please reformat your "
        "input and try again.",
        STR_ARG(path), STR_ARG(name));
}

static bool is_blank(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\n' && s.p[i] != '\t' && s.p[i] != '\r')
            return false;
    return true;
}

static err_t read_text(struct reader *rd, yyjson_val *text, struct str path)
{
    if (!yyjson_is_str(text))
        return refuse_status(rd->a, rd->r, 400, "SerializationException", "Unexpected type at '%.*s.text': %s.",
                             STR_ARG(path), field_type_name(text));
    if (is_blank(json_text(text)))
        return bedrock_refuse(rd->a, rd->r,
                              "The text field in the ContentBlock object at %.*s is blank. Add text to the text field, "
                              "and try again.",
                              STR_ARG(path));
    question_add_text(&rd->c->q, json_text(text));
    return OK;
}

/* A value of any form: what is counted and hashed is its text. */
static err_t read_json(struct reader *rd, yyjson_val *value, struct str *ret_text)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(JSON_BYTES_MAX);

    TRY(json_write(&text, rd->a, value));
    question_add_text(&rd->c->q, buf_str(&text));
    if (ret_text)
        *ret_text = arena_str(rd->a, buf_str(&text));
    return OK;
}

static bool is_id(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = ascii_lower(id.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !memchr("_.:-", c, 4))
            return false;
    }
    return id.n >= 1 && id.n <= NAME_CHARS_MAX;
}

static err_t read_cache_point(struct reader *rd, yyjson_val *point, struct str path)
{
    static const char *const types[] = {"default", NULL}, *const ttls[] = {"5m", "1h", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types, .required = true},
        {.name = STR_INIT("ttl"), .kind = FIELD_ENUM, .choices = ttls},
    };

    TRY(CHECK_FIELDS(rd, point, path, rules));
    if (++rd->cache_points > BEDROCK_CACHE_POINTS_MAX)
        return bedrock_refuse(rd->a, rd->r, "A maximum of %d cachePoint blocks may be provided. Found more at %.*s.",
                              BEDROCK_CACHE_POINTS_MAX, STR_ARG(path));
    bool is_long = str_eq(json_get_str(point, STR("ttl"), STR("5m")), STR("1h"));
    rd->c->prefixes[rd->c->prefix_count++] = (struct bedrock_prefix){
        .hash = rd->c->q.hash, .tokens = rd->c->q.prompt_tokens, .lifetime = (is_long ? 3600 : 300) * NS_SEC};
    return OK;
}

/* --- what is no text --- */

/* Base64 in JSON. *ret_bytes is valid until `bytes` is released. */
static err_t read_blob(struct reader *rd, yyjson_val *blob, struct str path, struct buf *bytes)
{
    if (!yyjson_is_str(blob) || base64_decode(bytes, json_text(blob), BASE64) != OK)
        return refuse_status(rd->a, rd->r, 400, "SerializationException",
                             "The value at '%.*s' is not a text in base64.", STR_ARG(path));
    if (bytes->n == 0)
        return bedrock_refuse(rd->a, rd->r, "The bytes at %.*s are empty.", STR_ARG(path));
    rd->c->q.hash = sim_hash(rd->c->q.hash, buf_str(bytes));
    return OK;
}

static err_t read_s3(struct reader *rd, yyjson_val *location, struct str path)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("uri"), .kind = FIELD_STRING, .min = 6, .max = 1024, .required = true},
        {.name = STR_INIT("bucketOwner"), .kind = FIELD_STRING, .min = 12, .max = 12},
    };

    TRY(CHECK_FIELDS(rd, location, path, rules));
    struct str uri = json_get_str(location, STR("uri"), STR(""));
    if (!str_starts(uri, STR("s3://")))
        return bedrock_refuse(rd->a, rd->r, "The value at %.*s.uri is not of the form s3://bucket/key.", STR_ARG(path));
    rd->c->q.hash = sim_hash(rd->c->q.hash, uri);
    return OK;
}

/* Do the bytes begin as the format demands? Formats that cannot be told by their beginning pass. */
static bool fits_format(struct str format, struct str bytes)
{
    struct str type = sim_image_type(bytes);

    if (str_eq(format, STR("pdf")))
        return str_starts(bytes, STR("%PDF-"));
    if (str_eq(format, STR("png")) || str_eq(format, STR("jpeg")) || str_eq(format, STR("gif")) ||
        str_eq(format, STR("webp")))
        return str_starts(type, STR("image/")) && str_eq(str_slice(type, 6, type.n), format);
    return true;
}

/* source: {bytes} or {s3Location}; of documents also {text} or {content}. */
static err_t read_source(struct reader *rd, yyjson_val *media, struct str path, bool is_document)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(BLOB_BYTES_MAX);
    struct str name = STR(""), format = json_get_str(media, STR("format"), STR(""));
    yyjson_val *value = NULL, *piece;
    size_t i, n;

    path = field_path(rd->a, path, "source");
    TRY(union_member(rd, json_get(media, STR("source")), path, &name, &value));
    struct str inner = field_path(rd->a, path, arena_str(rd->a, name).p);
    if (str_eq(name, STR("s3Location")))
        return read_s3(rd, value, inner);
    if (is_document && str_eq(name, STR("text")))
        return read_text(rd, value, path);
    if (is_document && str_eq(name, STR("content")) && yyjson_arr_size(value) > 0) {
        yyjson_arr_foreach(value, i, n, piece)
        {
            TRY(read_text(rd, json_get(piece, STR("text")), item_path(rd, inner, i)));
        }
        return OK;
    }
    if (!str_eq(name, STR("bytes")))
        return unknown_member(rd, path, name);
    TRY(read_blob(rd, value, inner, &bytes));
    if (!fits_format(format, buf_str(&bytes)))
        return bedrock_refuse(rd->a, rd->r, "The bytes at %.*s are not of the format %.*s.", STR_ARG(inner),
                              STR_ARG(format));
    return OK;
}

static const char *const image_formats[] = {"png", "jpeg", "gif", "webp", NULL};
static const char *const document_formats[] = {"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md", NULL};
static const char *const video_formats[] = {"mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp", NULL};
static const char *const audio_formats[] = {"mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", NULL};

static err_t read_media(struct reader *rd, yyjson_val *media, struct str path, const char *const *formats,
                        size_t tokens)
{
    const struct field_rule rules[] = {
        {.name = STR_INIT("format"), .kind = FIELD_ENUM, .choices = formats, .required = true},
        {.name = STR_INIT("source"), .kind = FIELD_OBJECT, .required = true},
    };

    TRY(CHECK_FIELDS(rd, media, path, rules));
    rd->c->q.prompt_tokens += tokens;
    return read_source(rd, media, path, false);
}

/* Letters, digits, blanks that do not follow each other, hyphens, parentheses and brackets. */
static bool is_document_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = ascii_lower(name.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !memchr(" -()[]", c, 6))
            return false;
        if (c == ' ' && i > 0 && name.p[i - 1] == ' ')
            return false;
    }
    return name.n > 0;
}

static err_t read_document(struct reader *rd, yyjson_val *document, struct str path)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("format"), .kind = FIELD_ENUM, .choices = document_formats},
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .min = 1, .max = 200, .required = true},
        {.name = STR_INIT("source"), .kind = FIELD_OBJECT, .required = true},
        {.name = STR_INIT("context"), .kind = FIELD_STRING},
        {.name = STR_INIT("citations"), .kind = FIELD_OBJECT},
    };

    TRY(CHECK_FIELDS(rd, document, path, rules));
    struct str name = json_get_str(document, STR("name"), STR(""));
    if (!is_document_name(name))
        return bedrock_refuse(
            rd->a, rd->r,
            "The document file name at %.*s can only contain alphanumeric characters, whitespace "
            "characters, hyphens, parentheses, and square brackets. The name can't contain more than one "
            "consecutive whitespace character.",
            STR_ARG(path));
    for (size_t i = 0; i < rd->document_count; i++)
        if (str_eq(rd->documents[i], name))
            return bedrock_refuse(rd->a, rd->r, "Found multiple documents named '%.*s'. Document names must be unique.",
                                  STR_ARG(name));
    if (rd->document_count == rd->document_room) {
        struct str *more = arena_alloc(rd->a, (2 * rd->document_room + 8) * sizeof(*more));
        if (rd->document_count)
            memcpy(more, rd->documents, rd->document_count * sizeof(*more));
        rd->documents = more;
        rd->document_room = 2 * rd->document_room + 8;
    }
    rd->documents[rd->document_count++] = name;
    question_add_text(&rd->c->q, name);
    rd->c->q.prompt_tokens += SIM_MEDIA_TOKENS;
    return read_source(rd, document, path, true);
}

/* --- tools in messages --- */

static err_t read_tool_use(struct reader *rd, yyjson_val *use, struct str path)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("toolUseId"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("input"), .kind = FIELD_ANY, .required = true},
    };

    TRY(CHECK_FIELDS(rd, use, path, rules));
    struct str id = json_get_str(use, STR("toolUseId"), STR("")), name = json_get_str(use, STR("name"), STR(""));
    if (!is_id(id))
        return bedrock_refuse(rd->a, rd->r,
                              "1 validation error detected: Value '%.*s' at '%.*s.toolUseId' failed to satisfy "
                              "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.:-]{1,64}",
                              STR_ARG(id), STR_ARG(path));
    if (!question_is_name(name))
        return bedrock_refuse(rd->a, rd->r,
                              "1 validation error detected: Value '%.*s' at '%.*s.name' failed to satisfy constraint: "
                              "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]{1,64}",
                              STR_ARG(name), STR_ARG(path));
    if (!yyjson_is_obj(json_get(use, STR("input"))))
        return bedrock_refuse(
            rd->a, rd->r,
            "The format of the value at %.*s.input is invalid. Provide a json object for the field and "
            "try again.",
            STR_ARG(path));
    for (size_t i = 0; i < rd->call_count; i++)
        if (str_eq(rd->calls[i], id))
            return bedrock_refuse(rd->a, rd->r, "The toolUse blocks at %.*s contain duplicate Ids: %.*s", STR_ARG(path),
                                  STR_ARG(id));
    if (rd->call_count == TOOL_IDS_MAX)
        return bedrock_refuse(rd->a, rd->r, "Too many toolUse blocks at %.*s.", STR_ARG(path));
    rd->calls[rd->call_count++] = id;
    rd->unanswered++;
    rd->uses_tools = true;
    question_add_text(&rd->c->q, name);
    return read_json(rd, json_get(use, STR("input")), NULL);
}

static err_t read_result_block(struct reader *rd, yyjson_val *block, struct str path)
{
    struct str name = STR("");
    yyjson_val *value = NULL;

    TRY(union_member(rd, block, path, &name, &value));
    struct str inner = field_path(rd->a, path, arena_str(rd->a, name).p);
    if (str_eq(name, STR("text"))) {
        if (!rd->c->q.result.n)
            rd->c->q.result = json_text(value);
        return read_text(rd, value, path);
    }
    if (str_eq(name, STR("json"))) {
        if (!yyjson_is_obj(value))
            return bedrock_refuse(rd->a, rd->r,
                                  "The format of the value at %.*s is invalid. Provide a json object for the field and "
                                  "try again.",
                                  STR_ARG(inner));
        return read_json(rd, value, rd->c->q.result.n ? NULL : &rd->c->q.result);
    }
    if (str_eq(name, STR("image")))
        return read_media(rd, value, inner, image_formats, SIM_IMAGE_TOKENS);
    if (str_eq(name, STR("document")))
        return read_document(rd, value, inner);
    if (str_eq(name, STR("video")))
        return read_media(rd, value, inner, video_formats, SIM_MEDIA_TOKENS);
    if (str_eq(name, STR("searchResult")))
        return read_json(rd, value, NULL);
    return unknown_member(rd, path, name);
}

static err_t read_tool_result(struct reader *rd, yyjson_val *result, struct str path)
{
    static const char *const statuses[] = {"success", "error", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("toolUseId"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("content"), .kind = FIELD_ARRAY, .required = true},
        {.name = STR_INIT("status"), .kind = FIELD_ENUM, .choices = statuses},
    };
    yyjson_val *content, *block;
    size_t i = 0, n;

    TRY(CHECK_FIELDS(rd, result, path, rules));
    rd->uses_tools = true;
    struct str id = json_get_str(result, STR("toolUseId"), STR(""));
    while (i < rd->call_count && !str_eq(rd->calls[i], id))
        i++;
    if (id.n == 0 || i == rd->call_count)
        return bedrock_refuse(rd->a, rd->r,
                              "The toolResult block at %.*s has the toolUseId '%.*s', which is not one of the toolUse "
                              "blocks of previous turn.",
                              STR_ARG(path), STR_ARG(id));
    rd->calls[i] = STR("");
    rd->unanswered--;
    content = json_get(result, STR("content"));
    if (yyjson_arr_size(content) == 0)
        return bedrock_refuse(rd->a, rd->r, "The content at %.*s is empty. Provide at least one block.", STR_ARG(path));
    rd->c->q.result = STR(""); /* of several results the last is quoted */
    yyjson_arr_foreach(content, i, n, block)
    {
        TRY(read_result_block(rd, block, item_path(rd, field_path(rd->a, path, "content"), i)));
    }
    return OK;
}

/* --- reasoning --- */

static err_t read_reasoning(struct reader *rd, yyjson_val *reasoning, struct str path)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("text"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("signature"), .kind = FIELD_STRING},
    };
    struct str name = STR("");
    yyjson_val *value = NULL;

    TRY(union_member(rd, reasoning, path, &name, &value));
    if (str_eq(name, STR("redactedContent"))) {
        if (sim_signature_is_good(STR("anthropic"), STR("redacted"), json_text(value)))
            return OK;
        return bedrock_refuse(rd->a, rd->r, "Invalid `data` in `redacted_thinking` block at %.*s.", STR_ARG(path));
    }
    if (!str_eq(name, STR("reasoningText")))
        return unknown_member(rd, path, name);
    path = field_path(rd->a, path, "reasoningText");
    TRY(CHECK_FIELDS(rd, value, path, rules));
    struct str text = json_get_str(value, STR("text"), STR(""));
    struct str signature = json_get_str(value, STR("signature"), STR_NONE);
    if (!signature.p)
        return bedrock_refuse(rd->a, rd->r, "%.*s.signature: Field required", STR_ARG(path));
    if (!sim_signature_is_good(STR("anthropic"), text, signature))
        return bedrock_refuse(rd->a, rd->r, "%.*s: Invalid `signature` in `thinking` block", STR_ARG(path));
    question_add_text(&rd->c->q, text);
    return OK;
}

/* --- messages --- */

/* What has come in a message so far. */
struct message {
    size_t index;
    bool is_user;
    bool has_text, has_document, has_result, has_other;
    struct str last_text; /* text of the last block, if that is one */
    struct str said;      /* text of the first text block           */
};

static err_t misplaced(struct reader *rd, const struct message *m, struct str path, struct str name)
{
    return bedrock_refuse(rd->a, rd->r, "The %s role does not support %.*s blocks (%.*s).",
                          m->is_user ? "user" : "assistant", STR_ARG(name), STR_ARG(path));
}

static err_t take_text(struct reader *rd, struct message *m, yyjson_val *value, struct str path)
{
    TRY(read_text(rd, value, path));
    m->last_text = json_text(value);
    if (!m->has_text)
        m->said = m->last_text;
    m->has_text = true;
    return OK;
}

static err_t take_result(struct reader *rd, struct message *m, yyjson_val *value, struct str path)
{
    if (m->has_text || m->has_other)
        return bedrock_refuse(rd->a, rd->r, "The toolResult blocks must come before all others in the message (%.*s).",
                              STR_ARG(path));
    m->has_result = true;
    return read_tool_result(rd, value, path);
}

static err_t read_user_block(struct reader *rd, struct message *m, struct str name, yyjson_val *value, struct str path,
                             struct str inner)
{
    if (str_eq(name, STR("text")))
        return take_text(rd, m, value, path);
    if (str_eq(name, STR("toolResult")))
        return take_result(rd, m, value, inner);
    m->has_other = true;
    if (str_eq(name, STR("image")))
        return read_media(rd, value, inner, image_formats, SIM_IMAGE_TOKENS);
    if (str_eq(name, STR("video")))
        return read_media(rd, value, inner, video_formats, SIM_MEDIA_TOKENS);
    if (str_eq(name, STR("audio")))
        return read_media(rd, value, inner, audio_formats, SIM_MEDIA_TOKENS);
    if (str_eq(name, STR("document"))) {
        m->has_document = true;
        return read_document(rd, value, inner);
    }
    if (str_eq(name, STR("guardContent")) || str_eq(name, STR("searchResult")))
        return read_json(rd, value, NULL);
    if (str_eq(name, STR("toolUse")) || str_eq(name, STR("reasoningContent")) || str_eq(name, STR("citationsContent")))
        return misplaced(rd, m, path, name);
    return unknown_member(rd, path, name);
}

static err_t read_assistant_block(struct reader *rd, struct message *m, struct str name, yyjson_val *value,
                                  struct str path, struct str inner)
{
    if (str_eq(name, STR("text")))
        return take_text(rd, m, value, path);
    if (str_eq(name, STR("toolUse")))
        return read_tool_use(rd, value, inner);
    if (str_eq(name, STR("reasoningContent"))) {
        rd->starts_with_thought |= str_ends(path, STR(".0"));
        return read_reasoning(rd, value, inner);
    }
    if (str_eq(name, STR("citationsContent")))
        return read_json(rd, value, NULL);
    if (str_eq(name, STR("image")) || str_eq(name, STR("video")) || str_eq(name, STR("audio")) ||
        str_eq(name, STR("document")) || str_eq(name, STR("toolResult")) || str_eq(name, STR("guardContent")) ||
        str_eq(name, STR("searchResult")))
        return misplaced(rd, m, path, name);
    return unknown_member(rd, path, name);
}

static err_t read_block(struct reader *rd, struct message *m, yyjson_val *block, struct str path)
{
    struct str name = STR("");
    yyjson_val *value = NULL;

    TRY(union_member(rd, block, path, &name, &value));
    struct str inner = field_path(rd->a, path, arena_str(rd->a, name).p);
    if (str_eq(name, STR("cachePoint")))
        return read_cache_point(rd, value, inner);
    m->last_text = STR_NONE;
    return m->is_user ? read_user_block(rd, m, name, value, path, inner)
                      : read_assistant_block(rd, m, name, value, path, inner);
}

static err_t expected_results(struct reader *rd, size_t index)
{
    struct str list = STR("");

    for (size_t i = 0; i < rd->call_count; i++)
        if (rd->calls[i].n > 0)
            list = arena_printf(rd->a, "%.*s%s%.*s", STR_ARG(list), list.n ? ", " : "", STR_ARG(rd->calls[i]));
    return bedrock_refuse(rd->a, rd->r,
                          "Expected toolResult blocks at messages.%zu.content for the following Ids: %.*s", index,
                          STR_ARG(list));
}

/* What holds of a message as a whole. */
static err_t check_message(struct reader *rd, const struct message *m)
{
    if (m->is_user && rd->unanswered > 0)
        return expected_results(rd, m->index);
    if (m->has_result && m->has_text && !rd->is_claude)
        return bedrock_refuse(rd->a, rd->r,
                              "This model doesn't support text and toolResult blocks in the same message "
                              "(messages.%zu.content). Remove one of them and try again.",
                              m->index);
    if (m->has_document && !m->has_text)
        return bedrock_refuse(
            rd->a, rd->r,
            "messages.%zu.content has documents, and must have a text block that says what to do with "
            "them.",
            m->index);
    return OK;
}

static err_t read_role(struct reader *rd, struct message *m, yyjson_val *message, struct str path)
{
    static const char *const roles[] = {"user", "assistant", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("role"), .kind = FIELD_ENUM, .choices = roles, .required = true},
        {.name = STR_INIT("content"), .kind = FIELD_ARRAY, .required = true},
    };

    TRY(CHECK_FIELDS(rd, message, path, rules));
    struct str role = json_get_str(message, STR("role"), STR(""));
    m->is_user = str_eq(role, STR("user"));
    if (m->index == 0 && !m->is_user)
        return bedrock_refuse(
            rd->a, rd->r,
            "A conversation must start with a user message. Try again with a conversation that starts "
            "with a user message.");
    if (m->index > 0 && m->is_user != (m->index % 2 == 0))
        return bedrock_refuse(
            rd->a, rd->r,
            "A conversation must alternate between user and assistant roles. Make sure the conversation "
            "alternates between user and assistant roles and try again.");
    if (yyjson_arr_size(json_get(message, STR("content"))) == 0)
        return bedrock_refuse(
            rd->a, rd->r,
            "The content field in the Message object at %.*s is empty. Add a ContentBlock object to the "
            "content field and try again.",
            STR_ARG(path));
    question_add_role(&rd->c->q, role);
    return OK;
}

static err_t read_message(struct reader *rd, yyjson_val *message, struct message *m)
{
    struct str path = arena_printf(rd->a, "messages.%zu", m->index);
    yyjson_val *block;
    size_t i, n;

    TRY(read_role(rd, m, message, path));
    rd->c->q.result = STR_NONE;
    if (!m->is_user) {
        rd->call_count = 0;
        rd->starts_with_thought = false;
    }
    path = field_path(rd->a, path, "content");
    yyjson_arr_foreach(json_get(message, STR("content")), i, n, block)
    {
        TRY(read_block(rd, m, block, item_path(rd, path, i)));
    }
    if (m->is_user && m->has_text)
        rd->c->q.asked = m->said;
    if (m->has_text)
        rd->c->q.result = STR_NONE; /* then that is what is to be answered */
    return check_message(rd, m);
}

static err_t read_messages(struct reader *rd)
{
    struct message m = {.index = 0};
    yyjson_val *message;
    size_t i, n;

    yyjson_arr_foreach(json_get(rd->root, STR("messages")), i, n, message)
    {
        m = (struct message){.index = i, .last_text = STR_NONE};
        TRY(read_message(rd, message, &m));
    }
    if (m.is_user)
        return OK;
    if (rd->unanswered > 0)
        return expected_results(rd, m.index + 1);
    if (!m.last_text.p)
        return bedrock_refuse(rd->a, rd->r, "The final message of the assistant must end with text.");
    if (is_blank(str_slice(m.last_text, m.last_text.n - 1, m.last_text.n)))
        return bedrock_refuse(rd->a, rd->r, "messages: final assistant content cannot end with trailing whitespace");
    return OK;
}

static err_t read_system(struct reader *rd)
{
    yyjson_val *block, *value = NULL;
    struct str name = STR("");
    size_t i, n;

    yyjson_arr_foreach(json_get(rd->root, STR("system")), i, n, block)
    {
        struct str path = arena_printf(rd->a, "system.%zu", i);
        TRY(union_member(rd, block, path, &name, &value));
        if (str_eq(name, STR("text")))
            TRY(read_text(rd, value, path));
        else if (str_eq(name, STR("cachePoint")))
            TRY(read_cache_point(rd, value, path));
        else if (str_eq(name, STR("guardContent")))
            TRY(read_json(rd, value, NULL));
        else
            return unknown_member(rd, path, name);
    }
    return OK;
}

/* --- tools --- */

static err_t read_tool_spec(struct reader *rd, yyjson_val *spec, struct str path, struct sim_tool *ret)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("description"), .kind = FIELD_STRING, .min = 1, .max = 1 << 20},
        {.name = STR_INIT("inputSchema"), .kind = FIELD_OBJECT, .required = true},
        {.name = STR_INIT("strict"), .kind = FIELD_BOOL},
    };
    struct str member = STR("");

    TRY(CHECK_FIELDS(rd, spec, path, rules));
    ret->name = json_get_str(spec, STR("name"), STR(""));
    if (!question_is_name(ret->name))
        return bedrock_refuse(rd->a, rd->r,
                              "1 validation error detected: Value '%.*s' at '%.*s.name' failed to satisfy constraint: "
                              "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]{1,64}",
                              STR_ARG(ret->name), STR_ARG(path));
    path = field_path(rd->a, path, "inputSchema");
    TRY(union_member(rd, json_get(spec, STR("inputSchema")), path, &member, &ret->parameters));
    if (!str_eq(member, STR("json")))
        return unknown_member(rd, path, member);
    if (!str_eq(json_get_str(ret->parameters, STR("type"), STR("")), STR("object")))
        return bedrock_refuse(rd->a, rd->r, "The value at %.*s.json.type must be one of the following: object.",
                              STR_ARG(path));
    return OK;
}

static err_t read_tool(struct reader *rd, yyjson_val *tool, struct str path)
{
    static const struct field_rule system_rules[] = {
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .min = 1, .max = NAME_CHARS_MAX, .required = true},
    };
    struct question *q = &rd->c->q;
    struct sim_tool spec = {.name = STR("")};
    struct str name = STR("");
    yyjson_val *value = NULL;

    TRY(union_member(rd, tool, path, &name, &value));
    struct str inner = field_path(rd->a, path, arena_str(rd->a, name).p);
    if (str_eq(name, STR("cachePoint")))
        return read_cache_point(rd, value, inner);
    TRY(read_json(rd, value, NULL));
    if (str_eq(name, STR("systemTool")))
        return CHECK_FIELDS(rd, value, inner, system_rules);
    if (!str_eq(name, STR("toolSpec")))
        return unknown_member(rd, path, name);
    TRY(read_tool_spec(rd, value, inner, &spec));
    for (size_t i = 0; i < q->tool_count; i++)
        if (str_eq(q->tools[i].name, spec.name))
            return bedrock_refuse(rd->a, rd->r, "The tool name %.*s is used more than once in toolConfig.tools.",
                                  STR_ARG(spec.name));
    q->tools[q->tool_count++] = spec;
    return OK;
}

static bool has_tool(const struct question *q, struct str name)
{
    for (size_t i = 0; i < q->tool_count; i++)
        if (str_eq(q->tools[i].name, name))
            return true;
    return false;
}

static err_t read_tool_choice(struct reader *rd, yyjson_val *choice)
{
    static const struct field_rule named_rules[] = {
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .min = 1, .max = NAME_CHARS_MAX, .required = true},
    };
    struct str path = STR("toolConfig.toolChoice"), name = STR("");
    struct question *q = &rd->c->q;
    yyjson_val *value = NULL;

    q->tool_choice = SIM_TOOL_AUTO;
    if (!choice || yyjson_is_null(choice))
        return OK;
    TRY(union_member(rd, choice, path, &name, &value));
    struct str inner = field_path(rd->a, path, arena_str(rd->a, name).p);
    if (str_eq(name, STR("auto")) || str_eq(name, STR("any"))) {
        q->tool_choice = str_eq(name, STR("any")) ? SIM_TOOL_REQUIRED : SIM_TOOL_AUTO;
        return bedrock_fields(rd->a, value, inner, NULL, 0, rd->r);
    }
    if (!str_eq(name, STR("tool")))
        return unknown_member(rd, path, name);
    TRY(CHECK_FIELDS(rd, value, inner, named_rules));
    q->tool_choice = SIM_TOOL_NAMED;
    q->tool_named = json_get_str(value, STR("name"), STR(""));
    if (!has_tool(q, q->tool_named))
        return bedrock_refuse(rd->a, rd->r, "The tool '%.*s' of toolConfig.toolChoice is not one of the tools.",
                              STR_ARG(q->tool_named));
    return OK;
}

static err_t read_tools(struct reader *rd)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("tools"), .kind = FIELD_ARRAY, .min = 1, .max = SIM_TOOLS_MAX, .required = true},
        {.name = STR_INIT("toolChoice"), .kind = FIELD_OBJECT},
    };
    yyjson_val *config = json_get(rd->root, STR("toolConfig")), *tool;
    size_t i, n;

    if (!yyjson_is_obj(config))
        return OK;
    TRY(CHECK_FIELDS(rd, config, STR("toolConfig"), rules));
    yyjson_val *tools = json_get(config, STR("tools"));
    rd->c->q.tools = arena_zalloc(rd->a, yyjson_arr_size(tools) * sizeof(*rd->c->q.tools));
    yyjson_arr_foreach(tools, i, n, tool)
    {
        TRY(read_tool(rd, tool, item_path(rd, STR("toolConfig.tools"), i)));
    }
    return read_tool_choice(rd, json_get(config, STR("toolChoice")));
}

/* --- settings --- */

static err_t read_inference(struct reader *rd)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("maxTokens"), .kind = FIELD_INT, .min = 1, .max = 1 << 30},
        {.name = STR_INIT("temperature"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
        {.name = STR_INIT("topP"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
        {.name = STR_INIT("stopSequences"), .kind = FIELD_ARRAY, .min = 0, .max = STOPS_MAX},
    };
    yyjson_val *config = json_get(rd->root, STR("inferenceConfig")), *stops, *stop;
    size_t i, n;

    if (!yyjson_is_obj(config))
        return OK;
    TRY(CHECK_FIELDS(rd, config, STR("inferenceConfig"), rules));
    rd->c->q.max_tokens = json_get_i64(config, STR("maxTokens"), -1);
    stops = json_get(config, STR("stopSequences"));
    yyjson_arr_foreach(stops, i, n, stop)
    {
        if (json_text(stop).n == 0)
            return bedrock_refuse(rd->a, rd->r,
                                  "1 validation error detected: Value at 'inferenceConfig.stopSequences.%zu' failed to "
                                  "satisfy constraint: Member must have length greater than or equal to 1",
                                  i);
    }
    question_set_stops(rd->a, &rd->c->q, stops);
    return OK;
}

/* What thinking forbids; the words are Anthropic's. */
static err_t check_thinking(struct reader *rd, yyjson_val *thinking, bool is_forced)
{
    yyjson_val *inference = json_get(rd->root, STR("inferenceConfig"));
    int64_t budget = json_get_i64(thinking, STR("budget_tokens"), 0);
    int64_t max = json_get_i64(inference, STR("maxTokens"), INT64_MAX);

    if (str_eq(json_get_str(thinking, STR("type"), STR("")), STR("enabled"))) {
        if (budget < THOUGHT_BUDGET_MIN)
            return bedrock_refuse(rd->a, rd->r,
                                  "thinking.enabled.budget_tokens: Input should be greater than or equal to %d",
                                  THOUGHT_BUDGET_MIN);
        if (budget >= max)
            return bedrock_refuse(rd->a, rd->r, "`max_tokens` must be greater than `thinking.budget_tokens`.");
    }
    if (json_get_double(inference, STR("temperature"), 1) != 1)
        return bedrock_refuse(rd->a, rd->r, "`temperature` may only be set to 1 when thinking is enabled.");
    if (json_get(json_get(rd->root, STR("additionalModelRequestFields")), STR("top_k")))
        return bedrock_refuse(rd->a, rd->r, "`top_k` must be unset when thinking is enabled.");
    if (json_get_double(inference, STR("topP"), 1) < 0.95)
        return bedrock_refuse(rd->a, rd->r,
                              "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.");
    if (is_forced)
        return bedrock_refuse(rd->a, rd->r, "Thinking may not be enabled when tool_choice forces tool use.");
    if (rd->c->q.result.p && !rd->starts_with_thought)
        return bedrock_refuse(rd->a, rd->r,
                              "Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is "
                              "enabled, a final `assistant` message must start with a thinking block.");
    return OK;
}

static err_t read_thinking(struct reader *rd, yyjson_val *thinking, bool is_forced)
{
    static const char *const types[] = {"enabled", "disabled", "adaptive", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types, .required = true},
        {.name = STR_INIT("budget_tokens"), .kind = FIELD_INT},
        {.name = STR_INIT("display"), .kind = FIELD_STRING},
    };

    if (!thinking || yyjson_is_null(thinking))
        return OK;
    TRY(CHECK_FIELDS(rd, thinking, STR("thinking"), rules));
    if (str_eq(json_get_str(thinking, STR("type"), STR("")), STR("disabled")))
        return OK;
    TRY(check_thinking(rd, thinking, is_forced));
    rd->c->q.tells_thoughts = true;
    rd->c->q.reasoning_tokens = THOUGHT_TOKENS;
    return OK;
}

/* Claude's own form of tool_choice, for what toolChoice cannot say: none, and one call at a time. */
static err_t read_claude_choice(struct reader *rd, yyjson_val *choice)
{
    static const char *const types[] = {"auto", "any", "tool", "none", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types, .required = true},
        {.name = STR_INIT("name"), .kind = FIELD_STRING},
        {.name = STR_INIT("disable_parallel_tool_use"), .kind = FIELD_BOOL},
    };
    struct question *q = &rd->c->q;

    if (!choice || yyjson_is_null(choice))
        return OK;
    TRY(CHECK_FIELDS(rd, choice, STR("tool_choice"), rules));
    if (q->tool_count == 0)
        return bedrock_refuse(rd->a, rd->r, "tool_choice: may only be specified while providing tools.");
    if (json_get(json_get(rd->root, STR("toolConfig")), STR("toolChoice")))
        return bedrock_refuse(rd->a, rd->r, "The additional field tool_choice conflicts with toolConfig.toolChoice.");
    struct str type = json_get_str(choice, STR("type"), STR(""));
    q->tool_named = json_get_str(choice, STR("name"), STR(""));
    q->parallel = !json_get_bool(choice, STR("disable_parallel_tool_use"), false);
    if (str_eq(type, STR("tool")) && !has_tool(q, q->tool_named))
        return bedrock_refuse(rd->a, rd->r, "tool_choice: the tool '%.*s' is not one of the tools.",
                              STR_ARG(q->tool_named));
    q->tool_choice = str_eq(type, STR("any"))    ? SIM_TOOL_REQUIRED
                     : str_eq(type, STR("tool")) ? SIM_TOOL_NAMED
                     : str_eq(type, STR("none")) ? SIM_TOOL_NONE
                                                 : SIM_TOOL_AUTO;
    return OK;
}

static err_t read_additional(struct reader *rd)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("thinking"), .kind = FIELD_OBJECT},
        {.name = STR_INIT("top_k"), .kind = FIELD_INT, .min = 0, .max = 500},
        {.name = STR_INIT("tool_choice"), .kind = FIELD_OBJECT},
        {.name = STR_INIT("anthropic_beta"), .kind = FIELD_ARRAY},
        {.name = STR_INIT("output_config"), .kind = FIELD_OBJECT},
    };
    yyjson_val *more = json_get(rd->root, STR("additionalModelRequestFields"));

    if (!yyjson_is_obj(more) || !rd->is_claude)
        return OK;
    TRY(CHECK_FIELDS(rd, more, STR(""), rules));
    TRY(read_claude_choice(rd, json_get(more, STR("tool_choice"))));
    enum sim_tool_choice choice = rd->c->q.tool_choice;
    return read_thinking(rd, json_get(more, STR("thinking")), choice == SIM_TOOL_REQUIRED || choice == SIM_TOOL_NAMED);
}

static err_t read_text_format(struct reader *rd, yyjson_val *format)
{
    static const char *const types[] = {"json_schema", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types, .required = true},
        {.name = STR_INIT("structure"), .kind = FIELD_OBJECT, .required = true},
    };
    static const struct field_rule schema_rules[] = {
        {.name = STR_INIT("schema"), .kind = FIELD_STRING, .min = 1, .max = 1 << 20, .required = true},
        {.name = STR_INIT("name"), .kind = FIELD_STRING},
        {.name = STR_INIT("description"), .kind = FIELD_STRING},
    };
    struct str path = STR("outputConfig.textFormat.structure"), name = STR("");
    yyjson_val *value = NULL;

    TRY(CHECK_FIELDS(rd, format, STR("outputConfig.textFormat"), rules));
    TRY(union_member(rd, json_get(format, STR("structure")), path, &name, &value));
    if (!str_eq(name, STR("jsonSchema")))
        return unknown_member(rd, path, name);
    TRY(CHECK_FIELDS(rd, value, STR("outputConfig.textFormat.structure.jsonSchema"), schema_rules));
    struct str text = json_get_str(value, STR("schema"), STR(""));
    if (json_parse(rd->a, text, NULL, 0, &rd->c->q.schema) != OK || !yyjson_is_obj(rd->c->q.schema))
        return bedrock_refuse(rd->a, rd->r, "The schema in outputConfig.textFormat is not the text of a JSON object.");
    question_add_text(&rd->c->q, text);
    rd->c->q.format = SIM_JSON_SCHEMA;
    return OK;
}

static err_t read_output(struct reader *rd)
{
    static const char *const efforts[] = {"low", "medium", "high", "xhigh", "max", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("effort"), .kind = FIELD_ENUM, .choices = efforts},
        {.name = STR_INIT("textFormat"), .kind = FIELD_OBJECT},
    };
    yyjson_val *config = json_get(rd->root, STR("outputConfig"));

    if (!yyjson_is_obj(config))
        return OK;
    TRY(CHECK_FIELDS(rd, config, STR("outputConfig"), rules));
    yyjson_val *format = json_get(config, STR("textFormat"));
    return yyjson_is_obj(format) ? read_text_format(rd, format) : OK;
}

/* Settings without effect on a simulated answer: their form. */
static err_t read_rest(struct reader *rd)
{
    static const char *const latencies[] = {"standard", "optimized", NULL};
    static const char *const tiers[] = {"default", "priority", "flex", "reserved", NULL};
    static const char *const traces[] = {"enabled", "disabled", "enabled_full", NULL};
    static const char *const modes[] = {"sync", "async", NULL};
    static const struct field_rule performance[] = {
        {.name = STR_INIT("latency"), .kind = FIELD_ENUM, .choices = latencies}};
    static const struct field_rule tier[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = tiers, .required = true}};
    static const struct field_rule guardrail[] = {
        {.name = STR_INIT("guardrailIdentifier"), .kind = FIELD_STRING, .min = 1, .max = 2048, .required = true},
        {.name = STR_INIT("guardrailVersion"), .kind = FIELD_STRING, .min = 1, .max = 16, .required = true},
        {.name = STR_INIT("trace"), .kind = FIELD_ENUM, .choices = traces},
        {.name = STR_INIT("streamProcessingMode"), .kind = FIELD_ENUM, .choices = modes},
    };
    static const struct {
        struct str name;
        const struct field_rule *rules;
        size_t count;
    } objects[] = {{STR_INIT("performanceConfig"), performance, ARRAY_LEN(performance)},
                   {STR_INIT("serviceTier"), tier, ARRAY_LEN(tier)},
                   {STR_INIT("guardrailConfig"), guardrail, ARRAY_LEN(guardrail)}};

    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        yyjson_val *value = json_get(rd->root, objects[i].name);
        if (yyjson_is_obj(value))
            TRY(bedrock_fields(rd->a, value, objects[i].name, objects[i].rules, objects[i].count, rd->r));
    }
    return OK;
}

static err_t read_metadata(struct reader *rd)
{
    yyjson_val *key, *value;
    size_t i, n;

    yyjson_obj_foreach(json_get(rd->root, STR("requestMetadata")), i, n, key, value)
    {
        if (!yyjson_is_str(value))
            return refuse_status(rd->a, rd->r, 400, "SerializationException", "requestMetadata.%s must be a text.",
                                 yyjson_get_str(key));
    }
    return OK;
}

/* What of the model's own answer the client wants to see. Only Claude has something to tell. */
static err_t read_response_paths(struct reader *rd)
{
    yyjson_val *path;
    size_t i, n;

    yyjson_arr_foreach(json_get(rd->root, STR("additionalModelResponseFieldPaths")), i, n, path)
    {
        if (!str_starts(json_text(path), STR("/")))
            return bedrock_refuse(rd->a, rd->r,
                                  "The value at additionalModelResponseFieldPaths.%zu is not a JSON pointer.", i);
        rd->c->tells_stop |= rd->is_claude && str_eq(json_text(path), STR("/stop_sequence"));
    }
    return OK;
}

err_t bedrock_converse_read(struct arena *a, struct str model, struct str body, struct bedrock_converse *ret,
                            struct sim_refusal *r)
{
    struct reader *rd = arena_new(a, struct reader);

    *ret = (struct bedrock_converse){0};
    *rd = (struct reader){.a = a, .c = ret, .r = r, .is_claude = str_find(model, STR("anthropic.")) < model.n};
    question_init(&ret->q);
    ret->q.model = model;
    TRY(bedrock_parse(a, body, r, &rd->root));
    TRY(CHECK_FIELDS(rd, rd->root, STR(""), converse_rules));
    TRY(read_tools(rd));
    TRY(read_system(rd));
    TRY(read_messages(rd));
    if (rd->uses_tools && !yyjson_is_obj(json_get(rd->root, STR("toolConfig"))))
        return bedrock_refuse(a, r,
                              "The toolConfig field must be defined when using toolUse and toolResult content blocks.");
    TRY(read_inference(rd));
    TRY(read_additional(rd));
    TRY(read_output(rd));
    TRY(read_rest(rd));
    TRY(read_metadata(rd));
    return read_response_paths(rd);
}
