/*
 * replay_elsewhere_test.c - dead letters that another process replays than the one that runs the pipeline, with one journal in a real PostgreSQL: in the present
 * version, and in the one that took their messages in.
 */
#include "brokers/postgres_server.h"

#include "brokers/pipelines.h"
#include "client/postgres.h"
#include "pipeline/run/letters.h"
#include "pipeline/run/runner.h"
#include "store/leases.h"

static struct postgres_server server;
static char url[128];
static pid_t process;

__attribute__((destructor)) static void stop_server(void)
{
    server_release(&server.server);
}

static struct postgres_options database(void)
{
    return (struct postgres_options){.url = str_from_c(url), .user = STR("postgres")};
}

static err_t open_journal(struct journal **ret)
{
    struct postgres_options db = database();

    return journal_open(
        &(struct journal_options){
            .kind = "postgres", .postgres = &db, .traces_max = 1, .trace_age = NS_NEVER, .dead_age = NS_NEVER},
        ret);
}

/* ---- who runs the pipeline ---- */

struct running {
    struct pipeline_set *set;
    struct journal *journal;
    struct leases *leases;
};

static err_t run_pipelines(void *arg)
{
    struct running *p = arg;
    struct runner *r = runner_new(&(struct runner_options){.journal = p->journal, .leases = p->leases, .loops = 1});
    SCOPE(keeper, NS_NEVER);

    scope_discard_results(&keeper);
    scope_spawn(&keeper, "leases", leases_run, p->leases);
    runner_install(r, p->set);
    return runner_run(r);
}

static err_t process_main(void)
{
    struct arena arena = {.max = SIZE_MAX};
    struct problems problems = {.arena = &arena};
    struct running p;
    char path[96];

    (void)snprintf(path, sizeof path, "%s/p.yaml", trial.folder);
    TRY(load_pipelines(path, &problems, &p.set, NULL));
    workers_start(2);
    TRY(open_journal(&p.journal));
    p.leases = leases_new(&(struct leases_options){.journal = p.journal, .time = NS_SEC});
    return loop_run(&(struct loop_options){0}, run_pipelines, &p);
}

static void stop_process(void)
{
    (void)kill(process, SIGKILL);
    (void)waitpid(process, NULL, 0);
    process = 0;
}

static void start_process(unsigned version)
{
    char text[768];

    (void)snprintf(text, sizeof text,
                   "pipeline: p\nversion: %u\n"
                   "connections: {postgres: {url: \"%s\", username: postgres}}\n"
                   "sources: {in: {postgres: {table: outbox, poll: 10ms, key: key}}}\n"
                   "nodes: {one: {from: in, map: '{n: (.n | tonumber), by: %u}'}}\n"
                   "sinks: {out: {from: one, postgres: {table: out, columns: {n: .n, by: .by}}}}\n",
                   version, url, version);
    write_file(trial.folder, "p.yaml", text);
    process = fork();
    if (process)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    err_t e = process_main();
    (void)fprintf(stderr, "the process ended: %s\n", err_detail(e));
    _exit(1);
}

/* ---- what is asked of the database ---- */

struct asking {
    const char *sql;
    long answer;
};

static err_t ask_main(void *arg)
{
    struct asking *q = arg;
    struct postgres_options o = database();
    struct arena a CLEANUP(arena_release) = {.max = 1 << 20};
    struct postgres *db = postgres_new(&o);
    struct postgres_rows rows = {0};
    char text[32] = "0";

    err_t e = postgres_do(db, str_from_c(q->sql), NULL, 0, &a, &rows);
    if (e == OK && rows.rows)
        (void)snprintf(text, sizeof text, "%.*s", STR_ARG(rows.cells[0]));
    q->answer = strtol(text, NULL, 10);
    postgres_free(db);
    dns_drain();
    iobuf_drain();
    return e;
}

static long ask(const char *sql)
{
    struct asking q = {.sql = sql};

    workers_start(1);
    err_t e = loop_run(&(struct loop_options){0}, ask_main, &q);
    workers_stop();
    if (e != OK)
        test_fail_(__FILE__, __LINE__, "%s: %s", sql, err_detail(e));
    return q.answer;
}

static void wait_for(const char *sql, long want)
{
    for (unsigned tries = 0; ask(sql) != want && !test_failed(); tries++) {
        CHECK_LT(tries, 1500);
        (void)poll(NULL, 0, 20);
    }
}

/* ---- who replays ---- */

struct replaying {
    struct journal *journal;
    bool is_original;
    size_t count;
};

/* The oldest letter, put right. */
static err_t replay_main(void *arg)
{
    struct replaying *r = arg;
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct dead_letter *letters;
    uint64_t after = 0;
    size_t count;

    TRY(letters_page(r->journal, &(struct letter_filter){0}, &after, &a, &letters, &count));
    if (!count)
        return fail(E_NOT_FOUND, "no letter");
    TRY(letters_edit(r->journal, &letters[0], STR("{\"n\": 7}")));
    return r->is_original ? letters_replay_original(r->journal, letters, 1, &r->count)
                          : letters_replay(r->journal, letters, 1, NS_SEC, &r->count);
}

static void replay(bool is_original)
{
    struct replaying r = {.is_original = is_original};

    workers_start(1);
    CHECK_OK(open_journal(&r.journal));
    err_t e = loop_run(&(struct loop_options){0}, replay_main, &r);
    journal_close(r.journal);
    workers_stop();
    CHECK_MSG(e == OK, "%s", err_detail(e));
    CHECK_EQ(r.count, 1);
}

static void replay_both(void)
{
    start_process(1);
    (void)ask("insert into outbox (body, key) values ('{\"n\": \"x\"}', 'k'), ('{\"n\": \"y\"}', 'k'), "
              "('{\"n\": 1}', 'k')");
    wait_for("select count(*) from out", 1);
    wait_for("select count(*) from crossdock_journal.dead", 2);
    stop_process();
    start_process(2);
    (void)ask("insert into outbox (body, key) values ('{\"n\": 2}', 'k')");
    wait_for("select count(*) from out where n = 2 and by = 2", 1);
    replay(true);
    wait_for("select count(*) from out where n = 7 and by = 1", 1);
    replay(false);
    wait_for("select count(*) from out where n = 7 and by = 2", 1);
    wait_for("select count(*) from crossdock_journal.dead", 0);
    wait_for("select count(*) from crossdock_journal.state where node = '.replays'", 0);
    (void)ask("insert into outbox (body, key) values ('{\"n\": 3}', 'k')");
    wait_for("select count(*) from out where n = 3 and by = 2", 1);
    CHECK_EQ(ask("select count(*) from out"), 5);
}

TEST(replay_of_another_process_is_noticed_by_the_one_that_runs_the_pipeline)
{
    if (!postgres_have(&server))
        return;
    (void)snprintf(url, sizeof url, "postgres://127.0.0.1:%u/postgres", server.server.port);
    (void)ask("create table outbox (id bigserial primary key, body jsonb, key text)");
    (void)ask("create table out (n bigint, by bigint)");
    begin_trial();
    if (!test_failed())
        replay_both();
    if (process)
        stop_process();
    remove_trial();
}
