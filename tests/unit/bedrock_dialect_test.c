/* bedrock_dialect_test.c - Converse, ConverseStream and InvokeModel: both sides, whole and streamed, and what each pitfall of the format looks like. */
#include "codec/eventstream.h"
#include "dialect_world.h"

#define CONVERSE "/model/{model}/converse"
#define STREAM "/model/{model}/converse-stream"
#define CLAUDE "us.anthropic.claude-sim-v1:0"
#define ASK "\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]}]"
#define OPENAI_ASK "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define TIDE_TOOL                                                                                                      \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"parameters\":{\"type\":\"object\","       \
    "\"properties\":{}}}}]"

/* A client that came by this path of Bedrock's, to a provider that is Bedrock with a Claude. */
static void bedrock_init(struct dialect_world *w, const char *path)
{
    world_init_at(w, "bedrock", path, "bedrock");
    w->t.path_model = STR("our-model");
    w->t.model = STR(CLAUDE);
}

/* A client of OpenAI's to a model on Bedrock. */
static void openai_init(struct dialect_world *w, const char *model)
{
    world_init_at(w, "openai", "/v1/chat/completions", "bedrock");
    w->t.model = str_from_c(model);
}

/* Lines of "name {json}" as frames; "!name {json}" is an exception. */
static struct str frames(struct arena *arena, const char *lines)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct str rest = str_from_c(lines);

    while (rest.n) {
        struct str json = str_cut(&rest, '\n'), name = str_cut(&json, ' ');
        bool exception = name.p[0] == '!';
        struct eventstream_writer w;
        eventstream_begin(&w, &to);
        eventstream_add_string(&w, exception ? STR(":exception-type") : STR(":event-type"),
                               str_slice(name, exception, name.n));
        eventstream_add_string(&w, STR(":content-type"), STR("application/json"));
        eventstream_add_string(&w, STR(":message-type"), exception ? STR("exception") : STR("event"));
        eventstream_begin_payload(&w);
        buf_add(&to, json);
        if (eventstream_end(&w) != OK)
            return STR("no frame");
    }
    return arena_str(arena, buf_str(&to));
}

/* And back. */
static struct str lines(struct arena *arena, struct str bytes)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct framer *f = framer_new(arena, FRAMING_EVENTSTREAM, 0);
    struct frame frame;
    bool got = true;

    while (framer_next(f, &bytes, &got, &frame) == OK && got)
        buf_addf(&to, "%s%.*s %.*s\n", frame.exception ? "!" : "", STR_ARG(frame.name), STR_ARG(frame.data));
    return arena_str(arena, buf_str(&to));
}

/* What a provider's stream tells, wherever it is cut. */
static struct str events(struct arena *arena, const char *stream)
{
    return world_bytes_events("bedrock", frames(arena, stream), arena);
}

/* What a Bedrock client hears of these events. */
static struct str heard(struct dialect_world *w, const struct chat_event *e, size_t n)
{
    return lines(&w->arena, world_say(w, e, n));
}

/* --- requests of clients --- */

static const char rich[] =
    "{\"system\":[{\"text\":\"Be brief\"},{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"1h\"}}],"
    "\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Look\"},"
    "{\"image\":{\"format\":\"png\",\"source\":{\"bytes\":\"iVBORw0KGgo=\"}}},"
    "{\"image\":{\"format\":\"jpeg\",\"source\":{\"s3Location\":{\"uri\":\"s3://b/a.jpg\"}}}},"
    "{\"document\":{\"format\":\"pdf\",\"name\":\"Report (1)\",\"source\":{\"bytes\":\"JVBERi0xLjQK\"},"
    "\"context\":\"of May\",\"citations\":{\"enabled\":true}}},"
    "{\"document\":{\"format\":\"txt\",\"name\":\"notes\",\"source\":{\"text\":\"words\"}}},"
    "{\"video\":{\"format\":\"mp4\",\"source\":{\"bytes\":\"AAAA\"}}},"
    "{\"cachePoint\":{\"type\":\"default\"}}]},"
    "{\"role\":\"assistant\",\"content\":[{\"reasoningContent\":{\"reasoningText\":{\"text\":\"hm\",\"signature\":"
    "\"EqQ=\"}}},{\"reasoningContent\":{\"redactedContent\":\"AAEC\"}},{\"text\":\"Let me see\"},"
    "{\"toolUse\":{\"toolUseId\":\"tooluse_1\",\"name\":\"get_tide\",\"input\":{\"port\": \"Brest\",\"n\":"
    "12345678901234567890}}}]},"
    "{\"role\":\"user\",\"content\":[{\"toolResult\":{\"toolUseId\":\"tooluse_1\",\"content\":[{\"json\":{\"m\": "
    "3.20}},"
    "{\"text\":\"high\"}],\"status\":\"error\"}},{\"text\":\"And now?\"}]}],"
    "\"inferenceConfig\":{\"maxTokens\":9000,\"temperature\":0.50,\"stopSequences\":[\"END\"]},"
    "\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"get_tide\",\"description\":\"Tides\",\"inputSchema\":{"
    "\"json\":"
    "{\"type\":\"object\",\"properties\":{\"port\":{\"type\":\"string\"}}}},\"strict\":true}},"
    "{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"1h\"}},{\"systemTool\":{\"name\":\"nova_grounding\"}}],"
    "\"toolChoice\":{\"auto\":{}}},"
    "\"outputConfig\":{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":{\"schema\":"
    "\"{\\\"type\\\":\\\"object\\\",\\\"z\\\":1}\",\"name\":\"n\",\"description\":\"d\"}}}},"
    "\"serviceTier\":{\"type\":\"flex\"},\"requestMetadata\":{\"team\":\"a b\"},"
    "\"additionalModelRequestFields\":{\"top_k\":40},"
    "\"guardrailConfig\":{\"guardrailIdentifier\":\"g\",\"guardrailVersion\":\"1\"},"
    "\"performanceConfig\":{\"latency\":\"standard\"}}";

TEST(bedrock_a_request_written_and_read_again_means_the_same)
{
    struct dialect_world a CLEANUP(world_release) = {0}, b CLEANUP(world_release) = {0};

    bedrock_init(&a, CONVERSE);
    bedrock_init(&b, CONVERSE);
    struct str body = world_translate(&a, rich);
    CHECK_STR(world_dropped(&a), "");
    CHECK_STR(world_losses(&a, LOSS_CHANGED), "");
    CHECK_OK(world_read(&b, arena_str(&b.arena, body).p));
    CHECK_STR(canon_request(&b.q, &b.arena), canon_request(&a.q, &a.arena).p);
    CHECK_HOLDS(body, "\"input\":{\"port\": \"Brest\",\"n\":12345678901234567890}");
    CHECK_HOLDS(body, "\"cachePoint\":{\"type\":\"default\",\"ttl\":\"1h\"}");
    CHECK_HOLDS(body, "\"temperature\":0.50");
    CHECK_STR(a.call.path, "/model/us.anthropic.claude-sim-v1%3A0/converse");
}

TEST(bedrock_settings_of_its_models_come_back_as_they_were)
{
    static const struct {
        const char *model, *fields;
    } cases[] = {
        {"anthropic.claude-3-7-sonnet-20250219-v1:0",
         "\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}}"},
        {CLAUDE, "\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"disabled\"}}"},
        {CLAUDE, "\"additionalModelRequestFields\":{\"thinking\":{\"type\":\"adaptive\"}},\"outputConfig\":{\"effort\":"
                 "\"high\"}"},
        {"amazon.nova-2-lite-v1:0", "\"additionalModelRequestFields\":{\"reasoningConfig\":{\"type\":\"enabled\","
                                    "\"maxReasoningEffort\":\"low\"},\"inferenceConfig\":{\"topK\":7}}"},
        {"openai.gpt-oss-120b-1:0", "\"additionalModelRequestFields\":{\"reasoning_effort\":\"medium\"}"},
        {"arn:aws:bedrock:us-east-1:1:application-inference-profile/x", "\"outputConfig\":{\"effort\":\"low\"}"},
        {"cohere.command-r-v1:0", "\"additionalModelRequestFields\":{\"k\":9}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world a CLEANUP(world_release) = {0}, b CLEANUP(world_release) = {0};
        test_context("%s", cases[i].fields);
        bedrock_init(&a, STREAM);
        bedrock_init(&b, STREAM);
        a.t.model = str_from_c(cases[i].model);
        struct str body = world_translate(&a, arena_printf(&a.arena, "{" ASK ",%s}", cases[i].fields).p);
        CHECK_STR(world_dropped(&a), "");
        CHECK_MSG(str_find(body, str_from_c(cases[i].fields)) < body.n, "%.*s", STR_ARG(body));
        CHECK_OK(world_read(&b, arena_str(&b.arena, body).p));
        CHECK_STR(canon_request(&b.q, &b.arena), canon_request(&a.q, &a.arena).p);
        CHECK(b.q.stream);
    }
}

TEST(bedrock_what_is_not_known_is_kept_or_reported)
{
    struct dialect_world w CLEANUP(world_release);

    bedrock_init(&w, CONVERSE);
    w.t.vendor = vendor_find(STR("openai"));
    w.t.provider = dialect_find(STR("openai"));
    (void)world_translate(&w,
                          "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"},{\"hologram\":{}},"
                          "{\"guardContent\":{\"text\":{\"text\":\"watch\",\"qualifiers\":[\"query\"]}}}],\"mood\":1}],"
                          "\"additionalModelResponseFieldPaths\":[\"/stop_sequence\",\"/x\"],"
                          "\"promptVariables\":{\"a\":{\"text\":\"b\"}},\"gone\":null,"
                          "\"additionalModelRequestFields\":{\"odd\":1},"
                          "\"toolConfig\":{\"tools\":[{\"systemTool\":{\"name\":\"x\"}}]}}");
    CHECK_STR(canon_request(&w.q, &w.arena), "plain\nuser \n  text text=\"Hi\"\n  opaque text=\"{\"hologram\":{}}\"\n"
                                             "  text text=\"watch\"\ntool hosted name=\"x\" raw=\"{\"systemTool\":"
                                             "{\"name\":\"x\"}}\" strict=0\nextra promptVariables="
                                             "{\"a\":{\"text\":\"b\"}}\n");
    struct str dropped = world_dropped(&w);
    CHECK_HOLDS(dropped, "/messages/0/content/1");
    CHECK_HOLDS(dropped, "/messages/0/content/2/guardContent");
    CHECK_HOLDS(dropped, "/messages/0/mood");
    CHECK_HOLDS(dropped, "/promptVariables");
    CHECK_HOLDS(dropped, "/additionalModelResponseFieldPaths/1");
    CHECK_LACKS(dropped, "/additionalModelResponseFieldPaths/0");
    CHECK_HOLDS(dropped, "/additionalModelRequestFields/odd");
    CHECK_HOLDS(dropped, "/toolConfig/tools/0");
    CHECK_LACKS(dropped, "gone");
}

TEST(bedrock_refusals_name_the_field)
{
    static const struct {
        const char *json, *param;
    } cases[] = {
        {"{}", "messages"},
        {"{\"messages\":[]}", "messages"},
        {"{\"messages\":{}}", "messages"},
        {"{\"messages\":[{\"role\":\"bot\",\"content\":[]}]}", "messages.0.role"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", "messages.0.content"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[\"Hi\"]}]}", "messages.0.content.0"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":1}]}]}", "messages.0.content.0.text"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"image\":{\"format\":\"png\"}}]}]}",
         "messages.0.content.0.image.source"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"image\":{\"format\":\"tiff\",\"source\":{\"bytes\":\"AA=="
         "\"}}}]}]}",
         "messages.0.content.0.image.format"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"toolUse\":{\"name\":\"a\"}}]}]}",
         "messages.0.content.0.toolUse.toolUseId"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"toolResult\":{\"toolUseId\":\"a\",\"content\":\"x\"}}]}]}",
         "messages.0.content.0.toolResult.content"},
        {"{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"reasoningContent\":{}}]}]}",
         "messages.0.content.0.reasoningContent"},
        {"{" ASK ",\"system\":\"x\"}", "system"},
        {"{" ASK ",\"inferenceConfig\":{\"topP\":\"x\"}}", "inferenceConfig.topP"},
        {"{" ASK ",\"inferenceConfig\":{\"stopSequences\":[1]}}", "inferenceConfig.stopSequences.0"},
        {"{" ASK ",\"toolConfig\":{}}", "toolConfig.tools"},
        {"{" ASK ",\"toolConfig\":{\"tools\":[{\"toolSpec\":{}}]}}", "toolConfig.tools.0.toolSpec.name"},
        {"{" ASK ",\"toolConfig\":{\"tools\":[],\"toolChoice\":{\"none\":{}}}}", "toolConfig.toolChoice"},
        {"{" ASK ",\"outputConfig\":{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":"
         "{\"schema\":\"{\"}}}}}",
         "outputConfig.textFormat.structure"},
        {"{" ASK "," ASK "}", "messages"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        bedrock_init(&w, CONVERSE);
        test_context("%s", cases[i].json);
        CHECK_ERR(world_read(&w, cases[i].json), E_PARSE);
        CHECK_STR(w.param, cases[i].param);
        CHECK_MSG(str_starts(str_from_c(err_detail(E_PARSE)), w.param), "%s", err_detail(E_PARSE));
    }
}

/* --- what Converse is told --- */

TEST(bedrock_is_told_an_openai_conversation)
{
    struct dialect_world w CLEANUP(world_release);

    openai_init(&w, CLAUDE);
    CHECK_STR(world_translate(
                  &w,
                  "{\"model\":\"m\",\"stream\":true,\"max_tokens\":200,\"temperature\":1.6,\"stop\":[\"END\",\" \"],"
                  "\"user\":\"ann\",\"metadata\":{\"a\":\"b\"},\"messages\":["
                  "{\"role\":\"system\",\"content\":\"Be brief\"},{\"role\":\"user\",\"content\":["
                  "{\"type\":\"text\",\"text\":\"Look\"},{\"type\":\"image_url\",\"image_url\":"
                  "{\"url\":\"data:image/jpeg;base64,iVBORw0KGgo=\"}}]}]}"),
              "{\"system\":[{\"text\":\"Be brief\"}],\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Look\"},"
              "{\"image\":{\"format\":\"png\",\"source\":{\"bytes\":\"iVBORw0KGgo=\"}}}]}],"
              "\"inferenceConfig\":{\"maxTokens\":200,\"temperature\":1,\"stopSequences\":[\"END\"]},"
              "\"requestMetadata\":{\"a\":\"b\",\"user\":\"ann\"},"
              "\"additionalModelResponseFieldPaths\":[\"/stop_sequence\"]}");
    CHECK_STR(w.call.path, "/model/us.anthropic.claude-sim-v1%3A0/converse-stream");
    CHECK_EQ(w.call.framing, FRAMING_EVENTSTREAM);
    CHECK(w.call.stream);
    CHECK_STR(world_losses(&w, LOSS_CHANGED), "/temperature");
    CHECK_STR(world_losses(&w, LOSS_EMULATED), "/stop/1");
    CHECK_EQ(w.call.emulate.stop_count, 1);
}

TEST(bedrock_everything_that_it_has_no_word_for_is_reported)
{
    struct dialect_world w CLEANUP(world_release);

    openai_init(&w, CLAUDE);
    struct str body = world_translate(
        &w, "{" OPENAI_ASK ",\"n\":2,\"seed\":7,\"presence_penalty\":0.5,\"frequency_penalty\":0,\"logprobs\":true,"
            "\"top_logprobs\":3,\"logit_bias\":{\"1\":2},\"verbosity\":\"low\",\"store\":true,\"prediction\":"
            "{\"type\":\"content\",\"content\":\"p\"},\"prompt_cache_key\":\"k\",\"service_tier\":\"scale\","
            "\"metadata\":{\"bad\":\"\\\"\"},\"web_search_options\":{}}");
    CHECK_STR(body, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]}]}");
    struct str dropped = world_dropped(&w);
    CHECK_HOLDS(dropped, "/n");
    CHECK_HOLDS(dropped, "/seed");
    CHECK_HOLDS(dropped, "/presence_penalty");
    CHECK_HOLDS(dropped, "/logprobs");
    CHECK_HOLDS(dropped, "/top_logprobs");
    CHECK_HOLDS(dropped, "/logit_bias");
    CHECK_HOLDS(dropped, "/verbosity");
    CHECK_HOLDS(dropped, "/store");
    CHECK_HOLDS(dropped, "/prediction");
    CHECK_HOLDS(dropped, "/prompt_cache_key");
    CHECK_HOLDS(dropped, "/service_tier");
    CHECK_HOLDS(dropped, "/metadata/bad");
    CHECK_HOLDS(dropped, "/web_search_options");
    CHECK_LACKS(dropped, "/frequency_penalty");
}

TEST(bedrock_gets_no_blank_text_and_no_empty_turn) /* pitfall 11 */
{
    struct dialect_world w CLEANUP(world_release);

    openai_init(&w, CLAUDE);
    CHECK_STR(world_translate(&w,
                              "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
                              "{\"role\":\"assistant\",\"content\":\" \\n\"},{\"role\":\"user\",\"content\":\"\"},"
                              "{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":\"c \\n\"}]}"),
              "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"},{\"text\":\"b\"}]},"
              "{\"role\":\"assistant\",\"content\":[{\"text\":\"c\"}]}]}");
}

TEST(bedrock_turns_alternate_and_begin_with_the_user)
{
    struct dialect_world w CLEANUP(world_release);

    openai_init(&w, CLAUDE);
    struct str body =
        world_translate(&w, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":\"Hello\"},"
                            "{\"role\":\"assistant\",\"content\":\"again\"},{\"role\":\"user\",\"content\":"
                            "[{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}}]},{\"role\":\"assistant\","
                            "\"content\":\"x\"}]}");
    CHECK_STR(body,
              "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"(conversation begins)\"}]},"
              "{\"role\":\"assistant\",\"content\":[{\"text\":\"Hello\"},{\"text\":\"again\"}]},"
              "{\"role\":\"user\",\"content\":[{\"text\":\"(content that this model does not take was left out)\"}]},"
              "{\"role\":\"assistant\",\"content\":[{\"text\":\"x\"}]}]}");
    CHECK_HOLDS(world_dropped(&w), "/messages/2/content/0");
}

#define CALLS                                                                                                          \
    "{\"role\":\"user\",\"content\":\"Tides?\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["             \
    "{\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"arguments\":\"\"}},"               \
    "{\"id\":\"call 2\",\"type\":\"function\",\"function\":{\"name\":\"mcp.wind\",\"arguments\":\"[1]\"}}]},"          \
    "{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"\"},"                                                \
    "{\"role\":\"tool\",\"tool_call_id\":\"call 2\",\"content\":\"windy\"}"

TEST(bedrock_parallel_results_are_one_message) /* pitfall 15 */
{
    struct dialect_world w CLEANUP(world_release);

    openai_init(&w, CLAUDE);
    struct str body = world_translate(&w, "{\"model\":\"m\"," TIDE_TOOL ",\"messages\":[" CALLS
                                          ",{\"role\":\"user\",\"content\":\"So?\"}]}");
    CHECK_HOLDS(body, "{\"role\":\"user\",\"content\":[{\"toolResult\":{\"toolUseId\":\"call_1\",\"content\":"
                      "[{\"text\":\"(no output)\"}]}},{\"toolResult\":{\"toolUseId\":\"");
    CHECK_HOLDS(body, "\"content\":[{\"text\":\"windy\"}]}},{\"text\":\"So?\"}]}");
    CHECK_HOLDS(body, "\"name\":\"get_tide\",\"input\":{}}");
    CHECK_HOLDS(body, "\"name\":\"mcp_wind\",\"input\":{\"_raw\":\"[1]\"}}");
    CHECK_LACKS(body, "call 2"); /* no id of Bedrock's alphabet, in call and result alike */
    CHECK_STR(name_map_back(w.call.names, STR("mcp_wind")), "mcp.wind");
    CHECK_STR(world_losses(&w, LOSS_CHANGED), "/messages/1/tool_calls/1");
}

TEST(bedrock_tools_of_past_calls_are_declared) /* pitfall 14 */
{
    struct dialect_world w CLEANUP(world_release), nova CLEANUP(world_release) = {0};

    openai_init(&w, CLAUDE);
    struct str body = world_translate(&w, "{\"model\":\"m\",\"messages\":[" CALLS "]}");
    CHECK_HOLDS(body, "\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"get_tide\",\"inputSchema\":{\"json\":"
                      "{\"type\":\"object\",\"properties\":{}}}}},{\"toolSpec\":{\"name\":\"mcp_wind\",");
    CHECK_HOLDS(body, "\"additionalModelRequestFields\":{\"tool_choice\":{\"type\":\"none\"}}");
    CHECK_LACKS(body, "toolChoice");
    openai_init(&nova, "amazon.nova-pro-v1:0");
    body = world_translate(&nova, "{\"model\":\"m\",\"messages\":[" CALLS "]}");
    CHECK_HOLDS(body, "\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"get_tide\"");
    CHECK_HOLDS(body, "\"system\":[{\"text\":\"Do not call any tool now; answer in words.\"}]");
}

TEST(bedrock_text_is_parted_from_results_where_the_model_wants_it) /* pitfall 16 */
{
    struct dialect_world w CLEANUP(world_release);

    openai_init(&w, "meta.llama4-maverick-17b-instruct-v1:0");
    struct str body = world_translate(&w, "{\"model\":\"m\"," TIDE_TOOL ",\"messages\":[" CALLS
                                          ",{\"role\":\"user\",\"content\":\"So?\"}]}");
    CHECK_HOLDS(body, "\"content\":[{\"text\":\"windy\"}]}}]},{\"role\":\"assistant\",\"content\":[{\"text\":"
                      "\"(results received)\"}]},{\"role\":\"user\",\"content\":[{\"text\":\"So?\"}]}]");
    CHECK_HOLDS(world_losses(&w, LOSS_CHANGED), "/messages/4");
}

TEST(bedrock_choices_of_tools)
{
    static const struct {
        const char *model, *asked, *told, *told_not;
    } cases[] = {
        {CLAUDE, "\"tool_choice\":\"auto\"", "\"toolChoice\":{\"auto\":{}}", "tool_choice"},
        {CLAUDE, "\"tool_choice\":\"required\"", "\"toolChoice\":{\"any\":{}}", "tool_choice"},
        {CLAUDE, "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get_tide\"}}",
         "\"toolChoice\":{\"tool\":{\"name\":\"get_tide\"}}", "tool_choice"},
        {CLAUDE, "\"tool_choice\":\"none\"", "\"tool_choice\":{\"type\":\"none\"}", "toolChoice"},
        {CLAUDE, "\"parallel_tool_calls\":false",
         "\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}", "toolChoice"},
        {CLAUDE, "\"tool_choice\":\"required\",\"parallel_tool_calls\":false",
         "\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}", "toolChoice"},
        {"amazon.nova-pro-v1:0", "\"tool_choice\":\"none\"", "\"messages\"", "toolConfig"},
        {"amazon.nova-pro-v1:0", "\"parallel_tool_calls\":false", "\"toolConfig\"", "tool_choice"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        openai_init(&w, cases[i].model);
        test_context("%s %s", cases[i].model, cases[i].asked);
        struct str body =
            world_translate(&w, arena_printf(&w.arena, "{" OPENAI_ASK "," TIDE_TOOL ",%s}", cases[i].asked).p);
        CHECK_MSG(str_find(body, str_from_c(cases[i].told)) < body.n, "%.*s", STR_ARG(body));
        CHECK_MSG(str_find(body, str_from_c(cases[i].told_not)) == body.n, "%.*s", STR_ARG(body));
    }
}

TEST(bedrock_models_that_cannot_be_told_to_call_one_tool_say_so)
{
    struct dialect_world w CLEANUP(world_release);

    openai_init(&w, "amazon.nova-pro-v1:0");
    (void)world_translate(&w, "{" OPENAI_ASK "," TIDE_TOOL ",\"parallel_tool_calls\":false}");
    CHECK_STR(world_dropped(&w), "/parallel_tool_calls");
}

TEST(bedrock_marks_of_the_cache_stand_where_they_can)
{
    struct dialect_world w CLEANUP(world_release) = {0}, a CLEANUP(world_release) = {0}, t CLEANUP(world_release) = {0};
#define MARK "{\"cachePoint\":{\"type\":\"default\"}}"

    bedrock_init(&w, CONVERSE);
    struct str body = world_translate(
        &w,
        "{\"system\":[{\"text\":\"s\"}],\"messages\":[{\"role\":\"user\",\"content\":[" MARK ",{\"text\":\"a\"}]},"
        "{\"role\":\"assistant\",\"content\":[{\"text\":\"b\"},{\"reasoningContent\":{\"reasoningText\":{\"text\":"
        "\"t\"}}}"
        "," MARK ",{\"image\":{\"format\":\"png\",\"source\":{\"bytes\":\"AAAA\"}}},{\"toolUse\":{\"toolUseId\":\"i\","
        "\"name\":\"f\",\"input\":{}}},{\"toolUse\":{\"toolUseId\":\"j\",\"name\":\"f\",\"input\":{}}}]},{\"role\":"
        "\"user\",\"content\":[{\"toolResult\":{\"toolUseId\":\"i\",\"content\":[{\"text\":\"r\"}]}}," MARK "]}]}");
    CHECK_HOLDS(world_dropped(&w), "/messages/0/content/0"); /* nothing stands before it */
    CHECK_HOLDS(world_dropped(&w), "/messages/1/content/3"); /* an assistant shows nothing */
    CHECK_HOLDS(canon_request(&w.q, &w.arena), "  result id=\"i\" name=\"f\" cache=1\n    text text=\"r\"\n");
    CHECK_HOLDS(body, "\"system\":[{\"text\":\"s\"}],");
    CHECK_HOLDS(body, "[{\"text\":\"b\"}," MARK ",{\"toolUse\"");
    CHECK_HOLDS(body, "\"tools\":[{\"toolSpec\":{\"name\":\"f\",\"inputSchema\":{\"json\":{\"type\":\"object\","
                      "\"properties\":{}}}}}]}");

    world_init(&a, "anthropic", "bedrock");
    a.t.row = world_row("anthropic", "/v1/messages");
    a.t.model = STR(CLAUDE);
    body = world_translate(
        &a,
        "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\","
        "\"content\":[{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\","
        "\"content\":"
        "[{\"type\":\"tool_result\",\"tool_use_id\":\"i\",\"content\":[{\"type\":\"text\",\"text\":\"r\","
        "\"cache_control\":{\"type\":\"ephemeral\"}}]}]}]}");
    CHECK_HOLDS(body, "\"content\":[{\"text\":\"r\"}]}}," MARK "]}");

    bedrock_init(&t, CONVERSE);
    body = world_translate(&t, "{\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"f\"}}," MARK
                               ",{\"toolSpec\":{\"name\":\"g\"}}," MARK
                               "]},\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}," MARK
                               ",{\"text\":\"b\"}," MARK ",{\"text\":\"c\"}," MARK "]}]}");
    CHECK_STR(world_losses(&t, LOSS_CHANGED), "/toolConfig/tools/0/toolSpec");
    CHECK_HOLDS(body, "{\"text\":\"a\"}," MARK);
    CHECK_HOLDS(body, MARK "]},\"messages\"");
}

TEST(bedrock_metadata_and_retention_have_their_limits)
{
    struct dialect_world w CLEANUP(world_release);

    openai_init(&w, CLAUDE);
    struct str labels = STR_NONE;
    for (int i = 0; i < 17; i++)
        labels = arena_printf(&w.arena, "%.*s%s\"k%d\":\"v\"", STR_ARG(labels), i ? "," : "", i);
    struct str body = world_translate(&w, arena_printf(&w.arena,
                                                       "{" OPENAI_ASK ",\"prompt_cache_retention\":\"24h\","
                                                       "\"metadata\":{%.*s}}",
                                                       STR_ARG(labels))
                                              .p);
    CHECK_HOLDS(body, "\"k15\":\"v\"}");
    CHECK_STR(world_dropped(&w), "/metadata/k16,/prompt_cache_retention");
}

TEST(bedrock_structured_output_by_field_by_tool_or_by_word)
{
#define SCHEMA                                                                                                         \
    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\","   \
    "\"properties\":{\"a\":{\"type\":\"string\"}}}}}"
    static const struct {
        const char *model, *told, *schema_tool;
        bool fence;
    } cases[] = {
        {CLAUDE,
         "\"outputConfig\":{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":{\"schema\":"
         "\"{\\\"type\\\":\\\"object\\\",\\\"properties\\\":{\\\"a\\\":{\\\"type\\\":\\\"string\\\"}},"
         "\\\"additionalProperties\\\":false}\",\"name\":\"n\"}}}}",
         "", false},
        {"anthropic.claude-3-haiku-20240307-v1:0", "\"toolChoice\":{\"tool\":{\"name\":\"structured_answer\"}}",
         "structured_answer", false},
        {"meta.llama3-70b-instruct-v1:0", "The JSON object must be valid by this JSON Schema: {", "", true},
        {"arn:aws:bedrock:us-east-1:1:application-inference-profile/x", "\"textFormat\"", "", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        openai_init(&w, cases[i].model);
        test_context("%s", cases[i].model);
        struct str body = world_translate(&w, "{" OPENAI_ASK "," SCHEMA "}");
        CHECK_MSG(str_find(body, str_from_c(cases[i].told)) < body.n, "%.*s", STR_ARG(body));
        CHECK_STR(w.call.emulate.schema_tool, cases[i].schema_tool);
        CHECK_EQ(w.call.emulate.strip_fence, cases[i].fence);
    }
}

TEST(bedrock_claude_is_not_forced_while_it_thinks) /* pitfall 26 */
{
    struct dialect_world w CLEANUP(world_release);

    openai_init(&w, "anthropic.claude-sonnet-4-5-20250929-v1:0");
    struct str body = world_translate(&w, "{" OPENAI_ASK "," TIDE_TOOL
                                          ",\"tool_choice\":\"required\",\"reasoning_effort\":\"high\"}");
    CHECK_LACKS(body, "thinking");
    CHECK_HOLDS(world_losses(&w, LOSS_CHANGED), "/reasoning_effort");
    world_release(&w);
    openai_init(&w, "anthropic.claude-sonnet-4-5-20250929-v1:0");
    body =
        world_translate(&w, "{" OPENAI_ASK ",\"max_tokens\":3000,\"temperature\":0.2,\"reasoning_effort\":\"high\"}");
    CHECK_HOLDS(body, "\"inferenceConfig\":{\"maxTokens\":3000}");
    CHECK_HOLDS(body, "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2999}");
    CHECK_STR(world_dropped(&w), "/temperature");
}

TEST(bedrock_thoughts_go_back_only_to_their_maker)
{
    struct dialect_world w CLEANUP(world_release);
#define THOUGHTS                                                                                                       \
    "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]},{\"role\":\"assistant\",\"content\":["          \
    "{\"reasoningContent\":{\"reasoningText\":{\"text\":\"t\",\"signature\":\"EqQ=\"}}},"                              \
    "{\"reasoningContent\":{\"reasoningText\":{\"text\":\"u\",\"signature\":\"crossdock.google.G==\"}}},"              \
    "{\"reasoningContent\":{\"redactedContent\":\"Y3Jvc3Nkb2NrLm9wZW5haS5nQUFB\"}},"                                   \
    "{\"reasoningContent\":{\"reasoningText\":{\"text\":\"v\"}}},{\"text\":\"b\"}]},"                                  \
    "{\"role\":\"user\",\"content\":[{\"text\":\"c\"}]}]}"

    bedrock_init(&w, CONVERSE);
    struct str body = world_translate(&w, THOUGHTS);
    CHECK_HOLDS(canon_request(&w.q, &w.arena), "redacted text=\"gAAA\" signer=1");
    CHECK_HOLDS(
        body, "[{\"reasoningContent\":{\"reasoningText\":{\"text\":\"t\",\"signature\":\"EqQ=\"}}},{\"text\":\"b\"}]");
    CHECK_STR(world_dropped(&w), "/messages/1/content/1,/messages/1/content/2,/messages/1/content/3");
    world_release(&w);
    bedrock_init(&w, CONVERSE);
    w.t.model = STR("amazon.nova-pro-v1:0");
    CHECK_LACKS(world_translate(&w, THOUGHTS), "reasoningContent");
}

TEST(bedrock_documents_have_names_of_their_own_and_a_text)
{
    struct dialect_world w CLEANUP(world_release);
#define PDF(name)                                                                                                      \
    "{\"type\":\"file\",\"file\":{\"filename\":\"" name "\",\"file_data\":\"data:application/pdf;base64,JVBERi0=\"}}"

    openai_init(&w, CLAUDE);
    struct str body =
        world_translate(&w, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[" PDF(
                                "R\\u00e9sum\\u00e9_v1.2  x.pdf") "," PDF("a.pdf") "," PDF("a.pdf") "," PDF("") "]}]}");
    CHECK_HOLDS(body, "\"name\":\"R-sum-v1-2 x\"");
    CHECK_HOLDS(body, "\"name\":\"a\"");
    CHECK_HOLDS(body, "\"name\":\"a (2)\"");
    CHECK_HOLDS(body, "\"name\":\"document\"");
    CHECK_HOLDS(body, "{\"text\":\"(see the attached document)\"}]");
    CHECK_HOLDS(world_losses(&w, LOSS_CHANGED), "/messages/0");
}

TEST(bedrock_takes_data_and_nothing_that_must_be_fetched)
{
    struct dialect_world w CLEANUP(world_release);

    openai_init(&w, CLAUDE);
    struct str body = world_translate(
        &w, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},"
            "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e.example/a.png\"}},"
            "{\"type\":\"image_url\",\"image_url\":{\"url\":\"s3://b/a.JPG\"}},"
            "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/tiff;base64,AAAA\"}},"
            "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\",\"format\":\"mp3\"}}]}]}");
    CHECK_HOLDS(body, "[{\"text\":\"x\"},{\"image\":{\"format\":\"jpeg\",\"source\":{\"s3Location\":{\"uri\":"
                      "\"s3://b/a.JPG\"}}}},{\"audio\":{\"format\":\"mp3\",\"source\":{\"bytes\":\"AAAA\"}}}]");
    CHECK_STR(world_dropped(&w), "/messages/0/content/1,/messages/0/content/3");
    CHECK(dialect_find(STR("bedrock"))->provider.wants_bytes & 1u << BLOCK_IMAGE);
}

TEST(bedrock_has_at_most_four_cache_points_and_the_longer_lived_first)
{
    struct dialect_world w CLEANUP(world_release);
#define POINT ",{\"cachePoint\":{\"type\":\"default\"}}"

    bedrock_init(&w, CONVERSE);
    struct str body = world_translate(
        &w, "{\"system\":[{\"text\":\"s\"}" POINT
            "],\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}" POINT ",{\"text\":\"b\"}" POINT
            ",{\"text\":\"c\"}" POINT ",{\"text\":\"d\"},{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"1h\"}}]}]}");
    CHECK_STR(body,
              "{\"system\":[{\"text\":\"s\"}" POINT "],\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"},"
              "{\"text\":\"b\"}" POINT ",{\"text\":\"c\"}" POINT ",{\"text\":\"d\"}" POINT "]}]}");
    CHECK_STR(world_losses(&w, LOSS_CHANGED), "/messages/0/content/0,/messages/0/content/6");
    w.t.model = STR("meta.llama3-70b-instruct-v1:0");
    CHECK_OK(world_write(&w));
    CHECK_LACKS(buf_str(&w.body), "cachePoint");
}

TEST(bedrock_model_ids_are_coded_once_into_the_path) /* pitfall 38 */
{
    static const struct {
        const char *model, *path;
    } cases[] = {
        {"anthropic.claude-v2:1", "/model/anthropic.claude-v2%3A1/converse"},
        {"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x-v1:0",
         "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.x-v1%3A0/converse"},
        {"a%3Ab", "/model/a%253Ab/converse"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        struct str path;
        bedrock_init(&w, CONVERSE);
        w.t.model = str_from_c(cases[i].model);
        (void)world_translate(&w, "{" ASK "}");
        CHECK_STR(w.call.path, cases[i].path);
        CHECK_OK(w.t.provider->provider.pass_path(&w.t, false, &path));
        CHECK_STR(path, cases[i].path);
    }
}

TEST(bedrock_requests_that_pass_keep_their_operation)
{
    static const struct {
        const char *row, *path;
        bool stream;
    } cases[] = {{STREAM, "/model/m%3A0/converse-stream", true},
                 {"/model/{model}/count-tokens", "/model/m%3A0/count-tokens", false},
                 {"/model/{model}/invoke", "/model/m%3A0/invoke", false},
                 {"/foundation-models", "own", false}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        struct str path = STR("own");
        bedrock_init(&w, cases[i].row);
        w.t.model = STR("m:0");
        CHECK_OK(w.t.provider->provider.pass_path(&w.t, cases[i].stream, &path));
        CHECK_STR(path, cases[i].path);
    }
}

TEST(bedrock_counts_what_it_would_be_told)
{
    struct dialect_world w CLEANUP(world_release), client CLEANUP(world_release) = {0};
    uint64_t tokens = 0;

    openai_init(&w, CLAUDE);
    CHECK_OK(world_read(&w, "{" OPENAI_ASK ",\"temperature\":0.5,\"tools\":[]}"));
    w.call = (struct provider_call){.body = &w.body};
    CHECK_OK(w.t.provider->provider.write_count(&w.t, &w.q, &w.call));
    CHECK_STR(buf_str(&w.body),
              "{\"input\":{\"converse\":{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]}]}}}");
    CHECK_STR(w.call.path, "/model/us.anthropic.claude-sim-v1%3A0/count-tokens");
    CHECK_OK(w.t.provider->provider.read_count(&w.arena, STR("{\"inputTokens\":12}"), &tokens));
    CHECK_EQ(tokens, 12);
    CHECK_ERR(w.t.provider->provider.read_count(&w.arena, STR("{}"), &tokens), E_PROTOCOL);

    bedrock_init(&client, "/model/{model}/count-tokens");
    CHECK_OK(world_read(&client, "{\"input\":{\"converse\":{" ASK "}}}"));
    CHECK_STR(canon_request(&client.q, &client.arena), "plain\nuser \n  text text=\"Hi\"\n");
    CHECK_ERR(world_read(&client, "{\"input\":{\"invokeModel\":{\"body\":\"AA==\"}}}"), E_PARSE);
    CHECK_STR(client.param, "input");
    buf_clear(&client.body);
    CHECK_OK(client.t.client->client.write_count(&client.t, 7, true, &client.body));
    CHECK_STR(buf_str(&client.body), "{\"inputTokens\":7}");
}

/* --- answers of providers --- */

static const char whole[] =
    "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"reasoningContent\":{\"reasoningText\":{\"text\":"
    "\"ok\",\"signature\":\"EqQ=\"}}},{\"reasoningContent\":{\"redactedContent\":\"AAEC\"}},{\"text\":\"Hi\"},"
    "{\"toolUse\":{\"toolUseId\":\"tooluse_a1\",\"name\":\"get_tide\",\"input\":{\"port\":\"Brest\"}}},"
    "{\"toolUse\":{\"toolUseId\":\"tooluse_a2\",\"name\":\"now\",\"input\":{}}}]}},\"stopReason\":\"tool_use\","
    "\"usage\":{\"inputTokens\":20,\"outputTokens\":8,\"totalTokens\":38,\"cacheReadInputTokens\":7,"
    "\"cacheWriteInputTokens\":3},\"metrics\":{\"latencyMs\":812}}";

static const char streamed[] =
    "messageStart {\"role\":\"assistant\",\"p\":\"abc\"}\n"
    "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"text\":\"o\"}}}\n"
    "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"text\":\"k\"}}}\n"
    "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"signature\":\"EqQ=\"}}}\n"
    "contentBlockStop {\"contentBlockIndex\":0}\n"
    "contentBlockDelta {\"contentBlockIndex\":1,\"delta\":{\"reasoningContent\":{\"redactedContent\":\"AA==\"}}}\n"
    "contentBlockDelta {\"contentBlockIndex\":1,\"delta\":{\"reasoningContent\":{\"redactedContent\":\"AQI=\"}}}\n"
    "contentBlockStop {\"contentBlockIndex\":1}\n"
    "contentBlockDelta {\"contentBlockIndex\":2,\"delta\":{\"text\":\"Hi\"},\"p\":\"x\"}\n"
    "contentBlockStop {\"contentBlockIndex\":2}\n"
    "contentBlockStart "
    "{\"contentBlockIndex\":3,\"start\":{\"toolUse\":{\"toolUseId\":\"tooluse_a1\",\"name\":\"get_tide\"}}}\n"
    "contentBlockDelta {\"contentBlockIndex\":3,\"delta\":{\"toolUse\":{\"input\":\"\"}}}\n"
    "contentBlockDelta {\"contentBlockIndex\":3,\"delta\":{\"toolUse\":{\"input\":\"{\\\"port\\\":\"}}}\n"
    "contentBlockDelta {\"contentBlockIndex\":3,\"delta\":{\"toolUse\":{\"input\":\"\\\"Brest\\\"}\"}}}\n"
    "contentBlockStop {\"contentBlockIndex\":3}\n"
    "contentBlockStart "
    "{\"contentBlockIndex\":4,\"start\":{\"toolUse\":{\"toolUseId\":\"tooluse_a2\",\"name\":\"now\"}}}\n"
    "contentBlockStop {\"contentBlockIndex\":4}\n"
    "messageStop {\"stopReason\":\"tool_use\"}\n"
    "metadata {\"usage\":{\"inputTokens\":20,\"outputTokens\":8,\"totalTokens\":38,\"cacheReadInputTokens\":7,"
    "\"cacheWriteInputTokens\":3},\"metrics\":{\"latencyMs\":812}}";

TEST(bedrock_a_stream_and_a_whole_answer_tell_the_same)
{
    static const char want[] = "start  \nopen 0.0 thinking\ntext 0.0 ok\nsignature 0.0 EqQ= by 2\nclose 0.0\n"
                               "open 0.1 redacted AAEC by 2\nclose 0.1\nopen 0.2 text\ntext 0.2 Hi\nclose 0.2\n"
                               "open 0.3 call tooluse_a1 get_tide\ntext 0.3 {\"port\":\"Brest\"}\nclose 0.3\n"
                               "open 0.4 call tooluse_a2 now\ntext 0.4 {}\nclose 0.4\n"
                               "usage 30 8 cached 7 reasoning 0 written 3/0\nfinish 0 tool_calls \nend\n";
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 30);
    CHECK_STR(world_answer_events("bedrock", whole, &arena), want);
    CHECK_STR(events(&arena, streamed), want);
}

/* What a client of Anthropic's hears of the answers above, from this model. */
static void hear_of_model(struct dialect_world *w, const char *model, struct str *ret_whole, struct str *ret_stream)
{
    world_init(w, "anthropic", "bedrock");
    w->t.row = world_row("anthropic", "/v1/messages");
    w->t.model = str_from_c(model);
    CHECK_HOLDS(
        world_translate(w, "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"),
        "Hi");
    *ret_whole = arena_str(&w->arena, world_answer(w, "bedrock", whole));
    *ret_stream = arena_str(&w->arena, world_stream_bytes(w, "bedrock", frames(&w->arena, streamed)));
}

TEST(bedrock_only_claude_signs_as_anthropic)
{
    static const char *const others[] = {"amazon.nova-premier-v1:0", "us.deepseek.r1-v1:0", "openai.gpt-oss-120b-1:0",
                                         "minimax.minimax-m2", "qwen.qwen3-32b-v1:0"};
    struct str told, stream;

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct dialect_world w CLEANUP(world_release);
        hear_of_model(&w, others[i], &told, &stream);
        test_context("model %s", others[i]);
        CHECK_HOLDS(told, "\"signature\":\"crossdock.other.EqQ=\"");
        CHECK_HOLDS(told, "\"data\":\"crossdock.other.AAEC\"");
        CHECK_HOLDS(stream, "\"signature\":\"crossdock.other.EqQ=\"");
        CHECK_HOLDS(stream, "\"data\":\"crossdock.other.AAEC\"");
    }
    struct dialect_world w CLEANUP(world_release);
    hear_of_model(&w, CLAUDE, &told, &stream);
    CHECK_HOLDS(told, "\"signature\":\"EqQ=\"");
    CHECK_HOLDS(told, "\"data\":\"AAEC\"");
    CHECK_HOLDS(stream, "\"signature\":\"EqQ=\"");
    CHECK_HOLDS(stream, "\"data\":\"AAEC\"");
}

TEST(bedrock_a_tool_without_arguments_streams_an_empty_object)
{
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 30);
    CHECK_HOLDS(events(&arena, streamed), "call tooluse_a2 now\ntext 0.4 {}\nclose 0.4\n");
}

TEST(bedrock_reasons_for_stopping)
{
    static const struct {
        const char *theirs, *ours;
    } reasons[] = {{"end_turn", "finish 0 stop \nend\n"},
                   {"max_tokens", "finish 0 length \nend\n"},
                   {"stop_sequence", "finish 0 stop_sequence END\nend\n"},
                   {"guardrail_intervened", "finish 0 filter "},
                   {"content_filtered", "finish 0 filter "},
                   {"model_context_window_exceeded", "finish 0 context "},
                   {"refusal", "finish 0 refusal "},
                   {"something_new", "finish 0 stop "},
                   {"malformed_tool_use", "error 12 502 the model's answer was malformed"},
                   {"malformed_model_output", "error 12 502 the model's answer was malformed"}};
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 30);
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        bool stops = strcmp(reasons[i].theirs, "stop_sequence") == 0;
        const char *fields = stops ? ",\"additionalModelResponseFields\":{\"stop_sequence\":\"END\"}" : "";
        struct str end = arena_printf(&arena, "\"stopReason\":\"%s\"%s", reasons[i].theirs, fields);
        struct str body = arena_printf(&arena, "{\"output\":{\"message\":{\"content\":[{\"text\":\"a\"}]}},%s}", end.p);
        struct str stream =
            arena_printf(&arena, "contentBlockDelta {\"delta\":{\"text\":\"a\"}}\nmessageStop {%s}", end.p);
        test_context("%s", reasons[i].theirs);
        struct str got = world_answer_events("bedrock", body.p, &arena);
        CHECK_MSG(str_find(got, str_from_c(reasons[i].ours)) < got.n, "%.*s", STR_ARG(got));
        got = events(&arena, stream.p);
        CHECK_MSG(str_find(got, str_from_c(reasons[i].ours)) < got.n, "%.*s", STR_ARG(got));
    }
}

TEST(bedrock_an_exception_in_a_stream_is_an_error) /* pitfall 20 */
{
    static const struct {
        const char *frame, *error;
    } cases[] = {
        {"!throttlingException {\"message\":\"slow down\"}", "error 11 429 slow down\n"},
        {"!internalServerException {}", "error 12 500 the provider failed\n"},
        {"!modelStreamErrorException {\"message\":\"x\",\"originalStatusCode\":500}", "error 12 424 x\n"},
        {"!modelStreamErrorException {\"message\":\"x\",\"originalStatusCode\":429}", "error 11 429 x\n"},
        {"!validationException {\"message\":\"Input is too long for requested model.\"}",
         "error 2 400 Input is too long"},
        {"!modelTimeoutException {\"message\":\"x\"}", "error 14 408 x\n"},
        {"!serviceUnavailableException {\"message\":\"x\"}", "error 13 503 x\n"},
        {"!validationException ", "error 1 400 the provider failed\n"},
        {"contentBlockDelta {", "error 12 502 the provider sent an event that is not JSON\n"},
        {"contentBlockDelta {\"contentBlockIndex\":4,\"delta\":{\"toolUse\":{\"input\":\"x\"}}}",
         "error 12 502 the provider sent arguments of a call that it did not begin\n"},
    };
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 30);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_context("%s", cases[i].frame);
        struct str got = events(
            &arena,
            arena_printf(&arena, "messageStart {}\n%s\nmessageStop {\"stopReason\":\"end_turn\"}", cases[i].frame).p);
        CHECK_MSG(str_starts(got, arena_printf(&arena, "start  \n%s", cases[i].error)), "%.*s", STR_ARG(got));
        CHECK_LACKS(got, "end\n");
    }
}

TEST(bedrock_a_stream_that_breaks_off_is_no_answer) /* pitfall 22 */
{
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 30);
    CHECK_STR(events(&arena, "messageStart {}\ncontentBlockDelta {\"delta\":{\"text\":\"a\"}}\ncontentBlockStop {}\n"
                             "metadata {\"usage\":{}}"),
              "start  \nopen 0.0 text\ntext 0.0 a\nclose 0.0\n"
              "error 12 502 The provider's answer broke off.\n");
    CHECK_STR(events(&arena, "messageStart {}\nmessageStop {\"stopReason\":\"end_turn\"}"),
              "start  \nfinish 0 stop \nend\n");
}

TEST(bedrock_cites_and_shows_and_keeps_its_own_tools_to_itself)
{
    static const char cited[] = "{\"title\":\"T\",\"sourceContent\":[{\"text\":\"quoted\"}],\"location\":{\"web\":{"
                                "\"url\":\"https://e.example\"}}}";
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 30);
    CHECK_STR(
        world_answer_events(
            "bedrock",
            arena_printf(
                &arena,
                "{\"output\":{\"message\":{\"content\":[{\"toolUse\":{\"toolUseId\":\"s\",\"name\":\"g\","
                "\"type\":\"server_tool_use\",\"input\":{}}},{\"toolResult\":{\"toolUseId\":\"s\"}},"
                "{\"citationsContent\":{\"content\":[{\"text\":\"a\"},{\"text\":\"b\"}],\"citations\":[%s]}},"
                "{\"image\":{\"format\":\"png\",\"source\":{\"bytes\":\"iVBO\"}}}]}},\"stopReason\":\"end_turn\"}",
                cited)
                .p,
            &arena),
        "start  \nopen 0.0 text\ntext 0.0 ab\ncites 0.0 https://e.example quoted\nclose 0.0\nopen 0.1 image iVBO\n"
        "close 0.1\nfinish 0 stop \nend\n");
    CHECK_STR(
        events(&arena, arena_printf(
                           &arena,
                           "contentBlockStart {\"contentBlockIndex\":0,\"start\":{\"toolUse\":{\"toolUseId\":\"s\","
                           "\"name\":\"g\",\"type\":\"server_tool_use\"}}}\ncontentBlockDelta {\"contentBlockIndex\":0,"
                           "\"delta\":{\"toolUse\":{\"input\":\"{}\"}}}\ncontentBlockStop {\"contentBlockIndex\":0}\n"
                           "contentBlockDelta {\"contentBlockIndex\":1,\"delta\":{\"text\":\"ab\"}}\n"
                           "contentBlockDelta {\"contentBlockIndex\":1,\"delta\":{\"citation\":%s}}\n"
                           "messageStop {\"stopReason\":\"end_turn\"}",
                           cited)
                           .p),
        "start  \nopen 0.0 text\ntext 0.0 ab\ncites 0.0 https://e.example quoted\nclose 0.0\nfinish 0 stop \nend\n");
}

TEST(bedrock_figures_and_tier_of_an_answer)
{
    struct arena arena CLEANUP(arena_release);
    struct answer a;

    arena_init(&arena, 1 << 20);
    struct chat_sink sink = answer_sink(answer_builder_new(&arena, &a));
    CHECK_OK(
        dialect_find(STR("bedrock"))
            ->provider.read_answer(
                &arena,
                STR("{\"output\":{\"message\":{\"content\":[]}},\"stopReason\":\"end_turn\",\"serviceTier\":{\"type\":"
                    "\"priority\"},\"usage\":{\"inputTokens\":1,\"outputTokens\":2,\"cacheReadInputTokens\":4,"
                    "\"cacheWriteInputTokens\":8,\"cacheDetails\":[{\"ttl\":\"1h\",\"inputTokens\":5},{\"ttl\":\"5m\","
                    "\"inputTokens\":3}]}}"),
                &sink));
    CHECK_EQ(a.usage.input, 13);
    CHECK_EQ(a.usage.cached_input, 4);
    CHECK_EQ(a.usage.cache_write, 8);
    CHECK_EQ(a.usage.cache_write_1h, 5);
    CHECK_STR(a.service_tier, "priority");
    sink = answer_sink(answer_builder_new(&arena, &a));
    struct arrival stream = {.framing = FRAMING_EVENTSTREAM,
                             .bytes = frames(&arena, "messageStop {\"stopReason\":\"end_turn\"}\n"
                                                     "metadata {\"serviceTier\":{\"type\":\"flex\"}}")};
    CHECK_OK(world_feed(dialect_find(STR("bedrock")), &stream, &arena, &sink));
    CHECK_STR(a.service_tier, "flex");
    CHECK_STR(events(&arena, "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\"a\"}}\n"
                             "contentBlockDelta {\"contentBlockIndex\":1,\"delta\":{\"text\":\"b\"}}\n"
                             "messageStop {\"stopReason\":\"end_turn\"}\n"
                             "contentBlockDelta {\"contentBlockIndex\":2,\"delta\":{\"text\":\"late\"}}\n"
                             "metadata {\"usage\":{\"inputTokens\":1,\"outputTokens\":2}}"),
              "start  \nopen 0.0 text\ntext 0.0 a\nclose 0.0\nopen 0.1 text\ntext 0.1 b\nclose 0.1\n"
              "usage 1 2 cached 0 reasoning 0\nfinish 0 stop \nend\n");
}

TEST(bedrock_bodies_that_are_no_answers)
{
    static const char *const bodies[] = {
        "", "<html>", "[]", "{}", "{\"output\":{\"message\":{\"content\":[]}}}", "{\"stopReason\":\"end_turn\"}"};
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 30);
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct event_log log CLEANUP(log_release) = {.text = BUF_INIT(4096)};
        struct chat_sink sink = {log_hear, &log};
        CHECK_ERR(dialect_find(STR("bedrock"))->provider.read_answer(&arena, str_from_c(bodies[i]), &sink), E_PROTOCOL);
        CHECK_EQ(log.text.n, 0);
    }
}

/* --- answers to clients --- */

static const struct usage figures = {.input = 30, .output = 8, .cached_input = 7, .cache_write = 3, .known = true};

#define EVENTS_OF_A_CALL                                                                                               \
    {.kind = CHAT_START, .id = STR_INIT("x")}, {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_THINKING},               \
        {.kind = CHAT_TEXT, .text = STR_INIT("ok")},                                                                   \
        {.kind = CHAT_SIGNATURE, .text = STR_INIT("G=="), .signer = SIGNER_GOOGLE}, {.kind = CHAT_BLOCK_STOP},         \
        {.kind = CHAT_BLOCK_START, .block = 1, .block_kind = BLOCK_TEXT},                                              \
        {.kind = CHAT_TEXT, .block = 1, .text = STR_INIT("Hi")}, {.kind = CHAT_BLOCK_STOP, .block = 1},                \
        {.kind = CHAT_BLOCK_START, .block = 2, .block_kind = BLOCK_TEXT}, {.kind = CHAT_BLOCK_STOP, .block = 2},       \
        {.kind = CHAT_BLOCK_START,                                                                                     \
         .block = 3,                                                                                                   \
         .block_kind = BLOCK_TOOL_CALL,                                                                                \
         .id = STR_INIT("call 1"),                                                                                     \
         .name = STR_INIT("get_tide")},                                                                                \
        {.kind = CHAT_TEXT, .block = 3, .text = STR_INIT("{\"port\":\"Brest\"}")},                                     \
        {.kind = CHAT_BLOCK_STOP, .block = 3}

#define EVENTS_OF_AN_END(reason)                                                                                       \
    {.kind = CHAT_USAGE, .usage = &figures}, {.kind = CHAT_FINISH, .finish = (reason)},                                \
    {                                                                                                                  \
        .kind = CHAT_END                                                                                               \
    }

TEST(bedrock_clients_hear_a_stream_in_its_own_manner)
{
    static const struct chat_event e[] = {EVENTS_OF_A_CALL, EVENTS_OF_AN_END(FINISH_STOP)};
    struct dialect_world w CLEANUP(world_release);

    bedrock_init(&w, STREAM);
    struct str id = tool_id_fit(TOOL_ID_BEDROCK, STR("call 1"), &w.arena);
    struct str want = arena_printf(
        &w.arena,
        "messageStart {\"role\":\"assistant\"}\n"
        "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"text\":\"ok\"}}}\n"
        "contentBlockDelta "
        "{\"contentBlockIndex\":0,\"delta\":{\"reasoningContent\":{\"signature\":\"crossdock.google.G==\"}}}\n"
        "contentBlockStop {\"contentBlockIndex\":0}\n"
        "contentBlockDelta {\"contentBlockIndex\":1,\"delta\":{\"text\":\"Hi\"}}\n"
        "contentBlockStop {\"contentBlockIndex\":1}\n"
        "contentBlockStart "
        "{\"contentBlockIndex\":2,\"start\":{\"toolUse\":{\"toolUseId\":\"%.*s\",\"name\":\"get_tide\"}}}\n"
        "contentBlockDelta "
        "{\"contentBlockIndex\":2,\"delta\":{\"toolUse\":{\"input\":\"{\\\"port\\\":\\\"Brest\\\"}\"}}}\n"
        "contentBlockStop {\"contentBlockIndex\":2}\n"
        "messageStop {\"stopReason\":\"tool_use\"}\n"
        "metadata {\"usage\":{\"inputTokens\":20,\"outputTokens\":8,\"totalTokens\":38,\"cacheReadInputTokens\":7,"
        "\"cacheWriteInputTokens\":3},\"metrics\":{\"latencyMs\":0}}\n",
        STR_ARG(id));
    CHECK_STR(heard(&w, e, ARRAY_LEN(e)), want.p);
    CHECK_EQ(w.t.client->client.framing(&w.t), FRAMING_EVENTSTREAM);
}

TEST(bedrock_frames_are_those_of_the_known_vectors)
{
    static const unsigned char want[] = {0x00, 0x00, 0x00, 0x76, 0x00, 0x00, 0x00, 0x52, 0x96, 0xd5, 0xfa, 0xde, 0x0b};
    static const struct chat_event e[] = {{.kind = CHAT_START}};
    struct dialect_world w CLEANUP(world_release);

    bedrock_init(&w, STREAM);
    CHECK_STR(heard(&w, e, 1), "messageStart {\"role\":\"assistant\"}\n");
    CHECK_EQ(w.out.n, 118);
    CHECK_MEM(w.out.p, want, sizeof want);
    CHECK_MEM(w.out.p + 114, "\x6f\xa8\xc5\x99", 4);
}

TEST(bedrock_clients_get_a_whole_answer)
{
    static const struct chat_event e[] = {EVENTS_OF_A_CALL, EVENTS_OF_AN_END(FINISH_TOOL_CALLS)};
    struct dialect_world w CLEANUP(world_release);

    bedrock_init(&w, CONVERSE);
    struct str id = tool_id_fit(TOOL_ID_BEDROCK, STR("call 1"), &w.arena);
    struct str want = arena_printf(
        &w.arena,
        "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"reasoningContent\":{\"reasoningText\":{"
        "\"text\":"
        "\"ok\",\"signature\":\"crossdock.google.G==\"}}},{\"text\":\"Hi\"},{\"toolUse\":{\"toolUseId\":\"%.*s\","
        "\"name\":"
        "\"get_tide\",\"input\":{\"port\":\"Brest\"}}}]}},\"stopReason\":\"tool_use\",\"usage\":{\"inputTokens\":20,"
        "\"outputTokens\":8,\"totalTokens\":38,\"cacheReadInputTokens\":7,\"cacheWriteInputTokens\":3},"
        "\"metrics\":{\"latencyMs\":0}}",
        STR_ARG(id));
    CHECK_STR(world_say_whole(&w, e, ARRAY_LEN(e)), want.p);
}

TEST(bedrock_what_it_says_it_reads_back)
{
    struct arena arena CLEANUP(arena_release);
    struct dialect_world w CLEANUP(world_release);

    arena_init(&arena, 1 << 30);
    bedrock_init(&w, CONVERSE);
    struct str again = arena_str(&arena, world_answer(&w, "bedrock", whole));
    CHECK_STR(world_answer_events("bedrock", again.p, &arena), world_answer_events("bedrock", whole, &arena).p);
}

TEST(bedrock_parallel_calls_that_come_in_turns_are_told_one_after_the_other)
{
    static const struct chat_event e[] = {
        {.kind = CHAT_START},
        {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TOOL_CALL, .id = STR_INIT("a"), .name = STR_INIT("f")},
        {.kind = CHAT_BLOCK_START,
         .block = 1,
         .block_kind = BLOCK_TOOL_CALL,
         .id = STR_INIT("b"),
         .name = STR_INIT("g")},
        {.kind = CHAT_TEXT, .text = STR_INIT("{\"x\"")},
        {.kind = CHAT_TEXT, .block = 1, .text = STR_INIT("{\"y\"")},
        {.kind = CHAT_TEXT, .text = STR_INIT(":1}")},
        {.kind = CHAT_TEXT, .block = 1, .text = STR_INIT(":2}")},
        {.kind = CHAT_SIGNATURE, .block = 1, .text = STR_INIT("S"), .signer = SIGNER_GOOGLE},
        {.kind = CHAT_BLOCK_STOP, .block = 1},
        {.kind = CHAT_BLOCK_STOP},
        EVENTS_OF_AN_END(FINISH_STOP),
    };
    struct dialect_world w CLEANUP(world_release);

    bedrock_init(&w, STREAM);
    struct str got = heard(&w, e, ARRAY_LEN(e));
    CHECK_HOLDS(
        got,
        "messageStart {\"role\":\"assistant\"}\n"
        "contentBlockStart {\"contentBlockIndex\":0,\"start\":{\"toolUse\":{\"toolUseId\":\"a\",\"name\":\"f\"}}}\n"
        "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"toolUse\":{\"input\":\"{\\\"x\\\"\"}}}\n"
        "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"toolUse\":{\"input\":\":1}\"}}}\n"
        "contentBlockStop {\"contentBlockIndex\":0}\n"
        "contentBlockStart {\"contentBlockIndex\":1,\"start\":{\"toolUse\":{\"toolUseId\":\"b\",\"name\":\"g\"}}}\n"
        "contentBlockDelta {\"contentBlockIndex\":1,\"delta\":{\"toolUse\":{\"input\":\"{\\\"y\\\":2}\"}}}\n"
        "contentBlockStop {\"contentBlockIndex\":1}\n"
        "contentBlockDelta {\"contentBlockIndex\":2,\"delta\":{\"reasoningContent\":{\"signature\":"
        "\"crossdock.google.S\"}}}\n"
        "contentBlockStop {\"contentBlockIndex\":2}\n"
        "messageStop {\"stopReason\":\"tool_use\"}\n");
}

TEST(bedrock_clients_hear_one_choice_with_its_citations_tier_and_reason)
{
    static const struct citation cited = {.url = STR_INIT("https://e.example"), .title = STR_INIT("T")};
    static const struct chat_event e[] = {
        {.kind = CHAT_START},
        {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_TOOL_CALL, .id = STR_INIT("a"), .name = STR_INIT("f")},
        {.kind = CHAT_BLOCK_START, .block = 1, .block_kind = BLOCK_TEXT},
        {.kind = CHAT_BLOCK_START, .choice = 1, .block_kind = BLOCK_TEXT},
        {.kind = CHAT_TEXT, .choice = 1, .text = STR_INIT("other")},
        {.kind = CHAT_TEXT, .block = 1, .text = STR_INIT("b")},
        {.kind = CHAT_CITATION, .block = 1, .citation = &cited},
        {.kind = CHAT_BLOCK_STOP, .block = 1},
        {.kind = CHAT_SIGNATURE, .text = STR_INIT("S"), .signer = SIGNER_GOOGLE},
        {.kind = CHAT_BLOCK_STOP},
        {.kind = CHAT_FINISH, .finish = FINISH_CONTEXT, .service_tier = STR_INIT("priority")},
        {.kind = CHAT_END},
    };
    struct dialect_world w CLEANUP(world_release);

    bedrock_init(&w, STREAM);
    CHECK_STR(
        heard(&w, e, ARRAY_LEN(e)),
        "messageStart {\"role\":\"assistant\"}\n"
        "contentBlockStart {\"contentBlockIndex\":0,\"start\":{\"toolUse\":{\"toolUseId\":\"a\",\"name\":\"f\"}}}\n"
        "contentBlockStop {\"contentBlockIndex\":0}\n"
        "contentBlockDelta {\"contentBlockIndex\":1,\"delta\":{\"reasoningContent\":{\"signature\":"
        "\"crossdock.google.S\"}}}\n"
        "contentBlockStop {\"contentBlockIndex\":1}\n"
        "contentBlockDelta {\"contentBlockIndex\":2,\"delta\":{\"text\":\"b\"}}\n"
        "contentBlockDelta {\"contentBlockIndex\":2,\"delta\":{\"citation\":{\"title\":\"T\",\"location\":{\"web\":"
        "{\"url\":\"https://e.example\"}}}}}\n"
        "contentBlockStop {\"contentBlockIndex\":2}\n"
        "messageStop {\"stopReason\":\"model_context_window_exceeded\"}\n"
        "metadata {\"usage\":{\"inputTokens\":0,\"outputTokens\":0,\"totalTokens\":0,\"cacheReadInputTokens\":0,"
        "\"cacheWriteInputTokens\":0},\"metrics\":{\"latencyMs\":0},\"serviceTier\":{\"type\":\"priority\"}}\n");
}

TEST(bedrock_a_signed_call_comes_back_signed)
{
    struct dialect_world w CLEANUP(world_release);

    bedrock_init(&w, CONVERSE);
    CHECK_OK(world_read(
        &w, "{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"toolUse\":{\"toolUseId\":\"a\",\"name\":"
            "\"f\",\"input\":{}}},{\"reasoningContent\":{\"reasoningText\":{\"text\":\"\",\"signature\":"
            "\"crossdock.google.S\"}}},{\"toolUse\":{\"toolUseId\":\"b\",\"name\":\"g\",\"input\":{}}}]}]}"));
    CHECK_HOLDS(canon_request(&w.q, &w.arena), "  call id=\"a\" name=\"f\" arguments=\"{}\" signature=\"S\" signer=3\n"
                                               "  call id=\"b\" name=\"g\" arguments=\"{}\"\n");
}

TEST(bedrock_secret_thoughts_of_others_travel_as_bytes)
{
    static const struct chat_event e[] = {
        {.kind = CHAT_START},
        {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_REDACTED, .text = STR_INIT("gAAA"), .signer = SIGNER_OPENAI},
        {.kind = CHAT_BLOCK_STOP},
        {.kind = CHAT_BLOCK_START,
         .block = 1,
         .block_kind = BLOCK_REDACTED,
         .text = STR_INIT("AAEC"),
         .signer = SIGNER_ANTHROPIC},
        {.kind = CHAT_BLOCK_STOP, .block = 1},
        EVENTS_OF_AN_END(FINISH_STOP),
    };
    struct dialect_world w CLEANUP(world_release);

    bedrock_init(&w, STREAM);
    CHECK_HOLDS(heard(&w, e, ARRAY_LEN(e)), "\"redactedContent\":\"Y3Jvc3Nkb2NrLm9wZW5haS5nQUFB\"");
    CHECK_HOLDS(world_say_whole(&w, e, ARRAY_LEN(e)), "{\"redactedContent\":\"Y3Jvc3Nkb2NrLm9wZW5haS5nQUFB\"}");
    CHECK_HOLDS(world_say_whole(&w, e, ARRAY_LEN(e)), "{\"redactedContent\":\"AAEC\"}");
}

TEST(bedrock_usage_is_there_even_if_nobody_told)
{
    static const struct chat_event e[] = {
        {.kind = CHAT_START},
        {.kind = CHAT_FINISH, .finish = FINISH_STOP_SEQUENCE, .stop_sequence = STR_INIT("END")},
        {.kind = CHAT_END}};
    struct dialect_world w CLEANUP(world_release);
#define ZEROS                                                                                                          \
    "\"usage\":{\"inputTokens\":0,\"outputTokens\":0,\"totalTokens\":0,\"cacheReadInputTokens\":0,"                    \
    "\"cacheWriteInputTokens\":0},\"metrics\":{\"latencyMs\":0}}"

    bedrock_init(&w, STREAM);
    CHECK_OK(world_read(&w, "{" ASK ",\"additionalModelResponseFieldPaths\":[\"/stop_sequence\"]}"));
    CHECK_STR(heard(&w, e, 3), "messageStart {\"role\":\"assistant\"}\nmessageStop {\"stopReason\":\"stop_sequence\","
                               "\"additionalModelResponseFields\":{\"stop_sequence\":\"END\"}}\nmetadata {" ZEROS "\n");
    CHECK_STR(world_say_whole(&w, e, 3),
              "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[]}},\"stopReason\":"
              "\"stop_sequence\",\"additionalModelResponseFields\":{\"stop_sequence\":\"END\"}," ZEROS);
}

TEST(bedrock_an_error_in_a_stream_is_an_exception_and_the_last_word)
{
    struct api_error error = {.error_class = ERROR_RATE_LIMIT, .message = STR("slow down")};
    struct api_error broken = {.status = 502, .error_class = ERROR_UPSTREAM, .message = STR("gone")};
    struct dialect_world w CLEANUP(world_release);

    bedrock_init(&w, STREAM);
    CHECK_STR(
        heard(&w,
              (struct chat_event[]){{.kind = CHAT_START}, {.kind = CHAT_ERROR, .error = &error}, {.kind = CHAT_END}},
              3),
        "messageStart {\"role\":\"assistant\"}\n!throttlingException {\"message\":\"slow down\"}\n");
    CHECK_STR(
        heard(&w, (struct chat_event[]){{.kind = CHAT_ERROR, .error = &broken}}, 1),
        "!modelStreamErrorException {\"message\":\"gone\",\"originalStatusCode\":502,\"originalMessage\":\"gone\"}\n");
}

/* --- errors --- */

struct one_header {
    struct str name, value;
};

static struct str find_header(void *ctx, struct str name)
{
    const struct one_header *h = ctx;

    return str_eq_nocase(name, h->name) ? h->value : STR_NONE;
}

TEST(bedrock_errors_are_read_wherever_their_name_is)
{
    static const struct {
        int status;
        const char *header, *body;
        enum error_class error_class;
        const char *message;
    } cases[] = {
        {429, "ThrottlingException:http://internal.amazon.com/coral/", "{\"message\":\"slow\"}", ERROR_RATE_LIMIT,
         "slow"},
        {400, "", "{\"__type\":\"com.amazon.coral#ServiceQuotaExceededException\",\"Message\":\"spent\"}", ERROR_QUOTA,
         "spent"},
        {403, "", "{\"code\":\"ExpiredTokenException\",\"message\":\"old\"}", ERROR_AUTH, "old"},
        {403, "AccessDeniedException", "{\"message\":\"no\"}", ERROR_FORBIDDEN, "no"},
        {404, "ResourceNotFoundException", "{}", ERROR_NOT_FOUND, ""},
        {400, "ValidationException", "{\"message\":\"Input is too long for requested model.\"}", ERROR_CONTEXT_LENGTH,
         "Input is too long for requested model."},
        {400, "ValidationException", "{\"message\":\"bad\"}", ERROR_BAD_REQUEST, "bad"},
        {424, "ModelErrorException", "{\"message\":\"x\"}", ERROR_UPSTREAM, "x"},
        {429, "ModelNotReadyException", "{\"message\":\"x\"}", ERROR_OVERLOADED, "x"},
        {503, "", "<html>busy</html>", ERROR_OVERLOADED, ""},
        {500, "", "", ERROR_UPSTREAM, ""},
    };
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct one_header h = {STR("x-amzn-errortype"), str_from_c(cases[i].header)};
        struct api_error e;
        test_context("%s %s", cases[i].header, cases[i].body);
        dialect_find(STR("bedrock"))
            ->provider.read_error(&arena, cases[i].status, str_from_c(cases[i].body), find_header, &h, &e);
        CHECK_EQ(error_class_of(&e), cases[i].error_class);
        CHECK_EQ(e.status, cases[i].status);
        CHECK_STR(e.message, cases[i].message);
    }
}

TEST(bedrock_errors_are_told_by_header_and_status)
{
    static const struct {
        enum error_class error_class;
        int status;
        const char *name;
    } cases[] = {
        {ERROR_BAD_REQUEST, 400, "ValidationException"},     {ERROR_AUTH, 403, "UnrecognizedClientException"},
        {ERROR_QUOTA, 400, "ServiceQuotaExceededException"}, {ERROR_FORBIDDEN, 403, "AccessDeniedException"},
        {ERROR_NOT_FOUND, 404, "ResourceNotFoundException"}, {ERROR_RATE_LIMIT, 429, "ThrottlingException"},
        {ERROR_UPSTREAM, 424, "ModelErrorException"},        {ERROR_OVERLOADED, 503, "ServiceUnavailableException"},
        {ERROR_TIMEOUT, 408, "ModelTimeoutException"},
    };
    struct dialect_world w CLEANUP(world_release);

    bedrock_init(&w, CONVERSE);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct api_error e = {.error_class = cases[i].error_class, .message = STR("say \"why\"")};
        struct call_header headers[2] = {{STR_NONE, STR_NONE}, {STR_NONE, STR_NONE}};
        int status = 0;
        buf_clear(&w.body);
        w.t.client->client.write_error(&w.t, &e, &w.body, &status, headers);
        CHECK_STR(buf_str(&w.body), "{\"message\":\"say \\\"why\\\"\"}");
        CHECK_EQ(status, cases[i].status);
        CHECK_STR(headers[0].name, "x-amzn-errortype");
        CHECK_STR(headers[0].value, cases[i].name);
    }
    struct buf small CLEANUP(buf_release) = BUF_INIT(512);
    struct api_error wordy = {.message = arena_printf(&w.arena, "%600s", "x")};
    struct call_header headers[2];
    int status;
    w.t.client->client.write_error(&w.t, &wordy, &small, &status, headers);
    CHECK_STR(buf_str(&small), "{\"message\":\"the request failed\"}");
}

/* --- InvokeModel --- */

static struct str embed_call(struct dialect_world *w, const char *vendor_model, const char *openai_body)
{
    struct embed_request q;
    const struct json_tree *doc;

    openai_init(w, vendor_model);
    if (json_tree_parse(&w->arena, str_from_c(openai_body), &doc) != OK ||
        w->t.client->client.read_embed(&w->t, doc, &q, &w->param) != OK)
        return STR("not read");
    w->call = (struct provider_call){.body = &w->body};
    err_t e = w->t.provider->provider.write_embed(&w->t, &q, &w->call);
    return e == OK ? buf_str(&w->body) : arena_printf(&w->arena, "! %s", err_detail(e));
}

TEST(bedrock_embeds_by_the_form_of_the_maker)
{
    static const struct {
        const char *model, *asked, *told;
        size_t batch;
    } cases[] = {
        {"amazon.titan-embed-text-v1", "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":8}", "{\"inputText\":\"a\"}",
         1},
        {"amazon.titan-embed-text-v2:0", "{\"model\":\"m\",\"input\":[\"a\"],\"dimensions\":256}",
         "{\"inputText\":\"a\",\"dimensions\":256}", 1},
        {"amazon.titan-embed-image-v1", "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":384}",
         "{\"inputText\":\"a\",\"embeddingConfig\":{\"outputEmbeddingLength\":384}}", 1},
        {"cohere.embed-english-v3", "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"input_type\":\"query\"}",
         "{\"texts\":[\"a\",\"b\"],\"input_type\":\"search_query\"}", 96},
        {"us.cohere.embed-v4:0", "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":512}",
         "{\"texts\":[\"a\"],\"input_type\":\"search_document\",\"output_dimension\":512}", 96},
        {"amazon.titan-embed-text-v2:0", "{\"model\":\"m\",\"input\":[1,2]}", "! this model embeds text only", 1},
        {"cohere.embed-english-v3", "{\"model\":\"m\",\"input\":[1,2]}", "! this model embeds text, not tokens", 96},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        test_context("%s", cases[i].model);
        CHECK_STR(embed_call(&w, cases[i].model, cases[i].asked), cases[i].told);
        CHECK_EQ(w.t.provider->provider.embed_batch(&w.t), cases[i].batch);
        CHECK_MSG(str_ends(w.call.path, STR("/invoke")), "%.*s", STR_ARG(w.call.path));
    }
    struct dialect_world w CLEANUP(world_release);
    (void)embed_call(&w, "amazon.titan-embed-text-v1",
                     "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":8,\"user\":\"u\"}");
    CHECK_STR(world_dropped(&w), "/dimensions,/user");
}

TEST(bedrock_reads_vectors_in_every_form)
{
    static const struct {
        const char *body, *want;
    } cases[] = {
        {"{\"embedding\":[0.5,1e-3],\"inputTextTokenCount\":4}", "[0.5,1e-3]/ 4"},
        {"{\"embedding\":[1],\"embeddingsByType\":{\"binary\":[1],\"float\":[2]},\"inputTextTokenCount\":1}",
         "[1]/binary [2]/float 1"},
        {"{\"id\":\"i\",\"embeddings\":[[1],[2]],\"response_type\":\"embeddings_floats\"}", "[1]/ [2]/ 0"},
        {"{\"embeddings\":{\"int8\":[[1],[2]],\"float\":[[3],[4]]}}", "[1]/int8 [2]/int8 [3]/float [4]/float 0"},
    };
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct embed_answer a;
        struct buf got CLEANUP(buf_release) = BUF_INIT(4096);
        CHECK_OK(dialect_find(STR("bedrock"))->provider.read_embed(&arena, str_from_c(cases[i].body), &a));
        for (size_t v = 0; v < a.vector_count; v++)
            buf_addf(&got, "%.*s/%.*s ", STR_ARG(a.vectors[v].json), STR_ARG(a.vectors[v].type));
        buf_addf(&got, "%llu", (unsigned long long)a.usage.input);
        CHECK_STR(buf_str(&got), cases[i].want);
    }
    struct embed_answer a;
    CHECK_ERR(dialect_find(STR("bedrock"))->provider.read_embed(&arena, STR("{\"message\":\"x\"}"), &a), E_PROTOCOL);
}

TEST(bedrock_clients_embed_in_either_form)
{
    static const struct {
        const char *asked, *answered;
    } cases[] = {
        {"{\"inputText\":\"a\",\"dimensions\":256}", "{\"embedding\":[1,2],\"inputTextTokenCount\":9}"},
        {"{\"inputText\":\"a\",\"embeddingTypes\":[\"float\"]}",
         "{\"embedding\":[1,2],\"embeddingsByType\":{\"float\":[1,2]},\"inputTextTokenCount\":9}"},
        {"{\"texts\":[\"a\",\"b\"],\"input_type\":\"clustering\"}",
         "{\"id\":\"0000000000001234\",\"embeddings\":[[1,2],[3,4]],\"response_type\":\"embeddings_floats\",\"texts\":["
         "\"a\","
         "\"b\"]}"},
        {"{\"texts\":[\"a\",\"b\"],\"input_type\":\"clustering\",\"embedding_types\":[\"float\"]}",
         "{\"id\":\"0000000000001234\",\"embeddings\":{\"float\":[[1,2],[3,4]]},\"response_type\":\"embeddings_by_"
         "type\","
         "\"texts\":[\"a\",\"b\"]}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        struct embed_request q;
        const struct json_tree *doc;
        bedrock_init(&w, "/model/{model}/invoke");
        test_context("%s", cases[i].asked);
        CHECK_OK(json_tree_parse(&w.arena, str_from_c(cases[i].asked), &doc));
        CHECK_OK(w.t.client->client.read_embed(&w.t, doc, &q, &w.param));
        struct embed_vector vectors[] = {{.json = STR("[1,2]")}, {.json = STR("[3,4]")}};
        struct embed_answer a = {
            .vectors = vectors, .vector_count = q.input_count, .usage = {.input = 9, .known = true}};
        struct answer_frame f = world_frame(&w);
        CHECK_OK(w.t.client->client.write_embed(&f, &q, &a, &w.body));
        CHECK_STR(buf_str(&w.body), cases[i].answered);
        CHECK_STR(q.model, "our-model");
    }
    struct dialect_world w CLEANUP(world_release);
    struct embed_request q;
    const struct json_tree *doc;
    bedrock_init(&w, "/model/{model}/invoke");
    CHECK_OK(json_tree_parse(&w.arena, STR("{\"prompt\":\"x\"}"), &doc));
    CHECK_ERR(w.t.client->client.read_embed(&w.t, doc, &q, &w.param), E_PARSE);
}

TEST(bedrock_cohere_is_told_what_to_cut_off)
{
    static const struct {
        const char *where, *told;
    } cases[] = {
        {"left", "\"truncate\":\"START\""}, {"END", "\"truncate\":\"END\""}, {"NONE", "\"truncate\":\"NONE\""}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        struct embed_input input = {.text = STR("a")};
        struct embed_request q = {
            .inputs = &input, .input_count = 1, .truncate_where.text = str_from_c(cases[i].where)};
        openai_init(&w, "cohere.embed-english-v3");
        w.call = (struct provider_call){.body = &w.body};
        CHECK_OK(w.t.provider->provider.write_embed(&w.t, &q, &w.call));
        CHECK_MSG(str_find(buf_str(&w.body), str_from_c(cases[i].told)) < w.body.n, "%s", cases[i].where);
    }
}

TEST(bedrock_pictures_are_embedded_as_data)
{
    struct dialect_world w CLEANUP(world_release);
    struct embed_request q;
    const struct json_tree *doc;

    bedrock_init(&w, "/model/{model}/invoke");
    CHECK_OK(json_tree_parse(&w.arena, STR("{\"inputText\":\"cat\",\"inputImage\":\"iVBORw0KGgo=\"}"), &doc));
    CHECK_OK(w.t.client->client.read_embed(&w.t, doc, &q, &w.param));
    w.t.model = STR("amazon.titan-embed-image-v1");
    w.call = (struct provider_call){.body = &w.body};
    CHECK_OK(w.t.provider->provider.write_embed(&w.t, &q, &w.call));
    CHECK_STR(buf_str(&w.body), "{\"inputText\":\"cat\",\"inputImage\":\"iVBORw0KGgo=\"}");
    buf_clear(&w.body);
    w.t.model = STR("cohere.embed-v4:0");
    CHECK_OK(w.t.provider->provider.write_embed(&w.t, &q, &w.call));
    CHECK_STR(buf_str(&w.body),
              "{\"inputs\":[{\"content\":[{\"type\":\"text\",\"text\":\"cat\"},{\"type\":\"image_url\","
              "\"image_url\":{\"url\":\"data:image/png;base64,iVBORw0KGgo=\"}}]}],\"input_type\":\"image\"}");
    buf_clear(&w.body);
    w.t.model = STR("cohere.embed-english-v3");
    CHECK_ERR(w.t.provider->provider.write_embed(&w.t, &q, &w.call), E_PARSE);
}

TEST(bedrock_reranks_by_invoking)
{
    struct dialect_world w CLEANUP(world_release);
    struct rerank_document documents[] = {{.text = STR("a")}, {.raw = STR("{\"k\":1}")}};
    struct rerank_request q = {.query = STR("q"), .documents = documents, .document_count = 2};
    struct rerank_answer a;

    openai_init(&w, "cohere.rerank-v3-5:0");
    q.top_n.text = STR("1");
    w.call = (struct provider_call){.body = &w.body};
    CHECK_OK(w.t.provider->provider.write_rerank(&w.t, &q, &w.call));
    CHECK_STR(buf_str(&w.body),
              "{\"query\":\"q\",\"documents\":[\"a\",\"{\\\"k\\\":1}\"],\"top_n\":1,\"api_version\":2}");
    CHECK_STR(w.call.path, "/model/cohere.rerank-v3-5%3A0/invoke");
    CHECK_OK(w.t.provider->provider.read_rerank(&w.arena, STR("{\"results\":[{\"index\":1,\"relevance_score\":0.93}]}"),
                                                &a));
    CHECK_EQ(a.result_count, 1);
    CHECK_EQ(a.results[0].index, 1);
    CHECK_STR(a.results[0].score, "0.93");
    CHECK_ERR(w.t.provider->provider.read_rerank(&w.arena, STR("{\"results\":[{\"index\":1}]}"), &a), E_PROTOCOL);
}

TEST(bedrock_lists_models_as_the_service_does)
{
    struct dialect_world w CLEANUP(world_release);
    struct model_card cards[] = {{.id = STR("chat"), .owner = STR("us")}};

    bedrock_init(&w, "/foundation-models");
    CHECK_OK(w.t.client->client.write_models(&w.t, cards, 1, &w.body));
    CHECK_HOLDS(buf_str(&w.body), "{\"modelSummaries\":[{\"modelArn\":\"arn:aws:bedrock:::foundation-model/chat\","
                                  "\"modelId\":\"chat\",\"modelName\":\"chat\",\"providerName\":\"us\",");
    buf_clear(&w.body);
    CHECK_OK(w.t.client->client.write_model(&w.t, cards, &w.body));
    CHECK_HOLDS(buf_str(&w.body), "{\"modelDetails\":{\"modelArn\":");
}
