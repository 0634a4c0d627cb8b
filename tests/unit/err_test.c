/* err_test.c - error codes and the record of what went wrong. */
#include "unit/test.h"

#include "base/err.h"

#include <string.h>

TEST(err_codes_have_names_texts_and_statuses)
{
    CHECK_STR(str_from_c(err_name(OK)), "OK");
    CHECK_STR(str_from_c(err_name(E_DEADLINE)), "DEADLINE");
    CHECK_EQ(err_http_status(OK), 200);
    CHECK_EQ(err_http_status(E_TOO_LARGE), 413);
    CHECK(err_is_retryable(E_UPSTREAM));
    CHECK(!err_is_retryable(E_PARSE));
    CHECK(!err_is_retryable(OK));
    for (err_t e = OK; e < ERR_COUNT; e++) {
        CHECK(err_name(e)[0] && err_text(e)[0]);
        CHECK(e == OK || (err_http_status(e) >= 400 && err_http_status(e) < 600));
    }
    CHECK_STR(str_from_c(err_name(ERR_COUNT)), "?");
    CHECK_EQ(err_http_status(ERR_COUNT), 500);
}

TEST(err_fail_records_code_text_and_place)
{
    CHECK_ERR(fail(E_PARSE, "bad %s at %d", "thing", 7), E_PARSE);
    const int line = __LINE__ - 1;
    CHECK_STR(str_from_c(err_detail(E_PARSE)), "bad thing at 7");
    CHECK_STR(str_from_c(err_detail(E_IO)), err_text(E_IO));
    CHECK_EQ(err_current()->line, line);
    CHECK(str_ends(str_from_c(err_current()->file), STR("err_test.c")));
    CHECK_ERR(fail(E_IO, "%s", ""), E_IO);
    CHECK_STR(str_from_c(err_detail(E_IO)), err_text(E_IO));
}

TEST(err_fail_may_quote_the_record_that_it_replaces)
{
    CHECK_ERR(fail(E_PARSE, "inner"), E_PARSE);
    CHECK_ERR(fail(E_CONFIG, "outer (%s)", err_detail(E_PARSE)), E_CONFIG);
    CHECK_STR(str_from_c(err_detail(E_CONFIG)), "outer (inner)");
}

TEST(err_context_goes_in_front)
{
    CHECK_ERR(fail(E_REFUSED, "port 80"), E_REFUSED);
    CHECK_ERR(err_context(E_REFUSED, "dialing %s", "host"), E_REFUSED);
    CHECK_ERR(err_context(E_REFUSED, "openai"), E_REFUSED);
    CHECK_STR(str_from_c(err_detail(E_REFUSED)), "openai: dialing host: port 80");
    CHECK_ERR(err_context(OK, "nothing"), OK);
    CHECK_STR(str_from_c(err_detail(E_REFUSED)), "openai: dialing host: port 80");
    CHECK_ERR(err_context(E_IO, "elsewhere"), E_IO);
    CHECK(str_starts(str_from_c(err_detail(E_IO)), STR("elsewhere: ")));
    CHECK(str_ends(str_from_c(err_detail(E_IO)), str_from_c(err_text(E_IO))));
}

TEST(err_texts_are_cut_not_overrun)
{
    char lots[1000];

    memset(lots, 'x', sizeof lots - 1);
    lots[sizeof lots - 1] = '\0';
    CHECK_ERR(fail(E_PARSE, "%s", lots), E_PARSE);
    CHECK_EQ(strlen(err_detail(E_PARSE)), ERR_TEXT_MAX - 1);
    CHECK_ERR(err_context(E_PARSE, "%s", lots), E_PARSE);
    CHECK_EQ(strlen(err_detail(E_PARSE)), ERR_TEXT_MAX - 1);
    CHECK_ERR(fail(E_PARSE, "%.230s", lots), E_PARSE);
    CHECK_ERR(err_context(E_PARSE, "0123456789"), E_PARSE);
    CHECK_EQ(strlen(err_detail(E_PARSE)), ERR_TEXT_MAX - 1);
    CHECK(str_starts(str_from_c(err_detail(E_PARSE)), STR("0123456789: xxx")));
}

static err_t two_steps(bool first_fails, int *steps)
{
    TRY(first_fails ? E_IO : OK);
    ++*steps;
    return OK;
}

TEST(err_try_returns_the_first_error)
{
    int steps = 0;

    CHECK_ERR(two_steps(true, &steps), E_IO);
    CHECK_EQ(steps, 0);
    CHECK_OK(two_steps(false, &steps));
    CHECK_EQ(steps, 1);
}
