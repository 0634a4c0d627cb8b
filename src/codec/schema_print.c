/*
 * schema_print.c - the same table as a JSON Schema and as a Markdown reference.
 *
 * The JSON Schema accepts what schema_bind() accepts, with two exceptions where the latter is more tolerant: a field
 * without a value (null) is taken as absent, and what check hooks and patterns' functions demand beyond their
 * expression is not expressed. A value that may take several forms (a list or one item, an object or its shorthand,
 * text with variables) becomes an "anyOf".
 */
#include "codec/schema.h"
#include "codec/schema_int.h"

enum { FORMS_MAX = 16, PATH_BYTES = 512 };

/* ---- JSON ---- */

struct writer {
    struct buf *to;
    unsigned depth;
    bool comma; /* something stands before on this level */
    bool expands;
};

static void new_line(struct writer *w)
{
    if (w->comma)
        (void)buf_add_char(w->to, ',');
    if (w->depth)
        (void)buf_add_char(w->to, '\n');
    for (unsigned i = 0; i < w->depth; i++)
        (void)buf_add_lit(w->to, "  ");
    w->comma = true;
}

static void put_string(struct writer *w, const char *text)
{
    (void)buf_add_char(w->to, '"');
    (void)buf_add_json(w->to, str_from_c(text));
    (void)buf_add_char(w->to, '"');
}

/* A member's name; its value follows. NULL within arrays. */
static void put_key(struct writer *w, const char *key)
{
    new_line(w);
    if (!key)
        return;
    put_string(w, key);
    (void)buf_add_lit(w->to, ": ");
}

static void open_level(struct writer *w, const char *key, char bracket)
{
    put_key(w, key);
    (void)buf_add_char(w->to, bracket);
    w->depth++;
    w->comma = false;
}

static void close_level(struct writer *w, char bracket)
{
    w->depth--;
    if (w->comma)
        (void)buf_add_char(w->to, '\n');
    for (unsigned i = 0; w->comma && i < w->depth; i++)
        (void)buf_add_lit(w->to, "  ");
    (void)buf_add_char(w->to, bracket);
    w->comma = true;
}

static void put_text(struct writer *w, const char *key, const char *text)
{
    put_key(w, key);
    put_string(w, text);
}

static void put_raw(struct writer *w, const char *key, struct str json)
{
    put_key(w, key);
    (void)buf_add(w->to, json);
}

/* A value of the table as JSON: numbers and booleans bare, all else a string. */
static void put_value(struct writer *w, const char *key, const struct schema_field *f, const char *text)
{
    const struct yaml_node plain = {.kind = YAML_SCALAR, .text = str_from_c(text)};
    bool may_be_bare = f->kind == SCHEMA_KIND_BOOL || f->kind == SCHEMA_KIND_INT || f->kind == SCHEMA_KIND_UNSIGNED ||
                       f->kind == SCHEMA_KIND_FLOAT;
    bool b;

    if (f->kind == SCHEMA_KIND_LIST)
        put_value(w, key, f->item, text);
    else if (may_be_bare && (yaml_is_number(&plain) || yaml_to_bool(&plain, &b)))
        put_raw(w, key, plain.text);
    else
        put_text(w, key, text);
}

static void put_body(struct writer *w, const struct schema_field *f);
static void put_field(struct writer *w, const char *key, const struct schema_field *f);

static void put_bounds(struct writer *w, const struct schema_field *f, const char *min, const char *max)
{
    if (f->min)
        put_raw(w, min, str_from_c(f->min));
    if (f->max)
        put_raw(w, max, str_from_c(f->max));
}

static void put_choices(struct writer *w, const struct schema_choice *c)
{
    open_level(w, "enum", '[');
    for (; c->name; c++)
        if (c->value != SCHEMA_UNAVAILABLE)
            put_text(w, NULL, c->name);
    close_level(w, ']');
}

static void put_object(struct writer *w, const struct schema_object *o)
{
    bool any = false;

    put_text(w, "type", "object");
    put_raw(w, "additionalProperties", STR("false"));
    open_level(w, "properties", '{');
    for (const struct schema_field *f = o->fields; f->kind != SCHEMA_KIND_NONE; f++) {
        if (!f->unavailable)
            put_field(w, f->name, f);
        any = any || f->required;
    }
    close_level(w, '}');
    if (!any)
        return;
    open_level(w, "required", '[');
    for (const struct schema_field *f = o->fields; f->kind != SCHEMA_KIND_NONE; f++)
        if (f->required)
            put_text(w, NULL, f->name);
    close_level(w, ']');
}

static void put_map(struct writer *w, const struct schema_field *f)
{
    put_text(w, "type", "object");
    if (f->pattern) {
        open_level(w, "propertyNames", '{');
        put_text(w, "pattern", f->pattern->regex);
        close_level(w, '}');
    }
    put_field(w, "additionalProperties", f->item);
    put_bounds(w, f, "minProperties", "maxProperties");
}

static void put_string_body(struct writer *w, const struct schema_field *f)
{
    put_raw(w, "type", STR("[\"string\", \"number\"]"));
    if (f->pattern)
        put_text(w, "pattern", f->pattern->regex);
}

static void put_duration(struct writer *w, const struct schema_field *f)
{
    put_raw(w, "type", STR("[\"string\", \"integer\"]"));
    put_text(w, "pattern",
             f->never ? "^(none|0|([0-9]+(\\.[0-9]+)?(d|h|m|s|ms|us|ns))+)$"
                      : "^(0|([0-9]+(\\.[0-9]+)?(d|h|m|s|ms|us|ns))+)$");
    put_raw(w, "minimum", STR("0"));
    put_raw(w, "maximum", STR("0"));
}

static void put_size(struct writer *w)
{
    put_raw(w, "type", STR("[\"string\", \"integer\"]"));
    put_text(w, "pattern", "^[0-9]+((\\.[0-9]+)?[ \\t]*([kKmMgGtT][iI]?)?[bB])?$");
    put_raw(w, "minimum", STR("0"));
}

static bool is_text(const struct schema_field *f)
{
    return (f->kind == SCHEMA_KIND_STRING || f->kind == SCHEMA_KIND_TEXT) && !f->pattern;
}

static bool is_scalar(const struct schema_field *f)
{
    return f->kind >= SCHEMA_KIND_STRING && f->kind <= SCHEMA_KIND_ENUM;
}

/* What the kind demands, as members of the schema that is open. */
static void put_body(struct writer *w, const struct schema_field *f)
{
    if (f->parse && is_scalar(f)) { /* it may read more than the kind does */
        put_raw(w, "type", STR("[\"string\", \"number\", \"boolean\"]"));
        return;
    }
    switch (f->kind) {
    case SCHEMA_KIND_STRING:
    case SCHEMA_KIND_TEXT:
        put_string_body(w, f);
        return;
    case SCHEMA_KIND_BOOL:
        put_text(w, "type", "boolean");
        return;
    case SCHEMA_KIND_INT:
    case SCHEMA_KIND_UNSIGNED:
        put_text(w, "type", "integer");
        put_bounds(w, f, "minimum", "maximum");
        if (f->kind == SCHEMA_KIND_UNSIGNED && !f->min)
            put_raw(w, "minimum", STR("0"));
        return;
    case SCHEMA_KIND_FLOAT:
        put_raw(w, "type", STR("[\"number\", \"string\"]"));
        put_text(w, "pattern", "^[-+]?[0-9.]+%$");
        put_bounds(w, f, "minimum", "maximum");
        return;
    case SCHEMA_KIND_DURATION:
        put_duration(w, f);
        return;
    case SCHEMA_KIND_SIZE:
        put_size(w);
        return;
    case SCHEMA_KIND_ENUM:
        put_choices(w, f->choices);
        return;
    case SCHEMA_KIND_LIST:
        put_text(w, "type", "array");
        put_field(w, "items", f->item);
        put_bounds(w, f, "minItems", "maxItems");
        return;
    case SCHEMA_KIND_MAP:
        put_map(w, f);
        return;
    case SCHEMA_KIND_OBJECT:
        put_object(w, f->object);
        return;
    case SCHEMA_KIND_ONE_OF:
    case SCHEMA_KIND_ANY:
    case SCHEMA_KIND_NONE:
        return;
    }
}

/* All forms that a value of `f` may take, without doubles. */
static size_t collect_forms(const struct schema_field *f, const struct schema_field *forms[FORMS_MAX], size_t n)
{
    if (f->kind == SCHEMA_KIND_ONE_OF) {
        for (const struct schema_field *v = f->variants; v->kind != SCHEMA_KIND_NONE; v++)
            n = collect_forms(v, forms, n);
        return n;
    }
    if (n == FORMS_MAX)
        die("schema: more than %d forms", FORMS_MAX);
    forms[n++] = f;
    if (f->kind == SCHEMA_KIND_LIST && f->single)
        return collect_forms(f->item, forms, n);
    if (f->kind == SCHEMA_KIND_OBJECT && f->object->shorthand)
        return collect_forms(schema_find_field(f->object, str_from_c(f->object->shorthand)), forms, n);
    return n;
}

static void put_forms(struct writer *w, const struct schema_field *const *forms, size_t n, bool with_variables)
{
    open_level(w, "anyOf", '[');
    for (size_t i = 0; i < n; i++) {
        open_level(w, NULL, '{');
        put_body(w, forms[i]);
        close_level(w, '}');
    }
    if (with_variables) {
        open_level(w, NULL, '{');
        put_text(w, "$ref", "#/$defs/variable");
        close_level(w, '}');
    }
    close_level(w, ']');
}

static void put_field(struct writer *w, const char *key, const struct schema_field *f)
{
    const struct schema_field *forms[FORMS_MAX];
    size_t n = collect_forms(f, forms, 0);
    bool variables = false, plain_text = false;

    for (size_t i = 0; i < n && w->expands; i++) {
        variables = variables || is_scalar(forms[i]);
        plain_text = plain_text || is_text(forms[i]);
    }
    open_level(w, key, '{');
    if (f->doc)
        put_text(w, "description", f->doc);
    if (f->default_text)
        put_value(w, "default", f, f->default_text);
    if (n == 1 && (!variables || plain_text))
        put_body(w, forms[0]);
    else
        put_forms(w, forms, n, variables && !plain_text);
    close_level(w, '}');
}

err_t schema_print_json(const struct schema_object *o, const struct schema_about *about, struct buf *to)
{
    struct writer w = {.to = to, .expands = about->expands};

    open_level(&w, NULL, '{');
    put_text(&w, "$schema", "https://json-schema.org/draft/2020-12/schema");
    if (about->id)
        put_text(&w, "$id", about->id);
    put_text(&w, "title", about->title);
    if (about->doc)
        put_text(&w, "description", about->doc);
    put_object(&w, o);
    if (about->expands) {
        open_level(&w, "$defs", '{');
        open_level(&w, "variable", '{');
        put_text(&w, "description", "Text with environment variables in it, as ${NAME} or ${NAME:-default}.");
        put_text(&w, "type", "string");
        put_text(&w, "pattern", "\\$\\{");
        close_level(&w, '}');
        close_level(&w, '}');
    }
    close_level(&w, '}');
    (void)buf_add_char(to, '\n');
    return buf_status(to);
}

/* ---- Markdown ---- */

/* Text for a cell of a table. */
static void put_cell(struct buf *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            (void)buf_add_char(to, '\\');
        (void)buf_add_char(to, *text == '\n' ? ' ' : *text);
    }
}

static const char *type_word(const struct schema_field *f)
{
    static const char *const words[] = {
        [SCHEMA_KIND_STRING] = "text",
        [SCHEMA_KIND_TEXT] = "text",
        [SCHEMA_KIND_BOOL] = "true or false",
        [SCHEMA_KIND_INT] = "whole number",
        [SCHEMA_KIND_UNSIGNED] = "whole number",
        [SCHEMA_KIND_FLOAT] = "number",
        [SCHEMA_KIND_DURATION] = "duration",
        [SCHEMA_KIND_SIZE] = "size",
        [SCHEMA_KIND_ENUM] = "word",
        [SCHEMA_KIND_ANY] = "anything",
        [SCHEMA_KIND_OBJECT] = "map, see below",
    };
    return words[f->kind];
}

static void put_type(struct buf *to, const struct schema_field *f)
{
    if (f->kind == SCHEMA_KIND_LIST && f->single) {
        put_type(to, f->item);
        (void)buf_add_lit(to, ", or list of those");
    } else if (f->kind == SCHEMA_KIND_LIST) {
        (void)buf_add_lit(to, "list of: ");
        put_type(to, f->item);
    } else if (f->kind == SCHEMA_KIND_MAP) {
        (void)buf_addf(to, "map, %s → ", f->key_doc ? f->key_doc : "name");
        put_type(to, f->item);
    } else if (f->kind == SCHEMA_KIND_ONE_OF) {
        for (const struct schema_field *v = f->variants; v->kind != SCHEMA_KIND_NONE; v++) {
            (void)buf_add(to, v == f->variants ? STR("") : STR(" or "));
            put_type(to, v);
        }
    } else {
        (void)buf_add(to, str_from_c(type_word(f)));
    }
    if (f->kind == SCHEMA_KIND_OBJECT && f->object->shorthand) {
        (void)buf_addf(to, ", or only its `%s`: ", f->object->shorthand);
        put_type(to, schema_find_field(f->object, str_from_c(f->object->shorthand)));
    }
}

static void put_default(struct buf *to, const struct schema_field *f)
{
    if (f->required)
        (void)buf_add_lit(to, "**required**");
    else if (f->default_doc)
        put_cell(to, f->default_doc);
    else if (f->default_text)
        (void)buf_addf(to, "`%s`", f->default_text);
    else
        (void)buf_add_lit(to, "–");
}

static void put_limits(struct buf *to, const struct schema_field *f)
{
    if (f->min && f->max)
        (void)buf_addf(to, " From %s to %s.", f->min, f->max);
    else if (f->min)
        (void)buf_addf(to, " At least %s.", f->min);
    else if (f->max)
        (void)buf_addf(to, " At most %s.", f->max);
    if (f->never)
        (void)buf_add_lit(to, " `none`: no limit.");
}

static void put_choice_docs(struct buf *to, const struct schema_choice *first)
{
    for (const struct schema_choice *c = first; c->name; c++) {
        if (c->value == SCHEMA_UNAVAILABLE)
            continue;
        (void)buf_addf(to, "%s`%s`: ", c == first ? " " : "; ", c->name);
        put_cell(to, c->doc ? c->doc : "");
    }
}

static void put_row(struct buf *to, const struct schema_field *f)
{
    (void)buf_addf(to, "| `%s` | ", f->name);
    put_type(to, f);
    (void)buf_add_lit(to, " | ");
    put_default(to, f);
    (void)buf_add_lit(to, " | ");
    put_cell(to, f->doc ? f->doc : "");
    put_limits(to, f);
    if (f->kind == SCHEMA_KIND_ENUM)
        put_choice_docs(to, f->choices);
    (void)buf_add_lit(to, " |\n");
}

/* A section being written: an object, and where in the file it stands. */
struct section {
    const struct schema_object *object;
    const struct schema_field *field; /* that leads to it; NULL: the document */
    char path[PATH_BYTES];            /* "providers.<name>.tls" */
};

static void put_sections(struct buf *to, const struct section *s, unsigned heading);

/* The sections of the objects in `f`, which stands at `path`. */
static void put_inner(struct buf *to, const struct schema_field *f, const char *path, unsigned heading)
{
    struct section s = {.object = f->object, .field = f};
    struct buf inner CLEANUP(buf_release) = BUF_INIT(PATH_BYTES - 1);

    if (f->kind == SCHEMA_KIND_ONE_OF)
        for (const struct schema_field *v = f->variants; v->kind != SCHEMA_KIND_NONE; v++)
            put_inner(to, v, path, heading);
    (void)buf_add(&inner, str_from_c(path));
    if (f->kind == SCHEMA_KIND_LIST)
        (void)buf_add_lit(&inner, "[]");
    if (f->kind == SCHEMA_KIND_MAP)
        (void)buf_addf(&inner, ".<%s>", f->key_doc ? f->key_doc : "name");
    if (buf_status(&inner))
        die("schema: path too long");
    memcpy(s.path, inner.p, inner.n);
    if (f->kind == SCHEMA_KIND_LIST || f->kind == SCHEMA_KIND_MAP)
        put_inner(to, f->item, s.path, heading);
    else if (f->kind == SCHEMA_KIND_OBJECT)
        put_sections(to, &s, heading);
}

static void put_sections(struct buf *to, const struct section *s, unsigned heading)
{
    for (unsigned i = 0; i < heading; i++)
        (void)buf_add_char(to, '#');
    (void)(s->path[0] ? buf_addf(to, " `%s`\n\n", s->path) : buf_add_lit(to, " The file\n\n"));
    if (s->field && s->field->doc)
        (void)buf_addf(to, "%s\n\n", s->field->doc);
    (void)buf_add_lit(to, "| field | type | default | meaning |\n|---|---|---|---|\n");
    for (const struct schema_field *f = s->object->fields; f->kind != SCHEMA_KIND_NONE; f++)
        if (!f->unavailable)
            put_row(to, f);
    (void)buf_add_char(to, '\n');
    for (const struct schema_field *f = s->object->fields; f->kind != SCHEMA_KIND_NONE; f++) {
        struct buf path CLEANUP(buf_release) = BUF_INIT(PATH_BYTES);
        if (f->unavailable)
            continue;
        (void)buf_addf(&path, "%s%s%s", s->path, s->path[0] ? "." : "", f->name);
        (void)buf_add_char(&path, '\0');
        if (buf_status(&path))
            die("schema: path too long");
        put_inner(to, f, path.p, heading);
    }
}

err_t schema_print_markdown(const struct schema_object *o, const struct schema_about *about, struct buf *to)
{
    struct section document = {.object = o};

    put_sections(to, &document, about->heading ? about->heading : 2);
    return buf_status(to);
}
