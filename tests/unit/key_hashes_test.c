/* key_hashes_test.c - hashes of keys that clients present: always SHA-256 of that very key, whoever was there before. */
#include "unit/test.h"

#include "base/prng.h"
#include "gateway/key_hashes.h"

#include <stdio.h>
#include <string.h>

static bool is_right(struct key_hashes *k, struct str key)
{
    unsigned char expected[SHA256_BYTES];

    sha256(key, expected);
    return memcmp(key_hashes_get(k, key), expected, sizeof expected) == 0;
}

TEST(keys_have_their_own_hash_however_often_they_come)
{
    struct key_hashes *k = key_hashes_new();

    for (int i = 0; i < 3; i++) {
        CHECK(is_right(k, STR("xd-one")));
        CHECK(is_right(k, STR("xd-two")));
    }
    key_hashes_free(k);
    key_hashes_free(NULL);
}

TEST(keys_that_push_each_other_out_keep_their_hashes)
{
    struct key_hashes *k = key_hashes_new();
    struct prng random;
    char text[16];

    prng_seed(&random, 7);
    for (int i = 0; i < 20000; i++) { /* four keys for each place, and each key many times */
        int n = snprintf(text, sizeof text, "key-%u", (unsigned)(prng_below(&random, 1024)));
        CHECK(is_right(k, str_of(text, (size_t)n)));
    }
    key_hashes_free(k);
}

TEST(a_key_that_begins_another_is_another)
{
    struct key_hashes *k = key_hashes_new();
    char text[400];

    memset(text, 'k', sizeof text);
    for (int round = 0; round < 2; round++)
        for (size_t n = 0; n <= sizeof text; n++) /* none at all, and longer ones than are kept */
            CHECK(is_right(k, str_of(text, n)));
    key_hashes_free(k);
}
