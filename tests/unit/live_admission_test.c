/* live_admission_test.c - gates and the queues in front of them: places are promised in order, whoever makes them and wherever it waits. */
#include "fleet/live.h"

#include "base/mem.h"
#include "rt/loops.h"
#include "rt/scope.h"
#include "rt/threads.h"
#include "unit/in_loop.h"

#include <stdio.h>

static const struct concurrency_rules one = {
    .least = 1, .most = 1, .first = 1, .per_token = 40 * NS_MS, .interval = NS_SEC, .samples = 5};

struct place {
    struct live *live;
    struct live_deployment *d[2];
    struct live_route *route[2];
    struct live_gate *gate[2];
    struct live_queue *queue[2];
};

/* Two deployments of one place each. The first route has both, the second the first one only. */
static void open_place(struct place *p)
{
    *p = (struct place){.live = live_new()};
    for (size_t i = 0; i < 2; i++) {
        p->d[i] = live_deployment_ref(p->live, i ? STR("p/b") : STR("p/a"));
        p->route[i] = live_route_ref(p->live, i ? STR("small") : STR("chat"));
        p->gate[i] = live_deployment_gate(p->d[i]);
        p->queue[i] = live_route_queue(p->route[i]);
        live_gate_set(p->gate[i], &one, rt_now());
    }
    live_route_set(p->route[0], p->d, 2);
    live_route_set(p->route[1], p->d, 1);
}

static void close_place(struct place *p)
{
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(p->gate[i]->in_flight, 0);
        CHECK_EQ(p->gate[i]->promised, 0);
        CHECK_EQ(p->queue[i]->waiting, 0);
        live_route_unref(p->route[i]);
    }
    for (size_t i = 0; i < 2; i++)
        live_deployment_unref(p->d[i]);
    live_free(p->live);
}

static struct live_ticket ticket(struct str tenant)
{
    return (struct live_ticket){.tenant = tenant, .weight = 1, .entry = {.tokens = 1000, .start_by = NS_NEVER}};
}

/* Everybody else goes on until it waits: virtual time moves only then. */
static SUSPENDS err_t others_run(void)
{
    return fiber_sleep_until(rt_now() + NS_MS);
}

/* Someone who waits for a place, has it for a while, and goes. */
struct guest {
    struct place *place;
    struct live_queue *queue;
    struct live_ticket ticket;
    ns_t stays;
    enum fair_verdict verdict;
    ns_t came; /* 0: never */
    err_t error;
    unsigned turn;
};

static unsigned turns;

static err_t wait_and_stay(void *arg)
{
    struct guest *g = arg;
    ns_t wait;

    g->verdict = live_queue_enter(g->queue, &fair_rules_usual, &g->ticket, rt_now(), &wait);
    if (g->verdict != FAIR_QUEUED)
        return OK;
    g->error = wakeup_wait(&g->ticket.wakeup, NS_NEVER);
    if (g->error != OK) {
        if (!live_queue_leave(g->queue, &g->ticket))
            wakeup_join(&g->ticket.wakeup);
        if (g->ticket.promise)
            live_gate_return(g->ticket.promise, true, rt_now());
        return g->error;
    }
    if (g->ticket.is_late)
        return OK;
    g->came = rt_now();
    g->turn = ++turns;
    if (!live_gate_take(g->ticket.promise, true))
        return fail(E_OVERLOAD, "a promise was not kept");
    err_t e = fiber_sleep_until(rt_now() + g->stays);
    live_gate_give(g->ticket.promise, rt_now());
    return e;
}

static void invite(struct guest *g, struct place *p, unsigned queue, struct str tenant)
{
    *g = (struct guest){.place = p, .queue = p->queue[queue], .ticket = ticket(tenant), .stays = NS_SEC};
}

static void fill(struct place *p)
{
    CHECK(live_gate_take(p->gate[0], false));
    CHECK(live_gate_take(p->gate[1], false));
    CHECK(!live_gate_take(p->gate[0], false));
    CHECK(!live_gate_admits(p->gate[0]));
}

static void in_order_body(void)
{
    struct place p;
    struct guest g[3];
    open_place(&p);
    fill(&p);
    turns = 0;
    {
        SCOPE(s, NS_NEVER);
        for (unsigned i = 0; i < 3; i++) {
            invite(&g[i], &p, 0, STR("a"));
            (void)scope_spawn(&s, "guest", wait_and_stay, &g[i]);
            CHECK_OK(others_run());
        }
        CHECK_EQ(p.queue[0]->waiting, 3);
        ns_t begun = rt_now();
        live_gate_give(p.gate[1], begun);
        CHECK_EQ(p.gate[1]->promised, 1);
        CHECK(!live_gate_admits(p.gate[1])); /* it is somebody's */
        CHECK(!live_gate_take(p.gate[1], false));
        CHECK_OK(scope_wait_all(&s));
        CHECK(g[0].came == begun && g[1].came == begun + NS_SEC && g[2].came == begun + 2 * NS_SEC);
    }
    live_gate_give(p.gate[0], rt_now());
    close_place(&p);
}

TEST(admission_promises_a_free_place_to_who_waited_longest_and_to_nobody_else)
{
    in_sim(in_order_body);
}

static void free_before_body(void)
{
    struct place p;
    struct guest g;

    open_place(&p);
    invite(&g, &p, 0, STR("a"));
    CHECK_OK(wait_and_stay(&g)); /* both are free, and nothing will happen there */
    CHECK(g.came > 0);
    close_place(&p);
}

TEST(admission_lets_in_at_once_who_queues_although_a_place_is_free)
{
    in_sim(free_before_body);
}

static void cancel_body(void)
{
    struct place p;
    struct guest g[2];

    open_place(&p);
    fill(&p);
    {
        SCOPE(s, NS_NEVER);
        struct fiber *f[2];
        for (unsigned i = 0; i < 2; i++) {
            invite(&g[i], &p, 0, STR("a"));
            f[i] = scope_spawn(&s, "guest", wait_and_stay, &g[i]);
            CHECK_OK(others_run());
        }
        live_gate_give(p.gate[0], rt_now()); /* the first is called, and cancelled before it hears of it */
        fiber_cancel(f[0]);
        CHECK_ERR(scope_wait_all(&s), E_CANCELLED);
        CHECK_ERR(g[0].error, E_CANCELLED);
        CHECK(g[0].came == 0 && g[1].came > 0);
    }
    live_gate_give(p.gate[1], rt_now());
    close_place(&p);
}

TEST(admission_passes_the_turn_of_a_called_one_that_was_cancelled)
{
    in_sim(cancel_body);
}

static void leave_body(void)
{
    struct place p;
    struct guest g[2];

    open_place(&p);
    fill(&p);
    {
        SCOPE(s, NS_NEVER);
        struct fiber *f[2];
        for (unsigned i = 0; i < 2; i++) {
            invite(&g[i], &p, 0, STR("a"));
            f[i] = scope_spawn(&s, "guest", wait_and_stay, &g[i]);
            CHECK_OK(others_run());
        }
        fiber_cancel(f[0]);
        CHECK_OK(fiber_sleep_until(rt_now() + NS_MS));
        CHECK_EQ(p.queue[0]->waiting, 1);
        live_gate_give(p.gate[0], rt_now());
        CHECK_ERR(scope_wait_all(&s), E_CANCELLED);
        CHECK(g[1].came > 0);
    }
    live_gate_give(p.gate[1], rt_now());
    close_place(&p);
}

TEST(admission_forgets_who_gave_up)
{
    in_sim(leave_body);
}

/* The routes share p/a: its place goes to them in turn, and to the second although nothing of its own ever ends. */
static void share_body(void)
{
    struct place p;
    struct guest g[4];

    open_place(&p);
    fill(&p);
    turns = 0;
    {
        SCOPE(s, NS_NEVER);
        for (unsigned i = 0; i < 4; i++) {
            invite(&g[i], &p, i / 2, STR("a"));
            (void)scope_spawn(&s, "guest", wait_and_stay, &g[i]);
            CHECK_OK(others_run());
        }
        live_gate_give(p.gate[0], rt_now());
        CHECK_OK(scope_wait_all(&s));
        CHECK(g[0].turn == 1 && g[2].turn == 2 && g[1].turn == 3 && g[3].turn == 4);
    }
    live_gate_give(p.gate[1], rt_now());
    close_place(&p);
}

TEST(admission_serves_routes_that_share_a_deployment_in_turn)
{
    in_sim(share_body);
}

static void late_body(void)
{
    struct place p;
    struct guest g[2];

    open_place(&p);
    fill(&p);
    {
        SCOPE(s, NS_NEVER);
        for (unsigned i = 0; i < 2; i++) {
            invite(&g[i], &p, 0, STR("a"));
            g[i].ticket.entry.start_by = i ? NS_NEVER : rt_now() + NS_SEC;
            (void)scope_spawn(&s, "guest", wait_and_stay, &g[i]);
            CHECK_OK(others_run());
        }
        CHECK_OK(fiber_sleep_until(rt_now() + 2 * NS_SEC));
        live_gate_give(p.gate[0], rt_now());
        CHECK_OK(scope_wait_all(&s));
        CHECK(g[0].ticket.is_late && g[0].ticket.promise == NULL && g[0].came == 0);
        CHECK(g[1].came > 0);
    }
    live_gate_give(p.gate[1], rt_now());
    close_place(&p);
}

TEST(admission_calls_who_is_late_without_a_place)
{
    in_sim(late_body);
}

static void raised_body(void)
{
    static const struct concurrency_rules three = {.least = 3, .most = 8, .first = 3, .samples = 1};
    struct place p;
    struct guest g[3];

    open_place(&p);
    fill(&p);
    {
        SCOPE(s, NS_NEVER);
        for (unsigned i = 0; i < 3; i++) {
            invite(&g[i], &p, 1, STR("a"));
            (void)scope_spawn(&s, "guest", wait_and_stay, &g[i]);
            CHECK_OK(others_run());
        }
        live_gate_set(p.gate[0], &three, rt_now());
        CHECK_EQ(p.gate[0]->promised, 2);
        live_gate_set(p.gate[0], NULL, rt_now());
        CHECK_EQ(p.gate[0]->promised, 3);
        CHECK(live_gate_admits(p.gate[0]));
        CHECK_OK(scope_wait_all(&s));
    }
    live_gate_give(p.gate[0], rt_now());
    live_gate_give(p.gate[1], rt_now());
    close_place(&p);
}

TEST(admission_calls_as_many_as_a_higher_limit_has_room_for)
{
    in_sim(raised_body);
}

/* A route that lost its deployments and got another waits for that one. */
static void moved_body(void)
{
    struct place p;
    struct guest g;

    open_place(&p);
    fill(&p);
    {
        SCOPE(s, NS_NEVER);
        invite(&g, &p, 1, STR("a"));
        (void)scope_spawn(&s, "guest", wait_and_stay, &g);
        CHECK_OK(others_run());
        live_route_set(p.route[1], p.d + 1, 1);
        live_gate_give(p.gate[0], rt_now());
        CHECK_EQ(p.gate[0]->promised, 0);
        live_gate_give(p.gate[1], rt_now());
        CHECK_EQ(p.gate[1]->promised, 1);
        CHECK_OK(scope_wait_all(&s));
    }
    close_place(&p);
}

TEST(admission_waits_for_the_deployments_of_a_new_configuration)
{
    in_sim(moved_body);
}

/* What changes without an event is seen by who looks, and not by who looks too often. */
static void offer_body(void)
{
    struct place p;
    struct guest g;

    open_place(&p);
    fill(&p);
    {
        SCOPE(s, NS_NEVER);
        invite(&g, &p, 1, STR("a"));
        (void)scope_spawn(&s, "guest", wait_and_stay, &g);
        CHECK_OK(others_run());
        live_queue_offer(p.queue[1], rt_now());
        atomic_fetch_add(&p.gate[0]->promised, 1);
        live_gate_give(p.gate[0], rt_now());
        live_gate_return(p.gate[0], false, rt_now()); /* free, and nobody was told */
        CHECK_EQ(p.queue[1]->waiting, 1);
        live_queue_offer(p.queue[1], rt_now());
        CHECK_EQ(p.queue[1]->waiting, 1);
        live_queue_offer(p.queue[1], rt_now() + LIVE_OFFER_EVERY);
        CHECK_EQ(p.queue[1]->waiting, 0);
        CHECK_OK(scope_wait_all(&s));
    }
    live_gate_give(p.gate[1], rt_now());
    close_place(&p);
}

TEST(admission_offers_what_came_free_unheard)
{
    in_sim(offer_body);
}

/* For whom what is free is of no use, that is no reason to be called; what happens later is. */
static void patient_body(void)
{
    struct place p;
    struct guest g;

    open_place(&p);
    {
        SCOPE(s, NS_NEVER);
        invite(&g, &p, 1, STR("a"));
        g.ticket.patient = true;
        (void)scope_spawn(&s, "guest", wait_and_stay, &g);
        CHECK_OK(others_run());
        CHECK_EQ(p.queue[1]->waiting, 1);
        CHECK(live_gate_take(p.gate[0], false));
        live_gate_give(p.gate[0], rt_now());
        CHECK_OK(scope_wait_all(&s));
        CHECK(g.came > 0);
    }
    close_place(&p);
}

TEST(admission_lets_a_patient_one_wait_for_the_next_event)
{
    in_sim(patient_body);
}

/* --- tenants --- */

static void refuse_body(void)
{
    static const struct fair_rules small = {.quantum = 2000, .entries = 3, .per_flow = 2, .lower_share = 50};
    struct place p;
    struct live_ticket t[4];
    static const char *const names[] = {"a", "a", "a", "b"};
    static const enum fair_verdict want[] = {FAIR_QUEUED, FAIR_QUEUED, FAIR_FLOW_FULL, FAIR_QUEUED};
    ns_t wait;

    open_place(&p);
    fill(&p);
    for (unsigned i = 0; i < 4; i++) {
        t[i] = ticket(str_from_c(names[i]));
        CHECK_EQ(live_queue_enter(p.queue[0], &small, &t[i], rt_now(), &wait), want[i]);
        CHECK(live_queue_leave(p.queue[0], &t[i]) == (want[i] == FAIR_QUEUED));
        if (want[i] == FAIR_QUEUED)
            CHECK_EQ(live_queue_enter(p.queue[0], &small, &t[i], rt_now(), &wait), FAIR_QUEUED);
    }
    struct live_ticket more = ticket(STR("c"));
    CHECK_EQ(live_queue_enter(p.queue[0], &small, &more, rt_now(), &wait), FAIR_FULL);
    CHECK_EQ(p.queue[0]->verdicts[FAIR_FULL], 1);
    CHECK_EQ(p.queue[0]->verdicts[FAIR_FLOW_FULL], 1);
    for (unsigned i = 0; i < 4; i++)
        CHECK(live_queue_leave(p.queue[0], &t[i]) == (want[i] == FAIR_QUEUED));
    live_gate_give(p.gate[0], rt_now());
    live_gate_give(p.gate[1], rt_now());
    close_place(&p);
}

TEST(admission_refuses_who_finds_the_queue_or_its_own_part_full)
{
    in_sim(refuse_body);
}

static void many_body(void)
{
    struct place p;
    struct live_ticket t;
    char name[16];
    ns_t wait;

    open_place(&p);
    fill(&p);
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof name, "tenant %u", i);
        t = ticket(str_from_c(name));
        CHECK_EQ(live_queue_enter(p.queue[0], &fair_rules_usual, &t, rt_now(), &wait), FAIR_QUEUED);
        CHECK(live_queue_leave(p.queue[0], &t));
        CHECK(p.queue[0]->flows.count <= 1025);
    }
    live_gate_give(p.gate[0], rt_now());
    live_gate_give(p.gate[1], rt_now());
    close_place(&p);
}

TEST(admission_remembers_a_bounded_number_of_tenants)
{
    in_sim(many_body);
}

/* Requests of a tenant that is not known: of them only their size counts. */
static void learn_usual(struct live_queue *q, uint64_t tokens)
{
    for (unsigned i = 0; i < 500; i++)
        live_queue_settle(q, STR("unknown"), 0, tokens, tokens);
}

/* Tenants take turns request by request, however small these are; of whom nothing is known, one counts as usual. */
static void turns_body(void)
{
    struct place p;
    struct guest g[6];

    open_place(&p);
    fill(&p);
    turns = 0;
    learn_usual(p.queue[1], 100);
    {
        SCOPE(s, NS_NEVER);
        for (unsigned i = 0; i < 6; i++) {
            invite(&g[i], &p, 1, i < 3 ? STR("a") : STR("b"));
            g[i].ticket.entry.tokens = i % 2 ? 100 : 0;
            (void)scope_spawn(&s, "guest", wait_and_stay, &g[i]);
            CHECK_OK(others_run());
            CHECK_EQ(g[i].ticket.entry.tokens, 100);
        }
        live_gate_give(p.gate[0], rt_now());
        CHECK_OK(scope_wait_all(&s));
        for (unsigned i = 0; i < 6; i++)
            CHECK_EQ(g[i].turn, i < 3 ? 2 * i + 1 : 2 * (i - 3) + 2);
    }
    live_gate_give(p.gate[1], rt_now());
    close_place(&p);
}

TEST(admission_alternates_between_tenants_request_by_request)
{
    in_sim(turns_body);
}

/* Who took more than it said waits longer the next time. */
static void settle_body(void)
{
    struct place p;
    struct guest g[5];

    open_place(&p);
    fill(&p);
    turns = 0;
    {
        SCOPE(s, NS_NEVER);
        invite(&g[4], &p, 1, STR("a"));
        (void)scope_spawn(&s, "guest", wait_and_stay, &g[4]);
        CHECK_OK(others_run());
        live_gate_give(p.gate[0], rt_now());
        CHECK_OK(others_run());
        live_queue_settle(p.queue[1], STR("a"), 0, 1000, 50000);
        learn_usual(p.queue[1], 1000);
        for (unsigned i = 0; i < 4; i++) {
            invite(&g[i], &p, 1, i < 1 ? STR("a") : STR("b"));
            (void)scope_spawn(&s, "guest", wait_and_stay, &g[i]);
            CHECK_OK(others_run());
        }
        CHECK_OK(scope_wait_all(&s));
        CHECK(g[4].turn == 1 && g[1].turn == 2 && g[2].turn == 3 && g[3].turn == 4 && g[0].turn == 5);
    }
    live_gate_give(p.gate[1], rt_now());
    close_place(&p);
}

TEST(admission_settles_with_the_true_tokens)
{
    in_sim(settle_body);
}

/* --- attempts --- */

static const struct live_rules *rules(void)
{
    static struct live_rules r;
    r = (struct live_rules){
        .outlier = outlier_rules_usual, .latency = latency_rules_usual, .budget = retry_budget_usual};
    return &r;
}

static enum exclusion seen(struct live_deployment *d, ns_t now)
{
    struct strategy_candidate c = {.weight = 1};

    live_read(d, rules(), 0, now, &c);
    return c.excluded;
}

static void attempt_body(void)
{
    struct place p;
    struct live_attempt a, b;
    ns_t now = rt_now();

    open_place(&p);
    CHECK_EQ(live_send(p.d[0], rules(), 10, 10, 0, now, &a), EXCLUDED_NOT);
    CHECK_EQ(seen(p.d[0], now), EXCLUDED_CAPACITY);
    CHECK_EQ(live_send(p.d[0], rules(), 10, 10, 0, now, &b), EXCLUDED_CAPACITY);
    CHECK(b.deployment == NULL);
    live_end(&b, p.route[0], rules(), CAUSE_NO_CAPACITY, 0, 0, now);
    CHECK_EQ(p.gate[0]->in_flight, 1);
    live_end(&a, p.route[0], rules(), CAUSE_OK, 0, 0, now);
    CHECK_EQ(seen(p.d[0], now), EXCLUDED_NOT);
    close_place(&p);
}

TEST(admission_is_decided_anew_when_an_attempt_is_sent)
{
    in_sim(attempt_body);
}

/* A place that is kept for a deployment that has meanwhile been ejected is free again. */
static void ejected_body(void)
{
    struct place p;
    struct live_attempt a;
    ns_t now = rt_now();

    open_place(&p);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(live_send(p.d[0], rules(), 1, 1, 0, now, &a), EXCLUDED_NOT);
        live_end(&a, p.route[0], rules(), CAUSE_SERVER_ERROR, 0, 0, now);
    }
    atomic_fetch_add(&p.gate[0]->promised, 1);
    CHECK_EQ(live_send(p.d[0], rules(), 1, 1, LIVE_PROMISED, now, &a), EXCLUDED_EJECTED);
    CHECK(a.deployment == NULL);
    close_place(&p);
}

TEST(admission_gives_the_place_of_an_attempt_back_that_may_not_be_sent)
{
    in_sim(ejected_body);
}

static const struct concurrency_rules adaptive = {.least = 1,
                                                  .most = 64,
                                                  .first = 16,
                                                  .first_token = NS_SEC,
                                                  .per_token = 40 * NS_MS,
                                                  .interval = NS_SEC,
                                                  .samples = 4};

static double limit_of(struct place *p)
{
    struct live_gate_report r;
    live_gate_report(p->gate[0], &r);
    return r.limit;
}

/* One stream: `events` of `per_event` each, told in reads of four. */
static void stream(struct place *p, ns_t *now, ns_t first, unsigned events, ns_t per_event, uint64_t tokens)
{
    struct live_attempt a;

    if (live_send(p->d[0], rules(), 10, 10, 0, *now, &a) != EXCLUDED_NOT)
        return;
    *now += first;
    live_first_token(&a, rules(), 0, *now);
    for (unsigned i = 0; i < events; i += 4) {
        *now += 4 * per_event;
        live_progress(&a, 4, *now);
    }
    live_end(&a, p->route[0], rules(), CAUSE_OK, tokens, *now, *now);
}

static void per_token_body(void)
{
    struct place p;
    ns_t now = rt_now() + 10 * NS_SEC;

    open_place(&p);
    live_gate_set(p.gate[0], NULL, now);
    live_gate_set(p.gate[0], &adaptive, now);
    stream(&p, &now, 100 * NS_MS, 320, 60 * NS_MS, 320); /* one long answer is enough */
    CHECK(limit_of(&p) < 16);
    live_gate_set(p.gate[0], NULL, now);
    live_gate_set(p.gate[0], &adaptive, now);
    stream(&p, &now, 100 * NS_MS, 320, 39 * NS_MS, 320);
    CHECK(limit_of(&p) == 16);
    close_place(&p);
}

TEST(admission_learns_from_the_middle_of_a_stream)
{
    in_sim(per_token_body);
}

/* Of a provider that packs three tokens into an event, the first answer tells so. */
static void packed_body(void)
{
    struct place p;
    ns_t now = rt_now() + 10 * NS_SEC;

    open_place(&p);
    live_gate_set(p.gate[0], NULL, now);
    stream(&p, &now, 100 * NS_MS, 320, 90 * NS_MS, 961);
    live_gate_set(p.gate[0], &adaptive, now);
    stream(&p, &now, 100 * NS_MS, 320, 90 * NS_MS, 961);
    CHECK(limit_of(&p) == 16);
    stream(&p, &now, 100 * NS_MS, 320, 150 * NS_MS, 961);
    CHECK(limit_of(&p) < 16);
    close_place(&p);
}

TEST(admission_learns_how_many_tokens_an_event_has)
{
    in_sim(packed_body);
}

static void first_token_body(void)
{
    struct place p;
    ns_t now = rt_now() + 10 * NS_SEC;

    open_place(&p);
    live_gate_set(p.gate[0], NULL, now);
    live_gate_set(p.gate[0], &adaptive, now);
    for (unsigned i = 0; i < 4; i++)
        stream(&p, &now, 2 * NS_SEC, 0, 0, 1);
    CHECK(limit_of(&p) < 16);
    close_place(&p);
}

TEST(admission_learns_from_first_tokens)
{
    in_sim(first_token_body);
}

static void whole(struct place *p, ns_t *now, ns_t took, enum cause cause)
{
    struct live_attempt a;

    if (live_send(p->d[0], rules(), 10, 10, 0, *now, &a) != EXCLUDED_NOT)
        return;
    *now += took;
    live_end(&a, p->route[0], rules(), cause, 101, *now, *now);
}

static void whole_body(void)
{
    struct place p;
    ns_t now = rt_now() + 10 * NS_SEC;

    open_place(&p);
    live_gate_set(p.gate[0], NULL, now);
    live_gate_set(p.gate[0], &adaptive, now);
    for (unsigned i = 0; i < 8; i++)
        whole(&p, &now, 4900 * NS_MS, CAUSE_OK); /* 1 s and 100 * 40 ms are allowed */
    CHECK(limit_of(&p) == 16);
    for (unsigned i = 0; i < 8; i++)
        whole(&p, &now, 6 * NS_SEC, CAUSE_OK);
    CHECK(limit_of(&p) < 16);
    live_gate_set(p.gate[0], NULL, now);
    now += 10 * NS_SEC;
    live_gate_set(p.gate[0], &adaptive, now);
    whole(&p, &now, 2 * NS_SEC, CAUSE_OVERLOADED);
    CHECK(limit_of(&p) < 16);
    struct live_gate_report r;
    live_gate_report(p.gate[0], &r);
    CHECK_EQ(r.reason, CONCURRENCY_OVERLOADED);
    close_place(&p);
}

TEST(admission_holds_a_whole_answer_against_both_objectives_and_hears_of_overload)
{
    in_sim(whole_body);
}

static void rules_body(void)
{
    struct concurrency_rules narrower = adaptive;
    struct place p;

    open_place(&p);
    live_gate_set(p.gate[0], NULL, rt_now());
    CHECK(limit_of(&p) == 0);
    live_gate_set(p.gate[0], &adaptive, rt_now());
    narrower.first = 2;
    live_gate_set(p.gate[0], &narrower, rt_now());
    CHECK(limit_of(&p) == 16); /* what was learned stays */
    narrower.most = 8;
    live_gate_set(p.gate[0], &narrower, rt_now());
    CHECK(limit_of(&p) == 8);
    close_place(&p);
}

TEST(admission_keeps_its_limit_over_a_reload_as_far_as_the_rules_allow)
{
    in_sim(rules_body);
}

/* --- several loops --- */

enum { LOOPS = 3, GUESTS = 40, VISITS = 60 };

static struct {
    struct place place;
    struct loops *group;
    atomic_uint inside[2], too_many, visits;
} crowd;

/* Come again and again; sometimes give up at once. */
static SUSPENDS err_t visit(struct guest *g, uint64_t draw)
{
    struct place *p = &crowd.place;
    struct live_gate *at;
    ns_t wait;

    g->ticket = ticket(draw & 1 ? STR("a") : STR("b"));
    if (live_queue_enter(g->queue, &fair_rules_usual, &g->ticket, rt_now(), &wait) != FAIR_QUEUED)
        return fail(E_OVERLOAD, "the queue is full");
    err_t e = wakeup_wait(&g->ticket.wakeup, draw % 7 == 0 ? rt_now() : NS_NEVER);
    if (e != OK && !live_queue_leave(g->queue, &g->ticket)) {
        wakeup_join(&g->ticket.wakeup);
        live_gate_return(g->ticket.promise, true, rt_now());
    }
    if (e != OK)
        return e == E_AGAIN ? OK : e;
    at = g->ticket.promise;
    if (!live_gate_take(at, true))
        return fail(E_OVERLOAD, "a promise was not kept");
    if (atomic_fetch_add(&crowd.inside[at == p->gate[1]], 1) > 0)
        atomic_fetch_add(&crowd.too_many, 1);
    e = fiber_yield();
    atomic_fetch_sub(&crowd.inside[at == p->gate[1]], 1);
    live_gate_give(at, rt_now());
    atomic_fetch_add(&crowd.visits, 1);
    return e;
}

static err_t come_often(void *arg)
{
    struct guest *g = arg;

    for (unsigned i = 0; i < VISITS; i++)
        TRY(visit(g, rt_random()));
    return OK;
}

static SUSPENDS err_t all_come(unsigned index)
{
    struct guest guests[GUESTS];
    SCOPE(s, NS_NEVER);

    TRY(loops_join(crowd.group, index, NULL));
    for (unsigned i = 0; i < GUESTS; i++) {
        guests[i] = (struct guest){.queue = crowd.place.queue[i % 3 == 0]};
        (void)scope_spawn(&s, "guest", come_often, &guests[i]);
    }
    TRY(scope_wait_all(&s));
    return loops_leave(crowd.group);
}

static err_t crowd_main(void *arg)
{
    return all_come(*(const unsigned *)arg);
}

static err_t run_crowd(unsigned index, void *ctx UNUSED)
{
    return loop_run(&(struct loop_options){.index = index}, crowd_main, &index);
}

TEST(admission_of_several_loops_calls_everybody_and_never_two_to_one_place)
{
    open_place(&crowd.place);
    crowd.group = loops_new(LOOPS);
    atomic_store(&crowd.visits, 0);
    CHECK_OK(threads_run(LOOPS, run_crowd, NULL));
    loops_free(crowd.group);
    CHECK_EQ(atomic_load(&crowd.too_many), 0);
    CHECK_GT(atomic_load(&crowd.visits), LOOPS * GUESTS * VISITS / 2);
    close_place(&crowd.place);
}
