/*
 * postgres_table.c - rows to a table of PostgreSQL, each batch once.
 *
 * A batch is a transaction, and its first statement takes the turn: it advances the number in crossdock_emit (SQL_EMIT_TABLE) from n - 1 to n, if the
 * epoch is still ours. No row changed means that the batch is there already, because the answer to a commit was lost, or that another process has
 * the sink. The row's lock keeps any other transaction for this sink waiting; so whoever opens the sink, and raises the epoch, thereby waits for the end of
 * a commit that a killed process has left on its way, and shuts out what it might send later.
 *
 * Rows go in statements of many. When the database refuses one of these for its values, all is undone, and the batch is done again row by row,
 * each in a savepoint: a row that is refused then is the sink's last word on it, and becomes a dead letter.
 *
 * A commit must outlive the server's crash, so `synchronous_commit = off` is overruled; stronger settings stay.
 *
 * Does not: make or change the user's table.
 */
#include "pipeline/system/postgres_table.h"

#include "base/log.h"
#include "base/mem.h"
#include "client/postgres.h"
#include "pipeline/system/reach.h"
#include "pipeline/system/sql.h"
#include "pipeline/system/web.h"

#include <inttypes.h>

enum { ROWS_AT_ONCE = 500, STATEMENT_MAX = 4 << 20, ANSWER_MAX = 1 << 20 };

/* A process that is stopped in the midst of a batch holds up whoever takes over from it no longer than that. */
static const ns_t silence_most = 5 * NS_SEC;

struct writer {
    struct postgres_table table;
    struct reach reach;
    struct postgres *db;
    struct str key[4];  /* of our row in crossdock_emit: pipeline, sink, shard, epoch */
    uint64_t prepared;  /* the batch that `values` are of; 0: none                    */
    struct str *values; /* of its items, row by row                                  */
    struct arena arena; /* of `key`                                                  */
};

static SUSPENDS err_t ask(struct writer *w, struct str sql, const struct str *values, size_t n, struct arena *a,
                          struct postgres_rows *ret)
{
    arena_init(a, ANSWER_MAX);
    return postgres_do(w->db, sql, values, n, a, ret);
}

/* A statement of which only the number of rows matters. */
static SUSPENDS err_t change(struct writer *w, struct str sql, const struct str *values, size_t n,
                             uint64_t *ret_changed)
{
    struct arena a CLEANUP(arena_release) = {0};
    struct postgres_rows rows;

    TRY(ask(w, sql, values, n, &a, &rows));
    if (ret_changed)
        *ret_changed = rows.changed;
    return OK;
}

static SUSPENDS err_t run(struct writer *w, struct str sql)
{
    return change(w, sql, NULL, 0, NULL);
}

/* A row of two numbers. */
static err_t two_numbers(const struct postgres_rows *r, uint64_t *ret_first, uint64_t *ret_second)
{
    if (r->rows != 1 || r->columns != 2 || !str_to_u64(r->cells[0], INT64_MAX, ret_first) ||
        !str_to_u64(r->cells[1], INT64_MAX, ret_second))
        return fail(E_CONFIG, "crossdock_emit in this database is not the table that it should be");
    return OK;
}

/* --- opening --- */

/* Who may write tables but not make them needs it to be there already. */
static SUSPENDS err_t make_emit_table(struct writer *w)
{
    struct arena a CLEANUP(arena_release) = {0};
    struct postgres_rows rows;

    TRY(ask(w, STR("select 1 where to_regclass('crossdock_emit') is not null"), NULL, 0, &a, &rows));
    if (rows.rows)
        return OK;
    err_t e = run(w, STR(SQL_EMIT_TABLE));
    return e == E_CONFLICT ? OK : e; /* somebody else was making it at the same time */
}

/* Does the user's table take such rows? Better found out now than with the first record. */
static SUSPENDS err_t check_table(struct writer *w)
{
    struct buf sql CLEANUP(buf_release) = BUF_INIT(STATEMENT_MAX);
    struct arena a CLEANUP(arena_release) = {0};

    TRY(buf_add_lit(&sql, "explain "));
    TRY(w->table.insert(w->table.sink, 1, &sql));
    arena_init(&a, ANSWER_MAX);
    struct str *nulls = arena_zalloc(&a, w->table.width * sizeof *nulls);
    err_t e = postgres_do(w->db, buf_str(&sql), nulls, w->table.width, &a, NULL);
    return e == E_CONFLICT ? OK : e; /* a null where there can be none: the planner may look at constants */
}

/* Take the sink over: *ret_seq is the number of the last batch that was applied. */
static SUSPENDS err_t take_over(struct writer *w, uint64_t first, uint64_t *ret_seq)
{
    struct arena a CLEANUP(arena_release) = {0};
    struct postgres_rows rows;
    uint64_t epoch;

    TRY(make_emit_table(w));
    struct str values[] = {w->key[0], w->key[1], w->key[2], arena_printf(&w->arena, "%" PRIu64, first - 1)};
    TRY(ask(w,
            STR("insert into crossdock_emit as e (pipeline, sink, shard, epoch, seq) values ($1, $2, $3, 1, $4) "
                "on conflict (pipeline, sink, shard) do update set epoch = e.epoch + 1 returning epoch, seq"),
            values, ARRAY_LEN(values), &a, &rows));
    TRY(two_numbers(&rows, &epoch, ret_seq));
    w->key[3] = arena_printf(&w->arena, "%" PRIu64, epoch);
    return OK;
}

/* The numbers there are not those of this journal: it is another one, or one of the two was brought back from a copy. */
static SUSPENDS err_t renumber(struct writer *w, uint64_t seq, uint64_t there)
{
    struct arena a CLEANUP(arena_release) = {0};

    arena_init(&a, ANSWER_MAX);
    log_warn(STR_NONE,
             "pipeline %.*s: sink %.*s: the database has seen batch %" PRIu64 ", the journal %" PRIu64
             ": they are not of one life, and batches are counted from the journal's on",
             STR_ARG(w->table.pipeline), STR_ARG(w->table.sink->name), there, seq);
    struct str values[] = {w->key[0], w->key[1], w->key[2], w->key[3], arena_printf(&a, "%" PRIu64, seq)};
    return change(
        w, STR("update crossdock_emit set seq = $5 where pipeline = $1 and sink = $2 and shard = $3 and epoch = $4"),
        values, ARRAY_LEN(values), NULL);
}

static SUSPENDS err_t make_ready(struct writer *w, const struct sink_at *at, bool *ret_applied)
{
    const uint64_t seq = at->seq;
    uint64_t there;

    TRY(reach_open_by_path(w->table.sink->connection, &w->reach));
    w->db = postgres_new(&(struct postgres_options){.url = w->table.sink->connection->url,
                                                    .user = w->table.sink->connection->username,
                                                    .password = &w->reach.password,
                                                    .ca_file = w->reach.ca_file,
                                                    .cert_file = w->reach.cert_file,
                                                    .key_file = w->reach.key_file,
                                                    .idle_time = silence_most});
    TRY(take_over(w, seq, &there));
    TRY(shard_is_ours(at->home));
    TRY(check_table(w));
    *ret_applied = at->is_open && there == seq;
    return there == seq - 1 || *ret_applied ? OK : renumber(w, seq - 1, there);
}

err_t postgres_table_open(const struct postgres_table *t, const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    struct writer *w = NEW(struct writer);

    w->table = *t;
    arena_init(&w->arena, SIZE_MAX);
    w->key[0] = t->pipeline;
    w->key[1] = t->sink->name;
    w->key[2] = arena_printf(&w->arena, "%" PRIu32, at->shard);
    err_t e = make_ready(w, at, ret_applied);
    if (e != OK) {
        postgres_table_close(w);
        return e;
    }
    *ret_state = w;
    return OK;
}

void postgres_table_close(void *state)
{
    struct writer *w = state;

    postgres_free(w->db);
    reach_release(&w->reach);
    arena_release(&w->arena);
    mem_free(w->values);
    mem_free(w);
}

/* --- rows --- */

static void refuse(struct batch_item *item, err_t e)
{
    item->refused = e;
    item->reason = arena_str(step_arena(&(struct step){.root = item->record->root}), str_from_c(err_detail(e)));
}

/* Once for a batch, however often it is tried. */
static void prepare(struct writer *w, const struct batch *b)
{
    if (w->prepared == b->seq)
        return;
    w->values = mem_realloc(w->values, (b->count * w->table.width + 1) * sizeof *w->values);
    for (size_t i = 0; i < b->count; i++) {
        struct batch_item *item = &b->items[i];
        struct step s = {.root = item->record->root, .node = w->table.sink, .in = item->record};
        err_t e = w->table.row(&s, item, &w->values[i * w->table.width]);
        if (e != OK)
            refuse(item, e);
    }
    w->prepared = b->seq;
}

/* One statement: the items from *at on that are not refused, as many as it may have; their values lie side by side in `values`. */
static SUSPENDS err_t insert_some(struct writer *w, const struct batch *b, size_t *at, struct str *values)
{
    struct buf sql CLEANUP(buf_release) = BUF_INIT(STATEMENT_MAX);
    size_t width = w->table.width, most = POSTGRES_VALUES_MAX / width, rows = 0;

    if (most > ROWS_AT_ONCE)
        most = ROWS_AT_ONCE;
    for (; *at < b->count && rows < most; ++*at)
        if (b->items[*at].refused == OK)
            memcpy(&values[rows++ * width], &w->values[*at * width], width * sizeof *values);
    if (rows == 0)
        return OK;
    TRY(w->table.insert(w->table.sink, rows, &sql));
    return change(w, buf_str(&sql), values, rows * width, NULL);
}

static SUSPENDS err_t insert_together(struct writer *w, const struct batch *b)
{
    struct str *values = mem_alloc(ROWS_AT_ONCE * w->table.width * sizeof *values);
    err_t e = OK;

    for (size_t at = 0; at < b->count && e == OK;)
        e = insert_some(w, b, &at, values);
    mem_free(values);
    return e;
}

static SUSPENDS err_t insert_one(struct writer *w, struct batch_item *item, const struct str *values, struct str sql)
{
    TRY(run(w, STR("savepoint record")));
    err_t e = change(w, sql, values, w->table.width, NULL);
    if (e != E_CONFLICT)
        return e;
    refuse(item, e);
    return run(w, STR("rollback to savepoint record"));
}

/* Are others refused than those of which the journal knows? Then nothing of the batch may come about yet. */
static err_t check_refused(const struct batch *b, size_t known)
{
    size_t n = batch_refused(b);

    return n == known ? OK : fail(E_CONFLICT, "%zu of %zu records are refused", n, b->count);
}

static SUSPENDS err_t insert_apart(struct writer *w, const struct batch *b)
{
    struct buf sql CLEANUP(buf_release) = BUF_INIT(STATEMENT_MAX);
    size_t known = batch_refused(b);

    TRY(w->table.insert(w->table.sink, 1, &sql));
    TRY(run(w, STR("set constraints all immediate"))); /* else some are only told when all is committed */
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].refused == OK)
            TRY(insert_one(w, &b->items[i], &w->values[i * w->table.width], buf_str(&sql)));
    return check_refused(b, known);
}

/* --- turns --- */

/* It was not our turn: why? OK: the batch is there already. */
static SUSPENDS err_t look_who(struct writer *w, uint64_t seq)
{
    struct arena a CLEANUP(arena_release) = {0};
    struct postgres_rows rows;
    uint64_t epoch, there, ours;

    TRY(run(w, STR("rollback")));
    TRY(ask(w, STR("select epoch, seq from crossdock_emit where pipeline = $1 and sink = $2 and shard = $3"), w->key, 3,
            &a, &rows));
    TRY(two_numbers(&rows, &epoch, &there));
    if (!str_to_u64(w->key[3], INT64_MAX, &ours) || epoch != ours)
        return fail(E_FENCED, "another process writes to this sink: it came when this one was there already");
    if (there != seq)
        return fail(E_FENCED, "the database has seen batch %" PRIu64 " and now gets %" PRIu64, there, seq);
    return OK;
}

static SUSPENDS err_t transact(struct writer *w, const struct batch *b,
                               err_t (*insert)(struct writer *w, const struct batch *b) SUSPENDS)
{
    struct arena a CLEANUP(arena_release) = {0};
    uint64_t turns;

    arena_init(&a, ANSWER_MAX);
    struct str values[] = {w->key[0], w->key[1], w->key[2], w->key[3], arena_printf(&a, "%" PRIu64, b->seq)};
    TRY(run(w, STR("begin")));
    TRY(change(
        w,
        STR("update crossdock_emit set seq = $5 where pipeline = $1 and sink = $2 and shard = $3 and epoch = $4 and "
            "seq = $5::bigint - 1 returning case when current_setting('synchronous_commit') = 'off' "
            "then set_config('synchronous_commit', 'on', true) end"),
        values, ARRAY_LEN(values), &turns));
    if (turns == 0)
        return look_who(w, b->seq);
    TRY(insert(w, b));
    return run(w, STR("commit"));
}

err_t postgres_table_apply(void *state, const struct batch *b)
{
    struct writer *w = state;
    size_t known = batch_refused(b);

    prepare(w, b);
    TRY(check_refused(b, known));
    err_t e = transact(w, b, insert_together);
    if (e == E_CONFLICT) {
        postgres_rollback(w->db);
        e = transact(w, b, insert_apart);
    }
    if (e != OK)
        postgres_rollback(w->db);
    return e;
}
