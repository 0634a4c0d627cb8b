/*
 * serve_pipelines.c - the pipelines of a serving process: one journal and one set of doors for all loops, a runner on each.
 *
 * They begin when all loops listen, because who sends to them comes the same way as who asks for models; and at the end they stop reading with the
 * listeners, and have the same time for what is under way.
 */
#include "base/log.h"
#include "base/mem.h"
#include "cli/journal_file.h"
#include "cli/server.h"
#include "codec/base64.h"
#include "pipeline/door/doors.h"
#include "pipeline/door/ears.h"
#include "pipeline/door/pipeline_models.h"
#include "pipeline/run/runner.h"
#include "rt/scope.h"
#include "store/journal.h"
#include "store/leases.h"

err_t server_open_pipelines(struct server *s)
{
    const struct catalog *c = s->first->catalog;
    const struct journal_options o = {
        .traces_max = c->journal.traces, .trace_age = c->journal.age, .dead_age = c->journal.age};

    s->doors = doors_new();
    s->ears = ears_new(s->doors);
    const struct postgres_options login = {.user = c->journal.username,
                                           .password = &c->journal.password,
                                           .ca_file = c->journal.ca,
                                           .cert_file = c->journal.cert,
                                           .key_file = c->journal.key};
    TRY(err_context(open_journal(c->journal.path.n ? c->journal.path.p : NULL, &login, o, &s->journal), "journal"));
    if (journal_is_shared(s->journal))
        s->leases = leases_new(&(struct leases_options){.journal = s->journal, .time = c->journal.lease});
    return OK;
}

void server_close_pipelines(struct server *s)
{
    leases_free(s->leases);
    journal_close(s->journal);
    ears_free(s->ears);
    doors_free(s->doors);
    pipeline_set_free(s->pipelines);
}

/* Those that run: not what is only there to be called, nor what this version cannot. */
struct pipeline_set *server_runnable(const struct pipeline_set *all)
{
    const struct pipeline_node *missing;
    struct pipeline_set *some = NEW(struct pipeline_set);

    some->items = mem_zalloc(all->count + 1, sizeof *some->items);
    for (size_t i = 0; i < all->count; i++)
        if (!all->items[i]->output && pipeline_can_run(all->items[i], &missing))
            some->items[some->count++] = pipeline_ref(all->items[i]);
    return some;
}

void open_runner(struct server_loop *sl)
{
    struct server *s = sl->server;

    sl->runner = runner_new(&(struct runner_options){.journal = s->journal,
                                                     .leases = s->leases,
                                                     .gateway = sl->gateway,
                                                     .doors = s->doors,
                                                     .ears = s->ears,
                                                     .listener = pipelines_listener(sl),
                                                     .loop = sl->index,
                                                     .loops = s->loop_count});
    runner_install(sl->runner, s->pipelines);
}

void warn_about_forgetting(const struct server *s)
{
    if (s->pipelines->count && !s->first->catalog->journal.path.n)
        log_warn(STR_NONE, "pipelines run without a journal on disk: what is under way is lost when the process ends "
                           "(journal.path)");
}

/* --- pipelines that are models --- */

enum { KEY_BYTES = 32 };

void pipelines_make_key(struct server *s)
{
    unsigned char bytes[KEY_BYTES];
    struct buf key CLEANUP(buf_release) = BUF_INIT(sizeof s->pipelines_key - 1);

    rt_random_bytes(bytes, sizeof bytes);
    (void)buf_add_lit(&key, "xd-pipelines-");
    (void)base64_encode(&key, str_of((const char *)bytes, sizeof bytes), BASE64_URL);
    memcpy(s->pipelines_key, key.p, key.n);
    explicit_bzero(key.p, key.n);
    explicit_bzero(bytes, sizeof bytes);
}

void pipelines_set_key(const struct server *s, struct provider *p)
{
    p->keys[0].secret = secret_make(str_from_c(s->pipelines_key));
}

static bool has_models(const struct catalog *c)
{
    for (size_t i = 0; i < c->provider_count; i++)
        if (c->providers[i].pipelines)
            return true;
    return false;
}

err_t open_models(struct server_loop *sl, const struct catalog *c)
{
    struct addr any;

    if (sl->models_http || !has_models(c))
        return OK;
    sl->models = pipeline_models_new(sl->server->doors, str_from_c(sl->server->pipelines_key));
    struct http_server_options o = {.limits = http_limits_default(),
                                    .handler = pipeline_models_handle,
                                    .ctx = sl->models,
                                    .server_name = "crossdock-pipelines"};
    sl->models_http = http_server_new(&o);
    err_t e = addr_parse(STR("127.0.0.1:0"), &any);
    if (e == OK)
        e = http_server_listen(sl->models_http, &any, LISTEN_ALONE, NULL, &sl->models_at);
    if (e != OK)
        close_models(sl);
    return e;
}

void close_models(struct server_loop *sl)
{
    http_server_free(sl->models_http);
    pipeline_models_free(sl->models);
    sl->models_http = NULL;
    sl->models = NULL;
}

static SUSPENDS err_t run_pipeline_models(void *loop)
{
    struct server_loop *sl = loop;

    return http_server_run(sl->models_http);
}

void start_models(struct server_loop *sl)
{
    if (!sl->models_http || !sl->helpers || sl->serves_models)
        return;
    sl->serves_models = true;
    scope_spawn(sl->helpers, "pipelines as models", run_pipeline_models, sl);
}

void install_models(struct server_loop *sl, const struct catalog *c)
{
    err_t e = open_models(sl, c);

    if (e == OK)
        start_models(sl);
    else
        log_error(STR_NONE, "pipelines cannot be asked as models: %s", err_detail(e));
}

err_t run_pipelines(void *loop)
{
    struct server_loop *sl = loop;
    SCOPE(keeper, NS_NEVER);

    scope_discard_results(&keeper);
    if (sl->server->leases && !sl->index)
        scope_spawn(&keeper, "leases", leases_run, sl->server->leases);
    return runner_run(sl->runner);
}
