/*
 * postgres_int.h - the inside of a journal in PostgreSQL. Private to store/journal/postgres*.c.
 *
 * All of it lies in a schema of its own, crossdock_journal, so it may share a database with anything else.
 */
#ifndef STORE_JOURNAL_POSTGRES_INT_H
#define STORE_JOURNAL_POSTGRES_INT_H

#include "client/postgres.h"
#include "rt/serial.h"
#include "store/journal_int.h"

struct postgres_journal {
    struct journal base;
    struct serial *serial;
    struct postgres_options options; /* its texts are in `texts` */
    struct arena texts;
    struct secret password;
    uint64_t traces_max;
    ns_t trace_age, dead_age;
    _Atomic size_t queued; /* bytes of asynchronous commits that are not done */
    /* Of the fiber that works: */
    struct postgres *db;
    struct postgres_job *first, **end; /* to be done, oldest first */
};

/* A commit, or a read. It has a copy of everything, since whoever waits for it may leave. */
struct postgres_job {
    struct serial_job job;
    struct postgres_journal *journal;
    struct postgres_job *next;
    /* A commit: */
    struct journal_copy *copy; /* NULL: it is a read */
    bool is_async;             /* counted in journal->queued */
    /* A read: */
    bool wants_blob;
    struct journal_query query;
    unsigned char sha256[SHA256_BYTES];
    struct arena arena; /* of the query and what it brought */
    struct journal_page page;
    struct str bytes;
};

/* --- postgres_schema.c --- */

/* Make the tables, or bring them up to date; several processes may do so at a time. E_CONFIG: they are of a newer version. And postgres_do()'s. */
err_t postgres_journal_migrate(struct postgres *db) SUSPENDS MUST_CHECK;

/* --- postgres_commit.c --- */

/*
 * Bring about the commits of a list, in its order, each wholly or not at all, in one transaction.
 *
 * *ret_refused: the one that is refused, for the reason in the result; none of them has come about then. NULL: the result is that of all, and an error
 * says nothing of whether they came about.
 */
err_t postgres_journal_commit(struct postgres_journal *j, struct postgres_job *first, const struct postgres_job *end,
                              struct postgres_job **ret_refused) SUSPENDS MUST_CHECK;
/* Can PostgreSQL keep these texts? E_CONFLICT. */
err_t postgres_journal_check(const struct journal_op *ops, size_t n) MUST_CHECK;

/* --- postgres_read.c --- */

err_t postgres_journal_read(struct postgres *db, const struct journal_query *q, struct arena *a,
                            struct journal_page *ret) SUSPENDS MUST_CHECK;
/* E_NOT_FOUND. */
err_t postgres_journal_blob(struct postgres *db, const unsigned char *sha256, struct arena *a, struct str *ret) SUSPENDS
MUST_CHECK;

#endif
