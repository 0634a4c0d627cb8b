/* json_out_test.c - JSON text written value by value: commas, and strings of any bytes and length. */
#include "codec/json_out.h"

#include "base/prng.h"
#include "codec/json_scan.h"
#include "test.h"

TEST(json_out_puts_commas_where_they_belong)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);
    struct json_out o = json_out_to(&b);

    json_open(&o, '{');
    json_key(&o, STR("a"));
    json_put_str(&o, STR("x"));
    json_key(&o, STR("\"b\n"));
    json_open(&o, '[');
    json_put_str(&o, STR(""));
    json_put_u64(&o, 1);
    json_put_bool(&o, true);
    json_put_null(&o);
    json_close(&o, ']');
    json_key(&o, STR("c"));
    json_put_raw(&o, STR("{}"));
    json_close(&o, '}');
    CHECK_STR(buf_str(&b), "{\"a\":\"x\",\"\\\"b\\n\":[\"\",1,true,null],\"c\":{}}");
}

TEST(json_out_takes_keys_as_written_and_values_from_others)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);
    struct json_out o = json_out_to(&b);

    json_open(&o, '{');
    json_key_raw(&o, STR("a\\\"\\u00e4"));
    json_put_u64(&o, 1);
    json_key_raw(&o, STR("b"));
    json_open(&o, '[');
    buf_add_lit(json_begin_value(&o), "1e400");
    buf_add_lit(json_begin_value(&o), "{}");
    json_put_null(&o);
    json_close(&o, ']');
    json_close(&o, '}');
    CHECK_STR(buf_str(&b), "{\"a\\\"\\u00e4\":1,\"b\":[1e400,{},null]}");
}

/* Each byte that needs a look, at each place of texts longer than what is looked at in one step. */
TEST(json_out_escapes_at_every_place_of_a_text)
{
    static const struct {
        struct str special, escaped;
    } rows[] = {
        {STR_INIT("\""), STR_INIT("\\\"")},
        {STR_INIT("\\"), STR_INIT("\\\\")},
        {STR_INIT("\n"), STR_INIT("\\n")},
        {STR_INIT("\x1f"), STR_INIT("\\u001f")},
        {STR_INIT("\x7f"), STR_INIT("\\u007f")},
        {STR_INIT("\xc2\x80"), STR_INIT("\\u0080")},
        {STR_INIT("\xc3\xa9"), STR_INIT("\xc3\xa9")},
        {STR_INIT("\xff"), STR_INIT("\xef\xbf\xbd")},
        {STR_INIT("\xed\xa0\xbd"), STR_INIT("\\ud83d")},
    };
    static const char plain[] = "The gateway reads what it reads once ~ {}";

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t n = 0; n < sizeof plain; n++)
            for (size_t at = 0; at <= n; at++) {
                struct buf text CLEANUP(buf_release) = BUF_INIT(100), got CLEANUP(buf_release) = BUF_INIT(200);
                struct buf want CLEANUP(buf_release) = BUF_INIT(200);
                struct json_out o = json_out_to(&got);
                test_context("row %zu, %zu of %zu", i, at, n);
                CHECK_OK(
                    buf_addf(&text, "%.*s%.*s%.*s", (int)at, plain, STR_ARG(rows[i].special), (int)(n - at), plain));
                CHECK_OK(buf_addf(&want, "\"%.*s%.*s%.*s\"", (int)at, plain, STR_ARG(rows[i].escaped), (int)(n - at),
                                  plain));
                json_put_str(&o, buf_str(&text));
                CHECK(str_eq(buf_str(&got), buf_str(&want)));
            }
}

TEST(json_out_of_any_bytes_is_a_valid_string)
{
    struct prng rng;

    prng_seed(&rng, test_seed());
    for (uint64_t round = 0; round < test_rounds(3000); round++) {
        struct buf b CLEANUP(buf_release) = BUF_INIT(1000);
        struct json_out o = json_out_to(&b);
        char bytes[60];
        size_t n = prng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = prng_below(&rng, 8) ? (char)('a' + (char)prng_below(&rng, 26)) : (char)prng_next(&rng);
        test_context("round %llu", (unsigned long long)round);
        json_put_str(&o, str_of(bytes, n));
        CHECK(json_valid(buf_str(&b), JSON_CHECK_UTF8));
    }
}

TEST(json_out_fills_its_buf_to_the_last_byte_and_no_further)
{
    struct buf fits CLEANUP(buf_release) = BUF_INIT(9), small CLEANUP(buf_release) = BUF_INIT(8);
    struct json_out a = json_out_to(&fits), b = json_out_to(&small);

    json_put_str(&a, STR("abc"));
    json_put_str(&a, STR("d"));
    CHECK_OK(buf_status(&fits));
    CHECK_STR(buf_str(&fits), "\"abc\",\"d\"");
    json_put_str(&b, STR("abc"));
    json_put_str(&b, STR("d"));
    CHECK_ERR(buf_status(&small), E_TOO_LARGE);
}
