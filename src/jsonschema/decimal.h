/* decimal.h - numbers as they are written, compared and divided without rounding. Pure. */
#ifndef JSONSCHEMA_DECIMAL_H
#define JSONSCHEMA_DECIMAL_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* 0.d1d2d3… x 10^exponent, d1 and the last digit not 0. Borrows the text. */
struct decimal {
    const char *p,
        *end; /* from the first significant digit to behind the last; there may be a point in between; equal: zero */
    int64_t
        exponent; /* cut off beyond +-10^15                                                                           */
    bool negative;
};

/* A number that divides: significand x 10^exponent. */
struct decimal_divisor {
    uint64_t significand;
    int64_t exponent;
};

/* Read a number of JSON. */
struct decimal decimal_read(struct str number);
/* <0, 0, >0. */
int decimal_compare(const struct decimal *x, const struct decimal *y);
bool decimal_is_whole(const struct decimal *x);
/* Significant digits. */
size_t decimal_digits(const struct decimal *x);
/* The absolute value as a divisor; false if it is zero or has more than 18 significant digits. */
bool decimal_divisor(const struct decimal *x, struct decimal_divisor *ret_divisor);
/* Is x a multiple of it? */
bool decimal_is_multiple(const struct decimal *x, const struct decimal_divisor *of);

#endif
