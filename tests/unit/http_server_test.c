/*
 * http_server_test.c - HTTP/1.1: what clients get, what they must not, and what becomes of handlers when they leave.
 */
#include "server_world.h"

SERVER_TEST(a_connection_is_kept_for_the_next_request)
{
    struct client *c = dial(w);

    for (int i = 0; i < 3; i++) {
        CHECK(say(c, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
        struct answer a = hear(c);
        CHECK_EQ(a.status, 200);
        CHECK_STR(a.body, "hello");
        CHECK_STR(http_head_find(&a.head, STR("content-type")), "text/x-test");
        CHECK_STR(http_head_find(&a.head, STR("server")), "test");
        CHECK_EQ(http_head_find(&a.head, STR("date")).n, HTTP_DATE_LEN);
        CHECK(!http_head_find(&a.head, STR("connection")).p);
        CHECK(hears_nothing(c));
        struct http_server_stats stats;
        http_server_stats(w->server, &stats);
        CHECK_EQ(stats.idle_connections, 1);
        CHECK_EQ(stats.requests, 0);
    }
    hang_up(c);
    settle();
    struct http_server_stats stats;
    http_server_stats(w->server, &stats);
    CHECK_EQ(stats.accepted, 1);
    CHECK_EQ(stats.served, 3);
    CHECK_EQ(stats.connections, 0);
}

SERVER_TEST(the_handler_sees_the_request)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /info?a=1 HTTP/1.1\r\nHost: h:1\r\nCookie: a=b\r\n\r\n"));
    CHECK_STR(hear(c).body, w->tls ? "GET|/info|a=1|h:1|h:1|a=b|0|1|0" : "GET|/info|a=1|h:1|h:1|a=b|0|0|0");
    CHECK(say(c, "POST /info HTTP/1.1\r\nHost: h\r\ncontent-length: 3\r\n\r\nabc"));
    CHECK_STR(hear(c).body, w->tls ? "POST|/info||h|h||0|1|3" : "POST|/info||h|h||0|0|3");
    CHECK(say(c, "POST /info HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"));
    CHECK_STR(hear(c).body, w->tls ? "POST|/info||h|h||0|1|-1" : "POST|/info||h|h||0|0|-1");
    hang_up(c);
}

/* Ten requests of all kinds. */
static const char pipeline[] =
    "GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody"
    "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    "3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n"
    "HEAD / HTTP/1.1\r\nhost: x\r\n\r\n"
    "POST /relay HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok"
    "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nunread"
    "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n6\r\nunread\r\n0\r\n\r\n"
    "GET /204 HTTP/1.1\r\nhost: x\r\n\r\n"
    "GET /silent HTTP/1.1\r\nhost: x\r\n\r\n"
    "GET /fail HTTP/1.1\r\nhost: x\r\n\r\n";

static void check_pipeline(struct world *w, size_t cut) SUSPENDS;
static void check_pipeline(struct world *w, size_t cut)
{
    static const struct {
        int status;
        const char *body;
    } want[] = {{200, "hello"},
                {200, "body"},
                {200, "abc0123456789abcdef"},
                {200, ""},
                {200, "ok"},
                {200, "hello"},
                {200, "hello"},
                {204, ""},
                {500, "[500 GET /silent] no answer was made"},
                {502, "[502 GET /fail] it did not work out"}};
    struct client *c = dial(w);

    test_context("cut at byte %zu", cut);
    CHECK(say_bytes(c, str_of(pipeline, cut)));
    if (cut < sizeof pipeline - 1) {
        settle();
        CHECK(say_bytes(c, str_of(pipeline + cut, sizeof pipeline - 1 - cut)));
    }
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct answer a = hear_answer(c, i == 3);
        CHECK_EQ(a.status, want[i].status);
        CHECK_STR(a.body, want[i].body);
        if (i == 3)
            CHECK_STR(http_head_find(&a.head, STR("content-length")), "5");
    }
    CHECK_EQ(c->got.n, 0);
    hang_up(c);
}

SERVER_TEST(ten_requests_in_one_packet_are_answered_in_order)
{
    check_pipeline(w, sizeof pipeline - 1);
}

SERVER_TEST(requests_may_be_cut_at_every_byte)
{
    for (size_t cut = 1; cut < sizeof pipeline - 1 && !test_failed(); cut += test_step())
        check_pipeline(w, cut);
}

SERVER_TEST(a_client_that_expects_100_gets_it_when_its_body_is_read)
{
    struct client *c = dial(w);

    CHECK(say(c, "POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"));
    CHECK_EQ(hear(c).status, 100);
    CHECK(hears_nothing(c));
    CHECK(say(c, "abc"));
    CHECK_STR(hear(c).body, "abc");
    CHECK(say(c, "POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc"));
    CHECK_EQ(hear(c).status, 200); /* it did not wait */
    hang_up(c);
}

SERVER_TEST(a_client_that_expects_100_in_vain_is_answered_and_left)
{
    struct client *c = dial(w);

    CHECK(say(c, "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"));
    struct answer a = hear(c);
    CHECK_EQ(a.status, 200);
    CHECK(says_close(&a));
    CHECK(hears_end(c));
}

SERVER_TEST(the_connection_ends_where_the_client_asks_for_it)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    struct answer a = hear(c);
    CHECK_EQ(a.status, 200);
    CHECK(says_close(&a));
    CHECK(hears_end(c));
}

SERVER_TEST(http_1_0_is_spoken)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"));
    struct answer a = hear(c);
    CHECK_EQ(a.status, 200);
    CHECK_STR(http_head_find(&a.head, STR("connection")), "keep-alive");
    CHECK(say(c, "GET /events HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"));
    a = hear(c);
    CHECK_STR(a.body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    CHECK(says_close(&a));
    CHECK(!http_head_find(&a.head, STR("transfer-encoding")).p);
    CHECK(hears_end(c));
    c = dial(w);
    CHECK(say(c, "GET / HTTP/1.0\r\n\r\n"));
    CHECK_STR(hear(c).body, "hello");
    CHECK(hears_end(c));
}

SERVER_TEST(events_leave_one_by_one)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /events HTTP/1.1\r\nhost: x\r\n\r\n"));
    size_t head = SIZE_MAX;
    while (head >= c->got.n || c->got.n == head + 4) {
        CHECK(listen_on(c));
        head = str_find(buf_str(&c->got), STR("\r\n\r\n"));
    }
    while (c->got.n < head + 4 + 14)
        CHECK(listen_on(c));
    CHECK_STR(str_slice(buf_str(&c->got), head + 4, c->got.n), "9\r\ndata: 0\n\n\r\n");
    CHECK_STR(hear(c).body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    hang_up(c);
}

SERVER_TEST(a_head_can_be_flushed_before_its_body)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /flushed HTTP/1.1\r\nhost: x\r\n\r\n"));
    while (!str_ends(buf_str(&c->got), STR("content-length: 8\r\n\r\n")))
        CHECK(listen_on(c));
    CHECK_EQ(w->ended, 0);
    release(w);
    CHECK_STR(hear(c).body, "flushed!");
    hang_up(c);
}

/* A body of `n` bytes that differ. */
static struct str make_body(struct world *w, size_t n)
{
    char *p = arena_alloc(&w->arena, n);

    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 7 + i / 251);
    return str_of(p, n);
}

static void check_echo(struct world *w, const char *path, struct str body, bool chunked) SUSPENDS;
static void check_echo(struct world *w, const char *path, struct str body, bool chunked)
{
    struct client *c = dial(w);
    struct str length = arena_printf(&w->arena, "content-length: %zu", body.n);
    struct str size = arena_printf(&w->arena, "%zx\r\n", body.n);

    CHECK(say_bytes(c, arena_printf(&w->arena, "POST %s HTTP/1.1\r\nhost: x\r\n%.*s\r\n\r\n", path,
                                    STR_ARG(chunked ? STR("transfer-encoding: chunked") : length))));
    CHECK(!chunked || say_bytes(c, size));
    CHECK(say_bytes(c, body));
    CHECK(!chunked || say(c, "\r\n0\r\n\r\n"));
    struct answer a = hear(c);
    CHECK_EQ(a.status, 200);
    CHECK(str_eq(a.body, body));
    CHECK(say(c, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_EQ(hear(c).status, 200);
    hang_up(c);
}

SERVER_TEST(bodies_of_all_sizes_come_whole_both_ways)
{
    static const size_t sizes[] = {0, 1, 100, 16000, 16384, 70000, 3000000};

    for (size_t i = 0; i < ARRAY_LEN(sizes) && !test_failed(); i++) {
        test_context("%zu bytes", sizes[i]);
        struct str body = make_body(w, sizes[i]);
        check_echo(w, "/echo", body, false);
        if (sizes[i] > 0)
            check_echo(w, "/echo", body, true);
        if (sizes[i] > 0 && sizes[i] < 20000) /* more is relayed before we read, and would wait for us */
            check_echo(w, "/relay", body, i % 2);
    }
}

/* --- trailer fields --- */

static struct answer ask_trailers(struct client *c, const char *method, const char *query, const char *rest) SUSPENDS;
static struct answer ask_trailers(struct client *c, const char *method, const char *query, const char *rest)
{
    struct str ask = arena_printf(&c->world->arena, "%s /trailers?%s %s\r\n\r\n", method, query, rest);

    if (!say_bytes(c, ask))
        return (struct answer){.status = 0};
    return hear_answer(c, strcmp(method, "HEAD") == 0);
}

#define WITH_TE "HTTP/1.1\r\nhost: x\r\nTE: gzip, Trailers"

SERVER_TEST(trailer_fields_stand_behind_the_last_chunk_and_are_announced)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /trailers " WITH_TE "\r\nconnection: te\r\n\r\n"));
    while (!str_ends(buf_str(&c->got), STR("x-note: a b\r\n\r\n")))
        CHECK(listen_on(c));
    CHECK(str_find(buf_str(&c->got), STR("\r\ntrailer: X-Sum, x-note\r\n")) < c->got.n);
    CHECK(str_ends(buf_str(&c->got), STR("\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1234567\r\nx-note: a b\r\n\r\n")));
    CHECK_STR(hear(c).body, "body");
    CHECK_EQ(c->got.n, 0);
    CHECK(say(c, "GET /relay " WITH_TE "\r\n\r\n")); /* the next answer has none of it */
    struct answer a = hear(c);
    CHECK_EQ(a.status, 200);
    CHECK_STR(a.trailers, "");
    CHECK(!http_head_find(&a.head, STR("trailer")).p);
    hang_up(c);
}

SERVER_TEST(trailer_fields_stand_behind_bodies_of_any_size)
{
    static const struct {
        const char *query;
        size_t n;
    } bodies[] = {{"empty", 0}, {"many", 4000}, {"large", (4 << 20) + 4}, {"window", 65535}};
    struct client *c = dial(w);

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        test_context("%s", bodies[i].query);
        struct answer a = ask_trailers(c, "GET", bodies[i].query, WITH_TE);
        CHECK_EQ(a.body.n, bodies[i].n);
        CHECK_STR(a.trailers, "X-Sum=1234567;x-note=a b;");
    }
    hang_up(c);
}

SERVER_TEST(who_does_not_ask_for_trailer_fields_gets_none)
{
    static const struct {
        const char *method, *query, *rest;
    } asks[] = {{"GET", "", "HTTP/1.1\r\nhost: x"},
                {"GET", "many", "HTTP/1.1\r\nhost: x\r\nte: gzip, trailersx"},
                {"HEAD", "", WITH_TE},
                {"GET", "none", WITH_TE},
                {"GET", "told", WITH_TE},
                {"GET", "", "HTTP/1.0\r\nte: trailers"}};

    for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
        struct client *c = dial(w);
        test_context("%s %s %s", asks[i].method, asks[i].query, asks[i].rest);
        struct answer a = ask_trailers(c, asks[i].method, asks[i].query, asks[i].rest);
        CHECK(a.status == 200 || a.status == 204);
        CHECK_STR(a.trailers, "");
        CHECK(!http_head_find(&a.head, STR("trailer")).p);
        CHECK_EQ(c->got.n, 0);
        hang_up(c);
    }
}

SERVER_TEST(what_cannot_be_a_trailer_field_is_refused)
{
    static const struct {
        const char *query;
        err_t e;
    } bad[] = {{"framing", E_PARSE}, {"split", E_PARSE}, {"long", E_TOO_LARGE}};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct client *c = dial(w);
        test_context("%s", bad[i].query);
        CHECK_EQ(ask_trailers(c, "GET", bad[i].query, WITH_TE).status, 0);
        CHECK_EQ(w->handler_result, bad[i].e);
        hang_up(c);
    }
}

SERVER_TEST(a_large_head_of_an_answer_comes_whole)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /large-head HTTP/1.1\r\nhost: x\r\n\r\n"));
    struct answer a = hear(c);
    CHECK_STR(a.body, "large");
    CHECK_EQ(http_head_find(&a.head, STR("b")).n, LARGE_FIELD);
    hang_up(c);
}

SERVER_TEST(many_parts_make_one_piece)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /parts HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(is_parts(hear(c).body));
    settle();
    CHECK_EQ(w->given_back, 1); /* what belonged to the request is gone with it, though the connection is kept */
    CHECK(hears_nothing(c));
    hang_up(c);
}

/* --- refusals --- */

static const struct {
    const char *bytes;
    int status;
    const char *word; /* of the explanation */
} bad[] = {
    {"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na", 400, "Content-Length"},
    {"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400, "Length"},
    {"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: +1\r\n\r\na", 400, ""},
    {"GET / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n", 501, "Transfer-Encoding"},
    {"GET / HTTP/1.1\r\nhost: x\rfoo: bar\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\nhost: x\n\n", 400, ""},
    {"GET / HTTP/1.1\r\nhost : x\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", 400, "Host"},
    {"GET / HTTP/1.1\r\n\r\n", 400, "Host"},
    {"GET / HTTP/3.0\r\nhost: x\r\n\r\n", 505, "HTTP/1"},
    {"FROB / HTTP/1.1\r\nhost: x\r\n\r\n", 501, "method"},
    {"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n", 501, "CONNECT"},
    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, ""}, /* TLS where none is spoken */
    {"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 400, ""},
    {"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400, ""},
    {"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n", 400, ""},
    {"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\nab\n", 400, ""},
    {"POST /ten HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n", 413, "large"},
    {"POST /ten HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nb\r\n01234567890\r\n", 413, "large"},
    {"POST /ten HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n012345\r\n", 413, "large"},
    {"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n", 413, "large"},
    {"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n", 413, "large"},
};

static void check_refused(struct world *w, struct str bytes, int status, const char *word) SUSPENDS;
static void check_refused(struct world *w, struct str bytes, int status, const char *word)
{
    struct client *c = dial(w);

    CHECK(say_bytes(c, bytes));
    CHECK(status != 413 || say_bytes(c, str_of(memset(arena_alloc(&w->arena, 2000), 'x', 2000), 2000)));
    struct answer a = hear(c);
    CHECK_EQ(a.status, status);
    CHECK(says_close(&a));
    CHECK(a.body.n > 3 && str_find(a.body, str_from_c(word)) < a.body.n);
    CHECK(hears_end(c));
}

SERVER_TEST(malformed_messages_are_refused_with_the_reason, l->body_bytes = 1000)
{
    struct client *other = dial(w);
    struct http_server_stats stats;

    for (size_t i = 0; i < ARRAY_LEN(bad) && !test_failed(); i++) {
        test_context("case %zu", i);
        check_refused(w, str_from_c(bad[i].bytes), bad[i].status, bad[i].word);
    }
    CHECK(!test_failed());
    http_server_stats(w->server, &stats);
    CHECK_EQ(stats.refused, ARRAY_LEN(bad));
    CHECK(say(other, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_EQ(hear(other).status, 200);
    hang_up(other);
}

SERVER_TEST(large_heads_are_refused, l->head_bytes = 4000, l->head_count = 20)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);

    (void)buf_add_lit(&b, "GET / HTTP/1.1\r\nhost: x\r\nlong: ");
    while (b.n < 4000)
        (void)buf_add_char(&b, 'x');
    (void)buf_add_lit(&b, "\r\n\r\n");
    check_refused(w, buf_str(&b), 431, "large");
    buf_clear(&b);
    (void)buf_add_lit(&b, "GET / HTTP/1.1\r\nhost: x\r\n");
    for (int i = 0; i < 20; i++)
        (void)buf_addf(&b, "h%d: x\r\n", i);
    (void)buf_add_lit(&b, "\r\n");
    check_refused(w, buf_str(&b), 431, "many");
    buf_clear(&b);
    (void)buf_add_lit(&b, "GET /");
    while (b.n < 4100)
        (void)buf_add_char(&b, 'x');
    check_refused(w, buf_str(&b), 414, "target");
}

/* What the owner of the server is told of a refused request, to choose the form of the answer. */
static const struct {
    const char *bytes, *start;
} told[] = {
    {"POST /a?b HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n", "[400 POST /a] invalid Content-Length"},
    {"POST /a/b?c HTTP/1.1\nhost: x\r\n\r\n", "[400 POST /a/b] "},
    {"POST /a HTTP/1.1\r\nhost: x\r\nbad name: y\r\n\r\n", "[400 POST /a] "},
    {"POST /a HTTP/4.0\r\n\r\n", "[505 POST /a] only HTTP/1.0 and HTTP/1.1 are spoken here"},
    {"FROB /a HTTP/1.1\r\n\r\n", "[501 FROB /a] unknown method"},
    {"GET * HTTP/1.1\r\nhost: x\r\n\r\n", "[400 GET ] invalid request target"},
    {"GET ftp://x/y HTTP/1.1\r\nhost: x\r\n\r\n", "[400 GET ] invalid request target"},
    {"GET /\x01 HTTP/1.1\r\nhost: x\r\n\r\n", "[400 GET ] "},
    {"\x16\x03\x01 /a HTTP/1.1\r\n\r\n", "[400  ] invalid method"},
    {"GET /fail HTTP/1.1\r\nhost: x\r\n\r\n", "[502 GET /fail] it did not work out"},
    {"GET /silent HTTP/1.1\r\nhost: x\r\n\r\n", "[500 GET /silent] no answer was made"},
};

SERVER_TEST(refusals_have_the_form_that_the_servers_owner_chooses)
{
    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        struct client *c = dial(w);
        test_context("case %zu", i);
        CHECK(say(c, told[i].bytes));
        struct answer a = hear(c);
        CHECK_MSG(str_starts(a.body, str_from_c(told[i].start)), "%.*s", STR_ARG(a.body));
        CHECK_STR(http_head_find(&a.head, STR("content-type")), "text/x-refusal");
        hang_up(c);
    }
}

SERVER_TEST(refusals_are_plain_text_unless_a_form_is_chosen, o->refusal = NULL)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET * HTTP/1.1\r\nhost: x\r\n\r\n"));
    struct answer a = hear(c);
    CHECK_STR(a.body, "invalid request target\n");
    CHECK_STR(http_head_find(&a.head, STR("content-type")), "text/plain; charset=utf-8");
    hang_up(c);
}

SERVER_TEST(a_refused_head_request_gets_no_body, l->head_count = 3)
{
    static const char *const refused[] = {
        "HEAD * HTTP/1.1\r\nhost: x\r\n\r\n",
        "HEAD / HTTP/1.1\r\n\r\n",
        "HEAD / HTTP/1.1\r\nhost: x\r\na: b\r\nc: d\r\ne: f\r\n\r\n",
        "HEAD / HTTP/1.1\nhost: x\n\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct client *c = dial(w);
        test_context("case %zu", i);
        CHECK(say(c, refused[i]));
        struct answer a = hear_answer(c, true);
        CHECK_GE(a.status, 400);
        CHECK(a.head.content_length > 0);
        CHECK(says_close(&a));
        CHECK_EQ(c->got.n, 0);
        CHECK(hears_end(c));
    }
}

SERVER_TEST(what_a_refused_client_goes_on_sending_does_not_cost_it_the_answer)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET / HTTP/9.9\r\n\r\n"));
    for (int i = 0; i < 20; i++)
        CHECK(say(c, "more and more of it"));
    settle();
    CHECK(say(c, "and more"));
    CHECK_EQ(hear(c).status, 505);
    CHECK(hears_end(c));
}

/* --- time --- */

SERVER_TEST(a_slow_head_is_refused, l->head_time = 30 * NS_MS)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET / HTTP/1.1\r\nho"));
    struct answer a = hear(c);
    CHECK_EQ(a.status, 408);
    CHECK_STR(a.body, "[408 GET /] the request came too slowly");
    CHECK(says_close(&a));
    CHECK(hears_end(c));
    CHECK_EQ(w->begun, 0);
}

SERVER_TEST(of_a_slow_request_line_only_the_method_is_known, l->head_time = 30 * NS_MS)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /v1/mod"));
    CHECK_STR(hear(c).body, "[408 GET ] the request came too slowly");
    CHECK(hears_end(c));
}

SERVER_TEST(a_slow_start_of_a_preface_is_refused, l->head_time = 30 * NS_MS)
{
    struct client *c = dial(w);

    CHECK(say(c, "PRI * HT"));
    CHECK_EQ(hear(c).status, 408);
    CHECK(hears_end(c));
}

SERVER_TEST(a_slow_body_is_refused, l->body_gap = 30 * NS_MS)
{
    struct client *c = dial(w);

    CHECK(say(c, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc"));
    struct answer a = hear(c);
    CHECK_EQ(a.status, 408);
    CHECK(says_close(&a));
    CHECK_EQ(w->handler_result, E_DEADLINE);
    CHECK_EQ(w->handler_refusal, 408);
    CHECK(hears_end(c));
}

SERVER_TEST(a_body_in_a_trickle_is_refused, l->body_gap = 40 * NS_MS)
{
    struct client *c = dial(w);

    CHECK(say(c, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc"));
    int i = 0;
    for (; i < 90 && w->ended == 0; i++) {
        (void)!fiber_sleep_until(rt_now() + 5 * NS_MS);
        (void)say(c, "x");
    }
    CHECK_LT(i, 80);
    CHECK_EQ(hear(c).status, 408);
    hang_up(c);
}

SERVER_TEST(an_idle_connection_is_closed, l->idle_time = 30 * NS_MS)
{
    struct client *fresh = dial(w), *used = dial(w);

    CHECK(say(used, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_EQ(hear(used).status, 200);
    CHECK(hears_end(fresh));
    CHECK(hears_end(used));
}

/* --- limits --- */

SERVER_TEST(connections_over_the_limit_are_closed_at_once, l->connections = 2)
{
    struct client *a = dial(w), *b = dial(w);
    struct http_server_stats stats;

    settle();
    CHECK(hears_end(dial(w)));
    http_server_stats(w->server, &stats);
    CHECK_EQ(stats.refused, 1);
    CHECK_EQ(stats.connections, 2);
    hang_up(a);
    settle();
    struct client *c = dial(w);
    CHECK(say(c, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_EQ(hear(c).status, 200);
    hang_up(b);
    hang_up(c);
}

SERVER_TEST(a_small_body_that_nobody_read_is_thrown_away)
{
    struct client *c = dial(w);

    CHECK(say(c, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 50000\r\n\r\n"));
    struct answer a = hear(c);
    CHECK_EQ(a.status, 200);
    CHECK(!says_close(&a));
    CHECK(say_bytes(c, str_of(memset(arena_alloc(&w->arena, 50000), 'x', 50000), 50000)));
    CHECK(say(c, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_EQ(hear(c).status, 200);
    hang_up(c);
}

SERVER_TEST(a_large_body_that_nobody_read_ends_the_connection)
{
    enum { N = 500000 };
    char *bytes = memset(arena_alloc(&w->arena, N), 'x', N);

    for (int chunked = 0; chunked < 2; chunked++) {
        struct client *c = dial(w);
        CHECK(say(c, chunked ? "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n7a120\r\n"
                             : "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n"));
        CHECK(say_bytes(c, str_of(bytes, N)));
        struct answer a = hear(c);
        CHECK_EQ(a.status, 200);
        CHECK(chunked || says_close(&a));
        CHECK(hears_end(c));
    }
}

/* --- clients that leave --- */

SERVER_TEST(a_client_that_closes_cancels_its_handler)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(await_change(&w->begun, 0));
    hang_up(c);
    CHECK(await_change(&w->ended, 0));
    CHECK_EQ(w->handler_result, E_CANCELLED);
}

SERVER_TEST(a_client_that_shuts_down_its_side_counts_as_gone)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(await_change(&w->begun, 0));
    CHECK_OK(sock_shutdown(c->io.sock));
    CHECK(await_change(&w->ended, 0));
    CHECK_EQ(w->handler_result, E_CANCELLED);
    CHECK(hears_end(c));
}

SERVER_TEST(a_client_gone_before_its_handler_began_is_noticed)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_OK(sock_shutdown(c->io.sock));
    CHECK(await_change(&w->ended, 0));
    CHECK_EQ(w->handler_result, E_CANCELLED);
    hang_up(c);
    c = dial(w);
    CHECK(say(c, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_OK(sock_shutdown(c->io.sock));
    CHECK_EQ(hear(c).status, 200); /* an answer that needs no wait is given all the same */
    hang_up(c);
}

SERVER_TEST(a_reset_cancels_the_handler)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    settle(); /* closing with an unread answer resets */
    CHECK(say(c, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(await_change(&w->begun, 1));
    hang_up(c);
    CHECK(await_change(&w->ended, 1));
    CHECK_EQ(w->handler_result, E_CANCELLED);
}

SERVER_TEST(bytes_of_the_next_request_are_not_leaving)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(await_change(&w->begun, 0));
    CHECK(say(c, "GET /info HTTP/1.1\r\nhost: y\r\n\r\n"));
    settle();
    CHECK_EQ(w->ended, 0);
    release(w);
    CHECK_STR(hear(c).body, "released");
    CHECK(str_starts(hear(c).body, STR("GET|/info||y|y|")));
    CHECK(say(c, "GET /held HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\n"));
    CHECK_EQ(hear(c).status, 200);
    hang_up(c);
}

SERVER_TEST(a_client_that_leaves_behind_pipelined_bytes_is_noticed)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(await_change(&w->begun, 0));
    CHECK(say(c, "GET /info HTTP/1.1\r\nhost: y\r\n\r\n"));
    settle();
    CHECK_EQ(w->ended, 0);
    hang_up(c);
    CHECK(await_change(&w->ended, 0));
    CHECK_EQ(w->handler_result, E_CANCELLED);
    settle();
    CHECK_EQ(w->begun, 1);
}

SERVER_TEST(a_client_that_leaves_in_its_body_cancels_the_handler)
{
    struct client *c = dial(w);

    CHECK(say(c, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc"));
    CHECK(await_change(&w->begun, 0));
    hang_up(c);
    CHECK(await_change(&w->ended, 0));
    CHECK_EQ(w->handler_result, E_CANCELLED);
}

/* --- back-pressure --- */

SERVER_TEST(a_client_that_does_not_read_holds_its_handler)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /big HTTP/1.1\r\nhost: x\r\n\r\n"));
    uint64_t before = 1;
    while (before != w->sent || w->sent == 0) {
        before = w->sent;
        (void)!fiber_sleep_until(rt_now() + 20 * NS_MS);
    }
    CHECK_LT(w->sent, (uint64_t)BIG_PIECE * BIG_PIECES / 2);
    CHECK_EQ(w->ended, 0);
    uint64_t got = 0;
    while (got < (uint64_t)BIG_PIECE * BIG_PIECES) {
        CHECK(listen_on(c));
        if (got == 0)
            buf_consume(&c->got, str_find(buf_str(&c->got), STR("\r\n\r\n")) + 4);
        got += c->got.n;
        buf_clear(&c->got);
    }
    CHECK_EQ(got, (uint64_t)BIG_PIECE * BIG_PIECES);
    hang_up(c);
}

SERVER_TEST(a_client_that_leaves_while_it_does_not_read_cancels_its_handler)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /big HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(listen_on(c));
    settle();
    hang_up(c);
    CHECK(await_change(&w->ended, 0));
    CHECK_EQ(w->handler_result, E_CANCELLED);
}

SERVER_TEST(a_client_that_takes_nothing_is_dropped, l->write_gap = 30 * NS_MS)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /big HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(await_change(&w->ended, 0));
    CHECK_EQ(w->handler_result, E_CANCELLED);
    while (listen_on(c))
        buf_clear(&c->got);
    hang_up(c);
}

/* --- answers that go wrong --- */

SERVER_TEST(an_answer_that_is_not_as_long_as_it_said_is_broken_off)
{
    static const char *const requests[] = {"GET /short HTTP/1.1\r\nhost: x\r\n\r\n",
                                           "GET /long HTTP/1.1\r\nhost: x\r\n\r\n"};

    for (size_t i = 0; i < 2; i++) {
        struct client *c = dial(w);
        CHECK(say(c, requests[i]));
        CHECK_EQ(hear(c).status, 0);
        CHECK_EQ(w->handler_result, E_PROTOCOL);
        hang_up(c);
    }
}

SERVER_TEST(an_answer_that_is_aborted_has_no_end)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /abort HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_EQ(hear(c).status, 0);
    CHECK_EQ(w->handler_result, E_CANCELLED); /* of its write after that */
    CHECK(hears_end(c));
}

SERVER_TEST(headers_cannot_be_split)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /bad-header HTTP/1.1\r\nhost: x\r\n\r\n"));
    struct answer a = hear(c);
    CHECK_EQ(a.status, 400);
    CHECK(!http_head_find(&a.head, STR("set-cookie")).p);
    hang_up(c);
}

SERVER_TEST(framing_is_set_by_the_server_alone)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /hop HTTP/1.1\r\nhost: x\r\n\r\n"));
    struct answer a = hear(c);
    CHECK_STR(a.body, "hop");
    CHECK_STR(http_head_find(&a.head, STR("content-length")), "3");
    CHECK_STR(http_head_find(&a.head, STR("x-mine")), "yes");
    CHECK_STR(http_head_find(&a.head, STR("server")), "mine");
    CHECK_EQ(http_head_next(&a.head, STR("server"), http_head_next(&a.head, STR("server"), 0) + 1), a.head.count);
    CHECK(!http_head_find(&a.head, STR("connection")).p);
    CHECK(!http_head_find(&a.head, STR("keep-alive")).p);
    CHECK(!http_head_find(&a.head, STR("transfer-encoding")).p);
    hang_up(c);
}

/* --- the end --- */

SERVER_TEST(draining_answers_what_was_asked)
{
    struct client *busy = dial(w), *idle = dial(w);

    CHECK(say(idle, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_EQ(hear(idle).status, 200);
    CHECK(say(busy, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(await_change(&w->begun, 1));
    http_server_drain(w->server);
    CHECK(hears_end(idle));
    struct sock *s = NULL;
    CHECK_ERR(sock_connect(&w->at, &s), E_REFUSED);
    CHECK(w->running != NULL);
    release(w);
    struct answer a = hear(busy);
    CHECK_STR(a.body, "released");
    CHECK(says_close(&a));
    CHECK(hears_end(busy));
    settle();
    CHECK(!w->running);
    CHECK_EQ(w->result, OK);
}

SERVER_TEST(draining_closes_a_connection_whose_answer_had_begun)
{
    struct client *c = dial(w);

    CHECK(say(c, "GET /flushed HTTP/1.1\r\nhost: x\r\n\r\n"));
    while (!str_ends(buf_str(&c->got), STR("\r\n\r\n")))
        CHECK(listen_on(c));
    http_server_drain(w->server);
    release(w);
    CHECK_STR(hear(c).body, "flushed!");
    CHECK(hears_end(c));
    settle();
    CHECK(!w->running);
}

SERVER_TEST(draining_without_connections_ends_at_once)
{
    settle();
    http_server_drain(w->server);
    settle();
    CHECK(!w->running);
    CHECK_EQ(w->result, OK);
}

SERVER_TEST(stopping_cancels_handlers)
{
    struct client *busy = dial(w), *idle = dial(w), *half = dial(w);

    CHECK(say(busy, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK(say(half, "GET /he"));
    CHECK(await_change(&w->begun, 0));
    stop_server(w);
    CHECK_EQ(w->result, E_CANCELLED);
    CHECK_EQ(w->handler_result, E_CANCELLED);
    CHECK(hears_end(busy));
    CHECK(hears_end(idle));
    CHECK(hears_end(half));
}

/* --- TLS --- */

/* Have the server listen for TLS on a port of its own too, which the world's clients dial from then on. */
static struct cert *listen_for_tls(struct world *w)
{
    struct cert *cert = make_cert(w);
    struct addr any;

    if (addr_parse(STR("127.0.0.1:0"), &any) != OK ||
        http_server_listen(w->server, &any, LISTEN_ALONE, server_tls(w, cert), &w->at) != OK)
        die("%s", err_current()->text);
    w->tls_client1 = client_tls(w, cert, false);
    return cert;
}

SERVER_TEST(a_new_certificate_serves_new_connections)
{
    (void)listen_for_tls(w);
    struct tls_ctx *old_trust = w->tls_client1;
    struct client *old = dial(w);
    CHECK(say(old, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_EQ(hear(old).status, 200);
    struct cert *fresh = make_cert(w);
    http_server_set_tls(w->server, server_tls(w, fresh));
    w->tls_client1 = client_tls(w, fresh, false);
    struct client *new = dial(w);
    CHECK(say(new, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_EQ(hear(new).status, 200);
    CHECK(say(old, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_EQ(hear(old).status, 200);
    w->tls_client1 = old_trust;
    CHECK(!dial(w)->io.sock);
    hang_up(old);
    hang_up(new);
}

SERVER_TEST(a_slow_handshake_is_cut_off, l->head_time = 30 * NS_MS)
{
    (void)listen_for_tls(w);
    struct client *c = dial_with(w, NULL), *silent = dial_with(w, NULL);

    CHECK(say(c, "\x16\x03\x01\x02"));
    CHECK(hears_end(c));
    hang_up(silent);
}

SERVER_TEST(http_in_the_clear_is_not_answered_where_tls_is_spoken)
{
    (void)listen_for_tls(w);
    struct client *c = dial_with(w, NULL);

    CHECK(say(c, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    while (listen_on(c))
        continue;
    CHECK_EQ(str_find(buf_str(&c->got), STR("HTTP/1.1")), c->got.n);
    CHECK_EQ(w->begun, 0);
    hang_up(c);
}

/* --- clients at random, in a world where everything goes wrong at times --- */

/* A request, and the body of its answer; NULL: any. */
static const struct {
    const char *request, *body;
} random_requests[] = {
    {"GET / HTTP/1.1\r\nhost: x\r\n\r\n", "hello"},
    {"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody", "body"},
    {"POST /relay HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"},
    {"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nunread", "hello"},
    {"GET /events HTTP/1.1\r\nhost: x\r\n\r\n", "data: 0\n\ndata: 1\n\ndata: 2\n\n"},
    {"GET /fail HTTP/1.1\r\nhost: x\r\n\r\n", "[502 GET /fail] it did not work out"},
    {"POST /ten HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n01234567890", "[413 POST /ten] the body is too large"},
    {"GET /big HTTP/1.1\r\nhost: x\r\n\r\n", NULL},
    {"GET /held HTTP/1.1\r\nhost: x\r\n\r\n", NULL},
    {"GET /abort HTTP/1.1\r\nhost: x\r\n\r\n", NULL},
    {"GET / HTTP/1.1\r\nhost: x\r\n", NULL},
    {"nonsense\r\n\r\n", NULL},
};

static bool say_in_pieces(struct client *c, struct str bytes) SUSPENDS;
static bool say_in_pieces(struct client *c, struct str bytes)
{
    struct prng *p = &c->world->prng;

    while (bytes.n > 0) {
        size_t n = 1 + prng_below(p, bytes.n);
        if (!say_bytes(c, str_of(bytes.p, n)))
            return false;
        bytes = str_slice(bytes, n, bytes.n);
        if (prng_below(p, 4) == 0 && fiber_sleep_until(rt_now() + (ns_t)prng_below(p, 5) * NS_MS) != OK)
            return false;
    }
    return true;
}

/* A few requests on one connection; false if an answer was complete and wrong. */
static bool converse(struct client *c) SUSPENDS;
static bool converse(struct client *c)
{
    struct prng *p = &c->world->prng;

    for (uint64_t left = 1 + prng_below(p, 4); left > 0; left--) {
        size_t i = prng_below(p, ARRAY_LEN(random_requests));
        if (!say_in_pieces(c, str_from_c(random_requests[i].request)) || prng_below(p, 10) == 0)
            return true;
        if (!random_requests[i].body) {
            (void)!fiber_sleep_until(rt_now() + (ns_t)prng_below(p, 20) * NS_MS);
            return true;
        }
        struct answer a = hear(c);
        if (a.status == 0 || a.status == 408) /* cut off, or what we said got stuck on its way */
            return true;
        if (!str_eq(a.body, str_from_c(random_requests[i].body)))
            return false;
        c->world->good++;
    }
    return true;
}

static err_t random_client(void *arg) SUSPENDS;
static err_t random_client(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < 5; i++) {
        WITHIN(ns_add(rt_now(), 100 * NS_SEC));
        struct client *c = dial(w);
        bool right = converse(c);
        hang_up(c);
        if (!right)
            return fail(E_PROTOCOL, "a wrong answer");
    }
    return OK;
}

static void crowd(struct world *w) SUSPENDS;
static void crowd(struct world *w)
{
    SCOPE(clients, NS_NEVER);
    for (int i = 0; i < 6; i++)
        (void)scope_spawn(&clients, "client", random_client, w);
    for (int i = 0; i < 6; i++) {
        err_t e;
        CHECK_OK(scope_wait_any(&clients, NS_NEVER, &e));
        CHECK_NE(e, E_PROTOCOL);
    }
    CHECK_GT(w->good, 0);
    if (prng_below(&w->prng, 2))
        http_server_drain(w->server);
}

static void no_changes(struct http_server_options *o)
{
    (void)o;
}

TEST(what_clients_get_is_right_whatever_goes_wrong)
{
    in_faulty_worlds((struct server_test){crowd, no_changes, false, 0});
}
