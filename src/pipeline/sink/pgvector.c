/*
 * pgvector.c - vectors to a table of PostgreSQL with the extension pgvector, in the transaction that counts the batch.
 *
 * A vector is written as JSON writes an array of numbers, which is also how pgvector reads one. One of another length than the column's is refused by
 * the database, and becomes a dead letter.
 */
#include "expr/value.h"
#include "pipeline/system/postgres_table.h"
#include "pipeline/system/sql.h"
#include "pipeline/system/vector.h"

struct pgvector_sink {
    struct schema_text table, connection;
    struct vector_fields point;
    struct str pipeline;
};

static const struct schema_field pgvector_fields[] = {
    SCHEMA_TEXT("table", struct pgvector_sink, table, .required = true,
                .doc = "Table with the columns `id`, `embedding` and `payload`."),
    VECTOR_FIELDS(struct pgvector_sink, point), CONNECTION_FIELD(struct pgvector_sink), SCHEMA_END};
static const struct schema_object pgvector_object = {.fields = pgvector_fields, .size = sizeof(struct pgvector_sink)};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("pgvector", &pgvector_object, .doc = "A table of PostgreSQL with vectors (pgvector)."),
    SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct pgvector_sink *c = n->config;

    build_connection(b, n, &c->connection);
    c->pipeline = b->spec->name;
    if (!sql_is_table(c->table.text))
        problems_error(b->problems, c->table.node,
                       "a table is \"name\" or \"schema.name\", of letters, digits and \"_\"");
    vector_build(b, n, &c->point);
}

static const struct promise_row rows[] = {
    {.when = "",
     .promise = PROMISE_EXACTLY,
     .how = "one transaction holds the rows and the batch's number, as in `postgres`"},
    {0}};

/* --- running --- */

enum { ID_MAX = 4096 };

static err_t insert(const struct pipeline_node *sink, size_t count, struct buf *to)
{
    static struct sql_column columns[] = {
        {.name = STR_INIT("id")}, {.name = STR_INIT("embedding")}, {.name = STR_INIT("payload")}};
    static struct schema_text key = {.text = STR_INIT("id")};
    const struct pgvector_sink *c = sink->config;
    const struct sql_table t = {.table = c->table,
                                .columns = columns,
                                .column_count = ARRAY_LEN(columns),
                                .keys = &key,
                                .key_count = 1,
                                .mode = SQL_UPSERT};

    return sql_insert(to, &t, count);
}

static err_t json_of(struct step *s, const struct expr *expr, struct str *ret)
{
    struct expr_budget b = {step_arena(s), expr_limits_default.steps, expr_limits_default.memory};
    struct expr_value v;

    TRY(step_eval(s, expr, &v));
    return value_to_json(&b, v, ret);
}

static err_t make_row(struct step *s, const struct batch_item *item UNUSED, struct str *ret_values)
{
    const struct vector_fields *v = &((const struct pgvector_sink *)s->node->config)->point;

    ret_values[0] = step_id_text(s);
    if (v->id_text)
        TRY(step_render(s, v->id_text, ID_MAX, &ret_values[0]));
    TRY(json_of(s, v->vector_expr, &ret_values[1]));
    ret_values[2] = STR_NONE;
    return v->payload_expr ? json_of(s, v->payload_expr, &ret_values[2]) : OK;
}

static SUSPENDS err_t open_table(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    const struct pgvector_sink *c = at->sink->config;
    const struct postgres_table t = {
        .sink = at->sink, .pipeline = c->pipeline, .width = 3, .insert = insert, .row = make_row};

    return postgres_table_open(&t, at, ret_applied, ret_state);
}

static const struct sink_run sink_run = {
    .open = open_table, .apply = postgres_table_apply, .close = postgres_table_close};

const struct sink_kind sink_kind_pgvector = {
    .kind = {.name = "pgvector",
             .fields = fields,
             .size = sizeof(struct pgvector_sink),
             .traits = KIND_CALLS | KIND_CONNECTS,
             .scheme = "postgres",
             .usual_url = "postgres://127.0.0.1:5432/postgres",
             .build = build},
    .rows = rows,
    .run = &sink_run,
};
