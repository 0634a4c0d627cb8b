/* pricing_test.c - what attempts have cost, and what requests are expected to cost: by which price, and when it is not known. */
#include "fleet/model_book.h"
#include "gateway/exchange.h"

#include "unit/test.h"

#define DOLLAR ((uint64_t)1000000000)

static const struct price_step steps[] = {{0,
                                           {.input = 2 * DOLLAR,
                                            .output = 10 * DOLLAR,
                                            .cached_input = DOLLAR,
                                            .cache_write = 3 * DOLLAR,
                                            .cache_write_1h = 4 * DOLLAR,
                                            .reasoning = 20 * DOLLAR,
                                            .audio_input = 40 * DOLLAR,
                                            .audio_output = 80 * DOLLAR}}};
static const struct price price = {
    .steps = steps, .step_count = 1, .permille = {[PRICE_FLEX] = 500, [PRICE_PRIORITY] = 2000}};
static const struct price free_of_charge = {.step_count = 0};

struct bench {
    struct provider provider;
    struct deployment deployment;
    struct candidate candidate;
    struct exchange x;
    struct attempt a;
    struct attempt_facts f;
};

static void set_up(struct bench *b, const struct price *p)
{
    *b = (struct bench){.provider = {.vendor = vendor_find(STR("openai"))}};
    b->deployment = (struct deployment){.name = STR("p/m"), .model = STR("m"), .provider = &b->provider, .price = p};
    b->candidate = (struct candidate){
        .provider = &b->provider, .deployment = &b->deployment, .model = STR("m"), .name = STR("p/m")};
    b->x.chosen = &b->candidate;
    b->x.facts.tried_count = 1;
    b->x.facts.is_priced = true; /* as when the first record is opened */
    b->a.cause = CAUSE_OK;
}

TEST(pricing_takes_every_part_of_the_usage)
{
    struct bench b;
    const uint64_t M = 1000000;

    set_up(&b, &price);
    b.a.usage = (struct usage){.known = true,
                               .input = 10 * M,
                               .cached_input = M,
                               .cache_write = 3 * M,
                               .cache_write_1h = M,
                               .audio_input = M,
                               .output = 5 * M,
                               .reasoning = M,
                               .audio_output = M};
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(b.f.is_priced && b.x.facts.is_priced);
    CHECK_EQ(b.f.price, (5 * 2 + 1 + 2 * 3 + 4 + 40 + 3 * 10 + 20 + 80) * DOLLAR);
    CHECK_EQ(b.x.facts.price, b.f.price);
}

TEST(pricing_is_by_the_service_tier_that_is_asked_for)
{
    static const struct {
        struct str tier;
        uint64_t cents;
    } rows[] = {{STR_INIT(""), 200}, {STR_INIT("flex"), 100}, {STR_INIT("priority"), 400}, {STR_INIT("auto"), 200}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bench b;
        set_up(&b, &price);
        b.x.request.service_tier = rows[i].tier;
        b.a.usage = (struct usage){.known = true, .input = 1000000};
        price_attempt(&b.x, &b.a, &b.f);
        CHECK_EQ(b.f.price, rows[i].cents * DOLLAR / 100);
    }
}

TEST(pricing_of_what_is_not_known_is_not_nothing)
{
    struct bench b;

    set_up(&b, NULL); /* no price */
    b.a.usage = (struct usage){.known = true, .input = 1000000};
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(!b.f.is_priced && !b.x.facts.is_priced);
    set_up(&b, &price); /* no usage */
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(!b.f.is_priced && !b.x.facts.is_priced);
    set_up(&b, &free_of_charge); /* no usage, but free */
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(b.f.is_priced && b.x.facts.is_priced);
    set_up(&b, &price);
    b.candidate.deployment = NULL; /* passed through */
    b.a.usage = (struct usage){.known = true, .input = 1000000};
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(!b.f.is_priced);
    CHECK_EQ(b.f.price, 0);
}

TEST(pricing_of_failures_depends_on_what_the_provider_did)
{
    struct bench b;

    set_up(&b, &price);
    b.a.cause = CAUSE_RATE_LIMITED; /* refused before working */
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(b.f.is_priced && b.x.facts.is_priced);
    CHECK_EQ(b.f.price, 0);
    set_up(&b, &price);
    b.a.cause = CAUSE_SERVER_ERROR; /* perhaps after it */
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(!b.f.is_priced && !b.x.facts.is_priced);
}

TEST(pricing_of_what_was_cut_short_is_that_of_its_input_as_estimated)
{
    struct bench b;

    set_up(&b, &price);
    b.a.cause = CAUSE_SUPERSEDED;
    b.x.input_tokens = 1000000;
    price_attempt(&b.x, &b.a, &b.f); /* before it was sent */
    CHECK(b.f.is_priced && !b.f.is_estimated && b.f.price == 0);
    b.a.times.sent_any = true;
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(b.f.is_priced && b.f.is_estimated && b.x.facts.is_priced && b.x.facts.is_estimated);
    CHECK_EQ(b.f.price, 2 * DOLLAR);
    b.a.usage = (struct usage){.known = true, .input = 500000}; /* it had told */
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(b.f.is_priced && !b.f.is_estimated && b.x.facts.is_estimated);
    CHECK_EQ(b.f.price, DOLLAR);
    set_up(&b, &free_of_charge);
    b.a.cause = CAUSE_SUPERSEDED;
    b.a.times.sent_any = true;
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(b.f.is_priced && !b.f.is_estimated && b.f.price == 0);
    set_up(&b, NULL);
    b.a.cause = CAUSE_SUPERSEDED;
    b.a.times.sent_any = true;
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(!b.f.is_priced && !b.f.is_estimated);
}

TEST(pricing_of_a_request_is_that_of_its_attempts)
{
    struct bench b;

    set_up(&b, &price);
    b.a.usage = (struct usage){.known = true, .input = 1000000};
    price_attempt(&b.x, &b.a, &b.f);
    b.x.facts.tried_count = 2;
    b.a.usage.input = 500000;
    price_attempt(&b.x, &b.a, &b.f);
    CHECK_EQ(b.f.price, DOLLAR);
    CHECK_EQ(b.x.facts.price, 3 * DOLLAR);
    CHECK(b.x.facts.is_priced);
    b.x.facts.tried_count = 3;
    b.deployment.price = NULL; /* one that is not known, and the sum is not */
    price_attempt(&b.x, &b.a, &b.f);
    b.x.facts.tried_count = 4;
    b.deployment.price = &price;
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(b.f.is_priced && !b.x.facts.is_priced);
    CHECK_EQ(b.x.facts.price, 4 * DOLLAR);
}

TEST(pricing_at_a_star_is_by_the_model_that_is_meant)
{
    struct bench b;
    struct price_tokens tokens = {.input = 1000, .output = 1000};

    set_up(&b, NULL);
    b.deployment.model = STR("*");
    b.candidate.model = STR("gpt-5.4-mini");
    b.a.usage = (struct usage){.known = true, .input = 1000, .output = 1000};
    price_attempt(&b.x, &b.a, &b.f);
    uint64_t book = price_of(model_book_find(b.provider.vendor, STR("gpt-5.4-mini"))->price, &tokens, PRICE_STANDARD);
    CHECK(b.f.is_priced && book > 0);
    CHECK_EQ(b.f.price, book);
    struct price_terms terms = {.millionths = 900000};
    b.deployment.book_terms = &terms;
    price_attempt(&b.x, &b.a, &b.f);
    CHECK_EQ(b.f.price, book / 10 * 9);
    terms.permille[PRICE_FLEX] = 100; /* instead of the book's share, and times the factor */
    b.x.request.service_tier = STR("flex");
    price_attempt(&b.x, &b.a, &b.f);
    CHECK_EQ(b.f.price, book / 100 * 9);
    b.x.request.service_tier = STR("priority"); /* which is as the book has it */
    price_attempt(&b.x, &b.a, &b.f);
    CHECK_EQ(b.f.price,
             price_of(model_book_find(b.provider.vendor, STR("gpt-5.4-mini"))->price, &tokens, PRICE_PRIORITY) / 10 *
                 9);
    b.candidate.model = STR("unheard-of");
    price_attempt(&b.x, &b.a, &b.f);
    CHECK(!b.f.is_priced);
}

TEST(pricing_expects_by_the_estimate_or_by_the_size_of_the_body)
{
    struct bench b;

    set_up(&b, &price);
    b.x.input_tokens = 1000000;
    b.x.output_tokens = 100000;
    CHECK_EQ(expected_cost(&b.x, &b.deployment, STR("m")), 3 * DOLLAR);
    b.x.input_tokens = b.x.output_tokens = 0;
    b.x.request.doc = (struct str){"", 4000};
    CHECK_EQ(expected_cost(&b.x, &b.deployment, STR("m")), 1000 * 2000 + 256 * 10000);
    b.x.request.service_tier = STR("flex");
    CHECK_EQ(expected_cost(&b.x, &b.deployment, STR("m")), (1000 * 2000 + 256 * 10000) / 2);
    b.deployment.price = NULL;
    CHECK_EQ(expected_cost(&b.x, &b.deployment, STR("m")), UINT64_MAX);
    b.deployment.price = &free_of_charge;
    CHECK_EQ(expected_cost(&b.x, &b.deployment, STR("m")), 0);
}
