/* openai_dialect_test.c - Chat Completions as a translating dialect: requests and answers, read and written, and the look-alikes' ways. */
#include "dialect_world.h"

#define ASK "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define TOOLS                                                                                                          \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"description\":\"Tide height\","           \
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"port\":{\"type\":\"string\"}}},\"strict\":true}}]"

static const char rich[] =
    "{\"model\":\"m\",\"messages\":["
    "{\"role\":\"system\",\"content\":\"Be brief.\"},"
    "{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}],"
    "\"name\":\"dev\"},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What is this?\"},"
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBORw0KGgo=\",\"detail\":\"low\"}},"
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e.example/a.png\"}},"
    "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"UklGRg==\",\"format\":\"wav\"}},"
    "{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":\"data:application/pdf;base64,JVBERi0=\"}},"
    "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}],\"name\":\"ann\"},"
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":"
    "{\"name\":\"get_tide\",\"arguments\":\"{\\\"n\\\": 12345678901234567890, \\\"x\\\":1e400}\"}},"
    "{\"id\":\"call_2\",\"type\":\"custom\",\"custom\":{\"name\":\"run_sql\",\"input\":\"select 1\"}}]},"
    "{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"3.2 m\"},"
    "{\"role\":\"tool\",\"tool_call_id\":\"call_2\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},"
    "{\"type\":\"text\",\"text\":\"y\"}]},"
    "{\"role\":\"assistant\",\"content\":\"High.\"},"
    "{\"role\":\"assistant\",\"content\":null,\"refusal\":\"No.\"},"
    "{\"role\":\"user\",\"content\":\"\"}],"
    "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_completion_tokens\":100,\"temperature\":0.70,"
    "\"top_p\":1,\"presence_penalty\":-0.5,\"frequency_penalty\":0.25,\"seed\":7,\"n\":2,\"logprobs\":true,"
    "\"top_logprobs\":3,\"logit_bias\":{\"50256\":-100},\"stop\":[\"a\",\"b\"],"
    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"tide\",\"description\":\"d\","
    "\"schema\":{\"type\":\"object\",\"z\":1,\"a\":2},\"strict\":true}},"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"description\":\"Tide\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{}},\"strict\":false}},"
    "{\"type\":\"custom\",\"custom\":{\"name\":\"run_sql\",\"description\":\"SQL\",\"format\":{\"type\":\"text\"}}}],"
    "\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\",\"tools\":["
    "{\"type\":\"function\",\"function\":{\"name\":\"get_tide\"}},{\"type\":\"custom\",\"custom\":{\"name\":"
    "\"run_sql\"}}]}},\"parallel_tool_calls\":false,\"reasoning_effort\":\"high\",\"verbosity\":\"low\","
    "\"service_tier\":\"flex\",\"safety_identifier\":\"u1\",\"metadata\":{\"k\":\"v\"},\"prompt_cache_key\":\"c\","
    "\"prompt_cache_retention\":\"24h\",\"store\":false,\"modalities\":[\"text\",\"audio\"],"
    "\"audio\":{\"voice\":\"alloy\",\"format\":\"wav\"},\"prediction\":{\"type\":\"content\",\"content\":\"p\"},"
    "\"web_search_options\":{\"x\":1}}";

/* --- requests --- */

TEST(openai_a_request_written_and_read_again_means_the_same)
{
    struct dialect_world a CLEANUP(world_release), b CLEANUP(world_release);

    world_init(&a, "openai", "openai");
    world_init(&b, "openai", "openai");
    struct str body = world_translate(&a, rich);
    CHECK_STR(world_dropped(&a), "");
    CHECK_HOLDS(body, "\"safety_identifier\":\"u1\"");
    CHECK_HOLDS(body, "\\\"n\\\": 12345678901234567890, \\\"x\\\":1e400");
    CHECK_HOLDS(body, "\"schema\":{\"type\":\"object\",\"z\":1,\"a\":2}");
    CHECK_OK(world_read(&b, arena_str(&b.arena, body).p));
    CHECK_STR(canon_request(&b.q, &b.arena), canon_request(&a.q, &a.arena).p);
}

TEST(openai_every_setting_of_a_request_reaches_the_canonical_form)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", NULL);
    CHECK_OK(world_read(&w, rich));
    struct str text = canon_request(&w.q, &w.arena);
    CHECK_HOLDS(text, "temperature: 0.70\n");
    CHECK_HOLDS(text, "call id=\"call_2\" name=\"run_sql\" arguments=\"select 1\" custom\n");
    CHECK_HOLDS(text, "result id=\"call_1\" name=\"get_tide\"\n    text text=\"3.2 m\"\n");
    CHECK_HOLDS(text, "image source=0 type=\"image/png\" data=\"iVBORw0KGgo=\" detail=\"low\"\n");
    CHECK_HOLDS(text, "image source=1 data=\"https://e.example/a.png\"\n");
    CHECK_HOLDS(text, "document source=2 data=\"file-1\"\n");
    CHECK_HOLDS(text, "choice 3  allowed=get_tide allowed=run_sql\n");
    CHECK_HOLDS(text, "extra web_search_options={\"x\":1}\n");
    CHECK(w.q.include_usage);
}

TEST(openai_wrong_types_are_refused_with_their_place)
{
    static const struct {
        const char *json, *want;
    } cases[] = {
        {"[]", "! : the body must be a JSON object"},
        {"{\"model\":\"m\"}", "! messages: 'messages' is missing: give an array of messages"},
        {"{\"messages\":[]}", "! model: 'model' must be a string that names the model"},
        {"{\"model\":\"m\",\"messages\":{}}", "! messages: 'messages' must be an array"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"robot\"}]}",
         "! messages[1].role: 'role' must be system, developer, user, assistant or tool"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":5}]}",
         "! messages[0].content: content must be a string or an array of parts"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
         "! messages[0].content[0]: a text part needs a string 'text'"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}",
         "! messages[0]: a tool message needs the 'tool_call_id' of the call that it answers"},
        {"{" ASK ",\"temperature\":\"hot\"}", "! temperature: 'temperature' must be a number"},
        {"{" ASK ",\"tools\":{}}", "! tools: 'tools' must be an array"},
        {"{" ASK ",\"tools\":[{\"type\":\"function\",\"function\":{}}]}",
         "! tools[0].function: a function needs a 'name'"},
        {"{" ASK ",\"stop\":[1]}", "! stop[0]: each of 'stop' must be a string"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        world_init(&w, "openai", "openai");
        CHECK_STR(world_translate(&w, cases[i].json), cases[i].want);
    }
}

TEST(openai_null_members_are_absent)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    CHECK_STR(world_translate(&w, "{" ASK ",\"stop\":null,\"tools\":null,\"temperature\":null,\"metadata\":null}"),
              "{\"model\":\"their-model\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
}

TEST(openai_legacy_functions_become_tools_and_calls_pair)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    struct str body =
        world_translate(&w, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"?\"},"
                            "{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":"
                            "\"{}\"}},{\"role\":\"function\",\"name\":\"f\",\"content\":\"7\"}],"
                            "\"functions\":[{\"name\":\"f\",\"parameters\":{}}],\"function_call\":\"auto\"}");
    const struct block *call = w.q.turns->next->blocks, *result = w.q.turns->next->next->blocks;
    CHECK(call->id.n > 0);
    CHECK_STR(result->id, arena_str(&w.arena, call->id).p);
    CHECK_HOLDS(body, "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}]");
    CHECK_HOLDS(body, "\"tool_choice\":\"auto\"");
    CHECK_LACKS(body, "function_call\"");
}

TEST(openai_inbound_reasoning_details_are_read)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", NULL);
    CHECK_OK(world_read(&w, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":\"x\","
                            "\"reasoning\":\"for people\",\"reasoning_details\":["
                            "{\"type\":\"reasoning.text\",\"text\":\"ab\",\"signature\":\"S\",\"format\":"
                            "\"anthropic-claude-v1\"},"
                            "{\"type\":\"reasoning.encrypted\",\"data\":\"crossdock.anthropic.BLOB\"}]}]}"));
    CHECK_STR(canon_request(&w.q, &w.arena), "plain\nassistant \n"
                                             "  thinking text=\"ab\" signature=\"S\" signer=2\n"
                                             "  redacted text=\"BLOB\" signer=2\n  text text=\"x\"\n");
}

TEST(openai_signed_thoughts_of_another_maker_are_dropped_and_reported)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "vllm");
    struct str body = world_translate(
        &w, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"?\"},"
            "{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_details\":[{\"type\":\"reasoning.text\","
            "\"text\":\"ab\",\"signature\":\"crossdock.anthropic.S\"}]},"
            "{\"role\":\"assistant\",\"content\":\"y\",\"reasoning_content\":\"mine\"}]}");
    CHECK_LACKS(body, "\"ab\"");
    CHECK_HOLDS(body, "\"reasoning\":\"mine\"");
    CHECK_STR(world_dropped(&w), "/messages/1/reasoning_details/0");
}

TEST(openai_calls_are_answered_before_the_next_user_message)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    struct str body = world_translate(
        &w,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
        "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]},"
        "{\"role\":\"user\",\"content\":\"wait\"},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"ok\"}]}");
    CHECK_HOLDS(body, "\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"ok\"},"
                      "{\"role\":\"user\",\"content\":\"wait\"}]");
}

TEST(openai_images_in_a_tool_result_follow_in_a_user_message)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    struct str body = world_translate(
        &w, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":["
            "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
            "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},"
            "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e.example/i.png\"}}]}]}");
    CHECK_HOLDS(body, "follows in the next message)\"}]},{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"");
    CHECK_EQ(w.losses.emulated, 1);
}

TEST(openai_more_than_four_stops_are_watched_for_by_us)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    struct str body = world_translate(&w, "{" ASK ",\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}");
    CHECK_HOLDS(body, "\"stop\":[\"a\",\"b\",\"c\",\"d\"]");
    CHECK_EQ(w.call.emulate.stop_count, 1);
    CHECK_STR(w.call.emulate.stops[0].text, "e");
}

TEST(openai_names_of_tools_are_mended_and_mapped_back)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    struct str body = world_translate(&w, "{" ASK ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a/b\"}},"
                                          "{\"type\":\"function\",\"function\":{\"name\":\"a_b\"}}]}");
    CHECK_HOLDS(body, "{\"name\":\"a_b_2\"}},{\"type\":\"function\",\"function\":{\"name\":\"a_b\"}}]");
    CHECK_STR(name_map_back(w.call.names, STR("a_b_2")), "a/b");
}

/* --- look-alikes --- */

TEST(mistral_is_sent_only_what_it_knows)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "mistral");
    struct str body = world_translate(
        &w,
        "{" ASK ",\"seed\":7,\"temperature\":1.9,\"max_completion_tokens\":5,\"logit_bias\":{},\"user\":\"u\","
        "\"top_k\":3,\"safe_prompt\":true,\"min_tokens\":4,\"stream\":true," TOOLS ",\"tool_choice\":\"required\"}");
    CHECK_STR(body,
              "{\"model\":\"their-model\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"stream\":true,"
              "\"max_tokens\":5,\"temperature\":1.5,\"random_seed\":7,"
              "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"description\":\"Tide height\","
              "\"parameters\":{\"type\":\"object\",\"properties\":{\"port\":{\"type\":\"string\"}}},\"strict\":true}}],"
              "\"tool_choice\":\"any\",\"safe_prompt\":true}");
    CHECK_STR(world_dropped(&w), "/top_k,/logit_bias,/user,/min_tokens");
    CHECK_EQ(w.losses.changed, 1);
}

TEST(mistral_gets_nine_character_ids_order_repair_and_a_prefix)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "mistral");
    struct str body = world_translate(
        &w, "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
            "{\"role\":\"user\",\"content\":\"?\"},"
            "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"toolu_01ABC\",\"type\":\"function\","
            "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
            "{\"role\":\"tool\",\"tool_call_id\":\"toolu_01ABC\",\"content\":\"ok\"},"
            "{\"role\":\"user\",\"content\":\"and?\"},{\"role\":\"system\",\"content\":\"later\"},"
            "{\"role\":\"assistant\",\"content\":\"It\"}]}");
    struct str id = tool_id_fit(TOOL_ID_MISTRAL, STR("toolu_01ABC"), &w.arena);
    CHECK_EQ(id.n, 9);
    struct str pair =
        arena_printf(&w.arena, "{\"role\":\"tool\",\"tool_call_id\":\"%.*s\",\"name\":\"f\"", STR_ARG(id));
    CHECK(str_find(body, pair) < body.n);
    struct str call = arena_printf(&w.arena, "{\"id\":\"%.*s\",\"type\":\"function\"", STR_ARG(id));
    CHECK(str_find(body, call) < body.n);
    CHECK_HOLDS(body, "{\"role\":\"assistant\",\"content\":\"Understood.\"},{\"role\":\"user\",\"content\":\"and?\"},"
                      "{\"role\":\"user\",\"content\":\"later\"},"
                      "{\"role\":\"assistant\",\"content\":\"It\",\"prefix\":true}]");
}

TEST(mistral_answers_with_parts_and_objects_are_read)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    CHECK_STR(world_answer_events(
                  "openai",
                  "{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
                  "\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]},"
                  "{\"type\":\"text\",\"text\":\"Hi\"}],\"tool_calls\":[{\"id\":\"abcdefghi\",\"function\":{\"name\":"
                  "\"f\",\"arguments\":{\"b\": 1,\"a\":2}}}]},\"finish_reason\":\"tool_calls\"}],"
                  "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"num_cached_tokens\":1}}",
                  &a),
              "start x m\nopen 0.0 thinking\ntext 0.0 hm\nclose 0.0\nopen 0.1 text\ntext 0.1 Hi\nclose 0.1\n"
              "open 0.2 call abcdefghi f\ntext 0.2 {\"b\": 1,\"a\":2}\nclose 0.2\nfinish 0 tool_calls \n"
              "usage 3 2 cached 1 reasoning 0\nend\n");
}

TEST(deepseek_gets_a_schema_as_a_tool_that_must_be_called)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "deepseek");
    struct str body = world_translate(&w, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],"
                                          "\"response_format\":{\"type\":\"json_schema\","
                                          "\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\"}}}}");
    CHECK_HOLDS(body, "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"n\"");
    CHECK_HOLDS(body, "\"parameters\":{\"type\":\"object\"}");
    CHECK_HOLDS(body, "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"n\"}}");
    CHECK_STR(w.call.emulate.schema_tool, "n");
}

TEST(deepseek_gets_json_mode_with_the_schema_in_words_beside_tools_of_the_clients_own)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "deepseek");
    struct str body = world_translate(
        &w,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
        "{\"type\":\"text\",\"text\":\"b\"}]}],\"response_format\":{\"type\":\"json_schema\",\"json_schema\":"
        "{\"name\":\"n\",\"schema\":{\"type\":\"object\"}}},\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
        "\"f\"}}],\"reasoning_effort\":\"none\"}");
    CHECK_HOLDS(body, "schema:\\n{\\\"type\\\":\\\"object\\\"}\"},{\"role\":\"system\",\"content\":\"a\\nb\"}]");
    CHECK_HOLDS(body, "\"response_format\":{\"type\":\"json_object\"}");
    CHECK_HOLDS(body, "\"thinking\":{\"type\":\"disabled\"}");
    CHECK(w.call.emulate.strip_fence);
}

TEST(groq_is_not_sent_what_it_answers_with_400)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "groq");
    struct str body =
        world_translate(&w, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"name\":"
                            "\"ann\"}],\"n\":2,\"logprobs\":true,\"logit_bias\":{\"1\":2}}");
    CHECK_STR(body, "{\"model\":\"their-model\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    CHECK_STR(world_dropped(&w), "/messages/0/name,/n,/logit_bias,/logprobs");
}

TEST(openrouter_gets_reasoning_as_an_object_and_details_back)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openrouter");
    struct str body = world_translate(
        &w, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\","
            "\"cache_control\":{\"type\":\"ephemeral\"}}]},{\"role\":\"assistant\",\"content\":\"y\","
            "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"t\",\"signature\":"
            "\"crossdock.anthropic.S\"}]}],\"reasoning\":{\"max_tokens\":2000,\"exclude\":true}}");
    CHECK_HOLDS(body, "\"reasoning\":{\"max_tokens\":2000,\"exclude\":true}");
    CHECK_HOLDS(body, "{\"type\":\"reasoning.text\",\"text\":\"t\",\"signature\":\"S\",\"format\":"
                      "\"anthropic-claude-v1\"}");
    CHECK_HOLDS(body, "\"cache_control\":{\"type\":\"ephemeral\"}");
}

TEST(vllm_keeps_its_own_fields)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "vllm");
    struct str body =
        world_translate(&w, "{" ASK ",\"top_k\":4,\"min_p\":0.1,\"structured_outputs\":{\"regex\":\"a+\"},"
                            "\"chat_template_kwargs\":{\"enable_thinking\":false}}");
    CHECK_HOLDS(body, "\"top_k\":4,\"min_p\":0.1");
    CHECK_HOLDS(body, "\"structured_outputs\":{\"regex\":\"a+\"},\"chat_template_kwargs\":{\"enable_thinking\":false}");
    CHECK_STR(world_dropped(&w), "");
}

TEST(azure_has_the_deployment_in_the_path_and_the_version_in_the_query)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "azure-deployments");
    w.t.model = STR("gpt 4/o");
    (void)world_translate(&w, "{" ASK "}");
    CHECK_STR(w.call.path, "/deployments/gpt%204%2Fo/chat/completions?api-version=2024-10-21");
    w.t.query = STR("api-version=2025-01-01");
    (void)world_translate(&w, "{" ASK "}");
    CHECK_STR(w.call.path, "/deployments/gpt%204%2Fo/chat/completions?api-version=2025-01-01");
    w.t.provider_version = STR("2026-02-02");
    (void)world_translate(&w, "{" ASK "}");
    CHECK_STR(w.call.path, "/deployments/gpt%204%2Fo/chat/completions?api-version=2026-02-02");
}

TEST(custom_tools_are_functions_where_only_those_exist)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "vllm");
    struct str body = world_translate(&w, "{" ASK ",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"sql\"}}]}");
    CHECK_HOLDS(body, "\"name\":\"sql\",\"parameters\":{\"type\":\"object\",\"properties\":{\"input\"");
    struct str answer = world_answer(
        &w, "openai",
        "{\"choices\":[{\"index\":0,\"message\":{\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":"
        "{\"name\":\"sql\",\"arguments\":\"{\\\"input\\\":\\\"select \\\\n1\\\"}\"}}]},\"finish_reason\":\"stop\"}]}");
    CHECK_HOLDS(answer, "{\"id\":\"c\",\"type\":\"custom\",\"custom\":{\"name\":\"sql\",\"input\":\"select \\n1\"}}");
    CHECK_HOLDS(answer, "\"finish_reason\":\"tool_calls\"");
}

/* --- answers read --- */

#define CHUNK(inside) "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[" inside "]}\n\n"
#define DELTA(d) CHUNK("{\"index\":0,\"delta\":{" d "},\"finish_reason\":null}")
#define FINISH(reason) CHUNK("{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}")
#define DONE "data: [DONE]\n\n"

static void check_stream(const char *bytes, const char *want)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 16 << 20);
    CHECK_STR(world_stream_events("openai", bytes, &a), want);
}

TEST(openai_a_stream_of_thoughts_text_and_a_call)
{
    check_stream(DELTA("\"role\":\"assistant\",\"content\":\"\"") DELTA("\"reasoning_content\":\"ok\"")
                     DELTA("\"content\":\"Hi\"")
                         DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":"
                               "{\"name\":\"get_tide\",\"arguments\":\"\"}}]")
                             DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"port\\\":\"}}]")
                                 DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"Brest\\\"}\"}}]")
                                     FINISH("tool_calls") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,"
                                                          "\"completion_tokens\":8,\"completion_tokens_details\":"
                                                          "{\"reasoning_tokens\":2}}}\n\n" DONE,
                 "start c m\nopen 0.0 thinking\ntext 0.0 ok\nclose 0.0\nopen 0.1 text\ntext 0.1 Hi\nclose 0.1\n"
                 "open 0.2 call call_1 get_tide\ntext 0.2 {\"port\":\"Brest\"}\nclose 0.2\nfinish 0 tool_calls \n"
                 "usage 20 8 cached 0 reasoning 2\nend\n");
}

TEST(openai_a_broken_stream_is_never_a_normal_end)
{
    check_stream(DELTA("\"content\":\"Hi\""), "start c m\nopen 0.0 text\ntext 0.0 Hi\n"
                                              "error 12 The provider's answer broke off.\n");
    check_stream("", "error 12 The provider's answer broke off.\n");
}

TEST(openai_a_finish_without_done_is_a_whole_answer)
{
    check_stream(DELTA("\"content\":\"Hi\"") FINISH("stop"),
                 "start c m\nopen 0.0 text\ntext 0.0 Hi\nclose 0.0\nfinish 0 stop \nend\n");
}

TEST(openai_an_empty_finish_reason_is_none_and_a_repeated_one_is_told_once)
{
    check_stream(CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"\"}")
                     CHUNK("{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"length\"}")
                         CHUNK("{\"index\":0,\"delta\":{\"content\":\"c\"},\"finish_reason\":\"length\"}")
                             DONE FINISH("stop"),
                 "start c m\nopen 0.0 text\ntext 0.0 abc\nclose 0.0\nfinish 0 length \nend\n");
    check_stream(CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"\"}"),
                 "start c m\nopen 0.0 text\ntext 0.0 a\nerror 12 The provider's answer broke off.\n");
}

TEST(openai_chunks_with_empty_choices_begin_and_end_nothing)
{
    check_stream("data: {\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\n\n" DELTA(
                     "\"content\":\"Hi\"") "data: {\"choices\":[]}\n\n" FINISH("content_filter") DONE,
                 "start c m\nopen 0.0 text\ntext 0.0 Hi\nclose 0.0\nfinish 0 filter \nend\n");
}

TEST(openai_tool_deltas_without_index_or_id_find_their_call)
{
    check_stream(DELTA("\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]")
                     DELTA("\"tool_calls\":[{\"function\":{\"arguments\":\"}\"}}]")
                         DELTA("\"tool_calls\":[{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]")
                             FINISH("stop") DONE,
                 "start c m\nopen 0.0 call a f\ntext 0.0 {}\nclose 0.0\nopen 0.1 call b g\ntext 0.1 {}\nclose 0.1\n"
                 "finish 0 tool_calls \nend\n");
}

TEST(openai_an_index_used_again_with_a_new_id_is_a_new_call)
{
    check_stream(
        DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]")
            DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]")
                FINISH("tool_calls") DONE,
        "start c m\nopen 0.0 call a f\ntext 0.0 {}\nclose 0.0\nopen 0.1 call b f\ntext 0.1 {}\nclose 0.1\n"
        "finish 0 tool_calls \nend\n");
}

TEST(openai_the_same_id_and_name_repeated_is_one_call)
{
    check_stream(
        DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]")
            DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"}\"}}]")
                FINISH("tool_calls") DONE,
        "start c m\nopen 0.0 call a f\ntext 0.0 {}\nclose 0.0\nfinish 0 tool_calls \nend\n");
}

TEST(openai_interleaved_calls_stay_apart)
{
    check_stream(
        DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":\"}},"
              "{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{\"}}]")
            DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}},"
                  "{\"index\":1,\"function\":{\"arguments\":\"}\"}}]") FINISH("tool_calls") DONE,
        "start c m\nopen 0.0 call a f\ntext 0.0 {\"x\":\nopen 0.1 call b g\ntext 0.1 {\ntext 0.0 1}\ntext 0.1 }\n"
        "close 0.0\nclose 0.1\nfinish 0 tool_calls \nend\n");
}

TEST(openai_a_call_without_an_id_gets_a_lasting_one)
{
    struct arena a CLEANUP(arena_release);
    const char *bytes =
        DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]") FINISH("stop") DONE;

    arena_init(&a, 16 << 20);
    CHECK_HOLDS(world_stream_events("openai", bytes, &a), "open 0.0 call call_");
}

TEST(openai_usage_is_found_wherever_it_stands)
{
    check_stream(
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},"
        "\"finish_reason\":\"stop\"}],\"x_groq\":{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}}\n\n" DONE,
        "start c m\nopen 0.0 text\ntext 0.0 x\nclose 0.0\nfinish 0 stop \nusage 5 1 cached 0 reasoning 0\nend\n");
    check_stream(
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1,"
        "\"prompt_cache_hit_tokens\":4}}\n\n",
        "start c m\nopen 0.0 text\ntext 0.0 x\nclose 0.0\nfinish 0 stop \nusage 5 1 cached 4 reasoning 0\nend\n");
}

TEST(openai_reasoning_left_out_of_the_completion_is_counted_in)
{
    struct usage u;

    CHECK(usage_from_openai(STR("{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":22,"
                                "\"completion_tokens_details\":{\"reasoning_tokens\":7}}"),
                            &u));
    CHECK_EQ(u.output, 12);
}

TEST(openai_errors_in_mid_stream_end_it_with_their_class)
{
    check_stream(DELTA("\"content\":\"x\"") "data: {\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\","
                                            "\"code\":null}}\n\n" FINISH("stop") DONE,
                 "start c m\nopen 0.0 text\ntext 0.0 x\nerror 11 slow down\n");
    check_stream("data: {\"error\":\"boom\"}\n\n", "error 12 boom\n");
    check_stream(FINISH("error"), "start c m\nerror 12 The provider gave up in the middle of its answer.\n");
    check_stream("data: {\"x\":\n\n", "error 12 The provider sent an event that is no JSON.\n");
}

TEST(openai_several_choices_interleave)
{
    check_stream(CHUNK("{\"index\":1,\"delta\":{\"content\":\"b\"}}")
                     CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\"}}")
                         CHUNK("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"},"
                               "{\"index\":1,\"delta\":{},\"finish_reason\":\"length\"}") DONE,
                 "start c m\nopen 1.0 text\ntext 1.0 b\nopen 0.0 text\ntext 0.0 a\nclose 0.0\nfinish 0 stop \n"
                 "close 1.0\nfinish 1 length \nend\n");
}

TEST(openai_a_refusal_ends_as_one_and_halves_of_a_surrogate_join)
{
    check_stream(DELTA("\"refusal\":\"No.\"") FINISH("stop") DONE,
                 "start c m\nopen 0.0 refusal\ntext 0.0 No.\nclose 0.0\nfinish 0 refusal \nend\n");
    check_stream(DELTA("\"content\":\"\xc3\xa9\"") FINISH("stop") DONE,
                 "start c m\nopen 0.0 text\ntext 0.0 \xc3\xa9\nclose 0.0\nfinish 0 stop \nend\n");
}

TEST(openai_a_plain_answer_that_is_none_is_refused)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    CHECK_STR(world_answer_events("openai", "<html>", &a), "! the provider's answer is no JSON");
    CHECK_STR(world_answer_events("openai", "{}", &a), "! the provider's answer has no choices");
    CHECK_STR(world_answer_events("openai", "{\"error\":{\"message\":\"m\",\"code\":429}}", &a), "error 11 429 m\n");
}

/* --- answers written --- */

TEST(openai_a_stream_as_its_clients_expect_it)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    (void)world_translate(&w, "{" ASK ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    struct str out = world_stream(&w, "openai",
                                  DELTA("\"content\":\"H\\ud83d\"") DELTA("\"content\":\"\\ude00\"")
                                      DELTA("\"tool_calls\":[{\"index\":3,\"id\":\"t\",\"function\":{\"name\":\"f\"}}]")
                                          FINISH("stop") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2,"
                                                         "\"completion_tokens\":1}}\n\n" DONE);
#define TAIL ",\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"
    struct str id = str_slice(out, 13, 13 + 41);
    CHECK(str_starts(id, STR("chatcmpl-")));
    CHECK_HOLDS(out, "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}" TAIL);
    CHECK_HOLDS(out, "{\"content\":\"H\\ud83d\"}" TAIL);
    CHECK_HOLDS(out, "{\"content\":\"\\ude00\"}" TAIL);
    CHECK_HOLDS(out, "{\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                     "\"arguments\":\"\"}}]}" TAIL);
    CHECK_HOLDS(out, "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]}" TAIL);
    CHECK_HOLDS(out, "\"delta\":{},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}],\"usage\":null}\n\n");
    CHECK_HOLDS(out, "\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1,\"total_tokens\":3,");
    CHECK(str_ends(out, STR("}}}\n\ndata: [DONE]\n\n")));
}

TEST(openai_without_include_usage_no_chunk_has_a_usage)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    (void)world_translate(&w, "{" ASK ",\"stream\":true}");
    CHECK_HOLDS(buf_str(&w.body), "\"stream_options\":{\"include_usage\":true}");
    struct str out = world_stream(&w, "openai",
                                  DELTA("\"content\":\"a\"") FINISH("stop") "data: {\"choices\":[],\"usage\":"
                                                                            "{\"prompt_tokens\":2}}\n\n" DONE);
    CHECK_LACKS(out, "usage");
}

TEST(openai_a_client_s_stream_ends_in_an_error_and_nothing_after_it)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    (void)world_translate(&w, "{" ASK ",\"stream\":true}");
    struct str out = world_stream(&w, "openai", DELTA("\"content\":\"a\""));
    CHECK(str_ends(out, STR("data: {\"error\":{\"message\":\"The provider's answer broke off.\",\"type\":"
                            "\"server_error\",\"param\":null,\"code\":null}}\n\n")));
    CHECK_LACKS(out, "[DONE]");
}

TEST(openai_signed_thoughts_come_back_as_reasoning_details)
{
    struct dialect_world w CLEANUP(world_release);
    const char *stream =
        DELTA("\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"ok\",\"signature\":\"SIG\",\"format\":"
              "\"anthropic-claude-v1\"}]") DELTA("\"content\":\"x\"") FINISH("stop") DONE;

    world_init(&w, "openai", "openai");
    (void)world_translate(&w, "{" ASK ",\"stream\":true}");
    struct str out = world_stream(&w, "openai", stream);
    CHECK_HOLDS(out, "{\"reasoning_content\":\"ok\",\"reasoning\":\"ok\"}");
    CHECK_HOLDS(out, "{\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"ok\",\"signature\":"
                     "\"crossdock.anthropic.SIG\",\"format\":\"anthropic-claude-v1\",\"index\":0}]}");
    (void)world_translate(&w, "{" ASK ",\"stream\":true,\"reasoning\":{\"exclude\":true}}");
    CHECK_LACKS(world_stream(&w, "openai", stream), "reasoning");
}

TEST(openai_a_client_of_the_old_functions_hears_function_call)
{
    struct dialect_world w CLEANUP(world_release);
    const char *request = "{" ASK ",\"functions\":[{\"name\":\"f\"}]}";

    world_init(&w, "openai", "openai");
    (void)world_translate(&w, request);
    struct str out = world_stream(
        &w, "openai",
        DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]")
            FINISH("tool_calls") DONE);
    CHECK_HOLDS(out, "{\"function_call\":{\"name\":\"f\",\"arguments\":\"\"}}");
    CHECK_HOLDS(out, "{\"function_call\":{\"arguments\":\"{}\"}}");
    CHECK_HOLDS(out, "\"finish_reason\":\"function_call\"");
    CHECK_LACKS(out, "tool_calls");
}

TEST(openai_a_whole_answer_as_its_clients_expect_it)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    (void)world_translate(&w, "{" ASK "}");
    struct str out = world_answer(
        &w, "openai",
        "{\"id\":\"chatcmpl-7\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"content\":\"Hi\","
        "\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"url\":\"u\",\"title\":\"t\",\"start_index\":0,"
        "\"end_index\":2}}]},\"logprobs\":{\"content\":[{\"token\":\"Hi\"}]},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}");
    CHECK_STR(out,
              "{\"id\":\"chatcmpl-7\",\"object\":\"chat.completion\",\"created\":1790000000,\"model\":\"our-model\","
              "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hi\",\"refusal\":null,"
              "\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":0,\"end_index\":2,"
              "\"url\":\"u\",\"title\":\"t\"}}]},\"logprobs\":{\"content\":[{\"token\":\"Hi\"}],\"refusal\":null},"
              "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,"
              "\"total_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":0,"
              "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}}}");
}

TEST(openai_an_answer_of_calls_only_has_null_content)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    (void)world_translate(&w, "{" ASK "}");
    struct str out = world_answer(&w, "openai",
                                  "{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"c\","
                                  "\"function\":{\"name\":\"f\"}}]},\"finish_reason\":\"tool_calls\"}]}");
    CHECK_HOLDS(out, "\"content\":null,\"refusal\":null");
    CHECK_HOLDS(out, "\"arguments\":\"{}\"");
}

/* --- embeddings, models, errors --- */

TEST(openai_embeddings_have_the_encoding_that_was_asked_for)
{
    struct dialect_world w CLEANUP(world_release);
    const struct json_tree *tree;
    struct embed_request q;
    struct embed_answer a;
    const struct dialect *d = dialect_find(STR("openai"));

    world_init(&w, "openai", "openai");
    CHECK_OK(json_tree_parse(&w.arena,
                             STR("{\"model\":\"e\",\"input\":[\"a\",[1,2]],\"encoding_format\":\"base64\","
                                 "\"dimensions\":2}"),
                             &tree));
    CHECK_OK(d->client.read_embed(&w.t, tree, &q, &w.param));
    w.call = (struct provider_call){.body = &w.body};
    CHECK_OK(d->provider.write_embed(&w.t, &q, &w.call));
    CHECK_STR(buf_str(&w.body), "{\"model\":\"their-model\",\"input\":[\"a\",[1,2]],\"encoding_format\":\"base64\","
                                "\"dimensions\":2}");
    CHECK_OK(d->provider.read_embed(&w.arena,
                                    STR("{\"data\":[{\"index\":1,\"embedding\":[1.0,-2.5]},{\"index\":0,\"embedding\":"
                                        "[0.5,0]}],\"usage\":{\"prompt_tokens\":3}}"),
                                    &a));
    struct answer_frame f = world_frame(&w);
    buf_clear(&w.body);
    CHECK_OK(d->client.write_embed(&f, &q, &a, &w.body));
    CHECK_HOLDS(buf_str(&w.body), "\"index\":0,\"embedding\":\"AAAAPwAAAAA=\"}");
    CHECK_HOLDS(buf_str(&w.body), "\"index\":1,\"embedding\":\"AACAPwAAIMA=\"}");
    q.encoding = EMBED_FLOAT;
    buf_clear(&w.body);
    CHECK_OK(d->client.write_embed(&f, &q, &a, &w.body));
    CHECK_HOLDS(buf_str(&w.body), "\"embedding\":[1.0,-2.5]}");
}

static struct str retry_header(void *ctx, struct str name)
{
    (void)ctx;
    return str_eq(name, STR("retry-after")) ? STR("1.5") : STR_NONE;
}

TEST(openai_errors_of_every_form_keep_class_and_words)
{
    static const struct {
        int status;
        const char *body;
        enum error_class want;
        const char *message;
    } cases[] = {
        {400, "{\"error\":{\"message\":\"m\",\"code\":\"context_length_exceeded\"}}", ERROR_CONTEXT_LENGTH, "m"},
        {400, "{\"message\":\"This model's maximum context length is 8\",\"type\":\"BadRequestError\",\"code\":400}",
         ERROR_CONTEXT_LENGTH, "This model's maximum context length is 8"},
        {400,
         "{\"error\":{\"code\":\"content_filter\",\"message\":\"m\",\"innererror\":{\"code\":"
         "\"ResponsibleAIPolicyViolation\"}}}",
         ERROR_CONTENT_POLICY, "m"},
        {401, "{\"message\":\"Unauthorized\"}", ERROR_AUTH, "Unauthorized"},
        {404, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"}}", ERROR_NOT_FOUND, "m"},
        {503, "{\"error\":{\"type\":\"server_error\",\"message\":\"m\"}}", ERROR_OVERLOADED, "m"},
        {404, "{\"error\":{\"code\":\"DeploymentNotFound\",\"message\":\"m\"}}", ERROR_NOT_FOUND, "m"},
        {422, "{\"detail\":[{\"loc\":[\"body\",\"x\"],\"msg\":\"extra\"}]}", ERROR_UNPROCESSABLE, "extra"},
        {422, "{\"object\":\"error\",\"message\":{\"detail\":[{\"msg\":\"bad\"}]}}", ERROR_UNPROCESSABLE, "bad"},
        {429, "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"m\"}}", ERROR_QUOTA, "m"},
        {502, "<html>", ERROR_UPSTREAM, ""},
        {503, "", ERROR_OVERLOADED, ""},
        {500, "[]", ERROR_UPSTREAM, ""},
    };
    struct arena a CLEANUP(arena_release);
    const struct dialect *d = dialect_find(STR("openai"));

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api_error e;
        test_context("%s", cases[i].body);
        d->provider.read_error(&a, cases[i].status, str_from_c(cases[i].body), retry_header, NULL, &e);
        CHECK_EQ(error_class_of(&e), cases[i].want);
        CHECK_STR(e.message, cases[i].message);
        CHECK_EQ(e.retry_after_ms, 1500);
    }
}

TEST(openai_errors_are_told_with_type_and_code)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(4096);
    struct call_header headers[2] = {0};
    int status;

    dialect_find(STR("openai"))
        ->client.write_error(NULL, &(struct api_error){.error_class = ERROR_NOT_FOUND, .message = STR("no")}, &to,
                             &status, headers);
    CHECK_EQ(status, 404);
    CHECK_STR(buf_str(&to), "{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\",\"param\":null,"
                            "\"code\":\"model_not_found\"}}");
}
