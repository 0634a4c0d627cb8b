/*
 * sim_provider_test.c - the simulated provider behind the real server: pace, every kind of fault, counting, leaving.
 *
 * Most tests run in the simulated world and on the kernel's loopback; those of time in the former only. Scenarios are as
 * fast as their test allows, so that the kernel's runs take milliseconds.
 */
#include "codec/json.h"
#include "codec/sse.h"
#include "provider_world.h"

#include <stdio.h>

/* `by`: leave then. */
static struct heard ask_at(struct world *w, const char *method, const char *target, const char *x_sim, const char *body,
                           ns_t by) SUSPENDS;
static struct heard ask_at(struct world *w, const char *method, const char *target, const char *x_sim, const char *body,
                           ns_t by)
{
    struct http_header headers[] = {{STR("content-type"), STR("application/json")}, {STR("x-sim"), str_from_c(x_sim)}};

    return ask_with(w, method, target, headers, x_sim ? 2 : 1, body, by);
}

static struct heard ask(struct world *w, const char *x_sim, const char *body) SUSPENDS;
static struct heard ask(struct world *w, const char *x_sim, const char *body)
{
    return ask_at(w, "POST", "/v1/chat/completions", x_sim, body, NS_NEVER);
}

static struct heard get(struct world *w, const char *target) SUSPENDS;
static struct heard get(struct world *w, const char *target)
{
    return ask_at(w, "GET", target, NULL, NULL, NS_NEVER);
}

#define PLAIN "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"tide?\"}]}"
#define STREAM "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"tide?\"}]}"

/* A count of model "m", or of one of its faults; -1 if there is none. */
static int64_t count_of(struct world *w, const char *name)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 20);
    yyjson_val *v;

    if (sim_provider_stats(w->provider, &json) != OK || json_parse(&w->arena, buf_str(&json), NULL, 0, &v) != OK)
        return -1;
    yyjson_val *m = json_get(json_get(v, STR("models")), STR("m"));
    return json_get_i64(m, str_from_c(name), json_get_i64(json_get(m, STR("faults")), str_from_c(name), -1));
}

/* Text of a streamed answer; *ret_done: it had its [DONE]; *ret_bad: events whose data is not JSON. */
static struct str streamed_text(struct world *w, struct str body, bool *ret_done, unsigned *ret_bad)
{
    struct sse sse CLEANUP(sse_release);
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct sse_event event;
    yyjson_val *v;

    sse_init(&sse, 0);
    *ret_done = false;
    *ret_bad = 0;
    while (sse_next(&sse, &body, &event) == SSE_EVENT) {
        if (str_eq(event.data, STR("[DONE]")))
            *ret_done = true;
        else if (json_parse(&w->arena, event.data, NULL, 0, &v) != OK)
            (*ret_bad)++;
        else
            buf_add(&text, json_get_str(json_get(yyjson_arr_get_first(json_get(v, STR("choices"))), STR("delta")),
                                        STR("content"), STR("")));
    }
    return arena_str(&w->arena, buf_str(&text));
}

static struct str content_of(struct world *w, struct str body)
{
    yyjson_val *v;

    if (json_parse(&w->arena, body, NULL, 0, &v) != OK)
        return STR("not JSON");
    return json_get_str(json_get(yyjson_arr_get_first(json_get(v, STR("choices"))), STR("message")), STR("content"),
                        STR("none"));
}

static struct str error_of(struct world *w, struct str body, const char *member)
{
    yyjson_val *v;

    if (json_parse(&w->arena, body, NULL, 0, &v) != OK)
        return STR("not JSON");
    return json_get_str(json_get(v, STR("error")), str_from_c(member), STR("null"));
}

/* --- plain --- */

SIM_TEST(sim_a_question_is_answered_alike_whole_and_streamed, NULL)
{
    bool done;
    unsigned bad;

    struct heard whole = ask(w, NULL, PLAIN);
    CHECK_OK(whole.error);
    CHECK_EQ(whole.status, 200);
    CHECK_STR(http_head_find(whole.head, STR("x-simulated")), "true");
    CHECK_STR(http_head_find(whole.head, STR("content-type")), "application/json");
    struct str text = content_of(w, whole.body);
    CHECK(str_starts(text, STR("[simulated] You asked: \"tide?\" ")));
    struct heard stream = ask(w, NULL, STREAM);
    CHECK_OK(stream.error);
    CHECK(str_starts(http_head_find(stream.head, STR("content-type")), STR("text/event-stream")));
    CHECK(str_eq(streamed_text(w, stream.body, &done, &bad), text));
    CHECK(done);
    CHECK_EQ(bad, 0);
    CHECK_EQ(count_of(w, "requests"), 2);
    CHECK_EQ(count_of(w, "completed"), 2);
    CHECK_EQ(count_of(w, "streams"), 1);
    CHECK_EQ(count_of(w, "completion_tokens"), 40);
    CHECK_EQ(count_of(w, "cancelled"), 0);
}

SIM_TEST(sim_paths_work_with_and_without_v1, NULL)
{
    static const char *const good[] = {
        "/v1/models", "/models", "/v1/v1/models", "/v1/models/", "/v1/models/any%2Fthing", "/sim/stats"};
    static const char *const bad[] = {"/v1",         "/v1/",       "/v1/models/%zz",
                                      "/v1/modelsx", "/v2/models", "/v1/responses/a/b"};

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct heard h = get(w, good[i]);
        CHECK_MSG(h.status == 200, "%s: %d", good[i], h.status);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct heard h = get(w, bad[i]);
        CHECK_MSG(h.status == 404 || h.status == 405, "%s: %d", bad[i], h.status);
        CHECK_STR(error_of(w, h.body, "type"), "invalid_request_error");
    }
    struct heard h = get(w, "/v1/chat/completions");
    CHECK_EQ(h.status, 405);
    CHECK_STR(error_of(w, h.body, "code"), "method_not_supported");
}

SIM_TEST(sim_an_unknown_model_is_a_404, "models: {other: {}}")
{
    struct heard h = ask(w, NULL, PLAIN);

    CHECK_EQ(h.status, 404);
    CHECK_STR(error_of(w, h.body, "code"), "model_not_found");
    CHECK_EQ(get(w, "/v1/models/m").status, 404);
    CHECK_EQ(get(w, "/v1/models/other").status, 200);
}

static struct heard ask_as(struct world *w, const char *key, const char *body) SUSPENDS;
static struct heard ask_as(struct world *w, const char *key, const char *body)
{
    struct http_header headers[] = {
        {STR("content-type"), STR("application/json")},
        {STR("authorization"), arena_printf(&w->arena, "Bearer %s", key)},
    };
    return ask_with(w, "POST", "/v1/chat/completions", headers, 2, body, NS_NEVER);
}

#define OTHER "{\"model\":\"n\",\"messages\":[{\"role\":\"user\",\"content\":\"tide?\"}]}"

SIM_TIMED_TEST(sim_limits_hold_per_key_and_model_and_answers_tell_what_is_left,
               "models: {m: {limits: {requests: 2, tokens: 1000, window: 1s}}, n: {limits: {requests: 1}}}")
{
    ns_t begun = rt_now();
    struct heard h = ask_as(w, "a", PLAIN);
    CHECK_EQ(h.status, 200);
    CHECK_STR(http_head_find(h.head, STR("x-ratelimit-limit-requests")), "2");
    CHECK_STR(http_head_find(h.head, STR("x-ratelimit-remaining-requests")), "1");
    CHECK_STR(http_head_find(h.head, STR("x-ratelimit-limit-tokens")), "1000");
    struct str left = http_head_find(h.head, STR("x-ratelimit-remaining-tokens"));
    CHECK(left.n == 3 && left.p[0] == '9'); /* prompt and answer, which are known by then */
    CHECK(str_ends(http_head_find(h.head, STR("x-ratelimit-reset-requests")), STR("ms")));
    CHECK_EQ(ask_as(w, "a", STREAM).status, 200);
    h = ask_as(w, "a", PLAIN);
    CHECK_EQ(h.status, 429);
    CHECK_STR(http_head_find(h.head, STR("x-ratelimit-remaining-requests")), "0");
    CHECK_STR(http_head_find(h.head, STR("retry-after")), "1");
    CHECK(str_find(h.body, STR("rate_limit_exceeded")) < h.body.n);
    CHECK_EQ(ask_as(w, "b", PLAIN).status, 200); /* another key */
    CHECK_EQ(ask_as(w, "a", OTHER).status, 200); /* another model */
    CHECK_EQ(ask_as(w, "a", OTHER).status, 429);
    CHECK_EQ(count_of(w, "rate_limited"), 1);
    CHECK_OK(fiber_sleep_until(begun + 1100 * NS_MS));
    h = ask_as(w, "a", PLAIN);
    CHECK_EQ(h.status, 200);
    CHECK_STR(http_head_find(h.head, STR("x-ratelimit-remaining-requests")), "1");
}

SIM_TEST(sim_a_stream_that_overdraws_the_tokens_is_answered_and_the_next_request_is_not,
         "models: {m: {answer_tokens: 50, limits: {tokens: 20}}}")
{
    struct heard h = ask_as(w, "a", STREAM);
    CHECK_EQ(h.status, 200);
    CHECK_OK(h.error);
    CHECK_EQ(ask_as(w, "a", STREAM).status, 429);
}

SIM_TEST(sim_limits_are_told_in_anthropics_words_where_these_are_spoken,
         "models: {m: {limits: {requests: 3, input_tokens: 100, output_tokens: 500}}}")
{
    struct http_header headers[] = {{STR("content-type"), STR("application/json")},
                                    {STR("anthropic-version"), STR("2023-06-01")},
                                    {STR("x-api-key"), STR("a")}};
    struct heard h = ask_with(
        w, "POST", "/v1/messages", headers, 3,
        "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"tide?\"}]}", NS_NEVER);
    CHECK_EQ(h.status, 200);
    CHECK_STR(http_head_find(h.head, STR("anthropic-ratelimit-requests-remaining")), "2");
    CHECK_STR(http_head_find(h.head, STR("anthropic-ratelimit-input-tokens-limit")), "100");
    CHECK_STR(http_head_find(h.head, STR("anthropic-ratelimit-output-tokens-remaining")), "491");
    CHECK(!http_head_find(h.head, STR("anthropic-ratelimit-tokens-limit")).p);
    struct str reset = http_head_find(h.head, STR("anthropic-ratelimit-requests-reset"));
    CHECK(reset.n == 20 && reset.p[10] == 'T' && reset.p[19] == 'Z');
}

SIM_TIMED_TEST(sim_a_revoked_key_is_refused_for_its_time_or_its_model,
               "api_keys: [a, b]\nrevoked: [{key: a, to: 1s}, {key: b, model: m}]\nmodels: {m: {}, n: {}}")
{
    ns_t begun = rt_now();
    CHECK_EQ(ask_as(w, "a", PLAIN).status, 401);
    CHECK_EQ(ask_as(w, "b", PLAIN).status, 403);
    CHECK_EQ(ask_as(w, "b", OTHER).status, 200);
    CHECK_OK(fiber_sleep_until(begun + 1100 * NS_MS));
    CHECK_EQ(ask_as(w, "a", PLAIN).status, 200);
}

SIM_TEST(sim_keys_are_checked_if_the_scenario_has_any, "api_keys: [sk-right-key-1234]\nmodels: {m: {}}")
{
    struct http_header headers[] = {{STR("authorization"), STR("Bearer sk-right-key-1234")}};
    struct str body = STR(PLAIN);
    struct http_call_options o = {.method = STR("POST"),
                                  .target = STR("/v1/chat/completions"),
                                  .headers = headers,
                                  .count = 1,
                                  .body = &body,
                                  .body_parts = 1,
                                  .connect_by = NS_NEVER,
                                  .first_byte_by = NS_NEVER};
    struct http_call *c;

    struct heard none = ask(w, NULL, PLAIN);
    CHECK_EQ(none.status, 401);
    for (int right = 1; right >= 0; right--) {
        CHECK_OK(http_call_open(w->upstream, &w->arena, &o, NULL, &c));
        CHECK_EQ(http_call_head(c)->status, right ? 200 : 401);
        http_call_close(c);
        headers[0].value = STR("Bearer sk-right-key-1235");
    }
}

SIM_TEST(sim_overrides_need_permission, "models: {m: {}}")
{
    CHECK_EQ(ask(w, "fault=status", PLAIN).status, 400);
    CHECK_EQ(ask(w, NULL, PLAIN).status, 200);
    CHECK_EQ(count_of(w, "refused"), 1);
}

SIM_TEST(sim_names_without_end_share_an_entry, NULL)
{
    char body[200];

    for (int i = 0; i < 1100; i++) {
        snprintf(body, sizeof(body), "{\"model\":\"m%d\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", i);
        CHECK_EQ(ask(w, NULL, body).status, 200);
    }
    struct heard h = get(w, "/sim/stats");
    yyjson_val *v;
    CHECK_OK(json_parse(&w->arena, h.body, NULL, 0, &v));
    CHECK_EQ(yyjson_obj_size(json_get(v, STR("models"))), 1024);
    CHECK_EQ(json_get_i64(json_get(json_get(v, STR("models")), STR("*")), STR("requests"), 0), 1100 - 1023);
}

/* --- pace --- */

SIM_TEST(sim_answers_keep_their_pace, "models: {m: {ttft: 20ms, tokens_per_second: 1000, answer_tokens: 30}}")
{
    ns_t slack = loop_seams()->simulated ? 20 * NS_MS : 10 * NS_SEC; /* latency is up to 2 ms each way */

    struct heard whole = ask(w, NULL, PLAIN);
    CHECK_OK(whole.error);
    CHECK_GE(whole.first, 50 * NS_MS);
    CHECK_LE(whole.first, 50 * NS_MS + slack);
    struct heard stream = ask(w, NULL, STREAM);
    CHECK_OK(stream.error);
    CHECK_GE(stream.first, 20 * NS_MS);
    CHECK_GE(stream.last, 50 * NS_MS);
    CHECK_LE(stream.last, 50 * NS_MS + slack);
    if (loop_seams()->simulated)
        CHECK_LE(stream.first, 30 * NS_MS);
}

SIM_TEST(sim_a_schedule_counts_requests,
         "models: {m: {schedule: [{first_request: 2, last_request: 3, faults: [{kind: status, status: 502}]}]}}")
{
    static const int want[] = {200, 502, 502, 200};

    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        CHECK_EQ(ask(w, NULL, PLAIN).status, want[i]);
    CHECK_EQ(count_of(w, "status"), 2);
    CHECK_EQ(count_of(w, "completed"), 2);
}

/* --- faults --- */

SIM_TEST(sim_error_faults_have_their_status_and_headers, NULL)
{
    struct heard h = ask(w, "fault=status; status=500; message=it burns", PLAIN);
    CHECK_EQ(h.status, 500);
    CHECK_STR(error_of(w, h.body, "type"), "server_error");
    CHECK_STR(error_of(w, h.body, "message"), "it burns");
    CHECK(http_head_find(h.head, STR("retry-after")).p == NULL);
    h = ask(w, "fault=rate_limit;retry_after=1500ms", STREAM);
    CHECK_EQ(h.status, 429);
    CHECK_STR(http_head_find(h.head, STR("retry-after")), "2");
    CHECK_STR(http_head_find(h.head, STR("retry-after-ms")), "1500");
    CHECK_STR(error_of(w, h.body, "code"), "rate_limit_exceeded");
    h = ask(w, "fault=quota", PLAIN);
    CHECK_EQ(h.status, 429);
    CHECK_STR(error_of(w, h.body, "code"), "insufficient_quota");
    CHECK_EQ(count_of(w, "status"), 1);
    CHECK_EQ(count_of(w, "rate_limit"), 1);
    CHECK_EQ(count_of(w, "quota"), 1);
    CHECK_EQ(count_of(w, "completed"), 0);
}

SIM_TEST(sim_refuses_a_prompt_as_too_long_or_filtered, NULL)
{
    struct heard h = ask(w, "fault=context_length", PLAIN);
    CHECK_EQ(h.status, 400);
    CHECK_STR(error_of(w, h.body, "code"), "context_length_exceeded");
    CHECK_STR(error_of(w, h.body, "type"), "invalid_request_error");
    h = ask(w, "fault=content_filter;message=no", STREAM);
    CHECK_EQ(h.status, 400);
    CHECK_STR(error_of(w, h.body, "code"), "content_filter");
    CHECK_STR(error_of(w, h.body, "message"), "no");
    CHECK_STR(error_of(w, h.body, "param"), "messages");
    CHECK_EQ(count_of(w, "context_length"), 1);
    CHECK_EQ(count_of(w, "content_filter"), 1);
}

SIM_TEST(sim_resets_come_before_or_after_the_headers, NULL)
{
    struct heard before = ask(w, "fault=reset_before_headers", PLAIN);
    CHECK_NE(before.error, OK);
    CHECK_EQ(before.status, 0);
    struct heard after = ask(w, "fault=reset_after_headers", STREAM);
    CHECK_EQ(after.status, 200);
    CHECK_NE(after.error, OK);
    CHECK_EQ(after.body.n, 0);
    CHECK_GE(count_of(w, "reset_before_headers"), 1);
    CHECK_EQ(count_of(w, "reset_after_headers"), 1);
}

SIM_TEST(sim_a_stream_breaks_after_its_tokens, NULL)
{
    bool done;
    unsigned bad;

    for (unsigned tokens = 0; tokens < 25; tokens += 4) {
        char header[64];
        snprintf(header, sizeof(header), "fault=break_stream;after_tokens=%u", tokens);
        struct heard h = ask(w, header, STREAM);
        CHECK_EQ(h.status, 200);
        CHECK_NE(h.error, OK);
        struct str text = streamed_text(w, h.body, &done, &bad);
        CHECK_EQ(text.n, 4 * (tokens < 20 ? tokens : 20));
        CHECK(!done);
    }
    struct heard whole = ask(w, "fault=break_stream", PLAIN);
    CHECK_EQ(whole.status, 200);
    CHECK_NE(whole.error, OK);
    CHECK_GT(whole.body.n, 100);
    CHECK_EQ(count_of(w, "break_stream"), 8);
    CHECK_EQ(count_of(w, "completed"), 0);
}

SIM_TIMED_TEST(sim_a_stall_is_silence_and_then_the_rest, NULL)
{
    bool done;
    unsigned bad;

    struct heard stream = ask(w, "fault=stall;after_tokens=3;duration=50ms", STREAM);
    CHECK_OK(stream.error);
    CHECK_GE(stream.last - stream.first, 40 * NS_MS);
    CHECK_EQ(streamed_text(w, stream.body, &done, &bad).n, 80);
    CHECK(done);
    struct heard whole = ask(w, "fault=stall;duration=50ms", PLAIN);
    CHECK_OK(whole.error);
    CHECK_GE(whole.last - whole.first, 40 * NS_MS);
    CHECK_EQ(content_of(w, whole.body).n, 80);
    struct heard hang = ask(w, "fault=hang;duration=50ms", PLAIN);
    CHECK_OK(hang.error);
    CHECK_GE(hang.first, 50 * NS_MS);
    CHECK_EQ(count_of(w, "stall"), 2);
    CHECK_EQ(count_of(w, "hang"), 1);
    CHECK_EQ(count_of(w, "completed"), 3);
}

SIM_TEST(sim_json_is_malformed_in_one_event, NULL)
{
    bool done;
    unsigned bad;

    struct heard stream = ask(w, "fault=malformed_json;after_tokens=3", STREAM);
    CHECK_OK(stream.error);
    CHECK_EQ(streamed_text(w, stream.body, &done, &bad).n, 76);
    CHECK_EQ(bad, 1);
    CHECK(done);
    struct heard whole = ask(w, "fault=malformed_json", PLAIN);
    CHECK_OK(whole.error);
    CHECK_STR(content_of(w, whole.body), "not JSON");
    CHECK_EQ(count_of(w, "malformed_json"), 2);
}

SIM_TEST(sim_a_truncated_stream_ends_in_good_order_within_an_event, NULL)
{
    bool done;
    unsigned bad;

    struct heard stream = ask(w, "fault=truncated_sse;after_tokens=3", STREAM);
    CHECK_OK(stream.error);
    CHECK_EQ(streamed_text(w, stream.body, &done, &bad).n, 12);
    CHECK(!done);
    CHECK(!str_ends(stream.body, STR("\n\n")));
    struct heard whole = ask(w, "fault=truncated_sse", PLAIN);
    CHECK_OK(whole.error);
    CHECK_STR(content_of(w, whole.body), "not JSON");
    CHECK_EQ(count_of(w, "truncated_sse"), 2);
}

SIM_TEST(sim_an_error_event_ends_a_stream, NULL)
{
    bool done;
    unsigned bad;

    struct heard stream = ask(w, "fault=error_event;after_tokens=3;message=enough", STREAM);
    CHECK_OK(stream.error);
    CHECK_EQ(streamed_text(w, stream.body, &done, &bad).n, 12);
    CHECK(!done);
    CHECK(str_ends(
        stream.body,
        STR("data: {\"error\":{\"message\":\"enough\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n")));
    CHECK_EQ(ask(w, "fault=error_event", PLAIN).status, 500);
    CHECK_EQ(count_of(w, "error_event"), 2);
}

SIM_TIMED_TEST(sim_a_trickle_is_slow_and_whole, NULL)
{
    bool done;
    unsigned bad;

    struct heard whole = ask(w, "fault=slow_trickle;bytes=100;every=5ms", PLAIN);
    CHECK_OK(whole.error);
    CHECK_GE(whole.last - whole.first, 20 * NS_MS);
    CHECK_EQ(content_of(w, whole.body).n, 80);
    struct heard stream = ask(w, "fault=slow_trickle;bytes=500;every=5ms", STREAM);
    CHECK_OK(stream.error);
    CHECK_GE(stream.last - stream.first, 20 * NS_MS);
    CHECK_EQ(streamed_text(w, stream.body, &done, &bad).n, 80);
    CHECK(done);
    CHECK_EQ(count_of(w, "slow_trickle"), 2);
}

SIM_TEST(sim_faults_of_other_endpoints_are_in_their_dialect, NULL)
{
    struct heard h = ask_at(w, "POST", "/v1/responses", "fault=error_event;after_tokens=2",
                            "{\"model\":\"m\",\"input\":\"tide?\",\"stream\":true}", NS_NEVER);
    CHECK_OK(h.error);
    CHECK(str_find(h.body,
                   STR("event: error\ndata: {\"type\":\"error\",\"sequence_number\":6,\"code\":\"server_error\"")) <
          h.body.n);
    CHECK(str_find(h.body, STR("response.completed")) == h.body.n);
    h = ask_at(w, "POST", "/v1/completions", "fault=truncated_sse",
               "{\"model\":\"m\",\"prompt\":\"a\",\"stream\":true}", NS_NEVER);
    CHECK_OK(h.error);
    CHECK(!str_ends(h.body, STR("\n\n")));
    h = ask_at(w, "POST", "/v1/embeddings", "fault=status;status=529", "{\"model\":\"m\",\"input\":\"a\"}", NS_NEVER);
    CHECK_EQ(h.status, 529);
}

/* --- leaving --- */

static bool is_counted(struct world *w, const char *name, int64_t want) SUSPENDS;
/* Does the count get there, within ten seconds? */
static bool is_counted(struct world *w, const char *name, int64_t want)
{
    for (ns_t until = rt_now() + 10 * NS_SEC; rt_now() < until;) {
        if (count_of(w, name) == want)
            return true;
        if (fiber_sleep_until(rt_now() + NS_MS) != OK)
            return false;
    }
    return false;
}

SIM_TIMED_TEST(sim_a_client_that_leaves_is_counted_as_cancelled, NULL)
{
    static const char *const headers[] = {"fault=hang", "fault=stall", "ttft=100s", "tokens_per_second=0.1",
                                          "fault=slow_trickle;every=10s"};

    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        test_context("%s", headers[i]);
        struct heard h =
            ask_at(w, "POST", "/v1/chat/completions", headers[i], i % 2 ? STREAM : PLAIN, rt_now() + 30 * NS_MS);
        CHECK_ERR(h.error, E_DEADLINE);
        CHECK(is_counted(w, "cancelled", (int64_t)i + 1));
    }
    CHECK_EQ(count_of(w, "completed"), 0);
}

SIM_TEST(sim_providers_of_several_loops_count_together, NULL)
{
    struct sim_provider *first = w->provider, *second = sim_provider_new(w->scenario, 1), *both[] = {first, second};

    sim_provider_set_peers(first, both, 2);
    CHECK_EQ(ask(w, NULL, PLAIN).status, 200);
    CHECK_EQ(ask(w, NULL, PLAIN).status, 200);
    w->provider = second;
    CHECK_EQ(ask(w, NULL, PLAIN).status, 200);
    CHECK_EQ(count_of(w, "requests"), 1); /* it knows of no others */
    w->provider = first;
    CHECK_EQ(count_of(w, "requests"), 3);
    sim_provider_free(second);
    sim_provider_set_peers(first, NULL, 0);
}

/* --- repeating --- */

static struct str outcomes(struct world *w) SUSPENDS;
static struct str outcomes(struct world *w)
{
    struct buf all CLEANUP(buf_release) = BUF_INIT(1 << 20);

    for (int i = 0; i < 30; i++) {
        struct heard h = ask(w, NULL, STREAM);
        buf_addf(&all, "%d %zu;", h.status, h.body.n);
    }
    return arena_str(&w->arena, buf_str(&all));
}

SIM_TEST(sim_the_same_seed_has_the_same_faults,
         "models: {m: {faults: [{kind: status, weight: 0.3}, {kind: truncated_sse, weight: 0.3}]}}")
{
    struct str one = outcomes(w);

    CHECK(str_find(one, STR("503 ")) < one.n && str_find(one, STR("200 ")) < one.n);
    sim_provider_free(w->provider);
    w->provider = sim_provider_new(w->scenario, 1);
    CHECK(str_eq(outcomes(w), one));
    sim_provider_free(w->provider);
    w->provider = sim_provider_new(w->scenario, 2);
    CHECK(!str_eq(outcomes(w), one));
}

/* --- other endpoints --- */

static yyjson_val *post(struct world *w, const char *target, const char *body) SUSPENDS;
/* The answer's JSON; NULL if it is not a 200. */
static yyjson_val *post(struct world *w, const char *target, const char *body)
{
    struct heard h = ask_at(w, "POST", target, NULL, body, NS_NEVER);
    yyjson_val *v;

    return h.error == OK && h.status == 200 && json_parse(&w->arena, h.body, NULL, 0, &v) == OK ? v : NULL;
}

#define PROMPTS "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"n\":2,\"echo\":true,\"max_tokens\":5"

SIM_TEST(sim_completions_are_alike_whole_and_streamed, NULL)
{
    struct str texts[4] = {{0}, {0}, {0}, {0}}, finishes[4] = {{0}, {0}, {0}, {0}};
    struct sse sse CLEANUP(sse_release);
    struct sse_event event;
    yyjson_val *v;

    sse_init(&sse, 0);
    yyjson_val *whole = post(w, "/v1/completions", PROMPTS "}");
    struct heard h = ask_at(w, "POST", "/v1/completions", NULL,
                            PROMPTS ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}", NS_NEVER);
    int64_t streamed_tokens = 0;

    CHECK(whole != NULL);
    CHECK_OK(h.error);
    while (sse_next(&sse, &h.body, &event) == SSE_EVENT) {
        if (json_parse(&w->arena, event.data, NULL, 0, &v) != OK)
            continue;
        yyjson_val *choice = yyjson_arr_get_first(json_get(v, STR("choices")));
        size_t i = (size_t)json_get_i64(choice, STR("index"), 0);
        texts[i] = arena_join(&w->arena, texts[i], json_get_str(choice, STR("text"), STR("")));
        if (choice)
            finishes[i] = json_get_str(choice, STR("finish_reason"), finishes[i]);
        streamed_tokens = json_get_i64(json_get(v, STR("usage")), STR("completion_tokens"), streamed_tokens);
    }
    for (size_t i = 0; i < 4; i++) {
        yyjson_val *choice = yyjson_arr_get(json_get(whole, STR("choices")), i);
        CHECK(str_eq(json_get_str(choice, STR("text"), STR("none")), texts[i]));
        CHECK(str_starts(texts[i], i < 2 ? STR("a[simulated] ") : STR("b[simulated] ")));
        CHECK_STR(finishes[i], "length");
    }
    CHECK_EQ(json_get_i64(json_get(whole, STR("usage")), STR("completion_tokens"), 0), 20);
    CHECK_EQ(streamed_tokens, 20);
}

SIM_TEST(sim_moderations_flag_nothing, NULL)
{
    yyjson_val *texts = post(w, "/v1/moderations", "{\"input\":[\"a\",\"b\"]}");
    yyjson_val *mixed =
        post(w, "/v1/moderations",
             "{\"input\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\"}}]}");
    yyjson_val *item;
    size_t i, n;

    CHECK(texts && mixed);
    CHECK_EQ(yyjson_arr_size(json_get(texts, STR("results"))), 2);
    CHECK_EQ(yyjson_arr_size(json_get(mixed, STR("results"))), 1);
    yyjson_arr_foreach(json_get(texts, STR("results")), i, n, item)
    {
        CHECK(!json_get_bool(item, STR("flagged"), true));
        CHECK_EQ(yyjson_obj_size(json_get(item, STR("categories"))), 13);
        CHECK_EQ(yyjson_obj_size(json_get(item, STR("category_scores"))), 13);
    }
    CHECK_EQ(ask_at(w, "POST", "/v1/moderations", NULL, "{\"input\":[]}", NS_NEVER).status, 400);
    CHECK_EQ(ask_at(w, "POST", "/v1/moderations", NULL, "{\"input\":[5]}", NS_NEVER).status, 400);
}

SIM_TEST(sim_embeddings_come_in_the_form_asked_for, "models: {m: {dimensions: 8}}")
{
    yyjson_val *floats = post(w, "/v1/embeddings", "{\"model\":\"m\",\"input\":[\"a\",\"b\",\"a\"]}");
    yyjson_val *packed = post(w, "/v1/embeddings",
                              "{\"model\":\"m\",\"input\":[1,2,3],\"encoding_format\":\"base64\",\"dimensions\":3}");

    CHECK(floats && packed);
    yyjson_val *data = json_get(floats, STR("data"));
    CHECK_EQ(yyjson_arr_size(data), 3);
    yyjson_val *first = json_get(yyjson_arr_get(data, 0), STR("embedding"));
    CHECK_EQ(yyjson_arr_size(first), 8);
    CHECK(yyjson_equals(first, json_get(yyjson_arr_get(data, 2), STR("embedding"))));
    CHECK(!yyjson_equals(first, json_get(yyjson_arr_get(data, 1), STR("embedding"))));
    CHECK_EQ(json_get_str(yyjson_arr_get_first(json_get(packed, STR("data"))), STR("embedding"), STR("")).n, 16);
    CHECK_EQ(json_get_i64(json_get(packed, STR("usage")), STR("prompt_tokens"), 0), 3);
    CHECK_EQ(ask_at(w, "POST", "/v1/embeddings", NULL, "{\"model\":\"m\",\"input\":\"\"}", NS_NEVER).status, 400);
    CHECK_EQ(ask_at(w, "POST", "/v1/embeddings", NULL, "{\"model\":\"m\",\"input\":[]}", NS_NEVER).status, 400);
}

SIM_TEST(sim_responses_are_kept_and_can_be_managed, NULL)
{
    yyjson_val *made = post(w, "/v1/responses", "{\"model\":\"m\",\"input\":\"tide?\",\"background\":true}"), *v;
    struct str id = json_get_str(made, STR("id"), STR("none"));
    struct str path = arena_printf(&w->arena, "/v1/responses/%.*s", STR_ARG(id));
    struct str cancel = arena_printf(&w->arena, "%.*s/cancel", STR_ARG(path));
    struct str items = arena_printf(&w->arena, "%.*s/input_items?order=asc", STR_ARG(path));

    CHECK_STR(json_get_str(made, STR("status"), STR("")), "queued");
    struct heard h = get(w, path.p);
    CHECK_OK(json_parse(&w->arena, h.body, NULL, 0, &v));
    CHECK_STR(json_get_str(v, STR("status"), STR("")), "completed");
    CHECK_EQ(yyjson_arr_size(json_get(v, STR("output"))), 1);
    v = post(w, cancel.p, "{}");
    CHECK_STR(json_get_str(v, STR("status"), STR("")), "cancelled");
    v = post(w, cancel.p, "{}");
    CHECK_STR(json_get_str(v, STR("status"), STR("")), "cancelled");
    h = get(w, items.p);
    CHECK_OK(json_parse(&w->arena, h.body, NULL, 0, &v));
    CHECK_EQ(yyjson_arr_size(json_get(v, STR("data"))), 1);
    CHECK(str_eq(json_get_str(v, STR("first_id"), STR("1")), json_get_str(v, STR("last_id"), STR("2"))));
    CHECK_EQ(ask_at(w, "DELETE", path.p, NULL, NULL, NS_NEVER).status, 200);
    CHECK_EQ(get(w, path.p).status, 404);
    made = post(w, "/v1/responses", "{\"model\":\"m\",\"input\":\"x\",\"store\":false}");
    path = arena_printf(&w->arena, "/v1/responses/%.*s", STR_ARG(json_get_str(made, STR("id"), STR("none"))));
    CHECK_EQ(get(w, path.p).status, 404);
    v = post(w, "/v1/responses/input_tokens", "{\"model\":\"m\",\"input\":\"abcde\"}");
    CHECK_EQ(json_get_i64(v, STR("input_tokens"), 0), 3 + 4 + 2);
}

SIM_TEST(sim_sounds_and_pictures_are_made, NULL)
{
    struct heard h =
        ask_at(w, "POST", "/v1/audio/speech", NULL, "{\"model\":\"m\",\"input\":\"hello\",\"voice\":\"v\"}", NS_NEVER);

    CHECK_EQ(h.status, 200);
    CHECK_STR(http_head_find(h.head, STR("content-type")), "audio/wav");
    CHECK(str_starts(h.body, STR("RIFF")));
    h = ask_at(w, "POST", "/v1/audio/speech", NULL,
               "{\"model\":\"m\",\"input\":\"hello\",\"voice\":\"v\",\"stream_format\":\"sse\"}", NS_NEVER);
    CHECK(str_starts(h.body, STR("data: {\"type\":\"speech.audio.delta\",\"audio\":\"UklGR")));
    CHECK(str_find(h.body, STR("speech.audio.done")) < h.body.n);
    h = ask_at(w, "POST", "/v1/audio/speech", NULL,
               "{\"model\":\"m\",\"input\":\"hello\",\"voice\":\"v\",\"response_format\":\"mp3\"}", NS_NEVER);
    CHECK_EQ(h.status, 400);
    yyjson_val *v = post(w, "/v1/images/generations", "{\"prompt\":\"a cat\",\"n\":2,\"size\":\"8x8\"}");
    CHECK_EQ(yyjson_arr_size(json_get(v, STR("data"))), 2);
    CHECK_EQ(ask_at(w, "POST", "/v1/images/generations", NULL, "{\"prompt\":\"a\",\"size\":\"big\"}", NS_NEVER).status,
             400);
}

SIM_TEST(sim_transcripts_say_what_was_sent, NULL)
{
    static const struct {
        const char *format, *begins;
    } forms[] = {{"json", "{\"text\":\"[simulated] You sent: "},
                 {"text", "[simulated] You sent: "},
                 {"srt", "1\n00:00:00,000 --> "},
                 {"vtt", "WEBVTT\n\n"},
                 {"verbose_json", "{\"task\":\"transcribe\""}};
    struct http_header type = {STR("content-type"), STR("multipart/form-data; boundary=b")};
    struct http_call *c;

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct str text,
            body = arena_printf(
                &w->arena,
                "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\n"
                "content-disposition: form-data; name=\"response_format\"\r\n\r\n%s\r\n--b\r\n"
                "content-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nxyz\r\n--b--\r\n",
                forms[i].format);
        CHECK_OK(http_call_open(w->upstream, &w->arena,
                                &(struct http_call_options){.method = STR("POST"),
                                                            .target = STR("/v1/audio/transcriptions"),
                                                            .headers = &type,
                                                            .count = 1,
                                                            .body = &body,
                                                            .body_parts = 1,
                                                            .connect_by = NS_NEVER,
                                                            .first_byte_by = NS_NEVER},
                                NULL, &c));
        CHECK_EQ(http_call_head(c)->status, 200);
        CHECK_OK(http_call_all(c, NS_NEVER, 1 << 20, &text));
        CHECK_MSG(str_starts(text, str_from_c(forms[i].begins)), "%s: %.*s", forms[i].format, STR_ARG(text));
        http_call_close(c);
    }
}

/* --- uploads and downloads --- */

SIM_TEST(sim_a_file_comes_back_as_it_went, NULL)
{
    enum { SIZE = 300 * 1000 };
    char *bytes = arena_alloc(&w->arena, SIZE);
    struct str parts[] = {
        STR("--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\ncontent-disposition: "
            "form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n"),
        str_of(bytes, SIZE), STR("\r\n--b--\r\n")};
    struct http_header type = {STR("content-type"), STR("multipart/form-data; boundary=b")};
    struct http_call_options o = {.method = STR("POST"),
                                  .target = STR("/v1/files"),
                                  .headers = &type,
                                  .count = 1,
                                  .body = parts,
                                  .body_parts = 3,
                                  .connect_by = NS_NEVER,
                                  .first_byte_by = NS_NEVER};
    struct http_call *c;
    struct str body;
    yyjson_val *v;

    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 31 >> 3);
    CHECK_OK(http_call_open(w->upstream, &w->arena, &o, NULL, &c));
    CHECK_EQ(http_call_head(c)->status, 200);
    CHECK_OK(http_call_all(c, NS_NEVER, 1 << 20, &body));
    CHECK_OK(json_parse(&w->arena, body, NULL, 0, &v));
    http_call_close(c);
    CHECK_EQ(json_get_i64(v, STR("bytes"), 0), SIZE);
    struct str path = arena_printf(&w->arena, "/v1/files/%.*s/content", STR_ARG(json_get_str(v, STR("id"), STR(""))));
    struct heard h = get(w, path.p);
    CHECK_OK(h.error);
    CHECK_EQ(h.body.n, SIZE);
    CHECK_MEM(h.body.p, bytes, SIZE);
}
