/* glob_test.c - wildcards, against a matcher that is written down as the rule says it. */
#include "base/glob.h"

#include "base/prng.h"
#include "unit/test.h"

static bool match(const char *pattern, const char *name)
{
    return glob_match(str_from_c(pattern), str_from_c(name));
}

TEST(glob_stars_and_question_marks_stand_for_what_they_should)
{
    CHECK(match("app.ndjson", "app.ndjson"));
    CHECK(match("*.ndjson", "app.ndjson"));
    CHECK(match("app.ndjson*", "app.ndjson.12"));
    CHECK(match("a*b*c", "a-b-b-c"));
    CHECK(match("", ""));
    CHECK(match("**", ""));
    CHECK(match("app-?.log", "app-1.log"));
    CHECK(!match("app-?.log", "app-.log"));
    CHECK(!match("*.ndjson", "app.ndjson.1"));
    CHECK(!match("*", "a/b"));
    CHECK(!match("a?b", "a/b"));
    CHECK(!match("a", ""));
    CHECK(!match("", "a"));
}

TEST(glob_knows_patterns_from_plain_names)
{
    CHECK(glob_is_pattern(STR("a*")));
    CHECK(glob_is_pattern(STR("a?")));
    CHECK(!glob_is_pattern(STR("a.b")));
}

/* The rule itself: a star is nothing, or one byte and a star. */
static bool match_by_rule(const char *p, const char *n)
{
    if (!*p)
        return !*n;
    if (*p == '*')
        return match_by_rule(p + 1, n) || (*n && *n != '/' && match_by_rule(p, n + 1));
    return *n && (*p == *n || (*p == '?' && *n != '/')) && match_by_rule(p + 1, n + 1);
}

TEST(glob_agrees_with_its_rule_on_random_texts)
{
    struct prng draw;

    prng_seed(&draw, test_seed());
    for (uint64_t round = 0; round < test_rounds(20000); round++) {
        char pattern[9] = "", name[9] = "";
        for (size_t i = 0, n = prng_below(&draw, 8); i < n; i++)
            pattern[i] = "ab*?/"[prng_below(&draw, 5)];
        for (size_t i = 0, n = prng_below(&draw, 8); i < n; i++)
            name[i] = "ab/"[prng_below(&draw, 3)];
        CHECK_MSG(match(pattern, name) == match_by_rule(pattern, name), "\"%s\" on \"%s\"", pattern, name);
    }
}
