/* pipeline_web_test.c - sinks and nodes that speak HTTP, against an API in virtual time: what arrives, what is refused, what is waited for. */
#include "pipe_world.h"

#include "base/map.h"

#define PIPELINE(more, rest) "pipeline: p\n" more "sources:\n  in: {files: {path: /in, follow: false}}\n" rest

enum { LONG = 3600 };

static struct str header(const struct http_request *r, const char *name)
{
    return http_request_header(r, str_from_c(name));
}

/* What came, a line each: "PUT /cases/1 {…}"; of the test that runs. */
static struct buf came;

static void note(const struct http_request *r, struct str body)
{
    CHECK_OK(buf_addf(&came, "%.*s %.*s %.*s\n", STR_ARG(r->head.method), STR_ARG(r->head.target), STR_ARG(body)));
}

static void begin(struct pipe_world *w, answer_fn *answer, int count)
{
    struct buf in CLEANUP(buf_release) = BUF_INIT(1 << 20);

    buf_release(&came);
    came = (struct buf)BUF_INIT(4 << 20);
    for (int i = 1; i <= count; i++)
        CHECK_OK(buf_addf(&in, "{\"n\":%d}\n", i));
    sim_world_put_file(w->sim, "/in", in.p, in.n);
    w->answer = answer;
}

/* ---- one record in a request ---- */

#define PUT_SINK(more) "sinks:\n  api: {from: in, http: {put: 'http://127.0.0.1:8080/cases/{{.n}}'}" more "}\n"

static int accept_all(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    (void)w;
    (void)ret;
    note(r, body);
    return 204;
}

PIPE_TEST(http_sink_puts_each_record_to_its_url, PIPELINE("", PUT_SINK(", concurrency: 1")))
{
    begin(w, accept_all, 3);
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_STR(buf_str(&came), "PUT /cases/1 {\"n\":1}\nPUT /cases/2 {\"n\":2}\nPUT /cases/3 {\"n\":3}\n");
}

static int check_timeout(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    struct str left = header(r, "x-crossdock-timeout");
    uint64_t ms = 0;

    bool is_good = str_ends(left, STR("ms")) && str_to_u64(str_slice(left, 0, left.n - 2), 2000, &ms) && ms > 1500;

    (void)w;
    (void)body;
    (void)ret;
    (void)buf_addf(&came, "%s %.*s;", is_good ? "good" : "bad", STR_ARG(header(r, "x-crossdock-record")));
    return 200;
}

PIPE_TEST(http_sink_tells_what_is_left_of_the_deadline, PIPELINE("deadline: 2s\n", PUT_SINK("")))
{
    begin(w, check_timeout, 1);
    run_for(w, LONG * NS_SEC);
    CHECK(str_starts(buf_str(&came), STR("good ")));
    CHECK_EQ(came.n, 5 + 32 + 1);
}

static ns_t first_asked;

static int come_later(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    (void)ret;
    if (!first_asked) {
        first_asked = rt_now();
        w->reply_header = (struct http_header){STR("retry-after"), STR("7")};
        return 503;
    }
    w->reply_header = (struct http_header){0};
    note(r, body);
    if (rt_now() - first_asked < 7 * NS_SEC)
        return 400;
    return 200;
}

PIPE_TEST(http_sink_is_left_alone_for_as_long_as_it_asks, PIPELINE("", PUT_SINK(", concurrency: 1")))
{
    begin(w, come_later, 2);
    first_asked = 0;
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->stats.emitted, 2);
    CHECK_EQ(w->stats.dead, 0);
}

static int refuse_two(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    (void)w;
    note(r, body);
    *ret = STR("no such case");
    return str_eq(r->head.target, STR("/cases/2")) ? 404 : 200;
}

PIPE_TEST(http_sink_makes_dead_letters_of_what_is_refused_for_good, PIPELINE("", PUT_SINK("")))
{
    begin(w, refuse_two, 3);
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->asked, 3);
    CHECK_EQ(w->stats.emitted, 2);
    CHECK_STR(dead_letters(w), "FORBIDDEN api: PUT was answered with status 404: no such case\n{\"n\":2}\n");
}

static int refuse_credentials_at_first(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    (void)ret;
    note(r, body);
    return w->asked < 3 ? 401 : w->asked < 5 ? 504 : 200;
}

PIPE_TEST(http_sink_waits_where_the_fault_is_not_the_records, PIPELINE("", PUT_SINK("")))
{
    begin(w, refuse_credentials_at_first, 1);
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_EQ(w->asked, 5);
    CHECK_EQ(w->stats.dead, 0);
}

static int hang_at_first(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    (void)ret;
    if (w->asked == 1 && fiber_sleep_until(rt_now() + LONG * NS_SEC) != OK)
        return 0;
    note(r, body);
    return 200;
}

PIPE_TEST(http_sink_gives_up_an_answer_that_does_not_come_and_asks_again, PIPELINE("", PUT_SINK(", budget: 2s")))
{
    ns_t begun = rt_now();
    begin(w, hang_at_first, 1);
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_STR(buf_str(&came), "PUT /cases/1 {\"n\":1}\n");
    CHECK(rt_now() - begun < 5 * NS_SEC);
}

/* ---- a server that heeds Idempotency-Key, and loses answers ---- */

static struct map keys;

static int once_for_each_key(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    struct str key = header(r, "idempotency-key");

    (void)ret;
    if (sim_world_draw(w->sim, 4) == 0)
        return sim_world_draw(w->sim, 2) ? 503 : 409;
    if (!map_get(&keys, key)) {
        (void)map_put(&keys, arena_str(&w->arena, key), w);
        note(r, body);
    }
    return sim_world_draw(w->sim, 4) == 0 ? 0 : 201;
}

PIPE_TEST(http_sink_with_keys_posts_once_however_often_it_is_killed,
          PIPELINE("", "sinks:\n  api: {from: in, http: {post: 'http://127.0.0.1:8080/', idempotency_key: auto}, "
                       "batch: 5}\n"))
{
    enum { COUNT = 200 };

    begin(w, once_for_each_key, COUNT);
    keys = (struct map){0};
    CHECK(run_and_kill(w, 40) > 3);
    map_release(&keys);
    CHECK_EQ(w->result, OK);
    sim_world_put_file(w->sim, "/came", came.p, came.n);
    CHECK_EQ(count_in(w, "/came", "\n"), COUNT);
    for (int i = 1; i <= COUNT; i++)
        CHECK_EQ(count_in(w, "/came", arena_printf(&w->arena, " {\"n\":%d}\n%c", i, 0).p), 1);
}

/* ---- batches ---- */

static int take_arrays(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    (void)w;
    (void)ret;
    if (str_find(body, STR("{\"n\":3}")) < body.n)
        return 422;
    note(r, body);
    return 200;
}

PIPE_TEST(http_sink_sends_batches_and_finds_the_record_that_is_to_blame,
          PIPELINE("",
                   "sinks:\n  api: {from: in, http: {post: 'http://127.0.0.1:8080/', send: array}, batch: 8, effect: "
                   "at_least_once}\n"))
{
    begin(w, take_arrays, 5);
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_EQ(w->stats.emitted, 4);
    CHECK_EQ(w->stats.dead, 1);
    sim_world_put_file(w->sim, "/came", came.p, came.n);
    for (int i = 1; i <= 5; i++)
        CHECK_EQ(count_in(w, "/came", arena_printf(&w->arena, "{\"n\":%d}%c", i, 0).p), i != 3);
    CHECK(count_in(w, "/came", "]\n") == count_in(w, "/came", "["));
}

static int take_lines(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    (void)w;
    (void)ret;
    note(r, body);
    return str_eq(header(r, "content-type"), STR("application/x-ndjson")) ? 200 : 415;
}

PIPE_TEST(http_sink_sends_batches_as_lines,
          PIPELINE("",
                   "sinks:\n  api: {from: in, http: {put: 'http://127.0.0.1:8080/', send: lines, body: .n}, effect: "
                   "at_least_once}\n"))
{
    begin(w, take_lines, 3);
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->stats.dead, 0);
    CHECK_EQ(w->stats.emitted, 3);
    CHECK(str_ends(buf_str(&came), STR("3\n\n")));
}

/* ---- nodes ---- */

static int busy_at_first(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    (void)body;
    if (w->asked == 1) {
        first_asked = rt_now();
        w->reply_header = (struct http_header){STR("retry-after"), STR("9")};
        return 429;
    }
    w->reply_header = (struct http_header){0};
    *ret = arena_printf(r->arena, "%lld", (long long)((rt_now() - first_asked) / NS_SEC));
    return 200;
}

PIPE_TEST(http_node_asks_again_when_it_was_told_to,
          PIPELINE("", "nodes:\n  ask: {from: in, http: 'http://127.0.0.1:8080/', retry: {max: 3, on: [429]}}\n"
                       "sinks:\n  out: {from: ask, file: /out}\n"))
{
    begin(w, busy_at_first, 1);
    run_for(w, LONG * NS_SEC);
    CHECK_STR(file(w, "/out"), "9\n");
}
