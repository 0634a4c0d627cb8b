/*
 * schema_lookup.c - a question is a loop of its own on the thread that loads, which waits for it: loading is rare, and nothing else is done by that thread
 * meanwhile.
 */
#include "cli/schema_lookup.h"

#include "fleet/catalog.h"
#include "net/tls.h"
#include "pipeline/system/subject.h"
#include "registry/registry.h"
#include "rt/aside.h"
#include "rt/file.h"
#include "rt/loop.h"
#include "rt/worker.h"

#define USUAL_URL "http://127.0.0.1:8081"

enum { WORKER_THREADS = 2 };

struct question {
    const struct pipeline_connection *connection; /* NULL: `own` is asked */
    struct registry *own;
    struct str subject;
    unsigned version;
    struct arena *arena;
    struct subject_version *ret;
};

static SUSPENDS err_t ask_own(const struct question *q)
{
    const struct registry_request request = {.method = STR("GET"),
                                             .path = subject_path(q->subject, q->version, q->arena)};
    struct registry_answer answer;

    err_t e = registry_ask(q->own, &request, q->arena, &answer);
    if (e == OK)
        e = subject_read(q->subject, q->version, answer.status, answer.body, q->arena, q->ret);
    return err_context(e, "the schema registry of this configuration");
}

static SUSPENDS err_t ask(void *question)
{
    const struct question *q = question;

    return q->connection ? subject_fetch(q->connection, q->subject, q->version, q->arena, q->ret) : ask_own(q);
}

static err_t run(const struct schema_lookup *l, struct question q)
{
    if (!l->has_workers) { /* nor has anybody said yet whom TLS trusts */
        tls_trust_file(config_env_real()->getenv("SSL_CERT_FILE"));
        workers_start(WORKER_THREADS);
    }
    err_t e = loop_run_aside(ask, &q);
    if (!l->has_workers)
        workers_stop();
    return e;
}

/* --- the configuration's own, while this process does not serve it --- */

static bool is_there(const char *path)
{
    struct buf nothing CLEANUP(buf_release) = BUF_INIT(1);

    return file_read(loop_seams(), path, 0, &nothing) != E_NOT_FOUND;
}

/* Where another process serves it. */
static err_t ask_server(const struct schema_lookup *l, struct question q)
{
    const struct listen_config *at = &l->catalog->registry.listen;
    const struct pipeline_connection c = {
        .url = arena_printf(q.arena, "http%s://%.*s", at->tls ? "s" : "", STR_ARG(at->text)),
        .username = l->catalog->registry.user,
        .password = secret_reveal(&l->catalog->registry.password)};

    q.connection = &c;
    return run(l, q);
}

static err_t ask_file(const struct schema_lookup *l, struct question q)
{
    const char *path = l->catalog->registry.path.p;

    if (!is_there(path))
        return fail(E_NOT_FOUND, "registry.path: there are no schemas yet at %s: begin with `crossdock registry`",
                    path);
    err_t e = registry_open(path, &q.own);
    if (e == E_CONFIG) { /* most likely another process has it open */
        struct err_record words = *err_current();
        e = ask_server(l, q);
        if (e == OK || e == E_NOT_FOUND || e == E_UNSUPPORTED)
            return e;
        *err_current() = words;
        return err_context(E_CONFIG, "registry.path");
    }
    TRY(err_context(e, "registry.path"));
    e = run(l, q);
    registry_close(q.own);
    return e;
}

/* --- the hook --- */

static err_t look_up(void *ctx, const struct pipeline_connection *c, struct str subject, unsigned version,
                     struct arena *arena, struct subject_version *ret)
{
    static const struct pipeline_connection usual = {.url = STR_INIT(USUAL_URL)};
    const struct schema_lookup *l = ctx;
    struct question q = {c, l->own, subject, version, arena, ret};

    if (c || l->own)
        return run(l, q);
    if (l->catalog && l->catalog->registry.path.n)
        return ask_file(l, q);
    q.connection = &usual;
    err_t e = run(l, q);
    if (e == E_REFUSED)
        return fail(e, "no schema registry answers at " USUAL_URL
                       ": is it running? (a connection called \"registry\" says "
                       "where it is)");
    return e;
}

struct pipeline_registry schema_lookup_registry(struct schema_lookup *l)
{
    return (struct pipeline_registry){look_up, l};
}
