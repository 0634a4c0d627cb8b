/*
 * sqlite.c - records to a table of an SQLite file, which this process has for itself: rows and the batch's number in one transaction.
 *
 * A batch is one job for the database's thread. It advances the number of the last batch (SQL_EMIT_TABLE) from n - 1 to n, and if it cannot because the
 * number is n already, the batch is there. Rows that a constraint refuses become dead letters; the others are a batch of their own then.
 *
 * The table is made if it is not there, its columns without types. The file is locked while the pipeline runs: nobody else can read it then, and two
 * sinks cannot have the same one.
 */
#include "store/sqlite.h"
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/run/run.h"
#include "pipeline/system/sql.h"
#include "pipeline/system/web.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "rt/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct sqlite_sink {
    struct sql_table table;
    struct schema_text file;
    struct str pipeline;
};

static const struct schema_field sqlite_fields[] = {
    SCHEMA_TEXT("file", struct sqlite_sink, file, .required = true,
                .doc = "Path of the database; made if it is not there."),
    SQL_FIELDS(struct sqlite_sink, table), SCHEMA_END};
static const struct schema_object sqlite_object = {.fields = sqlite_fields, .size = sizeof(struct sqlite_sink)};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("sqlite", &sqlite_object, .doc = "A table of an SQLite database."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct sqlite_sink *c = n->config;

    sql_build(b, n, &c->table);
    c->pipeline = b->spec->name;
}

static const struct promise_row promises[] = {{.when = "",
                                               .promise = PROMISE_EXACTLY,
                                               .how =
                                                   "one transaction holds the rows and `update … set seq = n where seq "
                                                   "= n - 1`; no row changed means that it is done already"},
                                              {0}};

/* --- opening and closing, which block: by a worker --- */

enum { INSERT, TURN, LAST, FIRST, RENUMBER, STATEMENTS };
enum { SQL_MAX = 1 << 20 };
static const ns_t close_time = 30 * NS_SEC;

struct open_job {
    struct job job;
    struct arena arena;
    struct sqlite_options options;
    const char *migrations[2], *statements[STATEMENTS + 1];
    struct sqlite *db;
    err_t result;
    struct err_record words;
};

static void do_open(struct job *j)
{
    struct open_job *o = CONTAINER_OF(j, struct open_job, job);

    o->result = sqlite_open(&o->options, &o->db);
    o->words = *err_current();
}

static void drop_open(struct job *j)
{
    struct arena arena = CONTAINER_OF(j, struct open_job, job)->arena; /* in which it lies itself */

    sqlite_close(CONTAINER_OF(j, struct open_job, job)->db);
    arena_release(&arena);
}

static const char *text_of(struct arena *a, const struct buf *b)
{
    return arena_str(a, buf_str(b)).p;
}

/* The user's table, as far as the file says what it is, and ours. */
static err_t write_tables(const struct sql_table *t, struct buf *to)
{
    TRY(buf_add_lit(to, SQL_EMIT_TABLE "; create table if not exists "));
    TRY(sql_name(to, t->table.text));
    for (size_t i = 0; i < sql_width(t); i++) {
        TRY(buf_add(to, i ? STR(", ") : STR(" (")));
        TRY(sql_name(to, sql_column_name(t, i)));
    }
    for (size_t i = 0; i < t->key_count; i++) {
        TRY(buf_add(to, i ? STR(", ") : STR(", unique (")));
        TRY(sql_name(to, t->keys[i].text));
    }
    return buf_add(to, t->key_count ? STR("))") : STR(")"));
}

static err_t write_statements(struct open_job *o, const struct sql_table *t)
{
    struct buf tables CLEANUP(buf_release) = BUF_INIT(SQL_MAX), insert CLEANUP(buf_release) = BUF_INIT(SQL_MAX);

    TRY(write_tables(t, &tables));
    TRY(sql_insert(&insert, t, 1));
    o->migrations[0] = text_of(&o->arena, &tables);
    o->statements[INSERT] = text_of(&o->arena, &insert);
    o->statements[TURN] =
        "update crossdock_emit set seq = ?4 where pipeline = ?1 and sink = ?2 and shard = ?3 and seq = ?4 - 1";
    o->statements[LAST] = "select seq from crossdock_emit where pipeline = ?1 and sink = ?2 and shard = ?3";
    o->statements[FIRST] = "insert into crossdock_emit (pipeline, sink, shard, epoch, seq) values (?1, ?2, ?3, 1, ?4) "
                           "on conflict do nothing";
    o->statements[RENUMBER] = "update crossdock_emit set seq = ?4 where pipeline = ?1 and sink = ?2 and shard = ?3";
    return OK;
}

static SUSPENDS err_t open_database(const struct sqlite_sink *c, struct sqlite **ret)
{
    struct arena arena = {.max = SIZE_MAX};
    struct open_job *o = arena_new(&arena, struct open_job);

    o->arena = arena;
    o->job = (struct job){.run = do_open, .drop = drop_open};
    o->options = (struct sqlite_options){.path = arena_str(&o->arena, c->file.text).p,
                                         .what = "the database",
                                         .migrations = o->migrations,
                                         .statements = o->statements,
                                         .is_users = true};
    err_t e = write_statements(o, &c->table);
    if (e == OK) {
        TRY(worker_run(&o->job));
        e = o->result;
        *ret = o->db;
        o->db = NULL;
        if (e != OK)
            *err_current() = o->words;
    }
    drop_open(&o->job);
    return e;
}

struct close_job {
    struct job job;
    struct sqlite *db;
};

static void do_close(struct job *j)
{
    struct close_job *c = CONTAINER_OF(j, struct close_job, job);

    sqlite_close(c->db);
    c->db = NULL;
}

static void drop_close(struct job *j)
{
    do_close(j);
    mem_free(CONTAINER_OF(j, struct close_job, job));
}

/* --- batches --- */

struct writer {
    const struct pipeline_node *sink;
    const struct sqlite_sink *config;
    struct sqlite *db;
    uint32_t shard;
};

/* What a job does: take a batch's turn and write its rows; or look which batch was the last. It lies in its own arena, with all it needs. */
struct batch_job {
    struct sqlite_job job;
    struct arena arena;
    struct str pipeline, sink;
    uint32_t shard;
    uint64_t seq;
    struct sqlite_value *values; /* row by row */
    size_t rows, width;
    struct str *refused; /* by row: what the database has against it; STR_NONE: nothing */
    int64_t last;
};

static void drop_batch(struct serial_job *j)
{
    struct arena arena = CONTAINER_OF(CONTAINER_OF(j, struct sqlite_job, job), struct batch_job, job)->arena;

    arena_release(&arena);
}

static struct batch_job *batch_job(const struct writer *w, uint64_t seq,
                                   err_t (*run)(struct sqlite *db, struct sqlite_job *j))
{
    struct arena arena = {.max = SIZE_MAX};
    struct batch_job *j = arena_new(&arena, struct batch_job);

    j->arena = arena;
    j->job = (struct sqlite_job){.job.drop = drop_batch, .run = run};
    j->pipeline = arena_str(&j->arena, w->config->pipeline);
    j->sink = arena_str(&j->arena, w->sink->name);
    j->shard = w->shard;
    j->seq = seq;
    return j;
}

static SUSPENDS err_t run_batch(struct writer *w, struct batch_job *j)
{
    return sqlite_run(w->db, &j->job);
}

#define PLACE(j) SQL_TEXT((j)->pipeline), SQL_TEXT((j)->sink), SQL_INT((j)->shard)

/* The number of the last batch, which is `seq` if there was none. */
static err_t do_look(struct sqlite *db, struct sqlite_job *job)
{
    struct batch_job *j = CONTAINER_OF(job, struct batch_job, job);
    bool found;

    TRY(sqlite_change(db, FIRST, SQL_VALUES(PLACE(j), SQL_INT(j->seq)), NULL));
    return sqlite_number(db, LAST, SQL_VALUES(PLACE(j)), &found, &j->last);
}

static err_t do_renumber(struct sqlite *db, struct sqlite_job *job)
{
    const struct batch_job *j = CONTAINER_OF(job, struct batch_job, job);

    return sqlite_change(db, RENUMBER, SQL_VALUES(PLACE(j), SQL_INT(j->seq)), NULL);
}

static err_t do_rows(struct sqlite *db, struct sqlite_job *job)
{
    struct batch_job *j = CONTAINER_OF(job, struct batch_job, job);
    int turns = 0;
    size_t refused = 0;
    bool found;

    TRY(sqlite_change(db, TURN, SQL_VALUES(PLACE(j), SQL_INT(j->seq)), &turns));
    if (turns == 0) {
        TRY(sqlite_number(db, LAST, SQL_VALUES(PLACE(j)), &found, &j->last));
        return found && (uint64_t)j->last == j->seq
                   ? OK
                   : fail(E_FENCED, "the database has seen batch %" PRIi64 " and now gets %" PRIu64, j->last, j->seq);
    }
    for (size_t i = 0; i < j->rows; i++) {
        err_t e = sqlite_change(db, INSERT, &j->values[i * j->width], j->width, NULL);
        if (e != OK && e != E_CONFLICT)
            return e;
        j->refused[i] = e == OK ? STR_NONE : arena_str(&j->arena, str_from_c(err_detail(e)));
        refused += e != OK;
    }
    return refused ? fail(E_CONFLICT, "%zu of %zu records are refused", refused, j->rows) : OK;
}

/* --- running --- */

static void refuse(struct batch_item *item, err_t e, struct str reason)
{
    item->refused = e;
    item->reason = arena_str(step_arena(&(struct step){.root = item->record->root}), reason);
}

/* As SQLite keeps it best: a column without a type keeps what it is given. */
static struct sqlite_value value_of(struct arena *a, struct str text, enum json_kind kind)
{
    struct str own = text.p ? arena_str(a, text) : STR_NONE;
    char *end;

    if (!text.p)
        return SQL_NULL;
    if (kind == JSON_STRING || kind == JSON_ARRAY || kind == JSON_OBJECT)
        return SQL_TEXT(own);
    errno = 0;
    long long number = strtoll(own.p, &end, 10);
    return errno == 0 && *end == '\0' ? SQL_INT(number) : SQL_REAL(strtod(own.p, NULL));
}

/* The rows of all items that are not refused and can be made one, in the job's arena; `items` says whose they are. */
static void add_rows(struct writer *w, const struct batch *b, struct batch_job *j, size_t *items)
{
    static const struct str truth[2] = {STR_INIT("0"), STR_INIT("1")};
    size_t width = j->width = sql_width(&w->config->table);
    struct str *texts = arena_alloc(&j->arena, width * sizeof *texts);
    enum json_kind *kinds = arena_alloc(&j->arena, width * sizeof *kinds);

    j->values = arena_alloc(&j->arena, (b->count * width + 1) * sizeof *j->values);
    j->refused = arena_zalloc(&j->arena, (b->count + 1) * sizeof *j->refused);
    for (size_t i = 0; i < b->count; i++) {
        struct step s = {.root = b->items[i].record->root, .node = w->sink, .in = b->items[i].record};
        if (b->items[i].refused != OK)
            continue;
        err_t e = sql_row(&s, &w->config->table, &b->items[i], truth, texts, kinds);
        if (e != OK) {
            refuse(&b->items[i], e, str_from_c(err_detail(e)));
            continue;
        }
        for (size_t k = 0; k < width; k++)
            j->values[j->rows * width + k] = value_of(&j->arena, texts[k], kinds[k]);
        items[j->rows++] = i;
    }
}

static SUSPENDS err_t apply(void *state, const struct batch *b)
{
    struct writer *w = state;
    struct batch_job *j = batch_job(w, b->seq, do_rows);
    size_t *items = mem_alloc((b->count + 1) * sizeof *items);

    size_t known = batch_refused(b);
    add_rows(w, b, j, items);
    err_t e = batch_refused(b) == known ? run_batch(w, j) : fail(E_CONFLICT, "records are refused");
    bool is_ours = e != E_CANCELLED && e != E_DEADLINE;
    for (size_t i = 0; e == E_CONFLICT && i < j->rows; i++)
        if (j->refused[i].p)
            refuse(&b->items[items[i]], E_CONFLICT, j->refused[i]);
    if (is_ours)
        drop_batch(&j->job.job);
    mem_free(items);
    return e;
}

static SUSPENDS void close_table(void *state)
{
    struct writer *w = state;
    struct close_job *c = NEW(struct close_job);

    *c = (struct close_job){.job = {.run = do_close, .drop = drop_close}, .db = w->db};
    SHIELD(ns_add(rt_now(), close_time)); /* the file should be free again when this returns */
    if (worker_run(&c->job) == OK)
        drop_close(&c->job);
    mem_free(w);
}

/* One job that only moves numbers. */
static SUSPENDS err_t do_number(struct writer *w, uint64_t seq, err_t (*run)(struct sqlite *db, struct sqlite_job *j),
                                int64_t *ret_last)
{
    struct batch_job *j = batch_job(w, seq, run);
    err_t e = run_batch(w, j);

    if (e == E_CANCELLED || e == E_DEADLINE)
        return e;
    if (ret_last)
        *ret_last = j->last;
    drop_batch(&j->job.job);
    return e;
}

static SUSPENDS err_t find_place(struct writer *w, uint64_t seq, bool was_begun, bool *ret_applied)
{
    int64_t last = 0;

    TRY(do_number(w, seq - 1, do_look, &last));
    *ret_applied = was_begun && (uint64_t)last == seq;
    if (*ret_applied || (uint64_t)last == seq - 1)
        return OK;
    log_warn(STR_NONE,
             "pipeline %.*s: sink %.*s: the database has seen batch %" PRIi64 ", the journal %" PRIu64
             ": they are not of one life, and batches are counted from the journal's on",
             STR_ARG(w->config->pipeline), STR_ARG(w->sink->name), last, seq - 1);
    return do_number(w, seq - 1, do_renumber, NULL);
}

static SUSPENDS err_t open_table(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    struct writer *w = NEW(struct writer);

    *w = (struct writer){.sink = at->sink, .config = at->sink->config, .shard = at->shard};
    err_t e = open_database(w->config, &w->db);
    if (e == OK)
        e = find_place(w, at->seq, at->is_open, ret_applied);
    if (e != OK) {
        close_table(w);
        return e;
    }
    *ret_state = w;
    return OK;
}

static const struct sink_run sink_run = {.open = open_table, .apply = apply, .close = close_table};

const struct sink_kind sink_kind_sqlite = {
    .kind = {.name = "sqlite", .fields = fields, .size = sizeof(struct sqlite_sink), .build = build},
    .rows = promises,
    .run = &sink_run,
};
