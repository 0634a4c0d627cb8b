/* responses_dialect_test.c - OpenAI Responses: items to turns and back, the full sequence of events, a provider's answers. */
#include "dialect_world.h"
#include "llm/responses.h"

static const char rich[] =
    "{\"model\":\"m\",\"instructions\":\"Be brief.\",\"input\":["
    "{\"role\":\"developer\",\"content\":\"dev\"},"
    "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"What?\"},"
    "{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,iVBORw0KGgo=\",\"detail\":\"low\"},"
    "{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":\"data:application/pdf;base64,JVBERi0=\"},"
    "{\"type\":\"input_file\",\"file_url\":\"https://e.example/b.pdf\"}]},"
    "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"hm\"}],"
    "\"encrypted_content\":\"BLOB\"},"
    "{\"type\":\"reasoning\",\"id\":\"rs_2\",\"summary\":[],\"encrypted_content\":\"BLOB2\"},"
    "{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"status\":\"completed\",\"content\":["
    "{\"type\":\"output_text\",\"text\":\"I look.\",\"annotations\":[]}]},"
    "{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"call_1\",\"name\":\"get_tide\","
    "\"arguments\":\"{\\\"n\\\": 1e400}\"},"
    "{\"type\":\"custom_tool_call\",\"id\":\"ctc_1\",\"call_id\":\"call_2\",\"name\":\"sql\",\"input\":\"select\"},"
    "{\"type\":\"function_call_output\",\"call_id\":\"call_1\",\"output\":\"3 m\"},"
    "{\"type\":\"custom_tool_call_output\",\"call_id\":\"call_2\",\"output\":[{\"type\":\"input_text\",\"text\":\"a\"},"
    "{\"type\":\"input_text\",\"text\":\"b\"}]},"
    "{\"type\":\"web_search_call\",\"id\":\"ws_1\",\"status\":\"completed\"},"
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"No.\"}]},"
    "{\"role\":\"user\",\"content\":\"Go on\"}],"
    "\"max_output_tokens\":100,\"temperature\":0.50,\"top_p\":0.9,\"top_logprobs\":2,"
    "\"include\":[\"reasoning.encrypted_content\",\"message.output_text.logprobs\"],"
    "\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"},"
    "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{\"z\":1,\"a\":2},\"strict\":true},"
    "\"verbosity\":\"low\"},"
    "\"tools\":[{\"type\":\"function\",\"name\":\"get_tide\",\"parameters\":{\"type\":\"object\"},\"strict\":false},"
    "{\"type\":\"custom\",\"name\":\"sql\",\"format\":{\"type\":\"text\"}},{\"type\":\"web_search\"}],"
    "\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":"
    "\"get_tide\"},{\"type\":\"custom\",\"name\":\"sql\"},{\"type\":\"web_search\"}]},"
    "\"parallel_tool_calls\":false,\"store\":false,\"metadata\":{\"k\":\"v\"},\"safety_identifier\":\"u\","
    "\"prompt_cache_key\":\"c\",\"service_tier\":\"flex\",\"truncation\":\"auto\",\"stream\":true}";

#define USER "\"model\":\"m\",\"input\":\"Hi\""

/* --- requests --- */

TEST(responses_items_become_turns_of_what_was_said_in_one_go)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", NULL);
    CHECK_OK(world_read(&w, rich));
    struct str text = canon_request(&w.q, &w.arena);
    CHECK_HOLDS(text, "stream\nsystem \n  text text=\"Be brief.\"\ndeveloper \n  text text=\"dev\"\nuser \n");
    CHECK_HOLDS(text, "assistant \n"
                      "  thinking text=\"hm\" id=\"rs_1\" signature=\"BLOB\" summary signer=1\n"
                      "  redacted text=\"BLOB2\" id=\"rs_2\" signer=1\n  text text=\"I look.\"\n"
                      "  call id=\"call_1\" name=\"get_tide\" arguments=\"{\"n\": 1e400}\"\n"
                      "  call id=\"call_2\" name=\"sql\" arguments=\"select\" custom\nuser \n"
                      "  result id=\"call_1\" name=\"get_tide\"\n    text text=\"3 m\"\n");
    CHECK_HOLDS(text, "tool hosted name=\"web_search\"");
    CHECK_HOLDS(text, "choice 1  allowed=get_tide allowed=sql allowed=web_search\n");
    CHECK_HOLDS(text, "logprobs: yes\n");
    CHECK_HOLDS(text, "format 3 name=n description= schema={\"z\":1,\"a\":2} strict=2\n");
    CHECK_HOLDS(text, "extra truncation=\"auto\"\n");
}

TEST(responses_a_request_written_and_read_again_means_the_same)
{
    struct dialect_world a CLEANUP(world_release), b CLEANUP(world_release);

    world_init(&a, "responses", "openai");
    world_init(&b, "responses", "openai");
    a.t.provider = dialect_find(STR("responses"));
    struct str body = world_translate(&a, rich);
    CHECK_STR(world_dropped(&a), "");
    CHECK_OK(world_read(&b, arena_str(&b.arena, body).p));
    CHECK_STR(canon_request(&b.q, &b.arena), canon_request(&a.q, &a.arena).p);
}

TEST(responses_to_chat_keeps_format_and_pairs_by_call_id)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", "openai");
    struct str body = world_translate(&w, rich);
    CHECK_HOLDS(body, "{\"role\":\"assistant\",\"content\":\"I look.\",\"tool_calls\":[{\"id\":\"call_1\"");
    CHECK_HOLDS(body, "{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"3 m\"}");
    CHECK_HOLDS(body, "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":"
                      "{\"z\":1,\"a\":2},\"strict\":true}}");
    CHECK_HOLDS(body, "\"reasoning_effort\":\"low\"");
    CHECK_HOLDS(world_dropped(&w), "/input/9"); /* what a hosted tool did */
    CHECK_HOLDS(world_dropped(&w), "/tools/2"); /* the hosted tool        */
    CHECK_HOLDS(world_dropped(&w), "/truncation");
}

TEST(responses_of_a_chat_has_no_store_and_emulated_stops)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "openai", "openai");
    w.t.provider = dialect_find(STR("responses"));
    struct str body = world_translate(
        &w, "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
            "\"Hi\"}],\"stop\":\"x\",\"seed\":1,\"reasoning_effort\":\"high\",\"tools\":[{\"type\":\"function\","
            "\"function\":{\"name\":\"f\"}}]}");
    CHECK_STR(body, "{\"model\":\"their-model\",\"instructions\":\"s\",\"input\":[{\"type\":\"message\",\"role\":"
                    "\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Hi\"}]}],\"reasoning\":{\"effort\":"
                    "\"high\"},\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\","
                    "\"properties\":{}},\"strict\":false}],\"include\":[\"reasoning.encrypted_content\"],"
                    "\"store\":false}");
    CHECK_STR(world_dropped(&w), "/seed");
    CHECK_EQ(w.call.emulate.stop_count, 1);
}

TEST(responses_a_function_is_strict_unless_said_or_open)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", NULL);
    CHECK_OK(world_read(&w,
                        "{" USER ",\"tools\":[{\"type\":\"function\",\"name\":\"a\",\"parameters\":"
                        "{\"additionalProperties\":false}},{\"type\":\"function\",\"name\":\"b\",\"parameters\":{}},"
                        "{\"type\":\"function\",\"name\":\"c\",\"parameters\":{\"additionalProperties\":false},"
                        "\"strict\":false}]}"));
    CHECK_EQ(w.q.tools->strict, YES);
    CHECK_EQ(w.q.tools->next->strict, UNSET);
    CHECK_EQ(w.q.tools->next->next->strict, NO);
}

TEST(responses_that_name_an_unknown_history_are_refused)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", "openai");
    CHECK_STR(world_translate(&w, "{" USER ",\"previous_response_id\":\"resp_1\"}"),
              "! previous_response_id: what this names is not known here; send the whole conversation as 'input'");
    CHECK_STR(world_translate(&w, "{\"model\":\"m\",\"input\":[{\"type\":\"item_reference\",\"id\":\"x\"}]}"),
              "! input[0]: the item that this refers to is not known; send the item itself");
    CHECK_STR(world_translate(&w, "{\"model\":\"m\",\"input\":[{\"type\":\"function_call_output\",\"output\":\"\"}]}"),
              "! input[0]: a call's output needs the 'call_id' of its call");
    CHECK_STR(world_translate(&w, "{\"model\":\"m\"}"),
              "! input: 'input' is missing: give a string or an array of items");
    CHECK(str_starts(world_translate(&w, "{" USER ",\"previous_response_id\":null}"), STR("{")));
}

/* --- the client's stream --- */

#define D(delta) "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{" delta "}}]}\n\n"
#define END(reason)                                                                                                    \
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}],\"usage\":{\"prompt_tokens\":"   \
    "20,\"completion_tokens\":8,\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\ndata: [DONE]\n\n"
#define THREE                                                                                                          \
    D("\"reasoning_content\":\"ok\"")                                                                                  \
    D("\"content\":\"Hi\"") D("\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"function\":{\"name\":\"get_tide\"}}]")

/* The types of a stream's events, and a check that their numbers are 0, 1, 2, … */
static struct str event_types(struct str stream, struct arena *arena)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(1 << 20);
    int64_t number = 0, got;

    while (stream.n) {
        size_t end = str_find(stream, STR("\n\n"));
        struct str event = str_slice(stream, 0, end), name = event;
        const struct json_tree *tree;
        stream = str_slice(stream, end + 2, stream.n);
        (void)str_cut(&name, ' ');
        struct str data = name;
        name = str_cut(&data, '\n');
        data = str_slice(data, 6, data.n);
        if (json_tree_parse(arena, data, &tree) != OK)
            return arena_printf(arena, "no JSON: %.*s", STR_ARG(data));
        struct json_node root = json_tree_root(tree);
        if (!json_node_text_is(json_node_get(root, STR("type")), name))
            return STR("the type is not the event's name");
        if (!json_node_i64(json_node_get(root, STR("sequence_number")), &got) || got != number++)
            return STR("the numbers do not ascend");
        buf_addf(&to, "%.*s\n", STR_ARG(name));
    }
    return arena_str(arena, buf_str(&to));
}

TEST(responses_a_stream_announces_items_parts_and_ends_with_the_whole)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", "openai");
    (void)world_translate(&w, "{" USER ",\"stream\":true,\"reasoning\":{\"summary\":\"auto\"},\"temperature\":0.5}");
    struct str out = world_stream(&w, "openai", THREE END("tool_calls"));
    CHECK_STR(event_types(out, &w.arena),
              "response.created\nresponse.in_progress\nresponse.output_item.added\n"
              "response.reasoning_summary_part.added\nresponse.reasoning_summary_text.delta\n"
              "response.reasoning_summary_text.done\nresponse.reasoning_summary_part.done\nresponse.output_item.done\n"
              "response.output_item.added\nresponse.content_part.added\nresponse.output_text.delta\n"
              "response.output_text.done\nresponse.content_part.done\nresponse.output_item.done\n"
              "response.output_item.added\nresponse.function_call_arguments.delta\n"
              "response.function_call_arguments.done\nresponse.output_item.done\nresponse.completed\n");
    struct str end = str_slice(out, str_find(out, STR("event: response.completed")), out.n);
    CHECK_HOLDS(end, "\"status\":\"completed\",\"error\":null,\"incomplete_details\":null,\"model\":\"our-model\","
                     "\"output\":[{\"type\":\"reasoning\",\"id\":\"rs_");
    CHECK_HOLDS(end, "\"summary\":[{\"type\":\"summary_text\",\"text\":\"ok\"}]");
    CHECK_HOLDS(end, "\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\",\"annotations\":[],\"logprobs\":[]}]");
    CHECK_HOLDS(end, "\"call_id\":\"call_1\",\"name\":\"get_tide\",\"arguments\":\"{}\",\"status\":\"completed\"}]");
    CHECK_HOLDS(end, "\"reasoning\":{\"summary\":\"auto\"}");
    CHECK_HOLDS(end, "\"temperature\":0.5,");
    CHECK_HOLDS(end, "\"usage\":{\"input_tokens\":20,\"input_tokens_details\":{\"cached_tokens\":0,"
                     "\"cache_write_tokens\":0},\"output_tokens\":8,\"output_tokens_details\":{\"reasoning_tokens\":2},"
                     "\"total_tokens\":28}");
}

/* Each id of an item that a stream tells of, how often. */
static size_t times(struct str text, struct str what)
{
    size_t n = 0;

    for (size_t at; (at = str_find(text, what)) < text.n; n++)
        text = str_slice(text, at + what.n, text.n);
    return n;
}

TEST(responses_an_item_has_one_id_from_added_to_the_final_object)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", "openai");
    (void)world_translate(&w, "{" USER ",\"stream\":true}");
    struct str out = world_stream(&w, "openai", THREE END("tool_calls"));
    size_t at = str_find(out, STR("\"msg_"));
    struct str id = str_slice(out, at, at + 38);
    CHECK_EQ(times(out, id), 7); /* added, part added, delta, text done, part done, done, completed */
    CHECK_EQ(times(out, STR("\"msg_")), 7);
    CHECK_EQ(times(out, STR("\"output_index\":2,")), 4);
    CHECK_HOLDS(out, "response.reasoning_text.delta");
    CHECK_HOLDS(out, "\"content\":[{\"type\":\"reasoning_text\",\"text\":\"ok\"}]");
}

TEST(responses_incomplete_and_failed_have_output_and_usage)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", "openai");
    (void)world_translate(&w, "{" USER ",\"stream\":true}");
    struct str out = world_stream(&w, "openai", D("\"content\":\"Hi\"") END("length"));
    struct str end = str_slice(out, str_find(out, STR("event: response.incomplete")), out.n);
    CHECK_HOLDS(end, "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}");
    CHECK_HOLDS(end, "\"text\":\"Hi\"");
    CHECK_HOLDS(end, "\"input_tokens\":20");
    out =
        world_stream(&w, "responses",
                     "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n"
                     "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\","
                     "\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\"}]}}\n\n"
                     "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":"
                     "\"rate_limit_exceeded\",\"message\":\"slow\"},\"usage\":{\"input_tokens\":20,"
                     "\"output_tokens\":1}}}\n\n");
    end = str_slice(out, str_find(out, STR("event: response.failed")), out.n);
    CHECK_HOLDS(end, "\"id\":\"resp_1\"");
    CHECK_HOLDS(end, "\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}");
    CHECK_HOLDS(end, "\"text\":\"Hi\"");
    CHECK_HOLDS(end, "\"input_tokens\":20");
    CHECK_LACKS(out, "response.completed");
}

/* Of what was begun before the cut all is whole but the last. */
TEST(responses_the_item_that_an_answer_was_cut_in_is_incomplete)
{
    static const char cut[] = D("\"reasoning_content\":\"ok\"") D("\"content\":\"Hi\"") END("length");
    static const char filtered[] = D("\"content\":\"Hi\"") END("content_filter");
    static const char whole[] = D("\"content\":\"Hi\"") END("stop");
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", "openai");
    (void)world_translate(&w, "{" USER ",\"stream\":true}");
    struct str out = world_stream(&w, "openai", cut);
    CHECK_EQ(times(out, STR("\"status\":\"incomplete\",\"role\":")), 2); /* done, incomplete */
    CHECK_EQ(times(out, STR("\"status\":\"completed\"")), 2);            /* the thought: done, incomplete */
    out = world_stream(&w, "openai", filtered);
    CHECK_EQ(times(out, STR("\"status\":\"completed\"")), 0);
    out = world_stream(&w, "openai", whole);
    CHECK_EQ(times(out, STR("\"status\":\"incomplete\"")), 0);
    CHECK_EQ(times(out, STR("response.output_item.done")), 2);
    out =
        world_answer(&w, "openai",
                     "{\"id\":\"c\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},"
                     "\"finish_reason\":\"length\"}]}");
    CHECK_HOLDS(out, "\"status\":\"incomplete\",\"role\":\"assistant\"");
    CHECK_LACKS(out, "\"status\":\"completed\"");
}

TEST(responses_a_broken_stream_fails_behind_created)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", "openai");
    (void)world_translate(&w, "{" USER ",\"stream\":true}");
    struct str out = world_stream(&w, "openai", "");
    CHECK_STR(event_types(out, &w.arena), "response.created\nresponse.in_progress\nresponse.failed\n");
}

TEST(responses_refusals_custom_tools_and_citations_have_events_of_their_own)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", "vllm");
    (void)world_translate(&w, "{" USER ",\"stream\":true,\"tools\":[{\"type\":\"custom\",\"name\":\"sql\"}]}");
    struct str out = world_stream(
        &w, "openai",
        D("\"content\":\"Hi\"")
            D("\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"url\":\"u\",\"start_index\":0,"
              "\"end_index\":2}}]") D("\"refusal\":\"No\"")
                D("\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"sql\",\"arguments\":"
                  "\"{\\\"input\\\":\\\"sel\\\"}\"}}]") END("stop"));
    CHECK_HOLDS(out,
                "\"annotation_index\":0,\"annotation\":{\"type\":\"url_citation\",\"start_index\":0,\"end_index\":2,"
                "\"url\":\"u\",\"title\":\"\"}");
    CHECK_HOLDS(out, "event: response.refusal.delta\n");
    CHECK_HOLDS(out, "event: response.refusal.done\n");
    CHECK_HOLDS(out, "event: response.custom_tool_call_input.delta\n");
    CHECK_HOLDS(out, "\"type\":\"custom_tool_call\",\"id\":\"ctc_");
    CHECK_HOLDS(out, "\"input\":\"sel\",\"status\":\"completed\"");
    CHECK_HOLDS(out, "\"annotations\":[{\"type\":\"url_citation\"");
}

TEST(responses_thoughts_of_another_maker_come_back_as_they_were)
{
    struct dialect_world w CLEANUP(world_release), again CLEANUP(world_release);
    const char *answer =
        "{\"choices\":[{\"message\":{\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"t\",\"signature\":"
        "\"S\",\"format\":\"anthropic-claude-v1\"},{\"type\":\"reasoning.encrypted\",\"data\":\"B\",\"format\":"
        "\"anthropic-claude-v1\"},{\"type\":\"reasoning.text\",\"text\":\"\",\"signature\":\"E\",\"format\":"
        "\"anthropic-claude-v1\"}]},\"finish_reason\":\"stop\"}]}";

    world_init(&w, "responses", "openai");
    world_init(&again, "responses", NULL);
    (void)world_translate(&w, "{" USER "}");
    struct str out = world_answer(&w, "openai", answer);
    const struct json_tree *tree;
    CHECK_OK(json_tree_parse(&w.arena, out, &tree));
    struct str items = json_node_raw(json_node_get(json_tree_root(tree), STR("output")));
    CHECK_OK(world_read(&again, arena_printf(&w.arena, "{\"model\":\"m\",\"input\":%.*s}", STR_ARG(items)).p));
    struct str text = canon_request(&again.q, &again.arena);
    CHECK_HOLDS(text, "thinking text=\"t\" id=\"rs_");
    CHECK_HOLDS(text, "signature=\"S\" signer=2\n  redacted text=\"B\" id=\"rs_");
    CHECK_HOLDS(text, "signature=\"E\" signer=2\n");
    CHECK_LACKS(text, "crossdock");
}

TEST(responses_a_whole_answer_has_every_required_member)
{
    static const char *const required[] = {"id",
                                           "object",
                                           "created_at",
                                           "completed_at",
                                           "status",
                                           "access_programs",
                                           "background",
                                           "error",
                                           "incomplete_details",
                                           "instructions",
                                           "max_output_tokens",
                                           "max_tool_calls",
                                           "model",
                                           "output",
                                           "parallel_tool_calls",
                                           "previous_response_id",
                                           "prompt_cache_key",
                                           "reasoning",
                                           "safety_identifier",
                                           "service_tier",
                                           "store",
                                           "temperature",
                                           "text",
                                           "tool_choice",
                                           "tools",
                                           "top_logprobs",
                                           "top_p",
                                           "truncation",
                                           "usage",
                                           "metadata"};
    struct dialect_world w CLEANUP(world_release);
    const struct json_tree *tree;

    world_init(&w, "responses", "openai");
    (void)world_translate(&w, "{" USER "}");
    struct str out = world_answer(&w, "openai",
                                  "{\"choices\":[{\"message\":{\"content\":\"Hi\"},\"logprobs\":{"
                                  "\"content\":[{\"token\":\"Hi\"}]},\"finish_reason\":\"stop\"}]}");
    CHECK_OK(json_tree_parse(&w.arena, out, &tree));
    for (size_t i = 0; i < ARRAY_LEN(required); i++)
        CHECK_MSG(!json_is_absent(json_node_get(json_tree_root(tree), str_from_c(required[i]))), "%s is missing",
                  required[i]);
    CHECK_HOLDS(out, "\"text\":\"Hi\",\"annotations\":[],\"logprobs\":[{\"token\":\"Hi\"}]}");
    CHECK_LACKS(out, "event:");
}

/* --- a provider's answers --- */

#define EV(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"

TEST(responses_a_provider_s_stream_is_read)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 64 << 20);
    CHECK_STR(
        world_stream_events(
            "responses",
            EV("response.created", ",\"response\":{\"id\":\"resp_1\",\"model\":\"m\"}") EV(
                "response.output_item.added", ",\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"id\":\"rs_1\","
                                              "\"summary\":[],\"encrypted_content\":\"first\"}")
                EV("response.reasoning_summary_text.delta", ",\"output_index\":0,\"summary_index\":0,\"delta\":\"a\"")
                    EV("response.reasoning_summary_text.delta",
                       ",\"output_index\":0,\"summary_index\":1,\"delta\":\"b\"")
                        EV("response.output_item.done", ",\"output_index\":0,\"item\":{\"type\":\"reasoning\","
                                                        "\"encrypted_content\":\"last\"}")
                            EV("response.output_item.added", ",\"output_index\":1,\"item\":{\"type\":\"message\"}")
                                EV("response.output_text.delta",
                                   ",\"output_index\":1,\"content_index\":0,\"delta\":\"Hi\"")
                                    EV("response.output_item.done",
                                       ",\"output_index\":1,\"item\":{\"type\":\"message\",\"content\":[]}")
                                        EV("response.output_item.added",
                                           ",\"output_index\":2,\"item\":{\"type\":\"function_call\",\"call_id\":"
                                           "\"c\",\"name\":\"f\"}")
                                            EV("response.output_item.done",
                                               ",\"output_index\":2,\"item\":{\"type\":\"function_call\","
                                               "\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}")
                                                EV("response.completed",
                                                   ",\"response\":{\"status\":\"completed\",\"output\":[{\"type\":"
                                                   "\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\"}"
                                                   "]}],\"usage\":{\"input_tokens\":3,\"output_tokens\":4,"
                                                   "\"input_tokens_details\":{\"cached_tokens\":1}}}"),
            &a),
        "start resp_1 m\nopen 0.0 thinking\ntext 0.0 a\n\nb\nsignature 0.0 last by 1\nclose 0.0\n"
        "open 0.1 text\ntext 0.1 Hi\nclose 0.1\nopen 0.2 call c f\ntext 0.2 {}\nclose 0.2\n"
        "usage 3 4 cached 1 reasoning 0\nfinish 0 tool_calls \nend\n");
}

TEST(responses_a_provider_s_broken_stream_and_errors_are_errors)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 64 << 20);
    CHECK_STR(world_stream_events("responses", EV("response.created", ",\"response\":{\"id\":\"r\"}"), &a),
              "start r \nerror 12 The provider's answer broke off.\n");
    CHECK_STR(world_stream_events("responses",
                                  EV("error", ",\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"param\":null"),
                                  &a),
              "error 11 slow\n");
}

TEST(responses_a_provider_s_whole_answer_is_read)
{
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    CHECK_STR(
        world_answer_events(
            "responses",
            "{\"id\":\"resp_1\",\"model\":\"m\",\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":"
            "\"max_output_tokens\"},\"error\":null,\"output\":[{\"type\":\"reasoning\",\"summary\":[],"
            "\"encrypted_content\":\"E\"},{\"type\":\"web_search_call\"},{\"type\":\"message\",\"content\":["
            "{\"type\":\"output_text\",\"text\":\"Hi\",\"annotations\":[{\"type\":\"url_citation\",\"url\":\"u\"}]},"
            "{\"type\":\"refusal\",\"refusal\":\"No\"}]}]}",
            &a),
        "start resp_1 m\nopen 0.0 redacted E by 1\nclose 0.0\nopen 0.1 opaque {\"type\":\"web_search_call\"}\nclose "
        "0.1\nopen 0.2 text\ntext 0.2 Hi\n"
        "cites 0.2 u\nclose 0.2\nopen 0.3 refusal\ntext 0.3 No\nclose 0.3\nfinish 0 length \nend\n");
    CHECK_STR(world_answer_events("responses", "{}", &a), "! the provider's answer has no output");
}

/* Items of each hosted tool, as the service tells them when they are done. */
static const char *const hosted[] = {
    "{\"type\":\"web_search_call\",\"id\":\"ws_1\",\"status\":\"completed\",\"action\":{\"type\":\"search\",\"query\":"
    "\"tide\"}}",
    "{\"type\":\"file_search_call\",\"id\":\"fs_1\",\"status\":\"completed\",\"queries\":[\"tide\"],\"results\":null}",
    "{\"type\":\"code_interpreter_call\",\"id\":\"ci_1\",\"status\":\"completed\",\"code\":\"1+1\",\"container_id\":"
    "\"c\",\"outputs\":null}",
    "{\"type\":\"mcp_call\",\"id\":\"mcp_1\",\"name\":\"f\",\"arguments\":\"{}\",\"server_label\":\"s\",\"output\":"
    "\"1\"}",
    "{\"type\":\"computer_call\",\"id\":\"cu_1\",\"call_id\":\"call_1\",\"status\":\"completed\",\"action\":{\"type\":"
    "\"screenshot\"}}",
    "{\"type\":\"local_shell_call\",\"id\":\"lsh_1\",\"call_id\":\"call_2\",\"status\":\"completed\",\"action\":{"
    "\"type\":\"exec\"}}",
    "{\"type\":\"image_generation_call\",\"id\":\"ig_1\",\"status\":\"completed\",\"result\":\"iVBORw0KGgo=\",\"size\":"
    "\"1x1\"}",
    "{\"type\":\"image_generation_call\",\"id\":\"ig_2\",\"status\":\"failed\",\"result\":null}",
};

TEST(responses_items_of_hosted_tools_reach_its_own_clients_as_they_are)
{
    for (size_t i = 0; i < ARRAY_LEN(hosted); i++) {
        struct dialect_world w CLEANUP(world_release);
        world_init(&w, "responses", "openai");
        struct str item = str_from_c(hosted[i]);
        struct str body = arena_printf(
            &w.arena, "{\"id\":\"resp_1\",\"model\":\"m\",\"status\":\"completed\",\"output\":[%s]}", hosted[i]);
        test_context("%s", hosted[i]);
        CHECK_OK(world_read(&w, "{" USER "}"));
        struct str whole = world_answer(&w, "responses", body.p);
        CHECK_EQ(times(whole, item), 1);
        struct str stream = world_stream(
            &w, "responses",
            arena_printf(&w.arena,
                         EV("response.created", ",\"response\":{\"id\":\"resp_1\",\"model\":\"m\"}")
                             EV("response.output_item.added",
                                ",\"output_index\":0,\"item\":{\"type\":\"x\",\"id\":\"x\",\"status\":\"in_progress\"}")
                                 EV("response.output_item.done", ",\"output_index\":0,\"item\":%s")
                                     EV("response.completed", ",\"response\":{\"status\":\"completed\"}"),
                         hosted[i])
                .p);
        CHECK_EQ(times(stream, item), 3); /* added, done, completed */
        CHECK_EQ(times(stream, STR("event: ")), 5);
    }
}

TEST(responses_pictures_are_items_of_the_tool_that_draws_them)
{
    static const struct media picture = {
        .source = MEDIA_BASE64, .type = STR_INIT("image/png"), .data = STR_INIT("iVBORw0KGgo=")};
    static const struct chat_event e[] = {{.kind = CHAT_START},
                                          {.kind = CHAT_BLOCK_START, .block_kind = BLOCK_IMAGE, .media = &picture},
                                          {.kind = CHAT_BLOCK_STOP},
                                          {.kind = CHAT_FINISH, .finish = FINISH_STOP},
                                          {.kind = CHAT_END}};
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", "gemini");
    CHECK_OK(world_read(&w, "{" USER ",\"stream\":true}"));
    const struct client_side *c = &w.t.client->client;
    struct answer_frame f = world_frame(&w);
    void *state = arena_zalloc(&w.arena, c->writer_size);
    buf_clear(&w.body);
    CHECK_OK(c->writer_begin(state, &f, &w.body));
    for (size_t i = 0; i < ARRAY_LEN(e); i++)
        CHECK_OK(c->writer_event(state, &e[i], &w.body));
    CHECK_EQ(times(buf_str(&w.body), STR("\"status\":\"in_progress\",\"result\":null}")), 1);
    CHECK_EQ(times(buf_str(&w.body), STR("\"status\":\"completed\",\"result\":\"iVBORw0KGgo=\"}")), 2);
    CHECK_EQ(times(buf_str(&w.body), STR("{\"type\":\"image_generation_call\",\"id\":\"ig_")), 3);
    /* and the other way, to somebody who draws otherwise */
    struct dialect_world other CLEANUP(world_release);
    world_init(&other, "ollama", "openai");
    CHECK_OK(
        world_read(&other, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"stream\":false}"));
    CHECK_HOLDS(world_answer(
                    &other, "responses",
                    arena_printf(&other.arena, "{\"id\":\"r\",\"status\":\"completed\",\"output\":[%s]}", hosted[6]).p),
                "\"images\":[\"iVBORw0KGgo=\"]");
}

TEST(responses_what_only_openai_keeps_is_refused_or_reported)
{
    struct dialect_world w CLEANUP(world_release);

    world_init(&w, "responses", "anthropic");
    CHECK_HOLDS(world_translate(&w, "{" USER ",\"conversation\":\"conv_1\"}"),
                "! conversation: conversations are kept by OpenAI");
    CHECK_HOLDS(world_translate(&w, "{" USER ",\"prompt\":{\"id\":\"pmpt_1\"}}"),
                "! prompt: prompt templates are kept by OpenAI");
    CHECK_HOLDS(world_translate(&w, "{" USER ",\"background\":false}"), "Hi");
    CHECK_STR(world_dropped(&w), "");
    CHECK_HOLDS(world_translate(&w, "{" USER ",\"background\":true}"), "Hi");
    CHECK_STR(world_dropped(&w), "/background");
    w.t.vendor = vendor_find(STR("openai"));
    CHECK_HOLDS(world_answer(&w, "openai",
                             "{\"id\":\"c\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
                             "\"Hi\"},\"finish_reason\":\"stop\"}]}"),
                "\"background\":false");
}

/* --- conversations --- */

TEST(responses_a_conversation_is_stored_and_continued)
{
    struct arena a CLEANUP(arena_release);
    struct buf stored CLEANUP(buf_release) = BUF_INIT(1 << 20), next CLEANUP(buf_release) = BUF_INIT(1 << 20);
    const struct json_tree *first, *second;

    arena_init(&a, 1 << 20);
    CHECK_OK(json_tree_parse(&a, STR("\"Hi \\u00e9\""), &first));
    CHECK_OK(responses_items_to_store(&a, json_tree_root(first),
                                      STR("{\"id\":\"resp_1\",\"output\":[{\"type\":\"message\",\"id\":\"msg_1\"}]}"),
                                      &stored));
    CHECK_STR(buf_str(&stored), "[{\"type\":\"message\",\"role\":\"user\",\"content\":\"Hi \\u00e9\"},"
                                "{\"type\":\"message\",\"id\":\"msg_1\"}]");
    CHECK_OK(json_tree_parse(&a, STR("[{\"role\":\"user\",\"content\":\"more\"}]"), &second));
    CHECK_OK(responses_conversation(&a, buf_str(&stored), json_tree_root(second), &next));
    CHECK_STR(buf_str(&next), "[{\"type\":\"message\",\"role\":\"user\",\"content\":\"Hi \\u00e9\"},"
                              "{\"type\":\"message\",\"id\":\"msg_1\"},{\"role\":\"user\",\"content\":\"more\"}]");
    buf_clear(&next);
    CHECK_OK(responses_conversation(&a, STR_NONE, json_tree_root(second), &next));
    CHECK_STR(buf_str(&next), "[{\"role\":\"user\",\"content\":\"more\"}]");
}

static void list_items(struct arena *a, const char *items, struct buf *to)
{
    const struct json_tree *tree;

    buf_clear(to);
    CHECK_OK(json_tree_parse(a, str_from_c(items), &tree));
    CHECK_OK(responses_list_items(a, json_tree_root(tree), STR("resp_1"), to));
}

TEST(responses_items_are_listed_with_what_may_be_left_out_when_they_are_sent)
{
    struct arena a CLEANUP(arena_release);
    struct buf to CLEANUP(buf_release) = BUF_INIT(1 << 20);

    arena_init(&a, 1 << 20);
    list_items(
        &a, "[{\"role\":\"user\",\"content\":\"Hi \\u00e9\"},{\"role\":\"assistant\",\"content\":\"Ha\",\"id\":null}]",
        &to);
    CHECK_STR(
        buf_str(&to),
        "[{\"type\":\"message\",\"id\":\"msg_resp_1_0\",\"status\":\"completed\",\"content\":[{\"type\":\"input_text\","
        "\"text\":\"Hi \\u00e9\"}],\"role\":\"user\"},"
        "{\"type\":\"message\",\"id\":\"msg_resp_1_1\",\"status\":\"completed\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"Ha\",\"annotations\":[]}],\"role\":\"assistant\"}]");
    list_items(&a, "[{\"type\":\"function_call\",\"name\":\"f\"},{\"type\":\"function_call_output\",\"output\":\"3\"}]",
               &to);
    CHECK_STR(buf_str(&to),
              "[{\"type\":\"function_call\",\"id\":\"fc_resp_1_0\",\"status\":\"completed\",\"name\":\"f\"},"
              "{\"type\":\"function_call_output\",\"id\":\"fco_resp_1_1\",\"status\":\"completed\",\"output\":\"3\"}]");
    static const char whole[] =
        "[{\"type\":\"message\",\"id\":\"msg_1\",\"status\":\"incomplete\",\"content\":[],\"a\\u0022\":1}]";
    list_items(&a, whole, &to);
    CHECK_STR(buf_str(&to), whole);
    list_items(&a, "[{\"type\":\"reasoning\",\"summary\":[]}]", &to);
    CHECK_STR(buf_str(&to), "[{\"type\":\"reasoning\",\"id\":\"item_resp_1_0\",\"summary\":[]}]");
    list_items(&a, "[]", &to);
    CHECK_STR(buf_str(&to), "[]");
}
