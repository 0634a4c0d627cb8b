/* traces.c - /admin/trace[/{id}], /admin/pipelines/{name}/trace[/{id}]: what became of messages, step by step, as the journal keeps it. */
#include "admin/admin_int.h"

#include "codec/url.h"
#include "pipeline/run/traces.h"

enum { ANSWER_MAX = 64 << 20 };

static void put_trace(const struct root_trace *t, struct json_out *o)
{
    json_open(o, '{');
    json_member_str(o, STR("id"), str_from_c(t->hex));
    json_member_str(o, STR("pipeline"), t->pipeline);
    json_member_i64(o, STR("at"), t->at);
    json_member_raw(o, STR("trace"), t->json);
    json_close(o, '}');
}

static SUSPENDS err_t put_page(const struct admin *a, struct http_request *r, struct str pipeline, struct buf *to)
{
    struct str from = url_query_get(r->head.query, STR("after"), r->arena);
    struct json_out o = json_out_to(to);
    struct root_trace *page;
    uint64_t after = 0;
    size_t count;

    if (from.n && !str_to_u64(from, INT64_MAX, &after))
        return fail(E_PARSE, "'after' is a number: what 'next' said");
    TRY(traces_page(a->journal, pipeline, &after, r->arena, &page, &count));
    json_open(&o, '{');
    json_member_open(&o, STR("traces"), '[');
    for (size_t i = 0; i < count; i++)
        put_trace(&page[i], &o);
    json_close(&o, ']');
    if (after)
        json_member_u64(&o, STR("next"), after);
    json_close(&o, '}');
    return OK;
}

static SUSPENDS err_t put_one(const struct admin *a, struct http_request *r, struct str pipeline, struct str id,
                              struct buf *to)
{
    struct json_out o = json_out_to(to);
    struct root_trace t;

    TRY(traces_find(a->journal, id, r->arena, &t));
    if (pipeline.n && !str_eq(t.pipeline, pipeline))
        return fail(E_NOT_FOUND, "the message %s is of another pipeline: %.*s", t.hex, STR_ARG(t.pipeline));
    put_trace(&t, &o);
    return OK;
}

err_t serve_traces(const struct admin *a, struct http_request *r, struct str pipeline, struct str id)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(ANSWER_MAX);
    err_t e = id.n ? put_one(a, r, pipeline, id, &body) : put_page(a, r, pipeline, &body);

    return e == OK ? admin_reply_json(r, 200, &body) : admin_refuse_error(r, e);
}
