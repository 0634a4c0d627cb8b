/* sim_responses_test.c - the responses endpoint: requests, the object, the order of events, and what is kept. */
#include "codec/json.h"
#include "codec/sse.h"
#include "sim/responses_int.h"
#include "unit/test.h"

#include <stdio.h>

static struct arena a;
static struct response_store *store;
static const struct sim_mark mark = {.unique = 7, .created = 1790000000};

static void begin(void)
{
    arena_release(&a);
    arena_init(&a, 64 << 20);
    response_store_free(store);
    store = response_store_new(64 << 10);
}

static void end(void)
{
    arena_release(&a);
    response_store_free(store);
    store = NULL;
}

/* The store knows one response, "resp_1", that called a tool as "call_1". */
static void keep_one(void)
{
    response_store_add(store, &(struct stored_response){.id = STR("resp_1"),
                                                        .body = STR("{}"),
                                                        .items = STR(""),
                                                        .hash = 5,
                                                        .tokens = 100,
                                                        .calls = STR("call_1\n")});
}

static void check_refused(const char *body, const char *param, const char *code)
{
    struct responses_request q;
    struct sim_refusal r = {0};

    begin();
    keep_one();
    test_context("%s", body);
    CHECK_ERR(responses_read(&a, str_from_c(body), true, store, &q, &r), E_PARSE);
    CHECK_EQ(r.status, 400);
    CHECK_STR(r.param.p ? r.param : STR("null"), param);
    CHECK_STR(str_from_c(r.code ? r.code : "null"), code);
    test_context("%s", "");
}

#define IN "\"model\":\"m\",\"input\":\"tide?\""
#define OUTPUT(id) "{\"type\":\"function_call_output\",\"call_id\":\"" id "\",\"output\":\"3 m\"}"
#define CALL(id) "{\"type\":\"function_call\",\"call_id\":\"" id "\",\"name\":\"f\",\"arguments\":\"{}\"}"

TEST(sim_responses_requests_that_openai_refuses_are_refused)
{
    static const struct {
        const char *body, *param, *code;
    } cases[] = {
        {"{\"input\":\"x\"}", "model", "missing_required_parameter"},
        {"{\"model\":\"m\"}", "input", "missing_required_parameter"},
        {"{\"model\":\"m\",\"input\":5}", "input", "invalid_type"},
        {"{\"model\":\"m\",\"input\":[5]}", "input[0]", "invalid_type"},
        {"{\"model\":\"m\",\"input\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "input[0].role", "invalid_value"},
        {"{\"model\":\"m\",\"input\":[{\"role\":\"user\"}]}", "input[0].content", "missing_required_parameter"},
        {"{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]}",
         "input[0].content[0].type", "invalid_value"},
        {"{\"model\":\"m\",\"input\":[" CALL("c") "]}", "input", "null"},
        {"{\"model\":\"m\",\"input\":[" OUTPUT("c") "]}", "input", "null"},
        {"{\"model\":\"m\",\"input\":[{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"\"}]}",
         "input[0].call_id", "missing_required_parameter"},
        {"{" IN ",\"previous_response_id\":\"resp_1\"}", "input", "null"},
        {"{" IN ",\"previous_response_id\":\"resp_2\"}", "previous_response_id", "previous_response_not_found"},
        {"{" IN ",\"previous_response_id\":\"resp_1\",\"conversation\":\"c\"}", "previous_response_id",
         "mutually_exclusive_parameters"},
        {"{" IN ",\"max_output_tokens\":15}", "max_output_tokens", "integer_below_min_value"},
        {"{" IN ",\"temperature\":3}", "temperature", "decimal_above_max_value"},
        {"{" IN ",\"stop\":\"x\"}", "stop", "unknown_parameter"},
        {"{" IN ",\"reasoning\":{\"effort\":\"lots\"}}", "reasoning.effort", "invalid_value"},
        {"{" IN ",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"x\"}}}", "text.format.schema",
         "missing_required_parameter"},
        {"{" IN ",\"text\":{\"format\":{\"type\":\"yaml\"}}}", "text.format.type", "invalid_value"},
        {"{" IN ",\"tools\":[{\"type\":\"function\"}]}", "tools[0].name", "missing_required_parameter"},
        {"{" IN ",\"tool_choice\":\"sometimes\"}", "tool_choice", "invalid_value"},
        {"{" IN ",\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}}", "tool_choice", "null"},
        {"{" IN ",\"stream_options\":{}}", "stream_options", "null"},
        {"{" IN ",\"background\":true,\"store\":false}", "background", "null"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases) && !test_failed(); i++)
        check_refused(cases[i].body, cases[i].param, cases[i].code);
    end();
}

static bool read_request(const char *body, struct responses_request *q)
{
    struct sim_refusal r;

    return responses_read(&a, str_from_c(body), true, store, q, &r) == OK;
}

TEST(sim_a_previous_response_is_part_of_the_question)
{
    struct responses_request alone, after;

    begin();
    keep_one();
    CHECK(read_request("{\"model\":\"m\",\"input\":\"x\"}", &alone));
    CHECK(read_request("{\"model\":\"m\",\"previous_response_id\":\"resp_1\",\"input\":[" OUTPUT(
                           "call_1") ",{\"role\":\"user\",\"content\":\"x\"}]}",
                       &after));
    CHECK_NE(alone.q.hash, after.q.hash);
    CHECK_EQ(alone.q.prompt_tokens, 3 + 4 + 1);
    CHECK_EQ(after.q.prompt_tokens, 100 + 3 + 1 + 4 + 1);
    CHECK_STR(after.q.asked, "x");
    CHECK(after.q.result.p == NULL);
    end();
}

TEST(sim_input_items_are_kept_as_messages_with_ids)
{
    struct responses_request q;
    yyjson_val *list, *item;

    begin();
    CHECK(read_request("{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"a "
                       "\\\"b\\\"\"},{\"role\":\"assistant\",\"content\":\"c\"},"
                       "{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"d\"}]},{\"id\":\"fc_9\","
                       "\"type\":\"function_call\","
                       "\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}," OUTPUT("c") "]}",
                       &q));
    CHECK_OK(json_parse(&a, arena_printf(&a, "[%.*s]", STR_ARG(q.items)), NULL, 0, &list));
    CHECK_EQ(yyjson_arr_size(list), 5);
    size_t i, n;
    yyjson_arr_foreach(list, i, n, item)
    {
        CHECK_GT(json_get_str(item, STR("id"), STR("")).n, 3);
        CHECK_GT(json_get_str(item, STR("type"), STR("")).n, 6);
    }
    yyjson_val *part = yyjson_arr_get_first(json_get(yyjson_arr_get(list, 0), STR("content")));
    CHECK_STR(json_get_str(part, STR("text"), STR("")), "a \"b\"");
    CHECK_STR(json_get_str(part, STR("type"), STR("")), "input_text");
    part = yyjson_arr_get_first(json_get(yyjson_arr_get(list, 1), STR("content")));
    CHECK_STR(json_get_str(part, STR("type"), STR("")), "output_text");
    CHECK_STR(json_get_str(yyjson_arr_get(list, 3), STR("id"), STR("")), "fc_9");
    end();
}

static const struct response *respond(const char *body, size_t length)
{
    struct responses_request *q = arena_new(&a, struct responses_request);
    struct sim_answer answer;

    if (!read_request(body, q) || sim_answer_make(&a, &q->q, 1, length, &answer) != OK)
        return NULL;
    return response_make(&a, q, &answer, &mark);
}

/* Types of the stream's events, runs of one type once; checks what all events have in common. */
static struct str event_types(const struct response *r, yyjson_val **ret_last)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(64 << 20), types CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct sse sse CLEANUP(sse_release);
    struct sim_feed *feed = response_feed(r);
    struct sse_event event;
    struct sim_step step;
    struct str before = STR("");
    int64_t sequence = 0;
    size_t tokens = 0;

    while (feed->next(feed, &bytes, &step))
        tokens += step.tokens;
    sse_init(&sse, 0);
    struct str in = buf_str(&bytes);
    while (sse_next(&sse, &in, &event) == SSE_EVENT) {
        yyjson_val *v;
        if (json_parse(&a, event.data, NULL, 0, &v) != OK)
            return STR("not JSON");
        struct str type = json_get_str(v, STR("type"), STR(""));
        if (!str_eq(type, event.name) || json_get_i64(v, STR("sequence_number"), -1) != sequence++)
            return STR("name or sequence");
        if (!str_eq(type, before))
            buf_addf(&types, "%.*s\n", STR_ARG(str_slice(type, strlen("response."), type.n)));
        before = type;
        *ret_last = v;
    }
    return tokens == r->tokens ? arena_str(&a, buf_str(&types)) : STR("wrong count of tokens");
}

TEST(sim_the_events_of_a_text_come_in_order)
{
    yyjson_val *last;

    begin();
    const struct response *r = respond("{" IN "}", 6);
    CHECK(r != NULL);
    CHECK_STR(event_types(r, &last),
              "created\nin_progress\noutput_item.added\ncontent_part.added\noutput_text.delta\noutput_text.done\n"
              "content_part.done\noutput_item.done\ncompleted\n");
    end();
}

TEST(sim_the_events_of_reasoning_and_a_call_come_in_order)
{
    yyjson_val *last;

    begin();
    const struct response *r = respond(
        "{" IN
        ",\"reasoning\":{\"effort\":\"low\"},\"tools\":[{\"type\":\"function\",\"name\":\"get_tide\",\"parameters\":{"
        "\"properties\":{\"port\":{\"type\":\"string\"}}}}]}",
        6);
    CHECK(r != NULL);
    CHECK_STR(event_types(r, &last),
              "created\nin_progress\noutput_item.added\nreasoning_summary_part.added\nreasoning_summary_text.delta\n"
              "reasoning_summary_text.done\nreasoning_summary_part.done\noutput_item.done\noutput_item.added\n"
              "function_call_arguments.delta\nfunction_call_arguments.done\noutput_item.done\ncompleted\n");
    yyjson_val *whole = json_get(last, STR("response")), *output = json_get(whole, STR("output"));
    CHECK_EQ(yyjson_arr_size(output), 2);
    CHECK_STR(json_get_str(yyjson_arr_get(output, 1), STR("arguments"), STR("")), "{\"port\":\"tide\"}");
    CHECK_EQ(json_get_i64(json_get(whole, STR("usage")), STR("output_tokens"), 0), 8 + 2 + 4);
    end();
}

TEST(sim_the_events_of_a_custom_tool_have_their_own_names)
{
    yyjson_val *last;

    begin();
    const struct response *r =
        respond("{" IN ",\"tools\":[{\"type\":\"custom\",\"name\":\"run_sql\"}],\"tool_choice\":\"required\"}", 6);
    CHECK(r != NULL);
    CHECK_STR(event_types(r, &last),
              "created\nin_progress\noutput_item.added\ncustom_tool_call_input.delta\ncustom_tool_call_input.done\n"
              "output_item.done\ncompleted\n");
    end();
}

TEST(sim_a_response_that_is_cut_is_incomplete)
{
    yyjson_val *last;

    begin();
    const struct response *r = respond("{" IN ",\"max_output_tokens\":16}", 20);
    CHECK(r != NULL);
    struct str types = event_types(r, &last);
    CHECK(str_ends(types, STR("\noutput_item.done\nincomplete\n")));
    yyjson_val *whole = json_get(last, STR("response"));
    CHECK_STR(json_get_str(whole, STR("status"), STR("")), "incomplete");
    CHECK_STR(json_get_str(json_get(whole, STR("incomplete_details")), STR("reason"), STR("")), "max_output_tokens");
    CHECK_EQ(json_get_i64(json_get(whole, STR("usage")), STR("output_tokens"), 0), 16);
    end();
}

TEST(sim_a_background_stream_is_queued_first)
{
    yyjson_val *last;

    begin();
    const struct response *r = respond("{" IN ",\"background\":true,\"stream\":true}", 1);
    CHECK(r != NULL);
    CHECK(str_starts(event_types(r, &last), STR("queued\ncreated\nin_progress\n")));
    end();
}

TEST(sim_the_object_has_every_key_of_the_reference)
{
    static const char *const keys[] = {
        "id",
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
        "metadata",
    };
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 20);
    yyjson_val *v;

    begin();
    const struct response *r = respond("{" IN ",\"temperature\":0.5,\"metadata\":{\"k\":\"v\"},\"instructions\":\"be "
                                       "brief\",\"text\":{\"verbosity\":\"low\"}}",
                                       5);
    CHECK(r != NULL);
    CHECK_OK(response_write(r, "completed", true, &json));
    CHECK_OK(json_parse(&a, buf_str(&json), NULL, 0, &v));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        CHECK_MSG(json_get(v, str_from_c(keys[i])) != NULL, "%s is missing", keys[i]);
    CHECK(json_get_double(v, STR("temperature"), 0) == 0.5);
    CHECK_STR(json_get_str(json_get(v, STR("metadata")), STR("k"), STR("")), "v");
    CHECK_STR(json_get_str(json_get(v, STR("text")), STR("verbosity"), STR("")), "low");
    CHECK_STR(json_get_str(v, STR("instructions"), STR("")), "be brief");
    end();
}

TEST(sim_a_kept_response_is_replaced_whole)
{
    static char body[8 << 10];
    char id[16];

    begin();
    for (int i = 0; i < 2; i++)
        response_store_add(store, &(struct stored_response){.id = STR("x"), .body = str_of(body, sizeof(body))});
    for (int i = 0; i < 6; i++) { /* with "x" that fills the store; a second "x" would have to go */
        int n = snprintf(id, sizeof(id), "r%d", i);
        response_store_add(store,
                           &(struct stored_response){.id = str_of(id, (size_t)n), .body = str_of(body, sizeof(body))});
    }
    CHECK(response_store_find(store, STR("x")) != NULL);
    end();
}

TEST(sim_kept_responses_are_bounded_and_replaceable)
{
    char id[16], *big = arena_alloc((begin(), &a), 8 << 10);

    memset(big, 'x', 8 << 10);
    for (int i = 0; i < 12; i++) {
        int n = snprintf(id, sizeof(id), "r%d", i);
        response_store_add(store, &(struct stored_response){.id = str_of(id, (size_t)n), .body = str_of(big, 8 << 10)});
    }
    CHECK(response_store_find(store, STR("r0")) == NULL); /* 12 times 8 KiB are more than 64 */
    CHECK(response_store_find(store, STR("r4")) == NULL);
    CHECK(response_store_find(store, STR("r6")) != NULL);
    CHECK(response_store_find(store, STR("r11")) != NULL);
    struct stored_response changed = *response_store_find(store, STR("r11"));
    changed.hash = 77;
    response_store_add(store, &changed); /* borrows from the one that it replaces */
    CHECK_EQ(response_store_find(store, STR("r11"))->hash, 77);
    CHECK_EQ(response_store_find(store, STR("r11"))->body.n, 8 << 10);
    CHECK(response_store_find(store, STR("r6")) != NULL);
    CHECK(response_store_remove(store, STR("r11")));
    CHECK(!response_store_remove(store, STR("r11")));
    response_store_free(store);
    store = response_store_new(64 << 20);
    for (int i = 0; i <= RESPONSE_STORE_COUNT; i++) {
        int n = snprintf(id, sizeof(id), "s%d", i);
        response_store_add(store, &(struct stored_response){.id = str_of(id, (size_t)n)});
    }
    CHECK(response_store_find(store, STR("s0")) == NULL);
    CHECK(response_store_find(store, STR("s1")) != NULL);
    end();
}
