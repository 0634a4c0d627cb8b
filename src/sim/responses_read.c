/*
 * responses_read.c - requests to /v1/responses: wire-format reference 4.2 and 4.3.
 *
 * Every function call among the items, or in the previous response, must be answered by an output item, and every output must answer
 * a call: as OpenAI checks it. Items of hosted tools are accepted and only hashed. What was said before
 * (previous_response_id) comes in as one hash and a number of tokens, since the answer depends on nothing else.
 */
#include "sim/responses_int.h"

#include "codec/json.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/text.h"

enum { ITEMS_BYTES_MAX = 64 << 20 };

static const struct field_rule rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    {.name = STR_INIT("input"), .kind = FIELD_ANY, .required = true},
    {.name = STR_INIT("instructions"), .kind = FIELD_ANY},
    {.name = STR_INIT("max_output_tokens"), .kind = FIELD_INT, .min = 16, .max = 1 << 30},
    {.name = STR_INIT("max_tool_calls"), .kind = FIELD_INT, .min = 1, .max = 1 << 20},
    {.name = STR_INIT("temperature"), .kind = FIELD_NUMBER, .min = 0, .max = 2},
    {.name = STR_INIT("top_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("top_logprobs"), .kind = FIELD_INT, .min = 0, .max = 20},
    {.name = STR_INIT("reasoning"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("text"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("tools"), .kind = FIELD_ARRAY, .min = 0, .max = SIM_TOOLS_MAX},
    {.name = STR_INIT("tool_choice"), .kind = FIELD_ANY},
    {.name = STR_INIT("parallel_tool_calls"), .kind = FIELD_BOOL},
    {.name = STR_INIT("truncation"), .kind = FIELD_ENUM, .choices = (const char *const[]){"auto", "disabled", NULL}},
    {.name = STR_INIT("store"), .kind = FIELD_BOOL},
    {.name = STR_INIT("background"), .kind = FIELD_BOOL},
    {.name = STR_INIT("metadata"), .kind = FIELD_OBJECT, .min = 0, .max = 16},
    {.name = STR_INIT("user"), .kind = FIELD_STRING},
    {.name = STR_INIT("safety_identifier"), .kind = FIELD_STRING, .min = 0, .max = 64},
    {.name = STR_INIT("prompt_cache_key"), .kind = FIELD_STRING},
    {.name = STR_INIT("prompt_cache_retention"),
     .kind = FIELD_ENUM,
     .choices = (const char *const[]){"in_memory", "24h", NULL}},
    {.name = STR_INIT("prompt_cache_options"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("service_tier"),
     .kind = FIELD_ENUM,
     .choices = (const char *const[]){"auto", "default", "flex", "scale", "priority", "fast", NULL}},
    {.name = STR_INIT("prompt"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("context_management"), .kind = FIELD_ANY},
    {.name = STR_INIT("moderation"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("previous_response_id"), .kind = FIELD_STRING, .min = 1, .max = 512},
    {.name = STR_INIT("conversation"), .kind = FIELD_ANY},
    {.name = STR_INIT("include"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("stream"), .kind = FIELD_BOOL},
    {.name = STR_INIT("stream_options"), .kind = FIELD_OBJECT},
};

static const struct field_rule reasoning_rules[] = {
    {.name = STR_INIT("effort"),
     .kind = FIELD_ENUM,
     .choices = (const char *const[]){"none", "minimal", "low", "medium", "high", "xhigh", "max", NULL}},
    {.name = STR_INIT("summary"),
     .kind = FIELD_ENUM,
     .choices = (const char *const[]){"auto", "concise", "detailed", NULL}},
    {.name = STR_INIT("generate_summary"), .kind = FIELD_STRING},
    {.name = STR_INIT("mode"), .kind = FIELD_ANY},
    {.name = STR_INIT("context"), .kind = FIELD_ANY},
};

static const struct field_rule format_rule = {.name = STR_INIT("type"),
                                              .kind = FIELD_ENUM,
                                              .choices =
                                                  (const char *const[]){"text", "json_schema", "json_object", NULL},
                                              .required = true};

/* A call that awaits its output. */
struct pending {
    struct pending *next;
    struct str id;
    bool answered;
};

struct reader {
    struct arena *a;
    struct responses_request *q;
    struct sim_refusal *r;
    struct pending *pending;
    struct buf *items; /* as they are stored */
    size_t item_count;
    bool refuse_unknown;
};

static err_t missing(struct reader *rd, struct str param)
{
    return refuse(rd->a, rd->r, "missing_required_parameter", param, "Missing required parameter: '%.*s'.",
                  STR_ARG(param));
}

static err_t string_member(struct reader *rd, yyjson_val *obj, struct str path, const char *name, struct str *ret)
{
    yyjson_val *v = json_get(obj, str_from_c(name));
    struct str param = field_path(rd->a, path, name);

    *ret = json_text(v);
    if (!v)
        return missing(rd, param);
    if (!yyjson_is_str(v))
        return refuse_type(rd->a, rd->r, param, "a string", v);
    return OK;
}

/* --- calls and their outputs --- */

static void await_output(struct reader *rd, struct str id)
{
    struct pending *p = arena_new(rd->a, struct pending);

    p->id = id;
    p->next = rd->pending;
    rd->pending = p;
}

static err_t read_call(struct reader *rd, yyjson_val *item, struct str path, const char *input)
{
    struct str id, name, text;

    TRY(string_member(rd, item, path, "call_id", &id));
    TRY(string_member(rd, item, path, "name", &name));
    TRY(string_member(rd, item, path, input, &text));
    question_add_text(&rd->q->q, name);
    question_add_text(&rd->q->q, text);
    await_output(rd, id);
    return OK;
}

static err_t read_parts(struct reader *rd, yyjson_val *parts, struct str path, struct str *ret_text);

static err_t read_output(struct reader *rd, yyjson_val *item, struct str path)
{
    yyjson_val *output = json_get(item, STR("output"));
    struct str id, text = STR("");
    struct pending *p = rd->pending;

    TRY(string_member(rd, item, path, "call_id", &id));
    while (p && !str_eq(p->id, id))
        p = p->next;
    if (!p)
        return refuse(rd->a, rd->r, NULL, STR("input"),
                      "No tool call found for function call output with call_id %.*s.", STR_ARG(id));
    p->answered = true;
    if (!output)
        return missing(rd, field_path(rd->a, path, "output"));
    if (yyjson_is_arr(output)) {
        TRY(read_parts(rd, output, field_path(rd->a, path, "output"), &text));
    } else if (yyjson_is_str(output)) {
        text = json_text(output);
        question_add_text(&rd->q->q, text);
    } else {
        return refuse_type(rd->a, rd->r, field_path(rd->a, path, "output"), "one of a string or an array of objects",
                           output);
    }
    rd->q->q.result = text;
    return OK;
}

static err_t check_answered(struct reader *rd)
{
    for (const struct pending *p = rd->pending; p; p = p->next)
        if (!p->answered)
            return refuse(rd->a, rd->r, NULL, STR("input"), "No tool output found for function call %.*s.",
                          STR_ARG(p->id));
    return OK;
}

/* --- items --- */

static err_t read_part(struct reader *rd, yyjson_val *part, struct str path, struct str *ret_text)
{
    struct question *q = &rd->q->q;
    struct str type, text;

    if (!yyjson_is_obj(part))
        return refuse_type(rd->a, rd->r, path, "an object", part);
    TRY(string_member(rd, part, path, "type", &type));
    if (str_eq(type, STR("input_text")) || str_eq(type, STR("output_text")) || str_eq(type, STR("refusal"))) {
        TRY(string_member(rd, part, path, str_eq(type, STR("refusal")) ? "refusal" : "text", &text));
        question_add_text(q, text);
        if (ret_text->n == 0)
            *ret_text = text;
        return OK;
    }
    if (str_eq(type, STR("input_image"))) {
        q->prompt_tokens += SIM_IMAGE_TOKENS;
        q->hash = sim_hash(q->hash, json_get_str(part, STR("image_url"), json_get_str(part, STR("file_id"), STR(""))));
        return OK;
    }
    if (str_eq(type, STR("input_file")) || str_eq(type, STR("input_audio"))) {
        q->prompt_tokens += SIM_MEDIA_TOKENS;
        q->hash = sim_hash(q->hash, json_get_str(part, STR("filename"), type));
        return OK;
    }
    return refuse(rd->a, rd->r, "invalid_value", field_path(rd->a, path, "type"),
                  "Invalid value: '%.*s'. Supported values are: 'input_text', 'input_image', 'output_text', 'refusal', "
                  "'input_file', and 'input_audio'.",
                  STR_ARG(type));
}

static err_t read_parts(struct reader *rd, yyjson_val *parts, struct str path, struct str *ret_text)
{
    yyjson_val *part;
    size_t i, n;

    yyjson_arr_foreach(parts, i, n, part)
    {
        TRY(read_part(rd, part, arena_printf(rd->a, "%.*s[%zu]", STR_ARG(path), i), ret_text));
    }
    return OK;
}

static err_t read_message(struct reader *rd, yyjson_val *item, struct str path)
{
    static const char *const roles[] = {"assistant", "system", "developer", "user", NULL};
    static const struct field_rule role_rule = {
        .name = STR_INIT("role"), .kind = FIELD_ENUM, .choices = roles, .required = true};
    yyjson_val *content = json_get(item, STR("content"));
    struct str role, text = STR(""), content_path = field_path(rd->a, path, "content");

    TRY(fields_check(rd->a, item, path, &role_rule, 1, false, rd->r));
    role = json_get_str(item, STR("role"), STR_NONE);
    question_add_role(&rd->q->q, role);
    if (!content)
        return missing(rd, content_path);
    if (yyjson_is_arr(content)) {
        TRY(read_parts(rd, content, content_path, &text));
    } else if (yyjson_is_str(content)) {
        text = json_text(content);
        question_add_text(&rd->q->q, text);
    } else {
        return refuse_type(rd->a, rd->r, content_path, "one of a string or array of objects", content);
    }
    rd->q->q.result = STR_NONE;
    if (str_eq(role, STR("user")))
        rd->q->q.asked = text;
    return OK;
}

static err_t read_item(struct reader *rd, yyjson_val *item, struct str path)
{
    struct str type = json_get_str(item, STR("type"), STR("message"));
    struct question *q = &rd->q->q;

    if (!yyjson_is_obj(item))
        return refuse_type(rd->a, rd->r, path, "an object", item);
    if (str_eq(type, STR("message")))
        return read_message(rd, item, path);
    if (str_eq(type, STR("function_call")))
        return read_call(rd, item, path, "arguments");
    if (str_eq(type, STR("custom_tool_call")))
        return read_call(rd, item, path, "input");
    if (str_eq(type, STR("function_call_output")) || str_eq(type, STR("custom_tool_call_output")))
        return read_output(rd, item, path);
    q->hash = sim_hash(q->hash, type); /* reasoning, references, hosted tools: no text that the answer could be about */
    return OK;
}

/* --- the input as it is kept for /input_items --- */

static void store_head(struct reader *rd, const char *prefix)
{
    char id[SIM_ID_MAX];
    size_t n = sim_id(id, prefix, rd->q->q.hash, rd->item_count);

    buf_addf(rd->items, "%s{\"id\":\"%.*s\"", rd->item_count++ > 0 ? "," : "", (int)n, id);
}

static void store_text_message(struct reader *rd, struct str role, struct str text)
{
    store_head(rd, "msg_");
    buf_addf(rd->items,
             ",\"type\":\"message\",\"status\":\"completed\",\"role\":\"%.*s\",\"content\":[{\"type\":", STR_ARG(role));
    buf_add(rd->items, str_eq(role, STR("assistant"))
                           ? STR("\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"")
                           : STR("\"input_text\",\"text\":\""));
    buf_add_json(rd->items, text);
    buf_add_lit(rd->items, "\"}]}");
}

/* An item as it came, with an id if it had none. */
static err_t store_item(struct reader *rd, yyjson_val *item)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(ITEMS_BYTES_MAX);

    if (json_get(item, STR("id"))) {
        buf_add(rd->items, rd->item_count++ > 0 ? STR(",") : STR(""));
        return json_write(rd->items, rd->a, item);
    }
    TRY(json_write(&json, rd->a, item));
    store_head(rd, "item_");
    if (!json_get(item, STR("type")))
        buf_add_lit(rd->items, ",\"type\":\"message\"");
    if (json.n > 2)
        buf_add_char(rd->items, ',');
    return buf_add(rd->items, str_slice(buf_str(&json), 1, json.n));
}

static err_t read_input(struct reader *rd, yyjson_val *input)
{
    yyjson_val *item;
    size_t i, n;

    if (yyjson_is_str(input)) {
        question_add_role(&rd->q->q, STR("user"));
        question_add_text(&rd->q->q, json_text(input));
        rd->q->q.asked = json_text(input);
        store_text_message(rd, STR("user"), json_text(input));
        return OK;
    }
    if (!yyjson_is_arr(input))
        return refuse_type(rd->a, rd->r, STR("input"), "one of a string or an array of input items", input);
    yyjson_arr_foreach(input, i, n, item)
    {
        TRY(read_item(rd, item, arena_printf(rd->a, "input[%zu]", i)));
        yyjson_val *content = json_get(item, STR("content"));
        if (yyjson_is_str(content) && yyjson_is_str(json_get(item, STR("role"))))
            store_text_message(rd, json_get_str(item, STR("role"), STR_NONE), json_text(content));
        else
            TRY(store_item(rd, item));
    }
    return OK;
}

/* --- tools --- */

static err_t read_tool(struct reader *rd, yyjson_val *tool, struct str path)
{
    struct question *q = &rd->q->q;
    struct str type, name;

    if (!yyjson_is_obj(tool))
        return refuse_type(rd->a, rd->r, path, "an object", tool);
    TRY(string_member(rd, tool, path, "type", &type));
    bool custom = str_eq(type, STR("custom"));
    if (!custom && !str_eq(type, STR("function")))
        return OK; /* hosted: never called here */
    TRY(string_member(rd, tool, path, "name", &name));
    if (!question_is_name(name))
        return refuse(rd->a, rd->r, "invalid_value", field_path(rd->a, path, "name"),
                      "Invalid '%.*s.name': string does not match pattern. Expected a string that matches the pattern "
                      "'^[a-zA-Z0-9_-]+$'.",
                      STR_ARG(path));
    yyjson_val *parameters = json_get(tool, STR("parameters"));
    q->tools[q->tool_count++] = (struct sim_tool){.name = name, .custom = custom, .parameters = parameters};
    return question_check_schema(rd->a, parameters, field_path(rd->a, path, "parameters"), rd->r);
}

static err_t read_tools(struct reader *rd)
{
    yyjson_val *tools = json_get(rd->q->root, STR("tools")), *tool;
    struct question *q = &rd->q->q;
    size_t i, n;

    if (yyjson_arr_size(tools) == 0)
        return OK;
    q->tools = arena_zalloc(rd->a, yyjson_arr_size(tools) * sizeof(*q->tools));
    q->tool_choice = SIM_TOOL_AUTO;
    yyjson_arr_foreach(tools, i, n, tool)
    {
        TRY(read_tool(rd, tool, arena_printf(rd->a, "tools[%zu]", i)));
    }
    return question_add_tools(rd->a, q, tools);
}

static struct sim_tool *find_tool(struct question *q, struct str name)
{
    for (size_t i = 0; i < q->tool_count; i++)
        if (str_eq(q->tools[i].name, name))
            return &q->tools[i];
    return NULL;
}

static err_t choose_allowed(struct reader *rd, yyjson_val *choice)
{
    struct question *q = &rd->q->q;
    yyjson_val *tool;
    size_t i, n;

    if (str_eq(json_get_str(choice, STR("mode"), STR_NONE), STR("required")))
        q->tool_choice = SIM_TOOL_REQUIRED;
    for (i = 0; i < q->tool_count; i++)
        q->tools[i].barred = true;
    yyjson_arr_foreach(json_get(choice, STR("tools")), i, n, tool)
    {
        struct sim_tool *t = find_tool(q, json_get_str(tool, STR("name"), STR_NONE));
        if (t)
            t->barred = false;
    }
    return OK;
}

static err_t read_tool_choice(struct reader *rd)
{
    yyjson_val *choice = json_get(rd->q->root, STR("tool_choice"));
    struct question *q = &rd->q->q;
    struct str word = json_text(choice);

    if (!choice || yyjson_is_null(choice) || str_eq(word, STR("auto")))
        return OK;
    if (str_eq(word, STR("none")) || str_eq(word, STR("required"))) {
        q->tool_choice = str_eq(word, STR("none")) ? SIM_TOOL_NONE : SIM_TOOL_REQUIRED;
        return OK;
    }
    if (word.p)
        return refuse(rd->a, rd->r, "invalid_value", STR("tool_choice"),
                      "Invalid value: '%.*s'. Supported values are: 'none', 'auto', and 'required'.", STR_ARG(word));
    struct str type = json_get_str(choice, STR("type"), STR_NONE);
    if (!type.p)
        return missing(rd, STR("tool_choice.type"));
    if (str_eq(type, STR("allowed_tools")))
        return choose_allowed(rd, choice);
    if (!str_eq(type, STR("function")) && !str_eq(type, STR("custom")))
        return OK; /* a hosted tool */
    TRY(string_member(rd, choice, STR("tool_choice"), "name", &q->tool_named));
    if (!find_tool(q, q->tool_named))
        return refuse(rd->a, rd->r, NULL, STR("tool_choice"), "Tool choice '%.*s' not found in 'tools' parameter.",
                      STR_ARG(q->tool_named));
    q->tool_choice = SIM_TOOL_NAMED;
    return OK;
}

/* --- the rest --- */

static err_t read_previous(struct reader *rd, const struct response_store *store)
{
    struct responses_request *q = rd->q;

    q->previous = json_get_str(q->root, STR("previous_response_id"), STR_NONE);
    if (!q->previous.p)
        return OK;
    if (json_get(q->root, STR("conversation")))
        return refuse(rd->a, rd->r, "mutually_exclusive_parameters", STR("previous_response_id"),
                      "Mutually exclusive parameters: 'conversation' and 'previous_response_id'.");
    const struct stored_response *before = response_store_find(store, q->previous);
    if (!before)
        return refuse(rd->a, rd->r, "previous_response_not_found", STR("previous_response_id"),
                      "Previous response with id '%.*s' not found.", STR_ARG(q->previous));
    q->q.hash = before->hash;
    q->q.prompt_tokens += before->tokens;
    struct str calls = arena_str(rd->a, before->calls); /* what is stored may go while we wait */
    while (calls.n > 0)
        await_output(rd, str_cut(&calls, '\n'));
    return OK;
}

static err_t read_format(struct reader *rd)
{
    yyjson_val *format = json_get(json_get(rd->q->root, STR("text")), STR("format"));
    struct question *q = &rd->q->q;
    struct str name;

    if (!format || yyjson_is_null(format))
        return OK;
    if (!yyjson_is_obj(format))
        return refuse_type(rd->a, rd->r, STR("text.format"), "an object", format);
    TRY(fields_check(rd->a, format, STR("text.format"), &format_rule, 1, false, rd->r));
    struct str type = json_get_str(format, STR("type"), STR_NONE);
    if (str_eq(type, STR("json_object")))
        q->format = SIM_JSON_OBJECT;
    if (!str_eq(type, STR("json_schema")))
        return OK;
    TRY(string_member(rd, format, STR("text.format"), "name", &name));
    q->format = SIM_JSON_SCHEMA;
    q->schema = json_get(format, STR("schema"));
    if (!q->schema)
        return missing(rd, STR("text.format.schema"));
    return question_check_schema(rd->a, q->schema, STR("text.format.schema"), rd->r);
}

static err_t read_reasoning(struct reader *rd)
{
    yyjson_val *reasoning = json_get(rd->q->root, STR("reasoning"));

    if (!yyjson_is_obj(reasoning))
        return OK;
    TRY(fields_check(rd->a, reasoning, STR("reasoning"), reasoning_rules, ARRAY_LEN(reasoning_rules),
                     rd->refuse_unknown, rd->r));
    struct str effort = json_get_str(reasoning, STR("effort"), STR_NONE);
    rd->q->q.reasoning_tokens = question_effort_tokens(effort);
    if (rd->q->q.reasoning_tokens > 0)
        rd->q->effort = effort;
    return OK;
}

static err_t read_flags(struct reader *rd)
{
    struct responses_request *q = rd->q;
    yyjson_val *root = q->root, *item, *options = json_get(root, STR("stream_options"));
    size_t i, n;

    q->q.stream = json_get_bool(root, STR("stream"), false);
    q->q.parallel = json_get_bool(root, STR("parallel_tool_calls"), true);
    q->q.max_tokens = json_get_i64(root, STR("max_output_tokens"), -1);
    q->store = json_get_bool(root, STR("store"), true);
    q->background = json_get_bool(root, STR("background"), false);
    if (options && !yyjson_is_null(options) && !q->q.stream)
        return refuse(rd->a, rd->r, NULL, STR("stream_options"),
                      "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    if (q->background && !q->store)
        return refuse(rd->a, rd->r, NULL, STR("background"), "Background mode requires 'store' to be true.");
    yyjson_arr_foreach(json_get(root, STR("include")), i, n, item)
    {
        q->wants_encrypted |= str_eq(json_text(item), STR("reasoning.encrypted_content"));
    }
    return OK;
}

static err_t read_all(struct reader *rd, const struct response_store *store)
{
    struct responses_request *q = rd->q;
    struct str instructions = json_get_str(q->root, STR("instructions"), STR_NONE);

    TRY(read_previous(rd, store));
    if (instructions.n > 0) {
        question_add_role(&q->q, STR("developer"));
        question_add_text(&q->q, instructions);
    }
    TRY(read_input(rd, json_get(q->root, STR("input"))));
    TRY(check_answered(rd));
    TRY(read_tools(rd));
    TRY(read_tool_choice(rd));
    TRY(read_format(rd));
    TRY(read_reasoning(rd));
    return read_flags(rd);
}

err_t responses_read(struct arena *a, struct str body, bool refuse_unknown, const struct response_store *store,
                     struct responses_request *ret, struct sim_refusal *r)
{
    struct buf items CLEANUP(buf_release) = BUF_INIT(ITEMS_BYTES_MAX);
    struct reader rd = {.a = a, .q = ret, .r = r, .items = &items, .refuse_unknown = refuse_unknown};

    *ret = (struct responses_request){.store = true};
    question_init(&ret->q);
    TRY(fields_parse(a, body, r, &ret->root));
    TRY(fields_check(a, ret->root, STR(""), rules, ARRAY_LEN(rules), refuse_unknown, r));
    ret->q.model = json_get_str(ret->root, STR("model"), STR_NONE);
    TRY(read_all(&rd, store));
    TRY(buf_status(&items));
    ret->items = arena_str(a, buf_str(&items));
    return OK;
}
