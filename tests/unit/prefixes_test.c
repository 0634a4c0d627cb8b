/* prefixes_test.c - names find the patterns that they fall under, the longest first, in a time that does not grow with the patterns. */
#include "fleet/prefixes.h"

#include "base/arena.h"
#include "unit/test.h"

static int values[8];

static void *find(const struct prefixes *p, const char *name, size_t at_most, size_t *ret_length)
{
    *ret_length = at_most;
    return prefixes_find(p, str_from_c(name), ret_length);
}

TEST(prefixes_find_the_longest_first_and_then_shorter_ones)
{
    struct prefixes p CLEANUP(prefixes_release) = {.lengths_ = {0}};
    size_t n;

    CHECK(find(&p, "openai/gpt-4o", SIZE_MAX, &n) == NULL);
    CHECK(prefixes_put(&p, STR("openai/"), &values[0]) == NULL);
    CHECK(prefixes_put(&p, STR(""), &values[1]) == NULL);
    CHECK(prefixes_put(&p, STR("openai/gpt-"), &values[2]) == NULL);
    CHECK(prefixes_put(&p, STR("azure/x"), &values[3]) == NULL); /* of the same length as openai/ */
    CHECK(find(&p, "openai/gpt-4o", SIZE_MAX, &n) == &values[2]);
    CHECK_EQ(n, 11);
    CHECK(find(&p, "openai/gpt-4o", n - 1, &n) == &values[0]);
    CHECK_EQ(n, 7);
    CHECK(find(&p, "openai/gpt-4o", n - 1, &n) == &values[1]);
    CHECK_EQ(n, 0);
    CHECK(find(&p, "openai/o3", SIZE_MAX, &n) == &values[0]);
    CHECK(find(&p, "openai", SIZE_MAX, &n) == &values[1]);
    CHECK(find(&p, "", SIZE_MAX, &n) == &values[1]);
    CHECK(prefixes_get(&p, STR("openai/")) == &values[0]);
    CHECK(prefixes_get(&p, STR("openai")) == NULL);
    CHECK(prefixes_put(&p, STR("openai/"), &values[4]) == &values[0]);
}

TEST(prefixes_of_every_length_are_found)
{
    struct prefixes p CLEANUP(prefixes_release) = {.lengths_ = {0}};
    char text[PREFIX_MAX + 8];
    size_t n;

    memset(text, 'a', sizeof text);
    for (size_t length = 0; length <= PREFIX_MAX; length++)
        prefixes_put(&p, str_of(text, length), &values[length % 8]);
    struct str name = str_of(text, sizeof text);
    n = name.n;
    for (size_t length = PREFIX_MAX; length > 0; length--) {
        CHECK(prefixes_find(&p, name, &n) == &values[length % 8]);
        CHECK_EQ(n, length);
        n--;
    }
}

TEST(prefixes_patterns_are_those_with_a_star_at_their_end)
{
    struct str prefix;

    CHECK(prefix_of_pattern(STR("openai/*"), &prefix));
    CHECK_STR(prefix, "openai/");
    CHECK(prefix_of_pattern(STR("*"), &prefix));
    CHECK_STR(prefix, "");
    CHECK(!prefix_of_pattern(STR("openai/gpt-4o"), &prefix));
    CHECK(!prefix_of_pattern(STR("*x"), &prefix));
    CHECK(!prefix_of_pattern(STR(""), &prefix));
}

/* Nanoseconds of a look-up among `count` prefixes of the same few lengths, the best of some rounds. */
static double cost_among(unsigned count)
{
    enum { ROUNDS = 9, CALLS = 2000 };
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct prefixes p CLEANUP(prefixes_release) = {.lengths_ = {0}};
    double best = 1e9;
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++)
        prefixes_put(&p, arena_printf(&arena, "provider-%05u/", i), &values[0]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double from = test_cpu_ns();
        for (unsigned i = 0; i < CALLS; i++) {
            size_t length = SIZE_MAX;
            found += prefixes_find(&p, STR("provider-00003/gpt-4o-mini"), &length) != NULL;
        }
        double took = (test_cpu_ns() - from) / CALLS;
        best = took < best ? took : best;
    }
    return found == ROUNDS * CALLS ? best : 0;
}

TEST(prefixes_cost_the_same_among_ten_and_among_ten_thousand)
{
    double few = cost_among(10), many = cost_among(10000);

    CHECK(few > 0 && many > 0);
    CHECK_MSG(many < 10 * few + 100, "%.0f ns among 10,000, %.0f ns among 10", many, few);
}
