/* condition_test.c - the type of what conditions look at, and which parts of it a condition is said to read. */
#include "fleet/condition.h"

#include "base/buf.h"
#include "fleet/needs.h"
#include "unit/test.h"

#define ALL ((1u << CONDITION_FIELDS) - 1 + CONDITION_ALL_HEADERS)

TEST(condition_needs_are_the_bits_by_their_names)
{
    const struct expr_type *needs = condition_input_type.fields[CONDITION_NEEDS].type;

    CHECK_EQ(needs->field_count, NEED_COUNT);
    for (unsigned i = 0; i < NEED_COUNT; i++)
        CHECK_STR(needs->fields[i].name, need_name(1U << i));
}

static void check_reads(const char *text, unsigned reads)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct expr_problem problem = {.line = 0};
    struct condition c;

    test_context("%s", text);
    CHECK_MSG(condition_compile(&arena, str_from_c(text), &c, &problem) == OK, "%.*s", STR_ARG(problem.text));
    CHECK_EQ(c.reads, reads);
}

TEST(condition_reads_are_the_fields_that_it_looks_at)
{
    check_reads("true", 0);
    check_reads(".stream", 1u << CONDITION_STREAM);
    check_reads(".model | startswith(\"gpt-\")", 1u << CONDITION_MODEL);
    check_reads(".needs.vision and .tokens.input > 8000", 1u << CONDITION_NEEDS | 1u << CONDITION_TOKENS);
    check_reads("any(.tags[]; . == \"eu\")", 1u << CONDITION_TAGS);
    check_reads(".key.metadata.tier == \"gold\"", 1u << CONDITION_KEY);
    check_reads(".headers[\"x-team\"] == \"a\"", 1u << CONDITION_HEADERS);
    check_reads(".headers.accept == \"a\"", 1u << CONDITION_HEADERS);
    check_reads("any(.headers[]; . == \"a\")", 1u << CONDITION_HEADERS | CONDITION_ALL_HEADERS);
    check_reads("(.headers | length) > 9", 1u << CONDITION_HEADERS | CONDITION_ALL_HEADERS);
    check_reads(".headers[.model] == \"a\"", 1u << CONDITION_HEADERS | CONDITION_ALL_HEADERS | 1u << CONDITION_MODEL);
    check_reads(".metadata | has(\"a\")", 1u << CONDITION_METADATA);
    check_reads("(.user // \"\") | startswith(\"a\")", 1u << CONDITION_USER);
    check_reads("tojson | test(\"x\")", ALL); /* all of it */
}

static void check_refused(const char *text, const char *why)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct expr_problem problem = {.line = 0};
    struct condition c;

    test_context("%s", text);
    CHECK(condition_compile(&arena, str_from_c(text), &c, &problem) == E_PARSE);
    CHECK_MSG(str_find(problem.text, str_from_c(why)) < problem.text.n, "%.*s", STR_ARG(problem.text));
}

TEST(condition_what_a_client_may_leave_out_has_to_be_handled)
{
    check_refused(".user | startswith(\"a\")", "this may be null");
    check_refused(".key.team | test(\"a\")", "this may be null");
    check_refused(".headers[\"x-team\"] | test(\"a\")", "this may be null");
    check_refused(".metadata.tier | ascii_downcase", "may be");
    check_refused(".key.role == \"x\"", "there is no field \"role\"");
    check_refused(".tokens.total > 3", "there is no field \"total\"");
    check_refused(".tags[]", "several values");
}
