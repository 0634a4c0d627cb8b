/* web_node.c - questions made of records: templates rendered, expressions evaluated, all in the root's arena. */
#include "pipeline/system/web_node.h"

#include "pipeline/run/shard_int.h"
#include "rt/loop.h"

enum { BODY_MAX = 64 << 20, URL_MAX = 64 * 1024, HEADER_MAX = 64 * 1024 };

const struct schema_field web_header_value = SCHEMA_TEXT(NULL, struct web_header, value, .secret = true);

void web_build_headers(struct pipeline_build *b, struct pipeline_node *n, struct web_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        headers[i].text = build_template(b, n, &headers[i].value);
}

err_t web_make_body(struct step *s, const struct expr *body, struct str *ret)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(BODY_MAX);
    struct expr_value value = s->in->value;

    if (body)
        TRY(step_eval(s, body, &value));
    TRY(expr_value_print(value, &text));
    *ret = arena_str(step_arena(s), buf_str(&text));
    return OK;
}

void web_add_header(struct web_question *q, struct str name, struct str value)
{
    ((struct http_header *)(uintptr_t)q->headers)[q->header_count++] = (struct http_header){name, value};
}

static struct http_header *find_header(const struct web_question *q, struct str name)
{
    for (size_t i = 0; i < q->header_count; i++)
        if (str_eq_nocase(q->headers[i].name, name))
            return (struct http_header *)(uintptr_t)&q->headers[i];
    return NULL;
}

static const struct str type_name = STR_INIT("content-type"), type_usual = STR_INIT("application/json");

void web_set_type(struct web_question *q, struct str type)
{
    struct http_header *h = find_header(q, type_name);

    if (h && h->value.p == type_usual.p)
        h->value = type;
}

static bool has_body(struct str method)
{
    return !str_eq(method, STR("GET")) && !str_eq(method, STR("DELETE"));
}

/* What is left of the deadline, as a gateway of ours reads it. */
static void add_timeout(struct step *s, struct web_question *q)
{
    static const struct str name = STR_INIT("x-crossdock-timeout");
    ns_t left = s->root->deadline == NS_NEVER ? 0 : (s->root->deadline - rt_now()) / NS_MS;

    if (left > 0 && !find_header(q, name))
        web_add_header(q, name, arena_printf(step_arena(s), "%lldms", (long long)left));
}

static void add_traceparent(struct step *s, struct web_question *q)
{
    static const struct str name = STR_INIT("traceparent");
    struct str value = step_traceparent(s);

    if (value.n && !find_header(q, name))
        web_add_header(q, name, value);
}

err_t web_make_question(struct step *s, struct str method, const struct template *url, const struct web_header *headers,
                        size_t count, const struct expr *body, struct web_question *ret)
{
    enum { OURS = WEB_HEADERS_OWN + 3 };

    *ret = (struct web_question){.method = method,
                                 .headers = arena_alloc(step_arena(s), (count + OURS) * sizeof *ret->headers)};
    TRY(step_render(s, url, URL_MAX, &ret->url));
    for (size_t i = 0; i < count; i++) {
        struct str text;
        TRY(step_render(s, headers[i].text, HEADER_MAX, &text));
        web_add_header(ret, headers[i].name, text);
    }
    add_timeout(s, ret);
    add_traceparent(s, ret);
    if (!has_body(method))
        return OK;
    if (!find_header(ret, type_name))
        web_add_header(ret, type_name, type_usual);
    return web_make_body(s, body, &ret->body);
}
