/* sql.h - what the sinks that are SQL databases have in common: a table and its columns, or a statement. Private to pipeline/. */
#ifndef PIPELINE_SQL_H
#define PIPELINE_SQL_H

#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

enum { SQL_INSERT, SQL_UPSERT };

struct sql_column {
    struct str name;
    struct schema_text value;
    const struct expr *expr;
};

struct sql_table {
    struct schema_text table;
    struct sql_column *columns;
    size_t column_count;
    struct schema_text *keys;
    size_t key_count;
    int mode;
};

/* Rows of the tables of such a sink, but for its connection; `type` has a struct sql_table `member`. */
extern const struct schema_field sql_column_value, sql_key_item;
extern const struct schema_choice sql_modes[];
#define SQL_FIELDS(type, member)                                                                                       \
    SCHEMA_TEXT("table", type, member.table, .required = true, .doc = "Table: `name` or `schema.name`."),              \
        SCHEMA_MAP("columns", type, member.columns, member.column_count, &sql_column_value, struct sql_column, name,   \
                   .key_doc = "column", .max = "1600",                                                                 \
                   .default_doc = "`id` and `body`: the record's id, and the record as JSON",                          \
                   .doc = "Expression for each column's value."),                                                      \
        SCHEMA_ENUM("mode", type, member.mode, sql_modes, .default_text = "insert", .doc = "What a record becomes."),  \
        SCHEMA_LIST("key", type, member.keys, member.key_count, &sql_key_item, .single = true, .max = "32",            \
                    .doc = "Of `upsert`: the columns that make two rows the same.")

/* "name": letters, digits and "_". "name" or "schema.name". */
bool sql_is_name(struct str s) PURE;
bool sql_is_table(struct str s) PURE;
/* Compile the columns and check what they have in common. */
void sql_build(struct pipeline_build *b, struct pipeline_node *n, struct sql_table *t);

/* --- running --- */

/* How many values a row has. */
size_t sql_width(const struct sql_table *t) PURE;
/*
 * A row's values for a record, as texts in the root's arena; STR_NONE is null. Objects and arrays are JSON; true and false are `truth[1]` and `truth[0]`.
 * `ret_kinds`: what each was; NULL: it does not matter.
 *
 * E_PARSE, E_TOO_LARGE: an expression failed on the record.
 */
err_t sql_row(struct step *s, const struct sql_table *t, const struct batch_item *item, const struct str truth[2],
              struct str *ret_values, enum json_kind *ret_kinds) MUST_CHECK;
/* Append the name in quotes: a table's, with its schema, or a column's. */
err_t sql_name(struct buf *to, struct str name);
/* Append `insert … values ($1, $2, …), …` of so many rows, with what `mode` wants. E_TOO_LARGE past the buf's maximum. */
err_t sql_insert(struct buf *to, const struct sql_table *t, size_t rows) MUST_CHECK;
/* A column of the table, by its place: as sql_row() fills them. */
struct str sql_column_name(const struct sql_table *t, size_t i);

/*
 * The table that counts batches, which lies beside the sink's own and is made if it is not there: a row for each sink of each pipeline's shard. Whoever
 * opens the sink raises `epoch`, and so shuts out who had it before; `seq` is the number of the last batch that was applied.
 */
#define SQL_EMIT_TABLE                                                                                                 \
    "create table if not exists crossdock_emit (pipeline text not null, sink text not null, shard integer not null, "  \
    "epoch bigint not null, seq bigint not null, primary key (pipeline, sink, shard))"

#endif
