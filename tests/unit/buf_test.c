/* buf_test.c - struct buf: growing, its maximum, numbers, JSON escapes. */
#include "unit/test.h"

#include "base/buf.h"

TEST(buf_grows_as_it_is_filled)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1 << 20);

    for (int i = 0; i < 50000; i++)
        CHECK_OK(buf_add_char(&b, (char)('a' + i % 26)));
    CHECK_EQ(b.n, 50000);
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] != (char)('a' + i % 26))
            FAIL("byte %zu", i);
    CHECK_LE(b.cap, 2 * b.n);
}

TEST(buf_refuses_an_append_past_its_maximum_whole)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(10);

    CHECK_OK(buf_add_lit(&b, "12345678"));
    CHECK_OK(buf_status(&b));
    CHECK_ERR(buf_add_lit(&b, "abc"), E_TOO_LARGE);
    CHECK_STR(buf_str(&b), "12345678");
    CHECK_ERR(buf_status(&b), E_TOO_LARGE);
    CHECK_OK(buf_add_lit(&b, "90"));
    CHECK_ERR(buf_status(&b), E_TOO_LARGE);
    CHECK_ERR(buf_add_char(&b, 'x'), E_TOO_LARGE);
    CHECK_EQ(b.n, 10);
    buf_clear(&b);
    CHECK_OK(buf_status(&b));
    CHECK(buf_reserve(&b, 11) == NULL);
    CHECK(buf_reserve(&b, SIZE_MAX) == NULL);
    CHECK(buf_reserve(&b, 10) != NULL);
    CHECK_EQ(b.n, 0);
}

TEST(buf_reserve_of_nothing_is_no_failure)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(0);

    CHECK(buf_reserve(&b, 0) != NULL);
    CHECK_OK(buf_status(&b));
    CHECK_OK(buf_add(&b, STR("")));
    CHECK_OK(buf_add(&b, STR_NONE));
    CHECK_ERR(buf_add_char(&b, 'x'), E_TOO_LARGE);
}

TEST(buf_formats_up_to_its_last_byte)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(5), larger CLEANUP(buf_release) = BUF_INIT(1000);

    CHECK_OK(buf_addf(&b, "%d%s", 123, "45"));
    CHECK_STR(buf_str(&b), "12345");
    CHECK_ERR(buf_addf(&b, "%d", 6), E_TOO_LARGE);
    CHECK_OK(buf_addf(&b, "%s", ""));
    CHECK_STR(buf_str(&b), "12345");
    for (int i = 0; i < 200; i++)
        CHECK_OK(buf_addf(&larger, "%03d,", i));
    CHECK(str_starts(buf_str(&larger), STR("000,001,")));
    CHECK_EQ(larger.n, 800);
}

TEST(buf_writes_integers)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);

    CHECK_OK(buf_add_u64(&b, 0));
    CHECK_OK(buf_add_char(&b, ' '));
    CHECK_OK(buf_add_u64(&b, UINT64_MAX));
    CHECK_OK(buf_add_char(&b, ' '));
    CHECK_OK(buf_add_i64(&b, INT64_MIN));
    CHECK_OK(buf_add_char(&b, ' '));
    CHECK_OK(buf_add_i64(&b, -1));
    CHECK_OK(buf_add_i64(&b, 10));
    CHECK_STR(buf_str(&b), "0 18446744073709551615 -9223372036854775808 -110");
}

TEST(buf_escapes_json)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);

    CHECK_OK(buf_add_json(&b, STR("a\"\\/\b\f\n\r\t\x01\x1f\x7f\xc2\x9b\xc2\xa0\xc3\xa9\xf0\x9f\x98\x80")));
    CHECK_STR(buf_str(&b),
              "a\\\"\\\\/\\u0008\\u000c\\n\\r\\t\\u0001\\u001f\\u007f\\u009b\xc2\xa0\xc3\xa9\xf0\x9f\x98\x80");
    buf_clear(&b);
    CHECK_OK(buf_add_json(&b, STR("x\xff\xc3y\xed\xa0\x80")));
    CHECK_STR(buf_str(&b), "x\xef\xbf\xbd\xef\xbf\xbdy\\ud800");
    buf_clear(&b);
    CHECK_OK(buf_add_json(&b, STR("\0")));
    CHECK_STR(buf_str(&b), "\\u0000");
    CHECK_OK(buf_add_json(&b, STR_NONE));
}

TEST(buf_consume_moves_the_rest_down)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(100);

    CHECK_OK(buf_add_lit(&b, "abcdef"));
    buf_consume(&b, 2);
    CHECK_STR(buf_str(&b), "cdef");
    buf_consume(&b, 0);
    CHECK_STR(buf_str(&b), "cdef");
    buf_consume(&b, 100);
    CHECK_EQ(b.n, 0);
    buf_consume(&b, 1);
}

TEST(buf_release_keeps_the_maximum)
{
    struct buf b = BUF_INIT(3), zeroed = {0};

    CHECK_OK(buf_add_lit(&b, "abc"));
    buf_release(&b);
    CHECK(b.p == NULL && b.n == 0 && b.max == 3);
    CHECK_OK(buf_add_lit(&b, "xyz"));
    buf_release(&b);
    buf_release(&zeroed);
}
