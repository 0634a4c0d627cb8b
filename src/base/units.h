/*
 * units.h - durations and sizes as people write them: "10s", "1m30s", "250ms", "64MiB", "10kB". Pure.
 *
 * A number always needs its unit (only 0 may stand alone for a duration; a size without one is bytes), because
 * "timeout: 30" has meant seconds to one reader and milliseconds to the next. Reading and printing are inverse: what
 * is printed reads back as exactly the same value.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

enum { UNITS_TEXT_MAX = 64 };

/*
 * A span of time: one or more numbers with the units d, h, m, s, ms, us, ns, larger units first ("1h30m"); the last
 * number may have a decimal fraction ("1.5s"); "none" is NS_NEVER. E_PARSE says what is wrong without quoting the
 * text.
 */
err_t units_parse_duration(struct str text, ns_t *ret) MUST_CHECK;
/* Bytes: a number, with a decimal fraction if a unit follows; B, kB, KiB, MB, MiB, GB, GiB, TB, TiB, case ignored.
 * E_PARSE as above. */
err_t units_parse_size(struct str text, uint64_t *ret) MUST_CHECK;

/* The shortest exact form ("1m30s", "250ms", "none"), NUL-terminated; returns its length. Spans are >= 0. */
size_t units_print_duration(ns_t span, char to[UNITS_TEXT_MAX]);
/* The shortest exact form with a binary unit ("64MiB", "1536KiB", "1000B"), NUL-terminated; returns its length. */
size_t units_print_size(uint64_t bytes, char to[UNITS_TEXT_MAX]);

#endif
