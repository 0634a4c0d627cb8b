/*
 * several_processes_test.c - pipelines that several processes run with one journal, in a real PostgreSQL: processes are killed, stopped for longer than a lease and let go on,
 * and added, while an application writes; in the end every sink has every message once, in its order.
 */
#include "brokers/processes.h"

enum { PIPELINES = 3, PROCESSES = 4, AT_ONCE = 40 };

static unsigned written; /* messages in each outbox, from 1 */

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
    if (!begin_processes(name))
        return false;
    written = 0;
    make_tables();
    write_files();
    return !test_failed();
}

TEST(several_processes_have_each_message_once_though_some_are_killed_and_others_come)
{
    if (!begin_world("killed"))
        return;
    start_process(0, PIPELINES);
    write_messages();
    wait_for_all();
    for (unsigned i = 1; i < PROCESSES; i++)
        start_process(i, PIPELINES);
    for (unsigned i = 0; i < PROCESSES && !test_failed(); i++) {
        write_messages();
        kill_process(i);
        write_messages();
        wait_for_all();
        start_process(i, PIPELINES);
    }
    CHECK_GT(takeovers(), PIPELINES); /* the first process had them all */
    check_sinks();
    end_processes();
}

TEST(several_processes_have_each_message_once_though_some_are_stopped_and_go_on_later)
{
    if (!begin_world("stopped"))
        return;
    for (unsigned i = 0; i < PIPELINES; i++)
        start_process(i, PIPELINES);
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
    end_processes();
}
