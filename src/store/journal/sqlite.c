/*
 * sqlite.c - a journal in a SQLite file: commits and reads as jobs of the database's thread.
 *
 * A job has a copy of everything, since whoever waits for it may leave. What a commit finds out (which roots were there, the epoch that was claimed)
 * goes back into the caller's operations when it is on the disk.
 *
 * Not here: what operations do to tables (sqlite_apply.c), pages (sqlite_read.c), the thread and its transactions (store/sqlite.c).
 */
#include "base/mem.h"
#include "store/journal/sqlite_int.h"

#include <stdatomic.h>

static const uint32_t APPLICATION = 0x58444a6e; /* "XDJn" */

static struct sqlite_journal *sqlite_of(struct journal *j)
{
    return CONTAINER_OF(j, struct sqlite_journal, base);
}

/* ---- commits ---- */

struct commit_job {
    struct sqlite_job job;
    struct sqlite_journal *journal;
    struct journal_copy *copy;
    bool is_async; /* counted in journal->queued */
};

static err_t commit_run(struct sqlite *db UNUSED, struct sqlite_job *job)
{
    struct commit_job *c = CONTAINER_OF(job, struct commit_job, job);

    for (size_t i = 0; i < c->copy->n; i++)
        TRY(journal_apply(c->journal, &c->copy->ops[i]));
    return OK;
}

static void commit_free(struct commit_job *c)
{
    mem_free(c->copy);
    mem_free(c);
}

static void commit_drop(struct serial_job *job)
{
    struct commit_job *c = CONTAINER_OF(job, struct commit_job, job.job);

    if (c->is_async) {
        (void)atomic_fetch_sub(&c->journal->queued, c->copy->bytes);
        if (job->result != OK)
            journal_note_failure(&c->journal->base, job->result);
    }
    commit_free(c);
}

static struct commit_job *commit_new(struct sqlite_journal *j, const struct journal_op *ops, size_t n)
{
    struct commit_job *c = NEW(struct commit_job);

    c->job.job.drop = commit_drop;
    c->job.run = commit_run;
    c->journal = j;
    c->copy = journal_copy_ops(ops, n);
    return c;
}

/* False: too much waits already. */
static bool post(struct sqlite_journal *j, struct commit_job *c)
{
    size_t bytes = c->copy->bytes;

    if (atomic_fetch_add(&j->queued, bytes) > JOURNAL_QUEUE_MAX) {
        (void)atomic_fetch_sub(&j->queued, bytes);
        return false;
    }
    c->is_async = true;
    sqlite_post(j->db, &c->job);
    return true;
}

static SUSPENDS err_t commit(struct journal *base, struct journal_op *ops, size_t n, enum journal_durability durability)
{
    struct sqlite_journal *j = sqlite_of(base);
    struct commit_job *c = commit_new(j, ops, n);

    if (durability == JOURNAL_ASYNC && post(j, c))
        return OK;
    err_t e = sqlite_run(j->db, &c->job);
    if (e == E_CANCELLED || e == E_DEADLINE) /* the thread's now */
        return e;
    if (e == OK)
        journal_copy_outcomes(c->copy, ops);
    commit_free(c);
    return e;
}

/* ---- reads ---- */

struct read_job {
    struct sqlite_job job;
    struct sqlite_journal *journal;
    struct journal_query query;
    unsigned char sha256[SHA256_BYTES];
    struct arena arena; /* of the query and the result */
    struct journal_page page;
    struct str bytes;
};

static err_t read_run(struct sqlite *db UNUSED, struct sqlite_job *job)
{
    struct read_job *r = CONTAINER_OF(job, struct read_job, job);
    return journal_gather(r->journal, &r->query, &r->arena, &r->page);
}

static err_t blob_run(struct sqlite *db, struct sqlite_job *job)
{
    struct read_job *r = CONTAINER_OF(job, struct read_job, job);
    struct str hash = str_of((const char *)r->sha256, sizeof r->sha256);
    sqlite3_stmt *st = NULL;
    bool found;

    TRY(sqlite_begin(db, SQL_BLOB_BYTES, SQL_VALUES(SQL_BLOB(hash)), &st));
    TRY(sqlite_next(db, st, &found));
    if (!found)
        return fail(E_NOT_FOUND, "the journal does not have that blob");
    r->bytes = arena_str(&r->arena, sqlite_blob(st, 0));
    sqlite_end(st);
    return OK;
}

static void read_free(struct read_job *r)
{
    arena_release(&r->arena);
    mem_free(r);
}

static void read_drop(struct serial_job *job)
{
    read_free(CONTAINER_OF(job, struct read_job, job.job));
}

static struct read_job *read_new(struct sqlite_journal *j, err_t (*run)(struct sqlite *db, struct sqlite_job *job))
{
    struct read_job *r = NEW(struct read_job);

    r->job.job.drop = read_drop;
    r->job.run = run;
    r->job.reads = true;
    r->journal = j;
    arena_init(&r->arena, SIZE_MAX); /* a page has limits of its own */
    return r;
}

static SUSPENDS err_t read_page(struct journal *base, const struct journal_query *query, struct arena *arena,
                                struct journal_page *ret)
{
    struct sqlite_journal *j = sqlite_of(base);
    struct read_job *r = read_new(j, read_run);

    r->query = *query;
    err_t e = journal_copy_record(&r->arena, &query->r, &r->query.r);
    if (e == OK) {
        e = sqlite_run(j->db, &r->job);
        if (e == E_CANCELLED || e == E_DEADLINE)
            return e;
    }
    if (e == OK)
        e = journal_copy_page(arena, &r->page, ret);
    read_free(r);
    return e;
}

static SUSPENDS err_t read_blob(struct journal *base, const unsigned char *sha256, struct arena *arena, struct str *ret)
{
    struct sqlite_journal *j = sqlite_of(base);
    struct read_job *r = read_new(j, blob_run);

    memcpy(r->sha256, sha256, SHA256_BYTES);
    err_t e = sqlite_run(j->db, &r->job);
    if (e == E_CANCELLED || e == E_DEADLINE)
        return e;
    if (e == OK)
        e = journal_copy_bytes(arena, r->bytes, ret);
    read_free(r);
    return e;
}

/* ---- life ---- */

static err_t open_journal(const struct journal_options *o, struct journal **ret)
{
    struct sqlite_journal *j = NEW(struct sqlite_journal);
    const struct sqlite_options options = {
        .path = o->path,
        .what = "the journal",
        .application = APPLICATION,
        .migrations = journal_migrations,
        .statements = journal_statements,
    };

    j->traces_max = o->traces_max;
    j->trace_age = o->trace_age;
    j->dead_age = o->dead_age;
    err_t e = sqlite_open(&options, &j->db);
    if (e != OK) {
        mem_free(j);
        return e;
    }
    *ret = &j->base;
    return OK;
}

static void close_journal(struct journal *base)
{
    struct sqlite_journal *j = sqlite_of(base);

    sqlite_close(j->db);
    mem_free(j);
}

const struct journal_kind journal_kind_sqlite = {
    .name = "sqlite",
    .open = open_journal,
    .close = close_journal,
    .commit = commit,
    .read = read_page,
    .blob = read_blob,
};
