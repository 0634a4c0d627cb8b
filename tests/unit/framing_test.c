/* framing_test.c - streams of four framings, cut at every byte: the same frames come out, and broken streams are told from whole ones. */
#include "llm/framing.h"

#include "base/buf.h"
#include "codec/eventstream.h"
#include "test.h"

enum { STREAM_MAX = 1 << 20 };

/* Everything that came out of a stream, as text. */
struct heard {
    struct buf frames, raw;
    err_t status;
};

static void heard_release(struct heard *h)
{
    buf_release(&h->frames);
    buf_release(&h->raw);
}

static void describe(struct heard *h, const struct frame *f)
{
    CHECK_OK(buf_addf(&h->frames, "%.*s|%.*s%s%s\n", STR_ARG(f->name), STR_ARG(f->data),
                      f->exception ? "|exception" : "", f->partial ? "|partial" : ""));
    CHECK_OK(buf_add(&h->raw, f->raw));
}

static err_t feed(struct framer *f, struct str piece, struct heard *h)
{
    struct frame frame;
    bool got = true;

    while (got) {
        TRY(framer_next(f, &piece, &got, &frame));
        if (got)
            describe(h, &frame);
    }
    return OK;
}

static err_t run(enum framing kind, struct str stream, size_t cut, size_t max, struct heard *h)
{
    struct arena arena CLEANUP(arena_release);
    struct frame frame;
    bool got;

    buf_init(&h->frames, STREAM_MAX);
    buf_init(&h->raw, STREAM_MAX);
    arena_init(&arena, STREAM_MAX);
    struct framer *f = framer_new(&arena, kind, max);
    TRY(feed(f, str_slice(stream, 0, cut), h));
    TRY(feed(f, str_slice(stream, cut, stream.n), h));
    TRY(framer_end(f, &got, &frame));
    if (got)
        describe(h, &frame);
    return OK;
}

/* The frames and the outcome of a stream, whole and cut in two at each of its bytes. */
static void check_at_every_cut(enum framing kind, struct str stream, err_t status, const char *frames,
                               bool raw_is_whole)
{
    for (size_t cut = 0; cut <= stream.n; cut++) {
        struct heard h CLEANUP(heard_release) = {0};
        test_context("cut at %zu", cut);
        CHECK_EQ(run(kind, stream, cut, 0, &h), status);
        CHECK_STR(buf_str(&h.frames), frames);
        if (raw_is_whole)
            CHECK(str_eq(buf_str(&h.raw), stream));
    }
}

TEST(framer_gives_server_sent_events_wherever_they_are_cut)
{
    check_at_every_cut(FRAMING_SSE, STR("event: a\ndata: {\"x\":1}\n\n: alive\n\ndata: [DONE]\r\n\n"), OK,
                       "a|{\"x\":1}\n|\n|[DONE]\n", true);
    check_at_every_cut(FRAMING_SSE, STR("data: 1\n\ndata: half"), OK, "|1\n|half|partial\n", true);
}

TEST(framer_gives_lines_wherever_they_are_cut_and_marks_one_without_an_end)
{
    check_at_every_cut(FRAMING_LINES, STR("{\"a\":\"\xc3\xa9\"}\n{\"b\":2}\r\n"), OK,
                       "|{\"a\":\"\xc3\xa9\"}\n|{\"b\":2}\n", true);
    check_at_every_cut(FRAMING_LINES, STR("\n\n {\"a\":1} \n\n{\"b\":2"), OK, "|{\"a\":1}\n|{\"b\":2|partial\n", false);
    check_at_every_cut(FRAMING_LINES, STR("\n \r\n"), OK, "", false);
}

TEST(framer_gives_elements_of_an_array_wherever_they_are_cut)
{
    check_at_every_cut(FRAMING_ARRAY, STR("[{\"a\":\"}]\\\"{\"}\n,\r\n{\"b\":[1,{}]} ]\n"), OK,
                       "|{\"a\":\"}]\\\"{\"}\n|{\"b\":[1,{}]}\n", false);
    check_at_every_cut(FRAMING_ARRAY, STR("[]"), OK, "", false);
    check_at_every_cut(FRAMING_ARRAY, STR(" {\"error\":{\"code\":400}}\n"), OK, "|{\"error\":{\"code\":400}}\n", false);
}

TEST(framer_says_that_an_array_is_broken_or_ends_too_early)
{
    check_at_every_cut(FRAMING_ARRAY, STR("[{\"a\":1}"), E_PROTOCOL, "|{\"a\":1}\n", false);
    check_at_every_cut(FRAMING_ARRAY, STR("[{\"a\":1},{\"b"), E_PROTOCOL, "|{\"a\":1}\n", false);
    check_at_every_cut(FRAMING_ARRAY, STR("[1]"), E_PROTOCOL, "", false);
    check_at_every_cut(FRAMING_ARRAY, STR("[]]"), E_PROTOCOL, "", false);
    check_at_every_cut(FRAMING_ARRAY, STR("<html>"), E_PROTOCOL, "", false);
}

static void add_frame(struct buf *to, struct str type, struct str what, struct str name, struct str payload)
{
    struct eventstream_writer w;

    eventstream_begin(&w, to);
    eventstream_add_string(&w, STR(":message-type"), type);
    eventstream_add_string(&w, what, name);
    if (str_eq(type, STR("error")))
        eventstream_add_string(&w, STR(":error-message"), STR("it is over"));
    eventstream_begin_payload(&w);
    CHECK_OK(buf_add(to, payload));
    CHECK_OK(eventstream_end(&w));
}

TEST(framer_gives_frames_of_aws_wherever_they_are_cut_with_all_their_bytes)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(STREAM_MAX);

    add_frame(&b, STR("event"), STR(":event-type"), STR("messageStart"), STR("{\"role\":\"assistant\"}"));
    add_frame(&b, STR("event"), STR(":event-type"), STR("empty"), STR(""));
    add_frame(&b, STR("exception"), STR(":exception-type"), STR("throttlingException"), STR("{\"message\":\"slow\"}"));
    add_frame(&b, STR("error"), STR(":error-code"), STR("InternalError"), STR(""));
    check_at_every_cut(FRAMING_EVENTSTREAM, buf_str(&b), OK,
                       "messageStart|{\"role\":\"assistant\"}\nempty|\n"
                       "throttlingException|{\"message\":\"slow\"}|exception\nInternalError|it is over|exception\n",
                       true);
}

TEST(framer_says_that_a_frame_of_aws_is_damaged_or_cut_off_and_says_so_again)
{
    struct arena arena CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(STREAM_MAX);
    struct frame frame;
    bool got;

    add_frame(&b, STR("event"), STR(":event-type"), STR("a"), STR("{}"));
    check_at_every_cut(FRAMING_EVENTSTREAM, str_slice(buf_str(&b), 0, b.n - 1), E_PROTOCOL, "", false);
    b.p[b.n - 6] ^= 1;
    check_at_every_cut(FRAMING_EVENTSTREAM, buf_str(&b), E_PROTOCOL, "", false);
    arena_init(&arena, STREAM_MAX);
    struct framer *f = framer_new(&arena, FRAMING_EVENTSTREAM, 0);
    struct str in = buf_str(&b), more = STR("x");
    CHECK_ERR(framer_next(f, &in, &got, &frame), E_PROTOCOL);
    CHECK_ERR(framer_next(f, &more, &got, &frame), E_PROTOCOL);
    CHECK(!got);
}

TEST(framer_refuses_a_message_over_its_limit_wherever_it_is_cut)
{
    static const struct {
        enum framing kind;
        struct str fits, exceeds;
    } rows[] = {
        {FRAMING_SSE, STR_INIT("data: 01234567\n\n"), STR_INIT("data: 012345678\n\n")},
        {FRAMING_LINES, STR_INIT("\"0123456789012\"\n"), STR_INIT("\"01234567890123\"\n")},
        {FRAMING_ARRAY, STR_INIT("[{\"a\":\"01234567\"}]"), STR_INIT("[{\"a\":\"012345678\"}]")},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t cut = 0; cut <= rows[i].exceeds.n; cut++) {
            struct heard fits CLEANUP(heard_release) = {0}, exceeds CLEANUP(heard_release) = {0};
            test_context("row %zu, cut at %zu", i, cut);
            CHECK_OK(run(rows[i].kind, rows[i].fits, cut, 16, &fits));
            CHECK_ERR(run(rows[i].kind, rows[i].exceeds, cut, 16, &exceeds), E_TOO_LARGE);
            CHECK_EQ(exceeds.frames.n, 0);
        }
}

TEST(framer_gives_nothing_more_after_a_message_over_its_limit)
{
    struct arena arena CLEANUP(arena_release);
    struct frame frame;
    bool got;

    arena_init(&arena, STREAM_MAX);
    struct framer *f = framer_new(&arena, FRAMING_LINES, 8);
    struct str start = STR("\"0123"), more = STR("45678901234"), end = STR("\"\n");
    CHECK_OK(framer_next(f, &start, &got, &frame));
    CHECK_ERR(framer_next(f, &more, &got, &frame), E_TOO_LARGE);
    CHECK_ERR(framer_next(f, &end, &got, &frame), E_TOO_LARGE);
    CHECK(!got);
}

TEST(framings_have_the_content_types_of_their_standards)
{
    CHECK_STR(framing_type(FRAMING_SSE), "text/event-stream");
    CHECK_STR(framing_type(FRAMING_LINES), "application/x-ndjson");
    CHECK_STR(framing_type(FRAMING_EVENTSTREAM), "application/vnd.amazon.eventstream");
    CHECK_STR(framing_type(FRAMING_ARRAY), "application/json");
}
