/*
 * schema_fit.c - the few changes that providers want in schemas.
 *
 * Schemas are copied member by member, in their order and as written, since providers cache on their text. Recursion is as deep as the document,
 * which JSON_DEPTH_MAX bounds.
 */
#include "llm/schema_fit.h"

#include "base/buf.h"
#include "codec/json_out.h"
#include "codec/json_tree.h"

enum { GROWTH = 32 }; /* bytes that each value may grow by: ,"additionalProperties":false */

static bool is_one_of(struct json_walk *w, const struct str *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (json_walk_key_is(w, keys[i]))
            return true;
    return false;
}

static void put_key(struct json_out *o, const struct json_walk *w)
{
    struct str key = json_node_raw(w->key);

    json_key_raw(o, str_slice(key, 1, key.n - 1));
}

static void copy_member(struct json_out *o, const struct json_walk *w)
{
    put_key(o, w);
    json_put_raw(o, json_node_raw(w->value));
}

struct str schema_of_object(struct str schema, struct arena *arena, bool *ret_weaker)
{
    static const struct str names[] = {STR_INIT("$schema"), STR_INIT("$id")};
    static const struct str unions[] = {STR_INIT("oneOf"), STR_INIT("anyOf"), STR_INIT("allOf")};
    const struct json_tree *tree;
    bool same = true, typed = false;

    *ret_weaker = false;
    if (!schema.n || json_tree_parse(arena, schema, &tree) != OK || !json_node_is(json_tree_root(tree), JSON_OBJECT))
        return STR("{\"type\":\"object\",\"properties\":{}}");
    JSON_EACH(w, json_tree_root(tree)) {
        if (is_one_of(&w, unions, ARRAY_LEN(unions)))
            *ret_weaker = true;
        else if (json_walk_key_is(&w, STR("type")) && json_node_text_is(w.value, STR("object")))
            typed = true;
        else if (json_walk_key_is(&w, STR("type")) || is_one_of(&w, names, ARRAY_LEN(names)))
            same = false;
    }
    if (same && typed && !*ret_weaker)
        return schema;
    struct buf to CLEANUP(buf_release) = BUF_INIT(schema.n + 2 * GROWTH);
    struct json_out o = json_out_to(&to);
    json_open(&o, '{');
    json_member_str(&o, STR("type"), STR("object"));
    JSON_EACH(w, json_tree_root(tree))
        if (!json_walk_key_is(&w, STR("type")) && !is_one_of(&w, unions, ARRAY_LEN(unions)) &&
            !is_one_of(&w, names, ARRAY_LEN(names)))
            copy_member(&o, &w);
    json_close(&o, '}');
    return arena_str(arena, buf_str(&to));
}

static bool is_schema_of_object(struct json_node v)
{
    return json_node_text_is(json_node_get(v, STR("type")), STR("object")) ||
           json_node_is(json_node_get(v, STR("properties")), JSON_OBJECT);
}

static void put_closed(struct json_out *o, struct json_node v, bool is_schema);

static void put_closed_object(struct json_out *o, struct json_node v, bool is_schema)
{
    static const struct str maps[] = {STR_INIT("properties"), STR_INIT("$defs"), STR_INIT("definitions")};
    static const struct str values[] = {STR_INIT("enum"), STR_INIT("const"), STR_INIT("default"), STR_INIT("examples")};
    bool open = is_schema && is_schema_of_object(v) && json_is_absent(json_node_get(v, STR("additionalProperties")));

    json_open(o, '{');
    JSON_EACH(w, v) {
        if (is_schema && is_one_of(&w, values, ARRAY_LEN(values))) {
            copy_member(o, &w);
            continue;
        }
        put_key(o, &w);
        put_closed(o, w.value, !(is_schema && is_one_of(&w, maps, ARRAY_LEN(maps))));
    }
    if (open)
        json_member_bool(o, STR("additionalProperties"), false);
    json_close(o, '}');
}

/* `is_schema`: an object here is a schema, not a map of names to schemas. */
static void put_closed(struct json_out *o, struct json_node v, bool is_schema)
{
    if (json_node_is(v, JSON_OBJECT)) {
        put_closed_object(o, v, is_schema);
        return;
    }
    if (!json_node_is(v, JSON_ARRAY)) {
        json_put_raw(o, json_node_raw(v));
        return;
    }
    json_open(o, '[');
    JSON_EACH(w, v)
        put_closed(o, w.value, is_schema);
    json_close(o, ']');
}

struct str schema_closed(struct str schema, struct arena *arena)
{
    const struct json_tree *tree;

    if (json_tree_parse(arena, schema, &tree) != OK)
        return schema;
    struct buf to CLEANUP(buf_release) = BUF_INIT(schema.n + (size_t)tree->count * GROWTH);
    struct json_out o = json_out_to(&to);
    put_closed(&o, json_tree_root(tree), true);
    return arena_str(arena, buf_str(&to));
}
