/*
 * journal_crash_test.c - what was acknowledged is there after a crash; what was not is there wholly, or not at all.
 *
 * The model is the journal in memory: the same commits go to it, and the text of what it has after each is what a journal in SQLite must have after
 * it was opened again: the text after the last commit that was acknowledged, or after one of those that were handed over since.
 */
#include "store/journal.h"

#include "base/prng.h"
#include "journal_draws.h"
#include "rt/scope.h"
#include "unit/in_loop.h"
#include "unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sim_world *sim;
static struct arena arena; /* of a round */

static struct journal_options options_of(const char *kind)
{
    return (struct journal_options){
        .kind = kind, .path = "/var/journal.db", .traces_max = 5, .trace_age = 40, .dead_age = 30};
}

static struct journal *open_kind(const char *kind)
{
    struct journal_options o = options_of(kind);
    struct journal *j;

    return journal_open(&o, &j) == OK ? j : NULL;
}

/* ---- crashes ---- */

struct run {
    size_t acknowledged; /* commits that are on the disk for certain */
    size_t handed_over;
};

/* Hand commits over until one fails for the disk's sake. */
static SUSPENDS struct run run_commits(struct journal *j, const struct commit *commits)
{
    struct run r = {0};

    for (size_t i = 0; i < COMMITS; i++) {
        struct journal_op ops[OPS];
        memcpy(ops, commits[i].ops, sizeof ops);
        r.handed_over = i + 1;
        err_t e = journal_commit(j, ops, commits[i].n, commits[i].durability);
        if (e == E_IO)
            break;
        if (commits[i].durability == JOURNAL_ASYNC)
            continue;
        MUST(e == commits[i].result);
        r.acknowledged = i + 1;
    }
    return r;
}

/* Which of the states that it may have does the journal have? COMMITS + 1: none of them. */
static size_t state_of(struct str now, const struct commit *commits, struct str before, struct run r)
{
    for (size_t n = r.acknowledged; n <= r.handed_over; n++)
        if (str_eq(now, n ? commits[n - 1].after : before))
            return n;
    return COMMITS + 1;
}

static SUSPENDS void crash_once(const struct commit *commits, struct str before, uint64_t at, enum sim_crash how,
                                bool *ret_over)
{
    struct run r = {0};
    uint64_t calls = sim_world_disk_calls(sim);

    sim_world_crash_disk(sim, at);
    struct journal *j = open_kind("sqlite");
    if (j)
        r = run_commits(j, commits);
    journal_close(j);
    *ret_over = sim_world_disk_calls(sim) - calls <= at;
    sim_world_restart_disk(sim, how);
    j = open_kind("sqlite");
    CHECK_MSG(j, "cannot be opened any more: %s", err_current()->text);
    struct str now = dump(j, ROOTS, &arena);
    journal_close(j);
    CHECK_MSG(state_of(now, commits, before, r) <= COMMITS,
              "%zu acknowledged, %zu handed over, but it has\n%.*s\nafter the acknowledged ones:\n%.*s", r.acknowledged,
              r.handed_over, STR_ARG(now), STR_ARG(r.acknowledged ? commits[r.acknowledged - 1].after : before));
}

static uint64_t round_seed;

static SUSPENDS void draw_round(struct commit *commits, struct str *ret_before)
{
    struct journal *model = open_kind("memory");

    draw_commits(model, round_seed, commits, ret_before, &arena);
    journal_close(model);
}

static void sweep_crashes(void)
{
    static struct commit commits[COMMITS];
    struct str before;
    bool over = false;

    draw_round(commits, &before);
    /* Each call if rounds were asked for, else some of them, others in each round. */
    uint64_t step = test_rounds(0) ? 1 : 23;
    for (uint64_t at = round_seed % step; !over; at += step) {
        enum sim_crash how = sim_world_draw(sim, 3) ? SIM_POWER_LOST : SIM_KILLED;
        test_context("seed %u, crash after %u calls, %s", (unsigned)round_seed, (unsigned)at,
                     how == SIM_KILLED ? "killed" : "without power");
        crash_once(commits, before, at, how, &over);
        if (test_failed())
            return;
        (void)sim_world_seams(sim)->disk->remove(sim, "/var/journal.db");
        (void)sim_world_seams(sim)->disk->remove(sim, "/var/journal.db-wal");
        (void)sim_world_seams(sim)->disk->remove(sim, "/var/journal.db-journal");
        (void)sim_world_seams(sim)->disk->sync_dir(sim, "/var");
    }
}

static err_t in_round(void *arg)
{
    body_fn **body = arg;
    (*body)();
    return OK;
}

static void in_rounds(uint64_t rounds, body_fn *body)
{
    fill_large();
    for (uint64_t round = 0; round < rounds && !test_failed(); round++) {
        round_seed = test_seed() + round;
        arena_init(&arena, SIZE_MAX);
        sim = sim_world_new(&(struct sim_options){.seed = round_seed, .disk_cache = true});
        err_t e = loop_run(&(struct loop_options){.seams = sim_world_seams(sim)}, in_round, &body);
        sim_world_free(sim);
        arena_release(&arena);
        CHECK_MSG(e == OK, "loop: %s", err_detail(e));
    }
    test_context("%s", "");
}

TEST(journal_has_after_a_crash_what_it_acknowledged_and_nothing_by_halves)
{
    in_rounds(test_rounds(4), sweep_crashes);
}

static void compare_kinds(void)
{
    static struct commit commits[COMMITS];
    struct str before;

    draw_round(commits, &before);
    struct journal *j = open_kind("sqlite");
    CHECK(j);
    check_commits(j, commits, &arena);
    journal_close(j);
}

TEST(journal_kinds_agree_on_whatever_is_done)
{
    in_rounds(test_rounds(25), compare_kinds);
}

/* A memory journal that crashes loses what was not waited for, and no more. */
static void crash_memory(void)
{
    static struct commit commits[COMMITS];
    struct str before;

    draw_round(commits, &before);
    struct journal *j = open_kind("memory");
    struct run r = {0};
    size_t until = sim_world_draw(sim, COMMITS + 1);
    for (size_t i = 0; i < until; i++) {
        struct journal_op ops[OPS];
        memcpy(ops, commits[i].ops, sizeof ops);
        err_t e = journal_commit(j, ops, commits[i].n, commits[i].durability);
        CHECK(e == commits[i].result || commits[i].durability == JOURNAL_ASYNC);
        r.handed_over = i + 1;
        if (commits[i].durability == JOURNAL_SYNC)
            r.acknowledged = i + 1;
    }
    journal_memory_crash(j);
    struct str now = dump(j, ROOTS, &arena), want = r.acknowledged ? commits[r.acknowledged - 1].after : before;
    CHECK_STR(now, want.p);
    journal_close(j);
}

TEST(journal_in_memory_loses_by_a_crash_what_nobody_waited_for)
{
    in_rounds(test_rounds(25), crash_memory);
}

/* ---- damage ---- */

static void damage(void)
{
    struct journal *j = open_kind("sqlite");
    struct journal_page page;
    struct str bytes;

    CHECK(j);
    CHECK_OK(commit_one(
        j, OP(STATE_PUT, .pipeline = STR("p"), .node = STR("a"), .key = STR("k"), .body = BODY("unmistakable"))));
    CHECK_OK(commit_one(j, OP(STATE_PUT, .pipeline = STR("p"), .node = STR("b"), .key = STR("k"),
                              .body = body_of_text(str_of(large, JOURNAL_INLINE_MAX + 1)))));
    journal_close(j);
    CHECK(sim_world_look_file(sim, "/var/journal.db", &bytes));
    char *copy = mem_dup(bytes.p, bytes.n);
    size_t n = bytes.n, at = str_find(bytes, STR("unmistakable"));
    CHECK(at < n);
    copy[at] = 'U';
    at = str_find(bytes, str_of(large + 1000, 200));
    CHECK(at < n);
    copy[at] ^= 1;
    sim_world_put_file(sim, "/var/journal.db", copy, n);
    mem_free(copy);
    j = open_kind("sqlite");
    CHECK(j);
    struct journal_query q = {.kind = JOURNAL_STATES, .r = {.pipeline = STR("p"), .node = STR("a")}};
    CHECK_ERR(journal_read(j, &q, &arena, &page), E_IO);
    CHECK(strstr(err_detail(E_IO), "is damaged: the body of state number 1 is not what was written"));
    q.r.node = STR("b");
    CHECK_OK(journal_read(j, &q, &arena, &page));
    CHECK_ERR(journal_blob(j, page.records[0].body.sha256, &arena, &bytes), E_IO);
    CHECK_OK(
        commit_one(j, OP(STATE_DELETE, .pipeline = STR("p"), .node = STR("a"), .key = STR("k")))); /* the rest works */
    journal_close(j);
}

TEST(journal_tells_a_body_that_is_not_what_was_written)
{
    in_rounds(1, damage);
}

/* ---- kill -9 ---- */

enum { WRITERS = 6, KILLS = 6, LINES_MAX = 1 << 16 };

static char path[64];
static int acknowledgements;

struct writer {
    struct journal *j;
    uint64_t next; /* this one's numbers are apart by WRITERS */
};

static err_t write_roots(void *arg)
{
    struct writer *w = arg;

    for (;; w->next += WRITERS) {
        struct journal_op two[] = {
            ROOT_AT(w->next, (uint32_t)(w->next % WRITERS), .body = body_of_text(str_of(large, 1024))),
            OP(STEP_PUT, .root = id_of(w->next), .node = STR("a"), .body = BODY("step")),
        };
        TRY(journal_commit(w->j, two, 2, JOURNAL_SYNC));
        if (write(acknowledgements, &w->next, sizeof w->next) != sizeof w->next)
            return OK;
    }
}

static struct journal *open_real(void)
{
    struct journal_options o = {
        .kind = "sqlite", .path = path, .traces_max = 5, .trace_age = NS_NEVER, .dead_age = NS_NEVER};
    struct journal *j = NULL;

    MUST(journal_open(&o, &j) == OK);
    return j;
}

static uint64_t first_number;

static err_t write_until_killed(void *arg UNUSED)
{
    static struct writer writers[WRITERS];
    struct journal *j = open_real();
    SCOPE(s, NS_NEVER);

    for (uint64_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.j = j, .next = first_number + i};
        (void)scope_spawn(&s, "writer", write_roots, &writers[i]);
    }
    return scope_wait_all(&s);
}

/* Let a child write, kill it after `some` acknowledgements; returns how many there were. */
static size_t write_and_kill(size_t some, uint64_t *numbers)
{
    int pipes[2];
    size_t n = 0;

    MUST(pipe(pipes) == 0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        acknowledgements = pipes[1];
        (void)close(pipes[0]);
        _exit(loop_run(&(struct loop_options){0}, write_until_killed, NULL) == OK);
    }
    (void)close(pipes[1]);
    while (n < LINES_MAX && read(pipes[0], &numbers[n], sizeof *numbers) == sizeof *numbers)
        if (++n == some)
            (void)kill(child, SIGKILL); /* what it had still acknowledged comes out of the pipe */
    (void)close(pipes[0]);
    int status;
    MUST(waitpid(child, &status, 0) == child);
    MUST(WIFSIGNALED(status));
    return n;
}

static uint64_t *acknowledged;
static size_t acknowledged_count;

static void look_for_all(void)
{
    struct journal *j = open_real();

    for (size_t i = 0; i < acknowledged_count; i++) {
        struct journal_page page;
        struct journal_query q = {.kind = JOURNAL_ROOT, .r = {.id = id_of(acknowledged[i])}};
        arena_clear(&arena);
        CHECK_OK(journal_read(j, &q, &arena, &page));
        CHECK_EQ(page.count, 1);
        q = (struct journal_query){.kind = JOURNAL_STEPS, .r = {.root = id_of(acknowledged[i])}};
        CHECK_OK(journal_read(j, &q, &arena, &page));
        CHECK_EQ(page.count, 1);
    }
    journal_close(j);
}

static void kill_again_and_again(void)
{
    struct prng p;

    prng_seed(&p, test_seed());
    for (size_t i = 0; i < KILLS && !test_failed(); i++) {
        size_t n = write_and_kill(1 + prng_below(&p, 60), acknowledged + acknowledged_count);
        acknowledged_count += n;
        CHECK_LT(acknowledged_count, LINES_MAX);
        in_kernel(look_for_all);
        first_number += 1000000;
    }
}

TEST(journal_has_after_kill_9_all_that_it_acknowledged)
{
    char folder[] = "/tmp/journal-test-XXXXXX", beside[80];

    CHECK(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/journal.db", folder);
    (void)snprintf(beside, sizeof beside, "%s-wal", path);
    arena_init(&arena, SIZE_MAX);
    first_number = 0;
    acknowledged_count = 0;
    acknowledged = mem_alloc(2 * LINES_MAX * sizeof *acknowledged);
    kill_again_and_again();
    mem_free(acknowledged);
    arena_release(&arena);
    (void)unlink(path);
    (void)unlink(beside);
    (void)rmdir(folder);
}
