/* Structured concurrency: who waits for whom, what counts as a failure, and what is restored. In virtual time. */
#include "rt/scope.h"

#include "unit/in_loop.h"

#include <string.h>

/* A child that sleeps for a while and then ends as told. */
struct nap {
    ns_t span;
    err_t result;
    ns_t ended; /* out: when, whatever ended it */
};

static err_t nap_run(void *arg)
{
    struct nap *n = arg;
    err_t e = fiber_sleep_until(ns_add(rt_now(), n->span));
    n->ended = rt_now();
    return e != OK ? e : n->result;
}

static void nap_spawn(struct scope *s, struct nap *n)
{
    (void)scope_spawn(s, "nap", nap_run, n);
}

static void close_joins_body(void)
{
    ns_t start = rt_now();
    struct nap n = {.span = 10 * NS_SEC};
    {
        SCOPE(s, NS_NEVER);
        nap_spawn(&s, &n);
        CHECK_OK(fiber_sleep_until(start + NS_SEC));
    }
    CHECK_EQ(n.ended, start + NS_SEC); /* cancelled, and joined, at the end of the block */
    CHECK_EQ(rt_now(), start + NS_SEC);
}

TEST(scope_end_cancels_and_joins)
{
    in_sim(close_joins_body);
}

static void wait_any_body(void)
{
    SCOPE(s, NS_NEVER);
    ns_t start = rt_now();
    struct nap a = {.span = 2 * NS_SEC, .result = E_IO}, b = {.span = NS_SEC};
    err_t child;
    nap_spawn(&s, &a);
    nap_spawn(&s, &b);
    CHECK_ERR(scope_wait_any(&s, start + NS_MS, &child), E_AGAIN);
    CHECK_EQ(rt_now(), start + NS_MS);
    CHECK_OK(scope_wait_any(&s, start + 5 * NS_SEC, &child));
    CHECK_EQ(child, OK);
    CHECK_EQ(rt_now(), start + NS_SEC);
    CHECK_OK(fiber_sleep_until(start + 3 * NS_SEC)); /* it ends while we do something else */
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_EQ(child, E_IO);
    CHECK_STR(str_from_c(err_detail(E_IO)), err_text(E_IO)); /* it gave no words, and a stranger's are not put in */
    CHECK_ERR(scope_wait_any(&s, NS_NEVER, &child), E_NOT_FOUND);
}

TEST(scope_wait_any_takes_results_as_they_come)
{
    in_sim(wait_any_body);
}

static void wait_all_body(void)
{
    SCOPE(s, NS_NEVER);
    ns_t start = rt_now();
    struct nap naps[] = {
        {.span = 3 * NS_SEC}, {.span = 2 * NS_SEC, .result = E_REFUSED}, {.span = NS_SEC, .result = E_TLS}};
    for (size_t i = 0; i < ARRAY_LEN(naps); i++)
        nap_spawn(&s, &naps[i]);
    CHECK_ERR(scope_wait_all(&s), E_TLS); /* the first to fail, after all have ended */
    CHECK_EQ(rt_now(), start + 3 * NS_SEC);
    CHECK_OK(scope_wait_all(&s)); /* taken once */
}

TEST(scope_wait_all_reports_the_first_failure_when_all_have_ended)
{
    in_sim(wait_all_body);
}

/* ---- deadlines ---- */

static void two_in_a_row_body(void)
{
    ns_t start = rt_now();
    WITHIN(start + 10 * NS_SEC);
    {
        SCOPE(first, start + NS_SEC);
        CHECK_EQ(fiber_deadline(), start + NS_SEC);
        CHECK_ERR(fiber_sleep_until(start + 5 * NS_SEC), E_DEADLINE);
        {
            WITHIN(start + 20 * NS_SEC); /* later than what is around it: no effect */
            CHECK_EQ(fiber_deadline(), start + NS_SEC);
        }
    }
    CHECK_EQ(fiber_deadline(), start + 10 * NS_SEC);
    {
        SCOPE(second, start + 3 * NS_SEC);
        struct nap n = {.span = NS_SEC};
        nap_spawn(&second, &n);
        CHECK_OK(scope_wait_all(&second)); /* the first one's deadline is past and gone */
        CHECK_EQ(n.ended, start + 2 * NS_SEC);
    }
    CHECK_ERR(fiber_sleep_until(NS_NEVER), E_DEADLINE);
    CHECK_EQ(rt_now(), start + 10 * NS_SEC);
}

TEST(scope_deadline_is_restored_for_the_next_scope)
{
    in_sim(two_in_a_row_body);
}

/* Parent and child reach the deadline in one turn; which of them runs first must make no difference. */
static void inherit_body(void)
{
    for (int round = 0; round < 20; round++) {
        ns_t start = rt_now();
        struct nap forever = {.span = NS_NEVER};
        err_t child = OK;
        {
            SCOPE(s, start + 2 * NS_SEC);
            nap_spawn(&s, &forever);
            if (round % 2 == 0)
                CHECK_ERR(scope_wait_any(&s, NS_NEVER, &child), E_DEADLINE); /* ours, */
            else
                CHECK_ERR(scope_wait_all(&s), E_DEADLINE);
            CHECK_EQ(child, OK); /* not a failed child */
            CHECK_EQ(rt_now(), start + 2 * NS_SEC);
        }
        CHECK_EQ(forever.ended, start + 2 * NS_SEC);
    }
}

TEST(scope_inherited_deadline_is_the_parents_own)
{
    in_sim(inherit_body);
}

static err_t own_deadline(void *arg)
{
    WITHIN(rt_now() + NS_SEC);
    return nap_run(arg);
}

static void own_deadline_body(void)
{
    SCOPE(s, rt_now() + 10 * NS_SEC);
    struct nap forever = {.span = NS_NEVER};
    err_t child = OK;
    (void)scope_spawn(&s, "hasty", own_deadline, &forever);
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_EQ(child, E_DEADLINE); /* its own, narrower one: it failed */
    (void)scope_spawn(&s, "hasty", own_deadline, &forever);
    CHECK_ERR(scope_wait_all(&s), E_DEADLINE);
    CHECK(rt_now() < fiber_deadline());
}

TEST(scope_childs_own_deadline_is_its_failure)
{
    in_sim(own_deadline_body);
}

/* A child's result that is there already is given even if the deadline has passed meanwhile. */
static void late_look_body(void)
{
    ns_t start = rt_now();
    SCOPE(s, start + 2 * NS_SEC);
    struct nap n = {.span = NS_SEC};
    err_t child = E_IO;
    nap_spawn(&s, &n);
    {
        SHIELD(start + 10 * NS_SEC);
        CHECK_OK(fiber_sleep_until(start + 3 * NS_SEC));
    }
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_EQ(child, OK);
    CHECK_ERR(scope_wait_any(&s, NS_NEVER, &child), E_NOT_FOUND);
    CHECK_ERR(fiber_yield(), E_DEADLINE);
}

TEST(scope_result_that_is_there_is_given_after_the_deadline)
{
    in_sim(late_look_body);
}

/* ---- cancel ---- */

struct family {
    struct nap child, grandchild;
    err_t wait;
};

static err_t parent_run(void *arg)
{
    struct family *f = arg;
    SCOPE(s, NS_NEVER);
    nap_spawn(&s, &f->grandchild);
    nap_spawn(&s, &f->child);
    f->wait = scope_wait_all(&s);
    return f->wait;
}

static void cancel_tree_body(void)
{
    SCOPE(s, NS_NEVER);
    ns_t start = rt_now();
    struct family f = {.child = {.span = NS_NEVER}, .grandchild = {.span = NS_NEVER}};
    err_t child;
    struct fiber *parent = scope_spawn(&s, "parent", parent_run, &f);
    CHECK_OK(fiber_sleep_until(start + NS_SEC));
    fiber_cancel(parent);
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_EQ(child, E_CANCELLED);
    CHECK_EQ(f.wait, E_CANCELLED);
    CHECK_EQ(f.child.ended, start + NS_SEC);
    CHECK_EQ(f.grandchild.ended, start + NS_SEC);
}

TEST(scope_cancel_reaches_children_of_children)
{
    in_sim(cancel_tree_body);
}

static void scope_cancel_body(void)
{
    SCOPE(s, NS_NEVER);
    ns_t start = rt_now();
    struct nap a = {.span = NS_NEVER}, b = {.span = NS_NEVER}, c = {.span = NS_NEVER};
    err_t child;
    nap_spawn(&s, &a);
    nap_spawn(&s, &b);
    CHECK_OK(fiber_sleep_until(start + NS_SEC));
    scope_cancel(&s);
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_EQ(child, E_CANCELLED);
    nap_spawn(&s, &c);            /* born cancelled */
    CHECK_OK(scope_wait_all(&s)); /* what was asked for is no failure, and we are not cancelled ourselves */
    CHECK_EQ(c.ended, start + NS_SEC);
    CHECK_OK(fiber_sleep_until(start + 2 * NS_SEC));
}

TEST(scope_cancel_ends_children_now_and_to_come)
{
    in_sim(scope_cancel_body);
}

static err_t shielded_parent(void *arg)
{
    struct nap *n = arg;
    err_t e = fiber_sleep_until(NS_NEVER);
    SHIELD(rt_now() + 5 * NS_SEC);
    SCOPE(s, NS_NEVER);
    nap_spawn(&s, &n[0]);
    if (scope_wait_all(&s) != OK)
        return E_IO;
    nap_spawn(&s, &n[1]); /* longer than the shield holds */
    return scope_wait_all(&s) == E_DEADLINE ? e : E_IO;
}

static void shield_scope_body(void)
{
    SCOPE(s, NS_NEVER);
    ns_t start = rt_now();
    struct nap n[2] = {{.span = 2 * NS_SEC}, {.span = 9 * NS_SEC}};
    err_t child;
    struct fiber *f = scope_spawn(&s, "parent", shielded_parent, n);
    CHECK_OK(fiber_sleep_until(start + NS_SEC));
    fiber_cancel(f);
    CHECK_OK(fiber_sleep_until(start + 2 * NS_SEC));
    scope_cancel(&s); /* once more, in the middle of the goodbye */
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_EQ(child, E_CANCELLED);
    CHECK_EQ(n[0].ended, start + 3 * NS_SEC);
    CHECK_EQ(n[1].ended, start + 6 * NS_SEC);
}

TEST(scope_in_a_shield_is_out_of_reach_of_cancel)
{
    in_sim(shield_scope_body);
}

static err_t shielded_first(void *arg)
{
    SHIELD(rt_now() + 5 * NS_SEC);
    SCOPE(s, NS_NEVER);
    nap_spawn(&s, arg);
    return scope_wait_all(&s);
}

static void shield_before_cancel_body(void)
{
    SCOPE(s, NS_NEVER);
    ns_t start = rt_now();
    struct nap n = {.span = 3 * NS_SEC};
    struct fiber *f = scope_spawn(&s, "parent", shielded_first, &n);
    CHECK_OK(fiber_sleep_until(start + NS_SEC));
    fiber_cancel(f); /* the first it hears of it, in the middle of its shield */
    CHECK_OK(scope_wait_all(&s));
    CHECK_EQ(n.ended, start + 3 * NS_SEC);
}

TEST(scope_in_a_shield_is_out_of_reach_of_the_first_cancel_too)
{
    in_sim(shield_before_cancel_body);
}

static err_t slow_to_leave(void *arg)
{
    struct nap *n = arg;
    err_t e = fiber_sleep_until(NS_NEVER);
    SHIELD(NS_NEVER);
    (void)nap_run(n);
    return e;
}

static err_t closes_while_cancelled(void *arg)
{
    SCOPE(s, NS_NEVER);
    (void)scope_spawn(&s, "slow", slow_to_leave, arg);
    return fail(fiber_sleep_until(NS_NEVER), "the words on the way out");
}

static void close_uncut_body(void)
{
    SCOPE(s, NS_NEVER);
    ns_t start = rt_now();
    struct nap n = {.span = 3 * NS_SEC};
    err_t child;
    struct fiber *f = scope_spawn(&s, "closer", closes_while_cancelled, &n);
    CHECK_OK(fiber_sleep_until(start + NS_SEC));
    fiber_cancel(f);
    CHECK_OK(scope_wait_any(&s, NS_NEVER, &child));
    CHECK_EQ(child, E_CANCELLED);
    CHECK_EQ(rt_now(), start + 4 * NS_SEC); /* joined, however long it takes */
    CHECK_STR(str_from_c(err_detail(child)), "the words on the way out");
}

TEST(scope_end_waits_even_if_cancelled_and_keeps_the_error)
{
    in_sim(close_uncut_body);
}

/* ---- results that nobody wants ---- */

static void discard_body(void)
{
    SCOPE(s, NS_NEVER);
    struct loop_stats before, after;
    struct nap n = {.span = 0};
    scope_discard_results(&s);
    loop_stats(&before);
    for (int i = 0; i < 100; i++) {
        nap_spawn(&s, &n);
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
    }
    loop_stats(&after);
    CHECK_EQ(after.fibers, before.fibers);
    CHECK_LE(after.stack_bytes, before.stack_bytes + 400 * 1024 * (size_t)(sizeof(void *) == 8 ? 4 : 1));
    err_t child;
    CHECK_ERR(scope_wait_any(&s, NS_NEVER, &child), E_NOT_FOUND);
}

TEST(scope_discarded_results_give_their_stacks_back_at_once)
{
    in_sim(discard_body);
}

static void late_discard_body(void)
{
    SCOPE(s, NS_NEVER);
    struct loop_stats st;
    struct nap n = {.span = 0};
    for (int i = 0; i < 10; i++)
        nap_spawn(&s, &n);
    CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
    loop_stats(&st);
    unsigned kept = st.stacks_free;
    scope_discard_results(&s);
    loop_stats(&st);
    CHECK_EQ(st.stacks_free, kept + 10);
}

TEST(scope_discard_drops_results_that_are_there)
{
    in_sim(late_discard_body);
}

/* ---- the function of the runtime's contract, against its exact finishing time ---- */

static err_t call_hedged(struct nap *naps, size_t n, ns_t gap, ns_t deadline)
{
    SCOPE(s, deadline);

    for (size_t next = 0, live = 0; next < n || live > 0;) {
        ns_t until = NS_NEVER;
        if (next < n) {
            nap_spawn(&s, &naps[next++]);
            live++;
            if (next < n)
                until = rt_now() + gap;
        }
        err_t child;
        err_t e = scope_wait_any(&s, until, &child);
        if (e == E_AGAIN)
            continue;
        TRY(e);
        if (child == OK)
            return OK;
        live--;
    }
    return fail(E_UPSTREAM, "all attempts failed");
}

static void hedge_body(void)
{
    ns_t start = rt_now();
    struct nap slow_then_good[] = {{.span = 9 * NS_SEC}, {.span = NS_SEC}, {.span = 9 * NS_SEC}};
    CHECK_OK(call_hedged(slow_then_good, 3, 2 * NS_SEC, NS_NEVER));
    CHECK_EQ(rt_now(), start + 3 * NS_SEC);
    CHECK_EQ(slow_then_good[0].ended, start + 3 * NS_SEC); /* the loser left with the winner */
    CHECK_EQ(slow_then_good[2].ended, 0);                  /* and the third was never asked */

    start = rt_now();
    struct nap failing[] = {{.span = NS_SEC, .result = E_IO}, {.span = NS_SEC, .result = E_IO}};
    CHECK_ERR(call_hedged(failing, 2, 5 * NS_SEC, NS_NEVER), E_UPSTREAM);
    CHECK_EQ(rt_now(), start + 2 * NS_SEC);

    start = rt_now();
    struct nap hanging[] = {{.span = NS_NEVER}, {.span = NS_NEVER}};
    CHECK_ERR(call_hedged(hanging, 2, NS_SEC, start + 4 * NS_SEC), E_DEADLINE);
    CHECK_EQ(rt_now(), start + 4 * NS_SEC);
}

TEST(scope_hedged_call_finishes_exactly_when_it_should)
{
    in_sim(hedge_body);
}
