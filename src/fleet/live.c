/*
 * live.c - folding events of attempts into what decisions read.
 *
 * Idea. The policies' states (policy/outlier.h, latency.h, retry.h) are plain structs; one lock per deployment or route makes an event one step. After
 * each step the few figures that decisions need are published as single words, so that reading a thousand deployments takes no lock. What changes by time
 * alone (an ejection ends, a probe may be sent, traffic rises again) is published as instants, and the reader compares.
 *
 * The lock is held for some hundred nanoseconds and never across anything that waits, so a loop that meets it spins.
 *
 * Peers of a deployment are summed up per route, at most every REFRESH: exact figures of a moment ago are as good, and the cost does not grow with the
 * number of requests.
 */
#include "fleet/live.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/spin.h"
#include "fleet/live_homes.h"

#include <string.h>

#define REFRESH (100 * NS_MS)
#define DIGEST_HALF_LIFE (60 * NS_SEC)

enum { PEERS_MAX = 64 /* of a large route, so many are looked at for the median */, DIGEST_LEAST = 20 };

struct live_deployment {
    struct live *live;
    char *name;
    size_t name_n;
    _Atomic unsigned refs;

    /* published */
    _Atomic int state; /* enum outlier_state */
    _Atomic ns_t until, since;
    _Atomic bool probe_free;
    _Atomic uint64_t in_flight_tokens;
    _Atomic double per_unit, per_token; /* as of the last sample */
    _Atomic ns_t sampled;
    _Atomic ns_t waiting_since;       /* of who waits for the first token, on average */
    _Atomic double waiting_units;     /* likewise; 0: nobody does                     */
    _Atomic ns_t good, ill;           /* as in struct live_news */
    _Atomic int last_ill, ejected_by; /* enum cause */
    struct live_load load;

    struct spin lock;
    /* under the lock */
    struct outlier outlier;
    struct latency first, token;
    struct latency_digest digest;
    struct latency_waiting waiting;
    uint64_t sent, ejected, causes[CAUSES];

    struct live_gate gate; /* has a lock of its own, taken apart from this one */
};

struct live_route {
    struct live *live;
    char *name;
    size_t name_n;
    _Atomic unsigned refs;
    _Atomic uint64_t turn;

    struct spin lock;
    /* under the lock */
    struct retry_budget budget;
    struct hedge_account hedges;
    unsigned retrying;                    /* taken from it, not settled yet */
    struct live_deployment **deployments; /* counted */
    size_t count;
    struct outlier_peers peers; /* all of them, with the median over all */
    ns_t refreshed;

    struct live_queue queue; /* has locks of its own */
};

struct live {
    _Atomic uint64_t seq; /* of the last event */
    struct spin lock;
    struct map deployments, routes; /* by name */
    struct live_homes *homes;
    struct live_credentials *credentials;
};

/* --- life --- */

struct live *live_new(void)
{
    struct live *l = NEW(struct live);

    l->homes = live_homes_new();
    l->credentials = live_credentials_new();
    return l;
}

struct live_homes *live_homes_of(struct live *l)
{
    return l->homes;
}

void live_free(struct live *l)
{
    if (!l)
        return;
    map_release(&l->deployments);
    map_release(&l->routes);
    live_homes_free(l->homes);
    live_credentials_free(l->credentials);
    mem_free(l);
}

struct live_credentials *live_credentials(struct live *l)
{
    return l->credentials;
}

struct live_deployment *live_deployment_ref(struct live *l, struct str name)
{
    spin_take(&l->lock);
    struct live_deployment *d = map_get(&l->deployments, name);
    if (!d) {
        d = NEW(struct live_deployment);
        d->live = l;
        d->name = mem_dup(name.p, name.n);
        d->name_n = name.n;
        d->probe_free = true;
        live_gate_init(&d->gate);
        map_put(&l->deployments, str_of(d->name, name.n), d);
    }
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    spin_free(&l->lock);
    return d;
}

void live_deployment_unref(struct live_deployment *d)
{
    if (!d)
        return;
    struct live *l = d->live;
    spin_take(&l->lock);
    bool last = atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1;
    if (last)
        map_remove(&l->deployments, str_of(d->name, d->name_n));
    spin_free(&l->lock);
    if (!last)
        return;
    live_gate_release(&d->gate);
    mem_free(d->name);
    mem_free(d);
}

struct live_route *live_route_ref(struct live *l, struct str name)
{
    spin_take(&l->lock);
    struct live_route *r = map_get(&l->routes, name);
    if (!r) {
        r = NEW(struct live_route);
        r->live = l;
        r->name = mem_dup(name.p, name.n);
        r->name_n = name.n;
        live_queue_init(&r->queue);
        map_put(&l->routes, str_of(r->name, name.n), r);
    }
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    spin_free(&l->lock);
    return r;
}

static void unref_all(struct live_deployment **deployments, size_t count)
{
    for (size_t i = 0; i < count; i++)
        live_deployment_unref(deployments[i]);
    mem_free(deployments);
}

void live_route_unref(struct live_route *r)
{
    if (!r)
        return;
    struct live *l = r->live;
    spin_take(&l->lock);
    bool last = atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1;
    if (last)
        map_remove(&l->routes, str_of(r->name, r->name_n));
    spin_free(&l->lock);
    if (!last)
        return;
    live_queue_release(&r->queue);
    unref_all(r->deployments, r->count);
    mem_free(r->name);
    mem_free(r);
}

static uint64_t next_seq(struct live *l)
{
    return atomic_fetch_add_explicit(&l->seq, 1, memory_order_relaxed) + 1;
}

/* --- what decisions read --- */

/* Who reads that some wait must not read an instant of when nobody ever had. */
static void publish_waiting(struct live_deployment *d)
{
    const struct latency_waiting *w = &d->waiting;
    double units = w->count ? (double)w->units / (double)w->count : 0;

    atomic_store_explicit(&d->waiting_since, w->since, memory_order_relaxed);
    atomic_store_explicit(&d->waiting_units, units, memory_order_release);
}

static double waited_of(const struct live_deployment *d, ns_t now)
{
    double units = atomic_load_explicit(&d->waiting_units, memory_order_acquire);

    return latency_waited(atomic_load_explicit(&d->waiting_since, memory_order_relaxed), units, now);
}

static void publish(struct live_deployment *d, const struct live_rules *rules, ns_t now)
{
    struct outlier ahead = d->outlier;

    atomic_store_explicit(&d->state, (int)d->outlier.state, memory_order_relaxed);
    atomic_store_explicit(&d->since, d->outlier.since, memory_order_relaxed);
    atomic_store_explicit(&d->until, d->outlier.until, memory_order_relaxed);
    /* whether a probe may be sent, now or when the ejection ends */
    ns_t then = d->outlier.state == OUTLIER_EJECTED ? d->outlier.until : now;
    atomic_store_explicit(&d->probe_free, outlier_admits(&ahead, &rules->outlier, then), memory_order_relaxed);
    atomic_store_explicit(&d->per_unit, d->first.mean, memory_order_relaxed);
    atomic_store_explicit(&d->per_token, d->token.mean, memory_order_relaxed);
    atomic_store_explicit(&d->sampled, d->first.at, memory_order_relaxed);
    publish_waiting(d);
}

static enum exclusion exclusion_of(const struct live_deployment *d, ns_t now)
{
    int state = atomic_load_explicit(&d->state, memory_order_relaxed);

    switch ((enum outlier_state)state) {
    case OUTLIER_IN_USE:
    case OUTLIER_STARTING:
        return EXCLUDED_NOT;
    case OUTLIER_EJECTED:
        if (now < atomic_load_explicit(&d->until, memory_order_relaxed))
            return EXCLUDED_EJECTED;
        break;
    case OUTLIER_PROBING:
    case OUTLIER_STATES:
        break;
    }
    return atomic_load_explicit(&d->probe_free, memory_order_relaxed) ? EXCLUDED_NOT : EXCLUDED_PROBING;
}

static double share_of(const struct live_deployment *d, const struct live_rules *rules, ns_t now)
{
    const struct outlier_rules *o = &rules->outlier;

    switch ((enum outlier_state)atomic_load_explicit(&d->state, memory_order_relaxed)) {
    case OUTLIER_STARTING:
        return slow_start(atomic_load_explicit(&d->since, memory_order_relaxed), o->start, o->start_least, now);
    case OUTLIER_EJECTED: /* it is over, or nobody asks: as outlier_share() has it */
    case OUTLIER_PROBING:
    case OUTLIER_IN_USE:
    case OUTLIER_STATES:
        break;
    }
    return 1;
}

void live_read(const struct live_deployment *d, const struct live_rules *rules, unsigned needs, ns_t now,
               struct strategy_candidate *to)
{
    to->excluded = exclusion_of(d, now);
    if (to->excluded == EXCLUDED_NOT && !live_gate_admits(&d->gate))
        to->excluded = EXCLUDED_CAPACITY;
    to->slow_start = share_of(d, rules, now);
    if (needs & NEEDS_LOAD) {
        live_load_others(&d->load, now, &to->in_flight, &to->in_flight_tokens);
        to->in_flight += atomic_load_explicit(&d->gate.in_flight, memory_order_relaxed);
        to->in_flight_tokens += atomic_load_explicit(&d->in_flight_tokens, memory_order_relaxed);
    }
    if (needs & NEEDS_LATENCY) {
        ns_t at = atomic_load_explicit(&d->sampled, memory_order_relaxed);
        struct latency first = {.mean = atomic_load_explicit(&d->per_unit, memory_order_relaxed), .at = at};
        struct latency token = {.mean = atomic_load_explicit(&d->per_token, memory_order_relaxed), .at = at};
        double known = latency_read(&first, &rules->latency, now);
        to->waited_per_unit = waited_of(d, now);
        double slowdown = latency_slowdown(known, to->waited_per_unit);
        to->time_per_unit = known * slowdown;
        to->time_per_token = latency_read(&token, &rules->latency, now) * slowdown;
    }
}

/* --- an attempt --- */

/* It waits no more. Under the lock. */
static void stop_waiting(struct live_deployment *d, struct live_attempt *a)
{
    if (a->waits)
        latency_wait_end(&d->waiting, a->sent, a->input_tokens);
    a->waits = false;
}

/* Is it well enough, or does that not matter? Its place is taken already. */
static enum exclusion send_well(struct live_deployment *d, const struct live_rules *rules, unsigned how, ns_t now,
                                struct live_attempt *ret)
{
    enum exclusion why = EXCLUDED_NOT;

    spin_take(&d->lock);
    if (outlier_admits(&d->outlier, &rules->outlier, now) || (how & LIVE_ANYWAY)) {
        ret->deployment = d;
        ret->seq_sent = next_seq(d->live);
        ret->stamp = outlier_sent(&d->outlier, now);
        ret->waits = how & LIVE_STREAM;
        if (ret->waits)
            latency_wait_begin(&d->waiting, now, ret->input_tokens);
        d->sent++;
    } else {
        why = d->outlier.state == OUTLIER_EJECTED ? EXCLUDED_EJECTED : EXCLUDED_PROBING;
    }
    publish(d, rules, now);
    spin_free(&d->lock);
    return why;
}

enum exclusion live_send(struct live_deployment *d, const struct live_rules *rules, uint64_t input_tokens,
                         uint64_t output_tokens, unsigned how, ns_t now, struct live_attempt *ret)
{
    uint64_t tokens = input_tokens + output_tokens;

    *ret = (struct live_attempt){.sent = now, .input_tokens = input_tokens, .tokens = tokens ? tokens : 1};
    if (!live_gate_take(&d->gate, how & LIVE_PROMISED))
        return EXCLUDED_CAPACITY;
    enum exclusion why = send_well(d, rules, how, now, ret);
    if (why == EXCLUDED_NOT)
        atomic_fetch_add_explicit(&d->in_flight_tokens, ret->tokens, memory_order_relaxed);
    else
        live_gate_give(&d->gate, now);
    return why;
}

enum exclusion live_ask(struct live_deployment *d, const struct live_rules *rules, ns_t now, struct live_attempt *ret)
{
    *ret = (struct live_attempt){.sent = now, .is_question = true};
    return send_well(d, rules, 0, now, ret);
}

void live_first_token(struct live_attempt *a, const struct live_rules *rules, uint64_t cached, ns_t now)
{
    struct live_deployment *d = a->deployment;
    uint64_t uncached = a->input_tokens > cached ? a->input_tokens - cached : 0;
    ns_t took = now - a->sent;

    if (!d || a->first)
        return;
    a->first = now;
    spin_take(&d->lock);
    a->seq_first = next_seq(d->live);
    stop_waiting(d, a);
    latency_add(&d->first, &rules->latency, (double)took / latency_units(uncached), now);
    latency_digest_add(&d->digest, DIGEST_HALF_LIFE, latency_of_base(took, uncached), now);
    publish(d, rules, now);
    spin_free(&d->lock);
    a->part_begun = now;
    live_gate_sample(&d->gate, &(struct concurrency_sample){.begun = a->sent, .first_token = took}, now);
}

/* A part of a stream is measured when so many events have come; what is left at its end, if it is not too little to say anything. */
enum { PART_EVENTS = 32, REST_EVENTS = 8 };

/* What the events since the last part took, as tokens; the last of them came at `last`. */
static void sample_part(struct live_attempt *a, ns_t last, ns_t now)
{
    double share = atomic_load_explicit(&a->deployment->gate.share, memory_order_relaxed);
    double tokens = (double)a->part_events * (share > 0 ? share : 1);
    struct concurrency_sample s = {.begun = a->part_begun,
                                   .per_token = (ns_t)((double)(last - a->part_begun) / tokens)};

    live_gate_sample(&a->deployment->gate, &s, now);
    a->part_events = 0;
    a->part_begun = now;
}

void live_progress(struct live_attempt *a, unsigned events, ns_t now)
{
    if (!a->deployment || !a->first || events == 0)
        return;
    a->events += events;
    a->part_events += events;
    if (a->part_events >= PART_EVENTS)
        sample_part(a, now, now);
}

/* A stream has ended: what its last part took, and how many tokens an event had. */
static void sample_rest(struct live_attempt *a, uint64_t output, ns_t last, ns_t now)
{
    live_gate_calibrate(&a->deployment->gate, a->events, output - 1);
    if (a->part_events >= REST_EVENTS && last > a->part_begun)
        sample_part(a, last, now);
}

/* What the answer as a whole says of the deployment's capacity. */
static void sample_end(struct live_attempt *a, enum cause cause, uint64_t output, ns_t last, ns_t now)
{
    struct live_gate *g = &a->deployment->gate;

    if (cause == CAUSE_OVERLOADED)
        live_gate_overloaded(g, a->sent, now);
    if (cause != CAUSE_OK || output < 2)
        return;
    if (!a->first)
        live_gate_whole(g, a->sent, output, now);
    else if (a->events > 1)
        sample_rest(a, output, last, now);
    else if (last > a->first)
        live_gate_sample(
            g, &(struct concurrency_sample){.begun = a->first, .per_token = (last - a->first) / (ns_t)(output - 1)},
            now);
}

/* --- peers --- */

/* Sum up a route's deployments. Under the route's lock. */
static void refresh(struct live_route *r, ns_t now)
{
    double times[PEERS_MAX];
    size_t measured = 0;
    struct outlier_peers all = {.count = (unsigned)r->count};

    for (size_t i = 0; i < r->count; i++) {
        const struct live_deployment *d = r->deployments[i];
        enum outlier_state state = (enum outlier_state)atomic_load_explicit(&d->state, memory_order_relaxed);
        double time = atomic_load_explicit(&d->per_unit, memory_order_relaxed);
        all.out += state == OUTLIER_EJECTED || state == OUTLIER_PROBING;
        if (time > 0 && measured < PEERS_MAX)
            times[measured++] = time;
    }
    all.measured = (unsigned)measured;
    all.median = outlier_median(times, measured);
    r->peers = all;
    r->refreshed = now;
}

/* The peers of `d`, which counts as one of them, but not as one to be compared with. */
static struct outlier_peers peers_of(struct live_route *r, const struct live_deployment *d, ns_t now)
{
    struct outlier_peers peers = {.count = 1};

    if (!r)
        return peers;
    spin_take(&r->lock);
    if (!r->refreshed || now - r->refreshed >= REFRESH)
        refresh(r, now);
    peers = r->peers;
    spin_free(&r->lock);
    if (peers.measured && atomic_load_explicit(&d->per_unit, memory_order_relaxed) > 0)
        peers.measured--;
    return peers;
}

static void expire_peers(struct live_route *r)
{
    if (!r)
        return;
    spin_take(&r->lock);
    r->refreshed = 0;
    spin_free(&r->lock);
}

/*
 * An answer came whole: nobody saw its first token (its time per unit is returned). It is taken to have come so much earlier as the other tokens take by what is known; where
 * nothing is, each token is taken to be as slow as the first. So the sum is right, which is what a choice between two depends on.
 */
static double fold_whole(struct live_deployment *d, const struct live_attempt *a, const struct live_rules *rules,
                         uint64_t output, ns_t now)
{
    double took = (double)(now - a->sent), even = took / (double)(output + 1);
    double each = latency_read(&d->token, &rules->latency, now);

    each = each > 0 ? each : even;
    double first = took - each * (double)output;
    first = first > even ? first : even;
    latency_add(&d->first, &rules->latency, first / latency_units(a->input_tokens), now);
    latency_digest_add(&d->digest, DIGEST_HALF_LIFE, latency_of_base((ns_t)first, a->input_tokens), now);
    if (output)
        latency_add(&d->token, &rules->latency, (took - first) / (double)output, now);
    return first / latency_units(a->input_tokens);
}

/* Its time to first token, per unit; 0: there was none. */
static double time_of(struct live_deployment *d, const struct live_attempt *a, const struct live_rules *rules,
                      enum cause cause, uint64_t output, ns_t now)
{
    if (a->first)
        return (double)(a->first - a->sent) / latency_units(a->input_tokens);
    return cause == CAUSE_OK && !a->is_question ? fold_whole(d, a, rules, output, now) : 0;
}

/* What the end of an attempt says of the deployment's health. Under its lock; `ejected`: it was taken out just now. */
static void note_news(struct live_deployment *d, enum cause cause, bool ejected, ns_t now)
{
    bool is_row = d->outlier.reason == OUTLIER_CONSECUTIVE || d->outlier.reason == OUTLIER_PROBE;

    switch (cause_meaning(cause)->health) {
    case CAUSE_HEALTH_GOOD:
        atomic_store_explicit(&d->good, now, memory_order_relaxed);
        break;
    case CAUSE_HEALTH_ILL:
        atomic_store_explicit(&d->ill, now, memory_order_relaxed);
        atomic_store_explicit(&d->last_ill, (int)cause, memory_order_relaxed);
        break;
    case CAUSE_HEALTH_NONE:
        break;
    }
    if (ejected)
        atomic_store_explicit(&d->ejected_by, (int)(is_row ? cause : CAUSE_OK), memory_order_relaxed);
}

void live_end(struct live_attempt *a, struct live_route *route, const struct live_rules *rules, enum cause cause,
              uint64_t output, ns_t last, ns_t now)
{
    struct live_deployment *d = a->deployment;

    if (!d)
        return;
    struct outlier_peers peers = peers_of(route, d, now);
    spin_take(&d->lock);
    enum outlier_state before = d->outlier.state;
    a->seq_ended = next_seq(d->live);
    stop_waiting(d, a);
    ns_t until = d->outlier.until;
    double time = time_of(d, a, rules, cause, output, now);
    if (time > 0)
        outlier_probed(&d->outlier, &rules->outlier, &peers, a->stamp, time, now);
    outlier_ended(&d->outlier, &rules->outlier, &peers, a->stamp, cause, now);
    if (!a->first &&
        cause == CAUSE_SUPERSEDED) /* it would have taken longer; without it the slow ones vanish from what is known */
        latency_digest_add(&d->digest, DIGEST_HALF_LIFE, latency_of_base(now - a->sent, a->input_tokens), now);
    if (time > 0 && d->outlier.state == OUTLIER_IN_USE)
        outlier_slow(&d->outlier, &rules->outlier, &peers, latency_read(&d->first, &rules->latency, now), now);
    if (a->first && output > 1 && last > a->first)
        latency_add(&d->token, &rules->latency, (double)(last - a->first) / (double)(output - 1), now);
    d->causes[cause]++;
    note_news(d, cause, d->outlier.state == OUTLIER_EJECTED && d->outlier.until != until, now);
    bool changed = d->outlier.state != before;
    d->ejected += changed && d->outlier.state == OUTLIER_EJECTED;
    publish(d, rules, now);
    spin_free(&d->lock);
    if (!a->is_question) {
        sample_end(a, cause, output, last, now);
        live_gate_give(&d->gate, now);
    }
    atomic_fetch_sub_explicit(&d->in_flight_tokens, a->tokens, memory_order_relaxed);
    if (changed) /* who is judged next must know how many are out */
        expire_peers(route);
    a->deployment = NULL;
}

/* --- a route --- */

void live_route_set(struct live_route *r, struct live_deployment *const *deployments, size_t count)
{
    struct live_deployment **copy = mem_zalloc(count, sizeof *copy);
    struct live_gate **gates = mem_zalloc(count, sizeof *gates);

    for (size_t i = 0; i < count; i++) {
        copy[i] = deployments[i];
        gates[i] = &deployments[i]->gate;
        atomic_fetch_add_explicit(&copy[i]->refs, 1, memory_order_relaxed);
    }
    live_queue_set(&r->queue, gates, count);
    mem_free(gates);
    spin_take(&r->lock);
    struct live_deployment **old = r->deployments;
    size_t old_count = r->count;
    r->deployments = copy;
    r->count = count;
    r->refreshed = 0;
    spin_free(&r->lock);
    unref_all(old, old_count);
}

struct live_queue *live_route_queue(struct live_route *r)
{
    return &r->queue;
}

struct live_gate *live_deployment_gate(struct live_deployment *d)
{
    return &d->gate;
}

uint64_t live_route_turn(struct live_route *r, uint64_t *ret_seq)
{
    *ret_seq = next_seq(r->live);
    return atomic_fetch_add_explicit(&r->turn, 1, memory_order_relaxed);
}

void live_route_request(struct live_route *r, const struct live_rules *rules, ns_t now)
{
    spin_take(&r->lock);
    retry_budget_request(&r->budget, &rules->budget, now);
    spin_free(&r->lock);
}

enum live_retry live_route_may_retry(struct live_route *r, const struct live_rules *rules, ns_t now)
{
    spin_take(&r->lock);
    bool may = retry_budget_allows(&r->budget, &rules->budget, now);
    enum live_retry answer = may ? LIVE_RETRY_YES : r->retrying ? LIVE_RETRY_PENDING : LIVE_RETRY_NO;
    spin_free(&r->lock);
    return answer;
}

bool live_route_take_retry(struct live_route *r, const struct live_rules *rules, ns_t now)
{
    spin_take(&r->lock);
    bool taken = retry_budget_take(&r->budget, &rules->budget, now);
    r->retrying += taken;
    spin_free(&r->lock);
    return taken;
}

void live_route_settle_retry(struct live_route *r, const struct live_rules *rules, bool answered, ns_t now)
{
    spin_take(&r->lock);
    r->retrying--;
    if (answered)
        retry_budget_return(&r->budget, &rules->budget, now);
    spin_free(&r->lock);
}

/* --- hedging --- */

void live_route_hedgeable(struct live_route *r, const struct hedge_rules *rules, uint64_t cost)
{
    spin_take(&r->lock);
    hedge_request(&r->hedges, rules, cost);
    spin_free(&r->lock);
}

bool live_route_take_hedge(struct live_route *r, const struct hedge_rules *rules, uint64_t cost)
{
    spin_take(&r->lock);
    bool taken = hedge_take(&r->hedges, rules, cost);
    spin_free(&r->lock);
    return taken;
}

void live_route_return_hedge(struct live_route *r, uint64_t cost)
{
    spin_take(&r->lock);
    hedge_return(&r->hedges, cost);
    spin_free(&r->lock);
}

void live_route_settle_hedge(struct live_route *r, uint64_t taken, uint64_t spent)
{
    spin_take(&r->lock);
    hedge_settle(&r->hedges, taken, spent);
    spin_free(&r->lock);
}

ns_t live_hedge_at(struct live_deployment *d, const struct hedge_rules *rules, struct hedge_ask *ask)
{
    spin_take(&d->lock);
    ask->seen = &d->digest;
    struct hedge_decision decision = hedge_decide(rules, ask);
    ask->seen = NULL;
    spin_free(&d->lock);
    return decision.why == HEDGE_GO ? decision.at : NS_NEVER;
}

/* --- for people --- */

void live_report(struct live_deployment *d, const struct live_rules *rules, ns_t now, struct live_report *ret)
{
    spin_take(&d->lock);
    (void)outlier_at(&d->outlier, now);
    publish(d, rules, now);
    *ret = (struct live_report){.health = d->outlier,
                                .sent = d->sent,
                                .ejected = d->ejected,
                                .first_token_per_unit = latency_read(&d->first, &rules->latency, now),
                                .per_token = latency_read(&d->token, &rules->latency, now),
                                .p50 = latency_digest_quantile(&d->digest, 0.5, DIGEST_LEAST),
                                .p95 = latency_digest_quantile(&d->digest, 0.95, DIGEST_LEAST),
                                .server = live_load_server(&d->load, now)};
    memcpy(ret->causes, d->causes, sizeof ret->causes);
    outlier_recent(&d->outlier, &rules->outlier, now, &ret->recent_good, &ret->recent_ill);
    spin_free(&d->lock);
    ret->in_flight = atomic_load_explicit(&d->gate.in_flight, memory_order_relaxed);
    ret->in_flight_tokens = atomic_load_explicit(&d->in_flight_tokens, memory_order_relaxed);
}

/* --- for those who ask it how it is --- */

void live_news(const struct live_deployment *d, struct live_news *ret)
{
    *ret = (struct live_news){.state = (enum outlier_state)atomic_load_explicit(&d->state, memory_order_relaxed),
                              .until = atomic_load_explicit(&d->until, memory_order_relaxed),
                              .good = atomic_load_explicit(&d->good, memory_order_relaxed),
                              .ill = atomic_load_explicit(&d->ill, memory_order_relaxed),
                              .last_ill = (enum cause)atomic_load_explicit(&d->last_ill, memory_order_relaxed),
                              .ejected_by = (enum cause)atomic_load_explicit(&d->ejected_by, memory_order_relaxed)};
}

void live_server_said(struct live_deployment *d, const struct server_load *said, ns_t now, ns_t until)
{
    live_load_take(&d->load, said, atomic_load_explicit(&d->gate.in_flight, memory_order_relaxed),
                   atomic_load_explicit(&d->in_flight_tokens, memory_order_relaxed), now, until);
}
