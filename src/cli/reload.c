/*
 * reload.c - configuration while running: read anew on SIGHUP or when one of its files changes, installed on every loop, or refused whole.
 *
 * Reading blocks, so it is a job for a worker. Installing is a visit to each loop; requests under way keep the configuration they
 * began with. A file that is wrong changes nothing but the log.
 */
#include <signal.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/registry_http.h"
#include "cli/scenario_file.h"
#include "cli/schema_lookup.h"
#include "cli/server.h"
#include "fleet/config.h"
#include "pipeline/door/doors.h"
#include "pipeline/run/runner.h"
#include "rt/signals.h"
#include "rt/worker.h"

enum { REPORT_MAX = 1024 * 1024 };

/* --- reading --- */

/* Before anything runs: loops, and the threads for what blocks. */
static bool is_first_load(const struct server *s)
{
    return __atomic_load_n(&s->revision, __ATOMIC_RELAXED) == 0;
}

static err_t add_scenario(struct server *s, struct str path, struct problems *problems)
{
    for (unsigned i = 0; i < s->scenario_count; i++)
        if (str_eq(s->scenarios[i].path, path))
            return OK;
    if (!is_first_load(s))
        return fail(E_CONFIG, "a simulated provider with a new scenario takes a restart");
    if (s->scenario_count == MAX_SIMULATORS)
        return fail(E_CONFIG, "more than %d different scenarios", MAX_SIMULATORS);
    struct scenario_file *f = &s->scenarios[s->scenario_count];
    TRY(scenario_file_read(path, problems, &f->scenario));
    f->path = str_of(mem_dup(path.p, path.n), path.n);
    s->scenario_count++;
    return OK;
}

/* Pipelines are a part of the configuration: one that is wrong refuses it. *ret: those that run. */
static err_t load_runnable(const struct server *s, const struct catalog *catalog, const struct config_env *env,
                           struct problems *problems, struct pipeline_set **ret)
{
    struct schema_lookup lookup = {.catalog = catalog,
                                   .own = catalog->registry.path.n && s->schemas ? s->schemas->registry : NULL,
                                   .has_workers = !is_first_load(s)};
    const struct pipeline_registry registry = schema_lookup_registry(&lookup);
    const struct pipeline_node *missing;
    struct pipeline_set *set;

    TRY(pipelines_load(catalog, env, &registry, problems, &set));
    for (size_t i = 0; i < set->count; i++) {
        const struct pipeline_spec *p = set->items[i];
        if (!p->output && !pipeline_can_run(p, &missing))
            problems_add(problems, (struct problem){
                                       .file = arena_str(problems->arena, p->path),
                                       .text = arena_printf(
                                           problems->arena,
                                           "the pipeline \"%.*s\" is valid, but this version cannot run it: \"%.*s\"",
                                           STR_ARG(p->name), STR_ARG(missing->name)),
                                       .warning = true});
    }
    *ret = server_runnable(set);
    pipeline_set_free(set);
    return OK;
}

err_t server_load(struct server *s, struct snapshot **ret, struct pipeline_set **ret_pipelines, struct buf *ret_report,
                  struct config_watch **ret_watch)
{
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};
    struct config_env env = *config_env_real();
    struct catalog *catalog;
    err_t e;

    arena_init(&arena, SIZE_MAX / 2);
    env.on_path = config_watch_note;
    env.on_path_ctx = *ret_watch = config_watch_new();
    e = config_load(s->config_path, STR_NONE, &env, &problems, &catalog);
    if (e == OK) {
        /* where it listens already, whatever the file says now */
        for (size_t i = 0; e == OK && i < s->listen_count; i++)
            e = catalog_check_exposure(catalog, &s->listens[i]);
        for (size_t i = 0; e == OK && i < catalog->provider_count; i++)
            if (catalog->providers[i].pipelines)
                pipelines_set_key(s, &catalog->providers[i]);
            else if (catalog->providers[i].simulated)
                e = add_scenario(s, catalog->providers[i].scenario_path, &problems);
        if (e == OK && is_first_load(s))
            e = server_open_registry(s, catalog); /* pipelines want to know what is in it */
        if (e == OK)
            e = load_runnable(s, catalog, &env, &problems, ret_pipelines);
        if (e == OK)
            e = snapshot_make(catalog, s->live, ret);
        else
            catalog_unref(catalog);
        if (e != OK) {
            pipeline_set_free(*ret_pipelines);
            *ret_pipelines = NULL;
        }
    }
    problems_print(&problems, ret_report);
    if (e != OK && problems.errors == 0)
        buf_addf(ret_report, "%s: error: %s\n", s->config_path, err_detail(e));
    return e;
}

struct load_job {
    struct job job;
    struct server *server;
    struct snapshot *snapshot;      /* result */
    struct pipeline_set *pipelines; /* likewise */
    struct buf report;
    struct config_watch *watch; /* likewise */
    err_t error;
};

static void load_run(struct job *j)
{
    struct load_job *l = CONTAINER_OF(j, struct load_job, job);

    l->error = server_load(l->server, &l->snapshot, &l->pipelines, &l->report, &l->watch);
}

static void load_drop(struct job *j)
{
    struct load_job *l = CONTAINER_OF(j, struct load_job, job);

    snapshot_unref(l->snapshot);
    pipeline_set_free(l->pipelines);
    config_watch_unref(l->watch);
    buf_release(&l->report);
    mem_free(l);
}

/* --- installing --- */

static void log_report(struct buf *report, bool failed)
{
    for (struct str rest = buf_str(report); rest.n;) {
        struct str line = str_cut(&rest, '\n');
        if (line.n)
            log_write(failed ? LOG_ERROR : LOG_WARN, STR_NONE, "%.*s", STR_ARG(line));
    }
}

/* What goes round the loops. */
struct installing {
    struct snapshot *snapshot;
    struct pipeline_set *pipelines;
};

static void install(void *loop, void *arg)
{
    struct server_loop *sl = loop;
    const struct installing *i = arg;
    struct snapshot *s = i->snapshot;

    install_models(sl, s->catalog);
    gateway_install(sl->gateway, s);
    runner_install(sl->runner, i->pipelines);
    if (s->server_tls)
        http_server_set_tls(sl->http, s->server_tls);
    if (s->server_tls && sl->admin_http)
        http_server_set_tls(sl->admin_http, s->server_tls);
}

static void drop_installing(void *arg)
{
    struct installing *i = arg;

    snapshot_unref(i->snapshot);
    pipeline_set_free(i->pipelines);
    mem_free(i);
}

static bool same_limits(const struct catalog *a, const struct catalog *b)
{
    return a->limits.body_bytes == b->limits.body_bytes && a->limits.head_bytes == b->limits.head_bytes &&
           a->limits.head_count == b->limits.head_count && a->limits.connections == b->limits.connections &&
           a->limits.head_time == b->limits.head_time && a->limits.body_gap == b->limits.body_gap &&
           a->limits.idle_time == b->limits.idle_time && a->limits.write_gap == b->limits.write_gap;
}

static bool same_facts(const struct catalog *a, const struct catalog *b)
{
    return a->facts.recent == b->facts.recent && a->facts.size == b->facts.size && a->facts.age == b->facts.age &&
           str_eq(a->facts.dir, b->facts.dir) && a->admin.on == b->admin.on &&
           str_eq(a->admin.listen.text, b->admin.listen.text) && str_eq(a->admin.key_file, b->admin.key_file);
}

static bool same_login(const struct catalog *a, const struct catalog *b)
{
    return str_eq(a->journal.username, b->journal.username) &&
           str_eq(secret_reveal(&a->journal.password), secret_reveal(&b->journal.password)) &&
           str_eq(a->journal.ca, b->journal.ca) && str_eq(a->journal.cert, b->journal.cert) &&
           str_eq(a->journal.key, b->journal.key);
}

/* What pipelines rest on. */
static bool same_stores(const struct catalog *a, const struct catalog *b)
{
    return str_eq(a->journal.path, b->journal.path) && same_login(a, b) && a->journal.traces == b->journal.traces &&
           a->journal.age == b->journal.age && a->journal.lease == b->journal.lease &&
           str_eq(a->registry.path, b->registry.path) && str_eq(a->registry.listen.text, b->registry.listen.text) &&
           str_eq(a->registry.user, b->registry.user) &&
           str_eq(secret_reveal(&a->registry.password), secret_reveal(&b->registry.password));
}

/* Some things are fixed at start; say so instead of ignoring a change of them. */
static void warn_about_fixed(const struct catalog *old, const struct catalog *new)
{
    bool same = old->listen_count == new->listen_count && old->workers == new->workers &&
                old->log.level == new->log.level &&
                old->log.format == new->log.format &&str_eq(old->log.access, new->log.access) &&
                same_limits(old, new) && same_facts(old, new) && same_stores(old, new);

    for (size_t i = 0; same && i < old->listen_count; i++)
        same = str_eq(old->listens[i].text, new->listens[i].text) && old->listens[i].tls == new->listens[i].tls;
    if (!same)
        log_warn(STR_NONE, "changes of 'listen', 'workers', 'limits', 'log', 'facts', 'journal', 'registry', "
                           "'admin.listen' and 'admin.key_file' take effect at the next start");
}

static SUSPENDS err_t reload(struct server_loop *sl)
{
    struct server *s = sl->server;
    struct load_job *l = NEW(struct load_job);

    *l = (struct load_job){.job = {.run = load_run, .drop = load_drop}, .server = s, .report = BUF_INIT(REPORT_MAX)};
    err_t e = worker_run(&l->job);
    if (e == E_OVERLOAD) { /* who listens to signals must go on */
        log_error(STR_NONE, "the configuration cannot be read now: %s", err_detail(e));
        return OK;
    }
    TRY(e);
    config_watch_unref(s->watch);
    s->watch = config_watch_ref(l->watch);
    bool failed = l->error != OK;
    log_report(&l->report, failed);
    if (failed) {
        __atomic_fetch_add(&s->reload_failures, 1, __ATOMIC_RELAXED);
        log_error(STR_NONE, "the new configuration is invalid; the one in use stays");
        load_drop(&l->job);
        return OK;
    }
    struct installing *fresh = NEW(struct installing);
    *fresh = (struct installing){snapshot_ref(l->snapshot), l->pipelines};
    l->pipelines = NULL;
    load_drop(&l->job);
    const struct catalog *catalog = fresh->snapshot->catalog;
    warn_about_fixed(gateway_snapshot(sl->gateway)->catalog, catalog);
    __atomic_store_n(&s->revision, catalog->revision, __ATOMIC_RELAXED);
    __atomic_fetch_add(&s->reloads, 1, __ATOMIC_RELAXED);
    log_info(STR_NONE, "configuration installed revision=%llu digest=%s pipelines=%zu",
             (unsigned long long)catalog->revision, catalog->digest, fresh->pipelines->count);
    TRY(loops_visit(s->group, install, fresh, drop_installing));
    drop_installing(fresh);
    return OK;
}

/* --- watching the files --- */

struct watch_job {
    struct job job;
    struct config_watch *watch; /* a reference: SIGHUP may put another in its place meanwhile */
    bool changed;               /* result */
};

static void watch_run(struct job *j)
{
    struct watch_job *w = CONTAINER_OF(j, struct watch_job, job);

    w->changed = config_watch_changed(w->watch);
}

static void watch_drop(struct job *j)
{
    struct watch_job *w = CONTAINER_OF(j, struct watch_job, job);

    config_watch_unref(w->watch);
    mem_free(w);
}

/* Has any of the files changed since they were last read? No if it cannot be told now. */
static SUSPENDS err_t look_at_files(const struct server *server, bool *ret_changed)
{
    struct watch_job *w = NEW(struct watch_job);

    *w = (struct watch_job){.job = {.run = watch_run, .drop = watch_drop}, .watch = config_watch_ref(server->watch)};
    *ret_changed = false;
    err_t e = worker_run(&w->job);
    if (e == E_OVERLOAD) /* another time, then */
        return OK;
    TRY(e);
    *ret_changed = w->changed && w->watch == server->watch; /* else they have been read in between */
    watch_drop(&w->job);
    return OK;
}

err_t control_files(void *loop)
{
    struct server_loop *sl = loop;
    bool changed;

    for (;;) {
        TRY(fiber_sleep_until(rt_now() + NS_SEC));
        TRY(look_at_files(sl->server, &changed));
        if (changed)
            TRY(reload(sl));
    }
}

/* --- signals --- */

static void start_drain(void *loop, void *unused)
{
    struct server_loop *sl = loop;

    (void)unused;
    http_server_drain(sl->http);
    runner_drain(sl->runner);
}

static void cancel_serving(void *loop, void *unused)
{
    struct server_loop *sl = loop;

    (void)unused;
    if (sl->serving)
        fiber_cancel(sl->serving);
    if (sl->running)
        fiber_cancel(sl->running);
}

static void drop_nothing(void *unused)
{
    (void)unused;
}

static SUSPENDS err_t drain(struct server_loop *sl)
{
    ns_t patience = gateway_snapshot(sl->gateway)->catalog->drain_time;
    ns_t until = ns_add(rt_now(), patience);
    int again;

    __atomic_store_n(&sl->server->draining, true, __ATOMIC_RELAXED);
    log_info(STR_NONE, "draining: no new connections; requests under way have %lld s", (long long)(patience / NS_SEC));
    doors_shut(sl->server->doors);
    TRY(loops_visit(sl->server->group, start_drain, NULL, drop_nothing));
    {
        SCOPE(wait, until);
        err_t e;
        do
            e = signals_wait(&again);
        while (e == OK && again == SIGHUP); /* asked to end a second time: cut it short */
        if (e == E_CANCELLED)
            return e;
    }
    log_warn(STR_NONE, "drain time is over: requests under way are cut off");
    return loops_visit(sl->server->group, cancel_serving, NULL, drop_nothing);
}

err_t control_signals(void *loop)
{
    struct server_loop *sl = loop;
    int signo;

    for (;;) {
        TRY(signals_wait(&signo));
        if (signo == SIGTERM || signo == SIGINT)
            return drain(sl);
        log_info(STR_NONE, "SIGHUP: reading the configuration anew");
        TRY(reload(sl));
        writer_reopen(sl->server->log_writer);
        writer_reopen(sl->server->access_writer);
    }
}
