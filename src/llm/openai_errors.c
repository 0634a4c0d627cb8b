/*
 * openai_errors.c - errors of the OpenAI family: what a provider's mean, and a client's own with type and code for their class; and models.
 *
 * Providers that speak this API answer failures in a dozen shapes: OpenAI's object, the same without its wrapper, a string, FastAPI's "detail", codes that are
 * numbers, HTML of a proxy in between. The class comes from the code if it says one, else from the status, else from the words, which is how context
 * overflows of most servers must be recognised.
 */
#include "llm/openai_error.h"
#include "llm/openai_int.h"

#include <stdlib.h>

/* --- a provider's --- */

struct named_class {
    struct str name;
    enum error_class error_class;
};

static const struct named_class codes[] = {
    {STR_INIT("context_length_exceeded"), ERROR_CONTEXT_LENGTH},
    {STR_INIT("content_filter"), ERROR_CONTENT_POLICY},
    {STR_INIT("content_policy_violation"), ERROR_CONTENT_POLICY},
    {STR_INIT("ResponsibleAIPolicyViolation"), ERROR_CONTENT_POLICY},
    {STR_INIT("invalid_prompt"), ERROR_CONTENT_POLICY},
    {STR_INIT("invalid_api_key"), ERROR_AUTH},
    {STR_INIT("authentication_error"), ERROR_AUTH},
    {STR_INIT("insufficient_quota"), ERROR_QUOTA},
    {STR_INIT("billing_hard_limit_reached"), ERROR_QUOTA},
    {STR_INIT("permission_denied"), ERROR_FORBIDDEN},
    {STR_INIT("permission_error"), ERROR_FORBIDDEN},
    {STR_INIT("model_not_found"), ERROR_NOT_FOUND},
    {STR_INIT("not_found_error"), ERROR_NOT_FOUND},
    {STR_INIT("DeploymentNotFound"), ERROR_NOT_FOUND},
    {STR_INIT("rate_limit_exceeded"), ERROR_RATE_LIMIT},
    {STR_INIT("rate_limit_error"), ERROR_RATE_LIMIT},
    {STR_INIT("overloaded_error"), ERROR_OVERLOADED},
    {STR_INIT("invalid_request_error"), ERROR_BAD_REQUEST},
    {STR_INIT("BadRequestError"), ERROR_BAD_REQUEST},
    {STR_INIT("server_error"), ERROR_UPSTREAM},
};

/* Words by which servers without a code for it say that the prompt is too long. */
static const struct str too_long[] = {
    STR_INIT("maximum context length"), STR_INIT("context length"),     STR_INIT("context window"),
    STR_INIT("context size"),           STR_INIT("prompt is too long"), STR_INIT("too many tokens"),
    STR_INIT("too large for model"),    STR_INIT("input is too long"),
};

static enum error_class class_of_name(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (str_eq(name, codes[i].name))
            return codes[i].error_class;
    return ERROR_BY_STATUS;
}

static bool says_too_long(struct str message)
{
    for (size_t i = 0; i < ARRAY_LEN(too_long); i++)
        if (str_find(message, too_long[i]) < message.n)
            return true;
    return false;
}

/* A code is a string, or the HTTP status as a number or as digits. */
static enum error_class class_of_code(struct json_node code, struct arena *arena, int *status)
{
    struct str text = json_node_is(code, JSON_NUMBER) ? json_node_raw(code) : json_node_text(code, arena);
    uint64_t number;

    if (!str_to_u64(text, 599, &number))
        return class_of_name(text);
    if (number < 400)
        return ERROR_BY_STATUS;
    if (!*status)
        *status = (int)number;
    return error_class_of_status((int)number);
}

/* The words: a string, or in "message", "msg", "detail", which may be a list of such. */
static struct str message_of(struct json_node v, struct arena *arena, unsigned depth)
{
    static const struct str keys[] = {STR_INIT("message"), STR_INIT("msg"),        STR_INIT("detail"),
                                      STR_INIT("error"),   STR_INIT("errors"),     STR_INIT("error_description"),
                                      STR_INIT("Message"), STR_INIT("description")};

    if (json_node_is(v, JSON_STRING))
        return json_node_text(v, arena);
    if (depth > 4)
        return STR_NONE;
    if (json_node_is(v, JSON_ARRAY))
        return message_of(json_node_at(v, 0), arena, depth + 1);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct str text = message_of(json_node_get(v, keys[i]), arena, depth + 1);
        if (text.n)
            return text;
    }
    return STR_NONE;
}

static enum error_class class_of_error(struct json_node e, struct arena *arena, struct str message, int *status)
{
    struct json_node inner = json_node_get(e, STR("innererror"));
    enum error_class of_code = class_of_code(json_node_get(e, STR("code")), arena, status);
    enum error_class of_type = class_of_name(json_get_text(e, STR("type"), arena));
    bool vague = of_type == ERROR_BAD_REQUEST || of_type == ERROR_UPSTREAM; /* the status says more */
    enum error_class found = of_code != ERROR_BY_STATUS ? of_code : vague && *status ? ERROR_BY_STATUS : of_type;

    if (json_is_absent(inner))
        inner = json_node_get(e, STR("inner_error"));
    if (class_of_name(json_get_text(inner, STR("code"), arena)) == ERROR_CONTENT_POLICY)
        return ERROR_CONTENT_POLICY;
    if ((found == ERROR_BY_STATUS || found == ERROR_BAD_REQUEST) && says_too_long(message))
        return ERROR_CONTEXT_LENGTH;
    return found;
}

static const char *as_c(struct str text, struct arena *arena)
{
    return text.n ? arena_str(arena, text).p : NULL;
}

void openai_error_from(struct json_node root, int status, struct arena *arena, struct api_error *ret)
{
    struct json_node e = json_node_get(root, STR("error"));
    bool unwrapped = !json_node_is(e, JSON_OBJECT);

    if (unwrapped)
        e = root;
    struct str message = message_of(unwrapped ? root : e, arena, 0);
    *ret = (struct api_error){.status = status, .message = message, .param = json_get_text(e, STR("param"), arena)};
    ret->error_class = class_of_error(e, arena, message, &ret->status);
    if (ret->error_class == ERROR_BY_STATUS)
        ret->error_class = ret->status ? error_class_of_status(ret->status) : ERROR_UPSTREAM;
    ret->code = as_c(json_get_text(e, STR("code"), arena), arena);
    ret->type = as_c(json_get_text(e, STR("type"), arena), arena);
}

/* "12", "1.5", "20ms", "1m30s" and the like, in milliseconds; -1 for what is none of these (dates). */
static int64_t milliseconds(struct str text, double unit)
{
    char number[24];
    size_t n = 0;
    char *end;

    while (n < text.n && n < sizeof number - 1 && ((text.p[n] >= '0' && text.p[n] <= '9') || text.p[n] == '.')) {
        number[n] = text.p[n];
        n++;
    }
    number[n] = 0;
    if (!n || n != text.n)
        return -1;
    double d = strtod(number, &end) * unit;
    return *end || d > 1e9 ? -1 : (int64_t)d;
}

static int64_t retry_hint(struct str (*header)(void *ctx, struct str name), void *ctx)
{
    if (!header)
        return -1;
    int64_t ms = milliseconds(str_trim(header(ctx, STR("retry-after-ms"))), 1);
    return ms >= 0 ? ms : milliseconds(str_trim(header(ctx, STR("retry-after"))), 1000);
}

void openai_read_error(struct arena *arena, int status, struct str body,
                       struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret)
{
    const struct json_tree *tree;

    if (json_tree_parse(arena, body, &tree) == OK) {
        openai_error_from(json_tree_root(tree), status, arena, ret);
    } else {
        *ret = (struct api_error){.status = status, .error_class = error_class_of_status(status)};
    }
    ret->retry_after_ms = retry_hint(header, ctx);
}

/* --- a client's --- */

static const struct {
    const char *type, *code;
} names[ERROR_CLASSES] = {
    [ERROR_BY_STATUS] = {NULL, NULL},
    [ERROR_BAD_REQUEST] = {"invalid_request_error", NULL},
    [ERROR_CONTEXT_LENGTH] = {"invalid_request_error", "context_length_exceeded"},
    [ERROR_CONTENT_POLICY] = {"invalid_request_error", "content_filter"},
    [ERROR_AUTH] = {"invalid_request_error", "invalid_api_key"},
    [ERROR_QUOTA] = {"insufficient_quota", "insufficient_quota"},
    [ERROR_FORBIDDEN] = {"permission_denied", NULL},
    [ERROR_NOT_FOUND] = {"invalid_request_error", "model_not_found"},
    [ERROR_CONFLICT] = {"invalid_request_error", NULL},
    [ERROR_TOO_LARGE] = {"invalid_request_error", NULL},
    [ERROR_UNPROCESSABLE] = {"invalid_request_error", NULL},
    [ERROR_RATE_LIMIT] = {"rate_limit_error", "rate_limit_exceeded"},
    [ERROR_UPSTREAM] = {"server_error", NULL},
    [ERROR_OVERLOADED] = {"server_error", NULL},
    [ERROR_TIMEOUT] = {"server_error", NULL},
};

struct api_error openai_error_of(const struct api_error *e)
{
    struct api_error full = *e;
    enum error_class c =
        e->error_class; /* a status alone does not say what was not found, or which limit was reached */

    if (!full.status)
        full.status = error_status_of(error_class_of(e));
    full.type = e->type && e->type[0] ? e->type : names[c].type;
    full.code = e->code && e->code[0] ? e->code : names[c].code;
    return full;
}

void openai_write_error(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                        struct call_header ret_headers[2])
{
    struct api_error full = openai_error_of(e);

    (void)t;
    (void)ret_headers;
    *ret_status = full.status;
    openai_error_body(&full, to);
}

/* --- models --- */

/* Mistral's clients demand to know what kind of model it is and what it can do. Chat with tools is what models are asked for here; more is not known. */
static void put_card(struct json_out *o, const struct translation *t, const struct model_card *card)
{
    json_open(o, '{');
    json_member_str(o, STR("id"), card->id);
    json_member_str(o, STR("object"), STR("model"));
    json_member_i64(o, STR("created"), card->created);
    json_member_str(o, STR("owned_by"), card->owner);
    if (openai_of_mistral(t->agent)) {
        json_member_str(o, STR("type"), STR("base"));
        json_member_raw(o, STR("capabilities"), STR("{\"completion_chat\":true,\"function_calling\":true}"));
    }
    json_close(o, '}');
}

err_t openai_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("object"), STR("list"));
    json_member_open(&o, STR("data"), '[');
    for (size_t i = 0; i < n; i++)
        put_card(&o, t, &cards[i]);
    json_close(&o, ']');
    json_close(&o, '}');
    return buf_status(to);
}

err_t openai_write_model(const struct translation *t, const struct model_card *card, struct buf *to)
{
    struct json_out o = json_out_to(to);

    put_card(&o, t, card);
    return buf_status(to);
}
