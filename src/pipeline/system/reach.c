/* reach.c - secrets and certificates are read when a source or sink is made ready, so one that was replaced is seen at the next start. */
#include "pipeline/system/reach.h"

#include "base/log.h"
#include "rt/file.h"
#include "rt/loop.h"
#include "rt/worker.h"

enum { FILE_MAX = 256 * 1024 };
static const ns_t pause_first = 100 * NS_MS, pause_most = 10 * NS_SEC;

static const struct str by_path = STR_INIT("file:");

/* The text itself, or that of the file that it names, in the arena. */
static SUSPENDS err_t text_of(struct arena *a, struct str value, struct str *ret)
{
    *ret = value;
    if (!str_starts(value, by_path))
        return OK;
    return file_read_by_worker(a, str_slice(value, by_path.n, value.n), FILE_MAX, ret);
}

static SUSPENDS err_t read_password(struct reach *r, struct str value)
{
    struct str text;

    TRY(text_of(&r->arena, value, &text));
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    r->password = secret_make(text);
    if (str_starts(value, by_path))
        explicit_bzero((char *)(uintptr_t)text.p, text.n);
    return OK;
}

static SUSPENDS err_t begin(struct reach *r, const struct pipeline_connection *c)
{
    *r = (struct reach){0};
    arena_init(&r->arena, SIZE_MAX);
    TRY(url_parse(c->url, &r->url));
    return read_password(r, c->password);
}

/* A context is made from texts, which reading the system's authorities may block for: by a worker. */
struct tls_job {
    struct job job;
    struct arena arena;
    struct tls_client_options options;
    struct tls_ctx *made;
    err_t result;
    struct err_record words;
};

static void make_context(struct job *j)
{
    struct tls_job *t = CONTAINER_OF(j, struct tls_job, job);

    t->result = tls_client_ctx(&t->options, &t->made);
    t->words = *err_current();
}

static void drop_context(struct job *j)
{
    struct arena arena = CONTAINER_OF(j, struct tls_job, job)->arena; /* in which it lies itself */

    tls_ctx_unref(CONTAINER_OF(j, struct tls_job, job)->made);
    arena_release(&arena);
}

static SUSPENDS err_t read_tls(struct reach *r, const struct pipeline_connection *c)
{
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    struct tls_job *t = arena_new(&arena, struct tls_job);
    t->job = (struct job){.run = make_context, .drop = drop_context};
    t->arena = arena;
    err_t e = text_of(&t->arena, c->ca, &t->options.ca_pem);
    if (e == OK)
        e = text_of(&t->arena, c->cert, &t->options.cert_pem);
    if (e == OK)
        e = text_of(&t->arena, c->key, &t->options.key_pem);
    if (e != OK) {
        drop_context(&t->job);
        return e;
    }
    TRY(worker_run(&t->job));
    e = t->result;
    if (e == OK)
        r->at.tls = tls_ctx_ref(t->made);
    else
        *err_current() = t->words;
    drop_context(&t->job);
    return e;
}

err_t reach_open(const struct pipeline_connection *c, uint16_t port, struct str secure, struct reach *ret)
{
    TRY(begin(ret, c));
    ret->at.host = ret->url.host;
    ret->at.port = ret->url.port ? ret->url.port : port;
    ret->at.secure = str_eq_nocase(ret->url.scheme, secure);
    return ret->at.secure ? read_tls(ret, c) : OK;
}

err_t reach_redis(const struct pipeline_connection *c, struct reach *ret, struct redis_options *ret_options)
{
    enum { PORT = 6379, DATABASE_MAX = 65535, COMMANDS_MAX = 256 << 20 };
    uint64_t database = 0;

    TRY(reach_open(c, PORT, STR("rediss"), ret));
    struct str path = str_slice(ret->url.path, 1, ret->url.path.n);
    if (path.n && !str_to_u64(path, DATABASE_MAX, &database))
        return fail(E_CONFIG, "the path of a URL of Redis is the number of a database, not \"%.*s\"", STR_ARG(path));
    *ret_options = (struct redis_options){.at = ret->at,
                                          .user = c->username,
                                          .password = &ret->password,
                                          .database = (unsigned)database,
                                          .unsent_max = COMMANDS_MAX};
    return OK;
}

err_t reach_nats(const struct pipeline_connection *c, struct reach *ret, struct nats_options *ret_options)
{
    enum { PORT = 4222 };

    TRY(reach_open(c, PORT, STR("tls"), ret));
    *ret_options = (struct nats_options){.at = ret->at, .user = c->username, .password = &ret->password};
    return OK;
}

static err_t path_of(struct str value, const char *what, struct str *ret)
{
    if (value.n && !str_starts(value, by_path))
        return fail(E_CONFIG, "\"%s\" of this connection must name a file: \"file:/etc/…\"", what);
    *ret = value.n ? str_slice(value, by_path.n, value.n) : STR_NONE;
    return OK;
}

err_t reach_open_by_path(const struct pipeline_connection *c, struct reach *ret)
{
    TRY(begin(ret, c));
    TRY(path_of(c->ca, "ca", &ret->ca_file));
    TRY(path_of(c->cert, "cert", &ret->cert_file));
    return path_of(c->key, "key", &ret->key_file);
}

void reach_release(struct reach *r)
{
    tls_ctx_unref(r->at.tls);
    secret_release(&r->password);
    arena_release(&r->arena);
    *r = (struct reach){0};
}

/* Is it the kind of failure that ends by itself? */
static bool may_pass(err_t e)
{
    return e == E_IO || e == E_EOF || e == E_REFUSED || e == E_RESOLVE || e == E_AGAIN || e == E_UPSTREAM ||
           e == E_OVERLOAD || e == E_TLS;
}

err_t reach_in_time(err_t e, const char *whom)
{
    return e == E_DEADLINE && rt_now() < fiber_deadline() ? fail(E_IO, "%s did not answer in time", whom) : e;
}

err_t reach_wait(const struct pipeline_node *source, err_t e, ns_t *pause)
{
    if (!may_pass(e))
        return e;
    log_warn(STR_NONE, "source %.*s: %s", STR_ARG(source->name), err_detail(e));
    *pause = *pause ? ns_min(2 * *pause, pause_most) : pause_first;
    return fiber_sleep_until(ns_add(rt_now(), *pause));
}
