/*
 * live_credential.c - folding what answers tell about credentials into what decisions read.
 *
 * Idea. A credential as a whole and each of its pairs with a model are a struct rate_credential (policy/ratelimit.h) of their own; a request
 * must be let through by both. One lock per credential makes an event one step for both. After it the few figures that decisions need are
 * published as single words.
 *
 * What is published and still true later: an account only grows until the next event, so what fitted then fits now; a rest ends at an instant.
 * What is not true for ever is how much has grown meanwhile: so a published state is fresh until the next reset, or for a second where an
 * account grows all the time, and the first who reads it after that takes the lock and publishes anew. So the locks that readers take are
 * bounded by time, not by requests. Who finds too little left takes it too: the exact answer is then worth it.
 *
 * Models that the configuration does not name (`serves: "*"`) are a client's to invent. A credential remembers the limits of OTHERS_MAX of them,
 * and forgets those of the one that was used longest ago and has nothing under way.
 *
 * An estimate that is larger than the whole limit is taken for the limit: it may be wrong, and the provider is the one to say so.
 */
#include "fleet/live_credential.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/spin.h"

#include <string.h>

enum { OTHERS_MAX = 16 };

/* Of an account that grows all the time; of anything, because what was told long ago is believed no more. */
#define FRESH_FOR NS_SEC
#define FRESH_MAX (60 * NS_SEC)

/* What is read without the lock. */
struct published {
    _Atomic ns_t fresh_until; /* from then on the rest is to be computed anew                               */
    _Atomic uint64_t roomy;   /* what has fewer tokens, in and out together, may be sent: no limit is near  */
    _Atomic double headroom;
    _Atomic int state;         /* enum rate_state                                                            */
    _Atomic ns_t closed_until; /* nothing at all may be sent before */
    _Atomic uint64_t left[RATE_WHATS];
};

struct counted {
    struct published published; /* in one piece with nothing before it: a decision reads a thousand of them */
    struct rate_credential rate;
    uint64_t sent, rate_limited, refused;
};

struct live_limit {
    struct counted own; /* under the credential's lock */
    struct live_credential *credential;
    char *model;
    size_t model_n;
    unsigned refs; /* under the lock of all */
    /* of those in live_credential.others: */
    uint64_t hash;
    unsigned under_way;
    ns_t used;
};

struct live_credential {
    struct live_credentials *all;
    char *identity;
    size_t identity_n;
    unsigned refs;     /* under all's lock */
    struct map limits; /* by model; likewise */
    struct rate_rules rules;

    struct spin lock;
    /* under the lock */
    struct counted whole;
    struct live_limit *_Atomic others; /* OTHERS_MAX; NULL: none was needed yet */
};

struct live_credentials {
    struct spin lock;
    struct map by_identity;
};

/* --- life --- */

struct live_credentials *live_credentials_new(void)
{
    return NEW(struct live_credentials);
}

void live_credentials_free(struct live_credentials *all)
{
    if (!all)
        return;
    map_release(&all->by_identity);
    mem_free(all);
}

static void publish(struct counted *c, ns_t now);

struct live_credential *live_credential_ref(struct live_credentials *all, struct str identity, bool expires)
{
    spin_take(&all->lock);
    struct live_credential *c = map_get(&all->by_identity, identity);
    if (!c) {
        c = NEW(struct live_credential);
        c->all = all;
        c->identity = mem_dup(identity.p, identity.n);
        c->identity_n = identity.n;
        c->rules = rate_rules_usual;
        c->rules.refusals += expires;
        publish(&c->whole, 0);
        map_put(&all->by_identity, str_of(c->identity, identity.n), c);
    }
    c->refs++;
    spin_free(&all->lock);
    return c;
}

/* Under all's lock. */
static void drop(struct live_credential *c)
{
    if (--c->refs)
        return;
    map_remove(&c->all->by_identity, str_of(c->identity, c->identity_n));
    map_release(&c->limits);
    mem_free(c->others);
    mem_free(c->identity);
    mem_free(c);
}

void live_credential_unref(struct live_credential *c)
{
    if (!c)
        return;
    struct live_credentials *all = c->all;
    spin_take(&all->lock);
    drop(c);
    spin_free(&all->lock);
}

struct live_limit *live_limit_ref(struct live_credential *c, struct str model)
{
    spin_take(&c->all->lock);
    struct live_limit *l = map_get(&c->limits, model);
    if (!l) {
        l = NEW(struct live_limit);
        l->credential = c;
        l->model = mem_dup(model.p, model.n);
        l->model_n = model.n;
        publish(&l->own, 0);
        map_put(&c->limits, str_of(l->model, model.n), l);
        c->refs++;
    }
    l->refs++;
    spin_free(&c->all->lock);
    return l;
}

void live_limit_unref(struct live_limit *l)
{
    if (!l)
        return;
    struct live_credential *c = l->credential;
    struct live_credentials *all = c->all;
    spin_take(&all->lock);
    if (--l->refs == 0) {
        map_remove(&c->limits, str_of(l->model, l->model_n));
        mem_free(l->model);
        mem_free(l);
        drop(c);
    }
    spin_free(&all->lock);
}

/* --- what decisions read --- */

/* When what is published ceases to be all that can be said. */
static ns_t fresh_until(const struct rate_credential *c, ns_t now)
{
    ns_t until = ns_add(now, FRESH_MAX);

    if (c->state == RATE_PARKED)
        until = ns_min(until, c->until);
    for (unsigned i = 0; i < c->account_count; i++) {
        const struct rate_account *a = &c->accounts[i];
        if (a->refills)
            until = ns_min(until, ns_add(now, FRESH_FOR));
        if (a->window.has_reset && a->window.reset > now)
            until = ns_min(until, a->window.reset);
    }
    return until;
}

static ns_t closed_until(struct rate_credential *c, ns_t now)
{
    static const struct rate_need least = {.input_tokens = 1};

    if (c->state == RATE_RETIRED)
        return c->until;
    struct rate_verdict v = rate_gate(c, &least, now);
    return v.answer == RATE_WAIT ? v.at : v.answer == RATE_NEVER ? NS_NEVER : 0;
}

/* The least of what is left in tokens; 0: it is not open, or not even a request is left. */
static uint64_t roomy(const uint64_t left[RATE_WHATS])
{
    uint64_t least = left[RATE_REQUESTS] ? UINT64_MAX : 0;

    for (unsigned what = 0; what < RATE_WHATS; what++)
        if (what != RATE_REQUESTS && left[what] < least)
            least = left[what];
    return least;
}

/* Is what is published of one that is open and knows no limits, and will be for a while? Then there is nothing to be published. */
static bool is_published(const struct counted *c, ns_t now)
{
    return c->rate.state == RATE_OPEN && c->rate.account_count == 0 &&
           atomic_load_explicit(&c->published.roomy, memory_order_relaxed) == UINT64_MAX &&
           atomic_load_explicit(&c->published.headroom, memory_order_relaxed) >= 1 &&
           ns_add(now, FRESH_MAX / 2) < atomic_load_explicit(&c->published.fresh_until, memory_order_relaxed);
}

/* Under the lock, if others know of it. */
static void publish(struct counted *c, ns_t now)
{
    struct published *p = &c->published;

    if (is_published(c, now))
        return;
    ns_t closed = closed_until(&c->rate, now);
    bool is_open = c->rate.state == RATE_OPEN && closed <= now;
    uint64_t left[RATE_WHATS];

    atomic_store_explicit(&p->state, (int)c->rate.state, memory_order_relaxed);
    atomic_store_explicit(&p->closed_until, closed, memory_order_relaxed);
    atomic_store_explicit(&p->headroom, rate_headroom(&c->rate, now), memory_order_relaxed);
    for (unsigned what = 0; what < RATE_WHATS; what++) {
        left[what] = rate_left(&c->rate, what, now);
        atomic_store_explicit(&p->left[what], left[what], memory_order_relaxed);
    }
    atomic_store_explicit(&p->roomy, is_open ? roomy(left) : 0, memory_order_relaxed);
    atomic_store_explicit(&p->fresh_until, fresh_until(&c->rate, now), memory_order_relaxed);
}

/* What is needed, as far as the limits let anything of that size through. */
static struct rate_need fitted(const struct rate_credential *c, const struct rate_need *need)
{
    struct rate_need n = *need;

    for (unsigned i = 0; i < c->account_count; i++) {
        const struct rate_window *w = &c->accounts[i].window;
        if (!w->has_limit)
            continue;
        if (w->what == RATE_INPUT_TOKENS || w->what == RATE_TOKENS)
            n.input_tokens = n.input_tokens < w->limit ? n.input_tokens : w->limit;
        uint64_t room = w->what == RATE_TOKENS ? w->limit - n.input_tokens : w->limit;
        if (w->what == RATE_OUTPUT_TOKENS || w->what == RATE_TOKENS)
            n.output_tokens = n.output_tokens < room ? n.output_tokens : room;
    }
    return n;
}

static struct rate_verdict gate(struct rate_credential *c, const struct rate_need *need, bool at_last, ns_t now)
{
    struct rate_need fits = fitted(c, need);

    return at_last ? rate_gate_at_last(c, &fits, now) : rate_gate(c, &fits, now);
}

/* The exact answer. */
static struct rate_option read_locked(struct spin *lock, struct counted *c, const struct rate_need *need, ns_t now)
{
    spin_take(lock);
    struct rate_option o = {.verdict = gate(&c->rate, need, false, now), .headroom = rate_headroom(&c->rate, now)};
    publish(c, now);
    spin_free(lock);
    return o;
}

static bool has_room(const struct published *p, const struct rate_need *need)
{
    for (unsigned what = 0; what < RATE_WHATS; what++)
        if (rate_cost(need, what) > atomic_load_explicit(&p->left[what], memory_order_relaxed))
            return false;
    return true;
}

static struct rate_option read_counted(struct spin *lock, struct counted *c, const struct rate_need *need, ns_t now)
{
    const struct published *p = &c->published;
    enum rate_state state = (enum rate_state)atomic_load_explicit(&p->state, memory_order_relaxed);
    ns_t closed = atomic_load_explicit(&p->closed_until, memory_order_relaxed);
    bool fresh = now < atomic_load_explicit(&p->fresh_until, memory_order_relaxed);

    if (fresh && now < closed)
        return (struct rate_option){
            .verdict = {.answer = state == RATE_RETIRED ? RATE_NEVER : RATE_WAIT, .at = closed, .account = -1}};
    if (fresh && state == RATE_OPEN && has_room(p, need))
        return (struct rate_option){.verdict = {.answer = RATE_ALLOWED, .at = now, .account = -1},
                                    .headroom = atomic_load_explicit(&p->headroom, memory_order_relaxed)};
    return read_locked(lock, c, need, now);
}

static bool is_roomy(const struct published *p, uint64_t tokens, ns_t now, double *ret_headroom)
{
    *ret_headroom = atomic_load_explicit(&p->headroom, memory_order_relaxed);
    return now < atomic_load_explicit(&p->fresh_until, memory_order_relaxed) &&
           tokens < atomic_load_explicit(&p->roomy, memory_order_relaxed);
}

bool live_credential_is_roomy(const struct live_credential *c, const struct live_limit *l, uint64_t tokens, ns_t now,
                              double *ret_headroom)
{
    double own;

    if (!l || !is_roomy(&c->whole.published, tokens, now, ret_headroom) ||
        !is_roomy(&l->own.published, tokens, now, &own))
        return false;
    *ret_headroom = own < *ret_headroom ? own : *ret_headroom;
    return true;
}

/* Of two that must both let it through: the one that is more against it. */
static struct rate_verdict stricter(const struct rate_verdict *a, const struct rate_verdict *b)
{
    struct rate_verdict v =
        b->answer > a->answer || (b->answer == RATE_WAIT && a->answer == RATE_WAIT && b->at > a->at) ? *b : *a;

    v.is_probe = v.answer == RATE_ALLOWED && (a->is_probe || b->is_probe);
    return v;
}

/* Of those that are remembered without being configured; NULL: it is not among them. Under the lock. */
static struct live_limit *known_other(struct live_credential *c, uint64_t hash)
{
    struct live_limit *others = c->others;

    for (size_t i = 0; others && i < OTHERS_MAX; i++)
        if (others[i].hash == hash && others[i].credential)
            return &others[i];
    return NULL;
}

static struct rate_option read_other(struct live_credential *c, struct str model, const struct rate_need *need,
                                     ns_t now)
{
    struct rate_option o = {.verdict = {.answer = RATE_ALLOWED, .at = now, .account = -1}, .headroom = 1};

    if (!c->others)
        return o;
    spin_take(&c->lock);
    struct live_limit *l = known_other(c, map_hash(model));
    if (l)
        o = (struct rate_option){.verdict = gate(&l->own.rate, need, false, now),
                                 .headroom = rate_headroom(&l->own.rate, now)};
    spin_free(&c->lock);
    return o;
}

void live_credential_read(struct live_credential *c, struct live_limit *l, struct str model,
                          const struct rate_need *need, ns_t now, struct rate_option *ret)
{
    struct rate_option whole = read_counted(&c->lock, &c->whole, need, now);
    struct rate_option own = l ? read_counted(&c->lock, &l->own, need, now) : read_other(c, model, need, now);

    ret->verdict = stricter(&whole.verdict, &own.verdict);
    ret->headroom = own.headroom < whole.headroom ? own.headroom : whole.headroom;
}

/* --- an attempt --- */

/* The limits of a model that the configuration does not name; NULL: too many such are under way. Under the lock. */
static struct live_limit *other_limit(struct live_credential *c, uint64_t hash)
{
    struct live_limit *oldest = known_other(c, hash), *others = c->others;

    if (oldest)
        return oldest;
    for (size_t i = 0; i < OTHERS_MAX; i++)
        if (!others[i].under_way && (!oldest || others[i].used < oldest->used))
            oldest = &others[i];
    if (oldest)
        *oldest = (struct live_limit){.credential = c, .hash = hash};
    return oldest;
}

/* Give the credential room for them. */
static void make_others(struct live_credential *c)
{
    struct live_limit *room = mem_zalloc(OTHERS_MAX, sizeof *room);

    spin_take(&c->lock);
    if (!c->others) {
        c->others = room;
        room = NULL;
    }
    spin_free(&c->lock);
    mem_free(room); /* another loop was first */
}

static struct rate_verdict send_locked(struct live_credential *c, struct live_limit *l, const struct rate_need *need,
                                       bool at_last, ns_t now, struct live_credential_use *ret)
{
    struct rate_verdict whole = gate(&c->whole.rate, need, at_last, now);
    struct rate_verdict own = l ? gate(&l->own.rate, need, at_last, now) : whole;
    struct rate_verdict v = stricter(&whole, &own);

    if (v.answer != RATE_ALLOWED)
        return v;
    *ret = (struct live_credential_use){.credential = c, .limit = l, .whole = rate_sent(&c->whole.rate, need, now)};
    c->whole.sent++;
    publish(&c->whole, now);
    if (!l)
        return v;
    ret->own = rate_sent(&l->own.rate, need, now);
    l->own.sent++;
    l->under_way++;
    l->used = now;
    publish(&l->own, now);
    return v;
}

struct rate_verdict live_credential_send(struct live_credential *c, struct live_limit *l, struct str model,
                                         const struct rate_need *need, bool at_last, ns_t now,
                                         struct live_credential_use *ret)
{
    uint64_t hash = l ? 0 : map_hash(model);

    if (!l && !c->others) /* once */
        make_others(c);
    spin_take(&c->lock);
    struct rate_verdict v = send_locked(c, l ? l : other_limit(c, hash), need, at_last, now, ret);
    spin_free(&c->lock);
    return v;
}

/* What the cause says about the credential as a whole, and about its use of the model. */
static enum cause cause_for_whole(enum cause cause, bool of_key)
{
    bool of_model = cause == CAUSE_RATE_LIMITED || (cause == CAUSE_AUTH && !of_key);

    return of_model ? CAUSE_CLIENT_ERROR : cause; /* it was known there */
}

static enum cause cause_for_model(enum cause cause, bool of_key)
{
    bool of_whole = cause == CAUSE_QUOTA || (cause == CAUSE_AUTH && of_key);

    return of_whole ? CAUSE_CANCELLED : cause; /* nothing was said */
}

/* Fold one event into one of the two. *ret_back: it was retired, and is no more. */
static bool fold(struct counted *c, const struct rate_rules *rules, const struct rate_stamp *stamp, enum cause cause,
                 const struct rate_reading *reading, ns_t now, bool *ret_back)
{
    bool was_retired = c->rate.state == RATE_RETIRED;
    bool is_new = rate_answered(&c->rate, rules, stamp, cause, reading, now);

    *ret_back |= was_retired && c->rate.state != RATE_RETIRED;
    publish(c, now);
    return is_new;
}

static void count(struct counted *c, enum cause cause)
{
    c->rate_limited += cause_meaning(cause)->key == CAUSE_KEY_PARK;
    c->refused += cause_meaning(cause)->key == CAUSE_KEY_RETIRE;
}

enum live_credential_news live_credential_answered(struct live_credential_use *u, enum cause cause, bool of_key,
                                                   const struct rate_reading *reading, ns_t now)
{
    struct live_credential *c = u->credential;
    bool back = false, own = false;

    if (!c)
        return LIVE_CREDENTIAL_SAME;
    spin_take(&c->lock);
    count(&c->whole, cause);
    bool whole = fold(&c->whole, &c->rules, &u->whole, cause_for_whole(cause, of_key), NULL, now, &back);
    if (u->limit) {
        count(&u->limit->own, cause);
        own = fold(&u->limit->own, &c->rules, &u->own, cause_for_model(cause, of_key), reading, now, &back);
        u->limit->under_way--;
    }
    spin_free(&c->lock);
    *u = (struct live_credential_use){.credential = NULL};
    if (whole)
        return cause == CAUSE_QUOTA ? LIVE_CREDENTIAL_SPENT : LIVE_CREDENTIAL_RETIRED;
    if (own)
        return cause == CAUSE_RATE_LIMITED ? LIVE_CREDENTIAL_PARKED : LIVE_CREDENTIAL_NOT_MODEL;
    return back ? LIVE_CREDENTIAL_ACCEPTED : LIVE_CREDENTIAL_SAME;
}

/* --- for people --- */

static void report(struct spin *lock, struct counted *c, ns_t now, struct live_credential_report *ret)
{
    spin_take(lock);
    publish(c, now); /* which ends a rest whose time is over */
    *ret = (struct live_credential_report){.state = c->rate,
                                           .headroom = rate_headroom(&c->rate, now),
                                           .sent = c->sent,
                                           .rate_limited = c->rate_limited,
                                           .refused = c->refused};
    for (unsigned i = 0; i < ret->state.account_count; i++) {
        struct rate_account *a = &ret->state.accounts[i];
        if (a->window.has_remaining)
            a->window.remaining = rate_account_left(a, now);
    }
    spin_free(lock);
}

void live_credential_report(struct live_credential *c, ns_t now, struct live_credential_report *ret)
{
    report(&c->lock, &c->whole, now, ret);
}

void live_limit_report(struct live_limit *l, ns_t now, struct live_credential_report *ret)
{
    report(&l->credential->lock, &l->own, now, ret);
}
