/* openai_stream_test.c - streams on their way through: what goes on, what was used, how they end. */
#include "llm/openai_stream.h"

#include "llm/openai_error.h"
#include "test.h"

/* Run `text` through framer and stream in pieces cut at `cut`; what goes on is appended to `out`. Returns the last verdict. */
static enum stream_verdict run(struct openai_stream *s, const char *text, size_t cut, struct buf *out)
{
    struct sse framer CLEANUP(sse_release);
    struct str pieces[2] = {str_of(text, cut), str_from_c(text + cut)};
    enum stream_verdict last = STREAM_PASS;
    struct sse_event e;

    sse_init(&framer, 0);
    for (size_t i = 0; i < 2; i++) {
        while (sse_next(&framer, &pieces[i], &e) == SSE_EVENT) {
            last = openai_stream_event(s, &e);
            if (last == STREAM_PASS)
                buf_add(out, e.raw);
            for (size_t k = 0; last == STREAM_EDIT && k < s->part_count; k++)
                buf_add(out, s->parts[k]);
            if (last == STREAM_FAILED)
                return last;
        }
    }
    return last;
}

#define CHUNK(choices, more) "data: {\"id\":\"c\",\"choices\":[" choices "]" more "}\n\n"
#define DELTA(text, finish) "{\"index\":0,\"delta\":{\"content\":\"" text "\"},\"finish_reason\":" finish "}"
#define USAGE ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}"
#define DONE "data: [DONE]\n\n"

/* At every cut: `in` becomes `expected`. */
static void check_stream(enum openai_stream_kind kind, bool strip, const char *in, const char *expected)
{
    for (size_t cut = 0; cut <= strlen(in); cut++) {
        struct buf out CLEANUP(buf_release) = BUF_INIT(1 << 20);
        struct openai_stream s;
        openai_stream_init(&s, kind, strip);
        run(&s, in, cut, &out);
        CHECK_STR(buf_str(&out), expected);
    }
}

TEST(a_stream_passes_unchanged_when_the_client_asked_for_usage)
{
    static const char in[] =
        CHUNK(DELTA("a", "null"), ",\"usage\":null") ": ping\n\n" CHUNK(DELTA("", "\"stop\""), ",\"usage\":null")
            CHUNK("", USAGE) DONE;

    check_stream(STREAM_CHAT, false, in, in);
}

TEST(the_usage_chunk_that_only_we_asked_for_is_taken_out)
{
    check_stream(STREAM_CHAT, true,
                 CHUNK(DELTA("a", "null"), ",\"usage\":null") CHUNK(DELTA("", "\"stop\""), ",\"usage\":null,\"x\":1")
                     CHUNK("", USAGE) DONE,
                 CHUNK(DELTA("a", "null"), "") CHUNK(DELTA("", "\"stop\""), ",\"x\":1") DONE);
    check_stream(STREAM_CHAT, true, "data: {\"usage\":null, \"choices\":[]}\n\n" DONE,
                 "data: { \"choices\":[]}\n\n" DONE);
}

TEST(usage_on_a_chunk_with_content_stays)
{
    static const char in[] = CHUNK(DELTA("a", "\"stop\""), USAGE) DONE;

    check_stream(STREAM_CHAT, true, in, in);
}

TEST(usage_is_read_and_the_end_is_seen)
{
    struct buf out CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct openai_stream s;

    openai_stream_init(&s, STREAM_CHAT, true);
    run(&s, CHUNK(DELTA("a", "\"stop\""), "") CHUNK("", USAGE) DONE, 0, &out);
    CHECK(s.usage.known);
    CHECK_EQ(s.usage.input, 3);
    CHECK_EQ(s.usage.output, 2);
    CHECK(s.done);
    CHECK(s.content);
}

TEST(a_stream_without_done_is_complete_only_if_every_choice_finished)
{
    static const struct {
        const char *text;
        bool complete;
    } cases[] = {
        {CHUNK(DELTA("a", "null"), ""), false},
        {CHUNK(DELTA("a", "\"stop\""), ""), true},
        {CHUNK(DELTA("a", "\"\""), ""), false},
        {CHUNK(DELTA("finish_reason\\\":\\\"stop", "null"), ""), false},
        {CHUNK(DELTA("a", "\"stop\"") ",{\"index\":1,\"delta\":{},\"finish_reason\":null}", ""), false},
        {CHUNK("", ""), false},
        {"", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out CLEANUP(buf_release) = BUF_INIT(1 << 20);
        struct openai_stream s;
        openai_stream_init(&s, STREAM_CHAT, false);
        run(&s, cases[i].text, 0, &out);
        CHECK_EQ(openai_stream_is_complete(&s), cases[i].complete);
    }
}

TEST(an_error_event_of_the_provider_fails_the_stream)
{
    struct buf out CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct openai_stream s;

    openai_stream_init(&s, STREAM_CHAT, false);
    CHECK_EQ(
        run(&s, CHUNK(DELTA("a", "null"), "") "data: {\"error\":{\"message\":\"boom\",\"code\":\"x\"}}\n\n", 0, &out),
        STREAM_FAILED);
    CHECK_STR(s.error_message, "\"boom\"");
    CHECK_STR(s.error_code, "\"x\"");
    openai_stream_init(&s, STREAM_CHAT, false);
    CHECK_EQ(run(&s, "data: {\"choices\":[\n\n", 0, &out), STREAM_FAILED);
    openai_stream_init(&s, STREAM_CHAT, false);
    CHECK_EQ(run(&s, "data: {\"error\":null,\"choices\":[]}\n\n", 0, &out), STREAM_PASS);
}

TEST(nothing_passes_after_the_end)
{
    check_stream(STREAM_CHAT, false, DONE CHUNK(DELTA("late", "null"), ""), DONE);
}

#define RESPONSES_END                                                                                                  \
    "event: response.completed\ndata: "                                                                                \
    "{\"type\":\"response.completed\",\"sequence_number\":7,\"response\":{\"id\":\"r\","                               \
    "\"usage\":{\"input_tokens\":4,\"output_tokens\":6}}}\n\n"

TEST(a_responses_stream_ends_with_the_whole_response_and_its_usage)
{
    struct buf out CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct openai_stream s;

    openai_stream_init(&s, STREAM_RESPONSES, false);
    run(&s,
        "event: response.output_text.delta\ndata: "
        "{\"type\":\"response.output_text.delta\",\"delta\":\"a\",\"sequence_number\":6}\n\n",
        0, &out);
    CHECK(s.content);
    CHECK(!openai_stream_is_complete(&s));
    CHECK_EQ(s.sequence_number, 7);
    run(&s, RESPONSES_END, 0, &out);
    CHECK(openai_stream_is_complete(&s));
    CHECK_EQ(s.usage.input, 4);
    CHECK_EQ(s.usage.output, 6);
}

TEST(a_responses_stream_may_end_with_done_behind_its_last_event)
{
    check_stream(STREAM_RESPONSES, false, RESPONSES_END DONE, RESPONSES_END DONE);
}

TEST(error_bodies_and_events_have_the_shapes_that_sdks_expect)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct api_error e = {.status = 404, .message = STR("no \"x\""), .code = "model_not_found", .param = STR("model")};

    openai_error_body(&e, &b);
    CHECK_STR(buf_str(&b),
              "{\"error\":{\"message\":\"no "
              "\\\"x\\\"\",\"type\":\"invalid_request_error\",\"param\":\"model\",\"code\":\"model_not_found\"}}");
    buf_clear(&b);
    e = (struct api_error){.status = 502, .message = STR("m")};
    openai_error_event(&e, false, 0, &b);
    CHECK_STR(buf_str(&b),
              "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n");
    buf_clear(&b);
    openai_error_event(&e, true, 9, &b);
    CHECK_STR(
        buf_str(&b),
        "event: error\ndata: "
        "{\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\",\"param\":null,\"sequence_number\":9}\n\n");
}

/* The text is a provider's and may be as long as it likes; a client must get JSON all the same. */
TEST(an_error_that_does_not_fit_is_said_in_short)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(512);
    static char text[600];
    struct api_error e = {.status = 429, .message = str_of(text, sizeof text), .code = "c"};

    memset(text, 'x', sizeof text);
    openai_error_body(&e, &b);
    CHECK_STR(
        buf_str(&b),
        "{\"error\":{\"message\":\"The text of this error is too long to be passed on.\",\"type\":\"rate_limit_error\","
        "\"param\":null,\"code\":null}}");
    buf_clear(&b);
    openai_error_event(&e, false, 0, &b);
    CHECK_STR(buf_str(&b), "data: {\"error\":{\"message\":\"The text of this error is too long to be passed on.\","
                           "\"type\":\"rate_limit_error\",\"param\":null,\"code\":null}}\n\n");
    buf_clear(&b);
    openai_error_event(&e, true, 7, &b);
    CHECK_STR(buf_str(&b),
              "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_error\",\"message\":\"The text of this "
              "error is too long to be passed on.\",\"param\":null,\"sequence_number\":7}\n\n");
}
