/*
 * journal_bench.c - what a durable commit costs: a step of 1 KB and the progress of a source, through the journal with 1, 8 and 64 fibers waiting, and
 * beside it the same two statements in a plain loop over SQLite, which is the least that a commit by itself can cost. All are measured in turn, in slices,
 * so that a disk that becomes slower becomes so for everybody. Prints a JSON object for bench/run.
 *
 *     make benches && build/release/journal_bench [--seconds N] [--folder DIR]
 */
#include "bench.h"

#include "base/mem.h"
#include "rt/scope.h"
#include "store/journal.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BODY = 1024, WAITERS_MAX = 64, SLICES = 10, PATHS = 200 };

static const unsigned waiters[] = {1, 8, 64};
enum { KINDS = 1 + ARRAY_LEN(waiters) }; /* the plain loop, and each number of waiters */

struct measure {
    struct hist *times;
    double seconds;
    uint64_t commits;
};

static char body[BODY];
static struct measure measures[KINDS];
static ns_t slice;

/* --- the plain loop --- */

struct plain {
    sqlite3 *db;
    sqlite3_stmt *begin, *step, *progress, *commit;
    int64_t next;
};

static void must(sqlite3 *db, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE)
        die("SQLite: %s", sqlite3_errmsg(db));
}

static void plain_prepare(struct plain *p, const char *sql, sqlite3_stmt **ret)
{
    must(p->db, sqlite3_prepare_v3(p->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL));
}

static void plain_open(struct plain *p, const char *path)
{
    must(p->db, sqlite3_open(path, &p->db));
    must(p->db, sqlite3_exec(p->db,
                             "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                             "CREATE TABLE step(k INTEGER PRIMARY KEY, node TEXT, body BLOB);"
                             "CREATE TABLE progress(k INTEGER PRIMARY KEY, epoch INTEGER, body BLOB);"
                             "INSERT INTO progress VALUES(1, 1, NULL)",
                             NULL, NULL, NULL));
    plain_prepare(p, "BEGIN IMMEDIATE", &p->begin);
    plain_prepare(p, "INSERT INTO step VALUES(?, 'classify', ?)", &p->step);
    plain_prepare(p, "UPDATE progress SET epoch = ?, body = ? WHERE k = 1", &p->progress);
    plain_prepare(p, "COMMIT", &p->commit);
}

static void plain_step(struct plain *p, sqlite3_stmt *st)
{
    must(p->db, sqlite3_step(st));
    must(p->db, sqlite3_reset(st));
}

static void plain_commit(struct plain *p)
{
    plain_step(p, p->begin);
    (void)sqlite3_bind_int64(p->step, 1, ++p->next);
    (void)sqlite3_bind_blob(p->step, 2, body, sizeof body, SQLITE_STATIC);
    plain_step(p, p->step);
    (void)sqlite3_bind_int64(p->progress, 1, p->next);
    (void)sqlite3_bind_blob(p->progress, 2, body, 64, SQLITE_STATIC);
    plain_step(p, p->progress);
    plain_step(p, p->commit);
}

static void plain_close(struct plain *p)
{
    sqlite3_stmt *all[] = {p->begin, p->step, p->progress, p->commit};

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        (void)sqlite3_finalize(all[i]);
    (void)sqlite3_close(p->db);
}

static void run_plain(struct plain *p, struct measure *m)
{
    ns_t began = rt_now_exact(), now = began;

    while (now - began < slice) {
        ns_t before = now;
        plain_commit(p);
        now = rt_now_exact();
        hist_add(m->times, now - before);
        m->commits++;
    }
    m->seconds += (double)(now - began) / 1e9;
}

/* --- the journal --- */

static struct journal_id id_of(uint64_t n)
{
    struct journal_id id = {{0}};
    memcpy(id.b, &n, sizeof n);
    return id;
}

struct waiter {
    struct journal *j;
    struct measure *m;
    uint64_t root;
    uint32_t index;
    ns_t until;
};

static struct waiter all_waiters[WAITERS_MAX];

/* Each has a root, and begins another after some steps, as pipelines do. */
static err_t wait_for_commits(void *arg)
{
    enum { STEPS = 16 };
    struct waiter *w = arg;

    for (ns_t before = rt_now_exact(); before < w->until;) {
        struct journal_op ops[4] = {
            {.kind = JOURNAL_STEP_PUT,
             .r = {.root = id_of(w->root),
                   .node = STR("classify"),
                   .index = w->index,
                   .body = {.form = 1, .bytes = {body, BODY}}}},
            {.kind = JOURNAL_PROGRESS_PUT,
             .r =
                 {.pipeline = STR("bench"), .source = STR("in"), .epoch = 1, .body = {.form = 1, .bytes = {body, 64}}}},
        };
        size_t n = 2;
        if (++w->index == STEPS) {
            ops[n++] = (struct journal_op){.kind = JOURNAL_ROOT_DONE, .r = {.id = id_of(w->root)}};
            w->root += WAITERS_MAX;
            w->index = 0;
            ops[n++] = (struct journal_op){.kind = JOURNAL_ROOT_PUT,
                                           .r = {.id = id_of(w->root), .pipeline = STR("bench"), .source = STR("in")}};
        }
        TRY(journal_commit(w->j, ops, n, JOURNAL_SYNC));
        ns_t now = rt_now_exact();
        hist_add(w->m->times, now - before);
        w->m->commits++;
        before = now;
    }
    return OK;
}

static SUSPENDS err_t run_waiters(unsigned count, struct measure *m)
{
    ns_t began = rt_now_exact();
    SCOPE(s, NS_NEVER);

    for (unsigned i = 0; i < count; i++) {
        all_waiters[i].m = m;
        all_waiters[i].until = began + slice;
        (void)scope_spawn(&s, "waiter", wait_for_commits, &all_waiters[i]);
    }
    TRY(scope_wait_all(&s));
    m->seconds += (double)(rt_now_exact() - began) / 1e9;
    return OK;
}

static SUSPENDS err_t put_roots(struct journal *j)
{
    for (unsigned i = 0; i < WAITERS_MAX; i++) {
        struct journal_op op = {.kind = JOURNAL_ROOT_PUT,
                                .r = {.id = id_of(i), .pipeline = STR("bench"), .source = STR("in")}};
        all_waiters[i] = (struct waiter){.j = j, .root = i};
        TRY(journal_commit(j, &op, 1, JOURNAL_SYNC));
    }
    return OK;
}

/* --- all --- */

static char folder[PATHS];

static void path_in(char path[PATHS + 32], const char *name)
{
    (void)snprintf(path, PATHS + 32, "%s/%s", folder, name);
}

static void remove_all(void)
{
    static const char *const names[] = {"plain.db", "plain.db-wal", "journal.db", "journal.db-wal"};
    char path[PATHS + 32];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        path_in(path, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static void print_measure(const char *name, const struct measure *m)
{
    char times[32];

    (void)snprintf(times, sizeof times, "%s_us", name);
    (void)printf("\"%s\":%.1f,", name, (double)m->commits / m->seconds);
    hist_print(times, m->times);
}

static err_t measure_all(void *arg)
{
    char path[PATHS + 32];
    struct plain plain = {0};
    struct journal *j;

    (void)arg;
    path_in(path, "plain.db");
    plain_open(&plain, path);
    path_in(path, "journal.db");
    struct journal_options o = {.kind = "sqlite", .path = path, .trace_age = NS_NEVER, .dead_age = NS_NEVER};
    TRY(journal_open(&o, &j));
    TRY(put_roots(j));
    for (int i = 0; i < SLICES; i++) {
        run_plain(&plain, &measures[0]);
        for (size_t k = 0; k < ARRAY_LEN(waiters); k++)
            TRY(run_waiters(waiters[k], &measures[1 + k]));
    }
    journal_close(j);
    plain_close(&plain);
    return OK;
}

int main(int argc, char **argv)
{
    memset(body, 'x', sizeof body);
    slice = option_number(argc, argv, "seconds", 8) * NS_SEC / SLICES / (ns_t)KINDS;
    (void)snprintf(folder, sizeof folder, "%s/journal-bench-XXXXXX", option(argc, argv, "folder", "."));
    if (!mkdtemp(folder))
        die("cannot make a folder in %s", option(argc, argv, "folder", "."));
    for (size_t i = 0; i < KINDS; i++)
        measures[i].times = NEW(struct hist);
    int status = bench_run(measure_all, NULL);
    remove_all();
    if (status != EXIT_SUCCESS)
        return status;
    (void)printf("{");
    print_measure("plain", &measures[0]);
    print_measure("journal_1", &measures[1]);
    print_measure("journal_8", &measures[2]);
    print_measure("journal_64", &measures[3]);
    (void)printf("\"waiters\":[1,8,64]}\n");
    return EXIT_SUCCESS;
}
