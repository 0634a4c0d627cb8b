/*
 * choose.c - which deployment is tried next: what is known of each of a pool goes to the route's strategy, and what it decided into the facts.
 *
 * A strategy reads candidates one by one, and only as far as it needs (policy/strategy.h); the readings that it was given are kept for the record, so
 * that a decision can be explained, and made again from the record alone. What can never change for this request (it was tried there, it cannot be
 * asked there) is looked at before what does.
 */
#include "fleet/live_homes.h"
#include "gateway/exchange.h"
#include "rt/loop.h"

enum { DECISIONS_FIRST = 1, DECISIONS_MAX = 32, PROVIDERS_KEPT = 8 };

/* A choice that is being made. */
struct choosing {
    struct exchange *x;
    ns_t now;
    struct {
        const struct provider *provider;
        bool can;
    } asked[PROVIDERS_KEPT]; /* whether it can be asked: many candidates share a provider; by its index */
    size_t read;
    size_t farthest; /* index of those that are kept */
    struct reading {
        size_t index;
        unsigned needs; /* NEEDS_...: what was asked for, in all looks at it */
        struct strategy_candidate candidate;
    } readings[STRATEGY_SEEN_MAX]; /* those read first */
};

static bool is_tried(const struct exchange *x, const struct deployment *d)
{
    for (size_t i = 0; i < x->tried_count; i++)
        if (x->tried[i]->index == d->index && str_eq(x->tried[i]->name, d->name))
            return true;
    return false;
}

/* What speaks against it whatever its state, if its provider can be asked or not. */
static enum exclusion standing_if(const struct exchange *x, const struct deployment *d, bool can)
{
    if (is_tried(x, d))
        return EXCLUDED_TRIED;
    return can ? candidate_rules(x, d) : EXCLUDED_CAPABILITY;
}

static enum exclusion standing_exclusion(const struct exchange *x, const struct deployment *d)
{
    return standing_if(x, d, can_be_asked(x, d->provider));
}

static bool provider_can(struct choosing *c, const struct provider *p)
{
    size_t at = p->index % PROVIDERS_KEPT;

    if (c->asked[at].provider != p) {
        c->asked[at].provider = p;
        c->asked[at].can = can_be_asked(c->x, p);
    }
    return c->asked[at].can;
}

/* Where the reading of candidate i is kept; NULL: enough others were read before it. A second look asks for something else than the first, and the record must
 * hold both. */
static struct reading *reading_of(struct choosing *c, size_t i)
{
    bool is_new = c->read == 0 || i > c->farthest;

    for (size_t k = 0; !is_new && k < c->read; k++)
        if (c->readings[k].index == i)
            return &c->readings[k];
    if (c->read == STRATEGY_SEEN_MAX)
        return NULL;
    struct reading *r = &c->readings[c->read++];
    c->farthest = i > c->farthest ? i : c->farthest;
    r->index = i;
    r->needs = 0;
    return r;
}

/* What speaks against it now: its own health, or that no credential has enough left for the request. */
static void read_state(const struct exchange *x, const struct deployment *d, unsigned needs, ns_t now,
                       struct strategy_candidate *to)
{
    ns_t at;

    live_read(x->snapshot->deployments[d->index], &x->rules->live, needs, now, to);
    if (x->ill_too && (to->excluded == EXCLUDED_EJECTED || to->excluded == EXCLUDED_PROBING))
        to->excluded = EXCLUDED_NOT;
    if (to->excluded == EXCLUDED_CAPACITY && admission_is_kept(x, d))
        to->excluded = EXCLUDED_NOT;
    enum exclusion why = credentials_read(x, d->provider, d, d->model, now, &to->headroom, &at);
    if (to->excluded == EXCLUDED_NOT)
        to->excluded = why;
}

static void read_candidate(const void *ctx, size_t i, unsigned needs, struct strategy_candidate *to)
{
    struct choosing *c = (void *)(uintptr_t)ctx;
    const struct exchange *x = c->x;
    const struct target *t = &x->pool.targets[i];
    const struct deployment *d = t->deployment;
    enum exclusion standing = standing_if(x, d, provider_can(c, d->provider));
    struct reading *r = reading_of(c, i);

    needs |= r ? r->needs : 0;
    *to = (struct strategy_candidate){
        .excluded = standing, .weight = t->weight, .tier = t->tier, .id = d->id, .slow_start = 1, .headroom = 1};
    if (standing == EXCLUDED_NOT && needs & NEEDS_COST)
        to->cost = expected_cost(x, d, d->model);
    if (standing == EXCLUDED_NOT)
        read_state(x, d, needs, c->now, to);
    if (r) {
        r->needs = needs;
        r->candidate = *to;
    }
}

/* --- the record --- */

/* Where the next one is told. A request that waits for long is offered places again and again that are not for it: so many are kept, and the last, which is what
 * came of it, instead of the one before. */
static struct decision_facts *new_decision(struct exchange *x)
{
    struct facts *f = &x->facts;

    if (f->decision_count == DECISIONS_MAX) {
        f->decisions_left_out++;
        return &f->decisions[DECISIONS_MAX - 1];
    }
    f->decisions = arena_list_room(x->r->arena, f->decisions, f->decision_count, sizeof *f->decisions, DECISIONS_FIRST,
                                   DECISIONS_MAX);
    f->decisions[f->decision_count] = (struct decision_facts){.candidate_count = 0};
    return &f->decisions[f->decision_count++];
}

static struct str pool_name(const struct exchange *x)
{
    static const struct str names[FALLBACKS] = {
        [FALLBACK_NONE] = STR_INIT("targets"),
        [FALLBACK_ANY] = STR_INIT("fallbacks.any"),
        [FALLBACK_CONTEXT_LENGTH] = STR_INIT("fallbacks.context_length"),
        [FALLBACK_CONTENT_FILTER] = STR_INIT("fallbacks.content_filter"),
        [FALLBACK_RATE_LIMIT] = STR_INIT("fallbacks.rate_limit"),
        [FALLBACK_SERVER_ERROR] = STR_INIT("fallbacks.server_error"),
        [FALLBACK_TIMEOUT] = STR_INIT("fallbacks.timeout"),
        [FALLBACK_BUDGET] = STR_INIT("fallbacks.budget"),
    };

    return names[x->pool.fallback];
}

/* The score of the k-th that was read. Seen in the order of reading, as a rule. */
static double score_of(const struct strategy_decision *d, size_t k, size_t index)
{
    if (k < d->seen_count && d->seen[k].index == index)
        return d->seen[k].score;
    for (unsigned i = 0; i < d->seen_count; i++)
        if (d->seen[i].index == index)
            return d->seen[i].score;
    return 0;
}

static void note_candidates(struct choosing *c, const struct strategy_decision *d, struct decision_facts *to)
{
    to->candidate_count = c->read;
    for (size_t i = 0; i < c->read; i++) {
        const struct strategy_candidate *s = &c->readings[i].candidate;
        to->candidates[i] = (struct decision_candidate){
            .deployment = c->x->pool.targets[c->readings[i].index].deployment->name,
            .excluded = s->excluded,
            .score = score_of(d, i, c->readings[i].index),
            .weight = s->weight,
            .tier = s->tier,
            .slow_start = s->slow_start,
            .time_per_unit = s->time_per_unit,
            .time_per_token = s->time_per_token,
            .waited_per_unit = s->waited_per_unit,
            .headroom = s->headroom,
            .in_flight = s->in_flight,
            .in_flight_tokens = s->in_flight_tokens,
            .cost = s->cost,
        };
    }
}

static void note_decision(struct choosing *c, const struct strategy_ask *ask, const struct strategy_decision *d,
                          uint64_t seq)
{
    struct exchange *x = c->x;
    struct decision_facts *to = new_decision(x);
    struct decision_candidate *room = to->candidate_count >= c->read
                                          ? to->candidates /* of the one that it is told instead of */
                                          : arena_alloc(x->r->arena, c->read * sizeof *room);

    *to = (struct decision_facts){
        .request = x->facts.id,
        .attempt = x->facts.attempts + 1,
        .revision = x->snapshot->catalog->revision,
        .seq = seq,
        .at = c->now,
        .route = x->facts.model_label,
        .rule = x->facts.rule,
        .pool = pool_name(x),
        .strategy = d->strategy,
        .unit = x->pool.strategy->unit,
        .why = d->why,
        .chosen = d->chosen == STRATEGY_NONE ? STR_NONE : x->pool.targets[d->chosen].deployment->name,
        .score = d->score,
        .probability = d->probability,
        .draw = d->draw,
        .turn = ask->turn,
        .input_tokens = ask->input_tokens,
        .output_tokens = ask->output_tokens,
        .sticky = ask->sticky,
        .home = ask->has_home ? x->pool.targets[ask->home].deployment->name : STR_NONE,
        .home_cached = ask->home_cached,
        .ns_per_nanodollar = ask->ns_per_nanodollar,
        .ill_too = x->ill_too,
        .count = ask->count,
        .examined = d->examined,
        .candidates = room,
    };
    note_candidates(c, d, to);
}

/* --- choosing --- */

static const struct candidate *candidate_of(struct exchange *x, const struct target *t)
{
    struct candidate *c = arena_new(x->r->arena, struct candidate);
    const struct deployment *d = t->deployment;

    *c = (struct candidate){
        .provider = d->provider, .deployment = d, .model = d->model, .name = d->name, .label = d->label};
    return c;
}

/* The place in the pool of the deployment that answered the conversation last, and what it holds of it. */
static void find_home(const struct exchange *x, ns_t now, struct strategy_ask *ask)
{
    uint64_t id;

    if (!x->sticky || !live_homes_get(live_homes_of(x->snapshot->live), x->sticky, now, &id, &ask->home_cached))
        return;
    if (x->pool.roster)
        ask->home = live_homes_find(id, x->pool.roster->ids, x->pool.count);
    else
        while (ask->home < x->pool.count && !live_homes_is(id, x->pool.targets[ask->home].deployment->id))
            ask->home++;
    ask->has_home = ask->home < x->pool.count;
}

const struct candidate *choose_candidate(struct exchange *x)
{
    struct choosing c = {.x = x, .now = rt_now()};
    uint64_t seq;

    if (!x->pool.count || x->tried_count == MAX_TRIED)
        return NULL;
    struct strategy_ask ask = {.count = x->pool.count,
                               .read = read_candidate,
                               .ctx = &c,
                               .draw = x->pool.count > 1 ? rt_random() : 0,
                               .turn = live_route_turn(x->route, &seq),
                               .input_tokens = x->input_tokens,
                               .output_tokens = x->output_tokens,
                               .has_sticky = x->sticky != 0,
                               .sticky = x->sticky,
                               .ns_per_nanodollar = x->rules->ns_per_nanodollar,
                               .roster = x->pool.roster,
                               .priced = expected_request(x)};
    find_home(x, c.now, &ask);
    struct strategy_decision d = strategy_choose(x->pool.strategy, &ask);
    note_decision(&c, &ask, &d, seq);
    return d.chosen == STRATEGY_NONE ? NULL : candidate_of(x, &x->pool.targets[d.chosen]);
}

void choose_targets(struct exchange *x)
{
    const struct model *m = x->model;

    x->pool = (struct pool){
        .targets = m->targets, .count = m->target_count, .roster = m->roster, .strategy = m->rules.strategy};
}

const struct candidate *choose_full(struct exchange *x)
{
    for (size_t i = 0; i < x->pool.count; i++) {
        const struct deployment *d = x->pool.targets[i].deployment;
        struct strategy_candidate c = {.excluded = standing_exclusion(x, d)};
        if (c.excluded == EXCLUDED_NOT)
            read_state(x, d, 0, rt_now(), &c);
        if (c.excluded == EXCLUDED_CAPACITY)
            return candidate_of(x, &x->pool.targets[i]);
    }
    return NULL;
}

static const struct target *refused_one(const struct exchange *x, const struct target *targets, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct strategy_candidate c = {.excluded = standing_exclusion(x, targets[i].deployment)};
        if (c.excluded == EXCLUDED_NOT)
            read_state(x, targets[i].deployment, 0, rt_now(), &c);
        if (c.excluded == EXCLUDED_CREDENTIAL)
            return &targets[i];
    }
    return NULL;
}

const struct candidate *choose_at_last(struct exchange *x)
{
    const struct model *m = x->model;
    const struct target *t = refused_one(x, m->targets, m->target_count);

    for (size_t i = 0; !t && i < FALLBACKS; i++)
        t = refused_one(x, m->fallbacks[i].items, m->fallbacks[i].count);
    return t ? candidate_of(x, t) : NULL;
}

bool choose_fallbacks(struct exchange *x, enum fallback which)
{
    const struct model *m = x->model;

    if (!m || which == FALLBACK_NONE || x->pool.fallback == FALLBACK_ANY)
        return false;
    if (x->pool.fallback != FALLBACK_NONE || !m->fallbacks[which].count)
        which = FALLBACK_ANY; /* its own list is at its end, or there is none */
    if (!m->fallbacks[which].count)
        return false; /* the pool stays: attempts there go on being counted */
    x->pool = (struct pool){.targets = m->fallbacks[which].items,
                            .count = m->fallbacks[which].count,
                            .roster = m->fallbacks[which].roster,
                            .fallback = which,
                            .strategy = &strategy_priority};
    return true;
}

enum exclusion choose_reason(const struct exchange *x)
{
    unsigned counts[EXCLUSIONS] = {0};
    enum exclusion most = EXCLUDED_NOT;

    for (size_t i = 0; i < x->pool.count; i++) {
        const struct deployment *d = x->pool.targets[i].deployment;
        struct strategy_candidate c = {.excluded = standing_exclusion(x, d)};
        if (c.excluded == EXCLUDED_NOT)
            read_state(x, d, 0, rt_now(), &c);
        counts[c.excluded]++;
    }
    for (size_t i = 1; i < EXCLUSIONS; i++)
        if (counts[i] > counts[most] || most == EXCLUDED_NOT)
            most = counts[i] ? (enum exclusion)i : most;
    return most;
}
