/*
 * sqlite_schema.c - the tables of a journal in SQLite, layout by layout, and the texts of its statements.
 *
 * A layout that has been released never changes: a new one is a further entry of journal_migrations.
 */
#include "store/journal/sqlite_int.h"

#define BODY_TYPES                                                                                                     \
    "form INTEGER NOT NULL DEFAULT 0, sum INTEGER NOT NULL DEFAULT 0, body BLOB, blob INTEGER, size INTEGER NOT NULL " \
    "DEFAULT 0"

/* A table whose rows refer to blobs counts its references. */
#define COUNTED(table)                                                                                                 \
    "CREATE TRIGGER " table "_put AFTER INSERT ON " table " WHEN NEW.blob IS NOT NULL BEGIN "                          \
    "UPDATE blob SET refs = refs + 1 WHERE k = NEW.blob; END;"                                                         \
    "CREATE TRIGGER " table "_set AFTER UPDATE OF blob ON " table " WHEN OLD.blob IS NOT NEW.blob BEGIN "              \
    "UPDATE blob SET refs = refs + 1 WHERE k = NEW.blob; UPDATE blob SET refs = refs - 1 WHERE k = OLD.blob; END;"     \
    "CREATE TRIGGER " table "_gone AFTER DELETE ON " table " WHEN OLD.blob IS NOT NULL BEGIN "                         \
    "UPDATE blob SET refs = refs - 1 WHERE k = OLD.blob; END;"

static const char layout_1[] =
    "CREATE TABLE blob(k INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, refs INTEGER NOT NULL, size INTEGER NOT NULL);"
    "CREATE TABLE blob_bytes(k INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TRIGGER blob_gone AFTER UPDATE OF refs ON blob WHEN NEW.refs = 0 BEGIN "
    "DELETE FROM blob_bytes WHERE k = NEW.k; DELETE FROM blob WHERE k = NEW.k; END;"

    "CREATE TABLE progress(k INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, source TEXT NOT NULL, partition INTEGER NOT "
    "NULL, "
    "epoch INTEGER NOT NULL, " BODY_TYPES ", UNIQUE(pipeline, source, partition));"

    "CREATE TABLE root(k INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, place INTEGER NOT NULL, state INTEGER NOT NULL, "
    "seq INTEGER NOT NULL, at INTEGER NOT NULL, due INTEGER NOT NULL, " BODY_TYPES ");"
    "CREATE INDEX root_place ON root(place) WHERE state = 0;"
    "CREATE TABLE restart(root INTEGER PRIMARY KEY, n INTEGER NOT NULL);"
    "CREATE TABLE step(k INTEGER PRIMARY KEY, node TEXT NOT NULL, idx INTEGER NOT NULL, " BODY_TYPES ");"
    "CREATE TABLE effect(k INTEGER PRIMARY KEY, id BLOB NOT NULL, state INTEGER NOT NULL, at INTEGER NOT "
    "NULL, " BODY_TYPES ");"

    "CREATE TABLE intent(k INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, node TEXT NOT NULL, shard INTEGER NOT NULL, "
    "seq INTEGER NOT NULL, state INTEGER NOT NULL, " BODY_TYPES ", UNIQUE(pipeline, node, shard));"

    "CREATE TABLE state(k INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, node TEXT NOT NULL, shard INTEGER NOT NULL, "
    "key BLOB NOT NULL, " BODY_TYPES ", UNIQUE(pipeline, node, shard, key));"
    "CREATE INDEX state_place ON state(pipeline, node, shard);"

    "CREATE TABLE timer(k INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, node TEXT NOT NULL, shard INTEGER NOT NULL, "
    "key BLOB NOT NULL, due INTEGER NOT NULL, " BODY_TYPES ", UNIQUE(pipeline, node, shard, key));"
    "CREATE INDEX timer_due ON timer(pipeline, shard, due);"

    "CREATE TABLE gate(k INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, root INTEGER NOT NULL, root_id BLOB NOT NULL, "
    "pipeline TEXT NOT NULL, node TEXT NOT NULL, state INTEGER NOT NULL, due INTEGER NOT NULL, at INTEGER NOT NULL, "
    "cause TEXT NOT NULL, " BODY_TYPES ");"
    "CREATE INDEX gate_root ON gate(root);"

    "CREATE TABLE dead(k INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, root BLOB NOT NULL, pipeline TEXT NOT NULL, "
    "node TEXT NOT NULL, cause TEXT NOT NULL, at INTEGER NOT NULL, replays INTEGER NOT NULL, replayed INTEGER NOT "
    "NULL, " BODY_TYPES ");"
    "CREATE INDEX dead_root ON dead(root);"
    "CREATE INDEX dead_alike ON dead(pipeline, cause, node);"

    "CREATE TABLE trace(k INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, pipeline TEXT NOT NULL, at INTEGER NOT "
    "NULL, " BODY_TYPES ");"
    "CREATE INDEX trace_pipeline ON trace(pipeline);"

    COUNTED("progress") COUNTED("root") COUNTED("step") COUNTED("effect") COUNTED("intent") COUNTED("state")
        COUNTED("timer") COUNTED("gate") COUNTED("dead") COUNTED("trace");

const char *const journal_migrations[] = {layout_1, NULL};

#define STATEMENT_TEXT(id, sql) [SQL_##id] = (sql),
const char *const journal_statements[] = {STATEMENTS(STATEMENT_TEXT)[SQL_STATEMENTS] = NULL};
