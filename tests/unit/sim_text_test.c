/* sim_text_test.c - what simulated models say, and how it is counted. */
#include "sim/hash.h"
#include "sim/text.h"
#include "unit/test.h"

#include "base/utf8.h"

static struct arena a;

TEST(sim_a_token_is_four_characters)
{
    CHECK_EQ(sim_tokens(STR("")), 0);
    CHECK_EQ(sim_tokens(STR("a")), 1);
    CHECK_EQ(sim_tokens(STR("abcd")), 1);
    CHECK_EQ(sim_tokens(STR("abcde")), 2);
    CHECK_EQ(sim_tokens(STR("\xc3\xa4\xc3\xb6\xc3\xbc\xe2\x82\xac")), 1); /* four of two and three bytes */
}

TEST(sim_tokens_are_cut_between_characters)
{
    struct str rest = STR("ab\xc3\xa4"
                          "def\xf0\x9f\x98\x80");

    CHECK_STR(sim_token_cut(&rest), "ab\xc3\xa4"
                                    "d");
    CHECK_STR(sim_token_cut(&rest), "ef\xf0\x9f\x98\x80");
    CHECK_STR(sim_token_cut(&rest), "");
    CHECK_STR(sim_token_prefix(STR("abcdefghij"), 2), "abcdefgh");
    CHECK_STR(sim_token_prefix(STR("abcdefghij"), 9), "abcdefghij");
    CHECK_STR(sim_token_prefix(STR("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"), 1), "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4");
    CHECK_STR(sim_token_prefix(STR("abc"), 0), "");
}

TEST(sim_answers_have_exactly_the_tokens_asked_for)
{
    static const struct str questions[] = {STR_INIT(""), STR_INIT("What is the tide?"),
                                           STR_INIT("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"),
                                           STR_INIT("\xc3\xa4\xf0\x9f\x98\x80\xe2\x82\xac \xc3\xa4\xc3\xb6\xc3\xbc of "
                                                    "a long question that is cut somewhere in here")};
    struct str text, rest;

    arena_init(&a, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++)
        for (size_t tokens = 0; tokens < 60; tokens++) {
            test_context("question %zu, %zu tokens", i, tokens);
            CHECK_OK(sim_answer_text(&a, 7, STR("You asked: "), questions[i], tokens, &text));
            CHECK_EQ(sim_tokens(text), tokens);
            CHECK(utf8_valid(text));
            size_t cuts = 0;
            for (rest = text; rest.n > 0; cuts++)
                sim_token_cut(&rest);
            CHECK_EQ(cuts, tokens);
            if (tokens > 3)
                CHECK(str_ends(text, STR(".")));
        }
    arena_release(&a);
}

TEST(sim_answers_say_that_they_are_simulated_and_what_was_asked)
{
    struct str text;

    arena_init(&a, SIZE_MAX);
    CHECK_OK(sim_answer_text(&a, 1, STR("You asked: "), STR(" a \"b\"\nc "), 30, &text));
    CHECK(str_starts(text, STR("[simulated] You asked: \"a 'b' c\" ")));
    CHECK_OK(sim_answer_text(&a, 1, STR("You asked: "), STR(""), 10, &text));
    CHECK(str_starts(text, STR("[simulated] ")));
    CHECK(str_find(text, STR("You asked")) == text.n);
    arena_release(&a);
}

TEST(sim_answers_are_a_function_of_hash_and_question)
{
    struct str one, same, other;

    arena_init(&a, SIZE_MAX);
    CHECK_OK(sim_answer_text(&a, 1, STR("You asked: "), STR("q"), 200, &one));
    CHECK_OK(sim_answer_text(&a, 1, STR("You asked: "), STR("q"), 200, &same));
    CHECK_OK(sim_answer_text(&a, 2, STR("You asked: "), STR("q"), 200, &other));
    CHECK(str_eq(one, same));
    CHECK(!str_eq(one, other));
    arena_release(&a);
}

TEST(sim_an_answer_larger_than_the_arena_is_refused)
{
    struct str text;

    arena_init(&a, 1000);
    CHECK_ERR(sim_answer_text(&a, 1, STR(""), STR(""), 100000, &text), E_TOO_LARGE);
    arena_release(&a);
}

TEST(sim_the_first_stop_in_the_text_cuts)
{
    struct str stops[] = {STR("lo"), STR(""), STR("ell")}, text = STR("hello hello");

    struct str stop = STR_NONE;
    CHECK(sim_stop_cut(&text, stops, 3, &stop));
    CHECK_STR(text, "h");
    CHECK_STR(stop, "ell");
    text = STR("none here");
    CHECK(!sim_stop_cut(&text, stops, 3, &stop));
    CHECK_STR(text, "none here");
}

TEST(sim_hash_tells_apart_where_pieces_end)
{
    CHECK_NE(sim_hash(sim_hash(0, STR("ab")), STR("c")), sim_hash(sim_hash(0, STR("a")), STR("bc")));
    CHECK_NE(sim_hash(0, STR("")), sim_hash(0, STR("\0")));
    CHECK_NE(sim_hash(1, STR("abcdefgh")), sim_hash(2, STR("abcdefgh")));
    CHECK_NE(sim_hash_u64(1, 2), sim_hash_u64(2, 1));
    CHECK_EQ(sim_hash(0, STR("The same everywhere")), 12406186368076382487U); /* on every machine */
}
