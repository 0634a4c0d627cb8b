/* nats_test.c - the NATS client, and pipelines to and from JetStream, against a real server. */
#include "brokers/pipelines.h"
#include "client/nats.h"

static struct server server;

/* ---- the server ---- */

static bool nats_start(void)
{
    char *argv[] = {"nats-server", "-js", "-sd", server.folder, "-a", "127.0.0.1", "-p", server.port_text, NULL};

    return server_start(&server, "Server is ready", argv);
}

static bool begin(void)
{
    if (!is_installed("nats-server")) {
        test_skip("nats-server is not installed");
        return false;
    }
    server_init(&server);
    begin_trial();
    if (nats_start())
        return true;
    test_fail_(__FILE__, __LINE__, "nats-server did not start");
    return false;
}

static void end(void)
{
    server_release(&server);
    remove_trial();
}

struct body {
    void (*run)(struct nats *n, struct arena *a);
};

static struct nats *connect_nats(void)
{
    return nats_new(&(struct nats_options){.at = {.host = STR("127.0.0.1"), .port = server.port}});
}

static err_t body_main(void *arg)
{
    struct body *b = arg;
    struct nats *n = connect_nats();
    struct arena a = {.max = 64 << 20};

    {
        WITHIN(ns_add(rt_now(), 60 * NS_SEC));
        b->run(n, &a);
    }
    nats_free(n);
    arena_release(&a);
    dns_drain();
    iobuf_drain();
    return OK;
}

static void with_nats(void (*run)(struct nats *n, struct arena *a))
{
    struct body b = {run};

    workers_start(1);
    err_t e = loop_run(&(struct loop_options){0}, body_main, &b);
    workers_stop();
    CHECK_OK(e);
}

#define NATS_TEST(test_name)                                                                                           \
    static void in_##test_name(struct nats *n, struct arena *a);                                                       \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        if (begin())                                                                                                   \
            with_nats(in_##test_name);                                                                                 \
        end();                                                                                                         \
    }                                                                                                                  \
    static void in_##test_name(struct nats *n, struct arena *a)

/* Streams and consumers are made by requests like any other; their answers are not waited for, but what they make is. */
static void make_stream(struct nats *n, struct arena *a, const char *name, const char *subjects)
{
    uint64_t last = 0;
    err_t e;

    CHECK_OK(
        nats_publish(n, arena_printf(a, "$JS.API.STREAM.CREATE.%s", name), STR_NONE,
                     arena_printf(a, "{\"name\":\"%s\",\"subjects\":[\"%s\"],\"storage\":\"file\"}", name, subjects)));
    do
        e = nats_last_sequence(n, str_from_c(name), a, &last);
    while (e == E_NOT_FOUND);
    CHECK_OK(e);
}

/* ---- the client ---- */

NATS_TEST(nats_messages_are_stored_only_behind_the_one_that_is_expected)
{
    struct nats_stored stored = {0};
    struct nats_found found = {0};
    struct str stream;

    make_stream(n, a, "S", "s.>");
    CHECK_OK(nats_stream_of(n, STR("s.a"), a, &stream));
    CHECK_STR(stream, "S");
    CHECK_ERR(nats_stream_of(n, STR("other"), a, &stream), E_NOT_FOUND);
    CHECK_ERR(nats_last_of(n, STR("S"), STR("s.a"), a, &found), E_NOT_FOUND);
    CHECK_OK(nats_store(n, STR("s.a"), STR("id-1"), 0, STR("one"), a, &stored));
    CHECK_EQ(stored.sequence, 1);
    CHECK_STR(stored.stream, "S");
    CHECK_OK(nats_store(n, STR("s.b"), STR("id-2"), 0, STR("two"), a, &stored));
    CHECK_ERR(nats_store(n, STR("s.a"), STR("id-3"), 0, STR("three"), a, &stored), E_CONFLICT);
    CHECK_OK(nats_store(n, STR("s.a"), STR("id-3"), 1, STR("three"), a, &stored));
    CHECK_EQ(stored.sequence, 3);
    CHECK_OK(nats_last_of(n, STR("S"), STR("s.a"), a, &found));
    CHECK_EQ(found.sequence, 3);
    CHECK_STR(nats_header(found.headers, STR("Nats-Msg-Id")), "id-3");
    CHECK_OK(nats_next_of(n, STR("S"), STR(">"), 2, a, &found));
    CHECK_EQ(found.sequence, 2);
    CHECK_STR(found.subject, "s.b");
    CHECK_ERR(nats_next_of(n, STR("S"), STR(">"), 4, a, &found), E_NOT_FOUND);
    CHECK_ERR(nats_store(n, STR("nowhere"), STR("id"), 0, STR(""), a, &stored), E_AGAIN);
}

NATS_TEST(nats_consumer_gets_what_is_not_acknowledged_again)
{
    const struct nats_consumer c = {.stream = STR("S"), .durable = STR("d"), .subject = STR("s.x")};
    struct nats_consumer_state state = {0};
    struct nats_message got[4];
    struct nats_stored stored;
    size_t count = 0;
    uint64_t sequence = 0;
    int64_t at = 0;

    CHECK_ERR(nats_consumer_open(n, &c, a, &state), E_NOT_FOUND);
    make_stream(n, a, "S", "s.>");
    CHECK_OK(nats_publish(n, STR("$JS.API.CONSUMER.DURABLE.CREATE.S.d"), STR_NONE,
                          STR("{\"stream_name\":\"S\",\"config\":{\"durable_name\":\"d\",\"filter_subject\":\"s.x\","
                              "\"ack_policy\":\"explicit\",\"ack_wait\":20000000}}")));
    CHECK_OK(nats_store(n, STR("s.y"), STR("1"), 0, STR("not this"), a, &stored));
    CHECK_OK(nats_store(n, STR("s.x"), STR("2"), 0, STR("one"), a, &stored));
    CHECK_OK(nats_store(n, STR("s.x"), STR("3"), 2, STR("two"), a, &stored));
    CHECK_OK(nats_fetch(n, &c, 4, NS_SEC, a, got, &count));
    CHECK_EQ(count, 2);
    CHECK_STR(got[1].payload, "two");
    CHECK_STR(got[1].subject, "s.x");
    CHECK_OK(nats_origin(got[1].reply, &sequence, &at));
    CHECK_EQ(sequence, 3);
    CHECK_LE(at, rt_wall() + NS_SEC);
    CHECK_GE(at, rt_wall() - 60 * NS_SEC);
    CHECK_OK(nats_acknowledge(n, &got[1].reply, 1));
    CHECK_OK(nats_consumer_open(n, &c, a, &state));
    CHECK_EQ(state.pending, 1);
    CHECK_EQ(state.ack_wait, 20 * NS_MS);
    CHECK_OK(nats_fetch(n, &c, 4, 10 * NS_SEC, a, got, &count)); /* waits until its time is over */
    CHECK_EQ(count, 1);
    CHECK_STR(got[0].payload, "one");
    CHECK_OK(nats_acknowledge(n, &got[0].reply, 1));
    CHECK_OK(nats_fetch(n, &c, 4, 10 * NS_MS, a, got, &count));
    CHECK_EQ(count, 0);
}

NATS_TEST(nats_is_found_again_after_it_was_restarted)
{
    struct nats_stored stored = {0};
    err_t e;

    make_stream(n, a, "S", "s");
    CHECK_OK(nats_store(n, STR("s"), STR("1"), 0, STR("one"), a, &stored));
    server_kill(&server);
    e = nats_store(n, STR("s"), STR("2"), 1, STR("two"), a, &stored);
    CHECK_MSG(e == E_EOF || e == E_REFUSED || e == E_IO, "%s", err_detail(e));
    CHECK(nats_start());
    do
        e = nats_store(n, STR("s"), STR("2"), 1, STR("two"), a, &stored);
    while (e == E_AGAIN || e == E_EOF || e == E_IO || e == E_REFUSED);
    CHECK_OK(e);
    CHECK_EQ(stored.sequence, 2);
}

/* ---- pipelines ---- */

enum { NUMBERS = 60, MESSAGES = 520 };

static PRINTF_LIKE(1, 2) void write_pipeline(const char *fmt, ...)
{
    char file[4096];
    va_list values;

    int n = snprintf(file, sizeof file,
                     "version: 1\ndelivery: exactly_once\njournal: sync\n"
                     "connections: {nats: {url: \"nats://127.0.0.1:%u\"}}\n",
                     server.port);
    va_start(values, fmt);
    (void)vsnprintf(file + n, sizeof file - (size_t)n, fmt, values);
    va_end(values);
    write_file(trial.folder, "p.yaml", file);
}

static void make_numbers(struct nats *n, struct arena *a)
{
    make_stream(n, a, "NUMBERS", "numbers.*");
}

static void look_at_numbers(struct nats *n, struct arena *a)
{
    const struct nats_consumer c = {.stream = STR("NUMBERS"), .durable = STR("look")};
    struct nats_consumer_state state;
    struct nats_message *got = arena_alloc(a, 4 * NUMBERS * sizeof *got);
    unsigned next[2] = {2, 1};
    size_t count = 0;

    CHECK_OK(nats_consumer_open(n, &c, a, &state));
    CHECK_OK(nats_fetch(n, &c, 4 * NUMBERS, NS_SEC, a, got, &count));
    CHECK_EQ(count, NUMBERS);
    for (size_t i = 0; i < count; i++) {
        char want[32];
        unsigned parity = got[i].subject.p[got[i].subject.n - 1] == '1';
        (void)snprintf(want, sizeof want, "{\"n\":%u}", next[parity]);
        CHECK_STR(got[i].payload, want);
        next[parity] += 2;
    }
}

static void write_sink_pipeline(unsigned batch)
{
    write_pipeline("pipeline: writer\n"
                   "sources: {in: {files: {path: %s/in.ndjson, follow: false}}}\n"
                   "sinks: {out: {from: in, batch: %u, nats: {subject: 'numbers.{{.n %% 2}}'}}}\n",
                   trial.folder, batch);
    write_numbers(trial.folder, "in.ndjson", NUMBERS);
}

TEST(nats_messages_are_there_once_though_their_writer_was_killed_at_every_wait)
{
    if (begin()) {
        with_nats(make_numbers);
        write_sink_pipeline(7);
        CHECK_GT(pipeline_kill_everywhere(&trial), 20);
        with_nats(look_at_numbers);
    }
    end();
}

TEST(nats_messages_are_there_once_though_the_server_was_killed_under_their_writer)
{
    int status = 0;

    if (begin()) {
        with_nats(make_numbers);
        write_sink_pipeline(3);
        pid_t child = fork();
        if (child == 0)
            _exit(pipeline_try(&trial));
        for (unsigned i = 0; i < 3; i++) {
            server_kill(&server);
            CHECK(nats_start());
        }
        (void)waitpid(child, &status, 0);
        CHECK_EQ(WEXITSTATUS(status), PIPELINE_ENDED);
        with_nats(look_at_numbers);
    }
    end();
}

static void fill_stream(struct nats *n, struct arena *a)
{
    struct nats_stored stored = {0};

    make_stream(n, a, "IN", "in");
    CHECK_OK(nats_publish(n, STR("$JS.API.CONSUMER.DURABLE.CREATE.IN.reader"), STR_NONE,
                          STR("{\"stream_name\":\"IN\",\"config\":{\"durable_name\":\"reader\","
                              "\"ack_policy\":\"explicit\",\"ack_wait\":50000000}}")));
    for (unsigned i = 1; i <= MESSAGES; i++)
        CHECK_OK(
            nats_store(n, STR("in"), arena_printf(a, "%u", i), i - 1, arena_printf(a, "{\"n\":%u}", i), a, &stored));
}

static void look_whether_all_is_acknowledged(struct nats *n, struct arena *a)
{
    const struct nats_consumer c = {.stream = STR("IN"), .durable = STR("reader")};
    struct nats_consumer_state state = {0};

    CHECK_OK(nats_consumer_open(n, &c, a, &state));
    CHECK_EQ(state.pending, 0);
}

TEST(nats_stream_is_read_once_though_its_reader_was_killed_at_every_wait)
{
    if (begin()) {
        with_nats(fill_stream);
        write_pipeline("pipeline: reader\n"
                       "sources: {in: {nats: {stream: IN}}}\n"
                       "sinks: {out: {from: in, batch: 200, file: %s/out.ndjson}}\n",
                       trial.folder);
        lines_wanted = MESSAGES;
        trial.is_over = has_lines;
        CHECK_GT(pipeline_kill_everywhere(&trial), 10);
        trial.kill_at = 0;
        run_until_lines(MESSAGES); /* and once more, for what would come again */
        check_lines(MESSAGES);
        with_nats(look_whether_all_is_acknowledged);
    }
    end();
}
