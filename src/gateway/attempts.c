/*
 * attempts.c - a request's attempts: try, find out what the end of it means, and go on elsewhere, again, or not at all.
 *
 * What is done after a failure is policy/retry's decision; here it is asked, with all that is known, and obeyed. The next candidate is chosen before it is
 * asked, because whether there is one matters to it. Each attempt is counted in and out of the live state exactly once, whatever becomes of
 * it, and leaves one record.
 *
 * A failure is mended while the client has seen nothing. A stream that breaks off later goes on at another deployment where that is wanted and can be
 * (resume.h), which is decided in the same way; else it ends in an explicit error.
 */
#include "base/log.h"
#include "codec/json_tree.h"
#include "fleet/live_homes.h"
#include "gateway/needs.h"
#include "gateway/resume.h"
#include "rt/fiber.h"
#include "rt/loop.h"

/* All waiting for the provider ends with the request's total time; a client that is slow to take its answer has a little more, because what
 * it is told then must still get through. */
#define LAST_WORDS (2 * NS_SEC)

enum { FACTS_FIRST = 1, FACTS_MAX = 16, SEND_AGAIN_MAX = 4 };

/* What comes after an attempt. */
struct plan {
    struct retry_decision decision;
    const struct candidate *next; /* for RETRY_ELSEWHERE */
    enum attempt_role role;
    size_t fact; /* of the attempt that it comes after */
};

/* --- its record --- */

static size_t new_fact(struct exchange *x)
{
    struct facts *f = &x->facts;
    size_t n = f->tried_count;

    if (n == FACTS_MAX) /* more than can be tried: the last is told over the one before */
        return n - 1;
    f->tried = arena_list_room(x->r->arena, f->tried, n, sizeof *f->tried, FACTS_FIRST, FACTS_MAX);
    f->tried_count++;
    return n;
}

static void begin_fact(struct exchange *x, struct attempt *a, enum attempt_role role)
{
    const struct candidate *c = x->chosen;

    a->fact = new_fact(x);
    if (x->facts.tried_count == 1)
        x->facts.is_priced = true; /* until one of them is not */
    x->facts.tried[a->fact] = (struct attempt_facts){
        .request = x->facts.id,
        .number = x->facts.attempts + 1,
        .role = role,
        .route = x->facts.model_label,
        .deployment = c->label, /* as its live state is called, which those that a wildcard stands for share */
        .label = c->label,
        .provider = c->provider->name,
        .credential = c->provider->keys[x->key_index].name,
        .revision = x->snapshot->catalog->revision,
        .wall = rt_wall(),
        .sent = rt_now(),
        .input_estimate = x->input_tokens,
        .output_estimate = x->output_tokens,
        .stream = x->stream,
        .is_final = true,
    };
}

static void end_fact(struct exchange *x, const struct attempt *a)
{
    struct attempt_facts *f = &x->facts.tried[a->fact];

    f->cause = a->cause;
    f->status = a->status;
    f->error_text = a->error_text.n || a->cause == CAUSE_OK ? a->error_text : x->facts.error_text;
    f->first = a->first;
    f->last = a->last;
    f->ended = a->ended;
    f->seq_sent = a->live.seq_sent;
    f->seq_first = a->live.seq_first;
    f->seq_ended = a->live.seq_ended;
    f->reused = a->times.reused;
    f->usage = a->usage;
    price_attempt(x, a, f);
}

static void note_plan(struct exchange *x, const struct attempt *a, const struct plan *plan)
{
    struct attempt_facts *f = &x->facts.tried[a->fact];

    f->verb = plan->decision.verb;
    f->why = plan->decision.why;
    f->is_final = plan->decision.verb == RETRY_STOP;
    f->pause = f->is_final ? 0 : plan->decision.at - rt_now();
}

/* Whatever was decided: nobody is there any more who waits for another attempt. */
static void note_last(struct exchange *x, size_t fact)
{
    x->facts.tried[fact].is_final = true;
}

/* --- who is next --- */

/* Would other targets of the same route answer differently? */
static bool targets_may_help(enum cause cause)
{
    return cause != CAUSE_CONTEXT_LENGTH && cause != CAUSE_CONTENT_FILTER;
}

static void leave_out_deployment(struct exchange *x, const struct deployment *d)
{
    size_t at = 0;

    while (at < x->tried_count && x->tried[at] != d)
        at++;
    if (d && at == x->tried_count && at < MAX_TRIED)
        x->tried[x->tried_count++] = d;
}

void leave_out(struct exchange *x)
{
    leave_out_deployment(x, x->chosen->deployment);
}

static const struct candidate *choose_next(struct exchange *x, enum cause cause)
{
    bool at_fallbacks = x->pool.fallback != FALLBACK_NONE;
    bool more_targets = x->at_targets < x->rules->retries.attempts && targets_may_help(cause);
    leave_out(x);
    const struct candidate *next = at_fallbacks || more_targets ? choose_candidate(x) : NULL;

    while (!next && choose_fallbacks(x, x->is_unsaid ? FALLBACK_ANY : cause_meaning(cause)->fallback))
        next = choose_candidate(x);
    return next;
}

/* The list of fallbacks for when none of the targets may be used at all. */
static enum fallback fallback_of(const struct exchange *x, enum exclusion why)
{
    switch (why) {
    case EXCLUDED_EJECTED:
    case EXCLUDED_PROBING:
        return FALLBACK_SERVER_ERROR;
    case EXCLUDED_RATE_LIMIT:
    case EXCLUDED_CAPACITY:
        return FALLBACK_RATE_LIMIT;
    case EXCLUDED_BUDGET:
        return FALLBACK_BUDGET;
    case EXCLUDED_CAPABILITY:
        return rules_say_too_long(x, x->pool.targets[0].deployment) ? FALLBACK_CONTEXT_LENGTH : FALLBACK_ANY;
    case EXCLUDED_NOT:
    case EXCLUDED_TRIED:
    case EXCLUDED_DATA:
    case EXCLUDED_CONDITION:
    case EXCLUDED_DRAINED:
    case EXCLUDED_CREDENTIAL:
    case EXCLUSIONS:
        break;
    }
    return FALLBACK_ANY;
}

/* One of the targets, else of the fallbacks. */
static const struct candidate *choose_any(struct exchange *x)
{
    const struct candidate *c = choose_candidate(x);

    if (c || !x->model)
        return c;
    enum fallback which = fallback_of(x, choose_reason(x));
    while (!c && choose_fallbacks(x, which))
        c = choose_candidate(x);
    return c;
}

/* Peers that rules keep the request from are no reason to leave out the last that it may go to because it is ill. */
static const struct candidate *choose_ill(struct exchange *x)
{
    x->ill_too = true;
    return choose_any(x);
}

const struct candidate *choose_first(struct exchange *x)
{
    struct pool targets = x->pool;
    const struct candidate *c = choose_any(x);

    if (!c && (x->needs->bits & NEEDS_TO_FORGO)) {
        x->forgone = NEEDS_TO_FORGO;
        x->pool = targets;
        c = choose_any(x);
    }
    if (c)
        return c;
    x->pool = targets;
    c = choose_full(x); /* waiting for one that is well is better than asking one that is ill */
    return c ? c : choose_ill(x);
}

static void use_timeouts(struct exchange *x)
{
    x->timeouts = x->model && x->model->has_timeouts ? x->model->timeouts : x->chosen->provider->timeouts;
    x->timeouts.total = overrides_total(x, x->timeouts.total);
}

/* From the targets on, as at first, but for those that are full. */
static const struct candidate *choose_from_start(struct exchange *x)
{
    choose_targets(x);
    x->ill_too = false;
    const struct candidate *c = choose_any(x);
    if (c)
        return c;
    choose_targets(x);
    return choose_full(x) ? NULL : choose_ill(x);
}

bool choose_again(struct exchange *x)
{
    if (!x->model || !x->pool.count) /* there is no other */
        return true;
    const struct candidate *c = x->facts.attempts ? choose_candidate(x) : choose_from_start(x);
    if (!c)
        return false;
    x->chosen = c;
    use_timeouts(x);
    return true;
}

/* --- sending --- */

/* Count it in at x->chosen, with a credential. `anyway`: there is nowhere else to go. */
static enum exclusion count_in_here(struct exchange *x, struct attempt *a, bool anyway)
{
    const struct deployment *d = x->chosen->deployment;
    enum exclusion why = credentials_send(x, a, anyway);

    if (why != EXCLUDED_NOT || !d)
        return why;
    why = admission_send(x, &a->live, anyway || x->ill_too);
    if (why != EXCLUDED_NOT)
        credentials_answered(x, a, CAUSE_NO_CAPACITY);
    return why;
}

/* Count the attempt in. Its deployment may have been taken out a moment ago, or its credentials used up: then another is chosen. Where there is none, what
 * is thought ill or refused is tried all the same; what is at its limits is not. */
static enum exclusion count_in(struct exchange *x, struct attempt *a)
{
    bool anyway = false;

    for (int again = 1;; again++) {
        enum exclusion why = count_in_here(x, a, anyway);
        bool of_credentials = why == EXCLUDED_RATE_LIMIT || why == EXCLUDED_CREDENTIAL;
        if (why == EXCLUDED_NOT || why == EXCLUDED_CAPACITY || (of_credentials && anyway))
            return why;
        const struct candidate *other =
            of_credentials ? choose_next(x, why == EXCLUDED_CREDENTIAL ? CAUSE_AUTH : CAUSE_NO_CAPACITY)
                           : choose_candidate(x);
        x->chosen = other ? other : x->chosen;
        anyway = !other || again >= SEND_AGAIN_MAX;
    }
}

/* The deployment that answered holds the conversation in its cache now. */
static void remember_home(const struct exchange *x, const struct attempt *a)
{
    uint64_t tokens = a->usage.known ? a->usage.input + a->usage.output : x->input_tokens;

    if (x->sticky && a->cause == CAUSE_OK && x->chosen->deployment)
        live_homes_put(live_homes_of(x->snapshot->live), x->sticky, x->chosen->deployment->id, tokens, rt_now());
}

/* Once: what the client is told of it afterwards, and the wait for the next, are no part of it. */
static void count_out(struct exchange *x, struct attempt *a)
{
    uint64_t output = a->usage.known ? a->usage.output : 0;

    credentials_answered(x, a, a->cause);
    if (a->ended)
        return;
    a->ended = rt_now();
    live_end(&a->live, x->route, &x->rules->live, a->cause, output, a->last, a->ended);
}

void attempt_content(struct exchange *x, struct attempt *a)
{
    a->last = rt_now();
    if (a->first) {
        live_progress(&a->live, 1, a->last);
        return;
    }
    a->first = a->last;
    live_first_token(&a->live, &x->rules->live, 0, a->first);
}

/* --- judging --- */

/* Tools that the provider itself uses, on something outside: what they did once must not be done twice. */
static bool has_outside_effects(struct json_node doc)
{
    if (json_node_count(json_node_get(doc, STR("mcp_servers"))) || json_get_true(doc, STR("background")))
        return true;
    JSON_EACH(tool, json_node_get(doc, STR("tools")))
        if (json_node_text_is(json_node_get(tool.value, STR("type")), STR("mcp")))
            return true;
    return false;
}

bool request_is_repeatable(struct exchange *x)
{
    const struct json_tree *doc;

    if (x->endpoint.kind != ENDPOINT_OPERATION)
        return str_eq(x->r->head.method, STR("GET")) || str_eq(x->r->head.method, STR("HEAD"));
    if (x->endpoint.row->operation != OP_CHAT || json_tree_parse(x->r->arena, x->request.doc, &doc) != OK)
        return true;
    return !has_outside_effects(json_tree_root(doc));
}

/* The provider's wish not to be asked again, and the pause that it wants. */
static void read_wishes(struct exchange *x, struct attempt *a, struct retry_ask *ask)
{
    if (!a->call || a->error != OK)
        return;
    ask->told_not = str_eq_nocase(http_head_find(http_call_head(a->call), STR("x-should-retry")), STR("false"));
    int64_t ms = attempt_error(x, a)->retry_after_ms;
    ask->hint = ms > 0 ? ns_min(ms, NS_NEVER / NS_MS) * NS_MS : 0;
}

static bool is_still_used(const struct exchange *x)
{
    struct strategy_candidate c = {.excluded = EXCLUDED_NOT};

    if (x->chosen->deployment)
        live_read(x->snapshot->deployments[x->chosen->deployment->index], &x->rules->live, 0, rt_now(), &c);
    return c.excluded == EXCLUDED_NOT || c.excluded == EXCLUDED_CAPACITY; /* there it waits */
}

static bool client_is_to_blame(const struct exchange *x)
{
    return x->client_error != OK && !x->is_unsaid;
}

/* Time that is not spent by us. */
static SUSPENDS err_t pause_until(struct exchange *x, ns_t when)
{
    ns_t before = rt_now();
    err_t e = fiber_sleep_until(when);

    x->waited += rt_now() - before;
    return e;
}

/* Take the price of a retry. Where others have taken what there was, what becomes of them is waited for: those that are answered give it back. */
static SUSPENDS err_t pay_retry(struct exchange *x, struct plan *plan)
{
    enum { LOOK_AGAIN = 20, PATIENCE = 10000 }; /* ms */
    const struct live_rules *rules = &x->rules->live;
    ns_t by = ns_min(ns_add(x->r->received, x->timeouts.total), ns_add(rt_now(), PATIENCE * NS_MS));

    while (!live_route_take_retry(x->route, rules, rt_now())) {
        if (live_route_may_retry(x->route, rules, rt_now()) == LIVE_RETRY_NO || rt_now() >= by) {
            plan->decision = (struct retry_decision){.verb = RETRY_STOP, .why = RETRY_NO_BUDGET};
            return OK;
        }
        TRY(pause_until(x, rt_now() + LOOK_AGAIN * NS_MS));
    }
    x->pays_retry = true;
    return OK;
}

static void settle_retry(struct exchange *x, bool answered)
{
    if (x->pays_retry)
        live_route_settle_retry(x->route, &x->rules->live, answered, rt_now());
    x->pays_retry = false;
}

/* May one of the credentials there be used? Not before *ret_at, if EXCLUDED_RATE_LIMIT. */
static enum exclusion read_key(const struct exchange *x, ns_t now, ns_t *ret_at)
{
    const struct candidate *c = x->chosen;
    double headroom;

    return credentials_read(x, c->provider, c->deployment, c->model, now, &headroom, ret_at);
}

static struct plan plan_next(struct exchange *x, struct attempt *a)
{
    struct plan plan = {.decision = {.verb = RETRY_STOP, .why = RETRY_FINAL}};
    ns_t now = rt_now();

    if (a->cause == CAUSE_OK || client_is_to_blame(x) || x->once)
        return plan;
    unsigned again = cause_meaning(a->cause)->again;
    ns_t key_at = NS_NEVER;
    enum exclusion key = read_key(x, now, &key_at);
    bool other_key = (again & AGAIN_OTHER_KEY) && key == EXCLUDED_NOT && x->at_targets < x->rules->retries.attempts;
    bool elsewhere = x->is_unsaid || ((again & AGAIN_ELSEWHERE) && !other_key);
    plan.next = elsewhere ? choose_next(x, a->cause) : NULL;
    if (x->is_unsaid) { /* nobody was asked: the next one is the first */
        plan.decision = plan.next ? (struct retry_decision){RETRY_ELSEWHERE, RETRY_GO, now}
                                  : (struct retry_decision){.verb = RETRY_STOP, .why = RETRY_NO_PLACE};
        plan.role = ROLE_ELSEWHERE;
        return plan;
    }
    bool falls_back = plan.next && x->pool.fallback != FALLBACK_NONE;
    struct retry_ask ask = {.cause = a->cause,
                            .repeatable = request_is_repeatable(x),
                            .key_left = other_key,
                            .here_left = is_still_used(x) && key != EXCLUDED_CREDENTIAL &&
                                         x->at_targets < x->rules->retries.attempts,
                            .elsewhere_left = plan.next != NULL,
                            .budget_left = cause_meaning(a->cause)->of_request ||
                                           live_route_may_retry(x->route, &x->rules->live, now) != LIVE_RETRY_NO,
                            .attempts = falls_back ? 0 : x->at_targets,
                            .here_made = x->here_made,
                            .now = now,
                            .deadline = ns_add(x->r->received, x->timeouts.total),
                            .draw = rt_random()};
    read_wishes(x, a, &ask);
    if (key == EXCLUDED_RATE_LIMIT && key_at - now > ask.hint)
        ask.hint = key_at - now;
    plan.decision = retry_decide(&x->rules->retries, &ask);
    plan.role = plan.decision.verb != RETRY_ELSEWHERE ? ROLE_RETRY : falls_back ? ROLE_FALLBACK : ROLE_ELSEWHERE;
    return plan;
}

/* A stream that was being handed on has ended otherwise than it began. */
static enum cause cause_of_relayed(const struct attempt *a)
{
    switch (a->outcome) {
    case ATTEMPT_OK:
        break;
    case ATTEMPT_TIMEOUT:
        return CAUSE_TIMEOUT_BETWEEN;
    case ATTEMPT_CANCELLED:
        return CAUSE_CANCELLED;
    case ATTEMPT_CONNECT:
    case ATTEMPT_RATE_LIMITED:
    case ATTEMPT_REFUSED:
    case ATTEMPT_SERVER_ERROR:
    case ATTEMPT_BROKEN:
    case ATTEMPT_OUTCOMES:
        return CAUSE_BROKEN;
    }
    return a->cause;
}

/* --- the loop --- */

static void settle_attempt(struct exchange *x, struct attempt *a)
{
    const struct candidate *c = x->chosen;

    end_fact(x, a);
    metrics_attempt(gateway_metrics_mutable(x->gateway), c->label, c->provider->name, a->outcome);
    if (a->cause != CAUSE_OK && a->cause != CAUSE_CANCELLED)
        log_debug(x->facts.id, "attempt %u at %.*s: %s: status=%d %.*s", x->facts.attempts, STR_ARG(c->name),
                  cause_meaning(a->cause)->name, a->status, STR_ARG(a->error_text));
}

struct attempt *attempt_begin(struct exchange *x, enum attempt_role role)
{
    struct attempt *a = arena_new(x->r->arena, struct attempt);

    x->held_back =
        role == ROLE_HEDGE ? count_in_here(x, a, false) : count_in(x, a); /* a hedge is not worth any effort */
    if (x->held_back != EXCLUDED_NOT)
        return NULL;
    begin_fact(x, a, role);
    x->attempt = a;
    x->at_targets += x->pool.fallback == FALLBACK_NONE;
    return a;
}

void attempt_note(struct exchange *x, struct attempt *a)
{
    struct attempt_facts *f = &x->facts.tried[a->fact];

    if (a->cause == CAUSE_OK)
        a->cause = cause_of_relayed(a);
    f->cause = a->cause;
    f->ended = rt_now();
}

void attempt_end(struct exchange *x, struct attempt *a)
{
    if (a->cause == CAUSE_OK)
        a->cause = cause_of_relayed(a);
    count_out(x, a);
    settle_attempt(x, a);
    http_call_close(a->call);
    x->attempt = NULL;
}

/* The attempt that lost against the other one: it is over, and counted like any other. */
static void settle_loser(struct exchange *x, const struct hedge_result *h)
{
    struct attempt *a = h->loser;

    if (!a)
        return;
    if (a->cause == CAUSE_SUPERSEDED || a->cause == CAUSE_CANCELLED)
        a->outcome = ATTEMPT_CANCELLED;
    x->facts.tried[a->fact].is_final = false; /* the other one was the last, or goes on */
    attempt_end(h->loser_x, a);
    x->facts.price += h->loser_x->facts.price; /* nothing had been spent when they parted */
    x->facts.is_priced = x->facts.is_priced && h->loser_x->facts.is_priced;
    x->facts.is_estimated |= h->loser_x->facts.is_estimated;
    const struct attempt_facts *lost = &x->facts.tried[a->fact];
    live_route_settle_hedge(x->route, h->paid, lost->is_priced ? lost->price : h->paid);
    leave_out_deployment(x, h->loser_x->chosen->deployment);
}

/* The hedge's exchange becomes the request's, with what it points to but for what it points to in itself. */
static void take_over(struct exchange *of, const struct exchange *x)
{
    *of = *x;
    if (of->translation_.losses)
        of->translation_.losses = &of->losses;
}

/* Run the attempt `a`, and another one beside it if it is late. *ret_x, *ret: the one that counts. */
static SUSPENDS err_t run_attempt(struct exchange *x, struct attempt *a, struct exchange **ret_x, struct attempt **ret)
{
    struct hedge_result h;

    *ret_x = x;
    *ret = a;
    if (!hedge_applies(x)) {
        err_t e = attempt_run(x, a);
        a->cause = e == OK ? attempt_cause(x, a) : CAUSE_CANCELLED;
        return e;
    }
    err_t e = hedge_run(x, a, &h);
    settle_loser(h.x, &h);
    *ret_x = h.x;
    *ret = h.a;
    return e;
}

/* It failed: what is to follow. */
static SUSPENDS err_t plan_after(struct exchange *x, struct attempt *a, struct plan *plan)
{
    count_out(x, a); /* what it taught is known before the next is chosen */
    *plan = plan_next(x, a);
    if (resume_is_pending(x))
        plan->role = ROLE_CONTINUATION;
    bool is_free = plan->decision.verb == RETRY_STOP || x->is_unsaid || cause_meaning(a->cause)->of_request;
    return is_free ? OK : pay_retry(x, plan);
}

/* Nothing is to follow: hand on what came. But a stream may break off on the way, and go on elsewhere. */
static SUSPENDS err_t hand_on(struct exchange *x, struct attempt *a, struct plan *plan)
{
    if (!resume_is_pending(x) || a->cause == CAUSE_OK) {
        TRY(conclude(x, a));
        if (!resume_is_pending(x))
            return OK;
        a->cause = cause_of_relayed(a);
        TRY(plan_after(x, a, plan));
    }
    return plan->decision.verb == RETRY_STOP ? resume_give_up(x) : OK;
}

/* Of an attempt that was to go on with a broken answer. */
static void judge_continuation(struct exchange *x, struct attempt *a)
{
    if (a->cause == CAUSE_OK && !resume_fits(x, a))
        a->cause = CAUSE_MALFORMED;
    if (a->cause != CAUSE_OK)
        a->usage = resume_spent(x);
}

/* Where x->chosen and the others are full, the request waits; but not in the middle of its answer. *ret NULL: it was refused instead, or gave up. */
static SUSPENDS err_t begin_or_wait(struct exchange *x, enum attempt_role role, bool goes_on, struct attempt **ret)
{
    bool go_on = true;

    *ret = attempt_begin(x, role);
    while (!*ret && !goes_on) {
        if (x->held_back != EXCLUDED_CAPACITY)
            return credentials_refuse(x);
        TRY(admission_wait(x, &go_on));
        if (!go_on)
            return OK;
        *ret = attempt_begin(x, role);
    }
    return OK;
}

/* One attempt, and what comes of it for the client unless another is to follow. */
static SUSPENDS err_t attempt_once(struct exchange *of, struct plan *plan)
{
    WITHIN(ns_add(ns_add(of->r->received, of->timeouts.total), LAST_WORDS));
    struct usage before = of->facts.usage;
    bool goes_on = resume_is_pending(of);
    struct attempt *a;
    struct exchange *x;
    err_t e = begin_or_wait(of, plan->role, goes_on, &a);

    if (!a && of->facts.tried_count) /* the last credential went while it was decided to go on */
        note_last(of, plan->fact);
    *plan = (struct plan){.decision = {.verb = RETRY_STOP}};
    if (!a) {
        settle_retry(of, false);
        return goes_on ? resume_give_up(of) : e;
    }
    e = run_attempt(of, a, &x, &a);
    if (goes_on)
        judge_continuation(x, a);
    settle_retry(x, a->cause == CAUSE_OK);
    if (e == OK && a->cause != CAUSE_OK)
        e = plan_after(x, a, plan);
    if (e == OK && plan->decision.verb == RETRY_STOP)
        e = hand_on(x, a, plan);
    if (e == E_CANCELLED)
        a->outcome = ATTEMPT_CANCELLED;
    if (a->cause == CAUSE_OK)
        a->cause = cause_of_relayed(a);
    x->facts.usage = a->usage;
    if (goes_on)
        usage_add(&x->facts.usage, &before);
    count_out(x, a);
    remember_home(x, a);
    note_plan(x, a, plan);
    plan->fact = a->fact;
    if (e != OK)
        note_last(x, a->fact);
    attempt_end(x, a);
    if (x != of)
        take_over(of, x);
    return e;
}

/* Go on as decided. */
static SUSPENDS err_t follow(struct exchange *x, const struct plan *plan)
{
    if (plan->decision.verb == RETRY_ELSEWHERE) {
        x->chosen = plan->next;
        x->here_made = 0;
        return OK;
    }
    x->here_made += plan->decision.verb == RETRY_HERE;
    if (plan->decision.at <= rt_now())
        return OK;
    err_t e = pause_until(x, plan->decision.at);
    if (e != OK)
        note_last(x, plan->fact);
    return e;
}

/* The deployment that would answer cannot count. */
static bool is_to_be_estimated(const struct exchange *x)
{
    return x->endpoint.kind == ENDPOINT_OPERATION && x->endpoint.row->operation == OP_COUNT_TOKENS &&
           !can_count(x, x->chosen->provider);
}

/* The client took all the time there was for sending its request: no provider is to blame. */
static SUSPENDS err_t refuse_late(struct exchange *x)
{
    struct api_error e = {.status = 408,
                          .message = STR("The request took longer to arrive than it may take as a whole "
                                         "(timeouts.total): send it faster, or ask the operator for a longer limit.")};

    x->facts.error = E_DEADLINE;
    return reply_error(x, &e);
}

static SUSPENDS err_t attempt_until_answered(struct exchange *x)
{
    struct plan plan = {.role = ROLE_FIRST};

    live_route_request(x->route, &x->rules->live, rt_now());
    if (x->rules->hedge.requests)
        live_route_hedgeable(x->route, &x->rules->hedge, hedge_cost(x, x->chosen));
    do {
        if (is_to_be_estimated(x))
            return estimate(x);
        use_timeouts(x);
        if (!x->facts.attempts && rt_now() >= ns_add(x->r->received, x->timeouts.total))
            return refuse_late(x);
        if (!x->facts.attempts)
            shadow_begin(x);
        TRY(attempt_once(x, &plan));
        if (plan.decision.verb != RETRY_STOP)
            TRY(follow(x, &plan));
    } while (plan.decision.verb != RETRY_STOP);
    return OK;
}

err_t attempts(struct exchange *x)
{
    err_t e = attempt_until_answered(x);

    settle_retry(x, false); /* of one that was paid for and never made: whoever waits for its end would wait in vain */
    return e;
}
