/* live_homes_test.c - where conversations were answered last: kept, aged, overwritten, and never mixed up. */
#include "fleet/live_homes.h"

#include "base/prng.h"
#include "test.h"

#define NOW (1000 * NS_SEC)

TEST(live_homes_remember_who_answered_and_how_much_is_held)
{
    struct live_homes *h = live_homes_new();
    uint64_t id = 1, tokens = 1;

    CHECK(!live_homes_get(h, 42, NOW, &id, &tokens));
    live_homes_put(h, 42, 0xabcdef0123456789, 6400, NOW);
    CHECK(live_homes_get(h, 42, NOW + 60 * NS_SEC, &id, &tokens));
    CHECK(live_homes_is(id, 0xabcdef0123456789) && !live_homes_is(id, 0xabcdef0123456788));
    CHECK_EQ(tokens, 6400);
    live_homes_put(h, 42, 7, 63, NOW);
    CHECK(live_homes_get(h, 42, NOW, &id, &tokens) && live_homes_is(id, 7));
    CHECK_EQ(tokens, 0); /* less than is counted */
    live_homes_put(h, 42, 7, UINT64_MAX, NOW);
    CHECK(live_homes_get(h, 42, NOW, &id, &tokens) && tokens == ((1 << 20) - 1) * 64);
    live_homes_free(h);
}

TEST(live_homes_forget_what_a_cache_has_forgotten)
{
    struct live_homes *h = live_homes_new();
    uint64_t id, tokens;

    live_homes_put(h, 9, 1, 100, NOW);
    CHECK(live_homes_get(h, 9, NOW + 290 * NS_SEC, &id, &tokens));
    CHECK(!live_homes_get(h, 9, NOW + 320 * NS_SEC, &id, &tokens));
    live_homes_free(h);
}

TEST(live_homes_are_found_in_a_list_of_ids)
{
    struct live_homes *h = live_homes_new();
    uint64_t id, tokens, ids[] = {3, 0xabcdef0123456788, 0xabcdef0123456789, 0xabcdef0123456789};

    live_homes_put(h, 42, 0xabcdef0123456789, 6400, NOW);
    CHECK(live_homes_get(h, 42, NOW, &id, &tokens));
    CHECK_EQ(live_homes_find(id, ids, 4), 2);
    CHECK_EQ(live_homes_find(id, ids, 2), 2);
    CHECK_EQ(live_homes_find(id, ids, 0), 0);
    live_homes_free(h);
}

TEST(live_homes_that_share_a_slot_are_not_taken_for_each_other)
{
    struct live_homes *h = live_homes_new();
    uint64_t id, tokens, key = 5, other = 5 + (1 << 15);

    live_homes_put(h, key, 1, 6400, NOW);
    CHECK(!live_homes_get(h, other, NOW, &id, &tokens));
    live_homes_put(h, other, 2, 6400, NOW);
    CHECK(!live_homes_get(h, key, NOW, &id, &tokens));
    CHECK(live_homes_get(h, other, NOW, &id, &tokens) && live_homes_is(id, 2));
    live_homes_free(h);
}

TEST(live_homes_keep_nearly_all_of_many)
{
    struct live_homes *h = live_homes_new();
    struct prng p;
    unsigned kept = 0;
    uint64_t id, tokens;

    prng_seed(&p, 7);
    for (unsigned i = 0; i < 3000; i++)
        live_homes_put(h, prng_next(&p), i + 1, 64 * i, NOW);
    prng_seed(&p, 7);
    for (unsigned i = 0; i < 3000; i++)
        kept += live_homes_get(h, prng_next(&p), NOW, &id, &tokens) && live_homes_is(id, i + 1) && tokens == 64 * i;
    CHECK(kept > 2700);
    live_homes_free(h);
}
