/* date_test.c - the Gregorian calendar: every day of many years, against a calendar that counts. */
#include "unit/test.h"

#include "base/date.h"

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Count on from `day`, which is January 1st of `year`, to the end of `last`. */
static void check_years(int64_t day, int year, int last)
{
    for (; year <= last; year++)
        for (int month = 1; month <= 12; month++)
            for (int d = 1; d <= month_days(year, month); d++, day++) {
                struct date date = date_of_day(day);
                CHECK(date.year == year && date.month == month && date.day == d);
                CHECK_EQ(date_to_day(date), day);
            }
}

TEST(date_counts_as_the_calendar_does)
{
    check_years(0, 1970, 2801);
    check_years(-719528, 0, 801);
    check_years(-719528 - 146097, -400, 0);
}

TEST(date_prints_instants_as_rfc_3339_has_them)
{
    char to[DATE_INSTANT_MAX];

    CHECK_STR(str_from_c(date_print_instant(0, to)), "1970-01-01T00:00:00.000Z");
    CHECK_STR(str_from_c(date_print_instant(951825599999999999, to)), "2000-02-29T11:59:59.999Z");
    CHECK_STR(str_from_c(date_print_instant(-1, to)), "1969-12-31T23:59:59.999Z");
    CHECK_STR(str_from_c(date_print_instant(INT64_MIN, to)), "1677-09-21T00:12:43.145Z");
}

TEST(date_of_a_day_beyond_its_month_counts_on)
{
    CHECK_EQ(date_to_day((struct date){2023, 2, 29}), date_to_day((struct date){2023, 3, 1}));
    CHECK_EQ(date_to_day((struct date){2024, 6, 31}), date_to_day((struct date){2024, 7, 1}));
}
