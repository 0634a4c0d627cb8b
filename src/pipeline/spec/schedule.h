/* schedule.h - when something is due: the minutes that five fields name, as cron has them, in a time zone. Pure. */
#ifndef PIPELINE_SCHEDULE_H
#define PIPELINE_SCHEDULE_H

#include "base/str.h"
#include "codec/tz.h"

#include <stdbool.h>
#include <stdint.h>

struct schedule {
    uint64_t minutes; /* bits */
    uint32_t hours, days, months, weekdays;
    bool any_hour;          /* all of them: then what the clocks show twice is due twice     */
    bool by_day_or_weekday; /* both are restricted: either will do, as cron has it           */
};

/*
 * Read "minute hour day month weekday": each `*`, numbers, ranges and lists of them, with steps; months and weekdays may be named by three letters; weekday 0
 * and 7 are Sunday. False: it is none.
 */
bool schedule_read(struct str text, struct schedule *ret) MUST_CHECK;
/*
 * The first instant after `after` that is due, in seconds since 1970; INT64_MAX: there is none (February 30).
 *
 * When clocks go forward, what falls into the gap is due at the change, once. When they go back, what the clocks show a second time is not due again, unless
 * the schedule names every hour.
 */
int64_t schedule_next(const struct schedule *s, const struct tz *zone, int64_t after) PURE;

#endif
