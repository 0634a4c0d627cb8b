/* http_client_test.c - the HTTP client against peers that play bytes, over real sockets and the real runtime. */
#include "net/http_client.h"

#include "net/http_client_int.h"
#include "unit/net_world.h"

#include <errno.h>
#include <zlib.h>
#include <zstd.h>

#define HELLO "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"

/* --- helpers --- */

static struct upstream *upstream_to(const struct peer *peer)
{
    return upstream_new(&(struct upstream_options){.host = STR("127.0.0.1"), .port = peer_port(peer)});
}

/* One call whose whole body is returned, in the world's arena; on failure the error. */
static err_t call_with(struct world *w, struct upstream *u, struct http_call_options *o, struct http_call_times *times,
                       struct str *ret_body)
{
    struct http_call *c CLEANUP(http_call_close_p) = NULL;
    struct str body;

    if (!o->method.n)
        o->method = STR("GET");
    if (!o->target.n)
        o->target = STR("/");
    TRY(http_call_open(u, &w->arena, o, times, &c));
    TRY(http_call_all(c, NS_NEVER, 100 << 20, &body));
    *ret_body = arena_str(&w->arena, body);
    return OK;
}

static err_t get(struct world *w, struct upstream *u, struct str *ret_body)
{
    return call_with(w, u, &(struct http_call_options){0}, NULL, ret_body);
}

static err_t post(struct world *w, struct upstream *u, struct str body, struct str *ret_body)
{
    return call_with(w, u, &(struct http_call_options){.method = STR("POST"), .body = &body, .body_parts = 1}, NULL,
                     ret_body);
}

#define CHECK_GET(u, want)                                                                                             \
    do {                                                                                                               \
        struct str got_;                                                                                               \
        CHECK_OK(get(w, u, &got_));                                                                                    \
        CHECK_STR(got_, want);                                                                                         \
    } while (0)

static struct upstream_stats stats_of(const struct upstream *u)
{
    struct upstream_stats s;

    upstream_stats(u, &s);
    return s;
}

#define UPSTREAM(u, peer) struct upstream *u CLEANUP(upstream_free_p) = upstream_to(peer)

/* --- plain calls --- */

static void play_hello(struct play *p)
{
    while (play_request(p) && play_send(p, HELLO))
        continue;
    p->peer->eofs++;
}

WORLD_TEST(http_calls_reuse_one_connection)
{
    struct peer *peer = peer_start(w, play_hello);
    UPSTREAM(u, peer);

    for (int i = 0; i < 5; i++)
        CHECK_GET(u, "hello");
    CHECK_EQ(peer->accepted, 1);
    CHECK_EQ(peer->requests, 5);
    CHECK_EQ(stats_of(u).reused, 4);
    CHECK_EQ(stats_of(u).idle, 1);
    CHECK_EQ(stats_of(u).open, 1);
}

static void play_echo_request(struct play *p)
{
    while (play_request(p)) {
        char head[128];
        int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", p->request.n);
        if (!play_send_n(p, head, (size_t)n) || !play_send_n(p, p->request.p, p->request.n))
            return;
    }
}

WORLD_TEST(http_requests_look_as_they_should)
{
    struct peer *peer = peer_start(w, play_echo_request);
    UPSTREAM(u, peer);
    struct str parts[] = {STR("{\"a\":"), STR("1}")}, got;
    struct http_header headers[] = {{STR("content-type"), STR("application/json")},
                                    {STR("Content-Length"), STR("9")},
                                    {STR("connection"), STR("close")},
                                    {STR("Transfer-Encoding"), STR("chunked")}};
    struct http_call_times times;

    CHECK_OK(call_with(w, u,
                       &(struct http_call_options){.method = STR("POST"),
                                                   .target = STR("/v1/x?y=z"),
                                                   .headers = headers,
                                                   .count = 4,
                                                   .body = parts,
                                                   .body_parts = 2},
                       &times, &got));
    struct str want = arena_printf(&w->arena,
                                   "POST /v1/x?y=z HTTP/1.1\r\nhost: 127.0.0.1:%u\r\ncontent-type: application/json\r\n"
                                   "content-length: 7\r\n\r\n{\"a\":1}",
                                   peer_port(peer));
    CHECK_STR(got, want.p);
    CHECK_EQ(times.bytes_out, want.n);
    CHECK(times.sent_any && !times.reused && times.first_byte >= times.sent && times.sent >= times.connected);
}

WORLD_TEST(http_host_header_can_be_overridden_and_posts_have_a_length)
{
    struct peer *peer = peer_start(w, play_echo_request);
    UPSTREAM(u, peer);
    struct http_header host = {STR("Host"), STR("example.org")};
    struct str got;

    CHECK_OK(
        call_with(w, u, &(struct http_call_options){.method = STR("POST"), .headers = &host, .count = 1}, NULL, &got));
    CHECK_STR(got, "POST / HTTP/1.1\r\nHost: example.org\r\ncontent-length: 0\r\n\r\n");
}

WORLD_TEST(http_headers_that_would_split_the_request_are_refused)
{
    struct peer *peer = peer_start(w, play_echo_request);
    UPSTREAM(u, peer);
    struct http_header evil = {STR("x"), STR("1\r\ny: 2")};
    struct str got;

    CHECK_ERR(call_with(w, u, &(struct http_call_options){.headers = &evil, .count = 1}, NULL, &got), E_PARSE);
    CHECK_ERR(call_with(w, u, &(struct http_call_options){.target = STR("/a b")}, NULL, &got), E_PARSE);
    CHECK_EQ(peer->requests, 0);
}

WORLD_TEST(http_many_body_parts_arrive_in_order)
{
    struct peer *peer = peer_start(w, play_echo_request);
    UPSTREAM(u, peer);
    enum { PARTS = 200 };
    struct str parts[PARTS], got;
    struct buf want CLEANUP(buf_release) = BUF_INIT(1 << 20);

    for (int i = 0; i < PARTS; i++) {
        parts[i] = i % 7 ? arena_printf(&w->arena, "%d,", i) : STR_NONE;
        CHECK_OK(buf_add(&want, parts[i]));
    }
    CHECK_OK(call_with(w, u, &(struct http_call_options){.method = STR("PUT"), .body = parts, .body_parts = PARTS},
                       NULL, &got));
    CHECK(str_ends(got, buf_str(&want)));
}

/* --- answers, cut anywhere --- */

struct cut {
    struct str answer;
    size_t at;
    bool close;
};

static void play_cut(struct play *p)
{
    struct cut *cut = p->peer->ctx;

    while (play_request(p)) {
        size_t at = cut->at; /* the next call may have changed it after the pause */
        (void)play_send_n(p, cut->answer.p, at);
        play_pause();
        (void)play_send_n(p, cut->answer.p + at, cut->answer.n - at);
        if (cut->close)
            return;
    }
}

static struct cut *cut_new(struct world *w, struct str answer, size_t at, bool close)
{
    struct cut *cut = arena_new(&w->arena, struct cut);

    *cut = (struct cut){answer, at, close};
    return cut;
}

/* The answer, cut in two at every byte, gives `want`. */
static void check_every_cut(struct world *w, struct str answer, bool close, const char *want)
{
    struct cut *cut = cut_new(w, answer, 0, close);
    struct peer *peer = peer_start_with(w, play_cut, cut);
    UPSTREAM(u, peer);

    for (cut->at = 0; cut->at <= answer.n; cut->at++) {
        test_context("cut at %zu", cut->at);
        CHECK_GET(u, want);
        CHECK_EQ(stats_of(u).idle, close ? 0 : 1);
    }
    test_context("%s", "");
    CHECK_EQ(peer->accepted, close ? answer.n + 1 : 1);
}

WORLD_TEST(http_answers_of_known_length_can_be_cut_at_every_byte)
{
    check_every_cut(w, STR("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 11\r\n\r\nhello world"),
                    false, "hello world");
}

WORLD_TEST(http_chunked_answers_can_be_cut_at_every_byte)
{
    check_every_cut(w,
                    STR("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                        "5\r\nhello\r\n1;x=y\r\n \r\n5\r\nworld\r\n0\r\ntrailer: t\r\n\r\n"),
                    false, "hello world");
}

/* What an upstream says behind its answer is of its own connection: it is read, and neither merged into the head nor passed on. */
WORLD_TEST(http_trailer_fields_are_read_and_dropped)
{
    struct cut *cut = cut_new(w,
                              STR("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
                                  "5\r\nhello\r\n0\r\nx-sum: 1\r\nx-request-id: 7\r\n\r\n"),
                              0, false);
    struct peer *peer = peer_start_with(w, play_cut, cut);
    UPSTREAM(u, peer);

    for (int i = 0; i < 2; i++) {
        struct http_call *c CLEANUP(http_call_close_p) = NULL;
        struct http_call_options o = {.method = STR("GET"), .target = STR("/")};
        struct str body;
        CHECK_OK(http_call_open(u, &w->arena, &o, NULL, &c));
        CHECK_OK(http_call_all(c, NS_NEVER, 100, &body));
        CHECK_STR(body, "hello");
        CHECK(!http_head_find(http_call_head(c), STR("x-sum")).p);
        CHECK(!http_head_find(http_call_head(c), STR("x-request-id")).p);
    }
    CHECK_EQ(peer->accepted, 1);
}

WORLD_TEST(http_trailer_fields_without_end_spoil_the_answer)
{
    struct str many = str_of(memset(arena_alloc(&w->arena, 20000), 'x', 20000), 20000), got;
    struct str answer = arena_printf(&w->arena,
                                     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: %.*s"
                                     "\r\n\r\n",
                                     STR_ARG(many));
    struct peer *peer = peer_start_with(w, play_cut, cut_new(w, answer, 0, false));
    UPSTREAM(u, peer);

    CHECK_ERR(get(w, u, &got), E_PROTOCOL);
}

WORLD_TEST(http_answers_that_last_until_close_can_be_cut_at_every_byte)
{
    check_every_cut(w, STR("HTTP/1.1 200 OK\r\n\r\nhello world"), true, "hello world");
}

WORLD_TEST(http_informational_answers_are_skipped_wherever_cut)
{
    check_every_cut(w,
                    STR("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
                        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
                    false, "ok");
}

WORLD_TEST(http_connection_close_is_obeyed)
{
    struct cut *cut = cut_new(w, STR("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: close\r\n\r\nok"), 0, false);
    struct peer *peer = peer_start_with(w, play_cut, cut);
    UPSTREAM(u, peer);

    CHECK_GET(u, "ok");
    CHECK_EQ(stats_of(u).open, 0);
    CHECK_GET(u, "ok");
    CHECK_EQ(peer->accepted, 2);
}

WORLD_TEST(http_bytes_behind_an_answer_spoil_the_connection)
{
    struct cut *cut = cut_new(w, STR(HELLO "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"), 0, false);
    struct peer *peer = peer_start_with(w, play_cut, cut);
    UPSTREAM(u, peer);

    CHECK_GET(u, "hello");
    CHECK_EQ(stats_of(u).open, 0);
    CHECK_GET(u, "hello");
    CHECK_EQ(peer->accepted, 2);
}

static void play_late_garbage(struct play *p)
{
    while (play_request(p)) {
        (void)play_send(p, HELLO);
        play_pause();
        (void)play_send(p, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
    }
    p->peer->eofs++;
}

WORLD_TEST(http_unasked_bytes_on_an_idle_connection_close_it)
{
    struct peer *peer = peer_start(w, play_late_garbage);
    UPSTREAM(u, peer);

    CHECK_GET(u, "hello");
    while (peer->eofs == 0)
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
    CHECK_EQ(stats_of(u).open, 0);
    CHECK_GET(u, "hello");
    CHECK_EQ(peer->accepted, 2);
    CHECK_EQ(stats_of(u).stale_retries, 0);
}

WORLD_TEST(http_broken_framing_is_a_protocol_error)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nhello\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct cut *cut = cut_new(w, str_from_c(answers[i]), 0, false);
        struct peer *peer = peer_start_with(w, play_cut, cut);
        UPSTREAM(u, peer);
        struct str got;
        test_context("answer %zu", i);
        CHECK_ERR(get(w, u, &got), E_PROTOCOL);
        CHECK_EQ(stats_of(u).open, 0);
    }
}

WORLD_TEST(http_head_answers_have_no_body)
{
    struct cut *cut = cut_new(w, STR("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n"), 0, false);
    struct peer *peer = peer_start_with(w, play_cut, cut);
    UPSTREAM(u, peer);
    struct str got;

    for (int i = 0; i < 2; i++) {
        CHECK_OK(call_with(w, u, &(struct http_call_options){.method = STR("HEAD")}, NULL, &got));
        CHECK_EQ(got.n, 0);
    }
    CHECK_EQ(peer->accepted, 1);
}

/* --- pieces --- */

/* Each piece when the client asks for it. */
static void play_chunks_on_demand(struct play *p)
{
    unsigned *permits = p->peer->ctx;

    if (!play_request(p))
        return;
    (void)play_send(p, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for (unsigned i = 1; i <= 4; i++) {
        while (*permits < i)
            if (fiber_yield() != OK)
                return;
        (void)play_send(p, i < 4 ? "2\r\nab\r\n2\r\ncd\r\n" : "1\r\ne\r\n0\r\n\r\n");
    }
    play_until_eof(p);
}

WORLD_TEST(http_pieces_come_as_they_arrive_without_their_framing)
{
    unsigned *permits = arena_new(&w->arena, unsigned);
    struct peer *peer = peer_start_with(w, play_chunks_on_demand, permits);
    UPSTREAM(u, peer);
    struct http_call *c CLEANUP(http_call_close_p) = NULL;
    struct str piece;

    CHECK_OK(
        http_call_open(u, &w->arena, &(struct http_call_options){.method = STR("GET"), .target = STR("/")}, NULL, &c));
    CHECK_EQ(http_call_head(c)->status, 200);
    while (*permits < 3) {
        CHECK(!http_call_is_buffered(c));
        ++*permits;
        CHECK_OK(http_call_next(c, NS_NEVER, &piece));
        CHECK_STR(piece, "abcd");
    }
    ++*permits;
    CHECK_OK(http_call_next(c, NS_NEVER, &piece));
    CHECK_STR(piece, "e");
    CHECK(http_call_is_buffered(c));
    CHECK_OK(http_call_next(c, NS_NEVER, &piece));
    CHECK(piece.p == NULL);
    CHECK_OK(http_call_next(c, NS_NEVER, &piece));
    CHECK(piece.p == NULL);
    CHECK_EQ(stats_of(u).idle, 1);
}

enum { LARGE = 3 << 20 };

static char large_byte(size_t i)
{
    return (char)('a' + i * 7 / 3 % 26);
}

static void play_large(struct play *p)
{
    static const char *const heads[] = {"HTTP/1.1 200 OK\r\ncontent-length: 3145728\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"};
    char *bytes = mem_alloc(LARGE);

    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = large_byte(i);
    if (play_request(p) && play_send(p, heads[p->number % 2]))
        (void)play_send_n(p, bytes, LARGE);
    mem_free(bytes);
}

WORLD_TEST(http_large_answers_are_collected_whole)
{
    struct peer *peer = peer_start(w, play_large);
    UPSTREAM(u, peer);

    for (int round = 0; round < 2; round++) {
        struct str got;
        struct http_call_times times;
        CHECK_OK(call_with(w, u, &(struct http_call_options){0}, &times, &got));
        CHECK_EQ(got.n, (size_t)LARGE);
        CHECK_GE(times.bytes_in, (uint64_t)LARGE);
        for (size_t i = 0; i < got.n; i++)
            if (got.p[i] != large_byte(i))
                FAIL("byte %zu differs", i);
    }
}

WORLD_TEST(http_too_large_answers_can_still_be_read_piece_by_piece)
{
    struct peer *peer = peer_start(w, play_large);
    UPSTREAM(u, peer);

    for (int round = 0; round < 2; round++) {
        struct http_call *c CLEANUP(http_call_close_p) = NULL;
        struct http_call_options o = {.method = STR("GET"), .target = STR("/")};
        struct str piece;
        size_t total = 0;
        CHECK_OK(http_call_open(u, &w->arena, &o, NULL, &c));
        CHECK_ERR(http_call_all(c, NS_NEVER, 100000, &piece), E_TOO_LARGE);
        for (;;) {
            CHECK_OK(http_call_next(c, NS_NEVER, &piece));
            if (!piece.p)
                break;
            for (size_t i = 0; i < piece.n; i++)
                if (piece.p[i] != large_byte(total + i))
                    FAIL("byte %zu differs", total + i);
            total += piece.n;
        }
        CHECK_EQ(total, (size_t)LARGE);
    }
}

/* Whole in one read, and only in part. */
WORLD_TEST(http_too_large_answers_lose_nothing_of_what_came)
{
    struct cut *cut = cut_new(w, STR("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world"), 0, false);
    struct peer *peer = peer_start_with(w, play_cut, cut);
    UPSTREAM(u, peer);

    for (size_t missing = 0; missing <= 11; missing++)
        for (size_t max = 0; max <= 11; max++) {
            struct http_call *c CLEANUP(http_call_close_p) = NULL;
            struct http_call_options o = {.method = STR("GET"), .target = STR("/")};
            struct str piece;
            cut->at = cut->answer.n - missing;
            test_context("%zu bytes missing, maximum %zu", missing, max);
            CHECK_OK(http_call_open(u, &w->arena, &o, NULL, &c));
            CHECK_ERR(http_call_all(c, NS_NEVER, max, &piece), max < 11 ? E_TOO_LARGE : OK);
            if (max < 11)
                CHECK_OK(http_call_all(c, NS_NEVER, 11, &piece));
            CHECK_STR(piece, "hello world");
            CHECK_OK(http_call_next(c, NS_NEVER, &piece));
            CHECK(piece.p == NULL);
        }
    CHECK_EQ(peer->accepted, 1);
}

/* --- breaking off --- */

static void play_break_off(struct play *p)
{
    struct str answer = *(struct str *)p->peer->ctx;

    if (play_request(p))
        (void)play_send_n(p, answer.p, answer.n);
}

WORLD_TEST(http_answers_that_break_off_are_noticed_after_what_came)
{
    static const struct str answers[] = {
        STR_INIT("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello"),
        STR_INIT("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    };

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct peer *peer = peer_start_with(w, play_break_off, (void *)(uintptr_t)&answers[i]);
        UPSTREAM(u, peer);
        struct http_call *c CLEANUP(http_call_close_p) = NULL;
        struct http_call_options o = {.method = STR("GET"), .target = STR("/secret?token=1")};
        struct str piece, got;
        test_context("answer %zu", i);
        CHECK_OK(http_call_open(u, &w->arena, &o, NULL, &c));
        CHECK_OK(http_call_next(c, NS_NEVER, &piece));
        CHECK_STR(piece, "hello");
        CHECK_ERR(http_call_next(c, NS_NEVER, &piece), E_EOF);
        CHECK(error_says(E_EOF, "in the middle of the answer, after 5 bytes"));
        CHECK(error_says(E_EOF, "127.0.0.1:"));
        CHECK(!error_says(E_EOF, "token"));
        CHECK_ERR(get(w, u, &got), E_EOF);
    }
}

WORLD_TEST(http_a_fresh_connection_is_not_tried_twice)
{
    static const struct str nothing = STR_INIT(""), half = STR_INIT("HTTP/1.1 20");
    struct peer *peer = peer_start_with(w, play_break_off, (void *)(uintptr_t)&nothing);
    UPSTREAM(u, peer);
    struct str got;

    CHECK_ERR(get(w, u, &got), E_EOF);
    CHECK(error_says(E_EOF, "before the answer"));
    CHECK_EQ(peer->accepted, 1);
    peer->ctx = (void *)(uintptr_t)&half;
    CHECK_ERR(get(w, u, &got), E_EOF);
    CHECK(error_says(E_EOF, "in the middle of the answer's head"));
    CHECK_EQ(peer->accepted, 2);
    CHECK_EQ(stats_of(u).open, 0);
}

/* Answers the first request of the first connection, and closes all others unanswered; of later connections it answers all. */
static void play_stale(struct play *p)
{
    bool answer_all = p->number > 1 && p->peer->ctx == NULL;

    while (play_request(p) && play_send(p, HELLO))
        if (!answer_all) {
            (void)play_request(p);
            return;
        }
}

WORLD_TEST(http_a_reused_connection_that_closes_unanswered_is_replaced_once)
{
    struct peer *peer = peer_start(w, play_stale);
    UPSTREAM(u, peer);
    struct str got;

    CHECK_OK(post(w, u, STR("one"), &got));
    CHECK_OK(post(w, u, STR("two"), &got));
    CHECK_STR(got, "hello");
    CHECK_EQ(peer->accepted, 2);
    CHECK_EQ(peer->requests, 3);
    CHECK_EQ(stats_of(u).stale_retries, 1);
}

static err_t give_body(void *ctx, struct str *ret_piece)
{
    int *left = ctx;

    TRY(fiber_yield());
    *ret_piece = *left > 0 ? STR("piece.") : STR_NONE;
    --*left;
    return OK;
}

WORLD_TEST(http_a_body_that_was_read_from_its_source_is_not_sent_again)
{
    struct peer *peer = peer_start(w, play_stale);
    UPSTREAM(u, peer);
    struct str got;
    int left = 3;

    CHECK_OK(post(w, u, STR("one"), &got));
    struct http_call_options o = {.method = STR("POST"), .source = give_body, .source_ctx = &left, .source_length = 18};
    CHECK_ERR(call_with(w, u, &o, NULL, &got), E_EOF);
    CHECK_EQ(stats_of(u).stale_retries, 0);
}

/* As play_stale(), but closes the first connection with the second request unread, which resets it, or (ctx) in the middle of the
 * answer's head. */
static void play_reset(struct play *p)
{
    while (play_request(p) && play_send(p, HELLO))
        if (p->number == 1) {
            if (sock_wait_readable(p->sock, NS_NEVER) == OK && p->peer->ctx)
                (void)play_send(p, p->peer->ctx);
            return;
        }
}

WORLD_TEST(http_a_reused_connection_that_is_reset_is_replaced)
{
    struct peer *peer = peer_start(w, play_reset);
    UPSTREAM(u, peer);
    struct str got;

    CHECK_OK(post(w, u, STR("one"), &got));
    CHECK_OK(post(w, u, STR("two"), &got));
    CHECK_EQ(stats_of(u).stale_retries, 1);
}

WORLD_TEST(http_a_reused_connection_that_began_to_answer_is_not_replaced)
{
    struct peer *peer = peer_start_with(w, play_reset, "HTTP/1.1 2");
    UPSTREAM(u, peer);
    struct str got;

    CHECK_OK(post(w, u, STR("one"), &got));
    err_t e = post(w, u, STR("two"), &got);
    CHECK(e == E_EOF || e == E_IO);
    CHECK_EQ(stats_of(u).stale_retries, 0);
}

WORLD_TEST(http_calls_leave_nothing_behind_for_the_next)
{
    struct peer *peer = peer_start(w, play_reset);
    UPSTREAM(u, peer);
    struct str got, end = STR("");
    int left = 0;

    struct http_call_options o = {.method = STR("POST"), .source = give_body, .source_ctx = &left, .source_length = 0};
    CHECK_OK(call_with(w, u, &o, NULL, &got));
    CHECK_OK(post(w, u, STR("two"), &got)); /* is sent again, though the one before could not be */
    CHECK_EQ(stats_of(u).stale_retries, 1);
    for (int i = 0; i < 2; i++) {
        struct http_call *c;
        o = (struct http_call_options){.method = STR("GET"), .target = STR("/")};
        CHECK_OK(http_call_open(u, &w->arena, &o, NULL, &c));
        if (i)
            CHECK_ERR(http_call_all(c, NS_NEVER, 3, &end), E_TOO_LARGE);
        http_call_close(c);
        CHECK_GET(u, "hello");
    }
}

/* Closes each connection after the answer, when the client is not looking. */
static void play_close_idle(struct play *p)
{
    if (play_request(p))
        (void)play_send(p, HELLO);
    play_close(p);
    p->peer->eofs++;
}

WORLD_TEST(http_an_idle_connection_that_closes_is_dropped)
{
    struct peer *peer = peer_start(w, play_close_idle);
    UPSTREAM(u, peer);

    for (unsigned i = 1; i <= 3; i++) {
        CHECK_GET(u, "hello");
        while (peer->eofs < i || stats_of(u).open > 0)
            CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
        CHECK_EQ(peer->accepted, i);
    }
    CHECK_EQ(stats_of(u).stale_retries, 0);
}

/* Virtual time: nothing is slow here but what we wait for. */
SIM_WORLD_TEST(http_idle_connections_are_closed_when_unused_for_their_time)
{
    struct peer *peer = peer_start(w, play_hello);
    struct upstream *u CLEANUP(upstream_free_p) = upstream_new(
        &(struct upstream_options){.host = STR("127.0.0.1"), .port = peer_port(peer), .idle_time = 20 * NS_SEC});

    CHECK_GET(u, "hello");
    CHECK_OK(fiber_sleep_until(rt_now() + 15 * NS_SEC));
    CHECK_GET(u, "hello");
    CHECK_EQ(peer->accepted, 1);
    CHECK_OK(fiber_sleep_until(rt_now() + 19 * NS_SEC));
    CHECK_EQ(stats_of(u).idle, 1);
    CHECK_OK(fiber_sleep_until(rt_now() + 2 * NS_SEC));
    CHECK_EQ(stats_of(u).idle, 0);
    CHECK_EQ(stats_of(u).open, 0);
    CHECK_EQ(peer->eofs, 1);
}

static void play_answer_and_close(struct play *p)
{
    if (play_request(p))
        (void)play_send(p, HELLO);
    play_close(p);
}

WORLD_TEST(http_a_connection_that_closed_behind_its_answer_is_not_reused)
{
    struct peer *peer = peer_start(w, play_answer_and_close);
    UPSTREAM(u, peer);

    for (unsigned i = 1; i <= 5; i++) {
        CHECK_GET(u, "hello");
        CHECK_EQ(peer->accepted, i);
    }
    CHECK_EQ(stats_of(u).stale_retries, 0);
}

/* Answers one request of the first two connections and all of the others. */
static void play_two_stale(struct play *p)
{
    while (play_request(p) && (p->number > 2 || p->request.n == 0 || p->peer->requests <= 2)) {
        while (p->number <= 2 && p->peer->requests < 2)
            if (fiber_yield() != OK)
                return;
        if (!play_send(p, HELLO))
            return;
    }
}

static err_t caller_main(void *arg);

struct caller {
    struct world *world;
    struct upstream *upstream;
    struct http_call_options options;
    err_t error;
    bool done;
    struct str body;
    unsigned *order;
    unsigned place;
};

WORLD_TEST(http_a_stale_connection_is_replaced_by_a_new_one_not_by_another_idle_one)
{
    struct peer *peer = peer_start(w, play_two_stale);
    UPSTREAM(u, peer);
    struct caller k[2] = {{.world = w, .upstream = u}, {.world = w, .upstream = u}};
    {
        SCOPE(s, NS_NEVER);
        for (int i = 0; i < 2; i++)
            (void)scope_spawn(&s, "caller", caller_main, &k[i]);
        CHECK_OK(scope_wait_all(&s));
    }
    CHECK_OK(k[0].error);
    CHECK_OK(k[1].error);
    CHECK_EQ(stats_of(u).idle, 2);
    CHECK_GET(u, "hello");
    CHECK_EQ(peer->accepted, 3);
    CHECK_EQ(stats_of(u).stale_retries, 1);
}

/* The body comes while nobody waits for it. */
static void play_body_later(struct play *p)
{
    while (play_request(p)) {
        (void)play_send(p, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
        play_pause();
        (void)play_send(p, "hello");
    }
}

WORLD_TEST(http_content_that_comes_while_nobody_waits_is_not_lost)
{
    struct peer *peer = peer_start(w, play_body_later);
    UPSTREAM(u, peer);

    for (int i = 0; i < 3; i++) {
        struct http_call *c CLEANUP(http_call_close_p) = NULL;
        struct http_call_options o = {.method = STR("GET"), .target = STR("/")};
        struct str got;
        CHECK_OK(http_call_open(u, &w->arena, &o, NULL, &c));
        for (int k = 0; k < 3; k++)
            play_pause();
        CHECK_OK(http_call_all(c, NS_NEVER, 100, &got));
        CHECK_STR(got, "hello");
    }
    CHECK_EQ(peer->accepted, 1);
}

/* --- leaving early --- */

static void play_endless(struct play *p)
{
    if (!play_request(p))
        return;
    (void)play_send(p, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    play_until_eof(p);
}

WORLD_TEST(http_closing_an_unfinished_call_closes_its_connection)
{
    struct peer *peer = peer_start(w, play_endless);
    UPSTREAM(u, peer);
    struct http_call *c;
    struct str piece;

    CHECK_OK(
        http_call_open(u, &w->arena, &(struct http_call_options){.method = STR("GET"), .target = STR("/")}, NULL, &c));
    CHECK_OK(http_call_next(c, NS_NEVER, &piece));
    http_call_close(c);
    CHECK_EQ(stats_of(u).open, 0);
    while (peer->eofs == 0)
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
}

static err_t caller_main(void *arg)
{
    struct caller *k = arg;

    k->error = call_with(k->world, k->upstream, &k->options, NULL, &k->body);
    k->done = true;
    if (k->order)
        k->place = ++*k->order;
    return OK;
}

WORLD_TEST(http_cancelling_a_call_closes_its_connection)
{
    struct peer *peer = peer_start(w, play_endless);
    UPSTREAM(u, peer);
    struct caller k = {.world = w, .upstream = u};
    SCOPE(s, NS_NEVER);

    struct fiber *f = scope_spawn(&s, "caller", caller_main, &k);
    while (peer->requests == 0)
        CHECK_OK(fiber_yield());
    play_pause();
    fiber_cancel(f);
    CHECK_OK(scope_wait_all(&s));
    CHECK_ERR(k.error, E_CANCELLED);
    CHECK_EQ(stats_of(u).open, 0);
    while (peer->eofs == 0)
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
}

/* --- deadlines --- */

static void play_silent(struct play *p)
{
    play_until_eof(p);
}

WORLD_TEST(http_deadlines_name_their_phase)
{
    struct peer *silent = peer_start(w, play_silent), *endless = peer_start(w, play_endless);
    UPSTREAM(u, silent);
    UPSTREAM(v, endless);
    struct str got;

    struct http_call_options o = {.first_byte_by = rt_now() + 5 * NS_MS};
    CHECK_ERR(call_with(w, u, &o, NULL, &got), E_DEADLINE);
    CHECK(error_says(E_DEADLINE, "waiting for the first byte"));
    CHECK_EQ(stats_of(u).open, 0);

    struct http_call *c CLEANUP(http_call_close_p) = NULL;
    o = (struct http_call_options){.method = STR("GET"), .target = STR("/")};
    CHECK_OK(http_call_open(v, &w->arena, &o, NULL, &c));
    CHECK_OK(http_call_next(c, rt_now() + 5 * NS_MS, &got));
    CHECK_ERR(http_call_next(c, rt_now() + 5 * NS_MS, &got), E_DEADLINE);
    CHECK(error_says(E_DEADLINE, "between two pieces"));

    WITHIN(rt_now() + 5 * NS_MS);
    CHECK_ERR(get(w, u, &got), E_DEADLINE);
    CHECK(error_says(E_DEADLINE, "waiting for the first byte"));
}

SIM_WORLD_TEST(http_connecting_has_a_deadline_of_its_own, .faults = {.connect_lost = 1000})
{
    struct upstream *u CLEANUP(upstream_free_p) =
        upstream_new(&(struct upstream_options){.host = STR("10.0.0.1"), .port = 9});
    struct http_call_options o = {.connect_by = rt_now() + 3 * NS_SEC};
    struct str got;
    ns_t since = rt_now();

    CHECK_ERR(call_with(w, u, &o, NULL, &got), E_DEADLINE);
    CHECK_EQ(rt_now() - since, 3 * NS_SEC);
    CHECK(error_says(E_DEADLINE, "10.0.0.1:9: deadline passed while connecting"));
    CHECK_EQ(stats_of(u).open, 0);
    CHECK_EQ(stats_of(u).connect_failures, 1);
}

/* Sends a head at once, then a byte every `pause`; before the last one it waits for `last_pause`. */
struct trickle {
    struct str head, body;
    ns_t pause, last_pause;
};

static void play_trickle(struct play *p)
{
    const struct trickle *t = p->peer->ctx;

    if (!play_request(p) || !play_send_n(p, t->head.p, t->head.n))
        return;
    for (size_t i = 0; i < t->body.n; i++)
        if (fiber_sleep_until(rt_now() + (i + 1 < t->body.n ? t->pause : t->last_pause)) != OK ||
            !play_send_n(p, t->body.p + i, 1))
            return;
    play_close(p);
}

/* Read a trickled answer whole, with a gap of one second; *ret_took is how long that was. */
static err_t read_trickled(struct world *w, const struct trickle *t, ns_t *ret_took, struct str *ret_body)
{
    struct trickle *played = arena_new(&w->arena, struct trickle);
    *played = *t;
    struct peer *peer = peer_start_with(w, play_trickle, played);
    UPSTREAM(u, peer);
    struct http_call *c CLEANUP(http_call_close_p) = NULL;
    struct http_call_options o = {.method = STR("GET"), .target = STR("/")};

    TRY(http_call_open(u, &w->arena, &o, NULL, &c));
    ns_t since = rt_now();
    err_t e = http_call_all(c, NS_SEC, 1000, ret_body);
    *ret_took = rt_now() - since;
    if (e == OK)
        *ret_body = arena_str(&w->arena, *ret_body);
    return e;
}

static const char gzipped_hello[] = "\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";

/* The same word in every framing, which the client reads in different ways. */
static const struct trickle trickles[] = {
    {STR_INIT("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"), STR_INIT("hello"), 0, 0},
    {STR_INIT("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"), STR_INIT("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), 0,
     0},
    {STR_INIT("HTTP/1.1 200 OK\r\n\r\n"), STR_INIT("hello"), 0, 0},
    {STR_INIT("HTTP/1.1 200 OK\r\ncontent-length: 25\r\ncontent-encoding: gzip\r\n\r\n"),
     {gzipped_hello, sizeof gzipped_hello - 1},
     0,
     0},
};

SIM_WORLD_TEST(http_an_answer_that_trickles_is_read_though_it_lasts_longer_than_the_gap)
{
    for (size_t i = 0; i < ARRAY_LEN(trickles); i++) {
        struct trickle t = trickles[i];
        struct str got;
        ns_t took;
        test_context("framing %zu", i);
        t.pause = t.last_pause = 700 * NS_MS;
        CHECK_OK(read_trickled(w, &t, &took, &got));
        CHECK_STR(got, "hello");
        CHECK_GT(took, 3 * NS_SEC);
    }
}

SIM_WORLD_TEST(http_an_answer_that_pauses_for_longer_than_the_gap_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(trickles); i++) {
        struct trickle t = trickles[i];
        struct str got;
        ns_t took;
        test_context("framing %zu", i);
        t.pause = 100 * NS_MS;
        t.last_pause = 1100 * NS_MS;
        CHECK_ERR(read_trickled(w, &t, &took, &got), E_DEADLINE);
        CHECK(error_says(E_DEADLINE, "between two pieces"));
        ns_t want = NS_SEC + (ns_t)(t.body.n - 1) * t.pause; /* the gap begins anew with each byte */
        CHECK_GT(took, want - t.pause / 2);                  /* the network has latency, too */
        CHECK_LT(took, want + t.pause / 2);
    }
}

WORLD_TEST(http_refused_connections_say_so)
{
    struct peer *peer = peer_start(w, play_hello);
    struct sock *listener;
    struct addr at;

    CHECK_OK(addr_parse(STR("127.0.0.1:0"), &at));
    CHECK_OK(sock_listen(&at, LISTEN_ALONE, &listener));
    CHECK_OK(sock_local_addr(listener, &at));
    sock_close(listener);
    peer->at = at;
    UPSTREAM(u, peer);
    struct str got;
    CHECK_ERR(get(w, u, &got), E_REFUSED);
    CHECK(error_says(E_REFUSED, "127.0.0.1:"));
}

/* --- uploads --- */

static void play_refuse_upload(struct play *p)
{
    play_read_some(p);
    (void)play_send(p, "HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\n\r\nhuge");
    play_freeze(); /* neither reads nor closes */
}

static struct str large_body(struct world *w, size_t n)
{
    char *bytes = arena_alloc(&w->arena, n);

    memset(bytes, 'x', n);
    return str_of(bytes, n);
}

WORLD_TEST(http_an_early_refusal_ends_the_upload)
{
    struct peer *peer = peer_start(w, play_refuse_upload);
    UPSTREAM(u, peer);
    struct http_call *c CLEANUP(http_call_close_p) = NULL;
    struct str body = large_body(w, 32 << 20), got;
    struct http_call_options o = {.method = STR("POST"), .target = STR("/"), .body = &body, .body_parts = 1};

    CHECK_OK(http_call_open(u, &w->arena, &o, NULL, &c));
    CHECK_EQ(http_call_head(c)->status, 413);
    CHECK_OK(http_call_all(c, NS_NEVER, 100, &got));
    CHECK_STR(got, "huge");
    http_call_close(c);
    c = NULL;
    CHECK_EQ(stats_of(u).open, 0);
}

static void play_refuse_and_close(struct play *p)
{
    play_read_some(p);
    (void)play_send(p, "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno");
    (void)sock_shutdown(p->sock);
    play_until_eof(p);
}

WORLD_TEST(http_a_refusal_is_read_though_the_peer_closed)
{
    struct peer *peer = peer_start(w, play_refuse_and_close);
    UPSTREAM(u, peer);
    struct str body = large_body(w, 32 << 20), got;

    CHECK_OK(post(w, u, body, &got));
    CHECK_STR(got, "no");
}

static void play_continue_then_read(struct play *p)
{
    (void)play_send(p, "HTTP/1.1 100 Continue\r\n\r\n");
    play_pause();
    if (play_request(p))
        (void)play_send(p, HELLO);
    play_until_eof(p);
}

WORLD_TEST(http_a_100_does_not_end_the_upload)
{
    struct peer *peer = peer_start(w, play_continue_then_read);
    UPSTREAM(u, peer);
    struct str body = large_body(w, 8 << 20), got;

    CHECK_OK(post(w, u, body, &got));
    CHECK_STR(got, "hello");
    CHECK_EQ(peer->requests, 1);
    CHECK_EQ(stats_of(u).idle, 1);
}

/* A success before the request was read whole. */
static void play_eager(struct play *p)
{
    (void)play_send(p, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
    play_pause();
    if (play_request(p))
        (void)play_send(p, "world");
    play_until_eof(p);
}

WORLD_TEST(http_an_early_success_waits_for_the_upload)
{
    struct peer *peer = peer_start(w, play_eager);
    UPSTREAM(u, peer);
    struct str body = large_body(w, 8 << 20), got;

    CHECK_OK(post(w, u, body, &got));
    CHECK_STR(got, "helloworld");
    CHECK_EQ(peer->requests, 1);
    CHECK_EQ(stats_of(u).idle, 1);
}

static void play_never_read(struct play *p)
{
    (void)p;
    play_freeze();
}

WORLD_TEST(http_uploads_that_stall_have_a_deadline)
{
    struct peer *peer = peer_start(w, play_never_read);
    UPSTREAM(u, peer);
    struct str body = large_body(w, 32 << 20), got;
    struct http_call_options o = {
        .method = STR("POST"), .body = &body, .body_parts = 1, .first_byte_by = rt_now() + 20 * NS_MS};

    CHECK_ERR(call_with(w, u, &o, NULL, &got), E_DEADLINE);
    CHECK(error_says(E_DEADLINE, "while sending the request"));
    CHECK_EQ(stats_of(u).open, 0);
}

static void play_unavailable(struct play *p)
{
    (void)play_send(p, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy");
}

static ssize_t broken_writev(void *ctx, int h, const struct iovec *iov, int count)
{
    if (iov[0].iov_len > 4 && memcmp(iov[0].iov_base, "GET ", 4) == 0)
        return -EPIPE;
    return seams_real()->net->writev(ctx, h, iov, count);
}

static void check_broken_write(struct world *w)
{
    struct peer *peer = peer_start(w, play_unavailable);
    UPSTREAM(u, peer);

    CHECK_GET(u, "busy");
    CHECK_EQ(stats_of(u).open, 0);
    peer->play = play_close;
    struct str got;
    CHECK_ERR(get(w, u, &got), E_IO);
    CHECK(error_says(E_IO, "write"));
}

TEST(http_an_answer_is_read_though_the_request_could_not_be_written)
{
    struct net_ops net = *seams_real()->net;
    struct seams seams = *seams_real();

    net.writev = broken_writev;
    seams.net = &net;
    world_run(&seams, check_broken_write);
}

static void play_echo_raw(struct play *p)
{
    struct str end = str_from_c(p->peer->ctx);

    buf_clear(&p->request);
    while (!str_ends(buf_str(&p->request), end)) {
        char *to = buf_reserve(&p->request, 4096);
        size_t n;
        if (sock_read(p->sock, to, 4096, &n) || n == 0)
            return;
        p->request.n += n;
    }
    char head[128];
    int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", p->request.n);
    if (play_send_n(p, head, (size_t)n) && play_send_n(p, p->request.p, p->request.n))
        play_until_eof(p);
}

WORLD_TEST(http_streamed_bodies_are_framed)
{
    struct str got;
    struct peer *peer = peer_start_with(w, play_echo_raw, "0\r\n\r\n");
    UPSTREAM(u, peer);
    int left = 2;
    struct http_call_options o = {.method = STR("POST"), .source = give_body, .source_ctx = &left, .source_length = -1};

    CHECK_OK(call_with(w, u, &o, NULL, &got));
    CHECK(str_ends(got, STR("transfer-encoding: chunked\r\n\r\n6\r\npiece.\r\n6\r\npiece.\r\n0\r\n\r\n")));
    left = 2;
    peer->ctx = "piece.piece.";
    o.source_length = 12;
    UPSTREAM(v, peer);
    CHECK_OK(call_with(w, v, &o, NULL, &got));
    CHECK(str_ends(got, STR("content-length: 12\r\n\r\npiece.piece.")));
    CHECK_EQ(stats_of(v).idle, 1);
}

WORLD_TEST(http_streamed_bodies_must_have_their_declared_length)
{
    struct str got;
    struct peer *peer = peer_start_with(w, play_echo_raw, "never");
    UPSTREAM(u, peer);

    for (int declared = 11; declared <= 13; declared += 2) {
        int left = 2;
        struct http_call_options o = {
            .method = STR("POST"), .source = give_body, .source_ctx = &left, .source_length = declared};
        CHECK_ERR(call_with(w, u, &o, NULL, &got), E_PARSE);
        CHECK_EQ(stats_of(u).open, 0);
    }
}

static err_t fail_body(void *ctx, struct str *ret_piece)
{
    (void)ctx, (void)ret_piece;
    return fail(E_TOO_LARGE, "the client sent too much");
}

WORLD_TEST(http_an_error_of_the_source_is_the_error_of_the_call)
{
    struct str got;
    struct peer *peer = peer_start_with(w, play_echo_raw, "never");
    UPSTREAM(u, peer);
    struct http_call_options o = {.method = STR("POST"), .source = fail_body, .source_length = -1};

    CHECK_ERR(call_with(w, u, &o, NULL, &got), E_TOO_LARGE);
    CHECK_STR(str_from_c(err_detail(E_TOO_LARGE)), "the client sent too much");
}

/* --- the pool's limit --- */

/* Answers when told to. */
static void play_on_demand(struct play *p)
{
    unsigned *permits = p->peer->ctx;

    while (play_request(p)) {
        while (*permits == 0)
            if (fiber_yield() != OK)
                return;
        --*permits;
        if (!play_send(p, HELLO))
            return;
    }
}

WORLD_TEST(http_calls_wait_in_order_for_a_free_connection)
{
    enum { CALLS = 5 };
    unsigned *permits = arena_new(&w->arena, unsigned), order = 0;
    struct peer *peer = peer_start_with(w, play_on_demand, permits);
    struct upstream *u CLEANUP(upstream_free_p) = upstream_new(&(struct upstream_options){
        .host = STR("127.0.0.1"), .port = peer_port(peer), .max_connections = 1, .max_waiting = CALLS - 1});
    struct caller k[CALLS];
    struct str got;
    SCOPE(s, NS_NEVER);

    for (int i = 0; i < CALLS; i++) {
        k[i] = (struct caller){.world = w, .upstream = u, .order = &order};
        (void)scope_spawn(&s, "caller", caller_main, &k[i]);
    }
    while (stats_of(u).waiting < CALLS - 1)
        CHECK_OK(fiber_yield());
    CHECK_ERR(get(w, u, &got), E_OVERLOAD);
    *permits = CALLS;
    CHECK_OK(scope_wait_all(&s));
    for (int i = 0; i < CALLS; i++) {
        CHECK_OK(k[i].error);
        CHECK_EQ(k[i].place, (unsigned)i + 1);
    }
    CHECK_EQ(peer->accepted, 1);
    CHECK_EQ(stats_of(u).waiting, 0);
}

WORLD_TEST(http_a_waiting_call_has_a_deadline_and_leaves_the_queue)
{
    unsigned *permits = arena_new(&w->arena, unsigned);
    struct peer *peer = peer_start_with(w, play_on_demand, permits);
    struct upstream *u CLEANUP(upstream_free_p) = upstream_new(
        &(struct upstream_options){.host = STR("127.0.0.1"), .port = peer_port(peer), .max_connections = 1});
    struct caller k = {.world = w, .upstream = u};
    struct str got;
    SCOPE(s, NS_NEVER);

    (void)scope_spawn(&s, "caller", caller_main, &k);
    while (peer->accepted == 0)
        CHECK_OK(fiber_yield());
    struct http_call_options o = {.connect_by = rt_now() + 5 * NS_MS};
    CHECK_ERR(call_with(w, u, &o, NULL, &got), E_DEADLINE);
    CHECK(error_says(E_DEADLINE, "waiting for one of 1 connections"));
    CHECK_EQ(stats_of(u).waiting, 0);
    *permits = 2;
    CHECK_OK(scope_wait_all(&s));
    CHECK_GET(u, "hello");
    CHECK_EQ(peer->accepted, 1);
}

/* A connection that breaks makes room for the next in the queue to dial. */
WORLD_TEST(http_a_broken_connection_frees_its_place)
{
    struct peer *peer = peer_start(w, play_endless);
    struct upstream *u CLEANUP(upstream_free_p) = upstream_new(
        &(struct upstream_options){.host = STR("127.0.0.1"), .port = peer_port(peer), .max_connections = 1});
    struct caller k[2] = {{.world = w, .upstream = u}, {.world = w, .upstream = u}};
    SCOPE(s, NS_NEVER);

    struct fiber *first = scope_spawn(&s, "caller", caller_main, &k[0]);
    (void)scope_spawn(&s, "caller", caller_main, &k[1]);
    while (peer->requests < 1 || stats_of(u).waiting < 1)
        CHECK_OK(fiber_yield());
    fiber_cancel(first);
    while (peer->requests < 2)
        CHECK_OK(fiber_yield());
    CHECK_EQ(peer->accepted, 2);
    CHECK_EQ(stats_of(u).open, 1);
    scope_cancel(&s);
}

/* What was granted to a call that is cancelled in the same turn goes to the next in the queue. */
WORLD_TEST(http_a_grant_is_passed_on_by_a_call_that_leaves)
{
    for (int finish = 0; finish < 2; finish++) {
        struct peer *peer = peer_start(w, play_body_later);
        struct upstream *u CLEANUP(upstream_free_p) = upstream_new(
            &(struct upstream_options){.host = STR("127.0.0.1"), .port = peer_port(peer), .max_connections = 1});
        struct caller k[2] = {{.world = w, .upstream = u}, {.world = w, .upstream = u}};
        struct http_call_options o = {.method = STR("GET"), .target = STR("/")};
        struct http_call *c = NULL;
        struct str got;
        SCOPE(s, NS_NEVER);
        CHECK_OK(http_call_open(u, &w->arena, &o, NULL, &c));
        struct fiber *first = scope_spawn(&s, "caller", caller_main, &k[0]);
        (void)scope_spawn(&s, "caller", caller_main, &k[1]);
        while (stats_of(u).waiting < 2)
            CHECK_OK(fiber_yield());
        if (finish)
            CHECK_OK(http_call_all(c, NS_NEVER, 100, &got));
        http_call_close(c);
        CHECK_EQ(stats_of(u).waiting, 1);
        fiber_cancel(first);
        CHECK_OK(scope_wait_all(&s));
        CHECK_ERR(k[0].error, E_CANCELLED);
        CHECK_OK(k[1].error);
        CHECK_EQ(peer->accepted, finish ? 1 : 2);
        CHECK_EQ(stats_of(u).open, 1);
    }
}

WORLD_TEST(http_many_calls_at_a_time_do_not_mix)
{
    enum { CALLS = 100 };
    struct peer *peer = peer_start(w, play_echo_request);
    struct upstream *u CLEANUP(upstream_free_p) = upstream_new(&(struct upstream_options){
        .host = STR("127.0.0.1"), .port = peer_port(peer), .max_connections = 20, .max_idle = 5});
    struct caller k[CALLS];
    struct http_header id[CALLS];
    SCOPE(s, NS_NEVER);

    for (int i = 0; i < CALLS; i++) {
        id[i] = (struct http_header){STR("x-id"), arena_printf(&w->arena, "%d", i)};
        k[i] = (struct caller){.world = w, .upstream = u, .options = {.headers = &id[i], .count = 1}};
        (void)scope_spawn(&s, "caller", caller_main, &k[i]);
    }
    CHECK_OK(scope_wait_all(&s));
    for (int i = 0; i < CALLS; i++)
        CHECK_OK(k[i].error);
    CHECK_EQ(peer->accepted, 20);
    CHECK_EQ(stats_of(u).idle, 5);
    CHECK_EQ(stats_of(u).open, 5);
}

/* Sockets that take a few bytes at a time: no request leaves in one piece, and all are under way together. */
SIM_WORLD_TEST(http_requests_that_leave_in_pieces_do_not_mix, .socket_buffer = 64, .faults = {.short_write = 300})
{
    enum { CALLS = 20 };
    struct peer *peer = peer_start(w, play_echo_request);
    UPSTREAM(u, peer);
    struct caller k[CALLS];
    struct http_header id[CALLS];
    struct str bodies[CALLS];
    SCOPE(s, NS_NEVER);

    for (int i = 0; i < CALLS; i++) {
        id[i] = (struct http_header){STR("x-id"), arena_printf(&w->arena, "%0*d", 100 + i, i)};
        bodies[i] = arena_printf(&w->arena, "<%0*d>", 300, i);
        k[i] = (struct caller){
            .world = w,
            .upstream = u,
            .options = {.method = STR("POST"), .headers = &id[i], .count = 1, .body = &bodies[i], .body_parts = 1}};
        (void)scope_spawn(&s, "caller", caller_main, &k[i]);
    }
    CHECK_OK(scope_wait_all(&s));
    for (int i = 0; i < CALLS; i++) {
        struct str want = arena_printf(
            &w->arena, "POST / HTTP/1.1\r\nhost: 127.0.0.1:%u\r\nx-id: %s\r\ncontent-length: 302\r\n\r\n%s",
            peer_port(peer), id[i].value.p, bodies[i].p);
        CHECK_OK(k[i].error);
        CHECK_STR(k[i].body, want.p);
    }
    CHECK_EQ(peer->accepted, CALLS);
}

/* --- content codings --- */

WORLD_TEST(http_coded_answers_are_decoded_on_request)
{
    static const char gzip[] =
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 25\r\n\r\n"
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00";
    struct cut *cut = cut_new(w, str_of(gzip, sizeof gzip - 1), 70, false);
    struct peer *peer = peer_start_with(w, play_cut, cut);
    UPSTREAM(u, peer);
    struct str got;

    CHECK_GET(u, "hello");
    CHECK_OK(call_with(w, u, &(struct http_call_options){.keep_encoded = true}, NULL, &got));
    CHECK_EQ(got.n, 25);
    for (int keep = 0; keep < 2; keep++) {
        struct http_call *c CLEANUP(http_call_close_p) = NULL;
        struct http_call_options o = {.method = STR("GET"), .target = STR("/"), .keep_encoded = keep};
        CHECK_OK(http_call_open(u, &w->arena, &o, NULL, &c));
        CHECK_EQ(http_call_is_decoded(c), !keep);
        CHECK_OK(http_call_all(c, NS_NEVER, 100, &got));
    }
    CHECK_EQ(peer->accepted, 1);
    for (cut->at = 0; cut->at < cut->answer.n; cut->at++)
        CHECK_GET(u, "hello");
}

/* An answer that is much larger decoded, and one that ends before its coding does. */
struct coded {
    const char *coding;
    struct buf bytes;
};

static void play_coded(struct play *p)
{
    struct coded *coded = p->peer->ctx;

    while (play_request(p)) {
        char head[128];
        int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-encoding: %s\r\ncontent-length: %zu\r\n\r\n",
                         coded->coding, coded->bytes.n);
        if (!play_send_n(p, head, (size_t)n) || !play_send_n(p, coded->bytes.p, coded->bytes.n))
            return;
    }
}

static void buf_drop(void *b)
{
    buf_release(b);
}

static void gzip_body(struct buf *to, struct str body)
{
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)body.p, .avail_in = (unsigned)body.n};

    CHECK_EQ(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = (unsigned char *)buf_reserve(to, 100000);
    z.avail_out = 100000;
    CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    to->n = z.total_out;
    (void)deflateEnd(&z);
}

WORLD_TEST(http_coded_answers_may_be_large_and_must_be_whole)
{
    struct coded *coded = arena_new(&w->arena, struct coded);
    struct peer *peer = peer_start_with(w, play_coded, coded);
    struct str body = large_body(w, 500000), got;

    buf_init(&coded->bytes, 1 << 20);
    arena_hold(&w->arena, &coded->bytes, buf_drop);
    for (int zstd = 0; zstd < 2; zstd++) {
        UPSTREAM(u, peer);
        coded->coding = zstd ? "zstd" : "gzip";
        if (zstd)
            coded->bytes.n = ZSTD_compress(coded->bytes.p, 100000, body.p, body.n, 3);
        else
            gzip_body(&coded->bytes, body);
        CHECK_OK(get(w, u, &got));
        CHECK(str_eq(got, body));
        coded->bytes.n -= 1;
        CHECK_ERR(get(w, u, &got), E_PROTOCOL);
        CHECK(error_says(E_PROTOCOL, "ends before its end"));
    }
}

/* --- memory --- */

static err_t hold_main(void *arg)
{
    struct http_call **c = arg;
    struct str piece;

    return http_call_next(*c, NS_NEVER, &piece);
}

WORLD_TEST(http_a_call_that_waits_holds_no_buffer)
{
    struct peer *peer = peer_start(w, play_endless);
    UPSTREAM(u, peer);
    struct http_call *c CLEANUP(http_call_close_p) = NULL;
    struct http_call_options o = {.method = STR("GET"), .target = STR("/")};
    struct str piece;
    SCOPE(s, NS_NEVER);

    CHECK_OK(http_call_open(u, &w->arena, &o, NULL, &c));
    CHECK_OK(http_call_next(c, NS_NEVER, &piece));
    CHECK_STR(piece, "hello");
    CHECK(c->in != NULL);
    (void)scope_spawn(&s, "holder", hold_main, &c);
    play_pause();
    CHECK(c->in == NULL && c->out == NULL);
    scope_cancel(&s);
    CHECK_OK(scope_wait_all(&s));
}
