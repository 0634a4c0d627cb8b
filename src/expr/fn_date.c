/*
 * fn_date.c - instants as seconds since 1970-01-01T00:00:00Z, and as texts like "2015-03-05T23:51:47Z" (RFC 3339, always UTC).
 *
 * Other forms are for libjq: an expression that reads a date should say which of them it means.
 */
#include "base/date.h"
#include "expr/builtin.h"

#include <math.h>

enum { DAY = 86400, YEAR_MAX = 9999 };

/* Digits [at, at + n) as a number. */
static bool digits(struct str text, size_t at, size_t n, uint64_t max, int *ret)
{
    uint64_t value;

    if (!str_to_u64(str_slice(text, at, at + n), max, &value))
        return false;
    *ret = (int)value;
    return true;
}

static bool read_instant(struct str text, double *ret)
{
    static const char form[] = "....-..-..T..:..:..Z";
    struct date date;
    int hour, minute, second;

    if (text.n != sizeof form - 1)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (form[i] != '.' && text.p[i] != form[i])
            return false;
    if (!digits(text, 0, 4, YEAR_MAX, &date.year) || !digits(text, 5, 2, 12, &date.month) ||
        !digits(text, 8, 2, 31, &date.day) || !digits(text, 11, 2, 23, &hour) || !digits(text, 14, 2, 59, &minute) ||
        !digits(text, 17, 2, 60, &second) || date.month == 0 || date.day == 0)
        return false;
    *ret = (double)date_to_day(date) * DAY + hour * 3600 + minute * 60 + second;
    return true;
}

err_t fn_fromdate(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct str text;
    double seconds;

    TRY(value_text(&run->budget, v[0], &text));
    if (!read_instant(text, &seconds))
        return run_raise(run, "%.*s is no date like \"2015-03-05T23:51:47Z\"", STR_ARG(run_show(run, v[0])));
    *ret = expr_number(seconds);
    return OK;
}

err_t fn_todate(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    double seconds = floor(value_number(v[0])), days = floor(seconds / DAY);
    void *p;

    if (!(fabs(days) < 4e6))
        return run_raise(run, "%.*s is beyond the range of dates", STR_ARG(run_show(run, v[0])));
    struct date date = date_of_day((int64_t)days);
    if (date.year < 0 || date.year > YEAR_MAX)
        return run_raise(run, "%.*s is beyond the range of dates", STR_ARG(run_show(run, v[0])));
    int rest = (int)(seconds - days * DAY);
    struct buf text CLEANUP(buf_release) = BUF_INIT(64);
    TRY(buf_addf(&text, "%04d-%02d-%02dT%02d:%02d:%02dZ", date.year, date.month, date.day, rest / 3600, rest / 60 % 60,
                 rest % 60));
    TRY(budget_take(&run->budget, text.n, &p));
    memcpy(p, text.p, text.n);
    *ret = expr_string(str_of(p, text.n));
    return OK;
}
