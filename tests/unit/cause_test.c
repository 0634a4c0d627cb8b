/* cause_test.c - the table of causes is whole, and says what failover, ejection and limits rely on. */
#include "policy/cause.h"

#include "unit/test.h"

static bool is_refused_by_provider(enum cause c)
{
    return c == CAUSE_RATE_LIMITED || c == CAUSE_QUOTA || c == CAUSE_CLIENT_ERROR || c == CAUSE_CONTEXT_LENGTH ||
           c == CAUSE_CONTENT_FILTER || c == CAUSE_AUTH || c == CAUSE_NOT_FOUND;
}

TEST(cause_table_has_a_distinct_name_and_words_for_each)
{
    for (unsigned i = 0; i < CAUSES; i++) {
        const struct cause_meaning *m = cause_meaning(i);
        CHECK_MSG(m->name && m->words, "cause %u has no row", i);
        for (unsigned k = 0; k < i; k++)
            CHECK_MSG(!str_eq(str_from_c(m->name), str_from_c(cause_meaning(k)->name)), "%s twice", m->name);
    }
}

TEST(cause_of_a_limit_a_quota_or_the_client_is_never_ill_health)
{
    for (unsigned i = 0; i < CAUSES; i++)
        if (is_refused_by_provider(i) || i == CAUSE_CANCELLED || i == CAUSE_SUPERSEDED || i == CAUSE_DEADLINE)
            CHECK_MSG(cause_meaning(i)->health != CAUSE_HEALTH_ILL, "%s", cause_meaning(i)->name);
}

TEST(cause_of_a_broken_provider_is_ill_health)
{
    static const enum cause ill[] = {CAUSE_CONNECT,         CAUSE_RESET,           CAUSE_TIMEOUT_FIRST,
                                     CAUSE_TIMEOUT_BETWEEN, CAUSE_SERVER_ERROR,    CAUSE_OVERLOADED,
                                     CAUSE_EMPTY,           CAUSE_MALFORMED,       CAUSE_BROKEN,
                                     CAUSE_TIMEOUT_TOTAL,   CAUSE_UPSTREAM_TIMEOUT};

    for (size_t i = 0; i < ARRAY_LEN(ill); i++)
        CHECK_EQ(cause_meaning(ill[i])->health, CAUSE_HEALTH_ILL);
}

TEST(cause_offers_a_fallback_exactly_where_another_deployment_may_do_better)
{
    for (unsigned i = 0; i < CAUSES; i++) {
        const struct cause_meaning *m = cause_meaning(i);
        CHECK_MSG(((m->again & AGAIN_ELSEWHERE) != 0) == (m->fallback != FALLBACK_NONE), "%s", m->name);
    }
    CHECK_EQ(cause_meaning(CAUSE_CONTEXT_LENGTH)->fallback, FALLBACK_CONTEXT_LENGTH);
    CHECK_EQ(cause_meaning(CAUSE_CONTENT_FILTER)->fallback, FALLBACK_CONTENT_FILTER);
    CHECK_EQ(cause_meaning(CAUSE_RATE_LIMITED)->fallback, FALLBACK_RATE_LIMIT);
    CHECK_EQ(cause_meaning(CAUSE_TIMEOUT_FIRST)->fallback, FALLBACK_TIMEOUT);
    CHECK_EQ(cause_meaning(CAUSE_SERVER_ERROR)->fallback, FALLBACK_SERVER_ERROR);
    CHECK_EQ(cause_meaning(CAUSE_BUDGET)->fallback, FALLBACK_BUDGET);
    CHECK_EQ(cause_meaning(CAUSE_AUTH)->fallback, FALLBACK_ANY);
}

TEST(cause_ends_a_request_that_succeeded_or_that_nobody_waits_for)
{
    static const enum cause last[] = {CAUSE_OK,         CAUSE_CLIENT_ERROR, CAUSE_CANCELLED,
                                      CAUSE_SUPERSEDED, CAUSE_DEADLINE,     CAUSE_TIMEOUT_TOTAL};

    for (size_t i = 0; i < ARRAY_LEN(last); i++)
        CHECK_EQ(cause_meaning(last[i])->again, 0);
}

TEST(cause_parks_a_credential_at_its_limit_and_retires_one_that_is_refused)
{
    for (unsigned i = 0; i < CAUSES; i++) {
        enum cause_key want = i == CAUSE_AUTH                               ? CAUSE_KEY_RETIRE
                              : i == CAUSE_RATE_LIMITED || i == CAUSE_QUOTA ? CAUSE_KEY_PARK
                                                                            : CAUSE_KEY_NONE;
        CHECK_EQ(cause_meaning(i)->key, want);
    }
}

/* A request with a side effect upstream may be repeated only after these. */
TEST(cause_knows_that_nothing_ran_where_the_provider_refused_at_its_door)
{
    static const enum cause refused[] = {CAUSE_CONNECT,  CAUSE_RATE_LIMITED, CAUSE_QUOTA,       CAUSE_AUTH,
                                         CAUSE_CONFLICT, CAUSE_OVERLOADED,   CAUSE_NOT_FOUND,   CAUSE_REQUEST_TIMEOUT,
                                         CAUSE_BUDGET,   CAUSE_NO_CAPACITY,  CAUSE_CLIENT_ERROR};
    static const enum cause unsure[] = {CAUSE_RESET, CAUSE_TIMEOUT_FIRST,    CAUSE_SERVER_ERROR,   CAUSE_BROKEN,
                                        CAUSE_EMPTY, CAUSE_UPSTREAM_TIMEOUT, CAUSE_TIMEOUT_BETWEEN};

    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        CHECK(!cause_meaning(refused[i])->may_have_run);
    for (size_t i = 0; i < ARRAY_LEN(unsure); i++)
        CHECK(cause_meaning(unsure[i])->may_have_run);
}

TEST(cause_is_read_from_the_status)
{
    static const struct {
        int status;
        enum cause cause;
    } rows[] = {
        {200, CAUSE_OK},
        {204, CAUSE_OK},
        {302, CAUSE_REDIRECT},
        {400, CAUSE_CLIENT_ERROR},
        {401, CAUSE_AUTH},
        {402, CAUSE_QUOTA},
        {403, CAUSE_AUTH},
        {404, CAUSE_NOT_FOUND},
        {408, CAUSE_REQUEST_TIMEOUT},
        {409, CAUSE_CONFLICT},
        {413, CAUSE_CONTEXT_LENGTH},
        {422, CAUSE_CLIENT_ERROR},
        {425, CAUSE_TOO_EARLY},
        {429, CAUSE_RATE_LIMITED},
        {500, CAUSE_SERVER_ERROR},
        {502, CAUSE_SERVER_ERROR},
        {503, CAUSE_OVERLOADED},
        {504, CAUSE_UPSTREAM_TIMEOUT},
        {529, CAUSE_OVERLOADED},
        {599, CAUSE_SERVER_ERROR},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_EQ(cause_of_status(rows[i].status), rows[i].cause);
}

TEST(cause_spells_the_lists_of_fallbacks_as_the_configuration_does)
{
    CHECK_STR(str_from_c(fallback_name(FALLBACK_CONTEXT_LENGTH)), "context_length");
    CHECK_STR(str_from_c(fallback_name(FALLBACK_ANY)), "any");
    for (unsigned i = 0; i < FALLBACKS; i++)
        CHECK(fallback_name(i) != NULL);
}
