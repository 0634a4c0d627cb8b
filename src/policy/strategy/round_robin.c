/*
 * round_robin.c - each in its turn, as often as its weight says, and evenly spread.
 *
 * Tickets are handed out in the order of the list, as many to each candidate as its weight (divided by what all weights
 * have in common), and the k-th turn takes ticket k * stride modulo their number. As the stride has no factor in common
 * with that number, each ticket comes once in a round, whatever the weights; as it is near the golden section of the
 * round, neighbouring turns fall far apart, so that a heavy candidate's turns do not come in a row (a Weyl sequence; its
 * discrepancy is least for the golden section). So the order needs no state but the number of the turn.
 */
#include "policy/strategy.h"

static uint64_t common_factor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static uint64_t stride_of(uint64_t round)
{
    uint64_t stride = (uint64_t)((double)round * 0.6180339887498949);

    stride = stride ? stride : 1;
    while (common_factor(stride, round) != 1)
        stride++;
    return stride;
}

static void choose(const struct strategy_ask *ask, struct strategy_decision *d)
{
    struct strategy_tally tally = strategy_tally_begin(ask->count);
    struct strategy_candidate c;
    uint64_t common = 0;

    for (size_t i = 0; i < ask->count; i++)
        if (strategy_read(ask, d, i, 0, &c)) {
            uint64_t weight = strategy_weight(&c);
            strategy_note(d, i, c.weight);
            strategy_tally_add(&tally, i, weight);
            common = weight == common ? common : common_factor(weight, common);
        }
    if (common == 0) /* all are excluded: weights are not 0 */
        return;
    uint64_t round = tally.sum / common;
    uint64_t left = (uint64_t)((unsigned __int128)(ask->turn % round) * stride_of(round) % round) * common;
    for (size_t i = strategy_tally_seek(&tally, &left); i < ask->count; i++) {
        uint64_t weight = strategy_reread(ask, i, 0, &c) ? strategy_weight(&c) : 0;
        if (left < weight) {
            strategy_settle(d, i, c.weight, (double)weight / (double)tally.sum, "its turn");
            return;
        }
        left -= weight;
    }
}

const struct strategy strategy_round_robin = {.name = "round-robin", .unit = "weight", .choose = choose};
