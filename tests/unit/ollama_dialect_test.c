/* ollama_dialect_test.c - Ollama's chat, generate and embeddings as a client's dialect and as a provider's. */
#include "dialect_world.h"

#define MODEL "\"model\":\"m\""
#define ASK "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define TIDE "{\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"parameters\":{\"type\":\"object\"}}}"
#define WIND "{\"type\":\"function\",\"function\":{\"name\":\"get_wind\",\"parameters\":{\"type\":\"object\"}}}"
#define TIDE_OUT "{\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"parameters\":{\"type\":\"object\"}}}"
#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

#define HEAD "{\"model\":\"llama\",\"created_at\":\"2026-11-20T10:00:00.1Z\","
#define LINE(message) HEAD "\"message\":{\"role\":\"assistant\"," message "},\"done\":false}\n"
#define LAST(reason)                                                                                                   \
    HEAD "\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"" reason               \
         "\",\"total_duration\":5,\"load_duration\":1,\"prompt_eval_count\":20,\"prompt_eval_duration\":2,"            \
         "\"eval_count\":8,\"eval_duration\":2}\n"
#define OURS "{\"model\":\"our-model\",\"created_at\":\"2026-09-21T14:13:20Z\","
#define OUR_LINE(message) OURS "\"message\":{\"role\":\"assistant\"," message "},\"done\":false}\n"
#define OUR_LAST(reason, in, out)                                                                                      \
    OURS "\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"" reason               \
         "\",\"total_duration\":0,\"load_duration\":0,\"prompt_eval_count\":" in                                       \
         ",\"prompt_eval_duration\":0,\"eval_count\":" out ",\"eval_duration\":0}\n"

static void ollama_world(struct dialect_world *w, const char *client, const char *vendor, const char *path)
{
    world_init(w, client, vendor);
    w->t.row = world_row("ollama", path);
}

/* --- requests from a client --- */

TEST(ollama_stream_missing_means_yes)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    CHECK_OK(world_read(&w, "{" MODEL "," ASK "}"));
    CHECK(w.q.stream);
    CHECK_OK(world_read(&w, "{" MODEL "," ASK ",\"stream\":null}"));
    CHECK(w.q.stream);
    CHECK_OK(world_read(&w, "{" MODEL "," ASK ",\"stream\":false}"));
    CHECK(!w.q.stream);
}

TEST(ollama_options_become_settings_and_the_engine_s_own_are_reported)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "vllm", "/api/chat");
    CHECK_STR(world_translate(&w, "{" MODEL "," ASK ",\"stream\":false,\"keep_alive\":\"5m\",\"options\":{"
                                  "\"num_predict\":7,\"temperature\":0.50,\"top_p\":0.9,\"top_k\":40,\"min_p\":0.05,"
                                  "\"repeat_penalty\":1.1,\"presence_penalty\":0.1,\"frequency_penalty\":0.2,"
                                  "\"seed\":42,\"stop\":[\"a\",\"b\"],\"num_ctx\":8192}}"),
              "{\"model\":\"their-model\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],"
              "\"max_completion_tokens\":7,\"temperature\":0.50,\"top_p\":0.9,\"top_k\":40,\"min_p\":0.05,"
              "\"repetition_penalty\":1.1,\"presence_penalty\":0.1,\"frequency_penalty\":0.2,\"seed\":42,"
              "\"stop\":[\"a\",\"b\"]}");
    CHECK_STR(world_dropped(&w), "/keep_alive,/options/num_ctx");
}

TEST(ollama_num_predict_limits_the_answer_unless_it_is_negative)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    CHECK_HOLDS(world_translate(&w, "{" MODEL "," ASK ",\"options\":{\"num_predict\":128}}"),
                "\"max_completion_tokens\":128");
    CHECK_LACKS(world_translate(&w, "{" MODEL "," ASK ",\"options\":{\"num_predict\":-1}}"), "max_completion_tokens");
}

TEST(ollama_pictures_stand_before_the_text_with_the_type_that_their_bytes_say)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    CHECK_HOLDS(world_translate(&w,
                                "{" MODEL ",\"messages\":[{\"role\":\"user\",\"content\":\"What?\",\"images\":[\"" PNG
                                "\"]}]}"),
                "\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," PNG
                "\"}},{\"type\":\"text\",\"text\":\"What?\"}]");
    CHECK_HOLDS(world_translate(&w,
                                "{" MODEL ",\"messages\":[{\"role\":\"user\",\"images\":[\"data:image/png;base64," PNG
                                "\"]}]}"),
                "data:image/png;base64," PNG "\"");
}

TEST(ollama_results_without_ids_answer_the_calls_of_their_name_in_order)
{
    struct dialect_world w CLEANUP(world_release);
    struct block *calls, *first, *second, *third;

    ollama_world(&w, "ollama", "openai", "/api/chat");
    CHECK_OK(world_read(&w, "{" MODEL ",\"messages\":[{\"role\":\"user\",\"content\":\"?\"},"
                            "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":["
                            "{\"function\":{\"name\":\"get_tide\",\"arguments\":{\"port\":\"Brest\"}}},"
                            "{\"function\":{\"name\":\"get_wind\",\"arguments\":{\"port\":\"Brest\"}}},"
                            "{\"function\":{\"name\":\"get_tide\",\"arguments\":{\"port\":\"Calais\"}}}]},"
                            "{\"role\":\"tool\",\"tool_name\":\"get_wind\",\"content\":\"12\"},"
                            "{\"role\":\"tool\",\"tool_name\":\"get_tide\",\"content\":\"3\"},"
                            "{\"role\":\"tool\",\"content\":\"4\"}]}"));
    calls = w.q.turns->next->blocks;
    first = w.q.turns->next->next->blocks;
    second = w.q.turns->next->next->next->blocks;
    third = w.q.turns->next->next->next->next->blocks;
    CHECK(calls->id.n > 0 && !str_eq(calls->id, calls->next->next->id));
    CHECK(str_eq(first->id, calls->next->id));
    CHECK(str_eq(second->id, calls->id));
    CHECK(str_eq(third->id, calls->next->next->id));
    CHECK_STR(third->name, "get_tide");
}

TEST(ollama_results_with_ids_get_the_name_of_their_call)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    CHECK_OK(world_read(&w, "{" MODEL ",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":["
                            "{\"id\":\"c1\",\"function\":{\"name\":\"get_tide\",\"arguments\":{}}},"
                            "{\"id\":\"c2\",\"function\":{\"name\":\"get_wind\",\"arguments\":{}}}]},"
                            "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"12\"},"
                            "{\"role\":\"tool\",\"content\":\"3\"}]}"));
    CHECK_STR(w.q.turns->next->blocks->name, "get_wind");
    CHECK_STR(w.q.turns->next->next->blocks->id, "c1");
}

TEST(ollama_results_answer_calls_of_the_last_assistant_message_only_by_name)
{
    struct dialect_world w CLEANUP(world_release);
    const struct turn *t;

    ollama_world(&w, "ollama", "openai", "/api/chat");
    CHECK_OK(world_read(&w, "{" MODEL ",\"messages\":["
                            "{\"role\":\"tool\",\"tool_name\":\"get_tide\",\"content\":\"of nothing\"},"
                            "{\"role\":\"assistant\",\"tool_calls\":["
                            "{\"id\":\"c1\",\"function\":{\"name\":\"get_tide\",\"arguments\":{}}},"
                            "{\"id\":\"c2\",\"function\":{\"name\":\"get_wind\",\"arguments\":{}}}]},"
                            "{\"role\":\"tool\",\"tool_name\":\"get_wind\",\"content\":\"12\"},"
                            "{\"role\":\"assistant\",\"tool_calls\":["
                            "{\"id\":\"c3\",\"function\":{\"name\":\"get_tide\",\"arguments\":{}}},"
                            "{\"id\":\"c3\",\"function\":{\"name\":\"get_tide\",\"arguments\":{}}},"
                            "{\"id\":\"c4\",\"function\":{\"name\":\"get_tide\",\"arguments\":{}}}]},"
                            "{\"role\":\"tool\",\"tool_name\":\"get_wind\",\"content\":\"late\"},"
                            "{\"role\":\"tool\",\"tool_call_id\":\"c3\",\"content\":\"3\"},"
                            "{\"role\":\"tool\",\"tool_name\":\"get_tide\",\"content\":\"4\"},"
                            "{\"role\":\"tool\",\"tool_name\":\"get_tide\",\"content\":\"one too many\"},"
                            "{\"role\":\"tool\",\"content\":\"of what?\"},"
                            "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"of before\"}]}"));
    t = w.q.turns;
    CHECK_STR(t->blocks->id, "");
    t = t->next->next;
    CHECK_STR(t->blocks->id, "c2");
    t = t->next->next;
    CHECK_STR(t->blocks->id, ""); /* the wind's call is of the message before */
    CHECK_STR(t->blocks->name, "get_wind");
    t = t->next;
    CHECK_STR(t->blocks->id, "c3");
    t = t->next;
    CHECK_STR(t->blocks->id, "c4"); /* both calls of one id have their result */
    t = t->next;
    CHECK_STR(t->blocks->id, "");
    t = t->next;
    CHECK_STR(t->blocks->id, "");
    CHECK_STR(t->blocks->name, "");
    t = t->next;
    CHECK_STR(t->blocks->name, "get_tide");
}

TEST(ollama_an_id_that_is_used_again_waits_again)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    CHECK_OK(world_read(&w, "{" MODEL ",\"messages\":["
                            "{\"role\":\"assistant\",\"tool_calls\":["
                            "{\"id\":\"c1\",\"function\":{\"name\":\"get_tide\",\"arguments\":{}}}]},"
                            "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"3\"},"
                            "{\"role\":\"assistant\",\"tool_calls\":["
                            "{\"id\":\"c1\",\"function\":{\"name\":\"get_wind\",\"arguments\":{}}}]},"
                            "{\"role\":\"tool\",\"content\":\"12\"}]}"));
    CHECK_STR(w.q.turns->next->next->next->blocks->name, "get_wind");
    CHECK_STR(w.q.turns->next->next->next->blocks->id, "c1");
}

TEST(ollama_many_calls_and_results_take_memory_in_proportion)
{
    enum { CALLS = 4000, EACH_MAX = 4096 };
    struct dialect_world w CLEANUP(world_release);
    struct buf body CLEANUP(buf_release) = BUF_INIT(1 << 24);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    buf_add_lit(&body, "{" MODEL ",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[");
    for (int i = 0; i < CALLS; i++)
        buf_addf(&body, "%s{\"function\":{\"name\":\"tool_%d\",\"arguments\":{}}}", i ? "," : "", i);
    buf_add_lit(&body, "]}");
    for (int i = CALLS; i-- > 0;)
        buf_addf(&body, ",{\"role\":\"tool\",\"tool_name\":\"tool_%d\",\"content\":\"%d\"}", i, i);
    buf_add_lit(&body, "]}");
    buf_add_char(&body, '\0');
    CHECK_OK(buf_status(&body));
    CHECK_OK(world_read(&w, buf_str(&body).p));
    CHECK_LE(w.arena.used / CALLS, EACH_MAX);
    CHECK_STR(w.q.turns->next->blocks->name, "tool_3999");
    const struct block *last = w.q.turns->blocks;
    while (last->next)
        last = last->next;
    CHECK(str_eq(w.q.turns->next->blocks->id, last->id));
}

TEST(ollama_a_prompt_is_a_chat_unless_it_is_raw_or_has_a_suffix)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/generate");
    CHECK_STR(world_translate(&w, "{" MODEL ",\"prompt\":\"Hi\",\"system\":\"Be brief.\",\"stream\":false,"
                                  "\"context\":[1,2],\"template\":\"x\"}"),
              "{\"model\":\"their-model\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
              "{\"role\":\"user\",\"content\":\"Hi\"}]}");
    CHECK_STR(world_dropped(&w), "/context,/template");
    CHECK(!w.q.is_completion);
    CHECK_OK(world_read(&w, "{" MODEL ",\"prompt\":\"Hi\",\"raw\":true}"));
    CHECK(w.q.is_completion && !w.q.turns->next);
    CHECK_OK(world_read(&w, "{" MODEL ",\"prompt\":\"def f(\",\"suffix\":\"return 1\",\"system\":\"Go\"}"));
    CHECK(w.q.is_completion && w.q.turns->role == CHAT_USER);
    CHECK_STR(w.q.extras->key, "system");
}

TEST(ollama_think_and_format_are_understood)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    CHECK_OK(world_read(&w, "{" MODEL "," ASK ",\"think\":true,\"format\":\"json\"}"));
    CHECK_EQ(w.q.reasoning.on, YES);
    CHECK_EQ(w.q.reasoning.show, YES);
    CHECK_EQ(w.q.format.kind, FORMAT_JSON);
    CHECK_OK(world_read(&w, "{" MODEL "," ASK ",\"think\":false,\"format\":\"\"}"));
    CHECK_EQ(w.q.reasoning.on, NO);
    CHECK_EQ(w.q.format.kind, FORMAT_UNSET);
    CHECK_OK(world_read(&w, "{" MODEL "," ASK ",\"think\":\"high\",\"format\":{\"type\":\"object\"}}"));
    CHECK_EQ(w.q.reasoning.effort, EFFORT_HIGH);
    CHECK_STR(w.q.format.schema, "{\"type\":\"object\"}");
}

TEST(ollama_malformed_requests_are_refused_with_their_place)
{
    static const char *const wrong[][2] = {
        {"{" ASK "}", "! model: model is required: give its name as a string"},
        {"{" MODEL ",\"messages\":{}}", "! /messages: /messages must be a list of messages"},
        {"{" MODEL ",\"messages\":[{\"role\":\"user\",\"content\":[]}]}",
         "! /messages/0/content: /messages/0/content must be a string"},
        {"{" MODEL ",\"messages\":[{\"role\":\"bot\"}]}",
         "! /messages/0/role: /messages/0/role must have a role of: \"system\", \"user\", \"assistant\", \"tool\""},
        {"{" MODEL "," ASK ",\"stream\":1}", "! /stream: /stream must be true or false"},
        {"{" MODEL "," ASK ",\"think\":\"much\"}",
         "! /think: /think must be true, false, \"low\", \"medium\", \"high\" or \"max\""},
        {"{" MODEL "," ASK ",\"format\":7}", "! /format: /format must be \"json\" or a JSON schema"},
        {"{" MODEL "," ASK ",\"options\":{\"seed\":\"x\"}}", "! /options/seed: /options/seed must be a number"},
        {"{" MODEL "," ASK ",\"options\":{\"stop\":[1]}}", "! /options/stop/0: /options/stop/0 must be a string"},
        {"{" MODEL ",\"messages\":[{\"role\":\"user\",\"images\":[7]}]}",
         "! /messages/0/images/0: /messages/0/images/0 must be an image in base64"},
        {"[]", "! : the body must be a JSON object"},
    };
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        CHECK_STR(world_translate(&w, wrong[i][0]), wrong[i][1]);
}

/* --- requests to a provider --- */

TEST(ollama_a_chat_is_said_with_options_tools_and_an_explicit_stream)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "openai", "ollama", "/api/chat");
    CHECK_STR(world_translate(&w, "{" MODEL ",\"messages\":[{\"role\":\"developer\",\"content\":\"Brief.\"},"
                                  "{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":9,\"temperature\":1.20,"
                                  "\"stop\":\"x\",\"n\":1,\"tools\":[" TIDE "],\"presence_penalty\":0.5}"),
              "{\"model\":\"their-model\",\"messages\":[{\"role\":\"system\",\"content\":\"Brief.\"},"
              "{\"role\":\"user\",\"content\":\"Hi\"}],\"tools\":[" TIDE_OUT "],\"options\":{\"num_predict\":9,"
              "\"temperature\":1.20,\"presence_penalty\":0.5,\"stop\":[\"x\"]},\"stream\":false}");
    CHECK_STR(w.call.path, "/api/chat");
    CHECK_STR(world_dropped(&w), "");
    CHECK_HOLDS(world_translate(&w, "{" MODEL "," ASK ",\"stream\":true}"), "\"stream\":true");
    CHECK_EQ(w.call.framing, FRAMING_LINES);
    CHECK(w.call.stream);
}

TEST(ollama_settings_without_a_field_are_reported)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "openai", "ollama", "/api/chat");
    (void)world_translate(&w, "{" MODEL "," ASK ",\"logit_bias\":{\"1\":2},\"n\":2,\"verbosity\":\"low\","
                              "\"service_tier\":\"flex\",\"user\":\"u\",\"metadata\":{},\"prompt_cache_key\":\"k\","
                              "\"store\":true,\"prediction\":{\"type\":\"content\"},\"parallel_tool_calls\":false,"
                              "\"unheard_of\":1,\"tools\":[" TIDE "],\"tool_choice\":\"required\"}");
    CHECK_STR(world_dropped(&w), "/tool_choice,/parallel_tool_calls,/n,/logit_bias,/verbosity,/service_tier,/user,"
                                 "/metadata,/prompt_cache_key,/store,/prediction,/unheard_of");
}

TEST(ollama_calls_and_results_carry_names_ids_and_objects)
{
    struct dialect_world w CLEANUP(world_release);
    struct str out;

    ollama_world(&w, "openai", "ollama", "/api/chat");
    out = world_translate(&w, "{" MODEL ",\"messages\":[{\"role\":\"user\",\"content\":\"?\"},"
                              "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
                              "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"get_tide\","
                              "\"arguments\":\"{\\\"n\\\": 12345678901234567890}\"}},"
                              "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"get_wind\","
                              "\"arguments\":\"\"}},"
                              "{\"id\":\"c3\",\"type\":\"function\",\"function\":{\"name\":\"get_wind\","
                              "\"arguments\":\"{broken\"}}]},"
                              "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"12\"},"
                              "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"3\"}]}");
    CHECK_HOLDS(out, "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":["
                     "{\"id\":\"c1\",\"function\":{\"index\":0,\"name\":\"get_tide\",\"arguments\":"
                     "{\"n\": 12345678901234567890}}},"
                     "{\"id\":\"c2\",\"function\":{\"index\":1,\"name\":\"get_wind\",\"arguments\":{}}},"
                     "{\"id\":\"c3\",\"function\":{\"index\":2,\"name\":\"get_wind\",\"arguments\":"
                     "{\"_raw\":\"{broken\"}}}]},"
                     "{\"role\":\"tool\",\"content\":\"3\",\"tool_name\":\"get_tide\",\"tool_call_id\":\"c1\"},"
                     "{\"role\":\"tool\",\"content\":\"12\",\"tool_name\":\"get_wind\",\"tool_call_id\":\"c2\"},"
                     "{\"role\":\"tool\",\"content\":\"(no result was given for this call)\"");
    CHECK_STR(losses_list(&w.losses, LOSS_CHANGED, 200), "/messages/1/tool_calls/2");
}

TEST(ollama_tools_that_may_not_be_called_are_not_offered)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "openai", "ollama", "/api/chat");
    CHECK_LACKS(world_translate(&w, "{" MODEL "," ASK ",\"tools\":[" TIDE "],\"tool_choice\":\"none\"}"), "get_tide");
    CHECK_STR(losses_list(&w.losses, LOSS_EMULATED, 200), "/tool_choice");
    struct str out = world_translate(&w, "{" MODEL "," ASK ",\"tools\":[" TIDE "," WIND "],\"tool_choice\":"
                                         "{\"type\":\"function\",\"function\":{\"name\":\"get_wind\"}}}");
    CHECK_LACKS(out, "get_tide");
    CHECK_HOLDS(out, "get_wind");
    CHECK_STR(world_dropped(&w), "/tool_choice");
}

TEST(ollama_pictures_go_as_plain_base64_and_those_of_results_follow_them)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "openai", "ollama", "/api/chat");
    CHECK_HOLDS(world_translate(&w,
                                "{" MODEL ",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
                                "\"text\":\"What?\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
                                "\"data:image/png;base64," PNG "\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":"
                                "\"https://example.com/a.png\"}}]}]}"),
                "{\"role\":\"user\",\"content\":\"What?\",\"images\":[\"" PNG "\"]}");
    CHECK_STR(world_dropped(&w), "/messages/0/content/2");
    CHECK_EQ(dialect_find(STR("ollama"))->provider.wants_bytes, 1u << BLOCK_IMAGE);
    struct block picture = {.kind = BLOCK_IMAGE, .media = {.source = MEDIA_BASE64, .data = STR(PNG)}};
    struct block call = {.kind = BLOCK_TOOL_CALL, .id = STR("c"), .name = STR("look"), .arguments = STR("{}")};
    struct block result = {.kind = BLOCK_TOOL_RESULT, .id = STR("c"), .name = STR("look"), .content = &picture};
    struct turn second = {.role = CHAT_USER, .blocks = &result};
    struct turn first = {.next = &second, .role = CHAT_ASSISTANT, .blocks = &call};
    w.q = (struct chat_request){.turns = &first, .reasoning.budget = -1};
    CHECK_OK(world_write(&w));
    CHECK_HOLDS(buf_str(&w.body),
                "{\"role\":\"tool\",\"content\":\"(a picture that this tool returned follows in the next "
                "message)\",\"tool_name\":\"look\",\"tool_call_id\":\"c\"},{\"role\":\"user\","
                "\"content\":\"(returned by the tool)\",\"images\":[\"" PNG "\"]}]");
}

TEST(ollama_thinking_is_asked_for_by_switch_or_level)
{
    static const struct {
        struct reasoning ask;
        const char *want;
    } cases[] = {
        {{.on = YES, .budget = -1}, "\"think\":true"},
        {{.on = NO, .budget = -1}, "\"think\":false"},
        {{.budget = 0}, "\"think\":false"},
        {{.effort = EFFORT_NONE, .budget = -1}, "\"think\":false"},
        {{.effort = EFFORT_MINIMAL, .budget = -1}, "\"think\":\"low\""},
        {{.effort = EFFORT_MEDIUM, .budget = -1}, "\"think\":\"medium\""},
        {{.on = YES, .effort = EFFORT_XHIGH, .budget = -1}, "\"think\":\"max\""},
        {{.on = YES, .budget = 2000}, "\"think\":\"low\""},
    };
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "openai", "ollama", "/api/chat");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK_OK(world_read(&w, "{" MODEL "," ASK "}"));
        w.q.reasoning = cases[i].ask;
        CHECK_OK(world_write(&w));
        struct str out = buf_str(&w.body), want = str_from_c(cases[i].want);
        CHECK_MSG(str_find(out, want) < out.n, "%s not in %.*s", cases[i].want, STR_ARG(out));
    }
}

TEST(ollama_thoughts_go_back_unless_another_family_has_signed_them)
{
    struct block redacted = {.kind = BLOCK_REDACTED, .text = STR("xyz"), .signer = SIGNER_ANTHROPIC};
    struct block alien = {.next = &redacted,
                          .kind = BLOCK_THINKING,
                          .text = STR("theirs"),
                          .signature = STR("sig"),
                          .signer = SIGNER_ANTHROPIC};
    struct block own = {.next = &alien, .kind = BLOCK_THINKING, .text = STR("mine")};
    struct turn turn = {.role = CHAT_ASSISTANT, .blocks = &own};
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "openai", "ollama", "/api/chat");
    w.q = (struct chat_request){.turns = &turn, .reasoning.budget = -1};
    CHECK_OK(world_write(&w));
    CHECK_HOLDS(buf_str(&w.body), "{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"mine\"}");
    CHECK_EQ(w.losses.dropped, 1); /* one place: these have none */
}

TEST(ollama_a_completion_goes_raw_to_generate_and_one_with_a_suffix_through_the_template)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "completions", "ollama", "/api/generate");
    CHECK_STR(world_translate(&w, "{" MODEL ",\"prompt\":\"Once\",\"max_tokens\":5}"),
              "{\"model\":\"their-model\",\"prompt\":\"Once\",\"raw\":true,\"options\":{\"num_predict\":5},"
              "\"stream\":false}");
    CHECK_STR(w.call.path, "/api/generate");
    CHECK_STR(world_translate(&w, "{" MODEL ",\"prompt\":\"Once\",\"suffix\":\"end\"}"),
              "{\"model\":\"their-model\",\"prompt\":\"Once\",\"suffix\":\"end\",\"stream\":false}");
}

/* What this dialect can say is the same after it was said again. */
TEST(ollama_requests_survive_being_written_and_read_again)
{
    static const char *const requests[] = {
        "{" MODEL "," ASK "}",
        "{" MODEL ",\"messages\":[{\"role\":\"system\",\"content\":\"Brief.\"},{\"role\":\"user\",\"content\":\"Look\","
        "\"images\":[\"" PNG "\"]},{\"role\":\"assistant\",\"content\":\"Hm\",\"thinking\":\"let me\",\"tool_calls\":["
        "{\"id\":\"a\",\"function\":{\"name\":\"get_tide\",\"arguments\":{\"b\":1, \"a\":[1.0,2e3]}}},"
        "{\"function\":{\"name\":\"get_wind\"}}]},{\"role\":\"tool\",\"tool_name\":\"get_tide\",\"content\":\"3\"},"
        "{\"role\":\"tool\",\"tool_name\":\"get_wind\",\"content\":\"12\"},{\"role\":\"user\",\"content\":\"\"}],"
        "\"tools\":[" TIDE "," WIND "],\"format\":{\"type\":\"object\"},\"think\":\"high\",\"stream\":false,"
        "\"logprobs\":true,\"top_logprobs\":3,\"keep_alive\":-1}",
        "{" MODEL "," ASK ",\"think\":false,\"format\":\"json\",\"options\":{\"num_predict\":1,\"temperature\":0,"
        "\"top_p\":1.0,\"top_k\":3,\"min_p\":0.1,\"typical_p\":0.7,\"repeat_penalty\":1.10,\"presence_penalty\":1,"
        "\"frequency_penalty\":2,\"seed\":9,\"stop\":[\"x\",\"\\n\"],\"num_ctx\":4096}}",
    };

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct dialect_world w CLEANUP(world_release);
        ollama_world(&w, "ollama", "ollama", "/api/chat");
        CHECK_OK(world_read(&w, requests[i]));
        struct str before = canon_request(&w.q, &w.arena);
        CHECK_OK(world_write(&w));
        CHECK_STR(world_dropped(&w), "");
        struct str again = arena_str(&w.arena, buf_str(&w.body));
        CHECK_OK(world_read(&w, again.p));
        CHECK_STR(canon_request(&w.q, &w.arena), before.p);
        CHECK(i < 2 || str_find(again, STR("\"num_ctx\":4096")) < again.n);
    }
}

/* --- answers of a provider --- */

TEST(ollama_a_whole_answer_is_told_as_events)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "ollama", "/api/chat");
    CHECK_STR(world_answer_events("ollama",
                                  HEAD
                                  "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\",\"thinking\":\"ok\","
                                  "\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":\"get_tide\",\"arguments\":"
                                  "{\"port\":\"Brest\"}}}]},\"done\":true,\"done_reason\":\"stop\","
                                  "\"prompt_eval_count\":20,\"eval_count\":8}",
                                  &w.arena),
              "start  llama\nopen 0.0 thinking\ntext 0.0 ok\nclose 0.0\nopen 0.1 text\ntext 0.1 Hi\nclose 0.1\n"
              "open 0.2 call c1 get_tide\ntext 0.2 {\"port\":\"Brest\"}\nclose 0.2\nusage 20 8 cached 0 reasoning 0\n"
              "finish 0 tool_calls \nend\n");
    CHECK_STR(world_answer_events("ollama", "{\"response\":\"Hi\",\"done\":true,\"done_reason\":\"length\"}", &w.arena),
              "start  \nopen 0.0 text\ntext 0.0 Hi\nclose 0.0\nfinish 0 length \nend\n");
    CHECK_STR(world_answer_events("ollama", "{\"error\":\"out of memory\"}", &w.arena), "error 12 502 out of memory\n");
    CHECK_STR(world_answer_events("ollama", "{}", &w.arena),
              "! the provider's answer has neither a message nor a response");
    CHECK_STR(world_answer_events("ollama", "<html>", &w.arena), "! the provider's answer is no JSON");
}

TEST(ollama_a_stream_is_told_as_events_wherever_it_is_cut)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "ollama", "/api/chat");
    CHECK_STR(
        world_stream_events(
            "ollama",
            LINE("\"content\":\"\",\"thinking\":\"Let\"") LINE("\"content\":\"H\xc3\xa9\"") LINE("\"content\":\"!\"")
                LINE("\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"index\":0,"
                     "\"name\":\"get_tide\",\"arguments\":{\"port\":\"Brest\"}}},"
                     "{\"id\":\"c2\",\"function\":{\"index\":1,\"name\":\"get_wind\"}}]") LAST("stop"),
            &w.arena),
        "start  llama\nopen 0.0 thinking\ntext 0.0 Let\nclose 0.0\nopen 0.1 text\ntext 0.1 H\xc3\xa9!\nclose 0.1\n"
        "open 0.2 call c1 get_tide\ntext 0.2 {\"port\":\"Brest\"}\nclose 0.2\nopen 0.3 call c2 get_wind\n"
        "text 0.3 {}\nclose 0.3\nusage 20 8 cached 0 reasoning 0\nfinish 0 tool_calls \nend\n");
    CHECK_STR(
        world_stream_events("ollama",
                            "{\"model\":\"m\",\"response\":\"a\",\"done\":false}\n"
                            "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"length\","
                            "\"eval_count\":3}",
                            &w.arena),
        "start  m\nopen 0.0 text\ntext 0.0 a\nclose 0.0\nusage 0 3 cached 0 reasoning 0\nfinish 0 length \nend\n");
}

TEST(ollama_a_stream_that_breaks_off_is_an_error)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "ollama", "/api/chat");
    CHECK_HOLDS(world_stream_events("ollama", LINE("\"content\":\"Hi\""), &w.arena),
                "text 0.0 Hi\nerror 12 502 the provider's stream ended before its last line\n");
    CHECK_HOLDS(world_stream_events("ollama", LINE("\"content\":\"Hi\"") "{\"model\":", &w.arena),
                "error 12 502 the provider sent a line that is no JSON object\n");
    CHECK_STR(world_stream_events("ollama", "", &w.arena),
              "error 12 502 the provider's stream ended before its last line\n");
    CHECK_STR(world_stream_events("ollama", "{\"error\":\"the runner has terminated\"}\n" LAST("stop"), &w.arena),
              "error 12 502 the runner has terminated\n");
    CHECK_HOLDS(world_stream_events("ollama", LAST("stop") LINE("\"content\":\"more\""), &w.arena),
                "finish 0 stop \nend\n");
}

/* Ids that the server leaves out are made, the same for the same answer and others for another. */
TEST(ollama_calls_without_ids_get_some)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "openai", "ollama", "/api/chat");
#define CALLS(stamp)                                                                                                   \
    "{\"created_at\":\"" stamp "\",\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}},"     \
    "{\"function\":{\"name\":\"f\",\"arguments\":{}}}]},\"done\":true}"
    struct str one = world_answer_events("ollama", CALLS("1"), &w.arena);
    struct str same = world_answer_events("ollama", CALLS("1"), &w.arena);
    struct str other = world_answer_events("ollama", CALLS("2"), &w.arena);
    CHECK_STR(one, same.p);
    CHECK(!str_eq(one, other));
    struct str first = str_slice(one, str_find(one, STR("call_")), str_find(one, STR("call_")) + 25);
    struct str rest = str_slice(one, str_find(one, STR("close")), one.n);
    CHECK(first.n == 25 && str_find(rest, first) == rest.n);
}

TEST(ollama_errors_have_the_class_of_their_status_and_words)
{
    static const struct {
        int status;
        const char *body;
        enum error_class want;
        const char *message;
    } cases[] = {
        {400, "{\"error\":\"invalid options\"}", ERROR_BAD_REQUEST, "invalid options"},
        {400, "{\"error\":\"input exceeds the context length\"}", ERROR_CONTEXT_LENGTH,
         "input exceeds the context length"},
        {401, "{\"error\":\"unauthorized\"}", ERROR_AUTH, "unauthorized"},
        {404, "{\"error\":\"model 'x' not found\"}", ERROR_NOT_FOUND, "model 'x' not found"},
        {429, "{\"error\":\"slow down\"}", ERROR_RATE_LIMIT, "slow down"},
        {500, "{\"error\":\"context length\"}", ERROR_UPSTREAM, "context length"},
        {503, "server busy", ERROR_OVERLOADED, "server busy"},
        {502, "<html>bad gateway</html>", ERROR_UPSTREAM, ""},
    };
    struct dialect_world w CLEANUP(world_release);
    struct api_error e;

    ollama_world(&w, "openai", "ollama", "/api/chat");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        w.t.provider->provider.read_error(&w.arena, cases[i].status, str_from_c(cases[i].body), world_no_header, NULL,
                                          &e);
        CHECK_EQ(e.error_class, cases[i].want);
        CHECK_EQ(e.status, cases[i].status);
        CHECK_STR(e.message, cases[i].message);
    }
}

/* --- answers for a client --- */

#define OC(delta) "data: {\"id\":\"c\",\"model\":\"x\",\"choices\":[{\"index\":0,\"delta\":{" delta "}}]}\n\n"
#define OC_END(reason)                                                                                                 \
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}]}\n\n"               \
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":8}}\n\ndata: [DONE]\n\n"

TEST(ollama_a_stream_is_a_line_per_piece_and_calls_come_whole)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    (void)world_translate(&w, "{" MODEL "," ASK "}");
    CHECK_STR(
        world_stream(
            &w, "openai",
            OC("\"role\":\"assistant\",\"content\":\"\"") OC("\"reasoning_content\":\"ok\"") OC("\"content\":\"Hi\"")
                OC("\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":"
                   "\"get_tide\",\"arguments\":\"\"}}]")
                    OC("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"port\\\":\"}}]")
                        OC("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\n\\\"Brest\\\"}\"}}]")
                            OC("\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"type\":\"function\","
                               "\"function\":{\"name\":\"get_wind\",\"arguments\":\"\"}}]") OC_END("tool_calls")),
        OUR_LINE("\"content\":\"\",\"thinking\":\"ok\"") OUR_LINE("\"content\":\"Hi\"") OUR_LINE(
            "\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"index\":0,\"name\":\"get_tide\","
            "\"arguments\":{\"port\": \"Brest\"}}}]")
            OUR_LINE("\"content\":\"\",\"tool_calls\":[{\"id\":\"c2\",\"function\":{\"index\":1,\"name\":\"get_wind\","
                     "\"arguments\":{}}}]") OUR_LAST("stop", "20", "8"));
}

TEST(ollama_a_broken_stream_ends_in_an_error_line_and_no_done)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    (void)world_translate(&w, "{" MODEL "," ASK "}");
    struct str out = world_stream(&w, "openai", OC("\"content\":\"Hi\""));
    CHECK_HOLDS(out, OUR_LINE("\"content\":\"Hi\"") "{\"error\":\"");
    CHECK_LACKS(out, "\"done\":true");
    CHECK(str_ends(out, STR("}\n")));
}

TEST(ollama_generate_is_answered_with_a_response)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/generate");
    (void)world_translate(&w, "{" MODEL ",\"prompt\":\"Hi\"}");
    CHECK_STR(
        world_stream(&w, "openai", OC("\"reasoning_content\":\"ok\"") OC("\"content\":\"Yo\"") OC_END("length")),
        OURS "\"response\":\"\",\"thinking\":\"ok\",\"done\":false}\n" OURS "\"response\":\"Yo\",\"done\":false}\n" OURS
             "\"response\":\"\",\"done\":true,\"done_reason\":\"length\",\"total_duration\":0,\"load_duration\":0,"
             "\"prompt_eval_count\":20,\"prompt_eval_duration\":0,\"eval_count\":8,\"eval_duration\":0}\n");
    CHECK_HOLDS(
        world_answer(&w, "openai", "{\"choices\":[{\"message\":{\"content\":\"Yo\"},\"finish_reason\":\"stop\"}]}"),
        OURS "\"response\":\"Yo\",\"done\":true,\"done_reason\":\"stop\"");
}

TEST(ollama_a_whole_answer_has_one_message)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    (void)world_translate(&w, "{" MODEL "," ASK ",\"stream\":false}");
    CHECK_STR(
        world_answer(&w, "openai",
                     "{\"choices\":[{\"message\":{\"content\":\"Hi\",\"reasoning\":\"ok\",\"tool_calls\":[{\"id\":"
                     "\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]},\"finish_reason\":\"tool_calls\"}],"
                     "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}"),
        OURS "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\",\"thinking\":\"ok\",\"tool_calls\":[{\"id\":"
             "\"c1\",\"function\":{\"index\":0,\"name\":\"f\",\"arguments\":{}}}]},\"done\":true,\"done_reason\":"
             "\"stop\",\"total_duration\":0,\"load_duration\":0,\"prompt_eval_count\":1,\"prompt_eval_duration\":0,"
             "\"eval_count\":2,\"eval_duration\":0}");
}

TEST(ollama_logprobs_have_all_that_openais_clients_look_for)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "openai", "ollama", "/v1/chat/completions");
    CHECK_HOLDS(
        world_answer(&w, "ollama",
                     HEAD "\"message\":{\"content\":\"Hi!\"},\"logprobs\":[{\"token\":\"Hi\",\"logprob\":"
                          "-1},{\"token\":\"!\",\"logprob\":-2,\"top_logprobs\":[{\"token\":\"?\",\"logprob\":-3}]}],"
                          "\"done\":true}"),
        "{\"content\":[{\"token\":\"Hi\",\"logprob\":-1,\"top_logprobs\":[]},{\"token\":\"!\",\"logprob\":-2,"
        "\"top_logprobs\":[{\"token\":\"?\",\"logprob\":-3}]}]");
}

TEST(ollama_logprobs_travel_both_ways)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    (void)world_translate(&w, "{" MODEL "," ASK ",\"logprobs\":true,\"top_logprobs\":2}");
    CHECK_HOLDS(buf_str(&w.body), "\"logprobs\":true,\"top_logprobs\":2");
    CHECK_HOLDS(world_stream(&w, "ollama",
                             HEAD "\"message\":{\"content\":\"Hi\"},\"logprobs\":[{\"token\":\"Hi\",\"logprob\":-1}],"
                                  "\"done\":false}\n" LAST("stop")),
                OURS
                "\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":[{\"token\":\"Hi\",\"logprob\":-1,"
                "\"top_logprobs\":[]}],"
                "\"done\":false}\n");
}

static bool answers_here(struct dialect_world *w, const char *path, const char *json)
{
    const struct json_tree *tree;

    w->t.row = world_row("ollama", path);
    buf_clear(&w->body);
    return json_tree_parse(&w->arena, str_from_c(json), &tree) == OK &&
           w->t.client->client.answer_here(&w->t, json_tree_root(tree), &w->body);
}

TEST(ollama_nothing_asked_loads_the_model)
{
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", "openai", "/api/chat");
    CHECK(answers_here(&w, "/api/chat", "{" MODEL "}"));
    CHECK_STR(buf_str(&w.body),
              "{\"model\":\"our-model\",\"created_at\":\"2026-09-21T14:13:20Z\",\"message\":{\"role\":"
              "\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"load\"}");
    CHECK(answers_here(&w, "/api/chat", "{" MODEL ",\"messages\":[],\"keep_alive\":0}"));
    CHECK_HOLDS(buf_str(&w.body), "\"done_reason\":\"unload\"");
    CHECK(answers_here(&w, "/api/generate", "{" MODEL ",\"prompt\":\"\"}"));
    CHECK_HOLDS(buf_str(&w.body), "\"response\":\"\",\"done\":true,\"done_reason\":\"load\"");
    CHECK(!answers_here(&w, "/api/chat", "{" MODEL "," ASK "}"));
    CHECK(!answers_here(&w, "/api/chat", "{" MODEL ",\"messages\":7}"));
    CHECK(!answers_here(&w, "/api/generate", "{" MODEL ",\"prompt\":\"Hi\"}"));
    CHECK(!answers_here(&w, "/api/generate", "{" MODEL ",\"images\":[\"" PNG "\"]}"));
}

/* --- the rest --- */

static err_t read_embed(struct dialect_world *w, const char *json, struct embed_request *ret)
{
    const struct json_tree *tree;

    TRY(json_tree_parse(&w->arena, str_from_c(json), &tree));
    return w->t.client->client.read_embed(&w->t, tree, ret, &w->param);
}

static struct str embed_over(struct dialect_world *w, const char *json)
{
    struct embed_request q;

    buf_clear(&w->body);
    w->call = (struct provider_call){.body = &w->body};
    err_t e = read_embed(w, json, &q);
    if (e == OK)
        e = w->t.provider->provider.write_embed(&w->t, &q, &w->call);
    return e == OK ? buf_str(&w->body) : arena_printf(&w->arena, "! %s", err_detail(e));
}

TEST(ollama_embeddings_are_asked_of_a_provider)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "ollama");
    CHECK_STR(embed_over(&w, "{" MODEL ",\"input\":[\"a\",\"b\"],\"dimensions\":3,\"user\":\"u\"}"),
              "{\"model\":\"their-model\",\"input\":[\"a\",\"b\"],\"dimensions\":3}");
    CHECK_STR(w.call.path, "/api/embed");
    CHECK_STR(world_dropped(&w), "/user");
    CHECK_STR(embed_over(&w, "{" MODEL ",\"input\":[1,2]}"), "! this model embeds text only, no tokens");
}

TEST(ollama_embeddings_are_asked_by_a_client_in_both_forms)
{
    struct dialect_world w CLEANUP(world_release);
    struct embed_request q;

    ollama_world(&w, "ollama", "ollama", "/api/embed");
    CHECK_STR(embed_over(&w, "{" MODEL ",\"input\":\"a\",\"truncate\":false,\"keep_alive\":\"5m\"}"),
              "{\"model\":\"their-model\",\"input\":[\"a\"],\"truncate\":false,\"keep_alive\":\"5m\"}");
    CHECK_STR(embed_over(&w, "{" MODEL ",\"input\":[]}"), "! input must be a string or a list of strings");
    CHECK_STR(embed_over(&w, "{" MODEL ",\"input\":[1]}"), "! input must be a string or a list of strings");
    w.t.row = world_row("ollama", "/api/embeddings");
    CHECK_STR(embed_over(&w, "{" MODEL ",\"prompt\":\"a\"}"), "{\"model\":\"their-model\",\"input\":[\"a\"]}");
    CHECK_ERR(read_embed(&w, "{" MODEL ",\"prompt\":[\"a\"]}", &q), E_PARSE);
    CHECK_STR(w.param, "prompt");
}

TEST(ollama_vectors_are_answered_in_both_forms)
{
    struct dialect_world w CLEANUP(world_release);
    struct embed_request q = {0};
    struct embed_answer a;

    ollama_world(&w, "ollama", "ollama", "/api/embed");
    struct answer_frame f = world_frame(&w);
    CHECK_OK(w.t.provider->provider.read_embed(
        &w.arena, STR("{\"model\":\"m\",\"embeddings\":[[0.10,2],[3e1,4]],\"prompt_eval_count\":7}"), &a));
    CHECK_OK(w.t.client->client.write_embed(&f, &q, &a, &w.body));
    CHECK_STR(buf_str(&w.body), "{\"model\":\"our-model\",\"embeddings\":[[0.10,2],[3e1,4]],\"total_duration\":0,"
                                "\"load_duration\":0,\"prompt_eval_count\":7}");
    buf_clear(&w.body);
    w.t.row = world_row("ollama", "/api/embeddings");
    CHECK_OK(w.t.client->client.write_embed(&f, &q, &a, &w.body));
    CHECK_STR(buf_str(&w.body), "{\"embedding\":[0.10,2]}");
    CHECK_ERR(w.t.provider->provider.read_embed(&w.arena, STR("{\"embeddings\":[1]}"), &a), E_PROTOCOL);
    CHECK_ERR(w.t.provider->provider.read_embed(&w.arena, STR("{}"), &a), E_PROTOCOL);
}

TEST(ollama_models_are_listed_and_shown)
{
    struct model_card card = {.id = STR("chat"), .owner = STR("crossdock"), .created = 1767225600};
    struct dialect_world w CLEANUP(world_release);

    ollama_world(&w, "ollama", NULL, "/api/tags");
    CHECK_OK(w.t.client->client.write_models(&w.t, &card, 1, &w.body));
    CHECK_HOLDS(buf_str(&w.body), "{\"models\":[{\"name\":\"chat\",\"model\":\"chat\",\"modified_at\":"
                                  "\"2026-01-01T00:00:00Z\",\"size\":0,\"digest\":\"");
    CHECK_HOLDS(buf_str(&w.body),
                "\"details\":{\"parent_model\":\"\",\"format\":\"\",\"family\":\"crossdock\",\"families\":"
                "[\"crossdock\"],\"parameter_size\":\"\",\"quantization_level\":\"\"}}]}");
    buf_clear(&w.body);
    CHECK_OK(w.t.client->client.write_model(&w.t, &card, &w.body));
    CHECK_HOLDS(buf_str(&w.body), "\"capabilities\":[\"completion\",\"tools\"");
    static const char *const can[][2] = {{"openai", "[\"completion\",\"tools\",\"vision\",\"thinking\"]"},
                                         {"tei", "[\"embedding\"]"},
                                         {"rerank", "[\"embedding\"]"}};
    for (size_t i = 0; i < ARRAY_LEN(can); i++) {
        card.dialect = dialect_find(str_from_c(can[i][0]));
        buf_clear(&w.body);
        CHECK_OK(w.t.client->client.write_model(&w.t, &card, &w.body));
        test_context("%s", can[i][0]);
        CHECK(str_find(buf_str(&w.body), arena_printf(&w.arena, "\"capabilities\":%s,", can[i][1])) < w.body.n);
    }
}

TEST(ollama_errors_are_a_string)
{
    struct api_error e = {.error_class = ERROR_RATE_LIMIT, .message = STR("too \"many\"")};
    struct call_header headers[2];
    struct dialect_world w CLEANUP(world_release);
    int status;

    ollama_world(&w, "ollama", NULL, "/api/chat");
    w.t.client->client.write_error(&w.t, &e, &w.body, &status, headers);
    CHECK_STR(buf_str(&w.body), "{\"error\":\"too \\\"many\\\"\"}");
    CHECK_EQ(status, 429);
}
