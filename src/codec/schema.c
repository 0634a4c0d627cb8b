/*
 * schema.c - checks a tree against a table of fields and fills structs from it.
 *
 * One pass: each object looks its fields up in the map, reads them by kind, fills in defaults, and then looks for
 * keys that no field explains. A problem never ends the pass, so a reader sees all of them at once; a member whose
 * value is bad keeps its zero. The tables are constants of the program: a default that does not parse or a member of
 * the wrong size is a bug and ends it.
 *
 * Recursion is as deep as the tables are nested, which a document cannot change. Texts that may be secret
 * (field.secret, or a node that is hidden or expanded from variables) are not quoted in messages.
 */
#include "codec/schema.h"

#include "base/mem.h"
#include "base/units.h"
#include "codec/schema_int.h"

#include <math.h>
#include <stdlib.h>

enum { QUOTE_MAX = 60, WORDS_MAX = 4096 };

/* ---- words ---- */

void schema_nearest(struct str name, struct str candidate, struct str *best, unsigned *distance)
{
    size_t apart = name.n > candidate.n ? name.n - candidate.n : candidate.n - name.n;
    unsigned limit = best->n ? *distance : (unsigned)(name.n + 2) / 3 + 1;
    unsigned d;

    if (apart >= limit)
        return;
    d = str_eq_nocase(name, candidate) ? 0 : str_distance(name, candidate);
    if (d < limit) {
        *best = candidate;
        *distance = d;
    }
}

const char *schema_suggest(struct arena *a, struct str name, struct str best, unsigned distance)
{
    if (!best.n || distance > (name.n + 2) / 3)
        return "";
    return arena_printf(a, ", did you mean \"%.*s\"?", STR_ARG(best)).p;
}

static const char *kind_words(const struct yaml_node *n)
{
    bool b;

    switch (n->kind) {
    case YAML_LIST:
        return "a list";
    case YAML_MAP:
        return "a map";
    case YAML_SCALAR:
        break;
    }
    if (n->quoted)
        return "text";
    return yaml_is_null(n)       ? "nothing"
           : yaml_to_bool(n, &b) ? "true or false"
           : yaml_is_number(n)   ? "a number"
                                 : "text";
}

static void describe_choices(const struct schema_choice *c, struct buf *to)
{
    const char *before = "one of ";

    for (; c->name; c++) {
        if (c->value == SCHEMA_UNAVAILABLE)
            continue;
        (void)buf_addf(to, "%s%s", before, c->name);
        before = ", ";
    }
}

/* Append words for what a value of `f` must be: "a duration such as 10s". */
static void describe_kind(const struct schema_field *f, struct buf *to)
{
    static const char *const words[] = {
        [SCHEMA_KIND_STRING] = "text",
        [SCHEMA_KIND_TEXT] = "text",
        [SCHEMA_KIND_BOOL] = "true or false",
        [SCHEMA_KIND_INT] = "a whole number",
        [SCHEMA_KIND_UNSIGNED] = "a whole number",
        [SCHEMA_KIND_FLOAT] = "a number",
        [SCHEMA_KIND_DURATION] = "a duration such as 10s",
        [SCHEMA_KIND_SIZE] = "a size such as 64MiB",
        [SCHEMA_KIND_LIST] = "a list",
        [SCHEMA_KIND_MAP] = "a map",
        [SCHEMA_KIND_OBJECT] = "a map",
        [SCHEMA_KIND_ANY] = "anything",
    };

    if (f->kind == SCHEMA_KIND_ENUM) {
        describe_choices(f->choices, to);
    } else if (f->kind == SCHEMA_KIND_ONE_OF) {
        for (const struct schema_field *v = f->variants; v->kind != SCHEMA_KIND_NONE; v++) {
            (void)buf_add(to, v == f->variants ? STR("") : STR(" or "));
            describe_kind(v, to);
        }
    } else {
        (void)buf_add(to, str_from_c(words[f->kind]));
    }
    if (f->kind == SCHEMA_KIND_LIST && f->single) {
        (void)buf_add_lit(to, " or ");
        describe_kind(f->item, to);
    }
    if (f->kind == SCHEMA_KIND_OBJECT && f->object->shorthand) {
        (void)buf_add_lit(to, " or ");
        describe_kind(schema_find_field(f->object, str_from_c(f->object->shorthand)), to);
    }
}

/* A run of schema_bind() at one value: which field, and what to call it. */
struct place {
    const struct schema_run *run;
    const struct schema_field *field;
    const char *name; /* of the field, or of the list or map that an entry belongs to; NULL: the document */
    bool is_entry;
};

/* What messages begin with: `"delay"`, `an entry of "replies"`. */
static const char *subject(const struct place *p)
{
    if (!p->name)
        return "the document";
    return arena_printf(p->run->arena, "%s\"%s\"", p->is_entry ? "an entry of " : "", p->name).p;
}

/* The value as a message may show it: `"abc"`, `a list`, or nothing of it if it may be secret. */
static const char *shown(const struct place *p, const struct yaml_node *n)
{
    if (!n) /* of a table, not of a file */
        return "that";
    if (n->kind != YAML_SCALAR || n->text.n == 0)
        return kind_words(n);
    if (p->field->secret || n->hidden || n->expanded)
        return "what is given (not shown, it may be secret)";
    bool cut = n->text.n > QUOTE_MAX;
    struct str part = str_slice(n->text, 0, QUOTE_MAX);
    return arena_printf(p->run->arena, "\"%.*s%s\"", STR_ARG(part), cut ? "..." : "").p;
}

static void complain_kind(const struct place *p, const struct yaml_node *n)
{
    struct buf words CLEANUP(buf_release) = BUF_INIT(WORDS_MAX);

    describe_kind(p->field, &words);
    problems_error(p->run->problems, n, "%s must be %.*s, not %s", subject(p), STR_ARG(buf_str(&words)), shown(p, n));
}

/* ---- scalars ---- */

/* May the scalar be read as a bool or number? One in quotes is text, unless variables made it. */
static bool may_be_typed(const struct place *p, const struct yaml_node *n)
{
    if (!n || !n->quoted || n->expanded)
        return true;
    problems_error(p->run->problems, n, "%s must be written without quotes", subject(p));
    return false;
}

static bool read_string(const struct place *p, const struct yaml_node *n, struct str text, struct str *to)
{
    const struct schema_pattern *pattern = p->field->pattern;
    bool b;

    if (n && !n->expanded && yaml_to_bool(n, &b)) {
        problems_error(p->run->problems, n, "%s must be text: put %.*s in quotes", subject(p), STR_ARG(text));
        return false;
    }
    if (n && pattern && !pattern->match(text)) {
        problems_error(p->run->problems, n, "%s must be %s, not %s", subject(p), pattern->help, shown(p, n));
        return false;
    }
    *to = text;
    return true;
}

static bool read_bool(const struct place *p, const struct yaml_node *n, struct str text, bool *to)
{
    struct yaml_node plain = {.kind = YAML_SCALAR, .text = text};

    if (!may_be_typed(p, n))
        return false;
    if (yaml_to_bool(&plain, to))
        return true;
    complain_kind(p, n);
    return false;
}

static bool read_int(const struct place *p, const struct yaml_node *n, struct str text, int64_t *to)
{
    bool minus = str_starts(text, STR("-"));
    uint64_t v;

    if (!may_be_typed(p, n))
        return false;
    if (!str_to_u64(str_slice(text, minus || str_starts(text, STR("+")), text.n), INT64_MAX, &v)) {
        complain_kind(p, n);
        return false;
    }
    *to = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

static bool read_unsigned(const struct place *p, const struct yaml_node *n, struct str text, unsigned *to)
{
    uint64_t v;

    if (!may_be_typed(p, n))
        return false;
    if (!str_to_u64(text, UINT32_MAX, &v)) {
        complain_kind(p, n);
        return false;
    }
    *to = (unsigned)v;
    return true;
}

static bool read_float(const struct place *p, const struct yaml_node *n, struct str text, double *to)
{
    bool percent = str_ends(text, STR("%"));
    struct yaml_node plain = {.kind = YAML_SCALAR, .text = str_slice(text, 0, text.n - percent)};

    if (!percent && !may_be_typed(p, n))
        return false;
    /* Hexadecimal, octal and infinite ones are numbers of YAML but not meant here; of those strtod() reads some,
     * differently. */
    bool is_decimal = yaml_is_number(&plain) && strspn(plain.text.p, "+-.0123456789eE") >= plain.text.n;
    double v = is_decimal ? strtod(plain.text.p, NULL) : NAN;
    if (!isfinite(v)) {
        complain_kind(p, n);
        return false;
    }
    *to = percent ? v / 100 : v;
    return true;
}

static bool read_duration(const struct place *p, const struct yaml_node *n, struct str text, ns_t *to)
{
    ns_t v;

    if (units_parse_duration(text, &v)) {
        problems_error(p->run->problems, n, "%s %s", subject(p), err_detail(E_PARSE));
        return false;
    }
    if (v == NS_NEVER && !p->field->never) {
        problems_error(p->run->problems, n, "%s needs a limit: \"none\" is not possible here", subject(p));
        return false;
    }
    *to = v;
    return true;
}

static bool read_size(const struct place *p, const struct yaml_node *n, struct str text, uint64_t *to)
{
    if (units_parse_size(text, to) == OK)
        return true;
    problems_error(p->run->problems, n, "%s %s", subject(p), err_detail(E_PARSE));
    return false;
}

static bool take_choice(const struct place *p, const struct yaml_node *n, const struct schema_choice *c, int *to)
{
    if (c->value == SCHEMA_UNAVAILABLE) {
        problems_error(p->run->problems, n, "\"%s\" is not available yet as %s; %s", c->name, subject(p), c->doc);
        return false;
    }
    *to = c->value;
    return true;
}

static bool read_enum(const struct place *p, const struct yaml_node *n, struct str text, int *to)
{
    struct buf words CLEANUP(buf_release) = BUF_INIT(WORDS_MAX);
    struct str best = STR_NONE;
    unsigned distance = 0;

    for (const struct schema_choice *c = p->field->choices; c->name; c++) {
        if (str_eq(str_from_c(c->name), text))
            return take_choice(p, n, c, to);
        if (c->value != SCHEMA_UNAVAILABLE)
            schema_nearest(text, str_from_c(c->name), &best, &distance);
    }
    describe_kind(p->field, &words);
    problems_error(p->run->problems, n, "%s must be %.*s, not %s%s", subject(p), STR_ARG(buf_str(&words)), shown(p, n),
                   schema_suggest(p->run->arena, text, best, distance));
    return false;
}

/* `n` is NULL when `text` is from the table. */
static bool read_scalar(const struct place *p, const struct yaml_node *n, struct str text, void *to)
{
    switch (p->field->kind) {
    case SCHEMA_KIND_STRING:
        return read_string(p, n, text, to);
    case SCHEMA_KIND_TEXT:
        ((struct schema_text *)to)->node = n;
        return read_string(p, n, text, &((struct schema_text *)to)->text);
    case SCHEMA_KIND_BOOL:
        return read_bool(p, n, text, to);
    case SCHEMA_KIND_INT:
        return read_int(p, n, text, to);
    case SCHEMA_KIND_UNSIGNED:
        return read_unsigned(p, n, text, to);
    case SCHEMA_KIND_FLOAT:
        return read_float(p, n, text, to);
    case SCHEMA_KIND_DURATION:
        return read_duration(p, n, text, to);
    case SCHEMA_KIND_SIZE:
        return read_size(p, n, text, to);
    case SCHEMA_KIND_ENUM:
        return read_enum(p, n, text, to);
    case SCHEMA_KIND_NONE:
    case SCHEMA_KIND_LIST:
    case SCHEMA_KIND_MAP:
    case SCHEMA_KIND_OBJECT:
    case SCHEMA_KIND_ONE_OF:
    case SCHEMA_KIND_ANY:
        break;
    }
    die("field \"%s\" is not a scalar", p->name ? p->name : "");
}

union number {
    int64_t i;
    unsigned u;
    double d;
    ns_t span;
    uint64_t size;
};

/* <0, 0, >0 for two values of the kind; 0 for kinds without an order. */
static int compare(enum schema_kind kind, const union number *a, const union number *b)
{
    switch (kind) {
    case SCHEMA_KIND_INT:
    case SCHEMA_KIND_DURATION:
        return (a->i > b->i) - (a->i < b->i);
    case SCHEMA_KIND_UNSIGNED:
        return (a->u > b->u) - (a->u < b->u);
    case SCHEMA_KIND_FLOAT:
        return (a->d > b->d) - (a->d < b->d);
    case SCHEMA_KIND_SIZE:
        return (a->size > b->size) - (a->size < b->size);
    case SCHEMA_KIND_NONE:
    case SCHEMA_KIND_STRING:
    case SCHEMA_KIND_TEXT:
    case SCHEMA_KIND_BOOL:
    case SCHEMA_KIND_ENUM:
    case SCHEMA_KIND_LIST:
    case SCHEMA_KIND_MAP:
    case SCHEMA_KIND_OBJECT:
    case SCHEMA_KIND_ONE_OF:
    case SCHEMA_KIND_ANY:
        break;
    }
    return 0;
}

/* A bound of the table, read as a value of the field would be. */
static union number read_bound(const struct place *p, const char *text)
{
    union number bound = {0};

    if (!read_scalar(p, NULL, str_from_c(text), &bound))
        die("field \"%s\": bad bound \"%s\"", p->name ? p->name : "", text);
    return bound;
}

static bool is_within(const struct place *p, const struct yaml_node *n, const void *value)
{
    const struct schema_field *f = p->field;
    bool unlimited = f->kind == SCHEMA_KIND_DURATION && *(const ns_t *)value == NS_NEVER;
    union number v = {0}, bound;

    if (!f->min && !f->max)
        return true;
    memcpy(&v, value, f->kind == SCHEMA_KIND_UNSIGNED ? sizeof v.u : sizeof v);
    if (f->min) {
        bound = read_bound(p, f->min);
        if (compare(f->kind, &v, &bound) < 0) {
            problems_error(p->run->problems, n, "%s must be at least %s", subject(p), f->min);
            return false;
        }
    }
    if (f->max && !unlimited) {
        bound = read_bound(p, f->max);
        if (compare(f->kind, &v, &bound) > 0) {
            problems_error(p->run->problems, n, "%s must be at most %s", subject(p), f->max);
            return false;
        }
    }
    return true;
}

static void read_scalar_node(const struct place *p, const struct yaml_node *n, void *to)
{
    if (n->kind != YAML_SCALAR) {
        complain_kind(p, n);
        return;
    }
    bool ok = p->field->parse ? p->field->parse(p->run, n, n->text, to) : read_scalar(p, n, n->text, to);
    if (ok && !p->field->parse)
        (void)is_within(p, n, to);
}

/* ---- lists, maps, objects ---- */

static void read_value(const struct place *p, const struct yaml_node *n, char *base);

static void check_count(const struct place *p, const struct yaml_node *n, size_t count)
{
    uint64_t bound;

    if (p->field->min && str_to_u64(str_from_c(p->field->min), UINT64_MAX, &bound) && count < bound)
        problems_error(p->run->problems, n, "%s needs at least %s", subject(p), p->field->min);
    if (p->field->max && str_to_u64(str_from_c(p->field->max), UINT64_MAX, &bound) && count > bound)
        problems_error(p->run->problems, n, "%s may have at most %s entries", subject(p), p->field->max);
}

/* Room for `count` elements, and the members that say so. */
static char *make_items(const struct place *p, char *base, size_t count)
{
    const struct schema_field *f = p->field;
    char *items = count ? arena_zalloc(p->run->arena, count * f->item_size) : NULL;

    memcpy(base + f->offset, &items, sizeof items);
    memcpy(base + f->count_offset, &count, sizeof count);
    return items;
}

static void read_list(const struct place *p, const struct yaml_node *n, char *base)
{
    const struct schema_field *f = p->field;
    struct place entry = {p->run, f->item, p->name, true};

    if (n->kind != YAML_LIST && !f->single) {
        complain_kind(p, n);
        return;
    }
    size_t count = n->kind == YAML_LIST ? n->count : 1;
    char *items = make_items(p, base, count);
    for (size_t i = 0; i < count; i++) {
        const struct yaml_node *each = n->kind == YAML_LIST ? n->items[i] : n;
        if (yaml_is_null(each))
            problems_error(p->run->problems, each, "%s is empty", subject(&entry));
        else
            read_value(&entry, each, items + i * f->item_size);
    }
    check_count(p, n, count);
}

static void check_key(const struct place *p, const struct yaml_node *key)
{
    const struct schema_pattern *pattern = p->field->pattern;

    if (pattern && !pattern->match(key->text))
        problems_error(p->run->problems, key, "\"%.*s\" in %s must be %s", STR_ARG(key->text), subject(p),
                       pattern->help);
}

static void read_object(const struct place *p, const struct yaml_node *n, const struct yaml_node *at, char *to);

static void read_map(const struct place *p, const struct yaml_node *n, char *base)
{
    const struct schema_field *f = p->field;

    if (n->kind != YAML_MAP) {
        complain_kind(p, n);
        return;
    }
    char *items = make_items(p, base, n->count);
    for (size_t i = 0; i < n->count; i++) {
        const struct yaml_pair *pair = &n->pairs[i];
        struct place entry = {p->run, f->item, pair->key->text.p, false};
        char *element = items + i * f->item_size;
        check_key(p, pair->key);
        memcpy(element + f->key_offset, &pair->key->text, sizeof pair->key->text);
        if (!yaml_is_null(pair->value))
            read_value(&entry, pair->value, element);
        else if (f->item->kind == SCHEMA_KIND_OBJECT)
            read_object(&entry, NULL, pair->key, element + f->item->offset);
        else
            problems_error(p->run->problems, pair->key, "%s has no value", subject(&entry));
    }
    check_count(p, n, n->count);
}

const struct schema_field *schema_find_field(const struct schema_object *o, struct str name)
{
    for (const struct schema_field *f = o->fields; f->kind != SCHEMA_KIND_NONE; f++)
        if (str_eq(str_from_c(f->name), name))
            return f;
    return NULL;
}

static void complain_unknown(const struct place *p, const struct schema_object *o, const struct yaml_node *key)
{
    struct buf valid CLEANUP(buf_release) = BUF_INIT(WORDS_MAX);
    struct str best = STR_NONE;
    unsigned distance = 0;

    for (const struct schema_field *f = o->fields; f->kind != SCHEMA_KIND_NONE; f++) {
        if (f->unavailable)
            continue;
        schema_nearest(key->text, str_from_c(f->name), &best, &distance);
        (void)buf_addf(&valid, "%s%s", f == o->fields ? "; valid: " : ", ", f->name);
    }
    const char *suggestion = schema_suggest(p->run->arena, key->text, best, distance);
    problems_error(p->run->problems, key, "unknown field \"%.*s\" in %s%s%.*s", STR_ARG(key->text), subject(p),
                   suggestion, *suggestion ? 0 : (int)valid.n, valid.n ? valid.p : "");
}

/* What a field gets that is not in the file. `at`: the object that should have it; NULL if that is not in the file
 * either. */
static void read_default(const struct place *p, const struct yaml_node *at, char *base)
{
    const struct schema_field *f = p->field;
    struct place value = *p;
    char *to = base + f->offset;

    if (f->required) {
        if (at)
            problems_error(p->run->problems, at, "%s is missing", subject(p));
        return;
    }
    if (f->kind == SCHEMA_KIND_OBJECT) {
        read_object(p, NULL, NULL, to);
        return;
    }
    if (!f->default_text)
        return;
    if (f->kind == SCHEMA_KIND_LIST) {
        to = make_items(p, base, 1) + f->item->offset;
        value.field = f->item;
    }
    struct str text = str_from_c(f->default_text);
    if (!(value.field->parse ? value.field->parse(p->run, NULL, text, to) : read_scalar(&value, NULL, text, to)))
        die("field \"%s\": bad default \"%s\"", f->name, f->default_text);
}

/* The key node of `name`, and its value in *ret; NULL if it is not there. */
static const struct yaml_node *find_pair(const struct yaml_node *map, const char *name, const struct yaml_node **ret)
{
    for (size_t i = 0; map && map->kind == YAML_MAP && i < map->count; i++)
        if (str_eq(map->pairs[i].key->text, str_from_c(name))) {
            *ret = map->pairs[i].value;
            return map->pairs[i].key;
        }
    return NULL;
}

/* `n` is NULL for an object that is not in the file, or has nothing in it; then `at`, unless NULL, is where to say
 * what it lacks. */
static void read_object(const struct place *p, const struct yaml_node *n, const struct yaml_node *at, char *to)
{
    const struct schema_object *o = p->field->object;
    bool is_short = n && n->kind != YAML_MAP && o->shorthand;

    if (n && n->kind != YAML_MAP && !is_short) {
        complain_kind(p, n);
        return;
    }
    const struct yaml_node *node = n ? n : at;
    if (o->node_offset)
        memcpy(to + o->node_offset - 1, &node, sizeof(const struct yaml_node *));
    for (const struct schema_field *f = o->fields; f->kind != SCHEMA_KIND_NONE; f++) {
        struct place field = {p->run, f, f->name, false};
        const struct yaml_node *value = NULL, *key = find_pair(n, f->name, &value);
        if (is_short && strcmp(f->name, o->shorthand) == 0)
            value = n;
        if (f->unavailable && key)
            problems_error(p->run->problems, key, "%s is not available yet; %s", subject(&field), f->unavailable);
        else if (value && !yaml_is_null(value))
            read_value(&field, value, to);
        else
            read_default(&field, key ? key : at, to);
    }
    for (size_t i = 0; n && !is_short && i < n->count; i++)
        if (!schema_find_field(o, n->pairs[i].key->text))
            complain_unknown(p, o, n->pairs[i].key);
    if (n && o->check)
        o->check(p->run, n, to);
}

/* ---- one of several forms ---- */

static bool has_choice(const struct schema_choice *c, struct str name)
{
    for (; c->name; c++)
        if (str_eq(str_from_c(c->name), name))
            return true;
    return false;
}

/* Every key is a field and every required field is there. */
static bool object_fits(const struct schema_object *o, const struct yaml_node *n)
{
    if (n->kind != YAML_MAP)
        return o->shorthand != NULL;
    for (size_t i = 0; i < n->count; i++)
        if (!schema_find_field(o, n->pairs[i].key->text))
            return false;
    for (const struct schema_field *f = o->fields; f->kind != SCHEMA_KIND_NONE; f++)
        if (f->required && !yaml_get(n, str_from_c(f->name)))
            return false;
    return true;
}

static bool scalar_fits(const struct schema_field *f, const struct yaml_node *n)
{
    struct yaml_node plain = *n;
    bool b;

    plain.quoted = n->quoted && !n->expanded;
    switch (f->kind) {
    case SCHEMA_KIND_BOOL:
        return yaml_to_bool(&plain, &b);
    case SCHEMA_KIND_INT:
    case SCHEMA_KIND_UNSIGNED:
    case SCHEMA_KIND_FLOAT:
        return yaml_is_number(&plain);
    case SCHEMA_KIND_ENUM:
        return has_choice(f->choices, n->text);
    case SCHEMA_KIND_STRING:
    case SCHEMA_KIND_TEXT:
        return !f->pattern || f->pattern->match(n->text);
    case SCHEMA_KIND_DURATION:
    case SCHEMA_KIND_SIZE:
        return true;
    case SCHEMA_KIND_LIST:
        return f->single;
    case SCHEMA_KIND_OBJECT:
        return f->object->shorthand != NULL;
    case SCHEMA_KIND_NONE:
    case SCHEMA_KIND_MAP:
    case SCHEMA_KIND_ONE_OF:
    case SCHEMA_KIND_ANY:
        break;
    }
    return f->kind == SCHEMA_KIND_ANY;
}

static bool fits(const struct schema_field *f, const struct yaml_node *n)
{
    if (f->kind == SCHEMA_KIND_OBJECT)
        return object_fits(f->object, n);
    if (n->kind == YAML_SCALAR)
        return scalar_fits(f, n);
    if (f->kind == SCHEMA_KIND_ANY)
        return true;
    return f->kind == (n->kind == YAML_LIST ? SCHEMA_KIND_LIST : SCHEMA_KIND_MAP);
}

/* May the variant be meant, though something in it is wrong? Then its own message says more than ours. */
static bool resembles(const struct schema_field *f, const struct yaml_node *n)
{
    switch (n->kind) {
    case YAML_MAP:
        return f->kind == SCHEMA_KIND_OBJECT;
    case YAML_SCALAR:
        return f->kind == SCHEMA_KIND_STRING || f->kind == SCHEMA_KIND_TEXT;
    case YAML_LIST:
        break;
    }
    return false;
}

static void read_one_of(const struct place *p, const struct yaml_node *n, char *base)
{
    const struct schema_field *similar = NULL;
    unsigned count = 0;

    for (const struct schema_field *v = p->field->variants; v->kind != SCHEMA_KIND_NONE; v++) {
        struct place variant = {p->run, v, p->name, p->is_entry};
        if (fits(v, n)) {
            read_value(&variant, n, base);
            return;
        }
        if (resembles(v, n)) {
            similar = v;
            count++;
        }
    }
    struct place variant = {p->run, similar, p->name, p->is_entry};
    if (count == 1)
        read_value(&variant, n, base);
    else
        complain_kind(p, n);
}

static void read_value(const struct place *p, const struct yaml_node *n, char *base)
{
    char *to = base + p->field->offset;

    switch (p->field->kind) {
    case SCHEMA_KIND_LIST:
        read_list(p, n, base);
        return;
    case SCHEMA_KIND_MAP:
        read_map(p, n, base);
        return;
    case SCHEMA_KIND_OBJECT:
        read_object(p, n, n, to);
        return;
    case SCHEMA_KIND_ONE_OF:
        read_one_of(p, n, base);
        return;
    case SCHEMA_KIND_ANY:
        memcpy(to, &n, sizeof(const struct yaml_node *));
        return;
    case SCHEMA_KIND_NONE:
        return;
    case SCHEMA_KIND_STRING:
    case SCHEMA_KIND_TEXT:
    case SCHEMA_KIND_BOOL:
    case SCHEMA_KIND_INT:
    case SCHEMA_KIND_UNSIGNED:
    case SCHEMA_KIND_FLOAT:
    case SCHEMA_KIND_DURATION:
    case SCHEMA_KIND_SIZE:
    case SCHEMA_KIND_ENUM:
        read_scalar_node(p, n, to);
        return;
    }
}

err_t schema_bind(const struct schema_object *o, const struct yaml_node *root, struct arena *a,
                  struct problems *problems, void *ctx, void *to)
{
    struct schema_run run = {.arena = a, .problems = problems, .ctx = ctx};
    const struct schema_field document = SCHEMA_ITEM_OBJECT(o);
    struct place p = {&run, &document, NULL, false};
    size_t errors = problems->errors;

    memset(to, 0, o->size);
    read_object(&p, yaml_is_null(root) ? NULL : root, root, to);
    if (problems->errors > errors)
        return fail(E_CONFIG, "the document has errors");
    return OK;
}
