/*
 * tz.h - time zones: what the clocks of a place show at an instant, from a file of the system's tz database. Pure.
 *
 * Sources: RFC 9636 (TZif), and POSIX.1-2017, "Environment Variables", TZ, for the rule in its footer.
 */
#ifndef CODEC_TZ_H
#define CODEC_TZ_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

enum {
    TZ_CHANGES_MAX = 10000, /* of a file         */
    TZ_YEAR_MAX = 2200,     /* rules go up to it */
};

struct tz_change {
    int64_t at;     /* seconds since 1970           */
    int32_t offset; /* from then on; see tz_offset() */
};

/* Immutable; in the arena that it was read into. All zeros: UTC. */
struct tz {
    int32_t first; /* before the first change */
    const struct tz_change *changes;
    size_t count;
};

/* Read a TZif file of version 2 or later. The bytes are not kept. E_PARSE: it is none. */
err_t tz_read(struct arena *arena, struct str file, struct tz *ret) MUST_CHECK;
/* Seconds to add to UTC, at an instant, to get what clocks show. */
int32_t tz_offset(const struct tz *z, int64_t at) PURE;
/* The first instant after `at` where the offset may change; INT64_MAX: never again. */
int64_t tz_next_change(const struct tz *z, int64_t at) PURE;

#endif
