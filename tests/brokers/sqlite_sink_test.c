/* sqlite_sink_test.c - pipelines to a table of SQLite, in processes that are killed. */
#include "brokers/pipelines.h"

#include <sqlite3.h>

enum { NUMBERS = 60 };

static void write_pipeline(const char *name, const char *table)
{
    char text[2048];

    begin_trial();
    (void)snprintf(text, sizeof text,
                   "pipeline: %s\nversion: 1\ndelivery: exactly_once\njournal: sync\n"
                   "sources: {in: {files: {path: %s/in.ndjson, follow: false}}}\n"
                   "sinks: {out: {from: in, batch: 7, sqlite: {file: %s/out.db, %s}}}\n",
                   name, trial.folder, trial.folder, table);
    write_file(trial.folder, "p.yaml", text);
}

/* The answer to a question of one row, in columns that "|" divides. */
static void ask(const char *sql, char ret[512])
{
    char path[80];
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    size_t n = 0;

    ret[0] = '\0';
    (void)snprintf(path, sizeof path, "%s/out.db", trial.folder);
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW)
        test_fail_(__FILE__, __LINE__, "%s: %s", sql, sqlite3_errmsg(db));
    for (int i = 0; i < sqlite3_column_count(st); i++) {
        const unsigned char *text = sqlite3_column_text(st, i);
        n += (size_t)snprintf(ret + n, 512 - n, "%s%s", i ? "|" : "", text ? (const char *)text : "null");
    }
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
}

static void check_answer(const char *sql, const char *want)
{
    char got[512];

    ask(sql, got);
    CHECK_MSG(strcmp(got, want) == 0, "%s: got %s, against %s", sql, got, want);
}

TEST(sqlite_rows_are_there_once_though_their_writer_was_killed_at_every_wait)
{
    write_pipeline("writer", "table: results, columns: {n: .n, twice: \".n * 2\"}");
    write_numbers(trial.folder, "in.ndjson", NUMBERS);
    CHECK_GT(pipeline_kill_everywhere(&trial), 20);
    check_answer("select count(*), count(distinct n), min(n), max(n), sum(twice) from results", "60|60|1|60|3660");
    check_answer("select count(*) from results where n <> rowid", "0");
    check_answer("select pipeline, sink, shard, seq >= 9 from crossdock_emit", "writer|out|0|1");
    remove_trial();
}

TEST(sqlite_table_of_the_users_keeps_its_types_and_refuses_what_it_does_not_want)
{
    char path[80];
    sqlite3 *db = NULL;

    write_pipeline(
        "people",
        "table: people, mode: upsert, key: name, columns: {name: .name, age: .age, known: .known, tags: .tags}");
    (void)snprintf(path, sizeof path, "%s/out.db", trial.folder);
    CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_EQ(sqlite3_exec(
                 db,
                 "pragma user_version = 7; pragma application_id = 9;"
                 "create table people (name text primary key, age integer check (age > 0), known integer, tags text)",
                 NULL, NULL, NULL),
             SQLITE_OK);
    (void)sqlite3_close(db);
    write_file(trial.folder, "in.ndjson",
               "{\"name\":\"ada\",\"age\":36,\"known\":false,\"tags\":[1]}\n"
               "{\"name\":\"bob\",\"age\":-1,\"known\":true,\"tags\":null}\n"
               "{\"name\":\"ada\",\"age\":37,\"known\":true,\"tags\":null}\n"
               "{\"name\":\"eve\",\"age\":1,\"known\":true,\"tags\":{\"a\":2.50}}\n");
    CHECK_EQ(pipeline_try(&trial), PIPELINE_ENDED);
    check_answer("select group_concat(name || ' ' || age || ' ' || typeof(age) || ' ' || known || ' ' || "
                 "coalesce(tags, '-'), ';') "
                 "from (select * from people order by name)",
                 "ada 37 integer 1 -;eve 1 integer 1 {\"a\":2.50}");
    check_answer("select user_version, application_id from pragma_user_version, pragma_application_id", "7|9");
    remove_trial();
}

TEST(sqlite_table_gets_the_record_when_no_columns_are_said)
{
    write_pipeline("plain", "table: results");
    write_numbers(trial.folder, "in.ndjson", 1);
    CHECK_EQ(pipeline_try(&trial), PIPELINE_ENDED);
    check_answer("select length(id), body from results", "32|{\"n\":1}");
    remove_trial();
}
