/* gemini_schema_test.c - JSON Schema in Google's OpenAPI subset. */
#include "llm/gemini_schema.h"

#include "base/buf.h"
#include "unit/test.h"

#include "codec/json_tree.h"

/* What becomes of it: "!" and words if it is refused, with "~" in front if it is weaker. */
static struct str converted(struct arena *a, const char *schema)
{
    struct str to = STR_NONE;
    bool weaker = false;

    if (gemini_schema(str_from_c(schema), a, &to, &weaker) != OK)
        return arena_printf(a, "! %s", err_detail(E_PARSE));
    return weaker ? arena_join(a, STR("~"), to) : to;
}

#define CHECK_BECOMES(schema, want)                                                                                    \
    do {                                                                                                               \
        struct arena becomes_arena_ CLEANUP(arena_release);                                                            \
        arena_init(&becomes_arena_, 1 << 24);                                                                          \
        CHECK_STR(converted(&becomes_arena_, (schema)), (want));                                                       \
    } while (0)

#define TEXT "{\"type\":\"STRING\"}"
#define ANY "{\"anyOf\":[{\"type\":\"STRING\"},{\"type\":\"NUMBER\"},{\"type\":\"BOOLEAN\"}]}"

TEST(gemini_schema_keeps_what_google_knows_and_leaves_out_the_rest)
{
    CHECK_BECOMES("{\"$schema\":\"x\",\"$id\":\"y\",\"type\":\"object\",\"title\":\"T\",\"description\":\"D\","
                  "\"additionalProperties\":false,\"properties\":{\"b\":{\"type\":\"string\",\"minLength\":1,"
                  "\"maxLength\":9,\"pattern\":\"^a\",\"examples\":[\"a\"]},\"a\":{\"type\":\"integer\",\"minimum\":"
                  "9007199254740993,\"maximum\":1e30,\"format\":\"int64\"}},\"required\":[\"b\"],\"minProperties\":1}",
                  "{\"type\":\"OBJECT\",\"title\":\"T\",\"description\":\"D\",\"properties\":{\"b\":{\"type\":"
                  "\"STRING\",\"minLength\":1,\"maxLength\":9,\"pattern\":\"^a\"},\"a\":{\"type\":\"INTEGER\","
                  "\"format\":\"int64\",\"minimum\":9007199254740993,\"maximum\":1e30}},\"required\":[\"b\"],"
                  "\"minProperties\":1}");
}

TEST(gemini_schema_writes_references_out_where_they_stand)
{
    CHECK_BECOMES("{\"type\":\"object\",\"properties\":{\"p\":{\"$ref\":\"#/$defs/a~1b%20c\",\"description\":\"here\"},"
                  "\"q\":{\"$ref\":\"#/$defs/a~1b%20c\"}},\"$defs\":{\"a/b c\":{\"type\":\"string\",\"description\":"
                  "\"there\"}}}",
                  "{\"type\":\"OBJECT\",\"properties\":{\"p\":{\"type\":\"STRING\",\"description\":\"here\"},\"q\":"
                  "{\"type\":\"STRING\",\"description\":\"there\"}}}");
    CHECK_BECOMES(
        "{\"type\":\"object\",\"properties\":{\"p\":{\"$ref\":\"#/$defs/l/1\"}},\"$defs\":{\"l\":[{},{\"type\":"
        "\"string\"}]}}",
        "{\"type\":\"OBJECT\",\"properties\":{\"p\":" TEXT "}}");
}

TEST(gemini_schema_of_a_reference_that_leads_nowhere_takes_any_value)
{
    CHECK_BECOMES("{\"type\":\"object\",\"properties\":{\"p\":{\"$ref\":\"#/$defs/none\"}}}",
                  "~{\"type\":\"OBJECT\",\"properties\":{\"p\":" ANY "}}");
    CHECK_BECOMES("{\"type\":\"object\",\"properties\":{\"p\":{\"$ref\":\"https://else.example/a\"}}}",
                  "~{\"type\":\"OBJECT\",\"properties\":{\"p\":" ANY "}}");
}

TEST(gemini_schema_that_refers_to_itself_ends_in_any_object)
{
    CHECK_BECOMES("{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"child\":{\"$ref\":\"#\"}}}",
                  "~{\"type\":\"OBJECT\",\"properties\":{\"name\":" TEXT ",\"child\":{\"type\":\"OBJECT\"}}}");
    CHECK_BECOMES("{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"next\":{\"anyOf\":["
                  "{\"$ref\":\"#/$defs/n\"},{\"type\":\"null\"}]}}}}}",
                  "~{\"type\":\"OBJECT\",\"properties\":{\"next\":{\"type\":\"OBJECT\",\"nullable\":true}}}");
}

TEST(gemini_schema_used_twice_side_by_side_is_not_recursive)
{
    CHECK_BECOMES(
        "{\"allOf\":[{\"$ref\":\"#/$defs/a\"},{\"$ref\":\"#/$defs/a\"}],\"$defs\":{\"a\":{\"type\":\"object\","
        "\"properties\":{\"p\":{\"type\":\"string\"}}}}}",
        "{\"type\":\"OBJECT\",\"properties\":{\"p\":" TEXT "}}");
}

TEST(gemini_schema_says_null_as_nullable)
{
    CHECK_BECOMES("{\"type\":[\"string\",\"null\"]}", "{\"type\":\"STRING\",\"nullable\":true}");
    CHECK_BECOMES("{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\",\"title\":\"T\"}],\"description\":\"D\"}",
                  "{\"type\":\"STRING\",\"title\":\"T\",\"description\":\"D\",\"nullable\":true}");
    CHECK_BECOMES("{\"enum\":[\"a\",null]}", "{\"type\":\"STRING\",\"nullable\":true,\"enum\":[\"a\"]}");
    CHECK_BECOMES("{\"type\":\"STRING\",\"nullable\":true}", "{\"type\":\"STRING\",\"nullable\":true}");
}

TEST(gemini_schema_says_constants_as_enumerations_of_strings)
{
    CHECK_BECOMES("{\"const\":\"m\"}", "{\"type\":\"STRING\",\"enum\":[\"m\"]}");
    CHECK_BECOMES("{\"type\":\"string\",\"enum\":[\"a\",\"b\"]}", "{\"type\":\"STRING\",\"enum\":[\"a\",\"b\"]}");
    CHECK_BECOMES("{\"type\":\"string\",\"enum\":[\"a\",\"b\"],\"const\":\"b\"}",
                  "{\"type\":\"STRING\",\"enum\":[\"b\"]}");
    CHECK_BECOMES("{\"type\":\"integer\",\"enum\":[1,2]}", "~{\"type\":\"INTEGER\"}");
    CHECK_BECOMES("{\"const\":true}", "~{\"type\":\"BOOLEAN\"}");
}

TEST(gemini_schema_has_nothing_beside_alternatives)
{
    CHECK_BECOMES("{\"type\":[\"string\",\"integer\"],\"description\":\"D\",\"minimum\":1,\"default\":3}",
                  "{\"anyOf\":[{\"type\":\"STRING\",\"description\":\"D\"},{\"type\":\"INTEGER\",\"description\":\"D\","
                  "\"minimum\":1,\"default\":3}]}");
    CHECK_BECOMES("{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"number\",\"description\":\"N\"},{\"type\":\"null\"}],"
                  "\"description\":\"D\",\"title\":\"T\"}",
                  "{\"anyOf\":[{\"type\":\"STRING\",\"description\":\"D\",\"nullable\":true},{\"type\":\"NUMBER\","
                  "\"description\":\"N\",\"nullable\":true}]}");
}

TEST(gemini_schema_merges_allof)
{
    CHECK_BECOMES(
        "{\"type\":\"object\",\"allOf\":[{\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"]},"
        "{\"properties\":{\"a\":{\"type\":\"number\"},\"b\":{\"type\":\"boolean\"}},\"required\":[\"b\",\"c\"]}]}",
        "{\"type\":\"OBJECT\",\"properties\":{\"a\":" TEXT ",\"b\":{\"type\":\"BOOLEAN\"}},\"required\":[\"a\","
        "\"b\"]}");
}

TEST(gemini_schema_has_no_empty_properties_and_always_items)
{
    CHECK_BECOMES("{\"type\":\"object\",\"properties\":{},\"required\":[]}", "{\"type\":\"OBJECT\"}");
    CHECK_BECOMES("{\"type\":\"array\",\"maxItems\":3}", "{\"type\":\"ARRAY\",\"items\":" ANY ",\"maxItems\":3}");
    CHECK_BECOMES("{\"items\":{\"type\":\"string\"}}", "{\"type\":\"ARRAY\",\"items\":" TEXT "}");
    CHECK_BECOMES("{\"type\":\"array\",\"items\":[{\"type\":\"string\"}]}", "~{\"type\":\"ARRAY\",\"items\":" ANY "}");
    CHECK_BECOMES("{}", ANY);
}

TEST(gemini_schema_keeps_only_formats_that_google_knows)
{
    CHECK_BECOMES("{\"type\":\"string\",\"format\":\"email\"}", TEXT);
    CHECK_BECOMES("{\"type\":\"string\",\"format\":\"date-time\"}", "{\"type\":\"STRING\",\"format\":\"date-time\"}");
    CHECK_BECOMES("{\"type\":\"number\",\"format\":\"double\"}", "{\"type\":\"NUMBER\",\"format\":\"double\"}");
    CHECK_BECOMES("{\"type\":\"number\",\"format\":\"decimal\"}", "{\"type\":\"NUMBER\"}");
}

TEST(gemini_schema_tells_what_it_cannot_demand)
{
    CHECK_BECOMES("{\"type\":\"string\",\"not\":{\"const\":\"a\"}}", "~" TEXT);
    CHECK_BECOMES("{\"type\":\"number\",\"multipleOf\":2}", "~{\"type\":\"NUMBER\"}");
    CHECK_BECOMES("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},\"anyOf\":[{\"required\":[\"a\"]},"
                  "{\"required\":[]}]}",
                  "~{\"type\":\"OBJECT\",\"properties\":{\"a\":" TEXT "}}");
}

TEST(gemini_schema_that_explodes_is_refused)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct str to;
    bool weaker;

    arena_init(&a, 1 << 28);
    buf_addf(&b, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < 24; i++)
        buf_addf(&b,
                 "\"d%d\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/d%d\"},\"b\":{\"$ref\":"
                 "\"#/$defs/d%d\"}}},",
                 i, i + 1, i + 1);
    buf_addf(&b, "\"d24\":{\"type\":\"string\"}}}");
    CHECK_EQ(gemini_schema(buf_str(&b), &a, &to, &weaker), E_TOO_LARGE);
    CHECK_EQ(gemini_schema(STR("[]"), &a, &to, &weaker), E_PARSE);
    CHECK_EQ(gemini_schema(STR("{"), &a, &to, &weaker), E_PARSE);
}

TEST(gemini_schema_deeper_than_can_be_written_ends_in_any_object)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);
    const struct json_tree *tree;
    struct str to;
    bool weaker = false;

    arena_init(&a, 1 << 24);
    for (int i = 0; i < 60; i++)
        buf_add_lit(&b, "{\"type\":\"array\",\"items\":");
    buf_add_lit(&b, "{}");
    for (int i = 0; i < 60; i++)
        buf_add_char(&b, '}');
    CHECK_OK(gemini_schema(buf_str(&b), &a, &to, &weaker));
    CHECK(weaker);
    CHECK_OK(json_tree_parse(&a, to, &tree));
}
