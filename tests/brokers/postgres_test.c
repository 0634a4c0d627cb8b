/* postgres_test.c - the PostgreSQL client, and pipelines to and from PostgreSQL, against a real server. */
#include "brokers/postgres_server.h"

#include "brokers/pipelines.h"
#include "client/postgres.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/kind.h"

static struct postgres_server server;
static char url[128];

__attribute__((destructor)) static void stop_server(void)
{
    server_release(&server.server);
}

/* ---- in a loop, with a connection ---- */

struct body {
    void (*run)(struct postgres *db, struct arena *a);
};

static err_t body_main(void *arg)
{
    struct body *b = arg;
    struct postgres *db = postgres_new(&(struct postgres_options){.url = str_from_c(url), .user = STR("postgres")});
    struct arena a;

    arena_init(&a, 64 << 20);
    {
        WITHIN(ns_add(rt_now(), 60 * NS_SEC));
        b->run(db, &a);
    }
    postgres_free(db);
    arena_release(&a);
    dns_drain();
    iobuf_drain();
    return OK;
}

static void with_connection(void (*run)(struct postgres *db, struct arena *a))
{
    struct body b = {run};

    workers_start(2);
    err_t e = loop_run(&(struct loop_options){0}, body_main, &b);
    workers_stop();
    CHECK_OK(e);
}

static err_t make_database(void *arg)
{
    char sql[128];
    struct arena a CLEANUP(arena_release) = {.max = 1 << 20};

    (void)snprintf(url, sizeof url, "postgres://127.0.0.1:%u/postgres", server.server.port);
    struct postgres *db = postgres_new(&(struct postgres_options){.url = str_from_c(url), .user = STR("postgres")});
    (void)snprintf(sql, sizeof sql, "create database \"%s\"", (const char *)arg);
    err_t e = postgres_do(db, str_from_c(sql), NULL, 0, &a, NULL);
    postgres_free(db);
    dns_drain();
    (void)snprintf(url, sizeof url, "postgres://127.0.0.1:%u/%s", server.server.port, (const char *)arg);
    return e;
}

/* A database of the test's own. */
static bool has_database(const char *name)
{
    if (!postgres_have(&server))
        return false;
    workers_start(2);
    err_t e = loop_run(&(struct loop_options){0}, make_database, (void *)(uintptr_t)name);
    workers_stop();
    if (e != OK)
        test_fail_(__FILE__, __LINE__, "%s", err_detail(e));
    return e == OK;
}

#define POSTGRES_TEST(test_name)                                                                                       \
    static void in_##test_name(struct postgres *db, struct arena *a);                                                  \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        if (has_database(#test_name))                                                                                  \
            with_connection(in_##test_name);                                                                           \
    }                                                                                                                  \
    static void in_##test_name(struct postgres *db, struct arena *a)

#define VALUES(...) ((struct str[]){__VA_ARGS__}), sizeof((struct str[]){__VA_ARGS__}) / sizeof(struct str)
#define DO(sql) postgres_do(db, STR(sql), NULL, 0, a, NULL)

/* ---- the client ---- */

POSTGRES_TEST(postgres_values_and_nulls_go_and_come_as_they_are)
{
    struct postgres_rows rows = {0};

    CHECK_OK(DO("create table t (id bigint primary key, body jsonb, word text)"));
    CHECK_OK(postgres_do(db, STR("insert into t values ($1, $2, $3), ($4, null, '')"),
                         VALUES(STR("7"), STR("{\"a\": [1]}"), STR("it's \"this\"\n\\"), STR("9")), a, &rows));
    CHECK_EQ(rows.changed, 2);
    CHECK_OK(postgres_do(db, STR("select id, body->'a', word from t order by id"), NULL, 0, a, &rows));
    CHECK_EQ(rows.rows, 2);
    CHECK_EQ(rows.columns, 3);
    CHECK_STR(rows.cells[0], "7");
    CHECK_STR(rows.cells[1], "[1]");
    CHECK_STR(rows.cells[2], "it's \"this\"\n\\");
    CHECK(!rows.cells[4].p);
    CHECK(rows.cells[5].p);
    CHECK_EQ(rows.cells[5].n, 0);
}

POSTGRES_TEST(postgres_errors_say_what_the_caller_can_do)
{
    CHECK_OK(DO("create table t (id bigint primary key)"));
    CHECK_OK(DO("insert into t values (1)"));
    CHECK_ERR(DO("insert into t values (1)"), E_CONFLICT);
    CHECK_ERR(postgres_do(db, STR("insert into t values ($1)"), VALUES(STR("one")), a, NULL), E_CONFLICT);
    CHECK_ERR(postgres_do(db, STR("insert into t values ($1)"), VALUES(STR("1\0")), a, NULL), E_CONFLICT);
    CHECK_ERR(DO("select * from nothing"), E_CONFIG);
    CHECK_ERR(DO("nonsense"), E_CONFIG);
    CHECK_OK(DO("begin"));
    CHECK_OK(DO("insert into t values (2)"));
    CHECK_ERR(DO("insert into t values (1)"), E_CONFLICT);
    postgres_rollback(db);
    struct postgres_rows rows = {0};
    CHECK_OK(postgres_do(db, STR("select id from t"), NULL, 0, a, &rows));
    CHECK_EQ(rows.rows, 1);
    CHECK_EQ(postgres_connections(db), 1);
}

POSTGRES_TEST(postgres_refuses_by_name_what_it_cannot_be_asked_for)
{
    static const struct {
        const char *tail;
        err_t want;
    } cases[] = {{"nowhere", E_CONFIG},
                 {"postgres?sslmode=prefer", E_CONFIG},
                 {"postgres?host=x", E_CONFIG},
                 {"postgres?sslmode=require", E_TLS}};

    (void)db;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str at = arena_printf(a, "postgres://localhost:%u/%s", server.server.port, cases[i].tail);
        struct postgres *other = postgres_new(&(struct postgres_options){.url = at, .user = STR("postgres")});
        err_t e = postgres_do(other, STR("select 1"), NULL, 0, a, NULL);
        postgres_free(other);
        CHECK_ERR(e, cases[i].want);
    }
    struct str at = arena_printf(a, "postgres://127.0.0.1:%u/postgres", free_port());
    struct postgres *other = postgres_new(&(struct postgres_options){.url = at});
    err_t e = postgres_do(other, STR("select 1"), NULL, 0, a, NULL);
    postgres_free(other);
    CHECK_ERR(e, E_REFUSED);
}

POSTGRES_TEST(postgres_statement_ends_with_its_fiber)
{
    struct postgres_rows rows = {0};
    struct postgres *other = postgres_new(&(struct postgres_options){.url = str_from_c(url), .user = STR("postgres")});
    err_t e;

    CHECK_OK(DO("create table t (id bigint)"));
    CHECK_OK(DO("begin"));
    CHECK_OK(DO("lock table t"));
    {
        WITHIN(ns_add(rt_now(), 100 * NS_MS));
        e = DO("select pg_sleep(1000)");
    }
    CHECK_ERR(e, E_DEADLINE);
    /* The lock is free again only if the server has given the statement up. */
    e = postgres_do(other, STR("insert into t values (1)"), NULL, 0, a, NULL);
    postgres_free(other);
    CHECK_OK(e);
    CHECK_OK(postgres_do(db, STR("select id from t"), NULL, 0, a, &rows));
    CHECK_EQ(rows.rows, 1);
    CHECK_EQ(postgres_connections(db), 2);
}

POSTGRES_TEST(postgres_answers_of_megabytes_are_read_whole_or_refused)
{
    struct postgres_rows rows = {0};
    struct arena small CLEANUP(arena_release) = {.max = 1 << 20};

    CHECK_OK(postgres_do(db, STR("select repeat('x', 1000000) from generate_series(1, 20)"), NULL, 0, a, &rows));
    CHECK_EQ(rows.rows, 20);
    CHECK_EQ(rows.cells[19].n, 1000000);
    CHECK_ERR(postgres_do(db, STR("select repeat('x', 1000000) from generate_series(1, 20)"), NULL, 0, &small, &rows),
              E_TOO_LARGE);
    char *large = malloc(30 << 20);
    memset(large, 'y', 30 << 20);
    err_t e = postgres_do(db, STR("select length($1)"), VALUES(str_of(large, 30 << 20)), a, &rows);
    free(large);
    CHECK_OK(e);
    CHECK_STR(rows.cells[0], "31457280");
    CHECK_EQ(postgres_connections(db), 1);
}

static err_t notify_soon(void *arg)
{
    struct arena a CLEANUP(arena_release) = {.max = 1 << 20};

    TRY(fiber_yield());
    return postgres_do(arg, STR("notify news"), NULL, 0, &a, NULL);
}

POSTGRES_TEST(postgres_listener_is_woken_by_a_notification)
{
    struct postgres *other = postgres_new(&(struct postgres_options){.url = str_from_c(url), .user = STR("postgres")});
    err_t e;

    CHECK_ERR(postgres_wait(db, NS_NEVER), E_EOF);
    CHECK_OK(DO("listen news"));
    CHECK_ERR(postgres_wait(db, ns_add(rt_now(), NS_MS)), E_AGAIN);
    {
        SCOPE(s, NS_NEVER);
        (void)scope_spawn(&s, "notifier", notify_soon, other);
        e = postgres_wait(db, NS_NEVER);
        CHECK_OK(scope_wait_all(&s));
    }
    postgres_free(other);
    CHECK_OK(e);
}

POSTGRES_TEST(postgres_is_found_again_after_it_was_restarted)
{
    err_t e;

    CHECK_OK(DO("create table t (id bigint)"));
    (void)kill(server.server.pid, SIGQUIT); /* ends as in a crash, but for its memory that all share */
    (void)waitpid(server.server.pid, NULL, 0);
    server.server.pid = 0;
    e = DO("insert into t values (1)");
    CHECK_MSG(e == E_EOF || e == E_REFUSED, "%s", err_detail(e));
    CHECK(postgres_start(&server));
    do
        e = DO("insert into t values (1)");
    while (e == E_EOF || e == E_AGAIN || e == E_REFUSED);
    CHECK_OK(e);
}

/* ---- pipelines ---- */

/* The pipeline's file there, with the connection in it. */
static PRINTF_LIKE(1, 2) void write_pipeline(const char *fmt, ...)
{
    char file[4096];
    va_list values;

    int n = snprintf(file, sizeof file,
                     "version: 1\ndelivery: exactly_once\njournal: sync\n"
                     "connections: {postgres: {url: \"%s\", username: postgres}}\n",
                     url);
    va_start(values, fmt);
    (void)vsnprintf(file + n, sizeof file - (size_t)n, fmt, values);
    va_end(values);
    write_file(trial.folder, "p.yaml", file);
}

enum { NUMBERS = 60 };

static void make_out(struct postgres *db, struct arena *a)
{
    CHECK_OK(DO("create table out (at serial, n bigint check (n <> 13), twice text)"));
}

/* 1, 2, 3 … in the order in which they were written, each once; the 13th the table does not want. */
static void look_at_out(struct postgres *db, struct arena *a)
{
    struct postgres_rows rows = {0};

    CHECK_OK(postgres_do(db, STR("select n, twice from out order by at"), NULL, 0, a, &rows));
    CHECK_EQ(rows.rows, NUMBERS - 1);
    for (unsigned i = 0; i < rows.rows; i++) {
        uint64_t n = 0;
        CHECK(str_to_u64(rows.cells[2 * i], UINT64_MAX, &n));
        CHECK_EQ(n, i + 1 + (i >= 12));
        CHECK(str_to_u64(rows.cells[2 * i + 1], UINT64_MAX, &n));
        CHECK_EQ(n, 2 * (i + 1 + (i >= 12)));
    }
}

TEST(postgres_rows_are_there_once_though_their_writer_was_killed_at_every_wait)
{
    if (!has_database("writer"))
        return;
    with_connection(make_out);
    begin_trial();
    write_pipeline("pipeline: writer\n"
                   "sources: {in: {files: {path: %s/in.ndjson, follow: false}}}\n"
                   "sinks: {out: {from: in, batch: 7, postgres: {table: out, columns: {n: .n, twice: \".n * 2\"}}}}\n",
                   trial.folder);
    write_numbers(trial.folder, "in.ndjson", NUMBERS);
    CHECK_GT(pipeline_kill_everywhere(&trial), 20);
    with_connection(look_at_out);
    remove_trial();
}

static void wait_for_some(struct postgres *db, struct arena *a)
{
    static unsigned long long seen;
    struct postgres_rows rows = {0};
    uint64_t count = 0;

    do {
        CHECK_OK(postgres_do(db, STR("select count(*) from out"), NULL, 0, a, &rows));
        CHECK(str_to_u64(rows.cells[0], UINT64_MAX, &count));
    } while (count <= seen && count < NUMBERS - 1);
    seen = count;
}

TEST(postgres_rows_are_there_once_though_the_server_was_killed_under_their_writer)
{
    if (!has_database("restarts"))
        return;
    with_connection(make_out);
    begin_trial();
    write_pipeline("pipeline: restarts\n"
                   "sources: {in: {files: {path: %s/in.ndjson, follow: false}}}\n"
                   "sinks: {out: {from: in, batch: 1, postgres: {table: out, columns: {n: .n, twice: \".n * 2\"}}}}\n",
                   trial.folder);
    write_numbers(trial.folder, "in.ndjson", NUMBERS);
    pid_t child = fork();
    if (child == 0)
        _exit(pipeline_try(&trial));
    for (unsigned i = 0; i < 3; i++) {
        with_connection(wait_for_some);
        (void)kill(server.server.pid, SIGQUIT);
        (void)waitpid(server.server.pid, NULL, 0);
        server.server.pid = 0;
        CHECK(postgres_start(&server));
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    CHECK_EQ(WEXITSTATUS(status), PIPELINE_ENDED);
    with_connection(look_at_out);
    remove_trial();
}

static struct pipeline_set *loaded;

/* The pipeline's sink, opened as a run of the pipeline would. */
static err_t open_sink(const struct pipeline_node *sink, uint64_t seq, bool is_open, bool *ret_applied, void **ret)
{
    const struct sink_at at = {
        .sink = sink, .pipeline = loaded->items[0]->name, .shard = 3, .is_open = is_open, .seq = seq};

    return sink->sink->run->open(&at, ret_applied, ret);
}

static void take_over_from_another(struct postgres *db, struct arena *a)
{
    const struct pipeline_node *sink = pipeline_find(loaded->items[0], STR("out"));
    const struct sink_run *run = sink->sink->run;
    void *first = NULL, *second = NULL, *third = NULL;
    bool applied = true;
    struct postgres_rows rows = {0};

    CHECK_OK(open_sink(sink, 1, false, &applied, &first));
    CHECK(!applied);
    CHECK_OK(run->apply(first, &(struct batch){.seq = 1}));
    CHECK_OK(run->apply(first, &(struct batch){.seq = 1})); /* its answer was lost */
    CHECK_ERR(run->apply(first, &(struct batch){.seq = 3}), E_FENCED);
    CHECK_OK(open_sink(sink, 1, true, &applied, &second));
    CHECK(applied);
    CHECK_ERR(run->apply(first, &(struct batch){.seq = 2}), E_FENCED);
    CHECK_OK(run->apply(second, &(struct batch){.seq = 2}));
    CHECK_OK(open_sink(sink, 3, true, &applied, &third));
    CHECK(!applied);
    CHECK_OK(run->apply(third, &(struct batch){.seq = 3}));
    run->close(third);
    CHECK_OK(open_sink(sink, 1, false, &applied, &third)); /* of another journal */
    CHECK(!applied);
    CHECK_OK(run->apply(third, &(struct batch){.seq = 1}));
    run->close(first);
    run->close(second);
    run->close(third);
    CHECK_OK(postgres_do(db, STR("select pipeline, sink, shard, epoch, seq from crossdock_emit"), NULL, 0, a, &rows));
    CHECK_EQ(rows.rows, 1);
    CHECK_STR(rows.cells[0], "fenced");
    CHECK_STR(rows.cells[1], "out");
    CHECK_STR(rows.cells[2], "3");
    CHECK_STR(rows.cells[3], "4");
    CHECK_STR(rows.cells[4], "1");
}

static void load_trial(void)
{
    char path[80];
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};

    (void)snprintf(path, sizeof path, "%s/p.yaml", trial.folder);
    CHECK_OK(load_pipelines(path, &problems, &loaded, NULL));
}

TEST(postgres_sink_shuts_out_whoever_had_it_before)
{
    if (!has_database("fenced"))
        return;
    with_connection(make_out);
    begin_trial();
    write_pipeline("pipeline: fenced\n"
                   "sources: {in: {files: in.ndjson}}\n"
                   "sinks: {out: {from: in, postgres: {table: out, columns: {n: .n}}}}\n");
    load_trial();
    with_connection(take_over_from_another);
    pipeline_set_free(loaded);
    remove_trial();
}

static void write_without_a_table(struct postgres *db, struct arena *a)
{
    const struct pipeline_node *sink = pipeline_find(loaded->items[0], STR("out"));
    void *state;
    bool applied;

    (void)db;
    (void)a;
    CHECK_ERR(open_sink(sink, 1, false, &applied, &state), E_CONFIG);
}

TEST(postgres_sink_without_its_table_says_so_before_it_reads_anything)
{
    if (!has_database("no_table"))
        return;
    begin_trial();
    write_pipeline("pipeline: absent\n"
                   "sources: {in: {files: in.ndjson}}\n"
                   "sinks: {out: {from: in, postgres: {table: out, columns: {n: .n}}}}\n");
    load_trial();
    with_connection(write_without_a_table);
    pipeline_set_free(loaded);
    remove_trial();
}

static void make_people(struct postgres *db, struct arena *a)
{
    CHECK_OK(DO("create table people (\"Name\" text primary key, age int, tags jsonb, known boolean, note text)"));
}

static void look_at_people(struct postgres *db, struct arena *a)
{
    struct postgres_rows rows = {0};

    CHECK_OK(postgres_do(db, STR("select \"Name\", age, tags, known, note from people order by 1"), NULL, 0, a, &rows));
    CHECK_EQ(rows.rows, 2);
    const char *want[] = {"ada", "37", "[\"x\"]", "t", NULL, "bob", "9", "{}", "f", "it's"};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        CHECK_EQ(rows.cells[i].p != NULL, want[i] != NULL);
        if (want[i])
            CHECK_STR(rows.cells[i], want[i]);
    }
}

TEST(postgres_upsert_leaves_the_last_of_each_key_with_values_of_every_type)
{
    if (!has_database("upsert"))
        return;
    with_connection(make_people);
    begin_trial();
    write_pipeline(
        "pipeline: people\n"
        "sources: {in: {files: {path: %s/in.ndjson, follow: false}}}\n"
        "sinks: {out: {from: in, postgres: {table: public.people, mode: upsert, key: Name, columns: {Name: .name, "
        "age: .age, tags: .tags, known: .known, note: .note}}}}\n",
        trial.folder);
    write_file(trial.folder, "in.ndjson",
               "{\"name\":\"ada\",\"age\":36,\"tags\":[],\"known\":false,\"note\":\"old\"}\n"
               "{\"name\":\"bob\",\"age\":9,\"tags\":{},\"known\":false,\"note\":\"it's\"}\n"
               "{\"name\":\"ada\",\"age\":37,\"tags\":[\"x\"],\"known\":true,\"note\":null}\n"
               "{\"name\":\"eve\",\"age\":\"old\",\"tags\":[],\"known\":true,\"note\":null}\n");
    CHECK_EQ(pipeline_try(&trial), PIPELINE_ENDED);
    with_connection(look_at_people);
    remove_trial();
}

/* ---- vectors ---- */

/* Where the extension is missing, texts that look like its vectors of length 2 have to do. */
static void make_points(struct postgres *db, struct arena *a)
{
    bool has_extension = DO("create extension vector") == OK;

    if (!has_extension) {
        (void)fprintf(stderr, "# pgvector is not installed: its type is a text here\n");
        CHECK_OK(DO("create domain vector as text check (value ~ '^\\[[^,]*,[^,]*\\]$')"));
    }
    CHECK_OK(postgres_do(db,
                         has_extension
                             ? STR("create table points (id text primary key, embedding vector(2), payload jsonb)")
                             : STR("create table points (id text primary key, embedding vector, payload jsonb)"),
                         NULL, 0, a, NULL));
}

static void look_at_points(struct postgres *db, struct arena *a)
{
    struct postgres_rows rows = {0};

    CHECK_OK(postgres_do(db, STR("select id, embedding, payload->>'p' from points order by id"), NULL, 0, a, &rows));
    CHECK_EQ(rows.rows, 2);
    const char *want[] = {"x-1", "[0.5,-3]", "new", "x-2", "[1,2]", "two"};
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        CHECK_STR(rows.cells[i], want[i]);
}

TEST(postgres_points_are_put_by_their_id_and_vectors_of_another_length_are_refused)
{
    if (!has_database("vectors"))
        return;
    with_connection(make_points);
    begin_trial();
    write_pipeline(
        "pipeline: points\n"
        "sources: {in: {files: {path: %s/in.ndjson, follow: false}}}\n"
        "sinks: {out: {from: in, pgvector: {table: points, id: 'x-{{.i}}', vector: .v, payload: '{p: .p}'}}}\n",
        trial.folder);
    write_file(trial.folder, "in.ndjson",
               "{\"i\":1,\"v\":[0,0],\"p\":\"old\"}\n{\"i\":2,\"v\":[1,2],\"p\":\"two\"}\n"
               "{\"i\":3,\"v\":[1,2,3],\"p\":\"long\"}\n{\"i\":1,\"v\":[0.5,-3],\"p\":\"new\"}\n");
    CHECK_EQ(pipeline_try(&trial), PIPELINE_ENDED);
    with_connection(look_at_points);
    remove_trial();
}

/* ---- outboxes ---- */

static void write_outbox_pipeline(const char *rest)
{
    begin_trial();
    write_pipeline("pipeline: outbox\n"
                   "sources: {in: {postgres: {table: outbox, poll: 10ms%s}}}\n"
                   "sinks: {out: {from: in, batch: 200, file: %s/out.ndjson}}\n",
                   rest, trial.folder);
}

enum { ROWS = 520 }; /* more than a batch */

static void fill_outbox(struct postgres *db, struct arena *a)
{
    CHECK_OK(DO("create table outbox (id bigserial primary key, body jsonb, key text)"));
    CHECK_OK(
        DO("insert into outbox (body, key) select jsonb_build_object('n', i), 'k' from generate_series(1, 520) i"));
}

static void look_whether_outbox_is_empty(struct postgres *db, struct arena *a)
{
    struct postgres_rows rows = {0};

    CHECK_OK(postgres_do(db, STR("select count(*) from outbox"), NULL, 0, a, &rows));
    CHECK_STR(rows.cells[0], "0");
}

static void read_outbox_and_kill(const char *name, const char *rest)
{
    if (!has_database(name))
        return;
    with_connection(fill_outbox);
    write_outbox_pipeline(rest);
    lines_wanted = ROWS;
    trial.is_over = has_lines;
    CHECK_GT(pipeline_kill_everywhere(&trial), 10);
    trial.kill_at = 0;
    run_until_lines(ROWS); /* and once more, for what would come again */
    check_lines(ROWS);
}

TEST(postgres_outbox_is_read_once_though_its_reader_was_killed_at_every_wait)
{
    read_outbox_and_kill("outbox", ", key: key");
    if (!test_failed() && server.is_up)
        with_connection(look_whether_outbox_is_empty);
    remove_trial();
}

TEST(postgres_outbox_that_is_kept_is_read_once_though_its_reader_was_killed_at_every_wait)
{
    read_outbox_and_kill("kept", ", key: key, keep: true");
    remove_trial();
}

/* A transaction with a low id that is under way while others commit higher ones. */
static void leave_first(struct postgres *db, struct arena *a)
{
    CHECK_OK(DO("create table outbox (id bigserial primary key, body jsonb)"));
    CHECK_OK(DO("begin"));
    CHECK_OK(DO("insert into outbox (body) values ('{\"n\": 1}')"));
    CHECK_OK(DO("prepare transaction 'first'"));
    CHECK_OK(DO("insert into outbox (body) values ('{\"n\": 2}'), ('{\"n\": 3}')"));
}

static void commit_first(struct postgres *db, struct arena *a)
{
    CHECK_OK(DO("commit prepared 'first'"));
}

static void leave_second(struct postgres *db, struct arena *a)
{
    CHECK_OK(DO("begin"));
    CHECK_OK(DO("insert into outbox (body) values ('{\"n\": 4}')"));
    CHECK_OK(DO("prepare transaction 'second'"));
    CHECK_OK(DO("insert into outbox (body) values ('{\"n\": 5}')"));
}

static void commit_second(struct postgres *db, struct arena *a)
{
    CHECK_OK(DO("commit prepared 'second'"));
}

static void commit_late(const char *name, const char *rest)
{
    const unsigned want[] = {2, 3, 1, 5, 4};
    unsigned numbers[8];

    if (!has_database(name))
        return;
    with_connection(leave_first);
    write_outbox_pipeline(rest);
    lines_wanted = 5;
    trial.is_over = has_lines;
    pid_t child = fork();
    if (child == 0)
        _exit(pipeline_try(&trial));
    wait_for_lines(2);
    with_connection(commit_first);
    wait_for_lines(3);
    with_connection(leave_second);
    wait_for_lines(4);
    with_connection(commit_second);
    (void)waitpid(child, NULL, 0);
    CHECK_EQ(read_numbers(trial.folder, "out.ndjson", numbers, ARRAY_LEN(numbers)), 5);
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        CHECK_EQ(numbers[i], want[i]);
    remove_trial();
}

TEST(postgres_outbox_row_that_is_committed_late_is_read)
{
    commit_late("late", "");
}

TEST(postgres_outbox_row_that_is_committed_late_is_read_from_a_table_that_is_kept)
{
    commit_late("late_kept", ", keep: true");
}
