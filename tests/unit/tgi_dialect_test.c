/* tgi_dialect_test.c - prompts of Text Generation Inference's clients, and a TGI server as a provider. */
#include "dialect_world.h"

#define HI "\"inputs\":\"Once\""
#define TOKEN(n, text, more)                                                                                           \
    "data:{\"index\":" n ",\"token\":{\"id\":5,\"text\":\"" text "\",\"logprob\":-0.5,\"special\":false}," more        \
    "\"generated_text\":null,\"details\":null}\n\n"
#define LAST(text, reason)                                                                                             \
    "data:{\"index\":9,\"token\":{\"id\":2,\"text\":\"</"                                                              \
    "s>\",\"logprob\":null,\"special\":true},\"generated_text\":\"" text "\",\"details\":{\"finish_reason\":\"" reason \
    "\",\"generated_tokens\":3,\"input_length\":7,\"seed\":null}}\n\n"
#define OUT(n, text)                                                                                                   \
    "data:{\"index\":" n ",\"token\":{\"id\":0,\"text\":\"" text                                                       \
    "\",\"logprob\":null,\"special\":false},\"top_tokens\":[],\"generated_text\":null,\"details\":null}\n\n"
#define OUT_LAST(n, text, details)                                                                                     \
    "data:{\"index\":" n ",\"token\":{\"id\":0,\"text\":\"\",\"logprob\":null,\"special\":true},\"top_tokens\":[],"    \
    "\"generated_text\":\"" text "\",\"details\":" details "}\n\n"
#define OC(delta) "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{" delta "}}]}\n\n"
#define OC_END(reason)                                                                                                 \
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}]}\n\n"               \
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":8}}\n\ndata: [DONE]\n\n"

static void tgi_world(struct dialect_world *w, const char *client, const char *vendor, const char *path)
{
    world_init(w, client, vendor);
    w->t.row = world_row("tgi", path);
}

/* --- requests from a client --- */

TEST(tgi_a_prompt_and_its_parameters_are_understood)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "openai", "/generate");
    CHECK_STR(world_translate(&w, "{" HI ",\"parameters\":{\"max_new_tokens\":5,\"temperature\":0.50,\"top_p\":0.9,"
                                  "\"frequency_penalty\":1,\"seed\":7,\"stop\":[\"a\",\"b\"],\"details\":true,"
                                  "\"best_of\":1,\"watermark\":false,\"do_sample\":true}}"),
              "{\"model\":\"their-model\",\"messages\":[{\"role\":\"user\",\"content\":\"Once\"}],"
              "\"max_completion_tokens\":5,\"temperature\":0.50,\"top_p\":0.9,\"frequency_penalty\":1,\"seed\":7,"
              "\"stop\":[\"a\",\"b\"]}");
    CHECK_STR(world_dropped(&w), "");
    CHECK(w.q.is_completion);
    CHECK_STR(w.q.model, "our-model");
}

TEST(tgi_what_only_its_engine_knows_is_reported)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "openai", "/generate");
    (void)world_translate(&w, "{" HI ",\"options\":{\"wait_for_model\":true},\"parameters\":{\"best_of\":2,\"top_k\":3,"
                              "\"watermark\":true,\"truncate\":9,\"decoder_input_details\":true,\"top_n_tokens\":2,"
                              "\"grammar\":{\"type\":\"regex\",\"value\":\"a+\"}}}");
    CHECK_STR(world_dropped(&w), "/parameters/top_k,/options,/parameters/best_of,/parameters/watermark,"
                                 "/parameters/truncate,/parameters/decoder_input_details,/parameters/top_n_tokens,"
                                 "/parameters/grammar");
}

TEST(tgi_the_path_says_whether_it_streams_and_the_root_asks_the_body)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "openai", "/generate");
    CHECK_OK(world_read(&w, "{" HI ",\"stream\":true}"));
    CHECK(!w.q.stream);
    world_release(&w);
    tgi_world(&w, "tgi", "openai", "/generate_stream");
    CHECK_OK(world_read(&w, "{" HI "}"));
    CHECK(w.q.stream);
    world_release(&w);
    tgi_world(&w, "tgi", "openai", "/");
    CHECK_OK(world_read(&w, "{" HI "}"));
    CHECK(!w.q.stream);
    CHECK_OK(world_read(&w, "{" HI ",\"stream\":true}"));
    CHECK(w.q.stream);
}

TEST(tgi_no_sampling_is_a_temperature_of_zero_and_a_grammar_is_a_schema)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "openai", "/generate");
    CHECK_OK(world_read(&w, "{" HI ",\"parameters\":{\"do_sample\":false}}"));
    CHECK_STR(w.q.temperature.text, "0");
    CHECK_OK(world_read(&w, "{" HI ",\"parameters\":{\"do_sample\":false,\"temperature\":0.7}}"));
    CHECK_STR(w.q.temperature.text, "0.7");
    CHECK_OK(
        world_read(&w, "{" HI ",\"parameters\":{\"grammar\":{\"type\":\"json\",\"value\":{\"type\":\"object\"}}}}"));
    CHECK_STR(w.q.format.schema, "{\"type\":\"object\"}");
    CHECK_OK(world_read(&w, "{" HI ",\"parameters\":{\"grammar\":{\"type\":\"json_schema\",\"value\":{\"name\":\"n\","
                            "\"schema\":{\"type\":\"array\"}}}}}"));
    CHECK_STR(w.q.format.schema, "{\"type\":\"array\"}");
    CHECK_STR(w.q.format.name, "n");
}

TEST(tgi_malformed_requests_are_refused_with_their_place)
{
    static const char *const wrong[][2] = {
        {"{\"inputs\":\"\"}", "! inputs: `inputs` must be a string that is not empty"},
        {"{}", "! inputs: `inputs` must be a string that is not empty"},
        {"{" HI ",\"parameters\":[]}", "! /parameters: /parameters must be an object"},
        {"{" HI ",\"parameters\":{\"seed\":\"x\"}}", "! /parameters/seed: /parameters/seed must be a number"},
        {"{" HI ",\"parameters\":{\"stop\":\"x\"}}", "! /parameters/stop: /parameters/stop must be a list of strings"},
        {"{" HI ",\"parameters\":{\"stop\":[1]}}", "! /parameters/stop/0: /parameters/stop/0 must be a string"},
        {"{" HI ",\"stream\":1}", "! /stream: /stream must be true or false"},
        {"7", "! : the body must be a JSON object"},
    };
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "openai", "/");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        CHECK_STR(world_translate(&w, wrong[i][0]), wrong[i][1]);
}

/* --- requests to a provider --- */

TEST(tgi_a_prompt_goes_to_generate_with_the_ranges_that_it_takes)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "completions", "tgi", "/generate");
    CHECK_STR(world_translate(&w,
                              "{\"model\":\"m\",\"prompt\":\"Once\",\"max_tokens\":5,\"temperature\":0.7,\"top_p\":1,"
                              "\"top_k\":4,\"seed\":-1,\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"],\"suffix\":\"x\","
                              "\"presence_penalty\":0,\"n\":1,\"logit_bias\":{}}"),
              "{\"inputs\":\"Once\",\"parameters\":{\"max_new_tokens\":5,\"temperature\":0.7,\"top_k\":4,"
              "\"stop\":[\"a\",\"b\",\"c\",\"d\"],\"return_full_text\":false,\"details\":true,"
              "\"decoder_input_details\":true}}");
    CHECK_STR(w.call.path, "/generate");
    CHECK_EQ(w.call.emulate.stop_count, 5);
    CHECK_STR(world_dropped(&w), "/seed,/logit_bias,/suffix");
    CHECK_STR(losses_list(&w.losses, LOSS_EMULATED, 100), "/stop/4");
    CHECK_STR(
        world_translate(&w, "{\"model\":\"m\",\"prompt\":\"Once\",\"temperature\":0,\"top_p\":0.9,\"stream\":true}"),
        "{\"inputs\":\"Once\",\"parameters\":{\"do_sample\":false,\"return_full_text\":false,\"details\":true}}");
    CHECK_STR(w.call.path, "/generate_stream");
    CHECK(w.call.stream);
}

TEST(tgi_a_conversation_goes_to_the_chat_route_with_its_own_response_format)
{
    struct dialect_world w CLEANUP(world_release);

#define SCHEMA                                                                                                         \
    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\"}}}"
#define ASK                                                                                                            \
    "\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"B\"},{\"role\":\"user\",\"content\":\"Hi\"}]"
    tgi_world(&w, "openai", "tgi", "/generate");
    CHECK_STR(world_translate(&w, "{" ASK ",\"max_tokens\":5,\"reasoning_effort\":\"low\",\"user\":\"u\"," SCHEMA "}"),
              "{\"model\":\"their-model\",\"messages\":[{\"role\":\"system\",\"content\":\"B\"},{\"role\":\"user\","
              "\"content\":\"Hi\"}],\"max_tokens\":5,\"response_format\":{\"type\":\"json_object\",\"value\":"
              "{\"type\":\"object\"}}}");
    CHECK_STR(w.call.path, "/v1/chat/completions");
    CHECK_STR(world_dropped(&w), "/reasoning_effort,/user");
    struct str both =
        world_translate(&w, "{" ASK ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]," SCHEMA "}");
    CHECK_LACKS(both, "response_format");
    CHECK_HOLDS(both, "It must fit this JSON schema:");
    CHECK(w.call.emulate.strip_fence);
    CHECK_HOLDS(world_translate(&w, "{" ASK ",\"response_format\":{\"type\":\"json_object\"}}"),
                "{\"role\":\"system\",\"content\":\"Answer with one JSON object and nothing else.\"}");
}

TEST(tgi_requests_survive_being_written_and_read_again)
{
    static const char request[] =
        "{" HI ",\"parameters\":{\"max_new_tokens\":5,\"temperature\":0.50,\"top_k\":3,\"top_p\":0.9,\"typical_p\":0.8,"
        "\"repetition_penalty\":1.1,\"frequency_penalty\":0.3,\"seed\":7,\"stop\":[\"a\"],\"grammar\":{\"type\":"
        "\"json\","
        "\"value\":{\"type\":\"object\"}},\"truncate\":100},\"options\":{\"use_cache\":false}}";
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "tgi", "/generate");
    CHECK_OK(world_read(&w, request));
    struct str before = canon_request(&w.q, &w.arena);
    CHECK_OK(world_write(&w));
    CHECK_STR(world_dropped(&w), "");
    CHECK_HOLDS(buf_str(&w.body), "\"truncate\":100");
    struct str again = arena_str(&w.arena, buf_str(&w.body));
    CHECK_OK(world_read(&w, again.p));
    w.q.echo = (struct flag){0}; /* said in so many words: no */
    CHECK_STR(canon_request(&w.q, &w.arena), before.p);
}

/* --- answers of a provider --- */

TEST(tgi_a_stream_is_told_as_events_wherever_it_is_cut)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "tgi", "/generate");
    CHECK_STR(
        world_stream_events("tgi", TOKEN("1", "H\xc3\xa9", "") TOKEN("2", "y", "") LAST("Hey", "eos_token"), &w.arena),
        "start  \nopen 0.0 text\ntext 0.0 H\xc3\xa9y\nusage 7 3 cached 0 reasoning 0\nclose 0.0\nfinish 0 stop \n"
        "end\n");
    CHECK_STR(world_stream_events("tgi",
                                  "data: {\"index\":1,\"token\":{\"text\":\"a\",\"special\":false},"
                                  "\"generated_text\":\"a\",\"details\":null}\n\n",
                                  &w.arena),
              "start  \nopen 0.0 text\ntext 0.0 a\nclose 0.0\nfinish 0 stop \nend\n");
    CHECK_HOLDS(world_stream_events("tgi", TOKEN("1", "a", "") LAST("a", "length"), &w.arena),
                "finish 0 length \nend\n");
    CHECK_HOLDS(world_stream_events("tgi", LAST("", "stop_sequence"), &w.arena), "finish 0 stop_sequence \nend\n");
}

TEST(tgi_a_stream_that_breaks_off_or_errs_is_an_error)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "tgi", "/generate");
    CHECK_HOLDS(world_stream_events("tgi", TOKEN("1", "a", ""), &w.arena),
                "text 0.0 a\nerror 12 502 the provider's stream ended before its last token\n");
    CHECK_HOLDS(
        world_stream_events(
            "tgi",
            TOKEN("1", "a", "") "data:{\"error\":\"boom\",\"error_type\":\"generation\"}\n\n" LAST("a", "length"),
            &w.arena),
        "text 0.0 a\nerror 12 424 boom\n");
    CHECK_STR(world_stream_events("tgi", "data:{\"error\":\"busy\",\"error_type\":\"overloaded\"}\n\n", &w.arena),
              "error 11 429 busy\n");
    CHECK_STR(world_stream_events("tgi", "data:nonsense\n\n", &w.arena),
              "error 12 502 the provider sent an event that is no JSON\n");
    CHECK_HOLDS(world_stream_events("tgi",
                                    OC("\"content\":\"a\"") "data: {\"error\":\"boom\",\"error_type\":"
                                                            "\"incomplete_generation\"}\n\n",
                                    &w.arena),
                "text 0.0 a\nerror 12 500 boom\n");
    CHECK_HOLDS(world_stream_events("tgi", OC("\"content\":\"a\""), &w.arena), "error 12");
    /* ended once, by its first event that cannot be read; a second, or an error, is not heard any more */
    struct str twice = world_stream_events("tgi",
                                           OC("\"content\":\"a\"") "data: {\"choices\"\n\n"
                                                                   "data: {\"error\"\n\n"
                                                                   "data: {\"error\":\"boom\"}\n\n",
                                           &w.arena);
    CHECK_HOLDS(twice, "\nerror 12 ");
    CHECK_LACKS(twice, "boom");
    CHECK_LACKS(twice, "an event after the end");
}

TEST(tgi_the_chat_route_s_stream_is_read_as_openai_s_with_arguments_as_objects)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "tgi", "/generate");
    CHECK_HOLDS(world_stream_events("tgi",
                                    OC("\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\","
                                       "\"arguments\":{\"error\": 1}}}]") OC_END("tool_calls"),
                                    &w.arena),
                "open 0.0 call c1 f\ntext 0.0 {\"error\": 1}\nclose 0.0\nfinish 0 tool_calls \n"
                "usage 20 8 cached 0 reasoning 0\nend\n");
}

TEST(tgi_whole_answers_are_told_as_events)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "tgi", "/generate");
    CHECK_STR(
        world_answer_events("tgi",
                            "[{\"generated_text\":\"Hi\",\"details\":{\"finish_reason\":\"length\","
                            "\"generated_tokens\":2,\"prefill\":[{},{},{}],\"tokens\":[]}}]",
                            &w.arena),
        "start  \nusage 3 2 cached 0 reasoning 0\nopen 0.0 text\ntext 0.0 Hi\nclose 0.0\nfinish 0 length \nend\n");
    CHECK_STR(world_answer_events("tgi", "{\"generated_text\":\"\"}", &w.arena), "start  \nfinish 0 stop \nend\n");
    CHECK_STR(world_answer_events("tgi", "{\"error\":\"boom\",\"error_type\":\"generation\"}", &w.arena),
              "error 12 424 boom\n");
    CHECK_STR(world_answer_events("tgi", "{}", &w.arena), "! the provider's answer has no choices");
    CHECK_STR(world_answer_events("tgi", "<p>", &w.arena), "! the provider's answer is no JSON");
    CHECK_HOLDS(world_answer_events(
                    "tgi", "{\"choices\":[{\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}", &w.arena),
                "text 0.0 Hi\n");
}

/* A stop sequence is part of TGI's text, and of nobody else's. */
TEST(tgi_text_is_cut_at_the_stop_sequence_and_still_counted)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "completions", "tgi", "/generate");
    (void)world_translate(&w,
                          "{\"model\":\"m\",\"prompt\":\"Once\",\"stop\":\"END\",\"stream\":true,\"stream_options\":"
                          "{\"include_usage\":true}}");
    struct str out = world_stream(
        &w, "tgi",
        TOKEN("1", "Hi E", "") "data:{\"index\":2,\"token\":{\"text\":\"ND\",\"special\":false},"
                               "\"generated_text\":\"Hi END\",\"details\":{\"finish_reason\":\"stop_sequence\","
                               "\"generated_tokens\":3,\"input_length\":7}}\n\n");
    CHECK_HOLDS(out, "\"text\":\"Hi \"");
    CHECK_LACKS(out, "END");
    CHECK_HOLDS(out, "\"prompt_tokens\":7");
}

TEST(tgi_log_probabilities_are_told_if_they_were_asked_for)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "completions", "tgi", "/generate");
    CHECK_HOLDS(world_translate(&w, "{\"model\":\"m\",\"prompt\":\"Once\",\"logprobs\":9}"), "\"top_n_tokens\":5");
    CHECK_STR(losses_list(&w.losses, LOSS_CHANGED, 100), "/logprobs");
#define TOP "[{\"id\":5,\"text\":\"a\",\"logprob\":-0.5,\"special\":false}]"
    CHECK_HOLDS(world_stream_events("tgi", TOKEN("1", "a", "\"top_tokens\":" TOP ",") LAST("a", "length"), &w.arena),
                "logprobs 0.0 [{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":null,\"top_logprobs\":[{\"token\":\"a\","
                "\"logprob\":-0.5,\"bytes\":null}]}]\n");
    CHECK_HOLDS(world_answer_events("tgi",
                                    "{\"generated_text\":\"a\",\"details\":{\"finish_reason\":\"length\","
                                    "\"generated_tokens\":1,\"tokens\":[{\"text\":\"a\",\"logprob\":null},"
                                    "{\"text\":\"</s>\",\"special\":true}],\"top_tokens\":[" TOP ",[]]}}",
                                    &w.arena),
                "logprobs 0.0 [{\"token\":\"a\",\"logprob\":null,\"bytes\":null,\"top_logprobs\":[{\"token\":\"a\","
                "\"logprob\":-0.5,\"bytes\":null}]}]\n");
}

TEST(tgi_errors_have_the_class_of_their_type)
{
    static const struct {
        int status;
        const char *body;
        enum error_class want;
    } cases[] = {
        {422, "{\"error\":\"Input validation error: `top_p` must be > 0\",\"error_type\":\"validation\"}",
         ERROR_BAD_REQUEST},
        {422, "{\"error\":\"`inputs` tokens + `max_new_tokens` must be <= 4096\",\"error_type\":\"validation\"}",
         ERROR_CONTEXT_LENGTH},
        {424, "{\"error\":\"Request failed\",\"error_type\":\"generation\"}", ERROR_UPSTREAM},
        {429, "{\"error\":\"Model is overloaded\",\"error_type\":\"overloaded\"}", ERROR_RATE_LIMIT},
        {500, "{\"error\":\"x\",\"error_type\":\"incomplete_generation\"}", ERROR_UPSTREAM},
        {404, "{\"error\":\"x\",\"error_type\":\"validation\"}", ERROR_NOT_FOUND},
        {503, "{\"error\":\"Model x is currently loading\",\"estimated_time\":20.0}", ERROR_OVERLOADED},
    };
    struct dialect_world w CLEANUP(world_release);
    struct api_error e;

    tgi_world(&w, "openai", "tgi", "/generate");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        w.t.provider->provider.read_error(&w.arena, cases[i].status, str_from_c(cases[i].body), world_no_header, NULL,
                                          &e);
        CHECK_EQ(e.error_class, cases[i].want);
        CHECK_EQ(e.status, cases[i].status);
    }
}

/* --- answers for a client --- */

TEST(tgi_a_whole_answer_is_an_object_or_below_the_root_a_list)
{
    struct dialect_world w CLEANUP(world_release);
    static const char answer[] =
        "{\"choices\":[{\"message\":{\"content\":\" upon\",\"reasoning\":\"hm\"},\"finish_reason\":"
        "\"length\"}],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}";

    tgi_world(&w, "tgi", "openai", "/generate");
    (void)world_translate(&w, "{" HI ",\"parameters\":{\"details\":true,\"seed\":7,\"return_full_text\":true}}");
    CHECK_STR(world_answer(&w, "openai", answer),
              "{\"generated_text\":\"Once upon\",\"details\":{\"finish_reason\":\"length\",\"generated_tokens\":2,"
              "\"seed\":7,\"prefill\":[],\"tokens\":[],\"input_length\":4}}");
    world_release(&w);
    tgi_world(&w, "tgi", "openai", "/");
    (void)world_translate(&w, "{" HI "}");
    CHECK_STR(world_answer(&w, "openai", answer), "[{\"generated_text\":\" upon\"}]");
}

TEST(tgi_a_stream_is_a_token_per_piece_and_the_last_has_the_whole_text)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "openai", "/generate_stream");
    (void)world_translate(&w, "{" HI ",\"parameters\":{\"details\":true}}");
    CHECK_STR(world_stream(&w, "openai",
                           OC("\"reasoning_content\":\"hm\"") OC("\"content\":\" up\"") OC("\"content\":\"on\"")
                               OC_END("stop")),
              OUT("1", " up") OUT("2", "on")
                  OUT_LAST("3", " upon",
                           "{\"finish_reason\":\"eos_token\",\"generated_tokens\":8,\"seed\":null,"
                           "\"input_length\":20}"));
    (void)world_translate(&w, "{" HI ",\"parameters\":{\"return_full_text\":true}}");
    CHECK_STR(world_stream(&w, "openai", OC("\"content\":\" up\"") OC_END("stop")),
              OUT("1", " up") OUT_LAST("2", "Once up", "null"));
}

TEST(tgi_a_broken_stream_ends_in_an_error_event)
{
    struct dialect_world w CLEANUP(world_release);

    tgi_world(&w, "tgi", "openai", "/generate_stream");
    (void)world_translate(&w, "{" HI "}");
    struct str out = world_stream(&w, "openai", OC("\"content\":\"a\""));
    CHECK_HOLDS(out, OUT("1", "a") "data:{\"error\":\"");
    CHECK_HOLDS(out, "\"error_type\":\"generation\"}\n\n");
    CHECK_LACKS(out, "\"special\":true");
}

TEST(tgi_errors_for_clients_have_its_types_and_statuses)
{
    static const struct {
        struct api_error e;
        int status;
        const char *type;
    } cases[] = {
        {{.status = 400, .message = STR_INIT("x")}, 422, "validation"},
        {{.error_class = ERROR_RATE_LIMIT, .message = STR_INIT("x")}, 429, "overloaded"},
        {{.status = 404, .message = STR_INIT("x")}, 404, "validation"},
        {{.status = 502, .message = STR_INIT("x")}, 502, "generation"},
        {{.status = 504, .message = STR_INIT("x")}, 504, "incomplete_generation"},
    };
    struct dialect_world w CLEANUP(world_release);
    struct call_header headers[2];
    int status;

    tgi_world(&w, "tgi", NULL, "/generate");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&w.body);
        w.t.client->client.write_error(&w.t, &cases[i].e, &w.body, &status, headers);
        CHECK_EQ(status, cases[i].status);
        CHECK_STR(buf_str(&w.body), arena_printf(&w.arena, "{\"error\":\"x\",\"error_type\":\"%s\"}", cases[i].type).p);
    }
}
