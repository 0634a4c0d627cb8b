/*
 * tz.c - a zone is a table of changes: those that the file lists, and behind them those that its footer's rule makes, written out for each year up to
 * TZ_YEAR_MAX, so that there is just one thing to search.
 *
 * Not here: abbreviations, leap seconds (files with them are "right/…"), and the first version of the format, which ends in 2037.
 */
#include "codec/tz.h"

#include "base/bytes.h"
#include "base/date.h"

#include <string.h>

enum { HEADER = 44, TYPES_MAX = 256, HOUR = 3600, DAY = 86400 };

/* --- the footer's rule --- */

/* When a rule changes the clocks, each year. */
struct rule_day {
    enum { BY_WEEKDAY, BY_DAY_WITHOUT_LEAP, BY_DAY } kind;
    int month, week, weekday; /* BY_WEEKDAY; week 5: the last */
    int day;                  /* from 1 without February 29, or from 0 with it */
    int32_t time;             /* of the clocks as they are before it, seconds */
};

struct rule {
    int32_t standard, summer; /* offsets                                      */
    bool has_summer;
    struct rule_day start, end; /* of summer time */
};

static bool take(struct str *s, char c)
{
    if (!s->n || s->p[0] != c)
        return false;
    *s = str_slice(*s, 1, s->n);
    return true;
}

static bool read_number(struct str *s, int max, int *ret)
{
    size_t n = 0;
    uint64_t value;

    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    if (!str_to_u64(str_slice(*s, 0, n), (uint64_t)max, &value))
        return false;
    *s = str_slice(*s, n, s->n);
    *ret = (int)value;
    return true;
}

/* "CET", "<+03>". */
static bool skip_name(struct str *s)
{
    size_t n = 0;

    if (take(s, '<')) {
        (void)str_cut(s, '>');
        return s->p != NULL;
    }
    while (n < s->n && ((s->p[n] | 32) >= 'a' && (s->p[n] | 32) <= 'z'))
        n++;
    *s = str_slice(*s, n, s->n);
    return n >= 3;
}

/* "[+-]hh[:mm[:ss]]", in seconds. */
static bool read_time(struct str *s, int32_t *ret)
{
    int sign = take(s, '-') ? -1 : 1, hours, minutes = 0, seconds = 0;

    if (sign > 0)
        (void)take(s, '+');
    if (!read_number(s, 167, &hours) || (take(s, ':') && !read_number(s, 59, &minutes)) ||
        (take(s, ':') && !read_number(s, 59, &seconds)))
        return false;
    *ret = sign * (hours * HOUR + minutes * 60 + seconds);
    return true;
}

static bool read_weekday(struct str *s, struct rule_day *ret)
{
    return read_number(s, 12, &ret->month) && take(s, '.') && read_number(s, 5, &ret->week) && take(s, '.') &&
           read_number(s, 6, &ret->weekday) && ret->month > 0 && ret->week > 0;
}

/* ",M3.5.0/2", ",J60", ",59". */
static bool read_day(struct str *s, struct rule_day *ret)
{
    bool ok;

    *ret = (struct rule_day){.kind = BY_DAY, .time = 2 * HOUR};
    if (!take(s, ','))
        return false;
    if (take(s, 'M')) {
        ret->kind = BY_WEEKDAY;
        ok = read_weekday(s, ret);
    } else if (take(s, 'J')) {
        ret->kind = BY_DAY_WITHOUT_LEAP;
        ok = read_number(s, 365, &ret->day) && ret->day > 0;
    } else {
        ok = read_number(s, 365, &ret->day);
    }
    return ok && (!take(s, '/') || read_time(s, &ret->time));
}

static bool read_rule(struct str s, struct rule *ret)
{
    int32_t west;

    *ret = (struct rule){0};
    if (!skip_name(&s) || !read_time(&s, &west))
        return false;
    ret->standard = -west;
    if (!s.n)
        return true;
    if (!skip_name(&s))
        return false;
    ret->has_summer = true;
    ret->summer = ret->standard + HOUR;
    if (s.n && s.p[0] != ',') {
        if (!read_time(&s, &west))
            return false;
        ret->summer = -west;
    }
    return read_day(&s, &ret->start) && read_day(&s, &ret->end) && !s.n;
}

static int weekday_of(int64_t day)
{
    return (int)(((day + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

static int64_t day_in(int year, const struct rule_day *r)
{
    int64_t first = date_to_day((struct date){year, 1, 1});

    switch (r->kind) {
    case BY_DAY:
        return first + r->day;
    case BY_DAY_WITHOUT_LEAP: {
        bool leaps = date_to_day((struct date){year + 1, 1, 1}) - first == 366;
        return first + r->day - 1 + (leaps && r->day >= 60);
    }
    case BY_WEEKDAY:
        break;
    }
    int64_t month = date_to_day((struct date){year, r->month, 1}),
            next = date_to_day(r->month == 12 ? (struct date){year + 1, 1, 1} : (struct date){year, r->month + 1, 1}),
            day = month + (r->weekday - weekday_of(month) + 7) % 7 + (int64_t)(r->week - 1) * 7;
    return day < next ? day : day - 7;
}

/* --- the table --- */

struct table {
    struct tz_change *items;
    size_t count;
};

static void add(struct table *t, int64_t at, int32_t offset)
{
    if (t->count && t->items[t->count - 1].at >= at)
        return;
    t->items[t->count++] = (struct tz_change){at, offset};
}

static void add_year(struct table *t, int year, const struct rule *r)
{
    int64_t start = day_in(year, &r->start) * DAY + r->start.time - r->standard,
            end = day_in(year, &r->end) * DAY + r->end.time - r->summer;

    if (start < end) {
        add(t, start, r->summer);
        add(t, end, r->standard);
        return;
    }
    add(t, end, r->standard); /* south of the equator */
    add(t, start, r->summer);
}

static err_t add_rule(struct table *t, struct str footer, int32_t *first)
{
    struct rule r;
    int year = 1970;

    if (!footer.n)
        return OK;
    if (!read_rule(footer, &r))
        return fail(E_PARSE, "the time zone's rule \"%.*s\" is none", STR_ARG(footer));
    if (!t->count && !r.has_summer)
        *first = r.standard;
    if (t->count)
        year = date_of_day(t->items[t->count - 1].at / DAY).year;
    for (; r.has_summer && year <= TZ_YEAR_MAX; year++)
        add_year(t, year, &r);
    return OK;
}

/* --- the file --- */

struct counts {
    uint32_t ut, standard, leaps, changes, types, letters;
};

static err_t read_header(struct str *s, struct counts *c, char *ret_version)
{
    if (s->n < HEADER || memcmp(s->p, "TZif", 4) != 0)
        return fail(E_PARSE, "it is no file of a time zone");
    *ret_version = s->p[4];
    const char *p = s->p + 20;
    *c = (struct counts){be32_get(p),      be32_get(p + 4),  be32_get(p + 8),
                         be32_get(p + 12), be32_get(p + 16), be32_get(p + 20)};
    if (c->changes > TZ_CHANGES_MAX || c->types == 0 || c->types > TYPES_MAX || c->leaps > TZ_CHANGES_MAX ||
        c->letters > TZ_CHANGES_MAX || c->ut > TYPES_MAX || c->standard > TYPES_MAX)
        return fail(E_PARSE, "the file of a time zone is damaged, or too large");
    *s = str_slice(*s, HEADER, s->n);
    return OK;
}

/* Bytes of a block whose instants take `wide` bytes. */
static size_t block_bytes(const struct counts *c, size_t wide)
{
    return c->changes * (wide + 1) + c->types * 6UL + c->letters + c->leaps * (wide + 4) + c->standard + c->ut;
}

static err_t read_changes(struct str block, const struct counts *c, struct table *t, int32_t *first)
{
    const char *which = block.p + c->changes * 8UL, *types = which + c->changes;

    *first = (int32_t)be32_get(types);
    for (uint32_t i = 0; i < c->changes; i++) {
        uint8_t type = (uint8_t)which[i];
        if (type >= c->types)
            return fail(E_PARSE, "the file of a time zone is damaged");
        add(t, (int64_t)be64_get(block.p + i * 8UL), (int32_t)be32_get(types + type * 6UL));
    }
    return OK;
}

static struct str footer_of(struct str s)
{
    return take(&s, '\n') ? str_cut(&s, '\n') : STR("");
}

err_t tz_read(struct arena *arena, struct str file, struct tz *ret)
{
    struct counts c;
    char version;
    struct table t;

    TRY(read_header(&file, &c, &version));
    if (version < '2' || file.n < block_bytes(&c, 4))
        return fail(E_PARSE, "the file of a time zone is of an old version, or cut off");
    file = str_slice(file, block_bytes(&c, 4), file.n);
    TRY(read_header(&file, &c, &version));
    if (file.n < block_bytes(&c, 8))
        return fail(E_PARSE, "the file of a time zone is cut off");
    t = (struct table){.items = arena_alloc(arena, (c.changes + 2UL * (TZ_YEAR_MAX - 1970 + 1)) * sizeof *t.items)};
    TRY(read_changes(file, &c, &t, &ret->first));
    TRY(add_rule(&t, footer_of(str_slice(file, block_bytes(&c, 8), file.n)), &ret->first));
    ret->changes = t.items;
    ret->count = t.count;
    return OK;
}

/* How many changes are not after `at`. */
static size_t passed(const struct tz *z, int64_t at)
{
    size_t low = 0, high = z->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (z->changes[middle].at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t tz_offset(const struct tz *z, int64_t at)
{
    size_t n = passed(z, at);

    return n ? z->changes[n - 1].offset : z->first;
}

int64_t tz_next_change(const struct tz *z, int64_t at)
{
    size_t n = passed(z, at);

    return n < z->count ? z->changes[n].at : INT64_MAX;
}
