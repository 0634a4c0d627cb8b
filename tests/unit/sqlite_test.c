/* sqlite_test.c - a database that one thread owns: groups, failures of one and of all, full disks, other owners, layouts, damage. */
#include "store/sqlite.h"

#include "base/mem.h"
#include "rt/scope.h"
#include "unit/in_loop.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const layouts[] = {
    "CREATE TABLE t(k INTEGER PRIMARY KEY, v INTEGER NOT NULL UNIQUE, body BLOB)",
    "ALTER TABLE t ADD COLUMN more TEXT NOT NULL DEFAULT 'old'; CREATE INDEX t_more ON t(more)",
    NULL,
};
static const char *const first_layout[] = {
    "CREATE TABLE t(k INTEGER PRIMARY KEY, v INTEGER NOT NULL UNIQUE, body BLOB)", NULL};

enum { ADD, COUNT, SUM, BODY };
static const char *const statements[] = {
    "INSERT INTO t(v, body) VALUES(?, ?)",
    "SELECT count(*) FROM t",
    "SELECT sum(v) FROM t",
    "SELECT body FROM t WHERE v = ?",
    NULL,
};

static struct sim_world *sim;
static struct sqlite_options options;

static err_t open_db(struct sqlite **ret)
{
    return sqlite_open(&options, ret);
}

static err_t in_world_(void *arg)
{
    body_fn **body = arg;

    options = (struct sqlite_options){
        .path = "/db", .what = "the test", .application = 7, .migrations = layouts, .statements = statements};
    (*body)();
    return OK;
}

#define DB_TEST(test_name)                                                                                             \
    static void db_##test_name(void);                                                                                  \
    TEST(test_name)                                                                                                    \
    {                                                                                                                  \
        body_fn *body = db_##test_name;                                                                                \
        sim = sim_world_new(&(struct sim_options){.seed = test_seed(), .disk_cache = true});                           \
        err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(sim)}, in_world_, &body);                   \
        sim_world_free(sim);                                                                                           \
        CHECK_MSG(e == OK, "loop: %s", err_detail(e));                                                                 \
    }                                                                                                                  \
    static void db_##test_name(void)

/* ---- jobs ---- */

struct adding {
    struct sqlite_job job;
    int64_t value, result;
    size_t bytes;
    enum { ADDS, ADDS_AND_FAILS, COUNTS, SUMS } what;
};

static char filling[1 << 20];
static err_t last_dropped;
static unsigned drops;

static void adding_drop(struct serial_job *j)
{
    drops++;
    last_dropped = j->result;
    mem_free(CONTAINER_OF(j, struct adding, job.job));
}

static err_t adding_run(struct sqlite *db, struct sqlite_job *j)
{
    struct adding *a = CONTAINER_OF(j, struct adding, job);
    bool found;

    if (a->what == COUNTS || a->what == SUMS)
        return sqlite_number(db, a->what == COUNTS ? COUNT : SUM, NULL, 0, &found, &a->result);
    TRY(sqlite_change(db, ADD, SQL_VALUES(SQL_INT(a->value), SQL_BLOB(str_of(filling, a->bytes))), NULL));
    return a->what == ADDS_AND_FAILS ? fail(E_FENCED, "job %d failed", (int)a->value) : OK;
}

static struct adding *adding_new(int64_t value)
{
    struct adding *a = NEW(struct adding);
    *a = (struct adding){.job = {.job = {.drop = adding_drop}, .run = adding_run}, .value = value, .bytes = 10};
    return a;
}

static err_t add(struct sqlite *db, int64_t value)
{
    struct adding *a = adding_new(value);
    err_t e = sqlite_run(db, &a->job);

    if (e != E_CANCELLED && e != E_DEADLINE)
        mem_free(a);
    return e;
}

static int64_t ask(struct sqlite *db, int what)
{
    struct adding a = {.job = {.run = adding_run, .reads = true}, .what = what};

    if (sqlite_run(db, &a.job) != OK)
        return -1;
    return a.result;
}

/* ---- groups ---- */

struct member {
    struct sqlite *db;
    int64_t value;
    int what;
    err_t result;
    char words[80];
};

static err_t member_run(void *arg)
{
    struct member *m = arg;
    struct adding *a = adding_new(m->value);

    a->what = m->what;
    m->result = sqlite_run(m->db, &a->job);
    (void)snprintf(m->words, sizeof m->words, "%s", m->result == OK ? "" : err_detail(m->result));
    mem_free(a);
    return OK;
}

enum { MEMBERS = 40 };

static void run_members(struct sqlite *db, struct member *members)
{
    SCOPE(s, NS_NEVER);

    for (int i = 0; i < MEMBERS; i++) {
        members[i].db = db;
        members[i].value = i;
        (void)scope_spawn(&s, "member", member_run, &members[i]);
    }
    CHECK_OK(scope_wait_all(&s));
}

DB_TEST(sqlite_job_that_fails_does_not_fail_its_neighbours)
{
    struct sqlite *db;
    static struct member members[MEMBERS];

    CHECK_OK(open_db(&db));
    CHECK_OK(add(db, 1000));
    for (int i = 0; i < MEMBERS; i++)
        members[i] = (struct member){.what = i % 3 ? ADDS : ADDS_AND_FAILS};
    run_members(db, members);
    int64_t sum = 1000;
    for (int i = 0; i < MEMBERS; i++) {
        CHECK_ERR(members[i].result, i % 3 ? OK : E_FENCED);
        if (i % 3)
            sum += i;
        else
            CHECK(atoi(members[i].words + 4) == i); /* each has the words of its own failure */
    }
    CHECK_EQ(ask(db, SUMS), sum);
    CHECK_ERR(add(db, 1000), E_CONFLICT); /* alone */
    CHECK_EQ(ask(db, SUMS), sum);
    sqlite_close(db);
}

DB_TEST(sqlite_shares_one_sync_among_those_who_wait)
{
    struct sqlite *db;
    static struct member members[MEMBERS];

    CHECK_OK(open_db(&db));
    for (int i = 0; i < 10; i++) /* beyond what the first commits do once */
        CHECK_OK(add(db, 2000 + i));
    uint64_t before = sim_world_disk_calls(sim);
    CHECK_OK(add(db, 3000));
    uint64_t one = sim_world_disk_calls(sim) - before;
    CHECK_EQ(one, 2); /* a write and a sync */
    for (int i = 0; i < MEMBERS; i++)
        members[i] = (struct member){.what = ADDS};
    before = sim_world_disk_calls(sim);
    run_members(db, members);
    CHECK_LE(sim_world_disk_calls(sim) - before, 2 * one);
    CHECK_EQ(ask(db, COUNTS), MEMBERS + 11);
    sqlite_close(db);
}

static err_t add_for_ever(void *arg)
{
    struct member *m = arg;

    for (;; m->value++)
        TRY(add(m->db, m->value));
}

DB_TEST(sqlite_job_of_a_fiber_that_left_is_done_and_dropped)
{
    struct sqlite *db;
    struct member m = {.value = 0};

    drops = 0;
    CHECK_OK(open_db(&db));
    m.db = db;
    {
        SCOPE(s, NS_NEVER);
        (void)scope_spawn(&s, "leaver", add_for_ever, &m);
        CHECK_OK(fiber_sleep_until(rt_now() + 50 * NS_MS));
        scope_cancel(&s);
    }
    CHECK_OK(add(db, 100000));
    CHECK_EQ(drops, 1);
    CHECK_ERR(last_dropped, OK);
    CHECK_EQ(ask(db, COUNTS), m.value + 2); /* the one that it waited for is there */
    sqlite_close(db);
}

/* ---- full disks ---- */

static uint64_t file_bytes(const char *path)
{
    struct str bytes;
    return sim_world_look_file(sim, path, &bytes) ? bytes.n : 0;
}

DB_TEST(sqlite_full_disk_refuses_until_there_is_room_and_loses_nothing)
{
    struct sqlite *db;
    int64_t there = 0;
    err_t e = OK;

    CHECK_OK(open_db(&db));
    sim_world_limit_disk(sim, file_bytes("/db") + file_bytes("/db-wal") + 200000);
    while (e == OK) {
        struct adding *a = adding_new(there);
        a->bytes = 3000;
        e = sqlite_run(db, &a->job);
        there += e == OK;
        mem_free(a);
    }
    CHECK_ERR(e, E_IO);
    CHECK(strstr(err_detail(e), "the disk is full"));
    CHECK_GT(there, 5);
    CHECK_EQ(ask(db, COUNTS), there);
    for (int i = 0; i < 3; i++) {
        struct adding *posted = adding_new(50000 + i);
        posted->bytes = 100000;
        sqlite_post(db, &posted->job);
    }
    CHECK_ERR(add(db, 60000), E_IO);
    CHECK_EQ(sqlite_backlog(db), 3);
    sim_world_limit_disk(sim, UINT64_MAX);
    CHECK_OK(add(db, 60000));
    CHECK_EQ(sqlite_backlog(db), 0);
    CHECK_EQ(ask(db, COUNTS), there + 4); /* those that nobody waited for as well */
    sqlite_close(db);
    CHECK_OK(open_db(&db));
    CHECK_EQ(ask(db, COUNTS), there + 4);
    sqlite_close(db);
}

DB_TEST(sqlite_posted_jobs_that_the_disk_never_took_are_given_up_when_it_is_closed)
{
    struct sqlite *db;
    struct adding *a = adding_new(1);

    drops = 0;
    CHECK_OK(open_db(&db));
    sim_world_limit_disk(sim, 0);
    a->bytes = sizeof filling;
    sqlite_post(db, &a->job);
    CHECK_EQ(ask(db, COUNTS), 0);
    CHECK_EQ(sqlite_backlog(db), 1);
    sqlite_close(db);
    CHECK_EQ(drops, 1);
    CHECK_ERR(last_dropped, E_IO);
}

/* Each call fails now and then; whoever tries again comes through, and nothing is there twice or missing. */
DB_TEST(sqlite_comes_through_disks_that_fail_now_and_then)
{
    for (uint64_t round = 0; round < test_rounds(20); round++) {
        struct sqlite *db;
        unsigned failed = 0;

        test_context("round %u", (unsigned)round);
        (void)sim_world_seams(sim)->disk->remove(sim, "/db");
        CHECK_OK(open_db(&db));
        sim_world_set_faults(sim, &(struct sim_faults){.disk_error = 100});
        for (int64_t v = 0; v < 60; v++)
            while (add(db, v) != OK)
                CHECK_LT(++failed, 5000);
        CHECK_GT(failed, 0);
        sim_world_set_faults(sim, &(struct sim_faults){0});
        CHECK_EQ(ask(db, COUNTS), 60);
        CHECK_EQ(ask(db, SUMS), 59 * 60 / 2);
        sqlite_close(db);
        CHECK_OK(open_db(&db));
        CHECK_EQ(ask(db, SUMS), 59 * 60 / 2);
        sqlite_close(db);
    }
}

/* More than the cache holds, within one transaction: what SQLite has written already it reads again from the log, and first what it wrote last. */
static err_t large_run(struct sqlite *db, struct sqlite_job *j UNUSED)
{
    enum { ROWS = 9500, ROW = 2800 }; /* a page each */
    static char large[ROW];

    for (int i = 0; i < ROWS; i++) {
        memset(large, i, sizeof large);
        TRY(sqlite_change(db, ADD, SQL_VALUES(SQL_INT(i), SQL_BLOB(str_of(large, sizeof large))), NULL));
    }
    for (int i = ROWS; i-- > 0;) {
        sqlite3_stmt *st;
        bool found;
        TRY(sqlite_begin(db, BODY, SQL_VALUES(SQL_INT(i)), &st));
        TRY(sqlite_next(db, st, &found));
        struct str body = sqlite_blob(st, 0);
        memset(large, i, sizeof large);
        bool same = found && str_eq(body, str_of(large, sizeof large));
        sqlite_end(st);
        if (!same)
            return fail(E_PROTOCOL, "row %d is another", i);
    }
    return OK;
}

DB_TEST(sqlite_transaction_larger_than_the_cache_reads_what_it_wrote)
{
    struct sqlite *db;
    struct sqlite_job job = {.run = large_run};

    CHECK_OK(open_db(&db));
    err_t e = sqlite_run(db, &job);
    CHECK_MSG(e == OK, "%s", err_detail(e));
    sqlite_close(db);
}

DB_TEST(sqlite_moves_its_log_into_the_file_when_idle)
{
    struct sqlite *db;

    CHECK_OK(open_db(&db));
    uint64_t before = file_bytes("/db");
    for (int i = 0; i < 8; i++) {
        struct adding *a = adding_new(i);
        a->bytes = sizeof filling;
        CHECK_OK(sqlite_run(db, &a->job));
        mem_free(a);
    }
    CHECK_GT(file_bytes("/db"), before + 7 * sizeof filling);
    CHECK_LT(file_bytes("/db-wal"), 8 * sizeof filling); /* it was begun anew in between */
    sqlite_close(db);
    CHECK_EQ(file_bytes("/db-wal"), 0);
}

/* ---- who may open it ---- */

DB_TEST(sqlite_refuses_a_second_opener_until_the_first_has_closed)
{
    struct sqlite *db, *other;

    CHECK_OK(open_db(&db));
    CHECK_ERR(open_db(&other), E_CONFIG);
    CHECK(strstr(err_detail(E_CONFIG), "the test /db is in use by another process"));
    CHECK_OK(add(db, 1));
    sqlite_close(db);
    CHECK_OK(open_db(&other));
    CHECK_EQ(ask(other, COUNTS), 1);
    sqlite_close(other);
}

DB_TEST(sqlite_refuses_other_programs_databases_and_newer_layouts)
{
    struct sqlite *db;

    CHECK_OK(open_db(&db));
    sqlite_close(db);
    options.application = 8;
    CHECK_ERR(open_db(&db), E_CONFIG);
    CHECK(strstr(err_detail(E_CONFIG), "another program"));
    options.application = 7;
    options.migrations = first_layout;
    CHECK_ERR(open_db(&db), E_CONFIG);
    CHECK(strstr(err_detail(E_CONFIG), "its layout is 2, this program knows 1"));
}

DB_TEST(sqlite_brings_old_layouts_up_to_date_with_what_is_in_them)
{
    static const char *const with_more[] = {"INSERT INTO t(v, body) VALUES(?, ?)",
                                            "SELECT count(*) FROM t WHERE more = 'old'", "SELECT sum(v) FROM t", NULL};
    struct sqlite *db;

    options.migrations = first_layout;
    CHECK_OK(open_db(&db));
    CHECK_OK(add(db, 5));
    sqlite_close(db);
    options.migrations = layouts;
    options.statements = with_more;
    CHECK_OK(open_db(&db));
    CHECK_EQ(ask(db, COUNTS), 1);
    sqlite_close(db);
    CHECK_OK(open_db(&db));
    CHECK_EQ(ask(db, SUMS), 5);
    sqlite_close(db);
}

DB_TEST(sqlite_says_what_is_wrong_with_a_path)
{
    struct sqlite *db;
    static char path[SQLITE_PATH_MAX + 2];

    memset(path, 'x', sizeof path - 1);
    options.path = path;
    CHECK_ERR(open_db(&db), E_CONFIG);
    options.path = "/dir";
    sim_world_put_file(sim, "/dir/file", "", 0);
    CHECK_ERR(open_db(&db), E_IO);
    CHECK(strstr(err_detail(E_IO), "the test /dir: cannot open it: Is a directory"));
}

/* ---- damage ---- */

DB_TEST(sqlite_tells_a_damaged_file_and_what_to_do)
{
    struct sqlite *db;
    struct str bytes;

    CHECK_OK(open_db(&db));
    for (int i = 0; i < 200; i++)
        CHECK_OK(add(db, i));
    sqlite_close(db);
    CHECK(sim_world_look_file(sim, "/db", &bytes));
    char *copy = mem_dup(bytes.p, bytes.n);
    size_t n = bytes.n;
    memset(copy + 4096 + 8, 0xee, 60); /* pointers to the cells of the second page */
    sim_world_put_file(sim, "/db", copy, n);
    CHECK_ERR(open_db(&db), E_IO);
    CHECK(strstr(err_detail(E_IO), "the test /db is damaged: "));
    CHECK(strstr(err_detail(E_IO), "sqlite3 FILE .recover"));
    memset(copy, 'x', 100);
    sim_world_put_file(sim, "/db", copy, n);
    CHECK_ERR(open_db(&db), E_IO);
    CHECK(strstr(err_detail(E_IO), "is damaged: file is not a database"));
    mem_free(copy);
}

DB_TEST(sqlite_does_not_take_a_failing_disk_for_damage)
{
    struct sqlite *db;
    unsigned failed = 0;

    CHECK_OK(open_db(&db));
    for (int i = 0; i < 200; i++)
        CHECK_OK(add(db, i));
    sqlite_close(db);
    for (int i = 0; i < 300; i++) {
        sim_world_set_faults(sim, &(struct sim_faults){.disk_error = 60});
        err_t e = open_db(&db);
        sim_world_set_faults(sim, &(struct sim_faults){0});
        if (e == OK) {
            sqlite_close(db);
            continue;
        }
        failed++;
        CHECK_ERR(e, E_IO);
        CHECK_MSG(!strstr(err_detail(e), "damaged"), "%s", err_detail(e));
    }
    CHECK_GT(failed, 20);
    CHECK_OK(open_db(&db));
    CHECK_EQ(ask(db, COUNTS), 200);
    sqlite_close(db);
}

/* ---- on the kernel ---- */

static void remove_files(const char *path)
{
    char beside[256];

    (void)unlink(path);
    (void)snprintf(beside, sizeof beside, "%s-wal", path);
    (void)unlink(beside);
}

static void on_kernel(void)
{
    static struct member members[MEMBERS];
    char folder[] = "/tmp/sqlite-test-XXXXXX", path[64];
    struct sqlite *db, *other;

    CHECK(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/db", folder);
    options = (struct sqlite_options){
        .path = path, .what = "the test", .application = 7, .migrations = layouts, .statements = statements};
    CHECK_OK(open_db(&db));
    CHECK_ERR(open_db(&other), E_CONFIG);
    for (int i = 0; i < MEMBERS; i++)
        members[i] = (struct member){.what = i % 4 ? ADDS : ADDS_AND_FAILS};
    run_members(db, members);
    for (int i = 0; i < MEMBERS; i++)
        CHECK_ERR(members[i].result, i % 4 ? OK : E_FENCED);
    CHECK_EQ(ask(db, COUNTS), MEMBERS - MEMBERS / 4);
    struct adding *posted = adding_new(777);
    sqlite_post(db, &posted->job);
    sqlite_close(db); /* what was posted is done first */
    CHECK_OK(open_db(&db));
    CHECK_EQ(ask(db, COUNTS), MEMBERS - MEMBERS / 4 + 1);
    sqlite_close(db);
    remove_files(path);
    CHECK_EQ(rmdir(folder), 0);
}

TEST(sqlite_thread_does_jobs_of_fibers_on_the_kernel)
{
    in_kernel(on_kernel);
}
