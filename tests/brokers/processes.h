/*
 * processes.h - several processes with one journal, in a PostgreSQL of the tests' own: started, killed and stopped one by one, while the test looks at the database.
 *
 * Each runs the pipelines p0.yaml, p1.yaml … of the trial's folder on a loop of its own, and shares their shards with the others by leases.
 */
#ifndef BROKERS_PROCESSES_H
#define BROKERS_PROCESSES_H

#include "brokers/postgres_server.h"

#include "brokers/pipelines.h"
#include "client/postgres.h"
#include "pipeline/run/runner.h"
#include "store/leases.h"

enum { PROCESSES_MAX = 4, FILES_MAX = 4 };
static const ns_t lease_time = 1 * NS_SEC;

static struct postgres_server server;
static char url[128];                  /* of the database that the test has */
static pid_t processes[PROCESSES_MAX]; /* 0: it does not run                */

__attribute__((destructor)) static void stop_server(void)
{
    server_release(&server.server);
}

static UNUSED struct postgres_options database(void)
{
    return (struct postgres_options){.url = str_from_c(url), .user = STR("postgres")};
}

/* ---- a process ---- */

struct process {
    struct pipeline_set set;
    struct pipeline_spec *specs[FILES_MAX];
    struct journal *journal;
    struct leases *leases;
};

static UNUSED err_t run_process(void *arg)
{
    struct process *p = arg;
    struct runner *r = runner_new(&(struct runner_options){.journal = p->journal, .leases = p->leases, .loops = 1});
    SCOPE(keeper, NS_NEVER);

    scope_discard_results(&keeper);
    scope_spawn(&keeper, "leases", leases_run, p->leases);
    runner_install(r, &p->set);
    return runner_run(r);
}

static UNUSED err_t process_main(unsigned pipelines)
{
    static struct process p;
    struct arena arena = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct postgres_options db = database();

    p.set = (struct pipeline_set){.items = p.specs, .count = pipelines};
    for (unsigned i = 0; i < pipelines; i++) {
        char path[96];
        struct pipeline_set *one;
        (void)snprintf(path, sizeof path, "%s/p%u.yaml", trial.folder, i);
        err_t e = load_pipelines(path, &problems, &one, NULL);
        problems_print(&problems, &text);
        (void)fprintf(stderr, "%.*s", STR_ARG(buf_str(&text)));
        TRY(e);
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

static UNUSED void start_process(unsigned i, unsigned pipelines)
{
    processes[i] = fork();
    if (processes[i])
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    err_t e = process_main(pipelines);
    (void)fprintf(stderr, "process %u ended: %s\n", i, err_detail(e));
    _exit(1);
}

static UNUSED void kill_process(unsigned i)
{
    int status = 0;

    (void)kill(processes[i], SIGKILL);
    (void)waitpid(processes[i], &status, 0);
    CHECK_MSG(WIFSIGNALED(status), "process %u ended by itself", i);
    processes[i] = 0;
}

static UNUSED void kill_processes(void)
{
    for (unsigned i = 0; i < PROCESSES_MAX; i++)
        if (processes[i])
            kill_process(i);
}

/* ---- the database ---- */

struct asking {
    const char *sql;
    char answer[32];
};

static UNUSED err_t ask_main(void *arg)
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
static UNUSED long ask(const char *fmt, ...) PRINTF_LIKE(1, 2);
static UNUSED long ask(const char *fmt, ...)
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

/* A database of that name, and a folder for the pipelines. False: there is no server. */
static UNUSED bool begin_processes(const char *name)
{
    if (!postgres_have(&server))
        return false;
    (void)snprintf(url, sizeof url, "postgres://127.0.0.1:%u/postgres", server.server.port);
    (void)ask("create database \"%s\"", name);
    (void)snprintf(url, sizeof url, "postgres://127.0.0.1:%u/%s", server.server.port, name);
    begin_trial();
    return !test_failed();
}

static UNUSED void end_processes(void)
{
    kill_processes();
    remove_trial();
}

/* How often shards were taken by anybody. */
static UNUSED long takeovers(void)
{
    return ask("select coalesce(sum(epoch), 0) from crossdock_journal.progress where source = '.lease'");
}

/* How many processes have a shard: owners are what stands behind the epoch. */
static UNUSED long sharers(void)
{
    return ask("select count(distinct substr(body, 9)) from crossdock_journal.state where pipeline = '.leases' and "
               "node = 'owners'");
}

#endif
