/*
 * gemini_read.c - requests to generateContent and countTokens, checked as Google's services check them, then brought into a question.
 *
 * Written from the documentation of the Gemini API and Vertex AI; shares nothing with the gateway's translation. First the members of all
 * messages (gemini_messages.c), then tools, contents and configuration, and what they demand of each other.
 */
#include "codec/json.h"
#include "sim/gemini_int.h"

/* Words in a question that make the service block it, or the answer. */
#define TRIGGER_PROMPT STR("SIMULATE_BLOCKED_PROMPT")
#define TRIGGER_ANSWER STR("SIMULATE_BLOCKED_ANSWER")

enum { STOPS_MAX = 5, CANDIDATES_MAX = 8, LOGPROBS_MAX = 20, NAME_MAX_BYTES = 64, BUDGET_TOKENS = 16 };

/* --- tools --- */

static bool is_function_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = ascii_lower(name.p[i]);
        bool letter = (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '.' || c == ':' || c == '-')))
            return false;
    }
    return name.n >= 1 && name.n <= NAME_MAX_BYTES;
}

static err_t read_parameters(struct gemini_reader *rd, yyjson_val *declaration, struct str path, struct sim_tool *to)
{
    yyjson_val *schema = proto_get(declaration, STR("parameters"));
    yyjson_val *json_schema = proto_get(declaration, STR("parametersJsonSchema"));

    if (schema && json_schema)
        return gemini_refuse(rd,
                             "* GenerateContentRequest.%.*s: parameters and parameters_json_schema cannot both be set",
                             STR_ARG(path));
    if (schema)
        return gemini_read_schema(rd, schema, arena_printf(rd->a, "%.*s.parameters", STR_ARG(path)), &to->parameters);
    if (json_schema && !str_eq(json_get_str(json_schema, STR("type"), STR("")), STR("object")))
        return gemini_refuse(rd, "* GenerateContentRequest.%.*s.parameters_json_schema: must be of type object",
                             STR_ARG(path));
    to->parameters = json_schema;
    return OK;
}

static err_t read_declaration(struct gemini_reader *rd, yyjson_val *declaration, struct str path)
{
    struct sim_tool *to = &rd->q->tools[rd->q->tool_count];

    to->name = proto_get_str(declaration, STR("name"), STR(""));
    if (!is_function_name(to->name))
        return gemini_refuse(rd,
                             "* GenerateContentRequest.%.*s.name: Invalid function name. Must start with a letter or "
                             "an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons "
                             "(:), or dashes (-), with a maximum length of %d.",
                             STR_ARG(path), NAME_MAX_BYTES);
    for (size_t i = 0; i < rd->q->tool_count; i++)
        if (str_eq(rd->q->tools[i].name, to->name))
            return gemini_refuse(rd, "Duplicate function declaration found: %.*s", STR_ARG(to->name));
    TRY(read_parameters(rd, declaration, path, to));
    rd->q->tool_count++;
    return question_add_tools(rd->a, rd->q, declaration);
}

static struct sim_tool *tool_named(struct question *q, struct str name)
{
    for (size_t i = 0; i < q->tool_count; i++)
        if (str_eq(q->tools[i].name, name))
            return &q->tools[i];
    return NULL;
}

/* All but the allowed ones are barred. */
static err_t read_allowed(struct gemini_reader *rd, yyjson_val *names)
{
    yyjson_val *name;
    size_t i, n;

    for (i = 0; names && i < rd->q->tool_count; i++)
        rd->q->tools[i].barred = true;
    yyjson_arr_foreach(names, i, n, name)
    {
        struct sim_tool *tool = tool_named(rd->q, json_text(name));
        if (!tool)
            return gemini_refuse(rd, "Allowed function name `%.*s` is not among the function declarations.",
                                 STR_ARG(json_text(name)));
        tool->barred = false;
    }
    return OK;
}

static err_t read_calling(struct gemini_reader *rd)
{
    yyjson_val *config = proto_get(proto_get(rd->root, STR("toolConfig")), STR("functionCallingConfig"));
    struct str mode = proto_get_str(config, STR("mode"), STR("AUTO"));
    yyjson_val *allowed = proto_get(config, STR("allowedFunctionNames"));
    bool any = str_eq(mode, STR("ANY"));

    rd->q->tool_choice = SIM_TOOL_AUTO;
    if (!config)
        return OK;
    if (rd->q->tool_count == 0 && (any || allowed))
        return gemini_refuse(rd, "Function calling config is set without function_declarations.");
    if (allowed && !any && !str_eq(mode, STR("VALIDATED")))
        return gemini_refuse(
            rd, "allowed_function_names should only be set when function calling mode is ANY or VALIDATED.");
    if (any)
        rd->q->tool_choice = SIM_TOOL_REQUIRED;
    else if (str_eq(mode, STR("NONE")))
        rd->q->tool_choice = SIM_TOOL_NONE;
    return read_allowed(rd, allowed);
}

static err_t read_tools(struct gemini_reader *rd)
{
    yyjson_val *tools = proto_get(rd->root, STR("tools")), *tool, *declaration;
    size_t i, n, k, m, count = 0;

    yyjson_arr_foreach(tools, i, n, tool)
    {
        count += yyjson_arr_size(proto_get(tool, STR("functionDeclarations")));
    }
    rd->q->tools = arena_zalloc(rd->a, (count + 1) * sizeof(*rd->q->tools));
    yyjson_arr_foreach(tools, i, n, tool)
    {
        yyjson_arr_foreach(proto_get(tool, STR("functionDeclarations")), k, m, declaration)
        {
            TRY(read_declaration(rd, declaration, arena_printf(rd->a, "tools[%zu].function_declarations[%zu]", i, k)));
        }
    }
    return read_calling(rd);
}

/* --- generationConfig --- */

static err_t check_range(struct gemini_reader *rd, yyjson_val *config, const char *name, double min, double max)
{
    yyjson_val *v = proto_get(config, str_from_c(name));
    double x = yyjson_is_num(v) ? yyjson_get_num(v) : (double)proto_get_i64(config, str_from_c(name), 0);

    if (!v || (x >= min && x <= max))
        return OK;
    return gemini_refuse(rd,
                         "Unable to submit request because it has a %s value of %.10g but the supported range is from "
                         "%.10g (inclusive) to %.10g (inclusive).",
                         name, x, min, max);
}

static err_t check_ranges(struct gemini_reader *rd, yyjson_val *config)
{
    TRY(check_range(rd, config, "temperature", 0, 2));
    TRY(check_range(rd, config, "topP", 0, 1));
    TRY(check_range(rd, config, "topK", 1, 1000));
    TRY(check_range(rd, config, "candidateCount", 1, CANDIDATES_MAX));
    TRY(check_range(rd, config, "maxOutputTokens", 1, 1 << 30));
    TRY(check_range(rd, config, "presencePenalty", -2, 2));
    TRY(check_range(rd, config, "frequencyPenalty", -2, 2));
    return check_range(rd, config, "logprobs", 0, LOGPROBS_MAX);
}

static err_t read_thinking(struct gemini_reader *rd, yyjson_val *config)
{
    yyjson_val *thinking = proto_get(config, STR("thinkingConfig"));
    struct str level = proto_get_str(thinking, STR("thinkingLevel"), STR_NONE);
    bool has_budget = proto_get(thinking, STR("thinkingBudget")) != NULL;
    int64_t budget = proto_get_i64(thinking, STR("thinkingBudget"), -1);
    char lower[16] = "";

    if (level.p && has_budget)
        return gemini_refuse(rd, "You can only set only one of thinking budget and thinking level.");
    if (level.p && !rd->req->signs)
        return gemini_refuse(rd, "Thinking level is not supported for this model.");
    if (budget < -1 || budget > 32768)
        return gemini_refuse(rd,
                             "The thinking budget %lld is invalid. Please choose a value between 0 and 32768, or -1.",
                             (long long)budget);
    for (size_t i = 0; i < level.n && i < sizeof(lower) - 1; i++)
        lower[i] = ascii_lower(level.p[i]);
    if (level.p)
        rd->q->reasoning_tokens = question_effort_tokens(str_from_c(lower));
    else if (thinking && budget != 0)
        rd->q->reasoning_tokens = BUDGET_TOKENS;
    else if (!thinking && rd->req->signs)
        rd->q->reasoning_tokens = question_effort_tokens(STR("minimal"));
    rd->q->tells_thoughts = rd->req->shows_thoughts = proto_get_bool(thinking, STR("includeThoughts"));
    return OK;
}

static err_t read_format(struct gemini_reader *rd, yyjson_val *config)
{
    struct str type = proto_get_str(config, STR("responseMimeType"), STR("text/plain"));
    yyjson_val *schema = proto_get(config, STR("responseSchema"));
    yyjson_val *json_schema = proto_get(config, STR("responseJsonSchema"));
    bool json = str_eq(type, STR("application/json")), choice = str_eq(type, STR("text/x.enum"));

    if (!json && !choice && !str_eq(type, STR("text/plain")))
        return gemini_refuse(
            rd, "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are "
                "`text/plain`, `application/json`, `application/xml`, `application/yaml` and `text/x.enum`.");
    if (schema && json_schema)
        return gemini_refuse(rd, "* GenerateContentRequest.generation_config: response_schema and response_json_schema "
                                 "cannot both be set");
    if ((schema || json_schema) && !json && !choice)
        return gemini_refuse(rd, "* GenerateContentRequest.generation_config.response_schema: only allowed with "
                                 "response_mime_type `application/json` or `text/x.enum`.");
    if (choice && !proto_get(schema, STR("enum")) && !json_get(json_schema, STR("enum")))
        return gemini_refuse(rd,
                             "* GenerateContentRequest.generation_config.response_schema: `text/x.enum` needs a schema "
                             "of type STRING with enum.");
    rd->req->names_choice = choice;
    rd->q->format = schema || json_schema ? SIM_JSON_SCHEMA : json ? SIM_JSON_OBJECT : SIM_TEXT;
    rd->q->schema = json_schema;
    return schema ? gemini_read_schema(rd, schema, STR("generation_config.response_schema"), &rd->q->schema) : OK;
}

static err_t read_config(struct gemini_reader *rd)
{
    yyjson_val *config = proto_get(rd->root, STR("generationConfig"));
    yyjson_val *stops = proto_get(config, STR("stopSequences")), *count = proto_get(config, STR("logprobs"));

    TRY(check_ranges(rd, config));
    if (yyjson_arr_size(stops) > STOPS_MAX)
        return gemini_refuse(rd, "Unable to submit request because it has %zu stop sequences but the maximum is %d.",
                             yyjson_arr_size(stops), STOPS_MAX);
    question_set_stops(rd->a, rd->q, stops);
    rd->q->logprobs = proto_get_bool(config, STR("responseLogprobs"));
    if (count && !rd->q->logprobs)
        return gemini_refuse(rd, "logprobs can only be set if response_logprobs is true.");
    rd->q->top_logprobs = (unsigned)proto_get_i64(config, STR("logprobs"), 0);
    rd->q->n = (size_t)proto_get_i64(config, STR("candidateCount"), 1);
    rd->q->max_tokens = proto_get_i64(config, STR("maxOutputTokens"), -1);
    TRY(read_thinking(rd, config));
    return read_format(rd, config);
}

/* --- the request --- */

err_t gemini_parse(struct arena *a, struct str body, struct sim_refusal *r, yyjson_val **ret_root)
{
    err_t e = json_parse(a, body, NULL, 0, ret_root);

    if (e == E_TOO_LARGE)
        return refuse_status(a, r, 413, NULL, "Request payload size exceeds the limit.");
    if (e != OK)
        return refuse(a, r, NULL, STR_NONE, "Invalid JSON payload received. %s", err_detail(e));
    return yyjson_is_obj(*ret_root) ? OK
                                    : refuse(a, r, NULL, STR_NONE,
                                             "Invalid JSON payload received. Unknown name \"\": Root element must be a "
                                             "message.");
}

/* The body of countTokens may hold a whole request to generateContent, which names its model again. */
static err_t unwrap(struct gemini_reader *rd, struct str model)
{
    yyjson_val *inner = proto_get(rd->root, STR("generateContentRequest"));
    struct str named = proto_get_str(inner, STR("model"), STR(""));

    if (!inner)
        return OK;
    if (yyjson_obj_size(rd->root) > 1)
        return gemini_refuse(rd, "* CountTokensRequest: contents and generate_content_request cannot both be set.");
    if (str_starts(named, STR("models/")))
        named = str_slice(named, 7, named.n);
    if (!str_eq(named, model))
        return gemini_refuse(rd, "* CountTokensRequest.generate_content_request.model: must be models/%.*s",
                             STR_ARG(model));
    rd->root = inner;
    return OK;
}

static enum gemini_block block_of(struct str asked)
{
    if (str_find(asked, TRIGGER_PROMPT) < asked.n)
        return GEMINI_PROMPT_BLOCKED;
    return str_find(asked, TRIGGER_ANSWER) < asked.n ? GEMINI_ANSWER_BLOCKED : GEMINI_UNBLOCKED;
}

err_t gemini_read(struct arena *a, struct str body, struct str model, bool vertex, bool counts,
                  struct gemini_request *ret, struct sim_refusal *r)
{
    struct gemini_reader rd = {.a = a, .req = ret, .q = &ret->q, .r = r};

    *ret = (struct gemini_request){.vertex = vertex, .signs = str_find(model, STR("gemini-3")) < model.n};
    question_init(rd.q);
    ret->q.model = model;
    TRY(gemini_parse(a, body, r, &rd.root));
    if (counts)
        TRY(unwrap(&rd, model));
    TRY(proto_check(a, rd.root, STR(""), vertex ? &vertex_request_message : &gemini_request_message, r));
    if (proto_get(rd.root, STR("cachedContent")))
        return refuse_status(a, r, 403, NULL, "CachedContent not found (or permission denied)");
    TRY(read_tools(&rd));
    TRY(gemini_read_contents(&rd));
    TRY(read_config(&rd));
    ret->block = block_of(ret->q.asked);
    return OK;
}
