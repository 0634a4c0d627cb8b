/* journal_postgres_test.c - what tests/unit/journal_test.c asks of every kind of journal, of one in a real PostgreSQL; and what only such a one can do. */
#include "brokers/postgres_server.h"

#include "client/postgres.h"
#include "net/dns.h"
#include "net/iobuf.h"
#include "rt/worker.h"
#include "unit/in_loop.h"

static void in_postgres(body_fn *body);
#define IN_JOURNALS in_postgres
#include "unit/journal_test.c"

#include "unit/journal_draws.h"

static struct postgres_server server;
static char url[128];
static struct postgres_options database;
static struct journal_options options;

__attribute__((destructor)) static void stop_server(void)
{
    server_release(&server.server);
}

/* A journal is empty when its tables are gone. */
static err_t empty_database(void *arg UNUSED)
{
    struct arena a CLEANUP(arena_release) = {.max = 1 << 20};
    struct postgres *db = postgres_new(&database);

    err_t e = postgres_do(db, STR("drop schema if exists crossdock_journal cascade"), NULL, 0, &a, NULL);
    postgres_free(db);
    dns_drain();
    return e;
}

static err_t run_body(void *arg)
{
    body_fn **body = arg;

    (*body)();
    dns_drain();
    iobuf_drain();
    return OK;
}

static void in_postgres(body_fn *body)
{
    if (!postgres_have(&server))
        return;
    (void)snprintf(url, sizeof url, "postgres://127.0.0.1:%u/postgres", server.server.port);
    database = (struct postgres_options){.url = str_from_c(url), .user = STR("postgres")};
    options = (struct journal_options){
        .kind = "postgres", .postgres = &database, .traces_max = 4, .trace_age = 1000, .dead_age = 1000};
    arena_init(&arena, SIZE_MAX);
    workers_start(2);
    err_t e = loop_run(&(struct loop_options){0}, empty_database, NULL);
    if (e == OK)
        e = journal_open(&options, &j);
    if (e == OK) {
        e = loop_run(&(struct loop_options){0}, run_body, &body);
        journal_close(j);
    }
    workers_stop();
    arena_release(&arena);
    CHECK_OK(e);
}

/* ---- drawn commits ---- */

static uint64_t drawn_seed;

static void compare_with_model(void)
{
    static struct commit commits[COMMITS];
    struct journal_options in_memory = options;
    struct journal *model;
    struct str before;

    in_memory.kind = "memory";
    CHECK_OK(journal_open(&in_memory, &model));
    draw_commits(model, drawn_seed, commits, &before, &arena);
    journal_close(model);
    CHECK_STR(dump(j, ROOTS, &arena), before.p);
    check_commits(j, commits, &arena);
}

/* As tests/unit/journal_crash_test.c says of the other kinds. */
TEST(journal_agrees_with_the_model_on_whatever_is_done)
{
    for (uint64_t round = 0; round < test_rounds(5) && !test_failed(); round++) {
        drawn_seed = test_seed() + round;
        test_context("seed %u", (unsigned)drawn_seed);
        in_postgres(compare_with_model);
    }
    test_context("%s", "");
}

/* ---- a server that goes away ---- */

static err_t commit_many(void *arg UNUSED)
{
    for (uint64_t n = 0; n < 300; n++) {
        struct journal_op op = ROOT_AT(n, 0, .body = BODY("x"));
        err_t e;
        while ((e = journal_commit(j, &op, 1, JOURNAL_SYNC)) == E_IO)
            TRY(fiber_sleep_until(rt_now() + 20 * NS_MS));
        TRY(e);
        op = OP(STATE_PUT, NODE("a"), .key = str_of((const char *)&n, sizeof n), .body = BODY("y"));
        TRY(journal_commit(j, &op, 1, JOURNAL_ASYNC));
    }
    return OK;
}

static void crash_server(void)
{
    (void)kill(server.server.pid, SIGKILL);
    (void)waitpid(server.server.pid, NULL, 0);
    CHECK(postgres_start(&server));
}

JOURNAL_TEST(journal_commits_are_all_there_though_the_server_was_killed_meanwhile)
{
    {
        SCOPE(writer, ns_add(rt_now(), 60 * NS_SEC));
        (void)scope_spawn(&writer, "writer", commit_many, NULL);
        while (QUERY(ROOTS, PLACE_0) < 50)
            CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
        crash_server();
        CHECK_OK(scope_wait_all(&writer));
    }
    CHECK_EQ(QUERY(ROOTS, PLACE_0), 300);
    CHECK_EQ(QUERY(STATES, NODE("a")), 300);
    CHECK_EQ(journal_failures(j), 0);
}

/* ---- two that have it open ---- */

JOURNAL_TEST(journal_of_two_processes_gives_each_epoch_to_one_of_them)
{
    struct journal *other;
    struct journal_op ours[] = {OP(FENCE, PLACE_0), OP(PROGRESS_CLAIM, PLACE_0)}, theirs[] = {ours[0], ours[1]};

    CHECK(journal_is_shared(j));
    CHECK_OK(journal_open(&options, &other));
    for (uint64_t epoch = 0; epoch < 20; epoch++) {
        ours[0].r.epoch = theirs[0].r.epoch = epoch;
        err_t mine = journal_commit(epoch % 2 ? j : other, ours, 2, JOURNAL_SYNC);
        err_t late = journal_commit(epoch % 2 ? other : j, theirs, 2, JOURNAL_SYNC);
        CHECK_OK(mine);
        CHECK_EQ(ours[1].r.epoch, epoch + 1);
        CHECK_ERR(late, E_FENCED);
    }
    journal_close(other);
}

/* A first owner of PLACE_0 that has not committed yet. */
static err_t claim_first(struct postgres *db, struct arena *a)
{
    TRY(postgres_do(db, STR("begin"), NULL, 0, a, NULL));
    return postgres_do(db,
                       STR("insert into crossdock_journal.progress (pipeline, source, partition, epoch) "
                           "values ('p', 's', 0, 1)"),
                       NULL, 0, a, NULL);
}

static err_t claim_too(void *arg UNUSED)
{
    struct journal_op ops[] = {OP(FENCE, PLACE_0), OP(PROGRESS_CLAIM, PLACE_0)};

    return journal_commit(j, ops, ARRAY_LEN(ops), JOURNAL_SYNC);
}

/* Until somebody waits for a row of another. */
static err_t wait_for_waiter(struct postgres *db, struct arena *a)
{
    struct postgres_rows waiting = {0};

    do
        TRY(postgres_do(db, STR("select 1 from pg_locks where not granted"), NULL, 0, a, &waiting));
    while (!waiting.rows);
    return OK;
}

JOURNAL_TEST(journal_gives_a_place_to_one_of_two_that_claim_it_first_at_once)
{
    struct postgres *db = postgres_new(&database);
    err_t late;

    CHECK_OK(claim_first(db, &arena));
    {
        SCOPE(other, ns_add(rt_now(), 60 * NS_SEC));
        (void)scope_spawn(&other, "other", claim_too, NULL);
        CHECK_OK(wait_for_waiter(db, &arena));
        CHECK_OK(postgres_do(db, STR("commit"), NULL, 0, &arena, NULL));
        late = scope_wait_all(&other);
    }
    CHECK_ERR(late, E_FENCED);
    postgres_free(db);
}

JOURNAL_TEST(journal_refuses_names_that_the_database_cannot_keep_and_nothing_else)
{
    CHECK_ERR(commit_one(j, OP(STATE_PUT, .pipeline = str_of("a\0b", 3))), E_CONFLICT);
    CHECK_ERR(commit_one(j, OP(STATE_PUT, .node = STR("\xff"))), E_CONFLICT);
    CHECK_OK(commit_one(j, OP(DEAD_PUT, .id = id_of(1), .pipeline = STR("\"{,}\\"), .cause = str_of("\0\xff", 2))));
    CHECK_EQ(read_all(j, (struct journal_query){.kind = JOURNAL_DEADS, .r = {.pipeline = STR("\"{,}\\")}}, &arena, rows,
                      DUMP_ROWS),
             1);
    CHECK(str_eq(rows[0].cause, str_of("\0\xff", 2)));
}
