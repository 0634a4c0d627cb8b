/* sim_conform_test.c - values made from JSON Schemas are valid against them, and texts made from patterns match them. */
#include "base/prng.h"
#include "codec/json.h"
#include "sim/conform.h"
#include "sim/pattern.h"
#include "unit/test.h"

#include <math.h>
#include <regex.h>

static struct arena a;

/* --- a validator of its own, small and slow, to judge by --- */

static bool valid(yyjson_val *root, yyjson_val *schema, yyjson_val *v, unsigned depth);

static bool has_type(yyjson_val *v, struct str type)
{
    if (str_eq(type, STR("integer")))
        return yyjson_is_int(v) || (yyjson_is_num(v) && yyjson_get_num(v) == floor(yyjson_get_num(v)));
    return str_eq(type, STR("object"))    ? yyjson_is_obj(v)
           : str_eq(type, STR("array"))   ? yyjson_is_arr(v)
           : str_eq(type, STR("string"))  ? yyjson_is_str(v)
           : str_eq(type, STR("number"))  ? yyjson_is_num(v)
           : str_eq(type, STR("boolean")) ? yyjson_is_bool(v)
                                          : yyjson_is_null(v);
}

static bool valid_type(yyjson_val *schema, yyjson_val *v)
{
    yyjson_val *type = json_get(schema, STR("type")), *item;
    size_t i, n;

    if (!type)
        return true;
    if (yyjson_is_str(type))
        return has_type(v, json_text(type));
    yyjson_arr_foreach(type, i, n, item)
    {
        if (has_type(v, json_text(item)))
            return true;
    }
    return false;
}

static bool valid_number(yyjson_val *schema, yyjson_val *v)
{
    double x = yyjson_get_num(v), step = json_get_double(schema, STR("multipleOf"), 0);

    if (!yyjson_is_num(v))
        return true;
    if (x < json_get_double(schema, STR("minimum"), -INFINITY) || x > json_get_double(schema, STR("maximum"), INFINITY))
        return false;
    if (x <= json_get_double(schema, STR("exclusiveMinimum"), -INFINITY) ||
        x >= json_get_double(schema, STR("exclusiveMaximum"), INFINITY))
        return false;
    return step == 0 || fabs(x / step - nearbyint(x / step)) < 1e-9;
}

static size_t characters(struct str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.n; i++)
        count += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return count;
}

static bool matches(const char *regex, const char *text)
{
    regex_t r;

    if (regcomp(&r, regex, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool found = regexec(&r, text, 0, NULL, 0) == 0;
    regfree(&r);
    return found;
}

static bool valid_string(yyjson_val *schema, yyjson_val *v)
{
    struct str pattern = json_get_str(schema, STR("pattern"), STR_NONE);
    size_t n = characters(json_text(v));

    if (!yyjson_is_str(v))
        return true;
    if (n < (size_t)json_get_i64(schema, STR("minLength"), 0) ||
        n > (size_t)json_get_i64(schema, STR("maxLength"), 1 << 30))
        return false;
    return !pattern.p || matches(pattern.p, yyjson_get_str(v));
}

static bool valid_array(yyjson_val *root, yyjson_val *schema, yyjson_val *v, unsigned depth)
{
    yyjson_val *tuple = json_get(schema, STR("prefixItems")), *items = json_get(schema, STR("items")), *item, *other;
    size_t i, n, k, m;

    if (!yyjson_is_arr(v))
        return true;
    if (yyjson_arr_size(v) < (size_t)json_get_i64(schema, STR("minItems"), 0) ||
        yyjson_arr_size(v) > (size_t)json_get_i64(schema, STR("maxItems"), 1 << 30))
        return false;
    yyjson_arr_foreach(v, i, n, item)
    {
        yyjson_val *rule = i < yyjson_arr_size(tuple) ? yyjson_arr_get(tuple, i) : items;
        if (!valid(root, rule, item, depth))
            return false;
        if (json_get_bool(schema, STR("uniqueItems"), false))
            yyjson_arr_foreach(v, k, m, other)
            {
                if (k != i && yyjson_equals(item, other))
                    return false;
            }
    }
    return true;
}

static bool valid_object(yyjson_val *root, yyjson_val *schema, yyjson_val *v, unsigned depth)
{
    yyjson_val *properties = json_get(schema, STR("properties")), *rest = json_get(schema, STR("additionalProperties"));
    yyjson_val *key, *value, *name;
    size_t i, n;

    if (!yyjson_is_obj(v))
        return true;
    yyjson_arr_foreach(json_get(schema, STR("required")), i, n, name)
    {
        if (!json_get(v, json_text(name)))
            return false;
    }
    if (yyjson_obj_size(v) < (size_t)json_get_i64(schema, STR("minProperties"), 0))
        return false;
    yyjson_obj_foreach(v, i, n, key, value)
    {
        yyjson_val *rule = json_get(properties, json_text(key));
        if (!valid(root, rule ? rule : rest, value, depth))
            return false;
    }
    return true;
}

static bool valid_choice(yyjson_val *root, yyjson_val *schema, yyjson_val *v, unsigned depth)
{
    yyjson_val *all = json_get(schema, STR("allOf")), *any = json_get(schema, STR("anyOf")),
               *one = json_get(schema, STR("oneOf"));
    yyjson_val *choices = json_get(schema, STR("enum")), *constant = json_get(schema, STR("const")), *item;
    size_t i, n, in_any = 0, in_one = 0, in_enum = 0;

    yyjson_arr_foreach(all, i, n, item)
    {
        if (!valid(root, item, v, depth))
            return false;
    }
    yyjson_arr_foreach(any, i, n, item)
    {
        in_any += valid(root, item, v, depth);
    }
    yyjson_arr_foreach(one, i, n, item)
    {
        in_one += valid(root, item, v, depth);
    }
    yyjson_arr_foreach(choices, i, n, item)
    {
        in_enum += yyjson_equals(item, v);
    }
    return (!any || in_any > 0) && (!one || in_one == 1) && (!choices || in_enum > 0) &&
           (!constant || yyjson_equals(constant, v));
}

static bool valid(yyjson_val *root, yyjson_val *schema, yyjson_val *v, unsigned depth)
{
    if (depth > 60 || yyjson_is_false(schema))
        return false;
    if (!schema || yyjson_is_true(schema))
        return true;
    struct str ref = json_get_str(schema, STR("$ref"), STR_NONE);
    if (ref.p && !valid(root, ref.n == 1 ? root : yyjson_ptr_getn(root, ref.p + 1, ref.n - 1), v, depth + 1))
        return false;
    return valid_type(schema, v) && valid_number(schema, v) && valid_string(schema, v) &&
           valid_array(root, schema, v, depth + 1) && valid_object(root, schema, v, depth + 1) &&
           valid_choice(root, schema, v, depth + 1);
}

/* Make a value for the schema with many seeds and judge each. */
static void check_schema(const char *text)
{
    yyjson_val *schema, *v;

    arena_init(&a, SIZE_MAX);
    CHECK_OK(json_parse(&a, str_from_c(text), NULL, 0, &schema));
    for (uint64_t i = 0; i < 20; i++) {
        struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 20);
        CHECK_OK(conform_write(&a, schema, test_seed() + i, STR("What is the tide in Brest?"), &json));
        test_context("%s made %.*s", text, STR_ARG(buf_str(&json)));
        CHECK_OK(json_parse(&a, buf_str(&json), NULL, 0, &v));
        CHECK(valid(schema, schema, v, 0));
    }
    test_context("%s", "");
    arena_release(&a);
}

static struct str make(const char *text, const char *hint)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 20);
    yyjson_val *schema;

    if (json_parse(&a, str_from_c(text), NULL, 0, &schema) != OK ||
        conform_write(&a, schema, 1, str_from_c(hint), &json) != OK)
        return STR("failed");
    return arena_str(&a, buf_str(&json));
}

TEST(sim_values_are_valid_against_their_schemas)
{
    static const char *const schemas[] = {
        "{}",
        "{\"type\":\"object\"}",
        "{\"type\":\"null\"}",
        "{\"type\":\"boolean\"}",
        "{\"type\":\"integer\",\"minimum\":-3,\"maximum\":-3}",
        "{\"type\":\"integer\",\"exclusiveMinimum\":4,\"exclusiveMaximum\":6}",
        "{\"type\":\"integer\",\"minimum\":1.5,\"multipleOf\":7}",
        "{\"type\":\"integer\",\"maximum\":-1000}",
        "{\"type\":\"number\",\"minimum\":0.25,\"maximum\":0.75}",
        "{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1e-9}",
        "{\"type\":\"number\",\"multipleOf\":0.1,\"minimum\":3.05,\"maximum\":3.15}",
        "{\"type\":\"string\",\"minLength\":30}",
        "{\"type\":\"string\",\"maxLength\":2}",
        "{\"type\":\"string\",\"maxLength\":0}",
        "{\"type\":\"string\",\"pattern\":\"^[A-Z]{2}[0-9]{3,5}$\"}",
        "{\"type\":\"string\",\"pattern\":\"^(red|green)-[a-z]+$\",\"minLength\":12}",
        "{\"enum\":[\"a\",1,null,{\"b\":[2]}]}",
        "{\"const\":{\"x\":[1,\"y\"]}}",
        "{\"type\":[\"null\",\"string\"]}",
        "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":3,\"maxItems\":3,\"uniqueItems\":true}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":5,\"uniqueItems\":true}",
        "{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",\"c\"]},\"minItems\":3,\"uniqueItems\":true}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"format\":\"email\"},\"minItems\":9,\"uniqueItems\":true}",
        "{\"type\":\"array\",\"maxItems\":0}",
        "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"integer\"}],\"items\":false}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"integer\"}},\"required\":["
        "\"b\"],"
        "\"additionalProperties\":false}",
        "{\"type\":\"object\",\"required\":[\"x\",\"y\"],\"additionalProperties\":{\"type\":\"integer\"}}",
        "{\"type\":\"object\",\"minProperties\":3,\"additionalProperties\":{\"type\":\"boolean\"}}",
        "{\"type\":\"object\",\"minProperties\":2,\"required\":[\"a\"],\"properties\":{\"a\":{},\"b\":{},\"c\":{}},"
        "\"additionalProperties\":false}",
        "{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"integer\",\"minimum\":5}],\"maximum\":6}",
        "{\"oneOf\":[{\"type\":\"string\",\"minLength\":3},{\"type\":\"integer\"}]}",
        "{\"allOf\":[{\"type\":\"integer\",\"minimum\":3},{\"minimum\":8,\"maximum\":20},{\"maximum\":9}]}",
        "{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]},{\"properties\":{\"b\":{"
        "\"const\":1}},"
        "\"required\":[\"b\"]}]}",
        "{\"$defs\":{\"p\":{\"type\":\"object\",\"properties\":{\"x/y\":{\"type\":\"integer\"}},\"required\":[\"x/"
        "y\"]}},"
        "\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/p\"},\"minItems\":2}",
        /* a list that ends, and a tree whose children must be there */
        "{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"anyOf\":[{\"$ref\":\"#\"},{"
        "\"type\":\"null\"}]}},"
        "\"required\":[\"v\",\"next\"],\"additionalProperties\":false}",
        "{\"type\":\"object\",\"properties\":{\"children\":{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}},"
        "\"required\":[\"children\"]}",
        "{\"type\":\"object\",\"properties\":{\"self\":{\"$ref\":\"#\"}}}",
        "{\"properties\":{\"a\":{\"type\":\"string\"}}}",
        "{\"minimum\":3,\"maximum\":4}",
    };

    for (size_t i = 0; i < ARRAY_LEN(schemas) && !test_failed(); i++)
        check_schema(schemas[i]);
}

TEST(sim_schemas_that_ask_for_too_much_are_refused)
{
    static const char *const schemas[] = {
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
        ("{\"type\":\"array\",\"minItems\":200,\"items\":{\"type\":\"array\",\"minItems\":200,\"items\":{\"type\":"
         "\"array\",\"minItems\":200}}}"),
        "{\"type\":\"array\",\"minItems\":1000000000}",
    };

    arena_init(&a, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
        struct buf json CLEANUP(buf_release) = BUF_INIT(64 << 10);
        yyjson_val *schema;
        CHECK_OK(json_parse(&a, str_from_c(schemas[i]), NULL, 0, &schema));
        CHECK_ERR(conform_write(&a, schema, 1, STR(""), &json), E_TOO_LARGE);
    }
    arena_release(&a);
}

TEST(sim_a_reference_that_leads_nowhere_or_round_is_survived)
{
    arena_init(&a, SIZE_MAX);
    CHECK_STR(make("{\"$ref\":\"#/nowhere\"}", ""), "\"simulated\"");
    CHECK_STR(make("{\"$ref\":\"https://example.com/s\"}", ""), "\"simulated\"");
    CHECK_STR(make("{\"$ref\":\"#\"}", ""), "\"simulated\"");
    CHECK_STR(make("{\"allOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}],\"type\":\"boolean\",\"const\":true}", ""), "true");
    arena_release(&a);
}

TEST(sim_texts_are_about_the_question)
{
    arena_init(&a, SIZE_MAX);
    CHECK_STR(make("{\"type\":\"string\"}", "What is the tide in Brest?"), "\"Brest\"");
    CHECK_STR(make("{\"type\":\"string\"}", "Tell me. Please say the tide"), "\"tide\"");
    CHECK_STR(make("{\"properties\":{\"port\":{\"type\":\"string\"}}}", "?"), "{\"port\":\"port\"}");
    CHECK_STR(make("{\"type\":\"string\",\"maxLength\":3}", "in Brest"), "\"Bre\"");
    arena_release(&a);
}

TEST(sim_patterns_are_sampled)
{
    static const char *const patterns[] = {
        "^[A-Z]{3}$",
        "^[0-9]{4}-[0-9]{2}$",
        "^(a|b)+c?$",
        "^[^a-z]{2}$",
        "^(foo|bar)(-[0-9]+)*$",
        "^\\.\\*\\+$",
        "^[a-c.-]{5}$",
        "^(((x)))$",
        "abc",
        "^[a-z]+@[a-z]+\\.com$",
        "^.{3}$",
        "^$",
        "^#?([a-f0-9]{6}|[a-f0-9]{3})$",
    };
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
        for (size_t stretch = 1; stretch < 6; stretch++) {
            struct buf text CLEANUP(buf_release) = BUF_INIT(1000);
            CHECK_MSG(pattern_sample(str_from_c(patterns[i]), stretch, &prng, &text), "%s", patterns[i]);
            CHECK_OK(buf_add_char(&text, '\0'));
            CHECK_MSG(matches(patterns[i], text.p), "%s does not match %s", text.p, patterns[i]);
        }
}

TEST(sim_classes_and_codes_of_patterns_are_understood)
{
    struct prng prng;
    struct buf text CLEANUP(buf_release) = BUF_INIT(1000);

    prng_seed(&prng, test_seed());
    CHECK(pattern_sample(STR("^\\d{2}\\w\\s(?:x)(?<name>y)\\x41\\u0042\\/[\\d]$"), 1, &prng, &text));
    CHECK_OK(buf_add_char(&text, '\0'));
    CHECK_MSG(matches("^[0-9]{2}[0-9A-Za-z_] xyAB/[0-9]$", text.p), "%s", text.p);
}

TEST(sim_patterns_beyond_the_common_part_are_left_alone)
{
    static const char *const patterns[] = {
        "(?=a)b",
        "(?!a)b",
        "(?<=a)b",
        "(?<!a)b",
        "(a)\\1",
        "\\bword",
        "\\p{L}",
        "[a-",
        "(a",
        "a)",
        "*a",
        "a{2,1}",
        "a{x}",
        "[]",
        "a{99999999}",
        "((((((((((((((((((((((((a))))))))))))))))))))))))",
        "((){1000000}){1000000}",
        "(((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9})",
    };
    struct prng prng;

    prng_seed(&prng, 1);
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(1000);
        CHECK_OK(buf_add_lit(&text, "kept"));
        CHECK_MSG(!pattern_sample(str_from_c(patterns[i]), 1, &prng, &text), "%s", patterns[i]);
        CHECK_STR(buf_str(&text), "kept");
    }
}
