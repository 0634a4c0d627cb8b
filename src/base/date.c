/*
 * date.c - dates of the Gregorian calendar without tables (H. Hinnant, "chrono-compatible low-level date algorithms").
 *
 * The year is taken to begin in March, so that the leap day is its last, and 400 years are an era, which always has 146,097
 * days. Does not: time of day, time zones, leap seconds.
 */
#include "base/date.h"

#include "base/time.h"

#include <stdio.h>

enum { ERA_DAYS = 146097, ERA_YEARS = 400, TO_1970 = 719468 /* days from 0000-03-01 */ };

struct date date_of_day(int64_t day)
{
    int64_t z = day + TO_1970;
    int64_t era = (z >= 0 ? z : z - (ERA_DAYS - 1)) / ERA_DAYS;
    int64_t of_era = z - era * ERA_DAYS;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0 is March */
    struct date date = {.month = (int)(month < 10 ? month + 3 : month - 9)};

    date.day = (int)(of_year - (153 * month + 2) / 5 + 1);
    date.year = (int)(year + era * ERA_YEARS + (date.month <= 2));
    return date;
}

int64_t date_to_day(struct date date)
{
    int64_t year = date.year - (date.month <= 2);
    int64_t era = (year >= 0 ? year : year - (ERA_YEARS - 1)) / ERA_YEARS;
    int64_t of_era = year - era * ERA_YEARS;
    int64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
    int64_t of_year = (153 * month + 2) / 5 + date.day - 1;

    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - TO_1970;
}

const char *date_print_instant(int64_t instant, char to[DATE_INSTANT_MAX])
{
    static const int64_t day_length = 24 * 3600 * NS_SEC;
    int64_t rest = instant % day_length, day = instant / day_length - (rest < 0);

    rest += rest < 0 ? day_length : 0; /* of the day that it is in, which may begin before there are instants */
    int seconds = (int)(rest / NS_SEC);
    struct date d = date_of_day(day);

    (void)snprintf(to, DATE_INSTANT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", d.year, d.month, d.day, seconds / 3600,
                   seconds / 60 % 60, seconds % 60, (int)(rest % NS_SEC / NS_MS));
    return to;
}
