/*
 * gemini_schema.c - JSON Schemas in the form that Google's older models take.
 *
 * The idea: a place in the schema is described by several objects at once: the schema there, what it refers to, the members of its allOf, the
 * one alternative that is left beside null. These parts are gathered first; then each thing that Google knows is looked for in all of
 * them and written, in a fixed order, so an unknown keyword never gets through. Properties keep their order.
 *
 * Google refuses what it does not know with status 400, and also: an enumeration of anything but strings, most formats, an array without
 * items, a required property that is not defined, and any other field beside anyOf. All that is seen to here.
 *
 * A schema that refers to itself has no finite form: where it comes round again, any object may stand.
 *
 * Not done: references to other documents and anchors (any value may stand there), and checks that need one keyword to know of another.
 *
 * Source: "Schema" in the Gemini API reference (OpenAPI 3.0.3 subset), JSON Schema 2020-12.
 */
#include "llm/gemini_schema.h"

#include "base/attr.h"
#include "base/buf.h"
#include "base/map.h"
#include "codec/json_out.h"
#include "codec/json_tree.h"
#include "codec/url.h"

enum { PARTS_MAX = 16, DEPTH_MAX = 32, SCHEMA_MAX = 256 * 1024 };

/* References that are being written out around a place. */
struct path {
    const struct path *up;
    uint32_t cell; /* of the schema referred to */
};

/* All that describes one place. */
struct parts {
    struct json_node node[PARTS_MAX];
    size_t count;
    const struct path *around, *refs; /* around this place; the same with what it refers to itself */
    bool recursive;                   /* it refers to something around it                         */
    bool nullable;
    struct str description; /* raw, of the schema whose alternative this is; empty: none */
};

struct converting {
    struct arena *arena;
    struct json_node root;
    struct json_out o;
    unsigned depth;
    bool weaker;
};

enum {
    NULL_TYPE = 1 << 0,
    STRING = 1 << 1,
    NUMBER = 1 << 2,
    INTEGER = 1 << 3,
    BOOLEAN = 1 << 4,
    ARRAY = 1 << 5,
    OBJECT = 1 << 6
};

static const struct type {
    unsigned bit;
    struct str name, google;
} types[] = {
    {NULL_TYPE, STR_INIT("null"), STR_INIT("NULL")},     {STRING, STR_INIT("string"), STR_INIT("STRING")},
    {NUMBER, STR_INIT("number"), STR_INIT("NUMBER")},    {INTEGER, STR_INIT("integer"), STR_INIT("INTEGER")},
    {BOOLEAN, STR_INIT("boolean"), STR_INIT("BOOLEAN")}, {ARRAY, STR_INIT("array"), STR_INIT("ARRAY")},
    {OBJECT, STR_INIT("object"), STR_INIT("OBJECT")},
};

/* --- references --- */

static struct json_node step_into(struct json_node at, struct str name)
{
    size_t index = 0;

    if (!json_node_is(at, JSON_ARRAY))
        return json_node_get(at, name);
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] < '0' || name.p[i] > '9' || index > UINT32_MAX)
            return JSON_ABSENT;
        index = index * 10 + (size_t)(name.p[i] - '0');
    }
    return json_node_at(at, index);
}

/* A name within a JSON pointer (RFC 6901) that is a URI's fragment. */
static struct str pointer_name(struct converting *c, struct str coded)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(coded.n + 1);
    struct str text = coded;

    if (str_find_char(coded, '%') < coded.n && url_decode(coded, c->arena, &text) != OK)
        text = coded;
    for (size_t i = 0; i < text.n; i++) {
        bool escape = text.p[i] == '~' && i + 1 < text.n;
        buf_add_char(&to, escape ? (text.p[++i] == '1' ? '/' : '~') : text.p[i]);
    }
    return arena_str(c->arena, buf_str(&to));
}

static struct json_node find_ref(struct converting *c, struct str ref)
{
    struct json_node at = c->root;

    if (!str_starts(ref, STR("#")))
        return JSON_ABSENT;
    struct str rest = str_slice(ref, 1, ref.n);
    if (rest.n && rest.p[0] != '/')
        return JSON_ABSENT; /* an anchor */
    (void)str_cut(&rest, '/');
    while (rest.p)
        at = step_into(at, pointer_name(c, str_cut(&rest, '/')));
    return at;
}

static bool is_around(const struct path *refs, struct json_node v)
{
    for (; refs; refs = refs->up)
        if (refs->cell == v.cell)
            return true;
    return false;
}

/* --- gathering --- */

static void gather(struct converting *c, struct parts *p, struct json_node v)
{
    struct json_node ref = json_node_get(v, STR("$ref"));

    if (!json_node_is(v, JSON_OBJECT))
        return;
    if (p->count == PARTS_MAX) {
        c->weaker = true;
        return;
    }
    p->node[p->count++] = v;
    JSON_EACH(w, json_node_get(v, STR("allOf")))
        gather(c, p, w.value);
    if (json_is_absent(ref))
        return;
    struct json_node target = find_ref(c, json_node_text(ref, c->arena));
    if (json_is_absent(target)) {
        c->weaker = true;
        return;
    }
    for (size_t i = 0; i < p->count; i++)
        if (p->node[i].cell == target.cell)
            return;
    if (is_around(p->around, target)) {
        p->recursive = true;
        return;
    }
    struct path *here = arena_new(c->arena, struct path);
    *here = (struct path){p->refs, target.cell};
    p->refs = here;
    gather(c, p, target);
}

/* The first that any part says; absent if none does. */
static struct json_node said(const struct parts *p, struct str key)
{
    struct json_node v = JSON_ABSENT;

    for (size_t i = 0; i < p->count && json_is_absent(v); i++)
        v = json_node_get(p->node[i], key);
    return v;
}

static unsigned type_bit(struct json_node v)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (json_node_text_is(v, types[i].name) || json_node_text_is(v, types[i].google))
            return types[i].bit;
    return 0;
}

static unsigned type_of_value(struct json_node v)
{
    switch (json_node_kind(v)) {
    case JSON_NULL:
        return NULL_TYPE;
    case JSON_STRING:
        return STRING;
    case JSON_NUMBER:
        return NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return BOOLEAN;
    case JSON_ARRAY:
        return ARRAY;
    case JSON_OBJECT:
        return OBJECT;
    }
    return 0;
}

/* The types that are said; else those that the rest lets guess; 0: any. */
static unsigned types_of(const struct parts *p)
{
    struct json_node type = said(p, STR("type")), constant = said(p, STR("const"));
    unsigned bits = type_bit(type);

    JSON_EACH(w, json_node_is(type, JSON_ARRAY) ? type : JSON_ABSENT)
        bits |= type_bit(w.value);
    if (bits)
        return bits;
    JSON_EACH(w, said(p, STR("enum")))
        bits |= type_of_value(w.value);
    if (!json_is_absent(constant))
        return bits | type_of_value(constant);
    if (!json_is_absent(said(p, STR("properties"))))
        return bits | OBJECT;
    return json_is_absent(said(p, STR("items"))) ? bits : bits | ARRAY;
}

/* --- writing --- */

static void put_schema(struct converting *c, struct json_node v, const struct path *refs);

static void copy(struct converting *c, const struct parts *p, struct str key)
{
    struct json_node v = said(p, key);

    if (json_node_is_set(v))
        json_member_raw(&c->o, key, json_node_raw(v));
}

static void put_notes(struct converting *c, const struct parts *p)
{
    copy(c, p, STR("title"));
    if (json_node_is_set(said(p, STR("description"))))
        copy(c, p, STR("description"));
    else if (p->description.n)
        json_member_raw(&c->o, STR("description"), p->description);
    if (p->nullable)
        json_member_bool(&c->o, STR("nullable"), true);
}

/* Google knows enumerations of strings only. */
static void put_enum(struct converting *c, const struct parts *p)
{
    struct json_node constant = said(p, STR("const")), list = said(p, STR("enum"));
    bool any = json_node_is(constant, JSON_STRING);

    JSON_EACH(w, list)
        any = any || json_node_is(w.value, JSON_STRING);
    if (!any)
        return;
    json_member_open(&c->o, STR("enum"), '[');
    if (json_node_is(constant, JSON_STRING))
        json_put_raw(&c->o, json_node_raw(constant));
    JSON_EACH(w, json_is_absent(constant) ? list : JSON_ABSENT)
        if (json_node_is(w.value, JSON_STRING))
            json_put_raw(&c->o, json_node_raw(w.value));
    json_close(&c->o, ']');
}

static void put_string(struct converting *c, const struct parts *p)
{
    if (json_node_text_is(said(p, STR("format")), STR("date-time")))
        copy(c, p, STR("format"));
    put_enum(c, p);
    copy(c, p, STR("minLength"));
    copy(c, p, STR("maxLength"));
    copy(c, p, STR("pattern"));
}

static void put_number(struct converting *c, const struct parts *p)
{
    static const struct str formats[] = {STR_INIT("float"), STR_INIT("double"), STR_INIT("int32"), STR_INIT("int64")};

    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (json_node_text_is(said(p, STR("format")), formats[i]))
            copy(c, p, STR("format"));
    copy(c, p, STR("minimum"));
    copy(c, p, STR("maximum"));
}

static void put_array(struct converting *c, const struct parts *p)
{
    json_key(&c->o, STR("items"));
    put_schema(c, said(p, STR("items")), p->refs);
    copy(c, p, STR("minItems"));
    copy(c, p, STR("maxItems"));
}

static bool has_properties(const struct parts *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (json_node_count(json_node_get(p->node[i], STR("properties"))))
            return true;
    return false;
}

/* Of all parts; where two define one, the first does. Their names go to `names`. */
static void put_properties(struct converting *c, const struct parts *p, struct map *names)
{
    json_member_open(&c->o, STR("properties"), '{');
    for (size_t i = 0; i < p->count; i++)
        JSON_EACH(w, json_node_get(p->node[i], STR("properties"))) {
            struct str name = json_node_text(w.key, c->arena);
            if (map_get(names, name))
                continue;
            map_put(names, name, c);
            json_key(&c->o, name);
            put_schema(c, w.value, p->refs);
        }
    json_close(&c->o, '}');
}

static void put_required(struct converting *c, const struct parts *p, const struct map *names)
{
    bool any = false;

    for (size_t i = 0; i < p->count; i++)
        JSON_EACH(w, json_node_get(p->node[i], STR("required"))) {
            if (!map_get(names, json_node_text(w.value, c->arena)))
                continue;
            if (!any)
                json_member_open(&c->o, STR("required"), '[');
            any = true;
            json_put_raw(&c->o, json_node_raw(w.value));
        }
    if (any)
        json_close(&c->o, ']');
}

static void put_object(struct converting *c, const struct parts *p)
{
    struct map names CLEANUP(map_release) = {0};

    if (p->recursive)
        c->weaker = true;
    if (!has_properties(p))
        return;
    put_properties(c, p, &names);
    put_required(c, p, &names);
    copy(c, p, STR("propertyOrdering"));
    copy(c, p, STR("minProperties"));
    copy(c, p, STR("maxProperties"));
}

/* Only where it is of this type. */
static void put_default(struct converting *c, const struct parts *p, const struct type *t)
{
    unsigned bit = type_of_value(said(p, STR("default")));

    if (bit == t->bit || (bit == NUMBER && t->bit == INTEGER))
        copy(c, p, STR("default"));
}

static void put_typed(struct converting *c, const struct parts *p, const struct type *t)
{
    if (t->bit != STRING && (!json_is_absent(said(p, STR("enum"))) || !json_is_absent(said(p, STR("const")))))
        c->weaker = true;
    json_open(&c->o, '{');
    json_member_str(&c->o, STR("type"), t->google);
    put_notes(c, p);
    switch (t->bit) {
    case STRING:
        put_string(c, p);
        break;
    case NUMBER:
    case INTEGER:
        put_number(c, p);
        break;
    case ARRAY:
        put_array(c, p);
        break;
    case OBJECT:
        put_object(c, p);
        break;
    }
    put_default(c, p, t);
    json_close(&c->o, '}');
}

/* Of one type, or an alternative for each of several. */
static void put_types(struct converting *c, const struct parts *p, unsigned bits)
{
    bool several = bits & (bits - 1);

    if (several) {
        json_open(&c->o, '{');
        json_member_open(&c->o, STR("anyOf"), '[');
    }
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (bits & types[i].bit)
            put_typed(c, p, &types[i]);
    if (several) {
        json_close(&c->o, ']');
        json_close(&c->o, '}');
    }
}

static struct json_node alternatives(const struct parts *p)
{
    struct json_node v = said(p, STR("anyOf"));

    return json_node_is(v, JSON_ARRAY) ? v : said(p, STR("oneOf"));
}

static bool is_null_only(struct json_node v)
{
    return type_bit(json_node_get(v, STR("type"))) == NULL_TYPE ||
           json_node_is(json_node_get(v, STR("const")), JSON_NULL);
}

/* How many alternatives there are but null, and the last of them. */
static size_t count_alternatives(struct json_node list, struct json_node *ret_last, bool *ret_null)
{
    size_t n = 0;

    JSON_EACH(w, list) {
        if (is_null_only(w.value)) {
            *ret_null = true;
            continue;
        }
        *ret_last = w.value;
        n++;
    }
    return n;
}

static void put_parts(struct converting *c, struct parts *p);

/* Nothing may stand beside anyOf, so each alternative says what the whole does. */
static void put_alternatives(struct converting *c, const struct parts *p, struct json_node list)
{
    struct json_node description = said(p, STR("description"));

    json_open(&c->o, '{');
    json_member_open(&c->o, STR("anyOf"), '[');
    JSON_EACH(w, list) {
        struct parts one = {.around = p->refs, .refs = p->refs, .nullable = p->nullable};
        one.description = json_node_is_set(description) ? json_node_raw(description) : p->description;
        if (is_null_only(w.value))
            continue;
        gather(c, &one, w.value);
        put_parts(c, &one);
    }
    json_close(&c->o, ']');
    json_close(&c->o, '}');
}

/* Keywords that restrict a value, and that Google does not know. */
static bool restricts_more(const struct parts *p)
{
    static const struct str keys[] = {
        STR_INIT("not"),
        STR_INIT("if"),
        STR_INIT("multipleOf"),
        STR_INIT("exclusiveMinimum"),
        STR_INIT("exclusiveMaximum"),
        STR_INIT("uniqueItems"),
        STR_INIT("contains"),
        STR_INIT("prefixItems"),
        STR_INIT("patternProperties"),
        STR_INIT("propertyNames"),
        STR_INIT("dependentRequired"),
        STR_INIT("dependentSchemas"),
    };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (!json_is_absent(said(p, keys[i])))
            return true;
    return false;
}

static void put_parts(struct converting *c, struct parts *p)
{
    const unsigned scalar = STRING | NUMBER | BOOLEAN;
    struct json_node list = alternatives(p), one = JSON_ABSENT;
    size_t n = count_alternatives(list, &one, &p->nullable);

    c->weaker = c->weaker || restricts_more(p);
    if (n > 1 && !has_properties(p)) {
        put_alternatives(c, p, list);
        return;
    }
    if (n == 1)
        gather(c, p, one);
    else if (n > 1)
        c->weaker = true; /* properties with alternatives of them: only what all have */
    unsigned bits = p->recursive ? OBJECT : types_of(p);
    p->nullable = p->nullable || (bits & NULL_TYPE) || json_node_is(said(p, STR("nullable")), JSON_TRUE);
    bits &= ~(unsigned)NULL_TYPE;
    put_types(c, p, bits ? bits : scalar);
}

/* A schema, or whatever stands in the place of one: true, nothing, an older draft's list of items. */
static void put_schema(struct converting *c, struct json_node v, const struct path *refs)
{
    struct parts p = {.around = refs, .refs = refs};

    if (c->depth == DEPTH_MAX || buf_status(c->o.to) != OK) {
        p.recursive = true;
        put_types(c, &p, OBJECT);
        return;
    }
    if (json_node_is(v, JSON_ARRAY) || json_node_is(v, JSON_FALSE))
        c->weaker = true;
    c->depth++;
    gather(c, &p, v);
    put_parts(c, &p);
    c->depth--;
}

err_t gemini_schema(struct str schema, struct arena *arena, struct str *ret, bool *ret_weaker)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(SCHEMA_MAX);
    struct converting c = {.arena = arena, .o = json_out_to(&to)};
    const struct json_tree *tree;

    TRY(json_tree_parse(arena, schema, &tree));
    c.root = json_tree_root(tree);
    if (!json_node_is(c.root, JSON_OBJECT))
        return fail(E_PARSE, "a schema is a JSON object");
    struct path whole = {.cell = c.root.cell};
    put_schema(&c, c.root, &whole);
    if (buf_status(&to) != OK)
        return fail(E_TOO_LARGE,
                    "a schema is too large with its references written out, as this model needs it; say it "
                    "with fewer of them");
    *ret = arena_str(arena, buf_str(&to));
    *ret_weaker = c.weaker;
    return OK;
}
