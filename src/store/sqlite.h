/*
 * sqlite.h - a SQLite database that one thread owns, and jobs that fibers hand to it.
 *
 * Whatever has gathered while the disk was busy is one transaction, so its price is shared (docs/adr/0025). A job that fails by itself is rolled
 * back by itself; the others of its group do not notice. The database is this process's alone while it is open. It reaches the disk through
 * the disk seam only.
 *
 * Limits: a group is at most SQLITE_GROUP_MAX jobs; callers bound how many wait and how large they are.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "base/err.h"
#include "base/str.h"
#include "rt/serial.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SQLITE_GROUP_MAX = 1024,
    SQLITE_PATH_MAX = 480, /* bytes of a path */
};

struct sqlite;

struct sqlite_options {
    const char *path;              /* the file; made if missing, its folder is not; beside it lies path-wal   */
    const char *what;              /* for messages: "the journal"                                             */
    uint32_t application;          /* a number that tells whose database this is                              */
    const char *const *migrations; /* [v]: SQL that leads from layout v to v + 1; NULL ends the list    */
    const char *const *statements; /* what jobs use, by their index; NULL ends the list                 */
    /* It is a database of the user's, with tables that are not ours: neither `application` nor a version of the layout is looked for or written, and
     * migrations[0] is run each time. */
    bool is_users;
};

/*
 * Open the database, or make it; recover what a crash left; bring its layout up to date; start the thread. Borrows *options and what it points to.
 *
 * Blocks: before loops run, or on a worker.
 *
 * Errors: E_IO: the disk, or the file is damaged; E_CONFIG: another process has it open, it is another program's, or a newer
 * version's. The words say which, and what to do.
 */
err_t sqlite_open(const struct sqlite_options *options, struct sqlite **ret) MUST_CHECK;
/* Do what is queued, move everything into the main file, and free. Blocks. NULL is allowed. */
void sqlite_close(struct sqlite *db);

/* --- jobs --- */

struct sqlite_job {
    struct serial_job job; /* `drop` is the caller's to set */
    /* On the thread, within a transaction; a failure undoes what it changed. May be run again, if another of the
     * group failed. Must not look at what the caller may free. */
    err_t (*run)(struct sqlite *db, struct sqlite_job *j);
    bool reads;     /* changes nothing: is run outside of transactions, after those that were handed over before it */
    bool is_posted; /* private, like the rest */
    err_t outcome;
    struct err_record words;
};

/*
 * Hand the job over and wait until what it changed is on the disk, synced. Who owns the job afterwards: see serial_run().
 *
 * Errors: the job's own; E_IO: the disk refused, or is full, and nothing is changed as far as this process knows: after a crash it may turn out to be
 * there after all, so a caller hands the same over again, in a form that does not mind; E_CANCELLED, E_DEADLINE.
 */
err_t sqlite_run(struct sqlite *db, struct sqlite_job *j) SUSPENDS MUST_CHECK;
/* Hand the job over without waiting. If the disk refuses it stays the next to be done, and is tried again with whatever comes; it is given up only
 * when the database is closed. It is dropped when it is done; j->job.result then says how it went. */
void sqlite_post(struct sqlite *db, struct sqlite_job *j);
/* Jobs that were posted and are kept because the disk refused. From any thread. */
unsigned sqlite_backlog(const struct sqlite *db);

/* --- within a job --- */

struct sqlite_value {
    enum { SQLITE_VALUE_NULL, SQLITE_VALUE_INT, SQLITE_VALUE_REAL, SQLITE_VALUE_TEXT, SQLITE_VALUE_BLOB } type;
    int64_t i;
    double real;
    struct str s;
};

#define SQL_NULL ((struct sqlite_value){.type = SQLITE_VALUE_NULL})
#define SQL_INT(v) ((struct sqlite_value){.type = SQLITE_VALUE_INT, .i = (int64_t)(v)})
#define SQL_REAL(v) ((struct sqlite_value){.type = SQLITE_VALUE_REAL, .real = (v)})
#define SQL_TEXT(v) ((struct sqlite_value){.type = SQLITE_VALUE_TEXT, .s = (v)})
#define SQL_BLOB(v) ((struct sqlite_value){.type = SQLITE_VALUE_BLOB, .s = (v)})

/* Begin statement number `statement` with `n` values, which stay where they are until it ends. */
err_t sqlite_begin(struct sqlite *db, unsigned statement, const struct sqlite_value *values, size_t n,
                   sqlite3_stmt **ret) MUST_CHECK;
/* The next row, or none, which ends the statement, as an error does. */
err_t sqlite_next(struct sqlite *db, sqlite3_stmt *st, bool *ret_row) MUST_CHECK;
/* End the statement before its last row. */
void sqlite_end(sqlite3_stmt *st);
/* Begin it, take the first row if there is one, whose first column is a number, and end it. */
err_t sqlite_number(struct sqlite *db, unsigned statement, const struct sqlite_value *values, size_t n, bool *ret_found,
                    int64_t *ret_number) MUST_CHECK;
/* A statement that returns no rows; how many it changed. */
err_t sqlite_change(struct sqlite *db, unsigned statement, const struct sqlite_value *values, size_t n,
                    int *ret_changed) MUST_CHECK;
int64_t sqlite_last_row(struct sqlite *db);
struct str sqlite_text(sqlite3_stmt *st, int column);
struct str sqlite_blob(sqlite3_stmt *st, int column);
/* E_IO that says that the file is damaged and what to do. `place` names what does not fit. */
err_t sqlite_damaged(struct sqlite *db, const char *place);

/* The values as an array and its length. */
#define SQL_VALUES(...)                                                                                                \
    (struct sqlite_value[]){__VA_ARGS__}, sizeof((struct sqlite_value[]){__VA_ARGS__}) / sizeof(struct sqlite_value)

#endif
