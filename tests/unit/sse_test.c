/* sse_test.c - server-sent events: what the WHATWG rules say, whatever the cuts. */
#include "unit/test.h"

#include "codec/sse.h"

#include "base/mem.h"

/* Events as text: name|data|id|retry|flags, one per line. Raw bytes are joined into `raw`. */
struct reading {
    struct sse s;
    struct buf text, raw;
};

static void add_event(struct reading *r, const struct sse_event *e)
{
    (void)buf_addf(&r->text, "%.*s|%.*s|%.*s%s|%lld%s%s%s\n", STR_ARG(e->name), STR_ARG(e->data), STR_ARG(e->id),
                   e->id.p ? "#" : "", (long long)e->retry, e->has_data ? "" : " none", e->is_comment ? " comment" : "",
                   e->is_partial ? " partial" : "");
    (void)buf_add(&r->raw, e->raw);
}

static void feed(struct reading *r, struct str piece)
{
    char *own = mem_alloc(piece.n);
    struct str in = str_of(own, piece.n);
    struct sse_event e;
    enum sse_result got;

    memcpy(own, piece.p, piece.n);
    while ((got = sse_next(&r->s, &in, &e)) == SSE_EVENT)
        add_event(r, &e);
    if (got == SSE_TOO_LARGE)
        (void)buf_add_lit(&r->text, "too large");
    memset(own, '#', piece.n);
    mem_free(own);
}

static void release(struct reading *r)
{
    sse_release(&r->s);
    buf_release(&r->text);
    buf_release(&r->raw);
}

static void check_pieces(struct str input, size_t first, size_t rest, size_t max, struct str want, struct str raw)
{
    struct reading r CLEANUP(release) = {.text = BUF_INIT(1 << 20), .raw = BUF_INIT(1 << 20)};
    struct sse_event e;

    sse_init(&r.s, max);
    feed(&r, str_slice(input, 0, first));
    for (size_t at = first; at < input.n && !r.s.failed; at += rest)
        feed(&r, str_slice(input, at, at + rest));
    if (sse_end(&r.s, &e) == SSE_EVENT)
        add_event(&r, &e);
    test_context("first piece %zu, then %zu, of %.*s", first, rest, STR_ARG(str_slice(input, 0, 200)));
    CHECK_MSG(str_eq(buf_str(&r.text), want), "got %.*s\nwant %.*s", STR_ARG(buf_str(&r.text)), STR_ARG(want));
    /* the LF of a final CRLF may be missing when it came alone */
    bool all = r.raw.n == raw.n || (r.raw.n + 1 == raw.n && str_ends(raw, STR("\r\n")));
    CHECK(all && str_starts(raw, buf_str(&r.raw)));
}

/* Whole, in two pieces cut anywhere, and in pieces of 1, 2 and 3 bytes: the same events, and all bytes come out. */
static void check_str(struct str input, const char *want)
{
    struct str expect = str_from_c(want);

    check_pieces(input, input.n, 1, 0, expect, input);
    for (size_t at = 1; at < input.n; at++)
        check_pieces(input, at, input.n, 0, expect, input);
    for (size_t piece = 1; piece < 4; piece++)
        check_pieces(input, piece, piece, 0, expect, input);
    test_context("%s", "");
}

static void check(const char *input, const char *want)
{
    check_str(str_from_c(input), want);
}

TEST(sse_reads_all_line_ends)
{
    check("data: a\n\ndata: b\n\n", "|a||-1\n|b||-1\n");
    check("data: a\r\n\r\ndata: b\r\n\r\n", "|a||-1\n|b||-1\n");
    check("data: a\r\rdata: b\r\r", "|a||-1\n|b||-1\n");
    check("data: a\r\n\ndata: b\n\r\ndata: c\r\n\rdata: d\n\r", "|a||-1\n|b||-1\n|c||-1\n|d||-1\n");
    check("data: a\ndata: b\rdata: c\r\ndata: d\r\n\r\n", "|a\nb\nc\nd||-1\n");
}

TEST(sse_reads_fields)
{
    check("event: ping\ndata: {\"x\":1}\nid: 7\nretry: 1500\n\n", "ping|{\"x\":1}|7#|1500\n");
    check("event:ping\ndata:x\nid:7\nretry:0\n\n", "ping|x|7#|0\n");
    check("data:  two blanks \n\n", "| two blanks ||-1\n");
    check("data: a:b: c\n\n", "|a:b: c||-1\n");
    check("event: e\nid: 1\nretry: 5\ndata: x\n\ndata: y\n\n", "e|x|1#|5\n|y||-1\n");
    check("event: a\nevent: b\ndata: x\n\n", "b|x||-1\n");
    check("id\ndata\nevent\n\n", "||#|-1\n");
    check("data\ndata\n\n", "|\n||-1\n");
    check("data:\ndata: \ndata:x\n\n", "|\n\nx||-1\n");
    check("Data: x\ndatax: y\ndat: z\n data: w\nfoo\n\n", "|||-1 none\n");
    check("retry: 1x\nretry: -1\nretry:\ndata: x\n\n", "|x||-1\n");
    check("event: e\n\ndata: x\n\n", "e|||-1 none\n|x||-1\n");
}

TEST(sse_ignores_an_id_with_a_nul)
{
    check_str(STR("id: a\0b\ndata: x\n\n"), "|x||-1\n");
}

TEST(sse_tells_comments_and_keep_alives)
{
    check(": ping\n\n", "|||-1 none comment\n");
    check(":\n\n: OPENROUTER PROCESSING\n\ndata: x\n\n", "|||-1 none comment\n|||-1 none comment\n|x||-1\n");
    check(": c\ndata: x\n\n", "|x||-1\n");
    check("\n\ndata: x\n\n", "|||-1 none comment\n|||-1 none comment\n|x||-1\n");
}

TEST(sse_passes_over_a_byte_order_mark_at_the_start_only)
{
    check("\xef\xbb\xbf"
          "data: a\n\n",
          "|a||-1\n");
    check("\xef\xbb\xbf"
          "data: a\ndata: b\n\n",
          "|a\nb||-1\n");
    check("\xef\xbb\xbf\n", "|||-1 none comment\n");
    check("data: a\n\n\xef\xbb\xbf"
          "data: b\n\n",
          "|a||-1\n|||-1 none\n");
    check("\xef\xbb"
          "data: b\n\n",
          "|||-1 none\n");
}

TEST(sse_gives_a_last_event_without_its_blank_line)
{
    check("data: a\n\ndata: b\n", "|a||-1\n|b||-1 partial\n");
    check("data: a", "|a||-1 partial\n");
    check("data: a\nevent: e", "e|a||-1 partial\n");
    check(": bye", "|||-1 none comment partial\n");
    check("data: a\r", "|a||-1 partial\n");
    check("", "");
}

TEST(sse_keeps_multi_byte_characters_whole)
{
    check("data: \xe6\xa8\xa1\xf0\x9f\x98\x80\n\n", "|\xe6\xa8\xa1\xf0\x9f\x98\x80||-1\n");
}

TEST(sse_does_not_copy_an_event_that_is_all_there)
{
    struct sse s CLEANUP(sse_release);
    struct str text = STR("event: e\ndata: hello\n\ndata: x\r\n\r\n"), in = text;
    struct sse_event e;

    sse_init(&s, 0);
    CHECK_EQ(sse_next(&s, &in, &e), SSE_EVENT);
    CHECK(e.raw.p == text.p && e.raw.n == 22);
    CHECK(e.data.p == text.p + 15);
    CHECK_EQ(sse_next(&s, &in, &e), SSE_EVENT);
    CHECK(e.data.p == text.p + 28);
    CHECK_EQ(e.raw.n, 11);
    CHECK_EQ(sse_next(&s, &in, &e), SSE_MORE);
    CHECK_EQ(s.carry.cap, 0);
}

TEST(sse_keeps_both_bytes_of_a_line_end_with_the_event)
{
    struct sse s CLEANUP(sse_release);
    struct str in = STR("data: x\r\n");
    struct sse_event e;

    sse_init(&s, 0);
    CHECK_EQ(sse_next(&s, &in, &e), SSE_MORE);
    in = STR("\r\ndata: y\r\n\r\n");
    CHECK_EQ(sse_next(&s, &in, &e), SSE_EVENT);
    CHECK_STR(e.raw, "data: x\r\n\r\n");
    CHECK_EQ(sse_next(&s, &in, &e), SSE_EVENT);
    CHECK_STR(e.raw, "data: y\r\n\r\n");
}

TEST(sse_says_whether_it_holds_part_of_an_event)
{
    struct sse s CLEANUP(sse_release);
    struct str in = STR("data: x\n");
    struct sse_event e;

    sse_init(&s, 0);
    CHECK(!sse_is_within_event(&s));
    CHECK_EQ(sse_next(&s, &in, &e), SSE_MORE);
    CHECK(sse_is_within_event(&s));
    in = STR("\n");
    CHECK_EQ(sse_next(&s, &in, &e), SSE_EVENT);
    CHECK(!sse_is_within_event(&s));
}

TEST(sse_holds_to_its_limit_and_stays_refused)
{
    struct str fits = STR("data: 6789\n\n"), over = STR("data: 67890\n\n");

    check_pieces(fits, fits.n, 1, 12, STR("|6789||-1\n"), fits);
    for (size_t at = 1; at < fits.n; at++)
        check_pieces(fits, at, 1, 12, STR("|6789||-1\n"), fits);
    for (size_t at = 1; at <= over.n; at++)
        check_pieces(over, at, 1, 12, STR("too large"), STR(""));
    struct sse s CLEANUP(sse_release);
    struct sse_event e;
    sse_init(&s, 12);
    struct str in = over;
    CHECK_EQ(sse_next(&s, &in, &e), SSE_TOO_LARGE);
    in = fits;
    CHECK_EQ(sse_next(&s, &in, &e), SSE_TOO_LARGE);
    CHECK_EQ(sse_end(&s, &e), SSE_TOO_LARGE);
}

TEST(sse_takes_an_event_of_a_megabyte)
{
    struct buf big CLEANUP(buf_release) = BUF_INIT(4 << 20);
    struct sse s CLEANUP(sse_release);
    struct sse_event e;

    CHECK_OK(buf_add_lit(&big, "data: "));
    for (int i = 0; i < 1 << 17; i++)
        CHECK_OK(buf_add_lit(&big, "12345678"));
    CHECK_OK(buf_add_lit(&big, "\n\n"));
    sse_init(&s, 0);
    enum sse_result r = SSE_MORE;
    for (size_t at = 0; at < big.n; at += 4000) {
        struct str in = str_slice(buf_str(&big), at, at + 4000);
        r = sse_next(&s, &in, &e);
    }
    CHECK_EQ(r, SSE_EVENT);
    CHECK_EQ(e.data.n, 1 << 20);
    struct str next = STR("data: x\n\n");
    CHECK_EQ(sse_next(&s, &next, &e), SSE_EVENT);
    CHECK_LE(s.carry.cap, 64 * 1024);
}

TEST(sse_writes_events)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);

    CHECK_OK(sse_write_event(&b, STR(""), STR("{}")));
    CHECK_OK(sse_write_event(&b, STR("e"), STR("a\nb\r\nc\rd")));
    CHECK_OK(sse_write_event(&b, STR(""), STR("")));
    CHECK_OK(sse_write_event(&b, STR(""), STR("x\n")));
    CHECK_OK(sse_write_comment(&b, STR("ping")));
    CHECK_STR(buf_str(&b),
              "data: {}\n\nevent: e\ndata: a\ndata: b\ndata: c\ndata: d\n\ndata: \n\ndata: x\ndata: \n\n: ping\n\n");
    const size_t before = b.n;
    CHECK_ERR(sse_write_event(&b, STR("a\rb"), STR("x")), E_PARSE);
    CHECK_ERR(sse_write_event(&b, STR("a\n"), STR("x")), E_PARSE);
    CHECK_ERR(sse_write_comment(&b, STR("a\nb")), E_PARSE);
    CHECK_EQ(b.n, before);
    struct buf small CLEANUP(buf_release) = BUF_INIT(10);
    CHECK_ERR(sse_write_event(&small, STR("e"), STR("123")), E_TOO_LARGE);
    CHECK_EQ(small.n, 0);
}

TEST(sse_reads_back_what_it_writes)
{
    static const char *const datas[] = {"", "x", "a\nb", "\n", "\n\n", " x", "a\r\nb", ":", "data: x"};
    static const char *const wants[] = {"", "x", "a\nb", "\n", "\n\n", " x", "a\nb", ":", "data: x"};

    for (size_t i = 0; i < ARRAY_LEN(datas); i++) {
        struct buf b CLEANUP(buf_release) = BUF_INIT(1000);
        struct sse s CLEANUP(sse_release);
        struct sse_event e;
        sse_init(&s, 0);
        CHECK_OK(sse_write_event(&b, STR("n"), str_from_c(datas[i])));
        struct str in = buf_str(&b);
        CHECK_EQ(sse_next(&s, &in, &e), SSE_EVENT);
        CHECK_STR(e.data, wants[i]);
        CHECK_STR(e.name, "n");
        CHECK_EQ(in.n, 0);
    }
}

/* ---- memory that is refused ---- */

static unsigned strike_at, asked;

static bool strike(void)
{
    return ++asked == strike_at;
}

/* An event over several reads and lines of data, of which the N-th buffer cannot grow: all of it or "too large", never a part. */
TEST(sse_that_is_refused_memory_says_so_and_gives_no_part_of_an_event)
{
    static char line[3000];
    struct sse_event e;

    memset(line, 'x', sizeof line);
    memcpy(line, "data: ", 6);
    memcpy(line + 1500, "\ndata: ", 7);
    memcpy(line + sizeof line - 2, "\n\n", 2);
    for (strike_at = 1;; strike_at++) {
        struct sse s CLEANUP(sse_release);
        enum sse_result got = SSE_MORE;

        sse_init(&s, 0);
        asked = 0;
        mem_limit_hook = strike;
        for (size_t at = 0; at < sizeof line && got == SSE_MORE; at += 50) {
            struct str in = str_of(line + at, 50);
            got = sse_next(&s, &in, &e);
        }
        mem_limit_hook = NULL;
        if (asked < strike_at) {
            CHECK(got == SSE_EVENT && e.data.n == sizeof line - 6 - 6 - 2);
            break;
        }
        CHECK_EQ(got, SSE_TOO_LARGE);
    }
    CHECK_GT(strike_at, 8);
}
