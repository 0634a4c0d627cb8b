/*
 * gemini_schema.c - schemas of the OpenAPI kind in Gemini requests: what the service asks of them, and the same as JSON Schema.
 *
 * That the members are known ones has been checked before (gemini_messages.c). Here: an object has properties, what is required is
 * among them, an array has items, only strings are enumerated. The JSON Schema that is made of it has types in lower case, for the
 * part of the simulator that invents values.
 */
#include "codec/json.h"
#include "sim/gemini_int.h"

enum { SCHEMA_BYTES_MAX = 4 << 20 };

static err_t check_object(struct gemini_reader *rd, yyjson_val *schema, struct str path)
{
    yyjson_val *properties = proto_get(schema, STR("properties")), *name;
    size_t i, n;

    if (yyjson_obj_size(properties) == 0)
        return gemini_refuse(rd, "* GenerateContentRequest.%.*s.properties: should be non-empty for OBJECT type",
                             STR_ARG(path));
    yyjson_arr_foreach(proto_get(schema, STR("required")), i, n, name)
    {
        if (!json_get(properties, json_text(name)))
            return gemini_refuse(rd, "* GenerateContentRequest.%.*s.required[%zu]: property is not defined",
                                 STR_ARG(path), i);
    }
    return OK;
}

static err_t check_schema(struct gemini_reader *rd, yyjson_val *schema, struct str path);

static err_t check_inner(struct gemini_reader *rd, yyjson_val *schema, struct str path)
{
    yyjson_val *key, *value, *items = proto_get(schema, STR("items"));
    size_t i, n;

    yyjson_obj_foreach(proto_get(schema, STR("properties")), i, n, key, value)
    {
        TRY(check_schema(rd, value, arena_printf(rd->a, "%.*s.properties[%s]", STR_ARG(path), yyjson_get_str(key))));
    }
    yyjson_arr_foreach(proto_get(schema, STR("anyOf")), i, n, value)
    {
        TRY(check_schema(rd, value, arena_printf(rd->a, "%.*s.any_of[%zu]", STR_ARG(path), i)));
    }
    return items ? check_schema(rd, items, arena_printf(rd->a, "%.*s.items", STR_ARG(path))) : OK;
}

static err_t check_schema(struct gemini_reader *rd, yyjson_val *schema, struct str path)
{
    struct str type = proto_get_str(schema, STR("type"), STR(""));

    if (type.n == 0 && !proto_get(schema, STR("anyOf")))
        return gemini_refuse(rd, "* GenerateContentRequest.%.*s.type: must be specified", STR_ARG(path));
    if (str_eq_nocase(type, STR("object")))
        TRY(check_object(rd, schema, path));
    if (str_eq_nocase(type, STR("array")) && !proto_get(schema, STR("items")))
        return gemini_refuse(rd, "* GenerateContentRequest.%.*s.items: missing field.", STR_ARG(path));
    if (proto_get(schema, STR("enum")) && !str_eq_nocase(type, STR("string")))
        return gemini_refuse(rd, "* GenerateContentRequest.%.*s.enum: only allowed for STRING type", STR_ARG(path));
    return check_inner(rd, schema, path);
}

/* --- as JSON Schema --- */

static yyjson_mut_val *converted(struct gemini_reader *rd, yyjson_mut_doc *doc, yyjson_val *schema);

static void convert_type(struct gemini_reader *rd, yyjson_mut_doc *doc, yyjson_val *schema, yyjson_mut_val *to)
{
    struct str type = proto_get_str(schema, STR("type"), STR(""));
    char *lower = arena_alloc(rd->a, type.n + 1);

    for (size_t i = 0; i < type.n; i++)
        lower[i] = ascii_lower(type.p[i]);
    if (type.n > 0)
        json_mut_add_str(doc, to, STR("type"), str_of(lower, type.n));
}

static void convert_inner(struct gemini_reader *rd, yyjson_mut_doc *doc, yyjson_val *schema, yyjson_mut_val *to)
{
    yyjson_val *properties = proto_get(schema, STR("properties")), *items = proto_get(schema, STR("items"));
    yyjson_val *any = proto_get(schema, STR("anyOf")), *key, *value;
    size_t i, n;

    if (items)
        json_mut_add(doc, to, STR("items"), converted(rd, doc, items));
    if (properties) {
        yyjson_mut_val *made = yyjson_mut_obj(doc);
        yyjson_obj_foreach(properties, i, n, key, value)
        {
            json_mut_add(doc, made, json_text(key), converted(rd, doc, value));
        }
        json_mut_add(doc, to, STR("properties"), made);
    }
    if (any) {
        yyjson_mut_val *made = yyjson_mut_arr(doc);
        yyjson_arr_foreach(any, i, n, value)
        {
            yyjson_mut_arr_append(made, converted(rd, doc, value));
        }
        json_mut_add(doc, to, STR("anyOf"), made);
    }
}

static yyjson_mut_val *converted(struct gemini_reader *rd, yyjson_mut_doc *doc, yyjson_val *schema)
{
    static const struct str same[] = {STR_INIT("format"),    STR_INIT("enum"),          STR_INIT("required"),
                                      STR_INIT("pattern"),   STR_INIT("maxItems"),      STR_INIT("minItems"),
                                      STR_INIT("minLength"), STR_INIT("maxLength"),     STR_INIT("minimum"),
                                      STR_INIT("maximum"),   STR_INIT("minProperties"), STR_INIT("maxProperties")};
    yyjson_mut_val *to = yyjson_mut_obj(doc);

    convert_type(rd, doc, schema, to);
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        yyjson_val *v = proto_get(schema, same[i]);
        if (v)
            json_mut_add(doc, to, same[i], yyjson_val_mut_copy(doc, v));
    }
    convert_inner(rd, doc, schema, to);
    return to;
}

err_t gemini_read_schema(struct gemini_reader *rd, yyjson_val *schema, struct str path, yyjson_val **ret)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SCHEMA_BYTES_MAX);

    TRY(check_schema(rd, schema, path));
    TRY(json_write_mut(&text, rd->a, converted(rd, json_mut_new(rd->a), schema)));
    return json_parse(rd->a, buf_str(&text), NULL, 0, ret);
}
