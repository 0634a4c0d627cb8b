/* http1_test.c - HTTP/1.1 messages: what is read, what is refused, and that cutting the input changes nothing. */
#include "unit/test.h"

#include "codec/http1.h"

#include "base/mem.h"

#include <stdio.h>

/* --- a message as text, so that two ways of parsing it can be compared --- */

struct run {
    enum http1_role role;
    struct http1_limits limits;
    bool to_head, skip_informational, closes;
    bool reasons; /* errors with their words */
};

static void add_head(struct buf *out, const struct http_head *head)
{
    (void)buf_addf(out, "%.*s|%.*s|%.*s|%.*s%s|%.*s|%d %.*s|1.%d|", STR_ARG(head->method), STR_ARG(head->target),
                   STR_ARG(head->path), STR_ARG(head->query), head->query.p ? "?" : "", STR_ARG(head->host),
                   head->status, STR_ARG(head->reason), head->minor);
    for (size_t i = 0; i < head->count; i++)
        (void)buf_addf(out, "%.*s=%.*s;", STR_ARG(head->headers[i].name), STR_ARG(head->headers[i].value));
    (void)buf_addf(out, "|%lld%s%s%s%s\n", (long long)head->content_length, head->chunked ? " chunked" : "",
                   head->keep_alive ? " keep" : "", head->expect_continue ? " expect" : "",
                   head->upgrade ? " upgrade" : "");
}

static void add_trailers(struct buf *out, const struct http1 *h)
{
    size_t n;
    const struct http_header *t = http1_trailers(h, &n);

    for (size_t i = 0; i < n; i++)
        (void)buf_addf(out, "trailer %.*s=%.*s\n", STR_ARG(t[i].name), STR_ARG(t[i].value));
}

struct parse {
    struct http1 h;
    struct http_head head;
    struct arena arena;
    struct buf out, body;
    bool reasons, done;
};

static void on_event(struct parse *p, enum http1_event e, struct str body)
{
    switch (e) {
    case HTTP1_MORE:
        break;
    case HTTP1_HEAD:
        add_head(&p->out, &p->head);
        break;
    case HTTP1_BODY:
        (void)buf_add(&p->body, body);
        break;
    case HTTP1_END:
        (void)buf_addf(&p->out, "body %.*s\n", STR_ARG(buf_str(&p->body)));
        add_trailers(&p->out, &p->h);
        buf_clear(&p->body);
        (void)buf_add_lit(&p->out, "end\n");
        arena_clear(&p->arena);
        http1_begin(&p->h, &p->arena, &p->head);
        break;
    case HTTP1_ERROR:
        (void)buf_addf(&p->out, "error %d", p->h.error_status);
        if (p->reasons)
            (void)buf_addf(&p->out, " %s", p->h.error_text);
        p->done = true;
        break;
    }
}

/* Feed one piece from memory of its own, which is gone afterwards. */
static void feed(struct parse *p, struct str piece)
{
    char *own = mem_alloc(piece.n);
    struct str in = str_of(own, piece.n), body = STR_NONE;
    enum http1_event e;

    memcpy(own, piece.p, piece.n);
    do {
        e = http1_next(&p->h, &in, &body);
        on_event(p, e, body);
    } while (!p->done && (in.n || (e != HTTP1_MORE && p->h.began)));
    memset(own, '#', piece.n);
    mem_free(own);
}

/* The text of parsing `input` cut before each of the `n` places in `cuts`; the caller releases it. */
static struct buf parse_cut(const struct run *run, struct str input, const size_t *cuts, size_t n)
{
    struct parse p = {.out = BUF_INIT(1 << 20), .body = BUF_INIT(1 << 20), .reasons = run->reasons};
    size_t from = 0;

    arena_init(&p.arena, 1 << 20);
    http1_init(&p.h, run->role, &run->limits);
    http1_skip_informational(&p.h, run->skip_informational);
    http1_begin(&p.h, &p.arena, &p.head);
    if (run->to_head)
        http1_expect_no_body(&p.h);
    for (size_t i = 0; i <= n && !p.done; i++) {
        size_t to = i < n ? cuts[i] : input.n;
        feed(&p, str_slice(input, from, to));
        from = to;
    }
    if (run->closes && !p.done)
        on_event(&p, http1_eof(&p.h), STR_NONE);
    arena_release(&p.arena);
    buf_release(&p.body);
    return p.out;
}

/* Parse whole, cut in two at every place, and byte by byte: always the same, which is `want`. */
static void check_all_cuts(const struct run *run, struct str input, const char *want)
{
    struct buf whole CLEANUP(buf_release) = parse_cut(run, input, NULL, 0);
    size_t each[4096];

    test_context("input %.*s", STR_ARG(str_slice(input, 0, 300)));
    CHECK_STR(buf_str(&whole), want);
    for (size_t at = 1; at < input.n; at++) {
        struct buf two CLEANUP(buf_release) = parse_cut(run, input, &at, 1);
        test_context("cut at %zu of %.*s", at, STR_ARG(str_slice(input, 0, 300)));
        CHECK_STR(buf_str(&two), want);
    }
    CHECK(input.n <= ARRAY_LEN(each));
    for (size_t i = 0; i + 1 < input.n; i++)
        each[i] = i + 1;
    struct buf bytes CLEANUP(buf_release) = parse_cut(run, input, each, input.n ? input.n - 1 : 0);
    test_context("byte by byte %.*s", STR_ARG(str_slice(input, 0, 300)));
    CHECK_STR(buf_str(&bytes), want);
    test_context("%s", "");
}

static void check_request(const char *input, const char *want)
{
    check_all_cuts(&(struct run){.role = HTTP1_REQUEST}, str_from_c(input), want);
}

static void check_response(const char *input, const char *want)
{
    check_all_cuts(&(struct run){.role = HTTP1_RESPONSE, .closes = true}, str_from_c(input), want);
}

/* --- requests --- */

TEST(http1_reads_a_request_with_a_body_of_known_length)
{
    check_request("POST /v1/chat/completions?x=1&y HTTP/1.1\r\nHost: a.b:8080\r\ncontent-length: 5\r\nX-Y:  a b "
                  "\t\r\nEmpty:\r\n\r\nhello",
                  "POST|/v1/chat/completions?x=1&y|/v1/chat/completions|x=1&y?|a.b:8080|0 |1.1|"
                  "Host=a.b:8080;content-length=5;X-Y=a b;Empty=;|5 keep\nbody hello\nend\n");
}

TEST(http1_reads_a_request_without_a_body)
{
    check_request("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET|/|/||h|0 |1.1|Host=h;|-1 keep\nbody \nend\n");
    check_request("GET /? HTTP/1.1\r\nHost:\r\n\r\n", "GET|/?|/|?||0 |1.1|Host=;|-1 keep\nbody \nend\n");
    check_request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
                  "POST|/|/||h|0 |1.1|Host=h;Content-Length=0;|0 keep\nbody \nend\n");
}

TEST(http1_reads_chunked_bodies_with_extensions_and_trailers)
{
    check_request("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
                  "5\r\nhello\r\n1;a=b;c=\"d e\"\r\n \r\n00A\r\n0123456789\r\n0\r\nX-Sum: 1 2\r\nEmpty:\r\n\r\n",
                  "POST|/|/||h|0 |1.1|Host=h;Transfer-Encoding=Chunked;|-1 chunked keep\n"
                  "body hello 0123456789\ntrailer X-Sum=1 2\ntrailer Empty=\nend\n");
}

TEST(http1_leaves_pipelined_requests_for_the_next_message)
{
    check_request("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
                  "PUT /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /4 "
                  "HTTP/1.1\r\nHost: h\r\n\r\n",
                  "POST|/1|/1||h|0 |1.1|Host=h;Content-Length=2;|2 keep\nbody ab\nend\n"
                  "GET|/2|/2||h|0 |1.1|Host=h;|-1 keep\nbody \nend\n"
                  "PUT|/3|/3||h|0 |1.1|Host=h;Transfer-Encoding=chunked;|-1 chunked keep\nbody x\nend\n"
                  "GET|/4|/4||h|0 |1.1|Host=h;|-1 keep\nbody \nend\n");
}

TEST(http1_takes_absolute_and_asterisk_targets)
{
    check_request("GET http://x.y:81/p?q HTTP/1.1\r\nHost: other\r\n\r\n",
                  "GET|http://x.y:81/p?q|/p|q?|x.y:81|0 |1.1|Host=other;|-1 keep\nbody \nend\n");
    check_request("GET https://x.y HTTP/1.1\r\nHost: x.y\r\n\r\n",
                  "GET|https://x.y|/||x.y|0 |1.1|Host=x.y;|-1 keep\nbody \nend\n");
    check_request("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS|*|*||x|0 |1.1|Host=x;|-1 keep\nbody \nend\n");
}

TEST(http1_knows_when_a_connection_can_carry_another_message)
{
    static const struct {
        const char *version, *connection;
        bool keep;
    } rows[] = {
        {"1.1", NULL, true},          {"1.1", "close", false},
        {"1.1", "keep-alive", true},  {"1.1", "CLOSE", false},
        {"1.1", "foo, Close", false}, {"1.1", "keep-alive, close", false},
        {"1.0", NULL, false},         {"1.0", "Keep-Alive", true},
        {"1.0", "close", false},      {"1.0", "x ,keep-alive", true},
        {"1.1", "closed", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(4096);
        struct parse p = {0};
        struct str body;
        CHECK_OK(buf_addf(&text, "GET / HTTP/%s\r\nHost: h\r\n%s%s%s\r\n", rows[i].version,
                          rows[i].connection ? "Connection: " : "", rows[i].connection ? rows[i].connection : "",
                          rows[i].connection ? "\r\n" : ""));
        arena_init(&p.arena, 1 << 20);
        http1_init(&p.h, HTTP1_REQUEST, NULL);
        http1_begin(&p.h, &p.arena, &p.head);
        struct str in = buf_str(&text);
        enum http1_event e = http1_next(&p.h, &in, &body);
        bool keep = p.head.keep_alive;
        arena_release(&p.arena);
        test_context("row %zu", i);
        CHECK_EQ(e, HTTP1_HEAD);
        CHECK_EQ(keep, rows[i].keep);
    }
}

TEST(http1_sees_expect_and_upgrade)
{
    check_request("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
                  "PUT|/|/||h|0 |1.1|Host=h;Expect=100-Continue;Content-Length=1;|1 keep expect\nbody x\nend\n");
    check_request("PUT / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
                  "PUT|/|/||h|0 |1.0|Host=h;Expect=100-continue;Content-Length=1;|1\nbody x\nend\n");
    check_request(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET|/|/||h|0 |1.1|Host=h;Connection=keep-alive, Upgrade;Upgrade=websocket;|-1 keep upgrade\nbody \nend\n");
    check_request("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\r\n",
                  "GET|/|/||h|0 |1.1|Host=h;Connection=Upgrade;|-1 keep\nbody \nend\n");
    check_request("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
                  "GET|/|/||h|0 |1.1|Host=h;Upgrade=websocket;|-1 keep\nbody \nend\n");
}

TEST(http1_passes_over_a_few_empty_lines_before_a_request)
{
    check_request("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET|/|/||h|0 |1.1|Host=h;|-1 keep\nbody \nend\n");
}

TEST(http1_does_not_pass_over_empty_lines_for_ever)
{
    struct buf lines CLEANUP(buf_release) = BUF_INIT(1000);

    for (int i = 0; i < 33; i++)
        CHECK_OK(buf_add_lit(&lines, "\r\n"));
    check_all_cuts(&(struct run){.role = HTTP1_REQUEST}, buf_str(&lines), "error 400");
}

TEST(http1_refuses_what_requests_are_smuggled_with)
{
    static const struct {
        const char *input;
        int status;
    } rows[] = {
        /* length */
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\nhello", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5 5\r\n\r\nhello", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\t\r\n\r\nhello", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\nhello", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\n", 400},
        /* length and coding */
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 400},
        /* coding */
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0b"
         "chunked\r\n\r\n0\r\n\r\n",
         400},
        {"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        /* line ends and blanks */
        {"GET / HTTP/1.1\nHost: h\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\n\nX: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\n: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nX Y: z\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nX\x80: z\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nX(: z\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nX: \x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nX: a\x7f\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
        {"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        /* host */
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", 400},
        /* chunks */
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n 1\r\nx\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", 400},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char want[32];
        (void)snprintf(want, sizeof want, "error %d", rows[i].status);
        for (size_t at = 0; at < strlen(rows[i].input); at++) {
            struct run run = {.role = HTTP1_REQUEST};
            struct buf got CLEANUP(buf_release) = parse_cut(&run, str_from_c(rows[i].input), &at, 1);
            test_context("row %zu cut at %zu: got %.*s", i, at, STR_ARG(buf_str(&got)));
            CHECK(str_ends(buf_str(&got), str_from_c(want)));
        }
    }
}

TEST(http1_says_the_same_of_a_length_however_it_came)
{
    static const char *const lengths[] = {"x", "5, 5", "+5", "-5", "0x5", "5 5", "99999999999999999999"};
    struct run run = {.role = HTTP1_REQUEST, .reasons = true};

    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(4096);
        CHECK_OK(buf_addf(&text, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %s\r\n\r\n", lengths[i]));
        check_all_cuts(&run, buf_str(&text), "error 400 invalid Content-Length");
    }
}

TEST(http1_refuses_bad_chunk_ends_after_giving_the_good_part)
{
    static const char *const tails[] = {"1\nx\r\n0\r\n\r\n",
                                        "1\r\nxx\r\n0\r\n\r\n",
                                        "1\r\nx\n0\r\n\r\n",
                                        "1\r\nx0\r\n\r\n",
                                        "1;a\nb\r\nx\r\n",
                                        "0\r\n\n",
                                        "0\n\r\n",
                                        "0\r\nX : y\r\n\r\n",
                                        "0\r\nX: y\r\n z\r\n\r\n",
                                        "1 \r\nx\r\n0\r\n\r\n",
                                        "0\r\n X: y\r\n\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(4096);
        struct run run = {.role = HTTP1_REQUEST};
        CHECK_OK(buf_addf(&text, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%s", tails[i]));
        for (size_t at = 0; at < text.n; at++) {
            struct buf got CLEANUP(buf_release) = parse_cut(&run, buf_str(&text), &at, 1);
            test_context("row %zu cut at %zu: got %.*s", i, at, STR_ARG(buf_str(&got)));
            CHECK(str_ends(buf_str(&got), STR("error 400")));
        }
    }
}

TEST(http1_refuses_request_lines_that_are_not_http)
{
    static const struct {
        const char *input, *want;
    } rows[] = {
        {"FROBNICATE / HTTP/1.1\r\nHost: h\r\n\r\n", "error 501"},
        {"get / HTTP/1.1\r\nHost: h\r\n\r\n", "error 501"},
        {"CONNECT a:1 HTTP/1.1\r\nHost: h\r\n\r\n", "error 501"},
        {"\x16\x03\x01\x02", "error 400"},
        {"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", "error 400"},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "error 505"},
        {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", "error 505"},
        {"GET / HTTP/0.9\r\nHost: h\r\n\r\n", "error 505"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "error 505"},
        {"GET / HTTP/1.1\n", "error 400"},
        {"GET / HTTP/1.1\nHost: h\n\n", "error 400"},
        {"GET / HTTP/1.1\nHost: h\r\n\r\n", "error 400"},
        {"GET / HTTP/1.0\n\n", "error 400"},
        {"GET / HTTP/1.1\rHost: h\r\n\r\n", "error 400"},
        {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "error 400"},
        {"GET / HTTP/1.10\r\nHost: h\r\n\r\n", "error 400"},
        {"GET / HTTP/2.0\n\n", "error 400"},
        {"GET / HTTP/1\r\nHost: h\r\n\r\n", "error 400"},
        {"GET /\n\n", "error 400"},
        {"GET / HTTX/1.1\r\nHost: h\r\n\r\n", "error 400"},
        {"GET / http/1.1\r\nHost: h\r\n\r\n", "error 400"},
        {"SOURCE / ICE/1.1\r\nHost: h\r\n\r\n", "error 400"},
        {"GET x HTTP/1.1\r\nHost: h\r\n\r\n", "error 400"},
        {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", "error 400"},
        {"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", "error 400"},
        {"GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n", "error 400"},
        {"GET http://u@h/x HTTP/1.1\r\nHost: h\r\n\r\n", "error 400"},
        {"GET /\x80 HTTP/1.1\r\nHost: h\r\n\r\n", "error 400"},
        {"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", "error 400"},
        {"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", "error 400"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_request(rows[i].input, rows[i].want);
}

TEST(http1_refuses_nul_bytes_anywhere_in_a_head)
{
    static const char head[] = "GET /abc HTTP/1.1\r\nHost: h\r\nName: value\r\n\r\n";

    for (size_t at = 0; at + 1 < sizeof head; at++) {
        char bad[sizeof head];
        memcpy(bad, head, sizeof head);
        bad[at] = '\0';
        struct run run = {.role = HTTP1_REQUEST};
        struct buf got CLEANUP(buf_release) = parse_cut(&run, str_of(bad, sizeof bad - 1), NULL, 0);
        test_context("NUL at %zu: got %.*s", at, STR_ARG(buf_str(&got)));
        CHECK(str_starts(buf_str(&got), STR("error ")));
    }
}

/* --- limits --- */

TEST(http1_holds_to_its_limits)
{
    const struct http1_limits small = {
        .head_bytes = 60, .headers = 3, .target_bytes = 10, .extension_bytes = 8, .trailer_bytes = 20, .body_bytes = 6};
    struct run run = {.role = HTTP1_REQUEST, .limits = small};

    check_all_cuts(&run, STR("GET /3456789012 HTTP/1.1\r\nHost: h\r\n\r\n"), "error 414");
    check_all_cuts(&run, STR("GET /345678901 HTTP/1.1\r\nHost: h\r\n\r\n"),
                   "GET|/345678901|/345678901||h|0 |1.1|Host=h;|-1 keep\nbody \nend\n");
    check_all_cuts(&run, STR("GET / HTTP/1.1\r\nHost: h\r\na:\r\nb:\r\nc:\r\n\r\n"), "error 431");
    check_all_cuts(&run, STR("GET / HTTP/1.1\r\nHost: h\r\na: 67890123456789012345678901234\r\n\r\n"), "error 431");
    check_all_cuts(&run, STR("GET / HTTP/1.1\r\nHost: h\r\na: 6789012345678901234567890123\r\n\r\n"),
                   "GET|/|/||h|0 |1.1|Host=h;a=6789012345678901234567890123;|-1 keep\nbody \nend\n");
    check_all_cuts(&run, STR("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n1234567"), "error 413");
    check_all_cuts(&run, STR("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n123456"),
                   "PUT|/|/||h|0 |1.1|Host=h;Content-Length=6;|6 keep\nbody 123456\nend\n");
}

#define CHUNKED_HEAD "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_TEXT "PUT|/|/||h|0 |1.1|Host=h;Transfer-Encoding=chunked;|-1 chunked keep\n"

TEST(http1_holds_to_its_limits_of_chunked_bodies)
{
    const struct http1_limits small = {.extension_bytes = 8, .trailer_bytes = 20, .body_bytes = 6};
    struct run run = {.role = HTTP1_REQUEST, .limits = small};

    check_all_cuts(&run, STR(CHUNKED_HEAD "4\r\n1234\r\n3\r\n567\r\n0\r\n\r\n"), CHUNKED_TEXT "error 413");
    check_all_cuts(&run, STR(CHUNKED_HEAD "1;a=123456789\r\nx\r\n0\r\n\r\n"), CHUNKED_TEXT "error 400");
    check_all_cuts(&run, STR(CHUNKED_HEAD "0\r\na: 12345678901234567890\r\n\r\n"), CHUNKED_TEXT "error 431");
    struct buf zeros CLEANUP(buf_release) = BUF_INIT(4096);
    CHECK_OK(buf_add_lit(&zeros, CHUNKED_HEAD));
    for (int i = 0; i < 600; i++)
        CHECK_OK(buf_add_char(&zeros, '0'));
    struct buf got CLEANUP(buf_release) = parse_cut(&run, buf_str(&zeros), NULL, 0);
    CHECK_STR(buf_str(&got), CHUNKED_TEXT "error 400");
}

TEST(http1_takes_a_head_of_a_hundred_headers_and_no_more)
{
    for (int more = 0; more < 2; more++) {
        struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 16);
        struct run run = {.role = HTTP1_REQUEST};
        CHECK_OK(buf_addf(&text, "GET / HTTP/1.1\r\nHost: h\r\n"));
        for (int i = 0; i < 99 + more; i++)
            CHECK_OK(buf_addf(&text, "x-%d: %d\r\n", i, i));
        CHECK_OK(buf_add_lit(&text, "\r\n"));
        struct buf got CLEANUP(buf_release) = parse_cut(&run, buf_str(&text), NULL, 0);
        CHECK(str_ends(buf_str(&got), more ? STR("error 431") : STR("x-98=98;|-1 keep\nbody \nend\n")));
    }
}

/* --- responses --- */

TEST(http1_reads_responses_by_length_by_chunks_and_until_the_peer_closes)
{
    check_response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                   "||||"
                   "|200 OK|1.1|Content-Length=2;|2 keep\nbody hi\nend\n");
    check_response("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                   "|||||200 |1.1|Transfer-Encoding=chunked;|-1 chunked keep\nbody hi\nend\n");
    check_response("HTTP/1.1 200 All is fine\r\n\r\nuntil the end",
                   "|||||200 All is fine|1.1||-1\nbody until the end\nend\n");
    check_response("HTTP/1.0 200 OK\r\n\r\n", "|||||200 OK|1.0||-1\nbody \nend\n");
    check_response("HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n", "|||||500 |1.1|Content-Length=0;|0 keep\nbody \nend\n");
}

TEST(http1_knows_which_responses_have_no_body)
{
    struct run head = {.role = HTTP1_RESPONSE, .to_head = true};

    check_all_cuts(&head, STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
                   "|||||200 OK|1.1|Content-Length=5;|5 keep\nbody \nend\n");
    check_all_cuts(&head, STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                   "|||||200 OK|1.1|Transfer-Encoding=chunked;|-1 chunked keep\nbody \nend\n");
    check_response("HTTP/1.1 204 No Content\r\n\r\n", "|||||204 No Content|1.1||-1 keep\nbody \nend\n");
    check_response("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
                   "|||||304 Not Modified|1.1|Content-Length=9;|9 keep\nbody \nend\n");
    check_response("HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n",
                   "|||||204 No Content|1.1|Content-Length=1;|1\nbody \nend\n");
}

TEST(http1_reports_informational_responses_or_passes_over_them)
{
    const char *both = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "
                       "OK\r\nContent-Length: 1\r\n\r\nx";
    struct run skip = {.role = HTTP1_RESPONSE, .skip_informational = true};

    check_response(both, "|||||103 Early Hints|1.1|Link=</a>;|-1 keep\nbody \nend\n"
                         "|||||100 Continue|1.1||-1 keep\nbody \nend\n"
                         "|||||200 OK|1.1|Content-Length=1;|1 keep\nbody x\nend\n");
    check_all_cuts(&skip, str_from_c(both), "|||||200 OK|1.1|Content-Length=1;|1 keep\nbody x\nend\n");
    check_all_cuts(&skip, STR("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
                   "|||||101 Switching Protocols|1.1||-1 keep upgrade\nbody \nend\n");
    struct buf many CLEANUP(buf_release) = BUF_INIT(4096);
    for (int i = 0; i < 17; i++)
        CHECK_OK(buf_add_lit(&many, "HTTP/1.1 100 Continue\r\n\r\n"));
    check_all_cuts(&skip, buf_str(&many), "error 502");
}

TEST(http1_refuses_malformed_responses_as_a_bad_gateway)
{
    static const char *const rows[] = {
        "HTTP/1.1 99 X\r\n\r\n",
        "HTTP/1.1 2000 X\r\n\r\n",
        "HTTP/1.1 20 X\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 099 X\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_response(rows[i], "error 502");
}

TEST(http1_notices_a_message_that_breaks_off)
{
    static const char *const rows[] = {"H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd",
                                       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
                                       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct run run = {.role = HTTP1_RESPONSE, .closes = true};
        struct buf got CLEANUP(buf_release) = parse_cut(&run, str_from_c(rows[i]), NULL, 0);
        test_context("row %zu: %.*s", i, STR_ARG(buf_str(&got)));
        CHECK(str_ends(buf_str(&got), STR("error 502")));
    }
    check_response("", "");
}

/* --- names --- */

TEST(http_known_finds_every_name_in_any_case)
{
    for (enum http_known id = 1; id < HDR_COUNT; id++) {
        struct str name = http_known_name(id);
        char upper[64], longer[64];
        for (size_t i = 0; i < name.n; i++)
            upper[i] = (char)(name.p[i] >= 'a' && name.p[i] <= 'z' ? name.p[i] - 32 : name.p[i]);
        uint32_t mix = (uint32_t)name.n << 24 ^ (uint32_t)(name.p[0] | 32) << 16 ^
                       (uint32_t)(name.p[name.n / 2] | 32) << 8 ^ (uint32_t)(name.p[name.n - 1] | 32);
        test_context("%.*s: its slot is %u (change the factor if that is taken)", STR_ARG(name),
                     mix * 0xa8c27663U >> 25);
        CHECK_EQ(http_known_of(name), id);
        CHECK_EQ(http_known_of(str_of(upper, name.n)), id);
        memcpy(longer, name.p, name.n);
        longer[name.n] = 's';
        CHECK_EQ(http_known_of(str_of(longer, name.n + 1)), HDR_OTHER);
        CHECK_NE(http_known_of(str_slice(name, 0, name.n - 1)), id);
        for (size_t i = 0; i < name.n; i++) {
            memcpy(longer, name.p, name.n);
            longer[i] = '_';
            CHECK_EQ(http_known_of(str_of(longer, name.n)), HDR_OTHER);
        }
    }
    CHECK_EQ(http_known_of(STR("")), HDR_OTHER);
    CHECK_EQ(http_known_of(STR("x")), HDR_OTHER);
}

TEST(http_head_look_ups_give_the_first_of_a_name)
{
    struct http_header headers[] = {{STR("X-Own"), STR("1")},
                                    {STR("accept"), STR("a")},
                                    {STR("ACCEPT"), STR("b")},
                                    {STR("x-own"), STR("2")},
                                    {STR("host"), STR("")}};
    struct http_head head = {.headers = headers, .count = ARRAY_LEN(headers)};

    http_head_index(&head);
    CHECK_STR(http_head_find(&head, STR("Accept")), "a");
    CHECK_STR(http_head_get(&head, HDR_ACCEPT), "a");
    CHECK_STR(http_head_find(&head, STR("x-OWN")), "1");
    CHECK(http_head_find(&head, STR("host")).p != NULL);
    CHECK(http_head_find(&head, STR("te")).p == NULL);
    CHECK(http_head_find(&head, STR("x-none")).p == NULL);
    CHECK_EQ(http_head_next(&head, STR("x-own"), 1), 3);
    CHECK_EQ(http_head_next(&head, STR("accept"), 3), 5);
}

TEST(http1_tells_the_http2_preface)
{
    const struct str preface = STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

    for (size_t n = 0; n < preface.n; n++)
        CHECK_EQ(http1_is_h2_preface(str_slice(preface, 0, n)), -1);
    CHECK_EQ(http1_is_h2_preface(preface), 1);
    CHECK_EQ(http1_is_h2_preface(STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore")), 1);
    CHECK_EQ(http1_is_h2_preface(STR("P O")), 0);
    CHECK_EQ(http1_is_h2_preface(STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\rx")), 0);
}

/* --- writing --- */

TEST(http1_writes_heads)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);
    struct http_header headers[] = {{STR("Host"), STR("a")}, {STR("X"), STR("")}, {STR("Tab"), STR("a\tb \xc3\xa9")}};

    CHECK_OK(http1_write_request_head(&b, STR("GET"), STR("/a:b?c"), headers, 3));
    CHECK_STR(buf_str(&b), "GET /a:b?c HTTP/1.1\r\nHost: a\r\nX: \r\nTab: a\tb \xc3\xa9\r\n\r\n");
    buf_clear(&b);
    CHECK_OK(http1_write_response_head(&b, 404, headers, 1));
    CHECK_OK(http1_write_header_u64(&b, STR("content-length"), UINT64_MAX));
    CHECK_STR(buf_str(&b), "HTTP/1.1 404 Not Found\r\nHost: a\r\n\r\ncontent-length: 18446744073709551615\r\n");
}

TEST(http1_refuses_to_write_what_breaks_the_framing)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(10000);
    char name[40], value[70];

    CHECK_OK(http1_write_header(&b, STR("before"), STR("x")));
    const size_t before = b.n;
    for (size_t n = 1; n <= sizeof value; n++) {
        for (size_t at = 0; at < n; at++) {
            static const char bad[] = {'\r', '\n', '\0', 0x7f, 0x1f, 0x0b};
            for (size_t k = 0; k < sizeof bad; k++) {
                memset(value, 'v', sizeof value);
                value[at] = bad[k];
                CHECK_ERR(http1_write_header(&b, STR("name"), str_of(value, n)), E_PARSE);
            }
        }
    }
    for (size_t n = 1; n <= sizeof name; n++) {
        for (size_t at = 0; at < n; at++) {
            static const char bad[] = {'\r', '\n', '\0', ' ', ':', '\t', 0x7f, (char)0x80, (char)0xff};
            for (size_t k = 0; k < sizeof bad; k++) {
                memset(name, 'n', sizeof name);
                name[at] = bad[k];
                CHECK_ERR(http1_write_header(&b, str_of(name, n), STR("v")), E_PARSE);
            }
        }
        memset(name, 'n', sizeof name);
        CHECK_OK(http1_write_header(&b, str_of(name, n), str_of(name, n)));
        b.n = before;
    }
    CHECK_OK(http1_write_header(&b, STR("tabs"), STR("\tis\tfine\tin\ta\tlong\tvalue\t")));
    b.n = before;
    CHECK_ERR(http1_write_header(&b, STR(""), STR("v")), E_PARSE);
    CHECK_ERR(http1_write_request_line(&b, STR("GE T"), STR("/")), E_PARSE);
    CHECK_ERR(http1_write_request_line(&b, STR("GET"), STR("/a b")), E_PARSE);
    CHECK_ERR(http1_write_request_line(&b, STR("GET"), STR("/a\r\nX: y")), E_PARSE);
    CHECK_ERR(http1_write_request_line(&b, STR("GET"), STR("")), E_PARSE);
    CHECK_ERR(http1_write_status_line(&b, 99), E_PARSE);
    CHECK_ERR(http1_write_status_line(&b, 1000), E_PARSE);
    struct http_header headers[] = {{STR("a"), STR("b")}, {STR("c"), STR("d\n")}};
    CHECK_ERR(http1_write_request_head(&b, STR("GET"), STR("/"), headers, 2), E_PARSE);
    CHECK_ERR(http1_write_response_head(&b, 200, headers, 2), E_PARSE);
    CHECK_EQ(b.n, before);
}

TEST(http1_what_is_written_is_read_back)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);
    struct http_header headers[] = {{STR("Host"), STR("a")}, {STR("!#$%&'*+-.^_`|~"), STR("\x80\xff")}};

    CHECK_OK(http1_write_request_head(&b, STR("M-SEARCH"), STR("/a"), headers, 2));
    check_all_cuts(&(struct run){.role = HTTP1_REQUEST}, buf_str(&b),
                   "M-SEARCH|/a|/a||a|0 |1.1|Host=a;!#$%&'*+-.^_`|~=\x80\xff;|-1 keep\nbody \nend\n");
}

TEST(http1_formats_chunk_heads)
{
    static const struct {
        size_t n;
        const char *want;
    } rows[] = {
        {1, "1\r\n"}, {15, "f\r\n"}, {16, "10\r\n"}, {0x1234abcd, "1234abcd\r\n"}, {SIZE_MAX, "ffffffffffffffff\r\n"}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[HTTP1_CHUNK_HEAD_MAX];
        size_t n = http1_chunk_head(out, rows[i].n);
        CHECK_STR(str_of(out, n), rows[i].want);
    }
}

TEST(http_dates_are_those_of_the_rfc_and_of_leap_years)
{
    static const struct {
        int64_t t;
        const char *want;
    } rows[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},  {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {951782399, "Mon, 28 Feb 2000 23:59:59 GMT"},  {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {951868800, "Wed, 01 Mar 2000 00:00:00 GMT"},  {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {1798761599, "Thu, 31 Dec 2026 23:59:59 GMT"}, {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {-5, "Thu, 01 Jan 1970 00:00:00 GMT"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[HTTP_DATE_LEN];
        http_date(out, rows[i].t);
        CHECK_STR(str_of(out, sizeof out), rows[i].want);
    }
}
