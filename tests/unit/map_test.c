/* map_test.c - struct map against a plain table, and its hash against SipHash-1-3. */
#include "unit/test.h"

#include "base/map.h"
#include "base/prng.h"

#include <stdio.h>

enum { KEYS = 300 };

/* The key that maps have when nobody sets one. */
static void restore_key(void)
{
    unsigned char key[16];

    for (unsigned char i = 0; i < sizeof key; i++)
        key[i] = i;
    map_set_hash_key(key);
}

static void restore_key_after(char *unused)
{
    (void)unused;
    restore_key();
}

TEST(map_hash_is_siphash_1_3)
{
    static const struct {
        size_t n;
        uint64_t want;
    } rows[] = {
        {0, 0xabac0158050fc4dc}, {1, 0xc9f49bf37d57ca93},  {7, 0xd3927d989bb11140},  {8, 0x369095118d299a8e},
        {9, 0x25a48eb36c063de4}, {16, 0xcc4fdd1a7d908b66}, {63, 0x9d199062b7bbb3a8},
    };
    char bytes[64];
    char guard CLEANUP(restore_key_after) = 0;

    (void)guard;
    restore_key();
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ(map_hash(str_of(bytes, rows[i].n)), rows[i].want);
    unsigned char key[16] = {1};
    uint64_t before = map_hash(STR("a"));
    map_set_hash_key(key);
    CHECK_NE(map_hash(STR("a")), before);
}

TEST(map_behaves_like_a_plain_table)
{
    static char names[KEYS][16];
    static int values[4];
    struct map m CLEANUP(map_release) = {0};
    void *want[KEYS] = {0};
    struct prng r;
    size_t count = 0;

    prng_seed(&r, test_seed());
    for (int i = 0; i < KEYS; i++)
        (void)snprintf(names[i], sizeof names[i], "k%d", i);
    for (uint64_t round = 0; round < test_rounds(20000); round++) {
        size_t k = prng_below(&r, KEYS);
        struct str key = str_from_c(names[k]);
        void *former;
        test_context("round %llu key %zu", (unsigned long long)round, k);
        if (prng_chance(&r, round / 2000 % 2 ? 0.7 : 0.3)) {
            former = map_remove(&m, key);
            CHECK(former == want[k]);
            count -= former != NULL;
            want[k] = NULL;
        } else {
            void *value = &values[prng_below(&r, ARRAY_LEN(values))];
            former = map_put(&m, key, value);
            CHECK(former == want[k]);
            count += former == NULL;
            want[k] = value;
        }
        CHECK_EQ(m.count, count);
        size_t look = prng_below(&r, KEYS);
        CHECK(map_get(&m, str_from_c(names[look])) == want[look]);
    }
    size_t at = 0, seen = 0;
    struct str key;
    void *value;
    while (map_next(&m, &at, &key, &value)) {
        CHECK(map_get(&m, key) == value);
        seen++;
    }
    CHECK_EQ(seen, count);
    for (size_t k = 0; k < KEYS; k++)
        CHECK(map_get(&m, str_from_c(names[k])) == want[k]);
}

TEST(map_empty_is_zeroed)
{
    struct map m CLEANUP(map_release) = {0};
    size_t at = 0;
    struct str key;
    void *value;
    int x;

    CHECK(map_get(&m, STR("a")) == NULL);
    CHECK(map_remove(&m, STR("a")) == NULL);
    CHECK(!map_next(&m, &at, &key, &value));
    CHECK(map_put(&m, STR_NONE, &x) == NULL);
    CHECK(map_get(&m, STR("")) == &x);
    CHECK(map_put(&m, STR("a\0b"), &x) == NULL);
    CHECK(map_get(&m, STR("a\0c")) == NULL);
    map_release(&m);
    CHECK(map_get(&m, STR("")) == NULL);
}

TEST(map_runs_stay_short_when_it_is_full)
{
    static char names[3000][8];
    struct map m CLEANUP(map_release) = {0};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(names[i], sizeof names[i], "%zu", i);
        CHECK(map_put(&m, str_from_c(names[i]), names[i]) == NULL);
        CHECK_LE(m.count * 4, m.size * 3);
    }
    CHECK_EQ(m.size, 4096);
}
