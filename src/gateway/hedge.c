/*
 * hedge.c - a second attempt beside one whose first token is late: the first to answer wins, the other is cancelled.
 *
 * Whether and when is policy/hedge's decision. Both attempts run in fibers of their own, each with an exchange of its own: the second is a copy of the
 * first in all that belongs to the request, and begins anew in all that belongs to an attempt. If it wins, it takes the request over, with what it
 * points to. Leaving the scope cancels the one that lost, which closes its call and so tells its provider to stop.
 *
 * Only what shows its first token is hedged: streams, and answers that are all of one piece (embeddings, rankings). How long a whole answer takes says
 * little about whether it is late.
 */
#include "gateway/exchange.h"
#include "rt/loop.h"
#include "rt/scope.h"

/* One of the two. */
struct racer {
    struct exchange *x;
    struct attempt *a;
    bool ended;
    err_t error;   /* that it ended with; only E_CANCELLED, or OK: the rest is in *a */
    uint64_t paid; /* for the second one, from the money for hedges */
};

static SUSPENDS err_t run(void *arg)
{
    struct racer *r = arg;

    r->error = attempt_run(r->x, r->a);
    r->a->cause = r->error == OK ? attempt_cause(r->x, r->a) : CAUSE_CANCELLED;
    r->ended = true;
    return OK;
}

static bool shows_first_token(const struct exchange *x)
{
    enum operation operation = x->endpoint.row->operation;

    return x->stream || operation == OP_EMBED || operation == OP_RERANK;
}

/* Where only what is ill is left, or only fallbacks are, more requests would add to what is wrong. */
static bool has_elsewhere(const struct exchange *x)
{
    return x->pool.fallback == FALLBACK_NONE && x->pool.count > 1 && !x->ill_too;
}

bool hedge_applies(const struct exchange *x)
{
    return x->rules->hedge.requests && x->endpoint.kind == ENDPOINT_OPERATION && !x->once && !x->facts.attempts &&
           x->chosen->deployment && shows_first_token(x) && has_elsewhere(x);
}

/* What is not known does not count against the money set aside: the share of requests bounds it. */
uint64_t hedge_cost(const struct exchange *x, const struct candidate *c)
{
    uint64_t cost = c->deployment ? expected_cost(x, c->deployment, c->model) : UINT64_MAX;

    return cost == UINT64_MAX ? 0 : cost;
}

/* When the attempt that is about to be sent will be late; NS_NEVER: it is not to be hedged. Whether the request may be carried out twice costs more to
 * find out, and is asked of those that are late only. */
static ns_t late_at(const struct exchange *x)
{
    struct hedge_ask ask = {.repeatable = true,
                            .elsewhere_left = true,
                            .sent = rt_now(),
                            .deadline = ns_add(x->r->received, x->timeouts.total),
                            .uncached_tokens = x->input_tokens};

    return live_hedge_at(x->snapshot->deployments[x->chosen->deployment->index], &x->rules->hedge, &ask);
}

/* Where the second attempt goes, paid for (*ret_paid); NULL: it is not to be. It is paid before a place is looked for, by what the first one costs, so that
 * nothing is decided, and recorded, for which there is no money. */
static const struct candidate *choose_paid(struct exchange *x, uint64_t *ret_paid)
{
    const struct hedge_rules *rules = &x->rules->hedge;
    uint64_t first = hedge_cost(x, x->chosen);

    if (!live_route_take_hedge(x->route, rules, first))
        return NULL;
    leave_out(x);
    const struct candidate *other = choose_candidate(x);
    live_route_return_hedge(x->route, first);
    *ret_paid = other ? hedge_cost(x, other) : 0;
    return other && live_route_take_hedge(x->route, rules, *ret_paid) ? other : NULL;
}

/* As x, for an attempt of its own. */
static struct exchange *copy_of(const struct exchange *x, const struct candidate *chosen)
{
    struct exchange *y = arena_new(x->r->arena, struct exchange);

    *y = *x;
    y->chosen = chosen;
    y->translated = NULL;
    y->translation_ = (struct translation){0};
    y->losses = (struct losses){0};
    y->relay = NULL;
    y->resume = NULL;
    y->credential = NULL;
    return y;
}

/* An exchange for the attempt beside the one of `first`; false: there is nowhere to send it, or no money, or it must not be. */
static bool begin_second(const struct racer *first, struct racer *second)
{
    struct exchange *x = first->x;
    const struct candidate *other;
    uint64_t paid;

    if (first->a->first || !request_is_repeatable(x) || !(other = choose_paid(x, &paid)))
        return false;
    struct exchange *y = copy_of(x, other);
    struct attempt *a = attempt_begin(y, ROLE_HEDGE);
    if (!a) {
        live_route_return_hedge(x->route, paid);
        return false;
    }
    x->facts = y->facts; /* with the record of it */
    *second = (struct racer){.x = y, .a = a, .paid = paid};
    return true;
}

/* The first to be answered; NULL: neither was. */
static const struct racer *winner_of(const struct racer *racers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (racers[i].ended && racers[i].error == OK && racers[i].a->cause == CAUSE_OK)
            return &racers[i];
    return NULL;
}

/* Wait until one is answered, or all have ended. */
static SUSPENDS err_t race(struct scope *scope, const struct racer *racers, size_t n)
{
    err_t child, e = OK;

    while (e == OK && !winner_of(racers, n))
        e = scope_wait_any(scope, NS_NEVER, &child);
    return e == E_NOT_FOUND ? OK : e;
}

/* Which of the two counts, and what the request knows of both. */
static void settle(const struct racer racers[2], ns_t waited, struct hedge_result *ret)
{
    const struct racer *won = winner_of(racers, 2), *lost = &racers[won != &racers[1]];

    ret->loser = lost->a;
    ret->loser_x = lost->x;
    ret->paid = racers[1].paid;
    if (won && (lost->a->cause == CAUSE_CANCELLED || lost->a->cause == CAUSE_OK))
        lost->a->cause = CAUSE_SUPERSEDED;
    if (won == &racers[1]) {
        ret->x = racers[1].x;
        ret->a = racers[1].a;
    }
    ret->x->facts.attempts = ret->x->facts.tried[racers[1].a->fact].number;
    ret->x->waited = waited;
}

err_t hedge_run(struct exchange *x, struct attempt *a, struct hedge_result *ret)
{
    struct racer racers[2] = {{.x = x, .a = a}};
    ns_t late = late_at(x), waited = x->waited - rt_now();
    size_t n = 1;
    err_t child, e;

    *ret = (struct hedge_result){.x = x, .a = a};
    if (late == NS_NEVER) {
        e = run(&racers[0]);
        return e == OK ? racers[0].error : e;
    }
    {
        SCOPE(scope, NS_NEVER);
        scope_spawn(&scope, "attempt", run, &racers[0]);
        e = scope_wait_any(&scope, late, &child);
        if (e == E_AGAIN && begin_second(&racers[0], &racers[1])) {
            scope_spawn(&scope, "hedge", run, &racers[1]);
            n = 2;
        }
        if (e == OK || e == E_AGAIN)
            e = race(&scope, racers, n);
    }
    if (n == 1)
        return e == OK ? racers[0].error : e;
    settle(racers, waited + rt_now(), ret);
    return e;
}
