/* leases_test.c - processes that share a journal divide shards: each has one owner, whoever is silent is replaced, whoever comes gets a part. In virtual time. */
#include "store/leases.h"

#include "base/prng.h"
#include "journal_world.h"
#include "rt/loop.h"
#include "rt/scope.h"
#include "store/journal_int.h"
#include "unit/in_loop.h"
#include "unit/test.h"

enum { MEMBERS_MAX = 4, SHARDS_MAX = 12 };
static const ns_t lease_time = 10 * NS_SEC;

/* --- processes: the way of each to the journal can be cut --- */

struct worker {
    struct process *process;
    struct lease *lease;
    uint32_t shard;
};

struct process {
    struct journal cut; /* what it believes to be the journal */
    bool is_cut;
    struct leases *leases;
    struct worker workers[SHARDS_MAX];
};

static struct journal *real;
static struct process processes[MEMBERS_MAX];
static struct process *owner_of[SHARDS_MAX];
static unsigned overlaps, fenced, taken;

static SUSPENDS err_t cut_commit(struct journal *base, struct journal_op *ops, size_t n, enum journal_durability d)
{
    if (CONTAINER_OF(base, struct process, cut)->is_cut)
        return fail(E_IO, "cut");
    return real->kind->commit(real, ops, n, d);
}

static SUSPENDS err_t cut_read(struct journal *base, const struct journal_query *q, struct arena *a,
                               struct journal_page *ret)
{
    if (CONTAINER_OF(base, struct process, cut)->is_cut)
        return fail(E_IO, "cut");
    return real->kind->read(real, q, a, ret);
}

static const struct journal_kind cut_kind = {.name = "cut", .is_shared = true, .commit = cut_commit, .read = cut_read};

/* --- work under a lease: a commit every 100 ms --- */

static err_t work(void *arg)
{
    struct journal *way = arg;

    for (;;) {
        struct journal_op op = OP(STATE_PUT, .pipeline = STR("p"), .node = STR("a"), .key = STR("k"));
        err_t e = journal_commit(way, &op, 1, JOURNAL_SYNC);
        if (e != OK && e != E_IO)
            return e;
        TRY(fiber_sleep_until(rt_now() + 100 * NS_MS));
    }
}

static SUSPENDS err_t work_until_told(struct worker *w, struct journal *way)
{
    SCOPE(both, NS_NEVER);

    scope_spawn(&both, "work", work, way);
    err_t e = lease_watch(w->lease);
    scope_cancel(&both);
    return e;
}

static err_t worker_main(void *arg)
{
    struct worker *w = arg;
    struct journal *way;

    for (;;) {
        TRY(lease_wait(w->lease, NS_NEVER, &way));
        overlaps += owner_of[w->shard] != NULL;
        owner_of[w->shard] = w->process;
        taken++;
        err_t e = work_until_told(w, way);
        owner_of[w->shard] = NULL;
        if (e == E_FENCED)
            lease_lost(w->lease);
        else
            lease_done(w->lease);
        fenced += e == E_FENCED;
        if (e == E_CANCELLED)
            return e;
    }
}

/* --- the world --- */

/* Who keeps the leases ends behind those who work under them. */
static void begin(struct process *p, struct scope *keepers, struct scope *scope, uint32_t shards)
{
    *p = (struct process){.cut = {.kind = &cut_kind}};
    p->leases = leases_new(&(struct leases_options){.journal = &p->cut, .time = lease_time});
    for (uint32_t i = 0; i < shards; i++) {
        p->workers[i] = (struct worker){.process = p, .shard = i, .lease = lease_want(p->leases, STR("p"), i)};
        scope_spawn(scope, "worker", worker_main, &p->workers[i]);
    }
    scope_spawn(keepers, "keeper", leases_run, p->leases);
}

static void pass(ns_t time)
{
    CHECK_OK(fiber_sleep_until(rt_now() + time));
}

static unsigned owned(const struct process *p, uint32_t shards)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < shards; i++)
        n += owner_of[i] == p;
    return n;
}

static err_t open_real(void)
{
    memset(owner_of, 0, sizeof owner_of);
    overlaps = fenced = 0;
    return journal_open(
        &(struct journal_options){.kind = "memory", .traces_max = 10, .trace_age = NS_NEVER, .dead_age = NS_NEVER},
        &real);
}

static void close_real(size_t members)
{
    for (size_t i = 0; i < members; i++)
        leases_free(processes[i].leases);
    journal_close(real);
    CHECK_EQ(overlaps, 0);
}

static void those_that_come_get_a_part(void)
{
    CHECK_OK(open_real());
    {
        SCOPE(one, NS_NEVER);
        scope_discard_results(&one);
        begin(&processes[0], &one, &one, SHARDS_MAX);
        pass(NS_SEC);
        CHECK_EQ(owned(&processes[0], SHARDS_MAX), SHARDS_MAX);
        {
            SCOPE(keepers, NS_NEVER);
            SCOPE(two, NS_NEVER);
            scope_discard_results(&keepers);
            scope_discard_results(&two);
            begin(&processes[1], &keepers, &two, SHARDS_MAX);
            begin(&processes[2], &keepers, &two, SHARDS_MAX);
            pass(3 * lease_time);
            CHECK_EQ(owned(&processes[0], SHARDS_MAX), SHARDS_MAX / 3);
            CHECK_EQ(owned(&processes[1], SHARDS_MAX), SHARDS_MAX / 3);
            CHECK_EQ(owned(&processes[2], SHARDS_MAX), SHARDS_MAX / 3);
            CHECK_EQ(leases_held(processes[2].leases), SHARDS_MAX / 3);
        }
        /* They went in good order, so nobody waits for their leases to run out. */
        pass(lease_time / 2);
        CHECK_EQ(owned(&processes[0], SHARDS_MAX), SHARDS_MAX);
    }
    CHECK_EQ(fenced, 0);
    close_real(3);
}

TEST(leases_are_divided_among_those_that_come_and_taken_over_from_those_that_go)
{
    in_sim(those_that_come_get_a_part);
}

static void silent_one_is_replaced(void)
{
    CHECK_OK(open_real());
    {
        SCOPE(keepers, NS_NEVER);
        SCOPE(all, NS_NEVER);
        scope_discard_results(&keepers);
        scope_discard_results(&all);
        begin(&processes[0], &keepers, &all, 4);
        begin(&processes[1], &keepers, &all, 4);
        pass(3 * lease_time);
        CHECK_EQ(owned(&processes[0], 4), 2);
        processes[0].is_cut = true;
        pass(lease_time * 7 / 8 - lease_time / 2);
        CHECK_EQ(owned(&processes[0], 4), 2); /* it may come back in time */
        pass(lease_time / 2);
        CHECK_EQ(owned(&processes[0], 4), 0);
        pass(lease_time);
        CHECK_EQ(owned(&processes[1], 4), 4);
        CHECK_EQ(fenced, 2);
        processes[0].is_cut = false;
        pass(3 * lease_time);
        CHECK_EQ(owned(&processes[0], 4), 2);
        CHECK_EQ(owned(&processes[1], 4), 2);
        pass(5 * lease_time);
        CHECK_EQ(owned(&processes[0], 4), 2); /* and it stays so */
        CHECK_EQ(fenced, 2);
    }
    close_real(2);
}

/* Whoever comes last, at any moment of the others' rounds, has his part soon, and then nothing changes hands any more. */
static void come_last(uint32_t members, uint32_t shards, ns_t when)
{
    CHECK_OK(open_real());
    {
        SCOPE(keepers, NS_NEVER);
        SCOPE(all, NS_NEVER);
        scope_discard_results(&keepers);
        scope_discard_results(&all);
        for (uint32_t i = 0; i + 1 < members; i++)
            begin(&processes[i], &keepers, &all, shards);
        pass(3 * lease_time + when);
        begin(&processes[members - 1], &keepers, &all, shards);
        pass(3 * lease_time);
        for (uint32_t i = 0; i < members; i++) {
            CHECK_GE(owned(&processes[i], shards), shards / members);
            CHECK_LE(owned(&processes[i], shards), (shards + members - 1) / members);
        }
        unsigned before = taken;
        pass(3 * lease_time);
        CHECK_EQ(taken, before);
    }
    close_real(members);
}

static void come_at_any_time(void)
{
    for (uint32_t members = 2; members <= MEMBERS_MAX; members++)
        for (uint32_t shards = members; shards <= SHARDS_MAX && !test_failed(); shards++)
            for (ns_t when = 0; when < lease_time / 4; when += lease_time / 20)
                come_last(members, shards, when);
}

TEST(leases_are_shared_with_whoever_comes_last_whatever_their_number)
{
    in_sim(come_at_any_time);
}

TEST(leases_of_a_silent_process_run_out_before_another_has_them)
{
    in_sim(silent_one_is_replaced);
}

/* A process that is stopped does not know that its time is over: it believes in its old way to the journal. */
static void old_way_is_shut(void)
{
    struct journal *old, *now;
    struct journal_op op = OP(STATE_PUT, .pipeline = STR("p"), .node = STR("a"), .key = STR("k"));

    CHECK_OK(open_real());
    {
        SCOPE(keepers, NS_NEVER);
        SCOPE(first, NS_NEVER);
        scope_discard_results(&keepers);
        scope_discard_results(&first);
        begin(&processes[0], &keepers, &first, 0);
        struct lease *lease = lease_want(processes[0].leases, STR("p"), 0);
        CHECK_OK(lease_wait(lease, NS_NEVER, &old));
        CHECK_OK(journal_commit(old, &op, 1, JOURNAL_SYNC));
        processes[0].is_cut = true;
        begin(&processes[1], &keepers, &first, 0);
        struct lease *other = lease_want(processes[1].leases, STR("p"), 0);
        CHECK_ERR(lease_wait(other, rt_now() + lease_time / 2, &now), E_AGAIN);
        CHECK_OK(lease_wait(other, NS_NEVER, &now));
        processes[0].is_cut = false;
        CHECK_ERR(journal_commit(old, &op, 1, JOURNAL_SYNC), E_FENCED);
        CHECK_ERR(journal_commit(old, NULL, 0, JOURNAL_SYNC), E_FENCED);
        CHECK_OK(journal_commit(now, &op, 1, JOURNAL_SYNC));
        CHECK_ERR(lease_watch(lease), E_FENCED);
        lease_lost(lease);
        lease_done(other);
        lease_drop(other);
        CHECK_OK(lease_wait(lease, NS_NEVER, &old));
        CHECK_OK(journal_commit(old, &op, 1, JOURNAL_SYNC));
        lease_done(lease);
    }
    close_real(2);
}

TEST(leases_that_were_taken_over_refuse_whatever_comes_late)
{
    in_sim(old_way_is_shut);
}

/* Cut and joined at drawn instants: never two owners, and in the end everybody has work. */
static void cuts_at_any_time(void)
{
    struct prng p;

    prng_seed(&p, test_seed());
    CHECK_OK(open_real());
    {
        SCOPE(keepers, NS_NEVER);
        SCOPE(all, NS_NEVER);
        scope_discard_results(&keepers);
        scope_discard_results(&all);
        for (size_t i = 0; i < 3; i++)
            begin(&processes[i], &keepers, &all, 5);
        for (unsigned i = 0; i < 60; i++) {
            struct process *one = &processes[prng_below(&p, 3)];
            one->is_cut = !one->is_cut;
            pass((ns_t)prng_below(&p, (uint64_t)lease_time * 2));
        }
        for (size_t i = 0; i < 3; i++)
            processes[i].is_cut = false;
        pass(6 * lease_time);
        for (size_t i = 0; i < 3; i++)
            CHECK_GE(owned(&processes[i], 5), 1);
        CHECK_EQ(owned(&processes[0], 5) + owned(&processes[1], 5) + owned(&processes[2], 5), 5);
        CHECK_GT(fenced, 0);
    }
    close_real(3);
}

TEST(leases_have_one_owner_however_often_processes_are_cut_off)
{
    in_sim(cuts_at_any_time);
}
