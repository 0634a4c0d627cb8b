/*
 * decimal.c - exact numbers.
 *
 * JSON Schema's numbers are mathematical (2020-12 Core, 4.2.1), and a double is not: 0.3 is a multiple of 0.1, and 9007199254740993 is
 * more than 9007199254740992. So nothing is converted; the digits stay where they are in the document.
 */
#include "jsonschema/decimal.h"

enum { DIVISOR_DIGITS = 18 };

static const int64_t exponent_max = 1000000000000000;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The number behind 'e'. */
static int64_t read_exponent(const char *p, const char *end)
{
    bool negative = p < end && *p == '-';
    int64_t value = 0;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end && value < exponent_max; p++)
        value = value * 10 + (*p - '0');
    if (value > exponent_max)
        value = exponent_max;
    return negative ? -value : value;
}

struct decimal decimal_read(struct str number)
{
    const char *p = number.p, *end = number.p + number.n, *first = NULL, *last = NULL;
    struct decimal d = {0};
    bool behind_point = false;
    int64_t zeros = 0; /* between the point and the first significant digit */

    if (p < end && *p == '-') {
        d.negative = true;
        p++;
    }
    for (; p < end && (is_digit(*p) || *p == '.'); p++) {
        if (*p == '.') {
            behind_point = true;
            continue;
        }
        if (*p != '0') {
            first = first ? first : p;
            last = p + 1;
        }
        if (first && !behind_point)
            d.exponent++;
        zeros += !first && behind_point;
    }
    if (!first)
        return (struct decimal){.p = number.p, .end = number.p};
    d.p = first;
    d.end = last;
    d.exponent -= zeros;
    if (p < end)
        d.exponent += read_exponent(p + 1, end);
    return d;
}

static bool is_zero(const struct decimal *x)
{
    return x->p == x->end;
}

/* Of the absolute values of two numbers that are not zero. */
static int compare_sizes(const struct decimal *x, const struct decimal *y)
{
    const char *p = x->p, *q = y->p;

    if (x->exponent != y->exponent)
        return x->exponent < y->exponent ? -1 : 1;
    for (;;) {
        p += p < x->end && *p == '.';
        q += q < y->end && *q == '.';
        if (p == x->end || q == y->end)
            return (p < x->end) - (q < y->end);
        if (*p != *q)
            return *p < *q ? -1 : 1;
        p++;
        q++;
    }
}

int decimal_compare(const struct decimal *x, const struct decimal *y)
{
    int sign_x = is_zero(x) ? 0 : x->negative ? -1 : 1, sign_y = is_zero(y) ? 0 : y->negative ? -1 : 1;

    if (sign_x != sign_y || sign_x == 0)
        return sign_x - sign_y;
    return sign_x * compare_sizes(x, y);
}

size_t decimal_digits(const struct decimal *x)
{
    size_t n = 0;

    for (const char *p = x->p; p < x->end; p++)
        n += *p != '.';
    return n;
}

bool decimal_is_whole(const struct decimal *x)
{
    return is_zero(x) || (x->exponent > 0 && decimal_digits(x) <= (uint64_t)x->exponent);
}

bool decimal_divisor(const struct decimal *x, struct decimal_divisor *ret_divisor)
{
    uint64_t value = 0;

    if (is_zero(x) || decimal_digits(x) > DIVISOR_DIGITS)
        return false;
    for (const char *p = x->p; p < x->end; p++)
        if (*p != '.')
            value = value * 10 + (uint64_t)(*p - '0');
    *ret_divisor = (struct decimal_divisor){value, x->exponent - (int64_t)decimal_digits(x)};
    return true;
}

static uint64_t multiply(uint64_t x, uint64_t y, uint64_t modulus)
{
    return (uint64_t)((unsigned __int128)x * y % modulus);
}

static uint64_t power_of_ten(uint64_t exponent, uint64_t modulus)
{
    uint64_t result = 1 % modulus, square = 10 % modulus;

    for (; exponent; exponent >>= 1) {
        if (exponent & 1)
            result = multiply(result, square, modulus);
        square = multiply(square, square, modulus);
    }
    return result;
}

bool decimal_is_multiple(const struct decimal *x, const struct decimal_divisor *of)
{
    int64_t shift = x->exponent - (int64_t)decimal_digits(x) - of->exponent;
    uint64_t rest = 0;

    if (is_zero(x))
        return true;
    /* The last digit of x is not 0, so ten does not divide its significand. */
    if (shift < 0)
        return false;
    for (const char *p = x->p; p < x->end; p++)
        if (*p != '.')
            rest = (multiply(rest, 10, of->significand) + (uint64_t)(*p - '0')) % of->significand;
    return multiply(rest, power_of_ten((uint64_t)shift, of->significand), of->significand) == 0;
}
