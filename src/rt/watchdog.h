/*
 * watchdog.h - a thread that notices loops which hold on to a fiber.
 *
 * It samples each loop's switch counter. Past `limit` without a switch it reports the running fiber's name and a backtrace of the
 * loop's thread, once per stall. It costs the loops nothing.
 */
#ifndef RT_WATCHDOG_H
#define RT_WATCHDOG_H

#include "base/time.h"

#include <stdint.h>

/* Start watching all loops, those to come too. `report` is called on the watchdog's thread with one line of text; it must neither
 * start nor end loops. One watchdog per process. */
void watchdog_start(ns_t limit, void (*report)(const char *line));
void watchdog_stop(void);
/* How often it has reported. */
uint64_t watchdog_reports(void);

#endif
