/* endpoint_test.c - which operation of which dialect a method and path mean. */
#include "gateway/endpoint.h"

#include <stdio.h>

#include "test.h"

static struct arena arena;
static struct http_head head;

static struct endpoint find(const char *method, const char *path)
{
    struct endpoint e;

    arena_release(&arena); /* of the search before */
    arena_init(&arena, 1 << 20);
    endpoint_find(str_from_c(method), str_from_c(path), &head, &arena, &e);
    return e;
}

static bool is_found(const char *method, const char *path, const char *dialect, enum operation operation)
{
    struct endpoint e = find(method, path);

    return e.kind == ENDPOINT_OPERATION && e.row->operation == operation &&
           str_eq(str_from_c(e.dialect->name), str_from_c(dialect));
}

TEST(openai_s_operations_are_found_by_method_and_path)
{
    CHECK(is_found("POST", "/v1/chat/completions", "openai", OP_CHAT));
    CHECK(is_found("POST", "/v1/completions", "completions", OP_CHAT));
    CHECK(is_found("POST", "/v1/responses", "responses", OP_CHAT));
    CHECK(is_found("POST", "/v1/embeddings", "openai", OP_EMBED));
    CHECK(is_found("GET", "/v1/models", "openai", OP_MODELS));
    CHECK_STR(find("POST", "/v1/chat/completions").path, "/chat/completions");
}

TEST(doubled_version_trailing_slash_and_prefix_are_tolerated)
{
    CHECK(is_found("POST", "/v1/v1/chat/completions", "openai", OP_CHAT));
    CHECK(is_found("POST", "/v1/chat/completions/", "openai", OP_CHAT));
    CHECK(is_found("POST", "/openai/v1/chat/completions", "openai", OP_CHAT));
    CHECK(is_found("POST", "/openai/chat/completions", "openai", OP_CHAT));
    CHECK(is_found("POST", "/mistral/v1/chat/completions", "openai", OP_CHAT));
    CHECK_EQ(find("POST", "/v1x/chat/completions").kind, ENDPOINT_UNKNOWN);
}

/* Its path with something in each place. */
static const char *filled(const struct endpoint_row *row, char *to, size_t max)
{
    size_t n = 0;

    for (const char *p = row->path; *p && n + 2 < max; p++) {
        to[n++] = *p == '{' ? 'x' : *p;
        if (*p == '{')
            p = strchr(p, '}');
    }
    to[n] = 0;
    return to;
}

TEST(the_name_of_a_dialect_in_front_of_a_path_settles_whose_it_is)
{
    char plain[200], prefixed[300];

    for (size_t i = 0; i < dialect_catalog_count; i++)
        for (const struct endpoint_row *row = dialect_catalog[i]->client.endpoints; row->method; row++) {
            snprintf(prefixed, sizeof prefixed, "/%s%s", dialect_catalog[i]->name, filled(row, plain, sizeof plain));
            test_context("%s %s", row->method, prefixed);
            struct endpoint e = find(row->method, prefixed);
            CHECK(e.dialect == dialect_catalog[i]);
            CHECK(e.row && e.row->operation == row->operation);
        }
}

TEST(dialects_that_clients_use_along_with_another_are_below_its_prefix)
{
    for (size_t i = 0; i < dialect_catalog_count; i++)
        for (const char *const *name = dialect_catalog[i]->client.along; name && *name; name++) {
            test_context("%s below %s", *name, dialect_catalog[i]->name);
            CHECK(dialect_find(str_from_c(*name)) != NULL);
        }
    CHECK(is_found("POST", "/ollama/v1/chat/completions", "openai", OP_CHAT));
    CHECK(is_found("POST", "/bedrock/model/m/invoke-with-response-stream", "anthropic", OP_CHAT));
    CHECK(is_found("POST", "/tei/v1/embeddings", "openai", OP_EMBED));
}

TEST(every_dialect_can_tell_and_read_errors)
{
    for (size_t i = 0; i < dialect_catalog_count; i++) {
        test_context("%s", dialect_catalog[i]->name);
        CHECK(dialect_catalog[i]->client.write_error != NULL);
        CHECK(dialect_catalog[i]->provider.read_error != NULL);
    }
}

TEST(a_model_id_may_hold_slashes_coded_or_not)
{
    struct endpoint e = find("GET", "/v1/models/meta%2Fllama/instruct%3A0");

    CHECK_EQ(e.kind, ENDPOINT_OPERATION);
    CHECK_STR(e.model, "meta/llama/instruct:0");
}

TEST(other_paths_below_v1_pass_through_with_their_path)
{
    struct endpoint e = find("POST", "/v1/fine_tuning/jobs");

    CHECK_EQ(e.kind, ENDPOINT_PASS_THROUGH);
    CHECK_STR(e.path, "/fine_tuning/jobs");
    CHECK_EQ(find("GET", "/v1/audio/speech").kind, ENDPOINT_PASS_THROUGH);
    CHECK_EQ(find("GET", "/v1/chat/completions").kind, ENDPOINT_PASS_THROUGH);
    CHECK_EQ(find("DELETE", "/v1/models/ft:x").kind, ENDPOINT_PASS_THROUGH);
}

TEST(kept_responses_are_told_apart_and_pass_through)
{
    struct endpoint e = find("GET", "/v1/responses/resp_1");

    CHECK_EQ(e.kind, ENDPOINT_PASS_THROUGH);
    CHECK_STR(e.path, "/responses/resp_1");
    CHECK(e.row && e.row->operation == OP_PASS);
    CHECK_EQ(find("DELETE", "/v1/responses/resp_1").kind, ENDPOINT_PASS_THROUGH);
    CHECK_NE(find("DELETE", "/v1/responses/resp_1").row->variant, e.row->variant);
    CHECK_STR(find("POST", "/v1/responses/resp_1/cancel").path, "/responses/resp_1/cancel");
    CHECK_STR(find("GET", "/v1/responses/resp_1/input_items").path, "/responses/resp_1/input_items");
    CHECK(is_found("POST", "/v1/responses/input_tokens", "responses", OP_COUNT_TOKENS));
    CHECK(is_found("POST", "/openai/responses", "responses", OP_CHAT));
}

TEST(azure_s_deployments_are_models)
{
    struct endpoint e = find("POST", "/openai/deployments/gpt-4o/chat/completions");

    CHECK_EQ(e.kind, ENDPOINT_OPERATION);
    CHECK_STR(e.model, "gpt-4o");
    CHECK(is_found("POST", "/openai/deployments/e/embeddings", "openai", OP_EMBED));
    CHECK(is_found("POST", "/openai/deployments/e/completions", "completions", OP_CHAT));
}

TEST(anthropic_s_and_google_s_operations_are_found)
{
    CHECK(is_found("POST", "/v1/messages", "anthropic", OP_CHAT));
    CHECK(is_found("POST", "/v1/messages/count_tokens", "anthropic", OP_COUNT_TOKENS));
    CHECK(is_found("POST", "/model/anthropic.claude%3A0/invoke", "anthropic", OP_CHAT));
    CHECK(is_found("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict", "anthropic",
                   OP_CHAT));
    CHECK(is_found("POST", "/v1beta/models/gemini-x:generateContent", "gemini", OP_CHAT));
    CHECK(is_found("POST", "/v1/models/gemini-x:streamGenerateContent", "gemini", OP_CHAT));
    CHECK(is_found("POST", "/v1beta1/projects/p/locations/l/publishers/google/models/m:predict", "gemini", OP_EMBED));
    CHECK_STR(find("POST", "/v1beta/models/gemini-x:countTokens").model, "gemini-x");
    CHECK(is_found("POST", "/v1alpha/models/gemini-x:generateContent", "gemini", OP_CHAT));
    CHECK_STR(find("POST", "/v1alpha/tunedModels/mine-1:streamGenerateContent").model, "mine-1");
    CHECK(is_found("POST", "/v1/projects/p/locations/l/endpoints/123:generateContent", "gemini", OP_CHAT));
    CHECK_STR(find("POST", "/v1beta1/projects/p/locations/l/endpoints/123:streamGenerateContent").model, "123");
    CHECK_STR(find("GET", "/v1/messages/batches/b_1/results").path, "/messages/batches/b_1/results");
}

TEST(paths_of_hugging_faces_servers_are_of_both)
{
    struct endpoint e = find("GET", "/info");

    CHECK_STR(str_from_c(e.dialect->name), "tei");
    CHECK_STR(str_from_c(e.other->name), "tgi");
    endpoint_take_other(&e);
    CHECK_STR(str_from_c(e.dialect->name), "tgi");
    CHECK(!e.other);
    CHECK_STR(e.path, "/info");
    CHECK(is_found("GET", "/tgi/info", "tgi", OP_MODEL));
    CHECK(is_found("GET", "/health", "tei", OP_STATIC));
    CHECK(is_found("POST", "/tgi/chat_tokenize", "tgi", OP_PASS));
    CHECK(is_found("POST", "/tei/tokenize", "tei", OP_PASS));
}

TEST(bedrock_s_operations_are_found)
{
    struct endpoint e = find("POST", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse");

    CHECK_STR(str_from_c(e.dialect->name), "bedrock");
    CHECK_STR(e.model, "arn:aws:bedrock:us-east-1:1:inference-profile/x");
    CHECK_STR(find("POST", "/model/a%253Ab/converse").model, "a%3Ab"); /* decoded once */
    CHECK(is_found("POST", "/bedrock/model/m/converse-stream", "bedrock", OP_CHAT));
    CHECK(is_found("POST", "/model/m/count-tokens", "bedrock", OP_COUNT_TOKENS));
    CHECK(is_found("GET", "/foundation-models", "bedrock", OP_MODELS));
}

TEST(what_is_invoked_on_bedrock_is_told_by_the_body)
{
    static const struct {
        const char *body, *dialect;
        enum operation operation;
    } cases[] = {
        {"{\"anthropic_version\":\"bedrock-2023-05-31\",\"messages\":[]}", "anthropic", OP_CHAT},
        {"{\"inputText\":\"a\"}", "bedrock", OP_EMBED},
        {"{\"inputImage\":\"a\"}", "bedrock", OP_EMBED},
        {"{\"texts\":[\"a\"],\"input_type\":\"search_query\"}", "bedrock", OP_EMBED},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t k = 0; k < 2; k++) { /* whichever of the two comes first there */
            struct endpoint e = find("POST", k ? "/bedrock/model/m/invoke" : "/model/m/invoke");
            test_context("%s", cases[i].body);
            endpoint_settle(&e, str_from_c(cases[i].body));
            CHECK_STR(str_from_c(e.dialect->name), cases[i].dialect);
            CHECK_EQ(e.row->operation, cases[i].operation);
        }
    }
}

TEST(a_known_path_with_the_wrong_method_names_the_right_one)
{
    struct endpoint e = find("GET", "/v1/embeddings");

    CHECK_EQ(e.kind, ENDPOINT_WRONG_METHOD);
    CHECK_STR(str_from_c(e.allow), "POST");
    CHECK_STR(str_from_c(find("POST", "/v1/models").allow), "GET");
}

TEST(paths_that_no_dialect_has_are_unknown)
{
    CHECK_EQ(find("GET", "/v1").kind, ENDPOINT_UNKNOWN);
    CHECK_EQ(find("GET", "/v1/").kind, ENDPOINT_UNKNOWN);
    CHECK_EQ(find("POST", "/chat/completions").kind, ENDPOINT_UNKNOWN);
    CHECK(find("POST", "/nothing").dialect != NULL);
}

TEST(ollama_s_operations_are_found_and_its_root_is_a_path)
{
    CHECK(is_found("POST", "/api/chat", "ollama", OP_CHAT));
    CHECK(is_found("POST", "/ollama/api/generate", "ollama", OP_CHAT));
    CHECK(is_found("POST", "/api/show", "ollama", OP_MODEL));
    CHECK(is_found("GET", "/", "ollama", OP_STATIC));
    CHECK(is_found("HEAD", "/", "ollama", OP_STATIC));
    CHECK(is_found("GET", "/ollama", "ollama", OP_STATIC));
    CHECK(is_found("DELETE", "/api/delete", "ollama", OP_STATIC));
    CHECK(is_found("POST", "/ollama/v1/chat/completions", "openai", OP_CHAT));
}

TEST(media_are_relayed_by_their_model)
{
    CHECK(is_found("POST", "/v1/images/generations", "openai", OP_PASS));
    CHECK(is_found("POST", "/v1/audio/speech", "openai", OP_PASS));
    CHECK(is_found("POST", "/v1/moderations", "openai", OP_PASS));
    CHECK_EQ(find("POST", "/v1/audio/transcriptions").row->model, MODEL_IN_FORM);
    CHECK_STR(find("POST", "/openai/v1/images/edits").path, "/images/edits");
}
