/* keyed_test.c - what is remembered under keys, beside a table that is looked through. */
#include "pipeline/run/keyed.h"

#include "base/prng.h"
#include "unit/test.h"

#include <inttypes.h>
#include <stdio.h>

static void release(struct keyed **k)
{
    keyed_free(*k);
}

static bool has(const struct keyed *k, const char *key, int64_t now, const char *want)
{
    struct str body;
    int64_t until;

    return keyed_find(k, str_from_c(key), now, &until, &body) && until > now && str_eq(body, str_from_c(want));
}

TEST(keyed_remembers_until_the_end_of_an_entry)
{
    struct keyed *k CLEANUP(release) = keyed_new(4096);
    struct str gone;

    keyed_put(k, STR("a"), 10, STR("one"));
    keyed_put(k, STR("b"), 5, STR("two"));
    keyed_put(k, STR("a"), 20, STR("three"));
    CHECK_EQ(keyed_count(k), 2);
    CHECK(has(k, "a", 19, "three") && !has(k, "a", 20, "three"));
    CHECK(has(k, "b", 4, "two") && !has(k, "b", 5, "two"));
    CHECK_EQ(keyed_next(k), 5);
    CHECK(!keyed_drop(k, 4, &gone));
    CHECK(keyed_drop(k, 5, &gone));
    CHECK_STR(gone, "b");
    keyed_remove(k, STR("none"));
    keyed_remove(k, STR("a"));
    CHECK_EQ(keyed_next(k), INT64_MAX);
}

TEST(keyed_makes_room_by_what_ends_first)
{
    struct keyed *k CLEANUP(release) = keyed_new(1000);
    struct str gone;
    char key[16], want[16];

    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        keyed_put(k, str_from_c(key), 1000 + i, STR(""));
        while (keyed_drop(k, 0, &gone)) {
            (void)snprintf(want, sizeof want, "%d", i - (int)keyed_count(k));
            CHECK_STR(gone, want);
        }
        CHECK(!keyed_is_over(k));
    }
    CHECK_MSG(keyed_count(k) > 3 && keyed_count(k) < 10, "%zu", keyed_count(k));
    CHECK(has(k, "99", 0, ""));
}

enum { MODEL_KEYS = 20 };

TEST(keyed_is_what_a_table_says)
{
    for (uint64_t round = 0; round < test_rounds(50); round++) {
        struct keyed *k CLEANUP(release) = keyed_new(SIZE_MAX);
        int64_t until[MODEL_KEYS] = {0};
        struct prng p;
        prng_seed(&p, test_seed() + round);
        for (int64_t now = 1; now < 300; now++) {
            size_t i = (size_t)prng_below(&p, MODEL_KEYS);
            char key[16];
            struct str text = str_of(key, (size_t)snprintf(key, sizeof key, "key %zu", i)), gone;
            if (prng_chance(&p, 0.7))
                keyed_put(k, text, until[i] = now + prng_range(&p, 1, 40), text);
            else if (prng_chance(&p, 0.5))
                keyed_remove(k, text), until[i] = 0;
            int64_t last = 0;
            while (keyed_drop(k, now, &gone)) {
                size_t dropped = (size_t)gone.p[4] - '0';
                dropped = gone.n == 6 ? 10 * dropped + (size_t)gone.p[5] - '0' : dropped;
                CHECK_MSG(until[dropped] <= now && until[dropped] >= last, "round %" PRIu64, round);
                last = until[dropped];
                until[dropped] = 0;
            }
            size_t left = 0;
            for (size_t n = 0; n < MODEL_KEYS; n++) {
                (void)snprintf(key, sizeof key, "key %zu", n);
                CHECK_EQ(has(k, key, now, key), until[n] > now);
                left += until[n] > now;
            }
            CHECK_EQ(keyed_count(k), left);
        }
    }
}
