/*
 * serve_registry.c - the schema registry of a serving process: an address of its own, which loop 0 alone serves. Which one there is does not change while it
 * runs: its database is open.
 */
#include "base/mem.h"
#include "cli/registry_http.h"
#include "cli/server.h"

err_t server_open_registry(struct server *s, const struct catalog *c)
{
    if (!c->registry.path.n)
        return OK;
    s->schemas = NEW(struct registry_http);
    if (c->registry.user.n)
        TRY(registry_http_allow(s->schemas, c->registry.user, secret_reveal(&c->registry.password)));
    return err_context(registry_open(c->registry.path.p, &s->schemas->registry), "registry.path");
}

void server_close_registry(struct server *s)
{
    if (!s->schemas)
        return;
    registry_close(s->schemas->registry);
    registry_http_release(s->schemas);
    mem_free(s->schemas);
}

void open_schemas(struct server *s)
{
    const struct http_server_options o = {.limits = http_limits_default(),
                                          .handler = registry_http_handle,
                                          .ctx = s->schemas,
                                          .server_name = "crossdock"};

    if (s->schemas)
        s->schemas_http = http_server_new(&o);
}

err_t listen_schemas(struct server *s)
{
    const struct listen_config *l = &s->first->catalog->registry.listen;

    if (!s->schemas_http)
        return OK;
    struct tls_ctx *tls = l->tls ? s->first->server_tls : NULL;
    return err_context(http_server_listen(s->schemas_http, &l->addr, LISTEN_ALONE, tls, &s->schemas_at),
                       "registry.listen");
}

err_t serve_schemas(void *server)
{
    struct server *s = server;

    return http_server_run(s->schemas_http);
}
