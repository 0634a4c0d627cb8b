/*
 * prometheus.h - reads a page of metrics in Prometheus' text format, sample by sample. Pure.
 *
 * Format 0.0.4 ("Exposition formats" of Prometheus' documentation), and what OpenMetrics 1.0 adds behind a value, so that
 * a server which always answers in that is understood as well. Strict: a line that is neither a comment nor a sample, and a
 * page that ends within a line, are errors, because half a page tells half the truth.
 */
#ifndef CODEC_PROMETHEUS_H
#define CODEC_PROMETHEUS_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

enum { PROMETHEUS_LINE_MAX = 16 * 1024 };

struct prometheus_sample {
    struct str name;   /* "vllm:num_requests_running"; p == NULL: the page is over            */
    struct str labels; /* what is between the braces, checked; empty: there are none           */
    double value;      /* may be infinite, or no number (NAN)                                 */
};

/* Take the next sample from the front of *page, whose bytes its strings are. E_PARSE: the page is not in the format; E_TOO_LARGE: a
 * line is longer than PROMETHEUS_LINE_MAX. *ret is untouched then, and *page begins with that line. */
err_t prometheus_next(struct str *page, struct prometheus_sample *ret) MUST_CHECK;
/* The value of a label as it is written, its escapes (\\, \", \n) not undone. False if there is no such label. */
bool prometheus_label(const struct prometheus_sample *s, struct str name, struct str *ret_raw);

#endif
