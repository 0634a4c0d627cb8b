/*
 * round_robin.c - each in its turn, as often as its weight says, and evenly spread.
 *
 * Tickets are handed out in the order of the list, as many to each candidate as its weight (divided by what all weights
 * have in common), and come in the order of balance_turn(), so that the order needs no state but the number of the turn.
 *
 * In a large pool the tickets are those of all candidates, excluded or not. The turn of one that may not be chosen goes to the
 * ticket a step further on, the same step for a whole round: so in a round no two turns go to the same substitute,
 * and as each round has another step, over time all take an equal part of what the others leave.
 */
#include "policy/balance.h"
#include "policy/strategy.h"

/* False if nearly all are excluded. */
static bool take_turn(const struct strategy_ask *ask, struct strategy_decision *d)
{
    const struct roster *r = ask->roster;
    uint64_t ticket = balance_turn(ask->turn, r->stride, r->round), lap = ask->turn / r->round;
    struct strategy_candidate c;
    struct prng steps, p;

    prng_seed(&steps, lap);
    prng_seed(&p, ask->draw);
    for (unsigned tries = 0; tries < STRATEGY_TRIES; tries++) {
        size_t i = roster_holder(r, 0, r->count, ticket * r->common);
        if (strategy_read(ask, d, i, 0, &c)) {
            strategy_note(d, i, c.weight);
            if (strategy_accepts(&p, &c)) {
                strategy_settle(d, i, c.weight, 0, "its turn");
                return true;
            }
        }
        ticket = (ticket + prng_below(&steps, r->round)) % r->round;
    }
    strategy_begin_again(d);
    return false;
}

static void count_all(const struct strategy_ask *ask, struct strategy_decision *d)
{
    struct strategy_tally tally = strategy_tally_begin(ask->count);
    struct strategy_candidate c;
    uint64_t common = 0;

    for (size_t i = 0; i < ask->count; i++)
        if (strategy_read(ask, d, i, 0, &c)) {
            uint64_t weight = strategy_weight(&c);
            strategy_note(d, i, c.weight);
            strategy_tally_add(&tally, i, weight);
            common = weight == common ? common : balance_common(weight, common);
        }
    if (common == 0) /* all are excluded: weights are not 0 */
        return;
    uint64_t round = tally.sum / common;
    uint64_t left = balance_turn(ask->turn, balance_stride(round), round) * common;
    for (size_t i = strategy_tally_seek(&tally, &left); i < ask->count; i++) {
        uint64_t weight = strategy_reread(ask, i, 0, &c) ? strategy_weight(&c) : 0;
        if (left < weight) {
            strategy_settle(d, i, c.weight, (double)weight / (double)tally.sum, "its turn");
            return;
        }
        left -= weight;
    }
}

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
{
    if (!strategy_has_roster(ask) || !take_turn(ask, d))
        count_all(ask, d);
}

const struct strategy strategy_round_robin = {.name = "round-robin", .unit = "weight", .choose = choose};
