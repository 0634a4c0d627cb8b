/* price_test.c - money is exact: against figures worked out by hand, and against a plain sum over random usages. */
#include "policy/price.h"

#include "base/prng.h"
#include "unit/test.h"

#define CENTS ((uint64_t)10000000)
#define DOLLARS (100 * CENTS)

/* A price without figures of its own but for plain input and output. */
#define PLAIN(in, out)                                                                                                 \
    {.input = (in),                                                                                                    \
     .output = (out),                                                                                                  \
     .cached_input = PRICE_UNSET,                                                                                      \
     .cache_write = PRICE_UNSET,                                                                                       \
     .cache_write_1h = PRICE_UNSET,                                                                                    \
     .reasoning = PRICE_UNSET,                                                                                         \
     .audio_input = PRICE_UNSET,                                                                                       \
     .audio_output = PRICE_UNSET}

static const struct price_step plain[] = {{0, PLAIN(3 * DOLLARS, 15 * DOLLARS)}};
static const struct price_step rich[] = {
    {0,
     {.input = 3 * DOLLARS,
      .output = 15 * DOLLARS,
      .cached_input = 30 * CENTS,
      .cache_write = 375 * CENTS,
      .cache_write_1h = 6 * DOLLARS,
      .reasoning = 10 * DOLLARS,
      .audio_input = 40 * DOLLARS,
      .audio_output = 80 * DOLLARS,
      .request = CENTS}},
};
static const struct price_step stepped[] = {{0, PLAIN(125 * CENTS, 10 * DOLLARS)},
                                            {200000, PLAIN(250 * CENTS, 15 * DOLLARS)}};

TEST(price_of_plain_tokens)
{
    struct price p = {.steps = plain, .step_count = 1};
    struct price_tokens t = {.input = 1000, .output = 100};

    /* 1,000 at $3 and 100 at $15 per million: 0.3 and 0.15 cents. */
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), CENTS * 45 / 100);
    t = (struct price_tokens){.input = 1000, .output = 100, .cached_input = 900, .reasoning = 50, .cache_write = 50};
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), CENTS * 45 / 100);
}

TEST(price_of_each_part_is_its_own)
{
    struct price p = {.steps = rich, .step_count = 1};
    const uint64_t M = 1000000;
    struct {
        struct price_tokens t;
        uint64_t dollars_in_cents;
    } rows[] = {
        {{.input = M}, 300},
        {{.output = M}, 1500},
        {{.input = M, .cached_input = M}, 30},
        {{.input = M, .cache_write = M}, 375},
        {{.input = M, .cache_write = M, .cache_write_1h = M}, 600},
        {{.input = M, .audio_input = M}, 4000},
        {{.output = M, .reasoning = M}, 1000},
        {{.output = M, .audio_output = M}, 8000},
        {{.input = 4 * M, .cached_input = M, .cache_write = 2 * M, .cache_write_1h = M, .audio_input = M}, 5005},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ(price_of(&p, &rows[i].t, PRICE_STANDARD), (rows[i].dollars_in_cents + 1) * CENTS);
}

TEST(price_of_a_long_prompt_is_of_its_step)
{
    struct price p = {.steps = stepped, .step_count = 2};
    struct price_tokens t = {.input = 200000};

    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), 25 * CENTS);
    t.input = 200001; /* all of it, not only what is above */
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), 50 * CENTS + 2500);
    t.output = 1000000;
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), 15 * DOLLARS + 50 * CENTS + 2500);
}

TEST(price_of_batches_is_a_share)
{
    struct price p = {.steps = plain, .step_count = 1, .permille = {[PRICE_BATCH] = 500, [PRICE_PRIORITY] = 1750}};
    struct price_tokens t = {.input = 1000000};

    CHECK_EQ(price_of(&p, &t, PRICE_BATCH), 150 * CENTS);
    CHECK_EQ(price_of(&p, &t, PRICE_PRIORITY), 525 * CENTS);
    CHECK_EQ(price_of(&p, &t, PRICE_FLEX), 300 * CENTS);
}

/* Google's batches: half of everything, but what is read from the cache costs the same. */
TEST(price_of_a_discount_may_leave_the_cache_out)
{
    struct price p = {
        .steps = rich, .step_count = 1, .permille = {[PRICE_BATCH] = 500}, .cached_permille = {[PRICE_BATCH] = 1000}};
    struct price_tokens t = {.input = 1000000, .cached_input = 500000, .output = 100000};

    /* 500,000 at $3, as many at $0.30, 100,000 at $15, and 1 cent: half of it, but for the 15 cents. */
    CHECK_EQ(price_of(&p, &t, PRICE_BATCH), (15 + (150 + 150 + 1) / 2) * CENTS + CENTS / 2);
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), (15 + 150 + 150 + 1) * CENTS);
    p.cached_permille[PRICE_BATCH] = 0; /* not said: as of all else */
    CHECK_EQ(price_of(&p, &t, PRICE_BATCH), (15 + 150 + 150 + 1) * CENTS / 2);
    p.cached_permille[PRICE_FLEX] = 500; /* of the cache alone */
    CHECK_EQ(price_of(&p, &t, PRICE_FLEX), (150 + 150 + 1) * CENTS + 15 * CENTS / 2);
    p.cached_permille[PRICE_FLEX] = 16; /* a power of two: products that wrapped would be nothing */
    p.permille[PRICE_FLEX] = 16;
    static const struct price_step dear[] = {{0, PLAIN(UINT64_MAX - 1, UINT64_MAX - 1)}};
    p.steps = dear;
    t = (struct price_tokens){.input = UINT64_MAX, .cached_input = UINT64_MAX};
    CHECK_EQ(price_of(&p, &t, PRICE_FLEX), UINT64_MAX);
}

TEST(price_is_rounded_up_once)
{
    static const struct price_step tiny[] = {{0, PLAIN(100000, 100000)}}; /* $0.0001 per million */
    struct price p = {.steps = tiny, .step_count = 1, .permille = {[PRICE_BATCH] = 500}};
    struct price_tokens t = {.input = 1, .output = 1};

    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), 1); /* 0.2 nano-dollars */
    t.input = 10;
    t.output = 0;
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), 1);
    t.input = 11;
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), 2);
    CHECK_EQ(price_of(&p, &t, PRICE_BATCH), 1);
    t.input = 0;
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), 0);
}

TEST(price_of_parts_that_do_not_add_up_is_at_most_the_whole)
{
    struct price p = {.steps = rich, .step_count = 1};
    struct price_tokens t = {.input = 100, .cached_input = 1000, .cache_write = 1000, .audio_input = 1000};

    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), CENTS + 100 * 300);
    t = (struct price_tokens){.output = 100, .reasoning = UINT64_MAX, .audio_output = UINT64_MAX};
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), CENTS + 100 * 10000);
}

TEST(price_saturates_and_a_model_without_price_is_free)
{
    struct price p = {.steps = rich, .step_count = 1, .permille = {[PRICE_BATCH] = 500, [PRICE_PRIORITY] = 2000}};
    struct price_tokens t = {.input = UINT64_MAX, .output = UINT64_MAX, .audio_output = UINT64_MAX};

    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), UINT64_MAX);
    CHECK_EQ(price_of(&p, &t, PRICE_BATCH), UINT64_MAX);
    CHECK_EQ(price_of(&p, &t, PRICE_PRIORITY), UINT64_MAX);
    struct price_step dear[] = {{0, PLAIN(UINT64_MAX - 1, UINT64_MAX - 1)}};
    p = (struct price){.steps = dear,
                       .step_count = 1,
                       .permille = {[PRICE_FLEX] = 16}}; /* a power of two: products that wrapped would be nothing */
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), UINT64_MAX);
    CHECK_EQ(price_of(&p, &t, PRICE_FLEX), UINT64_MAX);
    t = (struct price_tokens){.input = 1000000};
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), UINT64_MAX - 1);
    p = (struct price){.step_count = 0};
    CHECK_EQ(price_of(&p, &t, PRICE_STANDARD), 0);
}

static uint64_t any_rate(struct prng *p)
{
    return prng_chance(p, 0.3) ? PRICE_UNSET : prng_below(p, 100 * DOLLARS);
}

/* Never dearer with fewer tokens, and a part is worth exactly the difference of the two rates. */
TEST(price_grows_with_tokens_and_moves_by_the_difference_of_rates)
{
    uint64_t rounds = test_rounds(5000);
    struct prng p;

    for (uint64_t k = 0; k < rounds; k++) {
        test_context("seed %llu", (unsigned long long)(test_seed() + k));
        prng_seed(&p, test_seed() + k);
        struct price_step step = {0, {.input = prng_below(&p, 100 * DOLLARS), .output = prng_below(&p, 100 * DOLLARS)}};
        step.rates.cached_input = any_rate(&p);
        step.rates.cache_write = any_rate(&p);
        step.rates.cache_write_1h = any_rate(&p);
        step.rates.reasoning = any_rate(&p);
        step.rates.audio_input = any_rate(&p);
        step.rates.audio_output = any_rate(&p);
        struct price price = {.steps = &step, .step_count = 1};
        struct price_tokens t = {.input = prng_below(&p, 1000000), .output = prng_below(&p, 100000)};
        t.cached_input = prng_below(&p, t.input / 2 + 1);
        t.reasoning = prng_below(&p, t.output + 1);
        uint64_t before = price_of(&price, &t, PRICE_STANDARD);
        struct price_tokens more = t;
        more.input += prng_below(&p, 1000);
        more.output += prng_below(&p, 1000);
        CHECK_GE(price_of(&price, &more, PRICE_STANDARD), before);
        struct price_tokens cached = t;
        cached.cached_input = t.input;
        uint64_t rate = step.rates.cached_input == PRICE_UNSET ? step.rates.input : step.rates.cached_input;
        __int128 change = ((__int128)rate - (__int128)step.rates.input) * (__int128)(t.input - t.cached_input);
        __int128 got = ((__int128)price_of(&price, &cached, PRICE_STANDARD) - (__int128)before) * 1000000 - change;
        CHECK(got > -1000000 && got < 1000000);
    }
}
