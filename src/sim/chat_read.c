/*
 * chat_read.c - requests to /v1/chat/completions, in full: wire-format reference 3.2 to 3.4.
 *
 * Order of checks: top-level fields by table, then messages in order, then tools, then what fields demand of each other. The first thing
 * wrong is what the client is told. Legacy `functions` become tools, and the answer is told to use the legacy form.
 *
 * Nothing is sent or decided here.
 */
#include "sim/chat_read.h"

#include "codec/json.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/text.h"

static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max", NULL};
static const char *const verbosities[] = {"low", "medium", "high", NULL};
static const char *const tiers[] = {"auto", "default", "flex", "scale", "priority", "fast", NULL};
static const char *const retentions[] = {"in_memory", "24h", NULL};
static const char *const roles[] = {"system", "assistant", "user", "function", "tool", "developer", NULL};

static const struct field_rule chat_rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("messages"), .kind = FIELD_ARRAY, .min = 1, .max = 1 << 20, .required = true},
    {.name = STR_INIT("max_completion_tokens"), .kind = FIELD_INT, .min = 1, .max = 1 << 30},
    {.name = STR_INIT("max_tokens"), .kind = FIELD_INT, .min = 1, .max = 1 << 30},
    {.name = STR_INIT("temperature"), .kind = FIELD_NUMBER, .min = 0, .max = 2},
    {.name = STR_INIT("top_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("n"), .kind = FIELD_INT, .min = 1, .max = SIM_CHOICES_MAX},
    {.name = STR_INIT("stop"), .kind = FIELD_ANY},
    {.name = STR_INIT("presence_penalty"), .kind = FIELD_NUMBER, .min = -2, .max = 2},
    {.name = STR_INIT("frequency_penalty"), .kind = FIELD_NUMBER, .min = -2, .max = 2},
    {.name = STR_INIT("logit_bias"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("logprobs"), .kind = FIELD_BOOL},
    {.name = STR_INIT("top_logprobs"), .kind = FIELD_INT, .min = 0, .max = 20},
    {.name = STR_INIT("seed"), .kind = FIELD_INT},
    {.name = STR_INIT("stream"), .kind = FIELD_BOOL},
    {.name = STR_INIT("stream_options"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("response_format"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("tools"), .kind = FIELD_ARRAY, .min = 1, .max = SIM_TOOLS_MAX},
    {.name = STR_INIT("tool_choice"), .kind = FIELD_ANY},
    {.name = STR_INIT("parallel_tool_calls"), .kind = FIELD_BOOL},
    {.name = STR_INIT("functions"), .kind = FIELD_ARRAY, .min = 1, .max = SIM_TOOLS_MAX},
    {.name = STR_INIT("function_call"), .kind = FIELD_ANY},
    {.name = STR_INIT("reasoning_effort"), .kind = FIELD_ENUM, .choices = efforts},
    {.name = STR_INIT("verbosity"), .kind = FIELD_ENUM, .choices = verbosities},
    {.name = STR_INIT("modalities"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("audio"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("prediction"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("metadata"), .kind = FIELD_OBJECT, .min = 0, .max = 16},
    {.name = STR_INIT("store"), .kind = FIELD_BOOL},
    {.name = STR_INIT("service_tier"), .kind = FIELD_ENUM, .choices = tiers},
    {.name = STR_INIT("user"), .kind = FIELD_STRING},
    {.name = STR_INIT("safety_identifier"), .kind = FIELD_STRING, .min = 0, .max = 64},
    {.name = STR_INIT("prompt_cache_key"), .kind = FIELD_STRING},
    {.name = STR_INIT("prompt_cache_retention"), .kind = FIELD_ENUM, .choices = retentions},
    {.name = STR_INIT("prompt_cache_options"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("web_search_options"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("moderation"), .kind = FIELD_OBJECT},
};

/* What reading one request has at hand. */
struct reader {
    struct arena *a;
    struct question *q;
    struct sim_refusal *r;
    yyjson_val *root;
    /* ids of tool calls that have not been answered yet */
    struct str pending[SIM_TOOLS_MAX];
    size_t pending_count;
    size_t pending_from; /* message that called them */
    bool mentions_json;
};

/* --- messages --- */

static struct str message_path(struct reader *rd, size_t index, const char *name)
{
    return arena_printf(rd->a, "messages[%zu].%s", index, name);
}

static bool mentions_json(struct str text)
{
    for (size_t i = 0; i + 4 <= text.n; i++)
        if (str_eq_nocase(str_of(text.p + i, 4), STR("json")))
            return true;
    return false;
}

static void add_text(struct reader *rd, struct str text)
{
    question_add_text(rd->q, text);
    if (!rd->mentions_json)
        rd->mentions_json = mentions_json(text);
}

static err_t missing(struct reader *rd, struct str param)
{
    return refuse(rd->a, rd->r, "missing_required_parameter", param, "Missing required parameter: '%.*s'.",
                  STR_ARG(param));
}

/* Member `name` of a part, which must be of this type. */
static err_t part_member(struct reader *rd, yyjson_val *part, struct str path, const char *name, bool is_object,
                         yyjson_val **ret)
{
    yyjson_val *v = json_get(part, str_from_c(name));
    struct str param = field_path(rd->a, path, name);

    *ret = v;
    if (!v)
        return missing(rd, param);
    if (is_object ? !yyjson_is_obj(v) : !yyjson_is_str(v))
        return refuse_type(rd->a, rd->r, param, is_object ? "an object" : "a string", v);
    return OK;
}

/* A part that is no text: counted flat, hashed by what it refers to. */
static err_t read_media(struct reader *rd, yyjson_val *part, struct str path, struct str type)
{
    static const struct {
        struct str type;
        const char *needs; /* within the member of the same name; NULL: any one of several */
        size_t tokens;
    } kinds[] = {{STR_INIT("image_url"), "url", SIM_IMAGE_TOKENS},
                 {STR_INIT("input_audio"), "data", SIM_MEDIA_TOKENS},
                 {STR_INIT("file"), NULL, SIM_MEDIA_TOKENS}};
    yyjson_val *inner, *value = NULL;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!str_eq(type, kinds[i].type))
            continue;
        TRY(part_member(rd, part, path, kinds[i].type.p, true, &inner));
        if (kinds[i].needs)
            TRY(part_member(rd, inner, field_path(rd->a, path, kinds[i].type.p), kinds[i].needs, false, &value));
        else if (!json_get(inner, STR("file_id")) && !json_get(inner, STR("file_data")))
            return missing(rd, field_path(rd->a, path, "file.file_id"));
        rd->q->hash = sim_hash(rd->q->hash, json_text(value));
        rd->q->prompt_tokens += kinds[i].tokens;
        return OK;
    }
    struct str param = field_path(rd->a, path, "type");
    return refuse(
        rd->a, rd->r, "invalid_value", param,
        "Invalid value: '%.*s'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', and 'file'.",
        STR_ARG(type));
}

static err_t read_part(struct reader *rd, yyjson_val *part, struct str path, struct str *ret_text)
{
    yyjson_val *type, *text;

    if (!yyjson_is_obj(part))
        return refuse_type(rd->a, rd->r, path, "an object", part);
    TRY(part_member(rd, part, path, "type", false, &type));
    struct str kind = json_text(type);
    bool is_refusal = str_eq(kind, STR("refusal"));
    if (!is_refusal && !str_eq(kind, STR("text")))
        return read_media(rd, part, path, kind);
    TRY(part_member(rd, part, path, is_refusal ? "refusal" : "text", false, &text));
    add_text(rd, json_text(text));
    if (ret_text->n == 0)
        *ret_text = json_text(text);
    return OK;
}

/* The content of a message; *ret_text is its text, or its first text part. `optional`: it may be null or absent. */
static err_t read_content(struct reader *rd, yyjson_val *message, size_t index, bool optional, struct str *ret_text)
{
    yyjson_val *content = json_get(message, STR("content")), *part;
    struct str path = message_path(rd, index, "content");
    size_t i, n;

    *ret_text = STR("");
    if (!content || yyjson_is_null(content)) {
        if (optional)
            return OK;
        return refuse(rd->a, rd->r, "invalid_type", path,
                      "Invalid value for 'content': expected a string, got null (messages[%zu].content).", index);
    }
    if (yyjson_is_str(content)) {
        *ret_text = json_text(content);
        add_text(rd, *ret_text);
        return OK;
    }
    if (!yyjson_is_arr(content))
        return refuse(
            rd->a, rd->r, "invalid_type", path,
            "Invalid type for 'messages[%zu].content': expected one of a string or array of objects, but got %s "
            "instead.",
            index, field_type_name(content));
    if (yyjson_arr_size(content) == 0)
        return refuse(
            rd->a, rd->r, "empty_array", path,
            "Invalid 'messages[%zu].content': empty array. Expected an array with minimum length 1, but got an empty "
            "array instead.",
            index);
    yyjson_arr_foreach(content, i, n, part)
    {
        TRY(read_part(rd, part, arena_printf(rd->a, "%.*s[%zu]", STR_ARG(path), i), ret_text));
    }
    return OK;
}

static err_t read_call(struct reader *rd, yyjson_val *call, struct str path)
{
    yyjson_val *id, *inner, *name, *input;

    if (!yyjson_is_obj(call))
        return refuse_type(rd->a, rd->r, path, "an object", call);
    TRY(part_member(rd, call, path, "id", false, &id));
    bool custom = str_eq(json_get_str(call, STR("type"), STR("function")), STR("custom"));
    const char *member = custom ? "custom" : "function";
    TRY(part_member(rd, call, path, member, true, &inner));
    struct str inner_path = field_path(rd->a, path, member);
    TRY(part_member(rd, inner, inner_path, "name", false, &name));
    TRY(part_member(rd, inner, inner_path, custom ? "input" : "arguments", false, &input));
    question_add_text(rd->q, json_text(name));
    question_add_text(rd->q, json_text(input));
    if (rd->pending_count == SIM_TOOLS_MAX)
        return refuse(rd->a, rd->r, "array_above_max_length", path, "Too many tool calls in one message.");
    rd->pending[rd->pending_count++] = json_text(id);
    return OK;
}

static err_t read_assistant(struct reader *rd, yyjson_val *message, size_t index)
{
    yyjson_val *calls = json_get(message, STR("tool_calls")), *legacy = json_get(message, STR("function_call")), *call;
    struct str path = message_path(rd, index, "tool_calls"), text;
    size_t i, n;
    bool has_calls = calls && !yyjson_is_null(calls), has_legacy = yyjson_is_obj(legacy);
    bool has_refusal =
        yyjson_is_str(json_get(message, STR("refusal"))) || yyjson_is_obj(json_get(message, STR("audio")));

    TRY(read_content(rd, message, index, has_calls || has_legacy || has_refusal, &text));
    if (has_legacy) {
        question_add_text(rd->q, json_get_str(legacy, STR("name"), STR("")));
        question_add_text(rd->q, json_get_str(legacy, STR("arguments"), STR("")));
    }
    if (!has_calls)
        return OK;
    if (!yyjson_is_arr(calls))
        return refuse_type(rd->a, rd->r, path, "an array of objects", calls);
    if (yyjson_arr_size(calls) == 0)
        return refuse(
            rd->a, rd->r, "empty_array", path,
            "Invalid 'messages[%zu].tool_calls': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            index);
    rd->pending_from = index;
    yyjson_arr_foreach(calls, i, n, call)
    {
        TRY(read_call(rd, call, arena_printf(rd->a, "%.*s[%zu]", STR_ARG(path), i)));
    }
    return OK;
}

static err_t read_tool_result(struct reader *rd, yyjson_val *message, size_t index)
{
    yyjson_val *id;
    struct str path = arena_printf(rd->a, "messages[%zu]", index);

    TRY(part_member(rd, message, path, "tool_call_id", false, &id));
    for (size_t i = 0; i < rd->pending_count; i++)
        if (str_eq(rd->pending[i], json_text(id))) {
            rd->pending[i] = rd->pending[--rd->pending_count];
            return read_content(rd, message, index, false, &rd->q->result);
        }
    return refuse(
        rd->a, rd->r, NULL, message_path(rd, index, "role"),
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.");
}

static err_t calls_unanswered(struct reader *rd)
{
    struct str list = STR("");

    for (size_t i = 0; i < rd->pending_count; i++)
        list = arena_printf(rd->a, "%.*s%s%.*s", STR_ARG(list), i ? ", " : "", STR_ARG(rd->pending[i]));
    return refuse(rd->a, rd->r, NULL, arena_printf(rd->a, "messages.[%zu].role", rd->pending_from),
                  "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                  "'tool_call_id'. The following tool_call_ids did not have response messages: %.*s",
                  STR_ARG(list));
}

static err_t read_message(struct reader *rd, yyjson_val *message, size_t index)
{
    static const struct field_rule role_rule = {
        .name = STR_INIT("role"), .kind = FIELD_ENUM, .choices = roles, .required = true};
    struct str path = arena_printf(rd->a, "messages[%zu]", index), text;

    if (!yyjson_is_obj(message))
        return refuse_type(rd->a, rd->r, path, "an object", message);
    TRY(fields_check(rd->a, message, path, &role_rule, 1, false, rd->r));
    struct str role = json_get_str(message, STR("role"), STR_NONE);
    bool is_tool = str_eq(role, STR("tool"));
    if (rd->pending_count > 0 && !is_tool)
        return calls_unanswered(rd);
    question_add_role(rd->q, role);
    rd->q->result = STR_NONE;
    if (is_tool)
        return read_tool_result(rd, message, index);
    if (str_eq(role, STR("assistant")))
        return read_assistant(rd, message, index);
    if (str_eq(role, STR("function")))
        return read_content(rd, message, index, false, &rd->q->result);
    TRY(read_content(rd, message, index, false, &text));
    if (str_eq(role, STR("user")))
        rd->q->asked = text;
    return OK;
}

static err_t read_messages(struct reader *rd)
{
    yyjson_val *message;
    size_t i, n;

    yyjson_arr_foreach(json_get(rd->root, STR("messages")), i, n, message)
    {
        TRY(read_message(rd, message, i));
    }
    return rd->pending_count > 0 ? calls_unanswered(rd) : OK;
}

/* --- tools --- */

static err_t read_tool(struct reader *rd, yyjson_val *tool, struct str path, bool legacy, struct sim_tool *to)
{
    yyjson_val *inner = tool, *type, *name;

    if (!yyjson_is_obj(tool))
        return refuse_type(rd->a, rd->r, path, "an object", tool);
    if (!legacy) {
        TRY(part_member(rd, tool, path, "type", false, &type));
        to->custom = str_eq(json_text(type), STR("custom"));
        if (!to->custom && !str_eq(json_text(type), STR("function")))
            return refuse(rd->a, rd->r, "invalid_value", field_path(rd->a, path, "type"),
                          "Invalid value: '%.*s'. Supported values are: 'function' and 'custom'.",
                          STR_ARG(json_text(type)));
        const char *member = to->custom ? "custom" : "function";
        TRY(part_member(rd, tool, path, member, true, &inner));
        path = field_path(rd->a, path, member);
    }
    TRY(part_member(rd, inner, path, "name", false, &name));
    to->name = json_text(name);
    if (!question_is_name(to->name))
        return refuse(rd->a, rd->r, "invalid_value", field_path(rd->a, path, "name"),
                      "Invalid '%.*s.name': string does not match pattern. Expected a string that matches the pattern "
                      "'^[a-zA-Z0-9_-]{1,64}$'.",
                      STR_ARG(path));
    to->parameters = json_get(inner, STR("parameters"));
    return question_check_schema(rd->a, to->parameters, field_path(rd->a, path, "parameters"), rd->r);
}

static err_t read_tools(struct reader *rd)
{
    yyjson_val *tools = json_get(rd->root, STR("tools")), *tool;
    bool legacy = yyjson_arr_size(tools) == 0;
    const char *field = legacy ? "functions" : "tools";
    size_t i, n;

    if (legacy)
        tools = json_get(rd->root, STR("functions"));
    if (yyjson_arr_size(tools) == 0)
        return OK;
    rd->q->tools = arena_zalloc(rd->a, yyjson_arr_size(tools) * sizeof(*rd->q->tools));
    rd->q->legacy_functions = legacy;
    rd->q->tool_choice = SIM_TOOL_AUTO;
    yyjson_arr_foreach(tools, i, n, tool)
    {
        struct sim_tool *to = &rd->q->tools[rd->q->tool_count];
        TRY(read_tool(rd, tool, arena_printf(rd->a, "%s[%zu]", field, i), legacy, to));
        rd->q->tool_count++;
    }
    return question_add_tools(rd->a, rd->q, tools);
}

static bool has_tool(const struct question *q, struct str name)
{
    for (size_t i = 0; i < q->tool_count; i++)
        if (str_eq(q->tools[i].name, name))
            return true;
    return false;
}

static err_t choose_named(struct reader *rd, struct str name, const char *field)
{
    if (!has_tool(rd->q, name))
        return refuse(rd->a, rd->r, NULL, str_from_c(field), "Tool choice '%.*s' not found in '%s' parameter.",
                      STR_ARG(name), rd->q->legacy_functions ? "functions" : "tools");
    rd->q->tool_choice = SIM_TOOL_NAMED;
    rd->q->tool_named = name;
    return OK;
}

static bool choose_word(struct question *q, struct str word)
{
    if (str_eq(word, STR("none")))
        q->tool_choice = SIM_TOOL_NONE;
    else if (str_eq(word, STR("auto")))
        q->tool_choice = SIM_TOOL_AUTO;
    else if (str_eq(word, STR("required")))
        q->tool_choice = SIM_TOOL_REQUIRED;
    else
        return false;
    return true;
}

/* Name of a tool in {"type":"function","function":{"name":...}} or the same with "custom". */
static struct str choice_name(yyjson_val *choice)
{
    struct str type = json_get_str(choice, STR("type"), STR("function"));

    return json_get_str(json_get(choice, type), STR("name"), STR_NONE);
}

static err_t choose_allowed(struct reader *rd, yyjson_val *allowed)
{
    yyjson_val *tools = json_get(allowed, STR("tools")), *tool;
    size_t i, n;

    if (!choose_word(rd->q, json_get_str(allowed, STR("mode"), STR("auto"))) || !yyjson_is_arr(tools))
        return refuse(rd->a, rd->r, "invalid_value", STR("tool_choice"),
                      "Invalid value for 'tool_choice.allowed_tools'.");
    for (i = 0; i < rd->q->tool_count; i++)
        rd->q->tools[i].barred = true;
    yyjson_arr_foreach(tools, i, n, tool)
    {
        struct str name = choice_name(tool);
        for (size_t k = 0; k < rd->q->tool_count; k++)
            if (str_eq(rd->q->tools[k].name, name))
                rd->q->tools[k].barred = false;
    }
    return OK;
}

static err_t read_tool_choice(struct reader *rd)
{
    yyjson_val *choice = json_get(rd->root, STR("tool_choice"));

    if (!choice || yyjson_is_null(choice))
        return OK;
    if (rd->q->tool_count == 0 || rd->q->legacy_functions)
        return refuse(rd->a, rd->r, NULL, STR("tool_choice"),
                      "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.");
    if (yyjson_is_str(choice)) {
        if (choose_word(rd->q, json_text(choice)))
            return OK;
        return refuse(rd->a, rd->r, "invalid_value", STR("tool_choice"),
                      "Invalid value: '%.*s'. Supported values are: 'none', 'auto', and 'required'.",
                      STR_ARG(json_text(choice)));
    }
    if (!yyjson_is_obj(choice))
        return refuse_type(rd->a, rd->r, STR("tool_choice"), "one of a string or an object", choice);
    if (str_eq(json_get_str(choice, STR("type"), STR_NONE), STR("allowed_tools")))
        return choose_allowed(rd, json_get(choice, STR("allowed_tools")));
    struct str name = choice_name(choice);
    if (!name.p)
        return missing(rd, STR("tool_choice.function"));
    return choose_named(rd, name, "tool_choice");
}

static err_t read_function_call(struct reader *rd)
{
    yyjson_val *choice = json_get(rd->root, STR("function_call"));

    if (!choice || yyjson_is_null(choice))
        return OK;
    if (!rd->q->legacy_functions)
        return refuse(
            rd->a, rd->r, NULL, STR("function_call"),
            "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are specified.");
    if (yyjson_is_obj(choice))
        return choose_named(rd, json_get_str(choice, STR("name"), STR_NONE), "function_call");
    if (!yyjson_is_str(choice) || !choose_word(rd->q, json_text(choice)) || rd->q->tool_choice == SIM_TOOL_REQUIRED)
        return refuse(rd->a, rd->r, "invalid_value", STR("function_call"),
                      "Invalid value for 'function_call'. Supported values are: 'none' and 'auto', or an object.");
    return OK;
}

/* --- the rest --- */

static err_t read_stop(struct reader *rd)
{
    yyjson_val *stop = json_get(rd->root, STR("stop")), *item;
    size_t i, n;

    if (!stop || yyjson_is_null(stop))
        return OK;
    if (!yyjson_is_str(stop) && !yyjson_is_arr(stop))
        return refuse_type(rd->a, rd->r, STR("stop"), "one of a string or array of strings", stop);
    if (yyjson_arr_size(stop) > SIM_STOPS_MAX)
        return refuse(
            rd->a, rd->r, "array_above_max_length", STR("stop"),
            "Invalid 'stop': array too long. Expected an array with maximum length %d, but got an array with length "
            "%zu instead.",
            SIM_STOPS_MAX, yyjson_arr_size(stop));
    yyjson_arr_foreach(stop, i, n, item)
    {
        if (!yyjson_is_str(item))
            return refuse_type(rd->a, rd->r, arena_printf(rd->a, "stop[%zu]", i), "a string", item);
    }
    question_set_stops(rd->a, rd->q, stop);
    return OK;
}

static err_t read_json_schema(struct reader *rd, yyjson_val *format)
{
    yyjson_val *outer, *name;

    TRY(part_member(rd, format, STR("response_format"), "json_schema", true, &outer));
    TRY(part_member(rd, outer, STR("response_format.json_schema"), "name", false, &name));
    if (!question_is_name(json_text(name)))
        return refuse(
            rd->a, rd->r, "invalid_value", STR("response_format.json_schema.name"),
            "Invalid 'response_format.json_schema.name': string does not match pattern. Expected a string that "
            "matches the pattern '^[a-zA-Z0-9_-]+$'.");
    rd->q->format = SIM_JSON_SCHEMA;
    rd->q->schema = json_get(outer, STR("schema"));
    return question_check_schema(rd->a, rd->q->schema, STR("response_format.json_schema.schema"), rd->r);
}

static err_t read_format(struct reader *rd)
{
    static const char *const formats[] = {"json_object", "json_schema", "text", NULL};
    static const struct field_rule rule = {
        .name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = formats, .required = true};
    yyjson_val *format = json_get(rd->root, STR("response_format"));

    if (!format || yyjson_is_null(format))
        return OK;
    TRY(fields_check(rd->a, format, STR("response_format"), &rule, 1, false, rd->r));
    struct str type = json_get_str(format, STR("type"), STR_NONE);
    if (str_eq(type, STR("json_schema")))
        return read_json_schema(rd, format);
    if (!str_eq(type, STR("json_object")))
        return OK;
    rd->q->format = SIM_JSON_OBJECT;
    if (!rd->mentions_json)
        return refuse(
            rd->a, rd->r, NULL, STR("messages"),
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.");
    return OK;
}

static err_t read_stream(struct reader *rd)
{
    static const struct field_rule rules[] = {{.name = STR_INIT("include_usage"), .kind = FIELD_BOOL},
                                              {.name = STR_INIT("include_obfuscation"), .kind = FIELD_BOOL}};
    yyjson_val *options = json_get(rd->root, STR("stream_options"));

    rd->q->stream = json_get_bool(rd->root, STR("stream"), false);
    if (!options || yyjson_is_null(options))
        return OK;
    if (!rd->q->stream)
        return refuse(rd->a, rd->r, NULL, STR("stream_options"),
                      "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    TRY(fields_check(rd->a, options, STR("stream_options"), rules, ARRAY_LEN(rules), false, rd->r));
    rd->q->include_usage = json_get_bool(options, STR("include_usage"), false);
    return OK;
}

static err_t read_numbers(struct reader *rd)
{
    yyjson_val *root = rd->root, *bias, *key;
    size_t i, n;

    int64_t limit = json_get_i64(root, STR("max_completion_tokens"), -1),
            old = json_get_i64(root, STR("max_tokens"), -1);
    if (limit >= 0 && old >= 0)
        return refuse(rd->a, rd->r, "invalid_parameter_combination", STR("max_tokens"),
                      "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.");
    rd->q->max_tokens = limit >= 0 ? limit : old;
    rd->q->n = (size_t)json_get_i64(root, STR("n"), 1);
    rd->q->logprobs = json_get_bool(root, STR("logprobs"), false);
    rd->q->top_logprobs = (unsigned)json_get_i64(root, STR("top_logprobs"), 0);
    if (yyjson_is_num(json_get(root, STR("top_logprobs"))) && !rd->q->logprobs)
        return refuse(rd->a, rd->r, NULL, STR("top_logprobs"),
                      "Invalid value for 'top_logprobs': 'logprobs' must be set to true when 'top_logprobs' is used.");
    yyjson_obj_foreach(json_get(root, STR("logit_bias")), i, n, key, bias)
    {
        if (!yyjson_is_num(bias) || yyjson_get_num(bias) < -100 || yyjson_get_num(bias) > 100)
            return refuse(rd->a, rd->r, "invalid_value", STR("logit_bias"),
                          "Invalid value for 'logit_bias': '%s' must be between -100 and 100.", yyjson_get_str(key));
    }
    return OK;
}

bool chat_knows_field(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(chat_rules); i++)
        if (str_eq(chat_rules[i].name, name))
            return true;
    return false;
}

err_t chat_read(struct arena *a, struct str body, bool refuse_unknown, struct question *ret, struct sim_refusal *r)
{
    struct reader *rd = arena_new(a, struct reader);

    *rd = (struct reader){.a = a, .q = ret, .r = r};
    question_init(ret);
    TRY(fields_parse(a, body, r, &rd->root));
    TRY(fields_check(a, rd->root, STR(""), chat_rules, ARRAY_LEN(chat_rules), refuse_unknown, r));
    ret->model = json_get_str(rd->root, STR("model"), STR_NONE);
    TRY(read_messages(rd));
    TRY(read_tools(rd));
    TRY(read_tool_choice(rd));
    TRY(read_function_call(rd));
    TRY(read_stop(rd));
    TRY(read_format(rd));
    TRY(read_stream(rd));
    TRY(read_numbers(rd));
    yyjson_val *parallel = json_get(rd->root, STR("parallel_tool_calls"));
    if (yyjson_is_bool(parallel) && ret->tool_count == 0)
        return refuse(a, r, NULL, STR("parallel_tool_calls"),
                      "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are "
                      "specified.");
    ret->parallel = json_get_bool(rd->root, STR("parallel_tool_calls"), true) && !ret->legacy_functions;
    ret->reasoning_tokens = question_effort_tokens(json_get_str(rd->root, STR("reasoning_effort"), STR_NONE));
    return OK;
}
