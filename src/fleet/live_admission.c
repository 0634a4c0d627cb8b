/*
 * live_admission.c - places that come free are promised to whoever is next, across loops.
 *
 * Idea. A gate keeps a ring of the queues that wait for it, a queue keeps the order of its entries. Whatever makes room at a gate (an end, a higher
 * limit, a promise given back) runs dispatch(): as long as there is room, the first queue of the ring gives its next entry. A route that waits
 * stands in the ring of each of its gates; it is put there by the entry that finds it empty, and taken out by a gate that finds it empty.
 *
 * No wake-up is lost. Room is made and looked for under the gate's lock. An entry is in its queue before the queue is put into the rings, so
 * whoever makes room later finds it; what was made room for before, the entry that puts it there finds itself, because it runs dispatch() at each
 * gate. A gate takes a queue out of its ring only after it has seen it empty under both locks; the next entry then finds it empty as well and
 * puts it back.
 *
 * Messages are posted after all locks are given: until its message has arrived, an entry that was taken out cannot go away.
 */
#include "fleet/live_admission.h"

#include "base/attr.h"
#include "base/mem.h"

#include <assert.h>
#include <math.h>

enum { IDLE_FLOWS = 1024 /* tenants that are remembered though nobody of them waits */ };

static const double SHARE_STEP = 0.1, SHARE_LEAST = 0.25, SHARE_MOST = 64, USUAL_STEP = 1.0 / 32;

struct live_link {
    struct live_queue *queue;
    struct live_gate *gate;
    struct list node; /* in gate->waiting */
};

struct flow {
    struct fair_flow fair;
    struct str tenant; /* owned */
    struct list idle;  /* linked: nobody waits */
};

/* Tickets that are to be called, when all locks are given. */
struct called {
    struct live_ticket *first;
};

static void call(struct called *c)
{
    for (struct live_ticket *t = c->first, *next; t; t = next) {
        next = t->next_; /* once it is called, the ticket is its fiber's */
        wakeup_send(&t->wakeup);
    }
}

/* --- tenants --- */

static void drop_flow(struct live_queue *q, struct flow *f)
{
    list_remove(&f->idle);
    (void)map_remove(&q->flows, f->tenant);
    mem_free((void *)(uintptr_t)f->tenant.p);
    mem_free(f);
}

/* Nobody of it waits any more: it is remembered for what it owes, as long as there is room. */
static void rest_flow(struct live_queue *q, struct flow *f)
{
    if (f->fair.waiting || list_is_linked(&f->idle))
        return;
    list_push_back(&q->idle, &f->idle);
    if (++q->idle_count <= IDLE_FLOWS)
        return;
    q->idle_count--;
    drop_flow(q, CONTAINER_OF(q->idle.next, struct flow, idle));
}

/* The tenant's, as somebody of it is about to wait. */
static struct flow *use_flow(struct live_queue *q, const struct live_ticket *t)
{
    struct flow *f = map_get(&q->flows, t->tenant);

    if (!f) {
        f = NEW(struct flow);
        f->tenant = str_of(mem_dup(t->tenant.p, t->tenant.n), t->tenant.n);
        map_put(&q->flows, f->tenant, f);
    } else if (list_is_linked(&f->idle)) {
        list_remove(&f->idle);
        q->idle_count--;
    }
    if (!f->fair.waiting) /* a level counts the weights of those in its ring */
        f->fair.weight = t->weight;
    return f;
}

static struct live_ticket *ticket_of(struct fair_entry *e)
{
    return CONTAINER_OF(e, struct live_ticket, entry);
}

/* It does not wait any more. Under the queue's lock. */
static void out(struct live_queue *q, struct live_ticket *t, struct fair_flow *fair)
{
    t->waits_ = false;
    atomic_store_explicit(&q->waiting, q->order.waiting, memory_order_relaxed);
    rest_flow(q, CONTAINER_OF(fair, struct flow, fair));
}

/* --- promising --- */

static bool has_room(const struct live_gate *g)
{
    unsigned there = atomic_load_explicit(&g->in_flight, memory_order_relaxed) +
                     atomic_load_explicit(&g->promised, memory_order_relaxed);

    return !g->is_limited || concurrency_admits(&g->state, there);
}

/* The next entry of `q` is to be called, if there is one; false: nobody waits. Under the gate's lock. */
static bool promise_next(struct live_gate *g, struct live_queue *q, ns_t now, struct called *c)
{
    bool late = false;

    spin_take(&q->lock);
    struct fair_entry *e = fair_queue_pop(&q->order, &q->rules, now, &late);
    if (e) {
        struct live_ticket *t = ticket_of(e);
        t->is_late = late;
        t->promise = late ? NULL : g;
        t->next_ = c->first;
        c->first = t;
        out(q, t, e->flow_);
        if (!late)
            atomic_fetch_add_explicit(&g->promised, 1, memory_order_relaxed);
    }
    spin_free(&q->lock);
    return e != NULL;
}

/* Promise what room there is to those who wait for it, one queue after the other. Under the gate's lock. */
static void dispatch(struct live_gate *g, ns_t now, struct called *c)
{
    while (!list_is_empty(&g->waiting) && has_room(g)) {
        struct list *node = list_pop_front(&g->waiting);
        if (promise_next(g, CONTAINER_OF(node, struct live_link, node)->queue, now, c))
            list_push_back(&g->waiting, node);
    }
}

/* End an event at a gate, whose lock is held: publish, and promise what has come free. */
static void settle(struct live_gate *g, ns_t now, struct called *c)
{
    double limit = g->is_limited ? g->state.limit : 0;

    atomic_store_explicit(&g->limit, limit, memory_order_relaxed);
    dispatch(g, now, c);
    spin_free(&g->lock);
}

/* The same, and call. */
static void leave(struct live_gate *g, ns_t now)
{
    struct called c = {NULL};

    settle(g, now, &c);
    call(&c);
}

/* --- gates --- */

void live_gate_init(struct live_gate *g)
{
    list_init(&g->waiting);
}

void live_gate_release(struct live_gate *g)
{
    assert(list_is_empty(&g->waiting));
}

void live_gate_set(struct live_gate *g, const struct concurrency_rules *rules, ns_t now)
{
    spin_take(&g->lock);
    if (rules && !g->is_limited)
        concurrency_init(&g->state, rules, now);
    else if (rules)
        g->state.limit = fmin(fmax(g->state.limit, rules->least), rules->most);
    g->is_limited = rules != NULL;
    g->rules = rules ? *rules : g->rules;
    leave(g, now);
}

/* Has it no limit? Then nothing is learned. */
static bool is_open(const struct live_gate *g)
{
    return atomic_load_explicit(&g->limit, memory_order_relaxed) <= 0;
}

bool live_gate_admits(const struct live_gate *g)
{
    double limit = atomic_load_explicit(&g->limit, memory_order_relaxed);
    unsigned there = atomic_load_explicit(&g->in_flight, memory_order_relaxed) +
                     atomic_load_explicit(&g->promised, memory_order_relaxed);

    return limit <= 0 || (double)there + 1 <= limit;
}

bool live_gate_take(struct live_gate *g, bool promised)
{
    spin_take(&g->lock);
    bool admitted = promised || has_room(g);
    if (promised)
        atomic_fetch_sub_explicit(&g->promised, 1, memory_order_relaxed);
    if (admitted)
        atomic_fetch_add_explicit(&g->in_flight, 1, memory_order_relaxed);
    spin_free(&g->lock);
    return admitted;
}

void live_gate_give(struct live_gate *g, ns_t now)
{
    spin_take(&g->lock);
    atomic_fetch_sub_explicit(&g->in_flight, 1, memory_order_relaxed);
    leave(g, now);
}

void live_gate_return(struct live_gate *g, bool pass_on, ns_t now)
{
    spin_take(&g->lock);
    atomic_fetch_sub_explicit(&g->promised, 1, memory_order_relaxed);
    if (pass_on)
        leave(g, now);
    else
        spin_free(&g->lock);
}

void live_gate_sample(struct live_gate *g, const struct concurrency_sample *s, ns_t now)
{
    struct concurrency_sample sample = *s;

    if (is_open(g))
        return;
    spin_take(&g->lock);
    sample.in_flight = atomic_load_explicit(&g->in_flight, memory_order_relaxed);
    concurrency_sample(&g->state, &g->rules, &sample, now);
    leave(g, now);
}

void live_gate_whole(struct live_gate *g, ns_t begun, uint64_t tokens, ns_t now)
{
    if (is_open(g) || tokens == 0)
        return;
    spin_take(&g->lock);
    ns_t first = g->rules.first_token, per_token = g->rules.per_token;
    double allowed = (double)first + (double)per_token * (double)(tokens - 1);
    struct concurrency_sample s = {.begun = begun,
                                   .per_token = (ns_t)((double)(now - begun) / allowed * (double)per_token),
                                   .in_flight = atomic_load_explicit(&g->in_flight, memory_order_relaxed)};
    if (per_token > 0)
        concurrency_sample(&g->state, &g->rules, &s, now);
    leave(g, now);
}

void live_gate_overloaded(struct live_gate *g, ns_t begun, ns_t now)
{
    if (is_open(g))
        return;
    spin_take(&g->lock);
    concurrency_overloaded(&g->state, &g->rules, begun, atomic_load_explicit(&g->in_flight, memory_order_relaxed), now);
    leave(g, now);
}

void live_gate_calibrate(struct live_gate *g, uint64_t events, uint64_t tokens)
{
    double seen = fmin(fmax((double)tokens / (double)events, SHARE_LEAST), SHARE_MOST);
    double known = atomic_load_explicit(&g->share, memory_order_relaxed);

    atomic_store_explicit(&g->share, known > 0 ? known + (seen - known) * SHARE_STEP : seen, memory_order_relaxed);
}

void live_gate_report(struct live_gate *g, struct live_gate_report *ret)
{
    spin_take(&g->lock);
    *ret = (struct live_gate_report){.is_limited = g->is_limited,
                                     .limit = g->is_limited ? g->state.limit : 0,
                                     .reason = g->state.reason,
                                     .changed = g->state.changed};
    spin_free(&g->lock);
    ret->in_flight = atomic_load_explicit(&g->in_flight, memory_order_relaxed);
    ret->promised = atomic_load_explicit(&g->promised, memory_order_relaxed);
}

/* --- queues --- */

void live_queue_init(struct live_queue *q)
{
    fair_queue_init(&q->order, 0);
    list_init(&q->idle);
}

/* Out of all rings. Under q->line. */
static void leave_rings(struct live_queue *q)
{
    for (size_t i = 0; i < q->link_count; i++) {
        struct live_link *l = &q->links[i];
        spin_take(&l->gate->lock);
        list_remove(&l->node);
        spin_free(&l->gate->lock);
    }
}

static void enter_ring(struct live_link *l)
{
    spin_take(&l->gate->lock);
    if (!list_is_linked(&l->node))
        list_push_back(&l->gate->waiting, &l->node);
    spin_free(&l->gate->lock);
}

/* Stand in the ring of each gate, and unless `patient` take at once what is free there. */
static void stand_in_line(struct live_queue *q, bool patient, ns_t now)
{
    struct called c = {NULL};

    spin_take(&q->line);
    for (size_t i = 0; i < q->link_count; i++) {
        enter_ring(&q->links[i]);
        if (patient)
            continue;
        spin_take(&q->links[i].gate->lock);
        settle(q->links[i].gate, now, &c);
    }
    spin_free(&q->line);
    call(&c);
}

void live_queue_set(struct live_queue *q, struct live_gate *const *gates, size_t count)
{
    struct live_link *links = mem_zalloc(count, sizeof *links);

    for (size_t i = 0; i < count; i++)
        links[i] = (struct live_link){.queue = q, .gate = gates[i]};
    spin_take(&q->line);
    leave_rings(q);
    struct live_link *old = q->links;
    q->links = links;
    q->link_count = count;
    for (size_t i = 0; atomic_load_explicit(&q->waiting, memory_order_relaxed) > 0 && i < count; i++)
        enter_ring(&links[i]);
    spin_free(&q->line);
    mem_free(old);
}

void live_queue_release(struct live_queue *q)
{
    assert(q->order.waiting == 0);
    leave_rings(q);
    mem_free(q->links);
    LIST_EACH(node, next, &q->idle)
        drop_flow(q, CONTAINER_OF(node, struct flow, idle));
    map_release(&q->flows);
}

/* A turn is as long as a usual request: were it longer, a tenant with few requests would wait for the others' turns and then not use up its own. */
static void use_rules(struct live_queue *q, const struct fair_rules *rules)
{
    q->rules = *rules;
    if (q->usual >= 1)
        q->rules.quantum = (uint64_t)q->usual;
}

enum fair_verdict live_queue_enter(struct live_queue *q, const struct fair_rules *rules, struct live_ticket *t,
                                   ns_t now, ns_t *ret_wait)
{
    wakeup_init(&t->wakeup);
    t->promise = NULL;
    t->is_late = false;
    spin_take(&q->lock);
    use_rules(q, rules);
    if (t->entry.tokens == 0)
        t->entry.tokens = q->rules.quantum;
    struct flow *f = use_flow(q, t);
    *ret_wait = fair_queue_wait(&q->order, &f->fair, t->entry.level);
    enum fair_verdict verdict = fair_queue_push(&q->order, &q->rules, &f->fair, &t->entry, now);
    bool first = verdict == FAIR_QUEUED && q->order.waiting == 1;
    t->waits_ = verdict == FAIR_QUEUED;
    rest_flow(q, f);
    atomic_store_explicit(&q->waiting, q->order.waiting, memory_order_relaxed);
    spin_free(&q->lock);
    atomic_fetch_add_explicit(&q->verdicts[verdict], 1, memory_order_relaxed);
    if (first)
        stand_in_line(q, t->patient, now);
    return verdict;
}

bool live_queue_leave(struct live_queue *q, struct live_ticket *t)
{
    spin_take(&q->lock);
    bool waited = t->waits_;
    if (waited) {
        fair_queue_remove(&q->order, &t->entry);
        out(q, t, t->entry.flow_);
    }
    spin_free(&q->lock);
    return waited;
}

void live_queue_offer(struct live_queue *q, ns_t now)
{
    spin_take(&q->lock);
    bool due = now - q->offered >= LIVE_OFFER_EVERY;
    q->offered = due ? now : q->offered;
    spin_free(&q->lock);
    if (due)
        stand_in_line(q, false, now);
}

void live_queue_settle(struct live_queue *q, struct str tenant, unsigned level, uint64_t estimated, uint64_t actual)
{
    spin_take(&q->lock);
    struct flow *f = map_get(&q->flows, tenant);
    double tokens = (double)(actual < FAIR_TOKENS_MAX ? actual : FAIR_TOKENS_MAX);
    q->usual = q->usual > 0 ? q->usual + (tokens - q->usual) * USUAL_STEP : tokens;
    if (f)
        fair_queue_settle(&f->fair, level, estimated, actual);
    spin_free(&q->lock);
}
