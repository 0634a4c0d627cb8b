/* eventstream_test.c - AWS event stream framing: known frames, every cut, every kind of header, every way to be broken. */
#include "unit/test.h"

#include "codec/eventstream.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "codec/digest.h"

#include <zlib.h>

/* Frames whose bytes were made by other implementations. */
static const struct known {
    const char *hex, *type_header, *type, *message_type, *payload;
} known[] = {
    {"000000760000005296d5fade0b3a6576656e742d7479706507000c6d65737361676553746172740d3a636f6e74656e742d74797065070010"
     "6170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22726f6c65223a22617373697374616e74"
     "227d6fa8c599",
     ":event-type", "messageStart", "event", "{\"role\":\"assistant\"}"},
    {"0000009400000057b4ab9aee0b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c74610d3a636f6e74656e742d7479"
     "70650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e74656e74426c6f63"
     "6b496e646578223a302c2264656c7461223a7b2274657874223a224869227d7d1f944657",
     ":event-type", "contentBlockDelta", "event", "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"Hi\"}}"},
    {"0000008800000061de0175f40f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e0d3a636f6e74"
     "656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074696f6e7b226d"
     "657373616765223a22736c6f7720646f776e227d832ee072",
     ":exception-type", "throttlingException", "exception", "{\"message\":\"slow down\"}"},
};

static struct str bytes_of(struct buf *b, const char *hex)
{
    struct str text = str_from_c(hex);
    size_t n = text.n / 2, start = b->n;
    char *to = buf_reserve(b, n);

    if (!to || !hex_decode((unsigned char *)to, n, text))
        return STR_NONE;
    b->n += n;
    return str_slice(buf_str(b), start, b->n);
}

/* What a reader found, as text. */
struct reading {
    struct eventstream s;
    struct buf text;
};

static void add_frame(struct reading *r, const struct eventstream_frame *f)
{
    struct str headers = f->headers;
    struct eventstream_header h;

    while (eventstream_header_next(&headers, &h))
        (void)buf_addf(&r->text, "%.*s=%d:%.*s:%lld;", STR_ARG(h.name), h.type, STR_ARG(h.value), (long long)h.number);
    (void)buf_addf(&r->text, "|%.*s\n", STR_ARG(f->payload));
}

/* Read one piece out of memory of its own. */
static void feed(struct reading *r, struct str piece)
{
    char *own = mem_alloc(piece.n);
    struct str in = str_of(own, piece.n);
    struct eventstream_frame f;
    enum eventstream_result got;

    memcpy(own, piece.p, piece.n);
    while ((got = eventstream_next(&r->s, &in, &f)) == EVENTSTREAM_FRAME)
        add_frame(r, &f);
    if (got == EVENTSTREAM_BROKEN)
        (void)buf_addf(&r->text, "broken: %s\n", r->s.error_text);
    memset(own, '#', piece.n);
    mem_free(own);
}

static void release(struct reading *r)
{
    eventstream_release(&r->s);
    buf_release(&r->text);
}

static void check_pieces(struct str input, size_t first, size_t rest, struct str want)
{
    struct reading r CLEANUP(release) = {.text = BUF_INIT(1 << 22)};

    eventstream_init(&r.s);
    feed(&r, str_slice(input, 0, first));
    for (size_t at = first; at < input.n && !r.s.error_text; at += rest)
        feed(&r, str_slice(input, at, at + rest));
    test_context("first piece %zu, then %zu", first, rest);
    CHECK_MSG(str_eq(buf_str(&r.text), want), "got %.*s\nwant %.*s", STR_ARG(buf_str(&r.text)), STR_ARG(want));
}

/* Whole, in two pieces cut anywhere, and in pieces of 1, 2, 3 and 11 bytes: the same frames. */
static void check(struct str input, const char *want)
{
    static const size_t sizes[] = {1, 2, 3, 11};
    struct str text = str_from_c(want);

    check_pieces(input, input.n, 1, text);
    for (size_t at = 1; at < input.n; at++)
        check_pieces(input, at, input.n, text);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        check_pieces(input, sizes[i], sizes[i], text);
    test_context("%s", "");
}

/* A frame of these headers and this payload, with checksums that fit; lengths as the arguments say, whatever is true. */
static void make_frame(struct buf *b, uint32_t length, uint32_t header_length, struct str headers, struct str payload)
{
    size_t start = b->n;
    char word[4];

    be32_put(word, length);
    (void)buf_add(b, str_of(word, 4));
    be32_put(word, header_length);
    (void)buf_add(b, str_of(word, 4));
    be32_put(word, (uint32_t)crc32(0, (const unsigned char *)b->p + start, 8));
    (void)buf_add(b, str_of(word, 4));
    (void)buf_add(b, headers);
    (void)buf_add(b, payload);
    be32_put(word, (uint32_t)crc32(0, (const unsigned char *)b->p + start, (unsigned)(b->n - start)));
    (void)buf_add(b, str_of(word, 4));
}

static void check_headers(struct str headers, const char *want)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);

    make_frame(&b, (uint32_t)(16 + headers.n + 1), (uint32_t)headers.n, headers, STR("p"));
    check(buf_str(&b), want);
}

TEST(eventstream_reads_known_frames)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct buf b CLEANUP(buf_release) = BUF_INIT(4096);
        struct eventstream s CLEANUP(eventstream_release);
        struct eventstream_frame f;
        struct str in = bytes_of(&b, known[i].hex);

        eventstream_init(&s);
        CHECK_EQ(eventstream_next(&s, &in, &f), EVENTSTREAM_FRAME);
        CHECK_EQ(in.n, 0);
        CHECK_STR(eventstream_string(&f, str_from_c(known[i].type_header)), known[i].type);
        CHECK_STR(eventstream_string(&f, STR(":message-type")), known[i].message_type);
        CHECK_STR(eventstream_string(&f, STR(":content-type")), "application/json");
        CHECK_STR(f.payload, known[i].payload);
        CHECK(!eventstream_string(&f, STR(":error-code")).p);
        CHECK_EQ(eventstream_next(&s, &in, &f), EVENTSTREAM_MORE);
    }
}

TEST(eventstream_writes_known_frames)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct buf want CLEANUP(buf_release) = BUF_INIT(4096), got CLEANUP(buf_release) = BUF_INIT(4096);
        struct eventstream_writer w;

        (void)bytes_of(&want, known[i].hex);
        (void)buf_add_lit(&got, "before");
        eventstream_begin(&w, &got);
        eventstream_add_string(&w, str_from_c(known[i].type_header), str_from_c(known[i].type));
        eventstream_add_string(&w, STR(":content-type"), STR("application/json"));
        eventstream_add_string(&w, STR(":message-type"), str_from_c(known[i].message_type));
        eventstream_begin_payload(&w);
        (void)buf_add(&got, str_from_c(known[i].payload));
        CHECK_OK(eventstream_end(&w));
        CHECK_EQ(got.n, want.n + 6);
        CHECK_MEM(got.p + 6, want.p, want.n);
    }
}

TEST(eventstream_gives_the_same_frames_whatever_the_cuts)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        (void)bytes_of(&b, known[i].hex);
    check(buf_str(&b),
          ":event-type=7:messageStart:0;:content-type=7:application/json:0;:message-type=7:event:0;|"
          "{\"role\":\"assistant\"}\n"
          ":event-type=7:contentBlockDelta:0;:content-type=7:application/json:0;:message-type=7:event:0;|"
          "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"Hi\"}}\n"
          ":exception-type=7:throttlingException:0;:content-type=7:application/json:0;:message-type=7:exception:0;|"
          "{\"message\":\"slow down\"}\n");
}

TEST(eventstream_reads_the_empty_frame)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);

    make_frame(&b, 16, 0, STR(""), STR(""));
    make_frame(&b, 16, 0, STR(""), STR(""));
    check(buf_str(&b), "|\n|\n");
}

TEST(eventstream_reads_headers_of_every_type)
{
    check_headers(STR("\1a\0"
                      "\1b\1"
                      "\1c\2\xff"
                      "\1d\3\xff\xfe"
                      "\1e\4\x80\0\0\0"
                      "\1f\5\0\0\0\1\0\0\0\0"
                      "\1g\6\0\2hi"
                      "\1h\7\0\0"
                      "\1i\x08\0\0\0\0\0\0\3\xe8"
                      "\1j\x09"
                      "0123456789abcdef"
                      "\2kk\7\0\1x"),
                  "a=0::1;b=1::0;c=2::-1;d=3::-2;e=4::-2147483648;f=5::4294967296;g=6:hi:0;h=7::0;i=8::1000;"
                  "j=9:0123456789abcdef:0;kk=7:x:0;|p\n");
}

TEST(eventstream_finds_the_first_string_of_a_name)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);
    struct str headers = STR("\1a\6\0\1x\1b\7\0\1y\1b\7\0\1z\1c\7\0\0");
    struct eventstream s CLEANUP(eventstream_release);
    struct eventstream_frame f;

    make_frame(&b, (uint32_t)(16 + headers.n), (uint32_t)headers.n, headers, STR(""));
    struct str in = buf_str(&b);
    eventstream_init(&s);
    CHECK_EQ(eventstream_next(&s, &in, &f), EVENTSTREAM_FRAME);
    CHECK(!eventstream_string(&f, STR("a")).p); /* bytes are no string */
    CHECK_STR(eventstream_string(&f, STR("b")), "y");
    CHECK(eventstream_string(&f, STR("c")).p && eventstream_string(&f, STR("c")).n == 0);
    CHECK(!eventstream_string(&f, STR("d")).p);
}

TEST(eventstream_refuses_malformed_headers)
{
    static const struct str bad[] = {
        STR_INIT("\0\0"),        /* no name                     */
        STR_INIT("\1"),          /* name beyond the end         */
        STR_INIT("\1a"),         /* no type                     */
        STR_INIT("\1a\x0a"),     /* no such type                */
        STR_INIT("\1a\xff"),     /* likewise                    */
        STR_INIT("\1a\2"),       /* values beyond the end       */
        STR_INIT("\1a\3\0"),     /*                             */
        STR_INIT("\1a\4\0\0\0"), /*                             */
        STR_INIT("\1a\5\0\0\0\0\0\0\0"),
        STR_INIT("\1a\7\0"),
        STR_INIT("\1a\7\0\1"),
        STR_INIT("\1a\6\0\2x"),
        STR_INIT("\1a\x09"
                 "0123456789abcde"),
        STR_INIT("\1a\0\1"), /* the second of two */
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_headers(bad[i], "broken: headers of a frame are malformed\n");
}

TEST(eventstream_notices_every_flipped_bit)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);
    struct str in = bytes_of(&b, known[1].hex);

    for (size_t bit = 0; bit < 8 * in.n; bit++) {
        struct eventstream s CLEANUP(eventstream_release);
        struct eventstream_frame f;
        struct str rest = in;

        b.p[bit / 8] ^= (char)(1 << bit % 8);
        eventstream_init(&s);
        CHECK_EQ(eventstream_next(&s, &rest, &f), EVENTSTREAM_BROKEN);
        rest = in;
        CHECK_EQ(eventstream_next(&s, &rest, &f), EVENTSTREAM_BROKEN); /* for good */
        CHECK_EQ(rest.n, in.n);
        b.p[bit / 8] ^= (char)(1 << bit % 8);
    }
}

/* Only the first twelve bytes come: a wrong length is refused before anything is kept for it. */
static void check_lengths(uint32_t length, uint32_t header_length, const char *want)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);

    make_frame(&b, length, header_length, STR(""), STR(""));
    check(str_slice(buf_str(&b), 0, 12), want);
}

TEST(eventstream_refuses_lengths_beyond_its_limits_before_the_bytes_come)
{
    enum { H = EVENTSTREAM_HEADERS_MAX, P = EVENTSTREAM_PAYLOAD_MAX };

    check_lengths(15, 0, "broken: a frame is shorter than its parts\n");
    check_lengths(0, 0, "broken: a frame is shorter than its parts\n");
    check_lengths(116, 101, "broken: a frame is shorter than its parts\n");
    check_lengths(UINT32_MAX, 0, "broken: a frame's payload exceeds 24 MiB\n");
    check_lengths(16 + P + 1, 0, "broken: a frame's payload exceeds 24 MiB\n");
    check_lengths(16 + P + 1 + H, H, "broken: a frame's payload exceeds 24 MiB\n");
    check_lengths(16 + P, 0, "");
    check_lengths(16 + P + H, H, "");
    check_lengths(16 + H + 1, H + 1, "broken: a frame's headers exceed 128 KiB\n");
    check_lengths(16 + 1, UINT32_MAX, "broken: a frame's headers exceed 128 KiB\n");
}

TEST(eventstream_takes_memory_for_what_came_only)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);
    struct eventstream s CLEANUP(eventstream_release);
    struct eventstream_frame f;

    make_frame(&b, 16 + EVENTSTREAM_PAYLOAD_MAX, 0, STR(""), STR("a little"));
    struct str in = buf_str(&b);
    eventstream_init(&s);
    CHECK(!eventstream_is_within_frame(&s));
    CHECK_EQ(eventstream_next(&s, &in, &f), EVENTSTREAM_MORE);
    CHECK(eventstream_is_within_frame(&s));
    CHECK_LT(s.carry.cap, 4096);
}

/* The largest frame there may be, cut, and after it a small one: large memory is not kept. */
TEST(eventstream_carries_a_frame_of_the_largest_size)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT((size_t)64 << 20);
    struct eventstream s CLEANUP(eventstream_release);
    struct eventstream_writer w;
    struct eventstream_frame f;

    eventstream_begin(&w, &b);
    eventstream_begin_payload(&w);
    char *p = buf_reserve(&b, EVENTSTREAM_PAYLOAD_MAX);
    CHECK(p);
    memset(p, 'x', EVENTSTREAM_PAYLOAD_MAX);
    b.n += EVENTSTREAM_PAYLOAD_MAX;
    CHECK_OK(eventstream_end(&w));
    make_frame(&b, 17, 0, STR(""), STR("y"));
    struct str first = str_slice(buf_str(&b), 0, 1000), rest = str_slice(buf_str(&b), 1000, b.n);
    eventstream_init(&s);
    CHECK_EQ(eventstream_next(&s, &first, &f), EVENTSTREAM_MORE);
    CHECK_EQ(eventstream_next(&s, &rest, &f), EVENTSTREAM_FRAME);
    CHECK_EQ(f.payload.n, EVENTSTREAM_PAYLOAD_MAX);
    CHECK(!eventstream_is_within_frame(&s));
    CHECK_EQ(eventstream_next(&s, &rest, &f), EVENTSTREAM_FRAME);
    CHECK_STR(f.payload, "y");
    CHECK_LE(s.carry.cap, 64 * 1024);
}

TEST(eventstream_does_not_copy_a_whole_frame)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4096);
    struct eventstream s CLEANUP(eventstream_release);
    struct eventstream_frame f;
    struct str in = bytes_of(&b, known[0].hex);

    eventstream_init(&s);
    CHECK_EQ(eventstream_next(&s, &in, &f), EVENTSTREAM_FRAME);
    CHECK(f.payload.p > b.p && f.payload.p < b.p + b.n);
    CHECK_EQ(s.carry.cap, 0);
}

/* Write a frame with one header; leaves nothing if that fails. */
static err_t write_one(struct buf *b, struct str name, struct str value, struct str payload)
{
    struct eventstream_writer w;

    eventstream_begin(&w, b);
    eventstream_add_string(&w, name, value);
    eventstream_begin_payload(&w);
    (void)buf_add(b, payload);
    return eventstream_end(&w);
}

TEST(eventstream_writes_no_frame_beyond_the_limits)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT((size_t)64 << 20),
                 large CLEANUP(buf_release) = BUF_INIT((size_t)64 << 20);
    char *p = buf_reserve(&large, EVENTSTREAM_PAYLOAD_MAX + 1);

    CHECK(p);
    memset(p, 'x', EVENTSTREAM_PAYLOAD_MAX + 1);
    (void)buf_add_lit(&b, "kept");
    CHECK_ERR(write_one(&b, STR(""), STR("v"), STR("")), E_TOO_LARGE);
    CHECK_ERR(write_one(&b, str_of(p, 256), STR("v"), STR("")), E_TOO_LARGE);
    CHECK_ERR(write_one(&b, STR("n"), str_of(p, 65536), STR("")), E_TOO_LARGE);
    CHECK_ERR(write_one(&b, STR("n"), STR("v"), str_of(p, EVENTSTREAM_PAYLOAD_MAX + 1)), E_TOO_LARGE);
    CHECK_STR(buf_str(&b), "kept");
    CHECK_OK(write_one(&b, str_of(p, 255), str_of(p, 65535), str_of(p, EVENTSTREAM_PAYLOAD_MAX)));

    struct eventstream_writer w;
    b.n = 4;
    eventstream_begin(&w, &b);
    eventstream_add_string(&w, STR("a"), str_of(p, 65535));
    eventstream_add_string(&w, STR("b"), str_of(p, 65535)); /* with names and lengths beyond 128 KiB */
    eventstream_begin_payload(&w);
    CHECK_ERR(eventstream_end(&w), E_TOO_LARGE);
    CHECK_STR(buf_str(&b), "kept");
}

TEST(eventstream_that_does_not_fit_its_buf_leaves_no_part)
{
    struct buf whole CLEANUP(buf_release) = BUF_INIT(4096);

    CHECK_OK(write_one(&whole, STR("name"), STR("value"), STR("payload")));
    for (size_t max = 0; max <= whole.n; max++) {
        struct buf b CLEANUP(buf_release) = BUF_INIT(max);
        CHECK_ERR(write_one(&b, STR("name"), STR("value"), STR("payload")), max < whole.n ? E_TOO_LARGE : OK);
        CHECK_EQ(b.n, max < whole.n ? 0 : whole.n);
    }
}
