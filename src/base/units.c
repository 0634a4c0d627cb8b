/*
 * units.c - reading and printing durations and sizes.
 *
 * Reading is exact integer arithmetic: a decimal fraction must come out as a whole number of nanoseconds or bytes, so
 * that nothing is rounded behind the reader's back. Sums that pass the type are refused. Messages name the remedy and
 * never quote the text, which may have come from a secret by mistake.
 */
#include "base/units.h"

#include <stdio.h>

enum { DECIMALS_MAX = 18 }; /* digits whose value and power of ten fit 64 bits */

struct unit {
    struct str name;
    uint64_t factor;
};

/* Largest first: that is the order in which a duration is written and printed. */
static const struct unit time_units[] = {
    {STR_INIT("d"), 86400000000000},
    {STR_INIT("h"), 3600000000000},
    {STR_INIT("m"), 60000000000},
    {STR_INIT("s"), 1000000000},
    {STR_INIT("ms"), 1000000},
    {STR_INIT("us"), 1000},
    {STR_INIT("ns"), 1},
};

static const struct unit size_units[] = {
    {STR_INIT("B"), 1},
    {STR_INIT("kB"), 1000},
    {STR_INIT("KiB"), 1024},
    {STR_INIT("MB"), 1000000},
    {STR_INIT("MiB"), (uint64_t)1 << 20},
    {STR_INIT("GB"), 1000000000},
    {STR_INIT("GiB"), (uint64_t)1 << 30},
    {STR_INIT("TB"), 1000000000000},
    {STR_INIT("TiB"), (uint64_t)1 << 40},
};

/* Binary ones only, for printing. */
static const struct unit print_units[] = {
    {STR_INIT("TiB"), (uint64_t)1 << 40},
    {STR_INIT("GiB"), (uint64_t)1 << 30},
    {STR_INIT("MiB"), (uint64_t)1 << 20},
    {STR_INIT("KiB"), 1024},
    {STR_INIT("B"), 1},
};

static size_t leading_digits(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

static struct str skip(struct str s, size_t n)
{
    return str_of(s.p + n, s.n - n);
}

/* Digits at the front of *s, with an optional ".digits"; takes them off. False if there are none. */
static bool take_number(struct str *s, struct str *ret_whole, struct str *ret_fraction)
{
    size_t n = leading_digits(*s);
    if (n == 0)
        return false;
    *ret_whole = str_of(s->p, n);
    *ret_fraction = STR_NONE;
    *s = skip(*s, n);
    if (s->n && s->p[0] == '.') {
        n = leading_digits(skip(*s, 1));
        if (n == 0)
            return false;
        *ret_fraction = str_of(s->p + 1, n);
        *s = skip(*s, n + 1);
    }
    return true;
}

/* (whole.fraction) * factor, exactly. */
static err_t scale(struct str whole, struct str fraction, uint64_t factor, uint64_t *ret)
{
    uint64_t v, sum, decimals = 0, power = 1;

    if (!str_to_u64(whole, UINT64_MAX, &v) || __builtin_mul_overflow(v, factor, &sum))
        return fail(E_PARSE, "is too large");
    while (fraction.n && fraction.p[fraction.n - 1] == '0')
        fraction.n--;
    if (fraction.n > DECIMALS_MAX || (fraction.n && !str_to_u64(fraction, UINT64_MAX, &decimals)))
        return fail(E_PARSE, "has too many digits behind the point: use a smaller unit");
    for (size_t i = 0; i < fraction.n; i++)
        power *= 10;
    unsigned __int128 product = (unsigned __int128)decimals * factor;
    if (product % power)
        return fail(E_PARSE, "has too many digits behind the point: use a smaller unit");
    if (__builtin_add_overflow(sum, (uint64_t)(product / power), &sum))
        return fail(E_PARSE, "is too large");
    *ret = sum;
    return OK;
}

static size_t leading_letters(struct str s)
{
    size_t n = 0;
    while (n < s.n && ascii_lower(s.p[n]) >= 'a' && ascii_lower(s.p[n]) <= 'z')
        n++;
    return n;
}

/* One "number unit" at the front of *s. *at: index of the last unit read; units get smaller from one to the next. */
static err_t take_span(struct str *s, size_t *at, uint64_t *ret)
{
    static const char remedy[] = "is not a duration: write for example 10s, 250ms or 1m30s";
    struct str whole, fraction;

    if (!take_number(s, &whole, &fraction))
        return fail(E_PARSE, "%s", remedy);
    size_t n = leading_letters(*s);
    struct str name = str_of(s->p, n);
    if (n == 0)
        return fail(E_PARSE, "has no unit: write for example 10s, 250ms or 1m30s");
    while (*at < ARRAY_LEN(time_units) && !str_eq(time_units[*at].name, name))
        ++*at;
    if (*at == ARRAY_LEN(time_units))
        return fail(E_PARSE, "%s", remedy);
    *s = skip(*s, n);
    if (fraction.n && s->n)
        return fail(E_PARSE, "may have a decimal fraction in its last number only");
    return scale(whole, fraction, time_units[(*at)++].factor, ret);
}

err_t units_parse_duration(struct str text, ns_t *ret)
{
    uint64_t sum = 0, part = 0;
    size_t at = 0;

    if (str_eq(text, STR("none"))) {
        *ret = NS_NEVER;
        return OK;
    }
    if (str_eq(text, STR("0"))) {
        *ret = 0;
        return OK;
    }
    do {
        TRY(take_span(&text, &at, &part));
        if (__builtin_add_overflow(sum, part, &sum) || sum >= (uint64_t)NS_NEVER)
            return fail(E_PARSE, "is too large");
    } while (text.n);
    *ret = (ns_t)sum;
    return OK;
}

err_t units_parse_size(struct str text, uint64_t *ret)
{
    struct str whole, fraction;

    if (!take_number(&text, &whole, &fraction))
        return fail(E_PARSE, "is not a size: write for example 64MiB, 10kB or 4096");
    text = str_trim(text);
    if (text.n == 0 && fraction.n)
        return fail(E_PARSE, "is not a whole number of bytes");
    for (size_t i = 0; i < ARRAY_LEN(size_units); i++)
        if (str_eq_nocase(size_units[i].name, text.n ? text : STR("B")))
            return scale(whole, fraction, size_units[i].factor, ret);
    return fail(E_PARSE, "has an unknown unit: write B, kB, KiB, MB, MiB, GB, GiB, TB or TiB");
}

size_t units_print_duration(ns_t span, char to[UNITS_TEXT_MAX])
{
    uint64_t left = (uint64_t)span;
    size_t n = 0;

    if (span == NS_NEVER || span == 0) {
        int k = snprintf(to, UNITS_TEXT_MAX, "%s", span ? "none" : "0s");
        return (size_t)k;
    }
    for (size_t i = 0; i < ARRAY_LEN(time_units); i++) {
        uint64_t count = left / time_units[i].factor;
        left %= time_units[i].factor;
        if (count)
            n +=
                (size_t)snprintf(to + n, UNITS_TEXT_MAX - n, "%llu%s", (unsigned long long)count, time_units[i].name.p);
    }
    return n;
}

size_t units_print_size(uint64_t bytes, char to[UNITS_TEXT_MAX])
{
    const struct unit *u = print_units;

    while (bytes % u->factor || (bytes == 0 && u->factor > 1))
        u++;
    int n = snprintf(to, UNITS_TEXT_MAX, "%llu%s", (unsigned long long)(bytes / u->factor), u->name.p);
    return (size_t)n;
}
