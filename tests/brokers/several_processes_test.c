/*
 * several_processes_test.c - pipelines that several processes run with one journal, in a real PostgreSQL: processes are killed, stopped for longer than a lease and let go on,
 * and added, while an application writes; in the end every sink has every message once, in its order.
 */
#include "brokers/postgres_server.h"

#include "brokers/pipelines.h"
#include "client/postgres.h"
#include "pipeline/runner.h"
#include "store/leases.h"

enum { PIPELINES = 3, PROCESSES = 4, AT_ONCE = 40 };
static const ns_t lease_time = 1 * NS_SEC;

static struct postgres_server server;
static char url[128];
static pid_t processes[PROCESSES];
static unsigned written; /* messages in each outbox, from 1 */

__attribute__((destructor)) static void stop_server(void)
{
    server_release(&server.server);
}

static struct postgres_options database(void)
{
    return (struct postgres_options){.url = str_from_c(url), .user = STR("postgres")};
}

/* ---- a process ---- */

struct process {
    struct pipeline_set set;
    struct pipeline_spec *specs[PIPELINES];
    struct journal *journal;
    struct leases *leases;
};

static err_t run_process(void *arg)
{
    struct process *p = arg;
    struct runner *r = runner_new(&(struct runner_options){.journal = p->journal, .leases = p->leases, .loops = 1});
    SCOPE(keeper, NS_NEVER);

    scope_discard_results(&keeper);
    scope_spawn(&keeper, "leases", leases_run, p->leases);
    runner_install(r, &p->set);
    return runner_run(r);
}

static err_t process_main(const char *folder)
{
    static struct process p;
    struct arena arena = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct postgres_options db = database();

    p.set = (struct pipeline_set){.items = p.specs, .count = PIPELINES};
    for (unsigned i = 0; i < PIPELINES; i++) {
        char path[96];
        struct pipeline_set *one;
        (void)snprintf(path, sizeof path, "%s/p%u.yaml", folder, i);
        TRY(load_pipelines(path, &problems, &one, NULL));
        p.specs[i] = one->items[0];
    }
    workers_start(2);
    TRY(journal_open(
        &(struct journal_options){
            .kind = "postgres", .postgres = &db, .traces_max = 1, .trace_age = NS_NEVER, .dead_age = NS_NEVER},
        &p.journal));
    p.leases = leases_new(&(struct leases_options){.journal = p.journal, .time = lease_time});
    return loop_run(&(struct loop_options){0}, run_process, &p);
}

static void start_process(unsigned i, const char *folder)
{
    processes[i] = fork();
    if (processes[i])
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    err_t e = process_main(folder);
    (void)fprintf(stderr, "process %u ended: %s\n", i, err_detail(e));
    _exit(1);
}

static void kill_process(unsigned i)
{
    (void)kill(processes[i], SIGKILL);
    (void)waitpid(processes[i], NULL, 0);
    processes[i] = 0;
}

/* ---- what the world sees ---- */

struct asking {
    const char *sql;
    char answer[32];
};

static err_t ask_main(void *arg)
{
    struct asking *q = arg;
    struct postgres_options o = database();
    struct arena a CLEANUP(arena_release) = {.max = 1 << 20};
    struct postgres *db = postgres_new(&o);
    struct postgres_rows rows = {0};

    err_t e = postgres_do(db, str_from_c(q->sql), NULL, 0, &a, &rows);
    if (e == OK && rows.rows)
        (void)snprintf(q->answer, sizeof q->answer, "%.*s", STR_ARG(rows.cells[0]));
    postgres_free(db);
    dns_drain();
    iobuf_drain();
    return e;
}

/* The first cell of what a statement brings, as a number. */
static long ask(const char *fmt, ...) PRINTF_LIKE(1, 2);
static long ask(const char *fmt, ...)
{
    char sql[512];
    struct asking q = {.sql = sql};
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(sql, sizeof sql, fmt, args);
    va_end(args);
    workers_start(1);
    err_t e = loop_run(&(struct loop_options){0}, ask_main, &q);
    workers_stop();
    if (e != OK)
        test_fail_(__FILE__, __LINE__, "%s: %s", sql, err_detail(e));
    return strtol(q.answer, NULL, 10);
}

static void make_tables(void)
{
    for (unsigned i = 0; i < PIPELINES; i++) {
        (void)ask("create table outbox%u (id bigserial primary key, body jsonb, key text)", i);
        (void)ask("create table out%u (at bigserial, n bigint)", i);
    }
}

static void write_messages(void)
{
    for (unsigned i = 0; i < PIPELINES; i++)
        (void)ask("insert into outbox%u (body, key) select jsonb_build_object('n', i), 'k' from "
                  "generate_series(%u, %u) i",
                  i, written + 1, written + AT_ONCE);
    written += AT_ONCE;
}

static void wait_for_all(void)
{
    for (unsigned i = 0; i < PIPELINES; i++)
        for (unsigned tries = 0; ask("select count(*) from out%u", i) < (long)written && !test_failed(); tries++) {
            CHECK_LT(tries, 1500);
            (void)poll(NULL, 0, 20);
        }
}

/* How often shards were taken by anybody. */
static long takeovers(void)
{
    return ask("select coalesce(sum(epoch), 0) from crossdock_journal.progress where source = '.lease'");
}

static void check_sinks(void)
{
    for (unsigned i = 0; i < PIPELINES; i++) {
        CHECK_EQ(ask("select count(*) from out%u", i), written);
        CHECK_EQ(ask("select count(distinct n) from out%u", i), written);
        CHECK_EQ(ask("select count(*) from (select n - coalesce(lag(n) over (order by at), 0) as step from out%u) as s "
                     "where step <> 1",
                     i),
                 0);
    }
}

static void write_files(void)
{
    char name[16], text[768];

    for (unsigned i = 0; i < PIPELINES; i++) {
        (void)snprintf(name, sizeof name, "p%u.yaml", i);
        (void)snprintf(text, sizeof text,
                       "pipeline: several%u\n"
                       "connections: {postgres: {url: \"%s\", username: postgres}}\n"
                       "sources: {in: {postgres: {table: outbox%u, poll: 10ms, key: key}}}\n"
                       "nodes: {odd: {from: in, map: '{n: .n}'}}\n"
                       "sinks: {out: {from: odd, batch: 7, postgres: {table: out%u, columns: {n: .n}}}}\n",
                       i, url, i, i);
        write_file(trial.folder, name, text);
    }
}

static bool begin_world(const char *name)
{
    if (!postgres_have(&server))
        return false;
    (void)snprintf(url, sizeof url, "postgres://127.0.0.1:%u/postgres", server.server.port);
    (void)ask("create database \"%s\"", name);
    (void)snprintf(url, sizeof url, "postgres://127.0.0.1:%u/%s", server.server.port, name);
    written = 0;
    make_tables();
    begin_trial();
    write_files();
    return !test_failed();
}

static void end_world(void)
{
    for (unsigned i = 0; i < PROCESSES; i++)
        if (processes[i])
            kill_process(i);
    remove_trial();
}

TEST(several_processes_have_each_message_once_though_some_are_killed_and_others_come)
{
    if (!begin_world("killed"))
        return;
    start_process(0, trial.folder);
    write_messages();
    wait_for_all();
    for (unsigned i = 1; i < PROCESSES; i++)
        start_process(i, trial.folder);
    for (unsigned i = 0; i < PROCESSES && !test_failed(); i++) {
        write_messages();
        kill_process(i);
        write_messages();
        wait_for_all();
        start_process(i, trial.folder);
    }
    CHECK_GT(takeovers(), PIPELINES); /* the first process had them all */
    check_sinks();
    end_world();
}

TEST(several_processes_have_each_message_once_though_some_are_stopped_and_go_on_later)
{
    if (!begin_world("stopped"))
        return;
    for (unsigned i = 0; i < PIPELINES; i++)
        start_process(i, trial.folder);
    write_messages();
    wait_for_all();
    long before = takeovers();
    for (unsigned i = 0; i < 2 * PIPELINES && !test_failed(); i++) {
        pid_t one = processes[i % PIPELINES];
        write_messages();
        (void)kill(one, SIGSTOP);
        write_messages();
        wait_for_all(); /* without it: others have its leases now */
        (void)kill(one, SIGCONT);
        write_messages();
        wait_for_all();
    }
    CHECK_GT(takeovers(), before + 2);
    check_sinks();
    end_world();
}
