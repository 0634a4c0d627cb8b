/* sim_chat_test.c - chat requests as they are read, and chat answers as they are written. */
#include "base/prng.h"
#include "codec/json.h"
#include "codec/sse.h"
#include "sim/answer.h"
#include "sim/chat_read.h"
#include "sim/chat_write.h"
#include "unit/test.h"

static struct arena a;

static void begin(void)
{
    arena_release(&a);
    arena_init(&a, 64 << 20);
}

static struct str param_of(const struct sim_refusal *r)
{
    return r->param.p ? r->param : STR("null");
}

/* --- reading --- */

static void check_refused(const char *body, const char *param, const char *code)
{
    struct sim_refusal r = {0};
    struct question q;

    begin();
    test_context("%s", body);
    CHECK(!chat_read_plain(&a, str_from_c(body), &q));
    CHECK_ERR(chat_read(&a, str_from_c(body), true, &q, &r), E_PARSE);
    CHECK_EQ(r.status, 400);
    CHECK_STR(str_from_c(r.type), "invalid_request_error");
    CHECK_STR(param_of(&r), param);
    CHECK_STR(str_from_c(r.code ? r.code : "null"), code);
    CHECK_GT(r.message.n, 10);
    test_context("%s", "");
}

#define M "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"tide?\"}]"
#define TOOLS "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_tide\"}}]"
#define CALL                                                                                                           \
    "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","       \
    "\"arguments\":\"\"}}]}"

TEST(sim_chat_requests_that_openai_refuses_are_refused)
{
    static const struct {
        const char *body, *param, *code;
    } cases[] = {
        {"", "null", "null"},
        {"{", "null", "null"},
        {"[]", "body", "invalid_type"},
        {"{}", "model", "missing_required_parameter"},
        {"{\"model\":\"m\"}", "messages", "missing_required_parameter"},
        {"{\"model\":1,\"messages\":[]}", "model", "invalid_type"},
        {"{\"model\":\"m\",\"messages\":[]}", "messages", "array_below_min_length"},
        {"{\"model\":\"m\",\"messages\":{}}", "messages", "invalid_type"},
        {"{\"model\":\"m\",\"messages\":[1]}", "messages[0]", "invalid_type"},
        {"{\"model\":\"m\",\"messages\":[{\"content\":\"x\"}]}", "messages[0].role", "missing_required_parameter"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"bot\",\"content\":\"x\"}]}", "messages[0].role", "invalid_value"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "messages[0].content", "invalid_type"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":5}]}", "messages[0].content", "invalid_type"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "messages[0].content", "empty_array"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
         "messages[0].content[0].text", "missing_required_parameter"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}",
         "messages[0].content[0].type", "invalid_value"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]}]}",
         "messages[0].content[0].image_url.url", "missing_required_parameter"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"x\"}]}",
         "messages[0].role", "null"},
        {"{\"model\":\"m\",\"messages\":[" CALL "]}", "messages.[0].role", "null"},
        {"{\"model\":\"m\",\"messages\":[" CALL ",{\"role\":\"user\",\"content\":\"x\"}]}", "messages.[0].role",
         "null"},
        {"{\"model\":\"m\",\"messages\":[" CALL ",{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"x\"}]}",
         "messages[1].role", "null"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[]}]}", "messages[0].tool_calls",
         "empty_array"},
        {"{\"model\":\"m\",\"messages\":[" CALL
         ",{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"x\"}]}",
         "messages.[0].role", "null"},
        {"{" M ",\"seed\":01}", "null", "null"},
        {"{" M ",\"temperature\":2.1}", "temperature", "decimal_above_max_value"},
        {"{" M ",\"temperature\":-0.1}", "temperature", "decimal_below_min_value"},
        {"{" M ",\"top_p\":1.5}", "top_p", "decimal_above_max_value"},
        {"{" M ",\"n\":0}", "n", "integer_below_min_value"},
        {"{" M ",\"n\":129}", "n", "integer_above_max_value"},
        {"{" M ",\"n\":1.5}", "n", "invalid_type"},
        {"{" M ",\"max_tokens\":0}", "max_tokens", "integer_below_min_value"},
        {"{" M ",\"max_tokens\":1,\"max_completion_tokens\":1}", "max_tokens", "invalid_parameter_combination"},
        {"{" M ",\"stream\":1}", "stream", "invalid_type"},
        {"{" M ",\"stream_options\":{\"include_usage\":true}}", "stream_options", "null"},
        {"{" M ",\"stream\":true,\"stream_options\":{\"include_usage\":1}}", "stream_options.include_usage",
         "invalid_type"},
        {"{" M ",\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}", "stop", "array_above_max_length"},
        {"{" M ",\"stop\":[1]}", "stop[0]", "invalid_type"},
        {"{" M ",\"stop\":{}}", "stop", "invalid_type"},
        {"{" M ",\"top_logprobs\":3}", "top_logprobs", "null"},
        {"{" M ",\"logprobs\":true,\"top_logprobs\":21}", "top_logprobs", "integer_above_max_value"},
        {"{" M ",\"logit_bias\":{\"5\":101}}", "logit_bias", "invalid_value"},
        {"{" M ",\"reasoning_effort\":\"lots\"}", "reasoning_effort", "invalid_value"},
        {"{" M ",\"service_tier\":\"best\"}", "service_tier", "invalid_value"},
        {"{" M ",\"tools\":[]}", "tools", "array_below_min_length"},
        {"{" M ",\"tools\":[{}]}", "tools[0].type", "missing_required_parameter"},
        {"{" M ",\"tools\":[{\"type\":\"function\"}]}", "tools[0].function", "missing_required_parameter"},
        {"{" M ",\"tools\":[{\"type\":\"hammer\"}]}", "tools[0].type", "invalid_value"},
        {"{" M ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]}", "tools[0].function.name",
         "invalid_value"},
        {"{" M ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":[]}}]}",
         "tools[0].function.parameters", "invalid_type"},
        {"{" M ",\"tool_choice\":\"auto\"}", "tool_choice", "null"},
        {"{" M "," TOOLS ",\"tool_choice\":\"always\"}", "tool_choice", "invalid_value"},
        {"{" M "," TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"other\"}}}", "tool_choice",
         "null"},
        {"{" M ",\"parallel_tool_calls\":true}", "parallel_tool_calls", "null"},
        {"{" M ",\"function_call\":\"auto\"}", "function_call", "null"},
        {"{" M ",\"response_format\":{\"type\":\"xml\"}}", "response_format.type", "invalid_value"},
        {"{" M ",\"response_format\":{\"type\":\"json_object\"}}", "messages", "null"},
        {"{" M ",\"response_format\":{\"type\":\"json_schema\"}}", "response_format.json_schema",
         "missing_required_parameter"},
        {"{" M ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a/b\"}}}",
         "response_format.json_schema.name", "invalid_value"},
        {"{" M ",\"tempurature\":1}", "tempurature", "unknown_parameter"},
        {"{" M ",\"metadata\":{\"a\":\"1\",\"b\":\"1\",\"c\":\"1\",\"d\":\"1\",\"e\":\"1\",\"f\":\"1\",\"g\":\"1\","
         "\"h\":\"1\",\"i\":\"1\",\"j\":\"1\","
         "\"k\":\"1\",\"l\":\"1\",\"m\":\"1\",\"n\":\"1\",\"o\":\"1\",\"p\":\"1\",\"q\":\"1\"}}",
         "metadata", "object_above_max_properties"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases) && !test_failed(); i++)
        check_refused(cases[i].body, cases[i].param, cases[i].code);
    arena_release(&a);
}

static bool same_question(const struct question *x, const struct question *y)
{
    return str_eq(x->model, y->model) && str_eq(x->asked, y->asked) && x->hash == y->hash &&
           x->prompt_tokens == y->prompt_tokens && x->max_tokens == y->max_tokens && x->n == y->n &&
           x->stop_count == y->stop_count && x->tool_count == y->tool_count && x->format == y->format &&
           x->stream == y->stream && x->include_usage == y->include_usage && x->parallel == y->parallel &&
           x->result.p == y->result.p && x->logprobs == y->logprobs && x->reasoning_tokens == y->reasoning_tokens;
}

TEST(sim_plain_requests_take_the_short_way)
{
    static const char *const bodies[] = {
        "{" M "}",
        " { \"messages\" : [ { \"content\" : \"a\\n\\\"b\\\" \\\\ \xc3\xa4\" , \"role\":\"system\" } , "
        "{\"role\":\"user\",\"content\":\"\"} ] ,\n"
        "\"model\" : \"x/y\" , \"temperature\" : 0.7 , \"top_p\":1, "
        "\"n\":1,\"seed\":-5,\"user\":\"u\",\"max_tokens\":100 }\t",
        "{" M ",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_completion_tokens\":9}",
        "{" M ",\"stream\":false,\"presence_penalty\":-2,\"frequency_penalty\":2.00}",
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct question plain, full;
        struct sim_refusal r;
        begin();
        CHECK_MSG(chat_read_plain(&a, str_from_c(bodies[i]), &plain), "%s", bodies[i]);
        CHECK_OK(chat_read(&a, str_from_c(bodies[i]), true, &full, &r));
        CHECK_MSG(same_question(&plain, &full), "%s", bodies[i]);
    }
    arena_release(&a);
}

TEST(sim_null_is_as_good_as_absent)
{
    struct question q;
    struct sim_refusal r = {0};

    begin();
    CHECK_OK(chat_read(&a,
                       STR("{" M ",\"temperature\":null,\"n\":null,\"stop\":null,\"tools\":null,\"tool_choice\":null,"
                           "\"stream_options\":null,\"response_format\":null,\"functions\":null}"),
                       true, &q, &r));
    CHECK_EQ(q.n, 1);
    arena_release(&a);
}

TEST(sim_a_field_that_comes_twice_is_not_for_the_short_way)
{
    struct question q;

    begin();
    CHECK(!chat_read_plain(&a, STR("{" M ",\"max_tokens\":1,\"max_tokens\":2}"), &q));
    CHECK(!chat_read_plain(
        &a, STR("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"role\":\"user\"}]}"), &q));
    arena_release(&a);
}

TEST(sim_the_short_way_never_takes_what_the_long_one_reads_otherwise)
{
    static const char alphabet[] = "{}[]\",:.-+eE0123456789truefalsnl\\u \n\x01\x7f\xc3\xa4\xff"
                                   "modelmessagesrolecontentuser";
    static const char *const seeds[] = {
        "{" M
        ",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"temperature\":0.25,\"max_tokens\":17,\"n\":1}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\\tb\\/"
        "\xe2\x82\xac\"},{\"role\":\"assistant\",\"content\":\"c\"}],"
        "\"seed\":12,\"user\":\"x\",\"top_p\":0.5}",
    };
    struct prng prng;
    unsigned taken = 0;

    prng_seed(&prng, test_seed());
    for (uint64_t round = 0; round < test_rounds(40000); round++) {
        char body[400];
        const char *from = seeds[round % ARRAY_LEN(seeds)];
        size_t n = strlen(from);
        struct question plain, full;
        struct sim_refusal r = {0};
        memcpy(body, from, n);
        for (uint64_t k = prng_below(&prng, 3) + 1; k > 0; k--) {
            size_t at = prng_below(&prng, n);
            if (prng_chance(&prng, 0.3)) {
                memmove(body + at, body + at + 1, n - at - 1);
                n--;
            } else {
                body[at] = alphabet[prng_below(&prng, sizeof(alphabet) - 1)];
            }
        }
        begin();
        if (!chat_read_plain(&a, str_of(body, n), &plain))
            continue;
        taken++;
        err_t e = chat_read(&a, str_of(body, n), true, &full, &r);
        CHECK_MSG(e == OK && same_question(&plain, &full), "round %llu: %.*s: %.*s", (unsigned long long)round, (int)n,
                  body, STR_ARG(r.message));
    }
    CHECK_GT(taken, 100); /* else this shows nothing */
    arena_release(&a);
}

TEST(sim_prompts_are_counted_as_documented)
{
    struct question q;
    struct sim_refusal r;

    begin();
    CHECK_OK(chat_read(
        &a,
        STR("{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"abcde\"},{\"role\":\"user\",\"content\":"
            "["
            "{\"type\":\"text\",\"text\":\"abcd\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\"}}]}]}"),
        true, &q, &r));
    CHECK_EQ(q.prompt_tokens, 3 + (4 + 2) + (4 + 1 + 85));
    CHECK_STR(q.asked, "abcd");
    arena_release(&a);
}

/* --- answering --- */

static bool ask(const char *body, size_t length, struct question *q, struct sim_answer *answer)
{
    struct sim_refusal r;

    begin();
    return chat_read(&a, str_from_c(body), true, q, &r) == OK && sim_answer_make(&a, q, 1, length, answer) == OK;
}

TEST(sim_max_tokens_and_stops_really_cut)
{
    struct question q;
    struct sim_answer answer;

    CHECK(ask("{" M "}", 20, &q, &answer));
    CHECK_EQ(answer.tokens, 20);
    CHECK_EQ(answer.choices[0].finish, SIM_STOP);
    CHECK(ask("{" M ",\"max_tokens\":7}", 20, &q, &answer));
    CHECK_EQ(answer.tokens, 7);
    CHECK_EQ(answer.choices[0].finish, SIM_LENGTH);
    CHECK(ask("{" M ",\"max_tokens\":20}", 20, &q, &answer));
    CHECK_EQ(answer.choices[0].finish, SIM_STOP);
    CHECK(ask("{" M ",\"stop\":[\"asked\",\"zzz\"],\"max_tokens\":7}", 20, &q, &answer));
    CHECK_STR(answer.choices[0].text, "[simulated] You ");
    CHECK_EQ(answer.choices[0].finish, SIM_STOP);
    CHECK_EQ(answer.tokens, 4);
    CHECK(ask("{" M ",\"reasoning_effort\":\"low\",\"max_completion_tokens\":10}", 20, &q, &answer));
    CHECK_EQ(answer.reasoning_tokens, 8);
    CHECK_EQ(answer.tokens, 10);
    CHECK_EQ(answer.choices[0].finish, SIM_LENGTH);
    CHECK(ask("{" M ",\"reasoning_effort\":\"high\",\"max_completion_tokens\":10}", 20, &q, &answer));
    CHECK_EQ(answer.tokens, 10);
    CHECK_EQ(answer.choices[0].text.n, 0);
    arena_release(&a);
}

TEST(sim_the_same_question_gets_the_same_answer_and_choices_differ)
{
    struct question q;
    struct sim_answer one, other;

    CHECK(ask("{" M ",\"n\":3}", 60, &q, &one));
    CHECK(!str_eq(one.choices[0].text, one.choices[1].text));
    CHECK(!str_eq(one.choices[1].text, one.choices[2].text));
    char first[400];
    size_t n = one.choices[0].text.n;
    CHECK_LT(n, sizeof(first));
    memcpy(first, one.choices[0].text.p, n);
    CHECK(ask("{\"temperature\":1, \"messages\":[{\"content\":\"tide\\u003f\",\"role\":\"user\"}],\"model\":\"m\"}", 60,
              &q, &other));
    CHECK(str_eq(str_of(first, n), other.choices[0].text));
    CHECK(ask("{\"messages\":[{\"content\":\"tide!\",\"role\":\"user\"}],\"model\":\"m\"}", 60, &q, &other));
    CHECK(!str_eq(str_of(first, n), other.choices[0].text));
    arena_release(&a);
}

/* Names of the tools that are called, joined. */
static struct str called(const char *asked, const char *settings)
{
    static const char tools[] =
        "{\"type\":\"function\",\"function\":{\"name\":\"get_tide\"}},{\"type\":\"function\",\"function\":{\"name\":"
        "\"readWeatherReport\"}},{\"type\":\"custom\",\"custom\":{\"name\":\"run_sql\"}}";
    struct question q;
    struct sim_answer answer;
    struct sim_refusal r;

    begin();
    struct str body = arena_printf(&a, "{\"model\":\"m\",\"tools\":[%s],\"messages\":[%s]%s}", tools, asked, settings),
               names = STR("");
    if (chat_read(&a, body, true, &q, &r) != OK || sim_answer_make(&a, &q, 1, 20, &answer) != OK)
        return STR("failed");
    for (size_t i = 0; i < answer.choices[0].call_count; i++)
        names = arena_printf(&a, "%.*s%.*s ", STR_ARG(names), STR_ARG(answer.choices[0].calls[i].name));
    return str_trim(names);
}

#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"

TEST(sim_tools_are_called_when_they_are_named)
{
    CHECK_STR(called(USER("Hello"), ""), "");
    CHECK_STR(called(USER("How do I get there?"), ""), "");
    CHECK_STR(called(USER("What is the TIDE?"), ""), "get_tide");
    CHECK_STR(called(USER("tides, please"), ""), "get_tide");
    CHECK_STR(called(USER("a tidelike thing"), ""), "");
    CHECK_STR(called(USER("call get_tide"), ""), "get_tide");
    CHECK_STR(called(USER("Any weather report?"), ""), "readWeatherReport");
    CHECK_STR(called(USER("tide and weather"), ""), "get_tide readWeatherReport");
    CHECK_STR(called(USER("tide and weather"), ",\"parallel_tool_calls\":false"), "get_tide");
    CHECK_STR(called(USER("some sql"), ""), "run_sql");
    CHECK_STR(called(USER("tide"), ",\"tool_choice\":\"none\""), "");
    CHECK_STR(called(USER("Hello"), ",\"tool_choice\":\"required\""), "get_tide");
    CHECK_STR(called(USER("weather"), ",\"tool_choice\":\"required\""), "readWeatherReport");
    CHECK_STR(called(USER("weather"), ",\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"run_sql\"}}"),
              "run_sql");
    CHECK_STR(called(USER("tide and weather"),
                     ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":"
                     "[{\"type\":\"function\",\"function\":{\"name\":\"readWeatherReport\"}}]}}"),
              "readWeatherReport");
    CHECK_STR(
        called(USER("tide") ",{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":"
                            "{\"name\":\"get_tide\","
                            "\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"3 m\"}",
               ""),
        "");
    arena_release(&a);
}

TEST(sim_a_tool_result_is_quoted)
{
    struct question q;
    struct sim_answer answer;

    CHECK(ask("{\"model\":\"m\",\"messages\":[" CALL
              ",{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"3.2 m\"}]}",
              20, &q, &answer));
    CHECK(str_starts(answer.choices[0].text, STR("[simulated] The tool said: \"3.2 m\"")));
    CHECK(ask("{\"model\":\"m\",\"messages\":[" CALL ",{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"3.2 "
              "m\"},{\"role\":\"user\",\"content\":\"and now?\"}]}",
              20, &q, &answer));
    CHECK(str_starts(answer.choices[0].text, STR("[simulated] You asked: \"and now?\"")));
    arena_release(&a);
}

TEST(sim_structured_answers_are_json)
{
    struct question q;
    struct sim_answer answer;
    yyjson_val *v;

    CHECK(ask("{\"model\":\"m\",\"messages\":[" USER(
                  "as JSON, \\\"please\\\"") "],\"response_format\":{\"type\":\"json_object\"}}",
              20, &q, &answer));
    CHECK_OK(json_parse(&a, answer.choices[0].text, NULL, 0, &v));
    CHECK_STR(json_get_str(v, STR("question"), STR("")), "as JSON, \"please\"");
    CHECK(ask("{" M ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{"
              "\"type\":\"object\",\"required\":"
              "[\"level\"],\"properties\":{\"level\":{\"type\":\"integer\",\"minimum\":3,\"maximum\":3}}}}}}",
              20, &q, &answer));
    CHECK_STR(answer.choices[0].text, "{\"level\":3}");
    CHECK(!ask("{" M ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{"
               "\"type\":\"array\",\"minItems\":"
               "100000}}}}",
               20, &q, &answer));
    arena_release(&a);
}

/* --- writing --- */

static const struct sim_mark mark = {.unique = 42, .created = 1790000000};

/* What a client makes of a stream. */
struct heard {
    struct buf texts[4], names[4], arguments[4]; /* by choice; of all its calls */
    struct str finish[4];
    unsigned chunks, roles, usages, nulls, dones, tokens, closing;
    bool closed, bad;
    uint64_t completion_tokens;
};

static void hear_choice(struct heard *h, yyjson_val *choice)
{
    size_t index = (size_t)json_get_i64(choice, STR("index"), 99), i, n;
    yyjson_val *delta = json_get(choice, STR("delta")), *call;

    if (index >= ARRAY_LEN(h->texts) || h->finish[index].p) {
        h->bad = true;
        return;
    }
    h->roles += str_eq(json_get_str(delta, STR("role"), STR("")), STR("assistant"));
    buf_add(&h->texts[index], json_get_str(delta, STR("content"), STR("")));
    yyjson_arr_foreach(json_get(delta, STR("tool_calls")), i, n, call)
    {
        yyjson_val *function = json_get(call, STR("function"));
        struct str name = json_get_str(function, STR("name"), STR_NONE);
        if (name.p)
            buf_addf(&h->names[index], "%lld:%.*s ", (long long)json_get_i64(call, STR("index"), -1), STR_ARG(name));
        h->bad |= name.p && !str_starts(json_get_str(call, STR("id"), STR("")), STR("call_"));
        buf_add(&h->arguments[index], json_get_str(function, STR("arguments"), STR("")));
    }
    h->finish[index] = json_get_str(choice, STR("finish_reason"), STR_NONE);
}

static void hear_chunk(struct heard *h, struct str data)
{
    yyjson_val *v, *choice, *usage;
    size_t i, n;

    if (str_eq(data, STR("[DONE]"))) {
        h->dones++;
        return;
    }
    h->chunks++;
    if (h->dones || json_parse(&a, data, NULL, 0, &v) != OK ||
        !str_eq(json_get_str(v, STR("object"), STR("")), STR("chat.completion.chunk")) ||
        json_get_i64(v, STR("created"), 0) != mark.created) {
        h->bad = true;
        return;
    }
    usage = json_get(v, STR("usage"));
    h->nulls += yyjson_is_null(usage);
    if (yyjson_is_obj(usage)) {
        h->usages++;
        h->bad |= yyjson_arr_size(json_get(v, STR("choices"))) != 0;
        h->completion_tokens = (uint64_t)json_get_i64(usage, STR("completion_tokens"), 0);
    }
    yyjson_arr_foreach(json_get(v, STR("choices")), i, n, choice)
    {
        hear_choice(h, choice);
    }
}

static struct heard *hear_stream(struct sim_feed *feed)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(64 << 20);
    struct sse sse CLEANUP(sse_release);
    struct sse_event event;
    struct sim_step step;
    struct heard *h = arena_new(&a, struct heard); /* the arena empties its buffers */

    for (int i = 0; i < 4; i++) {
        h->texts[i].max = h->names[i].max = h->arguments[i].max = 1 << 20;
        arena_hold(&a, &h->texts[i], (void (*)(void *))buf_release);
        arena_hold(&a, &h->names[i], (void (*)(void *))buf_release);
        arena_hold(&a, &h->arguments[i], (void (*)(void *))buf_release);
    }
    while (feed->next(feed, &bytes, &step)) {
        h->tokens += (unsigned)step.tokens;
        h->closing += step.closing;
    }
    sse_init(&sse, 0);
    struct str in = buf_str(&bytes);
    while (sse_next(&sse, &in, &event) == SSE_EVENT)
        hear_chunk(h, arena_str(&a, event.data));
    h->bad |= sse_is_within_event(&sse) || feed->next(feed, &bytes, &step);
    return h;
}

TEST(sim_a_whole_answer_has_the_form_of_the_reference)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct question q;
    struct sim_answer answer;

    CHECK(ask("{" M ",\"max_tokens\":3}", 20, &q, &answer));
    chat_write(&q, &answer, &mark, &json);
    char id[SIM_ID_MAX];
    size_t n = sim_id(id, "chatcmpl-", 42, 0);
    CHECK_EQ(n, 9 + 24);
    struct str want = arena_printf(&a,
                                   "{\"id\":\"%.*s\",\"object\":\"chat.completion\",\"created\":1790000000,\"model\":"
                                   "\"m\",\"service_tier\":\"default\","
                                   "\"system_fingerprint\":\"fp_simulated\",\"choices\":[{\"index\":0,\"message\":{"
                                   "\"role\":\"assistant\",\"content\":\"[simulated] \","
                                   "\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":"
                                   "\"length\"}],\"usage\":{\"prompt_tokens\":9,"
                                   "\"completion_tokens\":3,\"total_tokens\":12,\"prompt_tokens_details\":{\"cached_"
                                   "tokens\":0,\"cache_write_tokens\":0,"
                                   "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_"
                                   "tokens\":0,\"accepted_prediction_tokens\":0,"
                                   "\"rejected_prediction_tokens\":0}}}",
                                   (int)n, id);
    CHECK(str_eq(buf_str(&json), want));
    arena_release(&a);
}

TEST(sim_a_stream_says_what_the_whole_answer_says)
{
    struct question q;
    struct sim_answer answer;

    CHECK(ask("{" M ",\"n\":3,\"stream\":true,\"stream_options\":{\"include_usage\":true},\"reasoning_effort\":\"low\","
              "\"logprobs\":true,"
              "\"top_logprobs\":2}",
              25, &q, &answer));
    const struct heard *h = hear_stream(chat_feed(&a, &q, &answer, &mark));
    CHECK(!h->bad);
    for (int i = 0; i < 3; i++) {
        CHECK(str_eq(buf_str(&h->texts[i]), answer.choices[i].text));
        CHECK_STR(h->finish[i], "stop");
    }
    CHECK_EQ(h->roles, 3);
    CHECK_EQ(h->dones, 1);
    CHECK_EQ(h->usages, 1);
    CHECK_EQ(h->nulls, h->chunks - 1);
    CHECK_EQ(h->chunks, 3 + 3 * 25 + 3 + 1);
    CHECK_EQ(h->tokens, answer.tokens);
    CHECK_EQ(h->completion_tokens, answer.tokens);
    CHECK_EQ(h->closing, 3 + 1 + 1);
    arena_release(&a);
}

TEST(sim_a_stream_without_include_usage_has_no_usage)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct question q;
    struct sim_answer answer;
    struct sim_step step;

    CHECK(ask("{" M ",\"stream\":true}", 5, &q, &answer));
    struct sim_feed *feed = chat_feed(&a, &q, &answer, &mark);
    while (feed->next(feed, &bytes, &step))
        continue;
    CHECK(str_find(buf_str(&bytes), STR("usage")) == bytes.n);
    CHECK(str_ends(buf_str(&bytes), STR("data: [DONE]\n\n")));
    arena_release(&a);
}

TEST(sim_streamed_tool_calls_come_in_pieces)
{
    struct question q;
    struct sim_answer answer;

    CHECK(ask("{\"model\":\"m\",\"stream\":true,\"messages\":[" USER(
                  "tide and weather in Brest") "],\"tools\":[{\"type\":\"function\","
                                               "\"function\":{\"name\":\"get_tide\",\"parameters\":{\"properties\":{"
                                               "\"port\":{\"type\":\"string\"}}}}},{\"type\":\"function\",\"function\":"
                                               "{\"name\":\"weather\"}}]}",
              20, &q, &answer));
    const struct heard *h = hear_stream(chat_feed(&a, &q, &answer, &mark));
    CHECK(!h->bad);
    CHECK_STR(buf_str(&h->names[0]), "0:get_tide 1:weather ");
    CHECK_STR(buf_str(&h->arguments[0]), "{\"port\":\"Brest\"}{}");
    CHECK_STR(h->finish[0], "tool_calls");
    CHECK_EQ(h->tokens, answer.tokens);
    CHECK_EQ(h->texts[0].n, 0);
    arena_release(&a);
}

TEST(sim_tool_calls_are_cut_by_max_tokens_alike_streamed_or_whole)
{
    for (int max = 1; max < 14; max++) {
        struct question q;
        struct sim_answer answer;
        begin();
        struct str body =
            arena_printf(&a,
                         "{\"model\":\"m\",\"max_tokens\":%d,\"messages\":[" USER(
                             "tide, weather") "],\"tools\":[{\"type\":\"function\","
                                              "\"function\":{\"name\":\"get_tide\",\"parameters\":{\"properties\":{"
                                              "\"port\":{\"type\":\"string\"}}}}},{\"type\":"
                                              "\"function\",\"function\":{\"name\":\"weather\"}}]}",
                         max);
        char text[512];
        memcpy(text, body.p, body.n + 1);
        CHECK(ask(text, 20, &q, &answer));
        test_context("max_tokens %d", max);
        CHECK_LE(answer.tokens, (size_t)max);
        CHECK_EQ(answer.choices[0].finish, max < 10 ? SIM_LENGTH : SIM_TOOL_CALLS);
        const struct heard *h = hear_stream(chat_feed(&a, &q, &answer, &mark));
        CHECK(!h->bad);
        CHECK_STR(h->finish[0], max < 10 ? "length" : "tool_calls");
    }
    arena_release(&a);
}

TEST(sim_legacy_functions_are_answered_in_kind)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct question q;
    struct sim_answer answer;
    yyjson_val *v;

    CHECK(ask("{" M ",\"functions\":[{\"name\":\"get_tide\"}]}", 20, &q, &answer));
    chat_write(&q, &answer, &mark, &json);
    CHECK_OK(json_parse(&a, buf_str(&json), NULL, 0, &v));
    yyjson_val *choice = yyjson_arr_get_first(json_get(v, STR("choices")));
    yyjson_val *call = json_get(json_get(choice, STR("message")), STR("function_call"));
    CHECK_STR(json_get_str(call, STR("name"), STR("")), "get_tide");
    CHECK_STR(json_get_str(call, STR("arguments"), STR("")), "{}");
    CHECK_STR(json_get_str(choice, STR("finish_reason"), STR("")), "function_call");
    arena_release(&a);
}
