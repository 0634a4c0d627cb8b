/* web_api.c - a base URL, a credential, and requests below it. */
#include "pipeline/system/web_api.h"

#include "base/mem.h"
#include "codec/url.h"

enum { ANSWER_MAX = 64 << 20, PATH_MAX_BYTES = 4096 };

err_t web_api_open(struct web_api *a, const struct sink_at *at, uint16_t port)
{
    const struct pipeline_connection *c = at->sink->connection;
    struct str path;

    *a = (struct web_api){.sink = {.sink = at->sink, .web = at->web}};
    TRY(reach_open(c, port, STR("https"), &a->reach));
    path = a->reach.url.path;
    while (str_ends(path, STR("/")))
        path.n--;
    bool is_ipv6 = a->reach.url.is_ipv6;
    a->base = arena_printf(&a->reach.arena, "%.*s://%s%.*s%s:%u%.*s", STR_ARG(a->reach.url.scheme), is_ipv6 ? "[" : "",
                           STR_ARG(a->reach.at.host), is_ipv6 ? "]" : "", a->reach.at.port, STR_ARG(path));
    return OK;
}

err_t web_api_start(const struct sink_at *at, web_api_ready_fn *ready, bool *ret_applied, void **ret_state)
{
    struct web_api *a = NEW(struct web_api);
    err_t e = ready(a, at);

    if (e != OK) {
        web_api_stop(a);
        return e;
    }
    *ret_applied = false;
    *ret_state = a;
    return OK;
}

void web_api_stop(void *api)
{
    struct web_api *a = api;

    reach_release(&a->reach);
    mem_free(a);
}

err_t web_api_set_path(struct web_api *a, const char *before, struct str name, const char *behind)
{
    struct buf path CLEANUP(buf_release) = BUF_INIT(PATH_MAX_BYTES);

    TRY(buf_add(&path, str_from_c(before)));
    TRY(url_encode(&path, name));
    TRY(buf_add(&path, str_from_c(behind)));
    a->path = arena_str(&a->reach.arena, buf_str(&path));
    return OK;
}

void web_api_use_key(struct web_api *a, struct str header)
{
    struct str key = secret_reveal(&a->reach.password);

    if (key.n)
        a->header[a->header_count++] = (struct http_header){header, arena_str(&a->reach.arena, key)};
}

err_t web_api_use_basic(struct web_api *a)
{
    struct str user = a->sink.sink->connection->username;

    if (!user.n)
        return OK;
    return web_basic(user, &a->reach.password, &a->reach.arena, &a->header[a->header_count++]);
}

err_t web_api_ask(struct web_api *a, struct str method, struct str path, struct str type, struct str body,
                  struct arena *arena, struct web_answer *ret)
{
    a->header[a->header_count] = (struct http_header){STR("content-type"), type};
    const struct web_question q = {.method = method,
                                   .url = arena_join(arena, a->base, path),
                                   .headers = a->header,
                                   .header_count = a->header_count + 1,
                                   .body = body,
                                   .max_answer = ANSWER_MAX,
                                   .tls = a->reach.at.tls};

    TRY(web_sink_ask(&a->sink, &q, arena, ret));
    if (ret->status == 404)
        return fail(E_NOT_FOUND, "%.*s is not there: %.*s", STR_ARG(path),
                    STR_ARG(str_slice(ret->body, 0, ret->body.n < 200 ? ret->body.n : 200)));
    return web_sink_check(&q, ret);
}
