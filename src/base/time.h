/* time.h - units of time. Every duration and every instant in the program is an ns_t. */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdint.h>

/* Nanoseconds: a duration, or an instant on the monotonic clock of the clock seam. */
typedef int64_t ns_t;

#define NS_US ((ns_t)1000)
#define NS_MS ((ns_t)1000000)
#define NS_SEC ((ns_t)1000000000)

/* An instant that never comes: "no deadline". */
#define NS_NEVER INT64_MAX

/* `when` + `span`, saturating at NS_NEVER. */
static inline ns_t ns_add(ns_t when, ns_t span)
{
    return span >= NS_NEVER - when ? NS_NEVER : when + span;
}

static inline ns_t ns_min(ns_t a, ns_t b)
{
    return a < b ? a : b;
}

#endif
