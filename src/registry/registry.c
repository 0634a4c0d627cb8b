/*
 * registry.c - the registry's database, its thread, and which path is answered by what.
 *
 * A request is copied into a job and answered on the thread as a whole, in a transaction of its own: so nothing that it looked at can change before it is done.
 * An answer that says no has changed nothing.
 */
#include "registry/registry.h"

#include "base/mem.h"
#include "codec/url.h"
#include "registry/registry_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const uint32_t APPLICATION = 0x58445372; /* "XDSr" */

static const char layout_1[] =
    "CREATE TABLE schema(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, text TEXT NOT NULL);"
    "CREATE TABLE version(subject TEXT NOT NULL, version INTEGER NOT NULL, schema INTEGER NOT NULL, deleted INTEGER "
    "NOT "
    "NULL, PRIMARY KEY(subject, version)) WITHOUT ROWID;"
    "CREATE INDEX version_schema ON version(schema);"
    "CREATE TABLE setting(kind TEXT NOT NULL, subject TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(kind, subject)) "
    "WITHOUT ROWID;";
static const char *const migrations[] = {layout_1, NULL};

#define STATEMENT_TEXT(id, sql) [SQL_##id] = (sql),
static const char *const statements[] = {REGISTRY_STATEMENTS(STATEMENT_TEXT)[SQL_STATEMENTS] = NULL};

struct registry {
    struct sqlite *db;
};

err_t registry_open(const char *path, struct registry **ret)
{
    const struct sqlite_options o = {.path = path,
                                     .what = "the schema registry",
                                     .application = APPLICATION,
                                     .migrations = migrations,
                                     .statements = statements};
    struct sqlite *db;

    TRY(sqlite_open(&o, &db));
    *ret = NEW(struct registry);
    (*ret)->db = db;
    return OK;
}

void registry_close(struct registry *r)
{
    if (!r)
        return;
    sqlite_close(r->db);
    mem_free(r);
}

/* --- what answers have in common --- */

err_t exchange_refuse(struct exchange *x, int code, const char *fmt, ...)
{
    char text[1000];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    x->status = code > 1000 ? code / 100 : code;
    buf_clear(&x->text);
    x->out = json_out_to(&x->text);
    json_open(&x->out, '{');
    json_member_i64(&x->out, STR("error_code"), code);
    json_member_str(&x->out, STR("message"), str_from_c(text));
    json_close(&x->out, '}');
    return OK;
}

bool exchange_flag(const struct exchange *x, const char *name)
{
    return str_eq_nocase(url_query_get(x->query, str_from_c(name), x->arena), STR("true"));
}

static err_t answer_root(struct exchange *x)
{
    json_open(&x->out, '{');
    json_close(&x->out, '}');
    return OK;
}

static err_t answer_types(struct exchange *x)
{
    json_open(&x->out, '[');
    json_put_str(&x->out, STR("JSON"));
    json_close(&x->out, ']');
    return OK;
}

/* --- paths --- */

/* "*" is any segment. */
static const struct route {
    const char *method, *path;
    err_t (*answer)(struct exchange *x);
} routes[] = {
    {"GET", "", answer_root},
    {"GET", "subjects", answer_subjects},
    {"POST", "subjects/*", answer_look_up},
    {"DELETE", "subjects/*", answer_delete_subject},
    {"GET", "subjects/*/versions", answer_versions},
    {"POST", "subjects/*/versions", answer_register},
    {"GET", "subjects/*/versions/*", answer_version},
    {"DELETE", "subjects/*/versions/*", answer_delete_version},
    {"GET", "subjects/*/versions/*/schema", answer_version_schema},
    {"GET", "schemas/types", answer_types},
    {"GET", "schemas/ids/*", answer_schema},
    {"GET", "schemas/ids/*/schema", answer_schema_text},
    {"GET", "schemas/ids/*/subjects", answer_schema_subjects},
    {"GET", "schemas/ids/*/versions", answer_schema_versions},
    {"POST", "compatibility/subjects/*/versions", answer_check},
    {"POST", "compatibility/subjects/*/versions/*", answer_check},
    {"GET", "config", answer_config},
    {"PUT", "config", answer_put_config},
    {"DELETE", "config", answer_delete_config},
    {"GET", "config/*", answer_config},
    {"PUT", "config/*", answer_put_config},
    {"DELETE", "config/*", answer_delete_config},
    {"GET", "mode", answer_mode},
    {"PUT", "mode", answer_put_mode},
    {"GET", "mode/*", answer_mode},
    {"PUT", "mode/*", answer_put_mode},
    {"DELETE", "mode/*", answer_delete_mode},
};

static bool is_path(const struct exchange *x, const char *path)
{
    struct str rest = str_from_c(path);
    size_t i = 0;

    for (; rest.n; i++) {
        struct str part = str_cut(&rest, '/');
        if (i == x->segment_count || (!str_eq(part, STR("*")) && !str_eq(part, x->segments[i])))
            return false;
    }
    return i == x->segment_count;
}

static err_t answer_path(struct exchange *x)
{
    bool is_known = false;

    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (!is_path(x, routes[i].path))
            continue;
        is_known = true;
        if (str_eq(x->method, str_from_c(routes[i].method)))
            return routes[i].answer(x);
    }
    return is_known ? exchange_refuse(x, CODE_NO_METHOD, "HTTP 405 Method Not Allowed")
                    : exchange_refuse(x, CODE_NO_PATH, "HTTP 404 Not Found");
}

static err_t split(struct exchange *x, struct str path, bool *ret_ok)
{
    *ret_ok = true;
    while (path.n) {
        struct str part = str_cut(&path, '/');
        if (!part.n)
            continue;
        *ret_ok = *ret_ok && x->segment_count < SEGMENTS_MAX;
        if (!*ret_ok)
            return OK;
        TRY(url_decode(part, x->arena, &x->segments[x->segment_count++]));
    }
    return OK;
}

/* Read the parts of a request, and answer it. */
static err_t answer(struct exchange *x, const struct registry_request *q)
{
    const struct json_tree *tree;
    bool has_place;

    x->status = 200;
    x->method = q->method;
    x->query = q->query;
    if (split(x, q->path, &has_place) != OK || !has_place)
        return exchange_refuse(x, CODE_NO_PATH, "HTTP 404 Not Found");
    if (q->body.n) {
        if (json_tree_parse(x->arena, q->body, &tree) != OK)
            return exchange_refuse(x, 400, "The request's body is no JSON document");
        x->body = json_tree_root(tree);
    }
    return answer_path(x);
}

/* --- the job --- */

struct ask_job {
    struct sqlite_job job;
    struct arena arena; /* of the request */
    struct registry_request request;
    struct arena working;
    int status;
    struct buf text;
};

static err_t ask_run(struct sqlite *db, struct sqlite_job *job)
{
    struct ask_job *a = CONTAINER_OF(job, struct ask_job, job);
    struct exchange x = {.db = db, .arena = &a->working, .text = BUF_INIT(REGISTRY_ANSWER_MAX)};

    arena_clear(&a->working); /* it may be run again */
    buf_release(&a->text);
    x.out = json_out_to(&x.text);
    err_t e = answer(&x, &a->request);
    a->status = x.status;
    a->text = x.text;
    return e == OK ? buf_status(&a->text) : e;
}

static void ask_free(struct ask_job *a)
{
    buf_release(&a->text);
    arena_release(&a->working);
    arena_release(&a->arena);
    mem_free(a);
}

static void ask_drop(struct serial_job *job)
{
    ask_free(CONTAINER_OF(job, struct ask_job, job.job));
}

err_t registry_ask(struct registry *r, const struct registry_request *q, struct arena *arena,
                   struct registry_answer *ret)
{
    struct ask_job *a = NEW(struct ask_job);

    a->job.job.drop = ask_drop;
    a->job.run = ask_run;
    arena_init(&a->arena, SIZE_MAX);
    arena_init(&a->working, SIZE_MAX / 2);
    a->request = (struct registry_request){.method = arena_str(&a->arena, q->method),
                                           .path = arena_str(&a->arena, q->path),
                                           .query = arena_str(&a->arena, q->query),
                                           .body = arena_str(&a->arena, q->body)};
    a->job.reads = str_eq(q->method, STR("GET"));
    err_t e = sqlite_run(r->db, &a->job);
    if (e == E_CANCELLED || e == E_DEADLINE) /* the thread's now */
        return e;
    if (e == OK)
        *ret = (struct registry_answer){a->status, arena_str(arena, buf_str(&a->text))};
    ask_free(a);
    return e;
}
