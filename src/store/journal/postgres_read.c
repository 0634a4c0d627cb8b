/*
 * postgres_read.c - pages of what a journal in PostgreSQL has.
 *
 * The idea: every query brings the same columns, so one function makes records of all of them. The server counts the bytes of bodies, so what it sends is a page and one
 * more row at most.
 */
#include "base/mem.h"
#include "store/journal/postgres_int.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* What a row has, in this order; ids, keys, causes, bodies and hashes in hexadecimal digits. */
enum column {
    COL_K,
    COL_ID,
    COL_ROOT,
    COL_PIPELINE,
    COL_SOURCE,
    COL_NODE,
    COL_KEY,
    COL_CAUSE,
    COL_PARTITION,
    COL_SHARD,
    COL_INDEX,
    COL_STATE,
    COL_COUNT,
    COL_EPOCH,
    COL_SEQ,
    COL_AT,
    COL_DUE,
    COL_FORM,
    COL_BODY,
    COL_HASH,
    COL_SIZE,
    COLUMNS
}; /* clang-format would give each a line */

#define ROW(k, id, root, pipeline, source, node, key, cause, partition, shard, index, state, count, epoch, seq, at,    \
            due)                                                                                                       \
    k " as k, " id " as id, " root " as root, " pipeline " as pipeline, " source " as source, " node " as node, " key  \
      " as key, " cause " as cause, " partition " as partition, " shard " as shard, " index " as idx, " state          \
      " as state, " count " as count, " epoch " as epoch, " seq " as seq, " at " as at, " due " as due"
#define SELECT(columns, from, where, order)                                                                            \
    "select k, encode(id, 'hex'), encode(root, 'hex'), pipeline, source, node, encode(key, 'hex'), "                   \
    "encode(cause, 'hex'), partition, shard, idx, state, count, epoch, seq, at, due, form, encode(body, 'hex'), "      \
    "encode(hash, 'hex'), size from (select q.*, sum(coalesce(length(body), 0)) over (order by " order                 \
    " rows unbounded preceding) - coalesce(length(body), 0) as before from (select " columns                           \
    ", t.form, t.body, b.hash, t.size from crossdock_journal." from                                                    \
    " left join crossdock_journal.blob as b on b.k = t.blob where " where " order by " order                           \
    " limit $1) as q) as p where before <= $2 order by " order

#define N "null::text"
#define B "null::bytea"
#define Z "0::bigint"
#define ROOT_ROW                                                                                                       \
    ROW("t.k", "t.id", B, "p.pipeline", "p.source", N, B, B, "p.partition", Z, Z, "t.state", "t.restarts", "p.epoch",  \
        "t.seq", "t.at", "t.due")
#define ROOT_FROM "root as t join crossdock_journal.progress as p on p.k = t.place"
#define STEP_ROW ROW("t.k", B, "o.id", N, N, "t.node", B, B, Z, Z, "t.idx", Z, Z, Z, Z, Z, Z)
#define STEP_FROM "step as t join crossdock_journal.root as o on o.k = t.root"
#define EFFECT_ROW ROW("t.k", "t.id", "o.id", N, N, N, B, B, Z, Z, Z, "t.state", Z, Z, Z, "t.at", Z)
#define EFFECT_FROM "effect as t join crossdock_journal.root as o on o.k = t.root"
#define PROGRESS_ROW ROW("t.k", B, B, "t.pipeline", "t.source", N, B, B, "t.partition", Z, Z, Z, Z, "t.epoch", Z, Z, Z)
#define INTENT_ROW ROW("t.k", B, B, "t.pipeline", N, "t.node", B, B, Z, "t.shard", Z, "t.state", Z, Z, "t.seq", Z, Z)
#define STATE_ROW ROW("t.k", B, B, "t.pipeline", N, "t.node", "t.key", B, Z, "t.shard", Z, Z, Z, Z, Z, Z, Z)
#define TIMER_ROW ROW("t.k", B, B, "t.pipeline", N, "t.node", "t.key", B, Z, "t.shard", Z, Z, Z, Z, Z, Z, "t.due")
#define GATE_ROW                                                                                                       \
    ROW("t.k", "t.id", "t.root_id", "t.pipeline", N, "t.node", B, "t.cause", Z, Z, Z, "t.state", Z, Z, Z, "t.at",      \
        "t.due")
#define DEAD_ROW                                                                                                       \
    ROW("t.k", "t.id", "t.root", "t.pipeline", N, "t.node", B, "t.cause", Z, Z, Z, Z, "t.replays", Z, Z, "t.at",       \
        "t.replayed")
#define TRACE_ROW ROW("t.k", "t.id", B, "t.pipeline", N, N, B, B, Z, Z, Z, Z, Z, Z, Z, "t.at", Z)

/* The values behind $2, by query; 'p' pipeline, 's' source, 'n' node, 'h' shard, 't' partition, 'k' key, 'c' cause, 'i' id, 'r' root, 'd' due, 'a' after. */
struct reading {
    const char *values, *sql;
};

static const struct reading readings[JOURNAL_QUERY_KINDS] = {
    [JOURNAL_ROOT] = {"i", SELECT(ROOT_ROW, ROOT_FROM, "t.id = $3", "k")},
    [JOURNAL_ROOTS] = {"psta", SELECT(ROOT_ROW, ROOT_FROM,
                                      "t.place in (select k from crossdock_journal.progress where pipeline = $3 and "
                                      "source = $4 and $5::bigint in (partition, 4294967295)) and t.state = 0 and "
                                      "t.k > $6",
                                      "k")},
    [JOURNAL_STEPS] = {"ra", SELECT(STEP_ROW, STEP_FROM, "o.id = $3 and t.k > $4", "k")},
    [JOURNAL_EFFECT] = {"ri", SELECT(EFFECT_ROW, EFFECT_FROM, "o.id = $3 and t.id = $4", "k")},
    [JOURNAL_EFFECTS] = {"ra", SELECT(EFFECT_ROW, EFFECT_FROM, "o.id = $3 and t.k > $4", "k")},
    [JOURNAL_PROGRESS] = {"pst", SELECT(PROGRESS_ROW, "progress as t",
                                        "t.pipeline = $3 and t.source = $4 and t.partition = $5", "k")},
    [JOURNAL_INTENTS] = {"pa", SELECT(INTENT_ROW, "intent as t", "t.pipeline = $3 and t.k > $4", "k")},
    [JOURNAL_STATES] = {"pnha", SELECT(STATE_ROW, "state as t",
                                       "t.pipeline = $3 and t.node = $4 and t.shard = $5 and t.k > $6", "k")},
    [JOURNAL_TIMERS] = {"phd",
                        SELECT(TIMER_ROW, "timer as t", "t.pipeline = $3 and t.shard = $4 and t.due <= $5", "due, k")},
    [JOURNAL_GATE] = {"i", SELECT(GATE_ROW, "gate as t", "t.id = $3", "k")},
    [JOURNAL_GATES] = {"pa", SELECT(GATE_ROW, "gate as t",
                                    "t.state = 0 and ($3::text = '' or t.pipeline = $3) and t.k > $4", "k")},
    [JOURNAL_DEAD] = {"i", SELECT(DEAD_ROW, "dead as t", "t.id = $3", "k")},
    [JOURNAL_DEADS] = {"pcna", SELECT(DEAD_ROW, "dead as t",
                                      "($3::text = '' or t.pipeline = $3) and ($4::bytea = '' or t.cause = $4) and "
                                      "($5::text = '' or t.node = $5) and t.k > $6",
                                      "k")},
    [JOURNAL_DEADS_OF] = {"ra", SELECT(DEAD_ROW, "dead as t", "t.root = $3 and t.k > $4", "k")},
    [JOURNAL_DEAD_GROUPS] =
        {"p", "select 0, null, null, pipeline, null, node, null, encode(cause, 'hex'), 0, 0, 0, 0, count(*), 0, 0, "
              "min(at), max(at), 0, null, null, 0 from crossdock_journal.dead where ($3::text = '' or pipeline = $3) "
              "and $2::bigint > 0 group by pipeline, cause, node limit $1"},
    [JOURNAL_TRACE] = {"i", SELECT(TRACE_ROW, "trace as t", "t.id = $3", "k")},
    [JOURNAL_TRACES] = {"pa", SELECT(TRACE_ROW, "trace as t", "($3::text = '' or t.pipeline = $3) and t.k > $4", "k")},
};

static const struct reading one_state = {
    "pnhk", SELECT(STATE_ROW, "state as t", "t.pipeline = $3 and t.node = $4 and t.shard = $5 and t.key = $6", "k")};

enum { VALUES_MAX = 6 };

/* ---- what is asked ---- */

static struct str hex_value(struct arena *a, struct str bytes)
{
    char *text = arena_alloc(a, 2 * bytes.n + 2);

    memcpy(text, "\\x", 2);
    hex_encode(text + 2, bytes.p, bytes.n);
    return str_of(text, 2 * bytes.n + 2);
}

static struct str number_value(struct arena *a, int64_t n)
{
    return arena_printf(a, "%" PRId64, n);
}

/* An absent text is an empty one. */
static struct str text_value(struct str s)
{
    return s.p ? s : STR("");
}

static struct str value_of(char what, const struct journal_query *q, struct arena *a)
{
    const struct journal_record *r = &q->r;

    switch (what) {
    case 'p':
        return text_value(r->pipeline);
    case 's':
        return text_value(r->source);
    case 'n':
        return text_value(r->node);
    case 'h':
        return number_value(a, r->shard);
    case 't':
        return number_value(a, r->partition);
    case 'k':
        return hex_value(a, r->key);
    case 'c':
        return hex_value(a, r->cause);
    case 'i':
        return hex_value(a, journal_id_str(&r->id));
    case 'r':
        return hex_value(a, journal_id_str(&r->root));
    case 'd':
        return number_value(a, r->due);
    default:
        return number_value(a, (int64_t)q->after);
    }
}

/* ---- what came ---- */

static err_t damaged(void)
{
    return fail(E_IO, "the journal is damaged: a row is not what was written");
}

static err_t bytes_of(struct str hex, struct arena *a, struct str *ret)
{
    char *to;

    *ret = STR_NONE;
    if (!hex.p)
        return OK;
    TRY(arena_try(a, hex.n / 2 + 1, &to));
    if (!hex_decode((unsigned char *)to, hex.n / 2, hex))
        return damaged();
    *ret = str_of(to, hex.n / 2);
    return OK;
}

/* An id; absent: of a kind of record that has none. */
static err_t id_of(struct str hex, struct journal_id *ret)
{
    return !hex.p || hex_decode(ret->b, sizeof ret->b, hex) ? OK : damaged();
}

static int64_t number_of(struct str cell)
{
    bool is_negative = str_starts(cell, STR("-"));
    uint64_t n = 0;

    if (!str_to_u64(str_slice(cell, is_negative, cell.n), (uint64_t)INT64_MAX + is_negative, &n))
        return 0;
    return is_negative ? (int64_t)(0 - n) : (int64_t)n;
}

static err_t body_of(const struct str *row, struct arena *a, struct journal_body *ret)
{
    *ret =
        (struct journal_body){.form = (uint16_t)number_of(row[COL_FORM]), .size = (uint64_t)number_of(row[COL_SIZE])};
    if (row[COL_HASH].p) {
        ret->is_blob = true;
        return hex_decode(ret->sha256, sizeof ret->sha256, row[COL_HASH]) ? OK : damaged();
    }
    TRY(bytes_of(row[COL_BODY], a, &ret->bytes));
    ret->size = ret->bytes.n;
    return OK;
}

static err_t record_of(const struct str *row, struct arena *a, struct journal_record *ret)
{
    *ret = (struct journal_record){
        .pipeline = row[COL_PIPELINE],
        .source = row[COL_SOURCE],
        .node = row[COL_NODE],
        .partition = (uint32_t)number_of(row[COL_PARTITION]),
        .shard = (uint32_t)number_of(row[COL_SHARD]),
        .index = (uint32_t)number_of(row[COL_INDEX]),
        .state = (uint32_t)number_of(row[COL_STATE]),
        .count = (uint32_t)number_of(row[COL_COUNT]),
        .epoch = (uint64_t)number_of(row[COL_EPOCH]),
        .seq = (uint64_t)number_of(row[COL_SEQ]),
        .at = number_of(row[COL_AT]),
        .due = number_of(row[COL_DUE]),
    };
    TRY(id_of(row[COL_ID], &ret->id));
    TRY(id_of(row[COL_ROOT], &ret->root));
    TRY(bytes_of(row[COL_KEY], a, &ret->key));
    TRY(bytes_of(row[COL_CAUSE], a, &ret->cause));
    return body_of(row, a, &ret->body);
}

static err_t take_rows(const struct journal_query *q, const struct postgres_rows *rows, struct arena *a,
                       struct journal_page *ret)
{
    size_t used = 0;
    uint64_t last = 0;

    if (rows->rows && rows->columns != COLUMNS)
        return damaged();
    ret->records = arena_alloc(a, (rows->rows + 1) * sizeof *ret->records);
    for (size_t i = 0; i < rows->rows; i++) {
        const struct str *row = rows->cells + i * COLUMNS;
        if (!journal_page_has_room(ret, q, &used, row[COL_BODY].n / 2)) {
            ret->next = last;
            return OK;
        }
        last = (uint64_t)number_of(row[COL_K]);
        TRY(record_of(row, a, &ret->records[ret->count]));
        ret->count++;
    }
    return OK;
}

err_t postgres_journal_read(struct postgres *db, const struct journal_query *q, struct arena *a,
                            struct journal_page *ret)
{
    const struct reading *reading = q->kind == JOURNAL_STATES && q->r.key.n ? &one_state : &readings[q->kind];
    struct str values[VALUES_MAX] = {number_value(a, (int64_t)q->limit + 1), number_value(a, JOURNAL_PAGE_BYTES)};
    size_t n = 2;
    struct postgres_rows rows;

    for (const char *what = reading->values; *what; what++)
        values[n++] = value_of(*what, q, a);
    TRY(postgres_do(db, str_from_c(reading->sql), values, n, a, &rows));
    return take_rows(q, &rows, a, ret);
}

err_t postgres_journal_blob(struct postgres *db, const unsigned char *sha256, struct arena *a, struct str *ret)
{
    struct str hash = hex_value(a, str_of((const char *)sha256, SHA256_BYTES));
    struct postgres_rows rows;

    TRY(postgres_do(db, STR("select encode(bytes, 'hex') from crossdock_journal.blob where hash = $1"), &hash, 1, a,
                    &rows));
    if (!rows.rows)
        return fail(E_NOT_FOUND, "the journal does not have that blob");
    return bytes_of(rows.cells[0], a, ret);
}
