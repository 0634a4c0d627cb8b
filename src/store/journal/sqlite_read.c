/*
 * sqlite_read.c - pages of what a journal in SQLite has. On the database's thread, outside of transactions.
 *
 * The idea: every statement that reads brings the same columns, so one function makes records of all of them. A page ends at its limit of rows or bytes;
 * `next` is the number of its last row, by which the following page finds its beginning in an index.
 */
#include "store/journal/sqlite_int.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { PAGE_ROWS_FIRST = 16 };

/* ---- a row ---- */

static void copy_id(struct str bytes, struct journal_id *ret)
{
    if (bytes.n == sizeof ret->b)
        memcpy(ret->b, bytes.p, bytes.n);
}

static uint32_t small_number(sqlite3_stmt *st, enum journal_column c)
{
    return (uint32_t)sqlite3_column_int64(st, c);
}

static struct journal_body body_of(sqlite3_stmt *st)
{
    struct journal_body b = {.form = (uint16_t)sqlite3_column_int64(st, COL_FORM), .bytes = sqlite_blob(st, COL_BODY)};
    struct str hash = sqlite_blob(st, COL_HASH);

    if (hash.n == SHA256_BYTES) {
        b.is_blob = true;
        memcpy(b.sha256, hash.p, hash.n);
        b.size = (uint64_t)sqlite3_column_int64(st, COL_SIZE);
    } else {
        b.size = b.bytes.n;
    }
    return b;
}

/* The record that the row is, in SQLite's memory. */
static struct journal_record record_of(sqlite3_stmt *st)
{
    struct journal_record r = {
        .pipeline = sqlite_text(st, COL_PIPELINE),
        .source = sqlite_text(st, COL_SOURCE),
        .node = sqlite_text(st, COL_NODE),
        .key = sqlite_blob(st, COL_KEY),
        .cause = sqlite_text(st, COL_CAUSE),
        .partition = small_number(st, COL_PARTITION),
        .shard = small_number(st, COL_SHARD),
        .index = small_number(st, COL_INDEX),
        .state = small_number(st, COL_STATE),
        .count = small_number(st, COL_COUNT),
        .epoch = (uint64_t)sqlite3_column_int64(st, COL_EPOCH),
        .seq = (uint64_t)sqlite3_column_int64(st, COL_SEQ),
        .at = sqlite3_column_int64(st, COL_AT),
        .due = sqlite3_column_int64(st, COL_DUE),
        .body = body_of(st),
    };

    copy_id(sqlite_blob(st, COL_ID), &r.id);
    copy_id(sqlite_blob(st, COL_ROOT), &r.root);
    return r;
}

static const char *const kinds[JOURNAL_QUERY_KINDS] = {
    [JOURNAL_ROOT] = "root",         [JOURNAL_ROOTS] = "root",           [JOURNAL_STEPS] = "step",
    [JOURNAL_EFFECT] = "effect",     [JOURNAL_EFFECTS] = "effect",       [JOURNAL_PROGRESS] = "progress",
    [JOURNAL_INTENTS] = "intent",    [JOURNAL_STATES] = "state",         [JOURNAL_TIMERS] = "timer",
    [JOURNAL_GATE] = "gate",         [JOURNAL_GATES] = "gate",           [JOURNAL_DEAD] = "dead letter",
    [JOURNAL_DEADS] = "dead letter", [JOURNAL_DEADS_OF] = "dead letter", [JOURNAL_DEAD_GROUPS] = "dead letter",
    [JOURNAL_TRACE] = "trace",       [JOURNAL_TRACES] = "trace",
};

/* Is the body what was written? A large one is checked against its hash when it is fetched. */
static err_t check_body(struct sqlite_journal *j, enum journal_query_kind kind, sqlite3_stmt *st,
                        const struct journal_body *b)
{
    char place[120];

    if (b->is_blob || !b->bytes.n || journal_body_sum(b->form, b->bytes) == sqlite3_column_int64(st, COL_SUM))
        return OK;
    (void)snprintf(place, sizeof place, "the body of %s number %" PRId64 " is not what was written", kinds[kind],
                   (int64_t)sqlite3_column_int64(st, COL_K));
    return sqlite_damaged(j->db, place);
}

/* ---- a page ---- */

static void make_room(struct arena *a, struct journal_page *p, size_t *cap)
{
    if (p->count < *cap)
        return;
    size_t more = *cap ? 2 * *cap : PAGE_ROWS_FIRST;
    struct journal_record *records = arena_alloc(a, more * sizeof *records);
    if (p->count)
        memcpy(records, p->records, p->count * sizeof *records);
    p->records = records;
    *cap = more;
}

/* The rows of the statement, as far as the page has room. */
static err_t gather(struct sqlite_journal *j, const struct journal_query *q, sqlite3_stmt *st, struct arena *a,
                    struct journal_page *ret)
{
    size_t cap = 0, used = 0;
    uint64_t last = 0;
    bool row;

    for (;;) {
        TRY(sqlite_next(j->db, st, &row));
        if (!row)
            return OK;
        struct journal_record r = record_of(st);
        if (!journal_page_has_room(ret, q, &used, r.body.bytes.n)) {
            ret->next = last;
            sqlite_end(st);
            return OK;
        }
        last = (uint64_t)sqlite3_column_int64(st, COL_K);
        make_room(a, ret, &cap);
        err_t e = check_body(j, q->kind, st, &r.body);
        if (e == OK)
            e = journal_copy_record(a, &r, &ret->records[ret->count]);
        if (e != OK) {
            sqlite_end(st);
            return e;
        }
        ret->count++;
    }
}

static err_t gather_from(struct sqlite_journal *j, const struct journal_query *q, enum journal_statement statement,
                         const struct sqlite_value *values, size_t n, struct arena *a, struct journal_page *ret)
{
    sqlite3_stmt *st = NULL;

    TRY(sqlite_begin(j->db, statement, values, n, &st));
    return gather(j, q, st, a, ret);
}

/* --- what belongs to a root --- */

static err_t gather_of_root(struct sqlite_journal *j, const struct journal_query *q, enum journal_statement statement,
                            struct arena *a, struct journal_page *ret)
{
    bool found;
    int64_t root;

    TRY(journal_find_root(j, &q->r.root, &found, &root));
    if (!found)
        return OK;
    int64_t first = root << SLOT_BITS, after = (int64_t)q->after > first ? (int64_t)q->after : first - 1;
    return gather_from(
        j, q, statement,
        SQL_VALUES(SQL_BLOB(journal_id_str(&q->r.root)), SQL_INT(after), SQL_INT((root + 1) << SLOT_BITS)), a, ret);
}

static err_t gather_effect(struct sqlite_journal *j, const struct journal_query *q, struct arena *a,
                           struct journal_page *ret)
{
    bool found;
    int64_t root, k;

    TRY(journal_find_root(j, &q->r.root, &found, &root));
    if (!found)
        return OK;
    TRY(journal_find_effect(j, root, &q->r.id, &found, &k));
    if (!found)
        return OK;
    return gather_from(j, q, SQL_READ_EFFECT, SQL_VALUES(SQL_BLOB(journal_id_str(&q->r.root)), SQL_INT(k)), a, ret);
}

/* --- each query --- */

static err_t gather_dead(struct sqlite_journal *j, const struct journal_query *q, struct arena *a,
                         struct journal_page *ret)
{
    const struct journal_record *r = &q->r;
    bool is_one_group = r->pipeline.n && r->cause.n && r->node.n;

    return gather_from(j, q, is_one_group ? SQL_READ_DEADS_ALIKE : SQL_READ_DEADS,
                       SQL_VALUES(SQL_TEXT(r->pipeline), SQL_TEXT(r->cause), SQL_TEXT(r->node), SQL_INT(q->after)), a,
                       ret);
}

static err_t gather_traces(struct sqlite_journal *j, const struct journal_query *q, struct arena *a,
                           struct journal_page *ret)
{
    if (!q->r.pipeline.n)
        return gather_from(j, q, SQL_READ_TRACES, SQL_VALUES(SQL_INT(q->after)), a, ret);
    return gather_from(j, q, SQL_READ_TRACES_OF, SQL_VALUES(SQL_INT(q->after), SQL_TEXT(q->r.pipeline)), a, ret);
}

err_t journal_gather(struct sqlite_journal *j, const struct journal_query *q, struct arena *a, struct journal_page *ret)
{
    const struct journal_record *r = &q->r;
    struct sqlite_value id = SQL_BLOB(journal_id_str(&r->id)), pipeline = SQL_TEXT(r->pipeline),
                        node = SQL_TEXT(r->node);
    struct sqlite_value source = SQL_TEXT(r->source), partition = SQL_INT(r->partition), shard = SQL_INT(r->shard);
    struct sqlite_value after = SQL_INT(q->after);

    switch (q->kind) {
    case JOURNAL_ROOT:
        return gather_from(j, q, SQL_READ_ROOT, SQL_VALUES(id), a, ret);
    case JOURNAL_ROOTS:
        return gather_from(j, q, SQL_READ_ROOTS, SQL_VALUES(pipeline, source, partition, after), a, ret);
    case JOURNAL_STEPS:
        return gather_of_root(j, q, SQL_READ_STEPS, a, ret);
    case JOURNAL_EFFECTS:
        return gather_of_root(j, q, SQL_READ_EFFECTS, a, ret);
    case JOURNAL_EFFECT:
        return gather_effect(j, q, a, ret);
    case JOURNAL_PROGRESS:
        return gather_from(j, q, SQL_READ_PROGRESS, SQL_VALUES(pipeline, source, partition), a, ret);
    case JOURNAL_INTENTS:
        return gather_from(j, q, SQL_READ_INTENTS, SQL_VALUES(pipeline, after), a, ret);
    case JOURNAL_STATES:
        if (r->key.n)
            return gather_from(j, q, SQL_READ_STATE, SQL_VALUES(pipeline, node, shard, SQL_BLOB(r->key)), a, ret);
        return gather_from(j, q, SQL_READ_STATES, SQL_VALUES(pipeline, node, shard, after), a, ret);
    case JOURNAL_TIMERS:
        return gather_from(j, q, SQL_READ_TIMERS, SQL_VALUES(pipeline, shard, SQL_INT(r->due)), a, ret);
    case JOURNAL_GATE:
        return gather_from(j, q, SQL_READ_GATE, SQL_VALUES(id), a, ret);
    case JOURNAL_GATES:
        return gather_from(j, q, SQL_READ_GATES, SQL_VALUES(pipeline, after), a, ret);
    case JOURNAL_DEAD:
        return gather_from(j, q, SQL_READ_DEAD, SQL_VALUES(id), a, ret);
    case JOURNAL_DEADS:
        return gather_dead(j, q, a, ret);
    case JOURNAL_DEADS_OF:
        return gather_from(j, q, SQL_READ_DEADS_OF, SQL_VALUES(SQL_BLOB(journal_id_str(&r->root)), after), a, ret);
    case JOURNAL_DEAD_GROUPS:
        return gather_from(j, q, SQL_READ_DEAD_GROUPS, SQL_VALUES(pipeline), a, ret);
    case JOURNAL_TRACE:
        return gather_from(j, q, SQL_READ_TRACE, SQL_VALUES(id), a, ret);
    case JOURNAL_TRACES:
        return gather_traces(j, q, a, ret);
    case JOURNAL_QUERY_KINDS:
        break;
    }
    assert(!"a query of no kind");
    return OK;
}
