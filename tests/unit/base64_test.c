/* base64_test.c - RFC 4648: its vectors, every length, and that there is one accepted text for each byte string. */
#include "unit/test.h"

#include "codec/base64.h"

#include "base/prng.h"

TEST(base64_agrees_with_the_rfc)
{
    static const struct {
        const char *bytes, *text[4];
    } rows[] = {
        {"", {"", "", "", ""}},
        {"f", {"Zg==", "Zg", "Zg", "Zg=="}},
        {"fo", {"Zm8=", "Zm8", "Zm8", "Zm8="}},
        {"foo", {"Zm9v", "Zm9v", "Zm9v", "Zm9v"}},
        {"foob", {"Zm9vYg==", "Zm9vYg", "Zm9vYg", "Zm9vYg=="}},
        {"fooba", {"Zm9vYmE=", "Zm9vYmE", "Zm9vYmE", "Zm9vYmE="}},
        {"foobar", {"Zm9vYmFy", "Zm9vYmFy", "Zm9vYmFy", "Zm9vYmFy"}},
        {"\xfb\xff\xfe", {"+//+", "+//+", "-__-", "-__-"}},
        {"\xfb\xf0", {"+/A=", "+/A", "-_A", "-_A="}},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (enum base64_form form = BASE64; form <= BASE64_URL_PADDED; form++) {
            struct buf b CLEANUP(buf_release) = BUF_INIT(100), back CLEANUP(buf_release) = BUF_INIT(100);
            struct str bytes = str_from_c(rows[i].bytes);
            test_context("row %zu form %d", i, form);
            CHECK_OK(base64_encode(&b, bytes, form));
            CHECK_STR(buf_str(&b), rows[i].text[form]);
            CHECK_EQ(b.n, base64_encoded_length(bytes.n, form));
            CHECK_OK(base64_decode(&back, buf_str(&b), form));
            CHECK_STR(buf_str(&back), rows[i].bytes);
            CHECK_LE(back.n, base64_decoded_max(b.n));
        }
    }
}

TEST(base64_refuses_what_encoding_does_not_give)
{
    static const struct {
        enum base64_form form;
        const char *text;
    } rows[] = {
        {BASE64, "Z"},
        {BASE64, "Zg"},
        {BASE64, "Zg="},
        {BASE64, "Zg==="},
        {BASE64, "Zh=="},
        {BASE64, "Zm9="},
        {BASE64, "Z==="},
        {BASE64, "===="},
        {BASE64, "Zg==Zg=="},
        {BASE64, "Zm 9v"},
        {BASE64, "Zm9v\n"},
        {BASE64, "-__-"},
        {BASE64, "Zm=v"},
        {BASE64, "="},
        {BASE64, "\x80mmm"},
        {BASE64, "Zg=g"},
        {BASE64_URL, "+//+"},
        {BASE64_URL, "Zg=="},
        {BASE64_URL, "Zh"},
        {BASE64_URL, "Z"},
        {BASE64_URL, "Zm9vY"},
        {BASE64_NO_PADDING, "Zm8="},
        {BASE64_NO_PADDING, "Zm9"},
        {BASE64_URL_PADDED, "Zg"},
        {BASE64_URL_PADDED, "+//+"},
        {BASE64_NO_PADDING, "-__-"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b CLEANUP(buf_release) = BUF_INIT(100);
        test_context("row %zu %s", i, rows[i].text);
        CHECK_ERR(base64_decode(&b, str_from_c(rows[i].text), rows[i].form), E_PARSE);
        CHECK_EQ(b.n, 0);
    }
    struct buf b CLEANUP(buf_release) = BUF_INIT(100);
    CHECK_ERR(base64_decode(&b, STR("Zm9\0"), BASE64), E_PARSE);
}

TEST(base64_takes_any_bytes_there_and_back)
{
    struct prng r;

    prng_seed(&r, test_seed());
    for (size_t n = 0; n < 200; n++) {
        char bytes[200];
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)prng_next(&r);
        for (enum base64_form form = BASE64; form <= BASE64_URL_PADDED; form++) {
            struct buf b CLEANUP(buf_release) = BUF_INIT(1000), back CLEANUP(buf_release) = BUF_INIT(1000);
            CHECK_OK(base64_encode(&b, str_of(bytes, n), form));
            CHECK_OK(base64_decode(&back, buf_str(&b), form));
            CHECK(str_eq(buf_str(&back), str_of(bytes, n)));
        }
    }
}

TEST(base64_keeps_to_the_maximum_of_its_buf)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(4);

    CHECK_ERR(base64_encode(&b, STR("food"), BASE64), E_TOO_LARGE);
    CHECK_ERR(base64_decode(&b, STR("Zm9vYmFy"), BASE64), E_TOO_LARGE);
    CHECK_EQ(b.n, 0);
    buf_clear(&b);
    CHECK_OK(base64_encode(&b, STR("foo"), BASE64));
}
