/* fair_queue_test.c - tenants share what there is by weight, nobody starves, and who would be too late is told at once. */
#include "policy/fair_queue.h"

#include "base/attr.h"
#include "base/mem.h"
#include "base/prng.h"
#include "unit/test.h"

#include <math.h>

static const struct fair_rules *const usual = &fair_rules_usual;

static struct fair_entry *entry(uint64_t tokens, unsigned level)
{
    struct fair_entry *e = NEW(struct fair_entry);

    *e = (struct fair_entry){.tokens = tokens, .level = level, .start_by = NS_NEVER};
    return e;
}

/* Pop and free; the flow, or NULL. */
static struct fair_flow *pop_flow(struct fair_queue *q, ns_t now, uint64_t *ret_tokens)
{
    bool late;
    struct fair_entry *e = fair_queue_pop(q, usual, now, &late);
    struct fair_flow *flow = e ? e->flow_ : NULL;

    *ret_tokens = e ? e->tokens : 0;
    mem_free(e);
    return flow;
}

static void drain(struct fair_queue *q)
{
    uint64_t tokens;

    while (pop_flow(q, 0, &tokens)) {
    }
}

TEST(fair_queue_is_first_in_first_out_within_a_flow)
{
    struct fair_queue q;
    struct fair_flow flow = {.weight = 1};
    uint64_t tokens;

    fair_queue_init(&q, 0);
    CHECK(pop_flow(&q, 0, &tokens) == NULL);
    for (uint64_t i = 1; i <= 5; i++)
        CHECK_EQ(fair_queue_push(&q, usual, &flow, entry(i * 3000, 1), 0), FAIR_QUEUED);
    for (uint64_t i = 1; i <= 5; i++) {
        CHECK(pop_flow(&q, 0, &tokens) == &flow);
        CHECK_EQ(tokens, i * 3000);
    }
    CHECK_EQ(q.waiting, 0);
}

/* All flows wait all the time: at any moment what two were served differs, by weight, by a turn and a request at most. */
TEST(fair_queue_shares_tokens_by_weight_at_any_moment)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(100); k++) {
        enum { FLOWS = 6, LARGEST = 9000 };
        struct fair_queue q;
        struct fair_flow flows[FLOWS] = {0};
        double served[FLOWS] = {0};
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        fair_queue_init(&q, 0);
        for (int i = 0; i < FLOWS; i++) {
            flows[i].weight = 1 + (unsigned)prng_below(&p, 4);
            for (int n = 0; n < 3; n++)
                fair_queue_push(&q, usual, &flows[i], entry(1 + prng_below(&p, LARGEST), 0), 0);
        }
        for (int n = 0; n < 2000; n++) {
            uint64_t tokens;
            ptrdiff_t at = pop_flow(&q, 0, &tokens) - flows;
            served[at] += (double)tokens / flows[at].weight;
            fair_queue_push(&q, usual, &flows[at], entry(1 + prng_below(&p, LARGEST), 0), 0);
            for (int i = 0; i < FLOWS; i++)
                CHECK(fabs(served[at] - served[i]) <= (double)usual->quantum + 2 * LARGEST);
        }
        drain(&q);
    }
}

TEST(fair_queue_refuses_what_does_not_fit)
{
    struct fair_rules few = *usual;
    struct fair_queue q;
    struct fair_flow a = {.weight = 1}, b = {.weight = 1};
    struct fair_entry e = {.start_by = NS_NEVER};

    few.entries = 3;
    few.per_flow = 2;
    fair_queue_init(&q, 0);
    CHECK_EQ(fair_queue_push(&q, &few, &a, entry(1, 0), 0), FAIR_QUEUED);
    CHECK_EQ(fair_queue_push(&q, &few, &a, entry(1, 1), 0), FAIR_QUEUED);
    CHECK_EQ(fair_queue_push(&q, &few, &a, &e, 0), FAIR_FLOW_FULL);
    CHECK_EQ(fair_queue_push(&q, &few, &b, entry(1, 2), 0), FAIR_QUEUED);
    CHECK_EQ(fair_queue_push(&q, &few, &b, &e, 0), FAIR_FULL);
    drain(&q);
}

TEST(fair_queue_serves_the_urgent_first_but_starves_nobody)
{
    struct fair_queue q;
    struct fair_flow a = {.weight = 1}, b = {.weight = 1};
    uint64_t tokens, urgent = 0, patient = 0;

    fair_queue_init(&q, 0);
    for (int i = 0; i < 10; i++)
        fair_queue_push(&q, usual, &b, entry(1000, 2), 0);
    for (int i = 0; i < 10; i++)
        fair_queue_push(&q, usual, &a, entry(1000, 0), 0);
    for (int i = 0; i < 10; i++)
        CHECK(pop_flow(&q, 0, &tokens) == &a);
    for (int n = 0; n < 2000; n++) { /* now urgent ones never end */
        while (a.waiting < 5)
            fair_queue_push(&q, usual, &a, entry(1000, 0), 0);
        while (b.waiting < 5)
            fair_queue_push(&q, usual, &b, entry(1000, 2), 0);
        *(pop_flow(&q, 0, &tokens) == &a ? &urgent : &patient) += tokens;
    }
    CHECK_GE(patient * 1000, (urgent + patient) * 45);
    CHECK_LE(patient * 1000, (urgent + patient) * 55);
    drain(&q);
}

TEST(fair_queue_owes_nothing_to_who_has_left)
{
    struct fair_queue q;
    struct fair_flow a = {.weight = 1}, b = {.weight = 1};
    struct fair_entry gone = {.tokens = 1000, .level = 1, .start_by = NS_NEVER};
    uint64_t tokens, before = 0;

    fair_queue_init(&q, 0);
    for (int i = 0; i < 50; i++)
        fair_queue_push(&q, usual, &a, entry(1000, 0), 0);
    fair_queue_push(&q, usual, &b, &gone, 0);
    for (int i = 0; i < 19; i++) /* one more, and it would be its turn */
        CHECK(pop_flow(&q, 0, &tokens) == &a);
    fair_queue_remove(&q, &gone);
    fair_queue_push(&q, usual, &b, entry(1000, 1), 0);
    while (pop_flow(&q, 0, &tokens) == &a)
        before++;
    CHECK_EQ(before, 20);
    drain(&q);
}

TEST(fair_queue_makes_a_flow_pay_for_what_it_really_took)
{
    struct fair_queue q;
    struct fair_flow honest = {.weight = 1}, liar = {.weight = 1};
    uint64_t tokens, by_honest = 0, by_liar = 0;

    fair_queue_init(&q, 0);
    for (int n = 0; n < 4000; n++) {
        while (honest.waiting < 3)
            fair_queue_push(&q, usual, &honest, entry(2000, 0), 0);
        while (liar.waiting < 3)
            fair_queue_push(&q, usual, &liar, entry(10, 0), 0); /* it takes 2,000, too */
        if (pop_flow(&q, 0, &tokens) == &honest) {
            by_honest += tokens;
            continue;
        }
        by_liar += 2000;
        fair_queue_settle(&liar, 0, tokens, 2000);
    }
    CHECK_LE(by_liar * 100, by_honest * 102);
    CHECK_GE(by_liar * 100, by_honest * 95);
    drain(&q);
}

TEST(fair_queue_keeps_the_debt_of_who_leaves_and_not_the_credit)
{
    struct fair_queue q;
    struct fair_flow flow = {.weight = 1}, other = {.weight = 1};
    uint64_t tokens, before = 0;

    fair_queue_init(&q, 0);
    fair_queue_push(&q, usual, &flow, entry(100000, 0), 0);
    pop_flow(&q, 0, &tokens); /* alone: at once */
    for (int i = 0; i < 100; i++)
        fair_queue_push(&q, usual, &other, entry(1000, 0), 0);
    fair_queue_push(&q, usual, &flow, entry(1000, 0), 0);
    while (pop_flow(&q, 0, &tokens) == &other)
        before++;
    CHECK_GE(before, 90); /* a hundred thousand tokens of the other come first */
    drain(&q);
    fair_queue_settle(&flow, 0, 4000000, 1);
    CHECK_LE(flow.lanes[0].deficit_, 0);
}

TEST(fair_queue_counts_a_monstrous_request_as_the_largest_there_is)
{
    struct fair_queue q;
    struct fair_flow flow = {.weight = 1};
    uint64_t tokens;

    fair_queue_init(&q, 0);
    fair_queue_push(&q, usual, &flow, entry(UINT64_MAX, 0), 0);
    fair_queue_push(&q, usual, &flow, entry(0, 0), 0);
    pop_flow(&q, 0, &tokens);
    CHECK(pop_flow(&q, 0, &tokens) == &flow); /* and the next one's turn comes */
    CHECK_EQ(q.levels[0].tokens, 0);
}

/* Served at 10,000 tokens a second: what it says about waiting is what happens. */
TEST(fair_queue_estimates_the_wait_and_refuses_who_would_be_too_late)
{
    struct fair_queue q;
    struct fair_flow crowd = {.weight = 1}, small = {.weight = 1};
    struct fair_entry e = {.tokens = 1000};
    uint64_t tokens;
    ns_t now = 0;

    fair_queue_init(&q, now);
    CHECK_EQ(fair_queue_wait(&q, &crowd, 0), 0); /* nothing is known yet */
    for (int i = 0; i < 400; i++) {
        now += NS_SEC / 10; /* 1,000 tokens every tenth of a second */
        while (crowd.waiting < 100)
            fair_queue_push(&q, usual, &crowd, entry(1000, 1), now);
        pop_flow(&q, now, &tokens);
    }
    CHECK_GT(fair_queue_wait(&q, &crowd, 1), 9 * NS_SEC);
    CHECK_LT(fair_queue_wait(&q, &crowd, 1), 11 * NS_SEC);
    CHECK_LT(fair_queue_wait(&q, &small, 1), NS_SEC); /* its share is half, and it has nothing before it */
    CHECK_LT(fair_queue_wait(&q, &crowd, 0), NS_SEC);
    CHECK_GT(fair_queue_wait(&q, &small, 2), 9 * NS_SEC);
    for (int i = 0; i < 20; i++)
        fair_queue_push(&q, usual, &small, entry(1000, 1), now);
    CHECK_GT(fair_queue_wait(&q, &small, 1), 3500 * NS_MS); /* twice its own 20,000 tokens, for the crowd has half */
    CHECK_LT(fair_queue_wait(&q, &small, 1), 4500 * NS_MS);
    e.start_by = now + 5 * NS_SEC;
    e.level = 1;
    CHECK_EQ(fair_queue_push(&q, usual, &crowd, &e, now), FAIR_TOO_LATE);
    e.start_by = now + 15 * NS_SEC;
    CHECK_EQ(fair_queue_push(&q, usual, &crowd, &e, now), FAIR_QUEUED);
    fair_queue_remove(&q, &e);
    e.start_by = now - 1;
    CHECK_EQ(fair_queue_push(&q, usual, &small, &e, now), FAIR_TOO_LATE);
    drain(&q);
}

TEST(fair_queue_hands_out_who_became_too_late_without_counting_it)
{
    struct fair_queue q;
    struct fair_flow flow = {.weight = 1};
    struct fair_entry a = {.tokens = 1000, .start_by = 10}, b = {.tokens = 10, .start_by = NS_NEVER};
    bool late;

    fair_queue_init(&q, 0);
    fair_queue_push(&q, usual, &flow, &a, 0);
    fair_queue_push(&q, usual, &flow, &b, 0);
    CHECK(fair_queue_pop(&q, usual, 11, &late) == &a);
    CHECK(late);
    CHECK(fair_queue_pop(&q, usual, 11, &late) == &b);
    CHECK(!late);
    CHECK_EQ(q.served_, 10);
}

/* Against plain sums: pushes, pops and removals in any order. */
static void check_sums(const struct fair_queue *q, const struct fair_flow *flows, size_t n)
{
    unsigned waiting = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned in_lanes = 0;
        for (unsigned l = 0; l < FAIR_LEVELS && flows[i].begun_; l++) {
            const struct fair_lane *lane = &flows[i].lanes[l];
            uint64_t tokens = 0;
            LIST_EACH(node, next, &lane->entries_) {
                tokens += CONTAINER_OF(node, struct fair_entry, node_)->tokens;
                in_lanes++;
            }
            CHECK_EQ(lane->tokens, tokens);
            CHECK_EQ(list_is_linked(&lane->node_), tokens > 0);
        }
        CHECK_EQ(flows[i].waiting, in_lanes);
        waiting += in_lanes;
    }
    CHECK_EQ(q->waiting, waiting);
    for (unsigned l = 0; l < FAIR_LEVELS; l++) {
        uint64_t tokens = 0, weight = 0;
        LIST_EACH(node, next, &q->levels[l].ring_) {
            const struct fair_lane *lane = CONTAINER_OF(node, struct fair_lane, node_);
            tokens += lane->tokens;
            weight += CONTAINER_OF(lane - l, struct fair_flow, lanes)->weight;
        }
        CHECK_EQ(q->levels[l].tokens, tokens);
        CHECK_EQ(q->levels[l].weight_, weight);
    }
}

TEST(fair_queue_keeps_its_books_in_any_sequence)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(300) && !test_failed(); k++) {
        enum { FLOWS = 4, HELD = 40 };
        struct fair_queue q;
        struct fair_flow flows[FLOWS] = {0};
        struct fair_entry held[HELD] = {0};
        ns_t now = 0;
        bool late;
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        fair_queue_init(&q, 0);
        for (int i = 0; i < FLOWS; i++)
            flows[i].weight = 1 + (unsigned)prng_below(&p, 3);
        for (int step = 0; step < 200 && !test_failed(); step++) {
            struct fair_entry *e = &held[prng_below(&p, HELD)];
            now += prng_range(&p, 0, NS_SEC);
            if (prng_chance(&p, 0.2)) {
                fair_queue_remove(&q, e);
            } else if (prng_chance(&p, 0.4)) {
                struct fair_entry *popped = fair_queue_pop(&q, usual, now, &late);
                CHECK(!popped || (!list_is_linked(&popped->node_) && late == (now > popped->start_by)));
            } else if (!list_is_linked(&e->node_)) {
                *e = (struct fair_entry){.tokens = 1 + prng_below(&p, 9000),
                                         .level = (unsigned)prng_below(&p, FAIR_LEVELS),
                                         .start_by =
                                             prng_chance(&p, 0.5) ? now + prng_range(&p, 0, 9) * NS_SEC : NS_NEVER};
                enum fair_verdict v = fair_queue_push(&q, usual, &flows[prng_below(&p, FLOWS)], e, now);
                CHECK_EQ(v == FAIR_QUEUED, list_is_linked(&e->node_));
            }
            check_sums(&q, flows, FLOWS);
        }
        while (fair_queue_pop(&q, usual, now, &late)) {
        }
        check_sums(&q, flows, FLOWS);
    }
}

/* Ten tenants, twice as much as can be served; one of them wants more than all others together. */
TEST(fair_queue_keeps_nine_tenants_their_share_against_a_greedy_one)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(5); k++) {
        struct fair_queue q;
        struct fair_flow flows[10] = {0};
        double served[10] = {0}, wanted[10] = {0}, at[10] = {0}, free_at = 0;
        const double capacity = 20000; /* tokens a second */
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        fair_queue_init(&q, 0);
        for (int i = 0; i < 10; i++)
            flows[i].weight = 1;
        for (double now = 0; now < 600; now += 0.01) {
            for (int i = 0; i < 10; i++)
                for (; at[i] < now;
                     at[i] += prng_exponential(&p, i ? 1000 / (capacity * 0.1) : 1000 / (capacity * 1.1))) {
                    struct fair_entry *e = entry(1 + (uint64_t)prng_exponential(&p, 1000), 1);
                    e->start_by = (ns_t)(now * 1e9) + 20 * NS_SEC;
                    wanted[i] += (double)e->tokens;
                    if (fair_queue_push(&q, usual, &flows[i], e, (ns_t)(now * 1e9)) != FAIR_QUEUED)
                        mem_free(e);
                }
            while (free_at <= now && q.waiting) {
                bool late;
                struct fair_entry *e = fair_queue_pop(&q, usual, (ns_t)(now * 1e9), &late);
                if (!late) {
                    served[e->flow_ - flows] += (double)e->tokens;
                    free_at = (free_at > now - 0.01 ? free_at : now) + (double)e->tokens / capacity;
                }
                mem_free(e);
            }
        }
        double share = capacity * 600 / 10;
        for (int i = 1; i < 10; i++)
            CHECK_MSG(served[i] >= 0.95 * fmin(share, wanted[i]), "tenant %d got %f of its share", i,
                      served[i] / fmin(share, wanted[i]));
        CHECK(served[0] < wanted[0] / 2);
        drain(&q);
    }
}
