/*
 * cohere_chat_read.c - requests to POST /v2/chat, checked in full: fields and their ranges, messages in order, tools, documents, and what
 * excludes what.
 *
 * Order of checks: top-level fields by table, messages, tools, documents, format. The first thing wrong is what the client is
 * told. A result must answer a call of the assistant's message before it, and all of them must be answered before anybody else speaks.
 *
 * Nothing is sent or decided here.
 */
#include "codec/base64.h"
#include "codec/json.h"
#include "sim/cohere_int.h"
#include "sim/hash.h"
#include "sim/media.h"

enum { THOUGHT_TOKENS = 32, IMAGE_BYTES_MAX = 20 << 20, SOURCE_BYTES_MAX = 4 << 20 };

static const char *const citation_modes[] = {"ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF", NULL};
static const char *const safety_modes[] = {"CONTEXTUAL", "STRICT", "OFF", NULL};
static const char *const tool_choices[] = {"REQUIRED", "NONE", NULL};

static const struct field_rule chat_rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("messages"), .kind = FIELD_ARRAY, .min = 1, .max = 1 << 20, .required = true},
    {.name = STR_INIT("stream"), .kind = FIELD_BOOL},
    {.name = STR_INIT("tools"), .kind = FIELD_ARRAY, .min = 1, .max = SIM_TOOLS_MAX},
    {.name = STR_INIT("strict_tools"), .kind = FIELD_BOOL},
    {.name = STR_INIT("tool_choice"), .kind = FIELD_ENUM, .choices = tool_choices},
    {.name = STR_INIT("documents"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("citation_options"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("response_format"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("safety_mode"), .kind = FIELD_ENUM, .choices = safety_modes},
    {.name = STR_INIT("max_tokens"), .kind = FIELD_INT, .min = 1, .max = 1 << 30},
    {.name = STR_INIT("stop_sequences"), .kind = FIELD_ARRAY, .min = 0, .max = COHERE_STOPS_MAX},
    {.name = STR_INIT("temperature"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("seed"), .kind = FIELD_INT, .min = 0, .max = 18446744073709551615.0},
    {.name = STR_INIT("frequency_penalty"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("presence_penalty"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("k"), .kind = FIELD_INT, .min = 0, .max = 500},
    {.name = STR_INIT("p"), .kind = FIELD_NUMBER, .min = 0.01, .max = 0.99},
    {.name = STR_INIT("logprobs"), .kind = FIELD_BOOL},
    {.name = STR_INIT("thinking"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("priority"), .kind = FIELD_INT, .min = 0, .max = 999},
};

/* What reading one request has at hand. */
struct reader {
    struct arena *a;
    struct cohere_chat *c;
    struct sim_refusal *r;
    yyjson_val *root;
    struct str pending[SIM_TOOLS_MAX]; /* ids of calls that have not been answered yet */
    size_t pending_count;
};

#define CHECK_FIELDS(rd, obj, path, rules) cohere_fields((rd)->a, (obj), (path), (rules), ARRAY_LEN(rules), (rd)->r)

static err_t need_object(struct reader *rd, yyjson_val *v, struct str path)
{
    if (yyjson_is_obj(v))
        return OK;
    return refuse_status(rd->a, rd->r, 422, NULL, "invalid type: parameter '%.*s' should be of type object, but is %s",
                         STR_ARG(path), field_type_name(v));
}

static struct str item_path(struct reader *rd, struct str path, size_t i)
{
    return arena_printf(rd->a, "%.*s[%zu]", STR_ARG(path), i);
}

/* --- sources of citations --- */

static err_t add_source(struct reader *rd, bool is_tool, struct str id, struct buf *value)
{
    TRY(buf_status(value));
    rd->c->sources[rd->c->source_count++] =
        (struct cohere_source){.is_tool = is_tool, .id = id, .value = arena_str(rd->a, buf_str(value))};
    return OK;
}

/* A document as {"id":…, its data…}; a text is its "text". */
static err_t write_document(struct reader *rd, struct str id, yyjson_val *data, struct buf *to)
{
    yyjson_val *key, *value;
    size_t i, n;

    buf_add_lit(to, "{\"id\":\"");
    buf_add_json(to, id);
    buf_add_char(to, '"');
    if (yyjson_is_str(data)) {
        buf_add_lit(to, ",\"text\":");
        TRY(json_write(to, rd->a, data));
    }
    yyjson_obj_foreach(data, i, n, key, value)
    {
        buf_add_char(to, ',');
        TRY(json_write(to, rd->a, key));
        buf_add_char(to, ':');
        TRY(json_write(to, rd->a, value));
    }
    return buf_add_char(to, '}');
}

/* A text, or {id?, data}. *ret_data is the text, or the data. */
static err_t read_document(struct reader *rd, yyjson_val *document, struct str path, struct str *ret_id,
                           yyjson_val **ret_data)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("id"), .kind = FIELD_STRING},
        {.name = STR_INIT("data"), .kind = FIELD_ANY, .required = true},
    };

    *ret_data = document;
    if (!yyjson_is_str(document)) {
        TRY(need_object(rd, document, path));
        TRY(CHECK_FIELDS(rd, document, path, rules));
        *ret_data = json_get(document, STR("data"));
        *ret_id = json_get_str(document, STR("id"), *ret_id);
    }
    bool is_empty = yyjson_is_obj(*ret_data) ? yyjson_obj_size(*ret_data) == 0 : json_text(*ret_data).n == 0;
    if (is_empty)
        return cohere_refuse(rd->a, rd->r, "%.*s must have data: a text, or an object with members", STR_ARG(path));
    return OK;
}

static err_t read_documents(struct reader *rd, yyjson_val *documents)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SOURCE_BYTES_MAX);
    yyjson_val *document, *data;
    size_t i, n;

    yyjson_arr_foreach(documents, i, n, document)
    {
        struct str id = arena_printf(rd->a, "doc:%zu", i);
        TRY(read_document(rd, document, item_path(rd, STR("documents"), i), &id, &data));
        buf_clear(&text);
        TRY(write_document(rd, id, data, &text));
        question_add_text(&rd->c->q, buf_str(&text));
        TRY(add_source(rd, false, id, &text));
    }
    return OK;
}

/* --- messages --- */

static err_t read_image(struct reader *rd, yyjson_val *part, struct str path)
{
    static const char *const details[] = {"auto", "low", "high", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("url"), .kind = FIELD_STRING, .min = 1, .max = IMAGE_BYTES_MAX, .required = true},
        {.name = STR_INIT("detail"), .kind = FIELD_ENUM, .choices = details},
    };
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(IMAGE_BYTES_MAX);
    yyjson_val *image = json_get(part, STR("image_url"));

    path = field_path(rd->a, path, "image_url");
    TRY(need_object(rd, image, path));
    TRY(CHECK_FIELDS(rd, image, path, rules));
    struct str url = json_get_str(image, STR("url"), STR("")), rest = url;
    rd->c->q.hash = sim_hash(rd->c->q.hash, url);
    rd->c->q.prompt_tokens += SIM_IMAGE_TOKENS;
    if (str_starts(url, STR("https://")) || str_starts(url, STR("http://")))
        return OK;
    struct str type = str_cut(&rest, ';');
    if (!str_starts(type, STR("data:image/")) || !str_starts(rest, STR("base64,")) ||
        base64_decode(&bytes, str_slice(rest, 7, rest.n), BASE64) != OK)
        return cohere_refuse(rd->a, rd->r, "%.*s.url must be an address or a data URI in base64", STR_ARG(path));
    if (!str_eq(sim_image_type(buf_str(&bytes)), str_slice(type, 5, type.n)))
        return cohere_refuse(rd->a, rd->r, "%.*s.url is not an image of the type that it names", STR_ARG(path));
    return OK;
}

/* Which parts a role's content may have. */
enum parts { TEXT_ONLY = 0, IMAGES = 1, THOUGHTS = 2, DOCUMENTS = 4 };

static err_t read_tool_document(struct reader *rd, yyjson_val *part, struct str path, struct buf *said)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SOURCE_BYTES_MAX);
    struct str id = STR("");
    yyjson_val *data;

    TRY(read_document(rd, json_get(part, STR("document")), field_path(rd->a, path, "document"), &id, &data));
    TRY(json_write(&text, rd->a, data));
    question_add_text(&rd->c->q, buf_str(&text));
    return buf_add(said, buf_str(&text));
}

static err_t read_part(struct reader *rd, yyjson_val *part, struct str path, unsigned allowed, struct buf *said)
{
    static const struct {
        const char *type, *member;
        unsigned needs;
    } kinds[] = {{"text", "text", TEXT_ONLY},
                 {"image_url", "image_url", IMAGES},
                 {"thinking", "thinking", THOUGHTS},
                 {"document", "document", DOCUMENTS}};
    struct str type = json_get_str(part, STR("type"), STR(""));

    TRY(need_object(rd, part, path));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!str_eq(type, str_from_c(kinds[i].type)) || (kinds[i].needs & allowed) != kinds[i].needs)
            continue;
        const struct field_rule rules[] = {
            {.name = STR_INIT("type"), .kind = FIELD_STRING, .required = true},
            {.name = str_from_c(kinds[i].member), .kind = FIELD_ANY, .required = true},
        };
        TRY(CHECK_FIELDS(rd, part, path, rules));
        if (kinds[i].needs == IMAGES)
            return read_image(rd, part, path);
        if (kinds[i].needs == DOCUMENTS)
            return read_tool_document(rd, part, path, said);
        struct str text = json_get_str(part, str_from_c(kinds[i].member), STR(""));
        if (text.n == 0)
            return cohere_refuse(rd->a, rd->r, "%.*s.%s must be a text that is not empty", STR_ARG(path),
                                 kinds[i].member);
        question_add_text(&rd->c->q, text);
        return kinds[i].needs == TEXT_ONLY ? buf_add(said, text) : OK;
    }
    return cohere_refuse(rd->a, rd->r, "%.*s.type '%.*s' is not one that this role may send", STR_ARG(path),
                         STR_ARG(type));
}

/* The content of a message; its text is added to `said`. */
static err_t read_content(struct reader *rd, yyjson_val *message, struct str path, unsigned allowed, struct buf *said)
{
    yyjson_val *content = json_get(message, STR("content")), *part;
    size_t i, n;

    path = field_path(rd->a, path, "content");
    if (yyjson_is_str(content) && json_text(content).n > 0) {
        question_add_text(&rd->c->q, json_text(content));
        return buf_add(said, json_text(content));
    }
    if (!yyjson_is_arr(content) || yyjson_arr_size(content) == 0)
        return cohere_refuse(rd->a, rd->r, "%.*s must be a text or a list of parts, and not empty", STR_ARG(path));
    yyjson_arr_foreach(content, i, n, part)
    {
        TRY(read_part(rd, part, item_path(rd, path, i), allowed, said));
    }
    return OK;
}

static err_t read_call(struct reader *rd, yyjson_val *call, struct str path)
{
    static const char *const types[] = {"function", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("id"), .kind = FIELD_STRING, .min = 1, .max = 1024, .required = true},
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types, .required = true},
        {.name = STR_INIT("function"), .kind = FIELD_OBJECT, .required = true},
    };
    static const struct field_rule function_rules[] = {
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .min = 1, .max = 256, .required = true},
        {.name = STR_INIT("arguments"), .kind = FIELD_STRING, .required = true},
    };
    yyjson_val *arguments;

    TRY(need_object(rd, call, path));
    TRY(CHECK_FIELDS(rd, call, path, rules));
    yyjson_val *function = json_get(call, STR("function"));
    path = field_path(rd->a, path, "function");
    TRY(CHECK_FIELDS(rd, function, path, function_rules));
    struct str text = json_get_str(function, STR("arguments"), STR(""));
    if (json_parse(rd->a, text, NULL, 0, &arguments) != OK || !yyjson_is_obj(arguments))
        return cohere_refuse(rd->a, rd->r, "%.*s.arguments must be the text of a JSON object", STR_ARG(path));
    question_add_text(&rd->c->q, json_get_str(function, STR("name"), STR("")));
    question_add_text(&rd->c->q, text);
    if (rd->pending_count == SIM_TOOLS_MAX)
        return cohere_refuse(rd->a, rd->r, "too many tool calls in one message");
    rd->pending[rd->pending_count++] = json_get_str(call, STR("id"), STR(""));
    return OK;
}

static err_t read_assistant(struct reader *rd, yyjson_val *message, struct str path, struct buf *said)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("role"), .kind = FIELD_STRING},      {.name = STR_INIT("content"), .kind = FIELD_ANY},
        {.name = STR_INIT("tool_plan"), .kind = FIELD_STRING}, {.name = STR_INIT("tool_calls"), .kind = FIELD_ARRAY},
        {.name = STR_INIT("citations"), .kind = FIELD_ARRAY},
    };
    yyjson_val *calls = json_get(message, STR("tool_calls")), *content = json_get(message, STR("content")), *call;
    size_t i, n;

    TRY(CHECK_FIELDS(rd, message, path, rules));
    bool has_calls = yyjson_arr_size(calls) > 0, has_content = content && !yyjson_is_null(content);
    if (!has_calls && json_get(message, STR("tool_plan")))
        return cohere_refuse(rd->a, rd->r, "%.*s.tool_plan needs tool_calls", STR_ARG(path));
    if (has_content || !has_calls)
        TRY(read_content(rd, message, path, THOUGHTS, said));
    question_add_text(&rd->c->q, json_get_str(message, STR("tool_plan"), STR("")));
    yyjson_arr_foreach(calls, i, n, call)
    {
        TRY(read_call(rd, call, item_path(rd, field_path(rd->a, path, "tool_calls"), i)));
    }
    return OK;
}

static err_t read_result(struct reader *rd, yyjson_val *message, struct str path, struct buf *said)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("role"), .kind = FIELD_STRING},
        {.name = STR_INIT("tool_call_id"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("content"), .kind = FIELD_ANY, .required = true},
    };
    struct buf value CLEANUP(buf_release) = BUF_INIT(SOURCE_BYTES_MAX);
    size_t at = 0;

    TRY(CHECK_FIELDS(rd, message, path, rules));
    struct str id = json_get_str(message, STR("tool_call_id"), STR(""));
    while (at < rd->pending_count && !str_eq(rd->pending[at], id))
        at++;
    if (at == rd->pending_count)
        return cohere_refuse(rd->a, rd->r, "%.*s.tool_call_id '%.*s' answers no tool call of the message before",
                             STR_ARG(path), STR_ARG(id));
    rd->pending[at] = rd->pending[--rd->pending_count];
    TRY(read_content(rd, message, path, DOCUMENTS, said));
    rd->c->q.result = arena_str(rd->a, buf_str(said));
    buf_add_lit(&value, "{\"content\":\"");
    buf_add_json(&value, rd->c->q.result);
    buf_add_lit(&value, "\"}");
    return add_source(rd, true, arena_printf(rd->a, "%.*s:0", STR_ARG(id)), &value);
}

/* Documents stay, what tools have said is old. */
static void forget_results(struct cohere_chat *c)
{
    while (c->source_count > 0 && c->sources[c->source_count - 1].is_tool)
        c->source_count--;
}

static err_t read_message(struct reader *rd, yyjson_val *message, struct str path)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("role"), .kind = FIELD_STRING},
        {.name = STR_INIT("content"), .kind = FIELD_ANY, .required = true},
    };
    struct buf said CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 4);
    struct str role = json_get_str(message, STR("role"), STR(""));

    TRY(need_object(rd, message, path));
    if (rd->pending_count > 0 && !str_eq(role, STR("tool")))
        return cohere_refuse(rd->a, rd->r, "%.*s: all tool calls must be answered first; '%.*s' was not", STR_ARG(path),
                             STR_ARG(rd->pending[0]));
    question_add_role(&rd->c->q, role);
    if (str_eq(role, STR("tool")))
        return read_result(rd, message, path, &said);
    rd->c->q.result = STR_NONE;
    forget_results(rd->c);
    if (str_eq(role, STR("assistant")))
        return read_assistant(rd, message, path, &said);
    bool is_user = str_eq(role, STR("user"));
    if (!is_user && !str_eq(role, STR("system")))
        return cohere_refuse(rd->a, rd->r, "%.*s.role must be one of: user, assistant, system, tool", STR_ARG(path));
    TRY(CHECK_FIELDS(rd, message, path, rules));
    TRY(read_content(rd, message, path, is_user ? IMAGES : TEXT_ONLY, &said));
    if (is_user)
        rd->c->q.asked = arena_str(rd->a, buf_str(&said));
    return OK;
}

static err_t read_messages(struct reader *rd, yyjson_val *messages)
{
    yyjson_val *message;
    size_t i, n;

    yyjson_arr_foreach(messages, i, n, message)
    {
        TRY(read_message(rd, message, item_path(rd, STR("messages"), i)));
    }
    if (rd->pending_count > 0)
        return cohere_refuse(rd->a, rd->r, "the tool call '%.*s' was not answered", STR_ARG(rd->pending[0]));
    struct str last = json_get_str(yyjson_arr_get_last(messages), STR("role"), STR(""));
    if (!str_eq(last, STR("user")) && !str_eq(last, STR("tool")))
        return cohere_refuse(rd->a, rd->r, "the last message must be of the user or a tool");
    return OK;
}

/* --- tools, format, the rest --- */

static err_t read_tool(struct reader *rd, yyjson_val *tool, struct str path, struct sim_tool *ret)
{
    static const char *const types[] = {"function", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types, .required = true},
        {.name = STR_INIT("function"), .kind = FIELD_OBJECT, .required = true},
    };
    static const struct field_rule function_rules[] = {
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("description"), .kind = FIELD_STRING},
        {.name = STR_INIT("parameters"), .kind = FIELD_OBJECT},
    };

    TRY(need_object(rd, tool, path));
    TRY(CHECK_FIELDS(rd, tool, path, rules));
    yyjson_val *function = json_get(tool, STR("function"));
    path = field_path(rd->a, path, "function");
    TRY(CHECK_FIELDS(rd, function, path, function_rules));
    ret->name = json_get_str(function, STR("name"), STR(""));
    ret->parameters = json_get(function, STR("parameters"));
    if (!question_is_name(ret->name))
        return cohere_refuse(rd->a, rd->r, "%.*s.name must be 1 to 64 letters, digits, '_' or '-'", STR_ARG(path));
    if (yyjson_is_null(ret->parameters))
        ret->parameters = NULL;
    if (ret->parameters && !str_eq(json_get_str(ret->parameters, STR("type"), STR("")), STR("object")))
        return cohere_refuse(rd->a, rd->r, "%.*s.parameters must be a JSON Schema of type object", STR_ARG(path));
    return OK;
}

static err_t read_tools(struct reader *rd)
{
    yyjson_val *tools = json_get(rd->root, STR("tools")), *tool;
    struct str choice = json_get_str(rd->root, STR("tool_choice"), STR_NONE);
    struct question *q = &rd->c->q;
    size_t i, n;

    if (yyjson_arr_size(tools) == 0) {
        if (choice.p || json_get_bool(rd->root, STR("strict_tools"), false))
            return cohere_refuse(rd->a, rd->r, "tool_choice and strict_tools need tools");
        return OK;
    }
    q->tools = arena_zalloc(rd->a, yyjson_arr_size(tools) * sizeof(*q->tools));
    yyjson_arr_foreach(tools, i, n, tool)
    {
        TRY(read_tool(rd, tool, item_path(rd, STR("tools"), i), &q->tools[q->tool_count++]));
    }
    q->tool_choice = !choice.p ? SIM_TOOL_AUTO : str_eq(choice, STR("REQUIRED")) ? SIM_TOOL_REQUIRED : SIM_TOOL_NONE;
    return question_add_tools(rd->a, q, tools);
}

static err_t read_format(struct reader *rd)
{
    static const char *const types[] = {"text", "json_object", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types, .required = true},
        {.name = STR_INIT("json_schema"), .kind = FIELD_OBJECT},
    };
    yyjson_val *format = json_get(rd->root, STR("response_format"));
    struct question *q = &rd->c->q;

    if (!yyjson_is_obj(format))
        return OK;
    TRY(CHECK_FIELDS(rd, format, STR("response_format"), rules));
    q->schema = json_get(format, STR("json_schema"));
    if (yyjson_is_null(q->schema))
        q->schema = NULL;
    if (str_eq(json_get_str(format, STR("type"), STR("")), STR("text")))
        return q->schema ? cohere_refuse(rd->a, rd->r, "response_format.json_schema needs the type json_object") : OK;
    if (q->tool_count > 0 || yyjson_arr_size(json_get(rd->root, STR("documents"))) > 0)
        return cohere_refuse(rd->a, rd->r, "response_format json_object cannot be used with tools or documents");
    q->format = q->schema ? SIM_JSON_SCHEMA : SIM_JSON_OBJECT;
    return OK;
}

static err_t read_thinking(struct reader *rd)
{
    static const char *const types[] = {"enabled", "disabled", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types, .required = true},
        {.name = STR_INIT("token_budget"), .kind = FIELD_INT, .min = 1, .max = 1 << 30},
    };
    yyjson_val *thinking = json_get(rd->root, STR("thinking"));

    if (!yyjson_is_obj(thinking))
        return OK;
    TRY(CHECK_FIELDS(rd, thinking, STR("thinking"), rules));
    if (!str_eq(json_get_str(thinking, STR("type"), STR("")), STR("enabled")))
        return OK;
    int64_t budget = json_get_i64(thinking, STR("token_budget"), THOUGHT_TOKENS);
    rd->c->thinking = rd->c->q.tells_thoughts = true;
    rd->c->q.reasoning_tokens = budget < THOUGHT_TOKENS ? (size_t)budget : THOUGHT_TOKENS;
    return OK;
}

static err_t read_citations(struct reader *rd)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("mode"), .kind = FIELD_ENUM, .choices = citation_modes},
    };
    yyjson_val *options = json_get(rd->root, STR("citation_options"));

    rd->c->cites = true;
    if (!yyjson_is_obj(options))
        return OK;
    TRY(CHECK_FIELDS(rd, options, STR("citation_options"), rules));
    struct str mode = json_get_str(options, STR("mode"), STR("ENABLED"));
    rd->c->cites = !str_eq(mode, STR("OFF")) && !str_eq(mode, STR("DISABLED"));
    return OK;
}

static err_t read_settings(struct reader *rd)
{
    yyjson_val *stops = json_get(rd->root, STR("stop_sequences")), *stop;
    struct question *q = &rd->c->q;
    size_t i, n;

    q->model = json_get_str(rd->root, STR("model"), STR_NONE);
    q->max_tokens = json_get_i64(rd->root, STR("max_tokens"), -1);
    q->stream = json_get_bool(rd->root, STR("stream"), false);
    yyjson_arr_foreach(stops, i, n, stop)
    {
        if (json_text(stop).n == 0)
            return cohere_refuse(rd->a, rd->r, "stop_sequences[%zu] must be a text that is not empty", i);
    }
    question_set_stops(rd->a, q, stops);
    if (json_get_double(rd->root, STR("frequency_penalty"), 0) > 0 &&
        json_get_double(rd->root, STR("presence_penalty"), 0) > 0)
        return cohere_refuse(rd->a, rd->r, "frequency_penalty and presence_penalty cannot be used at once");
    return OK;
}

err_t cohere_chat_read(struct arena *a, struct str body, struct cohere_chat *ret, struct sim_refusal *r)
{
    struct reader *rd = arena_new(a, struct reader);

    *ret = (struct cohere_chat){0};
    *rd = (struct reader){.a = a, .c = ret, .r = r};
    question_init(&ret->q);
    TRY(cohere_parse(a, body, r, &rd->root));
    TRY(CHECK_FIELDS(rd, rd->root, STR(""), chat_rules));
    yyjson_val *messages = json_get(rd->root, STR("messages")), *documents = json_get(rd->root, STR("documents"));
    size_t sources = yyjson_arr_size(documents) + yyjson_arr_size(messages);
    ret->sources = arena_zalloc(a, sources * sizeof(*ret->sources));
    TRY(read_settings(rd));
    TRY(read_documents(rd, documents));
    TRY(read_messages(rd, messages));
    TRY(read_tools(rd));
    TRY(read_format(rd));
    TRY(read_thinking(rd));
    return read_citations(rd);
}
