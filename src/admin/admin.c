/* admin.c - health, readiness and the Prometheus page, which are everybody's; and the way to what is for operators. */
#include "admin/admin_int.h"
#include "base/mem.h"
#include "codec/json_out.h"
#include "codec/url.h"

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
    TRY(buf_status(&page));
    return reply_text(r, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_str(&page));
}

err_t admin_handle(const struct admin *a, struct http_request *r)
{
    struct str plain = STR("text/plain; charset=utf-8");

    if (!str_eq(r->head.method, STR("GET")) && !str_eq(r->head.method, STR("HEAD")))
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

static SUSPENDS err_t serve_operator(const struct admin *a, struct http_request *r, struct str path)
{
    static const struct str decisions = STR_INIT("/admin/decisions/"), fleet = STR_INIT("/admin/fleet");

    if (str_starts(path, decisions))
        return serve_decisions(a, r, str_slice(path, decisions.n, path.n));
    if (str_eq(path, fleet))
        return serve_fleet(a, r);
    return admin_refuse(r, 404,
                        STR("There are /admin/decisions/{request id} and /admin/fleet, and without a key "
                            "/healthz, /readyz and /metrics."));
}

err_t admin_handle_operator(const struct admin *a, struct http_request *r)
{
    struct str path = STR_NONE;

    if (admin_wants(r->head.path))
        return admin_handle(a, r);
    if (!operator_is_known(a, r))
        return refuse_stranger(a, r);
    if (!str_eq(r->head.method, STR("GET")) && !str_eq(r->head.method, STR("HEAD")))
        return admin_refuse(r, 405, STR("Use GET."));
    if (url_normal_path(r->head.path, true, r->arena, &path) != OK)
        return admin_refuse(r, 400, STR("The path is malformed."));
    return serve_operator(a, r, path);
}
