/*
 * subjects.c - subjects, their versions, and the schemas that these refer to.
 *
 * A schema is known again by its text without blanks: the same one has the same id wherever it is registered. What is deleted is hidden at first, so that
 * messages which name it can still be read; only then can it be deleted for good. An id is never given twice, the number of a
 * version not as long as it, or a later one, is there or hidden.
 */
#include "codec/digest.h"
#include "codec/url.h"
#include "expr/expr.h"
#include "registry/registry_int.h"

struct version {
    int64_t version, schema;
    bool is_hidden;
};

/* --- reading --- */

static err_t take_version(struct exchange *x, enum registry_statement statement, const struct sqlite_value *values,
                          size_t n, bool *ret_found, struct version *ret)
{
    sqlite3_stmt *st = NULL;

    TRY(sqlite_begin(x->db, statement, values, n, &st));
    TRY(sqlite_next(x->db, st, ret_found));
    if (!*ret_found)
        return OK;
    *ret = (struct version){sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2) != 0};
    sqlite_end(st);
    return OK;
}

/* Hidden ones too, if the request says so. */
static int64_t hidden_too(const struct exchange *x)
{
    return exchange_flag(x, "deleted");
}

enum subject_state { SUBJECT_NONE, SUBJECT_THERE, SUBJECT_HIDDEN };

static err_t state_of(struct exchange *x, struct str subject, enum subject_state *ret)
{
    int64_t least;
    bool found;

    TRY(sqlite_number(x->db, SQL_SUBJECT_STATE, SQL_VALUES(SQL_TEXT(subject)), &found, &least));
    *ret = !found ? SUBJECT_NONE : least ? SUBJECT_HIDDEN : SUBJECT_THERE;
    return OK;
}

static err_t no_subject(struct exchange *x, struct str subject)
{
    return exchange_refuse(x, CODE_NO_SUBJECT, "Subject '%.*s' not found.", STR_ARG(subject));
}

static err_t schema_text(struct exchange *x, int64_t id, bool *ret_found, struct str *ret)
{
    sqlite3_stmt *st = NULL;

    TRY(sqlite_begin(x->db, SQL_SCHEMA_TEXT, SQL_VALUES(SQL_INT(id)), &st));
    TRY(sqlite_next(x->db, st, ret_found));
    if (!*ret_found)
        return OK;
    *ret = arena_str(x->arena, sqlite_text(st, 0));
    sqlite_end(st);
    return OK;
}

/* Of a version, which refers to one. */
static err_t text_of(struct exchange *x, const struct version *v, struct str *ret)
{
    bool found;

    TRY(schema_text(x, v->schema, &found, ret));
    return found ? OK : sqlite_damaged(x->db, "a version has no schema");
}

/* "latest", "-1", or a number from 1. */
static bool read_version(struct str s, int64_t *ret)
{
    uint64_t n;

    *ret = -1;
    if (str_eq(s, STR("latest")) || str_eq(s, STR("-1")))
        return true;
    if (!str_to_u64(s, INT32_MAX, &n) || n == 0)
        return false;
    *ret = (int64_t)n;
    return true;
}

static err_t find_version(struct exchange *x, struct str subject, int64_t number, bool *ret_found, struct version *ret)
{
    int64_t hidden = hidden_too(x);

    if (number < 0)
        return take_version(x, SQL_VERSION_LATEST, SQL_VALUES(SQL_TEXT(subject), SQL_INT(hidden)), ret_found, ret);
    TRY(take_version(x, SQL_VERSION, SQL_VALUES(SQL_TEXT(subject), SQL_INT(number)), ret_found, ret));
    *ret_found = *ret_found && (hidden || !ret->is_hidden);
    return OK;
}

/* The version that the path names; false: a refusal has been answered. */
static err_t named_version(struct exchange *x, struct str subject, struct str version, bool *ret_found,
                           struct version *ret)
{
    enum subject_state state;
    int64_t number;

    *ret_found = false;
    if (!read_version(version, &number))
        return exchange_refuse(
            x, CODE_INVALID_VERSION,
            "The specified version '%.*s' is not a valid version id. Allowed values are between [1, 2^31-1] "
            "and the string \"latest\"",
            STR_ARG(version));
    TRY(state_of(x, subject, &state));
    if (state == SUBJECT_NONE || (state == SUBJECT_HIDDEN && !hidden_too(x)))
        return no_subject(x, subject);
    TRY(find_version(x, subject, number, ret_found, ret));
    return *ret_found ? OK : exchange_refuse(x, CODE_NO_VERSION, "Version %.*s not found.", STR_ARG(version));
}

/* --- subjects and versions --- */

err_t answer_subjects(struct exchange *x)
{
    struct sqlite_value prefix = SQL_TEXT(url_query_get(x->query, STR("subjectPrefix"), x->arena));
    sqlite3_stmt *st = NULL;
    bool row = true;

    if (!prefix.s.p)
        prefix = SQL_TEXT(STR(""));
    json_open(&x->out, '[');
    TRY(sqlite_begin(x->db, SQL_SUBJECTS, SQL_VALUES(SQL_INT(hidden_too(x)), prefix, prefix), &st));
    for (;;) {
        TRY(sqlite_next(x->db, st, &row));
        if (!row)
            break;
        json_put_str(&x->out, sqlite_text(st, 0));
    }
    json_close(&x->out, ']');
    return OK;
}

static err_t read_versions(struct exchange *x, struct str subject, bool hidden, struct version **ret, size_t *ret_count)
{
    struct version *all = arena_alloc(x->arena, REGISTRY_VERSIONS_MAX * sizeof *all);
    sqlite3_stmt *st = NULL;
    bool row;

    *ret_count = 0;
    *ret = all;
    TRY(sqlite_begin(x->db, SQL_VERSIONS, SQL_VALUES(SQL_TEXT(subject), SQL_INT(hidden)), &st));
    for (;;) {
        TRY(sqlite_next(x->db, st, &row));
        if (!row)
            return OK;
        if (*ret_count < REGISTRY_VERSIONS_MAX)
            all[(*ret_count)++] = (struct version){sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1),
                                                   sqlite3_column_int64(st, 2) != 0};
    }
}

static void put_versions(struct exchange *x, const struct version *all, size_t n)
{
    json_open(&x->out, '[');
    for (size_t i = 0; i < n; i++)
        json_put_i64(&x->out, all[i].version);
    json_close(&x->out, ']');
}

err_t answer_versions(struct exchange *x)
{
    struct version *all;
    size_t n;

    TRY(read_versions(x, x->segments[1], hidden_too(x), &all, &n));
    if (!n)
        return no_subject(x, x->segments[1]);
    put_versions(x, all, n);
    return OK;
}

static err_t put_whole_version(struct exchange *x, struct str subject, const struct version *v)
{
    struct str text = STR_NONE;

    TRY(text_of(x, v, &text));
    json_open(&x->out, '{');
    json_member_str(&x->out, STR("subject"), subject);
    json_member_i64(&x->out, STR("version"), v->version);
    json_member_i64(&x->out, STR("id"), v->schema);
    json_member_str(&x->out, STR("schemaType"), STR("JSON"));
    json_member_str(&x->out, STR("schema"), text);
    json_close(&x->out, '}');
    return OK;
}

err_t answer_version(struct exchange *x)
{
    struct version v;
    bool found;

    TRY(named_version(x, x->segments[1], x->segments[3], &found, &v));
    return found ? put_whole_version(x, x->segments[1], &v) : OK;
}

err_t answer_version_schema(struct exchange *x)
{
    struct version v;
    struct str text = STR_NONE;
    bool found;

    TRY(named_version(x, x->segments[1], x->segments[3], &found, &v));
    if (!found)
        return OK;
    TRY(text_of(x, &v, &text));
    json_put_raw(&x->out, text);
    return OK;
}

/* --- schemas by id --- */

static err_t named_schema(struct exchange *x, bool *ret_found, int64_t *ret_id, struct str *ret)
{
    uint64_t id;

    *ret_found = false;
    if (str_to_u64(x->segments[2], INT32_MAX, &id))
        TRY(schema_text(x, (int64_t)id, ret_found, ret));
    if (!*ret_found)
        return exchange_refuse(x, CODE_NO_SCHEMA, "Schema %.*s not found", STR_ARG(x->segments[2]));
    *ret_id = (int64_t)id;
    return OK;
}

err_t answer_schema(struct exchange *x)
{
    struct str text;
    int64_t id;
    bool found;

    TRY(named_schema(x, &found, &id, &text));
    if (!found)
        return OK;
    json_open(&x->out, '{');
    json_member_str(&x->out, STR("schemaType"), STR("JSON"));
    json_member_str(&x->out, STR("schema"), text);
    json_close(&x->out, '}');
    return OK;
}

err_t answer_schema_text(struct exchange *x)
{
    struct str text;
    int64_t id;
    bool found;

    TRY(named_schema(x, &found, &id, &text));
    if (found)
        json_put_raw(&x->out, text);
    return OK;
}

/* Where the schema is in use: subjects, or subjects with versions. */
static err_t put_uses(struct exchange *x, bool with_versions)
{
    struct str text, last = STR_NONE;
    sqlite3_stmt *st = NULL;
    int64_t id;
    bool found, row;

    TRY(named_schema(x, &found, &id, &text));
    if (!found)
        return OK;
    json_open(&x->out, '[');
    TRY(sqlite_begin(x->db, SQL_USES, SQL_VALUES(SQL_INT(id), SQL_INT(hidden_too(x))), &st));
    for (;;) {
        TRY(sqlite_next(x->db, st, &row));
        if (!row)
            break;
        struct str subject = arena_str(x->arena, sqlite_text(st, 0));
        if (!with_versions) {
            if (!str_eq(subject, last))
                json_put_str(&x->out, subject);
            last = subject;
            continue;
        }
        json_open(&x->out, '{');
        json_member_str(&x->out, STR("subject"), subject);
        json_member_i64(&x->out, STR("version"), sqlite3_column_int64(st, 1));
        json_close(&x->out, '}');
    }
    json_close(&x->out, ']');
    return OK;
}

err_t answer_schema_subjects(struct exchange *x)
{
    return put_uses(x, false);
}

err_t answer_schema_versions(struct exchange *x)
{
    return put_uses(x, true);
}

/* --- schemas that come in --- */

struct incoming {
    struct str text; /* without blanks */
    unsigned char hash[SHA256_BYTES];
    const struct jsonschema *schema;
};

static err_t compile(struct exchange *x, struct str text, const struct jsonschema **ret)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(x->arena, text, &tree));
    return jsonschema_compile(x->arena, tree, &(struct jsonschema_options){.draft = JSONSCHEMA_DRAFT_07}, ret, NULL);
}

/* The schema of the request's body; false: a refusal has been answered. */
static err_t read_incoming(struct exchange *x, bool *ret_ok, struct incoming *ret)
{
    struct str text = json_get_text(x->body, STR("schema"), x->arena);
    struct str type = json_get_text(x->body, STR("schemaType"), x->arena);
    struct buf plain CLEANUP(buf_release) = BUF_INIT(REGISTRY_BODY_MAX);
    const struct json_tree *tree;

    *ret_ok = false;
    if (!str_eq(type, STR("JSON")))
        return exchange_refuse(x, CODE_INVALID_SCHEMA,
                               "Schemas of type %.*s are not kept here, only those of type JSON",
                               type.n ? (int)type.n : 4, type.n ? type.p : "AVRO");
    if (json_node_count(json_node_get(x->body, STR("references"))))
        return exchange_refuse(x, CODE_INVALID_SCHEMA, "References to other subjects are not understood");
    if (!text.n || json_tree_parse(x->arena, text, &tree) != OK)
        return exchange_refuse(x, CODE_INVALID_SCHEMA, "Invalid schema: it is no JSON document");
    TRY(expr_value_print(expr_json(json_tree_root(tree)), &plain));
    ret->text = arena_str(x->arena, buf_str(&plain));
    err_t e = compile(x, ret->text, &ret->schema);
    if (e != OK)
        return exchange_refuse(x, CODE_INVALID_SCHEMA, "Invalid schema: %s", err_detail(e));
    sha256(ret->text, ret->hash);
    *ret_ok = true;
    return OK;
}

static struct sqlite_value hash_of(const struct incoming *in)
{
    return SQL_BLOB(str_of((const char *)in->hash, sizeof in->hash));
}

/* --- what goes with what --- */

/* Which versions are to be looked at: all, or one. */
struct others {
    const struct version *versions;
    size_t count;
};

static err_t describe(struct exchange *x, const struct compat_problem *p, const struct version *v, struct buf *to)
{
    bool is_unknown = p->result.verdict == INCLUSION_UNKNOWN;

    (void)x;
    if (is_unknown)
        return buf_addf(to, "version %lld: it is not known whether %s: %.*s", (long long)v->version,
                        p->is_forward ? "it understands what the new one allows" : "the new one understands all of it",
                        STR_ARG(p->result.why));
    return buf_addf(to, "version %lld: %s allows %.*s, of which the other says: \"%.*s\" %.*s", (long long)v->version,
                    p->is_forward ? "the new one" : "it", STR_ARG(p->result.document), STR_ARG(p->result.path),
                    STR_ARG(p->result.why));
}

/* What speaks against it, as texts in the arena; none: it may follow. */
static err_t find_conflicts(struct exchange *x, struct str subject, const struct incoming *in, struct others others,
                            struct str **ret, size_t *ret_count)
{
    const struct jsonschema **schemas = arena_alloc(x->arena, (others.count + 1) * sizeof *schemas);
    const struct compat_problem *problems;
    enum compat_level level;

    *ret_count = 0;
    TRY(level_of(x, subject, &level));
    if (level == COMPAT_NONE || !others.count)
        return OK;
    for (size_t i = 0; i < others.count; i++) {
        struct str text = STR_NONE;
        TRY(text_of(x, &others.versions[i], &text));
        TRY(compile(x, text, &schemas[i]));
    }
    size_t n;
    TRY(compat_check(schemas, others.count, in->schema, level, &(struct inclusion_options){0}, x->arena, &problems,
                     &n));
    *ret = arena_alloc(x->arena, (n + 1) * sizeof **ret);
    for (size_t i = 0; i < n; i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
        (void)describe(x, &problems[i], &others.versions[problems[i].version], &text);
        (*ret)[(*ret_count)++] = arena_str(x->arena, buf_str(&text));
    }
    return OK;
}

static err_t put_verdict(struct exchange *x, const struct str *conflicts, size_t n)
{
    json_open(&x->out, '{');
    json_member_bool(&x->out, STR("is_compatible"), n == 0);
    if (exchange_flag(x, "verbose")) {
        json_member_open(&x->out, STR("messages"), '[');
        for (size_t i = 0; i < n; i++)
            json_put_str(&x->out, conflicts[i]);
        json_close(&x->out, ']');
    }
    json_close(&x->out, '}');
    return OK;
}

err_t answer_check(struct exchange *x)
{
    struct str subject = x->segments[2], *conflicts = NULL;
    struct version *all, one;
    struct others others;
    struct incoming in;
    bool ok;
    size_t n;

    TRY(read_incoming(x, &ok, &in));
    if (!ok)
        return OK;
    if (x->segment_count == 5) {
        TRY(named_version(x, subject, x->segments[4], &ok, &one));
        if (!ok)
            return OK;
        others = (struct others){&one, 1};
    } else {
        TRY(read_versions(x, subject, false, &all, &n));
        others = (struct others){all, n};
    }
    TRY(find_conflicts(x, subject, &in, others, &conflicts, &n));
    return put_verdict(x, conflicts, n);
}

/* --- registering --- */

static bool is_subject(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return s.n > 0 && s.n <= REGISTRY_SUBJECT_MAX;
}

static err_t put_id(struct exchange *x, int64_t id)
{
    json_open(&x->out, '{');
    json_member_i64(&x->out, STR("id"), id);
    json_close(&x->out, '}');
    return OK;
}

/* The schema's id: it has one, or gets the next, or, when importing, the one that is given. 0: that is another schema's. */
static err_t id_for(struct exchange *x, const struct incoming *in, int64_t given, int64_t *ret)
{
    struct str other;
    bool found;

    TRY(sqlite_number(x->db, SQL_SCHEMA_OF_HASH, SQL_VALUES(hash_of(in)), &found, ret));
    if (found) {
        *ret = given && given != *ret ? 0 : *ret;
        return OK;
    }
    *ret = given;
    if (given) {
        TRY(schema_text(x, given, &found, &other));
        *ret = found ? 0 : given;
    } else {
        TRY(sqlite_number(x->db, SQL_SCHEMA_NEXT, NULL, 0, &found, ret));
    }
    if (!*ret)
        return OK;
    return sqlite_change(x->db, SQL_SCHEMA_ADD, SQL_VALUES(SQL_INT(*ret), hash_of(in), SQL_TEXT(in->text)), NULL);
}

static err_t add_version(struct exchange *x, struct str subject, int64_t schema, int64_t given)
{
    int64_t number = given;
    bool found;

    if (!number)
        TRY(sqlite_number(x->db, SQL_VERSION_NEXT, SQL_VALUES(SQL_TEXT(subject)), &found, &number));
    TRY(sqlite_change(x->db, SQL_VERSION_ADD, SQL_VALUES(SQL_TEXT(subject), SQL_INT(number), SQL_INT(schema)), NULL));
    return put_id(x, schema);
}

/* A number of the body: 0 if there is none. */
static int64_t given(const struct exchange *x, const char *name)
{
    int64_t n;

    return json_node_i64(json_node_get(x->body, str_from_c(name)), &n) && n > 0 && n <= INT32_MAX ? n : 0;
}

/* May this be registered there at all? False: a refusal has been answered. */
static err_t may_register(struct exchange *x, struct str subject, enum registry_mode *ret_mode, bool *ret)
{
    int64_t count;
    bool found;

    *ret = false;
    if (!is_subject(subject))
        return exchange_refuse(x, CODE_INVALID_SUBJECT,
                               "The specified subject is not valid: 1 to %d bytes of printable text",
                               REGISTRY_SUBJECT_MAX);
    TRY(mode_of(x, subject, ret_mode));
    if (*ret_mode == MODE_READONLY)
        return exchange_refuse(x, CODE_NOT_PERMITTED, "Subject '%.*s' is in read-only mode", STR_ARG(subject));
    if (*ret_mode != MODE_IMPORT && given(x, "id"))
        return exchange_refuse(x, CODE_NOT_PERMITTED, "Subject '%.*s' is not in import mode", STR_ARG(subject));
    TRY(sqlite_number(x->db, SQL_VERSION_COUNT, SQL_VALUES(SQL_TEXT(subject)), &found, &count));
    if (count >= REGISTRY_VERSIONS_MAX)
        return exchange_refuse(x, CODE_NOT_PERMITTED, "Subject '%.*s' has %d versions; it cannot have more",
                               STR_ARG(subject), REGISTRY_VERSIONS_MAX);
    *ret = true;
    return OK;
}

/* Is it one of the subject's already? */
static err_t find_same(struct exchange *x, struct str subject, const struct incoming *in, bool *ret_found,
                       struct version *ret)
{
    int64_t id;

    TRY(sqlite_number(x->db, SQL_SCHEMA_OF_HASH, SQL_VALUES(hash_of(in)), ret_found, &id));
    if (!*ret_found)
        return OK;
    return take_version(x, SQL_VERSION_OF_SCHEMA, SQL_VALUES(SQL_TEXT(subject), SQL_INT(id), SQL_INT(hidden_too(x))),
                        ret_found, ret);
}

static err_t register_new(struct exchange *x, struct str subject, const struct incoming *in, enum registry_mode mode)
{
    int64_t number = mode == MODE_IMPORT ? given(x, "version") : 0, id;
    struct version same;
    bool found = false;

    if (number)
        TRY(take_version(x, SQL_VERSION, SQL_VALUES(SQL_TEXT(subject), SQL_INT(number)), &found, &same));
    if (found)
        return exchange_refuse(x, CODE_NOT_PERMITTED, "Subject '%.*s' has a version %lld already", STR_ARG(subject),
                               (long long)number);
    TRY(id_for(x, in, given(x, "id"), &id));
    if (!id)
        return exchange_refuse(x, CODE_NOT_PERMITTED, "Overwrite new schema with id %lld is not permitted.",
                               (long long)given(x, "id"));
    return add_version(x, subject, id, number);
}

err_t answer_register(struct exchange *x)
{
    struct str subject = x->segments[1], *conflicts = NULL;
    enum registry_mode mode;
    struct version *all, same;
    struct incoming in;
    size_t n, conflict_count = 0;
    bool ok;

    TRY(may_register(x, subject, &mode, &ok));
    if (ok)
        TRY(read_incoming(x, &ok, &in));
    if (!ok)
        return OK;
    TRY(find_same(x, subject, &in, &ok, &same));
    if (ok && !same.is_hidden)
        return put_id(x, same.schema);
    TRY(read_versions(x, subject, false, &all, &n));
    if (mode != MODE_IMPORT)
        TRY(find_conflicts(x, subject, &in, (struct others){all, n}, &conflicts, &conflict_count));
    if (conflict_count)
        return exchange_refuse(
            x, CODE_INCOMPATIBLE,
            "Schema being registered is incompatible with an earlier schema for subject \"%.*s\": %.*s",
            STR_ARG(subject), STR_ARG(conflicts[0]));
    return register_new(x, subject, &in, mode);
}

err_t answer_look_up(struct exchange *x)
{
    struct str subject = x->segments[1];
    enum subject_state state;
    struct incoming in;
    struct version v;
    bool ok;

    TRY(state_of(x, subject, &state));
    if (state == SUBJECT_NONE || (state == SUBJECT_HIDDEN && !hidden_too(x)))
        return no_subject(x, subject);
    TRY(read_incoming(x, &ok, &in));
    if (!ok)
        return OK;
    TRY(find_same(x, subject, &in, &ok, &v));
    return ok ? put_whole_version(x, subject, &v) : exchange_refuse(x, CODE_NO_SCHEMA, "Schema not found");
}

/* --- deleting --- */

static err_t change_version(struct exchange *x, enum registry_statement statement, struct str subject, int64_t version)
{
    return sqlite_change(x->db, statement, SQL_VALUES(SQL_TEXT(subject), SQL_INT(version)), NULL);
}

err_t answer_delete_subject(struct exchange *x)
{
    bool is_permanent = exchange_flag(x, "permanent");
    struct str subject = x->segments[1];
    enum subject_state state;
    struct version *all;
    size_t n;

    TRY(state_of(x, subject, &state));
    if (state == SUBJECT_NONE)
        return no_subject(x, subject);
    if (state == SUBJECT_HIDDEN && !is_permanent)
        return exchange_refuse(x, CODE_SUBJECT_HIDDEN,
                               "Subject '%.*s' was soft deleted. Set permanent=true to delete permanently",
                               STR_ARG(subject));
    if (state == SUBJECT_THERE && is_permanent)
        return exchange_refuse(x, CODE_SUBJECT_NOT_HIDDEN,
                               "Subject '%.*s' was not deleted first before being permanently deleted",
                               STR_ARG(subject));
    TRY(read_versions(x, subject, is_permanent, &all, &n));
    for (size_t i = 0; i < n; i++)
        TRY(change_version(x, is_permanent ? SQL_VERSION_DELETE : SQL_VERSION_HIDE, subject, all[i].version));
    put_versions(x, all, n);
    return OK;
}

static err_t find_to_delete(struct exchange *x, bool is_permanent, bool *ret_ok, struct version *ret)
{
    struct str subject = x->segments[1], version = x->segments[3];
    enum subject_state state;
    int64_t number;

    *ret_ok = false;
    if (!read_version(version, &number))
        return exchange_refuse(x, CODE_INVALID_VERSION, "The specified version '%.*s' is not a valid version id",
                               STR_ARG(version));
    TRY(state_of(x, subject, &state));
    if (state == SUBJECT_NONE)
        return no_subject(x, subject);
    if (number < 0)
        TRY(take_version(x, SQL_VERSION_LATEST, SQL_VALUES(SQL_TEXT(subject), SQL_INT(is_permanent)), ret_ok, ret));
    else
        TRY(take_version(x, SQL_VERSION, SQL_VALUES(SQL_TEXT(subject), SQL_INT(number)), ret_ok, ret));
    return *ret_ok ? OK : exchange_refuse(x, CODE_NO_VERSION, "Version %.*s not found.", STR_ARG(version));
}

err_t answer_delete_version(struct exchange *x)
{
    bool is_permanent = exchange_flag(x, "permanent"), ok;
    struct version v;

    TRY(find_to_delete(x, is_permanent, &ok, &v));
    if (!ok)
        return OK;
    if (v.is_hidden && !is_permanent)
        return exchange_refuse(x, CODE_VERSION_HIDDEN,
                               "Version %lld was soft deleted. Set permanent=true to delete permanently",
                               (long long)v.version);
    if (!v.is_hidden && is_permanent)
        return exchange_refuse(x, CODE_VERSION_NOT_HIDDEN,
                               "Version %lld was not deleted first before being permanently deleted",
                               (long long)v.version);
    TRY(change_version(x, is_permanent ? SQL_VERSION_DELETE : SQL_VERSION_HIDE, x->segments[1], v.version));
    json_put_i64(&x->out, v.version);
    return OK;
}
