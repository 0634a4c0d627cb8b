/*
 * sqlite.c - a database that one thread owns: opening it, groups of jobs as transactions, what went wrong in words.
 *
 * The idea: a commit costs a sync of the disk, whatever it holds. So the jobs that gathered while the last sync was under way are one transaction.
 * When one of them fails, which is rare, all are run again, each within a savepoint of its own: a job's failure is its own, a failure of the disk is
 * everybody's. Nothing waits for company: with one job at hand the transaction is that job.
 *
 * Settings: WAL with synchronous=FULL, so a commit is one write and one sync; exclusive locking, because one process owns the file, which also spares
 * WAL its shared memory; no automatic checkpoint, which would fall into somebody's commit: it is made when there is nothing to do, or when the log
 * has grown very large.
 *
 * Invariants: everything but the backlog's length is touched by the thread alone once the database is open. A job was given back, or is in
 * `kept`. Between groups there is no transaction.
 *
 * What it does not do: databases for several processes; backups; shrinking a file that once was large.
 */
#include "store/sqlite.h"

#include "base/log.h"
#include "base/mem.h"
#include "store/sqlite_vfs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    CHECKPOINT_IDLE = 1000,    /* pages in the log that are moved when there is nothing else to do */
    CHECKPOINT_ALWAYS = 16384, /* pages in the log at which it is done at once                     */
    CHECK_PAGES_MAX = 16384,   /* a file of so many pages is looked through when it is opened      */
    CACHE_KIB = 32 * 1024,
    LOG_KEPT = 64 * 1024 * 1024, /* bytes of the log that stay allocated                           */
};

struct job_list {
    struct serial_job *first, **end;
};

struct sqlite {
    struct serial *thread;
    struct sqlite_vfs *vfs;
    sqlite3 *db;
    sqlite3_stmt **statements;
    size_t statement_count;
    sqlite3_stmt *begin, *commit, *rollback, *save, *keep, *undo;
    char *path;
    const char *what;
    int log_pages;            /* in the write-ahead log after the last commit                         */
    bool is_damaged;          /* nothing more is written                                              */
    struct job_list kept;     /* posted jobs that wait for the disk, oldest first                     */
    _Atomic unsigned backlog; /* how many those are */
};

/* ---- what went wrong ---- */

err_t sqlite_damaged(struct sqlite *db, const char *place)
{
    return fail(
        E_IO,
        "%s %s is damaged: %s. Stop, keep a copy of it and its -wal, and save what can be read: sqlite3 FILE .recover",
        db->what, db->path, place);
}

/* SQLite itself cannot find its way in the file: what it writes from here on could make things worse. */
static err_t stop_writing(struct sqlite *db, const char *words)
{
    err_t e = sqlite_damaged(db, words);

    if (!db->is_damaged)
        log_error(STR_NONE, "%s (nothing more is written to it)", err_detail(e));
    db->is_damaged = true;
    return e;
}

/* The error that SQLite's code means. */
static err_t sqlite_error(struct sqlite *db, int code)
{
    const char *words = sqlite3_errmsg(db->db);

    switch (code & 0xff) {
    case SQLITE_FULL:
        return fail(E_IO, "%s %s: the disk is full", db->what, db->path);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return fail(E_IO, "%s %s: cannot %s it: %s", db->what, db->path, db->vfs->failed ? db->vfs->failed : "use",
                    strerrordesc_np(db->vfs->error));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail(E_CONFIG, "%s %s is in use by another process", db->what, db->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return stop_writing(db, words);
    case SQLITE_CONSTRAINT:
        return fail(E_CONFLICT, "%s %s: %s", db->what, db->path, words);
    case SQLITE_TOOBIG:
        return fail(E_TOO_LARGE, "%s %s: %s", db->what, db->path, words);
    default:
        return fail(E_IO, "%s %s: %s (SQLite's code %d)", db->what, db->path, words, code);
    }
}

/* ---- statements ---- */

static int bind_value(sqlite3_stmt *st, int at, const struct sqlite_value *v)
{
    switch (v->type) {
    case SQLITE_VALUE_NULL:
        return sqlite3_bind_null(st, at);
    case SQLITE_VALUE_INT:
        return sqlite3_bind_int64(st, at, v->i);
    case SQLITE_VALUE_REAL:
        return sqlite3_bind_double(st, at, v->real);
    case SQLITE_VALUE_TEXT:
        return sqlite3_bind_text64(st, at, v->s.p ? v->s.p : "", v->s.n, SQLITE_STATIC, SQLITE_UTF8);
    case SQLITE_VALUE_BLOB:
        return sqlite3_bind_blob64(st, at, v->s.p ? v->s.p : "", v->s.n, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

err_t sqlite_begin(struct sqlite *db, unsigned statement, const struct sqlite_value *values, size_t n,
                   sqlite3_stmt **ret)
{
    assert(statement < db->statement_count);
    sqlite3_stmt *st = db->statements[statement];
    assert((size_t)sqlite3_bind_parameter_count(st) == n);
    for (size_t i = 0; i < n; i++) {
        int code = bind_value(st, (int)i + 1, &values[i]);
        if (code != SQLITE_OK)
            return sqlite_error(db, code);
    }
    *ret = st;
    return OK;
}

void sqlite_end(sqlite3_stmt *st)
{
    (void)sqlite3_reset(st); /* tells again what the last step told */
}

err_t sqlite_next(struct sqlite *db, sqlite3_stmt *st, bool *ret_row)
{
    int code = sqlite3_step(st);

    *ret_row = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        return OK;
    err_t e = code == SQLITE_DONE ? OK : sqlite_error(db, sqlite3_extended_errcode(db->db));
    sqlite_end(st);
    return e;
}

err_t sqlite_number(struct sqlite *db, unsigned statement, const struct sqlite_value *values, size_t n, bool *ret_found,
                    int64_t *ret_number)
{
    sqlite3_stmt *st = NULL;
    bool found;

    TRY(sqlite_begin(db, statement, values, n, &st));
    TRY(sqlite_next(db, st, &found));
    *ret_found = found;
    if (!found)
        return OK;
    *ret_number = sqlite3_column_int64(st, 0);
    sqlite_end(st);
    return OK;
}

err_t sqlite_change(struct sqlite *db, unsigned statement, const struct sqlite_value *values, size_t n,
                    int *ret_changed)
{
    sqlite3_stmt *st = NULL;
    bool row;

    TRY(sqlite_begin(db, statement, values, n, &st));
    TRY(sqlite_next(db, st, &row));
    assert(!row);
    if (ret_changed)
        *ret_changed = sqlite3_changes(db->db);
    return OK;
}

int64_t sqlite_last_row(struct sqlite *db)
{
    return sqlite3_last_insert_rowid(db->db);
}

struct str sqlite_blob(sqlite3_stmt *st, int column)
{
    const void *p = sqlite3_column_blob(st, column);
    return str_of(p, (size_t)sqlite3_column_bytes(st, column));
}

struct str sqlite_text(sqlite3_stmt *st, int column)
{
    const unsigned char *p = sqlite3_column_text(st, column);
    return str_of((const char *)p, (size_t)sqlite3_column_bytes(st, column));
}

/* A statement of ours that has neither values nor rows. */
static err_t step_plain(struct sqlite *db, sqlite3_stmt *st)
{
    bool row;
    return sqlite_next(db, st, &row);
}

/* ---- groups ---- */

static struct sqlite_job *job_of(struct serial_job *j)
{
    return CONTAINER_OF(j, struct sqlite_job, job);
}

static void append(struct job_list *l, struct serial_job *j)
{
    j->next = NULL;
    *l->end = j;
    l->end = &j->next;
}

static void note_outcome(struct sqlite_job *j, err_t e)
{
    j->outcome = e;
    if (e != OK)
        j->words = *err_current();
}

static void give_back(struct sqlite_job *j)
{
    if (j->outcome != OK)
        *err_current() = j->words;
    serial_done(&j->job, j->outcome);
}

/* Has the disk failed, rather than the job? Then SQLite may have ended the transaction, and nobody's changes can be trusted to be in it. */
static bool is_everybodys(const struct sqlite *db)
{
    return sqlite3_get_autocommit(db->db) || db->is_damaged;
}

/* Run the job, within the transaction. An error is the whole group's; the job's own is its outcome. */
static err_t run_job(struct sqlite *db, struct sqlite_job *j)
{
    err_t e = j->run(db, j);
    int code = sqlite3_extended_errcode(db->db) & 0xff;

    note_outcome(j, e);
    return e == OK || (!is_everybodys(db) && (e != E_IO || (code != SQLITE_FULL && code != SQLITE_IOERR))) ? OK : e;
}

/* All in one, which costs the least: the first that fails by itself ends it, with nothing changed. */
static err_t run_together(struct sqlite *db, struct serial_job *first, struct serial_job *end, bool *ret_failed)
{
    TRY(step_plain(db, db->begin));
    for (struct serial_job *j = first; j != end; j = j->next) {
        TRY(run_job(db, job_of(j)));
        *ret_failed = job_of(j)->outcome != OK;
        if (*ret_failed)
            return step_plain(db, db->rollback);
    }
    return step_plain(db, db->commit);
}

/* Each in a savepoint of its own. */
static err_t run_apart(struct sqlite *db, struct serial_job *first, struct serial_job *end)
{
    TRY(step_plain(db, db->begin));
    for (struct serial_job *j = first; j != end; j = j->next) {
        TRY(step_plain(db, db->save));
        TRY(run_job(db, job_of(j)));
        if (job_of(j)->outcome != OK)
            TRY(step_plain(db, db->undo));
        TRY(step_plain(db, db->keep));
    }
    return step_plain(db, db->commit);
}

static err_t run_jobs(struct sqlite *db, struct serial_job *first, struct serial_job *end)
{
    bool failed = false;

    if (db->is_damaged)
        return sqlite_damaged(db, "see the first message");
    TRY(run_together(db, first, end, &failed));
    return failed && first->next != end ? run_apart(db, first, end) : OK;
}

/* One transaction: the jobs from `first` up to before `end`. False: the disk refused, and none of them is done. */
static bool do_transaction(struct sqlite *db, struct serial_job *first, struct serial_job *end)
{
    err_t e = run_jobs(db, first, end);
    struct err_record words = *err_current();

    if (e == OK)
        return true;
    if (!sqlite3_get_autocommit(db->db))
        (void)step_plain(db, db->rollback);
    for (struct serial_job *j = first; j != end; j = j->next) {
        job_of(j)->outcome = e;
        job_of(j)->words = words;
    }
    return false;
}

/* Give back what is done; if the disk refused keep what was posted. */
static void settle(struct sqlite *db, struct serial_job *first, struct serial_job *end, bool done)
{
    for (struct serial_job *j = first, *next; j != end; j = next) {
        next = j->next;
        if (done || !job_of(j)->is_posted || db->is_damaged) {
            give_back(job_of(j));
            continue;
        }
        append(&db->kept, j);
        (void)atomic_fetch_add(&db->backlog, 1);
    }
}

static struct serial_job *after_some(struct serial_job *j, unsigned n)
{
    while (j && n--)
        j = j->next;
    return j;
}

static void do_writes(struct sqlite *db, struct serial_job *j)
{
    while (j) {
        struct serial_job *end = after_some(j, SQLITE_GROUP_MAX);
        settle(db, j, end, do_transaction(db, j, end));
        j = end;
    }
}

static void do_reads(struct sqlite *db, struct serial_job *j)
{
    for (struct serial_job *next; j; j = next) {
        next = j->next;
        struct sqlite_job *read = job_of(j);
        note_outcome(read, serial_is_abandoned(j) ? E_AGAIN : read->run(db, read));
        give_back(read);
    }
}

static void checkpoint(struct sqlite *db)
{
    int left = 0;

    if (sqlite3_wal_checkpoint_v2(db->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, &left) == SQLITE_OK)
        db->log_pages = 0;
    /* Else the log holds it all the same, and there is a next time. */
}

/* What was kept goes first, so that posted jobs keep their order. */
static void on_group(void *ctx, struct serial_job *jobs)
{
    struct sqlite *db = ctx;
    struct job_list writes = db->kept, reads = {.end = &reads.first};

    if (!writes.first)
        writes.end = &writes.first;
    db->kept = (struct job_list){.end = &db->kept.first};
    atomic_store(&db->backlog, 0);
    for (struct serial_job *next; jobs; jobs = next) {
        next = jobs->next;
        append(job_of(jobs)->reads ? &reads : &writes, jobs);
    }
    do_writes(db, writes.first);
    do_reads(db, reads.first);
    if (db->log_pages >= CHECKPOINT_ALWAYS)
        checkpoint(db);
}

static void on_idle(void *ctx)
{
    struct sqlite *db = ctx;

    if (db->log_pages >= CHECKPOINT_IDLE)
        checkpoint(db);
}

static int on_commit(void *ctx, sqlite3 *handle UNUSED, const char *name UNUSED, int pages)
{
    ((struct sqlite *)ctx)->log_pages = pages;
    return SQLITE_OK;
}

/* ---- opening ---- */

static err_t execute(struct sqlite *db, const char *sql)
{
    int code = sqlite3_exec(db->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? OK : sqlite_error(db, sqlite3_extended_errcode(db->db));
}

static err_t prepare(struct sqlite *db, const char *sql, sqlite3_stmt **ret)
{
    int code = sqlite3_prepare_v3(db->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
    return code == SQLITE_OK ? OK : sqlite_error(db, sqlite3_extended_errcode(db->db));
}

/* The number that a statement without values tells. */
static err_t ask(struct sqlite *db, const char *sql, int64_t *ret)
{
    sqlite3_stmt *st = NULL;
    bool row = false;

    TRY(prepare(db, sql, &st));
    err_t e = sqlite_next(db, st, &row);
    if (e == OK)
        *ret = row ? sqlite3_column_int64(st, 0) : 0;
    (void)sqlite3_finalize(st);
    return e;
}

/* Does the file hang together, as far as SQLite can tell? Large files are believed, and tell when the damage is met. */
static err_t look_through(struct sqlite *db)
{
    sqlite3_stmt *st = NULL;
    bool row = false;
    int64_t pages = 0;

    TRY(ask(db, "PRAGMA page_count", &pages));
    if (pages > CHECK_PAGES_MAX)
        return OK;
    TRY(prepare(db, "PRAGMA quick_check(1)", &st));
    db->vfs->failed = NULL;
    err_t e = sqlite_next(db, st, &row);
    if (e == OK && row && !str_eq(sqlite_text(st, 0), STR("ok"))) {
        const char *words = (const char *)sqlite3_column_text(st, 0), *line = strchr(words, '\n');
        /* A page that the disk did not give counts as damage there; else the first line says only which database. */
        e = db->vfs->failed ? sqlite_error(db, SQLITE_IOERR) : stop_writing(db, line ? line + 1 : words);
    }
    (void)sqlite3_finalize(st);
    return e;
}

static err_t migrate(struct sqlite *db, const char *const *migrations, int64_t from)
{
    char sql[64];

    for (int64_t v = from; migrations[v]; v++) {
        TRY(execute(db, "BEGIN IMMEDIATE"));
        TRY(execute(db, migrations[v]));
        (void)snprintf(sql, sizeof sql, "PRAGMA user_version = %" PRId64, v + 1);
        TRY(execute(db, sql));
        TRY(execute(db, "COMMIT"));
    }
    return OK;
}

static err_t check_layout(struct sqlite *db, const struct sqlite_options *o)
{
    int64_t application = 0, version = 0, known = 0, tables = 0;
    char sql[64];

    TRY(ask(db, "PRAGMA application_id", &application));
    TRY(ask(db, "PRAGMA user_version", &version));
    TRY(ask(db, "SELECT count(*) FROM sqlite_schema", &tables));
    while (o->migrations[known])
        known++;
    if (application != o->application && (application || version || tables))
        return fail(E_CONFIG, "%s is a database of another program, not %s", db->path, db->what);
    if (version > known)
        return fail(E_CONFIG,
                    "%s %s was written by a newer version: its layout is %" PRId64 ", this program knows %" PRId64,
                    db->what, db->path, version, known);
    if (application != o->application) {
        (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %" PRIu32, o->application);
        TRY(execute(db, sql));
    }
    return migrate(db, o->migrations, version);
}

static err_t prepare_all(struct sqlite *db, const char *const *statements)
{
    while (statements[db->statement_count])
        db->statement_count++;
    db->statements = mem_zalloc(db->statement_count + 1, sizeof(sqlite3_stmt *));
    for (size_t i = 0; i < db->statement_count; i++)
        TRY(prepare(db, statements[i], &db->statements[i]));
    TRY(prepare(db, "BEGIN IMMEDIATE", &db->begin));
    TRY(prepare(db, "COMMIT", &db->commit));
    TRY(prepare(db, "ROLLBACK", &db->rollback));
    TRY(prepare(db, "SAVEPOINT job", &db->save));
    TRY(prepare(db, "RELEASE job", &db->keep));
    return prepare(db, "ROLLBACK TO job", &db->undo);
}

static err_t open_file(struct sqlite *db, const struct sqlite_options *o)
{
    char sql[320];
    int code = sqlite3_open_v2(db->path, &db->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                               db->vfs->name);

    if (code != SQLITE_OK)
        return sqlite_error(db, db->vfs->is_taken ? SQLITE_BUSY : code);
    (void)sqlite3_extended_result_codes(db->db, 1);
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;"
                   "PRAGMA secure_delete = OFF; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                   "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = %d; PRAGMA cache_size = -%d;"
                   "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = OFF",
                   LOG_KEPT, CACHE_KIB);
    TRY(execute(db, sql));
    (void)sqlite3_wal_hook(db->db, on_commit, db);
    TRY(look_through(db));
    TRY(o->is_users ? execute(db, o->migrations[0]) : check_layout(db, o));
    return prepare_all(db, o->statements);
}

/* Free all but the thread. */
static void release(void *ctx)
{
    struct sqlite *db = ctx;
    sqlite3_stmt *own[] = {db->begin, db->commit, db->rollback, db->save, db->keep, db->undo};

    if (db->kept.first) { /* a last try */
        log_warn(STR_NONE, "%s %s: %u commits are tried a last time", db->what, db->path, sqlite_backlog(db));
        on_group(db, NULL);
    }
    for (struct serial_job *j = db->kept.first, *next; j; j = next) {
        next = j->next;
        give_back(job_of(j));
    }
    for (size_t i = 0; i < db->statement_count; i++)
        (void)sqlite3_finalize(db->statements[i]);
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        (void)sqlite3_finalize(own[i]);
    (void)sqlite3_close(db->db);
    sqlite_vfs_free(db->vfs);
    mem_free(db->statements);
    mem_free(db->path);
    mem_free(db);
}

err_t sqlite_open(const struct sqlite_options *options, struct sqlite **ret)
{
    static const struct serial_ops ops = {.group = on_group, .idle = on_idle, .close = release};

    if (strlen(options->path) > SQLITE_PATH_MAX)
        return fail(E_CONFIG, "the path of %s is longer than %d bytes", options->what, SQLITE_PATH_MAX);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* a lock per allocation; refused once SQLite is in use */
    struct sqlite *db = NEW(struct sqlite);
    db->what = options->what;
    db->path = mem_dup(options->path, strlen(options->path));
    db->vfs = sqlite_vfs_new(loop_seams());
    db->kept.end = &db->kept.first;
    err_t e = open_file(db, options);
    if (e == OK)
        e = serial_start("sqlite", &ops, db, &db->thread);
    if (e != OK) {
        struct err_record words = *err_current();
        release(db);
        *err_current() = words;
        return e;
    }
    *ret = db;
    return OK;
}

void sqlite_close(struct sqlite *db)
{
    if (db)
        serial_close(db->thread);
}

/* ---- the fibers' side ---- */

err_t sqlite_run(struct sqlite *db, struct sqlite_job *j)
{
    j->is_posted = false;
    return serial_run(db->thread, &j->job);
}

void sqlite_post(struct sqlite *db, struct sqlite_job *j)
{
    j->is_posted = true;
    serial_post(db->thread, &j->job);
}

unsigned sqlite_backlog(const struct sqlite *db)
{
    return atomic_load(&db->backlog);
}
