/* utf8_test.c - UTF-8 after RFC 3629: against a plain decoder, for every code point and for bad bytes. */
#include "unit/test.h"

#include "base/utf8.h"

static size_t encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

TEST(utf8_takes_every_character_and_no_surrogate)
{
    for (uint32_t c = 0; c < 0x110400; c++) {
        char text[4];
        size_t n = encode(c, text);
        bool fine = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        if (utf8_valid_char(text, n) != (fine ? n : 0))
            FAIL("U+%04X", (unsigned)c);
        for (size_t cut = 0; cut < n; cut++)
            if (utf8_valid_char(text, cut) != 0)
                FAIL("U+%04X cut to %zu bytes", (unsigned)c, cut);
    }
}

TEST(utf8_refuses_long_forms_and_stray_bytes)
{
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\xaf",
                                      "\xc1\xbf",
                                      "\xe0\x80\xaf",
                                      "\xe0\x9f\xbf",
                                      "\xf0\x80\x80\xaf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf5\x80\x80\x80",
                                      "\xfe",
                                      "\xff",
                                      "\xc3\x28",
                                      "\xe2\x28\xa1",
                                      "\xe2\x82\x28",
                                      "\xf0\x28\x8c\xbc",
                                      "\xf0\x90\x28\xbc",
                                      "\xf0\x28\x8c\x28",
                                      "\xf8\x88\x80\x80\x80"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_context("row %zu", i);
        CHECK_EQ(utf8_valid_char(bad[i], strlen(bad[i])), 0);
        CHECK(!utf8_valid(str_from_c(bad[i])));
    }
}

TEST(utf8_valid_looks_at_all_of_it)
{
    CHECK(utf8_valid(STR("")));
    CHECK(utf8_valid(STR_NONE));
    CHECK(utf8_valid(STR("a\0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z")));
    CHECK(!utf8_valid(STR("abc\xc3")));
    CHECK(!utf8_valid(STR("abc\xff"
                          "def")));
}

TEST(utf8_prefix_does_not_cut_a_character)
{
    struct str s = STR("a\xc3\xa9\xf0\x9f\x98\x80z");
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 3, 7, 8, 8};

    for (size_t max = 0; max < ARRAY_LEN(want); max++) {
        struct str p = utf8_prefix(s, max);
        CHECK_EQ(p.n, want[max]);
        CHECK(utf8_valid(p));
    }
    CHECK_EQ(utf8_prefix(STR_NONE, 4).n, 0);
}

TEST(utf8_count_is_of_characters_not_of_bytes)
{
    CHECK_EQ(utf8_count(STR("")), 0);
    CHECK_EQ(utf8_count(STR("abc")), 3);
    CHECK_EQ(utf8_count(STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
}

TEST(utf8_characters_are_read_as_they_are_written)
{
    static const uint32_t characters[] = {0, 'a', 0x7f, 0x80, 0x7ff, 0x800, 0xd83d, 0xfffd, 0xffff, 0x10000, 0x10ffff};

    for (size_t i = 0; i < ARRAY_LEN(characters); i++) {
        char text[4];
        uint32_t c = 1;
        size_t n = utf8_put(text, characters[i]);
        CHECK_EQ(utf8_get(text, n, &c), n);
        CHECK_EQ(c, characters[i]);
    }
}

TEST(utf8_what_is_no_character_is_read_as_one_byte_of_it)
{
    static const char *const broken[] = {"\x80", "\xc3", "\xc0\x80", "\xe2\x82", "\xed\xa0", "\xf5\x80\x80\x80",
                                         "\xff"};

    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        uint32_t c = 0;
        CHECK_EQ(utf8_get(broken[i], strlen(broken[i]), &c), 1);
        CHECK_EQ(c, 0xfffd);
    }
}
