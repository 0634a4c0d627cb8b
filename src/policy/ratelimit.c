/*
 * ratelimit.c - keeping books on what a provider has told of its limits.
 *
 * An account holds what an answer said is left, less all that was sent after that answer's request. Both are known from
 * running sums that a request takes along as a stamp, so answers may come in any order: each is a true statement about
 * the moment at which its request was counted.
 *
 * What is left grows again at the reset. Many providers' limits are token buckets that fill all the time, and their
 * reset is when they are full; to wait for that would waste them, to assume it of a fixed window would fetch a 429. So
 * each limit is taken for a fixed window until it proves otherwise: an answer to a request that was sent after the last
 * answer tells that more is left than then. A 429 disproves it for good.
 *
 * A refused credential is retired, but not for ever: providers refuse by mistake, and operators unlock keys without telling a
 * gateway. So it is tried with one request after a pause that doubles, which costs next to nothing and wakes nobody; and where it
 * is all there is, by one at a time without a pause, because a mistake must not take everything down for longer than it lasts.
 *
 * Does not: queue. Who is told to wait knows until when.
 */
#include "policy/ratelimit.h"

#include "policy/balance.h"

const struct rate_rules rate_rules_usual = {
    .park = 2 * NS_SEC,
    .park_max = 60 * NS_SEC,
    .quota = 300 * NS_SEC,
    .hint_max = 86400 * NS_SEC,
    .refusals = 1,
    .retire = 10 * NS_SEC,
    .retire_max = 600 * NS_SEC,
};

enum { TICKETS = 1 << 20 };

/* Of a limit whose reset is not told: nearly all are per minute. */
#define ASSUMED_SPAN (60 * NS_SEC)
/* What was told so long ago is not believed after the next reset: limits change, and a limit that lets nothing through would
 * else never be heard of again. */
#define BELIEVED (600 * NS_SEC)

uint64_t rate_cost(const struct rate_need *need, enum rate_what what)
{
    switch (what) {
    case RATE_REQUESTS:
        return 1;
    case RATE_TOKENS:
        return need->input_tokens + need->output_tokens;
    case RATE_INPUT_TOKENS:
        return need->input_tokens;
    case RATE_OUTPUT_TOKENS:
        return need->output_tokens;
    case RATE_WHATS:
        break;
    }
    return 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* The reset has passed: full again, as far as one can know. */
static void pass_reset(struct rate_account *a, ns_t now)
{
    struct rate_window *w = &a->window;

    if (w->has_reset && now < w->reset)
        return;
    if (now - a->learned > BELIEVED)
        w->has_limit = w->has_remaining = w->has_reset = false;
    if (!w->has_reset)
        return;
    w->has_remaining = w->has_limit;
    w->remaining = a->told_remaining = w->limit;
    a->told = w->reset;
    w->has_reset = w->has_limit && a->length > 0;
    while (w->has_reset && w->reset <= now)
        w->reset = now - w->reset > a->length ? now + a->length : w->reset + a->length;
}

uint64_t rate_account_left(struct rate_account *a, ns_t now)
{
    const struct rate_window *w = &a->window;

    pass_reset(a, now);
    if (!w->has_remaining)
        return UINT64_MAX;
    if (!a->refills || !w->has_limit || !w->has_reset || w->reset <= a->told)
        return w->remaining;
    double share = (double)(now - a->told) / (double)(w->reset - a->told);
    uint64_t grown = (uint64_t)((double)less(w->limit, a->told_remaining) * share);
    return w->remaining + grown < w->limit ? w->remaining + grown : w->limit;
}

uint64_t rate_left(struct rate_credential *c, enum rate_what what, ns_t now)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < c->account_count; i++) {
        uint64_t rest = c->accounts[i].window.what == what ? rate_account_left(&c->accounts[i], now) : UINT64_MAX;
        least = rest < least ? rest : least;
    }
    return least;
}

/* When a refilling account will have `cost`, or the reset. */
static ns_t enough_at(const struct rate_account *a, uint64_t cost)
{
    const struct rate_window *w = &a->window;

    if (!w->has_reset)
        return NS_NEVER;
    uint64_t grows = less(w->limit, a->told_remaining), missing = less(cost, w->remaining);
    if (!a->refills || grows == 0 || missing >= grows)
        return w->reset;
    return a->told + (ns_t)((double)(w->reset - a->told) * ((double)missing / (double)grows)) + NS_MS; /* rounding */
}

static void end_rest(struct rate_credential *c, ns_t now)
{
    if (c->state == RATE_PARKED && now >= c->until)
        c->state = RATE_OPEN;
}

static struct rate_verdict gate(struct rate_credential *c, const struct rate_need *need, bool at_last, ns_t now)
{
    struct rate_verdict v = {.answer = RATE_ALLOWED, .at = now, .account = -1};

    end_rest(c, now);
    if (c->state == RATE_RETIRED && (c->probing || (now < c->until && !at_last)))
        return (struct rate_verdict){.answer = RATE_NEVER, .at = NS_NEVER, .account = -1};
    v.is_probe = c->state == RATE_RETIRED;
    if (c->state == RATE_PARKED)
        v = (struct rate_verdict){.answer = RATE_WAIT, .at = c->until, .account = -1};
    for (unsigned i = 0; i < c->account_count; i++) {
        struct rate_account *a = &c->accounts[i];
        uint64_t cost = rate_cost(need, a->window.what);
        pass_reset(a, now);
        if (a->window.has_limit && cost > a->window.limit)
            return (struct rate_verdict){.answer = RATE_NEVER, .at = NS_NEVER, .account = (int)i};
        if (rate_account_left(a, now) >= cost)
            continue;
        ns_t at = enough_at(a, cost);
        if (v.answer == RATE_ALLOWED || at > v.at)
            v = (struct rate_verdict){.answer = RATE_WAIT, .at = at, .account = (int)i};
    }
    return v;
}

struct rate_verdict rate_gate(struct rate_credential *c, const struct rate_need *need, ns_t now)
{
    return gate(c, need, false, now);
}

struct rate_verdict rate_gate_at_last(struct rate_credential *c, const struct rate_need *need, ns_t now)
{
    return gate(c, need, true, now);
}

struct rate_stamp rate_sent(struct rate_credential *c, const struct rate_need *need, ns_t now)
{
    struct rate_stamp stamp = {.at = now, .is_probe = c->state == RATE_RETIRED};

    c->probing = c->probing || stamp.is_probe;
    for (unsigned i = 0; i < c->account_count; i++) {
        struct rate_account *a = &c->accounts[i];
        pass_reset(a, now);
        a->window.remaining = less(a->window.remaining, rate_cost(need, a->window.what));
    }
    for (unsigned what = 0; what < RATE_WHATS; what++)
        stamp.sent[what] = c->sent_[what] += rate_cost(need, what);
    return stamp;
}

static struct rate_account *account_of(struct rate_credential *c, const struct rate_window *w)
{
    for (unsigned i = 0; i < c->account_count; i++) {
        const struct rate_window *known = &c->accounts[i].window;
        if (known->what == w->what && known->policy == w->policy && known->span == w->span)
            return &c->accounts[i];
    }
    if (c->account_count == RATE_WINDOWS_MAX)
        return NULL;
    c->accounts[c->account_count] = (struct rate_account){.window = {.what = w->what}};
    return &c->accounts[c->account_count++];
}

/* Does the answer show that the account grows before its reset? */
static bool shows_growth(const struct rate_account *a, const struct rate_window *w, const struct rate_stamp *stamp,
                         ns_t now)
{
    const struct rate_window *known = &a->window;
    bool same_window = known->has_remaining && known->has_reset && now < known->reset;

    return same_window && stamp->at >= a->told && w->remaining > a->told_remaining;
}

static void learn(struct rate_credential *c, const struct rate_rules *rules, const struct rate_window *told,
                  const struct rate_stamp *stamp, ns_t now)
{
    struct rate_account *a = told->has_remaining ? account_of(c, told) : NULL;
    struct rate_window w = *told;

    if (!a)
        return;
    if (!w.has_reset) { /* at the latest, then */
        w.has_reset = true;
        w.reset = ns_add(now, w.span ? w.span : ASSUMED_SPAN);
    }
    w.reset = ns_min(w.reset, ns_add(now, rules->hint_max));
    if (w.reset <= now)
        w.remaining = w.has_limit ? w.limit : w.remaining; /* it is full by now */
    if (!a->fixed && shows_growth(a, &w, stamp, now))
        a->refills = true;
    a->learned = a->told = now;
    a->told_remaining = w.remaining;
    a->length = w.reset - now;
    w.remaining = less(w.remaining, c->sent_[w.what] - stamp->sent[w.what]);
    a->window = w;
}

/* When the limits that a refusal told as spent are full again; 0: it told of none. */
static ns_t spent_until(const struct rate_reading *reading)
{
    ns_t until = 0;

    for (unsigned i = 0; i < reading->count; i++) {
        const struct rate_window *w = &reading->windows[i];
        if (w->has_remaining && w->remaining == 0 && w->has_reset && w->reset > until)
            until = w->reset;
    }
    return until;
}

/* `first`, twice as long for each time before, at most `most`. */
static ns_t doubled(ns_t first, unsigned times, ns_t most)
{
    return times >= 32 || first > (most >> times) ? most : first << times;
}

static void park(struct rate_credential *c, const struct rate_rules *rules, enum cause cause,
                 const struct rate_reading *reading, ns_t now)
{
    ns_t first = cause == CAUSE_QUOTA ? rules->quota : rules->park;
    ns_t most = cause == CAUSE_QUOTA ? rules->hint_max : rules->park_max;
    ns_t told = !reading ? 0 : reading->has_retry ? reading->retry_at : spent_until(reading);
    bool again = c->state == RATE_PARKED; /* refused, too, but under way before: counts as one */
    ns_t span = doubled(first, again ? c->parks - 1 : c->parks, most);

    if (told > now)
        span = ns_min(told - now, rules->hint_max);
    ns_t until = ns_add(now, span);
    c->until = again && c->until > until ? c->until : until;
    if (!again) {
        c->parks++;
        c->since = now;
    }
    c->state = RATE_PARKED;
    c->why = cause;
    for (unsigned i = 0; i < c->account_count; i++)
        if (c->accounts[i].refills) {
            c->accounts[i].refills = false;
            c->accounts[i].fixed = true;
        }
}

static void retire(struct rate_credential *c, const struct rate_rules *rules, enum cause cause, ns_t now)
{
    if (c->state != RATE_RETIRED)
        c->since = now;
    c->state = RATE_RETIRED;
    c->why = cause;
    c->until = ns_add(now, doubled(rules->retire, c->retirements, rules->retire_max));
    c->retirements++;
}

/* Refused. Those that were under way when that became known only repeat it. */
static void refuse(struct rate_credential *c, const struct rate_rules *rules, const struct rate_stamp *stamp,
                   enum cause cause, ns_t now)
{
    if (c->refusals && stamp->at < c->refused)
        return;
    c->refusals++;
    c->refused = now;
    if (c->refusals >= rules->refusals)
        retire(c, rules, cause, now);
}

/* What an answer other than a refusal says about a retired credential: nothing, but if it was tried by just that. */
static bool is_accepted(const struct rate_stamp *stamp, enum cause cause)
{
    const struct cause_meaning *m = cause_meaning(cause);

    return stamp->is_probe && m->health == CAUSE_HEALTH_GOOD && m->key != CAUSE_KEY_RETIRE;
}

bool rate_answered(struct rate_credential *c, const struct rate_rules *rules, const struct rate_stamp *stamp,
                   enum cause cause, const struct rate_reading *reading, ns_t now)
{
    enum cause_key key = cause_meaning(cause)->key;
    enum rate_state before = c->state;

    end_rest(c, now);
    if (stamp->is_probe)
        c->probing = false;
    for (unsigned i = 0; reading && i < reading->count; i++)
        learn(c, rules, &reading->windows[i], stamp, now);
    if (c->state == RATE_RETIRED && is_accepted(stamp, cause))
        c->state = RATE_OPEN;
    if (c->state == RATE_RETIRED && !(stamp->is_probe && key == CAUSE_KEY_RETIRE))
        return false;
    switch (key) {
    case CAUSE_KEY_NONE:
        if (cause == CAUSE_OK && stamp->at >= c->until)
            c->parks = 0;
        if (cause == CAUSE_OK && stamp->at >= c->refused)
            c->refusals = c->retirements = 0;
        return false;
    case CAUSE_KEY_PARK:
        park(c, rules, cause, reading, now);
        break;
    case CAUSE_KEY_RETIRE:
        refuse(c, rules, stamp, cause, now);
        break;
    }
    return c->state != RATE_OPEN && c->state != before;
}

double rate_headroom(struct rate_credential *c, ns_t now)
{
    double least = 1;

    end_rest(c, now);
    if (c->state != RATE_OPEN)
        return 0;
    for (unsigned i = 0; i < c->account_count; i++) {
        struct rate_account *a = &c->accounts[i];
        uint64_t rest = rate_account_left(a, now);
        if (rest == UINT64_MAX || !a->window.has_limit)
            continue;
        double share = a->window.limit ? (double)rest / (double)a->window.limit : 0;
        least = share < least ? share : least;
    }
    return least;
}

/* Lots of a credential in the draw: at least one, because it may be used. 0 if it may not. */
static uint64_t lots_of(const struct rate_option *o)
{
    double headroom = o->verdict.is_probe ? 1 : o->headroom;

    return o->verdict.answer == RATE_ALLOWED ? o->weight * (1 + (uint64_t)(headroom * TICKETS)) : 0;
}

size_t rate_choose(const struct rate_option *options, size_t n, uint64_t draw, ns_t now, ns_t *ret_at)
{
    ns_t at = NS_NEVER;
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += lots_of(&options[i]);
        if (options[i].verdict.answer == RATE_WAIT)
            at = ns_min(at, options[i].verdict.at);
    }
    *ret_at = sum ? now : at;
    if (sum == 0)
        return SIZE_MAX;
    uint64_t ticket = balance_ticket(draw, sum);
    size_t i = 0;
    for (uint64_t lots = lots_of(&options[0]); ticket >= lots; lots = lots_of(&options[++i]))
        ticket -= lots;
    return i;
}
