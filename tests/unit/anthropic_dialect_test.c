/* Tests of the Anthropic dialect: both sides, whole and streamed, and what each pitfall of the format looks like. */
#include "dialect_world.h"

#include "codec/base64.h"
#include "codec/eventstream.h"
#include "llm/emulate.h"

#define MESSAGES "/v1/messages"

static const char rich[] =
    "{\"model\":\"chat\",\"max_tokens\":9000,\"stream\":true,\"temperature\":0.5,\"top_k\":40,"
    "\"system\":[{\"type\":\"text\",\"text\":\"Be brief\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}],"
    "\"stop_sequences\":[\"END\"],\"metadata\":{\"user_id\":\"u1\"},\"service_tier\":\"auto\","
    "\"tools\":[{\"name\":\"get_tide\",\"description\":\"Tides\",\"input_schema\":{\"type\":\"object\",\"properties\":"
    "{\"port\":{\"type\":\"string\"}}},\"strict\":true}],"
    "\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true},"
    "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\","
    "\"additionalProperties\":false}}},"
    "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Look\"},"
    "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"iVBORw0KGgoAAAAN\"}},"
    "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://x.example/a.png\"}},"
    "{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"Words\"},"
    "\"title\":\"T\",\"context\":\"C\",\"citations\":{\"enabled\":true}},"
    "{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\",\"data\":"
    "\"JVBERi0xLjQK\"}}]},"
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"EqQ=\"},"
    "{\"type\":\"redacted_thinking\",\"data\":\"AAA=\"},{\"type\":\"text\",\"text\":\"Let me see\"},"
    "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"get_tide\",\"input\":{\"port\": \"Brest\",\"n\":"
    "12345678901234567890}}]},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_1\",\"is_error\":true,"
    "\"content\":[{\"type\":\"text\",\"text\":\"closed\"}],\"cache_control\":{\"type\":\"ephemeral\"}}]}]}";

/* A client that came by this path, to a Claude at this vendor. */
static void anthropic_init(struct dialect_world *k, const char *path, const char *vendor)
{
    world_init_at(k, "anthropic", path, vendor);
    k->t.model = STR("claude-opus-4-7");
}

/* As if a client of another dialect had said it. */
static struct chat_request *said_elsewhere(struct dialect_world *k)
{
    k->q.dialect = dialect_find(STR("openai"));
    return &k->q;
}

TEST(anthropic_reads_back_what_it_writes)
{
    struct dialect_world k CLEANUP(world_release);
    struct dialect_world again CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic");
    anthropic_init(&again, MESSAGES, "anthropic");
    CHECK_EQ(world_read(&k, rich), OK);
    k.t.model = STR("chat");
    said_elsewhere(&k);
    CHECK_EQ(world_write(&k), OK);
    CHECK_EQ(k.losses.count, 0);
    CHECK_EQ(world_read(&again, arena_str(&k.arena, buf_str(&k.body)).p), OK);
    CHECK_STR(canon_request(&again.q, &k.arena), canon_request(&k.q, &k.arena).p);
    CHECK_HOLDS(buf_str(&k.body), "\"input\":{\"port\": \"Brest\",\"n\":12345678901234567890}");
}

TEST(anthropic_request_is_read_whole)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic");
    CHECK_EQ(world_read(&k, rich), OK);
    struct str got = canon_request(&k.q, &k.arena);
    CHECK_HOLDS(got, "stream\n");
    CHECK_HOLDS(got, "max_output: 9000\n");
    CHECK_HOLDS(got, "stop: END\n");
    CHECK_HOLDS(got, "user: u1\n");
    CHECK_HOLDS(got, "system \n  text text=\"Be brief\" cache=3\n");
    CHECK_HOLDS(got, "thinking signature=\"EqQ=\" signer=2\n");
    CHECK_HOLDS(got, "redacted text=\"AAA=\" signer=2\n");
    CHECK_HOLDS(got, "result id=\"toolu_1\" name=\"get_tide\" error cache=1\n    text text=\"closed\"\n");
    CHECK_HOLDS(got, "parallel: no\n");
    CHECK(k.q.include_usage);
}

TEST(anthropic_request_keeps_what_it_does_not_know)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic");
    CHECK_EQ(world_read(&k, "{\"model\":\"m\",\"max_tokens\":1,\"container\":\"c\",\"gone\":null,\"tools\":["
                            "{\"type\":\"web_search_20250305\",\"name\":\"web_search\"},"
                            "{\"name\":\"f\",\"defer_loading\":true}],\"messages\":[{\"role\":\"user\",\"content\":["
                            "{\"type\":\"container_upload\",\"file_id\":\"f\"},{\"type\":\"text\",\"text\":\"x\","
                            "\"new\":1}]}]}"),
             OK);
    struct str got = canon_request(&k.q, &k.arena);
    CHECK_HOLDS(got, "extra container=\"c\"\n");
    CHECK_LACKS(got, "gone");
    CHECK_HOLDS(got,
                "tool hosted name=\"web_search\" raw=\"{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}\"");
    CHECK_HOLDS(got, "opaque text=\"{\"type\":\"container_upload\",\"file_id\":\"f\"}\"");
    said_elsewhere(&k);
    CHECK_EQ(world_write(&k), OK);
    CHECK_LOSS(&k, LOSS_DROPPED, "/container");
    CHECK_LOSS(&k, LOSS_DROPPED, "/tools/0");
    CHECK_LOSS(&k, LOSS_DROPPED, "/tools/1/defer_loading");
    CHECK_LOSS(&k, LOSS_DROPPED, "/messages/0/content/0");
    CHECK_LOSS(&k, LOSS_DROPPED, "/messages/0/content/1/new");
}

TEST(anthropic_request_refusals_name_the_field)
{
    static const struct {
        const char *json, *param;
    } cases[] = {
        {"{\"model\":\"m\",\"messages\":{}}", "messages"},
        {"{\"model\":\"m\",\"messages\":[]}", "messages"},
        {"{\"model\":\"m\"}", "messages"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "model"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"bot\",\"content\":\"x\"}]}", "messages.0.role"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":7}]}", "messages.0.content"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}]}",
         "messages.0.content.0.type"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}",
         "messages.0.content.0.source"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"i\","
         "\"name\":\"n\",\"input\":\"x\"}]}]}",
         "messages.0.content.0.input"},
        {"{\"model\":\"m\",\"max_tokens\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "max_tokens"},
        {"{\"model\":\"m\",\"stream\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "stream"},
        {"{\"model\":\"m\",\"tools\":[{}],\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "tools.0.name"},
        {"{\"model\":\"m\",\"tool_choice\":{\"type\":\"tool\"},\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
         "tool_choice.name"},
        {"{\"model\":\"m\",\"thinking\":{\"type\":\"enabled\"},\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
         "thinking.budget_tokens"},
        {"{\"model\":\"m\",\"stop_sequences\":[1],\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
         "stop_sequences.0"},
        {"{\"model\":\"m\",\"model\":\"n\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "model"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world k CLEANUP(world_release);
        anthropic_init(&k, MESSAGES, "anthropic");
        test_context("%s", cases[i].json);
        CHECK_EQ(world_read(&k, cases[i].json), E_PARSE);
        CHECK_STR(k.param, cases[i].param);
        CHECK_HOLDS(str_from_c(err_detail(E_PARSE)), cases[i].param);
    }
}

TEST(anthropic_hosts_get_the_model_in_the_path_and_the_version_in_the_body)
{
    static const char ask[] = "{\"model\":\"chat\",\"max_tokens\":5,\"stream\":true,\"odd\":{\"a\": 1},\"messages\":"
                              "[{\"role\":\"user\",\"content\":\"x\"}]}";
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic-bedrock");
    k.t.model = STR("anthropic.claude-opus-4-7-v1:0");
    k.t.betas = STR("interleaved-thinking-2025-05-14, files-api-2025-04-14");
    CHECK_STR(world_translate(&k, ask),
              "{\"anthropic_version\":\"bedrock-2023-05-31\",\"anthropic_beta\":[\"interleaved-thinking-2025-05-14\"],"
              "\"max_tokens\":5,\"odd\":{\"a\": 1},\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    CHECK_STR(k.call.path, "/model/anthropic.claude-opus-4-7-v1%3A0/invoke-with-response-stream");
    CHECK_EQ(k.call.framing, FRAMING_EVENTSTREAM);
    CHECK_EQ(k.call.header_count, 0);
    CHECK_EQ(k.losses.dropped, 1); /* the beta that Bedrock does not know */

    struct dialect_world v CLEANUP(world_release);
    anthropic_init(&v, MESSAGES, "anthropic-vertex");
    v.t.model = STR("claude-sonnet-4-5@20250929");
    v.t.betas = STR("web-search-2025-03-05");
    CHECK_STR(world_translate(&v, ask),
              "{\"anthropic_version\":\"vertex-2023-10-16\",\"stream\":true,\"max_tokens\":5,\"odd\":{\"a\": 1},"
              "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    CHECK_STR(v.call.path, "/publishers/anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict");
    CHECK_STR(v.call.headers[0].name, "anthropic-beta");
    CHECK_STR(v.call.headers[0].value, "web-search-2025-03-05");
}

TEST(anthropic_unknown_betas_do_not_reach_bedrock)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, "/model/{model}/invoke", "anthropic-bedrock");
    k.t.path_model = STR("m");
    k.t.betas = STR("made-up-2030-01-01");
    struct str got = world_translate(&k, "{\"anthropic_version\":\"bedrock-2023-05-31\",\"anthropic_beta\":[\"x-1\","
                                         "\"context-1m-2025-08-07\"],\"max_tokens\":5,\"messages\":[{\"role\":\"user\","
                                         "\"content\":\"x\"}]}");
    CHECK_HOLDS(got, "\"anthropic_beta\":[\"context-1m-2025-08-07\"],\"max_tokens\"");
    CHECK_LACKS(got, "made-up");
    CHECK_EQ(k.losses.dropped, 2);
}

TEST(anthropic_unknown_betas_do_not_reach_vertex)
{
    static const char ask[] = "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic-vertex");
    k.t.betas = STR("made-up-2030-01-01, web-search-2025-03-05");
    CHECK_LACKS(world_translate(&k, ask), "beta");
    CHECK_EQ(k.call.header_count, 1);
    CHECK_STR(k.call.headers[0].value, "web-search-2025-03-05");
    CHECK_EQ(k.losses.dropped, 1);
    k.t.betas = STR("made-up-2030-01-01");
    CHECK_LACKS(world_translate(&k, ask), "beta");
    CHECK_EQ(k.call.header_count, 0);
}

TEST(anthropic_gets_its_version_and_betas_as_headers)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic");
    k.t.api_version = STR("2026-10-21");
    k.t.betas = STR("a-1,b-2");
    CHECK_HOLDS(
        world_translate(&k, "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"),
        "\"model\":\"claude-opus-4-7\"");
    CHECK_STR(k.call.path, "/messages");
    CHECK_STR(k.call.headers[0].value, "2026-10-21");
    CHECK_STR(k.call.headers[1].value, "a-1,b-2");
    said_elsewhere(&k);
    CHECK_EQ(world_write(&k), OK);
    CHECK_STR(k.call.headers[0].value, "2023-06-01");
}

TEST(anthropic_new_version_gets_no_temperature)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic");
    CHECK_EQ(world_read(&k, "{\"model\":\"m\",\"max_tokens\":5,\"temperature\":0.3,\"messages\":[{\"role\":\"user\","
                            "\"content\":\"x\"}]}"),
             OK);
    said_elsewhere(&k);
    CHECK_EQ(world_write(&k), OK);
    CHECK_HOLDS(buf_str(&k.body), "\"temperature\":0.3");
    k.t.provider_version = STR("2026-10-21");
    CHECK_EQ(world_write(&k), OK);
    CHECK_LACKS(buf_str(&k.body), "temperature");
    CHECK_LOSS(&k, LOSS_DROPPED, "/temperature");
    CHECK_STR(k.call.headers[0].value, "2026-10-21");
}

static void foreign(struct dialect_world *k)
{
    anthropic_init(k, MESSAGES, "anthropic");
    k->q.dialect = dialect_find(STR("openai"));
    k->q.reasoning.budget = -1;
}

static struct str written(struct dialect_world *k)
{
    return world_write(k) == OK ? buf_str(&k->body) : str_from_c(err_detail(E_PARSE));
}

TEST(anthropic_results_stand_together_behind_their_calls)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "Tides?");
    world_call(&k, "call_1", "{\"port\":\"Brest\"}");
    world_call(&k, "call|2", "");
    world_result(&k, "call|2", "late");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "And?");
    world_result(&k, "call_1", "high");
    struct str got = written(&k);
    CHECK_HOLDS(got,
                "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"call_1\",\"name\":\"get_tide\","
                "\"input\":{\"port\":\"Brest\"}},{\"type\":\"tool_use\",\"id\":\"cdx_Y2FsbHwy\",\"name\":"
                "\"get_tide\",\"input\":{}}]}");
    CHECK_HOLDS(got,
                "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"call_1\",\"content\":[{"
                "\"type\":\"text\",\"text\":\"high\"}]},{\"type\":\"tool_result\",\"tool_use_id\":\"cdx_Y2FsbHwy\","
                "\"content\":[{\"type\":\"text\",\"text\":\"late\"}]},{\"type\":\"text\",\"text\":\"And?\"}]}");
}

TEST(anthropic_gets_no_empty_text)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    world_turn(&k, CHAT_ASSISTANT, BLOCK_TEXT, "");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "y");
    CHECK_LACKS(written(&k), "\"text\":\"\"");
}

TEST(anthropic_prefill_ends_without_blanks)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    world_turn(&k, CHAT_ASSISTANT, BLOCK_TEXT, "The answer is \n");
    CHECK_HOLDS(written(&k), "\"The answer is\"");
}

TEST(anthropic_arguments_that_are_no_object_become_one)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    world_call(&k, "a", "{\"port\":");
    world_result(&k, "a", "?");
    CHECK_HOLDS(written(&k), "\"input\":{\"_raw\":\"{\\\"port\\\":\"}");
    CHECK_EQ(k.losses.changed, 1);
}

TEST(anthropic_foreign_thoughts_are_not_sent)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    struct block *b = world_turn(&k, CHAT_ASSISTANT, BLOCK_THINKING, "hm");
    b->signature = STR("gAAA");
    b->signer = SIGNER_OPENAI;
    world_turn(&k, CHAT_ASSISTANT, BLOCK_TEXT, "y");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "z");
    CHECK_LACKS(written(&k), "hm");
    CHECK_EQ(k.losses.dropped, 1);
    b->signer = SIGNER_ANTHROPIC;
    CHECK_HOLDS(written(&k), "[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"gAAA\"},{\"type\":\"text\"");
}

TEST(anthropic_own_document_loses_thoughts_of_others_only)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic");
    struct str got = world_translate(
        &k,
        "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":"
        "\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"a\",\"signature\":\"crossdock.google.Cg==\"},"
        "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"EqQ=\"},{ \"type\":\"text\",\"text\":\"y\"}]},"
        "{\"role\":\"user\",\"content\":\"z\"}]}");
    CHECK_HOLDS(
        got, "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"EqQ=\"},{ "
             "\"type\":\"text\",\"text\":\"y\"}]}");
    CHECK_LOSS(&k, LOSS_DROPPED, "/messages/1/content/0");
}

TEST(anthropic_forced_tool_switches_thinking_off)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    world_tool(&k, "f", "");
    k.q.reasoning.effort = EFFORT_HIGH;
    CHECK_HOLDS(written(&k), "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"high\"}");
    k.q.tool_choice = (struct tool_choice){.kind = CHOICE_NAMED, .name = STR("f")};
    struct str got = written(&k);
    CHECK_HOLDS(got, "\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}");
    CHECK_LACKS(got, "\"thinking\"");
    CHECK_EQ(k.losses.changed, 1);
}

TEST(anthropic_older_models_get_a_budget_below_the_limit)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    k.t.model = STR("us.anthropic.claude-sonnet-4-5-20250929-v1:0");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.q.reasoning.effort = EFFORT_MEDIUM;
    struct str got = written(&k);
    CHECK_HOLDS(got, "\"max_tokens\":12288,"); /* the default and the budget */
    CHECK_HOLDS(got, "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8192}");
    CHECK_LACKS(got, "effort");
    k.q.max_output.text = STR("2000");
    CHECK_HOLDS(written(&k), "\"budget_tokens\":1999");
    k.q.max_output.text = STR("900");
    CHECK_LACKS(written(&k), "thinking");
    k.q.max_output.text = STR("1024");
    CHECK_LACKS(written(&k), "thinking");
    CHECK_EQ(k.losses.changed, 1);
}

TEST(anthropic_while_thinking_there_is_no_sampling)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.q.temperature.text = STR("1.6");
    k.q.top_p.text = STR("0.9");
    CHECK_HOLDS(written(&k), "\"temperature\":1,");
    CHECK_EQ(k.losses.changed, 1);
    CHECK_LACKS(buf_str(&k.body), "top_p");
    CHECK_EQ(k.losses.dropped, 1);
    k.q.reasoning.on = YES;
    CHECK_LACKS(written(&k), "temperature");
}

TEST(anthropic_tool_turn_without_its_thoughts_is_continued_without_thinking)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    k.t.model = STR("claude-sonnet-4-5");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    struct block *thought = world_turn(&k, CHAT_ASSISTANT, BLOCK_THINKING, "");
    thought->signature = STR("EqQ=");
    thought->signer = SIGNER_ANTHROPIC;
    world_call(&k, "a", "{}");
    world_result(&k, "a", "y");
    k.q.reasoning.budget = 2000;
    CHECK_HOLDS(written(&k), "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}");
    thought->signer = SIGNER_GOOGLE;
    CHECK_LACKS(written(&k), "\"budget_tokens\"");
    CHECK_EQ(k.losses.changed, 1);
}

TEST(anthropic_schemas_are_made_to_fit)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    world_tool(&k, "none", "");
    world_tool(&k, "same", "{ \"type\": \"object\" }");
    world_tool(&k, "named", "{\"$schema\":\"s\",\"properties\":{\"type\":{\"type\":\"string\"}}}");
    world_tool(&k, "maybe", "{\"type\":[\"object\",\"null\"]}");
    world_tool(&k, "union", "{\"type\":\"object\",\"anyOf\":[{}]}");
    struct str got = written(&k);
    CHECK_HOLDS(got, "{\"name\":\"none\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}");
    CHECK_HOLDS(got, "\"input_schema\":{ \"type\": \"object\" }");
    CHECK_HOLDS(
        got,
        "{\"name\":\"named\",\"input_schema\":{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"}}}}");
    CHECK_HOLDS(got, "{\"name\":\"maybe\",\"input_schema\":{\"type\":\"object\"}}");
    CHECK_HOLDS(got, "{\"name\":\"union\",\"input_schema\":{\"type\":\"object\"}}");
    CHECK_EQ(k.losses.changed, 1);
}

TEST(anthropic_tools_of_free_text_are_functions_and_free_text_again)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    struct tool *t = world_tool(&k, "sql.run", "");
    t->kind = TOOL_CUSTOM;
    struct block *past = world_call(&k, "a", "select \"1\"");
    past->custom = true;
    past->name = STR("sql.run");
    world_result(&k, "a", "1");
    struct str got = written(&k);
    CHECK_HOLDS(
        got,
        "{\"name\":\"sql_run\",\"input_schema\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}}");
    CHECK_HOLDS(got, "\"input\":{\"input\":\"select \\\"1\\\"\"}");
    CHECK_EQ(k.losses.emulated, 1);
    struct event_log log CLEANUP(log_release) = {.text = BUF_INIT(4096)};
    struct chat_sink out = {log_hear, &log};
    struct chat_sink sink = emulator_sink(emulator_new(&k.arena, &k.call, &out));
    CHECK_EQ(k.t.provider->provider.read_answer(
                 &k.arena,
                 STR("{\"id\":\"m\",\"content\":[{\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"sql_run\",\"input\":{"
                     "\"input\":\"select\\n2\"}}],\"stop_reason\":\"tool_use\"}"),
                 &sink),
             OK);
    CHECK_STR(buf_str(&log.text),
              "start m \nopen 0.0 call b sql.run custom\ntext 0.0 select\n2\nclose 0.0\nfinish 0 tool_calls \nend\n");
}

TEST(anthropic_structured_output_is_a_format_or_a_tool)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.q.format = (struct response_format){
        .kind = FORMAT_SCHEMA,
        .schema =
            STR("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\"},\"properties\":{\"enum\":[{}]}}}")};
    CHECK_HOLDS(written(&k),
                "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\","
                "\"properties\":{\"a\":{\"type\":\"object\",\"additionalProperties\":false},\"properties\":{"
                "\"enum\":[{}]}},\"additionalProperties\":false}}}");
    k.t.model = STR("claude-3-7-sonnet-latest");
    struct str got = written(&k);
    CHECK_HOLDS(got, "\"tool_choice\":{\"type\":\"tool\",\"name\":\"structured_answer\"}");
    CHECK_STR(k.call.emulate.schema_tool, "structured_answer");
    CHECK_EQ(k.losses.emulated, 1);
    world_tool(&k, "f", "");
    CHECK_HOLDS(written(&k), "\"tool_choice\":{\"type\":\"any\"}");
}

TEST(anthropic_json_mode_is_asked_for_in_words)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_SYSTEM, BLOCK_TEXT, "s");
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.q.format.kind = FORMAT_JSON;
    CHECK_HOLDS(written(&k),
                "\"system\":[{\"type\":\"text\",\"text\":\"s\"},{\"type\":\"text\",\"text\":\"Answer with one");
    CHECK(k.call.emulate.strip_fence);
}

TEST(anthropic_keeps_at_most_four_cache_points_and_the_last_ones)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_SYSTEM, BLOCK_TEXT, "s1")->cache = CACHE_1H;
    world_turn(&k, CHAT_SYSTEM, BLOCK_TEXT, "s2")->cache = CACHE_DEFAULT;
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "1")->cache = CACHE_DEFAULT;
    world_turn(&k, CHAT_ASSISTANT, BLOCK_TEXT, "2")->cache = CACHE_DEFAULT;
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "3")->cache = CACHE_1H;
    world_tool(&k, "f", "")->cache = CACHE_1H;
    struct str got = written(&k);
    CHECK_HOLDS(got, "\"text\":\"s1\"}");
    CHECK_HOLDS(got, "\"text\":\"s2\",\"cache_control\":{\"type\":\"ephemeral\"}}");
    CHECK_HOLDS(got, "\"text\":\"1\"}");
    CHECK_HOLDS(got, "\"text\":\"2\",\"cache_control\":{\"type\":\"ephemeral\"}}");
    CHECK_HOLDS(got, "\"text\":\"3\",\"cache_control\":{\"type\":\"ephemeral\"}}"); /* an hour cannot follow */
    CHECK_HOLDS(got, "\"properties\":{}},\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}");
}

TEST(anthropic_what_cannot_be_said_is_reported)
{
    struct dialect_world k CLEANUP(world_release);
    const struct json_tree *doc;

    foreign(&k);
    CHECK_EQ(json_tree_parse(&k.arena,
                             STR("{\"seed\":1,\"n\":2,\"presence_penalty\":0,\"logit_bias\":{},\"verbosity\":\"low\","
                                 "\"store\":true,\"stop\":[\" \\n\",\"END\"],\"service_tier\":\"flex\"}"),
                             &doc),
             OK);
    struct json_node root = json_tree_root(doc);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    chat_read_number(&k.q.seed, json_node_get(root, STR("seed")));
    chat_read_number(&k.q.n, json_node_get(root, STR("n")));
    chat_read_number(&k.q.presence_penalty, json_node_get(root, STR("presence_penalty")));
    chat_read_raw(&k.q.logit_bias, json_node_get(root, STR("logit_bias")));
    chat_read_setting(&k.q.verbosity, json_node_get(root, STR("verbosity")), &k.arena);
    chat_read_setting(&k.q.service_tier, json_node_get(root, STR("service_tier")), &k.arena);
    chat_read_flag(&k.q.store, json_node_get(root, STR("store")));
    struct setting stops[2] = {{STR_NONE, JSON_ABSENT}, {STR_NONE, JSON_ABSENT}};
    chat_read_setting(&stops[0], json_node_at(json_node_get(root, STR("stop")), 0), &k.arena);
    chat_read_setting(&stops[1], json_node_at(json_node_get(root, STR("stop")), 1), &k.arena);
    k.q.stops = stops;
    k.q.stop_count = 2;
    CHECK_HOLDS(written(&k), "\"stop_sequences\":[\"END\"]");
    CHECK_EQ(k.losses.dropped, 6);
    CHECK_LOSS(&k, LOSS_DROPPED, "/seed");
    CHECK_LOSS(&k, LOSS_DROPPED, "/logit_bias");
    CHECK_LOSS(&k, LOSS_DROPPED, "/service_tier");
    CHECK_LOSS(&k, LOSS_EMULATED, "/stop/0");
    CHECK_EQ(k.call.emulate.stop_count, 1);
}

TEST(anthropic_media_are_told_by_their_bytes)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    struct block *b = world_turn(&k, CHAT_USER, BLOCK_IMAGE, NULL);
    b->media = (struct media){.source = MEDIA_BASE64, .type = STR("image/jpeg"), .data = STR("iVBORw0KGgoAAAAN")};
    CHECK_HOLDS(written(&k), "\"media_type\":\"image/png\"");
    b->media = (struct media){.source = MEDIA_BASE64, .type = STR("image/tiff"), .data = STR("AAAA")};
    CHECK_HOLDS(written(&k), "left out");
    CHECK_EQ(k.losses.dropped, 1);
    *b = (struct block){.kind = BLOCK_AUDIO};
    CHECK_HOLDS(written(&k), "left out");
    *b = (struct block){.kind = BLOCK_DOCUMENT,
                        .media = {.source = MEDIA_BASE64, .type = STR("text/plain"), .data = STR("aGk=")}};
    CHECK_HOLDS(written(&k),
                "{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":"
                "\"hi\"}}");
}

TEST(anthropic_billing_header_goes_nowhere_else)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic");
    CHECK_EQ(world_read(&k, "{\"model\":\"m\",\"max_tokens\":5,\"system\":[{\"type\":\"text\",\"text\":"
                            "\"x-anthropic-billing-header: cch=1\"},{\"type\":\"text\",\"text\":\"s\"}],\"messages\":["
                            "{\"role\":\"user\",\"content\":\"x\"}]}"),
             OK);
    CHECK_HOLDS(canon_request(&k.q, &k.arena), "system \n  opaque");
    said_elsewhere(&k);
    CHECK_LACKS(written(&k), "billing");
}

TEST(anthropic_names_of_tools_that_it_refuses_are_changed_and_changed_back)
{
    struct dialect_world k CLEANUP(world_release);

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    world_tool(&k, "mcp.files/read", "");
    world_tool(&k, "mcp_files_read", "");
    k.q.tool_choice = (struct tool_choice){.kind = CHOICE_NAMED, .name = STR("mcp.files/read")};
    struct str got = written(&k);
    CHECK_HOLDS(got, "{\"name\":\"mcp_files_read_2\"");
    CHECK_HOLDS(got, "\"tool_choice\":{\"type\":\"tool\",\"name\":\"mcp_files_read_2\"}");
    CHECK_STR(name_map_back(k.call.names, STR("mcp_files_read_2")), "mcp.files/read");
    CHECK_STR(name_map_back(k.call.names, STR("mcp_files_read")), "mcp_files_read");
}

TEST(anthropic_counts_without_what_only_answers_need)
{
    struct dialect_world k CLEANUP(world_release);
    uint64_t n = 0;

    foreign(&k);
    world_turn(&k, CHAT_USER, BLOCK_TEXT, "x");
    k.q.temperature.text = STR("0.1");
    k.call = (struct provider_call){.body = &k.body};
    CHECK_EQ(k.t.provider->provider.write_count(&k.t, &k.q, &k.call), OK);
    CHECK_STR(buf_str(&k.body),
              "{\"model\":\"claude-opus-4-7\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
              "\"text\",\"text\":\"x\"}]}]}");
    CHECK_STR(k.call.path, "/messages/count_tokens");
    CHECK_EQ(k.t.provider->provider.read_count(&k.arena, STR("{\"input_tokens\":12}"), &n), OK);
    CHECK_EQ(n, 12);
    CHECK_EQ(k.t.provider->provider.read_count(&k.arena, STR("{\"inputTokens\":13}"), &n), OK);
    CHECK_EQ(n, 13);
    CHECK_EQ(k.t.provider->provider.read_count(&k.arena, STR("{}"), &n), E_PROTOCOL);
    k.t.vendor = vendor_find(STR("anthropic-bedrock"));
    buf_clear(&k.body);
    CHECK_EQ(k.t.provider->provider.write_count(&k.t, &k.q, &k.call), OK);
    CHECK_HOLDS(buf_str(&k.body), "{\"input\":{\"invokeModel\":{\"body\":\"eyJhbnRocm9waWNf");
    CHECK_STR(k.call.path, "/model/claude-opus-4-7/count-tokens");
}

/* --- answers of a provider --- */

#define EVENT(name, json) "event: " name "\ndata: {\"type\":\"" name "\"" json "}\n\n"

static const char stream[] = EVENT(
    "message_start",
    ",\"message\":{\"id\":\"msg_01\",\"model\":\"claude-x\",\"content\":[],\"usage\":{\"input_tokens\":9,"
    "\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":20,\"cache_creation\":{"
    "\"ephemeral_1h_input_tokens\":5},\"output_tokens\":1}}")
    EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\","
                                 "\"signature\":\"\"}") EVENT("ping", "")
        EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"L\xc3\xa9t\"}")
            EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"EqQ=\"}")
                EVENT("content_block_stop", ",\"index\":0") EVENT(
                    "content_block_start",
                    ",\"index\":1,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":"
                    "\"web_search\",\"input\":{}}") EVENT("content_block_delta",
                                                          ",\"index\":1,\"delta\":{\"type\":\"input_json_delta\","
                                                          "\"partial_json\":\"{\\\"q\\\":1}\"}")
                    EVENT("content_block_stop", ",\"index\":1") EVENT(
                        "content_block_start", ",\"index\":2,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
                        EVENT("content_block_delta",
                              ",\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi \\ud83d\\ude00\"}")
                            EVENT("content_block_delta",
                                  ",\"index\":2,\"delta\":{\"type\":\"citations_delta\",\"citation\":{\"type\":"
                                  "\"web_search_result_location\",\"url\":\"https://x.example\",\"cited_text\":\"c\"}}")
                                EVENT("content_block_stop", ",\"index\":2") EVENT(
                                    "content_block_start", ",\"index\":3,\"content_block\":{\"type\":\"tool_use\","
                                                           "\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{}}")
                                    EVENT(
                                        "content_block_delta",
                                        ",\"index\":3,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}")
                                        EVENT("content_block_delta", ",\"index\":3,\"delta\":{\"type\":\"input_json_"
                                                                     "delta\",\"partial_json\":\"{\\\"n\\\":1e400\"}")
                                            EVENT("content_block_delta", ",\"index\":3,\"delta\":{\"type\":\"input_"
                                                                         "json_delta\",\"partial_json\":\"}\"}")
                                                EVENT("content_block_stop", ",\"index\":3")
                                                    EVENT("message_delta",
                                                          ",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":"
                                                          "null},\"usage\":{\"output_tokens\":40,"
                                                          "\"output_tokens_details\":{\"thinking_tokens\":7}}")
                                                        EVENT("message_stop", "");

static const char told[] =
    "start msg_01 claude-x\n"
    "usage 129 1 cached 100 reasoning 0 written 20/5\n"
    "open 0.0 thinking\ntext 0.0 L\xc3\xa9t\nsignature 0.0 EqQ= by 2\nclose 0.0\n"
    "open 0.1 opaque {\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{\"q\":1}}\nclose "
    "0.1\n"
    "open 0.2 text\ntext 0.2 Hi \xf0\x9f\x98\x80\ncites 0.2 https://x.example c\nclose 0.2\n"
    "open 0.3 call toolu_1 f\ntext 0.3 {\"n\":1e400}\nclose 0.3\n"
    "usage 129 40 cached 100 reasoning 7 written 20/5\n"
    "finish 0 tool_calls \nend\n";

TEST(anthropic_stream_is_told_the_same_however_it_is_cut)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic");
    CHECK_EVENTS(&k, k.t.provider, FRAMING_SSE, str_from_c(stream), told);
}

TEST(anthropic_stream_cut_short_is_an_error)
{
    struct dialect_world k CLEANUP(world_release);
    struct str whole = str_from_c(stream);

    anthropic_init(&k, MESSAGES, "anthropic");
    size_t reason = str_find(whole, STR("event: message_delta"));
    for (size_t at = 0; at < whole.n; at++) {
        struct str got =
            world_events(k.t.provider, &(struct arrival){FRAMING_SSE, str_slice(whole, 0, at), 1000, 1000}, &k.arena);
        bool ended = str_ends(got, STR("end\n"));
        CHECK_MSG(ended || str_find(got, STR("error ")) < got.n, "cut at %zu: %.*s", at, STR_ARG(got));
        CHECK_MSG(!ended || at > reason, "cut at %zu ends well", at);
    }
}

TEST(anthropic_a_tool_without_arguments_streams_an_empty_object)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic");
    CHECK_EVENTS(
        &k, k.t.provider, FRAMING_SSE,
        STR(EVENT("message_start", ",\"message\":{\"id\":\"m\",\"model\":\"c\"}") EVENT(
            "content_block_start", ",\"index\":5,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":"
                                   "\"f\",\"input\":{}}")
                EVENT("content_block_delta", ",\"index\":5,\"delta\":{\"type\":\"input_json_delta\","
                                             "\"partial_json\":\"\"}") EVENT("content_block_stop", ",\"index\":5")
                    EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"tool_use\"}") EVENT("message_stop", "")),
        "start m c\nopen 0.0 call t f\ntext 0.0 {}\nclose 0.0\nfinish 0 tool_calls \nend\n");
}

TEST(anthropic_errors_within_a_stream_keep_their_class)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic");
    CHECK_EVENTS(&k, k.t.provider, FRAMING_SSE,
                 STR(EVENT("message_start", ",\"message\":{\"id\":\"m\",\"model\":\"c\"}")
                         EVENT("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}")
                             EVENT("message_stop", "")),
                 "start m c\nerror 13 529 Overloaded\n");
    CHECK_EVENTS(&k, k.t.provider, FRAMING_SSE, STR("data: <html>\n\n"),
                 "error 12 502 the provider sent an event that is not JSON\n");
    CHECK_EVENTS(&k, k.t.provider, FRAMING_SSE,
                 STR(EVENT("message_start", ",\"message\":{\"id\":\"m\",\"model\":\"c\"}") EVENT(
                     "content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}")),
                 "start m c\nerror 12 502 the provider sent a part of a block that is not open\n");
}

/* The SSE events above as Bedrock frames them. */
static struct str as_frames(struct dialect_world *k, struct str sse)
{
    struct buf to = BUF_INIT(1 << 20);

    while (sse.n) {
        struct eventstream_writer w;
        struct str line = str_cut(&sse, '\n');
        if (!str_starts(line, STR("data: ")))
            continue;
        eventstream_begin(&w, &to);
        eventstream_add_string(&w, STR(":event-type"), STR("chunk"));
        eventstream_add_string(&w, STR(":message-type"), STR("event"));
        eventstream_begin_payload(&w);
        buf_add_lit(&to, "{\"bytes\":\"");
        base64_encode(&to, str_slice(line, 6, line.n), BASE64);
        buf_add_lit(&to, "\"}");
        if (eventstream_end(&w) != OK)
            return STR_NONE;
    }
    struct str s = arena_str(&k->arena, buf_str(&to));
    buf_release(&to);
    return s;
}

TEST(anthropic_frames_of_bedrock_tell_the_same)
{
    struct dialect_world k CLEANUP(world_release);
    struct eventstream_writer w;

    anthropic_init(&k, MESSAGES, "anthropic-bedrock");
    CHECK_EVENTS(&k, k.t.provider, FRAMING_EVENTSTREAM, as_frames(&k, str_from_c(stream)), told);
    eventstream_begin(&w, &k.out);
    eventstream_add_string(&w, STR(":message-type"), STR("exception"));
    eventstream_add_string(&w, STR(":exception-type"), STR("throttlingException"));
    eventstream_begin_payload(&w);
    buf_add_lit(&k.out, "{\"message\":\"slow down\"}");
    CHECK_EQ(eventstream_end(&w), OK);
    CHECK_EVENTS(&k, k.t.provider, FRAMING_EVENTSTREAM, buf_str(&k.out), "error 11 429 slow down\n");
}

TEST(anthropic_whole_answer_tells_the_same_as_its_stream)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "anthropic");
    CHECK_STR(
        world_answer_events(
            k.t.provider->name,
            "{\"id\":\"msg_1\",\"type\":\"message\",\"model\":\"c\",\"content\":[{\"type\":\"thinking\",\"thinking\":"
            "\"\","
            "\"signature\":\"S\"},{\"type\":\"redacted_thinking\",\"data\":\"D\"},{\"type\":\"text\",\"text\":\"a\"},"
            "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"b\": 1}},{\"type\":\"tool_use\",\"id\":"
            "\"u\",\"name\":\"g\",\"input\":{}}],\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":1,"
            "\"output_tokens\":2}}",
            &k.arena),
        "start msg_1 c\nopen 0.0 thinking\nsignature 0.0 S by 2\nclose 0.0\nopen 0.1 redacted D by 2\nclose 0.1\nopen "
        "0.2 "
        "text\ntext 0.2 a\n"
        "close 0.2\nopen 0.3 call t f\ntext 0.3 {\"b\": 1}\nclose 0.3\nopen 0.4 call u g\ntext 0.4 {}\nclose 0.4\n"
        "usage 1 2 cached 0 reasoning 0\nfinish 0 tool_calls \nend\n");
    CHECK_HOLDS(world_answer_events(k.t.provider->name, "{\"content\":[]}", &k.arena), "! ");
    CHECK_HOLDS(world_answer_events(k.t.provider->name, "[]", &k.arena), "! ");
    CHECK_HOLDS(world_answer_events(k.t.provider->name, "nonsense", &k.arena), "! ");
}

TEST(anthropic_reasons_to_stop_are_understood)
{
    static const char *const reasons[][2] = {{"end_turn", "stop"},
                                             {"max_tokens", "length"},
                                             {"refusal", "refusal"},
                                             {"pause_turn", "pause"},
                                             {"something_new", "stop"},
                                             {"model_context_window_exceeded", "context"},
                                             {"stop_sequence", "stop_sequence END"}};

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        struct dialect_world k CLEANUP(world_release);
        anthropic_init(&k, MESSAGES, "anthropic");
        struct str body =
            arena_printf(&k.arena, "{\"id\":\"i\",\"content\":[],\"stop_reason\":\"%s\",\"stop_sequence\":%s}",
                         reasons[i][0], i == 6 ? "\"END\"" : "null");
        CHECK_HOLDS(world_answer_events(k.t.provider->name, body.p, &k.arena), reasons[i][1]);
    }
}

static struct str one_header(void *ctx, struct str name)
{
    const char *const *pair = ctx;

    return pair && str_eq(name, str_from_c(pair[0])) ? str_from_c(pair[1]) : STR_NONE;
}

TEST(anthropic_error_answers_keep_class_words_and_hint)
{
    static const struct {
        int status;
        const char *body, *header[2];
        enum error_class class;
        const char *words;
        int64_t retry;
    } cases[] = {
        {429,
         "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow\"}}",
         {"retry-after", "7"},
         ERROR_RATE_LIMIT,
         "slow",
         7000},
        {400,
         "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 9\"}}",
         {0},
         ERROR_CONTEXT_LENGTH,
         "prompt is too long: 9",
         -1},
        {529, "{\"error\":{\"type\":\"overloaded_error\",\"message\":\"o\"}}", {0}, ERROR_OVERLOADED, "o", -1},
        {400,
         "{\"message\":\"bad\"}",
         {"x-amzn-errortype", "ValidationException:http://x"},
         ERROR_BAD_REQUEST,
         "bad",
         -1},
        {429,
         "[{\"error\":{\"code\":429,\"message\":\"quota\",\"status\":\"RESOURCE_EXHAUSTED\"}}]",
         {0},
         ERROR_RATE_LIMIT,
         "quota",
         -1},
        {502, "<html>oops</html>", {0}, ERROR_UPSTREAM, "", -1},
        {404, "", {0}, ERROR_NOT_FOUND, "", -1},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world k CLEANUP(world_release);
        struct api_error e;
        anthropic_init(&k, MESSAGES, "anthropic");
        k.t.provider->provider.read_error(&k.arena, cases[i].status, str_from_c(cases[i].body), one_header,
                                          cases[i].header[0] ? (void *)(uintptr_t)cases[i].header : NULL, &e);
        test_context("case %zu", i);
        CHECK_EQ(error_class_of(&e), cases[i].class);
        CHECK_STR(e.message, cases[i].words);
        CHECK_EQ(e.retry_after_ms, cases[i].retry);
        CHECK_EQ(e.status, cases[i].status);
    }
}

TEST(anthropic_errors_keep_their_code_beside_their_type)
{
    static const struct {
        const char *body, *code;
    } cases[] = {
        {"{\"error\":{\"type\":\"not_found_error\",\"message\":\"m\",\"details\":{\"error_code\":\"model_not_found\"}}"
         "}",
         "model_not_found"},
        {"{\"error\":{\"type\":\"not_found_error\",\"message\":\"m\",\"details\":{\"error_code\":null}}}",
         "not_found_error"},
        {"{\"error\":{\"type\":\"not_found_error\",\"message\":\"m\"}}", "not_found_error"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world k CLEANUP(world_release);
        struct api_error e;
        anthropic_init(&k, MESSAGES, "anthropic");
        k.t.provider->provider.read_error(&k.arena, 404, str_from_c(cases[i].body), one_header, NULL, &e);
        test_context("case %zu", i);
        CHECK_EQ(error_class_of(&e), ERROR_NOT_FOUND);
        CHECK_STR(str_from_c(e.code), cases[i].code);
    }
}

/* --- answers for a client --- */

#define START(i) {.kind = CHAT_START, .id = STR_INIT(i), .model = STR_INIT("gpt")}
#define OPEN(n, k) {.kind = CHAT_BLOCK_START, .block = n, .block_kind = k}
#define CALL(n, i, f)                                                                                                  \
    {.kind = CHAT_BLOCK_START, .block = n, .block_kind = BLOCK_TOOL_CALL, .id = STR_INIT(i), .name = STR_INIT(f)}
#define TEXT(n, s) {.kind = CHAT_TEXT, .block = n, .text = STR_INIT(s)}
#define SIGN(n, by, s) {.kind = CHAT_SIGNATURE, .block = n, .signer = by, .text = STR_INIT(s)}
#define STOP(n) {.kind = CHAT_BLOCK_STOP, .block = n}
#define FINISH(f) {.kind = CHAT_FINISH, .finish = f}
#define END {.kind = CHAT_END}

static const struct usage some_usage = {
    .input = 20, .output = 8, .cached_input = 4, .cache_write = 3, .cache_write_1h = 1, .reasoning = 2, .known = true};

TEST(anthropic_client_hears_a_whole_stream)
{
    static const struct chat_event events[] = {START("chatcmpl-1"),
                                               OPEN(0, BLOCK_THINKING),
                                               TEXT(0, "ok"),
                                               STOP(0),
                                               OPEN(1, BLOCK_TEXT),
                                               TEXT(1, "H"),
                                               TEXT(1, "i"),
                                               STOP(1),
                                               CALL(2, "call_1", "get_tide"),
                                               TEXT(2, "{\"port\":\"Brest\"}"),
                                               STOP(2),
                                               {.kind = CHAT_USAGE, .usage = &some_usage},
                                               FINISH(FINISH_STOP),
                                               END};
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "openai");
    CHECK_STR(
        world_say(&k, events, ARRAY_LEN(events)),
        EVENT("message_start",
              ",\"message\":{\"id\":\"msg_0000000000001234\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
              "\"our-model\",\"content\":[],"
              "\"stop_reason\":null,\"stop_sequence\":null,\"stop_details\":null,\"container\":null,\"usage\":{\"input_"
              "tokens\":7,"
              "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"cache_creation\":{\"ephemeral_5m_"
              "input_tokens\":0,"
              "\"ephemeral_1h_input_tokens\":0},\"output_tokens\":0,\"output_tokens_details\":{\"thinking_tokens\":0},"
              "\"server_tool_use\":null,\"service_tier\":null,\"inference_geo\":null}}")
            EVENT("content_block_start",
                  ",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
                EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"ok\"}")
                    EVENT("content_block_stop", ",\"index\":0") EVENT(
                        "content_block_start", ",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
                        EVENT("content_block_delta", ",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"H\"}")
                            EVENT("content_block_delta",
                                  ",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"i\"}")
                                EVENT("content_block_stop", ",\"index\":1")
                                    EVENT("content_block_start", ",\"index\":2,\"content_block\":{\"type\":\"tool_"
                                                                 "use\",\"id\":\"call_1\",\"name\":\"get_tide\","
                                                                 "\"input\":{}}")
                                        EVENT("content_block_delta", ",\"index\":2,\"delta\":{\"type\":\"input_json_"
                                                                     "delta\",\"partial_json\":\"{\\\"port\\\":"
                                                                     "\\\"Brest\\\"}\"}")
                                            EVENT("content_block_stop", ",\"index\":2")
                                                EVENT("message_delta",
                                                      ",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null,"
                                                      "\"stop_details\":null,\"container\":null},"
                                                      "\"usage\":{\"input_tokens\":13,\"cache_creation_input_tokens\":"
                                                      "3,\"cache_read_input_tokens\":4,"
                                                      "\"output_tokens\":8,\"output_tokens_details\":"
                                                      "{\"thinking_tokens\":2},\"server_tool_use\":null}")
                                                    EVENT("message_stop", ""));
    struct str whole = world_say_whole(&k, events, ARRAY_LEN(events));
    CHECK_HOLDS(
        whole,
        "\"content\":[{\"type\":\"thinking\",\"thinking\":\"ok\",\"signature\":\"\"},{\"type\":\"text\",\"text\":"
        "\"Hi\"},{\"type\":\"tool_use\",\"id\":\"call_1\",\"name\":\"get_tide\",\"input\":{"
        "\"port\":\"Brest\"}}],\"stop_reason\":\"tool_use\"");
    CHECK_HOLDS(whole, "\"usage\":{\"input_tokens\":13,");
    k.t.api_version = STR("2026-10-21");
    CHECK_HOLDS(world_say_whole(&k, events, ARRAY_LEN(events)), "\"text\":\"Hi\",\"citations\":null}");
}

TEST(anthropic_client_hears_no_empty_text_before_a_tool)
{
    static const struct chat_event events[] = {
        START("msg_9"), OPEN(0, BLOCK_TEXT), STOP(0), CALL(1, "", "f"), TEXT(1, "{}"),
        STOP(1),        FINISH(FINISH_STOP), END};
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "openai");
    struct str got = world_say(&k, events, ARRAY_LEN(events));
    CHECK_HOLDS(got, "\"id\":\"msg_9\"");
    CHECK_HOLDS(got, "\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_0000000000001234_0\"");
    CHECK_LACKS(got, "\"type\":\"text\"");
    CHECK_HOLDS(got, "\"stop_reason\":\"tool_use\"");
    got = world_say_whole(&k, events, ARRAY_LEN(events));
    CHECK_HOLDS(got, "\"content\":[{\"type\":\"tool_use\"");
}

TEST(anthropic_client_hears_interleaved_calls_one_after_the_other)
{
    static const struct chat_event events[] = {
        START("x"),     CALL(0, "a", "f"), CALL(1, "b", "g"), TEXT(1, "{\"y\""),         TEXT(0, "{\"x\""),
        TEXT(1, ":2}"), TEXT(0, ":1}"),    STOP(1),           OPEN(2, BLOCK_TEXT),       TEXT(2, "t"),
        STOP(0),        TEXT(2, "u"),      STOP(2),           FINISH(FINISH_TOOL_CALLS), END};
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "openai");
    struct str got = world_say(&k, events, ARRAY_LEN(events));
    CHECK_HOLDS(
        got,
        "\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\":1}\"}}\n\n"
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":"
        "\"tool_use\",\"id\":\"b\",\"name\":\"g\",\"input\":{}}}\n\n"
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"
        "\"input_json_delta\",\"partial_json\":\"{\\\"y\\\":2}\"}}\n\n"
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,");
    CHECK_HOLDS(got, "\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"u\"}");
}

TEST(anthropic_client_gets_foreign_signatures_and_gives_them_back)
{
    static const struct chat_event events[] = {START("x"),
                                               OPEN(0, BLOCK_THINKING),
                                               SIGN(0, SIGNER_OPENAI, "gAA"),
                                               STOP(0),
                                               CALL(1, "a", "f"),
                                               SIGN(1, SIGNER_GOOGLE, "Cg=="),
                                               TEXT(1, "{}"),
                                               STOP(1),
                                               FINISH(FINISH_TOOL_CALLS),
                                               END};
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "openai");
    struct str got = world_say(&k, events, ARRAY_LEN(events));
    CHECK_HOLDS(got, "\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"crossdock.openai.gAA\"}");
    CHECK_HOLDS(got, "\"index\":1,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"crossdock.google.Cg==\"}");
    CHECK_HOLDS(got, "\"index\":2,\"content_block\":{\"type\":\"tool_use\"");
    struct str whole = arena_str(&k.arena, world_say_whole(&k, events, ARRAY_LEN(events)));
    CHECK_HOLDS(
        whole,
        "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"crossdock.google.Cg==\"},{\"type\":\"tool_use\"");
    size_t from = str_find(whole, STR("[")), to = str_find(whole, STR("],\"stop_reason\"")) + 1;
    struct str back =
        arena_printf(&k.arena, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":%.*s}]}",
                     STR_ARG(str_slice(whole, from, to)));
    CHECK_EQ(world_read(&k, back.p), OK);
    CHECK_HOLDS(canon_request(&k.q, &k.arena),
                "assistant \n  thinking signature=\"gAA\" signer=1\n"
                "  call id=\"a\" name=\"f\" arguments=\"{}\" signature=\"Cg==\" signer=3\n");
}

TEST(anthropic_clients_may_move_the_signatures_of_calls)
{
#define SIGNED(by) "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"crossdock.google." by "\"}"
#define USED(id) "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"f\",\"input\":{}}"
#define SAID "{\"type\":\"text\",\"text\":\"y\"}"
#define TOLD(id, by) "  call id=\"" id "\" name=\"f\" arguments=\"{}\" signature=\"" by "\" signer=3\n"
    static const struct {
        const char *blocks, *want;
    } cases[] = {
        {SIGNED("A") "," SAID "," USED("a"), "assistant \n  text text=\"y\"\n" TOLD("a", "A")},
        {SIGNED("A") "," SIGNED("B") "," SAID "," USED("a") "," USED("b"),
         "assistant \n  text text=\"y\"\n" TOLD("a", "A") TOLD("b", "B")},
        {USED("a") "," SIGNED("B") "," USED("b") "," SIGNED("C"),
         "assistant \n  call id=\"a\" name=\"f\" arguments=\"{}\"\n" TOLD("b",
                                                                          "B") "  thinking signature=\"C\" signer=3\n"},
    };
    struct dialect_world w CLEANUP(world_release);

    anthropic_init(&w, MESSAGES, "gemini");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str body = arena_printf(
            &w.arena, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":[%s]}]}", cases[i].blocks);
        CHECK_EQ(world_read(&w, body.p), OK);
        CHECK_HOLDS(canon_request(&w.q, &w.arena), cases[i].want);
    }
#undef SIGNED
#undef USED
#undef SAID
#undef TOLD
}

TEST(anthropic_client_gives_ids_of_calls_back_as_their_provider_made_them)
{
    static const struct chat_event events[] = {START("x"), CALL(0, "call|1", "f"),    TEXT(0, "{}"),
                                               STOP(0),    FINISH(FINISH_TOOL_CALLS), END};
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "openai");
    CHECK_HOLDS(world_say_whole(&k, events, ARRAY_LEN(events)), "\"id\":\"cdx_Y2FsbHwx\"");
    CHECK_EQ(
        world_read(&k,
                   "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":"
                   "\"cdx_Y2FsbHwx\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":"
                   "\"tool_result\",\"tool_use_id\":\"cdx_Y2FsbHwx\"}]}]}"),
        OK);
    CHECK_HOLDS(canon_request(&k.q, &k.arena), "call id=\"call|1\" name=\"f\"");
    CHECK_HOLDS(canon_request(&k.q, &k.arena), "result id=\"call|1\" name=\"f\"");
}

TEST(anthropic_client_hears_why_an_answer_stopped)
{
    static const struct {
        enum finish finish;
        const char *json;
    } cases[] = {{FINISH_STOP, "\"end_turn\",\"stop_sequence\":null"},
                 {FINISH_STOP_SEQUENCE, "\"stop_sequence\",\"stop_sequence\":\"END\""},
                 {FINISH_LENGTH, "\"max_tokens\",\"stop_sequence\":null"},
                 {FINISH_TOOL_CALLS, "\"end_turn\""},
                 {FINISH_FILTER, "\"refusal\",\"stop_sequence\":null,\"stop_details\":{\"type\":\"refusal\""},
                 {FINISH_REFUSAL, "\"refusal\""},
                 {FINISH_CONTEXT, "\"model_context_window_exceeded\""},
                 {FINISH_PAUSE, "\"pause_turn\""}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world k CLEANUP(world_release);
        struct chat_event events[] = {
            START("x"), {.kind = CHAT_FINISH, .finish = cases[i].finish, .stop_sequence = STR("END")}, END};
        anthropic_init(&k, MESSAGES, "openai");
        CHECK_HOLDS(world_say(&k, events, ARRAY_LEN(events)), cases[i].json);
        CHECK_HOLDS(world_say_whole(&k, events, ARRAY_LEN(events)), cases[i].json);
    }
}

TEST(anthropic_client_hears_an_error_and_nothing_after)
{
    static const struct api_error error = {
        .error_class = ERROR_OVERLOADED, .message = STR_INIT("full"), .retry_after_ms = -1};
    static const struct chat_event events[] = {
        START("x"), OPEN(0, BLOCK_TEXT), TEXT(0, "a"), {.kind = CHAT_ERROR, .error = &error}, STOP(0), END};
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "openai");
    struct str got = world_say(&k, events, ARRAY_LEN(events));
    CHECK(str_ends(got,
                   STR("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
                       "\"full\"}}\n\n")));
    CHECK_LACKS(got, "message_stop");
}

TEST(anthropic_citations_stay_on_their_line)
{
    static const struct citation own = {.raw = STR_INIT("{\"type\":\n\"char_location\"}"), .start = -1};
    struct citation of_anthropic = own, other = {.url = STR("https://x.example"), .cited_text = STR("c")};
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "openai");
    of_anthropic.of = k.t.client;
    struct chat_event events[] = {START("x"),
                                  OPEN(0, BLOCK_TEXT),
                                  TEXT(0, "a"),
                                  {.kind = CHAT_CITATION, .citation = &of_anthropic},
                                  {.kind = CHAT_CITATION, .citation = &other},
                                  STOP(0),
                                  FINISH(FINISH_STOP),
                                  END};
    struct str got = world_say(&k, events, ARRAY_LEN(events));
    CHECK_HOLDS(got, "\"delta\":{\"type\":\"citations_delta\",\"citation\":{\"type\": \"char_location\"}}}\n\n");
    CHECK_HOLDS(got,
                "\"citation\":{\"type\":\"web_search_result_location\",\"url\":\"https://x.example\",\"title\":null,"
                "\"cited_text\":\"c\",\"encrypted_index\":\"\"}");
    CHECK_HOLDS(world_say_whole(&k, events, ARRAY_LEN(events)),
                "\"citations\":[{\"type\":\n\"char_location\"},{\"type\":\"web_search");
}

TEST(anthropic_client_of_bedrock_hears_frames)
{
    static const struct api_error error = {
        .error_class = ERROR_RATE_LIMIT, .message = STR_INIT("slow"), .retry_after_ms = -1};
    static const struct chat_event events[] = {START("msg_1"), OPEN(0, BLOCK_TEXT), TEXT(0, "a"),
                                               STOP(0),        FINISH(FINISH_STOP), END};
    static const struct chat_event broken[] = {START("msg_1"), {.kind = CHAT_ERROR, .error = &error}};
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, "/model/{model}/invoke-with-response-stream", "openai");
    struct str got = arena_str(&k.arena, world_say(&k, events, ARRAY_LEN(events)));
    CHECK_STR(world_events(k.t.client, &(struct arrival){FRAMING_EVENTSTREAM, got, 7, 7}, &k.arena),
              "start msg_1 our-model\nusage 7 0 cached 0 reasoning 0\nopen 0.0 text\ntext 0.0 a\nclose 0.0\n"
              "usage 0 0 cached 0 reasoning 0\nfinish 0 stop \nend\n");
    got = arena_str(&k.arena, world_say(&k, broken, ARRAY_LEN(broken)));
    CHECK_HOLDS(world_events(k.t.client, &(struct arrival){FRAMING_EVENTSTREAM, got, 7, 7}, &k.arena),
                "error 11 429 slow\n");
    k.t.path_model = STR("anthropic.claude");
    CHECK_EQ(world_read(
                 &k, "{\"anthropic_version\":\"bedrock-2023-05-31\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\","
                     "\"content\":\"x\"}]}"),
             OK);
    CHECK(k.q.stream);
    CHECK_STR(k.q.model, "anthropic.claude");
}

static struct str error_body(struct dialect_world *k, const struct api_error *e, int *ret_status)
{
    struct call_header headers[2] = {{STR_NONE, STR_NONE}, {STR_NONE, STR_NONE}};

    buf_clear(&k->out);
    k->t.client->client.write_error(&k->t, e, &k->out, ret_status, headers);
    return buf_str(&k->out);
}

TEST(anthropic_errors_have_their_own_statuses_and_types)
{
    static const struct {
        enum error_class class;
        int status;
        const char *type;
    } cases[] = {{ERROR_BAD_REQUEST, 400, "invalid_request_error"},
                 {ERROR_CONTEXT_LENGTH, 400, "prompt is too long: w"},
                 {ERROR_AUTH, 401, "authentication_error"},
                 {ERROR_QUOTA, 402, "billing_error"},
                 {ERROR_FORBIDDEN, 403, "permission_error"},
                 {ERROR_NOT_FOUND, 404, "not_found_error"},
                 {ERROR_CONFLICT, 409, "conflict_error"},
                 {ERROR_TOO_LARGE, 413, "request_too_large"},
                 {ERROR_UNPROCESSABLE, 400, "invalid_request_error"},
                 {ERROR_RATE_LIMIT, 429, "rate_limit_error"},
                 {ERROR_UPSTREAM, 502, "api_error"},
                 {ERROR_OVERLOADED, 529, "overloaded_error"},
                 {ERROR_TIMEOUT, 504, "timeout_error"},
                 {ERROR_CONTENT_POLICY, 400, "invalid_request_error"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world k CLEANUP(world_release);
        struct api_error e = {.error_class = cases[i].class, .message = STR("w")};
        int status = 0;
        anthropic_init(&k, MESSAGES, "openai");
        CHECK_HOLDS(error_body(&k, &e, &status), cases[i].type);
        CHECK_EQ(status, cases[i].status);
    }
    struct dialect_world k CLEANUP(world_release);
    int status = 0;
    anthropic_init(&k, MESSAGES, "openai");
    struct api_error e = {.status = 500, .message = STR("w"), .code = "boom"};
    CHECK_STR(error_body(&k, &e, &status),
              "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"w\"},\"request_id\":null}");
    CHECK_EQ(status, 500);
    k.t.request_id = STR("req_7");
    CHECK_HOLDS(error_body(&k, &e, &status), "\"message\":\"w\"},\"request_id\":\"req_7\"}");
    k.t.api_version = STR("2026-10-21");
    CHECK_HOLDS(error_body(&k, &e, &status), "\"message\":\"w\",\"details\":{\"error_code\":\"boom\"}}");
    k.out.max = 512;
    e.message = str_of(memset(arena_alloc(&k.arena, 4000), 'x', 4000), 4000);
    CHECK_HOLDS(error_body(&k, &e, &status), "the request failed");
}

TEST(anthropic_lists_models_and_counts)
{
    static const struct model_card cards[] = {{.id = STR_INIT("a"), .created = 1700000000}, {.id = STR_INIT("b")}};
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "openai");
    CHECK_EQ(k.t.client->client.write_models(&k.t, cards, 2, &k.out), OK);
    CHECK_STR(
        buf_str(&k.out),
        "{\"data\":[{\"type\":\"model\",\"id\":\"a\",\"display_name\":\"a\",\"created_at\":\"2023-11-14T22:13:20Z\","
        "\"max_input_tokens\":null,\"max_tokens\":null,\"capabilities\":null},{\"type\":\"model\",\"id\":\"b\","
        "\"display_name\":\"b\",\"created_at\":\"1970-01-01T00:00:00Z\",\"max_input_tokens\":null,\"max_tokens\":null,"
        "\"capabilities\":null}],\"has_more\":false,\"first_id\":\"a\",\"last_id\":\"b\"}");
    buf_clear(&k.out);
    CHECK_EQ(k.t.client->client.write_models(&k.t, NULL, 0, &k.out), OK);
    CHECK_STR(buf_str(&k.out), "{\"data\":[],\"has_more\":false,\"first_id\":null,\"last_id\":null}");
    buf_clear(&k.out);
    CHECK_EQ(k.t.client->client.write_count(&k.t, 42, false, &k.out), OK);
    CHECK_STR(buf_str(&k.out), "{\"input_tokens\":42}");
}

TEST(anthropic_a_thread_is_refused_with_the_code_that_makes_sdks_send_all)
{
    struct dialect_world k CLEANUP(world_release);

    anthropic_init(&k, MESSAGES, "openai");
    CHECK_EQ(world_read(&k, "{\"model\":\"m\",\"max_tokens\":9,\"thread\":{\"type\":\"continue\"},\"messages\":"
                            "[{\"role\":\"user\",\"content\":\"Hi\"}]}"),
             E_PARSE);
    CHECK_STR(str_from_c(k.t.refusal_code), "thread_unsupported_request");
    CHECK_STR(k.param, "thread");
}

TEST(anthropic_enabled_thinking_is_shown_unless_omitted)
{
#define THINKING(display)                                                                                              \
    "{\"model\":\"m\",\"max_tokens\":9000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048" display "},"      \
    "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"
    static const struct {
        const char *body;
        enum truth show;
    } cases[] = {{THINKING(""), YES},
                 {THINKING(",\"display\":\"summarized\""), YES},
                 {THINKING(",\"display\":\"omitted\""), NO}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world k CLEANUP(world_release);
        anthropic_init(&k, MESSAGES, "openai");
        CHECK_EQ(world_read(&k, cases[i].body), OK);
        CHECK_EQ(k.q.reasoning.show, cases[i].show);
    }
}
