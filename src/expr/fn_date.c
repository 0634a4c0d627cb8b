/*
 * fn_date.c - instants as seconds since 1970-01-01T00:00:00Z, as texts, and as jq's broken down time: [year, month from 0, day, hours,
 * minutes, seconds, day of the week, day of the year]. Always UTC, always the names of the C locale.
 *
 * `fromdate` and `todate` know the one form "2015-03-05T23:51:47Z" (RFC 3339). `strptime` and `strftime` have the C library's, without what
 * depends on where the process runs: `%s` is written here, and refused where it is read. What has no pure meaning (`now`, `localtime`) is
 * not in the language.
 */
#include "base/date.h"
#include "expr/builtin.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum {
    DAY = 86400,
    YEAR_MAX = 9999,
    PARTS = 8,       /* of a broken down time                        */
    FORM_MAX = 256,  /* bytes of a form, and of what is read by one  */
    TEXT_MAX = 1024, /* bytes of what is written by one              */
};

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

/* --- broken down time --- */

static int weekday(int64_t day)
{
    return (int)(((day + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

static bool break_down(double seconds, struct tm *ret, double *ret_seconds)
{
    double days = floor(seconds / DAY);

    if (!(fabs(days) < 4e6))
        return false;
    struct date date = date_of_day((int64_t)days);
    double rest = seconds - days * DAY;
    int whole = (int)rest;
    *ret = (struct tm){
        .tm_year = date.year - 1900,
        .tm_mon = date.month - 1,
        .tm_mday = date.day,
        .tm_hour = whole / 3600,
        .tm_min = whole / 60 % 60,
        .tm_sec = whole % 60,
        .tm_wday = weekday((int64_t)days),
        .tm_yday = (int)((int64_t)days - date_to_day((struct date){date.year, 1, 1})),
        .tm_zone = "UTC",
    };
    *ret_seconds = ret->tm_sec + (seconds - floor(seconds));
    return true;
}

static double seconds_of(const struct tm *tm)
{
    /* Months beyond a year count on, as days and hours do. */
    int year = tm->tm_year + 1900 + (tm->tm_mon >= 0 ? tm->tm_mon / 12 : -((11 - tm->tm_mon) / 12));
    int month = (tm->tm_mon % 12 + 12) % 12;
    int64_t day = date_to_day((struct date){year, month + 1, 1}) + tm->tm_mday - 1;

    return (double)day * DAY + tm->tm_hour * 3600.0 + tm->tm_min * 60.0 + tm->tm_sec;
}

static err_t parts_value(struct expr_run *run, const struct tm *tm, double seconds, struct expr_value *ret)
{
    const double parts[PARTS] = {tm->tm_year + 1900, tm->tm_mon, tm->tm_mday, tm->tm_hour,
                                 tm->tm_min,         seconds,    tm->tm_wday, tm->tm_yday};

    TRY(value_new_array(&run->budget, PARTS, ret));
    for (int i = 0; i < PARTS; i++)
        TRY(value_append(&run->budget, ret, expr_number(parts[i])));
    return OK;
}

/* What strftime and mktime take: numbers, each within what an int can be added up from; those that are missing are 0, a year 1900. */
static err_t read_parts(struct expr_run *run, struct expr_value v, const char *who, struct tm *ret)
{
    int parts[PARTS] = {1900};

    TRY(value_settle(&run->budget, &v));
    for (uint32_t i = 0; i < v.n && i < PARTS; i++) {
        double part = value_number(v.list->at[i]);
        if (v.list->at[i].kind != JSON_NUMBER || !(fabs(part) < 1e6))
            return run_raise(run, "%s takes broken down time, and not %.*s", who, STR_ARG(run_show(run, v)));
        parts[i] = (int)part;
    }
    *ret = (struct tm){
        .tm_year = parts[0] - 1900,
        .tm_mon = parts[1],
        .tm_mday = parts[2],
        .tm_hour = parts[3],
        .tm_min = parts[4],
        .tm_sec = parts[5],
        .tm_wday = parts[6],
        .tm_yday = parts[7],
        .tm_zone = "UTC",
    };
    return OK;
}

err_t fn_gmtime(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct tm tm;
    double seconds;

    if (!break_down(value_number(v[0]), &tm, &seconds))
        return run_raise(run, "%.*s is beyond the range of dates", STR_ARG(run_show(run, v[0])));
    return parts_value(run, &tm, seconds, ret);
}

err_t fn_mktime(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    struct tm tm;

    TRY(read_parts(run, v[0], "mktime", &tm));
    *ret = expr_number(seconds_of(&tm));
    return OK;
}

err_t fn_todate(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    double seconds = value_number(v[0]), ignored;
    struct tm tm;
    void *p;

    if (v[0].kind == JSON_ARRAY) {
        TRY(read_parts(run, v[0], "todate", &tm));
        seconds = seconds_of(&tm);
    }
    if (!break_down(seconds, &tm, &ignored) || tm.tm_year < -1900 || tm.tm_year > YEAR_MAX - 1900)
        return run_raise(run, "%.*s is beyond the range of dates", STR_ARG(run_show(run, v[0])));
    struct buf text CLEANUP(buf_release) = BUF_INIT(64);
    TRY(buf_addf(&text, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                 tm.tm_min, tm.tm_sec));
    TRY(budget_take(&run->budget, text.n, &p));
    memcpy(p, text.p, text.n);
    *ret = expr_string(str_of(p, text.n));
    return OK;
}

/* --- by a form --- */

/* The form as the C library wants it, with the seconds in place of `%s` (what it has for that depends on the time zone). */
static err_t prepare_form(struct expr_run *run, struct expr_value form, const struct tm *tm, char to[TEXT_MAX])
{
    struct str text;
    size_t n = 0;

    TRY(value_text(&run->budget, form, &text));
    TRY(budget_steps(&run->budget, text.n));
    if (text.n > FORM_MAX || memchr(text.p, '\0', text.n))
        return run_raise(run, "a form of dates is text of at most %d bytes", FORM_MAX);
    for (size_t i = 0; i < text.n; i++) {
        bool is_step = text.p[i] == '%' && i + 1 < text.n;
        if (is_step && text.p[i + 1] == 's') {
            n += (size_t)snprintf(to + n, TEXT_MAX - n, "%.0f", seconds_of(tm));
            i++;
        } else if (is_step) {
            to[n++] = text.p[i++];
            to[n++] = text.p[i];
        } else {
            to[n++] = text.p[i];
        }
        if (n + 32 > TEXT_MAX)
            return run_raise(run, "a form of dates is too long");
    }
    to[n] = '\0';
    return OK;
}

/* Forms are given by programs: without the attribute by which a compiler checks those that are literals. */
static size_t (*const write_date)(char *to, size_t room, const char *form, const struct tm *tm) = strftime;

err_t fn_strftime(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    char form[TEXT_MAX], text[TEXT_MAX];
    struct tm tm = {0};
    double seconds;
    void *p;

    if (v[0].kind == JSON_ARRAY)
        TRY(read_parts(run, v[0], "strftime", &tm));
    else if (!break_down(value_number(v[0]), &tm, &seconds))
        return run_raise(run, "%.*s is beyond the range of dates", STR_ARG(run_show(run, v[0])));
    if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_wday < 0 || tm.tm_wday > 6)
        return run_raise(run, "strftime takes months from 0 to 11 and days of the week from 0 to 6");
    TRY(prepare_form(run, v[1], &tm, form));
    size_t n = write_date(text, sizeof text, form, &tm);
    if (n == 0 && form[0])
        return run_raise(run, "what strftime writes is empty or too long");
    TRY(budget_steps(&run->budget, n));
    TRY(budget_take(&run->budget, n, &p));
    memcpy(p, text, n);
    *ret = expr_string(str_of(p, n));
    return OK;
}

static bool reads_local_time(const char *form)
{
    for (const char *at = form; (at = strchr(at, '%')) && at[1]; at += 2)
        if (at[1] == 's')
            return true;
    return false;
}

err_t fn_strptime(struct expr_run *run, const struct expr_value *v, struct expr_value *ret)
{
    char form[TEXT_MAX], text[FORM_MAX + 1];
    struct tm tm = {.tm_mday = 0};
    struct str given, wanted;

    TRY(value_text(&run->budget, v[0], &given));
    TRY(value_text(&run->budget, v[1], &wanted));
    if (given.n > FORM_MAX || wanted.n > FORM_MAX)
        return run_raise(run, "strptime takes texts of at most %d bytes", FORM_MAX);
    memcpy(text, given.p, given.n);
    text[given.n] = '\0';
    memcpy(form, wanted.p, wanted.n);
    form[wanted.n] = '\0';
    if (reads_local_time(form))
        return run_raise(run, "strptime reads no '%%s': tonumber does, and gmtime breaks it down");
    TRY(budget_steps(&run->budget, given.n + wanted.n));
    const char *end = strptime(text, form, &tm);
    if (!end || end != text + given.n)
        return run_raise(run, "date %.*s does not match format %.*s", STR_ARG(run_show(run, v[0])),
                         STR_ARG(run_show(run, v[1])));
    return parts_value(run, &tm, tm.tm_sec, ret);
}
