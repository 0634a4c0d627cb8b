/*
 * load.c - documents, the resources in them, their anchors, and where references lead (2020-12 Core, sections 8 and 9).
 *
 * A document is read when something first refers to it: each place where its dialect expects a schema gets the resource that it belongs
 * to, "$id" begins a new one, and anchors are noted. A reference by pointer may also lead to a place that no keyword told about; what is
 * there is then read as a schema of the resource around it. Nothing is fetched: what was not given is not known.
 */
#include "jsonschema/compile_int.h"
#include "jsonschema/uri.h"

#include "codec/url.h"

#include <stdarg.h>
#include <stdio.h>

void *grow_array(struct arena *arena, const void *items, size_t item, uint32_t count, uint32_t *cap)
{
    *cap = *cap ? 2 * *cap : 16;
    char *larger = arena_zalloc(arena, *cap * item);
    if (count)
        memcpy(larger, items, count * item);
    return larger;
}

/* --- problems --- */

struct str place_of(const struct str *document_uris, uint32_t document, struct json_node at, const char *keyword,
                    struct arena *arena)
{
    struct str pointer = json_node_pointer(at, arena), uri = document_uris[document];

    return arena_printf(arena, "%.*s%s%.*s%s%s", STR_ARG(uri), uri.n ? "#" : "", STR_ARG(pointer), keyword ? "/" : "",
                        keyword ? keyword : "");
}

err_t complain(struct compiler *c, err_t code, uint32_t document, struct json_node at, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    struct str uri = c->documents[document].uri;
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!document)
        uri = STR_NONE;
    struct str place = place_of(&uri, 0, at, NULL, c->arena);
    if (c->problem)
        *c->problem = (struct jsonschema_problem){
            .instance = STR(""), .keyword = place, .text = arena_str(c->arena, str_from_c(text)), .node = at};
    return fail(code, "schema, at \"%.*s\": %s", STR_ARG(place), text);
}

/* --- keywords that hold schemas --- */

enum holds { ONE_SCHEMA, LIST_OF_SCHEMAS, MAP_OF_SCHEMAS, ONE_OR_LIST, MAP_OF_SCHEMAS_OR_NAMES };

static const struct holder {
    const char *keyword;
    enum holds holds;
    bool in_07, in_2020;
} holders[] = {
    {"$defs", MAP_OF_SCHEMAS, false, true},
    {"definitions", MAP_OF_SCHEMAS, true, true},
    {"properties", MAP_OF_SCHEMAS, true, true},
    {"patternProperties", MAP_OF_SCHEMAS, true, true},
    {"additionalProperties", ONE_SCHEMA, true, true},
    {"propertyNames", ONE_SCHEMA, true, true},
    {"unevaluatedProperties", ONE_SCHEMA, false, true},
    {"unevaluatedItems", ONE_SCHEMA, false, true},
    {"dependentSchemas", MAP_OF_SCHEMAS, false, true},
    {"dependencies", MAP_OF_SCHEMAS_OR_NAMES, true, true},
    {"prefixItems", LIST_OF_SCHEMAS, false, true},
    {"items", ONE_OR_LIST, true, true},
    {"additionalItems", ONE_SCHEMA, true, false},
    {"contains", ONE_SCHEMA, true, true},
    {"allOf", LIST_OF_SCHEMAS, true, true},
    {"anyOf", LIST_OF_SCHEMAS, true, true},
    {"oneOf", LIST_OF_SCHEMAS, true, true},
    {"not", ONE_SCHEMA, true, true},
    {"if", ONE_SCHEMA, true, true},
    {"then", ONE_SCHEMA, true, true},
    {"else", ONE_SCHEMA, true, true},
    {"contentSchema", ONE_SCHEMA, false, true},
};

static const struct holder *holder_of(const struct json_walk *member, enum jsonschema_draft draft)
{
    for (size_t i = 0; i < ARRAY_LEN(holders); i++)
        if (json_walk_key_is(member, str_from_c(holders[i].keyword)))
            return (draft == JSONSCHEMA_DRAFT_07 ? holders[i].in_07 : holders[i].in_2020) ? &holders[i] : NULL;
    return NULL;
}

/* --- reading a document --- */

static err_t read_schema(struct compiler *c, uint32_t document, struct json_node at, uint32_t resource);

static err_t read_all(struct compiler *c, uint32_t document, struct json_node in, uint32_t resource)
{
    JSON_EACH(w, in)
        TRY(read_schema(c, document, w.value, resource));
    return OK;
}

static err_t read_held(struct compiler *c, uint32_t document, enum holds holds, struct json_node value,
                       uint32_t resource)
{
    bool is_array = json_node_is(value, JSON_ARRAY), is_object = json_node_is(value, JSON_OBJECT);

    switch (holds) {
    case ONE_SCHEMA:
        return read_schema(c, document, value, resource);
    case ONE_OR_LIST:
        return is_array ? read_all(c, document, value, resource) : read_schema(c, document, value, resource);
    case LIST_OF_SCHEMAS:
        return is_array ? read_all(c, document, value, resource) : OK;
    case MAP_OF_SCHEMAS:
    case MAP_OF_SCHEMAS_OR_NAMES: /* names are strings in an array: neither is a schema, and read_schema() leaves them */
        return is_object ? read_all(c, document, value, resource) : OK;
    }
    die("no such way to hold schemas: %d", (int)holds);
}

static err_t dialect_of(struct compiler *c, uint32_t document, struct json_node at, struct dialect *dialect);

/* A resource of its own from here on; its dialect is that around it unless it says otherwise. */
static err_t add_resource(struct compiler *c, uint32_t document, struct json_node at, struct str uri,
                          struct dialect dialect, uint32_t *ret_resource)
{
    if (c->resource_count == JSONSCHEMA_PARTS_MAX)
        return fail(E_TOO_LARGE, "the schema refers to too many others");
    if (c->resource_count == c->resource_cap)
        c->resources = grow_array(c->arena, c->resources, sizeof *c->resources, c->resource_count, &c->resource_cap);
    *ret_resource = c->resource_count++;
    c->resources[*ret_resource] =
        (struct schema_resource){.uri = uri, .document = document, .at = at, .dialect = dialect};
    return OK;
}

static void add_anchor(struct compiler *c, uint32_t resource, struct json_node at, struct str name, bool is_dynamic)
{
    struct anchor *anchor = arena_new(c->arena, struct anchor);

    *anchor = (struct anchor){c->resources[resource].anchors, name, at, is_dynamic};
    c->resources[resource].anchors = anchor;
}

static void read_anchors(struct compiler *c, struct json_node at, uint32_t resource)
{
    struct json_node plain = json_node_get(at, STR("$anchor")), dynamic = json_node_get(at, STR("$dynamicAnchor"));

    if (json_node_is(plain, JSON_STRING))
        add_anchor(c, resource, at, json_node_text(plain, c->arena), false);
    if (json_node_is(dynamic, JSON_STRING))
        add_anchor(c, resource, at, json_node_text(dynamic, c->arena), true);
}

/* What "$id" begins; in draft 7 it may also be an anchor, and counts for nothing beside "$ref". */
static err_t read_id(struct compiler *c, uint32_t document, struct json_node at, struct dialect dialect,
                     uint32_t *resource)
{
    struct json_node id = json_node_get(at, STR("$id"));
    bool is_07 = dialect.draft == JSONSCHEMA_DRAFT_07;

    if (!json_node_is(id, JSON_STRING) || (is_07 && !json_is_absent(json_node_get(at, STR("$ref")))))
        return OK;
    struct str text = json_node_text(id, c->arena), fragment = uri_split(text).fragment;
    if (!is_07 && fragment.n)
        return complain(c, E_PARSE, document, id, "\"$id\" cannot have a fragment: use \"$anchor\"");
    if (str_find_char(text, '#') > 0) {
        struct str uri = uri_resolve(c->resources[*resource].uri, text, c->arena);
        TRY(add_resource(c, document, at, uri, dialect, resource));
    }
    if (fragment.n)
        add_anchor(c, *resource, at, fragment, false);
    return OK;
}

static err_t read_schema(struct compiler *c, uint32_t document, struct json_node at, uint32_t resource)
{
    struct dialect dialect = c->resources[resource].dialect;
    uint32_t *known = &c->documents[document].resource_of[at.cell];

    if (*known || json_node_is(at, JSON_ARRAY) || json_node_is(at, JSON_STRING))
        return OK;
    *known = resource + 1;
    if (!json_node_is(at, JSON_OBJECT))
        return OK;
    /* "$schema" counts where a resource begins. */
    bool begins = json_node_is(json_node_get(at, STR("$id")), JSON_STRING) || at.cell == c->resources[resource].at.cell;
    if (begins)
        TRY(dialect_of(c, document, at, &dialect));
    if (at.cell == c->resources[resource].at.cell)
        c->resources[resource].dialect = dialect;
    TRY(read_id(c, document, at, dialect, &resource));
    *known = resource + 1;
    if (dialect.draft == JSONSCHEMA_2020_12)
        read_anchors(c, at, resource);
    JSON_EACH(w, at) {
        const struct holder *holder = holder_of(&w, dialect.draft);
        if (holder)
            TRY(read_held(c, document, holder->holds, w.value, resource));
    }
    return OK;
}

/* --- documents --- */

/* Parse what is not parsed, and read it. */
static err_t read_document(struct compiler *c, uint32_t document)
{
    struct document *d = &c->documents[document];
    struct dialect dialect = {c->options->draft, VOCAB_USUAL};
    uint32_t resource;

    if (d->resource_of)
        return OK;
    if (!d->tree)
        TRY(json_tree_parse(c->arena, metaschemas[document - 1 - c->options->resource_count].text, &d->tree));
    char *room;
    size_t bytes = d->tree->count * sizeof *d->resource_of;
    TRY(arena_try(c->arena, 2 * bytes, &room));
    memset(room, 0, 2 * bytes);
    d->resource_of = (uint32_t *)(void *)room;
    d->part_of = d->resource_of + d->tree->count;
    TRY(add_resource(c, document, json_tree_root(d->tree), d->uri, dialect, &resource));
    return read_schema(c, document, json_tree_root(d->tree), resource);
}

static struct str without_fragment(struct str uri)
{
    return str_slice(uri, 0, str_find_char(uri, '#'));
}

err_t load_begin(struct compiler *c, const struct json_tree *schema)
{
    size_t given = c->options->resource_count;

    c->document_count = (uint32_t)(1 + given + metaschema_count);
    c->documents = arena_zalloc(c->arena, c->document_count * sizeof *c->documents);
    c->documents[0] = (struct document){.uri = without_fragment(c->options->uri), .tree = schema};
    for (size_t i = 0; i < given; i++)
        c->documents[1 + i] = (struct document){.uri = without_fragment(c->options->resources[i].uri),
                                                .tree = c->options->resources[i].tree};
    for (size_t i = 0; i < metaschema_count; i++)
        c->documents[1 + given + i].uri = metaschemas[i].uri;
    return read_document(c, 0);
}

/* --- dialects --- */

static const struct vocabulary_name {
    const char *uri;
    unsigned vocabulary;
} vocabulary_names[] = {
    {"https://json-schema.org/draft/2020-12/vocab/core", VOCAB_CORE},
    {"https://json-schema.org/draft/2020-12/vocab/applicator", VOCAB_APPLICATOR},
    {"https://json-schema.org/draft/2020-12/vocab/unevaluated", VOCAB_UNEVALUATED},
    {"https://json-schema.org/draft/2020-12/vocab/validation", VOCAB_VALIDATION},
    {"https://json-schema.org/draft/2020-12/vocab/format-annotation", VOCAB_FORMAT},
    {"https://json-schema.org/draft/2020-12/vocab/format-assertion", VOCAB_FORMAT | VOCAB_FORMAT_ASSERTION},
    {"https://json-schema.org/draft/2020-12/vocab/content", VOCAB_CONTENT},
    {"https://json-schema.org/draft/2020-12/vocab/meta-data", VOCAB_META},
};

static err_t read_vocabularies(struct compiler *c, uint32_t document, struct json_node list, struct dialect *dialect)
{
    unsigned found = VOCAB_CORE;

    JSON_EACH(w, list) {
        unsigned known = 0;
        for (size_t i = 0; i < ARRAY_LEN(vocabulary_names); i++)
            if (json_walk_key_is(&w, str_from_c(vocabulary_names[i].uri)))
                known = vocabulary_names[i].vocabulary;
        if (!known && json_node_is(w.value, JSON_TRUE))
            return complain(c, E_UNSUPPORTED, document, w.value,
                            "a vocabulary that is required is not known here: %.*s", STR_ARG(json_node_raw(w.key)));
        found |= known;
    }
    dialect->vocabularies = found;
    return OK;
}

static bool document_find(const struct compiler *c, struct str uri, uint32_t *ret_document)
{
    for (uint32_t i = 0; i < c->document_count; i++)
        if (str_eq(c->documents[i].uri, uri)) {
            *ret_document = i;
            return true;
        }
    return false;
}

/* A metaschema that somebody gave: it says itself what it is made of, up to one that is known. */
static err_t dialect_of_metaschema(struct compiler *c, uint32_t from, struct json_node said, struct str uri,
                                   struct dialect *dialect)
{
    enum { STEPS = 8 };
    struct json_node vocabularies = JSON_ABSENT;
    uint32_t document = 0, described_in = 0;

    for (int i = 0; i < STEPS; i++) {
        if (str_eq(uri, STR("https://json-schema.org/draft/2020-12/schema"))) {
            dialect->draft = JSONSCHEMA_2020_12;
            dialect->vocabularies = VOCAB_USUAL;
            return json_is_absent(vocabularies) ? OK : read_vocabularies(c, described_in, vocabularies, dialect);
        }
        if (str_eq(uri, STR("http://json-schema.org/draft-07/schema")) ||
            str_eq(uri, STR("https://json-schema.org/draft-07/schema"))) {
            *dialect = (struct dialect){JSONSCHEMA_DRAFT_07, VOCAB_USUAL};
            return OK;
        }
        if (!document_find(c, uri, &document) || !c->documents[document].tree)
            break;
        struct json_node root = json_tree_root(c->documents[document].tree);
        if (json_is_absent(vocabularies)) {
            vocabularies = json_node_get(root, STR("$vocabulary"));
            described_in = document;
        }
        uri = without_fragment(json_get_text(root, STR("$schema"), c->arena));
    }
    if (str_find(uri, STR("json-schema.org/draft")) < uri.n)
        return complain(c, E_UNSUPPORTED, from, said, "of JSON Schema's drafts 2020-12 and 7 are known here, not %.*s",
                        STR_ARG(uri));
    return complain(c, E_NOT_FOUND, from, said,
                    "\"$schema\" names a dialect that is not known: \"%.*s\"; give its metaschema as a resource",
                    STR_ARG(uri));
}

static err_t dialect_of(struct compiler *c, uint32_t document, struct json_node at, struct dialect *dialect)
{
    struct json_node said = json_node_get(at, STR("$schema"));

    if (!json_node_is(said, JSON_STRING))
        return OK;
    struct str uri = without_fragment(json_node_text(said, c->arena));
    return dialect_of_metaschema(c, document, said, uri, dialect);
}

/* --- references --- */

err_t part_at(struct compiler *c, uint32_t document, struct json_node at, part_t *ret_part)
{
    struct document *d = &c->documents[document];
    part_t *part = &d->part_of[at.cell];

    if (!json_node_is(at, JSON_OBJECT) && !json_node_is(at, JSON_TRUE) && !json_node_is(at, JSON_FALSE))
        return complain(c, E_PARSE, document, at, "a schema must be an object, true or false");
    if (!*part) {
        if (c->part_count == JSONSCHEMA_PARTS_MAX)
            return fail(E_TOO_LARGE, "a schema has at most %d parts", JSONSCHEMA_PARTS_MAX);
        if (c->part_count == c->part_cap)
            c->parts = grow_array(c->arena, c->parts, sizeof *c->parts, c->part_count, &c->part_cap);
        *part = c->part_count++;
        c->parts[*part] =
            (struct part){.at = at, .document = document, .resource = d->resource_of[at.cell] - 1, .kinds = KIND_ANY};
    }
    *ret_part = *part;
    return OK;
}

const struct anchor *anchor_find(const struct schema_resource *r, struct str name)
{
    for (const struct anchor *a = r->anchors; a; a = a->next)
        if (str_eq(a->name, name))
            return a;
    return NULL;
}

/* The resource of a URI; reads the document that has it. */
static err_t resource_find(struct compiler *c, struct str uri, bool *ret_found, uint32_t *ret_resource)
{
    uint32_t document;

    *ret_found = true;
    for (uint32_t i = 0; i < c->resource_count; i++)
        if (str_eq(c->resources[i].uri, uri)) {
            *ret_resource = i;
            return OK;
        }
    *ret_found = document_find(c, uri, &document);
    if (!*ret_found)
        return OK;
    TRY(read_document(c, document));
    *ret_resource = c->documents[document].resource_of[0] - 1;
    return OK;
}

/* A step of a JSON pointer (RFC 6901). */
static struct json_node step_into(struct json_node in, struct str token, struct arena *arena)
{
    uint64_t index;
    char *name = arena_alloc(arena, token.n + 1);
    size_t n = 0;

    if (json_node_is(in, JSON_ARRAY))
        return str_to_u64(token, UINT32_MAX, &index) ? json_node_at(in, index) : JSON_ABSENT;
    for (size_t i = 0; i < token.n; i++) {
        name[n++] = token.p[i];
        if (token.p[i] == '~' && i + 1 < token.n && (token.p[i + 1] == '0' || token.p[i + 1] == '1'))
            name[n - 1] = token.p[++i] == '0' ? '~' : '/';
    }
    return json_node_get(in, str_of(name, n));
}

/* Follow a pointer from where a resource begins; what no keyword told about is read now. */
static err_t follow_pointer(struct compiler *c, uint32_t resource, struct str pointer, struct json_node *ret_at)
{
    uint32_t document = c->resources[resource].document;
    struct json_node at = c->resources[resource].at;

    (void)str_cut(&pointer, '/');
    while (pointer.p && !json_is_absent(at)) {
        at = step_into(at, str_cut(&pointer, '/'), c->arena);
        uint32_t known = json_is_absent(at) ? 0 : c->documents[document].resource_of[at.cell];
        if (known)
            resource = known - 1;
    }
    *ret_at = at;
    return json_is_absent(at) ? OK : read_schema(c, document, at, resource);
}

err_t reference_find(struct compiler *c, uint32_t resource, uint32_t document, struct json_node reference,
                     part_t *ret_part, const struct anchor **ret_anchor)
{
    struct str text = json_node_text(reference, c->arena), fragment = uri_split(text).fragment;
    struct str uri = uri_resolve(c->resources[resource].uri, text, c->arena);
    struct json_node at = JSON_ABSENT;
    const struct anchor *anchor = NULL;
    bool found = true;

    if (!json_node_is(reference, JSON_STRING))
        return complain(c, E_PARSE, document, reference, "a reference must be a string");
    if (url_decode(fragment, c->arena, &fragment) != OK)
        return complain(c, E_PARSE, document, reference, "the reference's fragment is not properly coded");
    if (str_find_char(text, '#') > 0 || !c->resources[resource].uri.n)
        TRY(resource_find(c, uri, &found, &resource));
    if (!found)
        return complain(c, E_NOT_FOUND, document, reference, "nothing is known of \"%.*s\"; give it as a resource",
                        STR_ARG(uri));
    if (!fragment.n)
        at = c->resources[resource].at;
    else if (fragment.p[0] == '/')
        TRY(follow_pointer(c, resource, fragment, &at));
    else if ((anchor = anchor_find(&c->resources[resource], fragment)))
        at = anchor->at;
    if (json_is_absent(at))
        return complain(c, E_NOT_FOUND, document, reference, "there is nothing at \"%.*s\"", STR_ARG(text));
    *ret_anchor = anchor && anchor->is_dynamic ? anchor : NULL;
    return part_at(c, c->resources[resource].document, at, ret_part);
}
