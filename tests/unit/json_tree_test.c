/* json_tree_test.c - documents as flat trees: validity, look-ups, texts, pointers. */
#include "codec/json_tree.h"

#include "base/buf.h"
#include "test.h"

static const struct json_tree *parse(struct arena *a, struct str text)
{
    const struct json_tree *tree = NULL;

    if (json_tree_parse(a, text, &tree) != OK)
        test_fail_(__FILE__, __LINE__, "%.*s: %s", STR_ARG(text), err_detail(E_PARSE));
    return tree;
}

TEST(json_tree_finds_members_and_elements_wherever_they_are)
{
    struct arena a CLEANUP(arena_release);
    arena_init(&a, 1 << 20);
    struct json_node root = json_tree_root(parse(&a, STR(" {\"a\" : [1, {\"b\":\"x\"}, []], \"c\":null, \"d\":{} } ")));

    CHECK_EQ(json_node_count(root), 3);
    CHECK_STR(json_node_raw(json_node_get(root, STR("a"))), "[1, {\"b\":\"x\"}, []]");
    CHECK_STR(json_get_text(json_node_at(json_node_get(root, STR("a")), 1), STR("b"), &a), "x");
    CHECK(json_is_absent(json_node_at(json_node_get(root, STR("a")), 3)));
    CHECK(!json_is_absent(json_node_get(root, STR("c"))));
    CHECK(!json_node_is_set(json_node_get(root, STR("c"))));
    CHECK(json_is_absent(json_node_get(json_node_get(root, STR("nothing")), STR("b"))));
    CHECK_EQ(json_node_count(json_node_get(root, STR("d"))), 0);
}

TEST(json_tree_decodes_escapes_in_keys_and_texts)
{
    struct arena a CLEANUP(arena_release);
    arena_init(&a, 1 << 20);
    struct json_node root = json_tree_root(parse(&a, STR("{\"k\\u0065y\":\"a\\n\\u00e9\\ud83d\\ude00\"}")));

    CHECK_STR(json_get_text(root, STR("key"), &a), "a\n\xc3\xa9\xf0\x9f\x98\x80");
    CHECK(json_node_text_is(json_node_get(root, STR("key")), STR("a\n\xc3\xa9\xf0\x9f\x98\x80")));
}

TEST(json_tree_halves_of_a_character_become_whole_when_their_pieces_meet)
{
    struct arena a CLEANUP(arena_release);
    struct buf to CLEANUP(buf_release) = BUF_INIT(100);
    arena_init(&a, 1 << 20);
    struct str high = json_node_text(json_tree_root(parse(&a, STR("\"\\ud83d\""))), &a);
    struct str low = json_node_text(json_tree_root(parse(&a, STR("\"\\ude00\""))), &a);

    CHECK_EQ(high.n, 3);
    buf_add_json(&to, high);
    buf_add_json(&to, low);
    CHECK_STR(buf_str(&to), "\\ud83d\\ude00");
}

TEST(json_tree_numbers_keep_their_text_and_whole_ones_are_recognised)
{
    struct arena a CLEANUP(arena_release);
    int64_t n = 0;
    arena_init(&a, 1 << 20);
    struct json_node root = json_tree_root(parse(&a, STR("[1e400, 9007199254740993, 1.0, 1e3, 1.5, -0, \"7\"]")));

    CHECK_STR(json_node_raw(json_node_at(root, 0)), "1e400");
    CHECK(!json_node_i64(json_node_at(root, 0), &n));
    CHECK(json_node_i64(json_node_at(root, 1), &n) && n == 9007199254740993);
    CHECK(json_node_i64(json_node_at(root, 2), &n) && n == 1);
    CHECK(json_node_i64(json_node_at(root, 3), &n) && n == 1000);
    CHECK(!json_node_i64(json_node_at(root, 4), &n));
    CHECK(!json_node_i64(json_node_at(root, 6), &n));
}

TEST(json_tree_names_places_by_pointers)
{
    struct arena a CLEANUP(arena_release);
    arena_init(&a, 1 << 20);
    struct json_node root = json_tree_root(parse(&a, STR("{\"m\":[{\"x\":1},{\"a/b~\":[0,true]}],\"z\":{}}")));
    struct json_node deep = json_node_at(json_node_get(json_node_at(json_node_get(root, STR("m")), 1), STR("a/b~")), 1);

    CHECK_STR(json_node_pointer(root, &a), "");
    CHECK_STR(json_node_pointer(deep, &a), "/m/1/a~1b~0/1");
    CHECK_STR(json_node_pointer(json_node_get(root, STR("z")), &a), "/z");
    JSON_EACH(w, json_node_at(json_node_get(root, STR("m")), 0))
        CHECK_STR(json_node_pointer(w.key, &a), "/m/0/x");
}

TEST(json_tree_refuses_what_is_no_json_and_says_where)
{
    static const char *const bad[] = {"",      "{",       "[1,]",        "{\"a\":}",   "{\"a\" 1}", "{a:1}",
                                      "[1 2]", "01",      "1.",          "-",          "1e",        "tru",
                                      "\"a",   "\"\\x\"", "\"\\u12g4\"", "\"\x01\"",   "\"\xff\"",  "\"\xed\xa0\x80\"",
                                      "[]]",   "{} {}",   "[\"a\":1]",   "{\"a\":1,}", "nul",       ",",
                                      "}",     "[",       "{\"a\"",      "{\"a\":1"};
    struct arena a CLEANUP(arena_release);
    const struct json_tree *tree;
    arena_init(&a, 1 << 20);

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (json_tree_parse(&a, str_from_c(bad[i]), &tree) != E_PARSE)
            CHECK_STR(str_from_c(bad[i]), "refused");
    CHECK_EQ(json_tree_parse(&a, STR("{\n  \"a\": x}"), &tree), E_PARSE);
    CHECK_STR(str_from_c(err_detail(E_PARSE)), "line 2, column 8: a value is expected");
}

TEST(json_tree_takes_256_levels_and_no_more)
{
    struct arena a CLEANUP(arena_release);
    char text[2 * (JSON_DEPTH_MAX + 1)];
    const struct json_tree *tree;
    arena_init(&a, 1 << 20);

    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    CHECK_OK(json_tree_parse(&a, str_of(text + 1, 2 * JSON_DEPTH_MAX), &tree));
    CHECK_EQ(json_tree_parse(&a, str_of(text, sizeof text), &tree), E_TOO_LARGE);
}

/* Every prefix of a valid document, and every document with one byte changed, is judged as the scanner judges it. */
TEST(json_tree_agrees_with_the_scanner_on_what_is_valid)
{
    static const char text[] = "{\"a\":[1.5e-3,-0,\"x\\u00e9\\n\xc3\xa9\",{\"b\":null,\"c\":[true,false]}],\"\":{}} ";
    static const char swaps[] = "\"\\{}[],:0 x-.e\x80\n";
    struct arena a CLEANUP(arena_release);
    const struct json_tree *tree;
    char changed[sizeof text];
    arena_init(&a, 1 << 24);

    for (size_t n = 0; n < sizeof text; n++) {
        bool valid = json_valid(str_of(text, n), JSON_CHECK_UTF8 | JSON_LONE_SURROGATES);
        CHECK_EQ(json_tree_parse(&a, str_of(text, n), &tree) == OK, valid);
        arena_clear(&a);
    }
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        for (size_t k = 0; k + 1 < sizeof swaps; k++) {
            memcpy(changed, text, sizeof text);
            changed[i] = swaps[k];
            struct str doc = str_of(changed, sizeof text - 1);
            bool valid = json_valid(doc, JSON_CHECK_UTF8 | JSON_LONE_SURROGATES);
            if ((json_tree_parse(&a, doc, &tree) == OK) != valid)
                CHECK_STR(doc, valid ? "valid" : "invalid");
            arena_clear(&a);
        }
    }
}
