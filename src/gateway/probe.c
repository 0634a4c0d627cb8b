/*
 * probe.c - asks deployments how they are when it is time (policy/health_probe.h), and folds what comes into their live state like any attempt.
 *
 * A fiber per provider looks every TICK whose time has come, because news that traffic brings change that at any moment, and reading them costs less than being
 * told of them. A question that costs nothing is asked once for all of the provider's deployments that are due; one for a token is asked of one
 * after the other, and its price is set aside before.
 *
 * Invariants: an attempt is counted into the live state before it is asked and out of it when it ends, whatever happens; what is no deployment's fault
 * (no credential, no simulator) speaks neither for nor against it.
 *
 * A probe for a token carries a credential that may be used, as a request does, and tells how it fared. Free ones carry the provider's credentials in turn, but for
 * those that are refused. They may be refused where requests are not (a key that may not list models), so a 401 counts only against a credential that free
 * ones were answered with before: then it has been revoked.
 */
#include "base/log.h"
#include "gateway/health_int.h"
#include "policy/price.h"
#include "rt/loop.h"
#include "rt/scope.h"

#include <assert.h>

#define TICK NS_SEC
#define BREATH (10 * NS_MS) /* between the end of probes and the next look */

enum {
    BODY_MAX = 256 << 10, /* of an answer that is read to its end, to keep the connection              */
    ARENA_MAX = 4 << 20,
    TOKENS_IN = 16,
    TOKENS_OUT = 16, /* expected of a probe for a token: some count or think more than they are asked for */
};

/* What a token costs that has no known price: as much as the dearest that are sold. */
static const struct price_step dear_steps[] = {{.rates = {.input = UINT64_C(30) * 1000000000,
                                                          .output = UINT64_C(180) * 1000000000,
                                                          .cached_input = PRICE_UNSET,
                                                          .cache_write = PRICE_UNSET,
                                                          .cache_write_1h = PRICE_UNSET,
                                                          .reasoning = PRICE_UNSET,
                                                          .audio_input = PRICE_UNSET,
                                                          .audio_output = PRICE_UNSET}}};
static const struct price dear = {.steps = dear_steps, .step_count = ARRAY_LEN(dear_steps)};

static uint64_t cost_of(const struct deployment *d, const struct usage *u)
{
    struct price_tokens tokens = {.input = u->input,
                                  .output = u->output,
                                  .cached_input = u->cached_input,
                                  .cache_write = u->cache_write,
                                  .cache_write_1h = u->cache_write_1h,
                                  .reasoning = u->reasoning};

    return price_of(d->price ? d->price : &dear, &tokens, PRICE_STANDARD);
}

static uint64_t probe_cost(const struct deployment *d)
{
    return cost_of(d, &(struct usage){.input = TOKENS_IN, .output = TOKENS_OUT});
}

/* --- whose time has come --- */

static struct probe_next next_of(const struct ward_group *g, const struct ward *w)
{
    struct probe_rules rules = g->provider->health.rules;
    struct live_news news;

    live_news(w->live, &news);
    struct probe_seen seen = {.state = news.state,
                              .until = news.until,
                              .good = news.good,
                              .ill = news.ill,
                              .last_ill = news.last_ill,
                              .ejected_by = news.ejected_by,
                              .asked = w->asked,
                              .since = g->since};
    rules.free = g->has_no_free ? PROBE_NONE : rules.free;
    rules.token &= !w->deployment->is_pattern; /* which stands for many, and is none */
    return probe_next(&rules, &seen, g->account, probe_cost(w->deployment), rt_wall(), g->draw);
}

/* Count it in, if it may be asked now; else it is for another time. */
static bool begin(struct ward *w, const struct probe_next *next)
{
    const struct live_rules *rules = &w->rules->live;
    ns_t now = rt_now();

    w->asked = now;
    w->why = next->why;
    if (next->kind == PROBE_TOKEN)
        return live_send(w->live, rules, TOKENS_IN, TOKENS_OUT, false, now, &w->attempt) == EXCLUDED_NOT;
    return live_ask(w->live, rules, now, &w->attempt) == EXCLUDED_NOT;
}

/* --- what came of it --- */

static void record(const struct ward_group *g, struct ward *w, const struct exchange *x, const struct attempt *a,
                   enum cause cause, uint64_t price)
{
    struct attempt_facts f = {.number = 1,
                              .role = ROLE_PROBE,
                              .route = w->route_name,
                              .deployment = w->deployment->name,
                              .label = w->deployment->label,
                              .provider = g->provider->name,
                              .credential = g->provider->keys[x->key_index].name,
                              .revision = g->snapshot->catalog->revision,
                              .cause = cause,
                              .status = a->status,
                              .error_text = a->error_text,
                              .wall = x->facts.wall,
                              .sent = w->attempt.sent,
                              .ended = rt_now(),
                              .seq_sent = w->attempt.seq_sent,
                              .seq_first = w->attempt.seq_first,
                              .seq_ended = w->attempt.seq_ended,
                              .input_estimate = w->attempt.input_tokens,
                              .output_estimate = w->attempt.tokens - w->attempt.input_tokens,
                              .reused = a->times.reused,
                              .usage = a->usage,
                              .price = price,
                              .is_priced = w->deployment->price != NULL,
                              .is_final = true};

    gateway_note_beside(g->gateway, &f);
    log_debug(STR_NONE, "probe of %.*s (%s): %s status=%d %.*s", STR_ARG(w->deployment->name),
              probe_reason_name(w->why), cause_meaning(cause)->name, a->status, STR_ARG(a->error_text));
}

static void end(const struct ward_group *g, struct ward *w, const struct exchange *x, const struct attempt *a,
                enum cause cause, uint64_t price)
{
    uint64_t output = a->usage.known ? a->usage.output : 0;

    live_end(&w->attempt, w->route, &w->rules->live, cause, output, 0, rt_now());
    record(g, w, x, a, cause, price);
}

/* --- what costs nothing --- */

/* The answer's body does not matter, but the connection is kept only if it was read. */
static SUSPENDS void finish_body(struct exchange *x, struct attempt *a)
{
    struct str body;

    err_t e = http_call_all(a->call, x->timeouts.between_bytes, BODY_MAX, &body);
    if (e != OK)
        log_debug(STR_NONE, "probe of %.*s: its answer was not read to the end: %s", STR_ARG(x->chosen->provider->name),
                  err_detail(e));
}

static SUSPENDS err_t call_free(const struct ward_group *g, struct exchange *x, struct attempt *a)
{
    const struct provider *p = g->provider;
    const struct vendor_probe *probe = p->vendor->probe;
    struct http_call_options o = {.method = STR_NONE};
    struct upstream *upstream;

    TRY(upstreams_get(gateway_upstreams(g->gateway), g->snapshot, p, &upstream));
    health_get(x, p->health.target, &o);
    TRY(health_headers(x, probe->header, probe->value, &o));
    return http_call_open(upstream, x->r->arena, &o, &a->times, &a->call);
}

/* Did it fail on our own side, before anybody was asked: no credential, no simulator, nothing to say? */
static bool was_not_asked(const struct attempt *a)
{
    return a->times.started == 0;
}

static enum cause judge_free(struct exchange *x, struct attempt *a, err_t e)
{
    if (e == OK) {
        a->status = http_call_head(a->call)->status;
        return cause_of_status(a->status);
    }
    attempt_failed(x, a, e);
    if (e == E_CANCELLED)
        return CAUSE_CANCELLED;
    return was_not_asked(a) ? CAUSE_NO_CAPACITY : attempt_cause(x, a);
}

/* The next one that is not known to be refused; if all are, the next one. */
static size_t key_in_turn(const struct ward_group *g)
{
    static const struct rate_need nothing = {.input_tokens = 0};
    size_t count = g->provider->key_count;

    assert(count > 0); /* see struct provider */
    for (size_t i = 0; i < count; i++) {
        size_t key = (g->next_key + i) % count;
        struct rate_option o = {.weight = 1};
        live_credential_read(g->snapshot->providers[g->provider->index].credentials[key], NULL, STR_NONE, &nothing,
                             rt_now(), &o);
        if (o.verdict.answer != RATE_NEVER && !g->keys[key].unfit)
            return key;
    }
    return g->next_key % count;
}

/* Was the question refused for its credential only, so that another may be asked with? */
static bool is_of_credential(struct ward_group *g, struct exchange *x, struct attempt *a)
{
    struct ward_key *key = &g->keys[x->key_index];

    key->accepted |= a->status >= 200 && a->status <= 299;
    if (a->status != 401 && a->status != 403)
        return false;
    if (a->status == 401 && key->accepted) {
        credentials_question_refused(x, g->wards[0].deployment, a);
        return true;
    }
    key->unfit = true;
    for (size_t i = 0; i < g->provider->key_count; i++)
        if (!g->keys[i].unfit)
            return true;
    return false;
}

static void note_missing(struct ward_group *g, const struct attempt *a)
{
    if (!probe_is_missing(a->status))
        return;
    g->has_no_free = true;
    log_info(STR_NONE, "provider %.*s: it cannot be asked how it is (%.*s: status %d), only traffic%s tells",
             STR_ARG(g->provider->name), STR_ARG(g->provider->health.target), a->status,
             g->provider->health.rules.token ? " or a token" : "");
}

/* Ask once for all wards whose attempt has begun. */
static SUSPENDS err_t ask_free(struct ward_group *g)
{
    struct arena arena CLEANUP(arena_release);
    struct attempt a = {.outcome = ATTEMPT_OK};

    arena_init(&arena, ARENA_MAX);
    struct exchange *x = health_exchange(g, NULL, &arena);
    x->key_index = key_in_turn(g);
    g->next_key = x->key_index + 1;
    WITHIN(ns_add(rt_now(), x->timeouts.total));
    err_t e = call_free(g, x, &a);
    enum cause cause = judge_free(x, &a, e);
    for (size_t i = 0; i < g->count; i++)
        if (g->wards[i].attempt.deployment)
            end(g, &g->wards[i], x, &a, probe_cause(g->provider->health.rules.free, cause), 0);
    if (!is_of_credential(g, x, &a))
        note_missing(g, &a);
    if (a.call)
        finish_body(x, &a);
    http_call_close(a.call);
    return fiber_is_cancelled() ? E_CANCELLED : OK;
}

/* --- a token --- */

/* Those who know the newer name of the limit refuse the older one, and the other way round; where a request is translated, either will do. */
static const char *limit_name(const struct vendor *v)
{
    return v->quirks & QUIRK_FULL ? "max_completion_tokens" : "max_tokens";
}

static err_t say_token(struct exchange *x)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(4096);
    struct arena *a = x->r->arena;

    (void)buf_add_lit(&body, "{\"model\":\"");
    (void)buf_add_json(&body, x->chosen->name);
    (void)buf_addf(&body, "\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"%s\":1}",
                   limit_name(x->chosen->provider->vendor));
    TRY(buf_status(&body));
    x->r->head.method = STR("POST");
    x->r->head.path = STR("/v1/chat/completions");
    endpoint_find(x->r->head.method, x->r->head.path, &x->r->head, a, &x->endpoint);
    TRY(openai_request_read(arena_str(a, buf_str(&body)), a, &x->request, &x->param));
    x->facts.model = x->request.model;
    return OK;
}

static SUSPENDS err_t ask_token(struct ward_group *g, struct ward *w, uint64_t taken)
{
    struct arena arena CLEANUP(arena_release);
    struct attempt a = {.outcome = ATTEMPT_OK};
    uint64_t price = 0;

    arena_init(&arena, ARENA_MAX);
    struct exchange *x = health_exchange(g, w->deployment, &arena);
    x->rules = w->rules;
    x->input_tokens = TOKENS_IN;
    x->output_tokens = TOKENS_OUT;
    WITHIN(ns_add(rt_now(), x->timeouts.total));
    err_t e = say_token(x);
    if (e == OK &&
        credentials_send(x, &a, false) != EXCLUDED_NOT) /* all rest: nor may a probe be sent before they may be used */
        e = fail(E_OVERLOAD, "no credential may be used now");
    if (e == OK)
        e = attempt_run(x, &a);
    enum cause cause = e == E_CANCELLED    ? CAUSE_CANCELLED
                       : was_not_asked(&a) ? CAUSE_NO_CAPACITY
                                           : attempt_cause(x, &a);
    credentials_answered(x, &a, cause);
    if (a.usage.known)
        price = cost_of(w->deployment, &a.usage);
    else if (cause_meaning(cause)->may_have_run)
        price = taken;
    probe_account_settle(g->account, taken, price);
    end(g, w, x, &a, probe_cause(PROBE_TOKEN, cause), price);
    http_call_close(a.call);
    return fiber_is_cancelled() ? E_CANCELLED : OK;
}

/* --- the fiber --- */

/* What a look at all of them finds. */
struct survey {
    bool free_is_due, token_is_due;
    ns_t next; /* the earliest time of any of them, but not later than the next look */
};

static bool is_free(const struct probe_next *next)
{
    return next->kind != PROBE_NONE && next->kind != PROBE_TOKEN;
}

static SUSPENDS err_t look(const struct ward_group *g, struct survey *ret)
{
    struct survey s = {.next = ns_add(rt_now(), TICK)};

    for (size_t i = 0; i < g->count; i++) {
        struct probe_next next = next_of(g, &g->wards[i]);
        bool is_due = next.kind != PROBE_NONE && next.at <= rt_now();
        s.free_is_due |= is_due && is_free(&next);
        s.token_is_due |= is_due && next.kind == PROBE_TOKEN;
        if (next.kind != PROBE_NONE)
            s.next = ns_min(s.next, next.at);
        TRY(fiber_tick());
    }
    *ret = s;
    return OK;
}

/* It is time for one: ask along with it for those whose time is near. */
static SUSPENDS err_t ask_all_free(struct ward_group *g)
{
    ns_t now = rt_now(), near = ns_add(now, g->provider->health.rules.interval / 4);
    bool any = false;

    for (size_t i = 0; i < g->count; i++) {
        struct ward *w = &g->wards[i];
        struct probe_next next = next_of(g, w);
        if (is_free(&next) && next.at <= (next.why == PROBE_IDLE ? near : now))
            any |= begin(w, &next);
    }
    g->draw = rt_random();
    return any ? ask_free(g) : OK;
}

static SUSPENDS err_t ask_each_token(struct ward_group *g)
{
    for (size_t i = 0; i < g->count; i++) {
        struct ward *w = &g->wards[i];
        struct probe_next next = next_of(g, w);
        uint64_t cost = probe_cost(w->deployment);
        if (next.kind != PROBE_TOKEN || next.at > rt_now())
            continue;
        if (!probe_account_take(g->account, &g->provider->health.rules, cost, rt_wall()))
            continue;
        if (begin(w, &next))
            TRY(ask_token(g, w, cost));
        else
            probe_account_settle(g->account, cost, 0);
    }
    g->draw = rt_random();
    return OK;
}

err_t probe_group(void *group)
{
    struct ward_group *g = group;
    struct survey s;

    for (;;) {
        TRY(look(g, &s));
        if (s.free_is_due)
            TRY(ask_all_free(g));
        if (s.token_is_due)
            TRY(ask_each_token(g));
        TRY(fiber_sleep_until(s.free_is_due || s.token_is_due ? ns_add(rt_now(), BREATH) : s.next));
    }
}
