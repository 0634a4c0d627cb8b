/* redis_pipeline_test.c - pipelines to and from a real Redis, in processes that are killed, and with a server that is. */
#include "brokers/pipelines.h"
#include "brokers/redis_server.h"
#include "client/redis.h"

static struct server server;

static PRINTF_LIKE(1, 2) void write_pipeline(const char *fmt, ...)
{
    char file[4096];
    va_list values;

    int n = snprintf(file, sizeof file,
                     "version: 1\ndelivery: exactly_once\njournal: sync\n"
                     "connections: {redis: {url: \"redis://127.0.0.1:%u/2\"}}\n",
                     server.port);
    va_start(values, fmt);
    (void)vsnprintf(file + n, sizeof file - (size_t)n, fmt, values);
    va_end(values);
    write_file(trial.folder, "p.yaml", file);
}

/* ---- one command after the other ---- */

struct body {
    void (*run)(struct redis_session *s, struct arena *a);
};

static err_t body_main(void *arg)
{
    struct body *b = arg;
    struct redis_options o = {.at = {.host = STR("127.0.0.1"), .port = server.port}, .database = 2};
    struct redis_session *s = redis_session_new(&o);
    struct arena a = {.max = 64 << 20};

    b->run(s, &a);
    redis_session_free(s);
    arena_release(&a);
    dns_drain();
    iobuf_drain();
    return OK;
}

static void with_redis(void (*run)(struct redis_session *s, struct arena *a))
{
    struct body b = {run};

    workers_start(1);
    err_t e = loop_run(&(struct loop_options){0}, body_main, &b);
    workers_stop();
    CHECK_OK(e);
}

#define WORDS(...) ((struct str[]){__VA_ARGS__}), sizeof((struct str[]){__VA_ARGS__}) / sizeof(struct str)
#define DO(reply, ...)                                                                                                 \
    do {                                                                                                               \
        struct str words_[] = {__VA_ARGS__};                                                                           \
        CHECK_OK(redis_session_do(s, words_, ARRAY_LEN(words_), a, reply));                                            \
    } while (0)

static bool begin(void)
{
    if (!is_installed("redis-server")) {
        test_skip("redis-server is not installed");
        return false;
    }
    server_init(&server);
    begin_trial();
    if (redis_start(&server))
        return true;
    test_fail_(__FILE__, __LINE__, "redis-server did not start");
    return false;
}

static void end(void)
{
    server_release(&server);
    remove_trial();
}

/* ---- sinks ---- */

enum { NUMBERS = 60 };

/* Entries 1, 2, 3 … of the stream of odd and of that of even numbers. */
static void look_at_streams(struct redis_session *s, struct arena *a)
{
    struct resp reply;

    for (unsigned parity = 0; parity < 2; parity++) {
        DO(&reply, STR("XRANGE"), parity ? STR("{n}:1") : STR("{n}:0"), STR("-"), STR("+"));
        CHECK_EQ(reply.count, NUMBERS / 2);
        for (unsigned i = 0; i < reply.count; i++) {
            const struct resp *fields = &reply.items[i].items[1];
            char want[32];
            (void)snprintf(want, sizeof want, "{\"n\":%u}", 2 * i + 2 - parity);
            CHECK_EQ(fields->count, 4);
            CHECK_STR(fields->items[0].text, "id");
            CHECK_EQ(fields->items[1].text.n, 32);
            CHECK_STR(fields->items[3].text, want);
        }
    }
    DO(&reply, STR("HGET"), STR("crossdock:emit:{n}:writer/out/0"), STR("number"));
    CHECK_EQ(reply.kind, RESP_BULK);
}

static void write_stream_pipeline(unsigned batch)
{
    write_pipeline("pipeline: writer\n"
                   "sources: {in: {files: {path: %s/in.ndjson, follow: false}}}\n"
                   "sinks: {out: {from: in, batch: %u, redis: {key: '{n}:{{.n %% 2}}'}}}\n",
                   trial.folder, batch);
    write_numbers(trial.folder, "in.ndjson", NUMBERS);
}

TEST(redis_entries_are_there_once_though_their_writer_was_killed_at_every_wait)
{
    if (begin()) {
        write_stream_pipeline(7);
        CHECK_GT(pipeline_kill_everywhere(&trial), 20);
        with_redis(look_at_streams);
    }
    end();
}

TEST(redis_entries_are_there_once_though_the_server_was_killed_under_their_writer)
{
    int status = 0;

    if (begin()) {
        write_stream_pipeline(1);
        pid_t child = fork();
        if (child == 0)
            _exit(pipeline_try(&trial));
        for (unsigned i = 0; i < 3; i++) {
            server_kill(&server);
            CHECK(redis_start(&server));
        }
        (void)waitpid(child, &status, 0);
        for (unsigned i = 0; WEXITSTATUS(status) != PIPELINE_ENDED && i < 3;
             i++) /* it was down when the sink was opened */
            status = pipeline_try(&trial) << 8;
        CHECK_EQ(WEXITSTATUS(status), PIPELINE_ENDED);
        with_redis(look_at_streams);
    }
    end();
}

static void make_wrong_key(struct redis_session *s, struct arena *a)
{
    struct resp reply;

    DO(&reply, STR("SET"), STR("list:1"), STR("a text"));
}

static void look_at_lists(struct redis_session *s, struct arena *a)
{
    struct resp reply;

    DO(&reply, STR("GET"), STR("list:1"));
    CHECK_STR(reply.text, "a text");
    DO(&reply, STR("LRANGE"), STR("list:0"), STR("0"), STR("-1"));
    CHECK_EQ(reply.count, 2);
    CHECK_STR(reply.items[0].text, "{\"n\":2}");
    CHECK_STR(reply.items[1].text, "{\"n\":4}");
    DO(&reply, STR("GET"), STR("last"));
    CHECK_STR(reply.text, "{\"n\":4}");
    DO(&reply, STR("PTTL"), STR("last"));
    CHECK_GT(reply.integer, 0);
    CHECK_LE(reply.integer, 3600000);
}

TEST(redis_lists_and_strings_get_records_and_keys_of_another_type_refuse_only_theirs)
{
    if (begin()) {
        with_redis(make_wrong_key);
        write_pipeline("pipeline: forms\n"
                       "sources: {in: {files: {path: %s/in.ndjson, follow: false}}}\n"
                       "sinks:\n"
                       "  lists: {from: in, redis: {key: 'list:{{.n %% 2}}', as: list}}\n"
                       "  last: {from: in, redis: {key: last, as: string, expires: 1h}}\n",
                       trial.folder);
        write_numbers(trial.folder, "in.ndjson", 4);
        CHECK_EQ(pipeline_try(&trial), PIPELINE_ENDED);
        with_redis(look_at_lists);
    }
    end();
}

/* ---- sources ---- */

enum { ENTRIES = 520 }; /* more than a batch */

static void fill_stream(struct redis_session *s, struct arena *a)
{
    struct resp reply;

    for (unsigned i = 1; i <= ENTRIES; i++)
        DO(&reply, STR("XADD"), STR("in"), STR("*"), STR("key"), STR("k"), STR("body"),
           arena_printf(a, "{\"n\":%u}", i));
}

static void look_whether_all_is_acknowledged(struct redis_session *s, struct arena *a)
{
    struct resp reply;

    DO(&reply, STR("XPENDING"), STR("in"), STR("reader"));
    CHECK_EQ(reply.items[0].integer, 0);
    DO(&reply, STR("XLEN"), STR("in"));
    CHECK_EQ(reply.integer, ENTRIES);
}

static void write_reader(const char *rest)
{
    write_pipeline("pipeline: reader\n"
                   "sources: {in: {redis: {stream: in%s}}}\n"
                   "sinks: {out: {from: in, batch: 200, file: %s/out.ndjson}}\n",
                   rest, trial.folder);
}

TEST(redis_stream_is_read_once_though_its_reader_was_killed_at_every_wait)
{
    if (begin()) {
        with_redis(fill_stream);
        write_reader("");
        lines_wanted = ENTRIES;
        trial.is_over = has_lines;
        CHECK_GT(pipeline_kill_everywhere(&trial), 10);
        trial.kill_at = 0;
        run_until_lines(ENTRIES); /* and once more, for what would come again */
        check_lines(ENTRIES);
        with_redis(look_whether_all_is_acknowledged);
    }
    end();
}

/* Entries that a consumer has read which will never acknowledge them. */
static void leave_pending(struct redis_session *s, struct arena *a)
{
    struct resp reply;

    DO(&reply, STR("XGROUP"), STR("CREATE"), STR("in"), STR("reader"), STR("0"), STR("MKSTREAM"));
    DO(&reply, STR("XADD"), STR("in"), STR("1000-1"), STR("body"), STR("{\"n\":1}"));
    DO(&reply, STR("XREADGROUP"), STR("GROUP"), STR("reader"), STR("gone"), STR("STREAMS"), STR("in"), STR(">"));
}

static void add_fields(struct redis_session *s, struct arena *a)
{
    struct resp reply;

    DO(&reply, STR("XADD"), STR("in"), STR("*"), STR("n"), STR("it's \"2\""));
}

TEST(redis_entries_that_another_consumer_has_left_are_claimed_and_fields_make_an_object)
{
    char path[80], line[80] = "";

    if (begin()) {
        with_redis(leave_pending);
        write_reader(", claim_after: 1s");
        run_until_lines(1);
        check_lines(1);
        with_redis(add_fields);
        write_pipeline("pipeline: reader\n"
                       "sources: {in: {redis: {stream: in, group: other}}}\n"
                       "nodes: {two: {from: in, filter: '.n != 1'}}\n"
                       "sinks: {out: {from: two, file: %s/fields.ndjson}}\n",
                       trial.folder);
        trial.is_over = NULL;
        (void)snprintf(path, sizeof path, "%s/fields.ndjson", trial.folder);
        pid_t child = fork();
        if (child == 0)
            _exit(pipeline_try(&trial));
        for (unsigned tries = 0; tries < 3000 && !line[0]; tries++) {
            FILE *f = fopen(path, "r");
            if (f && !fgets(line, sizeof line, f))
                line[0] = '\0';
            if (f)
                (void)fclose(f);
            (void)poll(NULL, 0, 5);
        }
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        CHECK_STR(str_from_c(line), "{\"n\":\"it's \\\"2\\\"\"}\n");
    }
    end();
}
