/*
 * mistral_read.c - requests as Mistral validates them (Mistral API reference, "Chat Completion", "Fill-in-the-middle Completion").
 *
 * Every object has a closed list of members, so whatever another dialect knows more is a 422 that names the place. Behind that come the
 * rules for a conversation: ids of calls have nine letters or digits, results follow their calls, no user message follows a result, and the
 * last message is the user's, a result, or an assistant's that says it is a prefix. Breaking those is a 400.
 */
#include "sim/mistral_read.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "sim/fields.h"
#include "sim/hash.h"

enum { CALL_ID_LENGTH = 9, DATA_BYTES_MAX = 64 << 20 };

static const char *const details[] = {"low", "auto", "high", NULL};
static const char *const call_types[] = {"function", NULL};
static const char *const formats[] = {"text", "json_object", "json_schema", NULL};
static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", NULL};

static const struct field_rule chat_rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("messages"), .kind = FIELD_ARRAY, .min = 1, .max = 1 << 20, .required = true},
    {.name = STR_INIT("temperature"), .kind = FIELD_NUMBER, .min = 0, .max = 1.5},
    {.name = STR_INIT("top_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("max_tokens"), .kind = FIELD_INT, .min = 0, .max = 1 << 30},
    {.name = STR_INIT("stream"), .kind = FIELD_BOOL},
    {.name = STR_INIT("stop"), .kind = FIELD_ANY},
    {.name = STR_INIT("random_seed"), .kind = FIELD_INT, .min = 0, .max = 9e15},
    {.name = STR_INIT("metadata"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("response_format"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("tools"), .kind = FIELD_ARRAY, .min = 0, .max = SIM_TOOLS_MAX},
    {.name = STR_INIT("tool_choice"), .kind = FIELD_ANY},
    {.name = STR_INIT("presence_penalty"), .kind = FIELD_NUMBER, .min = -2, .max = 2},
    {.name = STR_INIT("frequency_penalty"), .kind = FIELD_NUMBER, .min = -2, .max = 2},
    {.name = STR_INIT("n"), .kind = FIELD_INT, .min = 1, .max = SIM_CHOICES_MAX},
    {.name = STR_INIT("prediction"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("parallel_tool_calls"), .kind = FIELD_BOOL},
    {.name = STR_INIT("prompt_mode"), .kind = FIELD_ENUM, .choices = (const char *const[]){"reasoning", NULL}},
    {.name = STR_INIT("reasoning_effort"), .kind = FIELD_ENUM, .choices = efforts},
    {.name = STR_INIT("safe_prompt"), .kind = FIELD_BOOL},
    {.name = STR_INIT("guardrails"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("prompt_cache_key"), .kind = FIELD_STRING},
    {.name = STR_INIT("service_tier"), .kind = FIELD_STRING},
};

static const struct field_rule fim_rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("prompt"), .kind = FIELD_STRING, .required = true},
    {.name = STR_INIT("suffix"), .kind = FIELD_STRING},
    {.name = STR_INIT("temperature"), .kind = FIELD_NUMBER, .min = 0, .max = 1.5},
    {.name = STR_INIT("top_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("max_tokens"), .kind = FIELD_INT, .min = 0, .max = 1 << 30},
    {.name = STR_INIT("min_tokens"), .kind = FIELD_INT, .min = 0, .max = 1 << 30},
    {.name = STR_INIT("stream"), .kind = FIELD_BOOL},
    {.name = STR_INIT("stop"), .kind = FIELD_ANY},
    {.name = STR_INIT("random_seed"), .kind = FIELD_INT, .min = 0, .max = 9e15},
    {.name = STR_INIT("metadata"), .kind = FIELD_OBJECT},
};

/* Members of a message, by role. */
/* Of system and user. */
static const struct field_rule plain_rules[] = {
    {.name = STR_INIT("role"), .kind = FIELD_STRING, .required = true},
    {.name = STR_INIT("content"), .kind = FIELD_ANY, .required = true},
};
static const struct field_rule assistant_rules[] = {
    {.name = STR_INIT("role"), .kind = FIELD_STRING, .required = true},
    {.name = STR_INIT("content"), .kind = FIELD_ANY},
    {.name = STR_INIT("tool_calls"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("prefix"), .kind = FIELD_BOOL},
};
static const struct field_rule tool_rules[] = {
    {.name = STR_INIT("role"), .kind = FIELD_STRING, .required = true},
    {.name = STR_INIT("content"), .kind = FIELD_ANY, .required = true},
    {.name = STR_INIT("tool_call_id"), .kind = FIELD_STRING},
    {.name = STR_INIT("name"), .kind = FIELD_STRING},
};

enum role { SYSTEM, USER, ASSISTANT, TOOL, NO_ROLE };

static const struct {
    struct str name;
    const struct field_rule *rules;
    size_t count;
} roles[] = {
    [SYSTEM] = {STR_INIT("system"), plain_rules, ARRAY_LEN(plain_rules)},
    [USER] = {STR_INIT("user"), plain_rules, ARRAY_LEN(plain_rules)},
    [ASSISTANT] = {STR_INIT("assistant"), assistant_rules, ARRAY_LEN(assistant_rules)},
    [TOOL] = {STR_INIT("tool"), tool_rules, ARRAY_LEN(tool_rules)},
};

struct reader {
    struct arena *a;
    struct question *q;
    struct sim_refusal *r;
    yyjson_val *root;
    struct str pending[SIM_TOOLS_MAX]; /* ids of calls without a result */
    size_t pending_count;
    enum role last;
    bool prefix; /* the last message is an assistant's with prefix: true */
};

/* --- what does not validate --- */

/* A 422; `type` is pydantic's name of the fault. */
static err_t unprocessable(struct sim_refusal *r, const char *type, struct str loc, const char *message)
{
    *r = (struct sim_refusal){.status = 422, .type = type, .code = type, .param = loc, .message = str_from_c(message)};
    return E_PARSE;
}

static const char *type_fault(enum field_kind kind)
{
    switch (kind) {
    case FIELD_STRING:
        return "string_type";
    case FIELD_BOOL:
        return "bool_type";
    case FIELD_INT:
        return "int_type";
    case FIELD_NUMBER:
        return "float_type";
    case FIELD_ENUM:
        return "enum";
    case FIELD_ARRAY:
        return "list_type";
    case FIELD_OBJECT:
        return "model_type";
    case FIELD_ANY:
        break;
    }
    return "value_error";
}

err_t mistral_check(struct arena *a, yyjson_val *obj, struct str loc, const struct field_rule *rules, size_t count,
                    struct sim_refusal *r)
{
    struct field_fault f = fields_fault(obj, rules, count, true);
    struct str at = loc.n == 0 ? f.name : arena_printf(a, "%.*s.%.*s", STR_ARG(loc), STR_ARG(f.name));

    switch (f.kind) {
    case FIELD_GOOD:
        return OK;
    case FIELD_MISSING:
        return unprocessable(r, "missing", at, "Field required");
    case FIELD_UNKNOWN:
        return unprocessable(r, "extra_forbidden", at, "Extra inputs are not permitted");
    case FIELD_WRONG_TYPE:
        return unprocessable(r, type_fault(f.rule->kind), at, "Input has the wrong type");
    case FIELD_WRONG_CHOICE:
        return unprocessable(r, "enum", at, "Input is none of the permitted values");
    case FIELD_OUT_OF_RANGE:
        return unprocessable(r, "value_error", at, "Input is out of range");
    }
    return OK;
}

err_t mistral_parse(struct arena *a, struct str body, struct sim_refusal *r, yyjson_val **ret_root)
{
    yyjson_val *root;
    err_t e = json_parse(a, body, NULL, 0, &root);

    if (e == E_TOO_LARGE)
        return refuse_status(a, r, 413, NULL, "Request is too large");
    if (e != OK)
        return unprocessable(r, "json_invalid", STR(""), "JSON decode error");
    if (!yyjson_is_obj(root))
        return unprocessable(r, "model_type", STR(""), "Input should be an object");
    *ret_root = root;
    return OK;
}

/* A 400: it validates, and makes no sense. */
static err_t senseless(struct reader *rd, const char *code, struct str message)
{
    *rd->r =
        (struct sim_refusal){.status = 400, .type = "invalid_request_message_order", .code = code, .message = message};
    return E_PARSE;
}

/* --- parts of contents --- */

enum part_shape { SHAPE_TEXT, SHAPE_URL, SHAPE_STRING, SHAPE_LIST };

static const struct part_rule {
    struct str type;    /* and the member that holds it, unless `member` is set */
    const char *member; /* NULL: as the type */
    enum part_shape shape;
    const char *more[2]; /* other members  */
    bool of_assistant;   /* may stand in an assistant's message */
    size_t tokens;
} part_rules[] = {
    {STR_INIT("text"), NULL, SHAPE_TEXT, {NULL, NULL}, true, 0},
    {STR_INIT("image_url"), NULL, SHAPE_URL, {NULL, NULL}, false, SIM_IMAGE_TOKENS},
    {STR_INIT("document_url"), NULL, SHAPE_STRING, {"document_name", NULL}, false, SIM_MEDIA_TOKENS},
    {STR_INIT("file"), "file_id", SHAPE_STRING, {NULL, NULL}, false, SIM_MEDIA_TOKENS},
    {STR_INIT("reference"), "reference_ids", SHAPE_LIST, {NULL, NULL}, true, 0},
    {STR_INIT("input_audio"), NULL, SHAPE_STRING, {NULL, NULL}, false, SIM_MEDIA_TOKENS},
    {STR_INIT("thinking"), NULL, SHAPE_LIST, {"signature", "closed"}, true, 0},
};

static bool is_member_of(const struct part_rule *rule, struct str name)
{
    return str_eq(name, STR("type")) || str_eq(name, rule->member ? str_from_c(rule->member) : rule->type) ||
           (rule->more[0] && str_eq(name, str_from_c(rule->more[0]))) ||
           (rule->more[1] && str_eq(name, str_from_c(rule->more[1])));
}

/* A link, or a data URL whose base64 must be good. */
static err_t check_url(struct reader *rd, struct str url, struct str loc)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(DATA_BYTES_MAX);
    size_t comma = str_find(url, STR(";base64,"));

    if (str_starts(url, STR("https://")) || str_starts(url, STR("http://")))
        return OK;
    if (str_starts(url, STR("data:")) && comma < url.n &&
        base64_decode(&bytes, str_slice(url, comma + 8, url.n), BASE64) == OK && bytes.n > 0)
        return OK;
    return refuse(rd->a, rd->r, "3310", loc, "%.*s: neither a link nor valid base64 data", STR_ARG(loc));
}

/* image_url: a string, or {url, detail}. */
static err_t read_url(struct reader *rd, yyjson_val *v, struct str loc)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("url"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("detail"), .kind = FIELD_ENUM, .choices = details},
    };
    struct str url = json_text(v);

    if (yyjson_is_obj(v)) {
        TRY(mistral_check(rd->a, v, loc, rules, ARRAY_LEN(rules), rd->r));
        url = json_get_str(v, STR("url"), STR_NONE);
    }
    if (!url.p)
        return unprocessable(rd->r, "string_type", loc, "Input should be a valid string");
    rd->q->hash = sim_hash(rd->q->hash, url);
    return check_url(rd, url, loc);
}

/* thinking: a list of text parts. Its text is part of what was said. */
static err_t read_list(struct reader *rd, yyjson_val *list, struct str loc)
{
    yyjson_val *item;
    size_t i, n;

    if (!yyjson_is_arr(list))
        return unprocessable(rd->r, "list_type", loc, "Input should be a valid list");
    yyjson_arr_foreach(list, i, n, item)
    {
        question_add_text(rd->q, json_get_str(item, STR("text"), STR("")));
    }
    return OK;
}

static err_t read_value(struct reader *rd, const struct part_rule *rule, yyjson_val *v, struct str loc,
                        struct str *ret_text)
{
    if (!v)
        return unprocessable(rd->r, "missing", loc, "Field required");
    rd->q->prompt_tokens += rule->tokens;
    switch (rule->shape) {
    case SHAPE_URL:
        return read_url(rd, v, loc);
    case SHAPE_LIST:
        return read_list(rd, v, loc);
    case SHAPE_TEXT:
    case SHAPE_STRING:
        break;
    }
    if (!yyjson_is_str(v))
        return unprocessable(rd->r, "string_type", loc, "Input should be a valid string");
    if (rule->shape == SHAPE_TEXT) {
        question_add_text(rd->q, json_text(v));
        *ret_text = ret_text->n == 0 ? json_text(v) : *ret_text;
        return OK;
    }
    rd->q->hash = sim_hash(rd->q->hash, json_text(v));
    return str_eq(rule->type, STR("document_url")) ? check_url(rd, json_text(v), loc) : OK;
}

static err_t read_part(struct reader *rd, yyjson_val *part, bool of_assistant, struct str loc, struct str *ret_text)
{
    struct str type = json_get_str(part, STR("type"), STR_NONE);
    const struct part_rule *rule = NULL;
    yyjson_val *key, *value;
    size_t i, n;

    for (i = 0; i < ARRAY_LEN(part_rules); i++)
        if (str_eq(type, part_rules[i].type) && (!of_assistant || part_rules[i].of_assistant))
            rule = &part_rules[i];
    if (!rule)
        return unprocessable(rd->r, "union_tag_invalid", loc, "Input tag does not match any of the expected tags");
    yyjson_obj_foreach(part, i, n, key, value)
    {
        if (!is_member_of(rule, json_text(key)))
            return unprocessable(rd->r, "extra_forbidden",
                                 arena_printf(rd->a, "%.*s.%s", STR_ARG(loc), yyjson_get_str(key)),
                                 "Extra inputs are not permitted");
    }
    const char *member = rule->member ? rule->member : rule->type.p;
    return read_value(rd, rule, json_get(part, str_from_c(member)),
                      arena_printf(rd->a, "%.*s.%s", STR_ARG(loc), member), ret_text);
}

static err_t read_content(struct reader *rd, yyjson_val *content, bool of_assistant, struct str loc,
                          struct str *ret_text)
{
    yyjson_val *part;
    size_t i, n;

    *ret_text = STR("");
    if (!content || yyjson_is_null(content))
        return OK;
    if (yyjson_is_str(content)) {
        *ret_text = json_text(content);
        question_add_text(rd->q, *ret_text);
        return OK;
    }
    if (!yyjson_is_arr(content))
        return unprocessable(rd->r, "string_type", loc, "Input should be a valid string or list");
    yyjson_arr_foreach(content, i, n, part)
    {
        TRY(read_part(rd, part, of_assistant, arena_printf(rd->a, "%.*s.%zu", STR_ARG(loc), i), ret_text));
    }
    return OK;
}

/* --- messages --- */

static bool is_call_id(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = ascii_lower(id.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return false;
    }
    return id.n == CALL_ID_LENGTH;
}

static err_t check_call_id(struct reader *rd, struct str id)
{
    if (is_call_id(id))
        return OK;
    return refuse(rd->a, rd->r, "3280", STR_NONE,
                  "Tool call id was %.*s but must be a-z, A-Z, 0-9, with a length of 9.", STR_ARG(id));
}

static err_t read_call(struct reader *rd, yyjson_val *call, struct str loc)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("id"), .kind = FIELD_STRING},
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = call_types},
        {.name = STR_INIT("index"), .kind = FIELD_INT},
        {.name = STR_INIT("function"), .kind = FIELD_OBJECT, .required = true},
    };
    static const struct field_rule function_rules[] = {
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("arguments"), .kind = FIELD_ANY, .required = true},
    };
    struct buf text CLEANUP(buf_release) = BUF_INIT(DATA_BYTES_MAX);
    yyjson_val *function = json_get(call, STR("function"));

    TRY(mistral_check(rd->a, call, loc, rules, ARRAY_LEN(rules), rd->r));
    loc = arena_printf(rd->a, "%.*s.function", STR_ARG(loc));
    TRY(mistral_check(rd->a, function, loc, function_rules, ARRAY_LEN(function_rules), rd->r));
    yyjson_val *arguments = json_get(function, STR("arguments"));
    if (!yyjson_is_str(arguments) && !yyjson_is_obj(arguments))
        return unprocessable(rd->r, "string_type", loc, "Input should be a valid string or object");
    if (json_write(&text, rd->a, arguments) == OK)
        question_add_text(rd->q, yyjson_is_str(arguments) ? json_text(arguments) : buf_str(&text));
    question_add_text(rd->q, json_get_str(function, STR("name"), STR("")));
    struct str id = json_get_str(call, STR("id"), STR(""));
    TRY(check_call_id(rd, id));
    if (rd->pending_count == SIM_TOOLS_MAX)
        return refuse(rd->a, rd->r, "3230", STR_NONE, "Too many tool calls in one message");
    rd->pending[rd->pending_count++] = id;
    return OK;
}

static err_t read_assistant(struct reader *rd, yyjson_val *message, struct str loc)
{
    yyjson_val *calls = json_get(message, STR("tool_calls")), *call, *content = json_get(message, STR("content"));
    struct str text;
    size_t i, n;

    TRY(read_content(rd, content, true, arena_printf(rd->a, "%.*s.content", STR_ARG(loc)), &text));
    yyjson_arr_foreach(calls, i, n, call)
    {
        TRY(read_call(rd, call, arena_printf(rd->a, "%.*s.tool_calls.%zu", STR_ARG(loc), i)));
    }
    rd->prefix = json_get_bool(message, STR("prefix"), false);
    bool empty = !content || yyjson_is_null(content) || (yyjson_is_str(content) && yyjson_get_len(content) == 0) ||
                 (yyjson_is_arr(content) && yyjson_arr_size(content) == 0);
    if (empty && yyjson_arr_size(calls) == 0)
        return senseless(rd, "3240", STR("Assistant message must have either content or tool_calls, but not none."));
    return OK;
}

static err_t read_result(struct reader *rd, yyjson_val *message, struct str loc)
{
    struct str id = json_get_str(message, STR("tool_call_id"), STR(""));

    TRY(check_call_id(rd, id));
    for (size_t i = 0; i < rd->pending_count; i++)
        if (str_eq(rd->pending[i], id)) {
            rd->pending[i] = rd->pending[--rd->pending_count];
            return read_content(rd, json_get(message, STR("content")), false,
                                arena_printf(rd->a, "%.*s.content", STR_ARG(loc)), &rd->q->result);
        }
    return senseless(rd, "3230", STR("Unexpected tool call id in tool results"));
}

/* May this role follow the last one? */
static err_t check_order(struct reader *rd, enum role role)
{
    if (role != TOOL && rd->pending_count > 0)
        return senseless(rd, "3230", STR("Not the same number of function calls and responses"));
    if (role == USER && rd->last == TOOL)
        return senseless(rd, "3230", STR("Unexpected role 'user' after role 'tool'"));
    if (role == SYSTEM && rd->last == ASSISTANT)
        return senseless(rd, "3230", STR("Unexpected role 'system' after role 'assistant'"));
    if (role == TOOL && rd->last != TOOL && rd->last != ASSISTANT)
        return senseless(rd, "3230",
                         arena_printf(rd->a, "Unexpected role 'tool' after role '%.*s'",
                                      STR_ARG(rd->last == NO_ROLE ? STR("none") : roles[rd->last].name)));
    return OK;
}

static err_t read_message(struct reader *rd, yyjson_val *message, struct str loc)
{
    struct str name = json_get_str(message, STR("role"), STR_NONE), text;
    enum role role = NO_ROLE;

    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (str_eq(name, roles[i].name))
            role = (enum role)i;
    if (role == NO_ROLE)
        return unprocessable(rd->r, "union_tag_invalid", loc, "Input tag does not match any of the expected tags");
    TRY(mistral_check(rd->a, message, loc, roles[role].rules, roles[role].count, rd->r));
    TRY(check_order(rd, role));
    rd->last = role;
    rd->q->result = STR_NONE;
    question_add_role(rd->q, name);
    if (role == ASSISTANT)
        return read_assistant(rd, message, loc);
    if (role == TOOL)
        return read_result(rd, message, loc);
    TRY(read_content(rd, json_get(message, STR("content")), false, arena_printf(rd->a, "%.*s.content", STR_ARG(loc)),
                     &text));
    if (role == USER)
        rd->q->asked = text;
    return OK;
}

static err_t read_messages(struct reader *rd)
{
    yyjson_val *message;
    size_t i, n;

    rd->last = NO_ROLE;
    yyjson_arr_foreach(json_get(rd->root, STR("messages")), i, n, message)
    {
        TRY(read_message(rd, message, arena_printf(rd->a, "messages.%zu", i)));
    }
    if (rd->pending_count > 0)
        return senseless(rd, "3230", STR("Not the same number of function calls and responses"));
    if (rd->last == SYSTEM || (rd->last == ASSISTANT && !rd->prefix))
        return senseless(rd, "3051",
                         arena_printf(rd->a,
                                      "Expected last role User or Tool (or Assistant with prefix True) for serving but "
                                      "got %.*s",
                                      STR_ARG(roles[rd->last].name)));
    return OK;
}

/* --- tools --- */

static err_t read_tool(struct reader *rd, yyjson_val *tool, struct str loc, struct sim_tool *to)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = call_types},
        {.name = STR_INIT("function"), .kind = FIELD_OBJECT, .required = true},
    };
    static const struct field_rule function_rules[] = {
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("description"), .kind = FIELD_STRING},
        {.name = STR_INIT("parameters"), .kind = FIELD_OBJECT, .required = true},
        {.name = STR_INIT("strict"), .kind = FIELD_BOOL},
    };
    yyjson_val *function = json_get(tool, STR("function"));

    TRY(mistral_check(rd->a, tool, loc, rules, ARRAY_LEN(rules), rd->r));
    loc = arena_printf(rd->a, "%.*s.function", STR_ARG(loc));
    TRY(mistral_check(rd->a, function, loc, function_rules, ARRAY_LEN(function_rules), rd->r));
    *to = (struct sim_tool){.name = json_get_str(function, STR("name"), STR("")),
                            .parameters = json_get(function, STR("parameters"))};
    if (question_is_name(to->name))
        return OK;
    return refuse(rd->a, rd->r, "3280", STR_NONE,
                  "Function name was %.*s but must be a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum "
                  "length of 64.",
                  STR_ARG(to->name));
}

static err_t read_tools(struct reader *rd)
{
    yyjson_val *tools = json_get(rd->root, STR("tools")), *tool;
    struct question *q = rd->q;
    size_t i, n;

    if (yyjson_arr_size(tools) == 0)
        return OK;
    q->tools = arena_zalloc(rd->a, yyjson_arr_size(tools) * sizeof(*q->tools));
    q->tool_choice = SIM_TOOL_AUTO;
    yyjson_arr_foreach(tools, i, n, tool)
    {
        TRY(read_tool(rd, tool, arena_printf(rd->a, "tools.%zu", i), &q->tools[q->tool_count]));
        q->tool_count++;
    }
    return question_add_tools(rd->a, q, tools);
}

static err_t choose_word(struct reader *rd, struct str word)
{
    struct question *q = rd->q;

    if (str_eq(word, STR("auto")))
        q->tool_choice = SIM_TOOL_AUTO;
    else if (str_eq(word, STR("none")))
        q->tool_choice = SIM_TOOL_NONE;
    else if (str_eq(word, STR("any")) || str_eq(word, STR("required")))
        q->tool_choice = SIM_TOOL_REQUIRED;
    else
        return unprocessable(rd->r, "enum", STR("tool_choice"), "Input should be 'auto', 'none', 'any' or 'required'");
    return OK;
}

static err_t read_tool_choice(struct reader *rd)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = call_types},
        {.name = STR_INIT("function"), .kind = FIELD_OBJECT, .required = true},
    };
    yyjson_val *choice = json_get(rd->root, STR("tool_choice"));

    if (!choice || yyjson_is_null(choice))
        return OK;
    if (yyjson_is_str(choice))
        return choose_word(rd, json_text(choice));
    if (!yyjson_is_obj(choice))
        return unprocessable(rd->r, "model_type", STR("tool_choice"), "Input should be a string or an object");
    TRY(mistral_check(rd->a, choice, STR("tool_choice"), rules, ARRAY_LEN(rules), rd->r));
    rd->q->tool_choice = SIM_TOOL_NAMED;
    rd->q->tool_named = json_get_str(json_get(choice, STR("function")), STR("name"), STR_NONE);
    for (size_t i = 0; i < rd->q->tool_count; i++)
        if (str_eq(rd->q->tools[i].name, rd->q->tool_named))
            return OK;
    return refuse(rd->a, rd->r, "3280", STR_NONE, "Tool choice %.*s is not among the tools",
                  STR_ARG(rd->q->tool_named));
}

/* --- the rest --- */

static err_t read_format(struct reader *rd)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = formats},
        {.name = STR_INIT("json_schema"), .kind = FIELD_OBJECT},
    };
    static const struct field_rule schema_rules[] = {
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("description"), .kind = FIELD_STRING},
        {.name = STR_INIT("schema"), .kind = FIELD_OBJECT, .required = true},
        {.name = STR_INIT("strict"), .kind = FIELD_BOOL},
    };
    yyjson_val *format = json_get(rd->root, STR("response_format")), *schema = json_get(format, STR("json_schema"));

    if (!format || yyjson_is_null(format))
        return OK;
    TRY(mistral_check(rd->a, format, STR("response_format"), rules, ARRAY_LEN(rules), rd->r));
    struct str type = json_get_str(format, STR("type"), STR("text"));
    if (str_eq(type, STR("json_object")))
        rd->q->format = SIM_JSON_OBJECT;
    if (!str_eq(type, STR("json_schema")))
        return OK;
    if (!schema)
        return unprocessable(rd->r, "missing", STR("response_format.json_schema"), "Field required");
    TRY(mistral_check(rd->a, schema, STR("response_format.json_schema"), schema_rules, ARRAY_LEN(schema_rules), rd->r));
    rd->q->format = SIM_JSON_SCHEMA;
    rd->q->schema = json_get(schema, STR("schema"));
    return OK;
}

static err_t read_stop(struct reader *rd)
{
    yyjson_val *stop = json_get(rd->root, STR("stop")), *item;
    size_t i, n;

    if (stop && !yyjson_is_null(stop) && !yyjson_is_str(stop) && !yyjson_is_arr(stop))
        return unprocessable(rd->r, "list_type", STR("stop"), "Input should be a valid string or list");
    yyjson_arr_foreach(stop, i, n, item)
    {
        if (!yyjson_is_str(item))
            return unprocessable(rd->r, "string_type", arena_printf(rd->a, "stop.%zu", i),
                                 "Input should be a valid string");
    }
    question_set_stops(rd->a, rd->q, stop);
    return OK;
}

static void read_common(struct reader *rd)
{
    struct question *q = rd->q;

    q->model = json_get_str(rd->root, STR("model"), STR_NONE);
    q->max_tokens = json_get_i64(rd->root, STR("max_tokens"), -1);
    q->stream = json_get_bool(rd->root, STR("stream"), false);
    int64_t seed = json_get_i64(rd->root, STR("random_seed"), -1);
    if (seed >= 0)
        q->hash = sim_hash_u64(q->hash, (uint64_t)seed);
}

err_t mistral_read_chat(struct arena *a, struct str body, struct question *ret, struct sim_refusal *r)
{
    struct reader *rd = arena_new(a, struct reader);

    *rd = (struct reader){.a = a, .q = ret, .r = r};
    question_init(ret);
    TRY(mistral_parse(a, body, r, &rd->root));
    TRY(mistral_check(a, rd->root, STR(""), chat_rules, ARRAY_LEN(chat_rules), r));
    TRY(read_messages(rd));
    TRY(read_tools(rd));
    TRY(read_tool_choice(rd));
    TRY(read_format(rd));
    TRY(read_stop(rd));
    read_common(rd);
    ret->n = (size_t)json_get_i64(rd->root, STR("n"), 1);
    ret->parallel = json_get_bool(rd->root, STR("parallel_tool_calls"), true);
    struct str usual = json_get(rd->root, STR("prompt_mode")) ? STR("medium") : STR_NONE;
    ret->reasoning_tokens = question_effort_tokens(json_get_str(rd->root, STR("reasoning_effort"), usual));
    ret->tells_thoughts = true;
    return OK;
}

err_t mistral_read_fim(struct arena *a, struct str body, struct question *ret, struct sim_refusal *r)
{
    struct reader *rd = arena_new(a, struct reader);

    *rd = (struct reader){.a = a, .q = ret, .r = r};
    question_init(ret);
    TRY(mistral_parse(a, body, r, &rd->root));
    TRY(mistral_check(a, rd->root, STR(""), fim_rules, ARRAY_LEN(fim_rules), r));
    ret->asked = json_get_str(rd->root, STR("prompt"), STR(""));
    question_add_text(ret, ret->asked);
    question_add_text(ret, json_get_str(rd->root, STR("suffix"), STR("")));
    TRY(read_stop(rd));
    read_common(rd);
    return OK;
}
