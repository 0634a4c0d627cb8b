/*
 * jsonschema_inclusion_test.c - inclusion of schemas: cases by hand, and random schemas against a pool of documents. Whenever a pair is
 * said to be proven, no document of the pool may contradict; whenever it is refuted, the document is shown to both validators.
 */
#include "jsonschema/inclusion.h"

#include "base/buf.h"
#include "base/prng.h"
#include "test.h"

#include <stdio.h>

static const struct jsonschema *compile_text(struct arena *arena, struct str text)
{
    const struct json_tree *tree;
    const struct jsonschema *schema = NULL;

    if (json_tree_parse(arena, text, &tree) != OK ||
        jsonschema_compile(arena, tree, &(struct jsonschema_options){.assert_formats = true}, &schema, NULL) != OK)
        test_fail_(__FILE__, __LINE__, "%.*s: %s", STR_ARG(text), err_detail(E_PARSE));
    return schema;
}

static bool is_valid(const struct jsonschema *schema, struct str document, struct arena *arena)
{
    const struct json_tree *tree;
    bool valid = false;

    if (json_tree_parse(arena, document, &tree) != OK ||
        jsonschema_validate(schema, json_tree_root(tree), arena, NULL, &valid) != OK)
        test_fail_(__FILE__, __LINE__, "%.*s: %s", STR_ARG(document), err_detail(E_PARSE));
    return valid;
}

static struct inclusion_result compare(struct arena *arena, const char *producer, const char *consumer,
                                       const struct inclusion_options *options)
{
    struct inclusion_result result = {.verdict = INCLUSION_UNKNOWN};
    const struct jsonschema *p = compile_text(arena, str_from_c(producer)),
                            *c = compile_text(arena, str_from_c(consumer));

    test_context("%s against %s", producer, consumer);
    if (!p || !c || inclusion_check(p, c, options, arena, &result) != OK)
        test_fail_(__FILE__, __LINE__, "%s", err_detail(E_TOO_LARGE));
    else if (result.verdict == INCLUSION_REFUTED && !is_valid(p, result.document, arena))
        test_fail_(__FILE__, __LINE__, "%.*s is not of the producer", STR_ARG(result.document));
    return result;
}

struct pair {
    const char *producer, *consumer, *document; /* NULL: proven */
};

static void check_pairs(const struct pair *pairs, size_t n, enum inclusion_reading reading)
{
    static const char *const verdicts[] = {"proven", "refuted", "unknown"};

    for (size_t i = 0; i < n; i++) {
        struct arena arena CLEANUP(arena_release);
        arena_init(&arena, 1 << 30);
        struct inclusion_result r =
            compare(&arena, pairs[i].producer, pairs[i].consumer, &(struct inclusion_options){.reading = reading});
        if (test_failed())
            return;
        CHECK_STR(str_from_c(verdicts[r.verdict]), pairs[i].document ? "refuted" : "proven");
        if (pairs[i].document)
            CHECK_STR(r.document, pairs[i].document);
    }
    test_context("%s", "");
}

TEST(inclusion_decides_numbers)
{
    static const struct pair pairs[] = {
        {"{\"type\":\"integer\"}", "{\"type\":\"number\"}", NULL},
        {"{\"type\":\"number\"}", "{\"type\":\"integer\"}", "0.01"},
        {"{\"type\":\"number\",\"minimum\":1,\"maximum\":5}", "{\"minimum\":0.5}", NULL},
        {"{\"type\":\"number\",\"minimum\":1}", "{\"type\":\"number\",\"exclusiveMinimum\":1}", "1"},
        {"{\"type\":\"number\",\"exclusiveMinimum\":1}", "{\"minimum\":1}", NULL},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":1}", "{\"minimum\":2}", NULL},
        {"{\"type\":\"number\",\"exclusiveMinimum\":1}", "{\"minimum\":2}", "1.01"},
        {"{\"type\":\"integer\",\"multipleOf\":6}", "{\"multipleOf\":3}", NULL},
        {"{\"type\":\"integer\",\"multipleOf\":3}", "{\"multipleOf\":6}", "3"},
        {"{\"type\":\"integer\",\"multipleOf\":3,\"allOf\":[{\"multipleOf\":2}]}", "{\"multipleOf\":6}", NULL},
        {"{\"type\":\"number\",\"multipleOf\":0.3}", "{\"multipleOf\":0.1}", NULL},
        {"{\"type\":\"number\",\"multipleOf\":0.1}", "{\"multipleOf\":0.3}", "0.1"},
        {"{\"type\":\"integer\",\"minimum\":1,\"maximum\":3}", "{\"enum\":[1,2,3]}", NULL},
        {"{\"type\":\"integer\",\"minimum\":1,\"maximum\":4}", "{\"enum\":[1,2,3]}", "4"},
        {"{\"type\":\"integer\",\"minimum\":7,\"maximum\":9,\"multipleOf\":5}", "false", NULL},
    };

    check_pairs(pairs, ARRAY_LEN(pairs), INCLUSION_STRICT);
}

TEST(inclusion_decides_strings)
{
    static const struct pair pairs[] = {
        {"{\"type\":\"string\",\"minLength\":2}", "{\"minLength\":1}", NULL},
        {"{\"type\":\"string\",\"minLength\":1}", "{\"minLength\":2}", "\"a\""},
        {"{\"type\":\"string\",\"maxLength\":3}", "{\"maxLength\":2}", "\"aaa\""},
        {"{\"type\":\"string\",\"pattern\":\"^b\",\"minLength\":2}", "{\"maxLength\":1}", "\"b \""},
        {"{\"type\":\"string\",\"pattern\":\"^a*$\",\"minLength\":3}", "{\"pattern\":\"^aaa\"}", NULL},
        {"{\"type\":\"string\",\"pattern\":\"^a+$\"}", "{\"pattern\":\"^[a-z]+$\"}", NULL},
        {"{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"}", "{\"pattern\":\"^a+$\"}", "\"b\""},
        {"{\"type\":\"string\",\"pattern\":\"^[a-z]{2}$\"}", "{\"maxLength\":2,\"minLength\":2}", NULL},
        {"{\"type\":\"string\",\"pattern\":\"^(yes|no)$\"}", "{\"enum\":[\"no\",\"yes\"]}", NULL},
        {"{\"type\":\"string\",\"pattern\":\"^(yes|no|maybe)$\"}", "{\"enum\":[\"no\",\"yes\"]}", "\"maybe\""},
        {"{\"enum\":[\"a\",\"b\"]}", "{\"enum\":[\"b\",\"a\",\"c\"]}", NULL},
        {"{\"enum\":[\"a\",\"b\",\"c\"]}", "{\"enum\":[\"b\",\"a\"]}", "\"c\""},
        {"{\"const\":\"ab\"}", "{\"type\":\"string\",\"pattern\":\"^a\"}", NULL},
        {"{\"type\":\"string\",\"pattern\":\"b\"}", "{\"minLength\":1}", NULL},
        {"{\"type\":\"string\",\"pattern\":\"^a*$\",\"minLength\":3}", "{\"maxLength\":2}", "\"aaa\""},
        {"{\"type\":\"string\",\"format\":\"email\"}", "{\"format\":\"email\"}", NULL},
        {"{\"type\":\"string\",\"format\":\"date\"}", "{\"type\":\"string\"}", NULL},
    };

    check_pairs(pairs, ARRAY_LEN(pairs), INCLUSION_STRICT);
}

TEST(inclusion_decides_arrays)
{
    static const struct pair pairs[] = {
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "{\"items\":{\"type\":\"number\"}}", NULL},
        {"{\"type\":\"array\",\"items\":{\"type\":[\"integer\",\"null\"]}}",
         "{\"type\":\"array\",\"items\":{\"type\":\"number\"}}", "[null]"},
        {"{\"type\":\"array\",\"prefixItems\":[{\"const\":1},{\"const\":2}],\"items\":false,\"minItems\":2}",
         "{\"const\":[1,3]}", "[1,2]"},
        {"{\"type\":\"array\",\"minItems\":2}", "{\"minItems\":1}", NULL},
        {"{\"type\":\"array\",\"minItems\":1}", "{\"minItems\":2}", "[null]"},
        {"{\"type\":\"array\",\"items\":{\"const\":1},\"maxItems\":2}", "{\"maxItems\":1}", "[1,1]"},
        {"{\"type\":\"array\",\"items\":{\"const\":1}}", "{\"uniqueItems\":true}", "[1,1]"},
        {"{\"type\":\"array\",\"items\":{\"const\":1},\"maxItems\":1}", "{\"uniqueItems\":true}", NULL},
        {"{\"type\":\"array\",\"items\":{\"const\":1},\"minItems\":1}", "{\"contains\":{\"const\":1}}", NULL},
        {"{\"type\":\"array\",\"contains\":{\"const\":1}}", "{\"minItems\":1}", NULL},
        {"{\"type\":\"array\",\"contains\":{\"const\":1}}", "{\"contains\":{\"type\":\"integer\"}}", NULL},
        {"{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "{\"contains\":{\"const\":1},\"minContains\":0}",
         NULL},
        {"{\"type\":\"array\",\"items\":false,\"contains\":{}}", "false", NULL},
        /* two elements that must be somewhere need two places */
        {"{\"type\":\"array\",\"contains\":{\"const\":1}}", "{\"items\":{\"const\":1}}", "[null,1]"},
    };

    check_pairs(pairs, ARRAY_LEN(pairs), INCLUSION_STRICT);
}

TEST(inclusion_decides_objects)
{
    static const struct pair pairs[] = {
        {"{\"type\":\"object\",\"required\":[\"a\",\"b\"]}", "{\"required\":[\"a\"]}", NULL},
        {"{\"type\":\"object\",\"required\":[\"a\"]}", "{\"required\":[\"a\",\"b\"]}", "{\"a\":null}"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}",
         "{\"properties\":{\"a\":{\"type\":\"number\"}}}", NULL},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}",
         "{\"properties\":{\"b\":{\"type\":\"number\"}}}", "{\"b\":null}"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"additionalProperties\":false}",
         "{\"properties\":{\"b\":{\"type\":\"number\"}}}", NULL},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
         "{\"additionalProperties\":{\"type\":\"number\"}}", NULL},
        {"{\"type\":\"object\",\"patternProperties\":{\"^a\":{\"type\":\"integer\"}},\"additionalProperties\":false}",
         "{\"additionalProperties\":{\"type\":\"number\"}}", NULL},
        {"{\"type\":\"object\",\"patternProperties\":{\"^a\":{}},\"additionalProperties\":false}",
         "{\"propertyNames\":{\"pattern\":\"^[ab]\"}}", NULL},
        {"{\"type\":\"object\",\"patternProperties\":{\"^a\":{\"const\":1}},\"additionalProperties\":false}",
         "{\"propertyNames\":{\"pattern\":\"^ab\"}}", "{\"a\":1}"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"maxProperties\":1}",
         NULL},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"const\":0},\"b\":{\"const\":1}},\"additionalProperties\":"
         "false}",
         "{\"maxProperties\":1}", "{\"a\":0,\"b\":1}"},
        {"{\"type\":\"object\",\"dependentRequired\":{\"a\":[\"b\"]},\"required\":[\"a\"]}", "{\"required\":[\"b\"]}",
         NULL},
        {"{\"type\":\"object\",\"required\":[\"a\"]}", "{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":null}"},
        {"{\"type\":\"object\",\"minProperties\":2}", "{\"minProperties\":1}", NULL},
    };

    check_pairs(pairs, ARRAY_LEN(pairs), INCLUSION_STRICT);
}

TEST(inclusion_decides_combinations_and_references)
{
    static const struct pair pairs[] = {
        {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "{\"type\":[\"null\",\"string\",\"number\"]}",
         NULL},
        {"{\"oneOf\":[{\"const\":1},{\"const\":2}]}", "{\"enum\":[1,2,3]}", NULL},
        {"{\"not\":{\"type\":\"string\"}}", "{\"type\":[\"null\",\"boolean\",\"number\",\"array\",\"object\"]}", NULL},
        {"{\"if\":{\"minimum\":5},\"then\":{\"const\":9},\"else\":{\"const\":1}}", "{\"enum\":[1,9]}", NULL},
        {"{\"type\":\"integer\",\"if\":{\"minimum\":5},\"then\":{\"maximum\":9}}", "{\"maximum\":8}", "9"},
        {"true", "false", "null"},
        {"false", "{\"type\":\"string\"}", NULL},
        {"{\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"$ref\":\"#/"
         "$defs/n\"}},"
         "\"required\":[\"v\"]}},\"$ref\":\"#/$defs/n\"}",
         "{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"number\"},\"next\":{\"$ref\":\"#\"}}}", NULL},
        {"{\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"$ref\":\"#/"
         "$defs/n\"}},"
         "\"required\":[\"v\"]}},\"$ref\":\"#/$defs/n\"}",
         "{\"type\":\"object\",\"properties\":{\"next\":{\"properties\":{\"next\":{\"properties\":{\"v\":{\"maximum\":"
         "3}}}}}}}",
         "{\"next\":{\"next\":{\"v\":4},\"v\":0},\"v\":0}"},
        /* one goal was empty only while the search was within the other: in either order both are there */
        {"{\"$defs\":{\"a\":{\"type\":\"object\",\"anyOf\":[{\"properties\":{\"b\":{\"$ref\":\"#/$defs/"
         "b\"}},\"required\":[\"b\"]},"
         "{\"properties\":{\"s\":{\"const\":1}},\"required\":[\"s\"]}]},\"b\":{\"type\":\"object\",\"properties\":{"
         "\"a\":{\"$ref\":"
         "\"#/$defs/a\"}},\"required\":[\"a\"]}},\"type\":\"array\",\"prefixItems\":[{\"$ref\":\"#/$defs/"
         "a\"},{\"$ref\":\"#/$defs/b\"}],"
         "\"minItems\":2}",
         "false", "[{\"s\":1},{\"a\":{\"s\":1}}]"},
        {"{\"$defs\":{\"a\":{\"type\":\"object\",\"anyOf\":[{\"properties\":{\"b\":{\"$ref\":\"#/$defs/"
         "b\"}},\"required\":[\"b\"]},"
         "{\"properties\":{\"s\":{\"const\":1}},\"required\":[\"s\"]}]},\"b\":{\"type\":\"object\",\"properties\":{"
         "\"a\":{\"$ref\":"
         "\"#/$defs/a\"}},\"required\":[\"a\"]}},\"type\":\"array\",\"prefixItems\":[{\"$ref\":\"#/$defs/"
         "b\"},{\"$ref\":\"#/$defs/a\"}],"
         "\"minItems\":2}",
         "false", "[{\"a\":{\"s\":1}},{\"s\":1}]"},
        /* no document is of the producer: each would need another within */
        {"{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":\"#\"}}}", "false", NULL},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"unevaluatedProperties\":false}",
         "{\"type\":\"object\",\"properties\":{\"a\":{}},\"unevaluatedProperties\":false}", NULL},
    };

    check_pairs(pairs, ARRAY_LEN(pairs), INCLUSION_STRICT);
}

TEST(inclusion_claims_no_proof_where_names_cannot_be_told_apart)
{
    struct arena arena CLEANUP(arena_release);

    /* No automaton is made of \\b, so no name that matches is found by it; there are some all the same. */
    arena_init(&arena, 1 << 30);
    struct inclusion_result r = compare(
        &arena,
        "{\"type\":\"object\",\"patternProperties\":{\"\\\\bq\\\\b\":{\"const\":1}},\"additionalProperties\":false}",
        "{\"additionalProperties\":{\"type\":\"string\"}}", &(struct inclusion_options){.reading = INCLUSION_STRICT});
    CHECK_NE(r.verdict, INCLUSION_PROVEN);
    test_context("%s", "");
}

TEST(inclusion_read_honestly_trusts_what_the_producer_declares)
{
    static const struct pair pairs[] = {
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}",
         "{\"properties\":{\"b\":{\"type\":\"number\"}}}", NULL},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1}}}",
         "{\"properties\":{\"b\":{}},\"required\":[\"b\"]}", "{}"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1}}}",
         "{\"properties\":{\"b\":{}},\"additionalProperties\":false}", "{\"a\":1}"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1}}}",
         "{\"properties\":{\"a\":{}},\"additionalProperties\":false}", NULL},
        /* said to be open, and so it is */
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"additionalProperties\":true}",
         "{\"properties\":{\"b\":{\"type\":\"number\"}}}", "{\"b\":null}"},
        {"{\"type\":\"object\"}", "{\"properties\":{\"b\":{\"type\":\"number\"}}}", "{\"b\":null}"},
        {"{\"type\":\"object\",\"minProperties\":1}", "{\"properties\":{\"b\":{\"type\":\"number\"}}}", "{\"b\":null}"},
        /* declared by any of those that hold together */
        {"{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{}}},{\"properties\":{\"b\":{\"const\":1}}}]}",
         "{\"properties\":{\"b\":{\"type\":\"number\"},\"c\":false}}", NULL},
        {"{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1}}}}",
         "{\"items\":{\"maxProperties\":1}}", NULL},
    };

    check_pairs(pairs, ARRAY_LEN(pairs), INCLUSION_HONEST);
}

static enum inclusion_verdict usage_verdict(const char *producer, const char *consumer, const char *const *reads,
                                            size_t n, char *ret_path, size_t room)
{
    struct arena arena CLEANUP(arena_release);
    struct str paths[8];

    arena_init(&arena, 1 << 30);
    for (size_t i = 0; i < n; i++)
        paths[i] = str_from_c(reads[i]);
    struct inclusion_result r =
        compare(&arena, producer, consumer,
                &(struct inclusion_options){.reading = INCLUSION_USAGE, .reads = paths, .read_count = n});
    (void)snprintf(ret_path, room, "%.*s", STR_ARG(r.path));
    return r.verdict;
}

TEST(inclusion_by_usage_covers_what_is_read_and_nothing_else)
{
    static const char consumer[] = "{\"type\":\"object\",\"required\":[\"id\",\"lang\"],\"additionalProperties\":false,"
                                   "\"properties\":{\"id\":{\"type\":"
                                   "\"string\"},\"lang\":{\"enum\":[\"en\"]},\"score\":{\"type\":\"number\","
                                   "\"maximum\":1},\"tags\":{\"type\":\"array\","
                                   "\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},"
                                   "\"w\":{\"type\":\"number\"}}}}}}";
    static const char producer[] = "{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":"
                                   "\"string\"},\"lang\":{\"type\":\"string\"},"
                                   "\"score\":{\"type\":\"integer\",\"maximum\":2},\"new\":{},\"tags\":{\"type\":"
                                   "\"array\",\"items\":{\"type\":\"object\","
                                   "\"properties\":{\"name\":{\"type\":\"string\"},\"w\":{\"type\":\"string\"}}}}}}";
    char path[64];

    /* "new" and "lang" would be wrong, but nobody looks */
    CHECK_EQ(usage_verdict(producer, consumer, (const char *[]){".id"}, 1, path, sizeof path), INCLUSION_PROVEN);
    CHECK_EQ(usage_verdict(producer, consumer, (const char *[]){".id", ".tags[].name"}, 2, path, sizeof path),
             INCLUSION_PROVEN);
    CHECK_EQ(usage_verdict(producer, consumer, (const char *[]){".id", ".score"}, 2, path, sizeof path),
             INCLUSION_REFUTED);
    CHECK_EQ(usage_verdict(producer, consumer, (const char *[]){".lang"}, 1, path, sizeof path), INCLUSION_REFUTED);
    CHECK_EQ(usage_verdict(producer, consumer, (const char *[]){".tags[].w"}, 1, path, sizeof path), INCLUSION_REFUTED);
    CHECK_EQ(usage_verdict(producer, consumer, (const char *[]){"."}, 1, path, sizeof path), INCLUSION_REFUTED);
    CHECK_EQ(usage_verdict(producer, consumer, NULL, 0, path, sizeof path), INCLUSION_PROVEN);
    CHECK_EQ(usage_verdict(producer, consumer, (const char *[]){"$limits.max"}, 1, path, sizeof path),
             INCLUSION_PROVEN);
    test_context("%s", "");
}

TEST(inclusion_by_usage_refuses_what_is_read_and_no_longer_written_and_says_what)
{
    static const char consumer[] =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"properties\":{\"b\":{}}}}}";
    char path[64];

    CHECK_EQ(
        usage_verdict("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"properties\":{\"c\":{}}}}}",
                      consumer, (const char *[]){".a.b"}, 1, path, sizeof path),
        INCLUSION_REFUTED);
    CHECK_STR(str_from_c(path), ".a.b");
    CHECK_EQ(
        usage_verdict("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"properties\":{\"b\":{}}}}}",
                      consumer, (const char *[]){".a.b"}, 1, path, sizeof path),
        INCLUSION_PROVEN);
    test_context("%s", "");
}

TEST(inclusion_refuses_paths_that_are_none)
{
    struct arena arena CLEANUP(arena_release);
    struct inclusion_result r;

    arena_init(&arena, 1 << 24);
    const struct jsonschema *any = compile_text(&arena, STR("true"));
    CHECK(any);
    static const char *const wrong[] = {"a", "", ".a..b", ".a[", ".[\"a]", ".a]"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct str path = str_from_c(wrong[i]);
        test_context("path %s", wrong[i]);
        CHECK_ERR(
            inclusion_check(any, any,
                            &(struct inclusion_options){.reading = INCLUSION_USAGE, .reads = &path, .read_count = 1},
                            &arena, &r),
            E_PARSE);
    }
    test_context("%s", "");
}

TEST(inclusion_that_takes_too_long_is_unknown_and_ends)
{
    struct arena arena CLEANUP(arena_release);
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct inclusion_result r;

    arena_init(&arena, 1 << 30);
    (void)buf_add_lit(&text, "{\"allOf\":[");
    for (int i = 0; i < 40; i++)
        (void)buf_addf(&text,
                       "%s{\"anyOf\":[{\"required\":[\"a%d\"]},{\"required\":[\"b%d\"]},{\"maxProperties\":%d}]}",
                       i ? "," : "", i, i, i);
    (void)buf_add_lit(&text, "],\"type\":\"object\",\"minProperties\":3}");
    const struct jsonschema *p = compile_text(&arena, buf_str(&text)),
                            *c = compile_text(&arena, STR("{\"type\":\"object\",\"minProperties\":2}"));
    CHECK(p && c);
    CHECK_OK(inclusion_check(p, c, &(struct inclusion_options){.steps = 2000}, &arena, &r));
    CHECK_EQ(r.verdict, INCLUSION_UNKNOWN);
    CHECK(r.why.n > 0);
}

/* --- random schemas --- */

struct maker {
    struct prng prng;
    struct buf text;
    bool plain;  /* no combinations */
    bool closed; /* every object says "additionalProperties": false */
};

static uint64_t pick(struct maker *m, uint64_t n)
{
    return prng_below(&m->prng, n);
}

static void make_schema(struct maker *m, unsigned depth);

static void make_number(struct maker *m)
{
    static const char *const types[] = {"number", "integer"};
    static const char *const rules[] = {
        "\"minimum\":", "\"maximum\":", "\"exclusiveMinimum\":", "\"exclusiveMaximum\":"};

    (void)buf_addf(&m->text, "{\"type\":\"%s\"", types[pick(m, 2)]);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (pick(m, 4) == 0)
            (void)buf_addf(&m->text, ",%s%d%s", rules[i], (int)pick(m, 7) - 3, pick(m, 4) ? "" : ".5");
    if (pick(m, 5) == 0)
        (void)buf_addf(&m->text, ",\"multipleOf\":%s", (const char *[]){"2", "3", "0.5", "1.5"}[pick(m, 4)]);
    (void)buf_add_char(&m->text, '}');
}

static void make_string(struct maker *m)
{
    static const char *const patterns[] = {"^a*$", "b", "^[ab]+$", "a$", "^.{2}$", "^(a|bb)*$"};

    (void)buf_add_lit(&m->text, "{\"type\":\"string\"");
    if (pick(m, 3) == 0)
        (void)buf_addf(&m->text, ",\"minLength\":%d", (int)pick(m, 4));
    if (pick(m, 3) == 0)
        (void)buf_addf(&m->text, ",\"maxLength\":%d", (int)pick(m, 5));
    if (pick(m, 2) == 0)
        (void)buf_addf(&m->text, ",\"pattern\":\"%s\"", patterns[pick(m, ARRAY_LEN(patterns))]);
    (void)buf_add_char(&m->text, '}');
}

static void make_array(struct maker *m, unsigned depth)
{
    (void)buf_add_lit(&m->text, "{\"type\":\"array\"");
    if (pick(m, 2) == 0) {
        (void)buf_add_lit(&m->text, ",\"items\":");
        make_schema(m, depth);
    }
    if (pick(m, 4) == 0) {
        (void)buf_add_lit(&m->text, ",\"prefixItems\":[");
        make_schema(m, depth);
        (void)buf_add_char(&m->text, ']');
    }
    if (pick(m, 3) == 0)
        (void)buf_addf(&m->text, ",\"minItems\":%d", (int)pick(m, 3));
    if (pick(m, 3) == 0)
        (void)buf_addf(&m->text, ",\"maxItems\":%d", (int)pick(m, 4));
    if (pick(m, 6) == 0)
        (void)buf_add_lit(&m->text, ",\"uniqueItems\":true");
    if (!m->plain && pick(m, 5) == 0) {
        (void)buf_add_lit(&m->text, ",\"contains\":");
        make_schema(m, depth);
        if (pick(m, 3) == 0)
            (void)buf_addf(&m->text, ",\"minContains\":%d", (int)pick(m, 3));
    }
    (void)buf_add_char(&m->text, '}');
}

static void make_object(struct maker *m, unsigned depth)
{
    static const char *const names[] = {"a", "b", "ab"};
    const char *between = "";
    bool declared[ARRAY_LEN(names)] = {false};

    (void)buf_add_lit(&m->text, "{\"type\":\"object\",\"properties\":{");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (pick(m, 2) == 0) {
            (void)buf_addf(&m->text, "%s\"%s\":", between, names[i]);
            make_schema(m, depth);
            between = ",";
            declared[i] = true;
        }
    (void)buf_add_lit(&m->text, "},\"required\":[");
    between = "";
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (pick(m, 4) == 0 && (!m->plain || declared[i])) {
            (void)buf_addf(&m->text, "%s\"%s\"", between, names[i]);
            between = ",";
        }
    (void)buf_add_char(&m->text, ']');
    if (!m->plain && pick(m, 5) == 0) {
        (void)buf_addf(&m->text, ",\"patternProperties\":{\"%s\":", pick(m, 2) ? "^a" : "b$");
        make_schema(m, depth);
        (void)buf_add_char(&m->text, '}');
    }
    if (!m->plain && pick(m, 3) == 0) {
        (void)buf_add_lit(&m->text, ",\"additionalProperties\":");
        make_schema(m, depth);
    } else if (m->closed) {
        (void)buf_add_lit(&m->text, ",\"additionalProperties\":false");
    }
    if (pick(m, 5) == 0)
        (void)buf_addf(&m->text, ",\"maxProperties\":%d", (int)pick(m, 4));
    if (pick(m, 6) == 0)
        (void)buf_addf(&m->text, ",\"minProperties\":%d", (int)pick(m, 3));
    if (!m->plain && pick(m, 6) == 0)
        (void)buf_add_lit(&m->text, ",\"propertyNames\":{\"maxLength\":1}");
    if (!m->plain && pick(m, 6) == 0)
        (void)buf_add_lit(&m->text, ",\"dependentRequired\":{\"a\":[\"b\"]}");
    (void)buf_add_char(&m->text, '}');
}

static void make_combined(struct maker *m, unsigned depth)
{
    static const char *const keywords[] = {"allOf", "anyOf", "oneOf"};
    uint64_t which = pick(m, 5);

    if (which < 3) {
        (void)buf_addf(&m->text, "{\"%s\":[", keywords[which]);
        make_schema(m, depth);
        (void)buf_add_char(&m->text, ',');
        make_schema(m, depth);
        (void)buf_add_lit(&m->text, "]}");
    } else if (which == 3) {
        (void)buf_add_lit(&m->text, "{\"not\":");
        make_schema(m, depth);
        (void)buf_add_char(&m->text, '}');
    } else {
        (void)buf_add_lit(&m->text, "{\"if\":");
        make_schema(m, depth);
        (void)buf_add_lit(&m->text, ",\"then\":");
        make_schema(m, depth);
        (void)buf_add_lit(&m->text, ",\"else\":");
        make_schema(m, depth);
        (void)buf_add_char(&m->text, '}');
    }
}

static void make_schema(struct maker *m, unsigned depth)
{
    static const char *const small[] = {"true",
                                        "{\"type\":\"null\"}",
                                        "{\"type\":\"boolean\"}",
                                        "{\"enum\":[0,\"a\",null]}",
                                        "{\"const\":1}",
                                        "{\"enum\":[\"a\",\"b\",\"ab\"]}",
                                        "{\"type\":[\"integer\",\"string\"]}"};
    uint64_t which = pick(m, depth ? 12 : 6);

    if (which < 2)
        (void)buf_add(&m->text, str_from_c(small[pick(m, ARRAY_LEN(small))]));
    else if (which < 4)
        make_number(m);
    else if (which < 6)
        make_string(m);
    else if (which < 8)
        make_array(m, depth - 1);
    else if (which < 10 || m->plain)
        make_object(m, depth - 1);
    else
        make_combined(m, depth - 1);
}

/* --- random documents --- */

static void make_document(struct prng *p, struct buf *b, unsigned depth)
{
    static const char *const scalars[] = {"null",  "true",   "false",  "0",       "1",  "2",    "3",
                                          "-1",    "0.5",    "2.5",    "1.0",     "-3", "\"\"", "\"a\"",
                                          "\"b\"", "\"ab\"", "\"bb\"", "\"aab\"", "4",  "\"c\""};
    static const char *const names[] = {"a", "b", "ab", "c"};
    uint64_t which = prng_below(p, depth ? 4 : 1), n = prng_below(p, 4);
    const char *between = "";

    if (which < 2 && (depth < 2 || which == 0)) {
        (void)buf_add(b, str_from_c(scalars[prng_below(p, ARRAY_LEN(scalars))]));
    } else if (which == 2) {
        (void)buf_add_char(b, '[');
        for (uint64_t i = 0; i < n; i++) {
            (void)buf_add(b, str_from_c(i ? "," : ""));
            make_document(p, b, depth - 1);
        }
        (void)buf_add_char(b, ']');
    } else {
        (void)buf_add_char(b, '{');
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (prng_below(p, 2)) {
                (void)buf_addf(b, "%s\"%s\":", between, names[i]);
                make_document(p, b, depth - 1);
                between = ",";
            }
        (void)buf_add_char(b, '}');
    }
}

enum { POOL = 10000 };

struct pool {
    struct arena arena;
    struct json_node documents[POOL];
};

static void pool_release(struct pool *pool)
{
    arena_release(&pool->arena);
}

static void pool_fill(struct pool *pool)
{
    struct prng p;

    prng_seed(&p, test_seed());
    arena_init(&pool->arena, 1 << 28);
    for (size_t i = 0; i < POOL; i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);
        const struct json_tree *tree;
        make_document(&p, &text, 3);
        CHECK_OK(json_tree_parse(&pool->arena, arena_str(&pool->arena, buf_str(&text)), &tree));
        pool->documents[i] = json_tree_root(tree);
    }
}

static struct pool pool_of_documents;

/* No document of the pool is of `of` and not of the consumer. */
static void check_proof(const struct jsonschema *of, const struct jsonschema *consumer, struct arena *arena)
{
    for (size_t i = 0; i < POOL; i++) {
        bool theirs, ours;
        CHECK_OK(jsonschema_validate(of, pool_of_documents.documents[i], arena, NULL, &theirs));
        if (!theirs)
            continue;
        CHECK_OK(jsonschema_validate(consumer, pool_of_documents.documents[i], arena, NULL, &ours));
        CHECK_MSG(ours, "said to be proven, but there is %.*s", STR_ARG(json_node_raw(pool_of_documents.documents[i])));
    }
}

struct tally {
    unsigned proven, refuted, unknown;
};

/* One pair. `honest`: the producer is read as what it is when closed. */
static void check_random(uint64_t seed, bool honest, struct tally *tally)
{
    struct arena arena CLEANUP(arena_release);
    struct maker closed = {.text = BUF_INIT(1 << 20), .plain = honest, .closed = true}, producer = closed,
                 consumer = closed;
    struct inclusion_result r;
    bool related;

    arena_init(&arena, 1 << 30);
    prng_seed(&closed.prng, seed);
    producer.closed = false;
    consumer.closed = false;
    consumer.plain = false;
    related = pick(&closed, 2) == 0;
    consumer.prng = prng_fork(&closed.prng);
    producer.prng = closed.prng;
    make_schema(&consumer, 3);
    /* Half of the pairs have something to do with each other. */
    if (related && !honest)
        (void)buf_addf(&producer.text, "{\"allOf\":[%.*s,", STR_ARG(buf_str(&consumer.text)));
    make_schema(&producer, 3);
    if (related && !honest)
        (void)buf_add_lit(&producer.text, "]}");
    make_schema(&closed, 3);
    const struct jsonschema *p = compile_text(&arena, buf_str(&producer.text)),
                            *c = compile_text(&arena, buf_str(&consumer.text)),
                            *of = honest ? compile_text(&arena, buf_str(&closed.text)) : p;
    test_context("seed %llu: %.*s against %.*s", (unsigned long long)seed, STR_ARG(buf_str(&producer.text)),
                 STR_ARG(buf_str(&consumer.text)));
    if (p && c && of &&
        inclusion_check(
            p, c, &(struct inclusion_options){.reading = honest ? INCLUSION_HONEST : INCLUSION_STRICT, .steps = 60000},
            &arena, &r) == OK) {
        tally->proven += r.verdict == INCLUSION_PROVEN;
        tally->refuted += r.verdict == INCLUSION_REFUTED;
        tally->unknown += r.verdict == INCLUSION_UNKNOWN;
        if (r.verdict == INCLUSION_PROVEN)
            check_proof(of, c, &arena);
        if (r.verdict == INCLUSION_REFUTED && !(is_valid(of, r.document, &arena) && !is_valid(c, r.document, &arena)))
            test_fail_(__FILE__, __LINE__, "%.*s does not refute it", STR_ARG(r.document));
        if (r.verdict == INCLUSION_UNKNOWN && test_rounds(0) == 1)
            (void)printf("# unknown: %.*s\n", STR_ARG(r.why));
    } else {
        test_fail_(__FILE__, __LINE__, "%s", err_detail(E_TOO_LARGE));
    }
    buf_release(&closed.text);
    buf_release(&producer.text);
    buf_release(&consumer.text);
}

static void check_all_random(bool honest)
{
    struct tally tally = {0};
    uint64_t rounds = test_rounds(300);

    pool_fill(&pool_of_documents);
    for (uint64_t i = 0; i < rounds && !test_failed(); i++)
        check_random(test_seed() + i, honest, &tally);
    pool_release(&pool_of_documents);
    if (test_failed())
        return;
    test_context("%s", "");
    (void)printf("# %u proven, %u refuted, %u unknown\n", tally.proven, tally.refuted, tally.unknown);
    /* A checker that knows nothing would pass everything above. */
    CHECK_MSG(rounds < 100 || (tally.proven * 10 > rounds && tally.refuted * 4 > rounds && tally.unknown * 10 < rounds),
              "too little is decided");
}

TEST(inclusion_is_never_contradicted_by_random_documents)
{
    check_all_random(false);
}

TEST(inclusion_read_honestly_is_that_of_closed_objects)
{
    check_all_random(true);
}
