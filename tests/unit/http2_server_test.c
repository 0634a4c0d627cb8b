/*
 * http2_server_test.c - HTTP/2: nghttp2's client session, and raw frames where a client must misbehave, against our
 * server.
 */
#include "net/http2_int.h"
#include "server_world.h"

#include <nghttp2/nghttp2.h>

enum { MAX_STREAMS = 2048, FRAME_HEAD = 9 };

struct h2_stream {
    int32_t id;
    int status;
    bool closed;
    uint32_t code; /* of its end */
    struct buf body;
    struct str to_send;
    struct buf fields; /* "name=value;" of each header of the answer */
};

struct h2 {
    struct client *c;
    nghttp2_session *ng;
    struct h2_stream *streams;
    unsigned count, closed, pongs;
    bool goaway, ended; /* GOAWAY has come; the connection has ended */
    uint32_t goaway_code;
    size_t sent; /* bytes of bodies           */
    bool hold;   /* bodies are held back      */
};

/* --- the client --- */

static struct h2_stream *find(struct h2 *h, int32_t id)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (h->streams[i].id == id)
            return &h->streams[i];
    }
    return NULL;
}

static int got_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                      const uint8_t *value, size_t value_n, uint8_t flags, void *ctx)
{
    struct h2_stream *st = find(ctx, frame->hd.stream_id);
    uint64_t status;

    (void)ng, (void)flags;
    if (!st)
        return 0;
    if (str_eq(str_of((const char *)name, name_n), STR(":status")) &&
        str_to_u64(str_of((const char *)value, value_n), 999, &status))
        st->status = (int)status;
    (void)buf_addf(&st->fields, "%.*s=%.*s;", (int)name_n, (const char *)name, (int)value_n, (const char *)value);
    return 0;
}

static int got_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *ctx)
{
    struct h2_stream *st = find(ctx, id);

    (void)ng, (void)flags;
    if (st)
        (void)buf_add(&st->body, str_of((const char *)data, n));
    return 0;
}

static int got_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ctx)
{
    struct h2 *h = ctx;
    struct h2_stream *st = find(h, id);

    (void)ng;
    if (!st)
        return 0;
    st->closed = true;
    st->code = code;
    h->closed++;
    return 0;
}

static int got_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    struct h2 *h = ctx;

    (void)ng;
    h->pongs += frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        h->goaway = true;
        h->goaway_code = frame->goaway.error_code;
    }
    return 0;
}

static ssize_t give_body(nghttp2_session *ng, int32_t id, uint8_t *to, size_t max, uint32_t *flags,
                         nghttp2_data_source *source, void *ctx)
{
    struct h2 *h = ctx;
    struct h2_stream *st = find(h, id);
    size_t n = st->to_send.n < max ? st->to_send.n : max;

    (void)ng, (void)source;
    if (h->hold)
        return NGHTTP2_ERR_DEFERRED;
    if (n)
        memcpy(to, st->to_send.p, n);
    st->to_send = str_slice(st->to_send, n, st->to_send.n);
    h->sent += n;
    if (st->to_send.n == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static void h2_free(void *arg)
{
    struct h2 *h = arg;

    for (unsigned i = 0; i < h->count; i++) {
        buf_release(&h->streams[i].body);
        buf_release(&h->streams[i].fields);
    }
    nghttp2_session_del(h->ng);
}

/* A session whose preface lies in its queue; `manual`: no credit is given for what it reads. */
static struct h2 *h2_new(struct client *c, bool manual)
{
    struct arena *arena = &c->world->arena;
    struct h2 *h = arena_new(arena, struct h2);
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;

    h->c = c;
    h->streams = arena_zalloc(arena, MAX_STREAMS * sizeof *h->streams);
    (void)nghttp2_session_callbacks_new(&cb);
    (void)nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, manual);
    nghttp2_session_callbacks_set_on_header_callback(cb, got_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, got_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, got_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, got_frame);
    (void)nghttp2_session_client_new2(&h->ng, cb, h, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    (void)nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, NULL, 0);
    arena_hold(arena, h, h2_free);
    return h;
}

static struct h2 *h2_dial(struct world *w) SUSPENDS;
static struct h2 *h2_dial(struct world *w)
{
    return h2_new(dial_with(w, w->tls_client2), false);
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value), 0};
}

/* Queue a request; body NULL: none. `extra` headers behind the pseudo ones. */
static struct h2_stream *ask_with(struct h2 *h, const char *method, const char *path, const struct str *body,
                                  const nghttp2_nv *extra, size_t extra_n)
{
    nghttp2_nv *all = arena_alloc(&h->c->world->arena, (4 + extra_n) * sizeof *all);
    struct h2_stream *st = &h->streams[h->count++];
    nghttp2_data_provider source = {.read_callback = give_body};

    all[0] = nv(":method", method);
    all[1] = nv(":scheme", "http");
    all[2] = nv(":authority", "host.test");
    all[3] = nv(":path", path);
    for (size_t i = 0; i < extra_n; i++)
        all[4 + i] = extra[i];
    buf_init(&st->body, 256 << 20);
    buf_init(&st->fields, 1 << 20);
    st->to_send = body ? *body : STR_NONE;
    st->id = nghttp2_submit_request(h->ng, NULL, all, 4 + extra_n, body ? &source : NULL, NULL);
    return st;
}

static struct h2_stream *ask(struct h2 *h, const char *method, const char *path, const struct str *body)
{
    return ask_with(h, method, path, body, NULL, 0);
}

/* Write what is queued. */
static bool flush(struct h2 *h) SUSPENDS;
static bool flush(struct h2 *h)
{
    for (;;) {
        const uint8_t *p;
        ssize_t n = nghttp2_session_mem_send(h->ng, &p);
        if (n <= 0)
            return n == 0;
        if (!say_bytes(h->c, str_of((const char *)p, (size_t)n)))
            return false;
    }
}

static void feed(struct h2 *h)
{
    (void)nghttp2_session_mem_recv(h->ng, (const uint8_t *)h->c->got.p, h->c->got.n);
    buf_clear(&h->c->got);
}

/* Wait for something, and feed it. */
static void hear_frames(struct h2 *h) SUSPENDS;
static void hear_frames(struct h2 *h)
{
    if (listen_on(h->c))
        feed(h);
    else
        h->ended = true;
}

/* Feed what has come. */
static void hear_now(struct h2 *h)
{
    for (;;) {
        size_t n = 0;
        char *to = buf_reserve(&h->c->got, 64 * 1024);
        err_t e = conn_try_read(&h->c->io, to, 64 * 1024, &n);
        if (e == E_AGAIN)
            return;
        h->c->got.n += n;
        h->ended = h->ended || e != OK || n == 0;
        if (h->ended)
            return;
        feed(h);
    }
}

/* Talk until `count` streams have closed, GOAWAY has come with goaway_too, or the connection has ended. */
static void talk(struct h2 *h, unsigned count) SUSPENDS;
static void talk(struct h2 *h, unsigned count)
{
    (void)flush(h);
    while (h->closed < count && !h->ended) {
        hear_frames(h);
        (void)flush(h);
    }
}

/* Talk for as long as something happens, without waiting for anything in particular. */
static void talk_a_while(struct h2 *h) SUSPENDS;
static void talk_a_while(struct h2 *h)
{
    for (int i = 0; i < 4 && !h->ended; i++) {
        (void)flush(h);
        settle();
        hear_now(h);
    }
}

/* Look for GOAWAY in what a server has sent to a client whose session knows nothing of its streams. */
static void look_for_goaway(struct h2 *h, struct str in)
{
    while (in.n >= FRAME_HEAD) {
        const unsigned char *p = (const unsigned char *)in.p;
        size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        if (p[3] == NGHTTP2_GOAWAY && n >= 8 && in.n >= FRAME_HEAD + n) {
            h->goaway = true;
            h->goaway_code = p[FRAME_HEAD + 7];
        }
        in = str_slice(in, FRAME_HEAD + n, in.n);
    }
}

/* Read until the connection ends, as it must. */
static void talk_to_end(struct h2 *h) SUSPENDS;
static void talk_to_end(struct h2 *h)
{
    if (h->count == 0) {
        while (listen_on(h->c))
            continue;
        look_for_goaway(h, buf_str(&h->c->got));
    }
    while (h->count > 0 && !h->ended)
        hear_frames(h);
    CHECK_LT(rt_now(), fiber_deadline());
    hang_up(h->c);
}

static struct str frame(struct world *w, uint8_t type, uint8_t flags, uint32_t id, struct str payload)
{
    uint8_t *p = arena_alloc(&w->arena, FRAME_HEAD + payload.n);
    const uint8_t head[FRAME_HEAD] = {
        (uint8_t)(payload.n >> 16), (uint8_t)(payload.n >> 8), (uint8_t)payload.n, type,       flags,
        (uint8_t)(id >> 24),        (uint8_t)(id >> 16),       (uint8_t)(id >> 8), (uint8_t)id};

    memcpy(p, head, FRAME_HEAD);
    if (payload.n)
        memcpy(p + FRAME_HEAD, payload.p, payload.n);
    return str_of((const char *)p, FRAME_HEAD + payload.n);
}

/* "GET /path" as HPACK's static table has it: method, scheme, authority "x", path. */
static struct str get_block(struct world *w, const char *path)
{
    return arena_printf(&w->arena, "\x82\x86\x41\x01x\x44%c%s", (int)strlen(path), path);
}

static struct h2_stream *get(struct world *w, const char *path) SUSPENDS;
/* One request on a connection of its own. */
static struct h2_stream *get(struct world *w, const char *path)
{
    struct h2 *h = h2_dial(w);
    struct h2_stream *st = ask(h, "GET", path, NULL);

    talk(h, 1);
    hang_up(h->c);
    return st;
}

static bool has_field(const struct h2_stream *st, const char *field)
{
    return str_find(buf_str(&st->fields), str_from_c(field)) < st->fields.n;
}

/* --- requests and answers --- */

SERVER_TEST(http_2_is_spoken_on_the_port_of_http_1)
{
    struct h2 *h = h2_dial(w);
    struct client *plain = dial(w);
    struct h2_stream *st = ask(h, "GET", "/", NULL);

    CHECK(say(plain, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    CHECK_EQ(hear(plain).status, 200);
    hang_up(plain);
    talk(h, 1);
    CHECK_EQ(st->status, 200);
    CHECK_EQ(st->code, 0);
    CHECK_STR(buf_str(&st->body), "hello");
    CHECK(has_field(st, "content-type=text/x-test;"));
    CHECK(has_field(st, "content-length=5;"));
    CHECK(has_field(st, "server=test;"));
    CHECK(has_field(st, "date="));
    hang_up(h->c);
}

SERVER_TEST(the_preface_may_be_cut_at_every_byte)
{
    for (size_t cut = 1; cut < 30; cut++) {
        struct h2 *h = h2_dial(w);
        struct buf all CLEANUP(buf_release) = BUF_INIT(1 << 20);
        const uint8_t *p;
        ssize_t n;
        test_context("cut at %zu", cut);
        struct h2_stream *st = ask(h, "GET", "/", NULL);
        while ((n = nghttp2_session_mem_send(h->ng, &p)) > 0)
            (void)buf_add(&all, str_of((const char *)p, (size_t)n));
        CHECK(say_bytes(h->c, str_of(all.p, cut)));
        settle();
        CHECK(say_bytes(h->c, str_of(all.p + cut, all.n - cut)));
        talk(h, 1);
        CHECK_EQ(st->status, 200);
        hang_up(h->c);
    }
}

SERVER_TEST(the_handler_sees_the_same_head_as_over_http_1)
{
    struct h2 *h = h2_dial(w);
    const nghttp2_nv extra[] = {nv("cookie", "a=1"), nv("x-other", "y"), nv("cookie", "b=2"),
                                nv("content-length", "3")};
    struct str body = STR("abc");
    struct h2_stream *get_one = ask_with(h, "GET", "/info?q=1", NULL, extra, 3);
    struct h2_stream *post = ask_with(h, "POST", "/info", &body, extra + 3, 1);

    talk(h, 2);
    CHECK_STR(buf_str(&get_one->body), w->tls ? "GET|/info|q=1|host.test|host.test|a=1; b=2|1|1|0"
                                              : "GET|/info|q=1|host.test|host.test|a=1; b=2|1|0|0");
    CHECK_STR(buf_str(&post->body),
              w->tls ? "POST|/info||host.test|host.test||1|1|3" : "POST|/info||host.test|host.test||1|0|3");
    hang_up(h->c);
}

SERVER_TEST(many_streams_are_answered_at_once)
{
    enum { N = 100 };
    struct h2 *h = h2_dial(w);

    for (int i = 0; i < N; i++)
        (void)ask(h, "GET", i % 2 ? "/events" : "/", NULL);
    talk(h, N);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(h->streams[i].code, 0);
        CHECK_STR(buf_str(&h->streams[i].body), i % 2 ? "data: 0\n\ndata: 1\n\ndata: 2\n\n" : "hello");
    }
    hang_up(h->c);
}

SERVER_TEST(bodies_over_http_2_come_whole_both_ways)
{
    static const size_t sizes[] = {0, 1, 16384, 16385, 100000, 3000000};
    struct h2 *h = h2_dial(w);

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char *bytes = arena_alloc(&w->arena, sizes[i]);
        struct str body = str_of(bytes, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            bytes[k] = (char)(k * 7 + k / 251);
        struct h2_stream *echo = ask(h, "POST", "/echo", &body), *relay = ask(h, "POST", "/relay", &body);
        talk(h, 2 * (unsigned)i + 2);
        test_context("%zu bytes", sizes[i]);
        CHECK_EQ(echo->status, 200);
        CHECK(str_eq(buf_str(&echo->body), body));
        CHECK(str_eq(buf_str(&relay->body), body));
        CHECK_EQ(relay->code, 0);
    }
    hang_up(h->c);
}

SERVER_TEST(answers_without_a_body_end_with_their_head)
{
    struct h2 *h = h2_dial(w);
    struct h2_stream *head = ask(h, "HEAD", "/", NULL), *none = ask(h, "GET", "/204", NULL);

    talk(h, 2);
    CHECK_EQ(head->status, 200);
    CHECK(has_field(head, "content-length=5;"));
    CHECK_EQ(head->body.n, 0);
    CHECK_EQ(none->status, 204);
    CHECK(!has_field(none, "content-length"));
    CHECK_EQ(head->code + none->code, 0);
    hang_up(h->c);
}

SERVER_TEST(a_large_head_of_an_answer_comes_whole_over_http_2)
{
    struct h2_stream *st = get(w, "/large-head");

    CHECK_STR(buf_str(&st->body), "large");
    CHECK_GT(st->fields.n, 2 * LARGE_FIELD);
}

SERVER_TEST(many_parts_make_one_piece_over_http_2)
{
    struct h2_stream *st = get(w, "/parts");

    CHECK(is_parts(buf_str(&st->body)));
    CHECK_EQ(w->given_back, 1);
}

SERVER_TEST(headers_of_a_connection_do_not_reach_http_2)
{
    struct h2_stream *st = get(w, "/hop");

    CHECK_STR(buf_str(&st->body), "hop");
    CHECK(has_field(st, "content-length=3;"));
    CHECK(has_field(st, "x-mine=yes;"));
    CHECK(has_field(st, "server=mine;"));
    CHECK(!has_field(st, "connection") && !has_field(st, "keep-alive") && !has_field(st, "transfer-encoding"));
}

SERVER_TEST(failures_become_statuses_or_resets)
{
    CHECK_EQ(get(w, "/fail")->status, 502);
    CHECK_EQ(get(w, "/silent")->status, 500);
    CHECK_EQ(get(w, "/bad-header")->status, 400);
    CHECK_EQ(get(w, "/abort")->code, NGHTTP2_INTERNAL_ERROR);
    CHECK_EQ(w->handler_result, E_CANCELLED); /* of its write after that */
    CHECK_EQ(get(w, "/short")->code, NGHTTP2_INTERNAL_ERROR);
    CHECK_EQ(get(w, "/long")->code, NGHTTP2_INTERNAL_ERROR);
    CHECK_EQ(w->handler_result, E_PROTOCOL);
}

/* --- trailer fields --- */

static struct h2_stream *ask_trailers(struct h2 *h, const char *method, const char *query, const struct str *body)
{
    const nghttp2_nv te = nv("te", "trailers");
    struct str path = arena_join(&h->c->world->arena, STR("/trailers?"), str_from_c(query));

    return ask_with(h, method, path.p, body, &te, 1);
}

static bool has_trailers(const struct h2_stream *st)
{
    return str_ends(buf_str(&st->fields), STR("x-sum=1234567;x-note=a b;"));
}

SERVER_TEST(trailer_fields_end_the_stream_over_http_2)
{
    static const struct {
        const char *query;
        size_t n;
    } bodies[] = {{"", 4}, {"empty", 0}, {"many", 4000}, {"large", (4 << 20) + 4}, {"window", 65535}};
    struct h2 *h = h2_dial(w);

    for (unsigned i = 0; i < ARRAY_LEN(bodies); i++) {
        struct h2_stream *st = ask_trailers(h, "GET", bodies[i].query, NULL);
        test_context("%s", bodies[i].query);
        talk(h, i + 1);
        CHECK_EQ(st->body.n, bodies[i].n);
        CHECK(has_field(st, "trailer=X-Sum, x-note;"));
        CHECK(has_trailers(st));
        CHECK_EQ(st->code, 0);
    }
    hang_up(h->c);
}

SERVER_TEST(who_does_not_ask_for_trailer_fields_gets_none_over_http_2)
{
    struct h2 *h = h2_dial(w);
    struct h2_stream *all[] = {ask(h, "GET", "/trailers", NULL), ask_trailers(h, "HEAD", "", NULL),
                               ask_trailers(h, "GET", "none", NULL), ask_trailers(h, "GET", "told", NULL)};

    talk(h, ARRAY_LEN(all));
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        test_context("%zu", i);
        CHECK_EQ(all[i]->status, i == 2 ? 204 : 200);
        CHECK(!has_field(all[i], "trailer") && !has_field(all[i], "x-sum"));
        CHECK_EQ(all[i]->code, 0);
    }
    hang_up(h->c);
}

SERVER_TEST(what_cannot_be_a_trailer_field_is_refused_over_http_2)
{
    static const char *const bad[] = {"framing", "split", "long"};
    struct h2 *h = h2_dial(w);

    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct h2_stream *st = ask_trailers(h, "GET", bad[i], NULL);
        talk(h, i + 1);
        test_context("%s", bad[i]);
        CHECK_EQ(st->code, NGHTTP2_INTERNAL_ERROR);
        CHECK_EQ(w->handler_result, i == 2 ? E_TOO_LARGE : E_PARSE);
    }
    hang_up(h->c);
}

/* Room for so many bytes more, on the connection and on the stream. */
static void widen(struct h2 *h, const struct h2_stream *st, int bytes)
{
    (void)nghttp2_submit_window_update(h->ng, NGHTTP2_FLAG_NONE, 0, bytes);
    (void)nghttp2_submit_window_update(h->ng, NGHTTP2_FLAG_NONE, st->id, bytes);
}

SERVER_TEST(trailer_fields_wait_for_the_window_of_the_body)
{
    struct h2 *h = h2_new(dial_with(w, w->tls_client2), true);
    struct h2_stream *st = ask_trailers(h, "GET", "window", NULL);

    talk_a_while(h);
    CHECK_EQ(st->body.n, 65535);
    CHECK(!st->closed);
    widen(h, st, 1000);
    talk(h, 1);
    CHECK_EQ(st->code, 0);
    CHECK(has_trailers(st));
    hang_up(h->c);
}

SERVER_TEST(trailer_fields_come_though_nobody_read_the_request)
{
    struct h2 *h = h2_dial(w);
    struct str body = str_of(arena_zalloc(&w->arena, 2 << 20), 2 << 20);
    struct h2_stream *st = ask_trailers(h, "POST", "", &body);

    talk(h, 1);
    CHECK_STR(buf_str(&st->body), "body");
    CHECK(has_trailers(st));
    CHECK_EQ(st->code, 0); /* NO_ERROR: the rest is not needed */
    CHECK_LT(h->sent, 1 << 20);
    hang_up(h->c);
}

SERVER_TEST(expect_100_is_answered_over_http_2)
{
    struct h2 *h = h2_dial(w);
    const nghttp2_nv extra = nv("expect", "100-continue");
    struct str body = STR("abc");

    h->hold = true;
    struct h2_stream *st = ask_with(h, "POST", "/echo", &body, &extra, 1);
    while (st->status == 0 && !h->ended) {
        (void)flush(h);
        hear_frames(h);
    }
    CHECK_EQ(st->status, 100);
    CHECK_EQ(h->sent, 0);
    h->hold = false;
    (void)nghttp2_session_resume_data(h->ng, st->id);
    talk(h, 1);
    CHECK_EQ(st->status, 200);
    CHECK_STR(buf_str(&st->body), "abc");
    hang_up(h->c);
}

/* --- flow control --- */

SERVER_TEST(a_client_without_window_holds_its_handler_and_no_other)
{
    struct h2 *h = h2_new(dial_with(w, w->tls_client2), true);
    struct h2_stream *big = ask(h, "GET", "/big", NULL);

    talk_a_while(h);
    CHECK_EQ(big->body.n, 65535);
    CHECK_LE(w->sent, 65536u + 65536u);
    CHECK_EQ(w->ended, 0);
    (void)nghttp2_submit_window_update(h->ng, NGHTTP2_FLAG_NONE, 0, 100000); /* for the connection alone */
    struct h2_stream *small = ask(h, "GET", "/", NULL);
    talk(h, 1);
    CHECK_STR(buf_str(&small->body), "hello");
    CHECK_EQ(big->body.n, 65535);
    (void)nghttp2_submit_window_update(h->ng, NGHTTP2_FLAG_NONE, big->id, 50000);
    talk_a_while(h);
    CHECK_EQ(big->body.n, 65535 + 50000);
    hang_up(h->c);
    CHECK(await_change(&w->ended, 1));
    CHECK_EQ(w->handler_result, E_CANCELLED);
}

SERVER_TEST(the_end_of_an_answer_waits_for_the_window_too)
{
    struct h2 *h = h2_new(dial_with(w, w->tls_client2), true);
    struct h2_stream *st = ask(h, "GET", "/window", NULL);

    talk_a_while(h);
    CHECK_EQ(st->body.n, 65535);
    CHECK(!st->closed);
    widen(h, st, 1000);
    talk(h, 1);
    CHECK_EQ(st->code, 0);
    CHECK(await_change(&w->ended, 0));
    CHECK_EQ(w->handler_result, OK);
    hang_up(h->c);
}

SERVER_TEST(a_client_that_gives_no_window_is_dropped, l->write_gap = 30 * NS_MS)
{
    struct h2 *h = h2_new(dial_with(w, w->tls_client2), true);
    struct h2_stream *big = ask(h, "GET", "/big", NULL);

    talk(h, 1);
    CHECK(big->code != 0);
    CHECK_EQ(w->handler_result, E_CANCELLED);
    hang_up(h->c);
}

SERVER_TEST(a_body_that_is_not_read_is_not_sent)
{
    struct h2 *h = h2_dial(w);
    struct str body = str_of(arena_zalloc(&w->arena, 2 << 20), 2 << 20);
    struct h2_stream *held = ask(h, "POST", "/held", &body);

    talk_a_while(h);
    talk_a_while(h);
    CHECK_EQ(h->sent, 256 * 1024);
    release(w);
    talk(h, 1);
    CHECK_STR(buf_str(&held->body), "released");
    CHECK_EQ(held->code, 0); /* NO_ERROR: the rest is not needed */
    CHECK_LT(h->sent, 1 << 20);
    hang_up(h->c);
}

SERVER_TEST(bodies_that_nobody_reads_do_not_use_up_the_connection)
{
    struct h2 *h = h2_dial(w);
    struct str body = str_of(arena_zalloc(&w->arena, 200000), 200000);

    for (unsigned i = 0; i < 20; i++) {
        struct h2_stream *st = ask(h, "POST", "/", &body);
        talk(h, i + 1);
        CHECK_EQ(st->status, 200);
    }
    struct h2_stream *st = ask(h, "POST", "/echo", &body);
    talk(h, 21);
    CHECK_EQ(st->body.n, 200000);
    hang_up(h->c);
}

SERVER_TEST(large_bodies_are_refused_over_http_2, l->body_bytes = 1000)
{
    struct h2 *h = h2_dial(w);
    struct str body = str_of(arena_zalloc(&w->arena, 2000), 2000), eleven = STR("0123456789x");
    const nghttp2_nv length = nv("content-length", "2000");
    struct h2_stream *told = ask_with(h, "POST", "/echo", &body, &length, 1), *untold = ask(h, "POST", "/echo", &body);
    struct h2_stream *ten = ask(h, "POST", "/ten", &eleven);
    struct h2_stream *unread = ask_with(h, "POST", "/", &body, &length, 1);

    talk(h, 4);
    CHECK_EQ(unread->status, 413);
    CHECK_EQ(told->status, 413);
    CHECK_EQ(untold->status, 413);
    CHECK_EQ(ten->status, 413);
    CHECK_STR(buf_str(&told->body), "[413 POST /echo] the body is too large");
    CHECK_STR(buf_str(&ten->body), "[413 POST /ten] the body is too large");
    CHECK(str_find(buf_str(&told->fields), STR("content-type=text/x-refusal;")) < told->fields.n);
    hang_up(h->c);
}

SERVER_TEST(a_slow_body_is_refused_over_http_2, l->body_gap = 30 * NS_MS)
{
    struct h2 *h = h2_dial(w);

    CHECK(flush(h));
    struct h2_stream *st = &h->streams[h->count++];
    *st = (struct h2_stream){.id = 1, .body = BUF_INIT(1000), .fields = BUF_INIT(1000)};
    CHECK(say_bytes(h->c, frame(w, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, get_block(w, "/echo"))));
    CHECK(await_change(&w->ended, 0));
    CHECK_EQ(w->handler_refusal, 408);
    CHECK_EQ(w->handler_result, E_DEADLINE);
    hang_up(h->c);
}

/* --- leaving --- */

SERVER_TEST(a_reset_stream_cancels_its_handler_and_no_other)
{
    struct h2 *h = h2_dial(w);
    struct h2_stream *held = ask(h, "GET", "/held", NULL);

    CHECK(flush(h));
    CHECK(await_change(&w->begun, 0));
    struct h2_stream *other = ask(h, "GET", "/events", NULL);
    (void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, held->id, NGHTTP2_CANCEL);
    CHECK(flush(h));
    CHECK(await_change(&w->ended, 0));
    CHECK_EQ(w->handler_result, E_CANCELLED);
    talk(h, 2);
    CHECK_STR(buf_str(&other->body), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    hang_up(h->c);
}

SERVER_TEST(a_connection_that_closes_cancels_all_its_handlers)
{
    struct h2 *h = h2_dial(w);

    for (int i = 0; i < 5; i++)
        (void)ask(h, "GET", i % 2 ? "/big" : "/held", NULL);
    CHECK(flush(h));
    while (w->begun < 5)
        settle();
    CHECK_EQ(w->ended, 0);
    hang_up(h->c);
    while (w->ended < 5)
        settle();
    CHECK_EQ(w->handler_result, E_CANCELLED);
}

/* --- hostile clients --- */

/* The server has said GOAWAY with this code, and closed; others are served. */
static void check_cut_off(struct world *w, struct h2 *h, uint32_t code) SUSPENDS;
static void check_cut_off(struct world *w, struct h2 *h, uint32_t code)
{
    struct http_server_stats stats;

    talk_to_end(h);
    CHECK(h->goaway);
    CHECK_EQ(h->goaway_code, code);
    CHECK_EQ(get(w, "/")->status, 200);
    http_server_stats(w->server, &stats);
    CHECK_GE(stats.refused, 1);
}

SERVER_TEST(rapid_resets_are_cut_off)
{
    struct h2 *h = h2_dial(w);
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);

    CHECK(flush(h));
    for (uint32_t id = 1; id < 2 * 400; id += 2) {
        (void)buf_add(&b, frame(w, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
                                get_block(w, "/held")));
        (void)buf_add(&b, frame(w, NGHTTP2_RST_STREAM, 0, id, STR("\0\0\0\x08")));
    }
    (void)say_bytes(h->c, buf_str(&b));
    check_cut_off(w, h, NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK_LE(w->begun, 201);
}

SERVER_TEST(streams_that_a_client_makes_us_reset_are_cut_off)
{
    struct h2 *h = h2_dial(w);
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);

    CHECK(flush(h));
    for (uint32_t id = 1; id < 2 * 400; id += 2) {
        (void)buf_add(&b, frame(w, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
                                get_block(w, "/held")));
        (void)buf_add(&b, frame(w, NGHTTP2_WINDOW_UPDATE, 0, id, STR("\x7f\xff\xff\xff"))); /* overflows its window */
    }
    (void)say_bytes(h->c, buf_str(&b));
    check_cut_off(w, h, NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK_LE(w->begun, 202);
}

SERVER_TEST(resets_beside_many_answers_are_fine)
{
    struct h2 *h = h2_dial(w);
    unsigned closed = 0;

    for (int i = 0; i < 300; i++) {
        (void)ask(h, "GET", "/", NULL);
        talk(h, ++closed);
        struct h2_stream *held = ask(h, "GET", "/held", NULL);
        CHECK(flush(h));
        (void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, held->id, NGHTTP2_CANCEL);
        talk(h, ++closed);
    }
    CHECK(!h->goaway && !h->ended);
    hang_up(h->c);
}

SERVER_TEST(answers_without_a_body_are_answers)
{
    struct h2 *h = h2_dial(w);

    for (unsigned i = 0; i < 300; i++) {
        (void)ask(h, "HEAD", "/", NULL);
        talk(h, i + 1);
    }
    CHECK(!h->goaway && !h->ended);
    hang_up(h->c);
}

SERVER_TEST(streams_over_the_limit_are_refused, l->streams = 3)
{
    struct h2 *h = h2_dial(w);

    CHECK(flush(h));
    for (uint32_t id = 1; id < 8; id += 2)
        CHECK(say_bytes(h->c, frame(w, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
                                    get_block(w, "/held"))));
    while (w->begun < 3)
        settle();
    talk_a_while(h);
    CHECK_EQ(w->begun, 3);
    hang_up(h->c);
}

SERVER_TEST(a_reset_stream_counts_until_its_handler_has_returned, l->streams = 3)
{
    struct h2 *h = h2_dial(w);

    for (int i = 0; i < 3; i++)
        (void)ask(h, "GET", "/stubborn", NULL);
    talk_a_while(h);
    CHECK_EQ(w->begun, 3);
    for (int i = 0; i < 3; i++)
        (void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, h->streams[i].id, NGHTTP2_CANCEL);
    talk(h, 3);
    struct h2_stream *st = ask(h, "GET", "/", NULL);
    talk(h, 4);
    CHECK_EQ(st->code, NGHTTP2_REFUSED_STREAM);
    CHECK_EQ(w->begun, 3);
    while (w->ended < 3)
        settle();
    st = ask(h, "GET", "/", NULL);
    talk(h, 5);
    CHECK_EQ(st->status, 200);
    hang_up(h->c);
}

/* Have the server send until the client, which does not read, has no more room. */
static struct h2 *dial_and_block(struct world *w) SUSPENDS;
static struct h2 *dial_and_block(struct world *w)
{
    const nghttp2_settings_entry wide = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, INT32_MAX};
    struct h2 *h = h2_new(dial_with(w, w->tls_client2), true);

    (void)nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, &wide, 1);
    (void)nghttp2_submit_window_update(h->ng, NGHTTP2_FLAG_NONE, 0, 1 << 30);
    (void)ask(h, "GET", "/big", NULL);
    (void)flush(h);
    for (uint64_t before = 1; before != w->sent || before == 0;) {
        before = w->sent;
        (void)!fiber_sleep_until(rt_now() + 30 * NS_MS);
    }
    return h;
}

SERVER_TEST(a_client_that_does_not_read_is_not_read_either)
{
    struct h2 *h = dial_and_block(w);
    static const uint8_t word[8] = "question";

    CHECK_EQ(w->ended, 0);
    for (int i = 0; i < 400; i++)
        (void)nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, word);
    CHECK(flush(h));
    settle();
    if (loop_seams()->simulated) { /* where buffers between the two are small and known */
        char *bytes = arena_zalloc(&w->arena, 100000);
        size_t taken = 0, n = 1;
        for (int i = 0; i < 20; i++, settle()) {
            struct str data = frame(w, NGHTTP2_DATA, 0, 99, str_of(bytes, 16384));
            struct iovec iov = {(void *)(uintptr_t)data.p, data.n};
            CHECK_OK(conn_try_writev(&h->c->io, &iov, 1, &n));
            taken += n;
        }
        CHECK_LT(taken, 150000);
    }
    hang_up(h->c);
}

SERVER_TEST(reading_goes_on_when_the_client_reads_again)
{
    struct h2 *h = dial_and_block(w);
    static const uint8_t word[8] = "question";

    for (int i = 0; i < 400; i++)
        (void)nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, word);
    CHECK(flush(h));
    settle();
    struct h2_stream *more = ask(h, "GET", "/", NULL);
    talk(h, 2);
    CHECK_EQ(h->pongs, 400);
    CHECK_EQ(h->streams[0].body.n, (size_t)BIG_PIECE * BIG_PIECES);
    CHECK_EQ(more->status, 200);
    hang_up(h->c);
}

static void check_flood(struct world *w, struct str first, struct str again, int times) SUSPENDS;
static void check_flood(struct world *w, struct str first, struct str again, int times)
{
    struct h2 *h = h2_dial(w);
    struct buf b CLEANUP(buf_release) = BUF_INIT(4 << 20);

    CHECK(flush(h));
    (void)buf_add(&b, first);
    for (int i = 0; i < times; i++)
        (void)buf_add(&b, again);
    (void)say_bytes(h->c, buf_str(&b));
    check_cut_off(w, h, NGHTTP2_ENHANCE_YOUR_CALM);
}

SERVER_TEST(continuation_floods_are_cut_off)
{
    struct str head = frame(w, NGHTTP2_HEADERS, 0, 1, get_block(w, "/"));
    struct str field = arena_printf(&w->arena, "%c\x01x\x01y", 0x40);

    check_flood(w, head, frame(w, NGHTTP2_CONTINUATION, 0, 1, field), 1000);
    check_flood(w, head, frame(w, NGHTTP2_CONTINUATION, 0, 1, STR("")), 1000);
    CHECK_EQ(w->begun, 2); /* of the check itself */
}

SERVER_TEST(frames_without_use_are_cut_off)
{
    struct str open = frame(w, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, get_block(w, "/held"));
    struct str nothing = STR("");

    check_flood(w, nothing, frame(w, NGHTTP2_PING, 0, 0, STR("01234567")), 20000);
    check_flood(w, nothing, frame(w, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, STR("01234567")), 20000);
    check_flood(w, nothing, frame(w, NGHTTP2_SETTINGS, 0, 0, nothing), 20000);
    check_flood(w, nothing, frame(w, NGHTTP2_PRIORITY, 0, 1, STR("\0\0\0\0\x10")), 20000);
    check_flood(w, nothing, frame(w, 0xbb, 0, 0, STR("odd")), 20000);
    check_flood(w, open, frame(w, NGHTTP2_WINDOW_UPDATE, 0, 1, STR("\0\0\0\x01")), 20000);
    check_flood(w, open, frame(w, NGHTTP2_DATA, 0, 1, nothing), 20000);
}

SERVER_TEST(large_heads_are_refused_over_http_2, l->head_bytes = 4000, l->head_count = 20)
{
    struct h2 *h = h2_dial(w);
    nghttp2_nv many[21];
    char *large = memset(arena_zalloc(&w->arena, 4001), 'x', 4000);
    const nghttp2_nv one = nv("x-large", large);

    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = nv("x-many", "x");
    struct h2_stream *too_many = ask_with(h, "GET", "/", NULL, many, ARRAY_LEN(many));
    struct h2_stream *too_large = ask_with(h, "GET", "/", NULL, &one, 1);
    struct h2_stream *fine = ask_with(h, "GET", "/", NULL, many, 20);
    talk(h, 3);
    CHECK_EQ(too_large->status, 431);
    CHECK_EQ(too_many->status, 431);
    CHECK_STR(buf_str(&too_large->body), "[431 GET /] the head is too large");
    CHECK_EQ(fine->status, 200);
    CHECK_EQ(w->begun, 1);
    hang_up(h->c);
}

/* A few bytes that unpack to a lot: one large field in the dynamic table, then referred to again and again. */
SERVER_TEST(header_bombs_are_cut_off)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);

    (void)buf_add(&b, get_block(w, "/"));
    (void)buf_addf(&b, "%c\x01x\x7f\x81\x1e", 0x40);
    for (int i = 0; i < 3968; i++)
        (void)buf_add_char(&b, 'x');
    for (int i = 0; i < 8000; i++)
        (void)buf_add_char(&b, (char)0xbe);
    check_flood(w, frame(w, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, buf_str(&b)),
                STR(""), 0);
}

SERVER_TEST(a_malformed_target_is_refused_over_http_2)
{
    struct h2 *h = h2_dial(w);
    struct h2_stream *bad = ask(h, "GET", "/a#b", NULL), *connect;

    talk(h, 1);
    CHECK(bad->status == 400 || bad->code == NGHTTP2_PROTOCOL_ERROR); /* newer versions of nghttp2 see it first */
    connect = ask(h, "GET", "/", NULL);
    talk(h, 2);
    CHECK_EQ(connect->status, 200);
    CHECK_EQ(w->begun, 1);
    hang_up(h->c);
}

SERVER_TEST(garbage_behind_the_preface_is_cut_off)
{
    struct h2 *h = h2_dial(w);

    CHECK(say(h->c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand now for something completely different, at some length"));
    talk_to_end(h);
    CHECK(h->goaway);
    CHECK(h->goaway_code != 0);
}

/* --- time --- */

SERVER_TEST(an_idle_session_is_told_and_closed, l->idle_time = 50 * NS_MS)
{
    struct h2 *h = h2_dial(w);

    (void)ask(h, "GET", "/", NULL);
    talk(h, 1);
    CHECK_EQ(h->streams[0].status, 200);
    talk_to_end(h);
    CHECK(h->goaway);
    CHECK_EQ(h->goaway_code, 0);
}

SERVER_TEST(a_slow_header_block_is_cut_off, l->head_time = 30 * NS_MS)
{
    struct h2 *h = h2_dial(w);

    CHECK(flush(h));
    CHECK(say_bytes(h->c, frame(w, NGHTTP2_HEADERS, 0, 1, get_block(w, "/"))));
    talk_to_end(h);
    CHECK_EQ(w->begun, 0);
}

/* --- the end --- */

SERVER_TEST(draining_tells_sessions_and_answers_their_streams)
{
    struct h2 *h = h2_dial(w), *idle = h2_dial(w);
    struct h2_stream *held = ask(h, "GET", "/held", NULL);

    CHECK(flush(h));
    talk_a_while(idle);
    CHECK(await_change(&w->begun, 0));
    http_server_drain(w->server);
    talk_to_end(idle);
    CHECK(idle->goaway);
    talk_a_while(h);
    CHECK(h->goaway);
    CHECK_EQ(h->goaway_code, 0);
    CHECK(!h->ended);
    release(w);
    talk(h, 1);
    CHECK_STR(buf_str(&held->body), "released");
    talk_to_end(h);
    settle();
    CHECK(!w->running);
    CHECK_EQ(w->result, OK);
}

SERVER_TEST(stopping_cancels_streams)
{
    struct h2 *h = h2_dial(w);

    (void)ask(h, "GET", "/held", NULL);
    (void)ask(h, "GET", "/big", NULL);
    CHECK(flush(h));
    while (w->begun < 2)
        settle();
    stop_server(w);
    CHECK_EQ(w->ended, 2);
    CHECK_EQ(w->handler_result, E_CANCELLED);
    talk_to_end(h);
}

/* --- the guard by itself --- */

/* Feed the preface and `n` frames of this kind, in pieces of `piece` bytes; how many frames were let pass. */
static int let_pass(struct http2_guard *g, uint8_t type, uint8_t flags, uint8_t length, int n, size_t piece)
{
    uint8_t bytes[FRAME_HEAD + 255] = {0, 0, length, type, flags};
    struct str preface = str_of(NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);

    http2_guard_init(g, NS_SEC);
    if (!http2_guard_input(g, preface, NS_SEC))
        return -1;
    for (int i = 0; i < n; i++) {
        struct str rest = str_of((const char *)bytes, FRAME_HEAD + length);
        for (; rest.n > 0; rest = str_slice(rest, piece, rest.n)) {
            if (!http2_guard_input(g, str_slice(rest, 0, piece), NS_SEC))
                return i;
        }
    }
    return n;
}

TEST(the_guard_lets_useful_frames_pass_and_stops_floods)
{
    static const struct {
        uint8_t type, flags, length;
        int most;
    } kinds[] = {
        {NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 50, 5000},
        {NGHTTP2_DATA, 0, 1, 5000},
        {NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 0, 5000},
        {NGHTTP2_DATA, 0, 0, 999},
        {NGHTTP2_CONTINUATION, 0, 100, 8},
        {NGHTTP2_CONTINUATION, 0, 0, 8},
        {NGHTTP2_SETTINGS, 0, 6, 199},
        {NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, 199},
        {NGHTTP2_PING, 0, 8, 999},
        {NGHTTP2_PRIORITY, 0, 5, 999},
        {NGHTTP2_WINDOW_UPDATE, 0, 4, 999},
        {NGHTTP2_RST_STREAM, 0, 4, 999},
        {0xee, 0, 200, 999},
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        for (size_t piece = 1; piece < 300; piece += 1 + piece / 3) {
            struct http2_guard g;
            test_context("kind %zu in pieces of %zu", i, piece);
            CHECK_EQ(let_pass(&g, kinds[i].type, kinds[i].flags, kinds[i].length, 5000, piece), kinds[i].most);
        }
    }
}

TEST(time_and_content_fill_the_purse_of_the_guard)
{
    struct http2_guard g;
    uint8_t ping[FRAME_HEAD + 8] = {0, 0, 8, NGHTTP2_PING};
    struct str in = str_of((const char *)ping, sizeof ping);
    int passed = 0;

    CHECK_EQ(let_pass(&g, NGHTTP2_PING, 0, 8, 999, 20), 999);
    while (http2_guard_input(&g, in, 3 * NS_SEC))
        passed++;
    CHECK_EQ(passed, 100); /* two seconds, 50 in each */
    CHECK_EQ(let_pass(&g, NGHTTP2_PING, 0, 8, 999, 20), 999);
    for (int i = 0; i < 10; i++)
        http2_guard_sent_data(&g);
    passed = 0;
    while (http2_guard_input(&g, in, NS_SEC))
        passed++;
    CHECK_EQ(passed, 30);
    for (int i = 0; i < 100000; i++)
        http2_guard_sent_data(&g);
    passed = 0;
    while (http2_guard_input(&g, in, NS_SEC))
        passed++;
    CHECK_EQ(passed, 999); /* no more than it holds */
}

TEST(streams_without_an_answer_are_counted_in_a_span)
{
    struct http2_guard g;

    http2_guard_init(&g, 0);
    for (int i = 0; i < 200; i++)
        CHECK(http2_guard_stream_ended(&g, false, NS_SEC));
    CHECK(!http2_guard_stream_ended(&g, false, NS_SEC));
    http2_guard_init(&g, 0);
    for (int i = 0; i < 200; i++)
        CHECK(http2_guard_stream_ended(&g, false, NS_SEC));
    CHECK(http2_guard_stream_ended(&g, false, 12 * NS_SEC)); /* a new span */
    http2_guard_init(&g, 0);
    for (int i = 0; i < 300; i++)
        CHECK(http2_guard_stream_ended(&g, true, NS_SEC));
    for (int i = 0; i < 300; i++)
        CHECK(http2_guard_stream_ended(&g, false, NS_SEC));
    CHECK(!http2_guard_stream_ended(&g, false, NS_SEC));
}

/* --- clients at random, in a world where everything goes wrong at times --- */

static const struct {
    const char *method, *path, *body; /* body: sent, if not NULL */
    const char *answer;               /* NULL: any, or none      */
} random_requests[] = {
    {"GET", "/", NULL, "hello"},
    {"POST", "/echo", "body", "body"},
    {"POST", "/relay", "body", "body"},
    {"POST", "/", "unread", "hello"},
    {"GET", "/events", NULL, "data: 0\n\ndata: 1\n\ndata: 2\n\n"},
    {"HEAD", "/", NULL, ""},
    {"GET", "/big", NULL, NULL},
    {"GET", "/held", NULL, NULL},
    {"GET", "/abort", NULL, NULL},
    {"GET", "/fail", NULL, NULL},
};

/* Some streams on one connection; false if an answer was complete and wrong. */
static bool converse(struct h2 *h) SUSPENDS;
static bool converse(struct h2 *h)
{
    struct world *w = h->c->world;
    struct prng *p = &w->prng;
    size_t kinds[8], n = 1 + prng_below(p, ARRAY_LEN(kinds));

    for (size_t i = 0; i < n; i++) {
        kinds[i] = prng_below(p, ARRAY_LEN(random_requests));
        struct str body = str_from_c(random_requests[kinds[i]].body);
        (void)ask(h, random_requests[kinds[i]].method, random_requests[kinds[i]].path, body.p ? &body : NULL);
    }
    if (prng_below(p, 4) == 0) {
        (void)flush(h);
        (void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, h->streams[0].id, NGHTTP2_CANCEL);
    }
    {
        WITHIN(ns_add(rt_now(), (ns_t)prng_below(p, 2000) * NS_MS));
        talk(h, (unsigned)n);
    }
    for (size_t i = 0; i < n; i++) {
        struct h2_stream *st = &h->streams[i];
        const char *answer = random_requests[kinds[i]].answer;
        if (!answer || !st->closed || st->code != 0 || st->status == 408)
            continue;
        if (st->status != 200 || !str_eq(buf_str(&st->body), str_from_c(answer)))
            return false;
        w->good++;
    }
    return true;
}

static err_t random_client(void *arg) SUSPENDS;
static err_t random_client(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < 5; i++) {
        WITHIN(ns_add(rt_now(), 100 * NS_SEC));
        struct h2 *h = h2_dial(w);
        bool right = converse(h);
        hang_up(h->c);
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

static void few_streams(struct http_server_options *o)
{
    o->limits.streams = 5;
}

TEST(what_streams_get_is_right_whatever_goes_wrong)
{
    in_faulty_worlds((struct server_test){crowd, few_streams, false, 0});
}
