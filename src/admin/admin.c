/* admin.c - health, readiness and the Prometheus page, which are everybody's; and the way to what is for operators. */
#include "admin/admin_int.h"
#include "base/mem.h"
#include "codec/json_out.h"
#include "codec/url.h"

enum { BODY_MAX = 32 << 20 };

static const struct str healthz = STR_INIT("/healthz"), readyz = STR_INIT("/readyz"), metrics = STR_INIT("/metrics");

bool admin_wants(struct str path)
{
    return str_eq(path, healthz) || str_eq(path, readyz) || str_eq(path, metrics);
}

static SUSPENDS err_t reply_text(struct http_request *r, int status, struct str type, struct str body)
{
    struct http_header headers[] = {{STR("content-type"), type},
                                    {STR("cache-control"), STR("no-store")},
                                    {STR("www-authenticate"), STR("Bearer")}}; /* the last of a 401 only */
    struct http_reply reply = {
        .status = status, .headers = headers, .count = status == 401 ? 3 : 2, .length = (int64_t)body.n};

    return http_reply_whole(r, &reply, body);
}

err_t admin_reply_json(struct http_request *r, int status, const struct buf *body)
{
    TRY(buf_status(body));
    return reply_text(r, status, STR("application/json"), buf_str(body));
}

err_t admin_refuse(struct http_request *r, int status, struct str message)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(ADMIN_ANSWER_MAX);
    struct json_out o = json_out_to(&body);

    json_open(&o, '{');
    json_member_open(&o, STR("error"), '{');
    json_member_str(&o, STR("message"), message);
    json_close(&o, '}');
    json_close(&o, '}');
    return admin_reply_json(r, status, &body);
}

err_t admin_read_object(struct http_request *r, struct json_node *ret)
{
    const struct json_tree *tree;
    struct str body;

    TRY(http_body_all(r, BODY_MAX, &body));
    TRY(err_context(json_tree_parse(r->arena, body, &tree), "the body is no JSON"));
    *ret = json_tree_root(tree);
    return json_node_is(*ret, JSON_OBJECT) ? OK : fail(E_PARSE, "the body is to be an object");
}

bool admin_is_method(const struct http_request *r, struct str method)
{
    struct str asked = r->head.method;

    return str_eq(str_eq(asked, STR("HEAD")) ? STR("GET") : asked, method);
}

err_t admin_refuse_error(struct http_request *r, err_t e)
{
    int status = err_http_status(e);

    if (status >= 500 || e == E_CANCELLED)
        return e;
    return admin_refuse(r, status, arena_printf(r->arena, "%s", err_detail(e)));
}

static void sum_free(void *arg)
{
    struct admin_sum *sum = arg;

    metrics_free(sum->metrics);
    mem_free(sum);
}

static SUSPENDS err_t serve_metrics(const struct admin *a, struct http_request *r)
{
    struct buf page CLEANUP(buf_release) = BUF_INIT(ADMIN_ANSWER_MAX);
    struct admin_sum *sum = NEW(struct admin_sum);
    struct process_numbers process = {0};

    sum->metrics = metrics_new();
    TRY(loops_visit(a->loops, a->collect, sum, sum_free));
    a->process(a->ctx, &process);
    metrics_render(sum->metrics, &sum->gauges, &process, &page);
    sum_free(sum);
    TRY(fleet_metrics(a, r->arena, &page));
    TRY(pipelines_metrics(a, &page));
    TRY(buf_status(&page));
    return reply_text(r, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_str(&page));
}

err_t admin_handle(const struct admin *a, struct http_request *r)
{
    struct str plain = STR("text/plain; charset=utf-8");

    if (!admin_is_method(r, STR("GET")))
        return reply_text(r, 405, plain, STR("use GET\n"));
    if (str_eq(r->head.path, metrics))
        return serve_metrics(a, r);
    if (str_eq(r->head.path, healthz))
        return reply_text(r, 200, plain, STR("ok\n"));
    const char *why = a->not_ready(a->ctx);
    if (!why)
        return reply_text(r, 200, plain, STR("ready\n"));
    return reply_text(r, 503, plain, arena_printf(r->arena, "not ready: %s\n", why));
}

/* --- for operators --- */

/* {"error":…} that says which key is missing, and how to get one. */
static SUSPENDS err_t refuse_stranger(const struct admin *a, struct http_request *r)
{
    if (!operator_can_be(a))
        return admin_refuse(r, 403,
                            STR("There is no admin key: none is configured, and none could be written at the start. "
                                "Configure admin.keys (crossdock key new), or a writable admin.key_file."));
    return admin_refuse(r, 401,
                        STR("An admin key is needed: send it as 'Authorization: Bearer KEY'. It is in admin.key_file, "
                            "or one of those in admin.keys; keys of clients do not work here."));
}

/* Is it that path, or one below it? *ret: what comes behind the slash. */
static bool is_below(struct str path, struct str top, struct str *ret)
{
    if (!str_starts(path, top) || (path.n > top.n && path.p[top.n] != '/'))
        return false;
    *ret = str_slice(path, top.n + (path.n > top.n), path.n);
    return true;
}

/* {name}, {name}/graph, {name}/trace, {name}/trace/{id} */
static SUSPENDS err_t serve_below_pipelines(const struct admin *a, struct http_request *r, struct str rest)
{
    struct str name = str_cut(&rest, '/'), what = str_cut(&rest, '/');

    if (!what.n)
        return serve_pipelines(a, r, name);
    if (str_eq(what, STR("trace")))
        return serve_traces(a, r, name, rest);
    if (str_eq(what, STR("graph")) && !rest.n)
        return serve_pipeline_graph(a, r, name);
    return admin_refuse(r, 404, STR("Of a pipeline there are /trace and /graph."));
}

static SUSPENDS err_t serve_operator(const struct admin *a, struct http_request *r, struct str path)
{
    struct str rest;

    if (is_below(path, STR("/admin/dlq"), &rest))
        return serve_letters(a, r, rest);
    if (is_below(path, STR("/admin/gates"), &rest))
        return serve_gates(a, r, rest);
    if (!admin_is_method(r, STR("GET")))
        return admin_refuse(r, 405, STR("Use GET."));
    if (is_below(path, STR("/admin/decisions"), &rest) && path.n > sizeof "/admin/decisions" - 1)
        return serve_decisions(a, r, rest);
    if (str_eq(path, STR("/admin/fleet")))
        return serve_fleet(a, r);
    if (is_below(path, STR("/admin/trace"), &rest))
        return serve_traces(a, r, STR_NONE, rest);
    if (is_below(path, STR("/admin/pipelines"), &rest))
        return serve_below_pipelines(a, r, rest);
    return admin_refuse(
        r, 404,
        STR("There are /admin/decisions/{request id}, /admin/fleet, /admin/pipelines, /admin/trace, /admin/dlq and "
            "/admin/gates, and without a key /healthz, /readyz and /metrics."));
}

err_t admin_handle_operator(const struct admin *a, struct http_request *r)
{
    struct str path = STR_NONE;

    if (admin_wants(r->head.path))
        return admin_handle(a, r);
    if (!operator_is_known(a, r))
        return refuse_stranger(a, r);
    if (url_normal_path(r->head.path, true, r->arena, &path) != OK)
        return admin_refuse(r, 400, STR("The path is malformed."));
    return serve_operator(a, r, path);
}
