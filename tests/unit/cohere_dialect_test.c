/* cohere_dialect_test.c - Cohere's API v2 as a translating dialect: chat, embeddings, reranking and errors, both sides. */
#include "dialect_world.h"

#define ASK "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define TIDE                                                                                                           \
    "{\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"description\":\"Tide\",\"parameters\":"              \
    "{\"type\":\"object\",\"z\":1,\"a\":2}}}"

static const char rich[] =
    "{\"model\":\"m\",\"stream\":true,\"messages\":["
    "{\"role\":\"system\",\"content\":\"Be brief.\"},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What is this?\"},"
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBORw0KGgo=\",\"detail\":\"low\"}},"
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e.example/a.png\"}}]},"
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\"}],\"tool_plan\":\"I will look.\","
    "\"tool_calls\":[{\"id\":\"get_tide_x1\",\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"arguments\":"
    "\"{\\\"n\\\": 12345678901234567890, "
    "\\\"x\\\":1e400}\"}},{\"id\":\"get_tide_x2\",\"type\":\"function\",\"function\":"
    "{\"name\":\"get_tide\",\"arguments\":\"{}\"}}]},"
    "{\"role\":\"tool\",\"tool_call_id\":\"get_tide_x1\",\"content\":\"3.2 m\"},"
    "{\"role\":\"tool\",\"tool_call_id\":\"get_tide_x2\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},"
    "{\"type\":\"document\",\"document\":{\"id\":\"d9\",\"data\":{\"text\":\"table\",\"title\":\"Tides\"}}}]},"
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"High.\"}],\"citations\":[{\"start\":0,\"end\":"
    "4,"
    "\"text\":\"High\",\"sources\":[{\"type\":\"document\",\"id\":\"d9\",\"document\":{\"url\":\"https://e.example/"
    "\"}}],"
    "\"content_index\":0}]},"
    "{\"role\":\"user\",\"content\":\"And now?\"}],"
    "\"documents\":[\"plain\",{\"id\":\"d1\",\"data\":{\"text\":\"t\",\"title\":\"T\"}},{\"data\":{\"rows\":[1,2]}}],"
    "\"citation_options\":{\"mode\":\"OFF\"},\"tools\":[" TIDE "],\"strict_tools\":true,\"tool_choice\":\"REQUIRED\","
    "\"safety_mode\":\"STRICT\",\"max_tokens\":1000,\"stop_sequences\":[\"a\",\"b\"],\"temperature\":0.70,\"seed\":7,"
    "\"frequency_penalty\":0.25,\"k\":40,\"p\":0.90,\"logprobs\":true,\"thinking\":{\"type\":\"enabled\","
    "\"token_budget\":500},\"priority\":3}";

/* --- requests --- */

TEST(cohere_a_request_written_and_read_again_means_the_same)
{
    struct dialect_world a CLEANUP(world_release), b CLEANUP(world_release);

    world_init(&a, "cohere", "cohere");
    world_init(&b, "cohere", "cohere");
    struct str body = world_translate(&a, rich);
    CHECK_STR(world_dropped(&a), "");
    CHECK_STR(a.call.path, "/v2/chat");
    CHECK_HOLDS(body, "\\\"n\\\": 12345678901234567890, \\\"x\\\":1e400");
    CHECK_HOLDS(body, "\"parameters\":{\"type\":\"object\",\"z\":1,\"a\":2}");
    CHECK_HOLDS(body, "\"tool_plan\":\"I will look.\"");
    CHECK_OK(world_read(&b, arena_str(&b.arena, body).p));
    CHECK_STR(canon_request(&b.q, &b.arena), canon_request(&a.q, &a.arena).p);
}

TEST(cohere_every_setting_of_a_request_reaches_the_canonical_form)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "cohere", NULL);
    CHECK_OK(world_read(&w, rich));
    struct str text = canon_request(&w.q, &w.arena);
    CHECK_HOLDS(text, "temperature: 0.70\n");
    CHECK_HOLDS(text, "top_p: 0.90\n");
    CHECK_HOLDS(text, "top_k: 40\n");
    CHECK_HOLDS(text, "result id=\"get_tide_x1\" name=\"get_tide\"\n    text text=\"3.2 m\"\n");
    CHECK_HOLDS(text, "image source=0 type=\"image/png\" data=\"iVBORw0KGgo=\" detail=\"low\"\n");
    CHECK_HOLDS(text, "thinking text=\"hm\"");
    CHECK_HOLDS(text, "text text=\"I will look.\"");
    CHECK_HOLDS(text, "cites=https://e.example/[0,4]");
    CHECK_HOLDS(text, "reasoning on=2 effort=0 budget=500");
    CHECK_HOLDS(text, "strict=2");
    CHECK_HOLDS(text, "extra safety_mode=\"STRICT\"\nextra priority=3\n");
    const struct block *documents = w.q.last_turn->blocks;
    CHECK_STR(documents->media.data, "plain");
    CHECK(documents->kind == BLOCK_DOCUMENT && documents->citations_on == NO);
    CHECK_STR(documents->next->id, "d1");
    CHECK_STR(documents->next->media.name, "T");
    CHECK_STR(documents->next->next->media.data, "{\"rows\":[1,2]}");
}

TEST(cohere_wrong_types_are_refused_with_their_place)
{
    static const struct {
        const char *json, *want;
    } cases[] = {
        {"[]", "! : the body must be a JSON object"},
        {"{\"model\":\"m\"}", "! /messages: 'messages' is missing: give an array of messages"},
        {"{\"messages\":[]}", "! /model: 'model' must be a string that names the model"},
        {"{\"model\":\"m\",\"messages\":{}}", "! /messages: 'messages' must be an array"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"robot\"}]}",
         "! /messages/0: 'role' must be system, user, assistant or tool"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":5}]}",
         "! /messages/0/content: 'content' must be a string or an array of parts"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}",
         "! /messages/0: a tool message needs the 'tool_call_id' of the call that it answers"},
        {"{" ASK ",\"temperature\":\"hot\"}", "! /temperature: 'temperature' must be a number"},
        {"{" ASK ",\"tool_choice\":\"auto\"}",
         "! /tool_choice: 'tool_choice' must be REQUIRED or NONE; leave it out to let the model decide"},
        {"{" ASK ",\"stop_sequences\":[1]}", "! /stop_sequences/0: each of 'stop_sequences' must be a string"},
        {"{" ASK ",\"documents\":[5]}", "! /documents/0: a document must be a string, or an object with 'data'"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        world_init(&w, "cohere", "cohere");
        CHECK_STR(world_translate(&w, cases[i].json), cases[i].want);
    }
}

TEST(cohere_null_members_are_absent)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "cohere", "cohere");
    CHECK_STR(world_translate(&w, "{" ASK ",\"tools\":null,\"documents\":null,\"thinking\":null}"),
              "{\"model\":\"their-model\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
}

TEST(cohere_unknown_fields_are_reported_by_other_targets)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "cohere", "openai");
    (void)world_translate(&w, "{" ASK ",\"safety_mode\":\"OFF\",\"response_format\":{\"type\":\"text\",\"x\":1}}");
    CHECK_STR(world_dropped(&w), "/safety_mode,/response_format/x");
}

TEST(cohere_settings_are_kept_within_its_ranges)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "cohere");
    struct str body = world_translate(&w, "{" ASK ",\"temperature\":1.6,\"top_p\":1,\"presence_penalty\":-1,"
                                          "\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"],\"user\":\"u\",\"n\":1}");
    CHECK_HOLDS(body, "\"temperature\":1,\"p\":0.99,\"presence_penalty\":0,");
    CHECK_HOLDS(body, "\"stop_sequences\":[\"1\",\"2\",\"3\",\"4\",\"5\"]");
    CHECK(w.call.emulate.stop_count == 6);
    CHECK_STR(losses_list(&w.losses, LOSS_CHANGED, 999), "/temperature,/top_p,/presence_penalty");
    CHECK_STR(losses_list(&w.losses, LOSS_EMULATED, 999), "/stop/5");
    CHECK_STR(world_dropped(&w), "/user");
}

TEST(cohere_both_penalties_at_once_are_never_sent)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "cohere");
    struct str body = world_translate(&w, "{" ASK ",\"frequency_penalty\":0.5,\"presence_penalty\":0.5}");
    CHECK_HOLDS(body, "\"frequency_penalty\":0.5");
    CHECK_LACKS(body, "presence_penalty");
    CHECK_STR(world_dropped(&w), "/presence_penalty");
}

TEST(cohere_one_tool_is_forced_by_offering_only_that)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "cohere");
    struct str body = world_translate(
        &w, "{" ASK ",\"tools\":[" TIDE ",{\"type\":\"function\",\"function\":{\"name\":\"get.wind\"}}],"
            "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get.wind\"}}}");
    CHECK_HOLDS(body, "\"tool_choice\":\"REQUIRED\"");
    CHECK_HOLDS(body, "\"name\":\"get_wind\",\"parameters\":{\"type\":\"object\"");
    CHECK_LACKS(body, "get_tide");
    CHECK_STR(losses_list(&w.losses, LOSS_EMULATED, 999), "/tool_choice");
    CHECK_STR(name_map_back(w.call.names, STR("get_wind")), "get.wind");
}

TEST(cohere_a_schema_beside_tools_goes_into_the_instructions)
{
    static const char format[] = "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\","
                                 "\"schema\":{\"type\":\"object\"}}}";
    struct dialect_world a CLEANUP(world_release), b CLEANUP(world_release);

    world_init(&a, "openai", "cohere");
    world_init(&b, "openai", "cohere");
    struct str body = world_translate(&a, arena_printf(&a.arena, "{" ASK ",%s}", format).p);
    CHECK_HOLDS(body, "\"response_format\":{\"type\":\"json_object\",\"json_schema\":{\"type\":\"object\"}}");
    body = world_translate(&b, arena_printf(&b.arena, "{" ASK ",\"tools\":[" TIDE "],%s}", format).p);
    CHECK_LACKS(body, "response_format");
    CHECK_HOLDS(body, "\"messages\":[{\"role\":\"system\",\"content\":\"When you answer");
    CHECK(b.call.emulate.strip_fence);
    CHECK_STR(losses_list(&b.losses, LOSS_EMULATED, 999), "/response_format");
}

TEST(cohere_results_stand_right_behind_their_calls_and_pictures_behind_them)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "anthropic", "cohere");
    w.t.row = w.t.client->client.endpoints;
    struct str body = world_translate(
        &w, "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"?\"},"
            "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Plan.\"},{\"type\":\"tool_use\",\"id\":"
            "\"t1\",\"name\":\"f\",\"input\":{}},{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"f\",\"input\":{}}]},"
            "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":[{\"type\":"
            "\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"iVBORw0KGgo=\"}}]},"
            "{\"type\":\"tool_result\",\"tool_use_id\":\"t2\"},{\"type\":\"text\",\"text\":\"So?\"}]}]}");
    CHECK_HOLDS(body, "\"tool_plan\":\"Plan.\",\"tool_calls\":[{\"id\":\"t1\"");
    CHECK_HOLDS(body,
                "{\"role\":\"tool\",\"tool_call_id\":\"t1\",\"content\":[{\"type\":\"text\",\"text\":\"(the picture");
    CHECK_HOLDS(body,
                "{\"role\":\"tool\",\"tool_call_id\":\"t2\",\"content\":\"(no output)\"},{\"role\":\"user\","
                "\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBORw0KGgo=\"");
    CHECK_HOLDS(body, "{\"role\":\"user\",\"content\":\"So?\"}]");
}

TEST(cohere_no_answer_to_continue_and_no_system_text_alone)
{
    struct dialect_world a CLEANUP(world_release), b CLEANUP(world_release);

    world_init(&a, "openai", "cohere");
    world_init(&b, "openai", "cohere");
    CHECK_HOLDS(world_translate(&a, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},"
                                    "{\"role\":\"assistant\",\"content\":\"Once\"}]}"),
                "\"content\":\"Once\"},{\"role\":\"user\",\"content\":\"Continue.\"}]");
    CHECK(a.losses.changed == 1);
    CHECK_HOLDS(world_translate(&b, "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"Say hi\"}]}"),
                "[{\"role\":\"user\",\"content\":\"Say hi\"}]");
    CHECK(b.losses.changed == 1);
}

TEST(cohere_text_after_calls_is_not_lost)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "anthropic", "cohere");
    w.t.row = w.t.client->client.endpoints;
    struct str body = world_translate(
        &w,
        "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"?\"},{\"role\":"
        "\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"P\"},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":"
        "\"f\",\"input\":{}},{\"type\":\"text\",\"text\":\"later\"}]},{\"role\":\"user\",\"content\":[{\"type\":"
        "\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"x\"}]}]}");
    CHECK_HOLDS(body, "\"content\":\"later\",\"tool_plan\":\"P\"");
}

TEST(cohere_names_of_speakers_are_dropped_and_not_what_they_said)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "cohere");
    struct str body =
        world_translate(&w, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"name\":\"joe\",\"content\":\"Hi\"}]}");
    CHECK_HOLDS(body, "{\"role\":\"user\",\"content\":\"Hi\"}");
    CHECK_STR(world_dropped(&w), "/messages/0/name");
}

TEST(cohere_signed_thoughts_of_others_are_dropped)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "anthropic", "cohere");
    w.t.row = w.t.client->client.endpoints;
    struct str body = world_translate(
        &w, "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"?\"},{\"role\":"
            "\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"secret\",\"signature\":\"sig\"},"
            "{\"type\":\"text\",\"text\":\"A\"}]},{\"role\":\"user\",\"content\":\"B\"}]}");
    CHECK_LACKS(body, "secret");
    CHECK_STR(world_dropped(&w), "/messages/1/content/0");
}

TEST(cohere_thinking_leaves_room_for_an_answer)
{
    static const struct {
        const char *setting, *want;
    } cases[] = {
        {"\"reasoning_effort\":\"low\"", "\"thinking\":{\"type\":\"enabled\",\"token_budget\":2048}"},
        {"\"reasoning_effort\":\"none\"", "\"thinking\":{\"type\":\"disabled\"}"},
        {"\"reasoning_effort\":\"high\",\"max_tokens\":1000",
         "\"thinking\":{\"type\":\"enabled\",\"token_budget\":500}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dialect_world w CLEANUP(world_release);
        world_init(&w, "openai", "cohere");
        struct str body = world_translate(&w, arena_printf(&w.arena, "{" ASK ",%s}", cases[i].setting).p);
        CHECK_MSG(str_find(body, str_from_c(cases[i].want)) < body.n, "%.*s", STR_ARG(body));
    }
}

TEST(cohere_documents_of_others_become_documents)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "anthropic", "cohere");
    w.t.row = w.t.client->client.endpoints;
    struct str body = world_translate(
        &w,
        "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\","
        "\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"facts\"},\"title\":\"T\"},{\"type\":"
        "\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\",\"data\":\"JVBERi0=\"}},"
        "{\"type\":\"text\",\"text\":\"?\"}]}]}");
    CHECK_HOLDS(body, "\"documents\":[{\"data\":{\"text\":\"facts\",\"title\":\"T\"}}]");
    CHECK_HOLDS(body, "\"messages\":[{\"role\":\"user\",\"content\":\"?\"}]");
    CHECK_STR(world_dropped(&w), "/messages/0/content/1");
}

/* --- answers from Cohere --- */

#define USAGE                                                                                                          \
    "\"usage\":{\"billed_units\":{\"input_tokens\":10,\"output_tokens\":5},\"tokens\":{\"input_tokens\":20,"           \
    "\"output_tokens\":8},\"cached_tokens\":4}"
#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define DELTA(member, value) ",\"delta\":{\"message\":{\"" member "\":" value "}}"
#define START EVENT("message-start", ",\"id\":\"7c\"" DELTA("role", "\"assistant\""))
#define END(reason) EVENT("message-end", ",\"delta\":{\"finish_reason\":\"" reason "\"," USAGE ",\"error\":null}")

static const char tool_stream[] = START EVENT(
    "content-start", ",\"index\":0" DELTA("content", "{\"type\":\"thinking\",\"thinking\":\"\"}"))
    EVENT("content-delta", ",\"index\":0" DELTA("content", "{\"thinking\":\"ok\"}")) EVENT(
        "content-end", ",\"index\":0") EVENT("tool-plan-delta", DELTA("tool_plan", "\"I will\""))
        EVENT("tool-plan-delta", DELTA("tool_plan", "\" look\"")) EVENT(
            "tool-call-start",
            ",\"index\":0" DELTA(
                "tool_calls",
                "{\"id\":\"x1\",\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"arguments\":\"\"}}"))
            EVENT("tool-call-delta", ",\"index\":0" DELTA("tool_calls", "{\"function\":{\"arguments\":\"{\\\"po\"}}"))
                EVENT("tool-call-delta",
                      ",\"index\":0" DELTA("tool_calls", "{\"function\":{\"arguments\":\"rt\\\":1}\"}}"))
                    EVENT("tool-call-end", ",\"index\":0") EVENT(
                        "tool-call-start",
                        ",\"index\":1" DELTA(
                            "tool_calls",
                            "{\"id\":\"x2\",\"type\":\"function\",\"function\":{\"name\":\"now\",\"arguments\":\"\"}}"))
                        EVENT("tool-call-end", ",\"index\":1") END("TOOL_CALL");

TEST(cohere_a_stream_becomes_events_wherever_it_is_cut)
{
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 64 << 20);
    CHECK_STR(world_stream_events("cohere", tool_stream, &arena),
              "start 7c \nopen 0.0 thinking\ntext 0.0 ok\nclose 0.0\nopen 0.1 text\ntext 0.1 I will look\nclose 0.1\n"
              "open 0.2 call x1 get_tide\ntext 0.2 {\"port\":1}\nclose 0.2\nopen 0.3 call x2 now\ntext 0.3 {}\n"
              "close 0.3\nusage 20 8 cached 4 reasoning 0\nfinish 0 tool_calls \nend\n");
}

TEST(cohere_a_whole_answer_becomes_the_same_events)
{
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 64 << 20);
    CHECK_STR(
        world_answer_events(
            "cohere",
            "{\"id\":\"7c\",\"finish_reason\":\"TOOL_CALL\",\"message\":{\"role\":\"assistant\",\"tool_plan\":"
            "\"I will look\",\"tool_calls\":[{\"id\":\"x1\",\"type\":\"function\",\"function\":{\"name\":"
            "\"get_tide\",\"arguments\":\"{\\\"port\\\":1}\"}},{\"id\":\"x2\",\"type\":\"function\",\"function\":"
            "{\"name\":\"now\",\"arguments\":\"\"}}],\"content\":[{\"type\":\"thinking\",\"thinking\":\"ok\"}]}," USAGE
            "}",
            &arena),
        "start 7c \nopen 0.0 thinking\ntext 0.0 ok\nclose 0.0\nopen 0.1 text\ntext 0.1 I will look\nclose 0.1\n"
        "open 0.2 call x1 get_tide\ntext 0.2 {\"port\":1}\nclose 0.2\nopen 0.3 call x2 now\ntext 0.3 {}\n"
        "close 0.3\nusage 20 8 cached 4 reasoning 0\nfinish 0 tool_calls \nend\n");
}

TEST(cohere_citations_are_of_their_block_even_behind_its_end)
{
    static const char cite[] =
        "{\"start\":0,\"end\":2,\"text\":\"Hi\",\"sources\":[{\"type\":\"document\",\"id\":\"d\","
        "\"document\":{\"url\":\"https://e.example/d\"}}],\"content_index\":0}";
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 64 << 20);
    struct str stream = arena_printf(
        &arena,
        "%s%s%sevent: citation-start\ndata: {\"type\":\"citation-start\",\"index\":0,\"delta\":{\"message\":"
        "{\"citations\":%s}}}\n\n%s",
        START, EVENT("content-delta", ",\"index\":0" DELTA("content", "{\"text\":\"Hi\"}")),
        EVENT("content-end", ",\"index\":0"), cite, END("COMPLETE"));
    static const char want[] = "start 7c \nopen 0.0 text\ntext 0.0 Hi\ncites 0.0 https://e.example/d\nclose 0.0\n"
                               "usage 20 8 cached 4 reasoning 0\nfinish 0 stop \nend\n";
    CHECK_STR(world_stream_events("cohere", stream.p, &arena), want);
    struct str whole = arena_printf(&arena,
                                    "{\"id\":\"7c\",\"finish_reason\":\"COMPLETE\",\"message\":{\"content\":[{\"type\":"
                                    "\"text\",\"text\":\"Hi\"}],\"citations\":[%s]}," USAGE "}",
                                    cite);
    CHECK_STR(world_answer_events("cohere", whole.p, &arena), want);
}

TEST(cohere_every_source_of_a_citation_is_told_and_goes_back_as_one)
{
    static const char body[] =
        "{\"id\":\"7c\",\"finish_reason\":\"COMPLETE\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}],"
        "\"citations\":[{\"start\":0,\"end\":2,\"text\":\"Hi\",\"sources\":[{\"type\":\"document\",\"id\":\"d\","
        "\"document\":{\"url\":\"https://e.example/d\",\"title\":\"D\"}},{\"type\":\"tool\",\"id\":\"t:0\","
        "\"tool_output\":{\"url\":\"https://e.example/t\",\"title\":\"T\"}}],\"content_index\":0}]}," USAGE "}";
    struct dialect_world w CLEANUP(world_release), own CLEANUP(world_release);

    world_init(&w, "openai", "cohere");
    world_init(&own, "cohere", "cohere");
    struct str got = world_answer(&w, "cohere", body);
    CHECK_HOLDS(got, "\"start_index\":0,\"end_index\":2,\"url\":\"https://e.example/d\",\"title\":\"D\"");
    CHECK_HOLDS(got, "\"start_index\":0,\"end_index\":2,\"url\":\"https://e.example/t\",\"title\":\"T\"");
    got = world_answer(&own, "cohere", body);
    CHECK_HOLDS(got, "\"citations\":[{\"start\":0,\"end\":2,\"text\":\"Hi\",\"sources\":[{\"type\":\"document\"");
    CHECK_HOLDS(got, "\"content_index\":0}]}");
    CHECK_LACKS(got, "TEXT_CONTENT");
    got = world_stream(
        &own, "cohere",
        START EVENT("content-delta", ",\"index\":0" DELTA("content", "{\"text\":\"Hi\"}"))
            EVENT("citation-start",
                  ",\"index\":0" DELTA("citations",
                                       "{\"start\":0,\"end\":2,\"sources\":[{\"type\":\"document\",\"id\":\"a\"},"
                                       "{\"type\":\"document\",\"id\":\"b\"}]}")) END("COMPLETE"));
    size_t first = str_find(got, STR("\"type\":\"citation-start\""));
    CHECK(first < got.n);
    CHECK_LACKS(str_slice(got, first + 1, got.n), "\"type\":\"citation-start\"");
}

#define TOLD "\"logprobs\":{\"content\":[{\"token\":\" Hel\",\"logprob\":-0.75,\"bytes\":null,\"top_logprobs\":[]}]"
#define CHANCES "{\"text\":\" Hel\",\"token_ids\":[1,2],\"logprobs\":[-0.5,-0.25]}"

TEST(cohere_chances_of_texts_are_chances_of_tokens)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "cohere");
    CHECK_HOLDS(
        world_answer(&w, "cohere",
                     "{\"id\":\"7c\",\"finish_reason\":\"COMPLETE\",\"message\":{\"content\":[{\"type\":\"text\","
                     "\"text\":\" Hel\"}]},\"logprobs\":[" CHANCES "]," USAGE "}"),
        TOLD);
    struct str stream = arena_printf(
        &w.arena, "%s%s%s", START,
        EVENT("content-delta", ",\"index\":0,\"logprobs\":" CHANCES DELTA("content", "{\"text\":\" Hel\"}")),
        END("COMPLETE"));
    CHECK_HOLDS(world_stream(&w, "cohere", stream.p), TOLD);
}

TEST(cohere_clients_hear_chances_of_others)
{
    static const char whole[] =
        "{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"content\":\"Hi you\"},\"logprobs\":{"
        "\"content\":[{\"token\":\"Hi\",\"logprob\":-0.5},{\"token\":\" you\",\"logprob\":-1}]}}]}";
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "cohere", "openai");
    CHECK_HOLDS(world_answer(&w, "openai", whole),
                "\"logprobs\":[{\"text\":\"Hi you\",\"token_ids\":[],\"logprobs\":[-0.5,-1]}]}");
    CHECK_HOLDS(
        world_stream(&w, "openai",
                     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"logprobs\":{\"content\":"
                     "[{\"token\":\"Hi\",\"logprob\":-0.5}]}}]}\n\ndata: "
                     "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: "
                     "[DONE]\n\n"),
        "{\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"\"}}},\"logprobs\":"
        "{\"text\":\"Hi\",\"token_ids\":[],\"logprobs\":[-0.5]}}");
}

TEST(cohere_is_asked_for_chances_of_tokens)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "cohere");
    CHECK_HOLDS(world_translate(&w, "{" ASK ",\"logprobs\":true,\"top_logprobs\":0}"), "\"logprobs\":true");
    CHECK_STR(world_dropped(&w), "");
    CHECK_STR(losses_list(&w.losses, LOSS_CHANGED, 100), "/logprobs");
    (void)world_translate(&w, "{" ASK ",\"logprobs\":true,\"top_logprobs\":2}");
    CHECK_STR(world_dropped(&w), "/top_logprobs");
}

TEST(cohere_every_reason_for_stopping_is_known)
{
    static const struct {
        const char *reason, *want;
    } cases[] = {{"COMPLETE", "finish 0 stop \nend\n"},
                 {"STOP_SEQUENCE", "finish 0 stop_sequence \nend\n"},
                 {"MAX_TOKENS", "finish 0 length \nend\n"},
                 {"ERROR", "error 12 502 the provider failed\n"},
                 {"TIMEOUT", "error 14 504 the provider ran out of time\n"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena CLEANUP(arena_release);
        arena_init(&arena, 64 << 20);
        struct str body =
            arena_printf(&arena, "{\"finish_reason\":\"%s\",\"message\":{\"content\":\"\"}}", cases[i].reason);
        CHECK_STR(world_answer_events("cohere", body.p, &arena), arena_printf(&arena, "start  \n%s", cases[i].want).p);
    }
}

TEST(cohere_a_stream_that_breaks_off_is_an_error)
{
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 64 << 20);
    CHECK_HOLDS(
        world_stream_events("cohere", START EVENT("content-delta", DELTA("content", "{\"text\":\"Hi\"}")), &arena),
        "text 0.0 Hi\nerror 12 502 The provider's answer broke off.");
    CHECK_STR(world_stream_events("cohere", "", &arena), "error 12 502 The provider's answer broke off.\n");
    CHECK_HOLDS(world_stream_events("cohere",
                                    START
                                    "data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"ERROR\",\"error\":"
                                    "\"gpu fell off\"}}\n\n",
                                    &arena),
                "error 12 502 gpu fell off\n");
    CHECK_HOLDS(world_stream_events("cohere", "data: {\"message\":\"too many\"}\n\n", &arena),
                "error 12 502 too many\n");
}

/* --- answers for Cohere's clients --- */

static const char openai_stream[] =
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"ok\"}}]}\n\n"
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n"
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"type\":"
    "\"function\",\"function\":{\"name\":\"now\",\"arguments\":\"\"}}]}}]}\n\n"
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
    "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":8}}\n\ndata: [DONE]\n\n";

TEST(cohere_a_client_hears_a_stream_in_its_order)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "cohere", "openai");
    CHECK_STR(
        world_stream(&w, "openai", openai_stream),
        "event: message-start\ndata: {\"type\":\"message-start\",\"id\":\"c1\",\"delta\":{\"message\":{\"role\":"
        "\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}}}\n\n"
        "event: content-start\ndata: {\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":"
        "{\"type\":\"thinking\",\"thinking\":\"\"}}}}\n\n"
        "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":"
        "{\"thinking\":\"ok\"}}}}\n\n"
        "event: content-end\ndata: {\"type\":\"content-end\",\"index\":0}\n\n"
        "event: content-start\ndata: {\"type\":\"content-start\",\"index\":1,\"delta\":{\"message\":{\"content\":"
        "{\"type\":\"text\",\"text\":\"\"}}}}\n\n"
        "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":1,\"delta\":{\"message\":{\"content\":"
        "{\"text\":\"Hi\"}}}}\n\n"
        "event: content-end\ndata: {\"type\":\"content-end\",\"index\":1}\n\n"
        "event: tool-call-start\ndata: "
        "{\"type\":\"tool-call-start\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":"
        "{\"id\":\"x\",\"type\":\"function\",\"function\":{\"name\":\"now\",\"arguments\":\"\"}}}}}\n\n"
        "event: tool-call-delta\ndata: "
        "{\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":"
        "{\"function\":{\"arguments\":\"{}\"}}}}}\n\n"
        "event: tool-call-end\ndata: {\"type\":\"tool-call-end\",\"index\":0}\n\n"
        "event: message-end\ndata: {\"type\":\"message-end\",\"id\":\"c1\",\"delta\":{\"finish_reason\":\"TOOL_CALL\","
        "\"usage\":{\"billed_units\":{\"input_tokens\":20,\"output_tokens\":8},\"tokens\":{\"input_tokens\":20,"
        "\"output_tokens\":8},\"cached_tokens\":0},\"error\":null}}\n\n");
}

TEST(cohere_what_it_writes_it_reads_again)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "cohere", "cohere");
    struct str want = world_stream_events("cohere", tool_stream, &w.arena);
    struct str bytes = arena_str(&w.arena, world_stream(&w, "cohere", tool_stream));
    CHECK_STR(world_stream_events("cohere", bytes.p, &w.arena), want.p);
}

TEST(cohere_a_client_hears_of_a_broken_stream_once)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "cohere", "openai");
    struct str heard = world_stream(
        &w, "openai", "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n");
    CHECK_HOLDS(heard, "\"finish_reason\":\"ERROR\"");
    CHECK_LACKS(heard, "COMPLETE");
    CHECK_LACKS(heard, "\"error\":null");
}

TEST(cohere_a_client_gets_a_whole_answer)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "cohere", "openai");
    CHECK_STR(
        world_answer(&w, "openai",
                     "{\"id\":\"c1\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"role\":"
                     "\"assistant\",\"content\":\"Hi\",\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":"
                     "{\"url\":\"https://e.example/\",\"title\":\"T\",\"start_index\":0,\"end_index\":2}}]}}],"
                     "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}"),
        "{\"id\":\"c1\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}],"
        "\"citations\":[{\"start\":0,\"end\":2,\"sources\":[{\"type\":\"document\",\"id\":\"https://e.example/\","
        "\"document\":{\"title\":\"T\",\"url\":\"https://e.example/\"}}],\"content_index\":0,\"type\":"
        "\"TEXT_CONTENT\"}]},\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{\"input_tokens\":3,"
        "\"output_tokens\":1},\"tokens\":{\"input_tokens\":3,\"output_tokens\":1},\"cached_tokens\":0}}");
}

/* --- embeddings, errors --- */

TEST(cohere_error_bodies_become_classes_and_back)
{
    static const struct {
        int status;
        const char *body;
        enum error_class want;
    } cases[] = {{400, "{\"message\":\"bad\"}", ERROR_BAD_REQUEST},
                 {400, "{\"message\":\"too many tokens: the context length is 4096\"}", ERROR_CONTEXT_LENGTH},
                 {498, "{\"message\":\"invalid\"}", ERROR_AUTH},
                 {429, "{\"message\":\"slow\"}", ERROR_RATE_LIMIT},
                 {503, "<html>", ERROR_OVERLOADED}};
    struct dialect_world w CLEANUP(world_release);
    struct call_header headers[2] = {{.name = STR_NONE}};
    struct api_error e;
    int status;

    world_init(&w, "cohere", NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        w.t.client->provider.read_error(&w.arena, cases[i].status, str_from_c(cases[i].body), world_no_header, NULL,
                                        &e);
        CHECK(error_class_of(&e) == cases[i].want);
    }
    e = (struct api_error){.status = 400, .message = STR("must be a number"), .param = STR("/k")};
    w.t.client->client.write_error(&w.t, &e, &w.body, &status, headers);
    CHECK(status == 400);
    CHECK_HOLDS(buf_str(&w.body), "\"message\":\"must be a number (at /k)\"}");
}

static struct str embed_as(struct dialect_world *w, const char *json, struct embed_request *q)
{
    const struct json_tree *tree;

    err_t e = json_tree_parse(&w->arena, str_from_c(json), &tree);
    if (e == OK)
        e = w->t.client->client.read_embed(&w->t, tree, q, &w->param);
    w->call = (struct provider_call){.body = &w->body};
    buf_clear(&w->body);
    if (e == OK)
        e = w->t.provider->provider.write_embed(&w->t, q, &w->call);
    return e == OK ? buf_str(&w->body) : arena_printf(&w->arena, "! %.*s: %s", STR_ARG(w->param), err_detail(e));
}

TEST(cohere_embeddings_of_others_are_asked_for_as_numbers)
{
    struct dialect_world w CLEANUP(world_release);
    struct embed_request q;

    world_init(&w, "openai", "cohere");
    CHECK_STR(
        embed_as(&w, "{\"model\":\"m\",\"input\":[\"a\",\"\"],\"encoding_format\":\"base64\",\"dimensions\":256}", &q),
        "{\"model\":\"their-model\",\"input_type\":\"search_document\",\"texts\":[\"a\",\"\"],\"embedding_types\":"
        "[\"float\"],\"output_dimension\":256}");
    CHECK_HOLDS(embed_as(&w, "{\"model\":\"m\",\"input\":[[1,2]]}", &q), "! : this model embeds texts, not numbers");
    CHECK_HOLDS(embed_as(&w, "{\"model\":\"m\",\"input\":\"a\",\"input_type\":\"query\"}", &q),
                "\"input_type\":\"search_query\"");
}

TEST(cohere_embeddings_of_several_types_keep_their_order)
{
    struct dialect_world w CLEANUP(world_release);
    struct embed_request q;
    struct embed_answer a;

    world_init(&w, "cohere", "cohere");
    CHECK_STR(embed_as(&w,
                       "{\"model\":\"m\",\"input_type\":\"clustering\",\"texts\":[\"x\",\"y\"],\"embedding_types\":"
                       "[\"int8\",\"float\"],\"truncate\":\"START\",\"max_tokens\":9}",
                       &q),
              "{\"model\":\"their-model\",\"input_type\":\"clustering\",\"texts\":[\"x\",\"y\"],\"embedding_types\":"
              "[\"int8\",\"float\"],\"truncate\":\"START\",\"max_tokens\":9}");
    CHECK_OK(w.t.provider->provider.read_embed(
        &w.arena,
        STR("{\"id\":\"e\",\"embeddings\":{\"float\":[[0.5],[1]],\"int8\":[[3],[4]]},\"meta\":{\"billed_units\":"
            "{\"input_tokens\":4}}}"),
        &a));
    CHECK(a.vector_count == 4 && a.usage.input == 4);
    struct answer_frame f = world_frame(&w);
    buf_clear(&w.body);
    CHECK_OK(w.t.client->client.write_embed(&f, &q, &a, &w.body));
    CHECK_STR(
        buf_str(&w.body),
        "{\"id\":\"e\",\"embeddings\":{\"int8\":[[3],[4]],\"float\":[[0.5],[1]]},\"texts\":[\"x\",\"y\"],\"meta\":"
        "{\"api_version\":{\"version\":\"2\"},\"billed_units\":{\"input_tokens\":4}},\"response_type\":"
        "\"embeddings_by_type\"}");
}

TEST(cohere_types_given_twice_are_the_last_ones)
{
    struct dialect_world w CLEANUP(world_release);
    struct embed_request q;

    world_init(&w, "cohere", "cohere");
    CHECK_HOLDS(embed_as(&w,
                         "{\"model\":\"m\",\"texts\":[\"x\"],\"embedding_types\":[\"int8\",\"uint8\"],"
                         "\"embedding_types\":[\"float\"]}",
                         &q),
                "\"embedding_types\":[\"float\"]");
    CHECK(q.type_count == 1);
}

TEST(cohere_base64_embeddings_are_made_from_numbers)
{
    struct dialect_world w CLEANUP(world_release);
    struct embed_request q;
    struct embed_vector v = {.json = STR("[0.5,1]")};
    struct embed_answer a = {.vectors = &v, .vector_count = 1};

    world_init(&w, "cohere", "openai");
    CHECK_HOLDS(embed_as(&w, "{\"model\":\"m\",\"texts\":[\"x\"],\"embedding_types\":[\"base64\"]}", &q), "base64");
    struct answer_frame f = world_frame(&w);
    buf_clear(&w.body);
    CHECK_OK(w.t.client->client.write_embed(&f, &q, &a, &w.body));
    CHECK_HOLDS(buf_str(&w.body), "\"embeddings\":{\"base64\":[\"AAAAPwAAgD8=\"]}");
}

TEST(cohere_pictures_are_embedded)
{
    struct dialect_world w CLEANUP(world_release);
    struct embed_request q;

    world_init(&w, "cohere", "cohere");
    CHECK_HOLDS(
        embed_as(&w, "{\"model\":\"m\",\"input_type\":\"image\",\"images\":[\"data:image/png;base64,iVBORw0KGgo=\"]}",
                 &q),
        "\"input_type\":\"image\",\"inputs\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"data:image/png;base64,iVBORw0KGgo=\"}}]}]");
    CHECK_HOLDS(embed_as(&w, "{\"model\":\"m\",\"texts\":[]}", &q), "! texts: 'texts' must be an array");
    CHECK_HOLDS(embed_as(&w, "{\"model\":\"m\"}", &q), "! texts: one of 'texts'");
}
