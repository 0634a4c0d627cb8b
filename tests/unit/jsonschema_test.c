/*
 * jsonschema_test.c - what the official suite does not ask: what is said of problems, limits, references that go wrong, numbers beyond
 * doubles, patterns, outlines, versions. See jsonschema_suite_test.c for the suite.
 */
#include "jsonschema/jsonschema.h"

#include "base/buf.h"
#include "base/prng.h"
#include "codec/regex_bits.h"
#include "codec/unicode.h"
#include "expr/schema_type.h"
#include "jsonschema/compat.h"
#include "jsonschema/uri.h"
#include "test.h"

#include <stdio.h>

struct world {
    struct arena arena;
    struct jsonschema_problem problem; /* of the schema */
    struct jsonschema_problem problems[8];
    struct jsonschema_report report;
    bool valid;
};

static void world_begin(struct world *w)
{
    *w = (struct world){0};
    arena_init(&w->arena, 1 << 28);
    w->report = (struct jsonschema_report){.problems = w->problems, .max = ARRAY_LEN(w->problems)};
}

static void world_release(struct world *w)
{
    arena_release(&w->arena);
}

static err_t compile_with(struct world *w, struct str text, const struct jsonschema_options *options,
                          const struct jsonschema **ret)
{
    const struct json_tree *tree;

    *ret = NULL;
    TRY(json_tree_parse(&w->arena, text, &tree));
    return jsonschema_compile(&w->arena, tree, options, ret, &w->problem);
}

static const struct jsonschema *schema_of(struct world *w, const char *text)
{
    const struct jsonschema *schema;

    if (compile_with(w, str_from_c(text), &(struct jsonschema_options){0}, &schema) != OK)
        test_fail_(__FILE__, __LINE__, "%s: %s", text, err_detail(E_PARSE));
    return schema;
}

static err_t validate_text(struct world *w, const struct jsonschema *schema, struct str document)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(&w->arena, document, &tree));
    return jsonschema_validate(schema, json_tree_root(tree), &w->arena, &w->report, &w->valid);
}

/* The problems of a document, one a line: "/pointer|/keyword|text". */
static void check_problems(const char *schema, const char *document, const char *wanted)
{
    struct world w CLEANUP(world_release);
    struct buf said CLEANUP(buf_release) = BUF_INIT(1 << 16);

    world_begin(&w);
    const struct jsonschema *s = schema_of(&w, schema);
    CHECK(s);
    CHECK_OK(validate_text(&w, s, str_from_c(document)));
    for (size_t i = 0; i < w.report.count; i++)
        (void)buf_addf(&said, "%.*s|%.*s|%.*s\n", STR_ARG(w.problems[i].instance), STR_ARG(w.problems[i].keyword),
                       STR_ARG(w.problems[i].text));
    CHECK_STR(buf_str(&said), wanted);
    CHECK_EQ(w.valid, w.report.count == 0);
}

TEST(jsonschema_says_what_is_wrong_where_and_what_must_be)
{
    check_problems(
        "{\"properties\":{\"items\":{\"items\":{\"properties\":{\"price\":{\"type\":\"number\"}}}}}}",
        "{\"items\":[{},{\"price\":\"1\"}]}",
        "/items/1/price|/properties/items/items/properties/price/type|must be of type \"number\", is a string\n");
    check_problems("{\"type\":[\"integer\",\"null\"]}", "1.5",
                   "|/type|must be of type [\"integer\",\"null\"], is a number with a fraction\n");
    check_problems("{\"required\":[\"a\",\"b\"],\"additionalProperties\":false,\"properties\":{\"c\":{}}}", "{\"d\":1}",
                   "/d|/additionalProperties|must not be here: there is no member \"d\"\n"
                   "|/required|must have a member \"a\"\n|/required|must have a member \"b\"\n");
    check_problems("{\"minimum\":3,\"multipleOf\":2}", "1",
                   "|/minimum|must be at least 3, is 1\n|/multipleOf|must be a multiple of 2, is 1\n");
    check_problems("{\"exclusiveMaximum\":3}", "3.0", "|/exclusiveMaximum|must be less than 3, is 3.0\n");
    check_problems("{\"minLength\":2,\"pattern\":\"^b\"}", "\"a\"",
                   "|/minLength|must have at least 2 characters, has 1\n|/pattern|must match ^b\n");
    check_problems("{\"maxLength\":1}", "\"\\u00e4\\u00f6\"", "|/maxLength|must have at most 1 characters, has 2\n");
    check_problems("{\"uniqueItems\":true,\"maxItems\":2}", "[1,2,1.0]",
                   "|/maxItems|must have at most 2 elements, has 3\n"
                   "|/uniqueItems|must not have equal elements: those at 0 and 2 are\n");
    check_problems("{\"contains\":{\"const\":1},\"minContains\":2}", "[1]",
                   "|/minContains|must hold at least 2 elements that fit \"contains\", holds 1\n");
    check_problems("{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}",
                   "|/dependentRequired|must have a member \"b\", because it has \"a\"\n");
    check_problems("{\"not\":{\"type\":\"null\"},\"enum\":[1,2]}", "null",
                   "|/enum|must be one of [1,2]\n|/not|must not fit the schema in \"not\"\n");
    check_problems("{\"const\":{\"a\":1}}", "{\"a\":2}", "|/const|must be {\"a\":1}\n");
    check_problems("{\"properties\":{\"a/b\":false}}", "{\"a/b\":1}",
                   "/a~1b|/properties/a~1b|must not be here: the schema is false\n");
    check_problems("{\"propertyNames\":{\"maxLength\":1}}", "{\"ab\":1}",
                   "/ab|/propertyNames/maxLength|must have at most 1 characters, has 2\n");
    check_problems("{\"unevaluatedProperties\":false,\"allOf\":[{\"properties\":{\"a\":{}}}]}", "{\"a\":1,\"b\":2}",
                   "/b|/unevaluatedProperties|must not be here: there is no member \"b\"\n");
}

TEST(jsonschema_says_which_alternative_came_closest)
{
    check_problems(
        "{\"anyOf\":[{\"type\":\"string\"},{\"properties\":{\"a\":{\"type\":\"null\"}}}]}", "{\"a\":1}",
        "|/anyOf|must fit one of 2 alternatives; in the closest, 1, \"/a\" must be of type \"null\", is a number\n");
    check_problems("{\"oneOf\":[{\"minimum\":1},{\"maximum\":5},false]}", "3",
                   "|/oneOf|must fit exactly one of 3 alternatives, fits 0 and 1\n");
    check_problems(
        "{\"oneOf\":[{\"type\":\"string\"},{\"maximum\":5}]}", "7",
        "|/oneOf|must fit one of 2 alternatives; in the closest, 0, \"\" must be of type \"string\", is a number\n");
}

TEST(jsonschema_tells_no_more_problems_than_there_is_room_for)
{
    struct world w CLEANUP(world_release);

    world_begin(&w);
    const struct jsonschema *s = schema_of(&w, "{\"items\":{\"type\":\"null\"}}");
    CHECK(s);
    w.report.max = 3;
    CHECK_OK(validate_text(&w, s, STR("[1,2,3]")));
    CHECK_EQ(w.report.count, 3);
    CHECK(!w.report.more);
    CHECK_OK(validate_text(&w, s, STR("[1,2,3,4]")));
    CHECK_EQ(w.report.count, 3);
    CHECK(w.report.more && !w.valid);
    w.report.max = 0;
    CHECK_OK(validate_text(&w, s, STR("[1]")));
    CHECK(!w.valid);
}

static void check_verdict(const char *schema, const char *document, bool wanted)
{
    struct world w CLEANUP(world_release);

    world_begin(&w);
    test_context("%s of %s", document, schema);
    const struct jsonschema *s = schema_of(&w, schema);
    CHECK(s);
    CHECK_OK(validate_text(&w, s, str_from_c(document)));
    CHECK_EQ(w.valid, wanted);
    test_context("%s", "");
}

TEST(jsonschema_takes_numbers_as_they_are_written)
{
    check_verdict("{\"multipleOf\":0.1}", "0.3", true);
    check_verdict("{\"multipleOf\":0.1}", "0.35", false);
    check_verdict("{\"multipleOf\":0.01}", "1e300", true);
    check_verdict("{\"multipleOf\":3}", "1e300", false);
    check_verdict("{\"multipleOf\":7}", "700000000000000000000000000000000007", true);
    check_verdict("{\"multipleOf\":7}", "700000000000000000000000000000000008", false);
    check_verdict("{\"multipleOf\":25e-1}", "-7.50", true);
    check_verdict("{\"multipleOf\":5}", "0e5", true);
    check_verdict("{\"maximum\":9007199254740992}", "9007199254740993", false);
    check_verdict("{\"maximum\":9007199254740992.0}", "9007199254740992.00000000001", false);
    check_verdict("{\"minimum\":-1e400}", "-1e401", false);
    check_verdict("{\"minimum\":-1e400}", "-9e399", true);
    check_verdict("{\"minimum\":0}", "-0.0", true);
    check_verdict("{\"exclusiveMinimum\":0}", "-0", false);
    check_verdict("{\"exclusiveMinimum\":0}", "1e-999999999999", true);
    check_verdict("{\"type\":\"integer\"}", "1e3", true);
    check_verdict("{\"type\":\"integer\"}", "1.50e1", true);
    check_verdict("{\"type\":\"integer\"}", "1e-1", false);
    check_verdict("{\"type\":\"integer\"}", "12345678901234567890123", true);
    check_verdict("{\"const\":100}", "1.00e2", true);
    check_verdict("{\"const\":0}", "-0.0", true);
    check_verdict("{\"const\":12345678901234567890}", "12345678901234567891", false);
}

TEST(jsonschema_compares_values_without_order_and_with_escapes)
{
    check_verdict("{\"const\":{\"a\":1,\"b\":[2]}}", "{\"b\":[2.0],\"a\":1}", true);
    check_verdict("{\"const\":{\"a\":1,\"b\":2}}", "{\"a\":1,\"c\":2}", false);
    check_verdict("{\"const\":{\"a\":1}}", "{\"a\":1,\"b\":2}", false);
    check_verdict("{\"const\":\"\\u00e4\"}", "\"\xc3\xa4\"", true);
    check_verdict("{\"properties\":{\"a\\u0062\":{\"type\":\"null\"}}}", "{\"ab\":1}", false);
    check_verdict("{\"properties\":{\"ab\":{\"type\":\"null\"}}}", "{\"\\u0061b\":1}", false);
    check_verdict("{\"const\":false}", "0", false);
    check_verdict("{\"uniqueItems\":true}", "[[{\"a\":1,\"b\":2}],[{\"b\":2,\"a\":1}]]", false);
    /* more than are compared each with each */
    check_verdict("{\"uniqueItems\":true}", "[1,2,3,4,5,6,7,8,9,10,11,\"1\",[1],{\"a\":1},{\"a\":\"1\"}]", true);
    check_verdict("{\"uniqueItems\":true}", "[1,2,3,4,5,6,7,8,9,10,11,{\"x\":1,\"y\":[]},{\"y\":[],\"x\":1.0}]", false);
}

TEST(jsonschema_finds_names_of_every_length)
{
    struct world w CLEANUP(world_release);
    struct buf schema CLEANUP(buf_release) = BUF_INIT(1 << 20);
    char name[40];

    world_begin(&w);
    (void)buf_add_lit(&schema, "{\"properties\":{\"\":{\"const\":0}");
    for (int n = 1; n <= 30; n++) {
        /* neighbours that share both ends: only what is between tells them apart */
        (void)snprintf(name, sizeof name, "abcdefghijklmnopqrstuvwxyz0123456789");
        name[n] = '\0';
        (void)buf_addf(&schema, ",\"%s\":{\"const\":%d}", name, n);
        if (n > 17) {
            name[n / 2] = '-';
            (void)buf_addf(&schema, ",\"%s\":{\"const\":%d}", name, 100 + n);
        }
    }
    (void)buf_add_lit(&schema, "},\"additionalProperties\":false}");
    const struct jsonschema *s = schema_of(&w, arena_str(&w.arena, buf_str(&schema)).p);
    CHECK(s);
    for (int n = 0; n <= 31 && !test_failed(); n++) {
        struct str document = arena_printf(&w.arena, "{\"%.*s\":%d}", n, "abcdefghijklmnopqrstuvwxyz0123456789", n);
        CHECK_OK(validate_text(&w, s, document));
        CHECK_MSG(w.valid == (n < 31), "a name of %d bytes", n);
        document = arena_printf(&w.arena, "{\"%.*s\":%d}", n, "abcdefghijklmnopqrstuvwxyz0123456789", n + 1);
        CHECK_OK(validate_text(&w, s, document));
        CHECK_MSG(!w.valid, "a name of %d bytes with another value", n);
    }
}

TEST(jsonschema_counts_required_members_beyond_a_word)
{
    struct world w CLEANUP(world_release);
    struct buf schema CLEANUP(buf_release) = BUF_INIT(1 << 20), all CLEANUP(buf_release) = BUF_INIT(1 << 20);

    world_begin(&w);
    (void)buf_add_lit(&schema, "{\"required\":[\"m0\"");
    for (int i = 1; i < 300; i++)
        (void)buf_addf(&schema, ",\"m%d\"", i);
    (void)buf_add_lit(&schema, "]}");
    const struct jsonschema *s = schema_of(&w, arena_str(&w.arena, buf_str(&schema)).p);
    CHECK(s);
    for (int without = 0; without <= 300 && !test_failed(); without += 50) {
        buf_clear(&all);
        (void)buf_add_lit(&all, "{\"x\":0");
        for (int i = 0; i < 300; i++)
            if (i != without)
                (void)buf_addf(&all, ",\"m%d\":%d", i, i);
        (void)buf_add_char(&all, '}');
        CHECK_OK(validate_text(&w, s, buf_str(&all)));
        CHECK_EQ(w.valid, without == 300);
    }
}

/* --- limits --- */

static struct str nested(struct arena *arena, const char *open, const char *close, int depth, const char *inner)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    for (int i = 0; i < depth; i++)
        (void)buf_add(&text, str_from_c(open));
    (void)buf_add(&text, str_from_c(inner));
    for (int i = 0; i < depth; i++)
        (void)buf_add(&text, str_from_c(close));
    return arena_str(arena, buf_str(&text));
}

TEST(jsonschema_follows_a_document_as_deep_as_one_may_be)
{
    struct world w CLEANUP(world_release);

    world_begin(&w);
    const struct jsonschema *s =
        schema_of(&w, "{\"type\":[\"object\",\"null\"],\"properties\":{\"a\":{\"$ref\":\"#\"}}}");
    CHECK(s);
    CHECK_OK(validate_text(&w, s, nested(&w.arena, "{\"a\":", "}", JSON_DEPTH_MAX, "null")));
    CHECK(w.valid);
    CHECK_OK(validate_text(&w, s, nested(&w.arena, "{\"a\":", "}", JSON_DEPTH_MAX, "1")));
    CHECK(!w.valid);
}

TEST(jsonschema_follows_combinations_as_deep_as_it_says)
{
    struct world w CLEANUP(world_release);

    /* Each level of the document is two schemas, one of which has a combination; the first is one more. */
    world_begin(&w);
    const struct jsonschema *s = schema_of(
        &w, "{\"type\":\"object\",\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"}]}}}");
    CHECK(s);
    CHECK_OK(validate_text(&w, s, nested(&w.arena, "{\"a\":", "}", (JSONSCHEMA_DEPTH_MAX - 1) / 3, "null")));
    CHECK(w.valid);
    CHECK_ERR(validate_text(&w, s, nested(&w.arena, "{\"a\":", "}", (JSONSCHEMA_DEPTH_MAX - 1) / 3 + 1, "null")),
              E_TOO_LARGE);
}

TEST(jsonschema_ends_where_schemas_lie_within_each_other_without_end)
{
    struct world w CLEANUP(world_release);

    world_begin(&w);
    const struct jsonschema *s = schema_of(&w, "{\"allOf\":[{\"$ref\":\"#\"}]}");
    CHECK(s);
    CHECK_ERR(validate_text(&w, s, STR("1")), E_TOO_LARGE);
    s = schema_of(&w, "{\"anyOf\":[{\"not\":{\"$ref\":\"#\"}}]}");
    CHECK(s);
    CHECK_ERR(validate_text(&w, s, STR("1")), E_TOO_LARGE);
}

TEST(jsonschema_ends_when_its_steps_are_used_up)
{
    struct world w CLEANUP(world_release);
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);

    /* Two ways at each of many levels, all of which fail at the end. */
    world_begin(&w);
    (void)buf_add_lit(&text, "{\"$defs\":{\"n0\":false");
    for (int i = 1; i <= 40; i++)
        (void)buf_addf(&text, ",\"n%d\":{\"anyOf\":[{\"$ref\":\"#/$defs/n%d\"},{\"$ref\":\"#/$defs/n%d\"}]}", i, i - 1,
                       i - 1);
    (void)buf_add_lit(&text, "},\"$ref\":\"#/$defs/n40\"}");
    const struct jsonschema *s = schema_of(&w, arena_str(&w.arena, buf_str(&text)).p);
    CHECK(s);
    CHECK_ERR(validate_text(&w, s, STR("1")), E_TOO_LARGE);
}

TEST(jsonschema_takes_no_memory_for_a_usual_document)
{
    struct world w CLEANUP(world_release);
    const struct json_tree *tree;

    world_begin(&w);
    const struct jsonschema *s = schema_of(
        &w, "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^x\"},"
            "\"b\":{\"items\":{\"enum\":[1,\"y\"]},\"uniqueItems\":true}},\"oneOf\":[{\"required\":[\"b\"]},false]}");
    CHECK(s);
    CHECK_OK(json_tree_parse(&w.arena, STR("{\"a\":\"xyz\",\"b\":[1,\"y\"],\"c\":{}}"), &tree));
    unsigned before = w.arena.count;
    CHECK_OK(jsonschema_validate(s, json_tree_root(tree), &w.arena, NULL, &w.valid));
    CHECK(w.valid);
    CHECK_EQ(w.arena.count, before);
}

/* --- schemas that are none --- */

TEST(jsonschema_refuses_what_is_no_schema_and_says_where)
{
    static const struct {
        const char *schema, *place;
        err_t error;
    } cases[] = {
        {"1", "", E_PARSE},
        {"{\"type\":\"strnig\"}", "/type", E_PARSE},
        {"{\"properties\":{\"a\":{\"minimum\":\"1\"}}}", "/properties/a/minimum", E_PARSE},
        {"{\"minLength\":-1}", "/minLength", E_PARSE},
        {"{\"minLength\":1.5}", "/minLength", E_PARSE},
        {"{\"multipleOf\":0}", "/multipleOf", E_PARSE},
        {"{\"multipleOf\":1.2345678901234567891}", "/multipleOf", E_TOO_LARGE},
        {"{\"pattern\":\"(\"}", "/pattern", E_PARSE},
        {"{\"pattern\":\"(?=a)\"}", "/pattern", E_UNSUPPORTED},
        {"{\"pattern\":\"(a)\\\\1\"}", "/pattern", E_UNSUPPORTED},
        {"{\"patternProperties\":{\"[\":{}}}", "/patternProperties/[", E_PARSE},
        {"{\"allOf\":[]}", "/allOf", E_PARSE},
        {"{\"anyOf\":[1]}", "/anyOf/0", E_PARSE},
        {"{\"required\":\"a\"}", "/required", E_PARSE},
        {"{\"required\":[1]}", "/required/0", E_PARSE},
        {"{\"enum\":1}", "/enum", E_PARSE},
        {"{\"uniqueItems\":1}", "/uniqueItems", E_PARSE},
        {"{\"items\":[{}]}", "/items", E_PARSE},
        {"{\"$ref\":\"#/nowhere\"}", "/$ref", E_NOT_FOUND},
        {"{\"$ref\":\"#nowhere\"}", "/$ref", E_NOT_FOUND},
        {"{\"$ref\":\"https://example.com/s\"}", "/$ref", E_NOT_FOUND},
        {"{\"$ref\":\"#\"}", "", E_PARSE},
        {"{\"$ref\":1}", "/$ref", E_PARSE},
        {"{\"$schema\":\"http://json-schema.org/draft-04/schema#\"}", "/$schema", E_UNSUPPORTED},
        {"{\"$schema\":\"https://example.com/mine\"}", "/$schema", E_NOT_FOUND},
        {"{\"$id\":\"https://example.com/a#b\"}", "/$id", E_PARSE},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w CLEANUP(world_release);
        const struct jsonschema *schema;
        world_begin(&w);
        test_context("%s", cases[i].schema);
        CHECK_ERR(compile_with(&w, str_from_c(cases[i].schema), &(struct jsonschema_options){0}, &schema),
                  cases[i].error);
        CHECK_STR(w.problem.keyword, cases[i].place);
        CHECK(w.problem.text.n > 0);
    }
    test_context("%s", "");
}

TEST(jsonschema_reads_references_between_documents_and_says_where_their_problems_are)
{
    struct world w CLEANUP(world_release);
    const struct json_tree *other;
    const struct jsonschema *s;

    world_begin(&w);
    CHECK_OK(json_tree_parse(&w.arena, STR("{\"$defs\":{\"id\":{\"type\":\"integer\"}}}"), &other));
    struct jsonschema_resource resource = {STR("https://example.com/common"), other};
    struct jsonschema_options options = {
        .uri = STR("https://example.com/ticket"), .resources = &resource, .resource_count = 1};
    CHECK_OK(compile_with(&w, STR("{\"properties\":{\"id\":{\"$ref\":\"common#/$defs/id\"}}}"), &options, &s));
    CHECK_OK(validate_text(&w, s, STR("{\"id\":\"1\"}")));
    CHECK(!w.valid);
    CHECK_STR(w.problems[0].keyword, "https://example.com/common#/$defs/id/type");
    CHECK_STR(w.problems[0].instance, "/id");
}

TEST(jsonschema_holds_schemas_against_their_metaschemas)
{
    check_verdict("{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}", "{\"type\":\"object\",\"minimum\":1}",
                  true);
    check_verdict("{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}",
                  "{\"properties\":{\"a\":{\"type\":\"strnig\"}}}", false);
    check_verdict("{\"$ref\":\"http://json-schema.org/draft-07/schema#\"}", "{\"items\":[{\"minLength\":-1}]}", false);
}

TEST(jsonschema_leads_dynamic_references_to_the_outermost_scope)
{
    static const char schema[] =
        "{\"$id\":\"https://a/1\",\"$defs\":{\"n\":{\"$dynamicAnchor\":\"n\",\"type\":\"integer\"},"
        "\"two\":{\"$id\":\"2\",\"$ref\":\"3\",\"$defs\":{\"n\":{\"$dynamicAnchor\":\"n\",\"type\":\"string\"}}},"
        "\"three\":{\"$id\":\"3\",\"items\":{\"$dynamicRef\":\"#n\"},\"$defs\":{\"n\":{\"$dynamicAnchor\":\"n\","
        "\"type\":\"null\"}}}},"
        "\"$ref\":\"2\"}";

    check_verdict(schema, "[1]", true);
    check_verdict(schema, "[\"1\"]", false);
    check_verdict(schema, "[null]", false);
}

/* --- URIs --- */

TEST(uri_resolve_follows_the_examples_of_rfc_3986)
{
    static const struct {
        const char *reference, *wanted;
    } cases[] = {
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/../y", "http://a/b/c/y"},
    };
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_context("%s", cases[i].reference);
        CHECK_STR(uri_resolve(STR("http://a/b/c/d;p?q"), str_from_c(cases[i].reference), &arena), cases[i].wanted);
    }
    CHECK_STR(uri_resolve(STR(""), STR("urn:uuid:1#x"), &arena), "urn:uuid:1");
    CHECK_STR(uri_resolve(STR("urn:uuid:1"), STR("#x"), &arena), "urn:uuid:1");
    test_context("%s", "");
}

/* --- patterns --- */

static void make_pattern(struct prng *p, struct buf *b, int depth)
{
    static const char *const atoms[] = {"a", "b", "[ab]", "[^a]", ".", "\\\\d", "\\\\w", "c"};
    uint64_t which = prng_below(p, depth ? 8 : 2);

    if (which < 2) {
        (void)buf_add(b, str_from_c(atoms[prng_below(p, ARRAY_LEN(atoms))]));
    } else if (which < 5) {
        make_pattern(p, b, depth - 1);
        make_pattern(p, b, depth - 1);
    } else if (which == 5) {
        (void)buf_add_lit(b, "(?:");
        make_pattern(p, b, depth - 1);
        (void)buf_add_char(b, '|');
        make_pattern(p, b, depth - 1);
        (void)buf_add_char(b, ')');
    } else {
        (void)buf_add_lit(b, "(?:");
        make_pattern(p, b, depth - 1);
        (void)buf_add_char(b, ')');
        (void)buf_add(b, str_from_c((const char *[]){"*", "+", "?", "{2}", "{1,3}"}[prng_below(p, 5)]));
    }
}

static void check_pattern(struct prng *p)
{
    static const char *const characters[] = {"a", "b", "c", "1", "_", "\n", "\xc3\xa4"};
    struct arena arena CLEANUP(arena_release);
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);
    const struct regex *regex;
    const char *why;

    arena_init(&arena, 1 << 24);
    (void)buf_add(&text, str_from_c(prng_below(p, 2) ? "^" : ""));
    make_pattern(p, &text, 4);
    (void)buf_add(&text, str_from_c(prng_below(p, 2) ? "$" : ""));
    struct str pattern = arena_str(&arena, buf_str(&text));
    if (regex_compile(&arena, pattern, REGEX_ECMA, &regex, &why) != OK)
        return; /* too complicated */
    const struct regex_bits *bits = regex_bits_make(&arena, regex);
    for (int i = 0; bits && i < 40; i++) {
        uint64_t steps;
        buf_clear(&text);
        for (uint64_t n = prng_below(p, 8); n > 0; n--)
            (void)buf_add(&text, str_from_c(characters[prng_below(p, ARRAY_LEN(characters))]));
        bool wanted = regex_find(regex, buf_str(&text), 0, false, arena_alloc(&arena, regex_room(regex)), NULL, &steps);
        CHECK_MSG(regex_bits_test(bits, buf_str(&text)) == wanted, "%.*s on %.*s", STR_ARG(pattern),
                  STR_ARG(buf_str(&text)));
    }
}

TEST(regex_bits_agree_with_the_machine)
{
    for (uint64_t i = 0; i < test_rounds(2000) && !test_failed(); i++) {
        struct prng p;
        prng_seed(&p, test_seed() + i);
        check_pattern(&p);
    }
}

TEST(patterns_are_read_as_ecma_262_has_them)
{
    check_verdict("{\"pattern\":\"^a$\"}", "\"a\\n\"", false);
    check_verdict("{\"pattern\":\"^.$\"}", "\"\\r\"", false);
    check_verdict("{\"pattern\":\"^\\\\s$\"}", "\"\\u2028\"", true);
    check_verdict("{\"pattern\":\"^\\\\p{Lu}\\\\P{L}$\"}", "\"\\u00c41\"", true);
    check_verdict("{\"pattern\":\"^[\\\\p{Nd}x]+$\"}", "\"\\u0663x\"", true);
    check_verdict("{\"pattern\":\"^\\\\p{Letter}$\"}", "\"1\"", false);
    check_verdict("{\"pattern\":\"^[]$\"}", "\"\"", false);
    check_verdict("{\"pattern\":\"^[^]$\"}", "\"\\n\"", true);
    check_verdict("{\"pattern\":\"^\\\\ud83d\\\\ude00$\"}", "\"\\ud83d\\ude00\"", true);
    check_verdict("{\"pattern\":\"^[[:alpha:]&&]$\"}", "\":&&]\"", true);
    check_verdict("{\"pattern\":\"\\\\bb\\\\b\"}", "\"a b c\"", true);
    check_verdict("{\"pattern\":\"\\\\bb\\\\b\"}", "\"abc\"", false);
}

TEST(unicode_categories_are_found_by_name_and_character)
{
    CHECK_EQ(unicode_category('a'), UNICODE_LL);
    CHECK_EQ(unicode_category(0), UNICODE_CC);
    CHECK_EQ(unicode_category(0x10ffff), UNICODE_CN);
    CHECK_EQ(unicode_category(0xd800), UNICODE_CS);
    CHECK_EQ(unicode_category(0x1f600), UNICODE_SO);
    CHECK_EQ(unicode_categories(STR("Nd")), 1U << UNICODE_ND);
    CHECK_EQ(unicode_categories(STR("Decimal_Number")), 1U << UNICODE_ND);
    CHECK_EQ(unicode_categories(STR("Greek")), 0);
}

/* --- types for expressions --- */

static void check_type(const char *schema, const char *wanted)
{
    struct world w CLEANUP(world_release);
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);

    world_begin(&w);
    test_context("%s", schema);
    const struct jsonschema *s = schema_of(&w, schema);
    CHECK(s);
    expr_type_print(expr_type_of_schema(s, &w.arena), &text);
    CHECK_STR(buf_str(&text), wanted);
    test_context("%s", "");
}

TEST(schemas_are_types_of_expressions)
{
    check_type("{\"type\":\"integer\"}", "number");
    check_type("{\"enum\":[\"a\",null]}", "null | string");
    check_type("{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[string]");
    check_type("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"boolean\"}},"
               "\"required\":[\"a\"]}",
               "{a: string, b?: boolean}");
    check_type("{\"allOf\":[{\"type\":[\"string\",\"number\"]},{\"type\":[\"number\",\"null\"]}]}", "number");
    check_type("{\"anyOf\":[{\"type\":\"string\"},{\"$ref\":\"#/$defs/n\"}],\"$defs\":{\"n\":{\"type\":\"null\"}}}",
               "null | string");
    check_type("{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"]},"
               "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"}},\"required\":[\"a\"]}]}",
               "{a: number | string}");
    check_type("{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"]},"
               "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}]}",
               "{a?: string}");
}

/* --- versions --- */

TEST(compat_levels_ask_which_versions_and_which_way)
{
    struct world w CLEANUP(world_release);
    const struct compat_problem *problems;
    size_t count;
    static const struct {
        enum compat_level level;
        size_t problems, version;
        bool is_forward;
    } cases[] = {
        /* 1..9, 1..5, then the candidate 1..7 */
        {COMPAT_NONE, 0, 0, false},
        {COMPAT_BACKWARD, 0, 0, false},
        {COMPAT_BACKWARD_TRANSITIVE, 1, 0, false},
        {COMPAT_FORWARD, 1, 1, true},
        {COMPAT_FORWARD_TRANSITIVE, 1, 1, true},
        {COMPAT_FULL, 1, 1, true},
        {COMPAT_FULL_TRANSITIVE, 2, 0, false},
    };

    world_begin(&w);
    const struct jsonschema *versions[] = {schema_of(&w, "{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}"),
                                           schema_of(&w, "{\"type\":\"integer\",\"minimum\":1,\"maximum\":5}")};
    const struct jsonschema *candidate = schema_of(&w, "{\"type\":\"integer\",\"minimum\":1,\"maximum\":7}");
    CHECK(versions[0] && versions[1] && candidate);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_context("%s", compat_level_name(cases[i].level));
        CHECK_OK(compat_check(versions, 2, candidate, cases[i].level, &(struct inclusion_options){0}, &w.arena,
                              &problems, &count));
        CHECK_EQ(count, cases[i].problems);
        if (count) {
            CHECK_EQ(problems[0].version, cases[i].version);
            CHECK_EQ(problems[0].is_forward, cases[i].is_forward);
            CHECK_EQ(problems[0].result.verdict, INCLUSION_REFUTED);
        }
    }
    CHECK_OK(compat_check(versions, 0, candidate, COMPAT_FULL_TRANSITIVE, &(struct inclusion_options){0}, &w.arena,
                          &problems, &count));
    CHECK_EQ(count, 0);
    test_context("%s", "");
}

TEST(compat_levels_have_the_names_of_the_registry)
{
    enum compat_level level;

    CHECK(compat_level_find(STR("FULL_TRANSITIVE"), &level));
    CHECK_EQ(level, COMPAT_FULL_TRANSITIVE);
    CHECK(compat_level_find(STR("backward"), &level));
    CHECK_EQ(level, COMPAT_BACKWARD);
    CHECK(!compat_level_find(STR("BACK"), &level));
}

static void check_diff(const char *old, const char *candidate, const char *wanted)
{
    struct world w CLEANUP(world_release);
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);
    const struct schema_difference *list;
    size_t count;

    world_begin(&w);
    const struct jsonschema *x = schema_of(&w, old), *y = schema_of(&w, candidate);
    CHECK(x && y);
    CHECK_OK(schema_diff(x, y, &w.arena, &list, &count));
    for (size_t i = 0; i < count; i++)
        (void)buf_addf(&text, "%s %.*s %.*s\n", schema_change_name(list[i].change), STR_ARG(list[i].path),
                       STR_ARG(list[i].text));
    CHECK_STR(buf_str(&text), wanted);
}

TEST(schema_diff_lists_members_and_types_and_what_became_narrower)
{
    check_diff(
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"},\"c\":{"
        "\"maximum\":5}}}",
        "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"string\"},\"c\":{\"maximum\":3},"
        "\"x y\":{\"type\":\"null\"}}}",
        "now required .a \nretyped .a integer -> string\nremoved .b string\nnarrowed .c {\"maximum\":5} -> "
        "{\"maximum\":3}\n"
        "added .[\"x y\"] null\n");
    check_diff("{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}}}}",
               "{\"type\":\"array\",\"maxItems\":3,\"items\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":"
               "\"number\"}}}}",
               "changed . \"maxItems\": not said -> 3\nwidened .[].n integer -> number\n");
    /* other words, the same meaning */
    check_diff(
        "{\"properties\":{\"a\":{\"type\":\"integer\",\"exclusiveMinimum\":0}}}",
        "{\"properties\":{\"a\":{\"$ref\":\"#/$defs/p\"}},\"$defs\":{\"p\":{\"minimum\":1,\"type\":\"integer\"}}}", "");
    check_diff("{\"properties\":{\"next\":{\"$ref\":\"#\"},\"v\":{\"type\":\"integer\"}}}",
               "{\"properties\":{\"next\":{\"$ref\":\"#\"},\"v\":{\"type\":\"null\"}}}",
               "retyped .v integer -> null\n");
}
