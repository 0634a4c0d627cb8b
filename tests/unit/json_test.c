/* json_test.c - trees over yyjson: limits, places in errors, getters, building and writing. */
#include "unit/test.h"

#include "codec/json.h"

TEST(json_parse_says_where_it_went_wrong)
{
    struct arena a CLEANUP(arena_release);
    yyjson_val *root = NULL;

    arena_init(&a, 1 << 20);
    CHECK_ERR(json_parse(&a, STR("{\n \"a\": 1,\n  x}"), NULL, 0, &root), E_PARSE);
    CHECK(str_ends(str_from_c(err_detail(E_PARSE)), STR("at line 3, column 3")));
    CHECK_ERR(json_parse(&a, STR(""), NULL, 0, &root), E_PARSE);
    CHECK_ERR(json_parse(&a, STR_NONE, NULL, 0, &root), E_PARSE);
    CHECK_ERR(json_parse(&a, STR("\"\xff\""), NULL, 0, &root), E_PARSE);
    CHECK(root == NULL);
    CHECK_OK(json_parse(&a, STR("\"\xff\""), NULL, JSON_ANY_UNICODE, &root));
    CHECK_STR(json_text(root), "\xff");
}

TEST(json_parse_holds_to_its_limits)
{
    struct arena a CLEANUP(arena_release);
    struct json_limits small = {.bytes = 20, .depth = 3};
    yyjson_val *root;

    arena_init(&a, 1 << 20);
    CHECK_OK(json_parse(&a, STR("[[[1],[2]],[[3]]]"), &small, 0, &root));
    CHECK_ERR(json_parse(&a, STR("[[[1],[[]]]]"), &small, 0, &root), E_TOO_LARGE);
    CHECK_ERR(json_parse(&a, STR("{\"a\":[{\"b\":{}}]}"), &small, 0, &root), E_TOO_LARGE);
    CHECK_OK(json_parse(&a, STR("12345678901234567890"), &small, 0, &root));
    CHECK_ERR(json_parse(&a, STR("123456789012345678901"), &small, 0, &root), E_TOO_LARGE);
    char deep[2 * 257];
    for (size_t depth = 256; depth <= 257; depth++) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        CHECK_ERR(json_parse(&a, str_of(deep, 2 * depth), NULL, 0, &root), depth == 256 ? OK : E_TOO_LARGE);
    }
    struct arena tiny CLEANUP(arena_release);
    arena_init(&tiny, 5000);
    struct buf big CLEANUP(buf_release) = BUF_INIT(1 << 20);
    CHECK_OK(buf_add_char(&big, '['));
    for (int i = 0; i < 3000; i++)
        CHECK_OK(buf_add_lit(&big, "1,"));
    CHECK_OK(buf_add_lit(&big, "1]"));
    CHECK_ERR(json_parse(&tiny, buf_str(&big), NULL, 0, &root), E_TOO_LARGE);
}

TEST(json_parse_reads_large_documents_whole)
{
    struct arena a CLEANUP(arena_release);
    struct buf big CLEANUP(buf_release) = BUF_INIT(1 << 20);
    yyjson_val *root, *v;
    size_t i, n;

    arena_init(&a, 16 << 20);
    CHECK_OK(buf_add_char(&big, '['));
    for (int k = 0; k < 20000; k++)
        CHECK_OK(buf_addf(&big, "%s%d", k ? "," : "", k));
    CHECK_OK(buf_add_char(&big, ']'));
    CHECK_OK(json_parse(&a, buf_str(&big), NULL, 0, &root));
    CHECK_EQ(yyjson_arr_size(root), 20000);
    yyjson_arr_foreach(root, i, n, v)
    {
        if (yyjson_get_uint(v) != i)
            FAIL("element %zu", i);
    }
}

TEST(json_getters_fall_back)
{
    struct arena a CLEANUP(arena_release);
    const char *text = "{\"s\":\"x\\u0000y\",\"i\":-3,\"u\":18446744073709551615,\"d\":2.5,\"w\":4.0,\"t\":true,\"n\":"
                       "null,\"e\":1e3,\"m\":9223372036854775808.0,\"l\":-9223372036854775808.0}";

    arena_init(&a, 1 << 20);
    for (unsigned raw = 0; raw <= JSON_RAW_NUMBERS; raw += JSON_RAW_NUMBERS) {
        yyjson_val *o;
        CHECK_OK(json_parse(&a, str_from_c(text), NULL, raw, &o));
        CHECK(str_eq(json_get_str(o, STR("s"), STR("f")), STR("x\0y")));
        CHECK_STR(json_get_str(o, STR("i"), STR("f")), "f");
        CHECK_STR(json_get_str(o, STR("none"), STR("f")), "f");
        CHECK_EQ(json_get_i64(o, STR("i"), 9), -3);
        CHECK_EQ(json_get_i64(o, STR("u"), 9), 9);
        CHECK_EQ(json_get_i64(o, STR("d"), 9), 9);
        CHECK_EQ(json_get_i64(o, STR("w"), 9), 4);
        CHECK_EQ(json_get_i64(o, STR("e"), 9), 1000);
        CHECK_EQ(json_get_i64(o, STR("s"), 9), 9);
        CHECK_EQ(json_get_i64(o, STR("m"), 9), 9);
        CHECK_EQ(json_get_i64(o, STR("l"), 9), INT64_MIN);
        CHECK(json_get_double(o, STR("d"), 0) == 2.5);
        CHECK(json_get_double(o, STR("i"), 0) == -3.0);
        CHECK(json_get_double(o, STR("n"), 7) == 7.0);
        CHECK(json_get_bool(o, STR("t"), false));
        CHECK(json_get_bool(o, STR("n"), true));
        CHECK(json_get(NULL, STR("x")) == NULL);
        CHECK(json_get(json_get(o, STR("s")), STR("x")) == NULL);
        CHECK_STR(json_number_text(json_get(o, STR("d"))), raw ? "2.5" : "");
        CHECK(json_text(json_get(o, STR("d"))).p == NULL);
    }
}

TEST(json_numbers_keep_their_text)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);
    yyjson_val *root;

    arena_init(&a, 1 << 20);
    CHECK_OK(json_parse(&a, STR(" [ 1.0, 0.10, 1E5, 123456789012345678901234567890, \"\\u00e9\" ] "), NULL,
                        JSON_RAW_NUMBERS, &root));
    CHECK_OK(json_write(&b, &a, root));
    CHECK_STR(buf_str(&b), "[1.0,0.10,1E5,123456789012345678901234567890,\"\xc3\xa9\"]");
}

TEST(json_builds_and_writes)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);

    arena_init(&a, 1 << 20);
    yyjson_mut_doc *doc = json_mut_new(&a);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    json_mut_add_str(doc, o, STR("s"), STR("a\"\n\x01"));
    json_mut_add_str(doc, o, STR("empty"), STR_NONE);
    json_mut_add_i64(doc, o, STR("i"), -5);
    json_mut_add_bool(doc, o, STR("b"), true);
    json_mut_add(doc, o, STR("raw"), json_mut_raw(doc, STR("{\"x\":1.50}")));
    json_mut_add(doc, o, STR("null"), json_mut_raw(doc, STR_NONE));
    json_mut_add(doc, o, STR("str"), json_mut_str(doc, STR("x")));
    CHECK_OK(json_write_mut(&b, &a, o));
    CHECK_STR(buf_str(&b), "{\"s\":\"a\\\"\\n\\u0001\",\"empty\":\"\",\"i\":-5,\"b\":true,\"raw\":{\"x\":1.50},"
                           "\"null\":null,\"str\":\"x\"}");
    const size_t before = b.n;
    json_mut_add_str(doc, o, STR("bad"), STR("\xff"));
    CHECK_ERR(json_write_mut(&b, &a, o), E_PARSE);
    CHECK_EQ(b.n, before);
    struct buf small CLEANUP(buf_release) = BUF_INIT(5);
    yyjson_val *root;
    CHECK_OK(json_parse(&a, STR("[1,2,3]"), NULL, 0, &root));
    CHECK_ERR(json_write(&small, &a, root), E_TOO_LARGE);
    CHECK_EQ(small.n, 0);
}
