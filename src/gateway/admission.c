/*
 * admission.c - a request whose deployments are all full waits for its turn, or is told at once that it would wait in vain.
 *
 * Idea. Nobody is sent past those who wait: while a route's queue is not empty, a request for a limited deployment joins it. Who is called has a
 * place kept at one deployment (fleet/live_admission.h) and chooses once more, now that this one is open to it; the strategy may still prefer
 * another that has come free, and the place goes to the next.
 *
 * A place that is of no use to the request (a filter of its own excludes the deployment) is passed on, and the request joins the line again; after
 * VAIN_MAX such calls it neither takes what is free nor passes it on until it has looked at the clock, so that requests of this kind cannot call each
 * other, or one itself, in circles.
 *
 * Invariant: a promise that a ticket holds is used or given back before the request ends.
 */
#include "gateway/exchange.h"
#include "rt/loop.h"

enum { VAIN_MAX = 3, LEVEL_NORMAL = 1 };

/* How often one who waits looks whether something has changed of which nobody told: an ejection that is over, say. */
#define LOOK_EVERY NS_SEC

/* What a client is told to wait for at most, and at least, before it comes again. */
#define RETRY_LEAST NS_SEC
#define RETRY_MOST (60 * NS_SEC)

static const struct queue_rules *rules_of(const struct exchange *x)
{
    return x->model ? &x->model->queue : &queue_rules_usual;
}

static struct live_gate *gate_of(const struct exchange *x, const struct deployment *d)
{
    return live_deployment_gate(x->snapshot->deployments[d->index]);
}

/* Where requests for x->chosen wait: one place for a model, one for each deployment that is asked for and nothing else would do. */
static struct live_queue *queue_of(const struct exchange *x)
{
    bool any_will_do = x->model && x->pool.count;

    return live_route_queue(any_will_do ? x->route : x->snapshot->served[x->chosen->deployment->index]);
}

/* --- sending --- */

bool admission_is_kept(const struct exchange *x, const struct deployment *d)
{
    return x->ticket && x->ticket->promise == gate_of(x, d);
}

static bool has_promise(const struct exchange *x)
{
    return x->ticket && x->ticket->promise;
}

/* Others have waited longer for what it wants. */
static bool must_stand_in_line(const struct exchange *x)
{
    return !has_promise(x) && x->chosen->deployment->concurrency.most > 0 && rules_of(x)->on &&
           atomic_load_explicit(&queue_of(x)->waiting, memory_order_relaxed) > 0;
}

/* The place that was kept is not needed any more, or was taken. */
static void drop_promise(struct exchange *x, bool taken)
{
    struct live_gate *g = x->ticket->promise;

    x->ticket->promise = NULL;
    if (!taken)
        live_gate_return(g, true, rt_now());
}

enum exclusion admission_send(struct exchange *x, struct live_attempt *ret, bool anyway)
{
    const struct deployment *d = x->chosen->deployment;
    bool kept = admission_is_kept(x, d);

    if (must_stand_in_line(x))
        return EXCLUDED_CAPACITY;
    unsigned how = (kept ? LIVE_PROMISED : 0) | (anyway ? LIVE_ANYWAY : 0) | (x->stream ? LIVE_STREAM : 0);
    enum exclusion why = live_send(x->snapshot->deployments[d->index], &x->rules->live, x->input_tokens,
                                   x->output_tokens, how, rt_now(), ret);
    if (kept || (why == EXCLUDED_NOT && has_promise(x)))
        drop_promise(x, kept);
    x->vain += kept && why != EXCLUDED_NOT;
    return why;
}

/* --- refusing --- */

struct refusal {
    int status;
    const char *code, *words;
};

static const struct refusal full_at_once = {429, "at_capacity", "all deployments are at their limit"},
                            waited_in_vain = {503, "queue_timeout", "no deployment came free in time"};
static const struct refusal refusals[] = {
    [FAIR_FULL] = {503, "queue_full", "all deployments are at their limit, and too many requests wait already"},
    [FAIR_FLOW_FULL] = {429, "queue_full_for_key",
                        "all deployments are at their limit, and too many requests with this key wait already"},
    [FAIR_TOO_LATE] = {503, "deadline_unreachable",
                       "all deployments are at their limit, and its turn would not come in time"},
};

static SUSPENDS err_t refuse(struct exchange *x, const struct refusal *why, ns_t wait)
{
    ns_t again = wait < RETRY_LEAST ? RETRY_LEAST : ns_min(wait, RETRY_MOST);
    struct api_error e = {.status = why->status,
                          .error_class = why->status == 429 ? ERROR_RATE_LIMIT : ERROR_OVERLOADED,
                          .code = why->code,
                          .retry_after_ms = again / NS_MS};

    e.message = arena_printf(x->r->arena, "The request for '%.*s' was not sent: %s. Try again in %lld s.",
                             STR_ARG(x->facts.model), why->words, (long long)((again + NS_SEC - 1) / NS_SEC));
    x->facts.error = E_OVERLOAD;
    x->facts.error_text = e.message;
    return tell_error(x, &e);
}

/* --- waiting --- */

static unsigned level_of(struct exchange *x)
{
    static const struct str names[FAIR_LEVELS] = {STR_INIT("high"), STR_INIT("normal"), STR_INIT("low")};
    unsigned own = x->key ? x->key->priority : LEVEL_NORMAL;
    struct str wish = http_request_header(x->r, STR("x-crossdock-priority"));

    for (unsigned i = own; i < FAIR_LEVELS; i++)
        if (str_eq_nocase(wish, names[i]))
            return i;
    return own;
}

/* When it must be sent at the latest, so that at least the first token comes before its time is up. */
static ns_t start_by(const struct exchange *x, ns_t max_wait)
{
    struct strategy_candidate c = {.excluded = EXCLUDED_NOT};
    ns_t end = ns_add(x->r->received, x->timeouts.total);

    live_read(x->snapshot->deployments[x->chosen->deployment->index], &x->rules->live, NEEDS_LATENCY, rt_now(), &c);
    ns_t first = (ns_t)(c.time_per_unit * latency_units(x->input_tokens));
    return ns_min(ns_add(rt_now(), max_wait), end == NS_NEVER ? NS_NEVER : end - first);
}

static void fill_ticket(struct exchange *x)
{
    if (!x->ticket)
        x->ticket = arena_new(x->r->arena, struct live_ticket);
    x->ticket->tenant = x->key ? x->key->name : STR_NONE;
    x->ticket->weight = x->key ? x->key->weight : 1;
    x->ticket->entry = (struct fair_entry){.tokens = x->input_tokens + x->output_tokens,
                                           .level = level_of(x),
                                           .start_by = start_by(x, rules_of(x)->max_wait)};
}

/* Wait to be called. OK: then x->ticket says what for; E_AGAIN: it is too late. */
static SUSPENDS err_t be_called(struct exchange *x, struct live_queue *q)
{
    struct live_ticket *t = x->ticket;
    err_t e;

    for (;;) {
        ns_t look = ns_add(rt_now(), LOOK_EVERY);
        e = wakeup_wait(&t->wakeup, ns_min(t->entry.start_by, look));
        if (e != E_AGAIN || rt_now() >= t->entry.start_by)
            break;
        x->vain = 0;
        live_queue_offer(q, rt_now());
    }
    if (e == OK)
        return t->is_late ? E_AGAIN : OK;
    if (live_queue_leave(q, t))
        return e;
    wakeup_join(&t->wakeup); /* it was called meanwhile */
    if (e == E_AGAIN && !t->is_late)
        return OK;
    if (t->promise)
        drop_promise(x, false);
    return e;
}

static SUSPENDS err_t spend_time(struct exchange *x, struct live_queue *q)
{
    ns_t begun = rt_now();
    err_t e = be_called(x, q);

    x->facts.queued += rt_now() - begun;
    x->waited += rt_now() - begun;
    return e;
}

/* Join the line, with a place in hand that is of no use. *ret_refused: why it may not; NULL: it waits. */
static void stand_in_line(struct exchange *x, struct live_queue *q, const struct refusal **ret_refused, ns_t *ret_wait)
{
    struct live_gate *unused = x->ticket ? x->ticket->promise : NULL;
    bool pass_on = x->vain < VAIN_MAX;

    fill_ticket(x);
    x->ticket->patient = !pass_on;
    enum fair_verdict verdict = live_queue_enter(q, &rules_of(x)->fair, x->ticket, rt_now(), ret_wait);
    *ret_refused = verdict == FAIR_QUEUED ? NULL : &refusals[verdict];
    if (unused)
        live_gate_return(unused, pass_on || verdict != FAIR_QUEUED, rt_now());
    x->vain += unused != NULL;
}

err_t admission_wait(struct exchange *x, bool *ret_go_on)
{
    const struct refusal *refused = NULL;
    struct live_queue *q = x->queue = queue_of(x);
    ns_t wait = 0;

    *ret_go_on = false;
    if (!rules_of(x)->on)
        return refuse(x, &full_at_once, 0);
    for (;;) {
        stand_in_line(x, q, &refused, &wait);
        if (refused)
            return refuse(x, refused, wait);
        err_t e = spend_time(x, q);
        if (e == E_AGAIN)
            return refuse(x, &waited_in_vain, 0);
        TRY(e);
        if ((*ret_go_on = choose_again(x)))
            return OK;
    }
}

void admission_settle(struct exchange *x)
{
    const struct usage *u = &x->facts.usage;

    if (!x->ticket)
        return;
    if (has_promise(x))
        drop_promise(x, false);
    if (u->known)
        live_queue_settle(x->queue, x->ticket->tenant, x->ticket->entry.level, x->ticket->entry.tokens,
                          u->input + u->output);
}
