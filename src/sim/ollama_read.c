/*
 * ollama_read.c - requests to /api/chat and /api/generate (Ollama, docs/api.md).
 *
 * Ollama decodes into Go structs: what it does not know it ignores, and a known member of another type is the decoder's error. So
 * arguments of a tool call that are a string, or a content that is a list, fail here as they do there. Images must be base64 without
 * "data:" in front. What options mean is checked only as far as it shows in an answer.
 */
#include "sim/ollama.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/text.h"

enum { IMAGE_BYTES_MAX = 64 << 20, USUAL_THINKING = 16 };

static const struct field_rule chat_rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING},     {.name = STR_INIT("messages"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("tools"), .kind = FIELD_ARRAY},      {.name = STR_INIT("stream"), .kind = FIELD_BOOL},
    {.name = STR_INIT("options"), .kind = FIELD_OBJECT},   {.name = STR_INIT("logprobs"), .kind = FIELD_BOOL},
    {.name = STR_INIT("top_logprobs"), .kind = FIELD_INT}, {.name = STR_INIT("prompt"), .kind = FIELD_STRING},
    {.name = STR_INIT("suffix"), .kind = FIELD_STRING},    {.name = STR_INIT("system"), .kind = FIELD_STRING},
    {.name = STR_INIT("template"), .kind = FIELD_STRING},  {.name = STR_INIT("images"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("raw"), .kind = FIELD_BOOL},         {.name = STR_INIT("context"), .kind = FIELD_ARRAY},
};

static const struct field_rule message_rules[] = {
    {.name = STR_INIT("role"), .kind = FIELD_STRING},         {.name = STR_INIT("content"), .kind = FIELD_STRING},
    {.name = STR_INIT("thinking"), .kind = FIELD_STRING},     {.name = STR_INIT("images"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("tool_calls"), .kind = FIELD_ARRAY},    {.name = STR_INIT("tool_name"), .kind = FIELD_STRING},
    {.name = STR_INIT("tool_call_id"), .kind = FIELD_STRING},
};

static const struct field_rule call_rules[] = {
    {.name = STR_INIT("index"), .kind = FIELD_INT},
    {.name = STR_INIT("name"), .kind = FIELD_STRING},
    {.name = STR_INIT("arguments"), .kind = FIELD_OBJECT},
};

static const struct field_rule tool_rules[] = {
    {.name = STR_INIT("name"), .kind = FIELD_STRING},
    {.name = STR_INIT("description"), .kind = FIELD_STRING},
    {.name = STR_INIT("parameters"), .kind = FIELD_OBJECT},
};

static const struct field_rule option_rules[] = {
    {.name = STR_INIT("num_predict"), .kind = FIELD_INT},
    {.name = STR_INIT("num_ctx"), .kind = FIELD_INT},
    {.name = STR_INIT("num_keep"), .kind = FIELD_INT},
    {.name = STR_INIT("num_gpu"), .kind = FIELD_INT},
    {.name = STR_INIT("num_batch"), .kind = FIELD_INT},
    {.name = STR_INIT("num_thread"), .kind = FIELD_INT},
    {.name = STR_INIT("seed"), .kind = FIELD_INT},
    {.name = STR_INIT("top_k"), .kind = FIELD_INT},
    {.name = STR_INIT("repeat_last_n"), .kind = FIELD_INT},
    {.name = STR_INIT("temperature"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("top_p"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("min_p"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("typical_p"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("repeat_penalty"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("presence_penalty"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("frequency_penalty"), .kind = FIELD_NUMBER},
    {.name = STR_INIT("stop"), .kind = FIELD_ARRAY},
};

struct reader {
    struct arena *a;
    struct ollama_request *q;
    struct sim_refusal *r;
    yyjson_val *root;
};

/* --- types, in Go's words --- */

static const char *go_type(enum field_kind kind)
{
    switch (kind) {
    case FIELD_STRING:
    case FIELD_ENUM:
        return "string";
    case FIELD_BOOL:
        return "bool";
    case FIELD_INT:
        return "int";
    case FIELD_NUMBER:
        return "float32";
    case FIELD_ARRAY:
        return "[]interface {}";
    case FIELD_OBJECT:
        return "map[string]interface {}";
    case FIELD_ANY:
        break;
    }
    return "interface {}";
}

static const char *json_type(yyjson_val *v)
{
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_BOOL:
        return "bool";
    case YYJSON_TYPE_NUM:
        return "number";
    case YYJSON_TYPE_STR:
        return "string";
    case YYJSON_TYPE_ARR:
        return "array";
    case YYJSON_TYPE_OBJ:
        return "object";
    default:
        return "null";
    }
}

err_t ollama_check_types(struct arena *a, yyjson_val *obj, const char *type, const struct field_rule *rules,
                         size_t count, struct sim_refusal *r)
{
    struct field_fault f = fields_fault(obj, rules, count, false);

    if (f.kind == FIELD_GOOD)
        return OK;
    return refuse(a, r, NULL, STR_NONE, "json: cannot unmarshal %s into Go struct field %s.%.*s of type %s",
                  json_type(f.value), type, STR_ARG(f.name), go_type(f.rule->kind));
}

static err_t wrong_type(struct reader *rd, yyjson_val *v, const char *field, const char *type)
{
    return refuse(rd->a, rd->r, NULL, STR_NONE, "json: cannot unmarshal %s into Go struct field %s of type %s",
                  json_type(v), field, type);
}

/* --- keep_alive, think, format --- */

/* Numbers with units, "1h30m"; -1 and 0 need none. */
static bool is_duration(struct str s)
{
    size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');

    if (str_eq(str_slice(s, i, s.n), STR("0")))
        return true;
    while (i < s.n) {
        size_t digits = i;
        while (i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '.'))
            i++;
        size_t unit = i;
        while (i < s.n && s.p[i] >= 'a' && s.p[i] <= 'z')
            i++;
        struct str name = str_slice(s, unit, i);
        bool known = str_eq(name, STR("h")) || str_eq(name, STR("m")) || str_eq(name, STR("s")) ||
                     str_eq(name, STR("ms")) || str_eq(name, STR("us")) || str_eq(name, STR("ns"));
        if (unit == digits || !known)
            return false;
    }
    return s.n > 0;
}

err_t ollama_check_keep_alive(struct arena *a, yyjson_val *v, bool *ret_zero, struct sim_refusal *r)
{
    struct str text = json_text(v);

    *ret_zero = yyjson_is_num(v) && yyjson_get_num(v) == 0;
    if (!v || yyjson_is_null(v) || yyjson_is_num(v))
        return OK;
    if (!yyjson_is_str(v))
        return refuse(a, r, NULL, STR_NONE,
                      "json: cannot unmarshal %s into Go struct field keep_alive of type duration", json_type(v));
    if (!is_duration(text))
        return refuse(a, r, NULL, STR_NONE, "time: invalid duration \"%.*s\"", STR_ARG(text));
    size_t digit = 0;
    while (digit < text.n && !(text.p[digit] >= '1' && text.p[digit] <= '9'))
        digit++;
    *ret_zero = digit == text.n;
    return OK;
}

static err_t read_think(struct reader *rd)
{
    yyjson_val *think = json_get(rd->root, STR("think"));
    struct str level = json_text(think);
    struct question *q = &rd->q->q;

    if (!think || yyjson_is_null(think))
        return OK;
    if (!yyjson_is_bool(think) && !yyjson_is_str(think))
        return refuse(rd->a, rd->r, NULL, STR_NONE,
                      "think must be a boolean or string (\"high\", \"medium\", \"low\", \"max\", true, or false)");
    if (yyjson_is_bool(think))
        q->reasoning_tokens = yyjson_get_bool(think) ? USUAL_THINKING : 0;
    else if (str_eq(level, STR("low")) || str_eq(level, STR("medium")) || str_eq(level, STR("high")) ||
             str_eq(level, STR("max")))
        q->reasoning_tokens = question_effort_tokens(level);
    else
        return refuse(rd->a, rd->r, NULL, STR_NONE,
                      "invalid think value: \"%.*s\" (must be \"high\", \"medium\", \"low\", \"max\", true, or false)",
                      STR_ARG(level));
    q->tells_thoughts = q->reasoning_tokens > 0;
    return OK;
}

static err_t read_format(struct reader *rd)
{
    yyjson_val *format = json_get(rd->root, STR("format"));
    struct question *q = &rd->q->q;

    if (!format || yyjson_is_null(format) || (yyjson_is_str(format) && yyjson_get_len(format) == 0))
        return OK;
    if (yyjson_is_obj(format)) {
        q->format = SIM_JSON_SCHEMA;
        q->schema = format;
        return OK;
    }
    q->format = SIM_JSON_OBJECT;
    if (str_eq(json_text(format), STR("json")))
        return OK;
    return refuse(rd->a, rd->r, NULL, STR_NONE, "invalid format: %s; expected \"json\" or a valid JSON Schema object",
                  yyjson_is_str(format) ? yyjson_get_str(format) : json_type(format));
}

/* --- options --- */

static err_t read_stops(struct reader *rd, yyjson_val *stop)
{
    yyjson_val *item;
    size_t i, n;

    yyjson_arr_foreach(stop, i, n, item)
    {
        if (!yyjson_is_str(item))
            return refuse(rd->a, rd->r, NULL, STR_NONE, "option \"stop\" must be of type array of strings");
    }
    question_set_stops(rd->a, &rd->q->q, stop);
    return OK;
}

static err_t read_options(struct reader *rd)
{
    yyjson_val *options = json_get(rd->root, STR("options"));
    struct field_fault f = fields_fault(options, option_rules, ARRAY_LEN(option_rules), false);
    struct question *q = &rd->q->q;

    if (f.kind != FIELD_GOOD)
        return refuse(rd->a, rd->r, NULL, STR_NONE, "option \"%.*s\" must be of type %s", STR_ARG(f.name),
                      f.rule->kind == FIELD_ARRAY ? "array"
                      : f.rule->kind == FIELD_INT ? "integer"
                                                  : "float32");
    int64_t limit = json_get_i64(options, STR("num_predict"), -1);
    q->max_tokens = limit < 0 ? -1 : limit;
    int64_t seed = json_get_i64(options, STR("seed"), 0);
    if (seed != 0)
        q->hash = sim_hash_u64(q->hash, (uint64_t)seed);
    return read_stops(rd, json_get(options, STR("stop")));
}

/* --- messages and tools --- */

static err_t read_images(struct reader *rd, yyjson_val *images)
{
    yyjson_val *image;
    size_t i, n;

    yyjson_arr_foreach(images, i, n, image)
    {
        struct buf bytes CLEANUP(buf_release) = BUF_INIT(IMAGE_BYTES_MAX);
        if (!yyjson_is_str(image))
            return wrong_type(rd, image, "images", "[]uint8");
        if (base64_decode(&bytes, json_text(image), BASE64) != OK)
            return refuse(rd->a, rd->r, NULL, STR_NONE, "illegal base64 data at input byte %zu",
                          str_find_char(json_text(image), ':'));
        if (bytes.n == 0)
            return refuse(rd->a, rd->r, NULL, STR_NONE, "Failed to load image or audio file");
        rd->q->q.hash = sim_hash(rd->q->q.hash, buf_str(&bytes));
        rd->q->q.prompt_tokens += SIM_IMAGE_TOKENS;
    }
    return OK;
}

static err_t read_calls(struct reader *rd, yyjson_val *calls)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(IMAGE_BYTES_MAX);
    yyjson_val *call;
    size_t i, n;

    yyjson_arr_foreach(calls, i, n, call)
    {
        yyjson_val *function = json_get(call, STR("function")), *arguments = json_get(function, STR("arguments"));
        if (!yyjson_is_obj(function))
            return wrong_type(rd, call, "ChatRequest.messages.tool_calls", "api.ToolCall");
        TRY(ollama_check_types(rd->a, function, "ChatRequest.messages.tool_calls.function", call_rules,
                               ARRAY_LEN(call_rules), rd->r));
        question_add_text(&rd->q->q, json_get_str(function, STR("name"), STR("")));
        buf_clear(&text);
        if (arguments && json_write(&text, rd->a, arguments) == OK)
            question_add_text(&rd->q->q, buf_str(&text));
    }
    return OK;
}

static bool is_known_role(struct str role)
{
    return str_eq(role, STR("system")) || str_eq(role, STR("user")) || str_eq(role, STR("assistant")) ||
           str_eq(role, STR("tool"));
}

static err_t read_message(struct reader *rd, yyjson_val *message)
{
    struct question *q = &rd->q->q;

    if (!yyjson_is_obj(message))
        return wrong_type(rd, message, "ChatRequest.messages", "api.Message");
    TRY(ollama_check_types(rd->a, message, "ChatRequest.messages", message_rules, ARRAY_LEN(message_rules), rd->r));
    struct str role = json_get_str(message, STR("role"), STR("")),
               text = json_get_str(message, STR("content"), STR(""));
    if (!is_known_role(role))
        return refuse(rd->a, rd->r, NULL, STR_NONE,
                      "invalid role: %.*s, must be one of [system, user, assistant, tool]", STR_ARG(role));
    question_add_role(q, role);
    question_add_text(q, text);
    question_add_text(q, json_get_str(message, STR("thinking"), STR("")));
    q->result = str_eq(role, STR("tool")) ? text : STR_NONE;
    if (str_eq(role, STR("user")))
        q->asked = text;
    TRY(read_images(rd, json_get(message, STR("images"))));
    return read_calls(rd, json_get(message, STR("tool_calls")));
}

static err_t read_tools(struct reader *rd)
{
    yyjson_val *tools = json_get(rd->root, STR("tools")), *tool;
    struct question *q = &rd->q->q;
    size_t i, n;

    if (yyjson_arr_size(tools) == 0)
        return OK;
    if (yyjson_arr_size(tools) > SIM_TOOLS_MAX)
        return refuse(rd->a, rd->r, NULL, STR_NONE, "too many tools");
    q->tools = arena_zalloc(rd->a, yyjson_arr_size(tools) * sizeof(*q->tools));
    q->tool_choice = SIM_TOOL_AUTO;
    yyjson_arr_foreach(tools, i, n, tool)
    {
        yyjson_val *function = json_get(tool, STR("function"));
        if (!yyjson_is_obj(function))
            return wrong_type(rd, tool, "ChatRequest.tools", "api.Tool");
        TRY(ollama_check_types(rd->a, function, "ChatRequest.tools.function", tool_rules, ARRAY_LEN(tool_rules),
                               rd->r));
        q->tools[q->tool_count++] = (struct sim_tool){.name = json_get_str(function, STR("name"), STR("")),
                                                      .parameters = json_get(function, STR("parameters"))};
    }
    return question_add_tools(rd->a, q, tools);
}

static err_t read_messages(struct reader *rd)
{
    yyjson_val *messages = json_get(rd->root, STR("messages")), *message;
    size_t i, n;

    rd->q->load = yyjson_arr_size(messages) == 0;
    yyjson_arr_foreach(messages, i, n, message)
    {
        TRY(read_message(rd, message));
    }
    return read_tools(rd);
}

static err_t read_prompt(struct reader *rd)
{
    struct question *q = &rd->q->q;
    yyjson_val *token;
    size_t i, n;

    q->asked = json_get_str(rd->root, STR("prompt"), STR(""));
    rd->q->load = q->asked.n == 0 && yyjson_arr_size(json_get(rd->root, STR("images"))) == 0;
    if (json_get_bool(rd->root, STR("raw"), false) &&
        (json_get(rd->root, STR("template")) || json_get(rd->root, STR("system")) ||
         json_get(rd->root, STR("context"))))
        return refuse(rd->a, rd->r, NULL, STR_NONE, "raw mode does not support template, system, or context");
    yyjson_arr_foreach(json_get(rd->root, STR("context")), i, n, token)
    {
        if (!yyjson_is_int(token))
            return wrong_type(rd, token, "GenerateRequest.context", "int");
        q->hash = sim_hash_u64(q->hash, (uint64_t)yyjson_get_sint(token));
        q->prompt_tokens++;
    }
    question_add_text(q, json_get_str(rd->root, STR("system"), STR("")));
    question_add_text(q, json_get_str(rd->root, STR("suffix"), STR("")));
    question_add_text(q, q->asked);
    return read_images(rd, json_get(rd->root, STR("images")));
}

err_t ollama_read(struct arena *a, struct str body, bool generate, struct ollama_request *ret, struct sim_refusal *r)
{
    struct reader rd = {.a = a, .q = ret, .r = r};
    const char *type = generate ? "GenerateRequest" : "ChatRequest";

    *ret = (struct ollama_request){.generate = generate};
    question_init(&ret->q);
    TRY(fields_parse(a, body, r, &rd.root));
    TRY(ollama_check_types(a, rd.root, type, chat_rules, ARRAY_LEN(chat_rules), r));
    struct question *q = &ret->q;
    q->model = json_get_str(rd.root, STR("model"), STR(""));
    if (q->model.n == 0)
        return refuse(a, r, NULL, STR_NONE, "model is required");
    q->stream = json_get_bool(rd.root, STR("stream"), true);
    q->logprobs = json_get_bool(rd.root, STR("logprobs"), false);
    int64_t top = json_get_i64(rd.root, STR("top_logprobs"), 0);
    if (top < 0 || top > 20)
        return refuse(a, r, NULL, STR_NONE, "top_logprobs must be between 0 and 20");
    q->top_logprobs = (unsigned)top;
    TRY(ollama_check_keep_alive(a, json_get(rd.root, STR("keep_alive")), &ret->unload, r));
    TRY(generate ? read_prompt(&rd) : read_messages(&rd));
    TRY(read_think(&rd));
    TRY(read_format(&rd));
    return read_options(&rd);
}
