/* openai_body_test.c - what a relay reads in OpenAI bodies and which bytes it changes. */
#include "llm/openai_body.h"

#include "test.h"

/* Read `doc`, rewrite it, and return the joined result in `out`. */
static err_t rewrite(const char *doc, const char *model, bool ask_usage, struct buf *out)
{
    struct arena arena CLEANUP(arena_release);
    struct openai_request q;
    struct str param, *parts;
    size_t count;

    arena_init(&arena, 1 << 20);
    TRY(openai_request_read(str_from_c(doc), &arena, &q, &param));
    TRY(openai_request_rewrite(&q, str_from_c(model), ask_usage, &arena, &parts, &count));
    for (size_t i = 0; i < count; i++)
        TRY(buf_add(out, parts[i]));
    return OK;
}

static void check_rewrite(const char *doc, const char *model, bool ask_usage, const char *expected)
{
    struct buf out CLEANUP(buf_release) = BUF_INIT(1 << 20);

    CHECK_OK(rewrite(doc, model, ask_usage, &out));
    CHECK_STR(buf_str(&out), expected);
}

static err_t read_param(const char *doc, char *param, size_t cap)
{
    struct arena arena CLEANUP(arena_release);
    struct openai_request q;
    struct str at;

    arena_init(&arena, 1 << 20);
    err_t e = openai_request_read(str_from_c(doc), &arena, &q, &at);
    size_t n = at.n < cap - 1 ? at.n : cap - 1;
    if (n)
        memcpy(param, at.p, n);
    param[n] = '\0';
    return e;
}

TEST(only_the_model_changes_and_every_other_byte_stays)
{
    check_rewrite("{ \"z\":1.50, \"model\" : \"chat\",\"a\":[ ]}", "gpt-4o", false,
                  "{ \"z\":1.50, \"model\" : \"gpt-4o\",\"a\":[ ]}");
    check_rewrite("{\"model\":\"ch\\u0061t\",\"seed\":12345678901234567890}", "a\"b", false,
                  "{\"model\":\"a\\\"b\",\"seed\":12345678901234567890}");
}

TEST(the_service_tier_is_read_where_it_is_a_word)
{
    static const struct {
        const char *doc;
        struct str tier;
    } rows[] = {
        {"{\"model\":\"m\",\"service_tier\": \"flex\"}", STR_INIT("flex")},
        {"{\"service_tier\":\"priority\",\"model\":\"m\",\"x\":{\"service_tier\":\"flex\"}}", STR_INIT("priority")},
        {"{\"model\":\"m\",\"service_tier\":\"\"}", STR_INIT("")},
        {"{\"model\":\"m\",\"service_tier\":null}", STR_INIT("")},
        {"{\"model\":\"m\",\"service_tier\":{\"flex\":1}}", STR_INIT("")},
        {"{\"model\":\"m\"}", STR_INIT("")}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena CLEANUP(arena_release);
        struct openai_request q;
        struct str param;
        arena_init(&arena, 1 << 20);
        CHECK_OK(openai_request_read(str_from_c(rows[i].doc), &arena, &q, &param));
        CHECK(str_eq(q.service_tier, rows[i].tier));
    }
}

TEST(an_equal_name_leaves_the_body_alone)
{
    check_rewrite("{\"model\":\"m\" }", "m", false, "{\"model\":\"m\" }");
}

TEST(usage_is_asked_for_in_streams_whatever_options_there_are)
{
    check_rewrite("{\"model\":\"m\",\"stream\":true}", "m", true,
                  "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    check_rewrite("{\"model\":\"m\",\"stream_options\":null}", "m", true,
                  "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true}}");
    check_rewrite("{\"model\":\"m\",\"stream_options\":{\"include_obfuscation\":false}}", "m", true,
                  "{\"model\":\"m\",\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":true}}");
    check_rewrite("{\"stream_options\":{\"include_usage\":false},\"model\":\"m\"}", "n", true,
                  "{\"stream_options\":{\"include_usage\":true},\"model\":\"n\"}");
    check_rewrite("{\"model\":\"m\",\"stream_options\":{\"include_usage\":true}}", "m", true,
                  "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true}}");
}

TEST(mistrals_word_for_a_required_call_becomes_openais)
{
    check_rewrite(
        "{\"tool_choice\": \"any\" ,\"model\":\"chat\",\"stream\":true}", "m", true,
        "{\"tool_choice\": \"required\" ,\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    check_rewrite("{\"model\":\"m\",\"tool_choice\":\"any\"}", "m", false,
                  "{\"model\":\"m\",\"tool_choice\":\"required\"}");
    check_rewrite("{\"model\":\"m\",\"tool_choice\":\"auto\",\"x\":{\"tool_choice\":\"any\"}}", "m", false,
                  "{\"model\":\"m\",\"tool_choice\":\"auto\",\"x\":{\"tool_choice\":\"any\"}}");
    check_rewrite("{\"model\":\"m\",\"tool_choice\":[\"any\"]}", "m", false,
                  "{\"model\":\"m\",\"tool_choice\":[\"any\"]}");
    check_rewrite("{\"model\":\"m\",\"tool_choice\":\"any\",\"tool_choice\":\"none\"}", "m", false,
                  "{\"model\":\"m\",\"tool_choice\":\"any\",\"tool_choice\":\"none\"}");
}
TEST(what_decides_the_route_must_be_there_once_and_of_the_right_type)
{
    static const struct {
        const char *doc, *param;
    } cases[] = {
        {"{}", "model"},
        {"{\"model\":1}", "model"},
        {"{\"model\":\"\"}", "model"},
        {"{\"model\":\"a\",\"model\":\"b\"}", "model"},
        {"{\"model\":\"a\",\"mod\\u0065l\":\"b\"}", "model"},
        {"{\"model\":\"a\",\"stream\":\"yes\"}", "stream"},
        {"{\"model\":\"a\",\"stream\":true,\"stream\":false}", "stream"},
        {"{\"model\":\"a\",\"stream_options\":[]}", "stream_options"},
        {"[]", ""},
        {"{\"model\":\"a\"", ""},
        {"", ""},
        {"{\"model\":\"a\"} x", ""},
    };
    char param[32];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_ERR(read_param(cases[i].doc, param, sizeof param), E_PARSE);
        CHECK_STR(str_from_c(param), cases[i].param);
    }
}

TEST(an_answers_usage_is_found_at_every_cut)
{
    static const char doc[] =
        "{\"id\":\"x\",\"choices\":[{\"message\":{\"content\":\"\\\"usage\\\":{\"}}],\"usage\":{\"prompt_tokens\":9,"
        "\"completion_tokens\":12,\"total_tokens\":21,\"prompt_tokens_details\":{\"cached_tokens\":4},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":3}},\"z\":1}";
    size_t n = sizeof doc - 1;

    for (size_t cut = 0; cut <= n; cut++) {
        struct openai_answer a CLEANUP(openai_answer_release);
        openai_answer_init(&a);
        openai_answer_feed(&a, str_of(doc, cut));
        openai_answer_feed(&a, str_of(doc + cut, n - cut));
        CHECK(openai_answer_end(&a));
        CHECK(a.usage.known);
        CHECK_EQ(a.usage.input, 9);
        CHECK_EQ(a.usage.output, 12);
        CHECK_EQ(a.usage.cached_input, 4);
        CHECK_EQ(a.usage.reasoning, 3);
    }
}

TEST(an_answer_that_is_not_json_is_broken)
{
    static const char *const docs[] = {"<html>", "{\"a\":1", "", "{\"a\":1}{"};

    for (size_t i = 0; i < ARRAY_LEN(docs); i++) {
        struct openai_answer a CLEANUP(openai_answer_release);
        openai_answer_init(&a);
        openai_answer_feed(&a, str_from_c(docs[i]));
        CHECK(!openai_answer_end(&a));
    }
}

TEST(usages_add_up_and_the_sum_is_known_if_both_are)
{
    struct usage sum = {1, 2, 3, 4, 5, 6, 7, 8, true}, more = {10, 20, 30, 40, 50, 60, 70, 80, true};

    usage_add(&sum, &more);
    CHECK_EQ(sum.input, 11);
    CHECK_EQ(sum.output, 22);
    CHECK_EQ(sum.cached_input, 33);
    CHECK_EQ(sum.cache_write, 44);
    CHECK_EQ(sum.cache_write_1h, 55);
    CHECK_EQ(sum.reasoning, 66);
    CHECK_EQ(sum.audio_input, 77);
    CHECK_EQ(sum.audio_output, 88);
    CHECK(sum.known);
    more.known = false;
    usage_add(&sum, &more);
    CHECK(!sum.known);
}

TEST(responses_usage_has_other_names)
{
    struct usage u = {0};

    CHECK(
        usage_from_openai(STR("{\"input_tokens\":5,\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens\":7,"
                              "\"output_tokens_details\":{\"reasoning_tokens\":2},\"total_tokens\":12}"),
                          &u));
    CHECK_EQ(u.input, 5);
    CHECK_EQ(u.output, 7);
    CHECK_EQ(u.cached_input, 1);
    CHECK_EQ(u.reasoning, 2);
    CHECK(!usage_from_openai(STR("null"), &u));
    CHECK(!usage_from_openai(STR("{}"), &u));
    CHECK_EQ(u.input, 5);
}
