/*
 * drift.h - are two samples of the same distribution? For what a model or a mapping yielded before and yields now. Pure.
 *
 * A test's p-value is how often samples of one distribution would differ at least so much. Many tests are made at a time, so who asks divides the significance
 * among them (Bonferroni): with `alpha` for all of m tests, a finding is p < alpha / m.
 *
 * Both tests take values to be independent of each other, and the two samples, too. Samples of the same messages are not: they resemble each other more than they would by
 * chance, which makes findings rarer, never more frequent. Approximations hold from some twenty values on; below DRIFT_LEAST nothing is found.
 */
#ifndef POLICY_DRIFT_H
#define POLICY_DRIFT_H

#include "base/attr.h"

#include <stddef.h>
#include <stdint.h>

enum { DRIFT_LEAST = 20 };

struct drift {
    double statistic; /* Kolmogorov and Smirnov's D; chi-squared        */
    double p;         /* 1: nothing can be said                         */
    unsigned freedom; /* of chi-squared: degrees; 0: fewer than two cells */
};

/* Two samples of numbers, by the largest distance of their distribution functions (Kolmogorov, Smirnov; Stephens' approximation). Sorts both. */
struct drift drift_numbers(double *x, size_t n, double *y, size_t m);
/*
 * Two samples in `k` categories, x[i] and y[i] times each (chi-squared test of homogeneity). Categories of which fewer than five would be expected in one of the samples
 * count together.
 */
struct drift drift_categories(const uint64_t *x, const uint64_t *y, size_t k);

#endif
