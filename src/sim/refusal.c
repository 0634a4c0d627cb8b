/*
 * refusal.c - errors in OpenAI's form: {"error":{"message","type","param","code"}}.
 *
 * Readers of requests fill one struct sim_refusal and return E_PARSE; whoever called them sends it. The first cause wins, because
 * a reader stops at it.
 */
#include "sim/refusal.h"

#include <stdarg.h>
#include <stdio.h>

enum { MESSAGE_MAX = 1024 };

static struct str format(struct arena *a, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
static struct str format(struct arena *a, const char *fmt, va_list args)
{
    char text[MESSAGE_MAX];
    int n = vsnprintf(text, sizeof(text), fmt, args);

    return arena_str(a, str_of(text, n < 0 ? 0 : n < MESSAGE_MAX ? (size_t)n : MESSAGE_MAX - 1));
}

err_t refuse(struct arena *a, struct sim_refusal *r, const char *code, struct str param, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    *r = (struct sim_refusal){400, refusal_type(400), code, param, format(a, fmt, args), 0};
    va_end(args);
    return E_PARSE;
}

err_t refuse_status(struct arena *a, struct sim_refusal *r, int status, const char *code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    *r = (struct sim_refusal){status, refusal_type(status), code, STR_NONE, format(a, fmt, args), 0};
    va_end(args);
    return E_PARSE;
}

const char *refusal_type(int status)
{
    switch (status) {
    case 403:
        return "permission_denied";
    case 429:
        return "requests";
    default:
        return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

void refusal_write(struct buf *to, const struct sim_refusal *r)
{
    buf_add_lit(to, "{\"error\":{\"message\":\"");
    buf_add_json(to, r->message);
    buf_add_lit(to, "\",\"type\":\"");
    buf_add(to, str_from_c(r->type));
    if (r->param.p) {
        buf_add_lit(to, "\",\"param\":\"");
        buf_add_json(to, r->param);
        buf_add_lit(to, "\",\"code\":");
    } else {
        buf_add_lit(to, "\",\"param\":null,\"code\":");
    }
    if (r->code)
        buf_addf(to, "\"%s\"}}", r->code);
    else
        buf_add_lit(to, "null}}");
}
