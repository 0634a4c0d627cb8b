/*
 * anthropic_read.c - requests to Claude's Messages API, checked as the service checks them, then brought into a question.
 *
 * Written from the documentation of the Messages API, versions 2023-06-01 and 2026-10-21; shares nothing with the gateway's translation.
 * Order of checks: version, members of the body by table, what members demand of each other, then tools, system and messages in the order in
 * which they make the prompt, because that is the order in which a prefix of it is cached.
 *
 * A field that the documentation does not name is refused, always: the service does so, and a translation that leaks a field of another
 * dialect must fail here.
 */
#include "base/utf8.h"
#include "codec/json.h"
#include "sim/anthropic_int.h"
#include "sim/hash.h"

/* Words in a question that ask for what a model does rarely. They are the beginnings of Anthropic's own test strings. */
#define TRIGGER_REFUSAL STR("ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL")
#define TRIGGER_REDACTED STR("ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING")

enum { TOOL_NAME_MAX = 128, BUDGET_MIN = 1024, SCHEMA_DEPTH_MAX = 64 };

/* --- words --- */

static const char *kind_name(enum field_kind kind)
{
    switch (kind) {
    case FIELD_STRING:
    case FIELD_ENUM:
        return "string";
    case FIELD_BOOL:
        return "boolean";
    case FIELD_INT:
        return "integer";
    case FIELD_NUMBER:
        return "number";
    case FIELD_ARRAY:
        return "list";
    case FIELD_OBJECT:
    case FIELD_ANY:
        break;
    }
    return "dictionary";
}

static err_t refuse_choice(struct anthropic_reader *rd, struct str where, const char *const *choices)
{
    struct str list = STR("");

    for (size_t i = 0; choices[i]; i++)
        list = arena_printf(rd->a, "%.*s%s'%s'", STR_ARG(list),
                            i == 0           ? ""
                            : choices[i + 1] ? ", "
                                             : " or ",
                            choices[i]);
    return anthropic_refuse(rd, "%.*s: Input should be %.*s", STR_ARG(where), STR_ARG(list));
}

static err_t refuse_range(struct anthropic_reader *rd, struct str where, const struct field_fault *f)
{
    const struct field_rule *rule = f->rule;

    switch (rule->kind) {
    case FIELD_INT:
    case FIELD_NUMBER:
        if (yyjson_get_num(f->value) < rule->min)
            return anthropic_refuse(rd, "%.*s: Input should be greater than or equal to %.10g", STR_ARG(where),
                                    rule->min);
        return anthropic_refuse(rd, "%.*s: Input should be less than or equal to %.10g", STR_ARG(where), rule->max);
    case FIELD_STRING:
        return anthropic_refuse(rd, "%.*s: String should have between %.10g and %.10g characters", STR_ARG(where),
                                rule->min, rule->max);
    case FIELD_ARRAY:
        return anthropic_refuse(rd, "%.*s: List should have between %.10g and %.10g items", STR_ARG(where), rule->min,
                                rule->max);
    case FIELD_OBJECT:
    case FIELD_ANY:
    case FIELD_BOOL:
    case FIELD_ENUM:
        break;
    }
    return anthropic_refuse(rd, "%.*s: Input is out of range", STR_ARG(where));
}

err_t anthropic_check(struct anthropic_reader *rd, yyjson_val *obj, struct str path, const struct field_rule *rules,
                      size_t count)
{
    struct field_fault f = fields_fault(obj, rules, count, true);

    if (!yyjson_is_obj(obj))
        return anthropic_refuse(rd, "%.*s: Input should be a valid dictionary", STR_ARG(path));
    if (f.kind == FIELD_GOOD)
        return OK;
    struct str where = field_path(rd->a, path, f.name.p);
    switch (f.kind) {
    case FIELD_GOOD:
        break;
    case FIELD_MISSING:
        return anthropic_refuse(rd, "%.*s: Field required", STR_ARG(where));
    case FIELD_UNKNOWN:
        return anthropic_refuse(rd, "%.*s: Extra inputs are not permitted", STR_ARG(where));
    case FIELD_WRONG_TYPE:
        return anthropic_refuse(rd, "%.*s: Input should be a valid %s", STR_ARG(where), kind_name(f.rule->kind));
    case FIELD_WRONG_CHOICE:
        return refuse_choice(rd, where, f.rule->choices);
    case FIELD_OUT_OF_RANGE:
        return refuse_range(rd, where, &f);
    }
    return OK;
}

bool anthropic_is_word(struct str s, size_t max)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return s.n >= 1 && s.n <= max;
}

/* --- cache points --- */

static err_t read_cache_control(struct anthropic_reader *rd, yyjson_val *control, struct str path)
{
    static const char *const types[] = {"ephemeral", NULL}, *const lives[] = {"5m", "1h", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types, .required = true},
        {.name = STR_INIT("ttl"), .kind = FIELD_ENUM, .choices = lives}};
    struct anthropic_request *req = rd->req;
    bool hour = str_eq(json_get_str(control, STR("ttl"), STR("")), STR("1h"));

    path = field_path(rd->a, path, "cache_control");
    TRY(anthropic_check(rd, control, path, rules, ARRAY_LEN(rules)));
    if (rd->saw_short && hour)
        return anthropic_refuse(
            rd, "%.*s.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block.",
            STR_ARG(path));
    rd->saw_short |= !hour;
    if (rd->point_count++ >= CACHE_POINTS_MAX)
        return OK; /* counted, and refused at the end */
    struct cache_point *p = &req->points[req->point_count++];
    p->hour = hour;
    p->count = rd->cut_count;
    memcpy(p->cuts, rd->cuts, rd->cut_count * sizeof(*p->cuts));
    return OK;
}

err_t anthropic_cut(struct anthropic_reader *rd, yyjson_val *holder, struct str path)
{
    yyjson_val *control = json_get(holder, STR("cache_control"));

    if (rd->cut_count == CACHE_LOOKBACK)
        memmove(rd->cuts, rd->cuts + 1, --rd->cut_count * sizeof(*rd->cuts));
    rd->cuts[rd->cut_count++] = (struct cache_cut){rd->q->hash, rd->q->prompt_tokens};
    return control && !yyjson_is_null(control) ? read_cache_control(rd, control, path) : OK;
}

/* Behind the last block: cache_control at the top means that one, and there may be only so many. */
static err_t end_cache_points(struct anthropic_reader *rd)
{
    yyjson_val *control = json_get(rd->root, STR("cache_control"));

    if (control && !yyjson_is_null(control))
        TRY(read_cache_control(rd, control, STR("")));
    if (rd->point_count <= CACHE_POINTS_MAX)
        return OK;
    return anthropic_refuse(rd, "A maximum of %d blocks with cache_control may be provided. Found %zu.",
                            CACHE_POINTS_MAX, rd->point_count);
}

/* --- the body --- */

static const char *const tiers[] = {"auto", "standard_only", NULL};
static const char *const speeds[] = {"standard", "fast", NULL};

/* clang-format off */
#define SHARED_RULES                                                                                                   \
    {.name = STR_INIT("messages"), .kind = FIELD_ARRAY, .min = 1, .max = 100000, .required = true},                    \
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 256},                                           \
    {.name = STR_INIT("system"), .kind = FIELD_ANY},                                                                   \
    {.name = STR_INIT("tools"), .kind = FIELD_ARRAY},                                                                  \
    {.name = STR_INIT("tool_choice"), .kind = FIELD_OBJECT},                                                           \
    {.name = STR_INIT("thinking"), .kind = FIELD_OBJECT},                                                              \
    {.name = STR_INIT("output_config"), .kind = FIELD_OBJECT},                                                         \
    {.name = STR_INIT("cache_control"), .kind = FIELD_OBJECT},                                                         \
    {.name = STR_INIT("speed"), .kind = FIELD_ENUM, .choices = speeds},                                                \
    {.name = STR_INIT("mcp_servers"), .kind = FIELD_ARRAY},                                                            \
    {.name = STR_INIT("context_management"), .kind = FIELD_OBJECT},                                                    \
    {.name = STR_INIT("anthropic_version"), .kind = FIELD_STRING},                                                     \
    {.name = STR_INIT("anthropic_beta"), .kind = FIELD_ARRAY}
/* clang-format on */

static const struct field_rule count_rules[] = {SHARED_RULES};
static const struct field_rule message_rules[] = {
    SHARED_RULES,
    {.name = STR_INIT("max_tokens"), .kind = FIELD_INT, .min = 0, .max = 1 << 30, .required = true},
    {.name = STR_INIT("stop_sequences"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("temperature"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("top_p"), .kind = FIELD_NUMBER, .min = 0, .max = 1},
    {.name = STR_INIT("top_k"), .kind = FIELD_INT, .min = 0, .max = 1 << 30},
    {.name = STR_INIT("metadata"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("service_tier"), .kind = FIELD_ENUM, .choices = tiers},
    {.name = STR_INIT("container"), .kind = FIELD_ANY},
    {.name = STR_INIT("inference_geo"), .kind = FIELD_STRING},
    {.name = STR_INIT("fallbacks"), .kind = FIELD_ARRAY},
    {.name = STR_INIT("diagnostics"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("thread"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("stream"), .kind = FIELD_BOOL},
};

static err_t bar(struct anthropic_reader *rd, const char *name)
{
    yyjson_val *v = json_get(rd->root, str_from_c(name));

    return v ? anthropic_refuse(rd, "%s: Extra inputs are not permitted", name) : OK;
}

/* What a host takes out of the body, and what it puts in instead. */
static err_t read_hosting(struct anthropic_reader *rd, const struct anthropic_host *host)
{
    struct str version = json_get_str(rd->root, STR("anthropic_version"), STR_NONE);

    if (host->bars_stream)
        TRY(bar(rd, "stream"));
    if (host->model.p) {
        TRY(bar(rd, "model"));
        rd->q->model = host->model;
    } else {
        rd->q->model = json_get_str(rd->root, STR("model"), STR_NONE);
        if (!rd->q->model.p)
            return anthropic_refuse(rd, "model: Field required");
    }
    if (!host->version.p) {
        TRY(bar(rd, "anthropic_version"));
        return bar(rd, "anthropic_beta");
    }
    if (!version.p)
        return anthropic_refuse(rd, "anthropic_version: Field required");
    rd->newest = rd->req->newest = str_eq(version, ANTHROPIC_2026);
    if (!rd->newest && !str_eq(version, host->version))
        return anthropic_refuse(rd, "anthropic_version: \"%.*s\" is not a valid version for this API; use \"%.*s\"",
                                STR_ARG(version), STR_ARG(host->version));
    return OK;
}

static err_t read_version(struct anthropic_reader *rd, const struct anthropic_host *host, struct str header)
{
    if (host->version.p)
        return OK; /* the body says it */
    rd->newest = rd->req->newest = str_eq(header, ANTHROPIC_2026);
    if (rd->newest || str_eq(header, ANTHROPIC_2023))
        return OK;
    if (header.n == 0)
        return anthropic_refuse(rd, "anthropic-version: header is required");
    return anthropic_refuse(rd, "anthropic-version: \"%.*s\" is not a valid version", STR_ARG(header));
}

/* Conversations are not kept here. Clients that hear this code send them whole. */
static err_t check_thread(struct anthropic_reader *rd)
{
    if (!yyjson_is_obj(json_get(rd->root, STR("thread"))))
        return OK;
    return refuse(rd->a, rd->r, "thread_unsupported_request", STR_NONE, "thread: conversations are not kept here");
}

/* What the two versions differ in. */
static err_t check_version_fields(struct anthropic_reader *rd)
{
    if (!rd->newest)
        return bar(rd, "diagnostics");
    TRY(bar(rd, "temperature"));
    TRY(bar(rd, "top_p"));
    return bar(rd, "top_k");
}

static err_t read_metadata(struct anthropic_reader *rd)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("user_id"), .kind = FIELD_STRING, .min = 0, .max = 256}};
    yyjson_val *metadata = json_get(rd->root, STR("metadata"));

    return yyjson_is_obj(metadata) ? anthropic_check(rd, metadata, STR("metadata"), rules, ARRAY_LEN(rules)) : OK;
}

static err_t read_stops(struct anthropic_reader *rd)
{
    yyjson_val *stops = json_get(rd->root, STR("stop_sequences")), *stop;
    size_t i, n;

    yyjson_arr_foreach(stops, i, n, stop)
    {
        if (!yyjson_is_str(stop))
            return anthropic_refuse(rd, "stop_sequences.%zu: Input should be a valid string", i);
        if (str_trim(json_text(stop)).n == 0 || str_eq(json_text(stop), STR("\n")))
            return anthropic_refuse(rd, "stop_sequences: each stop sequence must contain non-whitespace");
    }
    question_set_stops(rd->a, rd->q, stops);
    return OK;
}

/* --- thinking and output --- */

static err_t read_budget(struct anthropic_reader *rd, yyjson_val *thinking)
{
    static const char *const types[] = {"enabled", NULL}, *const displays[] = {"summarized", "omitted", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types},
        {.name = STR_INIT("budget_tokens"), .kind = FIELD_INT, .min = BUDGET_MIN, .max = 1 << 30, .required = true},
        {.name = STR_INIT("display"), .kind = FIELD_ENUM, .choices = displays}};

    TRY(anthropic_check(rd, thinking, STR("thinking.enabled"), rules, ARRAY_LEN(rules)));
    rd->budgeted = true;
    int64_t max = json_get_i64(rd->root, STR("max_tokens"), INT64_MAX);
    if (json_get_i64(thinking, STR("budget_tokens"), 0) >= max)
        return anthropic_refuse(rd, "`max_tokens` must be greater than `thinking.budget_tokens`.");
    return OK;
}

/* What is not allowed beside thinking. */
static err_t check_beside_thinking(struct anthropic_reader *rd)
{
    struct str choice = json_get_str(json_get(rd->root, STR("tool_choice")), STR("type"), STR(""));
    yyjson_val *k = json_get(rd->root, STR("top_k"));

    if (json_get_double(rd->root, STR("temperature"), 1) != 1)
        return anthropic_refuse(rd, "`temperature` may only be set to 1 when thinking is enabled.");
    if (k && !yyjson_is_null(k))
        return anthropic_refuse(rd, "`top_k` must be unset when thinking is enabled.");
    if (json_get_double(rd->root, STR("top_p"), 1) < 0.95)
        return anthropic_refuse(rd, "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.");
    if (str_eq(choice, STR("any")) || str_eq(choice, STR("tool")))
        return anthropic_refuse(rd, "Thinking may not be enabled when tool_choice forces tool use.");
    return OK;
}

static err_t read_thinking(struct anthropic_reader *rd)
{
    static const char *const displays[] = {"summarized", "omitted", NULL};
    static const struct field_rule rules[] = {{.name = STR_INIT("type"), .kind = FIELD_STRING},
                                              {.name = STR_INIT("display"), .kind = FIELD_ENUM, .choices = displays}};
    yyjson_val *thinking = json_get(rd->root, STR("thinking"));
    struct str type = json_get_str(thinking, STR("type"), STR_NONE);
    bool disabled = str_eq(type, STR("disabled")), adaptive = str_eq(type, STR("adaptive"));

    if (!yyjson_is_obj(thinking))
        return OK;
    if (!type.p)
        return anthropic_refuse(rd, "thinking.type: Field required");
    if (str_eq(type, STR("enabled")))
        TRY(read_budget(rd, thinking));
    else if (disabled || adaptive || (rd->newest && str_eq(type, STR("between_tools"))))
        TRY(anthropic_check(rd, thinking, field_path(rd->a, STR("thinking"), type.p), rules, adaptive ? 2 : 1));
    else
        return anthropic_refuse(
            rd, "thinking: Input tag '%.*s' found using 'type' does not match any of the expected tags", STR_ARG(type));
    if (disabled)
        return OK;
    rd->req->thinks = true;
    rd->req->hides = str_eq(json_get_str(thinking, STR("display"), STR("")), STR("omitted"));
    return check_beside_thinking(rd);
}

/* Objects in a schema for an answer must be closed. */
static err_t check_closed(struct anthropic_reader *rd, yyjson_val *schema, unsigned depth)
{
    yyjson_val *key, *value, *extra = json_get(schema, STR("additionalProperties"));
    size_t i, n;

    if (depth == SCHEMA_DEPTH_MAX)
        return anthropic_refuse(rd, "output_config.format.schema: the schema is nested too deeply");
    if (str_eq(json_get_str(schema, STR("type"), STR("")), STR("object")) && !yyjson_is_false(extra))
        return anthropic_refuse(rd, "output_config.format.schema: For 'object' type, 'additionalProperties' must be "
                                    "explicitly set to false");
    yyjson_obj_foreach(schema, i, n, key, value)
    {
        if (!str_eq(json_text(key), STR("enum")) && !str_eq(json_text(key), STR("const")))
            TRY(check_closed(rd, value, depth + 1));
    }
    yyjson_arr_foreach(schema, i, n, value)
    {
        TRY(check_closed(rd, value, depth + 1));
    }
    return OK;
}

static err_t read_format(struct anthropic_reader *rd, yyjson_val *format)
{
    static const char *const types[] = {"json_schema", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types, .required = true},
        {.name = STR_INIT("schema"), .kind = FIELD_OBJECT, .required = true}};

    TRY(anthropic_check(rd, format, STR("output_config.format"), rules, ARRAY_LEN(rules)));
    rd->q->format = SIM_JSON_SCHEMA;
    rd->q->schema = json_get(format, STR("schema"));
    return check_closed(rd, rd->q->schema, 0);
}

static err_t read_output(struct anthropic_reader *rd)
{
    static const char *const efforts[] = {"low", "medium", "high", "xhigh", "max", NULL};
    static const struct field_rule rules[] = {{.name = STR_INIT("effort"), .kind = FIELD_ENUM, .choices = efforts},
                                              {.name = STR_INIT("format"), .kind = FIELD_OBJECT}};
    yyjson_val *config = json_get(rd->root, STR("output_config")), *format = json_get(config, STR("format"));

    if (yyjson_is_obj(config))
        TRY(anthropic_check(rd, config, STR("output_config"), rules, ARRAY_LEN(rules)));
    if (rd->req->thinks) {
        rd->q->reasoning_tokens = question_effort_tokens(json_get_str(config, STR("effort"), STR("high")));
        rd->q->tells_thoughts = true;
    }
    return yyjson_is_obj(format) ? read_format(rd, format) : OK;
}

/* --- tools --- */

static err_t check_input_schema(struct anthropic_reader *rd, yyjson_val *schema, struct str path)
{
    static const struct str barred[] = {STR_INIT("oneOf"), STR_INIT("allOf"), STR_INIT("anyOf")};
    struct str type = json_get_str(schema, STR("type"), STR_NONE);

    if (!type.p)
        return anthropic_refuse(rd, "%.*s.input_schema.type: Field required", STR_ARG(path));
    if (!str_eq(type, STR("object")))
        return anthropic_refuse(rd, "%.*s.input_schema.type: Input should be 'object'", STR_ARG(path));
    for (size_t i = 0; i < ARRAY_LEN(barred); i++)
        if (json_get(schema, barred[i]))
            return anthropic_refuse(
                rd, "%.*s.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level",
                STR_ARG(path));
    return OK;
}

static err_t read_custom_tool(struct anthropic_reader *rd, yyjson_val *tool, struct str path, struct sim_tool *to)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .required = true},
        {.name = STR_INIT("input_schema"), .kind = FIELD_OBJECT, .required = true},
        {.name = STR_INIT("description"), .kind = FIELD_STRING},
        {.name = STR_INIT("type"), .kind = FIELD_STRING},
        {.name = STR_INIT("cache_control"), .kind = FIELD_OBJECT},
        {.name = STR_INIT("strict"), .kind = FIELD_BOOL},
        {.name = STR_INIT("defer_loading"), .kind = FIELD_BOOL},
        {.name = STR_INIT("eager_input_streaming"), .kind = FIELD_BOOL},
        {.name = STR_INIT("input_examples"), .kind = FIELD_ARRAY},
        {.name = STR_INIT("allowed_callers"), .kind = FIELD_ARRAY},
    };

    TRY(anthropic_check(rd, tool, path, rules, ARRAY_LEN(rules)));
    to->name = json_get_str(tool, STR("name"), STR(""));
    to->parameters = json_get(tool, STR("input_schema"));
    if (!anthropic_is_word(to->name, TOOL_NAME_MAX))
        return anthropic_refuse(rd, "%.*s.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", STR_ARG(path));
    TRY(check_input_schema(rd, to->parameters, path));
    question_add_text(rd->q, to->name);
    question_add_text(rd->q, json_get_str(tool, STR("description"), STR("")));
    return question_add_tools(rd->a, rd->q, to->parameters);
}

/* One that the service runs itself: web_search_20250305 and so on. The simulator calls none of them. */
static err_t read_server_tool(struct anthropic_reader *rd, yyjson_val *tool, struct str path, struct sim_tool *to)
{
    static const struct str families[] = {
        STR_INIT("web_search_"), STR_INIT("web_fetch_"),   STR_INIT("code_execution_"),
        STR_INIT("bash_"),       STR_INIT("text_editor_"), STR_INIT("memory_"),
        STR_INIT("computer_"),   STR_INIT("tool_search_"), STR_INIT("mcp_toolset")};
    struct str type = json_get_str(tool, STR("type"), STR(""));

    to->name = json_get_str(tool, STR("name"), STR(""));
    to->barred = true;
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (str_starts(type, families[i]))
            return question_add_tools(rd->a, rd->q, tool);
    return anthropic_refuse(rd, "%.*s: Input tag '%.*s' found using 'type' does not match any of the expected tags",
                            STR_ARG(path), STR_ARG(type));
}

static err_t read_tools(struct anthropic_reader *rd)
{
    yyjson_val *tools = json_get(rd->root, STR("tools")), *tool;
    size_t i, n;

    rd->q->tools = arena_zalloc(rd->a, (1 + yyjson_arr_size(tools)) * sizeof(*rd->q->tools));
    yyjson_arr_foreach(tools, i, n, tool)
    {
        struct str type = json_get_str(tool, STR("type"), STR("custom"));
        bool custom = str_eq(type, STR("custom"));
        struct str path = arena_printf(rd->a, custom ? "tools.%zu.custom" : "tools.%zu", i);
        struct sim_tool *to = &rd->q->tools[i];
        TRY(custom ? read_custom_tool(rd, tool, path, to) : read_server_tool(rd, tool, path, to));
        for (size_t k = 0; k < i; k++)
            if (str_eq(rd->q->tools[k].name, to->name))
                return anthropic_refuse(rd, "tools: Tool names must be unique.");
        rd->q->tool_count++;
        TRY(anthropic_cut(rd, tool, path));
    }
    return OK;
}

static err_t read_tool_choice(struct anthropic_reader *rd)
{
    static const char *const types[] = {"auto", "any", "tool", "none", NULL};
    static const struct field_rule rules[] = {
        {.name = STR_INIT("type"), .kind = FIELD_ENUM, .choices = types, .required = true},
        {.name = STR_INIT("disable_parallel_tool_use"), .kind = FIELD_BOOL},
        {.name = STR_INIT("name"), .kind = FIELD_STRING, .required = true}};
    yyjson_val *choice = json_get(rd->root, STR("tool_choice"));
    struct str type = json_get_str(choice, STR("type"), STR(""));
    bool named = str_eq(type, STR("tool")), none = str_eq(type, STR("none"));

    rd->q->tool_choice = SIM_TOOL_AUTO;
    if (!yyjson_is_obj(choice))
        return OK;
    TRY(anthropic_check(rd, choice, STR("tool_choice"), rules, named ? 3 : none ? 1 : 2));
    if (rd->q->tool_count == 0)
        return anthropic_refuse(rd, "tool_choice: may only be specified while providing tools");
    rd->q->tool_choice = named ? SIM_TOOL_NAMED : none ? SIM_TOOL_NONE : SIM_TOOL_AUTO;
    if (str_eq(type, STR("any")))
        rd->q->tool_choice = SIM_TOOL_REQUIRED;
    rd->q->tool_named = json_get_str(choice, STR("name"), STR_NONE);
    rd->q->parallel = !json_get_bool(choice, STR("disable_parallel_tool_use"), false);
    for (size_t i = 0; named && i < rd->q->tool_count; i++)
        if (str_eq(rd->q->tools[i].name, rd->q->tool_named))
            return OK;
    return named ? anthropic_refuse(rd, "tool_choice: Tool '%.*s' not found in provided tools",
                                    STR_ARG(rd->q->tool_named))
                 : OK;
}

static err_t parse(struct anthropic_reader *rd, struct str body)
{
    err_t e = json_parse(rd->a, body, NULL, 0, &rd->root);

    if (e == E_TOO_LARGE)
        return refuse_status(rd->a, rd->r, 413, NULL, "Request exceeds the maximum size");
    if (e != OK)
        return anthropic_refuse(rd, "The request body is not valid JSON: %s", err_detail(e));
    return yyjson_is_obj(rd->root) ? OK : anthropic_refuse(rd, "Input should be a valid dictionary");
}

static bool has_word(struct str text, struct str word)
{
    return str_find(text, word) < text.n;
}

err_t anthropic_read(struct arena *a, struct str body, const struct anthropic_host *host, struct str header_version,
                     struct anthropic_request *ret, struct sim_refusal *r)
{
    struct anthropic_reader *rd = arena_new(a, struct anthropic_reader);

    *ret = (struct anthropic_request){0};
    *rd = (struct anthropic_reader){.a = a, .q = &ret->q, .req = ret, .r = r, .naked = STR("")};
    question_init(rd->q);
    TRY(read_version(rd, host, header_version));
    TRY(parse(rd, body));
    TRY(host->counts ? anthropic_check(rd, rd->root, STR(""), count_rules, ARRAY_LEN(count_rules))
                     : anthropic_check(rd, rd->root, STR(""), message_rules, ARRAY_LEN(message_rules)));
    TRY(read_hosting(rd, host));
    TRY(check_version_fields(rd));
    TRY(check_thread(rd));
    TRY(read_metadata(rd));
    TRY(read_stops(rd));
    TRY(read_thinking(rd));
    TRY(read_output(rd));
    TRY(read_tools(rd));
    TRY(read_tool_choice(rd));
    TRY(anthropic_read_system(rd));
    TRY(anthropic_read_messages(rd));
    TRY(end_cache_points(rd));
    rd->q->max_tokens = json_get_i64(rd->root, STR("max_tokens"), -1);
    rd->q->stream = host->stream || json_get_bool(rd->root, STR("stream"), false);
    ret->declines = has_word(rd->q->asked, TRIGGER_REFUSAL);
    ret->redacts = has_word(rd->q->asked, TRIGGER_REDACTED);
    return OK;
}
