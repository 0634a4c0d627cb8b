/*
 * schedule.c - finding the next minute. What a schedule names are minutes that clocks show; between two changes of the clocks these and instants differ by
 * one offset, so one stretch after the other is searched.
 */
#include "pipeline/spec/schedule.h"

#include "base/date.h"

enum { DAY_MINUTES = 24 * 60, DAYS_SEARCHED = 366 * 9 }; /* February 29 is at most eight years away */

/* --- reading --- */

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct field {
    uint8_t min, max;
    const char *const *names; /* of min, min + 1, ...; NULL: it has none */
    uint8_t name_count;
};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };
static const struct field all_fields[FIELDS] = {[MINUTE] = {0, 59, NULL, 0},
                                                [HOUR] = {0, 23, NULL, 0},
                                                [DAY] = {1, 31, NULL, 0},
                                                [MONTH] = {1, 12, month_names, ARRAY_LEN(month_names)},
                                                [WEEKDAY] = {0, 7, weekday_names, ARRAY_LEN(weekday_names)}};

static bool read_value(struct str s, const struct field *f, uint64_t *ret)
{
    for (uint8_t i = 0; i < f->name_count; i++)
        if (str_eq_nocase(s, str_from_c(f->names[i]))) {
            *ret = f->min + i;
            return true;
        }
    return str_to_u64(s, f->max, ret) && *ret >= f->min;
}

/* "*", "5", "1-5", each perhaps with "/2" behind it; "5/2" goes on to the end. */
static bool read_range(struct str s, const struct field *f, uint64_t *bits)
{
    struct str last = str_cut(&s, '/');
    bool has_step = s.p != NULL;
    uint64_t from = f->min, to = f->max, step = 1;

    if (has_step && (!str_to_u64(s, f->max, &step) || step == 0))
        return false;
    if (!str_eq(last, STR("*"))) {
        if (!read_value(str_cut(&last, '-'), f, &from))
            return false;
        to = has_step && !last.p ? to : from;
        if (last.p && !read_value(last, f, &to))
            return false;
    }
    for (uint64_t i = from; i <= to; i += step)
        *bits |= 1ULL << i;
    return from <= to;
}

static bool read_field(struct str s, const struct field *f, uint64_t *ret)
{
    *ret = 0;
    if (!s.n)
        return false;
    while (s.p)
        if (!read_range(str_cut(&s, ','), f, ret))
            return false;
    return true;
}

static bool is_star(struct str field)
{
    return field.n && field.p[0] == '*';
}

bool schedule_read(struct str text, struct schedule *ret)
{
    struct str fields[FIELDS];
    uint64_t bits[FIELDS];
    size_t n = 0;

    for (text = str_trim(text); text.p && n < FIELDS; n++) {
        fields[n] = str_cut(&text, ' ');
        if (!read_field(fields[n], &all_fields[n], &bits[n]))
            return false;
        text = text.p ? str_trim(text) : text;
    }
    if (n < FIELDS || text.p)
        return false;
    *ret = (struct schedule){.minutes = bits[MINUTE],
                             .hours = (uint32_t)bits[HOUR],
                             .days = (uint32_t)bits[DAY],
                             .months = (uint32_t)bits[MONTH],
                             .weekdays = (uint32_t)(bits[WEEKDAY] | bits[WEEKDAY] >> 7),
                             .any_hour = bits[HOUR] == (1 << 24) - 1,
                             .by_day_or_weekday = !is_star(fields[DAY]) && !is_star(fields[WEEKDAY])};
    return true;
}

/* --- searching --- */

static bool has_day(const struct schedule *s, int64_t day)
{
    struct date date = date_of_day(day);
    int weekday = (int)(((day + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    bool by_day = s->days >> date.day & 1, by_weekday = s->weekdays >> weekday & 1;

    return (s->months >> date.month & 1) && (s->by_day_or_weekday ? by_day || by_weekday : by_day && by_weekday);
}

/* The first minute of the day that is named, from `from` on; DAY_MINUTES: there is none. */
static int minute_in_day(const struct schedule *s, int from)
{
    for (int at = from; at < DAY_MINUTES;) {
        if (!(s->hours >> (at / 60) & 1)) {
            at = (at / 60 + 1) * 60;
            continue;
        }
        if (s->minutes >> (at % 60) & 1)
            return at;
        at++;
    }
    return DAY_MINUTES;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The first minute that is named, from `from` on: minutes that clocks show, since 1970. INT64_MAX: there is none. */
static int64_t next_shown(const struct schedule *s, int64_t from)
{
    int64_t day = floor_div(from, DAY_MINUTES), last = day + DAYS_SEARCHED;
    int minute = (int)(from - day * DAY_MINUTES);

    for (; day <= last; day++, minute = 0) {
        if (!has_day(s, day))
            continue;
        minute = minute_in_day(s, minute);
        if (minute < DAY_MINUTES)
            return day * DAY_MINUTES + minute;
    }
    return INT64_MAX;
}

int64_t schedule_next(const struct schedule *s, const struct tz *zone, int64_t after)
{
    int64_t from = after,
            shown_from = floor_div(after + tz_offset(zone, after), 60) + 1; /* both: search from here on */

    for (;;) {
        int64_t offset = tz_offset(zone, from), change = tz_next_change(zone, from), shown = next_shown(s, shown_from);
        if (shown == INT64_MAX)
            return INT64_MAX;
        int64_t due = shown * 60 - offset;
        if (due < change)
            return due;
        /* Not in this stretch. In the next one clocks are behind (a gap), or back (minutes are shown again). */
        int64_t end = floor_div(change + offset + 59, 60), begin = floor_div(change + tz_offset(zone, change) + 59, 60);
        if (begin > end && shown < begin && !s->any_hour)
            return change;
        from = change;
        shown_from = begin > end || s->any_hour ? begin : end;
    }
}
