/* postgres.c - records to a table of PostgreSQL: the rows and the batch's number in one transaction of its own. */
#include "pipeline/system/postgres_table.h"
#include "pipeline/system/sql.h"

struct postgres_sink {
    struct sql_table table;
    struct schema_text connection;
    struct str pipeline;
};

static const struct schema_field postgres_fields[] = {SQL_FIELDS(struct postgres_sink, table),
                                                      CONNECTION_FIELD(struct postgres_sink), SCHEMA_END};
static const struct schema_object postgres_object = {
    .fields = postgres_fields, .size = sizeof(struct postgres_sink), .shorthand = "table"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("postgres", &postgres_object, .doc = "A table of PostgreSQL."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct postgres_sink *c = n->config;

    build_connection(b, n, &c->connection);
    sql_build(b, n, &c->table);
    c->pipeline = b->spec->name;
}

static const struct promise_row rows[] = {{.when = "",
                                           .promise = PROMISE_EXACTLY,
                                           .how = "one transaction holds the rows and `update … set seq = n where seq "
                                                  "= n - 1`; no row changed means that it is done already"},
                                          {0}};

/* --- running --- */

static err_t insert(const struct pipeline_node *sink, size_t rows_wanted, struct buf *to)
{
    const struct postgres_sink *c = sink->config;

    return sql_insert(to, &c->table, rows_wanted);
}

static err_t make_row(struct step *s, const struct batch_item *item, struct str *ret_values)
{
    static const struct str truth[2] = {STR_INIT("false"), STR_INIT("true")};
    const struct postgres_sink *c = s->node->config;

    return sql_row(s, &c->table, item, truth, ret_values, NULL);
}

static SUSPENDS err_t open_table(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    const struct postgres_sink *c = at->sink->config;
    const struct postgres_table t = {
        .sink = at->sink, .pipeline = c->pipeline, .width = sql_width(&c->table), .insert = insert, .row = make_row};

    return postgres_table_open(&t, at, ret_applied, ret_state);
}

static const struct sink_run sink_run = {
    .open = open_table, .apply = postgres_table_apply, .close = postgres_table_close};

const struct sink_kind sink_kind_postgres = {
    .kind = {.name = "postgres",
             .fields = fields,
             .size = sizeof(struct postgres_sink),
             .traits = KIND_CALLS | KIND_CONNECTS,
             .scheme = "postgres",
             .usual_url = "postgres://127.0.0.1:5432/postgres",
             .build = build},
    .rows = rows,
    .run = &sink_run,
};
