/* date.h - days counted from 1970-01-01 as dates of the proleptic Gregorian calendar, and back. Pure. */
#ifndef BASE_DATE_H
#define BASE_DATE_H

#include "base/attr.h"

#include <stdint.h>

struct date {
    int year;  /* 0 is the year before 1 */
    int month; /* 1-12                   */
    int day;   /* 1-31                   */
};

/* The date of a day; `day` may be negative. */
struct date date_of_day(int64_t day) PURE;
/* The day of a date; a day beyond its month counts on: June 31 is July 1. */
int64_t date_to_day(struct date date) PURE;

enum { DATE_INSTANT_MAX = 40 };

/* An instant, nanoseconds since 1970, as people write it: "2026-11-21T12:34:56.789Z" (RFC 3339), NUL-terminated. Returns `to`. */
const char *date_print_instant(int64_t instant, char to[DATE_INSTANT_MAX]);

#endif
