/*
 * price.c - tokens times rates, exactly.
 *
 * The products are summed in 128 bits and divided once, so that rounding happens once. The division is by a constant,
 * and the sum nearly always fits 64 bits: a multiplication, then, because prices are asked for each candidate.
 *
 * Does not: know models, currencies or dates; the book that holds the entries is configuration.
 */
#include "policy/price.h"

#include <string.h>

enum { PER = 1000000, ONE = 1000 };

typedef unsigned __int128 wide;

static const struct price_rates *rates_for(const struct price *price, uint64_t input)
{
    size_t i = price->step_count - 1;

    while (i > 0 && input <= price->steps[i].above)
        i--;
    return &price->steps[i].rates;
}

static uint64_t or_else(uint64_t rate, uint64_t other)
{
    return rate == PRICE_UNSET ? other : rate;
}

/* Up to `want` tokens of what is left of a whole. */
static uint64_t take(uint64_t *left, uint64_t want)
{
    uint64_t taken = want < *left ? want : *left;

    *left -= taken;
    return taken;
}

/* Eight products of 64-bit numbers fit if none is above 2^125; a larger one has saturated the result already. */
static void add(wide *sum, uint64_t tokens, uint64_t rate)
{
    const wide most = (wide)1 << 124;
    wide product = (wide)tokens * rate;

    *sum += product < most ? product : most;
}

/* What is read from the cache is told apart, because a service may have another share of it. */
static wide input_cost(const struct price_rates *r, const struct price_tokens *t, wide *ret_cached)
{
    uint64_t left = t->input;
    uint64_t cached = take(&left, t->cached_input), written = take(&left, t->cache_write);
    uint64_t audio = take(&left, t->audio_input), for_an_hour = take(&written, t->cache_write_1h);
    uint64_t write_rate = or_else(r->cache_write, r->input);
    wide sum = 0;

    *ret_cached = 0;
    add(ret_cached, cached, or_else(r->cached_input, r->input));
    add(&sum, written, write_rate);
    add(&sum, for_an_hour, or_else(r->cache_write_1h, write_rate));
    add(&sum, audio, or_else(r->audio_input, r->input));
    add(&sum, left, r->input);
    return sum;
}

static wide output_cost(const struct price_rates *r, const struct price_tokens *t)
{
    uint64_t left = t->output;
    uint64_t reasoning = take(&left, t->reasoning), audio = take(&left, t->audio_output);
    wide sum = 0;

    add(&sum, reasoning, or_else(r->reasoning, r->output));
    add(&sum, audio, or_else(r->audio_output, r->output));
    add(&sum, left, r->output);
    return sum;
}

static uint64_t divide_up(wide sum, uint64_t by)
{
    if (sum <= UINT64_MAX - by)
        return ((uint64_t)sum + by - 1) / by;
    wide whole = (sum + by - 1) / by;
    return whole < UINT64_MAX ? (uint64_t)whole : UINT64_MAX;
}

static uint32_t share_of(uint32_t permille, uint32_t or_this)
{
    return permille ? permille : or_this;
}

uint64_t price_of(const struct price *price, const struct price_tokens *tokens, enum price_service service)
{
    if (price->step_count == 0)
        return 0;
    const struct price_rates *r = rates_for(price, tokens->input);
    wide cached, sum = input_cost(r, tokens, &cached) + output_cost(r, tokens);
    uint32_t share = share_of(price->permille[service], ONE);
    uint32_t cached_share = share_of(price->cached_permille[service], share);

    add(&sum, PER, r->request);
    if (share == ONE && cached_share == ONE)
        return divide_up(sum + cached, PER);
    /* The products with the shares must not wrap: a sum that large has saturated long before. */
    return (sum + cached) >> 95 ? UINT64_MAX : divide_up(sum * share + cached * cached_share, (uint64_t)PER * ONE);
}

int price_compare(const struct price *a, const struct price *b)
{
    if (!a || !b || a->step_count != b->step_count)
        return !a || !b ? (a != NULL) - (b != NULL) : a->step_count < b->step_count ? -1 : 1;
    int order = memcmp(a->permille, b->permille, sizeof a->permille);
    if (order == 0)
        order = memcmp(a->cached_permille, b->cached_permille, sizeof a->cached_permille);
    /* words and nothing else: there is no padding to be compared */
    return order || a->step_count == 0 ? order : memcmp(a->steps, b->steps, a->step_count * sizeof *a->steps);
}
