/*
 * roster.c - sums and orders over what does not change, made once for many decisions.
 *
 * Idea. A draw by weight is a search in running sums; those of one tier are neighbours there, so that a tier can be drawn
 * from by itself. Candidates whose prices are equal in every part are one price: of a thousand deployments there are few
 * different ones. Where there are many all the same, a bound tells the dear ones: tokens times the least that the price ever
 * takes for one. It is two multiplications, exact for a price without steps and discounts, and never too high, so what it
 * leaves out is dearer indeed. As prices are sorted by a usual request, the cheapest are found first, and nearly all others
 * are left out by the bound.
 */
#include "policy/roster.h"

#include "policy/balance.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

/* What prices are sorted by. The order only decides how soon the cheapest is found. */
static const struct roster_request usual = {.input = 3000, .output = 1000, .service = PRICE_STANDARD};

static const double PER_TOKEN = 1e-6, MILLE = 1000;
static const double SAFE = 1 - 1e-9; /* rounding of the bound must not make it too high */

size_t roster_bytes(size_t count)
{
    const struct roster *r = NULL;

    return sizeof *r + count * (sizeof *r->ids + sizeof *r->weights + sizeof *r->until + sizeof *r->prices +
                                sizeof *r->tiers + sizeof *r->by_tier + sizeof *r->by_price);
}

/* The next part of the memory. What is aligned more strictly comes first. */
static void *part(char **at, size_t bytes)
{
    void *p = *at;

    *at += bytes;
    return p;
}

static struct roster *lay_out(void *memory, size_t count)
{
    struct roster *r = memory;
    char *at = (char *)(r + 1);

    *r = (struct roster){.count = count};
    r->ids = part(&at, count * sizeof *r->ids);
    r->weights = part(&at, count * sizeof *r->weights);
    r->until = part(&at, count * sizeof *r->until);
    r->prices = part(&at, count * sizeof *r->prices);
    r->tiers = part(&at, count * sizeof *r->tiers);
    r->by_tier = part(&at, count * sizeof *r->by_tier);
    r->by_price = part(&at, count * sizeof *r->by_price);
    return r;
}

/* --- tiers --- */

static int by_tier(const void *a, const void *b)
{
    const struct roster_entry *x = a, *y = b;

    if (x->tier != y->tier)
        return x->tier < y->tier ? -1 : 1;
    return (x->index_ > y->index_) - (x->index_ < y->index_);
}

static void add_tiers(struct roster *r, const struct roster_entry *sorted)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < r->count; i++) {
        const struct roster_entry *e = &sorted[i];
        assert(e->weight > 0);
        sum += e->weight;
        r->by_tier[i] = e->index_;
        r->until[i] = sum;
        r->common = balance_common(e->weight, r->common);
        if (i == 0 || e->tier != sorted[i - 1].tier)
            r->tiers[r->tier_count++].number = e->tier;
        r->tiers[r->tier_count - 1].end = (uint32_t)(i + 1);
    }
    r->round = sum / r->common;
    r->stride = balance_stride(r->round);
}

uint64_t roster_weight(const struct roster *r, size_t from, size_t to)
{
    return r->until[to - 1] - (from ? r->until[from - 1] : 0);
}

size_t roster_holder(const struct roster *r, size_t from, size_t to, uint64_t ticket)
{
    ticket += from ? r->until[from - 1] : 0;
    assert(ticket < r->until[to - 1]);
    while (to - from > 1) { /* the first place whose sum is above the ticket is in [from, to) */
        size_t middle = from + (to - from - 1) / 2;
        if (r->until[middle] > ticket)
            to = middle + 1;
        else
            from = middle + 1;
    }
    return r->by_tier[from];
}

/* --- prices --- */

static uint64_t cost_of(const struct price *p, const struct roster_request *q)
{
    return p ? price_of(p, &(struct price_tokens){.input = q->input, .output = q->output}, q->service) : UINT64_MAX;
}

static int by_price(const void *a, const void *b)
{
    const struct roster_entry *x = a, *y = b;
    uint64_t left = cost_of(x->price, &usual), right = cost_of(y->price, &usual);

    if (left != right)
        return left < right ? -1 : 1;
    int order = price_compare(x->price, y->price);
    return order ? order : (x->index_ > y->index_) - (x->index_ < y->index_);
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* The smallest share of its rates that any service has. */
static double least_share(const struct price *p)
{
    double share = MILLE;

    for (size_t i = 0; i < PRICE_SERVICES; i++)
        share = p->permille[i] ? least(share, p->permille[i]) : share;
    return share / MILLE;
}

static struct roster_price bounds_of(const struct price *p)
{
    struct roster_price b = {.price = p};

    if (!p || p->step_count == 0) /* not known, and so never computed; or free */
        return b;
    double share = least_share(p) * SAFE;
    b.input = b.output = b.request = (double)UINT64_MAX;
    for (size_t i = 0; i < p->step_count; i++) {
        const struct price_rates *rates = &p->steps[i].rates;
        b.input = least(b.input, (double)rates->input * PER_TOKEN * share);
        b.output = least(b.output, (double)rates->output * PER_TOKEN * share);
        b.request = least(b.request, (double)rates->request * share);
    }
    return b;
}

static void add_prices(struct roster *r, const struct roster_entry *sorted)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct price *p = sorted[i].price;
        r->by_price[i] = sorted[i].index_;
        if (i == 0 || price_compare(p, sorted[i - 1].price) != 0)
            r->prices[r->price_count++] = bounds_of(p);
        r->prices[r->price_count - 1].end = (uint32_t)(i + 1);
    }
}

/* Put an offer among the cheapest so far, of which the dearest may fall out. Of equal ones the first stays before. */
static void insert(struct roster_offer *offers, size_t *n, size_t most, const struct roster_offer *o)
{
    size_t at = *n < most ? (*n)++ : most;

    if (at == most && o->cost >= offers[--at].cost)
        return;
    for (; at > 0 && offers[at - 1].cost > o->cost; at--)
        offers[at] = offers[at - 1];
    offers[at] = *o;
}

size_t roster_cheapest(const struct roster *r, const struct roster_request *request, size_t most,
                       struct roster_offer *to)
{
    double input = (double)request->input, output = (double)request->output;
    size_t n = 0, from = 0;

    for (size_t i = 0; i < r->price_count; i++) {
        const struct roster_price *p = &r->prices[i];
        bool is_dear = n == most && p->input * input + p->output * output + p->request > (double)to[n - 1].cost;
        if (!is_dear)
            insert(to, &n, most, &(struct roster_offer){cost_of(p->price, request), from, p->end});
        from = p->end;
    }
    return n;
}

/* --- all of it --- */

const struct roster *roster_make(void *memory, struct roster_entry *entries, size_t count)
{
    struct roster *r = lay_out(memory, count);

    assert(count > 0 && count <= UINT32_MAX);
    for (size_t i = 0; i < count; i++) {
        entries[i].index_ = (uint32_t)i;
        r->ids[i] = entries[i].id;
        r->weights[i] = entries[i].weight;
    }
    qsort(entries, count, sizeof *entries, by_tier);
    add_tiers(r, entries);
    qsort(entries, count, sizeof *entries, by_price);
    add_prices(r, entries);
    return r;
}
