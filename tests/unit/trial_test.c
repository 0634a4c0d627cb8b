/* trial_test.c - patterns, recorded answers, and documents of YAML as JSON. */
#include "codec/json_tree.h"
#include "codec/yaml_json.h"
#include "pipeline/trial/trial_int.h"
#include "unit/test.h"

static struct arena arena;

static struct json_node document(const char *text)
{
    const struct json_tree *tree;

    if (json_tree_parse(&arena, str_from_c(text), &tree) != OK)
        test_fail_(__FILE__, __LINE__, "no document: %s", text);
    return json_tree_root(tree);
}

/* What is said of `is` held against `pattern`; "" if it fits. */
static struct str said(const char *pattern, const char *is)
{
    static struct pipeline_schema schema = {.name = STR_INIT("small"),
                                            .text = STR_INIT("{\"type\":\"number\",\"maximum\":9}")};
    static const struct pipeline_spec spec = {.schemas = &schema, .schema_count = 1};
    struct trial_problem problems[4];
    struct trial_matching m = {.arena = &arena, .spec = &spec, .problems = problems, .max = ARRAY_LEN(problems)};
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);

    trial_match(&m, STR("x"), document(pattern), document(is));
    for (size_t i = 0; i < m.count; i++)
        (void)buf_addf(&text, "%.*s %.*s\n", STR_ARG(problems[i].where), STR_ARG(problems[i].text));
    return arena_str(&arena, buf_str(&text));
}

TEST(trial_pattern_fits_what_has_what_it_names)
{
    static const char *const fitting[][2] = {
        {"{\"a\":1}", "{\"b\":2,\"a\":1.0}"},
        {"[1,{\"a\":[]}]", "[1,{\"a\":[],\"b\":1}]"},
        {"null", "null"},
        {"{\"a\":{\"$any\":true}}", "{\"a\":null}"},
        {"{\"a\":{\"$absent\":true}}", "{}"},
        {"{\"$exact\":{\"a\":[1]}}", "{\"a\":[1]}"},
        {"{\"$near\":0.5,\"$within\":0.1}", "0.6"},
        {"{\"$near\":0.3}", "0.30000000000000004"},
        {"{\"$cosine\":[1,2,3]}", "[2,4,6]"},
        {"{\"$cosine\":[1,0],\"$least\":0.7}", "[1,1]"},
        {"{\"$matches\":\"^a+$\"}", "\"aaa\""},
        {"{\"$schema\":\"small\"}", "9"},
    };
    arena_init(&arena, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(fitting); i++) {
        test_context("%s", fitting[i][0]);
        CHECK_STR(said(fitting[i][0], fitting[i][1]), "");
    }
    arena_release(&arena);
}

TEST(trial_pattern_says_where_and_what_does_not_fit)
{
    static const char *const others[][3] = {
        {"{\"a\":1}", "{\"a\":2}", "x.a is 2, and should be 1\n"},
        {"{\"a\":1}", "{}", "x.a is not there, and should be 1\n"},
        {"{\"a\":1}", "{\"a\":2,\"a\":1}", ""}, /* the last one counts, as for everybody else */
        {"{\"a\":{}}", "{\"a\":[]}", "x.a is [], and should be an object\n"},
        {"{}", "1", "x is 1, and should be an object\n"},
        {"[1]", "[1,2]", "x is [1,2], and should be an array of 1 elements\n"},
        {"[[1]]", "[[2]]", "x[0][0] is 2, and should be 1\n"},
        {"\"1\"", "1", "x is 1, and should be \"1\"\n"},
        {"{\"a\":{\"$any\":true}}", "{}", "x.a is not there\n"},
        {"{\"a\":{\"$absent\":true}}", "{\"a\":null}", "x.a is null, and should not be there\n"},
        {"{\"$exact\":{}}", "{\"a\":1}", "x is {\"a\":1}, and should be exactly {}\n"},
        {"{\"$near\":0.5,\"$within\":0.1}", "0.61", "x is 0.61, and should be within 0.1 of 0.5\n"},
        {"{\"$near\":0.5}", "\"0.5\"", "x is \"0.5\", and should be a number near 0.5\n"},
        {"{\"$cosine\":[1,0]}", "[0,1]", "x has a cosine of 0.000000 with what was expected; at least 0.999999\n"},
        {"{\"$cosine\":[1,0]}", "[0,0]", "x has a cosine of 0.000000 with what was expected; at least 0.999999\n"},
        {"{\"$cosine\":[1,0]}", "[1]", "x is [1], and should be a vector of 2 numbers\n"},
        {"{\"$matches\":\"^a+$\"}", "\"ab\"", "x is \"ab\", and should match ^a+$\n"},
        {"{\"$matches\":\"1\"}", "1", "x is 1, and should match 1\n"},
        {"{\"$schema\":\"small\"}", "10", "x is not valid by \"small\":  must be at most 9, is 10\n"},
        {"{\"$schema\":\"other\"}", "1", "x the pipeline has no schema \"other\" in a file\n"},
        {"{\"$nearly\":1}", "1", "x the pattern's \"$nearly\" is none that there is\n"},
    };
    arena_init(&arena, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        test_context("%s", others[i][0]);
        CHECK_STR(said(others[i][0], others[i][1]), others[i][2]);
    }
    arena_release(&arena);
}

/* --- cassettes --- */

static struct cassette_answer answer(const char *node, const char *input, const char *outputs, ns_t took)
{
    return (struct cassette_answer){str_from_c(node), str_from_c(input), str_from_c(outputs), took};
}

static void check_takes(struct cassette *c, const char *node, const char *input, const char *want)
{
    struct cassette_answer a;

    CHECK_OK(cassette_take(c, str_from_c(node), str_from_c(input), &a));
    CHECK_STR(a.outputs, want);
}

TEST(cassette_gives_answers_to_the_same_question_in_their_order_and_then_the_last)
{
    struct cassette *c = cassette_new(false);
    struct cassette_answer a = answer("n", "1", "[[-1,\"a\"]]", 0);

    CHECK_OK(cassette_add(c, &a));
    a = answer("n", "1", "[[-1,\"b\"]]", 0);
    CHECK_OK(cassette_add(c, &a));
    a = answer("m", "1", "[[-1,\"c\"]]", 0);
    CHECK_OK(cassette_add(c, &a));
    for (int again = 0; again < 2; again++) {
        check_takes(c, "n", "1", "[[-1,\"a\"]]");
        check_takes(c, "n", "1", "[[-1,\"b\"]]");
        check_takes(c, "n", "1", "[[-1,\"b\"]]");
        check_takes(c, "m", "1", "[[-1,\"c\"]]");
        cassette_rewind(c);
    }
    CHECK_ERR(cassette_take(c, STR("n"), STR("2"), &a), E_NOT_FOUND);
    CHECK_ERR(cassette_take(c, STR("n1"), STR(""), &a), E_NOT_FOUND);
    cassette_free(c);
}

TEST(cassette_reads_what_it_writes)
{
    struct cassette *c = cassette_new(true), *read = cassette_new(false);
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16), again CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct cassette_answer a = answer("a \"node\"", "{\"x\":[1.50]}", "[[0,null],[-1,{}]]", 1500 * NS_US);

    CHECK_OK(cassette_add(c, &a));
    a = answer("n", "\"é\"", "[]", 0);
    CHECK_OK(cassette_add(c, &a));
    CHECK_OK(cassette_write(c, &text));
    CHECK_OK(cassette_read(read, buf_str(&text)));
    CHECK_OK(cassette_write(read, &again));
    CHECK_STR(buf_str(&again), text.p ? arena_str(&arena, buf_str(&text)).p : "");
    CHECK_OK(cassette_take(read, STR("a \"node\""), STR("{\"x\":[1.50]}"), &a));
    CHECK_EQ(a.took, 1500 * NS_US);
    CHECK_ERR(cassette_read(read, STR("\n{\"node\":\"n\"}\n")), E_PARSE);
    CHECK(str_find(str_from_c(err_detail(E_PARSE)), STR("line 2")) == 0);
    cassette_free(c);
    cassette_free(read);
    arena_release(&arena);
}

/* --- YAML as JSON --- */

TEST(cassette_keeps_of_a_former_one_what_it_was_not_asked)
{
    static const char former_text[] = "{\"node\":\"a\",\"input\":1,\"outputs\":[[-1,\"old\"]]}\n"
                                      "{\"node\":\"a\",\"input\":2,\"outputs\":[[-1,\"first\"]]}\n"
                                      "{\"node\":\"a\",\"input\":2,\"outputs\":[[-1,\"second\"]]}\n";
    struct cassette *c = cassette_new(true), *former = cassette_new(false);
    struct cassette_answer a = {.node = STR("a"), .input = STR("1"), .outputs = STR("[[-1,\"new\"]]")};

    CHECK_OK(cassette_read(former, str_from_c(former_text)));
    CHECK_OK(cassette_add(c, &a));
    CHECK_OK(cassette_keep(c, former));
    CHECK_OK(cassette_take(c, STR("a"), STR("1"), &a));
    CHECK_STR(a.outputs, "[[-1,\"new\"]]");
    CHECK_OK(cassette_take(c, STR("a"), STR("1"), &a)); /* there is no other */
    CHECK_STR(a.outputs, "[[-1,\"new\"]]");
    CHECK_OK(cassette_take(c, STR("a"), STR("2"), &a));
    CHECK_STR(a.outputs, "[[-1,\"first\"]]");
    CHECK_OK(cassette_take(c, STR("a"), STR("2"), &a));
    CHECK_STR(a.outputs, "[[-1,\"second\"]]");
    cassette_free(c);
    cassette_free(former);
}

TEST(cassette_answers_are_cleaned_of_secrets)
{
    static const char *const cases[][2] = {
        {"[[-1,{\"a\":\"x sk-1234567 y sk-1234567\"}]]", "[[-1,{\"a\":\"x *** y ***\"}]]"},
        {"[\"sk-\\u0031234567\",\"sk-123\",7.50,null]", "[\"***\",\"sk-123\",7.50,null]"},
        {"{\"Set-Cookie\":\"a\",\"tokens\":\"b\",\"token\":3,\"Api_Key\":\"\"}",
         "{\"Set-Cookie\":\"***\",\"tokens\":\"b\",\"token\":3,\"Api_Key\":\"***\"}"},
        {"{\"password\":{\"secret\":\"a\",\"b\":[\"two words\"]}}",
         "{\"password\":{\"secret\":\"***\",\"b\":[\"***\"]}}"},
    };
    struct cassette *c = cassette_new(true);

    cassette_hide(c, STR("sk-1234567"));
    cassette_hide(c, STR("two words"));
    cassette_hide(c, STR("x")); /* too short to be looked for */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);
        CHECK_OK(cassette_clean(c, str_from_c(cases[i][0]), &text));
        CHECK_STR(buf_str(&text), cases[i][1]);
    }
    cassette_free(c);
}

TEST(yaml_values_become_the_json_that_they_mean)
{
    struct problems problems = {.arena = &arena};
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct yaml_node *root;

    arena_init(&arena, SIZE_MAX);
    CHECK_OK(yaml_parse(STR("a: [1, -2.50e3, '3', true, False, ~, null, no, 1 2, {}]\n\"b\\\"\": {c: \"d\\n\", e: }\n"),
                        STR("f"), NULL, &arena, &problems, &root));
    CHECK_OK(yaml_put_json(root, &problems, &json));
    CHECK_STR(buf_str(&json),
              "{\"a\":[1,-2.50e3,\"3\",true,false,null,null,\"no\",\"1 2\",{}],\"b\\\"\":{\"c\":\"d\\n\","
              "\"e\":null}}");
    CHECK_OK(yaml_parse(STR("[1, 0x1f]"), STR("f"), NULL, &arena, &problems, &root));
    CHECK_ERR(yaml_put_json(root, &problems, &json), E_PARSE);
    CHECK_EQ(problems.errors, 1);
    CHECK_EQ(problems.items[0].column, 5);
    arena_release(&arena);
}
