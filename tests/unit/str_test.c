/* str_test.c - struct str: comparing, cutting, numbers, lists, distance. */
#include "unit/test.h"

#include "base/str.h"

#include <stdio.h>

TEST(str_equality_is_of_bytes_and_length)
{
    CHECK(str_eq(STR("ab"), STR("ab")));
    CHECK(!str_eq(STR("ab"), STR("abc")));
    CHECK(!str_eq(STR("ab"), STR("aB")));
    CHECK(str_eq(STR("a\0b"), STR("a\0b")));
    CHECK(!str_eq(STR("a\0b"), STR("a\0c")));
    CHECK(str_eq(STR(""), STR_NONE));
    CHECK(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    CHECK(!str_eq_nocase(STR("a@"), STR("a`")));
    CHECK(!str_eq_nocase(STR("a["), STR("a{")));
    CHECK(!str_eq_nocase(STR("\xc3\x89"), STR("\xc3\xa9")));
    CHECK(!str_eq_nocase(STR("ab"), STR("a")));
}

TEST(str_order_is_of_bytes_shorter_first)
{
    CHECK_LT(str_cmp(STR("a"), STR("b")), 0);
    CHECK_LT(str_cmp(STR("a"), STR("ab")), 0);
    CHECK_GT(str_cmp(STR("b"), STR("ab")), 0);
    CHECK_GT(str_cmp(STR("\xff"), STR("a")), 0);
    CHECK_EQ(str_cmp(STR("x"), STR("x")), 0);
    CHECK_EQ(str_cmp(STR_NONE, STR("")), 0);
    CHECK_LT(str_cmp(STR_NONE, STR("a")), 0);
}

TEST(str_prefixes_and_suffixes)
{
    CHECK(str_starts(STR("abc"), STR("ab")));
    CHECK(str_starts(STR("abc"), STR("")));
    CHECK(str_starts(STR_NONE, STR_NONE));
    CHECK(!str_starts(STR("ab"), STR("abc")));
    CHECK(!str_starts(STR("abc"), STR("AB")));
    CHECK(str_starts_nocase(STR("Bearer x"), STR("bearer ")));
    CHECK(!str_starts_nocase(STR("Bear"), STR("bearer ")));
    CHECK(str_ends(STR("abc"), STR("bc")));
    CHECK(str_ends(STR("abc"), STR("")));
    CHECK(str_ends(STR_NONE, STR("")));
    CHECK(!str_ends(STR("bc"), STR("abc")));
    CHECK(!str_ends(STR("abc"), STR("ab")));
}

TEST(str_find_gives_an_index_or_the_length)
{
    CHECK_EQ(str_find_char(STR("abca"), 'a'), 0);
    CHECK_EQ(str_find_char(STR("abca"), 'c'), 2);
    CHECK_EQ(str_find_char(STR("abca"), 'x'), 4);
    CHECK_EQ(str_find_char(STR_NONE, 'x'), 0);
    CHECK_EQ(str_find(STR("abcabd"), STR("abd")), 3);
    CHECK_EQ(str_find(STR("abcabd"), STR("x")), 6);
    CHECK_EQ(str_find(STR("abc"), STR("")), 0);
    CHECK_EQ(str_find(STR("abc"), STR_NONE), 0);
    CHECK_EQ(str_find(STR(""), STR("")), 0);
    CHECK_EQ(str_find(STR("ab"), STR("abc")), 2);
    CHECK_EQ(str_find(STR("a\0b"), STR("\0b")), 1);
}

TEST(str_list_has_finds_whole_items)
{
    CHECK(str_list_has(STR("gzip, Chunked"), STR("chunked")));
    CHECK(str_list_has(STR("close"), STR("close")));
    CHECK(str_list_has(STR(" ,\tclose\t,x"), STR("close")));
    CHECK(!str_list_has(STR("closed, xclose"), STR("close")));
    CHECK(!str_list_has(STR("a b"), STR("a")));
    CHECK(!str_list_has(STR_NONE, STR("a")));
    CHECK(!str_list_has(STR(""), STR("a")));
}

TEST(str_trim_takes_blanks_and_tabs_off)
{
    CHECK_STR(str_trim(STR(" \t a b \t")), "a b");
    CHECK_STR(str_trim(STR(" \t ")), "");
    CHECK_STR(str_trim(STR("a\n ")), "a\n");
    CHECK_STR(str_trim(STR_NONE), "");
}

TEST(str_slice_is_clamped)
{
    CHECK_STR(str_slice(STR("abcdef"), 1, 3), "bc");
    CHECK_STR(str_slice(STR("abc"), 1, SIZE_MAX), "bc");
    CHECK_STR(str_slice(STR("abc"), 5, 9), "");
    CHECK_STR(str_slice(STR("abc"), 2, 1), "");
    CHECK(str_slice(STR_NONE, 0, 1).p == NULL);
    struct str s = STR("abc");
    CHECK(str_slice(s, 3, 3).p == s.p + 3);
}

TEST(str_cut_leaves_the_rest)
{
    struct str s = STR("a,,b");

    CHECK_STR(str_cut(&s, ','), "a");
    CHECK_STR(str_cut(&s, ','), "");
    CHECK_STR(s, "b");
    CHECK_STR(str_cut(&s, ','), "b");
    CHECK(s.p == NULL);
    CHECK_STR(str_cut(&s, ','), "");
    s = STR("x,");
    CHECK_STR(str_cut(&s, ','), "x");
    CHECK(s.p != NULL && s.n == 0);
}

TEST(str_numbers_are_whole_and_within_bounds)
{
    uint64_t v = 7;

    CHECK(str_to_u64(STR("0"), 0, &v) && v == 0);
    CHECK(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &v) && v == UINT64_MAX);
    CHECK(str_to_u64(STR("0000000000000000000000255"), 255, &v) && v == 255);
    v = 7;
    static const char *const bad[] = {
        "", " 1", "1 ", "-1", "+1", "1a", "a", "0x1", "18446744073709551616", "99999999999999999999", "1\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(!str_to_u64(str_from_c(bad[i]), UINT64_MAX, &v));
    CHECK(!str_to_u64(STR("256"), 255, &v));
    CHECK(!str_to_u64(STR("260"), 255, &v));
    CHECK(!str_to_u64(STR("1"), 0, &v));
    CHECK(!str_to_u64(STR_NONE, 10, &v));
    CHECK_EQ(v, 7);
    CHECK(str_hex_to_u64(STR("fF"), 255, &v) && v == 255);
    CHECK(str_hex_to_u64(STR("ffffffffffffffff"), UINT64_MAX, &v) && v == UINT64_MAX);
    CHECK(!str_hex_to_u64(STR("10000000000000000"), UINT64_MAX, &v));
    CHECK(!str_hex_to_u64(STR("100"), 255, &v));
    CHECK(!str_hex_to_u64(STR("g"), 255, &v));
    CHECK(!str_hex_to_u64(STR("0x1"), 255, &v));
    CHECK(!str_hex_to_u64(STR(""), 255, &v));
}

TEST(str_eq_secret_compares_like_str_eq)
{
    CHECK(str_eq_secret(STR("secret"), STR("secret")));
    CHECK(!str_eq_secret(STR("secret"), STR("secreT")));
    CHECK(!str_eq_secret(STR("xecret"), STR("secret")));
    CHECK(!str_eq_secret(STR("secret"), STR("secre")));
    CHECK(str_eq_secret(STR_NONE, STR("")));
}

TEST(str_distance_counts_edits)
{
    char lots[65];

    CHECK_EQ(str_distance(STR("kitten"), STR("sitting")), 3);
    CHECK_EQ(str_distance(STR("flaw"), STR("lawn")), 2);
    CHECK_EQ(str_distance(STR(""), STR("abc")), 3);
    CHECK_EQ(str_distance(STR("abc"), STR("")), 3);
    CHECK_EQ(str_distance(STR("same"), STR("same")), 0);
    memset(lots, 'a', sizeof lots);
    CHECK_EQ(str_distance(str_of(lots, 64), STR("a")), 63);
    CHECK_EQ(str_distance(str_of(lots, 65), str_of(lots, 65)), 64);
}

TEST(str_from_c_takes_null)
{
    CHECK(str_from_c(NULL).p == NULL);
    CHECK_EQ(str_from_c("ab").n, 2);
    CHECK_EQ(ascii_lower('Z'), 'z');
    CHECK_EQ(ascii_lower('['), '[');
    CHECK_EQ(ascii_lower('@'), '@');
}

TEST(decimal_numbers_have_all_their_digits_and_no_more)
{
    char text[DECIMAL_MAX + 1], want[32];

    for (uint64_t v = 1, i = 0; i < 20; i++, v *= 10)
        for (int d = -1; d <= 1; d++) {
            uint64_t n = v + (uint64_t)(int64_t)d;
            text[DECIMAL_MAX] = '#';
            char *end = decimal_put(text, n);
            (void)snprintf(want, sizeof want, "%llu", (unsigned long long)n);
            CHECK_STR(str_of(text, (size_t)(end - text)), want);
            CHECK_EQ(text[DECIMAL_MAX], '#');
        }
    CHECK_EQ(decimal_put(text, UINT64_MAX) - text, DECIMAL_MAX);
    CHECK_STR(str_of(text, DECIMAL_MAX), "18446744073709551615");
}
