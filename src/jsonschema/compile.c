/*
 * compile.c - what a schema says, sorted by the kind of value that it says it of.
 *
 * Parts are compiled from a list of work, not recursively: compiling one adds those that it refers to. When all are done, the dynamic
 * anchors of every resource that was met are compiled as well, since any of them may be where a "$dynamicRef" leads. Annotations are
 * left out. What a keyword cannot be is refused here, with its place, so that validation has no errors of that kind.
 */
#include "jsonschema/compile_int.h"

#include "base/map.h"
#include "base/prng.h"

/* The part that is being compiled. */
struct context {
    struct compiler *c;
    struct json_node at;
    uint32_t resource, document;
    struct dialect dialect;
    struct part part; /* copied into place at the end: the array of parts moves as it grows */
};

static bool is_07(const struct context *x)
{
    return x->dialect.draft == JSONSCHEMA_DRAFT_07;
}

/* The keyword's value; absent if its vocabulary is not in use. */
static struct json_node get(const struct context *x, const char *keyword, unsigned vocabulary)
{
    return x->dialect.vocabularies & vocabulary ? json_node_get(x->at, str_from_c(keyword)) : JSON_ABSENT;
}

static err_t refuse(struct context *x, struct json_node at, const char *what)
{
    return complain(x->c, E_PARSE, x->document, at, "%s", what);
}

static void *array_of(struct context *x, size_t count, size_t item)
{
    return arena_zalloc(x->c->arena, (count ? count : 1) * item);
}

/* --- values of keywords --- */

static err_t schema_of(struct context *x, struct json_node value, part_t *ret_part)
{
    return json_is_absent(value) ? OK : part_at(x->c, x->document, value, ret_part);
}

static err_t list_of(struct context *x, struct json_node value, struct part_list *ret)
{
    if (json_is_absent(value))
        return OK;
    uint32_t n = 0, count = (uint32_t)json_node_count(value);
    if (!json_node_is(value, JSON_ARRAY) || !count)
        return refuse(x, value, "must be an array of schemas with at least one");
    part_t *parts = array_of(x, count, sizeof *parts);
    JSON_EACH(w, value)
        TRY(schema_of(x, w.value, &parts[n++]));
    *ret = (struct part_list){parts, count};
    return OK;
}

/* A number of things; larger ones than can be are cut off. */
static err_t count_of(struct context *x, struct json_node value, uint64_t *ret_count)
{
    int64_t number;

    if (json_is_absent(value))
        return OK;
    if (!json_node_is(value, JSON_NUMBER))
        return refuse(x, value, "must be a whole number that is not negative");
    struct decimal d = decimal_read(json_node_raw(value));
    if (!decimal_is_whole(&d) || (d.negative && d.p < d.end))
        return refuse(x, value, "must be a whole number that is not negative");
    *ret_count = json_node_i64(value, &number) ? (uint64_t)number : INT64_MAX;
    return OK;
}

static err_t pattern_of(struct context *x, struct json_node at, struct str text, struct pattern *ret)
{
    const char *why = "";
    struct regex *regex = NULL;

    err_t e = regex_compile(x->c->arena, text, REGEX_ECMA, (const struct regex **)&regex, &why);
    if (e)
        return complain(x->c, e, x->document, at, "%s", why);
    *ret = (struct pattern){text, regex, regex_bits_make(x->c->arena, regex)};
    if (!ret->bits && regex_room(regex) > x->c->regex_room)
        x->c->regex_room = regex_room(regex);
    return OK;
}

/* --- type, enum, const --- */

static err_t add_type(struct context *x, struct json_node name, bool *whole)
{
    static const struct {
        const char *name;
        uint8_t kinds;
    } types[] = {{"null", 1 << JSON_NULL},      {"boolean", KIND_BOOL},       {"number", 1 << JSON_NUMBER},
                 {"integer", 1 << JSON_NUMBER}, {"string", 1 << JSON_STRING}, {"array", 1 << JSON_ARRAY},
                 {"object", 1 << JSON_OBJECT}};

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (json_node_text_is(name, str_from_c(types[i].name))) {
            x->part.kinds |= types[i].kinds;
            *whole &= strcmp(types[i].name, "number") != 0;
            return OK;
        }
    return refuse(x, name, "there is no such type: there are null, boolean, integer, number, string, array and object");
}

static err_t compile_type(struct context *x)
{
    struct json_node value = get(x, "type", VOCAB_VALIDATION);
    bool whole = true; /* "integer" is there and "number" is not */

    if (json_is_absent(value))
        return OK;
    x->part.has_type = true;
    x->part.kinds = 0;
    if (json_node_is(value, JSON_ARRAY)) {
        JSON_EACH(w, value)
            TRY(add_type(x, w.value, &whole));
    } else {
        TRY(add_type(x, value, &whole));
    }
    x->part.whole = whole && (x->part.kinds & 1 << JSON_NUMBER);
    return OK;
}

static err_t compile_values(struct context *x)
{
    struct json_node list = get(x, "enum", VOCAB_VALIDATION), constant = get(x, "const", VOCAB_VALIDATION);

    if (!json_is_absent(list)) {
        if (!json_node_is(list, JSON_ARRAY))
            return refuse(x, list, "must be an array of the values that are allowed");
        struct value_rules *rules = arena_new(x->c->arena, struct value_rules);
        struct json_node *values = array_of(x, json_node_count(list), sizeof *values);
        JSON_EACH(w, list)
            values[rules->count++] = w.value;
        rules->values = values;
        x->part.values = rules;
    }
    if (!json_is_absent(constant)) {
        struct value_rules *rules = arena_new(x->c->arena, struct value_rules);
        struct json_node *value = arena_new(x->c->arena, struct json_node);
        *value = constant;
        *rules = (struct value_rules){value, 1, true};
        x->part.constant = rules;
    }
    return OK;
}

/* --- numbers --- */

static err_t bound_of(struct context *x, const char *keyword, struct bound *ret, bool *any)
{
    struct json_node value = get(x, keyword, VOCAB_VALIDATION);

    if (json_is_absent(value))
        return OK;
    if (!json_node_is(value, JSON_NUMBER))
        return refuse(x, value, "must be a number");
    ret->is_set = *any = true;
    ret->exact = decimal_read(json_node_raw(value));
    ret->is_small = json_to_i64(json_node_raw(value), &ret->small);
    return OK;
}

static err_t compile_number(struct context *x)
{
    struct number_rules rules = {0};
    struct json_node multiple = get(x, "multipleOf", VOCAB_VALIDATION);
    bool any = false;

    TRY(bound_of(x, "minimum", &rules.bounds[AT_LEAST], &any));
    TRY(bound_of(x, "exclusiveMinimum", &rules.bounds[MORE_THAN], &any));
    TRY(bound_of(x, "maximum", &rules.bounds[AT_MOST], &any));
    TRY(bound_of(x, "exclusiveMaximum", &rules.bounds[LESS_THAN], &any));
    if (!json_is_absent(multiple)) {
        struct decimal d =
            json_node_is(multiple, JSON_NUMBER) ? decimal_read(json_node_raw(multiple)) : (struct decimal){0};
        if (d.p == d.end || d.negative)
            return refuse(x, multiple, "must be a number above 0");
        if (!decimal_divisor(&d, &rules.divisor))
            return complain(x->c, E_TOO_LARGE, x->document, multiple, "must have at most %d significant digits",
                            JSONSCHEMA_DIGITS_MAX);
        rules.has_divisor = any = true;
        rules.divisor_text = json_node_raw(multiple);
    }
    if (any) {
        struct number_rules *kept = arena_new(x->c->arena, struct number_rules);
        *kept = rules;
        x->part.number = kept;
    }
    return OK;
}

/* --- strings --- */

static err_t compile_content(struct context *x, struct string_rules *rules, bool *any)
{
    struct json_node encoding = get(x, "contentEncoding", VOCAB_CONTENT),
                     type = get(x, "contentMediaType", VOCAB_CONTENT);

    if (!x->c->options->assert_content)
        return OK;
    if (json_node_text_is(encoding, STR("base64"))) {
        rules->encoding = ENCODING_BASE64;
        *any = true;
    }
    if (json_node_text_is(type, STR("application/json"))) {
        rules->is_json = true;
        *any = true;
    }
    return OK;
}

static err_t compile_string(struct context *x)
{
    struct string_rules rules = {.max = UINT64_MAX};
    struct json_node min = get(x, "minLength", VOCAB_VALIDATION), max = get(x, "maxLength", VOCAB_VALIDATION);
    struct json_node pattern = get(x, "pattern", VOCAB_VALIDATION), format = get(x, "format", VOCAB_FORMAT);
    bool any = !json_is_absent(min) || !json_is_absent(max);

    TRY(count_of(x, min, &rules.min));
    TRY(count_of(x, max, &rules.max));
    if (!json_is_absent(pattern)) {
        struct pattern *kept = arena_new(x->c->arena, struct pattern);
        if (!json_node_is(pattern, JSON_STRING))
            return refuse(x, pattern, "must be a regular expression, as a string");
        TRY(pattern_of(x, pattern, json_node_text(pattern, x->c->arena), kept));
        rules.pattern = kept;
        any = true;
    }
    if (!json_is_absent(format)) {
        bool asserted = x->c->options->assert_formats || (x->dialect.vocabularies & VOCAB_FORMAT_ASSERTION);
        if (!json_node_is(format, JSON_STRING))
            return refuse(x, format, "must be the name of a format");
        rules.format_name = json_node_text(format, x->c->arena);
        rules.format = asserted ? format_find(rules.format_name) : NULL;
        if (rules.format && is_07(x) && !rules.format->is_in_draft_07)
            rules.format = NULL;
        any = true;
    }
    TRY(compile_content(x, &rules, &any));
    if (any) {
        struct string_rules *kept = arena_new(x->c->arena, struct string_rules);
        *kept = rules;
        x->part.string = kept;
    }
    return OK;
}

/* --- arrays --- */

static err_t compile_items(struct context *x, struct array_rules *rules)
{
    struct json_node prefix = get(x, "prefixItems", VOCAB_APPLICATOR), items = get(x, "items", VOCAB_APPLICATOR);
    struct part_list list = {0};

    if (is_07(x)) {
        bool is_list = json_node_is(items, JSON_ARRAY);
        prefix = is_list ? items : JSON_ABSENT;
        items = is_list ? get(x, "additionalItems", VOCAB_APPLICATOR) : items;
        rules->rest_keyword = is_list ? "additionalItems" : "items";
        rules->prefix_keyword = "items";
        if (is_list && !json_node_count(prefix))
            prefix = JSON_ABSENT;
    } else {
        rules->rest_keyword = "items";
        rules->prefix_keyword = "prefixItems";
    }
    TRY(list_of(x, prefix, &list));
    rules->prefix = list.parts;
    rules->prefix_count = list.count;
    return schema_of(x, items, &rules->rest);
}

static err_t compile_array(struct context *x)
{
    struct array_rules rules = {.max = UINT64_MAX, .contains_min = 1, .contains_max = UINT64_MAX};
    struct json_node min = get(x, "minItems", VOCAB_VALIDATION), max = get(x, "maxItems", VOCAB_VALIDATION);
    struct json_node unique = get(x, "uniqueItems", VOCAB_VALIDATION);

    TRY(compile_items(x, &rules));
    TRY(count_of(x, min, &rules.min));
    TRY(count_of(x, max, &rules.max));
    if (!json_is_absent(unique) && !json_node_bool(unique, &rules.is_unique))
        return refuse(x, unique, "must be true or false");
    TRY(schema_of(x, get(x, "contains", VOCAB_APPLICATOR), &rules.contains));
    rules.contains_evaluates = !is_07(x);
    if (!is_07(x)) {
        TRY(count_of(x, get(x, "minContains", VOCAB_VALIDATION), &rules.contains_min));
        TRY(count_of(x, get(x, "maxContains", VOCAB_VALIDATION), &rules.contains_max));
        TRY(schema_of(x, get(x, "unevaluatedItems", VOCAB_UNEVALUATED), &x->part.unevaluated_items));
    }
    if (rules.prefix_count || rules.rest || rules.contains || rules.is_unique || rules.min || rules.max != UINT64_MAX) {
        struct array_rules *kept = arena_new(x->c->arena, struct array_rules);
        *kept = rules;
        x->part.array = kept;
    }
    return OK;
}

/* --- objects --- */

struct names {
    struct property *properties;
    uint32_t count;
    struct map index; /* name -> its place + 1 */
};

static void names_release(struct names *n)
{
    map_release(&n->index);
}

static uint32_t add_name(struct names *n, struct str name)
{
    uintptr_t place = (uintptr_t)map_get(&n->index, name);

    if (!place) {
        n->properties[n->count].name = name;
        place = ++n->count;
        (void)map_put(&n->index, name,
                      (void *)place); // NOLINT(performance-no-int-to-ptr): a number is all there is to keep
    }
    return (uint32_t)(place - 1);
}

/* How many names the keywords can bring at most. */
static size_t count_names(const struct context *x)
{
    static const char *const maps[] = {"dependentRequired", "dependentSchemas", "dependencies"};
    size_t n = json_node_count(json_node_get(x->at, STR("properties"))) +
               json_node_count(json_node_get(x->at, STR("required")));

    for (size_t i = 0; i < ARRAY_LEN(maps); i++)
        JSON_EACH(w, json_node_get(x->at, str_from_c(maps[i])))
            n += 1 + (json_node_is(w.value, JSON_ARRAY) ? json_node_count(w.value) : 0);
    return n;
}

static err_t need_object(struct context *x, struct json_node value)
{
    return json_is_absent(value) || json_node_is(value, JSON_OBJECT) ? OK : refuse(x, value, "must be an object");
}

static err_t compile_properties(struct context *x, struct names *names, struct object_rules *rules)
{
    struct json_node properties = get(x, "properties", VOCAB_APPLICATOR);
    struct json_node required = get(x, "required", VOCAB_VALIDATION);

    TRY(need_object(x, properties));
    rules->declares = !json_is_absent(properties);
    JSON_EACH(w, properties) {
        uint32_t place = add_name(names, json_node_text(w.key, x->c->arena));
        TRY(schema_of(x, w.value, &names->properties[place].part));
    }
    if (!json_is_absent(required) && !json_node_is(required, JSON_ARRAY))
        return refuse(x, required, "must be an array of names");
    JSON_EACH(w, required) {
        if (!json_node_is(w.value, JSON_STRING))
            return refuse(x, w.value, "must be the name of a member");
        names->properties[add_name(names, json_node_text(w.value, x->c->arena))].is_required = true;
    }
    return OK;
}

static err_t needed_names(struct context *x, struct names *names, struct json_node list, struct dependent *ret)
{
    uint32_t *needed = array_of(x, json_node_count(list), sizeof *needed);

    JSON_EACH(w, list) {
        if (!json_node_is(w.value, JSON_STRING))
            return refuse(x, w.value, "must be the name of a member");
        needed[ret->needed_count++] = add_name(names, json_node_text(w.value, x->c->arena));
    }
    ret->needed = needed;
    return OK;
}

static err_t compile_dependents(struct context *x, struct names *names, const char *keyword, unsigned vocabulary,
                                struct dependent *dependents, uint32_t *count)
{
    struct json_node map = get(x, keyword, vocabulary);

    TRY(need_object(x, map));
    JSON_EACH(w, map) {
        struct dependent *d = &dependents[(*count)++];
        *d = (struct dependent){.property = add_name(names, json_node_text(w.key, x->c->arena)), .keyword = keyword};
        if (json_node_is(w.value, JSON_ARRAY))
            TRY(needed_names(x, names, w.value, d));
        else
            TRY(schema_of(x, w.value, &d->part));
    }
    return OK;
}

static err_t compile_all_dependents(struct context *x, struct names *names, struct object_rules *rules)
{
    size_t most = json_node_count(json_node_get(x->at, STR("dependentRequired"))) +
                  json_node_count(json_node_get(x->at, STR("dependentSchemas"))) +
                  json_node_count(json_node_get(x->at, STR("dependencies")));

    if (!most)
        return OK;
    struct dependent *dependents = array_of(x, most, sizeof *dependents);
    if (!is_07(x)) {
        TRY(compile_dependents(x, names, "dependentRequired", VOCAB_VALIDATION, dependents, &rules->dependent_count));
        TRY(compile_dependents(x, names, "dependentSchemas", VOCAB_APPLICATOR, dependents, &rules->dependent_count));
    }
    TRY(compile_dependents(x, names, "dependencies", VOCAB_APPLICATOR, dependents, &rules->dependent_count));
    rules->dependents = dependents;
    return OK;
}

static err_t compile_patterns(struct context *x, struct object_rules *rules)
{
    struct json_node map = get(x, "patternProperties", VOCAB_APPLICATOR);

    TRY(need_object(x, map));
    struct pattern_property *patterns = array_of(x, json_node_count(map), sizeof *patterns);
    JSON_EACH(w, map) {
        struct pattern_property *p = &patterns[rules->pattern_count++];
        TRY(pattern_of(x, w.key, json_node_text(w.key, x->c->arena), &p->pattern));
        TRY(schema_of(x, w.value, &p->part));
    }
    rules->patterns = patterns;
    return OK;
}

/* The table that finds a member's property: half empty, so that a look-up meets one or two slots. */
static void index_names(struct context *x, const struct names *names, struct object_rules *rules)
{
    uint32_t size = 4;

    while (size < 2 * names->count)
        size *= 2;
    struct property_slot *slots = array_of(x, size, sizeof *slots);
    uint64_t *required = array_of(x, (names->count + 63) / 64, sizeof *required);
    for (uint32_t i = 0; i < names->count; i++) {
        struct name_key key = name_key_of(names->properties[i].name, names->properties[i].name.n);
        uint32_t at = name_key_hash(&key) & (size - 1);
        while (slots[at].property)
            at = (at + 1) & (size - 1);
        slots[at] = (struct property_slot){key, i + 1};
        if (names->properties[i].is_required)
            required[i / 64] |= UINT64_C(1) << i % 64;
    }
    rules->slots = slots;
    rules->slot_mask = size - 1;
    rules->required = required;
    rules->properties = names->properties;
    rules->property_count = names->count;
}

static err_t compile_object(struct context *x)
{
    struct names names CLEANUP(names_release) = {.properties = array_of(x, count_names(x), sizeof(struct property))};
    struct object_rules rules = {.max = UINT64_MAX};

    TRY(compile_properties(x, &names, &rules));
    TRY(compile_all_dependents(x, &names, &rules));
    TRY(compile_patterns(x, &rules));
    TRY(schema_of(x, get(x, "additionalProperties", VOCAB_APPLICATOR), &rules.additional));
    TRY(schema_of(x, get(x, "propertyNames", VOCAB_APPLICATOR), &rules.names));
    TRY(count_of(x, get(x, "minProperties", VOCAB_VALIDATION), &rules.min));
    TRY(count_of(x, get(x, "maxProperties", VOCAB_VALIDATION), &rules.max));
    if (!is_07(x))
        TRY(schema_of(x, get(x, "unevaluatedProperties", VOCAB_UNEVALUATED), &x->part.unevaluated_members));
    if (names.count || rules.pattern_count || rules.additional || rules.names || rules.min || rules.max != UINT64_MAX ||
        rules.declares) {
        index_names(x, &names, &rules);
        struct object_rules *kept = arena_new(x->c->arena, struct object_rules);
        *kept = rules;
        x->part.object = kept;
    }
    return OK;
}

/* --- schemas that hold for the same value --- */

/* The number of a dynamic anchor's name, + 1. */
static uint32_t dynamic_number(struct compiler *c, struct str name)
{
    for (uint32_t i = 0; i < c->dynamic_count; i++)
        if (str_eq(c->dynamic[i].name, name))
            return i + 1;
    if (c->dynamic_count == c->dynamic_cap)
        c->dynamic = grow_array(c->arena, c->dynamic, sizeof *c->dynamic, c->dynamic_count, &c->dynamic_cap);
    c->dynamic[c->dynamic_count].name = name;
    return ++c->dynamic_count;
}

static err_t compile_references(struct context *x, struct combine_rules *rules)
{
    struct json_node plain = get(x, "$ref", VOCAB_CORE), dynamic = get(x, "$dynamicRef", VOCAB_CORE);
    struct reference *references = array_of(x, 2, sizeof *references);
    const struct anchor *anchor;

    if (!json_is_absent(plain)) {
        struct reference *r = &references[rules->reference_count++];
        TRY(reference_find(x->c, x->resource, x->document, plain, &r->part, &anchor));
        r->keyword = "$ref";
    }
    if (!json_is_absent(dynamic) && !is_07(x)) {
        struct reference *r = &references[rules->reference_count++];
        TRY(reference_find(x->c, x->resource, x->document, dynamic, &r->part, &anchor));
        r->keyword = "$dynamicRef";
        r->dynamic = anchor ? dynamic_number(x->c, anchor->name) : 0;
    }
    rules->references = references;
    return OK;
}

static err_t compile_combine(struct context *x)
{
    struct combine_rules rules = {0};

    TRY(compile_references(x, &rules));
    TRY(list_of(x, get(x, "allOf", VOCAB_APPLICATOR), &rules.all_of));
    TRY(list_of(x, get(x, "anyOf", VOCAB_APPLICATOR), &rules.any_of));
    TRY(list_of(x, get(x, "oneOf", VOCAB_APPLICATOR), &rules.one_of));
    TRY(schema_of(x, get(x, "not", VOCAB_APPLICATOR), &rules.not));
    TRY(schema_of(x, get(x, "if", VOCAB_APPLICATOR), &rules.if_));
    if (rules.if_) {
        TRY(schema_of(x, get(x, "then", VOCAB_APPLICATOR), &rules.then));
        TRY(schema_of(x, get(x, "else", VOCAB_APPLICATOR), &rules.else_));
    }
    if (rules.reference_count || rules.all_of.count || rules.any_of.count || rules.one_of.count || rules.not||
        rules.if_) {
        struct combine_rules *kept = arena_new(x->c->arena, struct combine_rules);
        *kept = rules;
        x->part.combine = kept;
    }
    return OK;
}

/* --- parts --- */

static err_t compile_keywords(struct context *x)
{
    struct combine_rules *rules;

    if (is_07(x) && !json_is_absent(json_node_get(x->at, STR("$ref")))) {
        rules = arena_new(x->c->arena, struct combine_rules);
        TRY(compile_references(x, rules));
        x->part.combine = rules;
        return OK;
    }
    TRY(compile_type(x));
    TRY(compile_values(x));
    TRY(compile_number(x));
    TRY(compile_string(x));
    TRY(compile_array(x));
    TRY(compile_object(x));
    return compile_combine(x);
}

/* A part that is nothing but a reference stands for what it refers to. */
static part_t alias_of(const struct part *p)
{
    bool says_more = p->kinds != KIND_ANY || p->values || p->constant || p->number || p->string || p->array ||
                     p->object || p->unevaluated_items || p->unevaluated_members || !p->combine;

    if (says_more || p->combine->reference_count != 1 || p->combine->references[0].dynamic ||
        p->combine->all_of.count || p->combine->any_of.count || p->combine->one_of.count || p->combine->not||
        p->combine->if_)
        return 0;
    return p->combine->references[0].part;
}

static err_t compile_part(struct compiler *c, part_t part)
{
    const struct part *p = &c->parts[part];
    struct context x = {.c = c,
                        .at = p->at,
                        .resource = p->resource,
                        .document = p->document,
                        .dialect = c->resources[p->resource].dialect,
                        .part = *p};

    if (json_node_is(x.at, JSON_OBJECT))
        TRY(compile_keywords(&x));
    else if (json_node_is(x.at, JSON_FALSE))
        x.part.kinds = 0;
    x.part.alias = alias_of(&x.part);
    x.part.dialect = (uint16_t)((unsigned)x.dialect.draft | x.dialect.vocabularies << 1 |
                                (unsigned)c->options->assert_formats << 9 | (unsigned)c->options->assert_content << 10);
    c->parts[part] = x.part;
    return OK;
}

/* Every place that a "$dynamicRef" of these names may lead to. */
static err_t add_dynamic_parts(struct compiler *c)
{
    part_t part;

    for (uint32_t i = 0; i < c->dynamic_count; i++)
        for (uint32_t r = 0; r < c->resource_count; r++) {
            const struct anchor *anchor = anchor_find(&c->resources[r], c->dynamic[i].name);
            if (anchor && anchor->is_dynamic)
                TRY(part_at(c, c->resources[r].document, anchor->at, &part));
        }
    return OK;
}

static err_t compile_parts(struct compiler *c)
{
    uint32_t done = 1;

    while (done < c->part_count) {
        while (done < c->part_count)
            TRY(compile_part(c, done++));
        TRY(add_dynamic_parts(c));
    }
    for (part_t i = 1; i < c->part_count; i++) {
        uint32_t steps = 0;
        for (part_t at = i; c->parts[at].alias; at = c->parts[at].alias)
            if (steps++ == c->part_count)
                return complain(c, E_PARSE, c->parts[i].document, c->parts[i].at,
                                "the reference leads back to itself and to nothing else");
    }
    return OK;
}

static void index_dynamic_parts(struct compiler *c)
{
    for (uint32_t i = 0; i < c->dynamic_count; i++) {
        part_t *parts = arena_zalloc(c->arena, c->resource_count * sizeof *parts);
        for (uint32_t r = 0; r < c->resource_count; r++) {
            const struct anchor *anchor = anchor_find(&c->resources[r], c->dynamic[i].name);
            if (anchor && anchor->is_dynamic)
                parts[r] = c->documents[c->resources[r].document].part_of[anchor->at.cell];
        }
        c->dynamic[i].parts = parts;
    }
}

err_t jsonschema_compile(struct arena *arena, const struct json_tree *schema, const struct jsonschema_options *options,
                         const struct jsonschema **ret_schema, struct jsonschema_problem *ret_problem)
{
    struct compiler c = {.arena = arena, .options = options, .part_count = 1, .problem = ret_problem};
    part_t root;

    if (ret_problem)
        *ret_problem = (struct jsonschema_problem){.instance = STR(""), .keyword = STR(""), .text = STR("")};
    c.parts = grow_array(arena, NULL, sizeof *c.parts, 0, &c.part_cap);
    TRY(load_begin(&c, schema));
    TRY(part_at(&c, 0, json_tree_root(schema), &root));
    TRY(compile_parts(&c));
    index_dynamic_parts(&c);
    struct jsonschema *s = arena_new(arena, struct jsonschema);
    struct str *uris = arena_zalloc(arena, c.document_count * sizeof *uris);
    for (uint32_t i = 1; i < c.document_count; i++)
        uris[i] = c.documents[i].uri;
    *s = (struct jsonschema){.parts = c.parts,
                             .part_count = c.part_count,
                             .root = root,
                             .dynamic = c.dynamic,
                             .dynamic_count = c.dynamic_count,
                             .resource_count = c.resource_count,
                             .regex_room = c.regex_room,
                             .document_uris = uris};
    *ret_schema = s;
    return OK;
}
