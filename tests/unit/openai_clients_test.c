/* openai_clients_test.c - answers of other vendors as OpenAI's own clients take them: what their types and accumulators insist on. */
#include "dialect_world.h"

static struct str answer_of_tier(struct dialect_world *k, const char *path, const char *client, const char *tier,
                                 bool whole)
{
    struct chat_event events[] = {{.kind = CHAT_START, .service_tier = str_from_c(tier)},
                                  {.kind = CHAT_FINISH, .finish = FINISH_STOP},
                                  {.kind = CHAT_END}};

    world_init_at(k, client, path, "anthropic");
    return whole ? world_say_whole(k, events, ARRAY_LEN(events)) : world_say(k, events, ARRAY_LEN(events));
}

TEST(openai_clients_hear_of_tiers_in_openais_words_only)
{
    static const struct {
        const char *tier, *told;
    } cases[] = {{"standard", "\"service_tier\":\"default\""},
                 {"priority", "\"service_tier\":\"priority\""},
                 {"batch", NULL},
                 {"on_demand", NULL}};

    for (size_t i = 0; i < ARRAY_LEN(cases) * 2; i++) {
        struct dialect_world chat CLEANUP(world_release);
        struct dialect_world responses CLEANUP(world_release);
        const char *told = cases[i / 2].told, *tier = cases[i / 2].tier;
        struct str got = answer_of_tier(&chat, "/v1/chat/completions", "openai", tier, i % 2);
        if (told)
            CHECK_HOLDS(got, told);
        else
            CHECK_LACKS(got, "service_tier");
        /* here the member is always there */
        CHECK_HOLDS(answer_of_tier(&responses, "/v1/responses", "responses", tier, i % 2),
                    told ? told : "\"service_tier\":\"default\"");
    }
}

TEST(openai_a_calls_signature_comes_with_its_function)
{
    static const struct chat_event events[] = {
        {.kind = CHAT_START},
        {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TOOL_CALL, .id = STR_INIT("t1"), .name = STR_INIT("f")},
        {.kind = CHAT_SIGNATURE, .signer = SIGNER_GOOGLE, .text = STR_INIT("Cg==")},
        {.kind = CHAT_TEXT, .text = STR_INIT("{}")},
        {.kind = CHAT_BLOCK_STOP},
        {.kind = CHAT_FINISH, .finish = FINISH_TOOL_CALLS},
        {.kind = CHAT_END}};
    struct dialect_world k CLEANUP(world_release);

    world_init_at(&k, "openai", "/v1/chat/completions", "gemini");
    CHECK_HOLDS(world_say(&k, events, ARRAY_LEN(events)),
                "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\"},\"extra_content\":");
}
