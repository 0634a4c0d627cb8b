/* embed_test.c - vectors between JSON numbers and base64 of float32: nothing is lost either way. */
#include "llm/embed.h"

#include "base/prng.h"
#include "codec/base64.h"
#include "test.h"

TEST(vectors_pass_as_they_are_in_the_form_that_they_have)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(1000);
    struct json_out o = json_out_to(&to);
    const struct embed_vector json = {.json = STR("[ 1e-1,2 ]")}, base64 = {.base64 = STR("AACAPw==")};

    CHECK_OK(embed_put_json(&o, &json));
    CHECK_OK(embed_put_base64(&o, &base64));
    CHECK_OK(embed_put_json(&o, &json));
    CHECK_STR(buf_str(&to), "[ 1e-1,2 ],\"AACAPw==\",[ 1e-1,2 ]");
}

TEST(vectors_become_little_endian_float32_in_base64)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(1000);
    struct json_out o = json_out_to(&to);
    const struct embed_vector v = {.json = STR("[1.0, -2, 0.5e0,1E1]")};

    CHECK_OK(embed_put_base64(&o, &v));
    CHECK_STR(buf_str(&to), "\"AACAPwAAAMAAAAA/AAAgQQ==\"");
}

TEST(vectors_become_the_shortest_numbers_that_are_the_same)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(1000);
    struct json_out o = json_out_to(&to);
    const struct embed_vector v = {.base64 = STR("AACAPwAAAMDNzMw9AAAgQQ==")};

    CHECK_OK(embed_put_json(&o, &v));
    CHECK_STR(buf_str(&to), "[1,-2,0.1,10]");
}

TEST(vectors_of_any_finite_floats_come_back_bit_by_bit)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(1 << 20), base64 CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct buf json CLEANUP(buf_release) = BUF_INIT(1 << 20), again CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct prng rng;

    prng_seed(&rng, test_seed());
    for (uint64_t i = 0; i < test_rounds(4000); i++) {
        char four[4];
        for (size_t k = 0; k < sizeof four; k++)
            four[k] = (char)prng_next(&rng);
        if ((four[3] & 0x7f) == 0x7f && (four[2] & 0x80)) /* infinite, or no number */
            four[2] = 0;
        CHECK_OK(buf_add(&bytes, str_of(four, sizeof four)));
    }
    CHECK_OK(base64_encode(&base64, buf_str(&bytes), BASE64));
    struct json_out numbers = json_out_to(&json), text = json_out_to(&again);
    CHECK_OK(embed_put_json(&numbers, &(struct embed_vector){.base64 = buf_str(&base64)}));
    CHECK_OK(embed_put_base64(&text, &(struct embed_vector){.json = buf_str(&json)}));
    CHECK(str_eq(buf_str(&base64), str_slice(buf_str(&again), 1, again.n - 1)));
}

TEST(vectors_that_are_none_are_refused)
{
    static const char *const not_base64[] = {"AACAPw=", "AAA=", "AACAfw==", "AADAfw==", "!!!!"};
    static const char *const not_json[] = {"[1,\"2\"]", "[null]", "[[1]]", "{}", "7"};
    struct buf to CLEANUP(buf_release) = BUF_INIT(1000);
    struct json_out o = json_out_to(&to);

    for (size_t i = 0; i < ARRAY_LEN(not_base64); i++) {
        test_context("%s", not_base64[i]);
        CHECK(embed_put_json(&o, &(struct embed_vector){.base64 = str_from_c(not_base64[i])}) != OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(not_json); i++) {
        test_context("%s", not_json[i]);
        CHECK_ERR(embed_put_base64(&o, &(struct embed_vector){.json = str_from_c(not_json[i])}), E_PROTOCOL);
    }
}
