/* registry_int.h - a request on the registry's thread. Private to registry/. */
#ifndef REGISTRY_REGISTRY_INT_H
#define REGISTRY_REGISTRY_INT_H

#include "codec/json_out.h"
#include "codec/json_tree.h"
#include "jsonschema/compat.h"
#include "registry/registry.h"
#include "store/sqlite.h"

#define REGISTRY_STATEMENTS(S)                                                                                         \
    S(SCHEMA_OF_HASH, "SELECT id FROM schema WHERE hash = ?")                                                          \
    S(SCHEMA_ADD, "INSERT INTO schema(id, hash, text) VALUES(?, ?, ?)")                                                \
    S(SCHEMA_TEXT, "SELECT text FROM schema WHERE id = ?")                                                             \
    S(SCHEMA_NEXT, "SELECT coalesce(max(id), 0) + 1 FROM schema")                                                      \
    S(SUBJECTS, "SELECT subject FROM version WHERE deleted <= ? AND substr(subject, 1, length(?)) = ? "                \
                "GROUP BY subject ORDER BY subject")                                                                   \
    S(SUBJECT_STATE, "SELECT min(deleted) FROM version WHERE subject = ? GROUP BY subject")                            \
    S(VERSIONS, "SELECT version, schema, deleted FROM version WHERE subject = ? AND deleted <= ? ORDER BY version")    \
    S(VERSION, "SELECT version, schema, deleted FROM version WHERE subject = ? AND version = ?")                       \
    S(VERSION_LATEST, "SELECT version, schema, deleted FROM version WHERE subject = ? AND deleted <= ? "               \
                      "ORDER BY version DESC LIMIT 1")                                                                 \
    S(VERSION_OF_SCHEMA, "SELECT version, schema, deleted FROM version WHERE subject = ? AND schema = ? "              \
                         "AND deleted <= ? ORDER BY version DESC LIMIT 1")                                             \
    S(VERSION_NEXT, "SELECT coalesce(max(version), 0) + 1 FROM version WHERE subject = ?")                             \
    S(VERSION_COUNT, "SELECT count(*) FROM version WHERE subject = ?")                                                 \
    S(VERSION_ADD, "INSERT INTO version(subject, version, schema, deleted) VALUES(?, ?, ?, 0)")                        \
    S(VERSION_HIDE, "UPDATE version SET deleted = 1 WHERE subject = ? AND version = ?")                                \
    S(VERSION_DELETE, "DELETE FROM version WHERE subject = ? AND version = ?")                                         \
    S(USES, "SELECT subject, version FROM version WHERE schema = ? AND deleted <= ? ORDER BY subject, version")        \
    S(SETTING, "SELECT value FROM setting WHERE kind = ? AND subject = ?")                                             \
    S(SETTING_PUT, "INSERT INTO setting(kind, subject, value) VALUES(?, ?, ?) "                                        \
                   "ON CONFLICT(kind, subject) DO UPDATE SET value = excluded.value")                                  \
    S(SETTING_DELETE, "DELETE FROM setting WHERE kind = ? AND subject = ?")

#define REGISTRY_STATEMENT_ID(id, sql) SQL_##id,
enum registry_statement { REGISTRY_STATEMENTS(REGISTRY_STATEMENT_ID) SQL_STATEMENTS };

/* Error codes of the registry: an HTTP status, and two digits. */
enum {
    CODE_INCOMPATIBLE = 409,
    CODE_NO_PATH = 404,
    CODE_NO_METHOD = 405,
    CODE_NO_SUBJECT = 40401,
    CODE_NO_VERSION = 40402,
    CODE_NO_SCHEMA = 40403,
    CODE_SUBJECT_HIDDEN = 40404,
    CODE_SUBJECT_NOT_HIDDEN = 40405,
    CODE_VERSION_HIDDEN = 40406,
    CODE_VERSION_NOT_HIDDEN = 40407,
    CODE_NO_LEVEL = 40408,
    CODE_NO_MODE = 40409,
    CODE_INVALID_SCHEMA = 42201,
    CODE_INVALID_VERSION = 42202,
    CODE_INVALID_LEVEL = 42203,
    CODE_INVALID_MODE = 42204,
    CODE_NOT_PERMITTED = 42205,
    CODE_INVALID_SUBJECT = 42208,
};

enum { SEGMENTS_MAX = 6 };

/* A request that is being answered. All it points to lives in its arena. */
struct exchange {
    struct sqlite *db;
    struct arena *arena;
    struct str method, query;
    struct str segments[SEGMENTS_MAX]; /* of the path, decoded */
    size_t segment_count;
    struct json_node body; /* absent: none */
    int status;
    struct buf text;
    struct json_out out; /* to `text` */
};

/* Answer with an error. Returns OK: it is an answer. */
err_t exchange_refuse(struct exchange *x, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A parameter of the query that is "true". */
bool exchange_flag(const struct exchange *x, const char *name);

/* subjects.c; each answers one request. The names are those of the paths. */
err_t answer_subjects(struct exchange *x);
err_t answer_versions(struct exchange *x);
err_t answer_version(struct exchange *x);
err_t answer_version_schema(struct exchange *x);
err_t answer_register(struct exchange *x);
err_t answer_look_up(struct exchange *x);
err_t answer_delete_subject(struct exchange *x);
err_t answer_delete_version(struct exchange *x);
err_t answer_schema(struct exchange *x);
err_t answer_schema_text(struct exchange *x);
err_t answer_schema_subjects(struct exchange *x);
err_t answer_schema_versions(struct exchange *x);
err_t answer_check(struct exchange *x);

/* settings.c */
err_t answer_config(struct exchange *x);
err_t answer_put_config(struct exchange *x);
err_t answer_delete_config(struct exchange *x);
err_t answer_mode(struct exchange *x);
err_t answer_put_mode(struct exchange *x);
err_t answer_delete_mode(struct exchange *x);
/* What holds for the subject: its own setting, or that of all. */
err_t level_of(struct exchange *x, struct str subject, enum compat_level *ret) MUST_CHECK;
enum registry_mode { MODE_READWRITE, MODE_READONLY, MODE_IMPORT };
err_t mode_of(struct exchange *x, struct str subject, enum registry_mode *ret) MUST_CHECK;

#endif
