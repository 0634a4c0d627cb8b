/* settings.c - compatibility levels and modes: of a subject, or, where it has none of its own, of all. */
#include "registry/registry_int.h"

static const char *const mode_names[] = {"READWRITE", "READONLY", "IMPORT"};

/* The subject that the path names; "" for all. */
static struct str subject_of(const struct exchange *x)
{
    return x->segment_count > 1 ? x->segments[1] : STR("");
}

/* STR_NONE: there is none of its own. */
static err_t read_setting(struct exchange *x, const char *kind, struct str subject, struct str *ret)
{
    sqlite3_stmt *st = NULL;
    bool row;

    *ret = STR_NONE;
    TRY(sqlite_begin(x->db, SQL_SETTING, SQL_VALUES(SQL_TEXT(str_from_c(kind)), SQL_TEXT(subject)), &st));
    TRY(sqlite_next(x->db, st, &row));
    if (!row)
        return OK;
    *ret = arena_str(x->arena, sqlite_text(st, 0));
    sqlite_end(st);
    return OK;
}

static err_t write_setting(struct exchange *x, const char *kind, struct str subject, const char *value)
{
    return sqlite_change(x->db, SQL_SETTING_PUT,
                         SQL_VALUES(SQL_TEXT(str_from_c(kind)), SQL_TEXT(subject), SQL_TEXT(str_from_c(value))), NULL);
}

/* The setting of the subject, or of all. STR_NONE: nobody has set any. */
static err_t effective(struct exchange *x, const char *kind, struct str subject, struct str *ret)
{
    TRY(read_setting(x, kind, subject, ret));
    return ret->n || !subject.n ? OK : read_setting(x, kind, STR(""), ret);
}

static err_t put_member(struct exchange *x, const char *key, struct str value)
{
    json_open(&x->out, '{');
    json_member_str(&x->out, str_from_c(key), value);
    json_close(&x->out, '}');
    return OK;
}

/* --- levels --- */

err_t level_of(struct exchange *x, struct str subject, enum compat_level *ret)
{
    struct str name;

    TRY(effective(x, "level", subject, &name));
    *ret = COMPAT_BACKWARD;
    if (name.n && !compat_level_find(name, ret))
        return sqlite_damaged(x->db, "a compatibility level is none that there is");
    return OK;
}

err_t answer_config(struct exchange *x)
{
    struct str subject = subject_of(x), own;
    enum compat_level level;

    TRY(read_setting(x, "level", subject, &own));
    if (subject.n && !own.n && !exchange_flag(x, "defaultToGlobal"))
        return exchange_refuse(x, CODE_NO_LEVEL, "Subject '%.*s' does not have subject-level compatibility configured",
                               STR_ARG(subject));
    TRY(level_of(x, subject, &level));
    return put_member(x, "compatibilityLevel", str_from_c(compat_level_name(level)));
}

err_t answer_put_config(struct exchange *x)
{
    struct str name = json_get_text(x->body, STR("compatibility"), x->arena);
    enum compat_level level;

    if (!compat_level_find(name, &level))
        return exchange_refuse(x, CODE_INVALID_LEVEL,
                               "Invalid compatibility level. Valid values are none, backward, forward, full, "
                               "backward_transitive, forward_transitive, and full_transitive");
    TRY(write_setting(x, "level", subject_of(x), compat_level_name(level)));
    return put_member(x, "compatibility", str_from_c(compat_level_name(level)));
}

static err_t delete_setting(struct exchange *x, const char *kind)
{
    return sqlite_change(x->db, SQL_SETTING_DELETE, SQL_VALUES(SQL_TEXT(str_from_c(kind)), SQL_TEXT(subject_of(x))),
                         NULL);
}

err_t answer_delete_config(struct exchange *x)
{
    struct str subject = subject_of(x), own;

    TRY(read_setting(x, "level", subject, &own));
    if (subject.n && !own.n)
        return exchange_refuse(x, CODE_NO_LEVEL, "Subject '%.*s' does not have subject-level compatibility configured",
                               STR_ARG(subject));
    TRY(delete_setting(x, "level"));
    return put_member(x, "compatibilityLevel", own.n ? own : str_from_c(compat_level_name(COMPAT_BACKWARD)));
}

/* --- modes --- */

static bool find_mode(struct str name, enum registry_mode *ret)
{
    for (unsigned i = 0; i < ARRAY_LEN(mode_names); i++)
        if (str_eq_nocase(name, str_from_c(mode_names[i]))) {
            *ret = (enum registry_mode)i;
            return true;
        }
    return false;
}

err_t mode_of(struct exchange *x, struct str subject, enum registry_mode *ret)
{
    struct str name;

    TRY(effective(x, "mode", subject, &name));
    *ret = MODE_READWRITE;
    if (name.n && !find_mode(name, ret))
        return sqlite_damaged(x->db, "a mode is none that there is");
    return OK;
}

err_t answer_mode(struct exchange *x)
{
    struct str subject = subject_of(x), own;
    enum registry_mode mode;

    TRY(read_setting(x, "mode", subject, &own));
    if (subject.n && !own.n && !exchange_flag(x, "defaultToGlobal"))
        return exchange_refuse(x, CODE_NO_MODE, "Subject '%.*s' does not have subject-level mode configured",
                               STR_ARG(subject));
    TRY(mode_of(x, subject, &mode));
    return put_member(x, "mode", str_from_c(mode_names[mode]));
}

/* Ids that are given from outside must not meet others: so importing begins with nothing, unless who does it insists. */
static err_t may_import(struct exchange *x, struct str subject, bool *ret)
{
    sqlite3_stmt *st = NULL;

    *ret = true;
    if (exchange_flag(x, "force"))
        return OK;
    TRY(sqlite_begin(
        x->db, subject.n ? SQL_SUBJECT_STATE : SQL_SUBJECTS,
        (struct sqlite_value[]){subject.n ? SQL_TEXT(subject) : SQL_INT(0), SQL_TEXT(STR("")), SQL_TEXT(STR(""))},
        subject.n ? 1 : 3, &st));
    TRY(sqlite_next(x->db, st, ret));
    if (*ret)
        sqlite_end(st);
    *ret = !*ret;
    return OK;
}

err_t answer_put_mode(struct exchange *x)
{
    struct str subject = subject_of(x);
    enum registry_mode mode;
    bool may = true;

    if (!find_mode(json_get_text(x->body, STR("mode"), x->arena), &mode))
        return exchange_refuse(x, CODE_INVALID_MODE, "Invalid mode. Valid values are READWRITE, READONLY and IMPORT");
    if (mode == MODE_IMPORT)
        TRY(may_import(x, subject, &may));
    if (!may)
        return exchange_refuse(x, CODE_NOT_PERMITTED, "Cannot import since found existing subjects");
    TRY(write_setting(x, "mode", subject, mode_names[mode]));
    return put_member(x, "mode", str_from_c(mode_names[mode]));
}

err_t answer_delete_mode(struct exchange *x)
{
    struct str subject = subject_of(x), own;

    TRY(read_setting(x, "mode", subject, &own));
    if (!own.n)
        return exchange_refuse(x, CODE_NO_MODE, "Subject '%.*s' does not have subject-level mode configured",
                               STR_ARG(subject));
    TRY(delete_setting(x, "mode"));
    return put_member(x, "mode", own);
}
