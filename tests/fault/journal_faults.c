/*
 * journal_faults.c - a journal on disk under sweeps: each call to the disk fails once, each wait is cut short once.
 *
 * What it must keep: what was acknowledged is there when the journal is opened again; what was not is there wholly or not at all; a failed call is told,
 * and the next commit works.
 */
#include "fault/fault.h"

#include "rt/loop.h"
#include "rt/scope.h"
#include "store/journal.h"

#include <string.h>

enum { COMMITS = 6, LARGE = JOURNAL_INLINE_MAX + 5000 };

static char large[LARGE];

static struct journal_id id_of(unsigned n)
{
    struct journal_id id = {{0}};
    memcpy(id.b, &n, sizeof n);
    return id;
}

static err_t open_one(struct journal **ret)
{
    struct journal_options o = {.kind = "sqlite", .path = "/journal.db", .trace_age = NS_NEVER, .dead_age = NS_NEVER};
    return journal_open(&o, ret);
}

/* A root with a step, which is large now and then. */
static SUSPENDS err_t commit_root(struct journal *j, unsigned n)
{
    struct journal_op ops[] = {
        {.kind = JOURNAL_ROOT_PUT, .r = {.id = id_of(n), .pipeline = STR("p"), .source = STR("s")}},
        {.kind = JOURNAL_STEP_PUT,
         .r = {.root = id_of(n), .node = STR("a"), .body = {.form = 1, .bytes = {large, n % 3 ? 1000 : LARGE}}}},
    };
    return journal_commit(j, ops, 2, JOURNAL_SYNC);
}

struct writing {
    struct journal *j;
    bool acknowledged[COMMITS];
};

static err_t write_all(void *arg)
{
    struct writing *w = arg;
    err_t first = OK;

    for (unsigned i = 0; i < COMMITS; i++) {
        err_t e = commit_root(w->j, i);
        w->acknowledged[i] = e == OK;
        first = first == OK ? e : first;
        if (e == E_CANCELLED || e == E_DEADLINE)
            return e;
        EXPECT(e == OK || (e == E_IO && fault_has_struck()), "commit %u: %s", i, err_detail(e));
    }
    return first;
}

static SUSPENDS size_t count_of(struct journal *j, enum journal_query_kind kind, unsigned n)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct journal_query q = {.kind = kind, .r = {.id = id_of(n), .root = id_of(n)}};
    struct journal_page page = {0};

    err_t e = journal_read(j, &q, &a, &page);
    if (e != OK) { /* once */
        EXPECT(fault_has_struck(), "read: %s", err_detail(e));
        e = journal_read(j, &q, &a, &page);
        EXPECT(e == OK, "read: %s", err_detail(e));
    }
    return page.count;
}

static SUSPENDS void look_for_all(const struct writing *w)
{
    struct journal *j;
    err_t e = open_one(&j);

    if (e != OK) { /* the fault may have waited for this */
        EXPECT(fault_has_struck(), "open: %s", err_detail(e));
        e = open_one(&j);
    }
    if (!EXPECT(e == OK, "open again: %s", err_detail(e)))
        return;
    for (unsigned i = 0; i < COMMITS; i++) {
        size_t roots = count_of(j, JOURNAL_ROOT, i), steps = count_of(j, JOURNAL_STEPS, i);
        EXPECT(roots == steps, "commit %u is there by halves", i);
        EXPECT(roots == 1 || !w->acknowledged[i], "commit %u was acknowledged and is gone", i);
    }
    journal_close(j);
}

FAULT_SCENARIO(journal, .victims = "writer")
{
    struct writing writing = {0};

    (void)w;
    memset(large, 'x', sizeof large);
    err_t e = open_one(&writing.j);
    if (e != OK) {
        EXPECT(fault_has_struck() && (e == E_IO || e == E_CONFIG), "open: %s", err_detail(e));
        EXPECT(!strstr(err_detail(e), "damaged"), "a failing disk is not damage: %s", err_detail(e));
        return e;
    }
    {
        SCOPE(s, NS_NEVER);
        (void)scope_spawn(&s, "writer", write_all, &writing);
        e = scope_wait_all(&s);
    }
    journal_close(writing.j);
    look_for_all(&writing);
    return e;
}
