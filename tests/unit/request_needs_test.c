/* request_needs_test.c - what a body asks for, in the words of every dialect; and which deployments may get it. */
#include "gateway/needs.h"

#include "base/buf.h"
#include "codec/json_scan.h"
#include "gateway/exchange.h"
#include "llm/estimate.h"
#include "rt/sanitize.h"
#include "unit/test.h"

static void check_bits(const char *body, uint32_t bits)
{
    struct needs n;

    test_context("%s", body);
    needs_look(str_from_c(body), &n);
    CHECK_EQ(n.bits, bits);
}

TEST(needs_tools_are_seen_in_every_dialect_and_empty_lists_are_none)
{
    check_bits("{\"messages\":[],\"tools\":[{\"type\":\"function\"}]}", NEED_TOOLS);
    check_bits("{\"functions\":[{\"name\":\"f\"}]}", NEED_TOOLS);
    check_bits("{\"toolConfig\":{\"tools\":[]}}", NEED_TOOLS);
    check_bits("{\"tools\":[]}", 0);
    check_bits("{\"tools\":null}", 0);
    check_bits("{\"messages\":[{\"content\":\"tools\"}]}", 0);
    check_bits("{\"metadata\":{\"tools\":[1]}}", 0);
}

TEST(needs_json_means_a_schema)
{
    check_bits("{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{}}}", NEED_JSON);
    check_bits("{\"response_format\":{\"type\":\"json_object\"}}", 0);
    check_bits("{\"response_format\":{\"type\":\"json_object\",\"schema\":{\"type\":\"object\"}}}", NEED_JSON);
    check_bits("{\"text\":{\"format\":{\"type\":\"json_schema\"}}}", NEED_JSON);
    check_bits("{\"text\":{\"format\":{\"type\":\"text\"}}}", 0);
    check_bits("{\"generationConfig\":{\"responseMimeType\":\"application/json\"}}", 0);
    check_bits("{\"generationConfig\":{\"responseSchema\":{\"type\":\"OBJECT\"}}}", NEED_JSON);
    check_bits("{\"format\":\"json\"}", 0);
    check_bits("{\"format\":{\"type\":\"object\"}}", NEED_JSON);
    check_bits("{\"output_config\":{\"format\":{\"type\":\"json_schema\"}}}", NEED_JSON);
    check_bits("{\"output_format\":{\"type\":\"json_schema\"}}", NEED_JSON);
}

TEST(needs_reasoning_is_what_the_client_turns_on)
{
    check_bits("{\"reasoning_effort\":\"high\"}", NEED_REASONING);
    check_bits("{\"reasoning_effort\":\"none\"}", 0);
    check_bits("{\"reasoning\":{\"effort\":\"low\"}}", NEED_REASONING);
    check_bits("{\"reasoning\":{\"summary\":\"auto\"}}", 0);
    check_bits("{\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}}", NEED_REASONING);
    check_bits("{\"thinking\":{\"type\":\"disabled\"}}", 0);
    check_bits("{\"think\":true}", NEED_REASONING);
    check_bits("{\"think\":false}", 0);
    check_bits("{\"think\":\"high\"}", NEED_REASONING);
    check_bits("{\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":512}}}", NEED_REASONING);
    check_bits("{\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":0}}}", 0);
    check_bits("{\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":-1}}}", NEED_REASONING);
    check_bits("{\"generationConfig\":{\"thinkingConfig\":{\"includeThoughts\":true}}}", 0);
}

TEST(needs_output_of_other_kinds_is_seen)
{
    check_bits("{\"modalities\":[\"text\",\"audio\"]}", NEED_AUDIO_OUTPUT);
    check_bits("{\"modalities\":[\"text\"]}", 0);
    check_bits("{\"generationConfig\":{\"responseModalities\":[\"TEXT\",\"IMAGE\"]}}", NEED_IMAGE_OUTPUT);
}

static bool hints_at_media(const char *body)
{
    struct needs n;

    needs_look(str_from_c(body), &n);
    return n.maybe_media;
}

TEST(needs_media_are_hinted_at_by_keys_of_the_conversation)
{
    CHECK(hints_at_media("{\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}"));
    CHECK(hints_at_media("{\"input\":[{\"content\":[{\"type\":\"input_image\",\"image_url\":\"x\"}]}]}"));
    CHECK(hints_at_media("{\"messages\":[{\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\"}}]}]}"));
    CHECK(hints_at_media("{\"contents\":[{\"parts\":[{\"inlineData\" : {\"mimeType\":\"image/png\"}}]}]}"));
    CHECK(hints_at_media("{\"contents\":[{\"parts\":[{\"inline_data\":{}}]}]}"));
    CHECK(hints_at_media("{\"contents\":[{\"parts\":[{\"fileData\":{}}]}]}"));
    CHECK(hints_at_media("{\"messages\":[{\"content\":[{\"image\":{\"format\":\"png\"}}]}]}"));
    CHECK(hints_at_media("{\"messages\":[{\"content\":\"x\",\"images\":[\"aGk=\"]}]}"));
    CHECK(hints_at_media("{\"messages\":[{\"content\":[{\"type\":\"input_audio\",\"input_audio\":{}}]}]}"));
    CHECK(hints_at_media("{\"messages\":[{\"content\":[{\"type\":\"file\",\"file\":{}}]}]}"));
    CHECK(!hints_at_media("{\"messages\":[{\"role\":\"user\",\"content\":\"an image_url: \\\"image_url\\\": x\"}]}"));
    CHECK(!hints_at_media("{\"messages\":[{\"role\":\"user\",\"content\":\"image\"}]}"));
    CHECK(!hints_at_media("{\"messages\":[],\"tools\":[{\"parameters\":{\"image\":{}}}]}"));
}

TEST(needs_tokens_are_those_of_strings_and_tools_with_a_frame_per_turn)
{
    struct needs n;

    needs_look(
        STR("{\"model\":\"a-long-name-that-is-no-prompt\",\"messages\":[{\"role\":\"user\",\"content\":\"12345678\"},"
            "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"\xe4\xbd\xa0\xe5\xa5\xbd\"}]}]}"),
        &n);
    CHECK_EQ(n.input, 4 + 1 + 2 + 4 + 3 + 1 + 3); /* role, user, text; role, assistant, text's type, text */
    needs_look(STR("{ \"messages\" : [ {\"content\" : \"12345678\"} ] , \"max_tokens\" : 7 }"), &n);
    CHECK_EQ(n.input, 2);
    CHECK_EQ(n.output, 7);
    needs_look(STR("{\"prompt\":\"12345678\",\"max_tokens\":7}"), &n);
    CHECK_EQ(n.input, 2);
    CHECK_EQ(n.output, 7);
    struct str tools = STR("[{\"name\":\"f\",\"parameters\":{}}]");
    needs_look(STR("{\"tools\":[{\"name\":\"f\",\"parameters\":{}}]}"), &n);
    CHECK_EQ(n.input, estimate_text(tools));
}

TEST(needs_of_a_body_that_is_no_object_are_none)
{
    static const char *const bodies[] = {"", "[{\"tools\":[{}]}]", "\"tools\":[{}]", "null"};
    struct needs n;

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        needs_look(str_from_c(bodies[i]), &n);
        CHECK_EQ(n.bits, 0);
        CHECK_EQ(n.input, 0);
    }
}

TEST(needs_several_prompts_are_told_from_one)
{
    struct needs n;

    needs_look(STR("{\"prompt\":[\"12345678\",\"12345678\"]}"), &n);
    CHECK(n.several);
    CHECK_EQ(n.input, 4);
    needs_look(STR("{\"prompt\":\"12345678\"}"), &n);
    CHECK(!n.several);
    needs_look(STR("{\"messages\":[{\"content\":\"12345678\"}]}"), &n);
    CHECK(!n.several);
}

TEST(needs_the_smallest_limit_of_the_answer_counts)
{
    struct needs n;

    needs_look(STR("{\"max_completion_tokens\":100,\"max_tokens\":50}"), &n);
    CHECK_EQ(n.output, 50);
    needs_look(STR("{\"max_tokens\":50,\"max_completion_tokens\":100}"), &n);
    CHECK_EQ(n.output, 50);
    needs_look(STR("{\"generationConfig\":{\"maxOutputTokens\":9}}"), &n);
    CHECK_EQ(n.output, 9);
    needs_look(STR("{\"inferenceConfig\":{\"maxTokens\":8}}"), &n);
    CHECK_EQ(n.output, 8);
    needs_look(STR("{\"options\":{\"num_predict\":-1}}"), &n); /* without limit */
    CHECK_EQ(n.output, 0);
    needs_look(STR("{\"max_tokens\":\"50\"}"), &n);
    CHECK_EQ(n.output, 0);
}

TEST(needs_metadata_and_user_are_slices_of_the_body)
{
    struct needs n;

    needs_look(STR("{\"metadata\":{\"tier\":\"gold\"},\"user\":\"u-1\"}"), &n);
    CHECK_STR(n.metadata, "{\"tier\":\"gold\"}");
    CHECK_STR(n.user, "\"u-1\"");
    needs_look(STR("{\"metadata\":{\"user_id\":\"u-2\"}}"), &n);
    CHECK_STR(n.user, "\"u-2\"");
    needs_look(STR("{\"user\":\"u-1\",\"metadata\":{\"user_id\":\"u-2\"}}"), &n);
    CHECK_STR(n.user, "\"u-1\"");
    needs_look(STR("{\"metadata\":\"text\",\"user\":7}"), &n);
    CHECK_EQ(n.metadata.n, 0);
    CHECK_EQ(n.user.n, 0);
}

TEST(needs_bodies_that_are_none_are_looked_at_without_harm)
{
    static const char *const bodies[] = {"",
                                         "{",
                                         "[]",
                                         "{\"messages\":",
                                         "{\"messages\":[\"",
                                         "{\"messages\":[\"\\",
                                         "{\"messages\":\"\"",
                                         "{\"tools\":[",
                                         "{\"tools\":{\"",
                                         "null",
                                         "{\"user\":\""};
    struct needs n;

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        needs_look(str_from_c(bodies[i]), &n);
        CHECK_EQ(n.bits & ~(uint32_t)NEED_TOOLS, 0);
    }
}

/* --- candidates --- */

static const struct provider provider = {.name = STR_INIT("p")};

static struct deployment deployment(uint32_t lacks, uint64_t context, uint64_t tags)
{
    return (struct deployment){
        .name = STR_INIT("p/m"), .provider = &provider, .lacks = lacks, .context_tokens = context, .tag_bits = tags};
}

static enum exclusion judge(struct needs needs, uint64_t required, struct deployment d)
{
    struct exchange x = {.needs = &needs, .required = required};

    return candidate_rules(&x, &d);
}

TEST(rules_a_deployment_that_lacks_what_is_needed_is_left_out)
{
    struct needs vision = {.bits = NEED_VISION | NEED_STREAM};

    CHECK_EQ(judge(vision, 0, deployment(NEED_VISION, 0, 0)), EXCLUDED_CAPABILITY);
    CHECK_EQ(judge(vision, 0, deployment(NEED_STREAM | NEED_AUDIO, 0, 0)), EXCLUDED_CAPABILITY);
    CHECK_EQ(judge(vision, 0, deployment(NEED_AUDIO | NEED_TOOLS, 0, 0)), EXCLUDED_NOT);
    CHECK_EQ(judge(vision, 0, deployment(0, 0, 0)), EXCLUDED_NOT);
}

TEST(rules_only_what_is_clearly_too_long_is_left_out)
{
    CHECK_EQ(judge((struct needs){.input = 1500}, 0, deployment(0, 1000, 0)), EXCLUDED_NOT);
    CHECK_EQ(judge((struct needs){.input = 1503}, 0, deployment(0, 1000, 0)), EXCLUDED_CAPABILITY);
    CHECK_EQ(judge((struct needs){.input = 900, .output = 400}, 0, deployment(0, 1000, 0)), EXCLUDED_NOT);
    CHECK_EQ(judge((struct needs){.input = 900, .output = 401}, 0, deployment(0, 1000, 0)), EXCLUDED_CAPABILITY);
    CHECK_EQ(judge((struct needs){.output = 1001}, 0, deployment(0, 1000, 0)), EXCLUDED_CAPABILITY);
    CHECK_EQ(judge((struct needs){.input = UINT64_MAX}, 0, deployment(0, 0, 0)), EXCLUDED_NOT); /* not known */
    CHECK_EQ(judge((struct needs){.input = 9000, .several = true}, 0, deployment(0, 1000, 0)), EXCLUDED_NOT);
}

TEST(rules_data_go_only_where_every_required_tag_is)
{
    struct needs nothing = {.bits = 0};

    CHECK_EQ(judge(nothing, 5, deployment(0, 0, 4)), EXCLUDED_DATA);
    CHECK_EQ(judge(nothing, 5, deployment(0, 0, 7)), EXCLUDED_NOT);
    CHECK_EQ(judge(nothing, 0, deployment(0, 0, 0)), EXCLUDED_NOT);
    CHECK_EQ(judge((struct needs){.bits = NEED_VISION}, 1, deployment(NEED_VISION, 0, 0)), EXCLUDED_DATA);
}

TEST(rules_a_tag_that_nobody_has_leaves_out_all)
{
    struct needs nothing = {.bits = 0};
    struct exchange x = {.needs = &nothing, .required_unknown = STR_INIT("mars")};
    struct deployment d = deployment(0, 0, UINT64_MAX);
    const struct provider p = {.tag_bits = UINT64_MAX};

    CHECK_EQ(candidate_rules(&x, &d), EXCLUDED_DATA);
    CHECK_EQ(rules_of_provider(&x, &p), EXCLUDED_DATA);
}

/* --- cost --- */

static double cost_of_look(struct str body, unsigned calls)
{
    double from = test_cpu_ns();
    struct needs n;

    for (unsigned i = 0; i < calls; i++)
        needs_look(body, &n);
    return (test_cpu_ns() - from) / calls;
}

static struct str conversation(struct buf *b, unsigned turns)
{
    (void)buf_add(b, STR("{\"messages\":["));
    for (unsigned i = 0; i < turns; i++)
        (void)buf_addf(b, "%s{\"role\":\"user\",\"content\":\"What is the capital of country %u?\"}", i ? "," : "", i);
    (void)buf_add(b, STR("],\"max_tokens\":256}"));
    return buf_str(b);
}

TEST(needs_look_costs_in_proportion_to_the_conversation)
{
    enum { ROUNDS = 9, SHORT = 20, LONG = 400, CALLS = 200 };
    struct buf few CLEANUP(buf_release) = BUF_INIT(1 << 20), many CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct str small = conversation(&few, SHORT), large = conversation(&many, LONG);
    double of_small = 1e9, of_large = 1e9;

    for (unsigned round = 0; round < ROUNDS; round++) {
        double one = cost_of_look(small, CALLS), other = cost_of_look(large, CALLS * SHORT / LONG);
        of_small = one < of_small ? one : of_small;
        of_large = other < of_large ? other : of_large;
    }
    CHECK_MSG(of_large < 2 * of_small * LONG / SHORT, "%.0f ns, and %.0f for a short one", of_large, of_small);
}

/* In turns, so that a neighbour who slows down the one slows down the other. */
TEST(needs_look_costs_as_much_as_a_few_checks_of_the_body_as_json)
{
    enum { ROUNDS = 19, CALLS = 1000 };
    struct str body =
        STR("{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant "
            "who answers in a few words, and in the language of the question.\"},{\"role\":\"user\","
            "\"content\":\"What is the capital of France, and how many people live there?\"}],"
            "\"temperature\":0.2,\"max_tokens\":256,\"stream\":true,\"user\":\"u-1234\"}");
    double look = 1e9, check = 1e9;
    unsigned valid = 0;

    if (RT_ASAN || RT_TSAN) {
        test_skip("a sanitizer slows down each in its own way");
        return;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        double took = cost_of_look(body, CALLS), from = test_cpu_ns();
        for (unsigned i = 0; i < CALLS; i++)
            valid += json_valid(body, 0);
        double checked = (test_cpu_ns() - from) / CALLS;
        look = took < look ? took : look;
        check = checked < check ? checked : check;
    }
    CHECK_EQ(valid, ROUNDS * CALLS);
    CHECK_MSG(look < 5 * check, "%.0f ns, and %.0f ns for a check", look, check); /* usually 2 to 3 */
}
