/*
 * sqlite_int.h - the tables of a journal in SQLite, and the statements over them. Private to store/journal/sqlite*.c.
 *
 * Every table has rows numbered `k`. A root's steps and effects have numbers that begin with the root's own, so they lie beside each other and need no
 * index: k = (root's k << SLOT_BITS) + a slot that the hash of the step's name gives, or the next free one.
 *
 * A body is in the row, or, when it is large, a reference to a blob. Triggers count references, whatever statement makes or removes them, and the blob
 * goes with its last one.
 */
#ifndef STORE_JOURNAL_SQLITE_INT_H
#define STORE_JOURNAL_SQLITE_INT_H

#include "store/journal_int.h"
#include "store/sqlite.h"

enum { SLOT_BITS = 20 };

/* What SELECT_ROW() brings, in this order. */
enum journal_column {
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
    COL_SUM,
    COL_BODY,
    COL_HASH,
    COL_SIZE,
}; /* clang-format would give each a line */

#define SELECT_ROW(from, k, id, root, pipeline, source, node, key, cause, partition, shard, index, state, count,       \
                   epoch, seq, at, due)                                                                                \
    "SELECT " k ", " id ", " root ", " pipeline ", " source ", " node ", " key ", " cause ", " partition ", " shard    \
    ", " index ", " state ", " count ", " epoch ", " seq ", " at ", " due                                              \
    ", t.form, t.sum, t.body, b.hash, t.size FROM " from " AS t LEFT JOIN blob AS b ON b.k = t.blob "

#define N "NULL"
#define SELECT_ROOT                                                                                                    \
    "SELECT t.k, t.id, NULL, p.pipeline, p.source, NULL, NULL, NULL, p.partition, 0, 0, t.state, "                     \
    "coalesce(r.n, 0), p.epoch, t.seq, t.at, t.due, t.form, t.sum, t.body, b.hash, t.size FROM root AS t "             \
    "JOIN progress AS p ON p.k = t.place LEFT JOIN restart AS r ON r.root = t.k LEFT JOIN blob AS b ON b.k = t.blob "
#define SELECT_STEP                                                                                                    \
    SELECT_ROW("step", "t.k", N, "?1", N, N, "t.node", N, N, "0", "0", "t.idx", "0", "0", "0", "0", "0", "0")
#define SELECT_EFFECT                                                                                                  \
    SELECT_ROW("effect", "t.k", "t.id", "?1", N, N, N, N, N, "0", "0", "0", "t.state", "0", "0", "0", "t.at", "0")
#define SELECT_PROGRESS                                                                                                \
    SELECT_ROW("progress", "t.k", N, N, "t.pipeline", "t.source", N, N, N, "t.partition", "0", "0", "0", "0",          \
               "t.epoch", "0", "0", "0")
#define SELECT_INTENT                                                                                                  \
    SELECT_ROW("intent", "t.k", N, N, "t.pipeline", N, "t.node", N, N, "0", "t.shard", "0", "t.state", "0", "0",       \
               "t.seq", "0", "0")
#define SELECT_STATE                                                                                                   \
    SELECT_ROW("state", "t.k", N, N, "t.pipeline", N, "t.node", "t.key", N, "0", "t.shard", "0", "0", "0", "0", "0",   \
               "0", "0")
#define SELECT_TIMER                                                                                                   \
    SELECT_ROW("timer", "t.k", N, N, "t.pipeline", N, "t.node", "t.key", N, "0", "t.shard", "0", "0", "0", "0", "0",   \
               "0", "t.due")
#define SELECT_GATE                                                                                                    \
    SELECT_ROW("gate", "t.k", "t.id", "t.root_id", "t.pipeline", N, "t.node", N, "t.cause", "0", "0", "0", "t.state",  \
               "0", "0", "0", "t.at", "t.due")
#define SELECT_DEAD                                                                                                    \
    SELECT_ROW("dead", "t.k", "t.id", "t.root", "t.pipeline", N, "t.node", N, "t.cause", "0", "0", "0", "0",           \
               "t.replays", "0", "0", "t.at", "t.replayed")
#define SELECT_TRACE                                                                                                   \
    SELECT_ROW("trace", "t.k", "t.id", N, "t.pipeline", N, N, N, N, "0", "0", "0", "0", "0", "0", "0", "t.at", "0")

#define BODY_SET                                                                                                       \
    "form = excluded.form, sum = excluded.sum, body = excluded.body, blob = excluded.blob, size = excluded.size"
#define BODY_COLUMNS "form, sum, body, blob, size"
#define PLACE "pipeline = ? AND source = ? AND partition = ?"

#define STATEMENTS(S)                                                                                                  \
    S(BLOB_FIND, "SELECT k FROM blob WHERE hash = ?")                                                                  \
    S(BLOB_ADD, "INSERT INTO blob(hash, refs, size) VALUES(?, 0, ?)")                                                  \
    S(BLOB_ADD_BYTES, "INSERT INTO blob_bytes(k, bytes) VALUES(?, ?)")                                                 \
    S(BLOB_BYTES, "SELECT y.bytes FROM blob AS b JOIN blob_bytes AS y ON y.k = b.k WHERE b.hash = ?")                  \
    S(PLACE_ADD, "INSERT INTO progress(pipeline, source, partition, epoch) VALUES(?, ?, ?, 0)")                        \
    S(PLACE_FIND, "SELECT k FROM progress WHERE " PLACE)                                                               \
    S(PLACE_EPOCH, "SELECT epoch FROM progress WHERE " PLACE)                                                          \
    S(PLACE_CLAIM, "INSERT INTO progress(pipeline, source, partition, epoch) VALUES(?, ?, ?, 1) "                      \
                   "ON CONFLICT(pipeline, source, partition) DO UPDATE SET epoch = epoch + 1")                         \
    S(PROGRESS_PUT, "INSERT INTO progress(pipeline, source, partition, epoch, " BODY_COLUMNS                           \
                    ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(pipeline, source, partition) DO UPDATE SET "      \
                    "epoch = excluded.epoch, " BODY_SET " WHERE excluded.epoch >= progress.epoch")                     \
    S(ROOT_FIND, "SELECT k FROM root WHERE id = ?")                                                                    \
    S(ROOT_FIND_OPEN, "SELECT k FROM root WHERE id = ? AND state = 0")                                                 \
    S(ROOT_FIND_PARKED, "SELECT k FROM root WHERE id = ? AND state = 1")                                               \
    S(ROOT_ADD,                                                                                                        \
      "INSERT INTO root(id, place, state, seq, at, due, " BODY_COLUMNS ") VALUES(?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)")    \
    S(ROOT_PARK, "UPDATE root SET state = 1 WHERE k = ?")                                                              \
    S(ROOT_REOPEN, "UPDATE root SET state = 0, due = ? WHERE id = ? AND state = 1")                                    \
    S(ROOT_DELETE, "DELETE FROM root WHERE k = ?")                                                                     \
    S(RESTART_HARMLESS, "UPDATE restart SET n = 1 WHERE root = ?")                                                     \
    S(RESTART_ADD, "INSERT INTO restart(root, n) VALUES(?, 1) ON CONFLICT(root) DO UPDATE SET n = n + 1")              \
    S(RESTART_DELETE, "DELETE FROM restart WHERE root = ?")                                                            \
    S(STEP_PUT, "INSERT INTO step(k, node, idx, " BODY_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?) "                     \
                "ON CONFLICT(k) DO UPDATE SET " BODY_SET " WHERE node = excluded.node AND idx = excluded.idx")         \
    S(STEPS_DELETE, "DELETE FROM step WHERE k BETWEEN ? AND ?")                                                        \
    S(EFFECT_LOOK, "SELECT id = ? FROM effect WHERE k = ?")                                                            \
    S(EFFECT_PUT,                                                                                                      \
      "INSERT INTO effect(k, id, state, at, " BODY_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) "                      \
      "ON CONFLICT(k) DO UPDATE SET state = excluded.state, at = excluded.at, " BODY_SET " WHERE id = excluded.id")    \
    S(EFFECTS_DELETE, "DELETE FROM effect WHERE k BETWEEN ? AND ?")                                                    \
    S(INTENT_FIND, "SELECT (seq << 1) | state FROM intent WHERE pipeline = ? AND node = ? AND shard = ?")              \
    S(INTENT_PUT, "INSERT INTO intent(pipeline, node, shard, seq, state, " BODY_COLUMNS                                \
                  ") VALUES(?, ?, ?, ?, 0, ?, ?, ?, ?, ?) ON CONFLICT(pipeline, node, shard) DO UPDATE SET "           \
                  "seq = excluded.seq, state = 0, " BODY_SET)                                                          \
    S(INTENT_APPLIED_, "UPDATE intent SET state = 1, form = 0, sum = 0, body = NULL, blob = NULL, size = 0 "           \
                       "WHERE pipeline = ? AND node = ? AND shard = ?")                                                \
    S(STATE_PUT, "INSERT INTO state(pipeline, node, shard, key, " BODY_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) "  \
                 "ON CONFLICT(pipeline, node, shard, key) DO UPDATE SET " BODY_SET)                                    \
    S(STATE_DELETE, "DELETE FROM state WHERE pipeline = ? AND node = ? AND shard = ? AND key = ?")                     \
    S(TIMER_PUT, "INSERT INTO timer(pipeline, node, shard, key, due, " BODY_COLUMNS                                    \
                 ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(pipeline, node, shard, key) DO UPDATE SET "       \
                 "due = excluded.due, " BODY_SET)                                                                      \
    S(TIMER_DELETE, "DELETE FROM timer WHERE pipeline = ? AND node = ? AND shard = ? AND key = ?")                     \
    S(GATE_FIND, "SELECT state FROM gate WHERE id = ?")                                                                \
    S(GATE_ADD, "INSERT INTO gate(id, root, root_id, pipeline, node, state, due, at, cause, " BODY_COLUMNS             \
                ") VALUES(?, ?, ?, ?, ?, 0, ?, 0, '', ?, ?, ?, ?, ?)")                                                 \
    S(GATE_DECIDE, "UPDATE gate SET state = ?, at = ?, cause = ? WHERE id = ?")                                        \
    S(GATES_DELETE, "DELETE FROM gate WHERE root = ?")                                                                 \
    S(DEAD_FIND, "SELECT k FROM dead WHERE id = ?")                                                                    \
    S(DEAD_OF_ROOT, "SELECT k FROM dead WHERE root = ? LIMIT 1")                                                       \
    S(DEAD_ROOT, "SELECT root FROM dead WHERE k = ?")                                                                  \
    S(DEAD_OLDEST, "SELECT k FROM dead WHERE k = (SELECT min(k) FROM dead) AND at < ?")                                \
    S(DEAD_ADD, "INSERT INTO dead(id, root, pipeline, node, cause, at, replays, replayed, " BODY_COLUMNS               \
                ") VALUES(?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?)")                                                     \
    S(DEAD_DELETE, "DELETE FROM dead WHERE k = ?")                                                                     \
    S(DEAD_REPLAYED, "UPDATE dead SET replays = replays + 1, replayed = ? WHERE id = ?")                               \
    S(TRACE_FIND, "SELECT k FROM trace WHERE id = ?")                                                                  \
    S(TRACE_ADD, "INSERT INTO trace(id, pipeline, at, " BODY_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?) "               \
                 "ON CONFLICT(id) DO UPDATE SET at = excluded.at, " BODY_SET)                                          \
    S(TRACE_OLDEST, "SELECT k FROM trace WHERE k = (SELECT min(k) FROM trace) AND "                                    \
                    "(at < ? OR (SELECT max(k) FROM trace) - k >= ?)")                                                 \
    S(TRACE_DELETE, "DELETE FROM trace WHERE k = ?")                                                                   \
    S(READ_ROOT, SELECT_ROOT "WHERE t.id = ?1")                                                                        \
    S(READ_ROOTS, SELECT_ROOT "WHERE t.place IN (SELECT k FROM progress WHERE pipeline = ?1 AND source = ?2 AND "      \
                              "?3 IN (partition, 4294967295)) AND t.state = 0 AND t.k > ?4 ORDER BY t.k")              \
    S(READ_STEPS, SELECT_STEP "WHERE t.k > ?2 AND t.k < ?3 ORDER BY t.k")                                              \
    S(READ_EFFECTS, SELECT_EFFECT "WHERE t.k > ?2 AND t.k < ?3 ORDER BY t.k")                                          \
    S(READ_EFFECT, SELECT_EFFECT "WHERE t.k = ?2")                                                                     \
    S(READ_PROGRESS, SELECT_PROGRESS "WHERE t.pipeline = ?1 AND t.source = ?2 AND t.partition = ?3")                   \
    S(READ_INTENTS, SELECT_INTENT "WHERE t.pipeline = ?1 AND t.k > ?2 ORDER BY t.k")                                   \
    S(READ_STATES, SELECT_STATE "WHERE t.pipeline = ?1 AND t.node = ?2 AND t.shard = ?3 AND t.k > ?4 ORDER BY t.k")    \
    S(READ_STATE, SELECT_STATE "WHERE t.pipeline = ?1 AND t.node = ?2 AND t.shard = ?3 AND t.key = ?4")                \
    S(READ_TIMERS, SELECT_TIMER "WHERE t.pipeline = ?1 AND t.shard = ?2 AND t.due <= ?3 ORDER BY t.due, t.k")          \
    S(READ_GATE, SELECT_GATE "WHERE t.id = ?1")                                                                        \
    S(READ_GATES, SELECT_GATE "WHERE t.state = 0 AND (?1 = '' OR t.pipeline = ?1) AND t.k > ?2 ORDER BY t.k")          \
    S(READ_DEAD, SELECT_DEAD "WHERE t.id = ?1")                                                                        \
    S(READ_DEADS, SELECT_DEAD "WHERE (?1 = '' OR t.pipeline = ?1) AND (?2 = '' OR t.cause = ?2) AND "                  \
                              "(?3 = '' OR t.node = ?3) AND t.k > ?4 ORDER BY t.k")                                    \
    S(READ_DEADS_ALIKE,                                                                                                \
      SELECT_DEAD "WHERE t.pipeline = ?1 AND t.cause = ?2 AND t.node = ?3 AND t.k > ?4 ORDER BY t.k")                  \
    S(READ_DEADS_OF, SELECT_DEAD "WHERE t.root = ?1 AND t.k > ?2 ORDER BY t.k")                                        \
    S(READ_DEAD_GROUPS,                                                                                                \
      "SELECT 0, NULL, NULL, pipeline, NULL, node, NULL, cause, 0, 0, 0, 0, count(*), 0, 0, min(at), "                 \
      "max(at), 0, 0, NULL, NULL, 0 FROM dead WHERE ?1 = '' OR pipeline = ?1 "                                         \
      "GROUP BY pipeline, cause, node")                                                                                \
    S(READ_TRACE, SELECT_TRACE "WHERE t.id = ?1")                                                                      \
    S(READ_TRACES, SELECT_TRACE "WHERE t.k > ?1 ORDER BY t.k")                                                         \
    S(READ_TRACES_OF, SELECT_TRACE "WHERE t.k > ?1 AND t.pipeline = ?2 ORDER BY t.k")

#define STATEMENT_ID(id, sql) SQL_##id,
enum journal_statement { STATEMENTS(STATEMENT_ID) SQL_STATEMENTS };

extern const char *const journal_statements[];
extern const char *const journal_migrations[];

struct sqlite_journal {
    struct journal base;
    struct sqlite *db;
    uint64_t traces_max;
    ns_t trace_age, dead_age;
    _Atomic size_t queued; /* bytes of asynchronous commits that are not done */
};

/* On the thread: bring one operation about. */
err_t journal_apply(struct sqlite_journal *j, struct journal_op *op) MUST_CHECK;
/* The root's row; *ret_found false: it is not here. */
err_t journal_find_root(struct sqlite_journal *j, const struct journal_id *id, bool *ret_found, int64_t *ret_k)
    MUST_CHECK;
/* The row of the root's effect; *ret_found false: it has none with this key. */
err_t journal_find_effect(struct sqlite_journal *j, int64_t root, const struct journal_id *id, bool *ret_found,
                          int64_t *ret_k) MUST_CHECK;
/* On the thread: gather a page. */
err_t journal_gather(struct sqlite_journal *j, const struct journal_query *q, struct arena *a, struct journal_page *ret)
    MUST_CHECK;
/* What is kept beside a body to tell damage. */
int64_t journal_body_sum(uint16_t form, struct str bytes);

#endif
