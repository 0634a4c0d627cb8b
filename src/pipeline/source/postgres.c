/*
 * postgres.c - messages from an outbox: a table of PostgreSQL that an application writes in its own transactions.
 *
 * A message is the id of its row. Rows are read by rising id, and deleted when they are in the journal. A row whose transaction committed late has an
 * id below ones that were read before; it is read with the next batch, because each begins at the lowest id that is there.
 *
 * Progress is the ids of the last batch, in the commit that took them in. Only one batch is between the journal and its deletion, so whoever
 * starts again deletes these first, and reads no row twice, however long ago it was.
 *
 * With `keep` rows stay, and progress is which were read: all up to a watermark, and single ones above it. The watermark follows the highest id that was
 * read, when no transaction is left that was under way when it was read: such a one may still commit a lower id. That holds for ids that are drawn
 * by the statement that inserts the row, from a sequence that hands them out one by one (`cache 1`, as PostgreSQL makes them).
 *
 * Does not: divide a table among processes.
 */
#include "client/postgres.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "pipeline/run/run.h"
#include "pipeline/system/reach.h"
#include "pipeline/system/sql.h"
#include "rt/loop.h"
#include "rt/scope.h"

#include <inttypes.h>

struct postgres_source {
    struct schema_text table, id, key_column, body, channel, connection;
    ns_t poll;
    bool keep;
};

static const struct schema_field postgres_fields[] = {
    SCHEMA_TEXT("table", struct postgres_source, table, .required = true, .doc = "The outbox: `schema.table`."),
    SCHEMA_TEXT("id", struct postgres_source, id, .default_text = "id", .doc = "Column with a rising whole number."),
    SCHEMA_TEXT("body", struct postgres_source, body, .default_text = "body",
                .doc = "Column with the message (json, jsonb, text)."),
    SCHEMA_TEXT("key", struct postgres_source, key_column, .default_doc = "no order",
                .doc = "Column with the message's key."),
    SCHEMA_TEXT("notify", struct postgres_source, channel, .default_doc = "none",
                .doc = "Channel that says that there is something (LISTEN)."),
    SCHEMA_DURATION("poll", struct postgres_source, poll, .default_text = "1s", .min = "10ms", .max = "1h",
                    .doc = "How often to look without having been told."),
    SCHEMA_BOOL("keep", struct postgres_source, keep, .default_text = "false",
                .doc = "Leave rows that are done with in the table."),
    CONNECTION_FIELD(struct postgres_source),
    SCHEMA_END};
static const struct schema_object postgres_object = {
    .fields = postgres_fields, .size = sizeof(struct postgres_source), .shorthand = "table"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("postgres", &postgres_object, .doc = "An outbox table of PostgreSQL."), SCHEMA_END};

static void check_name(struct pipeline_build *b, const struct schema_text *t)
{
    if (t->text.n && !sql_is_name(t->text))
        problems_error(b->problems, t->node, "a name here is of letters, digits and \"_\"");
}

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct postgres_source *c = n->config;

    build_connection(b, n, &c->connection);
    if (!sql_is_table(c->table.text))
        problems_error(b->problems, c->table.node,
                       "a table is \"name\" or \"schema.name\", of letters, digits and \"_\"");
    check_name(b, &c->id);
    check_name(b, &c->body);
    check_name(b, &c->key_column);
    check_name(b, &c->channel);
}

static const struct promise_row rows[] = {{.when = "outbox",
                                           .promise = PROMISE_EXACTLY,
                                           .how = "a message is the id of its row, which the application wrote in its "
                                                  "own transaction; progress is in the journal"},
                                          {0}};

/* --- running --- */

enum {
    BATCH = 500,
    ROWS_BYTES_MAX = 48 << 20, /* of a batch; less than a commit of the journal may have */
    READ_MAX = 100000,         /* ids above the watermark                                */
    ID_BYTES = 8,
};

static const ns_t goodbye_time = 2 * NS_SEC;

struct reader {
    struct intake *in;
    const struct pipeline_node *source;
    const struct postgres_source *config;
    struct postgres *db;
    unsigned connection;      /* that listens */
    size_t batch;             /* rows to ask for */
    struct message *messages; /* of BATCH: those that are taken in now */
    /* What was taken in: without `keep` the rows that are to be deleted yet, else those above the watermark. Rising only without `keep`. */
    uint64_t *ids;
    size_t count;
    uint64_t watermark; /* with `keep` */
    uint64_t highest,
        ends; /* with `keep`: the watermark may become `highest` when no transaction before `ends` is under way; 0: nothing waits */
};

/* --- progress: the watermark, then the ids --- */

static struct str pack_progress(const struct reader *r, struct arena *a)
{
    char *p = arena_alloc(a, (r->count + 1) * ID_BYTES);

    be64_put(p, r->watermark);
    for (size_t i = 0; i < r->count; i++)
        be64_put(p + (i + 1) * ID_BYTES, r->ids[i]);
    return str_of(p, (r->count + 1) * ID_BYTES);
}

static SUSPENDS err_t recall(struct reader *r)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct str progress;

    TRY(intake_progress(r->in, 0, &a, &progress));
    if (progress.n % ID_BYTES || progress.n / ID_BYTES > READ_MAX + BATCH + 1)
        return fail(E_CONFIG, "the progress of source %.*s in the journal is not that of a table",
                    STR_ARG(r->source->name));
    r->count = progress.n ? progress.n / ID_BYTES - 1 : 0;
    r->watermark = progress.n ? be64_get(progress.p) : 0;
    for (size_t i = 0; i < r->count; i++)
        r->ids[i] = be64_get(progress.p + (i + 1) * ID_BYTES);
    return OK;
}

/* {1,2,3} */
static struct str array_of(const struct reader *r, struct arena *a)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SIZE_MAX);

    for (size_t i = 0; i < r->count; i++)
        (void)buf_addf(&text, "%c%" PRIu64, i ? ',' : '{', r->ids[i]);
    (void)buf_add(&text, r->count ? STR("}") : STR("{}"));
    return arena_str(a, buf_str(&text));
}

/* --- statements --- */

static err_t add_columns(const struct postgres_source *c, struct buf *sql)
{
    TRY(buf_add_lit(sql, "select "));
    TRY(sql_name(sql, c->id.text));
    TRY(buf_add_lit(sql, "::bigint, "));
    TRY(sql_name(sql, c->body.text));
    TRY(buf_add_lit(sql, "::text, "));
    if (c->key_column.text.n) {
        TRY(sql_name(sql, c->key_column.text));
        TRY(buf_add_lit(sql, "::text"));
    } else {
        TRY(buf_add_lit(sql, "null"));
    }
    if (c->keep)
        TRY(buf_add_lit(sql, ", pg_snapshot_xmax(pg_current_snapshot())"));
    TRY(buf_add_lit(sql, " from "));
    return sql_name(sql, c->table.text);
}

static SUSPENDS err_t read_rows(struct reader *r, struct arena *a, struct postgres_rows *ret)
{
    struct buf sql CLEANUP(buf_release) = BUF_INIT(4096);
    struct str values[] = {arena_printf(a, "%zu", r->batch), STR_NONE, STR_NONE};
    size_t n = 1;

    TRY(add_columns(r->config, &sql));
    if (r->config->keep) {
        values[n++] = arena_printf(a, "%" PRIu64, r->watermark);
        values[n++] = array_of(r, a);
        TRY(buf_add_lit(&sql, " where "));
        TRY(sql_name(&sql, r->config->id.text));
        TRY(buf_add_lit(&sql, " > $2 and "));
        TRY(sql_name(&sql, r->config->id.text));
        TRY(buf_add_lit(&sql, " <> all($3::bigint[])"));
    }
    TRY(buf_add_lit(&sql, " order by 1 limit $1"));
    return postgres_do(r->db, buf_str(&sql), values, n, a, ret);
}

static SUSPENDS err_t delete_rows(struct reader *r)
{
    struct buf sql CLEANUP(buf_release) = BUF_INIT(4096);
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};

    TRY(buf_add_lit(&sql, "delete from "));
    TRY(sql_name(&sql, r->config->table.text));
    TRY(buf_add_lit(&sql, " where "));
    TRY(sql_name(&sql, r->config->id.text));
    TRY(buf_add_lit(&sql, " = any($1::bigint[])"));
    struct str ids = array_of(r, &a);
    TRY(postgres_do(r->db, buf_str(&sql), &ids, 1, &a, NULL));
    r->count = 0;
    return OK;
}

/* The source is to end: what is done need not come again. */
static SUSPENDS err_t delete_at_last(struct reader *r)
{
    SHIELD(ns_add(rt_now(), goodbye_time));

    return delete_rows(r);
}

/* What is in the journal may go from the table. */
static SUSPENDS err_t delete_taken(struct reader *r)
{
    if (r->count == 0)
        return OK;
    TRY(intake_settled(r->in));
    return fiber_is_cancelled() ? delete_at_last(r) : delete_rows(r);
}

/* --- the watermark --- */

/* A batch was read, all transactions before `ends` having begun: they may yet commit what is below `highest`. */
static void note_highest(struct reader *r, uint64_t highest, uint64_t ends)
{
    if (r->ends)
        return; /* one after the other */
    r->highest = highest;
    r->ends = ends;
}

/* Have those ended? Then what is read from now on has all that they have left below `highest`. */
static SUSPENDS err_t look_whether_settled(struct reader *r, bool *ret)
{
    struct arena a CLEANUP(arena_release) = {.max = 1 << 16};
    struct postgres_rows found;
    uint64_t oldest;

    *ret = false;
    if (!r->ends)
        return OK;
    TRY(postgres_do(r->db, STR("select pg_snapshot_xmin(pg_current_snapshot())"), NULL, 0, &a, &found));
    if (found.rows != 1 || !str_to_u64(found.cells[0], UINT64_MAX, &oldest))
        return fail(E_PROTOCOL, "postgres: a snapshot is no number");
    *ret = oldest >= r->ends;
    return OK;
}

static void move_watermark(struct reader *r)
{
    size_t kept = 0;

    r->watermark = r->highest;
    r->ends = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->ids[i] > r->watermark)
            r->ids[kept++] = r->ids[i];
    r->count = kept;
}

/* --- batches --- */

static err_t read_message(const struct postgres_rows *found, size_t i, struct message *m)
{
    const struct str *cells = &found->cells[i * found->columns];

    *m = (struct message){.key = cells[2], .body = cells[1].p ? cells[1] : STR("null"), .at = rt_wall()};
    return str_to_u64(cells[0], INT64_MAX, &m->position)
               ? OK
               : fail(E_CONFIG, "an id of the outbox is no whole number from 0 on: \"%.*s\"", STR_ARG(cells[0]));
}

static SUSPENDS err_t take_in(struct reader *r, const struct postgres_rows *found)
{
    struct message *messages = r->messages;
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    size_t before = r->count;
    uint64_t ends = 0;

    for (size_t i = 0; i < found->rows; i++) {
        TRY(read_message(found, i, &messages[i]));
        r->ids[r->count + i] = messages[i].position;
    }
    if (r->config->keep && !str_to_u64(found->cells[3], UINT64_MAX, &ends))
        return fail(E_PROTOCOL, "postgres: a snapshot is no number");
    r->count += found->rows;
    err_t e = intake_put(r->in, messages, found->rows, pack_progress(r, &a));
    if (e != OK)
        r->count = before;
    else if (ends)
        note_highest(r, messages[found->rows - 1].position, ends);
    return e;
}

/* One batch; *ret_more: there may be more at once. */
static SUSPENDS err_t read_batch(struct reader *r, bool *ret_more)
{
    struct arena a CLEANUP(arena_release) = {.max = ROWS_BYTES_MAX};
    struct postgres_rows found;
    bool is_settled;

    TRY(look_whether_settled(r, &is_settled));
    if (r->count > READ_MAX + (is_settled ? BATCH : 0))
        return fail(E_AGAIN, "%zu rows wait for a transaction to end that is older than they are", r->count);
    err_t e = read_rows(r, &a, &found);
    *ret_more = e == E_TOO_LARGE && r->batch > 1;
    if (*ret_more) {
        r->batch /= 2;
        return OK;
    }
    TRY(e);
    *ret_more = found.rows == r->batch;
    r->batch = BATCH;
    if (found.rows)
        TRY(take_in(r, &found));
    if (is_settled && (!*ret_more || r->ids[r->count - 1] >= r->highest))
        move_watermark(r);
    return OK;
}

/* Whether somebody has said that there is something, or it is time to look by ourselves. */
static SUSPENDS err_t wait_for_more(struct reader *r)
{
    ns_t until = ns_add(rt_now(), r->ends ? ns_min(r->config->poll, 100 * NS_MS) : r->config->poll);

    if (!r->config->channel.text.n)
        return fiber_sleep_until(until);
    err_t e = postgres_wait(r->db, until);
    return e == E_AGAIN ? OK : e;
}

static SUSPENDS err_t listen_to_channel(struct reader *r)
{
    struct buf sql CLEANUP(buf_release) = BUF_INIT(256);
    struct arena a CLEANUP(arena_release) = {.max = 1 << 16};

    if (!r->config->channel.text.n || (r->connection && r->connection == postgres_connections(r->db)))
        return OK;
    TRY(buf_add_lit(&sql, "listen "));
    TRY(sql_name(&sql, r->config->channel.text));
    TRY(postgres_do(r->db, buf_str(&sql), NULL, 0, &a, NULL));
    r->connection = postgres_connections(r->db);
    return OK;
}

static SUSPENDS err_t read_and_wait(struct reader *r)
{
    bool more = false;

    TRY(listen_to_channel(r));
    if (!r->config->keep)
        TRY(delete_taken(r)); /* what a former run has left */
    TRY(read_batch(r, &more));
    if (!r->config->keep)
        TRY(delete_taken(r));
    return more ? OK : wait_for_more(r);
}

static SUSPENDS err_t read_for_ever(struct reader *r)
{
    ns_t pause = 0;

    TRY(recall(r));
    for (;;) {
        err_t e = read_and_wait(r);
        if (e == OK)
            pause = 0;
        else
            TRY(reach_wait(r->source, e, &pause));
    }
}

static SUSPENDS err_t run(struct intake *in, const struct pipeline_node *source)
{
    struct reach reach CLEANUP(reach_release) = {0};
    struct reader r = {.in = in, .source = source, .config = source->config, .batch = BATCH};

    TRY(reach_open_by_path(source->connection, &reach));
    r.db = postgres_new(&(struct postgres_options){.url = source->connection->url,
                                                   .user = source->connection->username,
                                                   .password = &reach.password,
                                                   .ca_file = reach.ca_file,
                                                   .cert_file = reach.cert_file,
                                                   .key_file = reach.key_file});
    r.messages = mem_alloc(BATCH * sizeof *r.messages);
    r.ids = mem_alloc((READ_MAX + 2 * BATCH) * sizeof *r.ids);
    err_t e = read_for_ever(&r);
    mem_free(r.ids);
    mem_free(r.messages);
    postgres_free(r.db);
    return e;
}

static const struct source_run source_run = {.run = run};

const struct source_kind source_kind_postgres = {
    .kind = {.name = "postgres",
             .fields = fields,
             .size = sizeof(struct postgres_source),
             .traits = KIND_CONNECTS,
             .scheme = "postgres",
             .usual_url = "postgres://127.0.0.1:5432/postgres",
             .build = build},
    .rows = rows,
    .keeps = true,
    .unkept = "rows are deleted when they are done; with `keep` all of them are read again at each start",
    .run = &source_run,
};
