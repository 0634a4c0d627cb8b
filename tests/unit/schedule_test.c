/* schedule_test.c - when schedules are due, in UTC and where clocks change; and time zones, from files and from rules. */
#include "pipeline/spec/schedule.h"

#include "base/buf.h"
#include "base/date.h"
#include "unit/test.h"

#include <stdio.h>

static int64_t instant(int year, int month, int day, int hour, int minute)
{
    return date_to_day((struct date){year, month, day}) * 86400 + hour * 3600 + minute * 60;
}

/* ---- time zones ---- */

static void put32(struct buf *b, uint32_t v)
{
    for (int i = 3; i >= 0; i--)
        (void)buf_add_char(b, (char)(v >> (8 * i)));
}

static void put64(struct buf *b, uint64_t v)
{
    put32(b, (uint32_t)(v >> 32));
    put32(b, (uint32_t)v);
}

static void put_header(struct buf *b, uint32_t changes, uint32_t types)
{
    (void)buf_add(b, STR("TZif2"));
    for (int i = 0; i < 15; i++)
        (void)buf_add_char(b, 0);
    for (int i = 0; i < 3; i++)
        put32(b, 0);
    put32(b, changes);
    put32(b, types);
    put32(b, 4);
}

static void put_type(struct buf *b, int32_t offset)
{
    put32(b, (uint32_t)offset);
    (void)buf_add(b, (struct str){"\0", 2});
}

/* A file with these changes, each to the type of its number, and a footer. */
static void make_file(struct buf *b, const int64_t *changes, const int32_t *offsets, uint32_t count, const char *footer)
{
    put_header(b, 0, 1);
    put_type(b, 0);
    (void)buf_add(b, STR("LMT\0"));
    put_header(b, count, count + 1);
    for (uint32_t i = 0; i < count; i++)
        put64(b, (uint64_t)changes[i]);
    for (uint32_t i = 0; i < count; i++)
        (void)buf_add_char(b, (char)(i + 1));
    put_type(b, 600);
    for (uint32_t i = 0; i < count; i++)
        put_type(b, offsets[i]);
    (void)buf_add(b, STR("LMT\0"));
    (void)buf_addf(b, "\n%s\n", footer);
}

struct zone_of_rule {
    struct arena arena;
    struct tz tz;
    err_t e;
};

static struct zone_of_rule zone_of(const char *footer)
{
    struct buf file CLEANUP(buf_release) = BUF_INIT(4096);
    struct zone_of_rule z = {.e = OK};

    arena_init(&z.arena, SIZE_MAX);
    make_file(&file, NULL, NULL, 0, footer);
    z.e = tz_read(&z.arena, buf_str(&file), &z.tz);
    return z;
}

static void zone_release(struct zone_of_rule *z)
{
    arena_release(&z->arena);
}

TEST(tz_rule_of_the_north_changes_clocks_in_march_and_october)
{
    struct zone_of_rule z CLEANUP(zone_release) = zone_of("CET-1CEST,M3.5.0,M10.5.0/3");

    CHECK_EQ(z.e, OK);
    CHECK_EQ(tz_offset(&z.tz, instant(2026, 1, 1, 0, 0)), 3600);
    CHECK_EQ(tz_offset(&z.tz, instant(2026, 3, 29, 1, 0) - 1), 3600);
    CHECK_EQ(tz_offset(&z.tz, instant(2026, 3, 29, 1, 0)), 7200);
    CHECK_EQ(tz_offset(&z.tz, instant(2026, 10, 25, 1, 0) - 1), 7200);
    CHECK_EQ(tz_offset(&z.tz, instant(2026, 10, 25, 1, 0)), 3600);
    CHECK_EQ(tz_next_change(&z.tz, instant(2026, 3, 29, 1, 0) - 1), instant(2026, 3, 29, 1, 0));
    CHECK_EQ(tz_next_change(&z.tz, instant(2026, 3, 29, 1, 0)), instant(2026, 10, 25, 1, 0));
    CHECK_EQ(tz_offset(&z.tz, instant(2199, 7, 1, 0, 0)), 7200);
}

TEST(tz_rules_of_all_forms_are_read)
{
    struct zone_of_rule south CLEANUP(zone_release) = zone_of("AEST-10AEDT,M10.1.0,M4.1.0/3");
    struct zone_of_rule plain CLEANUP(zone_release) = zone_of("<+0530>-5:30");
    struct zone_of_rule west CLEANUP(zone_release) = zone_of("<-02>2<-01>,M3.5.0/-1,M10.5.0/0");
    struct zone_of_rule days CLEANUP(zone_release) = zone_of("AAA3BBB2:30,J60/0,300/24");

    CHECK_EQ(tz_offset(&south.tz, instant(2026, 1, 1, 0, 0)), 11 * 3600);
    CHECK_EQ(tz_offset(&south.tz, instant(2026, 7, 1, 0, 0)), 10 * 3600);
    CHECK_EQ(tz_next_change(&south.tz, instant(2026, 1, 1, 0, 0)), instant(2026, 4, 4, 16, 0));
    CHECK_EQ(tz_offset(&plain.tz, 0), 5 * 3600 + 1800);
    CHECK_EQ(tz_next_change(&plain.tz, 0), INT64_MAX);
    CHECK_EQ(tz_next_change(&west.tz, instant(2026, 1, 1, 0, 0)), instant(2026, 3, 29, 1, 0));
    CHECK_EQ(tz_offset(&west.tz, instant(2026, 7, 1, 0, 0)), -3600);
    /* J60 is March 1 in every year, 300 is counted with February 29. */
    CHECK_EQ(tz_next_change(&days.tz, instant(2024, 1, 1, 0, 0)), instant(2024, 3, 1, 3, 0));
    CHECK_EQ(tz_next_change(&days.tz, instant(2025, 1, 1, 0, 0)), instant(2025, 3, 1, 3, 0));
    CHECK_EQ(tz_next_change(&days.tz, instant(2024, 5, 1, 0, 0)), instant(2024, 10, 28, 2, 30));
    CHECK_EQ(tz_next_change(&days.tz, instant(2025, 5, 1, 0, 0)), instant(2025, 10, 29, 2, 30));
    CHECK_EQ(tz_offset(&days.tz, instant(2025, 5, 1, 0, 0)), -(2 * 3600 + 1800));
}

TEST(tz_changes_of_the_file_come_before_its_rule)
{
    struct buf file CLEANUP(buf_release) = BUF_INIT(4096);
    struct arena arena CLEANUP(arena_release);
    const int64_t changes[] = {1000, 2000};
    const int32_t offsets[] = {60, -120};
    struct tz tz;

    arena_init(&arena, SIZE_MAX);
    make_file(&file, changes, offsets, 2, "UTC0");
    CHECK_EQ(tz_read(&arena, buf_str(&file), &tz), OK);
    CHECK_EQ(tz_offset(&tz, 999), 600);
    CHECK_EQ(tz_offset(&tz, 1000), 60);
    CHECK_EQ(tz_offset(&tz, 2000), -120);
    CHECK_EQ(tz_next_change(&tz, INT64_MIN), 1000);
    CHECK_EQ(tz_next_change(&tz, 2000), INT64_MAX);
    for (size_t n = 0; n < file.n - 8; n++) /* cut off anywhere: the footer may be missing, nothing else */
        CHECK_MSG(tz_read(&arena, str_slice(buf_str(&file), 0, n), &tz) == E_PARSE, "%zu bytes", n);
}

TEST(tz_refuses_rules_that_are_none)
{
    static const char *const bad[] = {"X",
                                      "CET",
                                      "CET-1CEST",
                                      "CET-1CEST,M3.5.0",
                                      "CET-1CEST,M13.5.0,M10.5.0",
                                      "CET-1CEST,M3.5.0,M10.5.7",
                                      "CET-1CEST,J0,J5",
                                      "CET-1CEST,M3.5.0,M10.5.0 ",
                                      "<CET-1",
                                      "CET-200"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct zone_of_rule z CLEANUP(zone_release) = zone_of(bad[i]);
        CHECK_MSG(z.e == E_PARSE, "%s", bad[i]);
    }
}

/* ---- schedules ---- */

static struct schedule read(const char *text)
{
    struct schedule s = {0};

    if (!schedule_read(str_from_c(text), &s))
        test_context("%s cannot be read", text);
    return s;
}

static int64_t next(const char *text, const struct tz *zone, int64_t after)
{
    static const struct tz utc;
    struct schedule s = read(text);

    return schedule_next(&s, zone ? zone : &utc, after);
}

TEST(schedule_reads_lists_ranges_steps_and_names)
{
    static const char *const bad[] = {"",
                                      "* * * *",
                                      "* * * * * *",
                                      "60 * * * *",
                                      "* 24 * * *",
                                      "* * 0 * *",
                                      "* * 32 * *",
                                      "* * * 13 *",
                                      "* * * * 8",
                                      "*/0 * * * *",
                                      "5-3 * * * *",
                                      "1, * * * *",
                                      "* * * janu *",
                                      "a * * * *",
                                      "*/-1 * * * *"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct schedule s;
        CHECK_MSG(!schedule_read(str_from_c(bad[i]), &s), "%s", bad[i]);
    }
    struct schedule s = read(" 0,30-32  6-18/6 1 jan,DEC mon-fri ");
    CHECK_EQ(s.minutes, 1ULL | 7ULL << 30);
    CHECK_EQ(s.hours, 1U << 6 | 1U << 12 | 1U << 18);
    CHECK_EQ(s.days, 1U << 1);
    CHECK_EQ(s.months, 1U << 1 | 1U << 12);
    CHECK_EQ(s.weekdays & 127, 62);
    CHECK(s.by_day_or_weekday && !s.any_hour);
    CHECK_EQ(read("50/5 * * * 7").minutes, 1ULL << 50 | 1ULL << 55);
    CHECK_EQ(read("* * * * 7").weekdays & 127, 1);
}

TEST(schedule_finds_the_next_minute)
{
    int64_t now = instant(2026, 11, 21, 20, 36) + 35; /* a Saturday */

    CHECK_EQ(next("* * * * *", NULL, now), instant(2026, 11, 21, 20, 37));
    CHECK_EQ(next("* * * * *", NULL, instant(2026, 11, 21, 20, 37)), instant(2026, 11, 21, 20, 38));
    CHECK_EQ(next("*/15 * * * *", NULL, now), instant(2026, 11, 21, 20, 45));
    CHECK_EQ(next("0 6 * * 1-5", NULL, now), instant(2026, 11, 23, 6, 0));
    CHECK_EQ(next("0 6 1 * *", NULL, now), instant(2026, 12, 1, 6, 0));
    CHECK_EQ(next("0 6 1 * sun", NULL, now), instant(2026, 11, 22, 6, 0));
    CHECK_EQ(next("0 0 29 2 *", NULL, now), instant(2028, 2, 29, 0, 0));
    CHECK_EQ(next("0 0 29 2 *", NULL, instant(2096, 3, 1, 0, 0)), instant(2104, 2, 29, 0, 0));
    CHECK_EQ(next("0 0 30 2 *", NULL, now), INT64_MAX);
    CHECK_EQ(next("59 23 31 12 *", NULL, instant(1969, 12, 31, 23, 58)), instant(1969, 12, 31, 23, 59));
}

TEST(schedule_is_due_once_where_clocks_leave_out_an_hour)
{
    struct zone_of_rule z CLEANUP(zone_release) = zone_of("CET-1CEST,M3.5.0,M10.5.0/3");
    int64_t change = instant(2026, 3, 29, 1, 0); /* from 2:00 to 3:00 */

    CHECK_EQ(next("30 2 * * *", &z.tz, instant(2026, 3, 28, 12, 0)), change);
    CHECK_EQ(next("30 2 * * *", &z.tz, change), instant(2026, 3, 30, 0, 30));
    CHECK_EQ(next("0,20,40 2 * * *", &z.tz, instant(2026, 3, 28, 12, 0)), change);
    CHECK_EQ(next("0 3 * * *", &z.tz, instant(2026, 3, 28, 12, 0)), change);
    CHECK_EQ(next("59 1 * * *", &z.tz, instant(2026, 3, 28, 12, 0)), change - 60);
    CHECK_EQ(next("0 12 * * *", &z.tz, instant(2026, 3, 28, 12, 0)), instant(2026, 3, 29, 10, 0));
    /* Every hour: what is left out is left out. */
    CHECK_EQ(next("30 * * * *", &z.tz, change - 3600), change - 1800);
    CHECK_EQ(next("30 * * * *", &z.tz, change - 1800), change + 1800);
}

TEST(schedule_is_due_once_where_clocks_go_back_unless_it_names_every_hour)
{
    struct zone_of_rule z CLEANUP(zone_release) = zone_of("CET-1CEST,M3.5.0,M10.5.0/3");
    int64_t change = instant(2026, 10, 25, 1, 0); /* from 3:00 to 2:00 */

    CHECK_EQ(next("30 2 * * *", &z.tz, change - 7200), change - 1800);
    CHECK_EQ(next("30 2 * * *", &z.tz, change - 1800), instant(2026, 10, 26, 1, 30));
    CHECK_EQ(next("0 3 * * *", &z.tz, change - 1800), change + 3600);
    CHECK_EQ(next("30 * * * *", &z.tz, change - 3600), change - 1800);
    CHECK_EQ(next("30 * * * *", &z.tz, change - 1800), change + 1800);
    CHECK_EQ(next("0 2 * * *", &z.tz, change), instant(2026, 10, 26, 1, 0));
}

/* Minute by minute: what a schedule of every hour names is due whenever clocks show it. */
TEST(schedule_agrees_with_a_walk_through_all_minutes)
{
    static const char *const texts[] = {"*/7 * * * *", "3,50 * 1-20 * *", "0 * * 3,10 sun", "59 * 28-31 * 6"};
    struct zone_of_rule z CLEANUP(zone_release) = zone_of("AEST-10AEDT-10:30,M10.1.0,M4.1.0/3");

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct schedule s = read(texts[i]);
        int64_t due = schedule_next(&s, &z.tz, instant(2026, 3, 25, 0, 0) - 1);
        for (int64_t at = instant(2026, 3, 25, 0, 0); at < instant(2026, 4, 12, 0, 0); at += 60) {
            int64_t shown = at + tz_offset(&z.tz, at), day = shown / 86400;
            struct date d = date_of_day(day);
            bool by_day = s.days >> d.day & 1, by_weekday = s.weekdays >> ((day + 4) % 7) & 1;
            bool is_due = s.minutes >> (shown / 60 % 60) & 1 && s.months >> d.month & 1 &&
                          (s.by_day_or_weekday ? by_day || by_weekday : by_day && by_weekday);
            CHECK_MSG(is_due == (due == at), "%s at %lld", texts[i], (long long)at);
            if (is_due)
                due = schedule_next(&s, &z.tz, at);
        }
    }
}
