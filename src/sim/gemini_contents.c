/*
 * gemini_contents.c - the contents of a Gemini request: whose turn it is, what its parts are, and that calls and responses pair.
 *
 * Written from the documentation of the Gemini API. Calls of one turn are answered in the next one, all of them; which response is for
 * which call is told by the id if there is one, else by the name, in order. A model that signs wants its signature back on the first
 * call of each turn since the user last spoke.
 */
#include "codec/json.h"
#include "sim/gemini_int.h"
#include "sim/hash.h"
#include "sim/media.h"
#include "sim/signature.h"
#include "sim/text.h"

enum { MEDIA_BYTES_MAX = 64 << 20 };

/* What stands in for a signature in a history that another provider made. */
#define SKIP_SIGNATURE STR("skip_thought_signature_validator")

struct pending_call {
    struct str id, name;
};

/* What reading the turns has at hand. */
struct turns {
    struct gemini_reader *rd;
    struct pending_call calls[SIM_TOOLS_MAX]; /* of the last model turn, not answered yet */
    size_t call_count, position;              /* position: of a call among all, from 1    */
    struct str unsigned_call; /* in this round, the first without a signature that it should have; empty: none */
    size_t unsigned_position;
};

/* What one turn brought. */
struct seen {
    struct str path;
    struct str text; /* its first text; p == NULL: none */
    struct str result;
    size_t calls, responses, others;
    bool is_model;
};

static err_t check_signature(struct gemini_reader *rd, yyjson_val *part, struct str path, struct str about)
{
    struct str signature = proto_get_str(part, STR("thoughtSignature"), STR_NONE);

    if (!signature.p || sim_signature_is_good(STR("gemini"), about, signature))
        return OK;
    if (str_eq(signature, SKIP_SIGNATURE) && about.n > 0)
        return OK;
    return gemini_refuse(rd, "Thought signature is not valid: %.*s.thought_signature", STR_ARG(path));
}

/* --- parts --- */

static err_t read_call(struct turns *ts, yyjson_val *part, yyjson_val *call, struct seen *s)
{
    struct gemini_reader *rd = ts->rd;
    struct str name = proto_get_str(call, STR("name"), STR("")), id = proto_get_str(call, STR("id"), STR_NONE);

    if (!s->is_model)
        return gemini_refuse(rd, "Please ensure that function call turn comes immediately after a user turn or after a "
                                 "function response turn.");
    if (name.n == 0)
        return gemini_refuse(rd, "* GenerateContentRequest.%.*s.function_call.name: Name cannot be empty.",
                             STR_ARG(s->path));
    TRY(check_signature(rd, part, s->path, name));
    ts->position++;
    if (s->calls++ == 0 && !proto_get(part, STR("thoughtSignature")) && ts->unsigned_call.n == 0) {
        ts->unsigned_call = name;
        ts->unsigned_position = ts->position;
    }
    if (ts->call_count == SIM_TOOLS_MAX)
        return gemini_refuse(rd, "Too many function calls in one turn.");
    ts->calls[ts->call_count++] = (struct pending_call){id, name};
    question_add_text(rd->q, name);
    yyjson_val *args = proto_get(call, STR("args"));
    return args ? question_add_tools(rd->a, rd->q, args) : OK;
}

/* The call that a response is for; call_count if there is none. */
static size_t call_for(const struct turns *ts, struct str id, struct str name)
{
    for (size_t i = 0; i < ts->call_count; i++)
        if (id.p && ts->calls[i].id.p ? str_eq(id, ts->calls[i].id) && str_eq(name, ts->calls[i].name)
                                      : str_eq(name, ts->calls[i].name))
            return i;
    return ts->call_count;
}

/* The text in {"output":"..."}: what the answer quotes. STR_NONE for anything else. */
static struct str lone_text(yyjson_val *response)
{
    yyjson_val *key, *value;
    struct str text = STR_NONE;
    size_t i, n;

    yyjson_obj_foreach(response, i, n, key, value)
    {
        text = n == 1 ? json_text(value) : STR_NONE;
    }
    return text;
}

static err_t read_response(struct turns *ts, yyjson_val *response, struct seen *s)
{
    struct gemini_reader *rd = ts->rd;
    struct str name = proto_get_str(response, STR("name"), STR(""));
    yyjson_val *value = proto_get(response, STR("response"));
    struct buf text CLEANUP(buf_release) = BUF_INIT(MEDIA_BYTES_MAX);

    if (s->is_model || ts->call_count == 0)
        return gemini_refuse(rd,
                             "Please ensure that function response turn comes immediately after a function call turn, "
                             "with as many function response parts as it has function call parts.");
    if (name.n == 0)
        return gemini_refuse(rd, "* GenerateContentRequest.%.*s.function_response.name: Name cannot be empty.",
                             STR_ARG(s->path));
    if (!value)
        return gemini_refuse(rd, "* GenerateContentRequest.%.*s.function_response.response: must be specified",
                             STR_ARG(s->path));
    size_t i = call_for(ts, proto_get_str(response, STR("id"), STR_NONE), name);
    if (i == ts->call_count)
        return gemini_refuse(rd,
                             "Please ensure that the function response `%.*s` is for a function call of the "
                             "preceding turn: its id and its name must be those of the call.",
                             STR_ARG(name));
    memmove(&ts->calls[i], &ts->calls[i + 1], (--ts->call_count - i) * sizeof(*ts->calls));
    s->responses++;
    TRY(json_write(&text, rd->a, value));
    question_add_text(rd->q, name);
    question_add_text(rd->q, buf_str(&text));
    s->result = lone_text(value);
    if (!s->result.p)
        s->result = arena_str(rd->a, buf_str(&text));
    return OK;
}

static err_t read_blob(struct gemini_reader *rd, yyjson_val *blob, struct str path)
{
    struct str type = proto_get_str(blob, STR("mimeType"), STR("")), data = proto_get_str(blob, STR("data"), STR(""));
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(MEDIA_BYTES_MAX);
    bool image = str_starts(type, STR("image/"));

    if (type.n == 0)
        return gemini_refuse(rd, "* GenerateContentRequest.%.*s.inline_data.mime_type: must be specified",
                             STR_ARG(path));
    if (data.n == 0)
        return gemini_refuse(rd, "* GenerateContentRequest.%.*s.inline_data.data: must not be empty", STR_ARG(path));
    if (str_find_char(type, '/') == type.n || str_eq(type, STR("image/jpg")))
        return gemini_refuse(rd, "Unsupported MIME type: %.*s", STR_ARG(type));
    TRY(proto_decode_bytes(&bytes, data));
    if (image && str_list_has(STR("image/png,image/jpeg,image/gif,image/webp"), type) &&
        sim_image_type(buf_str(&bytes)).n == 0)
        return gemini_refuse(rd, "Provided image is not valid.");
    rd->q->hash = sim_hash(rd->q->hash, buf_str(&bytes));
    size_t tokens = image ? SIM_IMAGE_TOKENS : SIM_MEDIA_TOKENS;
    rd->q->prompt_tokens += tokens;
    *(image ? &rd->req->image_tokens : &rd->req->media_tokens) += tokens;
    return OK;
}

static err_t read_file(struct gemini_reader *rd, yyjson_val *file, struct str path)
{
    struct str uri = proto_get_str(file, STR("fileUri"), STR(""));

    if (uri.n == 0)
        return gemini_refuse(rd, "* GenerateContentRequest.%.*s.file_data.file_uri: must be specified", STR_ARG(path));
    if (rd->req->vertex && !proto_get(file, STR("mimeType")))
        return gemini_refuse(rd, "Unable to submit request because it has an empty mimeType parameter in fileData.");
    rd->q->hash = sim_hash(rd->q->hash, uri);
    rd->q->prompt_tokens += SIM_MEDIA_TOKENS;
    rd->req->media_tokens += SIM_MEDIA_TOKENS;
    return OK;
}

static err_t read_text(struct gemini_reader *rd, yyjson_val *part, struct str text, struct seen *s)
{
    TRY(check_signature(rd, part, s->path, STR("")));
    question_add_text(rd->q, text);
    if (!s->text.p && !proto_get_bool(part, STR("thought")))
        s->text = text;
    return OK;
}

/* The one member of a part that is its data. E_PARSE if there is none, or more than one. */
static err_t find_data(struct gemini_reader *rd, yyjson_val *part, struct str path, struct str *ret)
{
    static const struct str kinds[] = {STR_INIT("text"),
                                       STR_INIT("inlineData"),
                                       STR_INIT("fileData"),
                                       STR_INIT("functionCall"),
                                       STR_INIT("functionResponse"),
                                       STR_INIT("executableCode"),
                                       STR_INIT("codeExecutionResult"),
                                       STR_INIT("toolCall"),
                                       STR_INIT("toolResponse"),
                                       STR_INIT("audioTranscription")};

    *ret = STR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!proto_get(part, kinds[i]))
            continue;
        if (ret->p)
            return gemini_refuse(
                rd, "Invalid value at '%.*s' (oneof), oneof field 'data' is already set. Cannot set '%.*s'",
                STR_ARG(path), STR_ARG(kinds[i]));
        *ret = kinds[i];
    }
    if (ret->p)
        return OK;
    return gemini_refuse(rd,
                         "* GenerateContentRequest.%.*s.data: required oneof field 'data' must have one initialized "
                         "field",
                         STR_ARG(path));
}

static err_t read_part(struct turns *ts, yyjson_val *part, struct str path, struct seen *s)
{
    struct str kind;

    TRY(find_data(ts->rd, part, path, &kind));
    yyjson_val *data = proto_get(part, kind);
    s->others += !str_eq(kind, STR("functionResponse"));
    if (str_eq(kind, STR("text")))
        return read_text(ts->rd, part, json_text(data), s);
    if (str_eq(kind, STR("functionCall")))
        return read_call(ts, part, data, s);
    if (str_eq(kind, STR("functionResponse")))
        return read_response(ts, data, s);
    if (str_eq(kind, STR("inlineData")))
        return read_blob(ts->rd, data, path);
    if (str_eq(kind, STR("fileData")))
        return read_file(ts->rd, data, path);
    return question_add_tools(ts->rd->a, ts->rd->q, data);
}

static err_t read_parts(struct turns *ts, yyjson_val *content, struct seen *s)
{
    yyjson_val *parts = proto_get(content, STR("parts")), *part;
    size_t i, n;

    if (yyjson_arr_size(parts) == 0)
        return gemini_refuse(ts->rd, "* GenerateContentRequest.%.*s.parts: contents.parts must not be empty.",
                             STR_ARG(s->path));
    yyjson_arr_foreach(parts, i, n, part)
    {
        TRY(read_part(ts, part, arena_printf(ts->rd->a, "%.*s.parts[%zu]", STR_ARG(s->path), i), s));
    }
    return OK;
}

/* --- turns --- */

static err_t check_role(struct turns *ts, struct str role, size_t index, bool was_model, bool *ret_model)
{
    bool is_model = str_eq(role, STR("model"));

    if (!is_model && !str_eq(role, STR("user")) && !str_eq(role, STR("function")))
        return gemini_refuse(ts->rd, "Please use a valid role: user, model.");
    if (index == 0 && is_model)
        return gemini_refuse(ts->rd, "Please ensure that the first turn is a user turn.");
    if (index > 0 && is_model == was_model)
        return gemini_refuse(ts->rd, "Please ensure that multiturn requests alternate between user and model.");
    *ret_model = is_model;
    return OK;
}

static err_t calls_unanswered(struct turns *ts)
{
    return gemini_refuse(ts->rd, "Please ensure that the number of function response parts is equal to the number of "
                                 "function call parts of the function call turn.");
}

static err_t read_turn(struct turns *ts, yyjson_val *content, size_t index, bool *was_model)
{
    struct gemini_reader *rd = ts->rd;
    struct seen s = {.path = arena_printf(rd->a, "contents[%zu]", index), .text = STR_NONE, .result = STR_NONE};
    struct str role = proto_get_str(content, STR("role"), STR("user"));

    TRY(check_role(ts, role, index, *was_model, &s.is_model));
    *was_model = s.is_model;
    question_add_role(rd->q, s.is_model ? role : STR("user"));
    TRY(read_parts(ts, content, &s));
    rd->q->result = s.result;
    if (s.is_model)
        return OK;
    if (ts->call_count > 0)
        return calls_unanswered(ts);
    if (s.others > 0) {
        rd->q->asked = s.text.p ? s.text : STR("");
        ts->unsigned_call = STR("");
    }
    return OK;
}

static err_t read_system(struct gemini_reader *rd)
{
    yyjson_val *system = proto_get(rd->root, STR("systemInstruction")), *part;
    size_t i, n;

    if (!system)
        return OK;
    question_add_role(rd->q, STR("system"));
    if (yyjson_arr_size(proto_get(system, STR("parts"))) == 0)
        return gemini_refuse(rd, "* GenerateContentRequest.system_instruction.parts: must not be empty.");
    yyjson_arr_foreach(proto_get(system, STR("parts")), i, n, part)
    {
        yyjson_val *text = proto_get(part, STR("text"));
        if (!text)
            return gemini_refuse(rd, "System instruction only supports text parts.");
        question_add_text(rd->q, json_text(text));
    }
    return OK;
}

err_t gemini_read_contents(struct gemini_reader *rd)
{
    struct turns *ts = arena_new(rd->a, struct turns);
    yyjson_val *contents = proto_get(rd->root, STR("contents")), *content;
    bool was_model = false;
    size_t i, n;

    *ts = (struct turns){.rd = rd, .unsigned_call = STR("")};
    TRY(read_system(rd));
    if (yyjson_arr_size(contents) == 0)
        return gemini_refuse(rd, "* GenerateContentRequest.contents: contents is not specified");
    yyjson_arr_foreach(contents, i, n, content)
    {
        TRY(read_turn(ts, content, i, &was_model));
    }
    if (ts->call_count > 0)
        return calls_unanswered(ts);
    if (!rd->req->signs || ts->unsigned_call.n == 0)
        return OK;
    return gemini_refuse(rd,
                         "Function call is missing a thought_signature in functionCall parts. This is required for "
                         "tools to work correctly, and missing thought_signature may lead to degraded model "
                         "performance. Additional data, function call `default_api:%.*s`, position %zu.",
                         STR_ARG(ts->unsigned_call), ts->unsigned_position);
}
