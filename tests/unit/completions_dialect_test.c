/* completions_dialect_test.c - legacy completions over any model, and a provider that only completes. */
#include "dialect_world.h"

#define PROMPT "\"model\":\"m\",\"prompt\":\"Once\""
#define CHAT_ANSWER                                                                                                    \
    "{\"choices\":[{\"index\":0,\"message\":{\"content\":\" upon\",\"reasoning_content\":\"hm\"},\"logprobs\":"        \
    "{\"content\":[{\"token\":\" up\",\"logprob\":-0.5,\"bytes\":null,\"top_logprobs\":[{\"token\":\" up\","           \
    "\"logprob\":-0.5}]},{\"token\":\"on\",\"logprob\":-1,\"top_logprobs\":[]}]},\"finish_reason\":\"length\"}],"      \
    "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}"
#define CHUNK(inside) "data: {\"id\":\"c\",\"choices\":[{\"index\":0," inside "}]}\n\n"

TEST(completions_a_prompt_is_what_the_user_says)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "completions", "openai");
    CHECK_STR(world_translate(&w, "{" PROMPT ",\"max_tokens\":5,\"stop\":\"x\",\"best_of\":3,\"suffix\":\"end\","
                                  "\"logprobs\":2,\"echo\":true}"),
              "{\"model\":\"their-model\",\"messages\":[{\"role\":\"user\",\"content\":\"Once\"}],"
              "\"max_completion_tokens\":5,\"stop\":[\"x\"],\"logprobs\":true,\"top_logprobs\":2}");
    CHECK_STR(world_dropped(&w), "/suffix,/best_of");
    CHECK(w.q.is_completion);
}

TEST(completions_prompts_that_no_chat_can_say_are_refused)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "completions", "openai");
    CHECK_STR(world_translate(&w, "{\"model\":\"m\",\"prompt\":[1,2]}"),
              "! prompt[0]: 'prompt' must be text for this model, not tokens: send a string, or several");
    CHECK_STR(world_translate(&w, "{\"model\":\"m\",\"prompt\":[\"a\",[1]]}"),
              "! prompt[1]: 'prompt' must be text for this model, not tokens: send a string, or several");
    CHECK_STR(world_translate(&w, "{\"model\":\"m\",\"prompt\":[]}"), "! prompt: 'prompt' must not be empty");
    CHECK_STR(world_translate(&w, "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"n\":65}"),
              "! prompt: 'n' choices for each of the prompts may be at most 128 in all");
    CHECK_STR(world_translate(&w, "{\"model\":\"m\"}"), "! prompt: 'prompt' is missing: give the text to be continued");
}

TEST(completions_several_prompts_wait_beside_the_first)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "completions", "openai");
    CHECK_STR(world_translate(&w, "{\"model\":\"m\",\"prompt\":[\"a\",\"b\",\"\"],\"n\":2,\"echo\":true}"),
              "{\"model\":\"their-model\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"n\":2}");
    CHECK_EQ(w.q.more_prompt_count, 2);
    CHECK_STR(w.q.more_prompts[0]->blocks->text, "b");
    CHECK_STR(w.q.more_prompts[1]->blocks->text, "");
    /* the choices of one prompt before those of the next, each behind its own */
    struct block said = {.kind = BLOCK_TEXT, .text = STR("!")};
    struct answer_choice choices[6];
    for (size_t i = 0; i < ARRAY_LEN(choices); i++)
        choices[i] = (struct answer_choice){.blocks = &said, .finished = true};
    struct answer whole = {.choices = choices, .choice_count = ARRAY_LEN(choices)};
    struct answer_frame f = {.arena = &w.arena, .t = &w.t, .request = &w.q, .model = STR("m")};
    buf_clear(&w.body);
    CHECK_EQ(w.t.client->client.write_answer(&f, &whole, &w.body), OK);
    CHECK_HOLDS(buf_str(&w.body), "{\"text\":\"a!\",\"index\":1,");
    CHECK_HOLDS(buf_str(&w.body), "{\"text\":\"b!\",\"index\":2,");
    CHECK_HOLDS(buf_str(&w.body), "{\"text\":\"b!\",\"index\":3,");
    CHECK_HOLDS(buf_str(&w.body), "{\"text\":\"!\",\"index\":5,");
}

TEST(completions_best_of_is_lost_only_where_it_says_something)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "completions", "openai");
    (void)world_translate(&w, "{" PROMPT ",\"best_of\":2,\"n\":2}");
    CHECK_STR(world_dropped(&w), "");
    losses_init(&w.losses, &w.arena);
    (void)world_translate(&w, "{" PROMPT ",\"best_of\":3,\"n\":2}");
    CHECK_STR(world_dropped(&w), "/best_of");
    CHECK_STR(world_translate(&w, "{" PROMPT ",\"best_of\":1,\"n\":2}"),
              "! best_of: 'best_of' must be a number that is not below 'n'");
}

TEST(completions_a_suffix_is_filled_in_by_vendors_that_can)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "completions", "mistral");
    CHECK_STR(world_translate(&w, "{" PROMPT ",\"suffix\":\" end\",\"max_tokens\":5,\"seed\":3,\"stop\":\"x\","
                                  "\"logprobs\":1,\"temperature\":0.5,\"stream\":true}"),
              "{\"model\":\"their-model\",\"prompt\":\"Once\",\"suffix\":\" end\",\"stream\":true,\"max_tokens\":5,"
              "\"temperature\":0.5,\"random_seed\":3,\"stop\":[\"x\"]}");
    CHECK_STR(w.call.path, "/fim/completions");
    CHECK_STR(world_dropped(&w), "/logprobs");
    CHECK_HOLDS(world_translate(&w, "{" PROMPT ",\"max_tokens\":5}"), "\"messages\":[");
    CHECK_STR(w.call.path, "/chat/completions");
}

TEST(completions_an_answer_has_text_echo_and_lists_of_logprobs)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "completions", "openai");
    (void)world_translate(&w, "{" PROMPT ",\"logprobs\":1,\"echo\":true}");
    struct str out = world_answer(&w, "openai", CHAT_ANSWER);
    CHECK_HOLDS(out, "\"object\":\"text_completion\",\"created\":1790000000,\"model\":\"our-model\",\"choices\":["
                     "{\"text\":\"Once upon\",\"index\":0,\"logprobs\":{\"tokens\":[\" up\",\"on\"],"
                     "\"token_logprobs\":[-0.5,-1],\"top_logprobs\":[{\" up\":-0.5},{}],\"text_offset\":[4,7]},"
                     "\"finish_reason\":\"length\"}]");
}

TEST(completions_a_stream_tells_only_text_and_ends_once)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "completions", "openai");
    (void)world_translate(&w, "{" PROMPT ",\"stream\":true,\"echo\":true}");
    struct str out = world_stream(
        &w, "openai",
        CHUNK("\"delta\":{\"reasoning_content\":\"hm\"}") CHUNK("\"delta\":{\"content\":\" upon\"}")
            CHUNK("\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}"
                  "\"}}]}") CHUNK("\"delta\":{},\"finish_reason\":\"stop\"") "data: [DONE]\n\n");
    CHECK_HOLDS(out, "[{\"text\":\"Once\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n\ndata: {");
    CHECK_HOLDS(out, "[{\"text\":\" upon\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n\ndata: {");
    CHECK_HOLDS(out, "[{\"text\":\"\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    CHECK_LACKS(out, "hm");
    CHECK_LACKS(out, "{}");
    out = world_stream(&w, "openai", CHUNK("\"delta\":{\"content\":\" upon\"}"));
    CHECK_HOLDS(out, "data: {\"error\":");
    CHECK_LACKS(out, "DONE");
}

TEST(completions_a_provider_s_answer_is_read_like_a_chat)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 16 << 20);
    CHECK_STR(world_stream_events("completions",
                                  CHUNK("\"text\":\"a\",\"finish_reason\":null")
                                      CHUNK("\"text\":\"b\",\"finish_reason\":\"length\"") "data: [DONE]\n\n",
                                  &a),
              "start c \nopen 0.0 text\ntext 0.0 ab\nclose 0.0\nfinish 0 length \nend\n");
    CHECK_STR(world_answer_events("completions",
                                  "{\"id\":\"c\",\"choices\":[{\"text\":\"a\",\"index\":0,\"logprobs\":{\"tokens\":"
                                  "[\"a\"],\"token_logprobs\":[-2],\"top_logprobs\":[{\"b\":-3}]},"
                                  "\"finish_reason\":\"stop\"}]}",
                                  &a),
              "start c \nopen 0.0 text\ntext 0.0 a\nlogprobs 0.0 [{\"token\":\"a\",\"logprob\":-2,\"bytes\":null,"
              "\"top_logprobs\":[{\"token\":\"b\",\"logprob\":-3,\"bytes\":null}]}]\nclose 0.0\nfinish 0 stop \nend\n");
}

TEST(completions_a_chat_becomes_one_prompt_and_says_so)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    w.t.provider = dialect_find(STR("completions"));
    CHECK_STR(world_translate(&w, "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
                                  "{\"role\":\"user\",\"content\":\"Hi\"}],\"tools\":[{\"type\":\"function\","
                                  "\"function\":{\"name\":\"f\"}}],\"reasoning_effort\":\"low\"}"),
              "{\"model\":\"their-model\",\"prompt\":\"System: Be brief.\\n\\nUser: Hi\\n\\nAssistant:\"}");
    CHECK_STR(world_dropped(&w), "/tools/0,/reasoning_effort");
    CHECK_STR(losses_list(&w.losses, LOSS_CHANGED, 99), "/messages");
    CHECK_STR(w.call.path, "/completions");
}

TEST(completions_a_request_written_and_read_again_means_the_same)
{
    struct dialect_world a CLEANUP(world_release), b CLEANUP(world_release);

    world_init(&a, "completions", "openai");
    world_init(&b, "completions", "openai");
    a.t.provider = dialect_find(STR("completions"));
    struct str body = world_translate(&a, "{" PROMPT ",\"max_tokens\":5,\"temperature\":0.5,\"n\":2,\"stop\":[\"x\"],"
                                          "\"logprobs\":2,\"suffix\":\"s\",\"user\":\"u\",\"seed\":1,\"best_of\":4,"
                                          "\"logit_bias\":{\"1\":2},\"stream\":true}");
    CHECK_OK(world_read(&b, arena_str(&b.arena, body).p));
    CHECK_STR(canon_request(&b.q, &b.arena), canon_request(&a.q, &a.arena).p);
}
