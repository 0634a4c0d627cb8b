/* endpoint_test.c - which operation a method and path mean. */
#include "gateway/endpoint.h"
#include "test.h"

static struct endpoint find(const char *method, const char *path)
{
    struct endpoint e;

    endpoint_find(str_from_c(method), str_from_c(path), &e);
    return e;
}

TEST(the_five_operations_are_found_by_method_and_path)
{
    CHECK_EQ(find("POST", "/v1/chat/completions").kind, ENDPOINT_CHAT);
    CHECK_EQ(find("POST", "/v1/completions").kind, ENDPOINT_COMPLETIONS);
    CHECK_EQ(find("POST", "/v1/responses").kind, ENDPOINT_RESPONSES);
    CHECK_EQ(find("POST", "/v1/embeddings").kind, ENDPOINT_EMBEDDINGS);
    CHECK_EQ(find("GET", "/v1/models").kind, ENDPOINT_MODEL_LIST);
}

TEST(doubled_version_trailing_slash_and_prefix_are_tolerated)
{
    CHECK_EQ(find("POST", "/v1/v1/chat/completions").kind, ENDPOINT_CHAT);
    CHECK_EQ(find("POST", "/v1/chat/completions/").kind, ENDPOINT_CHAT);
    CHECK_EQ(find("POST", "/openai/v1/chat/completions").kind, ENDPOINT_CHAT);
    CHECK_EQ(find("POST", "/openai/chat/completions").kind, ENDPOINT_CHAT);
    CHECK_EQ(find("POST", "/v1x/chat/completions").kind, ENDPOINT_UNKNOWN);
}

TEST(a_model_id_may_hold_slashes_and_stays_encoded)
{
    struct endpoint e = find("GET", "/v1/models/meta%2Fllama/instruct");

    CHECK_EQ(e.kind, ENDPOINT_MODEL_GET);
    CHECK_STR(e.model, "meta%2Fllama/instruct");
}

TEST(other_paths_below_v1_pass_through_with_their_path)
{
    struct endpoint e = find("POST", "/v1/audio/speech");

    CHECK_EQ(e.kind, ENDPOINT_PASS_THROUGH);
    CHECK_STR(e.path, "/audio/speech");
    CHECK_EQ(find("GET", "/v1/chat/completions").kind, ENDPOINT_PASS_THROUGH);
    CHECK_EQ(find("DELETE", "/v1/responses/resp_1").kind, ENDPOINT_PASS_THROUGH);
    CHECK_EQ(find("DELETE", "/v1/models/ft:x").kind, ENDPOINT_PASS_THROUGH);
}

TEST(a_known_path_with_the_wrong_method_names_the_right_one)
{
    struct endpoint e = find("GET", "/v1/embeddings");

    CHECK_EQ(e.kind, ENDPOINT_WRONG_METHOD);
    CHECK_STR(str_from_c(e.allow), "POST");
    CHECK_STR(str_from_c(find("POST", "/v1/models").allow), "GET");
}

TEST(paths_outside_v1_are_unknown)
{
    CHECK_EQ(find("GET", "/").kind, ENDPOINT_UNKNOWN);
    CHECK_EQ(find("GET", "/v1").kind, ENDPOINT_UNKNOWN);
    CHECK_EQ(find("GET", "/v1/").kind, ENDPOINT_UNKNOWN);
    CHECK_EQ(find("POST", "/chat/completions").kind, ENDPOINT_UNKNOWN);
}
