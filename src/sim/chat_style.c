/*
 * chat_style.c - requests of OpenAI's look-alikes, and their errors.
 *
 * The request is read twice: by OpenAI's reader, which knows what all have in common, then here for what this server does not take or
 * knows more. Nobody measures load against these, so a second tree is no cost.
 */
#include "sim/chat_style.h"

#include "codec/json.h"
#include "sim/chat_read.h"

/* --- reading --- */

static bool is_listed(const char *const *list, struct str name)
{
    for (size_t i = 0; list && list[i]; i++)
        if (str_eq(name, str_from_c(list[i])))
            return true;
    return false;
}

static bool is_own(const struct chat_style *s, struct str name)
{
    for (size_t i = 0; i < s->own_count; i++)
        if (str_eq(s->own[i].name, name))
            return true;
    return false;
}

static bool is_refused(const struct chat_style *s, struct str name)
{
    if (s->max_tokens_only && str_eq(name, STR("max_completion_tokens")))
        return true;
    return is_listed(s->refused, name) || str_eq(name, STR("functions")) || str_eq(name, STR("function_call"));
}

static err_t check_fields(const struct chat_style *s, struct arena *a, yyjson_val *root, struct sim_refusal *r)
{
    yyjson_val *key, *value;
    size_t i, n;

    yyjson_obj_foreach(root, i, n, key, value)
    {
        struct str name = json_text(key);
        if (is_own(s, name) || yyjson_is_null(value))
            continue;
        if (is_refused(s, name))
            return refuse(a, r, "unsupported_parameter", name, "'%.*s' is not supported.", STR_ARG(name));
        if (s->strict && !chat_knows_field(name))
            return refuse(a, r, "unknown_parameter", name, "Extra inputs are not permitted, field: '%.*s'.",
                          STR_ARG(name));
    }
    return fields_check(a, root, STR(""), s->own, s->own_count, false, r);
}

static err_t check_tools(struct arena *a, const struct question *q, struct sim_refusal *r)
{
    for (size_t i = 0; i < q->tool_count; i++)
        if (q->tools[i].custom)
            return refuse(a, r, "invalid_value", arena_printf(a, "tools[%zu].type", i),
                          "Only tools of type 'function' are supported.");
    return OK;
}

/* The body as OpenAI's reader shall see it. */
static err_t common_body(const struct chat_style *s, struct arena *a, struct str body, yyjson_val *root,
                         struct str *ret)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(2 * body.n + 64);
    yyjson_val *key, *value;
    size_t i, n;

    *ret = body;
    if (!s->unread && !s->model)
        return OK;
    buf_add_char(&text, '{');
    if (s->model && !yyjson_is_str(json_get(root, STR("model"))))
        buf_addf(&text, "\"model\":\"%s\"", s->model);
    yyjson_obj_foreach(root, i, n, key, value)
    {
        if (is_listed(s->unread, json_text(key)))
            continue;
        buf_add(&text, text.n > 1 ? STR(",") : STR(""));
        TRY(json_write(&text, a, key));
        buf_add_char(&text, ':');
        TRY(json_write(&text, a, value));
    }
    buf_add_char(&text, '}');
    *ret = arena_str(a, buf_str(&text));
    return buf_status(&text);
}

err_t style_read(const struct chat_style *s, struct arena *a, struct str body, struct question *ret,
                 struct sim_refusal *r)
{
    yyjson_val *root;

    TRY(fields_parse(a, body, r, &root));
    TRY(check_fields(s, a, root, r));
    TRY(common_body(s, a, body, root, &body));
    TRY(chat_read(a, body, false, ret, r));
    TRY(check_tools(a, ret, r));
    ret->tells_thoughts = s->thought != STYLE_THOUGHT_HIDDEN;
    return s->check ? s->check(a, root, ret, r) : OK;
}

/* --- errors --- */

static void add_member(struct buf *to, const char *name, struct str value)
{
    buf_addf(to, ",\"%s\":", name);
    if (!value.p) {
        buf_add_lit(to, "null");
        return;
    }
    buf_add_char(to, '"');
    buf_add_json(to, value);
    buf_add_char(to, '"');
}

/* message, type, param, and the status as code. */
static void write_plain_members(const struct sim_refusal *why, const char *type, struct buf *to)
{
    buf_add_lit(to, "\"message\":\"");
    buf_add_json(to, why->message);
    buf_add_char(to, '"');
    add_member(to, "type", str_from_c(type));
    add_member(to, "param", why->param);
    buf_addf(to, ",\"code\":%d", why->status);
}

/* The class of exception that servers written in Python name. */
static const char *exception_type(int status)
{
    switch (status) {
    case 401:
        return "AuthenticationError";
    case 404:
        return "NotFoundError";
    case 429:
        return "RateLimitError";
    default:
        return status >= 500 ? "InternalServerError" : "BadRequestError";
    }
}

static const char *azure_code(const struct sim_refusal *why)
{
    if (why->code && strcmp(why->code, "model_not_found") == 0)
        return "DeploymentNotFound";
    if (why->status == 401)
        return "401";
    if (why->status == 429)
        return "429";
    if (why->code)
        return why->code;
    return why->status >= 500 ? "InternalServerError" : "BadRequest";
}

/* Azure says which filters struck where it blocked a prompt. */
static void write_azure_error(const struct sim_refusal *why, struct buf *to)
{
    bool filtered = why->code && strcmp(why->code, "content_filter") == 0;

    buf_addf(to, "{\"error\":{\"code\":\"%s\",\"message\":\"", azure_code(why));
    buf_add_json(to, why->message);
    buf_add_char(to, '"');
    if (why->param.p)
        add_member(to, "param", why->param);
    if (filtered)
        buf_add_lit(to, ",\"param\":\"prompt\",\"type\":null,\"status\":400,\"innererror\":{\"code\":"
                        "\"ResponsibleAIPolicyViolation\",\"content_filter_result\":{\"hate\":{\"filtered\":true,"
                        "\"severity\":\"high\"},\"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},\"sexual\":{"
                        "\"filtered\":false,\"severity\":\"safe\"},\"violence\":{\"filtered\":false,\"severity\":"
                        "\"safe\"},\"jailbreak\":{\"filtered\":false,\"detected\":false}}}");
    buf_add_lit(to, "}}");
}

void style_write_error(enum style_error form, const struct sim_refusal *why, struct buf *to)
{
    switch (form) {
    case STYLE_ERROR_OPENAI:
        refusal_write(to, why);
        return;
    case STYLE_ERROR_INT_CODE:
        buf_add_lit(to, "{\"error\":{");
        write_plain_members(why, exception_type(why->status), to);
        buf_add_lit(to, "}}");
        return;
    case STYLE_ERROR_FLAT:
        buf_add_lit(to, "{\"object\":\"error\",");
        write_plain_members(why, exception_type(why->status), to);
        buf_add_char(to, '}');
        return;
    case STYLE_ERROR_TEXT:
        buf_add_lit(to, "{\"error\":\"");
        buf_add_json(to, why->message);
        buf_add_lit(to, "\"}");
        return;
    case STYLE_ERROR_OPENROUTER:
        buf_add_lit(to, "{\"error\":{\"message\":\"");
        buf_add_json(to, why->message);
        buf_addf(to, "\",\"code\":%d},\"user_id\":\"user_simulated\"}", why->status);
        return;
    case STYLE_ERROR_PROBLEM:
        buf_add_lit(to, "{\"type\":\"about:blank\",\"title\":\"");
        buf_add(to, str_from_c(exception_type(why->status)));
        buf_addf(to, "\",\"status\":%d,\"detail\":\"", why->status);
        buf_add_json(to, why->message);
        buf_add_lit(to, "\"}");
        return;
    case STYLE_ERROR_AZURE:
        write_azure_error(why, to);
        return;
    }
}
