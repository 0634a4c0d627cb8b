/* roster_test.c - what a roster finds is what a look at every candidate finds. */
#include "policy/roster.h"

#include "base/mem.h"
#include "base/prng.h"
#include "policy/balance.h"
#include "unit/test.h"

enum { MOST = 300, STEPS = 3 };

static struct price_step steps[MOST][STEPS];
static struct price prices[MOST];
static struct roster_entry entries[MOST], given[MOST];

static struct price_rates random_rates(struct prng *p, uint64_t range)
{
    return (struct price_rates){.input = prng_below(p, range) * 1000,
                                .output = prng_below(p, range) * 4000,
                                .cached_input = PRICE_UNSET,
                                .cache_write = PRICE_UNSET,
                                .cache_write_1h = PRICE_UNSET,
                                .reasoning = PRICE_UNSET,
                                .audio_input = PRICE_UNSET,
                                .audio_output = PRICE_UNSET,
                                .request = prng_chance(p, 0.2) ? prng_below(p, range) : 0};
}

static void make_price(struct prng *p, size_t i, uint64_t range)
{
    prices[i] = (struct price){.steps = steps[i], .step_count = prng_chance(p, 0.1) ? 0 : 1 + prng_below(p, STEPS)};
    for (size_t k = 0; k < prices[i].step_count; k++)
        steps[i][k] = (struct price_step){.above = k * 5000, .rates = random_rates(p, range)};
    if (prng_chance(p, 0.2))
        prices[i].permille[PRICE_FLEX] = 500;
    if (prng_chance(p, 0.1))
        prices[i].permille[PRICE_PRIORITY] = 1750;
}

/* With few different prices and tiers, or with many. */
static void make_entries(struct prng *p, size_t n)
{
    uint64_t range = 1 + prng_below(p, prng_chance(p, 0.5) ? 3 : 5000), tiers = 1 + prng_below(p, n);

    for (size_t i = 0; i < n; i++) {
        make_price(p, i, range);
        entries[i] = given[i] = (struct roster_entry){.id = prng_next(p),
                                                      .weight = 1 + (unsigned)prng_below(p, 9),
                                                      .tier = (unsigned)prng_below(p, tiers),
                                                      .price = prng_chance(p, 0.1) ? NULL : &prices[i]};
    }
}

static uint64_t cost_of(const struct price *p, const struct roster_request *q)
{
    struct price_tokens tokens = {.input = q->input, .output = q->output};

    return p ? price_of(p, &tokens, q->service) : UINT64_MAX;
}

static void check_tiers(const struct roster *r)
{
    size_t place = 0;
    uint64_t sum = 0, ticket = 0;

    for (size_t t = 0; t < r->tier_count; t++) {
        size_t from = place;
        uint64_t held = 0;
        CHECK(t == 0 || r->tiers[t].number > r->tiers[t - 1].number);
        for (; place < r->tiers[t].end; place++) {
            size_t i = r->by_tier[place];
            CHECK_EQ(given[i].tier, r->tiers[t].number);
            CHECK(place == from || i > r->by_tier[place - 1]);
            for (unsigned k = 0; k < given[i].weight; k++) {
                CHECK_EQ(roster_holder(r, from, r->tiers[t].end, held++), i);
                CHECK_EQ(roster_holder(r, 0, r->count, ticket++), i);
            }
            sum += given[i].weight;
            CHECK_EQ(roster_weight(r, from, place + 1), held);
        }
    }
    CHECK_EQ(place, r->count);
    CHECK_EQ(roster_weight(r, 0, r->count), sum);
    CHECK_EQ(r->round * r->common, sum);
    CHECK_EQ(balance_common(r->stride, r->round), 1);
    for (size_t i = 0; i < r->count; i++) {
        CHECK_EQ(given[i].weight % r->common, 0);
        CHECK_EQ(r->ids[i], given[i].id);
        CHECK(r->weights[i] == given[i].weight);
    }
}

/* The most of the offers are the cheapest there are, in order, and each names exactly those who have it. */
static void check_offers(const struct roster *r, const struct roster_request *q)
{
    enum { OFFERS = 5 };
    struct roster_offer offers[OFFERS];
    bool offered[MOST] = {false};
    size_t n = roster_cheapest(r, q, OFFERS, offers);

    CHECK_EQ(n, r->price_count < OFFERS ? r->price_count : OFFERS);
    for (size_t k = 0; k < n; k++) {
        CHECK(k == 0 || offers[k].cost >= offers[k - 1].cost);
        CHECK_LT(offers[k].from, offers[k].to);
        for (size_t place = offers[k].from; place < offers[k].to; place++) {
            CHECK(!offered[r->by_price[place]]);
            offered[r->by_price[place]] = true;
            CHECK_EQ(cost_of(given[r->by_price[place]].price, q), offers[k].cost);
        }
    }
    for (size_t i = 0; i < r->count; i++)
        CHECK(offered[i] || cost_of(given[i].price, q) >= offers[n - 1].cost);
}

static void check_prices(const struct roster *r)
{
    size_t place = 0;

    for (size_t k = 0; k < r->price_count; k++)
        for (; place < r->prices[k].end; place++) {
            CHECK_EQ(price_compare(given[r->by_price[place]].price, r->prices[k].price), 0);
            CHECK(k == 0 || price_compare(r->prices[k - 1].price, r->prices[k].price) != 0);
        }
    CHECK_EQ(place, r->count);
}

TEST(roster_finds_holders_tiers_and_the_cheapest_as_a_look_at_all_does)
{
    struct prng p;

    for (uint64_t k = 0; k < test_rounds(300) && !test_failed(); k++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        size_t n = 1 + prng_below(&p, MOST);
        make_entries(&p, n);
        void *memory = mem_alloc(roster_bytes(n));
        const struct roster *r = roster_make(memory, entries, n);
        check_tiers(r);
        check_prices(r);
        for (unsigned i = 0; i < 20; i++)
            check_offers(r, &(struct roster_request){.input = prng_below(&p, 20000),
                                                     .output = prng_below(&p, 5000),
                                                     .service = (enum price_service)prng_below(&p, PRICE_SERVICES)});
        mem_free(memory);
    }
}

/* Deployments that are configured alike are one price, wherever it is written down. */
TEST(roster_takes_equal_prices_for_one)
{
    struct prng p;

    for (size_t i = 0; i < 100; i++) {
        prng_seed(&p, 5 + i % 2);
        make_price(&p, i, 1000);
        prices[i].step_count = 1;
        entries[i] = (struct roster_entry){.weight = 1, .price = &prices[i]};
    }
    void *memory = mem_alloc(roster_bytes(100));
    CHECK_EQ(roster_make(memory, entries, 100)->price_count, 2);
    mem_free(memory);
}

TEST(price_compare_sees_every_part)
{
    struct price_step one[2] = {{.rates = {.input = 5}}, {.above = 10, .rates = {.input = 6}}}, other[2];
    struct price a = {.steps = one, .step_count = 2}, b = {.steps = other, .step_count = 2}, free = {.step_count = 0};

    memcpy(other, one, sizeof one);
    CHECK_EQ(price_compare(&a, &b), 0);
    CHECK_EQ(price_compare(NULL, NULL), 0);
    CHECK_EQ(price_compare(&free, &free), 0);
    CHECK(price_compare(NULL, &a) * price_compare(&a, NULL) < 0);
    CHECK(price_compare(&free, &a) * price_compare(&a, &free) < 0);
    other[1].rates.cached_input = 1;
    CHECK(price_compare(&a, &b) * price_compare(&b, &a) < 0);
    memcpy(other, one, sizeof one);
    b.permille[PRICE_BATCH] = 500;
    CHECK(price_compare(&a, &b) * price_compare(&b, &a) < 0);
    b.permille[PRICE_BATCH] = 0;
    b.cached_permille[PRICE_FLEX] = 1;
    CHECK(price_compare(&a, &b) * price_compare(&b, &a) < 0);
}
