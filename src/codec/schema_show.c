/*
 * schema_show.c - a struct that was read from a document, as a document again: with its defaults, without its secrets.
 *
 * The same table that reads a document prints it, so nothing that can be said is left out. What is not there (an empty text, an object that has a place
 * for its node and no node) is not printed; what is there by default is. Of a field with several forms the first that holds something is
 * printed. Secrets, and texts that variables are in, are "***".
 */
#include "base/units.h"
#include "codec/schema.h"
#include "codec/schema_int.h"

struct shower {
    struct buf *to;
    unsigned indent;
};

static void new_line(const struct shower *s)
{
    for (unsigned i = 0; i < s->indent; i++)
        (void)buf_add_lit(s->to, "  ");
}

/* Text that may stand without quotes: it reads as nothing but text. */
static bool is_plain(struct str text)
{
    const struct yaml_node n = {.kind = YAML_SCALAR, .text = text};
    bool b;

    for (size_t i = 0; i < text.n; i++) {
        char c = ascii_lower(text.p[i]);
        bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '/';
        if (!is_word && !(i && c == '-'))
            return false;
    }
    return text.n && !yaml_is_null(&n) && !yaml_to_bool(&n, &b) && !yaml_is_number(&n);
}

/* In quotes, unless it can only be read as text. */
static void put_text(struct buf *to, struct str text)
{
    if (is_plain(text)) {
        (void)buf_add(to, text);
        return;
    }
    (void)buf_add_char(to, '"');
    (void)buf_add_json(to, text);
    (void)buf_add_char(to, '"');
}

static const char *choice_of(const struct schema_choice *c, int value)
{
    for (; c->name; c++)
        if (c->value == value)
            return c->name;
    return "";
}

static struct str text_of(const struct schema_field *f, const char *at)
{
    const struct schema_text *t = (const void *)at;

    if (f->kind == SCHEMA_KIND_STRING)
        return *(const struct str *)(const void *)at;
    bool hidden = f->secret || (t->node && t->node->hidden);
    return hidden && t->text.n ? STR("***") : t->text;
}

static int64_t whole_of(const struct schema_field *f, const char *at)
{
    if (f->kind == SCHEMA_KIND_UNSIGNED)
        return *(const unsigned *)(const void *)at;
    if (f->kind == SCHEMA_KIND_BOOL)
        return *(const bool *)(const void *)at;
    if (f->kind == SCHEMA_KIND_ENUM)
        return *(const int *)(const void *)at;
    return *(const int64_t *)(const void *)at; /* INT, DURATION, SIZE */
}

static void put_scalar(struct buf *to, const struct schema_field *f, const char *at)
{
    char unit[UNITS_TEXT_MAX];

    switch (f->kind) {
    case SCHEMA_KIND_STRING:
    case SCHEMA_KIND_TEXT:
        put_text(to, text_of(f, at));
        return;
    case SCHEMA_KIND_BOOL:
        (void)buf_add(to, whole_of(f, at) ? STR("true") : STR("false"));
        return;
    case SCHEMA_KIND_INT:
    case SCHEMA_KIND_UNSIGNED:
        (void)buf_add_i64(to, whole_of(f, at));
        return;
    case SCHEMA_KIND_FLOAT:
        (void)buf_addf(to, "%.10g", *(const double *)(const void *)at);
        return;
    case SCHEMA_KIND_DURATION:
        (void)buf_add(to, str_of(unit, units_print_duration(whole_of(f, at), unit)));
        return;
    case SCHEMA_KIND_SIZE:
        (void)buf_add(to, str_of(unit, units_print_size((uint64_t)whole_of(f, at), unit)));
        return;
    case SCHEMA_KIND_ENUM:
        put_text(to, str_from_c(choice_of(f->choices, (int)whole_of(f, at))));
        return;
    case SCHEMA_KIND_NONE:
    case SCHEMA_KIND_LIST:
    case SCHEMA_KIND_MAP:
    case SCHEMA_KIND_OBJECT:
    case SCHEMA_KIND_ONE_OF:
    case SCHEMA_KIND_ANY:
        return;
    }
}

static bool is_scalar(const struct schema_field *f)
{
    return f->kind >= SCHEMA_KIND_STRING && f->kind <= SCHEMA_KIND_ENUM;
}

/* Does the member hold anything that a reader would miss? */
static bool is_set(const struct schema_field *f, const char *base)
{
    const char *at = base + f->offset;
    const struct yaml_node *node;
    size_t count;

    switch (f->kind) {
    case SCHEMA_KIND_STRING:
    case SCHEMA_KIND_TEXT:
        return text_of(f, at).n > 0;
    case SCHEMA_KIND_FLOAT:
        return f->default_text || *(const double *)(const void *)at != 0;
    case SCHEMA_KIND_BOOL:
    case SCHEMA_KIND_INT:
    case SCHEMA_KIND_UNSIGNED:
    case SCHEMA_KIND_DURATION:
    case SCHEMA_KIND_SIZE:
        return f->default_text || f->required || whole_of(f, at) != 0;
    case SCHEMA_KIND_ENUM:
        return *choice_of(f->choices, (int)whole_of(f, at)) && (f->default_text || f->required || whole_of(f, at));
    case SCHEMA_KIND_LIST:
    case SCHEMA_KIND_MAP:
        memcpy(&count, base + f->count_offset, sizeof count);
        return count > 0;
    case SCHEMA_KIND_OBJECT:
        if (!f->object->node_offset)
            return true;
        memcpy(&node, at + f->object->node_offset - 1, sizeof(const struct yaml_node *));
        return node != NULL;
    case SCHEMA_KIND_ONE_OF:
        for (const struct schema_field *v = f->variants; v->kind != SCHEMA_KIND_NONE; v++)
            if (is_set(v, base))
                return true;
        return false;
    case SCHEMA_KIND_NONE:
    case SCHEMA_KIND_ANY:
        break;
    }
    return false;
}

static void put_value(struct shower *s, const struct schema_field *f, const char *base);

static const char *items_of(const struct schema_field *f, const char *base, size_t *ret_count)
{
    const char *items;

    memcpy(&items, base + f->offset, sizeof items);
    memcpy(ret_count, base + f->count_offset, sizeof *ret_count);
    return items;
}

static void put_list(struct shower *s, const struct schema_field *f, const char *base)
{
    size_t count;
    const char *items = items_of(f, base, &count);

    if (is_scalar(f->item)) {
        for (size_t i = 0; i < count; i++) {
            (void)buf_add(s->to, i ? STR(", ") : STR(" ["));
            put_scalar(s->to, f->item, items + i * f->item_size + f->item->offset);
        }
        (void)buf_add_lit(s->to, "]\n");
        return;
    }
    (void)buf_add_char(s->to, '\n');
    s->indent++;
    for (size_t i = 0; i < count; i++) {
        new_line(s);
        (void)buf_add_char(s->to, '-');
        put_value(s, f->item, items + i * f->item_size);
    }
    s->indent--;
}

static void put_map(struct shower *s, const struct schema_field *f, const char *base)
{
    size_t count;
    const char *items = items_of(f, base, &count);

    (void)buf_add_char(s->to, '\n');
    s->indent++;
    for (size_t i = 0; i < count; i++) {
        const char *element = items + i * f->item_size;
        new_line(s);
        put_text(s->to, *(const struct str *)(const void *)(element + f->key_offset));
        (void)buf_add_char(s->to, ':');
        put_value(s, f->item, element);
    }
    s->indent--;
}

/* What stands behind a key and its colon, with the end of its line. */
static void put_value(struct shower *s, const struct schema_field *f, const char *base)
{
    if (is_scalar(f)) {
        (void)buf_add_char(s->to, ' ');
        put_scalar(s->to, f, base + f->offset);
        (void)buf_add_char(s->to, '\n');
    } else if (f->kind == SCHEMA_KIND_LIST) {
        put_list(s, f, base);
    } else if (f->kind == SCHEMA_KIND_MAP) {
        put_map(s, f, base);
    } else if (f->kind == SCHEMA_KIND_OBJECT) {
        (void)buf_add_char(s->to, '\n');
        schema_show(f->object->fields, base + f->offset, s->indent + 1, s->to);
    } else if (f->kind == SCHEMA_KIND_ONE_OF) {
        for (const struct schema_field *v = f->variants; v->kind != SCHEMA_KIND_NONE; v++)
            if (is_set(v, base)) {
                put_value(s, v, base);
                return;
            }
    }
}

void schema_show(const struct schema_field *fields, const void *from, unsigned indent, struct buf *to)
{
    struct shower s = {.to = to, .indent = indent};
    const char *base = from;

    for (const struct schema_field *f = fields; f->kind != SCHEMA_KIND_NONE; f++) {
        if (f->unavailable || !is_set(f, base))
            continue;
        size_t before = to->n;
        new_line(&s);
        (void)buf_addf(to, "%s:", f->name);
        size_t inside = to->n;
        put_value(&s, f, base);
        if (f->kind == SCHEMA_KIND_OBJECT && to->n == inside + 1)
            to->n = before; /* an object with nothing in it */
    }
}
