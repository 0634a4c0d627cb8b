/* admin.c - health, readiness and the Prometheus page. */
#include "admin/admin.h"

#include "base/mem.h"

enum { PAGE_MAX = 64 * 1024 * 1024 };

static const struct str healthz = STR_INIT("/healthz"), readyz = STR_INIT("/readyz"), metrics = STR_INIT("/metrics");

bool admin_wants(struct str path)
{
    return str_eq(path, healthz) || str_eq(path, readyz) || str_eq(path, metrics);
}

static SUSPENDS err_t reply_text(struct http_request *r, int status, struct str type, struct str body)
{
    struct http_header headers[] = {{STR("content-type"), type}, {STR("cache-control"), STR("no-store")}};
    struct http_reply reply = {.status = status, .headers = headers, .count = 2, .length = (int64_t)body.n};

    return http_reply_whole(r, &reply, body);
}

static void sum_free(void *arg)
{
    struct admin_sum *sum = arg;

    metrics_free(sum->metrics);
    mem_free(sum);
}

static SUSPENDS err_t serve_metrics(const struct admin *a, struct http_request *r)
{
    struct buf page CLEANUP(buf_release) = BUF_INIT(PAGE_MAX);
    struct admin_sum *sum = NEW(struct admin_sum);
    struct process_numbers process = {0};

    sum->metrics = metrics_new();
    TRY(loops_visit(a->loops, a->collect, sum, sum_free));
    a->process(a->ctx, &process);
    metrics_render(sum->metrics, &sum->gauges, &process, &page);
    sum_free(sum);
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
