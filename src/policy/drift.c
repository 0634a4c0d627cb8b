/*
 * drift.c - two tests for two samples, with their p-values by the usual approximations.
 *
 * Sources: M. A. Stephens, "Use of the Kolmogorov-Smirnov, Cramer-von Mises and related statistics without extensive tables", J. R. Stat. Soc. B 32 (1970); W. G.
 * Cochran, "Some methods for strengthening the common chi-squared tests", Biometrics 10 (1954), for the least expectation of five; NIST's Digital Library of
 * Mathematical Functions, 8.11.4 (series) and 8.9.2 (continued fraction), for the incomplete gamma function.
 */
#include "policy/drift.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static const double expected_least = 5, converged = 1e-12;
enum { TERMS_MAX = 1000 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* How often the largest distance is more than that: 2 * sum of (-1)^(j-1) * exp(-2 j^2 l^2). */
static double kolmogorov(double l)
{
    double sum = 0, sign = 1;

    if (l < 0.2)
        return 1; /* by less than 1e-12, where the series is slow */
    for (int j = 1; j <= TERMS_MAX; j++) {
        double term = exp(-2 * (double)j * j * l * l);
        sum += sign * term;
        sign = -sign;
        if (term < converged)
            break;
    }
    return fmin(1, fmax(0, 2 * sum));
}

struct drift drift_numbers(double *x, size_t n, double *y, size_t m)
{
    double most = 0;
    size_t i = 0, k = 0;

    if (n < DRIFT_LEAST || m < DRIFT_LEAST)
        return (struct drift){.p = 1};
    qsort(x, n, sizeof *x, by_value);
    qsort(y, m, sizeof *y, by_value);
    while (i < n && k < m) {
        double at = fmin(x[i], y[k]);
        while (i < n && x[i] <= at)
            i++;
        while (k < m && y[k] <= at)
            k++;
        most = fmax(most, fabs((double)i / (double)n - (double)k / (double)m));
    }
    double root = sqrt((double)n * (double)m / (double)(n + m));
    return (struct drift){.statistic = most, .p = kolmogorov((root + 0.12 + 0.11 / root) * most)};
}

/* The upper incomplete gamma function, as a share of the whole. */
static double gamma_above(double a, double x)
{
    int sign;
    double scale = exp(-x + a * log(x) - lgamma_r(a, &sign));

    if (x < a + 1) { /* DLMF 8.11.4: the lower one as a series */
        double term = 1 / a, sum = term;
        for (int n = 1; n <= TERMS_MAX && term > sum * converged; n++) {
            term *= x / (a + n);
            sum += term;
        }
        return 1 - scale * sum;
    }
    /* DLMF 8.9.2, by Lentz' method */
    double b = x + 1 - a, c = 1e300, d = 1 / b, h = d;
    for (int n = 1; n <= TERMS_MAX; n++) {
        double numerator = -n * (n - a);
        b += 2;
        d = 1 / (numerator * d + b);
        c = b + numerator / c;
        h *= d * c;
        if (fabs(d * c - 1) < converged)
            break;
    }
    return scale * h;
}

static void add_cell(struct drift *d, double x, double y, double share_of_x)
{
    double of_x = (x + y) * share_of_x, of_y = (x + y) - of_x;

    d->statistic += (x - of_x) * (x - of_x) / of_x + (y - of_y) * (y - of_y) / of_y;
    d->freedom++;
}

struct drift drift_categories(const uint64_t *x, const uint64_t *y, size_t k)
{
    double n = 0, m = 0, rest_x = 0, rest_y = 0;
    struct drift d = {.p = 1};

    for (size_t i = 0; i < k; i++) {
        n += (double)x[i];
        m += (double)y[i];
    }
    if (n < DRIFT_LEAST || m < DRIFT_LEAST)
        return d;
    double share = n / (n + m), least = fmin(share, 1 - share);
    for (size_t i = 0; i < k; i++) {
        bool is_rare = (double)(x[i] + y[i]) * least < expected_least;
        rest_x += is_rare ? (double)x[i] : 0;
        rest_y += is_rare ? (double)y[i] : 0;
        if (!is_rare)
            add_cell(&d, (double)x[i], (double)y[i], share);
    }
    if (rest_x + rest_y > 0)
        add_cell(&d, rest_x, rest_y, share);
    d.freedom = d.freedom ? d.freedom - 1 : 0;
    if (d.freedom && d.statistic > 0)
        d.p = fmin(1, fmax(0, gamma_above(d.freedom / 2.0, d.statistic / 2)));
    return d;
}
