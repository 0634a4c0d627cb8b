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
    err_t error; /* that it ended with; only E_CANCELLED, or OK: the rest is in *a */
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

bool hedge_applies(const struct exchange *x)
{
    return x->rules->hedge.requests && x->endpoint.kind == ENDPOINT_OPERATION && !x->once && !x->facts.attempts &&
           x->chosen->deployment && shows_first_token(x);
}

/* What is not known does not count against the money set aside: the share of requests bounds it. */
uint64_t hedge_cost(const struct exchange *x, const struct candidate *c)
{
    uint64_t cost = c->deployment ? expected_cost(x, c->deployment, c->model) : UINT64_MAX;

    return cost == UINT64_MAX ? 0 : cost;
}

/* When the attempt that is about to be sent will be late; NS_NEVER: it is not to be hedged. */
static ns_t late_at(struct exchange *x)
{
    struct hedge_ask ask = {.repeatable = request_is_repeatable(x),
                            .elsewhere_left = true,
                            .sent = rt_now(),
                            .deadline = ns_add(x->r->received, x->timeouts.total),
                            .uncached_tokens = x->input_tokens};

    return live_hedge_at(x->snapshot->deployments[x->chosen->deployment->index], &x->rules->hedge, &ask);
}

/* An exchange for the second attempt; NULL: there is nowhere to send it, or no money. */
static struct exchange *second_exchange(struct exchange *x, struct attempt **ret_attempt)
{
    struct exchange *y = arena_new(x->r->arena, struct exchange);

    leave_out(x);
    const struct candidate *other = x->pool.fallback == FALLBACK_NONE ? choose_candidate(x) : NULL;
    if (!other || !live_route_take_hedge(x->route, &x->rules->hedge, hedge_cost(x, other)))
        return NULL;
    *y = *x;
    y->chosen = other;
    y->translated = NULL;
    y->translation_ = (struct translation){0};
    y->losses = (struct losses){0};
    y->relay = NULL;
    y->events = NULL;
    y->credential = NULL;
    *ret_attempt = attempt_begin(y, ROLE_HEDGE);
    if (!*ret_attempt)
        return NULL;
    x->facts = y->facts; /* with the record of it */
    return y;
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

err_t hedge_run(struct exchange *x, struct attempt *a, struct hedge_result *ret)
{
    struct racer racers[2] = {{.x = x, .a = a}};
    size_t n = 1;
    ns_t late = late_at(x);
    err_t child, e;

    *ret = (struct hedge_result){.x = x, .a = a};
    {
        SCOPE(scope, NS_NEVER);
        scope_spawn(&scope, "attempt", run, &racers[0]);
        e = scope_wait_any(&scope, late, &child);
        if (e == E_AGAIN && (racers[1].x = second_exchange(x, &racers[1].a))) {
            scope_spawn(&scope, "hedge", run, &racers[1]);
            n = 2;
        }
        if (e == OK || e == E_AGAIN)
            e = race(&scope, racers, n);
    }
    const struct racer *won = winner_of(racers, n);
    if (n == 1)
        return e == OK ? racers[0].error : e;
    const struct racer *lost = won == &racers[1] ? &racers[0] : &racers[1];
    ret->loser = lost->a;
    ret->loser_x = lost->x;
    if (won)
        lost->a->cause = lost->a->cause == CAUSE_CANCELLED ? CAUSE_SUPERSEDED : lost->a->cause;
    if (won == &racers[1]) {
        ret->x = racers[1].x;
        ret->a = racers[1].a;
    }
    return e;
}
