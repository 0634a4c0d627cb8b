/* histogram.h - how many spans of time were how long, in buckets with bounds that the caller keeps; and their Prometheus form. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include "base/buf.h"
#include "base/time.h"

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS_MAX = 19 };

/* Zeroed: nothing was counted. */
struct histogram {
    uint64_t count[HISTOGRAM_BOUNDS_MAX + 1]; /* the one behind the last bound: over all bounds */
    uint64_t sum;                             /* nanoseconds                                    */
};

/* Ascending; at most HISTOGRAM_BOUNDS_MAX. All functions are given the same ones for the same histogram. */
struct histogram_bounds {
    const ns_t *at;
    size_t count;
};

/* Count a span >= 0. */
void histogram_add(struct histogram *h, const struct histogram_bounds *b, ns_t span);
/* Likewise, of one that several threads count in at a time; and a copy of such. */
void histogram_add_shared(struct histogram *h, const struct histogram_bounds *b, ns_t span);
struct histogram histogram_read_shared(const struct histogram *h);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The span that a share `q` of all does not exceed, interpolated within its bucket; beyond the last bound: that bound. 0: nothing was counted. */
ns_t histogram_quantile(const struct histogram *h, const struct histogram_bounds *b, double q);
/* Append the series of a histogram of seconds, "crossdock_" before the name; `labels`: as they stand between braces, or empty. Nothing if nothing was
 * counted. */
void histogram_print(const struct histogram *h, const struct histogram_bounds *b, const char *name, struct str labels,
                     struct buf *to);

#endif
