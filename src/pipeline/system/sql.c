/*
 * sql.c - tables and columns of the sinks that are SQL databases: checks, statements, values.
 *
 * Names are checked when the file is loaded, because they cannot be parameters of a statement; everything else is one. Values go as texts, and the
 * database makes of them what the column is.
 */
#include "pipeline/system/sql.h"

#include "expr/value.h"

const struct schema_field sql_column_value = SCHEMA_TEXT(NULL, struct sql_column, value);
const struct schema_field sql_key_item = SCHEMA_ITEM(TEXT);
const struct schema_choice sql_modes[] = {{"insert", SQL_INSERT, "a new row"},
                                          {"upsert", SQL_UPSERT, "a new row, or the one with the same `key` changed"},
                                          {NULL, 0, NULL}};

enum { NAME_MAX_BYTES = 63 };

bool sql_is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        bool is_digit = c >= '0' && c <= '9';
        if (!(c >= 'a' && c <= 'z') && c != '_' && !(is_digit && i))
            return false;
    }
    return s.n > 0 && s.n <= NAME_MAX_BYTES;
}

bool sql_is_table(struct str s)
{
    struct str first = str_cut(&s, '.');

    return sql_is_name(first) && (!s.p || sql_is_name(s));
}

static bool has_column(const struct sql_table *t, struct str name)
{
    for (size_t i = 0; i < t->column_count; i++)
        if (str_eq(t->columns[i].name, name))
            return true;
    return false;
}

void sql_build(struct pipeline_build *b, struct pipeline_node *n, struct sql_table *t)
{
    if (t->table.node && !sql_is_table(t->table.text))
        problems_error(b->problems, t->table.node,
                       "a table is \"name\" or \"schema.name\", of letters, digits and \"_\"");
    for (size_t i = 0; i < t->column_count; i++) {
        struct sql_column *c = &t->columns[i];
        if (!sql_is_name(c->name))
            problems_error(b->problems, c->value.node, "\"%.*s\" is no name of a column: letters, digits and \"_\"",
                           STR_ARG(c->name));
        c->expr = build_expr(b, n, &c->value);
    }
    if (!t->column_count)
        build_reads(b, n, STR("."));
    if ((t->mode == SQL_UPSERT) != (t->key_count > 0))
        problems_error(b->problems, n->at, "\"mode: upsert\" and \"key\" go together");
    for (size_t i = 0; i < t->key_count; i++)
        if (!has_column(t, t->keys[i].text))
            problems_error(b->problems, t->keys[i].node, "\"%.*s\" is not among \"columns\"", STR_ARG(t->keys[i].text));
}

/* --- statements --- */

/* What a table has that the file says no columns of. */
static const struct str usual_columns[] = {STR_INIT("id"), STR_INIT("body")};

size_t sql_width(const struct sql_table *t)
{
    return t->column_count ? t->column_count : ARRAY_LEN(usual_columns);
}

struct str sql_column_name(const struct sql_table *t, size_t i)
{
    return t->column_count ? t->columns[i].name : usual_columns[i];
}

err_t sql_name(struct buf *to, struct str name)
{
    struct str rest = name, first = str_cut(&rest, '.');

    if (rest.p)
        TRY(buf_addf(to, "\"%.*s\".\"%.*s\"", STR_ARG(first), STR_ARG(rest)));
    else
        TRY(buf_addf(to, "\"%.*s\"", STR_ARG(first)));
    return OK;
}

static bool is_key(const struct sql_table *t, struct str column)
{
    for (size_t i = 0; i < t->key_count; i++)
        if (str_eq(t->keys[i].text, column))
            return true;
    return false;
}

/* What becomes of a row whose key is there. */
static err_t add_upsert(struct buf *to, const struct sql_table *t)
{
    const char *between = " do update set ";

    for (size_t i = 0; i < t->key_count; i++) {
        TRY(buf_add(to, i ? STR(", ") : STR(" on conflict (")));
        TRY(sql_name(to, t->keys[i].text));
    }
    TRY(buf_add_char(to, ')'));
    for (size_t i = 0; i < sql_width(t); i++) {
        struct str name = sql_column_name(t, i);
        if (is_key(t, name))
            continue;
        TRY(buf_addf(to, "%s\"%.*s\" = excluded.\"%.*s\"", between, STR_ARG(name), STR_ARG(name)));
        between = ", ";
    }
    return t->key_count == sql_width(t) ? buf_add_lit(to, " do nothing") : OK;
}

err_t sql_insert(struct buf *to, const struct sql_table *t, size_t rows)
{
    size_t width = sql_width(t);

    TRY(buf_add_lit(to, "insert into "));
    TRY(sql_name(to, t->table.text));
    for (size_t i = 0; i < width; i++) {
        TRY(buf_add(to, i ? STR(", ") : STR(" (")));
        TRY(sql_name(to, sql_column_name(t, i)));
    }
    TRY(buf_add_lit(to, ") values "));
    for (size_t i = 0; i < rows * width; i++)
        TRY(buf_addf(to, "%s$%zu%s", i % width ? ", " : i ? ", (" : "(", i + 1, i % width == width - 1 ? ")" : ""));
    return t->mode == SQL_UPSERT ? add_upsert(to, t) : OK;
}

/* --- values --- */

static err_t value_of(struct step *s, const struct expr *expr, const struct str truth[2], struct str *ret,
                      enum json_kind *ret_kind)
{
    struct expr_budget b = {step_arena(s), expr_limits_default.steps, expr_limits_default.memory};
    struct expr_value v;

    TRY(step_eval(s, expr, &v));
    *ret_kind = (enum json_kind)v.kind;
    switch (*ret_kind) {
    case JSON_NULL:
        *ret = STR_NONE;
        return OK;
    case JSON_FALSE:
    case JSON_TRUE:
        *ret = truth[v.kind == JSON_TRUE];
        return OK;
    case JSON_STRING:
        return expr_value_text(v, step_arena(s), ret);
    case JSON_NUMBER:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return value_to_json(&b, v, ret);
}

err_t sql_row(struct step *s, const struct sql_table *t, const struct batch_item *item, const struct str truth[2],
              struct str *ret_values, enum json_kind *ret_kinds)
{
    enum json_kind kind = JSON_STRING;

    for (size_t i = 0; ret_kinds && i < sql_width(t); i++)
        ret_kinds[i] = kind;
    if (!t->column_count) {
        ret_values[0] = step_id_text(s);
        ret_values[1] = item->text;
        return OK;
    }
    for (size_t i = 0; i < t->column_count; i++) {
        TRY(err_context(value_of(s, t->columns[i].expr, truth, &ret_values[i], &kind), "column %.*s",
                        STR_ARG(t->columns[i].name)));
        if (ret_kinds)
            ret_kinds[i] = kind;
    }
    return OK;
}
